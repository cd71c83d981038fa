// SPDX-License-Identifier: GPL-2.0
/* See uf_cgroup.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uf_cgroup.h"
#include "uf_lib.h"

#define ROOT "/sys/fs/cgroup"

static long put_file(const char *dir, const char *file, const char *text)
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

static long get_file(const char *dir, const char *file, char *buf, size_t len)
{
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fread(buf, 1, len - 1, f);
	fclose(f);
	buf[n] = 0;
	return 0;
}

long uf_cgroup_make(struct uf_cgroup *g, const char *controller)
{
	static unsigned int number;
	char buf[4096], enable[40];

	if (get_file(ROOT, "cgroup.controllers", buf, sizeof(buf)))
		return -EOPNOTSUPP;
	if (*controller) {
		if (!strstr(buf, controller))
			return -EOPNOTSUPP;
		snprintf(enable, sizeof(enable), "+%s", controller);
		if (put_file(ROOT, "cgroup.subtree_control", enable))
			return -EOPNOTSUPP;
	}
	snprintf(g->path, sizeof(g->path), ROOT "/ufiber-%d-%u", getpid(), number++);
	return mkdir(g->path, 0755) ? -errno : 0;
}

static bool is_removed(void *arg)
{
	struct uf_cgroup *g = arg;

	return !rmdir(g->path) || errno == ENOENT;
}

void uf_cgroup_remove(struct uf_cgroup *g)
{
	uf_await(NULL, is_removed, g, "a cgroup to be empty");
}

long uf_cgroup_add(struct uf_cgroup *g, pid_t pid)
{
	char text[20];

	snprintf(text, sizeof(text), "%d", pid);
	return put_file(g->path, "cgroup.procs", text);
}

long uf_cgroup_write(struct uf_cgroup *g, const char *file, const char *text)
{
	return put_file(g->path, file, text);
}

long uf_cgroup_read(struct uf_cgroup *g, const char *file, const char *key)
{
	char buf[8192], want[60], *p = buf;

	if (get_file(g->path, file, buf, sizeof(buf)))
		return -1;
	if (key) {
		snprintf(want, sizeof(want), "\n%s ", key);
		memmove(buf + 1, buf, strlen(buf) + 1);
		buf[0] = '\n';
		p = strstr(buf, want);
		if (!p)
			return -1;
		p += strlen(want);
	}
	return strtol(p, NULL, 10);
}

struct value_wanted {
	struct uf_cgroup *g;
	const char *file, *key;
	long value;
};

static bool has_value(void *arg)
{
	struct value_wanted *w = arg;

	return uf_cgroup_read(w->g, w->file, w->key) == w->value;
}

bool uf_cgroup_await(struct uf_cgroup *g, const char *file, const char *key, long value)
{
	struct value_wanted w = { g, file, key, value };
	char what[100];

	snprintf(what, sizeof(what), "%s %s of the cgroup to be %ld", file, key ? key : "", value);
	return uf_await(NULL, has_value, &w, what);
}

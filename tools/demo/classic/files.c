// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Reads many files at once, larger than the memory that is there for it, in straight-line
 * code: a fiber for each file, and a pool of few buffers. A fiber that gets none waits in
 * the middle of its loop.
 */
#include "options.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <ufiber.h>

static const char usage[] =
	"usage: files [--buffers N] [--bytes N] FILE...\n"
	"\n"
	"Reads all files at the same time, each by a fiber, through few buffers; prints\n"
	"the sum of each file's bytes, and the memory that it took.\n"
	"\n"
	"  --buffers N  how many buffers there are for all (4)\n"
	"  --bytes N    bytes of a buffer (65536)\n"
	"\n"
	"exit status: 0 all were read, 1 not so, 2 usage\n";

struct file {
	const char *path;
	struct uf_fiber *fiber;
	unsigned long size;
	unsigned long sum;
	long error;
};

static struct uf_channel *pool;
static unsigned long nr_buffers = 4, bytes = 65536;

static void *read_file(void *arg)
{
	struct file *file = arg;
	unsigned char *buffer;
	long n, i;
	int fd;

	fd = uf_openat(AT_FDCWD, file->path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) {
		file->error = fd;
		return NULL;
	}
	do {
		must(uf_channel_receive(pool, &buffer), "pool");
		n = uf_read(fd, buffer, bytes);
		for (i = 0; i < n; i++)
			file->sum += buffer[i];
		must(uf_channel_send(pool, &buffer), "pool");
		file->size += n > 0 ? n : 0;
	} while (n > 0);
	file->error = n;
	uf_close(fd);
	return NULL;
}

struct work {
	struct file *files;
	int n;
};

static void *read_all(void *arg)
{
	struct work *work = arg;
	unsigned char *memory = room(nr_buffers, bytes);
	unsigned char *buffer = memory;
	unsigned long i;
	int f;

	must(uf_channel_create(&pool, sizeof(buffer), nr_buffers), "pool");
	for (i = 0; i < nr_buffers; i++, buffer += bytes)
		must(uf_channel_send(pool, &buffer), "pool");
	for (f = 0; f < work->n; f++)
		must(uf_create(NULL, &work->files[f].fiber, NULL, read_file,
			       &work->files[f]),
		     "fiber");
	for (f = 0; f < work->n; f++)
		must(uf_join(work->files[f].fiber, NULL), "join");
	must(uf_channel_destroy(pool), "pool");
	free(memory);
	return NULL;
}

int main(int argc, char **argv)
{
	const struct number numbers[] = {
		{ "buffers", &nr_buffers, 1, 1000 },
		{ "bytes", &bytes, 1, 1UL << 30 },
		{ NULL, NULL, 0, 0 },
	};
	int first = options(argc, argv, usage, numbers);
	static struct file files[1000];
	struct work work = { files, argc - first };
	unsigned long total = 0;
	struct rusage usage_of;
	int i, failed = 0;

	if (work.n < 1 || work.n > 1000) {
		fprintf(stderr,
			"files: 1 to 1000 files are wanted; see files --help\n");
		return 2;
	}
	for (i = 0; i < work.n; i++)
		files[i].path = argv[first + i];
	must(uf_run(NULL, read_all, &work, NULL), "files");
	for (i = 0; i < work.n; i++) {
		printf("%s: %lu bytes, sum %lu%s%s\n", files[i].path,
		       files[i].size, files[i].sum, files[i].error ? ", " : "",
		       files[i].error ? strerror(-files[i].error) : "");
		failed |= files[i].error < 0;
		total += files[i].size;
	}
	getrusage(RUSAGE_SELF, &usage_of);
	printf("%d files of %lu KiB through %lu buffers of %lu bytes; memory at most %ld KiB\n",
	       work.n, total / 1024, nr_buffers, bytes, usage_of.ru_maxrss);
	return failed;
}

// SPDX-License-Identifier: GPL-2.0
/* See uf_scene.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "uf_scene.h"

const char *const uf_scene_names[UF_SCENE_THREADS] = {
	"blocked", "held", "running", "parked", "standby"
};

static const struct { __u32 state, flags; } initially[UF_SCENE_THREADS] = {
	[UF_BLOCKED] = { UFIBER_THREAD_BLOCKED, 0 },
	[UF_HELD] = { UFIBER_THREAD_RUNNABLE, UFIBER_QUERY_HELD },
	[UF_RUNNING] = { UFIBER_THREAD_RUNNING, 0 },
	[UF_PARKED] = { UFIBER_THREAD_IDLE, UFIBER_QUERY_WAITING },
	[UF_STANDBY] = { UFIBER_THREAD_IDLE, UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY },
};

static bool fails(struct uf_scene *s, const char *what, long ret)
{
	char why[100];

	snprintf(why, sizeof(why), "the scene: %s: %s", what, strerror(-ret));
	uf_dump(&s->d, why);
	return false;
}

static bool start_running(struct uf_scene *s, int which)
{
	long ret = uf_spawn(&s->d, &s->t[which]);

	if (!ret)
		ret = uf_wait(&s->t[which], UFIBER_WAIT_STANDBY, 0, 0);
	return ret ? fails(s, uf_scene_names[which], ret) : true;
}

static bool start_reading(struct uf_scene *s, int which, int fd)
{
	if (!start_running(s, which))
		return false;
	uf_post_read(&s->t[which], fd);
	return uf_await_state(&s->t[which], UFIBER_THREAD_BLOCKED, 0) &&
	       uf_await_sleep(&s->t[which], SYS_read);
}

static bool start_waiting(struct uf_scene *s, int which, __u32 flags)
{
	long ret = uf_spawn(&s->d, &s->t[which]);

	if (ret)
		return fails(s, uf_scene_names[which], ret);
	uf_post_wait(&s->t[which], flags, 0, 0);
	return true;
}

bool uf_scene_set(struct uf_scene *s)
{
	long ret;

	memset(s, 0, sizeof(*s));
	ret = uf_open(&s->d, 1, 16);
	if (ret)
		return fails(s, "open", ret);
	if (pipe(s->blocked) || pipe(s->held))
		return fails(s, "pipe", -errno);
	if (!start_reading(s, UF_BLOCKED, s->blocked[0]) ||
	    !start_reading(s, UF_HELD, s->held[0]) ||
	    !start_running(s, UF_RUNNING))
		return false;
	ret = uf_put(s->held[1]);
	if (ret)
		return fails(s, "write", ret);
	return start_waiting(s, UF_PARKED, 0) &&
	       start_waiting(s, UF_STANDBY, UFIBER_WAIT_STANDBY) &&
	       uf_scene_holds(s);
}

bool uf_scene_holds(struct uf_scene *s)
{
	unsigned int i;

	for (i = 0; i < UF_SCENE_THREADS; i++)
		if (!uf_await_state(&s->t[i], initially[i].state, initially[i].flags))
			return false;
	return uf_is_done(&s->t[UF_RUNNING]);
}

struct left {
	struct uf_scene *s;
	bool gone[UF_SCENE_THREADS];
};

static int runs(struct left *left)
{
	int i;

	for (i = 0; i < UF_SCENE_THREADS; i++)
		if (!left->gone[i] && uf_state(&left->s->t[i]) == UFIBER_THREAD_RUNNING &&
		    uf_is_done(&left->s->t[i]))
			return i;
	return -1;
}

static bool one_runs(void *arg)
{
	return runs(arg) >= 0;
}

/* One after the other has the server, has finished, and leaves. */
static bool finish_one(struct left *left)
{
	static const long results[UF_SCENE_THREADS] = {
		[UF_BLOCKED] = 1, [UF_HELD] = 1, [UF_RUNNING] = 0, [UF_STANDBY] = 0,
	};
	struct uf_scene *s = left->s;
	struct uf_thread *t;
	int i;

	if (!uf_await(&s->d, one_runs, left, "a thread to have finished, with a server"))
		return false;
	i = runs(left);
	if (i < 0 || !uf_agrees(&s->d))
		return fails(s, "the server went", 0);
	t = &s->t[i];
	if (t->ret != results[i])
		return fails(s, uf_scene_names[i], t->ret);
	left->gone[i] = true;
	return !uf_unregister(t);
}

bool uf_scene_end(struct uf_scene *s)
{
	struct left left = { .s = s, .gone = { [UF_PARKED] = true } };
	int n;

	if (uf_put(s->blocked[1]))
		return fails(s, "write", -errno);
	for (n = 0; n < UF_SCENE_THREADS - 1; n++)
		if (!finish_one(&left))
			return false;
	/* Nobody has touched the one that is parked. */
	if (!uf_server_is(&s->d, 0, UFIBER_SERVER_VACANT, UFIBER_NONE) ||
	    !uf_await_state(&s->t[UF_PARKED], UFIBER_THREAD_IDLE, UFIBER_QUERY_WAITING) ||
	    uf_wake(&s->t[UF_PARKED], 0) || uf_finish(&s->t[UF_PARKED]) ||
	    !uf_await_state(&s->t[UF_PARKED], UFIBER_THREAD_RUNNING, 0))
		return false;
	for (n = 0; n < UF_SCENE_THREADS; n++)
		uf_join(&s->t[n]);
	uf_close(&s->d);
	close(s->blocked[0]);
	close(s->blocked[1]);
	close(s->held[0]);
	close(s->held[1]);
	return true;
}

static long refs;

static void __attribute__((constructor)) count_refs(void)
{
	refs = uf_refcnt();
}

static bool refs_are_back(void *unused)
{
	/* Or fewer: what ran before this program may have been about to let go. */
	return uf_refcnt() <= refs;
}

bool uf_await_refs(void)
{
	char what[100];

	snprintf(what, sizeof(what), "the module's references to be %ld again", refs);
	if (uf_await(NULL, refs_are_back, NULL, what))
		return true;
	fprintf(stderr, "# they are %ld\n", uf_refcnt());
	return false;
}

/*
 * Loading and unloading switch a static branch in the scheduler: the kernel changes
 * its own code while other processors run it, which QEMU's emulation does not survive
 * on Linux 6.1 (tools/vm/int3). So the others are taken offline for it.
 */
void uf_other_cpus(const char *online)
{
	char path[64];
	int cpu, fd;

	for (cpu = 1; cpu < 64; cpu++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			break;
		if (write(fd, online, 1) < 0)
			perror(path);
		close(fd);
	}
}

bool uf_device_is_there(void *unused)
{
	return !access(UFIBER_DEVICE, R_OK | W_OK);
}

int uf_module_open(void)
{
	const char *ko = getenv("UFIBER_KO");
	struct utsname uts;
	char path[4096];
	int fd;

	if (!ko) {
		uname(&uts);
		snprintf(path, sizeof(path), "%s/build/kmod/%s/ufiber.ko", UF_TOP, uts.release);
		ko = path;
	}
	fd = open(ko, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

long uf_module_reload(void)
{
	int fd = uf_module_open();
	long ret = 0;

	if (fd < 0)
		return fd;
	uf_other_cpus("0");
	if (syscall(SYS_delete_module, "ufiber", O_NONBLOCK) ||
	    syscall(SYS_finit_module, fd, "", 0))
		ret = -errno;
	uf_other_cpus("1");
	close(fd);
	if (!ret && !uf_await(NULL, uf_device_is_there, NULL, "the device"))
		ret = -ENODEV;
	return ret;
}

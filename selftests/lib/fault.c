// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a runtime is made of cannot be had: each call for memory, a thread, a ring
 * or a descriptor fails once, one after the other. There is a clear error then, and
 * nothing is left behind. The linker gives us the calls first (see tests.mk).
 */
#include "deny.h"

#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The one that shall fail, if it is not 0; calls so far; and whether it has. */
static atomic_int fail_at;
static atomic_int calls;
static atomic_int failed;
/* Of the heap. */
static atomic_long blocks;
/* Of the library's maps. */
static atomic_long mapped;

static bool fails(void)
{
	if (atomic_fetch_add(&calls, 1) + 1 != fail_at)
		return false;
	atomic_fetch_add(&failed, 1);
	return true;
}

static void *count_block(void *block)
{
	atomic_fetch_add(&blocks, !!block);
	return block;
}

/* clang-format off */
#define WRAP(type, name, args)		\
	type __real_##name args;	\
	type __wrap_##name args;	\
	type __wrap_##name args
/* clang-format on */

WRAP(void *, malloc, (size_t size))
{
	return fails() ? NULL : count_block(__real_malloc(size));
}

WRAP(void *, calloc, (size_t n, size_t size))
{
	return fails() ? NULL : count_block(__real_calloc(n, size));
}

WRAP(void *, aligned_alloc, (size_t align, size_t size))
{
	return fails() ? NULL : count_block(__real_aligned_alloc(align, size));
}

WRAP(void, free, (void *block))
{
	atomic_fetch_sub(&blocks, !!block);
	__real_free(block);
}

WRAP(void *, mmap,
     (void *start, size_t size, int prot, int flags, int fd, off_t offset))
{
	void *map = MAP_FAILED;

	if (fails())
		errno = ENOMEM;
	else
		map = __real_mmap(start, size, prot, flags, fd, offset);
	if (map != MAP_FAILED)
		atomic_fetch_add(&mapped, size);
	return map;
}

WRAP(int, munmap, (void *start, size_t size))
{
	int error = __real_munmap(start, size);

	if (!error)
		atomic_fetch_sub(&mapped, size);
	return error;
}

WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*start)(void *),
      void *arg))
{
	return fails() ? EAGAIN :
			 __real_pthread_create(thread, attr, start, arg);
}

WRAP(int, io_uring_queue_init_params,
     (unsigned int entries, struct io_uring *ring,
      struct io_uring_params *params))
{
	return fails() ?
		       -ENOMEM :
		       __real_io_uring_queue_init_params(entries, ring, params);
}

WRAP(int, epoll_create1, (int flags))
{
	if (!fails())
		return __real_epoll_create1(flags);
	errno = EMFILE;
	return -1;
}

WRAP(int, eventfd, (unsigned int count, int flags))
{
	if (!fails())
		return __real_eventfd(count, flags);
	errno = EMFILE;
	return -1;
}

/* ------------------------------------------------------------------ the work */

static void *double_it(void *arg)
{
	return (void *)(2 * (intptr_t)arg);
}

struct work {
	struct __test_metadata *metadata;
	uf_key_t key;
};

static bool is_lack(int error)
{
	return !error || ((error == -ENOMEM || error == -EAGAIN) && failed);
}

static void *no_coro(struct uf_coro *self, void *arg, void *value)
{
	return arg;
}

static int children_run;

static int child(void *arg)
{
	children_run++;
	return 0;
}

/* What else asks for memory, or a thread. */
static void *use_all(void *arg)
{
	struct work *work = arg;
	struct __test_metadata *_metadata = work->metadata;
	struct uf_channel *channel;
	struct uf_fiber *fiber;
	struct uf_scope scope;
	struct uf_coro *coro;
	void *value = NULL;
	int error;

	error = uf_create(NULL, &fiber, NULL, double_it, (void *)21);
	EXPECT_TRUE(is_lack(error));
	if (!error) {
		EXPECT_EQ(0, uf_join(fiber, &value));
		EXPECT_EQ((void *)42, value);
	}
	value = NULL;
	error = uf_offload(double_it, (void *)4, &value);
	EXPECT_TRUE(is_lack(error));
	EXPECT_EQ(error ? NULL : (void *)8, value);
	error = uf_local_set(work->key, work);
	EXPECT_TRUE(is_lack(error));
	EXPECT_EQ(error ? NULL : work, uf_local_get(work->key));
	error = uf_channel_create(&channel, sizeof(int), 3);
	EXPECT_TRUE(is_lack(error));
	if (!error)
		EXPECT_EQ(0, uf_channel_destroy(channel));
	error = uf_coro_create(&coro, NULL, no_coro, NULL);
	EXPECT_TRUE(is_lack(error));
	if (!error)
		EXPECT_EQ(0, uf_coro_destroy(coro));
	children_run = 0;
	EXPECT_EQ(0, uf_scope_open(&scope, UF_FOREVER));
	error = uf_scope_spawn(&scope, NULL, child, NULL);
	EXPECT_TRUE(is_lack(error));
	EXPECT_EQ(0, uf_scope_close(&scope));
	EXPECT_EQ(!error, children_run);
	return work;
}

/* Once all of it, the @n-th call failing. Returns whether one did. */
static bool try_failing(struct __test_metadata *_metadata, const char *backend,
			int n)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct work work = { .metadata = _metadata };
	struct uf_runtime *rt = NULL;
	struct uf_fiber *fiber;
	void *value = NULL;
	int error;

	config.servers = 2;
	config.backend = backend;
	ASSERT_EQ(0, uf_key_create(&work.key, NULL));
	calls = failed = 0;
	fail_at = n;
	error = uf_runtime_create(&rt, &config);
	if (error) {
		EXPECT_TRUE(failed);
		EXPECT_TRUE(error == -ENOMEM || error == -EAGAIN ||
			    error == -EMFILE)
		TH_LOG("call %d: error %d", n, error);
		EXPECT_STRNE("", uf_strerror());
		EXPECT_EQ(NULL, rt);
		fail_at = 0;
	} else {
		error = uf_create(rt, &fiber, NULL, use_all, &work);
		EXPECT_TRUE(is_lack(error));
		if (!error) {
			EXPECT_EQ(0, uf_join(fiber, &value));
			EXPECT_EQ(&work, value);
		}
		EXPECT_EQ(0, uf_runtime_destroy(rt));
		fail_at = 0;
	}
	EXPECT_EQ(0, uf_key_delete(work.key));
	return failed;
}

static void fail_each(struct __test_metadata *_metadata, const char *backend)
{
	long blocks_before, mapped_before;
	int fds, tasks, n;

	/* Caches of the C library are filled once. */
	EXPECT_FALSE(try_failing(_metadata, backend, 0));
	blocks_before = blocks;
	mapped_before = mapped;
	fds = count_entries("/proc/self/fd");
	tasks = count_entries("/proc/self/task");
	for (n = 1; try_failing(_metadata, backend, n); n++) {
		EXPECT_EQ(blocks_before, blocks)
		TH_LOG("call %d", n);
		EXPECT_EQ(mapped_before, mapped)
		TH_LOG("call %d", n);
		EXPECT_EQ(fds, count_entries("/proc/self/fd"))
		TH_LOG("call %d", n);
		/* Who has been joined may still be there for a moment. */
		while (count_entries("/proc/self/task") > tasks)
			sched_yield();
	}
	TH_LOG("%d calls", n - 1);
	EXPECT_LT(10, n);
}

TEST(each_call_none)
{
	fail_each(_metadata, "none");
}

TEST(each_call_monitor)
{
	fail_each(_metadata, "monitor");
}

/* ------------------------------------------------------------- not permitted */

static void expect_denied(struct __test_metadata *_metadata, int error,
			  const char *what)
{
	struct uf_config config = UF_CONFIG_INIT;
	int fds = count_entries("/proc/self/fd");
	struct uf_runtime *rt = NULL;
	long blocks_before = blocks;

	config.servers = 2;
	/* Not the macro, which would skip the test. */
	EXPECT_EQ(error, (uf_runtime_create)(&rt, &config));
	EXPECT_EQ(NULL, rt);
	EXPECT_NE(NULL, strstr(uf_strerror(), what))
	TH_LOG("said: %s", uf_strerror());
	EXPECT_EQ(error, (uf_run)(&config, double_it, NULL, NULL));
	EXPECT_EQ(blocks_before, blocks);
	EXPECT_EQ(fds, count_entries("/proc/self/fd"));
}

/* A sysctl, or a container. */
TEST(io_uring_denied)
{
	ASSERT_EQ(0, deny_call(SYS_io_uring_setup, EPERM));
	expect_denied(_metadata, -EPERM, "kernel.io_uring_disabled");
	expect_denied(_metadata, -EPERM, "seccomp");
}

TEST(io_uring_missing)
{
	ASSERT_EQ(0, deny_call(SYS_io_uring_setup, ENOSYS));
	expect_denied(_metadata, -ENOSYS, "CONFIG_IO_URING");
}

TEST(io_uring_too_old)
{
	ASSERT_EQ(0, deny_call(SYS_io_uring_setup, EINVAL));
	expect_denied(_metadata, -ENOSYS, "Linux 6.1");
}

TEST(io_uring_memory)
{
	ASSERT_EQ(0, deny_call(SYS_io_uring_setup, ENOMEM));
	expect_denied(_metadata, -ENOMEM, "RLIMIT_MEMLOCK");
}

/* As in a cgroup with pids.max. */
TEST(threads_denied)
{
	lib_test_need_runtime();
	ASSERT_EQ(0, deny_call(SYS_clone3, EAGAIN));
	expect_denied(_metadata, -EAGAIN, "ulimit -u");
}

static void *offload(void *arg)
{
	return (void *)(intptr_t)uf_offload(double_it, NULL, NULL);
}

/* The filter is the thread's; there is one server. */
static void *deny_and_offload(void *arg)
{
	return deny_call(SYS_clone3, EAGAIN) ? NULL : offload(arg);
}

/* Later, when the runtime has its own. */
TEST(offload_thread_denied)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	void *error;

	CREATE_RUNTIME(&rt, 1);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, deny_and_offload, NULL));
	ASSERT_EQ(0, uf_join(fiber, &error));
	EXPECT_EQ(-EAGAIN, (intptr_t)error);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

/* Nobody's else, so that all its threads are ours. */
#define LONELY_UID 2000000011

/* As many threads as the limit says, and not one more. */
static int try_limited(struct __test_metadata *_metadata, rlim_t threads)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt = NULL;
	struct uf_fiber *fiber;
	struct rlimit limit;
	void *value;
	int error;

	config.servers = 2;
	ASSERT_EQ(0, getrlimit(RLIMIT_NPROC, &limit));
	limit.rlim_cur = threads;
	ASSERT_EQ(0, setrlimit(RLIMIT_NPROC, &limit));
	error = (uf_runtime_create)(&rt, &config);
	if (error) {
		EXPECT_EQ(-EAGAIN, error);
		EXPECT_EQ(NULL, rt);
		EXPECT_NE(NULL, strstr(uf_strerror(), "ulimit -u"))
		TH_LOG("said: %s", uf_strerror());
		return error;
	}
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, offload, NULL));
	ASSERT_EQ(0, uf_join(fiber, &value));
	EXPECT_EQ(-EAGAIN, (intptr_t)value);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	return 0;
}

/* RLIMIT_NPROC, which does not hold for root. */
TEST(threads_limit)
{
	int fds, tasks;
	rlim_t n = 1;

	if (geteuid())
		SKIP(return,
			   "only root can become a user with no other process");
	lib_test_need_runtime();
	ASSERT_EQ(0, setresuid(LONELY_UID, LONELY_UID, LONELY_UID));
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1)); /* as for its /proc */
	fds = count_entries("/proc/self/fd");
	tasks = count_entries("/proc/self/task");
	for (; n < 64 && try_limited(_metadata, n); n++) {
		EXPECT_EQ(fds, count_entries("/proc/self/fd"));
		while (count_entries("/proc/self/task") > tasks)
			sched_yield();
	}
	TH_LOG("%lu threads are enough", n);
	EXPECT_LT(2, n);
	EXPECT_GT(64, n);
}

/* -------------------------------------------------- the process's end in a fiber */

static int exit_pipe[2];

static void at_exit(void)
{
	if (write(exit_pipe[1], "x", 1) != 1)
		_exit(99);
}

static void *call_exit(void *arg)
{
	exit(7);
}

static void *call_abort(void *arg)
{
	abort();
}

static void *sleep_long(void *arg)
{
	uf_sleep(1000000000000ULL);
	return NULL;
}

static void *yield_for_good(void *arg)
{
	for (;;)
		uf_yield();
	return NULL;
}

static void *read_for_good(void *arg)
{
	char c;

	uf_read(*(int *)arg, &c, 1);
	return NULL;
}

static void *among_others(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;
	int fds[2];

	attr.flags = UF_DETACHED;
	if (pipe(fds) || uf_create(NULL, NULL, &attr, sleep_long, NULL) ||
	    uf_create(NULL, NULL, &attr, yield_for_good, NULL) ||
	    uf_create(NULL, NULL, &attr, read_for_good, &fds[0]))
		_exit(98);
	uf_yield();
	if (uf_create(NULL, &fiber, NULL, *(void *(**)(void *))arg, NULL) ||
	    uf_join(fiber, NULL))
		_exit(97);
	return NULL;
}

/* How a process ends in which a fiber does that, while others are busy. */
static int status_of(struct __test_metadata *_metadata, void *(*start)(void *))
{
	struct uf_config config = UF_CONFIG_INIT;
	pid_t pid;
	int status;

	lib_test_need_runtime();
	config.servers = 2;
	ASSERT_EQ(0, pipe(exit_pipe));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		atexit(at_exit);
		uf_run(&config, among_others, &start, NULL);
		_exit(96);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	close(exit_pipe[1]);
	return status;
}

TEST(exit_in_fiber)
{
	int status = status_of(_metadata, call_exit);
	char c;

	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(7, WEXITSTATUS(status));
	EXPECT_EQ(1, read(exit_pipe[0], &c, 1));
}

TEST(abort_in_fiber)
{
	int status = status_of(_metadata, call_abort);
	char c;

	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGABRT, WTERMSIG(status));
	EXPECT_EQ(0, read(exit_pipe[0], &c, 1));
}

TEST_HARNESS_MAIN

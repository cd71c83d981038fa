// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Values of arguments that the headers promise an error for, beside those that the
 * tests of each subject have; and the largest and smallest that are none.
 */
#include "lib_test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static void *nothing(void *arg)
{
	return arg;
}

static int no_error(void *arg)
{
	return 0;
}

static void *return_value(struct uf_coro *self, void *arg, void *value)
{
	return value;
}

/* --------------------------------------------------------------- runtimes */

TEST(config)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		config.flags = 1U << bit;
		if (config.flags & (UF_NO_OVERFLOW_REPORT | UF_CALLER_SERVES |
				    UF_REPORT_DEADLOCK))
			continue;
		EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
		EXPECT_NE(NULL, strstr(uf_strerror(), "config.flags"));
	}
	config.flags = 0;
	config.servers = 257;
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	config.servers = UINT_MAX;
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	config.servers = 1;
	config.max_threads = 32769;
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	config.max_threads = 0;
	config.offload_threads = 32769;
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	config.offload_threads = 32768;
	config.stack_size = UF_STACK_MIN - 1;
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	config.stack_size = UF_STACK_MIN;
	config.backend = "";
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	config.backend = NULL;
	EXPECT_EQ(-EINVAL, uf_run(&config, NULL, NULL, NULL));
	config.size = 0;
	EXPECT_EQ(-EINVAL, uf_run(&config, nothing, NULL, NULL));
	config.size = sizeof(config);
	/* The kernel makes it as large as it may be. */
	config.ring_entries = UINT_MAX;
	ASSERT_EQ(0, uf_runtime_create(&rt, &config))
	TH_LOG("%s", uf_strerror());
	EXPECT_EQ(-EINVAL, uf_runtime_set_servers(rt, UINT_MAX));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	config.ring_entries = 1;
	ASSERT_EQ(0, uf_runtime_create(&rt, &config));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	EXPECT_EQ(0, uf_runtime_destroy(NULL));
}

TEST(stats)
{
	struct uf_stats stats = { .size = sizeof(stats) + 1 };
	struct uf_runtime *rt;

	CREATE_RUNTIME(&rt, 1);
	EXPECT_EQ(-EINVAL, uf_runtime_stats(rt, &stats));
	stats.size = SIZE_MAX;
	EXPECT_EQ(-EINVAL, uf_runtime_stats(rt, &stats));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

/* ----------------------------------------------------------------- fibers */

FIBER_TEST(attributes, 1)
{
	struct uf_attr attr = UF_ATTR_INIT, bad;
	struct uf_fiber *fibers[2] = { NULL, NULL };
	struct uf_stats stats = { .size = sizeof(stats) };
	unsigned int bit;

	/* Without a handle nobody could start it. */
	attr.flags = UF_DETACHED | UF_PARKED;
	EXPECT_EQ(-EINVAL, uf_create(NULL, NULL, &attr, nothing, NULL));
	attr.flags = UF_PINNED;
	EXPECT_EQ(-EINVAL, uf_create(NULL, NULL, &attr, nothing, NULL));

	for (bit = 5; bit < 32; bit++) {
		attr.flags = 1U << bit;
		EXPECT_EQ(-EINVAL,
			  uf_create(NULL, fibers, &attr, nothing, NULL));
	}
	attr.flags = 0;
	bad = attr;
	bad.priority = INT_MAX;
	EXPECT_EQ(-EINVAL, uf_create(NULL, fibers, &bad, nothing, NULL));
	bad.priority = INT_MIN;
	EXPECT_EQ(-EINVAL, uf_create(NULL, fibers, &bad, nothing, NULL));
	bad = attr;
	bad.flags = UF_PINNED;
	bad.server = UINT_MAX;
	EXPECT_EQ(-EINVAL, uf_create(NULL, fibers, &bad, nothing, NULL));
	bad = attr;
	bad.stack_size = 1;
	EXPECT_EQ(-EINVAL, uf_create(NULL, fibers, &bad, nothing, NULL));
	/* Of several none is made then. */
	EXPECT_EQ(-EINVAL, uf_create_many(NULL, fibers, 2, &bad, nothing, NULL));
	bad.stack_size = SIZE_MAX;
	EXPECT_EQ(-ENOMEM, uf_create_many(NULL, fibers, 2, &bad, nothing, NULL));
	bad = attr;
	bad.size = 0;
	EXPECT_EQ(-EINVAL, uf_create_many(NULL, fibers, 2, &bad, nothing, NULL));
	ASSERT_EQ(0, uf_runtime_stats(NULL, &stats));
	EXPECT_EQ(1, stats.fibers);
}

FIBER_TEST(priority, 1)
{
	EXPECT_EQ(-EINVAL, uf_set_priority(UF_PRIORITY_LOW + 1));
	EXPECT_EQ(-EINVAL, uf_set_priority(UF_PRIORITY_HIGH - 1));
	EXPECT_EQ(-EINVAL, uf_set_priority(INT_MAX));
	EXPECT_EQ(-EINVAL, uf_set_priority(INT_MIN));
	EXPECT_EQ(UF_PRIORITY_NORMAL, uf_priority(NULL));
	EXPECT_EQ(0, uf_set_priority(UF_PRIORITY_HIGH));
	EXPECT_EQ(UF_PRIORITY_HIGH, uf_priority(NULL));
	EXPECT_EQ(0, uf_set_priority(UF_PRIORITY_LOW));
	EXPECT_EQ(UF_PRIORITY_LOW, uf_priority(NULL));
	EXPECT_EQ(-EINVAL, uf_pin(1));
	EXPECT_EQ(-EINVAL, uf_pin(UINT_MAX));
}

static void *yield_to_error(void *arg)
{
	return (void *)(intptr_t)uf_yield_to(arg);
}

TEST(yield_to_another_runtimes)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_runtime *one, *two;
	struct uf_fiber *fiber, *other;
	void *error;

	CREATE_RUNTIME(&one, 1);
	CREATE_RUNTIME(&two, 1);
	attr.flags = UF_PARKED;
	ASSERT_EQ(0, uf_create(one, &other, &attr, nothing, NULL));
	ASSERT_EQ(0, uf_create(two, &fiber, NULL, yield_to_error, other));
	ASSERT_EQ(0, uf_join(fiber, &error));
	EXPECT_EQ(-EINVAL, (intptr_t)error);
	EXPECT_EQ(-EPERM, uf_yield_to(other));
	EXPECT_EQ(0, uf_start(other));
	EXPECT_EQ(0, uf_join(other, NULL));
	EXPECT_EQ(0, uf_runtime_destroy(one));
	EXPECT_EQ(0, uf_runtime_destroy(two));
}

TEST(outside)
{
	struct uf_fiber *fiber;

	EXPECT_EQ(-EPERM, uf_create_many(NULL, &fiber, 1, NULL, nothing, NULL));
	EXPECT_EQ(UF_PRIORITY_NORMAL, uf_priority(NULL));
	EXPECT_EQ(-EPERM, uf_shield(false));
	EXPECT_FALSE(uf_cancelled());
}

FIBER_TEST(keys, 1)
{
	static const uf_key_t bad[] = { UF_KEYS_MAX, UINT_MAX };
	unsigned int i;
	uf_key_t key;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, uf_local_set(bad[i], &key));
		EXPECT_EQ(NULL, uf_local_get(bad[i]));
		EXPECT_EQ(-EINVAL, uf_key_delete(bad[i]));
	}
	ASSERT_EQ(0, uf_key_create(&key, NULL));
	EXPECT_EQ(0, uf_local_set(key, &key));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(NULL, uf_local_get(bad[i]));
	EXPECT_EQ(0, uf_key_delete(key));
	EXPECT_EQ(-EINVAL, uf_key_delete(key));
	EXPECT_EQ(-EINVAL, uf_policy_set(UINT_MAX, 0));
}

FIBER_TEST(spawn, 1)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_scope scope;

	ASSERT_EQ(0, uf_scope_open(&scope, UF_FOREVER));
	attr.stack_size = UF_STACK_MIN - 1;
	EXPECT_EQ(-EINVAL, uf_scope_spawn(&scope, &attr, no_error, NULL));
	attr.stack_size = SIZE_MAX;
	EXPECT_EQ(-ENOMEM, uf_scope_spawn(&scope, &attr, no_error, NULL));
	attr.stack_size = 0;
	attr.priority = UF_PRIORITY_LOW + 1;
	EXPECT_EQ(-EINVAL, uf_scope_spawn(&scope, &attr, no_error, NULL));
	attr.priority = 0;
	attr.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, uf_scope_spawn(&scope, &attr, no_error, NULL));
	attr.flags = 0;
	EXPECT_EQ(0, uf_scope_spawn(&scope, &attr, no_error, NULL));
	EXPECT_EQ(0, uf_scope_close(&scope));
}

/* ---------------------------------------------------------------- objects */

TEST(counts)
{
	struct uf_barrier none = UF_BARRIER_INIT(0);
	struct uf_rwlock lock = UF_RWLOCK_INIT;
	struct uf_waitgroup group = UF_WAITGROUP_INIT;

	EXPECT_EQ(-EINVAL, uf_barrier_wait_until(&none, 0));
	EXPECT_EQ(-EINVAL, uf_barrier_wait_until(&none, UF_FOREVER));

	EXPECT_EQ(-EINVAL, uf_waitgroup_add(&group, INT_MIN));
	EXPECT_EQ(0, uf_waitgroup_add(&group, INT_MAX));
	EXPECT_EQ(-EINVAL, uf_waitgroup_add(&group, INT_MIN));
	EXPECT_EQ(0, uf_waitgroup_add(&group, -INT_MAX));
	EXPECT_EQ(0, uf_waitgroup_wait(&group));

	EXPECT_EQ(0, uf_rwlock_rdlock(&lock));
	lock.readers = UINT32_MAX; /* nobody lives that long */
	EXPECT_EQ(-EOVERFLOW, uf_rwlock_rdlock(&lock));
	EXPECT_EQ(-EOVERFLOW, uf_rwlock_rdlock_until(&lock, 0));
	EXPECT_EQ(-EOVERFLOW, uf_rwlock_tryrdlock(&lock));
	lock.readers = 1;
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
}

static struct uf_once once;
static int once_error;

static void call_again(void *arg)
{
	once_error = uf_once_until(&once, call_again, arg, 0);
}

TEST(once_by_itself_until)
{
	EXPECT_EQ(0, uf_once_until(&once, call_again, NULL, 0));
	EXPECT_EQ(-EDEADLK, once_error);
}

TEST(channels)
{
	struct uf_channel channel, *made = NULL;
	char byte;

	EXPECT_EQ(-EINVAL, uf_channel_init(&channel, SIZE_MAX, 0, NULL));
	EXPECT_EQ(-EINVAL, uf_channel_init(&channel, 0, SIZE_MAX, NULL));
	EXPECT_EQ(-EINVAL, uf_channel_init(&channel, 1, 1, NULL));
	EXPECT_EQ(-EINVAL, uf_channel_create(&made, SIZE_MAX, 1));
	EXPECT_EQ(-EINVAL, uf_channel_create(&made, 1, SIZE_MAX));
	EXPECT_EQ(-ENOMEM, uf_channel_create(&made, 1, SIZE_MAX / 2));
	EXPECT_EQ(NULL, made);

	/* What is as large as can be. */
	ASSERT_EQ(0, uf_channel_init(&channel, 0, SIZE_MAX / 2, NULL));
	EXPECT_EQ(0, uf_channel_send(&channel, NULL));
	EXPECT_EQ(1, uf_channel_length(&channel));
	ASSERT_EQ(0, uf_channel_init(&channel, UF_CHANNEL_VALUE_MAX, 0, NULL));
	EXPECT_EQ(-EAGAIN, uf_channel_tryreceive(&channel, &byte));
	EXPECT_EQ(0, uf_channel_close(&channel));
	EXPECT_EQ(-EPIPE, uf_channel_close(&channel));
	EXPECT_EQ(-EPIPE, uf_channel_send_until(&channel, &byte, 0));
}

TEST(cases)
{
	static const int bad[] = { 0, -1, UF_TICK + 1, INT_MAX, INT_MIN };
	struct uf_event event = UF_EVENT_INIT;
	struct uf_case c[2] = { { .op = UF_EVENT, .event = &event } };
	unsigned int i;

	ASSERT_EQ(0, uf_event_set(&event));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		c[1].op = bad[i];
		EXPECT_EQ(-EINVAL, uf_select(c, 2));
		EXPECT_EQ(-EINVAL, uf_select_until(c, 2, 0));
	}
	EXPECT_EQ(0, uf_select(c, 1));
	EXPECT_EQ(-ETIMEDOUT, uf_select_until(NULL, 0, 0));
}

/* ------------------------------------------------------------- coroutines */

TEST(coroutines)
{
	struct uf_coro_attr attr = UF_CORO_ATTR_INIT;
	struct uf_coro *co;
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		attr.flags = 1U << bit;
		if (attr.flags != UF_FPENV)
			EXPECT_EQ(-EINVAL, uf_coro_create(&co, &attr,
							  return_value, NULL));
	}
	attr.flags = 0;
	attr.size = SIZE_MAX;
	EXPECT_EQ(-EINVAL, uf_coro_create(&co, &attr, return_value, NULL));

	EXPECT_EQ(0, uf_coro_destroy(NULL));
	EXPECT_EQ(-EINVAL, uf_coro_cancel(NULL, NULL));
	EXPECT_EQ(-EINVAL, uf_coro_transfer(NULL, NULL, NULL, NULL));
	EXPECT_EQ(-EINVAL, uf_gen_next(NULL, NULL));
	EXPECT_EQ(-EINVAL, uf_gen_send(NULL, NULL, NULL));
	EXPECT_EQ(0, uf_gen_close(NULL));

	ASSERT_EQ(0, uf_coro_create(&co, NULL, return_value, NULL));
	EXPECT_EQ(-EPERM, uf_coro_transfer(co, NULL, NULL, NULL));
	EXPECT_EQ(-EPERM, uf_coro_transfer(co, co, NULL, NULL));
	EXPECT_EQ(0, uf_coro_destroy(co));
}

/* --------------------------------------------------------------------- IO */

/* What the kernel finds wrong with a pointer or a flag is what the call returns. */
FIBER_TEST(io, 1)
{
	char buf[4] = "";
	int fds[2], sv[2];
	struct statx stx;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	ASSERT_EQ(4, uf_write(fds[1], buf, 4));
	EXPECT_EQ(-EFAULT, uf_read(fds[0], NULL, 1));
	EXPECT_EQ(-EFAULT, uf_read_until(fds[0], NULL, 1, UF_FOREVER));
	EXPECT_EQ(-EFAULT, uf_write(fds[1], (void *)8, 1));
	EXPECT_EQ(0, uf_read(fds[0], NULL, 0));
	EXPECT_EQ(4, uf_read(fds[0], buf, 4));
	/* A pipe has no places, and io_uring does not mind. */
	EXPECT_EQ(2, uf_pwrite(fds[1], buf, 2, 7));
	EXPECT_EQ(2, uf_pread(fds[0], buf, 4, 7));
	EXPECT_EQ(-EBADF, uf_read(fds[1], buf, 1));
	EXPECT_EQ(-EBADF, uf_write(fds[0], buf, 1));
	EXPECT_EQ(-EFAULT, uf_send(sv[0], NULL, 1, MSG_NOSIGNAL));
	EXPECT_EQ(-EINVAL, uf_accept(sv[0], NULL, NULL, ~0));
	EXPECT_EQ(-EFAULT, uf_connect(sv[0], NULL, 16));
	EXPECT_EQ(-EINVAL,
		  uf_connect(sv[0], (const struct sockaddr *)buf, 4096));
	EXPECT_EQ(-EFAULT, uf_openat(AT_FDCWD, NULL, O_RDONLY, 0));
	EXPECT_EQ(-EBADF, uf_openat(-1, "x", O_RDONLY, 0));
	EXPECT_EQ(-ENOENT, uf_openat(AT_FDCWD, "", O_RDONLY, 0));
	EXPECT_EQ(-EFAULT, uf_statx(AT_FDCWD, NULL, 0, STATX_SIZE, &stx));
	EXPECT_EQ(-EFAULT, uf_statx(AT_FDCWD, "/", 0, STATX_SIZE, NULL));
	EXPECT_EQ(-EINVAL, uf_statx(AT_FDCWD, "/", ~0, STATX_SIZE, &stx));
	EXPECT_EQ(-EINVAL, uf_fsync(fds[0]));
	EXPECT_EQ(-EBADF, uf_fsync(INT_MAX));
	EXPECT_EQ(-EBADF, uf_close(INT_MIN));
	close(fds[0]);
	close(fds[1]);
	close(sv[0]);
	close(sv[1]);
}

/* Each twin is for fibers only, too. */
TEST(io_outside)
{
	struct statx stx;
	char buf[1] = "";

	EXPECT_EQ(-EPERM, uf_write_until(1, buf, 0, 0));
	EXPECT_EQ(-EPERM, uf_pread_until(0, buf, 1, 0, 0));
	EXPECT_EQ(-EPERM, uf_pwrite_until(1, buf, 0, 0, 0));
	EXPECT_EQ(-EPERM, uf_recv_until(0, buf, 1, 0, 0));
	EXPECT_EQ(-EPERM, uf_send_until(1, buf, 0, 0, 0));
	EXPECT_EQ(-EPERM, uf_accept_until(0, NULL, NULL, 0, 0));
	EXPECT_EQ(-EPERM, uf_connect_until(0, NULL, 0, 0));
	EXPECT_EQ(-EPERM, uf_openat_until(AT_FDCWD, "/", O_RDONLY, 0, 0));
	EXPECT_EQ(-EPERM, uf_close_until(0, 0));
	EXPECT_EQ(-EPERM, uf_fsync_until(0, 0));
	EXPECT_EQ(-EPERM, uf_statx_until(AT_FDCWD, "/", 0, STATX_SIZE, &stx, 0));
}

TEST_HARNESS_MAIN

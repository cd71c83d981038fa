// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The calling thread, above all the main one, as one of a runtime's. */
#include "lib_test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

static pid_t thread_id(void)
{
	return syscall(SYS_gettid);
}

struct crowd {
	struct uf_runtime *rt;
	pid_t thread;
	atomic_int ran;
	atomic_int here;
	int fds[2];
};

static void make_runtime(struct __test_metadata *_metadata,
			 struct uf_runtime **rt, unsigned int servers,
			 unsigned int max_threads)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.servers = servers;
	config.max_threads = max_threads;
	config.flags = UF_CALLER_SERVES;
	ASSERT_EQ(0, uf_runtime_create(rt, &config))
	TH_LOG("%s", uf_strerror());
}

static void *count(void *arg)
{
	struct crowd *crowd = arg;

	atomic_fetch_add(&crowd->here, thread_id() == crowd->thread);
	atomic_fetch_add(&crowd->ran, 1);
	return arg;
}

static void *count_often(void *arg)
{
	struct crowd *crowd = arg;
	char c;
	int i;

	for (i = 0; i < 20; i++) {
		if (thread_id() != crowd->thread)
			return NULL;
		uf_yield();
		uf_sleep(1000);
		if (uf_write(crowd->fds[1], "", 1) != 1 ||
		    uf_read(crowd->fds[0], &c, 1) != 1)
			return NULL;
	}
	return count(arg);
}

static void *spawn_ten(void *arg)
{
	struct uf_fiber *fiber[10];
	int i;

	for (i = 0; i < 10; i++)
		if (uf_create(NULL, &fiber[i], NULL, count_often, arg))
			return NULL;
	for (i = 0; i < 10; i++)
		if (uf_join(fiber[i], NULL))
			return NULL;
	return count_often(arg);
}

/* Nothing but the main thread: none else is there. */
TEST(all_on_the_main_thread)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct crowd crowd = { .thread = getpid() };
	void *value = NULL;

	ASSERT_EQ(getpid(), thread_id());
	ASSERT_EQ(0, pipe(crowd.fds));
	config.servers = 1;
	config.max_threads = 1;
	config.flags = UF_CALLER_SERVES;
	ASSERT_EQ(0, uf_run(&config, spawn_ten, &crowd, &value))
	TH_LOG("%s", uf_strerror());
	EXPECT_EQ(&crowd, value);
	EXPECT_EQ(11, crowd.ran);
	EXPECT_EQ(11, crowd.here);
	EXPECT_EQ(NULL, uf_self());
	EXPECT_EQ(-EPERM, uf_sleep(0));
}

/* And without the flag, as ever: on every thread but that. */
TEST(without_the_flag)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct crowd crowd = { .thread = getpid() };
	struct uf_runtime *rt;

	config.servers = 1;
	ASSERT_EQ(0, uf_run(&config, count, &crowd, NULL));
	EXPECT_EQ(1, crowd.ran);
	EXPECT_EQ(0, crowd.here);
	CREATE_RUNTIME(&rt, 1);
	EXPECT_EQ(-EINVAL, uf_runtime_serve(rt));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

#define COLLECTED 100

/* First the main thread collects, then it runs them. */
TEST(collects_then_runs)
{
	struct crowd crowd = { .thread = getpid() };
	struct uf_fiber *fiber[COLLECTED];
	unsigned int servers, i;
	struct uf_runtime *rt;
	void *value;

	for (servers = 1; servers <= 4; servers++) {
		atomic_store(&crowd.ran, 0);
		make_runtime(_metadata, &rt, servers, 0);
		for (i = 0; i < COLLECTED; i++)
			ASSERT_EQ(0,
				  uf_create(rt, &fiber[i], NULL, count, &crowd));
		EXPECT_EQ(COLLECTED, uf_runtime_drain(rt, uf_now() + 1000000));
		EXPECT_EQ(0, crowd.ran);
		ASSERT_EQ(0, uf_runtime_serve(rt));
		EXPECT_EQ(COLLECTED, crowd.ran);
		for (i = 0; i < COLLECTED; i++) {
			ASSERT_EQ(0, uf_join(fiber[i], &value));
			EXPECT_EQ(&crowd, value);
		}
		EXPECT_EQ(-EINVAL, uf_runtime_serve(rt));
		EXPECT_EQ(-ESHUTDOWN,
			  uf_create(rt, &fiber[0], NULL, count, &crowd));
		EXPECT_EQ(0, uf_runtime_drain(rt, UF_FOREVER));
		EXPECT_EQ(0, uf_runtime_destroy(rt));
	}
	EXPECT_LT(0, crowd.here);
}

TEST(nothing_to_serve)
{
	struct uf_runtime *rt;
	int i;

	for (i = 0; i < 20; i++) {
		make_runtime(_metadata, &rt, 1 + i % 3, 0);
		if (i % 2)
			ASSERT_EQ(0, uf_runtime_serve(rt));
		EXPECT_EQ(0, uf_runtime_destroy(rt));
	}
}

/* The end serves what nobody has. */
TEST(destroy_serves)
{
	struct crowd crowd = { .thread = getpid() };
	struct uf_fiber *fiber;
	struct uf_runtime *rt;

	make_runtime(_metadata, &rt, 1, 1);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, count, &crowd));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	EXPECT_EQ(1, crowd.ran);
	EXPECT_EQ(1, crowd.here);
}

static void *serve_from_fiber(void *arg)
{
	return (void *)(intptr_t)uf_runtime_serve(arg);
}

TEST(from_a_fiber)
{
	struct uf_runtime *rt;
	struct uf_fiber *fiber;
	void *error;

	make_runtime(_metadata, &rt, 1, 0);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, serve_from_fiber, rt));
	ASSERT_EQ(0, uf_runtime_serve(rt));
	ASSERT_EQ(0, uf_join(fiber, &error));
	EXPECT_EQ((void *)-EDEADLK, error);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

/* The last fiber ends on another thread than the caller's, which sleeps then. */
static void *end_last(void *arg)
{
	struct crowd *crowd = arg;

	uf_sleep(100000);
	return count(crowd);
}

TEST(last_one_ends_elsewhere)
{
	struct crowd crowd = { .thread = getpid() };
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_runtime *rt;
	int i;

	attr.flags = UF_PINNED | UF_DETACHED;
	attr.server = 1;
	for (i = 0; i < 50; i++) {
		make_runtime(_metadata, &rt, 2, 0);
		ASSERT_EQ(0, uf_create(rt, NULL, &attr, end_last, &crowd));
		ASSERT_EQ(0, uf_runtime_serve(rt));
		EXPECT_EQ(i + 1, crowd.ran);
		ASSERT_EQ(0, uf_runtime_destroy(rt));
	}
}

static void *block(void *arg)
{
	struct crowd *crowd = arg;
	char c;

	if (read(crowd->fds[0], &c, 1) == 1)
		count(crowd);
	return NULL;
}

static void *unblock(void *arg)
{
	struct crowd *crowd = arg;

	if (write(crowd->fds[1], "", 1) == 1)
		count(crowd);
	return NULL;
}

/* The caller's thread blocks with a fiber on it; its neighbour ends that. */
TEST(blocks)
{
	struct crowd crowd = { .thread = getpid() };
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	int i;

	ASSERT_EQ(0, pipe(crowd.fds));
	for (i = 0; i < 20; i++) {
		make_runtime(_metadata, &rt, 1, 0);
		if (!strcmp(uf_runtime_backend(rt), "none")) {
			uf_runtime_destroy(rt);
			SKIP(return, "backend none: a block stalls the server");
		}
		ASSERT_EQ(0, uf_create(rt, &fiber, NULL, block, &crowd));
		ASSERT_EQ(0, uf_create(rt, &fiber, NULL, unblock, &crowd));
		ASSERT_EQ(0, uf_runtime_serve(rt));
		EXPECT_EQ(2 * i + 2, crowd.ran);
		ASSERT_EQ(0, uf_runtime_destroy(rt));
	}
}

static void *serve_here(void *arg)
{
	struct crowd *crowd = arg;

	crowd->thread = thread_id();
	return (void *)(intptr_t)uf_runtime_serve(crowd->rt);
}

/* It need not be the main thread, nor the one that made it. */
TEST(another_thread_serves)
{
	struct crowd crowd = { 0 };
	struct uf_fiber *fiber;
	pthread_t thread;
	void *error;

	make_runtime(_metadata, &crowd.rt, 1, 1);
	ASSERT_EQ(0, uf_create(crowd.rt, &fiber, NULL, count, &crowd));
	ASSERT_EQ(0, pthread_create(&thread, NULL, serve_here, &crowd));
	/* This one waits, as a plain thread does. */
	ASSERT_EQ(0, uf_join(fiber, NULL));
	ASSERT_EQ(0, pthread_join(thread, &error));
	EXPECT_EQ(NULL, error);
	EXPECT_EQ(1, crowd.here);
	EXPECT_EQ(0, uf_runtime_destroy(crowd.rt));
}

/* A thread that has served is plain again, and can do so once more. */
TEST(again_and_again)
{
	struct crowd crowd = { .thread = getpid() };
	struct uf_config config = UF_CONFIG_INIT;
	int i;

	config.flags = UF_CALLER_SERVES;
	for (i = 0; i < 60; i++) {
		config.servers = 1 + i % 3;
		ASSERT_EQ(0, uf_run(&config, count, &crowd, NULL));
		EXPECT_EQ(NULL, uf_runtime_backend(NULL));
	}
	EXPECT_EQ(60, crowd.ran);
}

static void *wait_stopped(void *arg)
{
	struct crowd *crowd = arg;

	atomic_fetch_add(&crowd->ran, 1);
	return (void *)(intptr_t)uf_sleep_until(UF_FOREVER - 1);
}

static void *stop_it(void *arg)
{
	struct crowd *crowd = arg;

	while (atomic_load(&crowd->ran) < 10)
		sched_yield();
	return (void *)(intptr_t)uf_runtime_stop(crowd->rt, UF_FOREVER);
}

TEST(is_stopped)
{
	struct crowd crowd = { 0 };
	struct uf_fiber *fiber;
	pthread_t thread;
	void *left;
	int i;

	make_runtime(_metadata, &crowd.rt, 2, 0);
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, uf_create(crowd.rt, &fiber, NULL, wait_stopped,
				       &crowd));
	ASSERT_EQ(0, pthread_create(&thread, NULL, stop_it, &crowd));
	ASSERT_EQ(0, uf_runtime_serve(crowd.rt));
	ASSERT_EQ(0, pthread_join(thread, &left));
	EXPECT_EQ(NULL, left);
	EXPECT_EQ(0, uf_runtime_destroy(crowd.rt));
}

TEST_HARNESS_MAIN

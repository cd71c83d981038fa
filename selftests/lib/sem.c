// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The semaphore. */
#include "lib_test.h"

#include <pthread.h>
#include <sched.h>

FIBER_TEST(count, 1)
{
	struct uf_sem sem = UF_SEM_INIT(2);

	EXPECT_EQ(0, uf_sem_wait(&sem));
	EXPECT_EQ(0, uf_sem_trywait(&sem));
	EXPECT_EQ(-EAGAIN, uf_sem_trywait(&sem));
	EXPECT_EQ(-ETIMEDOUT, uf_sem_wait_until(&sem, 0));
	EXPECT_EQ(0, uf_sem_post(&sem));
	EXPECT_EQ(0, uf_sem_wait_until(&sem, 0));
}

TEST(outside)
{
	struct uf_sem sem = UF_SEM_INIT(1);

	EXPECT_EQ(0, uf_sem_wait(&sem));
	EXPECT_EQ(-ETIMEDOUT, uf_sem_wait_until(&sem, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_sem_wait_until(&sem, uf_now() + 1000));
	EXPECT_EQ(-EAGAIN, uf_sem_trywait(&sem));
	EXPECT_EQ(0, uf_sem_post(&sem));
	EXPECT_EQ(0, uf_sem_trywait(&sem));
	/* Those that gave up have left nothing behind. */
	EXPECT_EQ(0, uf_sem_post(&sem));
	EXPECT_EQ(0, uf_sem_wait_until(&sem, 0));
}

struct talk {
	struct uf_sem there, back;
};

static void *talk_back(void *arg)
{
	struct talk *talk = arg;
	int i;

	for (i = 0; i < 2000; i++) {
		uf_sem_wait(&talk->there);
		uf_sem_post(&talk->back);
	}
	return NULL;
}

/* A plain thread and a fiber wake each other. */
TEST(fiber_and_plain_thread)
{
	struct talk talk = { UF_SEM_INIT(0), UF_SEM_INIT(0) };
	struct uf_runtime *rt;
	struct uf_fiber *fiber;
	int i;

	CREATE_RUNTIME(&rt, 2);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, talk_back, &talk));
	for (i = 0; i < 2000; i++) {
		ASSERT_EQ(0, uf_sem_post(&talk.there));
		ASSERT_EQ(0,
			  i % 2 ? uf_sem_wait(&talk.back) :
				  uf_sem_wait_until(&talk.back, UF_FOREVER - 1));
	}
	EXPECT_EQ(0, uf_join(fiber, NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST(overflow)
{
	struct uf_sem sem = UF_SEM_INIT(UINT32_MAX);

	EXPECT_EQ(-EOVERFLOW, uf_sem_post(&sem));
	EXPECT_EQ(0, uf_sem_trywait(&sem));
	EXPECT_EQ(0, uf_sem_post(&sem));
}

struct ping {
	struct __test_metadata *metadata;
	struct uf_sem there;
	struct uf_sem back;
	int turns;
};

static void *answer(void *arg)
{
	struct ping *ping = arg;
	struct __test_metadata *_metadata = ping->metadata;
	int i;

	for (i = 0; i < ping->turns; i++) {
		ASSERT_EQ(0, uf_sem_wait(&ping->there));
		ASSERT_EQ(0, uf_sem_post(&ping->back));
	}
	return NULL;
}

static void ask(struct ping *ping)
{
	struct __test_metadata *_metadata = ping->metadata;
	struct uf_fiber *fiber;
	int i;

	CREATE(&fiber, answer, ping);
	for (i = 0; i < ping->turns; i++) {
		ASSERT_EQ(0, uf_sem_post(&ping->there));
		ASSERT_EQ(0, uf_sem_wait(&ping->back));
	}
	JOIN(fiber);
}

FIBER_TEST(hand_off_one_server, 1)
{
	struct ping ping = { .metadata = _metadata, .turns = 10000 };

	ask(&ping);
}

FIBER_TEST(hand_off_two_servers, 2)
{
	struct ping ping = { .metadata = _metadata, .turns = 5000 };

	ask(&ping);
}

/* So as to meet the server at every stage of falling asleep. */
static void spin(int turns)
{
	while (turns--)
		__asm__ __volatile__("");
}

static void post_from_thread(struct __test_metadata *_metadata, unsigned int n)
{
	struct ping ping = { .metadata = _metadata, .turns = 30000 };
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	int i, turn;

	CREATE_RUNTIME(&rt, n);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, answer, &ping));
	for (i = 0; i < ping.turns; i++) {
		ASSERT_EQ(0, uf_sem_post(&ping.there));
		for (turn = 1; uf_sem_trywait(&ping.back); turn++)
			if (turn % 1000 == 0)
				sched_yield();
		spin(i % (64 << i / 512 % 7));
	}
	ASSERT_EQ(0, uf_join(fiber, NULL));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/*
 * Every wake-up from outside arrives, and the servers sleep in between. With
 * more than one, another can make up for the one that missed it.
 */
TEST(posts_from_thread_to_one_server)
{
	post_from_thread(_metadata, 1);
}

TEST(posts_from_thread_to_two_servers)
{
	post_from_thread(_metadata, 2);
}

static void *post(void *arg)
{
	struct ping *ping = arg;

	uf_sem_post(&ping->there);
	return NULL;
}

/* A runtime that ends while the post that let its last fiber go still runs. */
TEST(post_races_destroy)
{
	int i;

	for (i = 0; i < 200; i++) {
		struct ping ping = { .metadata = _metadata, .turns = 1 };
		struct uf_attr attr = UF_ATTR_INIT;
		struct uf_runtime *rt;
		pthread_t thread;

		attr.flags = UF_DETACHED;
		CREATE_RUNTIME(&rt, 1);
		ASSERT_EQ(0, uf_create(rt, NULL, &attr, answer, &ping));
		ASSERT_EQ(0, pthread_create(&thread, NULL, post, &ping));
		ASSERT_EQ(0, uf_runtime_destroy(rt));
		ASSERT_EQ(0, uf_sem_trywait(&ping.back));
		ASSERT_EQ(0, pthread_join(thread, NULL));
	}
}

static void *take_until(void *arg)
{
	struct ping *ping = arg;
	uintptr_t taken = 0;
	int i;

	for (i = 0; i < ping->turns; i++)
		if (!uf_sem_wait_until(&ping->there, uf_now() + i * 50))
			taken++;
	return (void *)taken;
}

/* However timers and posts meet, no post is lost and none counts twice. */
FIBER_TEST(deadlines_race_posts, 4)
{
	struct ping ping = { .metadata = _metadata, .turns = 1000 };
	struct uf_fiber *fiber[8];
	uintptr_t taken = 0;
	unsigned int i;
	void *value;

	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		CREATE(&fiber[i], take_until, &ping);
	for (i = 0; i < 4000; i++) {
		ASSERT_EQ(0, uf_sem_post(&ping.there));
		if (i % 16 == 0)
			uf_yield();
	}
	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &value));
		taken += (uintptr_t)value;
	}
	while (!uf_sem_trywait(&ping.there))
		taken++;
	EXPECT_EQ(4000, taken);
}

TEST_HARNESS_MAIN

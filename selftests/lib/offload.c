// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* uf_offload(): calls that are known to block, off the servers. */
#include "lib_test.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

static void *read_blocking(void *arg)
{
	char byte;

	return (void *)(intptr_t)read(*(int *)arg, &byte, 1);
}

static void *not_a_fiber(void *arg)
{
	return uf_self() ? NULL : arg;
}

static void *offload_read(void *arg)
{
	void *value = NULL;
	int error = uf_offload(read_blocking, arg, &value);

	return error ? (void *)(intptr_t)error : value;
}

FIBER_TEST(others_run_meanwhile, 1)
{
	struct uf_fiber *fiber;
	void *value = NULL;
	int fds[2];

	ASSERT_EQ(0, uf_offload(not_a_fiber, &fds, &value));
	EXPECT_EQ(&fds, value);
	ASSERT_EQ(0, uf_offload(not_a_fiber, NULL, NULL));
	EXPECT_EQ(-EINVAL, uf_offload(NULL, NULL, NULL));
	ASSERT_EQ(0, pipe(fds));
	CREATE(&fiber, offload_read, fds);
	while (uf_state(fiber) != UF_STATE_WAITING)
		uf_yield();
	/* It could not go on otherwise: there is one server. */
	ASSERT_EQ(1, write(fds[1], "x", 1));
	ASSERT_EQ(0, uf_join(fiber, &value));
	EXPECT_EQ((void *)1, value);
	close(fds[0]);
	close(fds[1]);
}

/* Calls that wait for each other: none may wait for the end of another. */
static pthread_barrier_t meeting;

static void *meet(void *arg)
{
	pthread_barrier_wait(&meeting);
	return NULL;
}

static void *offload_meeting(void *arg)
{
	return (void *)(intptr_t)uf_offload(meet, NULL, NULL);
}

static void meet_in_pool(struct __test_metadata *_metadata, unsigned int n)
{
	struct uf_fiber *fiber[8];
	unsigned int i;
	void *error;

	ASSERT_EQ(0, pthread_barrier_init(&meeting, NULL, n));
	for (i = 0; i < n; i++)
		CREATE(&fiber[i], offload_meeting, NULL);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &error));
		EXPECT_EQ(NULL, error);
	}
	pthread_barrier_destroy(&meeting);
}

/* Some of the threads that they need are idle already, and some are not there. */
FIBER_TEST(run_beside_each_other, 1)
{
	ASSERT_EQ(0, uf_offload(not_a_fiber, NULL, NULL));
	meet_in_pool(_metadata, 2);
	meet_in_pool(_metadata, 8);
	meet_in_pool(_metadata, 5);
}

FIBER_TEST(run_beside_each_other_from_servers, 3)
{
	int i;

	for (i = 0; i < 200; i++)
		meet_in_pool(_metadata, 1 + i % 8);
}

TEST(outside)
{
	void *value = &value;

	ASSERT_EQ(0, uf_offload(not_a_fiber, &value, &value));
	EXPECT_EQ(&value, value);
}

struct calls {
	struct __test_metadata *metadata;
	int fds[2];
	atomic_int inside, most, done;
};

static void *enter_and_leave(void *arg)
{
	struct calls *c = arg;
	int inside = atomic_fetch_add(&c->inside, 1) + 1, most = c->most;

	while (most < inside &&
	       !atomic_compare_exchange_weak(&c->most, &most, inside))
		;
	sched_yield();
	atomic_fetch_add(&c->done, 1);
	atomic_fetch_add(&c->inside, -1);
	return NULL;
}

static void *call_often(void *arg)
{
	int i;

	for (i = 0; i < 50; i++)
		if (uf_offload(enter_and_leave, arg, NULL))
			abort();
	return NULL;
}

static void *crowd(void *arg)
{
	struct calls *c = arg;
	struct __test_metadata *_metadata = c->metadata;
	struct uf_fiber *fiber[20];
	int i;

	for (i = 0; i < 20; i++)
		CREATE(&fiber[i], call_often, c);
	for (i = 0; i < 20; i++)
		JOIN(fiber[i]);
	return NULL;
}

TEST(no_more_threads_than_asked_for)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct calls c = { .metadata = _metadata };

	config.servers = 2;
	config.offload_threads = 3;
	ASSERT_EQ(0, uf_run(&config, crowd, &c, NULL));
	EXPECT_EQ(1000, c.done);
	EXPECT_GE(3, c.most);
	config.offload_threads = 1U << 20;
	EXPECT_EQ(-EINVAL, uf_run(&config, crowd, &c, NULL));
}

static void *begin_and_read(void *arg)
{
	struct calls *c = arg;

	atomic_store(&c->inside, 1);
	return read_blocking(c->fds);
}

static void *offload_begin_and_read(void *arg)
{
	void *value = NULL;
	int error = uf_offload(begin_and_read, arg, &value);

	return error ? (void *)(intptr_t)error : value;
}

static void *cancelled_calls(void *arg)
{
	struct calls *c = arg;
	struct __test_metadata *_metadata = c->metadata;
	struct uf_fiber *first, *second, *third;
	void *value;

	ASSERT_EQ(0, pipe(c->fds));
	CREATE(&first, offload_begin_and_read, c);
	while (!c->inside)
		uf_yield();
	/* There is one thread, so these have not begun. */
	CREATE(&second, offload_read, c->fds);
	CREATE(&third, offload_read, c->fds);
	while (uf_state(third) != UF_STATE_WAITING)
		uf_yield();
	/* The last is taken back, and another comes behind who is the last then. */
	uf_cancel(third);
	ASSERT_EQ(0, uf_join(third, &value));
	EXPECT_EQ((void *)-ECANCELED, value);
	CREATE(&third, offload_read, c->fds);
	while (uf_state(third) != UF_STATE_WAITING)
		uf_yield();
	uf_cancel(third);
	uf_cancel(second);
	ASSERT_EQ(0, uf_join(second, &value));
	EXPECT_EQ((void *)-ECANCELED, value);
	ASSERT_EQ(0, uf_join(third, &value));
	EXPECT_EQ((void *)-ECANCELED, value);
	/* This one has: it goes on. */
	uf_cancel(first);
	EXPECT_EQ(-ETIMEDOUT, uf_join_until(first, NULL, uf_now() + 100000));
	ASSERT_EQ(1, write(c->fds[1], "x", 1));
	ASSERT_EQ(0, uf_join(first, &value));
	EXPECT_EQ((void *)1, value);
	/* And the pool has one thread still. */
	ASSERT_EQ(0, uf_offload(not_a_fiber, c, &value));
	EXPECT_EQ(c, value);
	close(c->fds[0]);
	close(c->fds[1]);
	return NULL;
}

TEST(cancelled)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct calls c = { .metadata = _metadata };

	config.servers = 1;
	config.offload_threads = 1;
	ASSERT_EQ(0, uf_run(&config, cancelled_calls, &c, NULL));
}

struct racer {
	struct uf_fiber *fiber;
	atomic_bool done;
	unsigned int n;
	int errors;
};

static void *count_call(void *arg)
{
	struct racer *r = arg;

	r->n++;
	return NULL;
}

static void *call_until_cancelled(void *arg)
{
	struct racer *r = arg;
	int error = uf_offload(count_call, r, NULL);

	/* Done, or not even begun. */
	r->errors = error != (r->n ? 0 : -ECANCELED);
	atomic_store(&r->done, true);
	return NULL;
}

/* A cancel meets the call before, in or after it. */
FIBER_TEST(cancel_races_the_call, 2)
{
	unsigned int i, turns, begun = 0;

	for (i = 0; i < 3000; i++) {
		struct racer r = { .n = 0 };

		CREATE(&r.fiber, call_until_cancelled, &r);
		for (turns = i % 64 * 64; turns && !atomic_load(&r.done);
		     turns--)
			uf_yield();
		EXPECT_EQ(0, uf_cancel(r.fiber));
		ASSERT_EQ(0, uf_join(r.fiber, NULL));
		ASSERT_EQ(0, r.errors) TH_LOG("round %u", i);
		begun += r.n;
	}
	TH_LOG("%u of %u calls were made", begun, i);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The mutex. */
#include "lib_test.h"

#include <pthread.h>

static void *lock_error(void *arg)
{
	return (void *)(intptr_t)uf_mutex_lock(arg);
}

static void *trylock_error(void *arg)
{
	return (void *)(intptr_t)uf_mutex_trylock(arg);
}

static void *unlock_error(void *arg)
{
	return (void *)(intptr_t)uf_mutex_unlock(arg);
}

static void *late_lock_error(void *arg)
{
	return (void *)(intptr_t)uf_mutex_lock_until(arg, 0);
}

static intptr_t in_other_fiber(struct __test_metadata *_metadata,
			       void *(*start)(void *), void *arg)
{
	struct uf_fiber *fiber;
	void *value;

	CREATE(&fiber, start, arg);
	ASSERT_EQ(0, uf_join(fiber, &value));
	return (intptr_t)value;
}

FIBER_TEST(lock_and_unlock, 1)
{
	struct uf_mutex mutex = UF_MUTEX_INIT;

	EXPECT_EQ(0, uf_mutex_lock(&mutex));
	EXPECT_EQ(0, uf_mutex_unlock(&mutex));
	EXPECT_EQ(0, uf_mutex_trylock(&mutex));
	EXPECT_EQ(0, uf_mutex_unlock(&mutex));
	EXPECT_EQ(0, uf_mutex_lock_until(&mutex, 0));
	EXPECT_EQ(0, uf_mutex_unlock(&mutex));
}

FIBER_TEST(errors, 1)
{
	struct uf_mutex mutex = UF_MUTEX_INIT;

	EXPECT_EQ(-EPERM, uf_mutex_unlock(&mutex));
	ASSERT_EQ(0, uf_mutex_lock(&mutex));
	EXPECT_EQ(-EDEADLK, uf_mutex_lock(&mutex));
	EXPECT_EQ(-EDEADLK, uf_mutex_lock_until(&mutex, UF_FOREVER - 1));
	EXPECT_EQ(-EBUSY, uf_mutex_trylock(&mutex));
	EXPECT_EQ(-EBUSY, in_other_fiber(_metadata, trylock_error, &mutex));
	EXPECT_EQ(-EPERM, in_other_fiber(_metadata, unlock_error, &mutex));
	EXPECT_EQ(-ETIMEDOUT,
		  in_other_fiber(_metadata, late_lock_error, &mutex));
	EXPECT_EQ(0, uf_mutex_unlock(&mutex));
}

static void lock_again(struct __test_metadata *_metadata, struct uf_mutex *mutex)
{
	int i;

	EXPECT_EQ(-EPERM, uf_mutex_unlock(mutex));
	EXPECT_EQ(0, uf_mutex_lock(mutex));
	EXPECT_EQ(0, uf_mutex_lock(mutex));
	EXPECT_EQ(0, uf_mutex_lock_until(mutex, 0));
	EXPECT_EQ(0, uf_mutex_trylock(mutex));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, uf_mutex_unlock(mutex));
	EXPECT_EQ(-EPERM, uf_mutex_unlock(mutex));
	mutex->depth = UINT32_MAX - 1;
	EXPECT_EQ(0, uf_mutex_trylock(mutex));
	EXPECT_EQ(0, uf_mutex_lock(mutex));
	EXPECT_EQ(-EOVERFLOW, uf_mutex_lock(mutex));
	EXPECT_EQ(-EOVERFLOW, uf_mutex_trylock(mutex));
}

FIBER_TEST(recursive, 1)
{
	struct uf_mutex mutex = UF_MUTEX_RECURSIVE_INIT;

	lock_again(_metadata, &mutex);
	EXPECT_EQ(-EBUSY, in_other_fiber(_metadata, trylock_error, &mutex));
	EXPECT_EQ(-EPERM, in_other_fiber(_metadata, unlock_error, &mutex));
	EXPECT_EQ(-ETIMEDOUT,
		  in_other_fiber(_metadata, late_lock_error, &mutex));
}

TEST(recursive_outside)
{
	struct uf_mutex mutex = UF_MUTEX_RECURSIVE_INIT;

	lock_again(_metadata, &mutex);
}

struct deep {
	struct uf_mutex mutex;
	int inside;
	int sum;
};

static void *go_deep(void *arg)
{
	struct deep *deep = arg;
	int i, j;

	for (i = 0; i < 1000; i++) {
		for (j = 0; j <= i % 3; j++) {
			if (uf_mutex_lock(&deep->mutex) || deep->inside++ != j)
				abort();
			if (i % 4 == 0)
				uf_yield();
		}
		deep->sum++;
		for (; j; j--) {
			if (deep->inside-- != j || uf_mutex_unlock(&deep->mutex))
				abort();
		}
	}
	return NULL;
}

FIBER_TEST(recursive_exclusion, 4)
{
	struct deep deep = { .mutex = UF_MUTEX_RECURSIVE_INIT };
	struct uf_fiber *fiber[8];
	int i;

	for (i = 0; i < 8; i++)
		CREATE(&fiber[i], go_deep, &deep);
	for (i = 0; i < 8; i++)
		JOIN(fiber[i]);
	EXPECT_EQ(8000, deep.sum);
}

TEST(outside)
{
	struct uf_mutex mutex = UF_MUTEX_INIT;

	EXPECT_EQ(-EPERM, uf_mutex_unlock(&mutex));
	EXPECT_EQ(0, uf_mutex_lock(&mutex));
	EXPECT_EQ(-EDEADLK, uf_mutex_lock(&mutex));
	EXPECT_EQ(-EDEADLK, uf_mutex_lock_until(&mutex, 0));
	EXPECT_EQ(-EBUSY, uf_mutex_trylock(&mutex));
	EXPECT_EQ(0, uf_mutex_unlock(&mutex));
	EXPECT_EQ(0, uf_mutex_trylock(&mutex));
	EXPECT_EQ(0, uf_mutex_unlock(&mutex));
}

struct crowd {
	struct uf_mutex mutex;
	int inside;
	int sum;
	int late;
};

static void *come_and_go(void *arg)
{
	struct crowd *crowd = arg;
	int i;

	for (i = 0; i < 2000; i++) {
		if (uf_mutex_lock_until(&crowd->mutex,
					i % 3 ? UF_FOREVER : uf_now() + 50000)) {
			__atomic_fetch_add(&crowd->late, 1, __ATOMIC_RELAXED);
			continue;
		}
		if (crowd->inside++)
			abort();
		crowd->sum++;
		if (i % 16 == 0 && uf_self())
			uf_yield();
		crowd->inside--;
		if (uf_mutex_unlock(&crowd->mutex))
			abort();
	}
	return NULL;
}

/* Fibers and plain threads exclude each other, some of them impatient. */
TEST(fibers_and_plain_threads)
{
	struct crowd crowd = { .mutex = UF_MUTEX_INIT };
	struct uf_fiber *fiber[6];
	struct uf_runtime *rt;
	pthread_t thread[2];
	int i;

	CREATE_RUNTIME(&rt, 2);
	for (i = 0; i < 6; i++)
		ASSERT_EQ(0,
			  uf_create(rt, &fiber[i], NULL, come_and_go, &crowd));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0,
			  pthread_create(&thread[i], NULL, come_and_go, &crowd));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
	for (i = 0; i < 6; i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	EXPECT_EQ(8 * 2000, crowd.sum + crowd.late);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

struct line {
	struct uf_mutex mutex;
	int next;
	int order[8];
};

static void *stand_in_line(void *arg)
{
	struct line *line = arg;

	uf_mutex_lock(&line->mutex);
	line->order[line->next++] = *uf_name(NULL) - '0';
	uf_yield();
	uf_mutex_unlock(&line->mutex);
	return NULL;
}

/* On one server the order of coming is known. */
FIBER_TEST(first_come_first_served, 1)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct line line = { 0 };
	struct uf_fiber *fiber[8];
	char name[2] = "";
	int i;

	ASSERT_EQ(0, uf_mutex_lock(&line.mutex));
	for (i = 0; i < 8; i++) {
		name[0] = '0' + i;
		attr.name = name;
		ASSERT_EQ(0, uf_create(NULL, &fiber[i], &attr, stand_in_line,
				       &line));
		uf_yield();
	}
	ASSERT_EQ(0, uf_mutex_unlock(&line.mutex));
	/* It is the first one's by now, not whoever's asks first. */
	EXPECT_EQ(-EBUSY, uf_mutex_trylock(&line.mutex));
	for (i = 0; i < 8; i++)
		JOIN(fiber[i]);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i, line.order[i]);
}

struct counter {
	struct __test_metadata *metadata;
	struct uf_mutex mutex;
	long plain;
	atomic_int inside;
	atomic_int timeouts;
	int turns;
};

static void count_inside(struct counter *counter, int i)
{
	struct __test_metadata *_metadata = counter->metadata;

	ASSERT_EQ(0, atomic_fetch_add(&counter->inside, 1));
	counter->plain++;
	if (i % 8 == 0)
		uf_yield();
	ASSERT_EQ(1, atomic_fetch_sub(&counter->inside, 1));
	ASSERT_EQ(0, uf_mutex_unlock(&counter->mutex));
}

static void *count(void *arg)
{
	struct counter *counter = arg;
	struct __test_metadata *_metadata = counter->metadata;
	int i;

	for (i = 0; i < counter->turns; i++) {
		ASSERT_EQ(0, uf_mutex_lock(&counter->mutex));
		count_inside(counter, i);
	}
	return NULL;
}

FIBER_TEST(exclusion, 4)
{
	struct counter counter = { .metadata = _metadata, .turns = 500 };
	struct uf_fiber *fiber[16];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		CREATE(&fiber[i], count, &counter);
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		JOIN(fiber[i]);
	EXPECT_EQ(16 * 500, counter.plain);
}

/* Deadlines so short that the timer and the grant meet. */
static void *count_until(void *arg)
{
	struct counter *counter = arg;
	struct __test_metadata *_metadata = counter->metadata;
	int i;

	for (i = 0; i < counter->turns; i++) {
		int error = uf_mutex_lock_until(&counter->mutex,
						uf_now() + i * 100);

		if (!error) {
			count_inside(counter, i);
			continue;
		}
		ASSERT_EQ(-ETIMEDOUT, error);
		atomic_fetch_add(&counter->timeouts, 1);
	}
	return NULL;
}

FIBER_TEST(exclusion_with_deadlines, 4)
{
	struct counter counter = { .metadata = _metadata, .turns = 500 };
	struct uf_fiber *fiber[16];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		CREATE(&fiber[i], count_until, &counter);
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		JOIN(fiber[i]);
	EXPECT_EQ(16 * 500, counter.plain + counter.timeouts);
	EXPECT_EQ(0, uf_mutex_trylock(&counter.mutex));
	EXPECT_EQ(0, uf_mutex_unlock(&counter.mutex));
}

FIBER_TEST(deadline, 1)
{
	struct uf_mutex mutex = UF_MUTEX_INIT;
	struct uf_fiber *fiber;
	uint64_t deadline;
	void *error;

	/* A holder that never lets go. */
	CREATE(&fiber, lock_error, &mutex);
	ASSERT_EQ(0, uf_join(fiber, &error));
	ASSERT_EQ(NULL, error);

	deadline = uf_now() + 1000000;
	EXPECT_EQ(-ETIMEDOUT, uf_mutex_lock_until(&mutex, deadline));
	EXPECT_LE(deadline, uf_now());
}

TEST_HARNESS_MAIN

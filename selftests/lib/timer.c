// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Sleeping. That a time has come is checked, never how late. */
#include "lib_test.h"

FIBER_TEST(never_early, 1)
{
	uint64_t start = uf_now();

	EXPECT_EQ(0, uf_sleep(2000000));
	EXPECT_LE(start + 2000000, uf_now());
	start = uf_now();
	EXPECT_EQ(0, uf_sleep_until(start + 1000000));
	EXPECT_LE(start + 1000000, uf_now());
}

TEST(outside)
{
	EXPECT_EQ(-EPERM, uf_sleep(0));
	EXPECT_EQ(-EPERM, uf_sleep_until(0));
	EXPECT_LT(0, uf_now());
}

static void *set_flag(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

/* A time that has passed only yields. */
FIBER_TEST(past, 1)
{
	struct uf_fiber *fiber;
	int flag = 0;

	CREATE(&fiber, set_flag, &flag);
	EXPECT_EQ(0, uf_sleep_until(0));
	EXPECT_EQ(1, flag);
	JOIN(fiber);
}

struct sleeper {
	uint64_t deadline;
	int *next;
	int place;
	bool in_time;
	bool early;
};

static void *sleep_and_log(void *arg)
{
	struct sleeper *s = arg;

	s->in_time = uf_now() < s->deadline;
	uf_sleep_until(s->deadline);
	s->early = uf_now() < s->deadline;
	s->place = (*s->next)++;
	return NULL;
}

#define SLEEPERS 1000

/*
 * Let all sleep, the first at least for @lead. Returns false if some came after
 * their time, so that the order means nothing.
 */
static bool sleep_in_order(struct __test_metadata *_metadata, uint64_t lead)
{
	static struct sleeper sleeper[SLEEPERS];
	static struct uf_fiber *fiber[SLEEPERS];
	uint64_t start = uf_now() + lead;
	bool in_time = true;
	int next = 0;
	int i;

	/* 7 is prime to SLEEPERS: every multiple of 1000 ns comes once. */
	for (i = 0; i < SLEEPERS; i++) {
		sleeper[i].next = &next;
		sleeper[i].deadline = start + i * 7 % SLEEPERS * 1000;
		CREATE(&fiber[i], sleep_and_log, &sleeper[i]);
	}
	for (i = 0; i < SLEEPERS; i++)
		JOIN(fiber[i]);
	for (i = 0; i < SLEEPERS; i++) {
		EXPECT_FALSE(sleeper[i].early);
		in_time = in_time && sleeper[i].in_time;
	}
	for (i = 0; in_time && i < SLEEPERS; i++)
		EXPECT_EQ(i * 7 % SLEEPERS, sleeper[i].place);
	return in_time;
}

/* One server's sleepers wake in the order of their deadlines. */
FIBER_TEST(order, 1)
{
	uint64_t lead = 10000000;

	while (!sleep_in_order(_metadata, lead))
		lead *= 2;
}

static uint32_t random_number(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

struct napper {
	struct __test_metadata *metadata;
	uint32_t seed;
};

static void *nap(void *arg)
{
	struct napper *napper = arg;
	struct __test_metadata *_metadata = napper->metadata;
	struct uf_sem never = UF_SEM_INIT(0);
	int i;

	for (i = 0; i < 50; i++) {
		uint64_t deadline =
			uf_now() + random_number(&napper->seed) % 500000;

		if (i % 2) {
			ASSERT_EQ(0, uf_sleep_until(deadline));
		} else {
			ASSERT_EQ(-ETIMEDOUT,
				  uf_sem_wait_until(&never, deadline));
		}
		ASSERT_LE(deadline, uf_now());
	}
	return NULL;
}

FIBER_TEST(many_on_many_servers, 4)
{
	struct napper napper[200];
	struct uf_fiber *fiber[200];
	unsigned int i;

	for (i = 0; i < 200; i++) {
		napper[i] = (struct napper){ _metadata, i * 2654435761U + 1 };
		CREATE(&fiber[i], nap, &napper[i]);
	}
	for (i = 0; i < 200; i++)
		JOIN(fiber[i]);
}

static void *take_before_midnight(void *arg)
{
	return (void *)(intptr_t)uf_sem_wait_until(arg, UF_FOREVER - 1);
}

/* Timers that do not fire leave the heap, wherever in it they are. */
FIBER_TEST(disarm, 2)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *fiber[300];
	unsigned int i, round;
	void *error;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 300; i++)
			CREATE(&fiber[i], take_before_midnight, &sem);
		uf_sleep(100000);
		for (i = 0; i < 300; i++)
			ASSERT_EQ(0, uf_sem_post(&sem));
		for (i = 0; i < 300; i++) {
			ASSERT_EQ(0, uf_join(fiber[i], &error));
			EXPECT_EQ(NULL, error);
		}
	}
}

/*
 * Timers far apart and close together, over all levels of the wheel: they fire in the
 * order of their times, and those that are disarmed do not.
 */
struct far {
	struct uf_sem sem;
	uint64_t deadline;
	uint64_t *last;
	bool post;
};

static void *wait_far(void *arg)
{
	struct far *far = arg;
	int error = uf_sem_wait_until(&far->sem, far->deadline);

	if (far->post)
		return (void *)(intptr_t)error;
	/* One server fires them; and the first to fire is the first to run. */
	if (error == -ETIMEDOUT && *far->last <= far->deadline &&
	    far->deadline <= uf_now()) {
		*far->last = far->deadline;
		return NULL;
	}
	return (void *)1;
}

/* Returns false if not all were armed in time, so that the order means nothing. */
static bool sleep_far(struct __test_metadata *_metadata, uint64_t lead)
{
	static struct far far[600];
	struct uf_fiber *fiber[600];
	uint32_t state = 12345;
	uint64_t start = uf_now() + lead, last = 0;
	unsigned int i;
	bool in_time;
	void *error;

	for (i = 0; i < 600; i++) {
		unsigned int shift = random_number(&state) % 63;

		far[i] = (struct far){ .sem = UF_SEM_INIT(0), .last = &last };
		/* Half within 0.3 s, half anywhere, of which none comes. */
		far[i].post = i % 2;
		far[i].deadline =
			far[i].post ?
				start + 1000000000000 + (1ULL << shift) :
				start + random_number(&state) %
						(i % 4 ? 300000000 : 3000000);
		CREATE(&fiber[i], wait_far, &far[i]);
	}
	uf_yield();
	in_time = uf_now() < start;
	for (i = 1; i < 600; i += 2)
		ASSERT_EQ(0, uf_sem_post(&far[i].sem));
	for (i = 0; i < 600; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &error));
		EXPECT_TRUE(!error || (!in_time && !far[i].post));
	}
	return in_time;
}

FIBER_TEST(far_and_near, 1)
{
	uint64_t lead = 50000000;

	while (!sleep_far(_metadata, lead))
		lead *= 2;
}

static void *take_within_50_ms(void *arg)
{
	return (void *)(intptr_t)uf_sem_wait_until(arg, uf_now() + 50000000);
}

/* Where a timer has been disarmed a sleeping server looks for no other. */
FIBER_TEST(disarmed_before_later, 1)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *fiber;
	int i;

	for (i = 0; i < 3; i++) {
		CREATE(&fiber, take_within_50_ms, &sem);
		uf_yield();
		ASSERT_EQ(0, uf_sem_post(&sem));
		JOIN(fiber);
		EXPECT_EQ(0, uf_sleep(100000000));
	}
}

TEST_HARNESS_MAIN

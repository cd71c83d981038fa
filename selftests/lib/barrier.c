// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The barrier. */
#include "sync_test.h"

FIBER_TEST(alone, 1)
{
	struct uf_barrier none = UF_BARRIER_INIT(0);
	struct uf_barrier one = UF_BARRIER_INIT(1);
	struct uf_barrier two = UF_BARRIER_INIT(2);

	EXPECT_EQ(-EINVAL, uf_barrier_wait(&none));
	EXPECT_EQ(1, uf_barrier_wait(&one));
	EXPECT_EQ(1, uf_barrier_wait_until(&one, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_barrier_wait_until(&two, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_barrier_wait_until(&two, uf_now() + 100000));
	EXPECT_EQ(-ETIMEDOUT, uf_barrier_wait_until(&two, 0));
}

static void *come(void *arg)
{
	return (void *)(intptr_t)uf_barrier_wait(arg);
}

/* Who gave up is not counted, and those that wait go on in their order. */
FIBER_TEST(counts_those_here, 1)
{
	struct uf_barrier barrier = UF_BARRIER_INIT(3);
	struct uf_fiber *fiber[2];
	void *result;
	int i;

	CREATE(&fiber[0], come, &barrier);
	await_waiting(&barrier.guard, &barrier.waiters, 1);
	EXPECT_EQ(-ETIMEDOUT,
		  uf_barrier_wait_until(&barrier, uf_now() + 100000));
	CREATE(&fiber[1], come, &barrier);
	await_waiting(&barrier.guard, &barrier.waiters, 2);
	EXPECT_EQ(1, uf_barrier_wait(&barrier));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &result));
		EXPECT_EQ(NULL, result);
	}
}

struct line {
	struct uf_barrier barrier;
	int next;
	int order[8];
};

static void *stand_in_line(void *arg)
{
	struct line *line = arg;

	MUST(!uf_barrier_wait(&line->barrier));
	line->order[line->next++] = *uf_name(NULL) - '0';
	return NULL;
}

FIBER_TEST(order, 1)
{
	struct line line = { .barrier = UF_BARRIER_INIT(9) };
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber[8];
	char name[2] = "";
	int i;

	for (i = 0; i < 8; i++) {
		name[0] = '0' + i;
		attr.name = name;
		ASSERT_EQ(0, uf_create(NULL, &fiber[i], &attr, stand_in_line,
				       &line));
		await_waiting(&line.barrier.guard, &line.barrier.waiters, i + 1);
	}
	EXPECT_EQ(1, uf_barrier_wait(&line.barrier));
	for (i = 0; i < 8; i++)
		JOIN(fiber[i]);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i, line.order[i]);
}

struct march {
	struct uf_barrier barrier;
	atomic_uint step;
	atomic_uint last;
	atomic_uint gave_up;
};

#define STEPS 1000

/* The first tries are impatient, each in its way. */
static int meet(struct march *march, unsigned int step, unsigned int tries)
{
	uint64_t deadline = tries < step % 4 ?
				    uf_now() + (step + tries) % 64 * 300 :
				    UF_FOREVER;

	return uf_barrier_wait_until(&march->barrier, deadline);
}

static void *march_along(void *arg)
{
	struct march *march = arg;
	unsigned int i;

	for (i = 0; i < STEPS; i++) {
		unsigned int tries = 0;
		int result;

		/* Nobody is ahead or behind by more than the step. */
		MUST(atomic_fetch_add(&march->step, 1) / CROWD == i);
		while ((result = meet(march, i, tries++)) < 0) {
			MUST(result == -ETIMEDOUT);
			atomic_fetch_add(&march->gave_up, 1);
		}
		MUST(march->step >= (i + 1) * CROWD);
		if (result == 1)
			atomic_fetch_add(&march->last, 1);
	}
	return NULL;
}

/*
 * In step, with deadlines that meet the opening: who is counted must be told so, or
 * it comes again and is a step behind.
 */
TEST(march)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(crowd_servers); i++) {
		struct march m = { .barrier = UF_BARRIER_INIT(CROWD) };

		run_crowd(_metadata, crowd_servers[i], march_along, &m);
		EXPECT_EQ(CROWD * STEPS, m.step);
		EXPECT_EQ(STEPS, m.last);
		EXPECT_EQ(0, m.barrier.here);
	}
}

FIBER_TEST(cancel, 2)
{
	struct uf_barrier barrier = UF_BARRIER_INIT(2);

	EXPECT_EQ(-ECANCELED, cancelled_in(_metadata, come, &barrier,
					   &barrier.guard, &barrier.waiters));
	/* It is not here any more. */
	EXPECT_EQ(-ETIMEDOUT, uf_barrier_wait_until(&barrier, 0));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The wait group. */
#include "sync_test.h"

TEST(counts)
{
	struct uf_waitgroup group = UF_WAITGROUP_INIT;

	EXPECT_EQ(0, uf_waitgroup_wait(&group));
	EXPECT_EQ(-EINVAL, uf_waitgroup_done(&group));
	EXPECT_EQ(0, uf_waitgroup_add(&group, 3));
	EXPECT_EQ(-ETIMEDOUT, uf_waitgroup_wait_until(&group, 0));
	EXPECT_EQ(-EINVAL, uf_waitgroup_add(&group, -4));
	EXPECT_EQ(-ETIMEDOUT,
		  uf_waitgroup_wait_until(&group, uf_now() + 100000));
	EXPECT_EQ(0, uf_waitgroup_add(&group, -2));
	EXPECT_EQ(-ETIMEDOUT, uf_waitgroup_wait_until(&group, 0));
	EXPECT_EQ(0, uf_waitgroup_done(&group));
	EXPECT_EQ(0, uf_waitgroup_wait_until(&group, 0));
	EXPECT_EQ(0, uf_waitgroup_add(&group, 0));
	EXPECT_EQ(0, uf_waitgroup_add(&group, INT32_MAX));
	EXPECT_EQ(0, uf_waitgroup_add(&group, INT32_MAX));
	EXPECT_EQ(-EOVERFLOW, uf_waitgroup_add(&group, 2));
	EXPECT_EQ(0, uf_waitgroup_add(&group, 1));
	EXPECT_EQ(-EOVERFLOW, uf_waitgroup_add(&group, 1));
}

struct line {
	struct uf_waitgroup group;
	int next;
	int order[8];
};

static void *stand_in_line(void *arg)
{
	struct line *line = arg;

	MUST(!uf_waitgroup_wait(&line->group));
	line->order[line->next++] = *uf_name(NULL) - '0';
	return NULL;
}

FIBER_TEST(order, 1)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber[8];
	struct line line = { 0 };
	char name[2] = "";
	int i;

	ASSERT_EQ(0, uf_waitgroup_add(&line.group, 2));
	for (i = 0; i < 8; i++) {
		name[0] = '0' + i;
		attr.name = name;
		ASSERT_EQ(0, uf_create(NULL, &fiber[i], &attr, stand_in_line,
				       &line));
		await_waiting(&line.group.guard, &line.group.waiters, i + 1);
	}
	ASSERT_EQ(0, uf_waitgroup_done(&line.group));
	EXPECT_EQ(8, nr_waiting(&line.group.guard, &line.group.waiters));
	ASSERT_EQ(0, uf_waitgroup_done(&line.group));
	for (i = 0; i < 8; i++)
		JOIN(fiber[i]);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i, line.order[i]);
}

struct job {
	struct uf_waitgroup *group;
	atomic_int *done;
};

static void *do_job(void *arg)
{
	struct job *job = arg;

	let_others_run();
	atomic_fetch_add(job->done, 1);
	MUST(!uf_waitgroup_done(job->group));
	return NULL;
}

/* The group is gone as soon as the wait is over: done() must not touch it then. */
static void do_jobs(struct __test_metadata *_metadata, int rounds)
{
	struct uf_attr attr = UF_ATTR_INIT;
	int i, j;

	attr.flags = UF_DETACHED;
	for (i = 0; i < rounds; i++) {
		struct uf_waitgroup *group = calloc(1, sizeof(*group));
		atomic_int done = 0;
		struct job job = { group, &done };

		ASSERT_NE(NULL, group);
		ASSERT_EQ(0, uf_waitgroup_add(group, 10));
		for (j = 0; j < 10; j++)
			ASSERT_EQ(0, uf_create(NULL, NULL, &attr, do_job, &job));
		while (i % 2 && uf_waitgroup_wait_until(group, uf_now() + i))
			uf_yield();
		ASSERT_EQ(0, uf_waitgroup_wait(group));
		ASSERT_EQ(10, done);
		memset(group, 0xff, sizeof(*group));
		free(group);
	}
}

FIBER_TEST(jobs_one_server, 1)
{
	do_jobs(_metadata, 1000);
}

FIBER_TEST(jobs_two_servers, 2)
{
	do_jobs(_metadata, 1000);
}

FIBER_TEST(jobs_four_servers, 4)
{
	do_jobs(_metadata, 1000);
}

struct crowd {
	struct uf_waitgroup start, end;
	struct uf_barrier between;
	atomic_uint nr;
	atomic_uint here;
};

#define ROUNDS 500

static void *start_and_end(void *arg)
{
	struct crowd *crowd = arg;
	bool first = !atomic_fetch_add(&crowd->nr, 1);
	unsigned int i;
	int error;

	for (i = 0; i < ROUNDS; i++) {
		if (first) {
			MUST(!uf_waitgroup_add(&crowd->start, CROWD));
			MUST(!uf_waitgroup_add(&crowd->end, CROWD));
		}
		MUST(uf_barrier_wait(&crowd->between) >= 0);
		atomic_fetch_add(&crowd->here, 1);
		MUST(!uf_waitgroup_done(&crowd->start));
		error = uf_waitgroup_wait_until(&crowd->start, some_deadline(i));
		MUST(!error || error == -ETIMEDOUT);
		if (error)
			MUST(!uf_waitgroup_wait(&crowd->start));
		MUST(crowd->here == CROWD * (i + 1));
		MUST(!uf_waitgroup_done(&crowd->end));
		MUST(!uf_waitgroup_wait(&crowd->end));
		MUST(uf_barrier_wait(&crowd->between) >= 0);
	}
	return NULL;
}

TEST(storm)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(crowd_servers); i++) {
		struct crowd crowd = { .between = UF_BARRIER_INIT(CROWD) };

		run_crowd(_metadata, crowd_servers[i], start_and_end, &crowd);
		EXPECT_EQ(CROWD * ROUNDS, crowd.here);
	}
}

static void *wait_error(void *arg)
{
	return (void *)(intptr_t)uf_waitgroup_wait(arg);
}

FIBER_TEST(cancel, 2)
{
	struct uf_waitgroup group = UF_WAITGROUP_INIT;

	ASSERT_EQ(0, uf_waitgroup_add(&group, 1));
	EXPECT_EQ(-ECANCELED, cancelled_in(_metadata, wait_error, &group,
					   &group.guard, &group.waiters));
	EXPECT_EQ(0, uf_waitgroup_done(&group));
}

TEST_HARNESS_MAIN

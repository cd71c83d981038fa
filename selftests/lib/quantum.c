// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Fibers that compute without end do not stop the others: preemption. */
#include "lib_test.h"

#include <sched.h>

#define QUANTUM_NS 2000000

struct hog {
	atomic_bool stop;
	atomic_int turns;
	atomic_int hogs;
	int fds[2];
};

TEST(arguments)
{
	static const uint64_t bad[] = { 1, 999999, 10000000001, UINT64_MAX };
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		config.quantum = bad[i];
		EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
		EXPECT_NE(NULL, strstr(uf_strerror(), "quantum"));
	}
	config.quantum = QUANTUM_NS;
	config.backend = "none";
	EXPECT_EQ(-EOPNOTSUPP, uf_runtime_create(&rt, &config));
	EXPECT_NE(NULL, strstr(uf_strerror(), "quantum"));
	config.backend = "monitor";
	EXPECT_EQ(-EOPNOTSUPP, uf_runtime_create(&rt, &config));
	EXPECT_NE(NULL, strstr(uf_strerror(), "Loading the module"));
}

/* A runtime that preempts, or the test is skipped. */
static struct uf_runtime *make_runtime(struct __test_metadata *_metadata,
				       unsigned int servers)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt = NULL;
	int error;

	config.servers = servers;
	config.quantum = QUANTUM_NS;
	error = uf_runtime_create(&rt, &config);
	if (error != -EOPNOTSUPP)
		ASSERT_EQ(0, error)
	TH_LOG("%s", uf_strerror());
	return rt;
}

/* Never calls the library. */
static void *compute(void *arg)
{
	struct hog *hog = arg;

	atomic_fetch_add(&hog->hogs, 1);
	while (!atomic_load(&hog->stop))
		;
	return NULL;
}

static void *take_turns(void *arg)
{
	struct hog *hog = arg;
	char c;
	int i;

	for (i = 0; i < 10; i++) {
		if (uf_sleep(1000) || uf_write(hog->fds[1], "", 1) != 1 ||
		    uf_read(hog->fds[0], &c, 1) != 1)
			return NULL;
		uf_yield();
		atomic_fetch_add(&hog->turns, 1);
	}
	return arg;
}

/* One computes on each server; the others sleep, do IO and yield to the end. */
static void run_beside_hogs(struct __test_metadata *_metadata,
			    unsigned int servers)
{
	struct uf_fiber *fiber[4], *hogs[2];
	struct hog hog = { 0 };
	struct uf_runtime *rt;
	unsigned int i;
	void *value;

	rt = make_runtime(_metadata, servers);
	if (!rt)
		SKIP(return, "only backend module preempts");
	ASSERT_EQ(0, pipe(hog.fds));
	for (i = 0; i < servers; i++)
		ASSERT_EQ(0, uf_create(rt, &hogs[i], NULL, compute, &hog));
	while (atomic_load(&hog.hogs) < (int)servers)
		sched_yield();
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, take_turns, &hog));
	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &value));
		EXPECT_EQ(&hog, value);
	}
	EXPECT_EQ(40, hog.turns);
	EXPECT_EQ(UF_STATE_RUNNING, uf_state(hogs[0]));
	atomic_store(&hog.stop, true);
	for (i = 0; i < servers; i++)
		ASSERT_EQ(0, uf_join(hogs[i], NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST(one_server)
{
	run_beside_hogs(_metadata, 1);
}

TEST(two_servers)
{
	run_beside_hogs(_metadata, 2);
}

/* All of them compute until the last has begun, with fewer servers. */
static void *compute_for_all(void *arg)
{
	struct hog *hog = arg;

	atomic_fetch_add(&hog->hogs, 1);
	while (atomic_load(&hog->hogs) < 6)
		;
	return arg;
}

static void run_more_hogs(struct __test_metadata *_metadata,
			  unsigned int servers)
{
	struct uf_fiber *fiber[6];
	struct hog hog = { 0 };
	struct uf_runtime *rt;
	unsigned int i;

	rt = make_runtime(_metadata, servers);
	if (!rt)
		SKIP(return, "only backend module preempts");
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0,
			  uf_create(rt, &fiber[i], NULL, compute_for_all, &hog));
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST(more_than_one_server_runs)
{
	run_more_hogs(_metadata, 1);
}

TEST(more_than_two_servers_run)
{
	run_more_hogs(_metadata, 2);
}

static void *compute_and_stop(void *arg)
{
	while (!uf_cancelled())
		;
	return arg;
}

/* One that computes hears that it is to end, from its only server's neighbour. */
static void *cancel_other(void *arg)
{
	uf_cancel(arg);
	return NULL;
}

TEST(cancel_from_behind)
{
	struct uf_fiber *hog, *fiber;
	struct uf_runtime *rt;

	rt = make_runtime(_metadata, 1);
	if (!rt)
		SKIP(return, "only backend module preempts");
	ASSERT_EQ(0, uf_create(rt, &hog, NULL, compute_and_stop, NULL));
	while (uf_state(hog) != UF_STATE_RUNNING)
		sched_yield();
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, cancel_other, hog));
	ASSERT_EQ(0, uf_join(hog, NULL));
	ASSERT_EQ(0, uf_join(fiber, NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

static void *yield_much(void *arg)
{
	int i;

	for (i = 0; i < 20000; i++)
		uf_yield();
	return arg;
}

/* Many that switch, all the while that they may be preempted. */
TEST(switching)
{
	struct uf_fiber *fiber[6];
	struct uf_runtime *rt;
	unsigned int i;

	rt = make_runtime(_metadata, 2);
	if (!rt)
		SKIP(return, "only backend module preempts");
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, yield_much, NULL));
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST_HARNESS_MAIN

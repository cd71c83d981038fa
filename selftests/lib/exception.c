// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* C++ exceptions in fibers; what throws them is in cxx/throw.cc. */
#include "child_test.h"

#include <signal.h>

#include "cxx/throw.h"

#define FIBERS 8

static void throw_on(struct __test_metadata *_metadata, unsigned int servers)
{
	struct uf_fiber *fiber[FIBERS];
	struct uf_runtime *rt;
	void *right;
	intptr_t i;

	CREATE_RUNTIME(&rt, servers);
	for (i = 0; i < FIBERS; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, throw_and_catch,
				       (void *)(i * 1000)));
	for (i = 0; i < FIBERS; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &right));
		EXPECT_EQ(100, (intptr_t)right);
	}
	EXPECT_EQ(0, count_objects());
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST(one_server)
{
	throw_on(_metadata, 1);
}

TEST(several_servers)
{
	throw_on(_metadata, 4);
}

static void run_uncaught(void *unused)
{
	uf_run(NULL, throw_uncaught, NULL, NULL);
}

/* The search for a handler ends at the fiber's first frame: std::terminate(). */
TEST(uncaught)
{
	run_child(_metadata, run_uncaught, NULL);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("terminate called");
	EXPECT_SAID("nobody catches this");
}

TEST_HARNESS_MAIN

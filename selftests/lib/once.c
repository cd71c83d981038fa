// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What is done once. */
#include "sync_test.h"

static void count(void *arg)
{
	++*(int *)arg;
}

TEST(outside)
{
	struct uf_once once = UF_ONCE_INIT;
	int n = 0;

	EXPECT_EQ(0, uf_once(&once, count, &n));
	EXPECT_EQ(0, uf_once(&once, count, &n));
	EXPECT_EQ(0, uf_once_until(&once, count, &n, 0));
	EXPECT_EQ(1, n);
}

static struct uf_once again;
static int again_error;

static void call_again(void *arg)
{
	again_error = uf_once(&again, call_again, arg);
}

FIBER_TEST(by_itself, 1)
{
	EXPECT_EQ(0, uf_once(&again, call_again, NULL));
	EXPECT_EQ(-EDEADLK, again_error);
	EXPECT_EQ(0, uf_once(&again, call_again, NULL));
}

struct slow {
	struct uf_once once;
	struct uf_event go;
	int done;
};

static void be_slow(void *arg)
{
	struct slow *slow = arg;

	MUST(!uf_event_wait(&slow->go));
	slow->done++;
}

static void *call_slow(void *arg)
{
	struct slow *slow = arg;

	MUST(!uf_once(&slow->once, be_slow, slow));
	MUST(slow->done == 1);
	return NULL;
}

/* Those that come meanwhile wait until it is done, or give up. */
FIBER_TEST(others_wait, 2)
{
	struct slow slow = { 0 };
	struct uf_fiber *fiber[4];
	int i;

	CREATE(&fiber[0], call_slow, &slow);
	await_waiting(&slow.go.guard, &slow.go.waiters, 1);
	for (i = 1; i < 4; i++)
		CREATE(&fiber[i], call_slow, &slow);
	await_waiting(&slow.once.guard, &slow.once.waiters, 3);
	EXPECT_EQ(-ETIMEDOUT, uf_once_until(&slow.once, be_slow, &slow, 0));
	EXPECT_EQ(-ETIMEDOUT,
		  uf_once_until(&slow.once, be_slow, &slow, uf_now() + 100000));
	ASSERT_EQ(0, uf_event_set(&slow.go));
	for (i = 0; i < 4; i++)
		JOIN(fiber[i]);
	EXPECT_EQ(1, slow.done);
}

#define ONCES 2000

struct many {
	struct uf_once once[ONCES];
	int calls[ONCES];
};

static void count_slowly(void *arg)
{
	let_others_run();
	++*(int *)arg;
}

static void *call_all(void *arg)
{
	struct many *many = arg;
	unsigned int i;

	for (i = 0; i < ONCES; i++) {
		int error = uf_once_until(&many->once[i], count_slowly,
					  &many->calls[i], some_deadline(i));

		MUST(!error || error == -ETIMEDOUT);
		MUST(error || many->calls[i] == 1);
	}
	return NULL;
}

TEST(storm)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(crowd_servers); i++) {
		struct many *many = calloc(1, sizeof(*many));

		ASSERT_NE(NULL, many);
		run_crowd(_metadata, crowd_servers[i], call_all, many);
		for (j = 0; j < ONCES; j++)
			ASSERT_EQ(1, many->calls[j]);
		free(many);
	}
}

TEST_HARNESS_MAIN

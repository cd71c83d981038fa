// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The ticker. That ticks come and how many is checked, never how late. */
#include "sync_test.h"

static void tick(struct __test_metadata *_metadata)
{
	struct uf_ticker ticker;
	uint64_t start, ticks, n = 0;

	EXPECT_EQ(-EINVAL, uf_ticker_init(&ticker, 0, 0));
	start = uf_now();
	ASSERT_EQ(0, uf_ticker_init(&ticker, 100000, start + 300000));
	while (n < 50) {
		ASSERT_EQ(0, uf_ticker_wait(&ticker, n % 2 ? &ticks : NULL));
		n = n % 2 ? n + ticks : n + 1;
		/* As many periods have passed. */
		EXPECT_LE(start + 300000 + (n - 1) * 100000, uf_now());
	}
	EXPECT_EQ(0, uf_ticker_stop(&ticker));
	EXPECT_EQ(-EPIPE, uf_ticker_stop(&ticker));
	EXPECT_EQ(-EPIPE, uf_ticker_wait(&ticker, &ticks));
	EXPECT_EQ(-EPIPE, uf_ticker_wait_until(&ticker, &ticks, 0));
}

FIBER_TEST(inside, 1)
{
	tick(_metadata);
}

TEST(outside)
{
	tick(_metadata);
}

/* Missed ticks are counted, and the next is due where it was. */
FIBER_TEST(no_drift, 1)
{
	uint64_t start = uf_now(), period = 1000000, ticks, sum = 0;
	struct uf_ticker ticker;
	int i;

	ASSERT_EQ(0, uf_ticker_init(&ticker, period, start + period));
	for (i = 0; i < 5; i++) {
		uint64_t asked;

		uf_sleep(i * period * 3 / 2);
		asked = uf_now();
		ASSERT_EQ(0, uf_ticker_wait(&ticker, &ticks));
		sum += ticks;
		EXPECT_LE((asked - start) / period, sum);
		EXPECT_GE((uf_now() - start) / period, sum);
		EXPECT_EQ(start + (sum + 1) * period, ticker.next);
	}
}

FIBER_TEST(ends_of_time, 1)
{
	struct uf_ticker ticker;
	uint64_t ticks;

	ASSERT_EQ(0, uf_ticker_init(&ticker, UF_FOREVER, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_ticker_wait_until(&ticker, &ticks, 0));
	EXPECT_EQ(-ETIMEDOUT,
		  uf_ticker_wait_until(&ticker, &ticks, uf_now() + 100000));
	ASSERT_EQ(0, uf_ticker_init(&ticker, UF_FOREVER, 1));
	ASSERT_EQ(0, uf_ticker_wait_until(&ticker, &ticks, 0));
	EXPECT_EQ(1, ticks);
	EXPECT_EQ(-ETIMEDOUT, uf_ticker_wait_until(&ticker, &ticks, 0));
	ASSERT_EQ(0, uf_ticker_init(&ticker, 1, 1));
	ASSERT_EQ(0, uf_ticker_wait_until(&ticker, &ticks, 0));
	EXPECT_GE(uf_now(), ticks);
	/* The deadline comes first. */
	ASSERT_EQ(0, uf_ticker_init(&ticker, 1000000000000, 0));
	EXPECT_EQ(-ETIMEDOUT,
		  uf_ticker_wait_until(&ticker, &ticks, uf_now() + 100000));
}

static void *wait_error(void *arg)
{
	return (void *)(intptr_t)uf_ticker_wait(arg, NULL);
}

FIBER_TEST(stop_ends_waits, 2)
{
	struct uf_fiber *fiber[4];
	struct uf_ticker ticker;
	void *error;
	int i;

	ASSERT_EQ(0, uf_ticker_init(&ticker, 1000000000000, 0));
	for (i = 0; i < 4; i++)
		CREATE(&fiber[i], wait_error, &ticker);
	await_waiting(&ticker.guard, &ticker.waiters, 4);
	ASSERT_EQ(0, uf_ticker_stop(&ticker));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &error));
		EXPECT_EQ(-EPIPE, (intptr_t)error);
	}
}

struct crowd {
	struct uf_ticker ticker;
	atomic_uint nr;
	atomic_ulong ticks;
};

#define TICKS 2000
#define TICK_NS 10000

static void *take_ticks(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t ticks, until;
	unsigned int i;
	int at;

	for (i = 0;; i++) {
		struct uf_case c = { .op = UF_TICK,
				     .ticker = &crowd->ticker,
				     .value = &ticks };

		ticks = 0;
		until = i % 2 ? UF_FOREVER : uf_now() + i % 32 * 1000;
		at = i % 3 ? uf_ticker_wait_until(&crowd->ticker, &ticks, until) :
			     uf_select_until(&c, 1, until);
		if (!at && !(i % 3))
			at = c.error;
		if (at == -EPIPE)
			return NULL;
		MUST(!at || at == -ETIMEDOUT);
		MUST(!at == !!ticks);
		if (atomic_fetch_add(&crowd->ticks, ticks) + ticks >= TICKS)
			uf_ticker_stop(&crowd->ticker);
		if (at)
			let_others_run();
	}
}

/* Every tick is taken once. */
TEST(storm)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(crowd_servers); i++) {
		uint64_t start = uf_now();
		struct crowd crowd = { 0 };

		ASSERT_EQ(0, uf_ticker_init(&crowd.ticker, TICK_NS,
					    start + TICK_NS));
		run_crowd(_metadata, crowd_servers[i], take_ticks, &crowd);
		EXPECT_LE(TICKS, crowd.ticks);
		EXPECT_EQ(start + (crowd.ticks + 1) * TICK_NS,
			  crowd.ticker.next);
	}
}

FIBER_TEST(cancel, 2)
{
	struct uf_ticker ticker;

	ASSERT_EQ(0, uf_ticker_init(&ticker, 1000000000000, 0));
	EXPECT_EQ(-ECANCELED, cancelled_in(_metadata, wait_error, &ticker,
					   &ticker.guard, &ticker.waiters));
}

TEST_HARNESS_MAIN

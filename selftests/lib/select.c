// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Select. */
#include "sync_test.h"

TEST(misuse)
{
	struct uf_case c = { 0 };

	EXPECT_EQ(-EINVAL, uf_select(&c, 1));
	c.op = UF_TICK + 1;
	EXPECT_EQ(-EINVAL, uf_select(&c, 1));
	EXPECT_EQ(-EINVAL, uf_select(&c, UINT32_MAX));
	EXPECT_EQ(-ETIMEDOUT, uf_select_until(NULL, 0, uf_now() + 100000));
	/* A case without an object never comes. */
	c.op = UF_RECEIVE;
	EXPECT_EQ(-ETIMEDOUT, uf_select_until(&c, 1, uf_now() + 100000));
	EXPECT_EQ(-ETIMEDOUT, uf_select_until(&c, 1, 0));
}

/* Those that a close lets go must not look for the list by which they were woken. */
TEST(collected_is_in_no_queue)
{
	struct uf_waitq claimed = { 0 };
	struct uf_waiter waiter[2];

	uf_waitq_collect(&claimed, &waiter[0]);
	uf_waitq_collect(&claimed, &waiter[1]);
	EXPECT_EQ(NULL, waiter[0].queue);
	EXPECT_EQ(NULL, waiter[1].queue);
	EXPECT_EQ(&waiter[0], claimed.head);
	EXPECT_EQ(&waiter[1], waiter[0].next);
	EXPECT_EQ(NULL, waiter[1].next);
}

static void try_each(struct __test_metadata *_metadata)
{
	struct uf_channel in, out;
	struct uf_event event = UF_EVENT_AUTO_INIT;
	struct uf_ticker ticker;
	uint64_t in_ring[2], out_ring[2], value = 0, sent = 7, ticks = 0;
	struct uf_case c[4] = {
		{ .op = UF_RECEIVE, .channel = &in, .value = &value },
		{ .op = UF_SEND, .channel = &out, .value = &sent },
		{ .op = UF_EVENT, .event = &event },
		{ .op = UF_TICK, .ticker = &ticker, .value = &ticks },
	};

	ASSERT_EQ(0, uf_channel_init(&in, 8, 2, in_ring));
	ASSERT_EQ(0, uf_channel_init(&out, 8, 2, out_ring));
	ASSERT_EQ(0, uf_ticker_init(&ticker, 1, UF_FOREVER - 1));
	ASSERT_EQ(0, uf_channel_send(&out, &sent));
	ASSERT_EQ(0, uf_channel_send(&out, &sent));
	EXPECT_EQ(-ETIMEDOUT, uf_select_until(c, 4, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_select_until(c, 4, uf_now() + 100000));

	ASSERT_EQ(0, uf_channel_send(&in, &sent));
	EXPECT_EQ(0, uf_select(c, 4));
	EXPECT_EQ(0, c[0].error);
	EXPECT_EQ(7, value);
	EXPECT_EQ(0, uf_channel_length(&in));

	ASSERT_EQ(0, uf_channel_receive(&out, &value));
	sent = 8;
	EXPECT_EQ(1, uf_select(c, 4));
	EXPECT_EQ(0, c[1].error);
	EXPECT_EQ(2, uf_channel_length(&out));
	ASSERT_EQ(0, uf_channel_receive(&out, &value));
	ASSERT_EQ(0, uf_channel_receive(&out, &value));
	EXPECT_EQ(8, value);
	ASSERT_EQ(0, uf_channel_send(&out, &sent));
	ASSERT_EQ(0, uf_channel_send(&out, &sent));

	ASSERT_EQ(0, uf_event_set(&event));
	EXPECT_EQ(2, uf_select(c, 4));
	EXPECT_EQ(-EAGAIN, uf_event_trywait(&event));

	ASSERT_EQ(0, uf_ticker_init(&ticker, 200000, 0));
	EXPECT_EQ(3, uf_select(c, 4));
	EXPECT_EQ(0, c[3].error);
	EXPECT_LE(1, ticks);

	ASSERT_EQ(0, uf_ticker_stop(&ticker));
	EXPECT_EQ(3, uf_select(c, 4));
	EXPECT_EQ(-EPIPE, c[3].error);
	c[3].ticker = NULL;
	ASSERT_EQ(0, uf_channel_close(&in));
	EXPECT_EQ(0, uf_select(c, 4));
	EXPECT_EQ(-EPIPE, c[0].error);
	c[0].channel = NULL;
	EXPECT_EQ(-ETIMEDOUT, uf_select_until(c, 4, 0));
	ASSERT_EQ(0, uf_channel_close(&out));
	EXPECT_EQ(1, uf_select(c, 4));
	EXPECT_EQ(-EPIPE, c[1].error);
}

FIBER_TEST(each_kind_inside, 1)
{
	try_each(_metadata);
}

TEST(each_kind_outside)
{
	try_each(_metadata);
}

/* What is ready in several gets its turn everywhere. */
FIBER_TEST(fair, 1)
{
	struct uf_event event[4] = { { .set = true },
				     { .set = true },
				     { .set = true },
				     { .set = true } };
	struct uf_case c[4];
	int came[4] = { 0 };
	int i;

	for (i = 0; i < 4; i++)
		c[i] = (struct uf_case){ .op = UF_EVENT, .event = &event[i] };
	for (i = 0; i < 4000; i++)
		came[uf_select(c, 4)]++;
	/* Far from what chance allows. */
	for (i = 0; i < 4; i++) {
		EXPECT_LT(700, came[i]);
		EXPECT_GT(1300, came[i]);
	}
}

/* It is not its own partner, and finds one that comes later, on either side. */
static void *meet(void *arg)
{
	struct uf_channel *channel = arg;
	uint64_t value = 0, one = 1;
	struct uf_case c[2] = {
		{ .op = UF_SEND, .channel = channel, .value = &one },
		{ .op = UF_RECEIVE, .channel = channel, .value = &value },
	};
	int at = uf_select(c, 2);

	MUST(at >= 0 && !c[at].error);
	MUST(value == (uint64_t)at);
	return (void *)(intptr_t)at;
}

static void meet_often(struct __test_metadata *_metadata, int rounds)
{
	struct uf_channel channel;
	struct uf_fiber *fiber[4];
	int i, j, received;
	void *at;

	ASSERT_EQ(0, uf_channel_init(&channel, 8, 0, NULL));
	for (i = 0; i < rounds; i++) {
		received = 0;
		for (j = 0; j < 4; j++)
			CREATE(&fiber[j], meet, &channel);
		for (j = 0; j < 4; j++) {
			ASSERT_EQ(0, uf_join(fiber[j], &at));
			received += (intptr_t)at;
		}
		ASSERT_EQ(2, received);
		ASSERT_EQ(NULL, channel.senders.head);
		ASSERT_EQ(NULL, channel.receivers.head);
	}
}

FIBER_TEST(meet_one_server, 1)
{
	meet_often(_metadata, 500);
}

FIBER_TEST(meet_four_servers, 4)
{
	meet_often(_metadata, 1000);
}

#define MANY 200

struct many {
	struct uf_event event[MANY];
	struct uf_event stop;
	atomic_int turn;
};

static void *set_one_after_the_other(void *arg)
{
	struct many *many = arg;
	int i;

	for (i = 0; i < MANY; i++) {
		/* Not while the select before is still there. */
		while (many->turn != i)
			uf_yield();
		await_waiting(&many->event[i].guard, &many->event[i].waiters, 1);
		MUST(!uf_event_set(&many->event[i]));
	}
	return NULL;
}

/* In any order of addresses, the same object more than once. */
FIBER_TEST(many_cases, 2)
{
	struct many *many = calloc(1, sizeof(*many));
	struct uf_case *c = calloc(MANY + 3, sizeof(*c));
	struct uf_fiber *fiber;
	int i;

	ASSERT_NE(NULL, many);
	ASSERT_NE(NULL, c);
	for (i = 0; i < MANY; i++) {
		many->event[i].automatic = true;
		c[i * 77 % MANY].op = UF_EVENT;
		c[i * 77 % MANY].event = &many->event[i];
	}
	for (i = 0; i < 3; i++)
		c[MANY + i] = (struct uf_case){ .op = UF_EVENT,
						.event = &many->stop };
	CREATE(&fiber, set_one_after_the_other, many);
	for (i = 0; i < MANY; i++) {
		many->turn = i;
		ASSERT_EQ(i * 77 % MANY, uf_select(c, MANY + 3));
	}
	JOIN(fiber);
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(NULL, many->event[i].waiters.head);
	EXPECT_EQ(NULL, many->stop.waiters.head);
	free(c);
	free(many);
}

/*
 * A crowd that sends and receives over several channels at once, some with
 * deadlines: everything sent arrives once.
 */
#define LANES 3

struct cross {
	struct uf_channel lane[LANES];
	struct uf_event stop;
	atomic_uint nr;
	atomic_uint active;
	atomic_ulong sent;
	atomic_ulong received;
};

#define CROSSINGS 3000

static void *cross(void *arg)
{
	struct cross *cross = arg;
	unsigned int nr = atomic_fetch_add(&cross->nr, 1);
	unsigned long sent = 0, received = 0;
	uint64_t in[LANES], out = 0;
	struct uf_case c[2 * LANES + 1];
	unsigned int i;
	int at = 0;

	for (i = 0; i < LANES; i++) {
		c[i] = (struct uf_case){ .op = UF_SEND,
					 .channel = &cross->lane[i],
					 .value = &out };
		c[LANES + i] =
			(struct uf_case){ .op = UF_RECEIVE,
					  .channel = &cross->lane[LANES - 1 - i],
					  .value = &in[i] };
	}
	c[2 * LANES] = (struct uf_case){ .op = UF_EVENT, .event = &cross->stop };
	for (i = 0; at != 2 * LANES; i++) {
		if (i == CROSSINGS) {
			/* From now on only receive. */
			for (at = 0; at < LANES; at++)
				c[at].channel = NULL;
			if (atomic_fetch_sub(&cross->active, 1) == 1)
				uf_event_set(&cross->stop);
		}
		out = nr * CROSSINGS + i + 1;
		at = uf_select_until(c, 2 * LANES + 1,
				     i % 3 ? UF_FOREVER :
					     uf_now() + i % 64 * 500);
		if (at == -ETIMEDOUT)
			continue;
		MUST(at >= 0 && !c[at].error);
		if (at < LANES)
			sent += out;
		else if (at < 2 * LANES)
			received += in[at - LANES];
	}
	atomic_fetch_add(&cross->sent, sent);
	atomic_fetch_add(&cross->received, received);
	return NULL;
}

TEST(storm)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(crowd_servers); i++) {
		struct cross crossing = { .active = CROWD };
		uint64_t ring[2], value;

		for (j = 0; j < LANES; j++)
			ASSERT_EQ(0, uf_channel_init(&crossing.lane[j], 8,
						     j ? 0 : 2, ring));
		run_crowd(_metadata, crowd_servers[i], cross, &crossing);
		while (!uf_channel_tryreceive(&crossing.lane[0], &value))
			crossing.received += value;
		EXPECT_LT(0, crossing.sent);
		EXPECT_EQ(crossing.sent, crossing.received);
		for (j = 0; j < LANES; j++) {
			EXPECT_EQ(NULL, crossing.lane[j].senders.head);
			EXPECT_EQ(NULL, crossing.lane[j].receivers.head);
		}
	}
}

static void *select_all(void *arg)
{
	struct many *many = arg;
	struct uf_case c[MANY];
	int i;

	for (i = 0; i < MANY; i++)
		c[i] = (struct uf_case){ .op = UF_EVENT,
					 .event = &many->event[i] };
	return (void *)(intptr_t)uf_select(c, MANY);
}

/* A scope's deadline ends it, too, even if a ticker is waited for. */
static void *tick_in_scope(void *arg)
{
	struct uf_case c = { .op = UF_TICK, .ticker = arg };
	struct uf_scope scope;
	int error, other;

	MUST(!uf_scope_open(&scope, uf_now() + 100000));
	error = uf_select(&c, 1);
	other = uf_ticker_wait(arg, NULL);
	uf_scope_close(&scope);
	MUST(error == other);
	return (void *)(intptr_t)error;
}

FIBER_TEST(cancel, 2)
{
	struct many *many = calloc(1, sizeof(*many));
	struct uf_ticker ticker;
	struct uf_fiber *fiber;
	void *error;
	int i;

	ASSERT_NE(NULL, many);
	EXPECT_EQ(-ECANCELED,
		  cancelled_in(_metadata, select_all, many,
			       &many->event[0].guard, &many->event[0].waiters));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(NULL, many->event[i].waiters.head);
	free(many);
	ASSERT_EQ(0, uf_ticker_init(&ticker, 1000000000000, 0));
	CREATE(&fiber, tick_in_scope, &ticker);
	ASSERT_EQ(0, uf_join(fiber, &error));
	EXPECT_EQ(-ETIMEDOUT, (intptr_t)error);
}

TEST_HARNESS_MAIN

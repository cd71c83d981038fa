// SPDX-License-Identifier: GPL-2.0
/* The clock of UFIBER_IOC_WAIT's time-out. */
#include "uf_test.h"
#include <time.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define TIMEOUT		UFIBER_WAIT_TIMEOUT
#define YIELD		UFIBER_WAIT_YIELD
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define MS		1000000ULL
#define HOUR		3600000000000ULL

static struct uf_dom d;
static struct uf_thread a, b;
static struct ufiber_wait arg;

static const clockid_t clocks[] = {
	CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI
};

/* A time that the clock shows already, and one that it comes to show. */
TEST(each)
{
	unsigned int i;
	__u64 time;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = clocks[i],
			  .timeout = uf_time(clocks[i]));
		ASSERT_DONE(-ETIMEDOUT, &b);
		ASSERT_STATE(&b, IDLE, 0);
		time = uf_time(clocks[i]) + 20 * MS;
		UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = clocks[i], .timeout = time);
		ASSERT_DONE(-ETIMEDOUT, &b) TH_LOG("clock %d", clocks[i]);
		EXPECT_LE(time, uf_time(clocks[i])) TH_LOG("clock %d", clocks[i]);
		ASSERT_STATE(&b, IDLE, 0);
	}
	/* With the other kinds of wait too. */
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		time = uf_time(clocks[i]) + 10 * MS;
		UF_POST_WAIT(&b, &arg, .flags = ACQUIRE | TIMEOUT, .clock = clocks[i], .timeout = time);
		ASSERT_DONE(-ETIMEDOUT, &b);
		EXPECT_LE(time, uf_time(clocks[i]));
		ASSERT_STATE(&b, IDLE, 0);
		time = uf_time(clocks[i]) + 10 * MS;
		UF_POST_WAIT(&a, &arg, .flags = TIMEOUT, .clock = clocks[i], .timeout = time);
		ASSERT_DONE(-ETIMEDOUT, &a);
		EXPECT_LE(time, uf_time(clocks[i]));
		ASSERT_STATE(&a, RUNNING, 0);
	}
}

/*
 * The clocks are different ones: an hour from now by one clock is not over by
 * another that shows a later time, and the other way round.
 */
TEST(each_is_itself)
{
	unsigned int i;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	if (uf_time(CLOCK_REALTIME) < uf_time(CLOCK_MONOTONIC) + 2 * HOUR)
		SKIP(return, "CLOCK_REALTIME is not ahead of CLOCK_MONOTONIC");
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = clocks[i],
			  .timeout = uf_time(clocks[i]) + HOUR);
		ASSERT_STATE(&b, IDLE, Q_STANDBY);
		ASSERT_BUSY(&b);
		EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
		ASSERT_DONE(-ECANCELED, &b);
	}
	/* What is to come by the one has long been by the other. */
	UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = CLOCK_REALTIME,
		  .timeout = uf_time(CLOCK_MONOTONIC) + HOUR);
	ASSERT_DONE(-ETIMEDOUT, &b);
	UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = CLOCK_MONOTONIC,
		  .timeout = uf_time(CLOCK_REALTIME) - HOUR);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	ASSERT_BUSY(&b);
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
}

/* The wall clock is set: who waits by it is told, who waits by another is not. */
TEST(clock_is_set)
{
	static struct ufiber_wait other;
	struct timespec ts;

	if (!getenv("UFIBER_VM"))
		SKIP(return, "sets the machine's clock; run it in a VM");
	UF_OPEN(&d, 2, 4);
	UF_SPAWN(&d, &a);
	UF_SPAWN(&d, &b);
	other = (struct ufiber_wait){
		.size = sizeof(other), .flags = TIMEOUT,
		.clock = CLOCK_MONOTONIC, .timeout = uf_time(CLOCK_MONOTONIC) + HOUR,
	};
	uf_order_wait(&b, &other);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	UF_POST_WAIT(&a, &arg, .flags = TIMEOUT, .clock = CLOCK_REALTIME,
		  .timeout = uf_time(CLOCK_REALTIME) + HOUR);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_EQ(0, clock_gettime(CLOCK_REALTIME, &ts));
	ts.tv_sec += 2 * 3600;
	ASSERT_EQ(0, clock_settime(CLOCK_REALTIME, &ts));
	ASSERT_DONE(-ETIMEDOUT, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_BUSY(&b);
	ts.tv_sec -= 2 * 3600;
	ASSERT_EQ(0, clock_settime(CLOCK_REALTIME, &ts));
}

TEST(arguments)
{
	static const __u32 bad[] = {
		CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
		CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME_ALARM,
		CLOCK_BOOTTIME_ALARM, 10, 12, 16, 0x80000000U, UFIBER_NONE, (__u32)-6,
	};
	unsigned int i;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
#define TRY(...)							\
	do {								\
		UF_POST_WAIT(&a, &arg, __VA_ARGS__);				\
		ASSERT_DONE(-EINVAL, &a) TH_LOG(#__VA_ARGS__ " (clock %u)", arg.clock); \
		ASSERT_STATE(&a, RUNNING, 0);				\
		ASSERT_STATE(&b, IDLE, Q_WAITING);			\
	} while (0)
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		TRY(.flags = TIMEOUT, .clock = bad[i], .timeout = 1);
		TRY(.flags = ACQUIRE | TIMEOUT, .clock = bad[i], .timeout = 1);
		TRY(.flags = HANDOVER | TIMEOUT, .next = b.id, .clock = bad[i], .timeout = 1);
	}
	/* A clock, but no time to go by it. */
	TRY(.flags = 0, .clock = CLOCK_MONOTONIC);
	TRY(.flags = STANDBY, .clock = CLOCK_TAI);
	TRY(.flags = ACQUIRE, .clock = CLOCK_BOOTTIME);
	TRY(.flags = YIELD, .clock = CLOCK_MONOTONIC);
	TRY(.flags = HANDOVER, .next = b.id, .clock = CLOCK_MONOTONIC);
	/* A time that no clock can show. */
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		TRY(.flags = TIMEOUT, .clock = clocks[i], .timeout = 1ULL << 63);
		TRY(.flags = STANDBY | TIMEOUT, .clock = clocks[i], .timeout = ~0ULL);
	}
#undef TRY
	EXPECT_EQ(1, d.servers[0].grants);
}

/* The latest time there is never comes, by whichever clock. */
TEST(latest)
{
	unsigned int i;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = clocks[i],
			  .timeout = ~0ULL >> 1);
		ASSERT_STATE(&b, IDLE, Q_STANDBY);
		ASSERT_BUSY(&b);
		EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
		ASSERT_DONE(-ECANCELED, &b);
		ASSERT_STATE(&b, IDLE, 0);
	}
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/* UFIBER_IOC_WAIT with YIELD: let the next one have my server. */
#include "uf_test.h"

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define TIMEOUT		UFIBER_WAIT_TIMEOUT
#define YIELD		UFIBER_WAIT_YIELD
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define MS		1000000ULL

static struct uf_dom d;
static struct uf_thread a, b, c;

/* -------------------------------------------------------- who gets what */

TEST(to_a_runnable)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_STATE(&c, IDLE, Q_STANDBY);
	ASSERT_BUSY(&a);
	EXPECT_EQ(1, d.shared->nr_runnable);
	EXPECT_EQ(2, d.servers[0].grants);
	EXPECT_EQ(0, d.servers[0].blocks);
	EXPECT_EQ(0, d.threads[a.id].blocks + d.threads[a.id].holds);
	/* It is a thread that waits like any other. */
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
}

TEST(to_a_standby)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, uf_unregister(&b));
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(nobody_waits)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	EXPECT_EQ(0, uf_wait(&a, YIELD, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	/* Nor does a time matter that is over. */
	EXPECT_EQ(0, uf_wait(&a, YIELD | TIMEOUT, 0, 1));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	EXPECT_EQ(1, d.servers[0].grants);
}

/* Who has no server only wants one. */
TEST(without_a_server)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN(&d, &a);
	EXPECT_EQ(0, uf_wait(&a, YIELD, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, YIELD, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_BUSY(&b);
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
}

/* Behind the others, each in turn. */
TEST(in_turns)
{
	struct uf_thread *order[] = { &a, &b, &c };
	int i;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	UF_SPAWN_RUNNABLE(&d, &c);
	for (i = 0; i < 300; i++) {
		uf_post_wait(order[i % 3], YIELD, 0, 0);
		ASSERT_DONE(0, order[(i + 1) % 3]);
		ASSERT_STATE(order[(i + 1) % 3], RUNNING, 0);
		ASSERT_STATE(order[(i + 2) % 3], RUNNABLE, Q_WAITING);
		ASSERT_STATE(order[i % 3], RUNNABLE, Q_WAITING);
	}
	EXPECT_EQ(301, d.servers[0].grants);
}

/* A thread that yields can be handed a server, as it is RUNNABLE. */
TEST(handed_over_to)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	UF_SPAWN_RUNNABLE(&d, &c);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &b);
	uf_post_wait(&b, HANDOVER, a.id, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_STATE(&c, RUNNABLE, Q_WAITING);
}

/* ------------------------------------------------------------------ time */

TEST(timeout)
{
	__u64 time;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	/* Past: the server goes all the same. */
	uf_post_wait(&a, YIELD | TIMEOUT, 0, 1);
	ASSERT_DONE(-ETIMEDOUT, &a);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, IDLE, 0);
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_EQ(0, d.shared->nr_runnable);
	/* To come: not before it has. */
	UF_SPAWN_RUNNABLE(&d, &c);
	time = uf_now() + 30 * MS;
	uf_post_wait(&b, YIELD | TIMEOUT, 0, time);
	ASSERT_DONE(0, &c);
	ASSERT_DONE(-ETIMEDOUT, &b);
	EXPECT_LE(time, uf_now());
	ASSERT_STATE(&b, IDLE, 0);
	ASSERT_STATE(&c, RUNNING, 0);
	/* A server before the time. */
	uf_post_wait(&b, ACQUIRE, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	uf_post_wait(&c, YIELD | TIMEOUT, 0, uf_now() + 3600000 * MS);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&c, RUNNABLE, Q_WAITING);
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_DONE(0, &c);
	ASSERT_STATE(&c, RUNNING, 0);
}

/* ---------------------------------------------------------- wake, cancel */

/* A wake that came before is for a wait; this is none. */
TEST(woken_before)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNING, UFIBER_QUERY_WAKE_PENDING);
	EXPECT_EQ(0, uf_wait(&a, ACQUIRE, 0, 0));
	ASSERT_STATE(&a, RUNNING, UFIBER_QUERY_WAKE_PENDING);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING | UFIBER_QUERY_WAKE_PENDING);
	ASSERT_BUSY(&a);
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_DONE(0, &a);
	/* The next wait is over as it begins. */
	ASSERT_STATE(&a, RUNNING, UFIBER_QUERY_WAKE_PENDING);
	EXPECT_EQ(0, uf_wait(&a, 0, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(cancelled)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, uf_wake(&a, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &a);
	ASSERT_STATE(&a, IDLE, 0);
	EXPECT_EQ(0, d.shared->nr_runnable);
	/* Before it: then nothing is kept, whoever waits. */
	EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
	EXPECT_EQ(-ECANCELED, uf_wait(&b, YIELD, 0, 0));
	ASSERT_STATE(&b, IDLE, 0);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
}

/* --------------------------------------------------------------- signals */

TEST(signal_with_restart)
{
	unsigned int i;

	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, SA_RESTART);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &b);
	UF_SPAWN_RUNNABLE(&d, &c);
	for (i = 1; i <= 20; i++) {
		uf_signal(&a, SIGUSR1);
		ASSERT_TRUE(uf_await_count(&a, &a.handled, i));
		ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
		ASSERT_BUSY(&a);
	}
	/* It has kept its place. */
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&c, RUNNABLE, Q_WAITING);
}

TEST(signal_without_restart)
{
	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &b);
	UF_SPAWN_RUNNABLE(&d, &c);
	uf_signal(&a, SIGUSR1);
	ASSERT_DONE(-EINTR, &a);
	ASSERT_STATE(&a, RUNNABLE, 0);
	/* Going on with it: no new place. */
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&c, RUNNABLE, Q_WAITING);
}

/* Granted between the signal and going on: the yield has been made. */
TEST(granted_after_the_signal)
{
	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &b);
	UF_SPAWN_RUNNABLE(&d, &c);
	uf_signal(&a, SIGUSR1);
	ASSERT_DONE(-EINTR, &a);
	ASSERT_STATE(&a, RUNNABLE, 0);
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, uf_wait(&a, YIELD, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&c, RUNNABLE, Q_WAITING);
	/* The next one is a new one. */
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &c);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
}

/* ------------------------------------------------------------- arguments */

TEST(arguments)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	EXPECT_EQ(-EINVAL, uf_wait(&a, YIELD | ACQUIRE, 0, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&a, YIELD | STANDBY, 0, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&a, YIELD | HANDOVER, b.id, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&a, YIELD | UFIBER_WAIT_WORK, 0, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&a, YIELD, b.id + 1, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&a, YIELD, 0, 1));
	EXPECT_EQ(-EINVAL, uf_wait(&a, YIELD | 1U << 6, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(1, d.servers[0].grants);
	EXPECT_EQ(0, uf_unregister(&a));
	EXPECT_EQ(-ENXIO, uf_wait(&a, YIELD, 0, 0));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/* UFIBER_IOC_WAIT and UFIBER_IOC_WAKE: parking, standby, hand-over, waking. */
#include "uf_test.h"

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define TIMEOUT		UFIBER_WAIT_TIMEOUT
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define MS		1000000ULL

static struct uf_dom d;
static struct uf_thread a, b, c;
static int fds[2];

/* ---------------------------------------------------------------- standby */

TEST(standby_takes_vacant)
{
	UF_OPEN(&d, 2, 4);
	UF_SPAWN(&d, &a);
	EXPECT_LE(0, uf_wait(&a, STANDBY, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_SERVER(&d, uf_server(&a), HELD, a.id);
	EXPECT_EQ(a.ret, uf_server(&a));
	EXPECT_EQ(1, d.servers[a.ret].grants);
	UF_SPAWN(&d, &b);
	EXPECT_EQ(1 - a.ret, uf_wait(&b, STANDBY, 0, 0));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(standby_waits_for_the_next)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	EXPECT_EQ(1, d.shared->nr_standby);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	EXPECT_EQ(2, d.shared->nr_standby);
	ASSERT_BUSY(&b);
	ASSERT_BUSY(&c);
	/* One of them gets it, the other goes on waiting. */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	EXPECT_EQ(1, d.shared->nr_standby);
	EXPECT_EQ(UFIBER_SERVER_HELD, UFIBER_OWNER_STATE(d.servers[0].owner));
	EXPECT_TRUE(uf_server(&b) == 0 || uf_server(&c) == 0);
	ASSERT_DONE(0, uf_server(&b) == 0 ? &b : &c);
	ASSERT_BUSY(uf_server(&b) == 0 ? &c : &b);
	ASSERT_BUSY(&a);
}

/* Nobody is RUNNABLE, so a holder that would stand by keeps its server. */
TEST(standby_keeps_its_server)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	EXPECT_EQ(0, uf_wait(&a, STANDBY, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(1, d.servers[0].grants);
}

TEST(standby_gives_to_runnable)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	uf_post_wait(&a, STANDBY, 0, 0);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, IDLE, Q_STANDBY);
	EXPECT_EQ(0, uf_unregister(&b));
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* ------------------------------------------------------------------- park */

TEST(park_leaves_vacant)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	ASSERT_BUSY(&a);
}

TEST(park_passes_to_standby)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
}

/* The one that has been RUNNABLE longest, and any of them before a standby. */
TEST(park_passes_to_runnable_in_order)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPAWN_WAITING(&d, &c, 0);
	EXPECT_EQ(0, uf_wake(&c, 0));
	ASSERT_STATE(&c, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(2, d.shared->nr_runnable);

	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&c, RUNNING, 0);
	ASSERT_DONE(0, &c);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_BUSY(&b);
	EXPECT_EQ(1, d.shared->nr_runnable);
	uf_post_wait(&c, 0, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_EQ(0, d.shared->nr_runnable);
}

/* A parked thread is no standby: a free server does not come to it. */
TEST(parked_takes_nothing)
{
	UF_OPEN(&d, 2, 4);
	UF_SPAWN_WAITING(&d, &a, 0);
	UF_SPAWN_RUNNING(&d, &b);
	EXPECT_EQ(0, uf_unregister(&b));
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_BUSY(&a);
}

/* -------------------------------------------------------------- hand-over */

TEST(handover_to_idle)
{
	int i;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	for (i = 0; i < 100; i++) {
		uf_post_wait(&a, HANDOVER, b.id, 0);
		ASSERT_STATE(&b, RUNNING, 0);
		ASSERT_DONE(0, &b);
		ASSERT_STATE(&a, IDLE, Q_WAITING);
		uf_post_wait(&b, HANDOVER, a.id, 0);
		ASSERT_STATE(&a, RUNNING, 0);
		ASSERT_DONE(0, &a);
		ASSERT_STATE(&b, IDLE, Q_WAITING);
	}
	ASSERT_STATE(&c, IDLE, Q_STANDBY);
	EXPECT_EQ(201, d.servers[0].grants);
	EXPECT_EQ(0, d.servers[0].blocks);
}

TEST(handover_to_standby)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	uf_post_wait(&a, HANDOVER, b.id, 0);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&c, IDLE, Q_STANDBY);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	EXPECT_EQ(1, d.shared->nr_standby);
}

/* It need not be the first in the queue. */
TEST(handover_to_runnable)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPAWN_WAITING(&d, &c, 0);
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, uf_wake(&c, 0));
	ASSERT_STATE(&c, RUNNABLE, Q_WAITING);
	uf_post_wait(&a, HANDOVER, c.id, 0);
	ASSERT_STATE(&c, RUNNING, 0);
	ASSERT_DONE(0, &c);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_BUSY(&b);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
}

/* One that is held at its return from a block. */
TEST(handover_to_held)
{
	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	ASSERT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, UFIBER_QUERY_HELD);
	ASSERT_BUSY(&a);
	uf_post_wait(&b, HANDOVER, a.id, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
}

/* With STANDBY too, the caller stands by after it. */
TEST(handover_then_standby)
{
	UF_OPEN(&d, 2, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	/* A server is free: the caller passes its own on and takes that. */
	EXPECT_LE(0, uf_wait(&a, HANDOVER | STANDBY, b.id, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_DONE(1 - a.ret, &b);
	/* None is. */
	UF_SPAWN_WAITING(&d, &c, 0);
	uf_post_wait(&a, HANDOVER | STANDBY, c.id, 0);
	ASSERT_STATE(&c, RUNNING, 0);
	ASSERT_STATE(&a, IDLE, Q_STANDBY);
	EXPECT_EQ(0, uf_unregister(&b));
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(handover_errors)
{
	static struct uf_thread blocked;

	UF_OPEN(&d, 3, 6);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNING(&d, &b);
	UF_SPAWN(&d, &c);
	UF_SPAWN_RUNNING(&d, &blocked);
	uf_post_read(&blocked, fds[0]);
	ASSERT_STATE(&blocked, BLOCKED, 0);
#define TRY(err, who, next)						\
	do {								\
		EXPECT_EQ(err, uf_wait(who, HANDOVER, next, 0));	\
		ASSERT_STATE(&a, RUNNING, 0);				\
		ASSERT_STATE(&b, RUNNING, 0);				\
		ASSERT_STATE(&c, IDLE, 0);				\
		ASSERT_STATE(&blocked, BLOCKED, 0);			\
		EXPECT_EQ(1, d.servers[uf_server(&a)].grants);		\
	} while (0)
	TRY(-ESRCH, &a, 5);		/* an id that nobody has */
	TRY(-ESRCH, &a, 6);		/* one that nobody can have */
	TRY(-ESRCH, &a, UFIBER_NONE);
	TRY(-EINVAL, &a, a.id);
	TRY(-EAGAIN, &a, b.id);		/* RUNNING */
	TRY(-EAGAIN, &a, c.id);		/* IDLE, but not in WAIT */
	TRY(-EAGAIN, &a, blocked.id);
	TRY(-EAGAIN, &c, blocked.id);
#undef TRY
	/* The caller has nothing to hand over. */
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	EXPECT_EQ(-EAGAIN, uf_wait(&c, HANDOVER, b.id, 0));
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_STATE(&c, IDLE, 0);
	ASSERT_BUSY(&b);
}

/* ---------------------------------------------------------------- acquire */

TEST(acquire_while_holding)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	/* Nothing is given up, though somebody waits. */
	EXPECT_EQ(0, uf_wait(&a, ACQUIRE, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(1, d.servers[0].grants);
}

TEST(acquire_a_vacant)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN(&d, &a);
	EXPECT_EQ(0, uf_wait(&a, ACQUIRE, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1, d.servers[0].grants);
}

TEST(acquire_waits)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, ACQUIRE, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(1, d.shared->nr_runnable);
	ASSERT_BUSY(&b);
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
}

/* ------------------------------------------------------------------- time */

TEST(timeout_standby)
{
	__u64 time;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	/* Past: any time, and the very first. */
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&b, STANDBY | TIMEOUT, 0, uf_now() - MS));
	ASSERT_STATE(&b, IDLE, 0);
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&b, STANDBY | TIMEOUT, 0, 0));
	ASSERT_STATE(&b, IDLE, 0);
	EXPECT_EQ(0, d.shared->nr_standby);
	/* To come: not before it has. */
	time = uf_now() + 30 * MS;
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&b, STANDBY | TIMEOUT, 0, time));
	EXPECT_LE(time, uf_now());
	ASSERT_STATE(&b, IDLE, 0);
	/* A server before the time. */
	uf_post_wait(&b, STANDBY | TIMEOUT, 0, uf_now() + 3600000 * MS);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
}

/* A server is free, so the time does not matter. */
TEST(timeout_not_needed)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN(&d, &a);
	EXPECT_EQ(0, uf_wait(&a, STANDBY | TIMEOUT, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, uf_wait(&a, STANDBY | TIMEOUT, 0, 0));
	EXPECT_EQ(0, uf_wait(&a, ACQUIRE | TIMEOUT, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
}

/* One that parks gets a server before it is told. */
TEST(timeout_parked)
{
	__u64 time;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&a, TIMEOUT, 0, uf_now() - MS));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_SERVER(&d, 0, HELD, a.id);
	EXPECT_EQ(2, d.servers[0].grants);
	time = uf_now() + 30 * MS;
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&a, TIMEOUT, 0, time));
	EXPECT_LE(time, uf_now());
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(timeout_parked_none_free)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, TIMEOUT, 0, uf_now() + 10 * MS);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_BUSY(&b);
	EXPECT_EQ(1, d.shared->nr_runnable);
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_DONE(-ETIMEDOUT, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	/* That was it: the next wait is a new one. */
	uf_post_wait(&b, HANDOVER, a.id, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_BUSY(&b);
}

/* Broken by a signal after its time has come, and then no longer wanted. */
TEST(timeout_forgotten)
{
	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, TIMEOUT, 0, uf_now() - MS);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	uf_signal(&b, SIGUSR1);
	ASSERT_DONE(-EINTR, &b);
	ASSERT_STATE(&b, RUNNABLE, 0);
	/* ACQUIRE has no time to be out of. */
	uf_post_wait(&b, ACQUIRE, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	uf_post_wait(&a, STANDBY, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, IDLE, Q_STANDBY);
}

TEST(timeout_handover)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	/* Handed over all the same, and wanted back. */
	uf_post_wait(&a, HANDOVER | TIMEOUT, b.id, 1);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_STATE(&b, RUNNING, 0);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(-ETIMEDOUT, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
}

/* One that only asks for a server gives up asking. */
TEST(timeout_acquire)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&b, ACQUIRE | TIMEOUT, 0, uf_now() + 10 * MS));
	ASSERT_STATE(&b, IDLE, 0);
	EXPECT_EQ(0, d.shared->nr_runnable);
}

/* -------------------------------------------------------------- arguments */

TEST(bad_arguments)
{
	struct ufiber_wait w;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
#define TRY(err, ...)							\
	do {								\
		w = (struct ufiber_wait){ __VA_ARGS__ };		\
		if (!w.size)						\
			w.size = sizeof(w);				\
		EXPECT_EQ(err, uf_call_wait(&a, &w)) \
			TH_LOG(#__VA_ARGS__);				\
		ASSERT_STATE(&a, RUNNING, 0);				\
		ASSERT_STATE(&b, IDLE, Q_WAITING);			\
	} while (0)
	TRY(-EINVAL, .flags = 1U << 6);
	TRY(-EINVAL, .flags = 1U << 31);
	TRY(-EINVAL, .flags = ACQUIRE | STANDBY);
	TRY(-EINVAL, .flags = ACQUIRE | HANDOVER, .next = b.id);
	TRY(-EINVAL, .flags = ACQUIRE | STANDBY | HANDOVER | TIMEOUT, .next = b.id);
	TRY(-EINVAL, .flags = HANDOVER, .next = b.id, .clock = 1);
	TRY(-EINVAL, .flags = ACQUIRE, .clock = 1);
	TRY(-EINVAL, .flags = 0, .next = b.id + 1);
	TRY(-EINVAL, .flags = ACQUIRE, .next = 1);
	TRY(-EINVAL, .flags = STANDBY, .timeout = 1);
	TRY(-EINVAL, .flags = 0, .timeout = 1);
	TRY(-EINVAL, .size = sizeof(w) - 8, .flags = ACQUIRE);
#undef TRY
	EXPECT_EQ(-EFAULT, uf_call_wait(&a, NULL));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1, d.servers[0].grants);
	ASSERT_BUSY(&b);
}

TEST(not_registered)
{
	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, uf_spawn_bare(&d, &a));
	EXPECT_EQ(-ENXIO, uf_wait(&a, 0, 0, 0));
	EXPECT_EQ(-ENXIO, uf_wait(&a, STANDBY, 0, 0));
	EXPECT_EQ(-ENXIO, uf_wait(&a, ACQUIRE, 0, 0));
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	ASSERT_AGREES(&d);
}

/* ------------------------------------------------------------------- wake */

TEST(wake_with_a_server_free)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_WAITING(&d, &a, 0);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_DONE(0, &a);
	EXPECT_EQ(1, d.servers[0].grants);
	/* It was for that wait, not for the next. */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_BUSY(&a);
}

TEST(wake_with_none_free)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(1, d.shared->nr_runnable);
	ASSERT_BUSY(&b);
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	EXPECT_EQ(0, d.shared->nr_runnable);
}

TEST(wake_a_standby)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, d.shared->nr_standby);
	uf_post_wait(&a, STANDBY, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, IDLE, Q_STANDBY);
}

TEST(wake_by_a_registered_thread)
{
	UF_OPEN(&d, 2, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	{
		struct ufiber_wake w = { .size = sizeof(w), .thread = b.id };

		EXPECT_EQ(0, uf_call_syscall(&a, SYS_ioctl, (long)d.fd,
					     (long)UFIBER_IOC_WAKE, (long)&w));
	}
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_LE(0, uf_finish(&b));
	ASSERT_STATE(&a, RUNNING, 0);
}

/* It comes before the wait, to a holder: that keeps its server. */
TEST(wake_before_wait_running)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNING, UFIBER_QUERY_WAKE_PENDING);
	EXPECT_EQ(0, uf_wait(&a, 0, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1, d.servers[0].grants);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	/* The next wait is one. */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_DONE(0, &b);
	/* And for a hand-over, which does not take place. */
	EXPECT_EQ(0, uf_wake(&b, 0));
	EXPECT_EQ(0, uf_wait(&b, HANDOVER, a.id, 0));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_BUSY(&a);
}

/* To one that has no server: it gets one, or becomes RUNNABLE. */
TEST(wake_before_wait_idle)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN(&d, &a);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, IDLE, UFIBER_QUERY_WAKE_PENDING);
	EXPECT_EQ(0, uf_wait(&a, 0, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);

	UF_SPAWN(&d, &b);
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_STATE(&b, IDLE, UFIBER_QUERY_WAKE_PENDING);
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_BUSY(&b);
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
}

TEST(wake_before_wait_blocked)
{
	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	/* It does not end the block. */
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, BLOCKED, UFIBER_QUERY_WAKE_PENDING);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, UFIBER_QUERY_WAKE_PENDING);
	EXPECT_EQ(0, uf_wait(&a, 0, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(wake_errors)
{
	struct ufiber_wake w;
	unsigned int bit;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_WAITING(&d, &a, 0);
	EXPECT_EQ(-ESRCH, uf_wake_id(&d, 3, 0));
	EXPECT_EQ(-ESRCH, uf_wake_id(&d, 4, 0));
	EXPECT_EQ(-ESRCH, uf_wake_id(&d, UFIBER_NONE, 0));
	EXPECT_EQ(-ESRCH, uf_wake_id(&d, 3, UFIBER_WAKE_CANCEL));
	for (bit = 1; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, uf_wake(&a, 1U << bit));
	w = (struct ufiber_wake){ .size = sizeof(w), .thread = a.id, .reserved = 1 };
	EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_WAKE, &w));
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_BUSY(&a);
}

/* Wake and wait race, over and over: none is lost. */
TEST(wake_races_with_wait)
{
	int i;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	for (i = 0; i < 2000; i++) {
		uf_post_wait(&a, 0, 0, 0);
		if (i & 1)
			sched_yield();
		ASSERT_EQ(0, uf_wake(&a, 0));
		ASSERT_DONE(0, &a);
	}
	ASSERT_STATE(&a, RUNNING, 0);
}

/* ----------------------------------------------------------------- cancel */

TEST(cancel_parked)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_WAITING(&d, &a, 0);
	/* Without a server, though one is free. */
	EXPECT_EQ(0, uf_wake(&a, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &a);
	ASSERT_STATE(&a, IDLE, 0);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	/* Only once. */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_BUSY(&a);
}

TEST(cancel_standby)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &b);
	ASSERT_STATE(&b, IDLE, 0);
	EXPECT_EQ(0, d.shared->nr_standby);
}

TEST(cancel_runnable)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, ACQUIRE, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &b);
	ASSERT_STATE(&b, IDLE, 0);
	EXPECT_EQ(0, d.shared->nr_runnable);
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
}

/* ---------------------------------------------------------------- signals */

TEST(signal_without_restart)
{
	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, 0);
	UF_SPAWN_WAITING(&d, &a, 0);
	uf_signal(&a, SIGUSR1);
	ASSERT_DONE(-EINTR, &a);
	EXPECT_EQ(1, a.handled);
	ASSERT_STATE(&a, IDLE, 0);
	/* Call again to go on with it. */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(signal_to_standby)
{
	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_signal(&b, SIGUSR1);
	ASSERT_DONE(-EINTR, &b);
	ASSERT_STATE(&b, IDLE, 0);
	EXPECT_EQ(0, d.shared->nr_standby);
	/* Meanwhile a server comes free; nobody stands by. */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	EXPECT_EQ(0, uf_wait(&b, STANDBY, 0, 0));
	ASSERT_STATE(&b, RUNNING, 0);
}

TEST(signal_to_runnable)
{
	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, ACQUIRE, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	uf_signal(&b, SIGUSR1);
	ASSERT_DONE(-EINTR, &b);
	/* It has not lost its place. */
	ASSERT_STATE(&b, RUNNABLE, 0);
	uf_post_wait(&b, ACQUIRE, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
}

TEST(signal_with_restart)
{
	unsigned int i;

	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, SA_RESTART);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	UF_SPAWN_WAITING(&d, &c, 0);
	for (i = 1; i <= 20; i++) {
		uf_signal(&b, SIGUSR1);
		uf_signal(&c, SIGUSR1);
		ASSERT_TRUE(uf_await_count(&b, &b.handled, i));
		ASSERT_TRUE(uf_await_count(&c, &c.handled, i));
		ASSERT_STATE(&b, IDLE, Q_STANDBY);
		ASSERT_STATE(&c, IDLE, Q_WAITING);
		ASSERT_BUSY(&b);
		ASSERT_BUSY(&c);
	}
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&c, IDLE, Q_WAITING);
}

/* The hand-over has been made, and is not made again. */
TEST(signal_after_handover)
{
	UF_OPEN(&d, 2, 4);
	uf_catch(SIGUSR1, SA_RESTART);
	uf_catch(SIGUSR2, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	uf_post_wait(&a, HANDOVER, b.id, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	/* Restarted, while the other could take a second one. */
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_BUSY(&a);
	ASSERT_BUSY(&b);
	/* Called again: the flag is ignored, the thread it names not even there. */
	uf_signal(&a, SIGUSR2);
	ASSERT_DONE(-EINTR, &a);
	ASSERT_STATE(&a, IDLE, 0);
	uf_post_wait(&a, HANDOVER, b.id, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	EXPECT_EQ(0, uf_wake(&a, 0));
	EXPECT_LE(0, uf_finish(&a));
	ASSERT_STATE(&a, RUNNING, 0);
	/* A new wait hands over again. */
	uf_post_wait(&a, HANDOVER, b.id, 0);
	EXPECT_LE(0, uf_finish(&b));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
}

/* A wake that comes while the handler runs is for the wait it interrupted. */
static atomic_uint release_handler;

static void slow_handler(int sig)
{
	atomic_fetch_add(&uf_self->handling, 1);
	while (!atomic_load(&release_handler))
		sched_yield();
	atomic_fetch_add(&uf_self->handled, 1);
}

TEST(wake_during_handler)
{
	struct sigaction sa = { .sa_handler = slow_handler, .sa_flags = SA_RESTART };

	UF_OPEN(&d, 1, 4);
	sigaction(SIGUSR1, &sa, NULL);
	UF_SPAWN_WAITING(&d, &a, 0);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handling, 1));
	ASSERT_STATE(&a, IDLE, 0);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, IDLE, UFIBER_QUERY_WAKE_PENDING);
	atomic_store(&release_handler, 1);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1, a.handled);
}

/* The time is absolute: restarting does not put it off. */
TEST(signal_and_timeout)
{
	__u64 time = uf_now() + 200 * MS;

	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, SA_RESTART);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, STANDBY | TIMEOUT, 0, time);
	while (!uf_is_done(&b)) {
		uf_signal(&b, SIGUSR1);
		ASSERT_GT(time + UF_BOUND * 1000 * MS, uf_now());
		sched_yield();
	}
	EXPECT_EQ(-ETIMEDOUT, b.ret);
	EXPECT_LE(time, uf_now());
	ASSERT_STATE(&b, IDLE, 0);
}

TEST_HARNESS_MAIN

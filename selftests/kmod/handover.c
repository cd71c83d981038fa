// SPDX-License-Identifier: GPL-2.0
/*
 * UFIBER_IOC_HANDOVER, and what it shares with a WAIT that hands over: stepping
 * aside. The threads here pass servers on by themselves, many times, so that
 * the one who is handed to often stands aside.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "uf_test.h"

#define Q_WAITING	UFIBER_QUERY_WAITING
#define TURNS		2000

static struct uf_dom d;
static struct uf_thread a, b, c;

static long handover(struct uf_thread *t, unsigned long next)
{
	return uf_call_syscall(t, SYS_ioctl, (long)d.fd, (long)UFIBER_IOC_HANDOVER, (long)next);
}

static void post_handover(struct uf_thread *t, unsigned long next)
{
	uf_order_syscall(t, SYS_ioctl, (long)d.fd, (long)UFIBER_IOC_HANDOVER, (long)next);
}

/* Whoever comes back with the server finds that in all the words. */
static bool words_agree(__u32 id)
{
	return d.servers[0].owner == UFIBER_OWNER(UFIBER_SERVER_HELD, id) &&
	       d.threads[id].server == 0 &&
	       d.threads[id].state == UFIBER_THREAD_RUNNING;
}

/*
 * Wait for a server, pass it on so often; the first wrong answer, or 0. The arguments:
 * the next one's id, whether by WAIT, its own id.
 */
static long do_turns(long *args)
{
	bool by_wait = args[1];
	long ret;
	int i;

	for (i = 0; i < TURNS; i++) {
		struct ufiber_wait wait = {
			.size = sizeof(wait),
			.flags = UFIBER_WAIT_HANDOVER,
			.next = args[0],
		};

		/* Now and then by the other call: they mix. */
		ret = by_wait == !(i % 16) ?
		      uf_ioctl(d.fd, UFIBER_IOC_WAIT, &wait) :
		      uf_ioctl(d.fd, UFIBER_IOC_HANDOVER, (void *)args[0]);
		if (ret)
			return ret;
		if (!words_agree(args[2]))
			return -EBADMSG;
	}
	return 0;
}

static long do_turns_when_given(long *args)
{
	struct ufiber_wait wait = { .size = sizeof(wait) };
	long ret = uf_ioctl(d.fd, UFIBER_IOC_WAIT, &wait);

	return ret ? ret : do_turns(args);
}

static long set_policy(pid_t tid, int policy)
{
	struct sched_param param = { .sched_priority = policy == SCHED_FIFO };

	return sched_setscheduler(tid, policy, &param);
}

static long do_real_time_turns(long *args)
{
	long ret = set_policy(0, SCHED_FIFO);

	if (!ret)
		ret = do_turns(args);
	/* Or it would spin for its next order before all others. */
	set_policy(0, SCHED_OTHER);
	return ret;
}

/*
 * a passes the server on TURNS times, and so do the others of the ring; the last
 * of them gives it back to a, whose last turn that ends. They stay parked.
 */
static void turns(struct __test_metadata *_metadata, int nr, bool by_wait)
{
	struct uf_thread *ring[] = { &a, &b, &c };
	int i;

	for (i = 1; i < nr; i++) {
		uf_order(ring[i], do_turns_when_given, (long)ring[(i + 1) % nr]->id,
			 (long)by_wait, (long)ring[i]->id);
		ASSERT_STATE(ring[i], IDLE, Q_WAITING);
	}
	uf_order(&a, do_turns, (long)b.id, (long)by_wait, (long)a.id);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	/* The others made their last turn, too, and wait for another. */
	for (i = 1; i < nr; i++) {
		ASSERT_STATE(ring[i], IDLE, Q_WAITING);
		ASSERT_BUSY(ring[i]);
		ASSERT_EQ(0, uf_wake(ring[i], UFIBER_WAKE_CANCEL));
		ASSERT_DONE(-ECANCELED, ring[i]);
	}
	EXPECT_EQ(1 + nr * TURNS, d.servers[0].grants);
	EXPECT_EQ(0, d.servers[0].blocks);
	ASSERT_AGREES(&d);
}

TEST(in_turns_on_one_cpu)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_pin(a.tid, 0);
	uf_pin(b.tid, 0);
	turns(_metadata, 2, false);
}

TEST(in_turns_on_any_cpu)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	turns(_metadata, 2, true);
}

TEST(in_turns_of_three)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	UF_SPAWN(&d, &c);
	uf_pin(a.tid, 0);
	uf_pin(b.tid, 0);
	uf_pin(c.tid, 0);
	turns(_metadata, 3, false);
}

TEST(in_turns_and_real_time)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_pin(a.tid, 0);
	uf_pin(b.tid, 0);
	uf_order(&b, do_turns_when_given, (long)a.id, 0L, (long)b.id);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_EQ(0, set_policy(b.tid, SCHED_FIFO));
	uf_order(&a, do_real_time_turns, (long)b.id, 0L, (long)a.id);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	EXPECT_EQ(1 + 2 * TURNS, d.servers[0].grants);
}

TEST(to_one_that_waits)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPAWN_WAITING(&d, &c, UFIBER_WAIT_STANDBY);
	post_handover(&a, b.id);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	post_handover(&b, c.id);
	ASSERT_DONE(0, &c);
	EXPECT_EQ(0, d.shared->nr_standby);
	/* To a RUNNABLE one. */
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	post_handover(&c, a.id);
	ASSERT_DONE(0, &a);
	EXPECT_EQ(0, d.shared->nr_runnable);
	ASSERT_AGREES(&d);
}

TEST(errors)
{
	UF_OPEN(&d, 2, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNING(&d, &b);
	UF_SPAWN(&d, &c);
#define TRY(err, who, next)						\
	do {								\
		EXPECT_EQ(err, handover(who, next));			\
		ASSERT_STATE(&a, RUNNING, 0);				\
		ASSERT_STATE(&b, RUNNING, 0);				\
		ASSERT_STATE(&c, IDLE, 0);				\
		EXPECT_EQ(1, d.servers[uf_server(&a)].grants);		\
	} while (0)
	TRY(-ESRCH, &a, 3);		/* an id that nobody has */
	TRY(-ESRCH, &a, 4);		/* one that nobody can have */
	TRY(-ESRCH, &a, UFIBER_NONE);
	TRY(-ESRCH, &a, (1UL << 32) + b.id);
	TRY(-EINVAL, &a, a.id);
	TRY(-EAGAIN, &a, b.id);		/* RUNNING */
	TRY(-EAGAIN, &a, c.id);		/* IDLE, but not in a wait */
	TRY(-EAGAIN, &c, a.id);		/* has none to hand over */
#undef TRY
	EXPECT_EQ(-ENXIO, uf_ioctl(d.fd, UFIBER_IOC_HANDOVER, (void *)(long)a.id));
	EXPECT_EQ(0, uf_unregister(&c));
	EXPECT_EQ(-ENXIO, handover(&c, a.id));
}

/* A wake or a cancel that came before comes first. */
TEST(wake_and_cancel_before)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	EXPECT_EQ(0, uf_wake(&a, 0));
	EXPECT_EQ(0, handover(&a, b.id));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_BUSY(&b);
	EXPECT_EQ(0, uf_wake(&a, UFIBER_WAKE_CANCEL));
	EXPECT_EQ(-ECANCELED, handover(&a, b.id));
	ASSERT_STATE(&a, IDLE, 0);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	ASSERT_BUSY(&b);
}

/* A signal repeats the call, or the program does; the hand-over it does not. */
TEST(signal_after)
{
	UF_OPEN(&d, 2, 4);
	uf_catch(SIGUSR1, SA_RESTART);
	uf_catch(SIGUSR2, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	post_handover(&a, b.id);
	ASSERT_DONE(0, &b);
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_BUSY(&b);
	uf_signal(&a, SIGUSR2);
	ASSERT_DONE(-EINTR, &a);
	post_handover(&a, b.id);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	EXPECT_EQ(0, uf_wake(&a, 0));
	EXPECT_LE(0, uf_finish(&a));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_BUSY(&b);
}

TEST_HARNESS_MAIN

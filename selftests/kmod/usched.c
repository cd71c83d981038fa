// SPDX-License-Identifier: GPL-2.0
/*
 * A USER_SCHED domain: who is RUNNABLE gets a server by HANDOVER alone; free
 * servers go to those who stand by, the schedulers.
 */
#include "uf_test.h"

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define TIMEOUT		UFIBER_WAIT_TIMEOUT
#define YIELD		UFIBER_WAIT_YIELD
#define WORK		UFIBER_WAIT_WORK
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_WORK		(UFIBER_QUERY_WAITING | UFIBER_QUERY_WORK)
#define Q_HELD		UFIBER_QUERY_HELD
#define NONE		UFIBER_NONE
#define MS		1000000ULL

static struct uf_dom d;
static struct uf_thread s, s2, a, b, c;
static int fds[2], fb[2];

#define OPEN(servers)							\
	do {								\
		UF_OPEN_AS(&d, UFIBER_SETUP_USER_SCHED, servers, 0, 6);	\
		ASSERT_EQ(0, pipe(fds));				\
		ASSERT_EQ(0, pipe(fb));					\
	} while (0)

/* The scheduler @from hands its server over to @to and stands by. */
#define RUN(from, to)							\
	do {								\
		uf_post_wait(from, HANDOVER | STANDBY, (to)->id, 0);	\
		ASSERT_STATE(to, RUNNING, UF_ANY_FLAGS);		\
	} while (0)

/* A worker: it has been run, and waits for orders. */
#define SPAWN_WORKER(t)							\
	do {								\
		UF_SPAWN(&d, t);					\
		uf_post_wait(t, ACQUIRE, 0, 0);				\
		ASSERT_STATE(t, RUNNABLE, Q_WAITING);			\
	} while (0)

/* ------------------------------------------------- RUNNABLE and left alone */

TEST(unblocked_beside_vacant)
{
	OPEN(1);
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));
	ASSERT_BUSY(&a);
	EXPECT_EQ(0, d.servers[0].takeovers);
	EXPECT_EQ(1, d.threads[a.id].holds);
	ASSERT_EVENT(&a, UNBLOCKED, NONE);
	/* A scheduler comes, and runs it. */
	UF_SPAWN(&d, &s);
	EXPECT_EQ(0, uf_wait(&s, STANDBY, 0, 0));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	RUN(&s, &a);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&s, IDLE, Q_STANDBY);
	ASSERT_NO_EVENT(&d);
}

TEST(woken_beside_vacant)
{
	OPEN(1);
	UF_SPAWN_WAITING(&d, &a, 0);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	ASSERT_BUSY(&a);
	ASSERT_EVENT(&a, WOKEN, NONE);
	/* Before the wait, too. */
	UF_SPAWN(&d, &b);
	EXPECT_EQ(0, uf_wake(&b, 0));
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_EVENT(&b, WOKEN, NONE);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	UF_SPAWN(&d, &s);
	EXPECT_EQ(0, uf_wait(&s, STANDBY, 0, 0));
	RUN(&s, &b);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
}

TEST(acquire_beside_vacant)
{
	OPEN(1);
	UF_SPAWN(&d, &a);
	uf_post_wait(&a, ACQUIRE, 0, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	UF_SPAWN(&d, &b);
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&b, ACQUIRE | TIMEOUT, 0, uf_now() + 10 * MS));
	ASSERT_STATE(&b, IDLE, 0);
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&b, YIELD | TIMEOUT, 0, 1));
	ASSERT_STATE(&b, IDLE, 0);
	EXPECT_EQ(1, d.shared->nr_runnable);
	UF_SPAWN_RUNNING(&d, &s);
	RUN(&s, &a);
	ASSERT_DONE(0, &a);
	/* Who holds a server has what it wants. */
	EXPECT_EQ(0, uf_wait(&a, ACQUIRE, 0, 0));
}

/* A parked thread whose time is up waits for the scheduler, then is told. */
TEST(timeout_parked)
{
	OPEN(1);
	UF_SPAWN(&d, &a);
	uf_post_wait(&a, TIMEOUT, 0, uf_now() + 1 * MS);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_EVENT(&a, WOKEN, NONE);
	ASSERT_BUSY(&a);
	UF_SPAWN_RUNNING(&d, &s);
	RUN(&s, &a);
	ASSERT_DONE(-ETIMEDOUT, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* Whatever way a holder loses its server, it does not go to one of them. */
TEST(freed_beside_runnable)
{
	OPEN(1);
	SPAWN_WORKER(&a);
	UF_SPAWN_RUNNING(&d, &s);
	uf_post_wait(&s, 0, 0, 0);
	ASSERT_STATE(&s, IDLE, Q_WAITING);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	UF_SPAWN_RUNNING(&d, &b);
	uf_post_read(&b, fds[0]);
	ASSERT_STATE(&b, BLOCKED, 0);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	UF_SPAWN_RUNNING(&d, &c);
	EXPECT_EQ(0, uf_unregister(&c));
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_BUSY(&a);
	/* One that would stand by keeps it, though somebody is RUNNABLE. */
	EXPECT_EQ(0, uf_register(&c));
	EXPECT_EQ(0, uf_wait(&c, STANDBY, 0, 0));
	EXPECT_EQ(0, uf_wait(&c, STANDBY, 0, 0));
	ASSERT_STATE(&c, RUNNING, 0);
	EXPECT_EQ(0, uf_wait(&c, STANDBY | WORK, 0, 0));
	ASSERT_STATE(&c, RUNNING, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
}

/* ------------------------------------------------------- the user's choice */

TEST(any_of_them)
{
	struct uf_thread *order[] = { &b, &c, &a };
	int i;

	OPEN(1);
	SPAWN_WORKER(&a);
	SPAWN_WORKER(&b);
	SPAWN_WORKER(&c);
	UF_SPAWN_RUNNING(&d, &s);
	ASSERT_EVENT(&a, WOKEN, NONE);
	ASSERT_EVENT(&b, WOKEN, NONE);
	ASSERT_EVENT(&c, WOKEN, NONE);
	ASSERT_NO_EVENT(&d);
	for (i = 0; i < 3; i++) {
		RUN(&s, order[i]);
		ASSERT_DONE(0, order[i]);
		ASSERT_STATE(&s, IDLE, Q_STANDBY);
		/* It ends its turn by handing over to the scheduler. */
		uf_post_wait(order[i], HANDOVER, s.id, 0);
		ASSERT_DONE(0, &s);
		ASSERT_STATE(order[i], IDLE, Q_WAITING);
	}
	EXPECT_EQ(0, d.shared->nr_runnable);
	ASSERT_NO_EVENT(&d);
}

TEST(block_goes_to_the_scheduler)
{
	int i;

	OPEN(1);
	SPAWN_WORKER(&a);
	SPAWN_WORKER(&b);
	UF_SPAWN_RUNNING(&d, &s);
	RUN(&s, &a);
	ASSERT_DONE(0, &a);
	uf_forget_events(&d);
	for (i = 0; i < 50; i++) {
		uf_post_read(&a, fds[0]);
		ASSERT_DONE(0, &s);
		ASSERT_STATE(&s, RUNNING, 0);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
		ASSERT_NO_EVENT(&d);
		uf_post_wait(&s, STANDBY | WORK, 0, 0);
		/* There is work: the other one. It comes back. */
		ASSERT_DONE(0, &s);
		EXPECT_EQ(0, uf_put(fds[1]));
		ASSERT_STATE(&a, RUNNABLE, Q_HELD);
		ASSERT_EVENT(&a, UNBLOCKED, NONE);
		RUN(&s, &a);
		ASSERT_DONE(1, &a);
	}
	EXPECT_EQ(50, d.servers[0].handoffs);
	EXPECT_EQ(0, d.servers[0].takeovers);
}

TEST(kick_goes_to_the_scheduler)
{
	OPEN(1);
	SPAWN_WORKER(&a);
	SPAWN_WORKER(&b);
	UF_SPAWN_RUNNING(&d, &s);
	RUN(&s, &a);
	ASSERT_DONE(0, &a);
	uf_forget_events(&d);
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_DONE(0, &s);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_EVENT(&a, PREEMPTED, NONE);
	RUN(&s, &a);
	ASSERT_TRUE(uf_await_turns(&a));
	/* Without a scheduler nobody waits, whoever is RUNNABLE. */
	EXPECT_EQ(0, uf_wake(&s, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &s);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1, d.threads[a.id].preempts);
	atomic_store(&a.stop, 1);
	ASSERT_DONE(0, &a);
}

TEST(quantum_goes_to_the_scheduler)
{
	OPEN(1);
	SPAWN_WORKER(&a);
	SPAWN_WORKER(&b);
	UF_SPAWN_RUNNING(&d, &s);
	RUN(&s, &a);
	ASSERT_DONE(0, &a);
	uf_forget_events(&d);
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_quantum(&d, 0, 5 * MS));
	ASSERT_DONE(0, &s);
	ASSERT_EVENT(&a, PREEMPTED, NONE);
	EXPECT_EQ(0, uf_quantum(&d, 0, 0));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
}

TEST(yield_goes_to_the_scheduler)
{
	OPEN(1);
	SPAWN_WORKER(&a);
	SPAWN_WORKER(&b);
	UF_SPAWN_RUNNING(&d, &s);
	RUN(&s, &a);
	ASSERT_DONE(0, &a);
	uf_forget_events(&d);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &s);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_EVENT(&a, YIELDED, NONE);
	RUN(&s, &a);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
}

/* ------------------------------------------------------------- STANDBY|WORK */

TEST(work_waits_for_work)
{
	OPEN(1);
	UF_SPAWN_WAITING(&d, &s, STANDBY | WORK);
	EXPECT_EQ(0, d.shared->nr_standby);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	ASSERT_BUSY(&s);
	/* A server that comes free is no work. */
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	ASSERT_STATE(&s, IDLE, Q_WORK);
	EXPECT_EQ(0, d.servers[0].handoffs);
	/* Who unblocks is. */
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(0, &s);
	ASSERT_STATE(&s, RUNNING, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	RUN(&s, &a);
	ASSERT_DONE(1, &a);
}

/* Work comes first, the server later. */
TEST(work_waits_for_a_server)
{
	OPEN(1);
	UF_SPAWN_RUNNING(&d, &b);
	SPAWN_WORKER(&a);
	UF_SPAWN_WAITING(&d, &s, STANDBY | WORK);
	ASSERT_BUSY(&s);
	uf_post_read(&b, fds[0]);
	ASSERT_DONE(0, &s);
	ASSERT_STATE(&b, BLOCKED, 0);
	EXPECT_EQ(1, d.servers[0].handoffs);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
}

/* Each way to become RUNNABLE is work. */
TEST(work_of_each_kind)
{
	OPEN(1);
	UF_SPAWN_WAITING(&d, &a, 0);
	UF_SPAWN_WAITING(&d, &s, STANDBY | WORK);
	EXPECT_EQ(0, uf_wake(&a, 0));			/* WAKE */
	ASSERT_DONE(0, &s);
	RUN(&s, &a);
	ASSERT_DONE(0, &a);
	uf_post_wait(&a, HANDOVER | TIMEOUT, s.id, uf_now() + 20 * MS);
	ASSERT_DONE(0, &s);
	uf_post_wait(&s, STANDBY | WORK, 0, 0);
	ASSERT_DONE(0, &s);				/* its timeout */
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	RUN(&s, &a);
	ASSERT_DONE(-ETIMEDOUT, &a);
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_DONE(0, &s);
	uf_post_wait(&s, STANDBY | WORK, 0, 0);
	ASSERT_STATE(&s, IDLE, Q_WORK);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, ACQUIRE, 0, 0);		/* ACQUIRE */
	ASSERT_DONE(0, &s);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	RUN(&s, &b);
	ASSERT_DONE(0, &b);
	/* YIELD and KICK give the server away for the sake of it. */
	EXPECT_EQ(0, uf_wake(&s, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &s);
	uf_post_wait(&s, STANDBY | WORK, 0, 0);
	ASSERT_STATE(&s, IDLE, Q_WORK);
	uf_post_wait(&b, YIELD, 0, 0);
	ASSERT_DONE(0, &s);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	uf_post_wait(&s, HANDOVER, b.id, 0);
	ASSERT_DONE(0, &b);
	EXPECT_EQ(0, uf_wake(&s, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &s);
	uf_post_wait(&s, STANDBY | WORK, 0, 0);
	ASSERT_STATE(&s, IDLE, Q_WORK);
	UF_SPIN(&b);
	EXPECT_EQ(0, uf_kick(&b));
	ASSERT_DONE(0, &s);
	ASSERT_STATE(&b, RUNNABLE, Q_HELD);
}

/* It gives its server up: to one that takes any, else to nobody. */
TEST(work_gives_its_server_up)
{
	OPEN(1);
	UF_SPAWN_RUNNING(&d, &s);
	uf_post_wait(&s, STANDBY | WORK, 0, 0);
	ASSERT_STATE(&s, IDLE, Q_WORK);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	UF_SPAWN_RUNNING(&d, &s2);
	UF_SPAWN_WAITING(&d, &a, STANDBY);
	uf_post_wait(&s2, STANDBY | WORK, 0, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&s, IDLE, Q_WORK);
	ASSERT_STATE(&s2, IDLE, Q_WORK);
}

/* One thread becomes RUNNABLE: one scheduler is called, and the next for the next. */
static bool one_has_come(void *unused)
{
	return uf_is_done(&s) || uf_is_done(&s2);
}

TEST(work_for_each)
{
	struct uf_thread *first, *second;
	int i;

	OPEN(2);
	UF_SPAWN_WAITING(&d, &a, 0);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPAWN(&d, &s);
	UF_SPAWN(&d, &s2);
	for (i = 0; i < 50; i++) {
		uf_post_wait(&s, STANDBY | WORK, 0, 0);
		uf_post_wait(&s2, STANDBY | WORK, 0, 0);
		ASSERT_STATE(&s, IDLE, Q_WORK);
		ASSERT_STATE(&s2, IDLE, Q_WORK);
		EXPECT_EQ(0, uf_wake(&a, 0));
		ASSERT_TRUE(uf_await(&d, one_has_come, NULL, "a scheduler"));
		first = uf_is_done(&s) ? &s : &s2;
		second = first == &s ? &s2 : &s;
		ASSERT_LE(0, first->ret);
		ASSERT_STATE(second, IDLE, Q_WORK);
		EXPECT_EQ(0, uf_wake(&b, 0));
		ASSERT_LE(0, uf_finish(second));
		ASSERT_STATE(first, RUNNING, 0);
		ASSERT_STATE(second, RUNNING, 0);
		/* Both run what there is, and get their servers back. */
		uf_post_wait(first, HANDOVER, b.id, 0);
		uf_post_wait(second, HANDOVER, a.id, 0);
		EXPECT_LE(0, uf_finish(&a));
		EXPECT_LE(0, uf_finish(&b));
		ASSERT_STATE(first, IDLE, Q_WAITING);
		ASSERT_STATE(second, IDLE, Q_WAITING);
		uf_post_wait(&a, HANDOVER, s.id, 0);
		uf_post_wait(&b, HANDOVER, s2.id, 0);
		EXPECT_LE(0, uf_finish(&s));
		EXPECT_LE(0, uf_finish(&s2));
		ASSERT_STATE(&a, IDLE, Q_WAITING);
		ASSERT_STATE(&b, IDLE, Q_WAITING);
	}
}

TEST(work_and_time)
{
	__u64 time;

	OPEN(1);
	UF_SPAWN(&d, &s);
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&s, STANDBY | WORK | TIMEOUT, 0, 1));
	ASSERT_STATE(&s, IDLE, 0);
	time = uf_now() + 20 * MS;
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&s, STANDBY | WORK | TIMEOUT, 0, time));
	EXPECT_LE(time, uf_now());
	ASSERT_STATE(&s, IDLE, 0);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	/* A holder, too, is without afterwards. */
	EXPECT_EQ(0, uf_wait(&s, STANDBY, 0, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&s, STANDBY | WORK | TIMEOUT, 0, 1));
	ASSERT_STATE(&s, IDLE, 0);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
}

TEST(work_and_signals)
{
	unsigned int i;

	OPEN(1);
	uf_catch(SIGUSR1, SA_RESTART);
	uf_catch(SIGUSR2, 0);
	UF_SPAWN_WAITING(&d, &a, 0);
	UF_SPAWN_WAITING(&d, &s, STANDBY | WORK);
	for (i = 1; i <= 10; i++) {
		uf_signal(&s, SIGUSR1);
		ASSERT_TRUE(uf_await_count(&s, &s.handled, i));
		ASSERT_STATE(&s, IDLE, Q_WORK);
		ASSERT_BUSY(&s);
	}
	uf_signal(&s, SIGUSR2);
	ASSERT_DONE(-EINTR, &s);
	ASSERT_STATE(&s, IDLE, 0);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	EXPECT_EQ(0, uf_wait(&s, STANDBY | WORK, 0, 0));
	ASSERT_STATE(&s, RUNNING, 0);
}

/* WAKE of a scheduler: it queues, and must be handed a server. */
TEST(work_is_woken)
{
	OPEN(1);
	UF_SPAWN_WAITING(&d, &s, STANDBY | WORK);
	EXPECT_EQ(0, uf_wake(&s, 0));
	ASSERT_STATE(&s, RUNNABLE, Q_WAITING);
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	/* Which is work for another. */
	UF_SPAWN(&d, &s2);
	EXPECT_EQ(0, uf_wait(&s2, STANDBY | WORK, 0, 0));
	uf_post_wait(&s2, HANDOVER, s.id, 0);
	ASSERT_DONE(0, &s);
	ASSERT_STATE(&s, RUNNING, 0);
}

TEST(work_arguments)
{
	OPEN(1);
	UF_SPAWN_WAITING(&d, &a, 0);
	UF_SPAWN_RUNNING(&d, &s);
	EXPECT_EQ(-EINVAL, uf_wait(&s, WORK, 0, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&s, WORK | TIMEOUT, 0, 1));
	EXPECT_EQ(-EINVAL, uf_wait(&s, WORK | HANDOVER, a.id, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&s, WORK | STANDBY | HANDOVER, a.id, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&s, WORK | ACQUIRE, 0, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&s, WORK | YIELD, 0, 0));
	ASSERT_STATE(&s, RUNNING, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
}

TEST(work_needs_user_sched)
{
	UF_OPEN_AS(&d, UFIBER_SETUP_WATCH, 1, 0, 4);
	UF_SPAWN_RUNNING(&d, &s);
	EXPECT_EQ(-EINVAL, uf_wait(&s, STANDBY | WORK, 0, 0));
	EXPECT_EQ(-EINVAL, uf_wait(&s, STANDBY | WORK | TIMEOUT, 0, 1));
	ASSERT_STATE(&s, RUNNING, 0);
}

/* -------------------------------------------------------- home, sweet home */

/* A server that is freed goes to the standby thread that had it last. */
static void home(struct __test_metadata *_metadata, __u32 flags)
{
	struct uf_thread *standby[2];
	struct uf_thread *holder[2];
	int i;

	UF_OPEN_AS(&d, flags, 2, 0, 6);
	UF_SPAWN_RUNNING(&d, &s);
	UF_SPAWN_RUNNING(&d, &s2);
	standby[uf_server(&s)] = &s;
	standby[uf_server(&s2)] = &s2;
	UF_SPAWN_WAITING(&d, &a, 0);
	UF_SPAWN_WAITING(&d, &b, 0);
	holder[0] = &a;
	holder[1] = &b;
	for (i = 0; i < 16; i++) {
		/* Both stand by, in one order or the other. */
		int first = i & 1, freed = !!(i & 2);

		uf_post_wait(standby[first], HANDOVER | STANDBY, holder[first]->id, 0);
		ASSERT_DONE(first, holder[first]);
		ASSERT_STATE(standby[first], IDLE, Q_STANDBY);
		uf_post_wait(standby[!first], HANDOVER | STANDBY, holder[!first]->id, 0);
		ASSERT_DONE(!first, holder[!first]);
		ASSERT_STATE(standby[!first], IDLE, Q_STANDBY);

		uf_post_wait(holder[freed], 0, 0, 0);
		ASSERT_DONE(freed, standby[freed]);
		ASSERT_STATE(standby[!freed], IDLE, Q_STANDBY);
		uf_post_wait(holder[!freed], 0, 0, 0);
		ASSERT_DONE(!freed, standby[!freed]);
	}
	/* By a block, too. */
	uf_post_wait(&s, HANDOVER | STANDBY, a.id, 0);
	EXPECT_LE(0, uf_finish(&a));
	uf_post_wait(&s2, HANDOVER | STANDBY, b.id, 0);
	EXPECT_LE(0, uf_finish(&b));
	ASSERT_EQ(0, pipe(fds));
	uf_post_read(&a, fds[0]);
	EXPECT_LE(0, uf_finish(&s));
	ASSERT_STATE(&s2, IDLE, Q_STANDBY);
}

TEST(home_user_sched)
{
	home(_metadata, UFIBER_SETUP_USER_SCHED);
}

TEST(home_default)
{
	home(_metadata, 0);
}

TEST_HARNESS_MAIN

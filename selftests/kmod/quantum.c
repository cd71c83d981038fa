// SPDX-License-Identifier: GPL-2.0
/*
 * UFIBER_IOC_QUANTUM: a holder that computes for too long while others wait is
 * preempted.
 *
 * That something does not happen is observed over the processor time of the
 * thread that it would happen to, many quanta of it.
 */
#include "uf_test.h"

#define STANDBY		UFIBER_WAIT_STANDBY
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD
#define MS		1000000ULL

static struct uf_dom d;
static struct uf_thread a, b, c, e;

/* Order: get a server by a wait with these flags, then compute. */
static long do_wait_and_spin(long *args)
{
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = args[1] };
	long ret = uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait);

	return ret < 0 ? ret : uf_do_spin(args);
}

#define SPAWN_RUNNABLE_SPIN(t)						\
	do {								\
		SPAWN_SPIN(t);						\
		ASSERT_STATE(t, RUNNABLE, Q_WAITING);			\
	} while (0)

/* The same where a quantum may give it a server before that is seen. */
#define SPAWN_SPIN(t)							\
	do {								\
		UF_SPAWN(&d, t);					\
		uf_order(t, do_wait_and_spin, (long)d.fd, (long)ACQUIRE);		\
	} while (0)

/* Order: compute, and switch fibers all the time. */
static long do_spin_dispatching(long *args)
{
	volatile __u32 *dispatches = (volatile __u32 *)args[0];

	while (!atomic_load_explicit(&uf_self->stop, memory_order_relaxed)) {
		atomic_fetch_add_explicit(&uf_self->turns, 1, memory_order_relaxed);
		++*dispatches;
	}
	return 0;
}

static bool preempted_cond(void *arg)
{
	unsigned int *wanted = arg;

	return d.servers[wanted[0]].preempts >= wanted[1];
}

/* Wait until this server has seen so many preemptions. */
#define ASSERT_PREEMPTS(s, n)						\
	do {								\
		unsigned int _w[] = { s, n };				\
									\
		ASSERT_TRUE(uf_await(&d, preempted_cond, _w, "a preemption")); \
	} while (0)

/* ------------------------------------------------------------ when it is */

TEST(off_by_default)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	d.servers[0].waiting = 1;
	UF_SPIN(&a);
	ASSERT_TRUE(uf_await_cpu(&a, 300 * MS));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, d.servers[0].preempts);
}

TEST(a_runnable_waits)
{
	UF_OPEN(&d, 1, 4);
	EXPECT_EQ(0, uf_quantum(&d, 0, 5 * MS));
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPIN(&a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, ACQUIRE, 0, 0);
	ASSERT_DONE(0, &b);
	EXPECT_LE(1, d.threads[a.id].preempts);
}

/* Set while all is under way: for one that waits already. */
TEST(set_late)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPIN(&a);
	UF_SPAWN_RUNNABLE(&d, &b);
	EXPECT_EQ(0, uf_quantum(&d, 0, 5 * MS));
	ASSERT_DONE(0, &b);
	EXPECT_LE(1, d.threads[a.id].preempts);
}

/* A thread that unblocks waits, too. */
TEST(an_unblocked_waits)
{
	int fds[2];

	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(0, uf_quantum(&d, 0, 5 * MS));
	UF_SPAWN_RUNNING(&d, &b);
	uf_post_read(&b, fds[0]);
	ASSERT_STATE(&b, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &b);
	EXPECT_LE(1, d.threads[a.id].preempts);
}

/*
 * Some places start the timer because nothing else may: there is no switch on a
 * processor that has one thread. The kernel's threads come by now and then all the
 * same, but not before one of real time. (Of these a kick by fput() reaches none.)
 */
static bool kicks_by_fput(void)
{
	return !system("grep -q '\\buf_resume_release\\b' /proc/kallsyms");
}

#define ALONE_ON_CPU(t)							\
	do {								\
		struct sched_param _param = { .sched_priority = 60 };	\
									\
		if (sysconf(_SC_NPROCESSORS_ONLN) < 2)			\
			SKIP(return, "there is one CPU");		\
		if (kicks_by_fput())					\
			SKIP(return, "a kick by fput() reaches no real-time thread"); \
		ASSERT_EQ(0, uf_pin((t)->tid, 1));			\
		ASSERT_EQ(0, uf_pin(0, 0));				\
		ASSERT_EQ(0, sched_setscheduler((t)->tid, SCHED_FIFO, &_param)); \
	} while (0)

/* A thread whose time is up waits, too. */
TEST(a_timed_out_waits)
{
	UF_OPEN(&d, 1, 4);
	EXPECT_EQ(0, uf_quantum(&d, 0, 5 * MS));
	UF_SPAWN_RUNNING(&d, &a);
	ALONE_ON_CPU(&a);
	UF_SPAWN(&d, &b);
	UF_SPIN(&a);
	uf_post_wait(&b, UFIBER_WAIT_TIMEOUT, 0, uf_now() + 20 * MS);
	ASSERT_TRUE(uf_await_cpu_unless(&a, 500 * MS, &b));
	EXPECT_TRUE(uf_is_done(&b));
	ASSERT_DONE(-ETIMEDOUT, &b);
	EXPECT_LE(1, d.threads[a.id].preempts);
}

/* Who takes a server is watched from then on, not when it is switched in next. */
TEST(from_the_start)
{
	UF_OPEN(&d, 1, 4);
	EXPECT_EQ(0, uf_quantum(&d, 0, 5 * MS));
	d.servers[0].waiting = 1;
	UF_SPAWN(&d, &a);
	ALONE_ON_CPU(&a);
	UF_SPAWN(&d, &b);
	uf_order(&a, do_wait_and_spin, (long)d.fd, (long)STANDBY);
	ASSERT_TRUE(uf_await_turns(&a));
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_TRUE(uf_await_cpu_unless(&a, 500 * MS, &b));
	EXPECT_TRUE(uf_is_done(&b));
	ASSERT_DONE(0, &b);
	EXPECT_LE(1, d.threads[a.id].preempts);
}

/* Fibers wait that only user mode knows of: for a standby to run them. */
TEST(fibers_wait)
{
	UF_OPEN(&d, 1, 4);
	EXPECT_EQ(0, uf_quantum(&d, 0, 5 * MS));
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	UF_SPIN(&a);
	ASSERT_TRUE(uf_await_cpu(&a, 100 * MS));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.servers[0].preempts);
	/* Now there are some; the call has it looked at. */
	d.servers[0].waiting = 1;
	EXPECT_EQ(0, uf_quantum(&d, 0, 5 * MS));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, UF_ANY_FLAGS);
	EXPECT_LE(1, d.threads[a.id].preempts);
}

/* Nor are they forgotten if threads that compute preempt each other. */
TEST(fibers_wait_beside_runnables)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	SPAWN_RUNNABLE_SPIN(&b);
	UF_SPIN(&a);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	d.servers[0].waiting = 1;
	EXPECT_EQ(0, uf_quantum(&d, 0, 2 * MS));
	ASSERT_DONE(0, &c);
	/* Who was preempted meanwhile has its turn, too. */
	UF_SPIN(&c);
	ASSERT_TRUE(uf_await_turns(&a));
	ASSERT_TRUE(uf_await_turns(&b));
	ASSERT_TRUE(uf_await_turns(&c));
	EXPECT_EQ(0, uf_quantum(&d, 0, 0));
}

/* Fibers wait, but there is nobody to run them. */
TEST(fibers_wait_nobody_there)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPIN(&a);
	d.servers[0].waiting = 0x80000000U;
	EXPECT_EQ(0, uf_quantum(&d, 0, 1 * MS));
	ASSERT_TRUE(uf_await_cpu(&a, 100 * MS));
	ASSERT_STATE(&a, RUNNING, UF_ANY_FLAGS);
	EXPECT_EQ(0, d.servers[0].preempts);
	EXPECT_EQ(1, d.servers[0].grants);
	/* Until somebody comes. */
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, STANDBY, 0, 0);
	EXPECT_EQ(0, uf_quantum(&d, 0, 1 * MS));
	ASSERT_DONE(0, &b);
	EXPECT_LE(1, d.threads[a.id].preempts);
}

TEST(nobody_waits)
{
	UF_OPEN(&d, 1, 4);
	EXPECT_EQ(0, uf_quantum(&d, 0, UFIBER_MIN_QUANTUM));
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	UF_SPIN(&a);
	ASSERT_TRUE(uf_await_cpu(&a, 200 * MS));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&c, IDLE, Q_STANDBY);
	EXPECT_EQ(0, d.servers[0].preempts);
	EXPECT_EQ(1, d.servers[0].grants);
}

/*
 * Who switches fibers often enough gives them all a turn by itself. The quantum
 * is long here, as a busy machine may stop a virtual processor for a while.
 */
TEST(dispatches_move)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	d.servers[0].waiting = 1;
	uf_order(&a, do_spin_dispatching, (long)&d.servers[0].dispatches);
	ASSERT_TRUE(uf_await_turns(&a));
	EXPECT_EQ(0, uf_quantum(&d, 0, 500 * MS));
	ASSERT_TRUE(uf_await_cpu(&a, 2500 * MS));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, d.servers[0].preempts);
	/* It stops doing so. */
	atomic_store(&a.stop, 1);
	ASSERT_DONE(0, &a);
	atomic_store(&a.stop, 0);
	UF_SPIN(&a);
	ASSERT_DONE(0, &b);
	EXPECT_LE(1, d.threads[a.id].preempts);
}

TEST(per_server)
{
	__u32 with, without;

	UF_OPEN(&d, 2, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNING(&d, &b);
	with = uf_server(&a);
	without = 1 - with;
	EXPECT_EQ(0, uf_quantum(&d, with, 2 * MS));
	UF_SPIN(&a);
	UF_SPIN(&b);
	SPAWN_SPIN(&c);
	ASSERT_PREEMPTS(with, 6);
	EXPECT_EQ(0, d.servers[without].preempts);
	EXPECT_EQ(0, d.threads[b.id].preempts);
	EXPECT_EQ(1, d.servers[without].grants);
	EXPECT_LE(2, d.threads[a.id].preempts);
	EXPECT_LE(2, d.threads[c.id].preempts);
	ASSERT_STATE(&b, RUNNING, 0);
}

/* All that there are, and that there may be. */
TEST(all_servers)
{
	UF_OPEN_AS(&d, 0, 1, 2, 4);
	EXPECT_EQ(0, uf_quantum(&d, UFIBER_NONE, 2 * MS));
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPIN(&a);
	ASSERT_EQ(0, uf_resize(&d, 2));
	UF_SPAWN_RUNNING(&d, &b);
	UF_SPIN(&b);
	SPAWN_SPIN(&c);
	ASSERT_PREEMPTS(0, 3);
	ASSERT_PREEMPTS(1, 3);
}

/* In turns, first come, first served; each gets on. */
TEST(rotation)
{
	struct uf_thread *threads[] = { &a, &b, &c };
	struct ufiber_event event;
	unsigned int n = 0, i;

	UF_OPEN(&d, 1, 16);
	UF_SPAWN_RUNNING(&d, &a);
	SPAWN_RUNNABLE_SPIN(&b);
	SPAWN_RUNNABLE_SPIN(&c);
	UF_SPIN(&a);
	uf_forget_events(&d);
	EXPECT_EQ(0, uf_quantum(&d, 0, 2 * MS));
	for (i = 0; i < 8; i++) {
		ASSERT_TRUE(uf_await_turns(&a));
		ASSERT_TRUE(uf_await_turns(&b));
		ASSERT_TRUE(uf_await_turns(&c));
		while (uf_event(&d, &event)) {
			ASSERT_EQ(UFIBER_REASON_PREEMPTED, event.reason);
			ASSERT_EQ(threads[n++ % 3]->id, event.thread);
		}
	}
	ASSERT_PREEMPTS(0, 12);
	EXPECT_EQ(0, uf_quantum(&d, 0, 0));
	EXPECT_EQ(0, d.threads[a.id].blocks + d.threads[b.id].blocks + d.threads[c.id].blocks);
}

static bool none_kicked(void *unused)
{
	return !((uf_flags(&a) | uf_flags(&b)) & UFIBER_QUERY_KICKED);
}

/* Switched off, it is as if it had never been. */
TEST(off_again)
{
	struct uf_thread *holder;
	__u64 preempts;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	SPAWN_RUNNABLE_SPIN(&b);
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_quantum(&d, UFIBER_NONE, 1 * MS));
	ASSERT_PREEMPTS(0, 5);
	EXPECT_EQ(0, uf_quantum(&d, UFIBER_NONE, 0));
	/* One that was on its way when it was switched off may arrive. */
	ASSERT_TRUE(uf_await(&d, none_kicked, NULL, "the last preemption"));
	preempts = d.servers[0].preempts;
	holder = uf_state(&a) == UFIBER_THREAD_RUNNING ? &a : &b;
	ASSERT_TRUE(uf_await_cpu(holder, 100 * MS));
	EXPECT_EQ(preempts, d.servers[0].preempts);
	ASSERT_STATE(holder, RUNNING, 0);
	/* And on. */
	EXPECT_EQ(0, uf_quantum(&d, 0, 1 * MS));
	ASSERT_PREEMPTS(0, preempts + 2);
}

/* ------------------------------------------------------ critical sections */

TEST(critical)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	d.threads[a.id].critical = 1;
	UF_SPIN(&a);
	UF_SPAWN_RUNNABLE(&d, &b);
	EXPECT_EQ(0, uf_quantum(&d, 0, 2 * MS));
	while (!d.threads[a.id].kicked)
		sched_yield();
	ASSERT_TRUE(uf_await_cpu(&a, 50 * MS));
	ASSERT_STATE(&a, RUNNING, UF_ANY_FLAGS);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, d.servers[0].preempts);
	/* It has forgotten to look at the word when it left: the next quantum does. */
	d.threads[a.id].critical = 0;
	ASSERT_DONE(0, &b);
	EXPECT_LE(1, d.threads[a.id].preempts);
}

/* -------------------------------------------------------------- arguments */

TEST(arguments)
{
	struct ufiber_quantum q;
	unsigned int i;

	UF_OPEN_AS(&d, 0, 1, 3, 4);
	EXPECT_EQ(0, uf_quantum(&d, 0, UFIBER_MIN_QUANTUM));
	EXPECT_EQ(0, uf_quantum(&d, 0, UFIBER_MAX_QUANTUM));
	EXPECT_EQ(0, uf_quantum(&d, 0, 0));
	EXPECT_EQ(0, uf_quantum(&d, 2, UFIBER_MIN_QUANTUM));
	EXPECT_EQ(0, uf_quantum(&d, UFIBER_NONE, UFIBER_MIN_QUANTUM));
	EXPECT_EQ(-EINVAL, uf_quantum(&d, 0, 1));
	EXPECT_EQ(-EINVAL, uf_quantum(&d, 0, UFIBER_MIN_QUANTUM - 1));
	EXPECT_EQ(-EINVAL, uf_quantum(&d, 0, UFIBER_MAX_QUANTUM + 1));
	EXPECT_EQ(-EINVAL, uf_quantum(&d, 0, ~0ULL));
	EXPECT_EQ(-EINVAL, uf_quantum(&d, 3, UFIBER_MIN_QUANTUM));
	EXPECT_EQ(-EINVAL, uf_quantum(&d, UFIBER_NONE - 1, UFIBER_MIN_QUANTUM));
	for (i = 0; i < 32; i++) {
		q = (struct ufiber_quantum){ .size = sizeof(q), .flags = 1U << i };
		EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_QUANTUM, &q));
	}
	q = (struct ufiber_quantum){ .size = sizeof(q), .reserved = 1 };
	EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_QUANTUM, &q));
	q = (struct ufiber_quantum){ .size = sizeof(q) - 8 };
	EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_QUANTUM, &q));
	EXPECT_EQ(-EFAULT, uf_ioctl(d.fd, UFIBER_IOC_QUANTUM, NULL));
	ASSERT_AGREES(&d);
}

/*
 * A period is begun again when it is about to end, from another CPU than the one
 * where its timer is.
 */
TEST(set_again_and_again)
{
	__u64 end;
	int i;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	d.servers[0].waiting = 1;
	UF_SPIN(&a);
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, uf_quantum(&d, UFIBER_NONE, UFIBER_MIN_QUANTUM));
		end = uf_now() + UFIBER_MIN_QUANTUM - 100000 + 250 * i;
		uf_pin(0, i & 1);
		while (uf_now() < end)
			;
	}
	ASSERT_TRUE(uf_await_turns(&a));
}

/* ------------------------------------------------------------------- ends */

/* Its timer runs when the holder goes: by itself, or with the domain. */
TEST(holder_goes)
{
	int i;

	for (i = 0; i < 5; i++) {
		UF_OPEN(&d, 1, 4);
		EXPECT_EQ(0, uf_quantum(&d, 0, UFIBER_MIN_QUANTUM));
		UF_SPAWN_RUNNING(&d, &a);
		SPAWN_SPIN(&b);
		UF_SPIN(&a);
		ASSERT_PREEMPTS(0, 2);
		atomic_store(&a.stop, 1);
		ASSERT_DONE(0, &a);
		uf_join(&a);
		ASSERT_TRUE(uf_await_turns(&b));
		if (i & 1) {
			atomic_store(&b.stop, 1);
			ASSERT_DONE(0, &b);
			uf_join(&b);
			ASSERT_AGREES(&d);
			uf_close(&d);
		} else {
			SPAWN_SPIN(&c);
			SPAWN_SPIN(&e);
			ASSERT_PREEMPTS(0, 5);
			/*
			 * They go on without it. A wait holds the descriptor, so
			 * all have to be out of theirs.
			 */
			ASSERT_TRUE(uf_await_turns(&c));
			ASSERT_TRUE(uf_await_turns(&e));
			uf_close(&d);
			ASSERT_TRUE(uf_await_turns(&b));
			ASSERT_TRUE(uf_await_turns(&c));
			ASSERT_TRUE(uf_await_turns(&e));
			atomic_store(&b.stop, 1);
			atomic_store(&c.stop, 1);
			atomic_store(&e.stop, 1);
			uf_join(&b);
			uf_join(&c);
			uf_join(&e);
		}
	}
}

TEST_HARNESS_MAIN

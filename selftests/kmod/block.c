// SPDX-License-Identifier: GPL-2.0
/*
 * Blocking in the kernel, and coming back: what the module is for. A thread
 * that blocks loses its server; at its return to user mode it takes one, or is
 * held until it is given one.
 */
#include "uf_test.h"
#include <sched.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD

static struct uf_dom d;
static struct uf_thread a, b, c, e;
static int fa[2], fb[2], fc[2];		/* what they read from */

#define PIPES()								\
	do {								\
		ASSERT_EQ(0, pipe(fa));					\
		ASSERT_EQ(0, pipe(fb));					\
		ASSERT_EQ(0, pipe(fc));					\
	} while (0)

#define BLOCK(t, fds)							\
	do {								\
		uf_post_read(t, (fds)[0]);				\
		ASSERT_STATE(t, BLOCKED, 0);				\
	} while (0)

/* All counters of a server. */
#define EXPECT_COUNTS(s, b_, h_, t_, g_)				\
	do {								\
		EXPECT_EQ(b_, d.servers[s].blocks);			\
		EXPECT_EQ(h_, d.servers[s].handoffs);			\
		EXPECT_EQ(t_, d.servers[s].takeovers);			\
		EXPECT_EQ(g_, d.servers[s].grants);			\
	} while (0)

/* ------------------------------------------------------- who gets a server */

TEST(block_leaves_vacant)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_COUNTS(0, 0, 0, 0, 1);
	BLOCK(&a, fa);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	EXPECT_COUNTS(0, 1, 0, 0, 1);
	EXPECT_EQ(1, d.threads[a.id].blocks);
	EXPECT_EQ(UFIBER_NONE, d.threads[a.id].server);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	/* And takes it back. */
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_SERVER(&d, 0, HELD, a.id);
	EXPECT_COUNTS(0, 1, 0, 1, 2);
	EXPECT_EQ(0, d.threads[a.id].holds);
}

TEST(block_hands_off_to_standby)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	BLOCK(&a, fa);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_SERVER(&d, 0, HELD, b.id);
	EXPECT_COUNTS(0, 1, 1, 0, 2);
	EXPECT_EQ(1, d.threads[a.id].blocks);
	EXPECT_EQ(0, d.threads[b.id].blocks);
	EXPECT_EQ(0, d.shared->nr_standby);
}

/* A RUNNABLE thread has a fiber to run, a standby has not. */
TEST(block_hands_off_to_runnable_first)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	BLOCK(&a, fa);
	UF_SPAWN_RUNNING(&d, &b);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	EXPECT_EQ(1, d.threads[a.id].holds);
	BLOCK(&b, fb);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&c, IDLE, Q_STANDBY);
	ASSERT_BUSY(&c);
	EXPECT_EQ(2, d.servers[0].blocks);
	EXPECT_EQ(1, d.servers[0].handoffs);
	EXPECT_EQ(3, d.servers[0].grants);
}

/* One that waits parked is not standby; it gets nothing. */
TEST(block_beside_parked)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	BLOCK(&a, fa);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_BUSY(&b);
	EXPECT_COUNTS(0, 1, 0, 0, 1);
}

/* Threads that hold no server may sleep as they like. */
TEST(block_of_an_idle_thread)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN(&d, &a);
	uf_post_read(&a, fa[0]);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	ASSERT_STATE(&a, IDLE, 0);
	EXPECT_EQ(0, d.threads[a.id].blocks);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, IDLE, 0);
	EXPECT_COUNTS(0, 0, 0, 0, 0);
}

/* Different ways to sleep, and one word each: they are all the same. */
static long do_nanosleep(long *args)
{
	struct timespec ts = { .tv_sec = 3600 };

	return syscall(SYS_nanosleep, &ts, NULL) ? -errno : 0;
}

TEST(block_in_other_calls)
{
	static __u32 word;
	__u64 blocks;

	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);

	uf_order_syscall(&a, SYS_futex, (long)&word, 0L /* FUTEX_WAIT */, 0L, 0L, 0L, 0L);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_futex));
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	EXPECT_EQ(1, syscall(SYS_futex, &word, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0));
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);

	blocks = d.threads[a.id].blocks;
	EXPECT_EQ(1, blocks);
	uf_catch(SIGUSR1, 0);
	uf_order(&a, do_nanosleep);
	ASSERT_STATE(&a, BLOCKED, 0);
	uf_signal(&a, SIGUSR1);
	ASSERT_DONE(-EINTR, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(blocks + 1, d.threads[a.id].blocks);

	uf_order_syscall(&a, SYS_poll, 0L, 0L, 3600000L);
	ASSERT_STATE(&a, BLOCKED, 0);
	uf_signal(&a, SIGUSR1);
	ASSERT_DONE(-EINTR, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(blocks + 2, d.threads[a.id].blocks);
	EXPECT_EQ(blocks + 2, d.servers[0].takeovers);
}

/* Uninterruptible: in vfork() the parent sleeps until the child has ended. */
static long do_vfork(long *args)
{
	long pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, NULL, NULL, 0);

	if (!pid) {
		char byte;

		syscall(SYS_read, args[0], &byte, 1);
		syscall(SYS_exit_group, 0);
	}
	return pid;
}

TEST(block_uninterruptible)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_order(&a, do_vfork, (long)fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'D'));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_BUSY(&a);
	uf_post_wait(&b, STANDBY, 0, 0);
	EXPECT_LT(0, uf_finish(&a));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(a.ret, waitpid(a.ret, NULL, 0));
}

/* ----------------------------------------------------------- coming back */

TEST(unblock_takes_its_old_server)
{
	int i;

	UF_OPEN(&d, 3, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNING(&d, &b);
	for (i = 1; i <= 20; i++) {
		long sa = uf_server(&a), sb = uf_server(&b);

		BLOCK(&a, fa);
		BLOCK(&b, fb);
		/* All three are vacant now, in any order they come back. */
		EXPECT_EQ(0, uf_put((i & 1 ? fa : fb)[1]));
		ASSERT_DONE(1, i & 1 ? &a : &b);
		EXPECT_EQ(0, uf_put((i & 1 ? fb : fa)[1]));
		ASSERT_DONE(1, i & 1 ? &b : &a);
		ASSERT_STATE(&a, RUNNING, 0);
		ASSERT_STATE(&b, RUNNING, 0);
		ASSERT_EQ(sa, uf_server(&a));
		ASSERT_EQ(sb, uf_server(&b));
		EXPECT_EQ(i, d.servers[sa].takeovers);
		EXPECT_EQ(i + 1, d.servers[sa].grants);
	}
	EXPECT_EQ(0, d.threads[a.id].holds + d.threads[b.id].holds);
}

TEST(unblock_takes_another_vacant)
{
	long old;

	UF_OPEN(&d, 2, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	old = uf_server(&a);
	UF_SPAWN_WAITING(&d, &b, 0);
	BLOCK(&a, fa);
	/* The waker takes what suits it; make sure that it is this one. */
	EXPECT_EQ(0, uf_wake(&b, 0));
	EXPECT_LE(0, uf_finish(&b));
	if (uf_server(&b) != old) {
		UF_SPAWN_RUNNING(&d, &c);
		ASSERT_EQ(old, uf_server(&c));
		EXPECT_EQ(0, uf_unregister(&b));
	}
	ASSERT_SERVER(&d, 1 - old, VACANT, UFIBER_NONE);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1 - old, uf_server(&a));
	EXPECT_EQ(1, d.servers[1 - old].takeovers);
	EXPECT_EQ(0, d.threads[a.id].holds);
}

TEST(unblock_is_held)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	BLOCK(&a, fa);
	UF_SPAWN_RUNNING(&d, &b);
	EXPECT_EQ(0, d.shared->nr_runnable);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));
	ASSERT_BUSY(&a);
	EXPECT_EQ(1, d.shared->nr_runnable);
	EXPECT_EQ(1, d.threads[a.id].holds);
	ASSERT_STATE(&b, RUNNING, 0);
	/* Offered by the holder between two fibers. */
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, d.shared->nr_runnable);
	EXPECT_COUNTS(0, 1, 0, 0, 3);
}

TEST(runnable_get_servers_in_order)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	BLOCK(&a, fa);
	UF_SPAWN_RUNNING(&d, &b);
	BLOCK(&b, fb);
	UF_SPAWN_RUNNING(&d, &c);
	BLOCK(&c, fc);
	UF_SPAWN_RUNNING(&d, &e);

	EXPECT_EQ(0, uf_put(fb[1]));
	ASSERT_STATE(&b, RUNNABLE, Q_HELD);
	EXPECT_EQ(1, d.shared->nr_runnable);
	EXPECT_EQ(0, uf_put(fc[1]));
	ASSERT_STATE(&c, RUNNABLE, Q_HELD);
	EXPECT_EQ(2, d.shared->nr_runnable);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	EXPECT_EQ(3, d.shared->nr_runnable);

	uf_post_wait(&e, 0, 0, 0);
	ASSERT_DONE(1, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&c, RUNNABLE, Q_HELD);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	/* It goes on by each way of losing a server: block, */
	BLOCK(&b, fb);
	ASSERT_DONE(1, &c);
	ASSERT_STATE(&c, RUNNING, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	/* unregister. */
	EXPECT_EQ(0, uf_unregister(&c));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.shared->nr_runnable);
}

/* Blocked and held over and over, with two threads and one server. */
TEST(ping_pong)
{
	int i;

	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	BLOCK(&a, fa);
	UF_SPAWN_RUNNING(&d, &b);
	for (i = 0; i < 300; i++) {
		/* b holds it, a is blocked. */
		EXPECT_EQ(0, uf_put(fa[1]));
		uf_post_read(&b, fb[0]);
		ASSERT_DONE(1, &a);
		EXPECT_EQ(0, uf_put(fb[1]));
		uf_post_read(&a, fa[0]);
		ASSERT_DONE(1, &b);
	}
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_EQ(d.threads[a.id].blocks + d.threads[b.id].blocks, d.servers[0].blocks);
}

/* ----------------------------------------------------------------- polling */

#define POLL(t, s, fds)							\
	do {								\
		uf_order(t, uf_do_poll, (long)&d.servers[s].owner, (long)(fds)[0]); \
		ASSERT_TRUE(uf_await_sleep(t, SYS_read));		\
	} while (0)

TEST(poller_keeps_its_server)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	POLL(&a, 0, fa);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_SERVER(&d, 0, POLLING, a.id);
	/* A standby has no fiber to run, it takes nothing from a poller. */
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_SERVER(&d, 0, HELD, a.id);
	EXPECT_COUNTS(0, 0, 0, 0, 1);
	EXPECT_EQ(0, d.threads[a.id].blocks);
}

TEST(unblock_takes_a_polling_server)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &b);
	BLOCK(&b, fb);
	UF_SPAWN_RUNNING(&d, &a);
	POLL(&a, 0, fa);
	ASSERT_SERVER(&d, 0, POLLING, a.id);

	EXPECT_EQ(0, uf_put(fb[1]));
	ASSERT_DONE(1, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_SERVER(&d, 0, HELD, b.id);
	EXPECT_EQ(UFIBER_OWNER(UFIBER_SERVER_HELD, b.id), d.servers[0].owner);
	EXPECT_EQ(0, d.threads[b.id].holds);
	EXPECT_EQ(1, d.servers[0].takeovers);
	/* The poller was not woken. */
	ASSERT_STATE(&a, IDLE, 0);
	EXPECT_EQ(UFIBER_NONE, d.threads[a.id].server);
	ASSERT_BUSY(&a);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	/* When it wakes its compare-and-swap fails, and it is not held for it. */
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, IDLE, 0);
	EXPECT_EQ(0, d.threads[a.id].blocks + d.threads[a.id].holds);
	/* Then it stands by. */
	uf_post_wait(&a, STANDBY, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_STANDBY);
	BLOCK(&b, fb);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* WAKE and ACQUIRE take a polling server too. */
TEST(wake_takes_a_polling_server)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPAWN(&d, &c);
	POLL(&a, 0, fa);
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, IDLE, 0);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(0, &a);

	POLL(&b, 0, fb);
	EXPECT_EQ(0, uf_wait(&c, UFIBER_WAIT_ACQUIRE, 0, 0));
	ASSERT_STATE(&c, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, 0);
	EXPECT_EQ(0, uf_put(fb[1]));
	ASSERT_DONE(0, &b);
}

/* Only the holder's own POLLING counts; anything else is ignored. */
TEST(forged_owner_words)
{
	__u32 words[] = {
		0, UFIBER_NONE, 0x12345678,
		UFIBER_OWNER(UFIBER_SERVER_POLLING, 3),
		UFIBER_OWNER(UFIBER_SERVER_POLLING, 0xffffff),
		UFIBER_OWNER(3, 1),
	};
	unsigned int i;

	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		struct ufiber_query q;

		d.servers[0].owner = words[i];
		EXPECT_EQ(0, uf_wake(&b, 0));
		ASSERT_EQ(0, uf_query(&d, b.id, 0, &q));
		EXPECT_EQ(UFIBER_THREAD_RUNNABLE, q.thread_state) TH_LOG("word %#x", words[i]);
		EXPECT_EQ(a.id, q.server_thread);
		EXPECT_EQ(UFIBER_SERVER_HELD, q.server_state);
		/* It is overwritten when the server passes on. */
		uf_post_wait(&a, 0, 0, 0);
		ASSERT_DONE(0, &b);
		ASSERT_STATE(&b, RUNNING, 0);
		ASSERT_STATE(&a, IDLE, Q_WAITING);
		EXPECT_EQ(UFIBER_OWNER(UFIBER_SERVER_HELD, b.id), d.servers[0].owner);
		uf_post_wait(&b, UFIBER_WAIT_HANDOVER, a.id, 0);
		ASSERT_DONE(0, &a);
		ASSERT_STATE(&b, IDLE, Q_WAITING);
	}
}

/*
 * The race of the header: one sets POLLING, then reads nr_runnable; the other
 * becomes RUNNABLE, then looks for POLLING. One of them sees the other.
 */
static long do_poll_politely(long *args)
{
	__u32 *owner = (__u32 *)args[0];
	char byte;

	if (!uf_begin_polling(owner))
		return -EINVAL;
	if (!__atomic_load_n(&uf_self->dom->shared->nr_runnable, __ATOMIC_SEQ_CST) &&
	    syscall(SYS_read, args[1], &byte, 1) != 1)
		return -EIO;
	return uf_end_polling(owner);
}

static bool one_is_done(void *unused)
{
	return uf_is_done(&a) || uf_is_done(&b);
}

TEST(no_runnable_beside_polling)
{
	struct uf_thread *holder = &a, *blocked = &b, *t;
	int *fh = fa, *fl = fb, *f, i;

	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, blocked);
	BLOCK(blocked, fl);
	UF_SPAWN_RUNNING(&d, holder);
	for (i = 0; i < 300; i++) {
		uf_order(holder, do_poll_politely, (long)&d.servers[0].owner, (long)fc[0]);
		if (i & 1)
			sched_yield();
		ASSERT_EQ(0, uf_put(fl[1]));
		/* Either it was taken, and it sleeps on, or it saw the other. */
		ASSERT_TRUE(uf_await(&d, one_is_done, NULL, "one of the two"));
		if (uf_is_done(holder) && uf_finish(holder) == 1) {
			uf_post_wait(holder, STANDBY, 0, 0);
			ASSERT_DONE(1, blocked);
		} else {
			ASSERT_DONE(1, blocked);
			if (!uf_is_done(holder)) {
				ASSERT_EQ(0, uf_put(fc[1]));
			}
			ASSERT_DONE(0, holder);
			uf_post_wait(holder, STANDBY, 0, 0);
		}
		ASSERT_STATE(blocked, RUNNING, 0);
		ASSERT_STATE(holder, IDLE, Q_STANDBY);
		/* The other way round. */
		uf_post_read(blocked, fl[0]);
		ASSERT_DONE(0, holder);
		ASSERT_STATE(blocked, BLOCKED, 0);
		EXPECT_EQ(0, uf_put(fl[1]));
		ASSERT_STATE(blocked, RUNNABLE, Q_HELD);
		uf_post_read(holder, fh[0]);
		ASSERT_DONE(1, blocked);
		ASSERT_STATE(holder, BLOCKED, 0);
		t = holder, holder = blocked, blocked = t;
		f = fh, fh = fl, fl = f;
	}
}

/* --------------------------------------------------------- critical section */

TEST(critical_keeps_the_server)
{
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	d.threads[a.id].critical = 1;
	uf_post_read(&a, fa[0]);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_SERVER(&d, 0, HELD, a.id);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].blocks);
	EXPECT_COUNTS(0, 0, 0, 0, 1);
	/* Any value but 0 is one, and 0 ends it. */
	d.threads[a.id].critical = 0x80000000U;
	uf_post_read(&a, fa[0]);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(1, &a);
	d.threads[a.id].critical = 0;
	BLOCK(&a, fa);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_COUNTS(0, 1, 1, 0, 2);
}

/* WAIT gives the server up all the same. */
TEST(critical_does_not_matter_to_wait)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	d.threads[a.id].critical = 1;
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
}

/* -------------------------------------------------------------- page faults */

TEST(fault)
{
	struct uf_fault f;
	long ret;

	UF_OPEN(&d, 1, 4);
	ret = uf_fault_begin(&f);
	if (ret == -EPERM || ret == -ENOSYS)
		SKIP(return, "userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_order(&a, uf_do_touch, (long)f.page);
	ASSERT_EQ(0, uf_fault_await(&f));
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_COUNTS(0, 1, 1, 0, 2);
	ASSERT_BUSY(&a);

	ASSERT_EQ(0, uf_fault_end(&f, 'x'));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_BUSY(&a);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE('x', &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
}

/* The fault happens in the kernel, which writes what it finds there. */
TEST(fault_in_a_system_call)
{
	struct uf_fault f;
	char byte = 0;
	long ret;

	UF_OPEN(&d, 1, 4);
	PIPES();
	ret = uf_fault_begin(&f);
	if (ret == -EPERM || ret == -ENOSYS)
		SKIP(return, "userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	UF_SPAWN_RUNNING(&d, &a);
	uf_order_syscall(&a, SYS_write, (long)fa[1], (long)f.page, 1L);
	ASSERT_EQ(0, uf_fault_await(&f));
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	ASSERT_EQ(0, uf_fault_end(&f, 'y'));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1, read(fa[0], &byte, 1));
	EXPECT_EQ('y', byte);
}

/* ------------------------------------------------- preemption is not a block */

static atomic_uint stop_spinning;

static long do_spin(long *args)
{
	while (!atomic_load(&stop_spinning))
		;
	return 0;
}

static void *spin(void *arg)
{
	do_spin(NULL);
	return NULL;
}

TEST(preemption_is_no_block)
{
	pthread_attr_t attr;
	pthread_t other;
	long before;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	/* It, its rival and this thread on one CPU. */
	ASSERT_EQ(0, uf_pin(a.tid, 0));
	ASSERT_EQ(0, uf_pin(0, 0));
	ASSERT_EQ(0, pthread_attr_init(&attr));
	ASSERT_EQ(0, pthread_attr_setstacksize(&attr, 128 * 1024));
	ASSERT_EQ(0, pthread_create(&other, &attr, spin, NULL));
	before = uf_proc_value(a.tid, "nonvoluntary_ctxt_switches");
	ASSERT_LE(0, before);
	uf_order(&a, do_spin);
	while (uf_proc_value(a.tid, "nonvoluntary_ctxt_switches") < before + 10) {
		ASSERT_EQ(UFIBER_THREAD_RUNNING, uf_state(&a));
		sched_yield();
	}
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, d.threads[a.id].blocks);
	EXPECT_COUNTS(0, 0, 0, 0, 1);
	atomic_store(&stop_spinning, 1);
	ASSERT_DONE(0, &a);
	pthread_join(other, NULL);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].blocks);
}

static long do_yields(long *args)
{
	long i;

	for (i = 0; i < args[0]; i++)
		syscall(SYS_sched_yield);
	return 0;
}

TEST(yield_is_no_block)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	ASSERT_EQ(0, uf_pin(a.tid, 0));
	ASSERT_EQ(0, uf_pin(0, 0));
	EXPECT_EQ(0, uf_call(&a, do_yields, 2000L));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, d.threads[a.id].blocks);
	EXPECT_COUNTS(0, 0, 0, 0, 1);
}

TEST_HARNESS_MAIN

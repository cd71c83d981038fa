// SPDX-License-Identifier: GPL-2.0
/* UFIBER_IOC_RESIZE: servers are added and removed while threads hold them. */
#include "uf_test.h"
#include <sched.h>
#include <stdlib.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define YIELD		UFIBER_WAIT_YIELD
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD
#define NONE		UFIBER_NONE
#define SERVERS		4

static struct uf_dom d;
static struct uf_thread t[SERVERS], a, b;
static int fds[2];

/* Servers, each held by the thread of its number. */
#define BEGIN(servers)							\
	do {								\
		unsigned int _i;					\
									\
		UF_OPEN_AS(&d, 0, servers, SERVERS, 8);			\
		ASSERT_EQ(0, pipe(fds));				\
		for (_i = 0; _i < (servers); _i++) {			\
			UF_SPAWN_RUNNING(&d, &t[_i]);			\
			ASSERT_EQ(_i, uf_server(&t[_i]));		\
		}							\
	} while (0)

/* ------------------------------------------------------------------- set up */

TEST(setup)
{
	static const struct { __u32 servers, most, threads; long ret; __u32 gets; } all[] = {
		{ 1, 0, 1, 0, 1 }, { 3, 0, 3, 0, 3 }, { 1, 1, 1, 0, 1 }, { 1, 4, 4, 0, 4 },
		{ 4, 4, 4, 0, 4 }, { 256, 0, 256, 0, 256 }, { 1, 256, 256, 0, 256 },
		{ 2, 1, 8, -EINVAL, 0 }, { 0, 4, 8, -EINVAL, 0 }, { 0, 0, 8, -EINVAL, 0 },
		{ 1, 257, 300, -EINVAL, 0 }, { 1, 4, 3, -EINVAL, 0 },
		{ 1, UFIBER_NONE, UFIBER_MAX_THREADS, -EINVAL, 0 }, { 257, 0, 300, -EINVAL, 0 },
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		long ret = uf_open_as(&d, 0, all[i].servers, all[i].most, all[i].threads);

		if (ret == -ENOENT && !getenv("UFIBER_VM"))
			SKIP(return, "no " UFIBER_DEVICE ": the module is not loaded");
		EXPECT_EQ(all[i].ret, ret) TH_LOG("case %u", i);
		if (!ret) {
			EXPECT_EQ(all[i].gets, d.setup.max_servers) TH_LOG("case %u", i);
			EXPECT_EQ(all[i].servers, d.shared->nr_servers);
			for (j = all[i].servers; j < all[i].gets; j++)
				EXPECT_EQ(UFIBER_OWNER(UFIBER_SERVER_OFFLINE, 0),
					  d.servers[j].owner);
			ASSERT_AGREES(&d);
		}
		uf_close(&d);
	}
}

/* --------------------------------------------------------------------- grow */

TEST(grow_beside_nobody)
{
	struct ufiber_query q;

	BEGIN(1);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_SERVER(&d, 3, OFFLINE, NONE);
	EXPECT_EQ(-EINVAL, uf_query(&d, NONE, 4, &q));
	EXPECT_EQ(0, uf_resize(&d, 3));
	ASSERT_AGREES(&d);
	ASSERT_SERVER(&d, 1, VACANT, NONE);
	ASSERT_SERVER(&d, 2, VACANT, NONE);
	ASSERT_SERVER(&d, 3, OFFLINE, NONE);
	ASSERT_EQ(0, uf_query(&d, NONE, NONE, &q));
	EXPECT_EQ(3, q.nr_servers);
	EXPECT_EQ(2, q.nr_vacant);
	EXPECT_EQ(3, d.shared->nr_servers);
	UF_SPAWN_RUNNING(&d, &t[1]);
	UF_SPAWN_RUNNING(&d, &t[2]);
	UF_SPAWN_RUNNABLE(&d, &a);
	/* To what it is. */
	EXPECT_EQ(0, uf_resize(&d, 3));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
}

TEST(grow_beside_waiting)
{
	BEGIN(1);
	UF_SPAWN_WAITING(&d, &a, STANDBY);
	UF_SPAWN_RUNNABLE(&d, &t[1]);
	UF_SPAWN_RUNNABLE(&d, &t[2]);
	UF_SPAWN_WAITING(&d, &b, 0);
	EXPECT_EQ(0, uf_resize(&d, 2));
	ASSERT_DONE(1, &t[1]);
	ASSERT_STATE(&t[1], RUNNING, 0);
	ASSERT_STATE(&t[2], RUNNABLE, Q_WAITING);
	ASSERT_STATE(&a, IDLE, Q_STANDBY);
	/* Both at once. */
	EXPECT_EQ(0, uf_resize(&d, 4));
	EXPECT_LE(2, uf_finish(&t[2]));
	EXPECT_LE(2, uf_finish(&a));
	ASSERT_STATE(&t[2], RUNNING, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_BUSY(&b);
}

/* One that was held at its return. */
TEST(grow_beside_held)
{
	BEGIN(1);
	uf_post_read(&t[0], fds[0]);
	ASSERT_STATE(&t[0], BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&t[0], RUNNABLE, Q_HELD);
	EXPECT_EQ(0, uf_resize(&d, 2));
	ASSERT_DONE(1, &t[0]);
	ASSERT_SERVER(&d, 1, HELD, t[0].id);
}

TEST(grow_user_sched)
{
	UF_OPEN_AS(&d, UFIBER_SETUP_USER_SCHED, 1, 3, 8);
	UF_SPAWN_RUNNING(&d, &t[0]);
	UF_SPAWN(&d, &a);
	uf_post_wait(&a, ACQUIRE, 0, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	EXPECT_EQ(0, uf_resize(&d, 2));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_SERVER(&d, 1, VACANT, NONE);
	EXPECT_EQ(1, uf_wait(&t[0], HANDOVER | STANDBY, a.id, 0));
	ASSERT_DONE(0, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	EXPECT_EQ(0, uf_resize(&d, 3));
	ASSERT_DONE(2, &b);
}

/* Order: declare server args[0] free to take, but go on until told to stop. */
static long do_declare(long *args)
{
	__u32 *owner = (__u32 *)args[0];

	if (!uf_begin_polling(owner))
		return -EINVAL;
	while (!atomic_load(&uf_self->stop))
		sched_yield();
	return uf_end_polling(owner);
}

/*
 * A server that was to retire, whose holder has just declared it free to take and
 * does not sleep yet. Who became RUNNABLE before it is in use again did not look
 * at it then.
 */
TEST(grow_beside_polling)
{
	BEGIN(2);
	d.threads[t[1].id].critical = 1;
	EXPECT_EQ(0, uf_resize(&d, 1));
	while (!d.threads[t[1].id].kicked)
		sched_yield();
	uf_order(&t[1], do_declare, (long)&d.servers[1].owner);
	ASSERT_TRUE(uf_await_word(&d, &d.servers[1].owner,
				  UFIBER_OWNER(UFIBER_SERVER_POLLING, t[1].id)));
	UF_SPAWN_RUNNABLE(&d, &a);
	EXPECT_EQ(0, uf_resize(&d, 2));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_SERVER(&d, 1, HELD, a.id);
	ASSERT_STATE(&t[1], IDLE, 0);
	atomic_store(&t[1].stop, 1);
	ASSERT_DONE(0, &t[1]);
}

/* ------------------------------------------------------------------- shrink */

TEST(shrink_vacant)
{
	BEGIN(2);
	uf_post_wait(&t[1], 0, 0, 0);
	ASSERT_STATE(&t[1], IDLE, Q_WAITING);
	EXPECT_EQ(0, uf_resize(&d, 1));
	ASSERT_AGREES(&d);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	/* It is not there to be taken. */
	EXPECT_EQ(0, uf_wake(&t[1], 0));
	ASSERT_STATE(&t[1], RUNNABLE, Q_WAITING);
	UF_SPAWN_WAITING(&d, &a, STANDBY);
	EXPECT_EQ(0, uf_resize(&d, 2));
	ASSERT_DONE(1, &t[1]);
	ASSERT_STATE(&a, IDLE, Q_STANDBY);
}

TEST(shrink_polling)
{
	BEGIN(2);
	uf_order(&t[1], uf_do_poll, (long)&d.servers[1].owner, (long)fds[0]);
	ASSERT_TRUE(uf_await_sleep(&t[1], SYS_read));
	ASSERT_SERVER(&d, 1, POLLING, t[1].id);
	EXPECT_EQ(0, uf_resize(&d, 1));
	ASSERT_STATE(&t[1], IDLE, 0);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_TRUE(uf_await_sleep(&t[1], SYS_read));
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(0, &t[1]);
	uf_post_wait(&t[1], STANDBY, 0, 0);
	ASSERT_STATE(&t[1], IDLE, Q_STANDBY);
}

/* The holder computes: it is put out, though nobody waits. */
TEST(shrink_held)
{
	BEGIN(3);
	UF_SPIN(&t[0]);
	UF_SPIN(&t[1]);
	UF_SPIN(&t[2]);
	EXPECT_EQ(0, uf_resize(&d, 1));
	ASSERT_STATE(&t[1], RUNNABLE, Q_HELD);
	ASSERT_STATE(&t[2], RUNNABLE, Q_HELD);
	ASSERT_STATE(&t[0], RUNNING, 0);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_SERVER(&d, 2, OFFLINE, NONE);
	EXPECT_EQ(0, d.threads[t[0].id].preempts);
	EXPECT_EQ(1, d.threads[t[1].id].preempts);
	EXPECT_EQ(1, d.threads[t[2].id].preempts);
	EXPECT_EQ(1, d.servers[1].preempts);
	EXPECT_EQ(1, d.servers[2].preempts);
	EXPECT_EQ(0, d.threads[t[1].id].kicked);
	/* They are RUNNABLE like others, and get what comes free. */
	atomic_store(&t[0].stop, 1);
	ASSERT_DONE(0, &t[0]);
	EXPECT_EQ(0, uf_unregister(&t[0]));
	/* One of them has server 0, the other none, which is -1. */
	ASSERT_EQ(-1, uf_server(&t[1]) + uf_server(&t[2]));
	EXPECT_EQ(0, uf_resize(&d, 2));
	ASSERT_STATE(&t[1], RUNNING, 0);
	ASSERT_STATE(&t[2], RUNNING, 0);
	ASSERT_TRUE(uf_await_turns(&t[1]));
	ASSERT_TRUE(uf_await_turns(&t[2]));
	ASSERT_SERVER(&d, 2, OFFLINE, NONE);
}

/* Another server is free: it goes there. */
TEST(shrink_held_another_vacant)
{
	BEGIN(2);
	uf_post_wait(&t[0], 0, 0, 0);
	ASSERT_STATE(&t[0], IDLE, Q_WAITING);
	UF_SPIN(&t[1]);
	EXPECT_EQ(0, uf_resize(&d, 1));
	ASSERT_TRUE(uf_await_word(&d, &d.servers[0].owner,
				  UFIBER_OWNER(UFIBER_SERVER_HELD, t[1].id)));
	ASSERT_STATE(&t[1], RUNNING, 0);
	ASSERT_SERVER(&d, 0, HELD, t[1].id);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_TRUE(uf_await_turns(&t[1]));
}

/* Order: leave the critical section, as one should. */
static long do_leave(long *args)
{
	volatile struct ufiber_shared_thread *me = &uf_self->dom->threads[uf_self->id];
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = YIELD };

	me->critical = 0;
	return me->kicked ? uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait) : 0;
}

/* In a critical section the holder keeps it until it has left that. */
TEST(shrink_critical)
{
	struct ufiber_query q;

	BEGIN(2);
	d.threads[t[1].id].critical = 1;
	UF_SPIN(&t[1]);
	EXPECT_EQ(0, uf_resize(&d, 1));
	while (!d.threads[t[1].id].kicked)
		sched_yield();
	ASSERT_STATE(&t[1], RUNNING, UF_ANY_FLAGS);
	ASSERT_TRUE(uf_await_turns(&t[1]));
	ASSERT_SERVER(&d, 1, HELD, t[1].id);
	ASSERT_EQ(0, uf_query(&d, NONE, NONE, &q));
	EXPECT_EQ(1, q.nr_servers);
	EXPECT_EQ(0, q.nr_vacant);
	atomic_store(&t[1].stop, 1);
	ASSERT_DONE(0, &t[1]);
	/* To ask for a server is to give none up. */
	EXPECT_EQ(1, uf_wait(&t[1], ACQUIRE, 0, 0));
	uf_order(&t[1], do_leave, (long)d.fd);
	ASSERT_STATE(&t[1], RUNNABLE, UF_ANY_FLAGS);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	EXPECT_EQ(0, d.threads[t[1].id].kicked);
	EXPECT_EQ(0, uf_unregister(&t[0]));
	ASSERT_DONE(0, &t[1]);
}

/* Each way to give it up is one: a server that is not in use goes to nobody. */
#define RETIRING()							\
	do {								\
		BEGIN(2);						\
		UF_SPAWN_WAITING(&d, &a, 0);				\
		UF_SPAWN_WAITING(&d, &b, STANDBY);			\
		d.threads[t[1].id].critical = 1;			\
		EXPECT_EQ(0, uf_resize(&d, 1));				\
		while (!d.threads[t[1].id].kicked)			\
			sched_yield();					\
	} while (0)

TEST(retiring_yields)
{
	RETIRING();
	uf_post_wait(&t[1], YIELD, 0, 0);
	ASSERT_STATE(&t[1], RUNNABLE, Q_WAITING);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	uf_post_wait(&t[0], 0, 0, 0);
	ASSERT_DONE(0, &t[1]);
	ASSERT_SERVER(&d, 0, HELD, t[1].id);
}

/* It blocks as soon as it may lose its server, if it has not been kicked by then. */
TEST(retiring_blocks)
{
	RETIRING();
	d.threads[t[1].id].critical = 0;
	uf_post_read(&t[1], fds[0]);
	ASSERT_TRUE(uf_await_word(&d, &d.servers[1].owner,
				  UFIBER_OWNER(UFIBER_SERVER_OFFLINE, 0)));
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&t[1], RUNNABLE, Q_HELD);
	uf_post_wait(&t[0], 0, 0, 0);
	ASSERT_DONE(1, &t[1]);
	ASSERT_SERVER(&d, 0, HELD, t[1].id);
}

/* Nobody may take it from a poller that sleeps, so it is lost at once. */
TEST(retiring_polls)
{
	RETIRING();
	uf_order(&t[1], uf_do_poll, (long)&d.servers[1].owner, (long)fds[0]);
	ASSERT_TRUE(uf_await_sleep(&t[1], SYS_read));
	ASSERT_STATE(&t[1], IDLE, 0);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(0, &t[1]);
}

TEST(retiring_parks)
{
	RETIRING();
	uf_post_wait(&t[1], 0, 0, 0);
	ASSERT_STATE(&t[1], IDLE, Q_WAITING);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
}

TEST(retiring_stands_by)
{
	RETIRING();
	uf_post_wait(&t[1], STANDBY, 0, 0);
	ASSERT_STATE(&t[1], IDLE, Q_STANDBY);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	EXPECT_EQ(2, d.shared->nr_standby);
}

TEST(retiring_ends)
{
	RETIRING();
	EXPECT_EQ(0, uf_unregister(&t[1]));
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	/* And by exit. */
	EXPECT_EQ(0, uf_resize(&d, 2));
	EXPECT_EQ(1, uf_finish(&b));
	d.threads[b.id].critical = 1;
	EXPECT_EQ(0, uf_resize(&d, 1));
	uf_join(&b);
	ASSERT_GONE(&b);
	ASSERT_AGREES(&d);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
}

/* It cannot be handed over: the other is woken. */
TEST(retiring_hands_over)
{
	RETIRING();
	uf_post_wait(&t[1], HANDOVER, a.id, 0);
	ASSERT_STATE(&t[1], IDLE, Q_WAITING);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, uf_unregister(&t[0]));
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(retiring_hands_over_another_vacant)
{
	RETIRING();
	EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &b);
	EXPECT_EQ(0, uf_unregister(&t[0]));
	ASSERT_SERVER(&d, 0, VACANT, NONE);
	uf_post_wait(&t[1], HANDOVER, a.id, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&t[1], IDLE, Q_WAITING);
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
}

/* Put into use again before that: all is as it was. */
TEST(retiring_no_longer)
{
	RETIRING();
	EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &b);
	EXPECT_EQ(0, uf_resize(&d, 3));
	ASSERT_SERVER(&d, 1, HELD, t[1].id);
	ASSERT_SERVER(&d, 2, VACANT, NONE);
	d.threads[t[1].id].critical = 0;
	EXPECT_EQ(1, uf_wait(&t[1], YIELD, 0, 0));
	ASSERT_STATE(&t[1], RUNNING, 0);
	EXPECT_EQ(1, d.servers[1].grants);
	uf_post_wait(&t[1], HANDOVER, a.id, 0);
	ASSERT_DONE(1, &a);
}

/* A blocked thread finds its server gone. */
TEST(shrink_while_blocked)
{
	BEGIN(2);
	uf_post_read(&t[1], fds[0]);
	ASSERT_STATE(&t[1], BLOCKED, 0);
	EXPECT_EQ(0, uf_resize(&d, 1));
	ASSERT_SERVER(&d, 1, OFFLINE, NONE);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&t[1], RUNNABLE, Q_HELD);
	uf_post_wait(&t[0], STANDBY, 0, 0);
	ASSERT_DONE(1, &t[1]);
	ASSERT_SERVER(&d, 0, HELD, t[1].id);
}

/* ------------------------------------------------------------------- errors */

TEST(errors)
{
	struct ufiber_resize r;
	unsigned int i;

	BEGIN(2);
	EXPECT_EQ(-EINVAL, uf_resize(&d, 0));
	EXPECT_EQ(-EINVAL, uf_resize(&d, SERVERS + 1));
	EXPECT_EQ(-EINVAL, uf_resize(&d, UFIBER_NONE));
	for (i = 0; i < 32; i++) {
		r = (struct ufiber_resize){ .size = sizeof(r), .flags = 1U << i,
					    .nr_servers = 1 };
		EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_RESIZE, &r));
	}
	r = (struct ufiber_resize){ .size = sizeof(r), .nr_servers = 1, .reserved = 1 };
	EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_RESIZE, &r));
	ASSERT_STATE(&t[0], RUNNING, 0);
	ASSERT_STATE(&t[1], RUNNING, 0);
	EXPECT_EQ(2, d.shared->nr_servers);
	ASSERT_SERVER(&d, 2, OFFLINE, NONE);
}

/* -------------------------------------------------------------------- storm */

#define WORKERS		6
#define TURNS		300

static struct uf_thread w[WORKERS];
static int pipes[WORKERS][2];

/* Order: compute, block, yield, as it comes; own up to each byte. */
static long do_work(long *args)
{
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = ACQUIRE };
	struct timespec ts = { .tv_nsec = 1000 };
	unsigned int seed = args[2], i, n;
	volatile unsigned int x = 0;
	char byte;
	long ret;

	ret = uf_ioctl(args[3], UFIBER_IOC_WAIT, &wait);
	for (i = 0; i < TURNS && ret >= 0; i++) {
		switch (rand_r(&seed) % 4) {
		case 0:
			if (syscall(SYS_nanosleep, &ts, NULL))
				return -errno;
			break;
		case 1:
			byte = i;
			if (syscall(SYS_write, args[1], &byte, 1) != 1 ||
			    syscall(SYS_read, args[0], &byte, 1) != 1 || byte != (char)i)
				return -EIO;
			break;
		case 2:
			wait.flags = YIELD;
			ret = uf_ioctl(args[3], UFIBER_IOC_WAIT, &wait);
			break;
		default:
			for (n = 0; n < 20000; n++)
				x += n;
		}
	}
	return ret < 0 ? ret : uf_ioctl(args[3], UFIBER_IOC_UNREGISTER, NULL);
}

TEST(storm)
{
	unsigned int seed = 1, resizes = 0, done, i;
	__u64 end = uf_now() + UF_BOUND * 1000000000ULL;

	UF_OPEN_AS(&d, 0, 2, SERVERS, WORKERS + 2);
	for (i = 0; i < WORKERS; i++) {
		ASSERT_EQ(0, pipe(pipes[i]));
		UF_SPAWN(&d, &w[i]);
	}
	for (i = 0; i < WORKERS; i++)
		uf_order(&w[i], do_work, (long)pipes[i][0], (long)pipes[i][1], (long)i + 1,
			 (long)d.fd);
	do {
		ASSERT_EQ(0, uf_resize(&d, 1 + rand_r(&seed) % SERVERS));
		resizes++;
		if (resizes % 8 == 0)
			ASSERT_AGREES(&d);
		for (i = 0; i < 2000; i++)
			__asm__ volatile("pause");
		for (i = done = 0; i < WORKERS; i++)
			done += uf_is_done(&w[i]);
		ASSERT_GT(end, uf_now());
	} while (done < WORKERS);
	for (i = 0; i < WORKERS; i++)
		ASSERT_DONE(0, &w[i]);
	ASSERT_EQ(0, uf_resize(&d, SERVERS));
	ASSERT_AGREES(&d);
	for (i = 0; i < SERVERS; i++)
		ASSERT_SERVER(&d, i, VACANT, NONE);
	EXPECT_LT(10, resizes);
}

TEST_HARNESS_MAIN

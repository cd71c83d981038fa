// SPDX-License-Identifier: GPL-2.0
/* The ring: who became RUNNABLE, why and when; with WATCH, who blocked, too. */
#include "uf_test.h"

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define TIMEOUT		UFIBER_WAIT_TIMEOUT
#define YIELD		UFIBER_WAIT_YIELD
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD
#define WATCH		UFIBER_SETUP_WATCH
#define NONE		UFIBER_NONE

static struct uf_dom d;
static struct uf_thread a, b, c;
static int fds[2];

#define BLOCK(t)							\
	do {								\
		uf_post_read(t, fds[0]);				\
		ASSERT_STATE(t, BLOCKED, 0);				\
	} while (0)

TEST(layout)
{
	static const unsigned int threads[] = { 1, 2, 3, 60, 64, 65, 1000, UFIBER_MAX_THREADS };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		struct { size_t from, to; } parts[4];

		UF_OPEN_AS(&d, i & 1 ? WATCH : 0, 1, i & 2 ? 0 : 1, threads[i]);
		EXPECT_LE(2 * threads[i], d.setup.ring_entries);
		EXPECT_EQ(0, d.setup.ring_entries & (d.setup.ring_entries - 1));
		EXPECT_EQ(0, d.setup.ring_offset % 8);
		parts[0].from = 0;
		parts[0].to = sizeof(struct ufiber_shared_domain);
		parts[1].from = d.setup.servers_offset;
		parts[1].to = parts[1].from + sizeof(struct ufiber_shared_server);
		parts[2].from = d.setup.threads_offset;
		parts[2].to = parts[2].from +
			      threads[i] * sizeof(struct ufiber_shared_thread);
		parts[3].from = d.setup.ring_offset;
		parts[3].to = parts[3].from +
			      (size_t)d.setup.ring_entries * sizeof(struct ufiber_event);
		for (j = 0; j < 4; j++)
			EXPECT_LE(parts[j].to, d.setup.mmap_size);
		for (j = 0; j < 16; j++) {
			if (j / 4 == j % 4)
				continue;
			EXPECT_TRUE(parts[j / 4].to <= parts[j % 4].from ||
				    parts[j % 4].to <= parts[j / 4].from)
				TH_LOG("parts %u, %u; %u threads", j / 4, j % 4, threads[i]);
		}
		EXPECT_EQ(0, d.shared->ring_tail);
		EXPECT_EQ(0, d.shared->ring_head);
		EXPECT_EQ(0, d.shared->ring_lost);
		/* The last entry is there. */
		EXPECT_EQ(0, d.ring[d.setup.ring_entries - 1].reserved);
		uf_close(&d);
	}
}

/* --------------------------------------------------------- for each reason */

TEST(unblocked)
{
	struct ufiber_event e;
	__u64 before, after;

	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	/* Neither a block nor an unblock that finds a server is told. */
	BLOCK(&a);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.shared->ring_tail);
	BLOCK(&a);
	UF_SPAWN_RUNNING(&d, &b);
	ASSERT_NO_EVENT(&d);
	before = uf_now();
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	after = uf_now();
	EXPECT_EQ(1, d.shared->ring_tail);
	e = d.ring[0];
	EXPECT_LE(before, e.time);
	EXPECT_GE(after, e.time);
	ASSERT_EVENT(&a, UNBLOCKED, NONE);
	/* That it then gets a server is not told. */
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_NO_EVENT(&d);
}

TEST(preempted)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_EVENT(&a, PREEMPTED, NONE);
	ASSERT_NO_EVENT(&d);
}

TEST(woken)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_WAITING(&d, &a, 0);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPAWN_RUNNING(&d, &c);
	/* By WAKE. */
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_EVENT(&a, WOKEN, NONE);
	/* It is RUNNABLE already. */
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_NO_EVENT(&d);
	uf_post_wait(&c, 0, 0, 0);
	ASSERT_DONE(0, &a);
	/* By WAKE with a server free: no event. */
	EXPECT_EQ(0, uf_unregister(&a));
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_DONE(0, &b);
	ASSERT_NO_EVENT(&d);
	/* Before its wait. */
	EXPECT_EQ(0, uf_wake(&c, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &c);
	EXPECT_EQ(0, uf_wake(&c, 0));
	ASSERT_NO_EVENT(&d);
	uf_post_wait(&c, 0, 0, 0);
	ASSERT_STATE(&c, RUNNABLE, Q_WAITING);
	ASSERT_EVENT(&c, WOKEN, NONE);
}

TEST(woken_by_time_and_acquire)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, TIMEOUT, 0, uf_now() + 1000000);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_EVENT(&b, WOKEN, NONE);
	uf_post_wait(&a, HANDOVER, b.id, 0);
	ASSERT_DONE(-ETIMEDOUT, &b);
	ASSERT_NO_EVENT(&d);
	UF_SPAWN_RUNNABLE(&d, &c);
	ASSERT_EVENT(&c, WOKEN, NONE);
	/* One that only stands by never is RUNNABLE. */
	EXPECT_EQ(0, uf_wake(&a, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &a);
	EXPECT_EQ(-ETIMEDOUT, uf_wait(&a, STANDBY | TIMEOUT, 0, 1));
	ASSERT_NO_EVENT(&d);
	EXPECT_EQ(0, uf_wait(&b, ACQUIRE, 0, 0));
	ASSERT_NO_EVENT(&d);
}

TEST(yielded)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_EQ(0, uf_wait(&a, YIELD, 0, 0));
	ASSERT_NO_EVENT(&d);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_EVENT(&a, YIELDED, NONE);
	ASSERT_NO_EVENT(&d);
}

/* ------------------------------------------------------------------- WATCH */

TEST(watch)
{
	struct ufiber_event e;
	__u64 before, after;
	long s;

	UF_OPEN_AS(&d, WATCH, 2, 0, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNING(&d, &b);
	ASSERT_NO_EVENT(&d);
	s = uf_server(&a);
	before = uf_now();
	BLOCK(&a);
	after = uf_now();
	e = d.ring[0];
	EXPECT_LE(before, e.time);
	EXPECT_GE(after, e.time);
	ASSERT_EVENT(&a, BLOCKED, s);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	ASSERT_EVENT(&a, UNBLOCKED, s);
	ASSERT_NO_EVENT(&d);
	/* No server is free when it comes back. */
	BLOCK(&a);
	ASSERT_EVENT(&a, BLOCKED, s);
	UF_SPAWN_RUNNING(&d, &c);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_EVENT(&a, UNBLOCKED, NONE);
	uf_post_wait(&c, 0, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_NO_EVENT(&d);
}

/* A wake that finds a server, too. */
TEST(watch_woken)
{
	UF_OPEN_AS(&d, WATCH, 1, 0, 4);
	UF_SPAWN_WAITING(&d, &a, 0);
	ASSERT_NO_EVENT(&d);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_DONE(0, &a);
	ASSERT_EVENT(&a, WOKEN, 0);
	ASSERT_NO_EVENT(&d);
}

/* A block that gives no server away is none. */
TEST(watch_no_block)
{
	UF_OPEN_AS(&d, WATCH, 1, 0, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	d.threads[a.id].critical = 1;
	uf_post_read(&a, fds[0]);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	d.threads[a.id].critical = 0;
	UF_SPAWN(&d, &b);
	uf_post_read(&b, fds[0]);
	ASSERT_TRUE(uf_await_sleep(&b, SYS_read));
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &b);
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_NO_EVENT(&d);
}

/* -------------------------------------------------------------- a full ring */

/*
 * Two threads yield to each other: one event each time. The n-th event is of
 * the first of them if n is even.
 */
static struct uf_thread *pair[] = { &a, &b };

#define YIELD_IN_TURNS(from, to)					\
	do {								\
		unsigned int _n;					\
									\
		for (_n = from; _n < (to); _n++) {			\
			uf_post_wait(pair[_n % 2], YIELD, 0, 0);	\
			ASSERT_DONE(0, pair[(_n + 1) % 2]);		\
		}							\
	} while (0)

#define BEGIN_PAIR()							\
	do {								\
		UF_OPEN(&d, 1, 2);					\
		UF_SPAWN_RUNNING(&d, &a);				\
		UF_SPAWN_RUNNABLE(&d, &b);				\
		ASSERT_EVENT(&b, WOKEN, NONE);				\
	} while (0)

TEST(order_and_wrapping)
{
	unsigned int entries, i;
	__u64 time = 0;

	BEGIN_PAIR();
	entries = d.setup.ring_entries;
	for (i = 0; i < 5 * entries; i++) {
		struct ufiber_event e;

		YIELD_IN_TURNS(i, i + 1);
		ASSERT_EQ(i + 2, d.shared->ring_tail);
		e = d.ring[(i + 1) % entries];
		ASSERT_LE(time, e.time);
		time = e.time;
		ASSERT_EVENT(pair[i % 2], YIELDED, NONE);
	}
	EXPECT_EQ(0, d.shared->ring_lost);
	ASSERT_AGREES(&d);
}

TEST(full)
{
	unsigned int entries, i;

	BEGIN_PAIR();
	entries = d.setup.ring_entries;
	YIELD_IN_TURNS(0, entries);
	EXPECT_EQ(entries + 1, d.shared->ring_tail);
	EXPECT_EQ(0, d.shared->ring_lost);
	ASSERT_AGREES(&d);
	YIELD_IN_TURNS(entries, entries + 5);
	EXPECT_EQ(entries + 1, d.shared->ring_tail);
	EXPECT_EQ(5, d.shared->ring_lost);
	ASSERT_AGREES(&d);
	/* Nothing that was not read has been overwritten. */
	for (i = 0; i < entries; i++)
		ASSERT_EVENT(pair[i % 2], YIELDED, NONE);
	ASSERT_NO_EVENT(&d);
	/* With room again it goes on; one lost event does not come back. */
	YIELD_IN_TURNS(entries + 5, entries + 7);
	ASSERT_EVENT(pair[(entries + 5) % 2], YIELDED, NONE);
	ASSERT_EVENT(pair[(entries + 6) % 2], YIELDED, NONE);
	EXPECT_EQ(5, d.shared->ring_lost);
	ASSERT_AGREES(&d);
}

/* --------------------------------------------------------------- scribbling */

TEST(scribbled_head)
{
	unsigned int entries, i, n = 0;

	BEGIN_PAIR();
	entries = d.setup.ring_entries;
	const __u32 heads[] = {
		1, 0, 2, entries, entries + 1, -1, -entries, -entries - 1,
		0x7fffffff, 0x80000000, 0x12345678,
	};

	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		__u32 tail = d.shared->ring_tail;
		__u64 lost = d.shared->ring_lost;

		d.shared->ring_head = tail + heads[i];
		YIELD_IN_TURNS(n, n + 3);
		n += 3;
		/* Each event has been written or lost, and nobody is harmed. */
		EXPECT_EQ(3, d.shared->ring_tail - tail + d.shared->ring_lost - lost);
		ASSERT_EQ(UFIBER_THREAD_RUNNING, uf_state(pair[n % 2]));
		ASSERT_EQ(UFIBER_THREAD_RUNNABLE, uf_state(pair[(n + 1) % 2]));
		/* Put right, all is right. */
		d.shared->ring_head = d.shared->ring_tail;
		YIELD_IN_TURNS(n, n + 1);
		ASSERT_EVENT(pair[n % 2], YIELDED, NONE);
		n++;
		ASSERT_AGREES(&d);
	}
}

/* What the module wrote there is its own: it does not read it back. */
TEST(scribbled_words)
{
	__u32 tail;

	BEGIN_PAIR();
	YIELD_IN_TURNS(0, 1);
	tail = d.shared->ring_tail;
	d.shared->ring_tail = 0x55555555;
	d.shared->ring_lost = 77;
	memset((void *)d.ring, 0xff, d.setup.ring_entries * sizeof(*d.ring));
	YIELD_IN_TURNS(1, 2);
	EXPECT_EQ(tail + 1, d.shared->ring_tail);
	d.shared->ring_head = tail;
	ASSERT_EVENT(pair[1], YIELDED, NONE);
	ASSERT_NO_EVENT(&d);
}

/* The cookie is whatever was said, and said anew at each registration. */
static long do_register(long *args)
{
	struct ufiber_register reg = { .size = sizeof(reg), .cookie = args[1] };
	long ret = uf_ioctl(args[0], UFIBER_IOC_REGISTER, &reg);

	uf_self->id = reg.thread;
	return ret;
}

TEST(cookie)
{
	static const long cookies[] = { 0, -1, 1, 0x123456789abcdef0, 1L << 63 };
	struct ufiber_event e;
	unsigned int i;

	UF_OPEN(&d, 1, 2);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(0, uf_spawn_bare(&d, &b));
	for (i = 0; i < ARRAY_SIZE(cookies); i++) {
		ASSERT_EQ(0, uf_call(&b, do_register, (long)d.fd, cookies[i]));
		uf_post_wait(&b, ACQUIRE, 0, 0);
		ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
		ASSERT_TRUE(uf_event(&d, &e));
		EXPECT_EQ((__u64)cookies[i], e.cookie);
		EXPECT_EQ(b.id, e.thread);
		EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
		ASSERT_DONE(-ECANCELED, &b);
		ASSERT_EQ(0, uf_unregister(&b));
	}
}

/* ------------------------------------------------------------------ at once */

#define TURNS	2000

static atomic_bool enough;

static long do_yields(long *args)
{
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = YIELD };
	long ret = 0;

	while (!atomic_load(&enough) && ret >= 0)
		ret = uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait);
	return ret < 0 ? ret : uf_ioctl(args[0], UFIBER_IOC_UNREGISTER, NULL);
}

/* Read while it is written to: nothing is torn or told twice, and all are heard. */
TEST(reading_while_written)
{
	unsigned long of[3] = { 0 }, found = 0;
	struct uf_thread *t[] = { &a, &b, &c };
	struct ufiber_event e;
	__u64 time = 0;
	unsigned int i;

	UF_OPEN(&d, 1, 3);
	for (i = 0; i < 3; i++) {
		UF_SPAWN(&d, t[i]);
		ASSERT_EQ(i, t[i]->id);
	}
	for (i = 0; i < 3; i++)
		uf_order(t[i], do_yields, (long)d.fd);
	while (found < TURNS || !of[0] || !of[1] || !of[2]) {
		while (uf_event(&d, &e)) {
			ASSERT_GT(3, e.thread);
			ASSERT_EQ((uintptr_t)t[e.thread], e.cookie);
			ASSERT_TRUE(e.reason == UFIBER_REASON_YIELDED ||
				    e.reason == UFIBER_REASON_WOKEN);
			ASSERT_EQ(NONE, e.server);
			ASSERT_EQ(0, e.reserved);
			ASSERT_LE(time, e.time);
			time = e.time;
			of[e.thread]++;
			found++;
		}
		sched_yield();
	}
	atomic_store(&enough, true);
	for (i = 0; i < 3; i++)
		ASSERT_DONE(0, t[i]);
	found += d.shared->ring_tail - d.shared->ring_head;
	EXPECT_EQ(d.shared->ring_tail, found);
}

TEST_HARNESS_MAIN

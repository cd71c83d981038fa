// SPDX-License-Identifier: GPL-2.0
/* UFIBER_IOC_STATS: the accounts of threads and servers. */
#include "uf_test.h"
#include <sched.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define YIELD		UFIBER_WAIT_YIELD
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD
#define NONE		UFIBER_NONE
#define MS		1000000ULL

static struct uf_dom d;
static struct uf_thread a, b;
static int fds[2];

/* The times of a thread and a server, and when they were read. */
struct times {
	__u64 before, after;
	__u64 of[5];
	__u64 server;
};

enum { RUNNING, BLOCKED, HELD, PREEMPTED, IDLE };

static const char *const names[] = { "running", "blocked", "held", "preempted", "idle" };

static long read_times(struct uf_thread *t, __u32 server, struct times *times)
{
	struct ufiber_stats s;
	long ret;

	times->before = uf_now();
	ret = uf_stats(t->dom, t->id, server, &s);
	times->after = uf_now();
	times->of[RUNNING] = s.time_running;
	times->of[BLOCKED] = s.time_blocked;
	times->of[HELD] = s.time_held;
	times->of[PREEMPTED] = s.time_preempted;
	times->of[IDLE] = s.time_idle;
	times->server = s.server_time;
	return ret;
}

/*
 * The thread is in this state for some time: that is what grows, by the time that
 * has passed, and nothing else. So does the server's if it is held.
 */
#define EXPECT_GROWS(t, what, held)					\
	do {								\
		struct times _from, _to;				\
		unsigned int _i;					\
									\
		ASSERT_EQ(0, read_times(t, 0, &_from));			\
		while (uf_now() < _from.after + 3 * MS)			\
			sched_yield();					\
		ASSERT_EQ(0, read_times(t, 0, &_to));			\
		for (_i = 0; _i < 5; _i++) {				\
			if (_i == (what))				\
				continue;				\
			EXPECT_EQ(_from.of[_i], _to.of[_i])		\
				TH_LOG("time %s grows, while it is %s", names[_i], \
				       names[what]);			\
		}							\
		EXPECT_LE(_to.before - _from.after, _to.of[what] - _from.of[what]); \
		EXPECT_GE(_to.after - _from.before, _to.of[what] - _from.of[what]); \
		if (held) {						\
			EXPECT_LE(_to.before - _from.after, _to.server - _from.server); \
			EXPECT_GE(_to.after - _from.before, _to.server - _from.server); \
		} else {						\
			EXPECT_EQ(_from.server, _to.server);		\
		}							\
	} while (0)

TEST(time_by_state)
{
	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN(&d, &a);
	EXPECT_GROWS(&a, IDLE, false);			/* not in WAIT */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	EXPECT_GROWS(&a, IDLE, false);			/* parked */
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_DONE(0, &a);
	EXPECT_GROWS(&a, RUNNING, true);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	EXPECT_GROWS(&a, BLOCKED, false);		/* server VACANT */
	UF_SPAWN_RUNNING(&d, &b);
	EXPECT_GROWS(&a, BLOCKED, true);
	EXPECT_GROWS(&b, RUNNING, true);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	EXPECT_GROWS(&a, HELD, true);			/* after a block */
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(1, &a);
	EXPECT_GROWS(&a, RUNNING, true);
	EXPECT_GROWS(&b, IDLE, true);			/* standing by */
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	EXPECT_GROWS(&a, PREEMPTED, true);		/* by KICK */
	ASSERT_DONE(0, &b);
	uf_post_wait(&b, YIELD, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_GROWS(&b, PREEMPTED, true);		/* by YIELD */
	EXPECT_GROWS(&a, RUNNING, true);
	atomic_store(&a.stop, 1);
	ASSERT_DONE(0, &a);
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_DONE(0, &b);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	EXPECT_GROWS(&a, HELD, true);			/* woken */
	ASSERT_EQ(0, uf_unregister(&b));
	ASSERT_DONE(0, &a);
	/* Asleep with its server: running. */
	d.threads[a.id].critical = 1;
	uf_post_read(&a, fds[0]);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	EXPECT_GROWS(&a, RUNNING, true);
	d.servers[0].owner = UFIBER_OWNER(UFIBER_SERVER_POLLING, a.id);
	ASSERT_SERVER(&d, 0, POLLING, a.id);
	EXPECT_GROWS(&a, RUNNING, true);		/* the server is POLLING */
}

/* A preempted thread that is then woken, signalled or what not is as before. */
TEST(time_after_a_signal)
{
	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	EXPECT_GROWS(&a, PREEMPTED, true);
	atomic_store(&a.stop, 1);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNABLE, 0);
	EXPECT_GROWS(&a, PREEMPTED, true);
}

/* A registration begins at nought; the server's account goes on. */
TEST(registered_anew)
{
	struct ufiber_stats s;
	__u64 before;
	int i;

	UF_OPEN(&d, 1, 1);
	UF_SPAWN_RUNNING(&d, &a);
	while (uf_now() < d.opened + 5 * MS)
		sched_yield();
	for (i = 2; i < 6; i++) {
		__u64 server_time;

		ASSERT_EQ(0, uf_stats(&d, a.id, 0, &s));
		server_time = s.server_time;
		EXPECT_LT(0, server_time);
		ASSERT_EQ(0, uf_unregister(&a));
		before = uf_now();
		ASSERT_EQ(0, uf_register(&a));
		ASSERT_EQ(0, uf_stats(&d, a.id, 0, &s));
		EXPECT_EQ(0, s.time_running + s.time_blocked + s.time_held + s.time_preempted);
		EXPECT_GE(uf_now() - before, s.time_idle);
		EXPECT_LE(server_time, s.server_time);
		EXPECT_EQ(i - 1, s.server_grants);
		EXPECT_EQ(0, uf_wait(&a, STANDBY, 0, 0));
		ASSERT_AGREES(&d);
	}
}

/* ------------------------------------------------------------------- counts */

static __u64 latencies(void)
{
	struct ufiber_stats s;
	__u64 sum = 0;
	unsigned int i;

	if (uf_stats(&d, NONE, NONE, &s))
		return ~0ULL;
	for (i = 0; i < UFIBER_LATENCIES; i++)
		sum += s.latency[i];
	return sum;
}

TEST(latency)
{
	__u64 start, longest = 0, handoffs;
	struct ufiber_stats s;
	unsigned int i, top;

	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_EQ(0, latencies());
	/* No hand-off: the server is left VACANT. */
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	EXPECT_EQ(0, latencies());
	/* Nor is a hand-over one, nor a preemption. */
	UF_SPAWN_WAITING(&d, &b, 0);
	uf_post_wait(&a, HANDOVER, b.id, 0);
	ASSERT_DONE(0, &b);
	uf_post_wait(&b, HANDOVER | STANDBY, a.id, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_DONE(0, &b);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_STATE(&a, RUNNING, UF_ANY_FLAGS);
	EXPECT_EQ(0, latencies());

	for (i = 1; i <= 50; i++) {
		start = uf_now();
		uf_post_read(&a, fds[0]);
		ASSERT_DONE(0, &b);
		longest = uf_now() - start > longest ? uf_now() - start : longest;
		ASSERT_EQ(i, latencies());
		EXPECT_EQ(0, uf_put(fds[1]));
		ASSERT_STATE(&a, RUNNABLE, Q_HELD);
		uf_post_wait(&b, STANDBY, 0, 0);
		ASSERT_DONE(1, &a);
		ASSERT_STATE(&b, IDLE, Q_STANDBY);
	}
	/* None took longer than was seen from here, nor no time at all. */
	ASSERT_EQ(0, uf_stats(&d, NONE, 0, &s));
	handoffs = s.server_handoffs;
	EXPECT_EQ(50, handoffs);
	for (top = UFIBER_LATENCIES; top-- > 0 && !s.latency[top]; )
		;
	EXPECT_GE(longest, 1ULL << top);
	EXPECT_EQ(0, s.latency[0] + s.latency[1] + s.latency[2] + s.latency[3]);
	/* No grant of another kind adds to them. */
	uf_post_wait(&a, HANDOVER, b.id, 0);
	ASSERT_DONE(0, &b);
	uf_post_wait(&b, HANDOVER | STANDBY, a.id, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(50, latencies());
	/* To a thread that was held it is one, too. */
	uf_post_read(&a, fds[0]);
	ASSERT_DONE(0, &b);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	uf_post_read(&b, fds[0]);
	ASSERT_DONE(1, &a);
	EXPECT_EQ(52, latencies());
}

TEST(counts)
{
	struct ufiber_stats s;

	UF_OPEN(&d, 2, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &b);
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	/* What user mode writes is not what is told. */
	d.threads[a.id].blocks = 1000;
	d.threads[a.id].holds = 1000;
	d.threads[a.id].preempts = 1000;
	memset((void *)&d.servers[uf_server(&a)].blocks, 0x55, 40);
	ASSERT_EQ(0, uf_stats(&d, a.id, uf_server(&a), &s));
	EXPECT_EQ(1, s.thread_blocks);
	EXPECT_EQ(0, s.thread_holds);
	EXPECT_EQ(0, s.thread_preempts);
	EXPECT_EQ(1, s.server_blocks);
	EXPECT_EQ(0, s.server_handoffs);
	EXPECT_EQ(1, s.server_takeovers);
	EXPECT_EQ(2, s.server_grants);
	EXPECT_EQ(0, s.server_preempts);
	/* The other thread and the other server, in one question. */
	ASSERT_EQ(0, uf_stats(&d, a.id, uf_server(&b), &s));
	EXPECT_EQ(1, s.thread_blocks);
	EXPECT_EQ(0, s.server_blocks);
	EXPECT_EQ(1, s.server_grants);
}

TEST(errors)
{
	struct ufiber_stats s;
	unsigned int i;

	UF_OPEN_AS(&d, 0, 1, 2, 4);
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_EQ(0, uf_stats(&d, NONE, NONE, &s));
	EXPECT_EQ(NONE, s.thread);
	EXPECT_EQ(NONE, s.server);
	EXPECT_EQ(0, uf_stats(&d, a.id, 1, &s));	/* OFFLINE */
	EXPECT_EQ(0, s.server_time);
	EXPECT_EQ(-EINVAL, uf_stats(&d, NONE, 2, &s));
	EXPECT_EQ(-EINVAL, uf_stats(&d, NONE, NONE - 1, &s));
	EXPECT_EQ(-ESRCH, uf_stats(&d, 3, NONE, &s));
	EXPECT_EQ(-ESRCH, uf_stats(&d, 4, 0, &s));
	EXPECT_EQ(-ESRCH, uf_stats(&d, NONE - 1, NONE, &s));
	for (i = 0; i < 32; i++) {
		s = (struct ufiber_stats){ .size = sizeof(s), .flags = 1U << i,
					   .thread = NONE, .server = NONE };
		EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_STATS, &s));
	}
}

/* ----------------------------------------------------------- all at one moment */

#define TURNS	1000

static long do_turns(long *args)
{
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = ACQUIRE };
	struct timespec ts = { .tv_nsec = 1000 };
	long i, ret = uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait);

	wait.flags = YIELD;
	for (i = 0; i < TURNS && ret >= 0; i++) {
		if (i % 4)
			ret = uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait);
		else if (syscall(SYS_nanosleep, &ts, NULL))
			ret = -errno;
	}
	wait.flags = 0;
	if (ret >= 0)
		atomic_store(&uf_self->stop, 1);
	return ret < 0 ? ret : uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait);
}

/* Asked at any moment, the times add up: none is counted twice or not at all. */
TEST(while_it_moves)
{
	struct uf_thread *t[] = { &a, &b };
	struct times last = { 0 }, now;
	unsigned int i, asked = 0;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN(&d, &a);
	UF_SPAWN(&d, &b);
	uf_order(&a, do_turns, (long)d.fd);
	uf_order(&b, do_turns, (long)d.fd);
	while (!atomic_load(&a.stop) || !atomic_load(&b.stop)) {
		for (i = 0; i < 2; i++) {
			struct uf_joined joined = d.joined[t[i]->id];
			__u64 sum;

			ASSERT_EQ(0, read_times(t[i], 0, &now));
			sum = now.of[0] + now.of[1] + now.of[2] + now.of[3] + now.of[4];
			ASSERT_LE(now.before - joined.after, sum);
			ASSERT_GE(now.after - joined.before, sum);
			ASSERT_LE(last.server, now.server);
			ASSERT_GE(now.after - d.opened, now.server);
			last = now;
		}
		ASSERT_FALSE(uf_is_done(&a));
		asked++;
	}
	EXPECT_LT(10, asked);
	ASSERT_AGREES(&d);
}

TEST_HARNESS_MAIN

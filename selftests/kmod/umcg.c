// SPDX-License-Identifier: GPL-2.0
/*
 * A port of programs that were written for UMCG (User Managed Concurrency
 * Groups, Peter Oskolkov, 2021): one thread for each fiber, scheduled by server
 * threads. Below are UMCG's library calls by those of ufiber, one or two each,
 * then programs of the shapes that UMCG's own selftests have.
 *
 * UMCG called "server" what is a scheduler's thread here, with the right to run
 * that it has.
 */
#include "uf_test.h"
#include <sched.h>

#define umcg_tid	__u32
#define UMCG_NONE	UFIBER_NONE
#define MAX_TASKS	64

enum umcg_state { UMCG_GONE, UMCG_RUNNING, UMCG_BLOCKED, UMCG_RUNNABLE, UMCG_WAITING };

/* umcg_create_group(): a domain. The main thread of each test is registered. */
static struct uf_dom group;
#define CREATE_GROUP(servers) \
	UF_OPEN_AS(&group, UFIBER_SETUP_USER_SCHED, servers, 0, MAX_TASKS)

static intptr_t tags[MAX_TASKS];
static umcg_tid current_worker[8];	/* by server */
static __thread umcg_tid self = UMCG_NONE;

static long do_wait(__u32 flags, umcg_tid next, __u64 timeout)
{
	struct ufiber_wait wait = {
		.size = sizeof(wait),
		.flags = flags | (timeout ? UFIBER_WAIT_TIMEOUT : 0),
		.next = next,
		.clock = timeout ? CLOCK_MONOTONIC : 0,
		.timeout = timeout,
	};

	return uf_ioctl(group.fd, UFIBER_IOC_WAIT, &wait);
}

static umcg_tid umcg_get_utid(void)
{
	return self;
}

static umcg_tid do_register(intptr_t tag)
{
	struct ufiber_register reg = { .size = sizeof(reg), .cookie = tag };

	if (uf_ioctl(group.fd, UFIBER_IOC_REGISTER, &reg))
		return UMCG_NONE;
	tags[reg.thread] = tag;
	return self = reg.thread;
}

/*
 * umcg_register_worker(): returns when a server first runs it.
 */
static umcg_tid umcg_register_worker(intptr_t tag, atomic_uint *utid)
{
	if (do_register(tag) == UMCG_NONE)
		return UMCG_NONE;
	atomic_store(utid, self);
	return do_wait(UFIBER_WAIT_ACQUIRE, 0, 0) < 0 ? UMCG_NONE : self;
}

/*
 * umcg_register_server(). A server that blocks keeps what it has: nobody would
 * schedule the scheduler.
 */
static umcg_tid umcg_register_server(void)
{
	if (do_register(-1) == UMCG_NONE)
		return UMCG_NONE;
	group.threads[self].critical = 1;
	return do_wait(UFIBER_WAIT_STANDBY, 0, 0) < 0 ? UMCG_NONE : self;
}

/* umcg_unregister_task() */
static long umcg_unregister_task(void)
{
	self = UMCG_NONE;
	return uf_ioctl(group.fd, UFIBER_IOC_UNREGISTER, NULL);
}

/* umcg_wait(): the server that ran this worker gets on; till umcg_wake(). */
static long umcg_wait(__u64 timeout)
{
	long ret = do_wait(0, 0, timeout);

	return ret < 0 ? ret : 0;
}

/* umcg_wake(): it is RUNNABLE, and polled by a server. */
static long umcg_wake(umcg_tid next)
{
	return uf_wake_id(&group, next, 0);
}

/* umcg_swap(): wait, and @next runs in my stead, on the same server. */
static long umcg_swap(umcg_tid next, __u64 timeout)
{
	long ret;

	current_worker[group.threads[self].server] = next;
	ret = do_wait(UFIBER_WAIT_HANDOVER, next, timeout);
	return ret < 0 ? ret : 0;
}

/* umcg_preempt_worker() */
static long umcg_preempt_worker(umcg_tid worker)
{
	return uf_target_id(&group, UFIBER_IOC_KICK, worker);
}

/* umcg_poll_worker(): the next worker that is RUNNABLE; sleep until there is one. */
static umcg_tid umcg_poll_worker(void)
{
	static atomic_flag reading = ATOMIC_FLAG_INIT;
	struct ufiber_event event;
	bool found;

	for (;;) {
		while (atomic_flag_test_and_set(&reading))
			sched_yield();
		found = uf_event(&group, &event);
		atomic_flag_clear(&reading);
		if (found)
			return event.thread;
		if (do_wait(UFIBER_WAIT_STANDBY | UFIBER_WAIT_WORK, 0, 0) < 0)
			return UMCG_NONE;
	}
}

/*
 * umcg_run_worker(): until it blocks, waits, is preempted or ends; returns the
 * worker that did so, as they may have swapped, or UMCG_NONE if it has ended.
 */
static umcg_tid umcg_run_worker(umcg_tid worker)
{
	long server = group.threads[self].server;

	current_worker[server] = worker;
	server = do_wait(UFIBER_WAIT_HANDOVER | UFIBER_WAIT_STANDBY, worker, 0);
	if (server < 0)
		return worker;		/* it was stale: somebody else has run it */
	worker = current_worker[server];
	return group.threads[worker].state == UFIBER_THREAD_FREE ? UMCG_NONE : worker;
}

/* umcg_get_task_state(), umcg_get_task_tag() */
static enum umcg_state umcg_get_task_state(umcg_tid utid)
{
	struct ufiber_query q;

	if (uf_query(&group, utid, UFIBER_NONE, &q))
		return UMCG_GONE;
	switch (q.thread_state) {
	case UFIBER_THREAD_RUNNING:
		return UMCG_RUNNING;
	case UFIBER_THREAD_BLOCKED:
		return UMCG_BLOCKED;
	case UFIBER_THREAD_RUNNABLE:
		return UMCG_RUNNABLE;
	default:
		return UMCG_WAITING;
	}
}

static intptr_t umcg_get_task_tag(umcg_tid utid)
{
	return tags[utid];
}

/* ------------------------------------------------------------ the programs */

struct worker {
	pthread_t pthread;
	atomic_uint utid;
	intptr_t tag;
	void (*fn)(struct worker *self);
	atomic_int checkpoint;
	struct worker *next;
	long ret;
	/* Its thread-local data must stay its own. */
	int *tls;
};

static __thread int in_tls;

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	w->tls = &in_tls;
	in_tls = (int)w->tag + 1000;
	errno = (int)w->tag + 1;
	if (umcg_register_worker(w->tag, &w->utid) != umcg_get_utid()) {
		w->ret = -1;
		return NULL;
	}
	w->fn(w);
	if (in_tls != (int)w->tag + 1000 || w->tls != &in_tls)
		w->ret = -2;
	if (umcg_unregister_task())
		w->ret = -3;
	return NULL;
}

static bool worker_is_there(void *arg)
{
	struct worker *w = arg;

	return atomic_load(&w->utid) != UMCG_NONE &&
	       umcg_get_task_state(atomic_load(&w->utid)) == UMCG_RUNNABLE;
}

/* Start a worker; it waits to be polled and run. */
#define START(w, main, f, t)						\
	do {								\
		(w)->fn = f;						\
		(w)->tag = t;						\
		(w)->ret = 0;						\
		atomic_store(&(w)->utid, UMCG_NONE);			\
		ASSERT_EQ(0, pthread_create(&(w)->pthread, NULL, main, w)); \
		ASSERT_TRUE(uf_await(&group, worker_is_there, w, "a worker to register")); \
	} while (0)

#define JOIN(w)								\
	do {								\
		ASSERT_EQ(0, pthread_join((w)->pthread, NULL));		\
		EXPECT_EQ(0, (w)->ret);					\
	} while (0)

/*
 * Poll and run this worker until it ends. Unlike the first run it may block in
 * between, in a page fault say, so how often is not known.
 */
#define RUN_TO_ITS_END(w)						\
	do {								\
		umcg_tid _utid;						\
									\
		do {							\
			ASSERT_EQ((w)->utid, umcg_poll_worker());	\
			_utid = umcg_run_worker((w)->utid);		\
			ASSERT_TRUE(_utid == UMCG_NONE || _utid == (w)->utid); \
		} while (_utid != UMCG_NONE);				\
	} while (0)

/* Poll and run it until it has come to this checkpoint. */
#define RUN_TO_CHECKPOINT(w, n)						\
	do {								\
		ASSERT_EQ((w)->utid, umcg_poll_worker());		\
		ASSERT_EQ((w)->utid, umcg_run_worker((w)->utid));	\
	} while (atomic_load(&(w)->checkpoint) != (n))

static void running_worker(struct worker *w)
{
	atomic_store(&w->checkpoint, 1);
}

TEST(poll_run)
{
	static struct worker w;

	CREATE_GROUP(1);
	START(&w, worker_main, running_worker, 0);
	EXPECT_EQ(0, atomic_load(&w.checkpoint));
	ASSERT_NE(UMCG_NONE, umcg_register_server());
	EXPECT_EQ(UMCG_RUNNABLE, umcg_get_task_state(w.utid));
	EXPECT_EQ(0, atomic_load(&w.checkpoint));
	RUN_TO_ITS_END(&w);
	EXPECT_EQ(1, atomic_load(&w.checkpoint));
	EXPECT_EQ(UMCG_RUNNING, umcg_get_task_state(self));
	JOIN(&w);
	EXPECT_EQ(UMCG_GONE, umcg_get_task_state(w.utid));
	EXPECT_EQ(0, umcg_unregister_task());
	ASSERT_AGREES(&group);
}

/* It sleeps in the kernel; the server gets on, and is told when it is over. */
static int sleeping[2];

static void sleeping_worker(struct worker *w)
{
	char byte;

	atomic_store(&w->checkpoint, 1);
	w->ret = read(sleeping[0], &byte, 1) != 1;
	atomic_store(&w->checkpoint, 2);
	if (!w->ret)
		w->ret = read(sleeping[0], &byte, 1) != 1;
	usleep(2000);
	atomic_store(&w->checkpoint, 3);
}

TEST(sleeps)
{
	static struct worker w;

	CREATE_GROUP(1);
	ASSERT_EQ(0, pipe(sleeping));
	START(&w, worker_main, sleeping_worker, 0);
	ASSERT_NE(UMCG_NONE, umcg_register_server());
	RUN_TO_CHECKPOINT(&w, 1);
	EXPECT_EQ(UMCG_BLOCKED, umcg_get_task_state(w.utid));
	EXPECT_EQ(UMCG_RUNNING, umcg_get_task_state(self));
	EXPECT_EQ(1, group.threads[w.utid].blocks);
	/* What it waits for comes: it does not go on before it is run. */
	ASSERT_EQ(0, uf_put(sleeping[1]));
	EXPECT_EQ(w.utid, umcg_poll_worker());
	EXPECT_EQ(UMCG_RUNNABLE, umcg_get_task_state(w.utid));
	EXPECT_EQ(1, atomic_load(&w.checkpoint));
	ASSERT_EQ(w.utid, umcg_run_worker(w.utid));
	EXPECT_EQ(2, atomic_load(&w.checkpoint));
	EXPECT_EQ(UMCG_BLOCKED, umcg_get_task_state(w.utid));
	/* The rest by itself, the server asleep meanwhile. */
	ASSERT_EQ(0, uf_put(sleeping[1]));
	RUN_TO_ITS_END(&w);
	EXPECT_EQ(3, atomic_load(&w.checkpoint));
	JOIN(&w);
	EXPECT_EQ(0, umcg_unregister_task());
	ASSERT_AGREES(&group);
}

/* Of two, the server runs the one it likes; the other does not run meanwhile. */
TEST(only_who_is_run)
{
	static struct worker w[2];

	CREATE_GROUP(1);
	ASSERT_EQ(0, pipe(sleeping));
	START(&w[0], worker_main, running_worker, 0);
	START(&w[1], worker_main, sleeping_worker, 1);
	ASSERT_NE(UMCG_NONE, umcg_register_server());
	ASSERT_EQ(w[0].utid, umcg_poll_worker());
	RUN_TO_CHECKPOINT(&w[1], 1);
	EXPECT_EQ(UMCG_BLOCKED, umcg_get_task_state(w[1].utid));
	ASSERT_EQ(0, uf_put(sleeping[1]));
	ASSERT_EQ(0, uf_put(sleeping[1]));
	RUN_TO_ITS_END(&w[1]);
	EXPECT_EQ(3, atomic_load(&w[1].checkpoint));
	/* Its turn. */
	EXPECT_EQ(UMCG_RUNNABLE, umcg_get_task_state(w[0].utid));
	EXPECT_EQ(0, atomic_load(&w[0].checkpoint));
	EXPECT_EQ(0, group.threads[w[0].utid].blocks);
	while (umcg_run_worker(w[0].utid) != UMCG_NONE)
		ASSERT_EQ(w[0].utid, umcg_poll_worker());
	EXPECT_EQ(1, atomic_load(&w[0].checkpoint));
	JOIN(&w[0]);
	JOIN(&w[1]);
	EXPECT_EQ(0, umcg_unregister_task());
	ASSERT_AGREES(&group);
}

static void waiting_worker(struct worker *w)
{
	atomic_store(&w->checkpoint, 1);
	w->ret = umcg_wait(0);
	atomic_store(&w->checkpoint, 2);
}

TEST(wait_wake)
{
	static struct worker w;

	CREATE_GROUP(1);
	START(&w, worker_main, waiting_worker, 0);
	ASSERT_NE(UMCG_NONE, umcg_register_server());
	RUN_TO_CHECKPOINT(&w, 1);
	EXPECT_EQ(UMCG_WAITING, umcg_get_task_state(w.utid));
	EXPECT_EQ(0, umcg_wake(w.utid));
	EXPECT_EQ(UMCG_RUNNABLE, umcg_get_task_state(w.utid));
	EXPECT_EQ(1, atomic_load(&w.checkpoint));
	RUN_TO_ITS_END(&w);
	EXPECT_EQ(2, atomic_load(&w.checkpoint));
	JOIN(&w);
	EXPECT_EQ(0, umcg_unregister_task());
}

/* The wake comes before the wait: the wait is over as it begins. */
static void woken_worker(struct worker *w)
{
	w->ret = umcg_wake(umcg_get_utid());
	if (!w->ret)
		w->ret = umcg_wait(0);
}

TEST(wake_before_wait)
{
	static struct worker w;

	CREATE_GROUP(1);
	START(&w, worker_main, woken_worker, 0);
	ASSERT_NE(UMCG_NONE, umcg_register_server());
	RUN_TO_ITS_END(&w);
	JOIN(&w);
}

static void timed_worker(struct worker *w)
{
	__u64 time = uf_now() + 10000000;

	atomic_store(&w->checkpoint, 1);
	if (umcg_wait(time) != -ETIMEDOUT)
		w->ret = -4;
	if (uf_now() < time)
		w->ret = -5;
}

TEST(wait_with_timeout)
{
	static struct worker w;

	CREATE_GROUP(1);
	START(&w, worker_main, timed_worker, 0);
	ASSERT_NE(UMCG_NONE, umcg_register_server());
	RUN_TO_ITS_END(&w);
	JOIN(&w);
}

/* Two workers swap back and forth, the server not involved. */
#define PINGS	1000

static void ping_worker(struct worker *w)
{
	int i;

	for (i = 0; i < PINGS && !w->ret; i++) {
		++in_tls;
		atomic_fetch_add(&w->checkpoint, 1);
		w->ret = umcg_swap(w->next->utid, 0);
	}
	in_tls -= PINGS;
}

TEST(ping_pong)
{
	static struct worker w[2];
	umcg_tid utid;

	CREATE_GROUP(1);
	START(&w[0], worker_main, ping_worker, 0);
	START(&w[1], worker_main, ping_worker, 1);
	w[0].next = &w[1];
	w[1].next = &w[0];
	ASSERT_NE(UMCG_NONE, umcg_register_server());
	ASSERT_EQ(w[0].utid, umcg_poll_worker());
	ASSERT_EQ(w[1].utid, umcg_poll_worker());
	/* A page fault or the like may call the server in between. */
	utid = w[0].utid;
	while ((utid = umcg_run_worker(utid)) != UMCG_NONE)
		ASSERT_EQ(utid, umcg_poll_worker());
	/* The first has ended, after the second's last turn. */
	EXPECT_EQ(PINGS, atomic_load(&w[0].checkpoint));
	EXPECT_EQ(PINGS, atomic_load(&w[1].checkpoint));
	JOIN(&w[0]);
	EXPECT_EQ(UMCG_WAITING, umcg_get_task_state(w[1].utid));
	EXPECT_EQ(0, umcg_wake(w[1].utid));
	RUN_TO_ITS_END(&w[1]);
	JOIN(&w[1]);
	EXPECT_LE(2 * PINGS, group.servers[0].grants);
	EXPECT_EQ(0, umcg_unregister_task());
	ASSERT_AGREES(&group);
}

/* A chain: each swaps to the next, the last one waits. */
#define CHAIN	10

static void chained_worker(struct worker *w)
{
	atomic_store(&w->checkpoint, 1);
	w->ret = w->next ? umcg_swap(w->next->utid, 0) : umcg_wait(0);
	atomic_store(&w->checkpoint, 2);
}

TEST(swap_chain)
{
	static struct worker w[CHAIN];
	bool polled[CHAIN] = { false };
	umcg_tid utid;
	int i;

	CREATE_GROUP(1);
	for (i = 0; i < CHAIN; i++) {
		w[i].next = i < CHAIN - 1 ? &w[i + 1] : NULL;
		START(&w[i], worker_main, chained_worker, i);
	}
	ASSERT_NE(UMCG_NONE, umcg_register_server());
	for (i = 0; i < CHAIN; i++) {
		utid = umcg_poll_worker();
		ASSERT_EQ(UMCG_RUNNABLE, umcg_get_task_state(utid));
		polled[umcg_get_task_tag(utid)] = true;
	}
	for (i = 0; i < CHAIN; i++)
		EXPECT_TRUE(polled[i]);
	utid = umcg_run_worker(w[0].utid);
	while (umcg_get_task_state(utid) != UMCG_WAITING) {
		ASSERT_EQ(utid, umcg_poll_worker());
		utid = umcg_run_worker(utid);
	}
	EXPECT_EQ(w[CHAIN - 1].utid, utid);
	for (i = 0; i < CHAIN; i++) {
		EXPECT_EQ(1, atomic_load(&w[i].checkpoint));
		EXPECT_EQ(UMCG_WAITING, umcg_get_task_state(w[i].utid));
	}
	/* Run each to its end: it need not be woken to be run. */
	for (i = CHAIN; i-- > 0; ) {
		utid = umcg_run_worker(w[i].utid);
		while (utid != UMCG_NONE) {
			ASSERT_EQ(w[i].utid, umcg_poll_worker());
			utid = umcg_run_worker(utid);
		}
		EXPECT_EQ(2, atomic_load(&w[i].checkpoint));
		JOIN(&w[i]);
	}
	EXPECT_EQ(0, umcg_unregister_task());
	ASSERT_AGREES(&group);
}

/* One that only computes is preempted, by the server's helper. */
static atomic_int stop_computing;

static void computing_worker(struct worker *w)
{
	while (!atomic_load(&stop_computing))
		atomic_fetch_add(&w->checkpoint, 1);
}

static void *preempter(void *arg)
{
	struct worker *w = arg;
	int seen = atomic_load(&w->checkpoint);

	/* It runs. */
	while (atomic_load(&w->checkpoint) == seen)
		sched_yield();
	while (umcg_preempt_worker(w->utid) == -EAGAIN)
		sched_yield();
	return NULL;
}

TEST(preempt)
{
	static struct worker w;
	pthread_t thread;
	int i;

	CREATE_GROUP(1);
	START(&w, worker_main, computing_worker, 0);
	ASSERT_NE(UMCG_NONE, umcg_register_server());
	ASSERT_EQ(w.utid, umcg_poll_worker());
	for (i = 1; i <= 20; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, preempter, &w));
		ASSERT_EQ(w.utid, umcg_run_worker(w.utid));
		ASSERT_EQ(UMCG_RUNNABLE, umcg_get_task_state(w.utid));
		ASSERT_EQ(w.utid, umcg_poll_worker());
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_EQ(i, group.threads[w.utid].preempts);
	}
	atomic_store(&stop_computing, 1);
	ASSERT_EQ(UMCG_NONE, umcg_run_worker(w.utid));
	JOIN(&w);
}

/* ------------------------------------------------- two servers, many workers */

#define WORKERS		16
#define SERVERS		2
#define ROUNDS		50

static struct worker crowd[WORKERS];
static atomic_int ended, at_once, most_at_once;
static atomic_uint server_tids[SERVERS];

/* Compute, sleep, yield by waking itself and waiting: a bit of each. */
static void busy_worker(struct worker *w)
{
	struct timespec ts = { .tv_nsec = 10000 };
	int i, n;

	for (i = 0; i < ROUNDS && !w->ret; i++) {
		n = atomic_fetch_add(&at_once, 1) + 1;
		if (n > atomic_load(&most_at_once))
			atomic_store(&most_at_once, n);
		for (n = 0; n < 500; n++)
			in_tls += n % 2 ? 1 : -1;
		atomic_fetch_sub(&at_once, 1);
		if (i % 3 == 0)
			nanosleep(&ts, NULL);
		else if (i % 3 == 1)
			free(malloc(100 + i));
		else
			w->ret = umcg_wake(umcg_get_utid()) ?: umcg_wait(0);
		if (in_tls != (int)w->tag + 1000)
			w->ret = -6;
	}
}

/* The last one to end lets the servers go, those at least that are there yet. */
static void *crowd_main(void *arg)
{
	int i;

	worker_main(arg);
	if (atomic_fetch_add(&ended, 1) == WORKERS - 1)
		for (i = 0; i < SERVERS; i++)
			uf_wake_id(&group, atomic_load(&server_tids[i]), UFIBER_WAKE_CANCEL);
	return NULL;
}

static void *server_main(void *arg)
{
	umcg_tid utid;

	atomic_store((atomic_uint *)arg, umcg_register_server());
	while (atomic_load(&ended) < WORKERS) {
		utid = umcg_poll_worker();
		if (utid == UMCG_NONE)
			break;
		umcg_run_worker(utid);
	}
	umcg_unregister_task();
	return NULL;
}

TEST(two_servers)
{
	pthread_t threads[SERVERS];
	int i;

	CREATE_GROUP(SERVERS);
	for (i = 0; i < WORKERS; i++)
		START(&crowd[i], crowd_main, busy_worker, i);
	for (i = 0; i < SERVERS; i++) {
		atomic_store(&server_tids[i], UMCG_NONE);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, server_main, &server_tids[i]));
	}
	for (i = 0; i < SERVERS; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	for (i = 0; i < WORKERS; i++)
		JOIN(&crowd[i]);
	EXPECT_EQ(WORKERS, atomic_load(&ended));
	/* Never more of them in user mode than there are servers. */
	EXPECT_GE(SERVERS, atomic_load(&most_at_once));
	EXPECT_LT(0, atomic_load(&most_at_once));
	EXPECT_LT(0, group.servers[0].blocks + group.servers[1].blocks);
	EXPECT_EQ(0, group.shared->ring_lost);
	ASSERT_AGREES(&group);
}

TEST_HARNESS_MAIN

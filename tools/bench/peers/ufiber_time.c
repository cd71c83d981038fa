// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Very many fibers that sleep; and a tree of fibers that is grown and joined by as
 * many servers as the work's name tells.
 */
#include "sleepers.h"
#include "ufiber_peer.h"

static struct uf_event begin = UF_EVENT_INIT;
static struct uf_event end = UF_EVENT_INIT;
static long nr_here, nr_left;
static uint64_t window;

/* Wait until all are there; the last one lets the main fiber go on. */
static void arrive(void)
{
	if (__atomic_add_fetch(&nr_here, 1, __ATOMIC_ACQ_REL) == number)
		uf_event_set(&end);
	uf_event_wait(&begin);
}

static void create_all(void *(*start)(void *))
{
	long i;

	for (i = 0; i < number; i++)
		create_detached(start, (void *)i);
	uf_event_wait(&end);
	uf_event_clear(&end);
}

/* ---------------------------------------------------------------- sleepers */

static uint64_t last_woken;

static void *sleeper(void *arg)
{
	uint64_t after = scatter((uint64_t)(uintptr_t)arg) % WINDOW;

	arrive();
	uf_sleep_until(window + after);
	uf_sleep_until(window + BURST_AFTER);
	if (!__atomic_sub_fetch(&nr_left, 1, __ATOMIC_ACQ_REL)) {
		last_woken = peer_now();
		uf_event_set(&end);
	}
	return NULL;
}

/* Ticks that have been missed are dropped. Returns the 99th percentile. */
static uint64_t tick_in_window(void)
{
	static uint64_t late[WINDOW / TICK + 1];
	uint64_t next = window, t = window, n = 0;

	while (t < window + WINDOW && n < WINDOW / TICK) {
		next += TICK;
		if (next < t)
			next = t + TICK;
		uf_sleep_until(next);
		t = peer_now();
		late[n++] = t - next;
	}
	peer_median(late, n);
	return late[n * 99 / 100];
}

static void *sleepers_main(void *unused)
{
	uint64_t p99;

	(void)unused;
	create_all(sleeper);
	nr_left = number;
	window = peer_now() + WINDOW_AFTER;
	uf_event_set(&begin);
	p99 = tick_in_window();
	uf_event_wait(&end);
	peer_print(work_name,
		   (double)number * 1e9 /
			   (double)(last_woken - window - BURST_AFTER),
		   "wakes/s");
	peer_print("sleepers-tick-p99", (double)p99 / 1000, "us");
	peer_done();
}

void run_sleepers(const char *work, long n)
{
	peer_need_memory((uint64_t)n * 5000);
	run_fibers(2, work, n, sleepers_main);
}

/* ------------------------------------------------------------------ timers */

static struct burst {
	long nr_left;
	uint64_t first;
	uint64_t ns;
} bursts[TIMER_BURSTS];

static void end_burst_sleep(struct burst *b)
{
	long left = __atomic_sub_fetch(&b->nr_left, 1, __ATOMIC_ACQ_REL);

	if (left == number - 1)
		b->first = peer_now();
	if (!left)
		b->ns = peer_now() - b->first;
}

static void *timer_fiber(void *arg)
{
	uint64_t due = scatter((uint64_t)(uintptr_t)arg) % (uint64_t)number;
	int i;

	arrive();
	due += window;
	for (i = 0; i < TIMER_BURSTS; i++) {
		uf_sleep_until(due);
		due += BURST_PERIOD(number);
		end_burst_sleep(&bursts[i]);
	}
	if (!__atomic_sub_fetch(&nr_left, 1, __ATOMIC_ACQ_REL))
		uf_event_set(&end);
	return NULL;
}

static void *timers_main(void *unused)
{
	uint64_t ns[TIMER_BURSTS];
	int i;

	(void)unused;
	for (i = 0; i < TIMER_BURSTS; i++)
		bursts[i].nr_left = number;
	create_all(timer_fiber);
	nr_left = number;
	window = peer_now() + BURST_PERIOD(number);
	uf_event_set(&begin);
	uf_event_wait(&end);
	for (i = 0; i < TIMER_BURSTS; i++)
		ns[i] = bursts[i].ns;
	/* The first burst warms up. */
	peer_print(work_name,
		   (double)peer_median(ns + 1, TIMER_BURSTS - 1) / (double)number,
		   "ns");
	peer_done();
}

void run_timers(const char *work, long n)
{
	peer_need_memory((uint64_t)n * 5000);
	run_fibers(1, work, n, timers_main);
}

/* -------------------------------------------------------------------- tree */

static void *node(void *arg)
{
	uintptr_t depth = (uintptr_t)arg, i;
	struct uf_fiber *left, *right;

	if (!depth) {
		for (i = 0; i < LEAF_TURNS; i++)
			__asm__ volatile("" ::: "memory");
		return NULL;
	}
	left = create(node, (void *)(depth - 1));
	right = create(node, (void *)(depth - 1));
	uf_join(left, NULL);
	uf_join(right, NULL);
	return NULL;
}

static void *tree_main(void *unused)
{
	uint64_t ns[TREE_ROUNDS + 1], start;
	int i;

	(void)unused;
	for (i = 0; i <= TREE_ROUNDS; i++) {
		start = peer_now();
		node((void *)TREE_DEPTH);
		ns[i] = peer_now() - start;
	}
	peer_print(work_name,
		   (double)peer_median(ns + 1, TREE_ROUNDS) / TREE_FIBERS, "ns");
	peer_done();
}

void run_tree(const char *work, long n)
{
	run_fibers((unsigned int)n, work, n, tree_main);
}

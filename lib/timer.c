// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Timers: of each server a pairing heap for those of the current tick (a millisecond
 * or so) and of the past, and a wheel for the later ones. Both need no memory but the
 * nodes, which stand on the stacks of who waits (nothing may allocate in the
 * critical section), and take any node out, which a wake-up before the time does.
 *
 * The heap alone would do, but each of its steps follows pointers from stack to
 * stack, and with 100,000 sleepers all of them miss the caches. The wheel puts a
 * timer away in a list, at once, moves it to a finer list each time that its time
 * has come nearer by a digit, and to the heap for its last tick; there it is sorted.
 *
 * The wheel's digits are those of the tick number to the base 64. A timer whose
 * tick differs from the current one first in digit L (the highest that does) is at
 * level L, in the list of its own digit L. So all at a level come before all at the
 * level above, and in a level the lists are in order of time. The current tick may
 * go on up to the first list's start, and that changes nobody's level. (Known as a
 * hierarchical timing wheel, of Varghese and Lauck.)
 *
 * Timers are not ring timeouts: those complete by task work on the thread that
 * submitted them, which may be blocked.
 */
#include <errno.h>
#include <time.h>

#include "wait.h"

/* So many timers are looked through at once. */
#define UF_FEW 16

static void set_link(struct uf_timer **link, struct uf_timer *timer)
{
	/* Whether a heap is empty is read without its lock. */
	WRITE_ONCE(*link, timer);
	if (timer)
		timer->link = link;
}

/* Join two heaps, either may be empty; the later root becomes a child. */
static struct uf_timer *meld(struct uf_timer *a, struct uf_timer *b)
{
	struct uf_timer *later;

	if (!a || !b)
		return a ? a : b;
	later = a->when < b->when ? b : a;
	a = later == b ? a : b;
	set_link(&later->next, a->child);
	set_link(&a->child, later);
	return a;
}

/* Make one heap of a list of them: meld pairs on the way, then all back. */
static struct uf_timer *meld_list(struct uf_timer *list)
{
	struct uf_timer *pairs = NULL;
	struct uf_timer *root = NULL;
	struct uf_timer *a, *b;

	while (list) {
		a = list;
		b = a->next;
		list = b ? b->next : NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		a = pairs;
		pairs = a->next;
		root = meld(root, a);
	}
	return root;
}

static void set_root(struct uf_timers *timers, struct uf_timer *root)
{
	if (root)
		root->next = NULL;
	set_link(&timers->root, root);
}

static void add_to_heap(struct uf_timers *timers, struct uf_timer *timer)
{
	timer->slot = UF_NO_SLOT;
	timer->child = NULL;
	timer->next = NULL;
	set_root(timers, meld(timers->root, timer));
}

static void remove_from_heap(struct uf_timers *timers, struct uf_timer *timer)
{
	struct uf_timer *rest = meld_list(timer->child);

	if (timers->root != timer) {
		set_link(timer->link, timer->next);
		rest = meld(timers->root, rest);
	}
	set_root(timers, rest);
}

static uint64_t tick_of(uint64_t when)
{
	return when >> UF_TICK_SHIFT;
}

/* To a list of the wheel; its tick is later than the current one. */
static void add_to_wheel(struct uf_timers *timers, struct uf_timer *timer)
{
	uint64_t tick = tick_of(timer->when);
	unsigned int level, list;

	level = (63 - __builtin_clzll(tick ^ timers->tick)) / UF_WHEEL_BITS;
	list = tick >> level * UF_WHEEL_BITS & (UF_WHEEL_LISTS - 1);
	timer->slot = level * UF_WHEEL_LISTS + list;
	set_link(&timer->next, timers->lists[timer->slot]);
	set_link(&timers->lists[timer->slot], timer);
	timers->used[level] |= 1ULL << list;
	WRITE_ONCE(timers->levels, timers->levels | 1U << level);
}

/* Nobody is in this list any more. */
static void mark_unused(struct uf_timers *timers, unsigned int slot)
{
	unsigned int level = slot / UF_WHEEL_LISTS;

	timers->used[level] &= ~(1ULL << slot % UF_WHEEL_LISTS);
	if (!timers->used[level])
		WRITE_ONCE(timers->levels, timers->levels & ~(1U << level));
}

static void remove_from_wheel(struct uf_timers *timers, struct uf_timer *timer)
{
	set_link(timer->link, timer->next);
	if (!timers->lists[timer->slot])
		mark_unused(timers, timer->slot);
}

static void add(struct uf_timers *timers, struct uf_timer *timer)
{
	if (tick_of(timer->when) <= timers->tick)
		add_to_heap(timers, timer);
	else
		add_to_wheel(timers, timer);
}

/* The wheel's first list, and the tick with which it starts; it is not empty. */
static unsigned int first_slot(const struct uf_timers *timers, uint64_t *start)
{
	unsigned int level = __builtin_ctz(timers->levels);
	unsigned int shift = level * UF_WHEEL_BITS;
	unsigned int list = __builtin_ctzll(timers->used[level]);

	/* The digits above are the current tick's, those below are 0. */
	*start = (timers->tick >> shift & ~(uint64_t)(UF_WHEEL_LISTS - 1)) |
		 list;
	*start <<= shift;
	return level * UF_WHEEL_LISTS + list;
}

/*
 * Go on towards the tick of @now, one list at a time: its timers have come nearer and
 * go to finer lists, or the heap. Returns false if none is left for now.
 */
static bool turn_wheel(struct uf_timers *timers, uint64_t now)
{
	struct uf_timer *timer, *next;
	unsigned int slot;
	uint64_t start;

	if (timers->levels) {
		slot = first_slot(timers, &start);
		if (start <= tick_of(now)) {
			timers->tick = start;
			timer = timers->lists[slot];
			timers->lists[slot] = NULL;
			mark_unused(timers, slot);
			for (; timer; timer = next) {
				next = timer->next;
				add(timers, timer);
			}
			return true;
		}
	}
	if (timers->tick < tick_of(now))
		timers->tick = tick_of(now);
	return false;
}

/**
 * uf_timer_arm - let a timer fire, on the caller's server
 * @t: the calling thread, in the critical section.
 * @timer: the timer; stays where it is until it has fired or been disarmed.
 * @when: the time.
 * @fire: what to call then. It cannot be called before the caller parks.
 */
void uf_timer_arm(struct uf_thread *t, struct uf_timer *timer, uint64_t when,
		  uf_timer_fn *fire)
{
	struct uf_server *s = uf_server(t);

	timer->when = when;
	timer->server = s;
	timer->fire = fire;
	uf_spin_lock(&s->timers.lock);
	add(&s->timers, timer);
	uf_spin_unlock(&s->timers.lock);
}

/**
 * uf_timer_disarm - let a timer not fire, if it has not
 * @timer: the timer, whichever server it is of.
 *
 * When this returns, the timer does not fire and its function does not run: it
 * runs under the lock.
 */
void uf_timer_disarm(struct uf_timer *timer)
{
	struct uf_timers *timers = &timer->server->timers;

	uf_spin_lock(&timers->lock);
	if (timer->link) {
		if (timer->slot == UF_NO_SLOT)
			remove_from_heap(timers, timer);
		else
			remove_from_wheel(timers, timer);
		timer->link = NULL;
	}
	uf_spin_unlock(&timers->lock);
}

/* Fire what is due. */
void uf_timers_run(struct uf_thread *t, struct uf_server *s)
{
	struct uf_timer *timer;
	uint64_t now;

	if (!READ_ONCE(s->timers.root) && !READ_ONCE(s->timers.levels))
		return;
	now = uf_now();
	uf_spin_lock(&s->timers.lock);
	do {
		while ((timer = s->timers.root) && timer->when <= now) {
			remove_from_heap(&s->timers, timer);
			timer->link = NULL;
			timer->fire(t, timer);
		}
	} while (turn_wheel(&s->timers, now));
	uf_spin_unlock(&s->timers.lock);
}

/*
 * When the first of the wheel's timers is due: exactly if there are few in its list;
 * else when that has to be looked through anyway.
 */
static uint64_t first_in_wheel(const struct uf_timers *timers)
{
	uint64_t start, when = UF_FOREVER;
	const struct uf_timer *timer;
	unsigned int n = 0;

	timer = timers->lists[first_slot(timers, &start)];
	for (; timer; timer = timer->next) {
		if (timer->when < when)
			when = timer->when;
		if (++n > UF_FEW)
			return start << UF_TICK_SHIFT;
	}
	return when;
}

/* When a server has to look at its timers again; UF_FOREVER if it has none. */
uint64_t uf_timers_next(struct uf_server *s)
{
	uint64_t when = UF_FOREVER;

	uf_spin_lock(&s->timers.lock);
	if (s->timers.root)
		when = s->timers.root->when;
	else if (s->timers.levels)
		when = first_in_wheel(&s->timers);
	uf_spin_unlock(&s->timers.lock);
	return when;
}

static const struct uf_what a_sleep = { "sleep", 0 };

int uf_sleep_until(uint64_t deadline)
{
	struct uf_thread *t = uf_enter();
	int error = 0;

	if (!t)
		return -EPERM;
	if (deadline <= uf_now())
		t = uf_requeue(t);
	else
		error = uf_wait_end(&t, uf_wait_begin(t, NULL, &a_sleep, NULL),
				    deadline);
	uf_leave(t);
	/* It can have been a scope's deadline. */
	return error == -ETIMEDOUT && deadline <= uf_now() ? 0 : error;
}

int uf_sleep(uint64_t ns)
{
	uint64_t now = uf_now();

	return uf_sleep_until(ns < UF_FOREVER - now ? now + ns : UF_FOREVER);
}

/* It costs a fifth, and can be late by a tick of the kernel's. */
uint64_t uf_now_coarse(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

uint64_t uf_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

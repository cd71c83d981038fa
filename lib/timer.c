// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Timers: a pairing heap per server. It needs no memory but the nodes, which
 * stand on the stacks of who waits (nothing may allocate in the critical
 * section), and takes any node out, which a wake-up before the time does.
 *
 * Timers are not ring timeouts: those complete by task work on the thread that
 * submitted them, which may be blocked.
 */
#include <errno.h>
#include <time.h>

#include "wait.h"

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

static void take_out(struct uf_timers *timers, struct uf_timer *timer)
{
	struct uf_timer *rest = meld_list(timer->child);

	if (timers->root != timer) {
		set_link(timer->link, timer->next);
		rest = meld(timers->root, rest);
	}
	set_root(timers, rest);
	timer->link = NULL;
}

/**
 * uf_timer_arm - put a timer into the heap of the caller's server
 * @t: the calling thread, in the critical section.
 * @timer: the timer; stays where it is until it has fired or been disarmed.
 * @when: the time.
 * @fire: what to call then. It cannot be called before the caller parks.
 */
void uf_timer_arm(struct uf_thread *t, struct uf_timer *timer, uint64_t when,
		  uf_timer_fn *fire)
{
	struct uf_server *s = uf_server(t);

	*timer = (struct uf_timer){
		.when = when,
		.server = s,
		.fire = fire,
	};
	uf_spin_lock(&s->timers.lock);
	set_root(&s->timers, meld(s->timers.root, timer));
	uf_spin_unlock(&s->timers.lock);
}

/**
 * uf_timer_disarm - take a timer out of its heap, if it has not fired
 * @timer: the timer, whichever server it is of.
 *
 * When this returns, the timer does not fire and its function does not run: it
 * runs under the lock.
 */
void uf_timer_disarm(struct uf_timer *timer)
{
	struct uf_timers *timers = &timer->server->timers;

	uf_spin_lock(&timers->lock);
	if (timer->link)
		take_out(timers, timer);
	uf_spin_unlock(&timers->lock);
}

/* Fire what is due. */
void uf_timers_run(struct uf_thread *t, struct uf_server *s)
{
	struct uf_timer *timer;
	uint64_t now;

	if (!READ_ONCE(s->timers.root))
		return;
	now = uf_now();
	uf_spin_lock(&s->timers.lock);
	while ((timer = s->timers.root) && timer->when <= now) {
		take_out(&s->timers, timer);
		timer->fire(t, timer);
	}
	uf_spin_unlock(&s->timers.lock);
}

/* When the first timer of a server is due; UF_FOREVER if there is none. */
uint64_t uf_timers_next(struct uf_server *s)
{
	uint64_t when = UF_FOREVER;

	uf_spin_lock(&s->timers.lock);
	if (s->timers.root)
		when = s->timers.root->when;
	uf_spin_unlock(&s->timers.lock);
	return when;
}

int uf_sleep_until(uint64_t deadline)
{
	struct uf_thread *t = uf_enter();
	int error = 0;

	if (!t)
		return -EPERM;
	if (deadline <= uf_now())
		t = uf_requeue(t);
	else
		error = uf_wait_end(&t, uf_wait_begin(t, NULL), deadline);
	uf_leave(t);
	/* It can have been a scope's deadline. */
	return error == -ETIMEDOUT && deadline <= uf_now() ? 0 : error;
}

int uf_sleep(uint64_t ns)
{
	uint64_t now = uf_now();

	return uf_sleep_until(ns < UF_FOREVER - now ? now + ns : UF_FOREVER);
}

uint64_t uf_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

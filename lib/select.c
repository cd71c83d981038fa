// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Select: a wait with a node in the queue of each object.
 *
 * All guards are held, in the order of their addresses, while all cases are
 * tried and, if none has come, while all nodes are put in (Go's way). So two
 * selects cannot pass each other by, and none needs to end its own wait and
 * somebody else's at once.
 */
#include "select.h"

#include <errno.h>

/* Sort two sorted lists into one. */
static struct uf_case *merge(struct uf_case *a, struct uf_case *b)
{
	struct uf_case *head = NULL, **link = &head;

	while (a && b) {
		struct uf_case **first = a->guard <= b->guard ? &a : &b;

		*link = *first;
		link = &(*link)->next;
		*first = *link;
	}
	*link = a ? a : b;
	return head;
}

/* What is at @sorted[i] is nothing, or a sorted list of 2^i. */
static struct uf_case *sort(struct uf_case *cases, unsigned int n)
{
	struct uf_case *sorted[32] = { NULL };
	struct uf_case *one;
	unsigned int i, j;

	for (i = 0; i < n; i++) {
		if (!cases[i].guard)
			continue;
		one = &cases[i];
		one->next = NULL;
		for (j = 0; sorted[j]; j++) {
			one = merge(sorted[j], one);
			sorted[j] = NULL;
		}
		sorted[j] = one;
	}
	one = NULL;
	for (j = 0; j < 32; j++)
		one = merge(sorted[j], one);
	return one;
}

/* Find the guards; NULL where the case never comes. */
static int prepare(struct uf_case *cases, unsigned int n)
{
	unsigned int i;

	if (n > INT32_MAX)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		struct uf_case *c = &cases[i];

		switch (c->op) {
		case UF_SEND:
		case UF_RECEIVE:
			c->guard = c->channel ? &c->channel->guard : NULL;
			break;
		case UF_EVENT:
			c->guard = c->event ? &c->event->guard : NULL;
			break;
		case UF_TICK:
			c->guard = c->ticker ? &c->ticker->guard : NULL;
			break;
		default:
			return -EINVAL;
		}
	}
	return 0;
}

static void lock(struct uf_case *sorted)
{
	uint32_t *last = NULL;

	for (; sorted; sorted = sorted->next) {
		if (sorted->guard != last)
			uf_spin_lock(sorted->guard);
		last = sorted->guard;
	}
}

static void unlock(struct uf_case *sorted)
{
	uint32_t *last = NULL;

	for (; sorted; sorted = sorted->next) {
		if (sorted->guard != last)
			uf_spin_unlock(sorted->guard);
		last = sorted->guard;
	}
}

static struct uf_waitq *queue(struct uf_case *c)
{
	switch (c->op) {
	case UF_SEND:
		return &c->channel->senders;
	case UF_RECEIVE:
		return &c->channel->receivers;
	case UF_EVENT:
		return &c->event->waiters;
	default:
		return &c->ticker->waiters;
	}
}

static int try_case(struct uf_case *c, struct uf_waiter **partner)
{
	if (!c->guard)
		return -EAGAIN;
	switch (c->op) {
	case UF_SEND:
		return uf_channel_try_send(c->channel, c->value, partner);
	case UF_RECEIVE:
		return uf_channel_try_receive(c->channel, c->value, partner);
	case UF_EVENT:
		return uf_event_try(c->event);
	default:
		return uf_ticker_try(c->ticker, c->value);
	}
}

/* Never inlined: a fiber can be on another thread each time (see thread.c). */
static __attribute__((noinline)) uint32_t any_number(void)
{
	static __thread uint32_t state;

	if (unlikely(!state))
		state = (uintptr_t)&state >> 4 | 1;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Returns the index of the case that has come, or -EAGAIN; the guards are held. */
static int try_all(struct uf_case *cases, unsigned int n,
		   struct uf_waiter **partner)
{
	unsigned int start, i, at;

	start = n > 1 ? (uint64_t)any_number() * n >> 32 : 0;
	for (i = 0; i < n; i++) {
		at = start + i < n ? start + i : start + i - n;
		cases[at].error = try_case(&cases[at], partner);
		if (cases[at].error != -EAGAIN)
			return at;
	}
	return -EAGAIN;
}

/* When there is something to look at again: a tick, or the deadline. */
static uint64_t look_again_at(const struct uf_case *sorted, uint64_t deadline)
{
	for (; sorted; sorted = sorted->next)
		if (sorted->op == UF_TICK && sorted->ticker->next < deadline)
			deadline = sorted->ticker->next;
	return deadline;
}

/*
 * The guards are held, and released. Returns the case that has come, with its
 * error set; or NULL and @error: why none has.
 */
static struct uf_case *wait_for_one(struct uf_thread **t, struct uf_case *sorted,
				    uint64_t until, int *error)
{
	static const struct uf_what a_select = { "select", 0 };
	struct uf_wait own, *wait = uf_wait_begin(*t, &own, &a_select, NULL);
	struct uf_case *c;

	wait->by = NULL;
	for (c = sorted; c; c = c->next) {
		c->waiter.wait = wait;
		c->waiter.data = c->value;
		uf_waitq_add(queue(c), &c->waiter);
	}
	unlock(sorted);
	*error = uf_wait_end(t, wait, until);
	lock(sorted);
	for (c = sorted; c; c = c->next)
		uf_waitq_remove(&c->waiter);
	unlock(sorted);
	if (!wait->by)
		return NULL;
	c = container_of(wait->by, struct uf_case, waiter);
	c->error = *error;
	return c;
}

/* Returns an index, an error, or -EAGAIN if a tick may be due. */
static int select_once(struct uf_thread **t, struct uf_case *cases,
		       unsigned int n, struct uf_case *sorted, uint64_t deadline)
{
	struct uf_waiter *partner = NULL;
	struct uf_case *came;
	uint64_t until;
	int result, error;

	lock(sorted);
	result = try_all(cases, n, &partner);
	if (result >= 0) {
		unlock(sorted);
		if (partner)
			uf_wait_wake(*t, partner->wait);
		return result;
	}
	if (deadline != UF_FOREVER && deadline <= uf_now()) {
		unlock(sorted);
		return -ETIMEDOUT;
	}
	until = look_again_at(sorted, deadline);
	came = wait_for_one(t, sorted, until, &error);
	if (came)
		return came - cases;
	/* It can have been a scope's deadline. */
	return error == -ETIMEDOUT && until < deadline && until <= uf_now() ?
		       -EAGAIN :
		       error;
}

int uf_select_until(struct uf_case *cases, unsigned int n, uint64_t deadline)
{
	struct uf_case *sorted;
	struct uf_thread *t;
	int result;

	uf_check_cases(__func__, cases, n);
	result = prepare(cases, n);
	if (result)
		return result;
	sorted = sort(cases, n);
	t = uf_enter();
	do {
		result = select_once(&t, cases, n, sorted, deadline);
	} while (result == -EAGAIN);
	uf_leave(t);
	return result;
}

int uf_select(struct uf_case *cases, unsigned int n)
{
	uf_check_cases(__func__, cases, n);
	return uf_select_until(cases, n, UF_FOREVER);
}

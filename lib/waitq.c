// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Queues of fibers that wait for something under a guard (a spin lock). A
 * waiter is granted what it waits for by whoever takes it out of the queue;
 * with a deadline, its timer may come first. Both hold the guard, so one wins.
 */
#include <errno.h>

#include "waitq.h"

static void enqueue(struct uf_waitq *queue, struct uf_waiter *waiter)
{
	waiter->queue = queue;
	waiter->next = NULL;
	waiter->prev = queue->tail;
	if (queue->tail)
		queue->tail->next = waiter;
	else
		queue->head = waiter;
	queue->tail = waiter;
}

static void dequeue(struct uf_waiter *waiter)
{
	struct uf_waitq *queue = waiter->queue;

	if (waiter->next)
		waiter->next->prev = waiter->prev;
	else
		queue->tail = waiter->prev;
	if (waiter->prev)
		waiter->prev->next = waiter->next;
	else
		queue->head = waiter->next;
	waiter->queue = NULL;
}

/**
 * uf_waitq_wait - wait in a queue until taken out
 * @t: the calling thread, in the critical section.
 * @guard: held; released when the fiber has been switched away from.
 * @queue: the queue.
 *
 * Returns the thread that the fiber then is on.
 */
struct uf_thread *uf_waitq_wait(struct uf_thread *t, uint32_t *guard,
				struct uf_waitq *queue)
{
	struct uf_waiter waiter = { .fiber = t->current };

	enqueue(queue, &waiter);
	return uf_park(t, uf_finish_unlock, guard);
}

/*
 * The deadline has come. The waiter is still there, granted or not: it disarms
 * the timer before it goes, which waits for us. Lock order: timers, guard.
 */
static void fire_waiter(struct uf_thread *t, struct uf_timer *timer)
{
	struct uf_waiter *waiter = container_of(timer, struct uf_waiter, timer);
	bool late;

	uf_spin_lock(waiter->guard);
	late = waiter->queue;
	if (late) {
		dequeue(waiter);
		waiter->error = -ETIMEDOUT;
	}
	uf_spin_unlock(waiter->guard);
	if (late)
		uf_ready(t, waiter->fiber, UF_WOKEN_BY_IO);
}

/**
 * uf_waitq_wait_until - wait in a queue until taken out, or the deadline
 * @t: the calling thread, in the critical section; updated.
 * @guard: held; released on return.
 * @queue: the queue.
 * @deadline: when to give up.
 * @try: takes what is waited for, if it is there.
 * @object: for @try.
 *
 * The timer must be armed without the guard (lock order), so the guard is
 * dropped for it and what is waited for may come just then. The timer cannot
 * fire before we park: we hold its server.
 *
 * Returns 0 or -ETIMEDOUT.
 */
int uf_waitq_wait_until(struct uf_thread **t, uint32_t *guard,
			struct uf_waitq *queue, uint64_t deadline,
			uf_try_fn *try, void *object)
{
	struct uf_waiter waiter = {
		.fiber = (*t)->current,
		.guard = guard,
	};

	uf_spin_unlock(guard);
	if (deadline <= uf_now())
		return -ETIMEDOUT;
	uf_timer_arm(*t, &waiter.timer, deadline, fire_waiter);
	uf_spin_lock(guard);
	if (try(object, waiter.fiber)) {
		uf_spin_unlock(guard);
	} else {
		enqueue(queue, &waiter);
		*t = uf_park(*t, uf_finish_unlock, guard);
	}
	uf_timer_disarm(&waiter.timer);
	return waiter.error;
}

/**
 * uf_waitq_pop - take the first waiter out
 * @queue: the queue, its guard held.
 *
 * Returns its fiber, for uf_ready() once the guard is released; or NULL.
 */
struct uf_fiber *uf_waitq_pop(struct uf_waitq *queue)
{
	struct uf_waiter *waiter = queue->head;

	if (!waiter)
		return NULL;
	dequeue(waiter);
	return waiter->fiber;
}

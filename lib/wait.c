// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* See wait.h. */
#include "wait.h"

#include <errno.h>

#include "futex.h"
#include "park.h"

/*
 * Identifies a plain thread, as its fiber does a fiber; the lowest bits of its address
 * are 0, as those who keep it have use for them.
 */
static __thread uint64_t plain_thread;
_Static_assert(__alignof__(plain_thread) > 1, "mutex.c and rwlock.c use bit 0");

/* Who calls: the fiber, or something that stands for the plain thread. */
void *uf_caller(void)
{
	struct uf_thread *t = uf_thread_self();

	return t ? (void *)t->current : &plain_thread;
}

/* Take a node out, if it is still in a queue; the guard is held. */
void uf_waitq_remove(struct uf_waiter *waiter)
{
	struct uf_waitq *queue = waiter->queue;

	if (!queue)
		return;
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

/*
 * Put a node whose wait has been claimed behind others for uf_wait_wake_all(). Its
 * owner must not find it in this list, which is gone by then.
 */
void uf_waitq_collect(struct uf_waitq *claimed, struct uf_waiter *waiter)
{
	uf_waitq_add(claimed, waiter);
	waiter->queue = NULL;
}

/**
 * uf_waitq_claim_all - take all that have not ended otherwise
 * @queue: the queue, its guard held.
 * @error: how their waits end.
 *
 * Returns their nodes, in the same order, for uf_wait_wake_all() after the guard
 * has been released. The nodes are the caller's until then.
 */
struct uf_waitq uf_waitq_claim_all(struct uf_waitq *queue, int error)
{
	struct uf_waitq claimed = { 0 };
	struct uf_waiter *waiter;

	while ((waiter = uf_waitq_claim(queue))) {
		waiter->wait->error = error;
		uf_waitq_collect(&claimed, waiter);
	}
	return claimed;
}

/*
 * Released to a cancel, which may claim it at once, and set the error; and to who
 * debugs.
 */
static inline void prepare(struct uf_wait *wait, const struct uf_what *what,
			   const void *on, enum uf_wait_state state)
{
	wait->error = 0;
	WRITE_ONCE(wait->what, what);
	WRITE_ONCE(wait->on, on);
	WRITE_ONCE(wait->claimed, 0);
	smp_store_release(&wait->state, state);
}

static struct uf_wait *begin(struct uf_thread *t, struct uf_wait *own,
			     const struct uf_what *what, const void *on,
			     enum uf_wait_state state)
{
	if (t)
		own = &t->current->wait;
	else
		own->fiber = NULL;
	prepare(own, what, on, state);
	return own;
}

/*
 * One object is all that the caller waits for, if a cancel does not end it. Without
 * membarrier(2) to wait so would gain nothing.
 */
static inline bool is_alone(struct uf_thread *t, uint64_t deadline)
{
	return likely(t) && deadline == UF_FOREVER && !t->current->shields &&
	       !t->current->scope && !READ_ONCE(t->current->cancelled) &&
	       likely(!uf_no_membarrier);
}

/**
 * uf_wait_begin - begin a wait of the caller
 * @t: the calling thread, in the critical section; NULL for a plain thread.
 * @own: for a plain thread: on its stack.
 * @what: what it is for.
 * @on: which of these.
 *
 * Returns the wait. It must be ended by uf_wait_end(), or not at all if no node of
 * it was ever in a queue.
 */
struct uf_wait *uf_wait_begin(struct uf_thread *t, struct uf_wait *own,
			      const struct uf_what *what, const void *on)
{
	return begin(t, own, what, on,
		     t && t->current->shields ? UF_WAITING_SHIELDED :
						UF_WAITING);
}

/**
 * uf_wait_begin_claimed - begin a wait that nothing but its object can end
 * @t: as for uf_wait_begin().
 * @own, @what, @on: as for uf_wait_begin().
 *
 * No deadline and no cancel can, not for a moment: for what must be undone before
 * a call returns. The object must know that it is claimed already, and make it
 * CLAIMED before it wakes it.
 */
struct uf_wait *uf_wait_begin_claimed(struct uf_thread *t, struct uf_wait *own,
				      const struct uf_what *what, const void *on)
{
	return begin(t, own, what, on, UF_WAIT_MUTEX);
}

/* A plain thread. */
void uf_wait_wake_thread(struct uf_wait *wait)
{
	smp_store_release(&wait->state, UF_DONE);
	uf_futex_wake(&wait->state);
}

int uf_wait_wake_thread_and_leave(struct uf_thread *t, struct uf_wait *wait)
{
	uf_wait_wake_thread(wait);
	uf_leave(t);
	return 0;
}

/* The same for several, in this order, from a list that only the caller knows. */
void uf_wait_wake_all(struct uf_thread *t, struct uf_waitq *claimed)
{
	struct uf_waiter *waiter, *next;

	for (waiter = claimed->head; waiter; waiter = next) {
		next = waiter->next;
		uf_wait_wake(t, waiter->wait);
	}
}

/* The deadline has come. The node is there as long as the timer is armed. */
static void fire(struct uf_thread *t, struct uf_timer *timer)
{
	struct uf_wait *wait = container_of(timer, struct uf_wait, timer);

	if (!uf_wait_claim(wait))
		return;
	wait->error = -ETIMEDOUT;
	uf_ready(t, wait->fiber, UF_WHY_IO);
}

static void park_until(struct uf_thread **t, struct uf_wait *wait,
		       uint64_t deadline)
{
	if (deadline == UF_FOREVER) {
		*t = uf_park(*t);
		return;
	}
	uf_timer_arm(*t, &wait->timer, deadline, fire);
	*t = uf_park(*t);
	uf_timer_disarm(&wait->timer);
}

static void sleep_until(struct uf_wait *wait, uint64_t deadline)
{
	uint32_t state;

	while ((state = smp_load_acquire(&wait->state)) != UF_DONE) {
		bool claimed = state == UF_CLAIMED || state == UF_WAIT_MUTEX;
		uint64_t until = claimed ? UF_FOREVER : deadline;

		if (uf_futex_wait_until(&wait->state, state, until) !=
			    -ETIMEDOUT ||
		    !uf_wait_claim(wait))
			continue;
		wait->error = -ETIMEDOUT;
		return;
	}
}

/**
 * uf_wait_end - park until somebody has ended the wait
 * @t: the calling thread, in the critical section; updated. Or NULL in it.
 * @wait: the wait, whose nodes can be found.
 * @deadline: when to give up.
 *
 * Returns how it ended: 0, or what who claimed it has set, -ETIMEDOUT among them;
 * then the caller's nodes may still be in their queues.
 */
int uf_wait_end(struct uf_thread **t, struct uf_wait *wait, uint64_t deadline)
{
	if (!*t)
		sleep_until(wait, deadline);
	else if (uf_must_end(wait->fiber) && uf_end_own(wait))
		wait->error = -ECANCELED;
	else
		park_until(t, wait, uf_deadline(wait->fiber, deadline));
	WRITE_ONCE(wait->state, UF_WAIT_NONE);
	return wait->error;
}

static void take_out(uint32_t *guard, struct uf_waiter *waiter)
{
	uf_spin_lock(guard);
	uf_waitq_remove(waiter);
	uf_spin_unlock(guard);
}

/* The guard is held, and released. */
static __attribute__((noinline)) int
wait_otherwise(struct uf_thread **t, const struct uf_what *what,
	       uint32_t *guard, struct uf_waitq *queue,
	       struct uf_waiter *waiter, uint64_t deadline)
{
	struct uf_wait own;
	int error;

	if (deadline != UF_FOREVER && deadline <= uf_now()) {
		uf_spin_unlock(guard);
		return -ETIMEDOUT;
	}
	waiter->wait = uf_wait_begin(*t, &own, what, guard);
	uf_waitq_add(queue, waiter);
	uf_spin_unlock(guard);
	error = uf_wait_end(t, waiter->wait, deadline);
	if (unlikely(error))
		take_out(guard, waiter);
	return error;
}

/* So that its caller's thread need not be in memory. */
static __attribute__((noinline)) struct uf_thread *end_wait(struct uf_thread *t,
							    struct uf_wait *wait)
{
	uf_wait_end(&t, wait, UF_FOREVER);
	return t;
}

/* The same, without what is never needed then. */
static __always_inline struct uf_thread *
wait_alone(struct uf_thread *t, const struct uf_what *what, uint32_t *guard,
	   struct uf_waitq *queue, struct uf_waiter *waiter)
{
	struct uf_fiber *self = t->current;
	struct uf_wait *wait = &self->wait;

	prepare(wait, what, guard, UF_WAITING_ALONE);
	waiter->wait = wait;
	uf_waitq_add(queue, waiter);
	uf_spin_unlock(guard);
	barrier();
	if (unlikely(READ_ONCE(self->cancelled)))
		t = end_wait(t, wait);
	else
		t = uf_park_inline(t);
	WRITE_ONCE(wait->state, UF_WAIT_NONE);
	if (unlikely(wait->error))
		take_out(guard, waiter);
	return t;
}

/**
 * uf_wait_on - wait for one object
 * @t: the calling thread, in the critical section; updated. Or NULL in it.
 * @what: what the object is.
 * @guard: the object's, held; released on return.
 * @queue: the object's.
 * @waiter: the node to use.
 * @deadline: when to give up; if it has passed this does not wait.
 *
 * Returns as uf_wait_end(), with the node in no queue.
 */
int uf_wait_on(struct uf_thread **t, const struct uf_what *what,
	       uint32_t *guard, struct uf_waitq *queue,
	       struct uf_waiter *waiter, uint64_t deadline)
{
	if (unlikely(!is_alone(*t, deadline)))
		return wait_otherwise(t, what, guard, queue, waiter, deadline);
	*t = wait_alone(*t, what, guard, queue, waiter);
	return waiter->wait->error;
}

static __attribute__((noinline)) int
wait_otherwise_and_leave(struct uf_thread *t, const struct uf_what *what,
			 uint32_t *guard, struct uf_waitq *queue,
			 struct uf_waiter *waiter, uint64_t deadline)
{
	int error;

	error = wait_otherwise(&t, what, guard, queue, waiter, deadline);
	uf_leave(t);
	return error;
}

/**
 * uf_wait_and_leave - wait for one object, and leave the critical section
 * @t: the calling thread, in the critical section; or NULL.
 * @what, @guard, @queue, @deadline: as for uf_wait_on().
 * @data: what the object is to find in the node.
 *
 * For a caller to end with: then there is one frame to be saved at the switch.
 */
int uf_wait_and_leave(struct uf_thread *t, const struct uf_what *what,
		      uint32_t *guard, struct uf_waitq *queue, void *data,
		      uint64_t deadline)
{
	struct uf_waiter waiter;

	waiter.data = data;
	if (unlikely(!is_alone(t, deadline)))
		return wait_otherwise_and_leave(t, what, guard, queue, &waiter,
						deadline);
	t = wait_alone(t, what, guard, queue, &waiter);
	uf_leave(t);
	return waiter.wait->error;
}

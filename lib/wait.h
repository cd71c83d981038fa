/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Waiting: what mutex, semaphore, join, sleep and all the others park with.
 *
 * A *wait* is one stay of a fiber or a plain thread. It has a *node* in the queue
 * of each object that could end it (one, or for a select several), and it can
 * also be ended by a deadline or a cancel. All of them compete for its state:
 *
 *	WAITING --- claim: object, deadline or cancel ---> CLAIMED ---> DONE
 *
 * Who claims it, by compare-and-swap, has the right to say how it ends and to
 * wake it; everybody else leaves it alone. (DONE is for plain threads, which
 * sleep on the word: until then the claimer still writes to the wait.)
 *
 * For most waits only one object and a cancel compete. There the object, its guard
 * held, claims with plain stores, and leaves what that costs to the cancel:
 *
 *	object				cancel, or the fiber itself that sees its flag
 *	A1  claimed = 1			C1  cancelled = 1
 *	A2  light barrier		C2  heavy barrier
 *	A3  read cancelled: 0, won	C3  read claimed: 1, lost
 *
 * If A3 reads 1, and if C3 reads 0, the state decides, as above: who has not seen
 * the other there is sure that the other has seen it and comes that way, too. If
 * what C3 reads is an earlier wait's, the one that is found WAITING_ALONE then began
 * after the barrier, and its object, too, reads 1. (Modelled, see park.pml.) No wait
 * is WAITING_ALONE of a fiber that knows of its cancel, which is only to save it the
 * barrier.
 *
 * Queues are guarded by their object's spin lock. A node that lost stays in its
 * queue until its owner, awake again, takes it out, or who finds it there does.
 * So a deadline and a cancel need no guard.
 *
 * A condition's waiter that has been claimed and must have the mutex, too, waits on
 * as WAIT_MUTEX, until it is its turn there and it is CLAIMED again.
 *
 * Who waits notes for what, for who debugs: dump.c reads that.
 *
 * The wait begins before its node can be found: begin, take the guard, look, put
 * the node in, release the guard, park. A claimer can come before the fiber has
 * been switched away from; it then waits until it is (see on_cpu in sched.c).
 */
#ifndef UF_WAIT_H
#define UF_WAIT_H

#include "internal.h"

enum uf_wait_state {
	UF_WAIT_NONE,
	UF_WAIT_IO, /* for a request of the ring: nobody else may end it */
	UF_WAIT_MUTEX, /* for a mutex, on the way out of another wait: the same */
	/* These three can be claimed. */
	UF_WAITING,
	UF_WAITING_ALONE, /* nothing but one object and a cancel can end it */
	UF_WAITING_SHIELDED, /* no cancel may end it */
	UF_CLAIMED,
	UF_DONE,
};

/* Of these it matters which one it is. */
extern const struct uf_what uf_what_offload;
extern const struct uf_what uf_what_io;

/* wait.c */
void uf_waitq_remove(struct uf_waiter *waiter);
void uf_waitq_collect(struct uf_waitq *claimed, struct uf_waiter *waiter);
struct uf_waitq uf_waitq_claim_all(struct uf_waitq *queue, int error);
struct uf_wait *uf_wait_begin(struct uf_thread *t, struct uf_wait *own,
			      const struct uf_what *what, const void *on);
struct uf_wait *uf_wait_begin_claimed(struct uf_thread *t, struct uf_wait *own,
				      const struct uf_what *what,
				      const void *on);
int uf_wait_end(struct uf_thread **t, struct uf_wait *wait, uint64_t deadline);
void uf_wait_wake_thread(struct uf_wait *wait);
int uf_wait_wake_thread_and_leave(struct uf_thread *t, struct uf_wait *wait);
void uf_wait_wake_all(struct uf_thread *t, struct uf_waitq *claimed);
int uf_wait_on(struct uf_thread **t, const struct uf_what *what,
	       uint32_t *guard, struct uf_waitq *queue,
	       struct uf_waiter *waiter, uint64_t deadline);
int uf_wait_and_leave(struct uf_thread *t, const struct uf_what *what,
		      uint32_t *guard, struct uf_waitq *queue, void *data,
		      uint64_t deadline);
void *uf_caller(void);

/* What is waited for: an object with a guard, or something that has none. */
/* clang-format off */
#define UF_WHAT(what, type)						\
({									\
	static const struct uf_what __what = { what, offsetof(type, guard) }; \
									\
	&__what;							\
})
/* clang-format on */

static inline bool uf_waitq_empty(const struct uf_waitq *queue)
{
	return !queue->head;
}

/* Put a node behind the others; the guard is held. */
static inline void uf_waitq_add(struct uf_waitq *queue, struct uf_waiter *waiter)
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

/* Take out the first, which @waiter is. */
static inline void uf_waitq_remove_first(struct uf_waitq *queue,
					 struct uf_waiter *waiter)
{
	queue->head = waiter->next;
	if (likely(!queue->head))
		queue->tail = NULL;
	else
		queue->head->prev = NULL;
	waiter->queue = NULL;
}

/*
 * Win the right to end a wait; not for a cancel. The guard of what it waits for is
 * held, unless it is one with a deadline or several objects.
 */
static inline bool uf_wait_claim(struct uf_wait *wait)
{
	uint32_t state = READ_ONCE(wait->state);

	if (likely(state == UF_WAITING_ALONE)) {
		WRITE_ONCE(wait->claimed, 1); /* A1 */
		barrier(); /* A2: there is membarrier(2) */
		if (likely(!READ_ONCE(wait->fiber->cancelled))) /* A3 */
			return true;
	}
	return state >= UF_WAITING && state <= UF_WAITING_SHIELDED &&
	       cmpxchg(&wait->state, state, UF_CLAIMED) == state;
}

/**
 * uf_waitq_claim - take the first wait that has not ended otherwise
 * @queue: the queue, its guard held.
 *
 * Returns its node, out of the queue, its wait claimed: after the guard has been
 * released the caller must uf_wait_wake() it, and may write to it until then; or
 * NULL.
 */
static inline struct uf_waiter *uf_waitq_claim(struct uf_waitq *queue)
{
	struct uf_waiter *waiter;

	while ((waiter = queue->head)) {
		uf_waitq_remove_first(queue, waiter);
		if (uf_wait_claim(waiter->wait)) {
			waiter->wait->by = waiter;
			return waiter;
		}
	}
	return NULL;
}

/* Wake who waits; the caller has claimed the wait and set how it ended. */
static inline void uf_wait_wake(struct uf_thread *t, struct uf_wait *wait)
{
	if (likely(wait->fiber))
		uf_ready(t, wait->fiber, UF_WHY_WOKEN);
	else
		uf_wait_wake_thread(wait);
}

/* The same for a caller to end with: it leaves the critical section. */
static inline int uf_wait_wake_and_leave(struct uf_thread *t,
					 struct uf_wait *wait)
{
	if (unlikely(!wait->fiber))
		return uf_wait_wake_thread_and_leave(t, wait);
	return uf_ready_and_leave(t, wait->fiber);
}

/* The same for a cancel, after C2. */
static inline bool uf_wait_claim_to_cancel(struct uf_wait *wait)
{
	uint32_t state = smp_load_acquire(&wait->state);

	if (state == UF_WAITING_ALONE && READ_ONCE(wait->claimed)) /* C3 */
		return false;
	return (state == UF_WAITING || state == UF_WAITING_ALONE) &&
	       cmpxchg(&wait->state, state, UF_CLAIMED) == state;
}

/*
 * Is the calling fiber, whose wait has begun, to end it? Who cancels it sets the
 * flag, has a heavy barrier and looks at the wait: one of the two sees the other.
 */
static inline bool uf_must_end(const struct uf_fiber *self)
{
	uf_light_mb();
	return unlikely(READ_ONCE(self->cancelled)) && !self->shields;
}

/* Then this says whether it does. Its canceller's C2 may still be to come. */
static inline bool uf_end_own(struct uf_wait *wait)
{
	if (READ_ONCE(wait->state) == UF_WAITING_ALONE)
		uf_heavy_mb(); /* C2 */
	return uf_wait_claim_to_cancel(wait);
}

/* The earlier of a wait's deadline and the scopes'. */
static inline uint64_t uf_deadline(const struct uf_fiber *self,
				   uint64_t deadline)
{
	if (likely(!self->scope) || self->shields ||
	    self->scope->deadline >= deadline)
		return deadline;
	return self->scope->deadline;
}

#endif /* UF_WAIT_H */

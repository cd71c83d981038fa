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
 * Queues are guarded by their object's spin lock. A node that lost stays in its
 * queue until its owner, awake again, takes it out, or who finds it there does.
 * So a deadline and a cancel need no guard.
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
	UF_WAITING,
	UF_CLAIMED,
	UF_DONE,
};

/**
 * struct uf_waiter - a wait's node in a queue; on the stack of who waits
 * @next: behind it in the queue (guard).
 * @prev: before it (guard).
 * @queue: the queue that it is in, or NULL (guard).
 * @wait: whose it is (C).
 * @data: what it and the object agree on.
 */
struct uf_waiter {
	struct uf_waiter *next;
	struct uf_waiter *prev;
	struct uf_waitq *queue;
	struct uf_wait *wait;
	void *data;
};

/* wait.c */
void uf_waitq_add(struct uf_waitq *queue, struct uf_waiter *waiter);
void uf_waitq_remove(struct uf_waiter *waiter);
struct uf_waiter *uf_waitq_claim(struct uf_waitq *queue);
struct uf_wait *uf_wait_begin(struct uf_thread *t, struct uf_wait *own);
int uf_wait_end(struct uf_thread **t, struct uf_wait *wait, uint64_t deadline);
void uf_wait_wake(struct uf_thread *t, struct uf_wait *wait);
int uf_wait_on(struct uf_thread **t, uint32_t *guard, struct uf_waitq *queue,
	       struct uf_waiter *waiter, uint64_t deadline);
void *uf_caller(void);

static inline bool uf_waitq_empty(const struct uf_waitq *queue)
{
	return !queue->head;
}

/* Win the right to end a wait. */
static inline bool uf_wait_claim(struct uf_wait *wait)
{
	return READ_ONCE(wait->state) == UF_WAITING &&
	       cmpxchg(&wait->state, UF_WAITING, UF_CLAIMED) == UF_WAITING;
}

#endif /* UF_WAIT_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What mutex and semaphore wait with. */
#ifndef UF_WAITQ_H
#define UF_WAITQ_H

#include "internal.h"
#include "spin.h"

/**
 * struct uf_waiter - a fiber that waits, on its own stack
 * @next: behind it in the queue (guard).
 * @prev: before it (guard).
 * @fiber: the fiber.
 * @queue: the queue that it is in, NULL once it was taken out: who takes it out
 *	decides @error and wakes it (guard).
 * @guard: the queue's.
 * @error: 0, or -ETIMEDOUT.
 * @timer: takes it out at the deadline.
 */
struct uf_waiter {
	struct uf_waiter *next;
	struct uf_waiter *prev;
	struct uf_fiber *fiber;
	struct uf_waitq *queue;
	uint32_t *guard;
	int error;
	struct uf_timer timer;
};

/**
 * uf_try_fn - take what is waited for, if it is there
 * @object: the mutex or semaphore, its guard held.
 * @self: the calling fiber.
 */
typedef bool uf_try_fn(void *object, struct uf_fiber *self);

struct uf_thread *uf_waitq_wait(struct uf_thread *t, uint32_t *guard,
				struct uf_waitq *queue);
int uf_waitq_wait_until(struct uf_thread **t, uint32_t *guard,
			struct uf_waitq *queue, uint64_t deadline,
			uf_try_fn *try, void *object);
struct uf_fiber *uf_waitq_pop(struct uf_waitq *queue);

#endif /* UF_WAITQ_H */

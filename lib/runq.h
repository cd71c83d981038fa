/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The run queue's short ways. */
#ifndef UF_RUNQ_H
#define UF_RUNQ_H

#include "internal.h"
#include "spin.h"

static inline unsigned int uf_runq_len(const struct uf_runq *q)
{
	return READ_ONCE(q->len);
}

/* Append the chain from first to last, of n fibers; the lock is held. */
static inline void uf_runq_append(struct uf_runq *q, struct uf_fiber *first,
				  struct uf_fiber *last, unsigned int n)
{
	last->next = NULL;
	if (q->head)
		q->tail->next = first;
	else
		q->head = first;
	q->tail = last;
	WRITE_ONCE(q->len, q->len + n);
}

/* Take the first, or NULL; the lock is held. */
static inline struct uf_fiber *uf_runq_take(struct uf_runq *q)
{
	struct uf_fiber *fiber = q->head;

	if (fiber) {
		q->head = fiber->next;
		WRITE_ONCE(q->len, q->len - 1);
	}
	return fiber;
}

static inline void uf_runq_push(struct uf_runq *q, struct uf_fiber *fiber)
{
	uf_spin_lock(&q->lock);
	uf_runq_append(q, fiber, fiber, 1);
	uf_spin_unlock(&q->lock);
}

static inline struct uf_fiber *uf_runq_pop(struct uf_runq *q)
{
	struct uf_fiber *fiber;

	if (!uf_runq_len(q))
		return NULL;
	uf_spin_lock(&q->lock);
	fiber = uf_runq_take(q);
	uf_spin_unlock(&q->lock);
	return fiber;
}

#endif /* UF_RUNQ_H */

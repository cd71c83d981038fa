// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include "runq.h"

/* Most fibers to take at once: the victim's lock is held while they are counted off. */
#define UF_STEAL_MAX 64

/*
 * Cuts half of a queue, rounded up, off its head: the fibers that have waited
 * longest. Returns how many.
 */
static unsigned int runq_cut(struct uf_runq *q, struct uf_fiber **first,
			     struct uf_fiber **last)
{
	unsigned int n, i;

	uf_spin_lock(&q->lock);
	n = (q->len + 1) / 2;
	if (n > UF_STEAL_MAX)
		n = UF_STEAL_MAX;
	if (n) {
		*first = *last = q->head;
		for (i = 1; i < n; i++)
			*last = (*last)->next;
		q->head = (*last)->next;
		WRITE_ONCE(q->len, q->len - n);
	}
	uf_spin_unlock(&q->lock);
	return n;
}

/**
 * uf_runq_steal - move half of a queue to another
 * @from: a queue of any server.
 * @to: the caller's.
 *
 * The locks are taken one after the other: two thieves cannot deadlock.
 *
 * Returns how many fibers were moved.
 */
unsigned int uf_runq_steal(struct uf_runq *from, struct uf_runq *to)
{
	struct uf_fiber *first, *last;
	unsigned int n;

	if (!uf_runq_len(from))
		return 0;
	n = runq_cut(from, &first, &last);
	if (!n)
		return 0;
	uf_spin_lock(&to->lock);
	uf_runq_append(to, first, last, n);
	uf_spin_unlock(&to->lock);
	return n;
}

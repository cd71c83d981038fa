// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The run queue's long ways: lists in turns, and what thieves do. */
#include "runq.h"

/* Most fibers to take at once: the victim's lock is held meanwhile. */
#define UF_STEAL_MAX 32

/* The next list after the one that had its turn last. */
static unsigned int class_in_turn(struct uf_runq *q)
{
	do {
		q->turn = (q->turn + 1) % UF_RUNQ_LISTS;
	} while (!(q->map >> q->turn & 1));
	return q->turn;
}

/*
 * The best class; in it pinned fibers go first, as nobody else runs those. The
 * others wait for their list's turn.
 */
unsigned int uf_runq_choose_of_many(struct uf_runq *q)
{
	unsigned int class;

	if (++q->picks % UF_RUNQ_TURN == 0)
		return class_in_turn(q);
	class = __builtin_ctz(q->map | q->map >> UF_RUNQ_CLASSES);
	if (q->map >> UF_RUNQ_CLASSES >> class & 1)
		class += UF_RUNQ_CLASSES;
	return class;
}

/* In a list; the one that was put there UF_AHEAD before learns of it. */
void uf_runq_note_ahead(struct uf_ahead *ahead, struct uf_list *list,
			struct uf_fiber *fiber)
{
	struct uf_fiber **place;

	if (ahead->list != list)
		ahead->nr = 0;
	ahead->list = list;
	place = &ahead->last[ahead->nr % UF_AHEAD];
	if (ahead->nr >= UF_AHEAD) {
		(*place)->ahead = fiber;
		(*place)->ahead_sp = fiber->ctx.sp;
	}
	*place = fiber;
	ahead->nr++;
}

/* Take a fiber out, wherever in its queue it is; the lock is held. */
void uf_runq_remove(struct uf_fiber *fiber)
{
	struct uf_runq *q = fiber->queue;
	struct uf_list *list = &q->lists[fiber->class];

	WRITE_ONCE(fiber->queue, NULL);
	if (q->next == fiber) {
		WRITE_ONCE(q->next, NULL);
		return;
	}
	/* A head's @prev is stale. */
	if (list->head == fiber)
		list->head = fiber->next;
	else
		fiber->prev->next = fiber->next;
	if (list->tail == fiber)
		list->tail = fiber->prev;
	else
		fiber->next->prev = fiber->prev;
	list->len--;
	q->ahead.nr = 0;
	if (!list->head)
		WRITE_ONCE(q->map, q->map & ~(1U << fiber->class));
}

static size_t nr_in_lists(const struct uf_runq *q)
{
	size_t n = 0;
	unsigned int i;

	for (i = 0; i < UF_RUNQ_LISTS; i++)
		n += q->lists[i].len;
	return n;
}

/*
 * Cuts half of the lists, rounded up, the best and longest waiting first, into
 * a chain in that order.
 */
static struct uf_fiber *cut(struct uf_runq *q)
{
	size_t n = (nr_in_lists(q) + 1) / 2;
	struct uf_fiber *chain = NULL, **end = &chain;

	if (n > UF_STEAL_MAX)
		n = UF_STEAL_MAX;
	for (; n && uf_runq_stealable(q); n--) {
		unsigned int class = __builtin_ctz(q->map);

		if (!uf_runq_may_be_taken(q->lists[class].head))
			break;
		*end = uf_runq_first(q, class);
		end = &(*end)->next;
	}
	*end = NULL;
	return chain;
}

/* Put each into the list of its class. Returns how many there were. */
unsigned int uf_runq_append_chain(struct uf_runq *q, struct uf_fiber *chain)
{
	struct uf_fiber *next;
	unsigned int n = 0;

	uf_bias_lock(&q->lock);
	for (; chain; chain = next) {
		next = chain->next;
		uf_runq_append(q, chain, chain->class);
		n++;
	}
	uf_bias_unlock(&q->lock);
	return n;
}

/**
 * uf_runq_steal - move half of a queue to another
 * @from: any server's queue.
 * @to: the caller's.
 *
 * The locks are taken one after the other: two thieves cannot deadlock.
 *
 * Returns how many fibers were moved.
 */
unsigned int uf_runq_steal(struct uf_runq *from, struct uf_runq *to)
{
	struct uf_fiber *chain;

	if (!uf_runq_stealable(from))
		return 0;
	uf_bias_revoke(&from->lock);
	chain = cut(from);
	uf_bias_return(&from->lock);
	return uf_runq_append_chain(to, chain);
}

/* Move the fiber in the run-next slot, if it is not pinned. */
unsigned int uf_runq_steal_next(struct uf_runq *from, struct uf_runq *to)
{
	struct uf_fiber *fiber;

	if (!READ_ONCE(from->next))
		return 0;
	uf_bias_revoke(&from->lock);
	fiber = from->next;
	if (fiber && fiber->server == UFIBER_NONE) {
		WRITE_ONCE(from->next, NULL);
		fiber->class = uf_runq_class(fiber, false);
		fiber->next = NULL;
	} else {
		fiber = NULL;
	}
	uf_bias_return(&from->lock);
	return uf_runq_append_chain(to, fiber);
}

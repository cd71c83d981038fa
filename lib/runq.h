/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The run queue's short ways: what the server's holder does with its own.
 *
 * A ready fiber stands in one of these lists, each first come first served, by
 * its class: three priorities, and in each those that IO or a timer has woken
 * before the others, because they are likely to wait again soon. The same once
 * more for pinned fibers, which no other server may take.
 *
 * Besides, there is the run-next slot: the first fiber that the running one has
 * woken goes there and runs as soon as that one parks, while what it is given is
 * warm in the cache (Go's idea; there the last one has it, and who was woken
 * before goes behind all others).
 *
 * Among many fibers each one's memory has left the cache by its next turn. So in a
 * long list each knows the one that stands UF_AHEAD places behind it, and when it
 * is taken that one's memory is fetched. Who was put in last but UF_AHEAD can be
 * told so, as in a list that long it is still there: places are left from the front,
 * or else the memory of the last ones is dropped.
 *
 * Nobody starves. One of UF_RUNQ_TURN picks goes to the lists in turns,
 * whatever their class; and the slot goes before the lists UF_RUNQ_NEXT_MAX
 * times in a row at most. So a fiber with k others before it in its list runs
 * after (k + 1) * UF_RUNQ_LISTS * UF_RUNQ_TURN * (UF_RUNQ_NEXT_MAX + 1) picks at
 * most.
 */
#ifndef UF_RUNQ_H
#define UF_RUNQ_H

#include "internal.h"

/* Picks among several lists until one goes to the lists in turns. */
#define UF_RUNQ_TURN 8
/* A list of so many is a long one: their memory is about what the L2 cache has. */
#define UF_RUNQ_LONG 1024
/* Picks from the slot in a row. */
#define UF_RUNQ_NEXT_MAX 16

/* The classes that are not pinned ones, in the map of lists. */
#define UF_RUNQ_STEALABLE ((1U << UF_RUNQ_CLASSES) - 1)

/* runq.c */
void uf_runq_note_ahead(struct uf_ahead *ahead, struct uf_list *list,
			struct uf_fiber *fiber);
unsigned int uf_runq_choose_of_many(struct uf_runq *q);
void uf_runq_remove(struct uf_fiber *fiber);
unsigned int uf_runq_append_chain(struct uf_runq *q, struct uf_fiber *chain);
unsigned int uf_runq_steal(struct uf_runq *from, struct uf_runq *to);
unsigned int uf_runq_steal_next(struct uf_runq *from, struct uf_runq *to);

/* Who is about to be switched away from stays where it is. */
static inline bool uf_runq_may_be_taken(const struct uf_fiber *fiber)
{
	return !smp_load_acquire(&fiber->on_cpu);
}

static inline bool uf_runq_empty(const struct uf_runq *q)
{
	return !READ_ONCE(q->map) && !READ_ONCE(q->next);
}

/* A hint, from anywhere: others could take fibers from its lists. */
static inline bool uf_runq_stealable(const struct uf_runq *q)
{
	return READ_ONCE(q->map) & UF_RUNQ_STEALABLE;
}

/* The class of a fiber that is ready because of IO or time, or for another reason. */
static inline unsigned int uf_runq_class(const struct uf_fiber *fiber, bool io)
{
	return 2 * fiber->priority + !io +
	       (fiber->server == UFIBER_NONE ? 0 : UF_RUNQ_CLASSES);
}

/* Into the list of a class; the lock is held. */
static inline void uf_runq_append(struct uf_runq *q, struct uf_fiber *fiber,
				  unsigned int class)
{
	struct uf_list *list = &q->lists[class];

	fiber->next = NULL;
	fiber->prev = list->tail;
	WRITE_ONCE(fiber->queue, q);
	fiber->class = class;
	if (list->head)
		list->tail->next = fiber;
	else
		list->head = fiber;
	list->tail = fiber;
	list->len++;
	WRITE_ONCE(q->map, q->map | 1U << class);
	if (unlikely(list->len > UF_RUNQ_LONG))
		uf_runq_note_ahead(&q->ahead, list, fiber);
	else
		q->ahead.nr = 0;
}

/* Gone or not, to fetch does not fault. */
static inline void uf_runq_fetch_ahead(const struct uf_fiber *fiber)
{
	const char *sp = fiber->ahead_sp;

	__builtin_prefetch(fiber->ahead, 1);
	__builtin_prefetch(sp);
	__builtin_prefetch(sp + UF_CACHE_LINE);
	__builtin_prefetch(sp + 3 * UF_CACHE_LINE);
	__builtin_prefetch(sp + 4 * UF_CACHE_LINE);
	__builtin_prefetch(sp + 5 * UF_CACHE_LINE);
}

/* The first of a list that is not empty; the lock is held. */
static inline struct uf_fiber *uf_runq_first(struct uf_runq *q,
					     unsigned int class)
{
	struct uf_list *list = &q->lists[class];
	struct uf_fiber *fiber = list->head;

	list->head = fiber->next;
	if (unlikely(list->len > UF_RUNQ_LONG))
		uf_runq_fetch_ahead(fiber);
	list->len--;
	if (!list->head)
		WRITE_ONCE(q->map, q->map & ~(1U << class));
	WRITE_ONCE(fiber->queue, NULL);
	return fiber;
}

/* The list to serve next; one is not empty. */
static inline unsigned int uf_runq_choose(struct uf_runq *q)
{
	uint32_t map = q->map;

	if (likely(!(map & (map - 1))))
		return __builtin_ctz(map);
	return uf_runq_choose_of_many(q);
}

/* Does the slot's fiber go before all in the lists? */
static inline bool uf_runq_next_is_due(const struct uf_runq *q)
{
	uint32_t higher = (1U << 2 * q->next->priority) - 1;

	if (likely(!q->map))
		return true;
	return !(q->map & (higher | higher << UF_RUNQ_CLASSES)) &&
	       q->next_turns < UF_RUNQ_NEXT_MAX;
}

static inline void uf_runq_empty_slot(struct uf_runq *q)
{
	struct uf_fiber *fiber = q->next;

	WRITE_ONCE(q->next, NULL);
	uf_runq_append(q, fiber, uf_runq_class(fiber, false));
}

/* Into the slot; who was there goes to its list. The lock is held. */
static inline void uf_runq_set_next(struct uf_runq *q, struct uf_fiber *fiber)
{
	if (unlikely(q->next))
		uf_runq_empty_slot(q);
	WRITE_ONCE(fiber->queue, q);
	WRITE_ONCE(q->next, fiber);
}

/* Take who runs next, or NULL; the lock is held. */
static __always_inline struct uf_fiber *uf_runq_take(struct uf_runq *q)
{
	struct uf_fiber *fiber = q->next;

	if (fiber) {
		if (likely(uf_runq_next_is_due(q))) {
			q->next_turns++;
			WRITE_ONCE(q->next, NULL);
			WRITE_ONCE(fiber->queue, NULL);
			return fiber;
		}
		uf_runq_empty_slot(q);
	}
	q->next_turns = 0;
	if (!q->map)
		return NULL;
	return uf_runq_first(q, uf_runq_choose(q));
}

#endif /* UF_RUNQ_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The short ways to a stack and back: to the server's cache, without a lock.
 * All of these are for the critical section.
 */
#ifndef UF_STACK_H
#define UF_STACK_H

#include "internal.h"

/* What a batch holds at most: many stacks, and bytes of their address space. */
#define UF_STACK_BATCH 32U
#define UF_STACK_BATCH_SIZE ((size_t)2 << 20)

/* Offsets from the top in use, a cache line each; together half a page. */
#define UF_STACK_COLOURS 32

struct uf_fiber *uf_stack_refill(struct uf_thread *t, struct uf_runtime *rt,
				 unsigned int class);
void uf_stack_spill(struct uf_thread *t, struct uf_fiber *fiber);
struct uf_fiber *uf_stack_place(void *stack, size_t size, unsigned int colour);
unsigned int uf_stack_colour(const struct uf_fiber *fiber);
struct uf_fiber *uf_stack_fiber(void *stack, size_t size);
void uf_stack_clean(struct uf_fiber *fiber);
bool uf_stacks_pooled(const struct uf_runtime *rt, const struct uf_server *s);

static inline unsigned int uf_stack_batch(unsigned int class)
{
	size_t n = UF_STACK_BATCH_SIZE / UF_STACK_MIN >> class;

	return n < UF_STACK_BATCH ? n : UF_STACK_BATCH;
}

/* Others look whether there are any, without the lock: hence the WRITE_ONCE()s. */
static inline void uf_stack_empty(struct uf_stack_list *list)
{
	list->head = NULL;
	WRITE_ONCE(list->nr, 0);
}

static inline struct uf_fiber *uf_stack_pop(struct uf_stack_list *list)
{
	struct uf_fiber *fiber = list->head;

	if (fiber) {
		list->head = fiber->next;
		WRITE_ONCE(list->nr, list->nr - 1);
	}
	return fiber;
}

static inline void uf_stack_push(struct uf_stack_list *list,
				 struct uf_fiber *fiber)
{
	fiber->next = list->head;
	list->head = fiber;
	WRITE_ONCE(list->nr, list->nr + 1);
}

/* The cache that the caller may use, NULL if it is no thread of @rt. */
static inline struct uf_stack_cache *uf_stack_cache(struct uf_thread *t,
						    const struct uf_runtime *rt)
{
	return likely(t && t->rt == rt) ? &uf_server(t)->stacks : NULL;
}

/**
 * uf_stack_take - take a used stack
 * @t: the calling thread; may be NULL.
 * @rt: the runtime.
 * @class: its class, not UF_STACK_LARGE.
 *
 * Returns NULL if there is none.
 */
static inline struct uf_fiber *
uf_stack_take(struct uf_thread *t, struct uf_runtime *rt, unsigned int class)
{
	struct uf_stack_cache *cache = uf_stack_cache(t, rt);
	struct uf_fiber *fiber;

	if (likely(cache)) {
		fiber = uf_stack_pop(&cache->now[class]);
		if (likely(fiber)) {
			cache->used = true;
			return fiber;
		}
	}
	return uf_stack_refill(t, rt, class);
}

/* The same from the server's cache alone; NULL also for a stack of another size. */
static inline struct uf_fiber *
uf_stack_take_warm(struct uf_thread *t, struct uf_runtime *rt, size_t size)
{
	struct uf_stack_cache *cache = uf_stack_cache(t, rt);
	unsigned int class = uf_stack_class(size);
	struct uf_fiber *fiber;

	/* What the checked build does with a new fiber it cannot do here. */
	if (UF_IS_CHECKED || unlikely(!cache || class == UF_STACK_LARGE))
		return NULL;
	fiber = uf_stack_pop(&cache->now[class]);
	if (unlikely(!fiber))
		return NULL;
	cache->used = true;
	uf_san_stack(&fiber->ctx.san, fiber->stack, fiber->stack_size);
	return fiber;
}

/**
 * uf_stack_free - give a fiber and its stack back
 * @t: the calling thread; may be NULL.
 * @fiber: the fiber.
 */
static inline void uf_stack_free(struct uf_thread *t, struct uf_fiber *fiber)
{
	struct uf_stack_cache *cache = uf_stack_cache(t, fiber->rt);
	unsigned int class = uf_stack_class(fiber->stack_size);

	uf_check_gone(fiber, fiber->id);
	WRITE_ONCE(fiber->id, 0);
	uf_san_stack_end(&fiber->ctx.san);
	if (likely(cache && class != UF_STACK_LARGE &&
		   cache->now[class].nr < uf_stack_batch(class))) {
		uf_stack_push(&cache->now[class], fiber);
		cache->used = true;
	} else {
		uf_stack_spill(t, fiber);
	}
}

/* Whether uf_stacks_trim() has something to do, once outside. */
static inline bool uf_stacks_due(struct uf_thread *t, struct uf_runtime *rt)
{
	struct uf_stack_cache *cache = uf_stack_cache(t, rt);

	return unlikely(READ_ONCE(rt->stacks.due)) ||
	       (cache && unlikely(!cache->armed) &&
		uf_stacks_pooled(rt, uf_server(t)));
}

#endif /* UF_STACK_H */

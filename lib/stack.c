// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Stacks, and their reuse. At a stack's top is its struct uf_fiber, whose place
 * is coloured: were it at one offset in every stack, all fibers' hot lines would
 * fall in one set of the processor's cache. It is in the topmost page, and what
 * a parked fiber usually has on its stack is there, too: so a parked fiber takes
 * one page. The hot fields come first, next to the stack's frames.
 *
 * Stacks are kept for reuse, warm, in three steps (the first two are
 * J. Bonwick's magazines):
 *
 *  - each server has a cache, two batches of each class, and needs no lock;
 *  - from and to the runtime's pool go whole batches, the last come first;
 *  - what has not been needed for a second goes back to the arena, and its memory
 *    to the system.
 *
 * The last can block, so it is not done in the critical section, but by who
 * comes out of it: a fiber that creates or joins others, a batch at a time, or
 * the base context before it sleeps. A server whose timer is armed looks again
 * after a second; the timer is armed only while there is something to look at.
 * That a stack has been idle is known of whole batches: in the pool it is the
 * least number that there was in that second; the caches are emptied if they
 * have not been touched.
 */
#include <string.h>
#include <sys/mman.h>

#include "spin.h"
#include "stack.h"

/* Stacks that nobody has needed for so long are surplus. */
#define UF_STACK_IDLE_NS 1000000000ULL

/* ------------------------------------------------------------ the surplus */

static void add_surplus(struct uf_stacks *stacks, struct uf_fiber *batch)
{
	batch->next_batch = stacks->surplus;
	stacks->surplus = batch;
	WRITE_ONCE(stacks->due, true);
}

static void list_to_surplus(struct uf_stacks *stacks, struct uf_stack_list *list)
{
	if (list->head)
		add_surplus(stacks, list->head);
	uf_stack_empty(list);
}

/* --------------------------------------------------------------- the pool */

/* The lock is held. */
static void add_batch(struct uf_stack_pool *pool, struct uf_fiber *batch)
{
	batch->prev_batch = NULL;
	batch->next_batch = pool->newest;
	if (pool->newest)
		pool->newest->prev_batch = batch;
	else
		pool->oldest = batch;
	pool->newest = batch;
	WRITE_ONCE(pool->nr, pool->nr + 1);
}

/* The lock is held. */
static void remove_batch(struct uf_stack_pool *pool, struct uf_fiber *batch)
{
	if (batch->prev_batch)
		batch->prev_batch->next_batch = batch->next_batch;
	else
		pool->newest = batch->next_batch;
	if (batch->next_batch)
		batch->next_batch->prev_batch = batch->prev_batch;
	else
		pool->oldest = batch->prev_batch;
	WRITE_ONCE(pool->nr, pool->nr - 1);
	if (pool->low > pool->nr)
		pool->low = pool->nr;
	if (pool->idle > pool->nr)
		pool->idle = pool->nr;
}

/* The one that came last, or NULL. The lock is held. */
static struct uf_fiber *take_batch(struct uf_stack_pool *pool)
{
	struct uf_fiber *batch = pool->newest;

	if (batch)
		remove_batch(pool, batch);
	return batch;
}

/* The one that came first, if it is to go, or NULL. The lock is held. */
static struct uf_fiber *take_idle(struct uf_stack_pool *pool)
{
	struct uf_fiber *batch = pool->oldest;

	if (!pool->idle)
		return NULL;
	pool->idle--;
	remove_batch(pool, batch);
	return batch;
}

/* The lock is held. */
static struct uf_fiber *take_loose(struct uf_stack_pool *pool,
				   unsigned int class)
{
	struct uf_fiber *fiber = uf_stack_pop(&pool->loose);

	pool->loose_used = true;
	if (fiber)
		return fiber;
	pool->loose.head = take_batch(pool);
	if (pool->loose.head)
		WRITE_ONCE(pool->loose.nr, uf_stack_batch(class));
	return uf_stack_pop(&pool->loose);
}

/* The lock is held. */
static void give_loose(struct uf_stack_pool *pool, struct uf_fiber *fiber,
		       unsigned int class)
{
	uf_stack_push(&pool->loose, fiber);
	pool->loose_used = true;
	if (pool->loose.nr == uf_stack_batch(class)) {
		add_batch(pool, pool->loose.head);
		uf_stack_empty(&pool->loose);
	}
}

/* -------------------------------------------------------------- the cache */

/* What uf_stack_take() does when the cache's list is empty. */
struct uf_fiber *uf_stack_refill(struct uf_thread *t, struct uf_runtime *rt,
				 unsigned int class)
{
	struct uf_stack_cache *cache = uf_stack_cache(t, rt);
	struct uf_stacks *stacks = &rt->stacks;
	struct uf_stack_pool *pool = &stacks->pool[class];
	struct uf_fiber *fiber = NULL;
	struct uf_stack_list list;

	if (cache && cache->spare[class].nr) {
		cache->now[class] = cache->spare[class];
		cache->spare[class] = (struct uf_stack_list){ 0 };
		cache->used = true;
		return uf_stack_pop(&cache->now[class]);
	}
	uf_spin_lock(&stacks->lock);
	list.head = cache ? take_batch(pool) : NULL;
	if (!list.head)
		fiber = take_loose(pool, class);
	uf_spin_unlock(&stacks->lock);
	if (list.head) {
		list.nr = uf_stack_batch(class);
		fiber = uf_stack_pop(&list);
		cache->now[class] = list;
		cache->used = true;
	}
	return fiber;
}

/* What uf_stack_free() does when the cache's list is full, or there is none. */
void uf_stack_spill(struct uf_thread *t, struct uf_fiber *fiber)
{
	struct uf_stack_cache *cache = uf_stack_cache(t, fiber->rt);
	struct uf_runtime *rt = fiber->rt;
	struct uf_stacks *stacks = &rt->stacks;
	unsigned int class = uf_stack_class(fiber->stack_size);
	struct uf_stack_list full;
	bool watched = true;

	if (cache && class != UF_STACK_LARGE) {
		full = cache->spare[class];
		cache->spare[class] = cache->now[class];
		cache->now[class] = (struct uf_stack_list){ 0 };
		uf_stack_push(&cache->now[class], fiber);
		cache->used = true;
		if (!full.nr)
			return;
		uf_spin_lock(&stacks->lock);
		add_batch(&stacks->pool[class], full.head);
	} else {
		uf_spin_lock(&stacks->lock);
		if (class == UF_STACK_LARGE) {
			fiber->next = NULL;
			add_surplus(stacks, fiber);
		} else {
			give_loose(&stacks->pool[class], fiber, class);
			watched = stacks->watched;
			stacks->watched = true;
		}
	}
	uf_spin_unlock(&stacks->lock);
	/* All servers may be asleep: have one arm its timer. */
	if (!watched)
		uf_doorbell_poke(&rt->doorbell, &rt->servers[0]);
}

/* ---------------------------------------------------------------- ageing */

static bool pool_is_empty(const struct uf_stacks *stacks)
{
	unsigned int i;

	for (i = 0; i < UF_STACK_CLASSES; i++)
		if (READ_ONCE(stacks->pool[i].nr) ||
		    READ_ONCE(stacks->pool[i].loose.nr))
			return false;
	return true;
}

/* Whether there is anything that could be found to be idle. */
bool uf_stacks_pooled(const struct uf_runtime *rt, const struct uf_server *s)
{
	unsigned int i;

	for (i = 0; i < UF_STACK_CLASSES; i++)
		if (s->stacks.now[i].nr || s->stacks.spare[i].nr)
			return true;
	return !pool_is_empty(&rt->stacks);
}

/* The lock is held. */
static void age_pool(struct uf_stacks *stacks, struct uf_stack_pool *pool)
{
	pool->idle = pool->low;
	pool->low = pool->nr;
	if (pool->idle)
		WRITE_ONCE(stacks->due, true);
	if (!pool->loose_used)
		list_to_surplus(stacks, &pool->loose);
	pool->loose_used = false;
}

/* The lock is held. */
static void age_cache(struct uf_stacks *stacks, struct uf_stack_cache *cache)
{
	unsigned int i;

	for (i = 0; i < UF_STACK_CLASSES && !cache->used; i++) {
		list_to_surplus(stacks, &cache->now[i]);
		list_to_surplus(stacks, &cache->spare[i]);
	}
	cache->used = false;
}

static void fire_age(struct uf_thread *t, struct uf_timer *timer)
{
	(void)timer;
	WRITE_ONCE(uf_server(t)->stacks.armed, false);
}

/* Look for what has been idle. In the critical section. */
static void age(struct uf_thread *t, struct uf_server *s)
{
	struct uf_stacks *stacks = &t->rt->stacks;
	uint64_t now = uf_now();
	unsigned int i;

	uf_spin_lock(&stacks->lock);
	age_cache(stacks, &s->stacks);
	if (stacks->age_at <= now) {
		stacks->age_at = now + UF_STACK_IDLE_NS;
		for (i = 0; i < UF_STACK_CLASSES; i++)
			age_pool(stacks, &stacks->pool[i]);
	}
	stacks->watched = !pool_is_empty(stacks);
	uf_spin_unlock(&stacks->lock);
	if (uf_stacks_pooled(t->rt, s)) {
		WRITE_ONCE(s->stacks.armed, true);
		uf_timer_arm(t, &s->stacks.timer, now + UF_STACK_IDLE_NS,
			     fire_age);
	}
}

static void release(struct uf_stacks *stacks, struct uf_fiber *batch)
{
	struct uf_fiber *fiber = batch;
	struct uf_fiber *next;

	for (; fiber; fiber = next) {
		next = fiber->next;
		uf_arena_put(&stacks->arena, fiber->chunk, fiber->stack);
	}
}

/* A batch that is to go, or NULL. The lock is held. */
static struct uf_fiber *take_due(struct uf_stacks *stacks)
{
	struct uf_fiber *batch = stacks->surplus;
	unsigned int i;

	if (batch)
		stacks->surplus = batch->next_batch;
	for (i = 0; i < UF_STACK_CLASSES && !batch; i++)
		batch = take_idle(&stacks->pool[i]);
	if (!batch) {
		WRITE_ONCE(stacks->due, false);
		/* Nobody comes back to an empty pool; who gives to it sees to that. */
		if (pool_is_empty(stacks))
			stacks->watched = false;
	}
	return batch;
}

/**
 * uf_stacks_trim - give idle stacks back, a batch at most
 * @rt: the runtime.
 *
 * Called outside the critical section, when uf_stacks_due() says so.
 */
void uf_stacks_trim(struct uf_runtime *rt)
{
	struct uf_stacks *stacks = &rt->stacks;
	struct uf_thread *t = uf_enter();
	struct uf_stack_cache *cache = uf_stack_cache(t, rt);
	struct uf_fiber *batch;

	if (cache && !cache->armed)
		age(t, uf_server(t));
	uf_spin_lock(&stacks->lock);
	batch = take_due(stacks);
	uf_spin_unlock(&stacks->lock);
	uf_leave(t);
	release(stacks, batch);
}

/* ------------------------------------------------------------------ stacks */

/* The highest place for a fiber on a stack. */
static char *top_place(void *stack, size_t size)
{
	return (char *)stack + size -
	       ((sizeof(struct uf_fiber) + UF_CACHE_LINE - 1) & -UF_CACHE_LINE);
}

/* A place for it, by its colour. */
struct uf_fiber *uf_stack_place(void *stack, size_t size, unsigned int colour)
{
	char *place = top_place(stack, size);

	place -= colour % UF_STACK_COLOURS * UF_CACHE_LINE;
	return (struct uf_fiber *)place;
}

unsigned int uf_stack_colour(const struct uf_fiber *fiber)
{
	return (top_place(fiber->stack, fiber->stack_size) - (char *)fiber) /
	       UF_CACHE_LINE;
}

/* Where a stack has its fiber. Slots of a chunk are neighbours, so their numbers make good colours. */
struct uf_fiber *uf_stack_fiber(void *stack, size_t size)
{
	size_t slot = (uintptr_t)stack / (uf_page_size() + size);

	return uf_stack_place(stack, size, slot % UF_STACK_COLOURS);
}

static struct uf_fiber *new_stack(struct uf_stacks *stacks, size_t size)
{
	struct uf_chunk *chunk;
	struct uf_fiber *fiber;
	void *stack;

	stack = uf_arena_get(&stacks->arena, size, &chunk);
	if (!stack)
		return NULL;
	fiber = uf_stack_fiber(stack, chunk->stack_size);
	fiber->stack = stack;
	fiber->stack_size = chunk->stack_size;
	fiber->chunk = chunk;
	return fiber;
}

/**
 * uf_stack_alloc - get a stack with a fiber on top
 * @rt: the runtime.
 * @size: bytes wanted.
 *
 * Called outside the critical section: it may block. Returns the fiber, of which
 * only what belongs to the stack is initialised; NULL if memory, or the room
 * for guards, is used up.
 */
struct uf_fiber *uf_stack_alloc(struct uf_runtime *rt, size_t size)
{
	unsigned int class = uf_stack_class(size);
	struct uf_fiber *fiber = NULL;
	struct uf_thread *t;
	bool due;

	if (size > SIZE_MAX / 2)
		return NULL;
	t = uf_enter();
	if (class != UF_STACK_LARGE)
		fiber = uf_stack_take(t, rt, class);
	due = uf_stacks_due(t, rt);
	uf_leave(t);
	if (unlikely(due))
		uf_stacks_trim(rt);
	if (!fiber)
		fiber = new_stack(&rt->stacks, size);
	if (!fiber)
		return NULL;
	fiber = uf_check_move(rt, fiber);
	uf_check_born(UF_KIND_FIBER, fiber);
	uf_san_stack(&fiber->ctx.san, fiber->stack, fiber->stack_size);
	return fiber;
}

void uf_stacks_init(struct uf_stacks *stacks)
{
	uf_arena_init(&stacks->arena);
}

/* Unmap every stack of a runtime that no fiber runs on any more. */
void uf_stacks_destroy(struct uf_stacks *stacks)
{
	uf_arena_destroy(&stacks->arena);
}

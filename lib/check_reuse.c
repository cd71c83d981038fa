// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The checked build: an object that is gone should not have the address of a new
 * one, or its handle would pass for that one's. See check.h.
 *
 * Nothing is withheld from reuse for that: memory keeps its ways. A fiber and a
 * coroutine lie at the top of their stacks, at one of 32 offsets; so the next one on
 * the same stack has another.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "check_table.h"
#include "coro.h"
#include "stack.h"

/* How many blocks to try. */
#define UF_TRIES 16

static bool was_used(const void *address)
{
	return uf_known(address).gone;
}

/**
 * uf_check_fresh - exchange a block for one at an address with no past
 * @block: from malloc() and the like, or NULL.
 * @align: what it is aligned to.
 * @size: bytes of it.
 *
 * Returns another block, if one can be had, or the same.
 */
void *uf_check_fresh(void *block, size_t align, size_t size)
{
	void *used[UF_TRIES];
	unsigned int n = 0;
	void *next;

	while (block && n < UF_TRIES && was_used(block)) {
		next = aligned_alloc(align, size);
		used[n] = next ? block : NULL;
		block = next ? next : block;
		if (!used[n])
			break;
		n++;
	}
	while (n--)
		free(used[n]);
	return block;
}

/*
 * While somebody walks over all stacks (uf_arena_walk()) they stay where they are: who
 * was found to be a fiber may be none any more, but what is there must not become a
 * part of the next one's stack.
 */
static bool may_move(struct uf_runtime *rt)
{
	return !READ_ONCE(rt->stacks.arena.pins);
}

/**
 * uf_check_move - find the place of a new fiber on its stack
 * @rt: its runtime.
 * @fiber: where it would be, with what belongs to the stack set.
 *
 * Returns where it is to be, with the same set.
 */
struct uf_fiber *uf_check_move(struct uf_runtime *rt, struct uf_fiber *fiber)
{
	size_t size = fiber->stack_size;
	struct uf_chunk *chunk = fiber->chunk;
	void *stack = fiber->stack;
	struct uf_fiber *place = fiber;
	unsigned int first, i;

	if (!may_move(rt))
		return fiber;
	first = uf_stack_colour(fiber);
	for (i = 0; i < UF_STACK_COLOURS && was_used(place); i++)
		place = uf_stack_place(stack, size, first + i + 1);
	if (place == fiber && was_used(place))
		place = uf_stack_place(stack, size, first + 1);
	if (place != fiber) {
		memset(place, 0, sizeof(*place));
		place->stack = stack;
		place->stack_size = size;
		place->chunk = chunk;
	}
	return place;
}

/* Where the fiber on a stack is, if there is one, or NULL; @fiber is one place. */
struct uf_fiber *uf_check_find(struct uf_fiber *fiber, void *stack, size_t size)
{
	struct uf_known known;
	unsigned int i;

	for (i = 0; i < UF_STACK_COLOURS; i++) {
		fiber = uf_stack_place(stack, size, i);
		known = uf_known(fiber);
		if (known.kind == UF_KIND_FIBER && !known.gone)
			return fiber;
	}
	return NULL;
}

/* The same as uf_check_move() for a coroutine on a stack of the library's. */
struct uf_coro_full *uf_check_move_coro(struct uf_coro_full *full)
{
	size_t map_size = full->map_size;
	char *map = full->map;
	uintptr_t end = (uintptr_t)map + map_size;
	unsigned int first, i;

	first = (end - full->co.stack - full->co.stack_size) / UF_CACHE_LINE;
	for (i = 0; i < UF_CORO_COLOURS && was_used(&full->co); i++)
		full = uf_coro_place(map, map_size, first + i + 1);
	if (was_used(&full->co))
		full = uf_coro_place(map, map_size, first + 1);
	return full;
}

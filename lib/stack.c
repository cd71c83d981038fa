// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Stacks. A mapping is, from its low end: a guard page, the stack, and at the
 * stack's top the struct uf_fiber, whose place is coloured: were it at one
 * offset in every mapping, all fibers' hot lines would fall in one set of the
 * processor's cache.
 *
 * Stacks of the runtime's default size are kept for reuse, warm, up to a bound.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"
#include "spin.h"

/* Stacks kept for reuse. */
#define UF_STACK_POOL 1024

/* Offsets from the top in use, a cache line each; together half a page. */
#define UF_STACK_COLOURS 32

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

void *uf_stack_bottom(const struct uf_fiber *fiber)
{
	return (char *)fiber->map + page_size();
}

static void link_stack(struct uf_stacks *stacks, struct uf_fiber *fiber)
{
	fiber->all_next = stacks->all;
	fiber->all_link = &stacks->all;
	if (stacks->all)
		stacks->all->all_link = &fiber->all_next;
	stacks->all = fiber;
}

static void unlink_stack(struct uf_fiber *fiber)
{
	*fiber->all_link = fiber->all_next;
	if (fiber->all_next)
		fiber->all_next->all_link = fiber->all_link;
}

/*
 * Map a stack without access, then open all but the guard page: so there is no
 * moment, and no failure, that leaves it without the guard.
 */
static void *map_stack(size_t size)
{
	size_t guard = page_size();
	char *map = mmap(NULL, guard + size, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
			 -1, 0);

	if (map == MAP_FAILED)
		return NULL;
	if (mprotect(map + guard, size, PROT_READ | PROT_WRITE)) {
		munmap(map, guard + size);
		return NULL;
	}
	return map;
}

static void unmap_stack(struct uf_fiber *fiber)
{
	munmap(fiber->map, page_size() + fiber->stack_size);
}

static struct uf_fiber *place_fiber(void *map, size_t size, unsigned int colour)
{
	char *top = (char *)map + page_size() + size;
	struct uf_fiber *fiber;

	top -= colour % UF_STACK_COLOURS * UF_CACHE_LINE;
	top -= (sizeof(*fiber) + UF_CACHE_LINE - 1) & -UF_CACHE_LINE;
	fiber = (struct uf_fiber *)top;
	fiber->map = map;
	fiber->stack_size = size;
	return fiber;
}

static struct uf_fiber *new_stack(struct uf_runtime *rt, size_t size)
{
	struct uf_stacks *stacks = &rt->stacks;
	struct uf_fiber *fiber;
	struct uf_thread *t;
	void *map;

	map = map_stack(size);
	if (!map)
		return NULL;
	fiber = place_fiber(map, size,
			    __atomic_fetch_add(&stacks->nr_mapped, 1,
					       __ATOMIC_RELAXED));
	t = uf_enter();
	uf_spin_lock(&stacks->lock);
	link_stack(stacks, fiber);
	uf_spin_unlock(&stacks->lock);
	uf_leave(t);
	return fiber;
}

static struct uf_fiber *pooled_stack(struct uf_stacks *stacks)
{
	struct uf_thread *t = uf_enter();
	struct uf_fiber *fiber;

	uf_spin_lock(&stacks->lock);
	fiber = stacks->free;
	if (fiber) {
		stacks->free = fiber->next;
		stacks->nr_free--;
	}
	uf_spin_unlock(&stacks->lock);
	uf_leave(t);
	return fiber;
}

/**
 * uf_stack_alloc - get a stack with a fiber on top
 * @rt: the runtime.
 * @size: bytes wanted.
 *
 * Mapping is done outside the critical section: it may block. Returns the
 * fiber, of which only what belongs to the stack is initialised; NULL if there
 * is no memory, or no room for two more mappings (vm.max_map_count).
 */
struct uf_fiber *uf_stack_alloc(struct uf_runtime *rt, size_t size)
{
	struct uf_fiber *fiber = NULL;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + page_size() - 1) & -page_size();
	if (size == rt->stack_size)
		fiber = pooled_stack(&rt->stacks);
	if (!fiber)
		fiber = new_stack(rt, size);
	if (fiber)
		uf_san_stack(&fiber->ctx.san, uf_stack_bottom(fiber), size);
	return fiber;
}

/**
 * uf_stack_free - give a fiber and its stack back
 * @fiber: the fiber. Fibers that call this do so in the critical section.
 */
void uf_stack_free(struct uf_fiber *fiber)
{
	struct uf_stacks *stacks = &fiber->rt->stacks;
	bool keep;

	uf_spin_lock(&stacks->lock);
	keep = fiber->stack_size == fiber->rt->stack_size &&
	       stacks->nr_free < UF_STACK_POOL;
	if (keep) {
		fiber->next = stacks->free;
		stacks->free = fiber;
		stacks->nr_free++;
	} else {
		unlink_stack(fiber);
	}
	uf_spin_unlock(&stacks->lock);
	if (!keep)
		unmap_stack(fiber);
}

/* Unmap every stack of a runtime that no fiber runs on any more. */
void uf_stack_free_all(struct uf_runtime *rt)
{
	struct uf_fiber *fiber;

	while ((fiber = rt->stacks.all)) {
		unlink_stack(fiber);
		unmap_stack(fiber);
	}
}

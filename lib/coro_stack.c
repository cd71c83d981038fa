// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Stacks of coroutines. As those of fibers: a guard page, the stack, and at its
 * top the coroutine, at a coloured offset. They belong to no runtime; so does
 * the pool in which those of the default size are kept, warm, up to a bound.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "coro.h"
#include "spin.h"

#define UF_CORO_STACK_SIZE ((size_t)65536)

/* Stacks kept for reuse. */
#define UF_CORO_POOL 256

/* In what the mapping of a default stack has: stack and coroutine. */
static struct {
	uint32_t lock;
	unsigned int nr_free;
	unsigned int nr_mapped;
	struct uf_coro_full *free;
} pool;

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* The coroutine's place at the top of a stack. */
static struct uf_coro_full *place(char *stack, size_t size)
{
	uintptr_t top = (uintptr_t)stack + size - sizeof(struct uf_coro_full);
	struct uf_coro_full *full;

	full = (struct uf_coro_full *)(top & -(uintptr_t)UF_CACHE_LINE);
	full->co.stack = (uintptr_t)stack;
	full->co.stack_size = size;
	return full;
}

/* The coroutine's place, by its colour, in a mapping with a guard page. */
struct uf_coro_full *uf_coro_place(char *map, size_t map_size,
				   unsigned int colour)
{
	size_t guard = page_size();
	struct uf_coro_full *full;

	full = place(map + guard,
		     map_size - guard - colour % UF_CORO_COLOURS * UF_CACHE_LINE);
	full->map = map;
	full->map_size = map_size;
	return full;
}

/* Without access first, so that no failure leaves a stack without a guard. */
static struct uf_coro_full *map_stack(size_t size)
{
	unsigned int colour = fetch_add(&pool.nr_mapped, 1);
	size_t guard = page_size();
	size_t map_size = guard + ((size + guard - 1) & -guard);
	char *map;

	if (uf_fork_init())
		return NULL;
	map = mmap(NULL, map_size, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1,
		   0);
	if (map == MAP_FAILED)
		return NULL;
	if (mprotect(map + guard, map_size - guard, PROT_READ | PROT_WRITE)) {
		munmap(map, map_size);
		return NULL;
	}
	return uf_coro_place(map, map_size, colour);
}

/* The lock is left alone until there has been a stack: see uf_coro_after_fork(). */
static struct uf_coro_full *pop(void)
{
	struct uf_coro_full *full;
	struct uf_thread *t;

	if (!READ_ONCE(pool.free))
		return NULL;
	t = uf_enter();
	uf_spin_lock(&pool.lock);
	full = pool.free;
	if (full) {
		WRITE_ONCE(pool.free, full->next);
		pool.nr_free--;
	}
	uf_spin_unlock(&pool.lock);
	uf_leave(t);
	return full;
}

static bool push(struct uf_coro_full *full)
{
	struct uf_thread *t = uf_enter();
	bool room;

	uf_spin_lock(&pool.lock);
	room = pool.nr_free < UF_CORO_POOL;
	if (room) {
		full->next = pool.free;
		smp_store_release(&pool.free, full);
		pool.nr_free++;
	}
	uf_spin_unlock(&pool.lock);
	uf_leave(t);
	return room;
}

/*
 * In the child of a fork(): who held the lock is not here. The list is in order at
 * any moment, as it changes by one store; the count may be one off.
 */
void uf_coro_after_fork(void)
{
	const struct uf_coro_full *full;

	pool.lock = 0;
	pool.nr_free = 0;
	for (full = pool.free; full; full = full->next)
		pool.nr_free++;
}

static bool is_default(size_t size)
{
	return size == UF_CORO_STACK_SIZE;
}

/**
 * uf_coro_stack_get - get a stack of the library's with a coroutine on top
 * @size: bytes wanted; 0 means the default.
 *
 * Returns the coroutine, of which only what belongs to the stack is
 * initialised; NULL if there is no memory or no room for two more mappings.
 */
struct uf_coro_full *uf_coro_stack_get(size_t size)
{
	struct uf_coro_full *full = NULL;

	if (!size)
		size = UF_CORO_STACK_SIZE;
	if (size > SIZE_MAX / 2)
		return NULL;
	if (is_default(size))
		full = pop();
	if (!full)
		full = map_stack(size);
	return full ? uf_check_move_coro(full) : NULL;
}

/* The same with the user's memory. */
struct uf_coro_full *uf_coro_stack_use(void *stack, size_t size)
{
	struct uf_coro_full *full = place(stack, size);

	full->map = NULL;
	return full;
}

void uf_coro_stack_put(struct uf_coro_full *full)
{
	if (!full->map)
		return;
	if (!is_default(full->map_size - page_size()) || !push(full))
		munmap(full->map, full->map_size);
}

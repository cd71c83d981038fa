// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Memory for stacks. It must be possible to have a million of them, each with
 * a guard page, and the kernel allows a process some 65,000 maps only
 * (vm.max_map_count). So stacks are cut from large chunks, and what makes a page
 * a guard is, best first:
 *
 * UF_GUARD_MARKER: MADV_GUARD_INSTALL (Linux 6.13), a mark in the page table: a
 *	chunk stays one map.
 *
 * UF_GUARD_UFFD: userfaultfd's write protection, which is a mark in the page
 *	table, too. The chunk is registered once; with UFFD_FEATURE_SIGBUS nobody
 *	has to read the userfaultfd: who writes to the page gets SIGBUS, and a
 *	system call that would, EFAULT. Where this differs from the first: it is
 *	SIGBUS and not SIGSEGV; reading the page gives zeros; in a forked child
 *	the guards are gone; and they need a file descriptor. A seccomp profile
 *	may forbid userfaultfd(); with UFFD_USER_MODE_ONLY no sysctl does.
 *
 * UF_GUARD_MPROTECT: two maps for each stack. Some are left to the rest of the
 *	program; when no more can be had, there are no more stacks.
 *
 * A stack that has no guard is never given out.
 *
 * A slot that is given back is *cold*: its guard stays, its memory is returned.
 * A chunk whose slots are all cold is unmapped. A chunk starts with a header of
 * its own, so that nothing else has to be allocated, which could fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"
#include "spin.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Slots of a first chunk; each next one doubles what there is, up to a bound. */
#define UF_CHUNK_FIRST 64
#define UF_CHUNK_MAX ((size_t)2 << 30)

/* Of the maps that a process may have, how many may not be guards. */
#define UF_MAPS_DEFAULT 65530
#define UF_MAPS_SHARE 8

/* Guards of UF_GUARD_MPROTECT, of all runtimes, and how many there may be. */
static unsigned long nr_mprotected;
static unsigned long max_mprotected;

size_t uf_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t size, size_t to)
{
	return (size + to - 1) & -to;
}

static size_t slot_size(size_t stack_size)
{
	return uf_page_size() + stack_size;
}

/* ------------------------------------------------------------------ guards */

/* Each costs two maps; an eighth of them is left to the program. */
static unsigned long read_max_mprotected(void)
{
	int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	unsigned long maps = UF_MAPS_DEFAULT;
	char text[24] = "";

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) > 0)
			maps = strtoul(text, NULL, 10);
		close(fd);
	}
	return (maps - maps / UF_MAPS_SHARE) / 2;
}

static bool reserve_mprotected(void)
{
	unsigned long max = READ_ONCE(max_mprotected);

	if (!max) {
		max = read_max_mprotected();
		WRITE_ONCE(max_mprotected, max);
	}
	if (fetch_add(&nr_mprotected, 1) < max)
		return true;
	fetch_add(&nr_mprotected, -1);
	return false;
}

static int guard_by_mprotect(void *page)
{
	if (!reserve_mprotected())
		return -1;
	if (!mprotect(page, uf_page_size(), PROT_NONE))
		return 0;
	fetch_add(&nr_mprotected, -1);
	return -1;
}

/*
 * Only what is in the page table can be marked (but for Linux 6.4 and later, if
 * asked): reading puts the kernel's page of zeros there, which costs no memory.
 */
static int guard_by_uffd(int uffd, void *page)
{
	struct uffdio_writeprotect protect = {
		.range = { (uintptr_t)page, uf_page_size() },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	(void)*(volatile char *)page;
	return ioctl(uffd, UFFDIO_WRITEPROTECT, &protect);
}

static int make_guard(struct uf_arena *arena, enum uf_guard guard, void *page)
{
	switch (guard) {
	case UF_GUARD_MARKER:
		return madvise(page, uf_page_size(), MADV_GUARD_INSTALL);
	case UF_GUARD_UFFD:
		return guard_by_uffd(arena->uffd, page);
	default:
		return guard_by_mprotect(page);
	}
}

static int open_uffd(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool register_uffd(struct uf_arena *arena, struct uf_chunk *chunk)
{
	struct uffdio_register range = {
		.range = { (uintptr_t)chunk, chunk->size },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	if (arena->uffd < 0)
		arena->uffd = open_uffd();
	return arena->uffd >= 0 && !ioctl(arena->uffd, UFFDIO_REGISTER, &range);
}

static enum uf_guard choose_guard(struct uf_arena *arena, struct uf_chunk *chunk)
{
	if (!make_guard(arena, UF_GUARD_MARKER, chunk->slots))
		return UF_GUARD_MARKER;
	return register_uffd(arena, chunk) ? UF_GUARD_UFFD : UF_GUARD_MPROTECT;
}

/* ------------------------------------------------------------------ chunks */

static void link_chunk(struct uf_arena *arena, struct uf_chunk *chunk)
{
	chunk->next = arena->all;
	chunk->link = &arena->all;
	if (chunk->next)
		chunk->next->link = &chunk->next;
	arena->all = chunk;
}

static void unlink_chunk(struct uf_chunk *chunk)
{
	*chunk->link = chunk->next;
	if (chunk->next)
		chunk->next->link = chunk->link;
}

static void link_cold(struct uf_arena *arena, struct uf_chunk *chunk)
{
	struct uf_chunk **list = &arena->cold[chunk->stack_class];

	chunk->cold_next = *list;
	chunk->cold_link = list;
	if (chunk->cold_next)
		chunk->cold_next->cold_link = &chunk->cold_next;
	*list = chunk;
}

static void unlink_cold(struct uf_chunk *chunk)
{
	*chunk->cold_link = chunk->cold_next;
	if (chunk->cold_next)
		chunk->cold_next->cold_link = chunk->cold_link;
}

/*
 * Map a chunk. No huge pages: with one at its top, a stack would take 2 MiB.
 * That is refused with EINVAL where there are none anyway.
 */
static struct uf_chunk *map_chunk(unsigned int class, size_t stack_size,
				  size_t nr_slots)
{
	size_t header =
		round_up(sizeof(struct uf_chunk) + nr_slots * sizeof(uint32_t),
			 uf_page_size());
	size_t size = header + nr_slots * slot_size(stack_size);
	struct uf_chunk *chunk;

	chunk = mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
		     -1, 0);
	if (chunk == MAP_FAILED)
		return NULL;
	if (madvise(chunk, size, MADV_NOHUGEPAGE) && errno != EINVAL) {
		munmap(chunk, size);
		return NULL;
	}
	chunk->size = size;
	chunk->stack_size = stack_size;
	chunk->stack_class = class;
	chunk->slots = (char *)chunk + header;
	chunk->nr_slots = nr_slots;
	return chunk;
}

static struct uf_chunk *new_chunk(struct uf_arena *arena, unsigned int class,
				  size_t stack_size, size_t nr_slots)
{
	struct uf_chunk *chunk = map_chunk(class, stack_size, nr_slots);
	struct uf_thread *t;

	if (!chunk)
		return NULL;
	chunk->guard = choose_guard(arena, chunk);
	t = uf_enter();
	uf_spin_lock(&arena->lock);
	link_chunk(arena, chunk);
	uf_spin_unlock(&arena->lock);
	uf_leave(t);
	return chunk;
}

/* Those of mprotect() are counted; the others go with the memory. */
static void forget_guards(enum uf_guard guard, unsigned long nr)
{
	if (guard == UF_GUARD_MPROTECT)
		fetch_add(&nr_mprotected, -nr);
}

/*
 * Unmap a chunk that has been taken out of the lists. It fails if it would make
 * two maps of one and there is no room for another: then the chunk is kept.
 */
static void unmap_chunk(struct uf_arena *arena, struct uf_chunk *chunk)
{
	unsigned int class = chunk->stack_class;
	enum uf_guard guard = chunk->guard;
	uint32_t nr_slots = chunk->nr_slots;
	uint32_t nr_cut = chunk->nr_cut;
	struct uf_thread *t;

	if (!munmap(chunk, chunk->size)) {
		forget_guards(guard, nr_cut);
		if (class != UF_STACK_LARGE)
			fetch_add(&arena->nr_slots[class], -(size_t)nr_slots);
		return;
	}
	t = uf_enter();
	uf_spin_lock(&arena->lock);
	link_chunk(arena, chunk);
	if (chunk->stack_class != UF_STACK_LARGE)
		link_cold(arena, chunk);
	uf_spin_unlock(&arena->lock);
	uf_leave(t);
}

/* As many slots as the class has already, or as there is memory for. */
static struct uf_chunk *grow(struct uf_arena *arena, unsigned int class)
{
	size_t stack_size = UF_STACK_MIN << class;
	size_t nr_slots = READ_ONCE(arena->nr_slots[class]);
	struct uf_chunk *chunk = NULL;

	if (nr_slots < UF_CHUNK_FIRST)
		nr_slots = UF_CHUNK_FIRST;
	if (nr_slots > UF_CHUNK_MAX / slot_size(stack_size))
		nr_slots = UF_CHUNK_MAX / slot_size(stack_size);
	for (; nr_slots && !chunk; nr_slots /= 2)
		chunk = new_chunk(arena, class, stack_size, nr_slots);
	if (chunk) {
		fetch_add(&arena->nr_slots[class], chunk->nr_slots);
		arena->growing[class] = chunk;
	}
	return chunk;
}

/* ------------------------------------------------------------------- slots */

static void *stack_of(const struct uf_chunk *chunk, uint32_t slot)
{
	return chunk->slots + slot * slot_size(chunk->stack_size) +
	       uf_page_size();
}

/* Make the guard of a chunk's next slot. Returns its stack. */
static void *cut(struct uf_arena *arena, struct uf_chunk *chunk)
{
	char *stack = stack_of(chunk, chunk->nr_cut);

	if (make_guard(arena, chunk->guard, stack - uf_page_size()))
		return NULL;
	smp_store_release(&chunk->nr_cut, chunk->nr_cut + 1);
	return stack;
}

/*
 * A slot never used before. Once all are cut the chunk is out of @growing, so
 * that it can be unmapped when all of them have come back.
 */
static void *new_slot(struct uf_arena *arena, unsigned int class,
		      struct uf_chunk **chunk)
{
	void *stack = NULL;

	pthread_mutex_lock(&arena->grow);
	*chunk = arena->growing[class];
	if (!*chunk)
		*chunk = grow(arena, class);
	if (*chunk)
		stack = cut(arena, *chunk);
	if (stack && (*chunk)->nr_cut == (*chunk)->nr_slots)
		arena->growing[class] = NULL;
	pthread_mutex_unlock(&arena->grow);
	return stack;
}

static void *cold_slot(struct uf_arena *arena, unsigned int class,
		       struct uf_chunk **chunk)
{
	struct uf_thread *t = uf_enter();
	void *stack = NULL;
	struct uf_chunk *c;

	uf_spin_lock(&arena->lock);
	c = arena->cold[class];
	if (c) {
		stack = stack_of(c, c->cold[--c->nr_cold]);
		if (!c->nr_cold)
			unlink_cold(c);
	}
	uf_spin_unlock(&arena->lock);
	uf_leave(t);
	*chunk = c;
	return stack;
}

static bool is_empty(const struct uf_chunk *chunk)
{
	return chunk->nr_cold == chunk->nr_slots;
}

/* Out of the lists, to be unmapped; the lock is held. */
static void unlink_empty(struct uf_chunk *chunk)
{
	unlink_chunk(chunk);
	if (chunk->stack_class != UF_STACK_LARGE)
		unlink_cold(chunk);
}

/* A slot is cold. The last of a chunk takes it along, if nobody walks. */
static void put_slot(struct uf_arena *arena, struct uf_chunk *chunk,
		     uint32_t slot)
{
	struct uf_thread *t = uf_enter();
	bool last;

	uf_spin_lock(&arena->lock);
	chunk->cold[chunk->nr_cold++] = slot;
	if (chunk->nr_cold == 1 && chunk->stack_class != UF_STACK_LARGE)
		link_cold(arena, chunk);
	last = !arena->pins && is_empty(chunk);
	if (last)
		unlink_empty(chunk);
	uf_spin_unlock(&arena->lock);
	uf_leave(t);
	if (last)
		unmap_chunk(arena, chunk);
}

static void *new_large(struct uf_arena *arena, size_t size,
		       struct uf_chunk **chunk)
{
	struct uf_chunk *new;
	void *stack = NULL;

	pthread_mutex_lock(&arena->grow);
	new = new_chunk(arena, UF_STACK_LARGE, size, 1);
	if (new)
		stack = cut(arena, new);
	pthread_mutex_unlock(&arena->grow);
	if (new && !stack)
		put_slot(arena, new, 0);
	*chunk = new;
	return stack;
}

/**
 * uf_arena_get - get memory for a stack
 * @arena: the arena.
 * @size: bytes; what is got may be larger, chunk->stack_size.
 * @chunk: what it is a part of; for uf_arena_put().
 *
 * Below the stack there is a guard page. What it holds is zero.
 *
 * Returns its lowest address, or NULL if memory or the room for guards is used
 * up.
 */
void *uf_arena_get(struct uf_arena *arena, size_t size, struct uf_chunk **chunk)
{
	unsigned int class;
	void *stack;

	size = round_up(size, uf_page_size());
	class = uf_stack_class(size);
	if (class == UF_STACK_LARGE)
		return new_large(arena, size, chunk);
	stack = cold_slot(arena, class, chunk);
	return stack ? stack : new_slot(arena, class, chunk);
}

/**
 * uf_arena_put - give a stack back, and its memory to the system
 * @arena: the arena.
 * @chunk: what it is a part of.
 * @stack: its lowest address.
 *
 * If all of the process's memory is locked (mlockall()), it keeps its memory
 * and what that holds.
 */
void uf_arena_put(struct uf_arena *arena, struct uf_chunk *chunk, void *stack)
{
	madvise(stack, chunk->stack_size, MADV_DONTNEED);
	put_slot(arena, chunk,
		 ((char *)stack - chunk->slots) / slot_size(chunk->stack_size));
}

/* Returns the first chunk; none of those that there are goes until unpin(). */
static struct uf_chunk *pin(struct uf_arena *arena)
{
	struct uf_thread *t = uf_enter();
	struct uf_chunk *first;

	uf_spin_lock(&arena->lock);
	arena->pins++;
	first = arena->all;
	uf_spin_unlock(&arena->lock);
	uf_leave(t);
	return first;
}

/* Those that have become empty meanwhile, out of the lists. The lock is held. */
static struct uf_chunk *take_empty(struct uf_arena *arena)
{
	struct uf_chunk *chunk, *next, *empty = NULL;

	for (chunk = arena->all; chunk; chunk = next) {
		next = chunk->next;
		if (!is_empty(chunk))
			continue;
		unlink_empty(chunk);
		chunk->next = empty;
		empty = chunk;
	}
	return empty;
}

/* Each is tried once: what cannot be unmapped is in the lists again. */
static void unpin(struct uf_arena *arena)
{
	struct uf_thread *t = uf_enter();
	struct uf_chunk *chunk, *next;

	uf_spin_lock(&arena->lock);
	chunk = --arena->pins ? NULL : take_empty(arena);
	uf_spin_unlock(&arena->lock);
	uf_leave(t);
	for (; chunk; chunk = next) {
		next = chunk->next;
		unmap_chunk(arena, chunk);
	}
}

/**
 * uf_arena_walk - visit each stack that has ever been given out
 * @arena: the arena.
 * @visit: what to call: @stack is its lowest address, @size its bytes.
 * @arg: for that.
 *
 * Also those that are cold by now; their memory is zero, and stays mapped until the
 * end of the walk. They come and go meanwhile; of new ones not all are seen.
 */
void uf_arena_walk(struct uf_arena *arena,
		   void (*visit)(void *stack, size_t size, void *arg), void *arg)
{
	struct uf_chunk *chunk;
	uint32_t i;

	for (chunk = pin(arena); chunk; chunk = chunk->next)
		for (i = 0; i < smp_load_acquire(&chunk->nr_cut); i++)
			visit(stack_of(chunk, i), chunk->stack_size, arg);
	unpin(arena);
}

void uf_arena_init(struct uf_arena *arena)
{
	pthread_mutex_init(&arena->grow, NULL);
	arena->uffd = -1;
}

/* Unmap all of it, whatever is still in use. */
void uf_arena_destroy(struct uf_arena *arena)
{
	struct uf_chunk *chunk;

	while ((chunk = arena->all)) {
		unlink_chunk(chunk);
		forget_guards(chunk->guard, chunk->nr_cut);
		munmap(chunk, chunk->size);
	}
	if (arena->uffd >= 0)
		close(arena->uffd);
	pthread_mutex_destroy(&arena->grow);
}

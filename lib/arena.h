/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Where stacks come from: chunks of memory, cut into slots. A slot is a guard
 * page with a stack above it.
 *
 * Nothing here may be called in the critical section: all of it can block.
 */
#ifndef UF_ARENA_H
#define UF_ARENA_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sizes are powers of two from UF_STACK_MIN up to 1 MiB, each a class with
 * chunks of its own; a larger stack is a chunk by itself.
 */
#define UF_STACK_CLASSES 7
#define UF_STACK_LARGE UF_STACK_CLASSES

/* What makes a page a guard; arena.c tells. */
enum uf_guard {
	UF_GUARD_MARKER,
	UF_GUARD_UFFD,
	UF_GUARD_MPROTECT,
};

/**
 * struct uf_chunk - a mapping that stacks are cut from; at its own start
 * @next: in the arena's list of all (L).
 * @link: what points at this one in it (L).
 * @cold_next: in the list of those of its class with cold slots (L).
 * @cold_link: what points at this one in it (L).
 * @size: bytes of the mapping (C).
 * @stack_size: bytes of each stack (C).
 * @slots: the first slot (C).
 * @stack_class: of @stack_size, or UF_STACK_LARGE (C).
 * @guard: how its guard pages are made (C).
 * @nr_slots: (C).
 * @nr_cut: the first so many have a guard and have been given out (G; readable by
 *	all).
 * @nr_cold: of those, how many are back (L).
 * @cold: their numbers (L).
 *
 * G: under the arena's @grow, L: under its @lock.
 */
struct uf_chunk {
	struct uf_chunk *next;
	struct uf_chunk **link;
	struct uf_chunk *cold_next;
	struct uf_chunk **cold_link;
	size_t size;
	size_t stack_size;
	char *slots;
	unsigned int stack_class;
	enum uf_guard guard;
	uint32_t nr_slots;
	uint32_t nr_cut;
	uint32_t nr_cold;
	uint32_t cold[];
};

/**
 * struct uf_arena - a runtime's chunks
 * @grow: held while memory is mapped or a guard is made.
 * @growing: for each class the chunk whose slots are not all cut yet (G).
 * @nr_slots: of each class, how many there are (A).
 * @uffd: the userfaultfd of UF_GUARD_UFFD, or -1 (G).
 * @lock: a spin lock, for the rest.
 * @all: all chunks (L).
 * @pins: so many walk through them: none is unmapped (L).
 * @cold: for each class the chunks that have cold slots (L).
 */
struct uf_arena {
	pthread_mutex_t grow;
	struct uf_chunk *growing[UF_STACK_CLASSES];
	size_t nr_slots[UF_STACK_CLASSES];
	int uffd;
	uint32_t lock;
	struct uf_chunk *all;
	unsigned int pins;
	struct uf_chunk *cold[UF_STACK_CLASSES];
};

void uf_arena_init(struct uf_arena *arena);
void uf_arena_destroy(struct uf_arena *arena);
void *uf_arena_get(struct uf_arena *arena, size_t size, struct uf_chunk **chunk);
void uf_arena_put(struct uf_arena *arena, struct uf_chunk *chunk, void *stack);
void uf_arena_walk(struct uf_arena *arena,
		   void (*visit)(void *stack, size_t size, void *arg),
		   void *arg);
size_t uf_page_size(void);

/* The class for stacks of @size bytes. */
static inline unsigned int uf_stack_class(size_t size)
{
	unsigned int class = 0;

	/* UF_STACK_MIN is 16 KiB. */
	if (size > 1 << 14)
		class = 64 - __builtin_clzll((size - 1) >> 14);
	return class < UF_STACK_CLASSES ? class : UF_STACK_LARGE;
}

#endif /* UF_ARENA_H */

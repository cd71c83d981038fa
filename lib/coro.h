/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A coroutine in full, and where its stack comes from. */
#ifndef UF_CORO_H
#define UF_CORO_H

#include "internal.h"

#include <ufiber/coro_inline.h>

/* Further bits of the state; the inline functions leave all of these to us. */
#define UF_CORO_STATE_ENDED ((uintptr_t)2)
#define UF_CORO_STATE_FPENV ((uintptr_t)4) /* it was made with UF_FPENV */

/**
 * struct uf_coro_full - a coroutine; lives at the top of its own stack
 * @co: what the inline functions know of it.
 * @start: what it runs.
 * @arg: with what.
 * @release: what is called last, with @arg.
 * @fpenv: with UF_FPENV: its floating-point controls while it is suspended.
 * @back_fpenv: with UF_FPENV: its resumer's while it runs.
 * @san: its stack to the sanitizers.
 * @back_san: its resumer's, in the frame of the resumer.
 * @map: start of the mapping, the guard page; NULL if the stack is the user's.
 * @map_size: bytes of it.
 * @next: in the pool.
 *
 * No field has a lock; all belong to who may resume or destroy the coroutine.
 */
struct uf_coro_full {
	struct uf_coro co;
	uf_coro_fn *start;
	void *arg;
	void (*release)(void *arg);
	struct uf_arch_fpenv fpenv;
	struct uf_arch_fpenv back_fpenv;
	struct uf_san san;
	struct uf_san *back_san;
	void *map;
	size_t map_size;
	struct uf_coro_full *next;
};

/* Offsets from a stack's top in use, a cache line each. */
#define UF_CORO_COLOURS 32

/* coro_stack.c */
struct uf_coro_full *uf_coro_place(char *map, size_t map_size,
				   unsigned int colour);
struct uf_coro_full *uf_coro_stack_get(size_t size);
struct uf_coro_full *uf_coro_stack_use(void *stack, size_t size);
void uf_coro_stack_put(struct uf_coro_full *full);
void uf_coro_after_fork(void);

#endif /* UF_CORO_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The context switch by the C library's swapcontext(), for machines without one
 * of their own. Slow: it saves the signal mask too, by a system call.
 */
#ifndef UF_ARCH_SWITCH_H
#define UF_ARCH_SWITCH_H

#include <stdint.h>
#include <ucontext.h>

/*
 * Whether the switch is the C library's, which saves the floating-point controls
 * and has a frame of its own above uf_arch_start().
 */
#define UF_ARCH_BY_LIBC 1

/**
 * uf_arch_switch - suspend this context, resume another
 * @save: where to store where this context is.
 * @load: where the context to resume is.
 * @pass: what the other context's uf_arch_switch() returns, or its entry gets.
 *
 * Keeps all registers, floating-point controls and the signal mask. Returns what
 * was passed by whoever resumed this context.
 */
void *uf_arch_switch(void **save, void *load, void *pass);

/* The same, for callers that return what it returns as an int. */
static inline int uf_arch_switch_tail(void **save, void *load, intptr_t pass)
{
	return (intptr_t)uf_arch_switch(save, load, (void *)pass);
}

/* There is no inline one. */
static inline void *uf_arch_switch_inline(void **save, void *load, void *pass)
{
	return uf_arch_switch(save, load, pass);
}

/* An address on the calling function's stack. */
static inline uintptr_t uf_arch_sp(void)
{
	return (uintptr_t)__builtin_frame_address(0);
}

/* Where a new context starts; not to be called. */
void uf_arch_start(unsigned int high, unsigned int low);

/**
 * struct uf_arch_frame - a suspended context, on its own stack
 * @uc: its registers.
 * @pass: what it is resumed with.
 * @entry: what it runs first; @arg: with what.
 */
struct uf_arch_frame {
	ucontext_t uc;
	void *pass;
	void (*entry)(void *pass, void *arg);
	void *arg;
};

/* As uf_arch_switch() of other architectures; @top is the end of the stack. */
void *uf_arch_prepare(void *top, void (*entry)(void *, void *), void *arg);

/* The switch takes care of them. */
struct uf_arch_fpenv {
};

static inline void uf_arch_fpenv_save(struct uf_arch_fpenv *env)
{
	(void)env;
}

static inline void uf_arch_fpenv_load(const struct uf_arch_fpenv *env)
{
	(void)env;
}

#endif /* UF_ARCH_SWITCH_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The architecture's half of a context switch. A suspended context is a stack
 * pointer; what it needs to go on lies above it as a struct uf_arch_frame.
 */
#ifndef UF_ARCH_SWITCH_H
#define UF_ARCH_SWITCH_H

#include <stdint.h>

/*
 * Whether the switch is the C library's, which saves the floating-point controls
 * and has a frame of its own above uf_arch_start().
 */
#define UF_ARCH_BY_LIBC 0

/**
 * uf_arch_switch - suspend this context, resume another
 * @save: where to store this context's stack pointer.
 * @load: the stack pointer of the context to resume.
 * @pass: what the other context's uf_arch_switch() returns, or its entry gets.
 *
 * Keeps what AAPCS64 wants kept across a call: x19-x30, sp, and d8-d15. FPCR is
 * the thread's, see struct uf_arch_fpenv.
 *
 * Returns what was passed by whoever resumed this context.
 */
void *uf_arch_switch(void **save, void *load, void *pass);

/* The same function, for callers that return what it returns as an int. */
int uf_arch_switch_tail(void **save, void *load,
			intptr_t pass) __asm__("uf_arch_switch");

/* There is no inline one. */
static inline void *uf_arch_switch_inline(void **save, void *load, void *pass)
{
	return uf_arch_switch(save, load, pass);
}

/* An address on the calling function's stack. */
static inline uintptr_t uf_arch_sp(void)
{
	uintptr_t sp;

	__asm__("mov	%0, sp" : "=r"(sp));
	return sp;
}

/* Where a new context starts; not to be called. */
void uf_arch_start(void);

/* What uf_arch_switch() leaves on the stack, lowest address first. */
struct uf_arch_frame {
	uint64_t x19_to_x28[10];
	uint64_t fp;
	uint64_t lr;
	uint64_t d8_to_d15[8];
};

/**
 * uf_arch_prepare - lay out a new context
 * @top: the end of its stack, aligned to 16 bytes.
 * @entry: what it runs; must not return. Gets what was passed by the first
 *	switch to it, and @arg.
 *
 * Returns the stack pointer to give to uf_arch_switch().
 */
static inline void *uf_arch_prepare(void *top, void (*entry)(void *, void *),
				    void *arg)
{
	struct uf_arch_frame *frame = (struct uf_arch_frame *)top - 1;

	*frame = (struct uf_arch_frame){
		.x19_to_x28 = { (uint64_t)entry, (uint64_t)arg },
		.lr = (uint64_t)uf_arch_start,
	};
	return frame;
}

/*
 * The floating-point controls. A switch leaves them alone; a context with
 * UF_FPENV saves and loads them at its switches.
 */
struct uf_arch_fpenv {
	uint64_t fpcr;
};

static inline void uf_arch_fpenv_save(struct uf_arch_fpenv *env)
{
	__asm__ __volatile__("mrs %0, fpcr" : "=r"(env->fpcr));
}

static inline void uf_arch_fpenv_load(const struct uf_arch_fpenv *env)
{
	__asm__ __volatile__("msr fpcr, %0" : : "r"(env->fpcr));
}

#endif /* UF_ARCH_SWITCH_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The architecture's half of a context switch. A suspended context is a stack
 * pointer; what it needs to go on lies above it as a struct uf_arch_frame.
 *
 * There is also the inline switch of <ufiber/coro_inline.h>; either resumes what
 * the other has suspended. A context that is resumed finds its stack pointer just
 * above its frame.
 */
#ifndef UF_ARCH_SWITCH_H
#define UF_ARCH_SWITCH_H

#include <stdint.h>
#include <ufiber/coro_inline.h>

/*
 * Whether the switch is the C library's, which saves the floating-point controls
 * and has a frame of its own above uf_arch_start().
 */
#define UF_ARCH_BY_LIBC 0

/*
 * The callee comes back by an indirect jump, so that with -fcf-protection the
 * compiler must place an endbr64 behind each call.
 */
#if defined(__has_attribute)
#if __has_attribute(indirect_return)
#define UF_ARCH_INDIRECT_RETURN __attribute__((indirect_return))
#endif
#endif
#ifndef UF_ARCH_INDIRECT_RETURN
#define UF_ARCH_INDIRECT_RETURN
#endif

/**
 * uf_arch_switch - suspend this context, resume another
 * @save: where to store this context's stack pointer.
 * @load: the stack pointer of the context to resume.
 * @pass: what the other context's uf_arch_switch() returns, or its entry gets.
 *
 * Keeps rbx, rbp, r12-r15 and rsp. The psABI wants MXCSR and the x87 control
 * word kept across a call, too; they are the thread's here, see struct
 * uf_arch_fpenv.
 *
 * Returns what was passed by whoever resumed this context.
 */
void *uf_arch_switch(void **save, void *load,
		     void *pass) UF_ARCH_INDIRECT_RETURN;

/* The same function, for callers that return what it returns as an int. */
int uf_arch_switch_tail(void **save, void *load, intptr_t pass) __asm__(
	"uf_arch_switch") UF_ARCH_INDIRECT_RETURN;

/*
 * The same again, inline where it can be. The called one ends in a jump, which
 * leaves the return stack one call deeper than it was, and all returns that come
 * after are predicted wrong; here there is no call.
 */
static inline __attribute__((always_inline)) void *
uf_arch_switch_inline(void **save, void *load, void *pass)
{
#ifdef UF_CORO_CALLED
	return uf_arch_switch(save, load, pass);
#else
	return (void *)uf_coro_switch_inline(save, load, (intptr_t)pass);
#endif
}

/* An address on the calling function's stack. */
static inline uintptr_t uf_arch_sp(void)
{
	uintptr_t sp;

	__asm__("movq	%%rsp, %0" : "=r"(sp));
	return sp;
}

/* Where a new context starts, after one byte; not to be called. */
void uf_arch_start(void);

/* Where the inline switch resumes a context of uf_arch_switch(); not to be called. */
void uf_arch_resume(void);

/*
 * What uf_arch_switch() leaves on the stack, lowest address first. The inline
 * switch leaves a frame of the same size with @resume, @rbx, @rbp and @rip,
 * both addresses the same; the other registers it does not keep.
 */
struct uf_arch_frame {
	uint64_t resume;
	uint64_t r15;
	uint64_t r14;
	uint64_t r13;
	uint64_t r12;
	uint64_t rbx;
	uint64_t rbp;
	uint64_t rip;
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

	frame->resume = (uint64_t)uf_arch_resume;
	frame->r13 = (uint64_t)arg;
	frame->r12 = (uint64_t)entry;
	frame->rip = (uint64_t)uf_arch_start + 1;
	return frame;
}

/*
 * The floating-point controls: rounding, masked exceptions, precision. A switch
 * leaves them alone: reading back what stmxcsr has just stored costs more than
 * all the rest. A context with UF_FPENV saves and loads them at its switches.
 */
struct uf_arch_fpenv {
	uint32_t mxcsr;
	uint16_t x87_cw;
};

static inline void uf_arch_fpenv_save(struct uf_arch_fpenv *env)
{
	__asm__ __volatile__("stmxcsr %0" : "=m"(env->mxcsr));
	__asm__ __volatile__("fnstcw %0" : "=m"(env->x87_cw));
}

static inline void uf_arch_fpenv_load(const struct uf_arch_fpenv *env)
{
	__asm__ __volatile__("ldmxcsr %0" : : "m"(env->mxcsr));
	__asm__ __volatile__("fldcw %0" : : "m"(env->x87_cw));
}

#endif /* UF_ARCH_SWITCH_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The architecture's half of a context switch. A suspended context is a stack
 * pointer; what it needs to go on lies above it as a struct uf_arch_frame.
 */
#ifndef UF_ARCH_SWITCH_H
#define UF_ARCH_SWITCH_H

#include <stdint.h>

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
 * Keeps what the psABI wants kept across a call: rbx, rbp, r12-r15, rsp, and
 * MXCSR and the x87 control word.
 *
 * Returns what was passed by whoever resumed this context.
 */
void *uf_arch_switch(void **save, void *load,
		     void *pass) UF_ARCH_INDIRECT_RETURN;

/* Where a new context starts; not to be called. */
void uf_arch_start(void);

/* What uf_arch_switch() leaves on the stack, lowest address first. */
struct uf_arch_frame {
	uint32_t mxcsr;
	uint16_t x87_cw;
	uint16_t pad;
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
 * As a new thread does, it starts with its creator's floating-point controls.
 *
 * Returns the stack pointer to give to uf_arch_switch().
 */
static inline void *uf_arch_prepare(void *top, void (*entry)(void *, void *),
				    void *arg)
{
	struct uf_arch_frame *frame = (struct uf_arch_frame *)top - 1;

	*frame = (struct uf_arch_frame){
		.r13 = (uint64_t)arg,
		.r12 = (uint64_t)entry,
		.rip = (uint64_t)uf_arch_start,
	};
	__asm__ __volatile__("stmxcsr %0" : "=m"(frame->mxcsr));
	__asm__ __volatile__("fnstcw %0" : "=m"(frame->x87_cw));
	return frame;
}

#endif /* UF_ARCH_SWITCH_H */

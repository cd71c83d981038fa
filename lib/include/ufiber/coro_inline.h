/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The switches of coroutines as inline functions. uf_coro_resume_inline(),
 * uf_coro_yield_inline() and uf_coro_transfer_inline() do what uf_coro_resume(),
 * uf_coro_yield() and uf_coro_transfer() do, in the same places, and return the
 * same; both kinds can be mixed at will, on one coroutine too.
 *
 * They save by leaving the saving of registers to the compiler, which knows what
 * is in use; so the code around gets larger. Whatever is not the plain case
 * (errors, UF_FPENV) they leave to the functions of coro.h.
 *
 * Where there is no inline switch (architectures other than x86-64, programs
 * built with AddressSanitizer and its like, a library built with ARCH=ucontext,
 * whose pkg-config file defines UF_CORO_CALLED) they are those functions.
 */
#ifndef UFIBER_CORO_INLINE_H
#define UFIBER_CORO_INLINE_H

#include <ufiber/coro.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer) || __has_feature(hwaddress_sanitizer)
#define UF_CORO_CALLED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	defined(__SANITIZE_HWADDRESS__) || !defined(__x86_64__) ||   \
	!defined(__LP64__)
#undef UF_CORO_CALLED
#define UF_CORO_CALLED 1
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The part of a coroutine that the inline functions use. Private, but part of
 * the library's binary interface, as is the frame that the switch leaves.
 */
struct uf_coro {
	uintptr_t state; /* 0 suspended, RUNS; else a case for coro.h */
	void *sp; /* where it is suspended */
	void *back; /* where its resumer is */
	void **in; /* where it wants what the next resumer brings, or NULL */
	void **out; /* where its resumer wants what it yields, or NULL */
	void *value; /* what its first resumer brought */
	uintptr_t stack; /* start */
	uintptr_t stack_size;
};

#define UF_CORO_STATE_RUNS ((uintptr_t)1)

#ifdef UF_CORO_CALLED

static inline int uf_coro_resume_inline(struct uf_coro *co, void *value,
					void **result)
{
	return uf_coro_resume(co, value, result);
}

static inline int uf_coro_yield_inline(struct uf_coro *self, void *value,
				       void **next)
{
	return uf_coro_yield(self, value, next);
}

static inline int uf_coro_transfer_inline(struct uf_coro *self,
					  struct uf_coro *to, void *value,
					  void **next)
{
	return uf_coro_transfer(self, to, value, next);
}

#else

#ifdef __CET__
#define UF_CORO_ENDBR "endbr64\n\t"
#else
#define UF_CORO_ENDBR
#endif

/* The registers that AVX-512 and APX add. */
#ifdef __AVX512F__
#define UF_CORO_CLOBBERS_AVX512                                                \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",       \
		"xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", \
		"xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define UF_CORO_CLOBBERS_AVX512
#endif
#ifdef __APX_F__
#error "coro_inline.h does not know APX's registers: define UF_CORO_CALLED"
#endif

/*
 * Leaves the frame that lib/arch/x86_64/switch.h describes below the red zone;
 * resumed, the stack pointer is just above it, and rax has what was passed.
 * The compiler spills all other registers, but rbx and rbp it may have reserved
 * for itself, as pointers to its frame.
 */
static inline __attribute__((always_inline)) intptr_t
uf_coro_switch_inline(void **save, void *load, intptr_t pass)
{
	/* clang-format off */
	__asm__ __volatile__(
		"leaq	-192(%%rsp), %%rsp\n\t"
		"leaq	1f(%%rip), %%rcx\n\t"
		"movq	%%rcx, (%%rsp)\n\t"
		"movq	%%rbx, 40(%%rsp)\n\t"
		"movq	%%rbp, 48(%%rsp)\n\t"
		"movq	%%rcx, 56(%%rsp)\n\t"
		"movq	%%rsp, (%0)\n\t"
		"movq	40(%1), %%rbx\n\t"
		"movq	48(%1), %%rbp\n\t"
		"leaq	64(%1), %%rsp\n\t"
		"jmp	*-64(%%rsp)\n"
		"1:\n\t"
		UF_CORO_ENDBR
		"leaq	128(%%rsp), %%rsp"
		: "+D"(save), "+S"(load), "+a"(pass)
		:
		: "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
		  "r15", "memory", "cc",
		  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
		  "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
		  "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)",
		  "st(5)", "st(6)", "st(7)" UF_CORO_CLOBBERS_AVX512);
	/* clang-format on */
	return pass;
}

/* Whether it is the coroutine itself that calls. */
static inline __attribute__((always_inline)) bool
uf_coro_is_caller(const struct uf_coro *co)
{
	uintptr_t sp;

	__asm__("movq	%%rsp, %0" : "=r"(sp));
	return co && co->state == UF_CORO_STATE_RUNS &&
	       sp - co->stack < co->stack_size;
}

static inline __attribute__((always_inline)) int
uf_coro_resume_inline(struct uf_coro *co, void *value, void **result)
{
	if (__builtin_expect(!co || co->state, 0))
		return uf_coro_resume(co, value, result);
	co->state = UF_CORO_STATE_RUNS;
	co->out = result;
	if (co->in)
		*co->in = value;
	return (int)uf_coro_switch_inline(&co->back, co->sp, 0);
}

static inline __attribute__((always_inline)) int
uf_coro_yield_inline(struct uf_coro *self, void *value, void **next)
{
	if (__builtin_expect(!uf_coro_is_caller(self), 0))
		return uf_coro_yield(self, value, next);
	self->state = 0;
	self->in = next;
	if (self->out)
		*self->out = value;
	return (int)uf_coro_switch_inline(&self->sp, self->back, 1);
}

static inline __attribute__((always_inline)) int
uf_coro_transfer_inline(struct uf_coro *self, struct uf_coro *to, void *value,
			void **next)
{
	if (__builtin_expect(!uf_coro_is_caller(self) || !to || to->state, 0))
		return uf_coro_transfer(self, to, value, next);
	self->state = 0;
	self->in = next;
	to->state = UF_CORO_STATE_RUNS;
	to->back = self->back;
	to->out = self->out;
	if (to->in)
		*to->in = value;
	return (int)uf_coro_switch_inline(&self->sp, to->sp, 0);
}

#endif /* UF_CORO_CALLED */

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_CORO_INLINE_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What tools that watch the program must be told about stacks. In builds for
 * none of them all of it is nothing.
 *
 *  AddressSanitizer (SAN=asan): which stack a switch goes to, where it keeps
 *	its fake frames, and that a reused stack is clean again.
 *  ThreadSanitizer (SAN=tsan): which fiber, as it calls it too, runs: each has
 *	a clock and a call stack of its own there.
 *  valgrind (SAN=valgrind): where stacks are, or it takes a switch for a frame of
 *	the distance between them.
 */
#ifndef UF_SANITIZER_H
#define UF_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#define UF_SAN_ADDRESS 0
#define UF_SAN_THREAD 0
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#undef UF_SAN_ADDRESS
#define UF_SAN_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer)
#undef UF_SAN_THREAD
#define UF_SAN_THREAD 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#undef UF_SAN_ADDRESS
#define UF_SAN_ADDRESS 1
#endif
#ifdef __SANITIZE_THREAD__
#undef UF_SAN_THREAD
#define UF_SAN_THREAD 1
#endif
#ifndef UF_SAN_VALGRIND
#define UF_SAN_VALGRIND 0
#endif

/**
 * struct uf_san - a context, to the tools
 * @fake_stack: AddressSanitizer's frames of it while it does not run.
 * @bottom: the stack that it runs on, lowest address; NULL if not known yet.
 * @size: bytes of it.
 * @ends: the next switch away from it is its last.
 * @fiber: ThreadSanitizer's name for it; a thread's own is found at the switch.
 * @stack: valgrind's number of the stack, plus 1.
 */
struct uf_san {
#if UF_SAN_ADDRESS
	void *fake_stack;
	const void *bottom;
	size_t size;
	bool ends;
#endif
#if UF_SAN_THREAD
	void *fiber;
#endif
#if UF_SAN_VALGRIND
	unsigned int stack;
#endif
};

/* Whether switches must be told of. */
#define UF_SAN_SWITCHES (UF_SAN_ADDRESS || UF_SAN_THREAD)

/* Inlined always, as ThreadSanitizer counts calls and returns. */
#define __uf_san static inline __attribute__((always_inline))

/* ------------------------------------------------------- AddressSanitizer */

#if UF_SAN_ADDRESS

#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

__uf_san void uf_asan_stack(struct uf_san *san, void *bottom, size_t size)
{
	san->fake_stack = NULL;
	san->bottom = bottom;
	san->size = size;
	san->ends = false;
	__asan_unpoison_memory_region(bottom, size);
}

/* Dropped frames must not stay poisoned: others may use the memory. */
__uf_san void uf_asan_stack_end(struct uf_san *san)
{
	__asan_unpoison_memory_region(san->bottom, san->size);
}

__uf_san void uf_asan_own_stack(struct uf_san *san)
{
	pthread_attr_t attr;
	void *bottom;
	size_t size;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &bottom, &size);
	pthread_attr_destroy(&attr);
	uf_asan_stack(san, bottom, size);
}

__uf_san void uf_asan_ends(struct uf_san *san)
{
	san->ends = true;
}

__uf_san void uf_asan_leave(struct uf_san *from, const struct uf_san *to)
{
	__sanitizer_start_switch_fiber(from->ends ? NULL : &from->fake_stack,
				       to->bottom, to->size);
}

__uf_san void uf_asan_arrive(const struct uf_san *here)
{
	__sanitizer_finish_switch_fiber(here->fake_stack, NULL, NULL);
}

__uf_san void uf_asan_forget(struct uf_san *san)
{
	san->bottom = NULL;
	san->ends = false;
}

__uf_san void uf_asan_arrive_from(const struct uf_san *here, struct uf_san *from)
{
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(here->fake_stack, &bottom, &size);
	if (!from->bottom) {
		from->bottom = bottom;
		from->size = size;
	}
}

__uf_san void uf_asan_copy_bounds(struct uf_san *to, const struct uf_san *from)
{
	to->bottom = from->bottom;
	to->size = from->size;
}

#else

#define uf_asan_stack(san, bottom, size) ((void)0)
#define uf_asan_stack_end(san) ((void)0)
#define uf_asan_own_stack(san) ((void)0)
#define uf_asan_ends(san) ((void)0)
#define uf_asan_leave(from, to) ((void)0)
#define uf_asan_arrive(here) ((void)0)
#define uf_asan_forget(san) ((void)0)
#define uf_asan_arrive_from(here, from) ((void)0)
#define uf_asan_copy_bounds(to, from) ((void)0)

#endif

/* -------------------------------------------------------- ThreadSanitizer */

#if UF_SAN_THREAD

#include <sanitizer/tsan_interface.h>

__uf_san void uf_tsan_stack(struct uf_san *san)
{
	san->fiber = __tsan_create_fiber(0);
}

__uf_san void uf_tsan_stack_end(struct uf_san *san)
{
	if (san->fiber)
		__tsan_destroy_fiber(san->fiber);
	san->fiber = NULL;
}

/* That the switch orders memory is true: both are one thread's. */
__uf_san void uf_tsan_leave(struct uf_san *from, const struct uf_san *to)
{
	from->fiber = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(to->fiber, 0);
}

__uf_san void uf_tsan_own_stack(struct uf_san *san)
{
	san->fiber = __tsan_get_current_fiber();
}

#else

#define uf_tsan_stack(san) ((void)0)
#define uf_tsan_stack_end(san) ((void)0)
#define uf_tsan_leave(from, to) ((void)0)
#define uf_tsan_own_stack(san) ((void)0)

#endif

/* --------------------------------------------------------------- valgrind */

#if UF_SAN_VALGRIND

#include <valgrind/valgrind.h>

__uf_san void uf_valgrind_stack(struct uf_san *san, void *bottom, size_t size)
{
	char *top = (char *)bottom + size;

	san->stack = VALGRIND_STACK_REGISTER(bottom, top - 1) + 1;
}

__uf_san void uf_valgrind_stack_end(struct uf_san *san)
{
	if (san->stack)
		VALGRIND_STACK_DEREGISTER(san->stack - 1);
	san->stack = 0;
}

#else

#define uf_valgrind_stack(san, bottom, size) ((void)0)
#define uf_valgrind_stack_end(san) ((void)0)

#endif

/* -------------------------------------------------------------- for all */

/* A stack begins a new life. */
__uf_san void uf_san_stack(struct uf_san *san, void *bottom, size_t size)
{
	(void)san, (void)bottom, (void)size;
	uf_asan_stack(san, bottom, size);
	uf_tsan_stack(san);
	uf_valgrind_stack(san, bottom, size);
}

/* That life is over; to be told at least once before the memory is unmapped. */
__uf_san void uf_san_stack_end(struct uf_san *san)
{
	(void)san;
	uf_asan_stack_end(san);
	uf_tsan_stack_end(san);
	uf_valgrind_stack_end(san);
}

/* The calling thread's own. */
__uf_san void uf_san_own_stack(struct uf_san *san)
{
	(void)san;
	uf_asan_own_stack(san);
	uf_tsan_own_stack(san);
}

/* The next switch away from this context is the last. */
__uf_san void uf_san_ends(struct uf_san *san)
{
	(void)san;
	uf_asan_ends(san);
}

/* Right before a switch. */
__uf_san void uf_san_leave(struct uf_san *from, const struct uf_san *to)
{
	(void)from, (void)to;
	uf_asan_leave(from, to);
	uf_tsan_leave(from, to);
}

/* Right after it. */
__uf_san void uf_san_arrive(const struct uf_san *here)
{
	(void)here;
	uf_asan_arrive(here);
}

/* A context that will be left, on a stack that is not known here. */
__uf_san void uf_san_forget(struct uf_san *san)
{
	(void)san;
	uf_asan_forget(san);
}

/* As uf_san_arrive(); if @from was forgotten, its stack is the one just left. */
__uf_san void uf_san_arrive_from(const struct uf_san *here, struct uf_san *from)
{
	(void)here, (void)from;
	uf_asan_arrive_from(here, from);
}

/* The context @to now runs on the stack that @from runs on. */
__uf_san void uf_san_copy_bounds(struct uf_san *to, const struct uf_san *from)
{
	(void)to, (void)from;
	uf_asan_copy_bounds(to, from);
}

#endif /* UF_SANITIZER_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What AddressSanitizer must be told about stacks: which one a switch goes to,
 * where it keeps its fake frames, and that a reused stack is clean again. In
 * other builds all of it is nothing.
 */
#ifndef UF_SANITIZER_H
#define UF_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UF_SANITIZE_ADDRESS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define UF_SANITIZE_ADDRESS 1
#endif

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UF_SANITIZES_THREADS 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define UF_SANITIZES_THREADS 1
#endif
#ifndef UF_SANITIZES_THREADS
#define UF_SANITIZES_THREADS 0
#endif

#ifdef UF_SANITIZE_ADDRESS

#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

struct uf_san {
	void *fake_stack;
	const void *bottom;
	size_t size;
	bool ends;
};

static inline void uf_san_stack(struct uf_san *san, void *bottom, size_t size)
{
	*san = (struct uf_san){ .bottom = bottom, .size = size };
	__asan_unpoison_memory_region(bottom, size);
}

static inline void uf_san_own_stack(struct uf_san *san)
{
	pthread_attr_t attr;
	void *bottom;
	size_t size;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &bottom, &size);
	pthread_attr_destroy(&attr);
	*san = (struct uf_san){ .bottom = bottom, .size = size };
}

/* The next switch away from this context is the last. */
static inline void uf_san_ends(struct uf_san *san)
{
	san->ends = true;
}

static inline void uf_san_leave(struct uf_san *from, const struct uf_san *to)
{
	__sanitizer_start_switch_fiber(from->ends ? NULL : &from->fake_stack,
				       to->bottom, to->size);
}

static inline void uf_san_arrive(const struct uf_san *here)
{
	__sanitizer_finish_switch_fiber(here->fake_stack, NULL, NULL);
}

#else

struct uf_san {
};

static inline void uf_san_stack(struct uf_san *san, void *bottom, size_t size)
{
	(void)san, (void)bottom, (void)size;
}

static inline void uf_san_own_stack(struct uf_san *san)
{
	(void)san;
}

static inline void uf_san_ends(struct uf_san *san)
{
	(void)san;
}

static inline void uf_san_leave(struct uf_san *from, const struct uf_san *to)
{
	(void)from, (void)to;
}

static inline void uf_san_arrive(const struct uf_san *here)
{
	(void)here;
}

#endif

#endif /* UF_SANITIZER_H */

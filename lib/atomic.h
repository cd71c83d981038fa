/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The kernel's names for what C11 has too; the uapi and the public header have
 * plain integers, so the __atomic builtins are used and not <stdatomic.h>.
 */
#ifndef UF_ATOMIC_H
#define UF_ATOMIC_H

/* Columns read better here. */
/* clang-format off */
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define barrier()	__asm__ __volatile__("" ::: "memory")
#define smp_mb()	__atomic_thread_fence(__ATOMIC_SEQ_CST)

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* The three below are full barriers, as in the kernel. */
#define xchg(p, v)		__atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define fetch_add(p, v)		__atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define cmpxchg(p, old, new)						\
({									\
	__typeof__(*(p)) __old = (old);					\
									\
	__atomic_compare_exchange_n((p), &__old, (new), 0,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	__old;								\
})

/* Count in a word that one thread at a time writes and any may read. */
#define uf_count(x)	WRITE_ONCE(x, (x) + 1)

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */

#endif /* UF_ATOMIC_H */

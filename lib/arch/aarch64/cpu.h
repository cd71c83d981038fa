/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef UF_ARCH_CPU_H
#define UF_ARCH_CPU_H

/* Bytes that two processors fight over as one. */
#define UF_CACHE_LINE 64

/* Of the hints that only SMT cores heed, the one that costs others time. */
static inline void uf_cpu_relax(void)
{
	__asm__ __volatile__("isb" : : : "memory");
}

/* uf_this_thread, read anew each time; see internal.h. */
static inline void *uf_arch_this_thread(void)
{
	void *thread, *offset;

	__asm__ __volatile__("adrp %1, :gottprel:uf_this_thread\n\t"
			     "ldr %1, [%1, :gottprel_lo12:uf_this_thread]\n\t"
			     "mrs %0, tpidr_el0\n\t"
			     "ldr %0, [%0, %1]"
			     : "=&r"(thread), "=&r"(offset));
	return thread;
}

#endif /* UF_ARCH_CPU_H */

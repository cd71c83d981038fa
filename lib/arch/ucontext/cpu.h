/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef UF_ARCH_CPU_H
#define UF_ARCH_CPU_H

/* Bytes that two processors fight over as one, on most. */
#define UF_CACHE_LINE 64

static inline void uf_cpu_relax(void)
{
	__asm__ __volatile__("" : : : "memory");
}

/* uf_this_thread, read anew each time; see internal.h. */
void *uf_arch_this_thread(void);

#endif /* UF_ARCH_CPU_H */

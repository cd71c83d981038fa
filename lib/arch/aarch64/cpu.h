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

#endif /* UF_ARCH_CPU_H */

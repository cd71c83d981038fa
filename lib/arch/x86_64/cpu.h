/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef UF_ARCH_CPU_H
#define UF_ARCH_CPU_H

/* Bytes that two processors fight over as one. */
#define UF_CACHE_LINE 64

static inline void uf_cpu_relax(void)
{
	__builtin_ia32_pause();
}

/* uf_this_thread, read anew each time; see internal.h. */
static inline void *uf_arch_this_thread(void)
{
	void *thread;

	__asm__ __volatile__("movq uf_this_thread@gottpoff(%%rip), %0\n\t"
			     "movq %%fs:(%0), %0"
			     : "=r"(thread));
	return thread;
}

#endif /* UF_ARCH_CPU_H */

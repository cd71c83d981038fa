/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A full barrier in two halves: where A does "store a; uf_light_mb(); load b" and
 * B "store b; uf_heavy_mb(); load a", at least one sees the other's store. The
 * light one costs nothing, where the kernel has membarrier(2): the heavy one is
 * then a full barrier on every processor that runs a thread of the process.
 */
#ifndef UF_MEMBARRIER_H
#define UF_MEMBARRIER_H

#include <stdbool.h>

#include "atomic.h"

/* membarrier.c */
extern bool uf_no_membarrier;
void uf_membarrier_init(void);
void uf_heavy_mb(void);

static inline void uf_light_mb(void)
{
	barrier();
	if (unlikely(uf_no_membarrier))
		smp_mb();
}

#endif /* UF_MEMBARRIER_H */

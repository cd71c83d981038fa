/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Holding a fiber that waits, to look at its stack. */
#ifndef UF_HOLD_H
#define UF_HOLD_H

#include "internal.h"

/* hold.c; the first two are the halves of uf_hold(). */
bool uf_hold_mark(struct uf_fiber *fiber);
bool uf_hold_confirm(struct uf_fiber *fiber);
void uf_unhold(struct uf_fiber *fiber);

/**
 * uf_hold - hold a fiber, if it waits
 * @fiber: the fiber, or what was one: memory that can be written to.
 *
 * The caller is in the critical section, or no thread of a runtime: who wakes the
 * fiber spins until uf_unhold(). One at a time may do it.
 *
 * Returns false if it does not wait, or none can be held.
 */
static inline bool uf_hold(struct uf_fiber *fiber)
{
	return uf_hold_mark(fiber) && uf_hold_confirm(fiber);
}

#endif /* UF_HOLD_H */

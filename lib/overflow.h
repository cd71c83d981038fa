/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The report of a stack's overflow. */
#ifndef UF_OVERFLOW_H
#define UF_OVERFLOW_H

#include <stdbool.h>

/* Enough for a signal frame with all of a processor's registers, the unwinder, and more. */
#define UF_SIGNAL_STACK 65536

/**
 * struct uf_signal_stack - a thread's alternate signal stack
 * @set: it is this one; else the thread had one already, which stays.
 * @bytes: it.
 */
struct uf_signal_stack {
	bool set;
	char bytes[UF_SIGNAL_STACK] __attribute__((aligned(64)));
};

void uf_overflow_start(void);
void uf_overflow_stop(void);
void uf_signal_stack_set(struct uf_signal_stack *stack);
void uf_signal_stack_unset(struct uf_signal_stack *stack);

#endif /* UF_OVERFLOW_H */

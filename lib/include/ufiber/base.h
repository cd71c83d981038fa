/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the other headers share. The conventions are told in ufiber.h. */
#ifndef UFIBER_BASE_H
#define UFIBER_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uf_runtime;
struct uf_fiber;

/* A deadline that never comes. */
#define UF_FOREVER UINT64_MAX

/* Somebody who waits, on the own stack. */
struct uf_waiter;

/* Those that wait, first come first served. Private. */
struct uf_waitq {
	struct uf_waiter *head;
	struct uf_waiter *tail;
};

/*
 * A flag of fibers and coroutines: it has floating-point controls (rounding,
 * masked exceptions, precision: MXCSR and the x87 control word, or FPCR) of its
 * own, at first those that its creator had when it was made. Its switches save
 * them and bring back the thread's, which costs a few nanoseconds.
 *
 * Without the flag the controls are the thread's: whoever changes them must
 * restore them before it switches, or others see them.
 */
#define UF_FPENV (1U << 4)

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_BASE_H */

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

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_BASE_H */

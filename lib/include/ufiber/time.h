/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Time. The conventions are told in ufiber.h. */
#ifndef UFIBER_TIME_H
#define UFIBER_TIME_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * uf_now - the time now, CLOCK_MONOTONIC, nanoseconds
 */
uint64_t uf_now(void);

/**
 * uf_sleep_until - park until a time has come
 * @deadline: that time; one that has passed only yields.
 *
 * Fiber only; may switch. Returns 0 or -EPERM.
 */
int uf_sleep_until(uint64_t deadline);

/**
 * uf_sleep - park for a while
 * @ns: nanoseconds from now.
 */
int uf_sleep(uint64_t ns);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_TIME_H */

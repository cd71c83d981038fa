/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Work that is known to block. The conventions are told in ufiber.h. */
#ifndef UFIBER_OFFLOAD_H
#define UFIBER_OFFLOAD_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * uf_offload - run a function on a thread that serves no fibers
 * @call: the function; it may block or compute for long. It runs on a plain thread
 *	of the runtime's, with a thread's stack, and is not a fiber.
 * @arg: its argument.
 * @value: where to store what it returned, or NULL.
 *
 * The fiber waits meanwhile, and other fibers run. At most config.offload_threads
 * such calls of a runtime run at a time; others wait their turn, in the order that
 * they came. A cancel, or a scope's deadline, takes a call back that has not begun,
 * and does not end one that has.
 *
 * With the module or the monitor this is not needed for correctness: a fiber that
 * blocks does not stall the others. It keeps the runtime from making threads for
 * many that block at a time, and gives long computations to others' processors.
 *
 * Context: a fiber (may switch); called by a plain thread it just calls @call.
 * Returns 0, -EINVAL, -EAGAIN (no thread could be started), -ECANCELED or
 * -ETIMEDOUT (it has not been called).
 */
int uf_offload(void *(*call)(void *arg), void *arg, void **value);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_OFFLOAD_H */

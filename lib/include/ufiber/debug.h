/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Looking at a runtime's fibers. The conventions are told in ufiber.h. */
#ifndef UFIBER_DEBUG_H
#define UFIBER_DEBUG_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * uf_dump - write what all fibers do
 * @rt: the runtime, or NULL for all of the process.
 * @fd: where to write it: a blocking file descriptor.
 *
 * Of each fiber: identity, name and handle; whether it is parked, ready, running,
 * blocked in the kernel, waiting or at its end; what it waits for, for how long and
 * for how long at most; its server; and, if it waits or is the caller, its frames,
 * as backtrace_symbols_fd(3) writes them: link with -rdynamic to see names. See
 * Documentation/debugging.rst for an example.
 *
 * The fibers run on meanwhile: what is written of each was true at a moment, but not
 * at one moment for all. One that waits is held while its frames are read; that
 * takes some 10 us. One dump at a time is written; others wait for it, and so does
 * fork(2).
 *
 * How long a fiber has waited is an upper bound: the time is that of its server's last
 * look at the clock, which is at most 32 switches before the wait, and a tick of the
 * kernel's (1 to 10 ms).
 *
 * Context: any thread; blocks as write(2) does. Returns 0, -EINVAL (@rt is no
 * runtime), -ECHILD (the parent process's) or -EBADF.
 */
int uf_dump(struct uf_runtime *rt, int fd);

/**
 * uf_dump_on_signal - have a signal write what all fibers do, on stderr
 * @signal: its number; 0: none, and the action that it had before is restored.
 *
 * Installs a handler, and starts a thread that writes what uf_dump() does of all
 * runtimes. There is one such signal for the process. The environment's
 * UFIBER_DUMP_SIGNAL, a name (USR1) or a number, has the same effect when the first
 * runtime is created.
 *
 * Context: any thread, not a fiber (-EDEADLK). Returns 0, -EINVAL (no signal that may be
 * handled) or -EAGAIN (no thread could be started).
 */
int uf_dump_on_signal(int signal);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_DEBUG_H */

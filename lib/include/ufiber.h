/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libufiber: fibers at a fiber's price that may block like threads.
 *
 * A *fiber* is a user-mode context with a stack of its own. Fibers run on
 * *servers*: a server is the right to run fibers on one virtual processor; a
 * *runtime* has a fixed number of them. A switch between fibers never enters
 * the kernel; the calls of this header that wait (uf_read() and its like,
 * uf_join(), uf_mutex_lock(), ...) *park* the fiber and let its server run
 * another one, with IO done by io_uring. Anything else that blocks in the
 * kernel (a page fault, flock(), somebody's library) is seen by the ufiber
 * kernel module, which passes the server on to another thread. Without the
 * module the library's own watcher does so (backend "monitor"), a little later,
 * and with one difference: the fiber that returns from the kernel runs on without
 * a server, beside the others, until it next calls this library. So even with one
 * server nothing but this library's locks keeps fibers apart.
 *
 * With neither (backend "none") the server stalls until the call returns. Other
 * servers then take the fibers in its queue, but its timers and its IO wait with
 * it; so a block that a fiber there must end never ends.
 *
 * Conventions:
 *  - Functions return 0 or a count on success and a negative errno on failure,
 *    as liburing does; errno itself is not touched.
 *  - Times are uint64_t nanoseconds of CLOCK_MONOTONIC; a *deadline* is
 *    absolute, UF_FOREVER is never. A call with a deadline that has passed
 *    still succeeds if it can do so without waiting, else returns -ETIMEDOUT.
 *  - "Fiber only": returns -EPERM when the caller is not a fiber.
 *    "May switch": the fiber may park, other fibers run meanwhile, and the
 *    fiber may go on on another thread. So keep no pointer to thread-local data
 *    (errno included) across such a call.
 *  - A call that has to wait returns -ECANCELED if its fiber has been cancelled
 *    (uf_cancel()), and -ETIMEDOUT at the deadline of a scope that it is in.
 *  - Pointers must be valid, unless NULL is said to be allowed. What comes of one that
 *    is not is undefined; a library that was built with CHECKED=1 says what is wrong
 *    with it on stderr, and aborts (Documentation/guide.rst).
 *  - No function may be called from a signal handler. A handler may run on a
 *    fiber's stack, or on that of any thread of a runtime.
 *  - After fork() the child has the memory of a runtime but none of its threads. It is
 *    to exec a program or _exit(); or, if a plain thread called fork(), it may make
 *    runtimes of its own. The calling thread is a plain thread there, also if it was
 *    a fiber's: "fiber only" calls return -EPERM, calls for the parent's runtimes and
 *    fibers -ECHILD, and a fiber whose function returns there aborts the child.
 *    Objects (mutexes, ...) that are shared with the parent's fibers are copies in an
 *    unknown state. No descriptor of the library survives an exec.
 *  - Structures with a size field are extended at their end; fill them with
 *    zero and set size, or use the INIT macro given with them.
 *
 * Environment:
 *  - UFIBER_BACKEND: "module", "monitor" or "none", where the program's uf_config
 *    names no backend. Without it, the best that works here.
 *  - UFIBER_MONITOR: "perf" or "proc": how the monitor learns that a thread blocks.
 *    Without it, by perf if that is permitted, and the kernel not PREEMPT_RT.
 *  - UFIBER_DUMP_SIGNAL: see uf_dump_on_signal().
 *  - UFIBER_REPORT_DEADLOCK: see UF_REPORT_DEADLOCK.
 */
#ifndef UFIBER_H
#define UFIBER_H

#include <ufiber/channel.h>
#include <ufiber/coro.h>
#include <ufiber/debug.h>
#include <ufiber/fiber.h>
#include <ufiber/generator.h>
#include <ufiber/io.h>
#include <ufiber/offload.h>
#include <ufiber/policy.h>
#include <ufiber/runtime.h>
#include <ufiber/scope.h>
#include <ufiber/sync.h>
#include <ufiber/time.h>

#endif /* UFIBER_H */

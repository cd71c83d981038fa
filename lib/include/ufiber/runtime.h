/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Runtimes: their making, their end, their counters. The conventions are told in ufiber.h. */
#ifndef UFIBER_RUNTIME_H
#define UFIBER_RUNTIME_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uf_policy;

/**
 * struct uf_config - what a runtime is made of
 * @size: sizeof(struct uf_config).
 * @servers: servers, 1 to 256; 0 means one for each CPU the process may use.
 * @max_threads: most threads the runtime may start, servers included; from
 *	@max_servers to 32768; 0 means @max_servers + 256. Under the "none" backend
 *	only as many as servers are ever started; the monitor's watcher is one more.
 * @stack_size: bytes of a fiber's stack unless its attributes say otherwise
 *	(there is told how it is rounded); at least UF_STACK_MIN; 0 means
 *	64 KiB.
 * @ring_entries: entries of each server's io_uring submission queue, rounded
 *	up to a power of two, or down to what the kernel has at most; 0 means 256.
 * @backend: "module", "monitor", "none", or NULL: the environment variable
 *	UFIBER_BACKEND if it is set, else the best that works here; that is
 *	"monitor", without a word, if /dev/ufiber is not there or may not be
 *	opened. uf_runtime_backend() tells. The monitor reads perf's records if
 *	it may and the kernel is not PREEMPT_RT, else /proc; UFIBER_MONITOR=perf makes
 *	it an error that it cannot, with the reason in uf_strerror();
 *	UFIBER_MONITOR=proc has it not try.
 * @offload_threads: most threads for uf_offload(); up to 32768; 0 means 64. They
 *	are started as they are needed.
 * @policy: which ready fiber runs next, see ufiber/policy.h; NULL means the
 *	built-in work stealing. It must stay as long as the runtime.
 * @max_servers: servers that uf_runtime_set_servers() can go up to, @servers to
 *	256; 0 means @servers, and so it is with a policy. Each has its io_uring from
 *	the start, its thread when it is first in use.
 * @quantum: nanoseconds, 1000000 to 10000000000, after which a fiber that has not
 *	called this library is preempted, so that others can run on its server; 0
 *	means never. With backend "module" alone; else the runtime cannot be created
 *	(-EOPNOTSUPP). A preempted fiber stays on its thread, and takes turns with the
 *	fibers that wait; but if more fibers compute without end than there are
 *	servers, these take turns among themselves. It can be preempted wherever it is,
 *	outside of this library, also while it holds a lock.
 * @flags: UF_NO_OVERFLOW_REPORT, UF_CALLER_SERVES, UF_REPORT_DEADLOCK, or 0.
 */
struct uf_config {
	size_t size;
	unsigned int servers;
	unsigned int max_threads;
	size_t stack_size;
	unsigned int ring_entries;
	const char *backend;
	unsigned int offload_threads;
	const struct uf_policy *policy;
	unsigned int max_servers;
	uint64_t quantum;
	unsigned int flags;
};

/*
 * Do not report the overflow of a stack. Without this flag a runtime installs
 * handlers of SIGSEGV and SIGBUS and gives its threads an alternate signal stack
 * (64 KiB). A fiber's fault in its guard page is then told on stderr, with its
 * name and a backtrace; after that, and after all other faults, the handler
 * that there was before is called, or the default action taken. A handler that
 * the program installs later is called in place of it.
 */
#define UF_NO_OVERFLOW_REPORT (1U << 0)

/*
 * The caller's thread is one of the runtime's: that of the thread which calls
 * uf_runtime_serve(), such as the main one; there is told how. uf_run() calls that by
 * itself. With one server and max_threads 1, all fibers run on that thread.
 */
#define UF_CALLER_SERVES (1U << 1)

/*
 * When every fiber that has been started waits, and no other fiber, timer or IO can
 * wake one, tell so on stderr, with a dump (ufiber/debug.h), once. Another thread of
 * the program, or a fiber of another runtime, may still do it: hence this is not the
 * default. UFIBER_REPORT_DEADLOCK=1 in the environment has the same effect.
 */
#define UF_REPORT_DEADLOCK (1U << 2)

#define UF_STACK_MIN ((size_t)16384)
/* clang-format off */
#define UF_CONFIG_INIT \
	{ .size = sizeof(struct uf_config) }
/* clang-format on */

/**
 * uf_runtime_create - start a runtime
 * @rt: where to store it; untouched on failure.
 * @config: what it is made of, or NULL for the defaults.
 *
 * Starts the servers' threads; the calling thread does not become one, but see
 * uf_runtime_serve(). Returns
 * when all of them are ready. Context: any thread, not a fiber; blocks.
 *
 * Returns 0, -EINVAL (config), -ENODEV (backend "module" was asked for and
 * /dev/ufiber is not there), -EACCES (it may not be opened), -ENOSYS or -EPERM
 * (io_uring is missing or forbidden), -ENOSYS (backend "monitor" was asked for and
 * there is no membarrier(2)), -EAGAIN (no thread could be started),
 * -EDEADLK (called by a fiber), -EOPNOTSUPP (config.quantum; UFIBER_MONITOR=perf
 * on PREEMPT_RT), -ENOMEM, or what opening or mapping the device failed with. Where
 * a cause needs more words than an errno has, uf_strerror() gives them.
 */
int uf_runtime_create(struct uf_runtime **rt, const struct uf_config *config);

/**
 * uf_runtime_drain - wait until all fibers have ended
 * @rt: the runtime. It can be used after that as before.
 * @deadline: when to give up; or UF_FOREVER.
 *
 * A fiber that was made with UF_PARKED and has not been started has not ended. Before
 * uf_runtime_serve() none ends. Context: any thread, not a fiber (-EDEADLK); blocks.
 *
 * Returns how many had not ended by then: 0 means all have; or -EDEADLK.
 */
int uf_runtime_drain(struct uf_runtime *rt, uint64_t deadline);

/**
 * uf_runtime_stop - cancel all fibers and wait until they have ended
 * @rt: the runtime.
 * @deadline: when to give up; or UF_FOREVER. One that has passed: ask, and do not
 *	wait.
 *
 * Every fiber is cancelled as by uf_cancel(), again and again until it has ended,
 * so that a system call that it is blocked in is interrupted, too (with the
 * module). Fibers that are created later are cancelled from their start; that is
 * not undone. What ignores cancels is waited for: a fiber that computes, one in a
 * shield, one that is blocked in what cannot be interrupted or has no module, one
 * that has never been started (UF_PARKED).
 *
 * Nothing is freed: uf_runtime_destroy() does that; it waits for those that are
 * left. Context: any thread, not a fiber (-EDEADLK); blocks.
 *
 * Returns how many had not ended by then: 0 means all have; or -EDEADLK.
 */
int uf_runtime_stop(struct uf_runtime *rt, uint64_t deadline);

/**
 * uf_runtime_set_servers - put more servers into use, or fewer
 * @rt: the runtime, or NULL for the calling fiber's.
 * @n: how many, 1 to config.max_servers.
 *
 * Fewer: those of the highest numbers go. Each gives the fibers that are ready on it
 * to the others when the one that runs there next parks or yields; this call does not
 * wait for that. What has been begun there ends there: sleeps and IO of its fibers,
 * which then go on elsewhere. Fibers that are pinned to it stay and run there as
 * before, until they end or call uf_unpin() or uf_pin(); no more can be pinned to it.
 * A thread is kept for all that, which sleeps while there is nothing to do.
 *
 * Context: any thread; does not switch. Returns 0, -EINVAL (@n), -EPERM (@rt NULL,
 * not a fiber), -ESHUTDOWN (it has been served), -EAGAIN (no thread could be started:
 * nothing has changed).
 */
int uf_runtime_set_servers(struct uf_runtime *rt, unsigned int n);

/**
 * uf_runtime_servers - how many servers of a runtime are in use
 * @rt: the runtime, or NULL for the calling fiber's.
 *
 * Context: any. Returns the number, or -EPERM (@rt NULL, not a fiber).
 */
int uf_runtime_servers(const struct uf_runtime *rt);

/**
 * uf_runtime_serve - run a runtime's fibers on the calling thread, too
 * @rt: a runtime that was made with UF_CALLER_SERVES.
 *
 * The thread is one of the runtime's until all fibers have ended; if one blocks on
 * it in the kernel, another of the runtime's threads takes its place meanwhile (not
 * under backend "none"). Before this call no fiber runs: so it also is the point up
 * to which they can be collected. It ends all of the runtime's threads: after that no
 * fiber can be created (-ESHUTDOWN), ended ones can be joined, and
 * uf_runtime_destroy() is due. That also calls this, if nobody has.
 *
 * Context: a thread of no runtime; any, once. Returns 0, -EDEADLK (called by a
 * fiber), -EINVAL (a runtime made without UF_CALLER_SERVES, or one that has been
 * served); with the module what joining its domain failed with.
 */
int uf_runtime_serve(struct uf_runtime *rt);

/**
 * uf_runtime_destroy - wait until all fibers have ended, stop, free
 * @rt: the runtime; gone when the call returns 0. NULL is allowed.
 *
 * Drains first; to end sooner call uf_runtime_stop() before. Fibers that were
 * neither joined nor detached are freed with it. Context: any thread, not a fiber
 * (-EDEADLK); blocks. Returns 0, -EDEADLK, -ECHILD (a runtime of the parent, in the
 * child of a fork()), or what uf_runtime_serve() failed with.
 */
int uf_runtime_destroy(struct uf_runtime *rt);

/**
 * uf_run - run a function as the first fiber of a runtime of its own
 * @config: as for uf_runtime_create().
 * @start: the function, @arg: its argument.
 * @value: where to store what it returned, or NULL.
 *
 * It comes back when that fiber and all others it started have ended. Context: any
 * thread, not a fiber; blocks. Returns 0, or the errors of uf_runtime_create() and
 * uf_create().
 */
int uf_run(const struct uf_config *config, void *(*start)(void *), void *arg,
	   void **value);

/**
 * uf_runtime_backend - the name of the backend that a runtime uses
 * @rt: the runtime, or NULL for the calling fiber's.
 *
 * Context: any. Returns "module", "monitor" or "none", a static string; NULL if @rt
 * is NULL and the caller is not a fiber.
 */
const char *uf_runtime_backend(const struct uf_runtime *rt);

/**
 * struct uf_stats - counters of a runtime since its start
 * @size: sizeof(struct uf_stats), set by the caller.
 * @fibers: fibers that exist now.
 * @threads: threads that it has started.
 * @switches: switches to a fiber.
 * @blocks: times a fiber blocked in the kernel and lost its server ("none": 0).
 * @handoffs: times a server passed to another thread at once, because its
 *	fiber blocked.
 * @takeovers: times an unblocked fiber took a free server directly.
 * @wakes: messages sent to wake servers, for a fiber to run or for the end.
 * @watched_by_perf: of @threads, those whose blocks perf events tell ("monitor").
 * @watched_by_proc: those that are looked after in /proc, as they could have no perf
 *	event ("monitor"): their blocks are seen later. Others stall their server.
 */
struct uf_stats {
	size_t size;
	uint64_t fibers;
	uint64_t threads;
	uint64_t switches;
	uint64_t blocks;
	uint64_t handoffs;
	uint64_t takeovers;
	uint64_t wakes;
	uint64_t watched_by_perf;
	uint64_t watched_by_proc;
};

/**
 * uf_runtime_stats - read a runtime's counters
 * @rt: the runtime, or NULL for the calling fiber's.
 * @stats: where to store them, with size set.
 *
 * Each counter is exact, the set of them is not of one moment. Context: any;
 * never blocks. Returns 0, -EINVAL (size), -EPERM (@rt NULL, not a fiber).
 */
int uf_runtime_stats(const struct uf_runtime *rt, struct uf_stats *stats);

/**
 * uf_strerror - why this thread's uf_runtime_create() or uf_run() failed
 *
 * Context: any. Returns a string that names the cause and the cure; valid until this
 * thread's next uf_runtime_create() or uf_run(). "" if that succeeded.
 */
const char *uf_strerror(void);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_RUNTIME_H */

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
 * kernel module, which passes the server on to another thread; without the
 * module the server stalls until the call returns. Other servers then take the
 * fibers in its queue, but its timers and its IO wait with it; so a block that
 * a fiber there must end never ends.
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
 *  - Pointers must be valid, unless NULL is said to be allowed.
 *  - No function may be called from a signal handler. A handler may run on a
 *    fiber's stack, or on that of any thread of a runtime.
 *  - After fork() the child has the memory of a runtime but none of its threads:
 *    it may call nothing of this library, but exec a program or _exit().
 *  - Structures with a size field are extended at their end; fill them with
 *    zero and set size, or use the INIT macro given with them.
 */
#ifndef UFIBER_H
#define UFIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct statx;
struct uf_runtime;
struct uf_fiber;

/* A deadline that never comes. */
#define UF_FOREVER UINT64_MAX

/* ---------------------------------------------------------------- runtime */

/**
 * struct uf_config - what a runtime is made of
 * @size: sizeof(struct uf_config).
 * @servers: servers, 1 to 256; 0 means one for each CPU the process may use.
 * @max_threads: most threads the runtime may start, servers included; from
 *	@servers to 32768; 0 means @servers + 256. Under the "none" backend only @servers
 *	are ever started.
 * @stack_size: bytes of a fiber's stack unless its attributes say otherwise,
 *	rounded up to pages; at least UF_STACK_MIN; 0 means 64 KiB.
 * @ring_entries: entries of each server's io_uring submission queue, rounded
 *	up to a power of two; 0 means 256.
 * @backend: "module", "none", or NULL: the environment variable
 *	UFIBER_BACKEND if it is set, else the best that works here; that is
 *	"none", without a word, if /dev/ufiber is not there or may not be
 *	opened. uf_runtime_backend() tells.
 */
struct uf_config {
	size_t size;
	unsigned int servers;
	unsigned int max_threads;
	size_t stack_size;
	unsigned int ring_entries;
	const char *backend;
};

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
 * Starts the servers' threads; the calling thread does not become one. Returns
 * when all of them are ready. Context: any thread, not a fiber; blocks.
 *
 * Returns 0, -EINVAL (config), -ENODEV (backend "module" was asked for and
 * /dev/ufiber is not there), -EACCES (it may not be opened), -ENOSYS or -EPERM
 * (io_uring is missing or forbidden), -EAGAIN (no thread could be started),
 * -EDEADLK (called by a fiber), -ENOMEM, or what opening or mapping the device
 * failed with. Where a cause needs more words than an errno has, uf_strerror()
 * gives them.
 */
int uf_runtime_create(struct uf_runtime **rt, const struct uf_config *config);

/**
 * uf_runtime_destroy - wait until all fibers have ended, stop, free
 * @rt: the runtime; gone when the call returns 0. NULL is allowed.
 *
 * Fibers that were neither joined nor detached are freed with it. Context: any
 * thread, not a fiber (-EDEADLK); blocks. Returns 0 or a negative errno.
 */
int uf_runtime_destroy(struct uf_runtime *rt);

/**
 * uf_run - run a function as the first fiber of a runtime of its own
 * @config: as for uf_runtime_create().
 * @start: the function, @arg: its argument.
 * @value: where to store what it returned, or NULL.
 *
 * Returns when that fiber and all others it started have ended. Errors and
 * context as uf_runtime_create() and uf_create().
 */
int uf_run(const struct uf_config *config, void *(*start)(void *), void *arg,
	   void **value);

/**
 * uf_runtime_backend - the name of the backend that a runtime uses
 * @rt: the runtime, or NULL for the calling fiber's.
 *
 * Returns "module" or "none", a static string; NULL if @rt is NULL and the
 * caller is not a fiber. Context: any.
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
 * Returns a string that names the cause and the cure; valid until this
 * thread's next uf_runtime_create() or uf_run(). "" if that succeeded.
 */
const char *uf_strerror(void);

/* ----------------------------------------------------------------- fibers */

/* The fiber frees itself when it ends and must not be joined. */
#define UF_DETACHED (1U << 0)

#define UF_NAME_MAX 32

/**
 * struct uf_attr - how to make a fiber
 * @size: sizeof(struct uf_attr).
 * @stack_size: bytes of stack, at least UF_STACK_MIN; 0 means the runtime's.
 *	Below every stack lies a guard page.
 * @name: its name, cut to UF_NAME_MAX - 1 bytes; NULL means "".
 * @flags: UF_DETACHED or 0.
 */
struct uf_attr {
	size_t size;
	size_t stack_size;
	const char *name;
	unsigned int flags;
};

/* clang-format off */
#define UF_ATTR_INIT \
	{ .size = sizeof(struct uf_attr) }
/* clang-format on */

/**
 * uf_create - make a fiber, ready to run
 * @rt: the runtime, or NULL for the calling fiber's.
 * @fiber: where to store its handle, valid until it is joined or detached;
 *	may be NULL only with UF_DETACHED.
 * @attr: attributes, or NULL.
 * @start: what it runs; @arg: its argument. Returning from @start ends the
 *	fiber as uf_exit() does.
 *
 * The fiber is queued on the caller's server, from outside on any; the caller
 * goes on. Context: any thread; does not switch. Returns 0, -EINVAL,
 * -ENOMEM (memory, or vm.max_map_count reached), -EPERM (@rt NULL, not a
 * fiber).
 */
int uf_create(struct uf_runtime *rt, struct uf_fiber **fiber,
	      const struct uf_attr *attr, void *(*start)(void *), void *arg);

/**
 * uf_join - wait for a fiber's end and free it
 * @fiber: the fiber; its handle is gone when the call returns 0.
 * @value: where to store what it returned or gave to uf_exit(), or NULL.
 *
 * Context: a fiber (may switch) or any other thread (blocks). Returns 0,
 * -EINVAL (detached, or joined by somebody else), -EDEADLK (the caller itself).
 */
int uf_join(struct uf_fiber *fiber, void **value);

/**
 * uf_detach - let a fiber free itself when it ends
 * @fiber: the fiber; its handle is gone when the call returns 0.
 *
 * Context: any; never switches. Returns 0 or -EINVAL (detached already, or
 * being joined).
 */
int uf_detach(struct uf_fiber *fiber);

/**
 * uf_yield - let the other ready fibers of this server run first
 *
 * Fiber only (elsewhere it does nothing); may switch.
 */
void uf_yield(void);

/**
 * uf_exit - end the calling fiber
 * @value: what uf_join() gets.
 *
 * Fiber only: elsewhere the process is aborted, as there is nothing to end.
 */
void uf_exit(void *value) __attribute__((noreturn));

/**
 * uf_self - the calling fiber, or NULL if the caller is not a fiber
 */
struct uf_fiber *uf_self(void);

/**
 * uf_name - a fiber's name
 * @fiber: the fiber, or NULL for the calling one.
 *
 * Returns its name, valid as long as the handle; "" if it has none.
 */
const char *uf_name(const struct uf_fiber *fiber);

/* ------------------------------------------------------------------- time */

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

/* --------------------------------------------------------------------- IO */

/*
 * Each call does what the system call of its name does, through the server's
 * io_uring; the fiber is parked meanwhile. Its _until twin gives up at the
 * deadline with -ETIMEDOUT; then nothing was transferred (an operation that
 * the kernel can no longer stop, such as disk IO, runs to its end first and
 * its result counts). Buffers must stay valid until the call returns.
 *
 * A deadline that has passed: what can be done without waiting is done, but for
 * pipes on kernels before 6.4, whose io_uring hands them to a worker thread;
 * that may come too late.
 *
 * O_NONBLOCK makes no difference, as waiting blocks nobody: to only try, give
 * MSG_DONTWAIT (-EAGAIN) or a deadline of 0 (-ETIMEDOUT).
 *
 * Fiber only; may switch. Return the system call's result, or a negative errno:
 * those of the system call, -EPERM (not a fiber), -ETIMEDOUT.
 */
ssize_t uf_read(int fd, void *buf, size_t count);
ssize_t uf_read_until(int fd, void *buf, size_t count, uint64_t deadline);
ssize_t uf_write(int fd, const void *buf, size_t count);
ssize_t uf_write_until(int fd, const void *buf, size_t count, uint64_t deadline);
ssize_t uf_pread(int fd, void *buf, size_t count, off_t offset);
ssize_t uf_pread_until(int fd, void *buf, size_t count, off_t offset,
		       uint64_t deadline);
ssize_t uf_pwrite(int fd, const void *buf, size_t count, off_t offset);
ssize_t uf_pwrite_until(int fd, const void *buf, size_t count, off_t offset,
			uint64_t deadline);
ssize_t uf_recv(int fd, void *buf, size_t len, int flags);
ssize_t uf_recv_until(int fd, void *buf, size_t len, int flags,
		      uint64_t deadline);
ssize_t uf_send(int fd, const void *buf, size_t len, int flags);
ssize_t uf_send_until(int fd, const void *buf, size_t len, int flags,
		      uint64_t deadline);

/* @flags: SOCK_CLOEXEC, SOCK_NONBLOCK, as for accept4(). */
int uf_accept(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags);
int uf_accept_until(int fd, struct sockaddr *addr, socklen_t *addrlen,
		    int flags, uint64_t deadline);
int uf_connect(int fd, const struct sockaddr *addr, socklen_t addrlen);
int uf_connect_until(int fd, const struct sockaddr *addr, socklen_t addrlen,
		     uint64_t deadline);
int uf_openat(int dfd, const char *path, int flags, mode_t mode);
int uf_openat_until(int dfd, const char *path, int flags, mode_t mode,
		    uint64_t deadline);
int uf_close(int fd);
int uf_close_until(int fd, uint64_t deadline);
int uf_fsync(int fd);
int uf_fsync_until(int fd, uint64_t deadline);
int uf_statx(int dfd, const char *path, int flags, unsigned int mask,
	     struct statx *stx);
int uf_statx_until(int dfd, const char *path, int flags, unsigned int mask,
		   struct statx *stx, uint64_t deadline);

/* -------------------------------------------------------- synchronisation */

/* A fiber that waits, on its own stack. */
struct uf_waiter;

/* Waiting fibers, first come first served. Private. */
struct uf_waitq {
	struct uf_waiter *head;
	struct uf_waiter *tail;
};

/**
 * struct uf_mutex - a mutual exclusion lock between fibers
 *
 * Starts as UF_MUTEX_INIT or all zero; needs no destruction. The lock passes
 * to waiting fibers in the order they came. Fields are private.
 */
struct uf_mutex {
	uint32_t guard;
	uint32_t locked;
	struct uf_fiber *owner;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_MUTEX_INIT \
	{ 0 }
/* clang-format on */

/**
 * uf_mutex_lock - take the mutex, parking until it is free
 *
 * Fiber only; may switch. Returns 0, -EPERM, -EDEADLK (the caller has it);
 * the _until form also -ETIMEDOUT; trylock never waits: -EBUSY.
 */
int uf_mutex_lock(struct uf_mutex *mutex);
int uf_mutex_lock_until(struct uf_mutex *mutex, uint64_t deadline);
int uf_mutex_trylock(struct uf_mutex *mutex);

/**
 * uf_mutex_unlock - give the mutex to the first waiter, or free it
 *
 * Never switches. Returns 0 or -EPERM (the caller does not have it).
 */
int uf_mutex_unlock(struct uf_mutex *mutex);

/**
 * struct uf_sem - a counting semaphore
 *
 * Starts as UF_SEM_INIT(value); needs no destruction. Fields are private.
 */
struct uf_sem {
	uint32_t guard;
	uint32_t value;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_SEM_INIT(v) \
	{ .value = (v) }
/* clang-format on */

/**
 * uf_sem_wait - take one, parking while there is none
 *
 * Fiber only; may switch. Waiting fibers are served in the order they came.
 * Returns 0, -EPERM; the _until form also -ETIMEDOUT; trywait never waits and
 * may be called from any thread: -EAGAIN.
 */
int uf_sem_wait(struct uf_sem *sem);
int uf_sem_wait_until(struct uf_sem *sem, uint64_t deadline);
int uf_sem_trywait(struct uf_sem *sem);

/**
 * uf_sem_post - give one back, or add one
 *
 * Context: any thread, fiber or not; never switches. Returns 0 or -EOVERFLOW.
 */
int uf_sem_post(struct uf_sem *sem);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_H */

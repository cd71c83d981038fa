/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Fibers: their making, their end. The conventions are told in ufiber.h. */
#ifndef UFIBER_FIBER_H
#define UFIBER_FIBER_H

#include <sys/types.h>
#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The fiber frees itself when it ends and must not be joined. */
#define UF_DETACHED (1U << 0)
/* It runs on one server only. */
#define UF_PINNED (1U << 1)
/* It does not run until uf_start(). */
#define UF_PARKED (1U << 2)
/*
 * Its stack is as good as new, even if other fibers have used it: none of their
 * data is there, and uf_stack_high_water() counts this fiber alone. Costs a
 * system call and a page fault for each page used.
 */
#define UF_CLEAN_STACK (1U << 3)

/*
 * Priorities. Of two ready fibers of a server the one with the higher priority
 * runs first; but the lower ones get a turn now and then, so none starves.
 */
#define UF_PRIORITY_HIGH (-1)
#define UF_PRIORITY_NORMAL 0
#define UF_PRIORITY_LOW 1

#define UF_NAME_MAX 32

/**
 * struct uf_attr - how to make a fiber
 * @size: sizeof(struct uf_attr).
 * @stack_size: bytes of stack, at least UF_STACK_MIN; 0 means the runtime's.
 *	Rounded up: to a power of two up to 1 MiB, above that to pages. Below
 *	every stack lies a guard page.
 * @name: its name, cut to UF_NAME_MAX - 1 bytes; NULL means "".
 * @flags: UF_DETACHED, UF_PINNED, UF_PARKED, UF_CLEAN_STACK, UF_FPENV (base.h).
 * @priority: UF_PRIORITY_HIGH, UF_PRIORITY_NORMAL (0) or UF_PRIORITY_LOW.
 * @server: with UF_PINNED: which server, from 0; else 0.
 */
struct uf_attr {
	size_t size;
	size_t stack_size;
	const char *name;
	unsigned int flags;
	int priority;
	unsigned int server;
};

/* clang-format off */
#define UF_ATTR_INIT \
	{ .size = sizeof(struct uf_attr) }
/* clang-format on */

/**
 * uf_create - make a fiber, ready to run
 * @rt: the runtime, or NULL for the calling fiber's.
 * @fiber: where to store its handle, valid until it is joined or detached;
 *	may be NULL only with UF_DETACHED, and not with UF_PARKED.
 * @attr: attributes, or NULL.
 * @start: what it runs; @arg: its argument. Returning from @start ends the
 *	fiber as uf_exit() does.
 *
 * The fiber is queued on the caller's server, from outside on any; the caller
 * goes on. Context: any thread; does not switch. Returns 0, -EINVAL,
 * -ENOMEM (memory is used up; or, where guards need maps of their own, those
 * are: see design.rst), -EPERM (@rt NULL, not a fiber), -ESHUTDOWN (@rt has been
 * served, see uf_runtime_serve()).
 */
int uf_create(struct uf_runtime *rt, struct uf_fiber **fiber,
	      const struct uf_attr *attr, void *(*start)(void *), void *arg);

/**
 * uf_create_many - make several fibers at once
 * @rt: as for uf_create().
 * @fibers: where to store their handles.
 * @n: how many.
 * @attr: attributes of each, or NULL.
 * @start: what each runs.
 * @args: @n arguments, one for each; or NULL, then each gets NULL.
 *
 * Other servers are woken once. Context: as for uf_create(). Returns as uf_create(); on failure none has been
 * made.
 */
int uf_create_many(struct uf_runtime *rt, struct uf_fiber **fibers, size_t n,
		   const struct uf_attr *attr, void *(*start)(void *),
		   void *const *args);

/**
 * uf_start - let a fiber run that was made with UF_PARKED
 * @fiber: the fiber.
 *
 * uf_runtime_destroy() waits for those that were not started, too. Context: any;
 * does not switch. Returns 0 or -EINVAL (started already).
 */
int uf_start(struct uf_fiber *fiber);

/**
 * uf_join - wait for a fiber's end and free it
 * @fiber: the fiber; its handle is gone when the call returns 0.
 * @value: where to store what it returned or gave to uf_exit(), or NULL.
 *
 * Context: a fiber (may switch) or any other thread (blocks). Returns 0,
 * -EINVAL (detached, or joined by somebody else), -EDEADLK (the caller itself);
 * the _until form also -ETIMEDOUT, and then somebody may join it again.
 */
int uf_join(struct uf_fiber *fiber, void **value);
int uf_join_until(struct uf_fiber *fiber, void **value, uint64_t deadline);

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
 * uf_yield_to - let a certain fiber run now
 * @fiber: a fiber of the same runtime, ready.
 *
 * It is taken from the queue where it waits, another server's even, and goes
 * before all; the caller goes to the end of its own. Fiber only; may switch.
 * Returns 0, -EAGAIN (it was not ready, or is pinned elsewhere: the call was a
 * uf_yield()), -EINVAL (of another runtime), -EPERM. (The idea is old: Marsh et
 * al.'s directed yield.)
 */
int uf_yield_to(struct uf_fiber *fiber);

/**
 * uf_exit - end the calling fiber
 * @value: what uf_join() gets.
 *
 * Fiber only: elsewhere the process is aborted, as there is nothing to end.
 */
void uf_exit(void *value) __attribute__((noreturn));

/**
 * uf_self - the calling fiber
 *
 * Context: any. Returns its handle, or NULL if the caller is not a fiber.
 */
struct uf_fiber *uf_self(void);

/**
 * uf_name - a fiber's name
 * @fiber: the fiber, or NULL for the calling one.
 *
 * Context: any. Returns its name, valid as long as the handle; "" if it has none.
 */
const char *uf_name(const struct uf_fiber *fiber);

/**
 * uf_id - a fiber's identity
 * @fiber: the fiber, or NULL for the calling one.
 *
 * Returns a number that no other fiber of the process has or had; 0 if @fiber is
 * NULL and the caller is not a fiber. Context: any.
 */
uint64_t uf_id(const struct uf_fiber *fiber);

/**
 * enum uf_state - what a fiber does
 * @UF_STATE_PARKED: it has not been started.
 * @UF_STATE_READY: it could run, but others do.
 * @UF_STATE_RUNNING: it runs, or it blocks in the kernel.
 * @UF_STATE_WAITING: it waits in a call of this library.
 * @UF_STATE_ENDED: it has ended and was not joined yet.
 */
enum uf_state {
	UF_STATE_PARKED,
	UF_STATE_READY,
	UF_STATE_RUNNING,
	UF_STATE_WAITING,
	UF_STATE_ENDED,
};

/**
 * uf_state - what a fiber does at this moment
 * @fiber: the fiber.
 *
 * By the time it is looked at it may be otherwise. Context: any. Returns one of
 * the above.
 */
enum uf_state uf_state(const struct uf_fiber *fiber);

/* --------------------------------------------------------- where it runs */

/**
 * uf_set_priority - change the calling fiber's priority
 * @priority: UF_PRIORITY_HIGH, UF_PRIORITY_NORMAL or UF_PRIORITY_LOW.
 *
 * Takes effect when it is next made ready. Fiber only; never switches. Returns 0,
 * -EINVAL, -EPERM.
 */
int uf_set_priority(int priority);

/**
 * uf_priority - a fiber's priority
 * @fiber: the fiber, or NULL for the calling one.
 *
 * Context: any. Returns it; UF_PRIORITY_NORMAL if @fiber is NULL and the caller is
 * not a fiber.
 */
int uf_priority(const struct uf_fiber *fiber);

/**
 * uf_pin - move the calling fiber to a server, where it stays
 * @server: which, from 0.
 *
 * Fiber only; may switch. If it then blocks in the kernel it may come back on
 * another one, until it next switches. Returns 0, -EINVAL (no such server),
 * -EPERM.
 */
int uf_pin(unsigned int server);

/**
 * uf_unpin - let the calling fiber run on any server again
 *
 * Fiber only; never switches. Returns 0 or -EPERM.
 */
int uf_unpin(void);

/**
 * uf_server_number - the number of the server that the calling fiber runs on
 *
 * Unless the fiber is pinned this may be otherwise at once. Fiber only; never
 * switches. Returns the number, from 0, or -EPERM.
 */
int uf_server_number(void);

/* ------------------------------------------------------- local to a fiber */

/* Keys of a process at most. */
#define UF_KEYS_MAX 64

typedef unsigned int uf_key_t;

/**
 * uf_key_create - make a key for values that each fiber has of its own
 * @key: where to store it.
 * @destructor: called when a fiber ends that has a value for it which is not
 *	NULL, with that value, by the fiber itself; or NULL. It may do what fibers
 *	may; if it sets values there are up to 4 rounds.
 *
 * Context: any. Returns 0, -EAGAIN (UF_KEYS_MAX are in use) or -ENOMEM.
 */
int uf_key_create(uf_key_t *key, void (*destructor)(void *value));

/**
 * uf_key_delete - give a key back
 * @key: the key. Values that fibers have for it are forgotten; no destructor is
 *	called.
 *
 * Context: any. Returns 0 or -EINVAL.
 */
int uf_key_delete(uf_key_t key);

/**
 * uf_local_set - set the calling fiber's value for a key
 * @key: the key.
 * @value: the value.
 *
 * Fiber only. Returns 0, -EINVAL (no such key), -ENOMEM, -EPERM.
 */
int uf_local_set(uf_key_t key, void *value);

/**
 * uf_local_get - the calling fiber's value for a key
 * @key: the key.
 *
 * Returns NULL if it has none, or the caller is not a fiber. Context: any.
 */
void *uf_local_get(uf_key_t key);

/**
 * struct uf_cleanup - something to be done if a fiber exits. Private.
 */
struct uf_cleanup {
	struct uf_cleanup *next;
	void (*call)(void *arg);
	void *arg;
};

/**
 * uf_cleanup_push - have a function called if the calling fiber exits
 * @cleanup: room for it, until it is popped; the caller's stack will do.
 * @call: the function, @arg: its argument. It may do what fibers may.
 *
 * uf_exit() calls those that were not popped, the last one first, and then the
 * destructors of values. Fiber only. Returns 0 or -EPERM.
 */
int uf_cleanup_push(struct uf_cleanup *cleanup, void (*call)(void *arg),
		    void *arg);

/**
 * uf_cleanup_pop - take the last one back
 * @cleanup: what was given to uf_cleanup_push() last.
 * @call: call it now.
 *
 * A function that returns must pop what it has pushed. Fiber only. Returns 0,
 * -EINVAL (not the last one), -EPERM.
 */
int uf_cleanup_pop(struct uf_cleanup *cleanup, bool call);

/* ---------------------------------------------------------------- stacks */

/**
 * uf_stack_size - bytes of a fiber's stack
 * @fiber: the fiber, or NULL for the calling one.
 *
 * Returns what it and what it calls can use; 0 if @fiber is NULL and the caller
 * is not a fiber. Context: any.
 */
size_t uf_stack_size(const struct uf_fiber *fiber);

/**
 * uf_stack_high_water - the most that was ever used of a fiber's stack
 * @fiber: the fiber, or NULL for the calling one. It may be running.
 *
 * Stacks are reused, and fibers that had it before count, too, unless the fiber
 * was made with UF_CLEAN_STACK. So does all of a stack whose memory is locked
 * (mlockall()). Context: any; makes system calls, which do not wait.
 *
 * Returns bytes, at most uf_stack_size(); -EPERM (@fiber NULL, not a fiber); or
 * what mincore() fails with where there is no /proc.
 */
ssize_t uf_stack_high_water(const struct uf_fiber *fiber);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_FIBER_H */

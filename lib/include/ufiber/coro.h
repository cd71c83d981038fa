/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Coroutines: functions with a stack of their own that stop in the middle and
 * go on later. They need no runtime, no scheduler and no thread-local data: any
 * thread and any fiber may make and resume them, and what they call may stop
 * them at any depth.
 *
 * A coroutine runs when it is *resumed*, until it *yields* or ends; then the
 * resumer goes on. Both hand over a value. A coroutine that runs may also
 * *transfer* to another one: that one runs in its stead, and goes back to the
 * same resumer in the end.
 *
 * Rules:
 *  - A coroutine is data without a lock: who passes it to another thread must
 *    order that. Then one thread may suspend it and another resume it; but see
 *    ufiber.h on thread-local data.
 *  - A fiber that waits while it runs a coroutine takes it along.
 *  - Errors are returned before anything has changed.
 *  - Exceptions of C++ are thrown and caught inside of one coroutine as in any
 *    function. None leaves it: std::terminate() is called where it would. A
 *    handler must not yield, as the exceptions being handled are the thread's.
 *  - What has been said of UF_FPENV (base.h) holds for coroutines too.
 *
 * <ufiber/coro_inline.h> has the switches once more as inline functions, for
 * where a nanosecond counts; <ufiber/generator.h> has generators.
 */
#ifndef UFIBER_CORO_H
#define UFIBER_CORO_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uf_coro;

/*
 * A switch comes back by an indirect jump, so that with -fcf-protection the
 * compiler must place an endbr64 behind each call.
 */
#if defined(__has_attribute)
#if __has_attribute(indirect_return)
#define UF_CORO_SWITCHES __attribute__((indirect_return))
#endif
#endif
#ifndef UF_CORO_SWITCHES
#define UF_CORO_SWITCHES
#endif

/**
 * uf_coro_fn - what a coroutine runs
 * @self: the coroutine.
 * @arg: what was given to uf_coro_create().
 * @value: what the first uf_coro_resume() brought.
 *
 * Returns the value that its last resumer gets.
 */
typedef void *uf_coro_fn(struct uf_coro *self, void *arg, void *value);

/**
 * struct uf_coro_attr - how to make a coroutine
 * @size: sizeof(struct uf_coro_attr).
 * @stack: memory for its stack, or NULL: the library maps one, with a guard
 *	page below, and keeps those of the default size for reuse. The coroutine
 *	itself lives at the stack's top.
 * @stack_size: bytes of stack, at least UF_CORO_STACK_MIN; 0 means 64 KiB, and
 *	is not allowed with @stack.
 * @flags: UF_FPENV or 0.
 * @release: called with the argument that was given to uf_coro_create() when
 *	the coroutine has been destroyed, last of all: nothing uses its stack any
 *	more. NULL is allowed.
 */
struct uf_coro_attr {
	size_t size;
	void *stack;
	size_t stack_size;
	unsigned int flags;
	void (*release)(void *arg);
};

#define UF_CORO_STACK_MIN ((size_t)8192)
/* clang-format off */
#define UF_CORO_ATTR_INIT \
	{ .size = sizeof(struct uf_coro_attr) }
/* clang-format on */

/**
 * uf_coro_create - make a coroutine, suspended before its first instruction
 * @co: where to store it; untouched on failure.
 * @attr: attributes, or NULL.
 * @start: what it runs; @arg: its argument.
 *
 * Context: any. Returns 0, -EINVAL, -ENOMEM (memory, or vm.max_map_count
 * reached).
 */
int uf_coro_create(struct uf_coro **co, const struct uf_coro_attr *attr,
		   uf_coro_fn *start, void *arg);

/**
 * uf_coro_destroy - free a coroutine that does not run
 * @co: the coroutine; gone when the call returns 0. NULL is allowed.
 *
 * If it has not ended its frames are dropped: nothing in it is run any more. To
 * have it clean up use uf_coro_cancel() first. Context: any. Returns 0 or -EBUSY
 * (it runs, or a coroutine that it has resumed does).
 */
int uf_coro_destroy(struct uf_coro *co);

/**
 * uf_coro_resume - run a coroutine until it yields or ends
 * @co: the coroutine.
 * @value: what its uf_coro_yield() stores, or its function gets.
 * @result: where to store what was yielded or returned, or NULL.
 *
 * If @co transfers to another coroutine, then it is that one's yield or end
 * that is waited for and told of.
 *
 * Context: any, fiber or not. Returns 1 (yielded) or 0 (ended); -EINVAL (@co is NULL), -ESRCH (it ended
 * before), -EBUSY (it runs, here or in another thread, or waits for a coroutine
 * that it has resumed).
 */
int uf_coro_resume(struct uf_coro *co, void *value,
		   void **result) UF_CORO_SWITCHES;

/**
 * uf_coro_yield - suspend the calling coroutine, its resumer goes on
 * @self: the calling coroutine.
 * @value: what the resumer's @result becomes.
 * @next: where to store what the next resumer brings, or NULL.
 *
 * Context: the coroutine itself. Returns 0; -ECANCELED (resumed by uf_coro_cancel(), once for each of its
 * calls), -EINVAL (@self is NULL), -EPERM (it is not @self that calls).
 */
int uf_coro_yield(struct uf_coro *self, void *value,
		  void **next) UF_CORO_SWITCHES;

/**
 * uf_coro_transfer - suspend the calling coroutine, another goes on in its stead
 * @self: the calling coroutine.
 * @to: the other one, suspended.
 * @value: what its uf_coro_yield() stores, or its function gets.
 * @next: where to store what the next resumer of @self brings, or NULL.
 *
 * Context: the coroutine itself. Returns as uf_coro_yield(); -ESRCH or -EBUSY if @to cannot be resumed.
 */
int uf_coro_transfer(struct uf_coro *self, struct uf_coro *to, void *value,
		     void **next) UF_CORO_SWITCHES;

/**
 * uf_coro_cancel - ask a suspended coroutine to end
 * @co: the coroutine.
 * @result: as for uf_coro_resume().
 *
 * Resumes it with -ECANCELED from its uf_coro_yield() or uf_coro_transfer(); it
 * should clean up and return. One that has not been resumed yet ends without
 * having run, with a @result of NULL.
 *
 * Context: as uf_coro_resume(). Returns as uf_coro_resume(); 1 means that it has yielded instead of ending.
 */
int uf_coro_cancel(struct uf_coro *co, void **result) UF_CORO_SWITCHES;

/* What a coroutine is doing. */
enum uf_coro_status {
	UF_CORO_SUSPENDED, /* it can be resumed */
	UF_CORO_RUNNING, /* it runs, or a coroutine that it has resumed */
	UF_CORO_ENDED,
};

/**
 * uf_coro_status - what a coroutine is doing
 *
 * Context: any; if another thread resumes it this may be otherwise at once.
 * Returns one of the above.
 */
enum uf_coro_status uf_coro_status(const struct uf_coro *co);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_CORO_H */

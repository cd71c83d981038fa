/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Fibers: their making, their end. The conventions are told in ufiber.h. */
#ifndef UFIBER_FIBER_H
#define UFIBER_FIBER_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_FIBER_H */

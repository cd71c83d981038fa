/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Cancellation, and scopes that own fibers. The conventions are told in ufiber.h. */
#ifndef UFIBER_SCOPE_H
#define UFIBER_SCOPE_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uf_attr;

/**
 * uf_cancel - ask a fiber to come to an end
 * @fiber: the fiber.
 *
 * The call of this library in which it waits ends with -ECANCELED, and so does
 * every later one that would have to wait; what was waited for is not lost. IO is
 * cancelled in the kernel; if it was done nevertheless the call returns its result.
 * With the module, a system call that the fiber is blocked in returns EINTR, if it
 * can be interrupted; but one that it enters just then may be missed: repeat
 * uf_cancel() until the fiber has ended. Nothing is undone and nothing unwound:
 * the fiber itself returns, by way of its errors.
 *
 * Context: any; never switches. Returns 0.
 */
int uf_cancel(struct uf_fiber *fiber);

/**
 * uf_cancelled - has the calling fiber been cancelled?
 *
 * For loops that wait for nothing. Context: any. Returns whether; false for a plain
 * thread.
 */
bool uf_cancelled(void);

/**
 * uf_shield - protect the calling fiber's waits from cancels and scopes' deadlines
 * @on: true to begin with that, false to end it; nests.
 *
 * For what must be done at the end although the fiber has been cancelled. Fiber
 * only; never switches. Returns 0, -EPERM, -EINVAL (ended more often than begun).
 */
int uf_shield(bool on);

/**
 * struct uf_scope - an owner of fibers
 *
 * No fiber outlives the scope that it was made in. Lives where its owner wants,
 * such as on the stack. Fields are private. (The idea is structured concurrency:
 * libdill's bundles, Trio's nurseries.)
 */
struct uf_scope {
	struct uf_scope *outer;
	struct uf_fiber *owner;
	uint64_t deadline;
	uint32_t guard;
	int error;
	bool cancelled;
	bool closing;
	size_t nr_children;
	struct uf_fiber *children;
	struct uf_waitq closer;
};

/**
 * uf_scope_open - begin a scope
 * @scope: room for it.
 * @deadline: until then the calling fiber, and fibers of the scope, may wait: each
 *	of their waits ends with -ETIMEDOUT at the latest then. Or UF_FOREVER. An
 *	outer scope's deadline holds, too.
 *
 * Scopes of a fiber nest: the last one opened is the first to be closed. Fiber
 * only; never switches. Returns 0 or -EPERM.
 */
int uf_scope_open(struct uf_scope *scope, uint64_t deadline);

/**
 * uf_scope_spawn - make a fiber that a scope owns
 * @scope: the scope.
 * @attr: its attributes, or NULL; UF_PARKED and UF_DETACHED are not for it.
 * @start: what it runs; @arg: its argument. If it returns other than 0, it is the
 *	scope's error, and the other fibers of the scope are cancelled; but that it
 *	was cancelled with the scope (-ECANCELED) is none.
 *
 * If the scope has been cancelled, so is the fiber from its start. Context: the
 * scope's owner or a fiber of the scope; does not switch. Returns 0, -EINVAL,
 * -ENOMEM, -EPERM.
 */
int uf_scope_spawn(struct uf_scope *scope, const struct uf_attr *attr,
		   int (*start)(void *arg), void *arg);

/**
 * uf_scope_cancel - cancel all fibers of a scope, and those to come
 * @scope: the scope. Its owner is not cancelled.
 *
 * Context: any fiber that knows the scope to be open; never switches. Returns 0.
 */
int uf_scope_cancel(struct uf_scope *scope);

/**
 * uf_scope_close - wait for all fibers of a scope, and end it
 * @scope: the calling fiber's last scope.
 *
 * If the caller is cancelled, or the scope's deadline comes, its fibers are
 * cancelled, and waited for nevertheless. Fiber only; may switch.
 *
 * Returns the first error of its fibers, or 0; -ECANCELED if the caller was
 * cancelled and -ETIMEDOUT if it was the deadline, unless a fiber failed before;
 * -EPERM, -EINVAL (not its last one).
 */
int uf_scope_close(struct uf_scope *scope);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_SCOPE_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Scheduling policies of the user's. The conventions are told in ufiber.h. */
#ifndef UFIBER_POLICY_H
#define UFIBER_POLICY_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum uf_why - what has made a fiber ready
 * @UF_WHY_CREATED: it is new, has been started, or moves to another server.
 * @UF_WHY_WOKEN: somebody has ended its wait.
 * @UF_WHY_IO: IO or a time that it waited for.
 * @UF_WHY_YIELDED: it has yielded.
 */
enum uf_why {
	UF_WHY_CREATED,
	UF_WHY_WOKEN,
	UF_WHY_IO,
	UF_WHY_YIELDED,
};

/**
 * struct uf_place - where a policy is called
 * @shared: the policy's memory for the whole runtime.
 * @server: its memory for this server; NULL if a thread calls that holds none.
 * @number: the server's number, from 0; -1 if there is none.
 * @nr_servers: how many there are.
 * @of_server: the memory for each server.
 */
struct uf_place {
	void *shared;
	void *server;
	int number;
	unsigned int nr_servers;
	void *const *of_server;
};

/**
 * struct uf_policy - which of the ready fibers runs next
 * @size: sizeof(struct uf_policy).
 * @name: for people.
 * @shared_size: bytes of memory for the whole runtime, zero at first.
 * @server_size: bytes for each server, zero at first.
 * @setup: called before the first fiber, or NULL. A negative errno makes
 *	uf_runtime_create() fail with it.
 * @ready: the fiber can run: keep it until @pick gives it away. Called by any
 *	thread, @place->server is NULL then, or by a server's holder.
 * @pick: the fiber that the server shall run next, or NULL: none. One that is
 *	pinned (uf_pinned_to()) may be given to its server only.
 * @has_work: whether @pick would find one; asked before a server sleeps. It must
 *	be true if a call of @ready that has returned before left one for this server.
 *	With @place->server NULL: whether there is one that any server could run.
 * @blocked: the fiber that the server ran, of that identity (uf_id()), blocks in
 *	the kernel, and the server has passed to another thread. It may be back by
 *	now. Or NULL.
 * @unblocked: it came back with a server; told when it next switches. Or NULL.
 * @preempted: it was preempted, and runs again later, without @ready. Or NULL.
 * @idle: the server is about to sleep; or NULL.
 * @tick: every 32 fibers that the server has run; or NULL.
 *
 * All are called in the library's critical section: they must not block, switch,
 * allocate, print, or call anything of this library but what policy.h has. Servers
 * call them at the same time: what they share they must lock.
 *
 * Without one the runtime steals work, as Documentation/design.rst tells; that is
 * built in and costs no call by pointer.
 */
struct uf_policy {
	size_t size;
	const char *name;
	size_t shared_size;
	size_t server_size;
	int (*setup)(const struct uf_place *place);
	void (*ready)(const struct uf_place *place, struct uf_fiber *fiber,
		      enum uf_why why);
	struct uf_fiber *(*pick)(const struct uf_place *place);
	bool (*has_work)(const struct uf_place *place);
	void (*blocked)(const struct uf_place *place, uint64_t id);
	void (*unblocked)(const struct uf_place *place, uint64_t id);
	void (*preempted)(const struct uf_place *place, uint64_t id);
	void (*idle)(const struct uf_place *place);
	void (*tick)(const struct uf_place *place);
};

/**
 * struct uf_policy_words - what a policy keeps with each fiber
 * @next: a link, for its queues.
 * @prev: another.
 * @value: for whatever; zero when the fiber is made, or set by uf_policy_set().
 *
 * The library touches none of it but for that.
 */
struct uf_policy_words {
	struct uf_fiber *next;
	struct uf_fiber *prev;
	uint64_t value[2];
};

/**
 * uf_policy_words - a fiber's words
 * @fiber: the fiber.
 *
 * Context: in a policy, for a fiber that it was told of. Returns them.
 */
struct uf_policy_words *uf_policy_words(struct uf_fiber *fiber);

/**
 * uf_policy_set - tell the policy something of the calling fiber
 * @index: of @value in struct uf_policy_words, 0 or 1.
 * @value: what.
 *
 * Such as its deadline. It is read when the fiber is next made ready. Fiber only;
 * never switches. Returns 0, -EINVAL, -EPERM.
 */
int uf_policy_set(unsigned int index, uint64_t value);

/**
 * uf_pinned_to - the server that a fiber is pinned to
 * @fiber: the fiber.
 *
 * Returns its number, or -1. Context: in a policy.
 */
int uf_pinned_to(const struct uf_fiber *fiber);

/**
 * uf_policy_lock - take a lock, for a few instructions
 * @lock: the lock, 0 when free; in the policy's memory.
 *
 * Context: in a policy. Spins.
 */
void uf_policy_lock(uint32_t *lock);

/**
 * uf_policy_unlock - release it
 * @lock: the lock.
 *
 * Context: in a policy.
 */
void uf_policy_unlock(uint32_t *lock);

/* Ready policies. */

/**
 * uf_policy_fifo - one queue for all servers, first come first served
 *
 * Fair to the letter, and all servers meet at its lock. Pinned fibers have queues of
 * their own.
 */
extern const struct uf_policy uf_policy_fifo;

/**
 * uf_policy_edf - one queue for all servers, the earliest deadline first
 *
 * A fiber's deadline is its value 0 (uf_policy_set()), in nanoseconds of
 * CLOCK_MONOTONIC; 0 stands for none, and goes behind all others.
 */
extern const struct uf_policy uf_policy_edf;

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_POLICY_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A fiber's life: creation, end, and the joining of both. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "debug.h"
#include "park.h"
#include "stack.h"
#include "wait.h"

/*
 * The end of a fiber is told while it is still on its stack, so that who joins it
 * is ready by the time of its last switch, and that goes straight there. Whoever
 * then finds it ended and frees it has to await that switch; see on_cpu in
 * sched.c. That is short, and the one who ends waits for nobody meanwhile but
 * until the joiner, which it wakes before, has been switched away from.
 */
static void free_ended(struct uf_thread *t, struct uf_fiber *fiber)
{
	if (unlikely(smp_load_acquire(&fiber->on_cpu)))
		uf_spin_until_zero(&fiber->on_cpu);
	uf_stack_free(t, fiber);
}

/* Tell whoever wants to know. Returns whether nobody does. */
static bool publish_end(struct uf_thread *t, struct uf_fiber *self)
{
	struct uf_waiter *joiner;
	bool detached;

	uf_spin_lock(&self->guard);
	WRITE_ONCE(self->ended, true);
	detached = self->detached;
	joiner = uf_waitq_claim(&self->joiners);
	uf_spin_unlock(&self->guard);
	if (joiner)
		uf_wait_wake(t, joiner->wait);
	return detached;
}

/* Nobody else frees it, and it has been switched away from for the last time. */
static void be_over(struct uf_thread *t, struct uf_fiber *fiber)
{
	if (fiber->owner)
		uf_scope_child_ends(t, fiber);
	else
		uf_stack_free(t, fiber);
	uf_runtime_fiber_ended(t->rt);
}

static void end(struct uf_thread *t, struct uf_fiber *self)
{
	/* First, so that who joins it finds it gone. */
	uf_count(uf_server(t)->ended);
	if (unlikely(self->owner) || publish_end(t, self))
		t->after = be_over;
	else
		uf_runtime_fiber_ended(t->rt);
}

static __attribute__((noreturn, cold)) void not_a_fiber(void)
{
	fputs(uf_forks ?
		      "ufiber: a fiber has ended in the child of a fork(): there call exec or _exit()\n" :
		      "ufiber: uf_exit() called outside a fiber\n",
	      stderr);
	abort();
}

static inline struct uf_thread *prepare_exit(struct uf_fiber *self, void *value)
{
	struct uf_thread *t;

	self->value = value;
	uf_run_cleanups(self);
	uf_locals_destroy(self);
	t = uf_enter();
	if (unlikely(!t))
		not_a_fiber();
	end(t, self);
	uf_san_ends(&self->ctx.san);
	return t;
}

void uf_exit(void *value)
{
	struct uf_fiber *self = uf_self();

	if (!self)
		not_a_fiber();
	uf_park_last(prepare_exit(self, value));
	__builtin_unreachable();
}

/* Every fiber starts here, on its own stack. */
void uf_fiber_main(void *pass, void *arg)
{
	struct uf_thread *t = pass;
	struct uf_fiber *self = arg;

	uf_san_arrive(&self->ctx.san);
	uf_arrive(t);
	uf_leave(t);
	/* A jump: as with uf_arch_start(), no call is left open. */
	uf_park_last(prepare_exit(self, self->start(self->arg)));
}

/* The guard is held, and released. */
static int wait_for_end(struct uf_thread **t, struct uf_fiber *fiber,
			uint64_t deadline)
{
	struct uf_waiter waiter;
	int error;

	fiber->joining = true;
	error = uf_wait_on(t, UF_WHAT("fiber", struct uf_fiber), &fiber->guard,
			   &fiber->joiners, &waiter, deadline);
	if (error) {
		uf_spin_lock(&fiber->guard);
		fiber->joining = false;
		uf_spin_unlock(&fiber->guard);
	}
	return error;
}

static int join(struct uf_thread **t, struct uf_fiber *fiber, uint64_t deadline)
{
	int error = 0;

	if (*t && fiber == (*t)->current)
		return -EDEADLK;
	uf_spin_lock(&fiber->guard);
	if (fiber->detached || fiber->joining)
		error = -EINVAL;
	else if (!fiber->ended)
		return wait_for_end(t, fiber, deadline);
	uf_spin_unlock(&fiber->guard);
	return error;
}

int uf_join_until(struct uf_fiber *fiber, void **value, uint64_t deadline)
{
	struct uf_thread *t;
	struct uf_runtime *rt;
	void *result = NULL;
	bool due = false;
	int error;

	UF_CHECK(FIBER, fiber);
	t = uf_enter();
	rt = fiber->rt;
	if (!t && uf_is_parents(rt))
		return -ECHILD;
	error = join(&t, fiber, deadline);
	if (!error) {
		result = fiber->value;
		free_ended(t, fiber);
		due = uf_stacks_due(t, rt);
	}
	uf_leave(t);
	if (unlikely(due))
		uf_stacks_trim(rt);
	if (!error && value)
		*value = result;
	return error;
}

int uf_join(struct uf_fiber *fiber, void **value)
{
	UF_CHECK(FIBER, fiber);
	return uf_join_until(fiber, value, UF_FOREVER);
}

int uf_detach(struct uf_fiber *fiber)
{
	struct uf_thread *t;
	struct uf_runtime *rt;
	bool due = false;
	bool ended = false;
	int error = 0;

	UF_CHECK(FIBER, fiber);
	t = uf_enter();
	rt = fiber->rt;
	if (!t && uf_is_parents(rt))
		return -ECHILD;
	uf_spin_lock(&fiber->guard);
	if (fiber->detached || fiber->joining) {
		error = -EINVAL;
	} else {
		fiber->detached = true;
		ended = fiber->ended;
	}
	uf_spin_unlock(&fiber->guard);
	if (ended) {
		free_ended(t, fiber);
		due = uf_stacks_due(t, rt);
	}
	uf_leave(t);
	if (unlikely(due))
		uf_stacks_trim(rt);
	return error;
}

struct uf_fiber *uf_self(void)
{
	struct uf_thread *t = uf_thread_self();

	return t ? t->current : NULL;
}

const char *uf_name(const struct uf_fiber *fiber)
{
	UF_CHECK_OR_NULL(FIBER, fiber);
	if (!fiber)
		fiber = uf_self();
	return fiber ? fiber->name : "";
}

uint64_t uf_id(const struct uf_fiber *fiber)
{
	UF_CHECK_OR_NULL(FIBER, fiber);
	if (!fiber)
		fiber = uf_self();
	return fiber ? fiber->id : 0;
}

/*
 * Read in the order in which a fiber leaves these states, but for its turns. Memory
 * where a fiber was may be asked about, too.
 */
enum uf_state uf_state_of(const struct uf_fiber *fiber)
{
	uint32_t on_cpu;

	if (smp_load_acquire(&fiber->ended))
		return UF_STATE_ENDED;
	if (smp_load_acquire(&fiber->parked))
		return UF_STATE_PARKED;
	on_cpu = READ_ONCE(fiber->on_cpu);
	if (on_cpu && on_cpu != UF_HELD)
		return UF_STATE_RUNNING;
	switch (smp_load_acquire(&fiber->wait.state)) {
	case UF_WAITING:
	case UF_WAITING_SHIELDED:
	case UF_WAIT_IO:
	case UF_WAIT_MUTEX:
		return UF_STATE_WAITING;
	case UF_WAITING_ALONE:
		return READ_ONCE(fiber->wait.claimed) ? UF_STATE_READY :
							UF_STATE_WAITING;
	default:
		return UF_STATE_READY;
	}
}

enum uf_state uf_state(const struct uf_fiber *fiber)
{
	UF_CHECK(FIBER, fiber);
	return uf_state_of(fiber);
}

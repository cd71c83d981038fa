// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A fiber's life: creation, end, and the joining of both. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "futex.h"
#include "internal.h"

/* What the end of a fiber in @state makes of it. */
static uint32_t state_after_end(uint32_t state)
{
	switch (state) {
	case UF_FIBER_RUNNING:
		return UF_FIBER_ENDED;
	case UF_FIBER_DETACHED:
		return UF_FIBER_DETACHED;
	default:
		return UF_FIBER_CLAIMED;
	}
}

/*
 * Tell whoever wants to know that the fiber has ended. It may be gone as soon
 * as the state has changed, unless it is ours, or its joiner waits for us.
 */
static void publish_end(struct uf_thread *t, struct uf_fiber *fiber)
{
	uint32_t state = smp_load_acquire(&fiber->state);
	uint32_t old;

	while ((old = cmpxchg(&fiber->state, state, state_after_end(state))) !=
	       state)
		state = old;
	if (state == UF_FIBER_DETACHED)
		uf_stack_free(fiber);
	else if (state == UF_FIBER_JOINED_FIBER)
		uf_ready(t, fiber->joiner, UF_WOKEN_BY_FIBER);
	else if (state == UF_FIBER_JOINED_THREAD)
		uf_futex_wake(&fiber->state);
}

static void finish_exit(struct uf_thread *t, struct uf_fiber *prev, void *arg)
{
	(void)arg;
	/* First, so that who joins it finds it gone. */
	uf_count(uf_server(t)->ended);
	publish_end(t, prev);
	uf_runtime_fiber_ended(t->rt);
}

void uf_exit(void *value)
{
	struct uf_thread *t = uf_enter();

	if (!t) {
		fputs("ufiber: uf_exit() called outside a fiber\n", stderr);
		abort();
	}
	t->current->value = value;
	uf_san_ends(&t->current->ctx.san);
	uf_park(t, finish_exit, NULL);
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
	uf_exit(self->start(self->arg));
}

static int read_attr(struct uf_attr *out, const struct uf_attr *attr,
		     const struct uf_runtime *rt)
{
	*out = (struct uf_attr)UF_ATTR_INIT;
	if (attr) {
		if (attr->size != sizeof(*attr))
			return -EINVAL;
		*out = *attr;
	}
	if (!out->stack_size)
		out->stack_size = rt->stack_size;
	if (out->stack_size < UF_STACK_MIN || out->flags & ~UF_DETACHED)
		return -EINVAL;
	return 0;
}

static struct uf_fiber *make(struct uf_runtime *rt, const struct uf_attr *attr,
			     void *(*start)(void *), void *arg)
{
	struct uf_fiber *fiber = uf_stack_alloc(rt, attr->stack_size);

	if (!fiber)
		return NULL;
	fiber->rt = rt;
	fiber->queue = NULL;
	fiber->priority = UF_PRIORITIES / 2;
	fiber->server = UFIBER_NONE;
	fiber->state = attr->flags & UF_DETACHED ? UF_FIBER_DETACHED :
						   UF_FIBER_RUNNING;
	fiber->start = start;
	fiber->arg = arg;
	fiber->name[0] = '\0';
	if (attr->name)
		strncat(fiber->name, attr->name, UF_NAME_MAX - 1);
	fiber->ctx.sp = uf_arch_prepare(fiber, uf_fiber_main, fiber);
	return fiber;
}

static void count_created(struct uf_thread *t, struct uf_runtime *rt)
{
	if (t && t->rt == rt)
		uf_count(uf_server(t)->created);
	else
		fetch_add(&rt->created, 1);
}

int uf_create(struct uf_runtime *rt, struct uf_fiber **fiber,
	      const struct uf_attr *attr, void *(*start)(void *), void *arg)
{
	struct uf_thread *t = uf_thread_self();
	struct uf_attr values;
	struct uf_fiber *new;
	int error;

	if (!rt && !t)
		return -EPERM;
	if (!rt)
		rt = t->rt;
	error = read_attr(&values, attr, rt);
	if (error)
		return error;
	if (!start || (!fiber && !(values.flags & UF_DETACHED)))
		return -EINVAL;
	new = make(rt, &values, start, arg);
	if (!new)
		return -ENOMEM;
	if (fiber)
		*fiber = new;

	t = uf_enter();
	count_created(t, rt);
	uf_ready(t, new, UF_CREATED);
	uf_leave(t);
	return 0;
}

/* The joiner has been switched away from; unless the end came first, wait. */
static void finish_join(struct uf_thread *t, struct uf_fiber *prev, void *arg)
{
	struct uf_fiber *fiber = arg;

	if (cmpxchg(&fiber->state, UF_FIBER_JOINING, UF_FIBER_JOINED_FIBER) !=
	    UF_FIBER_JOINING)
		uf_ready(t, prev, UF_WOKEN_BY_FIBER);
}

/*
 * Take the right to free the fiber: now, if it has ended, or at its end, when
 * it shall be told as @join says. Returns the state before, which is RUNNING or
 * ENDED, or any other if somebody else has that right.
 */
static uint32_t claim_end(struct uf_fiber *fiber, uint32_t join)
{
	uint32_t state = cmpxchg(&fiber->state, UF_FIBER_RUNNING, join);

	if (state == UF_FIBER_ENDED)
		state = cmpxchg(&fiber->state, UF_FIBER_ENDED, UF_FIBER_CLAIMED);
	return state;
}

static int join_as_fiber(struct uf_thread **t, struct uf_fiber *fiber)
{
	if (fiber == (*t)->current)
		return -EDEADLK;
	switch (claim_end(fiber, UF_FIBER_JOINING)) {
	case UF_FIBER_RUNNING:
		fiber->joiner = (*t)->current;
		*t = uf_park(*t, finish_join, fiber);
		return 0;
	case UF_FIBER_ENDED:
		return 0;
	default:
		return -EINVAL;
	}
}

static int join_as_thread(struct uf_fiber *fiber)
{
	switch (claim_end(fiber, UF_FIBER_JOINED_THREAD)) {
	case UF_FIBER_RUNNING:
		while (smp_load_acquire(&fiber->state) != UF_FIBER_CLAIMED)
			uf_futex_wait(&fiber->state, UF_FIBER_JOINED_THREAD);
		return 0;
	case UF_FIBER_ENDED:
		return 0;
	default:
		return -EINVAL;
	}
}

int uf_join(struct uf_fiber *fiber, void **value)
{
	struct uf_thread *t = uf_enter();
	void *result = NULL;
	int error;

	error = t ? join_as_fiber(&t, fiber) : join_as_thread(fiber);
	if (!error) {
		result = fiber->value;
		uf_stack_free(fiber);
	}
	uf_leave(t);
	if (!error && value)
		*value = result;
	return error;
}

int uf_detach(struct uf_fiber *fiber)
{
	struct uf_thread *t = uf_enter();
	int error = 0;

	switch (claim_end(fiber, UF_FIBER_DETACHED)) {
	case UF_FIBER_RUNNING:
		break;
	case UF_FIBER_ENDED:
		uf_stack_free(fiber);
		break;
	default:
		error = -EINVAL;
	}
	uf_leave(t);
	return error;
}

struct uf_fiber *uf_self(void)
{
	struct uf_thread *t = uf_thread_self();

	return t ? t->current : NULL;
}

const char *uf_name(const struct uf_fiber *fiber)
{
	if (!fiber)
		fiber = uf_self();
	return fiber ? fiber->name : "";
}

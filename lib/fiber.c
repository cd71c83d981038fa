// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A fiber's life: creation, end, and the joining of both. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wait.h"

/* Tell whoever wants to know. It may be gone as soon as the guard is released. */
static void publish_end(struct uf_thread *t, struct uf_fiber *fiber)
{
	struct uf_waiter *joiner;
	bool detached;

	uf_spin_lock(&fiber->guard);
	fiber->ended = true;
	detached = fiber->detached;
	joiner = uf_waitq_claim(&fiber->joiners);
	uf_spin_unlock(&fiber->guard);
	if (detached)
		uf_stack_free(fiber);
	else if (joiner)
		uf_wait_wake(t, joiner->wait);
}

/* The fiber has been switched away from for the last time. */
void uf_fiber_is_over(struct uf_thread *t, struct uf_fiber *fiber)
{
	t->prev_ends = false;
	/* First, so that who joins it finds it gone. */
	uf_count(uf_server(t)->ended);
	publish_end(t, fiber);
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
	t->prev_ends = true;
	uf_san_ends(&t->current->ctx.san);
	uf_park(t);
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
	fiber->on_cpu = 0;
	fiber->guard = 0;
	fiber->ended = false;
	fiber->detached = attr->flags & UF_DETACHED;
	fiber->joining = false;
	fiber->joiners = (struct uf_waitq){ 0 };
	fiber->wait.state = UF_WAIT_NONE;
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

/* The guard is held, and released. */
static int wait_for_end(struct uf_thread **t, struct uf_fiber *fiber,
			uint64_t deadline)
{
	struct uf_waiter waiter;
	int error;

	fiber->joining = true;
	error = uf_wait_on(t, &fiber->guard, &fiber->joiners, &waiter, deadline);
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
	struct uf_thread *t = uf_enter();
	void *result = NULL;
	int error;

	error = join(&t, fiber, deadline);
	if (!error) {
		result = fiber->value;
		uf_stack_free(fiber);
	}
	uf_leave(t);
	if (!error && value)
		*value = result;
	return error;
}

int uf_join(struct uf_fiber *fiber, void **value)
{
	return uf_join_until(fiber, value, UF_FOREVER);
}

int uf_detach(struct uf_fiber *fiber)
{
	struct uf_thread *t = uf_enter();
	bool ended = false;
	int error = 0;

	uf_spin_lock(&fiber->guard);
	if (fiber->detached || fiber->joining) {
		error = -EINVAL;
	} else {
		fiber->detached = true;
		ended = fiber->ended;
	}
	uf_spin_unlock(&fiber->guard);
	if (ended)
		uf_stack_free(fiber);
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

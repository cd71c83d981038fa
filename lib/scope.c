// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Scopes: owners of fibers. */
#include <errno.h>

#include "stack.h"
#include "wait.h"

/* How often to ask again those that were cancelled and have not ended. */
#define UF_CANCEL_AGAIN_NS 10000000

int uf_scope_open(struct uf_scope *scope, uint64_t deadline)
{
	struct uf_fiber *self = uf_self();

	UF_CHECK_GIVEN(scope);
	if (!self)
		return -EPERM;
	*scope = (struct uf_scope){
		.outer = self->scope,
		.owner = self,
		.deadline = self->scope && self->scope->deadline < deadline ?
				    self->scope->deadline :
				    deadline,
	};
	self->scope = scope;
	uf_check_born(UF_KIND_SCOPE, scope);
	return 0;
}

/* The guard is held. */
static void cancel_children(struct uf_thread *t, struct uf_scope *scope)
{
	struct uf_fiber *child;

	scope->cancelled = true;
	for (child = scope->children; child; child = child->sibling)
		uf_cancel_fiber(t, child);
}

static void adopt(struct uf_scope *scope, struct uf_fiber *child)
{
	child->owner = scope;
	child->scope = scope;
	child->sibling = scope->children;
	child->sibling_link = &scope->children;
	if (child->sibling)
		child->sibling->sibling_link = &child->sibling;
	scope->children = child;
	scope->nr_children++;
}

/* It has been switched away from for the last time; nobody joins it. */
void uf_scope_child_ends(struct uf_thread *t, struct uf_fiber *child)
{
	struct uf_scope *scope = child->owner;
	struct uf_waiter *closer = NULL;
	int error = (intptr_t)child->value;

	uf_spin_lock(&scope->guard);
	*child->sibling_link = child->sibling;
	if (child->sibling)
		child->sibling->sibling_link = child->sibling_link;
	/* That it was cancelled is no error of its own. */
	if (error == -ECANCELED && scope->cancelled)
		error = 0;
	if (error && !scope->error) {
		scope->error = error;
		cancel_children(t, scope);
	}
	if (!--scope->nr_children)
		closer = uf_waitq_claim(&scope->closer);
	uf_spin_unlock(&scope->guard);
	uf_stack_free(t, child);
	if (closer)
		uf_wait_wake(t, closer->wait);
}

/* A fiber of a scope starts here, in place of a start function of the user's. */
static void *run_child(void *arg)
{
	struct uf_fiber *self = uf_self();

	return (void *)(intptr_t)self->run(arg);
}

int uf_scope_spawn(struct uf_scope *scope, const struct uf_attr *attr,
		   int (*start)(void *arg), void *arg)
{
	struct uf_attr values = UF_ATTR_INIT;
	struct uf_fiber *child;
	struct uf_thread *t;
	int error;

	if (!uf_self())
		return -EPERM;
	UF_CHECK(SCOPE, scope);
	uf_check_in_scope(__func__, scope);
	if (attr && attr->size == sizeof(values))
		values = *attr;
	else if (attr)
		return -EINVAL;
	if (!start || values.flags & (UF_PARKED | UF_DETACHED))
		return -EINVAL;
	values.flags |= UF_PARKED;
	error = uf_create(NULL, &child, &values, run_child, arg);
	if (error)
		return error;
	child->run = start;

	t = uf_enter();
	uf_spin_lock(&scope->guard);
	adopt(scope, child);
	if (scope->cancelled)
		child->cancelled = 1;
	uf_spin_unlock(&scope->guard);
	uf_leave(t);
	return uf_start(child);
}

int uf_scope_cancel(struct uf_scope *scope)
{
	struct uf_thread *t;

	UF_CHECK(SCOPE, scope);
	t = uf_enter();
	uf_spin_lock(&scope->guard);
	cancel_children(t, scope);
	uf_spin_unlock(&scope->guard);
	uf_leave(t);
	return 0;
}

/* Wait until the last child has gone, or @deadline. The guard is held; released. */
static int wait_for_children(struct uf_thread **t, struct uf_scope *scope,
			     uint64_t deadline)
{
	struct uf_waiter waiter;

	if (scope->nr_children)
		return uf_wait_on(t, UF_WHAT("scope's fibers", struct uf_scope),
				  &scope->guard, &scope->closer, &waiter,
				  deadline);
	uf_spin_unlock(&scope->guard);
	return 0;
}

/* What ends this early is the caller's cancel, or a deadline; then end them all. */
static int outlive_children(struct uf_thread **t, struct uf_scope *scope)
{
	int why, error;

	uf_spin_lock(&scope->guard);
	why = wait_for_children(t, scope, UF_FOREVER);
	if (!why)
		return 0;
	(*t)->current->shields++;
	do {
		uf_spin_lock(&scope->guard);
		cancel_children(*t, scope);
		error = wait_for_children(t, scope,
					  uf_now() + UF_CANCEL_AGAIN_NS);
	} while (error);
	(*t)->current->shields--;
	return why;
}

int uf_scope_close(struct uf_scope *scope)
{
	struct uf_thread *t;
	struct uf_fiber *self;
	int why;

	UF_CHECK_GIVEN(scope);
	t = uf_enter();
	if (!t)
		return -EPERM;
	self = t->current;
	if (self->scope != scope || scope->owner != self) {
		uf_leave(t);
		return -EINVAL;
	}
	why = outlive_children(&t, scope);
	self->scope = scope->outer;
	uf_check_gone(scope, 0);
	uf_leave(t);
	return scope->error ? scope->error : why;
}

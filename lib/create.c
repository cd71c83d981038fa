// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The making of fibers. */
#include <errno.h>
#include <string.h>

#include "stack.h"
#include "wait.h"

#define UF_ATTR_FLAGS \
	(UF_DETACHED | UF_PINNED | UF_PARKED | UF_CLEAN_STACK | UF_FPENV)

/* Identities that a server takes at once. */
#define UF_IDS 256

static uint64_t next_ids = UF_IDS; /* of the process */

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
	if (out->stack_size < UF_STACK_MIN || out->flags & ~UF_ATTR_FLAGS)
		return -EINVAL;
	if (!uf_priority_is_valid(out->priority))
		return -EINVAL;
	if (out->flags & UF_PINNED ? out->server >= READ_ONCE(rt->nr_active) :
				     out->server)
		return -EINVAL;
	return 0;
}

static struct uf_fiber *make(struct uf_runtime *rt, const struct uf_attr *attr,
			     void *(*start)(void *), void *arg)
{
	struct uf_fiber *fiber = uf_stack_alloc(rt, attr->stack_size);

	if (!fiber)
		return NULL;
	if (attr->flags & UF_CLEAN_STACK)
		uf_stack_clean(fiber);
	fiber->rt = rt;
	fiber->queue = NULL;
	fiber->priority = uf_priority_level(attr->priority);
	fiber->server = attr->flags & UF_PINNED ? attr->server : UFIBER_NONE;
	fiber->on_cpu = 0;
	fiber->guard = 0;
	fiber->ended = false;
	fiber->detached = attr->flags & UF_DETACHED;
	fiber->parked = attr->flags & UF_PARKED;
	fiber->joining = false;
	fiber->has_fpenv = attr->flags & UF_FPENV;
	if (fiber->has_fpenv)
		uf_arch_fpenv_save(&fiber->fpenv);
	fiber->joiners = (struct uf_waitq){ 0 };
	fiber->wait.state = UF_WAIT_NONE;
	fiber->cancelled = READ_ONCE(rt->cancelled);
	fiber->shields = 0;
	fiber->scope = NULL;
	fiber->owner = NULL;
	fiber->words = (struct uf_policy_words){ 0 };
	fiber->cleanups = NULL;
	fiber->locals = NULL;
	fiber->start = start;
	fiber->arg = arg;
	fiber->name[0] = '\0';
	if (attr->name)
		strncat(fiber->name, attr->name, UF_NAME_MAX - 1);
	fiber->ctx.sp = uf_arch_prepare(fiber, uf_fiber_main, fiber);
	return fiber;
}

static uint64_t take_id(struct uf_server *s)
{
	if (s->next_id % UF_IDS == 0)
		s->next_id = fetch_add(&next_ids, UF_IDS);
	return ++s->next_id - UF_IDS;
}

/* From here on it counts. The calling thread is in the critical section, or NULL. */
static void be_born(struct uf_thread *t, struct uf_fiber *fiber)
{
	if (t && t->rt == fiber->rt) {
		fiber->id = take_id(uf_server(t));
		uf_count(uf_server(t)->created);
	} else {
		fiber->id = fetch_add(&next_ids, UF_IDS) + 1 - UF_IDS;
		fetch_add(&fiber->rt->created, 1);
	}
	if (!fiber->parked)
		uf_ready(t, fiber, UF_WHY_CREATED);
}

static int check(struct uf_runtime **rt, struct uf_attr *values,
		 const struct uf_attr *attr, void *(*start)(void *))
{
	struct uf_thread *t = uf_thread_self();

	if (!*rt && !t)
		return -EPERM;
	if (!*rt)
		*rt = t->rt;
	if ((!t || t->rt != *rt) && uf_runtime_refuses(*rt))
		return uf_runtime_refuses(*rt);
	return start ? read_attr(values, attr, *rt) : -EINVAL;
}

int uf_create(struct uf_runtime *rt, struct uf_fiber **fiber,
	      const struct uf_attr *attr, void *(*start)(void *), void *arg)
{
	struct uf_attr values;
	struct uf_fiber *new;
	struct uf_thread *t;
	int error;

	error = check(&rt, &values, attr, start);
	if (error)
		return error;
	if (!fiber && (values.flags & (UF_DETACHED | UF_PARKED)) != UF_DETACHED)
		return -EINVAL;
	new = make(rt, &values, start, arg);
	if (!new)
		return -ENOMEM;
	if (fiber)
		*fiber = new;
	t = uf_enter();
	be_born(t, new);
	uf_leave(t);
	return 0;
}

static void free_all(struct uf_fiber **fibers, size_t n)
{
	struct uf_thread *t = uf_enter();

	while (n--)
		uf_stack_free(t, fibers[n]);
	uf_leave(t);
}

int uf_create_many(struct uf_runtime *rt, struct uf_fiber **fibers, size_t n,
		   const struct uf_attr *attr, void *(*start)(void *),
		   void *const *args)
{
	struct uf_attr values;
	struct uf_thread *t;
	size_t i;
	int error;

	error = check(&rt, &values, attr, start);
	if (error)
		return error;
	for (i = 0; i < n; i++) {
		fibers[i] = make(rt, &values, start, args ? args[i] : NULL);
		if (!fibers[i]) {
			free_all(fibers, i);
			return -ENOMEM;
		}
	}
	t = uf_enter();
	for (i = 0; i < n; i++)
		be_born(t, fibers[i]);
	uf_leave(t);
	return 0;
}

int uf_start(struct uf_fiber *fiber)
{
	struct uf_thread *t;

	if (uf_is_parents(fiber->rt))
		return -ECHILD;
	if (!cmpxchg(&fiber->parked, true, false))
		return -EINVAL;
	t = uf_enter();
	uf_ready(t, fiber, UF_WHY_CREATED);
	uf_leave(t);
	return 0;
}

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

static const struct uf_attr plain = UF_ATTR_INIT;

static int check_attr(const struct uf_attr *attr, const struct uf_runtime *rt)
{
	if (attr->size != sizeof(*attr) || attr->flags & ~UF_ATTR_FLAGS ||
	    (attr->stack_size && attr->stack_size < UF_STACK_MIN) ||
	    !uf_priority_is_valid(attr->priority))
		return -EINVAL;
	if (attr->flags & UF_PINNED ? attr->server >= READ_ONCE(rt->nr_active) :
				      attr->server)
		return -EINVAL;
	return 0;
}

static inline size_t stack_size(const struct uf_runtime *rt,
				const struct uf_attr *attr)
{
	return attr->stack_size ? attr->stack_size : rt->stack_size;
}

/* Outside the critical section. */
static struct uf_fiber *alloc(struct uf_runtime *rt, const struct uf_attr *attr)
{
	struct uf_fiber *fiber = uf_stack_alloc(rt, stack_size(rt, attr));

	if (fiber && attr->flags & UF_CLEAN_STACK)
		uf_stack_clean(fiber);
	return fiber;
}

static inline void init(struct uf_fiber *fiber, struct uf_runtime *rt,
			const struct uf_attr *attr, void *(*start)(void *),
			void *arg)
{
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
	fiber->wait.fiber = fiber;
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
}

static inline uint64_t take_id(struct uf_server *s)
{
	if (s->next_id % UF_IDS == 0)
		s->next_id = fetch_add(&next_ids, UF_IDS);
	return ++s->next_id - UF_IDS;
}

/* From here on it counts. The calling thread is in the critical section, or NULL. */
static inline void be_born(struct uf_thread *t, struct uf_fiber *fiber)
{
	struct uf_server *s;
	uint64_t id;

	if (likely(t && t->rt == fiber->rt)) {
		s = uf_server(t);
		id = take_id(s);
		uf_count(s->created);
	} else {
		id = fetch_add(&next_ids, UF_IDS) + 1 - UF_IDS;
		fetch_add(&fiber->rt->created, 1);
	}
	/* From here on a dump finds it. */
	smp_store_release(&fiber->id, id);
	if (!fiber->parked)
		uf_ready(t, fiber, UF_WHY_CREATED);
}

static inline int check(struct uf_runtime **rt, const struct uf_attr **attr,
			void *(*start)(void *))
{
	struct uf_thread *t = uf_thread_self();

	if (!*rt && !t)
		return -EPERM;
	if (!*rt)
		*rt = t->rt;
	if ((!t || t->rt != *rt) && uf_runtime_refuses(*rt))
		return uf_runtime_refuses(*rt);
	if (unlikely(!start))
		return -EINVAL;
	if (likely(!*attr)) {
		*attr = &plain;
		return 0;
	}
	return check_attr(*attr, *rt);
}

int uf_create(struct uf_runtime *rt, struct uf_fiber **fiber,
	      const struct uf_attr *attr, void *(*start)(void *), void *arg)
{
	struct uf_fiber *new = NULL;
	struct uf_thread *t;
	bool due;
	int error;

	UF_CHECK_OR_NULL(RUNTIME, rt);
	error = check(&rt, &attr, start);
	if (error)
		return error;
	if (!fiber && (attr->flags & (UF_DETACHED | UF_PARKED)) != UF_DETACHED)
		return -EINVAL;
	t = uf_enter();
	if (likely(!(attr->flags & UF_CLEAN_STACK)))
		new = uf_stack_take_warm(t, rt, stack_size(rt, attr));
	if (unlikely(!new)) {
		uf_leave(t);
		new = alloc(rt, attr);
		if (!new)
			return -ENOMEM;
		t = uf_enter();
	}
	init(new, rt, attr, start, arg);
	if (fiber)
		*fiber = new;
	be_born(t, new);
	/* Another runtime may be gone by now. */
	due = t && t->rt == rt && uf_stacks_due(t, rt);
	uf_leave(t);
	if (unlikely(due))
		uf_stacks_trim(rt);
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
	struct uf_thread *t;
	size_t i;
	int error;

	UF_CHECK_OR_NULL(RUNTIME, rt);
	if (n)
		UF_CHECK_GIVEN(fibers);
	error = check(&rt, &attr, start);
	if (error)
		return error;
	for (i = 0; i < n; i++) {
		fibers[i] = alloc(rt, attr);
		if (!fibers[i]) {
			free_all(fibers, i);
			return -ENOMEM;
		}
		init(fibers[i], rt, attr, start, args ? args[i] : NULL);
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

	UF_CHECK(FIBER, fiber);
	if (uf_is_parents(fiber->rt))
		return -ECHILD;
	if (!cmpxchg(&fiber->parked, true, false))
		return -EINVAL;
	t = uf_enter();
	uf_ready(t, fiber, UF_WHY_CREATED);
	uf_leave(t);
	return 0;
}

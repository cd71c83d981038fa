// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Inboxes are stacks: who puts a fiber there swaps the head, who empties one
 * takes the whole. So there is no ABA, and several may empty one at a time: the
 * server's holder and, but for pinned fibers, thieves.
 */
#include "inbox.h"

#include "runq.h"

static void push(struct uf_fiber **inbox, struct uf_fiber *fiber)
{
	struct uf_fiber *old = READ_ONCE(*inbox), *head;

	do {
		head = old;
		fiber->next = head;
		old = cmpxchg(inbox, head, fiber);
	} while (old != head);
}

/* All of it, the first that came first, each with its class. */
static struct uf_fiber *take_all(struct uf_fiber **inbox)
{
	struct uf_fiber *fiber, *next, *chain = NULL;

	if (!READ_ONCE(*inbox))
		return NULL;
	for (fiber = xchg(inbox, NULL); fiber; fiber = next) {
		next = fiber->next;
		fiber->class = uf_runq_class(fiber, false);
		fiber->next = chain;
		chain = fiber;
	}
	return chain;
}

static void put(struct uf_runtime *rt, struct uf_thread *t,
		struct uf_fiber *fiber)
{
	uint32_t server = fiber->server;
	struct uf_server *s;

	if (server != UFIBER_NONE) {
		s = &rt->servers[server];
		push(&s->pinned_inbox, fiber);
		uf_wake(rt, t, s);
	} else {
		s = &rt->servers[fetch_add(&rt->inject, 1) %
				 READ_ONCE(rt->nr_active)];
		push(&s->inbox, fiber);
		if (unlikely(READ_ONCE(s->retired))) /* just now */
			uf_wake(rt, t, s);
		else
			uf_kick(rt, t, s);
	}
}

/**
 * uf_inbox_put - make a fiber ready from where its server is not held
 * @rt: its runtime.
 * @t: the calling thread, in the critical section, if it holds a server of @rt.
 * @fiber: the fiber: pinned to another server, or the caller holds none.
 *
 * In the child of a fork it is the copy of a fiber, which nobody runs.
 *
 * The fiber can run and end at once, and the runtime be destroyed; unless the
 * caller is a fiber of it, a reference keeps it until we are done with it.
 */
void uf_inbox_put(struct uf_runtime *rt, struct uf_thread *t,
		  struct uf_fiber *fiber)
{
	if (t) {
		put(rt, t, fiber);
		return;
	}
	if (uf_is_parents(rt))
		return;
	uf_runtime_get(rt);
	put(rt, NULL, fiber);
	uf_runtime_put(rt);
}

void uf_inbox_sort(struct uf_server *s)
{
	uf_runq_append_chain(&s->runq, take_all(&s->pinned_inbox));
	uf_runq_append_chain(&s->runq, take_all(&s->inbox));
}

/* Take what any server may run. Returns how many fibers there were. */
unsigned int uf_inbox_steal(struct uf_server *victim, struct uf_server *s)
{
	if (!READ_ONCE(victim->inbox))
		return 0;
	return uf_runq_append_chain(&s->runq, take_all(&victim->inbox));
}

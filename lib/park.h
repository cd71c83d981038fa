/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The switch from one fiber to the next. It is inline, so that what waits often
 * (wait.c) and the scheduler (sched.c) save their registers but once.
 */
#ifndef UF_PARK_H
#define UF_PARK_H

#include "inbox.h"
#include "runq.h"

/* Fibers run between two looks at the ring and the timers. */
#define UF_CHORES_EVERY 32

/* sched.c */
void uf_chores_are_due(struct uf_thread *t);
struct uf_fiber *uf_take_by_policy(struct uf_thread *t, struct uf_server *s);
void uf_do_after(struct uf_thread *t, struct uf_fiber *prev);

static inline struct uf_thread *uf_switch_context(struct uf_thread *t,
						  struct uf_context *from,
						  struct uf_context *to)
{
	uf_san_leave(&from->san, &to->san);
	t = uf_arch_switch_inline(&from->sp, to->sp, t);
	uf_san_arrive(&from->san);
	return t;
}

/*
 * Who parks makes itself findable first, so it can be woken before it has been
 * switched away from and its registers are saved. Until then it is marked, and
 * who wakes it waits:
 *
 *	who runs next after it (uf_end_switch)	who wakes it (uf_ready)
 *	its registers have been saved		wait until on_cpu is 0 (acquire)
 *	on_cpu = 0 (release)			put it in a queue, for all
 *
 * That is short, as who is about to park wakes nobody meanwhile; and there is no
 * deadlock, for the same reason. A fiber that yields stands in its queue so
 * marked; thieves leave it there. (As p->on_cpu in the kernel's scheduler.)
 * Its end, or that it moves to another server, is told after that, too.
 */
static inline void uf_end_switch(struct uf_thread *t)
{
	struct uf_fiber *prev = t->prev;

	if (unlikely(!prev))
		return;
	smp_store_release(&prev->on_cpu, 0);
	if (unlikely(t->after))
		uf_do_after(t, prev);
}

/* What a fiber that has just been switched to owes the one before. */
static inline void uf_arrive(struct uf_thread *t)
{
	uf_end_switch(t);
	uf_fpenv_arrive(t, t->current);
	if (unlikely(t->chores))
		uf_chores_are_due(t);
}

/* One more fiber runs. */
static inline void uf_count_switch(struct uf_thread *t, struct uf_server *s)
{
	uint64_t switches = s->switches + 1;

	WRITE_ONCE(s->switches, switches);
	if (unlikely(switches % UF_CHORES_EVERY == 0))
		t->chores = true;
}

/* Something that only the base context does: offer the server, call back. */
static inline bool uf_base_is_needed(const struct uf_thread *t,
				     const struct uf_server *s)
{
	return READ_ONCE(t->rt->shared_domain->nr_runnable) ||
	       READ_ONCE(s->sleep) != UF_AWAKE;
}

/* Switch from the calling fiber to @next, or to the base context if NULL. */
static inline struct uf_thread *
uf_switch_to(struct uf_thread *t, struct uf_server *s, struct uf_fiber *next)
{
	struct uf_fiber *self = t->current;
	struct uf_context *to = &t->base;

	uf_fpenv_leave(t, self);
	t->prev = self;
	t->current = next;
	if (likely(next)) {
		uf_count_switch(t, s);
		WRITE_ONCE(next->on_cpu, t->number);
		to = &next->ctx;
	}
	t = uf_switch_context(t, &self->ctx, to);
	uf_arrive(t);
	return t;
}

/* The next fiber of this server, or NULL; no policy is asked. */
static __always_inline struct uf_fiber *uf_take(struct uf_server *s)
{
	struct uf_fiber *fiber;

	uf_inbox_empty(s);
	uf_bias_lock(&s->runq.lock);
	fiber = uf_runq_take(&s->runq);
	uf_bias_unlock(&s->runq.lock);
	return fiber;
}

/* See uf_park(). */
static __always_inline struct uf_thread *uf_park_inline(struct uf_thread *t)
{
	struct uf_wait *wait = &t->current->wait;
	struct uf_server *s = uf_server(t);
	struct uf_fiber *next = NULL;

	WRITE_ONCE(wait->since, s->clock);
	WRITE_ONCE(wait->server, s);
	if (unlikely(t->rt->policy))
		next = uf_take_by_policy(t, s);
	else if (likely(!uf_base_is_needed(t, s)))
		next = uf_take(s);
	return uf_switch_to(t, s, next);
}

#endif /* UF_PARK_H */

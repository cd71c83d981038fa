// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Who runs next. A fiber that parks switches straight to the next in its
 * server's queue; to the thread's base context only when there is none, or when
 * something else than running a fiber is to be done.
 */
#include "runq.h"

/* Fibers run between two looks at the ring and the timers. */
#define UF_CHORES_EVERY 32

/* Any fiber that this makes ready has been switched away from. */
static void do_chores(struct uf_thread *t, struct uf_server *s)
{
	uf_timers_run(t, s);
	uf_ring_submit(s);
	uf_ring_reap(t, s);
}

static void chores_when_due(struct uf_thread *t, struct uf_server *s)
{
	if (unlikely(++s->picks % UF_CHORES_EVERY == 0))
		do_chores(t, s);
}

static inline struct uf_thread *switch_context(struct uf_thread *t,
					       struct uf_context *from,
					       struct uf_context *to)
{
	uf_san_leave(&from->san, &to->san);
	t = uf_arch_switch(&from->sp, to->sp, t);
	uf_san_arrive(&from->san);
	return t;
}

static inline void finish_switch(struct uf_thread *t)
{
	if (t->finish.fn)
		t->finish.fn(t, t->finish.prev, t->finish.arg);
}

/* What a fiber that has just been switched to owes the one before. */
void uf_arrive(struct uf_thread *t)
{
	struct uf_server *s;

	finish_switch(t);
	s = uf_server(t);
	uf_count(s->switches);
	chores_when_due(t, s);
}

/* Something that only the base context does: offer the server, call back. */
static inline bool base_is_needed(const struct uf_thread *t,
				  const struct uf_server *s)
{
	return READ_ONCE(t->rt->shared_domain->nr_runnable) ||
	       READ_ONCE(s->sleep) != UF_AWAKE;
}

/* Switch from the calling fiber to @next, or to the base context if NULL. */
static inline struct uf_thread *switch_to(struct uf_thread *t,
					  struct uf_fiber *next,
					  uf_finish_fn *finish, void *arg)
{
	struct uf_fiber *self = t->current;

	t->finish = (struct uf_finish){ finish, self, arg };
	t->current = next;
	t = switch_context(t, &self->ctx, next ? &next->ctx : &t->base);
	uf_arrive(t);
	return t;
}

/**
 * uf_park - switch away from the calling fiber
 * @t: the calling thread, in the critical section.
 * @finish: what makes the fiber findable for who is to wake it, called when it
 *	has been switched away from; NULL if only this server's holder can, from
 *	its ring or its timers.
 * @arg: for @finish.
 *
 * Returns when somebody has called uf_ready() for the fiber: the thread that it
 * then is on, in the critical section.
 */
struct uf_thread *uf_park(struct uf_thread *t, uf_finish_fn *finish, void *arg)
{
	struct uf_server *s = uf_server(t);
	struct uf_fiber *next = NULL;

	if (likely(!base_is_needed(t, s)))
		next = uf_runq_pop(&s->runq);
	return switch_to(t, next, finish, arg);
}

/* The finish action of who parks with a spin lock held: release it. */
void uf_finish_unlock(struct uf_thread *t, struct uf_fiber *prev, void *lock)
{
	(void)t, (void)prev;
	uf_spin_unlock(lock);
}

/**
 * uf_requeue - park the calling fiber at the end of its server's queue
 * @t: the calling thread, in the critical section.
 *
 * The queue stays locked through the switch: so the fiber can be in it before
 * its registers are saved, and the lock is taken once and not twice.
 *
 * Returns the thread that the fiber then is on.
 */
struct uf_thread *uf_requeue(struct uf_thread *t)
{
	struct uf_server *s = uf_server(t);
	struct uf_runq *q = &s->runq;
	struct uf_fiber *next = NULL;

	uf_spin_lock(&q->lock);
	if (likely(!base_is_needed(t, s)))
		next = uf_runq_take(q);
	uf_runq_append(q, t->current, t->current, 1);
	return switch_to(t, next, uf_finish_unlock, &q->lock);
}

void uf_yield(void)
{
	struct uf_thread *t = uf_enter();
	struct uf_server *s;

	if (!t)
		return;
	s = uf_server(t);
	if (!uf_runq_len(&s->runq))
		chores_when_due(t, s);
	if (uf_runq_len(&s->runq) || base_is_needed(t, s))
		t = uf_requeue(t);
	uf_leave(t);
}

/*
 * Ready from where no server of its runtime is held. The fiber can run and end
 * at once, and the runtime be destroyed; the reference keeps it until we are
 * done with it.
 */
static void inject(struct uf_fiber *fiber)
{
	struct uf_runtime *rt = fiber->rt;
	struct uf_server *s;

	uf_runtime_get(rt);
	s = &rt->servers[fetch_add(&rt->inject, 1) % rt->nr_servers];
	uf_runq_push(&s->runq, fiber);
	uf_kick(rt, NULL, s);
	uf_runtime_put(rt);
}

/**
 * uf_ready - let a parked fiber run
 * @t: the calling thread, in the critical section; NULL for a plain thread.
 * @fiber: the fiber; the caller alone has the right to wake it.
 *
 * It goes to the caller's own server, where its data may be warm; idle servers
 * are woken to steal it when the critical section is left.
 */
void uf_ready(struct uf_thread *t, struct uf_fiber *fiber)
{
	if (unlikely(!t || t->rt != fiber->rt)) {
		inject(fiber);
		return;
	}
	uf_runq_push(&uf_server(t)->runq, fiber);
	t->kick = true;
}

void uf_leave_kick(struct uf_thread *t)
{
	t->kick = false;
	uf_kick(t->rt, t, uf_server(t));
}

static struct uf_fiber *steal(struct uf_runtime *rt, struct uf_server *s)
{
	unsigned int self = s - rt->servers;
	unsigned int i;

	for (i = 1; i < rt->nr_servers; i++) {
		struct uf_server *victim;

		victim = &rt->servers[(self + i) % rt->nr_servers];
		if (uf_runq_steal(&victim->runq, &s->runq))
			return uf_runq_pop(&s->runq);
	}
	return NULL;
}

static void end_search(struct uf_thread *t)
{
	if (!t->searching)
		return;
	t->searching = false;
	uf_search_end(t->rt, t);
}

/* The next fiber to run, looked for everywhere; NULL if there is none. */
static struct uf_fiber *find(struct uf_thread *t, struct uf_server *s)
{
	struct uf_fiber *fiber = uf_runq_pop(&s->runq);

	if (!fiber) {
		do_chores(t, s);
		fiber = uf_runq_pop(&s->runq);
	}
	if (!fiber)
		fiber = steal(t->rt, s);

	/* One will run here at once; what remains is for others. */
	t->kick = false;
	end_search(t);
	if (uf_runq_len(&s->runq))
		uf_kick(t->rt, t, s);
	return fiber;
}

static void run(struct uf_thread *t, struct uf_fiber *fiber)
{
	t->finish.fn = NULL;
	t->current = fiber;
	switch_context(t, &t->base, &fiber->ctx);
	finish_switch(t);
}

/* What becomes of a server while threads wait for one. */
static bool offer_is_due(struct uf_thread *t, struct uf_server *s)
{
	return unlikely(READ_ONCE(t->rt->shared_domain->nr_runnable)) &&
	       !s->offered;
}

/* Run one fiber, or sleep. Returns false if the server is lost or on offer. */
static bool serve_one(struct uf_thread *t, struct uf_server *s)
{
	struct uf_fiber *fiber;

	uf_recall(t, s);
	if (offer_is_due(t, s)) {
		s->offered = true;
		return false;
	}
	fiber = find(t, s);
	s->offered = false;
	if (fiber) {
		run(t, fiber);
		return true;
	}
	return !offer_is_due(t, s) && uf_idle(t);
}

/* The credit is not kept through what may block. */
static void keep_standby(struct uf_thread *t)
{
	struct ufiber_shared_domain *domain = t->rt->shared_domain;

	if (likely(READ_ONCE(domain->nr_standby)))
		return;
	end_search(t);
	while (!READ_ONCE(domain->nr_standby) && uf_spawn_standby(t))
		;
}

/**
 * uf_serve - run fibers as long as the thread holds a server
 * @t: the calling thread, in its base context and the critical section.
 *
 * While threads wait for a server, ours is offered to them (by going to
 * standby), but not twice without having run a queued fiber in between, unless
 * there is none: so returning fibers and queued ones take turns.
 *
 * Returns when the server is lost or on offer, or the runtime stops.
 */
void uf_serve(struct uf_thread *t)
{
	do {
		if (READ_ONCE(t->rt->stop))
			return;
		keep_standby(t);
	} while (serve_one(t, uf_server(t)));
	end_search(t);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Who runs next. A fiber that parks switches straight to the next in its
 * server's queue; to the thread's base context only when there is none, or when
 * something else than running a fiber is to be done.
 */
#include "io.h"
#include "park.h"
#include "stack.h"

/* Most fibers in a row that another server is not woken for. */
#define UF_BACKOFF_MAX 1023

/* Any fiber that this makes ready has been switched away from. */
static void do_chores(struct uf_thread *t, struct uf_server *s)
{
	uf_timers_run(t, s);
	if (unlikely(READ_ONCE(s->retired)))
		uf_retire(s);
	if (unlikely(READ_ONCE(s->cancel_ios)))
		uf_io_cancel(s);
	uf_ring_submit(s);
	uf_ring_reap(t, s);
}

/* Each UF_CHORES_EVERY-th switch. */
void uf_chores_are_due(struct uf_thread *t)
{
	struct uf_server *s = uf_server(t);

	t->chores = false;
	do_chores(t, s);
	uf_look_at_clock(s);
	if (unlikely(t->rt->quantum))
		uf_count(t->rt->shared_servers[s - t->rt->servers].dispatches);
	if (unlikely(t->rt->policy))
		uf_policy_tick(t->rt, s);
}

/* For a fiber that parks. */
struct uf_fiber *uf_take_by_policy(struct uf_thread *t, struct uf_server *s)
{
	uf_policy_parks(t, s);
	return uf_base_is_needed(t, s) ? NULL : uf_policy_pick(t, s);
}

void uf_do_after(struct uf_thread *t, struct uf_fiber *prev)
{
	uf_after_fn *after = t->after;

	t->after = NULL;
	after(t, prev);
}

/**
 * uf_park - switch away from the calling fiber
 * @t: the calling thread, in the critical section.
 *
 * Who is to make the fiber ready can do so already.
 *
 * Returns when somebody has called uf_ready() for the fiber: the thread that it
 * then is on, in the critical section.
 */
struct uf_thread *uf_park(struct uf_thread *t)
{
	return uf_park_inline(t);
}

/* The same for a fiber's last time. It does not return. */
void uf_park_last(struct uf_thread *t)
{
	uf_park_inline(t);
}

/* Is the fiber pinned to another server? */
static inline bool is_elsewhere(const struct uf_fiber *fiber,
				const struct uf_server *s)
{
	return unlikely(fiber->server != UFIBER_NONE) &&
	       fiber->server != s - fiber->rt->servers;
}

/* It is pinned, but blocked in the kernel and came back on another server. */
static inline bool is_misplaced(const struct uf_thread *t,
				const struct uf_server *s)
{
	return is_elsewhere(t->current, s);
}

void uf_move(struct uf_thread *t, struct uf_fiber *fiber)
{
	uf_ready(t, fiber, UF_WHY_CREATED);
}

/* A policy may give it to anybody, so it must have been switched away from. */
static void yield_to_policy(struct uf_thread *t, struct uf_fiber *fiber)
{
	uf_policy_ready(t->rt, t, fiber, UF_WHY_YIELDED);
}

/* Would a fiber that yields let another one run? */
static inline bool others_are_ready(struct uf_thread *t, struct uf_server *s)
{
	if (unlikely(t->rt->policy))
		return uf_policy_has_work(t->rt, s);
	uf_inbox_empty(s);
	return !uf_runq_empty(&s->runq);
}

/**
 * uf_requeue - park the calling fiber at the end of its list
 * @t: the calling thread, in the critical section.
 *
 * Returns the thread that the fiber then is on.
 */
struct uf_thread *uf_requeue(struct uf_thread *t)
{
	struct uf_server *s = uf_server(t);
	struct uf_runq *q = &s->runq;
	struct uf_fiber *next = NULL;

	if (unlikely(t->rt->policy)) {
		t->after = yield_to_policy;
		return uf_park(t);
	}
	if (is_misplaced(t, s)) {
		t->after = uf_move;
		return uf_park(t);
	}
	uf_bias_lock(&q->lock);
	if (likely(!uf_base_is_needed(t, s)))
		next = uf_runq_take(q);
	/* About, for who fetches it ahead. */
	t->current->ctx.sp = __builtin_frame_address(0);
	uf_runq_append(q, t->current, uf_runq_class(t->current, false));
	uf_bias_unlock(&q->lock);
	return uf_switch_to(t, s, next);
}

/* The same, and run @next, which is ready and in no queue. */
static struct uf_thread *requeue_for(struct uf_thread *t, struct uf_fiber *next)
{
	struct uf_server *s = uf_server(t);
	struct uf_runq *q = &s->runq;

	uf_bias_lock(&q->lock);
	if (unlikely(uf_base_is_needed(t, s))) {
		uf_runq_set_next(q, next);
		next = NULL;
	}
	uf_runq_append(q, t->current, uf_runq_class(t->current, false));
	uf_bias_unlock(&q->lock);
	return uf_switch_to(t, s, next);
}

/* Get a fiber out of the queue that it is in, if it may run on @s. */
static bool take_from(struct uf_runq *q, struct uf_fiber *fiber,
		      struct uf_server *s)
{
	bool own = q == &s->runq, taken;

	if (own)
		uf_bias_lock(&q->lock);
	else
		uf_bias_revoke(&q->lock);
	/* If it is in another one, that one's lock is another. */
	taken = READ_ONCE(fiber->queue) == q && uf_runq_may_be_taken(fiber) &&
		(own || fiber->server == UFIBER_NONE);
	if (taken)
		uf_runq_remove(fiber);
	if (own)
		uf_bias_unlock(&q->lock);
	else
		uf_bias_return(&q->lock);
	return taken;
}

int uf_yield_to(struct uf_fiber *fiber)
{
	struct uf_thread *t;
	struct uf_runq *q;
	int error = 0;

	UF_CHECK(FIBER, fiber);
	t = uf_enter();
	if (!t)
		return -EPERM;
	uf_inbox_empty(uf_server(t));
	q = READ_ONCE(fiber->queue);
	if (fiber->rt != t->rt) {
		error = -EINVAL;
	} else if (q && !is_misplaced(t, uf_server(t)) &&
		   take_from(q, fiber, uf_server(t))) {
		t = requeue_for(t, fiber);
	} else {
		error = -EAGAIN;
		t = uf_requeue(t);
	}
	uf_leave(t);
	return error;
}

void uf_yield(void)
{
	struct uf_thread *t = uf_enter();
	struct uf_server *s;

	if (!t)
		return;
	s = uf_server(t);
	if (unlikely(!others_are_ready(t, s)))
		do_chores(t, s);
	if (others_are_ready(t, s) || uf_base_is_needed(t, s) ||
	    is_misplaced(t, s))
		t = uf_requeue(t);
	uf_leave(t);
}

/*
 * Have others come for what the caller does not run itself. To be asked before the
 * fiber is in a queue, where it can be found, run and end at once.
 */
static inline bool others_may_run(const struct uf_fiber *fiber)
{
	return likely(fiber->server == UFIBER_NONE);
}

/*
 * Nobody else is needed for the only fiber that is ready if the caller soon parks,
 * as two do that take turns, and who creates one and joins it; and to wake another
 * server in vain costs it dear. So each time that one came and found nothing it is
 * woken only after twice as many fibers as before, and from the first again when
 * one was stolen here or any server has come into use. To look whether all are awake
 * costs a full barrier, so if they are that is not done for each one either. What waits
 * nevertheless is found by those that look around now and then, see idle.c.
 */
static inline void call_help(struct uf_thread *t, struct uf_server *s, bool lone)
{
	uint32_t skip = READ_ONCE(s->skip);

	if (!lone || !skip)
		t->kick = true;
	else
		WRITE_ONCE(s->skip, skip - 1);
}

/* Into the run-next slot, or if somebody is there behind others. */
static __always_inline void make_next(struct uf_thread *t, struct uf_server *s,
				      struct uf_fiber *fiber)
{
	bool help = others_may_run(fiber);

	uf_bias_lock(&s->runq.lock);
	if (likely(!s->runq.next))
		uf_runq_set_next(&s->runq, fiber);
	else
		uf_runq_append(&s->runq, fiber, uf_runq_class(fiber, false));
	uf_bias_unlock(&s->runq.lock);
	if (help)
		call_help(t, s, !READ_ONCE(s->runq.map));
}

/* Behind others of its class. */
static void make_ready(struct uf_thread *t, struct uf_server *s,
		       struct uf_fiber *fiber, enum uf_why why)
{
	bool help = others_may_run(fiber);
	bool lone = why == UF_WHY_CREATED && uf_runq_empty(&s->runq);

	uf_bias_lock(&s->runq.lock);
	uf_runq_append(&s->runq, fiber, uf_runq_class(fiber, why == UF_WHY_IO));
	uf_bias_unlock(&s->runq.lock);
	if (help)
		call_help(t, s, lone);
}

/* Not in the caller's own run queue. */
static __attribute__((noinline)) void
make_ready_elsewhere(struct uf_thread *t, struct uf_fiber *fiber,
		     enum uf_why why)
{
	struct uf_runtime *rt = fiber->rt;

	if (rt->policy)
		uf_policy_ready(rt, t, fiber, why);
	else
		uf_inbox_put(rt, t && t->rt == rt ? t : NULL, fiber);
}

static __always_inline void ready(struct uf_thread *t, struct uf_fiber *fiber,
				  enum uf_why why)
{
	struct uf_runtime *rt = fiber->rt;
	struct uf_server *s;

	if (unlikely(smp_load_acquire(&fiber->on_cpu)))
		uf_spin_until_zero(&fiber->on_cpu);
	if (unlikely(!t || t->rt != rt || rt->policy)) {
		make_ready_elsewhere(t, fiber, why);
		return;
	}
	s = uf_server(t);
	if (unlikely(is_elsewhere(fiber, s)))
		make_ready_elsewhere(t, fiber, why);
	else if (why == UF_WHY_WOKEN)
		make_next(t, s, fiber);
	else
		make_ready(t, s, fiber, why);
}

/**
 * uf_ready - let a parked fiber run
 * @t: the calling thread, in the critical section; NULL for a plain thread.
 * @fiber: the fiber; the caller alone has the right to wake it.
 * @why: what has made it ready.
 *
 * It goes to the caller's own server, where its data may be warm; idle servers
 * are woken to steal it when the critical section is left.
 */
void uf_ready(struct uf_thread *t, struct uf_fiber *fiber, enum uf_why why)
{
	ready(t, fiber, why);
}

/* The same for one that was woken, for a caller to end with. */
int uf_ready_and_leave(struct uf_thread *t, struct uf_fiber *fiber)
{
	ready(t, fiber, UF_WHY_WOKEN);
	uf_leave(t);
	return 0;
}

void uf_leave_kick(struct uf_thread *t)
{
	t->kick = false;
	uf_kick(t->rt, t, uf_server(t));
}

/*
 * What is in a server's run-next slot is left to it, unless the server has not
 * run a fiber since somebody looked before.
 */
static unsigned int steal_next(struct uf_server *victim, struct uf_server *s)
{
	uint64_t switches = READ_ONCE(victim->switches);

	if (!READ_ONCE(victim->runq.next))
		return 0;
	if (READ_ONCE(victim->seen) == switches)
		return uf_runq_steal_next(&victim->runq, &s->runq);
	WRITE_ONCE(victim->seen, switches);
	return 0;
}

static bool steal_from(struct uf_server *victim, struct uf_server *s)
{
	if (!uf_inbox_steal(victim, s) &&
	    !uf_runq_steal(&victim->runq, &s->runq) && !steal_next(victim, s))
		return false;
	WRITE_ONCE(victim->backoff, 0);
	WRITE_ONCE(victim->skip, 0);
	return true;
}

static bool steal(struct uf_runtime *rt, struct uf_server *s)
{
	unsigned int self = s - rt->servers;
	unsigned int i;

	for (i = 1; i < rt->nr_servers; i++)
		if (steal_from(&rt->servers[(self + i) % rt->nr_servers], s))
			return true;
	return false;
}

/* The one who woke us, for nothing, shall be slower to do so. */
static void found_nothing(struct uf_server *waker)
{
	uint32_t backoff = 2 * READ_ONCE(waker->backoff) + 1;

	if (backoff > UF_BACKOFF_MAX)
		backoff = UF_BACKOFF_MAX;
	WRITE_ONCE(waker->backoff, backoff);
	WRITE_ONCE(waker->skip, backoff);
}

static void end_search(struct uf_thread *t, bool found)
{
	struct uf_runtime *rt = t->rt;

	if (!t->searching)
		return;
	t->searching = false;
	if (!found)
		found_nothing(&rt->servers[READ_ONCE(rt->waker)]);
	uf_search_end(rt, t);
}

/* The next fiber to run, if it is known. */
static struct uf_fiber *take(struct uf_thread *t, struct uf_server *s)
{
	return unlikely(t->rt->policy) ? uf_policy_pick(t, s) : uf_take(s);
}

/* The next fiber to run, looked for everywhere; NULL if there is none. */
static struct uf_fiber *find(struct uf_thread *t, struct uf_server *s)
{
	struct uf_fiber *fiber = take(t, s);

	if (!fiber) {
		do_chores(t, s);
		fiber = take(t, s);
	}
	if (!fiber && !t->rt->policy && steal(t->rt, s))
		fiber = take(t, s);

	/* One will run here at once; what remains is for others. */
	t->kick = false;
	end_search(t, fiber);
	if (uf_runq_stealable(&s->runq) ||
	    (unlikely(t->slept) && fiber && uf_others_wait(t->rt)))
		uf_kick(t->rt, t, s);
	t->slept = false;
	return fiber;
}

static void run(struct uf_thread *t, struct uf_fiber *fiber)
{
	t->prev = NULL;
	t->current = fiber;
	uf_count_switch(t, uf_server(t));
	WRITE_ONCE(fiber->on_cpu, t->number);
	uf_switch_context(t, &t->base, &fiber->ctx);
	uf_server(t)->running = 0;
	uf_end_switch(t);
}

/* What becomes of a server while threads wait for one. */
static bool offer_is_due(struct uf_thread *t, struct uf_server *s)
{
	return unlikely(READ_ONCE(t->rt->shared_domain->nr_runnable)) &&
	       !s->offered;
}

/*
 * A server that is not in use: what it is still needed for. Pinned fibers run here,
 * what its timers and its ring wake goes to others.
 */
static void serve_retired(struct uf_thread *t, struct uf_server *s)
{
	struct uf_fiber *fiber;

	uf_retire(s);
	do_chores(t, s);
	uf_evacuate(t, s);
	t->kick = false;
	end_search(t, true);
	fiber = take(t, s);
	if (fiber)
		run(t, fiber);
	else if (!uf_stacks_due(t, t->rt))
		uf_idle_retired(t, s);
}

/* Run one fiber, or sleep. Returns false if the server is lost or on offer. */
static bool serve_one(struct uf_thread *t, struct uf_server *s)
{
	struct uf_fiber *fiber;

	uf_recall(t, s);
	if (unlikely(READ_ONCE(s->retired))) {
		serve_retired(t, s);
		return true;
	}
	if (offer_is_due(t, s)) {
		s->offered = true;
		return false;
	}
	fiber = find(t, s);
	s->offered = false;
	if (fiber) {
		s->look = UF_LOOK_MIN_NS;
		run(t, fiber);
		return true;
	}
	if (offer_is_due(t, s))
		return false;
	return uf_stacks_due(t, t->rt) || uf_idle(t);
}

/* The credit is not kept through what may block. */
static void keep_standby(struct uf_thread *t)
{
	struct ufiber_shared_domain *domain = t->rt->shared_domain;

	if (likely(READ_ONCE(domain->nr_standby)))
		return;
	end_search(t, true);
	while (!READ_ONCE(domain->nr_standby) && uf_spawn_standby(t))
		;
}

/* Idle stacks go back before the server sleeps, and it may be lost meanwhile. */
static void trim_stacks(struct uf_thread *t)
{
	if (likely(!uf_stacks_due(t, t->rt)))
		return;
	end_search(t, true);
	uf_leave(t);
	uf_stacks_trim(t->rt);
	uf_enter_self(t);
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
	uf_look_at_clock(uf_server(t));
	if (unlikely(t->rt->policy))
		uf_policy_taken(t, uf_server(t));
	do {
		if (READ_ONCE(t->rt->stop))
			return;
		keep_standby(t);
		trim_stacks(t);
	} while (serve_one(t, uf_server(t)));
	end_search(t, true);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who gets a server. Everything here runs under domain->lock, in any context
 * (the scheduler included), and wakes nobody: see the lock legend in ufiber.h.
 *
 * Order of the shared words, for readers in user mode: a grant writes
 * thread->server, then thread->state, then server->owner; a loss writes
 * thread->state, then thread->server, and the owner word last of all by the
 * next grant (or as VACANT). Taking a server from a poller alone starts with
 * the owner word, by compare-and-swap, as that decides whether it is taken.
 *
 * Last of all a grant writes the module's own thread->server. Whoever has been
 * granted a server goes on when it sees that, without the lock, and finds all the
 * words above when it is back in user mode.
 *
 * No RUNNABLE thread beside a POLLING server (a store-buffering race):
 *
 *   thread that unblocks, under the lock     holder that goes to sleep
 *   ------------------------------------     -------------------------
 *   (a) nr_runnable++                        (c) owner: HELD -> POLLING (cmpxchg)
 *       smp_mb()                                 full barrier
 *   (b) look for a POLLING owner word        (d) read nr_runnable, if not 0
 *                                                take POLLING back and WAIT
 *
 * Both (b) missing (c) and (d) missing (a) would need (b) before (c) and (d)
 * before (a), a cycle that the two barriers forbid. If both see each other, the
 * owner word's compare-and-swap decides.
 */
#include <linux/bitmap.h>
#include <linux/nospec.h>

#include "trace.h"
#include "ufiber.h"

void uf_set_state(struct uf_thread *thread, enum ufiber_thread_state state)
{
	uf_account(thread);
	WRITE_ONCE(thread->state, state);
	/* After the words that go with it: see the order above. */
	smp_store_release(&thread->shared->state, state);
}

/*
 * All of a grant but the owner word, which is written before (see above) or after,
 * and thread->server, the very last.
 *
 * Inline: the bodies of tracepoints count in its size, though they cost nothing.
 */
static __always_inline void uf_own(struct uf_server *server, struct uf_thread *thread)
{
	server->holder = thread;
	server->since = thread->domain->now;
	WRITE_ONCE(thread->handed, server->blocked);
	server->blocked = 0;
	WRITE_ONCE(thread->shared->server, server->id);
	uf_delay(UF_DELAY_OWN);
	uf_set_state(thread, UFIBER_THREAD_RUNNING);
	WRITE_ONCE(server->shared->grants, ++server->grants);
	trace_ufiber_grant(thread, server);
}

/* Give @server, which has no holder, to @thread, which has no server. */
void uf_grant(struct uf_server *server, struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;

	lockdep_assert_held(&domain->lock);
	uf_dequeue(thread);
	__clear_bit(server->id, domain->vacant);
	uf_own(server, thread);
	uf_delay(UF_DELAY_GRANT);
	/* Last, so that who reads it finds the thread's words set. */
	smp_store_release(&server->shared->owner,
			  UFIBER_OWNER(UFIBER_SERVER_HELD, thread->id));
	/* Pairs with who goes on without the lock: uf_goes_on(). */
	smp_store_release(&thread->server, server);
}

/* Part @thread from its server, if it has one, which then awaits a grant. */
struct uf_server *uf_release(struct uf_thread *thread,
			     enum ufiber_thread_state state)
{
	struct uf_server *server = thread->server;

	uf_set_state(thread, state);
	if (!server)
		return NULL;
	uf_delay(UF_DELAY_RELEASE);
	if (unlikely(thread->kicked))
		uf_forget_kick(thread);
	WRITE_ONCE(thread->server, NULL);
	thread->last = server;
	server->time += thread->domain->now - server->since;
	server->holder = NULL;
	WRITE_ONCE(thread->shared->server, UFIBER_NONE);
	return server;
}

static struct uf_thread *uf_first(struct list_head *list)
{
	return list_first_entry_or_null(list, struct uf_thread, link);
}

/* The RUNNABLE thread that is to be given the next server, if the module may. */
struct uf_thread *uf_first_runnable(struct uf_domain *domain)
{
	struct uf_thread *first = NULL;
	int priority = UFIBER_PRIORITIES;

	if (!domain->nr_runnable || uf_user_schedules(domain))
		return NULL;
	while (!first && priority)
		first = uf_first(&domain->runnable[--priority]);
	return first;
}

/* Of the standby threads the one that had @server last, or any. */
static struct uf_thread *uf_first_standby(struct uf_server *server)
{
	return server->home ?: uf_first(&server->domain->standby);
}

/*
 * Who waits for @server: a RUNNABLE thread before any standby, as it has a fiber
 * to run, unless the fibers that wait in user mode have their turn; then one that
 * waits for work, if there is some.
 */
struct uf_thread *uf_next_holder(struct uf_server *server)
{
	struct uf_domain *domain = server->domain;
	struct uf_thread *next = NULL;

	if (unlikely(server->for_fibers))
		next = uf_first_standby(server);
	if (!next)
		next = uf_first_runnable(domain);
	if (!next)
		next = uf_first_standby(server);
	if (!next && domain->nr_runnable)
		next = uf_first(&domain->work);
	return next;
}

/*
 * Give @server, which has just lost its holder, to whoever waits for one.
 * Returns the thread to wake, or NULL: the server is VACANT, or OFFLINE.
 */
struct uf_thread *uf_pass_on(struct uf_domain *domain, struct uf_server *server)
{
	struct uf_thread *next;

	uf_delay(UF_DELAY_PASS_ON);
	if (unlikely(uf_retires(server))) {
		WRITE_ONCE(server->shared->owner,
			   UFIBER_OWNER(UFIBER_SERVER_OFFLINE, 0));
		return NULL;
	}
	next = uf_next_holder(server);
	if (next) {
		uf_grant(server, next);
		return next;
	}
	__set_bit(server->id, domain->vacant);
	WRITE_ONCE(server->shared->owner, 0);
	return NULL;
}

/* The VACANT server that suits @thread best: its last one has its fibers. */
struct uf_server *uf_vacant_server(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	unsigned long id;

	if (thread->last && test_bit(thread->last->id, domain->vacant))
		return thread->last;
	id = find_first_bit(domain->vacant, domain->max_servers);
	return id < domain->max_servers ? &domain->servers[id] : NULL;
}

/* The server that user mode means by @id, or NULL. */
struct uf_server *uf_find_server(struct uf_domain *domain, u32 id)
{
	if (id >= domain->max_servers)
		return NULL;
	/* As for uf_find_thread(). */
	return &domain->servers[array_index_nospec(id, domain->max_servers)];
}

/*
 * Take @server from a holder that polls, and put @owner into the owner word. The
 * holder is not woken: it learns of it when its own compare-and-swap fails, and if
 * it does not sleep yet, or no longer, the two compare-and-swaps decide between us.
 */
bool uf_rob(struct uf_server *server, u32 owner)
{
	struct uf_thread *poller = server->holder;

	if (!uf_is_polling(server))
		return false;
	uf_delay(UF_DELAY_ROB);
	if (cmpxchg(&server->shared->owner,
		    UFIBER_OWNER(UFIBER_SERVER_POLLING, poller->id), owner) !=
	    UFIBER_OWNER(UFIBER_SERVER_POLLING, poller->id))
		return false;
	uf_delay(UF_DELAY_ROBBED);
	uf_release(poller, UFIBER_THREAD_IDLE);
	trace_ufiber_idle(poller, server);
	return true;
}

static bool uf_take_polling(struct uf_server *server, struct uf_thread *thread)
{
	if (uf_retires(server) ||
	    !uf_rob(server, UFIBER_OWNER(UFIBER_SERVER_HELD, thread->id)))
		return false;
	uf_dequeue(thread);
	uf_own(server, thread);
	/* Pairs with who goes on without the lock: uf_goes_on(). */
	smp_store_release(&thread->server, server);
	return true;
}

static bool uf_take_any_polling(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	u32 id;

	if (thread->last && uf_take_polling(thread->last, thread))
		return true;
	for (id = 0; id < domain->nr_servers; id++)
		if (uf_take_polling(&domain->servers[id], thread))
			return true;
	return false;
}

static bool uf_take_free(struct uf_thread *thread)
{
	struct uf_server *server = thread->last;

	/* Its last server first, whichever way it is free. */
	if (server && uf_take_polling(server, thread))
		return true;
	server = uf_vacant_server(thread);
	if (server)
		uf_grant(server, thread);
	return server;
}

static void uf_queue_runnable(struct uf_thread *thread,
			      enum ufiber_reason reason)
{
	struct uf_domain *domain = thread->domain;
	u32 priority = READ_ONCE(thread->shared->priority);

	uf_set_state(thread, UFIBER_THREAD_RUNNABLE);
	thread->queue = UF_QUEUE_RUNNABLE;
	thread->reason = reason;
	priority = min(priority, UFIBER_PRIORITIES - 1);
	list_add_tail(&thread->link, &domain->runnable[priority]);
	WRITE_ONCE(domain->nr_runnable, domain->nr_runnable + 1);
	WRITE_ONCE(domain->shared->nr_runnable, domain->nr_runnable);	/* (a) */
}

/*
 * There is work for a user's scheduler. If one waits for that and a server is
 * VACANT, it gets that. Its wake-up comes by interrupt: the caller has others to
 * wake.
 */
static void uf_rouse(struct uf_domain *domain)
{
	struct uf_thread *idle = uf_first(&domain->work);
	struct uf_server *server = idle ? uf_vacant_server(idle) : NULL;

	if (!server)
		return;
	uf_grant(server, idle);
	irq_work_queue(&idle->wake_irq);
}

/*
 * Find a server for @thread, which has none: a free one now (returns true), or
 * queue it as RUNNABLE, for @reason. The look for one that another thread polls
 * comes last, and once, since it reads every server's owner word.
 */
bool uf_take_or_queue(struct uf_thread *thread, enum ufiber_reason reason)
{
	struct uf_domain *domain = thread->domain;
	bool user = uf_user_schedules(domain);

	lockdep_assert_held(&domain->lock);
	if (user || !uf_take_free(thread)) {
		uf_queue_runnable(thread, reason);
		uf_delay(UF_DELAY_QUEUED);
		/* Pairs with the poller's compare-and-swap, see above. */
		smp_mb();
		if (user || !uf_take_any_polling(thread)) {		/* (b) */
			uf_event(thread, reason, UFIBER_NONE);
			trace_ufiber_hold(thread, reason);
			uf_rouse(domain);
			return false;
		}
	}
	if (domain->flags & UFIBER_SETUP_WATCH)
		uf_event(thread, reason, thread->server->id);
	return true;
}

/* Queue @thread as a standby, or as one that waits for work. */
void uf_queue_standby(struct uf_thread *thread, enum uf_queue queue)
{
	struct uf_domain *domain = thread->domain;

	thread->queue = queue;
	if (queue == UF_QUEUE_WORK) {
		list_add(&thread->link, &domain->work);
		return;
	}
	list_add(&thread->link, &domain->standby);
	if (thread->last)
		thread->last->home = thread;
	WRITE_ONCE(domain->shared->nr_standby, ++domain->nr_standby);
}

/* Take @thread out of the list it is in. */
void uf_unlink(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;

	list_del_init(&thread->link);
	switch (thread->queue) {
	case UF_QUEUE_RUNNABLE:
		WRITE_ONCE(domain->nr_runnable, domain->nr_runnable - 1);
		WRITE_ONCE(domain->shared->nr_runnable, domain->nr_runnable);
		break;
	case UF_QUEUE_STANDBY:
		if (thread->last && thread->last->home == thread)
			thread->last->home = NULL;
		WRITE_ONCE(domain->shared->nr_standby, --domain->nr_standby);
		break;
	case UF_QUEUE_WORK:
		break;
	}
}

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

#include "ufiber.h"

void uf_set_state(struct uf_thread *thread, enum ufiber_thread_state state)
{
	WRITE_ONCE(thread->state, state);
	/* After the words that go with it: see the order above. */
	smp_store_release(&thread->shared->state, state);
}

static void uf_own(struct uf_server *server, struct uf_thread *thread)
{
	server->holder = thread;
	WRITE_ONCE(thread->server, server);
	WRITE_ONCE(thread->shared->server, server->id);
	uf_set_state(thread, UFIBER_THREAD_RUNNING);
	WRITE_ONCE(server->shared->grants, ++server->grants);
}

/* Give @server, which has no holder, to @thread, which has no server. */
void uf_grant(struct uf_server *server, struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;

	lockdep_assert_held(&domain->lock);
	uf_dequeue(thread);
	__clear_bit(server->id, domain->vacant);
	uf_own(server, thread);
	/* Last, so that who reads it finds the thread's words set. */
	smp_store_release(&server->shared->owner,
			  UFIBER_OWNER(UFIBER_SERVER_HELD, thread->id));
}

/* Part @thread from its server, if it has one, which then awaits a grant. */
struct uf_server *uf_release(struct uf_thread *thread,
			     enum ufiber_thread_state state)
{
	struct uf_server *server = thread->server;

	uf_set_state(thread, state);
	if (!server)
		return NULL;
	WRITE_ONCE(thread->server, NULL);
	thread->last = server;
	server->holder = NULL;
	WRITE_ONCE(thread->shared->server, UFIBER_NONE);
	return server;
}

struct uf_thread *uf_first_runnable(struct uf_domain *domain)
{
	return list_first_entry_or_null(&domain->runnable, struct uf_thread,
					link);
}

/*
 * Give @server, which has just lost its holder, to whoever waits for one: the
 * thread that has been RUNNABLE longest before any standby, as it has a fiber
 * to run. Returns the thread to wake, or NULL: the server is VACANT.
 */
struct uf_thread *uf_pass_on(struct uf_domain *domain, struct uf_server *server)
{
	struct uf_thread *next = uf_first_runnable(domain);

	if (!next)
		next = list_first_entry_or_null(&domain->standby,
						struct uf_thread, link);
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
	id = find_first_bit(domain->vacant, domain->nr_servers);
	return id < domain->nr_servers ? &domain->servers[id] : NULL;
}

/* Whether the holder has declared that it may lose @server; mere advice. */
bool uf_is_polling(const struct uf_server *server)
{
	return server->holder &&
	       READ_ONCE(server->shared->owner) ==
		       UFIBER_OWNER(UFIBER_SERVER_POLLING, server->holder->id);
}

/*
 * Take @server from a holder that polls. It is not woken: it learns of it when
 * its own compare-and-swap fails, and if it does not sleep yet, or no longer,
 * the two compare-and-swaps decide between us.
 */
static bool uf_take_polling(struct uf_server *server, struct uf_thread *thread)
{
	struct uf_thread *poller = server->holder;

	if (!uf_is_polling(server))
		return false;
	if (cmpxchg(&server->shared->owner,
		    UFIBER_OWNER(UFIBER_SERVER_POLLING, poller->id),
		    UFIBER_OWNER(UFIBER_SERVER_HELD, thread->id)) !=
	    UFIBER_OWNER(UFIBER_SERVER_POLLING, poller->id))
		return false;
	uf_release(poller, UFIBER_THREAD_IDLE);
	uf_dequeue(thread);
	uf_own(server, thread);
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

/*
 * Find a server for @thread, which has none: a free one now (returns true), or
 * queue it as RUNNABLE. The look for one that another thread polls comes last,
 * and once, since it reads every server's owner word.
 */
bool uf_take_or_queue(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;

	lockdep_assert_held(&domain->lock);
	if (uf_take_free(thread))
		return true;

	uf_set_state(thread, UFIBER_THREAD_RUNNABLE);
	list_add_tail(&thread->link, &domain->runnable);
	WRITE_ONCE(domain->shared->nr_runnable, ++domain->nr_runnable);	/* (a) */
	smp_mb();	/* pairs with the poller's compare-and-swap, see above */
	return uf_take_any_polling(thread);				/* (b) */
}

void uf_queue_standby(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;

	thread->standby = true;
	list_add(&thread->link, &domain->standby);
	WRITE_ONCE(domain->shared->nr_standby, ++domain->nr_standby);
}

/* Take @thread out of the list it is in. */
void uf_unlink(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;

	list_del_init(&thread->link);
	if (thread->standby) {
		thread->standby = false;
		WRITE_ONCE(domain->shared->nr_standby, --domain->nr_standby);
	} else {
		WRITE_ONCE(domain->shared->nr_runnable, --domain->nr_runnable);
	}
}

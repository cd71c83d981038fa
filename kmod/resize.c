// SPDX-License-Identifier: GPL-2.0-only
/*
 * More servers in use, or fewer. Those of the numbers from nr_servers on retire:
 * they are given to nobody any more, and OFFLINE when their holders have let go of
 * them (uf_pass_on()). One at a time, under the lock, the rest between.
 */
#include <linux/bitmap.h>
#include <linux/rcupdate.h>

#include "trace.h"
#include "ufiber.h"

static void uf_set_nr_servers(struct uf_domain *domain, u32 nr_servers)
{
	u32 before = domain->nr_servers;

	domain->nr_servers = nr_servers;
	WRITE_ONCE(domain->shared->nr_servers, nr_servers);
	trace_ufiber_resize(domain, before);
}

/* Put the next server into use. */
static void uf_add_server(struct uf_domain *domain)
{
	struct uf_server *server = &domain->servers[domain->nr_servers];
	struct uf_thread *next = NULL;

	rcu_read_lock();
	uf_lock(domain);
	uf_set_nr_servers(domain, domain->nr_servers + 1);
	/*
	 * It may have a holder that has not let go since it was retired. Does
	 * that poll, then who became RUNNABLE meanwhile did not look at this
	 * server, and will not again.
	 */
	if (!server->holder ||
	    (uf_first_runnable(domain) && uf_rob(server, 0)))
		next = uf_pass_on(domain, server);
	uf_unlock(domain);
	uf_delay(UF_DELAY_RESIZE);
	if (next)
		uf_thread_wake(next);
	rcu_read_unlock();
}

/* Take the last server out of use. */
static void uf_retire_server(struct uf_domain *domain)
{
	struct uf_server *server = &domain->servers[domain->nr_servers - 1];
	u32 offline = UFIBER_OWNER(UFIBER_SERVER_OFFLINE, 0);
	struct uf_thread *holder = NULL;

	rcu_read_lock();
	uf_lock(domain);
	uf_set_nr_servers(domain, domain->nr_servers - 1);
	if (!server->holder) {
		__clear_bit(server->id, domain->vacant);
		WRITE_ONCE(server->shared->owner, offline);
	} else if (!uf_rob(server, offline)) {
		holder = server->holder;
		WRITE_ONCE(holder->kicked, true);
		trace_ufiber_kick(holder, UF_KICK_RESIZE);
	}
	uf_unlock(domain);
	uf_delay(UF_DELAY_RESIZE);
	if (holder)
		uf_resume_kick(holder);
	rcu_read_unlock();
}

/* UFIBER_IOC_RESIZE. Task context, may sleep. */
int uf_resize(struct uf_domain *domain, u32 nr_servers)
{
	if (!nr_servers || nr_servers > domain->max_servers)
		return -EINVAL;
	if (mutex_lock_killable(&domain->setup_mutex))
		return -EINTR;
	while (domain->nr_servers < nr_servers)
		uf_add_server(domain);
	while (domain->nr_servers > nr_servers)
		uf_retire_server(domain);
	mutex_unlock(&domain->setup_mutex);
	return 0;
}

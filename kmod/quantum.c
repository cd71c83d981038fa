// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preemption by time: a timer per server that kicks a holder which has run for a
 * whole period without switching fibers, while somebody waits.
 *
 * The timer runs only while the server has a quantum, somebody waits, and the
 * holder is on a CPU; so there are never more than there are CPUs, however many
 * servers there are. It is started where the last of these becomes true: when the
 * holder is switched in, when a thread is queued, when QUANTUM is called. It
 * stops by itself. armed, under domain->lock, says that it runs or is about to;
 * hrtimer_start() itself comes after the lock, as it may take a rq lock.
 */
#include <linux/hrtimer.h>
#include <linux/rcupdate.h>

#include "trace.h"
#include "ufiber.h"

static bool uf_quantum_applies(const struct uf_server *server)
{
	return server->quantum && server->holder &&
	       (server->domain->nr_runnable ||
		READ_ONCE(server->shared->waiting));
}

static bool uf_holder_runs(const struct uf_server *server)
{
	return uf_on_cpu(server->holder->task);
}

/* A period has passed. Returns the thread to kick, or NULL; under the lock. */
static struct uf_thread *uf_quantum_check(struct uf_server *server)
{
	u32 dispatches = READ_ONCE(server->shared->dispatches);
	struct uf_thread *holder = server->holder;
	bool same = holder == server->watched &&
		    dispatches == server->watched_dispatches;

	server->watched = holder;
	server->watched_dispatches = dispatches;
	if (!same)
		return NULL;
	WRITE_ONCE(holder->kicked, true);
	trace_ufiber_kick(holder, UF_KICK_QUANTUM);
	return holder;
}

static enum hrtimer_restart uf_quantum_expire(struct hrtimer *timer)
{
	struct uf_server *server = container_of(timer, struct uf_server, timer);
	struct uf_domain *domain = server->domain;
	struct uf_thread *kick = NULL;
	unsigned long flags;
	u64 period;

	rcu_read_lock();
	raw_spin_lock_irqsave(&domain->lock, flags);
	server->armed = uf_quantum_applies(server) && uf_holder_runs(server);
	period = server->armed ? server->quantum : 0;
	if (server->armed)
		kick = uf_quantum_check(server);
	raw_spin_unlock_irqrestore(&domain->lock, flags);
	if (kick)
		uf_resume_kick(kick);
	rcu_read_unlock();
	if (!period)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(period));
	return HRTIMER_RESTART;
}

void uf_quantum_init(struct uf_server *server)
{
	uf_hrtimer_setup(&server->timer, uf_quantum_expire, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL_HARD);
}

/*
 * Start @server's timer if it is to run and does not; @comes says that its holder
 * is being switched in. No lock held, but perhaps a rq lock.
 */
static void uf_quantum_arm(struct uf_server *server, bool comes)
{
	struct uf_domain *domain = server->domain;
	unsigned long flags;
	u64 period = 0;

	raw_spin_lock_irqsave(&domain->lock, flags);
	if (!server->armed && uf_quantum_applies(server) &&
	    (comes || uf_holder_runs(server))) {
		server->armed = true;
		server->watched = server->holder;
		server->watched_dispatches =
			READ_ONCE(server->shared->dispatches);
		period = server->quantum;
	}
	raw_spin_unlock_irqrestore(&domain->lock, flags);
	if (period)
		hrtimer_start(&server->timer, ns_to_ktime(period),
			      HRTIMER_MODE_REL_HARD);
}

/* A thread has been queued, so everybody's time counts now. */
void uf_quantum_arm_all(struct uf_domain *domain)
{
	u32 id;

	for (id = 0; id < domain->max_servers; id++)
		if (READ_ONCE(domain->servers[id].quantum))
			uf_quantum_arm(&domain->servers[id], false);
}

void uf_quantum_switched_in(struct uf_thread *thread)
{
	struct uf_server *server = READ_ONCE(thread->server);

	if (server && READ_ONCE(server->quantum))
		uf_quantum_arm(server, true);
}

/* UFIBER_IOC_QUANTUM */
int uf_set_quantum(struct uf_domain *domain, u32 server, u64 quantum)
{
	bool all = server == UFIBER_NONE;
	u32 id;

	if (!all && server >= domain->max_servers)
		return -EINVAL;
	if (quantum &&
	    (quantum < UFIBER_MIN_QUANTUM || quantum > UFIBER_MAX_QUANTUM))
		return -EINVAL;
	uf_lock(domain);
	for (id = 0; id < domain->max_servers; id++) {
		struct uf_server *this = &domain->servers[id];

		if (!all && id != server)
			continue;
		domain->nr_quanta += !!quantum - !!this->quantum;
		WRITE_ONCE(this->quantum, quantum);
	}
	uf_unlock(domain);
	uf_quantum_queued(domain);
	return 0;
}

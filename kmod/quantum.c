// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preemption by time: a timer per server that kicks a holder which has run for a
 * whole period without switching fibers, while somebody waits.
 *
 * The timer is started only while the server has a quantum, somebody waits, and the
 * holder is on a CPU: where the last of these becomes true, that is when the
 * holder is switched in or takes a server while it runs, when a thread is queued,
 * when QUANTUM is called. When one of them is no longer true it stops, at its next
 * expiry. So each start belongs to a switch or a call, and a server whose holder
 * does not run costs one expiry at most, however many servers there are.
 *
 * armed, under domain->lock, says that the timer runs or is about to.
 * hrtimer_start() itself comes after the lock; it may come while the timer's
 * function runs on another CPU. So that does not set its next expiry, as a queued
 * timer cannot be forwarded, but starts the timer like all others.
 */
#include <linux/bitmap.h>
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
	bool same = server->grants == server->watched_grants &&
		    dispatches == server->watched_dispatches;

	server->watched_grants = server->grants;
	server->watched_dispatches = dispatches;
	if (!same)
		return NULL;
	WRITE_ONCE(holder->kicked, true);
	trace_ufiber_kick(holder, UF_KICK_QUANTUM);
	return holder;
}

/* Context: any, but no lock held. */
static void uf_quantum_start(struct uf_server *server)
{
	uf_delay(UF_DELAY_QUANTUM_START);
	hrtimer_start(&server->timer, ns_to_ktime(READ_ONCE(server->quantum)),
		      HRTIMER_MODE_REL_HARD);
}

static enum hrtimer_restart uf_quantum_expire(struct hrtimer *timer)
{
	struct uf_server *server = container_of(timer, struct uf_server, timer);
	struct uf_domain *domain = server->domain;
	struct uf_thread *kick = NULL;
	unsigned long flags;
	bool again;

	rcu_read_lock();
	raw_spin_lock_irqsave(&domain->lock, flags);
	again = uf_quantum_applies(server) && uf_holder_runs(server);
	server->armed = again;
	if (again)
		kick = uf_quantum_check(server);
	raw_spin_unlock_irqrestore(&domain->lock, flags);
	uf_delay(UF_DELAY_QUANTUM);
	if (kick)
		uf_resume_kick(kick);
	rcu_read_unlock();
	if (again)
		uf_quantum_start(server);
	return HRTIMER_NORESTART;
}

void uf_quantum_init(struct uf_server *server)
{
	uf_hrtimer_setup(&server->timer, uf_quantum_expire, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL_HARD);
}

/*
 * Whether the caller is to start @server's timer: it is to run, and does not.
 * @comes says that the holder is being switched in. Under the lock.
 */
static bool uf_quantum_claim(struct uf_server *server, bool comes)
{
	if (server->armed || !uf_quantum_applies(server) ||
	    !(comes || uf_holder_runs(server)))
		return false;
	server->armed = true;
	server->watched_grants = server->grants;
	server->watched_dispatches = READ_ONCE(server->shared->dispatches);
	return true;
}

/* A thread has been queued, so everybody's time counts now. */
void uf_quantum_arm_all(struct uf_domain *domain)
{
	DECLARE_BITMAP(claimed, UFIBER_MAX_SERVERS) = {};
	u32 id;

	raw_spin_lock_irq(&domain->lock);
	for (id = 0; id < domain->max_servers; id++)
		if (uf_quantum_claim(&domain->servers[id], false))
			__set_bit(id, claimed);
	raw_spin_unlock_irq(&domain->lock);
	for_each_set_bit(id, claimed, domain->max_servers)
		uf_quantum_start(&domain->servers[id]);
}

void uf_quantum_switched_in(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	struct uf_server *server;
	unsigned long flags;
	bool start;

	raw_spin_lock_irqsave(&domain->lock, flags);
	server = thread->server;
	start = server && uf_quantum_claim(server, true);
	raw_spin_unlock_irqrestore(&domain->lock, flags);
	if (start)
		uf_quantum_start(server);
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
		WRITE_ONCE(domain->nr_quanta, domain->nr_quanta +
			   !!quantum - !!this->quantum);
		WRITE_ONCE(this->quantum, quantum);
		/* A period that has begun is begun again. */
		this->armed = false;
	}
	uf_unlock(domain);
	uf_quantum_arm_all(domain);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the time goes. Each change of a thread's state closes an account and opens
 * the next: domain->now, taken once for all that happens under one hold of the
 * lock, is the time of it.
 */
#include <linux/log2.h>

#include "trace.h"
#include "ufiber.h"

static enum uf_account uf_account_of(const struct uf_thread *thread)
{
	switch (thread->state) {
	case UFIBER_THREAD_RUNNING:
		return UF_RUNNING;
	case UFIBER_THREAD_BLOCKED:
		return UF_BLOCKED;
	case UFIBER_THREAD_RUNNABLE:
		return thread->reason == UFIBER_REASON_PREEMPTED ||
		       thread->reason == UFIBER_REASON_YIELDED ?
			       UF_PREEMPTED : UF_HELD;
	default:
		return UF_IDLE;
	}
}

/* The state that @thread is in ends; under the lock. */
void uf_account(struct uf_thread *thread)
{
	u64 now = thread->domain->now;

	thread->times[uf_account_of(thread)] += now - thread->since;
	thread->since = now;
}

/*
 * Current, which is @thread, goes on with a server. If it got that by a block, the
 * hand-off ends here. Without the lock, which who was granted a server need not
 * take otherwise.
 */
void uf_goes_on(struct uf_thread *thread)
{
	u64 now, latency;
	u32 entry;

	/* Its server has been seen: pairs with the release of thread->server. */
	smp_rmb();
	if (!READ_ONCE(thread->handed))
		return;
	/* The clocks of two CPUs may differ a little. */
	now = ktime_get_mono_fast_ns();
	latency = now > thread->handed ? now - thread->handed : 0;
	entry = latency ? ilog2(latency) : 0;
	WRITE_ONCE(thread->handed, 0);
	trace_ufiber_handoff(thread, latency);
	atomic64_inc(&thread->domain->latency[min(entry, UFIBER_LATENCIES - 1)]);
}

void uf_stats_thread(struct uf_thread *thread, struct ufiber_stats *stats)
{
	uf_account(thread);
	stats->time_running = thread->times[UF_RUNNING];
	stats->time_blocked = thread->times[UF_BLOCKED];
	stats->time_held = thread->times[UF_HELD];
	stats->time_preempted = thread->times[UF_PREEMPTED];
	stats->time_idle = thread->times[UF_IDLE];
	stats->thread_blocks = thread->blocks;
	stats->thread_holds = thread->holds;
	stats->thread_preempts = thread->preempts;
}

void uf_stats_server(const struct uf_server *server,
		     struct ufiber_stats *stats)
{
	stats->server_time = server->time;
	if (server->holder)
		stats->server_time += server->domain->now - server->since;
	stats->server_blocks = server->blocks;
	stats->server_handoffs = server->handoffs;
	stats->server_takeovers = server->takeovers;
	stats->server_grants = server->grants;
	stats->server_preempts = server->preempts;
}

/* UFIBER_IOC_STATS: fill in the answers to what @stats asks. */
int uf_stats(struct uf_domain *domain, struct ufiber_stats *stats)
{
	struct uf_server *server;
	struct uf_thread *thread;
	int ret = 0;
	u32 entry;

	uf_lock(domain);
	if (stats->thread != UFIBER_NONE) {
		thread = uf_find_thread(domain, stats->thread);
		if (thread)
			uf_stats_thread(thread, stats);
		else
			ret = -ESRCH;
	}
	if (stats->server != UFIBER_NONE) {
		server = uf_find_server(domain, stats->server);
		if (server)
			uf_stats_server(server, stats);
		else
			ret = -EINVAL;
	}
	for (entry = 0; entry < UFIBER_LATENCIES; entry++)
		stats->latency[entry] =
			atomic64_read(&domain->latency[entry]);
	uf_unlock(domain);
	return ret;
}

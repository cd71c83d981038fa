// SPDX-License-Identifier: GPL-2.0
/*
 * Whether all that the module says of a domain agrees: QUERY, STATS, and the
 * shared memory. See uf_test.h.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "uf_lib.h"

static const char *const uf_thread_states[] = {
	"FREE", "RUNNING", "BLOCKED", "RUNNABLE", "IDLE"
};

const char *uf_thread_state_name(__u32 state)
{
	return state <= UFIBER_THREAD_IDLE ? uf_thread_states[state] : "?";
}

/* What has been found so far, and what is wrong. */
struct uf_found {
	unsigned int threads, runnable, standby, vacant;
	__u64 handoffs;
	char why[200];
};

#define DIFFERS(cond, ...)						\
	do {								\
		if (cond) {						\
			snprintf(f->why, sizeof(f->why), __VA_ARGS__);	\
			return false;					\
		}							\
	} while (0)

/* The accounts of a thread: the counts, and that the times add up. */
static bool uf_thread_accounts_agree(struct uf_dom *d, __u32 id, struct uf_found *f)
{
	volatile struct ufiber_shared_thread *t = &d->threads[id];
	struct uf_joined joined = d->joined[id];
	__u64 before = uf_now(), after, sum;
	struct ufiber_stats s;
	long ret = uf_stats(d, id, UFIBER_NONE, &s);

	after = uf_now();
	DIFFERS(ret, "STATS of thread %u: %s", id, strerror(-ret));
	DIFFERS(s.thread_blocks != t->blocks, "thread %u: %llu blocks, its word says %llu",
		id, s.thread_blocks, t->blocks);
	DIFFERS(s.thread_holds != t->holds, "thread %u: %llu holds, its word says %llu",
		id, s.thread_holds, t->holds);
	DIFFERS(s.thread_preempts != t->preempts,
		"thread %u: %llu preempts, its word says %llu", id, s.thread_preempts,
		t->preempts);
	if (!joined.before)
		return true;
	sum = s.time_running + s.time_blocked + s.time_held + s.time_preempted + s.time_idle;
	DIFFERS(sum + joined.after < before || sum + joined.before > after,
		"thread %u: times add up to %llu, %llu to %llu have passed", id, sum,
		before - joined.after, after - joined.before);
	return true;
}

static bool uf_thread_agrees(struct uf_dom *d, __u32 id, struct uf_found *f)
{
	volatile struct ufiber_shared_thread *t = &d->threads[id];
	struct ufiber_query q, s;
	long ret = uf_query(d, id, UFIBER_NONE, &q);

	if (ret == -ESRCH) {
		DIFFERS(t->state != UFIBER_THREAD_FREE,
			"thread %u is not there, its state says %u", id, t->state);
		return true;
	}
	DIFFERS(ret, "QUERY of thread %u: %s", id, strerror(-ret));
	f->threads++;
	f->runnable += q.thread_state == UFIBER_THREAD_RUNNABLE;
	f->standby += !!(q.thread_flags & UFIBER_QUERY_STANDBY);
	DIFFERS((q.thread_flags & (UFIBER_QUERY_STANDBY | UFIBER_QUERY_WORK)) &&
		q.thread_state != UFIBER_THREAD_IDLE,
		"thread %u stands by and is %u", id, q.thread_state);
	DIFFERS((q.thread_flags & UFIBER_QUERY_STANDBY) && (q.thread_flags & UFIBER_QUERY_WORK),
		"thread %u waits with WORK and without", id);
	DIFFERS(t->state != q.thread_state, "thread %u is %u, its state says %u",
		id, q.thread_state, t->state);
	DIFFERS(t->server != q.thread_server, "thread %u has server %d, its word says %d",
		id, q.thread_server, t->server);
	DIFFERS((q.thread_state == UFIBER_THREAD_RUNNING) !=
		(q.thread_server != UFIBER_NONE),
		"thread %u is %u with server %d", id, q.thread_state, q.thread_server);
	if (q.thread_server == UFIBER_NONE) {
		DIFFERS(t->kicked, "thread %u is kicked, has no server", id);
		DIFFERS(q.thread_flags & UFIBER_QUERY_KICKED,
			"thread %u has the flag KICKED, but no server", id);
	} else {
		ret = uf_query(d, UFIBER_NONE, q.thread_server, &s);
		DIFFERS(ret, "QUERY of server %u: %s", q.thread_server, strerror(-ret));
		DIFFERS(s.server_thread != id, "thread %u has server %u, which has thread %d",
			id, q.thread_server, s.server_thread);
	}
	return uf_thread_accounts_agree(d, id, f);
}

static bool uf_server_accounts_agree(struct uf_dom *d, __u32 id, struct uf_found *f)
{
	volatile struct ufiber_shared_server *server = &d->servers[id];
	struct ufiber_stats s;
	long ret = uf_stats(d, UFIBER_NONE, id, &s);

	DIFFERS(ret, "STATS of server %u: %s", id, strerror(-ret));
	DIFFERS(s.server_blocks != server->blocks ||
		s.server_handoffs != server->handoffs ||
		s.server_takeovers != server->takeovers ||
		s.server_grants != server->grants ||
		s.server_preempts != server->preempts,
		"server %u: its counts in STATS are not those in its words", id);
	DIFFERS(s.server_handoffs > s.server_blocks, "server %u: %llu hand-offs, %llu blocks",
		id, s.server_handoffs, s.server_blocks);
	DIFFERS(s.server_time > uf_now() - d->opened, "server %u: held longer than it is there",
		id);
	f->handoffs += s.server_handoffs;
	return true;
}

static bool uf_server_agrees(struct uf_dom *d, __u32 id, struct uf_found *f)
{
	struct ufiber_query q, s;
	__u32 owner;
	long ret = uf_query(d, UFIBER_NONE, id, &s);

	DIFFERS(ret, "QUERY of server %u: %s", id, strerror(-ret));
	owner = d->servers[id].owner;
	switch (s.server_state) {
	case UFIBER_SERVER_VACANT:
		f->vacant++;
		DIFFERS(id >= s.nr_servers, "server %u of %u is VACANT", id, s.nr_servers);
		DIFFERS(s.server_thread != UFIBER_NONE, "server %u is VACANT, has thread %d",
			id, s.server_thread);
		DIFFERS(owner, "server %u is VACANT, its owner word is %#x", id, owner);
		break;
	case UFIBER_SERVER_OFFLINE:
		DIFFERS(id < s.nr_servers, "server %u of %u is OFFLINE", id, s.nr_servers);
		DIFFERS(s.server_thread != UFIBER_NONE, "server %u is OFFLINE, has thread %d",
			id, s.server_thread);
		DIFFERS(owner != UFIBER_OWNER(UFIBER_SERVER_OFFLINE, 0),
			"server %u is OFFLINE, its owner word is %#x", id, owner);
		break;
	default:
		DIFFERS(owner != UFIBER_OWNER(s.server_state, s.server_thread),
			"server %u: state %u, thread %d, its owner word is %#x",
			id, s.server_state, s.server_thread, owner);
		ret = uf_query(d, s.server_thread, UFIBER_NONE, &q);
		DIFFERS(ret || q.thread_server != id,
			"server %u has thread %u, which has server %d", id,
			s.server_thread, q.thread_server);
	}
	return uf_server_accounts_agree(d, id, f);
}

/* Who waits beside a server that is free? In a USER_SCHED domain, RUNNABLE may. */
static bool uf_nobody_forgotten(struct uf_dom *d, struct uf_found *f)
{
	bool user = d->setup.flags & UFIBER_SETUP_USER_SCHED;

	DIFFERS(f->vacant && (f->standby || (f->runnable && !user)),
		"%u servers VACANT beside %u RUNNABLE, %u standby", f->vacant,
		f->runnable, f->standby);
	return true;
}

static bool uf_domain_agrees(struct uf_dom *d, struct uf_found *f)
{
	struct ufiber_query q;
	struct ufiber_stats s;
	__u64 latencies = 0;
	unsigned int i;
	long ret = uf_query(d, UFIBER_NONE, UFIBER_NONE, &q);

	DIFFERS(ret, "QUERY of the domain: %s", strerror(-ret));
	DIFFERS(q.nr_threads != f->threads, "nr_threads %u, found %u", q.nr_threads, f->threads);
	DIFFERS(q.nr_runnable != f->runnable, "nr_runnable %u, found %u",
		q.nr_runnable, f->runnable);
	DIFFERS(q.nr_standby != f->standby, "nr_standby %u, found %u", q.nr_standby, f->standby);
	DIFFERS(q.nr_vacant != f->vacant, "nr_vacant %u, found %u", q.nr_vacant, f->vacant);
	DIFFERS(d->shared->nr_runnable != f->runnable, "nr_runnable %u in memory, found %u",
		d->shared->nr_runnable, f->runnable);
	DIFFERS(d->shared->nr_standby != f->standby, "nr_standby %u in memory, found %u",
		d->shared->nr_standby, f->standby);
	DIFFERS(d->shared->nr_servers != q.nr_servers, "nr_servers %u in memory, QUERY says %u",
		d->shared->nr_servers, q.nr_servers);
	DIFFERS(d->shared->ring_tail - d->shared->ring_head > d->setup.ring_entries,
		"ring: head %u, tail %u, entries %u", d->shared->ring_head,
		d->shared->ring_tail, d->setup.ring_entries);

	ret = uf_stats(d, UFIBER_NONE, UFIBER_NONE, &s);
	DIFFERS(ret, "STATS of the domain: %s", strerror(-ret));
	for (i = 0; i < UFIBER_LATENCIES; i++)
		latencies += s.latency[i];
	DIFFERS(latencies > f->handoffs, "%llu latencies of %llu hand-offs", latencies,
		f->handoffs);
	return true;
}

/*
 * Everything that can be asked is asked; the first disagreement is described.
 * Threads may be on the move, so this is repeated until all agrees.
 */
static bool uf_agrees_now(struct uf_dom *d, struct uf_found *f)
{
	unsigned int i;

	for (i = 0; i < d->setup.max_threads; i++)
		if (!uf_thread_agrees(d, i, f))
			return false;
	for (i = 0; i < d->max_servers; i++)
		if (!uf_server_agrees(d, i, f))
			return false;
	return uf_domain_agrees(d, f) && uf_nobody_forgotten(d, f);
}

bool uf_agrees(struct uf_dom *d)
{
	__u64 end = uf_now() + UF_BOUND * 1000000000ULL;

	for (;;) {
		struct uf_found found = { 0 };

		if (uf_agrees_now(d, &found))
			return true;
		if (uf_now() > end) {
			uf_dump(d, found.why);
			return false;
		}
		sched_yield();
	}
}

static void uf_dump_thread(struct uf_dom *d, __u32 id)
{
	struct ufiber_query q;
	char stat;

	if (uf_query(d, id, UFIBER_NONE, &q))
		return;
	stat = uf_proc_state(getpid(), q.thread_tid);
	fprintf(stderr, "#   thread %u: tid %u (%c, in %ld) %s, server %d, flags %#x", id,
		q.thread_tid, stat, uf_proc_syscall(q.thread_tid),
		uf_thread_state_name(q.thread_state), q.thread_server, q.thread_flags);
	if (d->map)
		fprintf(stderr,
			" (memory: %s, server %d, critical %#x, kicked %#x, priority %u, blocks %llu, holds %llu, preempts %llu)",
			uf_thread_state_name(d->threads[id].state), d->threads[id].server,
			d->threads[id].critical, d->threads[id].kicked,
			d->threads[id].priority, d->threads[id].blocks,
			d->threads[id].holds, d->threads[id].preempts);
	fprintf(stderr, "\n");
}

static void uf_dump_server(struct uf_dom *d, __u32 id)
{
	struct ufiber_query q;

	if (uf_query(d, UFIBER_NONE, id, &q))
		return;
	fprintf(stderr, "#   server %u: state %u, thread %d", id, q.server_state,
		q.server_thread);
	if (d->map)
		fprintf(stderr,
			" (memory: %#x, waiting %u, dispatches %u, blocks %llu, handoffs %llu, takeovers %llu, grants %llu, preempts %llu)",
			d->servers[id].owner, d->servers[id].waiting,
			d->servers[id].dispatches, d->servers[id].blocks,
			d->servers[id].handoffs, d->servers[id].takeovers,
			d->servers[id].grants, d->servers[id].preempts);
	fprintf(stderr, "\n");
}

void uf_dump(struct uf_dom *d, const char *why)
{
	struct ufiber_query q;
	unsigned int i;

	fprintf(stderr, "# %s\n", why);
	if (!d || uf_query(d, UFIBER_NONE, UFIBER_NONE, &q))
		return;
	fprintf(stderr, "#   domain: threads %u, servers %u, vacant %u, runnable %u, standby %u\n",
		q.nr_threads, q.nr_servers, q.nr_vacant, q.nr_runnable, q.nr_standby);
	if (d->map)
		fprintf(stderr, "#   (memory: servers %u, runnable %u, standby %u, ring %u to %u, lost %llu)\n",
			d->shared->nr_servers, d->shared->nr_runnable, d->shared->nr_standby,
			d->shared->ring_head, d->shared->ring_tail, d->shared->ring_lost);
	for (i = 0; i < d->setup.max_threads; i++)
		uf_dump_thread(d, i);
	for (i = 0; i < d->max_servers; i++)
		uf_dump_server(d, i);
}

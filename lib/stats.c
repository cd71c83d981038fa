// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Counters, added up from where they are kept. */
#include <errno.h>

#include "monitor.h"

/* Fibers that have not ended; if it says 0, there was none while it counted. */
uint64_t uf_count_fibers(const struct uf_runtime *rt)
{
	uint64_t n = 0;
	unsigned int i;

	/* The ends first: so none is seen to end that is not seen to begin. */
	for (i = 0; i < rt->nr_servers; i++)
		n -= smp_load_acquire(&rt->servers[i].ended);
	for (i = 0; i < rt->nr_servers; i++)
		n += READ_ONCE(rt->servers[i].created);
	return n + READ_ONCE(rt->created);
}

static void add_server(struct uf_stats *stats, const struct uf_runtime *rt,
		       unsigned int i)
{
	const struct ufiber_shared_server *shared = &rt->shared_servers[i];
	const struct uf_server *s = &rt->servers[i];

	stats->switches += READ_ONCE(s->switches);
	stats->wakes += READ_ONCE(s->wakes);
	stats->blocks += READ_ONCE(shared->blocks);
	stats->handoffs += READ_ONCE(shared->handoffs);
	stats->takeovers += READ_ONCE(shared->takeovers);
}

int uf_runtime_stats(const struct uf_runtime *rt, struct uf_stats *stats)
{
	unsigned int i;

	UF_CHECK_OR_NULL(RUNTIME, rt);
	UF_CHECK_GIVEN(stats);
	if (!rt) {
		struct uf_thread *t = uf_thread_self();

		if (!t)
			return -EPERM;
		rt = t->rt;
	}
	if (stats->size != sizeof(*stats))
		return -EINVAL;
	if (uf_is_parents(rt))
		return -ECHILD;
	*stats = (struct uf_stats){
		.size = sizeof(*stats),
		.fibers = uf_count_fibers(rt),
		.threads = READ_ONCE(rt->nr_threads),
		.wakes = READ_ONCE(rt->doorbell.wakes),
	};
	for (i = 0; i < rt->nr_servers; i++)
		add_server(stats, rt, i);
	if (rt->monitor) {
		stats->watched_by_perf = READ_ONCE(rt->monitor->nr_by_perf);
		stats->watched_by_proc = READ_ONCE(rt->monitor->nr_by_proc);
	}
	return 0;
}

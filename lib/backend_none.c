// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The backend that works everywhere: each server has one thread for good, so a
 * fiber that blocks in the kernel stalls its server. What would be shared with
 * the module is plain memory here, and always says that all is well.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

static int none_setup(struct uf_runtime *rt)
{
	unsigned int i;

	rt->shared_domain = calloc(1, sizeof(*rt->shared_domain));
	rt->shared_servers = calloc(rt->nr_servers, sizeof(*rt->shared_servers));
	rt->shared_threads = calloc(rt->nr_servers, sizeof(*rt->shared_threads));
	if (!rt->shared_domain || !rt->shared_servers || !rt->shared_threads)
		return uf_fail(-ENOMEM, "out of memory");
	rt->shared_domain->nr_standby = 1;
	for (i = 0; i < rt->nr_servers; i++) {
		rt->shared_servers[i].owner =
			UFIBER_OWNER(UFIBER_SERVER_HELD, i);
		rt->shared_threads[i].server = i;
	}
	return 0;
}

static void none_teardown(struct uf_runtime *rt)
{
	free(rt->shared_threads);
	free(rt->shared_servers);
	free(rt->shared_domain);
}

static unsigned int none_nr_threads(const struct uf_runtime *rt)
{
	return rt->nr_active;
}

static int none_grow(struct uf_runtime *rt, unsigned int n)
{
	return uf_threads_add(rt, n - rt->nr_threads);
}

static int none_attach(struct uf_thread *t)
{
	t->id = t - t->rt->threads;
	t->shared = &t->rt->shared_threads[t->id];
	return 0;
}

static int none_standby(struct uf_thread *t)
{
	return t->id;
}

/* For what cannot be asked for: a server that is never lost. */
static void none_nothing(struct uf_thread *t)
{
	(void)t;
}

static void none_interrupt(struct uf_thread *t, uint64_t block)
{
	(void)t, (void)block;
}

const struct uf_backend uf_backend_none = {
	.name = "none",
	.setup = none_setup,
	.teardown = none_teardown,
	.nr_threads = none_nr_threads,
	.grow = none_grow,
	.attach = none_attach,
	.detach = none_nothing,
	.standby = none_standby,
	.acquire = none_nothing,
	.cancel = none_nothing,
	.interrupt = none_interrupt,
};

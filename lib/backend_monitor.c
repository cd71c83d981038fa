// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The backend for where no module can be loaded: a watcher thread learns that a
 * server's thread has gone to sleep in the kernel and gives its server to
 * another thread. What would be shared with the module is plain memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "membarrier.h"
#include "monitor.h"

static int alloc_shared(struct uf_runtime *rt)
{
	unsigned int i;

	rt->shared_domain = calloc(1, sizeof(*rt->shared_domain));
	rt->shared_servers = calloc(rt->nr_servers, sizeof(*rt->shared_servers));
	rt->shared_threads =
		calloc(rt->max_threads, sizeof(*rt->shared_threads));
	if (!rt->shared_domain || !rt->shared_servers || !rt->shared_threads)
		return uf_fail(-ENOMEM, "out of memory");
	rt->shared_domain->nr_servers = rt->nr_servers;
	for (i = rt->nr_active; i < rt->nr_servers; i++)
		rt->shared_servers[i].owner =
			UFIBER_OWNER(UFIBER_SERVER_OFFLINE, 0);
	for (i = 0; i < rt->max_threads; i++)
		rt->shared_threads[i].server = UFIBER_NONE;
	return 0;
}

static int alloc_monitor(struct uf_runtime *rt)
{
	struct uf_monitor *m = calloc(1, sizeof(*m));
	unsigned int i;

	rt->monitor = m;
	if (!m)
		return uf_fail(-ENOMEM, "out of memory");
	m->rt = rt;
	m->epoll = -1;
	m->wake_fd = -1;
	m->runnable_end = &m->runnable;
	pthread_mutex_init(&m->lock, NULL);
	m->threads = calloc(rt->max_threads, sizeof(*m->threads));
	m->switches = calloc(rt->nr_servers, sizeof(*m->switches));
	if (!m->threads || !m->switches)
		return uf_fail(-ENOMEM, "out of memory");
	for (i = 0; i < rt->max_threads; i++) {
		m->threads[i].ring_fd = -1;
		m->threads[i].stat_fd = -1;
	}
	return 0;
}

/* Perf if it can be had, unless the user wants it otherwise. */
static int choose_source(struct uf_monitor *m)
{
	const char *name = getenv("UFIBER_MONITOR");
	int error;

	if (name && !strcmp(name, "proc")) {
		strcpy(m->why, "UFIBER_MONITOR says \"proc\"");
		return 0;
	}
	m->perf_only = name && !strcmp(name, "perf");
	if (name && !m->perf_only)
		return uf_fail(-EINVAL,
			       "the environment's UFIBER_MONITOR is \"%s\": there are \"perf\" and \"proc\"",
			       name);
	error = uf_perf_probe(m->why, sizeof(m->why));
	m->perf = !error;
	if (error && m->perf_only)
		return uf_fail(error,
			       "the environment's UFIBER_MONITOR is \"perf\", but %s",
			       m->why);
	return 0;
}

/* See take(): threads enter the critical section without a barrier. */
static int check_membarrier(void)
{
	if (uf_no_membarrier && !UF_SAN_THREAD)
		return uf_fail(
			-ENOSYS,
			"backend \"monitor\" needs membarrier(2): this kernel has none (CONFIG_MEMBARRIER), or a seccomp profile forbids it");
	return 0;
}

static int monitor_setup(struct uf_runtime *rt)
{
	int error = alloc_shared(rt);

	if (!error)
		error = alloc_monitor(rt);
	if (!error)
		error = choose_source(rt->monitor);
	if (!error)
		error = check_membarrier();
	if (!error)
		error = uf_monitor_start(rt->monitor);
	return error;
}

static void free_monitor(struct uf_monitor *m)
{
	uf_monitor_stop(m);
	pthread_mutex_destroy(&m->lock);
	free(m->switches);
	free(m->threads);
	free(m);
}

static void monitor_teardown(struct uf_runtime *rt)
{
	if (rt->monitor)
		free_monitor(rt->monitor);
	free(rt->shared_threads);
	free(rt->shared_servers);
	free(rt->shared_domain);
	rt->monitor = NULL;
	rt->shared_threads = NULL;
	rt->shared_servers = NULL;
	rt->shared_domain = NULL;
}

/*
 * A thread that has no perf event (its ring has no room in RLIMIT_MEMLOCK, say)
 * is watched through /proc; one that has no descriptor for that either serves
 * unwatched: what blocks there stalls the server, as if no thread had come.
 */
static int monitor_attach(struct uf_thread *t)
{
	struct uf_monitor *m = t->rt->monitor;
	struct uf_monitor_thread *mt = uf_monitor_self(t);

	t->id = t - t->rt->threads;
	t->shared = &t->rt->shared_threads[t->id];
	if (m->perf && uf_perf_attach(m, mt))
		fetch_add(&m->nr_by_perf, 1);
	else if (!m->perf_only && uf_proc_attach(mt))
		fetch_add(&m->nr_by_proc, 1);
	pthread_mutex_lock(&m->lock);
	mt->thread = t;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

/* A signal could do it, but the program has the signals. */
static void monitor_interrupt(struct uf_thread *t, uint64_t block)
{
	(void)t, (void)block;
}

const struct uf_backend uf_backend_monitor = {
	.name = "monitor",
	.setup = monitor_setup,
	.teardown = monitor_teardown,
	.nr_threads = uf_threads_with_spares,
	.grow = uf_monitor_grow,
	.attach = monitor_attach,
	.detach = uf_monitor_leave,
	.standby = uf_monitor_standby,
	.acquire = uf_monitor_acquire,
	.cancel = uf_monitor_cancel,
	.interrupt = monitor_interrupt,
	.watch = uf_monitor_watch,
};

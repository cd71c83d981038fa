// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A runtime's creation and end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "futex.h"
#include "internal.h"
#include "overflow.h"

/* Entries of the ring that plain threads send from, one at a time. */
#define UF_DOORBELL_ENTRIES 4

/* From best to worst. */
static const struct uf_backend *const backends[] = {
	&uf_backend_module,
	&uf_backend_monitor,
	&uf_backend_none,
};

#define NR_BACKENDS (sizeof(backends) / sizeof(backends[0]))

/* The runtime is needed until uf_runtime_put(). */
void uf_runtime_get(struct uf_runtime *rt)
{
	fetch_add(&rt->users, 1);
}

/* The runtime may be gone once the last user has put it: only wake then. */
void uf_runtime_put(struct uf_runtime *rt)
{
	if (fetch_add(&rt->users, -1) == 1)
		uf_futex_wake(&rt->users);
}

/* Why a thread that is not its own may not make fibers in it, or 0. */
int uf_runtime_refuses(const struct uf_runtime *rt)
{
	if (uf_is_parents(rt))
		return -ECHILD;
	return READ_ONCE(rt->stop) ? -ESHUTDOWN : 0;
}

/* Wait until nobody is left who has just made a fiber ready. */
static void await_users(struct uf_runtime *rt)
{
	uint32_t users;

	while ((users = smp_load_acquire(&rt->users)))
		uf_futex_wait(&rt->users, users);
}

/* A backend whose setup has failed is torn down as one that has not. */
static int try_backend(struct uf_runtime *rt, const struct uf_backend *backend)
{
	int error;

	if (rt->quantum && backend != &uf_backend_module)
		return uf_fail(
			-EOPNOTSUPP,
			"config.quantum is set, but only backend \"module\" can preempt: load the module (README.md, \"Loading the module\"), or set it to 0");
	rt->backend = backend;
	error = backend->setup(rt);
	if (error) {
		backend->teardown(rt);
		rt->backend = NULL;
	}
	return error;
}

static int choose_backend(struct uf_runtime *rt, const char *name)
{
	unsigned int i;
	int error = 0;

	for (i = 0; i < NR_BACKENDS; i++) {
		if (name && strcmp(name, backends[i]->name))
			continue;
		error = try_backend(rt, backends[i]);
		if (!error || name)
			return error;
	}
	if (!name)
		return error;
	return uf_fail(-EINVAL,
		       "backend \"%s\" (of config.backend, or else the environment's UFIBER_BACKEND) is unknown: there are \"module\", \"monitor\" and \"none\"",
		       name);
}

static int ring_error(int error)
{
	switch (error) {
	case -EPERM:
	case -EACCES:
		return uf_fail(
			-EPERM,
			"io_uring is forbidden here: see the sysctl kernel.io_uring_disabled (0 allows it), or the container's seccomp profile");
	case -ENOSYS:
		return uf_fail(
			-ENOSYS,
			"this kernel has no io_uring (CONFIG_IO_URING), or a seccomp profile hides it");
	case -EINVAL:
		return uf_fail(
			-ENOSYS,
			"this kernel's io_uring is too old: Linux 6.1 is needed");
	case -ENOMEM:
		return uf_fail(
			-ENOMEM,
			"no memory for the io_uring rings: raise RLIMIT_MEMLOCK (ulimit -l) or the memory cgroup's limit, or lower config.ring_entries");
	default:
		return uf_fail(error, "cannot create an io_uring ring: %s",
			       strerrordesc_np(-error));
	}
}

static int create_rings(struct uf_runtime *rt)
{
	unsigned int i;
	int error;

	error = uf_ring_init(&rt->doorbell.ring, UF_DOORBELL_ENTRIES);
	for (i = 0; i < rt->nr_servers && !error; i++)
		error = uf_ring_init(&rt->servers[i].ring, rt->ring_entries);
	return error ? ring_error(error) : 0;
}

static void destroy_ring(struct io_uring *ring)
{
	if (ring->ring_fd >= 0)
		io_uring_queue_exit(ring);
}

static void destroy_rings(struct uf_runtime *rt)
{
	unsigned int i;

	for (i = 0; i < rt->nr_servers; i++)
		destroy_ring(&rt->servers[i].ring);
	destroy_ring(&rt->doorbell.ring);
}

static void *alloc_array(size_t n, size_t size)
{
	void *array = aligned_alloc(UF_CACHE_LINE, n * size);

	array = uf_check_fresh(array, UF_CACHE_LINE, n * size);
	if (array)
		memset(array, 0, n * size);
	return array;
}

static void free_runtime(struct uf_runtime *rt)
{
	if (!rt)
		return;
	uf_offload_stop(&rt->offload);
	uf_stacks_destroy(&rt->stacks);
	pthread_mutex_destroy(&rt->resizing);
	pthread_mutex_destroy(&rt->doorbell.lock);
	free(rt->policy_memory);
	free(rt->threads);
	free(rt->servers);
	free(rt);
}

static void init_server(struct uf_server *s, bool retired)
{
	uf_bias_init(&s->runq.lock);
	s->spin = UF_SPIN_MIN;
	s->look = UF_LOOK_MIN_NS;
	s->ring.ring_fd = -1;
	s->retired = retired;
}

static struct uf_runtime *alloc_runtime(const struct uf_config *config)
{
	struct uf_runtime *rt = alloc_array(1, sizeof(*rt));
	unsigned int i;

	if (!rt)
		return NULL;
	if (uf_fork_init()) {
		free(rt);
		return NULL;
	}
	uf_membarrier_init();
	if (uf_offload_init(&rt->offload, config->offload_threads)) {
		free(rt);
		return NULL;
	}
	pthread_mutex_init(&rt->doorbell.lock, NULL);
	uf_stacks_init(&rt->stacks);
	rt->fd = -1;
	rt->forks = uf_forks;
	pthread_mutex_init(&rt->resizing, NULL);
	rt->nr_servers = config->max_servers;
	rt->nr_active = config->servers;
	rt->nr_started = config->servers;
	rt->max_threads = config->max_threads;
	rt->stack_size = config->stack_size;
	rt->quantum = config->quantum;
	rt->ring_entries = config->ring_entries;
	rt->caller_serves = config->flags & UF_CALLER_SERVES;
	rt->report_overflow = !(config->flags & UF_NO_OVERFLOW_REPORT);
	rt->servers = alloc_array(rt->nr_servers, sizeof(*rt->servers));
	rt->threads = alloc_array(rt->max_threads, sizeof(*rt->threads));
	if (!rt->servers || !rt->threads) {
		free_runtime(rt);
		return NULL;
	}
	rt->doorbell.ring.ring_fd = -1;
	for (i = 0; i < rt->nr_servers; i++)
		init_server(&rt->servers[i], i >= rt->nr_active);
	return rt;
}

/* Undo start(), however far it got. */
static void stop(struct uf_runtime *rt)
{
	if (READ_ONCE(rt->nr_threads) && !rt->stopped)
		uf_threads_stop(rt);
	if (rt->report_overflow)
		uf_overflow_stop();
	destroy_rings(rt);
	if (rt->backend)
		rt->backend->teardown(rt);
}

static int start(struct uf_runtime *rt, const struct uf_config *config)
{
	int error;

	if (rt->report_overflow)
		uf_overflow_start();
	error = choose_backend(rt, config->backend);
	if (!error)
		error = create_rings(rt);
	if (!error)
		error = uf_policy_setup(rt, config->policy);
	if (!error)
		error = uf_debug_setup(rt, config);
	if (!error)
		error = uf_threads_start(rt);
	return error;
}

int uf_runtime_create(struct uf_runtime **rt, const struct uf_config *config)
{
	struct uf_config values;
	struct uf_runtime *new;
	int error;

	UF_CHECK_GIVEN(rt);
	if (uf_self())
		return uf_fail(
			-EDEADLK,
			"a fiber would block its server while the threads start: create runtimes from plain threads");
	error = uf_config_read(&values, config);
	if (error)
		return error;
	new = alloc_runtime(&values);
	if (!new)
		return uf_fail(-ENOMEM, "out of memory");
	error = start(new, &values);
	if (error) {
		stop(new);
		free_runtime(new);
		return error;
	}
	uf_debug_add(new);
	uf_fail(0, "%s", ""); /* backends that were tried have left theirs */
	uf_check_born(UF_KIND_RUNTIME, new);
	*rt = new;
	return 0;
}

int uf_runtime_destroy(struct uf_runtime *rt)
{
	if (!rt)
		return 0;
	UF_CHECK(RUNTIME, rt);
	if (uf_self())
		return -EDEADLK;
	if (uf_is_parents(rt))
		return -ECHILD;
	if (rt->caller_serves && !rt->stopped) {
		int error = uf_runtime_serve(rt);

		if (error)
			return error;
	}
	uf_drain(rt, UF_FOREVER);
	await_users(rt);
	uf_debug_remove(rt);
	stop(rt);
	uf_check_runtime_gone(rt);
	free_runtime(rt);
	return 0;
}

int uf_run(const struct uf_config *config, void *(*start)(void *), void *arg,
	   void **value)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	int error, end_error;

	if (!start)
		return uf_fail(-EINVAL, "start is NULL");
	error = uf_runtime_create(&rt, config);
	if (error)
		return error;
	error = uf_create(rt, &fiber, NULL, start, arg);
	if (!error && rt->caller_serves)
		error = uf_runtime_serve(rt);
	if (!error)
		error = uf_join(fiber, value);
	end_error = uf_runtime_destroy(rt);
	return error ? error : end_error;
}

const char *uf_runtime_backend(const struct uf_runtime *rt)
{
	UF_CHECK_OR_NULL(RUNTIME, rt);
	if (!rt) {
		struct uf_thread *t = uf_thread_self();

		if (!t)
			return NULL;
		rt = t->rt;
	}
	return rt->backend->name;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The kernel threads of a runtime: their start, their base loop, their end. */
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "futex.h"
#include "internal.h"
#include "overflow.h"

/* A base context runs the scheduler and signal handlers; fibers have their own. */
#define UF_THREAD_STACK (128 * 1024 + UF_SIGNAL_STACK)

/* At first beside the servers' threads: the next two blocks find a standby. */
#define UF_SPARE_THREADS 2

/* After a failure to start a thread, how long not to try again. */
#define UF_SPAWN_PAUSE_NS 10000000

__thread struct uf_thread *uf_this_thread;

/* The calling thread is none of a runtime's any more. */
void uf_thread_forget(void)
{
	uf_this_thread = NULL;
}

/*
 * Of those that rt->spawning waits for, the new threads and who starts them, so
 * many are done: where they shall be, or failed. Only then may others be
 * started: rt->nr_threads is the starter's until then.
 */
static void started(struct uf_runtime *rt, unsigned int n)
{
	if (fetch_add(&rt->starting, -n) != n)
		return;
	smp_store_release(&rt->spawning, 0);
	uf_futex_wake(&rt->starting);
}

/* The starter is done, and waits for the others. */
static void await_started(struct uf_runtime *rt)
{
	uint32_t left;

	started(rt, 1);
	while ((left = smp_load_acquire(&rt->starting)))
		uf_futex_wait(&rt->starting, left);
}

/* Nobody serves before the caller of uf_runtime_serve(), if there shall be one. */
static void await_open(struct uf_runtime *rt)
{
	while (!smp_load_acquire(&rt->open))
		uf_futex_wait(&rt->open, 0);
}

static void open_all(struct uf_runtime *rt)
{
	if (likely(READ_ONCE(rt->open)))
		return;
	smp_store_release(&rt->open, 1);
	uf_futex_wake(&rt->open);
}

static void serve(struct uf_thread *t)
{
	const struct uf_backend *backend = t->rt->backend;
	struct uf_signal_stack signal_stack;

	signal_stack.set = false;
	if (t->rt->report_overflow)
		uf_signal_stack_set(&signal_stack);
	WRITE_ONCE(t->shared->critical, 1);
	while (!READ_ONCE(t->rt->stop) && backend->standby(t) >= 0) {
		open_all(t->rt);
		uf_serve(t);
	}
	uf_signal_stack_unset(&signal_stack);
}

/* The calling thread is this one of the runtime's from now on. */
static void be_thread(struct uf_thread *t)
{
	uf_this_thread = t;
	WRITE_ONCE(t->tid, gettid());
	uf_san_own_stack(&t->base.san);
}

static void *thread_main(void *arg)
{
	struct uf_thread *t = arg;
	const struct uf_backend *backend = t->rt->backend;
	int error;

	be_thread(t);
	error = backend->attach(t);
	if (error)
		WRITE_ONCE(t->rt->start_error, error);
	started(t->rt, 1);
	if (error)
		return NULL;

	await_open(t->rt);
	serve(t);
	backend->detach(t);
	return NULL;
}

static struct uf_thread *init_thread(struct uf_runtime *rt, uint32_t index)
{
	struct uf_thread *t = &rt->threads[index];

	t->rt = rt;
	t->number = index + 1;
	t->id = UFIBER_NONE;
	return t;
}

/* Start one more thread; the caller has set rt->spawning. */
static int spawn(struct uf_runtime *rt)
{
	struct uf_thread *t = init_thread(rt, rt->nr_threads);
	pthread_attr_t attr;
	int error;

	error = pthread_attr_init(&attr);
	if (error)
		return -error;
	pthread_attr_setstacksize(&attr, UF_THREAD_STACK);
	error = pthread_create(&t->pthread, &attr, thread_main, t);
	pthread_attr_destroy(&attr);
	if (error)
		return -error;
	smp_store_release(&rt->nr_threads, rt->nr_threads + 1);
	return 0;
}

static bool may_spawn(struct uf_runtime *rt)
{
	return READ_ONCE(rt->nr_threads) < rt->max_threads &&
	       READ_ONCE(rt->spawn_after) <= uf_now();
}

/**
 * uf_spawn_standby - start a thread, so that the next block finds a standby
 * @t: the calling thread, in its base context and the critical section.
 *
 * pthread_create() takes locks that fiber code can hold, so the critical
 * section is left for it: the thread may come back with another server. That no
 * thread can be started is no error: a block then leaves the server vacant
 * until it ends.
 *
 * Returns true if there is to be looked again whether there is a standby: the
 * new one may have got a server already, and then did not start the next, as
 * we were not done. False: one is on its way, or none can be started.
 */
bool uf_spawn_standby(struct uf_thread *t)
{
	struct uf_runtime *rt = t->rt;
	bool spawned;

	if (!may_spawn(rt) || cmpxchg(&rt->spawning, 0, 1))
		return false;
	uf_leave(t);
	rt->starting = 2;
	spawned = !READ_ONCE(rt->stop) && may_spawn(rt) && !spawn(rt);
	if (!spawned) {
		WRITE_ONCE(rt->spawn_after, uf_now() + UF_SPAWN_PAUSE_NS);
		started(rt, 1);
	}
	started(rt, 1);
	uf_enter_self(t);
	return spawned;
}

/**
 * uf_threads_with_spares - threads to start with where a server can be taken over
 * @rt: the runtime.
 */
unsigned int uf_threads_with_spares(const struct uf_runtime *rt)
{
	unsigned int n = rt->nr_active + UF_SPARE_THREADS;

	return n < rt->max_threads ? n : rt->max_threads;
}

/**
 * uf_threads_start - start a runtime's first threads and wait for them
 * @rt: the runtime.
 *
 * Returns 0 or a negative errno; uf_threads_stop() is due in either case.
 */
int uf_threads_start(struct uf_runtime *rt)
{
	unsigned int n = rt->backend->nr_threads(rt) - rt->caller_serves;
	unsigned int i;
	int error;

	if (rt->caller_serves)
		init_thread(rt, rt->nr_threads++);
	else
		rt->open = 1;
	rt->spawning = 1;
	rt->starting = n + 1;
	for (i = 0; i < n; i++) {
		error = spawn(rt);
		if (!error)
			continue;
		started(rt, n - i + 1);
		return uf_fail(error,
			       "cannot start thread %u of %u: %s; see ulimit -u, the cgroup's pids.max, kernel.threads-max",
			       i + 1, n, strerrordesc_np(-error));
	}
	await_started(rt);
	error = READ_ONCE(rt->start_error);
	if (error)
		return uf_fail(error, "a thread cannot join the runtime: %s",
			       strerrordesc_np(-error));
	return 0;
}

/**
 * uf_threads_add - start more threads and wait for them
 * @rt: the runtime; @n: how many.
 *
 * Returns 0 or a negative errno; then there can be some more.
 */
int uf_threads_add(struct uf_runtime *rt, unsigned int n)
{
	int error = 0;

	for (; n && !error; n--) {
		while (cmpxchg(&rt->spawning, 0, 1))
			sched_yield();
		rt->starting = 2;
		error = spawn(rt);
		if (error)
			started(rt, 1);
		await_started(rt);
	}
	return error;
}

/**
 * uf_threads_end - have all threads come out of what they do
 * @rt: the runtime, without fibers. The caller may be one of its threads.
 *
 * The flag is set before the wake-ups: a thread reads it after it has announced
 * its sleep (see idle.c), or after it has set @spawning, and the module keeps a
 * cancellation for a thread that is not in standby yet.
 */
void uf_threads_end(struct uf_runtime *rt)
{
	unsigned int i;

	xchg(&rt->stop, 1);
	for (i = 0; i < rt->nr_servers; i++)
		uf_doorbell_poke(&rt->doorbell, &rt->servers[i]);
	if (rt->caller_serves)
		rt->backend->cancel(&rt->threads[0]);
}

/**
 * uf_threads_stop - end all threads of a runtime that has no fibers
 * @rt: the runtime. The caller is none of them any more.
 */
void uf_threads_stop(struct uf_runtime *rt)
{
	unsigned int i;

	uf_threads_end(rt);
	open_all(rt);
	while (smp_load_acquire(&rt->spawning))
		sched_yield();
	for (i = 0; i < rt->nr_threads; i++)
		rt->backend->cancel(&rt->threads[i]);
	for (i = rt->caller_serves; i < rt->nr_threads; i++)
		pthread_join(rt->threads[i].pthread, NULL);
	rt->stopped = true;
}

/**
 * uf_threads_serve - be one of a runtime's threads until they are to end
 * @rt: the runtime; nobody serves yet.
 *
 * Returns 0, or a negative errno if the calling thread cannot join.
 */
int uf_threads_serve(struct uf_runtime *rt)
{
	struct uf_thread *t = &rt->threads[0];
	int error;

	be_thread(t);
	error = rt->backend->attach(t);
	if (!error) {
		serve(t);
		rt->backend->detach(t);
	}
	uf_thread_forget();
	return error;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Calls that are known to block, and the plain threads that make them: one more is
 * started when a call finds none idle that no other call counts on, up to a bound, and
 * each ends when it has been idle for long.
 *
 * Invariant: each job that has not begun has an idle thread of its own, unless there
 * are as many as there may be, or no more can be had. So a call never waits for the end
 * of another one that it could run beside; that one may be waiting for it.
 *
 * The pool's lock may be taken in the critical section: who holds it is there, too,
 * or is a thread of the pool, which needs no server.
 */
#include <errno.h>
#include <time.h>

#include "wait.h"

#define UF_OFFLOAD_STACK (256 * 1024)
#define UF_OFFLOAD_IDLE_S 10

/* A call, on the stack of who waits for it; under the pool's lock but for @value. */
struct uf_job {
	struct uf_job *next;
	void *(*call)(void *arg);
	void *arg;
	void *value;
	bool begun;
	bool done;
	struct uf_wait *wait;
};

/* ------------------------------------------------------ the pool's threads */

static struct uf_job *take_job(struct uf_offload *pool)
{
	struct uf_job *job = pool->head;

	if (!job)
		return NULL;
	pool->head = job->next;
	pool->nr_jobs--;
	job->begun = true;
	return job;
}

/* The lock is dropped meanwhile. */
static void run_job(struct uf_offload *pool, struct uf_job *job)
{
	struct uf_wait *wait;

	pthread_mutex_unlock(&pool->lock);
	job->value = job->call(job->arg);
	pthread_mutex_lock(&pool->lock);
	job->done = true;
	/* If a cancel was first, who waits sees that it is done, or begins anew. */
	wait = uf_wait_claim(job->wait) ? job->wait : NULL;
	pthread_mutex_unlock(&pool->lock);
	if (wait)
		uf_wait_wake(NULL, wait);
	pthread_mutex_lock(&pool->lock);
}

/* For a job, or for long: then not 0. The lock is dropped meanwhile. */
static int wait_for_long(struct uf_offload *pool)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += UF_OFFLOAD_IDLE_S;
	return pthread_cond_timedwait(&pool->more, &pool->lock, &until);
}

/*
 * Returns false if it has been idle for long, or all shall end. It stays if a job
 * that is about to be appended counts on it.
 */
static bool wait_for_job(struct uf_offload *pool)
{
	int error = 0;

	pool->nr_idle++;
	while (!pool->head && !pool->stop &&
	       (!error || pool->nr_jobs >= pool->nr_idle))
		error = wait_for_long(pool);
	pool->nr_idle--;
	return pool->head;
}

static void *pool_main(void *arg)
{
	struct uf_offload *pool = arg;
	struct uf_job *job;
	pthread_t before;
	bool has_before;

	pthread_mutex_lock(&pool->lock);
	pool->nr_idle--;
	do {
		while ((job = take_job(pool)))
			run_job(pool, job);
	} while (wait_for_job(pool));
	before = pool->ended;
	has_before = pool->has_ended;
	pool->ended = pthread_self();
	pool->has_ended = true;
	if (!--pool->nr_threads)
		pthread_cond_signal(&pool->none);
	pthread_mutex_unlock(&pool->lock);
	if (has_before)
		pthread_join(before, NULL);
	return NULL;
}

/* ------------------------------------------------------------ the pool */

int uf_offload_init(struct uf_offload *pool, unsigned int max_threads)
{
	pthread_condattr_t attr;
	int error;

	*pool = (struct uf_offload){ .max_threads = max_threads };
	error = pthread_condattr_init(&attr);
	if (error)
		return -error;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->more, &attr);
	pthread_cond_init(&pool->none, NULL);
	pthread_condattr_destroy(&attr);
	return 0;
}

/* End the threads; nobody calls any more. */
void uf_offload_stop(struct uf_offload *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->more);
	while (pool->nr_threads)
		pthread_cond_wait(&pool->none, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	if (pool->has_ended)
		pthread_join(pool->ended, NULL);
	pthread_cond_destroy(&pool->none);
	pthread_cond_destroy(&pool->more);
	pthread_mutex_destroy(&pool->lock);
}

static int start_thread(struct uf_offload *pool)
{
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	error = pthread_attr_init(&attr);
	if (error)
		return -error;
	pthread_attr_setstacksize(&attr, UF_OFFLOAD_STACK);
	error = pthread_create(&thread, &attr, pool_main, pool);
	pthread_attr_destroy(&attr);
	return -error;
}

/* ------------------------------------------------------------------ calls */

/*
 * See to it that there is a thread for one more job. Not in the critical section:
 * what starts a thread takes locks that fiber code can hold.
 */
static int have_a_thread(struct uf_offload *pool)
{
	bool start;
	int error;

	pthread_mutex_lock(&pool->lock);
	start = pool->nr_jobs >= pool->nr_idle &&
		pool->nr_threads < pool->max_threads;
	pool->nr_jobs++;
	pool->nr_threads += start;
	pool->nr_idle += start;
	pthread_mutex_unlock(&pool->lock);
	error = start ? start_thread(pool) : 0;
	if (!error)
		return 0;
	pthread_mutex_lock(&pool->lock);
	pool->nr_idle--;
	if (--pool->nr_threads)
		error = 0; /* another one will come to it */
	else
		pool->nr_jobs--;
	pthread_mutex_unlock(&pool->lock);
	return error;
}

static void append_job(struct uf_offload *pool, struct uf_job *job)
{
	job->next = NULL;
	if (pool->head)
		pool->tail->next = job;
	else
		pool->head = job;
	pool->tail = job;
	pthread_cond_signal(&pool->more);
}

static void remove_job(struct uf_offload *pool, struct uf_job *job)
{
	struct uf_job **at = &pool->head, *before = NULL;

	while (*at != job) {
		before = *at;
		at = &before->next;
	}
	*at = job->next;
	pool->nr_jobs--;
	if (pool->tail == job)
		pool->tail = before;
}

const struct uf_what uf_what_offload = { "offload", 0 };

/*
 * The wait has ended by a cancel or a deadline. Take the job back, if it has not
 * begun; else wait for its end, whatever happens.
 */
static int take_back(struct uf_thread **t, struct uf_offload *pool,
		     struct uf_job *job, int error)
{
	struct uf_fiber *self = (*t)->current;

	pthread_mutex_lock(&pool->lock);
	if (!job->begun) {
		remove_job(pool, job);
		pthread_mutex_unlock(&pool->lock);
		return error;
	}
	if (job->done) {
		pthread_mutex_unlock(&pool->lock);
		return 0;
	}
	self->shields++;
	job->wait = uf_wait_begin(*t, NULL, &uf_what_offload, (void *)job->call);
	pthread_mutex_unlock(&pool->lock);
	error = uf_wait_end(t, job->wait, UF_FOREVER);
	self->shields--;
	return error;
}

int uf_offload(void *(*call)(void *arg), void *arg, void **value)
{
	struct uf_job job = { .call = call, .arg = arg };
	struct uf_thread *t = uf_thread_self();
	struct uf_offload *pool;
	int error = 0;

	if (!call)
		return -EINVAL;
	if (!t) {
		job.value = call(arg);
	} else {
		pool = &t->rt->offload;
		error = have_a_thread(pool);
		if (error)
			return error;
		t = uf_enter();
		job.wait =
			uf_wait_begin(t, NULL, &uf_what_offload, (void *)call);
		pthread_mutex_lock(&pool->lock);
		append_job(pool, &job);
		pthread_mutex_unlock(&pool->lock);
		error = uf_wait_end(&t, job.wait, UF_FOREVER);
		if (error)
			error = take_back(&t, pool, &job, error);
		uf_leave(t);
	}
	if (!error && value)
		*value = job.value;
	return error;
}

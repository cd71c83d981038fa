// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What threads cost. */
#include <pthread.h>
#include <sched.h>

#include "peer.h"

static pthread_t create(void *(*start)(void *), void *arg)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, start, arg);

	if (error)
		peer_die("pthread_create", error);
	return thread;
}

/* ------------------------------------------------------------------- yield */

static struct peer_ring ring;

static void yield(void)
{
	sched_yield();
}

static void *member(void *unused)
{
	(void)unused;
	peer_ring_member(&ring, yield);
	return NULL;
}

static void run_yield(const char *work, long n)
{
	long i;

	peer_one_cpu();
	peer_ring_init(&ring, n);
	for (i = 1; i < n; i++)
		create(member, NULL);
	pthread_join(create(member, NULL), NULL);
	peer_ring_report(work, &ring);
	peer_done();
}

/* ------------------------------------------------------------------- spawn */

static void *empty(void *arg)
{
	return arg;
}

static void spawn_batch(void *unused, long times)
{
	long i;

	(void)unused;
	for (i = 0; i < times; i++)
		pthread_join(create(empty, NULL), NULL);
}

static void run_spawn(const char *work, long n)
{
	(void)n;
	peer_measure(work, spawn_batch, NULL, 1);
}

/* ----------------------------------------------------------------- channel */

/* Room for one value. */
struct slot {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool full;
	long value;
};

static struct slot there = { .mutex = PTHREAD_MUTEX_INITIALIZER,
			     .changed = PTHREAD_COND_INITIALIZER };
static struct slot back = { .mutex = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER };

static void put(struct slot *slot, long value)
{
	pthread_mutex_lock(&slot->mutex);
	while (slot->full)
		pthread_cond_wait(&slot->changed, &slot->mutex);
	slot->full = true;
	slot->value = value;
	pthread_cond_signal(&slot->changed);
	pthread_mutex_unlock(&slot->mutex);
}

static long get(struct slot *slot)
{
	long value;

	pthread_mutex_lock(&slot->mutex);
	while (!slot->full)
		pthread_cond_wait(&slot->changed, &slot->mutex);
	slot->full = false;
	value = slot->value;
	pthread_cond_signal(&slot->changed);
	pthread_mutex_unlock(&slot->mutex);
	return value;
}

#include "hand_off.h"

static void run_channel_two(const char *work, long n)
{
	(void)n;
	create(echo, NULL);
	peer_measure(work, hand_off_batch, NULL, 2);
	peer_done();
}

static void run_channel_one(const char *work, long n)
{
	peer_one_cpu();
	run_channel_two(work, n);
}

/* ------------------------------------------------------------------- mutex */

static void mutex_batch(void *arg, long times)
{
	long i;

	for (i = 0; i < times; i++) {
		pthread_mutex_lock(arg);
		pthread_mutex_unlock(arg);
	}
}

/* While there is one thread only the C library's mutex is none. */
static void run_mutex(const char *work, long n)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	(void)n;
	create(echo, NULL);
	peer_measure(work, mutex_batch, &mutex, 1);
	peer_done();
}

static const struct peer_work works[] = {
	{ "yield-", run_yield, 1000 },
	{ "spawn-join", run_spawn, 0 },
	{ "channel-one-server", run_channel_one, 0 },
	{ "channel-two-servers", run_channel_two, 0 },
	{ "mutex-uncontended", run_mutex, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "threads", works);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What State Threads cost. It has no yield but a sleep of no time, and no channel:
 * a slot for one value and its condition stand for it. No lock is needed for
 * that, as there is one thread and no preemption.
 */
#include <errno.h>
#include <st.h>

#include "peer.h"

static void begin(void)
{
	if (st_init())
		peer_die("st_init", errno);
}

static st_thread_t create(void *(*start)(void *), int joinable)
{
	st_thread_t thread = st_thread_create(start, NULL, joinable, 65536);

	if (!thread)
		peer_die("st_thread_create", errno);
	return thread;
}

/* ------------------------------------------------------------------- yield */

static struct peer_ring ring;

static void yield(void)
{
	st_usleep(0);
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

	begin();
	peer_ring_init(&ring, n);
	for (i = 1; i < n; i++)
		create(member, 0);
	st_thread_join(create(member, 1), NULL);
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
		st_thread_join(create(empty, 1), NULL);
}

static void run_spawn(const char *work, long n)
{
	(void)n;
	begin();
	peer_measure(work, spawn_batch, NULL, 1);
}

/* ----------------------------------------------------------------- channel */

struct slot {
	st_cond_t filled;
	bool full;
	long value;
};

static struct slot there, back;

static void put(struct slot *slot, long value)
{
	slot->value = value;
	slot->full = true;
	st_cond_signal(slot->filled);
}

static long get(struct slot *slot)
{
	while (!slot->full)
		st_cond_wait(slot->filled);
	slot->full = false;
	return slot->value;
}

#include "hand_off.h"

static void run_channel(const char *work, long n)
{
	(void)n;
	begin();
	there.filled = st_cond_new();
	back.filled = st_cond_new();
	create(echo, 0);
	peer_measure(work, hand_off_batch, NULL, 2);
	peer_done();
}

/* ------------------------------------------------------------------- mutex */

static void mutex_batch(void *mutex, long times)
{
	long i;

	for (i = 0; i < times; i++) {
		st_mutex_lock(mutex);
		st_mutex_unlock(mutex);
	}
}

static void run_mutex(const char *work, long n)
{
	(void)n;
	begin();
	peer_measure(work, mutex_batch, st_mutex_new(), 1);
}

static const struct peer_work works[] = {
	{ "yield-", run_yield, 100000 },
	{ "spawn-join", run_spawn, 0 },
	{ "channel-one-server", run_channel, 0 },
	{ "mutex-uncontended", run_mutex, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "st", works);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What GNU Pth's threads cost. A message port stands for a channel. */
#include <errno.h>
#include <pth.h>

#include "peer.h"

static void begin(void)
{
	if (!pth_init())
		peer_die("pth_init", errno);
}

static pth_t create(void *(*start)(void *))
{
	pth_t thread = pth_spawn(PTH_ATTR_DEFAULT, start, NULL);

	if (!thread)
		peer_die("pth_spawn", errno);
	return thread;
}

/* ------------------------------------------------------------------- yield */

static struct peer_ring ring;

static void yield(void)
{
	pth_yield(NULL);
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
		create(member);
	pth_join(create(member), NULL);
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
		pth_join(create(empty), NULL);
}

static void run_spawn(const char *work, long n)
{
	(void)n;
	begin();
	peer_measure(work, spawn_batch, NULL, 1);
}

/* ----------------------------------------------------------------- channel */

static pth_msgport_t there, back;

static pth_message_t *get(pth_msgport_t port)
{
	static pth_key_t key = PTH_KEY_INIT;
	pth_message_t *message;
	pth_event_t event;

	while (!(message = pth_msgport_get(port))) {
		event = pth_event(PTH_EVENT_MSG | PTH_MODE_STATIC, &key, port);
		pth_wait(event);
	}
	return message;
}

static void *echo(void *unused)
{
	(void)unused;
	for (;;)
		pth_msgport_put(back, get(there));
	return NULL;
}

static void hand_off_batch(void *message, long times)
{
	long i;

	for (i = 0; i < times; i++) {
		pth_msgport_put(there, message);
		message = get(back);
	}
}

static void run_channel(const char *work, long n)
{
	static pth_message_t message;

	(void)n;
	begin();
	there = pth_msgport_create("there");
	back = pth_msgport_create("back");
	create(echo);
	peer_measure(work, hand_off_batch, &message, 2);
	peer_done();
}

/* ------------------------------------------------------------------- mutex */

static void mutex_batch(void *mutex, long times)
{
	long i;

	for (i = 0; i < times; i++) {
		pth_mutex_acquire(mutex, FALSE, NULL);
		pth_mutex_release(mutex);
	}
}

static void run_mutex(const char *work, long n)
{
	static pth_mutex_t mutex = PTH_MUTEX_INIT;

	(void)n;
	begin();
	peer_measure(work, mutex_batch, &mutex, 1);
}

static const struct peer_work works[] = {
	{ "yield-", run_yield, 1000 },
	{ "spawn-join", run_spawn, 0 },
	{ "channel-one-server", run_channel, 0 },
	{ "mutex-uncontended", run_mutex, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "pth", works);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What ufiber's fibers cost, on two servers unless the work's name tells how many.
 * Where a work is of one server, the other one computes meanwhile: so both run,
 * and none takes fibers from the other.
 */
#include "ufiber_peer.h"

const char *work_name;
long number;

static void check(int error, const char *what)
{
	if (error)
		peer_die(what, -error);
}

void run_fibers(unsigned int servers, const char *work, long n,
		void *(*start)(void *))
{
	struct uf_config config = UF_CONFIG_INIT;
	int error;

	config.servers = servers;
	work_name = work;
	number = n;
	error = uf_run(&config, start, NULL, NULL);
	if (error)
		peer_die(uf_strerror(), -error);
}

struct uf_fiber *create(void *(*start)(void *), void *arg)
{
	struct uf_fiber *fiber;

	check(uf_create(NULL, &fiber, NULL, start, arg), "uf_create");
	return fiber;
}

static void create_on(unsigned int server, void *(*start)(void *), void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;

	attr.flags = UF_DETACHED | UF_PINNED;
	attr.server = server;
	check(uf_create(NULL, NULL, &attr, start, arg), "uf_create");
}

void create_detached(void *(*start)(void *), void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;

	attr.flags = UF_DETACHED;
	check(uf_create(NULL, NULL, &attr, start, arg), "uf_create");
}

static bool computing;

static void *compute(void *unused)
{
	(void)unused;
	__atomic_store_n(&computing, true, __ATOMIC_RELEASE);
	for (;;)
		__asm__ volatile("" ::: "memory");
	return NULL;
}

/* No yield here: it might not come back. */
static void occupy_other_server(void)
{
	create_on(!uf_server_number(), compute, NULL);
	while (!__atomic_load_n(&computing, __ATOMIC_ACQUIRE))
		;
}

/* ------------------------------------------------------------------- yield */

static struct peer_ring ring;

static void *member(void *unused)
{
	(void)unused;
	peer_ring_member(&ring, uf_yield);
	return NULL;
}

static void *yield_main(void *unused)
{
	struct uf_fiber *first;
	long i;

	(void)unused;
	occupy_other_server();
	peer_ring_init(&ring, number);
	first = create(member, NULL);
	for (i = 1; i < number; i++)
		create_detached(member, NULL);
	uf_join(first, NULL);
	/* The others have ended, or wait for the last stage's end. */
	peer_ring_report(work_name, &ring);
	peer_done();
}

static void run_yield(const char *work, long n)
{
	peer_need_memory((uint64_t)n * 5000);
	run_fibers(2, work, n, yield_main);
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
		uf_join(create(empty, NULL), NULL);
}

static void *spawn_main(void *unused)
{
	(void)unused;
	if (number)
		occupy_other_server();
	peer_measure(work_name, spawn_batch, NULL, 1);
	peer_done();
}

static void run_spawn(const char *work, long n)
{
	(void)n;
	run_fibers(2, work, 1, spawn_main);
}

/* The other server is there to help. */
static void run_spawn_idle(const char *work, long n)
{
	(void)n;
	run_fibers(2, work, 0, spawn_main);
}

/* ----------------------------------------------------------------- channel */

static struct uf_channel there, back;

static void *echo(void *unused)
{
	long value;

	(void)unused;
	while (!uf_channel_receive(&there, &value))
		uf_channel_send(&back, &value);
	return NULL;
}

static void hand_off_batch(void *unused, long times)
{
	long i, value;

	(void)unused;
	for (i = 0; i < times; i++) {
		uf_channel_send(&there, &i);
		uf_channel_receive(&back, &value);
	}
}

static void *channel_main(void *unused)
{
	(void)unused;
	uf_channel_init(&there, sizeof(long), 0, NULL);
	uf_channel_init(&back, sizeof(long), 0, NULL);
	if (number == 1) {
		occupy_other_server();
		create_detached(echo, NULL);
	} else {
		check(uf_pin(0), "uf_pin");
		create_on(1, echo, NULL);
	}
	peer_measure(work_name, hand_off_batch, NULL, 2);
	peer_done();
}

static void run_channel_one(const char *work, long n)
{
	(void)n;
	run_fibers(2, work, 1, channel_main);
}

static void run_channel_two(const char *work, long n)
{
	(void)n;
	run_fibers(2, work, 2, channel_main);
}

/* ------------------------------------------------------------------- mutex */

static void mutex_batch(void *arg, long times)
{
	struct uf_mutex *mutex = arg;
	long i;

	for (i = 0; i < times; i++) {
		uf_mutex_lock(mutex);
		uf_mutex_unlock(mutex);
	}
}

static void *mutex_main(void *unused)
{
	static struct uf_mutex mutex = UF_MUTEX_INIT;

	(void)unused;
	occupy_other_server();
	peer_measure(work_name, mutex_batch, &mutex, 1);
	peer_done();
}

static void run_mutex(const char *work, long n)
{
	run_fibers(2, work, n, mutex_main);
}

/* ------------------------------------------------------------------ parked */

#define NR_PARKED 1000000

static struct uf_sem release = UF_SEM_INIT(0);
static long nr_here;

static void *park(void *unused)
{
	(void)unused;
	__atomic_fetch_add(&nr_here, 1, __ATOMIC_RELAXED);
	uf_sem_wait(&release);
	return NULL;
}

static void *parked_main(void *unused)
{
	uint64_t before = peer_memory();
	long i;

	(void)unused;
	for (i = 0; i < NR_PARKED; i++)
		create_detached(park, NULL);
	while (__atomic_load_n(&nr_here, __ATOMIC_RELAXED) < NR_PARKED)
		uf_yield();
	peer_print(work_name, (double)(peer_memory() - before) / NR_PARKED,
		   "bytes");
	peer_done();
}

static void run_parked(const char *work, long n)
{
	peer_need_memory(NR_PARKED * 5000ULL);
	run_fibers(2, work, n, parked_main);
}

static const struct peer_work works[] = {
	{ "switch-called", run_switch, 0 },
	{ "coroutine-called", run_coroutine_called, 0 },
	{ "switch-inline", run_switch_inline, 0 },
	{ "yield-", run_yield, 0 },
	{ "spawn-join", run_spawn, 0 },
	{ "spawn-join-free", run_spawn_idle, 0 },
	{ "channel-one-server", run_channel_one, 0 },
	{ "channel-two-servers", run_channel_two, 0 },
	{ "mutex-uncontended", run_mutex, 0 },
	{ "parked-fiber-bytes", run_parked, 0 },
	{ "sleepers-", run_sleepers, 0 },
	{ "timers-", run_timers, 0 },
	{ "servers-", run_tree, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "ufiber", works);
}

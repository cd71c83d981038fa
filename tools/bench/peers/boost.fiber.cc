// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What boost.fiber's fibers cost, on one thread. */
#include <boost/fiber/all.hpp>

#include "peer.h"

namespace fibers = boost::fibers;

static const size_t stack_size = 65536;

/* ------------------------------------------------------------------- yield */

static struct peer_ring ring;

static void yield(void)
{
	boost::this_fiber::yield();
}

static void run_yield(const char *work, long n)
{
	/* A stack of malloc() takes two pages. */
	peer_need_memory((uint64_t)n * 10000);
	peer_ring_init(&ring, n);
	for (long i = 1; i < n; i++)
		fibers::fiber(std::allocator_arg,
			      fibers::fixedsize_stack(stack_size),
			      [] { peer_ring_member(&ring, yield); })
			.detach();
	fibers::fiber([] { peer_ring_member(&ring, yield); }).join();
	peer_ring_report(work, &ring);
	peer_done();
}

/* ------------------------------------------------------------------- spawn */

static void spawn_batch(void *arg, long times)
{
	auto *stacks = static_cast<fibers::pooled_fixedsize_stack *>(arg);

	for (long i = 0; i < times; i++)
		fibers::fiber(std::allocator_arg, *stacks, [] {}).join();
}

static void run_spawn(const char *work, long)
{
	fibers::pooled_fixedsize_stack stacks(stack_size);

	peer_measure(work, spawn_batch, &stacks, 1);
}

/* ----------------------------------------------------------------- channel */

static fibers::unbuffered_channel<long> there, back;

static void hand_off_batch(void *, long times)
{
	for (long i = 0; i < times; i++) {
		there.push(i);
		back.value_pop();
	}
}

static void run_channel(const char *work, long)
{
	fibers::fiber([] {
		for (;;)
			back.push(there.value_pop());
	}).detach();
	peer_measure(work, hand_off_batch, nullptr, 2);
	peer_done();
}

/* ------------------------------------------------------------------- mutex */

static void mutex_batch(void *arg, long times)
{
	auto *mutex = static_cast<fibers::mutex *>(arg);

	for (long i = 0; i < times; i++) {
		mutex->lock();
		mutex->unlock();
	}
}

static void run_mutex(const char *work, long)
{
	fibers::mutex mutex;

	peer_measure(work, mutex_batch, &mutex, 1);
}

static const struct peer_work works[] = {
	{ "yield-", run_yield, 100000 },
	{ "spawn-join", run_spawn, 0 },
	{ "channel-one-server", run_channel, 0 },
	{ "mutex-uncontended", run_mutex, 0 },
	{ nullptr, nullptr, 0 },
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "boost.fiber", works);
}

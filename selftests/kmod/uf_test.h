/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the kernel ABI share.
 *
 * The main thread of a test is never registered: it gives orders to registered
 * threads, and observes them by UFIBER_IOC_QUERY. A registered thread does
 * nothing by itself that could sleep, since that would give its server away: it
 * spins (with sched_yield(), which is no block) until it has an order, carries
 * it out with bare system calls, stores the result and spins again.
 *
 * Nothing here sleeps for a time. All waiting is for a state that is observed,
 * bounded by UF_BOUND seconds, after which the states are printed.
 */
#ifndef UF_TEST_H
#define UF_TEST_H

#include <kselftest_harness.h>
#include <linux/ufiber.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "uf_lib.h"

/* A case waits for several things in turn, and emulated machines are slow. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 120

/*
 * Open a domain. Without the device there is nothing to test, unless this is a
 * VM that was booted for it.
 */
#define UF_OPEN(d, servers, threads)					\
	UF_OPEN_AS(d, 0, servers, 0, threads)

/* One with flags, and with servers that can be added. */
#define UF_OPEN_AS(d, flags, servers, max_servers, threads)		\
	do {								\
		long _ret = uf_open_as(d, flags, servers, max_servers, threads); \
									\
		if (_ret == -ENOENT && !getenv("UFIBER_VM"))		\
			SKIP(return, "no " UFIBER_DEVICE ": the module is not loaded"); \
		ASSERT_EQ(0, _ret)					\
			TH_LOG("open and set up " UFIBER_DEVICE ": %s", strerror(-_ret)); \
	} while (0)

/* Start a thread and register it: it is IDLE and does not wait. */
#define UF_SPAWN(d, t) \
	ASSERT_EQ(0, uf_spawn(d, t))

/* Start a thread that holds a server, of which one must be free. */
#define UF_SPAWN_RUNNING(d, t)						\
	do {								\
		UF_SPAWN(d, t);						\
		ASSERT_LE(0, uf_wait(t, UFIBER_WAIT_STANDBY, 0, 0));	\
		ASSERT_STATE(t, RUNNING, 0);				\
	} while (0)

/* Start a thread that sleeps in WAIT with these flags (no server is free). */
#define UF_SPAWN_WAITING(d, t, flags)					\
	do {								\
		UF_SPAWN(d, t);						\
		uf_post_wait(t, flags, 0, 0);				\
		ASSERT_STATE(t, IDLE, UFIBER_QUERY_WAITING |		\
			     ((flags) & UFIBER_WAIT_WORK ? UFIBER_QUERY_WORK :	\
			      (flags) & UFIBER_WAIT_STANDBY ? UFIBER_QUERY_STANDBY : 0)); \
	} while (0)

/* Start a thread that is RUNNABLE: it waits for a server, and none is free. */
#define UF_SPAWN_RUNNABLE(d, t)						\
	do {								\
		UF_SPAWN(d, t);						\
		uf_post_wait(t, UFIBER_WAIT_ACQUIRE, 0, 0);		\
		ASSERT_STATE(t, RUNNABLE, UFIBER_QUERY_WAITING);	\
	} while (0)

/* A thread that holds a server computes in user mode, until uf_stop(). */
#define UF_SPIN(t)							\
	do {								\
		uf_post_spin(t);					\
		ASSERT_TRUE(uf_await_turns(t));				\
	} while (0)

/* The next event in the ring is this one. */
#define ASSERT_EVENT(t, why, on)					\
	do {								\
		struct ufiber_event _e;					\
									\
		ASSERT_TRUE(uf_event((t)->dom, &_e))			\
			TH_LOG("no event, expected " #why " of thread %u", (t)->id); \
		EXPECT_EQ((t)->id, _e.thread);				\
		EXPECT_EQ((uintptr_t)(t), _e.cookie);			\
		EXPECT_EQ(UFIBER_REASON_##why, _e.reason);		\
		EXPECT_EQ((__u32)(on), _e.server);			\
		EXPECT_EQ(0, _e.reserved);				\
	} while (0)

#define ASSERT_NO_EVENT(d)						\
	do {								\
		struct ufiber_event _e;					\
									\
		ASSERT_FALSE(uf_event(d, &_e))				\
			TH_LOG("thread %u, reason %u", _e.thread, _e.reason); \
	} while (0)

/* Wait until the thread is in that state, with exactly these QUERY flags. */
#define ASSERT_STATE(t, state, flags) \
	ASSERT_TRUE(uf_await_state(t, UFIBER_THREAD_##state, flags))

/* The module has seen it exit, which can be after it has been joined. */
#define ASSERT_GONE(t)							\
	do {								\
		ASSERT_TRUE(uf_await_gone(t));				\
		EXPECT_EQ(UFIBER_THREAD_FREE, (t)->dom->threads[(t)->id].state); \
	} while (0)

/* All that the module says of the domain, by QUERY and by memory, agrees. */
#define ASSERT_AGREES(d) \
	ASSERT_TRUE(uf_agrees(d))

/* Who has the server now. */
#define ASSERT_SERVER(d, s, state, thread) \
	ASSERT_TRUE(uf_server_is(d, s, UFIBER_SERVER_##state, thread))

/* The thread has not come back from what it was last ordered to do. */
#define ASSERT_BUSY(t) \
	ASSERT_FALSE(uf_is_done(t))

/* The order has been carried out, with that result. */
#define ASSERT_DONE(ret, t) \
	ASSERT_EQ(ret, uf_finish(t))

#endif /* UF_TEST_H */

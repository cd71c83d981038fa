/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the tests of synchronisation share: crowds of fibers and plain threads. */
#ifndef SYNC_TEST_H
#define SYNC_TEST_H

#include "lib_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* The harness and the library have one each. */
#undef __printf
#include "wait.h"

#define CROWD_FIBERS 6
#define CROWD_THREADS 2
#define CROWD (CROWD_FIBERS + CROWD_THREADS)

/* On how many servers the crowds run. */
static const unsigned int crowd_servers[] = { 1, 2, 4 };

/* For what runs in fibers and plain threads, where an ASSERT has no way back. */
/* clang-format off */
#define MUST(condition)							\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "# %s:%d: not so: %s\n",	\
				__FILE__, __LINE__, #condition);	\
			abort();					\
		}							\
	} while (0)
/* clang-format on */

static inline void let_others_run(void)
{
	if (uf_self())
		uf_yield();
	else
		sched_yield();
}

/* How many are in the queue of an object. */
static inline unsigned int nr_waiting(uint32_t *guard,
				      const struct uf_waitq *queue)
{
	struct uf_thread *t = uf_enter();
	struct uf_waiter *waiter;
	unsigned int n = 0;

	uf_spin_lock(guard);
	for (waiter = queue->head; waiter; waiter = waiter->next)
		n++;
	uf_spin_unlock(guard);
	uf_leave(t);
	return n;
}

/* Until so many are there. */
static inline void await_waiting(uint32_t *guard, const struct uf_waitq *queue,
				 unsigned int n)
{
	while (nr_waiting(guard, queue) != n)
		let_others_run();
}

/* Run a function in fibers and in plain threads, on so many servers. */
static inline void run_crowd(struct __test_metadata *_metadata,
			     unsigned int servers, void *(*body)(void *arg),
			     void *arg)
{
	struct uf_fiber *fiber[CROWD_FIBERS];
	pthread_t thread[CROWD_THREADS];
	struct uf_runtime *rt;
	int i;

	CREATE_RUNTIME(&rt, servers);
	for (i = 0; i < CROWD_FIBERS; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, body, arg));
	for (i = 0; i < CROWD_THREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, body, arg));
	for (i = 0; i < CROWD_THREADS; i++)
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
	for (i = 0; i < CROWD_FIBERS; i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/*
 * Run a function in a fiber, of the calling fiber's runtime, and cancel it when it
 * is the only one in the queue. Returns what it returned: an error.
 */
static inline intptr_t cancelled_in(struct __test_metadata *_metadata,
				    void *(*start)(void *arg), void *arg,
				    uint32_t *guard,
				    const struct uf_waitq *queue)
{
	struct uf_fiber *fiber;
	void *error;

	CREATE(&fiber, start, arg);
	await_waiting(guard, queue, 1);
	EXPECT_EQ(0, uf_cancel(fiber));
	ASSERT_EQ(0, uf_join(fiber, &error));
	EXPECT_EQ(0, nr_waiting(guard, queue));
	return (intptr_t)error;
}

/* Numbers without rhyme. */
static inline uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* A deadline for the @i-th of many tries: some past, most soon, a few never. */
static inline uint64_t some_deadline(unsigned int i)
{
	switch (i % 4) {
	case 0:
		return UF_FOREVER;
	case 1:
		return 0;
	default:
		return uf_now() + i % 256 * 200;
	}
}

#endif /* SYNC_TEST_H */

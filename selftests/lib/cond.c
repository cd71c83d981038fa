// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The condition variable. */
#include "sync_test.h"

FIBER_TEST(errors, 1)
{
	struct uf_mutex mutex = UF_MUTEX_INIT;
	struct uf_cond cond = UF_COND_INIT;

	EXPECT_EQ(-EPERM, uf_cond_wait(&cond, &mutex));
	EXPECT_EQ(-EPERM, uf_cond_wait_until(&cond, &mutex, 0));
	ASSERT_EQ(0, uf_mutex_lock(&mutex));
	EXPECT_EQ(-ETIMEDOUT, uf_cond_wait_until(&cond, &mutex, 0));
	EXPECT_EQ(-ETIMEDOUT,
		  uf_cond_wait_until(&cond, &mutex, uf_now() + 100000));
	/* The mutex is the caller's again. */
	EXPECT_EQ(0, uf_mutex_unlock(&mutex));
}

TEST(outside)
{
	struct uf_mutex mutex = UF_MUTEX_INIT;
	struct uf_cond cond = UF_COND_INIT;

	EXPECT_EQ(-EPERM, uf_cond_wait(&cond, &mutex));
	EXPECT_EQ(0, uf_cond_signal(&cond));
	EXPECT_EQ(0, uf_cond_broadcast(&cond));
	ASSERT_EQ(0, uf_mutex_lock(&mutex));
	/* Signals are not kept. */
	EXPECT_EQ(-ETIMEDOUT,
		  uf_cond_wait_until(&cond, &mutex, uf_now() + 100000));
	EXPECT_EQ(0, uf_mutex_unlock(&mutex));
}

struct hall {
	uint64_t patience;
	struct uf_mutex mutex;
	struct uf_cond cond;
	int next;
	int order[8];
};

static void *wait_in_hall(void *arg)
{
	struct hall *hall = arg;

	MUST(!uf_mutex_lock(&hall->mutex));
	MUST(!uf_cond_wait(&hall->cond, &hall->mutex));
	hall->order[hall->next++] = *uf_name(NULL) - '0';
	MUST(!uf_mutex_unlock(&hall->mutex));
	return NULL;
}

static void fill_hall(struct __test_metadata *_metadata, struct hall *hall,
		      struct uf_fiber *fiber[8])
{
	struct uf_attr attr = UF_ATTR_INIT;
	char name[2] = "";
	int i;

	for (i = 0; i < 8; i++) {
		name[0] = '0' + i;
		attr.name = name;
		ASSERT_EQ(0,
			  uf_create(NULL, &fiber[i], &attr, wait_in_hall, hall));
		await_waiting(&hall->cond.guard, &hall->cond.waiters, i + 1);
	}
}

static void empty_hall(struct __test_metadata *_metadata, struct hall *hall,
		       struct uf_fiber *fiber[8])
{
	int i;

	for (i = 0; i < 8; i++)
		JOIN(fiber[i]);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i, hall->order[i]);
}

/* One signal, one wait, the first first; with and without the mutex. */
FIBER_TEST(signal_in_order, 2)
{
	struct uf_fiber *fiber[8];
	struct hall hall = { 0 };
	int i;

	fill_hall(_metadata, &hall, fiber);
	for (i = 0; i < 8; i++) {
		if (i % 2)
			ASSERT_EQ(0, uf_mutex_lock(&hall.mutex));
		ASSERT_EQ(0, uf_cond_signal(&hall.cond));
		EXPECT_EQ(7 - i,
			  nr_waiting(&hall.cond.guard, &hall.cond.waiters));
		if (i % 2)
			ASSERT_EQ(0, uf_mutex_unlock(&hall.mutex));
	}
	empty_hall(_metadata, &hall, fiber);
}

/* A broadcast with the mutex held wakes nobody: all go to the mutex's queue. */
FIBER_TEST(broadcast_requeues, 2)
{
	struct uf_stats before = { sizeof(before) }, after = { sizeof(after) };
	struct uf_fiber *fiber[8];
	struct hall hall = { 0 };

	fill_hall(_metadata, &hall, fiber);
	ASSERT_EQ(0, uf_mutex_lock(&hall.mutex));
	ASSERT_EQ(0, uf_runtime_stats(NULL, &before));
	ASSERT_EQ(0, uf_cond_broadcast(&hall.cond));
	uf_yield();
	ASSERT_EQ(0, uf_runtime_stats(NULL, &after));
	EXPECT_GE(before.switches + 1, after.switches);
	EXPECT_EQ(0, nr_waiting(&hall.cond.guard, &hall.cond.waiters));
	EXPECT_EQ(8, nr_waiting(&hall.mutex.guard, &hall.mutex.waiters));
	EXPECT_EQ(0, hall.next);
	ASSERT_EQ(0, uf_mutex_unlock(&hall.mutex));
	empty_hall(_metadata, &hall, fiber);
	/* Nothing is left of them. */
	EXPECT_EQ(0, uf_mutex_trylock(&hall.mutex));
	EXPECT_EQ(0, uf_mutex_unlock(&hall.mutex));
}

static void *wait_until_late(void *arg)
{
	struct hall *hall = arg;
	uint64_t deadline = uf_now() + hall->patience;
	int error;

	MUST(!uf_mutex_lock(&hall->mutex));
	error = uf_cond_wait_until(&hall->cond, &hall->mutex, deadline);
	MUST(!uf_mutex_unlock(&hall->mutex));
	return (void *)(intptr_t)error;
}

/* A wait that was signalled before its deadline returns 0 however late it is. */
FIBER_TEST(signal_then_deadline, 2)
{
	struct hall hall = { 0 };
	struct uf_fiber *fiber;
	void *error = NULL;
	int signalled = 0;

	/* Longer each time: a busy machine may need more to get there in time. */
	for (hall.patience = 200000; !signalled; hall.patience *= 2) {
		CREATE(&fiber, wait_until_late, &hall);
		uf_yield();
		ASSERT_EQ(0, uf_mutex_lock(&hall.mutex));
		signalled = nr_waiting(&hall.cond.guard, &hall.cond.waiters);
		ASSERT_EQ(0, uf_cond_signal(&hall.cond));
		/* It may have timed out just before: then it is not in the queue. */
		signalled = signalled &&
			    nr_waiting(&hall.mutex.guard, &hall.mutex.waiters);
		uf_sleep(2 * hall.patience);
		ASSERT_EQ(0, uf_mutex_unlock(&hall.mutex));
		ASSERT_EQ(0, uf_join(fiber, &error));
		if (error)
			signalled = 0;
	}
	EXPECT_EQ(NULL, error);
}

static void *signal_twice(void *arg)
{
	struct hall *hall = arg;

	await_waiting(&hall->cond.guard, &hall->cond.waiters, 1);
	/* All of its locks are gone meanwhile. */
	MUST(!uf_mutex_lock(&hall->mutex));
	MUST(!uf_cond_signal(&hall->cond));
	MUST(!uf_mutex_unlock(&hall->mutex));
	return NULL;
}

FIBER_TEST(recursive_mutex, 1)
{
	struct hall hall = { .mutex = UF_MUTEX_RECURSIVE_INIT };
	struct uf_fiber *fiber;
	int i;

	CREATE(&fiber, signal_twice, &hall);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, uf_mutex_lock(&hall.mutex));
	ASSERT_EQ(0, uf_cond_wait(&hall.cond, &hall.mutex));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, uf_mutex_unlock(&hall.mutex));
	EXPECT_EQ(-EPERM, uf_mutex_unlock(&hall.mutex));
	JOIN(fiber);
}

/*
 * A store with few places. Half of the crowd brings, half takes; some with deadlines.
 * If a signal were lost with a wait that timed out, the others would wait for ever.
 */
struct store {
	struct uf_mutex mutex;
	struct uf_cond not_empty;
	struct uf_cond not_full;
	atomic_uint role;
	unsigned int held;
	unsigned int inside;
	unsigned int brought;
	unsigned int taken;
};

#define STORE_SIZE 2
#define STORE_TURNS 1000

static void change(struct store *store, bool bring, unsigned int i)
{
	MUST(!store->inside++);
	if (bring) {
		MUST(store->held++ < STORE_SIZE);
		store->brought++;
	} else {
		MUST(store->held-- > 0);
		store->taken++;
	}
	store->inside--;
	if (i % 8)
		uf_cond_signal(bring ? &store->not_empty : &store->not_full);
	else
		uf_cond_broadcast(bring ? &store->not_empty : &store->not_full);
}

static void *bring_or_take(void *arg)
{
	struct store *store = arg;
	bool bring = atomic_fetch_add(&store->role, 1) % 2;
	struct uf_cond *cond = bring ? &store->not_full : &store->not_empty;
	unsigned int i;
	int error;

	for (i = 0; i < STORE_TURNS; i++) {
		MUST(!uf_mutex_lock(&store->mutex));
		while (store->held == (bring ? STORE_SIZE : 0)) {
			error = uf_cond_wait_until(cond, &store->mutex,
						   i % 2 ? UF_FOREVER :
							   uf_now() +
								   i % 64 * 500);
			MUST(!error || error == -ETIMEDOUT);
			MUST(!store->inside);
		}
		change(store, bring, i);
		MUST(!uf_mutex_unlock(&store->mutex));
	}
	return NULL;
}

TEST(store)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(crowd_servers); i++) {
		struct store store = { 0 };

		run_crowd(_metadata, crowd_servers[i], bring_or_take, &store);
		EXPECT_EQ(CROWD / 2 * STORE_TURNS, store.brought);
		EXPECT_EQ(CROWD / 2 * STORE_TURNS, store.taken);
	}
}

struct relay {
	struct uf_mutex mutex;
	struct uf_cond cond;
	atomic_uint nr;
	unsigned int turn;
};

#define RELAY_TURNS 300

static void *run_relay(void *arg)
{
	struct relay *relay = arg;
	unsigned int self = atomic_fetch_add(&relay->nr, 1);
	unsigned int i;

	for (i = 0; i < RELAY_TURNS; i++) {
		MUST(!uf_mutex_lock(&relay->mutex));
		while (relay->turn % CROWD != self)
			MUST(!uf_cond_wait(&relay->cond, &relay->mutex));
		relay->turn++;
		uf_cond_broadcast(&relay->cond);
		MUST(!uf_mutex_unlock(&relay->mutex));
	}
	return NULL;
}

/* Each waits for all others in turn. */
TEST(relay)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(crowd_servers); i++) {
		struct relay relay = { 0 };

		run_crowd(_metadata, crowd_servers[i], run_relay, &relay);
		EXPECT_EQ(CROWD * RELAY_TURNS, relay.turn);
	}
}

static void *wait_and_unlock(void *arg)
{
	struct hall *hall = arg;
	intptr_t error;

	MUST(!uf_mutex_lock(&hall->mutex));
	error = uf_cond_wait(&hall->cond, &hall->mutex);
	/* The mutex is its own again, cancelled or not. */
	MUST(!hall->next);
	MUST(!uf_mutex_unlock(&hall->mutex));
	return (void *)error;
}

/* Also if it has to wait for the mutex, and others come and go before. */
FIBER_TEST(cancel, 2)
{
	struct hall hall = { 0 };
	struct uf_fiber *fiber, *other;
	void *error;

	EXPECT_EQ(-ECANCELED,
		  cancelled_in(_metadata, wait_and_unlock, &hall,
			       &hall.cond.guard, &hall.cond.waiters));
	CREATE(&fiber, wait_and_unlock, &hall);
	await_waiting(&hall.cond.guard, &hall.cond.waiters, 1);
	ASSERT_EQ(0, uf_mutex_lock(&hall.mutex));
	hall.next = 1;
	ASSERT_EQ(0, uf_cancel(fiber));
	await_waiting(&hall.mutex.guard, &hall.mutex.waiters, 1);
	EXPECT_EQ(0, nr_waiting(&hall.cond.guard, &hall.cond.waiters));
	/* The signal is for another. */
	ASSERT_EQ(0, uf_cond_signal(&hall.cond));
	hall.next = 0;
	ASSERT_EQ(0, uf_mutex_unlock(&hall.mutex));
	CREATE(&other, wait_and_unlock, &hall);
	await_waiting(&hall.cond.guard, &hall.cond.waiters, 1);
	ASSERT_EQ(0, uf_cond_signal(&hall.cond));
	ASSERT_EQ(0, uf_join(fiber, &error));
	EXPECT_EQ(-ECANCELED, (intptr_t)error);
	ASSERT_EQ(0, uf_join(other, &error));
	EXPECT_EQ(NULL, error);
}

TEST_HARNESS_MAIN

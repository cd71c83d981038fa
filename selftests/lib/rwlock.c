// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The reader-writer lock. */
#include "sync_test.h"

FIBER_TEST(lock_and_unlock, 1)
{
	struct uf_rwlock lock = UF_RWLOCK_INIT;

	EXPECT_EQ(0, uf_rwlock_rdlock(&lock));
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
	EXPECT_EQ(0, uf_rwlock_wrlock(&lock));
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
	EXPECT_EQ(0, uf_rwlock_rdlock_until(&lock, 0));
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
	EXPECT_EQ(0, uf_rwlock_wrlock_until(&lock, 0));
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
	EXPECT_EQ(0, uf_rwlock_tryrdlock(&lock));
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
	EXPECT_EQ(0, uf_rwlock_trywrlock(&lock));
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
	EXPECT_EQ(-EPERM, uf_rwlock_unlock(&lock));
}

TEST(outside)
{
	struct uf_rwlock lock = UF_RWLOCK_INIT;

	EXPECT_EQ(-EPERM, uf_rwlock_unlock(&lock));
	EXPECT_EQ(0, uf_rwlock_wrlock(&lock));
	EXPECT_EQ(-EDEADLK, uf_rwlock_wrlock(&lock));
	EXPECT_EQ(-EDEADLK, uf_rwlock_rdlock(&lock));
	EXPECT_EQ(-EBUSY, uf_rwlock_trywrlock(&lock));
	EXPECT_EQ(-EBUSY, uf_rwlock_tryrdlock(&lock));
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
	EXPECT_EQ(0, uf_rwlock_rdlock(&lock));
	EXPECT_EQ(-EDEADLK, uf_rwlock_wrlock(&lock));
	EXPECT_EQ(-EBUSY, uf_rwlock_trywrlock(&lock));
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
}

struct visit {
	struct uf_rwlock *lock;
	bool write;
	uint64_t deadline;
	int *next;
	int place;
	struct uf_event *stay;
};

/* Returns the error. */
static void *come(void *arg)
{
	struct visit *visit = arg;
	int error;

	error = visit->write ?
			uf_rwlock_wrlock_until(visit->lock, visit->deadline) :
			uf_rwlock_rdlock_until(visit->lock, visit->deadline);
	if (error)
		return (void *)(intptr_t)error;
	if (visit->next)
		visit->place = (*visit->next)++;
	if (visit->stay)
		MUST(!uf_event_wait(visit->stay));
	return (void *)(intptr_t)uf_rwlock_unlock(visit->lock);
}

static void *unlock_error(void *arg)
{
	return (void *)(intptr_t)uf_rwlock_unlock(arg);
}

FIBER_TEST(unlock_of_others, 1)
{
	struct uf_rwlock lock = UF_RWLOCK_INIT;
	struct uf_fiber *fiber;
	void *error;
	int write;

	for (write = 0; write < 2; write++) {
		ASSERT_EQ(0, write ? uf_rwlock_wrlock(&lock) :
				     uf_rwlock_rdlock(&lock));
		CREATE(&fiber, unlock_error, &lock);
		ASSERT_EQ(0, uf_join(fiber, &error));
		EXPECT_EQ(-EPERM, (intptr_t)error);
		EXPECT_EQ(0, uf_rwlock_unlock(&lock));
	}
}

#define VISITS 8

/*
 * r r w r r w w r, one after the other while it is held: readers that stand together
 * go in together, nobody overtakes a writer, and no writer is overtaken.
 */
FIBER_TEST(first_come_first_served, 1)
{
	static const bool write[VISITS] = { 0, 0, 1, 0, 0, 1, 1, 0 };
	struct uf_rwlock lock = UF_RWLOCK_INIT;
	struct visit visit[VISITS];
	struct uf_fiber *fiber[VISITS];
	int next = 0;
	int i;

	ASSERT_EQ(0, uf_rwlock_wrlock(&lock));
	for (i = 0; i < VISITS; i++) {
		visit[i] = (struct visit){ .lock = &lock,
					   .write = write[i],
					   .deadline = UF_FOREVER,
					   .next = &next };
		CREATE(&fiber[i], come, &visit[i]);
		await_waiting(&lock.guard, &lock.waiters, i + 1);
	}
	ASSERT_EQ(0, uf_rwlock_unlock(&lock));
	EXPECT_EQ(2, lock.readers);
	/* Room for a reader, but a writer waits. */
	EXPECT_EQ(-EBUSY, uf_rwlock_tryrdlock(&lock));
	for (i = 0; i < VISITS; i++)
		JOIN(fiber[i]);
	for (i = 0; i < VISITS; i++)
		EXPECT_EQ(i, visit[i].place);
}

/* A writer that gives up lets those behind it in at once. */
FIBER_TEST(writer_gives_up, 2)
{
	struct uf_rwlock lock = UF_RWLOCK_INIT;
	struct uf_event stay = UF_EVENT_INIT;
	struct visit writer = { .lock = &lock, .write = true };
	struct visit reader = { .lock = &lock, .deadline = UF_FOREVER };
	struct uf_fiber *first, *second, *third;
	struct visit holder = { .lock = &lock,
				.deadline = UF_FOREVER,
				.stay = &stay };
	void *error;

	CREATE(&first, come, &holder);
	await_waiting(&stay.guard, &stay.waiters, 1);
	writer.deadline = uf_now() + 2000000;
	CREATE(&second, come, &writer);
	CREATE(&third, come, &reader);
	/* Whichever came first: with the holder still in, the reader gets in. */
	ASSERT_EQ(0, uf_join(third, &error));
	EXPECT_EQ(NULL, error);
	ASSERT_EQ(0, uf_join(second, &error));
	EXPECT_EQ(-ETIMEDOUT, (intptr_t)error);
	ASSERT_EQ(0, uf_event_set(&stay));
	JOIN(first);
	EXPECT_EQ(0, uf_rwlock_trywrlock(&lock));
}

struct climber {
	struct uf_rwlock *lock;
	struct uf_event *up;
};

static void *climb(void *arg)
{
	struct climber *climber = arg;
	int error;

	MUST(!uf_rwlock_rdlock(climber->lock));
	MUST(!uf_event_wait(climber->up));
	error = uf_rwlock_wrlock(climber->lock);
	MUST(!uf_rwlock_unlock(climber->lock));
	return (void *)(intptr_t)error;
}

/* A reader that asks to write is refused when it is the only one left. */
FIBER_TEST(no_upgrade, 2)
{
	struct uf_rwlock lock = UF_RWLOCK_INIT;
	struct uf_event up = UF_EVENT_INIT;
	struct climber climber = { &lock, &up };
	struct visit writer = { .lock = &lock,
				.write = true,
				.deadline = UF_FOREVER };
	struct uf_fiber *fiber, *other;
	void *error;

	ASSERT_EQ(0, uf_rwlock_rdlock(&lock));
	CREATE(&fiber, climb, &climber);
	await_waiting(&up.guard, &up.waiters, 1);
	/* Behind another writer, too. */
	CREATE(&other, come, &writer);
	await_waiting(&lock.guard, &lock.waiters, 1);
	ASSERT_EQ(0, uf_event_set(&up));
	await_waiting(&lock.guard, &lock.waiters, 2);
	ASSERT_EQ(0, uf_rwlock_unlock(&lock));
	ASSERT_EQ(0, uf_join(fiber, &error));
	EXPECT_EQ(-EDEADLK, (intptr_t)error);
	ASSERT_EQ(0, uf_join(other, &error));
	EXPECT_EQ(NULL, error);
}

struct crowd {
	struct uf_rwlock lock;
	atomic_uint seed;
	atomic_int readers;
	atomic_int writers;
	unsigned int written;
	atomic_uint writes;
	atomic_uint reads;
	atomic_uint gave_up;
};

#define CROWD_TURNS 2000

static void be_inside(struct crowd *crowd, bool write, unsigned int i)
{
	if (write) {
		MUST(atomic_fetch_add(&crowd->writers, 1) == 0);
		MUST(!crowd->readers);
		crowd->written++;
		if (i % 8 == 0)
			let_others_run();
		MUST(!crowd->readers);
		atomic_fetch_sub(&crowd->writers, 1);
		atomic_fetch_add(&crowd->writes, 1);
		return;
	}
	atomic_fetch_add(&crowd->readers, 1);
	MUST(!crowd->writers);
	if (i % 4 == 0)
		let_others_run();
	MUST(!crowd->writers);
	atomic_fetch_sub(&crowd->readers, 1);
	atomic_fetch_add(&crowd->reads, 1);
}

static void *come_and_go(void *arg)
{
	struct crowd *crowd = arg;
	uint32_t seed = atomic_fetch_add(&crowd->seed, 77777) + 1;
	unsigned int i;

	for (i = 0; i < CROWD_TURNS; i++) {
		bool write = next_random(&seed) % 4 == 0;
		uint64_t deadline = some_deadline(next_random(&seed) % 512);
		int error =
			write ? uf_rwlock_wrlock_until(&crowd->lock, deadline) :
				uf_rwlock_rdlock_until(&crowd->lock, deadline);

		if (error) {
			MUST(error == -ETIMEDOUT);
			atomic_fetch_add(&crowd->gave_up, 1);
			continue;
		}
		be_inside(crowd, write, i);
		MUST(!uf_rwlock_unlock(&crowd->lock));
	}
	return NULL;
}

/* Writers alone, readers together, nobody lost, whatever the deadlines do. */
TEST(storm)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(crowd_servers); i++) {
		struct crowd crowd = { 0 };

		run_crowd(_metadata, crowd_servers[i], come_and_go, &crowd);
		EXPECT_EQ(CROWD * CROWD_TURNS,
			  crowd.reads + crowd.writes + crowd.gave_up);
		EXPECT_EQ(crowd.writes, crowd.written);
		EXPECT_EQ(0, crowd.lock.holders);
		EXPECT_EQ(0, uf_rwlock_trywrlock(&crowd.lock));
	}
}

/* A writer that is cancelled lets those behind it in. */
FIBER_TEST(cancel, 2)
{
	struct uf_rwlock lock = UF_RWLOCK_INIT;
	struct visit writer = { .lock = &lock,
				.write = true,
				.deadline = UF_FOREVER };
	struct visit reader = { .lock = &lock, .deadline = UF_FOREVER };
	struct uf_fiber *first, *second;
	void *error;

	ASSERT_EQ(0, uf_rwlock_rdlock(&lock));
	EXPECT_EQ(-ECANCELED, cancelled_in(_metadata, come, &writer,
					   &lock.guard, &lock.waiters));
	CREATE(&first, come, &writer);
	await_waiting(&lock.guard, &lock.waiters, 1);
	CREATE(&second, come, &reader);
	await_waiting(&lock.guard, &lock.waiters, 2);
	ASSERT_EQ(0, uf_cancel(first));
	ASSERT_EQ(0, uf_join(second, &error));
	EXPECT_EQ(NULL, error);
	ASSERT_EQ(0, uf_join(first, &error));
	EXPECT_EQ(-ECANCELED, (intptr_t)error);
	EXPECT_EQ(0, uf_rwlock_unlock(&lock));
	EXPECT_EQ(0, uf_rwlock_trywrlock(&lock));
}

TEST_HARNESS_MAIN

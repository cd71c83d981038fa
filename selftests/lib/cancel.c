// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Cancels: of waits, of IO, of calls that block in the kernel; shields. */
#include "lib_test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void *wait_sem(void *arg)
{
	return (void *)(intptr_t)uf_sem_wait(arg);
}

static void *wait_sem_until(void *arg)
{
	return (void *)(intptr_t)uf_sem_wait_until(arg, UF_FOREVER - 1);
}

static void *lock_mutex(void *arg)
{
	return (void *)(intptr_t)uf_mutex_lock(arg);
}

static void *join_other(void *arg)
{
	return (void *)(intptr_t)uf_join(arg, NULL);
}

static void *sleep_long(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)uf_sleep_until(UF_FOREVER - 1);
}

/* Run it until it waits, cancel it, and see how it ends. */
static long cancel_waiting(struct __test_metadata *_metadata,
			   void *(*start)(void *), void *arg)
{
	struct uf_fiber *fiber;
	void *value = NULL;

	ASSERT_EQ(0, uf_create(NULL, &fiber, NULL, start, arg));
	while (uf_state(fiber) != UF_STATE_WAITING)
		uf_yield();
	EXPECT_EQ(0, uf_cancel(fiber));
	ASSERT_EQ(0, uf_join(fiber, &value));
	return (long)(intptr_t)value;
}

FIBER_TEST(waits, 2)
{
	struct uf_mutex mutex = UF_MUTEX_INIT;
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *other;

	EXPECT_EQ(-ECANCELED, cancel_waiting(_metadata, wait_sem, &sem));
	EXPECT_EQ(-ECANCELED, cancel_waiting(_metadata, wait_sem_until, &sem));
	EXPECT_EQ(-ECANCELED, cancel_waiting(_metadata, sleep_long, NULL));
	ASSERT_EQ(0, uf_mutex_lock(&mutex));
	EXPECT_EQ(-ECANCELED, cancel_waiting(_metadata, lock_mutex, &mutex));
	EXPECT_EQ(0, uf_mutex_unlock(&mutex));
	CREATE(&other, wait_sem, &sem);
	EXPECT_EQ(-ECANCELED, cancel_waiting(_metadata, join_other, other));
	/* They have left nothing behind. */
	uf_sem_post(&sem);
	JOIN(other);
	EXPECT_EQ(-EAGAIN, uf_sem_trywait(&sem));
	EXPECT_EQ(0, uf_mutex_trylock(&mutex));
}

static void *wait_twice(void *arg)
{
	intptr_t sum = 0;

	while (!uf_cancelled())
		uf_yield();
	sum += uf_sem_wait(arg) == -ECANCELED;
	sum += uf_sem_wait_until(arg, UF_FOREVER - 1) == -ECANCELED;
	sum += uf_sleep(1000000000000) == -ECANCELED;
	uf_shield(true);
	sum += uf_sleep(1) == 0;
	sum += uf_sem_wait_until(arg, uf_now() + 1000) == -ETIMEDOUT;
	uf_shield(false);
	sum += uf_sleep(1000000000000) == -ECANCELED;
	return (void *)sum;
}

/* Before it waits; and then always, but in a shield. */
FIBER_TEST(running, 2)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *fiber;
	void *value;

	CREATE(&fiber, wait_twice, &sem);
	uf_yield();
	EXPECT_EQ(0, uf_cancel(fiber));
	EXPECT_EQ(0, uf_cancel(fiber));
	ASSERT_EQ(0, uf_join(fiber, &value));
	EXPECT_EQ((void *)6, value);
	EXPECT_FALSE(uf_cancelled());
}

static void *wait_shielded(void *arg)
{
	intptr_t error;

	uf_shield(true);
	error = uf_sem_wait(arg);
	uf_shield(false);
	return (void *)error;
}

FIBER_TEST(shielded, 1)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *fiber;
	void *value = &sem;

	CREATE(&fiber, wait_shielded, &sem);
	uf_yield();
	EXPECT_EQ(0, uf_cancel(fiber));
	uf_yield();
	EXPECT_EQ(UF_STATE_WAITING, uf_state(fiber));
	uf_sem_post(&sem);
	ASSERT_EQ(0, uf_join(fiber, &value));
	EXPECT_EQ(NULL, value);
	EXPECT_EQ(-EINVAL, uf_shield(false));
}

TEST(outside)
{
	EXPECT_FALSE(uf_cancelled());
	EXPECT_EQ(-EPERM, uf_shield(true));
}

static void *read_byte(void *arg)
{
	char byte;

	return (void *)(intptr_t)uf_read(*(int *)arg, &byte, 1);
}

static void *read_byte_until(void *arg)
{
	char byte;

	return (void *)(intptr_t)uf_read_until(*(int *)arg, &byte, 1,
					       uf_now() + 1000000000000);
}

static void *accept_one(void *arg)
{
	return (void *)(intptr_t)uf_accept(*(int *)arg, NULL, NULL, 0);
}

FIBER_TEST(io, 2)
{
	int fds[2], listener;
	char byte = 0;
	int i;

	ASSERT_EQ(0, pipe(fds));
	for (i = 0; i < 50; i++) {
		EXPECT_EQ(-ECANCELED, cancel_waiting(_metadata, read_byte, fds));
		EXPECT_EQ(-ECANCELED,
			  cancel_waiting(_metadata, read_byte_until, fds));
	}
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_EQ(0, bind(listener, &(struct sockaddr){ AF_UNIX },
			  sizeof(sa_family_t)));
	ASSERT_EQ(0, listen(listener, 1));
	EXPECT_EQ(-ECANCELED, cancel_waiting(_metadata, accept_one, &listener));
	/* No cancelled read takes what comes later. */
	ASSERT_EQ(1, write(fds[1], "x", 1));
	EXPECT_EQ(1, uf_read(fds[0], &byte, 1));
	EXPECT_EQ('x', byte);
	close(listener);
	close(fds[0]);
	close(fds[1]);
}

/* Those beside it in the ring go on. */
FIBER_TEST(io_of_others, 1)
{
	int fds[8][2], i;
	struct uf_fiber *fiber[8];
	void *value;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, pipe(fds[i]));
		CREATE(&fiber[i], read_byte, fds[i]);
	}
	for (i = 0; i < 8; i++)
		while (uf_state(fiber[i]) != UF_STATE_WAITING)
			uf_yield();
	EXPECT_EQ(0, uf_cancel(fiber[3]));
	ASSERT_EQ(0, uf_join(fiber[3], &value));
	EXPECT_EQ((void *)-ECANCELED, value);
	for (i = 0; i < 8; i++) {
		if (i == 3)
			continue;
		EXPECT_EQ(UF_STATE_WAITING, uf_state(fiber[i]));
		ASSERT_EQ(1, write(fds[i][1], "x", 1));
		ASSERT_EQ(0, uf_join(fiber[i], &value));
		EXPECT_EQ((void *)1, value);
	}
	for (i = 0; i < 8; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

static void *read_blocking(void *arg)
{
	char byte;

	/* Not by the library: it blocks in the kernel. */
	return (void *)(intptr_t)(read(*(int *)arg, &byte, 1) < 0 ? -errno : 0);
}

FIBER_TEST(blocked_in_the_kernel, 1)
{
	struct uf_fiber *fiber;
	int fds[2], i;
	void *value;

	if (strcmp(uf_runtime_backend(NULL), "module"))
		SKIP(return, "backend %s does not interrupt system calls",
			   uf_runtime_backend(NULL));
	ASSERT_EQ(0, pipe(fds));
	for (i = 0; i < 50; i++) {
		CREATE(&fiber, read_blocking, fds);
		do {
			uf_yield();
			EXPECT_EQ(0, uf_cancel(fiber));
		} while (uf_state(fiber) != UF_STATE_ENDED);
		ASSERT_EQ(0, uf_join(fiber, &value));
		EXPECT_EQ((void *)-EINTR, value);
	}
	close(fds[0]);
	close(fds[1]);
}

struct storm {
	struct uf_sem sem;
	atomic_int taken;
	int fds[2];
};

static void *take_some(void *arg)
{
	struct storm *storm = arg;
	intptr_t taken = 0;
	char byte;

	while (!uf_cancelled()) {
		if (!uf_sem_wait(&storm->sem))
			taken++;
		uf_read_until(storm->fds[0], &byte, 1, uf_now() + 1000);
	}
	atomic_fetch_add(&storm->taken, taken);
	return NULL;
}

/* Posts race with cancels: none is lost, none is had twice. */
FIBER_TEST(races_with_posts, 4)
{
	struct storm storm = { .sem = UF_SEM_INIT(0) };
	struct uf_fiber *fiber[16];
	int i, round, posted = 0;

	ASSERT_EQ(0, pipe(storm.fds));
	for (round = 0; round < 30; round++) {
		for (i = 0; i < 16; i++)
			CREATE(&fiber[i], take_some, &storm);
		for (i = 0; i < 16; i++) {
			uf_sem_post(&storm.sem);
			posted++;
			uf_yield();
			uf_cancel(fiber[i]);
		}
		for (i = 0; i < 16; i++)
			JOIN(fiber[i]);
	}
	while (!uf_sem_trywait(&storm.sem))
		posted--;
	EXPECT_EQ(posted, storm.taken);
	close(storm.fds[0]);
	close(storm.fds[1]);
}

TEST_HARNESS_MAIN

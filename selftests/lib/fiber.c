// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Creation, end, join, detach, name. */
#include "lib_test.h"

#include <pthread.h>

static void *return_arg(void *arg)
{
	return arg;
}

static __attribute__((noinline)) void exit_deeper(void *value)
{
	uf_exit(value);
}

static void *exit_with_arg(void *arg)
{
	exit_deeper(arg);
	abort();
}

static void *yield_some(void *arg)
{
	int i;

	for (i = 0; i < 10; i++)
		uf_yield();
	return arg;
}

static void *wait_sem(void *arg)
{
	uf_sem_wait(arg);
	return arg;
}

FIBER_TEST(value_returned, 1)
{
	struct uf_fiber *fiber;
	void *value = NULL;
	int x;

	CREATE(&fiber, return_arg, &x);
	ASSERT_EQ(0, uf_join(fiber, &value));
	EXPECT_EQ(&x, value);
}

FIBER_TEST(value_of_exit, 1)
{
	struct uf_fiber *fiber;
	void *value = NULL;
	int x;

	CREATE(&fiber, exit_with_arg, &x);
	ASSERT_EQ(0, uf_join(fiber, &value));
	EXPECT_EQ(&x, value);
}

FIBER_TEST(join_after_end, 1)
{
	struct uf_fiber *fiber;
	void *value = NULL;
	int x;

	CREATE(&fiber, return_arg, &x);
	uf_yield();
	uf_yield();
	ASSERT_EQ(0, uf_join(fiber, &value));
	EXPECT_EQ(&x, value);
}

FIBER_TEST(join_many, 4)
{
	struct uf_fiber *fiber[500];
	uintptr_t i;
	void *value;

	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		CREATE(&fiber[i], yield_some, (void *)i);
	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &value));
		EXPECT_EQ((void *)i, value);
	}
}

TEST(join_from_thread)
{
	struct uf_runtime *rt;
	uintptr_t i;
	void *value;

	CREATE_RUNTIME(&rt, 2);
	for (i = 0; i < 1000; i++) {
		struct uf_fiber *fiber;

		ASSERT_EQ(0, uf_create(rt, &fiber, NULL,
				       i % 2 ? yield_some : return_arg,
				       (void *)i));
		ASSERT_EQ(0, uf_join(fiber, &value));
		EXPECT_EQ((void *)i, value);
	}
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

static void *join_arg(void *arg)
{
	return (void *)(intptr_t)uf_join(arg, NULL);
}

FIBER_TEST(join_twice, 1)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *fiber, *joiner;
	void *error;

	CREATE(&fiber, wait_sem, &sem);
	CREATE(&joiner, join_arg, fiber);
	uf_yield();
	EXPECT_EQ(-EINVAL, uf_join(fiber, NULL));
	EXPECT_EQ(-EINVAL, uf_detach(fiber));
	uf_sem_post(&sem);
	ASSERT_EQ(0, uf_join(joiner, &error));
	EXPECT_EQ(NULL, error);
}

struct race {
	struct uf_fiber *target;
	atomic_int arrived;
	atomic_int joined;
	atomic_int refused;
};

static void *race_to_join(void *arg)
{
	struct race *race = arg;
	int error;

	atomic_fetch_add(&race->arrived, 1);
	while (atomic_load(&race->arrived) < 2)
		uf_yield();
	error = uf_join(race->target, NULL);
	atomic_fetch_add(error ? &race->refused : &race->joined, 1);
	return NULL;
}

/* Of two that join at once one is refused, and the other comes back. */
FIBER_TEST(join_race, 2)
{
	int i;

	for (i = 0; i < 500; i++) {
		struct uf_sem sem = UF_SEM_INIT(0);
		struct uf_fiber *joiner[2];
		struct race race = { 0 };

		CREATE(&race.target, wait_sem, &sem);
		CREATE(&joiner[0], race_to_join, &race);
		CREATE(&joiner[1], race_to_join, &race);
		while (!atomic_load(&race.refused))
			uf_yield();
		uf_sem_post(&sem);
		JOIN(joiner[0]);
		JOIN(joiner[1]);
		ASSERT_EQ(1, atomic_load(&race.joined));
		ASSERT_EQ(1, atomic_load(&race.refused));
	}
}

FIBER_TEST(join_self, 1)
{
	EXPECT_EQ(-EDEADLK, uf_join(uf_self(), NULL));
}

static void *set_flag(void *arg)
{
	atomic_store((atomic_int *)arg, 1);
	return NULL;
}

FIBER_TEST(detached_runs, 2)
{
	struct uf_attr attr = UF_ATTR_INIT;
	atomic_int flag = 0;

	attr.flags = UF_DETACHED;
	ASSERT_EQ(0, uf_create(NULL, NULL, &attr, set_flag, &flag));
	while (!atomic_load(&flag))
		uf_yield();
}

FIBER_TEST(detach_running, 1)
{
	/* The fiber outlives this one. */
	static struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *fiber;

	CREATE(&fiber, wait_sem, &sem);
	EXPECT_EQ(0, uf_detach(fiber));
	EXPECT_EQ(-EINVAL, uf_join(fiber, NULL));
	EXPECT_EQ(-EINVAL, uf_detach(fiber));
	uf_sem_post(&sem);
}

FIBER_TEST(detach_ended, 1)
{
	struct uf_fiber *fiber, *other;

	CREATE(&fiber, return_arg, NULL);
	uf_yield();
	uf_yield();
	EXPECT_EQ(0, uf_detach(fiber));
	/* It was freed: its stack is the next one's. */
	CREATE(&other, return_arg, NULL);
	EXPECT_SAME_STACK(fiber, other);
	JOIN(other);
}

/* Detaching while it ends, a thousand times. */
FIBER_TEST(detach_race, 2)
{
	struct uf_fiber *fiber;
	atomic_int flag;
	int i;

	for (i = 0; i < 1000; i++) {
		atomic_store(&flag, 0);
		CREATE(&fiber, set_flag, &flag);
		if (i % 2)
			uf_yield();
		ASSERT_EQ(0, uf_detach(fiber));
		while (!atomic_load(&flag))
			uf_yield();
	}
}

static void *name_of_self(void *arg)
{
	return (void *)uf_name(NULL);
}

FIBER_TEST(name, 1)
{
	const char *longer = "a name of more than thirty-two bytes";
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;

	attr.name = "worker";
	ASSERT_EQ(0, uf_create(NULL, &fiber, &attr, name_of_self, NULL));
	EXPECT_STREQ("worker", uf_name(fiber));
	JOIN(fiber);

	attr.name = longer;
	ASSERT_EQ(0, uf_create(NULL, &fiber, &attr, name_of_self, NULL));
	EXPECT_EQ(UF_NAME_MAX - 1, strlen(uf_name(fiber)));
	EXPECT_EQ(0, strncmp(longer, uf_name(fiber), UF_NAME_MAX - 1));
	JOIN(fiber);

	EXPECT_STREQ("", uf_name(NULL));
}

static void *self(void *arg)
{
	return uf_self();
}

FIBER_TEST(self_is_handle, 1)
{
	struct uf_fiber *fiber;
	void *value;

	CREATE(&fiber, self, NULL);
	ASSERT_EQ(0, uf_join(fiber, &value));
	EXPECT_EQ(fiber, value);
}

FIBER_TEST(create_errors, 1)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;

	EXPECT_EQ(-EINVAL, uf_create(NULL, NULL, NULL, return_arg, NULL));
	EXPECT_EQ(-EINVAL, uf_create(NULL, &fiber, NULL, NULL, NULL));
	attr.stack_size = UF_STACK_MIN - 1;
	EXPECT_EQ(-EINVAL, uf_create(NULL, &fiber, &attr, return_arg, NULL));
	attr.stack_size = SIZE_MAX;
	EXPECT_EQ(-ENOMEM, uf_create(NULL, &fiber, &attr, return_arg, NULL));
	attr.stack_size = 0;
	attr.flags = ~UF_DETACHED;
	EXPECT_EQ(-EINVAL, uf_create(NULL, &fiber, &attr, return_arg, NULL));
	attr.flags = 0;
	attr.size--;
	EXPECT_EQ(-EINVAL, uf_create(NULL, &fiber, &attr, return_arg, NULL));
}

TEST(outside)
{
	struct uf_fiber *fiber;

	EXPECT_EQ(-EPERM, uf_create(NULL, &fiber, NULL, return_arg, NULL));
	EXPECT_EQ(NULL, uf_self());
	EXPECT_STREQ("", uf_name(NULL));
	uf_yield();
}

TEST(exit_outside)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		fclose(stderr);
		uf_exit(NULL);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGABRT, WTERMSIG(status));
}

FIBER_TEST(identity, 2)
{
	struct uf_fiber *fiber[600];
	unsigned int i, j;

	EXPECT_NE(0, uf_id(NULL));
	EXPECT_EQ(uf_id(uf_self()), uf_id(NULL));
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		CREATE(&fiber[i], yield_some, NULL);
	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		ASSERT_NE(uf_id(NULL), uf_id(fiber[i]));
		for (j = 0; j < i; j++)
			ASSERT_NE(uf_id(fiber[j]), uf_id(fiber[i]));
	}
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		JOIN(fiber[i]);
}

TEST(identity_outside)
{
	EXPECT_EQ(0, uf_id(NULL));
}

FIBER_TEST(states, 1)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;

	EXPECT_EQ(UF_STATE_RUNNING, uf_state(uf_self()));
	attr.flags = UF_PARKED;
	ASSERT_EQ(0, uf_create(NULL, &fiber, &attr, wait_sem, &sem));
	uf_yield();
	EXPECT_EQ(UF_STATE_PARKED, uf_state(fiber));
	EXPECT_EQ(0, uf_start(fiber));
	EXPECT_EQ(-EINVAL, uf_start(fiber));
	EXPECT_EQ(UF_STATE_READY, uf_state(fiber));
	uf_yield();
	EXPECT_EQ(UF_STATE_WAITING, uf_state(fiber));
	uf_sem_post(&sem);
	EXPECT_EQ(UF_STATE_READY, uf_state(fiber));
	uf_yield();
	EXPECT_EQ(UF_STATE_ENDED, uf_state(fiber));
	JOIN(fiber);
}

FIBER_TEST(many_at_once, 2)
{
	struct uf_fiber *fiber[300];
	void *args[300], *value;
	uintptr_t i;

	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		args[i] = (void *)i;
	ASSERT_EQ(0, uf_create_many(NULL, fiber, ARRAY_SIZE(fiber), NULL,
				    return_arg, args));
	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &value));
		EXPECT_EQ((void *)i, value);
	}
	ASSERT_EQ(0, uf_create_many(NULL, fiber, 2, NULL, return_arg, NULL));
	ASSERT_EQ(0, uf_join(fiber[0], &value));
	EXPECT_EQ(NULL, value);
	JOIN(fiber[1]);
	EXPECT_EQ(0, uf_create_many(NULL, NULL, 0, NULL, return_arg, NULL));
	EXPECT_EQ(-EINVAL, uf_create_many(NULL, fiber, 2, NULL, NULL, NULL));
}

FIBER_TEST(join_until, 1)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *fiber;
	void *value;

	CREATE(&fiber, wait_sem, &sem);
	EXPECT_EQ(-ETIMEDOUT, uf_join_until(fiber, NULL, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_join_until(fiber, NULL, uf_now() + 1000));
	/* Nobody joins it any more. */
	EXPECT_EQ(-ETIMEDOUT, uf_join_until(fiber, NULL, uf_now() + 1000));
	uf_sem_post(&sem);
	ASSERT_EQ(0, uf_join_until(fiber, &value, UF_FOREVER));
	EXPECT_EQ(&sem, value);
}

TEST_HARNESS_MAIN

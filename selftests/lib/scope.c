// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Scopes: nobody outlives one; an error, a cancel, a deadline end all of it. */
#include "lib_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add_one(void *arg)
{
	uf_yield();
	atomic_fetch_add((atomic_int *)arg, 1);
	return 0;
}

FIBER_TEST(close_waits, 2)
{
	struct uf_scope scope;
	atomic_int n = 0;
	int i;

	ASSERT_EQ(0, uf_scope_open(&scope, UF_FOREVER));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, add_one, &n));
	EXPECT_EQ(0, uf_scope_close(&scope));
	EXPECT_EQ(100, n);
	ASSERT_EQ(0, uf_scope_open(&scope, UF_FOREVER));
	EXPECT_EQ(0, uf_scope_close(&scope));
}

static int wait_for_ever(void *arg)
{
	int error = uf_sem_wait(arg);

	return error == -ECANCELED ? -EIO : error;
}

static int fail(void *arg)
{
	(void)arg;
	uf_yield();
	return -EBADMSG;
}

FIBER_TEST(first_error_cancels_the_rest, 2)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_scope scope;
	int i;

	ASSERT_EQ(0, uf_scope_open(&scope, UF_FOREVER));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, wait_for_ever, &sem));
	ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, fail, NULL));
	EXPECT_EQ(-EBADMSG, uf_scope_close(&scope));
}

FIBER_TEST(cancelled_scope, 2)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_scope scope;

	ASSERT_EQ(0, uf_scope_open(&scope, UF_FOREVER));
	ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, wait_for_ever, &sem));
	EXPECT_EQ(0, uf_scope_cancel(&scope));
	/* One that comes later is cancelled from its start. */
	ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, wait_for_ever, &sem));
	EXPECT_EQ(-EIO, uf_scope_close(&scope));
	/* The owner is not. */
	EXPECT_EQ(0, uf_sleep(1));
}

static int wait_as_it_is(void *arg)
{
	return uf_sem_wait(arg);
}

/* That its fibers were cancelled is no error, nor is it to be cancelled before. */
FIBER_TEST(cancelled_empty, 1)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_scope scope;
	int i;

	ASSERT_EQ(0, uf_scope_open(&scope, UF_FOREVER));
	EXPECT_EQ(0, uf_scope_cancel(&scope));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, wait_as_it_is, &sem));
	EXPECT_EQ(0, uf_scope_close(&scope));
}

struct place {
	struct uf_sem go;
	uintptr_t address;
	int error;
};

static int note_place(void *arg)
{
	struct place *place = arg;
	char local;

	place->address = (uintptr_t)&local;
	place->error = uf_sem_wait(&place->go);
	return 0;
}

static void *note_place_outside(void *arg)
{
	note_place(arg);
	return NULL;
}

/* What is left of those that have ended is nobody's: another's stack, not cancelled. */
FIBER_TEST(ended_ones_are_forgotten, 1)
{
	struct place child[3] = {}, outside[2] = {};
	struct uf_fiber *fiber[2];
	struct uf_scope scope;
	int i, same = 0;

	ASSERT_EQ(0, uf_scope_open(&scope, UF_FOREVER));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0,
			  uf_scope_spawn(&scope, NULL, note_place, &child[i]));
	uf_yield();
	uf_sem_post(&child[2].go);
	uf_yield();
	uf_sem_post(&child[1].go);
	uf_yield();
	for (i = 0; i < 2; i++)
		CREATE(&fiber[i], note_place_outside, &outside[i]);
	uf_yield();
	for (i = 0; i < 4; i++)
		same += labs((long)(child[1 + i / 2].address -
				    outside[i % 2].address)) < 32768;
	EXPECT_EQ(2, same);
	EXPECT_EQ(0, uf_scope_cancel(&scope));
	for (i = 0; i < 2; i++) {
		uf_sem_post(&outside[i].go);
		JOIN(fiber[i]);
		EXPECT_EQ(0, outside[i].error);
	}
	EXPECT_EQ(0, uf_scope_close(&scope));
	EXPECT_EQ(-ECANCELED, child[0].error);
}

FIBER_TEST(deadline, 2)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_scope scope, inner;
	int fds[2];
	char byte;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, uf_scope_open(&scope, uf_now() + 1000000));
	ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, wait_as_it_is, &sem));
	/* The owner's waits have it, too, and an inner scope's. */
	EXPECT_EQ(-ETIMEDOUT, uf_sleep_until(UF_FOREVER));
	EXPECT_EQ(-ETIMEDOUT, uf_sem_wait(&sem));
	EXPECT_EQ(-ETIMEDOUT, uf_read(fds[0], &byte, 1));
	ASSERT_EQ(0, uf_scope_open(&inner, UF_FOREVER));
	EXPECT_EQ(-ETIMEDOUT, uf_sem_wait(&sem));
	EXPECT_EQ(0, uf_shield(true));
	EXPECT_EQ(0, uf_sleep(1));
	EXPECT_EQ(0, uf_shield(false));
	EXPECT_EQ(0, uf_scope_close(&inner));
	EXPECT_EQ(-ETIMEDOUT, uf_scope_close(&scope));
	EXPECT_EQ(0, uf_sleep(1));
	close(fds[0]);
	close(fds[1]);
}

struct inherits {
	struct uf_sem never;
	struct uf_event done;
	int error;
};

static int wait_and_tell(void *arg)
{
	struct inherits *i = arg;

	i->error = uf_sem_wait(&i->never);
	uf_event_set(&i->done);
	return 0;
}

/* A fiber of the scope has the deadline by itself, not by the owner's closing. */
FIBER_TEST(deadline_of_a_child, 2)
{
	struct inherits i = { .never = UF_SEM_INIT(0), .done = UF_EVENT_INIT };
	struct uf_scope scope;

	ASSERT_EQ(0, uf_scope_open(&scope, uf_now() + 1000000));
	ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, wait_and_tell, &i));
	EXPECT_EQ(0, uf_shield(true));
	EXPECT_EQ(0, uf_event_wait(&i.done));
	EXPECT_EQ(0, uf_shield(false));
	EXPECT_EQ(-ETIMEDOUT, i.error);
	uf_scope_close(&scope);
}

/* What then_block() reads. */
static int pipe_end;

static int shielded_for_a_while(void *arg)
{
	int error;

	uf_shield(true);
	error = uf_sem_wait(arg);
	uf_shield(false);
	return error;
}

struct outer {
	struct uf_sem sem;
	int (*child)(void *arg);
	int error;
	int later;
};

static void *own_a_scope(void *arg)
{
	struct uf_sem never = UF_SEM_INIT(0);
	struct outer *outer = arg;
	struct uf_scope scope;

	uf_scope_open(&scope, UF_FOREVER);
	uf_scope_spawn(&scope, NULL, outer->child, &outer->sem);
	outer->error = uf_scope_close(&scope);
	outer->later = uf_sem_wait(&never);
	return NULL;
}

/* Returns the owner, which has been cancelled while it closes. */
static struct uf_fiber *cancel_closer(struct __test_metadata *_metadata,
				      struct outer *outer)
{
	struct uf_fiber *fiber;

	CREATE(&fiber, own_a_scope, outer);
	while (uf_state(fiber) != UF_STATE_WAITING)
		uf_yield();
	EXPECT_EQ(0, uf_cancel(fiber));
	return fiber;
}

/* Who is cancelled while it closes still waits for those that need longer. */
FIBER_TEST(cancelled_closer, 2)
{
	struct outer outer = { UF_SEM_INIT(0), shielded_for_a_while, 1, 1 };
	struct uf_fiber *fiber;

	fiber = cancel_closer(_metadata, &outer);
	EXPECT_EQ(-ETIMEDOUT, uf_join_until(fiber, NULL, uf_now() + 100000));
	uf_sem_post(&outer.sem);
	JOIN(fiber);
	EXPECT_EQ(-ECANCELED, outer.error);
	EXPECT_EQ(-ECANCELED, outer.later);
}

/* What a fiber then fails with is what is returned. */
FIBER_TEST(cancelled_closer_of_a_failure, 2)
{
	struct outer outer = { UF_SEM_INIT(0), wait_for_ever, 1, 1 };

	JOIN(cancel_closer(_metadata, &outer));
	EXPECT_EQ(-EIO, outer.error);
	EXPECT_EQ(-ECANCELED, outer.later);
}

static int then_block(void *arg)
{
	char byte;

	if (uf_sem_wait(arg) != -ECANCELED)
		return -EBADMSG;
	/* It is cancelled, and asked again until it has ended. */
	return read(pipe_end, &byte, 1) < 0 ? -errno : 0;
}

FIBER_TEST(cancelled_again, 2)
{
	struct outer outer = { UF_SEM_INIT(0), then_block, 1, 1 };
	int fds[2];

	if (strcmp(uf_runtime_backend(NULL), "module"))
		SKIP(return, "only the module interrupts a system call");
	ASSERT_EQ(0, pipe(fds));
	pipe_end = fds[0];
	JOIN(cancel_closer(_metadata, &outer));
	EXPECT_EQ(-EINTR, outer.error);
	close(fds[0]);
	close(fds[1]);
}

static int open_inside(void *arg)
{
	struct uf_scope scope;
	int error = uf_scope_open(&scope, UF_FOREVER), i;

	for (i = 0; !error && i < 10; i++)
		error = uf_scope_spawn(&scope, NULL, add_one, arg);
	return error ? error : uf_scope_close(&scope);
}

static int spawn_beside(void *scope)
{
	static atomic_int n;

	return uf_scope_spawn(scope, NULL, add_one, &n);
}

FIBER_TEST(nested, 4)
{
	struct uf_scope scope;
	atomic_int n = 0;
	int i;

	ASSERT_EQ(0, uf_scope_open(&scope, UF_FOREVER));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, open_inside, &n));
	/* A fiber of the scope may add to it. */
	ASSERT_EQ(0, uf_scope_spawn(&scope, NULL, spawn_beside, &scope));
	EXPECT_EQ(0, uf_scope_close(&scope));
	EXPECT_EQ(500, n);
}

TEST(bad_use)
{
	struct uf_scope scope;

	EXPECT_EQ(-EPERM, uf_scope_open(&scope, UF_FOREVER));
	EXPECT_EQ(-EPERM, uf_scope_spawn(&scope, NULL, fail, NULL));
	EXPECT_EQ(-EPERM, uf_scope_close(&scope));
}

FIBER_TEST(bad_arguments, 1)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_scope a, b;

	ASSERT_EQ(0, uf_scope_open(&a, UF_FOREVER));
	ASSERT_EQ(0, uf_scope_open(&b, UF_FOREVER));
	EXPECT_EQ(-EINVAL, uf_scope_close(&a));
	EXPECT_EQ(-EINVAL, uf_scope_spawn(&b, NULL, NULL, NULL));
	attr.flags = UF_DETACHED;
	EXPECT_EQ(-EINVAL, uf_scope_spawn(&b, &attr, fail, NULL));
	attr.flags = UF_PARKED;
	EXPECT_EQ(-EINVAL, uf_scope_spawn(&b, &attr, fail, NULL));
	attr.flags = 0;
	attr.size = 1;
	EXPECT_EQ(-EINVAL, uf_scope_spawn(&b, &attr, fail, NULL));
	EXPECT_EQ(0, uf_scope_close(&b));
	EXPECT_EQ(0, uf_scope_close(&a));
	EXPECT_EQ(-EINVAL, uf_scope_close(&a));
}

TEST_HARNESS_MAIN

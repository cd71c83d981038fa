// SPDX-License-Identifier: GPL-2.0
/* Priorities: which RUNNABLE thread gets the server that is free. */
#include "uf_test.h"

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define YIELD		UFIBER_WAIT_YIELD
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD
#define MANY		8

static struct uf_dom d;
static struct uf_thread a, t[MANY];

/* Start threads that are RUNNABLE, in this order, with these priorities. */
#define QUEUE(...)							\
	do {								\
		const __u32 _p[] = { __VA_ARGS__ };			\
		unsigned int _i;					\
									\
		UF_OPEN(&d, 1, MANY + 1);				\
		UF_SPAWN_RUNNING(&d, &a);				\
		for (_i = 0; _i < ARRAY_SIZE(_p); _i++) {		\
			UF_SPAWN(&d, &t[_i]);				\
			EXPECT_EQ(0, d.threads[t[_i].id].priority);	\
			d.threads[t[_i].id].priority = _p[_i];		\
			uf_post_wait(&t[_i], UFIBER_WAIT_ACQUIRE, 0, 0); \
			ASSERT_STATE(&t[_i], RUNNABLE, Q_WAITING);	\
		}							\
	} while (0)

/* They get the server in this order; each gives it up for good. */
#define EXPECT_ORDER(...)						\
	do {								\
		const unsigned int _o[] = { __VA_ARGS__ };		\
		struct uf_thread *_holder = &a;				\
		unsigned int _i;					\
									\
		for (_i = 0; _i < ARRAY_SIZE(_o); _i++) {		\
			uf_post_wait(_holder, 0, 0, 0);			\
			_holder = &t[_o[_i]];				\
			ASSERT_DONE(0, _holder) TH_LOG("the %u. of them", _i + 1); \
			ASSERT_STATE(_holder, RUNNING, 0);		\
			EXPECT_EQ(ARRAY_SIZE(_o) - 1 - _i, d.shared->nr_runnable); \
		}							\
	} while (0)

TEST(higher_first)
{
	QUEUE(0, 3, 1, 2);
	EXPECT_ORDER(1, 3, 2, 0);
}

TEST(first_come_within_one)
{
	QUEUE(1, 0, 1, 2, 0, 2, 1, 2);
	EXPECT_ORDER(3, 5, 7, 0, 2, 6, 1, 4);
}

/* Any other number is the highest; not higher than that. */
TEST(scribbled)
{
	QUEUE(2, UFIBER_PRIORITIES - 1, UFIBER_NONE, UFIBER_PRIORITIES, 0x80000000U, 0,
	      UFIBER_PRIORITIES - 1, 0x10000);
	EXPECT_ORDER(1, 2, 3, 4, 6, 7, 0, 5);
}

/* It is read when a thread becomes RUNNABLE, not later. */
TEST(changed_later)
{
	unsigned int i;

	QUEUE(0, 1, 2, 3);
	for (i = 0; i < 4; i++)
		d.threads[t[i].id].priority = 3 - i;
	EXPECT_ORDER(3, 2, 1, 0);
}

/* Those that unblock are in the same queue. */
TEST(unblocked)
{
	static int fds[3][2];
	struct uf_thread *next;
	unsigned int i;

	UF_OPEN(&d, 1, MANY);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pipe(fds[i]));
		UF_SPAWN_RUNNING(&d, &t[i]);
		uf_post_read(&t[i], fds[i][0]);
		ASSERT_STATE(&t[i], BLOCKED, 0);
	}
	UF_SPAWN_RUNNING(&d, &a);
	for (i = 0; i < 3; i++) {
		d.threads[t[i].id].priority = i;
		EXPECT_EQ(0, uf_put(fds[i][1]));
		ASSERT_STATE(&t[i], RUNNABLE, Q_HELD);
	}
	next = &a;
	for (i = 3; i-- > 0; ) {
		uf_post_wait(next, 0, 0, 0);
		next = &t[i];
		ASSERT_DONE(1, next);
		ASSERT_STATE(next, RUNNING, 0);
	}
}

/* A hand-over goes to whom it names, a standby comes after the least. */
TEST(handover_and_standby)
{
	QUEUE(0, 3, 1);
	UF_SPAWN_WAITING(&d, &t[3], STANDBY);
	d.threads[t[3].id].priority = 3;
	uf_post_wait(&a, HANDOVER, t[0].id, 0);
	ASSERT_DONE(0, &t[0]);
	uf_post_wait(&t[0], 0, 0, 0);
	ASSERT_DONE(0, &t[1]);
	uf_post_wait(&t[1], 0, 0, 0);
	ASSERT_DONE(0, &t[2]);
	ASSERT_STATE(&t[3], IDLE, Q_STANDBY);
	uf_post_wait(&t[2], 0, 0, 0);
	ASSERT_DONE(0, &t[3]);
}

/* Behind the others of its priority, before those of lower ones. */
TEST(yields)
{
	QUEUE(1, 0, 1);
	d.threads[a.id].priority = 1;
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &t[0]);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	uf_post_wait(&t[0], 0, 0, 0);
	ASSERT_DONE(0, &t[2]);
	uf_post_wait(&t[2], 0, 0, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&t[1], RUNNABLE, Q_WAITING);
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_DONE(0, &t[1]);
}

TEST(kicked)
{
	QUEUE(2, 0, 2);
	d.threads[a.id].priority = 2;
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_DONE(0, &t[0]);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	uf_post_wait(&t[0], 0, 0, 0);
	ASSERT_DONE(0, &t[2]);
	uf_post_wait(&t[2], 0, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_TRUE(uf_await_turns(&a));
	ASSERT_STATE(&t[1], RUNNABLE, Q_WAITING);
	atomic_store(&a.stop, 1);
	ASSERT_DONE(0, &a);
}

/* It is asked to give way, and does, also to one of a lower priority. */
TEST(kicked_by_a_lower_one)
{
	QUEUE(0);
	d.threads[a.id].priority = 3;
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_DONE(0, &t[0]);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	uf_post_wait(&t[0], YIELD, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	atomic_store(&a.stop, 1);
	ASSERT_DONE(0, &a);
	uf_post_wait(&a, YIELD, 0, 0);
	ASSERT_DONE(0, &t[0]);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
}

/* A registration starts at 0, whatever the one before had. */
TEST(registered_anew)
{
	UF_OPEN(&d, 1, 1);
	UF_SPAWN(&d, &a);
	d.threads[a.id].priority = 3;
	ASSERT_EQ(0, uf_unregister(&a));
	ASSERT_EQ(0, uf_register(&a));
	EXPECT_EQ(0, d.threads[a.id].priority);
}

TEST_HARNESS_MAIN

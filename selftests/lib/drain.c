// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A runtime that is drained, and one that is stopped, whatever its fibers do. */
#include "lib_test.h"
/* Both name this attribute. */
#undef __printf
#include "internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* So much time has a fiber to notice; but nothing waits for it to pass. */
#define LONG_NS 1000000000000

struct gate {
	struct uf_sem sem;
	struct uf_mutex mutex;
	struct uf_channel *channel;
	int fds[2];
	atomic_int begun;
	atomic_bool open;
	atomic_long result;
};

static void init_gate(struct gate *gate, struct __test_metadata *_metadata)
{
	*gate = (struct gate){
		.sem = UF_SEM_INIT(0),
		.mutex = UF_MUTEX_INIT,
	};
	ASSERT_EQ(0, pipe(gate->fds));
	ASSERT_EQ(0, uf_channel_create(&gate->channel, sizeof(int), 0));
}

static void end_gate(struct gate *gate)
{
	uf_channel_destroy(gate->channel);
	close(gate->fds[0]);
	close(gate->fds[1]);
}

static void await_begun(struct gate *gate, int n)
{
	while (atomic_load(&gate->begun) < n)
		sched_yield();
}

static void *sleep_long(void *arg)
{
	atomic_fetch_add(&((struct gate *)arg)->begun, 1);
	return (void *)(intptr_t)uf_sleep(LONG_NS);
}

static void *wait_sem(void *arg)
{
	struct gate *gate = arg;

	atomic_fetch_add(&gate->begun, 1);
	return (void *)(intptr_t)uf_sem_wait(&gate->sem);
}

static void *lock_mutex(void *arg)
{
	struct gate *gate = arg;

	atomic_fetch_add(&gate->begun, 1);
	return (void *)(intptr_t)uf_mutex_lock(&gate->mutex);
}

static void *receive(void *arg)
{
	struct gate *gate = arg;
	int value;

	atomic_fetch_add(&gate->begun, 1);
	return (void *)(intptr_t)uf_channel_receive(gate->channel, &value);
}

static void *read_byte(void *arg)
{
	struct gate *gate = arg;
	char byte;

	atomic_fetch_add(&gate->begun, 1);
	return (void *)(intptr_t)uf_read(gate->fds[0], &byte, 1);
}

static void *poll_cancel(void *arg)
{
	atomic_fetch_add(&((struct gate *)arg)->begun, 1);
	while (!uf_cancelled())
		uf_yield();
	return (void *)(intptr_t)-ECANCELED;
}

static void *(*const kinds[])(void *) = {
	sleep_long, wait_sem, lock_mutex, receive, read_byte, poll_cancel,
};

#define KINDS ARRAY_SIZE(kinds)

/* Ends when it is let, and at nothing else. */
static void *wait_deaf(void *arg)
{
	struct gate *gate = arg;

	uf_shield(true);
	atomic_fetch_add(&gate->begun, 1);
	uf_sem_wait(&gate->sem);
	uf_shield(false);
	return NULL;
}

static void *spin_deaf(void *arg)
{
	struct gate *gate = arg;

	atomic_fetch_add(&gate->begun, 1);
	while (!atomic_load(&gate->open))
		uf_yield();
	return NULL;
}

TEST(drain)
{
	struct uf_fiber *fiber[10];
	struct uf_runtime *rt;
	struct gate gate;
	int i;

	init_gate(&gate, _metadata);
	CREATE_RUNTIME(&rt, 2);
	EXPECT_EQ(0, uf_runtime_drain(rt, 0));
	EXPECT_EQ(0, uf_runtime_drain(rt, UF_FOREVER));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, wait_sem, &gate));
	EXPECT_EQ(10, uf_runtime_drain(rt, 0));
	EXPECT_EQ(10, uf_runtime_drain(rt, uf_now() + 1000000));
	for (i = 0; i < 4; i++)
		uf_sem_post(&gate.sem);
	while (uf_runtime_drain(rt, uf_now() + 1000000) != 6)
		;
	for (i = 0; i < 6; i++)
		uf_sem_post(&gate.sem);
	EXPECT_EQ(0, uf_runtime_drain(rt, UF_FOREVER));
	for (i = 0; i < 10; i++)
		EXPECT_EQ(0, uf_join(fiber[i], NULL));
	/* It goes on as before. */
	ASSERT_EQ(0, uf_create(rt, &fiber[0], NULL, wait_sem, &gate));
	uf_sem_post(&gate.sem);
	EXPECT_EQ(0, uf_join(fiber[0], NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_gate(&gate);
}

static void *drain_and_stop(void *arg)
{
	intptr_t wrong = 0;

	wrong += uf_runtime_drain(arg, 0) != -EDEADLK;
	wrong += uf_runtime_drain(arg, UF_FOREVER) != -EDEADLK;
	wrong += uf_runtime_stop(arg, 0) != -EDEADLK;
	wrong += uf_runtime_stop(arg, UF_FOREVER) != -EDEADLK;
	return (void *)(wrong + uf_cancelled());
}

/* Of the runtime's own, and of another one. */
TEST(from_fibers)
{
	struct uf_runtime *rt[2];
	struct uf_fiber *fiber;
	void *wrong;
	int i;

	CREATE_RUNTIME(&rt[0], 1);
	CREATE_RUNTIME(&rt[1], 1);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0,
			  uf_create(rt[i], &fiber, NULL, drain_and_stop, rt[0]));
		ASSERT_EQ(0, uf_join(fiber, &wrong));
		EXPECT_EQ(NULL, wrong);
	}
	EXPECT_EQ(0, uf_runtime_destroy(rt[0]));
	EXPECT_EQ(0, uf_runtime_destroy(rt[1]));
}

/* Every kind of wait, many of each, on some servers. */
static void stop_all_kinds(struct __test_metadata *_metadata,
			   unsigned int servers)
{
	struct uf_fiber *fiber[20 * KINDS];
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_runtime *rt;
	struct gate gate;
	unsigned int i;
	void *value;

	init_gate(&gate, _metadata);
	ASSERT_EQ(0, uf_mutex_lock(&gate.mutex));
	CREATE_RUNTIME(&rt, servers);
	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		attr.stack_size = i % 7 ? 0 : (size_t)2 << 20;
		ASSERT_EQ(0, uf_create(rt, &fiber[i], &attr, kinds[i % KINDS],
				       &gate));
	}
	attr.flags = UF_DETACHED;
	for (i = 0; i < KINDS; i++)
		ASSERT_EQ(0, uf_create(rt, NULL, &attr, kinds[i], &gate));
	await_begun(&gate, ARRAY_SIZE(fiber) + KINDS);
	EXPECT_EQ(0, uf_runtime_stop(rt, UF_FOREVER));
	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		EXPECT_EQ(UF_STATE_ENDED, uf_state(fiber[i]));
		ASSERT_EQ(0, uf_join(fiber[i], &value));
		EXPECT_EQ((void *)-ECANCELED, value)
		TH_LOG("kind %zu", i % KINDS);
	}
	EXPECT_EQ(0, uf_runtime_stop(rt, UF_FOREVER));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_gate(&gate);
}

TEST(stop_one_server)
{
	stop_all_kinds(_metadata, 1);
}

TEST(stop_many_servers)
{
	stop_all_kinds(_metadata, 4);
}

/* Those that ignore it are counted, and waited for. */
TEST(stop_deaf)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber[8], *parked;
	struct uf_runtime *rt;
	struct gate gate;
	int i;

	init_gate(&gate, _metadata);
	CREATE_RUNTIME(&rt, 2);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, wait_deaf, &gate));
	for (; i < 5; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, spin_deaf, &gate));
	for (; i < 8; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, wait_sem, &gate));
	attr.flags = UF_PARKED;
	ASSERT_EQ(0, uf_create(rt, &parked, &attr, sleep_long, &gate));
	await_begun(&gate, 8);
	EXPECT_LE(6, uf_runtime_stop(rt, 0));
	/* Those that wait hear it at some time. */
	while (uf_runtime_stop(rt, uf_now() + 1000000) != 6)
		;
	EXPECT_EQ(6, uf_runtime_stop(rt, uf_now() + 5000000));
	atomic_store(&gate.open, true);
	while (uf_runtime_stop(rt, uf_now() + 1000000) != 4)
		;
	for (i = 0; i < 3; i++)
		uf_sem_post(&gate.sem);
	while (uf_runtime_stop(rt, uf_now() + 1000000) != 1)
		;
	/* From its start. */
	EXPECT_EQ(0, uf_start(parked));
	EXPECT_EQ(0, uf_runtime_stop(rt, UF_FOREVER));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_gate(&gate);
}

static void *read_blocking(void *arg)
{
	struct gate *gate = arg;
	char byte;

	/* Not by the library: it blocks in the kernel. */
	atomic_fetch_add(&gate->begun, 1);
	if (read(gate->fds[0], &byte, 1) < 0)
		atomic_store(&gate->result, -errno);
	return NULL;
}

TEST(stop_blocked_in_the_kernel)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	struct gate gate;
	bool module;

	init_gate(&gate, _metadata);
	CREATE_RUNTIME(&rt, 1);
	module = !strcmp(uf_runtime_backend(rt), "module");
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, read_blocking, &gate));
	await_begun(&gate, 1);
	if (!module) {
		EXPECT_EQ(1, uf_runtime_stop(rt, uf_now() + 5000000));
		ASSERT_EQ(1, write(gate.fds[1], "", 1));
	}
	EXPECT_EQ(0, uf_runtime_stop(rt, UF_FOREVER));
	EXPECT_EQ(module ? -EINTR : 0, gate.result);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_gate(&gate);
}

static void *create_next(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct gate *gate = arg;

	atomic_fetch_add(&gate->begun, 1);
	attr.flags = UF_DETACHED;
	if (!uf_cancelled() && uf_create(NULL, NULL, &attr, create_next, gate))
		abort();
	return NULL;
}

/* Each lives too short to be caught, but there is always one. */
TEST(stop_a_chain)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	struct gate gate;

	init_gate(&gate, _metadata);
	CREATE_RUNTIME(&rt, 2);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, create_next, &gate));
	await_begun(&gate, 1000);
	EXPECT_EQ(0, uf_runtime_stop(rt, UF_FOREVER));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_gate(&gate);
}

static void *do_nothing(void *arg)
{
	return arg;
}

/* Stacks that are chunks of their own, which are unmapped when they end. */
static void *churn(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *child[16];
	struct gate *gate = arg;
	unsigned int i;

	uf_shield(true);
	while (!atomic_load(&gate->open)) {
		for (i = 0; i < ARRAY_SIZE(child); i++) {
			attr.stack_size = (size_t)1 << (i % 4 ? 21 : 15);
			if (uf_create(NULL, &child[i], &attr, do_nothing, gate))
				abort();
		}
		for (i = 0; i < ARRAY_SIZE(child); i++)
			if (uf_join(child[i], NULL))
				abort();
		atomic_fetch_add(&gate->begun, 1);
	}
	uf_shield(false);
	return NULL;
}

/* While fibers are made and end, and their memory comes and goes. */
TEST(stop_while_they_come_and_go)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	struct gate gate;
	int i;

	init_gate(&gate, _metadata);
	CREATE_RUNTIME(&rt, 3);
	for (i = 0; i < 6; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber, NULL, churn, &gate));
	await_begun(&gate, 10);
	for (i = 0; i < 200; i++)
		EXPECT_LE(6, uf_runtime_stop(rt, 0));
	await_begun(&gate, 60);
	atomic_store(&gate.open, true);
	EXPECT_EQ(0, uf_runtime_stop(rt, UF_FOREVER));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_gate(&gate);
}

#define LARGE 8

struct walk {
	struct uf_fiber *fiber[LARGE];
	unsigned int joined;
	unsigned int visited;
};

/* At the first visit all go, and the others are still there to be looked at. */
static void visit(void *stack, size_t size, void *arg)
{
	struct walk *walk = arg;

	for (; walk->joined < LARGE; walk->joined++)
		if (uf_join(walk->fiber[walk->joined], NULL))
			abort();
	walk->visited += !*(volatile char *)stack && size == (size_t)2 << 20;
}

/* What stop does to find the fibers: memory that is given back stays until then. */
TEST(walk)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct walk walk = { 0 };
	struct uf_runtime *rt;
	int i;

	CREATE_RUNTIME(&rt, 1);
	attr.stack_size = (size_t)2 << 20;
	for (i = 0; i < LARGE; i++)
		ASSERT_EQ(0, uf_create(rt, &walk.fiber[i], &attr, do_nothing,
				       NULL));
	ASSERT_EQ(0, uf_runtime_drain(rt, UF_FOREVER));
	uf_arena_walk(&rt->stacks.arena, visit, &walk);
	EXPECT_EQ(LARGE, walk.visited);
	EXPECT_EQ(NULL, rt->stacks.arena.all);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

#define MANY 20000

TEST(stop_many)
{
	static struct uf_fiber *fiber[MANY];
	struct uf_runtime *rt;
	struct gate gate;
	void *value;
	int i;

	init_gate(&gate, _metadata);
	CREATE_RUNTIME(&rt, 2);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, sleep_long, &gate));
	await_begun(&gate, MANY);
	EXPECT_EQ(0, uf_runtime_stop(rt, UF_FOREVER));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &value));
		ASSERT_EQ((void *)-ECANCELED, value);
	}
	/* And those that come later. */
	ASSERT_EQ(0, uf_create(rt, &fiber[0], NULL, sleep_long, &gate));
	ASSERT_EQ(0, uf_join(fiber[0], &value));
	EXPECT_EQ((void *)-ECANCELED, value);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_gate(&gate);
}

static void *stop_runtime(void *rt)
{
	return (void *)(intptr_t)uf_runtime_stop(rt, UF_FOREVER);
}

/* By several at once, beside one who drains. */
TEST(stop_twice_at_once)
{
	struct uf_fiber *fiber;
	pthread_t thread[3];
	struct uf_runtime *rt;
	struct gate gate;
	void *left;
	int i;

	init_gate(&gate, _metadata);
	CREATE_RUNTIME(&rt, 2);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber, NULL, sleep_long, &gate));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, stop_runtime, rt));
	EXPECT_EQ(0, uf_runtime_drain(rt, UF_FOREVER));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], &left));
		EXPECT_EQ(NULL, left);
	}
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_gate(&gate);
}

TEST_HARNESS_MAIN

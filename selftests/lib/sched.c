// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Who runs when and where: fairness, several servers, idle servers. */
#include "sync_test.h"
/* Both name this attribute. */
#undef __printf
#include "internal.h"

#include <sched.h>
#include <sys/resource.h>

FIXTURE(servers)
{
	struct uf_runtime *rt;
};

FIXTURE_VARIANT(servers)
{
	unsigned int n;
};

FIXTURE_VARIANT_ADD(servers, one){
	.n = 1,
};

FIXTURE_VARIANT_ADD(servers, two){
	.n = 2,
};

FIXTURE_VARIANT_ADD(servers, four){
	.n = 4,
};

FIXTURE_SETUP(servers)
{
	CREATE_RUNTIME(&self->rt, variant->n);
}

FIXTURE_TEARDOWN(servers)
{
	EXPECT_EQ(0, uf_runtime_destroy(self->rt));
}

static void run(struct __test_metadata *_metadata, struct uf_runtime *rt,
		void *(*start)(void *), void *arg)
{
	struct uf_fiber *fiber;

	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, start, arg));
	ASSERT_EQ(0, uf_join(fiber, NULL));
}

#define MANY 10000

struct many {
	struct __test_metadata *metadata;
	atomic_int ran;
	struct uf_fiber *fiber[MANY];
};

static void *yield_and_count(void *arg)
{
	struct many *many = arg;
	int i;

	for (i = 0; i < 3; i++)
		uf_yield();
	atomic_fetch_add(&many->ran, 1);
	return NULL;
}

static void *create_many(void *arg)
{
	struct many *many = arg;
	struct __test_metadata *_metadata = many->metadata;
	int i;

	for (i = 0; i < MANY; i++)
		CREATE(&many->fiber[i], yield_and_count, many);
	for (i = 0; i < MANY; i++)
		JOIN(many->fiber[i]);
	return NULL;
}

TEST_F(servers, many_fibers)
{
	static struct many many;
	struct uf_stats stats = { .size = sizeof(stats) };

	if (LIB_TEST_TSAN)
		SKIP(return, "a fiber takes a megabyte of ThreadSanitizer's");
	many.metadata = _metadata;
	run(_metadata, self->rt, create_many, &many);
	EXPECT_EQ(MANY, many.ran);
	ASSERT_EQ(0, uf_runtime_stats(self->rt, &stats));
	EXPECT_EQ(0, stats.fibers);
	EXPECT_LE(MANY, stats.switches);
	if (!strcmp(uf_runtime_backend(self->rt), "none")) {
		EXPECT_EQ(variant->n, stats.threads);
	} else {
		EXPECT_LT(variant->n, stats.threads);
	}
}

static void *add_one(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return NULL;
}

TEST_F(servers, create_from_outside)
{
	struct uf_attr attr = UF_ATTR_INIT;
	atomic_int ran = 0;
	int i;

	attr.flags = UF_DETACHED;
	for (i = 0; i < 2000; i++) {
		ASSERT_EQ(0, uf_create(self->rt, NULL, &attr, add_one, &ran));
		/* Now and then all servers are idle when the next one comes. */
		while (i % 64 == 0 && atomic_load(&ran) <= i)
			sched_yield();
	}
	while (atomic_load(&ran) < 2000)
		sched_yield();
}

/* Fibers that never switch meet only if each has a server of its own. */
struct meeting {
	struct __test_metadata *metadata;
	unsigned int n;
	atomic_uint here;
	struct uf_sem sem;
};

static void *meet(void *arg)
{
	struct meeting *meeting = arg;

	atomic_fetch_add(&meeting->here, 1);
	while (atomic_load(&meeting->here) < meeting->n)
		sched_yield();
	return NULL;
}

static void *hold_meeting(void *arg)
{
	struct meeting *meeting = arg;
	struct __test_metadata *_metadata = meeting->metadata;
	struct uf_fiber *fiber[4];
	unsigned int i;

	for (i = 0; i < meeting->n - 1; i++)
		CREATE(&fiber[i], meet, meeting);
	meet(meeting);
	for (i = 0; i < meeting->n - 1; i++)
		JOIN(fiber[i]);
	return NULL;
}

/* Idle servers are woken for fibers made on one, and steal them. */
TEST_F(servers, all_servers_run)
{
	int i;

	for (i = 0; i < 50; i++) {
		struct meeting meeting = {
			.metadata = _metadata,
			.n = variant->n,
		};

		run(_metadata, self->rt, hold_meeting, &meeting);
	}
}

static void *do_nothing(void *arg)
{
	return arg;
}

/* Until the next fiber that is ready alone would not wake another server. */
static void *call_in_vain(void *arg)
{
	struct uf_server *s = arg;
	struct uf_fiber *fiber;

	while (!READ_ONCE(s->skip)) {
		MUST(!uf_create(NULL, &fiber, NULL, do_nothing, NULL));
		MUST(!uf_join(fiber, NULL));
	}
	return NULL;
}

static void await_sleep(struct uf_server *s)
{
	while (READ_ONCE(s->sleep) != UF_ASLEEP || READ_ONCE(s->stacks.armed))
		sched_yield();
}

/* Who sleeps while all do does not look around later: it has to be woken. */
TEST_F(servers, help_is_called_after_a_sleep)
{
	struct meeting meeting = { .metadata = _metadata, .n = 2 };
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;
	unsigned int i;

	if (variant->n == 1)
		SKIP(return, "one server has nobody to call");
	attr.flags = UF_PINNED;
	for (i = 0; i < variant->n; i++) {
		attr.server = i;
		ASSERT_EQ(0, uf_create(self->rt, &fiber, &attr, call_in_vain,
				       &self->rt->servers[i]));
		ASSERT_EQ(0, uf_join(fiber, NULL));
	}
	for (i = 0; i < variant->n; i++)
		await_sleep(&self->rt->servers[i]);
	run(_metadata, self->rt, hold_meeting, &meeting);
}

/* The same for fibers that are woken, all by one. */
static void *meet_when_told(void *arg)
{
	struct meeting *meeting = arg;

	uf_sem_wait(&meeting->sem);
	return meet(meeting);
}

TEST_F(servers, all_servers_are_woken)
{
	unsigned int i;
	int turn;

	for (turn = 0; turn < 50; turn++) {
		struct meeting meeting = {
			.metadata = _metadata,
			.n = variant->n,
		};
		struct uf_fiber *fiber[4];

		for (i = 0; i < variant->n; i++)
			ASSERT_EQ(0, uf_create(self->rt, &fiber[i], NULL,
					       meet_when_told, &meeting));
		for (i = 0; i < variant->n; i++)
			ASSERT_EQ(0, uf_sem_post(&meeting.sem));
		for (i = 0; i < variant->n; i++)
			JOIN(fiber[i]);
	}
}

static uint64_t cpu_time(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ULL +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ULL;
}

static long context_switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

#define IDLE_NS 300000000ULL

struct idleness {
	uint64_t cpu;
	long switches;
};

static void *be_idle(void *arg)
{
	struct idleness *idleness = arg;

	/* Once before, for what happens only the first time. */
	uf_sleep(1);
	idleness->cpu = cpu_time();
	idleness->switches = context_switches();
	uf_sleep(IDLE_NS);
	idleness->cpu = cpu_time() - idleness->cpu;
	idleness->switches = context_switches() - idleness->switches;
	return NULL;
}

/* While the only fiber sleeps, so does the process: no polling, no ticks. */
TEST_F(servers, idle_uses_no_cpu)
{
	struct idleness idleness;

	run(_metadata, self->rt, be_idle, &idleness);
	EXPECT_GT(IDLE_NS / 10, idleness.cpu);
	EXPECT_GT(10 + 5 * (long)variant->n, idleness.switches);
}

struct order {
	int next;
	int log[30];
};

static void *log_turns(void *arg)
{
	struct order *order = arg;
	int name = *uf_name(NULL);
	int i;

	for (i = 0; i < 10; i++) {
		order->log[order->next++] = name;
		uf_yield();
	}
	return NULL;
}

/* On one server, fibers that yield take turns. */
FIBER_TEST(yield_is_fair, 1)
{
	const char *const names[] = { "a", "b", "c" };
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber[3];
	struct order order = { 0 };
	int i;

	for (i = 0; i < 3; i++) {
		attr.name = names[i];
		ASSERT_EQ(0,
			  uf_create(NULL, &fiber[i], &attr, log_turns, &order));
	}
	for (i = 0; i < 3; i++)
		JOIN(fiber[i]);
	ASSERT_EQ(30, order.next);
	for (i = 0; i < 30; i++)
		EXPECT_EQ(*names[i % 3], order.log[i]);
}

FIBER_TEST(yield_alone, 1)
{
	int i;

	for (i = 0; i < 1000; i++)
		uf_yield();
}

struct waits {
	int fds[2];
	atomic_int done;
};

static void *wait_for_pipe(void *arg)
{
	struct waits *waits = arg;
	char c;

	if (uf_read(waits->fds[0], &c, 1) == 1)
		atomic_fetch_add(&waits->done, 1);
	return NULL;
}

static void *wait_for_time(void *arg)
{
	struct waits *waits = arg;

	if (!uf_sleep(1000))
		atomic_fetch_add(&waits->done, 1);
	return NULL;
}

/* One that yields and yields does not keep IO and timers from others. */
FIBER_TEST(yielding_lets_io_and_timers_in, 1)
{
	struct uf_fiber *fiber[2];
	struct waits waits = { 0 };

	ASSERT_EQ(0, pipe(waits.fds));
	CREATE(&fiber[0], wait_for_pipe, &waits);
	CREATE(&fiber[1], wait_for_time, &waits);
	uf_yield();
	ASSERT_EQ(1, write(waits.fds[1], "", 1));
	while (atomic_load(&waits.done) < 2)
		uf_yield();
	JOIN(fiber[0]);
	JOIN(fiber[1]);
}

TEST_HARNESS_MAIN

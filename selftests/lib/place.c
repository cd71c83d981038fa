// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Where a fiber runs and before whom: priorities, pinning, directed yields. */
#include "lib_test.h"

#include <unistd.h>

#define SERVERS 4

/* Who ran, in that order. */
struct order {
	unsigned int n;
	char who[256];
};

struct runner {
	struct order *order;
	char name;
	int turns;
};

static void *take_turns(void *arg)
{
	struct runner *runner = arg;
	int i;

	for (i = 0; i < runner->turns; i++) {
		if (i)
			uf_yield();
		runner->order->who[runner->order->n++] = runner->name;
	}
	return NULL;
}

/* Make a fiber of that priority that runs so often. */
static int make_runner(struct uf_fiber **fiber, struct runner *runner,
		       struct order *order, char name, int turns, int priority)
{
	struct uf_attr attr = UF_ATTR_INIT;

	attr.priority = priority;
	*runner = (struct runner){ order, name, turns };
	return uf_create(NULL, fiber, &attr, take_turns, runner);
}

FIBER_TEST(higher_first, 1)
{
	struct order order = { 0 };
	struct uf_fiber *fiber[6];
	struct runner runner[6];
	int i;

	ASSERT_EQ(0, make_runner(&fiber[0], &runner[0], &order, 'l', 1,
				 UF_PRIORITY_LOW));
	ASSERT_EQ(0, make_runner(&fiber[1], &runner[1], &order, 'n', 1,
				 UF_PRIORITY_NORMAL));
	ASSERT_EQ(0, make_runner(&fiber[2], &runner[2], &order, 'h', 1,
				 UF_PRIORITY_HIGH));
	ASSERT_EQ(0, make_runner(&fiber[3], &runner[3], &order, 'L', 1,
				 UF_PRIORITY_LOW));
	ASSERT_EQ(0, make_runner(&fiber[4], &runner[4], &order, 'N', 1,
				 UF_PRIORITY_NORMAL));
	ASSERT_EQ(0, make_runner(&fiber[5], &runner[5], &order, 'H', 1,
				 UF_PRIORITY_HIGH));
	ASSERT_EQ(0, uf_set_priority(UF_PRIORITY_LOW));
	for (i = 0; i < 6; i++)
		JOIN(fiber[i]);
	EXPECT_STREQ("hHnNlL", order.who);
}

struct spinners {
	int stop;
	unsigned int ran[3];
};

static void *spin_high(void *arg)
{
	struct spinners *s = arg;

	while (!s->stop) {
		s->ran[uf_priority(NULL) - UF_PRIORITY_HIGH]++;
		uf_yield();
	}
	return NULL;
}

static void *run_low(void *arg)
{
	struct spinners *s = arg;
	int i;

	for (i = 0; i < 20; i++) {
		s->ran[2]++;
		uf_yield();
	}
	s->stop = 1;
	return NULL;
}

/* Two of high priority never let go, but the low one gets its turns. */
FIBER_TEST(lower_ones_get_turns, 1)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct spinners s = { 0 };
	struct uf_fiber *fiber[3];
	int i;

	attr.priority = UF_PRIORITY_HIGH;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, uf_create(NULL, &fiber[i], &attr, spin_high, &s));
	attr.priority = UF_PRIORITY_LOW;
	ASSERT_EQ(0, uf_create(NULL, &fiber[2], &attr, run_low, &s));
	for (i = 0; i < 3; i++)
		JOIN(fiber[i]);
	EXPECT_EQ(20, s.ran[2]);
	EXPECT_LT(20, s.ran[0]);
	/* The bound that runq.h gives, for an empty list before it. */
	EXPECT_GT(20 * 12 * 8 * 17, s.ran[0]);
}

struct pair {
	struct uf_sem sem[2];
	int stop;
	unsigned int turns;
};

static void *ping(void *arg)
{
	struct pair *pair = arg;

	while (!pair->stop) {
		pair->turns++;
		uf_sem_post(&pair->sem[1]);
		uf_sem_wait(&pair->sem[0]);
	}
	uf_sem_post(&pair->sem[1]);
	return NULL;
}

static void *pong(void *arg)
{
	struct pair *pair = arg;

	while (!pair->stop) {
		uf_sem_wait(&pair->sem[1]);
		uf_sem_post(&pair->sem[0]);
	}
	return NULL;
}

static void *stop_after_turns(void *arg)
{
	struct pair *pair = arg;
	int i;

	for (i = 0; i < 50; i++)
		uf_yield();
	pair->stop = 1;
	return NULL;
}

/* Two that wake each other use the run-next slot; a third one must run, too. */
FIBER_TEST(a_pair_starves_nobody, 1)
{
	struct pair pair = { .sem = { UF_SEM_INIT(0), UF_SEM_INIT(0) } };
	struct uf_fiber *fiber[3];
	int i;

	CREATE(&fiber[0], ping, &pair);
	CREATE(&fiber[1], pong, &pair);
	CREATE(&fiber[2], stop_after_turns, &pair);
	for (i = 0; i < 3; i++)
		JOIN(fiber[i]);
	EXPECT_GT(50 * 12 * 8 * 17, pair.turns);
}

static void *note_after_sleep(void *arg)
{
	struct runner *runner = arg;

	uf_sleep(1);
	runner->order->who[runner->order->n++] = runner->name;
	return NULL;
}

/* Who was woken by IO or a timer runs before others that only compute. */
FIBER_TEST(io_first, 1)
{
	struct order order = { 0 };
	struct uf_fiber *fiber[8];
	struct runner runner[8];
	char *at;
	int i;

	runner[0] = (struct runner){ &order, 'i', 0 };
	CREATE(&fiber[0], note_after_sleep, &runner[0]);
	for (i = 1; i < 8; i++)
		ASSERT_EQ(0, make_runner(&fiber[i], &runner[i], &order, '0' + i,
					 20, 0));
	for (i = 0; i < 8; i++)
		JOIN(fiber[i]);
	/* The timers are looked at every 32 switches. */
	at = strchr(order.who, 'i');
	ASSERT_NE(NULL, at);
	EXPECT_GT(41, at - order.who) TH_LOG("%s", order.who);
}

struct pinned {
	struct __test_metadata *metadata;
	unsigned int server;
	atomic_int away;
};

static void *stay(void *arg)
{
	struct pinned *p = arg;
	int i;

	for (i = 0; i < 200; i++) {
		if (uf_server_number() != (int)p->server)
			atomic_fetch_add(&p->away, 1);
		if (i % 10 == 0)
			uf_sleep(1);
		else
			uf_yield();
	}
	return NULL;
}

FIBER_TEST(pinned_by_attribute, SERVERS)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct pinned p[SERVERS] = { 0 };
	struct uf_fiber *fiber[SERVERS][8];
	unsigned int i, j;

	attr.flags = UF_PINNED;
	for (i = 0; i < SERVERS; i++) {
		p[i].server = attr.server = i;
		for (j = 0; j < 8; j++)
			ASSERT_EQ(0, uf_create(NULL, &fiber[i][j], &attr, stay,
					       &p[i]));
	}
	for (i = 0; i < SERVERS; i++) {
		for (j = 0; j < 8; j++)
			JOIN(fiber[i][j]);
		EXPECT_EQ(0, p[i].away);
	}
}

/* Though the others have nothing to do. */
FIBER_TEST(pinned_beside_idle_servers, SERVERS)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct pinned p = { .server = 1 };
	struct uf_fiber *fiber[8];
	int i;

	attr.flags = UF_PINNED;
	attr.server = 1;
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, uf_create(NULL, &fiber[i], &attr, stay, &p));
	for (i = 0; i < 8; i++)
		JOIN(fiber[i]);
	EXPECT_EQ(0, p.away);
}

static void *note_server(void *sem)
{
	uf_sem_wait(sem);
	return (void *)(intptr_t)uf_server_number();
}

/* In the run-next slot of a server that is busy for long; others look around. */
FIBER_TEST(pinned_and_next, SERVERS)
{
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;
	uint64_t until;
	void *server;

	attr.flags = UF_PINNED;
	attr.server = 2;
	ASSERT_EQ(0, uf_pin(2));
	ASSERT_EQ(0, uf_create(NULL, &fiber, &attr, note_server, &sem));
	uf_yield();
	uf_sem_post(&sem);
	until = uf_now() + 30000000;
	while (uf_now() < until)
		;
	ASSERT_EQ(0, uf_join(fiber, &server));
	EXPECT_EQ((void *)2, server);
}

FIBER_TEST(pin_and_unpin, SERVERS)
{
	int i;

	for (i = 0; i < 400; i++) {
		ASSERT_EQ(0, uf_pin(i % SERVERS));
		ASSERT_EQ(i % SERVERS, uf_server_number());
		uf_yield();
		ASSERT_EQ(i % SERVERS, uf_server_number());
	}
	ASSERT_EQ(0, uf_unpin());
	EXPECT_EQ(-EINVAL, uf_pin(SERVERS));
	EXPECT_EQ(-EINVAL, uf_pin(-1));
}

static void *wake_others(void *arg)
{
	struct uf_sem *sem = arg;
	int i;

	for (i = 0; i < 1000; i++)
		uf_sem_post(sem);
	return NULL;
}

static void *wait_pinned(void *arg)
{
	struct uf_sem *sem = arg;
	long away = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		uf_sem_wait(sem);
		away += uf_server_number() != SERVERS - 1;
	}
	return (void *)away;
}

/* Woken by fibers of all servers it comes back to its own. */
FIBER_TEST(pinned_and_woken, SERVERS)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber[SERVERS], *waiter[SERVERS];
	struct uf_sem sem = UF_SEM_INIT(0);
	void *away;
	int i;

	attr.flags = UF_PINNED;
	for (i = 0; i < SERVERS; i++) {
		attr.server = i;
		ASSERT_EQ(0,
			  uf_create(NULL, &fiber[i], &attr, wake_others, &sem));
		attr.server = SERVERS - 1;
		ASSERT_EQ(0,
			  uf_create(NULL, &waiter[i], &attr, wait_pinned, &sem));
	}
	for (i = 0; i < SERVERS; i++) {
		JOIN(fiber[i]);
		ASSERT_EQ(0, uf_join(waiter[i], &away));
		EXPECT_EQ(NULL, away);
	}
}

FIBER_TEST(yield_to, 1)
{
	struct order order = { 0 };
	struct uf_fiber *fiber[4];
	struct runner runner[4];
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *waiter;
	int i;

	CREATE(&waiter, wait_pinned, &sem);
	uf_yield();
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, make_runner(&fiber[i], &runner[i], &order, 'a' + i,
					 1, 0));
	EXPECT_EQ(0, uf_yield_to(fiber[2]));
	EXPECT_EQ('c', order.who[0]);
	/* The others came before us in the queue. */
	EXPECT_STREQ("cabd", order.who);
	EXPECT_EQ(-EAGAIN, uf_yield_to(fiber[2])); /* ended */
	EXPECT_EQ(-EAGAIN, uf_yield_to(waiter));
	EXPECT_EQ(-EAGAIN, uf_yield_to(uf_self()));
	for (i = 0; i < 4; i++)
		JOIN(fiber[i]);
	for (i = 0; i < 1000; i++)
		uf_sem_post(&sem);
	JOIN(waiter);
}

struct relay {
	struct uf_fiber *fiber[8];
	atomic_int stop;
};

static void *yield_around(void *arg)
{
	struct relay *relay = arg;
	unsigned int seed = uf_id(NULL);
	int i;

	for (i = 0; i < 3000; i++)
		uf_yield_to(relay->fiber[rand_r(&seed) % 8]);
	return NULL;
}

/* Out of each other's queues. */
FIBER_TEST(yield_to_on_several_servers, SERVERS)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct relay relay;
	int i;

	attr.flags = UF_PARKED;
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, uf_create(NULL, &relay.fiber[i], &attr,
				       yield_around, &relay));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, uf_start(relay.fiber[i]));
	/* A handle is gone when it is joined, and the others use it until they end. */
	for (i = 0; i < 8; i++)
		while (uf_state(relay.fiber[i]) != UF_STATE_ENDED)
			uf_yield();
	for (i = 0; i < 8; i++)
		JOIN(relay.fiber[i]);
}

TEST(bad_arguments)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_runtime *rt;
	struct uf_fiber *fiber;

	CREATE_RUNTIME(&rt, 2);
	attr.priority = UF_PRIORITY_LOW + 1;
	EXPECT_EQ(-EINVAL, uf_create(rt, &fiber, &attr, stay, NULL));
	attr.priority = UF_PRIORITY_HIGH - 1;
	EXPECT_EQ(-EINVAL, uf_create(rt, &fiber, &attr, stay, NULL));
	attr.priority = 0;
	attr.server = 1;
	EXPECT_EQ(-EINVAL, uf_create(rt, &fiber, &attr, stay, NULL));
	attr.flags = UF_PINNED;
	attr.server = 2;
	EXPECT_EQ(-EINVAL, uf_create(rt, &fiber, &attr, stay, NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	EXPECT_EQ(-EPERM, uf_pin(0));
	EXPECT_EQ(-EPERM, uf_unpin());
	EXPECT_EQ(-EPERM, uf_set_priority(UF_PRIORITY_LOW));
	EXPECT_EQ(-EPERM, uf_server_number());
}

TEST_HARNESS_MAIN

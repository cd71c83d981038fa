// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Scheduling policies: those that are shipped, and one of the user's. */
#include "lib_test.h"

#include <sched.h>
#include <unistd.h>

/* A user's: who came last runs first. With counts of what it was told. */
struct lifo {
	uint32_t lock;
	struct uf_fiber *top;
	int setups, picks, ticks, idles;
	int whys[4];
	uint64_t blocked, unblocked;
};

static struct lifo *lifo; /* the one of the runtime that was made last */

static int lifo_setup(const struct uf_place *place)
{
	lifo = place->shared;
	lifo->setups++;
	return place->server || place->number != -1 ? -EINVAL : 0;
}

/* Under the lock, which who asks whether there is work does not take. */
static void set_top(struct lifo *l, struct uf_fiber *fiber)
{
	__atomic_store_n(&l->top, fiber, __ATOMIC_RELAXED);
}

static void lifo_ready(const struct uf_place *place, struct uf_fiber *fiber,
		       enum uf_why why)
{
	struct lifo *l = place->shared;

	uf_policy_lock(&l->lock);
	uf_policy_words(fiber)->next = l->top;
	set_top(l, fiber);
	l->whys[why]++;
	uf_policy_unlock(&l->lock);
}

static struct uf_fiber *lifo_pick(const struct uf_place *place)
{
	struct lifo *l = place->shared;
	struct uf_fiber *fiber;

	uf_policy_lock(&l->lock);
	fiber = l->top;
	if (fiber)
		set_top(l, uf_policy_words(fiber)->next);
	l->picks++;
	uf_policy_unlock(&l->lock);
	return fiber;
}

static bool lifo_has_work(const struct uf_place *place)
{
	return __atomic_load_n(&((struct lifo *)place->shared)->top,
			       __ATOMIC_RELAXED);
}

static void lifo_blocked(const struct uf_place *place, uint64_t id)
{
	((struct lifo *)place->shared)->blocked = id;
}

static void lifo_unblocked(const struct uf_place *place, uint64_t id)
{
	((struct lifo *)place->shared)->unblocked = id;
}

static void lifo_idle(const struct uf_place *place)
{
	((struct lifo *)place->shared)->idles++;
}

static void lifo_tick(const struct uf_place *place)
{
	((struct lifo *)place->shared)->ticks++;
}

static const struct uf_policy lifo_policy = {
	.size = sizeof(struct uf_policy),
	.name = "lifo",
	.shared_size = sizeof(struct lifo),
	.setup = lifo_setup,
	.ready = lifo_ready,
	.pick = lifo_pick,
	.has_work = lifo_has_work,
	.blocked = lifo_blocked,
	.unblocked = lifo_unblocked,
	.idle = lifo_idle,
	.tick = lifo_tick,
};

static int run_with(const struct uf_policy *policy, unsigned int servers,
		    void *(*start)(void *), void *arg)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.policy = policy;
	config.servers = servers;
	return uf_run(&config, start, arg, NULL);
}

struct order {
	struct __test_metadata *metadata;
	int n;
	char who[64];
};

struct one {
	struct order *order;
	char name;
	uint64_t deadline;
};

static void *note(void *arg)
{
	struct one *one = arg;

	one->order->who[one->order->n++] = one->name;
	return NULL;
}

static void *create_five(void *arg)
{
	struct order *order = arg;
	struct __test_metadata *_metadata = order->metadata;
	struct uf_fiber *fiber[5];
	struct one one[5];
	int i;

	for (i = 0; i < 5; i++) {
		one[i] = (struct one){ order, 'a' + i, 0 };
		CREATE(&fiber[i], note, &one[i]);
	}
	for (i = 0; i < 5; i++)
		JOIN(fiber[i]);
	return NULL;
}

TEST(last_come_first_served)
{
	struct order order = { .metadata = _metadata };

	ASSERT_EQ(0, run_with(&lifo_policy, 1, create_five, &order));
	EXPECT_STREQ("edcba", order.who);
}

TEST(fifo)
{
	struct order order = { .metadata = _metadata };

	ASSERT_EQ(0, run_with(&uf_policy_fifo, 1, create_five, &order));
	EXPECT_STREQ("abcde", order.who);
}

static struct uf_sem gate;

static void *wait_at(void *sem)
{
	uf_sem_wait(sem);
	return NULL;
}

static void *note_by_deadline(void *arg)
{
	struct one *one = arg;

	uf_policy_set(0, one->deadline);
	uf_sem_wait(&gate);
	return note(arg);
}

static void *create_with_deadlines(void *arg)
{
	static const struct {
		char name;
		uint64_t deadline;
	} these[] = {
		{ 'z', 0 }, { 'd', 40 }, { 'b', 20 }, { 'f', 60 }, { 'a', 10 },
		{ 'y', 0 }, { 'e', 50 }, { 'c', 30 }, { 'g', 60 },
	};
	struct order *order = arg;
	struct __test_metadata *_metadata = order->metadata;
	struct uf_fiber *fiber[ARRAY_SIZE(these)];
	struct one one[ARRAY_SIZE(these)];
	unsigned int i;

	gate = (struct uf_sem)UF_SEM_INIT(0);
	for (i = 0; i < ARRAY_SIZE(these); i++) {
		one[i] = (struct one){ order, these[i].name, these[i].deadline };
		CREATE(&fiber[i], note_by_deadline, &one[i]);
	}
	for (i = 0; i < ARRAY_SIZE(these); i++)
		while (uf_state(fiber[i]) != UF_STATE_WAITING)
			uf_yield();
	for (i = 0; i < ARRAY_SIZE(these); i++)
		uf_sem_post(&gate);
	for (i = 0; i < ARRAY_SIZE(these); i++)
		JOIN(fiber[i]);
	return NULL;
}

TEST(earliest_deadline_first)
{
	struct order order = { .metadata = _metadata };

	ASSERT_EQ(0, run_with(&uf_policy_edf, 1, create_with_deadlines, &order));
	EXPECT_STREQ("abcdefgzy", order.who);
}

/* ------------------------------------------------------------------ storms */

#define FIBERS 40

struct storm {
	struct __test_metadata *metadata;
	struct uf_sem sem;
	struct uf_mutex mutex;
	atomic_int sum;
	int fds[2];
};

static void *do_all(void *arg)
{
	struct storm *storm = arg;
	char byte = 0;
	int i;

	for (i = 0; i < 50; i++) {
		uf_sem_post(&storm->sem);
		uf_yield();
		if (i % 7 == 0)
			uf_sleep(1000);
		uf_sem_wait(&storm->sem);
		uf_mutex_lock(&storm->mutex);
		if (i % 5 == 0) {
			uf_write(storm->fds[1], &byte, 1);
			uf_read(storm->fds[0], &byte, 1);
		}
		uf_mutex_unlock(&storm->mutex);
		uf_policy_set(0, i * 1000);
	}
	atomic_fetch_add(&storm->sum, 1);
	return NULL;
}

static void *stay(void *arg)
{
	long away = 0;
	int i;

	for (i = 0; i < 100; i++) {
		if (i % 10 == 0)
			uf_sleep(1000);
		else
			uf_yield();
		away += uf_server_number() != (int)(intptr_t)arg;
	}
	return (void *)away;
}

static void *storm_of(void *arg)
{
	struct storm *storm = arg;
	struct __test_metadata *_metadata = storm->metadata;
	struct uf_fiber *fiber[FIBERS], *pinned[4];
	struct uf_attr attr = UF_ATTR_INIT;
	void *away;
	int i;

	attr.flags = UF_PINNED;
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, uf_create(NULL, &pinned[i], &attr, stay, NULL));
	for (i = 0; i < FIBERS; i++)
		CREATE(&fiber[i], do_all, storm);
	for (i = 0; i < FIBERS; i++)
		JOIN(fiber[i]);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, uf_join(pinned[i], &away));
		EXPECT_EQ(NULL, away);
	}
	return NULL;
}

static void storm_with(struct __test_metadata *_metadata,
		       const struct uf_policy *policy, unsigned int servers)
{
	struct storm storm = {
		.metadata = _metadata,
		.sem = UF_SEM_INIT(0),
		.mutex = UF_MUTEX_INIT,
	};

	ASSERT_EQ(0, pipe(storm.fds));
	ASSERT_EQ(0, run_with(policy, servers, storm_of, &storm));
	EXPECT_EQ(FIBERS, storm.sum);
	close(storm.fds[0]);
	close(storm.fds[1]);
}

TEST(fifo_storms)
{
	storm_with(_metadata, &uf_policy_fifo, 1);
	storm_with(_metadata, &uf_policy_fifo, 2);
	storm_with(_metadata, &uf_policy_fifo, 4);
}

TEST(edf_storms)
{
	storm_with(_metadata, &uf_policy_edf, 1);
	storm_with(_metadata, &uf_policy_edf, 2);
	storm_with(_metadata, &uf_policy_edf, 4);
}

static void *add_one(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return NULL;
}

/* Made ready by plain threads, while servers go to sleep. */
TEST(from_outside)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_runtime *rt;
	atomic_int sum = 0;
	int i;

	config.policy = &uf_policy_fifo;
	config.servers = 2;
	ASSERT_EQ(0, uf_runtime_create(&rt, &config));
	attr.flags = UF_DETACHED;
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, uf_create(rt, NULL, &attr, add_one, &sum));
		while (i % 16 == 0 && sum <= i)
			sched_yield();
	}
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	EXPECT_EQ(1000, sum);
}

/* ------------------------------------------------------------ what is told */

static void *be_of_all_kinds(void *arg)
{
	struct order *order = arg;
	struct __test_metadata *_metadata = order->metadata;
	struct uf_sem sem = UF_SEM_INIT(0);
	struct uf_fiber *fiber;
	atomic_int count = 0;
	int i;

	EXPECT_EQ(1, lifo->setups);
	EXPECT_EQ(1, lifo->whys[UF_WHY_CREATED]);
	CREATE(&fiber, wait_at, &sem);
	EXPECT_EQ(2, lifo->whys[UF_WHY_CREATED]);
	/* Who yields is ready when the other one runs. */
	uf_yield();
	EXPECT_EQ(1, lifo->whys[UF_WHY_YIELDED]);
	EXPECT_EQ(UF_STATE_WAITING, uf_state(fiber));
	uf_sleep(1000000);
	EXPECT_EQ(1, lifo->whys[UF_WHY_IO]);
	EXPECT_LT(0, lifo->idles);
	uf_sem_post(&sem);
	EXPECT_EQ(1, lifo->whys[UF_WHY_WOKEN]);
	JOIN(fiber);
	EXPECT_EQ(2, lifo->whys[UF_WHY_WOKEN]);
	for (i = 0; i < 64; i++) {
		CREATE(&fiber, add_one, &count);
		JOIN(fiber);
	}
	EXPECT_LE(3, lifo->ticks);
	EXPECT_GT(10, lifo->ticks);
	return NULL;
}

TEST(reasons)
{
	struct order order = { .metadata = _metadata };

	ASSERT_EQ(0, run_with(&lifo_policy, 1, be_of_all_kinds, &order));
}

static void *put_byte(void *arg)
{
	return (void *)(intptr_t)write(*(int *)arg, "x", 1);
}

static void *block_in_the_kernel(void *arg)
{
	struct order *order = arg;
	struct __test_metadata *_metadata = order->metadata;
	struct uf_fiber *fiber;
	int fds[2];
	char byte;

	order->n = strcmp(uf_runtime_backend(NULL), "module");
	if (order->n)
		return NULL;
	ASSERT_EQ(0, pipe(fds));
	CREATE(&fiber, put_byte, &fds[1]);
	/* Another thread takes the server, and runs who writes. */
	ASSERT_EQ(1, read(fds[0], &byte, 1));
	EXPECT_EQ(uf_id(NULL), lifo->blocked);
	EXPECT_EQ(0, lifo->unblocked);
	JOIN(fiber);
	/* That is told when it next parks. */
	uf_sleep(1000000);
	EXPECT_EQ(uf_id(NULL), lifo->unblocked);
	close(fds[0]);
	close(fds[1]);
	return NULL;
}

TEST(blocks)
{
	struct order order = { .metadata = _metadata };

	ASSERT_EQ(0, run_with(&lifo_policy, 1, block_in_the_kernel, &order));
	if (order.n)
		SKIP(return, "only with the module a block is seen at once");
}

/* --------------------------------------------------------------- bad input */

static int setup_fails(const struct uf_place *place)
{
	(void)place;
	return -EDOM;
}

TEST(bad_tables)
{
	struct uf_policy policy = lifo_policy;

	policy.size--;
	EXPECT_EQ(-EINVAL, run_with(&policy, 1, add_one, NULL));
	EXPECT_NE(NULL, strstr(uf_strerror(), "size"));
	policy = lifo_policy;
	policy.pick = NULL;
	EXPECT_EQ(-EINVAL, run_with(&policy, 1, add_one, NULL));
	EXPECT_NE(NULL, strstr(uf_strerror(), "pick"));
	policy = lifo_policy;
	policy.ready = NULL;
	EXPECT_EQ(-EINVAL, run_with(&policy, 1, add_one, NULL));
	policy = lifo_policy;
	policy.has_work = NULL;
	EXPECT_EQ(-EINVAL, run_with(&policy, 1, add_one, NULL));
	policy = lifo_policy;
	policy.name = NULL;
	EXPECT_EQ(-EINVAL, run_with(&policy, 1, add_one, NULL));
	policy = lifo_policy;
	policy.setup = setup_fails;
	EXPECT_EQ(-EDOM, run_with(&policy, 1, add_one, NULL));
	EXPECT_NE(NULL, strstr(uf_strerror(), "lifo"));
	policy = lifo_policy;
	policy.server_size = SIZE_MAX - 100;
	EXPECT_EQ(-ENOMEM, run_with(&policy, 1, add_one, NULL));
	EXPECT_EQ(-EPERM, uf_policy_set(0, 1));
}

FIBER_TEST(bad_index, 1)
{
	EXPECT_EQ(0, uf_policy_set(1, 1));
	EXPECT_EQ(-EINVAL, uf_policy_set(2, 1));
}

/* How many ready fibers were pinned to no server, and to the first. */
static atomic_uint nr_free, nr_pinned;

static void look_ready(const struct uf_place *place, struct uf_fiber *fiber,
		       enum uf_why why)
{
	int server = uf_pinned_to(fiber);

	if (server < 0)
		nr_free += server == -1;
	else
		nr_pinned += server == 0;
	lifo_ready(place, fiber, why);
}

static void *nothing(void *arg)
{
	return arg;
}

static void *pin_one(void *arg)
{
	struct __test_metadata *_metadata = arg;
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;

	EXPECT_EQ(1, nr_free); /* this one */
	EXPECT_EQ(0, nr_pinned);
	CREATE(&fiber, nothing, NULL);
	EXPECT_EQ(2, nr_free);
	JOIN(fiber);
	nr_free = 0;
	attr.flags = UF_PINNED;
	EXPECT_EQ(0, uf_create(NULL, &fiber, &attr, nothing, NULL));
	EXPECT_EQ(0, nr_free);
	EXPECT_EQ(1, nr_pinned);
	JOIN(fiber);
	return NULL;
}

TEST(pinned_to)
{
	struct uf_policy policy = lifo_policy;

	policy.ready = look_ready;
	ASSERT_EQ(0, run_with(&policy, 1, pin_one, _metadata));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* More servers in use, and fewer, while fibers run. */
#include "lib_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

#define MAX_SERVERS 4

static void make_runtime(struct __test_metadata *_metadata,
			 struct uf_runtime **rt, unsigned int servers)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.servers = servers;
	config.max_servers = MAX_SERVERS;
	ASSERT_EQ(0, uf_runtime_create(rt, &config))
	TH_LOG("%s", uf_strerror());
}

static void *set_from_fiber(void *arg)
{
	intptr_t wrong = 0;

	wrong += uf_runtime_servers(NULL) != 1;
	wrong += uf_runtime_set_servers(NULL, 3) != 0;
	wrong += uf_runtime_servers(arg) != 3;
	wrong += uf_runtime_set_servers(NULL, MAX_SERVERS + 1) != -EINVAL;
	wrong += uf_runtime_set_servers(NULL, 1) != 0;
	wrong += uf_pin(0) != 0;
	wrong += uf_pin(1) != -EINVAL;
	return (void *)wrong;
}

TEST(arguments)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_runtime *rt;
	struct uf_fiber *fiber;
	void *wrong;

	config.servers = 3;
	config.max_servers = 2;
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	EXPECT_NE(NULL, strstr(uf_strerror(), "max_servers"));
	config.max_servers = 257;
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	config.max_servers = 4;
	config.max_threads = 3;
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	config.max_threads = 0;
	config.policy = &uf_policy_fifo;
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	EXPECT_NE(NULL, strstr(uf_strerror(), "policy"));

	EXPECT_EQ(-EPERM, uf_runtime_set_servers(NULL, 1));
	EXPECT_EQ(-EPERM, uf_runtime_servers(NULL));
	CREATE_RUNTIME(&rt, 2);
	EXPECT_EQ(2, uf_runtime_servers(rt));
	EXPECT_EQ(-EINVAL, uf_runtime_set_servers(rt, 3));
	EXPECT_EQ(-EINVAL, uf_runtime_set_servers(rt, 0));
	EXPECT_EQ(0, uf_runtime_set_servers(rt, 2));
	EXPECT_EQ(0, uf_runtime_destroy(rt));

	make_runtime(_metadata, &rt, 1);
	attr.flags = UF_PINNED;
	attr.server = 1;
	EXPECT_EQ(-EINVAL, uf_create(rt, &fiber, &attr, set_from_fiber, rt));
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, set_from_fiber, rt));
	ASSERT_EQ(0, uf_join(fiber, &wrong));
	EXPECT_EQ(NULL, wrong);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

/* Meets so many others that run at the same time: there are as many servers. */
struct meeting {
	atomic_int here;
	int n;
	atomic_uint servers;
};

static void *meet(void *arg)
{
	struct meeting *meeting = arg;

	atomic_fetch_or(&meeting->servers, 1U << uf_server_number());
	atomic_fetch_add(&meeting->here, 1);
	while (atomic_load(&meeting->here) < meeting->n)
		sched_yield();
	return NULL;
}

static void run_meeting(struct __test_metadata *_metadata,
			struct uf_runtime *rt, int n)
{
	struct meeting meeting = { .n = n };
	struct uf_fiber *fiber[MAX_SERVERS];
	int i;

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, meet, &meeting));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	EXPECT_EQ((1U << n) - 1, meeting.servers);
}

/* Stays where it is sent, for a while. */
static void *roam(void *arg)
{
	unsigned int allowed = *(unsigned int *)arg;
	int i;

	while (uf_server_number() >= (int)allowed)
		uf_yield();
	for (i = 0; i < 200; i++) {
		if (i % 50 == 7)
			uf_sleep(1000);
		else
			uf_yield();
		if (uf_server_number() >= (int)allowed)
			return arg;
	}
	return NULL;
}

static void run_roamers(struct __test_metadata *_metadata,
			struct uf_runtime *rt, unsigned int n)
{
	struct uf_fiber *fiber[20];
	unsigned int i;
	void *strayed;

	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, roam, &n));
	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &strayed));
		EXPECT_EQ(NULL, strayed);
	}
}

TEST(grow_and_shrink)
{
	static const unsigned int sizes[] = { 4, 1, 2, 4, 3, 1, 4, 2 };
	struct uf_runtime *rt;
	unsigned int i;

	make_runtime(_metadata, &rt, 1);
	run_roamers(_metadata, rt, 1);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, uf_runtime_set_servers(rt, sizes[i]));
		EXPECT_EQ((int)sizes[i], uf_runtime_servers(rt));
		run_roamers(_metadata, rt, sizes[i]);
		run_meeting(_metadata, rt, sizes[i]);
	}
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

/* What fibers do on a server when it goes. */
struct guest {
	struct __test_metadata *metadata;
	atomic_int begun;
	atomic_bool go;
	struct uf_sem sem;
	int fds[2];
};

static void init_guest(struct guest *g, struct __test_metadata *_metadata)
{
	*g = (struct guest){
		.metadata = _metadata,
		.sem = UF_SEM_INIT(0),
	};
	ASSERT_EQ(0, pipe(g->fds));
}

static void end_guest(struct guest *g)
{
	close(g->fds[0]);
	close(g->fds[1]);
}

/* On the highest server, to be free from there. */
static void settle(struct guest *g)
{
	struct __test_metadata *_metadata = g->metadata;

	ASSERT_EQ(0, uf_pin(MAX_SERVERS - 1));
	ASSERT_EQ(0, uf_unpin());
	atomic_fetch_add(&g->begun, 1);
}

/* It may come to run there once more, until it switches. */
static void leave_server(void)
{
	while (uf_server_number())
		uf_yield();
}

static void *sleep_on_it(void *arg)
{
	struct guest *g = arg;
	int i;

	settle(g);
	for (i = 0; !atomic_load(&g->go) || !i; i++)
		uf_sleep(200000);
	uf_sleep(1000);
	leave_server();
	return NULL;
}

static void *read_on_it(void *arg)
{
	struct guest *g = arg;
	struct __test_metadata *_metadata = g->metadata;
	char c;

	settle(g);
	EXPECT_EQ(1, uf_read(g->fds[0], &c, 1));
	leave_server();
	return NULL;
}

static void *wait_on_it(void *arg)
{
	struct guest *g = arg;
	struct __test_metadata *_metadata = g->metadata;

	settle(g);
	EXPECT_EQ(0, uf_sem_wait(&g->sem));
	leave_server();
	return NULL;
}

static void *yield_on_it(void *arg)
{
	struct guest *g = arg;

	settle(g);
	while (!atomic_load(&g->go))
		uf_yield();
	leave_server();
	return NULL;
}

static void *compute_on_it(void *arg)
{
	struct guest *g = arg;

	settle(g);
	while (!atomic_load(&g->go))
		sched_yield();
	leave_server();
	return NULL;
}

/* Pinned: it stays. */
static void *stay_on_it(void *arg)
{
	struct guest *g = arg;
	struct __test_metadata *_metadata = g->metadata;
	char c;
	int i;

	ASSERT_EQ(0, uf_pin(MAX_SERVERS - 1));
	atomic_fetch_add(&g->begun, 1);
	for (i = 0; !atomic_load(&g->go) || i < 100; i++) {
		uf_yield();
		uf_sleep(1000);
		EXPECT_EQ(MAX_SERVERS - 1, uf_server_number());
	}
	EXPECT_EQ(1, uf_read(g->fds[0], &c, 1));
	EXPECT_EQ(0, uf_sem_wait(&g->sem));
	EXPECT_EQ(MAX_SERVERS - 1, uf_server_number());
	EXPECT_EQ(0, uf_unpin());
	leave_server();
	EXPECT_EQ(-EINVAL, uf_pin(MAX_SERVERS - 1));
	return NULL;
}

/* Each by itself, and two of each kind at once. */
static void retire_under(struct __test_metadata *_metadata,
			 void *(*const *kinds)(void *), unsigned int n)
{
	struct uf_fiber *fiber[16];
	struct uf_runtime *rt;
	struct guest g;
	unsigned int i;

	init_guest(&g, _metadata);
	make_runtime(_metadata, &rt, MAX_SERVERS);
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, kinds[i], &g));
	while (atomic_load(&g.begun) < (int)n)
		sched_yield();
	ASSERT_EQ(0, uf_runtime_set_servers(rt, 1));
	atomic_store(&g.go, true);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(1, write(g.fds[1], "", 1));
		uf_sem_post(&g.sem);
	}
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_guest(&g);
}

TEST(retire_in_use)
{
	void *(*const kinds[])(void *) = {
		sleep_on_it,
		stay_on_it,
		yield_on_it,
		compute_on_it,
	};
	void *(*const all[])(void *) = {
		sleep_on_it, stay_on_it, yield_on_it,
		yield_on_it, stay_on_it, sleep_on_it,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		retire_under(_metadata, &kinds[i], 1);
	retire_under(_metadata, all, ARRAY_SIZE(all));
}

/* They wait when the server goes, and come back elsewhere. */
TEST(retire_under_waits)
{
	struct uf_fiber *fiber[2];
	struct uf_runtime *rt;
	struct guest g;
	int i;

	for (i = 0; i < 20; i++) {
		init_guest(&g, _metadata);
		make_runtime(_metadata, &rt, MAX_SERVERS);
		ASSERT_EQ(0, uf_create(rt, &fiber[0], NULL, read_on_it, &g));
		ASSERT_EQ(0, uf_create(rt, &fiber[1], NULL, wait_on_it, &g));
		while (uf_state(fiber[0]) != UF_STATE_WAITING ||
		       uf_state(fiber[1]) != UF_STATE_WAITING ||
		       atomic_load(&g.begun) < 2)
			sched_yield();
		ASSERT_EQ(0, uf_runtime_set_servers(rt, 1));
		ASSERT_EQ(1, write(g.fds[1], "", 1));
		uf_sem_post(&g.sem);
		ASSERT_EQ(0, uf_join(fiber[0], NULL));
		ASSERT_EQ(0, uf_join(fiber[1], NULL));
		EXPECT_EQ(0, uf_runtime_destroy(rt));
		end_guest(&g);
	}
}

static void *read_cancelled(void *arg)
{
	struct guest *g = arg;
	struct __test_metadata *_metadata = g->metadata;
	char c;

	settle(g);
	EXPECT_EQ(-ECANCELED, uf_read(g->fds[0], &c, 1));
	leave_server();
	return NULL;
}

/* A cancel finds a request in the ring of a server that is not in use. */
TEST(cancel_on_retired)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	struct guest g;
	int i;

	for (i = 0; i < 20; i++) {
		init_guest(&g, _metadata);
		make_runtime(_metadata, &rt, MAX_SERVERS);
		ASSERT_EQ(0, uf_create(rt, &fiber, NULL, read_cancelled, &g));
		while (uf_state(fiber) != UF_STATE_WAITING ||
		       !atomic_load(&g.begun))
			sched_yield();
		ASSERT_EQ(0, uf_runtime_set_servers(rt, 1));
		uf_cancel(fiber);
		ASSERT_EQ(0, uf_join(fiber, NULL));
		EXPECT_EQ(0, uf_runtime_destroy(rt));
		end_guest(&g);
	}
}

static void *read_blocking(void *arg)
{
	struct guest *g = arg;
	struct __test_metadata *_metadata = g->metadata;
	char c;

	settle(g);
	EXPECT_EQ(1, read(g->fds[0], &c, 1));
	leave_server();
	return NULL;
}

TEST(retire_while_blocked)
{
	struct uf_fiber *fiber[6];
	struct uf_runtime *rt;
	struct guest g;
	unsigned int i;

	init_guest(&g, _metadata);
	make_runtime(_metadata, &rt, MAX_SERVERS);
	if (!strcmp(uf_runtime_backend(rt), "none"))
		SKIP(return, "backend none: a block stalls the server");
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, read_blocking, &g));
	while (atomic_load(&g.begun) < (int)ARRAY_SIZE(fiber))
		sched_yield();
	ASSERT_EQ(0, uf_runtime_set_servers(rt, 1));
	run_roamers(_metadata, rt, 1);
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(1, write(g.fds[1], "", 1));
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	ASSERT_EQ(0, uf_runtime_set_servers(rt, MAX_SERVERS));
	run_meeting(_metadata, rt, MAX_SERVERS);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	end_guest(&g);
}

static long nr_wakeups(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

/* Servers that are not in use sleep, while one timer goes on. */
TEST(retired_are_quiet)
{
	struct uf_runtime *rt;
	long before;
	int i;

	make_runtime(_metadata, &rt, MAX_SERVERS);
	run_meeting(_metadata, rt, MAX_SERVERS);
	ASSERT_EQ(0, uf_runtime_set_servers(rt, 1));
	run_roamers(_metadata, rt, 1);
	before = nr_wakeups();
	for (i = 0; i < 20; i++)
		usleep(10000);
	/* Idle stacks are looked at, the monitor looks around a little. */
	EXPECT_GT(20 + 200, nr_wakeups() - before)
	TH_LOG("%ld", nr_wakeups() - before);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

#define WORKERS 24
#define TURNS 300

struct storm {
	struct __test_metadata *metadata;
	struct uf_sem sem;
	struct uf_mutex mutex;
	long counter;
	atomic_int left;
	int fds[2];
};

static void *work(void *arg)
{
	struct storm *storm = arg;
	struct __test_metadata *_metadata = storm->metadata;
	uint32_t random = uf_id(NULL) * 2654435761U | 1;
	char c;
	int i;

	for (i = 0; i < TURNS; i++) {
		random ^= random << 13;
		random ^= random >> 17;
		random ^= random << 5;
		switch (random % 8) {
		case 0:
			uf_sleep(random % 100000);
			break;
		case 1:
			EXPECT_EQ(1, uf_write(storm->fds[1], "", 1));
			EXPECT_EQ(1, uf_read(storm->fds[0], &c, 1));
			break;
		case 2:
			uf_sem_post(&storm->sem);
			EXPECT_EQ(0, uf_sem_wait(&storm->sem));
			break;
		case 3:
			EXPECT_EQ(0, uf_mutex_lock(&storm->mutex));
			storm->counter++;
			uf_yield();
			EXPECT_EQ(0, uf_mutex_unlock(&storm->mutex));
			break;
		case 4:
			if (!uf_pin(random >> 8 & 3)) {
				uf_yield();
				uf_unpin();
			}
			break;
		case 5:
			usleep(random % 50);
			break;
		default:
			uf_yield();
		}
	}
	atomic_fetch_add(&storm->left, -1);
	return NULL;
}

/* Servers come and go as fast as they can while all kinds of work is done. */
TEST(storm)
{
	struct uf_fiber *fiber[WORKERS];
	struct storm storm = {
		.metadata = _metadata,
		.sem = UF_SEM_INIT(0),
		.mutex = UF_MUTEX_INIT,
		.left = WORKERS,
	};
	struct uf_runtime *rt;
	unsigned int changes = 0;
	int i;

	ASSERT_EQ(0, pipe(storm.fds));
	make_runtime(_metadata, &rt, 2);
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, work, &storm));
	while (atomic_load(&storm.left)) {
		ASSERT_EQ(0,
			  uf_runtime_set_servers(rt,
						 1 + changes * 7 / 3 %
								 MAX_SERVERS));
		changes++;
		if (changes % 4 == 0)
			usleep(500);
	}
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	EXPECT_LT(10, changes);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	close(storm.fds[0]);
	close(storm.fds[1]);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Everything at once, on more servers than there are processors. */
#include "lib_test.h"

#include <pthread.h>
#include <sched.h>

#define WORKERS 64
#define TURNS 200
#define LOCKS 8

struct stress {
	struct __test_metadata *metadata;
	struct uf_mutex mutex[LOCKS];
	long counter[LOCKS];
	struct uf_sem tokens;
	int fds[2];
	atomic_int children;
};

struct worker {
	struct stress *stress;
	uint32_t seed;
	long counted[LOCKS];
	int tokens;
};

static uint32_t random_number(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void *child(void *arg)
{
	struct stress *stress = arg;

	uf_yield();
	atomic_fetch_add(&stress->children, 1);
	return stress;
}

static void make_child(struct stress *stress, uint32_t r)
{
	struct __test_metadata *_metadata = stress->metadata;
	struct uf_fiber *fiber;
	void *value;

	CREATE(&fiber, child, stress);
	if (r % 2) {
		ASSERT_EQ(0, uf_join(fiber, &value));
		ASSERT_EQ(stress, value);
	} else {
		ASSERT_EQ(0, uf_detach(fiber));
	}
}

static void lock_and_count(struct worker *w, uint32_t r)
{
	struct stress *stress = w->stress;
	struct __test_metadata *_metadata = stress->metadata;
	unsigned int i = r % LOCKS;
	int error;

	error = r & 256 ? uf_mutex_lock(&stress->mutex[i]) :
			  uf_mutex_lock_until(&stress->mutex[i],
					      uf_now() + r % 100000);
	if (error) {
		ASSERT_EQ(-ETIMEDOUT, error);
		return;
	}
	stress->counter[i]++;
	w->counted[i]++;
	if (r & 512)
		uf_yield();
	ASSERT_EQ(0, uf_mutex_unlock(&stress->mutex[i]));
}

static void pass_token(struct worker *w, uint32_t r)
{
	struct stress *stress = w->stress;
	struct __test_metadata *_metadata = stress->metadata;

	if (!uf_sem_wait_until(&stress->tokens, uf_now() + r % 50000)) {
		if (r & 1024)
			uf_yield();
		ASSERT_EQ(0, uf_sem_post(&stress->tokens));
	}
}

static void use_pipe(struct worker *w, uint32_t r)
{
	struct stress *stress = w->stress;
	struct __test_metadata *_metadata = stress->metadata;
	ssize_t n;
	char c;

	ASSERT_EQ(1, uf_write(stress->fds[1], "", 1));
	do {
		n = uf_read_until(stress->fds[0], &c, 1, uf_now() + r % 100000);
	} while (n == -ETIMEDOUT);
	ASSERT_EQ(1, n);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int i;

	for (i = 0; i < TURNS; i++) {
		uint32_t r = random_number(&w->seed);

		switch (r >> 16 & 7) {
		case 0:
			make_child(w->stress, r);
			break;
		case 1:
		case 2:
			lock_and_count(w, r);
			break;
		case 3:
			pass_token(w, r);
			break;
		case 4:
			use_pipe(w, r);
			break;
		case 5:
			uf_sleep(r % 20000);
			break;
		default:
			uf_yield();
		}
	}
	return NULL;
}

/* A plain thread that interferes. */
static void *interfere(void *arg)
{
	struct stress *stress = arg;
	int i;

	for (i = 0; i < 2000; i++) {
		if (!uf_sem_trywait(&stress->tokens))
			uf_sem_post(&stress->tokens);
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void check(struct stress *stress, struct worker *worker)
{
	struct __test_metadata *_metadata = stress->metadata;
	long counted;
	int i, j;

	for (i = 0; i < LOCKS; i++) {
		counted = 0;
		for (j = 0; j < WORKERS; j++)
			counted += worker[j].counted[i];
		EXPECT_EQ(counted, stress->counter[i]);
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, uf_sem_trywait(&stress->tokens));
	EXPECT_EQ(-EAGAIN, uf_sem_trywait(&stress->tokens));
}

static void stress_servers(struct __test_metadata *_metadata, unsigned int n)
{
	struct stress stress = {
		.metadata = _metadata,
		.tokens = UF_SEM_INIT(4),
	};
	static struct worker worker[WORKERS];
	struct uf_fiber *fiber[WORKERS];
	struct uf_runtime *rt;
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pipe(stress.fds));
	CREATE_RUNTIME(&rt, n);
	for (i = 0; i < WORKERS; i++) {
		worker[i] = (struct worker){
			.stress = &stress,
			.seed = (i + 1) * 2654435761U,
		};
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, work, &worker[i]));
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, interfere, &stress));
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
	check(&stress, worker);
}

TEST(one_server)
{
	stress_servers(_metadata, 1);
}

TEST(two_servers)
{
	stress_servers(_metadata, 2);
}

TEST(eight_servers)
{
	stress_servers(_metadata, 8);
}

#define RING 12
#define LAPS 3000

struct runner {
	struct __test_metadata *metadata;
	struct uf_sem baton;
	struct runner *next;
};

/* Yields between receiving and passing on, with something in each register. */
static void *run(void *arg)
{
	struct runner *r = arg;
	struct __test_metadata *_metadata = r->metadata;
	uint64_t sum = 0;
	int i;

	for (i = 0; i < LAPS; i++) {
		ASSERT_EQ(0, uf_sem_wait(&r->baton));
		uf_yield();
		ASSERT_EQ(0, uf_sem_post(&r->next->baton));
		uf_yield();
		sum += i;
	}
	ASSERT_EQ((uint64_t)LAPS * (LAPS - 1) / 2, sum);
	return NULL;
}

/*
 * Several batons in a ring of runners: queues run empty and are stolen from all
 * the time, of fibers that have only just been switched away from.
 */
TEST(stealing)
{
	struct runner runner[RING];
	struct uf_fiber *fiber[RING];
	struct uf_runtime *rt;
	int i;

	CREATE_RUNTIME(&rt, 4);
	for (i = 0; i < RING; i++)
		runner[i] = (struct runner){
			.metadata = _metadata,
			.baton = UF_SEM_INIT(i % 2),
			.next = &runner[(i + 1) % RING],
		};
	for (i = 0; i < RING; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, run, &runner[i]));
	for (i = 0; i < RING; i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

TEST_HARNESS_MAIN

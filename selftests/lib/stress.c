// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Everything at once, on more servers than there are processors: for 5 seconds with
 * each number of servers, or as many as the environment's UFIBER_STRESS_SECONDS says.
 */
#include "lib_test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

/* For as long as it may be told to run, and some. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT (MAX_SECONDS + 300)

#define SECONDS 5
#define MAX_SECONDS 900

#define WORKERS 64
#define LOCKS 8

struct stress {
	struct __test_metadata *metadata;
	struct uf_mutex mutex[LOCKS];
	long counter[LOCKS];
	struct uf_sem tokens;
	int fds[2];
	int silent[2];
	struct uf_channel *channel[2];
	struct uf_sem nothing;
	uint64_t until;
	atomic_int children;
	atomic_int stop;
	atomic_long turns;
	/* By what was sent, and received. */
	atomic_long sent;
	atomic_long received;
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

/* ---------------------------------------------------------- ended by a cancel */

static void *wait_for_token(void *arg)
{
	struct stress *stress = arg;

	return (void *)(intptr_t)uf_sem_wait(&stress->nothing);
}

static void *sleep_long(void *arg)
{
	return (void *)(intptr_t)uf_sleep(1000000000000ULL);
}

static void *read_nothing(void *arg)
{
	struct stress *stress = arg;
	char c;

	return (void *)uf_read(stress->silent[0], &c, 1);
}

static void cancel_child(struct stress *stress, uint32_t r)
{
	static void *(*const waits[])(void *arg) = {
		wait_for_token,
		sleep_long,
		read_nothing,
	};
	struct __test_metadata *_metadata = stress->metadata;
	struct uf_fiber *fiber;
	void *error;

	CREATE(&fiber, waits[r % ARRAY_SIZE(waits)], stress);
	if (r & 64)
		uf_yield();
	if (r & 128)
		uf_sleep(r % 50000);
	ASSERT_EQ(0, uf_cancel(fiber));
	ASSERT_EQ(0, uf_join(fiber, &error));
	ASSERT_EQ(-ECANCELED, (intptr_t)error);
}

/* -------------------------------------------------------------------- channels */

static void send_or_receive(struct stress *stress, uint32_t r)
{
	struct __test_metadata *_metadata = stress->metadata;
	struct uf_channel *channel = stress->channel[r & 1];
	uint64_t value = r, deadline = uf_now() + r % 100000;
	int error;

	if (r & 64) {
		error = uf_channel_send_until(channel, &value, deadline);
		if (!error)
			atomic_fetch_add(&stress->sent, r);
	} else {
		error = uf_channel_receive_until(channel, &value, deadline);
		if (!error)
			atomic_fetch_add(&stress->received, value);
	}
	ASSERT_TRUE(!error || error == -ETIMEDOUT);
}

static void select_some(struct stress *stress, uint32_t r)
{
	struct __test_metadata *_metadata = stress->metadata;
	uint64_t in = 0, out = r;
	struct uf_case cases[] = {
		{ .op = UF_RECEIVE,
		  .channel = stress->channel[r & 1],
		  .value = &in },
		{ .op = UF_SEND,
		  .channel = stress->channel[~r & 1],
		  .value = &out },
	};
	int i = uf_select_until(cases, 2, uf_now() + r % 100000);

	if (i == -ETIMEDOUT)
		return;
	ASSERT_TRUE(i == 0 || i == 1);
	ASSERT_EQ(0, cases[i].error);
	if (i == 0)
		atomic_fetch_add(&stress->received, in);
	else
		atomic_fetch_add(&stress->sent, r);
}

/* ---------------------------------------------------------------------- scopes */

struct member {
	struct stress *stress;
	uint32_t r;
	atomic_int *alive;
};

static int be_member(void *arg)
{
	struct member *m = arg;
	int error = 0;

	if (m->r & 1)
		error = uf_sleep(m->r % 200000);
	else
		uf_yield();
	/* Some fail, which cancels the others. */
	if (!error && (m->r & 30) == 30)
		error = -EDOM;
	atomic_fetch_sub(m->alive, 1);
	return error;
}

static void use_scope(struct stress *stress, uint32_t r)
{
	struct __test_metadata *_metadata = stress->metadata;
	struct member member[3];
	struct uf_scope scope;
	atomic_int alive = 3;
	int i, error;

	ASSERT_EQ(0, uf_scope_open(&scope, r & 32 ? uf_now() + r % 100000 :
						    UF_FOREVER));
	for (i = 0; i < 3; i++) {
		member[i] = (struct member){ stress, r >> i, &alive };
		ASSERT_EQ(0,
			  uf_scope_spawn(&scope, NULL, be_member, &member[i]));
	}
	if ((r & 0x700) == 0x700)
		ASSERT_EQ(0, uf_scope_cancel(&scope));
	error = uf_scope_close(&scope);
	ASSERT_TRUE(!error || error == -EDOM || error == -ETIMEDOUT);
	ASSERT_EQ(0, atomic_load(&alive));
}

/* -------------------------------------------------------------------- blocking */

static void *nap(void *arg)
{
	struct timespec ts = { .tv_nsec = (intptr_t)arg };

	nanosleep(&ts, NULL);
	return arg;
}

static void block(struct stress *stress, uint32_t r)
{
	struct __test_metadata *_metadata = stress->metadata;
	void *arg = (void *)(intptr_t)(r % 100000), *value;

	if (r & 0x100) {
		ASSERT_EQ(0, uf_offload(nap, arg, &value));
		ASSERT_EQ(arg, value);
	} else {
		nap(arg);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (uf_now() < w->stress->until) {
		uint32_t r = random_number(&w->seed);

		atomic_fetch_add(&w->stress->turns, 1);
		switch (r >> 16 & 15) {
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
		case 6:
			cancel_child(w->stress, r);
			break;
		case 7:
		case 8:
			send_or_receive(w->stress, r);
			break;
		case 9:
			select_some(w->stress, r);
			break;
		case 10:
			use_scope(w->stress, r);
			break;
		case 11:
			block(w->stress, r);
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
	uint32_t seed = 1;

	while (!atomic_load(&stress->stop)) {
		if (!uf_sem_trywait(&stress->tokens))
			uf_sem_post(&stress->tokens);
		send_or_receive(stress, random_number(&seed));
	}
	return NULL;
}

static void check(struct stress *stress, struct worker *worker)
{
	struct __test_metadata *_metadata = stress->metadata;
	long counted;
	uint64_t value;
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
	for (i = 0; i < 2; i++)
		while (!uf_channel_tryreceive(stress->channel[i], &value))
			stress->received += value;
	EXPECT_EQ(stress->sent, stress->received);
	TH_LOG("%ld turns", stress->turns);
}

static uint64_t seconds(struct __test_metadata *_metadata)
{
	const char *text = getenv("UFIBER_STRESS_SECONDS");
	char *end;
	long n;

	if (!text)
		return SECONDS;
	n = strtol(text, &end, 10);
	ASSERT_TRUE(end != text && !*end && n > 0 && n <= MAX_SECONDS)
	TH_LOG("UFIBER_STRESS_SECONDS is \"%s\": from 1 to %d", text,
	       MAX_SECONDS);
	return n;
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

	stress.until = uf_now() + seconds(_metadata) * 1000000000;
	ASSERT_EQ(0, pipe(stress.fds));
	ASSERT_EQ(0, pipe(stress.silent));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, uf_channel_create(&stress.channel[i],
					       sizeof(uint64_t), 3 * i));
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
	atomic_store(&stress.stop, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
	check(&stress, worker);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, uf_channel_destroy(stress.channel[i]));
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

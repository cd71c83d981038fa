// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Fibers that block in the kernel behind the library's back. With the module or
 * the monitor their neighbours go on; each test is so made that it would never end if they
 * did not.
 */
#include "lib_test.h"
/* Both name this attribute. */
#undef __printf
#include "internal.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#define NEEDS_TAKEOVER(rt)                                                     \
	do {                                                                   \
		if (!strcmp(uf_runtime_backend(rt), "none"))                   \
			SKIP(return,                                           \
				   "backend none: a block stalls the server"); \
	} while (0)

/* A pipe that is read from by a bare system call. */
struct blocker {
	struct __test_metadata *metadata;
	int fds[2];
	atomic_int in;
	atomic_int out;
};

static void init_blocker(struct blocker *b, struct __test_metadata *_metadata)
{
	*b = (struct blocker){ .metadata = _metadata };
	ASSERT_EQ(0, pipe(b->fds));
}

static void *block(void *arg)
{
	struct blocker *b = arg;
	struct __test_metadata *_metadata = b->metadata;
	char c;

	atomic_fetch_add(&b->in, 1);
	ASSERT_EQ(1, read(b->fds[0], &c, 1));
	atomic_fetch_add(&b->out, 1);
	return NULL;
}

static void unblock(struct blocker *b, int n)
{
	struct __test_metadata *_metadata = b->metadata;

	while (n--)
		ASSERT_EQ(1, write(b->fds[1], "", 1));
}

/* The one that ends the block is behind it in the only server's queue. */
FIBER_TEST(neighbour_ends_block, 1)
{
	struct uf_stats stats = { .size = sizeof(stats) };
	struct uf_fiber *fiber;
	struct blocker b;
	int i;

	NEEDS_TAKEOVER(NULL);
	init_blocker(&b, _metadata);
	for (i = 0; i < 100; i++) {
		CREATE(&fiber, block, &b);
		while (atomic_load(&b.in) <= i)
			uf_yield();
		unblock(&b, 1);
		JOIN(fiber);
		ASSERT_EQ(i + 1, atomic_load(&b.out));
	}
	ASSERT_EQ(0, uf_runtime_stats(NULL, &stats));
	EXPECT_LT(0, stats.blocks);
	EXPECT_LT(0, stats.handoffs);
}

#define BLOCKERS 40

/* More at once than there were threads at first. */
FIBER_TEST(many_block, 2)
{
	struct uf_stats stats = { .size = sizeof(stats) };
	struct uf_fiber *fiber[BLOCKERS];
	struct blocker b;
	int i;

	NEEDS_TAKEOVER(NULL);
	init_blocker(&b, _metadata);
	for (i = 0; i < BLOCKERS; i++)
		CREATE(&fiber[i], block, &b);
	while (atomic_load(&b.in) < BLOCKERS)
		uf_yield();
	ASSERT_EQ(0, uf_runtime_stats(NULL, &stats));
	EXPECT_LT(BLOCKERS, stats.threads);
	unblock(&b, BLOCKERS);
	for (i = 0; i < BLOCKERS; i++)
		JOIN(fiber[i]);
}

static void *ping(void *arg)
{
	struct blocker *b = arg;
	struct __test_metadata *_metadata = b->metadata;
	char c;
	int i;

	for (i = 0; i < 200; i++) {
		ASSERT_EQ(1, uf_write(b->fds[1], "", 1));
		ASSERT_EQ(1, uf_read(b->fds[0], &c, 1));
		ASSERT_EQ(0, uf_sleep(1000));
	}
	return NULL;
}

/* IO and timers of a server go on while the thread that had it is blocked. */
FIBER_TEST(io_and_timers_go_on, 1)
{
	struct uf_fiber *blocked, *fiber;
	struct blocker b, loop;

	NEEDS_TAKEOVER(NULL);
	init_blocker(&b, _metadata);
	init_blocker(&loop, _metadata);
	CREATE(&blocked, block, &b);
	while (!atomic_load(&b.in))
		uf_yield();
	CREATE(&fiber, ping, &loop);
	JOIN(fiber);
	EXPECT_EQ(0, atomic_load(&b.out));
	unblock(&b, 1);
	JOIN(blocked);
}

#define BLOCKS 200

static void *block_many_times(void *arg)
{
	struct blocker *b = arg;
	struct __test_metadata *_metadata = b->metadata;
	char c;
	int i;

	for (i = 0; i < BLOCKS; i++) {
		ASSERT_EQ(1, read(b->fds[0], &c, 1));
		if (i % 3 == 0)
			uf_yield();
		if (i % 5 == 0)
			uf_sleep(1000);
	}
	atomic_fetch_add(&b->out, 1);
	return NULL;
}

static void *feed(void *arg)
{
	struct blocker *b = arg;

	while (!atomic_load(&b->out)) {
		if (write(b->fds[1], "", 1) != 1)
			abort();
		sched_yield();
	}
	return NULL;
}

/* Some of these reads block and some do not, and all of it at once. */
TEST(blocks_come_and_go)
{
	struct uf_runtime *rt;
	struct uf_fiber *fiber[3];
	struct blocker b[3];
	pthread_t thread[3];
	unsigned int i;

	CREATE_RUNTIME(&rt, 1);
	NEEDS_TAKEOVER(rt);
	for (i = 0; i < ARRAY_SIZE(b); i++) {
		init_blocker(&b[i], _metadata);
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, block_many_times,
				       &b[i]));
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, feed, &b[i]));
	}
	for (i = 0; i < ARRAY_SIZE(b); i++) {
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
	}
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* Whether the thread that has the one server has declared so. */
static bool sleeps_in_ring(struct uf_runtime *rt)
{
	uint32_t owner =
		__atomic_load_n(&rt->shared_servers[0].owner, __ATOMIC_ACQUIRE);

	return UFIBER_OWNER_STATE(owner) == UFIBER_SERVER_POLLING;
}

/*
 * It looks for a server after each block: under the monitor it would go on, and
 * block again, without one.
 */
static void *block_and_yield(void *arg)
{
	struct blocker *b = arg;
	struct __test_metadata *_metadata = b->metadata;
	char c;
	int i;

	for (i = 0; i < BLOCKS; i++) {
		ASSERT_EQ(1, read(b->fds[0], &c, 1));
		uf_yield();
	}
	return NULL;
}

/*
 * Blocks that end while the server's other thread sleeps in the ring, as it has
 * nothing else to do: the server is robbed from it, given away again, and so
 * on, with nothing lost. Each byte is written when the fiber has blocked and the
 * other thread has declared that it sleeps.
 */
TEST(idle_server_is_robbed)
{
	struct uf_stats stats = { .size = sizeof(stats) };
	struct uf_runtime *rt;
	struct uf_fiber *fiber;
	uint64_t blocks = 0;
	struct blocker b;
	int i;

	CREATE_RUNTIME(&rt, 1);
	NEEDS_TAKEOVER(rt);
	init_blocker(&b, _metadata);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, block_and_yield, &b));
	for (i = 0; i < BLOCKS; i++) {
		do {
			sched_yield();
			ASSERT_EQ(0, uf_runtime_stats(rt, &stats));
		} while (stats.blocks <= blocks);
		blocks = stats.blocks;
		while (!sleeps_in_ring(rt))
			sched_yield();
		unblock(&b, 1);
	}
	ASSERT_EQ(0, uf_join(fiber, NULL));
	ASSERT_EQ(0, uf_runtime_stats(rt, &stats));
	EXPECT_LT(0, stats.takeovers);
	EXPECT_LT(0, stats.handoffs);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

static _Thread_local int thread_local_word;

static void *keep_thread(void *arg)
{
	struct blocker *b = arg;
	struct __test_metadata *_metadata = b->metadata;
	int *address = &thread_local_word;
	char c;

	*address = 42;
	atomic_fetch_add(&b->in, 1);
	ASSERT_EQ(1, read(b->fds[0], &c, 1));
	EXPECT_EQ(address, &thread_local_word);
	EXPECT_EQ(42, *address);
	return NULL;
}

/* A fiber that blocks comes back on the thread that it blocked on. */
FIBER_TEST(thread_stays, 2)
{
	struct uf_fiber *fiber[8];
	struct blocker b;
	unsigned int i;

	NEEDS_TAKEOVER(NULL);
	init_blocker(&b, _metadata);
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		CREATE(&fiber[i], keep_thread, &b);
	while (atomic_load(&b.in) < (int)ARRAY_SIZE(fiber))
		uf_yield();
	unblock(&b, ARRAY_SIZE(fiber));
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		JOIN(fiber[i]);
}

struct signalled {
	struct blocker b;
	pthread_t thread;
};

static atomic_int handled;

static void handle(int sig)
{
	atomic_fetch_add(&handled, 1);
}

static void *block_interruptibly(void *arg)
{
	struct signalled *s = arg;
	char c;

	s->thread = pthread_self();
	atomic_store(&s->b.in, 1);
	if (read(s->b.fds[0], &c, 1) == -1 && errno == EINTR)
		atomic_store(&s->b.out, 1);
	/* Whether it still has a server or not, the library finds out. */
	uf_yield();
	return NULL;
}

/* A handler that ends a block: the fiber goes on and finds a server. */
FIBER_TEST(signal_ends_block, 1)
{
	struct sigaction action = { .sa_handler = handle };
	struct uf_fiber *fiber;
	struct signalled s;

	NEEDS_TAKEOVER(NULL);
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	memset(&s, 0, sizeof(s));
	init_blocker(&s.b, _metadata);
	CREATE(&fiber, block_interruptibly, &s);
	while (!atomic_load(&s.b.in))
		uf_yield();
	/* It may not be in the system call yet: until it has been hit. */
	while (!atomic_load(&s.b.out)) {
		pthread_kill(s.thread, SIGUSR1);
		uf_yield();
	}
	JOIN(fiber);
	EXPECT_LT(0, atomic_load(&handled));
}

static void *sleep_forever_in_pause(void *arg)
{
	struct blocker *b = arg;

	atomic_fetch_add(&b->in, 1);
	for (;;)
		pause();
	return NULL;
}

/* A process ends although its fibers are blocked. */
TEST(exit_while_blocked)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_runtime *rt;
	struct blocker b;
	pid_t child;
	int status;
	int i;

	attr.flags = UF_DETACHED;
	init_blocker(&b, _metadata);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		CREATE_RUNTIME(&rt, 2);
		for (i = 0; i < 2; i++)
			uf_create(rt, NULL, &attr, sleep_forever_in_pause, &b);
		while (atomic_load(&b.in) < 2)
			sched_yield();
		exit(3);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "the child could make no runtime");
	EXPECT_EQ(3, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Signals that come to a runtime's threads at any time: while they switch, sleep,
 * steal, submit. What the fibers do must not notice.
 */
#include "lib_test.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define FIBERS 12
#define TURNS 400
/* Each server's thread gets at least so many. */
#define SIGNALS 200

static __thread int here; /* of the thread that runs the handler */
static atomic_int handled;
static atomic_int stop;

static void on_signal(int sig)
{
	here++;
	atomic_fetch_add(&handled, 1);
}

struct ring {
	struct __test_metadata *metadata;
	struct uf_mutex mutex;
	struct uf_channel *channel;
	long counter;
};

static void use_pipe(struct ring *ring, int fds[2], int i)
{
	struct __test_metadata *_metadata = ring->metadata;
	char c = i, d;

	ASSERT_EQ(1, uf_write(fds[1], &c, 1));
	ASSERT_EQ(1, uf_read(fds[0], &d, 1));
	ASSERT_EQ(c, d);
}

static void *work(void *arg)
{
	struct ring *ring = arg;
	struct __test_metadata *_metadata = ring->metadata;
	double x = 1.5;
	int fds[2], i;

	ASSERT_EQ(0, pipe(fds));
	for (i = 0; i < TURNS; i++) {
		ASSERT_EQ(0, uf_mutex_lock(&ring->mutex));
		ring->counter++;
		if (i % 3 == 0)
			uf_yield();
		ASSERT_EQ(0, uf_mutex_unlock(&ring->mutex));
		x = x * 3 - 3;
		uf_yield();
		if (i % 8 == 0)
			use_pipe(ring, fds, i);
		if (i % 16 == 0)
			ASSERT_EQ(0, uf_sleep(10000));
		ASSERT_EQ(0, uf_channel_send(ring->channel, &i));
	}
	close(fds[0]);
	close(fds[1]);
	/* It has stayed what x = 3x - 3 leaves alone. */
	return (void *)(intptr_t)(x == 1.5);
}

static void *receive(void *arg)
{
	struct ring *ring = arg;
	intptr_t sum = 0;
	int value;

	while (!uf_channel_receive(ring->channel, &value))
		sum += value;
	return (void *)sum;
}

/* A signal to each thread of the process but ourselves and who waits, in turn. */
static void *send_signals(void *arg)
{
	pid_t self = syscall(SYS_gettid), pid = getpid();
	struct dirent *entry;

	while (!atomic_load(&stop)) {
		DIR *dir = opendir("/proc/self/task");

		while ((entry = readdir(dir))) {
			pid_t tid = atoi(entry->d_name);

			if (tid && tid != self && tid != pid)
				syscall(SYS_tgkill, pid, tid, SIGUSR1);
		}
		closedir(dir);
		sched_yield();
	}
	return NULL;
}

static void bombard(struct __test_metadata *_metadata, int flags,
		    unsigned int servers)
{
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = flags,
	};
	struct ring ring = {
		.metadata = _metadata,
		.mutex = UF_MUTEX_INIT,
	};
	struct uf_fiber *fiber[FIBERS], *receiver;
	struct uf_runtime *rt;
	pthread_t sender;
	void *value;
	int i;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, uf_channel_create(&ring.channel, sizeof(int), 4));
	CREATE_RUNTIME(&rt, servers);
	ASSERT_EQ(0, pthread_create(&sender, NULL, send_signals, NULL));
	ASSERT_EQ(0, uf_create(rt, &receiver, NULL, receive, &ring));
	for (i = 0; i < FIBERS; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, work, &ring));
	for (i = 0; i < FIBERS; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &value));
		EXPECT_EQ((void *)1, value);
	}
	ASSERT_EQ(0, uf_channel_close(ring.channel));
	ASSERT_EQ(0, uf_join(receiver, &value));
	EXPECT_EQ((intptr_t)FIBERS * TURNS * (TURNS - 1) / 2, (intptr_t)value);
	EXPECT_EQ((long)FIBERS * TURNS, ring.counter);
	/* Also while all servers are idle. */
	while (atomic_load(&handled) < SIGNALS)
		sched_yield();
	atomic_store(&stop, 1);
	ASSERT_EQ(0, pthread_join(sender, NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	EXPECT_EQ(0, uf_channel_destroy(ring.channel));
}

TEST(restarting)
{
	bombard(_metadata, SA_RESTART, 2);
}

TEST(interrupting)
{
	bombard(_metadata, 0, 2);
}

TEST(on_signal_stack)
{
	bombard(_metadata, SA_ONSTACK, 2);
}

TEST(one_server)
{
	bombard(_metadata, 0, 1);
}

TEST(many_servers)
{
	bombard(_metadata, SA_RESTART | SA_ONSTACK, 8);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/* Several domains in one process, and threads that come and go. */
#include "uf_test.h"
#include <sched.h>
#include <stdlib.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define YIELD		UFIBER_WAIT_YIELD
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD
#define NONE		UFIBER_NONE
#define DOMAINS		8

static struct uf_dom d[DOMAINS];
static struct uf_thread t[DOMAINS], s[DOMAINS];
static int fds[DOMAINS][2];

static __u32 nr_threads(struct uf_dom *dom)
{
	struct ufiber_query q;

	return uf_query(dom, NONE, NONE, &q) ? NONE : q.nr_threads;
}

/* In each domain the same; each has ids, servers, and a ring of its own. */
TEST(side_by_side)
{
	unsigned int i, round;

	for (i = 0; i < DOMAINS; i++) {
		UF_OPEN(&d[i], 1, 4);
		ASSERT_EQ(0, pipe(fds[i]));
		UF_SPAWN_RUNNING(&d[i], &t[i]);
		UF_SPAWN_WAITING(&d[i], &s[i], STANDBY);
		EXPECT_EQ(t[0].id, t[i].id);
		EXPECT_EQ(0, uf_server(&t[i]));
	}
	for (round = 0; round < 10; round++) {
		for (i = 0; i < DOMAINS; i++) {
			uf_post_read(&t[i], fds[i][0]);
			ASSERT_DONE(0, &s[i]);
			ASSERT_STATE(&t[i], BLOCKED, 0);
			if (i + 1 < DOMAINS) {
				ASSERT_STATE(&t[i + 1], RUNNING, 0);
				ASSERT_STATE(&s[i + 1], IDLE, Q_STANDBY);
			}
		}
		for (i = 0; i < DOMAINS; i++) {
			EXPECT_EQ(0, uf_put(fds[i][1]));
			ASSERT_STATE(&t[i], RUNNABLE, Q_HELD);
			EXPECT_EQ(round + 1, d[i].shared->ring_tail);
			EXPECT_EQ(round + (i + 1 == DOMAINS),
				  d[DOMAINS - 1].shared->ring_tail);
			ASSERT_EVENT(&t[i], UNBLOCKED, NONE);
		}
		for (i = 0; i < DOMAINS; i++) {
			uf_post_wait(&s[i], STANDBY, 0, 0);
			ASSERT_DONE(1, &t[i]);
			ASSERT_STATE(&s[i], IDLE, Q_STANDBY);
		}
	}
	for (i = 0; i < DOMAINS; i++) {
		EXPECT_EQ(10, d[i].servers[0].handoffs);
		EXPECT_EQ(10, d[i].threads[t[i].id].blocks);
		ASSERT_NO_EVENT(&d[i]);
	}
}

/* One is closed, or set up, beside others at work. */
TEST(closed_beside_others)
{
	unsigned int i, n;

	for (i = 0; i < DOMAINS; i++) {
		UF_OPEN(&d[i], 1, 4);
		UF_SPAWN_RUNNING(&d[i], &t[i]);
		UF_SPIN(&t[i]);
	}
	for (n = 0; n < DOMAINS; n += 2) {
		uf_close(&d[n]);
		for (i = 1; i < DOMAINS; i += 2) {
			ASSERT_STATE(&t[i], RUNNING, 0);
			ASSERT_TRUE(uf_await_turns(&t[i]));
		}
		/* Its thread goes on, in no domain; it may join another. */
		atomic_store(&t[n].stop, 1);
		ASSERT_DONE(0, &t[n]);
		UF_OPEN(&d[n], 1, 4);
		while (uf_register(&t[n]) == -EBUSY)	/* until it has noticed */
			sched_yield();
		ASSERT_STATE(&t[n], IDLE, 0);
		EXPECT_EQ(0, uf_wait(&t[n], STANDBY, 0, 0));
		ASSERT_STATE(&t[n], RUNNING, 0);
	}
}

/* A thread acts in its own domain alone. */
static long do_ioctl(long *args)
{
	return uf_ioctl(args[0], args[1], (void *)args[2]);
}

TEST(not_in_the_other)
{
	static struct ufiber_wait wait;
	static const __u32 flags[] = { 0, STANDBY, ACQUIRE, YIELD, HANDOVER };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		UF_OPEN(&d[i], 2, 4);
		UF_SPAWN_RUNNING(&d[i], &t[i]);
		UF_SPAWN_WAITING(&d[i], &s[i], 0);
		ASSERT_EQ(s[0].id, s[i].id);
	}
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		wait = (struct ufiber_wait){ .size = sizeof(wait), .flags = flags[i],
					     .next = flags[i] == HANDOVER ? s[1].id : 0 };
		EXPECT_EQ(-ENXIO, uf_call(&t[0], do_ioctl, (long)d[1].fd,
					  (long)UFIBER_IOC_WAIT, (long)&wait));
		ASSERT_STATE(&t[0], RUNNING, 0);
		ASSERT_STATE(&t[1], RUNNING, 0);
		ASSERT_STATE(&s[1], IDLE, Q_WAITING);
	}
	EXPECT_EQ(-ENXIO, uf_call(&t[0], do_ioctl, (long)d[1].fd,
				  (long)UFIBER_IOC_UNREGISTER, 0L));
	/* An id names a thread of the domain that is asked. */
	uf_post_wait(&t[0], HANDOVER, s[1].id, 0);
	EXPECT_LE(0, uf_finish(&s[0]));
	ASSERT_STATE(&s[0], RUNNING, 0);
	ASSERT_STATE(&s[1], IDLE, Q_WAITING);
	ASSERT_STATE(&t[1], RUNNING, 0);
}

/* What any thread of the process may do, one of another domain may, too. */
TEST(from_the_other)
{
	static struct ufiber_wake wake;
	static struct ufiber_interrupt interrupt;
	static struct ufiber_target target;
	static struct ufiber_resize resize;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		UF_OPEN_AS(&d[i], 0, 1, 2, 4);
		UF_SPAWN_RUNNING(&d[i], &t[i]);
		UF_SPAWN_WAITING(&d[i], &s[i], 0);
	}
	ASSERT_EQ(0, pipe(fds[1]));
	wake = (struct ufiber_wake){ .size = sizeof(wake), .thread = s[1].id };
	EXPECT_EQ(0, uf_call(&t[0], do_ioctl, (long)d[1].fd, (long)UFIBER_IOC_WAKE,
			     (long)&wake));
	ASSERT_STATE(&s[1], RUNNABLE, Q_WAITING);
	ASSERT_STATE(&s[0], IDLE, Q_WAITING);
	target = (struct ufiber_target){ .size = sizeof(target), .thread = t[1].id };
	EXPECT_EQ(0, uf_call(&t[0], do_ioctl, (long)d[1].fd, (long)UFIBER_IOC_KICK,
			     (long)&target));
	ASSERT_DONE(0, &s[1]);
	ASSERT_STATE(&t[1], RUNNABLE, Q_HELD);
	ASSERT_STATE(&t[0], RUNNING, 0);
	resize = (struct ufiber_resize){ .size = sizeof(resize), .nr_servers = 2 };
	EXPECT_EQ(0, uf_call(&t[0], do_ioctl, (long)d[1].fd, (long)UFIBER_IOC_RESIZE,
			     (long)&resize));
	ASSERT_STATE(&t[1], RUNNING, 0);
	EXPECT_EQ(1, d[0].shared->nr_servers);
	uf_post_read(&t[1], fds[1][0]);
	ASSERT_STATE(&t[1], BLOCKED, 0);
	ASSERT_TRUE(uf_await_sleep(&t[1], SYS_read));
	interrupt = (struct ufiber_interrupt){ .size = sizeof(interrupt), .thread = t[1].id };
	EXPECT_EQ(0, uf_call(&t[0], do_ioctl, (long)d[1].fd, (long)UFIBER_IOC_INTERRUPT,
			     (long)&interrupt));
	ASSERT_DONE(-EINTR, &t[1]);
	ASSERT_STATE(&t[0], RUNNING, 0);
}

/* ---------------------------------------------------------- coming and going */

#define SOME		3	/* domains */
#define THREADS		12
#define TURNS		80

static struct uf_thread crowd[THREADS];
static struct uf_dom *doms[SOME] = { &d[0], &d[1], &d[2] };

/* Once: join that domain, get a server, do something, leave. */
static long visit(int fd, unsigned int *seed)
{
	struct ufiber_register reg = { .size = sizeof(reg) };
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = ACQUIRE };
	struct timespec ts = { .tv_nsec = 1000 };
	long ret = uf_ioctl(fd, UFIBER_IOC_REGISTER, &reg);

	if (ret == -ENOSPC)
		return 0;	/* it is crowded; another time */
	if (!ret)
		ret = uf_ioctl(fd, UFIBER_IOC_WAIT, &wait);
	if (ret < 0)
		return ret;
	wait.flags = YIELD;
	switch (rand_r(seed) % 4) {
	case 0:
		ret = syscall(SYS_nanosleep, &ts, NULL) ? -errno : 0;
		break;
	case 1:
		ret = uf_ioctl(fd, UFIBER_IOC_WAIT, &wait);
		break;
	case 2:
		syscall(SYS_sched_yield);
	}
	return ret < 0 ? ret : uf_ioctl(fd, UFIBER_IOC_UNREGISTER, NULL);
}

static long do_visits(long *args)
{
	unsigned int seed = args[0], i;
	long ret = 0;

	for (i = 0; i < TURNS && !ret; i++)
		ret = visit(doms[rand_r(&seed) % SOME]->fd, &seed);
	return ret;
}

TEST(coming_and_going)
{
	unsigned int i, done;
	__u64 grants = 0;

	for (i = 0; i < SOME; i++)
		UF_OPEN(doms[i], 2, 8);
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, uf_spawn_bare(doms[0], &crowd[i]));
	for (i = 0; i < THREADS; i++)
		uf_order(&crowd[i], do_visits, (long)i + 1);
	do {
		for (i = 0; i < SOME; i++)
			ASSERT_AGREES(doms[i]);
		for (i = done = 0; i < THREADS; i++)
			done += uf_is_done(&crowd[i]);
	} while (done < THREADS);
	for (i = 0; i < THREADS; i++)
		ASSERT_DONE(0, &crowd[i]);
	for (i = 0; i < SOME; i++) {
		ASSERT_AGREES(doms[i]);
		EXPECT_EQ(0, nr_threads(doms[i]));
		ASSERT_SERVER(doms[i], 0, VACANT, NONE);
		ASSERT_SERVER(doms[i], 1, VACANT, NONE);
		grants += doms[i]->servers[0].grants + doms[i]->servers[1].grants;
	}
	EXPECT_LE(THREADS, grants);
}

/* Threads that end while they are in, whatever they do. */
static void *mayfly(void *arg)
{
	unsigned int seed = (long)arg;
	struct ufiber_register reg = { .size = sizeof(reg) };
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = ACQUIRE };
	int fd = d[0].fd;

	if (uf_ioctl(fd, UFIBER_IOC_REGISTER, &reg))
		return (void *)1;
	if (seed % 3 && uf_ioctl(fd, UFIBER_IOC_WAIT, &wait) < 0)
		return (void *)2;
	wait.flags = YIELD;
	if (seed % 3 == 2 && uf_ioctl(fd, UFIBER_IOC_WAIT, &wait) < 0)
		return (void *)3;
	return NULL;
}

static bool is_empty(void *arg)
{
	return !nr_threads(arg);
}

TEST(ending_inside)
{
	static pthread_t threads[16];
	pthread_attr_t attr;
	unsigned int i, round;
	void *ret;

	UF_OPEN(&d[0], 2, 16);
	ASSERT_EQ(0, pthread_attr_init(&attr));
	ASSERT_EQ(0, pthread_attr_setstacksize(&attr, 128 * 1024));
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 16; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], &attr, mayfly,
						    (void *)(long)(i + round)));
		for (i = 0; i < 16; i++) {
			ASSERT_EQ(0, pthread_join(threads[i], &ret));
			ASSERT_EQ(NULL, ret);
		}
		/* Joined is not scheduled for the last time. */
		ASSERT_TRUE(uf_await(&d[0], is_empty, &d[0], "the threads to leave"));
		ASSERT_AGREES(&d[0]);
		ASSERT_SERVER(&d[0], 0, VACANT, NONE);
		ASSERT_SERVER(&d[0], 1, VACANT, NONE);
	}
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/* Very many threads in one domain, very many domains in one process, and many processes. */
#include "uf_test.h"
#include "uf_scene.h"
#include "uf_storm.h"
#include <sched.h>
#include <sys/mman.h>

/* Thousands of threads take their time on an emulated machine. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	400

#define THREADS		4096
#define SERVERS		4
#define DOMAINS		64
#define PROCESSES	16

static struct uf_dom d;

/* ----------------------------------------------------------- 4,096 threads */

struct one {
	pthread_t pthread;
	long ret;
};

static struct one one[THREADS];
static int gate[2];
static atomic_uint ended;

/* Join, get a server, block, get one again, leave. */
static void *come_and_go(void *arg)
{
	struct ufiber_register reg = { .size = sizeof(reg) };
	struct ufiber_wait w = { .size = sizeof(w), .flags = UFIBER_WAIT_ACQUIRE };
	struct one *o = arg;
	char byte;

	o->ret = uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg);
	if (!o->ret)
		o->ret = uf_ioctl(d.fd, UFIBER_IOC_WAIT, &w);
	if (o->ret >= 0)
		o->ret = syscall(SYS_read, gate[0], &byte, 1) ? -EIO : 0;
	/* It is back, so it has a server. */
	if (!o->ret)
		o->ret = uf_ioctl(d.fd, UFIBER_IOC_WAIT, &w) < 0 ? -EPROTO : 0;
	if (!o->ret)
		o->ret = uf_ioctl(d.fd, UFIBER_IOC_UNREGISTER, NULL);
	atomic_fetch_add(&ended, 1);
	return NULL;
}

static unsigned int in_state(__u32 state)
{
	unsigned int i, n = 0;

	for (i = 0; i < THREADS; i++)
		n += d.threads[i].state == state;
	return n;
}

static unsigned int nr_blocked(void)
{
	return in_state(UFIBER_THREAD_BLOCKED);
}

static unsigned int nr_ended(void)
{
	return atomic_load(&ended);
}

struct progress {
	unsigned int (*count)(void);
	unsigned int wanted;
};

static bool has_come_to(void *arg)
{
	struct progress *p = arg;

	return p->count() >= p->wanted;
}

/* All of THREADS get there; the bound is for each few of them. */
static bool all_come_to(unsigned int (*count)(void), const char *what)
{
	struct progress p = { .count = count };

	while (p.wanted < THREADS) {
		p.wanted = count() + 128;
		if (p.wanted > THREADS)
			p.wanted = THREADS;
		if (!uf_await(NULL, has_come_to, &p, what))
			return false;
	}
	return true;
}

/*
 * All block at once, come back at once, and pass through four servers. The domain
 * is full then, so another thread fits in only if their ids are free afterwards.
 */
TEST(thousands_of_threads)
{
	struct ufiber_register reg = { .size = sizeof(reg) };
	pthread_attr_t attr;
	struct ufiber_query q;
	unsigned int i;
	__u64 blocks;

	/*
	 * On one CPU: each thread's end would interrupt all others (for its
	 * stack), and so many that run leave no time for the kernel's own.
	 */
	ASSERT_EQ(0, uf_pin(0, 0));
	uf_unlocked = true;	/* or all the stacks are filled */
	UF_BEGIN(&d);
	ASSERT_EQ(0, uf_open(&d, SERVERS, THREADS));
	ASSERT_EQ(0, pipe(gate));
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 32 * 1024);
	for (i = 0; i < THREADS; i++) {
		int ret = pthread_create(&one[i].pthread, &attr, come_and_go, &one[i]);

		ASSERT_EQ(0, ret) TH_LOG("thread %u: %s", i, strerror(ret));
	}
	ASSERT_TRUE(all_come_to(nr_blocked, "more to be blocked"))
		TH_LOG("%u are", nr_blocked());
	ASSERT_EQ(0, uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q));
	EXPECT_EQ(THREADS, q.nr_threads);
	EXPECT_EQ(SERVERS, q.nr_vacant);
	EXPECT_EQ(-ENOSPC, uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg));
	/* They all read the end of the file. */
	close(gate[1]);
	ASSERT_TRUE(all_come_to(nr_ended, "more to end"))
		TH_LOG("%u have, %u are runnable", atomic_load(&ended), d.shared->nr_runnable);
	for (i = 0; i < THREADS; i++) {
		pthread_join(one[i].pthread, NULL);
		ASSERT_EQ(0, one[i].ret) TH_LOG("thread %u", i);
	}
	ASSERT_EQ(0, uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q));
	EXPECT_EQ(0, q.nr_threads);
	EXPECT_EQ(0, q.nr_runnable);
	EXPECT_EQ(SERVERS, q.nr_vacant);
	for (blocks = 0, i = 0; i < SERVERS; i++)
		blocks += d.servers[i].blocks;
	EXPECT_LE(THREADS, blocks);
	EXPECT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg));
	EXPECT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_UNREGISTER, NULL));
	uf_close(&d);
	UF_REFS_BACK();
}

/* -------------------------------------------------------------- 64 domains */

static struct uf_dom dom[DOMAINS];
static struct uf_thread a[DOMAINS], b[DOMAINS];
static int pipes[DOMAINS][2];

/* In each a thread blocks, another takes over; what one does no other notices. */
TEST(many_domains)
{
	int i, round;

	uf_unlocked = true;	/* or all the stacks are filled */
	UF_BEGIN(&d);
	for (i = 0; i < DOMAINS; i++) {
		ASSERT_EQ(0, uf_open(&dom[i], 1, 4));
		ASSERT_EQ(0, pipe(pipes[i]));
		/* Threads that spin are dear: each pair is at rest before the next. */
		UF_SPAWN_RUNNING(&dom[i], &a[i]);
		UF_SPAWN_WAITING(&dom[i], &b[i], UFIBER_WAIT_STANDBY);
		uf_post_read(&a[i], pipes[i][0]);
		ASSERT_DONE(0, &b[i]);
		uf_post_wait(&b[i], 0, 0, 0);
		ASSERT_STATE(&a[i], BLOCKED, 0);
		ASSERT_STATE(&b[i], IDLE, UFIBER_QUERY_WAITING);
		ASSERT_SERVER(&dom[i], 0, VACANT, UFIBER_NONE);
	}
	for (round = 0; round < 2; round++) {
		for (i = 0; i < DOMAINS; i++) {
			ASSERT_EQ(0, uf_put(pipes[i][1]));
			ASSERT_DONE(1, &a[i]);
			ASSERT_STATE(&a[i], RUNNING, 0);
			uf_post_read(&a[i], pipes[i][0]);
			ASSERT_STATE(&a[i], BLOCKED, 0);
		}
	}
	for (i = 0; i < DOMAINS; i++) {
		EXPECT_EQ(3, dom[i].threads[a[i].id].blocks);
		EXPECT_EQ(3, dom[i].servers[0].blocks);
		ASSERT_EQ(0, uf_wake(&b[i], UFIBER_WAKE_CANCEL));
		ASSERT_DONE(-ECANCELED, &b[i]);
		uf_join(&b[i]);
		ASSERT_EQ(0, uf_put(pipes[i][1]));
		ASSERT_DONE(1, &a[i]);
		uf_join(&a[i]);
		uf_close(&dom[i]);
	}
	UF_REFS_BACK();
}

/* One that has been opened is no use to another's threads, 64 times over. */
TEST(open_and_close)
{
	int i, round;

	uf_unlocked = true;	/* or all the stacks are filled */
	UF_BEGIN(&d);
	for (round = 0; round < 5; round++) {
		for (i = 0; i < DOMAINS; i++)
			ASSERT_EQ(0, uf_open(&dom[i], 8, 512));
		EXPECT_LE(DOMAINS, uf_refcnt());
		for (i = 0; i < DOMAINS; i++)
			uf_close(&dom[i]);
	}
	UF_REFS_BACK();
}

/* -------------------------------------------------------- many processes */

TEST(many_processes)
{
	static struct uf_child child[PROCESSES];
	struct uf_storm *storm[PROCESSES];
	int i;

	uf_unlocked = true;	/* or all the stacks are filled */
	UF_BEGIN(&d);
	for (i = 0; i < PROCESSES; i++) {
		storm[i] = uf_storm_new(100 + i);
		UF_CHILD(&child[i], {
			ASSERT_TRUE(uf_storm_start(storm[i], 2, 4));
			UF_CHILD_STEP(&child[i]);
			ASSERT_TRUE(uf_storm_end(storm[i]));
		});
	}
	for (i = 0; i < PROCESSES; i++)
		ASSERT_TRUE(uf_storm_goes_on(storm[i], 50));
	for (i = 0; i < PROCESSES; i++) {
		if (i & 1) {
			UF_CHILD_END(&child[i]);
		} else {
			ASSERT_EQ(0, kill(child[i].pid, SIGKILL));
			UF_CHILD_KILLED(&child[i], SIGKILL);
		}
	}
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

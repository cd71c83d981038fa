// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator may do to the scheduling of a process while it is at it:
 * affinity, priorities, policies, CPUs that go and come, suspend.
 */
#include "uf_test.h"
#include "uf_scene.h"
#include "uf_storm.h"
#include <sched.h>
#include <sys/resource.h>

static struct uf_dom d;
static struct uf_scene scene;
static struct uf_child child;
static struct uf_storm *storm;
static unsigned int seed = 1;

static int nr_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

/* To be moved is no block: every state stays. */
TEST(affinity)
{
	int round, i;

	UF_BEGIN(&d);
	if (nr_cpus() < 2)
		SKIP(return, "one CPU");
	ASSERT_TRUE(uf_scene_set(&scene));
	for (round = 0; round < 20; round++) {
		for (i = 0; i < UF_SCENE_THREADS; i++)
			ASSERT_EQ(0, uf_pin(scene.t[i].tid, (round + i) % 2));
		ASSERT_TRUE(uf_scene_holds(&scene));
		EXPECT_EQ(0, scene.d.threads[scene.t[UF_RUNNING].id].blocks);
	}
	EXPECT_TRUE(uf_scene_end(&scene));
	UF_REFS_BACK();
}

static pid_t somebody(void)
{
	return uf_storm_tid(storm, rand_r(&seed) % storm->nr);
}

TEST(storm_of_affinity)
{
	int i;

	UF_BEGIN(&d);
	if (nr_cpus() < 2)
		SKIP(return, "one CPU");
	storm = uf_storm_new(6);
	ASSERT_TRUE(uf_storm_start(storm, 2, 12));
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, uf_pin(somebody(), rand_r(&seed) % 2));
		ASSERT_TRUE(uf_storm_goes_on(storm, 10));
	}
	EXPECT_TRUE(uf_storm_end(storm));
	UF_REFS_BACK();
}

TEST(storm_of_priorities)
{
	int i;

	UF_BEGIN(&d);
	storm = uf_storm_new(7);
	ASSERT_TRUE(uf_storm_start(storm, 2, 12));
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, setpriority(PRIO_PROCESS, somebody(), rand_r(&seed) % 40 - 20));
		ASSERT_TRUE(uf_storm_goes_on(storm, 10));
	}
	EXPECT_TRUE(uf_storm_end(storm));
	UF_REFS_BACK();
}

static const struct { int policy, priority; } policies[] = {
	{ SCHED_OTHER, 0 }, { SCHED_BATCH, 0 }, { SCHED_IDLE, 0 },
	{ SCHED_FIFO, 1 }, { SCHED_FIFO, 50 }, { SCHED_RR, 1 },
};

TEST(storm_of_policies)
{
	struct sched_param param;
	unsigned int i, p;

	UF_BEGIN(&d);
	storm = uf_storm_new(8);
	ASSERT_TRUE(uf_storm_start(storm, 2, 12));
	for (i = 0; i < 300; i++) {
		p = rand_r(&seed) % ARRAY_SIZE(policies);
		param.sched_priority = policies[p].priority;
		ASSERT_EQ(0, sched_setscheduler(somebody(), policies[p].policy, &param));
		ASSERT_TRUE(uf_storm_goes_on(storm, 10));
	}
	EXPECT_TRUE(uf_storm_end(storm));
	UF_REFS_BACK();
}

/*
 * A thread of the highest priority and one of the lowest work in turns, by
 * blocking and by handing over, beside one that takes all the time it gets.
 */
static atomic_bool stop_spinning;

static void *spin(void *unused)
{
	while (!atomic_load(&stop_spinning))
		;
	return NULL;
}

static long do_hand_over(long *args)
{
	struct ufiber_wait wait = {
		.size = sizeof(wait),
		.flags = UFIBER_WAIT_HANDOVER,
		.next = args[1],
	};
	long i, ret = 0;

	for (i = 0; i < args[2]; i++) {
		/* It may not have got to its wait yet, or be mid-way to it. */
		do {
			ret = uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait);
		} while (ret == -EAGAIN);
		if (ret < 0)
			return ret;
	}
	return ret;
}

TEST(priorities_in_turns)
{
	struct sched_param high = { .sched_priority = 50 }, none = { 0 };
	struct uf_thread a, b;
	pthread_t spinner;

	UF_BEGIN(&d);
	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, pthread_create(&spinner, NULL, spin, NULL));
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	if (nr_cpus() > 1) {
		ASSERT_EQ(0, uf_pin(a.tid, 0));
		ASSERT_EQ(0, uf_pin(b.tid, 0));
	}
	ASSERT_EQ(0, sched_setscheduler(b.tid, SCHED_FIFO, &high));
	ASSERT_EQ(0, setpriority(PRIO_PROCESS, a.tid, 19));
	/* Each hands over N times; b's first wait is the one it is in. */
	uf_order(&a, do_hand_over, (long)d.fd, (long)b.id, 50L);
	ASSERT_DONE(0, &b);
	uf_post(&b, do_hand_over, 3, (long)d.fd, (long)a.id, 50L);
	ASSERT_DONE(0, &a);
	ASSERT_EQ(0, sched_setscheduler(b.tid, SCHED_OTHER, &none));
	/* Now b waits for the turn that follows its last; a has the server. */
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, UFIBER_QUERY_WAITING);
	ASSERT_EQ(0, uf_unregister(&a));
	ASSERT_EQ(0, uf_wake(&b, 0));
	ASSERT_DONE(0, &b);
	atomic_store(&stop_spinning, true);
	pthread_join(spinner, NULL);
	uf_join(&a);
	uf_join(&b);
	uf_close(&d);
	UF_REFS_BACK();
}

static long write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

static bool file_has(const char *path, const char *word)
{
	char buf[256] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	return n > 0 && strstr(buf, word);
}

TEST(hotplug)
{
	const char *online = "/sys/devices/system/cpu/cpu1/online";
	int i;

	UF_BEGIN(&d);
	if (nr_cpus() < 2 || !getenv("UFIBER_VM") || access(online, W_OK))
		SKIP(return, "no CPU of a VM to take away");
	ASSERT_TRUE(uf_scene_set(&scene));
	storm = uf_storm_new(9);
	ASSERT_TRUE(uf_storm_start(storm, 2, 12));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, write_file(online, "0"));
		ASSERT_TRUE(uf_storm_goes_on(storm, 100));
		ASSERT_EQ(0, write_file(online, "1"));
		ASSERT_TRUE(uf_storm_goes_on(storm, 100));
	}
	EXPECT_TRUE(uf_storm_end(storm));
	EXPECT_TRUE(uf_scene_holds(&scene));
	EXPECT_TRUE(uf_scene_end(&scene));
	UF_REFS_BACK();
}

/* As far as suspend goes without a device to wake us: all tasks are frozen. */
TEST(suspend)
{
	int i;

	UF_BEGIN(&d);
	if (!getenv("UFIBER_VM") || !file_has("/sys/power/pm_test", "freezer") ||
	    !file_has("/sys/power/state", "freeze"))
		SKIP(return, "no suspend to test (CONFIG_PM_DEBUG) in a VM");
	write_file("/sys/module/suspend/parameters/pm_test_delay", "0");
	ASSERT_EQ(0, write_file("/sys/power/pm_test", "freezer"));
	storm = uf_storm_new(10);
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_scene_set(&scene));
		ASSERT_TRUE(uf_storm_start(storm, 2, 12));
		UF_CHILD_STEP(&child);
		ASSERT_TRUE(uf_storm_end(storm));
		ASSERT_TRUE(uf_scene_end(&scene));
	});
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, write_file("/sys/power/state", "freeze"));
		ASSERT_TRUE(uf_storm_goes_on(storm, 100));
	}
	EXPECT_EQ(0, write_file("/sys/power/pm_test", "none"));
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * In a time namespace the monotonic and the boot-time clock show other times. A
 * time-out of UFIBER_IOC_WAIT is by what the caller sees, and so is an event's time.
 */
#include "uf_test.h"
#include <linux/sched.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define TIMEOUT		UFIBER_WAIT_TIMEOUT
#define MS		1000000ULL
#define HOUR		3600000000000ULL

static struct uf_dom d;
static struct uf_thread a, b;
static struct ufiber_wait arg;

/* What the child does: a time to come is waited for, one far off is not over. */
static void wait_by(struct __test_metadata *_metadata, clockid_t clock)
{
	__u64 time = uf_time(clock) + 50 * MS;

	UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = clock, .timeout = time);
	ASSERT_DONE(-ETIMEDOUT, &b) TH_LOG("clock %d", clock);
	EXPECT_LE(time, uf_time(clock)) TH_LOG("clock %d", clock);
	UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = clock,
		  .timeout = uf_time(clock));
	ASSERT_DONE(-ETIMEDOUT, &b) TH_LOG("clock %d", clock);
	UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = clock, .timeout = 0);
	ASSERT_DONE(-ETIMEDOUT, &b) TH_LOG("clock %d", clock);
	UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = clock,
		     .timeout = uf_time(clock) + HOUR);
	ASSERT_STATE(&b, IDLE, UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY);
	EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &b) TH_LOG("clock %d", clock);
	UF_POST_WAIT(&b, &arg, .flags = STANDBY | TIMEOUT, .clock = clock, .timeout = ~0ULL >> 1);
	ASSERT_STATE(&b, IDLE, UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY);
	EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &b) TH_LOG("clock %d, the latest time", clock);
}

static void wait_and_look(struct __test_metadata *_metadata)
{
	static const clockid_t clocks[] = {
		CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME, CLOCK_TAI
	};
	struct ufiber_event event;
	unsigned int i;
	__u64 before;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	for (i = 0; i < ARRAY_SIZE(clocks); i++)
		wait_by(_metadata, clocks[i]);
	before = uf_time(CLOCK_MONOTONIC);
	uf_forget_events(&d);
	uf_post_wait(&b, ACQUIRE, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, UFIBER_QUERY_WAITING);
	ASSERT_TRUE(uf_event(&d, &event));
	/* The module's clock may be a little behind this one. */
	EXPECT_LE(before, event.time + 100 * MS);
	EXPECT_GE(uf_time(CLOCK_MONOTONIC), event.time);
}

static void in_namespace(struct __test_metadata *_metadata, const char *offsets)
{
	int fd, status;
	pid_t pid;

	if (unshare(CLONE_NEWTIME))
		SKIP(return, "cannot make a time namespace: %s", strerror(errno));
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)strlen(offsets), write(fd, offsets, strlen(offsets)))
		TH_LOG("%s", strerror(errno));
	close(fd);
	/* The children are in it. */
	pid = uf_fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		wait_and_look(_metadata);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status)) TH_LOG("status %#x", status);
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST(ahead)
{
	in_namespace(_metadata, "monotonic 100000 7\nboottime 200000 9\n");
}

/* By as much as the machine's clocks show: more is refused. */
TEST(behind)
{
	char offsets[80];
	int fd;

	/* (A VM has just been started.) */
	snprintf(offsets, sizeof(offsets), "monotonic -%llu 0\nboottime -%llu 0\n",
		 uf_time(CLOCK_MONOTONIC) / 2000000000ULL + 1,
		 uf_time(CLOCK_BOOTTIME) / 2000000000ULL + 1);
	fd = open("/proc/self/timens_offsets", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "the kernel has no time namespaces");
	close(fd);
	in_namespace(_metadata, offsets);
}

TEST_HARNESS_MAIN

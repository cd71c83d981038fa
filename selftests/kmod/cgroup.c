// SPDX-License-Identifier: GPL-2.0
/*
 * Control groups: threads in every state are frozen and thawed, and run within
 * a quota so small that they are stopped at any place in the kernel.
 */
#include "uf_test.h"
#include "uf_cgroup.h"
#include "uf_scene.h"
#include "uf_storm.h"
#include <sys/mman.h>

#define STANDBY		UFIBER_WAIT_STANDBY

static struct uf_dom d;
static struct uf_scene *scene;		/* shared with the child */
static struct uf_cgroup group;
static struct uf_child child;
static struct uf_storm *storm;

static struct uf_scene *new_scene(void)
{
	return mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void freeze(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, uf_cgroup_write(&group, "cgroup.freeze", "1"));
	ASSERT_TRUE(uf_cgroup_await(&group, "cgroup.events", "frozen", 1));
}

static void thaw(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, uf_cgroup_write(&group, "cgroup.freeze", "0"));
	ASSERT_TRUE(uf_cgroup_await(&group, "cgroup.events", "frozen", 0));
}

#define SCENE_IN_CHILD()						\
	do {								\
		UF_CHILD(&child, {					\
			ASSERT_TRUE(uf_scene_set(scene));		\
			UF_CHILD_STEP(&child);				\
			ASSERT_TRUE(uf_scene_end(scene));		\
		});							\
	} while (0)

TEST(freeze_all)
{
	int i;

	UF_BEGIN(&d);
	UF_CGROUP(&group, "");
	scene = new_scene();
	SCENE_IN_CHILD();
	ASSERT_EQ(0, uf_cgroup_add(&group, child.pid));
	for (i = 0; i < 20; i++) {
		freeze(_metadata);
		thaw(_metadata);
	}
	UF_CHILD_END(&child);
	UF_REFS_BACK();
	uf_cgroup_remove(&group);
}

TEST(kill_frozen)
{
	UF_BEGIN(&d);
	UF_CGROUP(&group, "");
	scene = new_scene();
	SCENE_IN_CHILD();
	ASSERT_EQ(0, uf_cgroup_add(&group, child.pid));
	freeze(_metadata);
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	UF_CHILD_KILLED(&child, SIGKILL);
	UF_REFS_BACK();
	uf_cgroup_remove(&group);
}

/*
 * One thread is frozen, the others are not: it holds no server meanwhile, nor is
 * it given one.
 */
static void freeze_thread(struct __test_metadata *_metadata, int which)
{
	char tid[12];

	snprintf(tid, sizeof(tid), "%d", scene->t[which].tid);
	ASSERT_EQ(0, uf_cgroup_write(&group, "cgroup.threads", tid));
	freeze(_metadata);
}

#define ONE_IN_CHILD(...)						\
	do {								\
		UF_BEGIN(&d);						\
		UF_CGROUP(&group, "");					\
		ASSERT_EQ(0, uf_cgroup_write(&group, "cgroup.type", "threaded")); \
		scene = new_scene();					\
		UF_CHILD(&child, {					\
			ASSERT_TRUE(uf_scene_set(scene));		\
			UF_CHILD_STEP(&child);				\
			__VA_ARGS__;					\
			UF_CHILD_STEP(&child);				\
			ASSERT_TRUE(uf_scene_end(scene));		\
		});							\
	} while (0)

#define END_ONE()							\
	do {								\
		UF_NEXT_STEP(&child);					\
		UF_AWAIT_STEP(&child);					\
		thaw(_metadata);					\
		UF_CHILD_END(&child);					\
		UF_REFS_BACK();						\
		uf_cgroup_remove(&group);				\
	} while (0)

TEST(freeze_running)
{
	ONE_IN_CHILD({
		ASSERT_STATE(&scene->t[UF_RUNNING], BLOCKED, 0);
		ASSERT_STATE(&scene->t[UF_HELD], RUNNING, 0);
		ASSERT_DONE(1, &scene->t[UF_HELD]);
	});
	freeze_thread(_metadata, UF_RUNNING);
	END_ONE();
}

TEST(freeze_held)
{
	ONE_IN_CHILD({
		ASSERT_STATE(&scene->t[UF_HELD], BLOCKED, 0);
		ASSERT_STATE(&scene->t[UF_RUNNING], RUNNING, 0);
		/* Nobody wants it: it is not lost on the frozen one. */
		ASSERT_EQ(0, uf_wait(&scene->t[UF_RUNNING], STANDBY, 0, 0));
		ASSERT_STATE(&scene->t[UF_RUNNING], RUNNING, 0);
		ASSERT_BUSY(&scene->t[UF_HELD]);
	});
	freeze_thread(_metadata, UF_HELD);
	END_ONE();
}

TEST(freeze_standby)
{
	ONE_IN_CHILD({
		/* As any signal, it ends the wait; who has no fiber to run waits again. */
		ASSERT_STATE(&scene->t[UF_STANDBY], IDLE, 0);
		EXPECT_EQ(0, scene->d.shared->nr_standby);
		ASSERT_BUSY(&scene->t[UF_STANDBY]);
	});
	freeze_thread(_metadata, UF_STANDBY);
	END_ONE();
}

/*
 * A thread that was frozen in user mode goes on without a server: what came to it
 * while it was frozen is not left lying until it gets one, nor what comes later.
 */
static struct uf_thread a, b;
static int up[2];

/* A signal wakes a frozen thread, which then sleeps again. */
static long slept;

static bool has_slept_again(void *tid)
{
	return uf_proc_value(*(pid_t *)tid, "voluntary_ctxt_switches") > slept;
}

#define WHILE_FROZEN(tid, what)						\
	do {								\
		pid_t _tid = (tid);					\
									\
		slept = uf_proc_value(_tid, "voluntary_ctxt_switches");	\
		ASSERT_LE(0, slept);					\
		what;							\
		ASSERT_TRUE(uf_await(&d, has_slept_again, &_tid, "the frozen thread")); \
	} while (0)

TEST(thawed_with_a_signal)
{
	char tid[12];
	int i;

	UF_CGROUP(&group, "");
	ASSERT_EQ(0, uf_cgroup_write(&group, "cgroup.type", "threaded"));
	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, SA_RESTART);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPIN(&a);
	snprintf(tid, sizeof(tid), "%d", a.tid);
	ASSERT_EQ(0, uf_cgroup_write(&group, "cgroup.threads", tid));
	freeze(_metadata);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	WHILE_FROZEN(a.tid, uf_signal(&a, SIGUSR1));
	EXPECT_EQ(0, a.handled);
	thaw(_metadata);
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	for (i = 2; i < 5; i++) {
		ASSERT_STATE(&a, RUNNABLE, UF_ANY_FLAGS);
		uf_signal(&a, SIGUSR1);
		ASSERT_TRUE(uf_await_count(&a, &a.handled, i));
	}
	EXPECT_EQ(0, uf_unregister(&b));
	ASSERT_STATE(&a, RUNNING, 0);
	uf_stop(&a);
	uf_join(&a);
	uf_cgroup_remove(&group);
}

/*
 * A call that blocked before the freeze is still that block after it, though the
 * thread was RUNNABLE for a moment meanwhile, as no server was free. (It is also right
 * to hold the thread for a server on the way back into the call.)
 */
TEST(thawed_and_interrupted)
{
	struct ufiber_interrupt t = { .size = sizeof(t), .flags = UFIBER_INTERRUPT_BLOCK };
	int tries = 50;
	char tid[12];
	bool held;

	UF_CGROUP(&group, "");
	ASSERT_EQ(0, uf_cgroup_write(&group, "cgroup.type", "threaded"));
	ASSERT_EQ(0, pipe(up));
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	snprintf(tid, sizeof(tid), "%d", a.tid);
	ASSERT_EQ(0, uf_cgroup_write(&group, "cgroup.threads", tid));
	uf_post_read(&a, up[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	do {
		UF_SPAWN_RUNNING(&d, &b);
		freeze(_metadata);
		ASSERT_STATE(&a, BLOCKED, 0);
		t.block = d.threads[a.id].blocks;
		WHILE_FROZEN(a.tid, thaw(_metadata));
		held = uf_state(&a) == UFIBER_THREAD_RUNNABLE;
		if (held) {
			uf_join(&b);
			ASSERT_STATE(&a, BLOCKED, 0);
			ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
		}
	} while (held && --tries);
	ASSERT_LT(0, tries);
	t.thread = a.id;
	EXPECT_EQ(t.block, d.threads[a.id].blocks);
	EXPECT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_INTERRUPT, &t));
	EXPECT_EQ(0, uf_unregister(&b));
	ASSERT_DONE(-EINTR, &a);
	uf_join(&a);
	uf_cgroup_remove(&group);
}

/* Whom the user gives no server is held for ever, but stopped all the same. */
TEST(thawed_with_a_stop)
{
	pid_t pid;

	UF_CGROUP(&group, "");
	ASSERT_EQ(0, pipe(up));
	pid = uf_fork();
	if (!pid) {
		struct ufiber_register reg = { .size = sizeof(reg) };
		struct ufiber_wait w = { .size = sizeof(w), .flags = STANDBY };

		UF_OPEN_AS(&d, UFIBER_SETUP_USER_SCHED, 1, 1, 4);
		ASSERT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg));
		ASSERT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_WAIT, &w));
		d.threads[reg.thread].critical = 1;
		ASSERT_EQ(0, uf_put(up[1]));
		d.threads[reg.thread].critical = 0;
		for (;;)
			;
	}
	ASSERT_EQ(1, uf_get(up[0]));
	ASSERT_EQ(0, uf_cgroup_add(&group, pid));
	freeze(_metadata);
	WHILE_FROZEN(pid, ASSERT_EQ(0, kill(pid, SIGSTOP)));
	thaw(_metadata);
	ASSERT_TRUE(uf_await_proc(pid, pid, 'T'));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	uf_cgroup_remove(&group);
}

TEST(storm_of_freezing)
{
	int i;

	UF_BEGIN(&d);
	UF_CGROUP(&group, "");
	storm = uf_storm_new(4);
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_storm_start(storm, 2, 12));
		UF_CHILD_STEP(&child);
		ASSERT_TRUE(uf_storm_end(storm));
	});
	ASSERT_EQ(0, uf_cgroup_add(&group, child.pid));
	for (i = 0; i < 30; i++) {
		freeze(_metadata);
		thaw(_metadata);
		ASSERT_TRUE(uf_storm_goes_on(storm, 50));
	}
	UF_CHILD_END(&child);
	UF_REFS_BACK();
	uf_cgroup_remove(&group);
}

/* One part in fifty of a CPU, for all of them. */
TEST(quota)
{
	int i;

	UF_BEGIN(&d);
	UF_CGROUP(&group, "cpu");
	storm = uf_storm_new(5);
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_storm_start(storm, 2, 12));
		UF_CHILD_STEP(&child);
		ASSERT_TRUE(uf_storm_end(storm));
	});
	if (uf_cgroup_write(&group, "cpu.max", "1000 50000")) {
		uf_cgroup_remove(&group);
		SKIP(return, "no cpu.max: the kernel has no CFS bandwidth control");
	}
	ASSERT_EQ(0, uf_cgroup_add(&group, child.pid));
	for (i = 0; i < 20; i++)
		ASSERT_TRUE(uf_storm_goes_on(storm, 10));
	EXPECT_LT(0, uf_cgroup_read(&group, "cpu.stat", "nr_throttled"));
	/* The rest of it is not worth the time. */
	ASSERT_EQ(0, uf_cgroup_write(&group, "cpu.max", "max"));
	UF_CHILD_END(&child);
	UF_REFS_BACK();
	uf_cgroup_remove(&group);
}

TEST_HARNESS_MAIN

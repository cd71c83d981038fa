// SPDX-License-Identifier: GPL-2.0
/*
 * A debugger's stops are blocks like any other: a thread that is stopped does
 * not keep its server, whatever state it was in it can be stopped and looked at,
 * and afterwards nothing is lost.
 */
#include "uf_test.h"
#include "uf_scene.h"
#include "uf_storm.h"
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#define STANDBY		UFIBER_WAIT_STANDBY

static struct uf_dom d;
static struct uf_scene *scene;		/* shared with the child */
static struct uf_child child;
static struct uf_storm *storm;

static struct uf_scene *new_scene(void)
{
	return mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

#define SCENE_IN_CHILD()						\
	do {								\
		UF_BEGIN(&d);						\
		scene = new_scene();					\
		UF_CHILD(&child, {					\
			prctl(PR_SET_PTRACER, -1, 0, 0, 0);		\
			ASSERT_TRUE(uf_scene_set(scene));		\
			UF_CHILD_STEP(&child);				\
			ASSERT_TRUE(uf_scene_end(scene));		\
		});							\
	} while (0)

/* The next stop of that thread; its status, or -1. */
static int await_stop(pid_t tid)
{
	int status;

	if (waitpid(tid, &status, __WALL) != tid)
		return -1;
	return WIFSTOPPED(status) ? status : -1;
}

#define ASSERT_STOP(tid, sig)						\
	do {								\
		int _status = await_stop(tid);				\
									\
		ASSERT_NE(-1, _status);					\
		ASSERT_EQ(sig, WSTOPSIG(_status)) TH_LOG("status %#x", _status); \
	} while (0)

#define ASSERT_PTRACE(req, tid, addr, data)				\
	ASSERT_EQ(0, ptrace(req, tid, addr, (void *)(long)(data)))	\
		TH_LOG(#req ": %s", strerror(errno))

/* What a debugger does with a thread that is stopped. */
static void look_at(struct __test_metadata *_metadata, int which)
{
	struct uf_thread *t = &scene->t[which];
	struct user_regs_struct regs, again;
	long word;

	ASSERT_PTRACE(PTRACE_GETREGS, t->tid, 0, &regs);
	ASSERT_PTRACE(PTRACE_SETREGS, t->tid, 0, &regs);
	ASSERT_PTRACE(PTRACE_GETREGS, t->tid, 0, &again);
	EXPECT_EQ(regs.rip, again.rip);
	EXPECT_EQ(regs.rax, again.rax);
	EXPECT_NE(0, regs.rsp);
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, t->tid, regs.rsp, NULL);
	ASSERT_EQ(0, errno);
	ASSERT_PTRACE(PTRACE_POKEDATA, t->tid, regs.rsp, word);
	EXPECT_TRUE(uf_await_proc(child.pid, t->tid, 't'));
}

#define EACH(i)		for (int i = 0; i < UF_SCENE_THREADS; i++)

/* As gdb does when it attaches, and is asked for all threads. */
TEST(seize_all)
{
	int round;

	SCENE_IN_CHILD();
	EACH(i)
		ASSERT_PTRACE(PTRACE_SEIZE, scene->t[i].tid, 0, 0);
	for (round = 0; round < 10; round++) {
		EACH(i)
			ASSERT_PTRACE(PTRACE_INTERRUPT, scene->t[i].tid, 0, 0);
		EACH(i) {
			ASSERT_STOP(scene->t[i].tid, SIGTRAP);
		}
		EACH(i)
			look_at(_metadata, i);
		EACH(i)
			ASSERT_PTRACE(PTRACE_CONT, scene->t[i].tid, 0, 0);
	}
	EACH(i)
		ASSERT_PTRACE(PTRACE_INTERRUPT, scene->t[i].tid, 0, 0);
	EACH(i) {
		ASSERT_STOP(scene->t[i].tid, SIGTRAP);
		ASSERT_PTRACE(PTRACE_DETACH, scene->t[i].tid, 0, 0);
	}
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

/* One at a time: the others are in their states meanwhile. */
TEST(attach_each)
{
	int round;

	SCENE_IN_CHILD();
	for (round = 0; round < 4; round++) {
		EACH(i) {
			ASSERT_PTRACE(PTRACE_ATTACH, scene->t[i].tid, 0, 0);
			ASSERT_STOP(scene->t[i].tid, SIGSTOP);
			look_at(_metadata, i);
			ASSERT_PTRACE(PTRACE_DETACH, scene->t[i].tid, 0, 0);
		}
	}
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

/* While its threads are stopped, the tracer ends: they go on. */
TEST(tracer_dies)
{
	struct uf_child tracer;

	SCENE_IN_CHILD();
	UF_CHILD(&tracer, {
		EACH(i) {
			ASSERT_PTRACE(PTRACE_SEIZE, scene->t[i].tid, 0, 0);
			ASSERT_PTRACE(PTRACE_INTERRUPT, scene->t[i].tid, 0, 0);
			ASSERT_STOP(scene->t[i].tid, SIGTRAP);
		}
		UF_CHILD_STEP(&tracer);
	});
	ASSERT_EQ(0, kill(tracer.pid, SIGKILL));
	UF_CHILD_KILLED(&tracer, SIGKILL);
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

/* The process is killed while all its threads are stopped. */
TEST(kill_traced)
{
	SCENE_IN_CHILD();
	EACH(i) {
		ASSERT_PTRACE(PTRACE_SEIZE, scene->t[i].tid, 0, 0);
		ASSERT_PTRACE(PTRACE_INTERRUPT, scene->t[i].tid, 0, 0);
		ASSERT_STOP(scene->t[i].tid, SIGTRAP);
	}
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	EACH(i) {
		int status;

		ASSERT_EQ(scene->t[i].tid, waitpid(scene->t[i].tid, &status, __WALL));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
	UF_CHILD_KILLED(&child, SIGKILL);
	UF_REFS_BACK();
}

/* ------------------------------------------------------- one thread, traced */

/*
 * A child with one thread that is traced, "subject", and its main thread that
 * gives it orders and is not. There is one server.
 */
struct pair {
	struct uf_dom d;
	struct uf_thread subject, other;
	int fds[2];
};

static struct pair *pair;

#define PAIR_IN_CHILD(...)						\
	do {								\
		UF_BEGIN(&d);						\
		pair = mmap(NULL, sizeof(*pair), PROT_READ | PROT_WRITE, \
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);		\
		UF_CHILD(&child, {					\
			prctl(PR_SET_PTRACER, -1, 0, 0, 0);		\
			ASSERT_EQ(0, pipe(pair->fds));			\
			UF_OPEN(&pair->d, 1, 4);			\
			UF_SPAWN_RUNNING(&pair->d, &pair->subject);	\
			__VA_ARGS__;					\
		});							\
		ASSERT_PTRACE(PTRACE_SEIZE, pair->subject.tid, 0,	\
			      PTRACE_O_TRACESYSGOOD);			\
		ASSERT_PTRACE(PTRACE_INTERRUPT, pair->subject.tid, 0, 0); \
		ASSERT_STOP(pair->subject.tid, SIGTRAP);		\
	} while (0)

/* It spins in user mode, with a server or waiting for one, and steps. */
static void step(struct __test_metadata *_metadata, int steps)
{
	struct user_regs_struct regs, last = { 0 };
	int moved = 0;

	for (; steps; steps--) {
		ASSERT_PTRACE(PTRACE_SINGLESTEP, pair->subject.tid, 0, 0);
		ASSERT_STOP(pair->subject.tid, SIGTRAP);
		ASSERT_PTRACE(PTRACE_GETREGS, pair->subject.tid, 0, &regs);
		moved += regs.rip != last.rip;
		last = regs;
	}
	EXPECT_LT(1, moved);
}

TEST(single_step)
{
	PAIR_IN_CHILD({
		UF_CHILD_STEP(&child);
		/* Stopped: its server is free, and it has another's no more. */
		ASSERT_STATE(&pair->subject, BLOCKED, 0);
		ASSERT_SERVER(&pair->d, 0, VACANT, UFIBER_NONE);
		UF_CHILD_STEP(&child);
		ASSERT_STATE(&pair->subject, RUNNING, 0);
		ASSERT_EQ(0, uf_unregister(&pair->subject));
	});
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	step(_metadata, 300);
	ASSERT_PTRACE(PTRACE_DETACH, pair->subject.tid, 0, 0);
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

/*
 * The server has gone to another while it was stopped: a step waits for it, as
 * any way to user mode does, and an interrupt of the debugger still gets through.
 */
TEST(single_step_held)
{
	int status;

	PAIR_IN_CHILD({
		UF_CHILD_STEP(&child);
		ASSERT_STATE(&pair->subject, BLOCKED, 0);
		UF_SPAWN_RUNNING(&pair->d, &pair->other);
		UF_CHILD_STEP(&child);
		ASSERT_STATE(&pair->subject, RUNNABLE, UFIBER_QUERY_HELD);
		ASSERT_STATE(&pair->other, RUNNING, 0);
		UF_CHILD_STEP(&child);	/* the debugger interrupts it */
		/* Back in the queue, and with the server offered it gets on. */
		ASSERT_STATE(&pair->subject, RUNNABLE, UF_ANY_FLAGS);
		uf_post_wait(&pair->other, STANDBY, 0, 0);
		ASSERT_STATE(&pair->subject, RUNNING, 0);
		ASSERT_EQ(0, uf_unregister(&pair->subject));
		ASSERT_DONE(0, &pair->other);
	});
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	ASSERT_PTRACE(PTRACE_SINGLESTEP, pair->subject.tid, 0, 0);
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	ASSERT_EQ(0, waitpid(pair->subject.tid, &status, __WALL | WNOHANG));
	ASSERT_PTRACE(PTRACE_INTERRUPT, pair->subject.tid, 0, 0);
	ASSERT_STOP(pair->subject.tid, SIGTRAP);
	ASSERT_PTRACE(PTRACE_DETACH, pair->subject.tid, 0, 0);
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

#define SYSCALL_STOP	(SIGTRAP | 0x80)

static void to_syscall_stop(struct __test_metadata *_metadata, long nr)
{
	struct user_regs_struct regs;

	for (;;) {
		ASSERT_PTRACE(PTRACE_SYSCALL, pair->subject.tid, 0, 0);
		ASSERT_STOP(pair->subject.tid, SYSCALL_STOP);
		ASSERT_PTRACE(PTRACE_GETREGS, pair->subject.tid, 0, &regs);
		if ((long)regs.orig_rax == nr)
			return;
	}
}

/*
 * The stops at a system call's beginning and end. It blocks in each, and comes
 * back from each; the call between goes on without a server, as it is the kernel
 * that runs there, and its end waits for one.
 */
TEST(syscall_stops)
{
	struct user_regs_struct regs;
	int round, status;

	PAIR_IN_CHILD({
		for (round = 0; round < 5; round++) {
			UF_CHILD_STEP(&child);
			uf_post_read(&pair->subject, pair->fds[0]);
			UF_CHILD_STEP(&child);	/* it stands before the call */
			ASSERT_STATE(&pair->subject, BLOCKED, 0);
			ASSERT_BUSY(&pair->subject);
			UF_SPAWN_RUNNING(&pair->d, &pair->other);
			UF_CHILD_STEP(&child);	/* it is in the call */
			ASSERT_TRUE(uf_await_sleep(&pair->subject, SYS_read));
			ASSERT_STATE(&pair->subject, BLOCKED, 0);
			ASSERT_STATE(&pair->other, RUNNING, 0);
			ASSERT_EQ(0, uf_put(pair->fds[1]));
			ASSERT_STATE(&pair->subject, RUNNABLE, UF_ANY_FLAGS);
			UF_CHILD_STEP(&child);	/* no stop yet */
			ASSERT_EQ(0, uf_unregister(&pair->other));
			UF_CHILD_STEP(&child);	/* it stands behind the call */
			ASSERT_STATE(&pair->subject, BLOCKED, 0);
			UF_CHILD_STEP(&child);	/* and goes on */
			ASSERT_DONE(1, &pair->subject);
			ASSERT_STATE(&pair->subject, RUNNING, 0);
			uf_join(&pair->other);
		}
		UF_CHILD_STEP(&child);
	});
	ASSERT_PTRACE(PTRACE_CONT, pair->subject.tid, 0, 0);
	for (round = 0; round < 5; round++) {
		ASSERT_PTRACE(PTRACE_INTERRUPT, pair->subject.tid, 0, 0);
		ASSERT_STOP(pair->subject.tid, SIGTRAP);
		UF_NEXT_STEP(&child);
		UF_AWAIT_STEP(&child);
		to_syscall_stop(_metadata, SYS_read);
		UF_NEXT_STEP(&child);
		UF_AWAIT_STEP(&child);
		ASSERT_PTRACE(PTRACE_SYSCALL, pair->subject.tid, 0, 0);
		UF_NEXT_STEP(&child);
		UF_AWAIT_STEP(&child);
		ASSERT_EQ(0, waitpid(pair->subject.tid, &status, __WALL | WNOHANG));
		UF_NEXT_STEP(&child);
		UF_AWAIT_STEP(&child);
		ASSERT_STOP(pair->subject.tid, SYSCALL_STOP);
		ASSERT_PTRACE(PTRACE_GETREGS, pair->subject.tid, 0, &regs);
		ASSERT_EQ(1, regs.rax);
		UF_NEXT_STEP(&child);
		UF_AWAIT_STEP(&child);
		ASSERT_PTRACE(PTRACE_CONT, pair->subject.tid, 0, 0);
		UF_NEXT_STEP(&child);
		UF_AWAIT_STEP(&child);
	}
	ASSERT_PTRACE(PTRACE_INTERRUPT, pair->subject.tid, 0, 0);
	ASSERT_STOP(pair->subject.tid, SIGTRAP);
	ASSERT_PTRACE(PTRACE_DETACH, pair->subject.tid, 0, 0);
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

/* Each of the module's own calls with a stop at both ends, as strace does. */
TEST(syscall_stops_of_the_module)
{
	int status, stops = 0;

	PAIR_IN_CHILD({
		int i;

		UF_CHILD_STEP(&child);
		for (i = 0; i < 20; i++) {
			ASSERT_EQ(0, uf_wait(&pair->subject, UFIBER_WAIT_ACQUIRE, 0, 0));
			ASSERT_STATE(&pair->subject, BLOCKED, UF_ANY_FLAGS);
			uf_post_wait(&pair->subject, 0, 0, 0);
			ASSERT_STATE(&pair->subject, IDLE, UFIBER_QUERY_WAITING);
			ASSERT_EQ(0, uf_wake(&pair->subject, 0));
			ASSERT_DONE(0, &pair->subject);
			ASSERT_EQ(0, uf_unregister(&pair->subject));
			ASSERT_EQ(0, uf_register(&pair->subject));
			ASSERT_EQ(0, uf_wait(&pair->subject, STANDBY, 0, 0));
		}
		uf_join(&pair->subject);
		uf_close(&pair->d);
	});
	UF_NEXT_STEP(&child);
	for (;;) {
		ASSERT_PTRACE(PTRACE_SYSCALL, pair->subject.tid, 0, 0);
		ASSERT_EQ(pair->subject.tid, waitpid(pair->subject.tid, &status, __WALL));
		if (!WIFSTOPPED(status))
			break;
		ASSERT_EQ(SYSCALL_STOP, WSTOPSIG(status));
		stops++;
	}
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_LT(20 * 5 * 2, stops);
	ASSERT_EQ(child.pid, waitpid(child.pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	UF_CHILD_CLOSE(&child);
	UF_REFS_BACK();
}

/*
 * io_uring breaks a read(), and the kernel repeats it. A kick comes between the two,
 * so the thread is held; the read() is repeated all the same. It had kept its server
 * so far, by @critical; strace stops it at the end of the broken call.
 */
static struct io_uring ring;
static int completed[2];

static long do_poll_add(long *args)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_poll_add(sqe, args[0], POLLIN);
	return io_uring_submit(&ring);
}

static void broken_call(struct __test_metadata *_metadata, bool traced)
{
	int status;

	if (io_uring_queue_init(8, &ring, 0))
		SKIP(return, "no io_uring");
	io_uring_queue_exit(&ring);
	PAIR_IN_CHILD({
		ASSERT_EQ(0, io_uring_queue_init(8, &ring, 0));
		ASSERT_EQ(0, pipe(completed));
		ASSERT_EQ(1, uf_call(&pair->subject, do_poll_add, (long)completed[0]));
		UF_CHILD_STEP(&child);
		ASSERT_LE(0, uf_wait(&pair->subject, STANDBY, 0, 0));
		pair->d.threads[pair->subject.id].critical = 1;
		uf_post_read(&pair->subject, pair->fds[0]);
		ASSERT_TRUE(uf_await_sleep(&pair->subject, SYS_read));
		ASSERT_TRUE(uf_await_proc(getpid(), pair->subject.tid, 'S'));
		ASSERT_STATE(&pair->subject, RUNNING, 0);
		UF_SPAWN_RUNNABLE(&pair->d, &pair->other);
		ASSERT_EQ(0, uf_kick(&pair->subject));
		pair->d.threads[pair->subject.id].critical = 0;
		ASSERT_EQ(0, uf_put(completed[1]));
		ASSERT_DONE(0, &pair->other);
		EXPECT_EQ(0, uf_unregister(&pair->other));
		ASSERT_TRUE(uf_await_sleep(&pair->subject, SYS_read));
		ASSERT_BUSY(&pair->subject);
		ASSERT_EQ(0, uf_put(pair->fds[1]));
		EXPECT_EQ(1, uf_finish(&pair->subject));
		uf_join(&pair->subject);
		uf_close(&pair->d);
	});
	if (!traced)
		ASSERT_PTRACE(PTRACE_DETACH, pair->subject.tid, 0, 0);
	UF_NEXT_STEP(&child);
	while (traced) {
		ASSERT_PTRACE(PTRACE_SYSCALL, pair->subject.tid, 0, 0);
		ASSERT_EQ(pair->subject.tid, waitpid(pair->subject.tid, &status, __WALL));
		traced = WIFSTOPPED(status);
	}
	ASSERT_EQ(child.pid, waitpid(child.pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	UF_CHILD_CLOSE(&child);
	UF_REFS_BACK();
}

TEST(broken_call_untraced)
{
	broken_call(_metadata, false);
}

TEST(broken_call_traced)
{
	broken_call(_metadata, true);
}

/* A tracer that stops threads at random, while they do all there is to do. */
TEST(storm_of_stops)
{
	unsigned int seed = 3, i;
	pid_t tids[8];
	int status;

	UF_BEGIN(&d);
	storm = uf_storm_new(3);
	UF_CHILD(&child, {
		prctl(PR_SET_PTRACER, -1, 0, 0, 0);
		ASSERT_TRUE(uf_storm_start(storm, 2, ARRAY_SIZE(tids)));
		UF_CHILD_STEP(&child);
		ASSERT_TRUE(uf_storm_end(storm));
	});
	for (i = 0; i < ARRAY_SIZE(tids); i++) {
		tids[i] = uf_storm_tid(storm, i);
		ASSERT_PTRACE(PTRACE_SEIZE, tids[i], 0, 0);
	}
	for (i = 0; i < 200; i++) {
		pid_t tid = tids[rand_r(&seed) % ARRAY_SIZE(tids)];

		ASSERT_PTRACE(PTRACE_INTERRUPT, tid, 0, 0);
		ASSERT_STOP(tid, SIGTRAP);
		/* The others do not depend on it. (It may have the mutex.) */
		ASSERT_PTRACE(PTRACE_CONT, tid, 0, 0);
		ASSERT_TRUE(uf_storm_goes_on(storm, 20));
	}
	UF_NEXT_STEP(&child);
	for (i = 0; i < ARRAY_SIZE(tids); i++)
		ASSERT_EQ(tids[i], waitpid(tids[i], &status, __WALL));
	ASSERT_EQ(child.pid, waitpid(child.pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	UF_REFS_BACK();
}

/* The real thing, where it is installed. */
TEST(gdb)
{
	char pid[12], line[512];
	int fds[2], threads = 0, status;
	pid_t gdb;
	FILE *out;

	if (access("/usr/bin/gdb", X_OK))
		SKIP(return, "gdb is not installed");
	SCENE_IN_CHILD();
	ASSERT_EQ(0, pipe(fds));
	snprintf(pid, sizeof(pid), "%d", child.pid);
	gdb = uf_fork();
	if (!gdb) {
		close(fds[0]);
		dup2(fds[1], 1);
		execl("/usr/bin/gdb", "gdb", "-nx", "-batch", "-p", pid, "-ex", "info threads",
		      "-ex", "thread apply all bt 2", "-ex", "detach", NULL);
		_exit(127);
	}
	close(fds[1]);
	out = fdopen(fds[0], "r");
	while (fgets(line, sizeof(line), out))
		if (!strncmp(line, "Thread ", 7) && strstr(line, "LWP"))
			threads++;
	fclose(out);
	ASSERT_EQ(gdb, waitpid(gdb, &status, 0));
	EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status));
	EXPECT_EQ(UF_SCENE_THREADS + 1, threads);
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

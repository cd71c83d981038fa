// SPDX-License-Identifier: GPL-2.0
/*
 * Signals that have no handler, to threads in every state: what stops a process
 * and continues it, what ends it, what is masked; and all of them in a storm.
 */
#include "uf_test.h"
#include "uf_scene.h"
#include "uf_storm.h"
#include <sys/resource.h>
#include <sys/stat.h>

static struct uf_dom d;
static struct uf_scene scene;
static struct uf_child child;
static struct uf_storm *storm;

/* The signal comes to that thread; the process ends by it. */
static void end_by(struct __test_metadata *_metadata, int which, int sig)
{
	TH_LOG("signal %d to the %s thread", sig, uf_scene_names[which]);
	UF_CHILD(&child, {
		/* A shell ignores it in what it starts in the background. */
		signal(sig, SIG_DFL);
		ASSERT_TRUE(uf_scene_set(&scene));
		UF_CHILD_STEP(&child);
		uf_signal(&scene.t[which], sig);
		for (;;)
			pause();
	});
	UF_NEXT_STEP(&child);
	UF_CHILD_KILLED(&child, sig);
	UF_REFS_BACK();
}

TEST(terminate)
{
	int which;

	UF_BEGIN(&d);
	for (which = 0; which < UF_SCENE_THREADS; which++)
		end_by(_metadata, which, SIGTERM);
}

/* A core dump stops all the other threads first, on their way out. */
TEST(dump_core)
{
	struct rlimit limit = { .rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY };
	char dir[] = "/tmp/ufiber-XXXXXX", pattern[8] = "";
	bool dumps_here;
	int which, fd;

	UF_BEGIN(&d);
	if (setrlimit(RLIMIT_CORE, &limit))
		SKIP(return, "RLIMIT_CORE: %s", strerror(errno));
	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, chdir(dir));
	fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, pattern, sizeof(pattern) - 1));
	close(fd);
	dumps_here = !strcmp(pattern, "core\n");
	for (which = 0; which < UF_SCENE_THREADS; which++) {
		end_by(_metadata, which, SIGQUIT);
		if (dumps_here)
			EXPECT_EQ(0, unlink("core"));
	}
	ASSERT_EQ(0, chdir("/"));
	EXPECT_EQ(0, rmdir(dir));
}

/* Stop it, look, go on; the child then sees that all is well. */
static void stop(struct __test_metadata *_metadata, int sig)
{
	int status;

	ASSERT_EQ(0, kill(child.pid, sig));
	ASSERT_EQ(child.pid, waitpid(child.pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(sig, WSTOPSIG(status));
}

static void stop_and_continue(struct __test_metadata *_metadata, int sig)
{
	int i;

	UF_BEGIN(&d);
	UF_CHILD(&child, {
		setpgid(0, 0);
		ASSERT_TRUE(uf_scene_set(&scene));
		UF_CHILD_STEP(&child);
		ASSERT_TRUE(uf_scene_end(&scene));
	});
	for (i = 0; i < 10; i++) {
		stop(_metadata, sig);
		ASSERT_EQ(0, kill(child.pid, SIGCONT));
		ASSERT_TRUE(uf_await_proc(child.pid, child.pid, 'S'));
	}
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

TEST(sigstop)
{
	stop_and_continue(_metadata, SIGSTOP);
}

TEST(sigttin)
{
	stop_and_continue(_metadata, SIGTTIN);
}

/* Stopped right after it was continued: between the two it gets anywhere. */
TEST(sigstop_at_once)
{
	int i;

	UF_BEGIN(&d);
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_scene_set(&scene));
		UF_CHILD_STEP(&child);
		ASSERT_TRUE(uf_scene_end(&scene));
	});
	for (i = 0; i < 100; i++) {
		stop(_metadata, SIGSTOP);
		ASSERT_EQ(0, kill(child.pid, SIGCONT));
	}
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

TEST(kill_stopped)
{
	UF_BEGIN(&d);
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_scene_set(&scene));
		UF_CHILD_STEP(&child);
	});
	stop(_metadata, SIGSTOP);
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	UF_CHILD_KILLED(&child, SIGKILL);
	UF_REFS_BACK();
}

/*
 * One without SA_RESTART to a thread that is held: its call is over, so its
 * result stays what it was.
 */
TEST(held_without_restart)
{
	UF_OPEN(&d, 1, 1);
	uf_close(&d);
	uf_catch(SIGUSR1, 0);
	ASSERT_TRUE(uf_scene_set(&scene));
	uf_signal(&scene.t[UF_HELD], SIGUSR1);
	ASSERT_TRUE(uf_await_count(&scene.t[UF_HELD], &scene.t[UF_HELD].handled, 1));
	EXPECT_TRUE(uf_scene_end(&scene));
}

/* Masked: they are pending, and nothing happens. */
TEST(masked)
{
	int which, i;
	sigset_t set;

	UF_OPEN(&d, 1, 1);
	uf_close(&d);
	uf_catch(SIGUSR1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTSTP);
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &set, NULL));
	ASSERT_TRUE(uf_scene_set(&scene));
	for (i = 0; i < 10; i++) {
		for (which = 0; which < UF_SCENE_THREADS; which++) {
			uf_signal(&scene.t[which], SIGUSR1);
			uf_signal(&scene.t[which], SIGTSTP);
		}
		ASSERT_TRUE(uf_scene_holds(&scene));
	}
	EXPECT_TRUE(uf_scene_end(&scene));
	for (which = 0; which < UF_SCENE_THREADS; which++)
		EXPECT_EQ(0, scene.t[which].handled);
}

TEST(storm_of_stops)
{
	int i;

	UF_BEGIN(&d);
	storm = uf_storm_new(1);
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_storm_start(storm, 2, 12));
		UF_CHILD_STEP(&child);
		ASSERT_TRUE(uf_storm_end(storm));
	});
	for (i = 0; i < 40; i++) {
		stop(_metadata, SIGSTOP);
		ASSERT_EQ(0, kill(child.pid, SIGCONT));
		ASSERT_TRUE(uf_storm_goes_on(storm, 100));
	}
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

static void send_some(struct uf_storm *s, unsigned int *seed)
{
	pid_t tid = uf_storm_tid(s, rand_r(seed) % s->nr);

	if (tid)
		syscall(SYS_tgkill, getpid(), tid, rand_r(seed) & 64 ? SIGUSR1 : SIGUSR2);
}

TEST(storm_of_handlers)
{
	unsigned int seed = 1;
	int i;

	UF_BEGIN(&d);
	uf_catch(SIGUSR1, 0);
	uf_catch(SIGUSR2, SA_RESTART);
	storm = uf_storm_new(2);
	ASSERT_TRUE(uf_storm_start(storm, 2, 12));
	for (i = 0; i < 2000; i++) {
		send_some(storm, &seed);
		if (i % 10 == 0) {
			ASSERT_TRUE(uf_storm_goes_on(storm, 20));
		}
	}
	EXPECT_TRUE(uf_storm_end(storm));
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

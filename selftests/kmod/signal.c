// SPDX-License-Identifier: GPL-2.0
/* Signals to threads that are held, blocked or idle: the handler runs, and
 * nothing is lost.
 */
#include "uf_test.h"

#define STANDBY		UFIBER_WAIT_STANDBY
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD

static struct uf_dom d;
static struct uf_thread a, b;
static int fa[2], fb[2];

#define PIPES()								\
	do {								\
		ASSERT_EQ(0, pipe(fa));					\
		ASSERT_EQ(0, pipe(fb));					\
	} while (0)

/* @a has come back from a read and is held, @b has the only server. */
#define HOLD()								\
	do {								\
		UF_OPEN(&d, 1, 4);					\
		PIPES();						\
		UF_SPAWN_RUNNING(&d, &a);				\
		uf_post_read(&a, fa[0]);				\
		ASSERT_STATE(&a, BLOCKED, 0);				\
		UF_SPAWN_RUNNING(&d, &b);				\
		ASSERT_EQ(0, uf_put(fa[1]));				\
		ASSERT_STATE(&a, RUNNABLE, Q_HELD);			\
	} while (0)

/* A handler that stays until it is let go, and one that blocks. */
static atomic_uint release_handler;
static __u32 state_in_handler;

static void slow_handler(int sig)
{
	state_in_handler = uf_state(uf_self);
	atomic_fetch_add(&uf_self->handling, 1);
	while (!atomic_load(&release_handler))
		syscall(SYS_sched_yield);
	atomic_fetch_add(&uf_self->handled, 1);
}

static void blocking_handler(int sig)
{
	char byte;

	atomic_fetch_add(&uf_self->handling, 1);
	syscall(SYS_read, fb[0], &byte, 1);
	atomic_fetch_add(&uf_self->handled, 1);
}

static void catch_by(void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigaction(SIGUSR1, &sa, NULL);
}

/*
 * Whether it is held again after its handler, or runs on until it reaches the
 * library, is the module's choice. It is RUNNABLE either way, and gets the next
 * server.
 */
TEST(held)
{
	uf_catch(SIGUSR1, SA_RESTART);
	HOLD();
	uf_signal(&a, SIGUSR1);
	/* While no server is free. */
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	ASSERT_STATE(&a, RUNNABLE, UF_ANY_FLAGS);
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_EQ(1, d.shared->nr_runnable);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	/* The call had ended before the signal: its result is not lost. */
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(1, a.handled);
	EXPECT_EQ(1, d.threads[a.id].blocks);
}

TEST(held_many)
{
	static struct uf_thread t[8];
	unsigned int i, n;

	uf_catch(SIGUSR1, SA_RESTART);
	UF_OPEN(&d, 1, 16);
	PIPES();
	for (i = 0; i < 8; i++) {
		UF_SPAWN_RUNNING(&d, &t[i]);
		uf_post_read(&t[i], fa[0]);
		ASSERT_STATE(&t[i], BLOCKED, 0);
	}
	UF_SPAWN_RUNNING(&d, &b);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, uf_put(fa[1]));
	for (i = 0; i < 8; i++)
		ASSERT_STATE(&t[i], RUNNABLE, UF_ANY_FLAGS);
	EXPECT_EQ(8, d.shared->nr_runnable);
	for (n = 1; n <= 10; n++) {
		for (i = 0; i < 8; i++)
			uf_signal(&t[i], SIGUSR1);
		for (i = 0; i < 8; i++)
			ASSERT_TRUE(uf_await_count(&t[i], &t[i].handled, n));
	}
	for (i = 0; i < 8; i++)
		ASSERT_STATE(&t[i], RUNNABLE, UF_ANY_FLAGS);
	/* Each gets the server once, from the one before; in which order, is open. */
	EXPECT_EQ(0, uf_unregister(&b));
	for (n = 0; n < 8; n++) {
		ASSERT_AGREES(&d);
		ASSERT_EQ(UFIBER_SERVER_HELD, UFIBER_OWNER_STATE(d.servers[0].owner));
		for (i = 0; i < 8; i++)
			if (t[i].id == UFIBER_OWNER_THREAD(d.servers[0].owner))
				break;
		ASSERT_GT(8, i);
		ASSERT_DONE(1, &t[i]);
		ASSERT_STATE(&t[i], RUNNING, 0);
		EXPECT_EQ(10, t[i].handled);
		EXPECT_EQ(0, uf_unregister(&t[i]));
	}
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	ASSERT_AGREES(&d);
}

/* While the handler runs it may be given a server, and keeps it. */
TEST(granted_during_handler)
{
	catch_by(slow_handler);
	HOLD();
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handling, 1));
	EXPECT_EQ(UFIBER_THREAD_RUNNABLE, state_in_handler);
	ASSERT_STATE(&a, RUNNABLE, 0);
	EXPECT_EQ(UFIBER_NONE, d.threads[a.id].server);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].server);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, a.handled);
	atomic_store(&release_handler, 1);
	ASSERT_DONE(1, &a);
	EXPECT_EQ(1, a.handled);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* One that asks for its server from the handler's end, as the library does. */
TEST(acquire_after_handler)
{
	uf_catch(SIGUSR1, SA_RESTART);
	HOLD();
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	/* Held, it gets there only with a server; running on, it waits there. */
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(1, &a);
	EXPECT_EQ(0, uf_wait(&a, UFIBER_WAIT_ACQUIRE, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
}

/* The handler of a held thread blocks: no server may be lost on it. */
TEST(handler_blocks)
{
	catch_by(blocking_handler);
	HOLD();
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handling, 1));
	ASSERT_STATE(&a, BLOCKED, 0);
	EXPECT_EQ(0, d.shared->nr_runnable);
	EXPECT_EQ(0, a.handled);
	/* @b finds nobody to give to. */
	EXPECT_EQ(0, uf_wait(&b, STANDBY, 0, 0));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_EQ(0, uf_put(fb[1]));
	ASSERT_STATE(&a, RUNNABLE, UF_ANY_FLAGS);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1, a.handled);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
}

/* Blocked, a server free: the handler runs with it. */
TEST(blocked_server_free)
{
	catch_by(slow_handler);
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handling, 1));
	EXPECT_EQ(UFIBER_THREAD_RUNNING, state_in_handler);
	ASSERT_STATE(&a, RUNNING, 0);
	/* Then the call is restarted, and blocks again. */
	atomic_store(&release_handler, 1);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	EXPECT_EQ(1, a.handled);
	EXPECT_EQ(2, d.threads[a.id].blocks);
	ASSERT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* Blocked, none free: it is RUNNABLE, and the handler runs all the same. */
TEST(blocked_none_free)
{
	uf_catch(SIGUSR1, 0);
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	ASSERT_STATE(&a, RUNNABLE, UF_ANY_FLAGS);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_DONE(-EINTR, &a);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
}

/* With SA_RESTART the call goes on, sooner or later, and returns its byte. */
TEST(blocked_none_free_restart)
{
	uf_catch(SIGUSR1, SA_RESTART);
	UF_OPEN(&d, 1, 4);
	PIPES();
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	uf_post_wait(&b, STANDBY, 0, 0);
	/* Either it had blocked again by itself, or it does with the server. */
	ASSERT_STATE(&a, BLOCKED, 0);
	EXPECT_EQ(0, uf_finish(&b));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_BUSY(&a);
	ASSERT_EQ(0, uf_put(fa[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* An ignored signal, and a blocked one, are no reason to do anything. */
TEST(no_handler)
{
	signal(SIGUSR1, SIG_IGN);
	HOLD();
	uf_signal(&a, SIGUSR1);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_BUSY(&a);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(running)
{
	catch_by(slow_handler);
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handling, 1));
	EXPECT_EQ(UFIBER_THREAD_RUNNING, state_in_handler);
	ASSERT_STATE(&a, RUNNING, 0);
	atomic_store(&release_handler, 1);
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].blocks);
}

TEST(idle)
{
	catch_by(slow_handler);
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_WAITING(&d, &a, 0);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handling, 1));
	EXPECT_EQ(UFIBER_THREAD_IDLE, state_in_handler);
	ASSERT_STATE(&a, IDLE, 0);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	atomic_store(&release_handler, 1);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_BUSY(&a);
}

/*
 * SIGSTOP stops the whole process, so the scene is a child. It says when it is
 * set, and looks again when it is told to.
 *
 * To be stopped is to block: a RUNNING thread loses its server to one that is
 * not stopped yet, and so on. So it is not said who has the server afterwards;
 * but one has, the others wait for it, and none has lost what it was doing.
 */
static struct uf_thread c, e;

static bool one_runs(void *unused)
{
	int running = 0, runnable = 0;
	struct uf_thread *t[] = { &a, &b, &c };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		running += uf_state(t[i]) == UFIBER_THREAD_RUNNING;
		runnable += uf_state(t[i]) == UFIBER_THREAD_RUNNABLE;
	}
	return running == 1 && runnable == 2;
}

static void stopped_scene(struct __test_metadata *_metadata, int ready, int go)
{
	struct uf_thread *t[] = { &a, &b, &c }, *runs;
	int left, i;

	HOLD();
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	UF_SPAWN_WAITING(&d, &e, 0);
	uf_post_read(&b, fb[0]);
	ASSERT_STATE(&b, BLOCKED, 0);
	ASSERT_DONE(1, &a);
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_DONE(0, &c);
	ASSERT_EQ(0, uf_put(fa[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	/* RUNNABLE, BLOCKED, RUNNING and IDLE. */
	ASSERT_STATE(&b, BLOCKED, 0);
	ASSERT_STATE(&c, RUNNING, 0);
	ASSERT_STATE(&e, IDLE, Q_WAITING);
	ASSERT_EQ(0, uf_put(ready));
	ASSERT_EQ(1, uf_get(go));

	ASSERT_AGREES(&d);
	ASSERT_STATE(&e, IDLE, Q_WAITING);
	ASSERT_BUSY(&e);
	ASSERT_EQ(0, uf_put(fb[1]));
	/* Each in turn finishes what it was at, and leaves. */
	for (left = 3; left; left--) {
		if (left == 3) {
			ASSERT_TRUE(uf_await(&d, one_runs, NULL, "one to run, two to wait"));
		}
		ASSERT_AGREES(&d);
		for (runs = NULL, i = 0; i < 3; i++)
			if (uf_state(t[i]) == UFIBER_THREAD_RUNNING)
				runs = t[i];
		ASSERT_NE(NULL, runs);
		ASSERT_DONE(runs == &c ? 0 : 1, runs);
		ASSERT_EQ(0, uf_unregister(runs));
	}
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	ASSERT_STATE(&e, IDLE, Q_WAITING);
	EXPECT_EQ(0, uf_wake(&e, 0));
	ASSERT_DONE(0, &e);
	ASSERT_STATE(&e, RUNNING, 0);
}

TEST(stop_and_continue)
{
	int ready[2], go[2], status, i;
	pid_t pid;

	UF_OPEN(&d, 1, 1);
	uf_close(&d);
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	pid = uf_fork();
	if (!pid) {
		stopped_scene(_metadata, ready[1], go[0]);
		_exit(_metadata->exit_code);
	}
	close(ready[1]);
	ASSERT_EQ(1, uf_get(ready[0]));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, kill(pid, SIGSTOP));
		ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
		ASSERT_TRUE(WIFSTOPPED(status));
		ASSERT_EQ(0, kill(pid, SIGCONT));
		/* Its main thread is back in its read(). */
		ASSERT_TRUE(uf_await_proc(pid, pid, 'S'));
	}
	ASSERT_EQ(0, uf_put(go[1]));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN

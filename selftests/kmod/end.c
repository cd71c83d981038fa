// SPDX-License-Identifier: GPL-2.0
/*
 * The ends of threads, processes, descriptors, and of the module: whoever ends
 * gives its server away, and no reference stays behind.
 */
#include "uf_test.h"
#include "uf_scene.h"
#include <sys/prctl.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD

static struct uf_dom d;
static struct uf_thread a, b, c, e;
static int fa[2], fb[2];

/* The module's references before a case: after it, they are back there. */
static long refs;

static bool refs_are_back(void *unused)
{
	return uf_refcnt() == refs;
}

#define ASSERT_REFS_BACK()						\
	ASSERT_TRUE(uf_await(NULL, refs_are_back, NULL, "the module's references")) \
		TH_LOG("were %ld, are %ld", refs, uf_refcnt())

/* Every case begins so: there is a module, and we know its references. */
#define BEGIN()								\
	do {								\
		UF_OPEN(&d, 1, 1);					\
		uf_close(&d);						\
		ASSERT_EQ(0, pipe(fa));					\
		ASSERT_EQ(0, pipe(fb));					\
		/* The test before this one may still be going. */	\
		ASSERT_TRUE(uf_await(NULL, refs_are_back, NULL, "no references")); \
	} while (0)

/* rmmod is refused. It is not tried if it would succeed. */
#define EXPECT_NO_RMMOD()						\
	do {								\
		ASSERT_LT(0, uf_refcnt());				\
		EXPECT_EQ(-1, syscall(SYS_delete_module, "ufiber", O_NONBLOCK)); \
		EXPECT_EQ(EWOULDBLOCK, errno);				\
		EXPECT_EQ(0, access(UFIBER_DEVICE, F_OK));		\
	} while (0)

/*
 * A scene in a child process, which says when it is set, and then goes on when
 * it is told to (or is killed, or does something else).
 */
static int ready[2], go[2];

#define CHILD(pid, ...)							\
	do {								\
		ASSERT_EQ(0, pipe(ready));				\
		ASSERT_EQ(0, pipe(go));					\
		pid = uf_fork();					\
		ASSERT_LE(0, pid);					\
		if (!pid) {						\
			close(go[1]);					\
			close(ready[0]);				\
			__VA_ARGS__;					\
			_exit(_metadata->exit_code);			\
		}							\
		close(go[0]);						\
		close(ready[1]);					\
		ASSERT_EQ(1, uf_get(ready[0]))				\
			TH_LOG("the child did not set the scene");	\
	} while (0)

#define IN_CHILD_READY()						\
	do {								\
		ASSERT_EQ(0, uf_put(ready[1]));				\
		ASSERT_EQ(1, uf_get(go[0]));				\
	} while (0)

#define EXPECT_EXIT_0(pid)						\
	do {								\
		int _status;						\
									\
		ASSERT_EQ(pid, waitpid(pid, &_status, 0));		\
		EXPECT_TRUE(WIFEXITED(_status));			\
		EXPECT_EQ(0, WEXITSTATUS(_status));			\
	} while (0)

/* One thread in each state: a BLOCKED, b RUNNABLE, c RUNNING, e IDLE. */
static void all_states(struct __test_metadata *_metadata)
{
	UF_OPEN(&d, 1, 8);
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	uf_post_read(&b, fb[0]);
	ASSERT_STATE(&b, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &c);
	ASSERT_EQ(0, uf_put(fb[1]));
	ASSERT_STATE(&b, RUNNABLE, Q_HELD);
	UF_SPAWN_WAITING(&d, &e, 0);
}

static long do_exit_thread(long *args)
{
	syscall(SYS_exit, 0);
	return -1;
}

/* ----------------------------------------------------------- thread exit */

TEST(exit_running)
{
	BEGIN();
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	uf_order(&a, do_exit_thread);
	ASSERT_GONE(&a);
	pthread_join(a.pthread, NULL);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	/* Its id is free for another. */
	UF_SPAWN_RUNNING(&d, &b);
	EXPECT_EQ(a.id, b.id);
}

TEST(exit_running_beside_standby)
{
	BEGIN();
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_order(&a, do_exit_thread);
	ASSERT_DONE(0, &b);
	ASSERT_GONE(&a);
	ASSERT_STATE(&b, RUNNING, 0);
}

TEST(exit_running_beside_runnable)
{
	BEGIN();
	all_states(_metadata);
	uf_order(&c, do_exit_thread);
	ASSERT_DONE(1, &b);
	ASSERT_GONE(&c);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_STATE(&e, IDLE, Q_WAITING);
}

/* A critical section does not outlive its thread. */
TEST(exit_critical)
{
	BEGIN();
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	d.threads[a.id].critical = 1;
	uf_order(&a, do_exit_thread);
	ASSERT_DONE(0, &b);
	ASSERT_GONE(&a);
	UF_SPAWN(&d, &c);
	EXPECT_EQ(0, d.threads[c.id].critical);
}

TEST(exit_idle)
{
	BEGIN();
	UF_OPEN(&d, 1, 4);
	UF_SPAWN(&d, &a);
	uf_order(&a, do_exit_thread);
	ASSERT_GONE(&a);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
}

/*
 * A thread cannot end by itself while it is blocked, held or waiting; it can
 * from a signal's handler, which it runs in that state.
 */
static void exit_handler(int sig)
{
	syscall(SYS_exit, 0);
}

TEST(exit_from_a_handler)
{
	struct sigaction sa = { .sa_handler = exit_handler };

	BEGIN();
	sigaction(SIGUSR1, &sa, NULL);
	all_states(_metadata);
	uf_signal(&a, SIGUSR1);		/* was BLOCKED */
	ASSERT_GONE(&a);
	uf_signal(&b, SIGUSR1);		/* RUNNABLE */
	ASSERT_GONE(&b);
	EXPECT_EQ(0, d.shared->nr_runnable);
	uf_signal(&e, SIGUSR1);		/* IDLE */
	ASSERT_GONE(&e);
	ASSERT_STATE(&c, RUNNING, 0);
	uf_signal(&c, SIGUSR1);
	ASSERT_GONE(&c);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
}

TEST(exit_standby_from_a_handler)
{
	struct sigaction sa = { .sa_handler = exit_handler };

	BEGIN();
	sigaction(SIGUSR1, &sa, NULL);
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_signal(&b, SIGUSR1);
	ASSERT_GONE(&b);
	EXPECT_EQ(0, d.shared->nr_standby);
	/* The server is not given to the dead. */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
}

TEST(exit_over_and_over)
{
	int i;

	BEGIN();
	UF_OPEN(&d, 1, 4);
	UF_SPAWN(&d, &b);
	for (i = 0; i < 100; i++) {
		UF_SPAWN(&d, &a);
		uf_post_wait(&a, STANDBY, 0, 0);
		ASSERT_DONE(0, &a);
		uf_post_wait(&b, STANDBY, 0, 0);
		if (i & 1) {
			uf_order(&a, do_exit_thread);
			pthread_join(a.pthread, NULL);
		} else {
			uf_join(&a);
		}
		ASSERT_DONE(0, &b);
		ASSERT_GONE(&a);
		uf_post_wait(&b, 0, 0, 0);
		ASSERT_STATE(&b, IDLE, Q_WAITING);
		EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
		ASSERT_DONE(-ECANCELED, &b);
	}
	uf_join(&b);
	uf_close(&d);
	ASSERT_REFS_BACK();
}

/* ---------------------------------------------------------- process exit */

TEST(exit_of_the_process)
{
	pid_t pid;

	BEGIN();
	CHILD(pid, {
		all_states(_metadata);
		IN_CHILD_READY();
	});
	EXPECT_LT(refs, uf_refcnt());
	EXPECT_NO_RMMOD();
	uf_put(go[1]);
	EXPECT_EXIT_0(pid);
	ASSERT_REFS_BACK();
}

static void kill_scene(struct __test_metadata *_metadata, __u32 state)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	switch (state) {
	case UFIBER_THREAD_RUNNING:
		break;
	case UFIBER_THREAD_BLOCKED:
		uf_post_read(&a, fa[0]);
		ASSERT_STATE(&a, BLOCKED, 0);
		break;
	case UFIBER_THREAD_RUNNABLE:
		uf_post_read(&a, fa[0]);
		ASSERT_STATE(&a, BLOCKED, 0);
		UF_SPAWN_RUNNING(&d, &b);
		ASSERT_EQ(0, uf_put(fa[1]));
		ASSERT_STATE(&a, RUNNABLE, Q_HELD);
		break;
	case UFIBER_THREAD_IDLE:
		uf_post_wait(&a, 0, 0, 0);
		ASSERT_STATE(&a, IDLE, Q_WAITING);
		break;
	case 100:	/* standby */
		UF_SPAWN_WAITING(&d, &b, STANDBY);
		break;
	}
	IN_CHILD_READY();
}

static void kill_in_state(struct __test_metadata *_metadata, __u32 state)
{
	int status, i;
	pid_t pid;

	BEGIN();
	for (i = 0; i < 5; i++) {
		CHILD(pid, kill_scene(_metadata, state));
		EXPECT_LT(refs, uf_refcnt());
		EXPECT_NO_RMMOD();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(SIGKILL, WTERMSIG(status));
		close(go[1]);
		close(ready[0]);
		ASSERT_REFS_BACK();
	}
}

TEST(kill_running)
{
	kill_in_state(_metadata, UFIBER_THREAD_RUNNING);
}

TEST(kill_blocked)
{
	kill_in_state(_metadata, UFIBER_THREAD_BLOCKED);
}

TEST(kill_runnable)
{
	kill_in_state(_metadata, UFIBER_THREAD_RUNNABLE);
}

TEST(kill_idle)
{
	kill_in_state(_metadata, UFIBER_THREAD_IDLE);
}

TEST(kill_standby)
{
	kill_in_state(_metadata, 100);
}

/* All states at once, and each thread in its own time. */
TEST(kill_all_states)
{
	int status;
	pid_t pid;

	BEGIN();
	CHILD(pid, {
		all_states(_metadata);
		IN_CHILD_READY();
	});
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	ASSERT_REFS_BACK();
}

/* ------------------------------------------------------------------ exec */

static char helper_fd[16];

/* The program that is executed: this one, again. */
static void __attribute__((constructor)) exec_helper(void)
{
	const char *fd = getenv("UF_EXEC_HELPER_FD");
	struct ufiber_setup setup = {
		.size = sizeof(setup), .nr_servers = 1, .max_threads = 1,
	};
	struct ufiber_register reg = { .size = sizeof(reg) };
	struct ufiber_query q = {
		.size = sizeof(q), .thread = UFIBER_NONE, .server = UFIBER_NONE,
	};
	int n;

	if (!fd)
		return;
	n = atoi(fd);
	/* Told on 100 and 101: they stay open, as n does if it is not -1. */
	if (write(101, "", 1) != 1)
		_exit(10);
	if (n >= 0) {
		if (uf_ioctl(n, UFIBER_IOC_QUERY, &q) != -EPERM)
			_exit(11);
		if (uf_ioctl(n, UFIBER_IOC_REGISTER, &reg) != -EPERM)
			_exit(12);
		if (uf_ioctl(n, UFIBER_IOC_UNREGISTER, NULL) != -EPERM)
			_exit(13);
		if (uf_ioctl(n, UFIBER_IOC_SETUP, &setup) != -EPERM)
			_exit(14);
	}
	/* Not registered: sleeping is nobody's business. */
	if (read(100, &n, 1) < 0)
		_exit(15);
	_exit(0);
}

static long do_exec(long *args)
{
	static char *argv[] = { "end", NULL };
	static char env[40];
	char *envp[] = { env, NULL };

	snprintf(env, sizeof(env), "UF_EXEC_HELPER_FD=%s", helper_fd);
	execve("/proc/self/exe", argv, envp);
	return -errno;
}

/*
 * @who: 0, the leader, which is not registered; 1, the leader, which is;
 * 2, another thread, RUNNING. @inherit: the descriptor stays open.
 */
static void exec_scene(struct __test_metadata *_metadata, int who, bool inherit)
{
	all_states(_metadata);
	ASSERT_EQ(100, dup2(go[0], 100));
	ASSERT_EQ(101, dup2(ready[1], 101));
	if (inherit)
		ASSERT_EQ(0, fcntl(d.fd, F_SETFD, 0));
	sprintf(helper_fd, "%d", inherit ? d.fd : -1);
	if (who == 2) {
		uf_order(&c, do_exec);
		for (;;)
			pause();
	}
	if (who == 1) {
		struct ufiber_register reg = { .size = sizeof(reg) };
		struct ufiber_wait w = { .size = sizeof(w), .flags = UFIBER_WAIT_ACQUIRE };

		ASSERT_EQ(0, uf_unregister(&c));
		ASSERT_DONE(1, &b);
		ASSERT_EQ(0, uf_unregister(&b));
		ASSERT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg));
		ASSERT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_WAIT, &w));
	}
	do_exec(NULL);
	ASSERT_TRUE(false);
}

static void exec_by(struct __test_metadata *_metadata, int who, bool inherit)
{
	pid_t pid;

	BEGIN();
	CHILD(pid, exec_scene(_metadata, who, inherit));
	/* The new program runs, its calls have been refused or not made. */
	if (!inherit)
		ASSERT_REFS_BACK();
	/* Another thread's exec makes that thread the process. */
	ASSERT_TRUE(uf_await_proc(pid, pid, 'S'));
	if (inherit)
		EXPECT_NO_RMMOD();
	uf_put(go[1]);
	EXPECT_EXIT_0(pid);
	ASSERT_REFS_BACK();
}

TEST(exec_by_the_leader)
{
	exec_by(_metadata, 0, false);
}

TEST(exec_by_a_registered_leader)
{
	exec_by(_metadata, 1, false);
}

TEST(exec_by_another_thread)
{
	exec_by(_metadata, 2, false);
}

TEST(exec_with_the_descriptor)
{
	exec_by(_metadata, 0, true);
}

TEST(exec_by_a_registered_leader_with_the_descriptor)
{
	exec_by(_metadata, 1, true);
}

TEST(exec_by_another_thread_with_the_descriptor)
{
	exec_by(_metadata, 2, true);
}

/* ------------------------------------------------------------------ fork */

/* In the child of a registered thread: 0, or what is wrong. */
static int forked_child(void)
{
	struct ufiber_register reg = { .size = sizeof(reg) };
	struct ufiber_wait w = { .size = sizeof(w) };
	struct ufiber_query q;
	unsigned char vec[256];
	struct uf_dom own;
	char byte;

	if (uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q) != -EPERM)
		return 1;
	if (uf_ioctl(d.fd, UFIBER_IOC_WAIT, &w) != -EPERM)
		return 2;
	if (uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg) != -EPERM)
		return 3;
	/* The mapping has not been inherited: nothing is there. */
	if (!mincore(d.map, d.setup.mmap_size, vec) || errno != ENOMEM)
		return 4;
	/* It is registered nowhere, so it can be in a domain of its own. */
	if (uf_open(&own, 1, 1))
		return 5;
	if (uf_ioctl(own.fd, UFIBER_IOC_UNREGISTER, NULL) != -ENXIO)
		return 6;
	if (uf_ioctl(own.fd, UFIBER_IOC_REGISTER, &reg))
		return 7;
	/* Sleeping is no block of the parent's. */
	if (syscall(SYS_read, fa[0], &byte, 1) != 1)
		return 8;
	return 0;
}

static long do_fork(long *args)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, NULL, NULL, 0);

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		syscall(SYS_exit_group, forked_child());
	}
	return pid;
}

TEST(fork_by_a_running_thread)
{
	pid_t pid;

	BEGIN();
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	d.threads[a.id].critical = 1;	/* fork() may sleep */
	pid = uf_call(&a, do_fork);
	d.threads[a.id].critical = 0;
	ASSERT_LT(0, pid);
	ASSERT_TRUE(uf_await_proc(pid, pid, 'S'));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].blocks);
	ASSERT_EQ(0, uf_put(fa[1]));
	EXPECT_EXIT_0(pid);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_AGREES(&d);
	EXPECT_EQ(1, d.servers[0].grants);
}

/* --------------------------------------------------- closing the descriptor */

/*
 * The descriptor is closed and the memory unmapped (@unmap) while threads are
 * BLOCKED, RUNNABLE and RUNNING: they go on. One that is IDLE in WAIT holds the
 * descriptor, as any call does, so there is none here.
 */
static void close_scene(struct __test_metadata *_metadata, bool unmap)
{
	void *map;

	UF_OPEN(&d, 1, 8);
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	uf_post_read(&b, fb[0]);
	ASSERT_STATE(&b, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &c);
	ASSERT_EQ(0, uf_put(fb[1]));
	ASSERT_STATE(&b, RUNNABLE, Q_HELD);

	/* Close; what cannot be asked for any more must not be waited for. */
	map = d.map;
	EXPECT_EQ(0, close(d.fd));
	if (!unmap) {
		struct ufiber_shared_domain *shared = map;

		/* The mapping keeps the domain: @b waits for its server. */
		EXPECT_EQ(1, shared->nr_runnable);
		EXPECT_EQ(UFIBER_THREAD_RUNNABLE, d.threads[b.id].state);
		ASSERT_TRUE(uf_await_proc(getpid(), b.tid, 'S'));
		/* A thread's end still gives it away. */
		uf_order(&c, do_exit_thread);
		while (!uf_is_done(&b))
			sched_yield();
		EXPECT_EQ(1, b.ret);
		EXPECT_EQ(UFIBER_THREAD_RUNNING, d.threads[b.id].state);
		EXPECT_EQ(UFIBER_THREAD_FREE, d.threads[c.id].state);
	}
	ASSERT_EQ(0, munmap(map, d.setup.mmap_size));
	/* Nobody is held for a server that nobody could ever give. */
	while (!uf_is_done(&b))
		sched_yield();
	EXPECT_EQ(1, b.ret);
	EXPECT_EQ(0, uf_put(fa[1]));
	while (!uf_is_done(&a))
		sched_yield();
	EXPECT_EQ(1, a.ret);
	/* They are registered nowhere, and may block and join as they like. */
	uf_post_read(&a, fa[0]);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));
	EXPECT_EQ(0, uf_put(fa[1]));
	while (!uf_is_done(&a))
		sched_yield();
	UF_OPEN(&d, 1, 4);
	a.dom = &d;
	EXPECT_EQ(0, uf_register(&a));
	EXPECT_EQ(0, uf_wait(&a, STANDBY, 0, 0));
	ASSERT_STATE(&a, RUNNING, 0);
	IN_CHILD_READY();
}

static void close_early(struct __test_metadata *_metadata, bool unmap)
{
	pid_t pid;

	BEGIN();
	CHILD(pid, close_scene(_metadata, unmap));
	EXPECT_NO_RMMOD();
	uf_put(go[1]);
	EXPECT_EXIT_0(pid);
	ASSERT_REFS_BACK();
}

TEST(close_with_the_mapping_alive)
{
	close_early(_metadata, false);
}

TEST(close_with_the_mapping_gone)
{
	close_early(_metadata, true);
}

/*
 * The close comes to the thread that has the server first, which passes it to
 * the one that is held: that one has to be let go all the same.
 */
TEST(close_passes_a_server_on)
{
	pid_t pid;

	BEGIN();
	CHILD(pid, {
		UF_OPEN(&d, 1, 4);
		UF_SPAWN_RUNNING(&d, &a);
		UF_SPAWN_WAITING(&d, &b, STANDBY);
		ASSERT_LT(a.id, b.id);
		uf_post_wait(&a, STANDBY | UFIBER_WAIT_HANDOVER, b.id, 0);
		ASSERT_STATE(&b, RUNNING, 0);
		EXPECT_EQ(0, uf_finish(&b));
		uf_post_read(&b, fb[0]);
		ASSERT_STATE(&a, RUNNING, 0);
		EXPECT_EQ(0, uf_finish(&a));
		ASSERT_EQ(0, uf_put(fb[1]));
		ASSERT_STATE(&b, RUNNABLE, Q_HELD);
		uf_close(&d);
		while (!uf_is_done(&b))
			sched_yield();
		EXPECT_EQ(1, b.ret);
		IN_CHILD_READY();
	});
	uf_put(go[1]);
	EXPECT_EXIT_0(pid);
	ASSERT_REFS_BACK();
}

/* A thread in WAIT keeps the domain, and still can be killed. */
TEST(close_beside_a_waiting_thread)
{
	int status;
	pid_t pid;

	BEGIN();
	CHILD(pid, {
		UF_OPEN(&d, 1, 4);
		UF_SPAWN_WAITING(&d, &a, 0);
		uf_close(&d);
		ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));
		IN_CHILD_READY();
	});
	EXPECT_LT(refs, uf_refcnt());
	EXPECT_NO_RMMOD();
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_REFS_BACK();
}

/* ---------------------------------------------------------------- module */

TEST(rmmod_while_in_use)
{
	BEGIN();
	UF_OPEN(&d, 1, 4);
	EXPECT_NO_RMMOD();
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_NO_RMMOD();
	/* The threads alone are enough. */
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	uf_close(&d);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));
	EXPECT_LT(refs, uf_refcnt());
	EXPECT_NO_RMMOD();
	EXPECT_EQ(0, uf_put(fa[1]));
	while (!uf_is_done(&a))
		sched_yield();
	uf_join(&a);
	ASSERT_REFS_BACK();
}

/* Out and in again, and all works as before. */
TEST(rmmod_and_insmod)
{
	int fd, i;

	BEGIN();
	if (refs)
		SKIP(return, "somebody else uses the module");
	fd = uf_module_open();
	ASSERT_LE(0, fd) TH_LOG("the module's file: %s", strerror(-fd));
	for (i = 0; i < 3; i++) {
		all_states(_metadata);
		uf_join(&c);
		ASSERT_DONE(1, &b);
		uf_join(&b);
		ASSERT_EQ(0, uf_put(fa[1]));
		ASSERT_DONE(1, &a);
		uf_join(&a);
		ASSERT_EQ(0, uf_wake(&e, UFIBER_WAKE_CANCEL));
		ASSERT_DONE(-ECANCELED, &e);
		uf_join(&e);
		uf_close(&d);
		ASSERT_REFS_BACK();
		uf_other_cpus("0");
		ASSERT_EQ(0, syscall(SYS_delete_module, "ufiber", O_NONBLOCK))
			TH_LOG("delete_module: %s", strerror(errno));
		EXPECT_EQ(-1, access(UFIBER_DEVICE, F_OK));
		EXPECT_EQ(-1, uf_refcnt());
		ASSERT_EQ(0, syscall(SYS_finit_module, fd, "", 0))
			TH_LOG("finit_module: %s", strerror(errno));
		uf_other_cpus("1");
		ASSERT_TRUE(uf_await(NULL, uf_device_is_there, NULL, "the device"));
		EXPECT_EQ(0, uf_refcnt());
	}
	close(fd);
	all_states(_metadata);
}

static void __attribute__((constructor)) count_refs(void)
{
	refs = uf_refcnt();
}

TEST_HARNESS_MAIN

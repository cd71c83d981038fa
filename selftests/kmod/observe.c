// SPDX-License-Identifier: GPL-2.0
/*
 * What there is to see of a domain from outside. After each operation it agrees
 * with QUERY, STATS and the shared words; and who may see it.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "uf_test.h"
#include "uf_see.h"

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_HELD		UFIBER_QUERY_HELD

static struct uf_dom d;
static struct uf_thread a, b, c;
static int fds[2];

static __u32 server_state(__u32 server)
{
	struct ufiber_query q;

	return uf_query(&d, UFIBER_NONE, server, &q) ? ~0U : q.server_state;
}

static bool both_servers_offline(void *arg)
{
	return server_state(1) == UFIBER_SERVER_OFFLINE &&
	       server_state(2) == UFIBER_SERVER_OFFLINE;
}

FIXTURE(observe)
{
};

/* With the tracer if there is one: without, the rest is tested. */
FIXTURE_SETUP(observe)
{
	if (!uf_has_debugfs())
		TH_LOG("no " UF_DOMAINS ": not compared");
	if (!uf_has_tracing())
		TH_LOG("no " UF_TRACING "/events/ufiber: not compared");
	else
		ASSERT_TRUE(uf_trace_begin());
	ASSERT_EQ(0, pipe(fds));
}

FIXTURE_TEARDOWN(observe)
{
	uf_trace_end();
}

/* ------------------------------------------------------- each operation agrees */

TEST_F(observe, waiting_and_waking)
{
	char *text;

	UF_OPEN_AS(&d, 0, 2, 2, 8);
	ASSERT_ALL_AGREE(&d);
	UF_SPAWN(&d, &a);
	ASSERT_ALL_AGREE(&d);
	text = uf_fdinfo(d.fd);
	EXPECT_EQ((uintptr_t)&a, uf_number_of(uf_line_of(text, "thread:\t0 "), "cookie"));
	free(text);
	ASSERT_LE(0, uf_wait(&a, STANDBY, 0, 0));
	ASSERT_ALL_AGREE(&d);
	UF_SPAWN_WAITING(&d, &b, 0);
	ASSERT_ALL_AGREE(&d);
	uf_post_wait(&a, HANDOVER, b.id, 0);
	ASSERT_LE(0, uf_finish(&b));
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_ALL_AGREE(&d);
	ASSERT_EQ(0, uf_wake(&a, 0));
	ASSERT_LE(0, uf_finish(&a));
	ASSERT_ALL_AGREE(&d);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	ASSERT_ALL_AGREE(&d);
	/* A wake-up that comes before its wait. */
	ASSERT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNING, UFIBER_QUERY_WAKE_PENDING);
	ASSERT_ALL_AGREE(&d);
	ASSERT_LE(0, uf_wait(&a, 0, 0, 0));
	ASSERT_EQ(0, uf_wake(&c, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &c);
	ASSERT_ALL_AGREE(&d);
	ASSERT_EQ(-ETIMEDOUT, uf_wait(&c, STANDBY | UFIBER_WAIT_TIMEOUT, 0, 1));
	ASSERT_ALL_AGREE(&d);
	/* RUNNABLE, since both servers are held. */
	uf_post_wait(&c, UFIBER_WAIT_ACQUIRE, 0, 0);
	ASSERT_STATE(&c, RUNNABLE, Q_WAITING);
	ASSERT_ALL_AGREE(&d);
	ASSERT_EQ(0, uf_unregister(&a));
	ASSERT_LE(0, uf_finish(&c));
	ASSERT_ALL_AGREE(&d);
	uf_join(&b);
	ASSERT_ALL_AGREE(&d);
	/* The id is another's now. */
	uf_join(&a);
	UF_SPAWN(&d, &a);
	ASSERT_ALL_AGREE(&d);
}

TEST_F(observe, blocking)
{
	UF_OPEN_AS(&d, UFIBER_SETUP_WATCH, 1, 1, 8);
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_ALL_AGREE(&d);
	UF_SPAWN_RUNNING(&d, &b);
	ASSERT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_ALL_AGREE(&d);
	/* Handed on by a block: to the one that is held, then to a standby. */
	uf_post_read(&b, fds[0]);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&b, BLOCKED, 0);
	ASSERT_ALL_AGREE(&d);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	uf_post_read(&a, fds[0]);
	ASSERT_LE(0, uf_finish(&c));
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_ALL_AGREE(&d);
	ASSERT_EQ(0, uf_interrupt(&a));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_ALL_AGREE(&d);
	/* What the user writes stands there as well. */
	d.threads[c.id].priority = 3;
	d.servers[0].dispatches = 77;
	d.servers[0].waiting = 1;
	d.shared->ring_head = 1;
	ASSERT_ALL_AGREE(&d);
	/* POLLING, and then robbed of it by the thread that unblocks. */
	uf_post_wait(&c, 0, 0, 0);
	ASSERT_DONE(-EINTR, &a);
	ASSERT_EQ(0, uf_unregister(&a));
	ASSERT_EQ(0, uf_wake(&c, 0));
	ASSERT_LE(0, uf_finish(&c));
	d.servers[0].owner = UFIBER_OWNER(UFIBER_SERVER_POLLING, c.id);
	ASSERT_ALL_AGREE(&d);
	ASSERT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &b);
	ASSERT_STATE(&c, IDLE, 0);
	ASSERT_ALL_AGREE(&d);
	/* A critical section keeps the server through a block. */
	d.threads[b.id].critical = 1;
	uf_post_read(&b, fds[0]);
	ASSERT_TRUE(uf_await_sleep(&b, SYS_read));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_ALL_AGREE(&d);
	ASSERT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &b);
	ASSERT_ALL_AGREE(&d);
}

TEST_F(observe, preempting)
{
	UF_OPEN_AS(&d, 0, 1, 3, 8);
	UF_SPAWN_RUNNING(&d, &a);
	/* Nobody waits: the kick comes to nothing. */
	ASSERT_EQ(0, uf_kick(&a));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_ALL_AGREE(&d);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	d.threads[a.id].critical = 1;
	ASSERT_EQ(0, uf_kick(&a));
	ASSERT_TRUE(uf_await_word(&d, &d.threads[a.id].kicked, 1));
	ASSERT_STATE(&a, RUNNING, UFIBER_QUERY_KICKED);
	ASSERT_ALL_AGREE(&d);
	uf_post_wait(&a, UFIBER_WAIT_YIELD, 0, 0);
	ASSERT_LE(0, uf_finish(&b));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	d.threads[a.id].critical = 0;
	ASSERT_ALL_AGREE(&d);
	ASSERT_EQ(0, uf_kick(&b));
	ASSERT_LE(0, uf_finish(&a));
	ASSERT_STATE(&b, RUNNABLE, Q_HELD);
	ASSERT_ALL_AGREE(&d);
	/* Two more servers, and then less than there are holders. */
	ASSERT_EQ(0, uf_resize(&d, 3));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_ALL_AGREE(&d);
	ASSERT_EQ(0, uf_resize(&d, 1));
	ASSERT_TRUE(uf_await(&d, both_servers_offline, NULL, "two servers to go OFFLINE"));
	ASSERT_ALL_AGREE(&d);
}

/* By a timer, so one of them may be RUNNABLE or not at any moment. */
TEST_F(observe, quantum)
{
	char *text;

	UF_OPEN_AS(&d, 0, 1, 2, 8);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, UFIBER_WAIT_ACQUIRE, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_EQ(0, uf_quantum(&d, 0, UFIBER_MIN_QUANTUM));
	text = uf_fdinfo(d.fd);
	EXPECT_EQ(UFIBER_MIN_QUANTUM, uf_number_of(uf_line_of(text, "server:\t0 "), "quantum"));
	EXPECT_EQ(0, uf_number_of(uf_line_of(text, "server:\t1 "), "quantum"));
	free(text);
	ASSERT_LE(0, uf_finish(&b));
	ASSERT_EQ(0, uf_quantum(&d, 0, 0));
	ASSERT_ALL_AGREE(&d);
	text = uf_fdinfo(d.fd);
	EXPECT_EQ(0, uf_number_of(uf_line_of(text, "server:\t0 "), "quantum"));
	free(text);
}

TEST_F(observe, user_scheduling)
{
	char *text;

	UF_OPEN_AS(&d, UFIBER_SETUP_USER_SCHED | UFIBER_SETUP_WATCH, 1, 1, 8);
	text = uf_fdinfo(d.fd);
	ASSERT_NE(NULL, text);
	EXPECT_NE(NULL, uf_line_of(text, "setup:\tUSER_SCHED|WATCH"));
	free(text);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	uf_post_wait(&b, UFIBER_WAIT_ACQUIRE, 0, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_ALL_AGREE(&d);
	uf_post_wait(&a, HANDOVER | STANDBY, b.id, 0);
	ASSERT_LE(0, uf_finish(&b));
	ASSERT_ALL_AGREE(&d);
	uf_post_read(&b, fds[0]);
	ASSERT_LE(0, uf_finish(&a));
	ASSERT_ALL_AGREE(&d);
	/* The scheduler sleeps until there is work, which there is then. */
	uf_post_wait(&a, STANDBY | UFIBER_WAIT_WORK, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING | UFIBER_QUERY_WORK);
	ASSERT_ALL_AGREE(&d);
	ASSERT_EQ(0, uf_put(fds[1]));
	ASSERT_LE(0, uf_finish(&a));
	ASSERT_STATE(&b, RUNNABLE, Q_HELD);
	ASSERT_ALL_AGREE(&d);
}

/* More text than a page or ten; every line of it is there, in order. */
#define MANY 600

TEST_F(observe, many_threads)
{
	static struct uf_thread threads[MANY];
	const char *at;
	char *text;
	__u32 i;

	uf_trace_end();
	UF_OPEN_AS(&d, 0, 1, UFIBER_MAX_SERVERS, 2 * MANY);
	for (i = 0; i < MANY; i++)
		UF_SPAWN_WAITING(&d, &threads[i], 0);
	ASSERT_ALL_AGREE(&d);
	at = text = uf_fdinfo(d.fd);
	for (i = 0; i < MANY; i++) {
		at = strstr(at + 1, "\nthread:\t");
		ASSERT_NE(NULL, at);
		ASSERT_EQ(i, strtoul(at + strlen("\nthread:\t"), NULL, 10));
	}
	EXPECT_EQ(NULL, strstr(at + 1, "\nthread:\t"));
	EXPECT_LT(65536, strlen(text));
	free(text);
}

/* ------------------------------------------------------------- who sees what */

TEST_F(observe, not_set_up)
{
	char *text, *debug;
	long ret = uf_open_fd(&d);

	if (ret == -ENOENT && !getenv("UFIBER_VM"))
		SKIP(return, "no " UFIBER_DEVICE ": the module is not loaded");
	ASSERT_EQ(0, ret);
	text = uf_fdinfo(d.fd);
	ASSERT_NE(NULL, text);
	EXPECT_NE(~0ULL, uf_summary_of(text, "domain"));
	EXPECT_EQ(NULL, uf_line_of(text, "process:"));
	EXPECT_EQ(NULL, uf_line_of(text, "server:"));
	debug = uf_debugfs_of(uf_summary_of(text, "domain"));
	EXPECT_EQ(NULL, debug);
	free(text);
}

/* Two domains of a process, told apart by number; a closed one is gone. */
TEST_F(observe, debugfs_has_all_domains)
{
	struct stat st;
	__u64 numbers[3];
	static struct uf_dom more[3];
	char *text;
	int i;

	if (!uf_has_debugfs())
		SKIP(return, "no " UF_DOMAINS);
	ASSERT_EQ(0, stat(UF_DOMAINS, &st));
	EXPECT_EQ(0400, st.st_mode & 0777);
	EXPECT_EQ(0, st.st_uid);
	for (i = 0; i < 3; i++) {
		UF_OPEN(&more[i], 1, 4);
		numbers[i] = uf_domain_number(&more[i]);
		ASSERT_NE(~0ULL, numbers[i]);
		ASSERT_TRUE(!i || numbers[i] > numbers[i - 1]);
	}
	for (i = 0; i < 3; i++) {
		text = uf_debugfs_of(numbers[i]);
		ASSERT_NE(NULL, text);
		EXPECT_EQ((__u64)getpid(), uf_summary_of(text, "process"));
		free(text);
	}
	uf_close(&more[1]);
	EXPECT_EQ(NULL, uf_debugfs_of(numbers[1]));
	text = uf_debugfs_of(numbers[2]);
	EXPECT_NE(NULL, text);
	free(text);
}

/* Another user's process that has the descriptor, inherited or passed. */
TEST_F(observe, another_user_sees_nothing)
{
	int status;
	pid_t pid;
	char *text;

	UF_OPEN_AS(&d, 0, 1, 1, 4);
	if (geteuid())
		SKIP(return, "needs root, to be another user");
	pid = uf_fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(2);
		text = uf_fdinfo(d.fd);
		_exit(!text ? 3 : !uf_line_of(text, "flags:\t") ? 4 : !!uf_line_of(text, "domain:"));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* As the same user it is shown, though it is no domain of the child's. */
	pid = uf_fork();
	if (!pid) {
		text = uf_fdinfo(d.fd);
		_exit(uf_summary_of(text, "process") != getppid());
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* The thread ids are those of the pid namespace whose /proc it is. */
TEST_F(observe, thread_ids_of_a_namespace)
{
	int status;
	pid_t pid;

	UF_OPEN_AS(&d, 0, 1, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	pid = uf_fork();
	if (!pid) {
		char *text;

		if (unshare(CLONE_NEWPID | CLONE_NEWNS))
			_exit(errno == EPERM ? 77 : 2);
		pid = fork();
		if (pid) {
			waitpid(pid, &status, 0);
			_exit(WEXITSTATUS(status));
		}
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("proc", "/proc", "proc", 0, NULL))
			_exit(3);
		text = uf_fdinfo(d.fd);
		if (!text)
			_exit(4);
		_exit(uf_summary_of(text, "process") != 0 ? 5 :
		      uf_number_of(uf_line_of(text, "thread:\t0 "), "tid") != 0 ? 6 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	if (WEXITSTATUS(status) == 77)
		SKIP(return, "needs root, to make a pid namespace");
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN

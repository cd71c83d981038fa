// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What the child of a fork() has of its parent's runtimes: errors, and no hang. */
#include "sync_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* All in the parent's memory, so also in the child's. */
struct parent {
	struct __test_metadata *metadata;
	struct uf_runtime *rt;
	struct uf_fiber *waiting;
	struct uf_fiber *parked;
	struct uf_sem sem;
	atomic_bool stop;
};

static void *wait_sem(void *arg)
{
	struct parent *p = arg;

	return (void *)(intptr_t)uf_sem_wait(&p->sem);
}

static void *return_arg(void *arg)
{
	return arg;
}

static void init_parent(struct parent *p, struct __test_metadata *_metadata,
			unsigned int servers)
{
	struct uf_attr attr = UF_ATTR_INIT;

	*p = (struct parent){ .metadata = _metadata, .sem = UF_SEM_INIT(0) };
	CREATE_RUNTIME(&p->rt, servers);
	attr.flags = UF_PARKED;
	ASSERT_EQ(0, uf_create(p->rt, &p->waiting, NULL, wait_sem, p));
	ASSERT_EQ(0, uf_create(p->rt, &p->parked, &attr, return_arg, p));
	while (uf_state(p->waiting) != UF_STATE_WAITING)
		sched_yield();
}

static void end_parent(struct parent *p)
{
	struct __test_metadata *_metadata = p->metadata;
	void *value;

	/* The child has woken nobody here. */
	EXPECT_EQ(UF_STATE_WAITING, uf_state(p->waiting));
	uf_sem_post(&p->sem);
	ASSERT_EQ(0, uf_start(p->parked));
	ASSERT_EQ(0, uf_join(p->waiting, &value));
	EXPECT_EQ(NULL, value);
	ASSERT_EQ(0, uf_join(p->parked, &value));
	EXPECT_EQ(p, value);
	EXPECT_EQ(0, uf_runtime_destroy(p->rt));
}

#define WRONG_UNLESS(condition)                      \
	do {                                         \
		if (!(condition))                    \
			_exit(100 + __LINE__ % 100); \
	} while (0)

/* Everything that could be done by mistake. Ends the process, with 0 if all is well. */
static void misuse(struct parent *p)
{
	struct uf_stats stats = { .size = sizeof(stats) };
	struct uf_fiber *fiber;

	WRONG_UNLESS(!uf_self());
	WRONG_UNLESS(!uf_runtime_backend(NULL));
	WRONG_UNLESS(uf_sleep(0) == -EPERM);
	WRONG_UNLESS(uf_pin(0) == -EPERM);
	WRONG_UNLESS(uf_create(NULL, &fiber, NULL, return_arg, p) == -EPERM);
	WRONG_UNLESS(uf_create(p->rt, &fiber, NULL, return_arg, p) == -ECHILD);
	WRONG_UNLESS(uf_create_many(p->rt, &fiber, 1, NULL, return_arg, NULL) ==
		     -ECHILD);
	WRONG_UNLESS(uf_join(p->waiting, NULL) == -ECHILD);
	WRONG_UNLESS(uf_join_until(p->waiting, NULL, 0) == -ECHILD);
	WRONG_UNLESS(uf_detach(p->waiting) == -ECHILD);
	WRONG_UNLESS(uf_cancel(p->waiting) == -ECHILD);
	WRONG_UNLESS(uf_start(p->parked) == -ECHILD);
	WRONG_UNLESS(uf_runtime_stats(p->rt, &stats) == -ECHILD);
	WRONG_UNLESS(uf_runtime_drain(p->rt, UF_FOREVER) == -ECHILD);
	WRONG_UNLESS(uf_runtime_stop(p->rt, UF_FOREVER) == -ECHILD);
	WRONG_UNLESS(uf_runtime_serve(p->rt) == -ECHILD);
	WRONG_UNLESS(uf_runtime_set_servers(p->rt, 1) == -ECHILD);
	WRONG_UNLESS(uf_runtime_destroy(p->rt) == -ECHILD);
	uf_yield();
	/* To a copy of one who waits. */
	WRONG_UNLESS(!uf_sem_post(&p->sem));
	_exit(0);
}

static int wait_for(struct __test_metadata *_metadata, pid_t child)
{
	int status;

	ASSERT_LE(0, child);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(from_a_plain_thread)
{
	struct parent p;
	pid_t child;

	init_parent(&p, _metadata, 2);
	child = fork();
	if (!child)
		misuse(&p);
	EXPECT_EQ(0, wait_for(_metadata, child));
	end_parent(&p);
}

static void *fork_and_misuse(void *arg)
{
	struct parent *p = arg;
	pid_t child = fork();

	if (!child)
		misuse(p);
	/* It blocks in the kernel, and knows. */
	return (void *)(intptr_t)wait_for(p->metadata, child);
}

/* A fiber that forks, and returns NULL if its child was content. */
static void fork_in_fiber(struct __test_metadata *_metadata,
			  void *(*start)(void *))
{
	struct uf_fiber *fiber;
	struct parent p;
	void *status;

	init_parent(&p, _metadata, 2);
	ASSERT_EQ(0, uf_create(p.rt, &fiber, NULL, start, &p));
	ASSERT_EQ(0, uf_join(fiber, &status));
	EXPECT_EQ(NULL, status);
	end_parent(&p);
}

TEST(from_a_fiber)
{
	fork_in_fiber(_metadata, fork_and_misuse);
}

static void *churn(void *arg)
{
	struct parent *p = arg;
	struct uf_fiber *fiber;

	while (!atomic_load(&p->stop)) {
		if (uf_create(NULL, &fiber, NULL, return_arg, p))
			abort();
		uf_yield();
		if (uf_join(fiber, NULL))
			abort();
	}
	return NULL;
}

/* Whatever locks the other threads hold at that moment. */
TEST(amid_work)
{
	struct uf_fiber *fiber[8];
	struct parent p;
	pid_t child;
	int i;

	init_parent(&p, _metadata, 3);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, uf_create(p.rt, &fiber[i], NULL, churn, &p));
	for (i = 0; i < 50; i++) {
		child = fork();
		if (!child)
			misuse(&p);
		ASSERT_EQ(0, wait_for(_metadata, child));
	}
	atomic_store(&p.stop, true);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	end_parent(&p);
}

/* The child goes on in the fiber's function, which returns. */
static void *fork_and_return(void *arg)
{
	int *fds = arg;
	pid_t child = fork();
	int status;

	if (!child) {
		dup2(fds[1], STDERR_FILENO);
		return NULL;
	}
	if (waitpid(child, &status, 0) != child)
		return NULL;
	return (void *)(intptr_t)(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

TEST(returns_in_the_child)
{
	char text[256] = "";
	void *signal;
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, uf_run(NULL, fork_and_return, fds, &signal));
	EXPECT_EQ((void *)SIGABRT, signal);
	close(fds[1]);
	ASSERT_LT(0, read(fds[0], text, sizeof(text) - 1));
	EXPECT_NE(NULL, strstr(text, "fork()"))
	TH_LOG("%s", text);
}

static void *sleep_and_return(void *arg)
{
	return uf_sleep(1000) ? NULL : arg;
}

/* Servers that fork their workers: each has a runtime of its own. */
static int work_as_child(int depth)
{
	struct uf_config config = UF_CONFIG_INIT;
	void *value = NULL;
	pid_t child;
	int status;

	config.servers = 2;
	if (uf_run(&config, sleep_and_return, &config, &value) ||
	    value != &config)
		return 1;
	if (!depth)
		return 0;
	child = fork();
	if (!child)
		_exit(work_as_child(depth - 1));
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return 2;
	return WEXITSTATUS(status);
}

TEST(runtime_of_its_own)
{
	struct parent p;
	pid_t child;

	init_parent(&p, _metadata, 2);
	child = fork();
	if (!child)
		_exit(work_as_child(2));
	EXPECT_EQ(0, wait_for(_metadata, child));
	end_parent(&p);
}

/* Nothing of the library's is open in a program that a fiber executes. */
static void *fork_and_exec(void *arg)
{
	struct parent *p = arg;
	pid_t child = fork();

	if (!child) {
		execl("/bin/sh", "sh", "-c",
		      "ls -l /proc/self/fd | grep -e anon_inode -e /dev/ufiber -e /proc/ | grep -v -e '/proc/[0-9]*/fd$' && exit 1; exit 0",
		      NULL);
		_exit(127);
	}
	return (void *)(intptr_t)wait_for(p->metadata, child);
}

TEST(exec)
{
	fork_in_fiber(_metadata, fork_and_exec);
}

/* What needs no runtime works in the child, too, whatever others were in the middle of. */
static void *yield_and_return(struct uf_coro *self, void *arg, void *value)
{
	uf_coro_yield(self, value, &value);
	return value;
}

static bool use_coroutine(void)
{
	void *value = NULL;
	struct uf_coro *co;

	return !uf_coro_create(&co, NULL, yield_and_return, NULL) &&
	       uf_coro_resume(co, &co, &value) == 1 && value == &co &&
	       !uf_coro_resume(co, co, &value) && value == co &&
	       !uf_coro_destroy(co);
}

static bool use_key(void)
{
	uf_key_t key;

	return !uf_key_create(&key, NULL) && !uf_key_delete(key);
}

static void *use_often(void *stop)
{
	while (!atomic_load((atomic_bool *)stop))
		MUST(use_coroutine() && use_key());
	return NULL;
}

TEST(without_a_runtime)
{
	atomic_bool stop = false;
	pthread_t thread;
	pid_t child;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, use_often, &stop));
	for (i = 0; i < 2000; i++) {
		child = fork();
		if (!child) {
			alarm(20);
			_exit(!use_coroutine() || !use_key());
		}
		ASSERT_EQ(0, wait_for(_metadata, child));
	}
	atomic_store(&stop, true);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_HARNESS_MAIN

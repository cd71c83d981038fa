// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* C++ exceptions in fibers; what throws them is in cxx/throw.cc. */
#include "lib_test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "cxx/throw.h"

#define FIBERS 8

static void throw_on(struct __test_metadata *_metadata, unsigned int servers)
{
	struct uf_fiber *fiber[FIBERS];
	struct uf_runtime *rt;
	void *right;
	intptr_t i;

	CREATE_RUNTIME(&rt, servers);
	for (i = 0; i < FIBERS; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, throw_and_catch,
				       (void *)(i * 1000)));
	for (i = 0; i < FIBERS; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &right));
		EXPECT_EQ(100, (intptr_t)right);
	}
	EXPECT_EQ(0, count_objects());
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST(one_server)
{
	throw_on(_metadata, 1);
}

TEST(several_servers)
{
	throw_on(_metadata, 4);
}

/* The search for a handler ends at the fiber's first frame: std::terminate(). */
TEST(uncaught)
{
	char text[1024] = "";
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	lib_test_need_runtime();
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		uf_run(NULL, throw_uncaught, NULL, NULL);
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGABRT, WTERMSIG(status))
	TH_LOG("status %#x", status);
	EXPECT_NE(NULL, strstr(text, "terminate called"));
	EXPECT_NE(NULL, strstr(text, "nobody catches this"))
	TH_LOG("said: %s", text);
}

TEST_HARNESS_MAIN

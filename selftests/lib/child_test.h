/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* For tests of how a process ends: it is a child, and what it says is kept. */
#ifndef CHILD_TEST_H
#define CHILD_TEST_H

#include "lib_test.h"

#include <string.h>
#include <sys/wait.h>

/* What a child process has said on stderr, and how it ended. */
static struct {
	char text[16384];
	int status;
} end;

static void run_child(struct __test_metadata *_metadata, void (*fn)(void *),
		      void *arg)
{
	size_t len = 0;
	int fds[2];
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
		fn(arg);
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], end.text + len, sizeof(end.text) - 1 - len)) > 0)
		len += n;
	end.text[len] = '\0';
	close(fds[0]);
	ASSERT_EQ(pid, waitpid(pid, &end.status, 0));
}

#define EXPECT_SIGNAL(signal)                           \
	do {                                            \
		EXPECT_TRUE(WIFSIGNALED(end.status));   \
		EXPECT_EQ(signal, WTERMSIG(end.status)) \
		TH_LOG("status %#x", end.status);       \
	} while (0)

#define EXPECT_SAID(what)                       \
	EXPECT_NE(NULL, strstr(end.text, what)) \
	TH_LOG("said: %s", end.text)

#define EXPECT_SILENT() EXPECT_STREQ("", end.text)

#endif /* CHILD_TEST_H */

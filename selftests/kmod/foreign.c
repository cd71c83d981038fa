// SPDX-License-Identifier: GPL-2.0
/* Another process's descriptor: every call is refused, and changes nothing. */
#include "uf_test.h"
#include <sys/socket.h>

static struct uf_dom d;

/* In the other process: 0, or the number of the first call that did wrong. */
static int try_all(int fd)
{
	struct ufiber_setup setup = {
		.size = sizeof(setup), .nr_servers = 1, .max_threads = 1,
	};
	struct ufiber_register reg = { .size = sizeof(reg) };
	struct ufiber_wait wait = { .size = sizeof(wait) };
	struct uf_dom there = { .fd = fd };
	struct ufiber_query q;

	if (uf_ioctl(fd, UFIBER_IOC_SETUP, &setup) != -EPERM)
		return 1;
	if (uf_ioctl(fd, UFIBER_IOC_REGISTER, &reg) != -EPERM)
		return 2;
	if (uf_ioctl(fd, UFIBER_IOC_UNREGISTER, NULL) != -EPERM)
		return 3;
	if (uf_ioctl(fd, UFIBER_IOC_WAIT, &wait) != -EPERM)
		return 4;
	if (uf_wake_id(&there, 0, 0) != -EPERM ||
	    uf_wake_id(&there, 0, UFIBER_WAKE_CANCEL) != -EPERM)
		return 5;
	if (uf_query(&there, 0, 0, &q) != -EPERM)
		return 6;
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED ||
	    errno != EPERM)
		return 7;
	return 0;
}

static int exit_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/*
 * A running thread, a waiting one: neither notices. (But fork() may make the
 * running one wait for its memory, so no counters are compared.)
 */
#define SCENE(a, b)							\
	UF_OPEN(&d, 1, 4);						\
	UF_SPAWN_RUNNING(&d, &a);					\
	UF_SPAWN_WAITING(&d, &b, 0)
#define EXPECT_SCENE(a, b)						\
	do {								\
		ASSERT_STATE(&a, RUNNING, 0);				\
		ASSERT_STATE(&b, IDLE, UFIBER_QUERY_WAITING);		\
		ASSERT_SERVER(&d, 0, HELD, a.id);			\
		ASSERT_BUSY(&b);					\
	} while (0)

TEST(inherited)
{
	struct uf_thread a, b;
	pid_t pid;

	SCENE(a, b);
	pid = uf_fork();
	if (!pid)
		_exit(try_all(d.fd));
	EXPECT_EQ(0, exit_status(pid));
	EXPECT_SCENE(a, b);
}

static void send_fd(int sock, int fd)
{
	union {
		struct cmsghdr hdr;
		char space[CMSG_SPACE(sizeof(int))];
	} u = { 0 };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &u, .msg_controllen = sizeof(u),
	};

	u.hdr.cmsg_level = SOL_SOCKET;
	u.hdr.cmsg_type = SCM_RIGHTS;
	u.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.hdr), &fd, sizeof(int));
	sendmsg(sock, &msg, 0);
}

static int receive_fd(int sock)
{
	union {
		struct cmsghdr hdr;
		char space[CMSG_SPACE(sizeof(int))];
	} u = { 0 };
	char c;
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &u, .msg_controllen = sizeof(u),
	};
	int fd = -1;

	if (recvmsg(sock, &msg, 0) == 1)
		memcpy(&fd, CMSG_DATA(&u.hdr), sizeof(int));
	return fd;
}

/* To a process that was there before the domain. */
TEST(sent)
{
	struct uf_thread a, b;
	int socks[2];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = uf_fork();
	if (!pid) {
		int fd = receive_fd(socks[1]);

		_exit(fd < 0 ? 100 : try_all(fd));
	}
	SCENE(a, b);
	send_fd(socks[0], d.fd);
	EXPECT_EQ(0, exit_status(pid));
	EXPECT_SCENE(a, b);
}

/*
 * Whose the domain is, is decided by who sets it up, not by who opened it.
 */
TEST(opened_by_one_set_up_by_another)
{
	struct ufiber_setup setup = {
		.size = sizeof(setup), .nr_servers = 1, .max_threads = 2,
	};
	int ready[2], go[2];
	pid_t pid;
	long ret = uf_open_fd(&d);

	if (ret == -ENOENT && !getenv("UFIBER_VM"))
		SKIP(return, "no " UFIBER_DEVICE ": the module is not loaded");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	pid = uf_fork();
	if (!pid) {
		struct ufiber_query q;

		close(go[1]);
		if (uf_ioctl(d.fd, UFIBER_IOC_SETUP, &setup))
			_exit(1);
		uf_put(ready[1]);
		uf_get(go[0]);
		_exit(uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q) ? 2 : 0);
	}
	ASSERT_EQ(1, uf_get(ready[0]));
	EXPECT_EQ(0, try_all(d.fd));
	uf_put(go[1]);
	EXPECT_EQ(0, exit_status(pid));
	/* The owner is gone, that makes it nobody's. */
	EXPECT_EQ(0, try_all(d.fd));
}

TEST_HARNESS_MAIN

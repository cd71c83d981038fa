// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors that are duplicated, sent away, in flight, or kept by another
 * process after their owner's end; and the last of those who stand by.
 */
#include "uf_test.h"
#include "uf_scene.h"
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define STANDBY		UFIBER_WAIT_STANDBY

static struct uf_dom d;
static struct uf_scene scene;
static struct uf_thread a, b, c;
static struct uf_child child;
static int socks[2], fa[2];

static long send_fd(int sock, int fd)
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
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int sock)
{
	union {
		struct cmsghdr hdr;
		char space[CMSG_SPACE(sizeof(int))];
	} u = { 0 };
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &u, .msg_controllen = sizeof(u),
	};
	int fd = -1;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) == 1)
		memcpy(&fd, CMSG_DATA(&u.hdr), sizeof(int));
	return fd;
}

/* The module is in use: it does not unload. */
#define EXPECT_NO_RMMOD()						\
	do {								\
		ASSERT_LT(0, uf_refcnt());				\
		EXPECT_EQ(-1, syscall(SYS_delete_module, "ufiber", O_NONBLOCK)); \
		EXPECT_EQ(EWOULDBLOCK, errno);				\
	} while (0)

/* No call does anything, by a descriptor whose owner is gone. */
static void refused(struct __test_metadata *_metadata, int fd)
{
	struct ufiber_setup setup = { .size = sizeof(setup), .nr_servers = 1, .max_threads = 1 };
	struct ufiber_register reg = { .size = sizeof(reg) };
	struct uf_dom dom = { .fd = fd };
	struct ufiber_query q;

	EXPECT_EQ(-EPERM, uf_ioctl(fd, UFIBER_IOC_SETUP, &setup));
	EXPECT_EQ(-EPERM, uf_ioctl(fd, UFIBER_IOC_REGISTER, &reg));
	EXPECT_EQ(-EPERM, uf_query(&dom, 0, 0, &q));
	EXPECT_EQ(-EPERM, uf_wake_id(&dom, 0, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_EQ(EPERM, errno);
}

TEST(duplicated)
{
	struct ufiber_query q;
	int fd;

	UF_BEGIN(&d);
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	fd = dup(d.fd);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(d.fd));
	d.fd = fd;
	ASSERT_STATE(&a, RUNNING, 0);
	UF_SPAWN(&d, &b);
	ASSERT_EQ(0, uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q));
	EXPECT_EQ(2, q.nr_threads);
	uf_join(&a);
	uf_join(&b);
	uf_close(&d);
	UF_REFS_BACK();
}

/* Another process has it when its owner is killed, in all states. */
TEST(sent_away)
{
	int fd;

	UF_BEGIN(&d);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_scene_set(&scene));
		ASSERT_EQ(0, send_fd(socks[1], scene.d.fd));
		UF_CHILD_STEP(&child);
	});
	fd = receive_fd(socks[0]);
	ASSERT_LE(0, fd);
	refused(_metadata, fd);
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	UF_CHILD_KILLED(&child, SIGKILL);
	refused(_metadata, fd);
	EXPECT_NO_RMMOD();
	close(fd);
	UF_REFS_BACK();
}

/* Its owner ends while it is between two processes, in a socket that nobody reads. */
TEST(in_flight)
{
	UF_BEGIN(&d);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_scene_set(&scene));
		ASSERT_EQ(0, send_fd(socks[1], scene.d.fd));
		UF_CHILD_STEP(&child);
	});
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	UF_CHILD_KILLED(&child, SIGKILL);
	EXPECT_NO_RMMOD();
	close(socks[0]);
	close(socks[1]);
	UF_REFS_BACK();
}

/* A child that was forked from the owner keeps it. */
TEST(kept_by_a_child)
{
	static struct uf_child heir;

	UF_BEGIN(&d);
	ASSERT_EQ(0, pipe2(heir.up, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(heir.down, O_CLOEXEC));
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_scene_set(&scene));
		if (!fork()) {
			UF_CHILD_STEP(&heir);
			refused(_metadata, scene.d.fd);
			UF_CHILD_STEP(&heir);
			_exit(0);
		}
		UF_CHILD_STEP(&child);
	});
	UF_AWAIT_STEP(&heir);
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	UF_CHILD_KILLED(&child, SIGKILL);
	UF_NEXT_STEP(&heir);
	UF_AWAIT_STEP(&heir);
	EXPECT_NO_RMMOD();
	UF_NEXT_STEP(&heir);
	UF_REFS_BACK();
}

/* Whom the udev rule lets in: a user without any privilege. */
#define NOBODY	65534

TEST(unprivileged)
{
	UF_BEGIN(&d);
	if (!getenv("UFIBER_VM"))
		SKIP(return, "the device's mode is changed in a VM alone");
	ASSERT_EQ(0, chmod(UFIBER_DEVICE, 0666));
	UF_CHILD(&child, {
		ASSERT_EQ(0, setgroups(0, NULL));
		ASSERT_EQ(0, setresgid(NOBODY, NOBODY, NOBODY));
		ASSERT_EQ(0, setresuid(NOBODY, NOBODY, NOBODY));
		/* /proc/self was root's until now. */
		prctl(PR_SET_DUMPABLE, 1);
		uf_unlocked = true;
		ASSERT_TRUE(uf_scene_set(&scene));
		UF_CHILD_STEP(&child);
		ASSERT_TRUE(uf_scene_end(&scene));
		UF_CHILD_STEP(&child);
	});
	ASSERT_EQ(0, chmod(UFIBER_DEVICE, 0600));
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

/* After all of that the module can be unloaded, if nobody else uses it. */
TEST(unloads_afterwards)
{
	long ret;

	UF_BEGIN(&d);
	if (uf_refcnt() || !getenv("UFIBER_VM"))
		SKIP(return, "somebody else may use the module");
	ASSERT_TRUE(uf_scene_set(&scene));
	ASSERT_TRUE(uf_scene_end(&scene));
	UF_REFS_BACK();
	ret = uf_module_reload();
	ASSERT_EQ(0, ret) TH_LOG("reload: %s", strerror(-ret));
	ASSERT_TRUE(uf_scene_set(&scene));
	ASSERT_TRUE(uf_scene_end(&scene));
	UF_REFS_BACK();
}

/*
 * Nobody stands by any more: a block leaves the server VACANT, and the first who
 * comes for it takes it. The end of the last one comes in each way that there is.
 */
static long do_exit_thread(long *args)
{
	syscall(SYS_exit, 0);
	return -1;
}

static void exit_handler(int sig)
{
	do_exit_thread(NULL);
}

TEST(last_standby_gone)
{
	int way;

	UF_BEGIN(&d);
	signal(SIGUSR1, exit_handler);
	ASSERT_EQ(0, pipe(fa));
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	for (way = 0; way < 2; way++) {
		UF_SPAWN_WAITING(&d, &b, STANDBY);
		EXPECT_EQ(1, d.shared->nr_standby);
		switch (way) {
		case 0:		/* it ends */
			uf_signal(&b, SIGUSR1);
			pthread_join(b.pthread, NULL);
			break;
		case 1:		/* its wait is ended */
			ASSERT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
			ASSERT_DONE(-ECANCELED, &b);
			uf_join(&b);
			break;
		}
		EXPECT_EQ(0, d.shared->nr_standby);
		uf_post_read(&a, fa[0]);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
		UF_SPAWN_RUNNING(&d, &c);
		uf_join(&c);
		ASSERT_EQ(0, uf_put(fa[1]));
		ASSERT_DONE(1, &a);
		ASSERT_STATE(&a, RUNNING, 0);
	}
	uf_join(&a);
	uf_close(&d);
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

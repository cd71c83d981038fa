// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The IO calls, each with and without a deadline. */
#include "lib_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define LATER (uf_now() + 60000000000)
#define SOON (uf_now() + 1000000)

static char buf[256];

struct end {
	struct __test_metadata *metadata;
	int fd;
	int other;
};

static void *write_hello(void *arg)
{
	struct end *end = arg;
	struct __test_metadata *_metadata = end->metadata;

	EXPECT_EQ(5, uf_write(end->fd, "hello", 5));
	return NULL;
}

/* The reader is there first, and the writer runs because it parks. */
FIBER_TEST(pipe_parks, 1)
{
	struct end end = { .metadata = _metadata };
	struct uf_fiber *fiber;
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	end.fd = fds[1];
	CREATE(&fiber, write_hello, &end);
	ASSERT_EQ(5, uf_read(fds[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
	JOIN(fiber);

	CREATE(&fiber, write_hello, &end);
	ASSERT_EQ(5, uf_read_until(fds[0], buf, sizeof(buf), LATER));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
	JOIN(fiber);

	ASSERT_EQ(0, uf_close(fds[1]));
	EXPECT_EQ(0, uf_read(fds[0], buf, 1));
	EXPECT_EQ(0, uf_read_until(fds[0], buf, 1, LATER));
	ASSERT_EQ(0, uf_close_until(fds[0], LATER));
	EXPECT_EQ(-EBADF, uf_close(fds[0]));
}

/* Until the pipe is full; then a read makes room. */
static bool before_6_4(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	return major < 6 || (major == 6 && minor < 4);
}

FIBER_TEST(pipe_full, 1)
{
	static char big[1 << 20];
	char last = 0;
	int fds[2];
	ssize_t n;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, fcntl(fds[1], F_SETFL, O_NONBLOCK));
	ASSERT_LT(0, write(fds[1], big, sizeof(big)));
	ASSERT_EQ(0, fcntl(fds[1], F_SETFL, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_write_until(fds[1], "x", 1, SOON));
	EXPECT_EQ(-ETIMEDOUT, uf_write_until(fds[1], "x", 1, 0));
	n = uf_read(fds[0], big, 8192);
	EXPECT_EQ(8192, n);
	/* Before Linux 6.4 a worker does it, which may be too late for that. */
	n = uf_write_until(fds[1], "x", 1, 0);
	if (n == -ETIMEDOUT && before_6_4())
		n = uf_write(fds[1], "x", 1);
	EXPECT_EQ(1, n);
	ASSERT_EQ(0, uf_close(fds[1]));
	while ((n = uf_read(fds[0], big, sizeof(big))) > 0)
		last = big[n - 1];
	EXPECT_EQ(0, n);
	EXPECT_EQ('x', last);
}

FIBER_TEST(deadlines, 1)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint64_t deadline;
	int fds[2], sv[2], fd;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)));
	ASSERT_EQ(0, listen(fd, 1));

	deadline = SOON;
	EXPECT_EQ(-ETIMEDOUT, uf_read_until(fds[0], buf, 1, deadline));
	EXPECT_LE(deadline, uf_now());
	deadline = SOON;
	EXPECT_EQ(-ETIMEDOUT, uf_recv_until(sv[0], buf, 1, 0, deadline));
	EXPECT_LE(deadline, uf_now());
	deadline = SOON;
	EXPECT_EQ(-ETIMEDOUT, uf_accept_until(fd, NULL, NULL, 0, deadline));
	EXPECT_LE(deadline, uf_now());

	/* One that has passed: tried, but not waited for. */
	EXPECT_EQ(-ETIMEDOUT, uf_read_until(fds[0], buf, 1, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_recv_until(sv[0], buf, 1, 0, 0));
	EXPECT_EQ(-ETIMEDOUT, uf_accept_until(fd, NULL, NULL, 0, 0));
	/* (Not on a pipe: see the header.) */
	EXPECT_EQ(1, uf_write_until(sv[1], "a", 1, 0));
	EXPECT_EQ(1, uf_read_until(sv[0], buf, 2, 0));
	EXPECT_EQ(1, uf_send_until(sv[1], "b", 1, 0, 0));
	EXPECT_EQ(1, uf_recv_until(sv[0], buf, 2, 0, 0));

	/* Nothing that timed out has taken what came later. */
	EXPECT_EQ(1, uf_write(fds[1], "c", 1));
	EXPECT_EQ(1, uf_read(fds[0], buf, 1));
	EXPECT_EQ('c', buf[0]);
}

FIBER_TEST(file, 1)
{
	const char *path = "/tmp/ufiber-test-io";
	struct statx stx;
	int fd;

	fd = uf_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		       0600);
	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(10, uf_write(fd, "0123456789", 10));
	EXPECT_EQ(2, uf_pwrite(fd, "ab", 2, 4));
	EXPECT_EQ(2, uf_pwrite_until(fd, "yz", 2, 8, LATER));
	EXPECT_EQ(0, uf_fsync(fd));
	EXPECT_EQ(0, uf_fsync_until(fd, LATER));
	EXPECT_EQ(10, uf_pread(fd, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "0123ab67yz", 10));
	EXPECT_EQ(3, uf_pread_until(fd, buf, sizeof(buf), 7, LATER));
	EXPECT_EQ(0, memcmp(buf, "7yz", 3));
	EXPECT_EQ(0, uf_pread(fd, buf, sizeof(buf), 10));

	/* read() and write() move the file's position, the others do not. */
	EXPECT_EQ(0, uf_read(fd, buf, 1));
	EXPECT_EQ(2, lseek(fd, 2, SEEK_SET));
	EXPECT_EQ(1, uf_read(fd, buf, 1));
	EXPECT_EQ('2', buf[0]);
	EXPECT_EQ(1, uf_read_until(fd, buf, 1, LATER));
	EXPECT_EQ('3', buf[0]);
	EXPECT_EQ(1, uf_write_until(fd, "Q", 1, LATER));
	EXPECT_EQ(1, uf_pread(fd, buf, 1, 4));
	EXPECT_EQ('Q', buf[0]);

	EXPECT_EQ(0, uf_statx(AT_FDCWD, path, 0, STATX_SIZE, &stx));
	EXPECT_EQ(10, stx.stx_size);
	memset(&stx, 0, sizeof(stx));
	EXPECT_EQ(0, uf_statx_until(fd, "", AT_EMPTY_PATH, STATX_SIZE, &stx,
				    LATER));
	EXPECT_EQ(10, stx.stx_size);
	EXPECT_EQ(0, uf_close(fd));

	fd = uf_openat_until(AT_FDCWD, path, O_RDONLY, 0, LATER);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, uf_write(fd, "x", 1));
	EXPECT_EQ(0, uf_close(fd));
	unlink(path);
}

FIBER_TEST(errors, 1)
{
	struct statx stx;
	int fd, sv[2];

	EXPECT_EQ(-EBADF, uf_read(-1, buf, 1));
	EXPECT_EQ(-EBADF, uf_read_until(-1, buf, 1, LATER));
	EXPECT_EQ(-EBADF, uf_write(-1, buf, 1));
	EXPECT_EQ(-EBADF, uf_write_until(-1, buf, 1, 0));
	EXPECT_EQ(-EBADF, uf_pread(-1, buf, 1, 0));
	EXPECT_EQ(-EBADF, uf_pwrite(-1, buf, 1, 0));
	EXPECT_EQ(-EBADF, uf_recv(-1, buf, 1, 0));
	EXPECT_EQ(-EBADF, uf_send(-1, buf, 1, 0));
	EXPECT_EQ(-EBADF, uf_accept(-1, NULL, NULL, 0));
	EXPECT_EQ(-EBADF, uf_connect(-1, (void *)buf, 2));
	EXPECT_EQ(-EBADF, uf_close(-1));
	EXPECT_EQ(-EBADF, uf_fsync(-1));
	EXPECT_EQ(-ENOENT, uf_openat(AT_FDCWD, "/no/such", O_RDONLY, 0));
	EXPECT_EQ(-ENOENT, uf_statx(AT_FDCWD, "/no/such", 0, STATX_SIZE, &stx));

	fd = open("/dev/null", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, uf_pread(fd, buf, 1, -1));
	EXPECT_EQ(-EINVAL, uf_pwrite(fd, buf, 1, -1));
	EXPECT_EQ(-ENOTSOCK, uf_recv(fd, buf, 1, 0));
	EXPECT_EQ(-ENOTSOCK, uf_accept(fd, NULL, NULL, 0));

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	EXPECT_EQ(-EAGAIN, uf_recv(sv[0], buf, 1, MSG_DONTWAIT));
	ASSERT_EQ(0, uf_close(sv[1]));
	EXPECT_EQ(-EPIPE, uf_send(sv[0], buf, 1, 0));
}

/* It waits for what comes, as from any other. */
FIBER_TEST(nonblocking_descriptor, 1)
{
	struct end end = { .metadata = _metadata };
	struct uf_fiber *fiber;
	int fds[2];

	ASSERT_EQ(0, pipe2(fds, O_NONBLOCK));
	end.fd = fds[1];
	CREATE(&fiber, write_hello, &end);
	EXPECT_EQ(5, uf_read(fds[0], buf, sizeof(buf)));
	JOIN(fiber);
	EXPECT_EQ(-ETIMEDOUT, uf_read_until(fds[0], buf, 1, 0));

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	end.fd = fds[1];
	CREATE(&fiber, write_hello, &end);
	EXPECT_EQ(5, uf_recv(fds[0], buf, sizeof(buf), 0));
	JOIN(fiber);
}

TEST(outside)
{
	struct statx stx;

	EXPECT_EQ(-EPERM, uf_read(0, buf, 1));
	EXPECT_EQ(-EPERM, uf_read_until(0, buf, 1, 0));
	EXPECT_EQ(-EPERM, uf_write(1, buf, 0));
	EXPECT_EQ(-EPERM, uf_pread(0, buf, 1, 0));
	EXPECT_EQ(-EPERM, uf_pwrite(1, buf, 0, 0));
	EXPECT_EQ(-EPERM, uf_recv(0, buf, 1, 0));
	EXPECT_EQ(-EPERM, uf_send(1, buf, 0, 0));
	EXPECT_EQ(-EPERM, uf_accept(0, NULL, NULL, 0));
	EXPECT_EQ(-EPERM, uf_connect(0, NULL, 0));
	EXPECT_EQ(-EPERM, uf_openat(AT_FDCWD, "/", O_RDONLY, 0));
	EXPECT_EQ(-EPERM, uf_close(0));
	EXPECT_EQ(-EPERM, uf_fsync(0));
	EXPECT_EQ(-EPERM, uf_statx(AT_FDCWD, "/", 0, STATX_SIZE, &stx));
}

static void *echo_once(void *arg)
{
	struct end *end = arg;
	struct __test_metadata *_metadata = end->metadata;
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	char line[64];
	ssize_t n;
	int fd;

	fd = uf_accept_until(end->fd, (struct sockaddr *)&addr, &len,
			     SOCK_CLOEXEC, LATER);
	ASSERT_LE(0, fd);
	EXPECT_EQ(sizeof(addr), len);
	EXPECT_EQ(AF_INET, addr.sin_family);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	while ((n = uf_recv(fd, line, sizeof(line), 0)) > 0)
		EXPECT_EQ(n, uf_send(fd, line, n, 0));
	EXPECT_EQ(0, n);
	EXPECT_EQ(0, uf_close(fd));
	return NULL;
}

static void talk(struct __test_metadata *_metadata, int fd)
{
	char text[64];
	int i;

	for (i = 0; i < 50; i++) {
		int n = snprintf(text, sizeof(text), "line %d", i);

		ASSERT_EQ(n, uf_send_until(fd, text, n, 0, LATER));
		ASSERT_EQ(n, uf_recv_until(fd, buf, sizeof(buf), 0, LATER));
		ASSERT_EQ(0, memcmp(buf, text, n));
	}
}

FIBER_TEST(tcp, 2)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct end end = { .metadata = _metadata };
	socklen_t len = sizeof(addr);
	struct uf_fiber *fiber;
	int fd;

	end.fd = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(0, bind(end.fd, (struct sockaddr *)&addr, len));
	ASSERT_EQ(0, listen(end.fd, 8));
	ASSERT_EQ(0, getsockname(end.fd, (struct sockaddr *)&addr, &len));

	CREATE(&fiber, echo_once, &end);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(0, uf_connect(fd, (struct sockaddr *)&addr, len));
	talk(_metadata, fd);
	ASSERT_EQ(0, uf_close(fd));
	JOIN(fiber);

	CREATE(&fiber, echo_once, &end);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(0, uf_connect_until(fd, (struct sockaddr *)&addr, len, LATER));
	talk(_metadata, fd);
	ASSERT_EQ(0, uf_close(fd));
	JOIN(fiber);

	/* Nobody listens any more. */
	ASSERT_EQ(0, uf_close(end.fd));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(-ECONNREFUSED, uf_connect(fd, (struct sockaddr *)&addr, len));
}

#define READERS 2000

static void *pass_on(void *arg)
{
	struct end *end = arg;
	struct __test_metadata *_metadata = end->metadata;
	char c;

	ASSERT_EQ(1, uf_read(end->fd, &c, 1));
	ASSERT_EQ(1, uf_write(end->other, &c, 1));
	return NULL;
}

/*
 * Many more requests in flight than a ring has entries, in both directions: all
 * readers of one pipe wait, then all are served at once.
 */
FIBER_TEST(more_than_the_ring, 2)
{
	static struct uf_fiber *fiber[READERS];
	struct end end = { .metadata = _metadata };
	int in[2], out[2];
	static char many[READERS];
	ssize_t n, sum = 0;
	int i;

	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	end.fd = in[0];
	end.other = out[1];
	for (i = 0; i < READERS; i++)
		CREATE(&fiber[i], pass_on, &end);
	uf_sleep(1000000);
	ASSERT_EQ(READERS, uf_write(in[1], many, READERS));
	while (sum < READERS) {
		n = uf_read(out[0], many, READERS);
		ASSERT_LT(0, n);
		sum += n;
	}
	for (i = 0; i < READERS; i++)
		JOIN(fiber[i]);
}

static void *time_out(void *arg)
{
	struct end *end = arg;
	struct __test_metadata *_metadata = end->metadata;
	int i;
	char c;

	for (i = 0; i < 100; i++) {
		ssize_t n = uf_read_until(end->fd, &c, 1, uf_now() + i * 200);

		if (n == -ETIMEDOUT)
			continue;
		ASSERT_EQ(1, n);
		ASSERT_EQ(1, uf_write(end->other, &c, 1));
	}
	return NULL;
}

/*
 * In a time namespace our clock is not the machine's, which io_uring goes by: a
 * deadline is by ours, and comes neither in a day nor at once.
 */
static void *time_out_in_namespace(void *arg)
{
	struct __test_metadata *_metadata = arg;
	uint64_t deadline = uf_now() + 20000000;
	int fds[2];

	EXPECT_EQ(0, pipe(fds));
	EXPECT_EQ(-ETIMEDOUT, uf_read_until(fds[0], buf, 1, deadline));
	EXPECT_LE(deadline, uf_now());
	EXPECT_EQ(-ETIMEDOUT, uf_read_until(fds[0], buf, 1, uf_now()));
	EXPECT_EQ(-ETIMEDOUT, uf_read_until(fds[0], buf, 1, 0));
	EXPECT_EQ(1, uf_write_until(fds[1], "x", 1, LATER));
	EXPECT_EQ(1, uf_read_until(fds[0], buf, 1, LATER));
	return NULL;
}

static void in_time_namespace(struct __test_metadata *_metadata, int64_t seconds)
{
	struct uf_config config = UF_CONFIG_INIT;
	char offset[64];
	int fd, status;
	pid_t pid;

	lib_test_need_runtime();
	if (unshare(CLONE_NEWTIME))
		SKIP(return, "cannot make a time namespace: %s",
			   strerror(errno));
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	snprintf(offset, sizeof(offset), "monotonic %lld 0\n",
		 (long long)seconds);
	ASSERT_EQ((ssize_t)strlen(offset), write(fd, offset, strlen(offset)));
	close(fd);
	pid = fork(); /* into it */
	ASSERT_LE(0, pid);
	if (!pid) {
		config.servers = 1;
		EXPECT_EQ(0, uf_run(&config, time_out_in_namespace, _metadata,
				    NULL));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST(deadlines_clock_ahead)
{
	in_time_namespace(_metadata, 100000);
}

TEST(deadlines_clock_behind)
{
	in_time_namespace(_metadata, -1 - (int64_t)(uf_now() / 2000000000));
}

/* A request that meets its deadline either has the byte or has not touched it. */
FIBER_TEST(deadlines_race_data, 2)
{
	struct end end = { .metadata = _metadata };
	struct uf_fiber *fiber[8];
	int in[2], out[2];
	unsigned int i;
	ssize_t n;
	int sum = 0;

	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	end.fd = in[0];
	end.other = out[1];
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		CREATE(&fiber[i], time_out, &end);
	for (i = 0; i < 500; i++) {
		ASSERT_EQ(1, uf_write(in[1], "x", 1));
		uf_yield();
	}
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		JOIN(fiber[i]);
	ASSERT_EQ(0, uf_close(in[1]));
	ASSERT_EQ(0, uf_close(out[1]));
	while ((n = uf_read(in[0], buf, sizeof(buf))) > 0)
		sum += n;
	while ((n = uf_read(out[0], buf, sizeof(buf))) > 0)
		sum += n;
	EXPECT_EQ(500, sum);
}

TEST_HARNESS_MAIN

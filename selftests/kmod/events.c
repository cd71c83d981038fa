// SPDX-License-Identifier: GPL-2.0
/*
 * To be told of events: poll() on the domain's descriptor, an eventfd, and
 * io_uring, by a poll request or the module's own command.
 */
#include "uf_test.h"
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_HELD		UFIBER_QUERY_HELD

static struct uf_dom d;
static struct uf_thread a, b, watcher;
static struct io_uring ring;
static int fds[2];

/* One server, held by a; each ACQUIRE of b is an event, and is then cancelled. */
#define BEGIN()								\
	do {								\
		UF_OPEN(&d, 1, 4);					\
		UF_SPAWN_RUNNING(&d, &a);				\
		UF_SPAWN(&d, &b);					\
	} while (0)

#define MAKE_EVENT()							\
	do {								\
		uf_post_wait(&b, ACQUIRE, 0, 0);			\
		ASSERT_STATE(&b, RUNNABLE, Q_WAITING);			\
		ASSERT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));		\
		ASSERT_DONE(-ECANCELED, &b);				\
	} while (0)

#define BEGIN_RING()							\
	do {								\
		struct io_uring_params _p = { .flags = IORING_SETUP_COOP_TASKRUN }; \
		int _ret = io_uring_queue_init_params(256, &ring, &_p);	\
									\
		if (_ret == -ENOSYS || _ret == -EPERM)			\
			SKIP(return, "io_uring: %s", strerror(-_ret));	\
		ASSERT_EQ(0, _ret);					\
	} while (0)

static short revents(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

/* ------------------------------------------------------------------- poll() */

TEST(poll_tells)
{
	int i;

	BEGIN();
	EXPECT_EQ(0, revents(d.fd));
	for (i = 0; i < 3; i++) {
		MAKE_EVENT();
		EXPECT_EQ(POLLIN, revents(d.fd) & (POLLIN | POLLERR | POLLHUP));
		MAKE_EVENT();
		EXPECT_EQ(POLLIN, revents(d.fd) & (POLLIN | POLLERR | POLLHUP));
		ASSERT_EVENT(&b, WOKEN, UFIBER_NONE);
		EXPECT_EQ(POLLIN, revents(d.fd) & (POLLIN | POLLERR | POLLHUP));
		ASSERT_EVENT(&b, WOKEN, UFIBER_NONE);
		EXPECT_EQ(0, revents(d.fd));
	}
}

TEST(poll_wakes)
{
	static struct pollfd p;
	int i;

	BEGIN();
	ASSERT_EQ(0, uf_spawn_bare(&d, &watcher));
	for (i = 0; i < 20; i++) {
		p = (struct pollfd){ .fd = d.fd, .events = POLLIN };
		uf_order_syscall(&watcher, SYS_poll, (long)&p, 1L, -1L);
		if (i & 1)
			ASSERT_TRUE(uf_await_sleep(&watcher, SYS_poll));
		MAKE_EVENT();
		ASSERT_DONE(1, &watcher);
		EXPECT_EQ(POLLIN, p.revents);
		uf_forget_events(&d);
	}
}

/* Woken though it wrote nonsense into the ring's head, if that is not the tail. */
TEST(poll_and_scribbled_head)
{
	BEGIN();
	d.shared->ring_head = 12345;
	EXPECT_EQ(POLLIN, revents(d.fd) & POLLIN);
	uf_post_wait(&b, ACQUIRE, 0, 0);
	while (uf_state(&b) != UFIBER_THREAD_RUNNABLE)
		sched_yield();
	EXPECT_EQ(POLLIN, revents(d.fd) & POLLIN);
	d.shared->ring_head = d.shared->ring_tail;
	EXPECT_EQ(0, revents(d.fd));
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
}

TEST(epoll_edge)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data.u32 = 7 }, out;
	int ep = epoll_create1(EPOLL_CLOEXEC), i;

	BEGIN();
	ASSERT_LE(0, ep);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, d.fd, &e));
	EXPECT_EQ(0, epoll_wait(ep, &out, 1, 0));
	for (i = 0; i < 5; i++) {
		MAKE_EVENT();
		EXPECT_EQ(1, epoll_wait(ep, &out, 1, UF_BOUND * 1000));
		EXPECT_EQ(7, out.data.u32);
		EXPECT_EQ(0, epoll_wait(ep, &out, 1, 0));
	}
	close(ep);
}

TEST(poll_of_no_domain)
{
	struct uf_dom none;
	int status;
	pid_t pid;

	BEGIN();
	MAKE_EVENT();
	ASSERT_EQ(0, uf_open_fd(&none));
	EXPECT_EQ(POLLERR, revents(none.fd) & (POLLERR | POLLIN));
	close(none.fd);
	/* Of another process: it learns nothing. */
	pid = uf_fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit((revents(d.fd) & (POLLERR | POLLIN)) != POLLERR);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* ------------------------------------------------------------------ eventfd */

static bool is_readable(void *arg)
{
	return revents(*(int *)arg) & POLLIN;
}

/* It is readable in the end, and counts no more than there were. */
#define EXPECT_EVENTFD(fd, most)					\
	do {								\
		__u64 _n = 0;						\
									\
		ASSERT_TRUE(uf_await(&d, is_readable, &(fd), "an eventfd")); \
		ASSERT_EQ(sizeof(_n), read(fd, &_n, sizeof(_n)));	\
		EXPECT_LE(1, _n);					\
		EXPECT_GE(most, _n);					\
	} while (0)

TEST(eventfd_counts)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), again, i;

	BEGIN();
	MAKE_EVENT();
	ASSERT_EQ(0, uf_eventfd(&d, fd));
	EXPECT_EQ(0, revents(fd) & POLLIN);	/* of events to come */
	for (i = 0; i < 20; i++) {
		MAKE_EVENT();
		EXPECT_EVENTFD(fd, 1);
		uf_forget_events(&d);
	}
	/* The descriptor is not needed, what it stands for is. */
	again = dup(fd);
	close(fd);
	MAKE_EVENT();
	EXPECT_EVENTFD(again, 1);
	/* Set up anew, though the ring is full meanwhile. */
	for (i = 0; d.shared->ring_lost < 2; i++)
		MAKE_EVENT();
	ASSERT_EQ(0, uf_eventfd(&d, again));
	uf_forget_events(&d);
	MAKE_EVENT();
	EXPECT_EVENTFD(again, i + 1);
	close(again);
}

TEST(eventfd_replaced_and_removed)
{
	int one = eventfd(0, EFD_CLOEXEC), two = eventfd(0, EFD_CLOEXEC);

	BEGIN();
	ASSERT_EQ(0, uf_eventfd(&d, one));
	MAKE_EVENT();
	EXPECT_EVENTFD(one, 1);
	ASSERT_EQ(0, uf_eventfd(&d, two));
	MAKE_EVENT();
	EXPECT_EVENTFD(two, 1);
	EXPECT_EQ(0, revents(one) & POLLIN);
	ASSERT_EQ(0, uf_eventfd(&d, -1));
	ASSERT_EQ(0, uf_eventfd(&d, -1));
	MAKE_EVENT();
	/* Had it been told, another event's way would have been as long. */
	ASSERT_EQ(0, uf_eventfd(&d, one));
	MAKE_EVENT();
	EXPECT_EVENTFD(one, 1);
	EXPECT_EQ(0, revents(two) & POLLIN);
}

/* One that cannot count any further harms nobody. */
TEST(eventfd_full)
{
	const __u64 most = 0xfffffffffffffffeULL;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	__u64 n;

	BEGIN();
	ASSERT_EQ(sizeof(most), write(fd, &most, sizeof(most)));
	ASSERT_EQ(0, uf_eventfd(&d, fd));
	MAKE_EVENT();
	MAKE_EVENT();
	MAKE_EVENT();
	EXPECT_EQ(3, d.shared->ring_tail);
	ASSERT_EQ(sizeof(n), read(fd, &n, sizeof(n)));
	EXPECT_LE(most, n);
	uf_close(&d);
}

TEST(eventfd_errors)
{
	struct ufiber_eventfd e;
	int fd = eventfd(0, EFD_CLOEXEC);
	unsigned int i;

	BEGIN();
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, uf_eventfd(&d, fd));
	EXPECT_EQ(-EBADF, uf_eventfd(&d, -2));
	EXPECT_EQ(-EBADF, uf_eventfd(&d, 1000));
	EXPECT_EQ(-EBADF, uf_eventfd(&d, 0x7fffffff));
	EXPECT_EQ(-EINVAL, uf_eventfd(&d, fds[0]));
	EXPECT_EQ(-EINVAL, uf_eventfd(&d, d.fd));
	for (i = 0; i < 32; i++) {
		e = (struct ufiber_eventfd){ .size = sizeof(e), .flags = 1U << i, .fd = -1 };
		EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_EVENTFD, &e));
	}
	e = (struct ufiber_eventfd){ .size = sizeof(e), .fd = -1, .reserved = 1 };
	EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_EVENTFD, &e));
	/* The one before is still there. */
	MAKE_EVENT();
	EXPECT_EVENTFD(fd, 1);
}

/* ----------------------------------------------------------------- io_uring */

static bool has_completion(void *unused)
{
	return io_uring_cq_ready(&ring);
}

#define ASSERT_COMPLETION(data, result)					\
	do {								\
		struct io_uring_cqe *_cqe;				\
									\
		ASSERT_TRUE(uf_await(&d, has_completion, NULL, "a completion")); \
		ASSERT_EQ(0, io_uring_peek_cqe(&ring, &_cqe));		\
		EXPECT_EQ(data, io_uring_cqe_get_data64(_cqe));		\
		EXPECT_EQ(result, _cqe->res);				\
		io_uring_cqe_seen(&ring, _cqe);				\
	} while (0)

TEST(uring_poll)
{
	struct io_uring_sqe *sqe;
	int i;

	BEGIN();
	BEGIN_RING();
	for (i = 0; i < 10; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_poll_add(sqe, d.fd, POLLIN);
		io_uring_sqe_set_data64(sqe, i);
		ASSERT_EQ(1, io_uring_submit(&ring));
		EXPECT_EQ(0, io_uring_cq_ready(&ring));
		MAKE_EVENT();
		ASSERT_COMPLETION(i, POLLIN);
		uf_forget_events(&d);
	}
	io_uring_queue_exit(&ring);
}

/* Commands can be cancelled since 6.6; without that, this one is refused. */
static bool has_command(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	uname(&u);
	sscanf(u.release, "%d.%d", &major, &minor);
	return major > 6 || (major == 6 && minor >= 6);
}

/* Prepare the command; the rest of its data is @rest, but for its last byte 0. */
static void prep_command(int fd, __u32 op, __u32 tail, __u8 rest, __u64 data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	__u8 cmd[16] = { 0 };

	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, 0);
	sqe->cmd_op = op;
	memcpy(cmd, &tail, sizeof(tail));
	cmd[15] = rest;
	memcpy(&sqe->addr3, cmd, sizeof(cmd));
	io_uring_sqe_set_data64(sqe, data);
}

static int submit_command(int fd, __u32 op, __u32 tail, __u8 rest, __u64 data)
{
	prep_command(fd, op, tail, rest, data);
	return io_uring_submit(&ring);
}

#define BEGIN_COMMANDS()						\
	do {								\
		BEGIN();						\
		BEGIN_RING();						\
		if (!has_command())					\
			SKIP(return, "this kernel cannot cancel commands"); \
	} while (0)

TEST(command_refused)
{
	BEGIN();
	BEGIN_RING();
	if (has_command())
		SKIP(return, "this kernel can cancel commands");
	ASSERT_EQ(1, submit_command(d.fd, UFIBER_URING_WAIT, 0, 0, 1));
	ASSERT_COMPLETION(1, -EOPNOTSUPP);
}

TEST(command)
{
	__u32 tail;
	int i;

	BEGIN_COMMANDS();
	for (i = 0; i < 20; i++) {
		tail = d.shared->ring_tail;
		ASSERT_EQ(1, submit_command(d.fd, UFIBER_URING_WAIT, tail, 0, i));
		EXPECT_EQ(0, io_uring_cq_ready(&ring));
		MAKE_EVENT();
		ASSERT_COMPLETION(i, 0);
		/* The user does not know of this one yet. */
		ASSERT_EQ(1, submit_command(d.fd, UFIBER_URING_WAIT, tail, 0, 100 + i));
		ASSERT_COMPLETION(100 + i, 0);
		/* What stands in the memory is not what counts. */
		d.shared->ring_tail = tail;
		ASSERT_EQ(1, submit_command(d.fd, UFIBER_URING_WAIT, tail, 0, 200 + i));
		ASSERT_COMPLETION(200 + i, 0);
		d.shared->ring_tail = tail + 1;
		uf_forget_events(&d);
	}
	io_uring_queue_exit(&ring);
}

TEST(many_commands)
{
	bool seen[200] = { false };
	struct io_uring_cqe *cqe;
	int i;

	BEGIN_COMMANDS();
	for (i = 0; i < 200; i++)
		prep_command(d.fd, UFIBER_URING_WAIT, 0, 0, i);
	ASSERT_EQ(200, io_uring_submit(&ring));
	EXPECT_EQ(0, io_uring_cq_ready(&ring));
	MAKE_EVENT();
	for (i = 0; i < 200; i++) {
		ASSERT_TRUE(uf_await(&d, has_completion, NULL, "a completion"));
		ASSERT_EQ(0, io_uring_peek_cqe(&ring, &cqe));
		EXPECT_EQ(0, cqe->res);
		ASSERT_FALSE(seen[cqe->user_data]);
		seen[cqe->user_data] = true;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
}

TEST(command_errors)
{
	struct uf_dom none;
	int status;
	pid_t pid;

	BEGIN_COMMANDS();
	ASSERT_EQ(1, submit_command(d.fd, 0, 0, 0, 1));
	ASSERT_COMPLETION(1, -EINVAL);
	ASSERT_EQ(1, submit_command(d.fd, 2, 0, 0, 2));
	ASSERT_COMPLETION(2, -EINVAL);
	ASSERT_EQ(1, submit_command(d.fd, UFIBER_IOC_QUERY, 0, 0, 3));
	ASSERT_COMPLETION(3, -EINVAL);
	ASSERT_EQ(1, submit_command(d.fd, UFIBER_URING_WAIT, 0, 1, 4));
	ASSERT_COMPLETION(4, -EINVAL);
	ASSERT_EQ(0, uf_open_fd(&none));
	ASSERT_EQ(1, submit_command(none.fd, UFIBER_URING_WAIT, 0, 0, 5));
	ASSERT_COMPLETION(5, -EBADFD);
	close(none.fd);
	io_uring_queue_exit(&ring);
	pid = uf_fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct io_uring_cqe *cqe;

		if (io_uring_queue_init(8, &ring, 0) ||
		    submit_command(d.fd, UFIBER_URING_WAIT, 0, 0, 6) != 1 ||
		    io_uring_wait_cqe(&ring, &cqe))
			_exit(1);
		_exit(cqe->res == -EPERM ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/*
 * Not every kernel finds commands when a request is to be cancelled. Either it
 * does, and the command ends, or it says so, and the command goes on.
 */
TEST(command_cancelled)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int i, j, result, found;

	BEGIN_COMMANDS();
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(1, submit_command(d.fd, UFIBER_URING_WAIT, d.shared->ring_tail, 0, 1));
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_cancel64(sqe, 1, 0);
		io_uring_sqe_set_data64(sqe, 2);
		ASSERT_EQ(1, io_uring_submit(&ring));
		for (j = 0, found = 1; j < found; j++) {
			ASSERT_TRUE(uf_await(&d, has_completion, NULL, "a completion"));
			ASSERT_EQ(0, io_uring_peek_cqe(&ring, &cqe));
			result = cqe->res;
			if (cqe->user_data == 1) {
				EXPECT_EQ(-ECANCELED, result);
				found = 2;
			} else if (result != -ENOENT) {
				EXPECT_TRUE(result == 0 || result == -EALREADY);
				found = 2;
			}
			io_uring_cqe_seen(&ring, cqe);
		}
		MAKE_EVENT();
		if (found == 1)
			ASSERT_COMPLETION(1, 0);
		EXPECT_EQ(0, io_uring_cq_ready(&ring));
		uf_forget_events(&d);
	}
	io_uring_queue_exit(&ring);
}

/* Cancelled by the end of its ring; the domain does not notice. */
TEST(ring_closed)
{
	int i, j;

	BEGIN_COMMANDS();
	for (i = 0; i < 20; i++) {
		for (j = 0; j < 10; j++)
			prep_command(d.fd, UFIBER_URING_WAIT, d.shared->ring_tail, 0, j);
		ASSERT_EQ(10, io_uring_submit(&ring));
		io_uring_queue_exit(&ring);
		MAKE_EVENT();
		BEGIN_RING();
	}
	ASSERT_AGREES(&d);
}

/* Two processes' ends: with the command pending, by exit and by a kill. */
TEST(process_ends)
{
	long before = uf_refcnt();
	int i;

	for (i = 0; i < 6; i++) {
		int ready[2], status;
		pid_t pid;

		ASSERT_EQ(0, pipe(ready));
		pid = uf_fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (uf_open(&d, 1, 2) || io_uring_queue_init(8, &ring, 0) ||
			    submit_command(d.fd, UFIBER_URING_WAIT, 0, 0, 1) != 1)
				_exit(1);
			if (i & 1)
				close(d.fd);
			if (i & 2)
				_exit(0);
			uf_put(ready[1]);
			for (;;)
				pause();
		}
		close(ready[1]);
		if (uf_get(ready[0]) == 1)
			ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		if (WIFEXITED(status) && WEXITSTATUS(status) == 1 && !getenv("UFIBER_VM"))
			SKIP(return, "no " UFIBER_DEVICE ", or no io_uring");
		EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		close(ready[0]);
	}
	/* What was there before may be going, too. */
	while (uf_refcnt() > before)
		sched_yield();
}

/* The descriptor is closed: the command goes on as long as its ring. */
TEST(descriptor_closed)
{
	UF_OPEN_AS(&d, UFIBER_SETUP_WATCH, 1, 0, 4);
	BEGIN_RING();
	if (!has_command())
		SKIP(return, "this kernel cannot cancel commands");
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(1, submit_command(d.fd, UFIBER_URING_WAIT, 0, 0, 1));
	close(d.fd);
	EXPECT_EQ(0, io_uring_cq_ready(&ring));
	uf_post_read(&a, fds[0]);
	ASSERT_COMPLETION(1, 0);
	ASSERT_EVENT(&a, BLOCKED, 0);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	ASSERT_EVENT(&a, UNBLOCKED, 0);
	io_uring_queue_exit(&ring);
	munmap(d.map, d.setup.mmap_size);
}

/* Submit and event race, over and over: none is lost. */
TEST(command_races_with_event)
{
	int i;

	BEGIN_COMMANDS();
	for (i = 0; i < 1000; i++) {
		__u32 tail = d.shared->ring_tail;

		uf_post_wait(&b, ACQUIRE, 0, 0);
		if (i & 1)
			sched_yield();
		ASSERT_EQ(1, submit_command(d.fd, UFIBER_URING_WAIT, tail, 0, i));
		ASSERT_COMPLETION(i, 0);
		uf_forget_events(&d);
		ASSERT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
		ASSERT_DONE(-ECANCELED, &b);
	}
	io_uring_queue_exit(&ring);
}

/* ------------------------------------------- a scheduler that sleeps POLLING */

/* Order: declare the server free to take, sleep by args[1], and see. */
static long do_sleep_polling(long *args)
{
	__u32 *owner = (__u32 *)&d.servers[0].owner;
	long (*sleep_for_events)(void) = (void *)args[1], ret;

	if (!uf_begin_polling(owner))
		return -EINVAL;
	ret = sleep_for_events();
	if (!uf_end_polling(owner))
		return -EOWNERDEAD;
	return ret;
}

static long sleep_in_poll(void)
{
	struct pollfd p = { .fd = d.fd, .events = POLLIN };

	return syscall(SYS_poll, &p, 1, -1) == 1 && p.revents == POLLIN ? 0 : -EIO;
}

/* One call waits for IO and for threads; here, for threads. */
static long sleep_in_uring(void)
{
	struct io_uring_cqe *cqe;
	long ret;

	prep_command(d.fd, UFIBER_URING_WAIT, d.shared->ring_head, 0, 1);
	ret = io_uring_submit_and_wait(&ring, 1);
	if (ret != 1 || io_uring_peek_cqe(&ring, &cqe))
		return -EIO;
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return ret;
}

static void poller_is_woken(struct __test_metadata *_metadata, long (*how)(void), long nr)
{
	int i;

	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	for (i = 0; i < 20; i++) {
		/* The scheduler b sleeps; the worker a unblocks, and is run. */
		uf_order(&b, do_sleep_polling, 0L, (long)how);
		ASSERT_TRUE(uf_await_sleep(&b, nr));
		ASSERT_STATE(&b, RUNNING, 0);
		ASSERT_SERVER(&d, 0, POLLING, b.id);
		EXPECT_EQ(0, uf_put(fds[1]));
		ASSERT_STATE(&a, RUNNABLE, Q_HELD);
		ASSERT_DONE(0, &b);
		ASSERT_STATE(&b, RUNNING, 0);
		ASSERT_EVENT(&a, UNBLOCKED, UFIBER_NONE);
		uf_post_wait(&b, HANDOVER | STANDBY, a.id, 0);
		ASSERT_DONE(1, &a);
		uf_post_read(&a, fds[0]);
		ASSERT_DONE(0, &b);
		ASSERT_STATE(&a, BLOCKED, 0);
	}
	EXPECT_EQ(0, d.servers[0].takeovers);
}

TEST(poller_woken_by_poll)
{
	UF_OPEN_AS(&d, UFIBER_SETUP_USER_SCHED, 1, 0, 4);
	poller_is_woken(_metadata, sleep_in_poll, SYS_poll);
}

TEST(poller_woken_by_command)
{
	UF_OPEN_AS(&d, UFIBER_SETUP_USER_SCHED, 1, 0, 4);
	BEGIN_RING();
	if (!has_command())
		SKIP(return, "this kernel cannot cancel commands");
	poller_is_woken(_metadata, sleep_in_uring, SYS_io_uring_enter);
}

TEST_HARNESS_MAIN

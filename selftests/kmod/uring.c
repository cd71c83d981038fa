// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring beside servers that change hands. The completion of a request runs
 * on the thread that submitted it, as task work: whatever state that thread is
 * in, the work must get its turn, and leave the thread's state as it was.
 */
#include "uf_test.h"
#include <liburing.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD

#define N		100

static struct uf_dom d;
static struct uf_thread a, b;
static int fa[2], fb[2];
static struct io_uring ring;
static int events[N];
static __u64 values[N];
static unsigned int seen;		/* completions taken so far */

/* A ring as a server has one. */
static int open_ring(struct io_uring *r)
{
	struct io_uring_params p = { .flags = IORING_SETUP_COOP_TASKRUN };

	return io_uring_queue_init_params(256, r, &p);
}

#define BEGIN(servers)							\
	do {								\
		int _ret;						\
									\
		UF_OPEN(&d, servers, 4);				\
		ASSERT_EQ(0, pipe(fa));					\
		ASSERT_EQ(0, pipe(fb));					\
		_ret = open_ring(&ring);				\
		if (_ret == -ENOSYS || _ret == -EPERM)			\
			SKIP(return, "io_uring: %s", strerror(-_ret));	\
		ASSERT_EQ(0, _ret);					\
		for (_ret = 0; _ret < N; _ret++) {			\
			events[_ret] = eventfd(0, EFD_CLOEXEC);		\
			ASSERT_LE(0, events[_ret]);			\
		}							\
	} while (0)

/* Order: submit a read of each of the first args[0] eventfds. */
static long do_submit(long *args)
{
	struct io_uring_sqe *sqe;
	long i;

	for (i = 0; i < args[0]; i++) {
		sqe = io_uring_get_sqe(&ring);
		if (!sqe)
			return -EBUSY;
		io_uring_prep_read(sqe, events[i], &values[i], sizeof(values[i]), 0);
		io_uring_sqe_set_data64(sqe, i);
	}
	return io_uring_submit(&ring);
}

/* Let the request end; anybody may. */
static long let_end(int i)
{
	__u64 one = 1;

	return write(events[i], &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static bool has_completion(void *unused)
{
	return io_uring_cq_ready(&ring);
}

/* Request i completes, with that result, without anybody entering the ring. */
#define ASSERT_COMPLETION(i, result)					\
	do {								\
		struct io_uring_cqe *_cqe;				\
									\
		ASSERT_TRUE(uf_await(&d, has_completion, NULL, "a completion")); \
		ASSERT_EQ(0, io_uring_peek_cqe(&ring, &_cqe));		\
		EXPECT_EQ(i, io_uring_cqe_get_data64(_cqe));		\
		EXPECT_EQ(result, _cqe->res);				\
		io_uring_cqe_seen(&ring, _cqe);				\
		seen++;							\
	} while (0)

/* --------------------------------------------------------------- RUNNING */

TEST(running)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, let_end(i));
		/* It spins in user mode, with a system call now and then. */
		ASSERT_COMPLETION(i, 8);
	}
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].blocks);
}

/* --------------------------------------------------------------- BLOCKED */

/*
 * The call is interrupted for the completion, and repeated. The thread stays
 * BLOCKED meanwhile, unless the repeating takes long (it is preempted, or the
 * machine is emulated): it then comes back like any other, and needs a server to
 * block again. How often is a matter of time; only always would be wrong.
 */

static bool is_back(void *unused)
{
	return uf_state(&a) == UFIBER_THREAD_RUNNABLE ||
	       (uf_state(&a) == UFIBER_THREAD_BLOCKED && uf_proc_syscall(a.tid) == SYS_read);
}

TEST(blocked_interruptibly)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_DONE(0, &b);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, let_end(i));
		ASSERT_COMPLETION(i, 8);
		ASSERT_TRUE(uf_await(&d, is_back, NULL, "the call to be repeated"));
		if (uf_state(&a) == UFIBER_THREAD_RUNNABLE) {
			ASSERT_EQ(0, uf_wait(&b, STANDBY, 0, 0));
		}
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
		ASSERT_BUSY(&a);
		ASSERT_STATE(&b, RUNNING, 0);
	}
	EXPECT_GT(N, d.threads[a.id].holds);
	EXPECT_EQ(1 + d.threads[a.id].holds, d.threads[a.id].blocks);
	EXPECT_EQ(0, d.servers[0].takeovers);
	/* Its call still works. */
	ASSERT_EQ(0, uf_put(fa[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* A server is free, yet the thread does not take it to go on sleeping. */
TEST(blocked_interruptibly_server_free)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, let_end(i));
		ASSERT_COMPLETION(i, 8);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	}
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	EXPECT_GT(N, d.servers[0].takeovers);
	EXPECT_EQ(1 + d.servers[0].takeovers, d.servers[0].blocks);
	ASSERT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* Calls that restart in other ways: by a restart block, or not by themselves. */
TEST(blocked_in_other_calls)
{
	static __u32 word;
	struct timespec ts = { .tv_sec = 3600 };
	struct pollfd pfd = { .fd = -1, .events = POLLIN };

	BEGIN(1);
	uf_catch(SIGUSR1, 0);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));

	uf_order_syscall(&a, SYS_futex, (long)&word, 0L, 0L, (long)&ts, 0L, 0L);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_EQ(0, let_end(0));
	ASSERT_COMPLETION(0, 8);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_BUSY(&a);
	/* It may be on its way back to sleep. */
	while (!syscall(SYS_futex, &word, 1, 1, NULL, NULL, 0))
		sched_yield();
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);

	pfd.fd = fa[0];
	uf_order_syscall(&a, SYS_poll, (long)&pfd, 1L, 3600000L);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_EQ(0, let_end(1));
	ASSERT_COMPLETION(1, 8);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_BUSY(&a);
	ASSERT_EQ(0, uf_put(fa[1]));
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);

	uf_order_syscall(&a, SYS_nanosleep, (long)&ts, 0L);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_EQ(0, let_end(2));
	ASSERT_COMPLETION(2, 8);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_BUSY(&a);
	uf_signal(&a, SIGUSR1);
	ASSERT_DONE(-EINTR, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/*
 * The completion itself makes the call ready, so that when it is repeated it
 * does not sleep again: here a read of an eventfd with a write linked to it, to
 * the pipe that the thread reads. The thread must not run without a server.
 */
static long do_submit_link(long *args)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_read(sqe, events[0], &values[0], sizeof(values[0]), 0);
	io_uring_sqe_set_data64(sqe, 0);
	sqe->flags |= IOSQE_IO_LINK;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, fa[1], "x", 1, 0);
	io_uring_sqe_set_data64(sqe, 1);
	return io_uring_submit(&ring);
}

/* Then it computes: no system call, no sleep, alone on its CPU if there are two. */
static atomic_uint computing, stop_computing;

static long do_read_and_compute(long *args)
{
	char byte;
	long ret = syscall(SYS_read, args[0], &byte, 1);

	atomic_store(&computing, 1);
	while (!atomic_load(&stop_computing))
		;
	return ret;
}

TEST(repeated_call_does_not_sleep)
{
	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	ASSERT_EQ(2, uf_call(&a, do_submit_link));
	uf_order(&a, do_read_and_compute, (long)fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_DONE(0, &b);
	/* @b keeps the server, and does not compete for a CPU. */
	d.threads[b.id].critical = 1;
	uf_post_read(&b, fb[0]);
	ASSERT_TRUE(uf_await_sleep(&b, SYS_read));
	ASSERT_EQ(0, let_end(0));
	ASSERT_COMPLETION(0, 8);
	ASSERT_COMPLETION(1, 1);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_EQ(0, uf_put(fb[1]));
	ASSERT_DONE(1, &b);
	d.threads[b.id].critical = 0;
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	atomic_store(&stop_computing, 1);
	ASSERT_DONE(1, &a);
	EXPECT_EQ(1, computing);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* A user-mode page fault is retried, like a call. */
TEST(blocked_in_a_fault)
{
	struct uf_fault f;
	long ret;
	int i;

	BEGIN(1);
	ret = uf_fault_begin(&f);
	if (ret == -EPERM || ret == -ENOSYS)
		SKIP(return, "userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	uf_order(&a, uf_do_touch, (long)f.page);
	ASSERT_EQ(0, uf_fault_await(&f));
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_DONE(0, &b);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, let_end(i));
		ASSERT_COMPLETION(i, 8);
		ASSERT_BUSY(&a);
		EXPECT_NE(UFIBER_THREAD_RUNNING, uf_state(&a));
		ASSERT_STATE(&b, RUNNING, 0);
	}
	ASSERT_EQ(0, uf_fault_end(&f, 'z'));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE('z', &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/*
 * A WAIT blocks in the fault of its argument, so there is work for it at the return
 * to user mode, and then sleeps RUNNABLE. io_uring breaks that sleep; but it goes
 * on, and ends by its deadline or a cancel, not only when there is a server.
 */
static long do_wait_arg(long *args)
{
	return uf_ioctl(args[0], UFIBER_IOC_WAIT, (void *)args[1]);
}

static void wait_after_a_fault(struct __test_metadata *_metadata, __u64 timeout)
{
	static union {
		struct ufiber_wait arg;
		char page[4096];
	} from __attribute__((aligned(4096)));
	struct uffdio_copy copy = { .src = (unsigned long)&from, .len = sizeof(from) };
	struct uf_fault f;
	long ret;

	BEGIN(1);
	ret = uf_fault_begin(&f);
	if (ret == -EPERM || ret == -ENOSYS)
		SKIP(return, "userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	copy.dst = (unsigned long)f.page;
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(1, uf_call(&a, do_submit, 1L));
	uf_order(&a, do_wait_arg, (long)d.fd, (long)f.page);
	ASSERT_EQ(0, uf_fault_await(&f));
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	from.arg = (struct ufiber_wait){
		.size = sizeof(from.arg),
		.flags = UFIBER_WAIT_ACQUIRE | (timeout ? UFIBER_WAIT_TIMEOUT : 0),
		.clock = timeout ? CLOCK_MONOTONIC : 0,
		.timeout = timeout ? uf_now() + timeout : 0,
	};
	ASSERT_EQ(0, ioctl(f.fd, UFFDIO_COPY, &copy));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	ASSERT_EQ(0, let_end(0));
	ASSERT_COMPLETION(0, 8);
	if (timeout) {
		ASSERT_DONE(-ETIMEDOUT, &a);
	} else {
		ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
		ASSERT_BUSY(&a);
		EXPECT_EQ(0, uf_wake(&a, UFIBER_WAKE_CANCEL));
		ASSERT_DONE(-ECANCELED, &a);
	}
	ASSERT_STATE(&a, IDLE, 0);
	ASSERT_STATE(&b, RUNNING, 0);
}

TEST(waits_after_a_fault_with_a_deadline)
{
	wait_after_a_fault(_metadata, 500000000);
}

TEST(waits_after_a_fault_and_is_cancelled)
{
	wait_after_a_fault(_metadata, 0);
}

static long do_vfork(long *args)
{
	long pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, NULL, NULL, 0);

	if (!pid) {
		char byte;

		syscall(SYS_read, args[0], &byte, 1);
		syscall(SYS_exit_group, 0);
	}
	return pid;
}

/* Uninterruptibly: the completion waits for the end of that. */
TEST(blocked_uninterruptibly)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	uf_order(&a, do_vfork, (long)fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'D'));
	ASSERT_DONE(0, &b);
	ASSERT_EQ(0, let_end(0));
	for (i = 0; i < 1000; i++) {
		ASSERT_FALSE(has_completion(NULL));
		ASSERT_EQ(UFIBER_THREAD_BLOCKED, uf_state(&a));
		ASSERT_EQ('D', uf_proc_state(getpid(), a.tid));
		sched_yield();
	}
	/* It ends; the completion does not wait for a server as well. */
	ASSERT_EQ(0, uf_put(fa[1]));
	ASSERT_COMPLETION(0, 8);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_BUSY(&a);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_LT(0, uf_finish(&a));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(a.ret, waitpid(a.ret, NULL, 0));
}

/* -------------------------------------------------------- RUNNABLE, IDLE */

TEST(runnable)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	ASSERT_EQ(0, uf_put(fa[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, let_end(i));
		ASSERT_COMPLETION(i, 8);
		ASSERT_BUSY(&a);
		ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	}
	EXPECT_EQ(1, d.threads[a.id].blocks);
	EXPECT_EQ(1, d.threads[a.id].holds);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* All at once: works that come in one batch with the hold's own. */
TEST(runnable_all_at_once)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	uf_post_read(&a, fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	/* Together with what ends the block, before it and after it. */
	for (i = 0; i < N / 2; i++)
		ASSERT_EQ(0, let_end(i));
	ASSERT_EQ(0, uf_put(fa[1]));
	for (; i < N; i++)
		ASSERT_EQ(0, let_end(i));
	for (i = 0; i < N; i++) {
		struct io_uring_cqe *cqe;

		ASSERT_TRUE(uf_await(&d, has_completion, NULL, "all completions"));
		ASSERT_EQ(0, io_uring_peek_cqe(&ring, &cqe));
		EXPECT_EQ(8, cqe->res);
		io_uring_cqe_seen(&ring, cqe);
	}
	/* Perhaps it was in the repeated call, and held a moment after that. */
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(idle)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, let_end(i));
		ASSERT_COMPLETION(i, 8);
		ASSERT_BUSY(&a);
		ASSERT_STATE(&a, IDLE, Q_WAITING);
	}
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(standby)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	/* It hands over, and stands by: the hand-over is not repeated. */
	uf_post_wait(&a, UFIBER_WAIT_HANDOVER | STANDBY, b.id, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, IDLE, Q_STANDBY);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, let_end(i));
		ASSERT_COMPLETION(i, 8);
		ASSERT_BUSY(&a);
		ASSERT_STATE(&a, IDLE, Q_STANDBY);
		ASSERT_STATE(&b, RUNNING, 0);
	}
	EXPECT_EQ(0, uf_unregister(&b));
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
}

/* --------------------------------------------------------------- POLLING */

/*
 * As an idle server sleeps, until there are args[1] completions, or one. 1 if it is
 * still ours afterwards, 0 if not.
 */
static long do_poll_ring(long *args)
{
	__u32 *owner = (__u32 *)args[0];

	if (!uf_begin_polling(owner))
		return -EINVAL;
	if (syscall(SYS_io_uring_enter, ring.ring_fd, 0, args[1] ?: 1,
		    IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	return uf_end_polling(owner);
}

TEST(poller_keeps_its_server)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	for (i = 0; i < N; i++) {
		uf_order(&a, do_poll_ring, (long)&d.servers[0].owner);
		if (!(i % 10)) {
			ASSERT_TRUE(uf_await_sleep(&a, SYS_io_uring_enter));
			ASSERT_SERVER(&d, 0, POLLING, a.id);
		}
		ASSERT_EQ(0, let_end(i));
		ASSERT_DONE(1, &a);
		ASSERT_COMPLETION(i, 8);
	}
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_SERVER(&d, 0, HELD, a.id);
	EXPECT_EQ(0, d.threads[a.id].blocks);
	EXPECT_EQ(1, d.servers[0].grants);
}

/* In the call others may take its server, but the kick does not; when it is back. */
TEST(kicked_while_it_polls)
{
	long ret;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	uf_order(&a, do_poll_ring, (long)&d.servers[0].owner, 2L);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_io_uring_enter));
	EXPECT_EQ(0, uf_kick(&a));
	/* It is awake for this one, and sleeps again. */
	ASSERT_EQ(0, let_end(0));
	ASSERT_TRUE(uf_await(&d, has_completion, NULL, "a completion"));
	ASSERT_TRUE(uf_await_sleep(&a, SYS_io_uring_enter));
	ASSERT_SERVER(&d, 0, POLLING, a.id);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, d.threads[a.id].preempts);
	ASSERT_EQ(0, let_end(1));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	EXPECT_EQ(1, d.threads[a.id].preempts);
	uf_post_wait(&b, 0, 0, 0);
	/* It may have declared the server its own again before it lost it. */
	ret = uf_finish(&a);
	ASSERT_TRUE(ret == 0 || ret == 1) TH_LOG("%ld", ret);
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(taken_polling_server)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_EQ(N, uf_call(&a, do_submit, (long)N));
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	UF_SPAWN_RUNNING(&d, &b);
	for (i = 0; i < 20; i++) {
		uf_post_read(&b, fb[0]);
		ASSERT_STATE(&b, BLOCKED, 0);
		EXPECT_EQ(0, uf_wake(&a, 0));
		ASSERT_DONE(0, &a);
		uf_order(&a, do_poll_ring, (long)&d.servers[0].owner);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_io_uring_enter));
		ASSERT_SERVER(&d, 0, POLLING, a.id);
		/* Taken in the kernel; the poller sleeps on. */
		ASSERT_EQ(0, uf_put(fb[1]));
		ASSERT_DONE(1, &b);
		ASSERT_STATE(&b, RUNNING, 0);
		ASSERT_SERVER(&d, 0, HELD, b.id);
		ASSERT_STATE(&a, IDLE, 0);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_io_uring_enter));
		ASSERT_BUSY(&a);
		/* It wakes for its completion, finds out, and parks. */
		ASSERT_EQ(0, let_end(i));
		ASSERT_DONE(0, &a);
		ASSERT_COMPLETION(i, 8);
		ASSERT_STATE(&a, IDLE, 0);
		uf_post_wait(&a, 0, 0, 0);
		ASSERT_STATE(&a, IDLE, Q_WAITING);
	}
	EXPECT_EQ(0, d.threads[a.id].blocks);
	EXPECT_EQ(0, d.threads[a.id].holds);
	EXPECT_EQ(20, d.servers[0].takeovers);
}

/* A poller is woken from elsewhere by a message to its ring. */
TEST(poller_is_woken_by_a_message)
{
	struct io_uring other;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;

	BEGIN(1);
	ASSERT_EQ(0, open_ring(&other));
	UF_SPAWN_RUNNING(&d, &a);
	uf_order(&a, do_poll_ring, (long)&d.servers[0].owner);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_io_uring_enter));
	ASSERT_SERVER(&d, 0, POLLING, a.id);
	sqe = io_uring_get_sqe(&other);
	ASSERT_NE(NULL, sqe);
	io_uring_prep_msg_ring(sqe, ring.ring_fd, 7, 1234, 0);
	ASSERT_EQ(1, io_uring_submit_and_wait(&other, 1));
	ASSERT_EQ(0, io_uring_peek_cqe(&other, &cqe));
	EXPECT_EQ(0, cqe->res);
	ASSERT_DONE(1, &a);
	ASSERT_COMPLETION(1234, 7);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].blocks);
}

/* ------------------------------------------------------ whose request it is */

/* One ring, two submitters: the completions of each need only that thread. */
TEST(two_submitters)
{
	BEGIN(2);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNING(&d, &b);
	ASSERT_EQ(1, uf_call(&a, do_submit, 1L));
	uf_order(&a, do_vfork, (long)fa[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'D'));
	/* The same ring, from another thread. */
	events[0] = events[1];
	ASSERT_EQ(1, uf_call(&b, do_submit, 1L));
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_EQ(0, let_end(0));
	ASSERT_COMPLETION(0, 8);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_EQ(0, uf_put(fa[1]));
	ASSERT_LT(0, uf_finish(&a));
}

/*
 * A thread that exits takes its requests with it: when their time comes they end
 * without having been done.
 */
static long do_exit_thread(long *args)
{
	syscall(SYS_exit, 0);
	return -1;
}

TEST(submitter_exits)
{
	int i;

	BEGIN(1);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	ASSERT_EQ(10, uf_call(&a, do_submit, 10L));
	uf_order(&a, do_exit_thread);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	pthread_join(a.pthread, NULL);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, let_end(i));
		ASSERT_COMPLETION(i, -ECANCELED);
	}
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_EQ(0, d.threads[b.id].blocks);
}

TEST_HARNESS_MAIN

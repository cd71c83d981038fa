// SPDX-License-Identifier: GPL-2.0
/* UFIBER_IOC_INTERRUPT: a blocked thread's call returns EINTR, without a signal. */
#include "uf_test.h"
#include <liburing.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD

static struct uf_dom d;
static struct uf_thread a, b;
static int fds[2];

#define BEGIN()								\
	do {								\
		UF_OPEN(&d, 1, 4);					\
		ASSERT_EQ(0, pipe(fds));				\
		UF_SPAWN_RUNNING(&d, &a);				\
	} while (0)

/*
 * It is BLOCKED and asleep in its call. One that is BLOCKED but not asleep, or
 * not yet, is told apart by EAGAIN; then again.
 */
static bool interrupt_cond(void *arg)
{
	return !uf_interrupt(arg);
}

#define INTERRUPT(t)							\
	do {								\
		ASSERT_STATE(t, BLOCKED, 0);				\
		ASSERT_TRUE(uf_await(&d, interrupt_cond, t, "INTERRUPT to succeed")); \
	} while (0)

/* ------------------------------------------------------------- calls, by kind */

static struct timespec hour = { .tv_sec = 3600 }, rem;
static __u32 word;
static struct pollfd pfd;
static struct epoll_event event;

/*
 * The call that was ordered is interrupted; and the next one is not. It must be
 * asleep in that: it may have blocked before, in a page fault after a fork.
 */
#define EXPECT_INTERRUPTED(call)					\
	do {								\
		ASSERT_TRUE(uf_await_sleep(&a, SYS_##call));		\
		ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));	\
		INTERRUPT(&a);						\
		EXPECT_EQ(-EINTR, uf_finish(&a)) TH_LOG(#call);		\
		ASSERT_STATE(&a, RUNNING, 0);				\
		uf_post_read(&a, fds[0]);				\
		ASSERT_STATE(&a, BLOCKED, 0);				\
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));		\
		ASSERT_BUSY(&a);					\
		ASSERT_EQ(0, uf_put(fds[1]));				\
		ASSERT_DONE(1, &a) TH_LOG("read after " #call);		\
	} while (0)

static void calls(struct __test_metadata *_metadata)
{
	static struct flock lock = { .l_type = F_WRLCK };
	char name[] = "/tmp/uf-interrupt-XXXXXX";
	int ep = epoll_create1(0), file = mkstemp(name), again = open(name, O_RDWR);
	int status;
	pid_t pid;

	BEGIN();
	ASSERT_LE(0, file);
	ASSERT_LE(0, again);
	unlink(name);
	uf_post_read(&a, fds[0]);
	EXPECT_INTERRUPTED(read);
	uf_order_syscall(&a, SYS_nanosleep, (long)&hour, (long)&rem);
	EXPECT_INTERRUPTED(nanosleep);
	EXPECT_LT(0, rem.tv_sec);
	uf_order_syscall(&a, SYS_clock_nanosleep, (long)CLOCK_MONOTONIC, 0L, (long)&hour, 0L);
	EXPECT_INTERRUPTED(clock_nanosleep);
	uf_order_syscall(&a, SYS_futex, (long)&word, 0L, 0L, 0L, 0L, 0L);
	EXPECT_INTERRUPTED(futex);
	uf_order_syscall(&a, SYS_futex, (long)&word, 0L, 0L, (long)&hour, 0L, 0L);
	EXPECT_INTERRUPTED(futex);
	uf_order_syscall(&a, SYS_poll, 0L, 0L, -1L);
	EXPECT_INTERRUPTED(poll);
	pfd = (struct pollfd){ .fd = fds[0], .events = POLLIN };
	uf_order_syscall(&a, SYS_poll, (long)&pfd, 1L, 3600000L);
	EXPECT_INTERRUPTED(poll);
	uf_order_syscall(&a, SYS_epoll_wait, (long)ep, (long)&event, 1L, -1L);
	EXPECT_INTERRUPTED(epoll_wait);
	uf_order_syscall(&a, SYS_pause);
	EXPECT_INTERRUPTED(pause);

	ASSERT_EQ(0, flock(file, LOCK_EX));
	uf_order_syscall(&a, SYS_flock, (long)again, (long)LOCK_EX);
	EXPECT_INTERRUPTED(flock);
	ASSERT_EQ(0, flock(file, LOCK_UN));
	EXPECT_EQ(0, flock(again, LOCK_EX | LOCK_NB));
	/* Locks of this kind are of open files, so one process is enough. */
	ASSERT_EQ(0, fcntl(file, F_OFD_SETLK, &lock));
	uf_order_syscall(&a, SYS_fcntl, (long)again, (long)F_OFD_SETLKW, (long)&lock);
	EXPECT_INTERRUPTED(fcntl);

	pid = uf_fork();
	ASSERT_LE(0, pid);
	if (!pid)
		for (;;)
			pause();
	uf_order_syscall(&a, SYS_wait4, (long)pid, 0L, 0L, 0L);
	EXPECT_INTERRUPTED(wait4);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	close(file);
	close(again);
	close(ep);
}

TEST(each_call)
{
	calls(_metadata);
}

/* That handlers restart their calls makes no difference: there is no handler. */
TEST(each_call_with_restart)
{
	int sig;

	for (sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD && sig != SIGALRM)
			uf_catch(sig, SA_RESTART);
	calls(_metadata);
	EXPECT_EQ(0, a.handling);
}

TEST(each_call_signals_blocked)
{
	sigset_t all;

	sigfillset(&all);
	/* The threads inherit it. */
	sigprocmask(SIG_BLOCK, &all, NULL);
	calls(_metadata);
}

/* What the call has already, it returns. */
TEST(part_of_the_data)
{
	static char buf[16];
	int s[2];

	BEGIN();
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	ASSERT_EQ(5, write(s[1], "hello", 5));
	uf_order_syscall(&a, SYS_recvfrom, (long)s[0], (long)buf, 10L, (long)MSG_WAITALL, 0L, 0L);
	INTERRUPT(&a);
	ASSERT_DONE(5, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
}

/* ------------------------------------------------------------- no server free */

TEST(then_held)
{
	BEGIN();
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_post_read(&a, fds[0]);
	ASSERT_DONE(0, &b);
	INTERRUPT(&a);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	EXPECT_EQ(-EAGAIN, uf_interrupt(&a));
	ASSERT_BUSY(&a);
	/* Data that comes now is for the next call. */
	EXPECT_EQ(0, uf_put(fds[1]));
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_DONE(-EINTR, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	uf_post_read(&a, fds[0]);
	ASSERT_DONE(1, &a);
}

/* The next call is repeated after a handler, as if nothing had been. */
TEST(then_a_signal)
{
	unsigned int i, handled;

	uf_catch(SIGUSR1, SA_RESTART);
	BEGIN();
	for (i = 0; i < 20; i++) {
		uf_post_read(&a, fds[0]);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
		/* It ends by this, or by itself at the same time. */
		if (i & 1)
			EXPECT_EQ(0, uf_put(fds[1]));
		(void)uf_interrupt(&a);
		if (uf_finish(&a) != 1) {
			EXPECT_EQ(-EINTR, a.ret);
			if (i & 1)
				EXPECT_EQ(1, uf_get(fds[0]));
		}
		uf_post_read(&a, fds[0]);
		ASSERT_STATE(&a, BLOCKED, 0);
		handled = atomic_load(&a.handled);
		uf_signal(&a, SIGUSR1);
		ASSERT_TRUE(uf_await_count(&a, &a.handled, handled + 1));
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_BUSY(&a);
		EXPECT_EQ(0, uf_put(fds[1]));
		ASSERT_DONE(1, &a);
	}
}

TEST(user_sched)
{
	UF_OPEN_AS(&d, UFIBER_SETUP_USER_SCHED, 1, 0, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_post_read(&a, fds[0]);
	ASSERT_DONE(0, &b);
	INTERRUPT(&a);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_EVENT(&a, UNBLOCKED, UFIBER_NONE);
	uf_post_wait(&b, UFIBER_WAIT_HANDOVER | STANDBY, a.id, 0);
	ASSERT_DONE(-EINTR, &a);
}

/* ------------------------------------------------------- what it cannot end */

/* A page fault is begun again. */
TEST(fault)
{
	struct uf_fault f;
	long ret;
	int i;

	BEGIN();
	ret = uf_fault_begin(&f);
	if (ret == -EPERM || ret == -ENOSYS)
		SKIP(return, "userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	uf_order(&a, uf_do_touch, (long)f.page);
	ASSERT_EQ(0, uf_fault_await(&f));
	for (i = 0; i < 20; i++) {
		ASSERT_STATE(&a, BLOCKED, 0);
		ret = uf_interrupt(&a);
		EXPECT_TRUE(ret == 0 || ret == -EAGAIN);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_BUSY(&a);
	}
	ASSERT_EQ(0, uf_fault_end(&f, 'x'));
	ASSERT_DONE('x', &a);
	ASSERT_STATE(&a, RUNNING, 0);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
}

/* Uninterruptible: in vfork() the parent sleeps until the child has ended. */
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

TEST(uninterruptible)
{
	long ret;
	int i;

	BEGIN();
	uf_order(&a, do_vfork, (long)fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'D'));
	for (i = 0; i < 10; i++) {
		ret = uf_interrupt(&a);
		EXPECT_TRUE(ret == 0 || ret == -EAGAIN);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_BUSY(&a);
	}
	EXPECT_EQ(0, uf_put(fds[1]));
	EXPECT_LT(0, uf_finish(&a));
	EXPECT_EQ(a.ret, waitpid(a.ret, NULL, 0));
	/* It is forgotten by then. */
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	ASSERT_BUSY(&a);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
}

/*
 * A call that no signal ends, as the kernel repeats it whatever the handler: whose
 * callers do not expect EINTR, such as the lock of a mutex with priority
 * inheritance.
 */
TEST(never_eintr)
{
	static __u32 pi;
	long ret;
	int i;

	BEGIN();
	pi = syscall(SYS_gettid);
	uf_order_syscall(&a, SYS_futex, (long)&pi, (long)FUTEX_LOCK_PI, 0L, 0L, 0L, 0L);
	ASSERT_STATE(&a, BLOCKED, 0);
	for (i = 0; i < 10; i++) {
		ASSERT_TRUE(uf_await_sleep(&a, SYS_futex));
		ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));
		ret = uf_interrupt(&a);
		EXPECT_TRUE(ret == 0 || ret == -EAGAIN);
	}
	ASSERT_TRUE(uf_await_sleep(&a, SYS_futex));
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_BUSY(&a);
	ASSERT_EQ(0, syscall(SYS_futex, &pi, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	ASSERT_DONE(0, &a);
	EXPECT_EQ(a.tid, (pid_t)(pi & FUTEX_TID_MASK));
}

static struct io_uring ring;

static long do_enter(long *args)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	static char byte;

	io_uring_prep_read(sqe, args[0], &byte, 1, 0);
	return io_uring_submit_and_wait(&ring, 1);
}

TEST(io_uring)
{
	struct io_uring_cqe *cqe;
	long ret;
	int i;

	BEGIN();
	ret = io_uring_queue_init(8, &ring, IORING_SETUP_COOP_TASKRUN);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "io_uring: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	uf_order(&a, do_enter, (long)fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	for (i = 0; i < 10; i++) {
		ret = uf_interrupt(&a);
		EXPECT_TRUE(ret == 0 || ret == -EAGAIN);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_io_uring_enter));
		ASSERT_BUSY(&a);
	}
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	ASSERT_EQ(0, io_uring_peek_cqe(&ring, &cqe));
	EXPECT_EQ(1, cqe->res);
	ASSERT_STATE(&a, RUNNING, 0);
	io_uring_queue_exit(&ring);
}

/* Not the block before, nor one to come. */
TEST(that_block_alone)
{
	struct ufiber_interrupt t = { .size = sizeof(t), .flags = UFIBER_INTERRUPT_BLOCK };
	__u64 blocks;

	BEGIN();
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	blocks = d.threads[a.id].blocks;
	t.thread = a.id;
	t.block = blocks - 1;
	EXPECT_EQ(-EAGAIN, uf_ioctl(d.fd, UFIBER_IOC_INTERRUPT, &t));
	t.block = blocks + 1;
	EXPECT_EQ(-EAGAIN, uf_ioctl(d.fd, UFIBER_IOC_INTERRUPT, &t));
	ASSERT_BUSY(&a);
	t.block = blocks;
	EXPECT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_INTERRUPT, &t));
	ASSERT_DONE(-EINTR, &a);
}

/* ------------------------------------------------- calls of a signal handler */

static int fds2[2];
static atomic_long handler_read;	/* what its read() returned */

static void reading_handler(int sig)
{
	char byte;
	long ret = syscall(SYS_read, fds2[0], &byte, 1);

	atomic_store(&handler_read, ret < 0 ? -errno : ret);
}

static bool handler_has_read(void *unused)
{
	return atomic_load(&handler_read);
}

/* The handler runs without a server, and sleeps: what was meant for others passes it. */
#define BLOCK_IN_HANDLER()						\
	do {								\
		uf_signal(&a, SIGUSR1);					\
		ASSERT_STATE(&a, BLOCKED, 0);				\
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));		\
		ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));	\
	} while (0)

/* It gets its byte, and once there is a server for it goes on. */
#define END_HANDLER()							\
	do {								\
		EXPECT_EQ(0, atomic_load(&handler_read));		\
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));		\
		ASSERT_EQ(0, uf_put(fds2[1]));				\
		EXPECT_EQ(0, uf_unregister(&b));			\
		ASSERT_TRUE(uf_await(&d, handler_has_read, NULL, "the handler's read()")); \
		EXPECT_EQ(1, atomic_load(&handler_read));		\
	} while (0)

TEST(that_block_not_a_handlers)
{
	struct ufiber_interrupt t = { .size = sizeof(t), .flags = UFIBER_INTERRUPT_BLOCK };
	struct sigaction sa = { .sa_handler = reading_handler };

	BEGIN();
	ASSERT_EQ(0, pipe(fds2));
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	t.thread = a.id;
	t.block = d.threads[a.id].blocks;
	UF_SPAWN_RUNNING(&d, &b);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	BLOCK_IN_HANDLER();
	EXPECT_EQ(t.block, d.threads[a.id].blocks);
	EXPECT_EQ(-EAGAIN, uf_ioctl(d.fd, UFIBER_IOC_INTERRUPT, &t));
	END_HANDLER();
	ASSERT_DONE(1, &a);
	/* The next block is counted again. */
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));
	t.block = d.threads[a.id].blocks;
	EXPECT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_INTERRUPT, &t));
	ASSERT_DONE(-EINTR, &a);
}

static bool has_completion(void *unused)
{
	return io_uring_cq_ready(&ring);
}

static long do_poll_add(long *args)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_poll_add(sqe, args[0], POLLIN);
	return io_uring_submit(&ring);
}

static bool reads_or_is_held(void *unused)
{
	return uf_proc_syscall(a.tid) == SYS_read || uf_flags(&a) == Q_HELD;
}

/*
 * INTERRUPT comes while a WAIT faults in its argument, and that goes on: it is
 * forgotten, and does not end the call of a handler that runs within the WAIT.
 */
TEST(forgotten_by_a_wait)
{
	static union {
		struct ufiber_wait arg;
		char page[4096];
	} from __attribute__((aligned(4096))) = { .arg.size = sizeof(from.arg) };
	struct uffdio_copy copy = { .src = (unsigned long)&from, .len = sizeof(from) };
	struct sigaction sa = { .sa_handler = reading_handler, .sa_flags = SA_RESTART };
	struct uf_fault f;
	int go[2];
	long ret;

	BEGIN();
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(fds2));
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ret = io_uring_queue_init(8, &ring, 0);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "io_uring: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	ret = uf_fault_begin(&f);
	if (ret == -EPERM || ret == -ENOSYS)
		SKIP(return, "userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	copy.dst = (unsigned long)f.page;
	ASSERT_EQ(1, uf_call(&a, do_poll_add, (long)go[0]));
	ASSERT_STATE(&a, RUNNING, 0);
	uf_order_wait(&a, f.page);
	ASSERT_EQ(0, uf_fault_await(&f));
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	ASSERT_TRUE(uf_await(&d, interrupt_cond, &a, "INTERRUPT to succeed"));
	ASSERT_EQ(0, ioctl(f.fd, UFFDIO_COPY, &copy));
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	BLOCK_IN_HANDLER();
	/* io_uring breaks the handler's call: it must be repeated. */
	ASSERT_EQ(0, uf_put(go[1]));
	ASSERT_TRUE(uf_await(&d, has_completion, NULL, "a completion"));
	/* It may be held for a server just before it is back in the call. */
	ASSERT_TRUE(uf_await(&d, reads_or_is_held, NULL, "the broken call"));
	if (uf_flags(&a) == Q_HELD) {
		uf_join(&b);
		ASSERT_STATE(&a, BLOCKED, 0);
		UF_SPAWN_RUNNING(&d, &b);
	}
	END_HANDLER();
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	io_uring_queue_exit(&ring);
}

/* ------------------------------------------------------------------- errors */

TEST(errors)
{
	struct ufiber_interrupt t;
	unsigned int i;

	BEGIN();
	EXPECT_EQ(-EAGAIN, uf_interrupt(&a));	/* RUNNING */
	d.threads[a.id].critical = 1;
	uf_post_read(&a, fds[0]);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	EXPECT_EQ(-EAGAIN, uf_interrupt(&a));	/* RUNNING, and asleep */
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	d.threads[a.id].critical = 0;
	UF_SPAWN(&d, &b);
	EXPECT_EQ(-EAGAIN, uf_interrupt(&b));	/* IDLE */
	uf_post_read(&b, fds[0]);
	ASSERT_TRUE(uf_await_sleep(&b, SYS_read));
	EXPECT_EQ(-EAGAIN, uf_interrupt(&b));	/* IDLE, and asleep */
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &b);
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	EXPECT_EQ(-EAGAIN, uf_interrupt(&b));	/* in WAIT */
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	EXPECT_EQ(-EAGAIN, uf_interrupt(&b));	/* RUNNABLE */
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_BUSY(&b);

	EXPECT_EQ(-ESRCH, uf_interrupt_id(&d, 3));
	EXPECT_EQ(-ESRCH, uf_interrupt_id(&d, 4));
	EXPECT_EQ(-ESRCH, uf_interrupt_id(&d, UFIBER_NONE));
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	for (i = 1; i < 32; i++) {
		t = (struct ufiber_interrupt){ .size = sizeof(t), .flags = 1U << i,
					       .thread = a.id };
		EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_INTERRUPT, &t));
	}
	t = (struct ufiber_interrupt){ .size = sizeof(t), .thread = a.id, .reserved = 1 };
	EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_INTERRUPT, &t));
	t = (struct ufiber_interrupt){ .size = sizeof(t), .thread = a.id, .block = 1 };
	EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_INTERRUPT, &t));
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	ASSERT_BUSY(&a);
}

/* --------------------------------------------------------------------- races */

/* Calls that are made while INTERRUPT is called at any moment. */
#define CALLS	1500

static atomic_ulong tried, returned, worked;	/* INTERRUPTs: begun, over, with 0 */
static atomic_ulong fed, eaten;			/* bytes written, and read */

struct storm {
	unsigned long interrupted;
	unsigned long strays[2];	/* of reads, of sleeps */
};

static struct storm storm;

/*
 * Order: make CALLS blocking calls. A stray EINTR is one of a call that no
 * INTERRUPT overlapped: at its end none has been begun but those that were over
 * before it.
 */
static long do_calls(long *args)
{
	struct timespec ts = { .tv_nsec = 20000 };
	unsigned char expect = 0, byte;
	unsigned long before, i;
	long ret;

	for (i = 0; i < CALLS; i++) {
		before = atomic_load(&returned);
		if (i % 2) {
			ret = syscall(SYS_nanosleep, &ts, NULL) ? -errno : 1;
		} else {
			ret = syscall(SYS_read, args[0], &byte, 1);
			ret = ret < 0 ? -errno : ret;
			if (ret == 1 && byte != expect++)
				return -EIO;
			atomic_fetch_add(&eaten, ret == 1);
		}
		if (ret == -EINTR) {
			storm.interrupted++;
			storm.strays[i % 2] += atomic_load(&tried) == before;
		} else if (ret != 1) {
			return ret ? ret : -ENODATA;
		}
	}
	return 0;
}

/* One byte, if it waits for that or soon will. */
static void feed(void)
{
	unsigned char byte = atomic_load(&fed);

	if (atomic_load(&eaten) == atomic_load(&fed) && write(fds[1], &byte, 1) == 1)
		atomic_fetch_add(&fed, 1);
}

static long try_interrupt(void)
{
	long ret;

	atomic_fetch_add(&tried, 1);
	ret = uf_interrupt(&a);
	atomic_fetch_add(&returned, 1);
	if (!ret)
		atomic_fetch_add(&worked, 1);
	return ret;
}

TEST(race_with_the_end_of_the_call)
{
	unsigned int i, pause;
	__u64 end;

	BEGIN();
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	ASSERT_EQ(0, fcntl(fds[1], F_SETFL, O_NONBLOCK));
	uf_order(&a, do_calls, (long)fds[0]);
	end = uf_now() + UF_BOUND * 1000000000ULL;
	for (i = 0; !uf_is_done(&a); i++) {
		/* In one of four rounds, nobody is interrupted. */
		bool calm = i / 64 % 4 == 3;
		long ret = -EAGAIN;

		if (i & 1)
			feed();
		for (pause = i % 61 * 20; pause; pause--)
			__asm__ volatile("pause");
		if (!calm)
			ret = try_interrupt();
		ASSERT_TRUE(ret == 0 || ret == -EAGAIN);
		feed();
		if (uf_is_done(&b))
			uf_post_wait(&b, STANDBY, 0, 0);
		ASSERT_GT(end, uf_now());
	}
	ASSERT_DONE(0, &a);
	TH_LOG("%lu of %lu INTERRUPTs, %lu of %u calls interrupted", worked, tried,
	       storm.interrupted, CALLS);
	EXPECT_EQ(0, storm.strays[0]);
	EXPECT_EQ(0, storm.strays[1]);
	EXPECT_LT(0, storm.interrupted);
	EXPECT_GE(atomic_load(&worked), storm.interrupted);
	/* And when all is quiet, none comes late. */
	if (!uf_is_done(&b))
		EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
	(void)uf_finish(&b);
	EXPECT_EQ(0, uf_unregister(&b));
	ASSERT_EQ(0, fcntl(fds[0], F_SETFL, O_NONBLOCK));
	while (uf_get(fds[0]) == 1)
		;
	ASSERT_EQ(0, fcntl(fds[0], F_SETFL, 0));
	for (i = 0; i < 20; i++) {
		uf_post_read(&a, fds[0]);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_EQ(0, uf_put(fds[1]));
		ASSERT_DONE(1, &a);
	}
}

/* With signals at the same time, whose handlers restart what they interrupt. */
TEST(race_with_signals)
{
	unsigned int i;
	__u64 end;

	uf_catch(SIGUSR1, SA_RESTART);
	BEGIN();
	ASSERT_EQ(0, fcntl(fds[1], F_SETFL, O_NONBLOCK));
	uf_order(&a, do_calls, (long)fds[0]);
	end = uf_now() + UF_BOUND * 1000000000ULL;
	for (i = 0; !uf_is_done(&a); i++) {
		feed();
		if (i % 3)
			uf_signal(&a, SIGUSR1);
		if (i % 3 != 1)
			try_interrupt();
		if (i % 5 == 0)
			sched_yield();
		ASSERT_GT(end, uf_now());
	}
	ASSERT_DONE(0, &a);
	/* A handler ends a sleep, restarting or not; but no read. */
	EXPECT_EQ(0, storm.strays[0]);
	EXPECT_LT(0, a.handled);
	EXPECT_LT(0, storm.interrupted);
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST_HARNESS_MAIN

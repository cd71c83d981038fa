// SPDX-License-Identifier: GPL-2.0
/* UFIBER_IOC_KICK: a thread that runs is made to give up its server. */
#include "uf_test.h"
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define ACQUIRE		UFIBER_WAIT_ACQUIRE
#define YIELD		UFIBER_WAIT_YIELD
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD
#define Q_KICKED	UFIBER_QUERY_KICKED

static struct uf_dom d;
static struct uf_thread a, b, c;
static int fds[2];

/* Order: get a server, then compute. */
static long do_acquire_spin(long *args)
{
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = ACQUIRE };
	long ret = uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait);

	return ret < 0 ? ret : uf_do_spin(args);
}

/* Start a thread that is RUNNABLE, and computes once it has a server. */
#define SPAWN_RUNNABLE_SPIN(t)						\
	do {								\
		UF_SPAWN(&d, t);					\
		uf_order(t, do_acquire_spin, (long)d.fd);		\
		ASSERT_STATE(t, RUNNABLE, Q_WAITING);			\
	} while (0)

#define STOP(t)								\
	do {								\
		atomic_store(&(t)->stop, 1);				\
		ASSERT_DONE(0, t);					\
	} while (0)

/* ----------------------------------------------------- a thread computes */

TEST(to_a_runnable)
{
	unsigned long turns;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	UF_SPIN(&a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));
	turns = atomic_load(&a.turns);
	EXPECT_EQ(1, d.shared->nr_runnable);
	EXPECT_EQ(1, d.threads[a.id].preempts);
	EXPECT_EQ(0, d.threads[a.id].blocks);
	EXPECT_EQ(0, d.threads[a.id].holds);
	EXPECT_EQ(0, d.threads[a.id].kicked);
	EXPECT_EQ(0, d.threads[b.id].preempts);
	EXPECT_EQ(1, d.servers[0].preempts);
	EXPECT_EQ(0, d.servers[0].blocks);
	EXPECT_EQ(0, d.servers[0].handoffs);
	EXPECT_EQ(2, d.servers[0].grants);
	/* Once it has a server again, it goes on where it was. */
	EXPECT_EQ(turns, atomic_load(&a.turns));
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_TRUE(uf_await_turns(&a));
	ASSERT_BUSY(&a);
	STOP(&a);
	EXPECT_EQ(1, d.threads[a.id].preempts);
}

TEST(to_a_standby)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	EXPECT_EQ(1, d.servers[0].preempts);
	/* It offers the server, as between two fibers. */
	uf_post_wait(&b, STANDBY, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_TRUE(uf_await_turns(&a));
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	STOP(&a);
}

/* It keeps its server, and that is all: who comes later gets nothing by it. */
TEST(nobody_waits)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_STATE(&a, RUNNING, 0);	/* no longer KICKED */
	ASSERT_TRUE(uf_await_turns(&a));
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	ASSERT_TRUE(uf_await_cpu(&a, 20000000));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, IDLE, Q_WAITING);
	ASSERT_STATE(&c, IDLE, Q_STANDBY);
	EXPECT_EQ(0, d.threads[a.id].preempts);
	EXPECT_EQ(0, d.servers[0].preempts);
	EXPECT_EQ(1, d.servers[0].grants);
	STOP(&a);
}

/* One of several servers; the other's holder is left alone. */
TEST(the_other_goes_on)
{
	UF_OPEN(&d, 2, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNING(&d, &b);
	UF_SPAWN_RUNNABLE(&d, &c);
	UF_SPIN(&a);
	UF_SPIN(&b);
	EXPECT_EQ(0, uf_kick(&b));
	ASSERT_STATE(&c, RUNNING, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_HELD);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].preempts);
	EXPECT_EQ(0, d.servers[uf_server(&a)].preempts);
	EXPECT_EQ(1, d.servers[uf_server(&c)].preempts);
	STOP(&a);
	/* It takes whichever server is free first. */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&b, RUNNING, 0);
	STOP(&b);
}

/* Behind all others that are RUNNABLE. */
TEST(tail)
{
	struct uf_thread *order[] = { &a, &b, &c };
	int i;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	SPAWN_RUNNABLE_SPIN(&b);
	SPAWN_RUNNABLE_SPIN(&c);
	UF_SPIN(&a);
	for (i = 0; i < 150; i++) {
		struct uf_thread *now = order[i % 3], *next = order[(i + 1) % 3];

		ASSERT_EQ(0, uf_kick(now));
		ASSERT_STATE(next, RUNNING, 0);
		ASSERT_TRUE(uf_await_turns(next));
		ASSERT_STATE(now, RUNNABLE, Q_HELD);
		ASSERT_STATE(order[(i + 2) % 3], RUNNABLE, UF_ANY_FLAGS);
		ASSERT_SERVER(&d, 0, HELD, next->id);
	}
	EXPECT_EQ(50, d.threads[a.id].preempts);
	EXPECT_EQ(50, d.threads[b.id].preempts);
	EXPECT_EQ(50, d.threads[c.id].preempts);
	EXPECT_EQ(150, d.servers[0].preempts);
	EXPECT_EQ(151, d.servers[0].grants);
}

/* ------------------------------------------------------------- by itself */

static struct ufiber_target target;

TEST(itself)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	target = (struct ufiber_target){ .size = sizeof(target), .thread = a.id };
	/* Nobody waits. */
	EXPECT_EQ(0, uf_call_syscall(&a, SYS_ioctl, (long)d.fd, (long)UFIBER_IOC_KICK,
				     (long)&target));
	ASSERT_STATE(&a, RUNNING, 0);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	uf_order_syscall(&a, SYS_ioctl, (long)d.fd, (long)UFIBER_IOC_KICK, (long)&target);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_BUSY(&a);
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1, d.threads[a.id].preempts);
}

/* ------------------------------------------------------ critical sections */

/* Order: leave the critical section, as one should. */
static long do_leave(long *args)
{
	volatile struct ufiber_shared_thread *me = &uf_self->dom->threads[uf_self->id];
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = YIELD };

	me->critical = 0;
	return me->kicked ? uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait) : 0;
}

/*
 * It is back from that. If the module preempts it between its look and its YIELD,
 * it makes way twice; so b gives the server back until it has come through.
 */
static bool has_left(void *unused)
{
	if (uf_is_done(&a))
		return true;
	if (uf_is_done(&b))
		uf_post_wait(&b, STANDBY, 0, 0);
	return false;
}

TEST(critical)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	d.threads[a.id].critical = 1;
	UF_SPIN(&a);
	EXPECT_EQ(0, d.threads[a.id].kicked);
	EXPECT_EQ(0, uf_kick(&a));
	while (!d.threads[a.id].kicked)
		sched_yield();
	ASSERT_STATE(&a, RUNNING, UF_ANY_FLAGS);
	ASSERT_TRUE(uf_await_turns(&a));
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	EXPECT_EQ(0, d.threads[a.id].preempts);
	EXPECT_EQ(1, d.servers[0].grants);
	STOP(&a);
	EXPECT_NE(0, d.threads[a.id].kicked);
	/* Leaving it, it finds the word; or the module comes first. */
	uf_order(&a, do_leave, (long)d.fd);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_STATE(&a, RUNNABLE, UF_ANY_FLAGS);
	EXPECT_EQ(0, d.threads[a.id].kicked);
	ASSERT_TRUE(uf_await(&d, has_left, NULL, "a to be back"));
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].kicked);
}

/* Nobody waits any more when the section ends: the word is done with, too. */
TEST(critical_nobody_waits)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	d.threads[a.id].critical = 1;
	EXPECT_EQ(0, uf_kick(&a));
	while (!d.threads[a.id].kicked)
		sched_yield();
	EXPECT_EQ(0, uf_wake(&b, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &b);
	EXPECT_EQ(0, uf_call(&a, do_leave, (long)d.fd));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].kicked);
	EXPECT_EQ(1, d.servers[0].grants);
}

/*
 * It sleeps in its critical section: the request waits with it, and does not
 * disturb the call. When it comes back, it depends on what is set then.
 */
TEST(critical_asleep)
{
	int i;

	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	for (i = 0; i < 2; i++) {
		d.threads[a.id].critical = 1;
		uf_post_read(&a, fds[0]);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
		EXPECT_EQ(0, uf_kick(&a));
		EXPECT_EQ(0, uf_kick(&a));	/* once is as good as twice */
		ASSERT_STATE(&a, RUNNING, Q_KICKED);
		ASSERT_STATE(&b, IDLE, Q_STANDBY);
		ASSERT_BUSY(&a);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
		if (i)
			d.threads[a.id].critical = 0;
		EXPECT_EQ(0, uf_put(fds[1]));
		if (!i) {
			ASSERT_DONE(1, &a);
			while (!d.threads[a.id].kicked)
				sched_yield();
			ASSERT_STATE(&a, RUNNING, UF_ANY_FLAGS);
			ASSERT_STATE(&b, IDLE, Q_STANDBY);
			uf_order(&a, do_leave, (long)d.fd);
			ASSERT_DONE(0, &b);
		} else {
			ASSERT_DONE(0, &b);
			ASSERT_STATE(&a, RUNNABLE, Q_HELD);
			ASSERT_BUSY(&a);
			EXPECT_LE(1, d.threads[a.id].preempts);
		}
		ASSERT_TRUE(uf_await(&d, has_left, NULL, "a to be back"));
		ASSERT_DONE(i ? 1 : 0, &a);
		ASSERT_STATE(&a, RUNNING, 0);
		ASSERT_STATE(&b, IDLE, Q_STANDBY);
	}
}

/* Kicked in a call, it blocks before it comes to user mode: that was that. */
TEST(then_block)
{
	static char buf[8192];
	static struct iovec iov[2];
	struct uf_fault f;
	long ret;

	UF_OPEN(&d, 1, 4);
	ret = uf_fault_begin(&f);
	if (ret == -EPERM || ret == -ENOSYS)
		SKIP(return, "userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	/* A pipe with room for one page; what is written to it are two. */
	ASSERT_EQ(0, pipe2(fds, O_NONBLOCK));
	while (write(fds[1], buf, 4096) > 0)
		;
	ASSERT_EQ(4096, read(fds[0], buf, 4096));
	ASSERT_EQ(0, fcntl(fds[1], F_SETFL, 0));
	iov[0] = (struct iovec){ f.page, 4096 };
	iov[1] = (struct iovec){ buf, 4096 };

	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	/* It sleeps in a fault, with its server; then as the pipe is full, without. */
	d.threads[a.id].critical = 1;
	EXPECT_EQ(0, uf_kick(&a));
	while (!d.threads[a.id].kicked)
		sched_yield();
	uf_order_syscall(&a, SYS_writev, (long)fds[1], (long)iov, 2L);
	ASSERT_EQ(0, uf_fault_await(&f));
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_STATE(&a, RUNNING, Q_KICKED);
	EXPECT_NE(0, d.threads[a.id].kicked);
	d.threads[a.id].critical = 0;
	ASSERT_EQ(0, uf_fault_end(&f, 'x'));
	ASSERT_STATE(&a, BLOCKED, 0);
	EXPECT_EQ(0, d.threads[a.id].kicked);
	ASSERT_DONE(0, &b);
	EXPECT_EQ(-EAGAIN, uf_kick(&a));
	EXPECT_EQ(0, uf_unregister(&b));
	while (read(fds[0], buf, sizeof(buf)) > 0)
		;
	ASSERT_DONE(8192, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	UF_SPAWN_WAITING(&d, &c, STANDBY);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].preempts);
	EXPECT_EQ(1, d.threads[a.id].blocks);
}

/* --------------------------------------------------------------- signals */

/* A handler takes it to user mode without a server; then it is as after a block. */
TEST(signal_while_held)
{
	UF_OPEN(&d, 1, 4);
	uf_catch(SIGUSR1, 0);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	UF_SPIN(&a);
	EXPECT_EQ(0, uf_kick(&a));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	uf_signal(&a, SIGUSR1);
	ASSERT_TRUE(uf_await_count(&a, &a.handled, 1));
	STOP(&a);
	ASSERT_STATE(&a, RUNNABLE, 0);
	EXPECT_EQ(-EAGAIN, uf_kick(&a));
	uf_post_wait(&a, ACQUIRE, 0, 0);
	ASSERT_STATE(&a, RUNNABLE, Q_WAITING);
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_DONE(0, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(1, d.threads[a.id].preempts);
	EXPECT_EQ(0, d.threads[a.id].holds);
}

/*
 * To be stopped is to block, so who has the server afterwards is not known. If it
 * is b, that offers it until a, which computes, has got on.
 */
static bool is_run(void *unused)
{
	static unsigned long before = ~0UL;
	unsigned long turns = atomic_load(&a.turns);

	if (before == ~0UL)
		before = turns;
	if (uf_is_done(&b))
		uf_post_wait(&b, STANDBY, 0, 0);
	return turns != before;
}

TEST(stopped_and_continued)
{
	pid_t pid;
	int status;

	/* SIGSTOP is for a whole process: in a child. */
	pid = uf_fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (uf_open(&d, 1, 4) || uf_spawn(&d, &a) || uf_spawn(&d, &b) ||
		    uf_wait(&a, STANDBY, 0, 0))
			_exit(1);
		uf_post_spin(&a);
		uf_post_wait(&b, ACQUIRE, 0, 0);
		if (!uf_await_state(&b, UFIBER_THREAD_RUNNABLE, Q_WAITING) || uf_kick(&a))
			_exit(2);
		if (uf_finish(&b) || !uf_await_state(&a, UFIBER_THREAD_RUNNABLE, Q_HELD))
			_exit(3);
		raise(SIGSTOP);
		_exit(uf_await(&d, is_run, NULL, "a turn") && uf_agrees(&d) ? 0 : 4);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1 && access(UFIBER_DEVICE, F_OK) &&
	    !getenv("UFIBER_VM"))
		SKIP(return, "no " UFIBER_DEVICE ": the module is not loaded");
	ASSERT_TRUE(WIFSTOPPED(status)) TH_LOG("status %#x", status);
	ASSERT_EQ(0, kill(pid, SIGCONT));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* ---------------------------------------------------------------- errors */

TEST(errors)
{
	struct ufiber_target t;
	unsigned int i;

	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, pipe(fds));
	UF_SPAWN(&d, &a);
	EXPECT_EQ(-EAGAIN, uf_kick(&a));	/* IDLE, not in WAIT */
	uf_post_wait(&a, 0, 0, 0);
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	EXPECT_EQ(-EAGAIN, uf_kick(&a));	/* IDLE, in WAIT */
	EXPECT_EQ(0, uf_wake(&a, 0));
	ASSERT_DONE(0, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	EXPECT_EQ(-EAGAIN, uf_kick(&a));	/* BLOCKED */
	UF_SPAWN_RUNNING(&d, &b);
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	EXPECT_EQ(-EAGAIN, uf_kick(&a));	/* RUNNABLE */
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);

	EXPECT_EQ(-ESRCH, uf_target_id(&d, UFIBER_IOC_KICK, 3));
	EXPECT_EQ(-ESRCH, uf_target_id(&d, UFIBER_IOC_KICK, 4));
	EXPECT_EQ(-ESRCH, uf_target_id(&d, UFIBER_IOC_KICK, UFIBER_NONE));
	for (i = 0; i < 32; i++) {
		t = (struct ufiber_target){ .size = sizeof(t), .flags = 1U << i,
					    .thread = b.id };
		EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_KICK, &t));
	}
	t = (struct ufiber_target){ .size = sizeof(t), .thread = b.id, .reserved = 1 };
	EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_KICK, &t));
	t = (struct ufiber_target){ .size = sizeof(t) - 4, .thread = b.id };
	EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, UFIBER_IOC_KICK, &t));
	EXPECT_EQ(-EFAULT, uf_ioctl(d.fd, UFIBER_IOC_KICK, NULL));
	ASSERT_STATE(&b, RUNNING, 0);
	EXPECT_EQ(0, d.threads[b.id].preempts);
}

/* ----------------------------------------------------------------- races */

#define TIMES	400

static struct uf_thread many[3];
static int pipes[3][2];

/* Order: write a byte, read it back, compute a little, block now and then. */
static long do_work(long *args)
{
	volatile unsigned int x = 0;
	unsigned int i, n;
	char byte;

	for (i = 0; i < TIMES; i++) {
		if (syscall(SYS_write, args[1], &i, 1) != 1)
			return -errno;
		byte = ~i;
		if (syscall(SYS_read, args[0], &byte, 1) != 1)
			return -errno;
		if ((unsigned char)byte != (i & 0xff))
			return -EIO;
		for (n = 0; n < 1000; n++)
			x += n;
		if (i % 8 == 0) {
			struct timespec ts = { .tv_nsec = 1000 };

			if (syscall(SYS_nanosleep, &ts, NULL))
				return -errno;
		}
	}
	return 0;
}

static bool all_done(void)
{
	return uf_is_done(&many[0]) && uf_is_done(&many[1]) && uf_is_done(&many[2]);
}

static bool none_kicked(void *unused)
{
	return !((uf_flags(&many[0]) | uf_flags(&many[1]) | uf_flags(&many[2])) & Q_KICKED);
}

/* Kicked at any point, none loses its way, its call or its data. */
TEST(storm)
{
	unsigned long kicks = 0, i;
	__u64 end = uf_now() + UF_BOUND * 1000000000ULL;

	UF_OPEN(&d, 1, 4);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pipe(pipes[i]));
		UF_SPAWN(&d, &many[i]);
	}
	UF_SPAWN_RUNNING(&d, &a);
	for (i = 0; i < 3; i++) {
		uf_post_wait(&many[i], ACQUIRE, 0, 0);
		ASSERT_STATE(&many[i], RUNNABLE, Q_WAITING);
	}
	uf_post_wait(&a, STANDBY, 0, 0);
	for (i = 0; i < 3; i++) {
		ASSERT_DONE(0, &many[i]);
		uf_order(&many[i], do_work, (long)pipes[i][0], (long)pipes[i][1]);
	}
	for (i = 0; !all_done(); i++) {
		long ret = uf_kick(&many[i % 3]);

		ASSERT_TRUE(ret == 0 || ret == -EAGAIN);
		kicks += !ret;
		ASSERT_GT(end, uf_now());
		/* A standby that got the server passes it on. */
		if (uf_is_done(&a))
			uf_post_wait(&a, STANDBY, 0, 0);
	}
	for (i = 0; i < 3; i++) {
		ASSERT_DONE(0, &many[i]);
	}
	ASSERT_TRUE(uf_await(&d, none_kicked, NULL, "the last kick"));
	EXPECT_LT(0, d.servers[0].preempts);
	EXPECT_GE(kicks, d.servers[0].preempts);
	EXPECT_EQ(d.servers[0].preempts, d.threads[many[0].id].preempts +
		  d.threads[many[1].id].preempts + d.threads[many[2].id].preempts +
		  d.threads[a.id].preempts);
	ASSERT_AGREES(&d);
}

/* ------------------------------------------------------ in the network stack */

/* A socket that sends to itself; negative errno if there is no network. */
static int own_socket(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct ifreq lo = { .ifr_name = "lo" };
	socklen_t size = sizeof(to);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &lo))
		return -errno;
	lo.ifr_flags |= IFF_UP;
	/* It may be up already, and we nobody who may say so. */
	ioctl(fd, SIOCSIFFLAGS, &lo);
	if (bind(fd, (struct sockaddr *)&to, size) ||
	    getsockname(fd, (struct sockaddr *)&to, &size) ||
	    connect(fd, (struct sockaddr *)&to, size))
		return -errno;
	return fd;
}

/* Order: send until told to stop; most of that is done with softirqs off. */
static long do_send(long *args)
{
	char byte = 0;

	while (!atomic_load(&uf_self->stop)) {
		if (send(args[0], &byte, 1, MSG_DONTWAIT) != 1)
			return -errno;
		if (recv(args[0], &byte, 1, MSG_DONTWAIT) != 1 && errno != EAGAIN)
			return -errno;
		atomic_fetch_add(&uf_self->turns, 1);
	}
	atomic_store(&uf_self->stop, 0);
	return 0;
}

/*
 * Where the kernel can preempt a thread that has softirqs off, or runs one, each
 * kick arrives nevertheless.
 */
TEST(in_the_network)
{
	int fd = own_socket();
	int i;

	if (fd < 0)
		SKIP(return, "no loopback network: %s", strerror(-fd));
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNABLE(&d, &b);
	uf_order(&a, do_send, (long)fd);
	for (i = 0; i < 100; i++) {
		ASSERT_TRUE(uf_await_turns(&a));
		ASSERT_STATE(&a, RUNNING, 0);
		ASSERT_EQ(0, uf_kick(&a));
		ASSERT_DONE(0, &b) TH_LOG("kick %d", i);
		ASSERT_STATE(&a, RUNNABLE, Q_HELD);
		uf_post_wait(&b, 0, 0, 0);
		ASSERT_STATE(&a, RUNNING, 0);
		ASSERT_EQ(0, uf_wake(&b, 0));
		ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	}
	STOP(&a);
	close(fd);
}

TEST_HARNESS_MAIN

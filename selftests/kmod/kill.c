// SPDX-License-Identifier: GPL-2.0
/*
 * Ends that others cause, or that come from where nobody expects them: kills in
 * the middle of things, lack of memory, exec and fork from any state, and an end
 * that races with a hand-over.
 */
#include "uf_test.h"
#include "uf_cgroup.h"
#include "uf_scene.h"
#include "uf_storm.h"
#include <elf.h>
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/mman.h>

#define STANDBY		UFIBER_WAIT_STANDBY

static struct uf_dom d;
static struct uf_scene scene;
static struct uf_thread a, b;
static struct uf_child child;
static struct uf_cgroup group;
static int fa[2];

/* ------------------------------------------------- killed while it does what */

#define KILL_WHILE(...)							\
	do {								\
		UF_BEGIN(&d);						\
		UF_CHILD(&child, {					\
			ASSERT_EQ(0, pipe(fa));				\
			UF_OPEN(&d, 1, 4);				\
			UF_SPAWN_RUNNING(&d, &a);			\
			__VA_ARGS__;					\
			UF_CHILD_STEP(&child);				\
		});							\
		ASSERT_EQ(0, kill(child.pid, SIGKILL));			\
		UF_CHILD_KILLED(&child, SIGKILL);			\
		UF_REFS_BACK();						\
	} while (0)

TEST(kill_polling)
{
	KILL_WHILE({
		d.servers[0].owner = UFIBER_OWNER(UFIBER_SERVER_POLLING, a.id);
		uf_post_read(&a, fa[0]);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
		ASSERT_SERVER(&d, 0, POLLING, a.id);
	});
}

TEST(kill_critical)
{
	KILL_WHILE({
		d.threads[a.id].critical = 1;
		uf_post_read(&a, fa[0]);
		ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
		ASSERT_STATE(&a, RUNNING, 0);
	});
}

TEST(kill_in_a_fault)
{
	static struct uf_fault f;

	KILL_WHILE({
		ASSERT_EQ(0, uf_fault_begin(&f));
		uf_order(&a, uf_do_touch, (long)f.page);
		ASSERT_EQ(0, uf_fault_await(&f));
		ASSERT_STATE(&a, BLOCKED, 0);
	});
}

static atomic_uint never;

static void lasting_handler(int sig)
{
	atomic_fetch_add(&uf_self->handling, 1);
	while (!atomic_load(&never))
		sched_yield();
}

TEST(kill_in_a_handler)
{
	int which;

	UF_BEGIN(&d);
	for (which = 0; which < UF_SCENE_THREADS; which++) {
		UF_CHILD(&child, {
			signal(SIGUSR1, lasting_handler);
			ASSERT_TRUE(uf_scene_set(&scene));
			uf_signal(&scene.t[which], SIGUSR1);
			ASSERT_TRUE(uf_await_count(&scene.t[which],
						   &scene.t[which].handling, 1));
			UF_CHILD_STEP(&child);
		});
		ASSERT_EQ(0, kill(child.pid, SIGKILL));
		UF_CHILD_KILLED(&child, SIGKILL);
		UF_REFS_BACK();
	}
}

/* ---------------------------------------------------------- out of memory */

static long do_eat(long *args)
{
	size_t size = args[0], i;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (i = 0; p != MAP_FAILED && i < size; i += 4096)
		p[i] = 1;
	return 0;
}

/* The thread @which eats what its group has, until the kernel kills the process. */
static void eat_up(struct __test_metadata *_metadata, bool by_main)
{
	long size = 256 << 20;
	char text[24];

	UF_BEGIN(&d);
	UF_CGROUP(&group, "memory");
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_scene_set(&scene));
		munlockall();
		UF_CHILD_STEP(&child);
		if (by_main)
			do_eat(&size);
		else
			uf_order(&scene.t[UF_RUNNING], do_eat, size);
		for (;;)
			pause();
	});
	ASSERT_EQ(0, uf_cgroup_add(&group, child.pid));
	snprintf(text, sizeof(text), "%ld",
		 uf_cgroup_read(&group, "memory.current", NULL) + (8 << 20));
	ASSERT_EQ(0, uf_cgroup_write(&group, "memory.max", text));
	UF_NEXT_STEP(&child);
	UF_CHILD_KILLED(&child, SIGKILL);
	EXPECT_EQ(1, uf_cgroup_read(&group, "memory.events", "oom_kill"));
	UF_REFS_BACK();
	uf_cgroup_remove(&group);
}

TEST(oom_by_a_running_thread)
{
	eat_up(_metadata, false);
}

TEST(oom_by_another)
{
	eat_up(_metadata, true);
}

static long write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

/* The whole machine's, by order. */
TEST(oom_of_the_machine)
{
	UF_BEGIN(&d);
	if (!getenv("UFIBER_VM") || access("/proc/sysrq-trigger", W_OK))
		SKIP(return, "no sysrq of a VM");
	UF_CHILD(&child, {
		ASSERT_EQ(0, write_file("/proc/self/oom_score_adj", "1000"));
		ASSERT_TRUE(uf_scene_set(&scene));
		UF_CHILD_STEP(&child);
	});
	ASSERT_EQ(0, write_file("/proc/sysrq-trigger", "f"));
	UF_CHILD_KILLED(&child, SIGKILL);
	UF_REFS_BACK();
}

/* ------------------------------------------------------------ exec and fork */

/*
 * A dying task may sleep before it counts as exiting, here for the core dump, and
 * then run task work, here for io_uring: it waits for a request to be cancelled,
 * if that is for a ring's own file. There it must not be held: its signal has been
 * taken, and nobody would give it a server.
 */
static struct io_uring ring;

static long do_poll_the_ring(long *args)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_poll_add(sqe, ring.ring_fd, POLLPRI);
	return io_uring_submit(&ring);
}

static void crash(struct __test_metadata *_metadata, __u32 flags)
{
	long ret;

	UF_BEGIN(&d);
	ret = io_uring_queue_init(8, &ring, 0);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "io_uring: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	io_uring_queue_exit(&ring);
	UF_CHILD(&child, {
		ASSERT_EQ(0, io_uring_queue_init(8, &ring, 0));
		UF_OPEN_AS(&d, flags, 1, 0, 4);
		UF_SPAWN_RUNNING(&d, &a);
		ASSERT_EQ(1, uf_call(&a, do_poll_the_ring));
		UF_SPIN(&a);
		UF_CHILD_STEP(&child);
	});
	ASSERT_EQ(0, kill(child.pid, SIGABRT));
	UF_CHILD_KILLED(&child, SIGABRT);
	UF_REFS_BACK();
}

TEST(crash_with_requests)
{
	crash(_metadata, 0);
}

TEST(crash_with_requests_user_sched)
{
	crash(_metadata, UFIBER_SETUP_USER_SCHED);
}

static void exec_handler(int sig)
{
	execl("/bin/true", "true", NULL);
	_exit(1);
}

static void ends_well(struct __test_metadata *_metadata)
{
	UF_CHILD_END(&child);
	UF_REFS_BACK();
}

/* exec from a signal's handler, which runs in whatever state its thread is in. */
TEST(exec_in_every_state)
{
	int which;

	UF_BEGIN(&d);
	for (which = 0; which < UF_SCENE_THREADS; which++) {
		UF_CHILD(&child, {
			signal(SIGUSR1, exec_handler);
			ASSERT_TRUE(uf_scene_set(&scene));
			UF_CHILD_STEP(&child);
			uf_signal(&scene.t[which], SIGUSR1);
			for (;;)
				pause();
		});
		ends_well(_metadata);
	}
}

/* All at once: one of them wins, the others end. */
TEST(exec_by_all)
{
	int round, which;

	UF_BEGIN(&d);
	for (round = 0; round < 10; round++) {
		UF_CHILD(&child, {
			signal(SIGUSR1, exec_handler);
			ASSERT_TRUE(uf_scene_set(&scene));
			UF_CHILD_STEP(&child);
			for (which = 0; which < UF_SCENE_THREADS; which++)
				uf_signal(&scene.t[which], SIGUSR1);
			for (;;)
				pause();
		});
		ends_well(_metadata);
	}
}

TEST(exec_in_a_storm)
{
	int round;

	UF_BEGIN(&d);
	for (round = 0; round < 10; round++) {
		struct uf_storm *storm = uf_storm_new(20 + round);

		UF_CHILD(&child, {
			ASSERT_TRUE(uf_storm_start(storm, 2, 8));
			UF_CHILD_STEP(&child);
			ASSERT_TRUE(uf_storm_goes_on(storm, round * 50));
			exec_handler(0);
		});
		ends_well(_metadata);
		munmap(storm, sizeof(*storm));
	}
}

/* A program that does nothing, in memory: loading it does not sleep. */
static const struct nothing {
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	unsigned char code[9];
} nothing = {
	.head = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = 0x400000 + offsetof(struct nothing, code),
		.e_phoff = offsetof(struct nothing, segment),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
	},
	.segment = {
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_vaddr = 0x400000,
		.p_filesz = sizeof(nothing),
		.p_memsz = sizeof(nothing),
		.p_align = 0x1000,
	},
	/* xor %edi, %edi; mov $60, %eax; syscall: _exit(0) */
	.code = { 0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05 },
};

/*
 * One that blocks in exec, as it waits for the other threads to end, is held by
 * nobody when it comes back as another program: the domain is none of its own, and
 * here no one is left who would hand it a server.
 */
static long do_exec_program(long *args)
{
	static char *none[] = { NULL };

	syscall(SYS_execveat, args[0], "", none, none, AT_EMPTY_PATH);
	return -errno;
}

TEST(exec_after_a_block)
{
	int program = memfd_create("nothing", 0);

	ASSERT_LE(0, program);
	ASSERT_EQ(sizeof(nothing), write(program, &nothing, sizeof(nothing)));
	UF_BEGIN(&d);
	UF_CHILD(&child, {
		UF_OPEN_AS(&d, UFIBER_SETUP_USER_SCHED, 1, 0, 4);
		/* The domain stays open. */
		ASSERT_EQ(0, fcntl(d.fd, F_SETFD, 0));
		UF_SPAWN_RUNNING(&d, &a);
		UF_CHILD_STEP(&child);
		uf_order(&a, do_exec_program, (long)program);
		for (;;)
			pause();
	});
	ends_well(_metadata);
}

static long do_exec_nothing(long *args)
{
	static char *none[] = { NULL };

	return execve("/nonexistent", none, none) ? -errno : 0;
}

TEST(exec_fails)
{
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_EQ(-ENOENT, uf_call(&a, do_exec_nothing));
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(-EEXIST, uf_register(&a));
	EXPECT_EQ(0, uf_unregister(&a));
}

/* vfork() and what follows, in one thread; the child has our memory, and its own pid. */
static long from_child[4];

static int vforked(void *arg)
{
	struct ufiber_register reg = { .size = sizeof(reg) };
	struct ufiber_wait w = { .size = sizeof(w), .flags = UFIBER_WAIT_ACQUIRE };
	char byte;

	/* It is not registered by its parent's being so. */
	from_child[0] = uf_ioctl(d.fd, UFIBER_IOC_UNREGISTER, NULL);
	from_child[1] = uf_ioctl(d.fd, UFIBER_IOC_WAIT, &w);
	if (syscall(SYS_read, fa[0], &byte, 1) != 1)
		return 1;
	/* The address space is the domain's, so it may join, and take the server. */
	if (arg) {
		from_child[2] = uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg);
		from_child[3] = uf_ioctl(d.fd, UFIBER_IOC_WAIT, &w);
		if (syscall(SYS_read, fa[0], &byte, 1) != 1)
			return 2;
	}
	return 0;
}

static long do_vfork(long *args)
{
	static char stack[65536] __attribute__((aligned(16)));
	int pid = clone(vforked, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
			(void *)args[0]);

	return pid < 0 ? -errno : pid;
}

static void vfork_case(struct __test_metadata *_metadata, bool join)
{
	int status;
	long pid;

	UF_BEGIN(&d);
	ASSERT_EQ(0, pipe(fa));
	UF_OPEN(&d, 2, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_RUNNING(&d, &b);
	ASSERT_EQ(0, uf_unregister(&b));
	ASSERT_EQ(0, uf_register(&b));
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_STATE(&b, IDLE, UFIBER_QUERY_WAITING);
	uf_order(&a, do_vfork, (long)join);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'D'));
	/* Its server is there for others. */
	ASSERT_EQ(0, uf_wake(&b, 0));
	EXPECT_LE(0, uf_finish(&b));
	ASSERT_EQ(0, uf_put(fa[1]));
	if (join)
		ASSERT_EQ(0, uf_put(fa[1]));
	pid = uf_finish(&a);
	ASSERT_LT(0, pid);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-ENXIO, from_child[0]);
	EXPECT_EQ(-ENXIO, from_child[1]);
	if (join) {
		EXPECT_EQ(0, from_child[2]);
		EXPECT_LE(0, from_child[3]);
	}
	ASSERT_AGREES(&d);
	uf_join(&a);
	uf_join(&b);
	uf_close(&d);
	UF_REFS_BACK();
}

TEST(vfork_by_a_running_thread)
{
	vfork_case(_metadata, false);
}

TEST(vfork_and_the_child_joins)
{
	vfork_case(_metadata, true);
}

static long do_spawn(long *args)
{
	static char *argv[] = { "true", NULL }, *envp[] = { NULL };
	pid_t pid;
	int ret = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp);

	return ret ? -ret : pid;
}

/* As a program starts another: the child execs, the parent comes back. */
TEST(spawn_another_program)
{
	int i, status;

	UF_BEGIN(&d);
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	for (i = 0; i < 10; i++) {
		long pid = uf_call(&a, do_spawn);

		ASSERT_LT(0, pid);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		ASSERT_STATE(&a, RUNNING, 0);
	}
	uf_join(&a);
	uf_close(&d);
	UF_REFS_BACK();
}

static void fork_handler(int sig)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, NULL, NULL, 0);
	struct ufiber_wait w = { .size = sizeof(w) };

	if (!pid)
		syscall(SYS_exit_group, uf_ioctl(uf_self->dom->fd, UFIBER_IOC_WAIT, &w) == -EPERM ?
				0 : 1);
}

/*
 * The child has no state of its own, whatever state its parent forks in. (Forking
 * may block, and the parent then be held before it knows of its child.)
 */
TEST(fork_in_every_state)
{
	struct sigaction sa = { .sa_handler = fork_handler, .sa_flags = SA_RESTART };
	int which, status;

	UF_BEGIN(&d);
	sigaction(SIGUSR1, &sa, NULL);
	ASSERT_TRUE(uf_scene_set(&scene));
	for (which = 0; which < UF_SCENE_THREADS; which++) {
		uf_signal(&scene.t[which], SIGUSR1);
		/* It comes as soon as the signal has been handled so far. */
		while (waitpid(-1, &status, 0) < 0) {
			ASSERT_EQ(ECHILD, errno);
			sched_yield();
		}
		EXPECT_EQ(0, status);
	}
	EXPECT_TRUE(uf_scene_end(&scene));
	UF_REFS_BACK();
}

/* ------------------------------------------------------- exit and hand-over */

static void exit_handler(int sig)
{
	syscall(SYS_exit, 0);
}

static bool is_gone(void *arg)
{
	struct uf_thread *t = arg;
	struct ufiber_query q;

	return uf_query(t->dom, t->id, UFIBER_NONE, &q) == -ESRCH;
}

/* One hands over to another that is about to end; nobody's server gets lost. */
TEST(exit_beside_a_handover)
{
	int i, given = 0;

	UF_BEGIN(&d);
	signal(SIGUSR1, exit_handler);
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	for (i = 0; i < 200; i++) {
		UF_SPAWN_WAITING(&d, &b, 0);
		if (i & 1)
			uf_signal(&b, SIGUSR1);
		uf_post_wait(&a, UFIBER_WAIT_HANDOVER, b.id, 0);
		if (!(i & 1))
			uf_signal(&b, SIGUSR1);
		ASSERT_TRUE(uf_await(&d, is_gone, &b, "the other's end"));
		pthread_join(b.pthread, NULL);
		if (uf_state(&a) == UFIBER_THREAD_IDLE) {
			given++;
			ASSERT_STATE(&a, IDLE, UFIBER_QUERY_WAITING);
			ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
			ASSERT_EQ(0, uf_wake(&a, 0));
			ASSERT_DONE(0, &a);
		} else {
			long ret = uf_finish(&a);

			ASSERT_TRUE(ret == -ESRCH || ret == -EAGAIN) TH_LOG("%ld", ret);
		}
		ASSERT_STATE(&a, RUNNING, 0);
	}
	TH_LOG("%d of %d got the server first", given, i);
	uf_join(&a);
	uf_close(&d);
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

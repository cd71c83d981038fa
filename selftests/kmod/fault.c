// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is not there: faults that a thread of the same domain resolves,
 * faults in critical sections and in the module's own arguments, and threads
 * that wait for the lock of their address space, or block while they have it.
 */
#include "uf_test.h"
#include "uf_scene.h"
#include <linux/userfaultfd.h>
#include <sched.h>
#include <sys/mman.h>

#define STANDBY		UFIBER_WAIT_STANDBY
#define Q_STANDBY	(UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY)
#define Q_HELD		UFIBER_QUERY_HELD

static struct uf_dom d;
static struct uf_thread a, b;
static struct uf_fault f;
static struct uf_child child;

#define FAULT_BEGIN(f)							\
	do {								\
		long _ret = uf_fault_begin(f);				\
									\
		if (_ret == -EPERM || _ret == -ENOSYS)			\
			SKIP(return, "userfaultfd: %s", strerror(-_ret)); \
		ASSERT_EQ(0, _ret);					\
	} while (0)

/* Take the fault from userfaultfd and resolve it, as a fiber would. */
static long do_resolve(long *args)
{
	long ret = uf_fault_await(&f);

	return ret ? ret : uf_fault_end(&f, args[0]);
}

/* One server: it is the fault itself that gives it to the one who resolves it. */
TEST(resolved_in_the_domain)
{
	int i;

	UF_OPEN(&d, 1, 4);
	FAULT_BEGIN(&f);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	for (i = 1; i <= 10; i++) {
		uf_order(&a, uf_do_touch, (long)f.page);
		ASSERT_STATE(&b, RUNNING, 0);
		ASSERT_DONE(0, &b);
		ASSERT_STATE(&a, BLOCKED, 0);
		uf_order(&b, do_resolve, (long)i);
		ASSERT_DONE(0, &b);
		ASSERT_STATE(&a, RUNNABLE, Q_HELD);
		uf_post_wait(&b, STANDBY, 0, 0);
		ASSERT_DONE(i, &a);
		ASSERT_STATE(&a, RUNNING, 0);
		ASSERT_STATE(&b, IDLE, Q_STANDBY);
		ASSERT_EQ(0, madvise(f.page, 4096, MADV_DONTNEED));
	}
	EXPECT_EQ(10, d.threads[a.id].blocks);
}

/* A critical section keeps its server through a fault, however long that takes. */
TEST(critical)
{
	UF_OPEN(&d, 1, 4);
	FAULT_BEGIN(&f);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	d.threads[a.id].critical = 1;
	uf_order(&a, uf_do_touch, (long)f.page);
	ASSERT_EQ(0, uf_fault_await(&f));
	ASSERT_TRUE(uf_await_proc(getpid(), a.tid, 'S'));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_SERVER(&d, 0, HELD, a.id);
	ASSERT_STATE(&b, IDLE, Q_STANDBY);
	ASSERT_EQ(0, uf_fault_end(&f, 3));
	ASSERT_DONE(3, &a);
	ASSERT_STATE(&a, RUNNING, 0);
	EXPECT_EQ(0, d.threads[a.id].blocks);
	EXPECT_EQ(1, d.servers[0].grants);
	d.threads[a.id].critical = 0;
}

/*
 * The argument of a call is what faults. REGISTER and WAIT read it first, so the
 * thread is what it was; no lock of the module's is held, so the domain lives on.
 */
static long do_call(long *args)
{
	return uf_ioctl(args[0], args[1], (void *)args[2]);
}

TEST(argument_of_wait)
{
	static const struct { unsigned int cmd; long ret; } calls[] = {
		{ UFIBER_IOC_WAIT, -EINVAL }, { UFIBER_IOC_WAKE, -EINVAL },
		{ UFIBER_IOC_QUERY, -EINVAL }, { UFIBER_IOC_REGISTER, -EINVAL },
	};
	unsigned int i;

	UF_OPEN(&d, 1, 4);
	FAULT_BEGIN(&f);
	UF_SPAWN_RUNNING(&d, &a);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		uf_order(&a, do_call, (long)d.fd, (long)calls[i].cmd, (long)f.page);
		ASSERT_EQ(0, uf_fault_await(&f));
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
		/* The domain's business goes on. */
		UF_SPAWN_RUNNING(&d, &b);
		uf_join(&b);
		ASSERT_EQ(0, uf_fault_end(&f, 0));
		/* All is zero there: a size that is too small. */
		ASSERT_DONE(calls[i].ret, &a);
		ASSERT_STATE(&a, RUNNING, 0);
		ASSERT_EQ(0, madvise(f.page, 4096, MADV_DONTNEED));
	}
}

/* A page whose first write blocks, for ever; 0 or negative errno. */
static long protect(char **page)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	*page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || *page == MAP_FAILED)
		return -errno;
	*(struct ufiber_setup *)*page = (struct ufiber_setup){
		.size = sizeof(struct ufiber_setup), .nr_servers = 1, .max_threads = 1,
	};
	reg.range.start = wp.range.start = (unsigned long)*page;
	reg.range.len = wp.range.len = 4096;
	return ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ||
	       ioctl(fd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

/*
 * SETUP's answer cannot be written for now, and SETUP has a lock meanwhile:
 * another SETUP waits for it, and both can be killed.
 */
TEST(answer_of_setup)
{
	static struct ufiber_setup other = {
		.size = sizeof(other), .nr_servers = 1, .max_threads = 1,
	};
	struct uf_dom second;
	char *page;

	UF_BEGIN(&d);
	FAULT_BEGIN(&f);
	UF_CHILD(&child, {
		UF_OPEN(&d, 1, 4);
		ASSERT_EQ(0, uf_open_fd(&second));
		ASSERT_EQ(0, protect(&page));
		UF_SPAWN_RUNNING(&d, &a);
		UF_SPAWN_WAITING(&d, &b, STANDBY);
		uf_order(&a, do_call, (long)second.fd, (long)UFIBER_IOC_SETUP, (long)page);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_DONE(0, &b);
		uf_order(&b, do_call, (long)second.fd, (long)UFIBER_IOC_SETUP, (long)&other);
		ASSERT_STATE(&b, BLOCKED, 0);
		ASSERT_BUSY(&a);
		ASSERT_BUSY(&b);
		UF_CHILD_STEP(&child);
	});
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	UF_CHILD_KILLED(&child, SIGKILL);
	UF_REFS_BACK();
}

/*
 * Threads that map, touch and unmap wait for each other's use of the address
 * space, while an unregistered thread forks, which has it for long. Whoever has
 * the lock gets on without a server, until it returns to user mode.
 */
#define MAPPERS		4
#define ROUNDS		20

static long do_map(long *args)
{
	size_t size = 64 * 4096;
	long i;

	for (i = 0; i < args[0]; i++) {
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return -errno;
		memset(p, 1, size);
		mprotect(p, size / 2, PROT_READ);
		if (madvise(p, size, MADV_DONTNEED) || munmap(p, size))
			return -errno;
	}
	return 0;
}

static long do_map_and_leave(long *args)
{
	struct ufiber_wait w = { .size = sizeof(w), .flags = UFIBER_WAIT_ACQUIRE };
	int fd = args[1];
	long ret;

	ret = uf_ioctl(fd, UFIBER_IOC_WAIT, &w);
	if (ret >= 0)
		ret = do_map(args);
	return ret ? ret : uf_ioctl(fd, UFIBER_IOC_UNREGISTER, NULL);
}

static bool all_done(void *arg)
{
	struct uf_thread *t = arg;
	int i;

	for (i = 0; i < MAPPERS; i++)
		if (!uf_is_done(&t[i]))
			return false;
	return true;
}

TEST(address_space_lock)
{
	static struct uf_thread t[MAPPERS];
	__u64 blocks = 0;
	int i, status;
	pid_t pid;

	UF_BEGIN(&d);
	UF_OPEN(&d, 2, MAPPERS);
	munlockall();
	for (i = 0; i < MAPPERS; i++)
		UF_SPAWN(&d, &t[i]);
	for (i = 0; i < MAPPERS; i++)
		uf_order(&t[i], do_map_and_leave, (long)ROUNDS, (long)d.fd);
	while (!all_done(t)) {
		pid = uf_fork();
		if (!pid)
			_exit(0);
		ASSERT_LT(0, pid);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		blocks = d.servers[0].blocks + d.servers[1].blocks;
	}
	for (i = 0; i < MAPPERS; i++) {
		ASSERT_DONE(0, &t[i]);
		uf_join(&t[i]);
	}
	/* They did wait for it. */
	EXPECT_LT(0, blocks);
	ASSERT_AGREES(&d);
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	ASSERT_SERVER(&d, 1, VACANT, UFIBER_NONE);
	uf_close(&d);
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

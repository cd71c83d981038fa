// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Each system call that a stack needs fails, one after the other: there is a
 * guarded stack all the same, or there is -ENOMEM, and nothing is lost. The
 * linker gives us the calls first (see tests.mk).
 */
#include "guard_test.h"

#include <stdarg.h>
#include <sys/ioctl.h>

GUARD_FIXTURE(stack_fault)

/* Calls until one fails, if it is not 0; and calls so far. */
static atomic_int fail_at;
static atomic_int calls;
static atomic_int failed;
/* Bytes that are mapped. */
static atomic_long mapped;

static bool fails(void)
{
	if (atomic_fetch_add(&calls, 1) + 1 != fail_at)
		return false;
	atomic_fetch_add(&failed, 1);
	errno = ENOMEM;
	return true;
}

void *__real_mmap(void *start, size_t size, int prot, int flags, int fd,
		  off_t offset);
void *__wrap_mmap(void *start, size_t size, int prot, int flags, int fd,
		  off_t offset);
void *__wrap_mmap(void *start, size_t size, int prot, int flags, int fd,
		  off_t offset)
{
	void *map = fails() ? MAP_FAILED :
			      __real_mmap(start, size, prot, flags, fd, offset);

	if (map != MAP_FAILED)
		atomic_fetch_add(&mapped, size);
	return map;
}

int __real_munmap(void *start, size_t size);
int __wrap_munmap(void *start, size_t size);
int __wrap_munmap(void *start, size_t size)
{
	int error = __real_munmap(start, size);

	if (!error)
		atomic_fetch_sub(&mapped, size);
	return error;
}

int __real_madvise(void *start, size_t size, int advice);
int __wrap_madvise(void *start, size_t size, int advice);
int __wrap_madvise(void *start, size_t size, int advice)
{
	return fails() ? -1 : __real_madvise(start, size, advice);
}

int __real_mprotect(void *start, size_t size, int prot);
int __wrap_mprotect(void *start, size_t size, int prot);
int __wrap_mprotect(void *start, size_t size, int prot)
{
	return fails() ? -1 : __real_mprotect(start, size, prot);
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	return fails() ? -1 : __real_ioctl(fd, request, arg);
}

/* It passes six arguments on, whether the caller gave so many or not. */
long __real_syscall(long nr, ...);
long __wrap_syscall(long nr, ...) __attribute__((no_sanitize_address));
long __wrap_syscall(long nr, ...)
{
	long arg[6];
	va_list args;
	int i;

	if (nr == SYS_userfaultfd && fails())
		return -1;
	va_start(args, nr);
	for (i = 0; i < ARRAY_SIZE(arg); i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	return __real_syscall(nr, arg[0], arg[1], arg[2], arg[3], arg[4],
			      arg[5]);
}

static void *nothing(void *arg)
{
	return NULL;
}

static int count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 100; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Fibers with a stack of that size, the @n-th call failing. Returns whether one did. */
static bool create_failing(struct __test_metadata *_metadata, size_t size, int n)
{
	struct uf_attr attr = { .size = sizeof(attr), .stack_size = size };
	struct uf_fiber *fibers[3];
	struct uf_runtime *rt;
	int error, i;

	CREATE_RUNTIME(&rt, 1);
	calls = failed = 0;
	fail_at = n;
	for (i = 0; i < ARRAY_SIZE(fibers); i++) {
		error = uf_create(rt, &fibers[i], &attr, nothing, NULL);
		EXPECT_TRUE(!error || (error == -ENOMEM && failed));
		if (error)
			fibers[i] = NULL;
		else
			EXPECT_TRUE(is_guarded(fibers[i]));
	}
	fail_at = 0;
	for (i = 0; i < ARRAY_SIZE(fibers); i++) {
		/* Once it does not fail any more, it goes on as if it never had. */
		if (!fibers[i])
			ASSERT_EQ(0, uf_create(rt, &fibers[i], &attr, nothing,
					       NULL));
		EXPECT_TRUE(is_guarded(fibers[i]));
		JOIN(fibers[i]);
	}
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	return failed;
}

static void fail_each(struct __test_metadata *_metadata, size_t size)
{
	long mapped_before;
	int fds, n;

	EXPECT_FALSE(create_failing(_metadata, size, 0));
	mapped_before = mapped;
	fds = count_fds();
	for (n = 1; create_failing(_metadata, size, n); n++) {
		EXPECT_EQ(mapped_before, mapped);
		EXPECT_EQ(fds, count_fds());
	}
	TH_LOG("%d calls", n - 1);
	EXPECT_LT(3, n);
}

TEST_F(stack_fault, default_size)
{
	fail_each(_metadata, 0);
}

TEST_F(stack_fault, large)
{
	fail_each(_metadata, 3 << 20);
}

TEST_HARNESS_MAIN

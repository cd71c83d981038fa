/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* For tests of what guards a stack: each way to do it, on any kernel that has it. */
#ifndef GUARD_TEST_H
#define GUARD_TEST_H

#include "deny.h"
/* Both name this attribute. */
#undef __printf
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Whether the kernel has MADV_GUARD_INSTALL. */
static inline bool have_markers(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *map = mmap(NULL, page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool have = !madvise(map, page, MADV_GUARD_INSTALL);

	munmap(map, page);
	return have;
}

/* From now on the process can make guards in no better way than @guard. */
static inline int allow_guard(enum uf_guard guard)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_GUARD_INSTALL, 2, 1),
		BPF_STMT(BPF_RET | BPF_K, guard == UF_GUARD_MPROTECT ?
						  SECCOMP_RET_ERRNO | EPERM :
						  SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
	};

	if (guard == UF_GUARD_MARKER)
		return 0;
	return install_filter(filter, ARRAY_SIZE(filter));
}

/* clang-format off */
/* Each test once for each way to make guards. */
#define GUARD_FIXTURE(name)						\
	FIXTURE(name) { };						\
	FIXTURE_VARIANT(name) { enum uf_guard guard; };			\
	FIXTURE_VARIANT_ADD(name, marker) { .guard = UF_GUARD_MARKER };	\
	FIXTURE_VARIANT_ADD(name, uffd) { .guard = UF_GUARD_UFFD };	\
	FIXTURE_VARIANT_ADD(name, mprotect) {				\
		.guard = UF_GUARD_MPROTECT				\
	};								\
									\
	FIXTURE_SETUP(name)						\
	{								\
		if (variant->guard == UF_GUARD_MARKER && !have_markers()) \
			SKIP(return, "MADV_GUARD_INSTALL needs Linux 6.13"); \
		ASSERT_EQ(0, allow_guard(variant->guard));		\
	}								\
									\
	FIXTURE_TEARDOWN(name)						\
	{								\
	}
/* clang-format on */

/*
 * Whether a stack has a guard: a system call that would write to the page fails,
 * and one that writes to the page above does not.
 */
static inline bool is_guarded(const struct uf_fiber *fiber)
{
	int zero = open("/dev/zero", O_RDONLY);
	char *stack = fiber->stack;
	bool guarded;

	guarded = read(zero, stack - 1, 1) < 0 && errno == EFAULT &&
		  read(zero, stack - sysconf(_SC_PAGESIZE), 1) < 0 &&
		  errno == EFAULT && read(zero, stack, 1) == 1;
	close(zero);
	return guarded;
}

#endif /* GUARD_TEST_H */

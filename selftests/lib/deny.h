/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* For tests of what is not permitted: system calls that fail from now on, by seccomp. */
#ifndef DENY_H
#define DENY_H

#include "lib_test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

/* Emulators of user space have no filters; then the test is skipped. */
static inline int install_filter(struct sock_filter *filter, unsigned int len)
{
	struct sock_fprog program = { len, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 0;
	if (errno == EINVAL && prctl(PR_GET_SECCOMP) < 0)
		lib_test_skip(
			"there are no seccomp filters here to deny a system call with");
	return -errno;
}

/* From now on, and for good, a system call fails with @error. */
static inline int deny_call(int call, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install_filter(filter, ARRAY_SIZE(filter));
}

#endif /* DENY_H */

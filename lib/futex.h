/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef UF_FUTEX_H
#define UF_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word is value; may return early. */
static inline void uf_futex_wait(uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

/*
 * The same until a time of CLOCK_MONOTONIC, or UINT64_MAX for ever. Returns 0 or
 * a negative errno, -ETIMEDOUT among them.
 */
static inline int uf_futex_wait_until(uint32_t *word, uint32_t value,
				      uint64_t deadline)
{
	struct timespec ts = {
		.tv_sec = deadline / 1000000000,
		.tv_nsec = deadline % 1000000000,
	};

	int saved = errno, error = 0;

	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value,
		    deadline == UINT64_MAX ? NULL : &ts, NULL,
		    FUTEX_BITSET_MATCH_ANY))
		error = -errno;
	errno = saved;
	return error;
}

/* Only the address is used: *word may be gone already. */
static inline void uf_futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif /* UF_FUTEX_H */

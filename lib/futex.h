/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef UF_FUTEX_H
#define UF_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleeps while *word is value; may return early. */
static inline void uf_futex_wait(uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

/* Only the address is used: *word may be gone already. */
static inline void uf_futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif /* UF_FUTEX_H */

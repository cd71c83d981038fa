/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A spin lock in a uint32_t, 0 when free.
 *
 * Invariant: a thread of a runtime takes one only inside the critical section
 * (uf_enter()), so its holder always has a server and goes on; a lock that a
 * thread could hold while it waits for a server would deadlock with the
 * spinner that has it. For the same reason nothing here, and nothing else in a
 * critical section, may wait for a lock that fiber code can hold: malloc()'s,
 * stdio's, the thread library's.
 */
#ifndef UF_SPIN_H
#define UF_SPIN_H

#include <sched.h>
#include <stdint.h>

#include "cpu.h"
#include "atomic.h"

/* Turns before the holder is presumed to be preempted. */
#define UF_SPIN_TURNS 128

/* Until the word is 0, which whoever has set it sees to soon (acquire). */
static __attribute__((noinline, cold, unused)) void
uf_spin_until_zero(uint32_t *word)
{
	unsigned int turn = 0;

	while (smp_load_acquire(word)) {
		if (++turn % UF_SPIN_TURNS)
			uf_cpu_relax();
		else
			sched_yield();
	}
}

static inline void uf_spin_lock(uint32_t *lock)
{
	while (unlikely(xchg(lock, 1)))
		uf_spin_until_zero(lock);
}

static inline void uf_spin_unlock(uint32_t *lock)
{
	smp_store_release(lock, 0);
}

#endif /* UF_SPIN_H */

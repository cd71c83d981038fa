/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Synchronisation, between fibers and plain threads alike. The conventions are told in ufiber.h. */
#ifndef UFIBER_SYNC_H
#define UFIBER_SYNC_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct uf_mutex - a mutual exclusion lock
 *
 * Starts as UF_MUTEX_INIT or all zero; needs no destruction. The lock passes to
 * those that wait in the order they came. Fields are private.
 */
struct uf_mutex {
	uintptr_t owner;
	uint32_t guard;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_MUTEX_INIT \
	{ 0 }
/* clang-format on */

/**
 * uf_mutex_lock - take the mutex, waiting until it is free
 *
 * Context: a fiber (may switch) or any other thread (may block). Returns 0,
 * -EDEADLK (the caller has it); the _until form also -ETIMEDOUT; trylock never
 * waits: -EBUSY.
 */
int uf_mutex_lock(struct uf_mutex *mutex);
int uf_mutex_lock_until(struct uf_mutex *mutex, uint64_t deadline);
int uf_mutex_trylock(struct uf_mutex *mutex);

/**
 * uf_mutex_unlock - give the mutex to the first waiter, or free it
 *
 * Never switches. Returns 0 or -EPERM (the caller does not have it).
 */
int uf_mutex_unlock(struct uf_mutex *mutex);

/**
 * struct uf_sem - a counting semaphore
 *
 * Starts as UF_SEM_INIT(value); needs no destruction. Fields are private.
 */
struct uf_sem {
	uint32_t guard;
	uint32_t value;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_SEM_INIT(v) \
	{ .value = (v) }
/* clang-format on */

/**
 * uf_sem_wait - take one, waiting while there is none
 *
 * Those that wait are served in the order they came. Context: a fiber (may
 * switch) or any other thread (may block). Returns 0; the _until form also
 * -ETIMEDOUT; trywait never waits: -EAGAIN.
 */
int uf_sem_wait(struct uf_sem *sem);
int uf_sem_wait_until(struct uf_sem *sem, uint64_t deadline);
int uf_sem_trywait(struct uf_sem *sem);

/**
 * uf_sem_post - give one back, or add one
 *
 * Context: any thread, fiber or not; never switches. Returns 0 or -EOVERFLOW.
 */
int uf_sem_post(struct uf_sem *sem);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_SYNC_H */

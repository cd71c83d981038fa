// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The mutex. Its word is 0 or the owner's address, with UF_CONTENDED set while
 * somebody may wait: then who unlocks it hands it to the first of them.
 *
 * The bit is set, and taken away, under the guard only. So if the owner's
 * unlocking swap finds the bit clear there is no waiter, and who is about to
 * become one finds the word 0 when it tries to set the bit.
 */
#include <errno.h>

#include "wait.h"

#define UF_CONTENDED ((uintptr_t)1)

static bool lock_free(struct uf_mutex *mutex, uintptr_t self)
{
	return cmpxchg(&mutex->owner, 0, self) == 0;
}

static bool owned(const struct uf_mutex *mutex, uintptr_t self)
{
	return (READ_ONCE(mutex->owner) & ~UF_CONTENDED) == self;
}

/* Take it, or tell its owner that there is who waits; the guard is held. */
static bool lock_or_contend(struct uf_mutex *mutex, uintptr_t self)
{
	uintptr_t old = READ_ONCE(mutex->owner), word;

	do {
		word = old;
		old = cmpxchg(&mutex->owner, word,
			      word ? word | UF_CONTENDED : self);
	} while (old != word);
	return !word;
}

static int lock_slow(struct uf_mutex *mutex, uintptr_t self, uint64_t deadline)
{
	struct uf_waiter waiter = { .data = (void *)self };
	struct uf_thread *t;
	int error = 0;

	if (owned(mutex, self))
		return -EDEADLK;
	t = uf_enter();
	uf_spin_lock(&mutex->guard);
	if (lock_or_contend(mutex, self))
		uf_spin_unlock(&mutex->guard);
	else
		error = uf_wait_on(&t, &mutex->guard, &mutex->waiters, &waiter,
				   deadline);
	uf_leave(t);
	return error;
}

int uf_mutex_lock_until(struct uf_mutex *mutex, uint64_t deadline)
{
	uintptr_t self = (uintptr_t)uf_caller();

	if (likely(lock_free(mutex, self)))
		return 0;
	return lock_slow(mutex, self, deadline);
}

int uf_mutex_lock(struct uf_mutex *mutex)
{
	return uf_mutex_lock_until(mutex, UF_FOREVER);
}

int uf_mutex_trylock(struct uf_mutex *mutex)
{
	return lock_free(mutex, (uintptr_t)uf_caller()) ? 0 : -EBUSY;
}

/*
 * Those that wait are served in the order they came; it is not free in between.
 * If nobody does any more, the caller keeps it, without the bit: as soon as it is
 * free somebody else may take it and destroy it, guard and all.
 *
 * Returns true if it has been handed over.
 */
static bool hand_over(struct uf_mutex *mutex, uintptr_t self)
{
	struct uf_thread *t = uf_enter();
	struct uf_waiter *next;

	uf_spin_lock(&mutex->guard);
	next = uf_waitq_claim(&mutex->waiters);
	if (next)
		self = (uintptr_t)next->data;
	if (!uf_waitq_empty(&mutex->waiters))
		self |= UF_CONTENDED;
	smp_store_release(&mutex->owner, self);
	uf_spin_unlock(&mutex->guard);
	if (next)
		uf_wait_wake(t, next->wait);
	uf_leave(t);
	return next;
}

int uf_mutex_unlock(struct uf_mutex *mutex)
{
	uintptr_t self = (uintptr_t)uf_caller();

	if (unlikely(!owned(mutex, self)))
		return -EPERM;
	while (unlikely(cmpxchg(&mutex->owner, self, 0) != self))
		if (hand_over(mutex, self))
			break;
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The mutex. Its word is 0 or the owner's address, with UF_CONTENDED set while
 * somebody may wait: then who unlocks it hands it to the first of them.
 *
 * The bit is set, and taken away, under the guard only. So if the owner's
 * unlocking swap finds the bit clear there is no waiter, and who is about to
 * become one finds the word 0 when it tries to set the bit.
 *
 * The depth is 0 unless the mutex is recursive; then 1, and 1 more for each time
 * that its owner has locked it again. It is the owner's.
 */
#include "mutex.h"

#include <errno.h>

#define UF_CONTENDED ((uintptr_t)1)

/*
 * A waiter's data is who it is; with this, its wait has been claimed already and
 * nothing but the mutex ends it. (It comes from a condition variable.)
 */
#define UF_CLAIMED_BEFORE ((uintptr_t)1)

static const struct uf_what a_mutex = { "mutex",
					offsetof(struct uf_mutex, guard) };

static bool lock_free(struct uf_mutex *mutex, uintptr_t self)
{
	return cmpxchg(&mutex->owner, 0, self) == 0;
}

static bool owned(const struct uf_mutex *mutex, uintptr_t self)
{
	return (READ_ONCE(mutex->owner) & ~UF_CONTENDED) == self;
}

bool uf_mutex_is_owned(const struct uf_mutex *mutex, void *self)
{
	return owned(mutex, (uintptr_t)self);
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

/* By who has it already. */
static int lock_again(struct uf_mutex *mutex)
{
	if (!mutex->depth)
		return -EDEADLK;
	if (mutex->depth == UINT32_MAX)
		return -EOVERFLOW;
	mutex->depth++;
	return 0;
}

static __attribute__((noinline)) int lock_slow(struct uf_mutex *mutex,
					       uintptr_t self, uint64_t deadline)
{
	struct uf_waiter waiter = { .data = (void *)self };
	struct uf_thread *t;
	int error = 0;

	if (owned(mutex, self))
		return lock_again(mutex);
	t = uf_enter();
	uf_spin_lock(&mutex->guard);
	if (lock_or_contend(mutex, self))
		uf_spin_unlock(&mutex->guard);
	else
		error = uf_wait_on(&t, &a_mutex, &mutex->guard, &mutex->waiters,
				   &waiter, deadline);
	uf_leave(t);
	return error;
}

int uf_mutex_lock_until(struct uf_mutex *mutex, uint64_t deadline)
{
	uintptr_t self;

	UF_CHECK(MUTEX, mutex);
	self = (uintptr_t)uf_caller();
	if (likely(lock_free(mutex, self)))
		return 0;
	return lock_slow(mutex, self, deadline);
}

int uf_mutex_lock(struct uf_mutex *mutex)
{
	uintptr_t self;

	UF_CHECK(MUTEX, mutex);
	self = (uintptr_t)uf_caller();
	if (likely(lock_free(mutex, self)))
		return 0;
	return lock_slow(mutex, self, UF_FOREVER);
}

int uf_mutex_trylock(struct uf_mutex *mutex)
{
	uintptr_t self;

	UF_CHECK(MUTEX, mutex);
	self = (uintptr_t)uf_caller();
	if (lock_free(mutex, self))
		return 0;
	if (mutex->depth && owned(mutex, self))
		return lock_again(mutex);
	return -EBUSY;
}

/* Who gets it next, claimed, or NULL; the guard is held. */
static struct uf_waiter *next_owner(struct uf_mutex *mutex)
{
	struct uf_waiter *waiter;

	while ((waiter = mutex->waiters.head)) {
		uf_waitq_remove(waiter);
		if ((uintptr_t)waiter->data & UF_CLAIMED_BEFORE) {
			WRITE_ONCE(waiter->wait->state, UF_CLAIMED);
			return waiter;
		}
		if (uf_wait_claim(waiter->wait))
			return waiter;
	}
	return NULL;
}

/*
 * Those that wait are served in the order they came; it is not free in between.
 * If nobody does any more, the caller keeps it, without the bit: as soon as it is
 * free somebody else may take it and destroy it, guard and all.
 *
 * Returns true if it has been handed over.
 */
static bool hand_over(struct uf_thread *t, struct uf_mutex *mutex,
		      uintptr_t self)
{
	struct uf_waiter *next;

	uf_spin_lock(&mutex->guard);
	next = next_owner(mutex);
	if (next)
		self = (uintptr_t)next->data & ~UF_CLAIMED_BEFORE;
	if (!uf_waitq_empty(&mutex->waiters))
		self |= UF_CONTENDED;
	smp_store_release(&mutex->owner, self);
	uf_spin_unlock(&mutex->guard);
	if (next)
		uf_wait_wake(t, next->wait);
	return next;
}

static bool unlock_free(struct uf_mutex *mutex, uintptr_t self)
{
	return cmpxchg(&mutex->owner, self, 0) == self;
}

/**
 * uf_mutex_release - unlock a mutex, in the critical section
 * @t: the calling thread; NULL for a plain thread.
 * @mutex: the mutex.
 * @self: the caller, its owner; if recursive, only once.
 */
void uf_mutex_release(struct uf_thread *t, struct uf_mutex *mutex, void *self)
{
	while (!unlock_free(mutex, (uintptr_t)self))
		if (hand_over(t, mutex, (uintptr_t)self))
			break;
}

static __attribute__((noinline)) void unlock_slow(struct uf_mutex *mutex,
						  uintptr_t self)
{
	struct uf_thread *t = uf_enter();

	if (!hand_over(t, mutex, self))
		uf_mutex_release(t, mutex, (void *)self);
	uf_leave(t);
}

int uf_mutex_unlock(struct uf_mutex *mutex)
{
	uintptr_t self;

	UF_CHECK(MUTEX, mutex);
	self = (uintptr_t)uf_caller();
	if (unlikely(!owned(mutex, self)))
		return -EPERM;
	if (unlikely(mutex->depth > 1)) {
		mutex->depth--;
		return 0;
	}
	if (unlikely(!unlock_free(mutex, self)))
		unlock_slow(mutex, self);
	return 0;
}

/**
 * uf_mutex_requeue - have a wait end with the mutex
 * @t: the calling thread, in the critical section; NULL for a plain thread.
 * @mutex: the mutex.
 * @waiter: of a claimed wait, in no queue; its data is who waits.
 *
 * It is woken when it has the mutex: now, or when its turn comes.
 */
void uf_mutex_requeue(struct uf_thread *t, struct uf_mutex *mutex,
		      struct uf_waiter *waiter)
{
	uintptr_t who = (uintptr_t)waiter->data;
	bool taken;

	uf_spin_lock(&mutex->guard);
	taken = lock_or_contend(mutex, who);
	if (!taken) {
		waiter->data = (void *)(who | UF_CLAIMED_BEFORE);
		WRITE_ONCE(waiter->wait->what, &a_mutex);
		WRITE_ONCE(waiter->wait->on, &mutex->guard);
		WRITE_ONCE(waiter->wait->state, UF_WAIT_MUTEX);
		uf_waitq_add(&mutex->waiters, waiter);
	}
	uf_spin_unlock(&mutex->guard);
	if (taken)
		uf_wait_wake(t, waiter->wait);
}

/**
 * uf_mutex_relock - take the mutex, whatever happens
 * @t: the calling thread, in the critical section; updated. Or NULL in it.
 * @mutex: the mutex.
 * @self: the caller, which does not have it.
 */
void uf_mutex_relock(struct uf_thread **t, struct uf_mutex *mutex, void *self)
{
	struct uf_waiter waiter = { .data = (void *)((uintptr_t)self |
						     UF_CLAIMED_BEFORE) };
	struct uf_wait own;

	uf_spin_lock(&mutex->guard);
	if (lock_or_contend(mutex, (uintptr_t)self)) {
		uf_spin_unlock(&mutex->guard);
		return;
	}
	waiter.wait = uf_wait_begin_claimed(*t, &own, &a_mutex, &mutex->guard);
	uf_waitq_add(&mutex->waiters, &waiter);
	uf_spin_unlock(&mutex->guard);
	uf_wait_end(t, waiter.wait, UF_FOREVER);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The reader-writer lock. Whoever comes while somebody waits waits, too, behind
 * them; and whenever the lock or its queue changes the queue's head is let in as
 * far as it can be (let_in()). So while the guard is free, who is first in the queue
 * cannot go.
 *
 * Who the readers are is known by the sum of their hashes alone: enough to tell
 * that all of them are one and the same.
 */
#include <errno.h>

#include "wait.h"

/* In a waiter's data, which is who it is. */
#define UF_WRITES ((uintptr_t)1)

/* That sums of different ones meet by chance must be as good as impossible. */
static uint64_t hash(uintptr_t who)
{
	uint64_t x = who;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

static bool is_only_reader(const struct uf_rwlock *lock, uintptr_t who)
{
	return lock->readers && lock->holders == lock->readers * hash(who);
}

static bool is_free_for(const struct uf_rwlock *lock, uintptr_t writes)
{
	return !lock->writer && !(writes && lock->readers);
}

static void take(struct uf_rwlock *lock, uintptr_t who, uintptr_t writes)
{
	if (writes) {
		lock->writer = who;
	} else {
		lock->readers++;
		lock->holders += hash(who);
	}
}

/* The last reader waits in the queue: to write, or behind who does. */
static void refuse_upgrade(struct uf_rwlock *lock, struct uf_waitq *claimed)
{
	struct uf_waiter *waiter;

	for (waiter = lock->waiters.head; waiter; waiter = waiter->next) {
		if (!is_only_reader(lock, (uintptr_t)waiter->data & ~UF_WRITES))
			continue;
		uf_waitq_remove(waiter);
		if (uf_wait_claim(waiter->wait)) {
			waiter->wait->error = -EDEADLK;
			uf_waitq_collect(claimed, waiter);
		}
		return;
	}
}

/* Claims those that have it now, or shall not get it; the guard is held. */
static struct uf_waitq let_in(struct uf_rwlock *lock)
{
	struct uf_waitq claimed = { 0 };
	struct uf_waiter *waiter;

	while ((waiter = lock->waiters.head)) {
		uintptr_t writes = (uintptr_t)waiter->data & UF_WRITES;

		if (!is_free_for(lock, writes))
			break;
		uf_waitq_remove(waiter);
		if (!uf_wait_claim(waiter->wait))
			continue;
		take(lock, (uintptr_t)waiter->data & ~UF_WRITES, writes);
		uf_waitq_collect(&claimed, waiter);
	}
	if (lock->readers == 1)
		refuse_upgrade(lock, &claimed);
	return claimed;
}

/* The guard is held. Returns -EAGAIN if there is to be waited. */
static int try(struct uf_rwlock *lock, uintptr_t self, uintptr_t writes)
{
	if (uf_waitq_empty(&lock->waiters) && is_free_for(lock, writes)) {
		if (unlikely(lock->readers == UINT32_MAX))
			return -EOVERFLOW;
		take(lock, self, writes);
		return 0;
	}
	if (lock->writer == self || is_only_reader(lock, self))
		return -EDEADLK;
	return -EAGAIN;
}

/* Who gives up may have been what those behind it waited for. */
static int wait_for(struct uf_thread **t, struct uf_rwlock *lock, uintptr_t who,
		    uint64_t deadline)
{
	struct uf_waiter waiter = { .data = (void *)who };
	struct uf_waitq claimed;
	int error;

	error = uf_wait_on(t, UF_WHAT("rwlock", struct uf_rwlock), &lock->guard,
			   &lock->waiters, &waiter, deadline);
	if (!error)
		return 0;
	uf_spin_lock(&lock->guard);
	claimed = let_in(lock);
	uf_spin_unlock(&lock->guard);
	uf_wait_wake_all(*t, &claimed);
	return error;
}

static int lock_until(struct uf_rwlock *lock, uintptr_t writes,
		      uint64_t deadline)
{
	struct uf_thread *t = uf_enter();
	uintptr_t self = (uintptr_t)uf_caller();
	int error;

	uf_spin_lock(&lock->guard);
	error = try(lock, self, writes);
	if (error == -EAGAIN)
		error = wait_for(&t, lock, self | writes, deadline);
	else
		uf_spin_unlock(&lock->guard);
	uf_leave(t);
	return error;
}

static int trylock(struct uf_rwlock *lock, uintptr_t writes)
{
	struct uf_thread *t = uf_enter();
	int error;

	uf_spin_lock(&lock->guard);
	error = try(lock, (uintptr_t)uf_caller(), writes);
	uf_spin_unlock(&lock->guard);
	uf_leave(t);
	return error == -EAGAIN || error == -EDEADLK ? -EBUSY : error;
}

int uf_rwlock_rdlock_until(struct uf_rwlock *lock, uint64_t deadline)
{
	UF_CHECK(RWLOCK, lock);
	return lock_until(lock, 0, deadline);
}

int uf_rwlock_rdlock(struct uf_rwlock *lock)
{
	UF_CHECK(RWLOCK, lock);
	return lock_until(lock, 0, UF_FOREVER);
}

int uf_rwlock_tryrdlock(struct uf_rwlock *lock)
{
	UF_CHECK(RWLOCK, lock);
	return trylock(lock, 0);
}

int uf_rwlock_wrlock_until(struct uf_rwlock *lock, uint64_t deadline)
{
	UF_CHECK(RWLOCK, lock);
	return lock_until(lock, UF_WRITES, deadline);
}

int uf_rwlock_wrlock(struct uf_rwlock *lock)
{
	UF_CHECK(RWLOCK, lock);
	return lock_until(lock, UF_WRITES, UF_FOREVER);
}

int uf_rwlock_trywrlock(struct uf_rwlock *lock)
{
	UF_CHECK(RWLOCK, lock);
	return trylock(lock, UF_WRITES);
}

/* The guard is held. */
static int give_up(struct uf_rwlock *lock, uintptr_t self)
{
	if (lock->writer) {
		if (lock->writer != self)
			return -EPERM;
		lock->writer = 0;
		return 0;
	}
	if (!lock->readers ||
	    (lock->readers == 1 && !is_only_reader(lock, self)))
		return -EPERM;
	lock->readers--;
	lock->holders -= hash(self);
	return 0;
}

int uf_rwlock_unlock(struct uf_rwlock *lock)
{
	struct uf_thread *t;
	struct uf_waitq claimed = { 0 };
	int error;

	UF_CHECK(RWLOCK, lock);
	t = uf_enter();
	uf_spin_lock(&lock->guard);
	error = give_up(lock, (uintptr_t)uf_caller());
	if (!error && !uf_waitq_empty(&lock->waiters))
		claimed = let_in(lock);
	uf_spin_unlock(&lock->guard);
	uf_wait_wake_all(t, &claimed);
	uf_leave(t);
	return error;
}

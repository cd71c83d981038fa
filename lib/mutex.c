// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The mutex: handed on to the first waiter by who unlocks it. */
#include <errno.h>

#include "waitq.h"

static bool try_lock(void *object, struct uf_fiber *self)
{
	struct uf_mutex *mutex = object;

	if (mutex->locked)
		return false;
	mutex->locked = 1;
	WRITE_ONCE(mutex->owner, self);
	return true;
}

/* Only the owner itself can make this true or false for it: no guard needed. */
static bool owned(const struct uf_mutex *mutex, const struct uf_fiber *self)
{
	return READ_ONCE(mutex->owner) == self;
}

/* The guard is held, and the mutex by somebody else. */
static int lock_slow(struct uf_thread **t, struct uf_mutex *mutex,
		     uint64_t deadline)
{
	if (owned(mutex, (*t)->current)) {
		uf_spin_unlock(&mutex->guard);
		return -EDEADLK;
	}
	if (deadline == UF_FOREVER) {
		*t = uf_waitq_wait(*t, &mutex->guard, &mutex->waiters);
		return 0;
	}
	return uf_waitq_wait_until(t, &mutex->guard, &mutex->waiters, deadline,
				   try_lock, mutex);
}

int uf_mutex_lock_until(struct uf_mutex *mutex, uint64_t deadline)
{
	struct uf_thread *t = uf_enter();
	int error = 0;

	if (!t)
		return -EPERM;
	uf_spin_lock(&mutex->guard);
	if (likely(try_lock(mutex, t->current)))
		uf_spin_unlock(&mutex->guard);
	else
		error = lock_slow(&t, mutex, deadline);
	uf_leave(t);
	return error;
}

int uf_mutex_lock(struct uf_mutex *mutex)
{
	return uf_mutex_lock_until(mutex, UF_FOREVER);
}

int uf_mutex_trylock(struct uf_mutex *mutex)
{
	struct uf_thread *t = uf_enter();
	int error = 0;

	if (!t)
		return -EPERM;
	uf_spin_lock(&mutex->guard);
	if (!try_lock(mutex, t->current))
		error = -EBUSY;
	uf_spin_unlock(&mutex->guard);
	uf_leave(t);
	return error;
}

int uf_mutex_unlock(struct uf_mutex *mutex)
{
	struct uf_thread *t = uf_enter();
	struct uf_fiber *next;

	if (!t)
		return -EPERM;
	if (!owned(mutex, t->current)) {
		uf_leave(t);
		return -EPERM;
	}
	uf_spin_lock(&mutex->guard);
	next = uf_waitq_pop(&mutex->waiters);
	WRITE_ONCE(mutex->owner, next);
	mutex->locked = next != NULL;
	uf_spin_unlock(&mutex->guard);
	if (next)
		uf_ready(t, next, UF_WOKEN_BY_FIBER);
	uf_leave(t);
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The semaphore: while fibers wait its value is 0, and a post goes to one. */
#include <errno.h>

#include "waitq.h"

static bool try_take(void *object, struct uf_fiber *self)
{
	struct uf_sem *sem = object;

	(void)self;
	if (!sem->value)
		return false;
	sem->value--;
	return true;
}

static int wait_slow(struct uf_thread **t, struct uf_sem *sem, uint64_t deadline)
{
	if (deadline == UF_FOREVER) {
		*t = uf_waitq_wait(*t, &sem->guard, &sem->waiters);
		return 0;
	}
	return uf_waitq_wait_until(t, &sem->guard, &sem->waiters, deadline,
				   try_take, sem);
}

int uf_sem_wait_until(struct uf_sem *sem, uint64_t deadline)
{
	struct uf_thread *t = uf_enter();
	int error = 0;

	if (!t)
		return -EPERM;
	uf_spin_lock(&sem->guard);
	if (likely(try_take(sem, NULL)))
		uf_spin_unlock(&sem->guard);
	else
		error = wait_slow(&t, sem, deadline);
	uf_leave(t);
	return error;
}

int uf_sem_wait(struct uf_sem *sem)
{
	return uf_sem_wait_until(sem, UF_FOREVER);
}

int uf_sem_trywait(struct uf_sem *sem)
{
	struct uf_thread *t = uf_enter();
	bool taken;

	uf_spin_lock(&sem->guard);
	taken = try_take(sem, NULL);
	uf_spin_unlock(&sem->guard);
	uf_leave(t);
	return taken ? 0 : -EAGAIN;
}

int uf_sem_post(struct uf_sem *sem)
{
	struct uf_thread *t = uf_enter();
	struct uf_fiber *next;
	int error = 0;

	uf_spin_lock(&sem->guard);
	next = uf_waitq_pop(&sem->waiters);
	if (!next) {
		if (sem->value == UINT32_MAX)
			error = -EOVERFLOW;
		else
			sem->value++;
	}
	uf_spin_unlock(&sem->guard);
	if (next)
		uf_ready(t, next, UF_WOKEN_BY_FIBER);
	uf_leave(t);
	return error;
}

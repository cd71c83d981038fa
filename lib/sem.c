// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The semaphore: while somebody waits its value is 0, and a post goes to the first. */
#include <errno.h>

#include "wait.h"

int uf_sem_wait_until(struct uf_sem *sem, uint64_t deadline)
{
	struct uf_thread *t;

	UF_CHECK(SEM, sem);
	t = uf_enter();
	uf_spin_lock(&sem->guard);
	if (!sem->value)
		return uf_wait_and_leave(t, UF_WHAT("semaphore", struct uf_sem),
					 &sem->guard, &sem->waiters, NULL,
					 deadline);
	sem->value--;
	uf_spin_unlock(&sem->guard);
	uf_leave(t);
	return 0;
}

int uf_sem_wait(struct uf_sem *sem)
{
	UF_CHECK(SEM, sem);
	return uf_sem_wait_until(sem, UF_FOREVER);
}

int uf_sem_trywait(struct uf_sem *sem)
{
	struct uf_thread *t;
	bool taken;

	UF_CHECK(SEM, sem);
	t = uf_enter();
	uf_spin_lock(&sem->guard);
	taken = sem->value;
	sem->value -= taken;
	uf_spin_unlock(&sem->guard);
	uf_leave(t);
	return taken ? 0 : -EAGAIN;
}

int uf_sem_post(struct uf_sem *sem)
{
	struct uf_thread *t;
	struct uf_waiter *next;
	int error = 0;

	UF_CHECK(SEM, sem);
	t = uf_enter();
	uf_spin_lock(&sem->guard);
	next = uf_waitq_claim(&sem->waiters);
	if (!next) {
		if (sem->value == UINT32_MAX)
			error = -EOVERFLOW;
		else
			sem->value++;
	}
	uf_spin_unlock(&sem->guard);
	if (next)
		return uf_wait_wake_and_leave(t, next->wait);
	uf_leave(t);
	return error;
}

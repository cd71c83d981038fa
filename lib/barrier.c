// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The barrier. The last to come ends the waits of the others; which turn that was
 * tells one whose deadline came at the same time that it has been counted.
 */
#include <errno.h>

#include "wait.h"

/* The guard is held, and released. */
static void open_barrier(struct uf_thread *t, struct uf_barrier *barrier)
{
	struct uf_waitq claimed;

	barrier->here = 0;
	barrier->turn++;
	claimed = uf_waitq_claim_all(&barrier->waiters, 0);
	uf_spin_unlock(&barrier->guard);
	uf_wait_wake_all(t, &claimed);
}

/* The guard is held, and released. */
static int wait_for_others(struct uf_thread **t, struct uf_barrier *barrier,
			   uint64_t deadline)
{
	uint32_t turn = barrier->turn;
	struct uf_waiter waiter;
	int error;

	barrier->here++;
	error = uf_wait_on(t, UF_WHAT("barrier", struct uf_barrier),
			   &barrier->guard, &barrier->waiters, &waiter,
			   deadline);
	if (!error)
		return 0;
	uf_spin_lock(&barrier->guard);
	if (barrier->turn == turn)
		barrier->here--;
	else if (error == -ETIMEDOUT)
		error = 0;
	uf_spin_unlock(&barrier->guard);
	return error;
}

int uf_barrier_wait_until(struct uf_barrier *barrier, uint64_t deadline)
{
	struct uf_thread *t;
	int result = 1;

	UF_CHECK(BARRIER, barrier);
	if (!barrier->members)
		return -EINVAL;
	t = uf_enter();
	uf_spin_lock(&barrier->guard);
	if (barrier->here + 1 >= barrier->members)
		open_barrier(t, barrier);
	else
		result = wait_for_others(&t, barrier, deadline);
	uf_leave(t);
	return result;
}

int uf_barrier_wait(struct uf_barrier *barrier)
{
	UF_CHECK(BARRIER, barrier);
	return uf_barrier_wait_until(barrier, UF_FOREVER);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What is done once. The function runs outside the guard and the critical section. */
#include <errno.h>

#include "wait.h"

enum once_state {
	ONCE_NEW,
	ONCE_RUNS,
	ONCE_DONE,
};

static void run(struct uf_once *once, void (*call)(void *arg), void *arg)
{
	struct uf_waitq claimed;
	struct uf_thread *t;

	call(arg);
	t = uf_enter();
	uf_spin_lock(&once->guard);
	once->runner = NULL;
	smp_store_release(&once->state, ONCE_DONE);
	claimed = uf_waitq_claim_all(&once->waiters, 0);
	uf_spin_unlock(&once->guard);
	uf_wait_wake_all(t, &claimed);
	uf_leave(t);
}

/* Returns 0 if it is done, 1 if the caller is to do it, or an error. */
static int begin(struct uf_once *once, uint64_t deadline)
{
	void *self = uf_caller();
	struct uf_thread *t = uf_enter();
	struct uf_waiter waiter;
	int result = 0;

	uf_spin_lock(&once->guard);
	if (once->state == ONCE_RUNS && once->runner != self) {
		result = uf_wait_on(&t, UF_WHAT("once", struct uf_once),
				    &once->guard, &once->waiters, &waiter,
				    deadline);
		uf_leave(t);
		return result;
	}
	if (once->state == ONCE_NEW) {
		WRITE_ONCE(once->state, ONCE_RUNS);
		once->runner = self;
		result = 1;
	} else if (once->state == ONCE_RUNS) {
		result = -EDEADLK;
	}
	uf_spin_unlock(&once->guard);
	uf_leave(t);
	return result;
}

int uf_once_until(struct uf_once *once, void (*call)(void *arg), void *arg,
		  uint64_t deadline)
{
	int result;

	UF_CHECK(ONCE, once);
	UF_CHECK_GIVEN(call);
	if (likely(smp_load_acquire(&once->state) == ONCE_DONE))
		return 0;
	result = begin(once, deadline);
	if (result != 1)
		return result;
	run(once, call, arg);
	return 0;
}

int uf_once(struct uf_once *once, void (*call)(void *arg), void *arg)
{
	UF_CHECK(ONCE, once);
	UF_CHECK_GIVEN(call);
	return uf_once_until(once, call, arg, UF_FOREVER);
}

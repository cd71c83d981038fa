// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The condition variable. A signal claims the first wait, which by that can end in
 * no other way, and leaves it to the wait's mutex: who waited does not run before
 * it has that, so a broadcast wakes one and not a herd.
 */
#include <errno.h>

#include "mutex.h"

/**
 * struct cond_waiter - who waits for a signal
 * @node: in the condition's queue, then the mutex's; its data is who waits.
 * @mutex: what it needs before it can go on (C).
 */
struct cond_waiter {
	struct uf_waiter node;
	struct uf_mutex *mutex;
};

/*
 * The mutex is released when the wait can be found, so no signal that is sent with
 * the mutex held is missed. The rule of sched.c, that who is about to park
 * wakes nobody, is bent by that: the wake-up waits for the mutex's next owner to
 * be switched away from. That one waits for nobody before it runs again, as it
 * is about to park for the mutex, or has released it here before us. So there is
 * no circle.
 */
static int wait_for_signal(struct uf_thread **t, struct uf_cond *cond,
			   struct cond_waiter *waiter, uint64_t deadline)
{
	struct uf_wait own;
	void *self = waiter->node.data;
	int error;

	uf_spin_lock(&cond->guard);
	waiter->node.wait = uf_wait_begin(*t, &own,
					  UF_WHAT("condition", struct uf_cond),
					  &cond->guard);
	uf_waitq_add(&cond->waiters, &waiter->node);
	uf_spin_unlock(&cond->guard);
	uf_mutex_release(*t, waiter->mutex, self);

	error = uf_wait_end(t, waiter->node.wait, deadline);
	if (error) {
		uf_spin_lock(&cond->guard);
		uf_waitq_remove(&waiter->node);
		uf_spin_unlock(&cond->guard);
		uf_mutex_relock(t, waiter->mutex, self);
	}
	return error;
}

int uf_cond_wait_until(struct uf_cond *cond, struct uf_mutex *mutex,
		       uint64_t deadline)
{
	struct cond_waiter waiter = {
		.node.data = uf_caller(),
		.mutex = mutex,
	};
	struct uf_thread *t;
	uint32_t depth;
	int error;

	UF_CHECK(COND, cond);
	UF_CHECK(MUTEX, mutex);
	if (!uf_mutex_is_owned(mutex, waiter.node.data))
		return -EPERM;
	depth = mutex->depth;
	if (depth)
		mutex->depth = 1;
	t = uf_enter();
	error = wait_for_signal(&t, cond, &waiter, deadline);
	uf_leave(t);
	if (depth)
		mutex->depth = depth;
	return error;
}

int uf_cond_wait(struct uf_cond *cond, struct uf_mutex *mutex)
{
	UF_CHECK(COND, cond);
	UF_CHECK(MUTEX, mutex);
	return uf_cond_wait_until(cond, mutex, UF_FOREVER);
}

static void pass_on(struct uf_thread *t, struct uf_waiter *node)
{
	struct cond_waiter *waiter =
		container_of(node, struct cond_waiter, node);

	uf_mutex_requeue(t, waiter->mutex, node);
}

int uf_cond_signal(struct uf_cond *cond)
{
	struct uf_thread *t;
	struct uf_waiter *first;

	UF_CHECK(COND, cond);
	t = uf_enter();
	uf_spin_lock(&cond->guard);
	first = uf_waitq_claim(&cond->waiters);
	uf_spin_unlock(&cond->guard);
	if (first)
		pass_on(t, first);
	uf_leave(t);
	return 0;
}

int uf_cond_broadcast(struct uf_cond *cond)
{
	struct uf_thread *t;
	struct uf_waiter *waiter, *next;
	struct uf_waitq all;

	UF_CHECK(COND, cond);
	t = uf_enter();
	uf_spin_lock(&cond->guard);
	all = uf_waitq_claim_all(&cond->waiters, 0);
	uf_spin_unlock(&cond->guard);
	for (waiter = all.head; waiter; waiter = next) {
		next = waiter->next;
		pass_on(t, waiter);
	}
	uf_leave(t);
	return 0;
}

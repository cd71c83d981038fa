// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The event. While somebody waits it is not set. It is always looked at under the
 * guard: who has seen it set may free it, and must not while the one who set it
 * still has to release that.
 */
#include <errno.h>

#include "select.h"

/* Returns 0 or -EAGAIN; the guard is held. */
int uf_event_try(struct uf_event *event)
{
	if (!event->set)
		return -EAGAIN;
	event->set = !event->automatic;
	return 0;
}

int uf_event_wait_until(struct uf_event *event, uint64_t deadline)
{
	struct uf_thread *t;

	UF_CHECK(EVENT, event);
	t = uf_enter();
	uf_spin_lock(&event->guard);
	if (uf_event_try(event))
		return uf_wait_and_leave(t, UF_WHAT("event", struct uf_event),
					 &event->guard, &event->waiters, NULL,
					 deadline);
	uf_spin_unlock(&event->guard);
	uf_leave(t);
	return 0;
}

int uf_event_wait(struct uf_event *event)
{
	UF_CHECK(EVENT, event);
	return uf_event_wait_until(event, UF_FOREVER);
}

int uf_event_trywait(struct uf_event *event)
{
	struct uf_thread *t;
	int error;

	UF_CHECK(EVENT, event);
	t = uf_enter();
	uf_spin_lock(&event->guard);
	error = uf_event_try(event);
	uf_spin_unlock(&event->guard);
	uf_leave(t);
	return error;
}

int uf_event_set(struct uf_event *event)
{
	struct uf_thread *t;
	struct uf_waitq claimed = { 0 };
	struct uf_waiter *first = NULL;

	UF_CHECK(EVENT, event);
	t = uf_enter();
	uf_spin_lock(&event->guard);
	if (event->automatic) {
		first = uf_waitq_claim(&event->waiters);
		event->set = !first;
	} else {
		event->set = true;
		claimed = uf_waitq_claim_all(&event->waiters, 0);
	}
	uf_spin_unlock(&event->guard);
	if (first)
		uf_wait_wake(t, first->wait);
	uf_wait_wake_all(t, &claimed);
	uf_leave(t);
	return 0;
}

int uf_event_clear(struct uf_event *event)
{
	struct uf_thread *t;

	UF_CHECK(EVENT, event);
	t = uf_enter();
	uf_spin_lock(&event->guard);
	event->set = false;
	uf_spin_unlock(&event->guard);
	uf_leave(t);
	return 0;
}

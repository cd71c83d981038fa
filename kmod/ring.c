// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring of events in shared memory. The module alone writes events and the
 * tail, under domain->lock; the tail is published after the event. The user's
 * head is advice: it decides whether the ring counts as full, and harms nobody
 * else.
 *
 *   uf_event()                              the user
 *   ----------                              --------
 *   (a) head read, acquire                  (d) tail read, acquire
 *   (b) event written                       (e) event read
 *   (c) tail written, release               (f) head written, release
 *
 * (c) and (d) pair, so (e) sees (b); (f) and (a) pair, so that the next event in
 * the same place is not written before (e).
 */
#include "ufiber.h"

/* Tell user mode what has come over @thread; under domain->lock. */
void uf_event(struct uf_thread *thread, enum ufiber_reason reason, u32 server)
{
	struct uf_domain *domain = thread->domain;
	struct ufiber_event *event;

	/* (a) */
	if (domain->ring_tail - smp_load_acquire(&domain->shared->ring_head) >=
	    domain->ring_entries) {
		WRITE_ONCE(domain->shared->ring_lost, ++domain->ring_lost);
		return;
	}
	event = &domain->ring[domain->ring_tail & (domain->ring_entries - 1)];
	event->cookie = thread->cookie;
	event->time = domain->now + domain->clock_offset;
	event->thread = thread->id;
	event->reason = reason;
	event->server = server;
	event->reserved = 0;
	uf_delay(UF_DELAY_EVENT);
	WRITE_ONCE(domain->ring_tail, domain->ring_tail + 1);
	/* (c) */
	smp_store_release(&domain->shared->ring_tail, domain->ring_tail);
	uf_events_notify(domain);
}

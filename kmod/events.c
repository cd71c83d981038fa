// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for events: poll() on the domain's file, an eventfd, commands of
 * io_uring (uring_cmd.c). Events are written under domain->lock, possibly in the
 * scheduler, where nobody can be woken; so an irq_work does that. It is not a
 * "hard" one: on PREEMPT_RT it runs in a thread, as it takes sleeping locks.
 *
 * Nobody misses an event (a store-buffering race):
 *
 *   uf_event()                              who waits
 *   ----------                              ---------
 *   (a) ring_tail written                   (c) listening = true, is in a list
 *       smp_mb()                                smp_mb()
 *   (b) if listening, queue the irq_work    (d) read ring_tail
 *
 * If (d) does not see (a), (b) sees (c), and the irq_work finds it in its list.
 */
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/poll.h>

#include "ufiber.h"

static void uf_notify(struct irq_work *work)
{
	struct uf_domain *domain = container_of(work, struct uf_domain, notify);
	unsigned long flags;

	wake_up_poll(&domain->poll, EPOLLIN | EPOLLRDNORM);
	spin_lock_irqsave(&domain->poll.lock, flags);
	if (domain->eventfd)
		uf_eventfd_signal(domain->eventfd);
	uf_uring_notify(domain);
	spin_unlock_irqrestore(&domain->poll.lock, flags);
}

void uf_events_init(struct uf_domain *domain)
{
	init_waitqueue_head(&domain->poll);
	init_irq_work(&domain->notify, uf_notify);
	INIT_LIST_HEAD(&domain->commands);
}

/* The file and all threads are gone: nobody waits, and no event will come. */
void uf_events_destroy(struct uf_domain *domain)
{
	irq_work_sync(&domain->notify);
	if (domain->eventfd)
		eventfd_ctx_put(domain->eventfd);
}

/* An event has been written; under domain->lock, in any context. */
void uf_events_notify(struct uf_domain *domain)
{
	uf_delay(UF_DELAY_NOTIFY);
	smp_mb();	/* between (a) and (b) above */
	if (READ_ONCE(domain->listening))
		irq_work_queue(&domain->notify);
}

/* The caller is in one of the lists and is going to read the tail. */
void uf_events_listen(struct uf_domain *domain)
{
	WRITE_ONCE(domain->listening, true);
	smp_mb();	/* between (c) and (d) above */
	uf_delay(UF_DELAY_LISTEN);
}

/* UFIBER_IOC_EVENTFD. Task context. */
int uf_set_eventfd(struct uf_domain *domain, int fd)
{
	struct eventfd_ctx *eventfd = NULL;

	if (fd != -1) {
		eventfd = eventfd_ctx_fdget(fd);
		if (IS_ERR(eventfd))
			return PTR_ERR(eventfd);
	}
	spin_lock_irq(&domain->poll.lock);
	swap(domain->eventfd, eventfd);
	spin_unlock_irq(&domain->poll.lock);
	uf_events_listen(domain);
	if (eventfd)
		eventfd_ctx_put(eventfd);
	return 0;
}

/* Readable while the user has not read all events, or says so. */
__poll_t uf_poll(struct file *file, poll_table *table)
{
	struct uf_domain *domain = file->private_data;

	/* Pairs with the release in uf_domain_setup(). */
	if (!smp_load_acquire(&domain->ready))
		return EPOLLERR;
	/* aio's poll may ask from a worker. */
	if (current->mm != domain->mm && !(current->flags & PF_KTHREAD))
		return EPOLLERR;
	poll_wait(file, &domain->poll, table);
	uf_events_listen(domain);
	if (READ_ONCE(domain->ring_tail) ==
	    READ_ONCE(domain->shared->ring_head))
		return 0;
	return EPOLLIN | EPOLLRDNORM;
}

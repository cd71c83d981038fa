// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread's registration: joining a domain, leaving it, and all the ends a
 * thread can come to.
 *
 *   unregister      uf_leave(), then uf_thread_detach(), by itself
 *   exit, SIGKILL   uf_leave() at its first switch as one that ends; at its last,
 *                   as TASK_DEAD, end_irq drops the registration's reference
 *   exec            uf_leave() at its first switch with another mm; back in,
 *                   resume work is queued, which detaches; or both by resume
 *                   work that was queued before
 *   domain closed   uf_leave() by the closer; detaches at its next switch in
 *
 * Detaching is for current alone, in task context: a preempt notifier may not
 * be unregistered by another task, nor from within a notifier.
 */
#include <linux/bitmap.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "trace.h"
#include "ufiber.h"

struct workqueue_struct *uf_workqueue;

void uf_thread_wake(struct uf_thread *thread)
{
	wake_up_process(thread->task);
}

/* The thread that user mode means by @id, or NULL; under domain->lock. */
struct uf_thread *uf_find_thread(struct uf_domain *domain, u32 id)
{
	lockdep_assert_held(&domain->lock);
	if (id >= domain->max_threads)
		return NULL;
	/* Not even in speculation any other. */
	return domain->threads[array_index_nospec(id, domain->max_threads)];
}

static void uf_wake_irq(struct irq_work *work)
{
	uf_thread_wake(container_of(work, struct uf_thread, wake_irq));
}

static void uf_end_irq(struct irq_work *work)
{
	uf_delay(UF_DELAY_END);
	uf_thread_put(container_of(work, struct uf_thread, end_irq));
}

/*
 * Nobody can find the thread any more, an RCU grace period has passed since.
 * A waker may still have its wake_irq under way.
 */
static void uf_thread_free(struct work_struct *work)
{
	struct uf_thread *thread = container_of(to_rcu_work(work),
						struct uf_thread, free_work);

	hrtimer_cancel(&thread->recheck);
	irq_work_sync(&thread->wake_irq);
	irq_work_sync(&thread->end_irq);
	uf_hook_drop(thread);
	uf_resume_drop(thread);
	put_task_struct(thread->task);
	uf_domain_put(thread->domain);
	kfree(thread);
	/* Unloading waits for this function's end: it drains the workqueue. */
	module_put(THIS_MODULE);
}

static void uf_thread_release(struct kref *kref)
{
	struct uf_thread *thread = container_of(kref, struct uf_thread, kref);

	queue_rcu_work(uf_workqueue, &thread->free_work);
}

/* Context: any but under a rq lock. */
void uf_thread_put(struct uf_thread *thread)
{
	kref_put(&thread->kref, uf_thread_release);
}

static struct uf_thread *uf_thread_alloc(struct uf_domain *domain)
{
	struct uf_thread *thread = kzalloc(sizeof(*thread), GFP_KERNEL_ACCOUNT);

	if (!thread)
		return NULL;
	kref_init(&thread->kref);
	INIT_LIST_HEAD(&thread->link);
	INIT_RCU_WORK(&thread->free_work, uf_thread_free);
	thread->wake_irq = IRQ_WORK_INIT_HARD(uf_wake_irq);
	thread->end_irq = IRQ_WORK_INIT_HARD(uf_end_irq);
	uf_hrtimer_setup(&thread->recheck, uf_recheck, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL_PINNED_HARD);
	thread->domain = domain;
	thread->task = current;
	if (uf_resume_prepare(thread)) {
		kfree(thread);
		return NULL;
	}
	kref_get(&domain->kref);
	get_task_struct(current);
	__module_get(THIS_MODULE);
	return thread;
}

/* Give @thread an id and make it IDLE; false if there is none free. */
static bool uf_join(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	unsigned long id;

	uf_lock(domain);
	id = find_first_zero_bit(domain->ids, domain->max_threads);
	if (id < domain->max_threads) {
		thread->id = id;
		thread->shared = &domain->shared_threads[id];
		memset(thread->shared, 0, sizeof(*thread->shared));
		WRITE_ONCE(thread->shared->server, UFIBER_NONE);
		thread->since = domain->now;
		uf_set_state(thread, UFIBER_THREAD_IDLE);
		__set_bit(id, domain->ids);
		domain->threads[id] = thread;
		domain->nr_threads++;
		trace_ufiber_join(thread);
	}
	uf_unlock(domain);
	return id < domain->max_threads;
}

/*
 * Take @thread out of its domain: its server goes on, its id is free. Under
 * domain->lock, in any context. Returns the thread to wake, or NULL.
 */
struct uf_thread *uf_leave(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	struct uf_server *server;

	lockdep_assert_held(&domain->lock);
	if (thread->left)
		return NULL;
	uf_dequeue(thread);
	server = uf_release(thread, UFIBER_THREAD_FREE);
	trace_ufiber_leave(thread, server);
	domain->threads[thread->id] = NULL;
	__clear_bit(thread->id, domain->ids);
	domain->nr_threads--;
	WRITE_ONCE(thread->left, true);
	return server ? uf_pass_on(domain, server) : NULL;
}

/*
 * Current has left its domain: let go of it. Task context. May be called again,
 * by resume work that was queued before.
 */
void uf_thread_detach(struct uf_thread *thread)
{
	if (!thread->attached)
		return;
	thread->attached = false;
	uf_hook_detach(thread);
	uf_thread_put(thread);
}

/* UFIBER_IOC_UNREGISTER for current, whose registration @thread is. */
void uf_thread_unregister(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	struct uf_thread *next;

	rcu_read_lock();
	uf_lock(domain);
	next = uf_leave(thread);
	uf_unlock(domain);
	uf_delay(UF_DELAY_LEAVE);
	if (next)
		uf_thread_wake(next);
	rcu_read_unlock();
	uf_thread_detach(thread);
}

/* Left over from a closed domain, or from before an exec; @thread is current's. */
bool uf_registration_is_void(struct uf_thread *thread)
{
	return READ_ONCE(thread->left) || thread->domain->mm != current->mm;
}

/* UFIBER_IOC_REGISTER for current; returns its registration or an ERR_PTR(). */
struct uf_thread *uf_thread_register(struct uf_domain *domain, u64 cookie)
{
	struct uf_thread *thread = uf_hook_current();

	if (thread && uf_registration_is_void(thread)) {
		uf_thread_unregister(thread);
		thread = NULL;
	}
	if (thread)
		return ERR_PTR(thread->domain == domain ? -EEXIST : -EBUSY);
	thread = uf_thread_alloc(domain);
	if (!thread)
		return ERR_PTR(-ENOMEM);
	thread->cookie = cookie;
	if (!uf_join(thread)) {
		uf_thread_put(thread);
		return ERR_PTR(-ENOSPC);
	}
	uf_delay(UF_DELAY_JOIN);
	thread->attached = true;
	uf_hook_attach(thread);
	return thread;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resume work by task_work_add(), which Debian's kernels export.
 *
 * A thread has two works, one that it queues itself and one for kicks; a queued one
 * holds a reference to its thread. task_work_run() takes the list
 * in batches, last added first; ->next of a work that runs still tells whether
 * another follows it in the batch.
 */
#include <linux/task_work.h>

#include "../ufiber.h"

static void uf_resume_run(struct callback_head *work)
{
	struct uf_thread *thread = container_of(work, struct uf_thread,
						resume.work);
	bool more_work = work->next;

	/*
	 * Before reading what uf_hold() is to do. Pairs with the xchg() of who
	 * has just written more of that: finding us queued, it relies on us.
	 */
	smp_store_mb(thread->resume_queued, 0);
	uf_hold(thread, more_work);
	uf_thread_put(thread);
}

static void uf_kick_run(struct callback_head *work)
{
	struct uf_thread *thread = container_of(work, struct uf_thread,
						resume.kick_work);
	bool more_work = work->next;

	smp_store_mb(thread->resume.kick_queued, 0);	/* as above */
	uf_hold(thread, more_work);
	uf_thread_put(thread);
}

/* Make sure that uf_resume_queue() will work; may be repeated. */
int uf_resume_prepare(struct uf_thread *thread)
{
	init_task_work(&thread->resume.work, uf_resume_run);
	init_task_work(&thread->resume.kick_work, uf_kick_run);
	return 0;
}

/*
 * Have uf_hold() called when current, which is @thread, next returns to user.
 * Context: the thread's own.
 */
void uf_resume_queue(struct uf_thread *thread)
{
	if (xchg(&thread->resume_queued, 1))
		return;
	uf_delay(UF_DELAY_RESUME);
	kref_get(&thread->kref);
	if (!task_work_add(current, &thread->resume.work, UF_TWA_RESUME))
		return;
	/* It exits, and will not see user mode again. */
	WRITE_ONCE(thread->resume_queued, 0);
	uf_thread_put(thread);
}

/*
 * The same for any thread, which is sent to its return to user mode if it runs
 * there. Context: any but under a lock; inside rcu_read_lock(), which keeps the
 * thread's memory, but it may be on its way to be freed.
 *
 * Others have a work of their own to add. The thread must have its work for sure
 * before it goes to user mode, and could not rely on one that somebody is about to
 * add, from another CPU, which may be interrupted or lose its time to another guest
 * just then. Who kicks can rely on another kick: that comes soon. (Not if the
 * other could be preempted in between.)
 */
void uf_resume_kick(struct uf_thread *thread)
{
	if (!kref_get_unless_zero(&thread->kref))
		return;
	preempt_disable();
	if (xchg(&thread->resume.kick_queued, 1) == 0) {
		uf_delay(UF_DELAY_RESUME);
		if (!task_work_add(thread->task, &thread->resume.kick_work,
				   UF_TWA_RESUME))
			thread = NULL;	/* the work has the reference */
		else
			WRITE_ONCE(thread->resume.kick_queued, 0);
	}
	preempt_enable();
	if (thread)
		uf_thread_put(thread);
}

/* The thread is being freed, so nothing is queued. */
void uf_resume_drop(struct uf_thread *thread)
{
}

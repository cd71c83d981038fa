// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the scheduler's hook reports: a registered thread is switched out, or
 * in again.
 */
#include <linux/sched/signal.h>

#include "trace.h"
#include "ufiber.h"

/*
 * The thread sleeps in the kernel. If it holds a server, pass that on, unless
 * user mode said that it must not lose it (critical), or that whoever needs it
 * may take it (POLLING).
 *
 * Runs with the rq lock held and interrupts off: the successor is woken from an
 * irq_work, which fires as soon as they are on again.
 */
static void uf_block(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	struct uf_thread *next = NULL;
	struct uf_server *server;

	uf_delay(UF_DELAY_BLOCK);
	raw_spin_lock(&domain->lock);
	uf_look_at_clock(domain);
	server = thread->server;
	if (server) {
		if (uf_is_polling(server)) {
			/* Nobody takes it if it retires, so it is lost here. */
			if (unlikely(uf_retires(server)))
				uf_rob(server, UFIBER_OWNER(UFIBER_SERVER_OFFLINE, 0));
			goto out;
		}
		if (READ_ONCE(thread->shared->critical))
			goto out;
		/* Of a BLOCKED time before, which nobody saw the end of. */
		thread->interrupted = false;
		thread->uncounted = false;
		uf_release(thread, UFIBER_THREAD_BLOCKED);
		trace_ufiber_block(thread, server);
		WRITE_ONCE(thread->shared->blocks, ++thread->blocks);
		WRITE_ONCE(server->shared->blocks, ++server->blocks);
		if (domain->flags & UFIBER_SETUP_WATCH)
			uf_event(thread, UFIBER_REASON_BLOCKED, server->id);
		server->blocked = domain->now;
		next = uf_pass_on(domain, server);
		server->blocked = 0;
		if (next)
			WRITE_ONCE(server->shared->handoffs,
				   ++server->handoffs);
	} else if (thread->state == UFIBER_THREAD_RUNNABLE) {
		/*
		 * It waits for a server but is not held: a signal handler runs,
		 * and sleeps. A server would be lost on it now. Or it is in the
		 * freezer's trap, and will go on with the call that it was in.
		 */
		thread->interrupted = false;
		if (!uf_task_is_frozen(thread->task))
			thread->uncounted = true;
		uf_dequeue(thread);
		uf_set_state(thread, UFIBER_THREAD_BLOCKED);
		trace_ufiber_block(thread, NULL);
	}
	thread->loose = false;
out:
	raw_spin_unlock(&domain->lock);
	uf_delay(UF_DELAY_BLOCKED);
	if (next)
		irq_work_queue(&next->wake_irq);
}

/* The thread exits, or has become another program: its server is free. */
static void uf_lose(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	struct uf_thread *next;

	uf_delay(UF_DELAY_LOSE);
	raw_spin_lock(&domain->lock);
	uf_look_at_clock(domain);
	next = uf_leave(thread);
	raw_spin_unlock(&domain->lock);
	uf_delay(UF_DELAY_LOST);
	if (next)
		irq_work_queue(&next->wake_irq);
}

static bool uf_is_void(struct uf_thread *thread)
{
	return uf_task_ends(thread->task) ||
	       thread->task->mm != thread->domain->mm;
}

/* Hook: @thread is current and is being switched out. */
void uf_sched_out(struct uf_thread *thread)
{
	/*
	 * Asleep where it should be: in uf_wait() or uf_hold(). First, as it is
	 * the case that hand-overs repeat. A thread that dies has left both.
	 */
	if (READ_ONCE(thread->waiting) || READ_ONCE(thread->held))
		return;
	if (unlikely(uf_is_void(thread))) {
		uf_lose(thread);
		/*
		 * The last time of all: nothing will call the hook again, so
		 * drop the reference that its registration holds. Not from
		 * here: the caller still walks the list that the hook is in.
		 */
		if (READ_ONCE(thread->task->__state) == TASK_DEAD)
			irq_work_queue(&thread->end_irq);
		return;
	}
	if (uf_task_sleeps(thread->task))
		uf_block(thread);
}

/*
 * Hook: @thread is current and has just been switched in, or will be next time
 * without another call before it is back in user mode.
 */
void uf_sched_in(struct uf_thread *thread)
{
	uf_delay(UF_DELAY_SCHED_IN);
	if ((READ_ONCE(thread->state) == UFIBER_THREAD_BLOCKED ||
	     unlikely(READ_ONCE(thread->left) || READ_ONCE(thread->kicked))) &&
	    !uf_task_ends(thread->task))
		uf_resume_queue(thread);
}

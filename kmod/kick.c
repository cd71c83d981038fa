// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one thread asks of another: to give its server up, and to come back from
 * the call that it is blocked in.
 *
 * A kick is a mark (kicked) and a nudge: resume work, which looks at the mark at
 * the return to user mode. The mark lives as long as the thread holds that server;
 * where the work cannot do it (in the critical section, within a call), the mark
 * stays, for WAIT with YIELD, the next switch in, or a timer.
 */
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "trace.h"
#include "ufiber.h"

/* @thread has been kicked, and that has come to nothing, or to its end. */
void uf_forget_kick(struct uf_thread *thread)
{
	WRITE_ONCE(thread->kicked, false);
	WRITE_ONCE(thread->shared->kicked, 0);
}

/*
 * Those that wait in user mode are found by a standby thread. Preempted threads would
 * go before it for ever, if as many compute as there are servers, and one more; so
 * each other time they do not.
 */
static bool uf_fibers_turn(const struct uf_server *server)
{
	return server->preempts % 2 && READ_ONCE(server->shared->waiting);
}

/*
 * Current, which is @thread, makes way: whoever waits for its server gets that,
 * and it is RUNNABLE behind; for one that waits for work this is some. If nobody
 * waits, nothing happens, unless the server is to be given up for good. Under the
 * lock; returns the thread to wake.
 */
struct uf_thread *uf_make_way(struct uf_thread *thread,
			      enum ufiber_reason reason)
{
	struct uf_server *server = thread->server;
	struct uf_thread *next;

	if (!server)
		return NULL;
	if (!uf_retires(server) && !uf_next_holder(server) &&
	    list_empty(&thread->domain->work)) {
		uf_forget_kick(thread);
		return NULL;
	}
	uf_release(thread, UFIBER_THREAD_RUNNABLE);
	trace_ufiber_preempt(thread, server, reason);
	if (reason == UFIBER_REASON_PREEMPTED) {
		WRITE_ONCE(thread->shared->preempts, ++thread->preempts);
		WRITE_ONCE(server->shared->preempts, ++server->preempts);
		server->for_fibers = uf_fibers_turn(server);
	}
	next = uf_pass_on(thread->domain, server);
	server->for_fibers = false;
	uf_take_or_queue(thread, reason);
	return next;
}

/* UFIBER_IOC_KICK */
int uf_kick(struct uf_domain *domain, u32 id)
{
	struct uf_thread *thread;
	int ret = 0;

	rcu_read_lock();
	uf_lock(domain);
	thread = uf_find_thread(domain, id);
	if (!thread) {
		ret = -ESRCH;
	} else if (thread->state != UFIBER_THREAD_RUNNING) {
		ret = -EAGAIN;
	} else {
		WRITE_ONCE(thread->kicked, true);
		trace_ufiber_kick(thread, UF_KICK_CALL);
	}
	uf_unlock(domain);
	uf_delay(UF_DELAY_KICK);
	if (!ret)
		uf_resume_kick(thread);
	rcu_read_unlock();
	return ret;
}

/* Wake it if it sleeps so that a signal would wake it. */
static void uf_wake_interruptible(struct task_struct *task)
{
	struct wait_queue_entry entry = { .private = task };

	default_wake_function(&entry, TASK_INTERRUPTIBLE, 0, NULL);
}

/*
 * UFIBER_IOC_INTERRUPT. TIF_NOTIFY_SIGNAL makes the thread believe that there is
 * a signal, so its call ends as for one; uf_hold() turns what it returns into
 * EINTR, since the kernel would repeat the call. That flag goes away on the way to
 * user mode, so no later call meets it.
 *
 * For that, the thread must not be on its way to user mode already with uf_hold()
 * behind it; both are decided under the lock. While it is BLOCKED and not loose,
 * uf_hold() is still to come, finds interrupted set and has the flag cleared after.
 */
int uf_interrupt(struct uf_domain *domain, const struct ufiber_interrupt *args)
{
	struct uf_thread *thread;
	int ret = 0;

	if ((args->flags & ~UFIBER_INTERRUPT_BLOCK) || args->reserved)
		return -EINVAL;
	if (!(args->flags & UFIBER_INTERRUPT_BLOCK) && args->block)
		return -EINVAL;

	rcu_read_lock();
	uf_lock(domain);
	thread = uf_find_thread(domain, args->thread);
	if (!thread) {
		ret = -ESRCH;
	} else if (thread->state != UFIBER_THREAD_BLOCKED || thread->loose ||
		   ((args->flags & UFIBER_INTERRUPT_BLOCK) &&
		    (thread->uncounted || thread->blocks != args->block))) {
		ret = -EAGAIN;
	} else {
		thread->interrupted = true;
		trace_ufiber_interrupt(thread);
		set_tsk_thread_flag(thread->task, TIF_NOTIFY_SIGNAL);
	}
	uf_unlock(domain);
	uf_delay(UF_DELAY_INTERRUPT);
	if (!ret)
		uf_wake_interruptible(thread->task);
	rcu_read_unlock();
	return ret;
}

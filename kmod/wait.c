// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls by which threads sleep and wake each other: wait, hand over, wake.
 *
 * A wait has a beginning, which may give the caller's server away, and a sleep.
 * A signal may break the sleep; the call is then made again, by the kernel or
 * by user mode, and must not begin again. mid_wait remembers that.
 */
#include <linux/hrtimer.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "ufiber.h"

#define UF_WAIT_FLAGS (UFIBER_WAIT_STANDBY | UFIBER_WAIT_HANDOVER | \
		       UFIBER_WAIT_ACQUIRE | UFIBER_WAIT_TIMEOUT)

static struct uf_thread *uf_find_thread(struct uf_domain *domain, u32 id)
{
	lockdep_assert_held(&domain->lock);
	return id < domain->max_threads ? domain->threads[id] : NULL;
}

/* Whether @thread can be handed a server. */
static bool uf_accepts_server(const struct uf_thread *thread)
{
	return thread->state == UFIBER_THREAD_RUNNABLE ||
	       (thread->state == UFIBER_THREAD_IDLE && thread->waiting);
}

/*
 * Give the caller's server to the right one and make the caller IDLE. Returns
 * the thread to wake. With STANDBY and nobody RUNNABLE the caller keeps it.
 */
static struct uf_thread *uf_give_up(struct uf_thread *thread, u32 flags,
				    struct uf_thread *next)
{
	struct uf_domain *domain = thread->domain;
	struct uf_server *server;

	if (!next)
		next = uf_first_runnable(domain);
	if (!next && (flags & UFIBER_WAIT_STANDBY) && thread->server)
		return NULL;

	uf_dequeue(thread);
	server = uf_release(thread, UFIBER_THREAD_IDLE);
	if (!server)
		return NULL;
	if (!next)
		return uf_pass_on(domain, server);
	uf_grant(server, next);
	return next;
}

/* A standby takes any VACANT server, but robs no poller: it has no fiber. */
static void uf_stand_by(struct uf_thread *thread)
{
	struct uf_server *server = uf_vacant_server(thread);

	if (server)
		uf_grant(server, thread);
	else
		uf_queue_standby(thread);
}

/*
 * Begin a wait, or go on with one; under the lock. Returns 0, or an error that
 * the call ends with. *wake is a thread to wake. On return with 0 the thread is
 * RUNNING (the wait is over), RUNNABLE or IDLE.
 */
static int uf_begin_wait(struct uf_thread *thread,
			 const struct ufiber_wait *args,
			 struct uf_thread **wake)
{
	bool handover = (args->flags & UFIBER_WAIT_HANDOVER) &&
			!thread->mid_wait;
	struct uf_thread *next = NULL;

	if (handover) {
		next = uf_find_thread(thread->domain, args->next);
		if (!next)
			return -ESRCH;
		if (next == thread)
			return -EINVAL;
		if (!uf_accepts_server(next) || !thread->server)
			return -EAGAIN;
	}
	if (thread->cancelled) {
		thread->cancelled = false;
		*wake = uf_give_up(thread, 0, NULL);
		return -ECANCELED;
	}
	/* BLOCKED in mid-wait: it was RUNNABLE and blocked in a handler. */
	if (thread->woken || (args->flags & UFIBER_WAIT_ACQUIRE) ||
	    (thread->mid_wait && thread->state == UFIBER_THREAD_BLOCKED)) {
		thread->woken = false;
		if (!thread->server && list_empty(&thread->link))
			uf_take_or_queue(thread);
		return 0;
	}
	/* Going on with a wait that has been granted, woken, or timed out. */
	if (thread->mid_wait && (thread->server || !list_empty(&thread->link)))
		return 0;
	*wake = uf_give_up(thread, args->flags, next);
	if ((args->flags & UFIBER_WAIT_STANDBY) && !thread->server)
		uf_stand_by(thread);
	return 0;
}

/*
 * Sleep until the thread has a server. Whoever ends the wait writes state or
 * cancelled under the lock, then wakes; we set the task state, then read: the
 * barriers of set_current_state() and wake_up_process() pair.
 *
 * Returns 0 if the wait is over, -EINTR at a signal, -ETIME at the timeout.
 */
static int uf_sleep_wait(struct uf_thread *thread, ktime_t *timeout)
{
	int ret = 0;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		if (READ_ONCE(thread->state) == UFIBER_THREAD_RUNNING ||
		    READ_ONCE(thread->cancelled))
			break;
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		if (!timeout) {
			schedule();
		} else if (!schedule_hrtimeout(timeout, HRTIMER_MODE_ABS)) {
			ret = -ETIME;
			break;
		}
	}
	__set_current_state(TASK_RUNNING);
	return ret;
}

/*
 * The sleep has ended with @ret; under the lock. Returns what the call returns,
 * or 1: the thread, whose time is up, must sleep on for a server.
 */
static long uf_end_wait(struct uf_thread *thread, u32 flags, int ret)
{
	thread->mid_wait = false;
	if (thread->server) {
		ret = thread->expired ? -ETIMEDOUT : thread->server->id;
		thread->expired = false;
		return ret;
	}
	if (thread->cancelled) {
		thread->cancelled = false;
		thread->expired = false;
		uf_dequeue(thread);
		uf_set_state(thread, UFIBER_THREAD_IDLE);
		return -ECANCELED;
	}
	if (ret == -ETIME) {
		if (flags & (UFIBER_WAIT_STANDBY | UFIBER_WAIT_ACQUIRE)) {
			uf_dequeue(thread);
			uf_set_state(thread, UFIBER_THREAD_IDLE);
			return -ETIMEDOUT;
		}
		thread->expired = true;
		if (thread->state == UFIBER_THREAD_RUNNABLE ||
		    !uf_take_or_queue(thread))
			return 1;
		thread->expired = false;
		return -ETIMEDOUT;
	}
	/* A signal. RUNNABLE stays queued: it may be granted a server meanwhile. */
	thread->mid_wait = true;
	if (thread->state == UFIBER_THREAD_IDLE)
		uf_dequeue(thread);
	return task_sigpending(current) ? -ERESTARTSYS : -ERESTARTNOINTR;
}

static bool uf_wait_args_ok(const struct ufiber_wait *args)
{
	u32 flags = args->flags;

	if ((flags & ~UF_WAIT_FLAGS) || args->reserved)
		return false;
	if ((flags & UFIBER_WAIT_ACQUIRE) &&
	    (flags & (UFIBER_WAIT_STANDBY | UFIBER_WAIT_HANDOVER)))
		return false;
	if (!(flags & UFIBER_WAIT_HANDOVER) && args->next)
		return false;
	if (!(flags & UFIBER_WAIT_TIMEOUT) && args->timeout)
		return false;
	return args->timeout <= KTIME_MAX;
}

/* UFIBER_IOC_WAIT; @thread is current's registration. */
long uf_wait(struct uf_thread *thread, const struct ufiber_wait *args)
{
	struct uf_domain *domain = thread->domain;
	struct uf_thread *next = NULL;
	ktime_t time, *timeout = NULL;
	long ret;

	if (!uf_wait_args_ok(args))
		return -EINVAL;
	if (args->flags & UFIBER_WAIT_TIMEOUT) {
		time = ns_to_ktime(args->timeout);
		timeout = &time;
	}

	rcu_read_lock();
	raw_spin_lock_irq(&domain->lock);
	ret = uf_begin_wait(thread, args, &next);
	if (!ret && thread->server)
		ret = uf_end_wait(thread, args->flags, 0);
	else if (!ret)
		thread->waiting = true;
	else if (ret == -ECANCELED)
		thread->mid_wait = false;
	raw_spin_unlock_irq(&domain->lock);
	if (next)
		uf_thread_wake(next);
	rcu_read_unlock();
	if (!thread->waiting)
		return ret;

	do {
		if (thread->expired)
			timeout = NULL;
		ret = uf_sleep_wait(thread, timeout);
		raw_spin_lock_irq(&domain->lock);
		ret = uf_end_wait(thread, args->flags, ret);
		thread->waiting = ret == 1;
		raw_spin_unlock_irq(&domain->lock);
	} while (ret == 1);
	return ret;
}

/* What a WAKE without flags does to @thread; returns it if it is to be woken. */
static struct uf_thread *uf_end_idle(struct uf_thread *thread)
{
	if (thread->state != UFIBER_THREAD_IDLE || !thread->waiting) {
		thread->woken = true;
		return NULL;
	}
	uf_dequeue(thread);
	return uf_take_or_queue(thread) ? thread : NULL;
}

/* UFIBER_IOC_WAKE */
int uf_wake(struct uf_domain *domain, const struct ufiber_wake *args)
{
	struct uf_thread *thread, *wake = NULL;
	int ret = 0;

	if ((args->flags & ~UFIBER_WAKE_CANCEL) || args->reserved)
		return -EINVAL;

	rcu_read_lock();
	raw_spin_lock_irq(&domain->lock);
	thread = uf_find_thread(domain, args->thread);
	if (!thread) {
		ret = -ESRCH;
	} else if (args->flags & UFIBER_WAKE_CANCEL) {
		WRITE_ONCE(thread->cancelled, true);
		wake = thread->waiting ? thread : NULL;
	} else {
		wake = uf_end_idle(thread);
	}
	raw_spin_unlock_irq(&domain->lock);
	if (wake)
		uf_thread_wake(wake);
	rcu_read_unlock();
	return ret;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls by which threads sleep and wake each other: wait, hand over, wake.
 *
 * A wait has a beginning, which may give the caller's server away, and a sleep.
 * A signal may break the sleep; the call is then made again, by the kernel or
 * by user mode, and must not begin again. mid_wait remembers that.
 */
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "trace.h"
#include "ufiber.h"

#define UF_WAIT_FLAGS (UFIBER_WAIT_STANDBY | UFIBER_WAIT_HANDOVER | \
		       UFIBER_WAIT_ACQUIRE | UFIBER_WAIT_TIMEOUT | \
		       UFIBER_WAIT_YIELD | UFIBER_WAIT_WORK)
/* The caller does not park. */
#define UF_WAIT_RUNNABLE (UFIBER_WAIT_ACQUIRE | UFIBER_WAIT_YIELD)

/* Whether @thread can be handed a server. */
static bool uf_accepts_server(const struct uf_thread *thread)
{
	return thread->state == UFIBER_THREAD_RUNNABLE ||
	       (thread->state == UFIBER_THREAD_IDLE && thread->waiting);
}

/*
 * Does the caller keep its server, as a standby that has one already? It does if
 * there is nothing better to do with it.
 */
static bool uf_keeps_server(const struct uf_thread *thread, u32 flags)
{
	struct uf_domain *domain = thread->domain;

	if (!(flags & UFIBER_WAIT_STANDBY) || !thread->server ||
	    uf_retires(thread->server))
		return false;
	if (flags & UFIBER_WAIT_WORK)
		return domain->nr_runnable;
	return !uf_first_runnable(domain);
}

/* What a WAKE without flags does to @thread; returns it if it is to be woken. */
static struct uf_thread *uf_end_idle(struct uf_thread *thread)
{
	if (thread->state != UFIBER_THREAD_IDLE || !thread->waiting) {
		thread->woken = true;
		return NULL;
	}
	uf_dequeue(thread);
	return uf_take_or_queue(thread, UFIBER_REASON_WOKEN) ? thread : NULL;
}

/*
 * Give the caller's server, if it has one, to the right one and make the caller
 * IDLE. Returns the thread to wake. (Inline: as uf_own().)
 */
static __always_inline struct uf_thread *
uf_give_up(struct uf_thread *thread, struct uf_thread *next)
{
	struct uf_domain *domain = thread->domain;
	struct uf_server *server;

	uf_dequeue(thread);
	server = uf_release(thread, UFIBER_THREAD_IDLE);
	trace_ufiber_idle(thread, server);
	if (!server)
		return NULL;
	if (!next)
		return uf_pass_on(domain, server);
	if (unlikely(uf_retires(server))) {
		uf_pass_on(domain, server);
		return next->state == UFIBER_THREAD_IDLE ? uf_end_idle(next) :
							   NULL;
	}
	trace_ufiber_handover(thread, server, next);
	uf_grant(server, next);
	return next;
}

/*
 * A standby takes any VACANT server, but robs no poller: it has no fiber. One that
 * waits for work does so if there is some.
 */
static void uf_stand_by(struct uf_thread *thread, u32 flags)
{
	bool work = flags & UFIBER_WAIT_WORK;
	struct uf_server *server = NULL;

	if (!work || thread->domain->nr_runnable)
		server = uf_vacant_server(thread);
	if (server)
		uf_grant(server, thread);
	else
		uf_queue_standby(thread, work ? UF_QUEUE_WORK :
						UF_QUEUE_STANDBY);
}

/* ACQUIRE or YIELD, or a WAKE that came before. Returns the thread to wake. */
static struct uf_thread *uf_begin_runnable(struct uf_thread *thread, u32 flags)
{
	struct uf_thread *next = NULL;

	if ((flags & UFIBER_WAIT_YIELD) && !thread->mid_wait)
		next = uf_make_way(thread, UFIBER_REASON_YIELDED);
	if (!thread->server && list_empty(&thread->link))
		uf_take_or_queue(thread, UFIBER_REASON_WOKEN);
	return next;
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
	if (!thread->mid_wait || (args->flags & UF_WAIT_RUNNABLE))
		thread->expired = false;
	if (thread->cancelled) {
		thread->cancelled = false;
		thread->expired = false;
		thread->mid_wait = false;
		*wake = uf_give_up(thread, NULL);
		return -ECANCELED;
	}
	/* BLOCKED in mid-wait: it was RUNNABLE and blocked in a handler. */
	if ((args->flags & UF_WAIT_RUNNABLE) ||
	    (thread->mid_wait && thread->state == UFIBER_THREAD_BLOCKED)) {
		*wake = uf_begin_runnable(thread, args->flags);
		return 0;
	}
	if (thread->woken) {
		thread->woken = false;
		*wake = uf_begin_runnable(thread, 0);
		return 0;
	}
	/* Going on with a wait that has been granted, woken, or timed out. */
	if (thread->mid_wait && (thread->server || !list_empty(&thread->link)))
		return 0;
	if (!next && uf_keeps_server(thread, args->flags))
		return 0;
	*wake = uf_give_up(thread, next);
	if ((args->flags & UFIBER_WAIT_STANDBY) && !thread->server)
		uf_stand_by(thread, args->flags);
	return 0;
}

/*
 * Sleep until the thread has a server. Whoever ends the wait writes state or
 * cancelled under the lock, then wakes; we set the task state, then read: the
 * barriers of set_current_state() and wake_up_process() pair.
 *
 * Returns 0 if the wait is over, -EINTR at a signal, -ETIME at the timeout.
 */
static int uf_sleep_wait(struct uf_thread *thread, ktime_t *timeout,
			 clockid_t clock)
{
	int ret = 0;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		uf_delay(UF_DELAY_WAIT_LOOK);
		if (READ_ONCE(thread->state) == UFIBER_THREAD_RUNNING ||
		    READ_ONCE(thread->cancelled))
			break;
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		uf_delay(UF_DELAY_WAIT_SLEEP);
		if (!timeout) {
			schedule();
		} else if (!schedule_hrtimeout_range_clock(timeout, 0,
							   HRTIMER_MODE_ABS,
							   clock)) {
			ret = -ETIME;
			break;
		}
	}
	__set_current_state(TASK_RUNNING);
	return ret;
}

/*
 * The time of a wait that must end with a server is up, and it has none. Make
 * the thread RUNNABLE, unless it is already; true if that got it a server.
 */
static bool uf_expire(struct uf_thread *thread)
{
	thread->expired = true;
	return thread->state != UFIBER_THREAD_RUNNABLE &&
	       uf_take_or_queue(thread, UFIBER_REASON_WOKEN);
}

/*
 * The sleep has ended with @ret; under the lock. Returns true, and in *result
 * what the call returns, or false: the thread must sleep on for a server.
 */
static bool uf_end_wait(struct uf_thread *thread, u32 flags, int ret,
			long *result)
{
	if (!thread->server && !thread->cancelled && ret == -ETIME &&
	    !(flags & (UFIBER_WAIT_STANDBY | UF_WAIT_RUNNABLE)) &&
	    !uf_expire(thread))
		return false;

	WRITE_ONCE(thread->waiting, false);
	thread->mid_wait = false;
	if (thread->server) {
		*result = thread->expired ? -ETIMEDOUT : thread->server->id;
		thread->expired = false;
	} else if (thread->cancelled || ret == -ETIME) {
		*result = thread->cancelled ? -ECANCELED : -ETIMEDOUT;
		thread->cancelled = false;
		thread->expired = false;
		uf_dequeue(thread);
		uf_set_state(thread, UFIBER_THREAD_IDLE);
		trace_ufiber_idle(thread, NULL);
	} else {
		/*
		 * A signal. RUNNABLE stays queued, and may be granted a server.
		 * Or robbed at once of what it was granted, since user mode
		 * wrote POLLING for it: then no signal repeats the call.
		 */
		*result = task_sigpending(current) ? -ERESTARTSYS :
			  ret == -EINTR		   ? -ERESTARTNOINTR :
						     -EINTR;
		thread->mid_wait = true;
		if (thread->state == UFIBER_THREAD_IDLE)
			uf_dequeue(thread);
	}
	return true;
}

static bool uf_clock_ok(u32 clock)
{
	return clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME ||
	       clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
}

static bool uf_wait_args_ok(const struct uf_domain *domain,
			    const struct ufiber_wait *args)
{
	u32 flags = args->flags;

	/* The usual ones first. */
	if (flags == UFIBER_WAIT_HANDOVER)
		return !args->clock && !args->timeout;
	if (flags & ~UF_WAIT_FLAGS)
		return false;
	if ((flags & UF_WAIT_RUNNABLE) &&
	    (flags & ~UFIBER_WAIT_TIMEOUT) != UFIBER_WAIT_ACQUIRE &&
	    (flags & ~UFIBER_WAIT_TIMEOUT) != UFIBER_WAIT_YIELD)
		return false;
	if ((flags & UFIBER_WAIT_WORK) &&
	    (!(flags & UFIBER_WAIT_STANDBY) || !uf_user_schedules(domain) ||
	     (flags & UFIBER_WAIT_HANDOVER)))
		return false;
	if (!(flags & UFIBER_WAIT_HANDOVER) && args->next)
		return false;
	if (!(flags & UFIBER_WAIT_TIMEOUT))
		return !args->timeout && !args->clock;
	return args->timeout <= KTIME_MAX && uf_clock_ok(args->clock);
}

/*
 * A hand-over often comes back at once, from a thread on the same CPU that the
 * caller works with in turns. So the caller steps aside before it sleeps: it
 * stays on the run queue and lets the next thread run. If the server has come
 * back by the time it runs again, neither needed to be put to sleep and woken,
 * which is half of the cost.
 *
 * If it has not, the attempt cost one more switch. And if a third task wanted
 * the CPU, yield_to() gave that a whole slice too, which the tick betrays. After
 * either, hand-overs go without the attempt, twice as many each time; a success
 * halves the number.
 *
 * A thread that stands aside need not be woken, since it looks at its state
 * before it sleeps:
 *
 *   who grants it a server, under the lock     the thread
 *   --------------------------------------     ----------
 *   (a) state = RUNNING                        (c) aside = false
 *       smp_mb()                                   set_current_state(), barrier
 *   (b) no wake-up if aside                    (d) no sleep if RUNNING
 *
 * If (b) reads true, it comes before (c), so (d) comes after (a) and sees it.
 */
#define UF_MAX_SKIPS 8191

static bool uf_stands_aside(struct uf_thread *thread)
{
	smp_mb();	/* between (a) and (b) above */
	uf_delay(UF_DELAY_STAND_ASIDE);
	return READ_ONCE(thread->aside);
}

/* Have @next run on this CPU, where it is ready or not at all. */
static void uf_let_run(struct task_struct *next)
{
	if (need_resched())
		cond_resched();
	else if (task_cpu(next) != raw_smp_processor_id())
		return;
	else if (current->policy == SCHED_FIFO || current->policy == SCHED_RR)
		yield();	/* to the next of this priority, in turn */
	else
		yield_to(next, false);	/* which fair tasks alone can */
}

static void uf_step_aside(struct uf_thread *thread, struct task_struct *next)
{
	unsigned long start = jiffies;

	uf_let_run(next);
	uf_delay(UF_DELAY_STEP_ASIDE);
	WRITE_ONCE(thread->aside, false);				/* (c) */
	if (READ_ONCE(thread->state) == UFIBER_THREAD_RUNNING &&
	    !time_after(jiffies, start)) {
		thread->aside_skips /= 2;
		return;
	}
	thread->aside_skips = min(2 * thread->aside_skips + 1, UF_MAX_SKIPS);
	thread->skip_aside = thread->aside_skips;
}

/*
 * Has the wait ended with a server? Then the lock is not needed: others look at
 * waiting only if the state is IDLE. They can still rob us, if user mode says
 * POLLING, so the server is read once; it lives as long as the domain.
 */
static __always_inline bool uf_end_granted(struct uf_thread *thread,
					   long *result)
{
	struct uf_server *server = READ_ONCE(thread->server);

	if (!server || thread->expired)
		return false;
	uf_delay(UF_DELAY_WAIT_GRANTED);
	WRITE_ONCE(thread->waiting, false);
	thread->mid_wait = false;
	*result = server->id;
	uf_goes_on(thread);
	return true;
}

/* When that is by the machine's clock; the caller means its time namespace's. */
static ktime_t uf_machine_time(const struct ufiber_wait *args)
{
	ktime_t time = ns_to_ktime(args->timeout);
	ktime_t offset = uf_clock_offset(args->clock);

	if (time <= offset)
		return 0;
	/* With an offset below 0 it may be later than any clock can show. */
	return offset < 0 && time > KTIME_MAX + offset ? KTIME_MAX :
							 time - offset;
}

/* Sleep until the wait is over; returns what the call returns. */
static noinline long uf_wait_sleep(struct uf_thread *thread,
				   const struct ufiber_wait *args)
{
	ktime_t time = uf_machine_time(args);
	long result;
	bool over;
	int ret;

	/* It may have failed before; the wait itself does not need it. */
	uf_resume_prepare(thread);
	do {
		ret = uf_sleep_wait(thread,
				    (args->flags & UFIBER_WAIT_TIMEOUT) &&
				    !thread->expired ? &time : NULL,
				    args->clock);
		if (!ret && uf_end_granted(thread, &result))
			goto out;
		uf_delay(UF_DELAY_WAIT_END);
		uf_lock(thread->domain);
		over = uf_end_wait(thread, args->flags, ret, &result);
		uf_unlock(thread->domain);
		uf_quantum_queued(thread->domain);
	} while (!over);
	if (READ_ONCE(thread->server))
		uf_goes_on(thread);
out:
	/* It may have got its server without a switch. */
	uf_quantum_sched_in(thread);
	return result;
}

/* The wait has begun, and may be over. */
static __always_inline long uf_finish_wait(struct uf_thread *thread,
					   const struct ufiber_wait *args)
{
	long result;

	return uf_end_granted(thread, &result) ? result :
						 uf_wait_sleep(thread, args);
}

static long uf_wait_any(struct uf_thread *thread,
			const struct ufiber_wait *args)
{
	struct uf_domain *domain = thread->domain;
	struct uf_thread *next = NULL;
	long ret;

	rcu_read_lock();
	uf_lock(domain);
	trace_ufiber_wait(thread, args->flags);
	ret = uf_begin_wait(thread, args, &next);
	if (!ret && thread->server)
		uf_end_wait(thread, args->flags, 0, &ret);
	else if (!ret)
		WRITE_ONCE(thread->waiting, true);
	uf_unlock(domain);
	uf_delay(UF_DELAY_WAIT_BEGUN);
	if (next && !uf_stands_aside(next))
		uf_thread_wake(next);
	rcu_read_unlock();

	uf_quantum_queued(domain);
	if (thread->waiting)
		return uf_finish_wait(thread, args);
	uf_quantum_sched_in(thread);	/* it may have taken a server */
	return ret;
}

/* What is not the usual case of a hand-over, refusals included. */
static noinline long uf_handover_slowly(struct uf_thread *thread, u32 id)
{
	struct ufiber_wait args = {
		.flags = UFIBER_WAIT_HANDOVER,
		.next = id,
	};

	return uf_wait_any(thread, &args);
}

/*
 * UFIBER_IOC_HANDOVER, and a WAIT that means the same. It is worth it to count
 * instructions here: see "The floor of the hand-over" in
 * Documentation/performance.rst.
 */
long uf_handover(struct uf_thread *thread, u32 id)
{
	static const struct ufiber_wait args = {
		.flags = UFIBER_WAIT_HANDOVER,
	};
	struct uf_domain *domain = thread->domain;
	struct uf_server *server;
	struct task_struct *task;
	struct uf_thread *next;
	bool wake;

	uf_lock(domain);
	next = uf_find_thread(domain, id);
	server = thread->server;
	if (!next || !server || !uf_accepts_server(next) || thread->woken ||
	    thread->cancelled || thread->mid_wait || uf_retires(server)) {
		uf_unlock(domain);
		return uf_handover_slowly(thread, id);
	}
	trace_ufiber_wait(thread, UFIBER_WAIT_HANDOVER);
	thread->expired = false;
	uf_release(thread, UFIBER_THREAD_IDLE);
	trace_ufiber_idle(thread, server);
	trace_ufiber_handover(thread, server, next);
	uf_grant(server, next);
	WRITE_ONCE(thread->waiting, true);
	WRITE_ONCE(thread->aside, !thread->skip_aside);
	wake = !uf_stands_aside(next);
	task = get_task_struct(next->task);
	uf_unlock(domain);

	uf_delay(UF_DELAY_HANDED_OVER);
	if (wake)
		wake_up_process(task);
	if (thread->aside)
		uf_step_aside(thread, task);
	else
		thread->skip_aside--;
	put_task_struct(task);
	return uf_finish_wait(thread, &args);
}

/* UFIBER_IOC_WAIT; @thread is current's registration. */
long uf_wait(struct uf_thread *thread, const struct ufiber_wait *args)
{
	if (!uf_wait_args_ok(thread->domain, args))
		return -EINVAL;
	if (args->flags == UFIBER_WAIT_HANDOVER)
		return uf_handover(thread, args->next);
	return uf_wait_any(thread, args);
}

/* UFIBER_IOC_WAKE */
int uf_wake(struct uf_domain *domain, const struct ufiber_wake *args)
{
	struct uf_thread *thread, *wake = NULL;
	int ret = 0;

	if ((args->flags & ~UFIBER_WAKE_CANCEL) || args->reserved)
		return -EINVAL;

	rcu_read_lock();
	uf_lock(domain);
	thread = uf_find_thread(domain, args->thread);
	if (thread)
		trace_ufiber_wake(thread, args->flags);
	if (!thread) {
		ret = -ESRCH;
	} else if (args->flags & UFIBER_WAKE_CANCEL) {
		WRITE_ONCE(thread->cancelled, true);
		wake = READ_ONCE(thread->waiting) ? thread : NULL;
	} else {
		wake = uf_end_idle(thread);
	}
	uf_unlock(domain);
	uf_delay(UF_DELAY_WOKEN);
	if (wake)
		uf_thread_wake(wake);
	rcu_read_unlock();
	uf_quantum_queued(domain);
	return ret;
}

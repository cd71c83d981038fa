// SPDX-License-Identifier: GPL-2.0-only
/*
 * At the return to user mode: a thread that has blocked and lost its server gets
 * one again, or is held until it does; one that was kicked gives its server up,
 * and is held. This is task context with no kernel lock held, the one place where
 * a thread can be stopped without harm to others.
 *
 * Task work also runs within a few calls (io_uring_enter, when it waits; stops
 * for a debugger), and in the freezer's trap; there we leave the thread as it is.
 *
 * Work for the thread may come while it is held. Signals: it goes to user mode,
 * where its handler runs without a server; it stays RUNNABLE and queued, is
 * granted a server whenever one is free, and if its fiber reaches the library
 * first, that waits (UFIBER_WAIT_ACQUIRE). Task work, such as io_uring's
 * completions of requests that it submitted: task_work_run() is running us and
 * will run them, once we return; so we queue ourselves again behind them.
 */
#include <linux/hrtimer.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <asm/syscall.h>

#include "trace.h"
#include "ufiber.h"

/* Is current in a system call that has no result yet, or in the freezer's trap? */
static bool uf_within_call(struct pt_regs *regs)
{
	if (uf_task_is_frozen(current))
		return true;
	return syscall_get_nr(current, regs) >= 0 &&
	       syscall_get_error(current, regs) == -ENOSYS;
}

/*
 * The freezer clears TIF_SIGPENDING to sleep, though signals may be pending, stops
 * included, and then has the work run. Who was held there would not know of them. It
 * looks at them itself later on, so that we may set the flag again, and the thread
 * goes on as any does that signals wait for.
 */
static void uf_see_signals(void)
{
	/* Nobody but current itself could change which that is. */
	struct sighand_struct *sighand = rcu_dereference_raw(current->sighand);
	sigset_t set;

	spin_lock_irq(&sighand->siglock);
	sigorsets(&set, &current->pending.signal,
		  &current->signal->shared_pending.signal);
	sigandnsets(&set, &set, &current->blocked);
	if (!sigisemptyset(&set))
		set_thread_flag(TIF_SIGPENDING);
	spin_unlock_irq(&sighand->siglock);
}

/* Has it ended so that it will be repeated, or return EINTR after a handler? */
static bool uf_call_is_broken(struct pt_regs *regs)
{
	if (syscall_get_nr(current, regs) < 0)
		return false;
	switch (syscall_get_error(current, regs)) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		return true;
	default:
		return false;
	}
}

/*
 * Has it ended so that it is repeated whatever the signal? Its callers do not know
 * EINTR (FUTEX_LOCK_PI, clone), so INTERRUPT is not to make one of it either.
 */
static bool uf_call_is_repeated(struct pt_regs *regs)
{
	return syscall_get_nr(current, regs) >= 0 &&
	       syscall_get_error(current, regs) == -ERESTARTNOINTR;
}

/*
 * Is current still in the system call that it blocked in, or about to repeat it,
 * no signal being the cause? io_uring interrupts a sleeping submitter so (TIF_NOTIFY_SIGNAL). The
 * call has not ended: the thread will block again at once, and stays BLOCKED.
 * (If it is preempted just before, it comes here a second time, the marks of the
 * repetition gone, and may get a server only to block again; that is harmless.)
 */
static bool uf_call_goes_on(struct uf_thread *thread)
{
	struct pt_regs *regs = current_pt_regs();
	bool within = uf_within_call(regs);
	bool goes_on;

	if (task_sigpending(current) || !(within || uf_call_is_broken(regs)))
		return false;
	uf_lock(thread->domain);
	goes_on = within || !thread->interrupted || uf_call_is_repeated(regs);
	thread->loose = goes_on;
	/* Such a call does not return for it; nor may what comes after. */
	if (goes_on)
		thread->interrupted = false;
	uf_unlock(thread->domain);
	return goes_on;
}

/*
 * The call may find what it waits for and return without having slept again,
 * so that no hook sees it and the thread runs on in user mode without a server.
 * A look at it after a little while bounds that: if it is still BLOCKED, yet
 * runs here, it is either there or will soon be. If it has slept or moved to
 * another CPU since, the hook has seen it. The same goes for a kicked thread that
 * could not be stopped within a call.
 */
#define UF_RECHECK_NS (50 * NSEC_PER_USEC)

enum hrtimer_restart uf_recheck(struct hrtimer *timer)
{
	struct uf_thread *thread = container_of(timer, struct uf_thread,
						recheck);

	if (current == thread->task &&
	    (READ_ONCE(thread->state) == UFIBER_THREAD_BLOCKED ||
	     READ_ONCE(thread->kicked))) {
		uf_delay(UF_DELAY_RECHECK);
		uf_resume_kick(thread);
	}
	return HRTIMER_NORESTART;
}

static void uf_look_again(struct uf_thread *thread)
{
	hrtimer_start(&thread->recheck, ns_to_ktime(UF_RECHECK_NS),
		      HRTIMER_MODE_REL_PINNED_HARD);
}

/*
 * INTERRUPT asked for EINTR, and the call was broken by that or by a signal: it
 * is not repeated. This comes before the kernel looks whether to: our work was
 * queued when the thread last went on in the call, and get_signal(), where what
 * is said by TIF_NOTIFY_SIGNAL ends, runs it first.
 */
static void uf_end_call(void)
{
	struct pt_regs *regs = current_pt_regs();

	if (uf_call_is_broken(regs) && !uf_call_is_repeated(regs))
		syscall_set_return_value(current, regs, -EINTR, 0);
}

static bool uf_unblock(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	bool interrupted = false;
	bool running;

	uf_lock(domain);
	if (!thread->left && thread->state == UFIBER_THREAD_BLOCKED) {
		interrupted = thread->interrupted;
		thread->interrupted = false;
		trace_ufiber_unblock(thread);
		if (uf_take_or_queue(thread, UFIBER_REASON_UNBLOCKED))
			WRITE_ONCE(thread->server->shared->takeovers,
				   ++thread->server->takeovers);
		else
			WRITE_ONCE(thread->shared->holds, ++thread->holds);
	}
	running = thread->left || thread->state != UFIBER_THREAD_RUNNABLE;
	uf_unlock(domain);
	uf_delay(UF_DELAY_UNBLOCKED);
	if (running)
		uf_quantum_sched_in(thread);
	else
		uf_quantum_queued(domain);
	if (unlikely(interrupted))
		uf_end_call();
	return running;
}

/* Kicked: give the server up, unless in the critical section. */
static void uf_preempt(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	struct uf_thread *next = NULL;

	rcu_read_lock();
	uf_lock(domain);
	if (!thread->left && thread->kicked) {
		if (READ_ONCE(thread->shared->critical))
			WRITE_ONCE(thread->shared->kicked, 1);
		else
			next = uf_make_way(thread, UFIBER_REASON_PREEMPTED);
	}
	uf_unlock(domain);
	uf_delay(UF_DELAY_PREEMPTED);
	if (next)
		uf_thread_wake(next);
	rcu_read_unlock();
	uf_quantum_queued(domain);
}

/*
 * Sleep until granted a server. The waker writes the state (or left) and then
 * wakes; we set the task state, then read: set_current_state() has the barrier
 * that pairs with the one in wake_up_process().
 */
static void uf_sleep_held(struct uf_thread *thread)
{
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		uf_delay(UF_DELAY_HELD_LOOK);
		if (READ_ONCE(thread->state) != UFIBER_THREAD_RUNNABLE ||
		    signal_pending(current))
			break;
		uf_delay(UF_DELAY_HELD_SLEEP);
		schedule();
	}
	__set_current_state(TASK_RUNNING);
}

/*
 * The state was seen to change, without the lock. Who changed it may still be at the
 * words that user mode is to find (see server.c); it has the lock until it is done.
 */
static void uf_await_grant(struct uf_thread *thread)
{
	if (likely(READ_ONCE(thread->server)))
		return;
	uf_lock(thread->domain);
	uf_unlock(thread->domain);
}

/*
 * Is current in a WAIT that io_uring broke and the kernel repeats? That goes on with
 * its sleep, and knows the deadline and the cancel, which a hold here does not. (Work
 * for it here can be there from before its sleep, when it faulted in its argument.)
 */
static bool uf_wait_is_repeated(const struct uf_thread *thread)
{
	return unlikely(thread->mid_wait) &&
	       READ_ONCE(thread->state) == UFIBER_THREAD_RUNNABLE &&
	       uf_call_is_repeated(current_pt_regs()) &&
	       !task_sigpending(current);
}

/* Returns false if the thread is still to be held, and the work queued again. */
static bool uf_try_hold(struct uf_thread *thread, bool more_work)
{
	if (uf_task_ends(current))
		return true;
	uf_delay(UF_DELAY_HOLD);
	/* After an exec perhaps without a switch, by which the hook would know. */
	if (uf_registration_is_void(thread)) {
		uf_thread_unregister(thread);
		return true;
	}
	if (unlikely(uf_task_is_frozen(current)))
		uf_see_signals();
	if (READ_ONCE(thread->state) == UFIBER_THREAD_BLOCKED &&
	    uf_call_goes_on(thread)) {
		uf_delay(UF_DELAY_GOES_ON);
		uf_look_again(thread);
		return true;
	}
	if (unlikely(READ_ONCE(thread->kicked))) {
		if (uf_within_call(current_pt_regs())) {
			uf_look_again(thread);
			return true;
		}
		uf_preempt(thread);
	}
	if (uf_wait_is_repeated(thread))
		return true;
	if (uf_unblock(thread))
		return true;
	if (!more_work) {
		WRITE_ONCE(thread->held, true);
		uf_sleep_held(thread);
		uf_delay(UF_DELAY_HELD_END);
		WRITE_ONCE(thread->held, false);
	}
	if (READ_ONCE(thread->left)) {
		uf_thread_detach(thread);
		return true;
	}
	if (READ_ONCE(thread->state) != UFIBER_THREAD_RUNNABLE) {
		uf_await_grant(thread);
		uf_goes_on(thread);
		/* It may have been granted before it slept. */
		uf_quantum_sched_in(thread);
		return true;
	}
	if (task_sigpending(current))
		return true;
	if (test_thread_flag(TIF_NOTIFY_SIGNAL)) {
		clear_notify_signal();
		thread->notified = true;
	}
	return false;
}

/**
 * uf_hold - give current a server, or hold it until it gets one
 * @thread: current's registration
 * @more_work: other task work waits to be run after this
 *
 * The resume work. Called in task context, on the way to user mode.
 *
 * TIF_NOTIFY_SIGNAL keeps a thread from sleeping, so it is cleared to hold one. But
 * it may also be what broke the call, and what has that repeated and the mask of
 * signals restored, on the way to user mode that is still to come (a tracer's stop
 * at the call's end runs the work before it). So it is set again at the end, or when
 * the work could not be queued (compat/resume_fput.c). A signal sees to the same; and
 * if it dumps core nothing clears the flag before a write of that, which would be cut
 * short by it.
 */
void uf_hold(struct uf_thread *thread, bool more_work)
{
	if (!uf_try_hold(thread, more_work)) {
		uf_resume_queue(thread);
		if (likely(READ_ONCE(thread->resume_queued)))
			return;
	}
	if (unlikely(thread->notified)) {
		thread->notified = false;
		if (!uf_task_ends(current) && !task_sigpending(current))
			set_thread_flag(TIF_NOTIFY_SIGNAL);
	}
}

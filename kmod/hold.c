// SPDX-License-Identifier: GPL-2.0-only
/*
 * At the return to user mode: a thread that has blocked and lost its server gets
 * one again, or is held until it does. This is task context with no kernel lock
 * held, the one place where a thread can be stopped without harm to others.
 *
 * Task work also runs within a few calls (io_uring_enter, when it waits; stops
 * for a debugger); there we leave the thread as it is.
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
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <asm/syscall.h>

#include "ufiber.h"

/*
 * Is current still in the system call that it blocked in, or about to repeat it,
 * no signal being the cause? io_uring interrupts a sleeping submitter so (TIF_NOTIFY_SIGNAL). The
 * call has not ended: the thread will block again at once, and stays BLOCKED.
 * (If it is preempted just before, it comes here a second time, the marks of the
 * repetition gone, and may get a server only to block again; that is harmless.)
 */
static bool uf_call_goes_on(void)
{
	struct pt_regs *regs = current_pt_regs();

	if (task_sigpending(current) || syscall_get_nr(current, regs) < 0)
		return false;
	switch (syscall_get_error(current, regs)) {
	case -ENOSYS:	/* no result yet: within the call */
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
 * The call may find what it waits for and return without having slept again,
 * so that no hook sees it and the thread runs on in user mode without a server.
 * A look at it after a little while bounds that: if it is still BLOCKED, yet
 * runs here, it is either there or will soon be. If it has slept or moved to
 * another CPU since, the hook has seen it.
 */
#define UF_RECHECK_NS (50 * NSEC_PER_USEC)

enum hrtimer_restart uf_recheck(struct hrtimer *timer)
{
	struct uf_thread *thread = container_of(timer, struct uf_thread,
						recheck);

	if (current == thread->task &&
	    READ_ONCE(thread->state) == UFIBER_THREAD_BLOCKED)
		uf_resume_queue(thread);
	return HRTIMER_NORESTART;
}

static bool uf_unblock(struct uf_thread *thread)
{
	struct uf_domain *domain = thread->domain;
	bool running;

	raw_spin_lock_irq(&domain->lock);
	if (!thread->left && thread->state == UFIBER_THREAD_BLOCKED) {
		if (uf_take_or_queue(thread))
			WRITE_ONCE(thread->server->shared->takeovers,
				   ++thread->server->takeovers);
		else
			WRITE_ONCE(thread->shared->holds, ++thread->holds);
	}
	running = thread->left || thread->state != UFIBER_THREAD_RUNNABLE;
	raw_spin_unlock_irq(&domain->lock);
	return running;
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
		if (READ_ONCE(thread->state) != UFIBER_THREAD_RUNNABLE ||
		    signal_pending(current))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
}

/**
 * uf_hold - give current a server, or hold it until it gets one
 * @thread: current's registration
 * @more_work: other task work waits to be run after this
 *
 * The resume work. Called in task context, on the way to user mode.
 */
void uf_hold(struct uf_thread *thread, bool more_work)
{
	if (current->flags & PF_EXITING)
		return;
	if (READ_ONCE(thread->left)) {
		uf_thread_detach(thread);
		return;
	}
	if (READ_ONCE(thread->state) == UFIBER_THREAD_BLOCKED &&
	    uf_call_goes_on()) {
		hrtimer_start(&thread->recheck, ns_to_ktime(UF_RECHECK_NS),
			      HRTIMER_MODE_REL_PINNED_HARD);
		return;
	}
	if (uf_unblock(thread))
		return;
	if (!more_work) {
		thread->held = true;
		uf_sleep_held(thread);
		thread->held = false;
	}
	if (READ_ONCE(thread->left)) {
		uf_thread_detach(thread);
		return;
	}
	if (READ_ONCE(thread->state) != UFIBER_THREAD_RUNNABLE ||
	    task_sigpending(current))
		return;
	clear_notify_signal();
	uf_resume_queue(thread);
}

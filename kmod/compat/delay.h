/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Delay points: where the outcome of a race is decided, the module can be made to
 * dawdle, so that tests see the rare order of things often (tools/races/run). They
 * are nothing at all unless built with UFIBER_DELAY=y.
 *
 * Each stands for a window that some comment argues about; here is what may come
 * into it. Any of them may be under domain->lock or the rq lock.
 */
#ifndef UFIBER_DELAY_H
#define UFIBER_DELAY_H

enum uf_delay {
	/* server.c: user mode reads the words while they are written */
	UF_DELAY_OWN,			/* server, but not RUNNING yet */
	UF_DELAY_GRANT,			/* RUNNING, but not the owner yet */
	UF_DELAY_RELEASE,		/* not RUNNING, but with a server */
	UF_DELAY_PASS_ON,		/* nobody's, before the next one's */
	UF_DELAY_ROB,			/* the poller takes its word back */
	UF_DELAY_ROBBED,		/* it learns before its state says so */
	UF_DELAY_QUEUED,		/* after (a), before (b): POLLING begins */

	/* block.c: in the scheduler */
	UF_DELAY_BLOCK,			/* kick, interrupt, close, resize */
	UF_DELAY_BLOCKED,		/* before the next one's wake-up */
	UF_DELAY_LOSE,			/* close, wake of a thread that ends */
	UF_DELAY_LOST,			/* before wake-ups, and its last put */
	UF_DELAY_SCHED_IN,		/* kick, close, on the way in */

	/* wait.c */
	UF_DELAY_WAIT_BEGUN,		/* granted, woken before it sleeps */
	UF_DELAY_WAIT_LOOK,		/* grant between task state and look */
	UF_DELAY_WAIT_SLEEP,		/* grant between look and sleep */
	UF_DELAY_WAIT_END,		/* a grant after time-out or signal */
	UF_DELAY_WAIT_GRANTED,		/* robbed, kicked before it returns */
	UF_DELAY_HANDED_OVER,		/* next runs, ends before its wake-up */
	UF_DELAY_STAND_ASIDE,		/* around (b): it no longer does */
	UF_DELAY_STEP_ASIDE,		/* before (c): it is granted one */
	UF_DELAY_WOKEN,			/* the woken one goes on, ends before */

	/* hold.c: at the return to user mode */
	UF_DELAY_HOLD,			/* kick, grant, close, before it looks */
	UF_DELAY_GOES_ON,		/* the call ends, or sleeps again */
	UF_DELAY_UNBLOCKED,		/* granted before it sleeps */
	UF_DELAY_PREEMPTED,		/* before the next one's wake-up */
	UF_DELAY_HELD_LOOK,		/* grant between task state and look */
	UF_DELAY_HELD_SLEEP,		/* grant between look and sleep */
	UF_DELAY_HELD_END,		/* close, robbery before it goes on */
	UF_DELAY_RECHECK,		/* the call ends meanwhile */

	/* kick.c, quantum.c, compat/resume_*.c */
	UF_DELAY_KICK,			/* its thread loses the server, ends */
	UF_DELAY_INTERRUPT,		/* the call ends, another begins */
	UF_DELAY_QUANTUM,		/* the holder blocks, ends before the kick */
	UF_DELAY_QUANTUM_START,		/* expiry, end of the quantum */
	UF_DELAY_RESUME,		/* marked as queued, but not yet */

	/* resize.c, thread.c, domain.c */
	UF_DELAY_RESIZE,		/* holder blocks, ends before its kick */
	UF_DELAY_JOIN,			/* to be found, but not hooked in yet */
	UF_DELAY_LEAVE,			/* before the wake-up, before it detaches */
	UF_DELAY_END,			/* the last put, against the closing */
	UF_DELAY_CLOSE,			/* threads detach, end, before wake-ups */

	/* ring.c, events.c, uring_cmd.c */
	UF_DELAY_EVENT,			/* written, but not published */
	UF_DELAY_NOTIFY,		/* after (a), before (b): one listens */
	UF_DELAY_LISTEN,		/* after (c), before (d): events come */
	UF_DELAY_URING_START,		/* notified, cancelled before removal */
	UF_DELAY_URING_CANCEL,		/* notified before removal */

	UF_DELAYS,
};

#ifdef UFIBER_DELAY
void uf_delay(enum uf_delay point);
#else
static inline void uf_delay(enum uf_delay point)
{
}
#endif

#endif /* UFIBER_DELAY_H */

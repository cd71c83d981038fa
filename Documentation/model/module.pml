/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module: functions are those of kmod/ under their names, and so are their
 * variables. What is in an atomic sequence between raw_spin_lock() and
 * raw_spin_unlock() is one step for all who lock; those who read without the lock
 * see its stores come out of the store buffer.
 *
 * What is left out, and why that hides nothing, is in Documentation/model.rst. Choices:
 *
 *   which VACANT or POLLING server is taken, and which standby thread is given
 *	one: any, where the code prefers one for its caches
 *   when a thread stands aside: any hand-over may or may not, where the code
 *	counts failures
 *   which RUNNABLE thread is next: any, where the code goes by priority, then time
 *
 * BUG_ macros are seeded bugs, see tools/model/run.
 */

/* struct uf_thread; registered, without a server */
byte state[THREADS + 1] = IDLE;
byte server[THREADS + 1];
bool waiting[THREADS + 1];
bool aside[THREADS + 1];
bool woken[THREADS + 1];
bool cancelled[THREADS + 1];
#ifdef MARKS
bool kicked[THREADS + 1];
#endif
#ifdef KICKS
bool resume_queued[THREADS + 1];
#endif

/* struct uf_server */
byte holder[SERVERS + 1];
bool for_fibers; /* of the one that is passed on */

/* struct uf_domain */
bool vacant[SERVERS + 1] = true;

/* Its lists, in no order: who is in them. */
bool runnable[THREADS + 1];
bool standby[THREADS + 1];
bool work[THREADS + 1];

#define nr_runnable	count(runnable)
#define is_linked(t)	(runnable[t] || standby[t] || work[t])

#ifdef RESIZES
byte nr_servers = SERVERS;
#define uf_retires(s)	((s) > nr_servers)
#else
#define uf_retires(s)	false
#endif

#ifdef USER_SCHED
#define uf_user_schedules()	true
#else
#define uf_user_schedules()	false
#endif

/* server.c --------------------------------------------------------------- */

inline uf_set_state(t, new_state)
{
	d_step {
		state[t] = new_state;
		store_thread_word(STATE, seen_state[t], t, new_state)
	}
}

inline uf_unlink(t)
{
	if
	:: standby[t] -> standby[t] = false
	:: work[t] -> work[t] = false
	:: runnable[t] ->
		runnable[t] = false;
		store_domain_word(NR_RUNNABLE, 0, nr_runnable)
	fi
}

inline uf_dequeue(t)
{
	d_step {
		if
		:: is_linked(t) -> uf_unlink(t)
		:: else
		fi
	}
}

inline uf_own(s, t)
{
	d_step {
		holder[s] = t;
		server[t] = s;
		store_thread_word(SERVER, seen_server[t], t, s);
		uf_set_state(t, RUNNING)
	}
}

inline uf_grant(s, t)
{
	d_step {
		require(server_granted_once, holder[s] == NONE && server[t] == NONE);
#ifndef BUG_GRANT_KEEPS_QUEUED
		uf_dequeue(t);
#endif
		vacant[s] = false;
		uf_own(s, t);
		store_domain_word(OWNER, s, HELD(t))
	}
}

inline uf_forget_kick(t)
{
#ifdef MARKS
	if
	:: kicked[t] ->
		kicked[t] = false;
		store_kicked(t, false)
	:: else
	fi
#else
	skip
#endif
}

/* In @s the server that @t had, or NONE. */
inline uf_release(t, new_state, s)
{
	d_step {
		uf_set_state(t, new_state);
		s = server[t];
		if
		:: s ->
			uf_forget_kick(t);
#ifndef BUG_RELEASE_KEEPS_SERVER
			server[t] = NONE;
#endif
			holder[s] = NONE;
			store_thread_word(SERVER, seen_server[t], t, NONE)
		:: else
		fi
	}
}

/* In @next the thread, or NONE. */
inline uf_first_runnable(next)
{
	if
	:: uf_user_schedules() -> next = NONE
	:: else -> uf_first(runnable, next)
	fi
}

/* In @next the thread, or NONE. */
inline uf_next_holder(next)
{
	next = NONE;
	if
	:: for_fibers -> uf_first(standby, next)
	:: else
	fi;
	if
	:: !next -> uf_first_runnable(next)
	:: else
	fi;
#ifndef BUG_NEXT_HOLDER_FORGETS_STANDBY
	if
	:: !next -> uf_first(standby, next)
	:: else
	fi;
#endif
#ifdef USER_SCHED
	if
	:: !next && nr_runnable -> uf_first(work, next)
	:: else
	fi
#endif
}

/* In @next the thread to wake, or NONE. */
inline uf_pass_on(s, next)
{
	if
	:: uf_retires(s) ->
		next = NONE;
		store_domain_word(OWNER, s, OFFLINE)
	:: else ->
		uf_next_holder(next);
		if
		:: next -> uf_grant(s, next)
		:: else ->
			vacant[s] = true;
			store_domain_word(OWNER, s, VACANT)
		fi
	fi
}

/*
 * In @s a server, or NONE. If both are VACANT nothing tells them apart, but that
 * one may retire, or that who polled it does not know yet.
 */
#if defined(POLLS) || defined(RESIZES)
#define is_second_choice	true
#else
#define is_second_choice	!vacant[1]
#endif

inline uf_vacant_server(s)
{
	if
	:: vacant[1] -> s = 1
#if SERVERS > 1
	:: vacant[2] && is_second_choice -> s = 2
#endif
	:: else -> s = NONE
	fi
}

#define uf_is_polling(s)	(holder[s] && owner[s] == POLLING(holder[s]))

/* In @s the server, now without a holder, or NONE. */
inline uf_rob(s, word)
{
	smp_mb();
#ifndef BUG_ROB_WITHOUT_SWAP
	if
	:: uf_is_polling(s) -> owner[s] = word
	:: else -> s = NONE
	fi;
#else
	/* Looks, and writes plainly. */
	if
	:: uf_is_polling(s) -> store_domain_word(OWNER, s, word)
	:: else -> s = NONE
	fi;
#endif
	if
	:: s ->
		d_step {
			poller = holder[s];
			uf_release(poller, IDLE, s);
			poller = NONE
		}
	:: else
	fi
}

/* In @s the server that @t took from a poller, or NONE. */
inline uf_take_polling(s, t)
{
	if
	:: uf_retires(s) -> s = NONE
	:: else -> uf_rob(s, HELD(t))
	fi;
	if
	:: s -> d_step { uf_dequeue(t); uf_own(s, t) }
	:: else
	fi
}

inline uf_take_any_polling(t, s)
{
	if
	:: uf_is_polling(1) -> s = 1; uf_take_polling(s, t)
#if SERVERS > 1
	:: uf_is_polling(2) && !uf_retires(2) -> s = 2; uf_take_polling(s, t)
#endif
	:: else -> s = NONE
	fi
}

/* Of pollers only the last server's is robbed here; any may be that. */
inline uf_take_free(t, s)
{
	s = NONE;
	if
	:: uf_is_polling(1) -> s = 1; uf_take_polling(s, t)
#if SERVERS > 1
	:: uf_is_polling(2) -> s = 2; uf_take_polling(s, t)
#endif
	:: true
	fi;
	if
	:: !s ->
		uf_vacant_server(s);
		if
		:: s -> uf_grant(s, t)
		:: else
		fi
	:: else
	fi
}

inline uf_queue_runnable(t)
{
	d_step {
		require(in_one_list, !is_linked(t));
		uf_set_state(t, RUNNABLE);
		runnable[t] = true;
		store_domain_word(NR_RUNNABLE, 0, nr_runnable)		/* (a) */
	}
}

inline uf_rouse(s)
{
#ifdef USER_SCHED
	uf_first(work, idle);
	if
	:: idle -> uf_vacant_server(s)
	:: else -> s = NONE
	fi;
	if
	:: s ->
		uf_grant(s, idle);
		irq_work_queue(idle)
	:: else
	fi;
	idle = NONE;
#endif
	s = NONE
}

/* In @s the server, or NONE: queued as RUNNABLE. */
inline uf_take_or_queue(t, s)
{
	s = NONE;
	if
	:: uf_user_schedules()
	:: else -> uf_take_free(t, s)
	fi;
	if
	:: !s ->
		uf_queue_runnable(t);
#ifndef BUG_NO_BARRIER_BEFORE_LOOK
		smp_mb();
#endif
#ifndef BUG_NO_LOOK_AFTER_QUEUE
		if
		:: uf_user_schedules()
		:: else -> uf_take_any_polling(t, s)		/* (b) */
		fi;
#endif
		if
		:: !s -> uf_rouse(s)
		:: else
		fi
	:: else
	fi
}

inline uf_queue_standby(t, flags)
{
	require(in_one_list, !is_linked(t));
	if
	:: flags & WORK -> work[t] = true
	:: else -> standby[t] = true
	fi
}

/* block.c ---------------------------------------------------------------- */

inline uf_block(s, next, critical)
{
	raw_spin_lock();
	if
	:: server[me] && uf_is_polling(server[me]) ->
		/* Nobody takes it if it retires, so it is lost here. */
		if
		:: uf_retires(server[me]) -> s = server[me]; uf_rob(s, OFFLINE)
		:: else
		fi
	:: server[me] && critical && !uf_is_polling(server[me])
	:: server[me] && !critical && !uf_is_polling(server[me]) ->
		uf_release(me, BLOCKED, s);
		uf_pass_on(s, next)
#ifndef BUG_BLOCK_STAYS_RUNNABLE
	:: !server[me] && state[me] == RUNNABLE ->
#ifndef BUG_BLOCK_STAYS_QUEUED
		uf_dequeue(me);
#endif
		uf_set_state(me, BLOCKED)
#endif
	:: else
	fi;
	raw_spin_unlock();
	s = NONE;
#ifndef BUG_BLOCK_FORGETS_WAKE
	if
	:: next -> irq_work_queue(next)
	:: else
	fi;
#endif
	next = NONE
}

/* thread.c --------------------------------------------------------------- */

inline uf_leave(t, s, next)
{
	uf_dequeue(t);
	uf_release(t, FREE, s);
#ifndef BUG_LEAVE_KEEPS_SERVER
	if
	:: s -> uf_pass_on(s, next)
	:: else
	fi
#endif
}

/* At its first switch as PF_EXITING. */
inline uf_lose(s, next)
{
	raw_spin_lock();
	uf_leave(me, s, next);
	raw_spin_unlock();
	s = NONE;
	if
	:: next -> irq_work_queue(next)
	:: else
	fi;
	next = NONE
}

/* hold.c ----------------------------------------------------------------- */

/* In @over whether the thread goes on to user mode. */
inline uf_unblock(s, over)
{
	raw_spin_lock();
	if
	:: state[me] == BLOCKED -> uf_take_or_queue(me, s)
	:: else
	fi;
	s = NONE;
	over = (state[me] != RUNNABLE);
	raw_spin_unlock()
}

inline uf_sleep_held()
{
	do
	:: atomic {
		set_current_state_interruptible();
		if
		:: sees_state() != RUNNABLE || signal[me] -> break
		:: else
		fi
	   }
	   schedule()
	od
}

/* kick.c; hold.c ---------------------------------------------------------- */

/* In @next the thread to wake, or NONE. */
inline uf_make_way(s, next)
{
	uf_next_holder(next);
	if
	:: server[me] && !uf_retires(server[me]) && !next && !anyone(work) ->
		uf_forget_kick(me)
	:: server[me] && (uf_retires(server[me]) || next || anyone(work)) ->
		uf_release(me, RUNNABLE, s);
#ifndef BUG_MAKE_WAY_KEEPS_SERVER
		/* uf_fibers_turn() */
		if
		:: for_fibers = true
		:: skip
		fi;
		uf_pass_on(s, next);
		for_fibers = false;
#endif
#ifndef BUG_MAKE_WAY_FORGETS_LOOK
		uf_take_or_queue(me, s)
#else
		uf_queue_runnable(me)
#endif
	:: else -> next = NONE
	fi;
	s = NONE
}

/* In @over whether the thread goes on to user mode. */
inline uf_preempt(s, next, over)
{
	raw_spin_lock();
	if
	:: kicked[me] -> uf_make_way(s, next)
	:: else
	fi;
	over = (state[me] != RUNNABLE);
	raw_spin_unlock();
	if
	:: next -> wake_up_process(next); next = NONE
	:: else
	fi
}

/*
 * A thread that is kicked holds a server: uf_unblock() finds nothing to do after
 * uf_preempt(), and so is left out there. A signal takes the thread to user mode
 * RUNNABLE.
 */
inline uf_hold(s, next, over)
{
	atomic {
		if
#ifdef MARKS
		:: sees_kicked() -> leave_user_mode(); uf_preempt(s, next, over)	/* (d) */
#endif
		:: else -> uf_unblock(s, over)
		fi;
		if
		:: over -> return_to_user()
		:: else
		fi
	}
	if
	:: over -> over = false
	:: else -> uf_sleep_held(); atomic { return_to_user() }
	fi
}

/* compat/resume_task_work.c ------------------------------------------------- */

/*
 * The work is queued if resume_queued says so; only kicks need to know. The module
 * has two, the thread's own and one for kicks, which do the same.
 */
inline uf_resume_run(s, next, over)
{
#ifdef KICKS
#ifdef BUG_HOLD_LOOKS_FIRST
	atomic { leave_user_mode(); over = sees_kicked() }
#endif
	atomic { leave_user_mode(); smp_mb(); resume_queued[me] = false }	/* (c) */
#endif
#ifndef BUG_HOLD_LOOKS_FIRST
	uf_hold(s, next, over)
#else
	if
	:: over -> over = false; uf_hold(s, next, over)
	:: else -> atomic { return_to_user() }
	fi
#endif
}

#ifdef KICKS
/* What uf_sched_in() calls if the thread has blocked. */
#define uf_resume_queue()	atomic { smp_mb(); resume_queued[me] = true }
/* By xchg(). */
#define uf_resume_kick(t)	smp_mb(); resume_queued[t] = true	/* (b) */
#endif

#ifdef MARKS
/* What UFIBER_IOC_KICK and RESIZE do under the lock. */
inline mark(t)
{
	kicked[t] = true;						/* (a) */
	store_kicked(t, true)
}
#endif

#ifdef KICKS
inline uf_kick(t)
{
	atomic {
		choose_any(t);
#ifdef BUG_KICK_NUDGES_FIRST
		uf_resume_kick(t)
	}
	atomic {
#endif
		raw_spin_lock();
		if
		:: state[t] == RUNNING -> mark(t)
		:: else -> t = NONE
		fi;
		raw_spin_unlock()
	}
#ifndef BUG_KICK_NUDGES_FIRST
	if
	:: t -> atomic { uf_resume_kick(t); t = NONE }
	:: else
	fi
#else
	t = NONE
#endif
}
#endif

/* resize.c ---------------------------------------------------------------- */

#ifdef RESIZES
inline uf_add_server(s, next)
{
	atomic {
		raw_spin_lock();
		nr_servers++;
		s = nr_servers;
#ifndef BUG_ADD_FORGETS_POLLER
		if
		:: holder[s] && nr_runnable -> uf_rob(s, VACANT)
		:: else
		fi;
#endif
		if
		:: s && !holder[s] -> uf_pass_on(s, next)
		:: else
		fi;
		s = NONE;
		raw_spin_unlock()
	}
	if
	:: next -> atomic { wake_up_process(next); next = NONE }
	:: else
	fi
}

inline uf_retire_server(s, next)
{
	atomic {
		raw_spin_lock();
		s = nr_servers;
		nr_servers--;
		if
		:: !holder[s] ->
			vacant[s] = false;
			store_domain_word(OWNER, s, OFFLINE)
		:: else ->
			uf_rob(s, OFFLINE);
			if
			:: !s -> next = holder[nr_servers + 1]; mark(next)
			:: else
			fi
		fi;
		s = NONE;
		next = NONE;
		raw_spin_unlock()
	}
}
#endif

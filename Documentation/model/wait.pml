/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls that sleep and wake, as kmod/wait.c has them: see module.pml.
 */

#if defined(BUG_HANDOVER_TO_ANY)
#define uf_accepts_server(t)	(!server[t] && state[t] != FREE)
#elif defined(BUG_HANDOVER_TO_HOLDER)
#define uf_accepts_server(t)	(state[t] != IDLE || waiting[t])
#else
#define uf_accepts_server(t) \
	(state[t] == RUNNABLE || (state[t] == IDLE && waiting[t]))
#endif

/* In @keeps. */
inline uf_keeps_server(flags, next, keeps)
{
	uf_first_runnable(next);
	keeps = (flags & STANDBY) && server[me] && !uf_retires(server[me]) &&
		((flags & WORK) -> nr_runnable > 0 : !next);
	next = NONE
}

/* In @next whom to wake. */
inline uf_end_idle(t, s, next)
{
	if
	:: state[t] != IDLE || !waiting[t] ->
#ifndef BUG_WAKE_NEEDS_WAITER
		woken[t] = true;
#endif
		next = NONE
	:: else ->
		uf_dequeue(t);
		uf_take_or_queue(t, s);
		next = (s -> t : NONE);
		s = NONE
	fi
}

/* @next: whom to, or NONE; then whom to wake. */
inline uf_give_up(s, next)
{
	uf_dequeue(me);
	uf_release(me, IDLE, s);
	if
	:: !s -> next = NONE
	:: s && !next -> uf_pass_on(s, next)
	:: s && next && uf_retires(s) ->
		to = next;
		uf_pass_on(s, next);
		if
		:: state[to] == IDLE -> uf_end_idle(to, s, next)
		:: else
		fi;
		to = NONE
	:: s && next && !uf_retires(s) -> uf_grant(s, next)
	fi
}

inline uf_stand_by(flags, s)
{
	s = NONE;
	if
	:: !(flags & WORK) || nr_runnable -> uf_vacant_server(s)
	:: else
	fi;
	if
	:: s -> uf_grant(s, me)
	:: else -> uf_queue_standby(me, flags)
	fi
}

#ifndef BUG_WAIT_BEGINS_AGAIN
#define goes_on		mid_wait
#else
#define goes_on		false
#endif

/* In @next whom to wake. */
inline uf_begin_runnable(flags, s, next)
{
	next = NONE;
	if
	:: (flags & YIELD) && !goes_on -> uf_make_way(s, next)
	:: else
	fi;
	if
#ifndef BUG_WAIT_QUEUES_AGAIN
	:: !server[me] && !is_linked(me) -> uf_take_or_queue(me, s)
#else
	:: !server[me] -> uf_take_or_queue(me, s)
#endif
	:: else
	fi
}

/* @next: whom to hand over to; then whom to wake. */
inline uf_begin_wait(flags, s, next, ret)
{
	ret = OK;
	if
	:: goes_on -> next = NONE
	:: else
	fi;
	if
	:: !goes_on || (flags & WAIT_RUNNABLE) -> expired = false
	:: else
	fi;
	if
	:: (flags & HANDOVER) && !goes_on &&
	   !(uf_accepts_server(next) && server[me]) ->
		next = NONE;
		ret = EAGAIN
	:: else -> if
	:: cancelled[me] ->
		if
		:: goes_on && (server[me] || is_linked(me)) ->
			wake_is_settled(me)
		:: else
		fi;
		cancelled[me] = false;
		store_thread_word(CANCELLED, seen_cancelled[me], me, false);
		expired = false;
		mid_wait = false;
		next = NONE;
		uf_give_up(s, next);
		ret = ECANCELED
	:: else -> if
	:: (flags & WAIT_RUNNABLE) || (goes_on && state[me] == BLOCKED) ->
		uf_begin_runnable(flags, s, next)
	:: else -> if
	:: woken[me] ->
		woken[me] = false;
		uf_begin_runnable(0, s, next)
	:: else -> if
	:: goes_on && (server[me] || is_linked(me))
	:: else ->
		if
		:: !next -> uf_keeps_server(flags, next, over)
		:: else
		fi;
		if
		:: over -> over = false
		:: else ->
			uf_give_up(s, next);
			if
			:: (flags & STANDBY) && !server[me] -> uf_stand_by(flags, s)
			:: else
			fi
		fi
	fi fi fi fi fi;
	s = NONE
}

/*
 * In @ret OK, EINTR or ETIME. What may come between the store of the task's state
 * and the look at the thread's is either seen by the look or finds the store, so
 * both are one step.
 */
inline uf_sleep_wait(flags, ret)
{
	ret = OK;
	do
	:: atomic {
#ifndef BUG_SLEEP_LOOKS_FIRST
		set_current_state_interruptible();
#endif
		if
		:: sees_state() == RUNNING || sees_cancelled() -> break
		:: else
		fi;
		if
		:: signal[me] -> ret = EINTR; break
#ifdef TIMEOUTS
		:: (flags & TIMEOUT) && !expired -> ret = ETIME; break
#endif
		:: else
		fi
	   }
#ifdef BUG_SLEEP_LOOKS_FIRST
	   sleeps[me] = true;
#endif
	   schedule()
	od
}

inline uf_expire(s)
{
	expired = true;
	if
	:: state[me] != RUNNABLE -> uf_take_or_queue(me, s)
	:: else
	fi
}

/* In @ret what the call returns, if @over. */
inline uf_end_wait(flags, s, ret, over)
{
	if
	:: !server[me] && !cancelled[me] && ret == ETIME &&
	   !(flags & (STANDBY | WAIT_RUNNABLE)) -> uf_expire(s)
	:: else
	fi;
	s = NONE;
	over = server[me] || cancelled[me] || ret != ETIME ||
	       (flags & (STANDBY | WAIT_RUNNABLE));
	if
	:: over ->
		waiting[me] = false;
		mid_wait = false;
		if
		:: server[me] ->
			ret = OK;
			expired = false
		:: !server[me] && (cancelled[me] || ret == ETIME) ->
			ret = (cancelled[me] -> ECANCELED : ETIME);
			if
			:: cancelled[me] ->
				cancelled[me] = false;
				store_thread_word(CANCELLED, seen_cancelled[me], me, false)
			:: else
			fi;
			expired = false;
			if
			:: state[me] == RUNNABLE -> wake_is_settled(me)
			:: else
			fi;
			uf_dequeue(me);
			uf_set_state(me, IDLE)
		:: else ->
			ret = EINTR;
			mid_wait = true;
			if
			:: state[me] == IDLE -> uf_dequeue(me)
			:: else
			fi
		fi
	:: else
	fi
}

/* In @next whom to wake: not one who stands aside. */
inline uf_stands_aside(next)
{
#ifndef BUG_NO_BARRIER_BEFORE_ASIDE
	smp_mb();
#endif
	if
	:: aside[next] -> next = NONE
	:: else
	fi
}

/* Whether the wait has ended with a server: no lock is needed then. */
inline uf_end_granted(flags, ret, over)
{
	over = (sees_server() && !expired);
	if
	:: over ->
		waiting[me] = false;
		mid_wait = false;
		end_call(flags, ret);
		return_to_user()
	:: else
	fi
}

inline uf_wait_sleep(flags, s, ret, over)
{
	do
	:: uf_sleep_wait(flags, ret);
	   atomic {
		end_sleep();
		if
		:: ret == OK -> uf_end_granted(flags, ret, over)
		:: else
		fi;
		if
		:: over
		:: else ->
			raw_spin_lock();
			uf_end_wait(flags, s, ret, over);
			raw_spin_unlock();
			if
			:: over -> end_call(flags, ret); return_to_user()
			:: else
			fi
		fi
	   }
	   if
	   :: over -> over = false; break
	   :: else
	   fi
	od
}

inline uf_finish_wait(flags, s, ret, over)
{
	/* uf_step_aside(), and the look whether that was enough. */
	atomic {
#ifndef BUG_ASIDE_FOR_EVER
		aside[me] = false;				/* (c) */
#endif
		uf_end_granted(flags, ret, over)
	}
	if
	:: over -> over = false
	:: else -> uf_wait_sleep(flags, s, ret, over)
	fi
}

/* In @next whom to wake. */
inline uf_wait_any(flags, s, next, ret, over)
{
	uf_begin_wait(flags, s, next, ret);
	if
	:: ret == OK && server[me] -> uf_end_wait(flags, s, ret, over)
	:: ret == OK && !server[me] -> waiting[me] = true
	:: else
	fi;
	raw_spin_unlock();
	if
	:: next -> uf_stands_aside(next)
	:: else
	fi
}

#define is_usual(flags, next) \
	(flags == HANDOVER && server[me] && uf_accepts_server(next) && \
	 !woken[me] && !cancelled[me] && !mid_wait && !uf_retires(server[me]))

/* @next: whom to; then whom to wake. */
inline uf_handover(s, next)
{
	expired = false;
	uf_release(me, IDLE, s);
	uf_grant(s, next);
	s = NONE;
	waiting[me] = true;
	if
	:: aside[me] = true
	:: true
	fi;
	uf_stands_aside(next);
	raw_spin_unlock()
}

/* @next: whom to hand over to. */
inline uf_wait(flags, s, next, ret, over)
{
	atomic {
		fetch_wait(flags, next);
		leave_user_mode();
		raw_spin_lock();
		if
		:: is_usual(flags, next) -> uf_handover(s, next)
		:: else -> uf_wait_any(flags, s, next, ret, over)
		fi;
		over = !waiting[me];
		if
		:: over && !next -> end_call(flags, ret); return_to_user()
		:: else
		fi
	}
	if
	:: next -> atomic {
		wake_up_process(next);
		next = NONE;
		if
		:: over -> end_call(flags, ret); return_to_user()
		:: else
		fi
	   }
	:: else
	fi;
	if
	:: over -> over = false
	:: else -> uf_finish_wait(flags, s, ret, over)
	fi
#ifdef BUG_ASIDE_FOR_EVER
	;
	aside[me] = false
#endif
}

/* @t: the thread to wake. */
inline uf_wake(t, cancel, s, next)
{
#ifdef BUG_WAKE_BEFORE_STATE
	atomic { fetch_wake(t); wake_up_process(t) };
#endif
	atomic {
#ifndef BUG_WAKE_BEFORE_STATE
		fetch_wake(t);
#endif
		raw_spin_lock();
		if
		:: state[t] == FREE
		:: state[t] != FREE && cancel ->
			cancelled[t] = true;
			store_thread_word(CANCELLED, seen_cancelled[t], t, true);
#ifndef BUG_CANCEL_WAKES_NOBODY
			next = (waiting[t] -> t : NONE)
#else
			next = NONE
#endif
		:: state[t] != FREE && !cancel ->
			wake_is_owed(t);
			uf_end_idle(t, s, next)
		fi;
		raw_spin_unlock();
		t = NONE
	}
#ifndef BUG_WAKE_BEFORE_STATE
	if
	:: next -> atomic { wake_up_process(next); next = NONE }
	:: else
	fi
#else
	next = NONE
#endif
}

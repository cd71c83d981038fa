/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module: functions are those of kmod/ under their names, and so are their
 * variables. What is in an atomic sequence between raw_spin_lock() and
 * raw_spin_unlock() is one step for all who lock; those who read without the lock
 * see its stores come out of the store buffer.
 *
 * Left out, and why that hides nothing:
 *
 *   which VACANT or POLLING server is taken, and which standby thread is given
 *	one: any, where the code prefers one for its caches
 *   when a thread stands aside: any hand-over may or may not, where the code
 *	counts failures
 *   a call that io_uring interrupts (uf_call_goes_on()): a longer block
 *   priorities: first come, first served stands for any order among RUNNABLE
 *   INTERRUPT: a block that ends
 *   counters, events, QUERY, memory's end: nobody decides by them
 *
 * BUG_ macros are seeded bugs, see tools/model/run.
 */

/* struct uf_thread; registered, without a server */
byte state[THREADS + 1] = IDLE;
byte server[THREADS + 1];
bool standby[THREADS + 1];
bool works[THREADS + 1];
bool waiting[THREADS + 1];
bool aside[THREADS + 1];
bool woken[THREADS + 1];
bool cancelled[THREADS + 1];

/* struct uf_server */
byte holder[SERVERS + 1];

/* struct uf_domain */
bool vacant[SERVERS + 1] = true;
chan runnable = [THREADS] of { byte };

/* Those that stand by and those that wait for work, in no order. */
#define is_runnable(t)	(runnable??[eval(t)])
#define is_linked(t)	(standby[t] || works[t] || is_runnable(t))

#ifdef RESIZES
byte nr_servers = SERVERS;
bool kicked[THREADS + 1];
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
	:: works[t] -> works[t] = false
	:: is_runnable(t) ->
		runnable??eval(t);
		store_domain_word(NR_RUNNABLE, 0, len(runnable))
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
#ifdef RESIZES
	kicked[t] = false
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
			server[t] = NONE;
			holder[s] = NONE;
			store_thread_word(SERVER, seen_server[t], t, NONE)
		:: else
		fi
	}
}

/* In @next the thread, or NONE. */
inline uf_first_runnable(next)
{
	d_step {
		if
		:: len(runnable) > 0 && !uf_user_schedules() -> runnable?<next>
		:: else -> next = NONE
		fi
	}
}

/* In @next the thread, or NONE. */
inline uf_next_holder(next)
{
	uf_first_runnable(next);
#ifndef BUG_NEXT_HOLDER_FORGETS_STANDBY
	if
	:: !next -> uf_first(standby, next)
	:: else
	fi;
#endif
#ifdef USER_SCHED
	if
	:: !next && len(runnable) > 0 -> uf_first(works, next)
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

/* In @s a server, or NONE. If there are two, nothing tells them apart. */
inline uf_vacant_server(s)
{
	d_step {
		if
		:: vacant[1] -> s = 1
#if SERVERS > 1
		:: !vacant[1] && vacant[2] -> s = 2
#endif
		:: else -> s = NONE
		fi
	}
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
	:: uf_is_polling(2) -> s = 2; uf_take_polling(s, t)
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
		uf_set_state(t, RUNNABLE);
		runnable!t;
		store_domain_word(NR_RUNNABLE, 0, len(runnable))	/* (a) */
	}
}

/* Its irq_work is queued after unlocking here: interrupts are off until then. */
inline uf_rouse(s)
{
#ifdef USER_SCHED
	uf_first(works, idle);
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
	if
	:: flags & WORK -> works[t] = true
	:: else -> standby[t] = true
	fi
}

/* block.c ---------------------------------------------------------------- */

inline uf_block(s, next, critical)
{
	atomic {
		leave_user_mode();
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
			uf_dequeue(me);
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
	atomic {
		leave_user_mode();
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
}

/* hold.c ----------------------------------------------------------------- */

/* One step with its caller's return to user mode, if it does not hold the thread. */
inline uf_unblock(s)
{
	raw_spin_lock();
	if
	:: state[me] == BLOCKED -> uf_take_or_queue(me, s)
	:: else
	fi;
	s = NONE;
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

/* A signal takes the thread to user mode RUNNABLE. */
inline uf_hold(s)
{
	atomic {
		uf_unblock(s);
		over = (state[me] != RUNNABLE);
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

/* kick.c; hold.c ---------------------------------------------------------- */

/* In @next the thread to wake, or NONE. */
inline uf_make_way(s, next)
{
	uf_next_holder(next);
	if
	:: server[me] && !uf_retires(server[me]) && !next && !anyone_waits_for_work ->
		uf_forget_kick(me)
	:: server[me] && (uf_retires(server[me]) || next || anyone_waits_for_work) ->
		uf_release(me, RUNNABLE, s);
#ifndef BUG_MAKE_WAY_KEEPS_SERVER
		uf_pass_on(s, next);
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

/* Kicked, or its quantum is over, and out of the critical section. */
inline uf_preempt(s, next)
{
	atomic {
		leave_user_mode();
		raw_spin_lock();
		uf_make_way(s, next);
		over = (state[me] != RUNNABLE);
		raw_spin_unlock();
		if
		:: over && !next -> return_to_user()
		:: else
		fi
	}
	if
	:: next -> atomic {
		wake_up_process(next);
		next = NONE;
		if
		:: over -> return_to_user()
		:: else
		fi
	   }
	:: else
	fi;
	if
	:: over -> over = false
	:: else -> uf_sleep_held(); atomic { return_to_user() }
	fi
}

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
		:: holder[s] && len(runnable) > 0 -> uf_rob(s, VACANT)
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

inline uf_retire_server(s)
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
			:: !s -> kicked[holder[nr_servers + 1]] = true
			:: else
			fi
		fi;
		s = NONE;
		raw_spin_unlock()
	}
}
#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parking and waking (lib/wait.c, lib/cancel.c, lib/sched.c): one fiber, that runs on
 * any of the threads, waits for one object, with or without a deadline, yields, moves
 * and ends; all threads signal the object, cancel the fiber, and fire its timer. With
 * PLAIN a plain thread waits, and the threads wake it. With ALONE the waits that only
 * the object and a cancel can end are claimed as lib/wait.h tells it.
 *
 * What is written only under a lock (the object's queue, the timer, the run queue)
 * is in memory at once: who takes the lock next finds all of it, as the unlock leaves
 * the store buffer last. Only the object's guard is here as it is; to take a timer's
 * or a run queue's lock (bias.pml), and do what is to be done, is one step.
 *
 * BUG_ macros are seeded bugs, see tools/model/run.
 */
#define STATE		0
#define ERROR		1
#define CANCELLED	2
#define ON_CPU		3
#define CONTEXT		4
#define GUARD		5
#define CLAIMED		6
#define WORDS		7

#ifdef PLAIN
#define CPUS	(THREADS + 1)
#else
#define CPUS	THREADS
#endif

/* What is stored without release, and may overtake; see buffers.pml. */
#define WEAK_1	STATE
#define WEAK_2	ON_CPU

/* enum uf_wait_state */
#define UF_WAIT_NONE		0
#define UF_WAITING		1
#define UF_WAITING_SHIELDED	2
#define UF_CLAIMED		3
#define UF_DONE			4
#define UF_WAITING_ALONE	5

#define ETIMEDOUT	1
#define ECANCELED	2

bool registers_saved, ended_once, woken_once, ends_as_claimed, wait_is_there;
bool stack_is_left, no_lost_wake;

#ifndef TURNS
#define TURNS	2
#endif

/* The object, with GUARD: a semaphore of one. */
bool queued_node, token;
/* Its owner has claimed the wait itself before it put the node in. */
bool claimed_before;
/* The timer and its lock. */
bool armed, timers_locked;
/* The run queue, and whose it is. */
#ifndef PLAIN
bool queued = true;
#else
bool queued;
#endif
byte queue_of;

/* What the fiber is about to do when it goes on. */
mtype = { BEGINS, WAITS, YIELDS, ENDS };
#ifdef PLAIN
mtype phase = ENDS;
#else
mtype phase = BEGINS;
#endif
byte turns, signals;
bool shielded, has_cancelled;
/* Its end has been told; who is told frees it. */
bool ended, freed;

/* For the properties alone. */
bool running, ready, waiting, has_deadline;
byte claims, why;
bit context;

#ifdef CANCELS
#define was_cancelled	(memory[CANCELLED] && !shielded && !claimed_before)
#else
#define was_cancelled	false
#endif

/* The fiber waits, rightly, or has ended. */
#define at_rest() \
	require(no_lost_wake, \
		(!waiting || !(token || claims || was_cancelled)) && \
		(phase == WAITS && waiting || phase == ENDS))

#include "buffers.pml"

/* Sets @claimed. A light barrier, A2, is nothing here. */
inline uf_wait_claim()
{
	state = load(STATE);
	if
	:: state == UF_WAITING_ALONE ->
		store(CLAIMED, 1); /* A1 */
		atomic {
			if
#ifdef BUG_PARK_ALONE_DOES_NOT_LOOK
			:: true -> has_claimed()
#else
			:: load(CANCELLED) == 0 -> has_claimed() /* A3 */
			:: else
#endif
			fi
		}
	:: else
	fi;
	if
	:: !claimed && (state == UF_WAITING || state == UF_WAITING_SHIELDED ||
			state == UF_WAITING_ALONE) ->
		cmpxchg_claimed()
	:: else
	fi;
	state = 0
}

/* The same. */
inline uf_wait_claim_to_cancel()
{
	state = load(STATE);
	if
#ifndef BUG_PARK_ALONE_CANCEL_DOES_NOT_LOOK
	:: state == UF_WAITING_ALONE && load(CLAIMED) -> state = 0 /* C3 */
#endif
	:: else
	fi;
	if
	:: state == UF_WAITING || state == UF_WAITING_ALONE -> cmpxchg_claimed()
	:: else
	fi;
	state = 0
}

inline cmpxchg_claimed()
{
#ifdef BUG_PARK_CLAIM_BY_STORE
	smp_mb();
	atomic { memory[STATE] = UF_CLAIMED; has_claimed() }
#else
	atomic {
		empty(buffer[me]);
		if
		:: memory[STATE] == state ->
			memory[STATE] = UF_CLAIMED;
			has_claimed()
		:: else
		fi
	}
#endif
}

inline has_claimed()
{
	claimed = true;
	claims++;
	require(wait_is_there, waiting);
	require(ended_once, claims == 1)
}

inline set_error(error)
{
	require(wait_is_there, waiting);
	why = error;
	store(ERROR, error)
}

/* is_alone() */
#if !defined(ALONE)
#define is_alone	false
#else
#define is_alone	(!claimed_before && !shielded && !load(CANCELLED))
#endif

/* uf_wait_begin(), uf_wait_begin_claimed() */
inline begin()
{
	d_step {
		claims = 0;
		why = 0;
		waiting = true
	};
	store(ERROR, 0);
	if
	:: is_alone ->
#ifndef BUG_PARK_ALONE_STAYS_CLAIMED
		store(CLAIMED, 0);
#endif
		store_release(STATE, UF_WAITING_ALONE);
		goto begun
	:: else
	fi;
	if
	:: claimed_before ->
#ifdef BUG_PARK_CLAIMED_AFTER_BEGIN
		store_release(STATE, UF_WAITING);
#endif
		store_release(STATE, UF_CLAIMED)
	:: !claimed_before && shielded -> store_release(STATE, UF_WAITING_SHIELDED)
#ifdef BUG_PARK_BEGIN_IS_PLAIN
	:: !claimed_before && !shielded -> store(STATE, UF_WAITING)
#else
	:: !claimed_before && !shielded -> store_release(STATE, UF_WAITING)
#endif
	fi;
begun:	skip
}

/* Its first half: look, and if it is to be waited, be findable. Sets @waits. */
inline uf_wait_on()
{
	uf_spin_lock(GUARD);
	if
	:: token -> token = false
	:: else ->
		waits = true;
#ifndef BUG_PARK_FINDABLE_FIRST
		begin();
#endif
		queued_node = true
	fi;
	uf_spin_unlock(GUARD);
#ifdef BUG_PARK_FINDABLE_FIRST
	if
	:: waits -> begin()
	:: else
	fi
#endif
}

/* Its second half, when the wait has ended. */
inline end_of_wait()
{
	require(ends_as_claimed, load(ERROR) == why);
	store(STATE, UF_WAIT_NONE);
#ifndef BUG_PARK_NODE_STAYS
	if
	:: load(ERROR) ->
		uf_spin_lock(GUARD);
		queued_node = false;
		uf_spin_unlock(GUARD)
	:: else
	fi;
#endif
	d_step {
		waiting = false;
		has_deadline = false;
		claims = 0;
		why = 0
	}
}

/* uf_sem_post(), or another of the objects' */
inline signal()
{
	uf_spin_lock(GUARD);
	if
	:: queued_node ->
		require(wait_is_there, waiting);
		queued_node = false;
		if
		:: claimed_before -> has_claimed()
		:: else -> uf_wait_claim()
		fi
	:: else
	fi;
	if
	:: claimed
	:: else -> token = true
	fi;
	uf_spin_unlock(GUARD);
	if
	:: claimed -> claimed = false; uf_wait_wake()
	:: else
	fi
}

#ifdef PLAIN
/* What the waiter sleeps on with futex(2). */
bool sleeps;

inline uf_wait_wake()
{
	require(wait_is_there, waiting);
	store_release(STATE, UF_DONE);
#ifndef BUG_PARK_NO_FUTEX_WAKE
	smp_mb();
	sleeps = false
#endif
}

/* Sets @timed_out. */
inline uf_futex_wait_until()
{
	atomic {
		empty(buffer[me]);
		if
		:: memory[STATE] == state -> sleeps = true
		:: else
		fi
	};
	if
	:: !sleeps
#ifdef BUG_PARK_CLAIMED_MAY_TIME_OUT
	:: has_deadline ->
#else
	:: has_deadline && state != UF_CLAIMED ->
#endif
		sleeps = false;
		timed_out = true
	fi
}

inline sleep_until()
{
	do
	:: state = load(STATE);
		if
		:: state == UF_DONE -> break
		:: else -> uf_futex_wait_until()
		fi;
		if
		:: timed_out ->
			timed_out = false;
			uf_wait_claim();
			if
#ifdef BUG_PARK_CLAIMED_MAY_TIME_OUT
			:: true ->
#else
			:: claimed ->
#endif
				claimed = false;
				set_error(ETIMEDOUT);
				break
			:: else
			fi
		:: else
		fi
	od;
	state = 0
}

active proctype plain_thread()
{
	byte state;
	bool claimed, waits, timed_out;

	do
	:: turns < 2 ->
		turns++;
		uf_wait_on();
		if
		:: waits ->
			waits = false;
			if
			:: has_deadline = true
			:: true
			fi;
			sleep_until();
			end_of_wait()
		:: else
		fi
	:: break
	od
}

#else

/* The caller alone has the right to wake the fiber. */
inline uf_wait_wake()
{
	require(woken_once, !ready);
	require(wait_is_there, waiting);
	ready = true;
	uf_ready()
}

inline uf_ready()
{
#ifndef BUG_PARK_READY_DOES_NOT_WAIT
	load(ON_CPU) == 0;
#endif
	atomic { empty(buffer[me]) -> queued = true; queue_of = me }
}

/* With the timers' lock. The holder of the fiber's server alone fires in the code. */
inline fire()
{
	require(wait_is_there, waiting && has_deadline);
	uf_wait_claim();
	if
	:: claimed ->
		claimed = false;
		set_error(ETIMEDOUT);
		uf_wait_wake()
	:: else
	fi;
	timers_locked = false
}

inline uf_cancel_fiber()
{
	store(CANCELLED, 1); /* C1 */
#ifndef BUG_PARK_CANCEL_WITHOUT_BARRIER
	uf_heavy_mb(); /* C2 */
#endif
	uf_wait_claim_to_cancel(); /* C3 */
	if
	:: claimed ->
		claimed = false;
		set_error(ECANCELED);
		uf_wait_wake()
	:: else
	fi
}

/* A light barrier, F2, is nothing here. */
inline uf_must_end()
{
	if
	:: load(CANCELLED) && !shielded -> must_end = true /* F3 */
	:: else
	fi
}

inline uf_end_own()
{
#ifndef BUG_PARK_ALONE_OWN_WITHOUT_BARRIER
	if
	:: load(STATE) == UF_WAITING_ALONE -> uf_heavy_mb() /* C2 */
	:: else
	fi;
#endif
	uf_wait_claim_to_cancel()
}

/* uf_wait_end() until the fiber is switched away from, if it is. */
inline uf_wait_end()
{
#ifndef BUG_PARK_LOOKS_FIRST
	uf_must_end();
#endif
	if
	:: must_end ->
		must_end = false;
		uf_end_own()
	:: else
	fi;
	if
	:: claimed ->
		claimed = false;
		set_error(ECANCELED);
		waits = false;
		end_of_wait()
	:: else ->
		if
#ifdef DEADLINES
		:: !claimed_before ->
			atomic {
				empty(buffer[me]) && !timers_locked;
				armed = true;
				has_deadline = true
			}
#endif
		:: true
		fi
	fi
}

/* And from when it has been switched to. */
inline parked()
{
#ifndef BUG_PARK_TIMER_STAYS
	if
	:: has_deadline ->
		atomic { empty(buffer[me]) && !timers_locked -> armed = false }
	:: else
	fi;
#endif
	end_of_wait()
}

/* uf_requeue(): in its queue while it has not been switched away from. */
inline uf_requeue()
{
	atomic { empty(buffer[me]) -> queued = true; queue_of = me };
	phase = YIELDS
}

/* uf_arch_switch() */
inline save()
{
	context = 1 - context;
	store(CONTEXT, context);
	running = false
}

inline finish_switch()
{
#ifdef BUG_PARK_AFTER_FIRST
	do_after();
#endif
#ifdef BUG_PARK_ON_CPU_IS_PLAIN
	store(ON_CPU, 0);
#else
	store_release(ON_CPU, 0);
#endif
#ifndef BUG_PARK_AFTER_FIRST
	do_after()
#endif
}

/* uf_move(), be_over() */
inline do_after()
{
	if
	:: after && phase == YIELDS -> uf_ready()
	:: after && phase == ENDS -> require(stack_is_left, !running)
	:: else
	fi;
	after = false
}

inline leave_fiber()
{
#ifdef BUG_PARK_ON_CPU_FIRST
	store_release(ON_CPU, 0);
	save();
	do_after()
#else
	save();
	finish_switch()
#endif
}

/* The guard has been taken, and ended was found set. */
inline free_ended()
{
#ifndef BUG_PARK_FREE_DOES_NOT_WAIT
	load(ON_CPU) == 0;
#endif
	require(stack_is_left, !running)
}

/* Who runs it need not look; a thief does. */
#ifdef BUG_PARK_THIEF_DOES_NOT_LOOK
#define may_take	(queued && empty(buffer[me]))
#else
#define may_take	(queued && empty(buffer[me]) && \
			 (queue_of == me || memory[ON_CPU] == 0))
#endif

inline go_on()
{
	require(registers_saved, !running && load(CONTEXT) == context);
	store(ON_CPU, me + 1);
	running = true;
	ready = false;
	if
	:: phase == WAITS -> parked()
	:: else
	fi;
	phase = BEGINS
}

/* The fiber's code, until it switches. */
inline run_fiber()
{
	go_on();
	do
	:: turns < TURNS ->
		turns++;
#ifdef SHIELDS
		shielded = !shielded;
#endif
#ifdef RELOCKS
		claimed_before = true;
#endif
#ifdef BUG_PARK_LOOKS_FIRST
		uf_must_end();
#endif
		phase = WAITS;
		uf_wait_on();
		if
		:: waits -> uf_wait_end()
		:: else
		fi;
		if
		:: waits -> waits = false; break
		:: else -> phase = BEGINS
		fi
#ifdef YIELDING
	:: turns < TURNS -> turns++; uf_requeue(); break
	:: turns < TURNS -> turns++; phase = YIELDS; after = true; break
#endif
	:: phase = ENDS; after = true; break
	/* publish_end() */
	:: phase = ENDS; atomic { empty(buffer[me]) -> ended = true }; break
	od;
#ifdef BUG_PARK_ENDS_BEFORE_SWITCH
	if
	:: phase == ENDS -> do_after()
	:: else
	fi;
#endif
	leave_fiber()
}

#endif

/* One that does not run the fiber, one that does nothing else, and one that does all. */
#ifdef PLAIN
#define acts	true
#else
#define runs	(me != THREADS - 1)
#define acts	(me != 0)
#endif

active [THREADS] proctype thread()
{
	byte state;
	bool claimed, waits, must_end, after;

	do
	:: acts && signals < 2 -> signals++; signal()
	:: acts && signals < 2 -> signals = 2 /* nobody does any more */
#ifndef PLAIN
	:: atomic { runs && may_take -> queued = false }; run_fiber()
	:: atomic { acts && ended && !freed -> freed = true }; free_ended()
#ifdef CANCELS
	:: acts && !has_cancelled -> has_cancelled = true; uf_cancel_fiber()
#endif
#ifdef DEADLINES
	:: atomic {
		acts && armed && !timers_locked && empty(buffer[me]) ->
		timers_locked = true;
		armed = false
	   };
	   fire()
#endif
#endif
	od
}

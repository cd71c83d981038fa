/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hand-over of servers between threads, for spin: threads that do all that
 * user mode may do, in any order, for ever or until they choose to stop, and what
 * must hold whatever they do. See Documentation/model.rst.
 *
 *   -DSERVERS=n -DTHREADS=n	1 or 2, 2 to 4
 *   -DPOLLS -DBLOCKS ...	what threads do: see thread()
 *   -DBUG_...			a seeded bug: see tools/model/run
 */
#ifndef SERVERS
#define SERVERS		2
#endif
#ifndef THREADS
#define THREADS		3
#endif

/*
 * What must hold, by name. The variables are never set: they make the names
 * appear in spin's verdict.
 */
bool server_granted_once, one_user_per_server, running_iff_server;
bool vacant_iff_no_holder, vacant_only_if_nobody_waits, queued_iff_runnable;
bool standby_is_idle, in_one_list;
bool no_lost_wake_up, no_lost_wake, no_lost_cancel, no_lost_kick;
bool no_runnable_beside_free_server, no_lost_server, nobody_stuck;

#define require(name, condition)	assert(name || (condition))

/* The server that a thread uses in user mode; one that it has called WAKE for. */
byte uses[THREADS + 1];
bool owed[THREADS + 1];

/* Blocked for ever, or asleep in io_uring_enter() for ever. */
bool quiet[THREADS + 1];

#define wake_is_owed(t)		owed[t] = true
/* A wait ends that it has woken; one that came after counts for the next. */
#define wake_is_settled(t)	owed[t] = woken[t]
#define leave_user_mode()	uses[me] = NONE

/* Thread states; server states in owner words. */
#define FREE		0
#define RUNNING		1
#define BLOCKED		2
#define RUNNABLE	3
#define IDLE		4

#define VACANT		0
#define HELD(t)		(16 + (t))
#define POLLING(t)	(32 + (t))
#define OFFLINE		48

/* WAIT's flags. */
#define STANDBY		1
#define HANDOVER	2
#define ACQUIRE		4
#define TIMEOUT		8
#define YIELD		16
#define WORK		32
#define WAIT_RUNNABLE	(ACQUIRE | YIELD)

/* What a wait ends with; OK is a server. */
#define OK		0
#define EAGAIN		1
#define ECANCELED	2
#define EINTR		3
#define ETIME		4

#if THREADS == 2
#define anyone(list)	(list[1] || list[2])
#define count(list)	(list[1] + list[2])
#define each(list, it)	:: list[1] -> it = 1 :: list[2] -> it = 2
#elif THREADS == 3
#define anyone(list)	(list[1] || list[2] || list[3])
#define count(list)	(list[1] + list[2] + list[3])
#define each(list, it)	:: list[1] -> it = 1 :: list[2] -> it = 2 :: list[3] -> it = 3
#else
#define anyone(list)	(list[1] || list[2] || list[3] || list[4])
#define count(list)	(list[1] + list[2] + list[3] + list[4])
#define each(list, it)	:: list[1] -> it = 1 :: list[2] -> it = 2 :: list[3] -> it = 3 \
			:: list[4] -> it = 4
#endif
/* In @next any of those in @list, or NONE. */
#define uf_first(list, next)	if each(list, next) :: else -> next = NONE fi

/* Threads are kicked. */
#if defined(KICKS) || defined(RESIZES)
#define MARKS
#endif

/*
 * Work is queued for the return to user mode, and runs before anything else there:
 * a thread that calls the kernel with work queued does the same as one for which it
 * is queued a little later. RESIZES alone has no need of the race that is in it.
 */
#if defined(KICKS)
#define is_nudged(t)	resume_queued[t]
#define runs_work	resume_queued[me]
#define in_user_mode	!resume_queued[me]
#elif defined(RESIZES)
#define is_nudged(t)	kicked[t]
#define runs_work	uses[me] && kicked[me]
#define in_user_mode	true
#else
#define is_nudged(t)	false
#define in_user_mode	true
#endif

#include "machine.pml"
#include "module.pml"
#include "wait.pml"

/* Whenever the lock is free: the invariant of kmod/ufiber.h, and the records agree. */
inline check_server(s)
{
	require(vacant_iff_no_holder,
		vacant[s] == (holder[s] == NONE && !uf_retires(s)));
	require(running_iff_server, !holder[s] || server[holder[s]] == s);
	require(vacant_only_if_nobody_waits, !vacant[s] || !anyone(standby));
	require(vacant_only_if_nobody_waits, !vacant[s] || !nr_runnable ||
		uf_user_schedules())
}

inline check_thread(t)
{
	require(running_iff_server, (state[t] == RUNNING) == (server[t] != NONE));
	require(running_iff_server, !server[t] || holder[server[t]] == t);
	require(queued_iff_runnable, (state[t] == RUNNABLE) == runnable[t]);
	require(standby_is_idle, !(standby[t] || work[t]) || state[t] == IDLE)
}

inline check_records()
{
	d_step {
		check_server(1);
#if SERVERS > 1
		check_server(2);
#endif
		check_thread(1);
		check_thread(2);
#if THREADS > 2
		check_thread(3);
#endif
#if THREADS > 3
		check_thread(4);
#endif
	}
}

/* User mode --------------------------------------------------------------- */

/* Any thread but itself. */
inline choose_other(t)
{
	if
	:: me != 1 -> t = 1
	:: me != 2 -> t = 2
#if THREADS > 2
	:: me != 3 -> t = 3
#endif
#if THREADS > 3
	:: me != 4 -> t = 4
#endif
	fi
}

inline choose_any(t)
{
	if
	:: t = 1
	:: t = 2
#if THREADS > 2
	:: t = 3
#endif
#if THREADS > 3
	:: t = 4
#endif
	fi
}

/* The arguments of calls. */
inline fetch_wait(flags, t)
{
	in_user_mode;
	robbed = false;
	if
#ifdef PARKS
	:: flags = 0
#endif
#ifdef STANDBYS
	:: flags = STANDBY
#endif
#ifdef ACQUIRES
	:: flags = ACQUIRE
#endif
#ifdef YIELDS
	:: flags = YIELD
#endif
#ifdef USER_SCHED
	:: flags = STANDBY | WORK
#endif
#ifdef HANDOVERS
	:: uses[me] || mid_wait -> flags = HANDOVER; choose_other(t)
#ifdef STANDBYS
	:: uses[me] || mid_wait -> flags = HANDOVER | STANDBY; choose_other(t)
#endif
#endif
	fi;
#ifdef TIMEOUTS
	if
	:: true
	:: flags = flags | TIMEOUT
	fi
#endif
}

inline fetch_wake(t)
{
	in_user_mode;
	choose_other(t)
}

/* If it has a server, it runs a fiber now. */
inline return_to_user()
{
	d_step {
		end_sleep();
		look()
	}
}

#define may_look	(!mid_wait && !robbed && !uses[me])

inline look()
{
	if
	:: may_look && sees_state() == RUNNING ->
		uses[me] = sees_server();
		require(one_user_per_server,
			(me == 1 || uses[1] != uses[me]) &&
			(me == 2 || uses[2] != uses[me])
#if THREADS > 2
			&& (me == 3 || uses[3] != uses[me])
#endif
#if THREADS > 3
			&& (me == 4 || uses[4] != uses[me])
#endif
		)
	:: else
	fi
}

/* WAIT returns. */
inline end_call(flags, ret)
{
	d_step {
		if
		:: ret == OK -> wake_is_settled(me)
		:: else
		fi;
		flags = 0;
		ret = OK
	}
}

/* What it does goes on for ever. */
inline never_ends()
{
	quiet[me] = true;
	false
}

/* The same in user mode, where a kick finds it. */
inline runs_for_ever()
{
	atomic { uses[me] && in_user_mode -> quiet[me] = true }
	atomic { is_nudged(me) -> quiet[me] = false }
}

/* What it waits for comes, or never does. */
inline block(condition, critical)
{
	atomic {
		in_user_mode && (condition) -> leave_user_mode();
		uf_block(s, next, critical)
	}
	if
#ifdef KICKS
	:: uf_resume_queue(); uf_resume_run(s, next, over)
#else
	:: uf_resume_run(s, next, over)
#endif
	:: !critical -> never_ends()
	fi
}

/* The owner word of server @s, by compare-and-swap: a full barrier on x86. */
inline swap_owner(s, old, new, swapped)
{
	smp_mb();
	swapped = (owner[s] == old);
	if
	:: swapped -> owner[s] = new
	:: else
	fi
}

/* Sleep in io_uring_enter(), ready to lose the server. */
inline poll()
{
	atomic {
		uses[me] && in_user_mode -> mine = uses[me];
		leave_user_mode();
#ifndef BUG_POLL_LOOKS_FIRST
		swap_owner(mine, HELD(me), POLLING(me), over)	/* (c) */
#else
		over = (sees(nr_runnable, seen_nr_runnable) == 0)
#endif
	}
#ifdef BUG_POLL_LOOKS_FIRST
	if
	:: over -> atomic { swap_owner(mine, HELD(me), POLLING(me), over) }
	:: else
	fi;
#endif
	if
	:: over ->
#ifndef BUG_POLL_LOOKS_FIRST
		over = (sees(nr_runnable, seen_nr_runnable) == 0);	/* (d) */
#endif
		if
		:: over ->
			atomic { uf_block(s, next, false) }
			if
			:: true
			:: never_ends()
			fi
		:: else
		fi;
		/* If this fails, it was robbed, whatever its words still say. */
		atomic {
			swap_owner(mine, POLLING(me), HELD(me), over);
			robbed = !over;
			over = false;
			mine = NONE;
			return_to_user()
		}
	:: else -> atomic { mine = NONE; return_to_user() }
	fi
}

active [THREADS] proctype thread()
{
	byte s, next, to, whom, poller, mine, flags, ret;
#ifdef USER_SCHED
	byte idle;
#endif
	bool mid_wait, expired, over, robbed;

	do
#ifdef MARKS
	:: runs_work -> uf_resume_run(s, next, over)
#endif
	:: uf_wait(flags, s, next, ret, over)
	:: runs_for_ever()
	/* Granted a server in user mode. */
	:: atomic { may_look && sees_state() == RUNNING -> look() }
#ifdef BLOCKS
	:: block(!robbed && (state[me] == RUNNING || state[me] == RUNNABLE), false)
#endif
#ifdef CRITICAL
	:: block(uses[me], true)
#endif
#ifdef POLLS
	:: poll()
#endif
#ifdef WAKES
	:: uf_wake(whom, false, s, next)
#endif
#ifdef CANCELS
	:: uf_wake(whom, true, s, next)
#endif
#ifdef EXITS
	:: atomic { in_user_mode -> leave_user_mode(); uf_lose(s, next) }; break
#endif
	od
}

/* What goes on beside the threads ------------------------------------------ */

active proctype buffer()
{
	mtype word;
	byte i, value;

end:	do
	:: d_step { len(stores) > 0 -> store_reaches_memory(word, i, value) }
	od
}

/* Its barrier is irq_work_queue()'s. */
active proctype interrupts()
{
end:	do
	:: atomic { wake_irq[1] -> wake_irq[1] = false; sleeps[1] = false }
	:: atomic { wake_irq[2] -> wake_irq[2] = false; sleeps[2] = false }
#if THREADS > 2
	:: atomic { wake_irq[3] -> wake_irq[3] = false; sleeps[3] = false }
#endif
#if THREADS > 3
	:: atomic { wake_irq[4] -> wake_irq[4] = false; sleeps[4] = false }
#endif
	od
}

#ifdef KICKS
/* Any thread that calls UFIBER_IOC_KICK, or a server's timer. */
active proctype kicker()
{
	byte whom;

	do
	:: uf_kick(whom)
	:: break
	od
}
#endif

#ifdef RESIZES
/* The last server is retired and put into use again, as often as it likes. */
active proctype resizer()
{
	byte s, next, poller;

	do
	:: nr_servers == SERVERS -> uf_retire_server(s, next)
	:: nr_servers < SERVERS -> uf_add_server(s, next)
	:: break
	od
}
#endif

/* When nothing moves any more ----------------------------------------------- */

#define waits(t)	(state[t] != FREE && !quiet[t])

#if SERVERS > 1
#define any_server_is_free	(vacant[1] || uf_is_polling(1) || \
				 vacant[2] || (uf_is_polling(2) && !uf_retires(2)))
#else
#define any_server_is_free	(vacant[1] || uf_is_polling(1))
#endif

inline check_end(t)
{
	require(nobody_stuck, !waits(t) || sleeps[t]);
	require(no_lost_wake_up, !waits(t) || state[t] != RUNNING);
	require(no_lost_server, !server[t] || uses[t] || uf_is_polling(server[t]));
	require(no_runnable_beside_free_server, uf_user_schedules() || !waits(t) ||
		state[t] != RUNNABLE || !any_server_is_free);
	require(no_lost_wake, !waits(t) || state[t] != IDLE || !owed[t]);
	require(no_lost_cancel, !waits(t) || !waiting[t] || !cancelled[t]);
#ifdef MARKS
	require(no_lost_kick, !uses[t] || !kicked[t])
#endif
}

inline check_server_at_end(s)
{
	require(no_lost_server, vacant[s] || (holder[s] && quiet[holder[s]]) ||
		(uf_retires(s) && !holder[s]))
}

active proctype monitor()
{
	timeout ->
	d_step {
		check_end(1);
		check_end(2);
#if THREADS > 2
		check_end(3);
#endif
#if THREADS > 3
		check_end(4);
#endif
		check_server_at_end(1);
#if SERVERS > 1
		check_server_at_end(2);
#endif
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How idle servers are woken (lib/idle.c, whose letters are used here, lib/inbox.c and
 * the hints of lib/runq.h): each server has a thread, and one more thread robs sleepers
 * of their servers, as one does that comes back from a block, under the module as under
 * the monitor. Who has a server, and with PLAIN a plain thread, makes fibers ready.
 *
 * Who is robbed waits, and robs in its turn. A fiber runs no more than a moment. No
 * sleep has a deadline here: what is lost for a while in the code is lost for good.
 *
 * The run queue's lock is bias.pml's; to put a fiber there and to take one is one
 * step, but the store of what a look without the lock finds goes through the store
 * buffer. The run-next slot, for which nobody is woken at first, is left out.
 *
 * BUG_ macros are seeded bugs, see tools/model/run.
 */
#define SEARCHING	0
#define MAP(s)		(1 + (s))
#define WORDS		(1 + SERVERS)
#ifdef PLAIN
#define CPUS		(THREADS + 1)
#else
#define CPUS		THREADS
#endif

#define UF_AWAKE	0
#define UF_ASLEEP	1
#define UF_WOKEN	2

/* The owner word. */
#define HELD(t)		(t)
#define POLLING(t)	((t) + 10)
#define is_polling(w)	((w) >= 10)

#define NONE		15

bool no_lost_wake_up, one_credit, credit_comes_back, asleep_are_counted;
bool one_holder_per_server, all_stop;

byte owner[SERVERS];
byte sleep[SERVERS];
/* By locked operations; never too few. */
short nr_asleep;
bool stop;
/* Ready fibers: in the lists, with the lock; in the inboxes. */
byte runq[SERVERS];
byte inbox[SERVERS];
byte pinned_inbox[SERVERS];
/* In a server's ring: a completion; and in which a thread sleeps. */
bool completion[SERVERS];
byte asleep_in[THREADS] = NONE;
/* The thread has the credit. */
bool searching[THREADS];

/* How much there is to do. */
#ifndef FIBERS
#define FIBERS	2
#endif
#ifndef ROBS
#define ROBS	0
#endif
byte fibers, made, robs;
byte hog = NONE;

#define credits (searching[0] + searching[1] + SEARCHING_2 + \
		 (sleep[0] == UF_WOKEN) + SLEEP_1)
#if THREADS > 2
#define SEARCHING_2	searching[2]
#else
#define SEARCHING_2	0
#endif
#if SERVERS > 1
#define SLEEP_1		(sleep[1] == UF_WOKEN)
#define LAST		1
#else
#define SLEEP_1		0
#define LAST		0
#endif

/* What is left in a server that nobody serves: a fiber of its never switches. */
#define left_in(s)	(runq[s] || inbox[s] || pinned_inbox[s])
#define left_over(s)	(hog == s -> (runq[s] || inbox[s]) && one_sleeps : left_in(s))
#define one_sleeps	(is_polling(owner[0]) || is_polling(owner[LAST]))

#define at_rest() \
	require(no_lost_wake_up, !left_over(0) && !left_over(LAST)); \
	require(credit_comes_back, memory[SEARCHING] == 0 && credits == 0); \
	require(asleep_are_counted, nr_asleep == (sleep[0] == UF_ASLEEP) + \
				    (LAST && sleep[LAST] == UF_ASLEEP)); \
	require(all_stop, !stop || (asleep_in[0] == NONE && \
				    asleep_in[THREADS - 1] == NONE))

#include "buffers.pml"

/* The list of ready fibers changes, with the lock, and what others see of it. */
inline change_runq(s, by)
{
	atomic {
		nfull(buffer[me]);
		runq[s] = runq[s] + by;
		store(MAP(s), (runq[s] != 0))
	}
}

#define has_work()	(load(MAP(0)) || inbox[0] || load(MAP(LAST)) || inbox[LAST])

#define any_asleep()	(sleep[0] == UF_ASLEEP || sleep[LAST] == UF_ASLEEP)

inline poke(s)
{
	d_step {
		completion[s] = true;
		if
		:: asleep_in[0] == s -> asleep_in[0] = NONE
		:: else
		fi;
		if
		:: asleep_in[THREADS - 1] == s -> asleep_in[THREADS - 1] = NONE
		:: else
		fi;
#if THREADS > 2
		if
		:: asleep_in[1] == s -> asleep_in[1] = NONE
		:: else
		fi
#endif
	}
}

/* Sets @won. */
inline end_sleep(s, state)
{
	atomic {
		empty(buffer[me]);
		if
		:: sleep[s] == UF_ASLEEP -> sleep[s] = state; won = true
		:: else
		fi
	};
	if
	:: won -> nr_asleep--
	:: else
	fi
}

/* Take the credit out of a server, if it is there. Sets @won. */
inline swap_woken(s)
{
	atomic {
		empty(buffer[me]);
		if
		:: sleep[s] == UF_WOKEN -> sleep[s] = UF_AWAKE; won = true
		:: else
		fi
	}
}

inline find_credit()
{
	searching[me] = true;
	require(one_credit, credits <= 1)
}

/* Sets @claimed. */
inline claim(s)
{
	end_sleep(s, UF_WOKEN);
	if
	:: won ->
		won = false;
		require(one_credit, credits <= 1);
		poke(s);
		claimed = true;
#ifndef BUG_IDLE_CLAIM_WITHOUT_LOOK
		if
		:: is_polling(owner[s])
		:: else ->
			swap_woken(s);
			if
			:: won -> won = false; claimed = false
			:: else
			fi
		fi
#endif
	:: else
	fi
}

inline claim_any()
{
	claim(0);
#if SERVERS > 1
	if
	:: claimed
	:: else -> claim(LAST)
	fi
#endif
}

inline uf_kick()
{
#ifndef BUG_IDLE_KICK_WITHOUT_BARRIER
	smp_mb(); /* W2 */
#endif
	do
	:: nr_asleep == 0 -> break /* W3 */
	:: nr_asleep != 0 ->
		atomic {
			empty(buffer[me]);
			if
#ifdef BUG_IDLE_CREDIT_WITHOUT_LOOK
			:: true ->
#else
			:: memory[SEARCHING] == 0 ->
#endif
				memory[SEARCHING] = 1;
				won = true
			:: else
			fi
		};
		if
		:: won -> won = false
		:: else -> break
		fi;
		claim_any();
		if
		:: claimed -> claimed = false; break
		:: else
		fi;
		store(SEARCHING, 0); /* E1 */
		smp_mb(); /* E2 */
		if
		:: has_work() && any_asleep() /* E3 */
		:: else -> break
		fi
	od
}

inline uf_wake(s)
{
	smp_mb(); /* W2 */
	end_sleep(s, UF_AWAKE);
	if
#ifdef BUG_IDLE_WAKE_SENDS_NOTHING
	:: won -> won = false
#else
	:: won -> won = false; poke(s)
#endif
	:: else
	fi
}

inline uf_search_end()
{
	store(SEARCHING, 0); /* E1 */
	smp_mb(); /* E2 */
	if
	:: has_work() -> uf_kick() /* E3 */
	:: else
	fi
}

/* lib/sched.c's */
inline end_search()
{
	if
	:: searching[me] -> searching[me] = false; uf_search_end()
	:: else
	fi
}

inline uf_recall()
{
	end_sleep(s, UF_AWAKE);
	if
	:: won -> won = false; poke(s)
	:: else ->
#ifndef BUG_IDLE_RECALL_FORGETS_CREDIT
		swap_woken(s);
		if
		:: won -> won = false; find_credit()
		:: else
		fi
#endif
	fi
}

/* S1. Sets @sleepy. */
inline announce()
{
	nr_asleep++;
	atomic {
		empty(buffer[me]);
		old = sleep[s];
		sleep[s] = UF_ASLEEP
	};
	if
	:: old == UF_ASLEEP -> nr_asleep--
	:: else
	fi;
	sleepy = true;
	if
	:: old == UF_WOKEN -> find_credit(); sleepy = false
	:: else
	fi;
	old = 0
}

inline awake()
{
	atomic {
		empty(buffer[me]);
		old = sleep[s];
		sleep[s] = UF_AWAKE
	};
	if
#ifndef BUG_IDLE_AWAKE_FORGETS_COUNT
	:: old == UF_ASLEEP -> nr_asleep--
#endif
	:: old == UF_WOKEN -> find_credit()
	:: else
	fi;
	old = 0
}

inline robbed()
{
#ifndef BUG_IDLE_ROBBED_FORGETS_CREDIT
	swap_woken(s);
	if
	:: won -> won = false; find_credit()
	:: else
	fi;
#endif
	s = NONE;
	end_search()
}

#define is_needed()	(stop || inbox[s] || pinned_inbox[s] || has_work())

inline uf_ring_wait()
{
	atomic {
		if
		:: completion[s]
		:: else -> asleep_in[me] = s
		fi
	};
	asleep_in[me] == NONE
}

/* Sets @s to NONE if the thread is robbed. */
inline uf_idle()
{
#ifdef BUG_IDLE_SLEEPER_LOOKS_FIRST
	if
	:: is_needed() -> won = true
	:: else
	fi;
#endif
	announce(); /* S1 */
	atomic { empty(buffer[me]) -> owner[s] = POLLING(me) }; /* S2 */
	if
	:: sleepy ->
		sleepy = false;
#ifdef BUG_IDLE_SLEEPER_LOOKS_FIRST
		if
		:: won -> won = false
		:: else -> uf_ring_wait()
		fi
#else
		if
		:: is_needed() /* S3 */
		:: else -> uf_ring_wait() /* S4 */
		fi
#endif
	:: else
	fi;
	atomic {
		empty(buffer[me]);
		if
		:: owner[s] == POLLING(me) -> owner[s] = HELD(me); won = true
		:: else
		fi
	};
	if
	:: won -> won = false; awake()
	:: else -> robbed()
	fi
}

/* Only a plain thread has to use an inbox for a fiber that is not pinned. */
#ifdef PLAIN
#define from_outside	(s == NONE)
#else
#define from_outside	true
#endif

/* Make a fiber ready in any of the ways. @s is the caller's server or NONE. */
inline make_ready()
{
	fibers++;
	if
#ifdef LISTS
	:: s != NONE ->
		change_runq(s, 1);
		made++;
		uf_kick()
#endif
#ifdef INBOXES
	:: from_outside ->
		atomic { empty(buffer[me]) -> inbox[0]++; made++ };
		uf_kick()
#if SERVERS > 1
	:: from_outside ->
		atomic { empty(buffer[me]) -> inbox[1]++; made++ };
		uf_kick()
#endif
#endif
#ifdef PINS
	:: true ->
		atomic { empty(buffer[me]) -> pinned_inbox[LAST]++; made++ };
		uf_wake(LAST)
#endif
#ifndef INBOXES
	:: s == NONE -> skip
#endif
	fi
}

/* What the holder of a server has stored under the lock is in memory. */
#define revoked(s) \
	(!pending[at(0, MAP(s))] && !pending[at(1, MAP(s))] && \
	 !pending[at(CPUS - 1, MAP(s))])

/* Append a stolen or an inbox's chain, and take one: the lock is held. */
inline append_and_take()
{
	runq[s] = runq[s] + other;
	other = 0;
	if
	:: runq[s] -> runq[s]--; found = true
	:: else
	fi;
	if
	:: load(MAP(s)) != (runq[s] != 0) -> store(MAP(s), (runq[s] != 0))
	:: else
	fi
}

inline take_own()
{
	atomic {
		if
		:: pinned_inbox[s] -> pinned_inbox[s]--; found = true
		:: else ->
			if
			:: inbox[s] -> empty(buffer[me]); other = inbox[s]; inbox[s] = 0
			:: else
			fi;
			append_and_take()
		fi
	}
}

/* uf_inbox_steal(), uf_runq_steal(): a chain that nobody else finds meanwhile. */
inline steal()
{
	if
	:: inbox[1 - s] ->
		atomic { empty(buffer[me]) -> other = inbox[1 - s]; inbox[1 - s] = 0 }
	:: load(MAP(1 - s)) ->
		atomic {
			empty(buffer[me]) && revoked(1 - s);
			other = (runq[1 - s] + 1) / 2;
			runq[1 - s] = runq[1 - s] - other;
			memory[MAP(1 - s)] = (runq[1 - s] != 0)
		}
	:: else
	fi;
	atomic {
		if
		:: other -> append_and_take()
		:: else
		fi
	}
}

/* Sets @found. The ring is reaped on the way. */
inline find()
{
	take_own();
	if
	:: !found ->
		completion[s] = stop && completion[s];
#if SERVERS > 1
		steal()
#endif
	:: else
	fi;
	end_search();
	if
	:: load(MAP(s)) -> uf_kick()
	:: else
	fi
}

/* Threads leave it to the plain one where all that is left to them are its ways. */
#if defined(PLAIN) && !defined(LISTS)
#define makes	false
#else
#define makes	true
#endif

inline serve_one()
{
	uf_recall();
	find();
	if
	:: found ->
		found = false;
		if
		:: makes && fibers < FIBERS -> make_ready()
		:: true
		fi;
		if
#ifdef HOGS
		:: atomic { hog == NONE -> hog = s }; break
#endif
		:: true
		fi
	:: else -> uf_idle()
	fi
}

#define may_rob(s) \
	(robs < ROBS && is_polling(owner[s]))

/* Who comes back from a block goes on in its fiber, and may compute for long. */
#ifdef HOGS
#define compute(s) \
	if \
	:: atomic { hog == NONE -> hog = s }; break \
	:: true \
	fi
#else
#define compute(s) skip
#endif

active [THREADS] proctype thread()
{
	byte s, old, other;
	bool won, claimed, sleepy, found;

	if
	:: me < SERVERS -> s = me; owner[me] = HELD(me)
	:: else -> s = NONE
	fi;
	do
	:: s != NONE && !stop -> serve_one()
	:: s != NONE && stop -> end_search(); s = NONE; break
	:: s != NONE && makes && fibers < FIBERS -> make_ready()
#if ROBS
	:: atomic { s == NONE && may_rob(0) -> s = 0; owner[0] = HELD(me); robs++ };
		compute(0)
#if SERVERS > 1
	:: atomic { s == NONE && may_rob(1) -> s = 1; owner[1] = HELD(me); robs++ };
		compute(1)
#endif
#endif
	od
}

#ifdef PLAIN
active proctype plain_thread()
{
	byte s = NONE;
	bool won, claimed;

	do
	:: fibers < FIBERS -> make_ready()
	:: break
	od
#ifdef STOPS
	;
	/* uf_threads_stop() */
	made == FIBERS && !left_in(0) && !left_in(LAST);
	stop = true;
#ifndef BUG_IDLE_STOP_SENDS_NOTHING
	poke(0);
	poke(LAST)
#endif
#endif
}
#endif

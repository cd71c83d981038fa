/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The monitor backend (lib/monitor.c), whose letters are used here: how its watcher
 * takes servers from threads that may enter the critical section just then, and how
 * those come back. Functions have their names there.
 *
 * A thread's store to critical may wait in a store buffer while the thread goes on to
 * its load of server (E1, E3); it leaves it at any time, with the thread's next locked
 * operation, or with the watcher's heavy barrier. All other stores that somebody
 * reads without the lock are made by locked operations or under the lock, which is left
 * through one.
 *
 * The watcher looks at any thread at any time: whether it is asleep only saves work.
 * Which server or standby thread is taken is any, where the code prefers one.
 *
 * BUG_ macros are seeded bugs, see tools/model/run.
 */
#define NONE		0

#define me		(_pid + 1)

/* The owner word: VACANT, HELD(t), or POLLING(t). */
#define VACANT		0
#define HELD(t)		(t)
#define POLLING(t)	((t) + 10)
#define is_polling(w)	((w) > 10)
#define polling_thread(w) ((w) - 10)

byte owner[SERVERS + 1];
byte server[THREADS + 1];
bool taking[THREADS + 1];
bool critical[THREADS + 1];
/* critical = 1 is in the thread's store buffer. */
bool buffered[THREADS + 1];

bool locked;
bool runnable[THREADS + 1];
bool standby[THREADS + 1];
byte nr_runnable;

#define nr_queued	(runnable[1] + runnable[2] + runnable[3])

/* Who uses a server's data, for the properties alone. */
byte users[SERVERS + 1];

/* What must hold, by name, as in handoff.pml. */
bool one_user_per_server, server_stays, one_holder_per_server;
bool vacant_only_if_nobody_waits, who_waits_has_no_server;
bool no_runnable_beside_free_server;

#define require(name, condition)	assert(name || (condition))

#define waits(t)	(runnable[t] || standby[t])
#define same(a, b)	(server[a] != NONE && server[a] == server[b])
#define is_free(s)	(owner[s] == VACANT || is_polling(owner[s]))

inline lock()
{
	atomic { !locked -> locked = true; drain(me) }
}

inline unlock()
{
	atomic {
		require(one_holder_per_server,
			!same(1, 2) && !same(1, 3) && !same(2, 3));
		require(vacant_only_if_nobody_waits,
			!(waits(1) || waits(2) || waits(3)) ||
			(owner[1] != VACANT && owner[SERVERS] != VACANT));
		require(who_waits_has_no_server,
			!(waits(1) && server[1] != NONE) &&
			!(waits(2) && server[2] != NONE) &&
			!(waits(3) && server[3] != NONE));
		locked = false
	}
}

/* A full barrier of the thread's own. */
inline drain(t)
{
	d_step {
		if
		:: t <= THREADS && buffered[t] ->
			critical[t] = true;
			buffered[t] = false
		:: else
		fi
	}
}

inline hold(t, s)
{
	server[t] = s
}

inline grant(t, s)
{
	owner[s] = HELD(t);
	hold(t, s)
}

/* With the lock; sees nobody in between but the threads it wakes. */
inline pass_on(s)
{
	atomic {
		if
#ifndef BUG_PASS_ON_FORGETS_RUNNABLE
		:: runnable[1] -> end_runnable(1); grant(1, s)
		:: runnable[2] -> end_runnable(2); grant(2, s)
		:: runnable[3] -> end_runnable(3); grant(3, s)
		:: nr_queued == 0 && standby[1] -> end_standby(1); grant(1, s)
		:: nr_queued == 0 && standby[2] -> end_standby(2); grant(2, s)
		:: nr_queued == 0 && standby[3] -> end_standby(3); grant(3, s)
		:: nr_queued == 0 && !(standby[1] || standby[2] || standby[3]) ->
			owner[s] = VACANT
#else
		:: standby[1] -> end_standby(1); grant(1, s)
		:: standby[2] -> end_standby(2); grant(2, s)
		:: standby[3] -> end_standby(3); grant(3, s)
		:: !(standby[1] || standby[2] || standby[3]) -> owner[s] = VACANT
#endif
		fi
	}
}

inline end_runnable(t)
{
#ifndef BUG_POP_KEEPS_QUEUED
	runnable[t] = false;
#endif
	nr_runnable--
}

inline end_standby(t)
{
	standby[t] = false
}

/* One server, if it is free; @rob: also a POLLING one. Sets @got. */
inline try_server(s, rob)
{
	if
	:: !got ->
		atomic {
			word = owner[s];
			if
			:: word == VACANT -> owner[s] = HELD(me); got = true
#ifndef BUG_ROB_BY_STORE
			:: rob && is_polling(word) -> owner[s] = HELD(me); got = true
#endif
			:: else
			fi
		}
#ifdef BUG_ROB_BY_STORE
		if
		:: rob && is_polling(word) -> owner[s] = HELD(me); got = true
		:: else
		fi;
#endif
		if
		:: got && is_polling(word) ->
#ifndef BUG_ROB_KEEPS_SERVER
			server[polling_thread(word)] = NONE
#endif
			;
			hold(me, s)
		:: got && !is_polling(word) -> hold(me, s)
		:: else
		fi
	:: else
	fi;
	word = 0
}

inline try_servers(rob)
{
	if
	:: true -> try_server(1, rob); try_server(SERVERS, rob)
	:: true -> try_server(SERVERS, rob); try_server(1, rob)
	fi
}

/* uf_monitor_acquire() */
inline acquire()
{
	lock();
	if
#ifndef BUG_ACQUIRE_FORGETS_LOOK
	:: server[me] != NONE -> unlock()
#endif
	:: else ->
		got = false;
#ifdef BUG_ACQUIRE_LOOKS_FIRST
		try_servers(true);
		if
		:: !got -> nr_runnable++; runnable[me] = true
		:: else
		fi;
#else
		try_servers(true);
		if
		:: !got ->
			nr_runnable++; /* R1 */
			try_servers(true); /* R2 */
			if
			:: got -> nr_runnable--
			:: else -> runnable[me] = true
			fi
		:: else
		fi;
#endif
		got = false;
		unlock();
		server[me] != NONE
	fi
}

/* uf_enter_self(); leaves the server in @s, and counts its user. */
inline enter()
{
#ifdef BUG_ENTER_LOOKS_FIRST
	s = server[me];
	atomic { word = taking[me]; buffered[me] = true };
#else
	buffered[me] = true; /* E1 */
	atomic { s = server[me]; word = taking[me] }; /* E3 */
#endif
	if
	:: s == NONE || word -> word = 0; acquire(); s = server[me]
	:: else
	fi;
	use()
}

inline use()
{
	atomic {
		users[s]++;
		require(one_user_per_server, users[s] <= 1)
	}
}

/* Until the critical section is left the number is looked up again and again. */
inline leave()
{
	require(server_stays, server[me] == s);
	atomic {
		users[s]--;
		drain(me);
		critical[me] = false
	}
}

/* uf_monitor_standby(), in the critical section; comes back with a server. */
inline stand_by()
{
	atomic {
		if
		:: s != NONE -> users[s]--
		:: else
		fi;
		s = NONE
	};
	atomic { /* who does not lock sees nothing of it that matters to him */
	lock();
	if
	:: server[me] != NONE && nr_queued == 0
	:: server[me] != NONE && nr_queued != 0 ->
		s = server[me];
		server[me] = NONE;
		pass_on(s);
		s = NONE;
		standby[me] = true
	:: else ->
		got = false;
		try_servers(false);
		if
		:: got
		:: else -> standby[me] = true
		fi;
		got = false
	fi;
	unlock()
	};
	server[me] != NONE;
	s = server[me];
	use()
}

/* uf_idle() */
inline idle()
{
	drain(me);
	users[s]--;
#ifdef BUG_IDLE_LOOKS_FIRST
	word = nr_runnable;
	owner[s] = POLLING(me);
#else
	owner[s] = POLLING(me); /* S2 */
	word = nr_runnable; /* S3 */
#endif
	if
	:: word != 0
	:: word == 0 ->
		if
		:: true /* a completion is there */
		:: true -> owner[s] != POLLING(me) /* or none comes, ever */
		fi
	fi;
	word = 0;
	atomic {
		if
		:: owner[s] == POLLING(me) -> owner[s] = HELD(me); use()
		:: else -> s = NONE
		fi
	};
	if
	:: s == NONE -> stand_by()
	:: else
	fi
}

active [THREADS] proctype thread()
{
	byte s, word;
	bool got;

	critical[me] = true;
	stand_by();
	do
	:: true -> idle()
	:: nr_runnable != 0 -> stand_by()
	:: leave();
		/* A fiber's code: it may block, and it may never come back. */
		if
		:: true
		:: break
		fi;
		enter()
	od
}

/* uf_monitor_look() */
active proctype watcher()
{
	byte t, s;

	do
	:: atomic {
		if
		:: t = 1
		:: t = 2
		:: t = 3
		fi
	};
	lock();
	if
	:: server[t] != NONE && !critical[t] ->
#ifdef BUG_TAKE_CLEARS_NUMBER
		s = server[t];
		server[t] = NONE; /* K1 */
#else
		s = server[t];
		taking[t] = true; /* K1 */
#endif
#ifndef BUG_TAKE_WITHOUT_BARRIER
		drain(t); /* K2 */
#endif
		if
#ifndef BUG_TAKE_WITHOUT_LOOK
		:: critical[t] -> /* K3 */
			server[t] = s;
			taking[t] = false
		:: !critical[t] ->
#else
		:: true ->
#endif
			server[t] = NONE; /* K4 */
			taking[t] = false;
			pass_on(s)
		fi
	:: else
	fi;
	s = NONE;
	unlock();
	t = NONE
	:: break
	od
}

/* The store buffers, which empty themselves at any time. */
active proctype memory()
{
	do
	:: atomic { buffered[1] -> drain(1) }
	:: atomic { buffered[2] -> drain(2) }
	:: atomic { buffered[3] -> drain(3) }
	:: timeout ->
		require(no_runnable_beside_free_server,
			nr_queued == 0 || !(is_free(1) || is_free(SERVERS)));
		break
	od
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The run queues (lib/runq.[ch], lib/inbox.c, lib/sched.c): fibers that run, yield, yield
 * to each other, park and are woken, on servers that steal from each other's lists,
 * run-next slots and inboxes. The last fiber is pinned to the first server.
 *
 * What is done with a queue's lock held (bias.pml) is one step. That memory keeps the
 * order of what a switch stores is park.pml's. Which fiber a queue gives first is any.
 *
 * BUG_ macros are seeded bugs, see tools/model/run.
 */
#define me	(_pid)
#define NONE	15
#define FIBERS	3

#define PINNED		(FIBERS - 1)
#define is_pinned(f)	((f) == PINNED)

/* Where a fiber is, and of which server: f->queue. */
mtype = { PARKED, READIED, LISTED, SLOT, INBOX, RUNS };
mtype place[FIBERS] = PARKED;
byte queue[FIBERS] = NONE;
/* The thread, from 1, that it has not been switched away from yet. */
byte on_cpu[FIBERS];
/* What it would go on with. */
bool saved[FIBERS] = true;

byte slot[SERVERS] = NONE;
/* The inboxes are stacks: the first, and who is below whom. */
byte inbox[SERVERS] = NONE;
byte pinned_inbox = NONE;
byte below[FIBERS] = NONE;

byte switches, wakes;

bool registers_saved, runs_where_pinned, in_one_place, no_lost_fiber;

#define require(name, condition)	assert(name || (condition))

#define any_fiber() \
	if \
	:: f = 0 \
	:: f = 1 \
	:: f = 2 \
	fi

/* uf_runq_may_be_taken() */
#define may_be_taken(f)	(on_cpu[f] == 0)

inline append(f)
{
	require(in_one_place, place[f] != LISTED && place[f] != SLOT);
	place[f] = LISTED;
	queue[f] = me
}

/* uf_runq_set_next() */
inline set_next(f)
{
	d_step {
		require(in_one_place, place[f] != LISTED && place[f] != SLOT);
		if
#ifdef BUG_STEAL_SLOT_IS_OVERWRITTEN
		:: slot[me] != NONE -> queue[slot[me]] = NONE
#else
		:: slot[me] != NONE -> place[slot[me]] = LISTED
#endif
		:: else
		fi;
		slot[me] = f;
		place[f] = SLOT;
		queue[f] = me
	}
}

/* uf_runq_remove(), or one of those that take the first */
inline remove(f)
{
	if
	:: place[f] == SLOT -> slot[queue[f]] = NONE
	:: else
	fi;
	place[f] = READIED;
	queue[f] = NONE
}

#define is_listed(f, s)	(queue[f] == (s) && place[f] == LISTED)
#define is_queued(f, s)	(queue[f] == (s))

#define other	(1 - me)

/* cut(), of a chain of one */
#ifdef BUG_STEAL_DOES_NOT_LOOK
#define may_steal(f)	(is_listed(f, other) && !is_pinned(f))
#else
#ifdef BUG_STEAL_PINNED
#define may_steal(f)	(is_listed(f, other) && may_be_taken(f))
#else
#define may_steal(f)	(is_listed(f, other) && may_be_taken(f) && !is_pinned(f))
#endif
#endif
#ifdef BUG_STEAL_PINNED_NEXT
#define may_steal_next	(slot[other] != NONE)
#else
#define may_steal_next	(slot[other] != NONE && !is_pinned(slot[other]))
#endif

/* push(): the swap fails if another one was first. */
inline push(head, f)
{
	place[f] = INBOX;
	do
	:: atomic { old = head; below[f] = old };
#ifdef BUG_STEAL_PUSH_BY_STORE
		head = f;
		break
#else
		atomic {
			if
			:: head == old -> head = f; break
			:: else
			fi
		}
#endif
	od;
	old = 0
}

/* take_all() */
inline take_all(head)
{
#ifdef BUG_STEAL_TAKE_ALL_BY_STORE
	chain = head;
	head = NONE
#else
	atomic { chain = head; head = NONE }
#endif
}

/* uf_runq_append_chain() */
inline appends_chain()
{
	atomic {
		do
		:: chain != NONE ->
			f = chain;
			chain = below[f];
			below[f] = NONE;
			append(f)
		:: else -> break
		od;
		f = 0
	}
}

/* The caller has claimed its wait; it may be parking still. */
inline uf_ready(f)
{
#ifndef BUG_STEAL_READY_DOES_NOT_WAIT
	may_be_taken(f);
#endif
	if
#ifdef BUG_STEAL_READY_FORGETS_PIN
	:: is_pinned(f) && me != 0 -> set_next(f)
#else
	:: is_pinned(f) && me != 0 -> push(pinned_inbox, f)
#endif
	:: !is_pinned(f) || me == 0 -> set_next(f)
	:: !is_pinned(f) || me == 0 -> atomic { append(f) }
	:: !is_pinned(f) -> push(inbox[0], f) /* from outside */
	fi
}

inline run_next()
{
	atomic {
		require(in_one_place, place[next] == READIED);
		require(registers_saved, saved[next] && may_be_taken(next));
		require(runs_where_pinned, !is_pinned(next) || me == 0);
		current = next;
		next = NONE;
		place[current] = RUNS;
		saved[current] = false;
		on_cpu[current] = me + 1
	}
}

/* uf_arch_switch(), then finish_switch() */
inline switch_to()
{
	atomic {
		if
		:: next != NONE ->
			require(runs_where_pinned, !is_pinned(next) || me == 0);
			require(in_one_place, place[next] == READIED);
			/* Its registers are to be loaded when this one's are saved. */
			place[next] = RUNS
		:: else
		fi
	};
	saved[current] = true;
	on_cpu[current] = 0;
	current = NONE;
	if
	:: next != NONE -> place[next] = READIED; run_next()
	:: else
	fi
}

/* uf_requeue(); the fiber can be found before it has been switched away from. */
inline uf_requeue()
{
	atomic {
		if
		:: is_queued(0, me) -> remove(0); next = 0
		:: is_queued(1, me) -> remove(1); next = 1
		:: is_queued(2, me) -> remove(2); next = 2
		:: true
		fi;
		append(current)
	};
	switch_to()
}

#ifdef BUG_STEAL_YIELD_TO_DOES_NOT_LOOK
#define may_yield_to(f, q) \
	(queue[f] == (q) && ((q) == me || !is_pinned(f)))
#else
#ifdef BUG_STEAL_YIELD_TO_PINNED
#define may_yield_to(f, q)	(queue[f] == (q) && may_be_taken(f))
#else
#define may_yield_to(f, q) \
	(queue[f] == (q) && may_be_taken(f) && ((q) == me || !is_pinned(f)))
#endif
#endif

inline uf_yield_to(f)
{
	old = queue[f];
	if
	:: old != NONE ->
		atomic {
			if
#ifdef BUG_STEAL_YIELD_TO_TRUSTS_HINT
			:: true -> next = f; place[f] = READIED; queue[f] = NONE
#else
			:: may_yield_to(f, old) -> remove(f); next = f
			:: else
#endif
			fi
		}
	:: else
	fi;
	old = 0;
	if
	:: next != NONE -> atomic { append(current) }; switch_to()
	:: else
	fi
}

#define at_rest() \
	require(no_lost_fiber, place[0] == PARKED && place[1] == PARKED && \
			       place[2] == PARKED)

active [SERVERS] proctype thread()
{
	byte current = NONE, next = NONE, chain = NONE, f, old;

	do
	/* Its fiber's code, and its end. */
	:: current != NONE && switches < SWITCHES -> switches++; uf_requeue()
	:: current != NONE && switches < SWITCHES ->
		switches++;
		any_fiber();
		if
		:: f != current -> uf_yield_to(f)
		:: else
		fi;
		f = 0
	:: current != NONE -> place[current] = PARKED; switch_to()
	/* Whoever wakes. */
	:: wakes < WAKES ->
		wakes++;
		any_fiber();
		atomic {
			if
			:: place[f] == PARKED -> place[f] = READIED; old = 1
			:: else
			fi
		};
		if
		:: old -> old = 0; uf_ready(f)
		:: else
		fi;
		f = 0
	/* The base context: inboxes, its own queue, others'. */
	:: current == NONE && me == 0 && pinned_inbox != NONE ->
		take_all(pinned_inbox);
		appends_chain()
	:: current == NONE && inbox[0] != NONE ->
		take_all(inbox[0]);
		appends_chain()
	:: atomic { current == NONE && is_queued(0, me) -> remove(0); next = 0 };
		run_next()
	:: atomic { current == NONE && is_queued(1, me) -> remove(1); next = 1 };
		run_next()
	:: atomic { current == NONE && is_queued(2, me) -> remove(2); next = 2 };
		run_next()
	:: atomic { current == NONE && may_steal(0) -> remove(0); chain = 0 };
		appends_chain()
	:: atomic { current == NONE && may_steal(1) -> remove(1); chain = 1 };
		appends_chain()
	:: atomic { current == NONE && may_steal(2) -> remove(2); chain = 2 };
		appends_chain()
	:: atomic {
		current == NONE && may_steal_next ->
		chain = slot[other];
		remove(chain)
	   };
		appends_chain()
	od
}

active proctype rest()
{
	timeout -> at_rest()
}

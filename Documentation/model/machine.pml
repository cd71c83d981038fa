/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the protocol runs on: memory, a lock, tasks that sleep and are woken.
 *
 * Memory is x86's. What is written under domain->lock goes through the writer's
 * store buffer, in order: who takes the lock next finds all of it, since the
 * lock's release leaves the buffer last; who reads without the lock finds what
 * has left the buffer so far (the seen_ words, and the owner words). The writer
 * itself finds what it wrote. As the next one to lock waits for the buffer, one
 * buffer at a time has stores of this kind, and one channel is enough.
 *
 * What a thread writes without the lock (task state, aside) is followed by a full
 * barrier in the code, and so is in memory at once here. Where a mutation takes
 * that barrier away, the store is made after the loads that may overtake it.
 *
 * Threads and servers are numbered from 1; NONE is neither.
 */
#define NONE		0

/* The process that runs, as a thread. */
#define me		(_pid + 1)

/* Memory ----------------------------------------------------------------- */

mtype = { STATE, SERVER, OWNER, NR_RUNNABLE, CANCELLED, KICKED };

/* The store buffer, and whose it is. */
chan stores = [12] of { mtype, byte, byte };
byte stores_of;

/* What is in memory. */
byte seen_state[THREADS + 1] = IDLE;
byte seen_server[THREADS + 1];
bool seen_cancelled[THREADS + 1];
bool seen_kicked[THREADS + 1];
byte seen_nr_runnable;
byte owner[SERVERS + 1];

#define sees(word, seen)	(stores_of == me -> word : seen)
#define sees_state()		sees(state[me], seen_state[me])
#define sees_server()		sees(server[me], seen_server[me])
#define sees_cancelled()	sees(cancelled[me], seen_cancelled[me])
#ifdef KICKS
#define sees_kicked()	sees(kicked[me], seen_kicked[me])
#else
#define sees_kicked()	kicked[me]
#endif

/*
 * Only its thread reads a thread's words without the lock, so what it writes there
 * itself need not wait. The owner words and nr_runnable concern pollers alone.
 */
inline store_thread_word(word, seen, t, value)
{
	if
	:: t == me -> seen = value
	:: else -> stores!word, t, value
	fi
}

/* Without KICKS, who reads kicked takes the lock next. */
#ifdef KICKS
#define store_kicked(t, value)	store_thread_word(KICKED, seen_kicked[t], t, value)
#else
#define store_kicked(t, value)	skip
#endif

#ifdef POLLS
#define store_domain_word(word, i, value)	stores!word, i, value
#else
#define store_domain_word(word, i, value)	skip
#endif

/* A full barrier. Even in an atomic sequence, others run until it is through. */
#define smp_mb()		(stores_of != me || len(stores) == 0)

/* What leaves the buffer next; by the process "buffer", at any time. */
inline store_reaches_memory(word, i, value)
{
#ifndef ONE_BY_ONE
	do
	:: len(stores) == 0 -> break
	:: len(stores) > 0 ->
#endif
	stores?word, i, value;
	if
	:: word == STATE -> seen_state[i] = value
	:: word == SERVER -> seen_server[i] = value
	:: word == OWNER -> owner[i] = value
	:: word == NR_RUNNABLE -> seen_nr_runnable = value
	:: word == CANCELLED -> seen_cancelled[i] = value
	:: word == KICKED -> seen_kicked[i] = value
	fi
#ifndef ONE_BY_ONE
	od
#endif
	;
	word = 0;
	i = 0;
	value = 0;
	if
	:: len(stores) == 0 && !locked -> stores_of = NONE
	:: else
	fi
}

/* The lock --------------------------------------------------------------- */

bool locked;

#define raw_spin_lock() \
	!locked && len(stores) == 0; locked = true; stores_of = me

inline raw_spin_unlock()
{
	d_step {
		check_records();
		locked = false;
		if
		:: len(stores) == 0 -> stores_of = NONE
		:: else
		fi
	}
}

/* Tasks ------------------------------------------------------------------ */

/* TASK_INTERRUPTIBLE, that is; and what makes it look again. */
bool sleeps[THREADS + 1];
bool signal[THREADS + 1];

/* An irq_work that wakes a thread, queued from under the rq lock. */
bool wake_irq[THREADS + 1];

/* Has a full barrier after its store. */
#define set_current_state_interruptible() \
	smp_mb(); sleeps[me] = true

/* Has one before it looks whether the task sleeps. */
#define wake_up_process(t) \
	smp_mb(); sleeps[t] = false

/* A locked operation, and thereby a full barrier. */
#define irq_work_queue(t) \
	smp_mb(); wake_irq[t] = true

/*
 * Sleep, if nobody woke us since we said so. A signal may come at any time;
 * deciding that none comes any more is what lets a run end.
 */
inline schedule()
{
	if
	:: !sleeps[me]
#ifdef SIGNALS
	:: atomic { sleeps[me] -> sleeps[me] = false; signal[me] = true }
	:: sleeps[me] -> !sleeps[me]
#endif
	fi
}

/* It is awake, and its signal, if any, delivered. */
inline end_sleep()
{
	sleeps[me] = false;
	signal[me] = false
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The biased lock (lib/bias.h, lib/bias.c), whose letters are used here. Threads take
 * a server, the owner's part, in turns; who does not have it is a revoker.
 *
 * Loads are in program order, as x86 has them and as acquire makes them; the mutations
 * ..._READS_EARLY take the acquire away, WEAK the order of stores.
 *
 * BUG_ macros are seeded bugs, see tools/model/run.
 */
#define HELD	0
#define REVOKED	1
#define LOCK	2
#define QUEUE	3
#define SERVER	4
#define WORDS	5
#define CPUS	THREADS

/* What is stored without release, and may overtake; see buffers.pml. */
#define WEAK_1	QUEUE
#ifdef BUG_BIAS_UNLOCK_IS_PLAIN
#define WEAK_2	HELD
#else
#define WEAK_2	REVOKED
#endif

bool one_in_queue, queue_is_seen, nobody_spins;

/* For the properties alone: who is in, what the queue is, who is done. */
byte users;
byte queue;
byte done;

#define at_rest()	require(nobody_spins, done == THREADS)

/* Where it is 1, the kernel has no membarrier(2): uf_bias_init(). */
#ifdef FALLBACK
#define uf_no_membarrier	1
#else
#define uf_no_membarrier	0
#endif
#if defined(FALLBACK) && !defined(BUG_BIAS_INIT_FORGETS)
#define MEMORY	= { 0, 1, 0, 0, 0 }
#endif

#include "buffers.pml"

/* Without READS nobody looks what is in the queue. */
#ifdef READS
#define read_queue()	seen = load(QUEUE)
#define write_queue()	store(QUEUE, queue)
#else
#define read_queue()	seen = queue
#define write_queue()	skip
#endif

/* What the lock is for: @seen has been read from the queue. */
inline use()
{
	atomic {
		users++;
		require(one_in_queue, users == 1);
		require(queue_is_seen, seen == queue);
#ifdef READS
		queue = (queue + 1) % 4;
#endif
		seen = 0
	};
	write_queue();
	users--
}

inline uf_bias_lock()
{
#ifdef BUG_BIAS_LOOKS_FIRST
	revoked = load(REVOKED);
	store(HELD, 1);
#else
	store(HELD, 1); /* O1 */
#ifdef BUG_BIAS_OWNER_READS_EARLY
	read_queue();
#endif
	revoked = load(REVOKED); /* O3 */
#endif
	if
	:: revoked ->
		uf_bias_lock_slow();
		read_queue()
	:: else ->
#ifndef BUG_BIAS_OWNER_READS_EARLY
		read_queue()
#endif
		;
		skip
	fi;
	revoked = 0
}

inline uf_bias_lock_slow()
{
#ifndef BUG_BIAS_SLOW_KEEPS_HELD
	store(HELD, 0);
#endif
#ifndef BUG_BIAS_SLOW_WITHOUT_LOCK
	uf_spin_lock(LOCK);
#endif
	store(HELD, 1);
#ifndef BUG_BIAS_SLOW_WITHOUT_LOCK
	uf_spin_unlock(LOCK)
#endif
}

inline uf_bias_unlock()
{
#ifdef BUG_BIAS_UNLOCK_IS_PLAIN
	store(HELD, 0)
#else
	store_release(HELD, 0)
#endif
}

inline uf_bias_revoke()
{
	uf_spin_lock(LOCK); /* R1 */
	if
	:: uf_no_membarrier
	:: else ->
#ifdef BUG_BIAS_BARRIER_FIRST
		uf_heavy_mb();
		store(REVOKED, 1)
#else
		store(REVOKED, 1); /* R2 */
#ifndef BUG_BIAS_WITHOUT_BARRIER
		uf_heavy_mb() /* R3 */
#endif
#endif
	fi;
#ifdef BUG_BIAS_REVOKER_READS_EARLY
	read_queue();
#endif
#ifndef BUG_BIAS_REVOKER_DOES_NOT_WAIT
	load(HELD) == 0; /* R4 */
#endif
#ifndef BUG_BIAS_REVOKER_READS_EARLY
	read_queue()
#endif
}

inline uf_bias_return()
{
#ifdef BUG_BIAS_RETURN_UNLOCKS_FIRST
	uf_spin_unlock(LOCK);
#endif
	if
	:: uf_no_membarrier
#ifdef BUG_BIAS_RETURN_IS_PLAIN
	:: else -> store(REVOKED, 0)
#else
	:: else -> store_release(REVOKED, 0)
#endif
	fi;
#ifndef BUG_BIAS_RETURN_UNLOCKS_FIRST
	uf_spin_unlock(LOCK)
#endif
}

/* Servers pass from thread to thread by locked operations. */
#define try_server() \
	atomic { empty(buffer[me]) && !memory[SERVER] -> memory[SERVER] = 1 }

#define give_server() \
	atomic { empty(buffer[me]) -> memory[SERVER] = 0 }

active [THREADS] proctype thread()
{
	byte seen;
	bit revoked;

	do
	:: try_server();
		do
		:: uf_bias_lock();
			use();
			uf_bias_unlock()
		:: give_server() -> break
		od
	:: uf_bias_revoke();
		use();
		uf_bias_return()
	:: done++ -> break
	od
}

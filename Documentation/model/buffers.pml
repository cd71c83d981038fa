/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory as the library's lock-free parts find it: every processor has a store
 * buffer. A store waits there, in order, while its processor goes on to loads, which
 * find it; it leaves at any time. A locked operation and a full barrier wait until
 * the buffer is empty. That is x86.
 *
 * With WEAK, plain stores leave their buffer in any order, a release only after all
 * before it (of several of one word, the order stays).
 *
 * Who includes this defines CPUS, the processors, one for each process that stores,
 * the first of all processes; WORDS; and at_rest(), what must hold when nothing moves.
 */
#define me	(_pid - 1)

#define at(cpu, w)	((cpu) * WORDS + (w))

#ifndef MEMORY
#define MEMORY
#endif
byte memory[WORDS] MEMORY;
/* What is in the buffers: in order, and for their owners how often and what last. */
chan buffer[CPUS] = [6] of { byte, byte, bool };
byte pending[CPUS * WORDS];
byte own[CPUS * WORDS];

/* What must hold, by name, as in handoff.pml. */
#define require(name, condition)	assert(name || (condition))

#define load(w)	(pending[at(me, w)] -> own[at(me, w)] : memory[w])

inline put(w, v, release)
{
	atomic {
		nfull(buffer[me]);
		buffer[me]!w, v, release;
		pending[at(me, w)]++;
		own[at(me, w)] = v
	}
}

#define store(w, v)		put(w, v, false)
#define store_release(w, v)	put(w, v, true)

#define smp_mb()	empty(buffer[me])

inline left(cpu, w, v)
{
	memory[w] = v;
	pending[at(cpu, w)]--;
	if
	:: pending[at(cpu, w)] == 0 -> own[at(cpu, w)] = 0
	:: else
	fi
}

/* A membarrier(2) drains a processor; the caller's own first. */
inline drain(cpu)
{
	d_step {
		do
		:: nempty(buffer[cpu]) ->
			buffer[cpu]?word, value, release;
			left(cpu, word, value)
		:: empty(buffer[cpu]) -> break
		od;
		word = 0;
		value = 0;
		release = false
	}
}

/* Each processor has its barrier at a time of its own. */
inline uf_heavy_mb()
{
	byte word, value;
	bool release;

	smp_mb();
	drain(0);
	drain(1);
#if CPUS > 2
	drain(2);
#endif
#if CPUS > 3
	drain(3);
#endif
#if CPUS > 4
	drain(4);
#endif
	skip
}

/* lib/spin.h; the unlock waits in the buffer. */
inline uf_spin_lock(w)
{
	atomic { empty(buffer[me]) && memory[w] == 0 -> memory[w] = 1 }
}

#define uf_spin_unlock(w)	store_release(w, 0)

#define leaves(cpu) \
	atomic { nempty(buffer[cpu]) -> leave(cpu) }

inline leave(cpu)
{
	d_step {
		buffer[cpu]?word, value, release;
		left(cpu, word, value);
		word = 0;
		value = 0;
		release = false
	}
}

/* Of a word that is in the buffer once, out of turn. */
#define may_overtake(cpu, w) \
	(pending[at(cpu, w)] == 1 && buffer[cpu]??[w, _, 0])

#define overtakes(cpu, w) \
	atomic { may_overtake(cpu, w) -> overtake(cpu, w) }

inline overtake(cpu, w)
{
	d_step {
		buffer[cpu]??w, value, _;
		left(cpu, w, value);
		value = 0
	}
}

active proctype buffers()
{
	byte word, value;
	bool release;

	do
	:: leaves(0)
	:: leaves(1)
#if CPUS > 2
	:: leaves(2)
#endif
#if CPUS > 3
	:: leaves(3)
#endif
#if CPUS > 4
	:: leaves(4)
#endif
#ifdef WEAK
	:: overtakes(0, WEAK_1)
	:: overtakes(0, WEAK_2)
	:: overtakes(1, WEAK_1)
	:: overtakes(1, WEAK_2)
#if CPUS > 2
	:: overtakes(2, WEAK_1)
	:: overtakes(2, WEAK_2)
#endif
#endif
	:: timeout -> at_rest(); break
	od
}

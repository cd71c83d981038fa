/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The times of the works "sleepers-N" and "timers-N" and the size of "servers-N",
 * the same for all systems; main.go has a copy.
 */
#ifndef SLEEPERS_H
#define SLEEPERS_H

#include <stdint.h>

#define MS 1000000ULL

/* Sleepers: from the opening to the window in which they wake up one by one. */
#define WINDOW_AFTER (500 * MS)
#define WINDOW (1500 * MS)
/* Then all sleep until this moment, counted from the window's begin. */
#define BURST_AFTER (2000 * MS)
#define TICK (1 * MS)

/* Timers: from one burst to the next, enough for any of the systems. */
#define TIMER_BURSTS 4
#define BURST_PERIOD(n) (20 * MS + (uint64_t)(n)*2000)
/* Not all at one time, but faster than they can be served. */
#define BURST_SPREAD(n) (n)

/* A tree of fibers: each makes two and joins them, the leaves compute a little. */
#define TREE_DEPTH 14
#define TREE_FIBERS ((2 << TREE_DEPTH) - 1)
#define TREE_ROUNDS 15
#define LEAF_TURNS 500

/* The @i-th of a sequence without order: splitmix64's last steps. */
static inline uint64_t scatter(uint64_t i)
{
	i = (i + 1) * 0x9e3779b97f4a7c15;
	i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9;
	return i ^ (i >> 31);
}

#endif /* SLEEPERS_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the programs of all systems that are compared share: the command line, the
 * clock, how often a thing is done, and the ring of fibers that yield.
 *
 * Each program is one system: "PROGRAM WORK" measures that work once and prints
 * lines of "WORK VALUE UNIT"; "PROGRAM --list" prints what it can, and up to which
 * number. A name of the table that ends in "-" takes a number behind it.
 * tools/bench/run calls them.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peer_work {
	const char *name;
	/* @n: the number behind the name, or 0. */
	void (*run)(const char *work, long n);
	/* The largest number, or 0: any. */
	long most;
};

/* The table ends with a name that is NULL. Returns the exit status. */
int peer_main(int argc, char **argv, const char *system,
	      const struct peer_work *works);

void peer_print(const char *work, double value, const char *unit);

/* Tell why this cannot be measured, and exit. @error: an errno, or 0. */
void peer_die(const char *what, int error) __attribute__((noreturn));

/* End the process at once, whatever its fibers and threads do. */
void peer_done(void) __attribute__((noreturn));

/* Do it @times often. */
typedef void peer_batch_fn(void *arg, long times);

/*
 * Call @fn for about a millisecond at a time, often, and print the median time
 * of one, divided by @per. A batch that something else on the machine has come
 * into is then an outlier.
 */
void peer_measure(const char *work, peer_batch_fn *fn, void *arg, double per);

/* The median of @n values; sorts them. */
uint64_t peer_median(uint64_t *values, size_t n);

/* By how much memory the process has, with its page tables, in bytes. */
uint64_t peer_memory(void);

/* Exit unless the machine has that much to give. */
void peer_need_memory(uint64_t bytes);

/* All threads of this process on the CPU that it is on. */
void peer_one_cpu(void);

static inline uint64_t peer_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ------------------------------------------------------ a ring that yields */

#define PEER_STAGES_MAX 51

/*
 * @members fibers yield, each @turns times or a few more in a stage; who is the
 * last to end a stage reads the clock and starts the next one. The first stage is
 * for warming up.
 */
struct peer_ring {
	long members;
	long turns;
	int stages;
	int stage;
	long left;
	long yields;
	uint64_t began;
	uint64_t end;
	uint64_t picoseconds[PEER_STAGES_MAX + 1];
};

void peer_ring_init(struct peer_ring *ring, long members);
/* What the last one of a stage does. */
void peer_ring_end_stage(struct peer_ring *ring);
/* Print the median of the stages, for one yield. */
void peer_ring_report(const char *work, struct peer_ring *ring);

/* Each of the fibers calls it; inline, so that @yield is called directly. */
static inline __attribute__((always_inline)) void
peer_ring_member(struct peer_ring *ring, void (*yield)(void))
{
	long yields = 0;
	int stage;
	long i;

	for (stage = 0; stage <= ring->stages; stage++) {
		for (i = 0; i < ring->turns; i++)
			yield();
		yields += ring->turns;
		__atomic_fetch_add(&ring->yields, yields, __ATOMIC_RELAXED);
		yields = 0;
		if (!__atomic_sub_fetch(&ring->left, 1, __ATOMIC_ACQ_REL)) {
			peer_ring_end_stage(ring);
			continue;
		}
		while (__atomic_load_n(&ring->stage, __ATOMIC_ACQUIRE) == stage) {
			yield();
			yields++;
		}
	}
}

#ifdef __cplusplus
}
#endif

#endif /* PEER_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads that do everything a registered thread may do, at random and at once,
 * while the test does something to them. Every call must give a result that its
 * description allows, and all must come to their end when they are told to.
 */
#ifndef UF_STORM_H
#define UF_STORM_H

#include "uf_lib.h"

#define UF_STORM_MAX	64

struct uf_storm_thread {
	struct uf_storm *storm;
	pthread_t pthread;
	__u32 id;
	unsigned int seed;
	atomic_int tid;		/* 0 before it has begun, and after its end */
};

struct uf_storm {
	struct uf_dom d;
	unsigned int nr;
	atomic_bool stop;
	atomic_ulong ops;	/* all that have been done */
	atomic_uint errors;
	pthread_mutex_t mutex;
	struct uf_storm_thread t[UF_STORM_MAX];
};

/* A storm in memory that children share. */
struct uf_storm *uf_storm_new(unsigned int seed);
bool uf_storm_start(struct uf_storm *s, unsigned int servers, unsigned int threads);
/* Wait until it has done so much more; false if it is stuck. */
bool uf_storm_goes_on(struct uf_storm *s, unsigned int ops);
/* All come to their end, none was refused what it may do, nothing is left. */
bool uf_storm_end(struct uf_storm *s);
pid_t uf_storm_tid(struct uf_storm *s, unsigned int n);

#endif /* UF_STORM_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of a domain: what must come of each operation if the one before has
 * come to its end, by the words of include/uapi/linux/ufiber.h. It knows nothing
 * of the module but those, and which of several equal choices the module makes:
 *
 *   VACANT servers    the caller's last one, else the lowest number
 *   POLLING servers   likewise, after VACANT ones, save the caller's last one
 *   standbys          who stood by last with that server as its last, else who
 *                     stood by last; of those that wait for work, the latest
 *   thread ids        the lowest that is free
 */
#ifndef UF_MODEL_H
#define UF_MODEL_H

#include "uf_lib.h"

#define UF_MODEL_THREADS	16
#define UF_MODEL_SERVERS	8
#define UF_MODEL_EVENTS		64

/* Where a thread is. */
enum uf_where {
	UF_GONE,	/* its task has ended */
	UF_BARE,	/* in user mode, not registered */
	UF_READY,	/* in user mode */
	UF_WAITING,	/* asleep in WAIT */
	UF_READING,	/* asleep in read() */
	UF_AT_RETURN,	/* held on its way to user mode */
};

struct uf_model_thread {
	enum uf_where where;
	__u32 id, state;
	int server, last;		/* -1: none */
	int queue;			/* 0, or the QUERY flag of the list it is in */
	unsigned int turn;		/* the more, the later it came there */
	__u32 rank;			/* its priority as it became RUNNABLE */
	bool woken, cancelled, kicked, expired;
	__u32 critical, priority, told;	/* shared words, told: kicked */
	__u64 blocks, holds, preempts;
	__u64 cookie;
	/* The order that it is at, or was: what comes of it. */
	bool busy;
	long ret;
	long unexpired;			/* or this, if its time was up and not seen to be */
};

struct uf_model_server {
	int holder, home;		/* indices of threads, -1: none */
	bool polling;
	__u64 blocks, handoffs, takeovers, grants, preempts;
};

struct uf_model {
	__u32 flags;
	unsigned int nr_threads, nr_servers, max_servers;
	unsigned int turn;
	struct uf_model_thread t[UF_MODEL_THREADS];
	struct uf_model_server s[UF_MODEL_SERVERS];
	/* What the operation has written to the ring. */
	struct ufiber_event event[UF_MODEL_EVENTS];
	unsigned int nr_events;
};

void uf_model_init(struct uf_model *m, __u32 flags, unsigned int servers,
		   unsigned int max_servers, unsigned int threads);
int uf_model_by_id(const struct uf_model *m, __u32 id);	/* -1: none */
unsigned int uf_model_runnable(const struct uf_model *m);

/* What a thread does that is READY or, for REGISTER, BARE. */
void uf_model_register(struct uf_model *m, int t);
void uf_model_unregister(struct uf_model *m, int t);
void uf_model_exit(struct uf_model *m, int t);
void uf_model_wait(struct uf_model *m, int t, __u32 flags, __u32 next, bool late);
void uf_model_read(struct uf_model *m, int t);
/* What is done to it; those that are calls return what they do. */
void uf_model_put(struct uf_model *m, int t);		/* a byte for read() */
long uf_model_wake(struct uf_model *m, __u32 id, __u32 flags);
long uf_model_kick(struct uf_model *m, __u32 id);
long uf_model_interrupt(struct uf_model *m, __u32 id);
void uf_model_resize(struct uf_model *m, bool more);	/* by one */

#endif /* UF_MODEL_H */

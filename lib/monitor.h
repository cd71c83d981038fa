/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The monitor backend's types and what its files offer each other:
 *
 *  backend_monitor.c  setup and end
 *  monitor.c          who holds which server, and how it changes hands
 *  monitor_watch.c    the watcher thread
 *  monitor_perf.c     who is asleep in the kernel, told by perf's records
 *  monitor_proc.c     the same, read from /proc
 *
 * Letters as in internal.h; L is the monitor's @lock.
 */
#ifndef UF_MONITOR_H
#define UF_MONITOR_H

#include "internal.h"

struct perf_event_mmap_page;

/**
 * struct uf_monitor_thread - what the monitor knows of a thread
 * @thread: the thread; NULL if it has not joined, or has left (L).
 * @next: in the list in which it waits for a server (L).
 * @granted: 0 while it waits; a futex (L, or its own while it does not wait).
 * @cancelled: its next standby shall end at once (L).
 * @last: the server that it had last, where its data may be warm (L).
 * @ring: its perf event's mapping, or NULL (C after attach).
 * @ring_fd: its perf event, or -1 (C after attach).
 * @opened: see monitor_perf.c (T).
 * @stat_fd: its stat file in /proc, or -1 (C after attach, L at the end;
 *	readable without, as a hint).
 */
struct uf_monitor_thread {
	struct uf_thread *thread;
	struct uf_monitor_thread *next;
	uint32_t granted;
	bool cancelled;
	uint32_t last;
	struct perf_event_mmap_page *ring;
	int ring_fd;
	uint64_t opened;
	int stat_fd;
};

/**
 * struct uf_monitor - a runtime's watcher and what it knows
 * @rt: the runtime (C).
 * @lock: for the rest. May be taken in the critical section: who holds it is
 *	there too, or needs no server.
 * @threads: max_threads of them, by uf_thread.id (C).
 * @runnable: threads that need a server to go on, first come first served (L).
 * @runnable_end: where the next one goes (L).
 * @standby: threads that take any server, the latest first (L).
 * @switches: per server, uf_server.switches at the last look (the watcher's).
 * @perf: perf records can be had (C).
 * @perf_only: and nothing else shall be used (C).
 * @nr_by_perf: threads that it tells of (A).
 * @nr_by_proc: threads that are looked after in /proc instead (A).
 * @epoll: what the watcher sleeps on (C).
 * @wake_fd: an eventfd in it (C).
 * @dozing: the watcher does not look into /proc until @wake_fd wakes it (A).
 * @stop: the watcher shall end (A).
 * @started: there is a watcher (C).
 * @watcher: its thread (C).
 * @why: why there are no perf records, or "" (C).
 */
struct uf_monitor {
	struct uf_runtime *rt;
	pthread_mutex_t lock;
	struct uf_monitor_thread *threads;
	struct uf_monitor_thread *runnable;
	struct uf_monitor_thread **runnable_end;
	struct uf_monitor_thread *standby;
	uint64_t *switches;
	bool perf;
	bool perf_only;
	uint32_t nr_by_perf;
	uint32_t nr_by_proc;
	int epoll;
	int wake_fd;
	uint32_t dozing;
	uint32_t stop;
	bool started;
	pthread_t watcher;
	char why[160];
};

static inline struct uf_monitor_thread *uf_monitor_self(struct uf_thread *t)
{
	return &t->rt->monitor->threads[t - t->rt->threads];
}

/* monitor.c */
int uf_monitor_standby(struct uf_thread *t);
void uf_monitor_acquire(struct uf_thread *t);
void uf_monitor_cancel(struct uf_thread *t);
int uf_monitor_grow(struct uf_runtime *rt, unsigned int n);
void uf_monitor_leave(struct uf_thread *t);
bool uf_monitor_look(struct uf_monitor *m, struct uf_monitor_thread *mt);

/* monitor_watch.c */
int uf_monitor_start(struct uf_monitor *m);
void uf_monitor_stop(struct uf_monitor *m);
void uf_monitor_watch(struct uf_thread *t, bool on);

/* monitor_perf.c */
int uf_perf_probe(char *why, size_t size);
bool uf_perf_attach(struct uf_monitor *m, struct uf_monitor_thread *mt);
void uf_perf_detach(struct uf_monitor_thread *mt);
void uf_perf_open(struct uf_monitor_thread *mt);
void uf_perf_close(struct uf_monitor_thread *mt);
bool uf_perf_asleep(struct uf_monitor_thread *mt);

/* monitor_proc.c */
bool uf_proc_attach(struct uf_monitor_thread *mt);
void uf_proc_detach(struct uf_monitor_thread *mt);
bool uf_proc_asleep(const struct uf_monitor_thread *mt);

#endif /* UF_MONITOR_H */

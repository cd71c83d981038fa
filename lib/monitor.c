// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Who holds which server under the monitor backend. The shared words mean what
 * they mean under the module (include/uapi/linux/ufiber.h), with one difference:
 * nobody can be held at the return to user mode. A thread whose server was taken
 * while it was blocked runs on without one until it next enters the library, and
 * asks for one there (uf_enter_self()).
 *
 * All changes are made under the monitor's lock, but for two that threads make by
 * plain accesses: to enter the critical section, and to declare a server POLLING
 * and back (idle.c).
 *
 * Taking a server from a blocked thread that may return just then:
 *
 *	watcher (take)			thread (uf_enter_self)
 *	K1  server |= TAKING		E1  critical = 1
 *	K2  uf_heavy_mb()		E2  barrier(), for the compiler
 *	K3  read critical		E3  read server
 *	K4  0: it is taken,		E4  the top bit is set: acquire(), which
 *	    server = NONE		    waits for the lock
 *	    1: take TAKING back
 *
 * K2 (a membarrier) makes each running thread of the process execute a full barrier
 * somewhere between K1 and K3. If the thread's comes after E1, then K3 sees
 * critical set, and the server stays its. If it comes before E1, E3 sees K1, and
 * the thread waits until the watcher is done. Both can happen: then acquire()
 * finds that the server is still the thread's. The fast path thus needs no
 * barrier. TAKING leaves the number in its place: a thread that has passed E3
 * before K1 goes on using it, rightly, as K3 then sees critical.
 *
 * What the thread did in its last critical section is seen by who gets the
 * server: critical was cleared by a store with release semantics, and K3 reads
 * with acquire semantics.
 *
 * A thread that returns takes a VACANT server or robs a POLLING one, else it is
 * RUNNABLE and waits. None is left beside a sleeper:
 *
 *	acquire				sleeper (uf_idle)
 *	R1  nr_runnable++		S2  owner = POLLING
 *	    full barrier		    full barrier
 *	R2  read the owner words	S3  read nr_runnable
 *
 * If R2 misses S2 then S3 sees R1, and the sleeper does not sleep but offers its
 * server. Robbing and S2's way back are compare-and-swaps of the same word, so
 * one of them wins. The robber then sets the sleeper's own words, while that may
 * be awake already and on its way to standby; it waits for the lock there.
 *
 * Invariant, whenever the lock is free: no thread is RUNNABLE or stands by while
 * a server is VACANT.
 */
#include <errno.h>

#include "futex.h"
#include "membarrier.h"
#include "monitor.h"

static uint32_t *owner_word(struct uf_runtime *rt, uint32_t s)
{
	return &rt->shared_servers[s].owner;
}

static void set_state(struct uf_thread *t, uint32_t state)
{
	smp_store_release(&t->shared->state, state);
}

static void lose(struct uf_thread *t, uint32_t state)
{
	set_state(t, state);
	WRITE_ONCE(t->shared->server, UFIBER_NONE);
}

/* The owner word has been set, or is swapped by the caller. */
static void hold(struct uf_monitor_thread *mt, uint32_t s)
{
	struct uf_thread *t = mt->thread;

	mt->last = s;
	uf_count(t->rt->shared_servers[s].grants);
	WRITE_ONCE(t->shared->server, s);
	set_state(t, UFIBER_THREAD_RUNNING);
}

static uint32_t held_by(const struct uf_monitor_thread *mt)
{
	return UFIBER_OWNER(UFIBER_SERVER_HELD, mt->thread->id);
}

/* ------------------------------------------------------ those that wait */

static void queue_runnable(struct uf_monitor *m, struct uf_monitor_thread *mt)
{
	mt->next = NULL;
	*m->runnable_end = mt;
	m->runnable_end = &mt->next;
}

static struct uf_monitor_thread *pop_runnable(struct uf_monitor *m)
{
	struct uf_monitor_thread *mt = m->runnable;

	if (!mt)
		return NULL;
	m->runnable = mt->next;
	if (!m->runnable)
		m->runnable_end = &m->runnable;
	fetch_add(&m->rt->shared_domain->nr_runnable, -1);
	return mt;
}

static void queue_standby(struct uf_monitor *m, struct uf_monitor_thread *mt)
{
	mt->next = m->standby;
	m->standby = mt;
	fetch_add(&m->rt->shared_domain->nr_standby, 1);
}

static void unlink_standby(struct uf_monitor *m, struct uf_monitor_thread **link)
{
	*link = (*link)->next;
	fetch_add(&m->rt->shared_domain->nr_standby, -1);
}

/* The one that had the server last, else the latest. */
static struct uf_monitor_thread *pop_standby(struct uf_monitor *m, uint32_t s)
{
	struct uf_monitor_thread **link, **best = &m->standby;
	struct uf_monitor_thread *mt;

	for (link = best; *link; link = &(*link)->next) {
		if ((*link)->last == s) {
			best = link;
			break;
		}
	}
	mt = *best;
	if (mt)
		unlink_standby(m, best);
	return mt;
}

static void lock(struct uf_monitor *m)
{
	pthread_mutex_lock(&m->lock);
}

/* And wake the one that was granted a server, if it sleeps. */
static void unlock(struct uf_monitor *m, struct uf_monitor_thread *granted)
{
	pthread_mutex_unlock(&m->lock);
	if (granted)
		uf_futex_wake(&granted->granted);
}

static void end_wait(struct uf_monitor_thread *mt)
{
	smp_store_release(&mt->granted, 1);
}

/* Wait until end_wait(); drops the lock. */
static void wait(struct uf_monitor *m, struct uf_monitor_thread *mt,
		 struct uf_monitor_thread *granted)
{
	WRITE_ONCE(mt->granted, 0);
	uf_perf_close(mt);
	unlock(m, granted);
	while (!smp_load_acquire(&mt->granted))
		uf_futex_wait(&mt->granted, 0);
}

/* -------------------------------------------------- servers change hands */

/* Give a server to a thread that waits. */
static void grant(struct uf_monitor_thread *mt, uint32_t s)
{
	smp_store_release(owner_word(mt->thread->rt, s), held_by(mt));
	hold(mt, s);
	end_wait(mt);
}

/* Pass on a server that nobody holds. Returns whom to wake. */
static struct uf_monitor_thread *pass_on(struct uf_monitor *m, uint32_t s)
{
	struct uf_monitor_thread *mt = pop_runnable(m);

	if (!mt)
		mt = pop_standby(m, s);
	if (mt)
		grant(mt, s);
	else
		WRITE_ONCE(*owner_word(m->rt, s),
			   UFIBER_OWNER(UFIBER_SERVER_VACANT, 0));
	return mt;
}

/* The caller waits for nothing; it gives its server, if it has one, away. */
static struct uf_monitor_thread *release(struct uf_monitor *m,
					 struct uf_thread *t)
{
	uint32_t s = READ_ONCE(t->shared->server);

	lose(t, UFIBER_THREAD_IDLE);
	return s == UFIBER_NONE ? NULL : pass_on(m, s);
}

/* Take one server if it is free. @rob: also a POLLING one. */
static bool try_server(struct uf_monitor_thread *mt, uint32_t s, bool rob)
{
	struct uf_runtime *rt = mt->thread->rt;
	uint32_t *owner = owner_word(rt, s);
	uint32_t old = smp_load_acquire(owner);

	switch (UFIBER_OWNER_STATE(old)) {
	case UFIBER_SERVER_VACANT:
		WRITE_ONCE(*owner, held_by(mt));
		break;
	case UFIBER_SERVER_POLLING:
		if (!rob || cmpxchg(owner, old, held_by(mt)) != old)
			return false;
		lose(&rt->threads[UFIBER_OWNER_THREAD(old)], UFIBER_THREAD_IDLE);
		break;
	default:
		return false;
	}
	hold(mt, s);
	return true;
}

/* Take any server that is free, best the one that the thread had last. */
static bool try_servers(struct uf_monitor_thread *mt, bool rob)
{
	struct uf_runtime *rt = mt->thread->rt;
	unsigned int i;

	for (i = 0; i < rt->nr_servers; i++)
		if (try_server(mt, (mt->last + i) % rt->nr_servers, rob))
			return true;
	return false;
}

/*
 * Take the server of a thread that is asleep, unless it is in the critical
 * section. Returns false if it keeps its server.
 */
static bool take(struct uf_thread *t, uint32_t s)
{
	struct ufiber_shared_thread *shared = t->shared;

	if (READ_ONCE(shared->critical))
		return false;
	WRITE_ONCE(shared->server, UF_TAKING | s); /* K1 */
	uf_heavy_mb(); /* K2 */
	if (smp_load_acquire(&shared->critical)) { /* K3 */
		WRITE_ONCE(shared->server, s);
		return false;
	}
	lose(t, UFIBER_THREAD_BLOCKED); /* K4 */
	return true;
}

static bool asleep(struct uf_monitor_thread *mt)
{
	if (mt->ring)
		return uf_perf_asleep(mt);
	return mt->stat_fd >= 0 && uf_proc_asleep(mt);
}

/* As uf_monitor_look(); returns whom to wake. */
static struct uf_monitor_thread *look(struct uf_monitor *m,
				      struct uf_monitor_thread *mt, bool *taken)
{
	struct ufiber_shared_server *server;
	struct uf_monitor_thread *next;
	struct uf_thread *t = mt->thread;
	uint32_t s;

	*taken = false;
	if (!t)
		return NULL;
	s = READ_ONCE(t->shared->server);
	if (s == UFIBER_NONE) {
		uf_perf_close(mt); /* a record came just when it was shut */
		return NULL;
	}
	/* Ask first: this also makes room for records to come. */
	if (!asleep(mt) || !take(t, s))
		return NULL;
	*taken = true;
	uf_perf_close(mt);
	server = &m->rt->shared_servers[s];
	uf_count(server->blocks);
	uf_count(t->shared->blocks);
	next = pass_on(m, s);
	if (next)
		uf_count(server->handoffs);
	return next;
}

/**
 * uf_monitor_look - pass a thread's server on if the thread is blocked
 * @m: the monitor; the caller is its watcher.
 * @mt: the thread, which may have left.
 *
 * Returns true if the server was taken from it.
 */
bool uf_monitor_look(struct uf_monitor *m, struct uf_monitor_thread *mt)
{
	struct uf_monitor_thread *granted;
	bool taken;

	lock(m);
	granted = look(m, mt, &taken);
	unlock(m, granted);
	return taken;
}

/* ---------------------------------------------------------- for threads */

/* With the lock. Returns whom to wake; *done tells that @t need not wait. */
static struct uf_monitor_thread *begin_standby(struct uf_monitor *m,
					       struct uf_thread *t, bool *done)
{
	struct uf_monitor_thread *mt = uf_monitor_self(t);
	struct uf_monitor_thread *granted = NULL;

	*done = true;
	if (mt->cancelled) {
		mt->cancelled = false;
		return release(m, t);
	}
	if (READ_ONCE(t->shared->server) != UFIBER_NONE) {
		if (!m->runnable)
			return NULL;
		granted = release(m, t);
	} else if (try_servers(mt, false)) {
		return NULL;
	}
	*done = false;
	queue_standby(m, mt);
	return granted;
}

/* The thread has a server, and goes on to where it can block. */
static int begin_serving(struct uf_thread *t)
{
	uint32_t s = READ_ONCE(t->shared->server);

	if (s == UFIBER_NONE)
		return -ECANCELED;
	uf_monitor_watch(t, true);
	return s;
}

/* See struct uf_backend. */
int uf_monitor_standby(struct uf_thread *t)
{
	struct uf_monitor *m = t->rt->monitor;
	struct uf_monitor_thread *granted;
	bool done;

	lock(m);
	granted = begin_standby(m, t, &done);
	if (done)
		unlock(m, granted);
	else
		wait(m, uf_monitor_self(t), granted);
	return begin_serving(t);
}

/* With the lock. Returns true if the thread has a server, false if it waits. */
static bool begin_acquire(struct uf_monitor *m, struct uf_thread *t)
{
	struct uf_monitor_thread *mt = uf_monitor_self(t);

	/* The watcher wanted it and left it to us. */
	if (READ_ONCE(t->shared->server) != UFIBER_NONE)
		return true;
	if (!try_servers(mt, true)) {
		fetch_add(&m->rt->shared_domain->nr_runnable, 1); /* R1 */
		if (!try_servers(mt, true)) { /* R2 */
			set_state(t, UFIBER_THREAD_RUNNABLE);
			uf_count(t->shared->holds);
			queue_runnable(m, mt);
			return false;
		}
		fetch_add(&m->rt->shared_domain->nr_runnable, -1);
	}
	uf_count(m->rt->shared_servers[mt->last].takeovers);
	return true;
}

/* See struct uf_backend. */
void uf_monitor_acquire(struct uf_thread *t)
{
	struct uf_monitor *m = t->rt->monitor;

	lock(m);
	if (begin_acquire(m, t))
		unlock(m, NULL);
	else
		wait(m, uf_monitor_self(t), NULL);
	begin_serving(t);
}

/* See struct uf_backend. Only a standby ends so; who is RUNNABLE gets a server. */
void uf_monitor_cancel(struct uf_thread *t)
{
	struct uf_monitor *m = t->rt->monitor;
	struct uf_monitor_thread *mt = uf_monitor_self(t);
	struct uf_monitor_thread *woken = NULL;
	struct uf_monitor_thread **link;

	lock(m);
	for (link = &m->standby; *link && *link != mt;)
		link = &(*link)->next;
	if (*link) {
		unlink_standby(m, link);
		end_wait(mt);
		woken = mt;
	} else {
		mt->cancelled = true;
	}
	unlock(m, woken);
}

/* See struct uf_backend. */
int uf_monitor_grow(struct uf_runtime *rt, unsigned int n)
{
	struct uf_monitor *m = rt->monitor;
	struct uf_monitor_thread *granted;
	unsigned int s;

	for (s = rt->nr_started; s < n; s++) {
		lock(m);
		granted = pass_on(m, s);
		unlock(m, granted);
	}
	return 0;
}

/* The thread leaves the runtime. */
void uf_monitor_leave(struct uf_thread *t)
{
	struct uf_monitor *m = t->rt->monitor;
	struct uf_monitor_thread *mt = uf_monitor_self(t);
	struct uf_monitor_thread *granted;

	lock(m);
	granted = release(m, t);
	set_state(t, UFIBER_THREAD_FREE);
	mt->thread = NULL;
	uf_perf_detach(mt);
	uf_proc_detach(mt);
	unlock(m, granted);
}

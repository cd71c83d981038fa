// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The monitor's watcher thread. Perf records wake it; for threads that have
 * none it looks into /proc, from every UF_PEEK_MAX_NS down to UF_PEEK_MIN_NS when
 * it has found one blocked, as the next one may have, too. A thread that has
 * switched fibers since the last look is not looked at.
 *
 * It does not wake up in vain: when no server is in use it dozes. That is safe:
 *
 *	watcher (look_around)		thread (uf_monitor_watch)
 *	D1  dozing = 1			H1  owner = HELD
 *	    full barrier		    full barrier
 *	D2  read the owner words	H2  read dozing, wake the watcher
 *
 * If D2 misses H1 then H2 sees D1.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "monitor.h"

#define UF_PEEK_MIN_NS 100000L
#define UF_PEEK_MAX_NS 1000000L

/* PTHREAD_STACK_MIN is not the same everywhere: the architecture's, and TLS's part. */
#define UF_WATCHER_STACK (PTHREAD_STACK_MIN + 64 * 1024)
#define UF_WATCHER_EVENTS 16
#define UF_WATCHER_SLICE_NS 100000

/* In epoll_event.data: not a thread but wake_fd. */
#define UF_WAKE_FD UINT32_MAX

static void wake_watcher(struct uf_monitor *m)
{
	uint64_t one = 1;

	/* It cannot fail: that many are never pending. */
	if (write(m->wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* See struct uf_backend. */
void uf_monitor_watch(struct uf_thread *t, bool on)
{
	struct uf_monitor_thread *mt = uf_monitor_self(t);
	struct uf_monitor *m = t->rt->monitor;

	if (!on) {
		uf_perf_close(mt);
		return;
	}
	uf_perf_open(mt);
	if (mt->stat_fd < 0)
		return;
	smp_mb(); /* between H1 and H2 */
	if (READ_ONCE(m->dozing) && xchg(&m->dozing, 0)) /* H2 */
		wake_watcher(m);
}

/*
 * The thread that is to be looked at for a server, or NULL. A hint, without the
 * lock: under that uf_monitor_look() asks again. It is not too old for D2: the
 * thread joined before it was given the server, H1.
 */
static struct uf_monitor_thread *user_of(struct uf_monitor *m, unsigned int s)
{
	uint32_t owner = smp_load_acquire(&m->rt->shared_servers[s].owner);
	struct uf_monitor_thread *mt;

	if (UFIBER_OWNER_STATE(owner) != UFIBER_SERVER_HELD)
		return NULL;
	mt = &m->threads[UFIBER_OWNER_THREAD(owner)];
	return READ_ONCE(mt->stat_fd) >= 0 ? mt : NULL;
}

static bool any_in_use(struct uf_monitor *m)
{
	unsigned int i;

	for (i = 0; i < m->rt->nr_servers; i++)
		if (user_of(m, i))
			return true;
	return false;
}

static bool look_at_server(struct uf_monitor *m, unsigned int s)
{
	struct uf_monitor_thread *mt = user_of(m, s);
	uint64_t switches = READ_ONCE(m->rt->servers[s].switches);
	bool moved = switches != m->switches[s];

	m->switches[s] = switches;
	return mt && !moved && uf_monitor_look(m, mt);
}

/* Returns when to look again, in nanoseconds, or -1: when woken. */
static long look_around(struct uf_monitor *m, long last)
{
	bool taken = false;
	unsigned int i;

	for (i = 0; i < m->rt->nr_servers; i++)
		taken |= look_at_server(m, i);
	if (!any_in_use(m)) {
		xchg(&m->dozing, 1); /* D1 */
		if (!any_in_use(m)) /* D2 */
			return -1;
		xchg(&m->dozing, 0);
	}
	if (taken || last < 0)
		return UF_PEEK_MIN_NS;
	return last < UF_PEEK_MAX_NS / 2 ? last * 2 : UF_PEEK_MAX_NS;
}

static void handle(struct uf_monitor *m, const struct epoll_event *event)
{
	uint64_t count;

	if (event->data.u32 != UF_WAKE_FD)
		uf_monitor_look(m, &m->threads[event->data.u32]);
	else if (read(m->wake_fd, &count, sizeof(count)) < 0)
		return; /* another event has read it */
}

/*
 * It runs for microseconds at a time, and soon when it is woken if the scheduler
 * knows that (Linux 6.12; others ignore it, or refuse).
 */
static void ask_for_short_slices(void)
{
	struct {
		uint32_t size;
		uint32_t policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime;
		uint64_t deadline;
		uint64_t period;
	} attr = {
		.size = sizeof(attr),
		.policy = SCHED_OTHER,
		.nice = getpriority(PRIO_PROCESS, 0),
		.runtime = UF_WATCHER_SLICE_NS,
	};

	syscall(SYS_sched_setattr, 0, &attr, 0);
}

static void *watcher_main(void *arg)
{
	struct epoll_event events[UF_WATCHER_EVENTS];
	struct uf_monitor *m = arg;
	long pause = look_around(m, -1);
	int i, n;

	ask_for_short_slices();
	while (!READ_ONCE(m->stop)) {
		struct timespec ts = { .tv_nsec = pause };

		n = epoll_pwait2(m->epoll, events, UF_WATCHER_EVENTS,
				 pause < 0 ? NULL : &ts, NULL);
		for (i = 0; i < n; i++)
			handle(m, &events[i]);
		pause = look_around(m, pause);
	}
	return NULL;
}

/* No signal handler runs on it. */
static int create_watcher(struct uf_monitor *m)
{
	pthread_attr_t attr;
	sigset_t all;
	int error;

	error = pthread_attr_init(&attr);
	if (error)
		return -error;
	sigfillset(&all);
	error = pthread_attr_setsigmask_np(&attr, &all);
	if (!error)
		error = pthread_attr_setstacksize(&attr, UF_WATCHER_STACK);
	if (!error)
		error = pthread_create(&m->watcher, &attr, watcher_main, m);
	pthread_attr_destroy(&attr);
	return -error;
}

/**
 * uf_monitor_start - start the watcher
 * @m: the monitor.
 *
 * Returns 0 or a negative errno, with the reason in uf_strerror().
 */
int uf_monitor_start(struct uf_monitor *m)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.u32 = UF_WAKE_FD,
	};
	int error;

	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->epoll < 0 || m->wake_fd < 0 ||
	    epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->wake_fd, &event))
		return uf_fail(-errno,
			       "backend \"monitor\" needs epoll and an eventfd: %s; see ulimit -n",
			       strerrordesc_np(errno));
	error = create_watcher(m);
	if (error)
		return uf_fail(error,
			       "backend \"monitor\" cannot start its watcher: %s; see ulimit -u, the cgroup's pids.max, kernel.threads-max",
			       strerrordesc_np(-error));
	pthread_setname_np(m->watcher, "uf-watcher");
	m->started = true;
	return 0;
}

/* Undo it, however far it got. */
void uf_monitor_stop(struct uf_monitor *m)
{
	if (m->started) {
		xchg(&m->stop, 1);
		wake_watcher(m);
		pthread_join(m->watcher, NULL);
	}
	if (m->wake_fd >= 0)
		close(m->wake_fd);
	if (m->epoll >= 0)
		close(m->epoll);
}

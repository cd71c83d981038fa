// SPDX-License-Identifier: GPL-2.0
/* See uf_storm.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "uf_storm.h"

#define US	1000ULL

static unsigned int pick(struct uf_storm_thread *t, unsigned int n)
{
	return rand_r(&t->seed) / 7 % n;
}

static __u32 anybody(struct uf_storm_thread *t)
{
	return pick(t, t->storm->nr);
}

/* A result that the operation may not have. */
static void complain(struct uf_storm_thread *t, const char *op, long ret)
{
	if (atomic_fetch_add(&t->storm->errors, 1) < 5)
		fprintf(stderr, "# storm: thread %u: %s gave %ld\n", t->id, op, ret);
}

static void nap(struct uf_storm_thread *t)
{
	struct timespec ts = { .tv_nsec = pick(t, 50) * US };

	syscall(SYS_nanosleep, &ts, NULL);
}

/* All waits come to an end by themselves. */
static long wait_a_little(struct uf_storm_thread *t, __u32 flags, __u32 next)
{
	struct ufiber_wait wait = {
		.size = sizeof(wait),
		.flags = flags | UFIBER_WAIT_TIMEOUT,
		.next = next,
		.timeout = uf_now() + pick(t, 500) * US,
	};

	return uf_ioctl(t->storm->d.fd, UFIBER_IOC_WAIT, &wait);
}

static bool is_a_waits_result(long ret)
{
	return ret >= 0 || ret == -ETIMEDOUT || ret == -EINTR || ret == -ECANCELED;
}

static void do_wait(struct uf_storm_thread *t)
{
	static const __u32 flags[] = { 0, UFIBER_WAIT_STANDBY, UFIBER_WAIT_ACQUIRE };
	long ret = wait_a_little(t, flags[pick(t, 3)], 0);

	if (!is_a_waits_result(ret))
		complain(t, "WAIT", ret);
}

static void do_handover(struct uf_storm_thread *t)
{
	__u32 flags = pick(t, 2) ? UFIBER_WAIT_STANDBY : 0, next = anybody(t);
	long ret = wait_a_little(t, UFIBER_WAIT_HANDOVER | flags, next);

	if (!is_a_waits_result(ret) && ret != -ESRCH && ret != -EAGAIN &&
	    !(ret == -EINVAL && next == t->id))
		complain(t, "HANDOVER", ret);
}

static void do_wake(struct uf_storm_thread *t)
{
	long ret = uf_wake_id(&t->storm->d, anybody(t),
			      pick(t, 4) ? 0 : UFIBER_WAKE_CANCEL);

	if (ret && ret != -ESRCH)
		complain(t, "WAKE", ret);
}

static void do_query(struct uf_storm_thread *t)
{
	struct ufiber_query q;
	long ret = uf_query(&t->storm->d, anybody(t), 0, &q);

	if (ret && ret != -ESRCH)
		complain(t, "QUERY", ret);
}

/* Waits for the address space's lock, faults, and interrupts the other CPUs. */
static void do_map(struct uf_storm_thread *t)
{
	size_t size = (1 + pick(t, 4)) * 4096;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		complain(t, "mmap", -errno);
		return;
	}
	memset(p, 1, size);
	munmap(p, size);
}

static void do_critical(struct uf_storm_thread *t)
{
	t->storm->d.threads[t->id].critical = 1;
	nap(t);
	t->storm->d.threads[t->id].critical = 0;
}

static void do_poll(struct uf_storm_thread *t)
{
	__u32 server = t->storm->d.threads[t->id].server;
	__u32 held = UFIBER_OWNER(UFIBER_SERVER_HELD, t->id);
	__u32 polling = UFIBER_OWNER(UFIBER_SERVER_POLLING, t->id);
	volatile __u32 *owner;

	if (server == UFIBER_NONE)
		return;
	owner = &t->storm->d.servers[server].owner;
	if (!__atomic_compare_exchange_n(owner, &held, polling, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	nap(t);
	held = UFIBER_OWNER(UFIBER_SERVER_HELD, t->id);
	__atomic_compare_exchange_n(owner, &polling, held, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void do_lock(struct uf_storm_thread *t)
{
	/* Who had it may have been killed with it. */
	if (pthread_mutex_lock(&t->storm->mutex) == EOWNERDEAD)
		pthread_mutex_consistent(&t->storm->mutex);
	sched_yield();
	pthread_mutex_unlock(&t->storm->mutex);
}

static bool join_domain(struct uf_storm_thread *t)
{
	struct ufiber_register reg = { .size = sizeof(reg) };
	long ret = uf_ioctl(t->storm->d.fd, UFIBER_IOC_REGISTER, &reg);

	if (ret)
		complain(t, "REGISTER", ret);
	else
		t->id = reg.thread;
	return !ret;
}

static void leave_domain(struct uf_storm_thread *t)
{
	long ret = uf_ioctl(t->storm->d.fd, UFIBER_IOC_UNREGISTER, NULL);

	if (ret)
		complain(t, "UNREGISTER", ret);
}

static void do_operation(struct uf_storm_thread *t)
{
	switch (pick(t, 16)) {
	case 0 ... 2:
		nap(t);
		break;
	case 3 ... 5:
		do_wait(t);
		break;
	case 6 ... 8:
		do_handover(t);
		break;
	case 9:
		do_wake(t);
		break;
	case 10:
		do_query(t);
		break;
	case 11:
		do_map(t);
		break;
	case 12:
		do_critical(t);
		break;
	case 13:
		do_poll(t);
		break;
	case 14:
		do_lock(t);
		break;
	case 15:
		leave_domain(t);
		join_domain(t);
		break;
	}
}

static void *storm_main(void *arg)
{
	struct uf_storm_thread *t = arg;
	struct uf_storm *s = t->storm;

	if (join_domain(t)) {
		atomic_store(&t->tid, syscall(SYS_gettid));
		while (!atomic_load(&s->stop)) {
			do_operation(t);
			atomic_fetch_add(&s->ops, 1);
		}
		leave_domain(t);
	}
	atomic_store(&t->tid, 0);
	return NULL;
}

struct uf_storm *uf_storm_new(unsigned int seed)
{
	struct uf_storm *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	if (s == MAP_FAILED)
		abort();
	for (i = 0; i < UF_STORM_MAX; i++)
		s->t[i].seed = seed * UF_STORM_MAX + i;
	return s;
}

pid_t uf_storm_tid(struct uf_storm *s, unsigned int n)
{
	return atomic_load(&s->t[n].tid);
}

static bool all_have_begun(void *arg)
{
	struct uf_storm *s = arg;
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		if (!uf_storm_tid(s, i) && !atomic_load(&s->errors))
			return false;
	return true;
}

bool uf_storm_start(struct uf_storm *s, unsigned int servers, unsigned int threads)
{
	pthread_mutexattr_t robust;
	pthread_attr_t attr;
	unsigned int i;
	long ret;

	s->nr = threads;
	pthread_mutexattr_init(&robust);
	pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&s->mutex, &robust);
	ret = uf_open(&s->d, servers, threads);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	for (i = 0; !ret && i < threads; i++) {
		s->t[i].storm = s;
		ret = pthread_create(&s->t[i].pthread, &attr, storm_main, &s->t[i]);
	}
	pthread_attr_destroy(&attr);
	if (ret) {
		fprintf(stderr, "# storm: cannot start: %ld\n", ret);
		return false;
	}
	return uf_await(&s->d, all_have_begun, s, "the storm to begin");
}

struct ops_wanted {
	struct uf_storm *s;
	unsigned long ops;
};

static bool ops_are_done(void *arg)
{
	struct ops_wanted *w = arg;

	return atomic_load(&w->s->ops) >= w->ops || atomic_load(&w->s->errors);
}

bool uf_storm_goes_on(struct uf_storm *s, unsigned int ops)
{
	struct ops_wanted w = { s, atomic_load(&s->ops) + ops };

	return uf_await(&s->d, ops_are_done, &w, "the storm to go on") &&
	       !atomic_load(&s->errors);
}

static bool all_have_ended(void *arg)
{
	struct uf_storm *s = arg;
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		if (uf_storm_tid(s, i))
			return false;
	return true;
}

bool uf_storm_end(struct uf_storm *s)
{
	struct ufiber_query q;
	unsigned int i;

	atomic_store(&s->stop, true);
	if (!uf_await(&s->d, all_have_ended, s, "the storm to end"))
		return false;
	for (i = 0; i < s->nr; i++)
		pthread_join(s->t[i].pthread, NULL);
	if (!uf_agrees(&s->d) || uf_query(&s->d, UFIBER_NONE, UFIBER_NONE, &q))
		return false;
	if (q.nr_threads || q.nr_vacant != s->d.setup.nr_servers) {
		uf_dump(&s->d, "not all is free after the storm");
		return false;
	}
	uf_close(&s->d);
	return !atomic_load(&s->errors);
}

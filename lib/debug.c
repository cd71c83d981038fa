// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The list of runtimes, and the thread that dumps them when a signal has come or all
 * fibers of one may be stuck. The signal's handler, which can interrupt anybody, only
 * wakes it; so does an idle server, which is in the critical section.
 *
 * The thread is started when it is first wanted, and stays. It is no thread of a
 * runtime, and blocks all signals.
 */
#include "debug.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "futex.h"

/* So long after all servers have fallen asleep to look why: they often do. */
#define UF_DEADLOCK_NS 100000000ULL

/* All of this is under the lock, but for what the thread is told by. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct uf_runtime *runtimes;
static bool started;
static int dump_signal;
static struct sigaction previous;
static bool environment_read;

static uint32_t events; /* a futex; counts the next two */
static uint32_t dump_wanted;
static uint32_t all_asleep;

static void tell(uint32_t *what)
{
	int saved = errno;

	xchg(what, 1);
	fetch_add(&events, 1);
	uf_futex_wake(&events);
	errno = saved;
}

/* --------------------------------------------------------------- the thread */

/* Of the list, this one or the first after it that is not a parent process's. */
static struct uf_runtime *own(struct uf_runtime *rt)
{
	while (rt && uf_is_parents(rt))
		rt = rt->debug_next;
	return rt;
}

static void dump_all(int fd)
{
	struct uf_runtime *rt;

	for (rt = own(runtimes); rt; rt = own(rt->debug_next))
		uf_dump_runtime(rt, fd);
}

static void dump_on_stderr(void)
{
	pthread_mutex_lock(&lock);
	dump_all(STDERR_FILENO);
	pthread_mutex_unlock(&lock);
}

static void find_deadlocks(void)
{
	struct uf_runtime *rt;

	pthread_mutex_lock(&lock);
	for (rt = own(runtimes); rt; rt = own(rt->debug_next))
		if (rt->report_deadlock)
			uf_find_deadlock(rt, STDERR_FILENO);
	pthread_mutex_unlock(&lock);
}

static void *thread_main(void *arg)
{
	uint64_t look_at = UF_FOREVER;
	uint32_t seen;

	(void)arg;
	for (;;) {
		seen = smp_load_acquire(&events);
		if (xchg(&dump_wanted, 0))
			dump_on_stderr();
		if (xchg(&all_asleep, 0) && look_at == UF_FOREVER)
			look_at = uf_now() + UF_DEADLOCK_NS;
		if (look_at <= uf_now()) {
			look_at = UF_FOREVER;
			find_deadlocks();
		}
		uf_futex_wait_until(&events, seen, look_at);
	}
	return NULL;
}

/* The lock is held. */
static int start_thread(void)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	if (started)
		return 0;
	error = pthread_attr_init(&attr);
	if (error)
		return -error;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread, &attr, thread_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	started = !error;
	return -error;
}

/* --------------------------------------------------------------- the signal */

static void on_signal(int sig)
{
	(void)sig;
	tell(&dump_wanted);
}

/* The lock is held. */
static int set_signal(int sig)
{
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = SA_RESTART | SA_ONSTACK,
	};
	struct sigaction old;
	int error;

	if (sig) {
		error = start_thread();
		if (error)
			return error;
	}
	if (dump_signal)
		sigaction(dump_signal, &previous, NULL);
	dump_signal = 0;
	if (!sig)
		return 0;
	sigfillset(&action.sa_mask);
	if (sigaction(sig, &action, &old))
		return -EINVAL;
	previous = old;
	dump_signal = sig;
	return 0;
}

int uf_dump_on_signal(int signal)
{
	int error;

	if (uf_self())
		return -EDEADLK;
	pthread_mutex_lock(&lock);
	error = set_signal(signal);
	pthread_mutex_unlock(&lock);
	return error;
}

/* A name without its SIG, or with it, or a number. Returns 0 if it is none. */
static int signal_of(const char *text)
{
	const char *name;
	char *end;
	int sig;

	sig = strtol(text, &end, 10);
	if (end != text)
		return *end || sig < 0 ? 0 : sig;
	if (!strncmp(text, "SIG", 3))
		text += 3;
	for (sig = 1; sig < NSIG; sig++) {
		name = sigabbrev_np(sig);
		if (name && !strcmp(name, text))
			return sig;
	}
	return 0;
}

static int read_signal(void)
{
	const char *text = getenv("UFIBER_DUMP_SIGNAL");
	int sig, error;

	if (!text || !*text || dump_signal)
		return 0;
	sig = signal_of(text);
	error = sig ? set_signal(sig) : -EINVAL;
	if (error == -EINVAL)
		return uf_fail(error,
			       "UFIBER_DUMP_SIGNAL=%s: a signal that may be handled, by name (USR1) or number",
			       text);
	return error;
}

/* ------------------------------------------------------------- the runtimes */

static bool wants_deadlocks(const struct uf_config *config)
{
	const char *text = getenv("UFIBER_REPORT_DEADLOCK");

	return config->flags & UF_REPORT_DEADLOCK ||
	       (text && strcmp(text, "") && strcmp(text, "0"));
}

/**
 * uf_debug_setup - read what is wanted of a runtime that is being made
 * @rt: the runtime, without threads.
 * @config: what it is made of.
 *
 * Returns 0 or a negative errno, with the reason in uf_strerror().
 */
int uf_debug_setup(struct uf_runtime *rt, const struct uf_config *config)
{
	int error = 0;

	rt->report_deadlock = wants_deadlocks(config);
	rt->deadlock_at = UINT64_MAX;
	pthread_mutex_lock(&lock);
	if (!environment_read)
		error = read_signal();
	environment_read = !error;
	if (!error && (rt->report_deadlock || dump_signal))
		error = start_thread();
	pthread_mutex_unlock(&lock);
	if (error == -EAGAIN || error == -ENOMEM)
		return uf_fail(error,
			       "cannot start the thread that writes dumps: %s",
			       strerrordesc_np(-error));
	return error;
}

/* From here on it is dumped. */
void uf_debug_add(struct uf_runtime *rt)
{
	pthread_mutex_lock(&lock);
	rt->debug_next = runtimes;
	runtimes = rt;
	pthread_mutex_unlock(&lock);
}

/* Nobody looks at it any more. */
void uf_debug_remove(struct uf_runtime *rt)
{
	struct uf_runtime **link;

	pthread_mutex_lock(&lock);
	for (link = &runtimes; *link != rt; link = &(*link)->debug_next)
		;
	*link = rt->debug_next;
	pthread_mutex_unlock(&lock);
}

/* A fork() waits for a dump that is being written: nobody would end it in the child. */
void uf_debug_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

/* The thread is the parent's; the environment can be another one. */
void uf_debug_after_fork(bool in_child)
{
	if (in_child) {
		started = false;
		environment_read = false;
	}
	pthread_mutex_unlock(&lock);
}

/* All servers are about to sleep; in the critical section. */
void uf_debug_all_asleep(void)
{
	tell(&all_asleep);
}

int uf_dump(struct uf_runtime *rt, int fd)
{
	struct uf_runtime *one;
	int error = 0;

	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	pthread_mutex_lock(&lock);
	for (one = runtimes; one && one != rt; one = one->debug_next)
		;
	if (!rt)
		dump_all(fd);
	else if (!one)
		error = -EINVAL;
	else if (uf_is_parents(one))
		error = -ECHILD;
	else
		uf_dump_runtime(rt, fd);
	pthread_mutex_unlock(&lock);
	return error;
}

// SPDX-License-Identifier: GPL-2.0
/* See uf_test.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "uf_lib.h"

__thread struct uf_thread *uf_self;

__u64 uf_time(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return 0;
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

__u64 uf_now(void)
{
	return uf_time(CLOCK_MONOTONIC);
}

pid_t uf_fork(void)
{
	pid_t parent = getpid(), pid = fork();

	if (!pid) {
		uf_self = NULL;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

/* ------------------------------------------------------------- the calls */

long uf_ioctl(int fd, unsigned int cmd, const void *arg)
{
	long ret = syscall(SYS_ioctl, fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

long uf_query(struct uf_dom *d, __u32 thread, __u32 server, struct ufiber_query *q)
{
	memset(q, 0, sizeof(*q));
	q->size = sizeof(*q);
	q->thread = thread;
	q->server = server;
	return uf_ioctl(d->fd, UFIBER_IOC_QUERY, q);
}

long uf_wake_id(struct uf_dom *d, __u32 thread, __u32 flags)
{
	struct ufiber_wake wake = {
		.size = sizeof(wake),
		.flags = flags,
		.thread = thread,
	};

	return uf_ioctl(d->fd, UFIBER_IOC_WAKE, &wake);
}

long uf_wake(struct uf_thread *t, __u32 flags)
{
	return uf_wake_id(t->dom, t->id, flags);
}

long uf_target_id(struct uf_dom *d, unsigned int cmd, __u32 thread)
{
	struct ufiber_target target = { .size = sizeof(target), .thread = thread };

	return uf_ioctl(d->fd, cmd, &target);
}

long uf_interrupt_id(struct uf_dom *d, __u32 thread)
{
	struct ufiber_interrupt args = { .size = sizeof(args), .thread = thread };

	return uf_ioctl(d->fd, UFIBER_IOC_INTERRUPT, &args);
}

long uf_kick(struct uf_thread *t)
{
	return uf_target_id(t->dom, UFIBER_IOC_KICK, t->id);
}

long uf_interrupt(struct uf_thread *t)
{
	return uf_interrupt_id(t->dom, t->id);
}

long uf_quantum(struct uf_dom *d, __u32 server, __u64 ns)
{
	struct ufiber_quantum q = { .size = sizeof(q), .server = server, .quantum = ns };

	return uf_ioctl(d->fd, UFIBER_IOC_QUANTUM, &q);
}

long uf_resize(struct uf_dom *d, __u32 servers)
{
	struct ufiber_resize r = { .size = sizeof(r), .nr_servers = servers };

	return uf_ioctl(d->fd, UFIBER_IOC_RESIZE, &r);
}

long uf_eventfd(struct uf_dom *d, int fd)
{
	struct ufiber_eventfd e = { .size = sizeof(e), .fd = fd };

	return uf_ioctl(d->fd, UFIBER_IOC_EVENTFD, &e);
}

long uf_stats(struct uf_dom *d, __u32 thread, __u32 server, struct ufiber_stats *s)
{
	memset(s, 0, sizeof(*s));
	s->size = sizeof(*s);
	s->thread = thread;
	s->server = server;
	return uf_ioctl(d->fd, UFIBER_IOC_STATS, s);
}

/* --------------------------------------------------------------- domains */

bool uf_unlocked;

long uf_open_fd(struct uf_dom *d)
{
	/*
	 * A page fault or a wait for the address space's lock would be a block,
	 * where a test expects none. Not every child process may be able to.
	 */
	if (!uf_unlocked && mlockall(MCL_CURRENT | MCL_FUTURE))
		fprintf(stderr, "# mlockall: %s\n", strerror(errno));
	memset(d, 0, sizeof(*d));
	d->fd = open(UFIBER_DEVICE, O_RDWR | O_CLOEXEC);
	return d->fd < 0 ? -errno : 0;
}

long uf_open(struct uf_dom *d, unsigned int servers, unsigned int threads)
{
	return uf_open_as(d, 0, servers, 0, threads);
}

long uf_open_as(struct uf_dom *d, __u32 flags, unsigned int servers,
		unsigned int max_servers, unsigned int threads)
{
	long ret = uf_open_fd(d);

	if (ret)
		return ret;
	d->opened = uf_now();
	d->max_servers = max_servers ? max_servers : servers;
	d->setup.size = sizeof(d->setup);
	d->setup.flags = flags;
	d->setup.nr_servers = servers;
	d->setup.max_servers = max_servers;
	d->setup.max_threads = threads;
	ret = uf_ioctl(d->fd, UFIBER_IOC_SETUP, &d->setup);
	if (ret)
		return ret;
	d->map = mmap(NULL, d->setup.mmap_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED, d->fd, 0);
	if (d->map == MAP_FAILED)
		return -errno;
	d->shared = d->map;
	d->servers = d->map + d->setup.servers_offset;
	d->threads = d->map + d->setup.threads_offset;
	d->ring = d->map + d->setup.ring_offset;
	d->joined = calloc(threads, sizeof(*d->joined));
	return d->joined ? 0 : -ENOMEM;
}

void uf_close(struct uf_dom *d)
{
	if (d->map)
		munmap(d->map, d->setup.mmap_size);
	d->map = NULL;
	free(d->joined);
	d->joined = NULL;
	close(d->fd);
	d->fd = -1;
}

/* --------------------------------------------------------------- threads */

static void *uf_thread_main(void *arg)
{
	struct uf_thread *t = arg;
	unsigned int seen = 0;

	uf_self = t;
	t->tid = syscall(SYS_gettid);
	atomic_store(&t->done, seen);
	for (;;) {
		while (atomic_load(&t->posted) == seen)
			sched_yield();
		if (t->fn == uf_do_quit)
			return NULL;
		t->ret = t->fn(t->args);
		atomic_store(&t->done, ++seen);
	}
}

long uf_spawn_bare(struct uf_dom *d, struct uf_thread *t)
{
	pthread_attr_t attr;
	int ret;

	memset(t, 0, sizeof(*t));
	t->dom = d;
	t->id = UFIBER_NONE;
	atomic_store(&t->done, -1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	ret = pthread_create(&t->pthread, &attr, uf_thread_main, t);
	pthread_attr_destroy(&attr);
	if (ret)
		return -ret;
	while (atomic_load(&t->done))
		sched_yield();
	return 0;
}

static long uf_do_register(long *args)
{
	struct ufiber_register reg = { .size = sizeof(reg), .cookie = (uintptr_t)uf_self };
	__u64 before = uf_now();
	long ret = uf_ioctl(args[0], UFIBER_IOC_REGISTER, &reg);

	if (ret)
		return ret;
	uf_self->id = reg.thread;
	if (uf_self->dom->joined)
		uf_self->dom->joined[reg.thread] = (struct uf_joined){ before, uf_now() };
	return 0;
}

long uf_register(struct uf_thread *t)
{
	return uf_call(t, uf_do_register, (long)t->dom->fd);
}

long uf_unregister(struct uf_thread *t)
{
	if (t->dom->joined && t->id < t->dom->setup.max_threads)
		t->dom->joined[t->id] = (struct uf_joined){ 0 };
	return uf_call_syscall(t, SYS_ioctl, (long)t->dom->fd,
			       (long)UFIBER_IOC_UNREGISTER, 0L);
}

long uf_spawn(struct uf_dom *d, struct uf_thread *t)
{
	long ret = uf_spawn_bare(d, t);

	return ret ? ret : uf_register(t);
}

void uf_post(struct uf_thread *t, long (*fn)(long *), int n, ...)
{
	va_list ap;
	int i;

	t->fn = fn;
	memset(t->args, 0, sizeof(t->args));
	va_start(ap, n);
	for (i = 0; i < n; i++)
		t->args[i] = va_arg(ap, long);
	va_end(ap);
	atomic_fetch_add(&t->posted, 1);
}

bool uf_is_done(struct uf_thread *t)
{
	return atomic_load(&t->done) == atomic_load(&t->posted);
}

static bool uf_done_cond(void *arg)
{
	return uf_is_done(arg);
}

long uf_finish(struct uf_thread *t)
{
	if (!uf_await(t->dom, uf_done_cond, t, "an order to be carried out"))
		return UF_HUNG;
	return t->ret;
}

void uf_join(struct uf_thread *t)
{
	uf_order(t, uf_do_quit);
	pthread_join(t->pthread, NULL);
}

/* ---------------------------------------------------------------- orders */

long uf_do_syscall(long *args)
{
	long ret = syscall(args[0], args[1], args[2], args[3], args[4], args[5], args[6]);

	return ret == -1 ? -errno : ret;
}

long uf_do_wait(long *args)
{
	struct ufiber_wait wait = {
		.size = sizeof(wait),
		.flags = args[1],
		.next = args[2],
		.clock = args[1] & UFIBER_WAIT_TIMEOUT ? CLOCK_MONOTONIC : 0,
		.timeout = args[3],
	};

	return uf_ioctl(args[0], UFIBER_IOC_WAIT, &wait);
}

long uf_do_touch(long *args)
{
	return *(volatile char *)args[0];
}

/* The orders' own loop has system calls in it; this one has not. */
long uf_do_spin(long *args)
{
	while (!atomic_load_explicit(&uf_self->stop, memory_order_relaxed))
		atomic_fetch_add_explicit(&uf_self->turns, 1, memory_order_relaxed);
	atomic_store(&uf_self->stop, 0);
	return 0;
}

long uf_pin(pid_t tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(tid, sizeof(set), &set) ? -errno : 0;
}

static bool uf_swap_owner(__u32 *owner, __u32 from, __u32 to)
{
	__u32 word = UFIBER_OWNER(from, uf_self->id);

	return __atomic_compare_exchange_n(owner, &word, UFIBER_OWNER(to, uf_self->id), false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool uf_begin_polling(__u32 *owner)
{
	return uf_swap_owner(owner, UFIBER_SERVER_HELD, UFIBER_SERVER_POLLING);
}

bool uf_end_polling(__u32 *owner)
{
	return uf_swap_owner(owner, UFIBER_SERVER_POLLING, UFIBER_SERVER_HELD);
}

long uf_do_poll(long *args)
{
	__u32 *owner = (__u32 *)args[0];
	char byte;

	if (!uf_begin_polling(owner))
		return -EINVAL;
	if (syscall(SYS_read, args[1], &byte, 1) != 1)
		return -EIO;
	return uf_end_polling(owner);
}

long uf_do_quit(long *args)
{
	return 0;	/* uf_thread_main() knows it by its address */
}

void uf_post_wait(struct uf_thread *t, __u32 flags, __u32 next, __u64 timeout)
{
	uf_order(t, uf_do_wait, (long)t->dom->fd, (long)flags, (long)next, (long)timeout);
}

long uf_wait(struct uf_thread *t, __u32 flags, __u32 next, __u64 timeout)
{
	uf_post_wait(t, flags, next, timeout);
	return uf_finish(t);
}

void uf_post_read(struct uf_thread *t, int fd)
{
	static char nowhere;

	uf_order_syscall(t, SYS_read, (long)fd, (long)&nowhere, 1L);
}

void uf_post_spin(struct uf_thread *t)
{
	uf_order(t, uf_do_spin);
}

long uf_stop(struct uf_thread *t)
{
	atomic_store(&t->stop, 1);
	return uf_finish(t);
}

/* ---------------------------------------------------------- what is seen */

bool uf_await(struct uf_dom *d, bool (*cond)(void *arg), void *arg, const char *what)
{
	__u64 end = uf_now() + UF_BOUND * 1000000000ULL;

	while (!cond(arg)) {
		if (uf_now() > end) {
			char why[200];

			snprintf(why, sizeof(why), "waited %d s for %s", UF_BOUND, what);
			uf_dump(d, why);
			return false;
		}
		sched_yield();
	}
	return true;
}

struct uf_state_wanted {
	struct uf_thread *t;
	__u32 state;
	__u32 flags;
};

static bool uf_state_cond(void *arg)
{
	struct uf_state_wanted *w = arg;
	struct ufiber_query q;

	if (uf_query(w->t->dom, w->t->id, UFIBER_NONE, &q))
		return false;
	return q.thread_state == w->state &&
	       (w->flags == UF_ANY_FLAGS || q.thread_flags == w->flags);
}

bool uf_await_state(struct uf_thread *t, __u32 state, __u32 flags)
{
	struct uf_state_wanted w = { t, state, flags };
	char what[100];

	snprintf(what, sizeof(what), "thread %u to be %s, flags %#x", t->id,
		 uf_thread_state_name(state), flags);
	return uf_await(t->dom, uf_state_cond, &w, what) && uf_agrees(t->dom);
}

static bool is_gone(void *arg)
{
	struct uf_thread *t = arg;
	struct ufiber_query q;

	return uf_query(t->dom, t->id, UFIBER_NONE, &q) == -ESRCH;
}

bool uf_await_gone(struct uf_thread *t)
{
	return uf_await(t->dom, is_gone, t, "a thread to be gone") &&
	       uf_agrees(t->dom);
}

struct uf_turns_wanted {
	struct uf_thread *t;
	unsigned long from;
};

static bool uf_turns_cond(void *arg)
{
	struct uf_turns_wanted *w = arg;

	return atomic_load(&w->t->turns) > w->from;
}

bool uf_await_turns(struct uf_thread *t)
{
	struct uf_turns_wanted w = { t, atomic_load(&t->turns) };

	return uf_await(t->dom, uf_turns_cond, &w, "a thread that spins to get on");
}

struct uf_cpu_wanted {
	clockid_t clock;
	__u64 until;
	struct uf_thread *unless;
};

static bool uf_cpu_cond(void *arg)
{
	struct uf_cpu_wanted *w = arg;

	return uf_time(w->clock) >= w->until || (w->unless && uf_is_done(w->unless));
}

bool uf_await_cpu_unless(struct uf_thread *t, __u64 ns, struct uf_thread *done)
{
	struct uf_cpu_wanted w = { .unless = done };

	if (pthread_getcpuclockid(t->pthread, &w.clock))
		return false;
	w.until = uf_time(w.clock) + ns;
	return uf_await(t->dom, uf_cpu_cond, &w, "processor time of a thread");
}

bool uf_await_cpu(struct uf_thread *t, __u64 ns)
{
	return uf_await_cpu_unless(t, ns, NULL);
}

struct uf_word_wanted {
	volatile __u32 *word;
	__u32 value;
};

static bool uf_word_cond(void *arg)
{
	struct uf_word_wanted *w = arg;

	return *w->word == w->value;
}

bool uf_await_word(struct uf_dom *d, volatile __u32 *word, __u32 value)
{
	struct uf_word_wanted w = { word, value };

	return uf_await(d, uf_word_cond, &w, "a word of the shared memory");
}

/* One thread at a time may read the ring: here, the main thread. */
bool uf_event(struct uf_dom *d, struct ufiber_event *event)
{
	__u32 head = d->shared->ring_head;

	if (head == __atomic_load_n(&d->shared->ring_tail, __ATOMIC_ACQUIRE))
		return false;
	*event = d->ring[head % d->setup.ring_entries];
	__atomic_store_n(&d->shared->ring_head, head + 1, __ATOMIC_RELEASE);
	return true;
}

void uf_forget_events(struct uf_dom *d)
{
	struct ufiber_event event;

	while (uf_event(d, &event))
		;
}

bool uf_server_is(struct uf_dom *d, __u32 server, __u32 state, __u32 thread)
{
	struct ufiber_query q;
	char why[100];
	long ret = uf_query(d, UFIBER_NONE, server, &q);

	if (!ret && q.server_state == state && q.server_thread == thread)
		return true;
	snprintf(why, sizeof(why), "server %u: expected state %u, thread %d (%ld)",
		 server, state, thread, ret);
	uf_dump(d, why);
	return false;
}

__u32 uf_state(struct uf_thread *t)
{
	struct ufiber_query q;

	return uf_query(t->dom, t->id, UFIBER_NONE, &q) ? UFIBER_THREAD_FREE : q.thread_state;
}

__u32 uf_flags(struct uf_thread *t)
{
	struct ufiber_query q;

	return uf_query(t->dom, t->id, UFIBER_NONE, &q) ? 0 : q.thread_flags;
}

long uf_server(struct uf_thread *t)
{
	struct ufiber_query q;

	if (uf_query(t->dom, t->id, UFIBER_NONE, &q) || q.thread_server == UFIBER_NONE)
		return -1;
	return q.thread_server;
}

/* ----------------------------------------------------------------- /proc */

static int uf_proc_read(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	buf[n] = 0;
	return 0;
}

char uf_proc_state(pid_t pid, pid_t tid)
{
	char path[64], buf[512], *p;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	if (uf_proc_read(path, buf, sizeof(buf)))
		return '-';
	p = strrchr(buf, ')');
	return p ? p[2] : '?';
}

long uf_proc_syscall(pid_t tid)
{
	char path[64], buf[512];

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	if (uf_proc_read(path, buf, sizeof(buf)) || (buf[0] != '-' && (buf[0] < '0' || buf[0] > '9')))
		return -2;
	return strtol(buf, NULL, 10);
}

long uf_proc_value(pid_t tid, const char *key)
{
	char path[64], buf[4096], *p;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (uf_proc_read(path, buf, sizeof(buf)))
		return -1;
	p = strstr(buf, key);
	return p ? strtol(p + strlen(key) + 1, NULL, 10) : -1;
}

struct uf_sleep_wanted {
	struct uf_thread *t;
	long nr;
};

static bool uf_sleep_cond(void *arg)
{
	struct uf_sleep_wanted *w = arg;

	return uf_proc_syscall(w->t->tid) == w->nr &&
	       strchr("SD", uf_proc_state(getpid(), w->t->tid));
}

bool uf_await_sleep(struct uf_thread *t, long nr)
{
	struct uf_sleep_wanted w = { t, nr };
	char what[100];

	snprintf(what, sizeof(what), "tid %d to sleep in system call %ld", t->tid, nr);
	return uf_await(t->dom, uf_sleep_cond, &w, what);
}

struct uf_proc_wanted {
	pid_t pid, tid;
	char state;
};

static bool uf_proc_cond(void *arg)
{
	struct uf_proc_wanted *w = arg;

	return uf_proc_state(w->pid, w->tid) == w->state;
}

bool uf_await_proc(pid_t pid, pid_t tid, char state)
{
	struct uf_proc_wanted w = { pid, tid, state };
	char what[100];

	snprintf(what, sizeof(what), "tid %d to be in state %c", tid, state);
	return uf_await(NULL, uf_proc_cond, &w, what);
}

long uf_refcnt(void)
{
	char buf[32];

	if (uf_proc_read("/sys/module/ufiber/refcnt", buf, sizeof(buf)))
		return -1;
	return strtol(buf, NULL, 10);
}

/* --------------------------------------------------------------- signals */

void uf_handler(int sig)
{
	if (!uf_self)
		return;
	atomic_fetch_add(&uf_self->handling, 1);
	atomic_fetch_add(&uf_self->handled, 1);
}

void uf_catch(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = uf_handler, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

void uf_signal(struct uf_thread *t, int sig)
{
	syscall(SYS_tgkill, getpid(), t->tid, sig);
}

struct uf_count_wanted {
	atomic_uint *count;
	unsigned int value;
};

static bool uf_count_cond(void *arg)
{
	struct uf_count_wanted *w = arg;

	return atomic_load(w->count) >= w->value;
}

bool uf_await_count(struct uf_thread *t, atomic_uint *count, unsigned int value)
{
	struct uf_count_wanted w = { count, value };

	return uf_await(t->dom, uf_count_cond, &w, "a count");
}

/* ----------------------------------------------------- faults and pipes */

long uf_fault_begin(struct uf_fault *f)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	long size = sysconf(_SC_PAGESIZE);

	f->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0)
		return -errno;
	f->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->page == MAP_FAILED)
		return -errno;
	/* It was locked, and so filled, by MCL_FUTURE. */
	if (munlock(f->page, size) || madvise(f->page, size, MADV_DONTNEED))
		return -errno;
	if (ioctl(f->fd, UFFDIO_API, &api))
		return -errno;
	reg.range.start = (unsigned long)f->page;
	reg.range.len = size;
	if (ioctl(f->fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

long uf_fault_await(struct uf_fault *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&p, 1, UF_BOUND * 1000) != 1)
		return -ETIMEDOUT;
	if (read(f->fd, &msg, sizeof(msg)) != sizeof(msg))
		return -errno;
	return msg.event == UFFD_EVENT_PAGEFAULT ? 0 : -EPROTO;
}

long uf_fault_end(struct uf_fault *f, char value)
{
	static char from[4096] __attribute__((aligned(4096)));
	struct uffdio_copy copy = {
		.dst = (unsigned long)f->page,
		.src = (unsigned long)from,
		.len = sizeof(from),
	};

	memset(from, value, sizeof(from));
	return ioctl(f->fd, UFFDIO_COPY, &copy) ? -errno : 0;
}

long uf_put(int fd)
{
	return write(fd, "", 1) == 1 ? 0 : -errno;
}

long uf_get(int fd)
{
	char c;

	return read(fd, &c, 1);
}

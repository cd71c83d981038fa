/* SPDX-License-Identifier: GPL-2.0 */
/* The functions behind uf_test.h; that says how they are meant. */
#ifndef UF_LIB_H
#define UF_LIB_H

#include <linux/ufiber.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Seconds that any one thing may take to happen. */
#define UF_BOUND	60
/* What uf_finish() and uf_call() say of an order that is not done by then. */
#define UF_HUNG		(-100000L)

struct uf_dom {
	int fd;
	struct ufiber_setup setup;
	void *map;
	volatile struct ufiber_shared_domain *shared;
	volatile struct ufiber_shared_server *servers;
	volatile struct ufiber_shared_thread *threads;
	volatile struct ufiber_event *ring;
	__u32 max_servers;
	__u64 opened;			/* when, by uf_now() */
	/* By thread id: REGISTER was between these; 0 if that is not known. */
	struct uf_joined {
		__u64 before, after;
	} *joined;
};

struct uf_thread {
	struct uf_dom *dom;
	pthread_t pthread;
	pid_t tid;
	__u32 id;
	/* The order: written by the main thread before it counts up @posted. */
	long (*fn)(long *args);
	long args[8];
	atomic_uint posted;
	/* The result: written by the thread before it counts up @done. */
	long ret;
	atomic_uint done;
	/* Counted up by uf_handler() when it starts, and when it returns. */
	atomic_uint handling;
	atomic_uint handled;
	/* Of uf_do_spin(): turns made, and to end it. */
	atomic_ulong turns;
	atomic_uint stop;
};

/* Domains. Opening one locks all memory, unless @uf_unlocked is set. */
extern bool uf_unlocked;
long uf_open_fd(struct uf_dom *d);
long uf_open(struct uf_dom *d, unsigned int servers, unsigned int threads);
long uf_open_as(struct uf_dom *d, __u32 flags, unsigned int servers,
		unsigned int max_servers, unsigned int threads);
void uf_close(struct uf_dom *d);

/* The calls, raw: they return a negative errno. */
long uf_ioctl(int fd, unsigned int cmd, const void *arg);
long uf_query(struct uf_dom *d, __u32 thread, __u32 server, struct ufiber_query *q);
long uf_wake_id(struct uf_dom *d, __u32 thread, __u32 flags);
long uf_wake(struct uf_thread *t, __u32 flags);
long uf_kick(struct uf_thread *t);
long uf_interrupt(struct uf_thread *t);
long uf_target_id(struct uf_dom *d, unsigned int cmd, __u32 thread);
long uf_interrupt_id(struct uf_dom *d, __u32 thread);
long uf_quantum(struct uf_dom *d, __u32 server, __u64 ns);
long uf_resize(struct uf_dom *d, __u32 servers);
long uf_eventfd(struct uf_dom *d, int fd);
long uf_stats(struct uf_dom *d, __u32 thread, __u32 server, struct ufiber_stats *s);

/* Threads and their orders. */
long uf_spawn_bare(struct uf_dom *d, struct uf_thread *t);	/* not registered */
long uf_spawn(struct uf_dom *d, struct uf_thread *t);
long uf_register(struct uf_thread *t);
long uf_unregister(struct uf_thread *t);
void uf_post(struct uf_thread *t, long (*fn)(long *), int n, ...);
bool uf_is_done(struct uf_thread *t);
long uf_finish(struct uf_thread *t);
#define UF_NARGS(...)		UF_NARGS_(0, ##__VA_ARGS__, 7, 6, 5, 4, 3, 2, 1, 0)
#define UF_NARGS_(z, a, b, c, d, e, f, g, n, ...)	n
#define uf_order(t, fn, ...)	uf_post(t, fn, UF_NARGS(__VA_ARGS__), ##__VA_ARGS__)
#define uf_call(t, fn, ...)	({ uf_order(t, fn, ##__VA_ARGS__); uf_finish(t); })
extern __thread struct uf_thread *uf_self;

/* Orders. Arguments as for the system call; the result is negative errno. */
long uf_do_syscall(long *args);		/* number, arguments */
long uf_do_wait(long *args);		/* fd, flags, next, timeout */
long uf_do_touch(long *args);		/* address: reads a byte there */
long uf_do_spin(long *args);		/* in user mode alone, until uf_stop() */
/*
 * &owner word, fd: declare the server free to take, sleep until there is a byte, and
 * see: 1 if it is still ours, 0 if not. As a library does, but for the look at
 * nr_runnable. The two swaps: from HELD to POLLING and back, by the holder.
 */
long uf_do_poll(long *args);
bool uf_begin_polling(__u32 *owner);
bool uf_end_polling(__u32 *owner);
long uf_do_quit(long *args);		/* ends the thread, as it is */
#define uf_order_syscall(t, nr, ...) \
	uf_order(t, uf_do_syscall, (long)(nr), ##__VA_ARGS__)
#define uf_call_syscall(t, nr, ...) \
	uf_call(t, uf_do_syscall, (long)(nr), ##__VA_ARGS__)
/* UFIBER_IOC_WAIT with the caller's argument, whatever is in it. */
#define uf_order_wait(t, arg) \
	uf_order_syscall(t, SYS_ioctl, (long)(t)->dom->fd, (long)UFIBER_IOC_WAIT, (long)(arg))
#define uf_call_wait(t, arg) \
	uf_call_syscall(t, SYS_ioctl, (long)(t)->dom->fd, (long)UFIBER_IOC_WAIT, (long)(arg))
#define UF_POST_WAIT(t, arg, ...)					\
	do {								\
		*(arg) = (struct ufiber_wait){ .size = sizeof(*(arg)), __VA_ARGS__ }; \
		uf_order_wait(t, arg);					\
	} while (0)
void uf_post_wait(struct uf_thread *t, __u32 flags, __u32 next, __u64 timeout);
long uf_wait(struct uf_thread *t, __u32 flags, __u32 next, __u64 timeout);
void uf_post_read(struct uf_thread *t, int fd);		/* one byte */
void uf_post_spin(struct uf_thread *t);
long uf_stop(struct uf_thread *t);			/* that, or one to come */
void uf_join(struct uf_thread *t);

/* Have a thread, or the caller (0), run on that CPU alone; 0 or negative errno. */
long uf_pin(pid_t tid, int cpu);

/* For uf_await_state(): whatever the flags are. */
#define UF_ANY_FLAGS	(~0U)

/* What is seen. They wait; false, with all states printed, if it never comes. */
bool uf_await_state(struct uf_thread *t, __u32 state, __u32 flags);
bool uf_await_gone(struct uf_thread *t);
bool uf_await_sleep(struct uf_thread *t, long nr);	/* in that system call */
bool uf_await_proc(pid_t pid, pid_t tid, char state);	/* as in /proc/.../stat */
bool uf_await(struct uf_dom *d, bool (*cond)(void *arg), void *arg, const char *what);
bool uf_await_turns(struct uf_thread *t);		/* it spins, and gets on */
bool uf_await_cpu(struct uf_thread *t, __u64 ns);	/* it computes so long */
/* The same, or until @done has carried out its order. */
bool uf_await_cpu_unless(struct uf_thread *t, __u64 ns, struct uf_thread *done);
bool uf_await_word(struct uf_dom *d, volatile __u32 *word, __u32 value);
bool uf_agrees(struct uf_dom *d);
bool uf_server_is(struct uf_dom *d, __u32 server, __u32 state, __u32 thread);
void uf_dump(struct uf_dom *d, const char *why);
const char *uf_thread_state_name(__u32 state);

/* The ring: takes the next event out, false if there is none. */
bool uf_event(struct uf_dom *d, struct ufiber_event *event);
void uf_forget_events(struct uf_dom *d);

/* Now, without waiting. */
__u32 uf_state(struct uf_thread *t);
__u32 uf_flags(struct uf_thread *t);
long uf_server(struct uf_thread *t);			/* -1 for none */
char uf_proc_state(pid_t pid, pid_t tid);
long uf_proc_syscall(pid_t tid);			/* -2 while it runs */
long uf_proc_value(pid_t tid, const char *key);		/* of .../status */
long uf_refcnt(void);					/* the module's */
__u64 uf_time(clockid_t clock);	/* nanoseconds; 0 if there is no such clock */
__u64 uf_now(void);

/* A child that does not outlive the test, however that ends. */
pid_t uf_fork(void);

/* Signals: a handler that counts, in uf_self. */
void uf_catch(int sig, int flags);
void uf_handler(int sig);
void uf_signal(struct uf_thread *t, int sig);
bool uf_await_count(struct uf_thread *t, atomic_uint *count, unsigned int value);

/* A page whose first access blocks until uf_fault_end(). */
struct uf_fault {
	int fd;
	char *page;
};
long uf_fault_begin(struct uf_fault *f);
long uf_fault_await(struct uf_fault *f);		/* somebody faults in it */
long uf_fault_end(struct uf_fault *f, char value);

/* One byte through a pipe. */
long uf_put(int fd);
long uf_get(int fd);

#endif /* UF_LIB_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Types, locks and life times.
 *
 * The states of threads and servers, and what moves between them, are drawn in
 * include/uapi/linux/ufiber.h. Who makes each move:
 *
 *   RUNNING  -> BLOCKED    uf_block(), in the thread's own sched_out, rq lock held
 *   RUNNING  -> RUNNABLE   uf_make_way(), by itself: preempted, or it yields
 *   RUNNING  -> IDLE       uf_wait(), by itself; uf_rob(), by the thief
 *   BLOCKED  -> RUNNING    uf_hold(), by itself, at its return to user mode
 *   BLOCKED  -> RUNNABLE   uf_hold(), by itself; uf_wait() with ACQUIRE
 *   RUNNABLE -> RUNNING    uf_grant(), by whoever frees a server
 *   RUNNABLE -> BLOCKED    uf_block(), if it runs a signal handler meanwhile
 *   IDLE     -> RUNNING    uf_grant(), by whoever frees a server or wakes it
 *   IDLE     -> RUNNABLE   uf_wake(), by the waker, when no server is free
 *   any      -> FREE       uf_leave(), by itself, or by the closer of the domain
 *
 * Locks. A letter behind a field says what guards it:
 *
 *   C  constant once the object can be found
 *   L  domain->lock
 *   O  written by the owning thread only, in its own context
 *   OL written by the owning thread with domain->lock held, so either suffices
 *      to read it
 *   S  domain->setup_mutex
 *
 * domain->lock is raw and taken with interrupts off, because sched_out takes it
 * under the rq lock. The order is therefore
 *
 *   domain->setup_mutex
 *   rq->lock -> domain->lock
 *
 * and nothing that could take a rq lock (a wake-up above all) may happen under
 * domain->lock. Nor are timers started there, so that there is nothing to say of
 * their locks. Functions that grant a server under the lock return the thread
 * that has to be woken; the caller wakes it after unlocking, by
 * uf_thread_wake() in task context or through its wake_irq under the rq lock.
 * Such a thread cannot be freed meanwhile: freeing waits for an RCU grace
 * period, and the callers are inside rcu_read_lock() or the scheduler.
 *
 * Invariant, whenever domain->lock is free: if a server is VACANT, no thread is
 * RUNNABLE or standby. In a USER_SCHED domain: if a server is VACANT, no thread is
 * a standby, and who became RUNNABLE has roused one of those that waited with WORK.
 *
 * References. A registered thread holds its domain and the module. A thread is
 * freed when it has left the domain, its hook is gone (or its task is dead) and
 * no resume work is queued. A domain is freed when its file and all its threads
 * are.
 */
#ifndef UFIBER_H
#define UFIBER_H

#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <uapi/linux/ufiber.h>

#include "compat/compat.h"
#include "compat/delay.h"

struct pid_namespace;
struct seq_file;
struct uf_thread;

struct uf_server {
	u32 id;					/* C */
	struct uf_domain *domain;		/* C */
	struct uf_thread *holder;		/* L, NULL when VACANT or OFFLINE */
	struct uf_thread *home;			/* L, a standby that had it last */
	struct ufiber_shared_server *shared;	/* C */
	u64 blocks;				/* L */
	u64 handoffs;				/* L */
	u64 takeovers;				/* L */
	u64 grants;				/* L */
	u64 preempts;				/* L */
	u64 since;				/* L, when the holder got it */
	u64 time;				/* L, held by former holders */
	/* L, when the block began that it is being handed over for, or 0 */
	u64 blocked;

	struct hrtimer timer;			/* see quantum.c */
	u64 quantum;				/* L, ns, 0 for none */
	bool for_fibers;			/* L, a standby goes first just now */
	bool armed;				/* L, the timer runs or is about to */
	u64 watched_grants;			/* L, grants at its last expiry */
	u32 watched_dispatches;			/* L, dispatches at its last expiry */
};

/* The list that a thread's link is in. */
enum uf_queue {
	UF_QUEUE_RUNNABLE,
	UF_QUEUE_STANDBY,
	UF_QUEUE_WORK,				/* WAIT with WORK */
};

/* What the time is spent on: the fields of struct ufiber_stats. */
enum uf_account {
	UF_RUNNING,
	UF_BLOCKED,
	UF_HELD,
	UF_PREEMPTED,
	UF_IDLE,
	UF_ACCOUNTS,
};

struct uf_domain {
	struct kref kref;
	struct mutex setup_mutex;		/* one SETUP at a time */
	bool ready;				/* S, published by release */
	u64 serial;				/* C, tells it from all others */
	struct list_head all;			/* in all domains: debugfs.c */

	struct mm_struct *mm;			/* C, pinned by mmgrab() */
	struct pid *pid;			/* C, the process's, pinned */
	void *memory;				/* C, the shared pages */
	size_t memory_size;			/* C */
	struct ufiber_shared_domain *shared;	/* C, in memory */
	struct ufiber_shared_server *shared_servers;	/* C, in memory */
	struct ufiber_shared_thread *shared_threads;	/* C, in memory */
	struct ufiber_event *ring;		/* C, in memory */
	u32 ring_entries;			/* C */
	u32 flags;				/* C, UFIBER_SETUP_* */
	u32 max_servers;			/* C */
	u32 max_threads;			/* C */

	raw_spinlock_t lock;
	struct uf_server *servers;		/* C */
	unsigned long *vacant;			/* L, bit per server */
	struct uf_thread **threads;		/* L, by id */
	unsigned long *ids;			/* L, bit per thread id in use */
	struct list_head runnable[UFIBER_PRIORITIES];	/* L, longest waiting first */
	struct list_head standby;		/* L, latest first: warm caches */
	struct list_head work;			/* L, latest first */
	u32 nr_servers;				/* L, in use; S to change it */
	u32 nr_threads;				/* L */
	u32 nr_runnable;			/* L */
	u32 nr_standby;				/* L */
	u32 nr_quanta;				/* L, servers that have a quantum */
	u32 ring_tail;				/* L */
	u64 ring_lost;				/* L */
	u64 now;				/* L, when it was last taken */
	s64 clock_offset;			/* C, what events' times are ahead of it */
	atomic64_t latency[UFIBER_LATENCIES];	/* counts of hand-offs */

	wait_queue_head_t poll;			/* see events.c */
	struct irq_work notify;
	bool listening;				/* somebody has waited for events */
	struct eventfd_ctx *eventfd;		/* under poll.lock */
	struct list_head commands;		/* under poll.lock */
};

struct uf_thread {
	struct kref kref;
	struct uf_domain *domain;		/* C */
	struct task_struct *task;		/* C, pinned */
	u32 id;					/* C */
	struct ufiber_shared_thread *shared;	/* C */

	enum ufiber_thread_state state;		/* L */
	struct uf_server *server;		/* L, set if and only if RUNNING */
	struct uf_server *last;			/* L, the server it lost last */
	struct list_head link;			/* L, in a list of the domain */
	enum uf_queue queue;			/* L, which one */
	enum ufiber_reason reason;		/* L, why it was queued as RUNNABLE */
	u64 cookie;				/* C */
	bool left;				/* L, no longer in the domain */
	bool kicked;				/* L, is to give its server up */
	bool interrupted;			/* L, see uf_interrupt() */
	bool loose;				/* L, BLOCKED, but not asleep */
	bool uncounted;				/* L, BLOCKED, but not in blocks */
	bool waiting;				/* OL, in uf_wait(); O if no longer IDLE */
	bool aside;				/* O, about to sleep but does not */
	bool held;				/* O, sleeps in uf_hold() */
	bool attached;				/* O, the hook is in place */
	int resume_queued;			/* O, also in interrupts: xchg() */
	bool notified;				/* O, TIF_NOTIFY_SIGNAL is due */
	bool woken;				/* L, WAKE came before its WAIT */
	bool cancelled;				/* L, WAKE with CANCEL came */
	bool mid_wait;				/* O, a signal broke its WAIT */
	bool expired;				/* O, a WAIT has timed out, but holds */
	u16 skip_aside;				/* O, hand-overs yet to sleep after */
	u16 aside_skips;			/* O, how many that were to be */
	u64 blocks;				/* L */
	u64 holds;				/* L */
	u64 preempts;				/* L */
	u64 since;				/* L, when its state began */
	u64 times[UF_ACCOUNTS];			/* L, of former states */
	/* L, O if RUNNING: when the block began that got it its server, or 0 */
	u64 handed;

	struct irq_work wake_irq;		/* wakes it from under the rq lock */
	struct irq_work end_irq;		/* puts it when its task is dead */
	struct hrtimer recheck;			/* see uf_recheck() */
	struct rcu_work free_work;
	struct uf_hook hook;
	struct uf_resume resume;
};

/* What a file stands for: domain */
struct uf_domain *uf_domain_new(void);
int uf_domain_setup(struct uf_domain *domain, const struct ufiber_setup *setup);
void uf_domain_layout(struct ufiber_setup *setup);
void uf_domain_close(struct uf_domain *domain);
void uf_domain_put(struct uf_domain *domain);

/*
 * memory.c: what a domain consists of. A user says how large it is, so it is
 * charged, and without the memory the call fails: no process is killed for it
 * (RETRY_MAYFAIL), and the log stays as it is.
 */
#define UF_GFP_DOMAIN (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
struct vm_area_struct;
void *uf_memory_alloc(size_t size);
void uf_memory_free(void *memory);
int uf_memory_map(struct vm_area_struct *vma, void *memory);

/* thread.c: joining, leaving, ending */
extern struct workqueue_struct *uf_workqueue;
struct uf_thread *uf_find_thread(struct uf_domain *domain, u32 id);
struct uf_thread *uf_thread_register(struct uf_domain *domain, u64 cookie);
struct uf_thread *uf_leave(struct uf_thread *thread);
void uf_thread_unregister(struct uf_thread *thread);
bool uf_registration_is_void(struct uf_thread *thread);
void uf_thread_detach(struct uf_thread *thread);
void uf_thread_put(struct uf_thread *thread);
void uf_thread_wake(struct uf_thread *thread);

/* server.c: who gets a server; all under domain->lock */
struct uf_server *uf_find_server(struct uf_domain *domain, u32 id);
void uf_set_state(struct uf_thread *thread, enum ufiber_thread_state state);
void uf_grant(struct uf_server *server, struct uf_thread *thread);
struct uf_server *uf_release(struct uf_thread *thread,
			     enum ufiber_thread_state state);
struct uf_thread *uf_first_runnable(struct uf_domain *domain);
struct uf_thread *uf_next_holder(struct uf_server *server);
struct uf_thread *uf_pass_on(struct uf_domain *domain, struct uf_server *server);
struct uf_server *uf_vacant_server(struct uf_thread *thread);
bool uf_take_or_queue(struct uf_thread *thread, enum ufiber_reason reason);
void uf_queue_standby(struct uf_thread *thread, enum uf_queue queue);
void uf_unlink(struct uf_thread *thread);
bool uf_rob(struct uf_server *server, u32 owner);

/*
 * Whether @task, which is current, ends. That begins before PF_EXITING is set: a
 * dying task may first sleep for its core dump, a debugger or io_uring, and run task
 * work there. A signal that kills it has been taken by then, so nothing would get
 * it out of a hold.
 */
static inline bool uf_task_ends(const struct task_struct *task)
{
	return task->flags & (PF_EXITING | PF_POSTCOREDUMP);
}

/* Whether the holder has declared that it may lose @server; mere advice. */
static inline bool uf_is_polling(const struct uf_server *server)
{
	return server->holder &&
	       READ_ONCE(server->shared->owner) ==
		       UFIBER_OWNER(UFIBER_SERVER_POLLING, server->holder->id);
}

/* Take @thread out of the list it is in, if any. */
static inline void uf_dequeue(struct uf_thread *thread)
{
	if (!list_empty(&thread->link))
		uf_unlink(thread);
}

/* Whether @server is to be given up for good: see uf_resize(). */
static inline bool uf_retires(const struct uf_server *server)
{
	return server->id >= server->domain->nr_servers;
}

static inline bool uf_user_schedules(const struct uf_domain *domain)
{
	return domain->flags & UFIBER_SETUP_USER_SCHED;
}

/*
 * What changes states starts here: one reading of the clock serves all of it.
 * The clock is good in every context, the scheduler's included, but may differ a
 * little between CPUs; here it does not go back.
 */
static inline void uf_look_at_clock(struct uf_domain *domain)
{
	lockdep_assert_held(&domain->lock);
	domain->now = max(domain->now, ktime_get_mono_fast_ns());
}

static inline void uf_lock(struct uf_domain *domain)
{
	raw_spin_lock_irq(&domain->lock);
	uf_look_at_clock(domain);
}

static inline void uf_unlock(struct uf_domain *domain)
{
	raw_spin_unlock_irq(&domain->lock);
}

/* account.c: where the time goes */
void uf_account(struct uf_thread *thread);
void uf_stats_thread(struct uf_thread *thread, struct ufiber_stats *stats);
void uf_stats_server(const struct uf_server *server,
		     struct ufiber_stats *stats);
void uf_goes_on(struct uf_thread *thread);
int uf_stats(struct uf_domain *domain, struct ufiber_stats *stats);

/* ring.c: events for user mode; under domain->lock */
void uf_event(struct uf_thread *thread, enum ufiber_reason reason, u32 server);

/* events.c: who waits for events */
void uf_events_init(struct uf_domain *domain);
void uf_events_destroy(struct uf_domain *domain);
void uf_events_notify(struct uf_domain *domain);
void uf_events_listen(struct uf_domain *domain);
int uf_set_eventfd(struct uf_domain *domain, int fd);
__poll_t uf_poll(struct file *file, poll_table *table);

/* kick.c: what one thread asks of another */
struct uf_thread *uf_make_way(struct uf_thread *thread,
			      enum ufiber_reason reason);
void uf_forget_kick(struct uf_thread *thread);
int uf_kick(struct uf_domain *domain, u32 id);
int uf_interrupt(struct uf_domain *domain, const struct ufiber_interrupt *args);

/* quantum.c: preemption by time */
void uf_quantum_init(struct uf_server *server);
int uf_set_quantum(struct uf_domain *domain, u32 server, u64 quantum);
void uf_quantum_arm_all(struct uf_domain *domain);
void uf_quantum_switched_in(struct uf_thread *thread);

/* @thread, which runs, has just been switched in, or given a server. */
static inline void uf_quantum_sched_in(struct uf_thread *thread)
{
	if (unlikely(READ_ONCE(thread->domain->nr_quanta)))
		uf_quantum_switched_in(thread);
}

/* A thread may have begun to wait. Context: no lock held. */
static inline void uf_quantum_queued(struct uf_domain *domain)
{
	if (unlikely(READ_ONCE(domain->nr_quanta) &&
		     READ_ONCE(domain->nr_runnable)))
		uf_quantum_arm_all(domain);
}

/* resize.c: more servers, or fewer */
int uf_resize(struct uf_domain *domain, u32 nr_servers);

/* uring_cmd.c, or compat/uring_cmd_none.c */
struct io_uring_cmd;
int uf_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
void uf_uring_notify(struct uf_domain *domain);

/* wait.c: the calls that sleep and wake */
long uf_wait(struct uf_thread *thread, const struct ufiber_wait *args);
long uf_handover(struct uf_thread *thread, u32 id);
int uf_wake(struct uf_domain *domain, const struct ufiber_wake *args);

/* block.c: what the scheduler's hook reports */
void uf_sched_out(struct uf_thread *thread);
void uf_sched_in(struct uf_thread *thread);

/* hold.c: at the return to user mode */
void uf_hold(struct uf_thread *thread, bool more_work);
enum hrtimer_restart uf_recheck(struct hrtimer *timer);

/* ioctl.c; the first two under domain->lock */
void uf_query_thread(const struct uf_thread *thread,
		     struct ufiber_query *query);
void uf_query_server(const struct uf_server *server,
		     struct ufiber_query *query);
long uf_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* fdinfo.c: what there is to see of a domain */
void uf_show_domain(struct seq_file *m, struct uf_domain *domain,
		    struct pid_namespace *ns);
void uf_show_fdinfo(struct seq_file *m, struct file *file);

/* debugfs.c: all domains */
void uf_debugfs_init(void);
void uf_debugfs_exit(void);
void uf_debugfs_add(struct uf_domain *domain);
void uf_debugfs_remove(struct uf_domain *domain);

/* hook_*.c: where the scheduler calls us */
int uf_hook_init(void);
void uf_hook_exit(void);
void uf_hook_attach(struct uf_thread *thread);
void uf_hook_detach(struct uf_thread *thread);
void uf_hook_drop(struct uf_thread *thread);
struct uf_thread *uf_hook_current(void);

/* compat/resume_*.c: run uf_hold() when current returns to user mode */
int uf_resume_prepare(struct uf_thread *thread);
void uf_resume_queue(struct uf_thread *thread);
void uf_resume_kick(struct uf_thread *thread);
void uf_resume_drop(struct uf_thread *thread);

#endif /* UFIBER_H */

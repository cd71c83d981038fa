/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernel versions and configurations, so that nothing
 * else has to ask.
 */
#ifndef UFIBER_COMPAT_H
#define UFIBER_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/task_work.h>
#include <linux/time_namespace.h>
#include <linux/version.h>
#include <linux/workqueue.h>

/*
 * The scheduler's hook: a preempt notifier in each registered thread
 * (hook_preempt.c), or its place in a table by task (hook_sched_switch.c).
 */
struct uf_hook {
#ifdef CONFIG_PREEMPT_NOTIFIERS
	struct preempt_notifier notifier;
#endif
	struct hlist_node node;
	struct irq_work in;
};

/*
 * The work that runs at return to user mode: a callback (resume_task_work.c)
 * or a file that is released (resume_fput.c). Both fit; the build picks one.
 */
struct uf_resume {
	struct callback_head work;
	struct callback_head kick_work;		/* that others queue */
	int kick_queued;			/* xchg() */
	struct file *file;
	struct delayed_work kick;
	bool nudged;
};

/*
 * Does a task that is being switched out sleep, rather than being preempted?
 * 6.12 may leave a sleeping task on the run queue (delayed dequeue), so on_rq
 * no longer tells. __state never did: a task may be preempted after setting it.
 *
 * On PREEMPT_RT a task also sleeps for a contended spinlock_t. Elsewhere it would
 * spin, and so it is no block; __state tells these waits apart, unless a waker
 * has been so quick as to overwrite it, and then it counts as a short block.
 */
static inline bool uf_task_sleeps(struct task_struct *task)
{
	if (READ_ONCE(task->__state) == TASK_RTLOCK_WAIT)
		return false;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	return !task_is_runnable(task);
#else
	return !task->on_rq;
#endif
}

/* Has the freezer of cgroups stopped @task, and not let it go on its way yet? */
static inline bool uf_task_is_frozen(const struct task_struct *task)
{
#ifdef CONFIG_CGROUPS
	return task->frozen;
#else
	return false;
#endif
}

/* Whether @task runs on some CPU just now. */
static inline bool uf_on_cpu(struct task_struct *task)
{
#ifdef CONFIG_SMP
	return READ_ONCE(task->on_cpu);
#else
	return task == current;
#endif
}

/*
 * How far ahead of the machine's @clock current's time namespace shows it. (All zero
 * in the first one; a kernel may have none. timens_ktime_to_host() is not exported.)
 */
static inline ktime_t uf_clock_offset(clockid_t clock)
{
	const struct timens_offsets *offsets;

	if (!IS_ENABLED(CONFIG_TIME_NS))
		return 0;
	offsets = &current->nsproxy->time_ns->offsets;
	switch (clock) {
	case CLOCK_MONOTONIC:
		return timespec64_to_ktime(offsets->monotonic);
	case CLOCK_BOOTTIME:
		return timespec64_to_ktime(offsets->boottime);
	default:
		return 0;
	}
}

static inline void uf_eventfd_signal(struct eventfd_ctx *eventfd)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	eventfd_signal(eventfd);
#else
	eventfd_signal(eventfd, 1);
#endif
}

static inline void uf_vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

static inline void uf_vm_flags_clear(struct vm_area_struct *vma,
				     vm_flags_t flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_clear(vma, flags);
#else
	vma->vm_flags &= ~flags;
#endif
}

static inline void uf_hrtimer_setup(struct hrtimer *timer,
				    enum hrtimer_restart (*function)(struct hrtimer *),
				    clockid_t clock, enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(timer, function, clock, mode);
#else
	hrtimer_init(timer, clock, mode);
	timer->function = function;
#endif
}

/*
 * How resume work is added. With hook_sched_switch.c under the rq lock, by a kick from
 * a timer's interrupt: KASAN must not allocate memory there to remember the caller.
 * (6.1 does not say; from 6.14 on it never does.)
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0) && \
	LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define UF_TWA_RESUME (TWA_RESUME | TWAF_NO_ALLOC)
#else
#define UF_TWA_RESUME TWA_RESUME
#endif

/* The task_work by which the last fput() of a file is deferred. */
static inline struct callback_head *uf_file_task_work(struct file *file)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return &file->f_task_work;
#else
	return &file->f_rcuhead;
#endif
}

#endif /* UFIBER_COMPAT_H */

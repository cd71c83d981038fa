// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the scheduler calls us, for kernels without preempt notifiers (built
 * without KVM): a probe on the sched_switch tracepoint. It sees every switch of
 * every task, so it has to find out whether the task is one of ours: a hash table
 * by task, whose buckets are empty for nearly all others.
 *
 * The probe runs in the task that leaves, under the rq lock; nothing runs later
 * in the task that comes in. But what uf_sched_in() does, to queue resume work,
 * may as well be done on the way out: the work cannot run before the thread is
 * back. What changes while it is out (its domain is closed, say) is seen when it
 * next goes out.
 *
 * Resume work is queued under the rq lock then, which task_work_add() and fput()
 * allow (but for fput() with KASAN, which may allocate memory to remember the
 * caller). They do not once a task has begun to exit: fput() turns to a worker,
 * whose wake-up takes rq locks; so an exiting task is not asked to.
 *
 * What concerns the quantum needs the thread to be on its CPU; an interrupt does
 * it as soon as the switch is over.
 *
 * An entry is removed by its own task, in uf_hook_detach() or in its last
 * switch, and looked for under RCU; a thread is freed a grace period later.
 */
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/rculist.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <trace/events/sched.h>

#include "ufiber.h"

#define UF_HOOK_BITS 12

static struct hlist_head uf_hook_table[1 << UF_HOOK_BITS];
/* Guards the changes of the table. Taken under the rq lock; takes none itself. */
static DEFINE_RAW_SPINLOCK(uf_hook_lock);
static struct tracepoint *uf_hook_tracepoint;

static struct hlist_head *uf_hook_bucket(const struct task_struct *task)
{
	return &uf_hook_table[hash_ptr(task, UF_HOOK_BITS)];
}

/* In a section of RCU, of which one with preemption off is one. */
static struct uf_thread *uf_hook_find(const struct task_struct *task)
{
	struct uf_thread *thread;

	hlist_for_each_entry_rcu(thread, uf_hook_bucket(task), hook.node,
				 rcu_read_lock_sched_held() ||
				 rcu_read_lock_held())
		if (thread->task == task)
			return thread;
	return NULL;
}

static void uf_hook_remove(struct uf_thread *thread)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&uf_hook_lock, flags);
	hlist_del_rcu(&thread->hook.node);
	raw_spin_unlock_irqrestore(&uf_hook_lock, flags);
}

/*
 * @thread sleeps but keeps its server, and with that may be kicked. If the kick
 * cannot queue the work (resume_fput.c) it leaves that to the next switch in.
 */
static bool uf_sleeps_critical(const struct uf_thread *thread)
{
	return READ_ONCE(thread->shared->critical) &&
	       READ_ONCE(thread->state) == UFIBER_THREAD_RUNNING &&
	       uf_task_sleeps(thread->task);
}

static void uf_hook_switch(struct uf_thread *thread)
{
	uf_sched_out(thread);
	if (!(thread->task->flags & PF_EXITING)) {
		uf_sched_in(thread);
		if (unlikely(uf_sleeps_critical(thread)))
			uf_resume_queue(thread);
	} else if (READ_ONCE(thread->task->__state) == TASK_DEAD) {
		uf_hook_remove(thread);
	}
}

static void uf_probe(void *data, bool preempt, struct task_struct *prev,
		     struct task_struct *next, unsigned int prev_state)
{
	struct uf_thread *thread = uf_hook_find(prev);

	if (unlikely(thread))
		uf_hook_switch(thread);
	thread = uf_hook_find(next);
	if (unlikely(thread && READ_ONCE(thread->domain->nr_quanta)))
		irq_work_queue(&thread->hook.in);
}

static void uf_match_tracepoint(struct tracepoint *tracepoint, void *found)
{
	if (!strcmp(tracepoint->name, "sched_switch"))
		*(struct tracepoint **)found = tracepoint;
}

/* Switch the scheduler's calls on, and off again. May sleep. */
int uf_hook_init(void)
{
	/* A compile-time check of the probe's parameters. */
	check_trace_callback_type_sched_switch(uf_probe);
	for_each_kernel_tracepoint(uf_match_tracepoint, &uf_hook_tracepoint);
	if (!uf_hook_tracepoint)
		return -ENOENT;
	return tracepoint_probe_register(uf_hook_tracepoint, uf_probe, NULL);
}

void uf_hook_exit(void)
{
	tracepoint_probe_unregister(uf_hook_tracepoint, uf_probe, NULL);
	tracepoint_synchronize_unregister();
}

static void uf_hook_in(struct irq_work *work)
{
	uf_quantum_sched_in(container_of(work, struct uf_thread, hook.in));
}

/* For current alone, not from within the hook. */
void uf_hook_attach(struct uf_thread *thread)
{
	unsigned long flags;

	thread->hook.in = IRQ_WORK_INIT_HARD(uf_hook_in);
	raw_spin_lock_irqsave(&uf_hook_lock, flags);
	hlist_add_head_rcu(&thread->hook.node, uf_hook_bucket(thread->task));
	raw_spin_unlock_irqrestore(&uf_hook_lock, flags);
}

void uf_hook_detach(struct uf_thread *thread)
{
	uf_hook_remove(thread);
}

void uf_hook_drop(struct uf_thread *thread)
{
	if (thread->hook.in.func)
		irq_work_sync(&thread->hook.in);
}

/*
 * Current's registration, in whatever domain, or NULL. It stays: nobody else
 * ends it.
 */
struct uf_thread *uf_hook_current(void)
{
	struct uf_thread *thread;

	rcu_read_lock();
	thread = uf_hook_find(current);
	rcu_read_unlock();
	return thread;
}

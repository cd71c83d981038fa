// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the scheduler calls us: a preempt notifier in each registered thread,
 * as KVM has in each virtual CPU. Threads without one pay a test of an empty
 * list per switch while the module is loaded. The scheduler's calls are a static
 * branch; switching it patches the kernel's text and interrupts every CPU, so it
 * is switched at loading and unloading alone, not by what users do.
 */
#include <linux/preempt.h>

#include "ufiber.h"

static struct uf_thread *uf_hook_thread(struct preempt_notifier *notifier)
{
	return container_of(notifier, struct uf_thread, hook.notifier);
}

static void uf_notify_in(struct preempt_notifier *notifier, int cpu)
{
	struct uf_thread *thread = uf_hook_thread(notifier);

	uf_sched_in(thread);
	uf_quantum_sched_in(thread);
}

static void uf_notify_out(struct preempt_notifier *notifier,
			  struct task_struct *next)
{
	uf_sched_out(uf_hook_thread(notifier));
}

static struct preempt_ops uf_preempt_ops = {
	.sched_in = uf_notify_in,
	.sched_out = uf_notify_out,
};

/* Switch the scheduler's calls on, and off again. May sleep. */
int uf_hook_init(void)
{
	preempt_notifier_inc();
	return 0;
}

void uf_hook_exit(void)
{
	preempt_notifier_dec();
}

/* For current alone, not from within the hook. */
void uf_hook_attach(struct uf_thread *thread)
{
	preempt_notifier_init(&thread->hook.notifier, &uf_preempt_ops);
	preempt_disable();
	preempt_notifier_register(&thread->hook.notifier);
	preempt_enable();
}

void uf_hook_detach(struct uf_thread *thread)
{
	preempt_disable();
	preempt_notifier_unregister(&thread->hook.notifier);
	preempt_enable();
}

void uf_hook_drop(struct uf_thread *thread)
{
}

/* Current's registration, in whatever domain, or NULL. */
struct uf_thread *uf_hook_current(void)
{
	struct preempt_notifier *notifier;

	hlist_for_each_entry(notifier, &current->preempt_notifiers, link)
		if (notifier->ops == &uf_preempt_ops)
			return uf_hook_thread(notifier);
	return NULL;
}

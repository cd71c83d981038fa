// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resume work by fput(), for kernels that do not export task_work_add(): the
 * release of a file whose last reference a task drops runs when that task
 * returns to user mode. Each thread keeps one file for it; a release makes the
 * next one first. A file on its way holds a reference to its thread.
 *
 * Should there be no memory for the next file, the thread runs on without a
 * server when it next unblocks, until it calls WAIT, which tries again.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/preempt.h>

#include "../ufiber.h"

static int uf_resume_release(struct inode *inode, struct file *file)
{
	struct uf_thread *thread = file->private_data;

	if (!thread)
		return 0;
	WRITE_ONCE(thread->resume_queued, 0);
	WRITE_ONCE(thread->resume.nudged, false);
	/* By another if the thread was exiting already: see fput(). */
	if (current == thread->task && !(current->flags & PF_EXITING)) {
		uf_resume_prepare(thread);
		uf_hold(thread, uf_file_task_work(file)->next);
	}
	uf_thread_put(thread);
	return 0;
}

static const struct file_operations uf_resume_fops = {
	.owner = THIS_MODULE,
	.release = uf_resume_release,
};

/*
 * A worker has had the thread switched out, so that the hook looks at it; unless
 * it was not on this CPU. Until its work is queued, try again in every tick; if it
 * sleeps, the hook looks at it when it is back.
 */
static void uf_kick_run(struct work_struct *work)
{
	struct uf_thread *thread = container_of(to_delayed_work(work),
						struct uf_thread, resume.kick);

	if (READ_ONCE(thread->resume.nudged) && READ_ONCE(thread->kicked) &&
	    READ_ONCE(thread->task->__state) == TASK_RUNNING)
		queue_delayed_work_on(task_cpu(thread->task), system_highpri_wq,
				      &thread->resume.kick, 1);
}

/* Make sure that uf_resume_queue() will work; may be repeated. May sleep. */
int uf_resume_prepare(struct uf_thread *thread)
{
	struct file *file;

	if (!thread->resume.kick.work.func)
		INIT_DELAYED_WORK(&thread->resume.kick, uf_kick_run);
	if (thread->resume.file || thread->resume_queued)
		return 0;
	file = anon_inode_getfile("[ufiber]", &uf_resume_fops, NULL, O_RDWR);
	if (IS_ERR(file))
		return PTR_ERR(file);
	thread->resume.file = file;
	return 0;
}

/*
 * Have uf_hold() called when current, which is @thread, next returns to user.
 * Context: the thread's own, not an interrupt.
 *
 * On PREEMPT_RT a task can be preempted with softirqs off, or in one, and fput()
 * takes that for an interrupt: it turns to a worker, and the file would be lost
 * without having done its work. Then it has to be the next switch; a kick, which may
 * have nothing else to wait for, is repeated until then.
 */
void uf_resume_queue(struct uf_thread *thread)
{
	struct file *file;

	if (in_interrupt() || xchg(&thread->resume_queued, 1))
		return;
	uf_delay(UF_DELAY_RESUME);
	file = thread->resume.file;
	if (!file) {
		WRITE_ONCE(thread->resume_queued, 0);
		return;
	}
	thread->resume.file = NULL;
	kref_get(&thread->kref);
	file->private_data = thread;
	fput(file);
}

/*
 * The same for any thread. The reference must be dropped by itself, so have it
 * switched out by an urgent worker on its CPU: the hook sees why it is to stop
 * and calls uf_resume_queue(). A real-time thread is not urged so, and computes on
 * until it is switched out otherwise. Context: any but under a lock. (One that kicks
 * itself needs none of that.)
 */
void uf_resume_kick(struct uf_thread *thread)
{
	if (thread->task == current && in_task()) {
		uf_resume_queue(thread);
		return;
	}
	WRITE_ONCE(thread->resume.nudged, true);
	queue_delayed_work_on(task_cpu(thread->task), system_highpri_wq,
			      &thread->resume.kick, 0);
}

/* The thread is being freed, so no file is on its way. */
void uf_resume_drop(struct uf_thread *thread)
{
	cancel_delayed_work_sync(&thread->resume.kick);
	if (thread->resume.file)
		fput(thread->resume.file);
}

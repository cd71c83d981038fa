// SPDX-License-Identifier: GPL-2.0-only
/*
 * UFIBER_URING_WAIT: a command of io_uring that completes when there are events.
 * It waits in domain->commands, under domain->poll.lock; whoever takes it from
 * there completes it: the notifier, or io_uring when it cancels.
 */
#include <linux/io_uring/cmd.h>
#include <linux/list.h>

#include "ufiber.h"

/* What sqe->cmd holds. */
struct uf_uring_data {
	__u32 tail;
	__u32 reserved[3];
};

/* In the command's own memory. */
struct uf_uring_wait {
	struct list_head link;
	struct io_uring_cmd *cmd;
};

static struct uf_uring_wait *uf_uring_wait(struct io_uring_cmd *cmd)
{
	return io_uring_cmd_to_pdu(cmd, struct uf_uring_wait);
}

static void uf_uring_done(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	io_uring_cmd_done(cmd, 0, 0, issue_flags);
}

/* There are new events; with poll.lock held. Any context. */
void uf_uring_notify(struct uf_domain *domain)
{
	struct uf_uring_wait *wait, *next;

	list_for_each_entry_safe(wait, next, &domain->commands, link) {
		list_del_init(&wait->link);
		io_uring_cmd_complete_in_task(wait->cmd, uf_uring_done);
	}
}

/* Take @cmd out of the list; false if another completes it. */
static bool uf_uring_remove(struct uf_domain *domain, struct io_uring_cmd *cmd)
{
	struct uf_uring_wait *wait = uf_uring_wait(cmd);
	unsigned long flags;
	bool waits;

	spin_lock_irqsave(&domain->poll.lock, flags);
	waits = !list_empty(&wait->link);
	list_del_init(&wait->link);
	spin_unlock_irqrestore(&domain->poll.lock, flags);
	return waits;
}

static int uf_uring_start(struct uf_domain *domain, struct io_uring_cmd *cmd,
			  u32 tail, unsigned int issue_flags)
{
	struct uf_uring_wait *wait = uf_uring_wait(cmd);

	INIT_LIST_HEAD(&wait->link);
	wait->cmd = cmd;
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
	spin_lock_irq(&domain->poll.lock);
	list_add_tail(&wait->link, &domain->commands);
	spin_unlock_irq(&domain->poll.lock);
	uf_events_listen(domain);
	if (READ_ONCE(domain->ring_tail) == tail)
		return -EIOCBQUEUED;
	uf_delay(UF_DELAY_URING_START);
	if (uf_uring_remove(domain, cmd))
		io_uring_cmd_done(cmd, 0, 0, issue_flags);
	return -EIOCBQUEUED;
}

/* An IORING_OP_URING_CMD on the domain's file, or the end of one. */
int uf_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct uf_domain *domain = cmd->file->private_data;
	const struct uf_uring_data *data;

	if (issue_flags & IO_URING_F_CANCEL) {
		uf_delay(UF_DELAY_URING_CANCEL);
		if (uf_uring_remove(domain, cmd))
			io_uring_cmd_done(cmd, -ECANCELED, 0, issue_flags);
		return 0;
	}
	/* Pairs with the release in uf_domain_setup(). */
	if (!smp_load_acquire(&domain->ready))
		return -EBADFD;
	if (current->mm != domain->mm)
		return -EPERM;
	data = io_uring_sqe_cmd(cmd->sqe);
	if (cmd->cmd_op != UFIBER_URING_WAIT || data->reserved[0] ||
	    data->reserved[1] || data->reserved[2])
		return -EINVAL;
	/* User mode may still be writing to it: read once. */
	return uf_uring_start(domain, cmd, READ_ONCE(data->tail), issue_flags);
}

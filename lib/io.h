/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What io.c has in flight and uring.c takes back. */
#ifndef UF_IO_H
#define UF_IO_H

#include "wait.h"

/**
 * struct uf_io - an IO call under way, on its fiber's stack
 * @next: of its server's.
 * @link: what points at this one there.
 * @cancelling: the kernel has been asked to cancel it.
 * @fiber: who waits.
 * @pending: completions still to come; the fiber goes on after the last.
 * @res: the operation's result.
 * @timer_res: its linked timeout's.
 * @deadline: when that is due, or UF_FOREVER: there is none.
 * @ts: the same.
 *
 * A completion's user data is its address, with UF_IO_TIMER set for the linked
 * timeout's, or NULL for one that has only to end a sleep.
 */
struct uf_io {
	struct uf_io *next;
	struct uf_io **link;
	bool cancelling;
	struct uf_fiber *fiber;
	unsigned int pending;
	int res;
	int timer_res;
	uint64_t deadline;
	struct __kernel_timespec ts;
};

#define UF_IO_TIMER 1UL

/* A wait's @on, for who debugs: the operation, and the file descriptor above it. */
static inline const void *uf_io_note(const struct io_uring_sqe *sqe)
{
	return (void *)((uintptr_t)(uint32_t)sqe->fd << 8 | sqe->opcode);
}

static inline unsigned int uf_io_note_opcode(const void *note)
{
	return (uintptr_t)note & 0xff;
}

static inline int uf_io_note_fd(const void *note)
{
	return (uintptr_t)note >> 8;
}

static inline void uf_io_complete(struct uf_thread *t,
				  const struct io_uring_cqe *cqe)
{
	struct uf_io *io = (struct uf_io *)(cqe->user_data & ~UF_IO_TIMER);

	if (!io)
		return;
	if (cqe->user_data & UF_IO_TIMER)
		io->timer_res = cqe->res;
	else
		io->res = cqe->res;
	if (--io->pending)
		return;
	*io->link = io->next;
	if (io->next)
		io->next->link = io->link;
	WRITE_ONCE(io->fiber->wait.state, UF_CLAIMED);
	uf_ready(t, io->fiber, UF_WHY_IO);
}

/* io.c */
void uf_io_cancel(struct uf_server *s);

#endif /* UF_IO_H */

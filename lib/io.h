/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What io.c has in flight and uring.c takes back. */
#ifndef UF_IO_H
#define UF_IO_H

#include "internal.h"

/**
 * struct uf_io - an IO call under way, on its fiber's stack
 * @fiber: who waits.
 * @pending: completions still to come; the fiber goes on after the last.
 * @res: the operation's result.
 * @timer_res: its linked timeout's.
 * @ts: when that is due.
 *
 * A completion's user data is its address, with UF_IO_TIMER set for the linked
 * timeout's, or NULL for one that has only to end a sleep.
 */
struct uf_io {
	struct uf_fiber *fiber;
	unsigned int pending;
	int res;
	int timer_res;
	struct __kernel_timespec ts;
};

#define UF_IO_TIMER 1UL

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
	if (!--io->pending)
		uf_ready(t, io->fiber, UF_WOKEN_BY_IO);
}

#endif /* UF_IO_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Cancelling a fiber.
 *
 *	who cancels			the fiber, at a wait
 *	C1  cancelled = 1		F1  the wait's state = WAITING, or IO
 *	C2  heavy barrier		F2  light barrier
 *	C3  look at the state		F3  read cancelled
 *
 * Either C3 sees the wait, or F3 the flag. A wait is ended by claiming it, as its
 * object or its deadline would. A request in a ring is cancelled by the server's
 * holder, who alone may queue there, and who alone takes what has completed, so
 * that the request is still that fiber's.
 */
#include <errno.h>

#include "wait.h"

static void cancel_io(struct uf_thread *t, struct uf_fiber *fiber)
{
	struct uf_runtime *rt = fiber->rt;
	struct uf_server *s = &rt->servers[READ_ONCE(fiber->io_server)];

	WRITE_ONCE(s->cancel_ios, 1);
	uf_wake(rt, t && t->rt == rt ? t : NULL, s);
}

/*
 * It runs, or it is blocked in the kernel. If it is still on that thread after the
 * number of the block has been read, the number means a block of its.
 */
static void interrupt(struct uf_fiber *fiber, uint32_t number)
{
	struct uf_runtime *rt = fiber->rt;
	struct uf_thread *t = &rt->threads[number - 1];
	uint64_t block = READ_ONCE(t->shared->blocks);

	if (smp_load_acquire(&t->shared->state) == UFIBER_THREAD_BLOCKED &&
	    READ_ONCE(fiber->on_cpu) == number)
		rt->backend->interrupt(t, block);
}

/**
 * uf_cancel_end_wait - C3: end the wait of a fiber that has been marked
 * @t: the calling thread, in the critical section; NULL for a plain thread.
 * @fiber: the fiber.
 */
void uf_cancel_end_wait(struct uf_thread *t, struct uf_fiber *fiber)
{
	struct uf_wait *wait = &fiber->wait;
	uint32_t number;

	switch (READ_ONCE(wait->state)) { /* C3 */
	case UF_WAITING:
	case UF_WAITING_ALONE:
		if (uf_wait_claim_to_cancel(wait)) {
			wait->error = -ECANCELED;
			uf_ready(t, fiber, UF_WHY_WOKEN);
		}
		break;
	case UF_WAIT_IO:
		cancel_io(t, fiber);
		break;
	case UF_WAIT_NONE:
		number = READ_ONCE(fiber->on_cpu);
		if (number && number != UF_HELD)
			interrupt(fiber, number);
		break;
	}
}

/* uf_cancel(), from inside; @t as above. */
void uf_cancel_fiber(struct uf_thread *t, struct uf_fiber *fiber)
{
	WRITE_ONCE(fiber->cancelled, 1); /* C1 */
	uf_heavy_mb(); /* C2 */
	uf_cancel_end_wait(t, fiber);
}

int uf_cancel(struct uf_fiber *fiber)
{
	struct uf_thread *t;

	UF_CHECK(FIBER, fiber);
	t = uf_enter();
	if (!t && uf_is_parents(fiber->rt))
		return -ECHILD;
	uf_cancel_fiber(t, fiber);
	uf_leave(t);
	return 0;
}

bool uf_cancelled(void)
{
	struct uf_fiber *self = uf_self();

	return self && READ_ONCE(self->cancelled);
}

int uf_shield(bool on)
{
	struct uf_fiber *self = uf_self();

	if (!self)
		return -EPERM;
	if (!on && !self->shields)
		return -EINVAL;
	self->shields += on ? 1 : -1;
	return 0;
}

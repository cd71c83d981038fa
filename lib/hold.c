// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A fiber that waits can be *held*: it stays where it is for a moment, whoever
 * wakes it, so that its stack can be looked at. It costs those who do not want it
 * nothing, as who wakes a fiber awaits anyway that on_cpu is 0:
 *
 *	who holds it			who wakes it
 *	H1  on_cpu: 0 -> HELD		K1  claim the wait: its state changes
 *	H2  heavy barrier		K2  light barrier
 *	H3  does it wait, unclaimed?	K3  await that on_cpu is 0 (uf_ready())
 *	H4  heavy barrier		K4  put it in a queue
 *	H5  on_cpu still HELD?
 *
 * H1 succeeds with anything that is not on a thread: a fiber that waits, is ready,
 * is parked or has ended, even memory where none is. The mark means nothing yet.
 *
 * Invariant: the mark is lost only by a store of who is about to run the fiber, or
 * makes a new one there; nobody else writes on_cpu while it is not 0. So if H5 sees
 * it, the fiber has not run since H1, and what H3 has seen is the one wait that it
 * was in at H1, or none: had H3 seen anything of a later one, a processor would have
 * stored to on_cpu before that, and after H4 the mark is gone for H5, too.
 *
 * If so, and H3 has seen that wait unclaimed, then K1 was not before H2 on the
 * waker's processor; so K3 is after it, sees the mark, and spins. Everyone who wakes
 * a fiber that waits comes through uf_ready() after a claim (for requests of the
 * ring that is uf_io_complete()'s). So the fiber is in no queue, its registers have
 * been saved (H1 acquires what uf_end_switch() has released), and so it stays until
 * uf_unhold(), whose release K3 acquires.
 *
 * Else the mark is taken off, if it is still there. What it can do to a fiber that is
 * ready meanwhile: who takes it from a queue to run it overwrites the mark; thieves,
 * and uf_yield_to(), leave it where it is, as one that is being switched away from;
 * they do not sleep, as they see that the queue is not empty. Who frees one that has
 * ended awaits 0, too.
 *
 * The holder waits for nobody between H1 and uf_unhold(), so those that spin wait
 * for it alone. Without membarrier(2) none is held: H4 cannot do without it.
 */
#include "hold.h"

#include "wait.h"

/* Of a fiber that may do anything meanwhile. */
static bool waits(const struct uf_fiber *fiber)
{
	switch (READ_ONCE(fiber->wait.state)) {
	case UF_WAITING:
	case UF_WAITING_SHIELDED:
	case UF_WAIT_IO:
	case UF_WAIT_MUTEX:
		return true;
	case UF_WAITING_ALONE:
		return !READ_ONCE(fiber->wait.claimed);
	default:
		return false;
	}
}

/* H1. One thread at a time may do this, and the next two. */
bool uf_hold_mark(struct uf_fiber *fiber)
{
	return !uf_no_membarrier && !cmpxchg(&fiber->on_cpu, 0, UF_HELD);
}

/* H2 to H5. If it returns false, the mark is off. */
bool uf_hold_confirm(struct uf_fiber *fiber)
{
	bool held;

	uf_heavy_mb(); /* H2 */
	held = waits(fiber); /* H3 */
	uf_heavy_mb(); /* H4 */
	held = held && READ_ONCE(fiber->on_cpu) == UF_HELD; /* H5 */
	if (!held)
		uf_unhold(fiber);
	return held;
}

void uf_unhold(struct uf_fiber *fiber)
{
	cmpxchg(&fiber->on_cpu, UF_HELD, 0);
}

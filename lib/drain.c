// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Waiting for a runtime's last fiber, helping meanwhile, having all of them end. */
#include <errno.h>

#include "futex.h"
#include "internal.h"
#include "stack.h"

/* How soon, and how late, to ask again those that have not ended. */
#define UF_AGAIN_MIN_NS 1000000ULL
#define UF_AGAIN_MAX_NS 100000000ULL

/* It looks at fibers that others make and end just then: see fiber_on(). */
#define UF_RACY __attribute__((no_sanitize("thread")))

void uf_runtime_wake_drainer(struct uf_runtime *rt)
{
	fetch_add(&rt->ends, 1);
	uf_futex_wake(&rt->ends);
	if (READ_ONCE(rt->serving) && !uf_count_fibers(rt))
		uf_threads_end(rt);
}

/**
 * uf_drain - wait until there is no fiber
 * @rt: the runtime; the caller is a plain thread.
 * @deadline: when to give up.
 *
 * Returns how many there are.
 */
uint64_t uf_drain(struct uf_runtime *rt, uint64_t deadline)
{
	uint32_t ends;
	uint64_t left;

	fetch_add(&rt->draining, 1);
	uf_heavy_mb();
	for (;;) {
		ends = smp_load_acquire(&rt->ends);
		left = uf_count_fibers(rt);
		if (!left || (deadline != UF_FOREVER && deadline <= uf_now()))
			break;
		uf_futex_wait_until(&rt->ends, ends, deadline);
	}
	fetch_add(&rt->draining, -1);
	return left;
}

/*
 * What is on this stack: a fiber of the runtime, or one that has ended and is
 * kept for reuse, or was given back and is zero. To cancel one that has ended does
 * nothing: it waits for nothing, and whoever makes the next one there sets all that
 * is looked at. If the next one is there already, that is cancelled in its place,
 * as it is to be.
 */
UF_RACY static struct uf_fiber *fiber_on(void *stack, size_t size,
					 struct uf_runtime *rt)
{
	struct uf_fiber *fiber =
		uf_check_find(uf_stack_fiber(stack, size), stack, size);

	if (!fiber || READ_ONCE(fiber->rt) != rt || READ_ONCE(fiber->ended))
		return NULL;
	return fiber;
}

UF_RACY static void mark(void *stack, size_t size, void *rt)
{
	struct uf_fiber *fiber = fiber_on(stack, size, rt);

	if (fiber)
		WRITE_ONCE(fiber->cancelled, 1);
}

static void end_wait(void *stack, size_t size, void *rt)
{
	struct uf_fiber *fiber = fiber_on(stack, size, rt);

	if (fiber)
		uf_cancel_end_wait(NULL, fiber);
}

/* As uf_cancel_fiber(), with one heavy barrier for all. */
static void cancel_all(struct uf_runtime *rt)
{
	WRITE_ONCE(rt->cancelled, 1);
	uf_arena_walk(&rt->stacks.arena, mark, rt);
	uf_heavy_mb();
	uf_arena_walk(&rt->stacks.arena, end_wait, rt);
}

static int as_count(uint64_t left)
{
	return left < INT_MAX ? (int)left : INT_MAX;
}

int uf_runtime_drain(struct uf_runtime *rt, uint64_t deadline)
{
	UF_CHECK(RUNTIME, rt);
	if (uf_self())
		return -EDEADLK;
	if (uf_is_parents(rt))
		return -ECHILD;
	return as_count(uf_drain(rt, deadline));
}

int uf_runtime_stop(struct uf_runtime *rt, uint64_t deadline)
{
	uint64_t pause = UF_AGAIN_MIN_NS, again, left;

	UF_CHECK(RUNTIME, rt);
	if (uf_self())
		return -EDEADLK;
	if (uf_is_parents(rt))
		return -ECHILD;
	do {
		cancel_all(rt);
		again = uf_now() + pause;
		if (again > deadline)
			again = deadline;
		left = uf_drain(rt, again);
		if (pause < UF_AGAIN_MAX_NS)
			pause *= 2;
	} while (left && again < deadline);
	return as_count(left);
}

/* Count as one who waits, and who is told by uf_threads_end(). */
static int serve_until_drained(struct uf_runtime *rt)
{
	int error = 0;

	fetch_add(&rt->draining, 1);
	WRITE_ONCE(rt->serving, 1);
	uf_heavy_mb();
	if (uf_count_fibers(rt))
		error = uf_threads_serve(rt);
	WRITE_ONCE(rt->serving, 0);
	fetch_add(&rt->draining, -1);
	return error;
}

int uf_runtime_serve(struct uf_runtime *rt)
{
	int error;

	UF_CHECK(RUNTIME, rt);
	if (uf_thread_self())
		return -EDEADLK;
	if (uf_is_parents(rt))
		return -ECHILD;
	if (!rt->caller_serves || rt->stopped)
		return -EINVAL;
	error = serve_until_drained(rt);
	if (!error)
		uf_threads_stop(rt);
	return error;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A runtime stands still if every fiber waits for another one.
 *
 * Looked for when all servers sleep. A fiber can go on by itself if it is ready,
 * runs, or is blocked in the kernel; if it waits for a request of the ring or an
 * offloaded call; or if its timer is armed. If there is none such, and no server has
 * run a fiber while we looked, then at no moment of that was there one: only a
 * fiber that runs makes another ready, or else somebody from outside. That one can
 * still come, and this cannot know: a plain thread, or another runtime's fiber.
 * Hence it is reported, and only if that was asked for.
 */
#include "debug.h"

#include "line.h"
#include "wait.h"

struct search {
	const struct uf_runtime *rt;
	uint64_t waiting;
	bool goes_on;
};

/* What it waits for comes without any fiber's help. */
static bool is_served(const struct uf_wait *wait)
{
	const struct uf_what *what = READ_ONCE(wait->what);

	return what == &uf_what_io || what == &uf_what_offload ||
	       READ_ONCE(wait->timer.link);
}

static void look_at(void *stack, size_t size, void *arg)
{
	const struct uf_fiber *fiber =
		uf_check_find(uf_stack_fiber(stack, size), stack, size);
	struct search *search = arg;

	if (search->goes_on || !fiber || !uf_is_live(search->rt, fiber))
		return;
	switch (uf_state_of(fiber)) {
	case UF_STATE_PARKED:
	case UF_STATE_ENDED:
		return;
	case UF_STATE_WAITING:
		search->waiting++;
		search->goes_on = is_served(&fiber->wait);
		return;
	default:
		search->goes_on = true;
	}
}

static uint64_t count_switches(const struct uf_runtime *rt)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < rt->nr_servers; i++)
		n += READ_ONCE(rt->servers[i].switches);
	return n;
}

static bool all_sleep(const struct uf_runtime *rt)
{
	return READ_ONCE(rt->nr_asleep) >= READ_ONCE(rt->nr_active);
}

/* A runtime that is in the list, which is locked. Each deadlock is told once. */
void uf_find_deadlock(struct uf_runtime *rt, int fd)
{
	struct search search = { .rt = rt };
	uint64_t switches = count_switches(rt);
	struct uf_line line = { .len = 0 };

	uf_heavy_mb();
	if (!all_sleep(rt) || rt->deadlock_at == switches)
		return;
	uf_arena_walk(&rt->stacks.arena, look_at, &search);
	uf_heavy_mb();
	if (search.goes_on || !search.waiting || !all_sleep(rt) ||
	    count_switches(rt) != switches)
		return;
	rt->deadlock_at = switches;
	uf_line_text(&line, "ufiber: deadlock: ");
	uf_line_number(&line, search.waiting);
	uf_line_text(
		&line,
		search.waiting == 1 ?
			" fiber waits, and no other fiber, timer or IO can wake it; only another thread could:" :
			" fibers wait, and no other fiber, timer or IO can wake them; only another thread could:");
	uf_line_write(&line, fd);
	uf_dump_runtime(rt, fd);
}

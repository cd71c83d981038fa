// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Where a fiber runs and before whom: priority, pinning, yielding to another. */
#include <errno.h>

#include "runq.h"

int uf_set_priority(int priority)
{
	struct uf_fiber *self = uf_self();

	if (!self)
		return -EPERM;
	if (!uf_priority_is_valid(priority))
		return -EINVAL;
	self->priority = uf_priority_level(priority);
	return 0;
}

int uf_priority(const struct uf_fiber *fiber)
{
	UF_CHECK_OR_NULL(FIBER, fiber);
	if (!fiber)
		fiber = uf_self();
	return fiber ? uf_level_priority(fiber->priority) : UF_PRIORITY_NORMAL;
}

int uf_server_number(void)
{
	struct uf_thread *t = uf_enter();
	int number;

	if (!t)
		return -EPERM;
	number = uf_server(t) - t->rt->servers;
	uf_leave(t);
	return number;
}

int uf_pin(unsigned int server)
{
	struct uf_thread *t = uf_enter();
	int error = 0;

	if (!t)
		return -EPERM;
	if (server >= READ_ONCE(t->rt->nr_active)) {
		error = -EINVAL;
	} else {
		t->current->server = server;
		if (uf_server(t) != &t->rt->servers[server]) {
			t->after = uf_move;
			t = uf_park(t);
		}
	}
	uf_leave(t);
	return error;
}

int uf_unpin(void)
{
	struct uf_fiber *self = uf_self();

	if (!self)
		return -EPERM;
	self->server = UFIBER_NONE;
	return 0;
}

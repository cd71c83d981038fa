// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The wait group: a count, and those that wait until it is 0. */
#include <errno.h>

#include "wait.h"

int uf_waitgroup_add(struct uf_waitgroup *group, int n)
{
	struct uf_thread *t;
	struct uf_waitq claimed = { 0 };
	int64_t count;
	int error = 0;

	UF_CHECK(WAITGROUP, group);
	t = uf_enter();
	uf_spin_lock(&group->guard);
	count = (int64_t)group->count + n;
	if (count < 0)
		error = -EINVAL;
	else if (count > UINT32_MAX)
		error = -EOVERFLOW;
	else
		group->count = count;
	if (!group->count)
		claimed = uf_waitq_claim_all(&group->waiters, 0);
	uf_spin_unlock(&group->guard);
	uf_wait_wake_all(t, &claimed);
	uf_leave(t);
	return error;
}

int uf_waitgroup_done(struct uf_waitgroup *group)
{
	UF_CHECK(WAITGROUP, group);
	return uf_waitgroup_add(group, -1);
}

int uf_waitgroup_wait_until(struct uf_waitgroup *group, uint64_t deadline)
{
	struct uf_thread *t;

	UF_CHECK(WAITGROUP, group);
	t = uf_enter();
	uf_spin_lock(&group->guard);
	if (group->count)
		return uf_wait_and_leave(t,
					 UF_WHAT("wait group",
						 struct uf_waitgroup),
					 &group->guard, &group->waiters, NULL,
					 deadline);
	uf_spin_unlock(&group->guard);
	uf_leave(t);
	return 0;
}

int uf_waitgroup_wait(struct uf_waitgroup *group)
{
	UF_CHECK(WAITGROUP, group);
	return uf_waitgroup_wait_until(group, UF_FOREVER);
}

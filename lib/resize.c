// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * More servers in use, or fewer, while fibers run.
 *
 * Memory and rings for all that there can be are there from the start. A server that
 * is taken out of use is *retired*: no fiber is sent to it, and its holder gives those
 * that are ready there to the others. But timers and requests of its ring are bound
 * to it, and who has been pinned to it counts on it; so its holder keeps it, and
 * sleeps in its ring, HELD and in the critical section, so that no thread that comes
 * back from a block runs on there either.
 *
 *	who retires it				who sends a fiber there (inbox.c)
 *	nr_active = n				read nr_active
 *	retired = 1				push
 *	message to its ring			full barrier
 *						read retired: 1, wake its holder
 *
 * Either the holder, who comes after that message, finds the fiber, or who sent it
 * sees that the server is retired. A holder that runs fibers looks every so many of
 * them, and then goes to its base context, as @sleep is not AWAKE.
 */
#include <errno.h>

#include "inbox.h"
#include "runq.h"

/* One that any server may run, or NULL. */
static struct uf_fiber *take_unpinned(struct uf_runq *q)
{
	struct uf_fiber *fiber = NULL;

	uf_bias_lock(&q->lock);
	if (q->next && q->next->server == UFIBER_NONE) {
		fiber = q->next;
		uf_runq_remove(fiber);
	} else if (uf_runq_stealable(q)) {
		fiber = uf_runq_first(q, __builtin_ctz(q->map));
	}
	uf_bias_unlock(&q->lock);
	return fiber;
}

/**
 * uf_evacuate - give what is ready on a retired server to others
 * @t: the calling thread, in its base context and the critical section.
 * @s: the server that it holds.
 */
void uf_evacuate(struct uf_thread *t, struct uf_server *s)
{
	struct uf_fiber *fiber;

	uf_inbox_empty(s);
	while ((fiber = take_unpinned(&s->runq)))
		uf_inbox_put(t->rt, t, fiber);
}

/* Their holders hear of it by a message, whatever they do. */
static void set_retired(struct uf_runtime *rt, unsigned int from,
			unsigned int to, uint32_t retired)
{
	unsigned int i;

	for (i = from; i < to; i++) {
		xchg(&rt->servers[i].retired, retired);
		uf_doorbell_poke(&rt->doorbell, &rt->servers[i]);
	}
}

/* Those that are started are retired at first. The lock is held. */
static int set_servers(struct uf_runtime *rt, unsigned int n)
{
	unsigned int before = rt->nr_active;
	int error;

	if (n > rt->nr_started) {
		error = rt->backend->grow(rt, n);
		if (error)
			return error;
		rt->nr_started = n;
	}
	set_retired(rt, before, n, 0);
	xchg(&rt->nr_active, n);
	set_retired(rt, n, before, 1);
	return 0;
}

/* The caller's, if @rt is NULL; that can be NULL, too. */
static struct uf_runtime *this_runtime(const struct uf_runtime *rt)
{
	struct uf_thread *t = uf_thread_self();

	return rt || !t ? (struct uf_runtime *)rt : t->rt;
}

int uf_runtime_set_servers(struct uf_runtime *rt, unsigned int n)
{
	int error;

	UF_CHECK_OR_NULL(RUNTIME, rt);
	rt = this_runtime(rt);
	if (!rt)
		return -EPERM;
	if (!n || n > rt->nr_servers)
		return -EINVAL;
	if (uf_is_parents(rt))
		return -ECHILD;
	pthread_mutex_lock(&rt->resizing);
	error = uf_runtime_refuses(rt);
	if (!error)
		error = set_servers(rt, n);
	pthread_mutex_unlock(&rt->resizing);
	return error;
}

int uf_runtime_servers(const struct uf_runtime *rt)
{
	UF_CHECK_OR_NULL(RUNTIME, rt);
	rt = this_runtime(rt);
	return rt ? (int)READ_ONCE(rt->nr_active) : -EPERM;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A policy: one queue for all servers, first come first served; and one for each
 * server, for fibers that are pinned to it, which go first.
 *
 * This is written against the public headers alone, as a user's would be.
 */
#include <ufiber.h>

struct queue {
	struct uf_fiber *head;
	struct uf_fiber *tail;
};

struct shared {
	uint32_t lock; /* for all queues */
	struct queue queue;
};

static void put(struct queue *queue, struct uf_fiber *fiber)
{
	uf_policy_words(fiber)->next = NULL;
	if (queue->head)
		uf_policy_words(queue->tail)->next = fiber;
	else
		__atomic_store_n(&queue->head, fiber, __ATOMIC_RELAXED);
	queue->tail = fiber;
}

static struct uf_fiber *take(struct queue *queue)
{
	struct uf_fiber *fiber = queue->head;

	if (fiber)
		__atomic_store_n(&queue->head, uf_policy_words(fiber)->next,
				 __ATOMIC_RELAXED);
	return fiber;
}

static void ready(const struct uf_place *place, struct uf_fiber *fiber,
		  enum uf_why why)
{
	struct shared *shared = place->shared;
	int pinned = uf_pinned_to(fiber);

	(void)why;
	uf_policy_lock(&shared->lock);
	put(pinned < 0 ? &shared->queue : place->of_server[pinned], fiber);
	uf_policy_unlock(&shared->lock);
}

/* Without the lock: who has put one before this was called is seen. */
static bool has_work(const struct uf_place *place)
{
	struct shared *shared = place->shared;
	struct queue *own = place->server;

	return __atomic_load_n(&shared->queue.head, __ATOMIC_RELAXED) ||
	       (own && __atomic_load_n(&own->head, __ATOMIC_RELAXED));
}

static struct uf_fiber *pick(const struct uf_place *place)
{
	struct shared *shared = place->shared;
	struct uf_fiber *fiber;

	if (!has_work(place))
		return NULL;
	uf_policy_lock(&shared->lock);
	fiber = take(place->server);
	if (!fiber)
		fiber = take(&shared->queue);
	uf_policy_unlock(&shared->lock);
	return fiber;
}

const struct uf_policy uf_policy_fifo = {
	.size = sizeof(struct uf_policy),
	.name = "fifo",
	.shared_size = sizeof(struct shared),
	.server_size = sizeof(struct queue),
	.ready = ready,
	.pick = pick,
	.has_work = has_work,
};

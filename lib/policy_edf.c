// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A policy: of all fibers the one with the earliest deadline runs first; those with
 * equal ones, or none, in the order that they came. A heap for all servers, and one
 * for each server, for fibers that are pinned to it: whose first is earlier, runs.
 *
 * The heaps are skew heaps: no memory but two links in each fiber, O(log n) each
 * on the average of many operations (Sleator and Tarjan).
 *
 * This is written against the public headers alone, as a user's would be.
 */
#include <ufiber.h>

#define DEADLINE 0 /* what uf_policy_set() sets */
#define TURN 1 /* of those that came */

struct heap {
	struct uf_fiber *root;
};

struct shared {
	uint32_t lock; /* for all heaps */
	uint64_t turn;
	struct heap heap;
};

static uint64_t deadline_of(struct uf_fiber *fiber)
{
	uint64_t deadline = uf_policy_words(fiber)->value[DEADLINE];

	return deadline ? deadline : UF_FOREVER;
}

static bool is_before(struct uf_fiber *a, struct uf_fiber *b)
{
	uint64_t left = deadline_of(a), right = deadline_of(b);

	if (left != right)
		return left < right;
	return uf_policy_words(a)->value[TURN] < uf_policy_words(b)->value[TURN];
}

/* Join two heaps: down their right sides, which change places with the left. */
static struct uf_fiber *meld(struct uf_fiber *a, struct uf_fiber *b)
{
	struct uf_fiber *root = NULL, **at = &root;

	while (a && b) {
		struct uf_fiber *first = is_before(a, b) ? a : b;
		struct uf_policy_words *words = uf_policy_words(first);

		b = first == a ? b : a;
		a = words->prev; /* the right side */
		words->prev = words->next;
		*at = first;
		at = &words->next;
	}
	*at = a ? a : b;
	return root;
}

static void set_root(struct heap *heap, struct uf_fiber *fiber)
{
	__atomic_store_n(&heap->root, fiber, __ATOMIC_RELAXED);
}

static void ready(const struct uf_place *place, struct uf_fiber *fiber,
		  enum uf_why why)
{
	struct uf_policy_words *words = uf_policy_words(fiber);
	struct shared *shared = place->shared;
	int pinned = uf_pinned_to(fiber);
	struct heap *heap = pinned < 0 ? &shared->heap :
					 place->of_server[pinned];

	(void)why;
	words->next = words->prev = NULL;
	uf_policy_lock(&shared->lock);
	words->value[TURN] = ++shared->turn;
	set_root(heap, meld(heap->root, fiber));
	uf_policy_unlock(&shared->lock);
}

/* Without the lock: who has put one before this was called is seen. */
static bool has_work(const struct uf_place *place)
{
	struct shared *shared = place->shared;
	struct heap *own = place->server;

	return __atomic_load_n(&shared->heap.root, __ATOMIC_RELAXED) ||
	       (own && __atomic_load_n(&own->root, __ATOMIC_RELAXED));
}

static struct uf_fiber *pick(const struct uf_place *place)
{
	struct shared *shared = place->shared;
	struct heap *heap = place->server;
	struct uf_fiber *first;

	if (!has_work(place))
		return NULL;
	uf_policy_lock(&shared->lock);
	first = shared->heap.root;
	if (!heap->root || (first && is_before(first, heap->root)))
		heap = &shared->heap;
	first = heap->root;
	if (first)
		set_root(heap, meld(uf_policy_words(first)->next,
				    uf_policy_words(first)->prev));
	uf_policy_unlock(&shared->lock);
	return first;
}

const struct uf_policy uf_policy_edf = {
	.size = sizeof(struct uf_policy),
	.name = "edf",
	.shared_size = sizeof(struct shared),
	.server_size = sizeof(struct heap),
	.ready = ready,
	.pick = pick,
	.has_work = has_work,
};

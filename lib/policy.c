// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Policies of the user's: their memory, and when they are called. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "spin.h"

int uf_policy_check(const struct uf_policy *policy)
{
	if (!policy)
		return 0;
	if (policy->size != sizeof(*policy))
		return uf_fail(-EINVAL,
			       "config.policy->size is %zu: sizeof(struct uf_policy) is %zu",
			       policy->size, sizeof(*policy));
	if (!policy->name || !policy->ready || !policy->pick ||
	    !policy->has_work)
		return uf_fail(-EINVAL,
			       "config.policy \"%s\" must have a name, ready, pick and has_work",
			       policy->name ? policy->name : "");
	return 0;
}

static size_t rounded(size_t size)
{
	return (size + UF_CACHE_LINE - 1) & -UF_CACHE_LINE;
}

static struct uf_place place_of(struct uf_runtime *rt, struct uf_server *s)
{
	int number = s ? s - rt->servers : -1;

	return (struct uf_place){
		.shared = rt->of_server[rt->nr_servers],
		.server = s ? rt->of_server[number] : NULL,
		.number = number,
		.nr_servers = rt->nr_servers,
		.of_server = rt->of_server,
	};
}

/* One piece of memory: the pointers to each server's and the shared, then those. */
static int alloc_memory(struct uf_runtime *rt, const struct uf_policy *policy)
{
	size_t pointers = rounded((rt->nr_servers + 1) * sizeof(void *));
	size_t each = rounded(policy->server_size), size;
	unsigned int i;
	char *memory;

	if (policy->server_size > SIZE_MAX / 1024 ||
	    policy->shared_size > SIZE_MAX / 4)
		return -ENOMEM;
	size = pointers + rt->nr_servers * each + rounded(policy->shared_size);
	memory = aligned_alloc(UF_CACHE_LINE, size);
	if (!memory)
		return -ENOMEM;
	memset(memory, 0, size);
	rt->policy_memory = memory;
	rt->of_server = (void **)memory;
	for (i = 0; i <= rt->nr_servers; i++)
		rt->of_server[i] = memory + pointers + i * each;
	return 0;
}

/* Of a runtime whose threads have not been started. */
int uf_policy_setup(struct uf_runtime *rt, const struct uf_policy *policy)
{
	struct uf_place place;
	int error;

	if (!policy)
		return 0;
	if (alloc_memory(rt, policy))
		return uf_fail(-ENOMEM, "out of memory for policy \"%s\"",
			       policy->name);
	rt->policy = policy;
	place = place_of(rt, NULL);
	error = policy->setup ? policy->setup(&place) : 0;
	if (error)
		return uf_fail(error, "policy \"%s\" could not be set up: %s",
			       policy->name, strerrordesc_np(-error));
	return 0;
}

/* Tell the policy, and wake who may run it. */
static void ready(struct uf_runtime *rt, struct uf_thread *t,
		  struct uf_fiber *fiber, enum uf_why why)
{
	struct uf_place place = place_of(rt, t ? uf_server(t) : NULL);
	uint32_t pinned = fiber->server;

	rt->policy->ready(&place, fiber, why);
	if (pinned != UFIBER_NONE)
		uf_wake(rt, t, &rt->servers[pinned]);
	else if (t)
		t->kick = true;
	else
		uf_kick(rt, NULL, rt->servers);
}

/* The reference is for callers from outside, see uf_inbox_put(). */
void uf_policy_ready(struct uf_runtime *rt, struct uf_thread *t,
		     struct uf_fiber *fiber, enum uf_why why)
{
	if (t && t->rt == rt) {
		ready(rt, t, fiber, why);
		return;
	}
	if (uf_is_parents(rt))
		return;
	uf_runtime_get(rt);
	ready(rt, NULL, fiber, why);
	uf_runtime_put(rt);
}

/* The calling fiber is about to be switched away from; has it been blocked? */
void uf_policy_parks(struct uf_thread *t, struct uf_server *s)
{
	struct uf_place place = place_of(t->rt, s);
	uint64_t blocks = READ_ONCE(t->shared->blocks);

	if (likely(blocks == t->blocks))
		return;
	WRITE_ONCE(t->blocks, blocks);
	if (t->rt->policy->unblocked)
		t->rt->policy->unblocked(&place, t->current->id);
}

struct uf_fiber *uf_policy_pick(struct uf_thread *t, struct uf_server *s)
{
	struct uf_place place = place_of(t->rt, s);
	struct uf_fiber *fiber;

	fiber = t->rt->policy->pick(&place);
	s->holder = t->number;
	s->running = fiber ? fiber->id : 0;
	/* cppcheck-suppress returnDanglingLifetime; it is not of @place */
	return fiber;
}

/* For @s, or for any server if that is NULL. */
bool uf_policy_has_work(struct uf_runtime *rt, struct uf_server *s)
{
	struct uf_place place = place_of(rt, s);

	return rt->policy->has_work(&place);
}

/*
 * The calling thread has come to serve. If another one did last and a fiber ran,
 * that thread has lost the server with the fiber on it.
 */
void uf_policy_taken(struct uf_thread *t, struct uf_server *s)
{
	const struct uf_policy *policy = t->rt->policy;
	struct uf_place place = place_of(t->rt, s);
	uint64_t id = s->running;
	struct uf_thread *last;

	s->running = 0;
	if (!id || s->holder == t->number)
		return;
	last = &t->rt->threads[s->holder - 1];
	if (READ_ONCE(last->shared->blocks) != READ_ONCE(last->blocks)) {
		if (policy->blocked)
			policy->blocked(&place, id);
	} else if (policy->preempted) {
		policy->preempted(&place, id);
	}
}

void uf_policy_idle(struct uf_runtime *rt, struct uf_server *s)
{
	struct uf_place place = place_of(rt, s);

	if (rt->policy->idle)
		rt->policy->idle(&place);
}

void uf_policy_tick(struct uf_runtime *rt, struct uf_server *s)
{
	struct uf_place place = place_of(rt, s);

	if (rt->policy->tick)
		rt->policy->tick(&place);
}

/* ------------------------------------------------------- what policies call */

struct uf_policy_words *uf_policy_words(struct uf_fiber *fiber)
{
	UF_CHECK(FIBER, fiber);
	return &fiber->words;
}

int uf_policy_set(unsigned int index, uint64_t value)
{
	struct uf_fiber *self = uf_self();

	if (!self)
		return -EPERM;
	if (index > 1)
		return -EINVAL;
	self->words.value[index] = value;
	return 0;
}

int uf_pinned_to(const struct uf_fiber *fiber)
{
	UF_CHECK(FIBER, fiber);
	return fiber->server == UFIBER_NONE ? -1 : (int)fiber->server;
}

void uf_policy_lock(uint32_t *lock)
{
	UF_CHECK_GIVEN(lock);
	uf_spin_lock(lock);
}

void uf_policy_unlock(uint32_t *lock)
{
	uf_check_locked(__func__, lock);
	uf_spin_unlock(lock);
}

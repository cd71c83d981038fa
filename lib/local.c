// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Fiber-local storage, and what a fiber does when it exits.
 *
 * A key is a number. A fiber's values are in an array that is made when it sets
 * the first one. Destructors belong to the process's table of keys, by a
 * generation: a value that was set under a key that has been deleted since, and
 * perhaps made anew, is nobody's.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "internal.h"

/* Rounds of destructors at most, as they may set values. POSIX wants 4. */
#define UF_ROUNDS 4

struct key {
	uint32_t generation; /* odd: in use */
	void (*destructor)(void *value);
};

struct uf_local {
	uint32_t generation;
	void *value;
};

/* For the making and deleting of keys; fibers and plain threads may hold it. */
static pthread_mutex_t keys_lock = PTHREAD_MUTEX_INITIALIZER;
static struct key keys[UF_KEYS_MAX];

int uf_key_create(uf_key_t *key, void (*destructor)(void *value))
{
	int error = uf_fork_init();
	uf_key_t i;

	UF_CHECK_GIVEN(key);
	if (error)
		return error;
	error = -EAGAIN;
	pthread_mutex_lock(&keys_lock);
	for (i = 0; i < UF_KEYS_MAX; i++) {
		if (keys[i].generation % 2)
			continue;
		keys[i].destructor = destructor;
		smp_store_release(&keys[i].generation, keys[i].generation + 1);
		*key = i;
		error = 0;
		break;
	}
	pthread_mutex_unlock(&keys_lock);
	return error;
}

/* In the child of a fork(): who held the lock is not here. Keys change by one store. */
void uf_local_after_fork(void)
{
	keys_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static bool is_key(uf_key_t key)
{
	return key < UF_KEYS_MAX && smp_load_acquire(&keys[key].generation) % 2;
}

int uf_key_delete(uf_key_t key)
{
	int error = -EINVAL;

	pthread_mutex_lock(&keys_lock);
	if (is_key(key)) {
		WRITE_ONCE(keys[key].generation, keys[key].generation + 1);
		error = 0;
	}
	pthread_mutex_unlock(&keys_lock);
	return error;
}

int uf_local_set(uf_key_t key, void *value)
{
	struct uf_fiber *self = uf_self();

	if (!self)
		return -EPERM;
	if (!is_key(key))
		return -EINVAL;
	if (!self->locals) {
		self->locals = calloc(UF_KEYS_MAX, sizeof(*self->locals));
		if (!self->locals)
			return -ENOMEM;
	}
	self->locals[key] = (struct uf_local){
		.generation = READ_ONCE(keys[key].generation),
		.value = value,
	};
	return 0;
}

void *uf_local_get(uf_key_t key)
{
	struct uf_fiber *self = uf_self();

	if (!self || !self->locals || !is_key(key) ||
	    self->locals[key].generation != READ_ONCE(keys[key].generation))
		return NULL;
	return self->locals[key].value;
}

/* Returns whether there was one to call. */
static bool destroy_round(struct uf_fiber *self)
{
	bool found = false;
	uf_key_t i;

	for (i = 0; i < UF_KEYS_MAX; i++) {
		void *value = uf_local_get(i);

		self->locals[i].value = NULL;
		if (!value || !keys[i].destructor)
			continue;
		keys[i].destructor(value);
		found = true;
	}
	return found;
}

/* The calling fiber's values, at its end; destructors may park it. */
void uf_locals_destroy(struct uf_fiber *self)
{
	unsigned int i;

	if (likely(!self->locals))
		return;
	for (i = 0; i < UF_ROUNDS && destroy_round(self); i++)
		;
	free(self->locals);
	self->locals = NULL;
}

int uf_cleanup_push(struct uf_cleanup *cleanup, void (*call)(void *arg),
		    void *arg)
{
	struct uf_fiber *self = uf_self();

	UF_CHECK_GIVEN(cleanup);
	UF_CHECK_GIVEN(call);
	if (!self)
		return -EPERM;
	*cleanup = (struct uf_cleanup){ self->cleanups, call, arg };
	self->cleanups = cleanup;
	return 0;
}

int uf_cleanup_pop(struct uf_cleanup *cleanup, bool call)
{
	struct uf_fiber *self = uf_self();

	UF_CHECK_GIVEN(cleanup);
	if (!self)
		return -EPERM;
	if (self->cleanups != cleanup)
		return -EINVAL;
	self->cleanups = cleanup->next;
	if (call)
		cleanup->call(cleanup->arg);
	return 0;
}

/* Those that are still there, when the calling fiber ends; they may park it. */
void uf_run_cleanups(struct uf_fiber *self)
{
	struct uf_cleanup *cleanup;

	while (unlikely(cleanup = self->cleanups)) {
		self->cleanups = cleanup->next;
		cleanup->call(cleanup->arg);
	}
}

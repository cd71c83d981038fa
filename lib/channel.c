// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The channel. While receivers wait it is empty, and while senders wait it is full;
 * so not both do. A waiter's data is where its value is, and who meets it there
 * copies from or to it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "select.h"

/* Most values are a pointer or a number. */
static inline void copy(void *to, const void *from, size_t size)
{
	if (likely(size == sizeof(uint64_t)))
		memcpy(to, from, sizeof(uint64_t));
	else if (size)
		memcpy(to, from, size);
}

static inline size_t wrap(const struct uf_channel *channel, size_t i)
{
	return i < channel->capacity ? i : i - channel->capacity;
}

static inline unsigned char *slot(const struct uf_channel *channel, size_t i)
{
	return channel->ring + channel->size * i;
}

static inline void put(struct uf_channel *channel, const void *value)
{
	size_t i = wrap(channel, channel->first + channel->length++);

	copy(slot(channel, i), value, channel->size);
}

static inline void get(struct uf_channel *channel, void *value)
{
	copy(value, slot(channel, channel->first), channel->size);
	channel->first = wrap(channel, channel->first + 1);
	channel->length--;
}

static __always_inline int try_send(struct uf_channel *channel,
				    const void *value,
				    struct uf_waiter **partner)
{
	struct uf_waiter *receiver;

	if (unlikely(channel->closed))
		return -EPIPE;
	receiver = uf_waitq_claim(&channel->receivers);
	*partner = receiver;
	if (receiver)
		copy(receiver->data, value, channel->size);
	else if (channel->length < channel->capacity)
		put(channel, value);
	else
		return -EAGAIN;
	return 0;
}

static __always_inline int try_receive(struct uf_channel *channel, void *value,
				       struct uf_waiter **partner)
{
	struct uf_waiter *sender = uf_waitq_claim(&channel->senders);

	*partner = sender;
	if (channel->length) {
		get(channel, value);
		if (sender)
			put(channel, sender->data);
	} else if (sender) {
		copy(value, sender->data, channel->size);
	} else {
		return unlikely(channel->closed) ? -EPIPE : -EAGAIN;
	}
	return 0;
}

int uf_channel_try_send(struct uf_channel *channel, const void *value,
			struct uf_waiter **partner)
{
	return try_send(channel, value, partner);
}

int uf_channel_try_receive(struct uf_channel *channel, void *value,
			   struct uf_waiter **partner)
{
	return try_receive(channel, value, partner);
}

/* The guard is held, and released; the critical section is left. */
static __always_inline int finish(struct uf_thread *t,
				  struct uf_channel *channel,
				  struct uf_waiter *partner, int error)
{
	uf_spin_unlock(&channel->guard);
	if (partner)
		return uf_wait_wake_and_leave(t, partner->wait);
	uf_leave(t);
	return error;
}

int uf_channel_send_until(struct uf_channel *channel, const void *value,
			  uint64_t deadline)
{
	struct uf_waiter *partner = NULL;
	struct uf_thread *t;
	int error;

	UF_CHECK(CHANNEL, channel);
	uf_check_value(__func__, channel, value);
	t = uf_enter();
	uf_spin_lock(&channel->guard);
	error = try_send(channel, value, &partner);
	if (error != -EAGAIN)
		return finish(t, channel, partner, error);
	return uf_wait_and_leave(t,
				 UF_WHAT("room in channel", struct uf_channel),
				 &channel->guard, &channel->senders,
				 (void *)value, deadline);
}

int uf_channel_send(struct uf_channel *channel, const void *value)
{
	UF_CHECK(CHANNEL, channel);
	uf_check_value(__func__, channel, value);
	return uf_channel_send_until(channel, value, UF_FOREVER);
}

int uf_channel_trysend(struct uf_channel *channel, const void *value)
{
	struct uf_waiter *partner = NULL;
	struct uf_thread *t;
	int error;

	UF_CHECK(CHANNEL, channel);
	uf_check_value(__func__, channel, value);
	t = uf_enter();
	uf_spin_lock(&channel->guard);
	error = try_send(channel, value, &partner);
	return finish(t, channel, partner, error);
}

int uf_channel_receive_until(struct uf_channel *channel, void *value,
			     uint64_t deadline)
{
	struct uf_waiter *partner;
	struct uf_thread *t;
	int error;

	UF_CHECK(CHANNEL, channel);
	uf_check_value(__func__, channel, value);
	t = uf_enter();
	uf_spin_lock(&channel->guard);
	error = try_receive(channel, value, &partner);
	if (error != -EAGAIN)
		return finish(t, channel, partner, error);
	return uf_wait_and_leave(t, UF_WHAT("channel", struct uf_channel),
				 &channel->guard, &channel->receivers, value,
				 deadline);
}

int uf_channel_receive(struct uf_channel *channel, void *value)
{
	UF_CHECK(CHANNEL, channel);
	uf_check_value(__func__, channel, value);
	return uf_channel_receive_until(channel, value, UF_FOREVER);
}

int uf_channel_tryreceive(struct uf_channel *channel, void *value)
{
	struct uf_waiter *partner;
	struct uf_thread *t;
	int error;

	UF_CHECK(CHANNEL, channel);
	uf_check_value(__func__, channel, value);
	t = uf_enter();
	uf_spin_lock(&channel->guard);
	error = try_receive(channel, value, &partner);
	return finish(t, channel, partner, error);
}

int uf_channel_close(struct uf_channel *channel)
{
	struct uf_waitq receivers = { 0 }, senders = { 0 };
	struct uf_thread *t;
	int error = 0;

	UF_CHECK(CHANNEL, channel);
	t = uf_enter();
	uf_spin_lock(&channel->guard);
	if (channel->closed) {
		error = -EPIPE;
	} else {
		channel->closed = true;
		receivers = uf_waitq_claim_all(&channel->receivers, -EPIPE);
		senders = uf_waitq_claim_all(&channel->senders, -EPIPE);
	}
	uf_spin_unlock(&channel->guard);
	uf_wait_wake_all(t, &receivers);
	uf_wait_wake_all(t, &senders);
	uf_leave(t);
	return error;
}

size_t uf_channel_length(struct uf_channel *channel)
{
	struct uf_thread *t;
	size_t length;

	UF_CHECK(CHANNEL, channel);
	t = uf_enter();
	uf_spin_lock(&channel->guard);
	length = channel->length;
	uf_spin_unlock(&channel->guard);
	uf_leave(t);
	return length;
}

size_t uf_channel_capacity(const struct uf_channel *channel)
{
	UF_CHECK(CHANNEL, channel);
	return channel->capacity;
}

int uf_channel_init(struct uf_channel *channel, size_t size, size_t capacity,
		    void *ring)
{
	size_t bytes;

	UF_CHECK_GIVEN(channel);
	if (size > UF_CHANNEL_VALUE_MAX ||
	    __builtin_mul_overflow(size, capacity, &bytes) ||
	    capacity > SIZE_MAX / 2 || (bytes && !ring))
		return -EINVAL;
	*channel = (struct uf_channel){
		.size = size,
		.capacity = capacity,
		.ring = ring,
	};
	uf_check_born(UF_KIND_CHANNEL, channel);
	return 0;
}

/* The ring stands behind the channel. */
int uf_channel_create(struct uf_channel **channel, size_t size, size_t capacity)
{
	struct uf_channel *new;
	size_t bytes;
	int error;

	UF_CHECK_GIVEN(channel);
	if (size > UF_CHANNEL_VALUE_MAX || capacity > SIZE_MAX / 2)
		return -EINVAL;
	if (__builtin_mul_overflow(size, capacity, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*new), &bytes))
		return -ENOMEM;
	new = uf_check_fresh(malloc(bytes), _Alignof(max_align_t), bytes);
	if (!new)
		return -ENOMEM;
	error = uf_channel_init(new, size, capacity, new + 1);
	if (error) {
		free(new);
		return error;
	}
	new->allocated = true;
	uf_check_born(UF_KIND_CHANNEL_OWN, new);
	*channel = new;
	return 0;
}

int uf_channel_destroy(struct uf_channel *channel)
{
	struct uf_thread *t;
	bool busy;

	if (!channel)
		return 0;
	UF_CHECK(CHANNEL, channel);
	if (!channel->allocated)
		return -EINVAL;
	t = uf_enter();
	uf_spin_lock(&channel->guard);
	busy = !uf_waitq_empty(&channel->receivers) ||
	       !uf_waitq_empty(&channel->senders);
	uf_spin_unlock(&channel->guard);
	uf_leave(t);
	if (busy)
		return -EBUSY;
	uf_check_gone(channel, 0);
	free(channel);
	return 0;
}

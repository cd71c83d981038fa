/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Channels, and waiting for one of several things. The conventions are told in ufiber.h. */
#ifndef UFIBER_CHANNEL_H
#define UFIBER_CHANNEL_H

#include <ufiber/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uf_ticker;

/* Values are copied with others kept out: larger ones are passed by a pointer. */
#define UF_CHANNEL_VALUE_MAX ((size_t)1024)

/**
 * struct uf_channel - a queue of values with a bound
 *
 * What is told at the top of ufiber/sync.h holds here, too. Fields are private.
 */
struct uf_channel {
	uint32_t guard;
	bool closed;
	bool allocated;
	size_t size;
	size_t capacity;
	size_t first;
	size_t length;
	unsigned char *ring;
	struct uf_waitq receivers;
	struct uf_waitq senders;
};

/**
 * uf_channel_init - make a channel whose memory is the caller's
 * @channel: the channel.
 * @size: bytes of a value, at most UF_CHANNEL_VALUE_MAX; 0: what is passed is only
 *	that something has happened, and values may be NULL.
 * @capacity: how many values it holds that nobody has received yet; 0: a sender
 *	waits until there is a receiver.
 * @ring: @size * @capacity bytes for them; may be NULL if that is 0.
 *
 * Needs no destruction. Context: any. Returns 0 or -EINVAL.
 */
int uf_channel_init(struct uf_channel *channel, size_t size, size_t capacity,
		    void *ring);

/**
 * uf_channel_create - make a channel, allocated
 * @channel: where to store it; untouched on failure.
 * @size: as for uf_channel_init().
 * @capacity: as for uf_channel_init().
 *
 * Context: any. Returns 0, -EINVAL or -ENOMEM.
 */
int uf_channel_create(struct uf_channel **channel, size_t size, size_t capacity);

/**
 * uf_channel_destroy - free a channel that uf_channel_create() has made
 * @channel: the channel, in no call; NULL is allowed.
 *
 * Values that it holds are gone. Context: any. Returns 0, -EBUSY (somebody waits)
 * or -EINVAL (it was not made so).
 */
int uf_channel_destroy(struct uf_channel *channel);

/**
 * uf_channel_send - pass a value on
 * @channel: the channel.
 * @value: the value; it is the caller's again when the call returns.
 *
 * A receiver that waits gets it at once, and the caller goes on. Values arrive in
 * the order in which they were sent. Context: a fiber (may switch) or any other
 * thread (may block). Returns 0 or -EPIPE (the channel is closed, or has been while
 * the caller waited: then nobody gets the value); trysend also -EAGAIN.
 */
int uf_channel_send(struct uf_channel *channel, const void *value);
int uf_channel_send_until(struct uf_channel *channel, const void *value,
			  uint64_t deadline);
int uf_channel_trysend(struct uf_channel *channel, const void *value);

/**
 * uf_channel_receive - get the next value
 * @channel: the channel.
 * @value: where to store it; untouched on failure. It is written by the sender if
 *	the caller has to wait, so it must be memory that needs no fiber to be
 *	run before it can be accessed (as with userfaultfd).
 *
 * Context: a fiber (may switch) or any other thread (may block). Returns 0 or
 * -EPIPE (the channel is closed and empty); tryreceive also -EAGAIN.
 */
int uf_channel_receive(struct uf_channel *channel, void *value);
int uf_channel_receive_until(struct uf_channel *channel, void *value,
			     uint64_t deadline);
int uf_channel_tryreceive(struct uf_channel *channel, void *value);

/**
 * uf_channel_close - let nothing more be sent
 *
 * What the channel holds can still be received. All that wait go on with -EPIPE.
 * Context: any; never switches. Returns 0 or -EPIPE (it is closed already).
 */
int uf_channel_close(struct uf_channel *channel);

/**
 * uf_channel_length - how many values it holds that nobody has received yet
 *
 * True for the moment only. Context: any; never switches. Returns the number.
 */
size_t uf_channel_length(struct uf_channel *channel);

/**
 * uf_channel_capacity - how many it can hold
 *
 * Context: any; never switches. Returns what it was made with.
 */
size_t uf_channel_capacity(const struct uf_channel *channel);

/* ----------------------------------------------------------------- select */

/* What a case of a select waits for. */
enum uf_op {
	UF_SEND = 1,
	UF_RECEIVE,
	UF_EVENT,
	UF_TICK,
};

/**
 * struct uf_case - one of the things that a select waits for
 * @op: which of those below; what the call in brackets would do.
 * @channel: for UF_SEND (uf_channel_send()), UF_RECEIVE (uf_channel_receive()).
 * @event: for UF_EVENT (uf_event_wait()).
 * @ticker: for UF_TICK (uf_ticker_wait()).
 *	NULL, whichever: this case never comes.
 * @value: what to send, or where to store what is received; for UF_TICK where to
 *	store the number of ticks, a uint64_t, or NULL.
 * @error: set by the select, of the case that has come: 0, or -EPIPE (closed, or
 *	stopped). That is an end of the wait, too.
 * @waiter: private, as are the next two.
 */
struct uf_case {
	enum uf_op op;
	union {
		struct uf_channel *channel;
		struct uf_event *event;
		struct uf_ticker *ticker;
	};
	void *value;
	int error;
	struct uf_waiter waiter;
	uint32_t *guard;
	struct uf_case *next;
};

/**
 * uf_select - wait until one of several things can be done, and do it
 * @cases: the things; the same channel may be in several, but a select does not
 *	send to itself.
 * @n: how many. With none this waits for the deadline.
 *
 * One of them is done, none of the others. If several can be done at once each
 * has the same chance. Its cost grows with @n.
 *
 * Context: a fiber (may switch) or any other thread (may block). Returns the index
 * of the case that has come, with its error set, or -EINVAL (a case makes no sense);
 * the _until form also -ETIMEDOUT: with a deadline of 0 it only tries.
 */
int uf_select(struct uf_case *cases, unsigned int n);
int uf_select_until(struct uf_case *cases, unsigned int n, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_CHANNEL_H */

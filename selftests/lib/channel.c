// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The channel. */
#include "sync_test.h"

TEST(misuse)
{
	struct uf_channel channel, *made = NULL;
	char ring[8];

	EXPECT_EQ(-EINVAL, uf_channel_init(&channel, 8, 1, NULL));
	EXPECT_EQ(-EINVAL,
		  uf_channel_init(&channel, UF_CHANNEL_VALUE_MAX + 1, 0, NULL));
	EXPECT_EQ(-EINVAL, uf_channel_init(&channel, 16, SIZE_MAX / 8, ring));
	EXPECT_EQ(-EINVAL,
		  uf_channel_create(&made, UF_CHANNEL_VALUE_MAX + 1, 0));
	EXPECT_EQ(-EINVAL, uf_channel_create(&made, 0, SIZE_MAX));
	EXPECT_EQ(-ENOMEM, uf_channel_create(&made, 1024, SIZE_MAX / 8));
	EXPECT_EQ(NULL, made);
	EXPECT_EQ(0, uf_channel_destroy(NULL));
	ASSERT_EQ(0, uf_channel_init(&channel, 8, 1, ring));
	EXPECT_EQ(-EINVAL, uf_channel_destroy(&channel));
}

static void use_buffered(struct __test_metadata *_metadata)
{
	struct uf_channel *channel;
	int round, i, value;

	ASSERT_EQ(0, uf_channel_create(&channel, sizeof(int), 3));
	EXPECT_EQ(3, uf_channel_capacity(channel));
	for (round = 0; round < 4; round++) {
		EXPECT_EQ(-EAGAIN, uf_channel_tryreceive(channel, &value));
		EXPECT_EQ(-ETIMEDOUT,
			  uf_channel_receive_until(channel, &value, 0));
		EXPECT_EQ(-ETIMEDOUT,
			  uf_channel_receive_until(channel, &value,
						   uf_now() + 100000));
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(i, uf_channel_length(channel));
			EXPECT_EQ(0, uf_channel_send_until(channel, &i, 0));
		}
		EXPECT_EQ(-EAGAIN, uf_channel_trysend(channel, &i));
		EXPECT_EQ(-ETIMEDOUT, uf_channel_send_until(channel, &i, 0));
		EXPECT_EQ(-ETIMEDOUT,
			  uf_channel_send_until(channel, &i, uf_now() + 100000));
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(0, uf_channel_receive(channel, &value));
			EXPECT_EQ(i, value);
		}
		/* So that the ring's start moves. */
		EXPECT_EQ(0, uf_channel_trysend(channel, &i));
		EXPECT_EQ(0, uf_channel_tryreceive(channel, &value));
		EXPECT_EQ(3, value);
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, uf_channel_send(channel, &i));
	EXPECT_EQ(0, uf_channel_close(channel));
	EXPECT_EQ(-EPIPE, uf_channel_close(channel));
	EXPECT_EQ(-EPIPE, uf_channel_send(channel, &i));
	EXPECT_EQ(-EPIPE, uf_channel_trysend(channel, &i));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, uf_channel_receive(channel, &value));
		EXPECT_EQ(i, value);
	}
	value = 77;
	EXPECT_EQ(-EPIPE, uf_channel_receive(channel, &value));
	EXPECT_EQ(-EPIPE, uf_channel_tryreceive(channel, &value));
	EXPECT_EQ(-EPIPE, uf_channel_receive_until(channel, &value, 0));
	EXPECT_EQ(77, value);
	EXPECT_EQ(0, uf_channel_destroy(channel));
}

TEST(buffered_outside)
{
	use_buffered(_metadata);
}

FIBER_TEST(buffered_inside, 1)
{
	use_buffered(_metadata);
}

/* Values of no size, of more than one word, of an odd size. */
FIBER_TEST(sizes, 1)
{
	static const size_t size[] = { 0, 1,  3,   7,
				       8, 24, 100, UF_CHANNEL_VALUE_MAX };
	unsigned char in[UF_CHANNEL_VALUE_MAX], out[UF_CHANNEL_VALUE_MAX + 1];
	struct uf_channel *channel;
	unsigned int i, j;

	for (i = 0; i < sizeof(in); i++)
		in[i] = i * 31 + 1;
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		memset(out, 0xee, sizeof(out));
		ASSERT_EQ(0, uf_channel_create(&channel, size[i], 2));
		for (j = 0; j < 2; j++)
			ASSERT_EQ(0,
				  uf_channel_send(channel, size[i] ? in : NULL));
		for (j = 0; j < 2; j++)
			ASSERT_EQ(0, uf_channel_receive(channel,
							size[i] ? out : NULL));
		EXPECT_EQ(0, memcmp(in, out, size[i]));
		EXPECT_EQ(0xee, out[size[i]]);
		EXPECT_EQ(-EAGAIN, uf_channel_tryreceive(channel, out));
		ASSERT_EQ(0, uf_channel_destroy(channel));
	}
}

struct pass {
	struct uf_channel channel;
	int next;
	int order[8];
	int value[8];
};

static void *receive_in_line(void *arg)
{
	struct pass *pass = arg;
	int self = *uf_name(NULL) - '0';
	int error = uf_channel_receive(&pass->channel, &pass->value[self]);

	pass->order[pass->next++] = self;
	return (void *)(intptr_t)error;
}

static void *send_in_line(void *arg)
{
	struct pass *pass = arg;
	int self = *uf_name(NULL) - '0';

	return (void *)(intptr_t)uf_channel_send(&pass->channel, &self);
}

static void line_up(struct __test_metadata *_metadata, struct pass *pass,
		    struct uf_fiber *fiber[8], void *(*start)(void *arg),
		    struct uf_waitq *queue)
{
	struct uf_attr attr = UF_ATTR_INIT;
	char name[2] = "";
	int i;

	for (i = 0; i < 8; i++) {
		name[0] = '0' + i;
		attr.name = name;
		ASSERT_EQ(0, uf_create(NULL, &fiber[i], &attr, start, pass));
		await_waiting(&pass->channel.guard, queue, i + 1);
	}
}

/* The value is there, and the sender goes on, before the receiver runs. */
FIBER_TEST(receivers_in_order, 1)
{
	struct uf_fiber *fiber[8];
	struct pass pass = { 0 };
	int i, value;

	ASSERT_EQ(0, uf_channel_init(&pass.channel, sizeof(int), 0, NULL));
	line_up(_metadata, &pass, fiber, receive_in_line,
		&pass.channel.receivers);
	for (i = 0; i < 8; i++) {
		value = 100 + i;
		ASSERT_EQ(0, uf_channel_trysend(&pass.channel, &value));
		EXPECT_EQ(100 + i, pass.value[i]);
		EXPECT_EQ(i, pass.next);
		uf_yield();
	}
	EXPECT_EQ(-EAGAIN, uf_channel_trysend(&pass.channel, &value));
	for (i = 0; i < 8; i++)
		JOIN(fiber[i]);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i, pass.order[i]);
}

/* Unbuffered, and with room for some of the values: those that wait come after. */
FIBER_TEST(senders_in_order, 1)
{
	struct uf_fiber *fiber[8];
	struct pass pass = { 0 };
	int ring[3], early, value, i;

	for (early = 0; early <= 3; early += 3) {
		ASSERT_EQ(0, uf_channel_init(&pass.channel, sizeof(int), early,
					     ring));
		for (i = 0; i < early; i++)
			ASSERT_EQ(0, uf_channel_send(&pass.channel, &i));
		line_up(_metadata, &pass, fiber, send_in_line,
			&pass.channel.senders);
		EXPECT_EQ(early, uf_channel_length(&pass.channel));
		for (i = 0; i < early; i++) {
			ASSERT_EQ(0, uf_channel_receive(&pass.channel, &value));
			EXPECT_EQ(i, value);
		}
		for (i = 0; i < 8; i++) {
			ASSERT_EQ(0, uf_channel_receive(&pass.channel, &value));
			EXPECT_EQ(i, value);
		}
		EXPECT_EQ(-EAGAIN, uf_channel_tryreceive(&pass.channel, &value));
		for (i = 0; i < 8; i++)
			JOIN(fiber[i]);
	}
}

FIBER_TEST(close_ends_waits, 2)
{
	struct uf_fiber *fiber[8];
	struct pass pass = { 0 };
	void *error;
	int i, send;

	for (send = 0; send < 2; send++) {
		ASSERT_EQ(0,
			  uf_channel_init(&pass.channel, sizeof(int), 0, NULL));
		line_up(_metadata, &pass, fiber,
			send ? send_in_line : receive_in_line,
			send ? &pass.channel.senders : &pass.channel.receivers);
		ASSERT_EQ(0, uf_channel_close(&pass.channel));
		for (i = 0; i < 8; i++) {
			ASSERT_EQ(0, uf_join(fiber[i], &error));
			EXPECT_EQ(-EPIPE, (intptr_t)error);
		}
	}
}

static void *receive_one(void *arg)
{
	int value;

	return (void *)(intptr_t)uf_channel_receive(arg, &value);
}

FIBER_TEST(destroy_of_waited_for, 1)
{
	struct uf_channel *channel;
	struct uf_fiber *fiber;

	ASSERT_EQ(0, uf_channel_create(&channel, sizeof(int), 0));
	CREATE(&fiber, receive_one, channel);
	await_waiting(&channel->guard, &channel->receivers, 1);
	EXPECT_EQ(-EBUSY, uf_channel_destroy(channel));
	ASSERT_EQ(0, uf_channel_close(channel));
	JOIN(fiber);
	EXPECT_EQ(0, uf_channel_destroy(channel));
}

/*
 * Half of the crowd sends, half receives, some with deadlines: all that was sent
 * arrives, once, and what one sent in its order.
 */
struct post {
	struct uf_channel *channel;
	atomic_uint role;
	atomic_uint senders;
	atomic_ulong sent;
	atomic_ulong sum_sent;
	atomic_ulong received;
	atomic_ulong sum_received;
};

struct letter {
	uint32_t from;
	uint32_t number;
};

#define LETTERS 4000

static void send_all(struct post *post, uint32_t from)
{
	struct letter letter = { .from = from };
	unsigned int i;
	int error;

	for (i = 0; i < LETTERS; i++) {
		error = uf_channel_send_until(post->channel, &letter,
					      some_deadline(i));
		if (error) {
			MUST(error == -ETIMEDOUT);
			continue;
		}
		atomic_fetch_add(&post->sent, 1);
		atomic_fetch_add(&post->sum_sent, letter.number);
		letter.number++;
	}
	if (atomic_fetch_sub(&post->senders, 1) == 1)
		MUST(!uf_channel_close(post->channel));
}

static void receive_all(struct post *post)
{
	int64_t last[CROWD];
	struct letter letter;
	unsigned int i;
	int error;

	memset(last, 0xff, sizeof(last));
	for (i = 0;; i++) {
		error = uf_channel_receive_until(post->channel, &letter,
						 some_deadline(i));
		if (error == -EPIPE)
			return;
		if (error) {
			MUST(error == -ETIMEDOUT);
			continue;
		}
		MUST(letter.from < CROWD && letter.number > last[letter.from]);
		last[letter.from] = letter.number;
		atomic_fetch_add(&post->received, 1);
		atomic_fetch_add(&post->sum_received, letter.number);
	}
}

static void *send_or_receive(void *arg)
{
	struct post *post = arg;
	unsigned int role = atomic_fetch_add(&post->role, 1);

	if (role % 2)
		send_all(post, role);
	else
		receive_all(post);
	return NULL;
}

TEST(storm)
{
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(crowd_servers); i++) {
		struct post post = { .senders = CROWD / 2 };

		ASSERT_EQ(0, uf_channel_create(&post.channel,
					       sizeof(struct letter),
					       i % 2 ? 3 : 0));
		run_crowd(_metadata, crowd_servers[i / 2], send_or_receive,
			  &post);
		EXPECT_LT(0, post.sent);
		EXPECT_EQ(post.sent, post.received);
		EXPECT_EQ(post.sum_sent, post.sum_received);
		EXPECT_EQ(0, uf_channel_destroy(post.channel));
	}
}

/* Numbers go through a row of channels, each fiber letting one kind through. */
struct filter {
	struct uf_channel *in, *out;
	int prime;
};

static void *filter(void *arg)
{
	struct filter *f = arg;
	int n;

	while (!uf_channel_receive(f->in, &n))
		if (n % f->prime)
			MUST(!uf_channel_send(f->out, &n));
	MUST(!uf_channel_close(f->out));
	return NULL;
}

static void *count_up(void *arg)
{
	int n;

	for (n = 2; n < 500; n++)
		MUST(!uf_channel_send(arg, &n));
	MUST(!uf_channel_close(arg));
	return NULL;
}

static void sieve(struct __test_metadata *_metadata, size_t capacity)
{
	struct uf_fiber *fiber[100];
	struct filter f[100];
	struct uf_channel *channel;
	int nr = 0, n, i;

	ASSERT_EQ(0, uf_channel_create(&channel, sizeof(int), capacity));
	CREATE(&fiber[99], count_up, channel);
	while (!uf_channel_receive(channel, &n)) {
		f[nr] = (struct filter){ .in = channel, .prime = n };
		ASSERT_EQ(0, uf_channel_create(&channel, sizeof(int), capacity));
		f[nr].out = channel;
		CREATE(&fiber[nr], filter, &f[nr]);
		ASSERT_GT(99, ++nr);
	}
	JOIN(fiber[99]);
	for (i = 0; i < nr; i++)
		JOIN(fiber[i]);
	for (i = 0; i < nr; i++)
		EXPECT_EQ(0, uf_channel_destroy(f[i].in));
	EXPECT_EQ(0, uf_channel_destroy(channel));
	EXPECT_EQ(95, nr);
	EXPECT_EQ(499, f[nr - 1].prime);
}

FIBER_TEST(sieve_one_server, 1)
{
	sieve(_metadata, 0);
}

FIBER_TEST(sieve_four_servers, 4)
{
	sieve(_metadata, 0);
	sieve(_metadata, 4);
}

static void *send_one(void *arg)
{
	int value = 1;

	return (void *)(intptr_t)uf_channel_send(arg, &value);
}

/* What is not sent does not arrive. */
FIBER_TEST(cancel, 2)
{
	struct uf_channel channel;
	int value;

	ASSERT_EQ(0, uf_channel_init(&channel, sizeof(int), 0, NULL));
	EXPECT_EQ(-ECANCELED, cancelled_in(_metadata, receive_one, &channel,
					   &channel.guard, &channel.receivers));
	EXPECT_EQ(-EAGAIN, uf_channel_trysend(&channel, &value));
	EXPECT_EQ(-ECANCELED, cancelled_in(_metadata, send_one, &channel,
					   &channel.guard, &channel.senders));
	EXPECT_EQ(-EAGAIN, uf_channel_tryreceive(&channel, &value));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Producer and consumer with no lock: two coroutines that pass the processor to each
 * other when the buffer is full, and when it is empty. Only one of them runs at a
 * time, so the buffer is plain memory.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <ufiber.h>

static const char usage[] =
	"usage: producer [--items N] [--buffer N]\n"
	"\n"
	"A producer and a consumer share a buffer and no lock: each is a coroutine\n"
	"and passes the processor to the other when it can do no more.\n"
	"\n"
	"  --items N   how many are passed (1000)\n"
	"  --buffer N  how many the buffer holds (8)\n"
	"\n"
	"exit status: 0 all came, in order, 1 not so, 2 usage\n";

struct exchange {
	struct uf_coro *producer;
	struct uf_coro *consumer;
	unsigned long *buffer;
	unsigned long used;
	unsigned long capacity;
	unsigned long items;
	unsigned long came; /* in order */
	unsigned long switches;
	bool done;
};

static void *produce(struct uf_coro *self, void *arg, void *value)
{
	struct exchange *x = arg;
	unsigned long i;

	(void)value;
	for (i = 0; i < x->items; i++) {
		if (x->used == x->capacity) {
			x->switches++;
			if (uf_coro_transfer(self, x->consumer, NULL, NULL))
				return NULL;
		}
		x->buffer[x->used++] = i;
	}
	x->done = true;
	x->switches++;
	/* The consumer ends first, so this comes back when it is cancelled. */
	uf_coro_transfer(self, x->consumer, NULL, NULL);
	return NULL;
}

static void *consume(struct uf_coro *self, void *arg, void *value)
{
	struct exchange *x = arg;
	unsigned long i;

	(void)value;
	for (;;) {
		for (i = 0; i < x->used; i++)
			x->came += x->buffer[i] == x->came;
		x->used = 0;
		if (x->done)
			return NULL;
		x->switches++;
		if (uf_coro_transfer(self, x->producer, NULL, NULL))
			return NULL;
	}
}

int main(int argc, char **argv)
{
	struct exchange x = { .items = 1000, .capacity = 8 };
	const struct number numbers[] = {
		{ "items", &x.items, 1, 1000000000 },
		{ "buffer", &x.capacity, 1, 1000000 },
		{ NULL, NULL, 0, 0 },
	};

	no_arguments(argc, argv, options(argc, argv, usage, numbers));
	x.buffer = room(x.capacity, sizeof(*x.buffer));
	must(uf_coro_create(&x.producer, NULL, produce, &x), "producer");
	must(uf_coro_create(&x.consumer, NULL, consume, &x), "consumer");
	/* Comes back when the consumer has ended. */
	must(uf_coro_resume(x.producer, NULL, NULL), "resume");
	must(uf_coro_cancel(x.producer, NULL), "cancel");
	must(uf_coro_destroy(x.producer), "destroy");
	must(uf_coro_destroy(x.consumer), "destroy");
	free(x.buffer);
	printf("%lu of %lu items came in order, with %lu switches and no lock\n",
	       x.came, x.items, x.switches);
	return x.came != x.items;
}

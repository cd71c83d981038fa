// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A generator with two consumers: each item goes to one of them. A coroutine is data
 * without a lock, so two fibers that may run at the same time share it by a mutex.
 */
#include "options.h"

#include <stdio.h>
#include <ufiber.h>

static const char usage[] =
	"usage: consumers [--items N] [--servers N]\n"
	"\n"
	"Two fibers take the items 1 to N of one generator.\n"
	"\n"
	"  --items N    how many items there are (1000)\n"
	"  --servers N  how many fibers can run at a time (2)\n"
	"\n"
	"exit status: 0 each item went to one of them, 1 not so, 2 usage\n";

static unsigned long items = 1000, servers = 2;
static struct uf_coro *numbers_1_to_n;
static struct uf_mutex mutex = UF_MUTEX_INIT;

struct consumer {
	unsigned long taken;
	unsigned long sum;
	unsigned long last;
	bool in_order;
};

static void *count(struct uf_coro *self, void *arg, void *value)
{
	unsigned long i;

	(void)arg;
	(void)value;
	for (i = 1; i <= items; i++)
		if (uf_coro_yield(self, (void *)i, NULL))
			break;
	return NULL;
}

static void *consume(void *arg)
{
	struct consumer *me = arg;
	void *item;
	int more;

	me->in_order = true;
	for (;;) {
		must(uf_mutex_lock(&mutex), "lock");
		more = uf_gen_next(numbers_1_to_n, &item);
		must(uf_mutex_unlock(&mutex), "unlock");
		must(more, "next");
		if (!more)
			return NULL;
		me->taken++;
		me->sum += (unsigned long)item;
		me->in_order &= (unsigned long)item > me->last;
		me->last = (unsigned long)item;
		uf_yield();
	}
}

static void *run(void *arg)
{
	struct consumer *consumers = arg;
	struct uf_fiber *fibers[2];
	int i;

	must(uf_coro_create(&numbers_1_to_n, NULL, count, NULL), "generator");
	for (i = 0; i < 2; i++)
		must(uf_create(NULL, &fibers[i], NULL, consume, &consumers[i]),
		     "fiber");
	for (i = 0; i < 2; i++)
		must(uf_join(fibers[i], NULL), "join");
	must(uf_gen_close(numbers_1_to_n), "close");
	return NULL;
}

int main(int argc, char **argv)
{
	const struct number numbers[] = {
		{ "items", &items, 1, 1000000000 },
		{ "servers", &servers, 1, 256 },
		{ NULL, NULL, 0, 0 },
	};
	struct consumer c[2] = { { 0, 0, 0, false }, { 0, 0, 0, false } };
	struct uf_config config = UF_CONFIG_INIT;
	bool right;

	no_arguments(argc, argv, options(argc, argv, usage, numbers));
	config.servers = servers;
	must(uf_run(&config, run, c, NULL), "consumers");
	right = c[0].taken + c[1].taken == items && c[0].in_order &&
		c[1].in_order && c[0].sum + c[1].sum == items * (items + 1) / 2;
	printf("of %lu items one took %lu, the other %lu; %s\n", items,
	       c[0].taken, c[1].taken,
	       right ? "each item once, in order" :
		       "WRONG: items were lost, or taken twice");
	return !right;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdio.h>
#include <ufiber.h>

#define WORKERS 4

struct plant {
	struct uf_channel *jobs;
	struct uf_channel *results;
	struct uf_waitgroup workers;
};

static void *work(void *arg)
{
	struct plant *plant = arg;
	int n;

	while (!uf_channel_receive(plant->jobs, &n)) {
		uf_sleep(50000000);
		n *= n;
		uf_channel_send(plant->results, &n);
	}
	uf_waitgroup_done(&plant->workers);
	return NULL;
}

static void *give_out(void *arg)
{
	struct plant *plant = arg;
	int n;

	for (n = 1; n <= 20; n++)
		uf_channel_send(plant->jobs, &n);
	uf_channel_close(plant->jobs);
	uf_waitgroup_wait(&plant->workers);
	uf_channel_close(plant->results);
	return NULL;
}

static int collect(struct plant *plant)
{
	struct uf_ticker ticker;
	int n, sum = 0;
	struct uf_case cases[] = {
		{ .op = UF_RECEIVE, .channel = plant->results, .value = &n },
		{ .op = UF_TICK, .ticker = &ticker },
	};

	uf_ticker_init(&ticker, 100000000, 0);
	for (;;) {
		if (uf_select(cases, 2) == 1)
			printf("so far %d\n", sum);
		else if (cases[0].error)
			return sum;
		else
			sum += n;
	}
}

static void *run(void *arg)
{
	struct plant plant = { 0 };
	struct uf_attr attr = UF_ATTR_INIT;
	int i;

	attr.flags = UF_DETACHED;
	if (uf_channel_create(&plant.jobs, sizeof(int), 0) ||
	    uf_channel_create(&plant.results, sizeof(int), WORKERS))
		return arg;
	uf_waitgroup_add(&plant.workers, WORKERS);
	for (i = 0; i < WORKERS; i++)
		uf_create(NULL, NULL, &attr, work, &plant);
	uf_create(NULL, NULL, &attr, give_out, &plant);
	printf("all in all %d\n", collect(&plant));
	uf_channel_destroy(plant.jobs);
	uf_channel_destroy(plant.results);
	return NULL;
}

int main(void)
{
	return uf_run(NULL, run, NULL, NULL) ? 1 : 0;
}

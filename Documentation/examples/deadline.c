// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <errno.h>
#include <stdio.h>
#include <ufiber.h>

#define MS 1000000ULL

static void *run(void *arg)
{
	struct uf_event event = UF_EVENT_INIT; /* nobody will set it */
	struct uf_ticker ticker;
	uint64_t ticks, all = 0;

	if (uf_event_wait_until(&event, uf_now() + 5 * MS) == -ETIMEDOUT)
		puts("it did not come");

	uf_ticker_init(&ticker, 2 * MS, 0);
	while (all < 10) {
		uf_ticker_wait(&ticker, &ticks); /* more than 1 if we were late */
		all += ticks;
	}
	puts("10 ticks, or some more");
	return arg;
}

int main(void)
{
	return uf_run(NULL, run, NULL, NULL) ? 1 : 0;
}

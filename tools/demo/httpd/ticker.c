// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The ticker: what a neighbour sees of fibers that block.
 */
#include <math.h>
#include <string.h>

#include "ticker.h"

#define TICK_NS NSEC_PER_MSEC

static unsigned int bucket_of(uint64_t value)
{
	unsigned int shift;

	if (value < 2U << HIST_BITS)
		return value;
	shift = 63 - __builtin_clzll(value) - HIST_BITS;
	return (shift << HIST_BITS) + (value >> shift);
}

/* The highest value that falls into a bucket. */
static uint64_t bucket_top(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2U << HIST_BITS)
		return bucket;
	shift = (bucket >> HIST_BITS) - 1;
	return ((bucket - ((uint64_t)shift << HIST_BITS) + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->count++;
	if (value > h->max)
		h->max = value;
	h->buckets[bucket_of(value)]++;
}

/* The least value that a share q of all values does not exceed. */
uint64_t histogram_quantile(const struct histogram *h, double q)
{
	uint64_t rank = ceil(q * h->count), seen = 0;

	for (unsigned int i = 0; i < HIST_SIZE; i++) {
		seen += h->buckets[i];
		if (seen >= rank && seen) {
			uint64_t top = bucket_top(i);

			return top < h->max ? top : h->max;
		}
	}
	return h->max;
}

/*
 * Every tick counts: those that passed while the fiber could not run are late
 * too, each by its own time.
 */
void *ticker_run(void *arg)
{
	struct ticker *ticker = arg;
	uint64_t due = uf_now() + TICK_NS;

	while (!atomic_load(&ticker->stop)) {
		uint64_t now;

		uf_sleep_until(due);
		now = uf_now();
		if (atomic_exchange(&ticker->reset, false))
			memset(&ticker->lateness, 0, sizeof(ticker->lateness));
		for (; due <= now; due += TICK_NS)
			histogram_add(&ticker->lateness, now - due);
	}
	return NULL;
}

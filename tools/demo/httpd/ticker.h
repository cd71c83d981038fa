/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A fiber that wants to run every millisecond, and how late it did.
 */
#ifndef TICKER_H
#define TICKER_H

#include "httpd.h"

/*
 * A histogram of nanoseconds: 32 buckets to each power of two, so a value read
 * from it is at most 3 % more than the true one.
 */
#define HIST_BITS 5
#define HIST_SIZE ((65 - HIST_BITS) << HIST_BITS)

struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[HIST_SIZE];
};

void histogram_add(struct histogram *h, uint64_t value);
uint64_t histogram_quantile(const struct histogram *h, double q);

struct ticker {
	atomic_bool stop;
	atomic_bool reset;
	struct histogram lateness; /* the fiber's until it has ended */
};

void *ticker_run(void *ticker);

#endif /* TICKER_H */

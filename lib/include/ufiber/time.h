/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Time. The conventions are told in ufiber.h. */
#ifndef UFIBER_TIME_H
#define UFIBER_TIME_H

#include <ufiber/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * uf_now - the time now
 *
 * Context: any; never switches. Returns nanoseconds of CLOCK_MONOTONIC.
 */
uint64_t uf_now(void);

/**
 * uf_sleep_until - park until a time has come
 * @deadline: that time; one that has passed only yields.
 *
 * Fiber only; may switch. Returns 0 or -EPERM.
 */
int uf_sleep_until(uint64_t deadline);

/**
 * uf_sleep - park for a while
 * @ns: nanoseconds from now.
 *
 * Fiber only; may switch. Returns as uf_sleep_until().
 */
int uf_sleep(uint64_t ns);

/* ----------------------------------------------------------------- ticker */

/**
 * struct uf_ticker - times that come one period after the other
 *
 * They do not drift: however late a tick is taken, the next is due a period after
 * the time that this one was due. While nobody waits a ticker is a number in memory
 * and costs nothing. Needs no destruction. Fields are private.
 */
struct uf_ticker {
	uint32_t guard;
	bool stopped;
	uint64_t period;
	uint64_t next;
	struct uf_waitq waiters;
};

/**
 * uf_ticker_init - start a ticker
 * @ticker: the ticker.
 * @period: nanoseconds from one tick to the next.
 * @first: when the first is due; 0 means a period from now.
 *
 * Context: any. Returns 0 or -EINVAL (@period is 0).
 */
int uf_ticker_init(struct uf_ticker *ticker, uint64_t period, uint64_t first);

/**
 * uf_ticker_wait - wait for the next tick, or take those that have come
 * @ticker: the ticker.
 * @ticks: where to store how many have come since the last that was taken, at least
 *	1: more if they were missed; or NULL.
 *
 * A tick is taken once: of several that wait one gets it. May be waited for in
 * uf_select(). Context: a fiber (may
 * switch) or any other thread (may block). Returns 0 or -EPIPE (it was stopped);
 * the _until form also -ETIMEDOUT: with a deadline of 0 it only tries.
 */
int uf_ticker_wait(struct uf_ticker *ticker, uint64_t *ticks);
int uf_ticker_wait_until(struct uf_ticker *ticker, uint64_t *ticks,
			 uint64_t deadline);

/**
 * uf_ticker_stop - let no tick come any more
 *
 * All that wait go on with -EPIPE. Context: any; never switches. Returns 0 or
 * -EPIPE (it was stopped before).
 */
int uf_ticker_stop(struct uf_ticker *ticker);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_TIME_H */

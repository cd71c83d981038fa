// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The ticker: when the next tick is due. Who waits does so until then, and looks
 * again. No timer runs for it; it is in no heap, and whoever stops it finds those
 * that wait in its queue.
 */
#include <errno.h>

#include "select.h"

int uf_ticker_init(struct uf_ticker *ticker, uint64_t period, uint64_t first)
{
	uint64_t now = uf_now();

	UF_CHECK_GIVEN(ticker);
	if (!period)
		return -EINVAL;
	if (!first)
		first = period < UF_FOREVER - now ? now + period : UF_FOREVER;
	*ticker = (struct uf_ticker){ .period = period, .next = first };
	uf_check_born(UF_KIND_TICKER, ticker);
	return 0;
}

/* Take those that have come; the guard is held. */
int uf_ticker_try(struct uf_ticker *ticker, uint64_t *ticks)
{
	uint64_t now, n;

	if (ticker->stopped)
		return -EPIPE;
	now = uf_now();
	if (now < ticker->next)
		return -EAGAIN;
	n = (now - ticker->next) / ticker->period + 1;
	if (ticker->period < UF_FOREVER - now)
		ticker->next += n * ticker->period;
	else
		ticker->next = UF_FOREVER;
	if (ticks)
		*ticks = n;
	return 0;
}

/* The guard is held, and released. Returns -EAGAIN if a tick may be due. */
static int wait_for_tick(struct uf_thread **t, struct uf_ticker *ticker,
			 uint64_t deadline)
{
	uint64_t next = ticker->next;
	struct uf_waiter waiter;
	int error;

	error = uf_wait_on(t, UF_WHAT("ticker", struct uf_ticker),
			   &ticker->guard, &ticker->waiters, &waiter,
			   next < deadline ? next : deadline);
	/* It can have been a scope's deadline. */
	return error == -ETIMEDOUT && next <= uf_now() ? -EAGAIN : error;
}

int uf_ticker_wait_until(struct uf_ticker *ticker, uint64_t *ticks,
			 uint64_t deadline)
{
	struct uf_thread *t;
	uint64_t n = 0;
	int error;

	UF_CHECK(TICKER, ticker);
	t = uf_enter();
	do {
		uf_spin_lock(&ticker->guard);
		error = uf_ticker_try(ticker, &n);
		if (error == -EAGAIN)
			error = wait_for_tick(&t, ticker, deadline);
		else
			uf_spin_unlock(&ticker->guard);
	} while (error == -EAGAIN);
	uf_leave(t);
	if (!error && ticks)
		*ticks = n;
	return error;
}

int uf_ticker_wait(struct uf_ticker *ticker, uint64_t *ticks)
{
	UF_CHECK(TICKER, ticker);
	return uf_ticker_wait_until(ticker, ticks, UF_FOREVER);
}

int uf_ticker_stop(struct uf_ticker *ticker)
{
	struct uf_thread *t;
	struct uf_waitq claimed;
	int error;

	UF_CHECK(TICKER, ticker);
	t = uf_enter();
	uf_spin_lock(&ticker->guard);
	error = ticker->stopped ? -EPIPE : 0;
	ticker->stopped = true;
	claimed = uf_waitq_claim_all(&ticker->waiters, -EPIPE);
	uf_spin_unlock(&ticker->guard);
	uf_wait_wake_all(t, &claimed);
	uf_leave(t);
	return error;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What can be waited for in a select: how to try it with its guard held. These
 * return -EAGAIN if there is to be waited, else the result of the operation.
 */
#ifndef UF_SELECT_H
#define UF_SELECT_H

#include "wait.h"

/*
 * @partner: who waited for this, or NULL; its wait is claimed, so after the guard has
 * been released it is to be woken.
 */
int uf_channel_try_send(struct uf_channel *channel, const void *value,
			struct uf_waiter **partner);
int uf_channel_try_receive(struct uf_channel *channel, void *value,
			   struct uf_waiter **partner);
int uf_event_try(struct uf_event *event);
int uf_ticker_try(struct uf_ticker *ticker, uint64_t *ticks);

#endif /* UF_SELECT_H */

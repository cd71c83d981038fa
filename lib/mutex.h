/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the condition variable does with the mutex. */
#ifndef UF_MUTEX_H
#define UF_MUTEX_H

#include "wait.h"

bool uf_mutex_is_owned(const struct uf_mutex *mutex, void *self);
void uf_mutex_release(struct uf_thread *t, struct uf_mutex *mutex, void *self);
void uf_mutex_requeue(struct uf_thread *t, struct uf_mutex *mutex,
		      struct uf_waiter *waiter);
void uf_mutex_relock(struct uf_thread **t, struct uf_mutex *mutex, void *self);

#endif /* UF_MUTEX_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A server's inbox: fibers that were made ready by those who do not hold it. */
#ifndef UF_INBOX_H
#define UF_INBOX_H

#include "internal.h"

/* inbox.c */
void uf_inbox_put(struct uf_runtime *rt, struct uf_thread *t,
		  struct uf_fiber *fiber);
void uf_inbox_sort(struct uf_server *s);
unsigned int uf_inbox_steal(struct uf_server *victim, struct uf_server *s);

static inline bool uf_inbox_has_some(const struct uf_server *s)
{
	return (uintptr_t)READ_ONCE(s->inbox) |
	       (uintptr_t)READ_ONCE(s->pinned_inbox);
}

/* The holder's way: all into the run queue. */
static inline void uf_inbox_empty(struct uf_server *s)
{
	if (unlikely(uf_inbox_has_some(s)))
		uf_inbox_sort(s);
}

#endif /* UF_INBOX_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Dumps, and who asks for them. */
#ifndef UF_DEBUG_H
#define UF_DEBUG_H

#include "internal.h"

/* dump.c; the list of runtimes is locked. */
void uf_dump_runtime(struct uf_runtime *rt, int fd);
bool uf_is_live(const struct uf_runtime *rt, const struct uf_fiber *fiber);

/* fiber.c: uf_state() of one that may be gone. */
enum uf_state uf_state_of(const struct uf_fiber *fiber);

/* deadlock.c; the list of runtimes is locked. */
void uf_find_deadlock(struct uf_runtime *rt, int fd);

#endif /* UF_DEBUG_H */

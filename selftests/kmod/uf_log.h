/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A log of all events of a domain with WATCH, kept by a thread that waits for them
 * by poll(), and what they say of the counts. The cookie of a registration must be
 * its number.
 */
#ifndef UF_LOG_H
#define UF_LOG_H

#include "uf_lib.h"

struct uf_log;

struct uf_log *uf_log_start(struct uf_dom *d);		/* NULL: no memory */
void uf_log_stop(struct uf_log *log);
/* Wait until all that has been written so far is in it. */
bool uf_log_catch_up(struct uf_log *log);
/* That thread's counts are what its events say. */
bool uf_log_thread_agrees(struct uf_log *log, __u32 id, __u64 cookie, bool blocked,
			  char *why, size_t len);
/* The servers' are, all together; and no event was out of place. */
bool uf_log_servers_agree(struct uf_log *log, char *why, size_t len);

#endif /* UF_LOG_H */

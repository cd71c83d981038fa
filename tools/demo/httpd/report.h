/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The figures of a run: what was counted between two marks.
 */
#ifndef REPORT_H
#define REPORT_H

#include "httpd.h"
#include "ticker.h"

struct mark {
	uint64_t time;
	struct uf_stats stats;
};

void report_mark(struct server *s, struct mark *mark);
void report_reset(struct server *s, struct ticker *ticker, struct mark *mark);
int report_save(struct server *s, const struct ticker *t,
		const struct mark *from, const struct mark *to);

#endif /* REPORT_H */

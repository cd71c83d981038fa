/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The figures of a run: what was counted from its start to its end.
 */
#ifndef REPORT_H
#define REPORT_H

#include "httpd.h"
#include "ticker.h"

struct report {
	struct ticker ticker;
	bool ended;
	uint64_t start;
	uint64_t end;
	struct uf_stats before;
	struct uf_stats after;
	unsigned long replies[STATUS_MAX];
};

void report_start(struct server *s, struct report *report);
void report_end(struct server *s, struct report *report);
int report_save(struct server *s, const struct report *report);

#endif /* REPORT_H */

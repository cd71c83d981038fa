// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The figures of a run, as JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blocks.h"
#include "report.h"

void report_mark(struct server *s, struct mark *mark)
{
	mark->time = uf_now();
	mark->stats.size = sizeof(mark->stats);
	uf_runtime_stats(s->rt, &mark->stats);
}

/* Start to count anew. */
void report_reset(struct server *s, struct ticker *ticker, struct mark *mark)
{
	atomic_store(&ticker->reset, true);
	blocks_reset();
	atomic_store(&s->accepted, 0);
	for (int i = 0; i < STATUS_MAX; i++)
		atomic_store(&s->replies[i], 0);
	report_mark(s, mark);
}

static void report_replies(FILE *out, struct server *s)
{
	const char *comma = "";

	fputs("  \"replies\": {", out);
	for (int i = 0; i < STATUS_MAX; i++) {
		unsigned long count = atomic_load(&s->replies[i]);

		if (!count)
			continue;
		fprintf(out, "%s\"%d\": %lu", comma, i, count);
		comma = ", ";
	}
	fputs("},\n", out);
}

static void report_counter(FILE *out, const char *name, uint64_t value)
{
	fprintf(out, "  \"%s\": %llu,\n", name, (unsigned long long)value);
}

static void write_report(FILE *out, struct server *s, const struct ticker *t,
			 const struct mark *from, const struct mark *to)
{
	const struct uf_stats *a = &from->stats, *b = &to->stats;
	const struct histogram *h = &t->lateness;

	fprintf(out, "{\n  \"backend\": \"%s\",\n", uf_runtime_backend(s->rt));
	fprintf(out, "  \"seconds\": %.3f,\n", (to->time - from->time) / 1e9);
	report_counter(out, "ticks", h->count);
	fprintf(out, "  \"tick_p50_us\": %.1f,\n",
		histogram_quantile(h, 0.5) / 1e3);
	fprintf(out, "  \"tick_p99_us\": %.1f,\n",
		histogram_quantile(h, 0.99) / 1e3);
	fprintf(out, "  \"tick_max_us\": %.1f,\n", h->max / 1e3);
	report_counter(out, "blocks", b->blocks - a->blocks);
	report_counter(out, "handoffs", b->handoffs - a->handoffs);
	report_counter(out, "takeovers", b->takeovers - a->takeovers);
	report_counter(out, "switches", b->switches - a->switches);
	report_counter(out, "threads", b->threads);
	report_counter(out, "connections", atomic_load(&s->accepted));
	report_replies(out, s);
	fputs("  \"handlers\": {", out);
	blocks_report(out);
	fputs("}\n}\n", out);
}

/* Write what happened between two marks. Returns 0 or a negative errno. */
int report_save(struct server *s, const struct ticker *t,
		const struct mark *from, const struct mark *to)
{
	const char *name = s->settings->report;
	FILE *out;

	if (!name)
		return 0;
	out = strcmp(name, "-") ? fopen(name, "w") : stdout;
	if (!out)
		return -errno;
	write_report(out, s, t, from, to);
	return ferror(out) | fclose(out) ? -EIO : 0;
}

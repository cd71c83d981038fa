// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The figures of a run, as JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blocks.h"
#include "report.h"

static void read_stats(struct server *s, struct uf_stats *stats)
{
	stats->size = sizeof(*stats);
	uf_runtime_stats(s->rt, stats);
}

/* Start to count, or start anew; not after the end. */
void report_start(struct server *s, struct report *report)
{
	if (report->ended)
		return;
	atomic_store(&report->ticker.reset, true);
	blocks_reset();
	atomic_store(&s->accepted, 0);
	for (int i = 0; i < STATUS_MAX; i++)
		atomic_store(&s->replies[i], 0);
	report->start = uf_now();
	read_stats(s, &report->before);
}

/* The first call counts. The ticker ends by itself soon after. */
void report_end(struct server *s, struct report *report)
{
	if (report->ended)
		return;
	report->ended = true;
	atomic_store(&report->ticker.stop, true);
	report->end = uf_now();
	read_stats(s, &report->after);
	for (int i = 0; i < STATUS_MAX; i++)
		report->replies[i] = atomic_load(&s->replies[i]);
}

static void write_replies(FILE *out, const struct report *report)
{
	const char *comma = "";

	fputs("  \"replies\": {", out);
	for (int i = 0; i < STATUS_MAX; i++) {
		if (!report->replies[i])
			continue;
		fprintf(out, "%s\"%d\": %lu", comma, i, report->replies[i]);
		comma = ", ";
	}
	fputs("},\n", out);
}

static void write_counter(FILE *out, const char *name, uint64_t value)
{
	fprintf(out, "  \"%s\": %llu,\n", name, (unsigned long long)value);
}

static void write_time(FILE *out, const char *name, uint64_t ns)
{
	fprintf(out, "  \"%s\": %.1f,\n", name, ns / 1e3);
}

static void write_report(FILE *out, struct server *s, const struct report *r)
{
	const struct uf_stats *a = &r->before, *b = &r->after;
	const struct histogram *h = &r->ticker.lateness;

	fprintf(out, "{\n  \"backend\": \"%s\",\n", uf_runtime_backend(s->rt));
	fprintf(out, "  \"seconds\": %.3f,\n", (r->end - r->start) / 1e9);
	write_counter(out, "ticks", h->count);
	write_time(out, "tick_p50_us", histogram_quantile(h, 0.5));
	write_time(out, "tick_p99_us", histogram_quantile(h, 0.99));
	write_time(out, "tick_max_us", h->max);
	write_counter(out, "blocks", b->blocks - a->blocks);
	write_counter(out, "handoffs", b->handoffs - a->handoffs);
	write_counter(out, "takeovers", b->takeovers - a->takeovers);
	write_counter(out, "switches", b->switches - a->switches);
	write_counter(out, "threads", b->threads);
	write_counter(out, "connections", atomic_load(&s->accepted));
	write_replies(out, r);
	fputs("  \"handlers\": {", out);
	blocks_report(out);
	fputs("}\n}\n", out);
}

/* Write the figures where --report says. Returns 0 or a negative errno. */
int report_save(struct server *s, const struct report *report)
{
	const char *name = s->settings->report;
	FILE *out;

	if (!name)
		return 0;
	out = strcmp(name, "-") ? fopen(name, "w") : stdout;
	if (!out)
		return -errno;
	write_report(out, s, report);
	return ferror(out) | fclose(out) ? -EIO : 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report.h"

struct figure {
	const char *work;
	const char *system;
	const char *unit;
	double median;
	double low;
	double high;
};

static struct figure figures[64];
static size_t nr_figures;

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

void samples_init(struct samples *s, size_t size)
{
	s->values = calloc(size, sizeof(*s->values));
	if (!s->values)
		die("no memory for samples");
	s->count = 0;
	s->size = size;
}

void samples_add(struct samples *s, uint64_t value)
{
	if (s->count < s->size)
		s->values[s->count++] = value;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void report_add(const char *work, const char *system, struct samples *s,
		double per, const char *unit)
{
	struct figure *f = &figures[nr_figures];

	if (!s->count || nr_figures == sizeof(figures) / sizeof(*figures)) {
		fprintf(stderr,
			"bench: no samples of %s, or too many figures\n", work);
		exit(1);
	}
	nr_figures++;
	qsort(s->values, s->count, sizeof(*s->values), compare);
	*f = (struct figure){
		.work = work,
		.system = system,
		.unit = unit,
		.median = s->values[s->count / 2] / per,
		.low = s->values[s->count / 20] / per,
		.high = s->values[s->count - 1 - s->count / 20] / per,
	};
}

double report_value(const char *work, const char *system)
{
	for (size_t i = 0; i < nr_figures; i++)
		if (!strcmp(figures[i].work, work) &&
		    !strcmp(figures[i].system, system))
			return figures[i].median;
	fprintf(stderr, "bench: nothing measured for %s of %s\n", work, system);
	exit(1);
}

static void write_json(const char *path)
{
	FILE *out = fopen(path, "w");

	if (!out)
		die(path);
	fputs("[\n", out);
	for (size_t i = 0; i < nr_figures; i++)
		fprintf(out,
			"  {\"work\": \"%s\", \"system\": \"%s\", \"value\": %.2f, \"unit\": \"%s\"}%s\n",
			figures[i].work, figures[i].system, figures[i].median,
			figures[i].unit, i + 1 < nr_figures ? "," : "");
	fputs("]\n", out);
	if (fclose(out))
		die(path);
}

void report_end(const char *name, const char *path)
{
	char standard[128];

	printf("%-20s %-14s %12s   %-24s %s\n", "work", "system", "median",
	       "5 % to 95 % of samples", "unit");
	for (size_t i = 0; i < nr_figures; i++) {
		struct figure *f = &figures[i];
		char spread[64];

		snprintf(spread, sizeof(spread), "%.2f to %.2f", f->low,
			 f->high);
		printf("%-20s %-14s %12.2f   %-24s %s\n", f->work, f->system,
		       f->median, spread, f->unit);
	}
	if (!path) {
		snprintf(standard, sizeof(standard), "build/bench/%s.json",
			 name);
		mkdir("build", 0777);
		mkdir("build/bench", 0777);
		path = standard;
	}
	write_json(path);
	printf("written to %s\n", path);
}

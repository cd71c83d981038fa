/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What every benchmark ends with: a table for people, and the same figures in
 * a file for programs.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>
#include <stdint.h>

/* The samples of one figure; sorted by report_add(). */
struct samples {
	uint64_t *values;
	size_t count;
	size_t size;
};

void samples_init(struct samples *s, size_t size);
void samples_add(struct samples *s, uint64_t value);

/**
 * report_add - add one figure
 * @work: what was done; @system: by what; both must outlive the report.
 * @s: the samples, each of @per operations; their median is the figure.
 * @unit: what a sample divided by @per is, such as "instructions" or "ns".
 */
void report_add(const char *work, const char *system, struct samples *s,
		double per, const char *unit);

/* The median that was added for @work and @system; exits if there is none. */
double report_value(const char *work, const char *system);

/* Print the table; write build/bench/@name.json, or the file @path if set. */
void report_end(const char *name, const char *path);

#endif /* REPORT_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the classic programs share: options that are numbers, and errors. */
#ifndef OPTIONS_H
#define OPTIONS_H

/* --name N; a table of them ends with a NULL name. */
struct number {
	const char *name;
	unsigned long *value;
	unsigned long min;
	unsigned long max;
};

/*
 * Reads the options; returns the index of the first argument that is none. --help
 * prints @usage and ends the program; so does what it does not know, with status 2.
 */
int options(int argc, char **argv, const char *usage,
	    const struct number *numbers);

/* Ends the program with status 2 if there are arguments. */
void no_arguments(int argc, char **argv, int first);

/* Memory, zero, for @n of @size bytes; or the end of the program, with status 1. */
void *room(unsigned long n, unsigned long size);

/* Ends the program with status 1 if @error, a negative errno, is one. */
void must(int error, const char *what);

#endif /* OPTIONS_H */

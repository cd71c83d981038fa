// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __attribute__((noreturn)) void refuse(const char *program,
					     const char *why, const char *what)
{
	fprintf(stderr, "%s: %s %s; see %s --help\n", program, why, what,
		program);
	exit(2);
}

/* @argv[i] is the option. */
static void read_number(char **argv, int i, const struct number *number)
{
	const char *text = argv[i + 1];
	char *end;

	if (!text)
		refuse(argv[0], "there is no number after", argv[i]);
	errno = 0;
	*number->value = strtoul(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' ||
	    *number->value < number->min || *number->value > number->max) {
		fprintf(stderr,
			"%s: --%s %s: a number from %lu to %lu is wanted\n",
			argv[0], number->name, text, number->min, number->max);
		exit(2);
	}
}

int options(int argc, char **argv, const char *usage,
	    const struct number *numbers)
{
	const struct number *n;
	int i;

	for (i = 1; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!argv[i][2])
			return i + 1;
		if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			exit(fflush(stdout) ? 1 : 0);
		}
		for (n = numbers; n->name; n++)
			if (!strcmp(argv[i] + 2, n->name))
				break;
		if (!n->name)
			refuse(argv[0], "unknown option", argv[i]);
		read_number(argv, i, n);
		i++;
	}
	return i;
}

void no_arguments(int argc, char **argv, int first)
{
	if (first < argc)
		refuse(argv[0], "unknown argument", argv[first]);
}

void *room(unsigned long n, unsigned long size)
{
	void *memory = calloc(n, size);

	if (!memory) {
		perror("memory");
		exit(1);
	}
	return memory;
}

void must(int error, const char *what)
{
	if (error >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-error));
	exit(1);
}

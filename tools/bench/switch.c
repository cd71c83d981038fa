// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a switch between two contexts costs, with no scheduler around it: the
 * library's, boost.context's jump_fcontext(), and swapcontext(). All are called
 * as functions, from one place on each side. The systems take turns in short
 * rounds, so that a change of the machine's speed hits all of them.
 */
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "report.h"
#include "switch_boost.h"
/* The library's own; not public. */
#include "switch.h"

#define ROUNDS 101

static char stacks[3][STACK_SIZE] __attribute__((aligned(64)));

/* ----------------------------------------------------------------- ufiber */

static void *uf_main, *uf_other;

static void uf_reflect(void *passed, void *unused)
{
	(void)unused;
	for (;;)
		passed = uf_arch_switch(&uf_other, uf_main, passed);
}

static void uf_run_rounds(long rounds)
{
	for (long i = 0; i < rounds; i++)
		uf_arch_switch(&uf_main, uf_other, NULL);
}

/* ------------------------------------------------------------ swapcontext */

static ucontext_t uc_main, uc_other;

static void uc_reflect(void)
{
	for (;;)
		swapcontext(&uc_other, &uc_main);
}

static void uc_prepare(void *stack)
{
	getcontext(&uc_other);
	uc_other.uc_stack.ss_sp = stack;
	uc_other.uc_stack.ss_size = STACK_SIZE;
	makecontext(&uc_other, uc_reflect, 0);
}

static void uc_run(long rounds)
{
	for (long i = 0; i < rounds; i++)
		swapcontext(&uc_main, &uc_other);
}

/* ---------------------------------------------------------------- measure */

static struct contestant {
	const char *name;
	void (*run)(long rounds);
	long rounds;
	struct samples samples;
} contestants[] = {
	{ "ufiber", uf_run_rounds, 200000, { 0 } },
	{ "boost.context", boost_run, 200000, { 0 } },
	{ "swapcontext", uc_run, 5000, { 0 } },
};

#define NR_CONTESTANTS (sizeof(contestants) / sizeof(*contestants))

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void measure(struct contestant *c)
{
	uint64_t start = now();

	c->run(c->rounds);
	/* In picoseconds for one round, there and back. */
	samples_add(&c->samples, (now() - start) * 1000 / c->rounds);
}

int main(int argc, char **argv)
{
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		printf("usage: bench-switch [RESULT.json]\n"
		       "Nanoseconds for one switch of context; or: make bench-switch\n");
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	uf_other = uf_arch_prepare(stacks[0] + STACK_SIZE, uf_reflect, NULL);
	boost_prepare(stacks[1] + STACK_SIZE);
	uc_prepare(stacks[2]);

	for (size_t i = 0; i < NR_CONTESTANTS; i++) {
		samples_init(&contestants[i].samples, ROUNDS);
		contestants[i].run(contestants[i].rounds);
	}
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < NR_CONTESTANTS; i++)
			measure(&contestants[i]);
	for (size_t i = 0; i < NR_CONTESTANTS; i++)
		report_add("switch-called", contestants[i].name,
			   &contestants[i].samples, 2000, "ns");
	report_end("switch", argc == 2 ? argv[1] : NULL);
	printf("ufiber / boost.context: %.2f\n",
	       report_value("switch-called", "ufiber") /
		       report_value("switch-called", "boost.context"));
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a switch between two contexts costs, with no scheduler around it: the
 * library's, boost.context's jump_fcontext(), and swapcontext(), all called as
 * functions, from one place on each side; and the library's coroutines, which
 * check and carry a value: called, and inline. The systems take turns in short
 * rounds, so that a change of the machine's speed hits all of them.
 */
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <ufiber/coro_inline.h>

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

/* ------------------------------------------------------------- coroutines */

static struct uf_coro *called_coro, *inline_coro;

static void *called_reflect(struct uf_coro *self, void *unused, void *value)
{
	(void)unused;
	while (!uf_coro_yield(self, value, &value))
		;
	return NULL;
}

static void called_run(long rounds)
{
	for (long i = 0; i < rounds; i++)
		uf_coro_resume(called_coro, NULL, NULL);
}

static void *inline_reflect(struct uf_coro *self, void *unused, void *value)
{
	(void)unused;
	while (!uf_coro_yield_inline(self, value, &value))
		;
	return NULL;
}

static void inline_run(long rounds)
{
	for (long i = 0; i < rounds; i++)
		uf_coro_resume_inline(inline_coro, NULL, NULL);
}

static struct uf_coro *make_coro(uf_coro_fn *start)
{
	struct uf_coro *co;

	if (uf_coro_create(&co, NULL, start, NULL)) {
		fputs("bench: no memory for a coroutine\n", stderr);
		exit(1);
	}
	return co;
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
	const char *work;
	const char *name;
	void (*run)(long rounds);
	long rounds;
	struct samples samples;
} contestants[] = {
	{ "switch-called", "ufiber", uf_run_rounds, 200000, { 0 } },
	{ "switch-called", "boost.context", boost_run, 200000, { 0 } },
	{ "switch-called", "swapcontext", uc_run, 5000, { 0 } },
	{ "coroutine-called", "ufiber", called_run, 200000, { 0 } },
	{ "switch-inline", "ufiber", inline_run, 200000, { 0 } },
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

static void print_ratio(const char *work)
{
	printf("%s / boost.context: %.2f\n", work,
	       report_value(work, "ufiber") /
		       report_value("switch-called", "boost.context"));
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
	called_coro = make_coro(called_reflect);
	inline_coro = make_coro(inline_reflect);

	for (size_t i = 0; i < NR_CONTESTANTS; i++) {
		samples_init(&contestants[i].samples, ROUNDS);
		contestants[i].run(contestants[i].rounds);
	}
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < NR_CONTESTANTS; i++)
			measure(&contestants[i]);
	for (size_t i = 0; i < NR_CONTESTANTS; i++)
		report_add(contestants[i].work, contestants[i].name,
			   &contestants[i].samples, 2000, "ns");
	report_end("switch", argc == 2 ? argv[1] : NULL);
	print_ratio("switch-called");
	print_ratio("coroutine-called");
	print_ratio("switch-inline");
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A switch with no scheduler around it: the library's own, called as a function
 * from one place on each side; and its coroutines, which check and carry a value:
 * called, and inline.
 */
#include <ufiber/coro_inline.h>

#include "ufiber_peer.h"
/* The library's own; not public. */
#include "switch.h"

#define STACK_SIZE 65536

static void *main_context, *other_context;

static void reflect(void *passed, void *unused)
{
	(void)unused;
	for (;;)
		passed = uf_arch_switch(&other_context, main_context, passed);
}

static void switch_batch(void *unused, long times)
{
	long i;

	(void)unused;
	for (i = 0; i < times; i++)
		uf_arch_switch(&main_context, other_context, NULL);
}

void run_switch(const char *work, long n)
{
	static char stack[STACK_SIZE] __attribute__((aligned(64)));

	(void)n;
	other_context = uf_arch_prepare(stack + STACK_SIZE, reflect, NULL);
	/* There and back. */
	peer_measure(work, switch_batch, NULL, 2);
}

static void *reflect_called(struct uf_coro *self, void *unused, void *value)
{
	(void)unused;
	while (!uf_coro_yield(self, value, &value))
		;
	return NULL;
}

static void called_batch(void *co, long times)
{
	long i;

	for (i = 0; i < times; i++)
		uf_coro_resume(co, NULL, NULL);
}

static void *reflect_inline(struct uf_coro *self, void *unused, void *value)
{
	(void)unused;
	while (!uf_coro_yield_inline(self, value, &value))
		;
	return NULL;
}

static void inline_batch(void *co, long times)
{
	long i;

	for (i = 0; i < times; i++)
		uf_coro_resume_inline(co, NULL, NULL);
}

static struct uf_coro *make_coro(uf_coro_fn *start)
{
	struct uf_coro *co;
	int error = uf_coro_create(&co, NULL, start, NULL);

	if (error)
		peer_die("uf_coro_create", -error);
	return co;
}

void run_coroutine_called(const char *work, long n)
{
	(void)n;
	peer_measure(work, called_batch, make_coro(reflect_called), 2);
}

void run_switch_inline(const char *work, long n)
{
	(void)n;
	peer_measure(work, inline_batch, make_coro(reflect_inline), 2);
}

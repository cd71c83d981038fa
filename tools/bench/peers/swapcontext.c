// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What the C library's swapcontext() costs. */
#include <ucontext.h>

#include "peer.h"

#define STACK_SIZE 65536

static ucontext_t main_context, other_context;

static void reflect(void)
{
	for (;;)
		swapcontext(&other_context, &main_context);
}

static void switch_batch(void *unused, long times)
{
	long i;

	(void)unused;
	for (i = 0; i < times; i++)
		swapcontext(&main_context, &other_context);
}

static void run_switch(const char *work, long n)
{
	static char stack[STACK_SIZE] __attribute__((aligned(64)));

	(void)n;
	getcontext(&other_context);
	other_context.uc_stack.ss_sp = stack;
	other_context.uc_stack.ss_size = STACK_SIZE;
	makecontext(&other_context, reflect, 0);
	peer_measure(work, switch_batch, NULL, 2);
}

static const struct peer_work works[] = {
	{ "switch-called", run_switch, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "swapcontext", works);
}

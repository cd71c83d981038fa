// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Tasks that add tasks: a tree of them, each making its children. A wait group counts
 * those that are not done yet; a task counts its children before it is done itself, so
 * the count is 0 only at the end.
 */
#include "options.h"

#include <stdint.h>
#include <stdio.h>
#include <ufiber.h>

static const char usage[] =
	"usage: spread [--depth N] [--children N] [--servers N]\n"
	"\n"
	"A task makes tasks, which make tasks.\n"
	"\n"
	"  --depth N     how many generations there are after the first task (10)\n"
	"  --children N  how many each makes (2)\n"
	"  --servers N   how many fibers can run at a time (2)\n"
	"\n"
	"exit status: 0 all of them ran before the end, 1 not so, 2 usage\n";

static unsigned long depth = 10, children = 2, servers = 2;
static struct uf_waitgroup group = UF_WAITGROUP_INIT;
static unsigned long nr_done;

static void *task(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	uintptr_t left = (uintptr_t)arg;
	unsigned long i;

	attr.flags = UF_DETACHED;
	if (left) {
		must(uf_waitgroup_add(&group, children), "add");
		for (i = 0; i < children; i++)
			must(uf_create(NULL, NULL, &attr, task,
				       (void *)(left - 1)),
			     "fiber");
	}
	__atomic_fetch_add(&nr_done, 1, __ATOMIC_RELAXED);
	must(uf_waitgroup_done(&group), "done");
	return NULL;
}

/* The first task is made here; what waits is none of them. */
static void *run(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;

	attr.flags = UF_DETACHED;
	must(uf_waitgroup_add(&group, 1), "add");
	must(uf_create(NULL, NULL, &attr, task, (void *)depth), "fiber");
	must(uf_waitgroup_wait(&group), "wait");
	*(unsigned long *)arg = __atomic_load_n(&nr_done, __ATOMIC_RELAXED);
	return NULL;
}

int main(int argc, char **argv)
{
	const struct number numbers[] = {
		{ "depth", &depth, 0, 1000 },
		{ "children", &children, 1, 1000 },
		{ "servers", &servers, 1, 256 },
		{ NULL, NULL, 0, 0 },
	};
	unsigned long i, row = 1, all = 1, at_the_end = 0;
	struct uf_config config = UF_CONFIG_INIT;

	no_arguments(argc, argv, options(argc, argv, usage, numbers));
	for (i = 0; i < depth; i++) {
		row *= children;
		all += row;
		if (all > 10000000) {
			fprintf(stderr,
				"spread: these are more than 10000000 tasks\n");
			return 2;
		}
	}
	config.servers = servers;
	must(uf_run(&config, run, &at_the_end, NULL), "spread");
	printf("%lu of %lu tasks were done when the wait ended\n", at_the_end,
	       all);
	return at_the_end != all;
}

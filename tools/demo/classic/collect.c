// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A main thread that first collects tasks and then runs them: the fibers are made
 * parked, and started when all are there. The main thread itself runs none.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ufiber.h>

static const char usage[] =
	"usage: collect [--servers N] WORD...\n"
	"\n"
	"Makes a parked fiber for each word, which is to tell its length; then starts\n"
	"them all, and prints what they say.\n"
	"\n"
	"  --servers N  how many fibers can run at a time (2)\n"
	"\n"
	"exit status: 0 each ran when it was started, 1 not so, 2 usage\n";

static unsigned int nr_ran;

static void *task(void *arg)
{
	__atomic_fetch_add(&nr_ran, 1, __ATOMIC_RELAXED);
	uf_yield();
	return (void *)strlen(arg);
}

static unsigned int ran(void)
{
	return __atomic_load_n(&nr_ran, __ATOMIC_RELAXED);
}

int main(int argc, char **argv)
{
	unsigned long servers = 2;
	const struct number numbers[] = {
		{ "servers", &servers, 1, 256 },
		{ NULL, NULL, 0, 0 },
	};
	int first = options(argc, argv, usage, numbers);
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber **fibers;
	struct uf_runtime *rt;
	unsigned int n = argc - first, i, early, parked = 0;
	void *length;

	if (!n) {
		fprintf(stderr, "collect: which words? see collect --help\n");
		return 2;
	}
	fibers = room(n, sizeof(*fibers));
	config.servers = servers;
	must(uf_runtime_create(&rt, &config), "collect: the runtime");
	attr.flags = UF_PARKED;
	for (i = 0; i < n; i++)
		must(uf_create(rt, &fibers[i], &attr, task, argv[first + i]),
		     "fiber");
	for (i = 0; i < n; i++)
		parked += uf_state(fibers[i]) == UF_STATE_PARKED;
	early = ran();
	printf("collected %u tasks: %u parked, %u ran\n", n, parked, early);

	for (i = 0; i < n; i++)
		must(uf_start(fibers[i]), "start");
	for (i = 0; i < n; i++) {
		must(uf_join(fibers[i], &length), "join");
		printf("%s: %lu\n", argv[first + i], (unsigned long)length);
	}
	printf("started them: %u ran\n", ran());
	must(uf_runtime_destroy(rt), "destroy");
	free(fibers);
	return early || parked != n || ran() != n;
}

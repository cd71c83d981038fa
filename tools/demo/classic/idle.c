// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Idle without busy wait: fibers wait, the main thread sleeps, and the process tells what
 * it cost. Servers with nothing to do sleep in the kernel.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <ufiber.h>
#include <unistd.h>

static const char usage[] =
	"usage: idle [--fibers N] [--servers N] [--milliseconds N]\n"
	"\n"
	"Half of the fibers wait for an event, the others for that or a time far away.\n"
	"\n"
	"  --fibers N        how many there are (1000)\n"
	"  --servers N       on how many servers (2)\n"
	"  --milliseconds N  how long the process is idle (500)\n"
	"\n"
	"Prints the processor time that passed meanwhile, and how often one of its\n"
	"threads went to sleep, which is as often as one was woken.\n"
	"exit status: 0 all waited and came back, 1 not so, 2 usage\n";

#define HOUR 3600000000000ULL

static struct uf_event event = UF_EVENT_INIT;
static unsigned long nr_waiting, nr_back;

static void *waiter(void *arg)
{
	__atomic_fetch_add(&nr_waiting, 1, __ATOMIC_RELAXED);
	if (arg)
		must(uf_event_wait(&event), "wait");
	else
		must(uf_event_wait_until(&event, uf_now() + HOUR), "wait");
	__atomic_fetch_add(&nr_back, 1, __ATOMIC_RELAXED);
	return NULL;
}

static double processor_ms(const struct rusage *usage_of)
{
	return usage_of->ru_utime.tv_sec * 1e3 +
	       usage_of->ru_utime.tv_usec / 1e3 +
	       usage_of->ru_stime.tv_sec * 1e3 +
	       usage_of->ru_stime.tv_usec / 1e3;
}

int main(int argc, char **argv)
{
	unsigned long fibers = 1000, servers = 2, milliseconds = 500, i;
	const struct number numbers[] = {
		{ "fibers", &fibers, 1, 1000000 },
		{ "servers", &servers, 1, 256 },
		{ "milliseconds", &milliseconds, 1, 1000000 },
		{ NULL, NULL, 0, 0 },
	};
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_attr attr = UF_ATTR_INIT;
	struct rusage before, after;
	struct uf_runtime *rt;

	no_arguments(argc, argv, options(argc, argv, usage, numbers));
	config.servers = servers;
	must(uf_runtime_create(&rt, &config), "idle: the runtime");
	attr.flags = UF_DETACHED;
	for (i = 0; i < fibers; i++)
		must(uf_create(rt, NULL, &attr, waiter, (void *)(i % 2)),
		     "fiber");
	while (__atomic_load_n(&nr_waiting, __ATOMIC_RELAXED) < fibers)
		usleep(1000);

	getrusage(RUSAGE_SELF, &before);
	usleep(milliseconds * 1000);
	getrusage(RUSAGE_SELF, &after);
	printf("idle for %lu ms: %.1f ms of processor time, %ld wake-ups\n",
	       milliseconds, processor_ms(&after) - processor_ms(&before),
	       after.ru_nvcsw - before.ru_nvcsw);

	must(uf_event_set(&event), "set");
	must(uf_runtime_destroy(rt), "destroy");
	printf("%lu of %lu fibers came back\n", nr_back, fibers);
	return nr_back != fibers;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Stop only when all tasks are done: uf_runtime_destroy() waits for every fiber there is,
 * those too that sleep, wait for IO or for each other, or are yet to be made by others.
 */
#include "options.h"

#include <stdint.h>
#include <stdio.h>
#include <ufiber.h>
#include <unistd.h>

static const char usage[] =
	"usage: finish [--tasks N] [--servers N]\n"
	"\n"
	"Starts pairs of tasks that sleep, talk to each other through a pipe, and leave a\n"
	"third one to do the rest; and ends the runtime at once.\n"
	"\n"
	"  --tasks N    how many pairs (100)\n"
	"  --servers N  how many fibers can run at a time (2)\n"
	"\n"
	"exit status: 0 all were done when the runtime had ended, 1 not so, 2 usage\n";

static unsigned long nr_done;

static void done(void)
{
	__atomic_fetch_add(&nr_done, 1, __ATOMIC_RELAXED);
}

static void *rest(void *arg)
{
	(void)arg;
	uf_sleep(1000000);
	done();
	return NULL;
}

/* @arg: the pipe's end to write to. */
static void *writer(void *arg)
{
	uf_sleep(2000000);
	must(uf_write((intptr_t)arg, "x", 1), "write");
	must(uf_close((intptr_t)arg), "close");
	done();
	return NULL;
}

static void *reader(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	char byte;

	must(uf_read((intptr_t)arg, &byte, 1), "read");
	must(uf_close((intptr_t)arg), "close");
	attr.flags = UF_DETACHED;
	must(uf_create(NULL, NULL, &attr, rest, NULL), "fiber");
	done();
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long tasks = 100, servers = 2, i, early;
	const struct number numbers[] = {
		{ "tasks", &tasks, 1, 400 },
		{ "servers", &servers, 1, 256 },
		{ NULL, NULL, 0, 0 },
	};
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_runtime *rt;
	int fds[2];

	no_arguments(argc, argv, options(argc, argv, usage, numbers));
	config.servers = servers;
	must(uf_runtime_create(&rt, &config), "finish: the runtime");
	attr.flags = UF_DETACHED;
	for (i = 0; i < tasks; i++) {
		if (pipe(fds)) {
			perror("finish: pipe");
			return 1;
		}
		must(uf_create(rt, NULL, &attr, reader, (void *)(intptr_t)fds[0]),
		     "fiber");
		must(uf_create(rt, NULL, &attr, writer, (void *)(intptr_t)fds[1]),
		     "fiber");
	}
	early = __atomic_load_n(&nr_done, __ATOMIC_RELAXED);
	must(uf_runtime_destroy(rt), "destroy");
	printf("%lu tasks were done when the end was asked for, %lu of %lu when it came\n",
	       early, nr_done, 3 * tasks);
	return nr_done != 3 * tasks;
}

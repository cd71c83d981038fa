// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Tasks that are pinned to a server: each runs there only, whatever the others do. With
 * the backend "none" a server is one thread for good, so that is where they stay.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <ufiber.h>
#include <unistd.h>

static const char usage[] =
	"usage: pinned [--servers N] [--tasks N] [--yields N]\n"
	"\n"
	"Tasks are pinned to the servers in turn and look after each yield where they\n"
	"run.\n"
	"\n"
	"  --servers N  how many servers there are (2)\n"
	"  --tasks N    how many tasks (8)\n"
	"  --yields N   how often each yields (1000)\n"
	"\n"
	"exit status: 0 none ever ran elsewhere, 1 not so, 2 usage\n";

static unsigned long servers = 2, nr_tasks = 8, yields = 1000;

struct task {
	unsigned int server;
	unsigned long elsewhere; /* times that it was on another server */
	unsigned long moves; /* times that the thread was another */
	pid_t thread;
};

static void look(struct task *task)
{
	pid_t thread = gettid();

	task->elsewhere += uf_server_number() != (int)task->server;
	task->moves += task->thread && task->thread != thread;
	task->thread = thread;
}

static void *run(void *arg)
{
	unsigned long i;

	look(arg);
	for (i = 0; i < yields; i++) {
		uf_yield();
		look(arg);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct number numbers[] = {
		{ "servers", &servers, 1, 256 },
		{ "tasks", &nr_tasks, 1, 100000 },
		{ "yields", &yields, 0, 1000000000 },
		{ NULL, NULL, 0, 0 },
	};
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_attr attr = UF_ATTR_INIT;
	unsigned long i, elsewhere = 0, moves = 0, apart = 0;
	struct uf_fiber **fibers;
	struct uf_runtime *rt;
	struct task *tasks;

	no_arguments(argc, argv, options(argc, argv, usage, numbers));
	tasks = room(nr_tasks, sizeof(*tasks));
	fibers = room(nr_tasks, sizeof(struct uf_fiber *));
	config.servers = servers;
	must(uf_runtime_create(&rt, &config), "pinned: the runtime");
	attr.flags = UF_PINNED;
	for (i = 0; i < nr_tasks; i++) {
		tasks[i].server = attr.server = i % servers;
		must(uf_create(rt, &fibers[i], &attr, run, &tasks[i]), "fiber");
	}
	for (i = 0; i < nr_tasks; i++) {
		must(uf_join(fibers[i], NULL), "join");
		elsewhere += tasks[i].elsewhere;
		moves += tasks[i].moves;
		apart += tasks[i].thread != tasks[i % servers].thread;
	}
	printf("%lu tasks on %lu servers: %lu times on another one\n", nr_tasks,
	       servers, elsewhere);
	printf("backend %s: %lu times on another thread, %lu tasks apart from their server's\n",
	       uf_runtime_backend(rt), moves, apart);
	must(uf_runtime_destroy(rt), "destroy");
	free(fibers);
	free(tasks);
	return elsewhere != 0;
}

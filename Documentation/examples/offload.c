// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdint.h>
#include <stdio.h>
#include <ufiber.h>
#include <unistd.h>

static int fds[2];

/* A library's function, say: it blocks, and knows of no fibers. */
static void *blocks(void *arg)
{
	char byte = 0;
	ssize_t n = read(*(int *)arg, &byte, 1);

	return (void *)(intptr_t)(n == 1 ? byte : 0);
}

static void *other(void *arg)
{
	puts("the other fiber runs meanwhile");
	uf_write(fds[1], "x", 1);
	return arg;
}

static void *run(void *arg)
{
	struct uf_fiber *fiber;
	void *value = NULL;

	if (pipe(fds) || uf_create(NULL, &fiber, NULL, other, NULL))
		return NULL;
	if (!uf_offload(blocks, &fds[0], &value))
		printf("it came back with %c\n", (int)(intptr_t)value);
	uf_join(fiber, NULL);
	return arg;
}

int main(void)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.servers = 1;
	return uf_run(&config, run, NULL, NULL) ? 1 : 0;
}

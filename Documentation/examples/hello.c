// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdio.h>
#include <ufiber.h>
#include <unistd.h>

static void *sleeper(void *arg)
{
	sleep(1); /* blocks in the kernel: the library knows nothing of it */
	puts("slept");
	return arg;
}

static void *ticker(void *arg)
{
	struct uf_fiber *other;

	if (uf_create(NULL, &other, NULL, sleeper, NULL))
		return arg;
	for (int i = 1; i <= 4; i++) {
		uf_sleep(200000000); /* parks this fiber alone */
		printf("tick %d\n", i);
	}
	uf_join(other, NULL);
	return arg;
}

int main(void)
{
	struct uf_config config = UF_CONFIG_INIT;
	int error;

	config.servers = 1; /* both fibers share one virtual processor */
	error = uf_run(&config, ticker, NULL, NULL);
	if (error)
		fprintf(stderr, "hello: error %d: %s\n", -error, uf_strerror());
	return error != 0;
}

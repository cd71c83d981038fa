// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <ufiber.h>

#define MS 1000000ULL

static int patient(void *arg)
{
	int error = uf_sleep(60000 * MS);

	printf("%s: %s\n", (const char *)arg, strerror(-error));
	return error;
}

static int broken(void *arg)
{
	(void)arg;
	uf_sleep(2 * MS);
	return -EIO;
}

static void *run(void *arg)
{
	struct uf_scope scope;

	/* One fails: the others are cancelled. */
	uf_scope_open(&scope, UF_FOREVER);
	uf_scope_spawn(&scope, NULL, patient, "one");
	uf_scope_spawn(&scope, NULL, broken, NULL);
	printf("the scope: %s\n", strerror(-uf_scope_close(&scope)));

	/* The time is up: all are. */
	uf_scope_open(&scope, uf_now() + 2 * MS);
	uf_scope_spawn(&scope, NULL, patient, "two");
	printf("the scope: %s\n", strerror(-uf_scope_close(&scope)));
	return arg;
}

int main(void)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.servers = 1;
	return uf_run(&config, run, NULL, NULL) ? 1 : 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Two fibers that lock two mutexes in different orders. */
#include <stdio.h>
#include <ufiber.h>

static struct uf_mutex forks[2];

void *eat(void *arg);
void *eat(void *arg)
{
	struct uf_mutex *left = arg;
	struct uf_mutex *right = left == &forks[0] ? &forks[1] : &forks[0];

	uf_mutex_lock(left);
	uf_yield(); /* think */
	uf_mutex_lock(right);
	uf_mutex_unlock(right);
	uf_mutex_unlock(left);
	return NULL;
}

void *dine(void *arg);
void *dine(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *philosopher[2];
	int i;

	(void)arg;
	for (i = 0; i < 2; i++) {
		attr.name = i ? "Plato" : "Kant";
		if (uf_create(NULL, &philosopher[i], &attr, eat, &forks[i]))
			return NULL;
	}
	for (i = 0; i < 2; i++)
		uf_join(philosopher[i], NULL);
	return NULL;
}

int main(void)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.servers = 1;
	config.flags = UF_REPORT_DEADLOCK;
	if (uf_run(&config, dine, NULL, NULL)) {
		fprintf(stderr, "deadlock: %s\n", uf_strerror());
		return 1;
	}
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdio.h>
#include <ufiber.h>

static struct uf_event start = UF_EVENT_INIT;

static void *task(void *arg)
{
	uf_policy_set(0, uf_now() + (uintptr_t)arg *
					    1000000000); /* its deadline */
	uf_event_wait(&start);
	printf("due in %lu s\n", (unsigned long)arg);
	return NULL;
}

static void *run(void *arg)
{
	static void *const seconds[] = { (void *)30, (void *)10, (void *)20 };
	struct uf_fiber *fibers[3];
	int i;

	if (uf_create_many(NULL, fibers, 3, NULL, task, seconds))
		return NULL;
	uf_yield(); /* having no deadline we come last: all wait now */
	uf_event_set(&start);
	for (i = 0; i < 3; i++)
		uf_join(fibers[i], NULL);
	return arg;
}

int main(void)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.servers = 1;
	config.policy = &uf_policy_edf;
	return uf_run(&config, run, NULL, NULL) ? 1 : 0;
}

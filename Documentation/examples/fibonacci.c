// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdint.h>
#include <stdio.h>
#include <ufiber.h>

static void *fibonacci(struct uf_coro *self, void *arg, void *value)
{
	intptr_t a = 0, b = 1, next;

	(void)value;
	while (a < (intptr_t)arg) {
		if (uf_coro_yield(self, (void *)a, NULL))
			break; /* the generator is being closed */
		next = a + b;
		a = b;
		b = next;
	}
	return NULL;
}

int main(void)
{
	struct uf_coro *gen;

	if (uf_coro_create(&gen, NULL, fibonacci, (void *)10))
		return 1;
	UF_GEN_FOR(item, gen)
		printf("%ld\n", (long)item);
	return uf_gen_close(gen) != 0;
}

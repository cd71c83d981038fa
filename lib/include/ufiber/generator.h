/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Generators: coroutines that produce items, one for each call. A generator is
 * made by uf_coro_create() and yields its items by uf_coro_yield(); when its
 * function returns there are no more.
 *
 *	static void *count(struct uf_coro *self, void *arg, void *value)
 *	{
 *		for (intptr_t i = 0; i < (intptr_t)arg; i++)
 *			if (uf_coro_yield(self, (void *)i, NULL))
 *				break;
 *		return NULL;
 *	}
 *
 *	uf_coro_create(&gen, NULL, count, (void *)10);
 *	UF_GEN_FOR(item, gen)
 *		printf("%ld\n", (long)item);
 *	uf_gen_close(gen);
 */
#ifndef UFIBER_GENERATOR_H
#define UFIBER_GENERATOR_H

#include <ufiber/coro.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * uf_gen_next - get the next item
 * @gen: the generator.
 * @item: where to store it, or NULL. At the end: what the generator returned;
 *	NULL if that has been told before.
 *
 * Context: as uf_coro_resume(). Returns 1, or 0 at the end, however often it is asked; -EINVAL or -EBUSY as
 * uf_coro_resume().
 */
int uf_gen_next(struct uf_coro *gen, void **item);

/**
 * uf_gen_send - the same, with a value for the generator
 * @gen: the generator.
 * @value: what its uf_coro_yield() stores.
 * @item: as for uf_gen_next().
 *
 * Context: as uf_coro_resume(). Returns as uf_gen_next().
 */
int uf_gen_send(struct uf_coro *gen, void *value, void **item);

/**
 * uf_gen_close - have a generator clean up, and free it
 * @gen: the generator; gone when the call returns 0. NULL is allowed.
 *
 * If it has not come to its end, its uf_coro_yield() returns -ECANCELED, upon
 * which it should return.
 *
 * Context: as uf_coro_resume(). Returns 0, -EBUSY (it runs), -EAGAIN (it has yielded instead; it can be closed
 * again, or dropped by uf_coro_destroy()).
 */
int uf_gen_close(struct uf_coro *gen);

/* For each @item, a void pointer, that @gen has left: loop over a statement. */
/* clang-format off */
#define UF_GEN_FOR(item, gen) \
	for (void *item = NULL; uf_gen_next((gen), &item) > 0;)
/* clang-format on */

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_GENERATOR_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Generators: coroutines that are asked until they end. */
#include <errno.h>

#include "coro.h"

int uf_gen_send(struct uf_coro *gen, void *value, void **item)
{
	int ret;

	UF_CHECK_OR_NULL(CORO, gen);
	ret = uf_coro_resume(gen, value, item);
	if (ret != -ESRCH)
		return ret;
	if (item)
		*item = NULL;
	return 0;
}

int uf_gen_next(struct uf_coro *gen, void **item)
{
	UF_CHECK_OR_NULL(CORO, gen);
	return uf_gen_send(gen, NULL, item);
}

int uf_gen_close(struct uf_coro *gen)
{
	int ret;

	UF_CHECK_OR_NULL(CORO, gen);
	if (!gen)
		return 0;
	ret = uf_coro_cancel(gen, NULL);
	if (ret == 1)
		return -EAGAIN;
	if (ret && ret != -ESRCH)
		return ret;
	return uf_coro_destroy(gen);
}

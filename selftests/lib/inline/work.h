/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What one compiler, with one set of flags, makes of the inline switch. */
#ifndef INLINE_WORK_H
#define INLINE_WORK_H

#include <stdint.h>
#include <ufiber/coro.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct work - the functions of work.c, compiled one way
 * @name: that way.
 * @work: keeps a lot of values in use and yields in between, if @self is not
 *	NULL. Returns a number that depends on them all, and on nothing else.
 * @drive: the same, resuming @co in between, if it is not NULL, to its end.
 * @leaf: switches away from a function that calls nothing; by what @save and
 *	@load are.
 * @throws: throws and catches, and yields in between; NULL in C.
 * @throws_out: throws and does not catch; NULL in C.
 */
struct work {
	const char *name;
	uint64_t (*work)(struct uf_coro *self, unsigned int seed);
	uint64_t (*drive)(struct uf_coro *co, unsigned int seed);
	int (*leaf)(void **save, void *load, int seed);
	uint64_t (*throws)(struct uf_coro *self, unsigned int seed);
	void (*throws_out)(void);
	struct work *next;
};

/* All that there are. */
extern struct work *works;

#ifdef __cplusplus
}
#endif

#endif /* INLINE_WORK_H */

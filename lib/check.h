/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the checked build (make lib CHECKED=1) finds out before it believes a
 * pointer: that it is not NULL, and is what the function takes, and still is. If not
 * it says so on stderr and aborts. In the plain build all of this is nothing.
 *
 * It does not touch what functions return: whatever is documented as an error is an
 * error in both builds. What aborts is undefined in the plain one.
 *
 * How an object is known is by its address, in a table beside it (check_table.c).
 * A magic word in the object would not do: a mutex has no bit to spare, is never
 * initialised by a call, and its layout is the user's; and to look for the word in
 * what is freed memory is one more use of it. The table needs no room in any
 * object, so programs run on either build without being compiled again, and what it
 * says of fibers, runtimes and coroutines is certain, with no access to what they
 * point at. Its limits:
 *
 *  - An address that is reused must not pass for what was there before. So what the
 *    library allocates itself does not come back to an address where an object of
 *    its kind has been, if there is any other to be had (check_reuse.c); a fiber's
 *    stack has 32.
 *  - Memory of the user's may be used for something else without a word to us, as
 *    nothing there needs destruction. So an object that needs no initialisation is
 *    noted when it is first seen, and must then be as such an object begins; after
 *    that what it holds must make sense. What cannot be told: an object of another
 *    such kind which happens to be all zero, and one that has been freed and whose
 *    memory still looks the same.
 *  - The inline functions of coro_inline.h look at nothing.
 */
#ifndef UF_CHECK_H
#define UF_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* What has an address that users pass. */
enum uf_kind {
	UF_KIND_NONE,
	/* The library's memory. */
	UF_KIND_RUNTIME,
	UF_KIND_FIBER,
	UF_KIND_CORO,
	UF_KIND_CHANNEL_OWN, /* by uf_channel_create() */
	/* The user's, made by a call. */
	UF_KIND_CHANNEL,
	UF_KIND_TICKER,
	UF_KIND_SCOPE,
	/* The user's, made by no call. */
	UF_KIND_MUTEX,
	UF_KIND_RWLOCK,
	UF_KIND_COND,
	UF_KIND_SEM,
	UF_KIND_BARRIER,
	UF_KIND_ONCE,
	UF_KIND_EVENT,
	UF_KIND_WAITGROUP,
	/* What stands for a plain thread that owns something. */
	UF_KIND_THREAD,
};

struct uf_case;
struct uf_channel;
struct uf_coro_full;
struct uf_fiber;
struct uf_runtime;
struct uf_scope;

#ifdef UF_CHECKED

#define UF_IS_CHECKED 1

/* check.c */
void uf_check_object(const char *function, const char *name, enum uf_kind kind,
		     const void *object);
void uf_check_given(const char *function, const char *name, const void *pointer);
void uf_check_cases(const char *function, const struct uf_case *cases,
		    unsigned int n);
void uf_check_value(const char *function, const struct uf_channel *channel,
		    const void *value);
void uf_check_in_scope(const char *function, const struct uf_scope *scope);
void uf_check_locked(const char *function, const uint32_t *lock);

/* check_table.c */
void uf_check_born(enum uf_kind kind, const void *object);
void uf_check_gone(const void *object, uint64_t id);
void uf_check_runtime_gone(struct uf_runtime *rt);
void uf_check_forked(void);

/* check_reuse.c */
void *uf_check_fresh(void *block, size_t align, size_t size);
struct uf_fiber *uf_check_move(struct uf_runtime *rt, struct uf_fiber *fiber);
struct uf_fiber *uf_check_find(struct uf_fiber *fiber, void *stack, size_t size);
struct uf_coro_full *uf_check_move_coro(struct uf_coro_full *full);

#else

#define UF_IS_CHECKED 0

static inline void uf_check_object(const char *function, const char *name,
				   enum uf_kind kind, const void *object)
{
	(void)function, (void)name, (void)kind, (void)object;
}

static inline void uf_check_given(const char *function, const char *name,
				  const void *pointer)
{
	(void)function, (void)name, (void)pointer;
}

static inline void uf_check_cases(const char *function,
				  const struct uf_case *cases, unsigned int n)
{
	(void)function, (void)cases, (void)n;
}

static inline void uf_check_value(const char *function,
				  const struct uf_channel *channel,
				  const void *value)
{
	(void)function, (void)channel, (void)value;
}

static inline void uf_check_in_scope(const char *function,
				     const struct uf_scope *scope)
{
	(void)function, (void)scope;
}

static inline void uf_check_locked(const char *function, const uint32_t *lock)
{
	(void)function, (void)lock;
}

static inline void uf_check_born(enum uf_kind kind, const void *object)
{
	(void)kind, (void)object;
}

static inline void uf_check_gone(const void *object, uint64_t id)
{
	(void)object, (void)id;
}

static inline void uf_check_runtime_gone(struct uf_runtime *rt)
{
	(void)rt;
}

static inline void uf_check_forked(void)
{
}

static inline void *uf_check_fresh(void *block, size_t align, size_t size)
{
	(void)align, (void)size;
	return block;
}

static inline struct uf_fiber *uf_check_move(struct uf_runtime *rt,
					     struct uf_fiber *fiber)
{
	(void)rt;
	return fiber;
}

static inline struct uf_fiber *uf_check_find(struct uf_fiber *fiber,
					     void *stack, size_t size)
{
	(void)stack, (void)size;
	return fiber;
}

static inline struct uf_coro_full *uf_check_move_coro(struct uf_coro_full *full)
{
	return full;
}

#endif

/* An argument of the calling function must be such an object. */
#define UF_CHECK(kind, object) \
	uf_check_object(__func__, #object, UF_KIND_##kind, object)

/* The same if it is not NULL. */
#define UF_CHECK_OR_NULL(kind, object)          \
	do {                                    \
		if (object)                     \
			UF_CHECK(kind, object); \
	} while (0)

/* Whatever it points at. */
#define UF_CHECK_GIVEN(pointer) \
	uf_check_given(__func__, #pointer, (const void *)(pointer))

#endif /* UF_CHECK_H */

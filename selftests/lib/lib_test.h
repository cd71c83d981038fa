/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the library's tests share. They run over the backend that the
 * environment's UFIBER_BACKEND names.
 *
 * No test waits for a time to pass in order to be sure that something has
 * happened: it waits for the thing itself. What never happens is caught by the
 * harness's timeout.
 */
#ifndef LIB_TEST_H
#define LIB_TEST_H

#include <kselftest_harness.h>
#include <ufiber.h>
#include <stdatomic.h>

/* Emulated machines are slow. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 120

/* A failed ASSERT jumps to the test's start; from a fiber that is no way. */
static inline int lib_test_bail(int assert, struct __test_metadata *t)
{
	if (assert && uf_self())
		abort();
	return __bail(assert, t);
}

/* clang-format off */
#undef OPTIONAL_HANDLER
#define OPTIONAL_HANDLER(_assert) \
	for (; _metadata->trigger; _metadata->trigger = \
			lib_test_bail(_assert, _metadata))

/* Make a runtime with so many servers. */
#define CREATE_RUNTIME(rt, nr_servers)					\
	do {								\
		struct uf_config _config = UF_CONFIG_INIT;		\
									\
		_config.servers = nr_servers;				\
		ASSERT_EQ(0, uf_runtime_create(rt, &_config))		\
			TH_LOG("%s", uf_strerror());			\
	} while (0)

/* Make a fiber of the calling fiber's runtime. */
#define CREATE(fiber, start, arg) \
	ASSERT_EQ(0, uf_create(NULL, fiber, NULL, start, arg))

#define JOIN(fiber) \
	ASSERT_EQ(0, uf_join(fiber, NULL))

/* A test whose body runs as the first fiber of a runtime. */
#define FIBER_TEST(test_name, nr_servers)				\
	static void test_name##_body(struct __test_metadata *_metadata); \
									\
	static void *test_name##_fiber(void *_metadata)			\
	{								\
		test_name##_body(_metadata);				\
		return NULL;						\
	}								\
									\
	TEST(test_name)							\
	{								\
		struct uf_config config = UF_CONFIG_INIT;		\
									\
		config.servers = nr_servers;				\
		ASSERT_EQ(0, uf_run(&config, test_name##_fiber,		\
				    _metadata, NULL))			\
			TH_LOG("%s", uf_strerror());			\
	}								\
									\
	static void test_name##_body(struct __test_metadata *_metadata)

/* With -fsanitize=address a signal would be turned into a report. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_abort=0";
}
/* clang-format on */

#endif /* LIB_TEST_H */

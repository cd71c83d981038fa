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
#include <dirent.h>
#include <ufiber.h>
#include <stdatomic.h>
#include <unistd.h>

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

#if defined(__SANITIZE_THREAD__)
#define LIB_TEST_TSAN 1
#else
#define LIB_TEST_TSAN 0
#endif

/* End the test that runs in this process: it is skipped. */
static inline void lib_test_skip(const char *why)
{
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	/* The tests share their results' memory; those still to run lack it. */
	for (f = __fixture_list; f; f = f->next)
		for (t = f->tests; t; t = t->next)
			if (t->results)
				snprintf(t->results->reason,
					 sizeof(t->results->reason), "%s", why);
	_exit(KSFT_SKIP);
}

/* Emulators of user space know no io_uring, and there is no runtime without. */
static inline int lib_test_skip_without_runtime(int error)
{
	if (error == -ENOSYS)
		lib_test_skip(uf_strerror());
	return error;
}

/* clang-format off */
#define uf_run(...) \
	lib_test_skip_without_runtime(uf_run(__VA_ARGS__))
#define uf_runtime_create(...) \
	lib_test_skip_without_runtime(uf_runtime_create(__VA_ARGS__))

/* For tests whose runtimes are made by child processes: those cannot skip. */
static inline void lib_test_need_runtime(void)
{
	struct uf_runtime *rt;

	if (!uf_runtime_create(&rt, NULL))
		uf_runtime_destroy(rt);
}

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

/* The checked build does not put a new fiber at the address of the last one. */
#ifdef UF_CHECKED
#define EXPECT_SAME_STACK(first, second)				\
	do {								\
		EXPECT_NE(first, second);				\
		EXPECT_EQ((uintptr_t)(first) >> 12,			\
			  (uintptr_t)(second) >> 12);			\
	} while (0)
#else
#define EXPECT_SAME_STACK(first, second) EXPECT_EQ(first, second)
#endif

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

/* A sanitizer would turn a signal into a report, and memory that runs out into an abort. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_abort=0:"
	       "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_abort=0:"
	       "allocator_may_return_null=1";
}
/* clang-format on */

/* How many, with "." and "..": of a thread's or process's files in /proc, say. */
static inline int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

#endif /* LIB_TEST_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Runtimes: configuration, errors and their texts, several, their end. */
#include "lib_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

static void *return_arg(void *arg)
{
	return arg;
}

/* What is wrong with a configuration, and what the text must name. */
struct bad_config {
	struct uf_config config;
	int error;
	const char *text;
};

TEST(bad_configs)
{
	const struct bad_config cases[] = {
		{ { .size = 1 }, -EINVAL, "UF_CONFIG_INIT" },
		{ { .size = sizeof(struct uf_config), .servers = 100000 },
		  -EINVAL,
		  "servers" },
		{ { .size = sizeof(struct uf_config),
		    .servers = 2,
		    .max_threads = 1 },
		  -EINVAL,
		  "max_threads" },
		{ { .size = sizeof(struct uf_config), .max_threads = ~0U },
		  -EINVAL,
		  "max_threads" },
		{ { .size = sizeof(struct uf_config), .stack_size = 1 },
		  -EINVAL,
		  "stack_size" },
		{ { .size = sizeof(struct uf_config), .stack_size = SIZE_MAX },
		  -EINVAL,
		  "stack_size" },
		{ { .size = sizeof(struct uf_config), .backend = "best" },
		  -EINVAL,
		  "\"module\", \"monitor\" and \"none\"" },
	};
	struct uf_runtime *const untouched = (void *)cases;
	struct uf_runtime *rt = untouched;
	unsigned int i;

	EXPECT_STREQ("", uf_strerror());
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(cases[i].error,
			  uf_runtime_create(&rt, &cases[i].config))
		TH_LOG("case %u", i);
		EXPECT_NE(NULL, strstr(uf_strerror(), cases[i].text))
		TH_LOG("case %u: %s", i, uf_strerror());
		EXPECT_EQ(untouched, rt);
	}
	ASSERT_EQ(0, uf_runtime_create(&rt, NULL));
	EXPECT_STREQ("", uf_strerror());
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST(environment)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;

	setenv("UFIBER_BACKEND", "nonsense", 1);
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, NULL));
	EXPECT_NE(NULL, strstr(uf_strerror(), "UFIBER_BACKEND"));
	EXPECT_NE(NULL, strstr(uf_strerror(), "nonsense"));

	/* The program's word counts more than the environment's. */
	config.backend = "none";
	ASSERT_EQ(0, uf_runtime_create(&rt, &config));
	EXPECT_STREQ("none", uf_runtime_backend(rt));
	EXPECT_EQ(0, uf_runtime_destroy(rt));

	setenv("UFIBER_BACKEND", "none", 1);
	ASSERT_EQ(0, uf_runtime_create(&rt, NULL));
	EXPECT_STREQ("none", uf_runtime_backend(rt));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST(automatic_backend)
{
	bool module = !access("/dev/ufiber", R_OK | W_OK);
	struct uf_runtime *rt;

	unsetenv("UFIBER_BACKEND");
	ASSERT_EQ(0, uf_runtime_create(&rt, NULL));
	EXPECT_STREQ(module ? "module" : "monitor", uf_runtime_backend(rt));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST(no_module)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;

	if (!access("/dev/ufiber", F_OK))
		SKIP(return, "the module is loaded");
	config.backend = "module";
	EXPECT_EQ(-ENODEV, uf_runtime_create(&rt, &config));
	EXPECT_NE(NULL, strstr(uf_strerror(), "/dev/ufiber"));
	EXPECT_NE(NULL, strstr(uf_strerror(), "Loading the module"));
}

TEST(no_descriptors)
{
	struct uf_runtime *rt;
	int fd, last;

	/* Room for the first ring at most. */
	last = open("/dev/null", O_RDONLY);
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	close(last);
	EXPECT_EQ(-EMFILE, uf_runtime_create(&rt, NULL));
	EXPECT_NE(0, *uf_strerror());
}

TEST(defaults)
{
	struct uf_stats stats = { .size = sizeof(stats) };
	struct uf_runtime *rt;
	cpu_set_t set;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(set), &set));
	ASSERT_EQ(0, uf_runtime_create(&rt, NULL));
	ASSERT_EQ(0, uf_runtime_stats(rt, &stats));
	EXPECT_LE(CPU_COUNT(&set), stats.threads);
	EXPECT_EQ(0, stats.fibers);
	stats.size = 0;
	EXPECT_EQ(-EINVAL, uf_runtime_stats(rt, &stats));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	EXPECT_EQ(0, uf_runtime_destroy(NULL));
}

TEST(outside)
{
	struct uf_stats stats = { .size = sizeof(stats) };

	EXPECT_EQ(NULL, uf_runtime_backend(NULL));
	EXPECT_EQ(-EPERM, uf_runtime_stats(NULL, &stats));
}

FIBER_TEST(inside, 1)
{
	struct uf_stats stats = { .size = sizeof(stats) };
	struct uf_runtime *rt;

	EXPECT_NE(NULL, uf_runtime_backend(NULL));
	EXPECT_EQ(0, uf_runtime_stats(NULL, &stats));
	EXPECT_EQ(1, stats.fibers);
	EXPECT_EQ(-EDEADLK, uf_runtime_create(&rt, NULL));
	EXPECT_EQ(-EDEADLK, uf_run(NULL, return_arg, NULL, NULL));
}

struct destroyer {
	struct uf_runtime *rt;
	int error;
};

static void *destroy(void *arg)
{
	struct destroyer *d = arg;

	d->error = uf_runtime_destroy(d->rt);
	return NULL;
}

TEST(destroy_from_fiber)
{
	struct destroyer d = { 0 };
	struct uf_fiber *fiber;

	CREATE_RUNTIME(&d.rt, 1);
	ASSERT_EQ(0, uf_create(d.rt, &fiber, NULL, destroy, &d));
	ASSERT_EQ(0, uf_join(fiber, NULL));
	EXPECT_EQ(-EDEADLK, d.error);
	EXPECT_EQ(0, uf_runtime_destroy(d.rt));
}

TEST(run)
{
	void *value = NULL;

	ASSERT_EQ(0, uf_run(NULL, return_arg, &value, &value));
	EXPECT_EQ(&value, value);
	ASSERT_EQ(0, uf_run(NULL, return_arg, NULL, NULL));
	EXPECT_EQ(-EINVAL, uf_run(NULL, NULL, NULL, NULL));
}

static void *work(void *arg)
{
	int i;

	for (i = 0; i < 100; i++)
		uf_yield();
	uf_sleep(1000000);
	atomic_fetch_add((atomic_int *)arg, 1);
	return NULL;
}

/* Waits for those that run; frees also those that nobody joins. */
TEST(destroy_waits)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	atomic_int done = 0;
	int i;

	CREATE_RUNTIME(&rt, 2);
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, uf_create(rt, &fiber, NULL, work, &done));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
	EXPECT_EQ(50, done);
}

TEST(nothing_is_left)
{
	struct uf_runtime *rt;
	int fds, i;

	fds = count_entries("/proc/self/fd");
	for (i = 0; i < 20; i++) {
		CREATE_RUNTIME(&rt, 1 + i % 4);
		EXPECT_LT(fds, count_entries("/proc/self/fd"));
		ASSERT_EQ(0, uf_runtime_destroy(rt));
	}
	EXPECT_EQ(fds, count_entries("/proc/self/fd"));
	/*
	 * Joined threads leave /proc a moment later. ThreadSanitizer starts
	 * some of its own.
	 */
	while (!LIB_TEST_TSAN && count_entries("/proc/self/task") > 2 + 1)
		sched_yield();
}

struct across {
	struct __test_metadata *metadata;
	struct uf_sem there;
	struct uf_sem back;
	struct uf_fiber *first;
};

static void *wait_and_post(void *arg)
{
	struct across *across = arg;
	struct __test_metadata *_metadata = across->metadata;
	int i;

	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, uf_sem_wait(&across->there));
		ASSERT_EQ(0, uf_sem_post(&across->back));
	}
	return across;
}

static void *post_and_wait(void *arg)
{
	struct across *across = arg;
	struct __test_metadata *_metadata = across->metadata;
	void *value;
	int i;

	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, uf_sem_post(&across->there));
		ASSERT_EQ(0, uf_sem_wait(&across->back));
	}
	ASSERT_EQ(0, uf_join(across->first, &value));
	EXPECT_EQ(across, value);
	return NULL;
}

/* Fibers of different runtimes wake and join each other. */
TEST(two_runtimes)
{
	struct across across = { .metadata = _metadata };
	struct uf_runtime *rt[2];
	struct uf_fiber *second;

	CREATE_RUNTIME(&rt[0], 2);
	CREATE_RUNTIME(&rt[1], 1);
	ASSERT_EQ(0,
		  uf_create(rt[0], &across.first, NULL, wait_and_post, &across));
	ASSERT_EQ(0, uf_create(rt[1], &second, NULL, post_and_wait, &across));
	ASSERT_EQ(0, uf_join(second, NULL));
	EXPECT_EQ(0, uf_runtime_destroy(rt[1]));
	EXPECT_EQ(0, uf_runtime_destroy(rt[0]));
}

/* Everything that can be shared, between fibers of unlike runtimes. */
struct shared {
	struct __test_metadata *metadata;
	struct uf_mutex mutex;
	struct uf_channel *there;
	struct uf_channel *back;
	struct uf_event event;
	long counter;
};

#define EXCHANGES 300

static void *serve_numbers(void *arg)
{
	struct shared *shared = arg;
	struct __test_metadata *_metadata = shared->metadata;
	const char *home = uf_runtime_backend(NULL);
	int number;

	while (!uf_channel_receive(shared->there, &number)) {
		ASSERT_EQ(home, uf_runtime_backend(NULL));
		ASSERT_EQ(0, uf_mutex_lock(&shared->mutex));
		shared->counter++;
		uf_yield();
		ASSERT_EQ(0, uf_mutex_unlock(&shared->mutex));
		number++;
		ASSERT_EQ(0, uf_channel_send(shared->back, &number));
	}
	ASSERT_EQ(0, uf_event_wait(&shared->event));
	return shared;
}

static void *ask_numbers(void *arg)
{
	struct shared *shared = arg;
	struct __test_metadata *_metadata = shared->metadata;
	const char *home = uf_runtime_backend(NULL);
	int i, number;

	for (i = 0; i < EXCHANGES; i++) {
		ASSERT_EQ(home, uf_runtime_backend(NULL));
		number = i;
		ASSERT_EQ(0, uf_channel_send(shared->there, &number));
		ASSERT_EQ(0, uf_mutex_lock(&shared->mutex));
		shared->counter++;
		uf_sleep(1);
		ASSERT_EQ(0, uf_mutex_unlock(&shared->mutex));
		ASSERT_EQ(0, uf_channel_receive(shared->back, &number));
	}
	return shared;
}

/* Each backend that there is here beside each other, in one process. */
TEST(unlike_runtimes)
{
	static const char *const backends[] = { "none", "monitor", "module" };
	struct uf_runtime *rt[ARRAY_SIZE(backends)];
	struct shared shared = {
		.metadata = _metadata,
		.mutex = UF_MUTEX_INIT,
		.event = UF_EVENT_INIT,
	};
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_fiber *asks[ARRAY_SIZE(backends)];
	struct uf_fiber *serves[ARRAY_SIZE(backends)];
	unsigned int i, n = 0;
	void *value;
	int error;

	ASSERT_EQ(0, uf_channel_create(&shared.there, sizeof(int), 0));
	ASSERT_EQ(0, uf_channel_create(&shared.back, sizeof(int), 2));
	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		config.backend = backends[i];
		config.servers = 1 + i;
		error = uf_runtime_create(&rt[n], &config);
		if (error) {
			TH_LOG("%s", uf_strerror());
			continue;
		}
		EXPECT_STREQ(backends[i], uf_runtime_backend(rt[n]));
		n++;
	}
	ASSERT_LE(1, n);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, uf_create(rt[i], &serves[i], NULL, serve_numbers,
				       &shared));
		ASSERT_EQ(0, uf_create(rt[i], &asks[i], NULL, ask_numbers,
				       &shared));
	}
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, uf_join(asks[i], NULL));
	ASSERT_EQ(0, uf_channel_close(shared.there));
	ASSERT_EQ(0, uf_event_set(&shared.event));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, uf_join(serves[i], &value));
		EXPECT_EQ(&shared, value);
	}
	EXPECT_EQ(2 * EXCHANGES * n, shared.counter);
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, uf_runtime_destroy(rt[i]));
	uf_channel_destroy(shared.there);
	uf_channel_destroy(shared.back);
}

/* The child of a fork can end and exec; the runtime is the parent's only. */
FIBER_TEST(fork_and_exec, 1)
{
	char script[128];
	pid_t child;
	int status;

	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(7);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(7, WEXITSTATUS(status));

	/* No descriptor of the runtime's is open in what is executed. */
	snprintf(script, sizeof(script),
		 "ls -l /proc/self/fd | grep -q -e io_uring -e ufiber && exit 1; exit 0");
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(127);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	uf_sleep(1000);
}

TEST_HARNESS_MAIN

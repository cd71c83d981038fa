// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The monitor backend, with each of its sources. A fiber blocks in the kernel in
 * some way, and what ends that is done by another fiber of the same server, or
 * waits for the watcher to have taken the server: so without that no test ends.
 */
#include "deny.h"
/* Both name this attribute. */
#undef __printf
#include "monitor.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

static bool is_preempt_rt(void)
{
	struct utsname name;

	uname(&name);
	return strstr(name.version, "PREEMPT_RT");
}

FIXTURE(monitor)
{
	struct __test_metadata *metadata;
	unsigned int longest;
};

FIXTURE_VARIANT(monitor)
{
	const char *source;
	unsigned int longest;
};

FIXTURE_VARIANT_ADD(monitor, perf){
	.source = "perf",
	.longest = 50000,
};

FIXTURE_VARIANT_ADD(monitor, proc){
	.source = "proc",
	.longest = 2000000, /* looks are about a millisecond apart */
};

FIXTURE_SETUP(monitor)
{
	char why[160];

	self->metadata = _metadata;
	self->longest = variant->longest;
	if (!strcmp(variant->source, "perf") && uf_perf_probe(why, sizeof(why)))
		SKIP(return, "%s", why);
	setenv("UFIBER_BACKEND", "monitor", 1);
	setenv("UFIBER_MONITOR", variant->source, 1);
}

FIXTURE_TEARDOWN(monitor)
{
}

/* --------------------------------------------------- ways to block, and out */

struct way {
	const char *name;
	void (*prepare)(struct way *way, struct __test_metadata *_metadata);
	void (*block)(struct way *way);
	void (*end)(struct way *way);
	int fd[2];
	char *page;
	pthread_t thread;
	atomic_int in;
	atomic_int out;
};

static void handle(int sig)
{
}

static void prepare_sleep(struct way *way, struct __test_metadata *_metadata)
{
	struct sigaction action = { .sa_handler = handle };

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
}

static void block_in_sleep(struct way *way)
{
	struct timespec ts = { .tv_sec = 1000000 };

	nanosleep(&ts, NULL);
}

/* The signal may come before the sleep; so it is repeated. */
static void end_sleep(struct way *way)
{
	pthread_kill(way->thread, SIGUSR1);
}

static void prepare_pipe(struct way *way, struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, pipe2(way->fd, O_NONBLOCK));
	ASSERT_EQ(0, fcntl(way->fd[0], F_SETFL, 0));
}

static void block_in_read(struct way *way)
{
	char c;

	if (read(way->fd[0], &c, 1) != 1)
		abort();
}

static void end_read(struct way *way)
{
	if (write(way->fd[1], "", 1) < 0 && errno != EAGAIN)
		abort();
}

static void prepare_flock(struct way *way, struct __test_metadata *_metadata)
{
	char path[64];

	way->fd[0] = memfd_create("lock", 0);
	ASSERT_LE(0, way->fd[0]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", way->fd[0]);
	way->fd[1] = open(path, O_RDWR);
	ASSERT_LE(0, way->fd[1]);
	ASSERT_EQ(0, flock(way->fd[0], LOCK_EX));
}

static void block_in_flock(struct way *way)
{
	if (flock(way->fd[1], LOCK_EX))
		abort();
}

static void end_flock(struct way *way)
{
	flock(way->fd[0], LOCK_UN);
}

static void prepare_fault(struct way *way, struct __test_metadata *_metadata)
{
	size_t size = sysconf(_SC_PAGESIZE);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	way->fd[0] = syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY);
	ASSERT_LE(0, way->fd[0]);
	ASSERT_EQ(0, ioctl(way->fd[0], UFFDIO_API, &api));
	way->page = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, way->page);
	reg.range.start = (uintptr_t)way->page;
	reg.range.len = size;
	ASSERT_EQ(0, ioctl(way->fd[0], UFFDIO_REGISTER, &reg));
}

static void block_in_fault(struct way *way)
{
	*(volatile char *)way->page = 1;
}

static void end_fault(struct way *way)
{
	struct uffdio_zeropage zero = {
		.range = { (uintptr_t)way->page, sysconf(_SC_PAGESIZE) },
	};

	ioctl(way->fd[0], UFFDIO_ZEROPAGE, &zero);
}

static struct way ways[] = {
	{ "nanosleep", prepare_sleep, block_in_sleep, end_sleep },
	{ "pipe", prepare_pipe, block_in_read, end_read },
	{ "flock", prepare_flock, block_in_flock, end_flock },
	{ "userfaultfd", prepare_fault, block_in_fault, end_fault },
};

static void *block(void *arg)
{
	struct way *way = arg;

	way->thread = pthread_self();
	atomic_store(&way->in, 1);
	way->block(way);
	atomic_store(&way->out, 1);
	return NULL;
}

static uint64_t count_blocks(struct uf_runtime *rt)
{
	struct uf_stats stats = { .size = sizeof(stats) };

	if (uf_runtime_stats(rt, &stats))
		abort();
	return stats.blocks;
}

/* The first fiber: the other one runs first and blocks, then it goes on. */
static void *neighbours(void *arg)
{
	struct __test_metadata *_metadata = arg;
	struct uf_fiber *fiber;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		struct way *way = &ways[i];
		uint64_t blocks = count_blocks(NULL);

		way->prepare(way, _metadata);
		CREATE(&fiber, block, way);
		while (!atomic_load(&way->in))
			uf_yield();
		EXPECT_EQ(0, atomic_load(&way->out));
		while (!atomic_load(&way->out)) {
			way->end(way);
			uf_yield();
		}
		JOIN(fiber);
		EXPECT_LT(blocks, count_blocks(NULL))
		TH_LOG("%s", way->name);
	}
	return NULL;
}

TEST_F(monitor, neighbour_ends_block)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.servers = 1;
	ASSERT_EQ(0, uf_run(&config, neighbours, _metadata, NULL))
	TH_LOG("%s", uf_strerror());
}

/* ----------------------------------------------------------------- a storm */

#define STORMERS 24
#define TURNS 150

struct storm {
	struct __test_metadata *metadata;
	struct uf_mutex mutex;
	long counter;
	unsigned int longest;
	int fds[2];
};

struct stormer {
	struct storm *storm;
	uint32_t seed;
};

/* There are as many bytes to read as have been written, by somebody. */
static void write_and_read(struct storm *storm)
{
	struct __test_metadata *_metadata = storm->metadata;
	char c;

	ASSERT_EQ(1, write(storm->fds[1], "", 1));
	ASSERT_EQ(1, read(storm->fds[0], &c, 1));
}

static void lock_and_block(struct storm *storm)
{
	struct __test_metadata *_metadata = storm->metadata;
	struct timespec ts = { .tv_nsec = 20000 };

	ASSERT_EQ(0, uf_mutex_lock(&storm->mutex));
	storm->counter++;
	nanosleep(&ts, NULL);
	ASSERT_EQ(0, uf_mutex_unlock(&storm->mutex));
}

static void *storm_on(void *arg)
{
	struct stormer *s = arg;
	struct storm *storm = s->storm;
	struct __test_metadata *_metadata = storm->metadata;
	int i;

	for (i = 0; i < TURNS; i++) {
		struct timespec ts = { .tv_nsec = s->seed % storm->longest };

		s->seed = s->seed * 1664525 + 1013904223;
		switch (s->seed >> 28 & 7) {
		case 0:
			nanosleep(&ts, NULL);
			break;
		case 1:
			write_and_read(storm);
			break;
		case 2:
			ASSERT_EQ(0, uf_sleep(ts.tv_nsec));
			break;
		case 3:
			lock_and_block(storm);
			break;
		case 4:
			sched_yield();
			break;
		default:
			uf_yield();
		}
	}
	ASSERT_EQ(0, uf_mutex_lock(&storm->mutex));
	storm->counter += 1000000;
	ASSERT_EQ(0, uf_mutex_unlock(&storm->mutex));
	return NULL;
}

/* Blocks of all lengths, so that threads return at all moments. */
static void run_storm(const FIXTURE_DATA(monitor) * self)
{
	struct __test_metadata *_metadata = self->metadata;
	struct storm storm = { .metadata = _metadata, .longest = self->longest };
	struct stormer stormer[STORMERS];
	struct uf_fiber *fiber[STORMERS];
	struct uf_runtime *rt;
	int i;

	ASSERT_EQ(0, pipe(storm.fds));
	CREATE_RUNTIME(&rt, 3);
	for (i = 0; i < STORMERS; i++) {
		stormer[i] = (struct stormer){ &storm, i * 2654435761U };
		ASSERT_EQ(0,
			  uf_create(rt, &fiber[i], NULL, storm_on, &stormer[i]));
	}
	for (i = 0; i < STORMERS; i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	EXPECT_LT(0, count_blocks(rt));
	EXPECT_EQ(STORMERS, storm.counter / 1000000);
	EXPECT_EQ(0, READ_ONCE(rt->shared_domain->nr_runnable));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

TEST_F(monitor, storm)
{
	run_storm(self);
}

/* ----------------------------------------------------------- end and limits */

static void *destroy(void *rt)
{
	return (void *)(intptr_t)uf_runtime_destroy(rt);
}

/* The runtime's end waits for a fiber that is blocked, and then is one. */
TEST_F(monitor, stop_while_blocked)
{
	struct way way = ways[1];
	struct uf_runtime *rt;
	pthread_t thread;
	void *result;

	way.prepare(&way, _metadata);
	CREATE_RUNTIME(&rt, 2);
	ASSERT_EQ(0, uf_create(rt, NULL,
			       &(struct uf_attr){ .size = sizeof(struct uf_attr),
						  .flags = UF_DETACHED },
			       block, &way));
	while (!count_blocks(rt))
		sched_yield();
	ASSERT_EQ(0, pthread_create(&thread, NULL, destroy, rt));
	EXPECT_EQ(0, atomic_load(&way.out));
	way.end(&way);
	ASSERT_EQ(0, pthread_join(thread, &result));
	EXPECT_EQ(NULL, result);
	EXPECT_EQ(1, atomic_load(&way.out));
}

static void *fork_and_wait(void *arg)
{
	struct way *way = arg;
	pid_t child = fork();
	int status;

	if (!child)
		_exit(7);
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	way->end(way);
	return (void *)(intptr_t)WEXITSTATUS(status);
}

/* A child has neither watcher nor events, and takes nothing from its parent. */
TEST_F(monitor, fork)
{
	struct uf_fiber *blocked, *forker;
	struct way way = ways[1];
	struct uf_runtime *rt;
	void *value;

	way.prepare(&way, _metadata);
	CREATE_RUNTIME(&rt, 1);
	ASSERT_EQ(0, uf_create(rt, &blocked, NULL, block, &way));
	while (!count_blocks(rt))
		sched_yield();
	ASSERT_EQ(0, uf_create(rt, &forker, NULL, fork_and_wait, &way));
	ASSERT_EQ(0, uf_join(forker, &value));
	EXPECT_EQ(7, (intptr_t)value);
	ASSERT_EQ(0, uf_join(blocked, NULL));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

static void *nothing(void *arg)
{
	return arg;
}

static bool is_vacant(struct uf_runtime *rt)
{
	uint32_t owner = smp_load_acquire(&rt->shared_servers[0].owner);

	return UFIBER_OWNER_STATE(owner) == UFIBER_SERVER_VACANT;
}

/* No thread is left to take the server: it waits for the one that blocks. */
TEST_F(monitor, thread_limit)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_fiber *blocked, *queued;
	struct way way = ways[1];
	struct uf_runtime *rt;

	config.servers = 1;
	config.max_threads = 1;
	way.prepare(&way, _metadata);
	ASSERT_EQ(0, uf_runtime_create(&rt, &config));
	ASSERT_EQ(0, uf_create(rt, &blocked, NULL, block, &way));
	while (!count_blocks(rt))
		sched_yield();
	ASSERT_EQ(0, uf_create(rt, &queued, NULL, nothing, NULL));
	EXPECT_TRUE(is_vacant(rt));
	way.end(&way);
	ASSERT_EQ(0, uf_join(blocked, NULL));
	ASSERT_EQ(0, uf_join(queued, NULL));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* ------------------------------------------------------------------- idle */

static uint64_t read_switches(struct __test_metadata *_metadata, const char *tid)
{
	char path[300], line[256];
	uint64_t n, sum = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	f = fopen(path, "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %lu", &n) == 1)
			sum += n;
	fclose(f);
	return sum;
}

static bool is_watcher(struct __test_metadata *_metadata, const char *tid)
{
	char path[300], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/comm", tid);
	f = fopen(path, "r");
	ASSERT_NE(NULL, f);
	ASSERT_NE(NULL, fgets(name, sizeof(name), f));
	fclose(f);
	return !strcmp(name, "uf-watcher\n");
}

/* Context switches of the watcher, or of all threads but the calling one. */
static uint64_t count_switches(struct __test_metadata *_metadata, bool watcher)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	uint64_t sum = 0;

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != getpid() &&
		    (!watcher || is_watcher(_metadata, entry->d_name)))
			sum += read_switches(_metadata, entry->d_name);
	closedir(dir);
	return sum;
}

/* Nobody wakes up, the watcher included, for a tenth of a second. */
static void expect_quiet(struct __test_metadata *_metadata)
{
	const struct timespec tenth = { .tv_nsec = 100000000 };
	uint64_t now = count_switches(_metadata, false), before;
	int tries = 100;

	do {
		before = now;
		nanosleep(&tenth, NULL);
		now = count_switches(_metadata, false);
	} while (now != before && --tries);
	EXPECT_LT(0, tries);
}

TEST_F(monitor, idle_is_quiet)
{
	struct uf_fiber *fiber;
	struct way way = ways[1];
	struct uf_runtime *rt;

	if (LIB_TEST_TSAN)
		SKIP(return, "ThreadSanitizer has a thread that wakes up");
	way.prepare(&way, _metadata);
	CREATE_RUNTIME(&rt, 2);
	expect_quiet(_metadata);
	/* Also while a fiber is blocked, its server taken. */
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, block, &way));
	while (!count_blocks(rt))
		sched_yield();
	expect_quiet(_metadata);
	way.end(&way);
	ASSERT_EQ(0, uf_join(fiber, NULL));
	expect_quiet(_metadata);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

#define SLEEPS 500

static void *sleep_often(void *arg)
{
	int i;

	for (i = 0; i < SLEEPS; i++)
		if (uf_sleep(100000))
			abort();
	return NULL;
}

/* A server that sleeps in its ring is no business of the watcher's. */
TEST_F(monitor, sleep_in_ring_is_unseen)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	uint64_t before;

	if (strcmp(variant->source, "perf"))
		SKIP(return,
			   "the watcher looks around while servers are in use");
	CREATE_RUNTIME(&rt, 1);
	do {
		before = count_switches(_metadata, true);
	} while (!before);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, sleep_often, NULL));
	ASSERT_EQ(0, uf_join(fiber, NULL));
	EXPECT_GT(before + SLEEPS / 2, count_switches(_metadata, true));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* ------------------------------------------------------ preempted, not blocked */

/* Each leaves two records: together more than a ring has room for. */
#define PREEMPTIONS 1000

struct rivals {
	struct way way;
	atomic_bool done;
};

static void *be_rival(void *arg)
{
	struct rivals *rivals = arg;

	while (!atomic_load(&rivals->done))
		sched_yield();
	return NULL;
}

static void *give_way_then_block(void *arg)
{
	struct rivals *rivals = arg;
	int i;

	for (i = 0; i < PREEMPTIONS; i++) {
		sched_yield();
		uf_yield(); /* if the server was taken, get it again */
	}
	block(&rivals->way);
	return NULL;
}

/*
 * On one CPU, beside a thread that wants it too. To give way to that is no block;
 * and the block that comes afterwards is seen, in a ring that was full before.
 */
TEST_F(monitor, preempted_is_not_blocked)
{
	struct rivals rivals = { .way = ways[1] };
	struct uf_runtime *rt;
	struct uf_fiber *fiber;
	pthread_t rival;
	cpu_set_t set;
	int cpu = sched_getcpu();

	if (is_preempt_rt())
		SKIP(return,
			   "the kernel's own locks sleep, and look like blocks");
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(set), &set));
	rivals.way.prepare(&rivals.way, _metadata);
	CREATE_RUNTIME(&rt, 1);
	ASSERT_EQ(0, pthread_create(&rival, NULL, be_rival, &rivals));
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, give_way_then_block, &rivals));
	while (!atomic_load(&rivals.way.in))
		sched_yield();
	atomic_store(&rivals.done, true);
	ASSERT_EQ(0, pthread_join(rival, NULL));
	while (!count_blocks(rt))
		sched_yield();
	EXPECT_GT(PREEMPTIONS / 10, count_blocks(rt));
	rivals.way.end(&rivals.way);
	ASSERT_EQ(0, uf_join(fiber, NULL));
	EXPECT_GT(PREEMPTIONS / 10, count_blocks(rt));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* What the threads are watched by, as the user is told. */
static struct uf_stats read_stats(struct uf_runtime *rt)
{
	struct uf_stats stats = { .size = sizeof(stats) };

	if (uf_runtime_stats(rt, &stats))
		abort();
	return stats;
}

TEST_F(monitor, stats_tell_the_source)
{
	struct uf_runtime *rt;
	struct uf_stats stats;

	CREATE_RUNTIME(&rt, 2);
	stats = read_stats(rt);
	EXPECT_LE(2, stats.threads);
	if (!strcmp(variant->source, "perf")) {
		/* There may be no room for all in RLIMIT_MEMLOCK. */
		EXPECT_LT(0, stats.watched_by_perf);
		EXPECT_GE(stats.threads, stats.watched_by_perf);
	} else {
		EXPECT_EQ(0, stats.watched_by_perf);
		EXPECT_EQ(stats.threads, stats.watched_by_proc);
	}
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* ------------------------------------------------------------ not permitted */

TEST(perf_denied)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;

	ASSERT_EQ(0, deny_call(SYS_perf_event_open, EACCES));
	config.servers = 1;
	config.backend = "monitor";
	setenv("UFIBER_MONITOR", "perf", 1);
	ASSERT_EQ(-EACCES, uf_runtime_create(&rt, &config));
	EXPECT_NE(NULL, strstr(uf_strerror(), "perf_event_paranoid"));
	EXPECT_NE(NULL, strstr(uf_strerror(), "UFIBER_MONITOR"));

	unsetenv("UFIBER_MONITOR");
	ASSERT_EQ(0, uf_runtime_create(&rt, &config));
	EXPECT_FALSE(rt->monitor->perf);
	EXPECT_NE(NULL, strstr(rt->monitor->why, "perf_event_paranoid"));
	EXPECT_EQ(0, read_stats(rt).watched_by_perf);
	EXPECT_EQ(read_stats(rt).threads, read_stats(rt).watched_by_proc);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
	ASSERT_EQ(0, uf_run(&config, neighbours, _metadata, NULL));
}

/* See uf_perf_probe(). */
TEST(perf_on_rt)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;
	char why[160];

	if (!is_preempt_rt())
		SKIP(return, "the kernel is not PREEMPT_RT");
	if (uf_perf_probe(why, sizeof(why)) == -EACCES)
		SKIP(return, "%s", why);
	config.servers = 1;
	config.backend = "monitor";
	setenv("UFIBER_MONITOR", "perf", 1);
	ASSERT_EQ(-EOPNOTSUPP, uf_runtime_create(&rt, &config));
	EXPECT_NE(NULL, strstr(uf_strerror(), "PREEMPT_RT"));
	unsetenv("UFIBER_MONITOR");
	ASSERT_EQ(0, uf_runtime_create(&rt, &config));
	EXPECT_EQ(read_stats(rt).threads, read_stats(rt).watched_by_proc);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

TEST(membarrier_denied)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;

	if (UF_SAN_THREAD)
		SKIP(return, "the thread sanitizer does without");
	ASSERT_EQ(0, deny_call(SYS_membarrier, EPERM));
	config.backend = "monitor";
	unsetenv("UFIBER_MONITOR");
	EXPECT_EQ(-ENOSYS, uf_runtime_create(&rt, &config));
	EXPECT_NE(NULL, strstr(uf_strerror(), "membarrier"));
	if (!access(UFIBER_DEVICE, R_OK | W_OK))
		return;
	unsetenv("UFIBER_BACKEND");
	ASSERT_EQ(0, uf_runtime_create(&rt, NULL));
	EXPECT_STREQ("none", uf_runtime_backend(rt));
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST(unknown_source)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;

	config.backend = "monitor";
	setenv("UFIBER_MONITOR", "nonsense", 1);
	EXPECT_EQ(-EINVAL, uf_runtime_create(&rt, &config));
	EXPECT_NE(NULL, strstr(uf_strerror(), "nonsense"));
}

static unsigned int count_unwatched(struct uf_runtime *rt)
{
	unsigned int i, n = 0;

	for (i = 0; i < READ_ONCE(rt->nr_threads); i++)
		n += rt->monitor->threads[i].ring_fd < 0 &&
		     rt->monitor->threads[i].stat_fd < 0;
	return n;
}

/*
 * Descriptors run out after the first thread's: others serve unwatched, and what
 * was asked of them is done.
 */
TEST(no_descriptors_for_threads)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_fiber *fiber[8];
	struct uf_runtime *rt;
	struct rlimit limit;
	unsigned int i;

	config.servers = 4;
	config.backend = "monitor";
	unsetenv("UFIBER_MONITOR");
	/* Rings, the watcher's two and one thread's. */
	limit.rlim_cur = limit.rlim_max = dup(0) + 5 + 2 + 1;
	close(limit.rlim_max - 8);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(0, uf_runtime_create(&rt, &config))
	TH_LOG("%s", uf_strerror());
	EXPECT_LT(0, count_unwatched(rt));
	EXPECT_EQ(read_stats(rt).threads - count_unwatched(rt),
		  read_stats(rt).watched_by_perf +
			  read_stats(rt).watched_by_proc);
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_create(rt, &fiber[i], NULL, nothing, NULL));
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

TEST_HARNESS_MAIN

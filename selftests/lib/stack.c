// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Stacks: their size, how much was used, reuse, return, and running out of them. */
#include "lib_test.h"
/* Both name this attribute. */
#undef __printf
#include "internal.h"

#include <alloca.h>
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int run_with_stack(size_t size, void *(*start)(void *), void *arg,
			  void **value)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;
	int error;

	attr.stack_size = size;
	error = uf_create(NULL, &fiber, &attr, start, arg);
	return error ? error : uf_join(fiber, value);
}

/* Touches every page of so much stack, and its lowest byte. */
static void *use_stack(void *arg)
{
	size_t size = (uintptr_t)arg;
	volatile char *p = alloca(size);
	size_t i;

	for (i = 0; i < size; i += 1024)
		p[size - 1 - i] = 1;
	p[0] = 1;
	return NULL;
}

FIBER_TEST(size, 1)
{
	size_t size;

	/* What the fiber itself and the library need is not counted here. */
	for (size = UF_STACK_MIN; size <= 1 << 20; size *= 2)
		EXPECT_EQ(0, run_with_stack(size, use_stack,
					    (void *)(size - 8192), NULL));
	EXPECT_EQ(0, run_with_stack(0, use_stack, (void *)49152, NULL));
}

struct parked {
	struct uf_sem go;
};

static void *park(void *arg)
{
	struct parked *parked = arg;

	uf_sem_wait(&parked->go);
	return NULL;
}

static struct uf_fiber *fibers[4096];

/* Make parked fibers until there is no room for more. Returns how many. */
static int create_all(struct __test_metadata *_metadata, struct parked *parked)
{
	int n = 0;
	int error = 0;

	while (n < ARRAY_SIZE(fibers) &&
	       !(error = uf_create(NULL, &fibers[n], NULL, park, parked)))
		n++;
	EXPECT_EQ(-ENOMEM, error);
	return n;
}

static void release_all(struct parked *parked, int n)
{
	while (n--)
		uf_sem_post(&parked->go);
}

static void join_all(struct __test_metadata *_metadata, struct parked *parked,
		     int n)
{
	int i;

	release_all(parked, n);
	for (i = 0; i < n; i++)
		JOIN(fibers[i]);
}

FIBER_TEST(memory_limit, 1)
{
	struct parked parked = { 0 };
	struct rlimit old, limit;
	unsigned long pages;
	FILE *statm;
	int n;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	SKIP(return, "a sanitizer needs all of the address space");
#endif
	statm = fopen("/proc/self/statm", "r");
	ASSERT_NE(NULL, statm);
	ASSERT_EQ(1, fscanf(statm, "%lu", &pages));
	fclose(statm);

	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &old));
	limit = old;
	limit.rlim_cur = pages * sysconf(_SC_PAGESIZE) + (16 << 20);
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	n = create_all(_metadata, &parked);
	EXPECT_LT(100, n);
	join_all(_metadata, &parked, n);
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &old));
	EXPECT_EQ(0, run_with_stack(0, use_stack, (void *)4096, NULL));
}

static void *here(void *arg)
{
	return __builtin_frame_address(0);
}

FIBER_TEST(reuse, 1)
{
	void *first, *second;

	ASSERT_EQ(0, run_with_stack(0, here, NULL, &first));
	ASSERT_EQ(0, run_with_stack(0, here, NULL, &second));
	EXPECT_SAME_STACK(first, second);
}

/* Hot lines of different stacks do not fall in one set of the cache. */
FIBER_TEST(colours, 1)
{
	struct parked parked = { 0 };
	struct uf_fiber *fiber[16];
	unsigned int i;
	uintptr_t sets = 0;

	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		CREATE(&fiber[i], park, &parked);
		sets |= 1ULL << (uintptr_t)fiber[i] / 64 % 64;
	}
	EXPECT_EQ(ARRAY_SIZE(fiber), __builtin_popcountl(sets));
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		uf_sem_post(&parked.go);
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		JOIN(fiber[i]);
}

/* Bits of the map that an address is in, such as "nh" for no huge pages. */
static bool has_vm_flag(const void *address, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool in = false, has = false;
	char line[512];

	while (!has && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = start <= (uintptr_t)address &&
			     (uintptr_t)address < end;
		else if (in && !strncmp(line, "VmFlags:", 8))
			has = strstr(line, flag);
	}
	fclose(smaps);
	return has;
}

FIBER_TEST(no_huge_pages, 1)
{
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		SKIP(return, "the kernel has no transparent huge pages");
	EXPECT_TRUE(has_vm_flag(uf_self(), " nh"));
}

/* The child goes on on its copy of the fiber's stack. */
FIBER_TEST(fork_in_fiber, 1)
{
	int status;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		use_stack((void *)40000);
		_exit(7);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(7, WEXITSTATUS(status));
}

/* ------------------------------------------------------------- high water */

/* What the library takes, and the call that asks. */
#ifdef __SANITIZE_ADDRESS__
#define FRAMES 8192
#else
#define FRAMES 4096
#endif

/* Uses so much of its stack, and tells what is known of it then. */
static void *measure(void *arg)
{
	if (arg)
		use_stack(arg);
	return (void *)uf_stack_high_water(NULL);
}

static ssize_t measured(struct __test_metadata *_metadata, unsigned int flags,
			size_t size)
{
	struct uf_attr attr = { .size = sizeof(attr), .flags = flags };
	struct uf_fiber *fiber;
	void *result;

	ASSERT_EQ(0, uf_create(NULL, &fiber, &attr, measure, (void *)size));
	ASSERT_EQ(0, uf_join(fiber, &result));
	return (ssize_t)result;
}

FIBER_TEST(high_water, 1)
{
	size_t size;
	ssize_t n;

	EXPECT_LT(0, measured(_metadata, UF_CLEAN_STACK, 0));
	EXPECT_GT(FRAMES, measured(_metadata, UF_CLEAN_STACK, 0));
	for (size = 4096; size <= 53248; size += 4000) {
		n = measured(_metadata, UF_CLEAN_STACK, size);
		EXPECT_LE(size, n);
		EXPECT_GT(size + FRAMES, n) TH_LOG("%zu: %zd", size, n);
	}
	EXPECT_GT(FRAMES, measured(_metadata, UF_CLEAN_STACK, 0));
}

static __attribute__((noinline)) void write_zeros(void)
{
	volatile char buffer[32768];
	int i;

	for (i = 0; i < sizeof(buffer); i++)
		buffer[i] = 0;
}

/* Pages of zeros have been used as well. */
static void *use_zeros(void *arg)
{
	write_zeros();
	return (void *)uf_stack_high_water(NULL);
}

FIBER_TEST(high_water_of_zeros, 1)
{
	struct uf_attr attr = { .size = sizeof(attr), .flags = UF_CLEAN_STACK };
	struct uf_fiber *fiber;
	void *n;

	ASSERT_EQ(0, uf_create(NULL, &fiber, &attr, use_zeros, NULL));
	ASSERT_EQ(0, uf_join(fiber, &n));
	EXPECT_LE(32768, (ssize_t)n);
	EXPECT_GT(32768 + 4096 + FRAMES, (ssize_t)n);
}

/* On a reused stack what others left counts, and what a clean one left does not. */
FIBER_TEST(high_water_reused, 1)
{
	EXPECT_LE(40000, measured(_metadata, 0, 40000));
	EXPECT_LE(40000, measured(_metadata, 0, 0));
	EXPECT_GT(FRAMES, measured(_metadata, UF_CLEAN_STACK, 0));
	EXPECT_GT(FRAMES, measured(_metadata, 0, 0));
}

/* Of another fiber, from any thread, the stack's size is what there is at most. */
TEST(high_water_of_other)
{
	struct parked parked = { 0 };
	struct uf_runtime *rt;
	struct uf_fiber *fiber;

	EXPECT_EQ(-EPERM, uf_stack_high_water(NULL));
	EXPECT_EQ(0, uf_stack_size(NULL));
	CREATE_RUNTIME(&rt, 1);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, park, &parked));
	EXPECT_LE(0, uf_stack_high_water(fiber));
	EXPECT_GT(65536, uf_stack_size(fiber));
	EXPECT_LT(65536 - 4096, uf_stack_size(fiber));
	EXPECT_LE(uf_stack_high_water(fiber), uf_stack_size(fiber));
	uf_sem_post(&parked.go);
	JOIN(fiber);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

/* ------------------------------------------------------------ their return */

struct range {
	char *start;
	size_t size;
};

static struct range ranges[ARRAY_SIZE(fibers)];

static void note_range(int i)
{
	ranges[i] = (struct range){ fibers[i]->stack, fibers[i]->stack_size };
}

/* Of noted stacks, how many have any memory; what is not mapped has none. */
static int count_resident(int n)
{
	static unsigned char pages[1 << 20];
	int resident = 0;
	int i;

	for (i = 0; i < n; i++)
		if (!mincore(ranges[i].start, ranges[i].size, pages) &&
		    memchr(pages, 1, ranges[i].size / sysconf(_SC_PAGESIZE)))
			resident++;
	return resident;
}

static void *use_and_park(void *arg)
{
	use_stack((void *)40000);
	return park(arg);
}

static void create_used(struct __test_metadata *_metadata, struct uf_runtime *rt,
			struct parked *parked, int n, size_t size)
{
	struct uf_attr attr = { .size = sizeof(attr), .stack_size = size };
	int i;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, uf_create(rt, &fibers[i], &attr, use_and_park,
				       parked));
		note_range(i);
	}
}

struct joining {
	int first;
	int end;
};

static void *join_from_fiber(void *arg)
{
	struct joining *joining = arg;
	int i;

	for (i = joining->first; i < joining->end; i++)
		uf_join(fibers[i], NULL);
	return NULL;
}

static bool sleeps_for_good(struct uf_server *s)
{
	return READ_ONCE(s->sleep) == UF_ASLEEP && !READ_ONCE(s->stacks.armed);
}

/*
 * What is idle goes back, though nothing happens in the runtime any more; be it
 * in the servers' caches, or where plain threads put it.
 */
TEST(idle_memory_is_returned)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct parked parked = { 0 };
	struct joining joining = { 0, 500 };
	struct uf_runtime *rt;
	struct uf_fiber *fiber;
	int i;

	if (LIB_TEST_TSAN)
		SKIP(return,
			   "ThreadSanitizer maps memory of its own where stacks were");
	/* No thread may be started later, whose stack could be where ours was. */
	config.servers = config.max_threads = 2;
	ASSERT_EQ(0, uf_runtime_create(&rt, &config));
	create_used(_metadata, rt, &parked, 1000, 0);
	release_all(&parked, 1000);
	ASSERT_EQ(0, uf_create(rt, &fiber, NULL, join_from_fiber, &joining));
	JOIN(fiber);
	while (count_resident(500))
		sched_yield();
	for (i = 0; i < 2; i++)
		while (!sleeps_for_good(&rt->servers[i]))
			sched_yield();
	joining = (struct joining){ 500, 1000 };
	join_from_fiber(&joining);
	while (count_resident(1000))
		sched_yield();
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

/*
 * What was needed within a second stays, however much it is. On a machine that takes
 * longer for this, try again.
 */
TEST(warm_stacks_are_kept)
{
	struct joining joining = { 0, ARRAY_SIZE(fibers) };
	struct uf_runtime *rt;
	struct uf_fiber *fiber;
	uint64_t start;
	int resident;

	do {
		struct parked parked = { 0 };

		CREATE_RUNTIME(&rt, 1);
		create_used(_metadata, rt, &parked, ARRAY_SIZE(fibers), 0);
		release_all(&parked, ARRAY_SIZE(fibers));
		start = uf_now();
		ASSERT_EQ(0, uf_create(rt, &fiber, NULL, join_from_fiber,
				       &joining));
		JOIN(fiber);
		resident = count_resident(ARRAY_SIZE(fibers));
		start = uf_now() - start;
		EXPECT_EQ(0, uf_runtime_destroy(rt));
	} while (start > 900000000);
	EXPECT_EQ(ARRAY_SIZE(fibers), resident);
}

TEST(large_stacks_are_unmapped)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct parked parked = { 0 };
	unsigned char page;
	struct uf_runtime *rt;

	config.servers = config.max_threads = 1;
	ASSERT_EQ(0, uf_runtime_create(&rt, &config));
	create_used(_metadata, rt, &parked, 1, 3 << 20);
	EXPECT_EQ(0, mincore(ranges[0].start, 1, &page));
	join_all(_metadata, &parked, 1);
	while (!mincore(ranges[0].start, 1, &page))
		sched_yield();
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST_HARNESS_MAIN

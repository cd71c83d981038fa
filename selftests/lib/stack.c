// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Stacks: the guard page, reuse, and running out of them. */
#include "lib_test.h"

#include <alloca.h>
#include <sys/mman.h>
#include <sys/resource.h>

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

/* Touches every page of so much stack. */
static void *use_stack(void *arg)
{
	size_t size = (uintptr_t)arg;
	volatile char *p = alloca(size);
	size_t i;

	for (i = 0; i < size; i += 1024)
		p[size - 1 - i] = 1;
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

/* The depth keeps the compiler from seeing that it has no end. */
static int overflow_deeper(volatile int *depth)
{
	volatile int frame[128];

	frame[0] = *depth + 1;
	return frame[0] ? overflow_deeper(frame) + frame[0] : 0;
}

static void *overflow(void *arg)
{
	int depth = 0;

	return (void *)(intptr_t)overflow_deeper(&depth);
}

static void *run_overflow(void *arg)
{
	run_with_stack((uintptr_t)arg, overflow, NULL, NULL);
	return NULL;
}

TEST_SIGNAL(overflow_default, SIGSEGV)
{
	uf_run(NULL, run_overflow, NULL, NULL);
}

TEST_SIGNAL(overflow_large, SIGSEGV)
{
	uf_run(NULL, run_overflow, (void *)(uintptr_t)(1 << 20), NULL);
}

/* The lowest page of the mapping that an address is in, without touching it. */
static bool is_guarded(const void *address)
{
	unsigned long start, end, previous_end = 0;
	char previous_mode[5] = "", mode[5];
	FILE *maps = fopen("/proc/self/maps", "r");
	bool guarded = false;

	while (fscanf(maps, "%lx-%lx %4s%*[^\n]", &start, &end, mode) == 3) {
		if (start <= (uintptr_t)address && (uintptr_t)address < end) {
			guarded = previous_end == start &&
				  !strcmp(previous_mode, "---p");
			break;
		}
		previous_end = end;
		strcpy(previous_mode, mode);
	}
	fclose(maps);
	return guarded;
}

struct parked {
	struct uf_sem go;
	atomic_int unguarded;
};

static void *park(void *arg)
{
	struct parked *parked = arg;

	uf_sem_wait(&parked->go);
	return NULL;
}

static struct uf_fiber *fibers[70000];

/* Make parked fibers until there is no room for more. Returns how many. */
static int create_all(struct __test_metadata *_metadata, struct parked *parked)
{
	int n = 0;
	int error;

	while (!(error = uf_create(NULL, &fibers[n], NULL, park, parked)))
		n++;
	EXPECT_EQ(-ENOMEM, error);
	return n;
}

static void join_all(struct __test_metadata *_metadata, struct parked *parked,
		     int n)
{
	int i;

	for (i = 0; i < n; i++)
		uf_sem_post(&parked->go);
	for (i = 0; i < n; i++)
		JOIN(fibers[i]);
}

#define SPARE_MAPS 400

static long max_map_count(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
	long n = 0;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

/*
 * Use up the process's maps but a few: each page whose protection differs from
 * its neighbours' is a map. Returns the mapping, of @size bytes.
 */
static char *use_maps(size_t *size)
{
	long page = sysconf(_SC_PAGESIZE);
	long n = max_map_count();
	char *map;
	long i;

	*size = n * page;
	map = mmap(NULL, *size, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	for (i = 1; i < n; i += 2)
		if (mprotect(map + i * page, page, PROT_READ))
			break;
	/* Give some back: a page and its two neighbours become one map. */
	for (n = i - SPARE_MAPS; i > n; i -= 2)
		mprotect(map + (i - 2) * page, page, PROT_NONE);
	return map;
}

FIBER_TEST(map_limit, 1)
{
	struct parked parked = { 0 };
	size_t size;
	char *map;
	int n, i;

	if (max_map_count() > 200000)
		SKIP(return, "vm.max_map_count is too high to be reached");
	map = use_maps(&size);
	ASSERT_NE(NULL, map);
	n = create_all(_metadata, &parked);
	EXPECT_LT(0, n);
	munmap(map, size);

	for (i = 0; i < n; i++)
		EXPECT_TRUE(is_guarded(fibers[i]));
	join_all(_metadata, &parked, n);
	/* And now there is room again. */
	EXPECT_EQ(0, run_with_stack(0, use_stack, (void *)4096, NULL));
}

FIBER_TEST(memory_limit, 1)
{
	struct parked parked = { 0 };
	struct rlimit old, limit;
	unsigned long pages;
	FILE *statm;
	int n;

#ifdef __SANITIZE_ADDRESS__
	SKIP(return, "AddressSanitizer needs all of the address space");
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
	EXPECT_EQ(first, second);
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

TEST_HARNESS_MAIN

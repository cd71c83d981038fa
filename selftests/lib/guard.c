// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Guard pages, on as many stacks as there is memory for; and what becomes of
 * those that cannot be had.
 */
#include "guard_test.h"

GUARD_FIXTURE(guard)

/* More than there could be with maps of their own at the default limit. */
#define NR_MANY 70000
#define NR_MILLION 1000000
/* What a parked fiber takes, and what the rest of the test does. */
#define BYTES_EACH 4700
#define BYTES_REST (64 << 20)

/* clang-format off */
#if defined(__SANITIZE_ADDRESS__)
#define SKIP_MANY_UNDER_SANITIZER() \
	SKIP(return, "AddressSanitizer takes too much memory")
#elif defined(__SANITIZE_THREAD__)
#define SKIP_MANY_UNDER_SANITIZER() \
	SKIP(return, "ThreadSanitizer knows at most 8128 fibers")
#else
#define SKIP_MANY_UNDER_SANITIZER() ((void)0)
#endif
/* clang-format on */

static struct uf_fiber *fibers[NR_MILLION];
static struct uf_sem go;

static void *park(void *arg)
{
	uf_sem_wait(&go);
	return NULL;
}

static long count_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	long n = 0;
	int c;

	while ((c = getc(maps)) != EOF)
		n += c == '\n';
	fclose(maps);
	return n;
}

static long read_number(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	char line[256];
	long n = -1;

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			n = strtol(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return n;
}

static bool have_memory_for(size_t nr)
{
	long kb = read_number("/proc/meminfo", "MemAvailable:");

	return kb >= (long)((nr * BYTES_EACH + BYTES_REST) >> 10);
}

/* Make parked fibers until there are @max or no more can be made. */
static unsigned int create(struct uf_runtime *rt, unsigned int max, int *error)
{
	unsigned int n = 0;

	while (n < max && !(*error = uf_create(rt, &fibers[n], NULL, park, NULL)))
		n++;
	return n;
}

static void join_all(struct __test_metadata *_metadata, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		uf_sem_post(&go);
	for (i = 0; i < nr; i++)
		JOIN(fibers[i]);
}

static void end(struct __test_metadata *_metadata, struct uf_runtime *rt,
		unsigned int nr)
{
	join_all(_metadata, nr);
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

/* Every so-many-th fiber has a guard of the kind that is meant. */
static void check_guards(struct __test_metadata *_metadata, unsigned int nr,
			 unsigned int step, enum uf_guard guard)
{
	unsigned int i;

	for (i = 0; i < nr; i += step) {
		ASSERT_EQ(guard, fibers[i]->chunk->guard);
		ASSERT_TRUE(is_guarded(fibers[i]))
		TH_LOG("fiber %u of %u", i, nr);
	}
}

TEST_F(guard, each)
{
	struct uf_runtime *rt;
	int error;

	CREATE_RUNTIME(&rt, 1);
	ASSERT_EQ(300, create(rt, 300, &error));
	check_guards(_metadata, 300, 1, variant->guard);
	end(_metadata, rt, 300);
}

/* Reuse, warm and from the arena, does not lose it. */
TEST_F(guard, reused)
{
	struct uf_runtime *rt;
	unsigned int i;
	int error;

	CREATE_RUNTIME(&rt, 1);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(3000, create(rt, 3000, &error));
		check_guards(_metadata, 3000, 1, variant->guard);
		join_all(_metadata, 3000);
	}
	EXPECT_EQ(0, uf_runtime_destroy(rt));
}

TEST_F(guard, sizes)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_runtime *rt;
	unsigned int nr = 0;

	CREATE_RUNTIME(&rt, 1);
	for (attr.stack_size = UF_STACK_MIN; attr.stack_size <= 4 << 20;
	     attr.stack_size += attr.stack_size / 2 + 1) {
		ASSERT_EQ(0, uf_create(rt, &fibers[nr], &attr, park, NULL));
		EXPECT_LE(attr.stack_size, fibers[nr]->stack_size);
		nr++;
	}
	check_guards(_metadata, nr, 1, variant->guard);
	end(_metadata, rt, nr);
}

/* What the program itself may still map, when there are no more stacks. */
static void check_room(struct __test_metadata *_metadata)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, 4000 * page, PROT_READ,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	ASSERT_NE(MAP_FAILED, map);
	for (i = 1; i < 4000; i += 2)
		ASSERT_EQ(0, mprotect(map + i * page, page, PROT_NONE));
	munmap(map, 4000 * page);
}

static void check_limited(struct __test_metadata *_metadata,
			  struct uf_runtime *rt)
{
	long max = read_number("/proc/sys/vm/max_map_count", "");
	int error = 0;
	unsigned int nr;

	if (max > 2 * NR_MANY)
		SKIP(return, "vm.max_map_count is above the default");
	nr = create(rt, NR_MANY, &error);
	TH_LOG("%u fibers, then %d; %ld maps", nr, error, count_maps());
	EXPECT_EQ(-ENOMEM, error);
	EXPECT_LT(max / 4, nr);
	EXPECT_GT(max, count_maps() + 4000);
	check_room(_metadata);
	check_guards(_metadata, nr, 1, UF_GUARD_MPROTECT);

	/* The number is the process's, not the runtime's; and it goes down. */
	end(_metadata, rt, nr);
	CREATE_RUNTIME(&rt, 1);
	EXPECT_EQ(nr, create(rt, NR_MANY, &error));
	end(_metadata, rt, nr);
}

TEST_F(guard, many)
{
	struct uf_runtime *rt;
	int error = 0;
	long maps;

	SKIP_MANY_UNDER_SANITIZER();
	if (!have_memory_for(NR_MANY))
		SKIP(return, "%d parked fibers need %d MiB", NR_MANY,
			   (int)(((size_t)NR_MANY * BYTES_EACH + BYTES_REST) >>
				 20));
	CREATE_RUNTIME(&rt, 1);
	if (variant->guard == UF_GUARD_MPROTECT) {
		check_limited(_metadata, rt);
		return;
	}
	maps = count_maps();
	ASSERT_EQ(NR_MANY, create(rt, NR_MANY, &error));
	maps = count_maps() - maps;
	TH_LOG("%d fibers in %ld more maps", NR_MANY, maps);
	EXPECT_GT(50, maps);
	check_guards(_metadata, NR_MANY, 7, variant->guard);
	end(_metadata, rt, NR_MANY);
}

/* No runtime has the room of another. */
TEST_F(guard, two_runtimes)
{
	struct uf_runtime *rt[2];
	int error;

	CREATE_RUNTIME(&rt[0], 1);
	CREATE_RUNTIME(&rt[1], 1);
	ASSERT_EQ(100, create(rt[0], 100, &error));
	check_guards(_metadata, 100, 1, variant->guard);
	end(_metadata, rt[0], 100);
	ASSERT_EQ(100, create(rt[1], 100, &error));
	check_guards(_metadata, 100, 1, variant->guard);
	end(_metadata, rt[1], 100);
}

static void million(struct __test_metadata *_metadata, enum uf_guard guard)
{
	struct uf_runtime *rt;
	int error = 0;
	long maps;

	SKIP_MANY_UNDER_SANITIZER();
	if (!have_memory_for(NR_MILLION))
		SKIP(return, "a million parked fibers need %d MiB",
			   (int)(((size_t)NR_MILLION * BYTES_EACH + BYTES_REST) >>
				 20));
	if (guard == UF_GUARD_MARKER && !have_markers())
		SKIP(return, "MADV_GUARD_INSTALL needs Linux 6.13");
	ASSERT_EQ(0, allow_guard(guard));
	CREATE_RUNTIME(&rt, 2);
	maps = count_maps();
	ASSERT_EQ(NR_MILLION, create(rt, NR_MILLION, &error));
	maps = count_maps() - maps;
	TH_LOG("%d fibers in %ld more maps", NR_MILLION, maps);
	EXPECT_GT(100, maps);
	check_guards(_metadata, NR_MILLION, 997, guard);
	end(_metadata, rt, NR_MILLION);
}

TEST(million_marker)
{
	million(_metadata, UF_GUARD_MARKER);
}

TEST(million_uffd)
{
	million(_metadata, UF_GUARD_UFFD);
}

TEST_HARNESS_MAIN

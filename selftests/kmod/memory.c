// SPDX-License-Identifier: GPL-2.0
/*
 * Memory: it is charged to the group of the process that asks for it, and where
 * there is no more to be had the call fails, without harm to anybody.
 */
#include "uf_test.h"
#include "uf_cgroup.h"
#include "uf_scene.h"
#include <sys/mman.h>

#define MANY	16
#define KB	1024L
#define MB	(1024 * KB)

static struct uf_dom d, dom[MANY];
static struct uf_cgroup group;
static struct uf_child child;

static struct ufiber_setup biggest(void)
{
	return (struct ufiber_setup){
		.size = sizeof(struct ufiber_setup),
		.nr_servers = UFIBER_MAX_SERVERS,
		.max_threads = UFIBER_MAX_THREADS,
	};
}

static long set_up(struct uf_dom *dom, struct ufiber_setup s)
{
	long ret;

	dom->setup = s;
	ret = uf_ioctl(dom->fd, UFIBER_IOC_SETUP, &dom->setup);
	return ret;
}

#define OPEN_ALL()							\
	do {								\
		int _i;							\
									\
		for (_i = 0; _i < MANY; _i++)				\
			ASSERT_EQ(0, uf_open_fd(&dom[_i]));		\
	} while (0)

static long group_memory(void)
{
	return uf_cgroup_read(&group, "memory.current", NULL);
}

static bool has_been_returned(void *before)
{
	return group_memory() < *(long *)before + MANY * MB;
}

/* Domains are charged to who sets them up, in full, and what they cost comes back. */
TEST(domains_are_charged)
{
	long before, after;
	size_t size;
	int i;

	UF_BEGIN(&d);
	ASSERT_EQ(0, uf_open_fd(&d));
	ASSERT_EQ(0, set_up(&d, biggest()));
	uf_close(&d);
	UF_CGROUP(&group, "memory");
	UF_CHILD(&child, {
		OPEN_ALL();
		UF_CHILD_STEP(&child);
		for (i = 0; i < MANY; i++)
			ASSERT_EQ(0, set_up(&dom[i], biggest()));
		UF_CHILD_STEP(&child);
		for (i = 0; i < MANY; i++)
			close(dom[i].fd);
		UF_CHILD_STEP(&child);
	});
	ASSERT_EQ(0, uf_cgroup_add(&group, child.pid));
	before = group_memory();
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	after = group_memory();
	/* The shared pages, and the module's own table of threads. */
	size = d.setup.mmap_size + UFIBER_MAX_THREADS * sizeof(void *);
	EXPECT_LE(before + (long)(MANY * size), after)
		TH_LOG("%ld KB before, %ld KB after", before / KB, after / KB);
	EXPECT_GE(before + (long)(MANY * (size + MB)), after)
		TH_LOG("%ld KB before, %ld KB after", before / KB, after / KB);
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	EXPECT_TRUE(uf_await(NULL, has_been_returned, &before, "the memory to be returned"));
	UF_CHILD_END(&child);
	UF_REFS_BACK();
	uf_cgroup_remove(&group);
}

/*
 * The limit is reached: the call fails, the descriptor is as it was, the process
 * lives, and what is small enough still works.
 */
TEST(limit)
{
	char text[40];
	int i;

	UF_BEGIN(&d);
	UF_CGROUP(&group, "memory");
	UF_CHILD(&child, {
		struct ufiber_query q;

		UF_OPEN(&d, 1, 1);	/* touch all that this takes */
		uf_close(&d);
		OPEN_ALL();
		UF_CHILD_STEP(&child);
		for (i = 0; i < 100; i++) {
			ASSERT_EQ(-ENOMEM, set_up(&dom[0], biggest()));
			ASSERT_EQ(-EBADFD, uf_query(&dom[0], UFIBER_NONE, UFIBER_NONE, &q));
		}
		dom[0].setup = biggest();
		dom[0].setup.nr_servers = 1;
		dom[0].setup.max_threads = 16;
		ASSERT_EQ(0, set_up(&dom[0], dom[0].setup));
		ASSERT_EQ(0, uf_query(&dom[0], UFIBER_NONE, UFIBER_NONE, &q));
		ASSERT_EQ(1, q.nr_vacant);
		UF_CHILD_STEP(&child);
	});
	ASSERT_EQ(0, uf_cgroup_add(&group, child.pid));
	snprintf(text, sizeof(text), "%ld", group_memory() + 1 * MB);
	ASSERT_EQ(0, uf_cgroup_write(&group, "memory.max", text));
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	EXPECT_LT(0, uf_cgroup_read(&group, "memory.events", "max"));
	EXPECT_EQ(0, uf_cgroup_read(&group, "memory.events", "oom_kill"));
	UF_CHILD_END(&child);
	UF_REFS_BACK();
	uf_cgroup_remove(&group);
}

/* Many small ones add up: the limit is that of all together. */
TEST(limit_of_many)
{
	char text[40];
	int i;

	UF_BEGIN(&d);
	UF_CGROUP(&group, "memory");
	UF_CHILD(&child, {
		struct ufiber_setup s = biggest();
		int made = 0;

		s.max_threads = UFIBER_MAX_THREADS / 4;
		OPEN_ALL();
		UF_CHILD_STEP(&child);
		for (i = 0; i < MANY; i++) {
			long ret = set_up(&dom[i], s);

			ASSERT_TRUE(!ret || ret == -ENOMEM) TH_LOG("%ld", ret);
			made += !ret;
		}
		EXPECT_LT(0, made);
		EXPECT_GE(4 * MB, made * dom[0].setup.mmap_size);
		for (i = 0; i < MANY; i++)
			close(dom[i].fd);
		UF_CHILD_STEP(&child);
	});
	ASSERT_EQ(0, uf_cgroup_add(&group, child.pid));
	snprintf(text, sizeof(text), "%ld", group_memory() + 4 * MB);
	ASSERT_EQ(0, uf_cgroup_write(&group, "memory.max", text));
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	EXPECT_EQ(0, uf_cgroup_read(&group, "memory.events", "oom_kill"));
	UF_CHILD_END(&child);
	UF_REFS_BACK();
	uf_cgroup_remove(&group);
}

/* A registration is charged too. Its threads' own memory is there before. */
#define REGISTERED	400

static struct uf_thread threads[REGISTERED];
static atomic_uint registered;
static int start[2], stop[2];	/* pipes: what waits for their end is let go */

static void *register_and_wait(void *arg)
{
	struct ufiber_register reg = { .size = sizeof(reg) };

	uf_get(start[0]);
	if (!uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg))
		atomic_fetch_add(&registered, 1);
	uf_get(stop[0]);
	return NULL;
}

static bool all_are_registered(void *unused)
{
	return atomic_load(&registered) == REGISTERED;
}

static long slab_memory(void)
{
	return uf_cgroup_read(&group, "memory.stat", "slab_unreclaimable");
}

/* The kernel adds such figures up every two seconds; it is no matter of order. */
static bool slab_has_grown(void *before)
{
	/* The module's struct for a thread is no smaller than this. */
	return slab_memory() >= *(long *)before + REGISTERED * 256L;
}

struct settled {
	long value;
	__u64 since;
};

static bool slab_has_settled(void *arg)
{
	struct settled *s = arg;
	long value = slab_memory();

	if (value != s->value) {
		s->value = value;
		s->since = uf_now();
	}
	return uf_now() - s->since > 5000000000ULL;
}

TEST(registrations_are_charged)
{
	struct settled before = { 0 };

	UF_BEGIN(&d);
	UF_CGROUP(&group, "memory");
	UF_CHILD(&child, {
		pthread_attr_t attr;
		int i;

		ASSERT_EQ(0, pipe(start));
		ASSERT_EQ(0, pipe(stop));
		UF_CHILD_STEP(&child);	/* it is in the group */
		UF_OPEN(&d, 1, REGISTERED);
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, 32 * KB);
		for (i = 0; i < REGISTERED; i++)
			ASSERT_EQ(0, pthread_create(&threads[i].pthread, &attr,
						    register_and_wait, NULL));
		UF_CHILD_STEP(&child);
		close(start[1]);
		ASSERT_TRUE(uf_await(&d, all_are_registered, NULL, "all to be registered"));
		UF_CHILD_STEP(&child);
		close(stop[1]);
		for (i = 0; i < REGISTERED; i++)
			pthread_join(threads[i].pthread, NULL);
	});
	ASSERT_EQ(0, uf_cgroup_add(&group, child.pid));
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	ASSERT_TRUE(uf_await(NULL, slab_has_settled, &before, "the group's memory to settle"));
	UF_NEXT_STEP(&child);
	UF_AWAIT_STEP(&child);
	EXPECT_TRUE(uf_await(NULL, slab_has_grown, &before.value, "the structs to be charged"))
		TH_LOG("%ld before, %ld after", before.value, slab_memory());
	UF_CHILD_END(&child);
	UF_REFS_BACK();
	uf_cgroup_remove(&group);
}

/* All of the mapping is there, and gone with the process; mremap() cannot grow it. */
TEST(mapping)
{
	size_t i;
	void *p;

	UF_OPEN(&d, UFIBER_MAX_SERVERS, UFIBER_MAX_THREADS);
	for (i = 0; i < UFIBER_MAX_THREADS; i++)
		ASSERT_EQ(UFIBER_NONE, d.threads[i].server);
	for (i = 0; i < d.setup.mmap_size; i += 4096) {
		volatile __u32 *word = d.map + i + 60;

		*word = i;	/* reserved[] in each struct of 64 bytes */
		ASSERT_EQ(i, *word);
	}
	p = mremap(d.map, d.setup.mmap_size, d.setup.mmap_size + 4096, MREMAP_MAYMOVE);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EFAULT, errno);
	/* Part of it may be unmapped, which is the process's own business. */
	EXPECT_EQ(0, munmap(d.map + 4096, 4096));
	uf_close(&d);
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

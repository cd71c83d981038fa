// SPDX-License-Identifier: GPL-2.0
/*
 * A process can be killed at any moment, whatever its threads do just then; the
 * module then has nothing left of it, and can be unloaded.
 */
#include "uf_test.h"
#include "uf_scene.h"
#include "uf_storm.h"
#include <sys/mman.h>

static struct uf_dom d;
static struct uf_child child;
static unsigned int seed = 1;

/*
 * Kill a storm after a random number of its operations: that number is counted
 * by who works, so that what happens at the time is spread over all there is.
 */
static void kill_a_storm(struct __test_metadata *_metadata, int n)
{
	struct uf_storm *storm = uf_storm_new(1000 + n);

	UF_CHILD(&child, {
		ASSERT_TRUE(uf_storm_start(storm, 1 + n % 3, 4 + n % 12));
		UF_CHILD_STEP(&child);
	});
	ASSERT_TRUE(uf_storm_goes_on(storm, rand_r(&seed) % 300));
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	UF_CHILD_KILLED(&child, SIGKILL);
	EXPECT_EQ(0, storm->errors);
	munmap(storm, sizeof(*storm));
}

TEST(kill_storms)
{
	int i;

	UF_BEGIN(&d);
	for (i = 0; i < 60; i++)
		kill_a_storm(_metadata, i);
	UF_REFS_BACK();
}

/* The same with the module's end after each: nothing of it may be called any more. */
TEST(kill_storms_and_unload)
{
	int i;

	UF_BEGIN(&d);
	if (uf_refcnt() || !getenv("UFIBER_VM"))
		SKIP(return, "somebody else may use the module");
	for (i = 0; i < 15; i++) {
		long ret;

		kill_a_storm(_metadata, 100 + i);
		UF_REFS_BACK();
		ret = uf_module_reload();
		ASSERT_EQ(0, ret) TH_LOG("reload: %s", strerror(-ret));
	}
}

/* Single threads end by themselves, in the middle of a storm that goes on. */
static void exit_handler(int sig)
{
	syscall(SYS_exit, 0);
}

TEST(threads_end_in_a_storm)
{
	struct uf_storm *storm = uf_storm_new(2000);
	struct sigaction sa = { .sa_handler = exit_handler };
	struct ufiber_query q;
	unsigned int i;

	UF_BEGIN(&d);
	sigaction(SIGUSR1, &sa, NULL);
	UF_CHILD(&child, {
		ASSERT_TRUE(uf_storm_start(storm, 2, 16));
		for (i = 0; i < 12; i++) {
			ASSERT_TRUE(uf_storm_goes_on(storm, 30));
			syscall(SYS_tgkill, getpid(), uf_storm_tid(storm, i), SIGUSR1);
			atomic_store(&storm->t[i].tid, 0);
			pthread_join(storm->t[i].pthread, NULL);
		}
		/* Each leaves when it is scheduled last, after it is joined. */
		do {
			ASSERT_EQ(0, uf_query(&storm->d, UFIBER_NONE, UFIBER_NONE, &q));
		} while (q.nr_threads > 4);
		UF_CHILD_STEP(&child);
	});
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	UF_CHILD_KILLED(&child, SIGKILL);
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

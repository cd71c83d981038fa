// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The inline switch as compilers make it, with many sets of flags: each against
 * each, one as the coroutine and one as its resumer.
 */
#include "lib_test.h"

#include "inline/work.h"

struct work *works;

struct job {
	const struct work *work;
	unsigned int seed;
	uint64_t result;
};

static void *do_work(struct uf_coro *self, void *arg, void *value)
{
	struct job *job = arg;

	job->result = job->work->work(self, job->seed);
	return NULL;
}

static struct uf_coro *make(uf_coro_fn *start, void *arg)
{
	struct uf_coro *co;

	return uf_coro_create(&co, NULL, start, arg) ? NULL : co;
}

TEST(each_with_each)
{
	unsigned int pairs = 0;
	struct work *a, *b;

	for (a = works; a; a = a->next) {
		for (b = works; b; b = b->next) {
			unsigned int seed = ++pairs * 7919;
			struct job job = { a, seed };
			struct uf_coro *co = make(do_work, &job);
			uint64_t driven;

			ASSERT_NE(NULL, co);
			driven = b->drive(co, seed);
			EXPECT_EQ(b->drive(NULL, seed), driven)
			TH_LOG("%s resumed %s", b->name, a->name);
			EXPECT_EQ(a->work(NULL, seed), job.result)
			TH_LOG("%s, resumed by %s", a->name, b->name);
			EXPECT_EQ(UF_CORO_ENDED, uf_coro_status(co));
			EXPECT_EQ(0, uf_coro_destroy(co));
		}
	}
	for (a = works; a; a = a->next)
		TH_LOG("%s", a->name);
	EXPECT_LT(0, pairs);
}

/* Contexts alone, as inside of the switch. */
static void *here, *there;

static void *do_leaf(struct uf_coro *self, void *arg, void *value)
{
	struct job *job = arg;

	if (uf_coro_yield(self, &there, NULL))
		abort();
	job->result = job->work->leaf(&there, here, job->seed);
	return NULL;
}

#ifndef UF_CORO_CALLED
#include <ufiber/coro_inline.h>
#endif

TEST(leaf)
{
#ifdef UF_CORO_CALLED
	SKIP(return, "no inline switch here");
#else
	struct work *a, *b;

	for (a = works; a; a = a->next) {
		for (b = works; b; b = b->next) {
			struct job job = { a, 5 };
			struct uf_coro *co = make(do_leaf, &job);

			ASSERT_EQ(1, uf_coro_resume(co, NULL, NULL));
			/* From leaf to leaf and back, behind the library's back. */
			here = co->sp;
			co->state = UF_CORO_STATE_RUNS;
			EXPECT_EQ(7 * 66, b->leaf(&here, co->sp, 7))
			TH_LOG("%s", b->name);
			co->state = 0;
			co->sp = there;
			EXPECT_EQ(0, uf_coro_resume(co, NULL, NULL));
			EXPECT_EQ(5 * 66, job.result) TH_LOG("%s", a->name);
			EXPECT_EQ(0, uf_coro_destroy(co));
		}
	}
#endif
}

static void *do_throw(struct uf_coro *self, void *arg, void *value)
{
	struct job *job = arg;

	job->result = job->work->throws(self, job->seed);
	return NULL;
}

/* Several at a time, each unwinding its own frames. */
TEST(exceptions)
{
	struct work *a;
	int tried = 0;

	for (a = works; a; a = a->next) {
		struct job jobs[5];
		struct uf_coro *co[5];
		int i, left = 5;

		if (!a->throws)
			continue;
		tried++;
		for (i = 0; i < 5; i++) {
			jobs[i] = (struct job){ a, i };
			ASSERT_NE(NULL, co[i] = make(do_throw, &jobs[i]));
		}
		while (left)
			for (i = 0; i < 5; i++)
				left -= uf_coro_resume(co[i], NULL, NULL) == 0;
		for (i = 0; i < 5; i++) {
			EXPECT_EQ(a->throws(NULL, i), jobs[i].result)
			TH_LOG("%s", a->name);
			EXPECT_EQ(0, uf_coro_destroy(co[i]));
		}
	}
	if (!tried)
		SKIP(return, "no C++ compiler when this was built");
}

static void *do_throw_out(struct uf_coro *self, void *arg, void *value)
{
	const struct work *work = arg;

	work->throws_out();
	return NULL;
}

/* An exception that nobody catches ends the program; it leaves no coroutine. */
TEST(exceptions_stay_inside)
{
	struct work *a;
	int tried = 0;

	for (a = works; a; a = a->next) {
		pid_t child;
		int status;

		if (!a->throws_out)
			continue;
		tried++;
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			close(2);
			uf_coro_resume(make(do_throw_out, a), NULL, NULL);
			_exit(0);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status)) TH_LOG("%s", a->name);
		EXPECT_EQ(SIGABRT, WTERMSIG(status));
	}
	if (!tried)
		SKIP(return, "no C++ compiler when this was built");
}

TEST_HARNESS_MAIN

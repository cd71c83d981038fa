// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Coroutines, by the called functions and by the inline ones: each test of the
 * fixture runs with either, and with a mixture of both on the same coroutine.
 */
#include "lib_test.h"

#include <execinfo.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <ufiber/coro_inline.h>

#include "switch.h"
#include "test_arch.h"

/* ------------------------------------------------------- the ways to switch */

struct ways {
	int (*resume)(struct uf_coro *co, void *value, void **result);
	int (*yield)(struct uf_coro *self, void *value, void **next);
	int (*transfer)(struct uf_coro *self, struct uf_coro *to, void *value,
			void **next);
};

static int inline_resume(struct uf_coro *co, void *value, void **result)
{
	return uf_coro_resume_inline(co, value, result);
}

static int inline_yield(struct uf_coro *self, void *value, void **next)
{
	return uf_coro_yield_inline(self, value, next);
}

static int inline_transfer(struct uf_coro *self, struct uf_coro *to,
			   void *value, void **next)
{
	return uf_coro_transfer_inline(self, to, value, next);
}

/* Turns that do not repeat with any short loop's. */
static bool mixed_turn(void)
{
	static __thread unsigned int state = 1;

	state = state * 1103515245 + 12345;
	return state >> 16 & 1;
}

static int mixed_resume(struct uf_coro *co, void *value, void **result)
{
	if (mixed_turn())
		return uf_coro_resume(co, value, result);
	return uf_coro_resume_inline(co, value, result);
}

static int mixed_yield(struct uf_coro *self, void *value, void **next)
{
	if (mixed_turn())
		return uf_coro_yield(self, value, next);
	return uf_coro_yield_inline(self, value, next);
}

static int mixed_transfer(struct uf_coro *self, struct uf_coro *to, void *value,
			  void **next)
{
	if (mixed_turn())
		return uf_coro_transfer(self, to, value, next);
	return uf_coro_transfer_inline(self, to, value, next);
}

static const struct ways called = { uf_coro_resume, uf_coro_yield,
				    uf_coro_transfer };
static const struct ways inlined = { inline_resume, inline_yield,
				     inline_transfer };
static const struct ways mixed = { mixed_resume, mixed_yield, mixed_transfer };

/* That of the test that runs; a test is a process. */
static const struct ways *way = &called;

FIXTURE(coro)
{
	const struct ways *way;
};

FIXTURE_VARIANT(coro)
{
	const struct ways *way;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(coro, called) { .way = &called };
FIXTURE_VARIANT_ADD(coro, inlined) { .way = &inlined };
FIXTURE_VARIANT_ADD(coro, mixed) { .way = &mixed };
/* clang-format on */

FIXTURE_SETUP(coro)
{
	way = variant->way;
}

FIXTURE_TEARDOWN(coro)
{
}

/* -------------------------------------------------------------------- tools */

static struct uf_coro *make(uf_coro_fn *start, void *arg)
{
	struct uf_coro *co;

	return uf_coro_create(&co, NULL, start, arg) ? NULL : co;
}

static void *number(intptr_t n)
{
	return (void *)n;
}

/* Yields double of what it gets, and ends with its argument when that is 0. */
static void *double_it(struct uf_coro *self, void *arg, void *value)
{
	while (value)
		if (way->yield(self, number((intptr_t)value * 2), &value))
			abort();
	return arg;
}

/* -------------------------------------------------------- resume and yield */

TEST_F(coro, values_go_both_ways)
{
	struct uf_coro *co = make(double_it, number(-1));
	void *value;
	intptr_t i;

	ASSERT_NE(NULL, co);
	for (i = 1; i < 1000; i++) {
		EXPECT_EQ(UF_CORO_SUSPENDED, uf_coro_status(co));
		ASSERT_EQ(1, way->resume(co, number(i), &value));
		EXPECT_EQ(number(2 * i), value);
	}
	ASSERT_EQ(0, way->resume(co, NULL, &value));
	EXPECT_EQ(number(-1), value);
	EXPECT_EQ(UF_CORO_ENDED, uf_coro_status(co));
	EXPECT_EQ(0, uf_coro_destroy(co));
}

TEST_F(coro, values_need_not_be_stored)
{
	struct uf_coro *co = make(double_it, NULL);

	ASSERT_NE(NULL, co);
	EXPECT_EQ(1, way->resume(co, number(1), NULL));
	EXPECT_EQ(0, way->resume(co, NULL, NULL));
	EXPECT_EQ(0, uf_coro_destroy(co));
}

#define MANY 500

/* Those that are older have been used by more frames: a stack each. */
TEST_F(coro, many_at_once)
{
	struct uf_coro *co[MANY];
	void *value;
	int i, round;

	for (i = 0; i < MANY; i++)
		ASSERT_NE(NULL, co[i] = make(double_it, number(i)));
	for (round = 1; round < 10; round++) {
		for (i = 0; i < MANY; i++) {
			intptr_t sent = round * MANY + i;

			ASSERT_EQ(1, way->resume(co[i], number(sent), &value));
			ASSERT_EQ(number(2 * sent), value);
		}
	}
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, way->resume(co[i], NULL, &value));
		EXPECT_EQ(number(i), value);
		EXPECT_EQ(0, uf_coro_destroy(co[i]));
	}
}

static int recurse(struct uf_coro *self, int depth)
{
	int sum = depth;

	if (depth) {
		sum += recurse(self, depth - 1);
		sum += recurse(self, depth - 1);
	}
	if (way->yield(self, number(depth), NULL))
		abort();
	return sum;
}

static void *yield_from_the_deep(struct uf_coro *self, void *arg, void *value)
{
	return number(recurse(self, (intptr_t)arg));
}

TEST_F(coro, yields_at_any_depth)
{
	struct uf_coro *co = make(yield_from_the_deep, number(8));
	int count[9] = { 0 };
	void *value;
	int i;

	ASSERT_NE(NULL, co);
	while (way->resume(co, NULL, &value) == 1)
		count[(intptr_t)value]++;
	for (i = 0; i <= 8; i++)
		EXPECT_EQ(1 << (8 - i), count[i]);
	/* The sum of d * 2^(8-d). */
	EXPECT_EQ(number(502), value);
	EXPECT_EQ(0, uf_coro_destroy(co));
}

/* Each level adds one to what comes up from the level below. */
static void *nest(struct uf_coro *self, void *arg, void *value)
{
	intptr_t level = (intptr_t)arg;
	struct uf_coro *inner = level ? make(nest, number(level - 1)) : NULL;

	for (;;) {
		void *result = value;

		if (inner && way->resume(inner, value, &result) != 1)
			break;
		if (!inner && !value)
			break;
		way->yield(self, number((intptr_t)result + 1), &value);
	}
	if (uf_coro_destroy(inner))
		abort();
	return NULL;
}

TEST_F(coro, resumes_others)
{
	struct uf_coro *co = make(nest, number(20));
	void *value;
	int i;

	ASSERT_NE(NULL, co);
	for (i = 1; i < 100; i++) {
		ASSERT_EQ(1, way->resume(co, number(i), &value));
		EXPECT_EQ(number(i + 21), value);
	}
	EXPECT_EQ(0, way->resume(co, NULL, NULL));
	EXPECT_EQ(0, uf_coro_destroy(co));
}

static struct uf_coro *switcher;

static void yield_here(void)
{
	if (way->yield(switcher, NULL, NULL))
		abort();
}

static void *yield_with_registers(struct uf_coro *self, void *arg, void *value)
{
	uintptr_t bad = 0;
	int i;

	for (i = 0; i < 1000; i++)
		bad |= kept_registers(0x1111111100000000 | i << 8, yield_here);
	return (void *)bad;
}

static void *last_value;
static int last_return;

static void resume_here(void)
{
	last_return = way->resume(switcher, NULL, &last_value);
}

/* Of both sides, whoever saves them. */
TEST_F(coro, registers)
{
	unsigned int bad = 0;
	int i = 0;

	switcher = make(yield_with_registers, NULL);
	ASSERT_NE(NULL, switcher);
	do
		bad |= kept_registers(0x2222222200000000 | ++i << 8,
				      resume_here);
	while (last_return == 1);
	EXPECT_EQ(1001, i);
	EXPECT_EQ(0, last_return);
	EXPECT_EQ(0, bad);
	EXPECT_EQ(NULL, last_value);
	EXPECT_EQ(0, uf_coro_destroy(switcher));
}

static void *misalignment(struct uf_coro *self, void *arg, void *value)
{
	return number((uintptr_t)__builtin_frame_address(0) % 16);
}

TEST_F(coro, stack_alignment)
{
	struct uf_coro *co = make(misalignment, NULL);
	void *bad;

	ASSERT_EQ(0, way->resume(co, NULL, &bad));
	EXPECT_EQ(NULL, bad);
	EXPECT_EQ(0, uf_coro_destroy(co));
}

#define FRAMES 64

static int unwind_frames;

static void *unwind(struct uf_coro *self, void *arg, void *value)
{
	void *frames[FRAMES];

	/* After having been away, too. */
	if (way->yield(self, NULL, NULL))
		abort();
	unwind_frames = backtrace(frames, FRAMES);
	return frames[unwind_frames - 1 - UF_ARCH_BY_LIBC];
}

/* An unwinder finds the end of the stack, where the coroutine started. */
TEST_F(coro, unwinding_ends)
{
	struct uf_coro *co = make(unwind, NULL);
	void *last;

	ASSERT_EQ(1, way->resume(co, NULL, NULL));
	ASSERT_EQ(0, way->resume(co, NULL, &last));
	EXPECT_GT(FRAMES, unwind_frames);
	EXPECT_LT((uintptr_t)uf_arch_start, (uintptr_t)last);
	EXPECT_GT((uintptr_t)uf_arch_start + 64, (uintptr_t)last);
	EXPECT_EQ(0, uf_coro_destroy(co));
}

/* ---------------------------------------------------------------- transfer */

struct ring {
	struct uf_coro *members[5];
	int order[100];
	int nr;
};

static void *pass_on(struct uf_coro *self, void *arg, void *value)
{
	struct ring *ring = arg;
	int i;

	for (i = 0; ring->members[i] != self; i++)
		;
	for (;;) {
		struct uf_coro *next = ring->members[(i + 1) % 5];

		ring->order[ring->nr++] = i;
		if (value == number(1))
			return number(i);
		if (way->transfer(self, next, number((intptr_t)value - 1),
				  &value))
			abort();
	}
}

/* The one that ends returns to who resumed the first. */
TEST_F(coro, transfer)
{
	struct ring ring = { .nr = 0 };
	void *value;
	int i;

	for (i = 0; i < 5; i++)
		ASSERT_NE(NULL, ring.members[i] = make(pass_on, &ring));
	ASSERT_EQ(0, way->resume(ring.members[2], number(18), &value));
	EXPECT_EQ(number(4), value);
	ASSERT_EQ(18, ring.nr);
	for (i = 0; i < 18; i++)
		EXPECT_EQ((2 + i) % 5, ring.order[i]);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(i == 4 ? UF_CORO_ENDED : UF_CORO_SUSPENDED,
			  uf_coro_status(ring.members[i]));
		EXPECT_EQ(0, uf_coro_destroy(ring.members[i]));
	}
}

static void *hand_over(struct uf_coro *self, void *arg, void *value)
{
	struct uf_coro *to = arg;
	void *next = NULL;

	if (way->transfer(self, to, number((intptr_t)value + 1), &next))
		abort();
	return number((intptr_t)next + 100);
}

static void *resume_twice(struct uf_coro *self, void *arg, void *value)
{
	struct uf_coro *co = arg;
	void *first, *second;

	if (way->resume(co, value, &first) != 1 ||
	    way->resume(co, number(5), &second) != 0)
		abort();
	return number((intptr_t)first * 1000 + (intptr_t)second);
}

/* The other yields in the first one's stead, and the first goes on later. */
TEST_F(coro, transfer_and_back)
{
	struct uf_coro *to = make(double_it, NULL);
	struct uf_coro *from = make(hand_over, to);
	struct uf_coro *outer = make(resume_twice, from);
	void *value;

	ASSERT_EQ(0, way->resume(outer, number(20), &value));
	EXPECT_EQ(number(42105), value);
	EXPECT_EQ(UF_CORO_SUSPENDED, uf_coro_status(to));
	EXPECT_EQ(0, uf_coro_destroy(to));
	EXPECT_EQ(0, uf_coro_destroy(from));
	EXPECT_EQ(0, uf_coro_destroy(outer));
}

/* ------------------------------------------------------------------- misuse */

struct misuse {
	struct __test_metadata *metadata;
	struct uf_coro *outer;
	struct uf_coro *inner;
	struct uf_coro *ended;
};

static void *return_at_once(struct uf_coro *self, void *arg, void *value)
{
	return value;
}

static void *misuse_inner(struct uf_coro *self, void *arg, void *value)
{
	struct misuse *m = arg;
	struct __test_metadata *_metadata = m->metadata;

	EXPECT_EQ(UF_CORO_RUNNING, uf_coro_status(m->outer));
	EXPECT_EQ(UF_CORO_RUNNING, uf_coro_status(m->inner));
	EXPECT_EQ(-EBUSY, way->resume(m->outer, NULL, NULL));
	EXPECT_EQ(-EBUSY, way->resume(m->inner, NULL, NULL));
	EXPECT_EQ(-EBUSY, uf_coro_cancel(m->outer, NULL));
	EXPECT_EQ(-EBUSY, uf_coro_destroy(m->outer));
	EXPECT_EQ(-EBUSY, uf_coro_destroy(m->inner));
	EXPECT_EQ(-EPERM, way->yield(m->outer, NULL, NULL));
	EXPECT_EQ(-EINVAL, way->yield(NULL, NULL, NULL));
	EXPECT_EQ(-EPERM, way->transfer(m->outer, m->inner, NULL, NULL));
	EXPECT_EQ(-EBUSY, way->transfer(self, m->outer, NULL, NULL));
	EXPECT_EQ(-EBUSY, way->transfer(self, self, NULL, NULL));
	EXPECT_EQ(-ESRCH, way->transfer(self, m->ended, NULL, NULL));
	EXPECT_EQ(-EINVAL, way->transfer(self, NULL, NULL, NULL));
	return NULL;
}

static void *misuse_outer(struct uf_coro *self, void *arg, void *value)
{
	struct misuse *m = arg;
	struct __test_metadata *_metadata = m->metadata;

	EXPECT_EQ(0, way->resume(m->inner, NULL, NULL));
	EXPECT_EQ(-ESRCH, way->resume(m->inner, NULL, NULL));
	EXPECT_EQ(0, way->yield(self, NULL, NULL));
	return NULL;
}

/* Errors, and all goes on as if nothing had happened. */
TEST_F(coro, misuse)
{
	struct misuse m = { .metadata = _metadata };

	m.outer = make(misuse_outer, &m);
	m.inner = make(misuse_inner, &m);
	m.ended = make(return_at_once, NULL);
	EXPECT_EQ(-EPERM, way->yield(m.outer, NULL, NULL));
	ASSERT_EQ(0, way->resume(m.ended, NULL, NULL));
	EXPECT_EQ(-ESRCH, way->resume(m.ended, NULL, NULL));
	EXPECT_EQ(-EPERM, way->yield(m.ended, NULL, NULL));
	ASSERT_EQ(1, way->resume(m.outer, NULL, NULL));
	EXPECT_EQ(-EPERM, way->yield(m.outer, NULL, NULL));
	EXPECT_EQ(-EPERM, way->transfer(m.outer, m.inner, NULL, NULL));
	ASSERT_EQ(0, way->resume(m.outer, NULL, NULL));
	EXPECT_EQ(-EINVAL, way->resume(NULL, NULL, NULL));
	EXPECT_EQ(0, uf_coro_destroy(m.outer));
	EXPECT_EQ(0, uf_coro_destroy(m.inner));
	EXPECT_EQ(0, uf_coro_destroy(m.ended));
	EXPECT_EQ(0, uf_coro_destroy(NULL));
}

struct occupied {
	struct uf_coro *co;
	int ret;
	sem_t runs;
	sem_t end;
};

static void *occupy(struct uf_coro *self, void *arg, void *value)
{
	struct occupied *o = arg;

	sem_post(&o->runs);
	sem_wait(&o->end);
	return NULL;
}

static void *resume_in_thread(void *arg)
{
	struct occupied *o = arg;

	o->ret = way->resume(o->co, NULL, NULL);
	return NULL;
}

TEST_F(coro, runs_in_another_thread)
{
	struct occupied o = { 0 };
	pthread_t thread;

	sem_init(&o.runs, 0, 0);
	sem_init(&o.end, 0, 0);
	o.co = make(occupy, &o);
	ASSERT_EQ(0, pthread_create(&thread, NULL, resume_in_thread, &o));
	sem_wait(&o.runs);
	EXPECT_EQ(UF_CORO_RUNNING, uf_coro_status(o.co));
	EXPECT_EQ(-EBUSY, way->resume(o.co, NULL, NULL));
	EXPECT_EQ(-EPERM, way->yield(o.co, NULL, NULL));
	EXPECT_EQ(-EBUSY, uf_coro_cancel(o.co, NULL));
	EXPECT_EQ(-EBUSY, uf_coro_destroy(o.co));
	sem_post(&o.end);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, o.ret);
	EXPECT_EQ(0, uf_coro_destroy(o.co));
}

/* ------------------------------------------------------ threads and fibers */

struct baton {
	struct uf_coro *co;
	pthread_barrier_t barrier;
	int thread;
	intptr_t sum[2];
};

static void *which_thread(struct uf_coro *self, void *arg, void *value)
{
	for (;;)
		if (way->yield(self, value, &value))
			abort();
}

static void *take_turns(void *arg)
{
	struct baton *b = arg;
	int self = __atomic_fetch_add(&b->thread, 1, __ATOMIC_SEQ_CST);
	int i;

	for (i = 0; i < 200; i++) {
		void *value;

		if (i % 2 == self) {
			if (way->resume(b->co, number(i), &value) != 1)
				abort();
			b->sum[self] += (intptr_t)value;
		}
		pthread_barrier_wait(&b->barrier);
	}
	return NULL;
}

/* Suspended by one thread, resumed by another. */
TEST_F(coro, moves_between_threads)
{
	struct baton b = { .co = make(which_thread, NULL) };
	pthread_t thread[2];
	int i;

	pthread_barrier_init(&b.barrier, NULL, 2);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, take_turns, &b));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
	EXPECT_EQ(100 * 99, b.sum[0]);
	EXPECT_EQ(100 * 100, b.sum[1]);
	EXPECT_EQ(0, uf_coro_destroy(b.co));
}

static void *wait_in_coroutine(struct uf_coro *self, void *arg, void *value)
{
	struct uf_sem *sems = arg;
	char touched[2000];

	for (;;) {
		memset(touched, (intptr_t)value, sizeof(touched));
		uf_yield();
		if (sems)
			uf_sem_wait(sems);
		if (touched[1999] != (char)(intptr_t)value)
			abort();
		if (way->yield(self, value, &value))
			return NULL;
	}
}

static void *fiber_with_coroutine(void *arg)
{
	struct uf_coro *co = make(wait_in_coroutine, arg);
	intptr_t i, bad = 0;
	void *value;

	for (i = 0; i < 200; i++)
		bad += way->resume(co, number(i), &value) != 1 ||
		       value != number(i);
	bad += uf_coro_cancel(co, NULL) != 0;
	bad += uf_coro_destroy(co) != 0;
	return number(bad);
}

#define FIBERS 50

static void *fibers_with_coroutines(void *arg)
{
	struct uf_fiber *fibers[FIBERS];
	struct uf_sem sem = UF_SEM_INIT(0);
	intptr_t i, bad = 0;
	void *value;

	for (i = 0; i < FIBERS; i++)
		if (uf_create(NULL, &fibers[i], NULL, fiber_with_coroutine, &sem))
			abort();
	for (i = 0; i < FIBERS * 200; i++) {
		uf_sem_post(&sem);
		if (i % 16 == 0)
			uf_yield();
	}
	for (i = 0; i < FIBERS; i++) {
		if (uf_join(fibers[i], &value))
			abort();
		bad += (intptr_t)value;
	}
	return number(bad);
}

/* Fibers that wait, and move to other servers, on their coroutines' stacks. */
TEST_F(coro, in_fibers)
{
	struct uf_config config = UF_CONFIG_INIT;
	void *bad;

	config.servers = 2;
	ASSERT_EQ(0, uf_run(&config, fibers_with_coroutines, NULL, &bad))
	TH_LOG("%s", uf_strerror());
	EXPECT_EQ(NULL, bad);
}

/* ------------------------------------------------------------------- cancel */

static int cleaned;

static void *clean_up(struct uf_coro *self, void *arg, void *value)
{
	int stubborn = (intptr_t)arg;
	int error;

	for (;;) {
		error = way->yield(self, number(1), &value);
		if (!error)
			continue;
		if (error != -ECANCELED || value)
			abort();
		if (!stubborn--)
			break;
	}
	cleaned++;
	return number(7);
}

TEST_F(coro, cancel)
{
	struct uf_coro *co = make(clean_up, number(0));
	void *value = number(3);

	ASSERT_EQ(1, way->resume(co, NULL, NULL));
	ASSERT_EQ(1, way->resume(co, NULL, NULL));
	EXPECT_EQ(0, uf_coro_cancel(co, &value));
	EXPECT_EQ(1, cleaned);
	EXPECT_EQ(number(7), value);
	EXPECT_EQ(-ESRCH, uf_coro_cancel(co, &value));
	EXPECT_EQ(0, uf_coro_destroy(co));
}

TEST_F(coro, cancel_is_ignored)
{
	struct uf_coro *co = make(clean_up, number(2));
	void *value = NULL;

	ASSERT_EQ(1, way->resume(co, NULL, NULL));
	EXPECT_EQ(1, uf_coro_cancel(co, &value));
	EXPECT_EQ(number(1), value);
	/* Told once for each call. */
	EXPECT_EQ(1, way->resume(co, NULL, NULL));
	EXPECT_EQ(1, uf_coro_cancel(co, NULL));
	EXPECT_EQ(0, cleaned);
	EXPECT_EQ(0, uf_coro_cancel(co, NULL));
	EXPECT_EQ(1, cleaned);
	EXPECT_EQ(0, uf_coro_destroy(co));
}

TEST_F(coro, cancel_before_the_start)
{
	struct uf_coro *co = make(clean_up, number(0));
	void *value = number(3);

	EXPECT_EQ(0, uf_coro_cancel(co, &value));
	EXPECT_EQ(NULL, value);
	EXPECT_EQ(0, cleaned);
	EXPECT_EQ(UF_CORO_ENDED, uf_coro_status(co));
	EXPECT_EQ(-ESRCH, way->resume(co, NULL, NULL));
	EXPECT_EQ(0, uf_coro_destroy(co));
}

/* Cancelled while it stands aside, it gets that from its transfer. */
static void *stand_aside(struct uf_coro *self, void *arg, void *value)
{
	return number(way->transfer(self, arg, number(1), NULL));
}

TEST_F(coro, cancel_after_transfer)
{
	struct uf_coro *to = make(double_it, NULL);
	struct uf_coro *co = make(stand_aside, to);
	void *value;

	ASSERT_EQ(1, way->resume(co, NULL, &value));
	EXPECT_EQ(number(2), value);
	EXPECT_EQ(0, uf_coro_cancel(co, &value));
	EXPECT_EQ(number(-ECANCELED), value);
	EXPECT_EQ(0, uf_coro_destroy(co));
	EXPECT_EQ(0, uf_coro_destroy(to));
}

/* ------------------------------------------------ floating-point controls */

struct fp {
	struct __test_metadata *metadata;
	uint64_t controls;
	struct uf_coro *to;
};

static void *own_controls(struct uf_coro *self, void *arg, void *value)
{
	struct fp *fp = arg;
	struct __test_metadata *_metadata = fp->metadata;
	int i;

	for (i = 0; i < 20; i++) {
		int error;

		EXPECT_EQ(fp->controls, fp_controls());
		if (i == 3) {
			fp->controls = fp_values[2];
			set_fp_controls(fp->controls);
		}
		if (fp->to && i % 2)
			error = way->transfer(self, fp->to, NULL, NULL);
		else
			error = way->yield(self, NULL, NULL);
		if (error == -ECANCELED)
			break;
		EXPECT_EQ(0, error);
	}
	EXPECT_EQ(fp->controls, fp_controls());
	return NULL;
}

static void *thread_controls(struct uf_coro *self, void *arg, void *value)
{
	struct __test_metadata *_metadata = arg;

	for (;;) {
		EXPECT_EQ(fp_values[0], fp_controls());
		if (way->yield(self, NULL, NULL))
			return NULL;
	}
}

static struct uf_coro *make_fpenv(struct fp *fp)
{
	struct uf_coro_attr attr = UF_CORO_ATTR_INIT;
	struct uf_coro *co;

	attr.flags = UF_FPENV;
	set_fp_controls(fp->controls);
	if (uf_coro_create(&co, &attr, own_controls, fp))
		co = NULL;
	set_fp_controls(fp_values[0]);
	return co;
}

/* By yield, by transfer between two with and one without, and by the end. */
TEST_F(coro, fp_controls)
{
	struct uf_coro *plain = make(thread_controls, _metadata);
	struct fp b = { _metadata, fp_values[1], plain };
	struct uf_coro *cb = make_fpenv(&b);
	struct fp a = { _metadata, fp_values[3], cb };
	struct uf_coro *ca = make_fpenv(&a);

	ASSERT_NE(NULL, ca);
	ASSERT_NE(NULL, cb);
	while (uf_coro_status(ca) != UF_CORO_ENDED) {
		ASSERT_LE(0, way->resume(ca, NULL, NULL));
		EXPECT_EQ(fp_values[0], fp_controls());
	}
	EXPECT_EQ(0, uf_coro_cancel(cb, NULL));
	EXPECT_EQ(fp_values[0], fp_controls());
	EXPECT_EQ(0, uf_coro_destroy(ca));
	EXPECT_EQ(0, uf_coro_destroy(cb));
	EXPECT_EQ(0, uf_coro_destroy(plain));
}

/* ---------------------------------------------------- creation and release */

static void *released;

static void note_release(void *arg)
{
	released = arg;
}

TEST(release_is_last)
{
	struct uf_coro_attr attr = UF_CORO_ATTR_INIT;
	struct uf_coro *co;
	int i;

	attr.release = note_release;
	/* Not started; suspended; ended. */
	for (i = 0; i < 3; i++) {
		released = NULL;
		ASSERT_EQ(0, uf_coro_create(&co, &attr, double_it, &attr));
		if (i > 0)
			ASSERT_EQ(1, uf_coro_resume(co, number(1), NULL));
		if (i > 1)
			ASSERT_EQ(0, uf_coro_resume(co, NULL, NULL));
		EXPECT_EQ(NULL, released);
		EXPECT_EQ(0, uf_coro_destroy(co));
		EXPECT_EQ(&attr, released);
	}
}

static size_t own_size;

static void unmap(void *arg)
{
	if (munmap(arg, own_size))
		abort();
	released = arg;
}

static void *is_on(struct uf_coro *self, void *arg, void *value)
{
	char *here = __builtin_frame_address(0);

	return number(here > (char *)arg && here < (char *)arg + own_size);
}

/* On the caller's memory, of any alignment; its release may free it. */
TEST(own_stack)
{
	struct uf_coro_attr attr = UF_CORO_ATTR_INIT;
	struct uf_coro *co;
	void *value;
	int shift;

	for (shift = 0; shift < 70; shift++) {
		char *map;

		own_size = UF_CORO_STACK_MIN + shift;
		map = mmap(NULL, own_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, map);
		attr.stack = map + shift;
		attr.stack_size = UF_CORO_STACK_MIN;
		attr.release = unmap;
		ASSERT_EQ(0, uf_coro_create(&co, &attr, is_on, map));
		ASSERT_EQ(0, uf_coro_resume(co, NULL, &value));
		EXPECT_EQ(number(1), value);
		EXPECT_EQ(0, uf_coro_destroy(co));
		EXPECT_EQ(map, released);
	}
}

/* More than are kept for reuse, twice; sizes of all kinds. */
TEST(stacks)
{
	struct uf_coro_attr attr = UF_CORO_ATTR_INIT;
	static struct uf_coro *co[700];
	unsigned int i, round;
	void *value;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(co); i++) {
			attr.stack_size = i % 2 ? 0 : UF_CORO_STACK_MIN + i;
			ASSERT_EQ(0, uf_coro_create(&co[i], &attr, double_it,
						    number(i)));
			ASSERT_EQ(1, uf_coro_resume(co[i], number(1), NULL));
		}
		for (i = 0; i < ARRAY_SIZE(co); i++) {
			ASSERT_EQ(0, uf_coro_resume(co[i], NULL, &value));
			EXPECT_EQ(number(i), value);
			EXPECT_EQ(0, uf_coro_destroy(co[i]));
		}
	}
}

static int overflow_deeper(volatile int *depth)
{
	volatile int frame[128];

	frame[0] = *depth + 1;
	return frame[0] ? overflow_deeper(frame) + frame[0] : 0;
}

static void *overflow(struct uf_coro *self, void *arg, void *value)
{
	int depth = 0;

	return number(overflow_deeper(&depth));
}

TEST_SIGNAL(guard, SIGSEGV)
{
	uf_coro_resume(make(overflow, NULL), NULL, NULL);
}

TEST(attributes)
{
	struct uf_coro_attr attr = UF_CORO_ATTR_INIT;
	struct uf_coro *co = (void *)_metadata;
	char small[64];

	EXPECT_EQ(-EINVAL, uf_coro_create(NULL, NULL, double_it, NULL));
	EXPECT_EQ(-EINVAL, uf_coro_create(&co, NULL, NULL, NULL));
	attr.stack_size = UF_CORO_STACK_MIN - 1;
	EXPECT_EQ(-EINVAL, uf_coro_create(&co, &attr, double_it, NULL));
	attr.stack = small;
	EXPECT_EQ(-EINVAL, uf_coro_create(&co, &attr, double_it, NULL));
	attr.stack_size = 0;
	EXPECT_EQ(-EINVAL, uf_coro_create(&co, &attr, double_it, NULL));
	attr.stack = NULL;
	attr.flags = ~UF_FPENV;
	EXPECT_EQ(-EINVAL, uf_coro_create(&co, &attr, double_it, NULL));
	attr.flags = 0;
	attr.size--;
	EXPECT_EQ(-EINVAL, uf_coro_create(&co, &attr, double_it, NULL));
	attr.size++;
	attr.stack_size = SIZE_MAX;
	EXPECT_EQ(-ENOMEM, uf_coro_create(&co, &attr, double_it, NULL));
	attr.stack_size = (size_t)1 << 60;
	EXPECT_EQ(-ENOMEM, uf_coro_create(&co, &attr, double_it, NULL));
	EXPECT_EQ((void *)_metadata, co);
}

TEST_HARNESS_MAIN

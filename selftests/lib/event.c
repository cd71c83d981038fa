// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The event. */
#include "sync_test.h"

static void try_both(struct __test_metadata *_metadata)
{
	struct uf_event manual = UF_EVENT_INIT;
	struct uf_event automatic = UF_EVENT_AUTO_INIT;
	struct uf_event *event[] = { &manual, &automatic };
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(-EAGAIN, uf_event_trywait(event[i]));
		EXPECT_EQ(-ETIMEDOUT, uf_event_wait_until(event[i], 0));
		EXPECT_EQ(-ETIMEDOUT,
			  uf_event_wait_until(event[i], uf_now() + 100000));
		EXPECT_EQ(0, uf_event_set(event[i]));
		EXPECT_EQ(0, uf_event_set(event[i]));
		EXPECT_EQ(0, uf_event_wait(event[i]));
	}
	EXPECT_EQ(0, uf_event_wait_until(&manual, 0));
	EXPECT_EQ(0, uf_event_trywait(&manual));
	EXPECT_EQ(0, uf_event_clear(&manual));
	EXPECT_EQ(-EAGAIN, uf_event_trywait(&manual));
	/* However often it was set it lets one go on. */
	EXPECT_EQ(-EAGAIN, uf_event_trywait(&automatic));
	EXPECT_EQ(0, uf_event_set(&automatic));
	EXPECT_EQ(0, uf_event_clear(&automatic));
	EXPECT_EQ(-EAGAIN, uf_event_trywait(&automatic));
}

FIBER_TEST(inside, 1)
{
	try_both(_metadata);
}

TEST(outside)
{
	try_both(_metadata);
}

struct line {
	struct uf_event event;
	int next;
	int order[8];
};

static void *stand_in_line(void *arg)
{
	struct line *line = arg;

	MUST(!uf_event_wait(&line->event));
	line->order[line->next++] = *uf_name(NULL) - '0';
	return NULL;
}

static void line_up(struct __test_metadata *_metadata, struct line *line,
		    struct uf_fiber *fiber[8])
{
	struct uf_attr attr = UF_ATTR_INIT;
	char name[2] = "";
	int i;

	for (i = 0; i < 8; i++) {
		name[0] = '0' + i;
		attr.name = name;
		ASSERT_EQ(0, uf_create(NULL, &fiber[i], &attr, stand_in_line,
				       line));
		await_waiting(&line->event.guard, &line->event.waiters, i + 1);
	}
}

static void check_order(struct __test_metadata *_metadata, struct line *line,
			struct uf_fiber *fiber[8])
{
	int i;

	for (i = 0; i < 8; i++)
		JOIN(fiber[i]);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i, line->order[i]);
}

FIBER_TEST(manual_lets_all_go, 1)
{
	struct line line = { .event = UF_EVENT_INIT };
	struct uf_fiber *fiber[8];

	line_up(_metadata, &line, fiber);
	ASSERT_EQ(0, uf_event_set(&line.event));
	EXPECT_EQ(0, nr_waiting(&line.event.guard, &line.event.waiters));
	/* They go on even if it is cleared before they run. */
	ASSERT_EQ(0, uf_event_clear(&line.event));
	check_order(_metadata, &line, fiber);
}

FIBER_TEST(automatic_lets_one_go, 1)
{
	struct line line = { .event = UF_EVENT_AUTO_INIT };
	struct uf_fiber *fiber[8];
	int i;

	line_up(_metadata, &line, fiber);
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, uf_event_set(&line.event));
		EXPECT_EQ(7 - i,
			  nr_waiting(&line.event.guard, &line.event.waiters));
		EXPECT_EQ(-EAGAIN, uf_event_trywait(&line.event));
		uf_yield();
		EXPECT_EQ(i + 1, line.next);
	}
	check_order(_metadata, &line, fiber);
}

struct crowd {
	struct uf_event ready;
	struct uf_event taken;
	atomic_uint nr;
	atomic_uint passed;
};

#define PASSES 20000

/* The first sets and waits for it to be taken; the others take. */
static void *set_or_take(void *arg)
{
	struct crowd *crowd = arg;
	unsigned int i;

	if (!atomic_fetch_add(&crowd->nr, 1)) {
		for (i = 0; i < PASSES; i++) {
			MUST(!uf_event_set(&crowd->ready));
			MUST(!uf_event_wait(&crowd->taken));
		}
		crowd->passed = UINT32_MAX;
		return NULL;
	}
	for (i = 0; crowd->passed < PASSES; i++) {
		int error = uf_event_wait_until(&crowd->ready,
						uf_now() + i % 256 * 200);

		MUST(!error || error == -ETIMEDOUT);
		if (error) {
			let_others_run();
			continue;
		}
		atomic_fetch_add(&crowd->passed, 1);
		MUST(!uf_event_set(&crowd->taken));
	}
	return NULL;
}

/* One set lets one go on, neither none nor two, whatever the deadlines do. */
TEST(deadlines_race_sets)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(crowd_servers); i++) {
		struct crowd crowd = { .ready = UF_EVENT_AUTO_INIT,
				       .taken = UF_EVENT_AUTO_INIT };

		run_crowd(_metadata, crowd_servers[i], set_or_take, &crowd);
		EXPECT_EQ(UINT32_MAX, crowd.passed);
		EXPECT_EQ(-EAGAIN, uf_event_trywait(&crowd.ready));
		EXPECT_EQ(-EAGAIN, uf_event_trywait(&crowd.taken));
	}
}

static void *set_and_forget(void *arg)
{
	uf_event_set(arg);
	return NULL;
}

/* Who waited may free it at once. */
FIBER_TEST(freed_by_who_waited, 4)
{
	struct uf_fiber *fiber;
	int i;

	for (i = 0; i < 3000; i++) {
		struct uf_event *event = calloc(1, sizeof(*event));

		ASSERT_NE(NULL, event);
		CREATE(&fiber, set_and_forget, event);
		if (i % 3)
			uf_yield();
		ASSERT_EQ(0, uf_event_wait(event));
		memset(event, 0xff, sizeof(*event));
		free(event);
		JOIN(fiber);
	}
}

static void *wait_error(void *arg)
{
	return (void *)(intptr_t)uf_event_wait(arg);
}

FIBER_TEST(cancel, 2)
{
	struct uf_event event = UF_EVENT_AUTO_INIT;

	EXPECT_EQ(-ECANCELED, cancelled_in(_metadata, wait_error, &event,
					   &event.guard, &event.waiters));
	EXPECT_EQ(0, uf_event_set(&event));
	EXPECT_EQ(0, uf_event_trywait(&event));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What is a fiber's own: local values, their destructors, cleanups. */
#include "lib_test.h"

static atomic_int destroyed;
static uf_key_t key;

static void destroy(void *value)
{
	uf_yield();
	atomic_fetch_add(&destroyed, (intptr_t)value);
}

static void *keep_own(void *arg)
{
	intptr_t wrong = 0;
	int i;

	for (i = 0; i < 100; i++) {
		if (uf_local_get(key) != (i ? arg : NULL))
			wrong++;
		if (uf_local_set(key, arg))
			wrong++;
		uf_yield();
	}
	return (void *)wrong;
}

FIBER_TEST(values, 2)
{
	struct uf_fiber *fiber[16];
	void *wrong;
	intptr_t i;

	destroyed = 0;
	ASSERT_EQ(0, uf_key_create(&key, destroy));
	for (i = 0; i < 16; i++)
		CREATE(&fiber[i], keep_own, (void *)(i + 1));
	for (i = 0; i < 16; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &wrong));
		EXPECT_EQ(NULL, wrong);
	}
	/* All of them before the join returned. */
	EXPECT_EQ(16 * 17 / 2, destroyed);
	EXPECT_EQ(NULL, uf_local_get(key));
	EXPECT_EQ(0, uf_key_delete(key));
	EXPECT_EQ(-EINVAL, uf_key_delete(key));
	EXPECT_EQ(-EINVAL, uf_local_set(key, &key));
	EXPECT_EQ(NULL, uf_local_get(key));
}

/* A key that was made anew has nothing of the old one. */
FIBER_TEST(deleted_key, 1)
{
	uf_key_t again;

	destroyed = 0;
	ASSERT_EQ(0, uf_key_create(&key, destroy));
	ASSERT_EQ(0, uf_local_set(key, (void *)1));
	ASSERT_EQ(0, uf_key_delete(key));
	ASSERT_EQ(0, uf_key_create(&again, destroy));
	EXPECT_EQ(key, again);
	EXPECT_EQ(NULL, uf_local_get(again));
	ASSERT_EQ(0, uf_key_delete(again));
	EXPECT_EQ(0, destroyed);
}

TEST(all_keys)
{
	uf_key_t keys[UF_KEYS_MAX], one_more;
	int i;

	for (i = 0; i < UF_KEYS_MAX; i++)
		ASSERT_EQ(0, uf_key_create(&keys[i], NULL));
	EXPECT_EQ(-EAGAIN, uf_key_create(&one_more, NULL));
	for (i = 0; i < UF_KEYS_MAX; i++)
		ASSERT_EQ(0, uf_key_delete(keys[i]));
	EXPECT_EQ(-EINVAL, uf_key_delete(UF_KEYS_MAX));
	EXPECT_EQ(-EPERM, uf_local_set(keys[0], NULL));
	EXPECT_EQ(NULL, uf_local_get(keys[0]));
}

static void set_again(void *value)
{
	atomic_fetch_add(&destroyed, 1);
	uf_local_set(key, value);
}

static void *set_once(void *arg)
{
	uf_local_set(key, arg);
	return NULL;
}

/* A destructor that sets its value again does not keep a fiber from ending. */
FIBER_TEST(rounds, 1)
{
	struct uf_fiber *fiber;

	destroyed = 0;
	ASSERT_EQ(0, uf_key_create(&key, set_again));
	CREATE(&fiber, set_once, &destroyed);
	JOIN(fiber);
	EXPECT_EQ(4, destroyed);
	ASSERT_EQ(0, uf_key_delete(key));
}

struct log {
	char text[16];
	int len;
};

static void note_a(void *log)
{
	((struct log *)log)->text[((struct log *)log)->len++] = 'a';
}

static void note_b(void *log)
{
	uf_yield();
	((struct log *)log)->text[((struct log *)log)->len++] = 'b';
}

static __attribute__((noinline)) void exit_inside(struct log *log)
{
	struct uf_cleanup b;

	uf_cleanup_push(&b, note_b, log);
	uf_exit(log);
}

static void *exit_with_cleanups(void *arg)
{
	struct uf_cleanup a, popped;

	uf_cleanup_push(&a, note_a, arg);
	uf_cleanup_push(&popped, note_a, arg);
	uf_cleanup_pop(&popped, false);
	exit_inside(arg);
	return NULL;
}

FIBER_TEST(cleanups, 1)
{
	struct uf_cleanup a, b;
	struct log log = { 0 };
	struct uf_fiber *fiber;
	void *value;

	CREATE(&fiber, exit_with_cleanups, &log);
	ASSERT_EQ(0, uf_join(fiber, &value));
	EXPECT_EQ(&log, value);
	EXPECT_STREQ("ba", log.text);

	ASSERT_EQ(0, uf_cleanup_push(&a, note_a, &log));
	ASSERT_EQ(0, uf_cleanup_push(&b, note_b, &log));
	EXPECT_EQ(-EINVAL, uf_cleanup_pop(&a, true));
	EXPECT_EQ(0, uf_cleanup_pop(&b, true));
	EXPECT_EQ(0, uf_cleanup_pop(&a, false));
	EXPECT_STREQ("bab", log.text);
}

TEST(cleanup_outside)
{
	struct uf_cleanup a;

	EXPECT_EQ(-EPERM, uf_cleanup_push(&a, note_a, NULL));
	EXPECT_EQ(-EPERM, uf_cleanup_pop(&a, true));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Generators: items, values sent, their end, and closing them early. */
#include "lib_test.h"

static struct uf_coro *make(uf_coro_fn *start, void *arg)
{
	struct uf_coro *co;

	return uf_coro_create(&co, NULL, start, arg) ? NULL : co;
}

static void *number(intptr_t n)
{
	return (void *)n;
}

static int cleaned;

static void *count_to(struct uf_coro *self, void *arg, void *value)
{
	intptr_t i;

	for (i = 0; i < (intptr_t)arg; i++)
		if (uf_coro_yield(self, number(i), NULL))
			break;
	cleaned++;
	return number(i * 10);
}

TEST(loop)
{
	struct uf_coro *gen = make(count_to, number(100));
	intptr_t expected = 0;
	void *item;

	ASSERT_NE(NULL, gen);
	UF_GEN_FOR(each, gen)
		EXPECT_EQ(number(expected++), each);
	EXPECT_EQ(100, expected);
	EXPECT_EQ(1, cleaned);

	/* It has told its result; from now on there is none. */
	item = number(5);
	EXPECT_EQ(0, uf_gen_next(gen, &item));
	EXPECT_EQ(NULL, item);
	EXPECT_EQ(0, uf_gen_next(gen, NULL));
	EXPECT_EQ(0, uf_gen_close(gen));
	EXPECT_EQ(1, cleaned);
}

TEST(result)
{
	struct uf_coro *gen = make(count_to, number(2));
	void *item;

	EXPECT_EQ(1, uf_gen_next(gen, &item));
	EXPECT_EQ(number(0), item);
	EXPECT_EQ(1, uf_gen_next(gen, NULL));
	EXPECT_EQ(0, uf_gen_next(gen, &item));
	EXPECT_EQ(number(20), item);
	EXPECT_EQ(0, uf_gen_close(gen));
}

TEST(no_items)
{
	struct uf_coro *gen = make(count_to, number(0));

	UF_GEN_FOR(each, gen)
		EXPECT_EQ(0, 1);
	EXPECT_EQ(0, uf_gen_close(gen));
}

/* Two loops over one generator share its items. */
TEST(loop_is_continued)
{
	struct uf_coro *gen = make(count_to, number(10));
	intptr_t expected = 0;

	UF_GEN_FOR(each, gen) {
		EXPECT_EQ(number(expected++), each);
		if (expected == 4)
			break;
	}
	UF_GEN_FOR(each, gen)
		EXPECT_EQ(number(expected++), each);
	EXPECT_EQ(10, expected);
	EXPECT_EQ(0, uf_gen_close(gen));
}

static void *running_sum(struct uf_coro *self, void *arg, void *value)
{
	intptr_t sum = 0;

	do
		sum += (intptr_t)value;
	while (!uf_coro_yield(self, number(sum), &value));
	return NULL;
}

TEST(sent_values)
{
	struct uf_coro *gen = make(running_sum, NULL);
	intptr_t i, sum = 0;
	void *item;

	for (i = 1; i < 50; i++) {
		sum += i;
		ASSERT_EQ(1, uf_gen_send(gen, number(i), &item));
		EXPECT_EQ(number(sum), item);
	}
	/* To ask for the next is to send nothing. */
	EXPECT_EQ(1, uf_gen_next(gen, &item));
	EXPECT_EQ(number(sum), item);
	EXPECT_EQ(0, uf_gen_close(gen));
}

struct tree {
	struct tree *left, *right;
	intptr_t key;
};

static int walk(struct uf_coro *self, struct tree *tree)
{
	if (!tree)
		return 0;
	if (walk(self, tree->left) ||
	    uf_coro_yield(self, number(tree->key), NULL))
		return -1;
	return walk(self, tree->right);
}

static void *walk_tree(struct uf_coro *self, void *arg, void *value)
{
	walk(self, arg);
	cleaned++;
	return NULL;
}

static void insert(struct tree **root, struct tree *node)
{
	while (*root)
		root = node->key < (*root)->key ? &(*root)->left :
						  &(*root)->right;
	*root = node;
}

#define NODES 101

static void fill(struct tree *nodes, struct tree **root, int factor)
{
	int i;

	for (i = 0; i < NODES; i++) {
		nodes[i] = (struct tree){ .key = i * factor % NODES };
		insert(root, &nodes[i]);
	}
}

/* What needs two stacks: are the leaves of two trees the same, in order? */
TEST(two_trees)
{
	struct tree nodes[2][NODES], *root[2] = { NULL, NULL };
	struct uf_coro *gen[2];
	intptr_t seen = 0;
	void *other;
	int i;

	fill(nodes[0], &root[0], 7);
	fill(nodes[1], &root[1], 40);
	for (i = 0; i < 2; i++)
		ASSERT_NE(NULL, gen[i] = make(walk_tree, root[i]));
	UF_GEN_FOR(key, gen[0]) {
		ASSERT_EQ(1, uf_gen_next(gen[1], &other));
		EXPECT_EQ(number(seen++), key);
		EXPECT_EQ(key, other);
	}
	EXPECT_EQ(NODES, seen);
	EXPECT_EQ(0, uf_gen_next(gen[1], NULL));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, uf_gen_close(gen[i]));
}

static int released;

static void note_release(void *arg)
{
	released++;
}

/* Each close has cleaned up what it had to, and released the rest. */
TEST(closing)
{
	struct uf_coro_attr attr = UF_CORO_ATTR_INIT;
	struct uf_coro *gen;
	int items;

	attr.release = note_release;
	for (items = 0; items <= 3; items++) {
		int i;

		cleaned = 0;
		released = 0;
		ASSERT_EQ(0, uf_coro_create(&gen, &attr, count_to, number(2)));
		for (i = 0; i < items; i++)
			uf_gen_next(gen, NULL);
		EXPECT_EQ(items == 3, cleaned);
		EXPECT_EQ(0, released);
		EXPECT_EQ(0, uf_gen_close(gen));
		/* One that never ran has nothing to clean up. */
		EXPECT_EQ(items > 0, cleaned);
		EXPECT_EQ(1, released);
	}
	EXPECT_EQ(0, uf_gen_close(NULL));
}

static void *yield_anyway(struct uf_coro *self, void *arg, void *value)
{
	int *refusals = arg;

	for (;;)
		if (uf_coro_yield(self, NULL, NULL) && !(*refusals)--)
			return NULL;
}

TEST(closing_is_refused)
{
	int refusals = 2;
	struct uf_coro *gen = make(yield_anyway, &refusals);

	EXPECT_EQ(1, uf_gen_next(gen, NULL));
	EXPECT_EQ(-EAGAIN, uf_gen_close(gen));
	EXPECT_EQ(1, uf_gen_next(gen, NULL));
	EXPECT_EQ(-EAGAIN, uf_gen_close(gen));
	EXPECT_EQ(0, uf_gen_close(gen));
	EXPECT_EQ(-1, refusals);
}

static void *use_itself(struct uf_coro *self, void *arg, void *value)
{
	int *errors = arg;

	errors[0] = uf_gen_next(self, NULL);
	errors[1] = uf_gen_send(self, NULL, NULL);
	errors[2] = uf_gen_close(self);
	return NULL;
}

TEST(misuse)
{
	int errors[3];
	struct uf_coro *gen = make(use_itself, errors);
	int i;

	EXPECT_EQ(-EINVAL, uf_gen_next(NULL, NULL));
	EXPECT_EQ(0, uf_gen_next(gen, NULL));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EBUSY, errors[i]);
	EXPECT_EQ(0, uf_gen_close(gen));
}

TEST_HARNESS_MAIN

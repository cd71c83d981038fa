// SPDX-License-Identifier: GPL-2.0
/* Joining a domain and leaving it. */
#include "uf_test.h"

static struct uf_dom d, other;
static int fds[2];

static long do_register_arg(long *args)
{
	return uf_ioctl(args[0], UFIBER_IOC_REGISTER, (void *)args[1]);
}

static __u32 nr_threads(struct uf_dom *dom)
{
	struct ufiber_query q;

	return uf_query(dom, UFIBER_NONE, UFIBER_NONE, &q) ? UFIBER_NONE : q.nr_threads;
}

TEST(ids)
{
	struct uf_thread t[3];
	struct ufiber_query q;
	unsigned int i, j;

	UF_OPEN(&d, 1, 5);
	for (i = 0; i < 3; i++) {
		UF_SPAWN(&d, &t[i]);
		EXPECT_GT(5, t[i].id);
		for (j = 0; j < i; j++)
			EXPECT_NE(t[j].id, t[i].id);
		ASSERT_EQ(0, uf_query(&d, t[i].id, UFIBER_NONE, &q));
		EXPECT_EQ(UFIBER_THREAD_IDLE, q.thread_state);
		EXPECT_EQ(UFIBER_NONE, q.thread_server);
		EXPECT_EQ(0, q.thread_flags);
		EXPECT_EQ(t[i].tid, q.thread_tid);
		EXPECT_EQ(i + 1, q.nr_threads);
		EXPECT_EQ(1, q.nr_vacant);
		ASSERT_AGREES(&d);
	}
}

TEST(twice)
{
	struct uf_thread a;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_EQ(-EEXIST, uf_register(&a));
	EXPECT_EQ(1, nr_threads(&d));
	ASSERT_STATE(&a, RUNNING, 0);
}

TEST(in_two_domains)
{
	struct ufiber_register reg = { .size = sizeof(reg), .thread = 77 };
	struct uf_thread a;

	UF_OPEN(&d, 1, 4);
	UF_OPEN(&other, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	EXPECT_EQ(-EBUSY, uf_call(&a, do_register_arg, (long)other.fd, (long)&reg));
	EXPECT_EQ(77, reg.thread);
	EXPECT_EQ(0, nr_threads(&other));
	EXPECT_EQ(1, nr_threads(&d));
	ASSERT_STATE(&a, RUNNING, 0);
	/* Nor can it wait there, or leave there. */
	EXPECT_EQ(-ENXIO, uf_call(&a, uf_do_wait, (long)other.fd, 0L, 0L, 0L));
	EXPECT_EQ(-ENXIO, uf_call_syscall(&a, SYS_ioctl, (long)other.fd,
					  (long)UFIBER_IOC_UNREGISTER, 0L));
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_AGREES(&other);
	/* After leaving the first it may join the second. */
	EXPECT_EQ(0, uf_unregister(&a));
	EXPECT_EQ(0, uf_call(&a, do_register_arg, (long)other.fd, (long)&reg));
	EXPECT_EQ(0, nr_threads(&d));
	EXPECT_EQ(1, nr_threads(&other));
	ASSERT_AGREES(&d);
	ASSERT_AGREES(&other);
}

TEST(too_many)
{
	struct uf_thread t[3];

	UF_OPEN(&d, 1, 2);
	UF_SPAWN(&d, &t[0]);
	UF_SPAWN(&d, &t[1]);
	ASSERT_EQ(-ENOSPC, uf_spawn(&d, &t[2]));
	EXPECT_EQ(2, nr_threads(&d));
	ASSERT_AGREES(&d);
	/* It is in no domain now, and may join when there is room. */
	EXPECT_EQ(-ENXIO, uf_unregister(&t[2]));
	EXPECT_EQ(0, uf_unregister(&t[0]));
	EXPECT_EQ(0, uf_register(&t[2]));
	EXPECT_EQ(t[0].id, t[2].id);
	EXPECT_NE(t[1].id, t[2].id);
	EXPECT_EQ(-ENOSPC, uf_register(&t[0]));
	ASSERT_AGREES(&d);
}

TEST(bad_arguments)
{
	struct ufiber_register reg;
	struct uf_thread a;
	void *page;

	UF_OPEN(&d, 1, 2);
	ASSERT_EQ(0, uf_spawn_bare(&d, &a));
#define TRY(err, ...)							\
	do {								\
		reg = (struct ufiber_register){ __VA_ARGS__ };		\
		EXPECT_EQ(err, uf_call(&a, do_register_arg, (long)d.fd, (long)&reg)); \
		EXPECT_EQ(0, nr_threads(&d));				\
	} while (0)
	TRY(-EINVAL, .size = sizeof(reg), .flags = 1);
	TRY(-EINVAL, .size = sizeof(reg), .flags = 0x80000000U);
	TRY(-EINVAL, .size = sizeof(reg), .reserved = 1);
	TRY(-EINVAL, .size = sizeof(reg) - 1);
	TRY(-EINVAL, .size = 0);
	TRY(-E2BIG, .size = 1 << 20);
#undef TRY
	/* No answer can be given: no registration is left behind. */
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	((struct ufiber_register *)page)->size = sizeof(reg);
	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, uf_call(&a, do_register_arg, (long)d.fd, (long)page));
	EXPECT_EQ(0, nr_threads(&d));
	ASSERT_AGREES(&d);
	EXPECT_EQ(0, uf_register(&a));
	EXPECT_EQ(1, nr_threads(&d));
	ASSERT_AGREES(&d);
}

TEST(unregister_errors)
{
	struct uf_thread a;

	UF_OPEN(&d, 1, 2);
	ASSERT_EQ(0, uf_spawn_bare(&d, &a));
	EXPECT_EQ(-ENXIO, uf_unregister(&a));
	EXPECT_EQ(0, uf_register(&a));
	EXPECT_EQ(-EINVAL, uf_call_syscall(&a, SYS_ioctl, (long)d.fd,
					   (long)UFIBER_IOC_UNREGISTER, 1L));
	EXPECT_EQ(1, nr_threads(&d));
	ASSERT_STATE(&a, IDLE, 0);
	EXPECT_EQ(0, uf_unregister(&a));
	EXPECT_EQ(0, nr_threads(&d));
	EXPECT_EQ(-ENXIO, uf_unregister(&a));
	EXPECT_EQ(-ENXIO, uf_wait(&a, UFIBER_WAIT_STANDBY, 0, 0));
	EXPECT_EQ(UFIBER_THREAD_FREE, d.threads[a.id].state);
	ASSERT_AGREES(&d);
}

TEST(unregister_holder)
{
	struct uf_thread a;

	UF_OPEN(&d, 1, 2);
	UF_SPAWN_RUNNING(&d, &a);
	ASSERT_SERVER(&d, 0, HELD, a.id);
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_SERVER(&d, 0, VACANT, UFIBER_NONE);
	ASSERT_AGREES(&d);
	/* A thread that is no longer registered blocks like any other. */
	ASSERT_EQ(0, pipe(fds));
	uf_post_read(&a, fds[0]);
	ASSERT_TRUE(uf_await_sleep(&a, SYS_read));
	EXPECT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	ASSERT_AGREES(&d);
}

TEST(unregister_holder_beside_standby)
{
	struct uf_thread a, b;

	UF_OPEN(&d, 1, 2);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, UFIBER_WAIT_STANDBY);
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_DONE(0, &b);
	ASSERT_SERVER(&d, 0, HELD, b.id);
	ASSERT_AGREES(&d);
}

/* A RUNNABLE thread goes before a standby. */
TEST(unregister_holder_beside_runnable)
{
	struct uf_thread a, b, c;

	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	UF_SPAWN_WAITING(&d, &c, UFIBER_WAIT_STANDBY);
	EXPECT_EQ(0, uf_wake(&b, 0));
	ASSERT_STATE(&b, RUNNABLE, UFIBER_QUERY_WAITING);
	EXPECT_EQ(0, uf_unregister(&a));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&c, IDLE, UFIBER_QUERY_WAITING | UFIBER_QUERY_STANDBY);
	ASSERT_BUSY(&c);
}

TEST(ids_are_used_again)
{
	struct uf_thread a, b;
	__u32 id;
	int i;

	UF_OPEN(&d, 1, 2);
	UF_SPAWN_RUNNING(&d, &b);
	UF_SPAWN(&d, &a);
	id = a.id;
	for (i = 0; i < 50; i++) {
		d.threads[a.id].critical = 1;
		ASSERT_EQ(0, uf_unregister(&a));
		ASSERT_EQ(1, nr_threads(&d));
		ASSERT_EQ(0, uf_register(&a));
		ASSERT_EQ(id, a.id);
		/* Nothing is left of the one before. */
		ASSERT_EQ(0, d.threads[a.id].critical);
		ASSERT_EQ(0, d.threads[a.id].blocks);
		ASSERT_EQ(UFIBER_NONE, d.threads[a.id].server);
		ASSERT_EQ(UFIBER_THREAD_IDLE, d.threads[a.id].state);
	}
	ASSERT_AGREES(&d);
	ASSERT_STATE(&b, RUNNING, 0);
}

/* Its domain has just been closed: it can join another, switched out since or not. */
TEST(after_its_domain_was_closed)
{
	struct ufiber_register reg = { .size = sizeof(reg) };
	int i;

	for (i = 0; i < 20; i++) {
		UF_OPEN(&d, 1, 4);
		UF_OPEN(&other, 1, 4);
		ASSERT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg));
		uf_close(&d);
		ASSERT_EQ(0, uf_ioctl(other.fd, UFIBER_IOC_REGISTER, &reg));
		EXPECT_EQ(1, nr_threads(&other));
		ASSERT_EQ(0, uf_ioctl(other.fd, UFIBER_IOC_UNREGISTER, NULL));
		uf_close(&other);
	}
}

/* Many at once: every id is different, the count is right, and all can leave. */
TEST(many)
{
	static struct uf_thread t[64];
	bool seen[64] = { false };
	unsigned int i;

	UF_OPEN(&d, 2, 64);
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, uf_spawn_bare(&d, &t[i]));
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, uf_register(&t[i]));
	for (i = 0; i < 64; i++) {
		ASSERT_GT(64, t[i].id);
		ASSERT_FALSE(seen[t[i].id]);
		seen[t[i].id] = true;
	}
	EXPECT_EQ(64, nr_threads(&d));
	ASSERT_AGREES(&d);
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, uf_unregister(&t[i]));
	EXPECT_EQ(0, nr_threads(&d));
	ASSERT_AGREES(&d);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/* Making a domain: UFIBER_IOC_SETUP, the mapping, and what they refuse. */
#include "uf_test.h"

#define PAGE		((size_t)sysconf(_SC_PAGESIZE))
#define PROT_RW		(PROT_READ | PROT_WRITE)

static struct uf_dom d;

/* Only the descriptor. */
#define OPEN_FD()							\
	do {								\
		long _ret = uf_open_fd(&d);				\
									\
		if (_ret == -ENOENT && !getenv("UFIBER_VM"))		\
			SKIP(return, "no " UFIBER_DEVICE ": the module is not loaded"); \
		ASSERT_EQ(0, _ret);					\
	} while (0)

static struct ufiber_setup valid(void)
{
	return (struct ufiber_setup){
		.size = sizeof(struct ufiber_setup),
		.nr_servers = 2,
		.max_threads = 8,
	};
}

/* Whether the descriptor is still no domain. */
static bool untouched(void)
{
	struct ufiber_query q;

	return uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q) == -EBADFD;
}

static long setup(const struct ufiber_setup *s)
{
	return uf_ioctl(d.fd, UFIBER_IOC_SETUP, s);
}

TEST(good)
{
	struct ufiber_query q;
	size_t servers_end, threads_end;
	unsigned int i;

	UF_OPEN(&d, 3, 10);
	EXPECT_EQ(3, d.setup.nr_servers);
	EXPECT_EQ(10, d.setup.max_threads);
	EXPECT_EQ(0, d.setup.mmap_size % PAGE);
	EXPECT_EQ(0, d.setup.servers_offset % 8);
	EXPECT_EQ(0, d.setup.threads_offset % 8);
	EXPECT_LE(sizeof(struct ufiber_shared_domain), d.setup.servers_offset);
	servers_end = d.setup.servers_offset + 3 * sizeof(struct ufiber_shared_server);
	threads_end = d.setup.threads_offset + 10 * sizeof(struct ufiber_shared_thread);
	EXPECT_TRUE(servers_end <= d.setup.threads_offset ||
		    threads_end <= d.setup.servers_offset);
	EXPECT_LE(servers_end, d.setup.mmap_size);
	EXPECT_LE(threads_end, d.setup.mmap_size);

	ASSERT_EQ(0, uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q));
	EXPECT_EQ(0, q.nr_threads);
	EXPECT_EQ(0, q.nr_runnable);
	EXPECT_EQ(0, q.nr_standby);
	EXPECT_EQ(3, q.nr_vacant);
	for (i = 0; i < 3; i++) {
		ASSERT_SERVER(&d, i, VACANT, UFIBER_NONE);
		EXPECT_EQ(0, d.servers[i].owner);
		EXPECT_EQ(0, d.servers[i].reserved0);
		EXPECT_EQ(0, d.servers[i].blocks);
		EXPECT_EQ(0, d.servers[i].handoffs);
		EXPECT_EQ(0, d.servers[i].takeovers);
		EXPECT_EQ(0, d.servers[i].grants);
	}
	for (i = 0; i < ARRAY_SIZE(d.shared->reserved); i++)
		EXPECT_EQ(0, d.shared->reserved[i]);
	ASSERT_AGREES(&d);
}

/* The sizes are those of the ABI's first version. */
TEST(sizes)
{
	EXPECT_EQ(128, sizeof(struct ufiber_shared_domain));
	EXPECT_EQ(64, sizeof(struct ufiber_shared_server));
	EXPECT_EQ(64, sizeof(struct ufiber_shared_thread));
	EXPECT_EQ(32, sizeof(struct ufiber_event));
	EXPECT_EQ(48, sizeof(struct ufiber_setup));
	EXPECT_EQ(24, sizeof(struct ufiber_register));
	EXPECT_EQ(24, sizeof(struct ufiber_wait));
	EXPECT_EQ(16, sizeof(struct ufiber_wake));
	EXPECT_EQ(64, sizeof(struct ufiber_query));
	EXPECT_EQ(16, sizeof(struct ufiber_target));
	EXPECT_EQ(24, sizeof(struct ufiber_interrupt));
	EXPECT_EQ(24, sizeof(struct ufiber_quantum));
	EXPECT_EQ(16, sizeof(struct ufiber_resize));
	EXPECT_EQ(16, sizeof(struct ufiber_eventfd));
	EXPECT_EQ(128 + 8 * UFIBER_LATENCIES, sizeof(struct ufiber_stats));
}

TEST(smallest_and_largest)
{
	struct ufiber_setup s = valid();

	OPEN_FD();
	s.nr_servers = 1;
	s.max_threads = 1;
	ASSERT_EQ(0, setup(&s));
	uf_close(&d);

	OPEN_FD();
	s = valid();
	s.nr_servers = UFIBER_MAX_SERVERS;
	s.max_threads = UFIBER_MAX_THREADS;
	ASSERT_EQ(0, setup(&s));
	EXPECT_LE(UFIBER_MAX_SERVERS * sizeof(struct ufiber_shared_server) +
		  UFIBER_MAX_THREADS * sizeof(struct ufiber_shared_thread), s.mmap_size);
	d.setup = s;
	d.map = mmap(NULL, s.mmap_size, PROT_RW, MAP_SHARED, d.fd, 0);
	ASSERT_NE(MAP_FAILED, d.map);
	/* The last word of the last thread is there. */
	d.threads = d.map + s.threads_offset;
	EXPECT_EQ(0, d.threads[UFIBER_MAX_THREADS - 1].reserved[1]);
}

TEST(numbers_out_of_range)
{
	static const struct { __u32 servers, threads; } bad[] = {
		{ 0, 0 }, { 0, 8 }, { UFIBER_MAX_SERVERS + 1, UFIBER_MAX_THREADS },
		{ UFIBER_NONE, UFIBER_NONE }, { 2, 1 }, { 2, 0 },
		{ 2, UFIBER_MAX_THREADS + 1 }, { 2, UFIBER_NONE },
	};
	struct ufiber_setup s;
	unsigned int i;

	OPEN_FD();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		s = valid();
		s.nr_servers = bad[i].servers;
		s.max_threads = bad[i].threads;
		EXPECT_EQ(-EINVAL, setup(&s))
			TH_LOG("servers %u, threads %u", bad[i].servers, bad[i].threads);
		EXPECT_TRUE(untouched());
	}
	s = valid();
	ASSERT_EQ(0, setup(&s));
}

TEST(sizes_of_the_argument)
{
	static const struct { __u32 size; long ret; } bad[] = {
		{ 0, -EINVAL }, { 4, -EINVAL }, { sizeof(struct ufiber_setup) - 1, -EINVAL },
		{ UFIBER_NONE, -E2BIG }, { 0x80000000U, -E2BIG },
	};
	struct {
		struct ufiber_setup s;
		char tail[8192];
	} arg;
	unsigned int i;

	OPEN_FD();
	memset(&arg, 0, sizeof(arg));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg.s = valid();
		arg.s.size = bad[i].size;
		EXPECT_EQ(bad[i].ret, setup(&arg.s)) TH_LOG("size %u", bad[i].size);
		EXPECT_TRUE(untouched());
	}
	arg.s = valid();
	arg.s.size = PAGE + 1;
	EXPECT_EQ(-E2BIG, setup(&arg.s));
	EXPECT_TRUE(untouched());

	/* A tail that this kernel does not know must be zero. */
	arg.s.size = sizeof(arg.s) + 8;
	arg.tail[7] = 1;
	EXPECT_EQ(-E2BIG, setup(&arg.s));
	EXPECT_TRUE(untouched());
	arg.s.size = PAGE;
	EXPECT_EQ(-E2BIG, setup(&arg.s));
	EXPECT_TRUE(untouched());
	arg.tail[7] = 0;
	arg.tail[8] = 0x5a;	/* beyond the size: nobody's business */
	arg.s.size = sizeof(arg.s) + 8;
	EXPECT_EQ(0, setup(&arg.s));
	EXPECT_FALSE(untouched());
	EXPECT_EQ(0x5a, arg.tail[8]);
	EXPECT_LT(0, arg.s.mmap_size);
}

/* The same rule holds for each call's argument. */
TEST(sizes_of_other_arguments)
{
	static const struct { unsigned int cmd; size_t size; } calls[] = {
		{ UFIBER_IOC_REGISTER, sizeof(struct ufiber_register) },
		{ UFIBER_IOC_WAIT, sizeof(struct ufiber_wait) },
		{ UFIBER_IOC_WAKE, sizeof(struct ufiber_wake) },
		{ UFIBER_IOC_QUERY, sizeof(struct ufiber_query) },
		{ UFIBER_IOC_KICK, sizeof(struct ufiber_target) },
		{ UFIBER_IOC_QUANTUM, sizeof(struct ufiber_quantum) },
		{ UFIBER_IOC_INTERRUPT, sizeof(struct ufiber_interrupt) },
		{ UFIBER_IOC_RESIZE, sizeof(struct ufiber_resize) },
		{ UFIBER_IOC_EVENTFD, sizeof(struct ufiber_eventfd) },
		{ UFIBER_IOC_STATS, sizeof(struct ufiber_stats) },
	};
	struct ufiber_register reg = { .size = sizeof(reg) };
	__u32 arg[2048];
	unsigned int i;

	UF_OPEN(&d, 1, 2);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		/* WAIT is for registered threads; it could not sleep with these. */
		if (calls[i].cmd == UFIBER_IOC_WAIT)
			ASSERT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg));
		memset(arg, 0, sizeof(arg));
		EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, calls[i].cmd, arg)) TH_LOG("call %u", i);
		arg[0] = calls[i].size - 4;
		EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, calls[i].cmd, arg)) TH_LOG("call %u", i);
		arg[0] = PAGE + 4;
		EXPECT_EQ(-E2BIG, uf_ioctl(d.fd, calls[i].cmd, arg)) TH_LOG("call %u", i);
		arg[0] = calls[i].size + 4;
		arg[calls[i].size / 4] = 1;
		EXPECT_EQ(-E2BIG, uf_ioctl(d.fd, calls[i].cmd, arg)) TH_LOG("call %u", i);
		/* Unknown flags. */
		arg[0] = calls[i].size;
		arg[1] = 0x80000000U;
		EXPECT_EQ(-EINVAL, uf_ioctl(d.fd, calls[i].cmd, arg)) TH_LOG("call %u", i);
		EXPECT_EQ(-EFAULT, uf_ioctl(d.fd, calls[i].cmd, NULL)) TH_LOG("call %u", i);
		EXPECT_EQ(-EFAULT, uf_ioctl(d.fd, calls[i].cmd, (void *)-4096L))
			TH_LOG("call %u", i);
		ASSERT_AGREES(&d);
	}
	EXPECT_EQ(UFIBER_THREAD_IDLE, d.threads[reg.thread].state);
}

TEST(flags)
{
	struct ufiber_setup s = valid();
	unsigned int bit;

	OPEN_FD();
	for (bit = 2; bit < 32; bit++) {
		s.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, setup(&s));
		EXPECT_TRUE(untouched());
	}
}

TEST(twice)
{
	struct ufiber_setup s = valid();
	struct ufiber_query q;

	UF_OPEN(&d, 3, 8);
	EXPECT_EQ(-EBUSY, setup(&s));
	EXPECT_EQ(0, s.mmap_size);
	ASSERT_EQ(0, uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q));
	EXPECT_EQ(3, q.nr_vacant);
	ASSERT_AGREES(&d);
}

TEST(before_setup)
{
	struct ufiber_register reg = { .size = sizeof(reg) };
	struct ufiber_wait wait = { .size = sizeof(wait) };
	struct ufiber_setup s = valid();

	OPEN_FD();
	EXPECT_EQ(-EBADFD, uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg));
	EXPECT_EQ(-EBADFD, uf_ioctl(d.fd, UFIBER_IOC_UNREGISTER, NULL));
	EXPECT_EQ(-EBADFD, uf_ioctl(d.fd, UFIBER_IOC_WAIT, &wait));
	EXPECT_EQ(-EBADFD, uf_wake_id(&d, 0, 0));
	EXPECT_TRUE(untouched());
	ASSERT_EQ(0, setup(&s));
}

TEST(bad_memory)
{
	struct ufiber_setup *s;
	char *page;

	OPEN_FD();
	EXPECT_EQ(-EFAULT, setup(NULL));
	EXPECT_EQ(-EFAULT, setup((void *)-4096L));
	EXPECT_TRUE(untouched());

	/* It ends within the argument. */
	page = mmap(NULL, 2 * PAGE, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + PAGE, PAGE));
	s = (void *)(page + PAGE - 8);
	s->size = sizeof(*s);
	EXPECT_EQ(-EFAULT, setup(s));
	EXPECT_TRUE(untouched());

	/* It cannot be written: no answer, so no domain. */
	s = (void *)page;
	*s = valid();
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, setup(s));
	EXPECT_TRUE(untouched());
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_RW));
	EXPECT_EQ(0, setup(s));
}

TEST(unknown_calls)
{
	static const unsigned int bad[] = {
		_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xef, 0),
		_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xfc, 0),
		_IOC(_IOC_NONE, 'U', 0xff, 0),
		_IOC(_IOC_READ | _IOC_WRITE, 'V', 0xf5, 0),	/* another type */
		_IOC(_IOC_READ, 'U', 0xf5, 0),			/* another direction */
		_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf2, 0),
		_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf5, sizeof(struct ufiber_query)),
		0, 0x5401 /* TCGETS */,
	};
	struct ufiber_query q = {
		.size = sizeof(q), .thread = UFIBER_NONE, .server = UFIBER_NONE,
	};
	unsigned int i;

	UF_OPEN(&d, 1, 1);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-ENOTTY, uf_ioctl(d.fd, bad[i], &q)) TH_LOG("number %#x", bad[i]);
	ASSERT_AGREES(&d);
}

TEST(query)
{
	struct ufiber_query q;

	UF_OPEN(&d, 2, 4);
	EXPECT_EQ(-EINVAL, uf_query(&d, UFIBER_NONE, 2, &q));
	EXPECT_EQ(-EINVAL, uf_query(&d, UFIBER_NONE, UFIBER_NONE - 1, &q));
	EXPECT_EQ(-ESRCH, uf_query(&d, 0, UFIBER_NONE, &q));
	EXPECT_EQ(-ESRCH, uf_query(&d, 3, UFIBER_NONE, &q));
	EXPECT_EQ(-ESRCH, uf_query(&d, 4, UFIBER_NONE, &q));
	EXPECT_EQ(-ESRCH, uf_query(&d, UFIBER_NONE - 1, UFIBER_NONE, &q));
	ASSERT_EQ(0, uf_query(&d, UFIBER_NONE, 1, &q));
	EXPECT_EQ(UFIBER_NONE, q.thread);
	EXPECT_EQ(1, q.server);
	EXPECT_EQ(UFIBER_SERVER_VACANT, q.server_state);
	EXPECT_EQ(UFIBER_NONE, q.server_thread);
	EXPECT_EQ(2, q.nr_vacant);
}

/* Nothing is mapped, and the errno is that. */
#define EXPECT_NO_MMAP(err, len, prot, flags, offset)			\
	do {								\
		void *_p = mmap(NULL, len, prot, flags, d.fd, offset);	\
		int _err = errno;					\
									\
		EXPECT_EQ(MAP_FAILED, _p);				\
		if (_p == MAP_FAILED) {					\
			EXPECT_EQ(err, _err);				\
		} else {						\
			munmap(_p, len);				\
		}							\
	} while (0)

TEST(mmap_before_setup)
{
	OPEN_FD();
	EXPECT_NO_MMAP(EBADFD, PAGE, PROT_RW, MAP_SHARED, 0);
}

TEST(mmap_bad)
{
	struct ufiber_setup s = valid();

	OPEN_FD();
	s.max_threads = 200;	/* several pages */
	ASSERT_EQ(0, setup(&s));
	ASSERT_LT(PAGE, s.mmap_size);
	EXPECT_NO_MMAP(EINVAL, s.mmap_size - PAGE, PROT_RW, MAP_SHARED, 0);
	EXPECT_NO_MMAP(EINVAL, s.mmap_size + PAGE, PROT_RW, MAP_SHARED, 0);
	EXPECT_NO_MMAP(EINVAL, s.mmap_size, PROT_RW, MAP_SHARED, PAGE);
	EXPECT_NO_MMAP(EINVAL, s.mmap_size - PAGE, PROT_RW, MAP_SHARED, PAGE);
	EXPECT_NO_MMAP(EINVAL, s.mmap_size, PROT_RW | PROT_EXEC, MAP_SHARED, 0);
	EXPECT_NO_MMAP(EINVAL, s.mmap_size, PROT_RW, MAP_PRIVATE, 0);
	EXPECT_NO_MMAP(EINVAL, s.mmap_size, PROT_READ, MAP_PRIVATE, 0);
}

TEST(mmap_good)
{
	struct ufiber_shared_domain *again;

	UF_OPEN(&d, 2, 8);
	/* It never becomes executable. */
	EXPECT_EQ(-1, mprotect(d.map, d.setup.mmap_size, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);

	/* A second mapping shows the same memory, and outlives the first. */
	again = mmap(NULL, d.setup.mmap_size, PROT_RW, MAP_SHARED, d.fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)again);
	d.threads[7].critical = 0x1234;
	EXPECT_EQ(0x1234, ((struct ufiber_shared_thread *)
			   ((char *)again + d.setup.threads_offset))[7].critical);
	d.threads[7].critical = 0;
	ASSERT_EQ(0, munmap(d.map, d.setup.mmap_size));
	d.map = again;
	d.shared = again;
	d.servers = d.map + d.setup.servers_offset;
	d.threads = d.map + d.setup.threads_offset;
	ASSERT_AGREES(&d);
}

/* What user mode writes into the module's words does not become the truth. */
TEST(scribbling)
{
	struct uf_thread a, b;
	struct ufiber_query q;

	UF_OPEN(&d, 2, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN(&d, &b);
	memset(d.map, 0xff, d.setup.mmap_size);
	ASSERT_EQ(0, uf_query(&d, a.id, 0, &q));
	EXPECT_EQ(UFIBER_THREAD_RUNNING, q.thread_state);
	EXPECT_EQ(0, q.server_thread ^ (q.thread_server ? UFIBER_NONE : a.id));
	EXPECT_EQ(2, q.nr_threads);
	EXPECT_EQ(0, q.nr_runnable);
	EXPECT_EQ(0, q.nr_standby);
	EXPECT_EQ(1, q.nr_vacant);
	/* The module goes by its own record: there is a server for @b. */
	d.threads[a.id].critical = 0;
	d.threads[b.id].critical = 0;
	EXPECT_LE(0, uf_wait(&b, UFIBER_WAIT_STANDBY, 0, 0));
	EXPECT_EQ(UFIBER_THREAD_RUNNING, uf_state(&b));
	EXPECT_NE(uf_server(&a), uf_server(&b));
	EXPECT_EQ(UFIBER_THREAD_RUNNING, d.threads[b.id].state);
	EXPECT_EQ(UFIBER_OWNER(UFIBER_SERVER_HELD, b.id), d.servers[uf_server(&b)].owner);
	EXPECT_EQ(0, uf_unregister(&a));
	EXPECT_EQ(0, uf_unregister(&b));
	ASSERT_EQ(0, uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q));
	EXPECT_EQ(0, q.nr_threads);
	EXPECT_EQ(2, q.nr_vacant);
	EXPECT_EQ(0, d.servers[0].owner);
	EXPECT_EQ(0, d.servers[1].owner);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation fails once: each call then fails with ENOMEM or does without,
 * and one that has failed has changed nothing. Needs a kernel that can make the
 * n-th allocation of a task fail (CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC). If it
 * counts copies from and to user mode as well, some fail with EFAULT.
 */
#include "uf_test.h"
#include "uf_scene.h"
#include <sys/mman.h>

/* Unloading waits for grace periods, many times over. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300

#define DEBUGFS		"/sys/kernel/debug/"
/* More allocations than any call makes. */
#define MANY		2000

static struct uf_dom d;
static int fail_fd = -1;

static long write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

/* From now on the @n-th allocation of this thread fails; 0 for none. */
static void fail_nth(unsigned int n)
{
	char text[12];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* What was still to come may come over the write, once. */
	if (pwrite(fail_fd, text, len, 0) != len && pwrite(fail_fd, text, len, 0) != len)
		abort();
}

/* Whether that has come to pass; if it comes over the look itself, it had not. */
static bool has_failed(void)
{
	char text[12] = "";

	return pread(fail_fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
}

static bool is_denial(long ret)
{
	return ret == -ENOMEM || ret == -EFAULT;
}

#define BEGIN()								\
	do {								\
		char _path[64];						\
									\
		UF_BEGIN(&d);						\
		snprintf(_path, sizeof(_path), "/proc/self/task/%d/fail-nth", \
			 (int)syscall(SYS_gettid));			\
		fail_fd = open(_path, O_RDWR | O_CLOEXEC);		\
		if (fail_fd < 0 || access(DEBUGFS "failslab", X_OK))	\
			SKIP(return, "the kernel has no CONFIG_FAILSLAB"); \
		/* Those that may sleep are the ones that count. */	\
		ASSERT_EQ(0, write_file(DEBUGFS "failslab/ignore-gfp-wait", "N")); \
		write_file(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N"); \
		write_file(DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N"); \
		write_file(DEBUGFS "fail_page_alloc/min-order", "0");	\
		/* A line and a stack for each would take longest of all. */ \
		write_file(DEBUGFS "failslab/verbose", "0");		\
		write_file(DEBUGFS "fail_page_alloc/verbose", "0");	\
		write_file(DEBUGFS "fail_usercopy/verbose", "0");	\
	} while (0)

/*
 * Do @call with its first allocation failing, its second, and so on, until it
 * makes so few that none fails. @unchanged must hold after each that failed,
 * @undo is done after each that did not.
 */
#define EACH_ALLOCATION(call, unchanged, undo)				\
	do {								\
		unsigned int _n, _failed = 0;				\
		long _ret;						\
		bool _hit;						\
									\
		for (_n = 1; _n < MANY; _n++) {				\
			fail_nth(_n);					\
			_ret = call;					\
			_hit = has_failed();				\
			fail_nth(0);					\
			if (_ret) {					\
				ASSERT_TRUE(is_denial(_ret)) TH_LOG("allocation %u: %ld", _n, _ret); \
				ASSERT_TRUE(unchanged) TH_LOG("allocation %u", _n); \
				_failed++;				\
				continue;				\
			}						\
			undo;						\
			if (!_hit)					\
				break;					\
		}							\
		ASSERT_GT(MANY, _n);					\
		ASSERT_LT(0, _failed);					\
		TH_LOG("%u of %u failed", _failed, _n - 1);		\
	} while (0)

static long do_open(void)
{
	d.fd = open(UFIBER_DEVICE, O_RDWR | O_CLOEXEC);
	return d.fd < 0 ? -errno : 0;
}

TEST(opening)
{
	BEGIN();
	EACH_ALLOCATION(do_open(), true, close(d.fd));
	UF_REFS_BACK();
}

static long do_setup(void)
{
	d.setup = (struct ufiber_setup){
		.size = sizeof(d.setup), .nr_servers = 64, .max_threads = 256,
	};
	return uf_ioctl(d.fd, UFIBER_IOC_SETUP, &d.setup);
}

static bool is_empty(void)
{
	struct ufiber_query q;

	return uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q) == -EBADFD;
}

TEST(setup)
{
	BEGIN();
	ASSERT_EQ(0, do_open());
	EACH_ALLOCATION(do_setup(), is_empty(), {
		struct ufiber_query q;

		ASSERT_EQ(0, uf_query(&d, UFIBER_NONE, 63, &q));
		ASSERT_EQ(64, q.nr_vacant);
		close(d.fd);
		ASSERT_EQ(0, do_open());
	});
	close(d.fd);
	UF_REFS_BACK();
}

/* Where no page table is yet: that is allocated, too. */
#define FAR	((void *)(1UL << 40))

static long do_mmap(void)
{
	d.map = mmap(FAR, d.setup.mmap_size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED_NOREPLACE, d.fd, 0);
	return d.map == MAP_FAILED ? -errno : 0;
}

TEST(mapping)
{
	BEGIN();
	ASSERT_EQ(0, do_open());
	ASSERT_EQ(0, do_setup());
	EACH_ALLOCATION(do_mmap(), !is_empty(), munmap(d.map, d.setup.mmap_size));
	close(d.fd);
	UF_REFS_BACK();
}

static long do_register(void)
{
	struct ufiber_register reg = { .size = sizeof(reg) };

	return uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg);
}

static bool nobody_is_there(void)
{
	struct ufiber_query q;

	return !uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q) && !q.nr_threads &&
	       uf_ioctl(d.fd, UFIBER_IOC_UNREGISTER, NULL) == -ENXIO;
}

TEST(registering)
{
	BEGIN();
	UF_OPEN(&d, 1, 4);
	EACH_ALLOCATION(do_register(), nobody_is_there(),
			ASSERT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_UNREGISTER, NULL)));
	uf_close(&d);
	UF_REFS_BACK();
}

/*
 * What a registered thread does later needs no memory: it never fails for want of
 * that, and if its argument cannot be read, nothing has happened.
 */
static long do_wait(unsigned int nth, __u32 flags)
{
	struct ufiber_wait w = {
		.size = sizeof(w), .flags = flags | UFIBER_WAIT_TIMEOUT, .timeout = uf_now(),
	};
	long ret;

	fail_nth(nth);
	ret = uf_ioctl(d.fd, UFIBER_IOC_WAIT, &w);
	fail_nth(0);
	return ret == -EFAULT ? uf_ioctl(d.fd, UFIBER_IOC_WAIT, &w) : ret;
}

static long do_wake(unsigned int nth)
{
	long ret;

	fail_nth(nth);
	ret = uf_wake_id(&d, 0, 0);
	fail_nth(0);
	return ret == -EFAULT ? uf_wake_id(&d, 0, 0) : ret;
}

TEST(running)
{
	struct timespec ts = { .tv_nsec = 1000 };
	struct ufiber_query q;
	unsigned int n;

	BEGIN();
	UF_OPEN(&d, 1, 4);
	ASSERT_EQ(0, do_register());
	ASSERT_EQ(0, do_wait(0, UFIBER_WAIT_ACQUIRE));
	for (n = 1; n < 20; n++) {
		/* It blocks, comes back, and has a server, or gets one by WAIT. */
		fail_nth(n);
		syscall(SYS_nanosleep, &ts, NULL);
		fail_nth(0);
		ASSERT_EQ(0, do_wait(n, UFIBER_WAIT_ACQUIRE));
		ASSERT_EQ(0, do_wait(n, UFIBER_WAIT_STANDBY));
		/* It parks, and its time is up at once: it has the server again. */
		ASSERT_EQ(-ETIMEDOUT, do_wait(n, 0));
		ASSERT_EQ(0, do_wake(n));
		ASSERT_EQ(0, do_wait(n, 0));
		ASSERT_EQ(0, uf_query(&d, 0, 0, &q));
		ASSERT_EQ(UFIBER_THREAD_RUNNING, q.thread_state);
	}
	fail_nth(1);
	ASSERT_EQ(0, uf_ioctl(d.fd, UFIBER_IOC_UNREGISTER, NULL));
	fail_nth(0);
	ASSERT_AGREES(&d);
	uf_close(&d);
	UF_REFS_BACK();
}

/* ---------------------------------------------------------------- loading */

/* As many of the last allocations of loading a module as its own may be. */
#define LAST	60

static long do_load(unsigned int nth, unsigned int *made)
{
	char text[12] = "";
	int fd = uf_module_open();
	long ret;

	if (fd < 0)
		return fd;
	fail_nth(nth);
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	pread(fail_fd, text, sizeof(text) - 1, 0);
	fail_nth(0);
	*made = nth - atoi(text);
	close(fd);
	return ret;
}

/* Of those that the kernel makes first for a module, any that it is, none is ours. */
TEST(loading)
{
	unsigned int made, unused, n, failed = 0;
	long ret;

	BEGIN();
	if (uf_refcnt() || !getenv("UFIBER_VM"))
		SKIP(return, "somebody else may use the module");
	uf_other_cpus("0");
	ASSERT_EQ(0, syscall(SYS_delete_module, "ufiber", O_NONBLOCK));
	ASSERT_EQ(0, do_load(1000000, &made));
	for (n = made; n && n + LAST > made; n--) {
		ASSERT_EQ(0, syscall(SYS_delete_module, "ufiber", O_NONBLOCK));
		ret = do_load(n, &unused);
		if (!ret)
			continue;
		failed++;
		ASSERT_TRUE(is_denial(ret)) TH_LOG("allocation %u: %ld", n, ret);
		ASSERT_EQ(-1, uf_refcnt());
		ASSERT_NE(0, access(UFIBER_DEVICE, F_OK));
		ASSERT_EQ(0, do_load(1000000, &unused));
	}
	uf_other_cpus("1");
	TH_LOG("%u of the last %u failed", failed, made - n);
	EXPECT_LT(0, failed);
	ASSERT_TRUE(uf_await(NULL, uf_device_is_there, NULL, "the device"));
	UF_REFS_BACK();
}

TEST_HARNESS_MAIN

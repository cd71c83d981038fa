// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A stack that overflows: what is told of it, what becomes of the process, and
 * that other faults and other handlers are left alone.
 */
#include "guard_test.h"

#include <signal.h>

#include "child_test.h"

GUARD_FIXTURE(overflow)

/* The depth keeps the compiler from seeing that it has no end. */
int overflow_deeper(volatile int *depth);
int overflow_deeper(volatile int *depth)
{
	volatile int frame[128];

	frame[0] = *depth + 1;
	return frame[0] ? overflow_deeper(frame) + frame[0] : 0;
}

void *overflow_start(void *arg);
void *overflow_start(void *arg)
{
	int depth = 0;

	if (arg)
		dprintf(STDERR_FILENO, "I am fiber %lu\n", uf_id(NULL));
	return (void *)(intptr_t)overflow_deeper(&depth);
}

void *fault_elsewhere(void *arg);
void *fault_elsewhere(void *arg)
{
	*(volatile int *)arg = 1;
	return NULL;
}

/* What a child does. */
struct action {
	void *(*start)(void *arg);
	void *arg;
	size_t stack_size;
	unsigned int flags;
	void (*before)(void);
	void (*after_start)(void);
};

static void *run_fiber(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct action *action = arg;
	struct uf_fiber *fiber;

	attr.stack_size = action->stack_size;
	attr.name = "the worker";
	if (action->after_start)
		action->after_start();
	if (!uf_create(NULL, &fiber, &attr, action->start, action->arg))
		uf_join(fiber, NULL);
	return NULL;
}

static void run_action(void *arg)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct action *action = arg;

	config.servers = 2;
	config.flags = action->flags;
	if (action->before)
		action->before();
	uf_run(&config, run_fiber, action, NULL);
}

TEST_F(overflow, is_reported)
{
	struct action action = { .start = overflow_start, .arg = &action };
	char expected[64];
	unsigned long id;

	run_child(_metadata, run_action, &action);
	EXPECT_SIGNAL(SIGSEGV);
	ASSERT_EQ(1, sscanf(end.text, "I am fiber %lu", &id));
	snprintf(expected, sizeof(expected),
		 "stack overflow of fiber %lu \"the worker\" (0x", id);
	EXPECT_SAID(expected);
	EXPECT_SAID("): 65536 bytes of stack from 0x");
	/* The innermost frames, and the outermost. */
	EXPECT_SAID("(overflow_deeper+0x");
	EXPECT_SAID(" more ...\n");
	EXPECT_SAID("(overflow_start+0x");
	/* The first frame is the fiber's, not the handler's. */
	EXPECT_EQ(NULL, strstr(end.text, "on_fault"));
	EXPECT_LT(strstr(end.text, "innermost first:"),
		  strstr(end.text, "(overflow_deeper+0x"));
}

TEST_F(overflow, of_any_size)
{
	static const size_t sizes[] = { UF_STACK_MIN, 1 << 20, 3 << 20 };
	struct action action = { .start = overflow_start };
	char expected[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		action.stack_size = sizes[i];
		run_child(_metadata, run_action, &action);
		EXPECT_SIGNAL(SIGSEGV);
		snprintf(expected, sizeof(expected), "): %zu bytes", sizes[i]);
		EXPECT_SAID(expected);
	}
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	static const char text[] = "the program's handler\n";
	const struct uf_fiber *fiber = uf_self();
	char *address = info->si_addr;
	char *guard = (char *)fiber->stack - sysconf(_SC_PAGESIZE);

	if (sig == SIGSEGV && info->si_signo == SIGSEGV && address >= guard &&
	    address < (char *)fiber->stack)
		write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(42);
}

static void install_handler(void)
{
	struct sigaction action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	sigaction(SIGSEGV, &action, NULL);
}

/* A handler that the program had before gets the signal after the report. */
TEST_F(overflow, handler_before)
{
	struct action action = {
		.start = overflow_start,
		.before = install_handler,
	};

	run_child(_metadata, run_action, &action);
	EXPECT_TRUE(WIFEXITED(end.status));
	EXPECT_EQ(42, WEXITSTATUS(end.status));
	EXPECT_SAID("stack overflow of fiber");
	EXPECT_SAID("the program's handler");
}

/* One that it installs later is called instead; the guards of today raise SIGSEGV. */
TEST(handler_later)
{
	struct action action = {
		.start = overflow_start,
		.after_start = install_handler,
	};

	if (!have_markers())
		ASSERT_EQ(0, allow_guard(UF_GUARD_MPROTECT));
	run_child(_metadata, run_action, &action);
	EXPECT_TRUE(WIFEXITED(end.status));
	EXPECT_EQ(42, WEXITSTATUS(end.status));
	EXPECT_STREQ("the program's handler\n", end.text);
}

TEST(not_reported_if_not_wanted)
{
	struct action action = {
		.start = overflow_start,
		.flags = UF_NO_OVERFLOW_REPORT,
	};

	if (!have_markers())
		ASSERT_EQ(0, allow_guard(UF_GUARD_MPROTECT));
	run_child(_metadata, run_action, &action);
	EXPECT_SIGNAL(SIGSEGV);
	EXPECT_SILENT();
}

/* Other faults have their default action, and nothing is said. */
TEST(other_faults)
{
	struct action action = { .start = fault_elsewhere, .arg = (void *)8 };
	char *map;

	run_child(_metadata, run_action, &action);
	EXPECT_SIGNAL(SIGSEGV);
	EXPECT_SILENT();

	/* A mapped file that is shorter than the mapping: SIGBUS. */
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		   memfd_create("empty", MFD_CLOEXEC), 0);
	ASSERT_NE(MAP_FAILED, map);
	action.arg = map;
	run_child(_metadata, run_action, &action);
	EXPECT_SIGNAL(SIGBUS);
	EXPECT_SILENT();
}

/* The guard of another fiber's stack is no overflow of the caller's. */
static void *fault_in_others_guard(void *arg)
{
	struct uf_fiber *other = arg;

	return fault_elsewhere((char *)other->stack - 8);
}

static void *run_two(void *arg)
{
	struct uf_fiber *fiber;

	uf_create(NULL, &fiber, NULL, fault_in_others_guard, uf_self());
	uf_join(fiber, NULL);
	return NULL;
}

TEST_F(overflow, of_another_stack)
{
	struct action action = { .start = run_two };

	run_child(_metadata, run_action, &action);
	EXPECT_SIGNAL(variant->guard == UF_GUARD_UFFD ? SIGBUS : SIGSEGV);
	EXPECT_SILENT();
}

static void *send_signal(void *arg)
{
	static const char text[] = "lives\n";

	kill(getpid(), SIGSEGV);
	write(STDERR_FILENO, text, sizeof(text) - 1);
	return NULL;
}

static void ignore_signal(void)
{
	signal(SIGSEGV, SIG_IGN);
}

/* What is no fault at all: it has no address, and does not come again. */
TEST(sent_by_a_process)
{
	struct action action = { .start = send_signal };

	run_child(_metadata, run_action, &action);
	EXPECT_SIGNAL(SIGSEGV);
	EXPECT_EQ(NULL, strstr(end.text, "overflow"));

	action.before = ignore_signal;
	run_child(_metadata, run_action, &action);
	EXPECT_TRUE(WIFEXITED(end.status));
	EXPECT_STREQ("lives\n", end.text);
}

static void *nothing(void *arg)
{
	return NULL;
}

/* After the last runtime the program's own handlers are in place again. */
TEST(handlers_are_restored)
{
	struct sigaction action;
	struct uf_runtime *rt[2];

	install_handler();
	CREATE_RUNTIME(&rt[0], 1);
	CREATE_RUNTIME(&rt[1], 1);
	EXPECT_EQ(0, uf_runtime_destroy(rt[0]));
	ASSERT_EQ(0, sigaction(SIGSEGV, NULL, &action));
	EXPECT_TRUE(action.sa_sigaction != on_signal);
	EXPECT_EQ(0, uf_runtime_destroy(rt[1]));
	ASSERT_EQ(0, sigaction(SIGSEGV, NULL, &action));
	EXPECT_TRUE(action.sa_sigaction == on_signal);
	ASSERT_EQ(0, sigaction(SIGBUS, NULL, &action));
	EXPECT_TRUE(action.sa_handler == SIG_DFL);

	/* One that came meanwhile stays. */
	signal(SIGSEGV, SIG_DFL);
	CREATE_RUNTIME(&rt[0], 1);
	install_handler();
	EXPECT_EQ(0, uf_runtime_destroy(rt[0]));
	ASSERT_EQ(0, sigaction(SIGSEGV, NULL, &action));
	EXPECT_TRUE(action.sa_sigaction == on_signal);
	EXPECT_EQ(0, uf_run(NULL, nothing, NULL, NULL));
}

TEST_HARNESS_MAIN

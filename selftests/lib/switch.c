// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The context switch: what it keeps, and how a new context starts. */
#include "lib_test.h"

#include <execinfo.h>

#include "switch.h"
#include "test_arch.h"

static void no_switch(void)
{
}

static void *keep_registers(void *arg)
{
	uintptr_t bad = 0;
	int i;

	for (i = 0; i < 1000; i++)
		bad |= kept_registers((uintptr_t)arg << 32 | i << 8, uf_yield);
	return (void *)bad;
}

FIBER_TEST(registers, 1)
{
	struct uf_fiber *fiber[3];
	uintptr_t i;
	void *bad;

	ASSERT_EQ(0, kept_registers(0, no_switch));
	for (i = 0; i < 3; i++)
		CREATE(&fiber[i], keep_registers, (void *)i);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &bad));
		EXPECT_EQ(NULL, bad);
	}
}

struct fp_case {
	struct __test_metadata *metadata;
	uint64_t controls;
};

static int create_with_flags(struct uf_fiber **fiber, unsigned int flags,
			     void *(*start)(void *), void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;

	attr.flags = flags;
	return uf_create(NULL, fiber, &attr, start, arg);
}

static void *keep_fp_controls(void *arg)
{
	struct fp_case *c = arg;
	struct __test_metadata *_metadata = c->metadata;
	int i;

	set_fp_controls(c->controls);
	for (i = 0; i < 100; i++) {
		uf_yield();
		EXPECT_EQ(c->controls, fp_controls());
	}
	return NULL;
}

/* Those with the flag have their own; the one without sees none of them. */
FIBER_TEST(fp_controls_of_fibers, 1)
{
	struct fp_case cases[ARRAY_SIZE(fp_values)];
	struct uf_fiber *fiber[ARRAY_SIZE(cases)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		cases[i] = (struct fp_case){ _metadata, fp_values[i] };
		ASSERT_EQ(0, create_with_flags(&fiber[i], UF_FPENV,
					       keep_fp_controls, &cases[i]));
	}
	for (i = 0; i < 100; i++) {
		uf_yield();
		EXPECT_EQ(fp_values[0], fp_controls());
	}
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		JOIN(fiber[i]);
	EXPECT_EQ(fp_values[0], fp_controls());
}

static void *check_fp_controls(void *arg)
{
	struct fp_case *c = arg;
	struct __test_metadata *_metadata = c->metadata;

	EXPECT_EQ(c->controls, fp_controls());
	return NULL;
}

/* As a thread does. */
FIBER_TEST(fp_controls_are_inherited, 1)
{
	struct fp_case c = { _metadata, fp_values[3] };
	struct uf_fiber *fiber;

	set_fp_controls(fp_values[3]);
	ASSERT_EQ(0, create_with_flags(&fiber, UF_FPENV, check_fp_controls, &c));
	set_fp_controls(fp_values[0]);
	JOIN(fiber);
}

/* Without the flag a switch leaves them alone. */
FIBER_TEST(fp_controls_of_the_thread, 1)
{
	struct fp_case c = { _metadata, fp_values[3] };
	struct uf_fiber *fiber;

	if (UF_ARCH_BY_LIBC)
		SKIP(return, "this switch keeps them for each context");
	CREATE(&fiber, check_fp_controls, &c);
	set_fp_controls(fp_values[3]);
	JOIN(fiber);
	set_fp_controls(fp_values[0]);
}

static void *misalignment(void *arg)
{
	return (void *)((uintptr_t)__builtin_frame_address(0) % 16);
}

FIBER_TEST(stack_alignment, 1)
{
	struct uf_fiber *fiber[8];
	unsigned int i;
	void *bad;

	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		CREATE(&fiber[i], misalignment, NULL);
	for (i = 0; i < ARRAY_SIZE(fiber); i++) {
		ASSERT_EQ(0, uf_join(fiber[i], &bad));
		EXPECT_EQ(NULL, bad);
	}
}

#define FRAMES 64

static int unwind_frames;

static void *unwind(void *arg)
{
	void *frames[FRAMES];

	unwind_frames = backtrace(frames, FRAMES);
	return frames[unwind_frames - 1 - UF_ARCH_BY_LIBC];
}

/* An unwinder finds the end of the stack, where the fiber started. */
FIBER_TEST(unwinding_ends, 1)
{
	struct uf_fiber *fiber;
	void *last;

	CREATE(&fiber, unwind, NULL);
	ASSERT_EQ(0, uf_join(fiber, &last));
	EXPECT_GT(FRAMES, unwind_frames);
	EXPECT_LT((uintptr_t)uf_arch_start, (uintptr_t)last);
	EXPECT_GT((uintptr_t)uf_arch_start + 64, (uintptr_t)last);
}

/* The bare switch, without the library around it. */
struct bare {
	void *main_sp;
	void *other_sp;
	void *first_pass;
};

static void bare_entry(void *pass, void *arg)
{
	struct bare *bare = arg;

	bare->first_pass = pass;
	for (;;)
		pass = uf_arch_switch(&bare->other_sp, bare->main_sp,
				      (char *)pass + 1);
}

static char bare_stack[32768] __attribute__((aligned(16)));

TEST(bare_switch)
{
	struct bare bare = { 0 };
	char *pass = bare_stack;
	int i;

	bare.other_sp = uf_arch_prepare(bare_stack + sizeof(bare_stack),
					bare_entry, &bare);
	for (i = 0; i < 100; i++) {
		char *ret =
			uf_arch_switch(&bare.main_sp, bare.other_sp, pass + i);

		EXPECT_EQ(pass + i + 1, ret);
	}
	EXPECT_EQ(pass, bare.first_pass);
}

/*
 * Have gdb step through two bare switches, instruction by instruction. Prints
 * at each the names of all frames.
 */
static const char gdb_script[] = "set debuginfod enabled off\n"
				 "set follow-fork-mode child\n"
				 "break uf_arch_switch\n"
				 "run -t bare_switch\n"
				 "python\n"
				 "for i in range(90):\n"
				 "    frame, names = gdb.newest_frame(), []\n"
				 "    while frame:\n"
				 "        names.append(str(frame.name()))\n"
				 "        frame = frame.older()\n"
				 "    print('FRAMES', ' '.join(names), '.')\n"
				 "    gdb.execute('stepi', to_string=True)\n"
				 "end\n"
				 "kill\n";

static FILE *start_gdb(const char *script)
{
	char command[600], exe[256] = "";

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		return NULL;
	snprintf(command, sizeof(command), "gdb -nx -batch -x %s '%s' 2>&1",
		 script, exe);
	return popen(command, "r");
}

static bool ends_with(const char *line, const char *frame)
{
	const char *found = strstr(line, frame);

	return found && !strcmp(found + strlen(frame), " .\n");
}

/* Wherever it is stopped, all frames are known, to the end of the stack. */
TEST(debugger_unwinds)
{
	char path[] = "/tmp/uf_switch_gdb.XXXXXX";
	int steps = 0, on_main = 0, on_other = 0;
	char line[1000];
	FILE *gdb;
	int fd;

#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__) || \
	defined(__SANITIZE_THREAD__)
	SKIP(return, "gdb runs neither emulators nor sanitizers well");
#endif
	if (UF_ARCH_BY_LIBC || system("command -v gdb >/dev/null"))
		SKIP(return, "no gdb, or the switch is not ours");
	fd = mkstemp(path);
	ASSERT_LE(0, fd);
	ASSERT_EQ(strlen(gdb_script), write(fd, gdb_script, strlen(gdb_script)));
	close(fd);
	gdb = start_gdb(path);
	ASSERT_NE(NULL, gdb);
	while (fgets(line, sizeof(line), gdb)) {
		bool main_stack, other_stack;

		if (strncmp(line, "FRAMES ", 7))
			continue;
		main_stack = ends_with(line, " main");
		other_stack = ends_with(line, " bare_entry uf_arch_start") ||
			      ends_with(line, "FRAMES uf_arch_start") ||
			      ends_with(line, "FRAMES uf_arch_switch "
					      "uf_arch_start");
		EXPECT_TRUE(main_stack || other_stack) TH_LOG("%s", line);
		steps++;
		on_main += main_stack;
		on_other += other_stack;
	}
	pclose(gdb);
	unlink(path);
	EXPECT_EQ(90, steps);
	EXPECT_LT(20, on_main);
	EXPECT_LT(20, on_other);
}

TEST_HARNESS_MAIN

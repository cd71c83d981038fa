// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The context switch: what it keeps, and how a new context starts. */
#include "lib_test.h"

#include <execinfo.h>
#include <xmmintrin.h>

#include "arch/x86_64/switch.h"

/*
 * Gives each register that a call must keep a value made from @seed, calls @fn,
 * and returns a mask of those that came back with another.
 */
unsigned int kept_registers(uint64_t seed, void (*fn)(void));
__asm__("	.text\n"
	"	.type	kept_registers, @function\n"
	"kept_registers:\n"
	"	endbr64\n"
	"	push	%rbp\n"
	"	push	%rbx\n"
	"	push	%r12\n"
	"	push	%r13\n"
	"	push	%r14\n"
	"	push	%r15\n"
	"	push	%rdi\n"
	"	lea	1(%rdi), %rbx\n"
	"	lea	2(%rdi), %rbp\n"
	"	lea	3(%rdi), %r12\n"
	"	lea	4(%rdi), %r13\n"
	"	lea	5(%rdi), %r14\n"
	"	lea	6(%rdi), %r15\n"
	"	call	*%rsi\n"
	"	pop	%rdi\n"
	"	xor	%eax, %eax\n"
	"	.irpc	i, 123456\n"
	"	inc	%rdi\n"
	"	.if	\\i == 1\n"
	"	cmp	%rdi, %rbx\n"
	"	.elseif	\\i == 2\n"
	"	cmp	%rdi, %rbp\n"
	"	.elseif	\\i == 3\n"
	"	cmp	%rdi, %r12\n"
	"	.elseif	\\i == 4\n"
	"	cmp	%rdi, %r13\n"
	"	.elseif	\\i == 5\n"
	"	cmp	%rdi, %r14\n"
	"	.else\n"
	"	cmp	%rdi, %r15\n"
	"	.endif\n"
	"	je	1f\n"
	"	or	$1 << \\i, %eax\n"
	"1:\n"
	"	.endr\n"
	"	pop	%r15\n"
	"	pop	%r14\n"
	"	pop	%r13\n"
	"	pop	%r12\n"
	"	pop	%rbx\n"
	"	pop	%rbp\n"
	"	ret\n"
	"	.size	kept_registers, . - kept_registers\n");

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

#define MXCSR_CONTROL 0xffc0U
#define MXCSR_DEFAULT 0x1f80U
#define MXCSR_ROUND_UP 0x5f80U
#define X87_DEFAULT 0x037fU
#define X87_ROUND_UP 0x0b7fU

static unsigned int mxcsr_control(void)
{
	return _mm_getcsr() & MXCSR_CONTROL;
}

static unsigned int x87_control(void)
{
	uint16_t cw;

	__asm__ __volatile__("fnstcw %0" : "=m"(cw));
	return cw;
}

static void set_x87_control(uint16_t cw)
{
	__asm__ __volatile__("fldcw %0" : : "m"(cw));
}

struct fp_case {
	struct __test_metadata *metadata;
	unsigned int mxcsr;
	unsigned int x87;
};

static void *keep_fp_controls(void *arg)
{
	struct fp_case *c = arg;
	struct __test_metadata *_metadata = c->metadata;
	int i;

	_mm_setcsr(c->mxcsr);
	set_x87_control(c->x87);
	for (i = 0; i < 100; i++) {
		uf_yield();
		EXPECT_EQ(c->mxcsr, mxcsr_control());
		EXPECT_EQ(c->x87, x87_control());
	}
	return NULL;
}

FIBER_TEST(fp_controls, 1)
{
	struct fp_case cases[] = {
		{ _metadata, MXCSR_DEFAULT, X87_DEFAULT },
		{ _metadata, MXCSR_ROUND_UP, X87_DEFAULT },
		{ _metadata, MXCSR_DEFAULT, X87_ROUND_UP },
		{ _metadata, MXCSR_ROUND_UP, X87_ROUND_UP },
	};
	struct uf_fiber *fiber[ARRAY_SIZE(cases)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		CREATE(&fiber[i], keep_fp_controls, &cases[i]);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		JOIN(fiber[i]);
	EXPECT_EQ(MXCSR_DEFAULT, mxcsr_control());
	EXPECT_EQ(X87_DEFAULT, x87_control());
}

static void *check_fp_controls(void *arg)
{
	struct fp_case *c = arg;
	struct __test_metadata *_metadata = c->metadata;

	EXPECT_EQ(c->mxcsr, mxcsr_control());
	EXPECT_EQ(c->x87, x87_control());
	return NULL;
}

/* As a thread does. */
FIBER_TEST(fp_controls_are_inherited, 1)
{
	struct fp_case c = { _metadata, MXCSR_ROUND_UP, X87_ROUND_UP };
	struct uf_fiber *fiber;

	_mm_setcsr(MXCSR_ROUND_UP);
	set_x87_control(X87_ROUND_UP);
	CREATE(&fiber, check_fp_controls, &c);
	_mm_setcsr(MXCSR_DEFAULT);
	set_x87_control(X87_DEFAULT);
	JOIN(fiber);
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

static void *unwind(void *arg)
{
	void *frames[64];
	int n = backtrace(frames, ARRAY_SIZE(frames));

	return n ? frames[n - 1] : NULL;
}

/* An unwinder finds the end of the stack, where the fiber started. */
FIBER_TEST(unwinding_ends, 1)
{
	struct uf_fiber *fiber;
	void *last;

	CREATE(&fiber, unwind, NULL);
	ASSERT_EQ(0, uf_join(fiber, &last));
	EXPECT_LT((uintptr_t)uf_arch_start, (uintptr_t)last);
	EXPECT_GT((uintptr_t)uf_arch_start + 32, (uintptr_t)last);
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

TEST_HARNESS_MAIN

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the tests of the switch must know of x86-64. */
#ifndef TEST_ARCH_H
#define TEST_ARCH_H

#include <stdint.h>
#include <xmmintrin.h>

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

/* The floating-point controls: MXCSR's, and the x87 control word above. */
#define MXCSR_CONTROL 0xffc0U

static uint64_t fp_controls(void)
{
	uint16_t cw;

	__asm__ __volatile__("fnstcw %0" : "=m"(cw));
	return (_mm_getcsr() & MXCSR_CONTROL) | (uint64_t)cw << 32;
}

static void set_fp_controls(uint64_t controls)
{
	uint16_t cw = controls >> 32;

	_mm_setcsr(controls);
	__asm__ __volatile__("fldcw %0" : : "m"(cw));
}

/* The default; each alone rounding up; both. */
static const uint64_t fp_values[] = {
	0x037f00001f80,
	0x037f00005f80,
	0x0b7f00001f80,
	0x0b7f00005f80,
};

#endif /* TEST_ARCH_H */

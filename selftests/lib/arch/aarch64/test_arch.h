/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the tests of the switch must know of aarch64. */
#ifndef TEST_ARCH_H
#define TEST_ARCH_H

#include <stdint.h>

/*
 * Gives each register that a call must keep a value made from @seed, calls @fn,
 * and returns a mask of those that came back with another: bits 1 to 10 are x20
 * to x29, 20 is x19, 12 to 19 are d8 to d15.
 */
unsigned int kept_registers(uint64_t seed, void (*fn)(void));
__asm__("	.text\n"
	"	.type	kept_registers, %function\n"
	"kept_registers:\n"
	"	hint	#34\n"
	"	sub	sp, sp, #176\n"
	"	stp	x29, x30, [sp]\n"
	"	stp	x19, x20, [sp, #16]\n"
	"	stp	x21, x22, [sp, #32]\n"
	"	stp	x23, x24, [sp, #48]\n"
	"	stp	x25, x26, [sp, #64]\n"
	"	stp	x27, x28, [sp, #80]\n"
	"	stp	d8, d9, [sp, #96]\n"
	"	stp	d10, d11, [sp, #112]\n"
	"	stp	d12, d13, [sp, #128]\n"
	"	stp	d14, d15, [sp, #144]\n"
	"	mov	x19, x0\n"
	"	.irp	r, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
	"	add	x\\r, x19, #\\r\n"
	"	.endr\n"
	"	.irp	r, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	add	x9, x19, #(\\r + 100)\n"
	"	fmov	d\\r, x9\n"
	"	.endr\n"
	"	str	x0, [sp, #160]\n"
	"	blr	x1\n"
	"	ldr	x10, [sp, #160]\n"
	"	mov	w0, #0\n"
	"	.irp	r, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
	"	add	x9, x10, #\\r\n"
	"	cmp	x\\r, x9\n"
	"	b.eq	1f\n"
	"	orr	w0, w0, #(1 << (\\r - 19))\n"
	"1:\n"
	"	.endr\n"
	"	cmp	x19, x10\n"
	"	b.eq	1f\n"
	"	orr	w0, w0, #(1 << 20)\n"
	"1:\n"
	"	.irp	r, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	add	x9, x10, #(\\r + 100)\n"
	"	fmov	x11, d\\r\n"
	"	cmp	x11, x9\n"
	"	b.eq	1f\n"
	"	orr	w0, w0, #(1 << (\\r + 4))\n"
	"1:\n"
	"	.endr\n"
	"	ldp	x29, x30, [sp]\n"
	"	ldp	x19, x20, [sp, #16]\n"
	"	ldp	x21, x22, [sp, #32]\n"
	"	ldp	x23, x24, [sp, #48]\n"
	"	ldp	x25, x26, [sp, #64]\n"
	"	ldp	x27, x28, [sp, #80]\n"
	"	ldp	d8, d9, [sp, #96]\n"
	"	ldp	d10, d11, [sp, #112]\n"
	"	ldp	d12, d13, [sp, #128]\n"
	"	ldp	d14, d15, [sp, #144]\n"
	"	add	sp, sp, #176\n"
	"	ret\n"
	"	.size	kept_registers, . - kept_registers\n");

/* The floating-point controls. */
static uint64_t fp_controls(void)
{
	uint64_t fpcr;

	__asm__ __volatile__("mrs %0, fpcr" : "=r"(fpcr));
	return fpcr;
}

static void set_fp_controls(uint64_t controls)
{
	__asm__ __volatile__("msr fpcr, %0" : : "r"(controls));
}

/* The default; rounding up; flushing to zero; both. */
static const uint64_t fp_values[] = {
	0,
	1 << 22,
	1 << 24,
	1 << 24 | 1 << 22,
};

#endif /* TEST_ARCH_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The context switch for aarch64, AAPCS64. See switch.h for what it does and
 * for the layout of the frame.
 *
 * Branch target identification: who comes here by a pointer finds a landing pad,
 * and leaving by ret needs none; the note at the end says so to the linker.
 * Pointer authentication: callers may sign their own return addresses, with the
 * stack pointer that they find again after the switch. The link register that
 * this function keeps is not signed.
 */
	.text

	.globl	uf_arch_switch
	.hidden	uf_arch_switch
	.type	uf_arch_switch, %function
	.balign	64
uf_arch_switch:
	.cfi_startproc
	hint	#34				/* bti c */
	sub	sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp	x19, x20, [sp]
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x20, 8
	stp	x21, x22, [sp, #16]
	.cfi_rel_offset x21, 16
	.cfi_rel_offset x22, 24
	stp	x23, x24, [sp, #32]
	.cfi_rel_offset x23, 32
	.cfi_rel_offset x24, 40
	stp	x25, x26, [sp, #48]
	.cfi_rel_offset x25, 48
	.cfi_rel_offset x26, 56
	stp	x27, x28, [sp, #64]
	.cfi_rel_offset x27, 64
	.cfi_rel_offset x28, 72
	stp	x29, x30, [sp, #80]
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	stp	d8, d9, [sp, #96]
	.cfi_rel_offset d8, 96
	.cfi_rel_offset d9, 104
	stp	d10, d11, [sp, #112]
	.cfi_rel_offset d10, 112
	.cfi_rel_offset d11, 120
	stp	d12, d13, [sp, #128]
	.cfi_rel_offset d12, 128
	.cfi_rel_offset d13, 136
	stp	d14, d15, [sp, #144]
	.cfi_rel_offset d14, 144
	.cfi_rel_offset d15, 152
	mov	x9, sp
	str	x9, [x0]

	/* The frames are alike, so the CFI holds on the new stack as well. */
	mov	sp, x1
	mov	x0, x2
	ldp	x19, x20, [sp]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	.cfi_def_cfa sp, 0
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	ret
	.cfi_endproc
	.size	uf_arch_switch, . - uf_arch_switch

	/*
	 * The first switch to a context arrives here: x0 is what was passed,
	 * x19 the entry, x20 its argument. The stack ends here: an undefined
	 * return address tells every unwinder so.
	 */
	.globl	uf_arch_start
	.hidden	uf_arch_start
	.type	uf_arch_start, %function
	.balign	16
uf_arch_start:
	.cfi_startproc
	.cfi_undefined x30
	hint	#34				/* bti c */
	mov	x1, x20
	mov	x29, xzr
	mov	x30, xzr
	blr	x19
	brk	#0
	.cfi_endproc
	.size	uf_arch_start, . - uf_arch_start

#include "bti_note.inc"

	.section .note.GNU-stack, "", %progbits

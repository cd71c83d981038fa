/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * uf_arch_unwind(sp, call, arg): call @call with @arg so that an unwinder in it
 * takes the context that is suspended at @sp for its caller's caller: what is told
 * of this function's frame is that one (struct uf_arch_frame).
 */
	.text

	.globl	uf_arch_unwind
	.hidden	uf_arch_unwind
	.type	uf_arch_unwind, %function
	.balign	16
uf_arch_unwind:
	.cfi_startproc
	hint	#34				/* bti c */
	stp	x19, x30, [sp, #-16]!
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x30, 8
	mov	x19, x0
	mov	x0, x2
	.cfi_remember_state
	.cfi_def_cfa x19, 160
	.cfi_offset x19, -160
	.cfi_offset x20, -152
	.cfi_offset x21, -144
	.cfi_offset x22, -136
	.cfi_offset x23, -128
	.cfi_offset x24, -120
	.cfi_offset x25, -112
	.cfi_offset x26, -104
	.cfi_offset x27, -96
	.cfi_offset x28, -88
	.cfi_offset x29, -80
	.cfi_offset x30, -72
	blr	x1
	.cfi_restore_state
	ldp	x19, x30, [sp], #16
	.cfi_adjust_cfa_offset -16
	.cfi_restore x19
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	uf_arch_unwind, . - uf_arch_unwind

#include "bti_note.inc"

	.section .note.GNU-stack, "", %progbits

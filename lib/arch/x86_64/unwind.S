/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * uf_arch_unwind(sp, call, arg): call @call with @arg so that an unwinder in it
 * takes the context that is suspended at @sp for its caller's caller: what is told
 * of this function's frame is that one (struct uf_arch_frame).
 */
#include <cet.h>
#include "frame.inc"

	.text

	.globl	uf_arch_unwind
	.hidden	uf_arch_unwind
	.type	uf_arch_unwind, @function
	.balign	16
uf_arch_unwind:
	.cfi_startproc
	_CET_ENDBR
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	movq	%rdi, %rbx
	movq	%rdx, %rdi
	movq	(%rbx), %rax
	cmpq	56(%rbx), %rax
	je	2f
	.cfi_remember_state
	.cfi_def_cfa %rbx, 64
	frame_below_cfa
	call	*%rsi
	.cfi_restore_state
	.cfi_remember_state
1:
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret

	/* Left by the inline switch, where the red zone is still to be undone. */
2:
	.cfi_restore_state
	.cfi_remember_state
	.cfi_def_cfa %rbx, 192
	.cfi_offset %rip, -136
	.cfi_offset %rbp, -144
	.cfi_offset %rbx, -152
	call	*%rsi
	.cfi_restore_state
	jmp	1b
	.cfi_endproc
	.size	uf_arch_unwind, . - uf_arch_unwind

	.section .note.GNU-stack, "", @progbits

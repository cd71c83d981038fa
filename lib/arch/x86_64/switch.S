/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The context switch for x86-64, System V calling convention. See switch.h for
 * what it does and for the layout of the frame.
 *
 * It ends in a jump and not in a return: the return stack predicts the caller
 * of *this* call, which is right only when both sides switch from one place;
 * an indirect jump is predicted by history.
 *
 * A shadow stack would not follow, so the file is assembled with
 * -fcf-protection=branch (<cet.h> then notes IBT only), which keeps the shadow
 * stack off in programs that link it.
 */
#include <cet.h>
#include "frame.inc"

	.text

	.globl	uf_arch_switch
	.hidden	uf_arch_switch
	.type	uf_arch_switch, @function
	.balign	64
uf_arch_switch:
	.cfi_startproc
	_CET_ENDBR
	leaq	-56(%rsp), %rsp
	.cfi_adjust_cfa_offset 56
	leaq	uf_arch_resume(%rip), %rax
	movq	56(%rsi), %rcx
	movq	%rbp, 48(%rsp)
	.cfi_rel_offset %rbp, 48
	movq	%rbx, 40(%rsp)
	.cfi_rel_offset %rbx, 40
	movq	%r12, 32(%rsp)
	.cfi_rel_offset %r12, 32
	movq	%r13, 24(%rsp)
	.cfi_rel_offset %r13, 24
	movq	%r14, 16(%rsp)
	.cfi_rel_offset %r14, 16
	movq	%r15, 8(%rsp)
	.cfi_rel_offset %r15, 8
	movq	%rax, (%rsp)
	movq	%rsp, (%rdi)

	/* To an unwinder it is still the old context until rsp changes. */
	movq	%rdx, %rax
	movq	8(%rsi), %r15
	movq	16(%rsi), %r14
	movq	24(%rsi), %r13
	movq	32(%rsi), %r12
	movq	40(%rsi), %rbx
	movq	48(%rsi), %rbp
	leaq	64(%rsi), %rsp
	.cfi_def_cfa %rsp, 0
	.cfi_restore %r15
	.cfi_restore %r14
	.cfi_restore %r13
	.cfi_restore %r12
	.cfi_restore %rbx
	.cfi_restore %rbp
	.cfi_register %rip, %rcx
	jmp	*%rcx
	.cfi_endproc
	.size	uf_arch_switch, . - uf_arch_switch

	/*
	 * Here arrives who is resumed by the inline switch: the rest of the
	 * registers is in the frame, which is below the stack pointer, but
	 * within the 128 bytes that signal handlers leave alone.
	 */
	.globl	uf_arch_resume
	.hidden	uf_arch_resume
	.type	uf_arch_resume, @function
	.balign	16
uf_arch_resume:
	.cfi_startproc
	.cfi_def_cfa %rsp, 0
	frame_below_cfa
	_CET_ENDBR
	movq	-8(%rsp), %rcx
	movq	-16(%rsp), %rbp
	movq	-24(%rsp), %rbx
	movq	-32(%rsp), %r12
	movq	-40(%rsp), %r13
	movq	-48(%rsp), %r14
	movq	-56(%rsp), %r15
	jmp	*%rcx
	.cfi_endproc
	.size	uf_arch_resume, . - uf_arch_resume

	/*
	 * The first switch to a context arrives here: rax is what was passed,
	 * r12 the entry, r13 its argument. The stack ends here: an undefined
	 * return address tells every unwinder so. As they look for a caller one
	 * byte before where it goes on, there is such a byte.
	 *
	 * The entry is not called but jumped to, as it will not return: so the
	 * processor's return stack is as deep when the context has ended as it
	 * was before, and who goes on then has its returns predicted right.
	 */
	.globl	uf_arch_start
	.hidden	uf_arch_start
	.type	uf_arch_start, @function
	.balign	16
uf_arch_start:
	.cfi_startproc
	.cfi_undefined %rip
	nop
	_CET_ENDBR
	movq	%rax, %rdi
	movq	%r13, %rsi
	xorl	%ebp, %ebp
	leaq	1f(%rip), %rax
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	jmp	*%r12
1:
	ud2
	.cfi_endproc
	.size	uf_arch_start, . - uf_arch_start

	.section .note.GNU-stack, "", @progbits

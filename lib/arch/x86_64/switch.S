/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The context switch for x86-64, System V calling convention. See switch.h for
 * what it does and for the layout of the frame.
 *
 * It ends in a jump and not in a return: the return stack predicts the caller
 * of *this* call, which is right only when both sides switch from one place;
 * an indirect jump is predicted by history.
 *
 * MXCSR is stored and loaded every time. Loading it only if it differs looks
 * cheaper, but then the word that stmxcsr has just stored must be read back, and
 * the next stmxcsr waits until it has been: on Zen 6.6 ns a switch. The x87
 * control word can be compared without such a wait, which spares the fldcw: 4.4
 * instead of 4.9 ns. (boost.context, which loads both always: 4.9.)
 *
 * A shadow stack would not follow, so the file is assembled with
 * -fcf-protection=branch (<cet.h> then notes IBT only), which keeps the shadow
 * stack off in programs that link it.
 */
#include <cet.h>

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
	fnstcw	4(%rsp)
	movq	%r15, 8(%rsp)
	.cfi_rel_offset %r15, 8
	movq	%r14, 16(%rsp)
	.cfi_rel_offset %r14, 16
	movq	%r13, 24(%rsp)
	.cfi_rel_offset %r13, 24
	movq	%r12, 32(%rsp)
	.cfi_rel_offset %r12, 32
	movq	%rbx, 40(%rsp)
	.cfi_rel_offset %rbx, 40
	movq	%rbp, 48(%rsp)
	.cfi_rel_offset %rbp, 48
	movq	%rsp, (%rdi)
	movzwl	4(%rsp), %eax
	cmpw	%ax, 4(%rsi)
	jne	.Lload_x87
.Lx87_done:
	stmxcsr	(%rsp)

	/* The frames are alike, so the CFI holds on the new stack as well. */
	movq	%rsi, %rsp
	ldmxcsr	(%rsp)
	movq	%rdx, %rax
	movq	56(%rsp), %rcx
	movq	8(%rsp), %r15
	movq	16(%rsp), %r14
	movq	24(%rsp), %r13
	movq	32(%rsp), %r12
	movq	40(%rsp), %rbx
	movq	48(%rsp), %rbp
	leaq	64(%rsp), %rsp
	.cfi_def_cfa %rsp, 0
	.cfi_restore %r15
	.cfi_restore %r14
	.cfi_restore %r13
	.cfi_restore %r12
	.cfi_restore %rbx
	.cfi_restore %rbp
	.cfi_register %rip, %rcx
	jmp	*%rcx

	/* Out of line; the CFI state is that of before the loads. */
	.cfi_def_cfa %rsp, 64
	.cfi_offset %rip, -8
	.cfi_offset %rbp, -16
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
.Lload_x87:
	fldcw	4(%rsi)
	jmp	.Lx87_done
	.cfi_endproc
	.size	uf_arch_switch, . - uf_arch_switch

	/*
	 * The first switch to a context arrives here: rax is what was passed,
	 * r12 the entry, r13 its argument. The stack ends here: an undefined
	 * return address tells every unwinder so.
	 */
	.globl	uf_arch_start
	.hidden	uf_arch_start
	.type	uf_arch_start, @function
	.balign	16
uf_arch_start:
	.cfi_startproc
	.cfi_undefined %rip
	_CET_ENDBR
	movq	%rax, %rdi
	movq	%r13, %rsi
	xorl	%ebp, %ebp
	call	*%r12
	ud2
	.cfi_endproc
	.size	uf_arch_start, . - uf_arch_start

	.section .note.GNU-stack, "", @progbits

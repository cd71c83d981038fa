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

/* The control bits of MXCSR; below them are the sticky exception flags. */
#define MXCSR_CONTROL	0xffc0

	.text

	.globl	uf_arch_switch
	.hidden	uf_arch_switch
	.type	uf_arch_switch, @function
	.balign	64
uf_arch_switch:
	.cfi_startproc
	_CET_ENDBR
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)

	/* Loading is dear, and one that changes nothing is the rule. */
	movl	(%rsp), %eax
	xorl	(%rsi), %eax
	testl	$MXCSR_CONTROL, %eax
	jnz	.Lload_mxcsr
.Lmxcsr_done:
	movzwl	4(%rsp), %eax
	cmpw	%ax, 4(%rsi)
	jne	.Lload_x87
.Lx87_done:

	/* The frames are alike, so the CFI holds on the new stack as well. */
	movq	%rsi, %rsp
	movq	%rdx, %rax
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	jmp	*%rcx

	/* Out of line; the CFI state is the one before the pops. */
	.cfi_def_cfa %rsp, 64
	.cfi_offset %rip, -8
	.cfi_offset %rbp, -16
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
.Lload_mxcsr:
	ldmxcsr	(%rsi)
	jmp	.Lmxcsr_done
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

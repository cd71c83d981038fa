/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* For the assembly: the registers in a struct uf_arch_frame that ends at the CFA. */
	.macro frame_below_cfa
	.cfi_offset %rip, -8
	.cfi_offset %rbp, -16
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
	.endm

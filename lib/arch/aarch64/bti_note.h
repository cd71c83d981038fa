/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
	/* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI. */
	.section .note.gnu.property, "a"
	.balign	8
	.long	4
	.long	16
	.long	5
	.asciz	"GNU"
	.long	0xc0000000
	.long	4
	.long	1
	.long	0

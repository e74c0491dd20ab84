/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pieces of guest code are made of: the section that they stand in, a piece's name and its end,
 * and entries of all 256 vectors, which push what the CPU did not and three registers.
 */
#ifndef BAWN_TEST_GUEST_OPS_H
#define BAWN_TEST_GUEST_OPS_H

#include "layout.h"

	.section .note.GNU-stack, "", @progbits
	.section guest, "ax"
	.code64

	.macro	op name
	.globl	code_\name
code_\name:
	.endm

	.macro	done
	out	%al, $PORT_DONE
	ud2
	.endm

	/* What follows finds RDX, RCX, RAX, the vector (RAX has it), an error code, the CPU's frame. */
	.macro	vectors name
	.balign	16
	op	\name
	.set	vector, 0
	.rept	256
	.balign	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	pushq	$0
	.endif
	pushq	$vector
	jmp	common
	.set	vector, vector + 1
	.endr

common:
	push	%rax
	push	%rcx
	push	%rdx
	mov	24(%rsp), %rax
	.endm

	.macro	vectors_end
eoi_x2apic:
	mov	$0x80b, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
return:
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq
	.endm

#endif

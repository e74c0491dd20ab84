/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instruction between two images of the whole state: everything that a 64-bit guest can see
 * of itself is loaded, the instruction runs, and everything is stored. No register is free for
 * the code itself: its operands are at fixed addresses.
 */
#include "layout.h"

	.section guest, "ax"
	.code64

	.macro	op name
	.globl	code_\name
code_\name:
	.endm

	.macro	each what, base
	.set	at, \base
	.irp	r, rax,rbx,rcx,rdx,rsi,rdi,rbp,r8,r9,r10,r11,r12,r13,r14,r15
	\what	\r
	.set	at, at + 8
	.endr
	.endm
	.macro	take r
	mov	at, %\r
	.endm
	.macro	keep r
	mov	%\r, at
	.endm

	op	whole
	fxrstor	WHOLE_BEFORE + WHOLE_FXSAVE
	mov	$WHOLE_BEFORE, %ebp
	mov	WHOLE_DR + 0(%rbp), %rax
	mov	%rax, %dr0
	mov	WHOLE_DR + 8(%rbp), %rax
	mov	%rax, %dr1
	mov	WHOLE_DR + 16(%rbp), %rax
	mov	%rax, %dr2
	mov	WHOLE_DR + 24(%rbp), %rax
	mov	%rax, %dr3
	mov	WHOLE_DR + 32(%rbp), %rax
	mov	%rax, %dr6
	mov	WHOLE_DR + 40(%rbp), %rax
	mov	%rax, %dr7
	pushq	WHOLE_FLAGS(%rbp)
	popfq
	each	take, WHOLE_BEFORE
	jmp	code_whole_slot
	.balign	32
	op	whole_slot
	.fill	64, 1, 0x90
	op	whole_after
	each	keep, WHOLE_AFTER
	pushfq
	popq	WHOLE_AFTER + WHOLE_FLAGS
	mov	%rsp, WHOLE_AFTER + WHOLE_RSP
	mov	%cs, WHOLE_AFTER + WHOLE_SEGMENTS + 0
	mov	%ds, WHOLE_AFTER + WHOLE_SEGMENTS + 2
	mov	%es, WHOLE_AFTER + WHOLE_SEGMENTS + 4
	mov	%fs, WHOLE_AFTER + WHOLE_SEGMENTS + 6
	mov	%gs, WHOLE_AFTER + WHOLE_SEGMENTS + 8
	mov	%ss, WHOLE_AFTER + WHOLE_SEGMENTS + 10
	fxsave	WHOLE_AFTER + WHOLE_FXSAVE
	mov	$WHOLE_AFTER, %ebp
	mov	%dr0, %rax
	mov	%rax, WHOLE_DR + 0(%rbp)
	mov	%dr1, %rax
	mov	%rax, WHOLE_DR + 8(%rbp)
	mov	%dr2, %rax
	mov	%rax, WHOLE_DR + 16(%rbp)
	mov	%dr3, %rax
	mov	%rax, WHOLE_DR + 24(%rbp)
	mov	%dr6, %rax
	mov	%rax, WHOLE_DR + 32(%rbp)
	mov	%dr7, %rax
	mov	%rax, WHOLE_DR + 40(%rbp)
	mov	%cr0, %rax
	mov	%rax, WHOLE_CR + 0(%rbp)
	mov	%cr2, %rax
	mov	%rax, WHOLE_CR + 8(%rbp)
	mov	%cr3, %rax
	mov	%rax, WHOLE_CR + 16(%rbp)
	mov	%cr4, %rax
	mov	%rax, WHOLE_CR + 24(%rbp)
	sgdt	WHOLE_TABLES + 0(%rbp)
	sidt	WHOLE_TABLES + 16(%rbp)
	str	WHOLE_TABLES + 32(%rbp)
	sldt	WHOLE_TABLES + 34(%rbp)
	xor	%ebx, %ebx
1:	mov	WHOLE_MSR_LIST(,%rbx,4), %ecx
	rdmsr
	mov	%eax, WHOLE_MSR + 0(%rbp,%rbx,8)
	mov	%edx, WHOLE_MSR + 4(%rbp,%rbx,8)
	inc	%ebx
	cmp	$WHOLE_MSRS, %ebx
	jb	1b
	out	%al, $PORT_DONE
	ud2
	.section .note.GNU-stack, "", @progbits

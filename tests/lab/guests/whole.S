/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instruction between two images of the whole state: everything that a 64-bit guest can see
 * of itself is loaded, the instruction runs, and everything is stored. No register is free for
 * the code itself: its operands are at fixed addresses.
 */
#include "ops.h"

#define WHOLE_DR_AT(i) WHOLE_DR + 8 * (i - 2 * (i >> 2)) /* there is no DR4 and no DR5 */
#define WHOLE_CR_AT(i) WHOLE_CR + 8 * (i - !!i) /* ... and no CR1 */

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
	.irp	i, 0,1,2,3,6,7
	mov	WHOLE_DR_AT(\i)(%rbp), %rax
	mov	%rax, %dr\i
	.endr
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
	.irp	i, 0,1,2,3,6,7
	mov	%dr\i, %rax
	mov	%rax, WHOLE_DR_AT(\i)(%rbp)
	.endr
	.irp	i, 0,2,3,4
	mov	%cr\i, %rax
	mov	%rax, WHOLE_CR_AT(\i)(%rbp)
	.endr
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
	done

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops that never leave the module's inner loop by themselves, each of one kind of exit. rsi: a
 * report; rdi: the slot under test.
 */
#include "ops.h"

	/* What it answered, what the slot has, and how often: there, and in the slot behind that. */
	.macro	report answer
	mov	\answer, LOOP_ANSWER(%rsi)
	mov	(%rdi), %eax
	mov	%eax, LOOP_SEEN(%rsi)
	incl	LOOP_ROUNDS(%rsi)
	mov	LOOP_ROUNDS(%rsi), %eax
	mov	%eax, 4(%rdi)
	.endm

	op	loop_cpuid
1:	mov	$1, %eax
	xor	%ecx, %ecx
	cpuid
	report	%ecx
	jmp	1b

	op	loop_vmmcall
1:	mov	$99, %eax /* there is no such hypercall */
	xor	%ebx, %ebx
	vmmcall
	report	%eax
	jmp	1b

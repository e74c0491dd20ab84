/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SNP guest that does what its mailbox says, one step at a time, so that a test program can
 * write what a hostile or an attacked guest does as a table. When it is ready for the next step
 * it asks, through the GHCB MSR, for a page state change of AGENT_READY, which is no memory. An
 * exception in a step ends that step; the mailbox has its frame (snp.S).
 */
#include "snp_macros.h"

	op	snp_agent
	lea	agent_next(%rip), %rax
	mov	%rax, SNP_FIXUP(%r15)
agent_next:
	mov	$MSR_GHCB, %ecx
	mov	$(AGENT_READY_MSR & 0xffffffff), %eax
	mov	$(AGENT_READY_MSR >> 32), %edx
	wrmsr
	vmgexit
	mov	AGENT_ARG(%r15), %rdi
	mov	AGENT_ARG + 8(%r15), %rsi
	mov	AGENT_ARG + 16(%r15), %rdx
	mov	AGENT_STEP(%r15), %eax
	lea	steps(%rip), %rbx
	movslq	(%rbx, %rax, 4), %rax
	add	%rbx, %rax
	call	*%rax
	jmp	agent_next

	.balign	4
steps:	/* in the order of AGENT_LOAD and so on */
	.long	step_load - steps
	.long	step_store - steps
	.long	step_secret - steps
	.long	step_copy - steps
	.long	step_pvalidate - steps
	.long	step_rmpadjust - steps
	.long	step_vmgexit - steps
	.long	step_registers - steps
	.long	step_call - steps
	.long	step_cpuid - steps

step_load: /* result: what is at rdi */
	mov	(%rdi), %rax
	mov	%rax, AGENT_RESULT(%r15)
	ret

step_store: /* rsi to rdi */
	mov	%rsi, (%rdi)
	ret

step_secret: /* fills the page at rdi with rsi ^ rdx, which is nowhere else */
	xor	%rdx, %rsi
	mov	%rsi, %rax
	mov	$512, %ecx
	rep stosq
	xor	%esi, %esi
	xor	%eax, %eax
	ret

step_copy: /* the page at rsi to rdi */
	mov	$512, %ecx
	rep movsq
	ret

step_pvalidate: /* rdi, esi, edx into rax, ecx, edx; results: EAX, CF */
	mov	%rdi, %rax
	mov	%esi, %ecx
	.byte	0xf2, 0x0f, 0x01, 0xff
	setc	AGENT_RESULT + 8(%r15)
	mov	%eax, AGENT_RESULT(%r15)
	ret

step_rmpadjust: /* rdi, rsi, rdx into rax, rcx, rdx; result: EAX */
	mov	%rdi, %rax
	mov	%rsi, %rcx
	.byte	0xf3, 0x0f, 0x01, 0xfe
	mov	%eax, AGENT_RESULT(%r15)
	ret

step_vmgexit: /* with rdi in the GHCB MSR; result: the MSR after it */
	mov	%edi, %eax
	mov	%rdi, %rdx
	shr	$32, %rdx
	mov	$MSR_GHCB, %ecx
	wrmsr
	vmgexit
	rdmsr
	mov	%eax, AGENT_RESULT(%r15)
	mov	%edx, AGENT_RESULT + 4(%r15)
	ret

step_registers: /* rdi ^ rsi in registers that nothing here uses */
	xor	%rdi, %rsi
	mov	%rsi, %r8
	mov	%rsi, %r9
	mov	%rsi, %r10
	mov	%rsi, %r11
	mov	%rsi, %r12
	mov	%rsi, %r13
	mov	%rsi, %r14
	mov	%rsi, %rbp
	mov	%rsi, %dr0
	mov	%rsi, %cr2
	xor	%esi, %esi
	ret

step_call: /* the code at rdi */
	jmp	*%rdi

step_cpuid: /* leaf edi, by #VC; result: EBX */
	mov	%edi, %eax
	cpuid
	mov	%rbx, AGENT_RESULT(%r15)
	ret

	/* Writes its two values in turn to its address, without end: struct snp_flip at rdi. An
	 * emulator interrupts at jumps alone: they are so that either value may stand then. */
	op	snp_flip
	mov	(%rdi), %rbx
	mov	8(%rdi), %rax
	mov	%rax, (%rbx)
	jmp	1f
1:	mov	16(%rdi), %rax
	mov	%rax, (%rbx)
	incq	24(%rdi)
	jmp	code_snp_flip

	op	snp_token /* rsi to rdi, then it waits for ever */
	mov	%rsi, (%rdi)
1:	hlt
	jmp	1b

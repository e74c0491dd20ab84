/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP guests that work: one that keeps its host busy until it is killed (snp_kill), and loops
 * whose cost is measured (snp_cost), beside plain guests' loops of the same kind. See snp.S.
 */
#include "snp_macros.h"

	/* rdi: the GHCB. Messages' pages are behind it, and at SNP_PAGES one that is validated,
	 * given to the host and taken back. */
	op	snp_busy
	fixup	snp_done
	ghcb_page
	lea	SNP_PAGES(%rbp), %rbx
1:	mov	%rbx, %rax
	xor	%ecx, %ecx
	mov	$1, %edx
	pvalidate
	mov	%rbp, (%rbx)
	mov	%rbx, %rax
	xor	%ecx, %ecx
	xor	%edx, %edx
	pvalidate
	psc_msr	%ebx, $2
	ghcb_page_again
	psc_list 1, $1
	lea	SNP_MESSAGES(%rbp), %rcx
	guest_request %rcx /* which the firmware refuses */
	port_write
	jmp	1b

	/* The key of messages, from the secrets page at rdi; then goes on at rsi with rdi = rdx. */
	op	snp_key
	fixup	snp_done
	.irp	n, 0, 8, 16, 24
	mov	0x20 + \n(%rdi), %rax
	mov	%rax, SNP_RESULT + \n(%r15)
	.endr
	mov	%rdx, %rdi
	mov	%rsi, %rbx
	ghcb_page
	port_write /* the host writes the messages */
	mov	%rbp, %rdi
	mov	SNP_RESULT(%r15), %rsi
	jmp	*%rbx

	/* Ticks of the time-stamp counter that rsi times a macro take, the least of some rounds: the
	 * host has other work at times. In eax, and in r9. */
	.macro	least name, rounds
	mov	$\rounds, %r11d
	mov	$-1, %r9d
2:	mov	%rsi, %r13
	rdtsc
	mov	%eax, %r12d
1:	do_\name
	dec	%r13
	jnz	1b
	rdtsc
	sub	%r12d, %eax
	cmp	%r9d, %eax
	cmovb	%eax, %r9d
	dec	%r11d
	jnz	2b
	mov	%r9d, %eax
	.endm
	.macro	cost name, rounds=5 /* rdi: the GHCB */
	op	snp_cost_\name
	fixup	snp_done
	ghcb_page
	lea	SNP_PAGES(%rbp), %rbx
	least	\name, \rounds
	mov	%rax, SNP_RESULT(%r15)
	jmp	snp_done
	.endm
	.macro	plain name
	op	plain_cost_\name
	least	\name, 5
	out	%al, $PORT_DONE
	.endm

	.macro	do_nothing
	.endm
	.macro	do_efer
	mov	$0xc0000080, %ecx
	rdmsr
	.endm
	.macro	do_vmgexit /* SEV information */
	ghcb	0x002
	.endm
	.macro	do_features /* the page's shortest way */
	ghcb_ask 0x8000fffd
	.endm
	.macro	do_pvalidate /* off and on */
	mov	%rbx, %rax
	xor	%ecx, %ecx
	mov	%r13d, %edx
	pvalidate
	.endm
	.macro	do_cpuid
	mov	$0x8000001f, %eax
	xor	%ecx, %ecx
	cpuid
	.endm
	.macro	do_ghcb_cpuid
	mov	$0x8000001f, %eax
	mov	%rax, GHCB_RAX(%r14)
	movq	$0, GHCB_RCX(%r14)
	ghcb_ask 0x72
	.endm
	.macro	do_msr
	mov	$0x1b, %ecx
	rdmsr
	.endm
	.macro	do_ghcb_msr
	movq	$0x1b, GHCB_RCX(%r14)
	movq	$0, GHCB_INFO1(%r14)
	movq	$0, GHCB_INFO2(%r14)
	ghcb_ask 0x7c
	.endm
	.macro	do_io
	out	%al, $PORT_STEP
	.endm
	.macro	do_ghcb_io
	port_write
	.endm
	.macro	do_vmmcall
	mov	$100, %eax /* no hypercall's number */
	vmmcall
	.endm
	.macro	psc_op /* edi: private, then shared, by turns */
	mov	%r13d, %edi
	and	$1, %edi
	inc	%edi
	.endm
	.macro	do_psc_msr
	psc_op
	psc_msr	%ebx, %edi
	.endm
	.macro	do_psc_list
	psc_op
	psc_list SNP_LIST, %edi
	.endm
	.macro	do_request /* the last message first */
	mov	%r13d, %ecx
	shl	$12, %ecx
	lea	SNP_MESSAGES - 0x1000(%rbp, %rcx), %rcx
	guest_request %rcx
	.endm

	cost	nothing
	cost	efer
	cost	vmgexit
	cost	features
	cost	pvalidate
	cost	cpuid
	cost	ghcb_cpuid
	cost	ghcb_msr
	cost	ghcb_io
	cost	psc_msr
	cost	psc_list
	cost	request, 1
	plain	nothing
	plain	efer
	plain	cpuid
	plain	msr
	plain	io
	plain	vmmcall

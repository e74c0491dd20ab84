/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pieces of SNP guests are made of: instructions that the assembler has no name for, and
 * the GHCB's two protocols. For assembly alone. r15 is the mailbox.
 */
#ifndef BAWN_TEST_GUEST_SNP_MACROS_H
#define BAWN_TEST_GUEST_SNP_MACROS_H

#include "ops.h"

	.macro	vmgexit
	rep; vmmcall
	.endm
	.macro	pvalidate
	.byte	0xf2, 0x0f, 0x01, 0xff
	.endm
	.macro	rmpadjust
	.byte	0xf3, 0x0f, 0x01, 0xfe
	.endm
	/* Where the next exception goes. */
	.macro	fixup label
	lea	\label(%rip), %rax
	mov	%rax, SNP_FIXUP(%r15)
	.endm
	.macro	ghcb value
	mov	$MSR_GHCB, %ecx
	mov	$\value, %eax
	xor	%edx, %edx
	wrmsr
	vmgexit
	.endm

	/* ---- The GHCB's page: rbp is its address, r14 where it is seen ---- */

	/* Field offsets (AMD 56421, table 3), and the valid bits of all fields below. */
#define GHCB_RAX 0x1f8
#define GHCB_RCX 0x308
#define GHCB_RDX 0x310
#define GHCB_RBX 0x318
#define GHCB_CODE 0x390
#define GHCB_INFO1 0x398
#define GHCB_INFO2 0x3a0
#define GHCB_SCRATCH 0x3a8
#define GHCB_VALID 0x3f0
#define GHCB_VALID_LOW 0x8000000000000000
#define GHCB_VALID_HIGH 0x003c000e00000000
#define GHCB_BUFFER 0x800
#define GHCB_VERSION 0xffa

	/* The page at rdi: registered, and in the MSR. */
	.macro	ghcb_page
	mov	%rdi, %rbp
	mov	$SNP_SHARED, %r14d
	add	%rdi, %r14
	mov	$MSR_GHCB, %ecx
	lea	0x012(%rbp), %eax
	xor	%edx, %edx
	wrmsr
	vmgexit
	ghcb_page_again
	.endm
	.macro	ghcb_page_again /* after the MSR protocol */
	mov	$MSR_GHCB, %ecx
	mov	%ebp, %eax
	xor	%edx, %edx
	wrmsr
	.endm
	/* The fields' content is as it stands. Uses rax. */
	.macro	ghcb_ask code
	movabs	$GHCB_VALID_LOW, %rax
	mov	%rax, GHCB_VALID(%r14)
	movabs	$GHCB_VALID_HIGH, %rax
	mov	%rax, GHCB_VALID + 8(%r14)
	movw	$2, GHCB_VERSION(%r14)
	mov	$\code, %eax
	mov	%rax, GHCB_CODE(%r14)
	vmgexit
	.endm

	/* Page state changes, \op 1: private, 2: shared. By the MSR: the page at \page. */
	.macro	psc_msr page, op
	mov	$MSR_GHCB, %ecx
	mov	\page, %eax
	or	$0x014, %eax
	mov	\op, %edx
	shl	$20, %edx
	wrmsr
	vmgexit
	.endm
	/* By the page: \count pages from rbx on. Uses rax, rdx, r8. */
	.macro	psc_list count, op
	lea	GHCB_BUFFER(%r14), %r8
	movabs	$(\count - 1) << 16, %rax
	mov	%rax, (%r8)
	lea	GHCB_BUFFER(%rbp), %rax
	mov	%rax, GHCB_SCRATCH(%r14)
	mov	\op, %eax
	shl	$52, %rax
	or	%rbx, %rax
	mov	$\count, %edx
101:	add	$8, %r8
	mov	%rax, (%r8)
	add	$0x1000, %rax
	dec	%edx
	jnz	101b
	ghcb_ask 0x80000010
	.endm

	/* The message in the page at \page; the answer comes behind the GHCB. */
	.macro	guest_request page
	mov	\page, GHCB_INFO1(%r14)
	lea	SNP_ANSWER(%rbp), %rax
	mov	%rax, GHCB_INFO2(%r14)
	ghcb_ask 0x80000011
	.endm
	.macro	port_write /* one byte */
	movq	$(PORT_STEP << 16 | 0x210), GHCB_INFO1(%r14)
	movq	$0, GHCB_INFO2(%r14)
	ghcb_ask 0x7b
	.endm

#endif

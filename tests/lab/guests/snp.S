/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces of SNP guests. Addresses below 1 GiB are private (C=1), the same plus SNP_SHARED are
 * shared (C=0). r15 is the mailbox, in shared memory. Each piece ends by asking its host, through
 * the GHCB MSR, to end the guest. An exception notes itself and goes to the piece's fixup.
 */
#include "snp_macros.h"

	/* GHCB termination request, reason set 1, reason SNP_END. */
	.globl	snp_done
snp_done:
	ghcb	(0x100 | 1 << 12 | SNP_END << 16)
1:	hlt
	jmp	1b

/* ---- Exceptions: vector in SNP_VECTOR, error code, RIP, CS, RSP at entry ---- */

	.macro	exception vector, error
	.globl	code_snp_exception_\vector
code_snp_exception_\vector:
	.if	!\error
	push	$0
	.endif
	push	%rax
	mov	8(%rsp), %rax
	mov	%rax, SNP_ERROR(%r15)
	mov	16(%rsp), %rax
	mov	%rax, SNP_RIP(%r15)
	mov	24(%rsp), %rax
	mov	%rax, SNP_CS(%r15)
	lea	8(%rsp), %rax
	mov	%rax, SNP_RSP(%r15)
	mov	32(%rsp), %rax
	mov	%rax, SNP_RFLAGS(%r15)
	movl	$\vector, SNP_VECTOR(%r15)
	incl	SNP_COUNT(%r15)
	.if	\vector == 29
	cmpq	$0x72, SNP_ERROR(%r15)
	je	snp_vc_cpuid
	.endif
	/* Leaves this frame: the fixup goes on at CPL 0 with a stack of its own. */
	mov	$GUEST_STACK + 0x1000, %esp
	jmp	*SNP_FIXUP(%r15)
	.endm

	exception 6, 0
	exception 8, 1
	exception 13, 1
	exception 14, 1
	exception 29, 1

	/* CPUID by the GHCB MSR: EBX alone (register 1). */
snp_vc_cpuid:
	push	%rcx
	push	%rdx
	mov	16(%rsp), %edx /* the leaf */
	mov	$(1 << 30 | 0x004), %eax
	mov	$MSR_GHCB, %ecx
	wrmsr
	vmgexit
	rdmsr
	mov	%eax, SNP_GHCB(%r15)
	mov	%edx, %ebx
	pop	%rdx
	pop	%rcx
	pop	%rax
	addq	$2, 8(%rsp)
	add	$8, %rsp
	iretq

/* ---- The pieces ---- */

	op	snp_cpuid /* edi: leaf; result: EBX */
	fixup	snp_done
	mov	%edi, %eax
	cpuid
	mov	%rbx, SNP_RESULT(%r15)
	jmp	snp_done

	op	snp_pvalidate /* rdi, esi, edx into rax, ecx, edx; results: EAX, CF, ZF */
	fixup	snp_done
	mov	%rdi, %rax
	mov	%esi, %ecx
	pvalidate
	setc	SNP_RESULT + 8(%r15)
	setz	SNP_RESULT + 16(%r15)
	mov	%rax, SNP_RESULT(%r15)
	jmp	snp_done

	/* Page rdi: validate, again, write and read, rescind, again, read. Five results, and #VC. */
	op	snp_validate_page
	fixup	snp_done
	mov	%rdi, %rbx
	lea	SNP_RESULT(%r15), %r14
	mov	$1, %ebp
	call	validate_once
	call	validate_once
	movq	$0x1234, (%rbx)
	mov	(%rbx), %rax
	mov	%rax, (%r14)
	add	$8, %r14
	xor	%ebp, %ebp
	call	validate_once
	call	validate_once
	mov	(%rbx), %rax
	movq	$0xbad, (%r14) /* not reached */
	jmp	snp_done
validate_once:	/* result: EAX, with CF in bit 32 */
	mov	%rbx, %rax
	xor	%ecx, %ecx
	mov	%ebp, %edx
	pvalidate
	setc	%cl
	mov	%eax, %eax
	movzbl	%cl, %ecx
	shl	$32, %rcx
	or	%rcx, %rax
	mov	%rax, (%r14)
	add	$8, %r14
	ret

	op	snp_rmpadjust /* rdi, rsi, rdx into rax, rcx, rdx; result: EAX */
	fixup	snp_done
	mov	%rdi, %rax
	mov	%rsi, %rcx
	rmpadjust
	mov	%rax, SNP_RESULT(%r15)
	jmp	snp_done

	op	snp_load /* result: what is at rdi, or an exception */
	fixup	snp_done
	mov	(%rdi), %rax
	mov	%rax, SNP_RESULT(%r15)
	jmp	snp_done

	op	snp_store /* rsi to rdi, and reads it back */
	fixup	snp_done
	mov	%rsi, (%rdi)
	mov	(%rdi), %rax
	mov	%rax, SNP_RESULT(%r15)
	jmp	snp_done

	op	snp_run /* code at rdi: it is a RET */
	fixup	snp_done
	call	*%rdi
	movq	$1, SNP_RESULT(%r15)
	jmp	snp_done

	op	snp_ret
	ret

	op	snp_status /* SEV_STATUS; then writing it is #GP */
	fixup	snp_done
	mov	$0xc0010131, %ecx
	rdmsr
	mov	%eax, SNP_RESULT(%r15)
	mov	%edx, SNP_RESULT + 4(%r15)
	wrmsr
	movl	$0xbad, SNP_RESULT + 8(%r15)
	jmp	snp_done

	op	snp_msr /* edi: an MSR that is not the guest's */
	fixup	snp_done
	mov	%edi, %ecx
	rdmsr
	jmp	snp_done

	op	snp_efer /* EFER's SVME does not show; result: EFER, and again after it was written */
	mov	$0xc0000080, %ecx
	rdmsr
	mov	%eax, SNP_RESULT(%r15)
	wrmsr
	rdmsr
	mov	%eax, SNP_RESULT + 8(%r15)
	jmp	snp_done

	op	snp_ud
	fixup	snp_done
	ud2

	op	snp_vmmcall
	fixup	snp_done
	vmmcall
	jmp	snp_done

	op	snp_wbinvd
	fixup	snp_done
	wbinvd
	jmp	snp_done

	op	snp_dr /* DR0 is the guest's own; DR7 is #VC */
	fixup	snp_done
	mov	$0x1234, %eax
	mov	%rax, %dr0
	mov	%dr0, %rax
	mov	%rax, SNP_RESULT(%r15)
	xor	%eax, %eax
	mov	%rax, %dr7
	jmp	snp_done

	op	snp_cr /* CR4 and CR0 are the guest's own */
	fixup	snp_done
	mov	%cr4, %rax
	or	$0x80, %rax /* PGE */
	mov	%rax, %cr4
	mov	%cr4, %rax
	mov	%rax, SNP_RESULT(%r15)
	mov	%cr0, %rax
	or	$0x10000, %rax /* WP */
	mov	%rax, %cr0
	mov	%cr0, %rax
	mov	%rax, SNP_RESULT + 8(%r15)
	jmp	snp_done

	op	snp_cr3 /* page tables by an address without C-bit; result: what is at rdi */
	fixup	snp_done
	mov	$GUEST_PML4, %eax
	mov	%rax, %cr3
	mov	(%rdi), %rax
	mov	%rax, SNP_RESULT(%r15)
	jmp	snp_done

	/* CPL 3: CPUID, whose #VC comes on another stack; #UD ends it. */
	op	snp_user
	fixup	snp_done
	push	$SNP_SEL_USER_DATA | 3
	push	$GUEST_STACK + 0x3000
	push	$2
	push	$SNP_SEL_USER | 3
	lea	user(%rip), %rax
	push	%rax
	iretq
user:	mov	$0x8000001f, %eax
	cpuid
	mov	%rbx, SNP_RESULT(%r15)
	mov	%cs, SNP_RESULT + 8(%r15)
	ud2

	op	snp_user_vmgexit
	fixup	snp_done_ghcb
	mov	$MSR_GHCB, %ecx
	mov	$0x002, %eax /* SEV information */
	xor	%edx, %edx
	wrmsr
	push	$SNP_SEL_USER_DATA | 3
	push	$GUEST_STACK + 0x3000
	push	$2
	push	$SNP_SEL_USER | 3
	lea	1f(%rip), %rax
	push	%rax
	iretq
1:	vmgexit
	ud2
snp_done_ghcb: /* what the last answer was */
	mov	$MSR_GHCB, %ecx
	rdmsr
	mov	%eax, SNP_GHCB(%r15)
	mov	%edx, SNP_GHCB + 4(%r15)
	jmp	snp_done

	op	snp_fpu /* the FPU as it was launched; GHCB: what the MSR is at first */
	mov	$MSR_GHCB, %ecx
	rdmsr
	mov	%eax, SNP_GHCB(%r15)
	mov	%edx, SNP_GHCB + 4(%r15)
	mov	%cr4, %rax
	or	$0x200, %rax /* OSFXSR */
	mov	%rax, %cr4
	fxsave64 SNP_FXSAVE(%r15)
	jmp	snp_done

	op	snp_reset_hold /* by the MSR; GHCB: the answer */
	movl	$1, SNP_RESULT(%r15)
	ghcb	0x006
	jmp	snp_done_ghcb

	op	snp_psc /* page rdi to shared, by the MSR; GHCB: the answer */
	mov	%rdi, %rdx
	shr	$32, %rdx
	or	$(2 << 20), %edx
	mov	%edi, %eax
	or	$0x014, %eax
	mov	$MSR_GHCB, %ecx
	wrmsr
	vmgexit
	jmp	snp_done_ghcb

	op	snp_hlt_irq /* HLT is an automatic exit; the host wakes it */
	movl	$1, SNP_RESULT(%r15)
	hlt
	movl	$2, SNP_RESULT(%r15)
	jmp	snp_done

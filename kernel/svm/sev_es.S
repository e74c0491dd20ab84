/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch to a guest whose registers are its own (SEV-ES, SEV-SNP). This code has never
 * run: it is written from the manual, for want of such a processor. AMD APM vol. 2, 15.35.8
 * (world switch) and table B-3 (swap types).
 *
 * VMRUN loads the guest's state, all general registers included, from its VMSA; #VMEXIT saves it
 * there and loads the host's from the host save area, where general registers must have been put
 * by hand. Called with GIF clear and interrupts disabled. Trusts its caller alone.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>

/* Linux 7.0 has the instruction and the feature, but no name for the two together. */
#ifndef VM_CLEAR_CPU_BUFFERS
#define VM_CLEAR_CPU_BUFFERS \
	ALTERNATIVE "", __CLEAR_CPU_BUFFERS, X86_FEATURE_CLEAR_CPU_BUF_VM
#endif

/* General registers in the state save area. Table B-4. */
#define SA_RBX 0x318
#define SA_RBP 0x328
#define SA_R12 0x360
#define SA_R13 0x368
#define SA_R14 0x370
#define SA_R15 0x378

.section .noinstr.text, "ax"

/*
 * void bawn_svm_es_enter(u64 vmcb_pa, void *host_save, u64 guest_spec, u64 host_spec)
 *
 * host_save: the state save area in this CPU's host save area. SPEC_CTRL is switched when
 * guest_spec and host_spec differ (callers pass equal values where the hardware does it).
 */
SYM_FUNC_START(bawn_svm_es_enter)
	push %rbp
	push %rbx
	push %rdx		/* 8: guest_spec */
	push %rcx		/* 0: host_spec */

	/* RSP and RAX are VMRUN's to keep; what a caller may have clobbered is not kept at all. */
	mov %rbx, SA_RBX(%rsi)
	mov %rbp, SA_RBP(%rsi)
	mov %r12, SA_R12(%rsi)
	mov %r13, SA_R13(%rsi)
	mov %r14, SA_R14(%rsi)
	mov %r15, SA_R15(%rsi)

	cmp %rdx, %rcx
	je 1f
	mov %rdx, %rax
	shr $32, %rdx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
1:
	mov %rdi, %rax
	/* GIF is clear: IF only decides that host interrupts end the guest's run. */
	sti
	VM_CLEAR_CPU_BUFFERS
2:	vmrun %rax
	cli

	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT

	mov (%rsp), %rax
	cmp %rax, 8(%rsp)
	je 3f
	mov %rax, %rdx
	shr $32, %rdx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
3:
	UNTRAIN_RET_VM

	add $16, %rsp
	pop %rbx
	pop %rbp
	RET
SYM_FUNC_END(bawn_svm_es_enter)

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch: loads the guest's registers, VMRUN, saves them, and puts the host's
 * speculation controls back before any branch that the guest could have trained is predicted.
 * Called with GIF clear and interrupts disabled. Trusts its caller alone.
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

/* Index in vcpu->gpr, the instruction encoding's order; RAX (0) and RSP (4) are in the VMCB. */
#define GPR(n) ((n) * 8)
#define RCX_ GPR(1)
#define RDX_ GPR(2)
#define RBX_ GPR(3)
#define RBP_ GPR(5)
#define RSI_ GPR(6)
#define RDI_ GPR(7)

.section .noinstr.text, "ax"

/*
 * void bawn_svm_enter(u64 *gpr, u64 vmcb_pa, u64 host_pa, u64 guest_spec, u64 host_spec)
 *
 * host_pa: the VMCB that holds this CPU's own VMSAVE state. SPEC_CTRL is switched when
 * guest_spec and host_spec differ (callers pass equal values where the hardware does it).
 */
SYM_FUNC_START(bawn_svm_enter)
	push %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx

	push %r8		/* 32: host_spec */
	push %rcx		/* 24: guest_spec */
	push %rdx		/* 16: host_pa */
	push %rsi		/*  8: vmcb_pa */
	push %rdi		/*  0: gpr */

	cmp %rcx, %r8
	je 1f
	mov %rcx, %rax
	mov %rcx, %rdx
	shr $32, %rdx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
1:
	mov %rdi, %rax
	mov RCX_(%rax), %rcx
	mov RDX_(%rax), %rdx
	mov RBX_(%rax), %rbx
	mov RBP_(%rax), %rbp
	mov RSI_(%rax), %rsi
	mov RDI_(%rax), %rdi
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	mov GPR(\n)(%rax), %r\n
	.endr

	mov 8(%rsp), %rax
	/* GIF is clear: IF only decides that host interrupts end the guest's run. */
	sti
	vmload %rax
	VM_CLEAR_CPU_BUFFERS
2:	vmrun %rax
	vmsave %rax
	cli

	/* RAX and RSP are the host's again. */
	mov (%rsp), %rax
	mov %rcx, RCX_(%rax)
	mov %rdx, RDX_(%rax)
	mov %rbx, RBX_(%rax)
	mov %rbp, RBP_(%rax)
	mov %rsi, RSI_(%rax)
	mov %rdi, RDI_(%rax)
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	mov %r\n, GPR(\n)(%rax)
	.endr

	mov 16(%rsp), %rax
	vmload %rax

	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT

	mov 32(%rsp), %rax
	cmp %rax, 24(%rsp)
	je 3f
	mov %rax, %rdx
	shr $32, %rdx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
3:
	UNTRAIN_RET_VM

	/* No guest value survives in a register that a later speculation could use. */
	xor %eax, %eax
	xor %ecx, %ecx
	xor %edx, %edx
	xor %esi, %esi
	xor %edi, %edi
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d

	add $40, %rsp
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
	RET
SYM_FUNC_END(bawn_svm_enter)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest code for the exits that concern the processor itself: PAUSE, hypercalls, exceptions,
 * shutdown, control registers, and the way through real, protected, long and back.
 */
#include "ops.h"

	op	pause_loop /* edi: rounds */
1:	pause
	dec	%edi
	jnz	1b
	done

	op	vmmcall /* edi: number */
	mov	%rdi, %rax
	xor	%ebx, %ebx
	vmmcall
	done

	op	vmcall
	mov	%rdi, %rax
	xor	%ebx, %ebx
	vmcall
	done

	op	raise_de
	xor	%edx, %edx
	mov	$1, %eax
	xor	%ecx, %ecx
	div	%ecx
	done

	op	raise_ud
	ud2
	done

	op	raise_bp
	int3
	done

	op	raise_ud_no_stack /* only a handler on an IST stack can run */
	mov	$1, %eax
	shl	$63, %rax
	mov	%rax, %rsp
	ud2
	done

	op	wbinvd
	wbinvd
	done

	op	invd
	invd
	done

	op	xsetbv /* ecx: index; rdi: value */
	mov	%cr4, %rax
	or	$(1 << 18), %rax
	mov	%rax, %cr4
	mov	%edi, %eax
	mov	%rdi, %rdx
	shr	$32, %rdx
	xsetbv
	done

	op	write_cr0
	mov	%rdi, %cr0
	done

	op	write_cr3
	mov	%rdi, %cr3
	done

	op	write_cr4
	mov	%rdi, %cr4
	done

	op	read_crs /* rax, rbx, rcx: cr0, cr3, cr4 */
	mov	%cr0, %rax
	mov	%cr3, %rbx
	mov	%cr4, %rcx
	done

	/* Run with CPL 3: the one instruction, then #UD as a sign that it was let through. */
	.macro	user name, insn
	op	user_\name
	\insn
	ud2
	.endm
	user	hlt, "hlt"
	user	cli, "cli"
	user	in, "in %dx, %al"
	user	out, "out %al, %dx"
	user	outs, "outsb"
	user	rdmsr, "rdmsr"
	user	wrmsr, "wrmsr"
	user	cr0, "mov %cr0, %rax"
	user	invlpg, "invlpg (%rdi)"
	user	cpuid, "cpuid"
	user	vmmcall, "vmmcall"

	op	fault_loop /* edi: rounds; each: a CPUID exit, #UD, an exit to userspace */
	xor	%eax, %eax
	cpuid
	ud2
	op	fault_next /* the fixup */
	out	%al, $PORT_STEP
	dec	%edi
	jnz	code_fault_loop
	done

	/*
	 * From real mode up to long mode and back. ebx: linear address of code_climb; at 0x1900
	 * a pointer to the descriptor table. PORT_STEP in each mode, al counts them.
	 */
	.code16
	op	climb
	lgdtl	0x1900
	mov	$0, %al
	out	%al, $PORT_STEP
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	pushl	$SEL_CODE32
	lea	(climb32 - code_climb)(%ebx), %eax
	pushl	%eax
	lretl

	.code32
climb32:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	mov	$1, %al
	out	%al, $PORT_STEP
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$GUEST_PML4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	mov	$2, %al /* compatibility mode */
	out	%al, $PORT_STEP
	push	$SEL_CODE64
	lea	(climb64 - code_climb)(%ebx), %eax
	push	%eax
	lretl

	.code64
climb64:
	mov	$3, %al
	out	%al, $PORT_STEP
	sub	$16, %rsp
	lea	down32(%rip), %eax
	mov	%eax, (%rsp)
	movl	$SEL_CODE32, 4(%rsp)
	lretl

	.code32
down32:
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	mov	$0xc0000080, %ecx
	rdmsr
	and	$~0x100, %eax
	wrmsr
	mov	$4, %al
	out	%al, $PORT_STEP
	push	$SEL_CODE16
	push	$(down16 - code_climb)
	mov	%ebx, %eax
	sub	$GUEST_CODE, %eax
	add	%eax, (%esp)
	lretl

	.code16
down16:
	mov	$SEL_DATA16, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	%cr0, %eax
	and	$~1, %eax
	mov	%eax, %cr0
	pushw	$(GUEST_CODE >> 4)
	lea	(real16 - code_climb)(%ebx), %eax
	sub	$GUEST_CODE, %eax
	pushw	%ax
	lretw
real16:
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$5, %al
	out	%al, $PORT_STEP
	out	%al, $PORT_DONE

	/* Real mode: a software interrupt through the vector table at 0. */
	op	real_int
	mov	$0x1234, %ax
	int	$0x20
	out	%al, $PORT_DONE
	op	real_handler
	mov	$0x5678, %ax
	iret

	.code32
	op	prot_add /* 32-bit registers only: eax = edi + esi */
	lea	(%edi,%esi), %eax
	out	%al, $PORT_DONE

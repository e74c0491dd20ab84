/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest code for state that must survive exits: debug registers, x87, SSE, AVX, the TSC; and
 * code to be stepped through.
 */
#include "ops.h"

	op	steps /* each label is where a single step must stop */
	nop
	op	step1
	inc	%rbx
	op	step2
	cpuid
	op	step3
	out	%al, $PORT_STEP
	op	step4
	mov	$0x174, %ecx
	op	step5
	rdmsr
	op	step6
	mov	%esi, (%rdi)
	op	step7
	nop
	done

	op	int3
	nop
	op	int3_at
	int3
	done

	op	set_dr /* rdi: DR0, rsi: DR7 */
	mov	%rdi, %dr0
	mov	%rsi, %dr7
	done

	op	get_dr /* rax, rbx, rcx: DR0, DR6, DR7 */
	mov	%dr0, %rax
	mov	%dr6, %rbx
	mov	%dr7, %rcx
	done

	op	trap_flag
	pushfq
	orl	$0x100, (%rsp)
	popfq
	nop
	op	trap_flag_stop
	nop
	done

	op	fpu_run /* rdi: 512 bytes to load, rsi: rounds, rdx: where to store them */
	mov	%rdx, %r8
	fxrstor	(%rdi)
1:	xor	%eax, %eax
	cpuid
	out	%al, $PORT_STEP
	dec	%esi
	jnz	1b
	fxsave	(%r8)
	done

	op	fpu_hold /* rdi: 512 bytes to load; until (rdx) is set; ebx: how often xmm9 was wrong */
	fxrstor	(%rdi)
	xor	%ebx, %ebx
1:	movdqa	%xmm9, %xmm0
	pcmpeqb	160+9*16(%rdi), %xmm0
	pmovmskb %xmm0, %eax
	cmp	$0xffff, %eax
	je	2f
	inc	%ebx
2:	pause
	cmpb	$0, (%rdx)
	je	1b
	done

	op	avx_run /* the same with 16 x 32 bytes; switches OSXSAVE and AVX on */
	mov	%rdx, %r8
	mov	%cr4, %rax
	or	$(1 << 18), %rax
	mov	%rax, %cr4
	xor	%ecx, %ecx
	xor	%edx, %edx
	mov	$7, %eax
	xsetbv
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovdqu	32*\n(%rdi), %ymm\n
	.endr
1:	xor	%eax, %eax
	cpuid
	out	%al, $PORT_STEP
	dec	%esi
	jnz	1b
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovdqu	%ymm\n, 32*\n(%r8)
	.endr
	done

	op	xgetbv
	mov	%cr4, %rax
	or	$(1 << 18), %rax
	mov	%rax, %cr4
	xor	%ecx, %ecx
	xgetbv
	shl	$32, %rdx
	or	%rdx, %rax
	done

	op	rdtsc
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	done

	op	rdtsc_run /* edi: rounds with exits; rbx: how often the time went back */
	xor	%ebx, %ebx
	xor	%r8d, %r8d
1:	push	%rbx
	xor	%eax, %eax
	cpuid
	pop	%rbx
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	cmp	%r8, %rax
	adc	$0, %ebx
	mov	%rax, %r8
	dec	%edi
	jnz	1b
	done

	op	regs /* every register, changed in its own way */
	inc	%rax
	add	$2, %rbx
	add	$3, %rcx
	add	$4, %rdx
	add	$5, %rsi
	add	$6, %rdi
	add	$7, %rbp
	add	$8, %r8
	add	$9, %r9
	add	$10, %r10
	add	$11, %r11
	add	$12, %r12
	add	$13, %r13
	add	$14, %r14
	add	$15, %r15
	done

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single operations that the test programs have a 64-bit guest do, one at a time: arguments in
 * rdi, rsi, rdx and rcx, results in registers, then PORT_DONE.
 */
#include "ops.h"

	op	nop
	nop /* so that a new start is not taken for the OUT that is being completed */
	done

	op	rdmsr /* ecx: index; rax: value */
	rdmsr
	shl	$32, %rdx
	or	%rdx, %rax
	done

	op	wrmsr /* ecx: index; rdi: value */
	mov	%edi, %eax
	mov	%rdi, %rdx
	shr	$32, %rdx
	wrmsr
	done

	op	cpuid /* edi: leaf; ecx: subleaf */
	mov	%edi, %eax
	cpuid
	done

	op	load32 /* rdi: address; eax: value */
	mov	(%rdi), %eax
	done

	op	store32 /* rdi: address; esi: value */
	mov	%esi, (%rdi)
	done

	op	load8
	movzbl	(%rdi), %eax
	done

	op	store8
	mov	%sil, (%rdi)
	done

	op	read_cr8
	mov	%cr8, %rax
	done

	op	write_cr8 /* rdi: value */
	mov	%rdi, %cr8
	done

	op	window /* lets what is pending in */
	sti
	nop
	nop
	cli
	done

	op	hlt_irq /* sleeps until an interrupt came in */
	sti
	hlt
	cli
	done

	op	hlt /* whatever rflags.IF is */
	hlt
	done

	op	wait_irqs /* rdi: returns when the mailbox counts that many interrupts */
	sti
1:	pause
	cmp	%edi, %gs:MBOX_COUNT
	jb	1b
	cli
	done

	op	wait_byte /* rdi: address; sil: value to wait for */
1:	pause
	cmp	%sil, (%rdi)
	jne	1b
	done

	op	spin /* forever; interrupts as rflags says */
1:	pause
	jmp	1b

	op	counter /* counts at (rdi) forever */
1:	incl	(%rdi)
	jmp	1b

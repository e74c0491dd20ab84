/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of all 256 vectors of a 64-bit test guest: exceptions are noted in the mailbox and
 * then go to its fixup, or stop the guest; NMI and interrupts are logged and acknowledged.
 */
#include "ops.h"

	vectors	vectors
	cmp	$2, %eax
	je	interrupt
	cmp	$32, %eax
	jae	interrupt

	mov	%eax, %gs:MBOX_VECTOR
	mov	32(%rsp), %rcx
	mov	%rcx, %gs:MBOX_ERROR
	mov	40(%rsp), %rcx
	mov	%rcx, %gs:MBOX_RIP
	mov	%cr2, %rcx
	mov	%rcx, %gs:MBOX_CR2
	incl	%gs:MBOX_FAULTS
	mov	%gs:MBOX_FIXUP, %rcx
	test	%rcx, %rcx
	jz	1f
	mov	%rcx, 40(%rsp)
	jmp	return
1:	out	%al, $PORT_FAULT
	jmp	return

interrupt:
	mov	%gs:MBOX_COUNT, %ecx
	and	$63, %ecx
	mov	%al, %gs:MBOX_LOG(%rcx)
	incl	%gs:MBOX_COUNT
	mov	%gs:MBOX_IRQ_MODE, %ecx
	test	$IRQ_STI, %ecx
	jz	1f
	sti
	nop
1:	test	$IRQ_EXIT, %ecx
	jz	1f
	out	%al, $PORT_IRQ
1:	cmp	$2, %eax
	je	return
	test	$IRQ_EOI_X2APIC, %ecx
	jnz	eoi_x2apic
	test	$IRQ_EOI_XAPIC, %ecx
	jz	return
	mov	$0xfee000b0, %ecx
	movl	$0, (%rcx)
	jmp	return
	vectors_end

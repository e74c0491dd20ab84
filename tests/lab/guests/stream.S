/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers for a random stream of instructions: an exception is logged, and goes on at the next
 * slot; an interrupt is logged and acknowledged; STREAM_END ends the stream.
 */
#include "layout.h"

	.section guest, "ax"
	.code64

	.balign	16
	.globl	code_stream_vectors
code_stream_vectors:
	.set	vector, 0
	.rept	256
	.balign	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	pushq	$0
	.endif
	pushq	$vector
	jmp	common
	.set	vector, vector + 1
	.endr

common:
	push	%rax
	push	%rcx
	push	%rdx
	cld
	andl	$~0x10000, 56(%rsp) /* RF, as in stream.c */
	mov	24(%rsp), %rax
	cmp	$STREAM_END, %eax
	je	end
	mov	STREAM_COUNT, %ecx
	incl	STREAM_COUNT
	and	$(STREAM_LOG_MAX - 1), %ecx
	shl	$6, %ecx
	add	$STREAM_LOG, %ecx
	mov	%rax, (%rcx)
	.set	offset, 8
	.irp	from, 32, 40, 48, 56, 64, 72 /* error code and the frame */
	mov	\from(%rsp), %rdx
	mov	%rdx, offset(%rcx)
	.set	offset, offset + 8
	.endr
	mov	%cr2, %rdx
	mov	%rdx, 56(%rcx)
	cmp	$2, %eax
	je	interrupt
	cmp	$32, %eax
	jae	interrupt
	mov	40(%rsp), %rdx
	or	$(STREAM_SLOT - 1), %rdx
	inc	%rdx
	mov	%rdx, 40(%rsp)
	andl	$~0x100, 56(%rsp) /* TF */
	jmp	return
interrupt:
	mov	$0x80b, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
return:
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq
end:
	out	%al, $PORT_DONE
	ud2
	.section .note.GNU-stack, "", @progbits

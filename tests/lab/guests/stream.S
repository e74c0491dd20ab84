/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers for a random stream of instructions: an exception is logged, and goes on at the next
 * slot; an interrupt is logged and acknowledged; STREAM_END ends the stream.
 */
#include "ops.h"

	vectors	stream_vectors
	cld
	andl	$~0x10000, 56(%rsp) /* RF, as in stream.c */
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
	je	eoi_x2apic
	cmp	$32, %eax
	jae	eoi_x2apic
	mov	40(%rsp), %rdx
	or	$(STREAM_SLOT - 1), %rdx
	inc	%rdx
	mov	%rdx, 40(%rsp)
	andl	$~0x100, 56(%rsp) /* TF */
	jmp	return
	vectors_end
end:
	done

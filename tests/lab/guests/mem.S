/* SPDX-License-Identifier: Apache-2.0 */
/* Guest code that uses memory while the test program pulls it from under the guest. */
#include "layout.h"

	.section guest, "ax"
	.code64

	.macro	op name
	.globl	code_\name
code_\name:
	.endm
	.macro	done
	out	%al, $PORT_DONE
	ud2
	.endm

	op	mirror /* forever: copies 4 bytes from (rdi) to (rsi) */
1:	mov	(%rdi), %eax
	mov	%eax, (%rsi)
	pause
	jmp	1b

	op	write_loop /* forever: counts at (rdi), with a copy at (rsi) */
	xor	%eax, %eax
1:	inc	%eax
	mov	%eax, (%rdi)
	mov	%eax, (%rsi)
	pause
	jmp	1b

	op	touch /* writes cl at rdi, rdi + rdx, ... below rsi */
1:	cmp	%rsi, %rdi
	jae	2f
	mov	%cl, (%rdi)
	add	%rdx, %rdi
	jmp	1b
2:	done

	op	read_all /* sums bytes at rdi, rdi + rdx, ... below rsi into rax */
	xor	%eax, %eax
1:	cmp	%rsi, %rdi
	jae	2f
	movzbl	(%rdi), %ecx
	add	%rcx, %rax
	add	%rdx, %rdi
	jmp	1b
2:	done

	.section .note.GNU-stack, "", @progbits

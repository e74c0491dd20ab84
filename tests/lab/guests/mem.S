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

	op	scatter /* forever: pseudo-random words (seed rsi) at random places of rdi + rdx (a power
			   of two) bytes; counts at (rcx) */
	lea	-1(%rdx), %r8
	and	$~7, %r8
1:	mov	%rsi, %rax
	shl	$13, %rax
	xor	%rax, %rsi
	mov	%rsi, %rax
	shr	$7, %rax
	xor	%rax, %rsi
	mov	%rsi, %rax
	shl	$17, %rax
	xor	%rax, %rsi
	mov	%rsi, %rax
	and	%r8, %rax
	mov	%rsi, (%rdi, %rax)
	incl	(%rcx)
	jmp	1b

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: Apache-2.0 */
/* Guest code that uses memory while the test program pulls it from under the guest. */
#include "ops.h"

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

	.macro	next_random /* rsi: xorshift; rax: a multiple of 8 below r8 + 8 */
	mov	%rsi, %rax
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
	.endm

	op	scatter /* forever: pseudo-random words (seed rsi) at random places of rdi + rdx (a power
			   of two) bytes; counts at (rcx) */
	lea	-1(%rdx), %r8
	and	$~7, %r8
1:	next_random
	mov	%rsi, (%rdi, %rax)
	incl	(%rcx)
	jmp	1b

	op	twice /* the same, and again above: at rdi + rdx + what it was */
	lea	-1(%rdx), %r8
	and	$~7, %r8
	lea	(%rdi, %rdx), %r9
1:	next_random
	mov	%rsi, (%rdi, %rax)
	mov	%rsi, (%r9, %rax)
	incl	(%rcx)
	jmp	1b

	op	fill /* each 64th word of [rdi, rsi): its address with rdx added */
1:	cmp	%rsi, %rdi
	jae	2f
	lea	(%rdi, %rdx), %rax
	mov	%rax, (%rdi)
	add	$512, %rdi
	jmp	1b
2:	done

	op	verify /* of fill: how many are wrong, in rax; the last one of them in rcx */
	xor	%eax, %eax
1:	cmp	%rsi, %rdi
	jae	2f
	lea	(%rdi, %rdx), %r8
	cmp	%r8, (%rdi)
	je	3f
	inc	%rax
	mov	%rdi, %rcx
3:	add	$512, %rdi
	jmp	1b
2:	done

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A boot sector for QEMU's gdb stub to stop, step and change: real mode, with labels at addresses
 * that qemu_gdb.sh knows. It counts rounds until somebody writes to stop; then it says a word on the
 * serial port and ends QEMU by its debug exit, port 0xf4.
 */
	.code16
	.globl _start
_start: /* 0x7c00 */
	xorw %ax, %ax		/* 2 bytes */
	movw %ax, %ds		/* 2 bytes */
	movw %ax, %es		/* 2 bytes */
	xorl %ecx, %ecx		/* 3 bytes */
	jmp round
	.org 0x10
round: /* 0x7c10 */
	incl %ecx		/* 2 bytes */
	movl %ecx, count	/* 5 bytes, at 0x7c12 */
	nop			/* 1 byte, at 0x7c17 */
	cmpb $0, stop
	je round
	movw $word, %si
	movw $0x3f8, %dx
	cld
say:
	lodsb
	outb %al, %dx
	testb %al, %al
	jnz say
	movb $0x10, %al		/* QEMU's exit code is 0x21 */
	outb %al, $0xf4
	hlt
	.org 0x80
count: /* 0x7c80 */
	.long 0
stop: /* 0x7c84 */
	.long 0
word: /* 0x7c88 */
	.asciz "unchanged\n"
	.org 510
	.byte 0x55, 0xaa

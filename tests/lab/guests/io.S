/* SPDX-License-Identifier: Apache-2.0 */
/* Guest code for I/O port exits: single accesses of each size, and the string forms. */
#include "ops.h"

	/* rdi: value, dx: port */
	op	outb
	mov	%rdi, %rax
	out	%al, %dx
	done
	op	outw
	mov	%rdi, %rax
	out	%ax, %dx
	done
	op	outl
	mov	%rdi, %rax
	out	%eax, %dx
	done
	op	outb_imm
	mov	%rdi, %rax
	out	%al, $0x71
	done
	op	outl_imm
	mov	%rdi, %rax
	out	%eax, $0x74
	done

	/* rdi: what rax holds before */
	op	inb
	mov	%rdi, %rax
	in	%dx, %al
	done
	op	inw
	mov	%rdi, %rax
	in	%dx, %ax
	done
	op	inl
	mov	%rdi, %rax
	in	%dx, %eax
	done
	op	inb_imm
	mov	%rdi, %rax
	in	$0x71, %al
	done

	/* rsi or rdi: buffer, rcx: count, dx: port; the direction flag as rflags says */
	.macro	string name, insn
	op	\name
	\insn
	done
	.endm
	string	rep_outsb, "rep outsb"
	string	rep_outsw, "rep outsw"
	string	rep_outsl, "rep outsl"
	string	rep_insb, "rep insb"
	string	rep_insw, "rep insw"
	string	rep_insl, "rep insl"
	string	outsb, "outsb"
	string	insl, "insl"
	/* Prefixes: 67 makes the address size 32 bits, 65 is GS. */
	string	rep_outsb_addr32, ".byte 0x67; rep outsb"
	string	rep_insw_addr32, ".byte 0x67; rep insw"
	string	rep_outsw_gs, ".byte 0x65; rep outsw"

	.code16 /* real mode: 16-bit addresses */
	string	rep_outsb_16, "rep outsb"
	string	rep_insw_16, "rep insw"

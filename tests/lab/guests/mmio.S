/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest code for MMIO exits: one instruction each, in the encodings that compilers and drivers
 * use. rdi: the device's address, rsi: RAM or a value, rcx: a count, rdx: a second value.
 * The result of a read ends in rax.
 */
#include "ops.h"

	.macro	code name, insns
	op	\name
	\insns
	done
	.endm

	/* Stores of rsi. */
	code	st8, "mov %sil, (%rdi)"
	code	st16, "mov %si, (%rdi)"
	code	st32, "mov %esi, (%rdi)"
	code	st64, "mov %rsi, (%rdi)"
	code	st8_high, "mov %rsi, %rax; mov %ah, (%rdi)"
	code	st64_r15, "mov %rsi, %r15; mov %r15, (%rdi)"
	code	st32_disp8, "lea -8(%rdi), %rbx; mov %esi, 8(%rbx)"
	code	st32_disp32, "lea -0x1000(%rdi), %r12; mov %esi, 0x1000(%r12)"
	code	st32_sib, "xor %ebx, %ebx; mov %esi, 4(%rdi,%rbx,8)"
	code	st32_sib_nobase, "mov %rdi, %rbx; mov %esi, 0(,%rbx,1)"
	code	st32_r13_base, "mov %rdi, %r13; mov %esi, (%r13)"
	code	st8_imm, "movb $0x5a, (%rdi)"
	code	st16_imm, "movw $0x5aa5, (%rdi)"
	code	st32_imm, "movl $0x87654321, (%rdi)"
	code	st64_imm, "movq $-2, (%rdi)"
	code	st8_moffs, "mov %rsi, %rax; movabs %al, 0xd0000008"
	code	st32_moffs, "mov %rsi, %rax; movabs %eax, 0xd0000008"
	code	st64_moffs, "mov %rsi, %rax; movabs %rax, 0xd0000008"
	code	st32_addr32, "mov %esi, (%edi)"
	code	st32_gs, "sub %rdx, %rdi; mov %esi, %gs:(%rdi)" /* rdx: GS.base */
	code	stosb, "mov %rsi, %rax; stosb"
	code	stosl, "mov %rsi, %rax; stosl"
	code	stosq, "mov %rsi, %rax; stosq"
	code	rep_stosl, "mov %rsi, %rax; rep stosl"

	/* Loads to rax, which holds -1 before where the width leaves bits alone. */
	code	ld8, "or $-1, %rax; mov (%rdi), %al"
	code	ld8_high, "or $-1, %rax; mov (%rdi), %ah"
	code	ld16, "or $-1, %rax; mov (%rdi), %ax"
	code	ld32, "or $-1, %rax; mov (%rdi), %eax"
	code	ld64, "or $-1, %rax; mov (%rdi), %rax"
	code	ld32_r15, "mov (%rdi), %r15d; mov %r15, %rax"
	code	ld8_moffs, "or $-1, %rax; movabs 0xd0000008, %al"
	code	ld32_moffs, "or $-1, %rax; movabs 0xd0000008, %eax"
	code	ld64_moffs, "or $-1, %rax; movabs 0xd0000008, %rax"
	code	movzbl, "movzbl (%rdi), %eax"
	code	movzbw, "or $-1, %rax; movzbw (%rdi), %ax"
	code	movzwl, "movzwl (%rdi), %eax"
	code	movzwq, "movzwq (%rdi), %rax"
	code	movsbl, "movsbl (%rdi), %eax"
	code	movswl, "movswl (%rdi), %eax"
	code	movsbq, "movsbq (%rdi), %rax"
	code	movswq, "movswq (%rdi), %rax"
	code	movslq, "movslq (%rdi), %rax"

	/* Memory to memory. */
	code	movs_to, "xor %eax, %eax; movsl"
	code	movsq_to, "xor %eax, %eax; movsq"
	code	movs_from, "xchg %rsi, %rdi; movsl"
	code	movsb_from, "xchg %rsi, %rdi; movsb"
	code	rep_movs_to, "xor %eax, %eax; rep movsl"
	code	rep_movs_from, "xchg %rsi, %rdi; rep movsl"

	/* Read, modify, write; and tests. */
	code	or32, "or %esi, (%rdi)"
	code	and8_imm, "andb $0x0f, (%rdi)"
	code	xor32, "xor %esi, (%rdi)"
	code	add32_imm, "addl $5, (%rdi)"
	code	sub16, "sub %si, (%rdi)"
	code	inc32, "incl (%rdi)"
	code	not32, "notl (%rdi)"
	code	xchg32, "mov %esi, %eax; xchg %eax, (%rdi)"
	code	or_from, "mov %esi, %eax; or (%rdi), %eax"
	code	test_imm, "testl $0x80, (%rdi); setnz %al; movzbl %al, %eax"
	code	cmp_imm, "cmpl $0x44332211, (%rdi); sete %al; movzbl %al, %eax"
	code	bt_imm, "btl $4, (%rdi); setc %al; movzbl %al, %eax"
	code	lock_or32, "lock orl $1, (%rdi)"
	code	cmpxchg32, "mov $0x44332211, %eax; cmpxchg %esi, (%rdi)"
	code	movnti32, "movnti %esi, (%rdi)"
	code	movdqu_st, "movq %rsi, %xmm0; movdqu %xmm0, (%rdi)"
	code	movdqu_ld, "movdqu (%rdi), %xmm0; movq %xmm0, %rax"
	code	lodsl, "mov %rdi, %rsi; lodsl"
	code	push_mem, "pushq (%rdi); pop %rax"
	code	call_mem, "call *(%rdi)"

	.code32
	code	prot_st32, "mov %esi, (%edi)"
	code	prot_ld16, "movzwl (%edi), %eax"
	.code16
	code	real_st16, "mov %si, (%di)"
	code	real_st32, "movl %esi, (%di)"
	code	real_ld8, "movzbw (%di), %ax"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image's first byte, the way to 64-bit mode, the exception stubs, and the way out.
 *
 * With paging off every access is private, so that this much runs before the C-bit is known:
 * it is looked up in the CPUID page, tables for the first 2 MiB are made with it, and a random
 * number written before must be read back through them. A host that lied about the C-bit would
 * have had the shim use shared memory.
 */
#include "guest/shim/layout.h"

#define X(name, code, text) .set FAIL_##name, code;
BAWN_SHIM_REASONS(X)
#undef X

#define VECTORS 32
#define STUB_SIZE 16
#define CBIT_CHECK (SHIM_VARS + 8)
#define FIRST_ROOT SHIM_LINUX_TABLES
#define FIRST_LEVEL3 (SHIM_LINUX_TABLES + SHIM_PAGE)
#define FIRST_LEVEL2 (SHIM_LINUX_TABLES + 2 * SHIM_PAGE)

#define PTE_LINK 0x23  /* present, writable, accessed */
#define PTE_LARGE 0xe3 /* and dirty, 2 MiB */
#define CR0_BITS 0x80010033 /* PG WP NE ET MP PE */
#define CR4_BITS 0x20       /* PAE */
#define EFER_BITS 0x900     /* LME NXE */
#define RDRAND_TRIES 10

#define FAIL_VALUE(reason) \
	(SHIM_GHCB_TERMINATE | BAWN_SHIM_REASON_SET << SHIM_GHCB_TERMINATE_SET_SHIFT | \
	 (reason) << SHIM_GHCB_TERMINATE_CODE_SHIFT)

/* esi: the function's entry in the CPUID page. Uses eax and ecx. */
.macro find_cpuid function
	movl BAWN_SHIM_CPUID, %ecx
	movl $FAIL_VALUE(FAIL_CPUID_PAGE), %eax
	cmpl $SHIM_CPUID_MAX, %ecx
	ja fail32
	movl $BAWN_SHIM_CPUID + SHIM_CPUID_FIRST - SHIM_CPUID_ENTRY, %esi
10:	subl $1, %ecx
	jb fail32
	addl $SHIM_CPUID_ENTRY, %esi
	cmpl $\function, (%esi)
	jne 10b
.endm

	.section .text.start, "ax"
	.globl shim_image
	.code32
shim_image:
	cli
	cld
	lgdt gdt_pointer

	/* Random numbers are needed, and the instruction would fault where there are none. */
	find_cpuid SHIM_CPUID_FN_FEATURES
	movl $FAIL_VALUE(FAIL_RDRAND), %eax
	btl $SHIM_CPUID_RDRAND_BIT, SHIM_CPUID_ECX(%esi)
	jnc fail32

	find_cpuid SHIM_CPUID_FN_SEV
	movl $FAIL_VALUE(FAIL_NO_SNP), %eax
	btl $SHIM_CPUID_SNP_BIT, SHIM_CPUID_EAX(%esi)
	jnc fail32
	movl SHIM_CPUID_EBX(%esi), %ebp
	andl $SHIM_CPUID_CBIT_MASK, %ebp /* the C-bit's position, from here to shim_main */
	movl $FAIL_VALUE(FAIL_CBIT), %eax
	cmpl $SHIM_CBIT_MIN, %ebp
	jb fail32
	cmpl $SHIM_CBIT_MAX, %ebp
	ja fail32

	/* One to one for the first 2 MiB. The area is zero. ebx: the upper half's C-bit. */
	leal -32(%ebp), %ecx
	movl $1, %ebx
	shll %cl, %ebx
	movl $FIRST_LEVEL3 + PTE_LINK, FIRST_ROOT
	movl %ebx, FIRST_ROOT + 4
	movl $FIRST_LEVEL2 + PTE_LINK, FIRST_LEVEL3
	movl %ebx, FIRST_LEVEL3 + 4
	movl $PTE_LARGE, FIRST_LEVEL2
	movl %ebx, FIRST_LEVEL2 + 4

	movl $RDRAND_TRIES, %ecx
1:	rdrand %edi
	jc 2f
	decl %ecx
	jnz 1b
	movl $FAIL_VALUE(FAIL_RDRAND), %eax
	jmp fail32
2:	movl %edi, CBIT_CHECK

	/* CR3 gets its C-bit when it can be written whole; table walks are private anyway. */
	movl $CR4_BITS, %eax
	movl %eax, %cr4
	movl $FIRST_ROOT, %eax
	movl %eax, %cr3
	movl $SHIM_MSR_EFER, %ecx
	rdmsr
	orl $EFER_BITS, %eax
	wrmsr
	movl $CR0_BITS, %eax
	movl %eax, %cr0
	ljmp $SHIM_CS, $start64


/* eax: what the host is told. */
fail32:
	movl $SHIM_MSR_GHCB, %ecx
	xorl %edx, %edx
	wrmsr
	rep; vmmcall
	hlt
	jmp fail32

	.code64
start64:
	movl $SHIM_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl $SHIM_STACK_TOP, %esp

	shlq $32, %rbx
	movl $FIRST_ROOT, %eax
	orq %rbx, %rax
	movq %rax, %cr3
	lidt idt_pointer
	movl $SHIM_TR, %eax
	ltr %ax

	cmpl %edi, CBIT_CHECK
	movl $FAIL_CBIT, %edi
	jne fail64

	movl $RDRAND_TRIES, %ecx
1:	rdrand %rax
	jc 2f
	decl %ecx
	jnz 1b
	movl $FAIL_RDRAND, %edi
fail64:	call shim_fail
2:	movq %rax, __stack_chk_guard
	movl %ebp, %edi
	xorl %ebp, %ebp
	call shim_main
	ud2

/*
 * shim_leave(rip, zero_page, cr3). The code is mapped in Linux's tables, too. Linux finds the
 * selectors of its boot protocol in our GDT, and no IDT: a fault before it has one is a reset.
 */
	.globl shim_leave
shim_leave:
	movq %rdx, %cr3
	lidt no_idt_pointer
	movq %rdi, %rdx
	movl $SHIM_VARS, %edi
	movl $(SHIM_KEEP - SHIM_VARS) / 8, %ecx
	xorl %eax, %eax
	rep stosq
	movq %rdx, %rax
	xorl %ebx, %ebx
	xorl %edx, %edx
	xorl %edi, %edi
	xorl %ebp, %ebp
	xorl %esp, %esp
	xorl %r8d, %r8d
	xorl %r9d, %r9d
	xorl %r10d, %r10d
	xorl %r11d, %r11d
	xorl %r12d, %r12d
	xorl %r13d, %r13d
	xorl %r14d, %r14d
	xorl %r15d, %r15d
	jmp *%rax

/* One stub per vector. Vectors without an error code get one of 0. */
	.balign STUB_SIZE
	.globl shim_stubs
shim_stubs:
	.set vector, 0
	.rept VECTORS
	.balign STUB_SIZE
	.if !((1 << vector) & 0x60227d00) /* 8, 10 to 14, 17, 21, 29, 30 push one */
	pushq $0
	.endif
	pushq $vector
	jmp exception
	.set vector, vector + 1
	.endr

exception:
	popq %rdi
	popq %rsi
	popq %rdx
	andq $-16, %rsp
	call shim_exception
	ud2

	.section .rodata.start, "a"
	.balign 16
/* Accessed bits are set, so that the processor does not have to write. */
gdt:
	.quad 0
	.quad 0
	.quad 0x00af9b000000ffff /* SHIM_CS: 64-bit code */
	.quad 0x00cf93000000ffff /* SHIM_DS: flat data */
	.word tss_end - shim_tss - 1, shim_tss_low
	.byte BAWN_SHIM_IMAGE >> 16, 0x89, 0, 0
	.quad 0
gdt_end:

/* Every exception has a stack of its own: the usual one may be what is wrong. */
	.globl shim_tss
shim_tss:
	.fill 36
	.quad SHIM_FAULT_STACK_TOP /* IST 1 */
	.fill 58
	.word tss_end - shim_tss
tss_end:

	.balign 16
idt:
	.set vector, 0
	.rept VECTORS
	.word shim_stubs_low + vector * STUB_SIZE, SHIM_CS
	.byte 1, 0x8e /* IST 1, interrupt gate */
	.word BAWN_SHIM_IMAGE >> 16
	.quad 0
	.set vector, vector + 1
	.endr
idt_end:

	.balign 8
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt, 0
idt_pointer:
	.word idt_end - idt - 1
	.quad idt
no_idt_pointer:
	.word 0
	.quad 0

	.section .note.GNU-stack, "", @progbits

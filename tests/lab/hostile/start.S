/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of the hostile guest: the PVH note, then from 32-bit protected mode, as that leaves the CPU,
 * to 64-bit mode with the first 4 GiB mapped as they are. No interrupt is ever enabled, and there is
 * no IDT: a fault ends the machine with a triple fault, which the test takes for its failure.
 */
#define GIB_PAGES 512
#define PRESENT_WRITE 3
#define LARGE 0x83
#define CR4_PAE 0x20
#define CR0_PG 0x80000000
#define EFER 0xc0000080
#define EFER_LME 0x100

	.section .note, "a", @note
	.long 4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long entry

	.text
	.code32
	.globl entry
entry:
	cld
	movl $pd, %edi
	movl $LARGE, %eax
	movl $(4 * GIB_PAGES), %ecx
1:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 1b
	movl $(pd + PRESENT_WRITE), %eax
	movl $pdpt, %edi
	movl $4, %ecx
2:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	loop 2b
	movl $(pdpt + PRESENT_WRITE), pml4
	movl $pml4, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_PG, %eax
	movl %eax, %cr0
	lgdt gdt_at
	ljmp $8, $long_mode
	.code64
long_mode:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movq $stack_end, %rsp
	call hostile
1:	hlt
	jmp 1b

	.section .rodata
	.balign 8
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_at: .word gdt_at - gdt - 1
	.long gdt

	.bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4 * 4096
	.skip 16384
stack_end:

	.section .note.GNU-stack, "", @progbits

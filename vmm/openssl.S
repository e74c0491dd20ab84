/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's functions, as the linker's own table would have them, but for the time: a library is
 * loaded by the first call of it (late.c), and its part of the table can then only be read.
 * Takes no input. openssl.calls has "late LIBRARY, NAME" for each function that is called (mk/late.mk).
 */
#include <cet.h>
#include <openssl/opensslv.h>

#define STRING(x) #x
#define VERSION(x) STRING(.so.x)

.macro late library, name
	.globl \name
	.hidden \name
	.type \name, @function
\name:
	_CET_ENDBR
	cmpq $0, 1f(%rip)
	jne 2f
	call first_\library
2:	jmp *1f(%rip)
	.size \name, . - \name
	.pushsection .rodata.late_\library, "a"
	.asciz "\name"
	.section .bss.late_\library, "aw", @nobits
1:	.quad 0
	.popsection
.endm

/* The registers hold the call's arguments: none of these functions takes floating-point numbers. */
.macro late_begin library
	.type first_\library, @function
first_\library:
	.irp r, rax, rdi, rsi, rdx, rcx, r8, r9, r10 /* eight: the stack stays aligned */
	push %\r
	.endr
	lea names_\library(%rip), %rdi
	lea bawn_late_\library(%rip), %rsi
	lea end_\library(%rip), %rdx
	call bawn_late_load
	.irp r, r10, r9, r8, rcx, rdx, rsi, rdi, rax
	pop %\r
	.endr
	ret
	.size first_\library, . - first_\library
	.pushsection .rodata.late_\library, "a"
names_\library:
	.ascii "lib\library"
	.asciz VERSION(OPENSSL_SHLIB_VERSION)
	.section .bss.late_\library, "aw", @nobits
	.balign 4096 /* what is protected are pages */
bawn_late_\library:
	.globl bawn_late_\library
	.hidden bawn_late_\library
	.popsection
.endm

.macro late_end library
	.pushsection .rodata.late_\library, "a"
	.byte 0
	.section .bss.late_\library, "aw", @nobits
	.balign 4096
end_\library:
	.popsection
.endm

	.text
	late_begin crypto
	late_begin ssl
	.include "openssl.calls"
	late_end crypto
	late_end ssl
	.section .note.GNU-stack, "", @progbits

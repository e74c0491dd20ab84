/* SPDX-License-Identifier: Apache-2.0 */
/* What an AP runs after SIPI: real mode at the start of a page, no stack. */
#include "layout.h"

	.section guest, "ax"
	.code16
	.globl	code_ap_start
code_ap_start:
	mov	%cs, %ax
	out	%al, $PORT_STEP
	out	%al, $PORT_DONE
	hlt
	.section .note.GNU-stack, "", @progbits

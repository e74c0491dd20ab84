/* SPDX-License-Identifier: Apache-2.0 */
/* How a file of pieces of 64-bit guest code begins: the section, a piece's name, and its end. */
#ifndef BAWN_TEST_GUEST_OPS_H
#define BAWN_TEST_GUEST_OPS_H

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

#endif

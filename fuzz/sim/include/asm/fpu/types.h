/* SPDX-License-Identifier: Apache-2.0 */
/* The real structures. */
#include <sim/mm.h>
#include <arch/x86/include/asm/fpu/types.h>

/* SPDX-License-Identifier: Apache-2.0 */
/* The real constants; the registers are cpu.c's. */
#include <sim/kernel.h>
#include <uapi/asm/debugreg.h>

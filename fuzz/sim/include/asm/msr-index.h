/* SPDX-License-Identifier: Apache-2.0 */
/* The real constants. */
#include <sim/base.h>
#include <arch/x86/include/asm/msr-index.h>

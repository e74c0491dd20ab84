/* SPDX-License-Identifier: Apache-2.0 */
/* The real constants. */
#include <sim/mm.h>
#include <arch/x86/include/asm/svm.h>

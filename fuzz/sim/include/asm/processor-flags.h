/* SPDX-License-Identifier: Apache-2.0 */
/* The real constants, without the host kernel's own use of CR3. */
#include <sim/base.h>
#include <arch/x86/include/uapi/asm/processor-flags.h>

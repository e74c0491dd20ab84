/* SPDX-License-Identifier: Apache-2.0 */
#include <arch/x86/include/uapi/asm/kvm.h>

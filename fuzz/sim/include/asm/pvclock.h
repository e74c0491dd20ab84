/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_ASM_PVCLOCK_H
#define SIM_ASM_PVCLOCK_H

#include <asm/pvclock-abi.h>

/* ((delta << shift) * mul) >> 32, a negative shift to the right. */
static inline u64 pvclock_scale_delta(u64 delta, u32 mul, int shift)
{
    delta = shift < 0 ? delta >> -shift : delta << shift;
    return (u64)(((unsigned __int128)delta * mul) >> 32);
}

#endif

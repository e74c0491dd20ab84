/* SPDX-License-Identifier: Apache-2.0 */
/* What kernel/snp/snp.h and platform/kmod need of the kernel beyond kernel_shim.h. */
#ifndef MODULE_SHIM_H
#define MODULE_SHIM_H

#include "kernel_shim.h"

#define __packed __attribute__((__packed__))
#define PAGE_SHIFT 12
#define EFER_LMA (1ull << 10)
#define PAGE_MASK (~(PAGE_SIZE - 1))

typedef struct {
    long long counter;
} atomic64_t;

static inline void atomic64_inc(atomic64_t *a)
{
    a->counter++;
}

static inline void set_bit(unsigned int nr, unsigned long *bits)
{
    bits[nr / 64] |= 1ul << (nr % 64);
}

#endif

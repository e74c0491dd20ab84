/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUID page (AMD 56860, 8.17.2.6): the firmware has checked its values at launch, but the
 * host chose its entries. The CPUID instruction is never executed.
 */
#ifndef SHIM_CPUID_H
#define SHIM_CPUID_H

#include <stdbool.h>
#include <stdint.h>

struct shim_cpuid {
    uint32_t eax, ebx, ecx, edx;
};

/* Finds a function that has no subfunctions. page is 4096 bytes. False: it is not there. */
bool shim_cpuid(const uint8_t *page, uint32_t function, struct shim_cpuid *out);

/* The C-bit's position, or 0 when the page shows no SNP or an impossible one. */
unsigned shim_cpuid_cbit(const uint8_t *page);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Look-up in the CPUID page. See cpuid.h.
 */
#include "bawn/cursor.h"
#include "guest/shim/cpuid.h"
#include "guest/shim/layout.h"

bool shim_cpuid(const uint8_t *page, uint32_t function, struct shim_cpuid *out)
{
    struct bawn_cursor c = bawn_cursor_over(page, SHIM_PAGE);
    uint32_t count = bawn_cursor_u32(&c);

    if (count > SHIM_CPUID_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        bawn_cursor_seek(&c, SHIM_CPUID_FIRST + (uint64_t)i * SHIM_CPUID_ENTRY);
        if (bawn_cursor_u32(&c) != function)
            continue;
        bawn_cursor_seek(&c, SHIM_CPUID_FIRST + (uint64_t)i * SHIM_CPUID_ENTRY + SHIM_CPUID_EAX);
        out->eax = bawn_cursor_u32(&c);
        out->ebx = bawn_cursor_u32(&c);
        out->ecx = bawn_cursor_u32(&c);
        out->edx = bawn_cursor_u32(&c);
        return true;
    }
    return false;
}

unsigned shim_cpuid_cbit(const uint8_t *page)
{
    struct shim_cpuid sev;
    unsigned bit;

    if (!shim_cpuid(page, SHIM_CPUID_FN_SEV, &sev) || !(sev.eax >> SHIM_CPUID_SNP_BIT & 1))
        return 0;
    bit = sev.ebx & SHIM_CPUID_CBIT_MASK;
    return bit >= SHIM_CBIT_MIN && bit <= SHIM_CBIT_MAX ? bit : 0;
}

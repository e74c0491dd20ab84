// SPDX-License-Identifier: Apache-2.0
/*
 * CPUID of the processor that this machine has: what a guest's CPUID page may promise at most.
 */
#include "platform/firmware/daemon/daemon.h"

#if defined(__x86_64__)
#include <cpuid.h>

size_t host_cpuid(struct bawn_psp_cpuid_function out[HOST_CPUID_MAX])
{
    static const struct {
        uint32_t leaf, subleaf;
    } wanted[] = {
        { 0x00000000, 0 }, { 0x00000001, 0 }, { 0x00000007, 0 }, { 0x00000007, 1 },
        { 0x0000000d, 0 }, { 0x0000000d, 1 }, { 0x80000000, 0 }, { 0x80000001, 0 },
    };
    size_t n = 0;

    _Static_assert(sizeof(wanted) / sizeof(wanted[0]) <= HOST_CPUID_MAX, "room");
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct bawn_psp_cpuid_function *f = &out[n];
        uint32_t a, b, c, d;

        if (!__get_cpuid_count(wanted[i].leaf, wanted[i].subleaf, &a, &b, &c, &d))
            continue;
        *f = (struct bawn_psp_cpuid_function){
            .eax_in = wanted[i].leaf,
            .ecx_in = wanted[i].subleaf,
            .eax = a,
            .ebx = b,
            .ecx = c,
            .edx = d,
        };
        n++;
    }
    return n;
}
#else
size_t host_cpuid(struct bawn_psp_cpuid_function out[HOST_CPUID_MAX])
{
    (void)out;
    return 0;
}
#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The CPUID page of an SNP launch (AMD 56860, 8.17.2.6), from the leaves that a vCPU is given.
 * These come from the host's kernel; the page has 64 places and a form of its own.
 */
#include <string.h>

#include "launch/internal.h"
#include "launch/snp.h"

#define LEAF_XSAVE 0xdu
#define XSAVE_LEGACY_AND_HEADER 0x240u /* bytes; guests add the parts that they enable */

/* Guests compute these for themselves, or they have no meaning in a guest. Leaving out what is
 * zero saves places: a leaf that is missing reads as zero. */
static bool needed(const struct kvm_cpuid_entry2 *e)
{
    if (e->function == LEAF_XSAVE && e->index < 2)
        return true;
    return e->eax || e->ebx || e->ecx || e->edx;
}

static struct bawn_psp_cpuid_function convert(const struct kvm_cpuid_entry2 *e)
{
    struct bawn_psp_cpuid_function f = {
        .eax_in = e->function,
        .ecx_in = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX ? e->index : 0,
        .eax = e->eax,
        .ebx = e->ebx,
        .ecx = e->ecx,
        .edx = e->edx,
    };

    /* The size depends on XCR0 and XSS: told for the state after a reset. */
    if (e->function == LEAF_XSAVE && e->index < 2) {
        f.xcr0_in = 1;
        f.ebx = XSAVE_LEGACY_AND_HEADER;
    }
    return f;
}

enum bawn_status bawn_snp_cpuid_page(struct bawn_psp_cpuid_page *page,
                                     const struct kvm_cpuid2 *cpuid, struct bawn_error *err)
{
    memset(page, 0, sizeof(*page));
    for (uint32_t i = 0; i < cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        if (!needed(e))
            continue;
        if (page->count == BAWN_PSP_CPUID_MAX)
            return bawn_fail(err, BAWN_E_UNSUPPORTED,
                             "the host gives guests more than the %u CPUID leaves that an SNP "
                             "launch can take",
                             BAWN_PSP_CPUID_MAX);
        page->function[page->count++] = convert(e);
    }
    return BAWN_OK;
}

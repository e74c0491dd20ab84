// SPDX-License-Identifier: Apache-2.0
/*
 * CPUID of an SNP guest: leaf 8000_001F, which tells it that it is one, and no XSAVE where the
 * processor lacks what Linux demands of it in such a guest. Trusts the module's list.
 */
#include <cpuid.h>
#include <string.h>

#include "snp.h"

#define LEAF_BASIC 0x0u
#define LEAF_XSAVE 0xdu
#define LEAF_SEV 0x8000001fu

/* Leaf 8000_001F (APM vol. 3, E.4.17) */
#define SEV_EAX (1u << 1 | 1u << 3 | 1u << 4) /* SEV, SEV-ES, SEV-SNP */
#define SEV_EBX_C_BIT 0x3fu
#define SEV_EBX_REDUCTION (0x3fu << 6)

#define XSAVE_COMPACTS (1u << 1 | 1u << 3) /* leaf D.1, EAX: XSAVEC, XSAVES */

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *c, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < c->nent; i++) {
        struct kvm_cpuid_entry2 *e = &c->entries[i];

        if (e->function == function &&
            (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
            return e;
    }
    return NULL;
}

/* Where the C-bit is: as the module says, else as the processor does. If neither knows it (the
 * software platform), the firmware corrects the page. */
static enum bawn_status fix_sev(struct kvm_cpuid2 *c, unsigned room, struct bawn_error *err)
{
    struct kvm_cpuid_entry2 *e = find(c, LEAF_SEV, 0);
    unsigned eax, ebx = e ? e->ebx : 0, ecx, edx;

    if (!(ebx & SEV_EBX_C_BIT) && !__get_cpuid_count(LEAF_SEV, 0, &eax, &ebx, &ecx, &edx))
        ebx = 0;
    if (!e && c->nent == room)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "the module lists too many CPUID leaves");
    if (!e)
        e = &c->entries[c->nent++];
    *e = (struct kvm_cpuid_entry2){
        .function = LEAF_SEV,
        .eax = SEV_EAX,
        .ebx = ebx & (SEV_EBX_C_BIT | SEV_EBX_REDUCTION),
    };
    return BAWN_OK;
}

enum { EAX, EBX, ECX, EDX };

/* Everything that is of no use without XSAVE. */
static const struct {
    uint32_t function, index;
    unsigned reg;
    uint32_t bits;
} xsave_features[] = {
    /* FMA, XSAVE, OSXSAVE, AVX, F16C */
    { 0x1, 0, ECX, 1u << 12 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 29 },
    /* AVX2, AVX512F, DQ, IFMA, PF, ER, CD, BW, VL */
    { 0x7, 0, EBX,
      1u << 5 | 1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 |
          1u << 31 },
    /* AVX512_VBMI, PKU, OSPKE, VBMI2, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ */
    { 0x7, 0, ECX,
      1u << 1 | 1u << 3 | 1u << 4 | 1u << 6 | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 14 },
    /* AVX512_4VNNIW, 4FMAPS, VP2INTERSECT, AMX-BF16, FP16, AMX-TILE, AMX-INT8 */
    { 0x7, 0, EDX, 1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25 },
    { 0x7, 1, EAX, 1u << 4 | 1u << 5 | 1u << 23 },            /* AVX-VNNI, AVX512-BF16, AVX-IFMA */
    { 0x7, 1, EDX, 1u << 4 | 1u << 5 | 1u << 10 | 1u << 19 }, /* AVX-VNNI-INT8 and others */
    { 0x80000001, 0, ECX, 1u << 11 | 1u << 15 | 1u << 16 },   /* XOP, LWP, FMA4 */
};

static void hide_xsave(struct kvm_cpuid2 *c)
{
    struct kvm_cpuid_entry2 *basic = find(c, LEAF_BASIC, 0);
    unsigned n = 0;

    for (size_t i = 0; i < sizeof(xsave_features) / sizeof(xsave_features[0]); i++) {
        struct kvm_cpuid_entry2 *e = find(c, xsave_features[i].function, xsave_features[i].index);
        uint32_t *reg[] = { e ? &e->eax : NULL, e ? &e->ebx : NULL, e ? &e->ecx : NULL,
                            e ? &e->edx : NULL };

        if (e)
            *reg[xsave_features[i].reg] &= ~xsave_features[i].bits;
    }
    /* Linux reads leaf D where leaf 0 says that there is one, and ends itself if it finds neither
     * form of compaction there. */
    if (basic && basic->eax >= LEAF_XSAVE)
        basic->eax = LEAF_XSAVE - 1;
    for (unsigned i = 0; i < c->nent; i++) {
        if (c->entries[i].function < LEAF_XSAVE || c->entries[i].function >= 0x40000000)
            c->entries[n++] = c->entries[i];
    }
    c->nent = n;
}

enum bawn_status bawn_snp_fix_cpuid(struct kvm_cpuid2 *cpuid, unsigned room, struct bawn_error *err)
{
    const struct kvm_cpuid_entry2 *xsave = find(cpuid, LEAF_XSAVE, 1);

    if (!xsave || !(xsave->eax & XSAVE_COMPACTS))
        hide_xsave(cpuid);
    return fix_sev(cpuid, room, err);
}

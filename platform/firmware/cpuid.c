// SPDX-License-Identifier: Apache-2.0
/*
 * What a guest may be told of its processor: the CPUID page of a launch, and the CPUID message.
 * The table is the host's and hostile. A value that promises more than the processor offers is
 * corrected, and the caller told so. AMD 56860 rev 1.55, 8.17.2.6; the meaning of the leaves is
 * of AMD APM volume 3, appendix E.
 */
#include "platform/firmware/parts.h"

enum how {
    ANY,    /* depends on the vCPU, or does not matter */
    EQUAL,  /* the processor's value */
    SUBSET, /* feature bits: none that the processor does not have */
    AT_MOST,
};

enum { EAX, EBX, ECX, EDX, REGISTERS };

#define ALL_SUBLEAVES 0xffffffffu

static const struct rule {
    uint32_t leaf, subleaf;
    enum how how[REGISTERS];
    uint32_t also[REGISTERS]; /* bits that a hypervisor provides by itself */
} rules[] = {
    { 0x00000000, ALL_SUBLEAVES, { AT_MOST, EQUAL, EQUAL, EQUAL }, { 0 } },
    /* ECX: x2APIC, TSC deadline timer, OSXSAVE, hypervisor. EDX: HTT. */
    { 0x00000001, ALL_SUBLEAVES, { ANY, ANY, SUBSET, SUBSET }, { 0, 0, 0x89200000, 0x10000000 } },
    { 0x00000007, 0, { AT_MOST, SUBSET, SUBSET, SUBSET }, { 0 } },
    { 0x00000007, 1, { SUBSET, SUBSET, SUBSET, SUBSET }, { 0 } },
    { 0x0000000d, 0, { SUBSET, ANY, AT_MOST, SUBSET }, { 0 } },
    { 0x0000000d, 1, { SUBSET, ANY, SUBSET, SUBSET }, { 0 } },
    { 0x80000000, ALL_SUBLEAVES, { ANY, EQUAL, EQUAL, EQUAL }, { 0 } },
    { 0x80000001, ALL_SUBLEAVES, { ANY, ANY, SUBSET, SUBSET }, { 0 } },
};

/* Leaf 0x8000001f says where the C-bit is; it is the platform's own, as no processor that this
 * runs on need have it. */
#define LEAF_SEV 0x8000001fu
#define SEV_EAX_NEEDED 0x1au   /* SEV, SEV-ES, SEV-SNP */
#define SEV_EAX_OFFERED 0x43fu /* and SME, PAGE_FLUSH MSR, VMPL, coherent caches */
#define SEV_EBX_C_BIT 0x3fu

static bool correct(uint32_t *value, enum how how, uint32_t offered, uint32_t also)
{
    uint32_t right = *value;

    if (how == EQUAL)
        right = offered;
    else if (how == SUBSET)
        right &= offered | also;
    else if (how == AT_MOST && right > offered)
        right = offered;
    if (right == *value)
        return true;
    *value = right;
    return false;
}

static const struct bawn_psp_cpuid_function *offered(const struct psp *psp, uint32_t leaf,
                                                     uint32_t subleaf)
{
    for (size_t i = 0; i < psp->nr_offer; i++)
        if (psp->offer[i].eax_in == leaf &&
            (subleaf == ALL_SUBLEAVES || psp->offer[i].ecx_in == subleaf))
            return &psp->offer[i];
    return NULL;
}

static bool correct_by_rule(const struct psp *psp, const struct rule *rule,
                            struct bawn_psp_cpuid_function *f)
{
    const struct bawn_psp_cpuid_function *o = offered(psp, rule->leaf, rule->subleaf);
    uint32_t value[REGISTERS] = { f->eax, f->ebx, f->ecx, f->edx };
    uint32_t limit[REGISTERS];
    bool good = true;

    if (!o)
        return true;
    limit[EAX] = o->eax, limit[EBX] = o->ebx, limit[ECX] = o->ecx, limit[EDX] = o->edx;
    for (unsigned i = 0; i < REGISTERS; i++)
        good &= correct(&value[i], rule->how[i], limit[i], rule->also[i]);
    f->eax = value[EAX], f->ebx = value[EBX], f->ecx = value[ECX], f->edx = value[EDX];
    return good;
}

static bool correct_sev(const struct psp *psp, struct bawn_psp_cpuid_function *f)
{
    uint32_t eax = (f->eax & SEV_EAX_OFFERED) | SEV_EAX_NEEDED, ebx = f->ebx;
    bool good;

    if (psp->c_bit)
        ebx = (ebx & ~SEV_EBX_C_BIT) | psp->c_bit;
    good = eax == f->eax && ebx == f->ebx;
    f->eax = eax;
    f->ebx = ebx;
    return good;
}

bool psp_cpuid_correct(const struct psp *psp, struct bawn_psp_cpuid_function *f, uint32_t n)
{
    bool good = true;

    for (uint32_t i = 0; i < n; i++) {
        if (f[i].reserved) {
            f[i].reserved = 0;
            good = false;
        }
        if (f[i].eax_in == LEAF_SEV)
            good &= correct_sev(psp, &f[i]);
        for (size_t k = 0; k < PSP_COUNT(rules); k++)
            if (rules[k].leaf == f[i].eax_in &&
                (rules[k].subleaf == ALL_SUBLEAVES || rules[k].subleaf == f[i].ecx_in))
                good &= correct_by_rule(psp, &rules[k], &f[i]);
    }
    return good;
}

uint32_t psp_cpuid_page(const struct psp *psp, const uint8_t *in, uint8_t *out)
{
    struct bawn_psp_cpuid_page page;
    bool good;

    memcpy(&page, in, sizeof(page));
    good = page.count <= BAWN_PSP_CPUID_MAX && !page.reserved_04 && !page.reserved_08;
    if (page.count > BAWN_PSP_CPUID_MAX)
        page.count = BAWN_PSP_CPUID_MAX;
    page.reserved_04 = 0;
    page.reserved_08 = 0;
    good &= psp_cpuid_correct(psp, page.function, page.count);
    /* What lies behind the table is nobody's. */
    memset(&page.function[page.count], 0,
           (BAWN_PSP_CPUID_MAX - page.count) * sizeof(page.function[0]));
    memset(page.rest, 0, sizeof(page.rest));
    memcpy(out, &page, sizeof(page));
    return good ? BAWN_PSP_SUCCESS : BAWN_PSP_INVALID_PARAM;
}

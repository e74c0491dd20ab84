// SPDX-License-Identifier: Apache-2.0
/*
 * The products that can be modelled: what their reports and certificates say. The numbers are
 * those of real processors' evidence (tests/vectors/snp).
 */
#include "platform/firmware/parts.h"

static const struct psp_model models[PSP_PRODUCTS] = {
    [PSP_MILAN] = {
        .name = "Milan",
        .cert_name = "Milan-B0",
        .family = 0x19, .model = 0x01, .stepping = 0x01,
        .fms = 0x00a00f11,
        .tcb = {
            [BAWN_SNP_TCB_BOOT_LOADER] = 4,
            [BAWN_SNP_TCB_SNP] = 24,
            [BAWN_SNP_TCB_MICROCODE] = 219,
        },
    },
    [PSP_GENOA] = {
        .name = "Genoa",
        .cert_name = "Genoa",
        .family = 0x19, .model = 0x11, .stepping = 0x01,
        .fms = 0x00a10f11,
        .tcb = {
            [BAWN_SNP_TCB_BOOT_LOADER] = 10,
            [BAWN_SNP_TCB_SNP] = 23,
            [BAWN_SNP_TCB_MICROCODE] = 84,
        },
    },
    [PSP_TURIN] = {
        .name = "Turin",
        .cert_name = "Turin",
        .family = 0x1a, .model = 0x02, .stepping = 0x01,
        .fms = 0x00b00f21,
        .tcb = {
            [BAWN_SNP_TCB_TURIN_FMC] = 1,
            [BAWN_SNP_TCB_TURIN_BOOT_LOADER] = 1,
            [BAWN_SNP_TCB_TURIN_TEE] = 1,
            [BAWN_SNP_TCB_TURIN_SNP] = 4,
            [BAWN_SNP_TCB_TURIN_MICROCODE] = 81,
        },
        .turin = true,
    },
};

const struct psp_fault_name psp_faults[PSP_FAULTS] = {
    { "wrong-tcb", PSP_FAULT_WRONG_TCB },
    { "revoked-vcek", PSP_FAULT_REVOKED_VCEK },
    { "stale-crl", PSP_FAULT_STALE_CRL },
    { "busy", PSP_FAULT_BUSY },
    { "invalid-signature", PSP_FAULT_INVALID_SIGNATURE },
    { "lost-command", PSP_FAULT_LOST_COMMAND },
};

const struct psp_model *psp_model(enum psp_product product)
{
    return &models[product];
}

const char *psp_product_name(enum psp_product product)
{
    return models[product].name;
}

bool psp_product_find(const char *name, enum psp_product *product)
{
    for (unsigned i = 0; i < PSP_PRODUCTS; i++) {
        if (strcmp(models[i].name, name) != 0)
            continue;
        *product = (enum psp_product)i;
        return true;
    }
    return false;
}

bool psp_tcb_at_most(const uint8_t *a, const uint8_t *b)
{
    for (unsigned i = 0; i < BAWN_SNP_TCB_SIZE; i++)
        if (a[i] > b[i])
            return false;
    return true;
}

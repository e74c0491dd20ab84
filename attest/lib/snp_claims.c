// SPDX-License-Identifier: Apache-2.0
/*
 * The fields of an SNP report as claims, named as in AMD 56860 rev 1.58, 7.3; and the layouts
 * of TCB versions. Nothing here is judged.
 */
#include "attest/lib/snp.h"

#define AT(field) \
    offsetof(struct bawn_snp_report, field), sizeof(((struct bawn_snp_report *)0)->field)

/* Numbers and bytes, and the version of the report since which each is there. */
static const struct {
    const char *name;
    size_t offset, len;
    bool number;
    uint8_t since;
} fields[] = {
    { "snp.version", AT(version), true, 2 },
    { "snp.guest_svn", AT(guest_svn), true, 2 },
    { "snp.policy", AT(policy), true, 2 },
    { "snp.family_id", AT(family_id), false, 2 },
    { "snp.image_id", AT(image_id), false, 2 },
    { "snp.vmpl", AT(vmpl), true, 2 },
    { "snp.signature_algo", AT(signature_algo), true, 2 },
    { "snp.platform_info", AT(platform_info), true, 2 },
    { "snp.report_data", AT(report_data), false, 2 },
    { "snp.measurement", AT(measurement), false, 2 },
    { "snp.host_data", AT(host_data), false, 2 },
    { "snp.id_key_digest", AT(id_key_digest), false, 2 },
    { "snp.author_key_digest", AT(author_key_digest), false, 2 },
    { "snp.report_id", AT(report_id), false, 2 },
    { "snp.report_id_ma", AT(report_id_ma), false, 2 },
    { "snp.cpuid_fam_id", AT(cpuid_fam_id), true, 3 },
    { "snp.cpuid_mod_id", AT(cpuid_mod_id), true, 3 },
    { "snp.cpuid_step", AT(cpuid_step), true, 3 },
    { "snp.chip_id", AT(chip_id), false, 2 },
    { "snp.current_build", AT(current_build), true, 2 },
    { "snp.current_minor", AT(current_minor), true, 2 },
    { "snp.current_major", AT(current_major), true, 2 },
    { "snp.committed_build", AT(committed_build), true, 2 },
    { "snp.committed_minor", AT(committed_minor), true, 2 },
    { "snp.committed_major", AT(committed_major), true, 2 },
    { "snp.launch_mit_vector", AT(launch_mit_vector), true, 5 },
    { "snp.current_mit_vector", AT(current_mit_vector), true, 5 },
    { "snp.signature.r", AT(signature.r), false, 2 },
    { "snp.signature.s", AT(signature.s), false, 2 },
};

static const struct {
    const char *name;
    uint64_t bit;
} policy_bits[] = {
    { "snp.policy.smt", BAWN_SNP_POLICY_SMT },
    { "snp.policy.migrate_ma", BAWN_SNP_POLICY_MIGRATE_MA },
    { "snp.policy.debug", BAWN_SNP_POLICY_DEBUG },
    { "snp.policy.single_socket", BAWN_SNP_POLICY_SINGLE_SOCKET },
    { "snp.policy.cxl_allow", BAWN_SNP_POLICY_CXL_ALLOW },
    { "snp.policy.mem_aes_256_xts", BAWN_SNP_POLICY_MEM_AES_256_XTS },
    { "snp.policy.rapl_dis", BAWN_SNP_POLICY_RAPL_DIS },
    { "snp.policy.ciphertext_hiding_dram", BAWN_SNP_POLICY_CIPHERTEXT_HIDING_DRAM },
    { "snp.policy.page_swap_disable", BAWN_SNP_POLICY_PAGE_SWAP_DISABLE },
}, platform_bits[] = {
    { "snp.platform_info.smt_en", BAWN_SNP_PLATFORM_SMT_EN },
    { "snp.platform_info.tsme_en", BAWN_SNP_PLATFORM_TSME_EN },
    { "snp.platform_info.ecc_en", BAWN_SNP_PLATFORM_ECC_EN },
    { "snp.platform_info.rapl_dis", BAWN_SNP_PLATFORM_RAPL_DIS },
    { "snp.platform_info.ciphertext_hiding_dram_en",
      BAWN_SNP_PLATFORM_CIPHERTEXT_HIDING_DRAM_EN },
    { "snp.platform_info.alias_check_complete", BAWN_SNP_PLATFORM_ALIAS_CHECK_COMPLETE },
    { "snp.platform_info.iommu_write_safe", BAWN_SNP_PLATFORM_IOMMU_WRITE_SAFE },
    { "snp.platform_info.tio_en", BAWN_SNP_PLATFORM_TIO_EN },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- TCB versions: AMD 56860 rev 1.58, 2.2; the OIDs are AMD 57230's ---- */

static const struct snp_tcb_part layout_before_turin[SNP_TCB_PARTS] = {
    { "fmc", "fmcSPL", 0, 0 },
    { "boot_loader", "blSPL", 1, BAWN_SNP_TCB_BOOT_LOADER },
    { "tee", "teeSPL", 2, BAWN_SNP_TCB_TEE },
    { "snp", "snpSPL", 3, BAWN_SNP_TCB_SNP },
    { "microcode", "ucodeSPL", 8, BAWN_SNP_TCB_MICROCODE },
    { NULL, NULL, 4, 2 },
    { NULL, NULL, 5, 3 },
    { NULL, NULL, 6, 4 },
    { NULL, NULL, 7, 5 },
};

static const struct snp_tcb_part layout_turin[SNP_TCB_PARTS] = {
    { "fmc", "fmcSPL", 9, BAWN_SNP_TCB_TURIN_FMC },
    { "boot_loader", "blSPL", 1, BAWN_SNP_TCB_TURIN_BOOT_LOADER },
    { "tee", "teeSPL", 2, BAWN_SNP_TCB_TURIN_TEE },
    { "snp", "snpSPL", 3, BAWN_SNP_TCB_TURIN_SNP },
    { "microcode", "ucodeSPL", 8, BAWN_SNP_TCB_TURIN_MICROCODE },
    { NULL, NULL, 5, 4 },
    { NULL, NULL, 6, 5 },
    { NULL, NULL, 7, 6 },
    { NULL, NULL, 0, 0 },
};

const struct snp_tcb_part *snp_tcb_layout(bool turin)
{
    return turin ? layout_turin : layout_before_turin;
}

struct tcb_names {
    const char *whole, *part[SNP_TCB_NAMED];
};

/* clang-format off */
#define TCB_NAMES(tcb) \
    { tcb, { tcb ".fmc", tcb ".boot_loader", tcb ".tee", tcb ".snp", tcb ".microcode" } }
/* clang-format on */

static const struct tcb_names reported_names = TCB_NAMES("snp.reported_tcb");
static const struct tcb_names current_names = TCB_NAMES("snp.current_tcb");
static const struct tcb_names committed_names = TCB_NAMES("snp.committed_tcb");
static const struct tcb_names launch_names = TCB_NAMES("snp.launch_tcb");

const char *snp_reported_tcb_claim(unsigned part)
{
    return part < SNP_TCB_NAMED ? reported_names.part[part] : reported_names.whole;
}

static void claim_tcb(struct verification *v, const struct snp_report *report,
                      const struct tcb_names *names, const uint8_t *tcb)
{
    const struct snp_tcb_part *part = snp_tcb_layout(report->turin);

    claim_bytes(v->r, names->whole, tcb, BAWN_SNP_TCB_SIZE);
    if (report->version >= BAWN_SNP_REPORT_V3 && report->line == SNP_LINE_UNKNOWN)
        return; /* nor is its layout known */
    for (unsigned i = 0; i < SNP_TCB_NAMED; i++)
        if (part[i].arc)
            claim_uint(v->r, names->part[i], tcb[part[i].byte]);
}

/* ---- All of it ---- */

static const char *signing_key_text(unsigned key)
{
    switch (key) {
    case BAWN_SNP_SIGNED_BY_VCEK:
        return "VCEK";
    case BAWN_SNP_SIGNED_BY_VLEK:
        return "VLEK";
    case BAWN_SNP_SIGNED_BY_NONE:
        return "NONE";
    default:
        return "reserved";
    }
}

void snp_report_claims(struct verification *v, const struct snp_report *report)
{
    struct bawn_cursor c = bawn_cursor_over(report->whole.data, report->whole.len);
    struct bawn_attest_result *r = v->r;

    for (size_t i = 0; i < COUNT(fields); i++) {
        if (report->version < fields[i].since)
            continue;
        bawn_cursor_seek(&c, fields[i].offset);
        if (fields[i].number)
            claim_uint(r, fields[i].name, bawn_cursor_le(&c, (unsigned)fields[i].len));
        else
            claim_bytes(r, fields[i].name, bawn_cursor_take(&c, fields[i].len), fields[i].len);
    }
    claim_uint(r, "snp.policy.abi_minor", report->policy & BAWN_SNP_POLICY_ABI_MINOR);
    claim_uint(r, "snp.policy.abi_major",
               (report->policy & BAWN_SNP_POLICY_ABI_MAJOR) >> BAWN_SNP_POLICY_ABI_MAJOR_SHIFT);
    for (size_t i = 0; i < COUNT(policy_bits); i++)
        claim_bool(r, policy_bits[i].name, report->policy & policy_bits[i].bit);
    for (size_t i = 0; i < COUNT(platform_bits); i++)
        claim_bool(r, platform_bits[i].name, report->platform_info & platform_bits[i].bit);
    claim_bool(r, "snp.author_key_en", report->key_info & BAWN_SNP_KEY_AUTHOR_KEY_EN);
    claim_bool(r, "snp.mask_chip_key", report->key_info & BAWN_SNP_KEY_MASK_CHIP_KEY);
    claim_text(r, "snp.signing_key", signing_key_text(snp_signing_key(report)));
    claim_tcb(v, report, &current_names, report->current_tcb);
    claim_tcb(v, report, &reported_names, report->reported_tcb);
    claim_tcb(v, report, &committed_names, report->committed_tcb);
    claim_tcb(v, report, &launch_names, report->launch_tcb);
}

// SPDX-License-Identifier: Apache-2.0
/* The fields of a report as claims: each from its own place, and every bit by its name. */
#include "tests/unit/attest/snp_made.h"

/* Parses and claims without judging, so that every value may be odd. */
static struct bawn_attest_result *claims_of(const struct bawn_snp_report *bytes)
{
    struct bawn_attest_result *r = bawn_attest_result_create();
    struct verification v = { .r = r, .arena = &r->arena };
    struct snp_report report;

    assert_true(snp_report_parse(&v, (struct bawn_bytes){ (const uint8_t *)bytes, sizeof(*bytes) },
                                 &report));
    snp_report_claims(&v, &report);
    return r;
}

/* Bytes that tell where they come from; a version and processor that are known. */
static struct bawn_snp_report pattern(void)
{
    struct bawn_snp_report report;

    for (size_t i = 0; i < sizeof(report); i++)
        ((uint8_t *)&report)[i] = (uint8_t)(i * 7 + (i >> 8));
    report.version = 5;
    report.cpuid_fam_id = 0x1a;
    report.cpuid_mod_id = 0x11;
    return report;
}

#define BYTES(field)                                            \
    {                                                           \
        "snp." #field, offsetof(struct bawn_snp_report, field), \
            sizeof(((struct bawn_snp_report *)0)->field)        \
    }

static void bytes(void **state)
{
    static const struct {
        const char *name;
        size_t offset, len;
    } fields[] = {
        BYTES(family_id),     BYTES(image_id),     BYTES(current_tcb),   BYTES(report_data),
        BYTES(measurement),   BYTES(host_data),    BYTES(id_key_digest), BYTES(author_key_digest),
        BYTES(report_id),     BYTES(report_id_ma), BYTES(reported_tcb),  BYTES(chip_id),
        BYTES(committed_tcb), BYTES(launch_tcb),   BYTES(signature.r),   BYTES(signature.s),
    };
    struct bawn_snp_report report = pattern();
    struct bawn_attest_result *r = claims_of(&report);

    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct bawn_claim *claim = bawn_attest_result_claim(r, fields[i].name);

        assert_non_null(claim);
        assert_int_equal(claim->kind, BAWN_CLAIM_BYTES);
        assert_int_equal(claim->bytes.len, fields[i].len);
        assert_memory_equal(claim->bytes.data, (uint8_t *)&report + fields[i].offset,
                            fields[i].len);
    }
    bawn_attest_result_destroy(r);
}

static void numbers(void **state)
{
    struct bawn_snp_report report = pattern();
    struct bawn_attest_result *r = claims_of(&report);
    const struct {
        const char *name;
        uint64_t value;
    } expected[] = {
        { "snp.version", 5 },
        { "snp.guest_svn", report.guest_svn },
        { "snp.policy", report.policy },
        { "snp.policy.abi_minor", report.policy & 0xff },
        { "snp.policy.abi_major", report.policy >> 8 & 0xff },
        { "snp.vmpl", report.vmpl },
        { "snp.signature_algo", report.signature_algo },
        { "snp.platform_info", report.platform_info },
        { "snp.cpuid_fam_id", 0x1a },
        { "snp.cpuid_mod_id", 0x11 },
        { "snp.cpuid_step", report.cpuid_step },
        { "snp.current_build", report.current_build },
        { "snp.current_minor", report.current_minor },
        { "snp.current_major", report.current_major },
        { "snp.committed_build", report.committed_build },
        { "snp.committed_minor", report.committed_minor },
        { "snp.committed_major", report.committed_major },
        { "snp.launch_mit_vector", report.launch_mit_vector },
        { "snp.current_mit_vector", report.current_mit_vector },
        { "snp.current_tcb.fmc", report.current_tcb[0] },
        { "snp.reported_tcb.boot_loader", report.reported_tcb[1] },
        { "snp.committed_tcb.tee", report.committed_tcb[2] },
        { "snp.launch_tcb.snp", report.launch_tcb[3] },
        { "snp.reported_tcb.microcode", report.reported_tcb[7] },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct bawn_claim *claim = bawn_attest_result_claim(r, expected[i].name);

        assert_non_null(claim);
        assert_int_equal(claim->kind, BAWN_CLAIM_UINT);
        assert_int_equal(claim->uint, expected[i].value);
    }
    bawn_attest_result_destroy(r);
}

/* The layout before Turin; and that its claims have no FMC. */
static void tcb_before_turin(void **state)
{
    struct bawn_snp_report report = pattern();
    struct bawn_attest_result *r;

    (void)state;
    report.cpuid_fam_id = 0x19;
    report.cpuid_mod_id = 0xa0;
    r = claims_of(&report);
    assert_int_equal(bawn_attest_result_claim(r, "snp.current_tcb.boot_loader")->uint,
                     report.current_tcb[0]);
    assert_int_equal(bawn_attest_result_claim(r, "snp.reported_tcb.tee")->uint,
                     report.reported_tcb[1]);
    assert_int_equal(bawn_attest_result_claim(r, "snp.committed_tcb.snp")->uint,
                     report.committed_tcb[6]);
    assert_int_equal(bawn_attest_result_claim(r, "snp.launch_tcb.microcode")->uint,
                     report.launch_tcb[7]);
    assert_null(bawn_attest_result_claim(r, "snp.current_tcb.fmc"));
    bawn_attest_result_destroy(r);
}

static const struct {
    const char *name;
    bool policy;
    unsigned bit;
} bits[] = {
    { "snp.policy.smt", true, 16 },
    { "snp.policy.migrate_ma", true, 18 },
    { "snp.policy.debug", true, 19 },
    { "snp.policy.single_socket", true, 20 },
    { "snp.policy.cxl_allow", true, 21 },
    { "snp.policy.mem_aes_256_xts", true, 22 },
    { "snp.policy.rapl_dis", true, 23 },
    { "snp.policy.ciphertext_hiding_dram", true, 24 },
    { "snp.policy.page_swap_disable", true, 25 },
    { "snp.platform_info.smt_en", false, 0 },
    { "snp.platform_info.tsme_en", false, 1 },
    { "snp.platform_info.ecc_en", false, 2 },
    { "snp.platform_info.rapl_dis", false, 3 },
    { "snp.platform_info.ciphertext_hiding_dram_en", false, 4 },
    { "snp.platform_info.alias_check_complete", false, 5 },
    { "snp.platform_info.iommu_write_safe", false, 6 },
    { "snp.platform_info.tio_en", false, 7 },
};

/* With one bit set, its claim alone is true. */
static void every_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bits); i++) {
        struct bawn_snp_report report = snp_made_report(5, "Genoa");
        struct bawn_attest_result *r;

        report.policy = bits[i].policy ? 1ull << bits[i].bit : 0;
        report.platform_info = bits[i].policy ? 0 : 1ull << bits[i].bit;
        r = claims_of(&report);
        for (size_t k = 0; k < COUNT(bits); k++) {
            const struct bawn_claim *claim = bawn_attest_result_claim(r, bits[k].name);

            assert_non_null(claim);
            assert_int_equal(claim->kind, BAWN_CLAIM_BOOL);
            assert_int_equal(claim->boolean, k == i);
        }
        bawn_attest_result_destroy(r);
    }
}

static void key_info(void **state)
{
    static const struct {
        uint32_t info;
        const char *author, *mask, *key;
    } cases[] = {
        { 0, "false", "false", "VCEK" },      { 1, "true", "false", "VCEK" },
        { 2, "false", "true", "VCEK" },       { 1 << 2, "false", "false", "VLEK" },
        { 7 << 2, "false", "false", "NONE" }, { 3 << 2 | 3, "true", "true", "reserved" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bawn_snp_report report = snp_made_report(3, "Milan");
        struct bawn_attest_result *r;

        report.key_info = cases[i].info;
        r = claims_of(&report);
        assert_string_equal(snp_claim_text(r, "snp.author_key_en"), cases[i].author);
        assert_string_equal(snp_claim_text(r, "snp.mask_chip_key"), cases[i].mask);
        assert_string_equal(snp_claim_text(r, "snp.signing_key"), cases[i].key);
        bawn_attest_result_destroy(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes),     cmocka_unit_test(numbers),  cmocka_unit_test(tcb_before_turin),
        cmocka_unit_test(every_bit), cmocka_unit_test(key_info),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

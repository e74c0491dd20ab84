// SPDX-License-Identifier: Apache-2.0
/*
 * What a report says of itself, in reports that are signed and endorsed as they should be: each
 * field that must not be so is refused, or warned of, by its own check.
 */
#include "tests/unit/attest/snp_made.h"

static struct snp_made milan;

static int setup(void **state)
{
    (void)state;
    snp_made_create(&milan, "Milan");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    snp_made_destroy(&milan);
    return 0;
}

static enum bawn_verdict judge(struct bawn_snp_report *report)
{
    struct pki_amd amd = snp_made_amd(&milan, report);

    return snp_made_judge(&milan, report, snp_made_cert(&milan, &amd));
}

static void versions(void **state)
{
    (void)state;
    for (uint32_t version = 0; version < 8; version++) {
        struct bawn_snp_report report = snp_made_report(version, "Milan");
        bool known = version >= 2 && version <= 5;

        assert_int_equal(judge(&report), known ? BAWN_TRUSTED : BAWN_CANNOT_JUDGE);
        if (!known)
            assert_snp_finding(milan.judge.result, BAWN_FINDING_MISSING, "snp.version",
                               "snp.version");
        assert_int_equal(!!bawn_attest_result_claim(milan.judge.result, "snp.cpuid_step"),
                         version >= 3 && known);
        assert_int_equal(!!bawn_attest_result_claim(milan.judge.result, "snp.launch_mit_vector"),
                         version == 5);
    }
}

static void foreign_root_is_said(void **state)
{
    struct bawn_snp_report report = snp_made_report(3, "Milan");

    (void)state;
    assert_int_equal(judge(&report), BAWN_TRUSTED);
    assert_string_equal(bawn_attest_result_foreign_root(milan.judge.result), "ARK-Milan");
}

static void sizes(void **state)
{
    struct bawn_snp_report report = snp_made_report(3, "Milan");
    uint8_t longer[BAWN_SNP_REPORT_SIZE + 1] = { 0 };
    struct pki_amd amd = snp_made_amd(&milan, &report);
    const struct bawn_bytes given[] = { milan.ask->der, snp_made_cert(&milan, &amd)->der };

    (void)state;
    snp_made_sign(&milan, &report, milan.key);
    memcpy(longer, &report, sizeof(report));
    longer[BAWN_SNP_REPORT_SIZE] = 1;
    assert_int_equal(
        snp_judge(&milan.judge, (struct bawn_bytes){ longer, sizeof(longer) }, given, 2),
        BAWN_CANNOT_JUDGE);
    assert_int_equal(
        snp_judge(&milan.judge, (struct bawn_bytes){ longer, sizeof(report) }, given, 2),
        BAWN_TRUSTED);
}

/* Each reserved byte that is not zero, although it is signed. */
static void reserved_bytes(void **state)
{
    static const struct {
        uint32_t version;
        unsigned first, last;
    } fields[] = {
        { 2, 0x4c, 0x4f },   { 2, 0x188, 0x19f }, { 3, 0x18b, 0x19f }, { 5, 0x18b, 0x19f },
        { 3, 0x1eb, 0x1eb }, { 3, 0x1ef, 0x1ef }, { 2, 0x1f8, 0x207 }, { 3, 0x1f8, 0x29f },
        { 4, 0x208, 0x29f }, { 5, 0x208, 0x29f }, { 5, 0x4c, 0x4f },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        for (unsigned at = fields[i].first; at <= fields[i].last; at += 5) {
            struct bawn_snp_report report = snp_made_report(fields[i].version, "Milan");

            ((uint8_t *)&report)[at] = 0x80;
            assert_int_equal(judge(&report), BAWN_NOT_TRUSTED);
            assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.reserved", NULL);
            assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.reserved");
        }
    }
}

static void reserved_tcb_bytes(void **state)
{
    static const size_t offsets[] = {
        offsetof(struct bawn_snp_report, current_tcb),
        offsetof(struct bawn_snp_report, committed_tcb),
        offsetof(struct bawn_snp_report, launch_tcb),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(offsets); i++) {
        struct bawn_snp_report report = snp_made_report(3, "Milan");

        ((uint8_t *)&report)[offsets[i] + 3] = 1;
        assert_int_equal(judge(&report), BAWN_NOT_TRUSTED);
        assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.reserved", NULL);
    }
}

/* Numbers of more than 48 bytes, and anything behind the signature. */
static void signature_form(void **state)
{
    static const unsigned offsets[] = {
        0x2a0 + 48, 0x2a0 + 71, 0x2e8 + 48, 0x2e8 + 71, 0x330, 0x49f
    };
    struct bawn_snp_report report = snp_made_report(3, "Milan");
    struct pki_amd amd = snp_made_amd(&milan, &report);
    const struct bawn_bytes given[] = { milan.ask->der, snp_made_cert(&milan, &amd)->der };
    const struct bawn_bytes bytes = { (const uint8_t *)&report, sizeof(report) };

    (void)state;
    snp_made_sign(&milan, &report, milan.key);
    for (size_t i = 0; i < COUNT(offsets); i++) {
        ((uint8_t *)&report)[offsets[i]] = 1;
        assert_int_equal(snp_judge(&milan.judge, bytes, given, 2), BAWN_NOT_TRUSTED);
        assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.signature-format", NULL);
        assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.signature-format");
        ((uint8_t *)&report)[offsets[i]] = 0;
    }
    assert_int_equal(snp_judge(&milan.judge, bytes, given, 2), BAWN_TRUSTED);
    /* r as large as the curve's order, and zero. */
    memset(report.signature.r, 0xff, 48);
    assert_int_equal(snp_judge(&milan.judge, bytes, given, 2), BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.signature", NULL);
    memset(report.signature.r, 0, 48);
    memset(report.signature.s, 0, 48);
    assert_int_equal(snp_judge(&milan.judge, bytes, given, 2), BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.signature", NULL);
}

/* One field changed in a good report of version 3, before it is signed. */
struct change {
    size_t offset;
    unsigned len;
    uint64_t value;
    enum bawn_finding_level level;
    const char *check, *claim;
};

#define FIELD(name) \
    offsetof(struct bawn_snp_report, name), sizeof(((struct bawn_snp_report *)0)->name)

static void fields(void **state)
{
    static const struct change changes[] = {
        { FIELD(policy), 0xb001f, BAWN_FINDING_REFUSED, "snp.debug", "snp.policy.debug" },
        { FIELD(policy), 0x7001f, BAWN_FINDING_WARNING, "snp.migration", "snp.policy.migrate_ma" },
        { FIELD(policy), 0x1001f, BAWN_FINDING_REFUSED, "snp.policy", "snp.policy" },
        { FIELD(policy), 0x403001f, BAWN_FINDING_REFUSED, "snp.policy", "snp.policy" },
        { FIELD(policy), 1ull << 63 | 0x3001f, BAWN_FINDING_REFUSED, "snp.policy", "snp.policy" },
        { FIELD(vmpl), 4, BAWN_FINDING_REFUSED, "snp.vmpl", "snp.vmpl" },
        { FIELD(vmpl), 0xffffffff, BAWN_FINDING_WARNING, "snp.vmpl", "snp.vmpl" },
        { FIELD(signature_algo), 0, BAWN_FINDING_REFUSED, "snp.signature-algorithm",
          "snp.signature_algo" },
        { FIELD(signature_algo), 2, BAWN_FINDING_REFUSED, "snp.signature-algorithm",
          "snp.signature_algo" },
        { FIELD(platform_info), 0x125, BAWN_FINDING_WARNING, "snp.platform-info",
          "snp.platform_info" },
        { FIELD(platform_info), 0x05, BAWN_FINDING_WARNING, "snp.alias-check",
          "snp.platform_info.alias_check_complete" },
        { FIELD(key_info), 0x20, BAWN_FINDING_REFUSED, "snp.key-info", "snp.signing_key" },
        { FIELD(key_info), 7 << 2, BAWN_FINDING_REFUSED, "snp.signing-key", "snp.signing_key" },
        { FIELD(key_info), 1, BAWN_FINDING_WARNING, "snp.author-key", "snp.author_key_en" },
        { FIELD(committed_build), 28, BAWN_FINDING_WARNING, "snp.provisional",
          "snp.committed_tcb" },
        { FIELD(committed_build), 30, BAWN_FINDING_REFUSED, "snp.tcb-order", "snp.reported_tcb" },
        { FIELD(committed_tcb), 0xda18000000000104, BAWN_FINDING_WARNING, "snp.provisional",
          "snp.committed_tcb" },
        { FIELD(committed_tcb), 0xdc18000000000104, BAWN_FINDING_REFUSED, "snp.tcb-order",
          "snp.reported_tcb" },
        { FIELD(reported_tcb), 0xdb19000000000104, BAWN_FINDING_REFUSED, "snp.tcb-order",
          "snp.reported_tcb" },
        { FIELD(launch_tcb), 0xdb19000000000104, BAWN_FINDING_WARNING, "snp.tcb-launch",
          "snp.launch_tcb" },
        { FIELD(cpuid_fam_id), 0x17, BAWN_FINDING_MISSING, "snp.product", "snp.cpuid_fam_id" },
        { FIELD(cpuid_mod_id), 0x20, BAWN_FINDING_MISSING, "snp.product", "snp.cpuid_fam_id" },
    };
    static const enum bawn_verdict verdicts[] = {
        [BAWN_FINDING_WARNING] = BAWN_TRUSTED,
        [BAWN_FINDING_MISSING] = BAWN_CANNOT_JUDGE,
        [BAWN_FINDING_REFUSED] = BAWN_NOT_TRUSTED,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct bawn_snp_report report = snp_made_report(3, "Milan");

        memcpy((uint8_t *)&report + changes[i].offset, &changes[i].value, changes[i].len);
        assert_int_equal(judge(&report), verdicts[changes[i].level]);
        assert_snp_finding(milan.judge.result, changes[i].level, changes[i].check,
                           changes[i].claim);
        assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, changes[i].check);
    }
}

/* The reported TCB may lag behind; above what is committed it is only warned of. */
static void tcb_relations(void **state)
{
    struct bawn_snp_report report = snp_made_report(3, "Milan");

    (void)state;
    report.reported_tcb[7] = 200;
    assert_int_equal(judge(&report), BAWN_TRUSTED);
    assert_int_equal(
        snp_findings(milan.judge.result, BAWN_FINDING_WARNING, "snp.tcb-committed", NULL), 0);
    report.committed_tcb[7] = 199;
    assert_int_equal(judge(&report), BAWN_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_WARNING, "snp.tcb-committed", NULL);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_WARNING, "snp.provisional", NULL);
}

/* Version 2 knows no alias check, so its absence says nothing. */
static void no_alias_check_in_version_2(void **state)
{
    struct bawn_snp_report report = snp_made_report(2, "Milan");

    (void)state;
    report.platform_info = 1;
    assert_int_equal(judge(&report), BAWN_TRUSTED);
    assert_int_equal(
        snp_findings(milan.judge.result, BAWN_FINDING_WARNING, "snp.alias-check", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),
        cmocka_unit_test(foreign_root_is_said),
        cmocka_unit_test(sizes),
        cmocka_unit_test(reserved_bytes),
        cmocka_unit_test(reserved_tcb_bytes),
        cmocka_unit_test(signature_form),
        cmocka_unit_test(fields),
        cmocka_unit_test(tcb_relations),
        cmocka_unit_test(no_alias_check_in_version_2),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

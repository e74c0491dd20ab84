// SPDX-License-Identifier: Apache-2.0
/*
 * What a VCEK or VLEK certificate must say to be a report's: kind, product, chip and TCB. All
 * certificates here are properly issued and their key signs the report; only what they say is
 * at fault.
 */
#include "tests/unit/attest/snp_made.h"

static struct snp_made milan, genoa, turin;

static int setup(void **state)
{
    (void)state;
    snp_made_create(&milan, "Milan");
    snp_made_create(&genoa, "Genoa");
    snp_made_create(&turin, "Turin");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    snp_made_destroy(&milan);
    snp_made_destroy(&genoa);
    snp_made_destroy(&turin);
    return 0;
}

/* ---- TCB ---- */

static void patch_levels(struct snp_made *m, const char *line, const char *const *claims, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct bawn_snp_report report = snp_made_report(5, line);
        struct pki_amd amd = snp_made_amd(m, &report);
        uint8_t *const levels[] = { &amd.boot_loader, &amd.tee, &amd.snp, &amd.microcode,
                                    &amd.fmc };

        for (int step = -1; step <= 1; step += 2) {
            *levels[i] = (uint8_t)(*levels[i] + step);
            assert_int_equal(snp_made_judge(m, &report, snp_made_cert(m, &amd)), BAWN_NOT_TRUSTED);
            assert_snp_finding(m->judge.result, BAWN_FINDING_REFUSED, "snp.tcb-extension",
                               claims[i]);
            assert_snp_only(m->judge.result, BAWN_FINDING_MISSING, "snp.tcb-extension");
            *levels[i] = (uint8_t)(*levels[i] - step);
        }
        assert_int_equal(snp_made_judge(m, &report, snp_made_cert(m, &amd)), BAWN_TRUSTED);
    }
}

static void tcb_components(void **state)
{
    static const char *const claims[] = {
        "snp.reported_tcb.boot_loader", "snp.reported_tcb.tee", "snp.reported_tcb.snp",
        "snp.reported_tcb.microcode",   "snp.reported_tcb.fmc",
    };

    (void)state;
    patch_levels(&milan, "Milan", claims, 4);
    patch_levels(&genoa, "Genoa", claims, 4);
    patch_levels(&turin, "Turin", claims, 5);
}

/* Levels that are absent, or no INTEGER from 0 to 255; a level of 4 is right. */
static void malformed_levels(void **state)
{
    static const struct {
        uint8_t bytes[6];
        size_t len;
    } values[] = {
        { { 0 }, 0 },
        { { 0x04 }, 1 },
        { { 0x04, 0x01, 0x04 }, 3 },
        { { 0x02, 0x02, 0x00, 0x04 }, 4 },
        { { 0x02, 0x01, 0x04, 0x00 }, 4 },
        { { 0x02, 0x02, 0x01, 0x04 }, 4 },
        { { 0x02, 0x81, 0x01, 0x04 }, 4 },
        { { 0x02, 0x01, 0x84 }, 3 },
        { { 0x02, 0x05, 0x04 }, 3 },
    };
    static const uint8_t right[] = { 0x02, 0x01, 0x04 };
    struct bawn_snp_report report = snp_made_report(3, "Milan");
    struct pki_amd amd = snp_made_amd(&milan, &report);

    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        struct bawn_bytes value = { values[i].bytes, values[i].len };

        assert_int_equal(
            snp_made_judge(&milan, &report, snp_made_cert_but(&milan, &amd, "3.1", value)),
            BAWN_NOT_TRUSTED);
        assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.tcb-extension",
                           "snp.reported_tcb.boot_loader");
    }
    assert_int_equal(snp_made_judge(&milan, &report,
                                    snp_made_cert_but(&milan, &amd, "3.1",
                                                      (struct bawn_bytes){ right, sizeof(right) })),
                     BAWN_TRUSTED);
}

/* The levels of reserved components may be absent, but not differ. */
static void reserved_levels(void **state)
{
    static const uint8_t one[] = { 0x02, 0x01, 0x01 };
    struct bawn_snp_report report = snp_made_report(3, "Milan");
    struct pki_amd amd = snp_made_amd(&milan, &report);

    (void)state;
    assert_int_equal(
        snp_made_judge(&milan, &report,
                       snp_made_cert_but(&milan, &amd, "3.6", (struct bawn_bytes){ 0 })),
        BAWN_TRUSTED);
    assert_int_equal(snp_made_judge(&milan, &report,
                                    snp_made_cert_but(&milan, &amd, "3.6",
                                                      (struct bawn_bytes){ one, sizeof(one) })),
                     BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.tcb-extension",
                       "snp.reported_tcb");
}

static void turin_needs_fmc(void **state)
{
    struct bawn_snp_report report = snp_made_report(5, "Turin");
    struct pki_amd amd = snp_made_amd(&turin, &report);

    (void)state;
    assert_int_equal(
        snp_made_judge(&turin, &report,
                       snp_made_cert_but(&turin, &amd, "3.9", (struct bawn_bytes){ 0 })),
        BAWN_NOT_TRUSTED);
    assert_snp_finding(turin.judge.result, BAWN_FINDING_REFUSED, "snp.tcb-extension",
                       "snp.reported_tcb.fmc");
}

/* ---- Chip ---- */

static enum bawn_verdict judge_hwid(struct snp_made *m, const char *line, size_t len, size_t flip)
{
    struct bawn_snp_report report = snp_made_report(3, line);
    struct pki_amd amd = snp_made_amd(m, &report);
    uint8_t hwid[128] = { 0 };

    memcpy(hwid, report.chip_id, 64);
    if (flip < len)
        hwid[flip] ^= 1;
    amd.hwid = (struct bawn_bytes){ hwid, len };
    return snp_made_judge(m, &report, snp_made_cert(m, &amd));
}

static void hwid(void **state)
{
    static const struct {
        struct snp_made *m;
        const char *line;
        size_t right, wrong[5];
    } cases[] = {
        { &milan, "Milan", 64, { 0, 8, 63, 65, 72 } },
        { &turin, "Turin", 8, { 0, 7, 9, 16, 64 } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct snp_made *m = cases[i].m;
        size_t right = cases[i].right;

        assert_int_equal(judge_hwid(m, cases[i].line, right, SIZE_MAX), BAWN_TRUSTED);
        for (size_t k = 0; k < right; k += right - 1) {
            assert_int_equal(judge_hwid(m, cases[i].line, right, k), BAWN_NOT_TRUSTED);
            assert_snp_finding(m->judge.result, BAWN_FINDING_REFUSED, "snp.chip-id", "snp.chip_id");
            assert_snp_only(m->judge.result, BAWN_FINDING_MISSING, "snp.chip-id");
        }
        for (size_t k = 0; k < COUNT(cases[i].wrong); k++) {
            assert_int_equal(judge_hwid(m, cases[i].line, cases[i].wrong[k], SIZE_MAX),
                             BAWN_NOT_TRUSTED);
            assert_snp_finding(m->judge.result, BAWN_FINDING_REFUSED, "snp.chip-id", "snp.chip_id");
        }
    }
}

/* On Turin what follows the eight bytes must be zero. */
static void turin_chip_id_tail(void **state)
{
    struct bawn_snp_report report = snp_made_report(5, "Turin");
    struct pki_amd amd = snp_made_amd(&turin, &report);

    (void)state;
    report.chip_id[63] = 1;
    assert_int_equal(snp_made_judge(&turin, &report, snp_made_cert(&turin, &amd)),
                     BAWN_NOT_TRUSTED);
    assert_snp_finding(turin.judge.result, BAWN_FINDING_REFUSED, "snp.chip-id", "snp.chip_id");
}

static void masked_chip(void **state)
{
    static const struct {
        struct snp_made *m;
        const char *line;
        uint32_t version;
    } cases[] = {
        { &milan, "Milan", 2 },
        { &milan, "Milan", 3 },
        { &turin, "Turin", 2 },
        { &turin, "Turin", 5 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bawn_snp_report report = snp_made_report(cases[i].version, cases[i].line);
        struct pki_amd amd = snp_made_amd(cases[i].m, &report);

        memset(report.chip_id, 0, sizeof(report.chip_id));
        assert_int_equal(snp_made_judge(cases[i].m, &report, snp_made_cert(cases[i].m, &amd)),
                         BAWN_TRUSTED);
        assert_snp_finding(cases[i].m->judge.result, BAWN_FINDING_WARNING, "snp.chip-id",
                           "snp.chip_id");
    }
}

/* A hidden chip ID excuses the HWID's value, not its form. */
static void masked_chip_malformed_hwid(void **state)
{
    struct bawn_snp_report report = snp_made_report(3, "Milan");
    struct pki_amd amd = snp_made_amd(&milan, &report);

    (void)state;
    memset(report.chip_id, 0, sizeof(report.chip_id));
    amd.hwid.len = 8;
    assert_int_equal(snp_made_judge(&milan, &report, snp_made_cert(&milan, &amd)),
                     BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.chip-id", "snp.chip_id");
}

/* The first Turin firmware made version 2, without CPUID: chip ID and certificate tell. */
static void turin_version_2(void **state)
{
    struct bawn_snp_report report = snp_made_report(2, "Turin");
    struct pki_amd amd = snp_made_amd(&turin, &report);

    (void)state;
    assert_int_equal(snp_made_judge(&turin, &report, snp_made_cert(&turin, &amd)), BAWN_TRUSTED);
    assert_string_equal(snp_claim_text(turin.judge.result, "snp.product"), "Turin");
    assert_string_equal(snp_claim_text(turin.judge.result, "snp.reported_tcb.snp"), "24");
    assert_string_equal(snp_claim_text(turin.judge.result, "snp.reported_tcb.fmc"), "2");
    amd.fmc++;
    assert_int_equal(snp_made_judge(&turin, &report, snp_made_cert(&turin, &amd)),
                     BAWN_NOT_TRUSTED);
}

/* ---- Kind of key ---- */

static struct bawn_snp_report vlek_report(void)
{
    struct bawn_snp_report report = snp_made_report(3, "Milan");

    report.key_info = BAWN_SNP_SIGNED_BY_VLEK << BAWN_SNP_KEY_SIGNING_KEY_SHIFT;
    return report;
}

static struct pki_amd vlek_amd(const struct bawn_snp_report *report)
{
    struct pki_amd amd = snp_made_amd(&milan, report);

    amd.hwid = (struct bawn_bytes){ 0 };
    amd.csp_id = "CN=cloud.example";
    return amd;
}

static void vlek(void **state)
{
    struct bawn_snp_report report = vlek_report();
    struct pki_amd amd = vlek_amd(&report);

    (void)state;
    assert_int_equal(snp_made_judge(&milan, &report, snp_made_cert(&milan, &amd)), BAWN_TRUSTED);
    assert_string_equal(snp_claim_text(milan.judge.result, "snp.csp_id"), "CN=cloud.example");
    assert_string_equal(snp_claim_text(milan.judge.result, "snp.signing_key"), "VLEK");
    assert_int_equal(snp_findings(milan.judge.result, BAWN_FINDING_WARNING, "snp.chip-id", NULL),
                     0);
    amd.microcode--;
    assert_int_equal(snp_made_judge(&milan, &report, snp_made_cert(&milan, &amd)),
                     BAWN_NOT_TRUSTED);
    assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.tcb-extension");
}

static void nameless_provider(void **state)
{
    struct bawn_snp_report report = vlek_report();
    struct pki_amd amd = vlek_amd(&report);

    (void)state;
    amd.csp_id = "";
    assert_int_equal(snp_made_judge(&milan, &report, snp_made_cert(&milan, &amd)),
                     BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.csp-id", "snp.csp_id");
}

/* The report says one kind, the certificate is of the other. */
static void other_kind(void **state)
{
    struct bawn_snp_report by_vcek = snp_made_report(3, "Milan"), by_vlek = vlek_report();
    struct pki_amd vcek_amd = snp_made_amd(&milan, &by_vcek), amd = vlek_amd(&by_vlek);

    (void)state;
    assert_int_equal(snp_made_judge(&milan, &by_vcek, snp_made_cert(&milan, &amd)),
                     BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.signing-key", NULL);
    assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.signing-key");
    assert_int_equal(snp_made_judge(&milan, &by_vlek, snp_made_cert(&milan, &vcek_amd)),
                     BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.signing-key", NULL);
    assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.signing-key");
}

/* The certificate says one kind, its issuer or its name the other. */
static void confused_kind(void **state)
{
    struct bawn_snp_report by_vcek = snp_made_report(3, "Milan"), by_vlek = vlek_report();
    struct pki_amd vcek_amd = snp_made_amd(&milan, &by_vcek), amd = vlek_amd(&by_vlek);
    const struct {
        struct bawn_snp_report *report;
        const struct pki_amd *amd;
        struct pki_spec spec;
    } cases[] = {
        { &by_vcek, &vcek_amd, { .by = milan.asvk } },
        { &by_vlek, &amd, { .by = milan.ask } },
        { &by_vcek, &vcek_amd, { .cn = "SEV-VLEK" } },
        { &by_vlek, &amd, { .cn = "SEV-VCEK" } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct pki_cert *cert = snp_made_cert_as(&milan, cases[i].amd, &cases[i].spec);

        assert_int_equal(snp_made_judge(&milan, cases[i].report, cert), BAWN_NOT_TRUSTED);
        assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.signing-key", NULL);
    }
}

/* ---- Product ---- */

static void certificate_of_other_product(void **state)
{
    static const char *const names[] = { "Genoa", "Turin", "Turin-B0", "Siena" };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct bawn_snp_report report = snp_made_report(3, "Milan");
        struct pki_amd amd = snp_made_amd(&milan, &report);

        amd.product = names[i];
        assert_int_equal(snp_made_judge(&milan, &report, snp_made_cert(&milan, &amd)),
                         BAWN_NOT_TRUSTED);
        assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.product", "snp.product");
        assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.product");
    }
}

/* Chip and levels, which then differ too, are not gone into. */
static void product_comes_alone(void **state)
{
    struct bawn_snp_report report = snp_made_report(3, "Milan");
    struct pki_amd amd = snp_made_amd(&genoa, &report);
    const struct bawn_finding *f;
    size_t n, refused = 0;

    (void)state;
    amd.product = "Genoa";
    amd.microcode++;
    amd.hwid.len = 8;
    assert_int_equal(snp_made_judge(&milan, &report, snp_made_cert(&milan, &amd)),
                     BAWN_NOT_TRUSTED);
    n = bawn_attest_result_findings(milan.judge.result, &f);
    for (size_t i = 0; i < n; i++)
        refused += f[i].level == BAWN_FINDING_REFUSED;
    assert_int_equal(refused, 1);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.product", "snp.product");
}

/* A report of Milan whose certificate says so, issued under Genoa's root. */
static void chain_of_other_product(void **state)
{
    for (uint32_t version = 2; version <= 3; version++) {
        struct bawn_snp_report report = snp_made_report(version, "Milan");
        struct pki_amd amd = snp_made_amd(&genoa, &report);

        (void)state;
        assert_int_equal(snp_made_judge(&genoa, &report, snp_made_cert(&genoa, &amd)),
                         BAWN_NOT_TRUSTED);
        assert_int_equal(
            snp_findings(genoa.judge.result, BAWN_FINDING_REFUSED, "snp.product", NULL),
            2); /* intermediate and root */
        assert_snp_only(genoa.judge.result, BAWN_FINDING_MISSING, "snp.product");
    }
}

static void products_of_genoas_line(void **state)
{
    static const struct {
        uint8_t model;
        const char *named, *product;
    } cases[] = {
        { 0x11, "Genoa-B2", "Genoa" },
        { 0xa0, "Siena", "Siena" },
        { 0xa0, "Bergamo-A0", "Bergamo" },
        { 0xaf, "Genoa", "Genoa" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bawn_snp_report report = snp_made_report(5, "Genoa");
        struct pki_amd amd = snp_made_amd(&genoa, &report);

        report.cpuid_mod_id = cases[i].model;
        amd.product = cases[i].named;
        assert_int_equal(snp_made_judge(&genoa, &report, snp_made_cert(&genoa, &amd)),
                         BAWN_TRUSTED);
        assert_string_equal(snp_claim_text(genoa.judge.result, "snp.product"), cases[i].product);
        assert_string_equal(snp_claim_text(genoa.judge.result, "snp.product_name"), cases[i].named);
    }
}

/* A root of the caller's own may name things as it likes. */
static void names_of_ones_own(void **state)
{
    struct snp_made m = { 0 };
    struct bawn_snp_report report = snp_made_report(3, "Milan");
    const struct pki_cert *cert;
    struct pki_amd amd;

    (void)state;
    m.pki = pki_create();
    m.ark =
        pki_issue(m.pki, &(struct pki_spec){ .cn = "Lab root", .ca = true, .kind = "RSA-2048" });
    m.ask = m.asvk = pki_issue(
        m.pki, &(struct pki_spec){ .cn = "Lab CA", .ca = true, .by = m.ark, .kind = "RSA-2048" });
    m.key = pki_key(m.pki, "P-384");
    snp_judge_create(&m.judge, m.ark->der);
    amd = snp_made_amd(&m, &report);
    amd.product = "Made up";
    cert = snp_made_cert_as(&m, &amd, &(struct pki_spec){ .cn = "Chip 7" });
    assert_int_equal(snp_made_judge(&m, &report, cert), BAWN_TRUSTED);
    assert_string_equal(bawn_attest_result_foreign_root(m.judge.result), "Lab root");
    assert_string_equal(snp_claim_text(m.judge.result, "snp.product"), "Milan");
    /* AMD's own may not. */
    m.judge.trust->roots[0].builtin = true;
    assert_int_equal(snp_made_judge(&m, &report, cert), BAWN_NOT_TRUSTED);
    assert_int_equal(
        snp_findings(m.judge.result, BAWN_FINDING_REFUSED, "snp.product", "snp.product"), 2);
    assert_snp_finding(m.judge.result, BAWN_FINDING_REFUSED, "snp.signing-key", NULL);
    snp_made_destroy(&m);
}

static void processors(void **state)
{
    static const struct {
        uint8_t family, model;
        enum snp_line line;
    } cases[] = {
        { 0x19, 0x00, SNP_MILAN },        { 0x19, 0x0f, SNP_MILAN },
        { 0x19, 0x10, SNP_GENOA },        { 0x19, 0x1f, SNP_GENOA },
        { 0x19, 0x20, SNP_LINE_UNKNOWN }, { 0x19, 0x9f, SNP_LINE_UNKNOWN },
        { 0x19, 0xa0, SNP_GENOA },        { 0x19, 0xaf, SNP_GENOA },
        { 0x19, 0xb0, SNP_LINE_UNKNOWN }, { 0x1a, 0x02, SNP_TURIN },
        { 0x1a, 0x11, SNP_TURIN },        { 0x1a, 0x20, SNP_LINE_UNKNOWN },
        { 0x17, 0x01, SNP_LINE_UNKNOWN }, { 0x1b, 0x00, SNP_LINE_UNKNOWN },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(snp_line_by_cpuid(cases[i].family, cases[i].model), cases[i].line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcb_components),
        cmocka_unit_test(malformed_levels),
        cmocka_unit_test(reserved_levels),
        cmocka_unit_test(turin_needs_fmc),
        cmocka_unit_test(hwid),
        cmocka_unit_test(turin_chip_id_tail),
        cmocka_unit_test(masked_chip),
        cmocka_unit_test(masked_chip_malformed_hwid),
        cmocka_unit_test(turin_version_2),
        cmocka_unit_test(vlek),
        cmocka_unit_test(nameless_provider),
        cmocka_unit_test(other_kind),
        cmocka_unit_test(confused_kind),
        cmocka_unit_test(certificate_of_other_product),
        cmocka_unit_test(product_comes_alone),
        cmocka_unit_test(chain_of_other_product),
        cmocka_unit_test(products_of_genoas_line),
        cmocka_unit_test(names_of_ones_own),
        cmocka_unit_test(processors),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

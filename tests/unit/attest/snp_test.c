// SPDX-License-Identifier: Apache-2.0
/*
 * SNP evidence from real machines: the right verdict at the right time for the right reason,
 * and never trust when a byte has changed.
 */
#include "tests/unit/attest/snp_made.h"

#include <jansson.h>

#define SPRING_2026 1772323200 /* 2026-03-01: all VCEKs are valid */
#define VLEK_VALID 1748736000  /* 2025-06-01 */
#define VLEK_ENDS 1765404861   /* 2025-12-10T22:14:21Z, its last second */
#define VLEK_BEGINS 1733868861 /* 2024-12-10T22:14:21Z */
#define CRLS_VALID 1789000000  /* 2026-09-09 */
#define CRLS_BEGIN 1787149163  /* 2026-08-19T14:19:23Z, Milan's this_update */
#define CRLS_END 1791072000    /* 2026-10-04T00:00:00Z */

struct vector {
    char name[64];
    bool vlek;
    struct bawn_bytes report, cert;
    json_t *expected;
};

static struct vector vectors[16];
static size_t nr_vectors;
static json_t *expected_file;

static const char *text_of(const struct vector *v, const char *key)
{
    return json_string_value(json_object_get(v->expected, key));
}

static int load(void **state)
{
    json_t *entry;
    size_t i;

    (void)state;
    expected_file = json_load_file(SNP_VECTORS "expected.json", 0, NULL);
    assert_int_equal(json_array_size(expected_file), 13);
    json_array_foreach(expected_file, i, entry)
    {
        struct vector *v = &vectors[nr_vectors++];
        const char *name = json_string_value(json_object_get(entry, "name"));

        v->expected = entry;
        snprintf(v->name, sizeof(v->name), "%s", name);
        v->vlek = !strcmp(text_of(v, "key"), "VLEK");
        v->report = snp_vector_read(name, ".report.bin");
        v->cert = snp_vector_read("", text_of(v, "signer_cert"));
    }
    return 0;
}

static int unload(void **state)
{
    (void)state;
    for (size_t i = 0; i < nr_vectors; i++) {
        free((void *)vectors[i].report.data);
        free((void *)vectors[i].cert.data);
    }
    json_decref(expected_file);
    return 0;
}

static const struct vector *vector(const char *name)
{
    for (size_t i = 0; i < nr_vectors; i++)
        if (!strcmp(vectors[i].name, name))
            return &vectors[i];
    fail_msg("no vector %s", name);
    return NULL;
}

/* With the compiled-in roots, at a time when the certificate is valid. */
static struct snp_judge judge_of(const struct vector *v)
{
    struct snp_judge j;

    snp_judge_create(&j, (struct bawn_bytes){ 0 });
    j.at = v && v->vlek ? VLEK_VALID : SPRING_2026;
    return j;
}

static void claims_as_expected(const struct bawn_attest_result *r, const struct vector *v)
{
    static const struct {
        const char *key, *claim;
    } texts[] = {
        { "key", "snp.signing_key" },         { "product", "snp.product_name" },
        { "measurement", "snp.measurement" }, { "report_data", "snp.report_data" },
        { "chip_id", "snp.chip_id" },         { "reported_tcb", "snp.reported_tcb" },
        { "current_tcb", "snp.current_tcb" }, { "committed_tcb", "snp.committed_tcb" },
        { "launch_tcb", "snp.launch_tcb" },
    };
    bool debug = json_is_true(json_object_get(v->expected, "debug"));

    for (size_t i = 0; i < COUNT(texts); i++)
        assert_string_equal(snp_claim_text(r, texts[i].claim), text_of(v, texts[i].key));
    assert_int_equal(bawn_attest_result_claim(r, "snp.version")->uint,
                     json_integer_value(json_object_get(v->expected, "version")));
    assert_int_equal(bawn_attest_result_claim(r, "snp.vmpl")->uint,
                     json_integer_value(json_object_get(v->expected, "vmpl")));
    assert_int_equal(bawn_attest_result_claim(r, "snp.policy")->uint,
                     strtoull(text_of(v, "policy"), NULL, 16));
    assert_string_equal(snp_claim_text(r, "snp.policy.debug"), debug ? "true" : "false");
}

static void verdicts_and_claims(void **state)
{
    (void)state;
    for (size_t i = 0; i < nr_vectors; i++) {
        const struct vector *v = &vectors[i];
        struct snp_judge j = judge_of(v);
        bool debug = json_is_true(json_object_get(v->expected, "debug"));
        bool provisional = strcmp(text_of(v, "committed_tcb"), text_of(v, "current_tcb")) != 0;

        assert_int_equal(snp_judge(&j, v->report, &v->cert, 1),
                         debug ? BAWN_NOT_TRUSTED : BAWN_TRUSTED);
        assert_snp_only(j.result, BAWN_FINDING_MISSING, "snp.debug");
        assert_int_equal(
            snp_findings(j.result, BAWN_FINDING_REFUSED, "snp.debug", "snp.policy.debug"), debug);
        assert_int_equal(
            snp_findings(j.result, BAWN_FINDING_WARNING, "snp.provisional", "snp.committed_tcb"),
            provisional);
        assert_snp_finding(j.result, BAWN_FINDING_WARNING, "snp.revocation", NULL);
        assert_null(bawn_attest_result_foreign_root(j.result));
        claims_as_expected(j.result, v);
        j.flags = BAWN_ATTEST_STRICT;
        assert_int_equal(snp_judge(&j, v->report, &v->cert, 1), BAWN_NOT_TRUSTED);
        snp_judge_destroy(&j);
    }
}

static void subjects(void **state)
{
    static const struct {
        const char *name, *subject, *product;
    } cases[] = {
        { "milan-v2-vcek-120d77b2", "AMD SEV-SNP attestation report, version 2, Milan", "Milan" },
        { "genoa-v5-vcek-7ea4daeb", "AMD SEV-SNP attestation report, version 5, Genoa", "Genoa" },
        { "turin-v5-vcek-85da705e", "AMD SEV-SNP attestation report, version 5, Turin", "Turin" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct vector *v = vector(cases[i].name);
        struct snp_judge j = judge_of(v);

        snp_judge(&j, v->report, &v->cert, 1);
        assert_string_equal(bawn_attest_result_subject(j.result), cases[i].subject);
        assert_string_equal(snp_claim_text(j.result, "snp.product"), cases[i].product);
        snp_judge_destroy(&j);
    }
}

static void explained(void **state)
{
    static const char *const checks[] = {
        "snp.size",          "snp.version",     "snp.reserved",
        "snp.product",       "snp.signing-key", "snp.chip-id",
        "snp.tcb-extension", "snp.chain",       "snp.chain-validity",
        "snp.signature",     "snp.debug",       "snp.policy",
        "snp.tcb-order",     "snp.provisional", "snp.signature-format",
        "snp.alias-check",
    };
    const struct vector *v = vector("turin-v5-vcek-85da705e");
    struct snp_judge j = judge_of(v);

    (void)state;
    j.flags = BAWN_ATTEST_EXPLAIN;
    assert_int_equal(snp_judge(&j, v->report, &v->cert, 1), BAWN_TRUSTED);
    for (size_t i = 0; i < COUNT(checks); i++)
        assert_true(snp_findings(j.result, BAWN_FINDING_PASS, checks[i], NULL) >= 1);
    snp_judge_destroy(&j);
}

static void vlek_lifetime(void **state)
{
    static const struct {
        int64_t at;
        enum bawn_verdict verdict;
    } times[] = {
        { VLEK_BEGINS - 1, BAWN_NOT_TRUSTED },
        { VLEK_BEGINS, BAWN_TRUSTED },
        { VLEK_ENDS, BAWN_TRUSTED },
        { VLEK_ENDS + 1, BAWN_NOT_TRUSTED },
    };
    const struct vector *v = vector("milan-v3-vlek-decdab94");
    struct snp_judge j = judge_of(v);

    (void)state;
    for (size_t i = 0; i < COUNT(times); i++) {
        j.at = times[i].at;
        assert_int_equal(snp_judge(&j, v->report, &v->cert, 1), times[i].verdict);
        assert_snp_only(j.result, BAWN_FINDING_MISSING, "snp.chain-validity");
    }
    assert_string_equal(snp_claim_text(j.result, "snp.csp_id"), "CN=cc-us-east-2.amazonaws.com");
    snp_judge_destroy(&j);
}

static void altered_vceks(void **state)
{
    static const char *const names[] = { "new", "legacy" };
    const struct vector *v = vector("milan-v2-vcek-7c614616");

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct snp_judge j = judge_of(v);
        char suffix[32];
        struct bawn_bytes cert;

        snprintf(suffix, sizeof(suffix), "%s.der", names[i]);
        cert = snp_vector_read("test-vcek-invalid-", suffix);
        assert_int_equal(snp_judge(&j, v->report, &cert, 1), BAWN_NOT_TRUSTED);
        assert_snp_finding(j.result, BAWN_FINDING_REFUSED, "snp.chain", NULL);
        assert_snp_finding(j.result, BAWN_FINDING_REFUSED, "snp.signature", NULL);
        /* Beside the right one it does no harm, in whatever order. */
        for (unsigned first = 0; first < 2; first++) {
            const struct bawn_bytes both[] = { first ? v->cert : cert, first ? cert : v->cert };

            assert_int_equal(snp_judge(&j, v->report, both, 2), BAWN_TRUSTED);
        }
        free((void *)cert.data);
        snp_judge_destroy(&j);
    }
}

static void crl_windows(void **state)
{
    static const struct {
        const char *name, *crl;
    } cases[] = {
        { "milan-v3-vcek-05b7438a", "milan.crl.der" },
        { "genoa-v5-vcek-7ea4daeb", "genoa.crl.der" },
        { "turin-v5-vcek-85da705e", "turin.crl.der" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct vector *v = vector(cases[i].name);
        struct snp_judge j = judge_of(v);
        const struct bawn_bytes given[] = { v->cert, snp_vector_read("crl/", cases[i].crl) };

        j.at = CRLS_VALID;
        j.flags = BAWN_ATTEST_STRICT;
        assert_int_equal(snp_judge(&j, v->report, given, 2), BAWN_TRUSTED);
        assert_int_equal(snp_findings(j.result, BAWN_FINDING_WARNING, "snp.revocation", NULL), 0);
        j.flags = 0;
        j.at = CRLS_BEGIN - 86400;
        assert_int_equal(snp_judge(&j, v->report, given, 2), BAWN_TRUSTED);
        assert_snp_finding(j.result, BAWN_FINDING_WARNING, "snp.revocation", NULL);
        j.at = CRLS_END + 1;
        assert_int_equal(snp_judge(&j, v->report, given, 2), BAWN_TRUSTED);
        assert_snp_finding(j.result, BAWN_FINDING_WARNING, "snp.revocation", NULL);
        free((void *)given[1].data);
        snp_judge_destroy(&j);
    }
}

/* Another product's list says nothing. */
static void foreign_crl(void **state)
{
    const struct vector *v = vector("genoa-v3-vcek-227a641d");
    struct snp_judge j = judge_of(v);
    const struct bawn_bytes given[] = { v->cert, snp_vector_read("crl/", "milan.crl.der") };

    (void)state;
    j.at = CRLS_VALID;
    assert_int_equal(snp_judge(&j, v->report, given, 2), BAWN_TRUSTED);
    assert_snp_finding(j.result, BAWN_FINDING_WARNING, "snp.revocation", NULL);
    free((void *)given[1].data);
    snp_judge_destroy(&j);
}

static const char *advice_of(const struct bawn_attest_result *r, const char *check)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r, &f);

    for (size_t i = 0; i < n; i++)
        if (!strcmp(f[i].check, check))
            return f[i].advice;
    fail_msg("no finding by %s", check);
    return "";
}

static void no_certificate(void **state)
{
    static const struct {
        const char *name, *advice;
    } cases[] = {
        { "turin-v5-vcek-85da705e", "https://kdsintf.amd.com/vcek/v1/Turin/59790fb1c39f35c1"
                                    "?fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81" },
        { "genoa-v5-vcek-7ea4daeb",
          "https://kdsintf.amd.com/vcek/v1/Genoa/"
          "b5f9a4c8280e63c97d288db6648577dc2b848884aa682d7a227ba40e50deb2b0"
          "d112b599d87aaccda78d06f4254b1e81c4d953ef3c699db39d4e06013e9fa4ce"
          "?blSPL=10&teeSPL=00&snpSPL=27&ucodeSPL=27" },
        { "milan-v2-vcek-120d77b2", "https://kdsintf.amd.com/vcek/v1/{product}/d49554ec717f4e5b" },
        { "milan-v3-vlek-decdab94", "give the provider's VLEK certificate" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct vector *v = vector(cases[i].name);
        struct snp_judge j = judge_of(v);

        assert_int_equal(snp_judge(&j, v->report, NULL, 0), BAWN_CANNOT_JUDGE);
        assert_snp_finding(j.result, BAWN_FINDING_MISSING, "snp.certificate", "snp.signing_key");
        assert_non_null(strstr(advice_of(j.result, "snp.certificate"), cases[i].advice));
        assert_string_equal(snp_claim_text(j.result, "snp.measurement"), text_of(v, "measurement"));
        snp_judge_destroy(&j);
    }
}

/* What is refused stays refused when something is missing too. */
static void refused_and_missing(void **state)
{
    const struct vector *v = vector("milan-v2-vcek-377e6241");
    struct snp_judge j = judge_of(v);

    (void)state;
    assert_int_equal(snp_judge(&j, v->report, NULL, 0), BAWN_NOT_TRUSTED);
    assert_snp_finding(j.result, BAWN_FINDING_REFUSED, "snp.debug", NULL);
    assert_snp_finding(j.result, BAWN_FINDING_MISSING, "snp.certificate", NULL);
    snp_judge_destroy(&j);
}

/* Each report with each certificate: trusted only when chip and TCB are the same. */
static void every_other_certificate(void **state)
{
    struct snp_judge j = judge_of(NULL);
    unsigned refused = 0;

    (void)state;
    for (size_t r = 0; r < nr_vectors; r++) {
        for (size_t c = 0; c < nr_vectors; c++) {
            const struct vector *a = &vectors[r], *b = &vectors[c];
            enum bawn_verdict verdict = snp_judge(&j, a->report, &b->cert, 1);

            if (!strcmp(text_of(a, "chip_id"), text_of(b, "chip_id")) &&
                !strcmp(text_of(a, "reported_tcb"), text_of(b, "reported_tcb")))
                continue;
            assert_int_equal(verdict, BAWN_NOT_TRUSTED);
            refused++;
        }
    }
    assert_true(refused >= 150);
    snp_judge_destroy(&j);
}

/* A directory full of certificates: the right one is found, and its absence is not forgery. */
static void among_all_certificates(void **state)
{
    struct bawn_bytes all[16];
    struct snp_judge j = judge_of(NULL);

    (void)state;
    for (size_t i = 0; i < nr_vectors; i++)
        all[i] = vectors[i].cert;
    for (size_t i = 0; i < nr_vectors; i++) {
        const struct vector *v = &vectors[i];

        j.at = v->vlek ? VLEK_VALID : SPRING_2026;
        assert_int_equal(snp_judge(&j, v->report, all, nr_vectors),
                         json_is_true(json_object_get(v->expected, "debug")) ? BAWN_NOT_TRUSTED
                                                                             : BAWN_TRUSTED);
        assert_string_equal(snp_claim_text(j.result, "snp.product_name"), text_of(v, "product"));
    }
    j.at = SPRING_2026;
    assert_int_equal(snp_judge(&j, vectors[1].report, &all[2], nr_vectors - 2), BAWN_CANNOT_JUDGE);
    assert_snp_finding(j.result, BAWN_FINDING_MISSING, "snp.certificate", NULL);
    snp_judge_destroy(&j);
}

static void every_length(void **state)
{
    const struct vector *v = vector("milan-v3-vcek-05b7438a");
    struct snp_judge j = judge_of(v);

    (void)state;
    for (size_t len = 0; len < v->report.len; len++) {
        struct bawn_bytes cut = { malloc(len ? len : 1), len };

        memcpy((void *)cut.data, v->report.data, len);
        assert_int_equal(snp_judge(&j, cut, &v->cert, 1), BAWN_CANNOT_JUDGE);
        free((void *)cut.data);
    }
    snp_judge_destroy(&j);
}

static void flip_report(const char *name)
{
    const struct vector *v = vector(name);
    struct snp_judge j = judge_of(v);
    uint8_t report[BAWN_SNP_REPORT_SIZE];

    memcpy(report, v->report.data, sizeof(report));
    for (size_t i = 0; i < sizeof(report); i++) {
        report[i] ^= (uint8_t)(1u << (i % 8));
        assert_int_not_equal(
            snp_judge(&j, (struct bawn_bytes){ report, sizeof(report) }, &v->cert, 1),
            BAWN_TRUSTED);
        /* Whatever can still be read as a report is refused, not left open. */
        if (i >= 4 && (i < 0x188 || i > 0x18a))
            assert_int_equal(bawn_attest_result_verdict(j.result), BAWN_NOT_TRUSTED);
        report[i] ^= (uint8_t)(1u << (i % 8));
    }
    assert_int_equal(snp_judge(&j, (struct bawn_bytes){ report, sizeof(report) }, &v->cert, 1),
                     BAWN_TRUSTED);
    snp_judge_destroy(&j);
}

static void every_byte_v2(void **state)
{
    (void)state;
    flip_report("milan-v2-vcek-120d77b2");
}

static void every_byte_vlek(void **state)
{
    (void)state;
    flip_report("milan-v3-vlek-decdab94");
}

static void every_byte_turin(void **state)
{
    (void)state;
    flip_report("turin-v5-vcek-85da705e");
}

static void every_byte_of_certificate(void **state)
{
    const struct vector *v = vector("genoa-v5-vcek-7ea4daeb");
    struct snp_judge j = judge_of(v);
    uint8_t *cert = malloc(v->cert.len);

    (void)state;
    memcpy(cert, v->cert.data, v->cert.len);
    for (size_t i = 0; i < v->cert.len; i++) {
        cert[i] ^= (uint8_t)(1u << (i % 8));
        assert_int_not_equal(snp_judge(&j, v->report, &(struct bawn_bytes){ cert, v->cert.len }, 1),
                             BAWN_TRUSTED);
        cert[i] ^= (uint8_t)(1u << (i % 8));
    }
    for (size_t len = 0; len < v->cert.len; len += 7)
        assert_int_not_equal(snp_judge(&j, v->report, &(struct bawn_bytes){ cert, len }, 1),
                             BAWN_TRUSTED);
    assert_int_equal(snp_judge(&j, v->report, &(struct bawn_bytes){ cert, v->cert.len }, 1),
                     BAWN_TRUSTED);
    free(cert);
    snp_judge_destroy(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_and_claims),
        cmocka_unit_test(subjects),
        cmocka_unit_test(explained),
        cmocka_unit_test(vlek_lifetime),
        cmocka_unit_test(altered_vceks),
        cmocka_unit_test(crl_windows),
        cmocka_unit_test(foreign_crl),
        cmocka_unit_test(no_certificate),
        cmocka_unit_test(refused_and_missing),
        cmocka_unit_test(every_other_certificate),
        cmocka_unit_test(among_all_certificates),
        cmocka_unit_test(every_length),
        cmocka_unit_test(every_byte_v2),
        cmocka_unit_test(every_byte_vlek),
        cmocka_unit_test(every_byte_turin),
        cmocka_unit_test(every_byte_of_certificate),
    };

    return cmocka_run_group_tests(tests, load, unload);
}

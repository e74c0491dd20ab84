// SPDX-License-Identifier: Apache-2.0
/*
 * Who signed the report and who vouches for that key: chains, revocation, times, and the choice
 * among several certificates.
 */
#include "tests/unit/attest/snp_made.h"

static struct snp_made milan;
static struct bawn_snp_report report;
static struct pki_amd amd;

static int setup(void **state)
{
    (void)state;
    snp_made_create(&milan, "Milan");
    report = snp_made_report(3, "Milan");
    amd = snp_made_amd(&milan, &report);
    snp_made_sign(&milan, &report, milan.key);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    snp_made_destroy(&milan);
    return 0;
}

static const struct bawn_attest_result *result(void)
{
    return milan.judge.result;
}

static enum bawn_verdict judge(const struct bawn_bytes *given, size_t n)
{
    return snp_judge(&milan.judge, (struct bawn_bytes){ (const uint8_t *)&report, sizeof(report) },
                     given, n);
}

#define JUDGE(...)                                    \
    judge((const struct bawn_bytes[]){ __VA_ARGS__ }, \
          sizeof((const struct bawn_bytes[]){ __VA_ARGS__ }) / sizeof(struct bawn_bytes))

/* ---- Signature ---- */

static void another_key(void **state)
{
    struct bawn_snp_signature good = report.signature;
    const struct pki_cert *cert = snp_made_cert(&milan, &amd);

    (void)state;
    snp_made_sign(&milan, &report, pki_key(milan.pki, "P-384"));
    assert_int_equal(JUDGE(milan.ask->der, cert->der), BAWN_NOT_TRUSTED);
    assert_snp_finding(result(), BAWN_FINDING_REFUSED, "snp.signature", NULL);
    assert_snp_only(result(), BAWN_FINDING_MISSING, "snp.signature");
    report.signature = good;
    assert_int_equal(JUDGE(milan.ask->der, cert->der), BAWN_TRUSTED);
}

static void wrong_curve(void **state)
{
    static const char *const kinds[] = { "P-256", "P-521", "RSA-2048" };

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const struct pki_cert *cert =
            snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .kind = kinds[i] });

        assert_int_equal(JUDGE(milan.ask->der, cert->der), BAWN_NOT_TRUSTED);
        assert_snp_finding(result(), BAWN_FINDING_REFUSED, "snp.signature", NULL);
        assert_true(snp_findings(result(), BAWN_FINDING_REFUSED, "snp.chain", NULL) >= 1);
    }
}

/* ---- Chain ---- */

static void unknown_root(void **state)
{
    struct snp_made other;

    (void)state;
    snp_made_create(&other, "Milan");
    assert_int_not_equal(
        JUDGE(other.ark->der, other.ask->der,
              snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .by = other.ask })->der),
        BAWN_TRUSTED);
    assert_true(snp_findings(result(), BAWN_FINDING_REFUSED, "snp.chain", NULL) +
                    snp_findings(result(), BAWN_FINDING_MISSING, "snp.chain", NULL) ==
                1);
    snp_made_destroy(&other);
}

/* AMD's own roots do not vouch for it either. */
static void builtin_roots(void **state)
{
    struct snp_judge j;
    const struct bawn_bytes given[] = { milan.ark->der, milan.ask->der,
                                        snp_made_cert(&milan, &amd)->der };

    (void)state;
    snp_judge_create(&j, (struct bawn_bytes){ 0 });
    assert_int_not_equal(snp_judge(&j,
                                   (struct bawn_bytes){ (const uint8_t *)&report, sizeof(report) },
                                   given, COUNT(given)),
                         BAWN_TRUSTED);
    snp_judge_destroy(&j);
}

static void missing_intermediate(void **state)
{
    (void)state;
    assert_int_not_equal(JUDGE(snp_made_cert(&milan, &amd)->der), BAWN_TRUSTED);
    assert_true(snp_findings(result(), BAWN_FINDING_REFUSED, "snp.chain", NULL) +
                    snp_findings(result(), BAWN_FINDING_MISSING, "snp.chain", NULL) ==
                1);
}

/* Issued by the root itself, or by one certificate too many. */
static void wrong_depth(void **state)
{
    const struct pki_cert *sub = pki_issue(
        milan.pki,
        &(struct pki_spec){ .cn = "SEV-Milan", .ca = true, .by = milan.ask, .kind = "RSA-2048" });

    (void)state;
    assert_int_equal(
        JUDGE(snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .by = milan.ark })->der),
        BAWN_NOT_TRUSTED);
    assert_snp_finding(result(), BAWN_FINDING_REFUSED, "snp.chain", NULL);
    assert_int_equal(JUDGE(milan.ask->der, sub->der,
                           snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .by = sub })->der),
                     BAWN_NOT_TRUSTED);
    assert_snp_finding(result(), BAWN_FINDING_REFUSED, "snp.chain", NULL);
}

/* Another chip's VCEK issues a certificate. */
static void leaf_as_issuer(void **state)
{
    EVP_PKEY *key = pki_key(milan.pki, "RSA-2048");
    const struct pki_cert *leaf =
        pki_issue(milan.pki, &(struct pki_spec){ .cn = "SEV-Milan", .by = milan.ark, .key = key });

    (void)state;
    assert_int_not_equal(
        JUDGE(leaf->der, snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .by = leaf })->der),
        BAWN_TRUSTED);
    assert_true(snp_findings(result(), BAWN_FINDING_REFUSED, "snp.chain", NULL) >= 1);
}

static void wrong_algorithms(void **state)
{
    static const enum pki_sig sigs[] = { PKI_PSS_SHA256, PKI_PSS_SHA384_SALT20, PKI_RSA_SHA384,
                                         PKI_RSA_SHA1 };

    (void)state;
    for (size_t i = 0; i < COUNT(sigs); i++) {
        const struct pki_cert *cert =
            snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .sig = sigs[i] });

        assert_int_not_equal(JUDGE(milan.ask->der, cert->der), BAWN_TRUSTED);
    }
}

static void times(void **state)
{
    const struct pki_cert *old =
        snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .not_after = PKI_NOW - 1 });
    const struct pki_cert *early =
        snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .not_before = PKI_NOW + 1 });
    const struct pki_cert *old_ask =
        pki_issue(milan.pki, &(struct pki_spec){ .cn = "SEV-Milan",
                                                 .ca = true,
                                                 .by = milan.ark,
                                                 .kind = "RSA-2048",
                                                 .not_after = PKI_NOW - 1 });
    const struct pki_cert *under_old =
        snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .by = old_ask });

    (void)state;
    assert_int_equal(JUDGE(milan.ask->der, old->der), BAWN_NOT_TRUSTED);
    assert_snp_only(result(), BAWN_FINDING_MISSING, "snp.chain-validity");
    assert_int_equal(JUDGE(milan.ask->der, early->der), BAWN_NOT_TRUSTED);
    assert_snp_only(result(), BAWN_FINDING_MISSING, "snp.chain-validity");
    assert_int_equal(JUDGE(old_ask->der, under_old->der), BAWN_NOT_TRUSTED);
    assert_snp_only(result(), BAWN_FINDING_MISSING, "snp.chain-validity");
}

/* ---- Revocation ---- */

static void revoked(void **state)
{
    const struct pki_cert *cert =
        snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .serial = 0x77 });
    const struct pki_cert *other =
        snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .serial = 0x78 });
    struct bawn_bytes by_ask =
        pki_crl(milan.pki, &(struct pki_crl_spec){ .by = milan.ask, .revoked = { cert } });
    struct bawn_bytes by_ark =
        pki_crl(milan.pki, &(struct pki_crl_spec){ .by = milan.ark, .revoked = { milan.ask } });
    struct bawn_bytes clean = pki_crl(milan.pki, &(struct pki_crl_spec){ .by = milan.ark });

    (void)state;
    assert_int_equal(JUDGE(milan.ask->der, cert->der, by_ask, clean), BAWN_NOT_TRUSTED);
    assert_snp_finding(result(), BAWN_FINDING_REFUSED, "snp.revocation", NULL);
    assert_snp_only(result(), BAWN_FINDING_MISSING, "snp.revocation");
    assert_int_equal(JUDGE(milan.ask->der, cert->der, by_ark), BAWN_NOT_TRUSTED);
    assert_snp_finding(result(), BAWN_FINDING_REFUSED, "snp.revocation", NULL);
    /* One that is not on the lists, which are complete. */
    assert_int_equal(JUDGE(milan.ask->der, other->der, by_ask, clean), BAWN_TRUSTED);
    assert_int_equal(snp_findings(result(), BAWN_FINDING_WARNING, "snp.revocation", NULL), 0);
}

/* ---- Choice ---- */

static void one_good_is_enough(void **state)
{
    const struct pki_cert *good = snp_made_cert(&milan, &amd);
    const struct pki_cert *old =
        snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .not_after = PKI_NOW - 1 });
    const struct pki_cert *strange =
        snp_made_cert_as(&milan, &amd, &(struct pki_spec){ .kind = "P-384" });
    const struct bawn_bytes orders[][4] = {
        { milan.ask->der, good->der, old->der, strange->der },
        { milan.ask->der, old->der, strange->der, good->der },
        { strange->der, old->der, good->der, milan.ask->der },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(orders); i++) {
        assert_int_equal(judge(orders[i], 4), BAWN_TRUSTED);
        assert_snp_only(result(), BAWN_FINDING_WARNING, "snp.revocation");
    }
    /* With none that is good, the findings are about the first. */
    assert_int_equal(JUDGE(milan.ask->der, old->der, strange->der), BAWN_NOT_TRUSTED);
    assert_snp_only(result(), BAWN_FINDING_MISSING, "snp.chain-validity");
    assert_int_equal(JUDGE(milan.ask->der, strange->der, old->der), BAWN_NOT_TRUSTED);
    assert_snp_only(result(), BAWN_FINDING_MISSING, "snp.signature");
}

/* More than are kept, the right one last: the closest are kept. */
static void right_one_among_many(void **state)
{
    struct bawn_bytes given[2 * SNP_CANDIDATES + 2];
    size_t n = 0;

    (void)state;
    given[n++] = milan.ask->der;
    for (unsigned i = 0; i < 2 * SNP_CANDIDATES; i++) {
        struct pki_amd other = amd;

        other.microcode = (uint8_t)i;
        given[n++] = snp_made_cert(&milan, &other)->der;
    }
    assert_int_equal(judge(given, n), BAWN_CANNOT_JUDGE);
    assert_snp_finding(result(), BAWN_FINDING_MISSING, "snp.certificate", NULL);
    given[n++] = snp_made_cert(&milan, &amd)->der;
    assert_int_equal(judge(given, n), BAWN_TRUSTED);
    assert_snp_only(result(), BAWN_FINDING_WARNING, "snp.revocation");
}

/* Certificates of the other kind of key, although for this TCB, are others. */
static void only_of_other_kind(void **state)
{
    struct pki_amd vlek = amd;
    const struct pki_cert *one, *two;

    (void)state;
    vlek.csp_id = "CN=cloud.example";
    one = snp_made_cert(&milan, &vlek);
    two = snp_made_cert(&milan, &vlek);
    assert_int_equal(JUDGE(milan.ask->der, one->der, two->der), BAWN_CANNOT_JUDGE);
    assert_snp_finding(result(), BAWN_FINDING_MISSING, "snp.certificate", NULL);
}

/* CAs and strangers are not taken for the report's certificate. */
static void no_candidate(void **state)
{
    const struct pki_cert *stranger =
        pki_issue(milan.pki, &(struct pki_spec){ .cn = "SEV-VCEK", .key = milan.key });

    (void)state;
    assert_int_equal(JUDGE(milan.ask->der, milan.ark->der, stranger->der), BAWN_CANNOT_JUDGE);
    assert_snp_finding(result(), BAWN_FINDING_MISSING, "snp.certificate", NULL);
    assert_snp_only(result(), BAWN_FINDING_MISSING, "snp.certificate");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_key),
        cmocka_unit_test(wrong_curve),
        cmocka_unit_test(unknown_root),
        cmocka_unit_test(builtin_roots),
        cmocka_unit_test(missing_intermediate),
        cmocka_unit_test(wrong_depth),
        cmocka_unit_test(leaf_as_issuer),
        cmocka_unit_test(wrong_algorithms),
        cmocka_unit_test(times),
        cmocka_unit_test(revoked),
        cmocka_unit_test(one_good_is_enough),
        cmocka_unit_test(right_one_among_many),
        cmocka_unit_test(only_of_other_kind),
        cmocka_unit_test(no_candidate),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

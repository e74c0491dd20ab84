// SPDX-License-Identifier: Apache-2.0
/*
 * Reports and certificates as a verifier sees them: libbawn-attest trusts them under the
 * platform's root and under no other, and OpenSSL agrees about the certificates.
 */
#include "tests/unit/firmware/rig.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <bawn/attest.h>

struct judged {
    struct bawn_attest_result *result;
    struct bawn_trust *trust;
    enum bawn_verdict verdict;
};

static struct bawn_bytes as_bytes(const struct psp_blob *blob)
{
    return (struct bawn_bytes){ blob->data, blob->len };
}

static void print(const struct bawn_attest_result *r)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r, &f);

    for (size_t i = 0; i < n; i++)
        print_message("  level %d %s: %s; expected %s, found %s\n", f[i].level, f[i].check,
                      f[i].text, f[i].expected, f[i].found);
}

/* root empty: the compiled-in ones. */
static struct judged judge(struct bawn_bytes evidence, struct bawn_bytes root,
                           const struct bawn_bytes *endorsements, size_t n, unsigned flags)
{
    const struct bawn_attest_input input = {
        .evidence = evidence,
        .kind = BAWN_EVIDENCE_SNP,
        .endorsements = endorsements,
        .nr_endorsements = n,
        .at = NOW + 100,
        .flags = flags,
    };
    struct bawn_error err = { "" };
    struct judged j = { .result = bawn_attest_result_create() };

    assert_non_null(j.result);
    assert_int_equal(bawn_trust_create(&j.trust, &root, root.len ? 1 : 0, &err), BAWN_OK);
    j.verdict = bawn_attest_verify(j.trust, NULL, &input, j.result);
    return j;
}

static void release(struct judged *j)
{
    bawn_attest_result_destroy(j->result);
    bawn_trust_destroy(j->trust);
}

static bool has_finding(const struct judged *j, enum bawn_finding_level level, const char *check)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(j->result, &f);

    for (size_t i = 0; i < n; i++)
        if (f[i].level == level && !strcmp(f[i].check, check))
            return true;
    print(j->result);
    return false;
}

/* A platform, a guest, its report, and the files. */
struct scene {
    struct rig rig;
    struct driver d;
    struct bawn_snp_report report;
    struct psp_blob files[PSP_ENDORSEMENTS], ark;
};

static void endorse(struct scene *s)
{
    struct bawn_error err = { "" };

    for (unsigned i = 0; i < PSP_ENDORSEMENTS; i++)
        psp_blob_free(&s->files[i]);
    assert_int_equal(psp_endorse(s->rig.psp, NOW, s->files, &err), BAWN_OK);
}

static void create(struct scene *s, enum psp_product product, const struct psp_config *config)
{
    struct psp_identity *identity = rig_identity(product);
    struct bawn_error err = { "" };

    memset(s, 0, sizeof(*s));
    assert_int_equal(psp_identity_export(identity, PSP_ARK, &s->ark, &err), BAWN_OK);
    psp_identity_destroy(identity);
    rig_create(&s->rig, product, config);
    rig_init(&s->rig);
    rig_launch(&s->rig, GCTX, 1);
    driver_create(&s->d, &s->rig, GCTX, 0);
    assert_int_equal(driver_report(&s->d, 1, &s->report), BAWN_PSP_SUCCESS);
    endorse(s);
}

static void destroy(struct scene *s)
{
    for (unsigned i = 0; i < PSP_ENDORSEMENTS; i++)
        psp_blob_free(&s->files[i]);
    psp_blob_free(&s->ark);
    rig_destroy(&s->rig);
}

static struct judged judge_scene(const struct scene *s, unsigned flags)
{
    const struct bawn_bytes endorsements[] = { as_bytes(&s->files[PSP_VCEK]),
                                               as_bytes(&s->files[PSP_CERT_CHAIN]),
                                               as_bytes(&s->files[PSP_CRL]) };

    return judge((struct bawn_bytes){ (const uint8_t *)&s->report, sizeof(s->report) },
                 as_bytes(&s->ark), endorsements, COUNT(endorsements), flags);
}

static void assert_trusted(struct judged j)
{
    if (j.verdict != BAWN_TRUSTED)
        print(j.result);
    assert_int_equal(j.verdict, BAWN_TRUSTED);
    assert_non_null(bawn_attest_result_foreign_root(j.result));
    assert_non_null(strstr(bawn_attest_result_foreign_root(j.result), "ARK-"));
    release(&j);
}

static void assert_refused(struct judged j, const char *check)
{
    assert_int_equal(j.verdict, BAWN_NOT_TRUSTED);
    assert_true(has_finding(&j, BAWN_FINDING_REFUSED, check));
    release(&j);
}

/* ---- Reports that are right ---- */

static void every_product_and_version(void **state)
{
    static const uint32_t versions[] = { 2, 3, 5 };
    struct scene s;

    (void)state;
    for (unsigned p = 0; p < PSP_PRODUCTS; p++) {
        for (unsigned v = 0; v < COUNT(versions); v++) {
            const struct psp_config config = { .report_version = versions[v] };
            struct judged j;

            create(&s, (enum psp_product)p, &config);
            assert_int_equal(s.report.version, versions[v]);
            assert_trusted(judge_scene(&s, BAWN_ATTEST_STRICT));
            /* Under AMD's roots nothing of it holds. */
            j = judge((struct bawn_bytes){ (const uint8_t *)&s.report, sizeof(s.report) },
                      (struct bawn_bytes){ 0 },
                      (struct bawn_bytes[]){ as_bytes(&s.files[PSP_VCEK]),
                                             as_bytes(&s.files[PSP_CERT_CHAIN]) },
                      2, 0);
            assert_int_not_equal(j.verdict, BAWN_TRUSTED);
            release(&j);
            destroy(&s);
        }
    }
}

static void what_a_report_says(void **state)
{
    static const uint8_t ones[32] = { [0 ... 31] = 0xff };
    static const uint8_t tcb[8] = { 4, 0, 0, 0, 0, 0, 24, 219 };
    struct scene s;

    (void)state;
    create(&s, PSP_MILAN, NULL);
    assert_int_equal(s.report.version, 5);
    assert_int_equal(s.report.vmpl, 1);
    assert_true(s.report.policy == POLICY);
    assert_memory_equal(s.report.report_data, "report data", 12);
    assert_int_equal(s.report.host_data[0], 0x42);
    assert_memory_equal(s.report.report_id_ma, ones, 32);
    assert_memory_equal(s.report.current_tcb, tcb, 8);
    assert_memory_equal(s.report.committed_tcb, tcb, 8);
    assert_memory_equal(s.report.reported_tcb, tcb, 8);
    assert_memory_equal(s.report.launch_tcb, tcb, 8);
    assert_int_equal(s.report.cpuid_fam_id, 0x19);
    assert_int_equal(s.report.key_info, 0);
    destroy(&s);
}

/* What an extended request returns: report and table, with nothing given besides. */
static void extended_report(void **state)
{
    struct judged j;
    struct scene s;
    uint8_t *both;
    size_t len;

    (void)state;
    create(&s, PSP_GENOA, NULL);
    len = sizeof(s.report) + s.files[PSP_CERTS].len;
    assert_int_equal(s.files[PSP_CERTS].len % 4096, 0);
    both = malloc(len);
    assert_non_null(both);
    memcpy(both, &s.report, sizeof(s.report));
    memcpy(both + sizeof(s.report), s.files[PSP_CERTS].data, s.files[PSP_CERTS].len);
    j = judge((struct bawn_bytes){ both, len }, as_bytes(&s.ark), NULL, 0, BAWN_ATTEST_STRICT);
    assert_trusted(j);
    free(both);
    destroy(&s);
}

/* Any bit of what is signed, and of the signature. */
static void altered_reports(void **state)
{
    struct scene s;

    (void)state;
    create(&s, PSP_MILAN, NULL);
    for (size_t at = 0x50; at < 0x2a0 + 48; at += 7) {
        struct judged j;

        ((uint8_t *)&s.report)[at] ^= 4;
        j = judge_scene(&s, 0);
        assert_int_not_equal(j.verdict, BAWN_TRUSTED);
        release(&j);
        ((uint8_t *)&s.report)[at] ^= 4;
    }
    assert_trusted(judge_scene(&s, 0));
    destroy(&s);
}

/* ---- Configuration ---- */

static uint32_t configure(struct scene *s, const struct bawn_psp_config *config)
{
    return rig_command(&s->rig, BAWN_PSP_SNP_CONFIG, config, sizeof(*config));
}

static void masks(void **state)
{
    struct bawn_psp_config config = { .flags = BAWN_PSP_CONFIG_MASK_CHIP_ID };
    static const uint8_t none[64];
    struct scene s;

    (void)state;
    create(&s, PSP_MILAN, NULL);
    assert_memory_not_equal(s.report.chip_id, none, 64);
    assert_int_equal(configure(&s, &config), BAWN_PSP_SUCCESS);
    assert_int_equal(driver_report(&s.d, 0, &s.report), BAWN_PSP_SUCCESS);
    assert_memory_equal(s.report.chip_id, none, 64);
    assert_trusted(judge_scene(&s, 0));
    config.flags = BAWN_PSP_CONFIG_MASK_CHIP_KEY;
    assert_int_equal(configure(&s, &config), BAWN_PSP_SUCCESS);
    assert_int_equal(driver_report(&s.d, 0, &s.report), BAWN_PSP_SUCCESS);
    assert_int_equal(s.report.key_info, 2 | 7 << 2);
    assert_memory_equal(s.report.signature.r, none, 64);
    assert_refused(judge_scene(&s, 0), "snp.signing-key");
    destroy(&s);
}

/* Each TCB has its own VCEK; the certificate of another is refused. */
static void reported_tcb(void **state)
{
    struct bawn_psp_config config = { .reported_tcb = 0xda18000000000004 };
    struct judged j;
    struct scene s;

    (void)state;
    create(&s, PSP_MILAN, NULL);
    assert_false(psp_endorsements_stale(s.rig.psp));
    assert_int_equal(configure(&s, &config), BAWN_PSP_SUCCESS);
    assert_true(psp_endorsements_stale(s.rig.psp));
    assert_int_equal(driver_report(&s.d, 0, &s.report), BAWN_PSP_SUCCESS);
    assert_int_equal(s.report.reported_tcb[7], 0xda);
    assert_int_equal(s.report.current_tcb[7], 0xdb);
    j = judge_scene(&s, 0);
    assert_true(has_finding(&j, BAWN_FINDING_REFUSED, "snp.tcb-extension"));
    assert_true(has_finding(&j, BAWN_FINDING_REFUSED, "snp.signature"));
    release(&j);
    endorse(&s);
    assert_false(psp_endorsements_stale(s.rig.psp));
    assert_trusted(judge_scene(&s, 0));
    /* 0 is the current one; more than that is refused, part by part. */
    config.reported_tcb = 0;
    assert_int_equal(configure(&s, &config), BAWN_PSP_SUCCESS);
    endorse(&s);
    assert_int_equal(driver_report(&s.d, 0, &s.report), BAWN_PSP_SUCCESS);
    assert_int_equal(s.report.reported_tcb[7], 0xdb);
    assert_trusted(judge_scene(&s, 0));
    config.reported_tcb = 0xdb18000000000005;
    assert_int_equal(configure(&s, &config), BAWN_PSP_INVALID_PARAM);
    config.reported_tcb = 0x0018000000000104;
    assert_int_equal(configure(&s, &config), BAWN_PSP_INVALID_PARAM);
    destroy(&s);
}

/* ---- Faults ---- */

static void faults(void **state)
{
    static const struct {
        unsigned fault;
        const char *check;
    } cases[] = {
        { PSP_FAULT_WRONG_TCB, "snp.tcb-extension" },
        { PSP_FAULT_REVOKED_VCEK, "snp.revocation" },
        { PSP_FAULT_INVALID_SIGNATURE, "snp.signature" },
    };
    struct judged j;
    struct scene s;

    (void)state;
    for (unsigned i = 0; i < COUNT(cases); i++) {
        const struct psp_config config = { .faults = cases[i].fault };

        create(&s, PSP_MILAN, &config);
        assert_refused(judge_scene(&s, 0), cases[i].check);
        destroy(&s);
    }
    create(&s, PSP_MILAN, &(struct psp_config){ .faults = PSP_FAULT_STALE_CRL });
    assert_trusted(judge_scene(&s, 0)); /* with a warning, which the strict refuse */
    j = judge_scene(&s, BAWN_ATTEST_STRICT);
    assert_int_not_equal(j.verdict, BAWN_TRUSTED);
    assert_true(has_finding(&j, BAWN_FINDING_WARNING, "snp.revocation") ||
                has_finding(&j, BAWN_FINDING_REFUSED, "snp.revocation"));
    release(&j);
    destroy(&s);
}

/* ---- Certificates by OpenSSL ---- */

static X509 *read_pem(const struct psp_blob *blob, unsigned n)
{
    BIO *bio = BIO_new_mem_buf(blob->data, (int)blob->len);
    X509 *cert = NULL;

    assert_non_null(bio);
    for (unsigned i = 0; i <= n; i++) {
        X509_free(cert);
        cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    }
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

static void assert_name(const X509_NAME *name, const char *cn)
{
    char text[128];

    assert_true(X509_NAME_get_text_by_NID((X509_NAME *)(uintptr_t)name, NID_commonName, text,
                                          sizeof(text)) > 0);
    assert_string_equal(text, cn);
    assert_true(X509_NAME_get_text_by_NID((X509_NAME *)(uintptr_t)name, NID_organizationName, text,
                                          sizeof(text)) > 0);
    assert_non_null(strstr(text, "TEST ONLY"));
}

static void openssl_agrees(void **state)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509 *ark, *ask, *vcek;
    STACK_OF(X509) *between = sk_X509_new_null();
    const uint8_t *p;
    X509_CRL *crl;
    struct scene s;

    (void)state;
    create(&s, PSP_TURIN, NULL);
    vcek = read_pem(&s.files[PSP_VCEK], 0);
    ask = read_pem(&s.files[PSP_CERT_CHAIN], 0);
    ark = read_pem(&s.files[PSP_CERT_CHAIN], 1);
    assert_name(X509_get_subject_name(ark), "ARK-Turin");
    assert_name(X509_get_subject_name(ask), "SEV-Turin");
    assert_name(X509_get_subject_name(vcek), "SEV-VCEK");
    assert_true(store && ctx && between && sk_X509_push(between, ask));
    assert_int_equal(X509_STORE_add_cert(store, ark), 1);
    p = s.files[PSP_CRL].data;
    crl = d2i_X509_CRL(NULL, &p, (long)s.files[PSP_CRL].len);
    assert_non_null(crl);
    assert_ptr_equal(p, s.files[PSP_CRL].data + s.files[PSP_CRL].len);
    assert_int_equal(X509_CRL_verify(crl, X509_get0_pubkey(ark)), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, vcek, between), 1);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), NOW + 100);
    assert_int_equal(X509_verify_cert(ctx), 1);
    X509_CRL_free(crl);
    X509_free(vcek);
    X509_free(ask);
    X509_free(ark);
    sk_X509_free(between);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_product_and_version),
        cmocka_unit_test(what_a_report_says),
        cmocka_unit_test(extended_report),
        cmocka_unit_test(altered_reports),
        cmocka_unit_test(masks),
        cmocka_unit_test(reported_tcb),
        cmocka_unit_test(faults),
        cmocka_unit_test(openssl_agrees),
    };

    return cmocka_run_group_tests_name("firmware: reports", tests, NULL, NULL);
}

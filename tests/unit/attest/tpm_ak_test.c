// SPDX-License-Identifier: Apache-2.0
/*
 * The keys that sign TPM quotes: their forms and attributes, and the certificates that vouch for
 * them.
 */
#include "tests/unit/attest/tpm_made.h"

/* ---- The key ---- */

static void key_attributes(void **state)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } bits[] = {
        { TPMA_OBJECT_FIXEDTPM, "fixedTPM" },     { TPMA_OBJECT_FIXEDPARENT, "fixedParent" },
        { TPMA_OBJECT_RESTRICTED, "restricted" }, { TPMA_OBJECT_SIGN_ENCRYPT, "sign" },
        { TPMA_OBJECT_DECRYPT, "decrypt" },
    };
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        EVP_PKEY *key = i % 2 ? p256 : rsa;

        make_quote(&s, &m, key, i % 2 ? TPM_ALG_ECDSA : TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
        public_write(&m.public, key, GOOD_AK ^ bits[i].bit);
        tpm_verify(&s.v);
        expect_verdict(&s, BAWN_NOT_TRUSTED);
        expect_finding(s.r, "tpm.ak-attributes", BAWN_FINDING_REFUSED, bits[i].name);
    }
    scene_close(&s);
}

static void keys_that_are_none(void **state)
{
    static const uint8_t junk[] = "no key";
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    s.v.ev.ak_public = (struct bawn_bytes){ junk, sizeof(junk) };
    tpm_verify(&s.v);
    expect_finding(s.r, "tpm.ak-form", BAWN_FINDING_MISSING, "cannot be read");
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    make_quote(&s, &m, p256, TPM_ALG_ECDSA, HASH_SHA256, HASH_SHA256);
    m.public.data[17] = 0x10; /* BN_P256 */
    tpm_verify(&s.v);
    expect_finding(s.r, "tpm.ak-form", BAWN_FINDING_REFUSED, "cannot be accepted");
    /* A point off its curve is a key with which nothing verifies. */
    make_quote(&s, &m, p256, TPM_ALG_ECDSA, HASH_SHA256, HASH_SHA256);
    m.public.data[m.public.len - 1] ^= 1;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.signature", BAWN_FINDING_REFUSED, "does not verify");
    scene_close(&s);
}

/* What a public area may say in another way, and what it may not say at all. */
static void public_areas(void **state)
{
    static const uint8_t cert[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    struct bawn_error err = { "" };
    struct out longer = { .len = 0 };
    struct tpm_ak ak, plain;
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    assert_int_equal(tpm_ak_parse(&s.v, &plain, out_bytes(&m.public), NULL), BAWN_OK);
    m.public.data[19] = 0x01; /* exponent 65537, spelled out */
    m.public.data[21] = 0x01;
    assert_int_equal(tpm_ak_parse(&s.v, &ak, out_bytes(&m.public), NULL), BAWN_OK);
    assert_true(pubkey_equal(&ak.key, &plain.key));
    m.public.data[21] = 0x03; /* another */
    assert_int_equal(tpm_ak_parse(&s.v, &ak, out_bytes(&m.public), NULL), BAWN_OK);
    assert_false(pubkey_equal(&ak.key, &plain.key));
    m.public.data[19] = 0x00; /* 3 */
    assert_int_equal(tpm_ak_parse(&s.v, &ak, out_bytes(&m.public), NULL), BAWN_E_UNSUPPORTED);

    /* A hash for the name that is not served: no name, and no harm. */
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    m.public.data[3] = TPM_ALG_SM3_256;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_TRUSTED);
    assert_null(bawn_attest_result_claim(s.r, "tpm.ak_name"));

    /* A coordinate longer than the curve's field. */
    make_quote(&s, &m, p256, TPM_ALG_ECDSA, HASH_SHA256, HASH_SHA256);
    put(&longer, m.public.data, 20);
    put_be(&longer, m.public.data[21] + 8u, 2);
    put_be(&longer, 0, 8);
    put(&longer, m.public.data + 22, m.public.len - 22);
    assert_int_equal(tpm_ak_parse(&s.v, &ak, out_bytes(&longer), &err), BAWN_E_UNSUPPORTED);
    assert_int_equal(tpm_ak_parse(&s.v, &ak, (struct bawn_bytes){ cert, sizeof(cert) - 1 }, &err),
                     BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "no PUBLIC KEY"));
    scene_close(&s);
}

static void short_rsa_key(void **state)
{
    EVP_PKEY *key = pki_key(pki, "RSA-1024");
    struct made m;
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    make_quote(&s, &m, key, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.ak-form", BAWN_FINDING_REFUSED, "modulus");
    scene_close(&s);
}

/* Every form of the key is the same key. */
static void forms_of_the_key(void **state)
{
    EVP_PKEY *keys[] = { rsa, p256 };
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    for (size_t k = 0; k < 2; k++) {
        struct bawn_bytes spki = pki_spki(pki, keys[k]), digest;
        struct bawn_bytes forms[4] = { spki, pki_pem(pki, "PUBLIC KEY", spki) };
        struct out sized = { .len = 0 };

        make_quote(&s, &m, keys[k], k ? TPM_ALG_ECDSA : TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
        put_2b(&sized, out_bytes(&m.public));
        forms[2] = out_bytes(&m.public);
        forms[3] = out_bytes(&sized);
        for (size_t i = 0; i < 4; i++) {
            struct tpm_ak ak;

            scene_again(&s);
            digest = digest_of(s.v.arena, HASH_SHA256, spki.data, spki.len);
            assert_int_equal(tpm_ak_parse(&s.v, &ak, forms[i], NULL), BAWN_OK);
            assert_int_equal(ak.spki.len, spki.len);
            assert_memory_equal(ak.spki.data, spki.data, spki.len);
            make_quote(&s, &m, keys[k], k ? TPM_ALG_ECDSA : TPM_ALG_RSASSA, HASH_SHA256,
                       HASH_SHA256);
            s.v.ev.ak_public = forms[i];
            tpm_verify(&s.v);
            expect_verdict(&s, BAWN_TRUSTED);
            digest = digest_of(s.v.arena, HASH_SHA256, spki.data, spki.len);
            assert_memory_equal(bawn_attest_result_claim(s.r, "tpm.ak")->bytes.data, digest.data,
                                digest.len);
        }
    }
    scene_close(&s);
}

/* ---- Certificates ---- */

static void judge_with_certs(struct scene *s, struct made *m, bool with_key,
                             const struct pki_cert *const *certs, size_t n)
{
    make_quote(s, m, p256, TPM_ALG_ECDSA, HASH_SHA256, HASH_SHA256);
    if (!with_key)
        s->v.ev.ak_public.len = 0;
    for (size_t i = 0; i < n; i++)
        endorsement_add_cert(&s->v, certs[i]->der, "the test");
    tpm_verify(&s->v);
}

static struct pki_ext key_purpose(const char *oid)
{
    return (struct pki_ext){ .oid = "2.5.29.37", .value = PKI_SEQUENCE(pki, pki_oid(pki, oid)) };
}

static void certified_key(void **state)
{
    const struct pki_cert *root = pki_issue(pki, &(struct pki_spec){ .cn = "AK Root", .ca = true });
    const struct pki_cert *ca =
        pki_issue(pki, &(struct pki_spec){ .cn = "AK CA", .ca = true, .by = root });
    const struct pki_cert *ak = pki_issue(
        pki, &(struct pki_spec){
                 .cn = "AK", .by = ca, .key = p256, .exts = { key_purpose("2.23.133.8.3") } });
    const struct pki_cert *other = pki_issue(pki, &(struct pki_spec){ .cn = "Other", .by = ca });
    const struct pki_cert *all[] = { other, ca, ak };
    struct made m;
    struct scene s;

    (void)state;
    scene_open(&s, &root->der, 1);
    for (int with_key = 0; with_key < 2; with_key++) {
        judge_with_certs(&s, &m, with_key, all, 3);
        expect_verdict(&s, BAWN_TRUSTED);
        expect_claim(s.r, "tpm.ak_binding", "certificate");
        assert_non_null(s.r->foreign_root);
        /* Without the CA between there is no chain. */
        judge_with_certs(&s, &m, with_key, &all[2], 1);
        assert_int_not_equal(scene_verdict(&s), BAWN_TRUSTED);
    }
    judge_with_certs(&s, &m, false, all, 2);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.signature", BAWN_FINDING_REFUSED, "any of the 1 keys");
    judge_with_certs(&s, &m, true, all, 2);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "tpm.ak-binding", BAWN_FINDING_MISSING, "nothing vouches");
    s.v.at = PKI_END + 1;
    judge_with_certs(&s, &m, true, all, 3);
    assert_int_not_equal(scene_verdict(&s), BAWN_TRUSTED);
    assert_null(result_finding(s.r, "tpm.ak-validity", BAWN_FINDING_PASS));
    scene_close(&s);
    /* Under another root the same certificates are worth nothing. */
    scene_open(&s, &other->der, 0);
    judge_with_certs(&s, &m, true, all, 3);
    assert_int_not_equal(scene_verdict(&s), BAWN_TRUSTED);
    scene_close(&s);
}

/* An expired certificate of the key does not hide its renewed one, in either order. */
static void renewed_certificate(void **state)
{
    const struct pki_cert *root = pki_issue(pki, &(struct pki_spec){ .cn = "AK Root", .ca = true });
    const struct pki_cert *expired = pki_issue(
        pki,
        &(struct pki_spec){ .cn = "AK", .by = root, .key = p256, .not_after = PKI_BEGIN + 1000 });
    const struct pki_cert *good =
        pki_issue(pki, &(struct pki_spec){ .cn = "AK", .by = root, .key = p256 });
    const struct pki_cert *both[] = { expired, good, expired };
    struct made m;
    struct scene s;

    (void)state;
    scene_open(&s, &root->der, 1);
    for (int first = 0; first < 2; first++) {
        judge_with_certs(&s, &m, true, &both[first], 2);
        expect_verdict(&s, BAWN_TRUSTED);
        expect_finding(s.r, "tpm.ak-binding", BAWN_FINDING_PASS, "");
        assert_null(result_finding(s.r, "tpm.ak-validity", BAWN_FINDING_REFUSED));
    }
    judge_with_certs(&s, &m, true, both, 1);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.ak-validity", BAWN_FINDING_REFUSED, "has expired");
    scene_close(&s);
}

/* Which of the certificates has the key is sought among a bounded number of them. */
static void many_certificates(void **state)
{
    enum { TRIED = 64 };
    const struct pki_cert *root = pki_issue(pki, &(struct pki_spec){ .cn = "AK Root", .ca = true });
    const struct pki_cert *certs[TRIED + 1];
    struct made m;
    struct scene s;

    (void)state;
    for (int i = 0; i < TRIED; i++)
        certs[i] = pki_issue(pki, &(struct pki_spec){ .cn = "Other", .by = root });
    certs[TRIED] = pki_issue(pki, &(struct pki_spec){ .cn = "AK", .by = root, .key = p256 });
    scene_open(&s, &root->der, 1);
    judge_with_certs(&s, &m, false, certs + 1, TRIED);
    expect_verdict(&s, BAWN_TRUSTED);
    judge_with_certs(&s, &m, false, certs, TRIED + 1);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "tpm.signature", BAWN_FINDING_MISSING, "the first 64 keys");
    scene_close(&s);
}

static void certificates_for_other_uses(void **state)
{
    const struct pki_cert *root = pki_issue(pki, &(struct pki_spec){ .cn = "AK Root", .ca = true });
    const struct pki_cert *web =
        pki_issue(pki, &(struct pki_spec){ .cn = "Web server",
                                           .by = root,
                                           .key = p256,
                                           .exts = { key_purpose("1.3.6.1.5.5.7.3.1") } });
    const struct pki_cert *ca =
        pki_issue(pki, &(struct pki_spec){ .cn = "CA", .by = root, .key = p256, .ca = true });
    const struct pki_cert *plain =
        pki_issue(pki, &(struct pki_spec){ .cn = "AK", .by = root, .key = p256 });
    const struct pki_cert *no_signatures = pki_issue(
        pki, &(struct pki_spec){
                 .cn = "Encryption", .by = root, .key = p256, .key_usage = PKI_KU_CRL_SIGN });
    const struct pki_cert *google =
        pki_issue(pki, &(struct pki_spec){ .cn = "AK of GCE",
                                           .by = root,
                                           .key = p256,
                                           .key_usage = PKI_KU_DIGITAL_SIGNATURE,
                                           .exts = { key_purpose("2.23.133.8.1") } });
    struct made m;
    struct scene s;

    (void)state;
    scene_open(&s, &root->der, 1);
    judge_with_certs(&s, &m, true, &google, 1);
    expect_verdict(&s, BAWN_TRUSTED);
    judge_with_certs(&s, &m, true, &plain, 1); /* says nothing of uses */
    expect_verdict(&s, BAWN_TRUSTED);
    judge_with_certs(&s, &m, true, &no_signatures, 1);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.ak-certificate-usage", BAWN_FINDING_REFUSED, "not for signatures");
    judge_with_certs(&s, &m, true, &web, 1);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.ak-certificate-usage", BAWN_FINDING_REFUSED, "other uses");
    judge_with_certs(&s, &m, true, &ca, 1);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "tpm.ak-binding", BAWN_FINDING_MISSING, "nothing vouches");
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_attributes),
        cmocka_unit_test(keys_that_are_none),
        cmocka_unit_test(public_areas),
        cmocka_unit_test(short_rsa_key),
        cmocka_unit_test(forms_of_the_key),
        cmocka_unit_test(certified_key),
        cmocka_unit_test(renewed_certificate),
        cmocka_unit_test(many_certificates),
        cmocka_unit_test(certificates_for_other_uses),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

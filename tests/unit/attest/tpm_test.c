// SPDX-License-Identifier: Apache-2.0
/*
 * The judgement of TPM quotes: real ones, and made ones that are wrong in one way each.
 */
#include "tests/unit/attest/tpm_made.h"

#define VECTORS "tests/vectors/"

/* ---- Real quotes ---- */

struct parts {
    struct blob message, signature, ak;
    struct pcr_bank pcrs; /* of an arena */
    struct arena arena;
};

static void parts_free(struct parts *p)
{
    blob_free(&p->message);
    blob_free(&p->signature);
    blob_free(&p->ak);
    arena_free(&p->arena);
}

static struct parts keylime(void)
{
    struct parts p = { .message = file_read(VECTORS "tpm/quote.out"),
                       .signature = file_read(VECTORS "tpm/quotesig.out"),
                       .ak = file_read(VECTORS "tpm/akpub.pem") };
    struct blob file = file_read(VECTORS "tpm/quotepcr.out");
    struct bawn_bytes kept = arena_copy(&p.arena, file.data, file.len);
    struct evidence ev = { .kind = BAWN_EVIDENCE_TPM };

    assert_true(tpm_pcr_file_parse(&ev, kept));
    p.pcrs = ev.pcrs;
    blob_free(&file);
    return p;
}

static struct parts bare_json(void)
{
    static const char path[] = VECTORS "tpm/tpm_evidence.json";
    struct parts p = { .message = json_member(path, "tpm_quote", "message"),
                       .signature = json_member(path, "tpm_quote", "signature"),
                       .ak = json_member(path, NULL, "ak_public") };

    json_pcrs(&p.arena, path, "tpm_quote", &p.pcrs);
    return p;
}

static void judge(struct scene *s, const struct parts *p, bool with_key)
{
    scene_again(s);
    s->v.ev.kind = BAWN_EVIDENCE_TPM;
    s->v.ev.tpm_message = bytes_of(&p->message);
    s->v.ev.tpm_signature = bytes_of(&p->signature);
    s->v.ev.pcrs = p->pcrs;
    if (with_key)
        s->v.ev.ak_public = bytes_of(&p->ak);
    tpm_verify(&s->v);
}

static void keylime_is_trusted_by_its_key(void **state)
{
    struct parts p = keylime();
    struct bawn_bytes root = bytes_of(&p.ak);
    struct scene s;

    (void)state;
    scene_open(&s, &root, 1);
    for (int with_key = 0; with_key < 2; with_key++) {
        judge(&s, &p, with_key);
        expect_verdict(&s, BAWN_TRUSTED);
        expect_claim(s.r, "tpm.ak_binding", "given key");
        expect_claim(s.r, "tpm.nonce", "db1db298db6d60e6385b7231743e9c3056a18003");
        expect_claim(s.r, "tpm.pcr_selection", "sha256:15,16,22");
        expect_claim(s.r, "tpm.pcr_bank", "sha256");
        expect_claim(s.r, "tpm.signature_algorithm", "RSASSA with SHA-256");
        expect_claim(s.r, "tpm.reset_count", "0");
        expect_claim(s.r, "tpm.clock", "5994");
        expect_claim(s.r, "tpm.clock_safe", "true");
        expect_claim(s.r, "tpm.firmware_version", "2312041029275363328");
        expect_claim(s.r, "tpm.pcr[16]",
                     "9dbb22387e019c04da95477333546082ce313152c4a7f8a6e1d5f0c77f4fb6f0");
        assert_null(bawn_attest_result_claim(s.r, "tpm.pcr[0]"));
        assert_int_equal(s.v.ev.pcrs_quoted, 1u << 15 | 1u << 16 | 1u << 22);
        assert_non_null(strstr(s.r->foreign_root, "the given key"));
        assert_string_equal(s.r->subject, "TPM 2.0 quote");
    }
    scene_close(&s);
    parts_free(&p);
}

/* The key alone proves nothing: it may be anyone's. */
static void unbound_key_cannot_be_judged(void **state)
{
    struct parts p[] = { keylime(), bare_json() };
    struct bawn_bytes root;
    struct scene s;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        scene_open(&s, NULL, 0);
        judge(&s, &p[i], true);
        expect_verdict(&s, BAWN_CANNOT_JUDGE);
        expect_finding(s.r, "tpm.ak-binding", BAWN_FINDING_MISSING,
                       "nothing vouches for the attestation key");
        judge(&s, &p[i], false);
        expect_verdict(&s, BAWN_CANNOT_JUDGE);
        expect_finding(s.r, "tpm.ak-form", BAWN_FINDING_MISSING, "key is not given");
        scene_close(&s);
        root = pki_spki(pki, rsa);
        scene_open(&s, &root, 1);
        judge(&s, &p[i], false);
        expect_verdict(&s, BAWN_NOT_TRUSTED);
        expect_finding(s.r, "tpm.signature", BAWN_FINDING_REFUSED, "any of the 1 keys");
        scene_close(&s);
        parts_free(&p[i]);
    }
}

static void bare_json_is_trusted_by_its_key(void **state)
{
    struct parts p = bare_json();
    struct bawn_bytes root = bytes_of(&p.ak);
    struct scene s;

    (void)state;
    scene_open(&s, &root, 1);
    judge(&s, &p, true);
    expect_verdict(&s, BAWN_TRUSTED);
    for (unsigned n = 0; n < TPM_PCRS; n++) {
        char name[16];

        snprintf(name, sizeof(name), "tpm.pcr[%u]", n);
        assert_non_null(bawn_attest_result_claim(s.r, name));
    }
    expect_claim(s.r, "tpm.pcr_selection",
                 "sha256:0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23");
    scene_close(&s);
    parts_free(&p);
}

static void values_not_given_is_a_warning(void **state)
{
    struct parts p = keylime();
    struct bawn_bytes root = bytes_of(&p.ak);
    struct scene s;

    (void)state;
    memset(&p.pcrs, 0, sizeof(p.pcrs));
    scene_open(&s, &root, 1);
    judge(&s, &p, false);
    expect_verdict(&s, BAWN_TRUSTED);
    expect_finding(s.r, "tpm.pcr-values", BAWN_FINDING_WARNING, "only by their digest");
    assert_null(bawn_attest_result_claim(s.r, "tpm.pcr[16]"));
    assert_int_equal(s.v.ev.pcrs_quoted, 0);
    scene_close(&s);
    parts_free(&p);
}

static void windows_sha1_is_refused(void **state)
{
    static const char path[] = VECTORS "tpm/windows_gcp_shielded_vm.json";
    struct parts p = { .message = json_member(path, "Quote", "Quote"),
                       .signature = json_member(path, "Quote", "Signature"),
                       .ak = json_member(path, "AK", "Public") };
    struct blob creation = json_member(path, "AK", "CreateAttestation"), quote;
    struct scene s;

    (void)state;
    scene_open(&s, NULL, 0);
    judge(&s, &p, true);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.signature-hash", BAWN_FINDING_REFUSED, "signed over SHA-1");
    expect_finding(s.r, "tpm.pcr-bank", BAWN_FINDING_REFUSED, "SHA-1 bank");
    expect_claim(s.r, "tpm.signature_algorithm", "RSASSA with SHA-1");
    /* The key's creation is no quote. */
    quote = p.message;
    p.message = creation;
    judge(&s, &p, true);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.quote", BAWN_FINDING_REFUSED, "creation certification");
    p.message = quote;
    blob_free(&creation);
    scene_close(&s);
    parts_free(&p);
}

/* Every byte that is signed or checked, changed; and every length. */
static void changed_bytes_are_never_trusted(void **state)
{
    struct parts p = keylime();
    struct bawn_bytes root = bytes_of(&p.ak);
    struct blob *blobs[] = { &p.message, &p.signature };
    struct scene s;

    (void)state;
    scene_open(&s, &root, 1);
    for (size_t k = 0; k < 2; k++) {
        struct blob whole = *blobs[k];

        for (size_t i = 0; i < whole.len; i++) {
            whole.data[i] ^= 0xff;
            judge(&s, &p, false);
            assert_int_not_equal(scene_verdict(&s), BAWN_TRUSTED);
            whole.data[i] ^= 0xff;
        }
        for (size_t len = 0; len < whole.len; len++) {
            *blobs[k] = blob_of(whole.data, len);
            judge(&s, &p, false);
            assert_int_not_equal(scene_verdict(&s), BAWN_TRUSTED);
            blob_free(blobs[k]);
        }
        *blobs[k] = (struct blob){ calloc(1, whole.len + 1), whole.len + 1 };
        memcpy(blobs[k]->data, whole.data, whole.len);
        judge(&s, &p, false);
        assert_int_not_equal(scene_verdict(&s), BAWN_TRUSTED);
        blob_free(blobs[k]);
        *blobs[k] = whole;
    }
    judge(&s, &p, false);
    expect_verdict(&s, BAWN_TRUSTED);
    scene_close(&s);
    parts_free(&p);
}

static void changed_values_are_refused(void **state)
{
    struct parts p = keylime();
    struct bawn_bytes root = bytes_of(&p.ak);
    struct scene s;

    (void)state;
    scene_open(&s, &root, 1);
    for (unsigned n = 0; n < TPM_PCRS; n++)
        for (size_t i = 0; i < p.pcrs.value[n].len; i++) {
            struct bawn_bytes was = p.pcrs.value[n];
            struct blob b = blob_of(was.data, was.len);

            b.data[i] ^= 0x01;
            p.pcrs.value[n] = bytes_of(&b);
            judge(&s, &p, false);
            expect_verdict(&s, BAWN_NOT_TRUSTED);
            expect_finding(s.r, "tpm.pcr-digest", BAWN_FINDING_REFUSED,
                           "are not those that were quoted");
            assert_null(bawn_attest_result_claim(s.r, "tpm.pcr[16]"));
            p.pcrs.value[n] = was;
            blob_free(&b);
        }
    scene_close(&s);
    parts_free(&p);
}

/* ---- Made quotes ---- */

static void schemes_and_hashes(void **state)
{
    static const char *const kinds[] = { "RSA-2048", "P-256", "P-384", "P-521" };
    static const uint16_t schemes[][2] = { { TPM_ALG_RSASSA, TPM_ALG_RSAPSS },
                                           { TPM_ALG_ECDSA, TPM_ALG_ECDSA } };
    struct made m;
    struct scene s;

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        EVP_PKEY *key = k ? pki_key(pki, kinds[k]) : rsa;
        struct bawn_bytes root = pki_spki(pki, key);

        scene_open(&s, &root, 1);
        for (size_t i = 0; i < (k ? 1 : 2); i++)
            for (enum hash_alg hash = HASH_SHA256; hash <= HASH_SHA512; hash++)
                for (enum hash_alg bank = HASH_SHA256; bank <= HASH_SHA512; bank++) {
                    make_quote(&s, &m, key, schemes[k > 0][i], hash, bank);
                    tpm_verify(&s.v);
                    expect_verdict(&s, BAWN_TRUSTED);
                    expect_finding(s.r, "tpm.signature", BAWN_FINDING_PASS, "");
                    expect_finding(s.r, "tpm.pcr-digest", BAWN_FINDING_PASS, "");
                    expect_finding(s.r, "tpm.ak-attributes", BAWN_FINDING_PASS, "");
                    assert_non_null(bawn_attest_result_claim(s.r, "tpm.pcr[23]"));
                    assert_int_equal(bawn_attest_result_claim(s.r, "tpm.ak_name")->bytes.len, 34);
                    /* The same bytes under another scheme or hash are another signature. */
                    m.signature.data[3] ^= hash == HASH_SHA256 ? 0x07 : 0x01;
                    s.r->findings.n = 0;
                    tpm_verify(&s.v);
                    expect_verdict(&s, BAWN_NOT_TRUSTED);
                }
        scene_close(&s);
    }
}

static void pss_salt_may_be_any(void **state)
{
    static const int salts[] = { 0, 20, RSA_PSS_SALTLEN_DIGEST, RSA_PSS_SALTLEN_MAX };
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    for (size_t i = 0; i < 4; i++) {
        struct blob raw;

        make_quote(&s, &m, rsa, TPM_ALG_RSAPSS, HASH_SHA256, HASH_SHA256);
        raw = raw_sign(rsa, TPM_ALG_RSAPSS, HASH_SHA256, salts[i], out_bytes(&m.message));
        memcpy(m.signature.data + 6, raw.data, raw.len);
        blob_free(&raw);
        tpm_verify(&s.v);
        expect_verdict(&s, BAWN_TRUSTED);
        m.signature.data[1] = TPM_ALG_RSASSA;
        s.r->findings.n = 0;
        tpm_verify(&s.v);
        expect_verdict(&s, BAWN_NOT_TRUSTED);
    }
    scene_close(&s);
}

static void bare_rsa_signature(void **state)
{
    struct made m;
    struct scene s;
    struct bawn_bytes bare;

    (void)state;
    open_trusting(&s);
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    bare = (struct bawn_bytes){ m.signature.data + 6, 256 };
    s.v.ev.tpm_signature = bare;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_TRUSTED);
    /* It is SHA-256 by agreement, so one over another hash does not verify. */
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA384, HASH_SHA256);
    s.v.ev.tpm_signature = bare;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    /* Nor is it a signature of an EC key. */
    make_quote(&s, &m, p256, TPM_ALG_ECDSA, HASH_SHA256, HASH_SHA256);
    s.v.ev.tpm_signature = bare;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    scene_close(&s);
}

/* A TPM may leave out leading zeros of r and s, and may not add any. */
static void short_ecdsa_numbers(void **state)
{
    struct made m;
    struct scene s;
    struct out longer = { .len = 0 };

    (void)state;
    open_trusting(&s);
    for (unsigned i = 0; i < 20000; i++) {
        make_quote(&s, &m, p256, TPM_ALG_ECDSA, HASH_SHA256, HASH_SHA256);
        if (m.signature.data[5] < 32)
            break;
    }
    assert_true(m.signature.data[5] < 32);
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_TRUSTED);
    for (unsigned zeros = 1; zeros <= 3; zeros++) {
        size_t n = m.signature.data[5];

        longer.len = 0;
        put(&longer, m.signature.data, 4);
        put_be(&longer, n + zeros, 2);
        put_be(&longer, 0, zeros);
        put(&longer, m.signature.data + 6, m.signature.len - 6);
        s.r->findings.n = 0;
        s.v.ev.tpm_signature = out_bytes(&longer);
        tpm_verify(&s.v);
        expect_verdict(&s, n + zeros <= 32 ? BAWN_TRUSTED : BAWN_NOT_TRUSTED);
    }
    longer.len = 0; /* r of no bytes */
    put(&longer, m.signature.data, 4);
    put_be(&longer, 0, 2);
    put(&longer, m.signature.data + 6 + m.signature.data[5],
        m.signature.len - 6 - m.signature.data[5]);
    s.r->findings.n = 0;
    s.v.ev.tpm_signature = out_bytes(&longer);
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    scene_close(&s);
}

static void sha1_is_refused(void **state)
{
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA1, HASH_SHA256);
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.signature-hash", BAWN_FINDING_REFUSED, "SHA-1");
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA1);
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.pcr-bank", BAWN_FINDING_REFUSED, "SHA-1");
    assert_null(bawn_attest_result_claim(s.r, "tpm.pcr[7]"));
    scene_close(&s);
}

static void signatures_that_are_none(void **state)
{
    static const uint8_t sm2[] = { 0x00, 0x1b, 0x00, 0x12 }, junk[] = "no signature at all";
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    s.v.ev.tpm_signature = (struct bawn_bytes){ sm2, sizeof(sm2) };
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.signature-form", BAWN_FINDING_REFUSED, "SM2");
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    s.v.ev.tpm_signature = (struct bawn_bytes){ junk, sizeof(junk) };
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "tpm.signature-form", BAWN_FINDING_MISSING, "cannot be read");
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    s.v.ev.tpm_signature.len = 0;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "tpm.signature-form", BAWN_FINDING_MISSING, "no signature");
    scene_close(&s);
}

/* Signed properly, but not by a TPM's rules: a key that is not restricted signs anything. */
static void messages_that_are_no_quotes(void **state)
{
    static const struct {
        uint16_t type;
        const char *words;
    } types[] = {
        { TPM_ST_ATTEST_CERTIFY, "object certification" },
        { TPM_ST_ATTEST_CREATION, "creation certification" },
        { TPM_ST_ATTEST_TIME, "time attestation" },
        { TPM_ST_ATTEST_NV, "NV certification" },
    };
    struct quote_spec q = { .nr_select = 0 };
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
        q.type = types[i].type;
        quote_write(&m.message, &q);
        signature_write(&m.signature, rsa, TPM_ALG_RSASSA, HASH_SHA256, out_bytes(&m.message));
        s.v.ev.tpm_message = out_bytes(&m.message);
        tpm_verify(&s.v);
        expect_verdict(&s, BAWN_NOT_TRUSTED);
        expect_finding(s.r, "tpm.quote", BAWN_FINDING_REFUSED, types[i].words);
    }
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    m.message.data[0] = 0;
    signature_write(&m.signature, rsa, TPM_ALG_RSASSA, HASH_SHA256, out_bytes(&m.message));
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.magic", BAWN_FINDING_REFUSED, "no TPM made this message");
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    put_be(&m.message, 0, 1); /* one byte too many, signed too */
    signature_write(&m.signature, rsa, TPM_ALG_RSASSA, HASH_SHA256, out_bytes(&m.message));
    s.v.ev.tpm_message = out_bytes(&m.message);
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "tpm.quote", BAWN_FINDING_MISSING, "1 bytes follow");
    scene_close(&s);
}

/* ---- PCRs ---- */

static void value_missing_or_of_wrong_size(void **state)
{
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    s.v.ev.pcrs.value[7].len = 0;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "tpm.pcr-values", BAWN_FINDING_MISSING, "PCR 7 of bank sha256");
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    s.v.ev.pcrs.value[7].len = 31;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_NOT_TRUSTED);
    expect_finding(s.r, "tpm.pcr-values", BAWN_FINDING_REFUSED, "PCR 7 is not of bank sha256");
    /* Values of another bank than the quoted one are not the quoted values. */
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    s.v.ev.pcrs.alg = HASH_SHA384;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    /* A bank that does not say which it is, is the quoted one. */
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    s.v.ev.pcrs.alg = HASH_NONE;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_TRUSTED);
    assert_int_equal(s.v.ev.pcrs.alg, HASH_SHA256);
    scene_close(&s);
}

/* A quote of the selection given, with the digest of the bytes given. */
static void make_selection(struct scene *s, struct made *m, const struct tpm_pcr_selection *select,
                           unsigned n, const void *values, size_t len)
{
    struct quote_spec q = { .nr_select = n };

    make_quote(s, m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    memset(&s->v.ev.pcrs, 0, sizeof(s->v.ev.pcrs));
    memcpy(q.select, select, n * sizeof(*select));
    q.digest = digest_of(s->v.arena, HASH_SHA256, values, len);
    quote_write(&m->message, &q);
    signature_write(&m->signature, rsa, TPM_ALG_RSASSA, HASH_SHA256, out_bytes(&m->message));
    s->v.ev.tpm_message = out_bytes(&m->message);
}

static void quote_of_no_pcr(void **state)
{
    const struct tpm_pcr_selection none = { TPM_ALG_SHA1, HASH_SHA1, 0 };
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    for (unsigned n = 0; n < 2; n++) {
        make_selection(&s, &m, &none, n, "", 0);
        tpm_verify(&s.v);
        expect_verdict(&s, BAWN_TRUSTED);
        expect_finding(s.r, "tpm.pcr-selection", BAWN_FINDING_WARNING, "covers no PCR");
        make_selection(&s, &m, &none, n, "x", 1);
        tpm_verify(&s.v);
        expect_verdict(&s, BAWN_NOT_TRUSTED);
        expect_finding(s.r, "tpm.pcr-digest", BAWN_FINDING_REFUSED, "");
    }
    scene_close(&s);
}

static void unknown_bank(void **state)
{
    const struct tpm_pcr_selection select[] = { { TPM_ALG_SHA256, HASH_SHA256, 0x80 },
                                                { TPM_ALG_SM3_256, HASH_NONE, 0x80 } };
    struct made m;
    struct scene s;

    (void)state;
    open_trusting(&s);
    make_selection(&s, &m, select, 2, "", 0);
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "tpm.pcr-bank", BAWN_FINDING_MISSING, "hash is not served");
    expect_claim(s.r, "tpm.pcr_selection", "sha256:7+0x0012:7");
    scene_close(&s);
}

static void several_banks(void **state)
{
    const struct tpm_pcr_selection select[] = { { TPM_ALG_SHA256, HASH_SHA256, 0x80 },
                                                { TPM_ALG_SHA512, HASH_SHA512, 0 },
                                                { TPM_ALG_SHA384, HASH_SHA384, 0x101 } };
    uint8_t values[32 + 2 * 48];
    struct bawn_bytes v7 = { values, 32 }, v0 = { values + 32, 48 }, v8 = { values + 80, 48 };
    struct pcr_bank *other;
    struct made m;
    struct scene s;

    (void)state;
    for (size_t i = 0; i < sizeof(values); i++)
        values[i] = (uint8_t)(i + 1);
    open_trusting(&s);
    for (int swap = 0; swap < 2; swap++) {
        make_selection(&s, &m, select, 3, values, sizeof(values));
        tpm_pcr_bank(&s.v.ev, HASH_SHA256, true)->value[7] = v7;
        other = tpm_pcr_bank(&s.v.ev, HASH_SHA384, true);
        other->value[0] = swap ? v8 : v0;
        other->value[8] = swap ? v0 : v8;
        tpm_verify(&s.v);
        expect_verdict(&s, swap ? BAWN_NOT_TRUSTED : BAWN_TRUSTED);
        if (swap)
            continue;
        expect_claim(s.r, "tpm.pcr_selection", "sha256:7+sha384:0,8");
        assert_ptr_equal(bawn_attest_result_claim(s.r, "tpm.pcr[7]")->bytes.data, v7.data);
        assert_ptr_equal(bawn_attest_result_claim(s.r, "tpm.sha384.pcr[8]")->bytes.data, v8.data);
        assert_null(bawn_attest_result_claim(s.r, "tpm.pcr[8]"));
        assert_int_equal(s.v.ev.pcrs_quoted, 0x80);
    }
    make_selection(&s, &m, select, 3, values, sizeof(values));
    tpm_pcr_bank(&s.v.ev, HASH_SHA256, true)->value[7] = v7;
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_CANNOT_JUDGE);
    expect_finding(s.r, "tpm.pcr-values", BAWN_FINDING_MISSING, "PCR 0 of bank sha384");
    scene_close(&s);
}

/* ---- Endorsements ---- */

static void endorsements(void **state)
{
    static const uint8_t junk[] = "something else";
    struct parts p = keylime();
    struct blob file = file_read(VECTORS "tpm/quotepcr.out");
    struct blob hcl = file_read(VECTORS "azure/hcl-report.bin");
    struct bawn_bytes root = bytes_of(&p.ak), values;
    uint8_t concatenated[3 * 32];
    struct made m;
    struct scene s;

    (void)state;
    scene_open(&s, &root, 1);
    scene_again(&s);
    s.input.evidence = bytes_of(&p.message);
    assert_true(tpm_endorsement_add(&s.v, bytes_of(&p.signature)));
    assert_true(tpm_endorsement_add(&s.v, bytes_of(&file)));
    assert_false(tpm_endorsement_add(&s.v, (struct bawn_bytes){ junk, sizeof(junk) }));
    assert_false(tpm_endorsement_add(&s.v, (struct bawn_bytes){ NULL, 0 }));
    assert_ptr_equal(s.v.ev.tpm_signature.data, p.signature.data);
    s.v.ev.tpm_message = bytes_of(&p.message);
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_TRUSTED);

    /* The values alone, and the signature alone. */
    scene_again(&s);
    memcpy(concatenated, p.pcrs.value[15].data, 32);
    memcpy(concatenated + 32, p.pcrs.value[16].data, 32);
    memcpy(concatenated + 64, p.pcrs.value[22].data, 32);
    values = (struct bawn_bytes){ concatenated, sizeof(concatenated) };
    assert_true(tpm_endorsement_add(&s.v, values));
    assert_true(tpm_endorsement_add(&s.v, (struct bawn_bytes){ p.signature.data + 6, 256 }));
    s.v.ev.tpm_message = bytes_of(&p.message);
    tpm_verify(&s.v);
    expect_verdict(&s, BAWN_TRUSTED);
    assert_non_null(bawn_attest_result_claim(s.r, "tpm.pcr[22]"));
    concatenated[5] ^= 1;
    scene_again(&s);
    assert_false(tpm_endorsement_add(&s.v, values));
    /* The digest is in the hash of the signature, whatever the bank's is. */
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA384, HASH_SHA256);
    s.input.evidence = out_bytes(&m.message);
    scene_again(&s);
    assert_true(tpm_endorsement_add(&s.v, (struct bawn_bytes){ m.values, 96 }));
    assert_ptr_equal(s.v.ev.pcrs.value[23].data, m.values + 64);

    /* Beside other evidence they are not looked for. */
    s.input.evidence = (struct bawn_bytes){ junk, sizeof(junk) };
    assert_false(tpm_endorsement_add(&s.v, (struct bawn_bytes){ p.signature.data + 6, 256 }));
    make_quote(&s, &m, rsa, TPM_ALG_RSASSA, HASH_SHA256, HASH_SHA256);
    scene_again(&s);
    assert_true(tpm_endorsement_add(&s.v, out_bytes(&m.public)));
    assert_ptr_equal(s.v.ev.ak_public.data, m.public.data);
    assert_true(tpm_endorsement_add(&s.v, out_bytes(&m.message)));
    assert_ptr_equal(s.v.ev.tpm_message.data, m.message.data);
    assert_true(tpm_endorsement_add(&s.v, bytes_of(&p.message)));
    assert_ptr_equal(s.v.ev.tpm_message.data, m.message.data); /* the first stays */
    assert_true(tpm_endorsement_add(&s.v, bytes_of(&hcl)));
    assert_ptr_equal(s.v.ev.hcl_report.data, hcl.data);
    scene_close(&s);
    blob_free(&file);
    blob_free(&hcl);
    parts_free(&p);
}

/* ---- The whole way, as bawn-verify goes ---- */

static void vectors_as_given(void **state)
{
    static const struct {
        const char *file, *root;
        enum bawn_verdict verdict;
        const char *check;
        enum bawn_finding_level level;
    } cases[] = {
        { "tpm/tpm_evidence.json", NULL, BAWN_CANNOT_JUDGE, "tpm.ak-binding",
          BAWN_FINDING_MISSING },
        { "tpm/tpm_evidence.json", "tpm/akpub.pem", BAWN_CANNOT_JUDGE, "tpm.ak-binding",
          BAWN_FINDING_MISSING },
        { "tpm/windows_gcp_shielded_vm.json", NULL, BAWN_NOT_TRUSTED, "tpm.pcr-bank",
          BAWN_FINDING_REFUSED },
        { "tpm/gce-cos-85-no-nonce.pb", NULL, BAWN_CANNOT_JUDGE, "tpm.ak-chain",
          BAWN_FINDING_MISSING },
        { "tpm/gce-cos-85-nonce9009.pb", NULL, BAWN_CANNOT_JUDGE, "tpm.ak-chain",
          BAWN_FINDING_MISSING },
        { "tpm/quote.out", "tpm/akpub.pem", BAWN_TRUSTED, "tpm.ak-binding", BAWN_FINDING_PASS },
        { "tpm/quote.out", NULL, BAWN_CANNOT_JUDGE, "tpm.ak-form", BAWN_FINDING_MISSING },
    };
    struct blob sig = file_read(VECTORS "tpm/quotesig.out");
    struct blob pcr = file_read(VECTORS "tpm/quotepcr.out");
    const struct bawn_bytes beside[] = { bytes_of(&sig), bytes_of(&pcr) };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[128];
        struct blob evidence, root = { NULL, 0 };
        struct bawn_attest_input input = { .at = 1780000000, .flags = BAWN_ATTEST_EXPLAIN };
        struct bawn_attest_result *r;
        struct bawn_bytes b;
        enum bawn_verdict verdict;

        snprintf(path, sizeof(path), VECTORS "%s", cases[i].file);
        evidence = file_read(path);
        input.evidence = bytes_of(&evidence);
        if (!strcmp(cases[i].file, "tpm/quote.out")) {
            input.endorsements = beside;
            input.nr_endorsements = 2;
        }
        if (cases[i].root)
            root = file_read(VECTORS "tpm/akpub.pem");
        b = bytes_of(&root);
        verdict = whole_verdict(&r, &b, root.len > 0, &input);
        expect_finding(r, cases[i].check, cases[i].level, "");
        if (verdict != cases[i].verdict)
            fail_msg("%s: verdict %d", cases[i].file, verdict);
        if (strstr(cases[i].file, "9009"))
            expect_claim(r, "tpm.nonce", "9009");
        bawn_attest_result_destroy(r);
        blob_free(&evidence);
        blob_free(&root);
    }
    blob_free(&sig);
    blob_free(&pcr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keylime_is_trusted_by_its_key),
        cmocka_unit_test(unbound_key_cannot_be_judged),
        cmocka_unit_test(bare_json_is_trusted_by_its_key),
        cmocka_unit_test(values_not_given_is_a_warning),
        cmocka_unit_test(windows_sha1_is_refused),
        cmocka_unit_test(changed_bytes_are_never_trusted),
        cmocka_unit_test(changed_values_are_refused),
        cmocka_unit_test(schemes_and_hashes),
        cmocka_unit_test(pss_salt_may_be_any),
        cmocka_unit_test(bare_rsa_signature),
        cmocka_unit_test(short_ecdsa_numbers),
        cmocka_unit_test(sha1_is_refused),
        cmocka_unit_test(signatures_that_are_none),
        cmocka_unit_test(messages_that_are_no_quotes),
        cmocka_unit_test(value_missing_or_of_wrong_size),
        cmocka_unit_test(quote_of_no_pcr),
        cmocka_unit_test(unknown_bank),
        cmocka_unit_test(several_banks),
        cmocka_unit_test(endorsements),
        cmocka_unit_test(vectors_as_given),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

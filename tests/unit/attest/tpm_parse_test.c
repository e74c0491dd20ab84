// SPDX-License-Identifier: Apache-2.0
// libs: -ltss2-mu
/*
 * The parser of TPM structures against tpm2-tss's, on real evidence, on what tpm2-tss writes,
 * and on changes of both: what ours takes, theirs takes with the same fields and the same
 * length. Ours is stricter, so the other direction is not asked for.
 */
#include "tests/unit/attest/scene.h"

#include <tss2/tss2_mu.h>

/* The same names with the same values, as macros. */
#undef TPMA_OBJECT_FIXEDTPM
#undef TPMA_OBJECT_STCLEAR
#undef TPMA_OBJECT_FIXEDPARENT
#undef TPMA_OBJECT_SENSITIVEDATAORIGIN
#undef TPMA_OBJECT_USERWITHAUTH
#undef TPMA_OBJECT_ADMINWITHPOLICY
#undef TPMA_OBJECT_NODA
#undef TPMA_OBJECT_ENCRYPTEDDUPLICATION
#undef TPMA_OBJECT_RESTRICTED
#undef TPMA_OBJECT_DECRYPT
#undef TPMA_OBJECT_SIGN_ENCRYPT
#undef TPMA_OBJECT_X509SIGN
#include "attest/lib/tpm.h"

#define VECTORS "tests/vectors/"

/* ---- Comparison ---- */

#define SAME(ours, tpm2b, member)                                     \
    do {                                                              \
        assert_int_equal((ours).len, (tpm2b).size);                   \
        assert_memory_equal((ours).data, (tpm2b).member, (ours).len); \
    } while (0)

/* True when ours took it; then theirs must have, the same. */
static bool attest_agrees(struct bawn_bytes b)
{
    struct tpm_attest a;
    TPMS_ATTEST t;
    size_t used = 0;

    if (tpm_attest_parse(&a, b, NULL) != BAWN_OK)
        return false;
    assert_int_equal(Tss2_MU_TPMS_ATTEST_Unmarshal(b.data, b.len, &used, &t), 0);
    assert_int_equal(used, b.len);
    assert_int_equal(a.magic, t.magic);
    assert_int_equal(a.type, t.type);
    SAME(a.qualified_signer, t.qualifiedSigner, name);
    SAME(a.extra_data, t.extraData, buffer);
    assert_int_equal(a.clock, t.clockInfo.clock);
    assert_int_equal(a.reset_count, t.clockInfo.resetCount);
    assert_int_equal(a.restart_count, t.clockInfo.restartCount);
    assert_int_equal(a.safe, t.clockInfo.safe);
    assert_int_equal(a.firmware_version, t.firmwareVersion);
    assert_int_equal(a.nr_select, t.attested.quote.pcrSelect.count);
    for (unsigned i = 0; i < a.nr_select; i++) {
        const TPMS_PCR_SELECTION *s = &t.attested.quote.pcrSelect.pcrSelections[i];
        uint32_t mask = 0;

        for (unsigned j = 0; j < s->sizeofSelect; j++)
            mask |= (uint32_t)s->pcrSelect[j] << (8 * j);
        assert_int_equal(a.select[i].id, s->hash);
        assert_int_equal(a.select[i].mask, mask);
    }
    SAME(a.pcr_digest, t.attested.quote.pcrDigest, buffer);
    return true;
}

static bool signature_agrees(struct bawn_bytes b)
{
    struct tpm_signature s;
    TPMT_SIGNATURE t;
    size_t used = 0;

    if (tpm_signature_parse(&s, b, NULL) != BAWN_OK)
        return false;
    assert_int_equal(Tss2_MU_TPMT_SIGNATURE_Unmarshal(b.data, b.len, &used, &t), 0);
    assert_int_equal(used, b.len);
    assert_int_equal(s.id, t.sigAlg);
    assert_int_equal(s.hash_id, t.signature.any.hashAlg);
    if (s.id == TPM_ALG_ECDSA) {
        SAME(s.r, t.signature.ecdsa.signatureR, buffer);
        SAME(s.s, t.signature.ecdsa.signatureS, buffer);
    } else {
        SAME(s.rsa, t.signature.rsassa.sig, buffer);
    }
    return true;
}

static void rsa_agrees(const struct tpm_public *p, const TPMT_PUBLIC *t)
{
    const TPMS_RSA_PARMS *rsa = &t->parameters.rsaDetail;

    assert_int_equal(p->symmetric, rsa->symmetric.algorithm);
    assert_int_equal(p->scheme, rsa->scheme.scheme);
    if (p->scheme != TPM_ALG_NULL && p->scheme != TPM_ALG_RSAES)
        assert_int_equal(p->scheme_hash, rsa->scheme.details.anySig.hashAlg);
    assert_int_equal(p->key_bits, rsa->keyBits);
    assert_int_equal(p->exponent, rsa->exponent);
    SAME(p->n, t->unique.rsa, buffer);
}

static void ecc_agrees(const struct tpm_public *p, const TPMT_PUBLIC *t)
{
    const TPMS_ECC_PARMS *ecc = &t->parameters.eccDetail;

    assert_int_equal(p->symmetric, ecc->symmetric.algorithm);
    if (p->symmetric != TPM_ALG_NULL) {
        assert_int_equal(p->symmetric_bits, ecc->symmetric.keyBits.sym);
        assert_int_equal(p->symmetric_mode, ecc->symmetric.mode.sym);
    }
    assert_int_equal(p->scheme, ecc->scheme.scheme);
    if (p->scheme != TPM_ALG_NULL)
        assert_int_equal(p->scheme_hash, ecc->scheme.details.anySig.hashAlg);
    if (p->scheme == TPM_ALG_ECDAA)
        assert_int_equal(p->scheme_count, ecc->scheme.details.ecdaa.count);
    assert_int_equal(p->curve, ecc->curveID);
    assert_int_equal(p->kdf, ecc->kdf.scheme);
    if (p->kdf != TPM_ALG_NULL)
        assert_int_equal(p->kdf_hash, ecc->kdf.details.mgf1.hashAlg);
    SAME(p->x, t->unique.ecc.x, buffer);
    SAME(p->y, t->unique.ecc.y, buffer);
}

static bool public_agrees(struct bawn_bytes b)
{
    struct tpm_public p;
    TPMT_PUBLIC t;
    size_t used = 0;

    if (tpm_public_parse(&p, b, NULL) != BAWN_OK)
        return false;
    assert_int_equal(Tss2_MU_TPMT_PUBLIC_Unmarshal(p.body.data, p.body.len, &used, &t), 0);
    assert_int_equal(used, p.body.len);
    assert_true(b.len == p.body.len || b.len == p.body.len + 2);
    assert_int_equal(p.type, t.type);
    assert_int_equal(p.name_alg, t.nameAlg);
    assert_int_equal(p.attributes, t.objectAttributes);
    SAME(p.auth_policy, t.authPolicy, buffer);
    if (p.type == TPM_ALG_RSA)
        rsa_agrees(&p, &t);
    else
        ecc_agrees(&p, &t);
    return true;
}

typedef bool agrees_fn(struct bawn_bytes b);

/* The blob itself, every byte of it changed in several ways, every length, and a byte more.
 * Says how many changes were taken. */
static size_t mutate(const struct blob *seed, agrees_fn *agrees)
{
    static const uint8_t flips[] = { 0x01, 0x02, 0x04, 0x10, 0x80, 0xff };
    struct blob b = blob_of(seed->data, seed->len);
    size_t taken = 0;

    assert_true(agrees(bytes_of(&b)));
    for (size_t i = 0; i < b.len; i++)
        for (size_t k = 0; k < sizeof(flips); k++) {
            b.data[i] ^= flips[k];
            taken += agrees(bytes_of(&b));
            b.data[i] ^= flips[k];
        }
    blob_free(&b);
    for (size_t len = 0; len < seed->len; len++) {
        b = blob_of(seed->data, len);
        assert_false(agrees(bytes_of(&b)));
        blob_free(&b);
    }
    b = (struct blob){ calloc(1, seed->len + 1), seed->len + 1 };
    memcpy(b.data, seed->data, seed->len);
    assert_false(agrees(bytes_of(&b)));
    blob_free(&b);
    return taken;
}

/* ---- Real evidence ---- */

static void real_messages(void **state)
{
    struct blob blobs[] = {
        file_read(VECTORS "tpm/quote.out"),
        file_read(VECTORS "azure/tpm-quote.msg"),
        json_member(VECTORS "tpm/tpm_evidence.json", "tpm_quote", "message"),
        json_member(VECTORS "tpm/windows_gcp_shielded_vm.json", "Quote", "Quote"),
        json_member(VECTORS "azure/evidence-genoa.json", "quote", "message"),
        json_member(VECTORS "azure/evidence-v1.json", "tpm_quote", "message"),
        json_member(VECTORS "azure/evidence-tdx-v1.json", "tpm_quote", "message"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(blobs) / sizeof(blobs[0]); i++) {
        assert_true(tpm_quote_recognise(bytes_of(&blobs[i])));
        assert_true(mutate(&blobs[i], attest_agrees) > 100);
        blob_free(&blobs[i]);
    }
}

static void real_signatures_and_keys(void **state)
{
    struct blob sig = file_read(VECTORS "tpm/quotesig.out");
    struct blob bare = file_read(VECTORS "azure/tpm-quote.sig");
    struct blob ak = json_member(VECTORS "tpm/windows_gcp_shielded_vm.json", "AK", "Public");
    struct tpm_public p;

    (void)state;
    assert_true(tpm_signature_recognise(bytes_of(&sig)));
    assert_false(tpm_signature_recognise(bytes_of(&bare)));
    assert_true(mutate(&sig, signature_agrees) > 100);
    assert_true(tpm_public_recognise(bytes_of(&ak)));
    assert_true(mutate(&ak, public_agrees) > 100);
    assert_int_equal(tpm_public_parse(&p, bytes_of(&ak), NULL), BAWN_OK);
    assert_int_equal(p.attributes, 0x00050472);
    assert_int_equal(p.scheme, TPM_ALG_RSASSA);
    assert_int_equal(p.key_bits, 2048);
    blob_free(&sig);
    blob_free(&bare);
    blob_free(&ak);
}

/* ---- What tpm2-tss writes ---- */

static TPMS_ATTEST quote_of(unsigned banks)
{
    static const uint16_t ids[] = { 0x0004, 0x000b, 0x000c, 0x000d, 0x0012, 0x0027 };
    TPMS_ATTEST t = { .magic = TPM_GENERATED_VALUE, .type = TPM_ST_ATTEST_QUOTE };

    t.qualifiedSigner.size = 66;
    memset(t.qualifiedSigner.name, 0x5a, 66);
    t.extraData.size = 50;
    memset(t.extraData.buffer, 0xa5, 50);
    t.clockInfo.clock = 0x0102030405060708;
    t.clockInfo.resetCount = 0x11223344;
    t.clockInfo.restartCount = 0x55667788;
    t.firmwareVersion = 0x99aabbccddeeff00;
    t.attested.quote.pcrSelect.count = banks;
    for (unsigned i = 0; i < banks; i++) {
        TPMS_PCR_SELECTION *s = &t.attested.quote.pcrSelect.pcrSelections[i];

        s->hash = ids[i];
        s->sizeofSelect = 3;
        s->pcrSelect[i % 3] = (uint8_t)(0x81 + i);
    }
    t.attested.quote.pcrDigest.size = 64;
    memset(t.attested.quote.pcrDigest.buffer, 0x33, 64);
    return t;
}

static struct blob attest_write(const TPMS_ATTEST *t)
{
    uint8_t buf[2048];
    size_t n = 0;

    assert_int_equal(Tss2_MU_TPMS_ATTEST_Marshal(t, buf, sizeof(buf), &n), 0);
    return blob_of(buf, n);
}

static void made_messages(void **state)
{
    (void)state;
    for (unsigned banks = 0; banks <= 6; banks++) {
        TPMS_ATTEST t = quote_of(banks);
        struct blob b = attest_write(&t);

        assert_true(mutate(&b, attest_agrees) > 100);
        blob_free(&b);
    }
}

static enum bawn_status attest_status(const TPMS_ATTEST *t, const char *words)
{
    struct bawn_error err = { "" };
    struct blob b = attest_write(t);
    struct tpm_attest a;
    enum bawn_status st = tpm_attest_parse(&a, bytes_of(&b), &err);

    if (!strstr(err.msg, words))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    blob_free(&b);
    return st;
}

static void selections(void **state)
{
    TPMS_ATTEST t = quote_of(2);
    TPMS_PCR_SELECTION *s = t.attested.quote.pcrSelect.pcrSelections;

    (void)state;
    s[0].sizeofSelect = 4; /* room for PCR 24 to 31, none of which there is */
    assert_int_equal(attest_status(&t, ""), BAWN_OK);
    s[0].pcrSelect[3] = 1;
    assert_int_equal(attest_status(&t, "PCR selection"), BAWN_E_FORMAT);
    s[0].pcrSelect[3] = 0;
    s[0].sizeofSelect = 2;
    assert_int_equal(attest_status(&t, "PCR selection"), BAWN_E_FORMAT);
    s[0].sizeofSelect = 0;
    assert_int_equal(attest_status(&t, "PCR selection"), BAWN_E_FORMAT);
    s[0].sizeofSelect = 3;
    s[0].hash = s[1].hash; /* twice the same bank */
    assert_int_equal(attest_status(&t, "PCR selection"), BAWN_E_FORMAT);
    s[0].hash = 0x7777; /* unknown to everyone, but well-formed */
    assert_int_equal(attest_status(&t, ""), BAWN_OK);
}

static void too_many_banks(void **state)
{
    TPMS_ATTEST t = quote_of(0);
    struct blob b = attest_write(&t);
    size_t count = b.len - 64 - 2 - 4;
    struct tpm_attest a;

    (void)state;
    /* The count in front of the digest; the digest's bytes do for selections. */
    b.data[count + 3] = 17;
    assert_int_equal(tpm_attest_parse(&a, bytes_of(&b), NULL), BAWN_E_FORMAT);
    memset(b.data + count, 0xff, 4);
    assert_int_equal(tpm_attest_parse(&a, bytes_of(&b), NULL), BAWN_E_FORMAT);
    blob_free(&b);
}

/* Attestations of other things are known by name, and are not quotes. */
static void other_types(void **state)
{
    static const struct {
        uint16_t type;
        const char *name;
    } types[] = {
        { TPM_ST_ATTEST_NV, "NV certification" },
        { TPM_ST_ATTEST_COMMAND_AUDIT, "command audit" },
        { TPM_ST_ATTEST_SESSION_AUDIT, "session audit" },
        { TPM_ST_ATTEST_CERTIFY, "object certification" },
        { TPM_ST_ATTEST_TIME, "time attestation" },
        { TPM_ST_ATTEST_CREATION, "creation certification" },
    };
    struct blob creation =
        json_member(VECTORS "tpm/windows_gcp_shielded_vm.json", "AK", "CreateAttestation");
    struct tpm_attest a;

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        TPMS_ATTEST t = quote_of(0);

        memset(&t.attested, 0, sizeof(t.attested));
        t.type = types[i].type;
        assert_int_equal(attest_status(&t, types[i].name), BAWN_E_UNSUPPORTED);
    }
    assert_int_equal(tpm_attest_parse(&a, bytes_of(&creation), NULL), BAWN_E_UNSUPPORTED);
    assert_int_equal(a.type, TPM_ST_ATTEST_CREATION);
    assert_int_equal(a.qualified_signer.len, 34);
    creation.data[4] = 0x70;
    assert_int_equal(tpm_attest_parse(&a, bytes_of(&creation), NULL), BAWN_E_FORMAT);
    creation.data[0] = 0;
    assert_int_equal(tpm_attest_parse(&a, bytes_of(&creation), NULL), BAWN_E_DENIED);
    assert_false(tpm_quote_recognise(bytes_of(&creation)));
    blob_free(&creation);
}

static struct blob signature_write(const TPMT_SIGNATURE *t)
{
    uint8_t buf[2048];
    size_t n = 0;

    assert_int_equal(Tss2_MU_TPMT_SIGNATURE_Marshal(t, buf, sizeof(buf), &n), 0);
    return blob_of(buf, n);
}

static void made_signatures(void **state)
{
    static const uint16_t hashes[] = { TPM_ALG_SHA1, TPM_ALG_SHA256, TPM_ALG_SHA384,
                                       TPM_ALG_SHA512 };
    struct tpm_signature s;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        TPMT_SIGNATURE t = { .sigAlg = TPM_ALG_ECDSA };
        struct blob b;

        t.signature.ecdsa.hash = hashes[i];
        t.signature.ecdsa.signatureR.size = (uint16_t)(31 + i);
        t.signature.ecdsa.signatureS.size = (uint16_t)(32 + i);
        memset(t.signature.ecdsa.signatureR.buffer, 0x77, 40);
        memset(t.signature.ecdsa.signatureS.buffer, 0x66, 40);
        b = signature_write(&t);
        assert_true(mutate(&b, signature_agrees) > 100);
        assert_int_equal(tpm_signature_parse(&s, bytes_of(&b), NULL), BAWN_OK);
        assert_int_equal(s.alg.scheme, SIG_ECDSA);
        assert_int_equal(s.alg.hash, HASH_SHA1 + i);
        blob_free(&b);
        memset(&t, 0, sizeof(t));
        t.sigAlg = TPM_ALG_RSAPSS;
        t.signature.rsapss.hash = hashes[i];
        t.signature.rsapss.sig.size = 384;
        b = signature_write(&t);
        assert_true(mutate(&b, signature_agrees) > 100);
        assert_int_equal(tpm_signature_parse(&s, bytes_of(&b), NULL), BAWN_OK);
        assert_int_equal(s.alg.scheme, SIG_RSA_PSS);
        assert_int_equal(s.alg.salt, -1);
        blob_free(&b);
    }
}

/* Known schemes that are not served are told from garbage. */
static void other_schemes(void **state)
{
    static const uint8_t hmac[] = { 0x00, 0x05, 0x00, 0x0b }, sm2[] = { 0x00, 0x1b },
                         sm3[] = { 0x00, 0x14, 0x00, 0x12, 0x00, 0x01, 0xff },
                         junk[] = { 0x77, 0x77, 0x00, 0x0b };
    struct tpm_signature s;
    struct bawn_error err;

    (void)state;
    assert_int_equal(tpm_signature_parse(&s, (struct bawn_bytes){ hmac, 4 }, &err),
                     BAWN_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "HMAC"));
    assert_int_equal(tpm_signature_parse(&s, (struct bawn_bytes){ sm2, 2 }, &err),
                     BAWN_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "SM2"));
    assert_int_equal(tpm_signature_parse(&s, (struct bawn_bytes){ sm3, 7 }, &err),
                     BAWN_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "0x0012"));
    assert_int_equal(tpm_signature_parse(&s, (struct bawn_bytes){ junk, 4 }, &err), BAWN_E_FORMAT);
    assert_int_equal(tpm_signature_parse(&s, (struct bawn_bytes){ NULL, 0 }, &err), BAWN_E_FORMAT);
}

static TPM2B_PUBLIC ecc_public(uint16_t scheme, uint16_t kdf, uint16_t symmetric)
{
    TPM2B_PUBLIC p = { .publicArea = { .type = TPM_ALG_ECC, .nameAlg = TPM_ALG_SHA256 } };
    TPMS_ECC_PARMS *ecc = &p.publicArea.parameters.eccDetail;

    p.publicArea.objectAttributes = 0x00050072;
    p.publicArea.authPolicy.size = 32;
    ecc->symmetric.algorithm = symmetric;
    ecc->symmetric.keyBits.sym = 128;
    ecc->symmetric.mode.sym = 0x0043;
    ecc->scheme.scheme = scheme;
    ecc->scheme.details.ecdaa.hashAlg = TPM_ALG_SHA384;
    ecc->scheme.details.ecdaa.count = 0x1234;
    ecc->curveID = TPM_ECC_NIST_P384;
    ecc->kdf.scheme = kdf;
    ecc->kdf.details.mgf1.hashAlg = TPM_ALG_SHA256;
    p.publicArea.unique.ecc.x.size = 48;
    p.publicArea.unique.ecc.y.size = 47;
    memset(p.publicArea.unique.ecc.x.buffer, 0x21, 48);
    memset(p.publicArea.unique.ecc.y.buffer, 0x43, 48);
    return p;
}

static TPM2B_PUBLIC rsa_public(uint16_t scheme, uint16_t symmetric)
{
    TPM2B_PUBLIC p = { .publicArea = { .type = TPM_ALG_RSA, .nameAlg = TPM_ALG_SHA384 } };
    TPMS_RSA_PARMS *rsa = &p.publicArea.parameters.rsaDetail;

    p.publicArea.objectAttributes = 0x00030072;
    rsa->symmetric.algorithm = symmetric;
    rsa->symmetric.keyBits.sym = 256;
    rsa->symmetric.mode.sym = 0x0043;
    rsa->scheme.scheme = scheme;
    rsa->scheme.details.anySig.hashAlg = TPM_ALG_SHA256;
    rsa->keyBits = 2048;
    rsa->exponent = 3;
    p.publicArea.unique.rsa.size = 256;
    memset(p.publicArea.unique.rsa.buffer, 0xc3, 256);
    return p;
}

static void public_check(const TPM2B_PUBLIC *p)
{
    uint8_t buf[2048];
    struct blob b;
    size_t n = 0;

    assert_int_equal(Tss2_MU_TPM2B_PUBLIC_Marshal(p, buf, sizeof(buf), &n), 0);
    b = blob_of(buf, n);
    assert_true(mutate(&b, public_agrees) > 50);
    blob_free(&b);
    b = blob_of(buf + 2, n - 2);
    assert_true(mutate(&b, public_agrees) > 50);
    blob_free(&b);
}

static void made_publics(void **state)
{
    static const uint16_t ecc[] = { TPM_ALG_NULL,      TPM_ALG_ECDSA, TPM_ALG_ECDAA, TPM_ALG_SM2,
                                    TPM_ALG_ECSCHNORR, TPM_ALG_ECDH,  TPM_ALG_ECMQV };
    static const uint16_t rsa[] = { TPM_ALG_NULL, TPM_ALG_RSASSA, TPM_ALG_RSAPSS, TPM_ALG_RSAES,
                                    TPM_ALG_OAEP };

    (void)state;
    for (size_t i = 0; i < sizeof(ecc) / sizeof(ecc[0]); i++) {
        TPM2B_PUBLIC p = ecc_public(ecc[i], i % 2 ? TPM_ALG_NULL : TPM_ALG_MGF1,
                                    i % 2 ? TPM_ALG_AES : TPM_ALG_NULL);

        public_check(&p);
    }
    for (size_t i = 0; i < sizeof(rsa) / sizeof(rsa[0]); i++) {
        TPM2B_PUBLIC p = rsa_public(rsa[i], i % 2 ? TPM_ALG_AES : TPM_ALG_NULL);

        public_check(&p);
    }
}

/* ---- PCR files ---- */

static void keylime_pcr_file(void **state)
{
    struct blob file = file_read(VECTORS "tpm/quotepcr.out"), b;
    struct evidence ev = { .kind = BAWN_EVIDENCE_TPM };

    (void)state;
    assert_true(tpm_pcr_file_parse(&ev, bytes_of(&file)));
    assert_int_equal(ev.pcrs.alg, HASH_SHA256);
    for (unsigned n = 0; n < TPM_PCRS; n++)
        assert_int_equal(ev.pcrs.value[n].len, n == 15 || n == 16 || n == 22 ? 32 : 0);
    assert_true(bytes_zero(ev.pcrs.value[15].data, 32));
    assert_int_equal(ev.pcrs.value[16].data[0], 0x9d);
    assert_int_equal(ev.pcrs.value[22].data[31], 0xff);
    for (size_t len = 0; len < file.len; len++) {
        b = blob_of(file.data, len);
        assert_false(tpm_pcr_file_parse(&ev, bytes_of(&b)));
        blob_free(&b);
    }
    for (size_t i = 0; i < file.len; i++) {
        struct evidence other = { .kind = BAWN_EVIDENCE_TPM };

        file.data[i] ^= 0xff;
        if (!tpm_pcr_file_parse(&other, bytes_of(&file)))
            assert_int_equal(other.pcrs.alg, HASH_NONE); /* untouched */
        file.data[i] ^= 0xff;
    }
    blob_free(&file);
}

/* A file as tpm2-tools write it, of the banks given. */
static struct blob pcr_file(const struct tpm_pcr_selection *select, uint32_t n)
{
    struct {
        uint32_t count;
        TPMS_PCR_SELECTION select[16];
        uint32_t lists;
        TPML_DIGEST list[4];
    } f = { .count = n };
    uint32_t at = 0;

    for (uint32_t i = 0; i < n; i++) {
        f.select[i] = (TPMS_PCR_SELECTION){ .hash = select[i].id, .sizeofSelect = 3 };
        for (unsigned j = 0; j < 3; j++)
            f.select[i].pcrSelect[j] = (uint8_t)(select[i].mask >> (8 * j));
        for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++) {
            TPM2B_DIGEST *d = &f.list[at / 8].digests[at % 8];

            if (!(select[i].mask >> pcr & 1))
                continue;
            assert_true(at < 32);
            d->size = (uint16_t)hash_size(select[i].bank);
            memset(d->buffer, (int)(i << 5 | pcr), d->size);
            f.list[at / 8].count++;
            at++;
        }
    }
    f.lists = (at + 7) / 8;
    return blob_of(&f, offsetof(__typeof__(f), list) + f.lists * sizeof(TPML_DIGEST));
}

static void many_banks_in_a_file(void **state)
{
    const struct tpm_pcr_selection two[] = {
        { TPM_ALG_SHA256, HASH_SHA256, 0x8003ff },
        { TPM_ALG_SHA384, HASH_SHA384, 0x000013 },
    };
    struct blob file = pcr_file(two, 2);
    struct evidence ev = { .kind = BAWN_EVIDENCE_TPM };
    struct pcr_bank *b;

    (void)state;
    assert_true(tpm_pcr_file_parse(&ev, bytes_of(&file)));
    assert_int_equal(ev.pcrs.alg, HASH_SHA256);
    assert_int_equal(ev.pcrs.value[9].data[0], 9);
    assert_int_equal(ev.pcrs.value[23].data[31], 23);
    assert_int_equal(ev.pcrs.value[10].len, 0);
    b = tpm_pcr_bank(&ev, HASH_SHA384, false);
    assert_non_null(b);
    assert_int_equal(b->value[4].len, 48);
    assert_int_equal(b->value[4].data[47], 1 << 5 | 4);
    assert_null(tpm_pcr_bank(&ev, HASH_SHA512, false));
    blob_free(&file);
}

static void hostile_pcr_files(void **state)
{
    const struct tpm_pcr_selection one = { TPM_ALG_SHA256, HASH_SHA256, 0x7 };
    struct blob good = pcr_file(&one, 1);
    static const struct {
        size_t at;
        uint8_t value;
    } edits[] = {
        { 0, 0 },      /* no bank */
        { 0, 17 },     /* more than there is room for */
        { 3, 0xff },   /* very many more */
        { 4, 0x12 },   /* a bank of no known hash */
        { 6, 5 },      /* a selection larger than its bytes */
        { 6, 0 },      /* of nothing */
        { 8, 0x01 },   /* one more PCR than there are values */
        { 7, 0x03 },   /* one fewer */
        { 132, 0 },    /* no lists */
        { 132, 2 },    /* one more */
        { 135, 0xff }, /* very many */
        { 136, 9 },    /* a list longer than it is */
        { 136, 2 },    /* shorter */
        { 140, 31 },   /* a value of another size */
        { 141, 0xff }, /* larger than its buffer */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct blob b = blob_of(good.data, good.len);
        struct evidence ev = { .kind = BAWN_EVIDENCE_TPM };

        assert_true(tpm_pcr_file_parse(&ev, bytes_of(&b)));
        memset(&ev, 0, sizeof(ev));
        b.data[edits[i].at] = edits[i].value;
        if (tpm_pcr_file_parse(&ev, bytes_of(&b)))
            fail_msg("edit %zu was taken", i);
        assert_int_equal(ev.pcrs.alg, HASH_NONE);
        blob_free(&b);
    }
    blob_free(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_messages),        cmocka_unit_test(real_signatures_and_keys),
        cmocka_unit_test(made_messages),        cmocka_unit_test(selections),
        cmocka_unit_test(too_many_banks),       cmocka_unit_test(other_types),
        cmocka_unit_test(made_signatures),      cmocka_unit_test(other_schemes),
        cmocka_unit_test(made_publics),         cmocka_unit_test(keylime_pcr_file),
        cmocka_unit_test(many_banks_in_a_file), cmocka_unit_test(hostile_pcr_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

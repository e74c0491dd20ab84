// SPDX-License-Identifier: Apache-2.0
/*
 * The attestation key of a TPM: in which forms it comes, whether its attributes let it sign
 * only what the TPM itself made, and who vouches that it is a TPM's key. The key is the
 * claimant's word until something here binds it.
 */
#include "attest/lib/chain.h"
#include "attest/lib/tpm.h"

#include <string.h>

#define AK_CERTIFICATES 8 /* of one key that are tried */

static const struct check ak_attributes = {
    .name = "tpm.ak-attributes",
    .claim = "tpm.ak",
    .source = "TPM 2.0 Library Part 2, 8.3, TPMA_OBJECT; Part 1, restricted signing keys",
    .how = "the key is restricted, signs, does not decrypt, and cannot leave its TPM",
    .advice = "a key without these can sign forged quotes: have the guest quote with a key made "
              "as fixedTPM|fixedParent|restricted|sign",
};

static const struct check ak_binding = {
    .name = "tpm.ak-binding",
    .claim = "tpm.ak_binding",
    .source = "RFC 9683, 2.1.1; TCG TPM 2.0 Keys for Device Identity and Attestation, 5",
    .how = "the key is named by Azure's runtime data, by a certificate under a root of the trust, "
           "or is itself trusted",
    .advice = "give the attestation key's certificate and its issuer, or, if you know the key from "
              "enrolment, name it as a root",
    .proof = PROOF_TPM_KEY,
};

static const struct check ak_usage = {
    .name = "tpm.ak-certificate-usage",
    .claim = "tpm.ak_binding",
    .source = "TCG EK Credential Profile 2.5, 3.7, tcg-kp-AIKCertificate",
    .how = "the certificate allows signatures, and its extended key usages, if any, a TPM's keys",
    .advice = "give the attestation key's own certificate, not one for another use of the key",
};

static const struct check ak_chain = {
    .name = "tpm.ak-chain",
    .claim = "tpm.ak_binding",
    .source = "RFC 5280, 6.1",
    .how = "the certificate of the key leads to a root of the trust",
    .advice = "give the certificates between the key's and the root, and the root to bawn-verify",
};

static const struct check ak_validity = {
    .name = "tpm.ak-validity",
    .claim = "tpm.ak_binding",
    .source = "RFC 5280, 4.1.2.5",
    .how = "the certificates of the chain are valid at the time of judgement",
    .advice = "have the certificate renewed, or judge at the time of the quote (--at)",
};

static const struct check ak_revocation = {
    .name = "tpm.ak-revocation",
    .claim = "tpm.ak_binding",
    .source = "RFC 5280, 6.3",
    .how = "no certificate of the chain is on its issuer's CRL",
    .advice = "give the issuers' CRLs",
};

/* ---- SubjectPublicKeyInfo, written ----
 *
 * From the end to the start, so that each length is known when its header is written. */

struct der_out {
    uint8_t *data;
    size_t pos; /* of the first byte written */
};

static void put_bytes(struct der_out *o, const void *data, size_t len)
{
    o->pos -= len;
    if (len)
        memcpy(o->data + o->pos, data, len);
}

static void put_u8(struct der_out *o, uint8_t b)
{
    put_bytes(o, &b, 1);
}

/* The header of an element that reaches from pos to end. Lengths here are below 64 KiB. */
static void put_header(struct der_out *o, uint8_t tag, size_t end)
{
    size_t len = end - o->pos;

    put_u8(o, (uint8_t)len);
    if (len > 0xff) {
        put_u8(o, (uint8_t)(len >> 8));
        put_u8(o, 0x82);
    } else if (len > 0x7f) {
        put_u8(o, 0x81);
    }
    put_u8(o, tag);
}

static void put_unsigned(struct der_out *o, struct bawn_bytes n)
{
    size_t end = o->pos;

    put_bytes(o, n.data, n.len);
    if (n.data[0] & 0x80)
        put_u8(o, 0);
    put_header(o, DER_INTEGER, end);
}

static struct bawn_bytes without_zeros(struct bawn_bytes n)
{
    struct bawn_cursor c = bawn_cursor_over(n.data, n.len);

    while (bawn_cursor_left(&c) && !*c.pos)
        bawn_cursor_take(&c, 1);
    return (struct bawn_bytes){ c.pos, bawn_cursor_left(&c) };
}

/* rsaEncryption with its NULL, RFC 3279, 2.3.1 */
static const uint8_t rsa_algorithm[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
/* id-ecPublicKey with a curve, RFC 5480, 2.1.1 */
static const uint8_t p256_algorithm[] = { 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                          0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
                                          0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const uint8_t p384_algorithm[] = { 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                          0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 };
static const uint8_t p521_algorithm[] = { 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                          0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23 };

enum { SPKI_OVERHEAD = 64 };

/* Wraps the key, which reaches from pos to the end, and says what was written. */
static struct bawn_bytes spki_finish(struct der_out *o, size_t end, const uint8_t *algorithm,
                                     size_t len)
{
    put_u8(o, 0); /* unused bits */
    put_header(o, DER_BIT_STRING, end);
    put_bytes(o, algorithm, len);
    put_header(o, DER_SEQUENCE, end);
    return (struct bawn_bytes){ o->data + o->pos, end - o->pos };
}

struct bawn_bytes spki_of_rsa(struct arena *a, struct bawn_bytes n, struct bawn_bytes e)
{
    struct der_out o;
    size_t end;

    n = without_zeros(n);
    e = without_zeros(e);
    if (!n.len || n.len > TPM_MAX_RSA_KEY_BYTES || !e.len || e.len > sizeof(uint64_t))
        return (struct bawn_bytes){ 0 };
    end = n.len + e.len + SPKI_OVERHEAD;
    o = (struct der_out){ arena_alloc(a, end), end };
    if (!o.data)
        return (struct bawn_bytes){ 0 };
    put_unsigned(&o, e);
    put_unsigned(&o, n);
    put_header(&o, DER_SEQUENCE, end);
    return spki_finish(&o, end, rsa_algorithm, sizeof(rsa_algorithm));
}

static const struct curve {
    enum key_type type;
    uint16_t id; /* TPM_ECC_* */
    size_t size; /* of a coordinate, and of r and s */
    const uint8_t *algorithm;
    size_t algorithm_len;
} curves[] = {
    { KEY_P256, TPM_ECC_NIST_P256, 32, p256_algorithm, sizeof(p256_algorithm) },
    { KEY_P384, TPM_ECC_NIST_P384, 48, p384_algorithm, sizeof(p384_algorithm) },
    { KEY_P521, TPM_ECC_NIST_P521, 66, p521_algorithm, sizeof(p521_algorithm) },
};

static void put_coordinate(struct der_out *o, struct bawn_bytes n, size_t size)
{
    put_bytes(o, n.data, n.len);
    for (size_t i = n.len; i < size; i++)
        put_u8(o, 0);
}

struct bawn_bytes spki_of_ec(struct arena *a, enum key_type type, struct bawn_bytes x,
                             struct bawn_bytes y)
{
    const struct curve *curve = NULL;
    struct der_out o;
    size_t end;

    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (curves[i].type == type)
            curve = &curves[i];
    if (!curve || x.len > curve->size || y.len > curve->size)
        return (struct bawn_bytes){ 0 };
    end = 2 * curve->size + SPKI_OVERHEAD;
    o = (struct der_out){ arena_alloc(a, end), end };
    if (!o.data)
        return (struct bawn_bytes){ 0 };
    put_coordinate(&o, y, curve->size);
    put_coordinate(&o, x, curve->size);
    put_u8(&o, 0x04); /* uncompressed point, SEC 1, 2.3.3 */
    return spki_finish(&o, end, curve->algorithm, curve->algorithm_len);
}

/* ---- The forms of a key ---- */

static struct bawn_bytes spki_of_public(struct arena *a, const struct tpm_public *p)
{
    static const uint8_t e65537[] = { 0x01, 0x00, 0x01 };
    uint8_t e[4];

    if (p->type == TPM_ALG_RSA) {
        if (!p->exponent)
            return spki_of_rsa(a, p->n, (struct bawn_bytes){ e65537, sizeof(e65537) });
        for (unsigned i = 0; i < sizeof(e); i++)
            e[i] = (uint8_t)(p->exponent >> (24 - 8 * i));
        return spki_of_rsa(a, p->n, (struct bawn_bytes){ e, sizeof(e) });
    }
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (curves[i].id == p->curve)
            return spki_of_ec(a, curves[i].type, p->x, p->y);
    return (struct bawn_bytes){ 0 };
}

static struct bawn_bytes spki_of_pem(struct arena *a, struct bawn_bytes text)
{
    struct bawn_bytes label, der;

    while (pem_next(a, &text, &label, &der))
        if (bytes_are(label, "PUBLIC KEY"))
            return der;
    return (struct bawn_bytes){ 0 };
}

enum bawn_status tpm_ak_parse(struct verification *v, struct tpm_ak *out, struct bawn_bytes blob,
                              struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    enum bawn_status st;

    *out = (struct tpm_ak){ .spki = blob };
    switch (bawn_cursor_u8(&c)) {
    case DER_SEQUENCE:
        break;
    case '-':
        out->spki = spki_of_pem(v->arena, blob);
        if (!out->spki.len)
            return bawn_fail(err, BAWN_E_FORMAT, "its PEM holds no PUBLIC KEY");
        break;
    default:
        st = tpm_public_parse(&out->public, blob, err);
        if (st != BAWN_OK)
            return st;
        out->has_public = true;
        out->spki = spki_of_public(v->arena, &out->public);
        if (!out->spki.len)
            return bawn_fail(err, BAWN_E_UNSUPPORTED, "it is of a curve or size not served");
    }
    return pubkey_parse(&out->key, out->spki, err);
}

/* ---- Judgement ---- */

static bool attributes_verify(struct verification *v, const struct tpm_public *p)
{
    static const struct {
        uint32_t bit;
        bool want;
        const char *name;
    } rules[] = {
        { TPMA_OBJECT_FIXEDTPM, true, "fixedTPM" },
        { TPMA_OBJECT_FIXEDPARENT, true, "fixedParent" },
        { TPMA_OBJECT_RESTRICTED, true, "restricted" },
        { TPMA_OBJECT_SIGN_ENCRYPT, true, "sign" },
        { TPMA_OBJECT_DECRYPT, false, "decrypt" },
    };
    bool ok = true;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (!!(p->attributes & rules[i].bit) != rules[i].want)
            ok = check_refused(v->r, &ak_attributes, rules[i].want ? "set" : "clear",
                               rules[i].want ? "clear" : "set",
                               "the attestation key's attribute %s is %s", rules[i].name,
                               rules[i].want ? "clear" : "set");
    return ok && check_passed(v->r, &ak_attributes);
}

/* Its name, as qualifiedSigner and certifications refer to it. Part 1, 16, Names. */
static void name_claim(struct verification *v, const struct tpm_public *p)
{
    enum hash_alg alg = tpm_hash(p->name_alg);
    size_t size = hash_size(alg);
    uint8_t *name;

    if (alg == HASH_NONE)
        return;
    name = arena_alloc(v->arena, 2 + size);
    if (!name || !hash_bytes(alg, p->body.data, p->body.len, name + 2))
        return;
    name[0] = (uint8_t)(p->name_alg >> 8);
    name[1] = (uint8_t)p->name_alg;
    claim_bytes(v->r, "tpm.ak_name", name, 2 + size);
}

static const uint8_t oid_ext_key_usage[] = { 0x55, 0x1d, 0x25 };
/* Google's certificates of attestation keys name the purpose of endorsement keys. */
static const uint8_t oid_ek_certificate[] = { 0x67, 0x81, 0x05, 0x08, 0x01 };
static const uint8_t oid_aik_certificate[] = { 0x67, 0x81, 0x05, 0x08, 0x03 };

static bool purpose_fits(const struct x509 *cert)
{
    struct bawn_bytes value, oid;
    struct bawn_cursor c, list;

    if (!x509_extension(cert, oid_ext_key_usage, sizeof(oid_ext_key_usage), &value))
        return true;
    c = bawn_cursor_over(value.data, value.len);
    list = der_enter(&c, DER_SEQUENCE);
    while (bawn_cursor_left(&list)) {
        oid = der_content(&list, DER_OID);
        if (der_oid_is(oid, oid_aik_certificate, sizeof(oid_aik_certificate)) ||
            der_oid_is(oid, oid_ek_certificate, sizeof(oid_ek_certificate)))
            return true;
    }
    return false;
}

/* A certificate that restricts its key's uses must allow this one. */
static bool usage_verify(struct verification *v, const struct x509 *cert)
{
    if (cert->has_key_usage && !(cert->key_usage & KU_DIGITAL_SIGNATURE))
        return check_refused(v->r, &ak_usage, "digitalSignature", NULL,
                             "the certificate of the attestation key is not for signatures");
    if (!purpose_fits(cert))
        return check_refused(v->r, &ak_usage, "2.23.133.8.3 (tcg-kp-AIKCertificate)", NULL,
                             "the certificate of the attestation key is for other uses");
    return check_passed(v->r, &ak_usage);
}

/* The certificates of the key, the first given first: it may have a renewed one. */
static unsigned certificates_of(const struct verification *v, const struct tpm_ak *ak,
                                const struct x509 *out[AK_CERTIFICATES])
{
    const struct x509 *certs = v->end.certs.items;
    unsigned n = 0;

    for (size_t i = 0; i < v->end.certs.n && n < AK_CERTIFICATES; i++)
        if (!certs[i].is_ca && pubkey_equal(&certs[i].key, &ak->key))
            out[n++] = &certs[i];
    return n;
}

static bool certificate_verify(struct verification *v, const struct x509 *cert)
{
    static const struct chain_rules rules = {
        .what = "attestation key's certificate",
        .link = &ak_chain,
        .validity = &ak_validity,
        .revocation = &ak_revocation,
        .crl = CRL_WARN,
        .leaf_key = KEY_NONE,
        .max_intermediates = CHAIN_MAX - 2,
    };
    struct chain chain;

    return usage_verify(v, cert) && chain_verify(v, cert, &rules, &chain);
}

/* One certificate that is right is enough. When none is, the findings are about the first. */
static bool certificates_verify(struct verification *v, const struct x509 *const *cert, unsigned n)
{
    size_t findings = v->r->findings.n;
    const char *foreign_root = v->r->foreign_root;

    claim_text(v->r, "tpm.ak_binding", "certificate");
    for (unsigned i = 0; i < n; i++) {
        if (certificate_verify(v, cert[i]))
            return check_passed(v->r, &ak_binding);
        if (n == 1)
            return false;
        v->r->findings.n = findings;
        v->r->foreign_root = foreign_root;
    }
    return certificate_verify(v, cert[0]);
}

static const struct trust_key *trusted_key(const struct bawn_trust *trust, const struct tpm_ak *ak)
{
    for (size_t i = 0; i < trust->nr_keys; i++)
        if (pubkey_equal(&trust->keys[i].key, &ak->key))
            return &trust->keys[i];
    return NULL;
}

static bool binding_verify(struct verification *v, const struct tpm_ak *ak,
                           struct bawn_bytes digest)
{
    const struct x509 *certs[AK_CERTIFICATES];
    unsigned n;

    if (v->ev.ak_from_hcl) {
        claim_text(v->r, "tpm.ak_binding", "HCL runtime data");
        return check_passed(v->r, &ak_binding);
    }
    if (trusted_key(v->trust, ak)) {
        claim_text(v->r, "tpm.ak_binding", "given key");
        if (!v->r->foreign_root)
            v->r->foreign_root =
                arena_text(v->arena, "the given key with SHA-256 %s", arena_hex(v->arena, digest));
        return check_passed(v->r, &ak_binding);
    }
    n = certificates_of(v, ak, certs);
    if (n)
        return certificates_verify(v, certs, n);
    return check_missing(v->r, &ak_binding, NULL, arena_hex(v->arena, digest),
                         "nothing vouches for the attestation key");
}

void tpm_ak_verify(struct verification *v, const struct tpm_ak *ak)
{
    size_t size = hash_size(HASH_SHA256);
    uint8_t *digest = arena_alloc(v->arena, size);

    if (!digest || !hash_bytes(HASH_SHA256, ak->spki.data, ak->spki.len, digest)) {
        check_missing(v->r, &ak_binding, NULL, NULL, "the attestation key could not be hashed");
        return;
    }
    claim_bytes(v->r, "tpm.ak", digest, size);
    if (ak->has_public) {
        name_claim(v, &ak->public);
        attributes_verify(v, &ak->public);
    }
    binding_verify(v, ak, (struct bawn_bytes){ digest, size });
}

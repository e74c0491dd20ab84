// SPDX-License-Identifier: Apache-2.0
/*
 * The test PKI, on OpenSSL's X509 API. A structure is built and encoded by OpenSSL, then its
 * signed part may be exchanged, and is signed and put together here.
 */
#include "tests/unit/attest/pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define FIRST_SERIAL 0x1000
#define COORDINATE_MAX 66 /* bytes of P-521's */

enum kind { OWN_BYTES, OWN_KEY, OWN_X509 };

struct owned {
    struct owned *next;
    enum kind kind;
    void *p;
};

struct pki {
    struct owned *owned;
    uint64_t next_serial;
};

#define MUST(what)                                                                         \
    do {                                                                                   \
        if (!(what)) {                                                                     \
            fprintf(stderr, "test PKI: failed at %s:%d: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* ---- What is handed out ---- */

static void own(struct pki *pki, enum kind kind, void *p)
{
    struct owned *o = malloc(sizeof(*o));

    MUST(o && p);
    *o = (struct owned){ pki->owned, kind, p };
    pki->owned = o;
}

struct pki *pki_create(void)
{
    struct pki *pki = calloc(1, sizeof(*pki));

    MUST(pki);
    pki->next_serial = FIRST_SERIAL;
    return pki;
}

void pki_destroy(struct pki *pki)
{
    while (pki->owned) {
        struct owned *o = pki->owned;

        pki->owned = o->next;
        if (o->kind == OWN_KEY)
            EVP_PKEY_free(o->p);
        else if (o->kind == OWN_X509)
            X509_free(o->p);
        else
            free(o->p);
        free(o);
    }
    free(pki);
}

/* Exactly len bytes, so that a read past them shows. */
static uint8_t *room(struct pki *pki, size_t len)
{
    uint8_t *p = calloc(1, len ? len : 1);

    own(pki, OWN_BYTES, p);
    return p;
}

struct bawn_bytes pki_bytes(struct pki *pki, const void *data, size_t len)
{
    uint8_t *p = room(pki, len);

    if (len)
        memcpy(p, data, len);
    return (struct bawn_bytes){ p, len };
}

struct bawn_bytes pki_cat(struct pki *pki, const struct bawn_bytes *parts, size_t n)
{
    size_t len = 0, at = 0;
    uint8_t *p;

    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    p = room(pki, len);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len)
            memcpy(p + at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
    return (struct bawn_bytes){ p, len };
}

/* Takes over what OpenSSL allocated. */
static struct bawn_bytes take(struct pki *pki, uint8_t *der, int len)
{
    struct bawn_bytes out;

    MUST(der && len > 0);
    out = pki_bytes(pki, der, (size_t)len);
    OPENSSL_free(der);
    return out;
}

/* ---- DER ---- */

struct bawn_bytes pki_tlv(struct pki *pki, uint8_t tag, struct bawn_bytes content)
{
    uint8_t head[6] = { tag };
    size_t n = 1;

    if (content.len < 0x80) {
        head[n++] = (uint8_t)content.len;
    } else {
        unsigned bytes = content.len > 0xffff ? 3 : content.len > 0xff ? 2 : 1;

        head[n++] = (uint8_t)(0x80 | bytes);
        while (bytes--)
            head[n++] = (uint8_t)(content.len >> (8 * bytes));
    }
    return PKI_CAT(pki, { head, n }, content);
}

struct bawn_bytes pki_oid(struct pki *pki, const char *dotted)
{
    ASN1_OBJECT *object = OBJ_txt2obj(dotted, 1);
    uint8_t *der = NULL;
    int len;

    MUST(object);
    len = i2d_ASN1_OBJECT(object, &der);
    ASN1_OBJECT_free(object);
    return take(pki, der, len);
}

struct bawn_bytes pki_uint(struct pki *pki, uint64_t value)
{
    uint8_t be[9];
    size_t skip = 0;

    be[0] = 0;
    for (int i = 0; i < 8; i++)
        be[1 + i] = (uint8_t)(value >> (56 - 8 * i));
    while (skip < 8 && !be[skip] && !(be[skip + 1] & 0x80))
        skip++;
    return pki_tlv(pki, 0x02, (struct bawn_bytes){ be + skip, sizeof(be) - skip });
}

struct bawn_bytes pki_octets(struct pki *pki, const void *data, size_t len)
{
    return pki_tlv(pki, 0x04, (struct bawn_bytes){ data, len });
}

struct bawn_bytes pki_text(struct pki *pki, uint8_t tag, const char *text)
{
    return pki_tlv(pki, tag, (struct bawn_bytes){ (const uint8_t *)text, strlen(text) });
}

struct bawn_bytes pki_pem(struct pki *pki, const char *label, struct bawn_bytes der)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct bawn_bytes out;
    char *text;
    long len;

    MUST(bio && PEM_write_bio(bio, label, "", der.data, (long)der.len) > 0);
    len = BIO_get_mem_data(bio, &text);
    MUST(len > 0);
    out = pki_bytes(pki, text, (size_t)len);
    BIO_free(bio);
    return out;
}

/* ---- Keys ---- */

EVP_PKEY *pki_key(struct pki *pki, const char *kind)
{
    EVP_PKEY *key;

    if (!kind)
        kind = "P-256";
    if (!strncmp(kind, "RSA-", 4))
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)strtoul(kind + 4, NULL, 10));
    else
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    MUST(key);
    own(pki, OWN_KEY, key);
    return key;
}

struct bawn_bytes pki_spki(struct pki *pki, EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    return take(pki, der, len);
}

struct bawn_bytes pki_point(struct pki *pki, EVP_PKEY *key)
{
    uint8_t *point = NULL;
    size_t len = EVP_PKEY_get1_encoded_public_key(key, &point);
    struct bawn_bytes out;

    MUST(len > 1 && point[0] == 4);
    out = pki_bytes(pki, point + 1, len - 1);
    OPENSSL_free(point);
    return out;
}

/* ---- Signatures ---- */

static const struct scheme {
    const char *md;
    int padding; /* RSA; 0 for ECDSA */
    int salt;
} schemes[] = {
    [PKI_ECDSA_SHA1] = { "SHA1", 0, 0 },
    [PKI_ECDSA_SHA256] = { "SHA256", 0, 0 },
    [PKI_ECDSA_SHA384] = { "SHA384", 0, 0 },
    [PKI_ECDSA_SHA512] = { "SHA512", 0, 0 },
    [PKI_PSS_SHA256] = { "SHA256", RSA_PKCS1_PSS_PADDING, 32 },
    [PKI_PSS_SHA384] = { "SHA384", RSA_PKCS1_PSS_PADDING, 48 },
    [PKI_PSS_SHA384_SALT20] = { "SHA384", RSA_PKCS1_PSS_PADDING, 20 },
    [PKI_RSA_SHA256] = { "SHA256", RSA_PKCS1_PADDING, 0 },
    [PKI_RSA_SHA384] = { "SHA384", RSA_PKCS1_PADDING, 0 },
    [PKI_RSA_SHA1] = { "SHA1", RSA_PKCS1_PADDING, 0 },
};

static const struct scheme *scheme_of(EVP_PKEY *key, enum pki_sig sig)
{
    if (sig == PKI_SIG_DEFAULT)
        sig = EVP_PKEY_is_a(key, "RSA") ? PKI_PSS_SHA384 : PKI_ECDSA_SHA256;
    return &schemes[sig];
}

static EVP_MD_CTX *signer(EVP_PKEY *key, enum pki_sig sig)
{
    const struct scheme *scheme = scheme_of(key, sig);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;

    MUST(ctx && EVP_DigestSignInit_ex(ctx, &pctx, scheme->md, NULL, NULL, key, NULL) == 1);
    if (scheme->padding)
        MUST(EVP_PKEY_CTX_set_rsa_padding(pctx, scheme->padding) > 0);
    if (scheme->padding == RSA_PKCS1_PSS_PADDING)
        MUST(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, scheme->salt) > 0);
    return ctx;
}

struct bawn_bytes pki_sign(struct pki *pki, EVP_PKEY *key, enum pki_sig sig,
                           struct bawn_bytes message)
{
    EVP_MD_CTX *ctx = signer(key, sig);
    uint8_t out[2048];
    size_t len = sizeof(out);

    MUST(EVP_DigestSign(ctx, out, &len, message.data, message.len) == 1);
    EVP_MD_CTX_free(ctx);
    return pki_bytes(pki, out, len);
}

struct bawn_bytes pki_sign_raw(struct pki *pki, EVP_PKEY *key, enum pki_sig sig,
                               struct bawn_bytes message)
{
    struct bawn_bytes der = pki_sign(pki, key, sig, message);
    const uint8_t *p = der.data;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &p, (long)der.len);
    int order = (EVP_PKEY_get_bits(key) + 7) / 8;
    uint8_t out[2 * COORDINATE_MAX];

    MUST(numbers && order <= COORDINATE_MAX);
    MUST(BN_bn2binpad(ECDSA_SIG_get0_r(numbers), out, order) == order);
    MUST(BN_bn2binpad(ECDSA_SIG_get0_s(numbers), out + order, order) == order);
    ECDSA_SIG_free(numbers);
    return pki_bytes(pki, out, 2 * (size_t)order);
}

/* The AlgorithmIdentifier of a signature, as OpenSSL writes it: from a certificate that it
 * signs so. */
static struct bawn_bytes alg_id(struct pki *pki, EVP_PKEY *key, enum pki_sig sig)
{
    X509 *scratch = X509_new();
    EVP_MD_CTX *ctx = signer(key, sig);
    const X509_ALGOR *alg;
    struct bawn_bytes out;
    uint8_t *der = NULL;
    int len;

    MUST(scratch && X509_set_pubkey(scratch, key) == 1);
    MUST(X509_gmtime_adj(X509_getm_notBefore(scratch), 0) &&
         X509_gmtime_adj(X509_getm_notAfter(scratch), 0));
    MUST(X509_sign_ctx(scratch, ctx) > 0);
    alg = X509_get0_tbs_sigalg(scratch);
    len = i2d_X509_ALGOR(alg, &der);
    out = take(pki, der, len);
    EVP_MD_CTX_free(ctx);
    X509_free(scratch);
    return out;
}

struct bawn_bytes pki_seal(struct pki *pki, struct bawn_bytes tbs, EVP_PKEY *key, enum pki_sig sig)
{
    static const uint8_t no_unused_bits = 0;
    struct bawn_bytes bits = PKI_CAT(pki, { &no_unused_bits, 1 }, pki_sign(pki, key, sig, tbs));

    return PKI_SEQUENCE(pki, tbs, alg_id(pki, key, sig), pki_tlv(pki, 0x03, bits));
}

/* ---- Certificates ---- */

static X509_NAME *name(const char *cn)
{
    X509_NAME *out = X509_NAME_new();

    MUST(out && X509_NAME_add_entry_by_txt(out, "O", MBSTRING_UTF8, (const uint8_t *)"Test PKI", -1,
                                           -1, 0) == 1);
    MUST(X509_NAME_add_entry_by_txt(out, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0) == 1);
    return out;
}

static void set_names(X509 *x, const struct pki_spec *spec)
{
    const char *cn = spec->cn ? spec->cn : "Test";
    X509_NAME *subject = name(cn);

    MUST(X509_set_subject_name(x, subject) == 1);
    if (spec->issuer_cn) {
        X509_NAME *issuer = name(spec->issuer_cn);

        MUST(X509_set_issuer_name(x, issuer) == 1);
        X509_NAME_free(issuer);
    } else {
        MUST(X509_set_issuer_name(x, spec->by ? X509_get_subject_name(spec->by->x509) : subject) ==
             1);
    }
    X509_NAME_free(subject);
}

static void add_ext(X509 *x, const char *oid, bool critical, struct bawn_bytes value)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION *ext;

    MUST(object && octets && ASN1_OCTET_STRING_set(octets, value.data, (int)value.len) == 1);
    ext = X509_EXTENSION_create_by_OBJ(NULL, object, critical, octets);
    MUST(ext && X509_add_ext(x, ext, -1) == 1);
    X509_EXTENSION_free(ext);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(object);
}

/* SHA-1 of the key, RFC 5280, 4.2.1.2 (1). */
static struct bawn_bytes key_id(struct pki *pki, X509 *x)
{
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned len;

    MUST(X509_pubkey_digest(x, EVP_sha1(), md, &len) == 1);
    return pki_bytes(pki, md, len);
}

static void add_constraints(struct pki *pki, X509 *x, const struct pki_spec *spec)
{
    static const uint8_t yes[] = { 0x01, 0x01, 0xff };
    struct bawn_bytes len = { 0 };

    if (!spec->ca && !spec->path_limited)
        return;
    if (spec->path_limited)
        len = pki_uint(pki, spec->path_len);
    add_ext(x, "2.5.29.19", true, PKI_SEQUENCE(pki, { yes, spec->ca ? sizeof(yes) : 0 }, len));
}

/* Of the first eight bits, which is all that are used. */
static void add_key_usage(struct pki *pki, X509 *x, const struct pki_spec *spec)
{
    unsigned usage = spec->key_usage;
    uint8_t bits[] = { 0, 0 };

    if (usage == PKI_KU_DEFAULT && spec->ca)
        usage = PKI_KU_CERT_SIGN | PKI_KU_CRL_SIGN;
    if (usage == PKI_KU_DEFAULT || usage == PKI_KU_NONE)
        return;
    for (unsigned i = 0; i < 8; i++) {
        if (usage & 1u << i) {
            bits[1] |= (uint8_t)(0x80u >> i);
            bits[0] = (uint8_t)(7 - i);
        }
    }
    add_ext(x, "2.5.29.15", true, pki_tlv(pki, 0x03, (struct bawn_bytes){ bits, 2 }));
}

static void add_exts(struct pki *pki, X509 *x, const struct pki_spec *spec)
{
    if (!spec->no_key_ids) {
        struct bawn_bytes id = key_id(pki, spec->by ? spec->by->x509 : x);

        add_ext(x, "2.5.29.35", false, PKI_SEQUENCE(pki, pki_tlv(pki, 0x80, id)));
        id = key_id(pki, x);
        add_ext(x, "2.5.29.14", false, pki_octets(pki, id.data, id.len));
    }
    add_constraints(pki, x, spec);
    add_key_usage(pki, x, spec);
    for (size_t i = 0; i < PKI_EXTS && spec->exts[i].oid; i++)
        add_ext(x, spec->exts[i].oid, spec->exts[i].critical, spec->exts[i].value);
}

static void set_serial(struct pki *pki, X509 *x, const struct pki_spec *spec)
{
    uint64_t serial = spec->serial ? spec->serial : pki->next_serial++;
    ASN1_INTEGER *number = ASN1_INTEGER_new();

    MUST(number && ASN1_INTEGER_set_uint64(number, spec->serial_zero ? 0 : serial) == 1);
    MUST(X509_set_serialNumber(x, number) == 1);
    ASN1_INTEGER_free(number);
}

static void set_time(ASN1_TIME *time, int64_t value, int64_t otherwise)
{
    MUST(time && ASN1_TIME_set(time, (time_t)(value ? value : otherwise)));
}

const struct pki_cert *pki_issue(struct pki *pki, const struct pki_spec *spec)
{
    struct pki_cert *cert = (struct pki_cert *)(void *)room(pki, sizeof(*cert));
    EVP_PKEY *signing_key;
    struct bawn_bytes tbs;
    EVP_MD_CTX *ctx;
    uint8_t *der = NULL;
    int len;

    cert->key = spec->key ? spec->key : pki_key(pki, spec->kind);
    signing_key = spec->sign_with ? spec->sign_with : spec->by ? spec->by->key : cert->key;
    cert->x509 = X509_new();
    own(pki, OWN_X509, cert->x509);
    MUST(X509_set_version(cert->x509, X509_VERSION_3) == 1);
    MUST(X509_set_pubkey(cert->x509, cert->key) == 1);
    set_serial(pki, cert->x509, spec);
    set_names(cert->x509, spec);
    set_time(X509_getm_notBefore(cert->x509), spec->not_before, PKI_BEGIN);
    set_time(X509_getm_notAfter(cert->x509), spec->not_after, PKI_END);
    add_exts(pki, cert->x509, spec);
    if (spec->change)
        spec->change(cert->x509, spec->arg);
    /* For the algorithm in the signed part; the signature is made anew. */
    ctx = signer(signing_key, spec->sig);
    MUST(X509_sign_ctx(cert->x509, ctx) > 0);
    EVP_MD_CTX_free(ctx);
    len = i2d_re_X509_tbs(cert->x509, &der);
    tbs = take(pki, der, len);
    if (spec->patch)
        tbs = spec->patch(pki, tbs, spec->arg);
    cert->der = pki_seal(pki, tbs, signing_key, spec->sig);
    return cert;
}

/* ---- CRLs ---- */

static void revoke(X509_CRL *crl, const struct pki_cert *cert, int64_t at)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)(at ? at : PKI_BEGIN));

    MUST(entry && time);
    MUST(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert->x509)) == 1);
    MUST(X509_REVOKED_set_revocationDate(entry, time) == 1);
    MUST(X509_CRL_add0_revoked(crl, entry) == 1);
    ASN1_TIME_free(time);
}

static void add_crl_key_id(struct pki *pki, X509_CRL *crl, X509 *issuer)
{
    struct bawn_bytes id = PKI_SEQUENCE(pki, pki_tlv(pki, 0x80, key_id(pki, issuer)));
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION *ext;

    MUST(octets && ASN1_OCTET_STRING_set(octets, id.data, (int)id.len) == 1);
    ext = X509_EXTENSION_create_by_NID(NULL, NID_authority_key_identifier, 0, octets);
    MUST(ext && X509_CRL_add_ext(crl, ext, -1) == 1);
    X509_EXTENSION_free(ext);
    ASN1_OCTET_STRING_free(octets);
}

/* OpenSSL 3.0 encodes the signed part of a CRL only within the whole of it. */
static struct bawn_bytes crl_tbs(struct pki *pki, X509_CRL *crl)
{
    uint8_t *der = NULL;
    int len = i2d_X509_CRL(crl, &der);
    struct bawn_bytes whole = take(pki, der, len);
    const uint8_t *p = whole.data, *start;
    long n;
    int tag, class;

    MUST(!(ASN1_get_object(&p, &n, &tag, &class, (long)whole.len) & 0x80));
    start = p;
    MUST(!(ASN1_get_object(&p, &n, &tag, &class, n) & 0x80));
    return pki_bytes(pki, start, (size_t)(p - start) + (size_t)n);
}

struct bawn_bytes pki_crl(struct pki *pki, const struct pki_crl_spec *spec)
{
    EVP_PKEY *key = spec->sign_with ? spec->sign_with : spec->by->key;
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *time = ASN1_TIME_new();
    struct bawn_bytes tbs;
    EVP_MD_CTX *ctx;

    MUST(crl && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
    MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(spec->by->x509)) == 1);
    set_time(time, spec->this_update, PKI_BEGIN);
    MUST(X509_CRL_set1_lastUpdate(crl, time) == 1);
    set_time(time, spec->next_update, PKI_END);
    MUST(X509_CRL_set1_nextUpdate(crl, time) == 1);
    ASN1_TIME_free(time);
    for (size_t i = 0; i < PKI_REVOKED && spec->revoked[i]; i++)
        revoke(crl, spec->revoked[i], spec->revoked_at);
    if (!spec->no_key_id)
        add_crl_key_id(pki, crl, spec->by->x509);
    ctx = signer(key, spec->sig);
    MUST(X509_CRL_sign_ctx(crl, ctx) > 0);
    EVP_MD_CTX_free(ctx);
    tbs = crl_tbs(pki, crl);
    X509_CRL_free(crl);
    if (spec->patch)
        tbs = spec->patch(pki, tbs, spec->arg);
    return pki_seal(pki, tbs, key, spec->sig);
}

/* ---- Vendors' extensions ---- */

size_t pki_amd_exts(struct pki *pki, const struct pki_amd *amd, struct pki_ext out[PKI_EXTS])
{
    enum { IA5_STRING = 0x16 };
    size_t n = 0;

#define EXT(arcs, ...) out[n++] = (struct pki_ext){ "1.3.6.1.4.1.3704.1." arcs, false, __VA_ARGS__ }
    EXT("1", pki_uint(pki, amd->has_fmc)); /* structVersion */
    EXT("2", pki_text(pki, IA5_STRING, amd->product));
    EXT("3.1", pki_uint(pki, amd->boot_loader));
    EXT("3.2", pki_uint(pki, amd->tee));
    if (!amd->has_fmc)
        EXT("3.4", pki_uint(pki, 0));
    EXT("3.5", pki_uint(pki, 0));
    EXT("3.6", pki_uint(pki, 0));
    EXT("3.7", pki_uint(pki, 0));
    EXT("3.3", pki_uint(pki, amd->snp));
    EXT("3.8", pki_uint(pki, amd->microcode));
    if (amd->has_fmc)
        EXT("3.9", pki_uint(pki, amd->fmc));
    if (amd->hwid.len)
        EXT("4", amd->hwid);
    if (amd->csp_id)
        EXT("5", pki_text(pki, IA5_STRING, amd->csp_id));
#undef EXT
    return n;
}

#define SGX_OID "1.2.840.113741.1.13.1"

/* SEQUENCE of the OID below Intel's and a value. */
static struct bawn_bytes sgx_item(struct pki *pki, const char *arcs, struct bawn_bytes value)
{
    char oid[64];

    snprintf(oid, sizeof(oid), SGX_OID ".%s", arcs);
    return PKI_SEQUENCE(pki, pki_oid(pki, oid), value);
}

static struct bawn_bytes sgx_bool(struct pki *pki, const char *arcs, bool value)
{
    uint8_t b = value ? 0xff : 0;

    return sgx_item(pki, arcs, pki_tlv(pki, 0x01, (struct bawn_bytes){ &b, 1 }));
}

static struct bawn_bytes sgx_tcb(struct pki *pki, const struct pki_sgx *sgx)
{
    struct bawn_bytes items[18];
    char arcs[16];

    for (unsigned i = 0; i < 16; i++) {
        snprintf(arcs, sizeof(arcs), "2.%u", i + 1);
        items[i] = sgx_item(pki, arcs, pki_uint(pki, sgx->tcb[i]));
    }
    items[16] = sgx_item(pki, "2.17", pki_uint(pki, sgx->pcesvn));
    items[17] = sgx_item(pki, "2.18", pki_octets(pki, sgx->cpusvn, sizeof(sgx->cpusvn)));
    return sgx_item(pki, "2", pki_tlv(pki, 0x30, pki_cat(pki, items, 18)));
}

struct pki_ext pki_sgx_ext(struct pki *pki, const struct pki_sgx *sgx)
{
    uint8_t type = (uint8_t)sgx->sgx_type;
    struct bawn_bytes items[7];
    size_t n = 0;

    items[n++] = sgx_item(pki, "1", pki_octets(pki, sgx->ppid, sizeof(sgx->ppid)));
    items[n++] = sgx_tcb(pki, sgx);
    items[n++] = sgx_item(pki, "3", pki_octets(pki, sgx->pceid, sizeof(sgx->pceid)));
    items[n++] = sgx_item(pki, "4", pki_octets(pki, sgx->fmspc, sizeof(sgx->fmspc)));
    items[n++] = sgx_item(pki, "5", pki_tlv(pki, 0x0a, (struct bawn_bytes){ &type, 1 }));
    if (sgx->platform) {
        items[n++] = sgx_item(
            pki, "6", pki_octets(pki, sgx->platform_instance, sizeof(sgx->platform_instance)));
        items[n++] = sgx_item(pki, "7",
                              PKI_SEQUENCE(pki, sgx_bool(pki, "7.1", sgx->dynamic_platform),
                                           sgx_bool(pki, "7.2", sgx->cached_keys),
                                           sgx_bool(pki, "7.3", sgx->smt_enabled)));
    }
    return (struct pki_ext){ SGX_OID, false, pki_tlv(pki, 0x30, pki_cat(pki, items, n)) };
}

struct pki *pki;

int pki_setup(void **state)
{
    (void)state;
    pki = pki_create();
    return 0;
}

int pki_teardown(void **state)
{
    (void)state;
    pki_destroy(pki);
    return 0;
}

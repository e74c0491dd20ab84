// SPDX-License-Identifier: Apache-2.0
/*
 * Public keys and signature algorithms as certificates name them. The bytes are hostile; that a
 * point is on its curve is for who computes with it (crypto.c). RFC 3279, 4055, 5480, 5758.
 */
#include "attest/lib/x509_parts.h"

#include <string.h>

/* A signature algorithm is known by its whole AlgorithmIdentifier: there is one spelling of
 * each, so no parameter can say something that is not looked at. */
struct known_alg {
    const char *name;
    const char *der; /* content of the SEQUENCE */
    size_t len;
    struct sig_alg alg;
};

#define ALG(name, der, ...)         \
    {                               \
        name, der, sizeof(der) - 1, \
        {                           \
            __VA_ARGS__             \
        }                           \
    }

#define OID_PKCS1 "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01"  /* 1.2.840.113549.1.1; + 1 arc */
#define OID_ECDSA_SHA2 "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" /* 1.2.840.10045.4.3; + 1 arc */
#define NO_PARAMS "\x05\x00"
#define SHA384_ID "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02" NO_PARAMS
/* RSASSA-PSS-params, RFC 4055 3.1: SHA-384, MGF1 with SHA-384, salt of 48 octets. */
#define PSS_SHA384 \
    "\xa0\x0f" SHA384_ID "\xa1\x1c\x30\x1a" OID_PKCS1 "\x08" SHA384_ID "\xa2\x03\x02\x01\x30"
/* trailerField, its default of 1 spelled out. DER (X.690 11.5) forbids that, and AMD's
 * certificates up to 2023 have it. */
#define PSS_TRAILER "\xa3\x03\x02\x01\x01"

static const struct known_alg algs[] = {
    ALG("ecdsa-with-SHA256", OID_ECDSA_SHA2 "\x02", SIG_ECDSA, HASH_SHA256, 0),
    ALG("rsassaPss", OID_PKCS1 "\x0a\x30\x34" PSS_SHA384, SIG_RSA_PSS, HASH_SHA384, 48),
    ALG("rsassaPss", OID_PKCS1 "\x0a\x30\x39" PSS_SHA384 PSS_TRAILER, SIG_RSA_PSS, HASH_SHA384, 48),
    ALG("ecdsa-with-SHA384", OID_ECDSA_SHA2 "\x03", SIG_ECDSA, HASH_SHA384, 0),
    ALG("ecdsa-with-SHA512", OID_ECDSA_SHA2 "\x04", SIG_ECDSA, HASH_SHA512, 0),
    ALG("sha256WithRSAEncryption", OID_PKCS1 "\x0b" NO_PARAMS, SIG_RSA_PKCS1, HASH_SHA256, 0),
    ALG("sha384WithRSAEncryption", OID_PKCS1 "\x0c" NO_PARAMS, SIG_RSA_PKCS1, HASH_SHA384, 0),
    ALG("sha512WithRSAEncryption", OID_PKCS1 "\x0d" NO_PARAMS, SIG_RSA_PKCS1, HASH_SHA512, 0),
    /* Known only to be refused by name. */
    ALG("sha1WithRSAEncryption", OID_PKCS1 "\x05" NO_PARAMS, SIG_NONE, HASH_SHA1, 0),
    ALG("ecdsa-with-SHA1", "\x06\x07\x2a\x86\x48\xce\x3d\x04\x01", SIG_NONE, HASH_SHA1, 0),
};

enum bawn_status sig_alg_parse(struct sig_alg *out, struct bawn_bytes whole, struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(whole.data, whole.len);
    struct bawn_bytes content = der_content(&c, DER_SEQUENCE), oid;
    char text[64];

    for (size_t i = 0; !c.failed && i < sizeof(algs) / sizeof(algs[0]); i++) {
        const struct known_alg *k = &algs[i];

        if (!der_oid_is(content, (const uint8_t *)k->der, k->len))
            continue;
        if (k->alg.scheme == SIG_NONE)
            return bawn_fail(err, BAWN_E_UNSUPPORTED,
                             "the signature algorithm is %s: SHA-1 is not accepted", k->name);
        *out = k->alg;
        return BAWN_OK;
    }
    c = bawn_cursor_over(content.data, content.len);
    oid = der_content(&c, DER_OID);
    if (c.failed)
        return bawn_fail(err, BAWN_E_FORMAT, "the signature algorithm is not an identifier");
    return bawn_fail(err, BAWN_E_UNSUPPORTED,
                     "the signature algorithm %s, or its parameters, is not one of "
                     "ECDSA with SHA-2, RSA with SHA-2, RSA-PSS with SHA-384 and a salt of 48",
                     der_oid_text(oid, text, sizeof(text)));
}

/* ---- Keys ---- */

static const uint8_t rsa_id[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
static const uint8_t ec_id[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };

/* RFC 5480 2.1.1.1 */
static const struct curve {
    const char *oid;
    size_t oid_len;
    enum key_type type;
    unsigned bits;
} curves[] = {
    { "\x2a\x86\x48\xce\x3d\x03\x01\x07", 8, KEY_P256, 256 },
    { "\x2b\x81\x04\x00\x22", 5, KEY_P384, 384 },
    { "\x2b\x81\x04\x00\x23", 5, KEY_P521, 521 },
};

#define EC_UNCOMPRESSED 0x04 /* SEC 1, 2.3.3 */

static enum bawn_status ec_key(struct pubkey *out, struct bawn_bytes oid, struct bawn_bytes bits,
                               struct bawn_error *err)
{
    char text[64];

    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        const struct curve *k = &curves[i];
        size_t want = 1 + 2 * (size_t)((k->bits + 7) / 8);

        if (!der_oid_is(oid, (const uint8_t *)k->oid, k->oid_len))
            continue;
        if (bits.len != want || bits.data[0] != EC_UNCOMPRESSED)
            return bawn_fail(err, BAWN_E_FORMAT,
                             "the public key is not an uncompressed point of P-%u: it has %zu "
                             "bytes and must have %zu, the first of them 04",
                             k->bits, bits.len, want);
        out->type = k->type;
        out->point = bits;
        out->bits = k->bits;
        return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_UNSUPPORTED,
                     "the public key is on curve %s: only P-256, P-384 and P-521 are accepted",
                     der_oid_text(oid, text, sizeof(text)));
}

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define RSA_EXPONENT_MIN 65537 /* FIPS 186-5 5.4 */

static unsigned bit_length(struct bawn_bytes number)
{
    unsigned top = number.data[0], bits = (unsigned)(number.len - 1) * 8;

    for (; top; top >>= 1)
        bits++;
    return bits;
}

static enum bawn_status rsa_key(struct pubkey *out, struct bawn_bytes bits, struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(bits.data, bits.len);
    struct bawn_cursor key = der_enter(&c, DER_SEQUENCE), exponent;
    struct bawn_bytes n = der_unsigned(&key);
    uint64_t e;

    exponent = key;
    e = der_uint(&key);
    der_end(&key);
    der_end(&c);
    if (c.failed || n.len == 0)
        return bawn_fail(err, BAWN_E_FORMAT, "the RSA key is not two non-negative integers in DER");
    if (n.len > RSA_BITS_MAX / 8 || bit_length(n) < RSA_BITS_MIN || !(n.data[n.len - 1] & 1))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "the RSA modulus has %zu bytes: only odd ones of %d to %d bits are "
                         "accepted",
                         n.len, RSA_BITS_MIN, RSA_BITS_MAX);
    if (key.failed || e < RSA_EXPONENT_MIN || !(e & 1))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "the RSA exponent is not an odd number of %d to 64 bits",
                         RSA_EXPONENT_MIN);
    out->type = KEY_RSA;
    out->n = n;
    out->e = der_unsigned(&exponent);
    out->bits = bit_length(n);
    return BAWN_OK;
}

enum bawn_status pubkey_parse(struct pubkey *out, struct bawn_bytes spki, struct bawn_error *err)
{
    struct bawn_cursor all = bawn_cursor_over(spki.data, spki.len);
    struct bawn_cursor c = der_enter(&all, DER_SEQUENCE);
    struct bawn_cursor alg = der_enter(&c, DER_SEQUENCE);
    struct bawn_bytes oid = der_content(&alg, DER_OID), bits = der_bits(&c), curve;
    char text[64];

    memset(out, 0, sizeof(*out));
    der_end(&c);
    der_end(&all);
    if (all.failed || c.failed || alg.failed)
        return bawn_fail(err, BAWN_E_FORMAT, "the public key is not a SubjectPublicKeyInfo in DER");
    if (der_oid_is(oid, rsa_id, sizeof(rsa_id))) {
        der_content(&alg, DER_NULL); /* RFC 3279 2.3.1 */
        der_end(&alg);
        if (alg.failed)
            return bawn_fail(err, BAWN_E_FORMAT, "the RSA key's parameters are not NULL");
        return rsa_key(out, bits, err);
    }
    if (der_oid_is(oid, ec_id, sizeof(ec_id))) {
        curve = der_content(&alg, DER_OID); /* RFC 5480 2.1.1: no explicit curve */
        der_end(&alg);
        if (alg.failed)
            return bawn_fail(err, BAWN_E_FORMAT, "the public key does not name its curve");
        return ec_key(out, curve, bits, err);
    }
    return bawn_fail(err, BAWN_E_UNSUPPORTED,
                     "the public key is of type %s: only RSA and elliptic curves are accepted",
                     der_oid_text(oid, text, sizeof(text)));
}

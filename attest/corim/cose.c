// SPDX-License-Identifier: Apache-2.0
/*
 * COSE_Sign1 (RFC 9052, 4.2; algorithms: RFC 9053, 2). The algorithm is the key's, and what the
 * protected header says must agree with it. Hostile input.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>

#include "attest/corim/corim.h"

/* Header parameters: RFC 9052, table 3 */
#define LABEL_ALG 1
#define LABEL_CRIT 2
#define LABEL_CONTENT_TYPE 3

/* RFC 9053, tables 1 and 2 */
static const struct {
    int64_t algorithm;
    int key_type;
    int bits;
    const char *digest; /* NULL: the signature's own */
    size_t half;        /* of r and s */
} algorithms[] = {
    { -7, EVP_PKEY_EC, 256, "SHA256", 32 },
    { -35, EVP_PKEY_EC, 384, "SHA384", 48 },
    { -36, EVP_PKEY_EC, 521, "SHA512", 66 },
    { -8, EVP_PKEY_ED25519, 0, NULL, 0 },
};

static enum bawn_status read_header(struct cose_sign1 *s, struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(s->protected.data, s->protected.len);
    struct cbor_item map, item;
    bool has_algorithm = false;

    cbor_expect(&c, CBOR_MAP, &map);
    for (uint64_t i = 0; !c.failed && i < map.value; i++) {
        int64_t label = 0;
        int major = cbor_peek(&c);

        if (major == CBOR_UINT || major == CBOR_NEGATIVE)
            cbor_int(&c, &label);
        else
            cbor_skip(&c);
        if (label == LABEL_CRIT)
            return bawn_fail(err, BAWN_E_UNSUPPORTED,
                             "the signature's header has critical parameters, of which none is "
                             "known here");
        if (label == LABEL_ALG && !has_algorithm)
            has_algorithm = cbor_int(&c, &s->algorithm);
        else if (label == LABEL_ALG)
            c.failed = true;
        else if (label == LABEL_CONTENT_TYPE && cbor_peek(&c) == CBOR_TEXT)
            s->content_type = cbor_next(&c, &item) ? item.bytes : s->content_type;
        else
            cbor_skip(&c);
    }
    if (c.failed || bawn_cursor_left(&c) || !has_algorithm)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "the signature's protected header is malformed, or names no algorithm");
    return BAWN_OK;
}

enum bawn_status cose_sign1_read(struct bawn_cursor *c, struct cose_sign1 *s,
                                 struct bawn_error *err)
{
    struct cbor_item array, item;

    *s = (struct cose_sign1){ 0 };
    if (!cbor_expect(c, CBOR_ARRAY, &array) || array.value != 4)
        return bawn_fail(err, BAWN_E_FORMAT, "COSE_Sign1 must be an array of four");
    if (cbor_expect(c, CBOR_BYTES, &item))
        s->protected = item.bytes;
    if (cbor_peek(c) != CBOR_MAP)
        c->failed = true;
    cbor_skip(c);
    if (cbor_expect(c, CBOR_BYTES, &item))
        s->payload = item.bytes;
    if (cbor_expect(c, CBOR_BYTES, &item))
        s->signature = item.bytes;
    if (c->failed)
        return bawn_fail(
            err, BAWN_E_FORMAT,
            "COSE_Sign1 must be [header, map, payload, signature], the payload inside");
    return read_header(s, err);
}

/* ---- Verification ---- */

static size_t put_head(uint8_t *out, unsigned major, uint64_t n)
{
    unsigned bytes = n < 24 ? 0 : n < 256 ? 1 : n < 65536 ? 2 : 4;

    out[0] = (uint8_t)(major << 5 | (!bytes ? n : bytes == 1 ? 24 : bytes == 2 ? 25 : 26));
    for (unsigned i = 0; i < bytes; i++)
        out[1 + i] = (uint8_t)(n >> 8 * (bytes - 1 - i));
    return 1 + bytes;
}

/* Sig_structure (RFC 9052, 4.4): ["Signature1", protected, external, payload]. */
static uint8_t *to_be_signed(const struct cose_sign1 *s, size_t *len)
{
    static const char context[] = "Signature1";
    uint8_t *out = malloc(32 + sizeof(context) + s->protected.len + s->payload.len);
    size_t at = 0;

    if (!out)
        return NULL;
    at += put_head(out, CBOR_ARRAY, 4);
    at += put_head(out + at, CBOR_TEXT, sizeof(context) - 1);
    memcpy(out + at, context, sizeof(context) - 1);
    at += sizeof(context) - 1;
    at += put_head(out + at, CBOR_BYTES, s->protected.len);
    if (s->protected.len)
        memcpy(out + at, s->protected.data, s->protected.len);
    at += s->protected.len;
    at += put_head(out + at, CBOR_BYTES, 0);
    at += put_head(out + at, CBOR_BYTES, s->payload.len);
    if (s->payload.len)
        memcpy(out + at, s->payload.data, s->payload.len);
    *len = at + s->payload.len;
    return out;
}

/* r || s as the DER that OpenSSL takes. */
static uint8_t *to_der(struct bawn_bytes signature, size_t half, int *len)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.data, (int)half, NULL);
    BIGNUM *s = BN_bin2bn(signature.data + half, (int)half, NULL);
    uint8_t *der = NULL;

    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL;
        *len = i2d_ECDSA_SIG(sig, &der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return der;
}

static bool verify_one(const struct cose_sign1 *s, EVP_PKEY *key, const uint8_t *data, size_t len)
{
    size_t i = 0, n = sizeof(algorithms) / sizeof(algorithms[0]);
    EVP_MD_CTX *ctx;
    uint8_t *der = NULL;
    int der_len = 0;
    bool good;

    while (i < n && (algorithms[i].key_type != EVP_PKEY_get_base_id(key) ||
                     (algorithms[i].bits && algorithms[i].bits != EVP_PKEY_get_bits(key))))
        i++;
    if (i == n || algorithms[i].algorithm != s->algorithm)
        return false;
    if (algorithms[i].half) {
        if (s->signature.len != 2 * algorithms[i].half)
            return false;
        der = to_der(s->signature, algorithms[i].half, &der_len);
        if (!der)
            return false;
    }
    ctx = EVP_MD_CTX_new();
    good = ctx &&
           EVP_DigestVerifyInit_ex(ctx, NULL, algorithms[i].digest, NULL, NULL, key, NULL) == 1 &&
           EVP_DigestVerify(ctx, der ? der : s->signature.data,
                            der ? (size_t)der_len : s->signature.len, data, len) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    ERR_clear_error();
    return good;
}

enum bawn_status cose_sign1_verify(const struct cose_sign1 *s, EVP_PKEY *const *keys, size_t n,
                                   struct bawn_error *err)
{
    size_t len;
    uint8_t *data = to_be_signed(s, &len);
    bool good = false;

    if (!data)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for a signature");
    for (size_t i = 0; i < n && !good; i++)
        good = verify_one(s, keys[i], data, len);
    free(data);
    return good ? BAWN_OK
                : bawn_fail(err, BAWN_E_DENIED, "the signature is that of no signer known here");
}

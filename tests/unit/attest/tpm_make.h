/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotes made up for tests: the message, its signature with an OpenSSL key, and the key as a
 * TPM would give it. What a test does not name is as a good TPM has it.
 */
#ifndef BAWN_TEST_TPM_MAKE_H
#define BAWN_TEST_TPM_MAKE_H

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "attest/lib/tpm.h"
#include "tests/unit/attest/pki.h"
#include "tests/unit/attest/scene.h"

struct out {
    uint8_t data[4096];
    size_t len;
};

static inline struct bawn_bytes out_bytes(const struct out *o)
{
    return (struct bawn_bytes){ o->data, o->len };
}

static inline void put(struct out *o, const void *data, size_t len)
{
    assert_true(len <= sizeof(o->data) - o->len);
    memcpy(o->data + o->len, data, len);
    o->len += len;
}

static inline void put_be(struct out *o, uint64_t v, unsigned n)
{
    while (n--) {
        uint8_t b = (uint8_t)(v >> (8 * n));

        put(o, &b, 1);
    }
}

static inline void put_2b(struct out *o, struct bawn_bytes b)
{
    put_be(o, b.len, 2);
    if (b.len)
        put(o, b.data, b.len);
}

/* ---- Message ---- */

struct quote_spec {
    uint16_t type; /* 0: quote */
    const char *nonce;
    struct tpm_pcr_selection select[4];
    unsigned nr_select;
    struct bawn_bytes digest;
};

static inline void quote_write(struct out *o, const struct quote_spec *q)
{
    static const uint8_t name[34] = { 0x00, 0x0b, 0x11 };
    const char *nonce = q->nonce ? q->nonce : "nonce";

    o->len = 0;
    put_be(o, TPM_GENERATED_VALUE, 4);
    put_be(o, q->type ? q->type : TPM_ST_ATTEST_QUOTE, 2);
    put_2b(o, (struct bawn_bytes){ name, sizeof(name) });
    put_2b(o, (struct bawn_bytes){ (const uint8_t *)nonce, strlen(nonce) });
    put_be(o, 123456789, 8);
    put_be(o, 7, 4);
    put_be(o, 3, 4);
    put_be(o, 1, 1);
    put_be(o, 0x0102030405060708, 8);
    put_be(o, q->nr_select, 4);
    for (unsigned i = 0; i < q->nr_select; i++) {
        put_be(o, q->select[i].id, 2);
        put_be(o, 3, 1);
        for (unsigned j = 0; j < 3; j++)
            put_be(o, q->select[i].mask >> (8 * j) & 0xff, 1);
    }
    put_2b(o, q->digest);
}

/* ---- Signature ---- */

static inline const EVP_MD *md_of(enum hash_alg hash)
{
    static const char *const names[] = { NULL, "SHA1", "SHA256", "SHA384", "SHA512" };

    return EVP_get_digestbyname(names[hash]);
}

static inline uint16_t id_of(enum hash_alg hash)
{
    static const uint16_t ids[] = { 0, TPM_ALG_SHA1, TPM_ALG_SHA256, TPM_ALG_SHA384,
                                    TPM_ALG_SHA512 };

    return ids[hash];
}

/* As OpenSSL gives it: RSA's bytes, or ECDSA in DER. */
static inline struct blob raw_sign(EVP_PKEY *key, uint16_t scheme, enum hash_alg hash, int salt,
                                   struct bawn_bytes message)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t sig[1024];
    size_t len = sizeof(sig);
    EVP_PKEY_CTX *pctx;

    assert_int_equal(EVP_DigestSignInit(ctx, &pctx, md_of(hash), NULL, key), 1);
    if (scheme == TPM_ALG_RSAPSS) {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt) > 0);
    }
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, message.data, message.len), 1);
    EVP_MD_CTX_free(ctx);
    return blob_of(sig, len);
}

static inline void put_bn(struct out *o, const BIGNUM *n)
{
    uint8_t buf[TPM_MAX_ECC_KEY_BYTES];

    put_2b(o, (struct bawn_bytes){ buf, (size_t)BN_bn2bin(n, buf) });
}

/* TPMT_SIGNATURE. Numbers of ECDSA go without leading zeros. */
static inline void signature_write(struct out *o, EVP_PKEY *key, uint16_t scheme,
                                   enum hash_alg hash, struct bawn_bytes message)
{
    struct blob raw = raw_sign(key, scheme, hash, RSA_PSS_SALTLEN_DIGEST, message);
    const uint8_t *p = raw.data;

    o->len = 0;
    put_be(o, scheme, 2);
    put_be(o, id_of(hash), 2);
    if (scheme == TPM_ALG_ECDSA) {
        ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)raw.len);

        assert_non_null(sig);
        put_bn(o, ECDSA_SIG_get0_r(sig));
        put_bn(o, ECDSA_SIG_get0_s(sig));
        ECDSA_SIG_free(sig);
    } else {
        put_2b(o, bytes_of(&raw));
    }
    blob_free(&raw);
}

/* ---- Key ---- */

#define GOOD_AK                                                                         \
    (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | \
     TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT)

static inline void put_param(struct out *o, EVP_PKEY *key, const char *param)
{
    BIGNUM *n = NULL;

    assert_int_equal(EVP_PKEY_get_bn_param(key, param, &n), 1);
    put_bn(o, n);
    BN_free(n);
}

/* TPMT_PUBLIC. */
static inline void public_write(struct out *o, EVP_PKEY *key, uint32_t attributes)
{
    static const struct {
        int bits;
        uint16_t curve;
    } curves[] = { { 256, TPM_ECC_NIST_P256 },
                   { 384, TPM_ECC_NIST_P384 },
                   { 521, TPM_ECC_NIST_P521 } };
    bool rsa = EVP_PKEY_is_a(key, "RSA");

    o->len = 0;
    put_be(o, rsa ? TPM_ALG_RSA : TPM_ALG_ECC, 2);
    put_be(o, TPM_ALG_SHA256, 2);
    put_be(o, attributes, 4);
    put_be(o, 0, 2);
    put_be(o, TPM_ALG_NULL, 2);
    put_be(o, rsa ? TPM_ALG_RSASSA : TPM_ALG_ECDSA, 2);
    put_be(o, TPM_ALG_SHA256, 2);
    if (rsa) {
        uint8_t buf[TPM_MAX_RSA_KEY_BYTES];
        BIGNUM *n = NULL;

        put_be(o, (uint64_t)EVP_PKEY_bits(key), 2);
        put_be(o, 0, 4);
        assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
        put_2b(o, (struct bawn_bytes){ buf, (size_t)BN_bn2bin(n, buf) });
        BN_free(n);
        return;
    }
    for (size_t i = 0; i < 3; i++)
        if (curves[i].bits == EVP_PKEY_bits(key))
            put_be(o, curves[i].curve, 2);
    put_be(o, TPM_ALG_NULL, 2);
    put_param(o, key, OSSL_PKEY_PARAM_EC_PUB_X);
    put_param(o, key, OSSL_PKEY_PARAM_EC_PUB_Y);
}

/* The digest over n values as one block. */
static inline struct bawn_bytes digest_of(struct arena *a, enum hash_alg hash, const void *data,
                                          size_t len)
{
    uint8_t digest[HASH_MAX];

    assert_true(hash_bytes(hash, data, len, digest));
    return arena_copy(a, digest, hash_size(hash));
}

#endif

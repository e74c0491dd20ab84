// SPDX-License-Identifier: Apache-2.0
/*
 * CoRIM: what a signed file says, and that nothing else is believed. Files are made here, byte by
 * byte, as draft-ietf-rats-corim has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ec.h>

#include "attest/corim/corim.h"

#define NOW 1800000000

struct buffer {
    uint8_t data[2048];
    size_t len;
};

static void head(struct buffer *b, unsigned major, uint64_t n)
{
    unsigned bytes = n < 24 ? 0 : n < 256 ? 1 : n < 65536 ? 2 : n <= UINT32_MAX ? 4 : 8;

    b->data[b->len++] = (uint8_t)(major << 5 | (!bytes       ? n
                                                : bytes == 1 ? 24
                                                : bytes == 2 ? 25
                                                : bytes == 4 ? 26
                                                             : 27));
    for (unsigned i = 0; i < bytes; i++)
        b->data[b->len++] = (uint8_t)(n >> 8 * (bytes - 1 - i));
}

static void raw(struct buffer *b, unsigned major, const void *data, size_t len)
{
    head(b, major, len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void text(struct buffer *b, const char *s)
{
    raw(b, CBOR_TEXT, s, strlen(s));
}

static const uint8_t digest[48] = { 0xab, 0xcd };

/* {4: {0: [[{0: {1: "ACME", 2: "disk"}}, [measurements]]]}} with three measurements: a digest under
 * the key "snp.measurement", a security version under the number 3, a register. */
static void comid(struct buffer *b)
{
    head(b, CBOR_MAP, 2);
    head(b, CBOR_UINT, 1);
    head(b, CBOR_MAP, 1);
    head(b, CBOR_UINT, 0);
    text(b, "tag-id");
    head(b, CBOR_UINT, 4);
    head(b, CBOR_MAP, 1);
    head(b, CBOR_UINT, 0);
    head(b, CBOR_ARRAY, 1);
    head(b, CBOR_ARRAY, 2);
    head(b, CBOR_MAP, 1);
    head(b, CBOR_UINT, 0);
    head(b, CBOR_MAP, 2);
    head(b, CBOR_UINT, 1);
    text(b, "ACME");
    head(b, CBOR_UINT, 2);
    text(b, "disk");
    head(b, CBOR_ARRAY, 3);
    /* The value stands before the key that names it. */
    head(b, CBOR_MAP, 2);
    head(b, CBOR_UINT, 1);
    head(b, CBOR_MAP, 1);
    head(b, CBOR_UINT, 2);
    head(b, CBOR_ARRAY, 1);
    head(b, CBOR_ARRAY, 2);
    head(b, CBOR_UINT, 7);
    raw(b, CBOR_BYTES, digest, sizeof(digest));
    head(b, CBOR_UINT, 0);
    text(b, "snp.measurement");
    head(b, CBOR_MAP, 2);
    head(b, CBOR_UINT, 0);
    head(b, CBOR_UINT, 3);
    head(b, CBOR_UINT, 1);
    head(b, CBOR_MAP, 1);
    head(b, CBOR_UINT, 1);
    head(b, CBOR_TAG, 552);
    head(b, CBOR_UINT, 9);
    head(b, CBOR_MAP, 2);
    head(b, CBOR_UINT, 0);
    text(b, "tdx.rtmr");
    head(b, CBOR_UINT, 1);
    head(b, CBOR_MAP, 1);
    head(b, CBOR_UINT, 14);
    head(b, CBOR_MAP, 1);
    head(b, CBOR_UINT, 0);
    head(b, CBOR_ARRAY, 1);
    head(b, CBOR_ARRAY, 2);
    head(b, CBOR_UINT, 7);
    raw(b, CBOR_BYTES, digest, 2);
}

static void corim(struct buffer *b, int64_t not_after)
{
    struct buffer inner = { .len = 0 };

    comid(&inner);
    head(b, CBOR_TAG, 501);
    head(b, CBOR_MAP, 3);
    head(b, CBOR_UINT, 0);
    text(b, "corim-id");
    head(b, CBOR_UINT, 1);
    head(b, CBOR_ARRAY, 1);
    head(b, CBOR_TAG, 506);
    raw(b, CBOR_BYTES, inner.data, inner.len);
    head(b, CBOR_UINT, 4);
    head(b, CBOR_MAP, 1);
    head(b, CBOR_UINT, 1);
    head(b, CBOR_TAG, 1);
    head(b, CBOR_UINT, (uint64_t)not_after);
}

static size_t sign(EVP_PKEY *key, const struct buffer *tbs, uint8_t *out)
{
    bool ed = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
    size_t half = (size_t)(EVP_PKEY_get_bits(key) + 7) / 8, len = 256;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[256];
    const uint8_t *p = der;
    ECDSA_SIG *sig;

    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL,
                                           ed           ? NULL
                                           : half == 32 ? "SHA256"
                                           : half == 48 ? "SHA384"
                                                        : "SHA512",
                                           NULL, NULL, key, NULL),
                     1);
    assert_int_equal(EVP_DigestSign(ctx, ed ? out : der, &len, tbs->data, tbs->len), 1);
    EVP_MD_CTX_free(ctx);
    if (ed)
        return len;
    sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)half);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, (int)half);
    ECDSA_SIG_free(sig);
    return 2 * half;
}

static void signed_corim(struct buffer *b, EVP_PKEY *key, unsigned algorithm, int64_t not_after)
{
    struct buffer payload = { .len = 0 }, header = { .len = 0 }, tbs = { .len = 0 };
    uint8_t signature[256];
    size_t len;

    corim(&payload, not_after);
    head(&header, CBOR_MAP, 2);
    head(&header, CBOR_UINT, 1);
    head(&header, CBOR_NEGATIVE, algorithm - 1);
    head(&header, CBOR_UINT, 3);
    text(&header, "application/rim+cbor");
    head(&tbs, CBOR_ARRAY, 4);
    text(&tbs, "Signature1");
    raw(&tbs, CBOR_BYTES, header.data, header.len);
    raw(&tbs, CBOR_BYTES, "", 0);
    raw(&tbs, CBOR_BYTES, payload.data, payload.len);
    len = sign(key, &tbs, signature);
    head(b, CBOR_TAG, 18);
    head(b, CBOR_ARRAY, 4);
    raw(b, CBOR_BYTES, header.data, header.len);
    head(b, CBOR_MAP, 0);
    raw(b, CBOR_BYTES, payload.data, payload.len);
    raw(b, CBOR_BYTES, signature, len);
}

struct seen {
    char text[1024];
    int64_t expires;
};

static enum bawn_status note(void *context, const char *set, const char *value, int64_t expires,
                             struct bawn_error *err)
{
    struct seen *s = context;
    size_t len = strlen(s->text);

    (void)err;
    snprintf(s->text + len, sizeof(s->text) - len, "%s=%.4s;", set, value);
    s->expires = expires;
    return BAWN_OK;
}

static enum bawn_status take(const struct buffer *b, EVP_PKEY *const *keys, size_t n,
                             struct seen *s)
{
    struct bawn_error err = { "" };
    enum bawn_status st;

    memset(s, 0, sizeof(*s));
    st = corim_read((struct bawn_bytes){ b->data, b->len }, keys, n, NOW, note, s, &err);
    assert_true(st == BAWN_OK || *err.msg);
    return st;
}

static const char right[] = "snp.measurement=abcd;ACME/disk/3=9;tdx.rtmr[0]=abcd;";

static void reads(void **state)
{
    struct buffer b = { .len = 0 };
    struct seen s;

    (void)state;
    corim(&b, NOW + 5);
    assert_int_equal(take(&b, NULL, 0, &s), BAWN_OK);
    assert_string_equal(s.text, right);
    assert_int_equal(s.expires, NOW + 5);
    b.len = 0;
    corim(&b, NOW);
    assert_int_equal(take(&b, NULL, 0, &s), BAWN_E_DENIED);
    assert_string_equal(s.text, "");
}

static void signatures(void **state)
{
    static const struct {
        const char *type, *curve;
        unsigned algorithm;
    } kinds[] = {
        { "EC", "P-256", 7 }, { "EC", "P-384", 35 }, { "EC", "P-521", 36 }, { "ED25519", "", 8 }
    };
    EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), *both[2];
    struct seen s;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        EVP_PKEY *key = *kinds[i].curve
                            ? EVP_PKEY_Q_keygen(NULL, NULL, kinds[i].type, kinds[i].curve)
                            : EVP_PKEY_Q_keygen(NULL, NULL, kinds[i].type);
        struct buffer b = { .len = 0 };

        signed_corim(&b, key, kinds[i].algorithm, NOW + 5);
        both[0] = other;
        both[1] = key;
        assert_int_equal(take(&b, both, 2, &s), BAWN_OK);
        assert_string_equal(s.text, right);
        assert_int_equal(take(&b, &other, 1, &s), BAWN_E_DENIED);
        assert_string_equal(s.text, "");
        b.len = 0; /* the right signature under a header that names another algorithm */
        signed_corim(&b, key, kinds[(i + 1) % 4].algorithm, NOW + 5);
        assert_int_equal(take(&b, &key, 1, &s), BAWN_E_DENIED);
        b.len = 0; /* none */
        corim(&b, NOW + 5);
        assert_int_equal(take(&b, &key, 1, &s), BAWN_E_DENIED);
        EVP_PKEY_free(key);
    }
    EVP_PKEY_free(other);
}

/* No byte of a signed file can be another, none can be missing, none can be more. */
static void altered(void **state)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    struct buffer b = { .len = 0 }, c;
    unsigned taken = 0;
    struct seen s;

    (void)state;
    signed_corim(&b, key, 7, NOW + 5);
    for (size_t i = 0; i < b.len; i++) {
        c = b;
        c.data[i] ^= 0x01;
        taken += take(&c, &key, 1, &s) == BAWN_OK;
        c = b;
        c.len = i;
        taken += take(&c, &key, 1, &s) == BAWN_OK;
    }
    c = b;
    c.data[c.len++] = 0;
    taken += take(&c, &key, 1, &s) == BAWN_OK;
    assert_int_equal(taken, 0);
    EVP_PKEY_free(key);
}

/* Unsigned, every byte another way: no crash, no endless loop. */
static void hostile(void **state)
{
    struct buffer b = { .len = 0 }, c;
    struct seen s;

    (void)state;
    corim(&b, NOW + 5);
    for (size_t i = 0; i < b.len; i++)
        for (unsigned v = 0; v < 256; v += 5) {
            c = b;
            c.data[i] = (uint8_t)v;
            take(&c, NULL, 0, &s);
        }
    /* Deep nesting, where an item is passed over. */
    c.len = 0;
    head(&c, CBOR_TAG, 501);
    head(&c, CBOR_MAP, 1);
    head(&c, CBOR_UINT, 9);
    for (unsigned i = 0; i < 1000; i++)
        head(&c, CBOR_ARRAY, 1);
    head(&c, CBOR_UINT, 0);
    assert_int_equal(take(&c, NULL, 0, &s), BAWN_E_FORMAT);
    c.len = 0; /* a count beyond all bounds */
    head(&c, CBOR_TAG, 501);
    head(&c, CBOR_MAP, UINT64_MAX);
    assert_int_equal(take(&c, NULL, 0, &s), BAWN_E_FORMAT);
    c.len = 0; /* indefinite length */
    head(&c, CBOR_TAG, 501);
    c.data[c.len++] = 0xbf;
    c.data[c.len++] = 0xff;
    assert_int_equal(take(&c, NULL, 0, &s), BAWN_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(signatures),
        cmocka_unit_test(altered),
        cmocka_unit_test(hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Signatures and digests: what verifies and what must not, the same with a cache and without;
 * and that the cache remembers only what it may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include "attest/lib/cache.h"
#include "attest/lib/x509.h"
#include "tests/unit/attest/pki.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static size_t allocations;        /* OpenSSL's; the library has no others here */
static size_t fail_at = SIZE_MAX; /* the allocation from which on there is no memory */

static void *count_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return ++allocations > fail_at ? NULL : malloc(n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return ++allocations > fail_at ? NULL : realloc(p, n);
}

static void count_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

/* What all tests use, made once: RSA keys take long. */
static EVP_PKEY *keys[KEY_P521 + 1];
static struct pubkey pubkeys[KEY_P521 + 1];
static struct crypto *crypto;
static struct bawn_attest_cache *cache;

static const struct bawn_bytes message = { (const uint8_t *)"the measure of it", 17 };

static struct pubkey public_of(EVP_PKEY *key)
{
    struct bawn_error err;
    struct pubkey out;

    assert_int_equal(pubkey_parse(&out, pki_spki(pki, key), &err), BAWN_OK);
    return out;
}

static int setup(void **state)
{
    static const char *const kinds[] = {
        [KEY_RSA] = "RSA-2048",
        [KEY_P256] = "P-256",
        [KEY_P384] = "P-384",
        [KEY_P521] = "P-521",
    };

    pki_setup(state);
    for (int t = KEY_RSA; t <= KEY_P521; t++) {
        keys[t] = pki_key(pki, kinds[t]);
        pubkeys[t] = public_of(keys[t]);
    }
    crypto = crypto_create();
    cache = bawn_attest_cache_create(64);
    return !crypto || !cache;
}

static int teardown(void **state)
{
    bawn_attest_cache_destroy(cache);
    crypto_destroy(crypto);
    return pki_teardown(state);
}

/* One question, put in every way; all must agree. */
static bool verify(const struct pubkey *key, const struct sig_alg *alg, struct bawn_bytes msg,
                   struct bawn_bytes sig)
{
    struct arena arena = { 0 };
    struct bawn_attest_cache *temporary = cache_begin(NULL, crypto, &arena);
    bool ok = sig_verify(NULL, key, alg, msg, sig);

    assert_non_null(temporary);
    assert_int_equal(sig_verify_once(NULL, key, alg, msg, sig), ok);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(sig_verify(cache, key, alg, msg, sig), ok);
        assert_int_equal(sig_verify_once(cache, key, alg, msg, sig), ok);
        assert_int_equal(sig_verify(temporary, key, alg, msg, sig), ok);
    }
    cache_end(temporary, NULL);
    arena_free(&arena);
    assert_int_equal(ERR_peek_error(), 0);
    return ok;
}

/* FIPS 180-4's examples: "abc", and the same in two parts. */
static void digests(void **state)
{
    static const struct {
        enum hash_alg alg;
        const char *name;
        size_t size;
        uint8_t first[4];
    } cases[] = {
        { HASH_SHA1, "sha1", 20, { 0xa9, 0x99, 0x3e, 0x36 } },
        { HASH_SHA256, "sha256", 32, { 0xba, 0x78, 0x16, 0xbf } },
        { HASH_SHA384, "sha384", 48, { 0xcb, 0x00, 0x75, 0x3f } },
        { HASH_SHA512, "sha512", 64, { 0xdd, 0xaf, 0x35, 0xa1 } },
    };
    uint8_t one[HASH_MAX], two[HASH_MAX];

    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct bawn_bytes a = { (const uint8_t *)"a", 1 }, bc = { (const uint8_t *)"bc", 2 };

        assert_int_equal(hash_size(cases[i].alg), cases[i].size);
        assert_string_equal(hash_name(cases[i].alg), cases[i].name);
        assert_true(hash_bytes(cases[i].alg, "abc", 3, one));
        assert_memory_equal(one, cases[i].first, 4);
        assert_true(hash_two(cases[i].alg, a, bc, two));
        assert_memory_equal(one, two, cases[i].size);
    }
    assert_int_equal(hash_size(HASH_NONE), 0);
    assert_int_equal(hash_size(HASH_ALGS), 0);
    assert_string_equal(hash_name(HASH_NONE), "none");
    assert_false(hash_bytes(HASH_NONE, "abc", 3, one));
    assert_false(hash_bytes(HASH_ALGS, "abc", 3, one));
    assert_false(hash_two(HASH_NONE, message, message, one));
}

static const struct scheme {
    enum key_type key;
    enum pki_sig sig;
    struct sig_alg alg;
} schemes[] = {
    { KEY_P256, PKI_ECDSA_SHA1, { SIG_ECDSA, HASH_SHA1, 0 } },
    { KEY_P256, PKI_ECDSA_SHA256, { SIG_ECDSA, HASH_SHA256, 0 } },
    { KEY_P256, PKI_ECDSA_SHA384, { SIG_ECDSA, HASH_SHA384, 0 } },
    { KEY_P384, PKI_ECDSA_SHA384, { SIG_ECDSA, HASH_SHA384, 0 } },
    { KEY_P384, PKI_ECDSA_SHA256, { SIG_ECDSA, HASH_SHA256, 0 } },
    { KEY_P521, PKI_ECDSA_SHA512, { SIG_ECDSA, HASH_SHA512, 0 } },
    { KEY_RSA, PKI_PSS_SHA384, { SIG_RSA_PSS, HASH_SHA384, 48 } },
    { KEY_RSA, PKI_PSS_SHA384, { SIG_RSA_PSS, HASH_SHA384, -1 } },
    { KEY_RSA, PKI_PSS_SHA384_SALT20, { SIG_RSA_PSS, HASH_SHA384, -1 } },
    { KEY_RSA, PKI_PSS_SHA256, { SIG_RSA_PSS, HASH_SHA256, 32 } },
    { KEY_RSA, PKI_RSA_SHA256, { SIG_RSA_PKCS1, HASH_SHA256, 0 } },
    { KEY_RSA, PKI_RSA_SHA384, { SIG_RSA_PKCS1, HASH_SHA384, 0 } },
};

static void schemes_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(schemes); i++) {
        struct bawn_bytes sig = pki_sign(pki, keys[schemes[i].key], schemes[i].sig, message);

        assert_true(verify(&pubkeys[schemes[i].key], &schemes[i].alg, message, sig));
    }
}

/* Everything that is not what was signed is refused, after the right one was remembered too. */
static void others_do_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(schemes); i++) {
        const struct pubkey *key = &pubkeys[schemes[i].key];
        const struct sig_alg *alg = &schemes[i].alg;
        struct bawn_bytes sig = pki_sign(pki, keys[schemes[i].key], schemes[i].sig, message);
        struct bawn_bytes longer = PKI_CAT(pki, sig, { (const uint8_t *)"", 1 });
        struct sig_alg other = *alg;
        uint8_t text[17];

        assert_true(verify(key, alg, message, sig));
        memcpy(text, message.data, sizeof(text));
        text[16] ^= 1;
        assert_false(verify(key, alg, (struct bawn_bytes){ text, sizeof(text) }, sig));
        assert_false(verify(key, alg, (struct bawn_bytes){ message.data, 16 }, sig));
        assert_false(verify(key, alg, (struct bawn_bytes){ 0 }, sig));
        assert_false(verify(key, alg, message, longer));
        assert_false(verify(key, alg, message, (struct bawn_bytes){ sig.data, sig.len - 1 }));
        assert_false(verify(key, alg, message, (struct bawn_bytes){ 0 }));
        other.hash = alg->hash == HASH_SHA256 ? HASH_SHA384 : HASH_SHA256;
        assert_false(verify(key, &other, message, sig));
        other.hash = HASH_NONE;
        assert_false(verify(key, &other, message, sig));
        for (int t = KEY_NONE; t <= KEY_P521; t++) {
            if (t != (int)schemes[i].key)
                assert_false(verify(&pubkeys[t], alg, message, sig));
        }
        other = *alg;
        for (int scheme = SIG_NONE; scheme <= SIG_RSA_PSS; scheme++) {
            other.scheme = (enum sig_scheme)scheme;
            if (other.scheme != alg->scheme)
                assert_false(verify(key, &other, message, sig));
        }
    }
}

static void every_byte_of_a_signature_counts(void **state)
{
    const struct sig_alg ecdsa = { SIG_ECDSA, HASH_SHA256, 0 },
                         pss = { SIG_RSA_PSS, HASH_SHA384, 48 };
    struct bawn_bytes sig = pki_sign(pki, keys[KEY_P256], PKI_ECDSA_SHA256, message);
    struct bawn_bytes rsa = pki_sign(pki, keys[KEY_RSA], PKI_PSS_SHA384, message);
    uint8_t bad[512];

    (void)state;
    assert_true(verify(&pubkeys[KEY_P256], &ecdsa, message, sig));
    for (size_t i = 0; i < sig.len; i++) {
        memcpy(bad, sig.data, sig.len);
        bad[i] ^= 0x01;
        assert_false(sig_verify(cache, &pubkeys[KEY_P256], &ecdsa, message,
                                (struct bawn_bytes){ bad, sig.len }));
        assert_false(sig_verify(cache, &pubkeys[KEY_P256], &ecdsa, message,
                                (struct bawn_bytes){ sig.data, i }));
    }
    for (size_t i = 0; i < rsa.len; i += 5) {
        memcpy(bad, rsa.data, rsa.len);
        bad[i] ^= 0x80;
        assert_false(sig_verify(cache, &pubkeys[KEY_RSA], &pss, message,
                                (struct bawn_bytes){ bad, rsa.len }));
        assert_false(sig_verify(cache, &pubkeys[KEY_RSA], &pss, message,
                                (struct bawn_bytes){ rsa.data, i }));
    }
}

/* Two keys differ by their modulus alone: what one signed is not remembered for the other. */
static void rsa_keys_are_told_apart(void **state)
{
    const struct sig_alg alg = { SIG_RSA_PKCS1, HASH_SHA256, 0 };
    struct bawn_bytes sig = pki_sign(pki, keys[KEY_RSA], PKI_RSA_SHA256, message);
    struct pubkey other = public_of(pki_key(pki, "RSA-2048"));

    (void)state;
    assert_true(verify(&pubkeys[KEY_RSA], &alg, message, sig));
    assert_false(verify(&other, &alg, message, sig));
}

/* RFC 8017, 8.1.2 step 1: as long as the modulus, also when it begins with zeros. */
static void rsa_length(void **state)
{
    const struct sig_alg alg = { SIG_RSA_PSS, HASH_SHA384, 48 };
    struct bawn_bytes sig;
    int tries = 0;

    (void)state;
    do
        sig = pki_sign(pki, keys[KEY_RSA], PKI_PSS_SHA384, message);
    while (sig.data[0] && ++tries < 5000);
    assert_int_equal(sig.data[0], 0);
    assert_true(verify(&pubkeys[KEY_RSA], &alg, message, sig));
    assert_false(
        verify(&pubkeys[KEY_RSA], &alg, message, (struct bawn_bytes){ sig.data + 1, sig.len - 1 }));
}

/* The salt length is part of AMD's profile; a TPM chooses its own. */
static void pss_salt(void **state)
{
    const struct sig_alg amd = { SIG_RSA_PSS, HASH_SHA384, 48 };
    struct bawn_bytes sig = pki_sign(pki, keys[KEY_RSA], PKI_PSS_SHA384_SALT20, message);

    (void)state;
    assert_false(verify(&pubkeys[KEY_RSA], &amd, message, sig));
    for (int salt = 0; salt < 64; salt++) {
        struct sig_alg alg = { SIG_RSA_PSS, HASH_SHA384, salt };

        assert_int_equal(sig_verify(NULL, &pubkeys[KEY_RSA], &alg, message, sig), salt == 20);
    }
    assert_false(sig_verify(NULL, &pubkeys[KEY_RSA],
                            &(struct sig_alg){ SIG_RSA_PSS, HASH_SHA384, 1 << 30 }, message, sig));
}

/* ---- ECDSA's two numbers ---- */

static bool raw(enum key_type type, enum hash_alg hash, const uint8_t *r, const uint8_t *s)
{
    const struct pubkey *key = &pubkeys[type];
    bool ok = sig_verify_raw(NULL, key, hash, message, r, s);

    for (int again = 0; again < 2; again++) {
        assert_int_equal(sig_verify_raw(cache, key, hash, message, r, s), ok);
        assert_int_equal(sig_verify_raw_kept(cache, key, hash, message, r, s), ok);
        assert_int_equal(sig_verify_raw_kept(NULL, key, hash, message, r, s), ok);
    }
    return ok;
}

static void get_order(EVP_PKEY *key, uint8_t *out, size_t len)
{
    BIGNUM *n = NULL;

    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_ORDER, &n), 1);
    assert_int_equal(BN_bn2binpad(n, out, (int)len), (int)len);
    BN_free(n);
}

static void raw_numbers(void **state)
{
    static const struct {
        enum key_type type;
        size_t len;
        enum pki_sig sig;
        enum hash_alg hash;
    } cases[] = {
        { KEY_P256, 32, PKI_ECDSA_SHA256, HASH_SHA256 },
        { KEY_P384, 48, PKI_ECDSA_SHA384, HASH_SHA384 },
        { KEY_P521, 66, PKI_ECDSA_SHA512, HASH_SHA512 },
    };

    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        enum key_type t = cases[i].type;
        enum hash_alg h = cases[i].hash;
        size_t len = cases[i].len;
        struct bawn_bytes rs = pki_sign_raw(pki, keys[t], cases[i].sig, message);
        const uint8_t *r = rs.data, *s = rs.data + len;
        uint8_t zero[66] = { 0 }, ones[66], order[66], bad[66];

        assert_int_equal(rs.len, 2 * len);
        memset(ones, 0xff, sizeof(ones));
        get_order(keys[t], order, len);
        assert_true(raw(t, h, r, s));
        assert_false(raw(t, h, s, r));
        assert_false(raw(t, h, zero, s));
        assert_false(raw(t, h, r, zero));
        assert_false(raw(t, h, zero, zero));
        assert_false(raw(t, h, order, s));
        assert_false(raw(t, h, r, order));
        assert_false(raw(t, h, ones, ones));
        assert_false(raw(t, h == HASH_SHA256 ? HASH_SHA384 : HASH_SHA256, r, s));
        assert_false(raw(t, HASH_NONE, r, s));
        memcpy(bad, s, len);
        bad[len - 1] ^= 1;
        assert_false(raw(t, h, r, bad));
    }
    assert_false(raw(KEY_RSA, HASH_SHA256, (uint8_t[66]){ 1 }, (uint8_t[66]){ 1 }));
    assert_false(raw(KEY_NONE, HASH_SHA256, (uint8_t[66]){ 1 }, (uint8_t[66]){ 1 }));
}

/* The same value plus the order is the same to arithmetic, and another to us. P-521's order
 * leaves room for it. */
static void raw_not_reduced(void **state)
{
    struct bawn_bytes rs = pki_sign_raw(pki, keys[KEY_P521], PKI_ECDSA_SHA512, message);
    uint8_t order[66], sum[66];
    unsigned carry = 0;

    (void)state;
    get_order(keys[KEY_P521], order, sizeof(order));
    for (size_t i = sizeof(sum); i-- > 0;) {
        carry += (unsigned)order[i] + rs.data[66 + i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(carry, 0);
    assert_true(raw(KEY_P521, HASH_SHA512, rs.data, rs.data + 66));
    assert_false(raw(KEY_P521, HASH_SHA512, rs.data, sum));
}

/* Numbers with leading zeros and with the top bit set both need care in DER. */
static void raw_of_every_length(void **state)
{
    bool short_seen = false, high_seen = false;

    (void)state;
    for (int i = 0; i < 3000 && !(short_seen && high_seen); i++) {
        struct bawn_bytes rs = pki_sign_raw(pki, keys[KEY_P256], PKI_ECDSA_SHA256, message);

        if (rs.data[0] && rs.data[32] && (short_seen || !(rs.data[0] & 0x80)))
            continue;
        short_seen |= !rs.data[0] || !rs.data[32];
        high_seen |= rs.data[0] & 0x80;
        assert_true(
            sig_verify_raw(cache, &pubkeys[KEY_P256], HASH_SHA256, message, rs.data, rs.data + 32));
    }
    assert_true(short_seen && high_seen);
}

/* BER that is not DER, and numbers that are not positive. */
static void ecdsa_der(void **state)
{
    const struct sig_alg alg = { SIG_ECDSA, HASH_SHA256, 0 };
    const struct pubkey *key = &pubkeys[KEY_P256];
    struct bawn_bytes rs, r, s, one = { (const uint8_t *)"", 1 };

    (void)state;
    /* Both without the top bit, so that they need no leading zero. */
    do
        rs = pki_sign_raw(pki, keys[KEY_P256], PKI_ECDSA_SHA256, message);
    while (rs.data[0] & 0x80 || rs.data[32] & 0x80 || !rs.data[0] || !rs.data[32]);
    r = pki_tlv(pki, 0x02, (struct bawn_bytes){ rs.data, 32 });
    s = pki_tlv(pki, 0x02, (struct bawn_bytes){ rs.data + 32, 32 });
    assert_true(verify(key, &alg, message, PKI_SEQUENCE(pki, r, s)));
    /* A leading zero too many. */
    assert_false(
        verify(key, &alg, message,
               PKI_SEQUENCE(pki, r, pki_tlv(pki, 0x02, PKI_CAT(pki, one, { rs.data + 32, 32 })))));
    /* A third number; bytes after the sequence; a long form of a short length. */
    assert_false(verify(key, &alg, message, PKI_SEQUENCE(pki, r, s, s)));
    assert_false(verify(key, &alg, message, PKI_CAT(pki, PKI_SEQUENCE(pki, r, s), one)));
    assert_false(
        verify(key, &alg, message, PKI_CAT(pki, { (const uint8_t *)"\x30\x81\x44", 3 }, r, s)));
    /* Negative. */
    do
        rs = pki_sign_raw(pki, keys[KEY_P256], PKI_ECDSA_SHA256, message);
    while (!(rs.data[0] & 0x80));
    r = pki_tlv(pki, 0x02, (struct bawn_bytes){ rs.data, 32 });
    s = pki_tlv(pki, 0x02, PKI_CAT(pki, one, { rs.data + 32, 32 }));
    assert_false(verify(key, &alg, message, PKI_SEQUENCE(pki, r, s)));
}

/* ---- Keys that are none ---- */

static void bad_points(void **state)
{
    const struct sig_alg alg = { SIG_ECDSA, HASH_SHA256, 0 };
    struct bawn_bytes sig = pki_sign(pki, keys[KEY_P256], PKI_ECDSA_SHA256, message);
    struct pubkey key = pubkeys[KEY_P256];
    uint8_t point[66];

    (void)state;
    for (size_t i = 0; i < 65; i++) {
        memcpy(point, key.point.data, 65);
        point[i] ^= 0x01;
        assert_false(sig_verify(i & 1 ? cache : NULL,
                                &(struct pubkey){ .type = KEY_P256, .point = { point, 65 } }, &alg,
                                message, sig));
    }
    memcpy(point, key.point.data, 65);
    for (size_t len = 0; len <= 66; len++) {
        point[65] = 0;
        assert_int_equal(verify(&(struct pubkey){ .type = KEY_P256, .point = { point, len } }, &alg,
                                message, sig),
                         len == 65);
    }
    /* Compressed, hybrid, infinity. */
    point[0] = (uint8_t)(2 + (point[64] & 1));
    assert_false(
        verify(&(struct pubkey){ .type = KEY_P256, .point = { point, 33 } }, &alg, message, sig));
    point[0] = (uint8_t)(6 + (point[64] & 1));
    assert_false(
        verify(&(struct pubkey){ .type = KEY_P256, .point = { point, 65 } }, &alg, message, sig));
    memset(point, 0, sizeof(point));
    assert_false(
        verify(&(struct pubkey){ .type = KEY_P256, .point = { point, 1 } }, &alg, message, sig));
    point[0] = 4;
    assert_false(
        verify(&(struct pubkey){ .type = KEY_P256, .point = { point, 65 } }, &alg, message, sig));
}

static void bad_rsa_keys(void **state)
{
    const struct sig_alg alg = { SIG_RSA_PSS, HASH_SHA384, 48 };
    struct bawn_bytes sig = pki_sign(pki, keys[KEY_RSA], PKI_PSS_SHA384, message);
    struct pubkey key = pubkeys[KEY_RSA], weak = { .type = KEY_RSA };
    struct bawn_bytes zero = { (const uint8_t *)"", 1 };
    static const struct bawn_bytes exponents[] = {
        { (const uint8_t *)"\x01", 1 },
        { (const uint8_t *)"\x02", 1 },
        { (const uint8_t *)"\x01\x00\x00", 3 },
        { (const uint8_t *)"\x00\x01\x00\x01", 4 },
        { (const uint8_t *)"\x01\x00\x00\x00\x00\x00\x00\x00\x01", 9 },
        { NULL, 0 },
    };
    uint8_t *huge = calloc(1, 2048);
    EVP_PKEY *small;
    BIGNUM *n = NULL;
    uint8_t bytes[128];

    (void)state;
    assert_true(verify(&key, &alg, message, sig));
    for (size_t i = 0; i < N(exponents); i++) {
        key.e = exponents[i];
        assert_false(verify(&key, &alg, message, sig));
    }
    key = pubkeys[KEY_RSA];
    key.n = PKI_CAT(pki, zero, key.n);
    assert_false(verify(&key, &alg, message, sig));
    assert_false(verify(&key, &alg, message, PKI_CAT(pki, zero, sig)));
    key.n.len = 0;
    assert_false(verify(&key, &alg, message, sig));
    /* 16384 bits. */
    assert_non_null(huge);
    huge[0] = huge[2047] = 0xff;
    key = pubkeys[KEY_RSA];
    key.n = (struct bawn_bytes){ huge, 2048 };
    assert_false(verify(&key, &alg, message, (struct bawn_bytes){ huge, 2048 }));
    free(huge);
    /* 1024 bits, and a signature that is right. */
    small = pki_key(pki, "RSA-1024");
    assert_int_equal(EVP_PKEY_get_bn_param(small, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    assert_int_equal(BN_bn2binpad(n, bytes, sizeof(bytes)), sizeof(bytes));
    BN_free(n);
    weak.n = (struct bawn_bytes){ bytes, sizeof(bytes) };
    weak.e = pubkeys[KEY_RSA].e;
    sig = pki_sign(pki, small, PKI_RSA_SHA256, message);
    assert_false(verify(&weak, &(struct sig_alg){ SIG_RSA_PKCS1, HASH_SHA256, 0 }, message, sig));
}

/* ---- The cache ---- */

static void what_is_remembered(void **state)
{
    const struct sig_alg alg = { SIG_ECDSA, HASH_SHA256, 0 };
    struct bawn_attest_cache *c = bawn_attest_cache_create(0);
    struct bawn_bytes sig = pki_sign(pki, keys[KEY_P256], PKI_ECDSA_SHA256, message);
    struct bawn_bytes rs = pki_sign_raw(pki, keys[KEY_P256], PKI_ECDSA_SHA256, message);
    const struct pubkey *key = &pubkeys[KEY_P256];
    struct bawn_bytes wrong = { (const uint8_t *)"x", 1 };

    (void)state;
    assert_int_equal(c->memos.n, 16);
    assert_false(sig_verify(c, key, &alg, wrong, sig));
    assert_true(sig_verify_once(c, key, &alg, message, sig));
    assert_true(sig_verify_raw(c, key, HASH_SHA256, message, rs.data, rs.data + 32));
    assert_int_equal(c->memos.used, 0);
    assert_int_equal(c->keys.used, 1);
    assert_true(sig_verify_raw_kept(c, key, HASH_SHA256, message, rs.data, rs.data + 32));
    assert_int_equal(c->memos.used, 1);
    assert_true(sig_verify(c, key, &alg, message, sig));
    assert_true(sig_verify(c, key, &alg, message, sig));
    assert_int_equal(c->memos.used, 2);
    assert_int_equal(c->keys.used, 1);
    bawn_attest_cache_destroy(c);
    bawn_attest_cache_destroy(NULL);
}

/* OpenSSL 3.0 makes a digest's state anew for each digest: of the message, of the key's name, of
 * the question's. A verification of the signature takes dozens. */
static void remembered_costs_three_digests(void **state)
{
    const struct sig_alg alg = { SIG_RSA_PSS, HASH_SHA384, 48 };
    struct bawn_bytes sig = pki_sign(pki, keys[KEY_RSA], PKI_PSS_SHA384, message);
    struct bawn_attest_cache *c = bawn_attest_cache_create(16);
    size_t before;

    (void)state;
    assert_true(sig_verify(c, &pubkeys[KEY_RSA], &alg, message, sig));
    before = allocations;
    assert_true(sig_verify(c, &pubkeys[KEY_RSA], &alg, message, sig));
    assert_true(allocations - before <= 3);
    bawn_attest_cache_destroy(c);
}

static void id_of(uint32_t n, uint8_t id[CACHE_ID])
{
    /* All in one chain, or spread, as the low bit says. */
    memset(id, 0, CACHE_ID);
    id[0] = n & 1 ? (uint8_t)n : 0;
    memcpy(id + 8, &n, sizeof(n));
}

/* The table against a list of what was used last. */
static void least_recently_used_goes(void **state)
{
    struct bawn_attest_cache *c = bawn_attest_cache_create(16);
    struct cache_table *t = &c->memos;
    uint32_t order[64], n = 0, seed = 1;
    uint8_t id[CACHE_ID];

    (void)state;
    for (int step = 0; step < 5000; step++) {
        uint32_t what = (seed = seed * 1664525 + 1013904223) >> 27, at = 0;
        struct cache_slot *slot;

        id_of(what, id);
        while (at < n && order[at] != what)
            at++;
        slot = cache_find(t, id);
        assert_int_equal(slot != NULL, at < n);
        if (!slot) {
            slot = cache_add(t, id);
            n += n < 16;
            at = n - 1;
        }
        assert_memory_equal(slot->id, id, CACHE_ID);
        memmove(order + 1, order, at * sizeof(order[0]));
        order[0] = what;
    }
    assert_int_equal(n, 16);
    assert_int_equal(t->used, 16);
    bawn_attest_cache_destroy(c);
}

/* More keys than slots: the contexts that are pushed out are freed (the sanitizer looks). */
static void more_keys_than_slots(void **state)
{
    const struct sig_alg alg = { SIG_ECDSA, HASH_SHA256, 0 };
    struct bawn_attest_cache *c = bawn_attest_cache_create(16);
    struct pubkey many[20];
    struct bawn_bytes sig[20];

    (void)state;
    for (size_t i = 0; i < N(many); i++) {
        EVP_PKEY *key = pki_key(pki, NULL);

        many[i] = public_of(key);
        sig[i] = pki_sign(pki, key, PKI_ECDSA_SHA256, message);
    }
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < N(many); i++) {
            assert_true(sig_verify(c, &many[i], &alg, message, sig[i]));
            assert_false(sig_verify(c, &many[i], &alg, message, sig[(i + 1) % N(many)]));
        }
    }
    assert_int_equal(c->keys.used, 16);
    assert_int_equal(c->memos.used, 16);
    bawn_attest_cache_destroy(c);
}

static void begin_and_end(void **state)
{
    struct arena arena = { 0 };
    struct bawn_attest_cache *c;

    (void)state;
    assert_ptr_equal(cache_begin(cache, crypto, &arena), cache);
    cache_end(cache, cache);
    assert_null(cache_begin(NULL, NULL, &arena));
    c = cache_begin(NULL, crypto, &arena);
    assert_non_null(c);
    assert_int_equal(c->memos.n, 16);
    cache_end(c, NULL);
    cache_end(NULL, NULL);
    arena.failed = true;
    assert_null(cache_begin(NULL, crypto, &arena));
    arena_free(&arena);
    crypto_destroy(NULL);
}

/* Without memory nothing verifies, and nothing is lost (the sanitizer looks). With enough of it
 * the right signature does, and never the wrong one. */
static void out_of_memory(void **state)
{
    static const struct {
        enum key_type key;
        enum pki_sig sig;
        struct sig_alg alg;
    } cases[] = {
        { KEY_P256, PKI_ECDSA_SHA256, { SIG_ECDSA, HASH_SHA256, 0 } },
        { KEY_RSA, PKI_PSS_SHA384, { SIG_RSA_PSS, HASH_SHA384, 48 } },
    };
    struct bawn_bytes wrong = { (const uint8_t *)"x", 1 };

    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct bawn_bytes sig = pki_sign(pki, keys[cases[i].key], cases[i].sig, message);
        bool ok = false;

        for (size_t room = 0; !ok && room < 1000; room++) {
            struct arena arena = { 0 };
            struct bawn_attest_cache *c = cache_begin(NULL, crypto, &arena);

            allocations = 0;
            fail_at = room;
            assert_false(sig_verify(c, &pubkeys[cases[i].key], &cases[i].alg, wrong, sig));
            ok = sig_verify(c, &pubkeys[cases[i].key], &cases[i].alg, message, sig);
            fail_at = SIZE_MAX;
            cache_end(c, NULL);
            arena_free(&arena);
        }
        assert_true(ok);
    }
    for (size_t room = 0; room < 200; room += 7) {
        struct bawn_attest_cache *c;

        allocations = 0;
        fail_at = room;
        c = bawn_attest_cache_create(16);
        fail_at = SIZE_MAX;
        bawn_attest_cache_destroy(c);
    }
    ERR_clear_error();
}

/* A program's own OpenSSL errors stay; ours do not join them. */
static void error_queue(void **state)
{
    const struct sig_alg alg = { SIG_ECDSA, HASH_SHA256, 0 };
    struct bawn_bytes junk = { (const uint8_t *)"\x30\x01\x02", 3 };

    (void)state;
    ERR_raise(ERR_LIB_USER, 42);
    assert_false(sig_verify(cache, &pubkeys[KEY_P256], &alg, message, junk));
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), 42);
    ERR_clear_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests),
        cmocka_unit_test(schemes_verify),
        cmocka_unit_test(others_do_not),
        cmocka_unit_test(every_byte_of_a_signature_counts),
        cmocka_unit_test(rsa_keys_are_told_apart),
        cmocka_unit_test(rsa_length),
        cmocka_unit_test(pss_salt),
        cmocka_unit_test(raw_numbers),
        cmocka_unit_test(raw_not_reduced),
        cmocka_unit_test(raw_of_every_length),
        cmocka_unit_test(ecdsa_der),
        cmocka_unit_test(bad_points),
        cmocka_unit_test(bad_rsa_keys),
        cmocka_unit_test(what_is_remembered),
        cmocka_unit_test(remembered_costs_three_digests),
        cmocka_unit_test(least_recently_used_goes),
        cmocka_unit_test(more_keys_than_slots),
        cmocka_unit_test(begin_and_end),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(error_queue),
    };

    /* Before OpenSSL allocates anything. */
    if (!CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free))
        return 1;
    return cmocka_run_group_tests(tests, setup, teardown);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * attest/lib/comb.c beside OpenSSL's own ECDSA: signatures that hold, that do not, and those whose
 * sum of points meets equal points, opposite points and infinity on its way. And that a cache
 * which has worked out a key's multiples answers as one that has not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

#include "attest/lib/cache.h"

#define POINT (1 + 2 * COMB_NUMBER)

/* A key of which the tests know the private number. */
struct pair {
    BIGNUM *d;
    uint8_t point[POINT];
    EVP_PKEY *pkey;
};

static EC_GROUP *group;
static const BIGNUM *n;
static BN_CTX *ctx;
static struct comb *comb;

static int set_up(void **state)
{
    (void)state;
    group = EC_GROUP_new_by_curve_name(NID_secp384r1);
    ctx = BN_CTX_new();
    n = EC_GROUP_get0_order(group);
    comb = comb_create();
    return comb ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    comb_destroy(comb);
    BN_CTX_free(ctx);
    EC_GROUP_free(group);
    return 0;
}

static void pair_make(struct pair *p, BIGNUM *d)
{
    EC_POINT *q = EC_POINT_new(group);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM *params;

    p->d = d;
    p->pkey = NULL;
    assert_int_equal(EC_POINT_mul(group, q, d, NULL, NULL, ctx), 1);
    assert_int_equal(
        EC_POINT_point2oct(group, q, POINT_CONVERSION_UNCOMPRESSED, p->point, POINT, ctx), POINT);
    OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-384", 0);
    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, p->point, POINT);
    params = OSSL_PARAM_BLD_to_param(bld);
    assert_int_equal(EVP_PKEY_fromdata_init(maker), 1);
    assert_int_equal(EVP_PKEY_fromdata(maker, &p->pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX_free(maker);
    EC_POINT_free(q);
}

static void pair_clear(struct pair *p)
{
    BN_free(p->d);
    EVP_PKEY_free(p->pkey);
}

static BIGNUM *random_number(void)
{
    BIGNUM *k = BN_new();

    do
        assert_int_equal(BN_rand_range(k, n), 1);
    while (BN_is_zero(k));
    return k;
}

static bool openssl_says(const struct pair *p, const uint8_t *digest, const uint8_t *r,
                         const uint8_t *s)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    EVP_PKEY_CTX *verifier = EVP_PKEY_CTX_new(p->pkey, NULL);
    uint8_t *der = NULL;
    int len;
    bool ok;

    ECDSA_SIG_set0(sig, BN_bin2bn(r, COMB_NUMBER, NULL), BN_bin2bn(s, COMB_NUMBER, NULL));
    len = i2d_ECDSA_SIG(sig, &der);
    assert_int_equal(EVP_PKEY_verify_init(verifier), 1);
    ok = EVP_PKEY_verify(verifier, der, (size_t)len, digest, COMB_NUMBER) == 1;
    OPENSSL_free(der);
    EVP_PKEY_CTX_free(verifier);
    ECDSA_SIG_free(sig);
    return ok;
}

static bool both_say(const struct pair *p, const struct comb_key *key, const uint8_t *digest,
                     const uint8_t *r, const uint8_t *s)
{
    bool said = comb_verify(comb, key, digest, r, s);

    assert_int_equal(said, openssl_says(p, digest, r, s));
    return said;
}

/* r, s of the signature over e with the nonce k. */
static void sign(const struct pair *p, const BIGNUM *e, const BIGNUM *k, uint8_t *r, uint8_t *s)
{
    EC_POINT *at = EC_POINT_new(group);
    BIGNUM *x = BN_new(), *t = BN_new(), *i = BN_mod_inverse(NULL, k, n, ctx);

    assert_int_equal(EC_POINT_mul(group, at, k, NULL, NULL, ctx), 1);
    assert_int_equal(EC_POINT_get_affine_coordinates(group, at, x, NULL, ctx), 1);
    BN_nnmod(x, x, n, ctx);
    BN_bn2binpad(x, r, COMB_NUMBER);
    BN_mod_mul(t, x, p->d, n, ctx);
    BN_mod_add(t, t, e, n, ctx);
    BN_mod_mul(t, t, i, n, ctx);
    BN_bn2binpad(t, s, COMB_NUMBER);
    BN_free(x);
    BN_free(t);
    BN_free(i);
    EC_POINT_free(at);
}

/* One signature that holds, and what one wrong bit, zero, the order and the largest make of it. */
static void try_signature(const struct pair *p, const struct comb_key *key, const BIGNUM *e,
                          const BIGNUM *k, bool thoroughly)
{
    uint8_t digest[COMB_NUMBER], r[COMB_NUMBER], s[COMB_NUMBER], other[COMB_NUMBER];
    uint8_t *const parts[] = { digest, r, s };

    BN_bn2binpad(e, digest, COMB_NUMBER);
    sign(p, e, k, r, s);
    assert_true(both_say(p, key, digest, r, s));
    for (size_t i = 0; i < 3; i++) {
        parts[i][(COMB_NUMBER - 1) * (digest[5] & 1)] ^= 0x10;
        assert_false(both_say(p, key, digest, r, s));
        parts[i][(COMB_NUMBER - 1) * (digest[5] & 1)] ^= 0x10;
    }
    if (!thoroughly)
        return;
    for (unsigned kind = 0; kind < 3; kind++) {
        memset(other, kind == 1 ? 0xff : 0, COMB_NUMBER);
        if (kind == 2)
            BN_bn2binpad(n, other, COMB_NUMBER);
        assert_false(both_say(p, key, digest, other, s));
        assert_false(both_say(p, key, digest, r, other));
        assert_false(both_say(p, key, digest, other, other));
    }
}

static void test_random(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        struct pair p;
        struct comb_key *key;

        pair_make(&p, random_number());
        key = comb_key_create(comb, (struct bawn_bytes){ p.point, POINT });
        assert_non_null(key);
        for (unsigned m = 0; m < 8; m++) {
            BIGNUM *e = random_number(), *k = random_number();

            try_signature(&p, key, e, k, !m);
            BN_free(e);
            BN_free(k);
        }
        comb_key_destroy(key);
        pair_clear(&p);
    }
}

static BIGNUM *power_of_two(int bits, bool less_one)
{
    BIGNUM *v = BN_new();

    BN_set_bit(v, bits);
    if (less_one)
        BN_sub_word(v, 1);
    return v;
}

/* Keys whose multiples are the base point's too, so that sums meet the same point and its
 * opposite; numbers of few bits and of many; a digest of zeros, of ones, and beyond the order. */
static void test_special_keys(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        struct pair p;
        struct comb_key *key;
        BIGNUM *d = i & 1 ? power_of_two(55 * (int)(i / 2), false) : power_of_two(384, true);

        if (!(i & 1)) { /* n - 1 - i/2: the opposite of a small one */
            BN_copy(d, n);
            BN_sub_word(d, 1 + i / 2);
        }
        pair_make(&p, d);
        key = comb_key_create(comb, (struct bawn_bytes){ p.point, POINT });
        assert_non_null(key);
        for (unsigned m = 0; m < 6; m++) {
            BIGNUM *e = m < 3 ? power_of_two(55 * (int)m, false) : power_of_two(384, true);
            BIGNUM *k = m & 1 ? power_of_two(1 + 63 * (int)m, false) : random_number();

            if (m == 5)
                BN_zero(e);
            try_signature(&p, key, e, k, false);
            BN_free(e);
            BN_free(k);
        }
        comb_key_destroy(key);
        pair_clear(&p);
    }
}

/* u1 G is u2 Q (the digest is r d), and is its opposite (the digest is -r d): then the sum is
 * infinity, and no signature, whatever r is. */
static void test_equal_and_opposite(void **state)
{
    uint8_t digest[COMB_NUMBER], r[COMB_NUMBER], s[COMB_NUMBER];
    BIGNUM *one = power_of_two(0, false), *e = BN_new();
    struct comb_key *key;
    struct pair p;

    (void)state;
    pair_make(&p, random_number());
    key = comb_key_create(comb, (struct bawn_bytes){ p.point, POINT });
    assert_non_null(key);
    for (unsigned i = 0; i < 8; i++) {
        BIGNUM *k = random_number(), *x = BN_new();

        sign(&p, one, k, r, s);
        BN_bin2bn(r, COMB_NUMBER, x);
        BN_mod_mul(e, x, p.d, n, ctx);
        BN_bn2binpad(e, digest, COMB_NUMBER);
        sign(&p, e, k, r, s);
        assert_true(both_say(&p, key, digest, r, s));
        BN_sub(e, n, e);
        BN_bn2binpad(e, digest, COMB_NUMBER);
        assert_false(both_say(&p, key, digest, r, s));
        BN_free(k);
        BN_free(x);
    }
    comb_key_destroy(key);
    pair_clear(&p);
    BN_free(one);
    BN_free(e);
}

static void test_no_keys(void **state)
{
    struct pair p;

    (void)state;
    pair_make(&p, random_number());
    assert_null(comb_key_create(comb, (struct bawn_bytes){ p.point, POINT - 1 }));
    assert_null(comb_key_create(comb, (struct bawn_bytes){ p.point, 0 }));
    p.point[POINT - 1] ^= 1; /* beside the curve */
    assert_null(comb_key_create(comb, (struct bawn_bytes){ p.point, POINT }));
    memset(p.point + 1, 0xff, POINT - 1); /* beyond the field */
    assert_null(comb_key_create(comb, (struct bawn_bytes){ p.point, POINT }));
    memset(p.point, 0, POINT); /* infinity, in another length */
    assert_null(comb_key_create(comb, (struct bawn_bytes){ p.point, POINT }));
    assert_null(comb_key_create(comb, (struct bawn_bytes){ p.point, 1 }));
    pair_clear(&p);
}

/* From the 17th check on the cache has the key's multiples; it gives them up with the key. */
static void test_in_the_cache(void **state)
{
    struct bawn_attest_cache *cache = bawn_attest_cache_create(16);
    const uint8_t message[] = "a report";
    const struct bawn_bytes text = { message, sizeof(message) };
    struct pair p;
    BIGNUM *e = BN_new();
    uint8_t digest[COMB_NUMBER];

    (void)state;
    assert_non_null(cache);
    assert_true(hash_bytes(HASH_SHA384, message, sizeof(message), digest));
    BN_bin2bn(digest, COMB_NUMBER, e);
    for (unsigned keys = 0; keys < 18; keys++) {
        struct pubkey key = { .type = KEY_P384, .bits = 384 };

        pair_make(&p, random_number());
        key.point = (struct bawn_bytes){ p.point, POINT };
        for (unsigned i = 0; i < 19; i++) {
            uint8_t r[COMB_NUMBER], s[COMB_NUMBER];
            BIGNUM *k = random_number();

            sign(&p, e, k, r, s);
            assert_true(sig_verify_raw(cache, &key, HASH_SHA384, text, r, s));
            s[i] ^= 1;
            assert_false(sig_verify_raw(cache, &key, HASH_SHA384, text, r, s));
            s[i] ^= 1;
            assert_false(sig_verify_raw(cache, &key, HASH_SHA256, text, r, s));
            BN_free(k);
        }
        assert_int_equal(cache->keys.combs, keys < 8 ? keys + 1 : 8); /* two slots for each key */
        pair_clear(&p);
    }
    BN_free(e);
    bawn_attest_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_special_keys),
        cmocka_unit_test(test_equal_and_opposite),
        cmocka_unit_test(test_no_keys),
        cmocka_unit_test(test_in_the_cache),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

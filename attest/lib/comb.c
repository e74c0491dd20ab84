// SPDX-License-Identifier: Apache-2.0
/*
 * ECDSA (SEC 1, 4.1.4) with combs: a number of 384 bits is read as TEETH rows of SPACING bits, and
 * the bits of a column choose one of the sums of 2^(SPACING * row) P, which were worked out before.
 * Digests and signatures are hostile; OpenSSL's addition is right for equal points, opposite ones
 * and the point at infinity too, so no input reaches a case that is not handled.
 */
#include "attest/lib/comb.h"

#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#define TEETH 7
#define SPACING 55 /* TEETH * SPACING is 384 at least */
#define SUMS (1u << TEETH)

struct comb_key {
    EC_POINT *sum[SUMS]; /* [i]: of the rows whose bits i has; [0] is not there */
};

struct comb {
    EC_GROUP *group;
    const BIGNUM *order;
    BN_CTX *ctx;
    EC_POINT *at; /* where a check has come to */
    struct comb_key *base;
};

/* ---- Tables ---- */

void comb_key_destroy(struct comb_key *key)
{
    for (size_t i = 0; key && i < SUMS; i++)
        EC_POINT_free(key->sum[i]);
    free(key);
}

/* The same point with a Z of 1: adding such a one is faster by a third. */
static bool normalize(struct comb *comb, EC_POINT *p)
{
    BIGNUM *x, *y;
    bool ok;

    BN_CTX_start(comb->ctx);
    x = BN_CTX_get(comb->ctx);
    y = BN_CTX_get(comb->ctx);
    ok = y && EC_POINT_get_affine_coordinates(comb->group, p, x, y, comb->ctx) == 1 &&
         EC_POINT_set_affine_coordinates(comb->group, p, x, y, comb->ctx) == 1;
    BN_CTX_end(comb->ctx);
    return ok;
}

/* sum[1 << row] from sum[1]; then each of the others from two before it. */
static bool fill(struct comb *comb, struct comb_key *key)
{
    bool ok = true;

    for (unsigned row = 1; ok && row < TEETH; row++) {
        EC_POINT *p = key->sum[1u << row];

        ok = EC_POINT_copy(p, key->sum[1u << (row - 1)]) == 1;
        for (unsigned i = 0; ok && i < SPACING; i++)
            ok = EC_POINT_dbl(comb->group, p, p, comb->ctx) == 1;
    }
    for (unsigned i = 1; ok && i < SUMS; i++) {
        unsigned low = i & -i;

        if (i != low)
            ok = EC_POINT_add(comb->group, key->sum[i], key->sum[i - low], key->sum[low],
                              comb->ctx) == 1;
    }
    for (unsigned i = 1; ok && i < SUMS; i++)
        ok = normalize(comb, key->sum[i]);
    return ok;
}

static struct comb_key *key_of(struct comb *comb, const EC_POINT *point)
{
    struct comb_key *key = calloc(1, sizeof(*key));
    bool ok = key != NULL;

    for (unsigned i = 1; ok && i < SUMS; i++) {
        key->sum[i] = EC_POINT_new(comb->group);
        ok = key->sum[i] != NULL;
    }
    if (ok && EC_POINT_copy(key->sum[1], point) == 1 && fill(comb, key))
        return key;
    comb_key_destroy(key);
    return NULL;
}

struct comb_key *comb_key_create(struct comb *comb, struct bawn_bytes point)
{
    EC_POINT *p = EC_POINT_new(comb->group);
    struct comb_key *key = NULL;

    /* OpenSSL takes no coordinates beyond the field, and no point beside the curve. */
    if (p && point.len == 1 + 2 * COMB_NUMBER &&
        EC_POINT_oct2point(comb->group, p, point.data, point.len, comb->ctx) == 1 &&
        !EC_POINT_is_at_infinity(comb->group, p))
        key = key_of(comb, p);
    EC_POINT_free(p);
    return key;
}

struct comb *comb_create(void)
{
    struct comb *comb = calloc(1, sizeof(*comb));

    if (!comb)
        return NULL;
    comb->group = EC_GROUP_new_by_curve_name(NID_secp384r1);
    comb->ctx = BN_CTX_new();
    if (comb->group && comb->ctx) {
        comb->order = EC_GROUP_get0_order(comb->group);
        comb->at = EC_POINT_new(comb->group);
        comb->base = comb->at ? key_of(comb, EC_GROUP_get0_generator(comb->group)) : NULL;
    }
    if (comb->base)
        return comb;
    comb_destroy(comb);
    return NULL;
}

void comb_destroy(struct comb *comb)
{
    if (!comb)
        return;
    comb_key_destroy(comb->base);
    EC_POINT_free(comb->at);
    BN_CTX_free(comb->ctx);
    EC_GROUP_free(comb->group);
    free(comb);
}

/* ---- Checking ---- */

static unsigned column(const BIGNUM *number, unsigned bit)
{
    unsigned index = 0;

    for (unsigned row = 0; row < TEETH; row++)
        index |= (unsigned)BN_is_bit_set(number, (int)(row * SPACING + bit)) << row;
    return index;
}

static bool add_column(struct comb *comb, const struct comb_key *key, const BIGNUM *number,
                       unsigned bit)
{
    unsigned index = column(number, bit);

    return !index || EC_POINT_add(comb->group, comb->at, comb->at, key->sum[index], comb->ctx) == 1;
}

/* at = u1 G + u2 Q */
static bool multiply(struct comb *comb, const struct comb_key *key, const BIGNUM *u1,
                     const BIGNUM *u2)
{
    bool ok = EC_POINT_set_to_infinity(comb->group, comb->at) == 1;

    for (unsigned bit = SPACING; ok && bit-- > 0;)
        ok = EC_POINT_dbl(comb->group, comb->at, comb->at, comb->ctx) == 1 &&
             add_column(comb, comb->base, u1, bit) && add_column(comb, key, u2, bit);
    return ok;
}

static bool in_range(const struct comb *comb, const BIGNUM *number)
{
    return !BN_is_zero(number) && BN_ucmp(number, comb->order) < 0;
}

bool comb_verify(struct comb *comb, const struct comb_key *key, const uint8_t digest[COMB_NUMBER],
                 const uint8_t r_bytes[COMB_NUMBER], const uint8_t s_bytes[COMB_NUMBER])
{
    const BIGNUM *n = comb->order;
    BN_CTX *ctx = comb->ctx;
    BIGNUM *r, *s, *e, *w, *u1, *u2, *x;
    bool ok;

    BN_CTX_start(ctx);
    r = BN_CTX_get(ctx);
    s = BN_CTX_get(ctx);
    e = BN_CTX_get(ctx);
    w = BN_CTX_get(ctx);
    u1 = BN_CTX_get(ctx);
    u2 = BN_CTX_get(ctx);
    x = BN_CTX_get(ctx); /* NULL when one of them is */
    ok = x && BN_bin2bn(r_bytes, COMB_NUMBER, r) && BN_bin2bn(s_bytes, COMB_NUMBER, s) &&
         BN_bin2bn(digest, COMB_NUMBER, e) && in_range(comb, r) && in_range(comb, s) &&
         BN_mod_inverse(w, s, n, ctx) && BN_mod_mul(u1, e, w, n, ctx) &&
         BN_mod_mul(u2, r, w, n, ctx) && multiply(comb, key, u1, u2) &&
         !EC_POINT_is_at_infinity(comb->group, comb->at) &&
         EC_POINT_get_affine_coordinates(comb->group, comb->at, x, NULL, ctx) == 1 &&
         BN_nnmod(x, x, n, ctx) && BN_cmp(x, r) == 0;
    BN_CTX_end(ctx);
    return ok;
}

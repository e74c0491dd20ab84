// SPDX-License-Identifier: Apache-2.0
/*
 * Keys as JSON (RFC 7517, 7518 section 6) and their thumbprints (RFC 7638). A key from outside is
 * taken only when all of it is right: the point lies on its curve, the modulus is of a size that
 * protects and does not stall, and it says nothing against the use that is made of it.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "attest/jose/internal.h"

static const struct jose_curve curves[] = {
    { "P-256", "prime256v1", 32, "ES256", "SHA256" },
    { "P-384", "secp384r1", 48, "ES384", "SHA384" },
    { "P-521", "secp521r1", EC_COORD_MAX, NULL, NULL },
};

#define NR_CURVES (sizeof(curves) / sizeof(curves[0]))

const struct jose_curve *jose_curve_named(const char *crv)
{
    for (size_t i = 0; crv && i < NR_CURVES; i++)
        if (!strcmp(curves[i].crv, crv))
            return &curves[i];
    return NULL;
}

const struct jose_curve *jose_curve_of(const EVP_PKEY *key)
{
    char group[64];

    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        !EVP_PKEY_get_group_name(key, group, sizeof(group), NULL))
        return NULL;
    for (size_t i = 0; i < NR_CURVES; i++)
        if (!strcmp(curves[i].group, group) || !strcmp(curves[i].crv, group))
            return &curves[i];
    return NULL;
}

/* ---- From JSON ---- */

static EVP_PKEY *key_from(const char *type, int selection, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *ctx = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
    EVP_PKEY *key = NULL;

    if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, &key, selection, params) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* Keys that are nothing but their curve: a copy takes a fifth of the time of making one by name. */
static EVP_PKEY *bare[NR_CURVES];
static CRYPTO_ONCE bare_once = CRYPTO_ONCE_STATIC_INIT;

static void make_bare(void)
{
    for (size_t i = 0; i < NR_CURVES; i++) {
        char *group = (char *)(uintptr_t)curves[i].group; /* which OpenSSL only reads */
        OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group,
                                                                 0),
                                OSSL_PARAM_construct_end() };

        bare[i] = key_from("EC", EVP_PKEY_KEY_PARAMETERS, params);
    }
}

static enum bawn_status ec_build(const struct jose_curve *curve, const uint8_t *x, const uint8_t *y,
                                 EVP_PKEY **key, struct bawn_error *err)
{
    uint8_t point[1 + 2 * EC_COORD_MAX] = { POINT_CONVERSION_UNCOMPRESSED };
    EVP_PKEY *made = NULL;

    memcpy(point + 1, x, curve->size);
    memcpy(point + 1 + curve->size, y, curve->size);
    if (CRYPTO_THREAD_run_once(&bare_once, make_bare) && bare[curve - curves])
        made = EVP_PKEY_dup(bare[curve - curves]);
    if (!made)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    /* Takes no coordinate beyond the field, and no point beside the curve; all on it are of the
     * group, since the cofactor is 1. */
    if (EVP_PKEY_set1_encoded_public_key(made, point, 1 + 2 * curve->size) != 1) {
        EVP_PKEY_free(made);
        return bawn_fail(err, BAWN_E_FORMAT, "\"x\" and \"y\" are no point on %s", curve->crv);
    }
    *key = made;
    return BAWN_OK;
}

static enum bawn_status ec_public(const json_t *jwk, enum jwk_use use, EVP_PKEY **key,
                                  struct bawn_error *err)
{
    const struct jose_curve *curve = jose_curve_named(jose_text(jwk, "crv"));
    uint8_t *x = NULL, *y = NULL;
    size_t nx = 0, ny = 0;
    enum bawn_status status;

    if (!curve)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "\"crv\" is not P-256, P-384 or P-521");
    if (use == JWK_SIGN && !curve->alg)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "tokens are signed on P-256 or P-384, not on %s",
                         curve->crv);
    status = jose_member(jwk, "x", &x, &nx, err);
    if (status == BAWN_OK)
        status = jose_member(jwk, "y", &y, &ny, err);
    if (status == BAWN_OK && (nx != curve->size || ny != curve->size))
        status = bawn_fail(err, BAWN_E_FORMAT, "a coordinate on %s has %zu octets, not %zu and %zu",
                           curve->crv, curve->size, nx, ny);
    if (status == BAWN_OK)
        status = ec_build(curve, x, y, key, err);
    free(x);
    free(y);
    return status;
}

static enum bawn_status rsa_build(const uint8_t *n, size_t n_len, const uint8_t *e, size_t e_len,
                                  EVP_PKEY **key, struct bawn_error *err)
{
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    BIGNUM *bn = BN_bin2bn(n, (int)n_len, NULL), *be = BN_bin2bn(e, (int)e_len, NULL);
    OSSL_PARAM *params = NULL;
    enum bawn_status status = BAWN_OK;

    if (!bld || !bn || !be)
        status = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    else if (BN_num_bits(bn) < RSA_BITS_MIN || BN_num_bits(bn) > RSA_BITS_MAX || !BN_is_odd(bn))
        status = bawn_fail(err, BAWN_E_FORMAT, "the RSA modulus is not odd and of %d to %d bits",
                           RSA_BITS_MIN, RSA_BITS_MAX);
    else if (BN_num_bits(be) > 32 || !BN_is_odd(be) || BN_is_one(be))
        status = bawn_fail(err, BAWN_E_FORMAT, "the RSA exponent is not odd and from 3 to 2^32");
    else if (!OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) ||
             !OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) ||
             !(params = OSSL_PARAM_BLD_to_param(bld)) ||
             !(*key = key_from("RSA", EVP_PKEY_PUBLIC_KEY, params)))
        status = bawn_fail(err, BAWN_E_FORMAT, "no RSA key is made of \"n\" and \"e\"");
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    BN_free(bn);
    BN_free(be);
    return status;
}

static enum bawn_status rsa_public(const json_t *jwk, enum jwk_use use, EVP_PKEY **key,
                                   struct bawn_error *err)
{
    uint8_t *n = NULL, *e = NULL;
    size_t n_len = 0, e_len = 0;
    enum bawn_status status;

    if (use == JWK_SIGN)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "tokens are signed by EC keys, not by RSA");
    status = jose_member(jwk, "n", &n, &n_len, err);
    if (status == BAWN_OK)
        status = jose_member(jwk, "e", &e, &e_len, err);
    if (status == BAWN_OK && (!n_len || n_len > RSA_BITS_MAX / 8 || !n[0]))
        status = bawn_fail(err, BAWN_E_FORMAT, "\"n\" is no number of %d to %d bits", RSA_BITS_MIN,
                           RSA_BITS_MAX);
    else if (status == BAWN_OK && (!e_len || e_len > 8 || !e[0]))
        status = bawn_fail(err, BAWN_E_FORMAT, "\"e\" is no number up to 2^32");
    if (status == BAWN_OK)
        status = rsa_build(n, n_len, e, e_len, key, err);
    free(n);
    free(e);
    return status;
}

static const struct {
    const char *kty;
    const char *alg[2]; /* by use; of EC keys for tokens the curve says it */
    enum bawn_status (*make)(const json_t *jwk, enum jwk_use use, EVP_PKEY **key,
                             struct bawn_error *err);
} types[] = {
    { "EC", { JOSE_ALG_EC, NULL }, ec_public },
    { "RSA", { JOSE_ALG_RSA, NULL }, rsa_public },
};

/* RFC 7517, 4.3: some operation that the use needs. */
static int ops_allow(const json_t *ops, enum jwk_use use)
{
    static const char *const wanted[][4] = {
        [JWK_ENCRYPT] = { "wrapKey", "encrypt", "deriveKey", "deriveBits" },
        [JWK_SIGN] = { "verify" },
    };

    for (size_t i = 0; i < json_array_size(ops); i++)
        for (size_t w = 0; w < 4; w++) {
            const char *op = json_string_value(json_array_get(ops, i));

            if (op && wanted[use][w] && !strcmp(op, wanted[use][w]))
                return 1;
        }
    return 0;
}

/* What the key says of itself. */
static enum bawn_status check_purpose(const json_t *jwk, enum jwk_use use, const char *alg,
                                      struct bawn_error *err)
{
    static const char *const private[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
    static const char *const names[] = { [JWK_ENCRYPT] = "enc", [JWK_SIGN] = "sig" };
    const json_t *ops = json_object_get(jwk, "key_ops");

    for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++)
        if (json_object_get(jwk, private[i]))
            return bawn_fail(err, BAWN_E_FORMAT,
                             "a private key (\"%s\") was given for a public one", private[i]);
    if (json_object_get(jwk, "use") &&
        (!jose_text(jwk, "use") || strcmp(jose_text(jwk, "use"), names[use])))
        return bawn_fail(err, BAWN_E_FORMAT, "the key's \"use\" is not \"%s\"", names[use]);
    if (json_object_get(jwk, "alg") &&
        (!alg || !jose_text(jwk, "alg") || strcmp(jose_text(jwk, "alg"), alg)))
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "the key's \"alg\" is not \"%s\"",
                         alg ? alg : "one that serves");
    if (ops && !ops_allow(ops, use))
        return bawn_fail(err, BAWN_E_FORMAT, "the key's \"key_ops\" do not allow this use");
    return BAWN_OK;
}

enum bawn_status jwk_public(const json_t *jwk, enum jwk_use use, EVP_PKEY **key,
                            struct bawn_error *err)
{
    const char *kty = jose_text(jwk, "kty"), *alg;
    const struct jose_curve *curve = jose_curve_named(jose_text(jwk, "crv"));
    enum bawn_status status;

    *key = NULL;
    for (size_t i = 0; kty && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].kty, kty))
            continue;
        alg = types[i].alg[use];
        if (use == JWK_SIGN && curve)
            alg = curve->alg;
        status = check_purpose(jwk, use, alg, err);
        return status == BAWN_OK ? types[i].make(jwk, use, key, err) : status;
    }
    return bawn_fail(err, BAWN_E_UNSUPPORTED, "\"kty\" is not EC or RSA");
}

/* ---- To JSON ---- */

/* width 0: as many octets as the number needs. */
static json_t *number_of(const EVP_PKEY *key, const char *param, size_t width)
{
    uint8_t octets[RSA_BITS_MAX / 8];
    BIGNUM *bn = NULL;
    json_t *value = NULL;

    if (EVP_PKEY_get_bn_param(key, param, &bn)) {
        if (!width)
            width = (size_t)BN_num_bytes(bn);
        if (width <= sizeof(octets) && BN_bn2binpad(bn, octets, (int)width) >= 0)
            value = jose_b64(octets, width);
    }
    BN_free(bn);
    return value;
}

json_t *jose_jwk_required(const EVP_PKEY *key)
{
    const struct jose_curve *curve = jose_curve_of(key);

    if (curve)
        return json_pack("{s:s,s:s,s:o,s:o}", "crv", curve->crv, "kty", "EC", "x",
                         number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, curve->size), "y",
                         number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, curve->size));
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return json_pack("{s:o,s:s,s:o}", "e", number_of(key, OSSL_PKEY_PARAM_RSA_E, 0), "kty",
                         "RSA", "n", number_of(key, OSSL_PKEY_PARAM_RSA_N, 0));
    return NULL;
}

char *jwk_thumbprint(const EVP_PKEY *key)
{
    json_t *required = jose_jwk_required(key);
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char *text = NULL, *encoded = NULL;
    size_t len;

    if (required && json_canonical(required, &text, &len, NULL) == BAWN_OK) {
        SHA256((const uint8_t *)text, len, hash);
        encoded = b64url_encode(hash, sizeof(hash));
    }
    free(text);
    json_decref(required);
    return encoded;
}

json_t *jwk_from(const EVP_PKEY *key, const char *alg, const char *use)
{
    char *kid = jwk_thumbprint(key);
    json_t *jwk = kid ? jose_jwk_required(key) : NULL;

    if (jwk && (json_object_set_new(jwk, "kid", json_string(kid)) ||
                (alg && json_object_set_new(jwk, "alg", json_string(alg))) ||
                (use && json_object_set_new(jwk, "use", json_string(use))))) {
        json_decref(jwk);
        jwk = NULL;
    }
    free(kid);
    return jwk;
}

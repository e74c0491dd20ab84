// SPDX-License-Identifier: Apache-2.0
/*
 * Keys as JSON: the examples of RFC 7517, 7520 and 7638, the way there and back, and keys that must
 * not be taken.
 */
#include "tests/unit/jose/shared.h"
#include "tests/unit/jose/vectors.h"

/* RFC 7517, A.1 */
#define EC_X "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
#define EC_Y "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
#define EC_BODY "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
#define RSA_N                                                                                 \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_" \
    "BJECPeb"                                                                                 \
    "WKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"       \
    "FDW2QvzqY368Q"                                                                           \
    "QMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"                    \
    "bFTWhAI4vMQFh6WeZu0fM4lFd2"                                                              \
    "NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
#define RSA_BODY(e) "\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"" e "\""

static enum bawn_status take(const char *text, enum jwk_use use)
{
    json_t *jwk = json_of(text);
    struct bawn_error err = { "" };
    EVP_PKEY *key;
    enum bawn_status status = jwk_public(jwk, use, &key, &err);

    assert_true((status == BAWN_OK) == (key != NULL));
    assert_true(status == BAWN_OK || err.msg[0]);
    EVP_PKEY_free(key);
    json_decref(jwk);
    return status;
}

static void taken(void **state)
{
    (void)state;
    assert_int_equal(take("{" EC_BODY ",\"use\":\"enc\",\"kid\":\"1\"}", JWK_ENCRYPT), BAWN_OK);
    assert_int_equal(take("{" EC_BODY ",\"alg\":\"ECDH-ES+A256KW\"}", JWK_ENCRYPT), BAWN_OK);
    assert_int_equal(take("{" EC_BODY ",\"alg\":\"ES256\",\"use\":\"sig\"}", JWK_SIGN), BAWN_OK);
    assert_int_equal(take("{" EC_BODY ",\"key_ops\":[\"verify\"]}", JWK_SIGN), BAWN_OK);
    assert_int_equal(take("{" EC_BODY ",\"key_ops\":[\"deriveKey\"]}", JWK_ENCRYPT), BAWN_OK);
    assert_int_equal(take("{" RSA_BODY("AQAB") ",\"alg\":\"RSA-OAEP-256\"}", JWK_ENCRYPT), BAWN_OK);
    assert_int_equal(take("{" RSA_BODY("Aw") "}", JWK_ENCRYPT), BAWN_OK);
    /* RFC 7520, 3.1 */
    assert_int_equal(
        take(
            "{\"kty\":\"EC\",\"crv\":\"P-521\","
            "\"x\":\"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRX"
            "YgCF5cj0Kt\","
            "\"y\":\"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwl"
            "GfP-HqHZR1\"}",
            JWK_ENCRYPT),
        BAWN_OK);
}

static void refused(void **state)
{
    static const struct {
        const char *jwk;
        enum jwk_use use;
    } table[] = {
        { "[]", JWK_ENCRYPT },
        { "{}", JWK_ENCRYPT },
        { "{\"kty\":\"oct\",\"k\":\"AAAA\"}", JWK_ENCRYPT },
        { "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AAAA\"}", JWK_ENCRYPT },
        /* private parts */
        { "{" EC_BODY ",\"d\":\"AAAA\"}", JWK_ENCRYPT },
        { "{" RSA_BODY("AQAB") ",\"p\":\"AAAA\"}", JWK_ENCRYPT },
        { "{" EC_BODY ",\"k\":\"AAAA\"}", JWK_SIGN },
        /* purpose */
        { "{" EC_BODY ",\"use\":\"sig\"}", JWK_ENCRYPT },
        { "{" EC_BODY ",\"use\":\"enc\"}", JWK_SIGN },
        { "{" EC_BODY ",\"use\":1}", JWK_SIGN },
        { "{" EC_BODY ",\"alg\":\"ES256\"}", JWK_ENCRYPT },
        { "{" EC_BODY ",\"alg\":\"ECDH-ES\"}", JWK_ENCRYPT },
        { "{" EC_BODY ",\"alg\":\"ES384\"}", JWK_SIGN },
        { "{" EC_BODY ",\"alg\":\"none\"}", JWK_SIGN },
        { "{" EC_BODY ",\"alg\":null}", JWK_SIGN },
        { "{" EC_BODY ",\"key_ops\":[\"verify\"]}", JWK_ENCRYPT },
        { "{" EC_BODY ",\"key_ops\":\"verify\"}", JWK_SIGN },
        { "{" RSA_BODY("AQAB") ",\"alg\":\"RSA1_5\"}", JWK_ENCRYPT },
        { "{" RSA_BODY("AQAB") ",\"alg\":\"RSA-OAEP\"}", JWK_ENCRYPT },
        { "{" RSA_BODY("AQAB") "}", JWK_SIGN },
        /* points: another x, zeros, swapped curve, lengths, padding, missing */
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_Y "\",\"y\":\"" EC_Y "\"}", JWK_ENCRYPT },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
          "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
          JWK_ENCRYPT },
        { "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}", JWK_ENCRYPT },
        { "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}",
          JWK_ENCRYPT },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA" EC_X "\",\"y\":\"" EC_Y "\"}",
          JWK_ENCRYPT },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "=\",\"y\":\"" EC_Y "\"}",
          JWK_ENCRYPT },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}", JWK_ENCRYPT },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":7}", JWK_ENCRYPT },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"\",\"y\":\"\"}", JWK_ENCRYPT },
        /* RSA: exponents 1, 2, 0, of 33 bits; moduli even, with a zero before, small */
        { "{" RSA_BODY("AQ") "}", JWK_ENCRYPT },
        { "{" RSA_BODY("Ag") "}", JWK_ENCRYPT },
        { "{" RSA_BODY("") "}", JWK_ENCRYPT },
        { "{" RSA_BODY("AQAAAAE") "}", JWK_ENCRYPT },
        { "{" RSA_BODY("AAEAAQ") "}", JWK_ENCRYPT },
        { "{\"kty\":\"RSA\",\"n\":\"AA\",\"e\":\"AQAB\"}", JWK_ENCRYPT },
        { "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}", JWK_ENCRYPT },
        { "{\"kty\":\"RSA\",\"e\":\"AQAB\"}", JWK_ENCRYPT },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        if (take(table[i].jwk, table[i].use) == BAWN_OK)
            fail_msg("taken: %s", table[i].jwk);
    assert_int_equal(take("{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"\",\"y\":\"\"}", JWK_SIGN),
                     BAWN_E_UNSUPPORTED);
}

/* A modulus of 64 KiB must be refused before anything is computed with it. */
static void huge_modulus(void **state)
{
    char *n = malloc(90001);
    EVP_PKEY *key;
    json_t *jwk;

    (void)state;
    memset(n, 'x', 90000);
    n[90000] = '\0';
    jwk = json_pack("{s:s,s:s,s:s}", "kty", "RSA", "n", n, "e", "AQAB");
    assert_int_equal(jwk_public(jwk, JWK_ENCRYPT, &key, NULL), BAWN_E_FORMAT);
    json_decref(jwk);
    free(n);
}

static void small_modulus(void **state)
{
    EVP_PKEY *key = private_key(pem_rsa1024), *taken_key;
    json_t *jwk = jwk_from(key, NULL, NULL);
    struct bawn_error err;

    (void)state;
    assert_int_equal(jwk_public(jwk, JWK_ENCRYPT, &taken_key, &err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "2048"));
    json_decref(jwk);
    EVP_PKEY_free(key);
}

/* RFC 7638, 3.1 */
static void thumbprint(void **state)
{
    json_t *jwk = json_of("{" RSA_BODY("AQAB") "}");
    EVP_PKEY *key;
    char *text;

    (void)state;
    assert_int_equal(jwk_public(jwk, JWK_ENCRYPT, &key, NULL), BAWN_OK);
    text = jwk_thumbprint(key);
    assert_string_equal(text, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    free(text);
    EVP_PKEY_free(key);
    json_decref(jwk);
}

static void there_and_back(void **state)
{
    static const char *const pems[] = { pem_p256, pem_p384, pem_p521, pem_rsa };

    (void)state;
    for (size_t i = 0; i < COUNT(pems); i++) {
        EVP_PKEY *key = private_key(pems[i]), *back;
        json_t *jwk = jwk_from(key, NULL, "enc");

        assert_non_null(jwk);
        assert_null(json_object_get(jwk, "d"));
        assert_string_equal(json_string_value(json_object_get(jwk, "use")), "enc");
        assert_int_equal(jwk_public(jwk, JWK_ENCRYPT, &back, NULL), BAWN_OK);
        assert_int_equal(EVP_PKEY_eq(key, back), 1);
        EVP_PKEY_free(back);
        EVP_PKEY_free(key);
        json_decref(jwk);
    }
}

/* Coordinates that begin with zeros keep their width (RFC 7518, 6.2.1.2): one key in 128. */
static void width(void **state)
{
    int short_ones = 0;

    (void)state;
    for (int i = 0; i < 600 || !short_ones; i++) {
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), *back;
        json_t *jwk = jwk_from(key, NULL, NULL);
        const char *x = json_string_value(json_object_get(jwk, "x"));
        const char *y = json_string_value(json_object_get(jwk, "y"));

        assert_int_equal(strlen(x), 43);
        assert_int_equal(strlen(y), 43);
        if (!strncmp(x, "AA", 2) || !strncmp(y, "AA", 2) || (x[0] == 'A' && x[1] < 'Q')) {
            short_ones++;
            assert_int_equal(jwk_public(jwk, JWK_SIGN, &back, NULL), BAWN_OK);
            assert_int_equal(EVP_PKEY_eq(key, back), 1);
            EVP_PKEY_free(back);
        }
        EVP_PKEY_free(key);
        json_decref(jwk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken),        cmocka_unit_test(refused),
        cmocka_unit_test(huge_modulus), cmocka_unit_test(small_modulus),
        cmocka_unit_test(thumbprint),   cmocka_unit_test(there_and_back),
        cmocka_unit_test(width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

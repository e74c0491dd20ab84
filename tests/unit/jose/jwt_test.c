// SPDX-License-Identifier: Apache-2.0
/*
 * Tokens: RFC 7515's example, another library's tokens, times, and the ways to have one taken that
 * nobody signed.
 */
#include <openssl/hmac.h>

#include "attest/jose/internal.h"
#include "tests/unit/jose/shared.h"
#include "tests/unit/jose/vectors.h"

enum { NOW = 1800000000 };

static struct jwt_key keys[4];

static int setup(void **state)
{
    (void)state;
    keys[0] = (struct jwt_key){ "one", private_key(pem_p256) };
    keys[1] = (struct jwt_key){ "two", private_key(pem_p384) };
    keys[2] = (struct jwt_key){ "rsa", private_key(pem_rsa) };
    keys[3] = (struct jwt_key){ "p521", private_key(pem_p521) };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++)
        EVP_PKEY_free(keys[i].key);
    return 0;
}

static enum bawn_status verify(const char *token, int64_t now)
{
    size_t len = strlen(token);
    char *copy = memcpy(malloc(len + !len), token, len);
    struct bawn_error err = { "" };
    json_t *payload;
    enum bawn_status status = jwt_verify(copy, len, keys, COUNT(keys), now, &payload, &err);

    assert_true((status == BAWN_OK) == (payload != NULL));
    assert_true(status == BAWN_OK || err.msg[0]);
    json_decref(payload);
    free(copy);
    return status;
}

/* RFC 7515, A.3 */
static void example(void **state)
{
    static const char text[] =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQo"
        "gImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    static const char signature[] =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
        "pmWQxfKTUJqPP3-Kg6NU1Q";
    json_t *jwk = json_of("{\"kty\":\"EC\",\"crv\":\"P-256\","
                          "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                          "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
    struct bawn_bytes bytes = { (const uint8_t *)text, strlen(text) };
    EVP_PKEY *key;

    (void)state;
    assert_int_equal(jwk_public(jwk, JWK_SIGN, &key, NULL), BAWN_OK);
    assert_true(jose_signature_holds(key, bytes, signature, strlen(signature)));
    bytes.len--;
    assert_false(jose_signature_holds(key, bytes, signature, strlen(signature)));
    EVP_PKEY_free(key);
    json_decref(jwk);
}

static void vectors(void **state)
{
    (void)state;
    assert_int_equal(verify(jwt_p256, NOW), BAWN_OK);
    keys[1].kid = "one"; /* the first key of that name is taken, and is not this token's */
    assert_int_equal(verify(jwt_p384, NOW), BAWN_E_DENIED);
    keys[0].kid = "other";
    assert_int_equal(verify(jwt_p384, NOW), BAWN_OK);
    keys[0].kid = "one";
    keys[1].kid = "two";
}

/* A token over the given texts, signed by the key (r || s) or with the given third part. */
static char *forge(EVP_PKEY *key, const char *header, const char *payload, const char *signature)
{
    char *head = b64url_encode(header, strlen(header));
    char *body = b64url_encode(payload, strlen(payload));
    char *input = NULL, *made = NULL, *token = NULL;

    assert_true(asprintf(&input, "%s.%s", head, body) > 0);
    if (!signature) {
        size_t width = EVP_PKEY_get_bits(key) <= 256 ? 32 : 48;
        uint8_t der[256], raw[96];
        const uint8_t *at = der;
        size_t len = sizeof(der);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        ECDSA_SIG *sig;

        assert_int_equal(
            EVP_DigestSignInit(ctx, NULL, width == 32 ? EVP_sha256() : EVP_sha384(), NULL, key), 1);
        assert_int_equal(EVP_DigestSign(ctx, der, &len, (const uint8_t *)input, strlen(input)), 1);
        sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
        BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)width);
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + width, (int)width);
        signature = made = b64url_encode(raw, 2 * width);
        ECDSA_SIG_free(sig);
        EVP_MD_CTX_free(ctx);
    }
    assert_true(asprintf(&token, "%s.%s", input, signature) > 0);
    free(made);
    free(input);
    free(body);
    free(head);
    return token;
}

static enum bawn_status forged(EVP_PKEY *key, const char *header, const char *payload,
                               const char *signature)
{
    char *token = forge(key, header, payload, signature);
    enum bawn_status status = verify(token, NOW);

    free(token);
    return status;
}

#define GOOD "{\"exp\":1800000001}"

/* The signature is right in each, under the key that made it. */
static void confusion(void **state)
{
    EVP_PKEY *p256 = keys[0].key, *p384 = keys[1].key;

    (void)state;
    assert_int_equal(forged(p256, "{\"alg\":\"ES256\",\"kid\":\"one\"}", GOOD, NULL), BAWN_OK);
    assert_int_equal(forged(p384, "{\"alg\":\"ES384\",\"kid\":\"two\"}", GOOD, NULL), BAWN_OK);
    assert_int_equal(forged(p256, "{\"alg\":\"ES384\",\"kid\":\"one\"}", GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(forged(p384, "{\"alg\":\"ES256\",\"kid\":\"two\"}", GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":\"HS256\",\"kid\":\"one\"}", GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"kid\":\"one\"}", GOOD, NULL), BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":[\"ES256\"],\"kid\":\"one\"}", GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":\"none\",\"kid\":\"one\"}", GOOD, ""), BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":\"ES256\",\"kid\":\"one\"}", GOOD, ""), BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":\"ES512\",\"kid\":\"p521\"}", GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":\"ES256\",\"kid\":\"nobody\"}", GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":\"ES256\"}", GOOD, NULL), BAWN_E_DENIED);
    assert_int_equal(forged(p256, "{\"alg\":\"ES256\",\"kid\":1}", GOOD, NULL), BAWN_E_DENIED);
    /* a key in the header is no reason to trust it */
    assert_int_equal(forged(p384, "{\"alg\":\"ES256\",\"kid\":\"one\",\"jwk\":{}}", GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(forged(p256,
                            "{\"alg\":\"ES256\",\"kid\":\"one\",\"crit\":[\"b64\"],\"b64\":false}",
                            GOOD, NULL),
                     BAWN_E_DENIED);
    assert_int_equal(
        forged(p256, "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"one\"}", GOOD, NULL),
        BAWN_E_FORMAT);
}

/* HMAC under the public key, which everyone has, as the header says it. */
static void hmac_of_public_key(void **state)
{
    char *token = forge(keys[0].key, "{\"alg\":\"HS256\",\"kid\":\"one\"}", GOOD, "");
    uint8_t *der = NULL, mac[32];
    char *encoded, *full;
    int len = i2d_PUBKEY(keys[0].key, &der);

    (void)state;
    HMAC(EVP_sha256(), der, len, (uint8_t *)token, strlen(token) - 1, mac, NULL);
    encoded = b64url_encode(mac, sizeof(mac));
    assert_true(asprintf(&full, "%s%s", token, encoded) > 0);
    assert_int_equal(verify(full, NOW), BAWN_E_DENIED);
    free(full);
    free(encoded);
    OPENSSL_free(der);
    free(token);
}

static void times(void **state)
{
    static const struct {
        const char *payload;
        enum bawn_status status;
    } table[] = {
        { "{\"exp\":1800000001}", BAWN_OK },
        { "{\"exp\":1800000000.5}", BAWN_OK },
        { "{\"exp\":1800000000}", BAWN_E_DENIED },
        { "{\"exp\":-1}", BAWN_E_DENIED },
        { "{\"exp\":\"1900000000\"}", BAWN_E_DENIED },
        { "{}", BAWN_E_DENIED },
        { "{\"exp\":1900000000,\"nbf\":1800000060,\"iat\":1800000060}", BAWN_OK },
        { "{\"exp\":1900000000,\"nbf\":1800000061}", BAWN_E_DENIED },
        { "{\"exp\":1900000000,\"iat\":1800000061}", BAWN_E_DENIED },
        { "{\"exp\":1900000000,\"nbf\":null}", BAWN_E_DENIED },
        { "[]", BAWN_E_FORMAT },
        { "{\"exp\":1900000000,\"exp\":1900000000}", BAWN_E_FORMAT },
        { "no", BAWN_E_FORMAT },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        assert_int_equal(
            forged(keys[0].key, "{\"alg\":\"ES256\",\"kid\":\"one\"}", table[i].payload, NULL),
            table[i].status);
}

static void signed_here(void **state)
{
    json_t *payload = json_pack("{s:i,s:I}", "exp", NOW + 5, "large", INT64_MAX);
    json_t *header = json_pack("{s:[s],s:s}", "x5c", "AAAA", "alg", "none");
    struct bawn_error err;
    json_t *read;
    char *token;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *kid = jwk_thumbprint(keys[i].key);
        struct jwt_key key = { kid, keys[i].key };

        assert_int_equal(jwt_sign(keys[i].key, payload, header, &token, &err), BAWN_OK);
        assert_int_equal(jwt_verify(token, strlen(token), &key, 1, NOW, &read, &err), BAWN_OK);
        assert_true(json_equal(read, payload));
        json_decref(read);
        free(token);
        free(kid);
    }
    assert_int_equal(jwt_sign(keys[2].key, payload, NULL, &token, &err), BAWN_E_UNSUPPORTED);
    assert_int_equal(jwt_sign(keys[3].key, payload, NULL, &token, &err), BAWN_E_UNSUPPORTED);
    json_decref(header);
    json_decref(payload);
}

/* No byte of a token may be another, none may be missing, nothing may be added. */
static void altered(void **state)
{
    size_t len = strlen(jwt_p256);
    char copy[sizeof(jwt_p256) + 4];

    (void)state;
    for (size_t i = 0; i < len; i++) {
        strcpy(copy, jwt_p256);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        assert_int_not_equal(verify(copy, NOW), BAWN_OK);
        strcpy(copy, jwt_p256);
        copy[i] = '\0';
        assert_int_not_equal(verify(copy, NOW), BAWN_OK);
    }
    strcpy(copy, jwt_p256);
    strcpy(copy + len, "A");
    assert_int_not_equal(verify(copy, NOW), BAWN_OK);
    strcpy(copy + len, ".");
    assert_int_equal(verify(copy, NOW), BAWN_E_FORMAT);
    strcpy(copy + len, "=");
    assert_int_not_equal(verify(copy, NOW), BAWN_OK);
}

static void no_tokens(void **state)
{
    static const char *const table[] = {
        "", ".", "..", "...", "a.b.c", "e30.e30", "e30..", ".e30.", "....", "e30.e30.e30.e30.e30"
    };
    size_t huge = (2 << 20) + 2;
    char *text = malloc(huge + 1);

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        assert_int_equal(verify(table[i], NOW), BAWN_E_FORMAT);
    memset(text, 'A', huge);
    text[10] = text[huge - 3] = '.';
    text[huge] = '\0';
    assert_int_equal(verify(text, NOW), BAWN_E_FORMAT);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example),   cmocka_unit_test(vectors),
        cmocka_unit_test(confusion), cmocka_unit_test(hmac_of_public_key),
        cmocka_unit_test(times),     cmocka_unit_test(signed_here),
        cmocka_unit_test(altered),   cmocka_unit_test(no_tokens),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

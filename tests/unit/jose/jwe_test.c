// SPDX-License-Identifier: Apache-2.0
/*
 * Encryption to a guest: another library's objects, the way there and back, and every kind of
 * alteration.
 */
#include "tests/unit/jose/shared.h"
#include "tests/unit/jose/vectors.h"

static const struct {
    const char *pem, *jwe, *plain, *alg;
} cases[] = {
    { pem_p256, jwe_p256, "secret of P-256", "ECDH-ES+A256KW" },
    { pem_p384, jwe_p384, "secret of P-384", "ECDH-ES+A256KW" },
    { pem_p521, jwe_p521, "secret of P-521", "ECDH-ES+A256KW" },
    { pem_rsa, jwe_rsa, "secret of RSA", "RSA-OAEP-256" },
};

static enum bawn_status open_jwe(EVP_PKEY *key, const json_t *jwe, const void *expected, size_t n)
{
    struct bawn_error err = { "" };
    uint8_t *plain;
    size_t len;
    enum bawn_status status = jwe_decrypt(key, jwe, &plain, &len, &err);

    if (status == BAWN_OK) {
        assert_int_equal(len, n);
        assert_memory_equal(plain, expected, n);
        free(plain);
    } else {
        assert_null(plain);
        assert_true(err.msg[0]);
    }
    return status;
}

static void vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        EVP_PKEY *key = private_key(cases[i].pem);
        json_t *jwe = json_of(cases[i].jwe);

        assert_int_equal(open_jwe(key, jwe, cases[i].plain, strlen(cases[i].plain)), BAWN_OK);
        json_decref(jwe);
        EVP_PKEY_free(key);
    }
}

static json_t *sealed_for(EVP_PKEY *key, const char *alg, const void *plain, size_t len)
{
    json_t *jwk = jwk_from(key, alg, NULL), *jwe;

    assert_int_equal(jwe_encrypt(jwk, plain, len, &jwe, NULL), BAWN_OK);
    json_decref(jwk);
    return jwe;
}

static void there_and_back(void **state)
{
    static const size_t sizes[] = { 0, 1, 16, 65537 };
    uint8_t *plain = calloc(1, 65537);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        EVP_PKEY *key = private_key(cases[i].pem);

        for (size_t s = 0; s < COUNT(sizes); s++) {
            json_t *jwe = sealed_for(key, s & 1 ? cases[i].alg : NULL, plain, sizes[s]);

            assert_null(json_object_get(jwe, "aad"));
            assert_int_equal(open_jwe(key, jwe, plain, sizes[s]), BAWN_OK);
            json_decref(jwe);
        }
        EVP_PKEY_free(key);
    }
    free(plain);
}

static json_t *header_of(const json_t *jwe)
{
    const char *text = json_string_value(json_object_get(jwe, "protected"));
    uint8_t *raw;
    json_t *header;
    size_t len;

    assert_int_equal(b64url_decode(text, strlen(text), &raw, &len, NULL), BAWN_OK);
    assert_int_equal(json_read((struct bawn_bytes){ raw, len }, &header, NULL), BAWN_OK);
    free(raw);
    return header;
}

static void set_header(json_t *jwe, const json_t *header)
{
    char *text, *encoded;
    size_t len;

    assert_int_equal(json_canonical(header, &text, &len, NULL), BAWN_OK);
    encoded = b64url_encode(text, len);
    json_object_set_new(jwe, "protected", json_string(encoded));
    free(encoded);
    free(text);
}

/* KBS clients parse the header and write it again in this order before they authenticate it. */
static void header_order(void **state)
{
    EVP_PKEY *key = private_key(pem_p256);
    json_t *jwe = sealed_for(key, NULL, "x", 1);
    const char *text = json_string_value(json_object_get(jwe, "protected"));
    static const char expected[] = "{\"alg\":\"ECDH-ES+A256KW\",\"enc\":\"A256GCM\",\"epk\":{"
                                   "\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"";
    uint8_t *raw;
    size_t len;

    (void)state;
    assert_int_equal(b64url_decode(text, strlen(text), &raw, &len, NULL), BAWN_OK);
    assert_true(len > sizeof(expected));
    assert_memory_equal(raw, expected, sizeof(expected) - 1);
    free(raw);
    json_decref(jwe);
    EVP_PKEY_free(key);
}

/* KBS servers send the header as "aad" without authenticating it twice; others who send "aad"
 * authenticate it. */
static void aad(void **state)
{
    EVP_PKEY *key = private_key(pem_rsa);
    json_t *jwe = sealed_for(key, NULL, "plain", 5);
    const char *protected = json_string_value(json_object_get(jwe, "protected"));
    char *twice = b64url_encode(protected, strlen(protected));

    (void)state;
    json_object_set_new(jwe, "aad", json_string(protected));
    assert_int_equal(open_jwe(key, jwe, "plain", 5), BAWN_OK);
    json_object_set_new(jwe, "aad", json_string(twice));
    assert_int_equal(open_jwe(key, jwe, "plain", 5), BAWN_OK);
    json_object_set_new(jwe, "aad", json_null());
    assert_int_equal(open_jwe(key, jwe, "plain", 5), BAWN_OK);
    json_object_set_new(jwe, "aad", json_string("Zm9v"));
    assert_int_equal(open_jwe(key, jwe, "plain", 5), BAWN_E_DENIED);
    json_object_set_new(jwe, "aad", json_string(""));
    assert_int_equal(open_jwe(key, jwe, "plain", 5), BAWN_E_DENIED);
    json_object_set_new(jwe, "aad", json_integer(1));
    assert_int_equal(open_jwe(key, jwe, "plain", 5), BAWN_E_FORMAT);
    free(twice);
    json_decref(jwe);
    EVP_PKEY_free(key);
}

/* Each part with one bit turned, cut, empty, foreign, missing. */
static void altered_part(EVP_PKEY *key, const json_t *jwe, const char *name)
{
    static const char *const values[] = { "", "AA", "!!!!" };
    const char *text = json_string_value(json_object_get(jwe, name));
    json_t *other = json_deep_copy(jwe);
    char *copy = strdup(text);

    copy[0] = copy[0] == 'A' ? 'B' : 'A';
    json_object_set_new(other, name, json_string(copy));
    assert_int_not_equal(open_jwe(key, other, "", 0), BAWN_OK);
    for (size_t i = 0; i < COUNT(values); i++) {
        json_object_set_new(other, name, json_string(values[i]));
        assert_int_not_equal(open_jwe(key, other, "", 0), BAWN_OK);
    }
    json_object_set_new(other, name, json_integer(7));
    assert_int_not_equal(open_jwe(key, other, "", 0), BAWN_OK);
    json_object_del(other, name);
    assert_int_not_equal(open_jwe(key, other, "", 0), BAWN_OK);
    free(copy);
    json_decref(other);
}

static void altered(void **state)
{
    static const char *const parts[] = { "protected", "encrypted_key", "iv", "ciphertext", "tag" };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        EVP_PKEY *key = private_key(cases[i].pem);
        json_t *jwe = sealed_for(key, NULL, "some secret", 11);

        for (size_t p = 0; p < COUNT(parts); p++)
            altered_part(key, jwe, parts[p]);
        json_decref(jwe);
        EVP_PKEY_free(key);
    }
}

static void other_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t k = 0; k < COUNT(cases); k++) {
            EVP_PKEY *key = private_key(cases[k].pem);
            json_t *jwe = json_of(cases[i].jwe);

            if (i != k)
                assert_int_not_equal(open_jwe(key, jwe, "", 0), BAWN_OK);
            json_decref(jwe);
            EVP_PKEY_free(key);
        }
}

/* What the header may not say, whatever else is right. */
static void headers(void **state)
{
    static const char *const changes[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"dir\"}",
        "{\"alg\":\"RSA1_5\"}",
        "{\"alg\":\"RSA-OAEP\"}",
        "{\"alg\":\"ECDH-ES\"}",
        "{\"alg\":7}",
        "{\"enc\":\"A128GCM\"}",
        "{\"enc\":\"A256CBC-HS512\"}",
        "{\"enc\":null}",
        "{\"zip\":\"DEF\"}",
        "{\"crit\":[\"exp\"]}",
        "{\"epk\":{}}",
        "{\"epk\":{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}}",
        "{\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}}",
        "{\"apu\":\"!\"}",
        "{\"apu\":\"QQ\"}",
    };
    EVP_PKEY *key = private_key(pem_p256);
    json_t *jwe = sealed_for(key, NULL, "some secret", 11);

    (void)state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        json_t *other = json_deep_copy(jwe), *header = header_of(jwe),
               *change = json_of(changes[i]);

        json_object_update(header, change);
        set_header(other, header);
        if (open_jwe(key, other, "", 0) == BAWN_OK)
            fail_msg("opened with %s", changes[i]);
        json_decref(change);
        json_decref(header);
        json_decref(other);
    }
    json_decref(jwe);
    EVP_PKEY_free(key);
}

static void unprotected(void **state)
{
    static const char *const headers[] = {
        "[]", "7", "{\"alg\":\"ECDH-ES+A256KW\"}", "{\"enc\":\"A256GCM\"}", "{\"zip\":\"DEF\"}",
    };
    EVP_PKEY *key = private_key(pem_p256);
    json_t *jwe = sealed_for(key, NULL, "some secret", 11);
    char *party = malloc(4001);

    (void)state;
    json_object_set_new(jwe, "header", json_pack("{s:s}", "kid", "1"));
    assert_int_equal(open_jwe(key, jwe, "some secret", 11), BAWN_OK);
    for (size_t i = 0; i < COUNT(headers); i++) {
        json_object_set_new(jwe, "header", json_of(headers[i]));
        assert_int_not_equal(open_jwe(key, jwe, "", 0), BAWN_OK);
    }
    /* Party information larger than the derivation has room for. */
    memset(party, 'A', 4000);
    party[4000] = '\0';
    json_object_set_new(jwe, "header", json_pack("{s:s}", "apu", party));
    assert_int_equal(open_jwe(key, jwe, "", 0), BAWN_E_FORMAT);
    json_object_del(jwe, "header");
    json_object_set_new(jwe, "unprotected", json_object());
    assert_int_equal(open_jwe(key, jwe, "", 0), BAWN_E_UNSUPPORTED);
    free(party);
    json_decref(jwe);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors), cmocka_unit_test(there_and_back), cmocka_unit_test(header_order),
        cmocka_unit_test(aad),     cmocka_unit_test(altered),        cmocka_unit_test(other_keys),
        cmocka_unit_test(headers), cmocka_unit_test(unprotected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

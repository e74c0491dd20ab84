// SPDX-License-Identifier: Apache-2.0
// libs: -lcrypto
/*
 * Signatures over policies: each kind of key, and what must not verify.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <bawn/policy.h>

static const struct bawn_bytes text = { (const uint8_t *)"{ a policy }", 12 };

static struct bawn_bytes public_pem(EVP_PKEY *key, uint8_t *room, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n;

    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    n = BIO_read(bio, room, (int)size);
    BIO_free(bio);
    assert_true(n > 0);
    return (struct bawn_bytes){ room, (size_t)n };
}

static struct bawn_bytes sign(EVP_PKEY *key, const EVP_MD *md, uint8_t *room, size_t size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, room, &size, text.data, text.len), 1);
    EVP_MD_CTX_free(ctx);
    return (struct bawn_bytes){ room, size };
}

static enum bawn_status check(EVP_PKEY *key, struct bawn_bytes what, struct bawn_bytes signature)
{
    uint8_t pem[2048];
    struct bawn_error err;

    return bawn_policy_check_signature(what, signature, public_pem(key, pem, sizeof(pem)), &err);
}

static void verifies(EVP_PKEY *key, EVP_PKEY *other, const EVP_MD *md)
{
    uint8_t room[512], bad[512];
    struct bawn_bytes s = sign(key, md, room, sizeof(room));

    assert_int_equal(check(key, text, s), BAWN_OK);
    assert_int_equal(check(other, text, s), BAWN_E_DENIED);
    assert_int_equal(check(key, (struct bawn_bytes){ text.data, text.len - 1 }, s), BAWN_E_DENIED);
    assert_int_equal(check(key, text, (struct bawn_bytes){ room, s.len - 1 }), BAWN_E_DENIED);
    assert_int_equal(check(key, text, (struct bawn_bytes){ NULL, 0 }), BAWN_E_DENIED);
    for (size_t i = 0; i < s.len; i++) {
        memcpy(bad, room, s.len);
        bad[i] ^= 1;
        assert_int_equal(check(key, text, (struct bawn_bytes){ bad, s.len }), BAWN_E_DENIED);
    }
}

static void kinds(void **state)
{
    EVP_PKEY *p256 = EVP_EC_gen("P-256"), *p256b = EVP_EC_gen("P-256");
    EVP_PKEY *p384 = EVP_EC_gen("P-384"), *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    uint8_t room[512];

    (void)state;
    verifies(p256, p256b, EVP_sha256());
    verifies(p384, p256, EVP_sha384());
    verifies(ed, p256, NULL);
    /* Each curve with its hash, and no other. */
    assert_int_equal(check(p384, text, sign(p384, EVP_sha256(), room, sizeof(room))),
                     BAWN_E_DENIED);
    assert_int_equal(check(p256, text, sign(p256, EVP_sha1(), room, sizeof(room))), BAWN_E_DENIED);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p256b);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(ed);
}

static void other_keys(void **state)
{
    EVP_PKEY *p521 = EVP_EC_gen("P-521"), *k1 = EVP_EC_gen("secp256k1"), *rsa = EVP_RSA_gen(2048);
    const struct bawn_bytes nothing = { NULL, 0 }, junk = { (const uint8_t *)"-----BEGIN", 10 };
    struct bawn_error err;
    uint8_t room[512];

    (void)state;
    assert_int_equal(check(p521, text, sign(p521, EVP_sha256(), room, sizeof(room))),
                     BAWN_E_UNSUPPORTED);
    assert_int_equal(check(k1, text, sign(k1, EVP_sha256(), room, sizeof(room))),
                     BAWN_E_UNSUPPORTED);
    assert_int_equal(check(rsa, text, sign(rsa, EVP_sha256(), room, sizeof(room))),
                     BAWN_E_UNSUPPORTED);
    assert_int_equal(bawn_policy_check_signature(text, nothing, nothing, &err), BAWN_E_FORMAT);
    assert_int_equal(bawn_policy_check_signature(text, nothing, junk, &err), BAWN_E_FORMAT);
    EVP_PKEY_free(p521);
    EVP_PKEY_free(k1);
    EVP_PKEY_free(rsa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(other_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

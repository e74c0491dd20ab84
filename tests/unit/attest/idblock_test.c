// SPDX-License-Identifier: Apache-2.0
/*
 * ID blocks: their layout, signatures that verify, and keys that will not do.
 */
#include "tests/unit/attest/measure_fixtures.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>

/* ---- Keys made here ---- */

static EVP_PKEY *new_key(const char *group)
{
    EVP_PKEY *key = group ? EVP_EC_gen(group) : EVP_RSA_gen(2048);

    assert_non_null(key);
    return key;
}

static struct bawn_bytes pem_of(EVP_PKEY *key, bool old_form, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct bawn_bytes pem;
    char *data;
    long len;

    assert_non_null(bio);
    if (old_form)
        assert_true(PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL));
    else
        assert_true(PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase ? EVP_aes_128_cbc() : NULL,
                                                  passphrase, passphrase ? 3 : 0, NULL, NULL));
    len = BIO_get_mem_data(bio, &data);
    pem = copy_of(data, (size_t)len);
    BIO_free(bio);
    return pem;
}

/* ---- Checking by another way ---- */

static bool verifies(EVP_PKEY *key, const uint8_t *message, size_t len, const uint8_t *at)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    unsigned char *der = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok;
    int n;

    assert_true(sig && ctx);
    assert_true(ECDSA_SIG_set0(sig, BN_lebin2bn(at, 72, NULL), BN_lebin2bn(at + 72, 72, NULL)));
    n = i2d_ECDSA_SIG(sig, &der);
    assert_true(n > 0);
    assert_true(EVP_DigestVerifyInit_ex(ctx, NULL, "SHA384", NULL, NULL, key, NULL));
    ok = EVP_DigestVerify(ctx, der, (size_t)n, message, len) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    return ok;
}

static void check_public(EVP_PKEY *key, const uint8_t *at)
{
    uint8_t point[97], reversed[97] = { 4 };
    size_t len;

    assert_true(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof(point), &len));
    assert_int_equal(len, 97);
    assert_memory_equal(at, ((uint8_t[4]){ 2, 0, 0, 0 }), 4);
    for (unsigned i = 0; i < 48; i++) {
        reversed[1 + i] = at[4 + 47 - i];
        reversed[49 + i] = at[0x4c + 47 - i];
    }
    assert_memory_equal(reversed, point, 97);
    for (unsigned i = 48; i < 72; i++)
        assert_true(!at[4 + i] && !at[0x4c + i]);
    for (unsigned i = 0x94; i < 0x404; i++)
        assert_int_equal(at[i], 0);
}

static struct bawn_snp_id example(void)
{
    struct bawn_snp_id id = { .guest_svn = 0x01020304, .policy = 0x30000 };

    memset(id.launch_digest, 0xd1, 48);
    memset(id.family_id, 0xfa, 16);
    memset(id.image_id, 0x1a, 16);
    return id;
}

static void both_keys(void **state)
{
    EVP_PKEY *id_key = new_key("P-384"), *author = new_key("P-384");
    struct bawn_bytes id_pem = pem_of(id_key, true, NULL), author_pem = pem_of(author, false, NULL);
    static const uint8_t tail[] = { 1, 0, 0, 0, 4, 3, 2, 1, 0, 0, 3, 0, 0, 0, 0, 0 };
    struct bawn_snp_id id = example();
    struct bawn_snp_id_signed out;
    struct bawn_error err = { "" };
    uint8_t digest[48];

    (void)state;
    if (bawn_snp_id_sign(&id, id_pem, author_pem, &out, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    assert_memory_equal(out.block, id.launch_digest, 48);
    assert_memory_equal(out.block + 0x30, id.family_id, 16);
    assert_memory_equal(out.block + 0x40, id.image_id, 16);
    assert_memory_equal(out.block + 0x50, tail, 16);
    assert_memory_equal(out.auth, ((uint8_t[8]){ 1, 0, 0, 0, 1, 0, 0, 0 }), 8);
    check_public(id_key, out.auth + 0x240);
    check_public(author, out.auth + 0x880);
    assert_true(verifies(id_key, out.block, 96, out.auth + 0x40));
    assert_true(verifies(author, out.auth + 0x240, 0x404, out.auth + 0x680));
    assert_false(verifies(author, out.block, 96, out.auth + 0x40));
    digest_of("SHA384", out.auth + 0x240, 0x404, digest);
    assert_memory_equal(out.id_key_digest, digest, 48);
    digest_of("SHA384", out.auth + 0x880, 0x404, digest);
    assert_memory_equal(out.author_key_digest, digest, 48);
    out.block[0] ^= 1;
    assert_false(verifies(id_key, out.block, 96, out.auth + 0x40));
    drop(id_pem);
    drop(author_pem);
    EVP_PKEY_free(id_key);
    EVP_PKEY_free(author);
}

static void no_author(void **state)
{
    EVP_PKEY *id_key = new_key("P-384");
    struct bawn_bytes id_pem = pem_of(id_key, false, NULL);
    struct bawn_snp_id id = example();
    struct bawn_snp_id_signed out;

    (void)state;
    assert_int_equal(bawn_snp_id_sign(&id, id_pem, (struct bawn_bytes){ NULL, 0 }, &out, NULL),
                     BAWN_OK);
    assert_true(verifies(id_key, out.block, 96, out.auth + 0x40));
    for (unsigned i = 0x644; i < 4096; i++)
        assert_int_equal(out.auth[i], 0);
    assert_int_equal(out.auth[4], 0);
    assert_memory_equal(out.author_key_digest, (uint8_t[48]){ 0 }, 48);
    drop(id_pem);
    EVP_PKEY_free(id_key);
}

static void refused_keys(void **state)
{
    EVP_PKEY *p256 = new_key("P-256"), *rsa = new_key(NULL), *p384 = new_key("P-384");
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long n;
    const struct {
        struct bawn_bytes key;
        enum bawn_status status;
        const char *word;
    } cases[] = {
        { pem_of(p256, true, NULL), BAWN_E_UNSUPPORTED, "must be on P-384" },
        { pem_of(rsa, false, NULL), BAWN_E_FORMAT, "private EC key" },
        { pem_of(p384, false, "abc"), BAWN_E_FORMAT, "not encrypted" },
        { copy_of("nonsense", 8), BAWN_E_FORMAT, "private EC key" },
        { copy_of("", 0), BAWN_E_FORMAT, "private EC key" },
    };
    struct bawn_bytes good = pem_of(p384, false, NULL), public;
    struct bawn_snp_id id = example();
    struct bawn_snp_id_signed out;
    struct bawn_error err = { "" };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(bawn_snp_id_sign(&id, cases[i].key, good, &out, &err), cases[i].status);
        if (!strstr(err.msg, cases[i].word) || strncmp(err.msg, "ID key", 6) != 0)
            fail_msg("case %zu: %s", i, err.msg);
        if (cases[i].key.len) {
            assert_int_equal(bawn_snp_id_sign(&id, good, cases[i].key, &out, &err),
                             cases[i].status);
            assert_int_equal(strncmp(err.msg, "author key", 10), 0);
        }
        drop(cases[i].key);
    }
    assert_true(PEM_write_bio_PUBKEY(bio, p384));
    n = BIO_get_mem_data(bio, &text);
    public = copy_of(text, (size_t)n);
    assert_int_equal(bawn_snp_id_sign(&id, public, good, &out, &err), BAWN_E_FORMAT);
    drop(public);
    for (size_t k = 0; k + 40 < good.len; k += 7) {
        struct bawn_bytes part = copy_of(good.data, k);

        assert_int_equal(bawn_snp_id_sign(&id, part, good, &out, &err), BAWN_E_FORMAT);
        drop(part);
    }
    drop(good);
    BIO_free(bio);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p384);
}

static void policy(void **state)
{
    EVP_PKEY *key = new_key("P-384");
    struct bawn_bytes pem = pem_of(key, true, NULL);
    struct bawn_snp_id id = example();
    struct bawn_snp_id_signed out;
    struct bawn_error err = { "" };

    (void)state;
    id.policy = 0x10000;
    assert_int_equal(bawn_snp_id_sign(&id, pem, pem, &out, &err), BAWN_E_USAGE);
    assert_non_null(strstr(err.msg, "bit 17"));
    id.policy = 1ull << 26 | 0x20000;
    assert_int_equal(bawn_snp_id_sign(&id, pem, pem, &out, &err), BAWN_E_USAGE);
    id.policy = 0x3ff0000;
    assert_int_equal(bawn_snp_id_sign(&id, pem, pem, &out, &err), BAWN_OK);
    drop(pem);
    EVP_PKEY_free(key);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_keys),
        cmocka_unit_test(no_author),
        cmocka_unit_test(refused_keys),
        cmocka_unit_test(policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

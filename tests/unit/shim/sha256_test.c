// SPDX-License-Identifier: Apache-2.0
/*
 * guest/shim/sha256.c: the vectors of FIPS 180-4's examples and of NIST's CAVP, and every length
 * around the block's borders against OpenSSL.
 */
#include <openssl/evp.h>

#include "tests/unit/shim/machine.h"

static void expect(const void *data, size_t len, const char *hex)
{
    uint8_t digest[SHIM_SHA256_SIZE], want[SHIM_SHA256_SIZE];

    for (unsigned i = 0; i < SHIM_SHA256_SIZE; i++) {
        char byte[3] = { hex[2 * i], hex[2 * i + 1], 0 };

        want[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    shim_sha256(data, len, digest);
    assert_memory_equal(digest, want, sizeof(want));
}

static void vectors(void **state)
{
    char *million = malloc(1000000);

    (void)state;
    expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect("\xbd", 1, "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b");
    assert_non_null(million);
    memset(million, 'a', 1000000);
    expect(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void every_length(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 300; len++) {
        uint8_t *data = malloc(len ? len : 1), ours[SHIM_SHA256_SIZE], theirs[SHIM_SHA256_SIZE];

        assert_non_null(data);
        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)(i * 31 + len);
        shim_sha256(data, len, ours);
        assert_true(EVP_Digest(data, len, theirs, NULL, EVP_sha256(), NULL));
        assert_memory_equal(ours, theirs, sizeof(ours));
        free(data);
    }
}

static void comparison(void **state)
{
    uint8_t a[SHIM_SHA256_SIZE] = { 1 }, b[SHIM_SHA256_SIZE] = { 1 };

    (void)state;
    assert_true(shim_sha256_equal(a, b));
    for (unsigned bit = 0; bit < 8 * SHIM_SHA256_SIZE; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(shim_sha256_equal(a, b));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(every_length),
        cmocka_unit_test(comparison),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

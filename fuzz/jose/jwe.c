// SPDX-License-Identifier: Apache-2.0
/*
 * Input: the protected header, a zero byte, and the rest of a JWE as JSON; opened with an EC and an
 * RSA key. Nothing that a mutation makes can open.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "attest/jose/jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_with(EVP_PKEY *key, const json_t *jwe)
{
    uint8_t *plain;
    size_t len;

    if (jwe_decrypt(key, jwe, &plain, &len, NULL) == BAWN_OK)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY *ec, *rsa;
    const uint8_t *end = memchr(data, 0, size);
    json_t *jwe;
    char *header;

    if (!ec) {
        ec = EVP_EC_gen("P-256");
        rsa = EVP_RSA_gen(2048);
    }
    if (!end || json_read((struct bawn_bytes){ end + 1, size - (size_t)(end - data) - 1 }, &jwe,
                          NULL) != BAWN_OK)
        return 0;
    header = b64url_encode(data, (size_t)(end - data));
    if (json_is_object(jwe))
        json_object_set_new(jwe, "protected", json_string(header));
    open_with(ec, jwe);
    open_with(rsa, jwe);
    free(header);
    json_decref(jwe);
    return 0;
}

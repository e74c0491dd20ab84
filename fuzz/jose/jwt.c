// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a token; and the input as header, zero byte and payload of a token that is signed in the
 * name of the trusted key, so that what lies behind the signature is reached.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>

#include "attest/jose/jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void verify(const char *token, size_t len, const struct jwt_key *key)
{
    json_t *payload;

    if (jwt_verify(token, len, key, 1, 1000, &payload, NULL) != BAWN_OK)
        return;
    if (json_number_value(json_object_get(payload, "exp")) <= 1000)
        __builtin_trap();
    json_decref(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY *key;
    static char *kid;
    const uint8_t *end = memchr(data, 0, size);
    json_t *header = NULL, *payload = NULL;
    struct jwt_key trusted;
    char *token;

    if (!key) {
        key = EVP_EC_gen("P-256");
        kid = jwk_thumbprint(key);
    }
    trusted = (struct jwt_key){ kid, key };
    verify((const char *)data, size, &trusted);
    if (!end)
        return 0;
    if (json_read((struct bawn_bytes){ data, (size_t)(end - data) }, &header, NULL) == BAWN_OK &&
        json_read((struct bawn_bytes){ end + 1, size - (size_t)(end - data) - 1 }, &payload,
                  NULL) == BAWN_OK &&
        jwt_sign(key, payload, header, &token, NULL) == BAWN_OK) {
        verify(token, strlen(token), &trusted);
        free(token);
    }
    json_decref(header);
    json_decref(payload);
    return 0;
}

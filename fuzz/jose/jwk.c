// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a key as JSON. One that is taken can be written and read again, as the same key.
 */
#include <stdlib.h>

#include "attest/jose/jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *jwk, *written, *jwe;

    if (json_read((struct bawn_bytes){ data, size }, &jwk, NULL) != BAWN_OK)
        return 0;
    for (int use = JWK_ENCRYPT; use <= JWK_SIGN; use++) {
        EVP_PKEY *key, *again;

        if (jwk_public(jwk, (enum jwk_use)use, &key, NULL) != BAWN_OK)
            continue;
        written = jwk_from(key, NULL, NULL);
        if (!written || jwk_public(written, (enum jwk_use)use, &again, NULL) != BAWN_OK ||
            EVP_PKEY_eq(key, again) != 1)
            __builtin_trap();
        if (use == JWK_ENCRYPT && jwe_encrypt(jwk, "x", 1, &jwe, NULL) == BAWN_OK)
            json_decref(jwe);
        json_decref(written);
        EVP_PKEY_free(again);
        EVP_PKEY_free(key);
    }
    json_decref(jwk);
    return 0;
}

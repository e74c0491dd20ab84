// SPDX-License-Identifier: Apache-2.0
/*
 * What is sealed at rest: AES-256-GCM under the storage key, with the row's identity as
 * additional data, so that one row's content is no other row's. The database is not trusted with
 * it.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "attest/service/vault/vault.h"

#define VERSION 1
#define IV 12
#define TAG 16
#define OVERHEAD (1 + IV + TAG)
#define PLAIN_MAX (64u << 20)

static bool run(bool encrypt, const uint8_t *key, const uint8_t *iv, const char *aad,
                const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t none[16];
    int n = 0;
    bool ok;

    ok = ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv, encrypt) == 1 &&
         EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)aad, (int)strlen(aad)) == 1 &&
         (!len || EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1);
    if (ok && !encrypt)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1;
    ok = ok && EVP_CipherFinal_ex(ctx, none, &n) == 1;
    if (ok && encrypt)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

enum bawn_status seal(const uint8_t key[KEY_SIZE], const char *aad, const void *plain, size_t len,
                      uint8_t **sealed, size_t *sealed_len, struct bawn_error *err)
{
    uint8_t *out;

    if (len > PLAIN_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "%zu bytes are too many to be sealed", len);
    out = malloc(OVERHEAD + len);
    if (!out)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for sealing");
    out[0] = VERSION;
    if (RAND_bytes(out + 1, IV) != 1 ||
        !run(true, key, out + 1, aad, plain, len, out + 1 + IV, out + 1 + IV + len)) {
        free(out);
        return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot seal");
    }
    *sealed = out;
    *sealed_len = OVERHEAD + len;
    return BAWN_OK;
}

enum bawn_status unseal(const uint8_t key[KEY_SIZE], const char *aad, struct bawn_bytes sealed,
                        uint8_t **plain, size_t *len, struct bawn_error *err)
{
    uint8_t tag[TAG], *out;

    if (sealed.len < OVERHEAD || sealed.data[0] != VERSION)
        return bawn_fail(err, BAWN_E_FORMAT, "%s: what is sealed there has an unknown form", aad);
    *len = sealed.len - OVERHEAD;
    out = malloc(*len + 1);
    if (!out)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for unsealing");
    memcpy(tag, sealed.data + sealed.len - TAG, TAG);
    if (!run(false, key, sealed.data + 1, aad, sealed.data + 1 + IV, *len, out, tag)) {
        OPENSSL_cleanse(out, *len);
        free(out);
        return bawn_fail(err, BAWN_E_DENIED,
                         "%s was not sealed with this storage key, or was altered", aad);
    }
    out[*len] = '\0';
    *plain = out;
    return BAWN_OK;
}

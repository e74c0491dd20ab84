// SPDX-License-Identifier: Apache-2.0
/*
 * ID blocks for SNP_LAUNCH_FINISH (AMD 56860, 8.18): read from what bawn-measure or others wrote,
 * or made for one launch. The files are not trusted; what they say is the firmware's to judge.
 */
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "bawn/snp.h"
#include "launch/snp.h"

/* Base64 of len bytes with padding; line breaks may stand anywhere. */
static bool decode(struct bawn_bytes text, uint8_t *out, size_t len)
{
    EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
    /* What no text of this length decodes to more than. */
    uint8_t raw[BAWN_SNP_ID_AUTH_SIZE + BAWN_SNP_ID_AUTH_SIZE / 16 + 64];
    size_t got;
    int n = 0, last = 0;
    bool good = ctx && text.len <= len / 3 * 4 + len / 16 + 16;

    if (good) {
        EVP_DecodeInit(ctx);
        good = EVP_DecodeUpdate(ctx, raw, &n, text.data, (int)text.len) >= 0 &&
               EVP_DecodeFinal(ctx, raw + n, &last) == 1;
    }
    got = (size_t)n + (size_t)last;
    good = good && got == len;
    if (good)
        memcpy(out, raw, len);
    EVP_ENCODE_CTX_free(ctx);
    return good;
}

static enum bawn_status read_part(struct bawn_bytes in, uint8_t *out, size_t len, const char *what,
                                  struct bawn_error *err)
{
    if (in.len == len)
        memcpy(out, in.data, len);
    else if (!decode(in, out, len))
        return bawn_fail(err, BAWN_E_FORMAT, "%s: must be %zu bytes, raw or as base64", what, len);
    return BAWN_OK;
}

enum bawn_status bawn_snp_identity_parse(struct bawn_snp_identity *id, struct bawn_bytes block,
                                         struct bawn_bytes auth, struct bawn_error *err)
{
    struct bawn_snp_id_auth a;
    enum bawn_status st;

    memset(id, 0, sizeof(*id));
    st = read_part(block, id->block, sizeof(id->block), "ID block", err);
    if (st == BAWN_OK)
        st = read_part(auth, id->auth, sizeof(id->auth), "ID authentication", err);
    if (st != BAWN_OK)
        return st;
    memcpy(&a, id->auth, sizeof(a));
    id->given = true;
    id->author = a.author_key_algo != 0;
    return BAWN_OK;
}

enum bawn_status bawn_snp_identity_make(struct bawn_snp_identity *id,
                                        const uint8_t digest[BAWN_SNP_DIGEST_SIZE], uint64_t policy,
                                        struct bawn_error *err)
{
    struct bawn_snp_id want = { .policy = policy };
    struct bawn_snp_id_signed out;
    EVP_PKEY *key = EVP_EC_gen("P-384");
    BIO *pem = BIO_new(BIO_s_mem());
    enum bawn_status st;
    char *text;
    long len = 0;

    memset(id, 0, sizeof(*id));
    memcpy(want.launch_digest, digest, sizeof(want.launch_digest));
    if (key && pem && PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL))
        len = BIO_get_mem_data(pem, &text);
    if (len > 0)
        st = bawn_snp_id_sign(&want, (struct bawn_bytes){ (const uint8_t *)text, (size_t)len },
                              (struct bawn_bytes){ NULL, 0 }, &out, err);
    else
        st = bawn_fail(err, BAWN_E_INTERNAL, "libcrypto does not make a P-384 key");
    if (st == BAWN_OK) {
        memcpy(id->block, out.block, sizeof(id->block));
        memcpy(id->auth, out.auth, sizeof(id->auth));
        id->given = true;
    }
    BIO_free(pem);
    EVP_PKEY_free(key);
    return st;
}

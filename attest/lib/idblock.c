// SPDX-License-Identifier: Apache-2.0
/*
 * The ID block of an SEV-SNP launch and its authentication: what SNP_LAUNCH_FINISH checks the
 * launch against. AMD 56860 rev 1.58, SNP_LAUNCH_FINISH (ID_BLOCK and ID_AUTH) and chapter 10 (keys
 * and signatures). The keys are the caller's own.
 */
#include "attest/lib/measure.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>

#include <string.h>

/* ID_BLOCK */
#define BLOCK_FAMILY_ID 0x30
#define BLOCK_IMAGE_ID 0x40
#define BLOCK_VERSION 0x50
#define BLOCK_GUEST_SVN 0x54
#define BLOCK_POLICY 0x58
#define ID_BLOCK_VERSION 1

/* ID_AUTH */
#define AUTH_ID_KEY_ALGO 0x000
#define AUTH_AUTHOR_KEY_ALGO 0x004
#define AUTH_ID_BLOCK_SIG 0x040
#define AUTH_ID_KEY 0x240
#define AUTH_ID_KEY_SIG 0x680
#define AUTH_AUTHOR_KEY 0x880

/* Chapter 10: ECDSA P-384 with SHA-384; numbers little-endian in 72 bytes. */
#define ALGO_P384_SHA384 1
#define CURVE_P384 2
#define NUMBER_SIZE 72
#define KEY_SIZE 0x404
#define KEY_QX 0x04
#define KEY_QY 0x4c

/* GUEST_POLICY: 4.3. */
#define POLICY_MUST_BE_ONE (1ull << 17)
#define POLICY_RESERVED (~((1ull << 26) - 1))

static void put_le(uint8_t *at, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

/* ---- Keys ---- */

/* A key that is encrypted is refused: nobody is asked for a passphrase. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

static enum bawn_status load_key(EVP_PKEY **key, struct bawn_bytes bytes, const char *what,
                                 struct bawn_error *err)
{
    const unsigned char *data = bytes.data;
    OSSL_DECODER_CTX *ctx;
    size_t len = bytes.len;
    char group[32] = "";

    *key = NULL;
    ctx = OSSL_DECODER_CTX_new_for_pkey(key, NULL, NULL, "EC", EVP_PKEY_KEYPAIR, NULL, NULL);
    if (ctx && OSSL_DECODER_CTX_set_pem_password_cb(ctx, no_passphrase, NULL))
        OSSL_DECODER_from_data(ctx, &data, &len);
    OSSL_DECODER_CTX_free(ctx);
    ERR_clear_error();
    if (!*key)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "%s: must be a private EC key, PEM or DER, not encrypted", what);
    if (!EVP_PKEY_get_group_name(*key, group, sizeof(group), NULL) ||
        strcmp(group, SN_secp384r1) != 0) {
        EVP_PKEY_free(*key);
        *key = NULL;
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "%s: on curve %s, must be on P-384", what,
                         group[0] ? group : "of unknown name");
    }
    return BAWN_OK;
}

static bool put_number(const BIGNUM *n, uint8_t *at)
{
    return n && BN_bn2lebinpad(n, at, NUMBER_SIZE) == NUMBER_SIZE;
}

static bool put_key(const EVP_PKEY *key, uint8_t *at)
{
    BIGNUM *x = NULL, *y = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) &&
              put_number(x, at + KEY_QX) && put_number(y, at + KEY_QY);

    put_le(at, CURVE_P384, 4);
    BN_free(x);
    BN_free(y);
    return ok;
}

/* ---- Signatures ---- */

static bool sign(EVP_PKEY *key, const uint8_t *message, size_t len, uint8_t *at)
{
    unsigned char der[160];
    const unsigned char *pos = der;
    size_t der_len = sizeof(der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *sig = NULL;
    bool ok = ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA384", NULL, NULL, key, NULL) == 1 &&
              EVP_DigestSign(ctx, der, &der_len, message, len) == 1;

    if (ok)
        sig = d2i_ECDSA_SIG(NULL, &pos, (long)der_len);
    ok = sig && put_number(ECDSA_SIG_get0_r(sig), at) &&
         put_number(ECDSA_SIG_get0_s(sig), at + NUMBER_SIZE);
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool digest_key(const uint8_t *key, uint8_t digest[48])
{
    return EVP_Q_digest(NULL, "SHA384", NULL, key, KEY_SIZE, digest, NULL);
}

static bool fill_auth(struct bawn_snp_id_signed *out, EVP_PKEY *id_key, EVP_PKEY *author_key)
{
    uint8_t *auth = out->auth;

    put_le(auth + AUTH_ID_KEY_ALGO, ALGO_P384_SHA384, 4);
    if (!put_key(id_key, auth + AUTH_ID_KEY) ||
        !sign(id_key, out->block, sizeof(out->block), auth + AUTH_ID_BLOCK_SIG) ||
        !digest_key(auth + AUTH_ID_KEY, out->id_key_digest))
        return false;
    if (!author_key)
        return true;
    put_le(auth + AUTH_AUTHOR_KEY_ALGO, ALGO_P384_SHA384, 4);
    return put_key(author_key, auth + AUTH_AUTHOR_KEY) &&
           sign(author_key, auth + AUTH_ID_KEY, KEY_SIZE, auth + AUTH_ID_KEY_SIG) &&
           digest_key(auth + AUTH_AUTHOR_KEY, out->author_key_digest);
}

/* ---- Public ---- */

enum bawn_status bawn_snp_id_sign(const struct bawn_snp_id *id, struct bawn_bytes id_key,
                                  struct bawn_bytes author_key, struct bawn_snp_id_signed *out,
                                  struct bawn_error *err)
{
    EVP_PKEY *keys[2] = { NULL, NULL };
    enum bawn_status st;

    memset(out, 0, sizeof(*out));
    if (!(id->policy & POLICY_MUST_BE_ONE) || (id->policy & POLICY_RESERVED))
        return bawn_fail(err, BAWN_E_USAGE,
                         "policy 0x%jx: bit 17 must be one, and bits 26 and above zero",
                         (uintmax_t)id->policy);
    memcpy(out->block, id->launch_digest, BAWN_SNP_DIGEST_SIZE);
    memcpy(out->block + BLOCK_FAMILY_ID, id->family_id, sizeof(id->family_id));
    memcpy(out->block + BLOCK_IMAGE_ID, id->image_id, sizeof(id->image_id));
    put_le(out->block + BLOCK_VERSION, ID_BLOCK_VERSION, 4);
    put_le(out->block + BLOCK_GUEST_SVN, id->guest_svn, 4);
    put_le(out->block + BLOCK_POLICY, id->policy, 8);
    st = load_key(&keys[0], id_key, "ID key", err);
    if (st == BAWN_OK && author_key.len)
        st = load_key(&keys[1], author_key, "author key", err);
    if (st == BAWN_OK && !fill_auth(out, keys[0], keys[1]))
        st = bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL failed to sign the ID block");
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Signatures over policies' texts, detached: ECDSA on P-256 with SHA-256 or P-384 with SHA-384
 * (DER, as openssl-dgst(1) writes it), or Ed25519. The key is trusted; text and signature are not.
 */
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <bawn/policy.h>

#define PEM_MAX 65536

/* The hash that goes with the key; NULL for Ed25519, which has its own. */
static bool digest_for(EVP_PKEY *key, const EVP_MD **md)
{
    char group[32] = "";

    *md = NULL;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
        return true;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
        return false;
    if (!strcmp(group, "prime256v1"))
        *md = EVP_sha256();
    else if (!strcmp(group, "secp384r1"))
        *md = EVP_sha384();
    return *md != NULL;
}

static enum bawn_status read_key(struct bawn_bytes pem, EVP_PKEY **key, const EVP_MD **md,
                                 struct bawn_error *err)
{
    BIO *bio = pem.len && pem.len <= PEM_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;

    *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (!*key)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "the policy key is no public key in PEM (-----BEGIN PUBLIC KEY-----)");
    if (digest_for(*key, md))
        return BAWN_OK;
    EVP_PKEY_free(*key);
    *key = NULL;
    return bawn_fail(err, BAWN_E_UNSUPPORTED,
                     "the policy key must be of P-256, P-384 or Ed25519, and is not");
}

enum bawn_status bawn_policy_check_signature(struct bawn_bytes text, struct bawn_bytes signature,
                                             struct bawn_bytes public_pem, struct bawn_error *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = NULL;
    EVP_PKEY *key = NULL;
    enum bawn_status st = read_key(public_pem, &key, &md, err);
    bool good = !st && ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, signature.data, signature.len, text.data, text.len) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (st || good)
        return st;
    return bawn_fail(err, BAWN_E_DENIED,
                     "the signature is not the policy key's over this text: it was changed, or "
                     "signed with another key");
}

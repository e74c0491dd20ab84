// SPDX-License-Identifier: Apache-2.0
/*
 * The ID block at the end of a launch: what the guest's owner expects of it, signed. Both
 * structures are hostile. AMD 56860 rev 1.55, 8.18 and chapter 10.
 */
#include "platform/firmware/parts.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

/* A number of P-384's size in its field; NULL when it is longer. */
static BIGNUM *number(const uint8_t field[BAWN_SNP_NUMBER_SIZE])
{
    if (!psp_all_zero(field + BAWN_SNP_P384_SIZE, BAWN_SNP_NUMBER_SIZE - BAWN_SNP_P384_SIZE))
        return NULL;
    return BN_lebin2bn(field, BAWN_SNP_P384_SIZE, NULL);
}

static void put_be(const uint8_t *le, uint8_t *be)
{
    for (unsigned i = 0; i < BAWN_SNP_P384_SIZE; i++)
        be[i] = le[BAWN_SNP_P384_SIZE - 1 - i];
}

/* NULL: it is no key of the form that there must be. OpenSSL checks that the point is on the
 * curve. */
static EVP_PKEY *public_key(const struct bawn_snp_public_key *in)
{
    const size_t rest = BAWN_SNP_NUMBER_SIZE - BAWN_SNP_P384_SIZE;
    uint8_t point[1 + 2 * BAWN_SNP_P384_SIZE] = { POINT_CONVERSION_UNCOMPRESSED };
    OSSL_PARAM params[3] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)SN_secp384r1, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *ctx;
    EVP_PKEY *key = NULL;

    if (in->curve != BAWN_SNP_CURVE_P384 || !psp_all_zero(in->reserved, sizeof(in->reserved)) ||
        !psp_all_zero(in->qx + BAWN_SNP_P384_SIZE, rest) ||
        !psp_all_zero(in->qy + BAWN_SNP_P384_SIZE, rest))
        return NULL;
    put_be(in->qx, point + 1);
    put_be(in->qy, point + 1 + BAWN_SNP_P384_SIZE);
    ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return key;
}

/* DER of a signature in SNP's form, which OpenSSL verifies; its length, or 0. */
static int signature_der(const struct bawn_snp_signature *in, uint8_t **der)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = number(in->r), *s = number(in->s);
    int len = 0;

    *der = NULL;
    if (sig && r && s && psp_all_zero(in->reserved, sizeof(in->reserved)) &&
        ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* sig's own */
        len = i2d_ECDSA_SIG(sig, der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return len > 0 ? len : 0;
}

static bool verify(const struct bawn_snp_public_key *by, const void *message, size_t message_len,
                   const struct bawn_snp_signature *signature)
{
    EVP_PKEY *key = public_key(by);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t *der = NULL;
    int len = signature_der(signature, &der);
    bool good;

    good = key && ctx && len &&
           EVP_DigestVerifyInit_ex(ctx, NULL, "SHA384", NULL, NULL, key, NULL) == 1 &&
           EVP_DigestVerify(ctx, der, (size_t)len, message, message_len) == 1;
    OPENSSL_free(der);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return good;
}

static bool key_digest(const struct bawn_snp_public_key *key, uint8_t *out)
{
    return EVP_Q_digest(NULL, "SHA384", NULL, key, sizeof(*key), out, NULL);
}

/* Form: algorithms and reserved bytes. */
static bool well_formed(const struct bawn_snp_id_block *block, const struct bawn_snp_id_auth *auth,
                        bool author)
{
    return block->version == BAWN_SNP_ID_BLOCK_VERSION &&
           auth->id_key_algo == BAWN_SNP_ALGO_ECDSA_P384_SHA384 &&
           (!author || auth->author_key_algo == BAWN_SNP_ALGO_ECDSA_P384_SHA384) &&
           psp_all_zero(auth->reserved_008, sizeof(auth->reserved_008)) &&
           psp_all_zero(auth->reserved_644, sizeof(auth->reserved_644)) &&
           psp_all_zero(auth->reserved_c84, sizeof(auth->reserved_c84));
}

uint32_t psp_id_block_check(struct guest *guest, const uint8_t *block_bytes,
                            const uint8_t *auth_bytes, bool author)
{
    uint8_t digests[2][BAWN_SNP_DIGEST_SIZE] = { { 0 } };
    struct bawn_snp_id_block block;
    struct bawn_snp_id_auth auth;

    memcpy(&block, block_bytes, sizeof(block));
    memcpy(&auth, auth_bytes, sizeof(auth));
    if (!well_formed(&block, &auth, author))
        return BAWN_PSP_INVALID_PARAM;
    if (!verify(&auth.id_key, &block, sizeof(block), &auth.id_block_signature))
        return BAWN_PSP_BAD_SIGNATURE;
    if (author &&
        !verify(&auth.author_key, &auth.id_key, sizeof(auth.id_key), &auth.id_key_signature))
        return BAWN_PSP_BAD_SIGNATURE;
    if (memcmp(block.launch_digest, guest->ld, sizeof(guest->ld)) != 0)
        return BAWN_PSP_BAD_MEASUREMENT;
    if (block.policy != guest->policy)
        return BAWN_PSP_POLICY_FAILURE;
    if (!key_digest(&auth.id_key, digests[0]) ||
        (author && !key_digest(&auth.author_key, digests[1])))
        return BAWN_PSP_HWERROR_PLATFORM;
    guest->author_key_en = author;
    guest->guest_svn = block.guest_svn;
    memcpy(guest->family_id, block.family_id, sizeof(guest->family_id));
    memcpy(guest->image_id, block.image_id, sizeof(guest->image_id));
    memcpy(guest->id_key_digest, digests[0], sizeof(guest->id_key_digest));
    memcpy(guest->author_key_digest, digests[1], sizeof(guest->author_key_digest));
    return BAWN_PSP_SUCCESS;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The chip's identity and the keys that come of its secret. As on hardware, the VCEK is a
 * function of the secret and of the reported TCB, so that each TCB has its own.
 */
#include "platform/firmware/parts.h"

#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

const struct psp_file psp_identity_files[PSP_IDENTITY_PARTS] = {
    [PSP_CHIP] = { "chip.bin", true },   [PSP_ARK_KEY] = { "ark.key", true },
    [PSP_ASK_KEY] = { "ask.key", true }, [PSP_ARK] = { "ark.pem", false },
    [PSP_ASK] = { "ask.pem", false },
};

void psp_blob_free(struct psp_blob *blob)
{
    if (blob->data)
        OPENSSL_cleanse(blob->data, blob->len);
    free(blob->data);
    *blob = (struct psp_blob){ NULL, 0 };
}

/* ---- Derivation ---- */

bool psp_kdf(const uint8_t *secret, size_t secret_len, const char *label, const void *info,
             size_t info_len, uint8_t *out, size_t out_len)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA384", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret,
                                          secret_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)label,
                                          strlen(label)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_len),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = ctx && EVP_KDF_derive(ctx, out, out_len, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

/* A scalar from 1 to the group's order less 1, as even as 8 bytes more than the order make it. */
static BIGNUM *scalar(const uint8_t *bytes, size_t len, const EC_GROUP *group, BN_CTX *bn)
{
    BIGNUM *d = BN_bin2bn(bytes, (int)len, NULL), *top = BN_dup(EC_GROUP_get0_order(group));

    if (!d || !top || !BN_sub_word(top, 1) || !BN_mod(d, d, top, bn) || !BN_add_word(d, 1)) {
        BN_clear_free(d);
        d = NULL;
    }
    BN_free(top);
    return d;
}

static EVP_PKEY *ec_key(const BIGNUM *d, const uint8_t *point, size_t point_len)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;

    if (build && ctx &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, SN_secp384r1, 0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, point_len) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d))
        params = OSSL_PARAM_BLD_to_param(build);
    if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

EVP_PKEY *psp_vcek(const struct psp_identity *identity, const uint8_t *tcb)
{
    uint8_t bytes[BAWN_SNP_P384_SIZE + 8], point[1 + 2 * BAWN_SNP_P384_SIZE];
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_secp384r1);
    EC_POINT *q = group ? EC_POINT_new(group) : NULL;
    BN_CTX *bn = BN_CTX_secure_new();
    EVP_PKEY *key = NULL;
    BIGNUM *d = NULL;

    if (q && bn &&
        psp_kdf(identity->secret, sizeof(identity->secret), "VCEK", tcb, BAWN_SNP_TCB_SIZE, bytes,
                sizeof(bytes)))
        d = scalar(bytes, sizeof(bytes), group, bn);
    if (d && EC_POINT_mul(group, q, d, NULL, NULL, bn) == 1 &&
        EC_POINT_point2oct(group, q, POINT_CONVERSION_UNCOMPRESSED, point, sizeof(point), bn) ==
            sizeof(point))
        key = ec_key(d, point, sizeof(point));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    BN_clear_free(d);
    BN_CTX_free(bn);
    EC_POINT_free(q);
    EC_GROUP_free(group);
    return key;
}

/* ---- Identity ---- */

void psp_identity_destroy(struct psp_identity *identity)
{
    if (!identity)
        return;
    EVP_PKEY_free(identity->ark_key);
    EVP_PKEY_free(identity->ask_key);
    X509_free(identity->ark);
    X509_free(identity->ask);
    OPENSSL_cleanse(identity, sizeof(*identity));
    free(identity);
}

enum psp_product psp_identity_product(const struct psp_identity *identity)
{
    return identity->product;
}

enum bawn_status psp_identity_create(struct psp_identity **out, enum psp_product product,
                                     unsigned rsa_bits, int64_t now, struct bawn_error *err)
{
    struct psp_identity *identity = calloc(1, sizeof(*identity));
    size_t chip_len =
        psp_model(product)->turin ? BAWN_SNP_CHIP_ID_TURIN_SIZE : BAWN_SNP_CHIP_ID_SIZE;
    enum bawn_status st;

    *out = NULL;
    if (!identity)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the platform's keys");
    identity->product = product;
    identity->ark_key = EVP_RSA_gen(rsa_bits);
    identity->ask_key = EVP_RSA_gen(rsa_bits);
    if (!identity->ark_key || !identity->ask_key ||
        RAND_bytes(identity->chip_id, (int)chip_len) != 1 ||
        RAND_priv_bytes(identity->secret, sizeof(identity->secret)) != 1)
        st = bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot make the platform's keys");
    else
        st = psp_ca_create(identity, now, err);
    if (st != BAWN_OK) {
        psp_identity_destroy(identity);
        return st;
    }
    *out = identity;
    return BAWN_OK;
}

/* ---- Export and import ---- */

/* chip.bin */
struct chip {
    char magic[8];
    char product[16];
    uint8_t chip_id[BAWN_SNP_CHIP_ID_SIZE];
    uint8_t secret[PSP_SECRET_SIZE];
};

static const char chip_magic[8] = { 'B', 'A', 'W', 'N', 'C', 'H', 'P', '1' };

static bool take_bio(BIO *bio, struct psp_blob *out)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    if (len <= 0)
        return false;
    out->data = malloc((size_t)len);
    if (!out->data)
        return false;
    memcpy(out->data, data, (size_t)len);
    out->len = (size_t)len;
    OPENSSL_cleanse(data, (size_t)len);
    return true;
}

static bool export_chip(const struct psp_identity *identity, BIO *bio)
{
    struct chip chip;
    bool ok;

    memset(&chip, 0, sizeof(chip));
    memcpy(chip.magic, chip_magic, sizeof(chip.magic));
    strncpy(chip.product, psp_product_name(identity->product), sizeof(chip.product) - 1);
    memcpy(chip.chip_id, identity->chip_id, sizeof(chip.chip_id));
    memcpy(chip.secret, identity->secret, sizeof(chip.secret));
    ok = BIO_write(bio, &chip, sizeof(chip)) == (int)sizeof(chip);
    OPENSSL_cleanse(&chip, sizeof(chip));
    return ok;
}

enum bawn_status psp_identity_export(const struct psp_identity *identity,
                                     enum psp_identity_part part, struct psp_blob *out,
                                     struct bawn_error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio;

    *out = (struct psp_blob){ NULL, 0 };
    if (ok && part == PSP_CHIP)
        ok = export_chip(identity, bio);
    else if (ok && part == PSP_ARK_KEY)
        ok = PEM_write_bio_PKCS8PrivateKey(bio, identity->ark_key, NULL, NULL, 0, NULL, NULL);
    else if (ok && part == PSP_ASK_KEY)
        ok = PEM_write_bio_PKCS8PrivateKey(bio, identity->ask_key, NULL, NULL, 0, NULL, NULL);
    else if (ok)
        ok = PEM_write_bio_X509(bio, part == PSP_ARK ? identity->ark : identity->ask);
    ok = ok && take_bio(bio, out);
    BIO_free(bio);
    return ok ? BAWN_OK
              : bawn_fail(err, BAWN_E_INTERNAL, "cannot encode %s", psp_identity_files[part].name);
}

static bool import_chip(struct psp_identity *identity, const struct psp_blob *blob)
{
    struct chip chip;
    bool ok;

    if (blob->len != sizeof(chip))
        return false;
    memcpy(&chip, blob->data, sizeof(chip));
    ok = !memcmp(chip.magic, chip_magic, sizeof(chip.magic)) &&
         !chip.product[sizeof(chip.product) - 1] &&
         psp_product_find(chip.product, &identity->product);
    memcpy(identity->chip_id, chip.chip_id, sizeof(identity->chip_id));
    memcpy(identity->secret, chip.secret, sizeof(identity->secret));
    OPENSSL_cleanse(&chip, sizeof(chip));
    return ok;
}

/* A key that is encrypted is refused: nobody is asked for a passphrase. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

static bool import_pem(struct psp_identity *identity, enum psp_identity_part part, BIO *bio)
{
    switch (part) {
    case PSP_ARK_KEY:
        identity->ark_key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
        return identity->ark_key;
    case PSP_ASK_KEY:
        identity->ask_key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
        return identity->ask_key;
    case PSP_ARK:
        identity->ark = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        return identity->ark;
    default:
        identity->ask = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        return identity->ask;
    }
}

static bool import_part(struct psp_identity *identity, enum psp_identity_part part,
                        const struct psp_blob *blob)
{
    BIO *bio;
    bool ok;

    if (part == PSP_CHIP)
        return import_chip(identity, blob);
    bio = blob->len <= INT32_MAX ? BIO_new_mem_buf(blob->data, (int)blob->len) : NULL;
    ok = bio && import_pem(identity, part, bio);
    BIO_free(bio);
    ERR_clear_error();
    return ok;
}

enum bawn_status psp_identity_import(struct psp_identity **out,
                                     const struct psp_blob parts[PSP_IDENTITY_PARTS],
                                     struct bawn_error *err)
{
    struct psp_identity *identity = calloc(1, sizeof(*identity));
    enum bawn_status st = BAWN_OK;

    *out = NULL;
    if (!identity)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the platform's keys");
    for (unsigned i = 0; st == BAWN_OK && i < PSP_IDENTITY_PARTS; i++)
        if (!import_part(identity, (enum psp_identity_part)i, &parts[i]))
            st = bawn_fail(err, BAWN_E_FORMAT,
                           "%s is broken: give another state directory, or remove this one to "
                           "start with new keys",
                           psp_identity_files[i].name);
    if (st == BAWN_OK && (X509_check_private_key(identity->ark, identity->ark_key) != 1 ||
                          X509_check_private_key(identity->ask, identity->ask_key) != 1))
        st = bawn_fail(err, BAWN_E_FORMAT,
                       "ark.pem and ask.pem are not those of ark.key and "
                       "ask.key: the state directory is a mixture of two");
    if (st != BAWN_OK) {
        psp_identity_destroy(identity);
        return st;
    }
    *out = identity;
    return BAWN_OK;
}

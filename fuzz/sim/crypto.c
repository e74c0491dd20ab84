// SPDX-License-Identifier: Apache-2.0
/*
 * Hashes for measured launch, by libcrypto; and a machine without a TPM. Trusts its callers.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "internal.h"

#ifdef SIM_MSAN
#include <sanitizer/msan_interface.h>
#else
#define __msan_unpoison(p, n) ((void)(p), (void)(n))
#define __msan_check_mem_is_initialized(p, n) ((void)(p), (void)(n))
#define __msan_scoped_disable_interceptor_checks() ((void)0)
#define __msan_scoped_enable_interceptor_checks() ((void)0)
#endif

struct crypto_shash {
    EVP_MD_CTX *ctx;
    const EVP_MD *md;
};

const char *const hash_algo_name[HASH_ALGO__LAST] = { "sha1", "sha256", "sha384" };

struct crypto_shash *crypto_alloc_shash(const char *name, u32 type, u32 mask)
{
    struct crypto_shash *tfm;

    (void)type;
    (void)mask;
    sim_need_sleepable("crypto_alloc_shash()");
    tfm = kzalloc(sizeof(*tfm), GFP_KERNEL);
    if (!tfm)
        return ERR_PTR(-ENOMEM);
    /* Its configuration file is none of ours; and MSan does not know what it wrote. */
    __msan_scoped_disable_interceptor_checks();
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    tfm->md = EVP_get_digestbyname(name);
    tfm->ctx = EVP_MD_CTX_new();
    __msan_scoped_enable_interceptor_checks();
    if (!tfm->md || !tfm->ctx)
        abort();
    return tfm;
}

void crypto_free_shash(struct crypto_shash *tfm)
{
    EVP_MD_CTX_free(tfm->ctx);
    kfree(tfm);
}

int crypto_shash_init(struct shash_desc *desc)
{
    int ok;

    __msan_scoped_disable_interceptor_checks();
    ok = EVP_DigestInit_ex(desc->tfm->ctx, desc->tfm->md, NULL);
    __msan_scoped_enable_interceptor_checks();
    return ok ? 0 : -EINVAL;
}

int crypto_shash_update(struct shash_desc *desc, const u8 *data, unsigned int len)
{
    sim_step();
    __msan_check_mem_is_initialized(data, len);
    return EVP_DigestUpdate(desc->tfm->ctx, data, len) ? 0 : -EINVAL;
}

int crypto_shash_final(struct shash_desc *desc, u8 *out)
{
    unsigned int n = 0;

    if (!EVP_DigestFinal_ex(desc->tfm->ctx, out, &n))
        return -EINVAL;
    __msan_unpoison(out, n);
    return 0;
}

int crypto_shash_finup(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out)
{
    int r = crypto_shash_update(desc, data, len);

    return r ? r : crypto_shash_final(desc, out);
}

int crypto_shash_digest(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out)
{
    int r = crypto_shash_init(desc);

    return r ? r : crypto_shash_finup(desc, data, len, out);
}

int crypto_shash_tfm_digest(struct crypto_shash *tfm, const u8 *data, unsigned int len, u8 *out)
{
    struct shash_desc desc = { tfm };

    return crypto_shash_digest(&desc, data, len, out);
}

struct tpm_chip *tpm_default_chip(void)
{
    return NULL;
}

int tpm_pcr_extend(struct tpm_chip *chip, u32 pcr, struct tpm_digest *digests)
{
    (void)chip;
    (void)pcr;
    (void)digests;
    return -ENODEV;
}

void put_device(struct device *dev)
{
    (void)dev;
}

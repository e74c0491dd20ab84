// SPDX-License-Identifier: Apache-2.0
/*
 * The storage key sealed to a TPM 2.0, by tpm2-tss ESAPI. Which TPM is the configuration's; what
 * it says is trusted, the blob's form is checked. Sizes and attributes: TPM 2.0 Library, part 2.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "attest/service/vault/vault.h"

#define BLOB_MAX (sizeof(TPM2B_PUBLIC) + sizeof(TPM2B_PRIVATE))

struct tpm {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR primary;
};

static enum bawn_status failed(struct bawn_error *err, const char *what, TSS2_RC rc)
{
    return bawn_fail(err, BAWN_E_IO, "TPM: %s: %s", what, Tss2_RC_Decode(rc));
}

static void tpm_close(struct tpm *t)
{
    if (t->esys && t->primary != ESYS_TR_NONE)
        Esys_FlushContext(t->esys, t->primary);
    if (t->esys)
        Esys_Finalize(&t->esys);
    if (t->tcti)
        Tss2_TctiLdr_Finalize(&t->tcti);
}

/* What `tpm2_createprimary -C o -G ecc` makes: the same TPM always gives the same key, so that
 * nothing has to be made persistent. */
static const TPM2B_PUBLIC primary_template = {
    .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM |
                            TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                            TPMA_OBJECT_USERWITHAUTH,
        .parameters.eccDetail = {
            .symmetric = { .algorithm = TPM2_ALG_AES,
                           .keyBits.aes = 128,
                           .mode.aes = TPM2_ALG_CFB },
            .scheme.scheme = TPM2_ALG_NULL,
            .curveID = TPM2_ECC_NIST_P256,
            .kdf.scheme = TPM2_ALG_NULL,
        },
    },
};

static enum bawn_status tpm_open(struct tpm *t, const char *tcti, struct bawn_error *err)
{
    static const TPM2B_SENSITIVE_CREATE no_secret;
    static const TPM2B_DATA no_data;
    static const TPML_PCR_SELECTION no_pcrs;
    TSS2_RC rc;

    *t = (struct tpm){ .primary = ESYS_TR_NONE };
    rc = Tss2_TctiLdr_Initialize(tcti, &t->tcti);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_Initialize(&t->esys, t->tcti, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return failed(err, "cannot be reached", rc);
    rc = Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                            &no_secret, &primary_template, &no_data, &no_pcrs, &t->primary, NULL,
                            NULL, NULL, NULL);
    return rc == TSS2_RC_SUCCESS ? BAWN_OK : failed(err, "cannot make its primary key", rc);
}

enum bawn_status tpm_seal_key(const char *tcti, const uint8_t key[KEY_SIZE], uint8_t **blob,
                              size_t *len, struct bawn_error *err)
{
    static const TPM2B_PUBLIC template = {
        .publicArea = {
            .type = TPM2_ALG_KEYEDHASH,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes =
                TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH,
            .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL,
        },
    };
    static const TPM2B_DATA no_data;
    static const TPML_PCR_SELECTION no_pcrs;
    TPM2B_SENSITIVE_CREATE secret = { .sensitive.data.size = KEY_SIZE };
    TPM2B_PRIVATE *private = NULL;
    TPM2B_PUBLIC *public = NULL;
    struct tpm t;
    TSS2_RC rc;
    enum bawn_status st = tpm_open(&t, tcti, err);

    if (st == BAWN_OK) {
        memcpy(secret.sensitive.data.buffer, key, KEY_SIZE);
        rc = Esys_Create(t.esys, t.primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &secret,
                         &template, &no_data, &no_pcrs, &private, &public, NULL, NULL, NULL);
        OPENSSL_cleanse(&secret, sizeof(secret));
        if (rc != TSS2_RC_SUCCESS)
            st = failed(err, "cannot seal the key", rc);
    }
    *blob = st == BAWN_OK ? malloc(BLOB_MAX) : NULL;
    *len = 0;
    if (st == BAWN_OK && (!*blob || Tss2_MU_TPM2B_PUBLIC_Marshal(public, *blob, BLOB_MAX, len) ||
                          Tss2_MU_TPM2B_PRIVATE_Marshal(private, *blob, BLOB_MAX, len))) {
        free(*blob);
        *blob = NULL;
        st = bawn_fail(err, BAWN_E_NOMEM, "TPM: no memory for the sealed key");
    }
    Esys_Free(private);
    Esys_Free(public);
    tpm_close(&t);
    return st;
}

enum bawn_status tpm_unseal_key(const char *tcti, struct bawn_bytes blob, uint8_t key[KEY_SIZE],
                                struct bawn_error *err)
{
    TPM2B_SENSITIVE_DATA *data = NULL;
    TPM2B_PRIVATE private = { 0 };
    TPM2B_PUBLIC public = { 0 };
    ESYS_TR object = ESYS_TR_NONE;
    struct tpm t;
    size_t at = 0;
    TSS2_RC rc;
    enum bawn_status st;

    if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(blob.data, blob.len, &at, &public) ||
        Tss2_MU_TPM2B_PRIVATE_Unmarshal(blob.data, blob.len, &at, &private) || at != blob.len)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "storage key: the file is not what tpm2_create gives: the public part, "
                         "then the private part");
    st = tpm_open(&t, tcti, err);
    if (st != BAWN_OK) {
        tpm_close(&t);
        return st;
    }
    rc = Esys_Load(t.esys, t.primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &private,
                   &public, &object);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_Unseal(t.esys, object, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data);
    if (rc != TSS2_RC_SUCCESS)
        st = failed(err, "does not open the storage key (is it another TPM?)", rc);
    else if (data->size != KEY_SIZE)
        st = bawn_fail(err, BAWN_E_CONFIG, "storage key: %u bytes are sealed, not %d", data->size,
                       KEY_SIZE);
    else
        memcpy(key, data->buffer, KEY_SIZE);
    if (data)
        OPENSSL_cleanse(data, sizeof(*data));
    Esys_Free(data);
    if (object != ESYS_TR_NONE)
        Esys_FlushContext(t.esys, object);
    tpm_close(&t);
    return st;
}

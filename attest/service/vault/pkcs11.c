// SPDX-License-Identifier: Apache-2.0
/*
 * The storage key, encrypted under a key that a PKCS#11 token keeps (PKCS #11 2.40). The module is
 * the administrator's and trusted: it is loaded into the vault before that gives up its rights,
 * asked once, and let go. The sealed file's form is checked by its length and by the token.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include <p11-kit-1/p11-kit/pkcs11.h>

#include "attest/service/vault/vault.h"

#define SLOTS_MAX 64
#define LABEL_SIZE 32 /* of CK_TOKEN_INFO, padded with blanks */
#define IV_SIZE 16
#define PLAIN_MAX 1024 /* a decryption's result; RSA-8192's longest */

struct token {
    void *module;
    CK_FUNCTION_LIST *p11;
    bool initialized, session_open, logged_in;
    CK_SESSION_HANDLE session;
};

/* A wrong PIN is a wrong configuration: who starts the service again must not try it again. */
static const struct {
    CK_RV rv;
    enum bawn_status st;
    const char *text;
} reasons[] = {
    { CKR_PIN_INCORRECT, BAWN_E_CONFIG, "the PIN is wrong (a token counts such attempts)" },
    { CKR_PIN_INVALID, BAWN_E_CONFIG, "the PIN has a form that the token does not take" },
    { CKR_PIN_LEN_RANGE, BAWN_E_CONFIG, "the PIN is too short or too long" },
    { CKR_PIN_LOCKED, BAWN_E_CONFIG, "the PIN is locked, after too many wrong ones" },
    { CKR_USER_PIN_NOT_INITIALIZED, BAWN_E_CONFIG, "the token has no user PIN yet" },
    { CKR_TOKEN_NOT_PRESENT, BAWN_E_IO, "there is no token in the slot" },
    { CKR_SLOT_ID_INVALID, BAWN_E_IO, "there is no such slot" },
    { CKR_KEY_FUNCTION_NOT_PERMITTED, BAWN_E_IO, "the key may not decrypt (CKA_DECRYPT)" },
    { CKR_MECHANISM_INVALID, BAWN_E_IO, "the token does not have the mechanism" },
    { CKR_ENCRYPTED_DATA_INVALID, BAWN_E_IO,
      "the sealed file was made for another key, or altered" },
    { CKR_ENCRYPTED_DATA_LEN_RANGE, BAWN_E_IO,
      "the sealed file was made for a key of another length" },
    { CKR_DATA_INVALID, BAWN_E_IO, "the sealed file was made for another key, or altered" },
};

static enum bawn_status failed(struct bawn_error *err, const char *what, CK_RV rv)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].rv == rv)
            return bawn_fail(err, reasons[i].st, "PKCS#11: %s: %s", what, reasons[i].text);
    return bawn_fail(err, BAWN_E_IO, "PKCS#11: %s: error 0x%lx", what, rv);
}

/* ---- Module and token ---- */

static enum bawn_status load(struct token *t, const struct config_pkcs11 *c, struct bawn_error *err)
{
    /* NSS, which takes a text in place of pReserved, has a member of that name behind it. */
    struct {
        CK_C_INITIALIZE_ARGS standard;
        void *none;
    } arguments = { { .flags = CKF_OS_LOCKING_OK, .pReserved = c->init_args }, NULL };
    const char *path = c->module;
    CK_C_GetFunctionList list = NULL;
    CK_RV rv;

    t->module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!t->module)
        return bawn_fail(err, BAWN_E_CONFIG, "PKCS#11: cannot load the module: %s", dlerror());
    *(void **)&list = dlsym(t->module, "C_GetFunctionList");
    if (!list || list(&t->p11) != CKR_OK || !t->p11)
        return bawn_fail(err, BAWN_E_CONFIG, "%s is no PKCS#11 module", path);
    rv = t->p11->C_Initialize(&arguments);
    t->initialized = rv == CKR_OK;
    return rv == CKR_OK ? BAWN_OK : failed(err, "the module cannot be started", rv);
}

static bool has_label(const CK_TOKEN_INFO *info, const char *label)
{
    size_t len = strlen(label), end = LABEL_SIZE;

    while (end && info->label[end - 1] == ' ')
        end--;
    return len == end && !memcmp(info->label, label, len);
}

static enum bawn_status find_slot(struct token *t, const struct config_pkcs11 *c, CK_SLOT_ID *slot,
                                  struct bawn_error *err)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    unsigned found = 0;
    CK_RV rv;

    if (!c->token) {
        *slot = c->slot;
        return BAWN_OK;
    }
    rv = t->p11->C_GetSlotList(CK_TRUE, slots, &n);
    if (rv != CKR_OK)
        return failed(err, "cannot list the tokens", rv);
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;

        if (t->p11->C_GetTokenInfo(slots[i], &info) == CKR_OK && has_label(&info, c->token)) {
            *slot = slots[i];
            found++;
        }
    }
    if (found == 1)
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_IO,
                     found ? "PKCS#11: %lu tokens are there, and several are labelled %s: give a "
                             "slot instead"
                           : "PKCS#11: %lu tokens are there, and none is labelled %s "
                             "(pkcs11-tool --module MODULE --list-slots)",
                     n, c->token);
}

static enum bawn_status log_in(struct token *t, const struct config_pkcs11 *c,
                               struct bawn_error *err)
{
    size_t len = c->pin.len;
    CK_SLOT_ID slot = 0;
    CK_RV rv;
    enum bawn_status st = find_slot(t, c, &slot, err);

    if (st != BAWN_OK)
        return st;
    while (len && (c->pin.data[len - 1] == '\n' || c->pin.data[len - 1] == '\r'))
        len--;
    if (!len)
        return bawn_fail(err, BAWN_E_CONFIG, "PKCS#11: the PIN's file is empty");
    rv = t->p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &t->session);
    if (rv != CKR_OK)
        return failed(err, "cannot open a session", rv);
    t->session_open = true;
    rv = t->p11->C_Login(t->session, CKU_USER, c->pin.data, len);
    t->logged_in = rv == CKR_OK;
    return rv == CKR_OK ? BAWN_OK : failed(err, "cannot log in", rv);
}

static void token_close(struct token *t)
{
    if (t->p11 && t->logged_in)
        t->p11->C_Logout(t->session);
    if (t->p11 && t->session_open)
        t->p11->C_CloseSession(t->session);
    if (t->p11 && t->initialized)
        t->p11->C_Finalize(NULL);
    if (t->module)
        dlclose(t->module);
}

/* ---- The key ---- */

/* One of that class and type with the label; 0: none, 2: several. */
static unsigned find_key(struct token *t, const char *label, CK_OBJECT_CLASS class,
                         CK_KEY_TYPE type, CK_OBJECT_HANDLE *key)
{
    CK_ATTRIBUTE search[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_KEY_TYPE, &type, sizeof(type) },
        { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
    };
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n = 0;

    if (t->p11->C_FindObjectsInit(t->session, search, 3) != CKR_OK)
        return 0;
    if (t->p11->C_FindObjects(t->session, found, 2, &n) != CKR_OK)
        n = 0;
    t->p11->C_FindObjectsFinal(t->session);
    if (n)
        *key = found[0];
    return (unsigned)n;
}

static CK_RV decrypt(struct token *t, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                     struct bawn_bytes sealed, uint8_t *plain, CK_ULONG *len)
{
    CK_RV rv = t->p11->C_DecryptInit(t->session, mechanism, key);

    *len = PLAIN_MAX;
    if (rv == CKR_OK)
        rv = t->p11->C_Decrypt(t->session, (CK_BYTE *)(uintptr_t)sealed.data, sealed.len, plain,
                               len);
    return rv;
}

/* OAEP with SHA-256. SHA-1 has no known weakness in this use, but is taken only when that was said:
 * a token that cannot do better (SoftHSM 2.6) must not choose for the one who made the file. */
static CK_RV decrypt_rsa(struct token *t, bool sha1, CK_OBJECT_HANDLE key, struct bawn_bytes sealed,
                         uint8_t *plain, CK_ULONG *len)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
    CK_MECHANISM mechanism = { CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) };
    CK_RV rv;

    if (sha1) {
        oaep.hashAlg = CKM_SHA_1;
        oaep.mgf = CKG_MGF1_SHA1;
    }
    rv = decrypt(t, &mechanism, key, sealed, plain, len);
    return rv == CKR_ARGUMENTS_BAD ? CKR_MECHANISM_PARAM_INVALID : rv; /* SoftHSM's */
}

/* The initialisation vector, then AES-CBC with padding: what pkcs11-tool can make. An altered file
 * gives another key, with which nothing in the database opens. */
static CK_RV decrypt_aes(struct token *t, CK_OBJECT_HANDLE key, struct bawn_bytes sealed,
                         uint8_t *plain, CK_ULONG *len)
{
    uint8_t iv[IV_SIZE];
    CK_MECHANISM mechanism = { CKM_AES_CBC_PAD, iv, sizeof(iv) };

    if (sealed.len != IV_SIZE + KEY_SIZE + IV_SIZE)
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    memcpy(iv, sealed.data, sizeof(iv));
    return decrypt(t, &mechanism, key,
                   (struct bawn_bytes){ sealed.data + IV_SIZE, sealed.len - IV_SIZE }, plain, len);
}

static enum bawn_status unwrap(struct token *t, const struct config_pkcs11 *c,
                               struct bawn_bytes sealed, uint8_t key[KEY_SIZE],
                               struct bawn_error *err)
{
    CK_OBJECT_HANDLE rsa = 0, aes = 0;
    unsigned n = find_key(t, c->key, CKO_PRIVATE_KEY, CKK_RSA, &rsa), n_rsa = n;
    uint8_t plain[PLAIN_MAX];
    CK_ULONG len = 0;
    CK_RV rv;
    enum bawn_status st = BAWN_OK;

    n += find_key(t, c->key, CKO_SECRET_KEY, CKK_AES, &aes);
    if (n != 1)
        return bawn_fail(err, BAWN_E_CONFIG,
                         n ? "PKCS#11: several RSA or AES keys are labelled %s"
                           : "PKCS#11: the token has no RSA private key and no AES key labelled %s "
                             "(pkcs11-tool --login --list-objects)",
                         c->key);
    rv = n_rsa ? decrypt_rsa(t, c->oaep_sha1, rsa, sealed, plain, &len)
               : decrypt_aes(t, aes, sealed, plain, &len);
    if (rv == CKR_MECHANISM_PARAM_INVALID && n_rsa && !c->oaep_sha1)
        st = bawn_fail(err, BAWN_E_CONFIG,
                       "PKCS#11: the token has no OAEP with SHA-256: seal the key with SHA-1 and "
                       "say \"oaep\": \"sha1\", or under an AES key");
    else if (rv != CKR_OK)
        st = failed(err, "the storage key cannot be unwrapped", rv);
    else if (len != KEY_SIZE)
        st = bawn_fail(err, BAWN_E_CONFIG, "storage key: %lu bytes are sealed, not %d", len,
                       KEY_SIZE);
    else
        memcpy(key, plain, KEY_SIZE);
    OPENSSL_cleanse(plain, sizeof(plain));
    return st;
}

enum bawn_status pkcs11_unseal_key(const struct config_pkcs11 *c, struct bawn_bytes sealed,
                                   uint8_t key[KEY_SIZE], struct bawn_error *err)
{
    struct token t = { .module = NULL };
    enum bawn_status st = load(&t, c, err);

    if (st == BAWN_OK && t.p11)
        st = log_in(&t, c, err);
    if (st == BAWN_OK && t.p11)
        st = unwrap(&t, c, sealed, key, err);
    token_close(&t);
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Storage key and keyring. The storage key comes from the configuration's file or TPM; the other
 * keys are made at the first start and live sealed in the database, where replicas agree on one:
 * the first of each kind has a fixed name, so that only one replica's insertion succeeds.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "attest/jose/jose.h"
#include "attest/service/vault/vault.h"
#include "common/bytes.h"

static const char *const kind_names[KEY_KINDS] = {
    [KEY_SESSION] = "session",
    [KEY_TOKEN] = "token",
    [KEY_LOG] = "log",
};

/* ---- Storage key ---- */

/* 32 bytes, or 64 hexadecimal digits and perhaps a line end. */
static enum bawn_status key_from_file(const struct config_file *file, uint8_t key[KEY_SIZE],
                                      struct bawn_error *err)
{
    size_t len = file->len;

    if (len == KEY_SIZE) {
        memcpy(key, file->data, KEY_SIZE);
        return BAWN_OK;
    }
    while (len && (file->data[len - 1] == '\n' || file->data[len - 1] == '\r'))
        len--;
    if (len == (size_t)2 * KEY_SIZE && hex_parse((const char *)file->data, key, KEY_SIZE))
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_CONFIG,
                     "%s: a storage key is 32 bytes or 64 hexadecimal digits "
                     "(head -c 32 /dev/urandom)",
                     file->path);
}

enum bawn_status storage_key_load(const struct service_config *config, uint8_t key[KEY_SIZE],
                                  struct bawn_error *err)
{
    const struct config_file *file = &config->storage.file;

    if (!file->data)
        return bawn_fail(err, BAWN_E_CONFIG, "storage key: no file is configured, or it is empty");
    if (config->storage.kind == STORAGE_KEY_FILE)
        return key_from_file(file, key, err);
    if (config->storage.kind == STORAGE_KEY_PKCS11)
        return pkcs11_unseal_key(&config->storage.pkcs11,
                                 (struct bawn_bytes){ file->data, file->len }, key, err);
    return tpm_unseal_key(config->storage.uri, (struct bawn_bytes){ file->data, file->len }, key,
                          err);
}

/* ---- Keys in memory ---- */

static void forget(struct vault_key *k)
{
    EVP_MAC_CTX_free(k->mac); /* wipes what it has of the key */
    EVP_PKEY_free(k->pkey);
    json_decref(k->header);
    free(k->id);
    free(k->kid);
    *k = (struct vault_key){ 0 };
}

void keyring_clear(struct keyring *ring)
{
    for (size_t i = 0; i < ring->n; i++)
        forget(&ring->key[i]);
    free(ring->key);
    ring->key = NULL;
    ring->n = 0;
}

void keyring_wipe(struct keyring *ring)
{
    keyring_clear(ring);
    OPENSSL_cleanse(ring->storage, sizeof(ring->storage));
}

const struct vault_key *keyring_current(const struct keyring *ring, enum key_kind kind)
{
    const struct vault_key *newest = NULL;

    for (size_t i = 0; i < ring->n; i++) {
        const struct vault_key *k = &ring->key[i];

        if (k->kind == kind && !k->retired && (!newest || k->created > newest->created))
            newest = k;
    }
    return newest;
}

/* Whether there is state to be believed is behind the id: so an id must not have a blank in it. */
static void aad_of(const char *id, bool state, char aad[128])
{
    snprintf(aad, 128, "bawn-attestd keyring %s%s", id, state ? " with state" : "");
}

/* ---- Reading ---- */

struct reading {
    struct keyring *ring;
    enum bawn_status st;
    struct bawn_error *err;
};

/* Ready for session.c: looking up the algorithm costs more than a MAC does. */
static EVP_MAC_CTX *make_mac(const uint8_t key[KEY_SIZE])
{
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
                            OSSL_PARAM_construct_end() };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

    EVP_MAC_free(hmac);
    if (ctx && EVP_MAC_init(ctx, key, KEY_SIZE, params) == 1)
        return ctx;
    EVP_MAC_CTX_free(ctx);
    return NULL;
}

#define ID_MAX 64

static enum bawn_status open_key(struct keyring *ring, struct vault_key *k,
                                 struct bawn_bytes sealed, struct bawn_error *err)
{
    uint8_t *plain;
    const uint8_t *p;
    char aad[128];
    size_t len;
    enum bawn_status st;

    if (strncmp(k->id, kind_names[k->kind], strlen(kind_names[k->kind])) != 0 ||
        strchr(k->id, ' ') || strlen(k->id) >= ID_MAX)
        return bawn_fail(err, BAWN_E_DENIED, "the key %.64s is no %s key", k->id,
                         kind_names[k->kind]);
    aad_of(k->id, k->kind == KEY_LOG, aad);
    st = unseal(ring->storage, aad, sealed, &plain, &len, err);
    if (st == BAWN_E_DENIED && k->kind == KEY_LOG) {
        aad_of(k->id, false, aad);
        st = unseal(ring->storage, aad, sealed, &plain, &len, err);
        ring->old |= st == BAWN_OK;
    }
    if (st != BAWN_OK)
        return st;
    p = plain;
    if (k->kind == KEY_SESSION && len == KEY_SIZE)
        k->mac = make_mac(plain);
    else if (k->kind != KEY_SESSION)
        k->pkey = d2i_AutoPrivateKey(NULL, &p, (long)len);
    if (k->kind == KEY_SESSION ? !k->mac : !k->pkey)
        st = bawn_fail(err, BAWN_E_FORMAT, "%s holds no key", aad);
    OPENSSL_cleanse(plain, len);
    free(plain);
    if (st == BAWN_OK && k->kind == KEY_TOKEN) {
        k->kid = jwk_thumbprint(k->pkey);
        k->header = k->kid ? token_header(k->pkey, k->kid) : NULL;
        if (!k->header)
            st = bawn_fail(err, BAWN_E_NOMEM, "no memory for keys");
    }
    return st;
}

static bool take_row(void *context, const struct db_value *c, int n)
{
    struct reading *r = context;
    struct vault_key k = { .kind = KEY_KINDS }, *more;

    if (n != 5 || c[0].type != DB_TEXT || c[1].type != DB_TEXT)
        return true;
    for (unsigned i = 0; i < KEY_KINDS; i++)
        if (!strcmp((const char *)c[1].bytes.data, kind_names[i]))
            k.kind = (enum key_kind)i;
    if (k.kind == KEY_KINDS)
        return true;
    k.id = strdup((const char *)c[0].bytes.data);
    k.created = c[2].i;
    k.retired = c[3].type == DB_INT ? c[3].i : 0;
    more = realloc(r->ring->key, (r->ring->n + 1) * sizeof(*more));
    if (more)
        r->ring->key = more;
    r->st = k.id && more ? open_key(r->ring, &k, c[4].bytes, r->err)
                         : bawn_fail(r->err, BAWN_E_NOMEM, "no memory for keys");
    if (r->st == BAWN_OK)
        r->ring->key[r->ring->n++] = k;
    else
        forget(&k);
    return r->st == BAWN_OK;
}

static enum bawn_status read_all(struct keyring *ring, struct db *db, struct bawn_error *err)
{
    struct reading reading = { ring, BAWN_OK, err };
    enum bawn_status st;

    keyring_clear(ring);
    ring->old = false;
    st = db_run(db, "SELECT id, kind, created, retired, sealed FROM keyring ORDER BY created, id",
                NULL, 0, take_row, &reading, NULL, err);
    return st != BAWN_OK ? st : reading.st;
}

/* ---- Making ---- */

static EVP_PKEY *make_pkey(enum key_kind kind, const char *algorithm)
{
    if (kind == KEY_LOG)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", !strcmp(algorithm, "ES256") ? "P-256" : "P-384");
}

static uint8_t *make_plain(enum key_kind kind, const char *algorithm, int *len)
{
    uint8_t *plain = NULL;
    EVP_PKEY *pkey;

    if (kind == KEY_SESSION) {
        plain = OPENSSL_malloc(KEY_SIZE);
        *len = KEY_SIZE;
        if (plain && RAND_priv_bytes(plain, KEY_SIZE) == 1)
            return plain;
        OPENSSL_free(plain);
        return NULL;
    }
    pkey = make_pkey(kind, algorithm);
    *len = pkey ? i2d_PrivateKey(pkey, &plain) : 0;
    EVP_PKEY_free(pkey);
    return *len > 0 ? plain : NULL;
}

static enum bawn_status insert(struct keyring *ring, struct db *db, enum key_kind kind,
                               const char *id, const char *algorithm, int64_t now,
                               struct bawn_error *err)
{
    uint8_t *plain, *sealed;
    char aad[128];
    size_t len;
    int plain_len;
    enum bawn_status st;

    plain = make_plain(kind, algorithm, &plain_len);
    if (!plain)
        return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot make a %s key", kind_names[kind]);
    aad_of(id, kind == KEY_LOG, aad);
    st = seal(ring->storage, aad, plain, (size_t)plain_len, &sealed, &len, err);
    OPENSSL_clear_free(plain, (size_t)plain_len);
    if (st != BAWN_OK)
        return st;
    st = db_run(db, "INSERT INTO keyring (id, kind, created, sealed) VALUES ($1, $2, $3, $4)",
                (struct db_value[]){ db_text(id), db_text(kind_names[kind]), db_int(now),
                                     db_blob(sealed, len) },
                4, NULL, NULL, NULL, err);
    free(sealed);
    return st;
}

static bool note_row(void *context, const struct db_value *c, int n)
{
    (void)c, (void)n;
    *(bool *)context = true;
    return false;
}

/* Without its log key a database would count as a new one. */
static enum bawn_status check_unused(struct db *db, struct bawn_error *err)
{
    static const char *const used[] = { "SELECT 1 FROM policy LIMIT 1",
                                        "SELECT 1 FROM reference LIMIT 1",
                                        "SELECT 1 FROM revoked LIMIT 1",
                                        "SELECT 1 FROM log_entry LIMIT 1",
                                        "SELECT 1 FROM secret LIMIT 1",
                                        "SELECT 1 FROM session LIMIT 1",
                                        "SELECT 1 FROM meta WHERE key LIKE 'signer/%' LIMIT 1" };
    enum bawn_status st = BAWN_OK;
    bool any = false;

    for (size_t i = 0; st == BAWN_OK && i < sizeof(used) / sizeof(used[0]); i++)
        st = db_run(db, used[i], NULL, 0, note_row, &any, NULL, err);
    if (st == BAWN_OK && any)
        st = bawn_fail(err, BAWN_E_DENIED,
                       "the database is in use and has no key of the log: restore a backup");
    return st;
}

enum bawn_status keyring_load_again(struct keyring *ring, struct db *db, struct bawn_error *err)
{
    return read_all(ring, db, err);
}

bool keyring_is_old(const struct keyring *ring)
{
    return ring->old;
}

enum bawn_status keyring_renew(struct keyring *ring, struct db *db, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < ring->n; i++) {
        struct vault_key *k = &ring->key[i];
        uint8_t *plain = NULL, *sealed = NULL;
        char aad[128];
        size_t len = 0;
        int plain_len;

        if (k->kind != KEY_LOG)
            continue;
        plain_len = i2d_PrivateKey(k->pkey, &plain);
        if (plain_len <= 0)
            return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot write the log's key");
        aad_of(k->id, true, aad);
        st = seal(ring->storage, aad, plain, (size_t)plain_len, &sealed, &len, err);
        OPENSSL_clear_free(plain, (size_t)plain_len);
        if (st == BAWN_OK)
            st = db_run(db, "UPDATE keyring SET sealed = $1 WHERE id = $2",
                        (struct db_value[]){ db_blob(sealed, len), db_text(k->id) }, 2, NULL, NULL,
                        NULL, err);
        free(sealed);
    }
    if (st == BAWN_OK)
        ring->old = false;
    return st;
}

enum bawn_status keyring_load(struct keyring *ring, struct db *db, const char *token_algorithm,
                              int64_t now, struct bawn_error *err)
{
    enum bawn_status st = db_begin(db, err);
    bool made = false;

    if (st != BAWN_OK)
        return st;
    st = read_all(ring, db, err);
    for (unsigned kind = 0; st == BAWN_OK && kind < KEY_KINDS; kind++) {
        char id[32];

        if (keyring_current(ring, (enum key_kind)kind))
            continue;
        snprintf(id, sizeof(id), "%s-1", kind_names[kind]);
        if (kind == KEY_LOG)
            st = check_unused(db, err);
        if (st != BAWN_OK)
            break;
        st = insert(ring, db, (enum key_kind)kind, id, token_algorithm, now, err);
        if (st == BAWN_OK && kind == KEY_LOG)
            st = state_begin(ring, db, err);
        if (st == BAWN_E_DENIED) /* another replica was first */
            st = BAWN_OK;
        made = true;
    }
    if (st == BAWN_OK)
        st = db_commit(db, err);
    else
        db_rollback(db);
    return st == BAWN_OK && made ? read_all(ring, db, err) : st;
}

enum bawn_status keyring_rotate(struct keyring *ring, struct db *db, enum key_kind kind,
                                const char *token_algorithm, int64_t now, struct bawn_error *err)
{
    uint8_t random[8];
    char id[64];
    enum bawn_status st;

    if (RAND_bytes(random, sizeof(random)) != 1)
        return bawn_fail(err, BAWN_E_INTERNAL, "no random numbers");
    snprintf(id, sizeof(id), "%s-%lld-%02x%02x%02x%02x", kind_names[kind], (long long)now,
             random[0], random[1], random[2], random[3]);
    st = db_run(db, "UPDATE keyring SET retired = $1 WHERE kind = $2 AND retired IS NULL",
                (struct db_value[]){ db_int(now), db_text(kind_names[kind]) }, 2, NULL, NULL, NULL,
                err);
    if (st == BAWN_OK)
        st = insert(ring, db, kind, id, token_algorithm, now, err);
    return st == BAWN_OK ? read_all(ring, db, err) : st;
}

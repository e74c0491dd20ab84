// SPDX-License-Identifier: Apache-2.0
/*
 * Sessions: a cookie that authenticates itself and a nonce that is computed from it, so that a
 * session costs nothing until evidence comes and any replica serves it (README.md).
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "attest/jose/jose.h"
#include "attest/service/vault/vault.h"

/* What KBS clients call the TEEs that libbawn-attest can judge. */
const char *const session_tees[] = {
    "snp", "tdx", "sgx", "tpm", "az-snp-vtpm", "az-tdx-vtpm", NULL
};

#define MAC 32
#define COOKIE_MAX 160

/* ---- MACs ---- */

/* Over the label and the parts, each behind its length, so that no two lists of parts are one. */
static enum bawn_status mac(const struct vault_key *key, const struct bawn_bytes *parts, size_t n,
                            uint8_t out[MAC], struct bawn_error *err)
{
    bool ok = EVP_MAC_init(key->mac, NULL, 0, NULL) == 1; /* anew, under the same key */
    size_t len;

    for (size_t i = 0; ok && i < n; i++) {
        uint8_t size[4] = { (uint8_t)(parts[i].len >> 24), (uint8_t)(parts[i].len >> 16),
                            (uint8_t)(parts[i].len >> 8), (uint8_t)parts[i].len };

        ok = EVP_MAC_update(key->mac, size, sizeof(size)) == 1 &&
             EVP_MAC_update(key->mac, parts[i].data, parts[i].len) == 1;
    }
    ok = ok && EVP_MAC_final(key->mac, out, &len, MAC) == 1 && len == MAC;
    return ok ? BAWN_OK : bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot compute a MAC");
}

static struct bawn_bytes text(const char *s)
{
    return (struct bawn_bytes){ (const uint8_t *)s, strlen(s) };
}

static enum bawn_status cookie_mac(const struct vault_key *key, const struct session *s,
                                   const char *tenant, uint8_t out[MAC], struct bawn_error *err)
{
    char expires[24];
    struct bawn_bytes parts[] = { text("cookie"), { s->id, SESSION_ID }, { 0 }, text(tenant) };

    snprintf(expires, sizeof(expires), "%lld", (long long)s->expires);
    parts[2] = text(expires);
    return mac(key, parts, 4, out, err);
}

enum bawn_status session_nonce(const struct session *s, const char *tenant, const char *tee,
                               char nonce[48], struct bawn_error *err)
{
    const struct bawn_bytes parts[] = {
        text("nonce"), { s->id, SESSION_ID }, text(tenant), text(tee)
    };
    uint8_t out[MAC];
    enum bawn_status st = mac(s->key, parts, 4, out, err);

    if (st == BAWN_OK)
        EVP_EncodeBlock((unsigned char *)nonce, out, MAC);
    return st;
}

/* ---- Cookies ---- */

enum bawn_status session_create(struct vault *v, const char *tenant, struct session *s,
                                char **cookie, struct bawn_error *err)
{
    uint8_t out[MAC];
    char *id, *end, *made;
    size_t len = COOKIE_MAX;
    enum bawn_status st;

    s->key = keyring_current(&v->keys, KEY_SESSION);
    s->expires = vault_now(v) + v->config->session_lifetime;
    if (!s->key || RAND_bytes(s->id, SESSION_ID) != 1)
        return bawn_fail(err, BAWN_E_INTERNAL, "no session key, or no random numbers");
    st = cookie_mac(s->key, s, tenant, out, err);
    if (st != BAWN_OK)
        return st;
    id = b64url_encode(s->id, SESSION_ID);
    end = b64url_encode(out, MAC);
    made = malloc(len);
    if (id && end && made)
        snprintf(made, len, "%s.%lld.%s", id, (long long)s->expires, end);
    else {
        free(made);
        made = NULL;
    }
    free(id);
    free(end);
    *cookie = made;
    return made ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory for a session");
}

static bool decode_exactly(const char *from, size_t from_len, uint8_t *to, size_t to_len)
{
    uint8_t *data = NULL;
    size_t len = 0;
    bool ok = b64url_decode(from, from_len, &data, &len, NULL) == BAWN_OK && len == to_len;

    if (ok)
        memcpy(to, data, to_len);
    free(data);
    return ok;
}

/* id.expiry.mac */
static bool cookie_read(const char *cookie, struct session *s, uint8_t out[MAC])
{
    const char *first = strchr(cookie, '.'), *second = first ? strchr(first + 1, '.') : NULL;
    size_t digits = second ? (size_t)(second - first - 1) : 0;

    if (!digits || digits > 12 || strspn(first + 1, "0123456789") != digits ||
        strlen(cookie) > COOKIE_MAX)
        return false;
    s->expires = strtoll(first + 1, NULL, 10);
    return decode_exactly(cookie, (size_t)(first - cookie), s->id, SESSION_ID) &&
           decode_exactly(second + 1, strlen(second + 1), out, MAC);
}

enum bawn_status session_open(const struct vault *v, const char *tenant, const char *cookie,
                              struct session *s, struct bawn_error *err)
{
    uint8_t given[MAC], right[MAC];

    if (!cookie_read(cookie, s, given))
        return bawn_fail(err, BAWN_E_DENIED, "the cookie is not one of this service");
    for (size_t i = 0; i < v->keys.n; i++) {
        const struct vault_key *key = &v->keys.key[i];

        if (key->kind != KEY_SESSION || cookie_mac(key, s, tenant, right, err) != BAWN_OK ||
            CRYPTO_memcmp(given, right, MAC) != 0)
            continue;
        if (s->expires <= vault_now(v))
            return bawn_fail(err, BAWN_E_DENIED,
                             "the session has expired: start again with POST auth");
        s->key = key;
        return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_DENIED, "the cookie is not one of this service and tenant");
}

/* ---- What was swept ---- */

static bool take_swept(void *context, const struct db_value *c, int n)
{
    if (n == 1 && c[0].type == DB_TEXT)
        *(int64_t *)context = strtoll((const char *)c[0].bytes.data, NULL, 10);
    return false;
}

enum bawn_status session_swept(struct vault *v, int64_t *swept, struct bawn_error *err)
{
    *swept = 0;
    return db_run(v->db, "SELECT value FROM meta WHERE key = 'swept'", NULL, 0, take_swept, swept,
                  NULL, err);
}

/* ---- POST auth ---- */

static const char *choose_hash(const json_t *offered)
{
    static const char *const ours[] = { "sha384", "sha512", "sha256" };
    const json_t *element;
    size_t i;

    if (!json_array_size(offered))
        return ours[0];
    for (size_t k = 0; k < sizeof(ours) / sizeof(ours[0]); k++) {
        json_array_foreach(offered, i, element)
        {
            const char *name = json_string_value(element);

            if (name && !strcmp(name, ours[k]))
                return ours[k];
        }
    }
    return NULL;
}

enum bawn_status serve_session_new(struct vault *v, const struct ipc_msg *m, struct reply *r,
                                   struct bawn_error *err)
{
    const char *tenant = text_of(m->json, "tenant"), *tee = text_of(m->json, "tee");
    const char *hash = choose_hash(json_object_get(m->json, "hashes"));
    struct session s;
    char nonce[48];
    size_t i = 0;
    enum bawn_status st;

    if (!tenant || !vault_tenant(v, tenant))
        return reply_error(r, 404, "TenantNotFound", "there is no tenant of this name");
    while (tee && session_tees[i] && strcmp(session_tees[i], tee) != 0)
        i++;
    if (!tee || !session_tees[i])
        return reply_error(r, 401, "UnsupportedTee",
                           "this TEE is not served: snp, tdx, sgx, tpm, az-snp-vtpm, az-tdx-vtpm");
    if (!hash)
        return reply_error(r, 401, "UnsupportedHash",
                           "none of the hash algorithms is served: sha256, sha384, sha512");
    st = session_create(v, tenant, &s, &r->cookie, err);
    if (st == BAWN_OK)
        st = session_nonce(&s, tenant, tee, nonce, err);
    if (st != BAWN_OK)
        return st;
    v->count.sessions++;
    return reply_json(r, 200,
                      json_pack("{s:s, s:{s:s}}", "nonce", nonce, "extra-params",
                                "selected-hash-algorithm", hash));
}

/* ---- Revocation ---- */

/* Values asked for by one statement; its index finds each. */
#define ASKED 16

static bool note_row(void *context, const struct db_value *c, int n)
{
    (void)c;
    *(bool *)context = n > 0;
    return false;
}

static bool take_value(void *context, const struct db_value *c, int n)
{
    if (n == 1 && c[0].type == DB_TEXT)
        *(char **)context = strdup((const char *)c[0].bytes.data);
    return false;
}

/* Mostly there is none: then nothing need be looked for. */
static enum bawn_status any_revoked(struct vault *v, const char *tenant, bool *any,
                                    struct bawn_error *err)
{
    *any = false;
    return db_run(v->db,
                  "SELECT seq FROM revoked WHERE tenant = $1 AND kind = 'measurement' LIMIT 1",
                  (struct db_value[]){ db_text(tenant) }, 1, note_row, any, NULL, err);
}

/* values: the tenant, then up to ASKED more; those that are not there are NULL, which is in no
 * list. */
static enum bawn_status ask_revoked(struct vault *v, const struct db_value values[1 + ASKED],
                                    char **found, struct bawn_error *err)
{
    return db_run(
        v->db,
        "SELECT value FROM revoked WHERE tenant = $1 AND kind = 'measurement' AND value IN"
        " ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        values, 1 + ASKED, take_value, found, NULL, err);
}

/* Taken out of the database meanwhile, it stays revoked. */
static bool remembered(const struct tenant *t, const char *kind, const char *value)
{
    char key[16 + MEASUREMENT_DIGITS_MAX];

    return t && json_object_size(t->revoked) &&
           snprintf(key, sizeof(key), "%s %s", kind, value) < (int)sizeof(key) &&
           json_object_get(t->revoked, key);
}

enum bawn_status find_revoked(struct vault *v, const char *tenant, const json_t *claims,
                              char **found, struct bawn_error *err)
{
    struct db_value values[1 + ASKED] = { db_text(tenant) };
    const struct tenant *t = vault_tenant(v, tenant);
    const char *name;
    json_t *claim;
    size_t n = 0;
    bool any;
    enum bawn_status st;

    *found = NULL;
    json_object_foreach((json_t *)(uintptr_t)claims, name, claim)
    {
        if (json_is_string(claim) && !*found &&
            remembered(t, "measurement", json_string_value(claim)))
            *found = strdup(json_string_value(claim));
    }
    if (*found)
        return BAWN_OK;
    st = any_revoked(v, tenant, &any, err);
    if (st != BAWN_OK || !any)
        return st;
    json_object_foreach((json_t *)(uintptr_t)claims, name, claim)
    {
        size_t len = json_string_length(claim);

        if (len < MEASUREMENT_DIGITS || len > MEASUREMENT_DIGITS_MAX)
            continue;
        values[1 + n++] = db_text(json_string_value(claim));
        if (n < ASKED)
            continue;
        st = ask_revoked(v, values, found, err);
        if (st != BAWN_OK || *found)
            return st;
        while (n)
            values[n--] = (struct db_value){ .type = DB_NULL };
    }
    return n ? ask_revoked(v, values, found, err) : st;
}

enum bawn_status is_revoked(struct vault *v, const char *tenant, const char *kind,
                            const char *value, bool *revoked, struct bawn_error *err)
{
    *revoked = remembered(vault_tenant(v, tenant), kind, value);
    if (*revoked)
        return BAWN_OK;
    return db_run(v->db, "SELECT seq FROM revoked WHERE tenant = $1 AND kind = $2 AND value = $3",
                  (struct db_value[]){ db_text(tenant), db_text(kind), db_text(value) }, 3,
                  note_row, revoked, NULL, err);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What of the database decides, and is not secret: policies in force, reference values,
 * revocations, signers, and the sessions that were attested. Each tenant's part of it has a MAC
 * under a key that comes from the storage key, so that who can write the database, and no more, can
 * neither add a policy nor take a revocation away. That all of it is put back to what it was before
 * is not seen.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "attest/log/log.h"
#include "attest/service/vault/vault.h"

#define MAC 32
#define TENANTS "state-tenants"

/* What is said of a part, the types of its columns ('t': text, 'b': bytes, 'i': integer), and its
 * rows in an order of their own. */
static const struct {
    const char *name, *types, *sql;
} parts[STATE_PARTS] = {
    [STATE_POLICY] = { "policies", "ttbt",
                       "SELECT kind, name, hash, text FROM policy WHERE tenant = $1"
                       " AND active = 1 ORDER BY kind, name" },
    [STATE_REFERENCE] = { "reference values", "tti",
                          "SELECT set_name, value, expires FROM reference WHERE tenant = $1"
                          " ORDER BY set_name, value" },
    [STATE_REVOKED] = { "revocations", "ttti",
                        "SELECT kind, value, reason, created FROM revoked"
                        " WHERE tenant = $1 ORDER BY kind, value" },
    [STATE_SIGNER] = { "signers", "tt",
                       "SELECT key, value FROM meta WHERE"
                       " substr(key, 1, length($1) + 8) = 'signer/' || $1 || '/'"
                       " ORDER BY key" },
};

/* ---- MACs ---- */

struct sum {
    EVP_MAC_CTX *ctx;
    bool ok;
    /* Whom rows of these types are passed on to. */
    const char *types;
    db_row_fn row;
    void *context;
    bool ended;
};

static void sum_begin(struct sum *s, const struct keyring *ring)
{
    static const char label[] = "bawn-attestd state";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
                            OSSL_PARAM_construct_end() };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    uint8_t key[MAC];

    *s = (struct sum){ .ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL };
    s->ok = s->ctx &&
            HMAC(EVP_sha256(), ring->storage, KEY_SIZE, (const uint8_t *)label, strlen(label), key,
                 NULL) &&
            EVP_MAC_init(s->ctx, key, sizeof(key), params) == 1;
    OPENSSL_cleanse(key, sizeof(key));
    EVP_MAC_free(hmac);
}

/* Each behind its type and length, so that no two lists of values are one. */
static void sum_add(struct sum *s, const struct db_value *value)
{
    uint8_t head[9] = { (uint8_t)value->type }, number[8];
    bool is_int = value->type == DB_INT;
    uint64_t len = is_int ? 8 : value->type == DB_NULL ? 0 : value->bytes.len;

    for (int i = 0; i < 8; i++) {
        head[1 + i] = (uint8_t)(len >> (56 - 8 * i));
        number[i] = (uint8_t)((uint64_t)value->i >> (56 - 8 * i));
    }
    s->ok = s->ok && EVP_MAC_update(s->ctx, head, sizeof(head)) == 1 &&
            (!len || EVP_MAC_update(s->ctx, is_int ? number : value->bytes.data, len) == 1);
}

static bool sum_end(struct sum *s, uint8_t out[MAC])
{
    size_t len = 0;
    bool ok = s->ok && EVP_MAC_final(s->ctx, out, &len, MAC) == 1 && len == MAC;

    EVP_MAC_CTX_free(s->ctx);
    s->ctx = NULL;
    return ok;
}

static bool has_types(const struct db_value *c, int n, const char *types)
{
    for (int i = 0; i < n; i++)
        if (c[i].type != (types[i] == 't' ? DB_TEXT : types[i] == 'b' ? DB_BLOB : DB_INT))
            return false;
    return true;
}

/* Whether they are right is known when the last has come. Those of other types are not: the
 * service writes none. */
static bool sum_row(void *context, const struct db_value *c, int n)
{
    struct sum *s = context;

    for (int i = 0; i < n; i++)
        sum_add(s, &c[i]);
    if (s->row && !s->ended && has_types(c, n, s->types))
        s->ended = !s->row(s->context, c, n);
    return true;
}

static enum bawn_status sum_of(struct vault *v, const char *tenant, enum state_part part,
                               db_row_fn row, void *context, uint8_t out[MAC],
                               struct bawn_error *err)
{
    struct db_value name = db_text(tenant), label = db_text(parts[part].name);
    struct sum s;
    enum bawn_status st;

    sum_begin(&s, &v->keys);
    s.types = parts[part].types;
    s.row = row;
    s.context = context;
    sum_add(&s, &label);
    sum_add(&s, &name);
    st = db_run(v->db, parts[part].sql, &name, 1, sum_row, &s, NULL, err);
    if (!sum_end(&s, out) && st == BAWN_OK)
        st = bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot compute a MAC");
    return st;
}

bool state_session_mac(const struct vault *v, const struct db_value *columns, size_t n,
                       uint8_t out[STATE_MAC])
{
    struct db_value label = db_text("session");
    struct sum s;

    sum_begin(&s, &v->keys);
    sum_add(&s, &label);
    for (size_t i = 0; i < n; i++)
        sum_add(&s, &columns[i]);
    return sum_end(&s, out);
}

/* ---- Where they are kept: the meta table, in hex ---- */

struct kept {
    uint8_t mac[MAC];
    char *rest; /* behind it */
    bool there;
};

static bool take_kept(void *context, const struct db_value *c, int n)
{
    struct kept *k = context;
    char hex[2 * MAC + 1] = "";
    size_t len = 0;

    if (n != 1 || c[0].type != DB_TEXT || c[0].bytes.len < (size_t)2 * MAC)
        return false;
    memcpy(hex, c[0].bytes.data, (size_t)2 * MAC);
    k->there = OPENSSL_hexstr2buf_ex(k->mac, MAC, &len, hex, '\0') == 1 && len == MAC;
    k->rest = strdup((const char *)c[0].bytes.data + (size_t)2 * MAC);
    return false;
}

static enum bawn_status kept_read(struct vault *v, const char *key, struct kept *k,
                                  struct bawn_error *err)
{
    struct db_value name = db_text(key);

    *k = (struct kept){ 0 };
    return db_run(v->db, "SELECT value FROM meta WHERE key = $1", &name, 1, take_kept, k, NULL,
                  err);
}

static enum bawn_status kept_write(struct db *db, const char *key, const uint8_t mac[MAC],
                                   const char *rest, struct bawn_error *err)
{
    char *value = malloc((size_t)2 * MAC + strlen(rest) + 1);
    enum bawn_status st;

    if (!value)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for a MAC");
    for (size_t i = 0; i < MAC; i++)
        snprintf(value + 2 * i, 3, "%02x", mac[i]);
    memcpy(value + (size_t)2 * MAC, rest, strlen(rest) + 1);
    st = db_run(db,
                "INSERT INTO meta (key, value) VALUES ($1, $2)"
                " ON CONFLICT (key) DO UPDATE SET value = $2",
                (struct db_value[]){ db_text(key), db_text(value) }, 2, NULL, NULL, NULL, err);
    free(value);
    return st;
}

static void key_of(const char *tenant, enum state_part part, char key[128])
{
    snprintf(key, 128, "state/%s/%d", tenant, (int)part);
}

#define TRIES 3

enum bawn_status state_read(struct vault *v, const char *tenant, enum state_part part,
                            db_row_fn row, void *context, struct bawn_error *err)
{
    uint8_t right[MAC];
    struct kept k;
    char key[128];
    enum bawn_status st;

    key_of(tenant, part, key);
    st = kept_read(v, key, &k, err);
    if (st == BAWN_OK)
        st = sum_of(v, tenant, part, row, context, right, err);
    if (st == BAWN_OK && (!k.there || CRYPTO_memcmp(k.mac, right, MAC) != 0))
        st = bawn_fail(err, BAWN_E_DENIED,
                       "the %s of tenant %s in the database are not those that this service wrote",
                       parts[part].name, tenant);
    free(k.rest);
    return st;
}

enum bawn_status state_check(struct vault *v, const char *tenant, enum state_part part,
                             struct bawn_error *err)
{
    enum bawn_status st = BAWN_E_DENIED;

    for (int i = 0; i < TRIES && st == BAWN_E_DENIED; i++) /* another replica may be at it */
        st = state_read(v, tenant, part, NULL, NULL, err);
    return st;
}

static bool count_row(void *context, const struct db_value *c, int n)
{
    (void)c, (void)n;
    *(bool *)context = true;
    return false;
}

enum bawn_status state_hold(struct vault *v, struct bawn_error *err)
{
    bool any = false;
    enum bawn_status st;

    if (!db_is_shared(v->db)) /* SQLite's transaction has the file, and store/sqlite.c the rest */
        return BAWN_OK;
    st = db_run(v->db, "LOCK TABLE policy, reference, revoked, meta IN SHARE ROW EXCLUSIVE MODE",
                NULL, 0, NULL, NULL, NULL, err);
    if (st == BAWN_OK)
        st = db_run(v->db,
                    "SELECT 1 FROM pg_class c WHERE c.oid IN ('policy'::regclass,"
                    " 'reference'::regclass, 'revoked'::regclass, 'meta'::regclass) AND"
                    " (c.relkind <> 'r' OR c.relhasrules OR c.relrowsecurity OR"
                    " EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid))",
                    NULL, 0, count_row, &any, NULL, err);
    if (st == BAWN_OK && any)
        st = bawn_fail(err, BAWN_E_DENIED,
                       "the database has triggers, rules or row security on tables of this "
                       "service, which makes none");
    return st;
}

enum bawn_status state_seal(struct vault *v, const char *tenant, enum state_part part,
                            struct bawn_error *err)
{
    uint8_t mac[MAC];
    char key[128];
    enum bawn_status st = sum_of(v, tenant, part, NULL, NULL, mac, err);

    key_of(tenant, part, key);
    return st == BAWN_OK ? kept_write(v->db, key, mac, "", err) : st;
}

/* ---- Which tenants there have been: one without MACs is new, or was robbed of them ---- */

static bool tenants_mac(const struct keyring *ring, const char *names, uint8_t mac[MAC])
{
    struct db_value values[] = { db_text("tenants"), db_text(names) };
    struct sum s;

    sum_begin(&s, ring);
    sum_add(&s, &values[0]);
    sum_add(&s, &values[1]);
    return sum_end(&s, mac);
}

enum bawn_status state_begin(const struct keyring *ring, struct db *db, struct bawn_error *err)
{
    uint8_t mac[MAC];

    return tenants_mac(ring, "", mac)
               ? kept_write(db, TENANTS, mac, "", err)
               : bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot compute a MAC");
}

static bool has_name(const char *names, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = names; (p = strstr(p, name)); p++)
        if ((p == names || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
            return true;
    return false;
}

/* " name" for each that is in the list or the configuration. */
static enum bawn_status add_tenants(struct vault *v, const char *names, bool all, bool *added,
                                    struct bawn_error *err)
{
    char *more = strdup(names), *longer = NULL;
    uint8_t mac[MAC];
    enum bawn_status st = BAWN_OK;

    if (!more)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the tenants' names");
    for (size_t i = 0; st == BAWN_OK && i < v->config->nr_tenants; i++) {
        const char *name = v->config->tenants[i].name;
        bool known = has_name(more, name);

        if (!known) {
            *added = true;
            if (asprintf(&longer, "%s%s%s", more, *more ? " " : "", name) < 0 || !longer) {
                st = bawn_fail(err, BAWN_E_NOMEM, "no memory for the tenants' names");
                break;
            }
            free(more);
            more = longer;
        }
        for (int p = 0; st == BAWN_OK && (all || !known) && p < STATE_PARTS; p++)
            st = state_seal(v, name, (enum state_part)p, err);
    }
    if (st == BAWN_OK && (*added || all)) {
        st = tenants_mac(&v->keys, more, mac)
                 ? kept_write(v->db, TENANTS, mac, more, err)
                 : bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL fails at a MAC");
    }
    free(more);
    return st;
}

/* A tenant that this database never had begins with nothing. */
static enum bawn_status new_are_empty(struct vault *v, const char *names, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < v->config->nr_tenants; i++) {
        const char *name = v->config->tenants[i].name;
        struct db_value value = db_text(name);

        for (int p = 0; st == BAWN_OK && !has_name(names, name) && p < STATE_PARTS; p++) {
            bool any = false;

            st = db_run(v->db, parts[p].sql, &value, 1, count_row, &any, NULL, err);
            if (st == BAWN_OK && any)
                st = bawn_fail(err, BAWN_E_DENIED,
                               "tenant %s is new and the database has %s of it: see "
                               "--accept-state in bawn-attestd(8)",
                               name, parts[p].name);
        }
    }
    return st;
}

static enum bawn_status open_state(struct vault *v, bool accept, struct bawn_error *err)
{
    bool added = false;
    uint8_t right[MAC];
    struct kept k;
    enum bawn_status st;

    /* An older version had none of this: what there is, is taken as it is, once. */
    if (keyring_is_old(&v->keys) || accept) {
        st = add_tenants(v, "", true, &added, err);
        return st == BAWN_OK ? keyring_renew(&v->keys, v->db, err) : st;
    }
    st = kept_read(v, TENANTS, &k, err);
    if (st == BAWN_OK && k.there && k.rest && tenants_mac(&v->keys, k.rest, right) &&
        CRYPTO_memcmp(k.mac, right, MAC) == 0) {
        st = new_are_empty(v, k.rest, err);
        if (st == BAWN_OK)
            st = add_tenants(v, k.rest, false, &added, err);
    } else if (st == BAWN_OK) {
        st = bawn_fail(err, BAWN_E_DENIED,
                       "the database's list of tenants is not the one that this service wrote: "
                       "restore a backup, or see --accept-state in bawn-attestd(8)");
    }
    free(k.rest);
    return st;
}

enum bawn_status state_open(struct vault *v, bool accept, struct bawn_error *err)
{
    enum bawn_status st = db_begin(v->db, err);

    if (st != BAWN_OK)
        return st;
    st = state_hold(v, err);
    if (st == BAWN_OK)
        st = keyring_load_again(&v->keys, v->db, err); /* another replica may have been here */
    if (st == BAWN_OK)
        st = open_state(v, accept, err);
    if (st == BAWN_OK && accept) {
        json_t *entry = json_pack("{s:s, s:s}", "type", "admin", "action", "state.accept");
        uint64_t seq;

        st = log_append(v->db, entry, v->now_ms, &seq, err);
        json_decref(entry);
    }
    if (st == BAWN_OK)
        return db_commit(v->db, err);
    db_rollback(v->db);
    return st;
}

/* ---- What others hear ---- */

void state_tell(struct vault *v, bool anew)
{
    struct ipc *to[] = { v->front, v->admin };
    size_t refused = 0;
    char text[128] = "";
    json_t *json;

    for (size_t i = 0; i < v->nr_tenants; i++)
        refused += v->tenants[i].refused != NULL;
    if (refused)
        snprintf(text, sizeof(text),
                 "%s: the stored state of %zu of %zu tenants is not authentic; see the journal",
                 refused == v->nr_tenants ? "all" : "part", refused, v->nr_tenants);
    if (!anew && refused == v->refused)
        return;
    v->refused = refused;
    json = json_pack("{s:s}", "problem", text);
    for (size_t i = 0; json && i < 2; i++)
        if (to[i])
            ipc_send(to[i], IPC_HEALTH, 0, json, (struct bawn_bytes){ 0 }, -1, NULL);
    json_decref(json);
}

enum bawn_status state_watch(struct vault *v, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < v->nr_tenants; i++) {
        bool refused = false;

        for (int p = 0; st == BAWN_OK && !refused && p < STATE_PARTS; p++) {
            st = state_check(v, v->tenants[i].config->name, (enum state_part)p, err);
            refused = st == BAWN_E_DENIED;
            st = refused ? BAWN_OK : st;
        }
        if (refused != (v->tenants[i].refused != NULL))
            v->reload = true;
    }
    return st;
}

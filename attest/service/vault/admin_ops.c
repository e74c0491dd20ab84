// SPDX-License-Identifier: Apache-2.0
/* Administration: revocation, key rotation, and the auditor's view of the log. */
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "attest/jose/jose.h"
#include "attest/log/log.h"
#include "attest/service/vault/vault.h"

#define ENTRIES_DEFAULT 100
#define ENTRIES_MAX 1000
#define ENTRIES_BYTES_MAX (16u << 20) /* of one answer; the next begins at its "to" */

/* ---- Revocation ---- */

/* A measurement is 32 bytes or more in lower-case hex, a token's jti short base64url. */
static bool good_value(const char *kind, const char *value)
{
    size_t len = strlen(value);

    if (!strcmp(kind, "token"))
        return len && len <= 64;
    return len >= MEASUREMENT_DIGITS && len <= MEASUREMENT_DIGITS_MAX && len % 2 == 0 &&
           strspn(value, "0123456789abcdef") == len;
}

static enum bawn_status insert_revoked(struct vault *v, const struct admin_request *a,
                                       const json_t *json, struct bawn_error *err)
{
    const char *reason = text_of(json, "reason");
    json_t *details;
    enum bawn_status st = db_run(
        v->db,
        "INSERT INTO revoked (tenant, kind, value, reason, created) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (tenant, kind, value) DO NOTHING",
        (struct db_value[]){ db_text(a->tenant), db_text(text_of(json, "kind")),
                             db_text(text_of(json, "value")), db_text(reason ? reason : ""),
                             db_int(vault_now(v)) },
        5, NULL, NULL, NULL, err);

    if (st != BAWN_OK)
        return st;
    details = json_pack("{s:s, s:s, s:s}", "kind", text_of(json, "kind"), "value",
                        text_of(json, "value"), "reason", reason ? reason : "");
    v->revoked = true;
    return log_admin(v, a, "revoke", details, err);
}

/* {"kind": "token" or "measurement", "value", "reason"}: takes effect with the commit, for sessions
 * that are open too. */
enum bawn_status admin_revoke(struct vault *v, const struct admin_request *a, struct reply *r,
                              struct bawn_error *err)
{
    const char *kind, *value;
    json_t *json = NULL;
    enum bawn_status st = json_read(a->body, &json, NULL);

    kind = text_of(json, "kind");
    value = text_of(json, "value");
    if (st != BAWN_OK || !kind || !value ||
        (strcmp(kind, "token") != 0 && strcmp(kind, "measurement") != 0) ||
        !good_value(kind, value)) {
        json_decref(json);
        return reply_error(r, 400, "InvalidRequest",
                           "the body is {\"kind\": \"token\" or \"measurement\", \"value\": a "
                           "token's jti, or 64 or more digits of lower-case hex, \"reason\"}");
    }
    st = insert_revoked(v, a, json, err);
    if (st == BAWN_OK)
        st = reply_json(r, 200, json_pack("{s:s, s:s}", "kind", kind, "value", value));
    json_decref(json);
    return st;
}

static bool list_revoked(void *context, const struct db_value *c, int n)
{
    (void)n;
    json_array_append_new(context, json_pack("{s:s, s:s, s:s, s:I}", "kind", c[0].bytes.data,
                                             "value", c[1].bytes.data, "reason", c[2].bytes.data,
                                             "time", (json_int_t)c[3].i));
    return true;
}

enum bawn_status admin_revoked_get(struct vault *v, const struct admin_request *a, struct reply *r,
                                   struct bawn_error *err)
{
    struct db_value tenant = db_text(a->tenant);
    json_t *list = json_array();
    enum bawn_status st = db_run(v->db,
                                 "SELECT kind, value, reason, created FROM revoked"
                                 " WHERE tenant = $1 ORDER BY seq",
                                 &tenant, 1, list_revoked, list, NULL, err);

    if (st == BAWN_OK)
        return reply_json(r, 200, json_pack("{s:o}", "revoked", list));
    json_decref(list);
    return st;
}

/* ---- Keys ---- */

/* Of one kind, with those that were retired and may still be in use. Keys are all tenants': one who
 * rotates again and again would take what others hold. */
#define KEYS_MAX 16

static unsigned keys_of(const struct vault *v, enum key_kind kind)
{
    unsigned n = 0;

    for (size_t i = 0; i < v->keys.n; i++)
        n += v->keys.key[i].kind == kind;
    return n;
}

enum bawn_status admin_keys_rotate(struct vault *v, const struct admin_request *a, struct reply *r,
                                   struct bawn_error *err)
{
    json_t *json = NULL;
    const char *name;
    enum key_kind kind = KEY_TOKEN;
    enum bawn_status st = BAWN_OK;

    if (a->body.len)
        st = json_read(a->body, &json, NULL);
    name = text_of(json, "kind") ? text_of(json, "kind") : "token";
    if (st != BAWN_OK || (strcmp(name, "token") != 0 && strcmp(name, "session") != 0)) {
        json_decref(json);
        return reply_error(r, 400, "InvalidRequest",
                           "the body is {\"kind\": \"token\" or \"session\"}");
    }
    if (!strcmp(name, "session"))
        kind = KEY_SESSION;
    if (keys_of(v, kind) >= KEYS_MAX) {
        json_decref(json);
        return reply_error(r, 429, "TooManyKeys", "the keys were rotated too often of late");
    }
    v->reload = true; /* should the commit fail, memory has what the database has not */
    st = keyring_rotate(&v->keys, v->db, kind, v->config->token.algorithm, vault_now(v), err);
    if (st == BAWN_OK)
        st = log_admin(v, a, "keys.rotate", json_pack("{s:s}", "kind", name), err);
    if (st == BAWN_OK)
        st = state_changed(v, err);
    if (st == BAWN_OK)
        st = reply_json(
            r, 200,
            json_pack("{s:s, s:s?}", "kind", name, "kid", keyring_current(&v->keys, kind)->kid));
    json_decref(json);
    return st;
}

/* ---- The log ---- */

struct reading {
    const char *tenant;
    json_t *entries;
    size_t bytes;
    uint64_t end;
};

/* A tenant's auditor sees the tenant's entries. */
static bool take_entry(void *context, uint64_t seq, struct bawn_bytes text)
{
    struct reading *reading = context;
    json_t *entry = json_loadb((const char *)text.data, text.len, 0, NULL);
    const char *tenant = text_of(entry, "tenant");

    reading->bytes += text.len;
    reading->end = seq + 1;
    if (tenant && !strcmp(tenant, reading->tenant))
        json_array_append(reading->entries, entry);
    json_decref(entry);
    return reading->bytes < ENTRIES_BYTES_MAX;
}

static uint64_t number(const char *query, const char *name, uint64_t otherwise)
{
    char *text = query_value(query, name), *end = NULL;
    uint64_t n = text ? strtoull(text, &end, 10) : otherwise;

    if (text && (end == text || *end))
        n = otherwise;
    free(text);
    return n;
}

/* ?from=&to=: entries [from, to), at most 1000 and 16 MiB; the newest 100 without. */
enum bawn_status admin_log_get(struct vault *v, const struct admin_request *a, struct reply *r,
                               struct bawn_error *err)
{
    struct reading reading = { .tenant = a->tenant, .entries = json_array() };
    uint64_t size = 0, from, to;
    enum bawn_status st = log_size(v->db, &size, err);

    from = number(a->query, "from", size > ENTRIES_DEFAULT ? size - ENTRIES_DEFAULT : 0);
    to = number(a->query, "to", size);
    if (to > size)
        to = size;
    if (from < to && to - from > ENTRIES_MAX)
        to = from + ENTRIES_MAX;
    if (st == BAWN_OK && from < to)
        st = log_read(v->db, from, to, take_entry, &reading, err);
    if (st == BAWN_OK && reading.bytes >= ENTRIES_BYTES_MAX)
        to = reading.end;
    if (st == BAWN_OK)
        return reply_json(r, 200,
                          json_pack("{s:I, s:I, s:I, s:o}", "size", (json_int_t)size, "from",
                                    (json_int_t)from, "to", (json_int_t)to, "entries",
                                    reading.entries));
    json_decref(reading.entries);
    return st;
}

static char *pem_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL, *text = NULL;
    long len;

    if (bio && PEM_write_bio_PUBKEY(bio, key) == 1) {
        len = BIO_get_mem_data(bio, &data);
        text = strndup(data, (size_t)len);
    }
    BIO_free(bio);
    return text;
}

enum bawn_status admin_log_checkpoint(struct vault *v, const struct admin_request *a,
                                      struct reply *r, struct bawn_error *err)
{
    char *note = NULL, *pem = pem_of(keyring_current(&v->keys, KEY_LOG)->pkey);
    enum bawn_status st = log_last_checkpoint(v->db, &note, err);

    (void)a;
    if (st == BAWN_OK && !note)
        st = reply_error(r, 404, "CheckpointNotFound", "the log has no checkpoint yet");
    else if (st == BAWN_OK)
        st = reply_json(r, 200,
                        json_pack("{s:s, s:s?, s:s}", "checkpoint", note, "public_key", pem,
                                  "origin", v->config->log.origin));
    free(note);
    free(pem);
    return st;
}

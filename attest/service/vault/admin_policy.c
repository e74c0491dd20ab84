// SPDX-License-Identifier: Apache-2.0
/*
 * Policies: KBS's shapes of the requests, Bawn's language in them. A text is checked before it is
 * stored, every text that was in force is kept, and one becomes active in one step.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "attest/jose/jose.h"
#include "attest/service/vault/vault.h"
#include "common/bytes.h"

#define DEFAULT_NAME "default"

/* "attestation" or "resource": of the route that was taken. */
static const char *kind_of(const struct admin_request *a)
{
    return strncmp(a->path, "resource", 8) ? "attestation" : "resource";
}

/* ---- Includes ---- */

struct found_text {
    char *text;
    size_t len;
};

static bool take_text(void *context, const struct db_value *c, int n)
{
    struct found_text *f = context;

    (void)n;
    f->len = c[0].bytes.len;
    f->text = malloc(f->len + 1);
    if (f->text) {
        memcpy(f->text, c[0].bytes.data, f->len);
        f->text[f->len] = '\0';
    }
    return false;
}

struct loader {
    struct vault *v;
    const char *tenant;
    struct found_text found[BAWN_POLICY_INCLUDES_MAX];
    size_t n;
};

static enum bawn_status load_include(void *context, const char *name, struct bawn_bytes *text,
                                     struct bawn_error *err)
{
    struct loader *l = context;
    struct found_text *f = &l->found[l->n];
    enum bawn_status st;

    if (l->n == BAWN_POLICY_INCLUDES_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "too many includes");
    st = db_run(l->v->db,
                "SELECT text FROM policy WHERE tenant = $1 AND kind = 'include' AND name = $2"
                " AND active = 1",
                (struct db_value[]){ db_text(l->tenant), db_text(name) }, 2, take_text, f, NULL,
                err);
    if (st != BAWN_OK)
        return st;
    if (!f->text)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "no policy of the name %s to include; POST it to "
                         "attestation-policy/%s?include=1 first",
                         name, name);
    *text = (struct bawn_bytes){ (const uint8_t *)f->text, f->len };
    l->n++;
    return BAWN_OK;
}

static enum bawn_status compile(struct vault *v, const char *tenant, const char *name,
                                struct bawn_bytes text, struct bawn_policy **policy,
                                struct bawn_error *err)
{
    struct loader *l = calloc(1, sizeof(*l));
    enum bawn_status st;

    if (!l)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for a policy");
    l->v = v;
    l->tenant = tenant;
    st = bawn_policy_create(policy, name, text, load_include, l, err);
    for (size_t i = 0; i < l->n; i++)
        free(l->found[i].text);
    free(l);
    return st;
}

/* ---- The body: KBS's {"type", "policy_id", "policy": base64}, or the policy itself ---- */

struct body {
    char *name;
    uint8_t *text;
    size_t len;
};

static void body_clear(struct body *b)
{
    free(b->name);
    free(b->text);
}

/* BAWN_E_FORMAT: for the client. */
static enum bawn_status body_read(struct body *b, const struct admin_request *a,
                                  struct bawn_error *err)
{
    json_t *json = NULL, *policy;
    const char *type, *id;
    enum bawn_status st = json_read(a->body, &json, err);

    *b = (struct body){ 0 };
    if (st != BAWN_OK)
        return st;
    policy = json_object_get(json, "policy");
    type = text_of(json, "type");
    id = text_of(json, "policy_id");
    if (json_is_string(policy)) {
        if (type && strcmp(type, "bawn") != 0)
            st = bawn_fail(err, BAWN_E_FORMAT,
                           "policies of type %.20s are not served: type is \"bawn\", and the "
                           "policy is as docs/policy.md has it",
                           type);
        else if (!base64_any(json_string_value(policy), json_string_length(policy), &b->text,
                             &b->len))
            st = bawn_fail(err, BAWN_E_FORMAT, "\"policy\" must be base64");
    } else {
        b->text = malloc(a->body.len + 1);
        b->len = a->body.len;
        if (b->text && b->len)
            memcpy(b->text, a->body.data, b->len);
        id = NULL;
    }
    b->name = strdup(*a->rest ? a->rest : id ? id : DEFAULT_NAME);
    if (st == BAWN_OK && (!b->text || !b->name))
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for a policy");
    if (st == BAWN_OK && b->name && (!*b->name || strlen(b->name) > 128 || strchr(b->name, '/')))
        st = bawn_fail(err, BAWN_E_FORMAT, "a policy's name has 1 to 128 characters and no '/'");
    json_decref(json);
    if (st != BAWN_OK)
        body_clear(b);
    return st;
}

/* ---- POST ---- */

static enum bawn_status activate(struct vault *v, const char *tenant, const char *kind,
                                 const char *name, const uint8_t *hash, int64_t *changed,
                                 struct bawn_error *err)
{
    struct db_value params[] = { db_text(tenant), db_text(kind), db_text(name),
                                 db_blob(hash, BAWN_POLICY_HASH_SIZE) };
    enum bawn_status st = db_run(v->db,
                                 "UPDATE policy SET active = 0 WHERE tenant = $1 AND kind = $2"
                                 " AND name = $3 AND active = 1",
                                 params, 3, NULL, NULL, NULL, err);

    if (st == BAWN_OK)
        st = db_run(v->db,
                    "UPDATE policy SET active = 1 WHERE tenant = $1 AND kind = $2 AND name = $3"
                    " AND hash = $4",
                    params, 4, NULL, NULL, changed, err);
    return st;
}

static enum bawn_status store(struct vault *v, const struct admin_request *a, const char *kind,
                              const struct body *b, const uint8_t *hash, struct bawn_error *err)
{
    int64_t changed;
    enum bawn_status st = db_run(
        v->db,
        "INSERT INTO policy (tenant, kind, name, hash, text, author, created, active)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (tenant, kind, name, hash) DO NOTHING",
        (struct db_value[]){ db_text(a->tenant), db_text(kind), db_text(b->name),
                             db_blob(hash, BAWN_POLICY_HASH_SIZE), db_text((char *)b->text),
                             db_text(a->admin->name), db_int(vault_now(v)) },
        7, NULL, NULL, NULL, err);

    return st == BAWN_OK ? activate(v, a->tenant, kind, b->name, hash, &changed, err) : st;
}

static enum bawn_status set(struct vault *v, const struct admin_request *a, const char *kind,
                            struct body *b, struct reply *r, struct bawn_error *err)
{
    struct bawn_policy *policy = NULL;
    struct bawn_error why = { "" };
    char hash[2 * BAWN_POLICY_HASH_SIZE + 1];
    enum bawn_status st;

    st = compile(v, a->tenant, b->name, (struct bawn_bytes){ b->text, b->len }, &policy, &why);
    if (st == BAWN_E_FORMAT || st == BAWN_E_UNSUPPORTED || st == BAWN_E_DENIED)
        return reply_error(r, 400, "InvalidPolicy", "%s", why.msg);
    if (st != BAWN_OK) {
        *err = why;
        return st;
    }
    ((char *)b->text)[b->len] = '\0';
    hex_print(bawn_policy_hash(policy), BAWN_POLICY_HASH_SIZE, hash);
    st = store(v, a, kind, b, bawn_policy_hash(policy), err);
    if (st == BAWN_OK)
        st = log_admin(v, a, "policy.set",
                       json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", kind, "policy", b->name, "id",
                                 bawn_policy_id(policy), "version", bawn_policy_version(policy),
                                 "sha256", hash),
                       err);
    bawn_policy_destroy(policy);
    if (st == BAWN_OK)
        st = state_has_room(v, a->tenant, err);
    if (st == BAWN_OK)
        st = state_changed(v, err);
    return st == BAWN_OK
               ? reply_json(r, 200, json_pack("{s:s, s:s}", "policy_id", b->name, "sha256", hash))
               : st;
}

enum bawn_status admin_policy_set(struct vault *v, const struct admin_request *a, struct reply *r,
                                  struct bawn_error *err)
{
    char *include = query_value(a->query, "include");
    struct bawn_error why = { "" };
    struct body b;
    enum bawn_status st = body_read(&b, a, &why);

    if (st == BAWN_E_NOMEM)
        *err = why;
    else if (st != BAWN_OK)
        st = reply_error(r, 400, "InvalidPolicy", "%s", why.msg);
    else {
        uint8_t *text = realloc(b.text, b.len + 1); /* for a zero byte behind it */

        if (text)
            b.text = text;
        st = text ? set(v, a, include ? "include" : kind_of(a), &b, r, err)
                  : bawn_fail(err, BAWN_E_NOMEM, "no memory for a policy");
        body_clear(&b);
    }
    free(include);
    return st;
}

/* Texts that are not in force have no MAC: the hash that the administrator asks for is theirs, or
 * they are not taken. BAWN_E_DENIED. */
static enum bawn_status check_text(struct vault *v, const struct admin_request *a, const char *name,
                                   const uint8_t *hash, struct bawn_error *err)
{
    struct found_text f = { NULL, 0 };
    struct bawn_policy *policy = NULL;
    struct bawn_error why = { "" };
    enum bawn_status st = db_run(
        v->db,
        "SELECT text FROM policy WHERE tenant = $1 AND kind = $2 AND name = $3 AND hash = $4",
        (struct db_value[]){ db_text(a->tenant), db_text(kind_of(a)), db_text(name),
                             db_blob(hash, BAWN_POLICY_HASH_SIZE) },
        4, take_text, &f, NULL, err);

    if (st == BAWN_OK && f.text) {
        st = compile(v, a->tenant, name, (struct bawn_bytes){ (uint8_t *)f.text, f.len }, &policy,
                     &why);
        if (st == BAWN_OK && CRYPTO_memcmp(bawn_policy_hash(policy), hash, BAWN_POLICY_HASH_SIZE))
            st = bawn_fail(&why, BAWN_E_DENIED, "its text has another hash");
        if (st != BAWN_OK && st != BAWN_E_IO && st != BAWN_E_NOMEM)
            st =
                bawn_fail(err, BAWN_E_DENIED, "policy %.64s cannot be used: %.300s", name, why.msg);
        else if (st != BAWN_OK)
            *err = why;
        bawn_policy_destroy(policy);
    }
    free(f.text);
    return st;
}

/* {"policy_id", "sha256"}: a text that was in force before. */
enum bawn_status admin_policy_activate(struct vault *v, const struct admin_request *a,
                                       struct reply *r, struct bawn_error *err)
{
    json_t *json = NULL;
    const char *name, *hex;
    uint8_t hash[BAWN_POLICY_HASH_SIZE];
    int64_t changed = 0;
    size_t len = 0;
    enum bawn_status st = json_read(a->body, &json, NULL);

    name = text_of(json, "policy_id") ? text_of(json, "policy_id") : DEFAULT_NAME;
    hex = text_of(json, "sha256");
    if (st == BAWN_OK && hex && strlen(hex) == 2 * sizeof(hash))
        len = OPENSSL_hexstr2buf_ex(hash, sizeof(hash), &len, hex, '\0') == 1 ? len : 0;
    if (len != sizeof(hash)) {
        json_decref(json);
        return reply_error(r, 400, "InvalidRequest",
                           "the body is {\"policy_id\": name, \"sha256\": hash of a text that was "
                           "in force}");
    }
    st = check_text(v, a, name, hash, err);
    if (st == BAWN_OK)
        st = activate(v, a->tenant, kind_of(a), name, hash, &changed, err);
    if (st == BAWN_OK && !changed) {
        st = bawn_fail(err, BAWN_E_DENIED, "there is no policy %.64s with this hash", name);
    } else if (st == BAWN_OK) {
        st = log_admin(
            v, a, "policy.activate",
            json_pack("{s:s, s:s, s:s}", "kind", kind_of(a), "policy", name, "sha256", hex), err);
        if (st == BAWN_OK)
            st = state_has_room(v, a->tenant, err);
        if (st == BAWN_OK)
            st = state_changed(v, err);
        if (st == BAWN_OK)
            st = reply_json(r, 200, json_pack("{s:s, s:s}", "policy_id", name, "sha256", hex));
    }
    json_decref(json);
    return st; /* BAWN_E_DENIED: undone, and answered 404 */
}

/* ---- GET ---- */

static bool list_policy(void *context, const struct db_value *c, int n)
{
    char hash[2 * BAWN_POLICY_HASH_SIZE + 1] = "";
    json_t *entry;

    if (n != 6 || c[1].bytes.len > BAWN_POLICY_HASH_SIZE)
        return true;
    hex_print(c[1].bytes.data, c[1].bytes.len, hash);
    entry = json_pack("{s:s, s:s, s:s, s:I, s:b, s:s}", "policy_id", c[0].bytes.data, "sha256",
                      hash, "author", c[2].bytes.data, "created", (json_int_t)c[3].i, "active",
                      c[4].i != 0, "policy", c[5].bytes.data);
    json_array_append_new(context, entry);
    return true;
}

/* Below the path a name: the active text itself. Else the list, newest first. */
enum bawn_status admin_policy_get(struct vault *v, const struct admin_request *a, struct reply *r,
                                  struct bawn_error *err)
{
    json_t *list = json_array(), *entry;
    size_t i;
    enum bawn_status st = db_run(v->db,
                                 "SELECT name, hash, author, created, active, text FROM policy"
                                 " WHERE tenant = $1 AND kind = $2 ORDER BY created DESC",
                                 (struct db_value[]){ db_text(a->tenant), db_text(kind_of(a)) }, 2,
                                 list_policy, list, NULL, err);

    if (st == BAWN_OK && !*a->rest)
        return reply_json(r, 200, json_pack("{s:o}", "policies", list));
    json_array_foreach(list, i, entry)
    {
        const char *name = text_of(entry, "policy_id");

        if (st != BAWN_OK || !json_is_true(json_object_get(entry, "active")) ||
            strcmp(name, a->rest) != 0)
            continue;
        r->status = 200;
        r->type = "application/json";
        r->body = strdup(text_of(entry, "policy"));
        r->len = r->body ? strlen(r->body) : 0;
        json_decref(list);
        return r->body ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory for a policy");
    }
    json_decref(list);
    return st == BAWN_OK ? reply_error(r, 404, "PolicyNotFound", "there is no such policy") : st;
}

/* ---- Dry run ---- */

enum bawn_status admin_policy_dry_run(struct vault *v, const struct admin_request *a,
                                      struct reply *r, struct bawn_error *err)
{
    struct bawn_policy *policy = NULL;
    struct bawn_error why = { "" };
    struct body b;
    enum bawn_status st;

    if (v->dry_run)
        return reply_error(r, 503, "Busy", "another dry run is under way: try again");
    st = body_read(&b, a, &why);
    if (st == BAWN_OK) {
        st = compile(v, a->tenant, b.name, (struct bawn_bytes){ b.text, b.len }, &policy, &why);
        body_clear(&b);
    }
    if (st == BAWN_E_NOMEM || st == BAWN_E_IO) {
        *err = why;
        return st;
    }
    if (st != BAWN_OK)
        return reply_error(r, 400, "InvalidPolicy", "%s", why.msg);
    return dry_run_begin(v, a, policy, r, err);
}

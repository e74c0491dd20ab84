// SPDX-License-Identifier: Apache-2.0
/*
 * Secrets: stored sealed, released as JWE to the key in a guest's evidence, when the tenant's
 * resource policy allows it for the claims of that guest's session. A release is in the log before
 * it is answered; so is a refusal to a guest that was attested.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "attest/jose/jose.h"
#include "attest/log/log.h"
#include "attest/service/judge/claims.h"
#include "attest/service/vault/vault.h"

/* ---- Names ---- */

/* KBS: letters, digits, '-', '_' and '.', not beginning with '.'. */
static bool good_part(const char *part)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t len = strlen(part);

    return len && len <= 128 && part[0] != '.' && strspn(part, good) == len;
}

enum bawn_status resource_name(struct resource_name *name, const char *path, struct bawn_error *err)
{
    static const char *const before[] = { "/", "kbs/v0/", "resource/" };
    size_t n = 0;

    *name = (struct resource_name){ 0 };
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        if (!strncmp(path, before[i], strlen(before[i])))
            path += strlen(before[i]);
    if (strlen(path) >= sizeof(name->path))
        return bawn_fail(err, BAWN_E_FORMAT, "the resource's path is too long");
    snprintf(name->path, sizeof(name->path), "%s", path);
    snprintf(name->buffer, sizeof(name->buffer), "%s", path);
    for (char *p = name->buffer; p && n < 3;) {
        char *slash = strchr(p, '/');

        if (slash)
            *slash = '\0';
        name->part[n++] = p;
        p = slash ? slash + 1 : NULL;
        if (n == 3 && p)
            n = 4;
    }
    if (n != 3 || !good_part(name->part[0]) || !good_part(name->part[1]) ||
        !good_part(name->part[2]))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "a resource is <repository>/<type>/<tag>, each of letters, digits, "
                         "'-', '_' and '.'");
    return BAWN_OK;
}

static void aad_of(const char *tenant, const char *path, char aad[1024])
{
    snprintf(aad, 1024, "bawn-attestd secret %s %s", tenant, path);
}

/* ---- The guest's session ---- */

struct holder {
    const struct vault *v;
    const struct db_value *asked; /* the tenant, and its id or jti */
    bool by_jti;
    bool found, allowed, forged;
    int64_t expires;
    char id[2 * SESSION_ID + 1];
    char *jti;
    json_t *key, *state; /* claims and what else decide.c keeps */
};

static json_t *load_text(const struct db_value *v)
{
    return v->type == DB_TEXT ? json_loadb((const char *)v->bytes.data, v->bytes.len, 0, NULL)
                              : NULL;
}

static bool same(const struct db_value *a, const struct db_value *b)
{
    return a->type == b->type && a->bytes.len == b->bytes.len &&
           !memcmp(a->bytes.data, b->bytes.data, a->bytes.len);
}

/* A row that has a MAC may still be another than was asked for. */
static bool take_holder(void *context, const struct db_value *c, int n)
{
    struct holder *h = context;
    uint8_t mac[STATE_MAC];

    if (n != 8)
        return false;
    h->found = true;
    h->allowed = c[4].i != 0;
    if (!h->allowed)
        return false;
    h->forged = !same(&c[1], &h->asked[0]) || !same(&c[h->by_jti ? 3 : 0], &h->asked[1]) ||
                !state_session_mac(h->v, c, 7, mac) || c[7].type != DB_BLOB ||
                c[7].bytes.len != sizeof(mac) ||
                CRYPTO_memcmp(mac, c[7].bytes.data, sizeof(mac)) != 0;
    if (h->forged)
        return false;
    h->expires = c[2].i;
    h->jti = c[3].type == DB_TEXT ? strdup((const char *)c[3].bytes.data) : NULL;
    h->key = load_text(&c[5]);
    h->state = load_text(&c[6]);
    for (size_t i = 0; i < SESSION_ID && i < c[0].bytes.len; i++)
        snprintf(h->id + 2 * i, 3, "%02x", c[0].bytes.data[i]);
    return false;
}

static void holder_clear(struct holder *h)
{
    free(h->jti);
    json_decref(h->key);
    json_decref(h->state);
}

#define HOLDER                                                                    \
    "SELECT id, tenant, expires, jti, allowed, tee_key, claims, mac FROM session" \
    " WHERE tenant = $1 AND "

/* BAWN_E_DENIED: not attested; err is for the client. */
static enum bawn_status find_holder(struct vault *v, const struct ipc_msg *m, const char *tenant,
                                    struct holder *h, struct bawn_error *err)
{
    const char *cookie = text_of(m->json, "cookie"), *bearer = text_of(m->json, "bearer");
    struct db_value params[2] = { db_text(tenant) };
    struct session s;
    char *jti = NULL;
    bool revoked = false;
    enum bawn_status st = BAWN_OK;

    if (bearer)
        st = token_check(v, tenant, bearer, &jti, err);
    else if (cookie)
        st = session_open(v, tenant, cookie, &s, err);
    else
        return bawn_fail(err, BAWN_E_DENIED, "neither a session's cookie nor a token was given");
    if (st == BAWN_E_FORMAT)
        st = BAWN_E_DENIED;
    if (st != BAWN_OK)
        return st;
    params[1] = bearer ? db_text(jti) : db_blob(s.id, SESSION_ID);
    h->asked = params;
    h->by_jti = bearer;
    st = db_run(v->db, bearer ? HOLDER "jti = $2" : HOLDER "id = $2", params, 2, take_holder, h,
                NULL, err);
    h->asked = NULL;
    free(jti);
    if (st != BAWN_OK)
        return st;
    if (h->forged)
        journal("error", "a session in the database is not one that this service wrote", "{s:s}",
                "tenant", tenant);
    if (!h->found || !h->allowed || !h->jti || !h->key || !h->state || h->expires <= vault_now(v))
        return bawn_fail(err, BAWN_E_DENIED,
                         "this session has no successful attestation: POST attest comes first");
    st = is_revoked(v, tenant, "token", h->jti, &revoked, err);
    if (st == BAWN_OK && revoked)
        st = bawn_fail(err, BAWN_E_DENIED, "the token is revoked");
    return st;
}

/* ---- The policy ---- */

static json_t *reasons_of(const struct bawn_policy_result *result)
{
    const char *const *text;
    size_t n = bawn_policy_result_reasons(result, &text);
    json_t *reasons = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(reasons, json_string(text[i]));
    if (!n)
        json_array_append_new(reasons, json_string("the resource policy does not allow it"));
    return reasons;
}

/* *reasons is new when it is denied, else NULL. */
static enum bawn_status judge_release(struct vault *v, const struct tenant *t,
                                      const struct holder *h, const struct resource_name *name,
                                      json_t **reasons, struct bawn_error *err)
{
    struct bawn_policy_result *result = bawn_policy_result_create();
    struct claim_set set = { 0 };
    struct bawn_policy_input input = {
        .evidence = text_of(h->state, "kind"),
        .verdict = BAWN_TRUSTED, /* no session without it is allowed */
        .foreign_root = text_of(h->state, "foreign_root"),
        .refs = t->refs,
        .at = vault_now(v),
    };
    json_t *more = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:s*}", "resource.tenant",
                             t->config->name, "resource.path", name->path, "resource.repository",
                             name->part[0], "resource.type", name->part[1], "resource.tag",
                             name->part[2], "resource.status", text_of(h->state, "status"),
                             "resource.policy", text_of(json_object_get(h->state, "policy"), "id"));
    enum bawn_status st = more && result
                              ? claims_read(&set, json_object_get(h->state, "claims"),
                                            json_object_get(h->state, "claim_kinds"), more, err)
                              : bawn_fail(err, BAWN_E_NOMEM, "no memory for a policy");

    *reasons = NULL;
    if (st == BAWN_OK) {
        input.claims = set.claims;
        input.nr_claims = set.n;
        if (!bawn_policy_evaluate(t->resource_policy, &input, result))
            *reasons = reasons_of(result);
    }
    claims_clear(&set);
    json_decref(more);
    bawn_policy_result_destroy(result);
    return st;
}

/* Without a resource policy, what the attestation policy allowed is enough. */
static enum bawn_status reasons_against(struct vault *v, const struct tenant *t,
                                        const struct holder *h, const struct resource_name *name,
                                        json_t **reasons, struct bawn_error *err)
{
    char *value;
    enum bawn_status st =
        find_revoked(v, t->config->name, json_object_get(h->state, "claims"), &value, err);
    bool closed = st == BAWN_OK && (value || t->broken || t->refused);

    *reasons = NULL;
    if (closed && value)
        *reasons = json_pack("[o]", json_sprintf("the measurement %s is revoked", value));
    else if (closed && t->refused)
        *reasons = json_pack("[s]", STATE_REFUSED);
    else if (closed)
        *reasons = json_pack("[s]", "the resource policy cannot be used: an administrator must set "
                                    "it again");
    else if (st == BAWN_OK && t->resource_policy)
        st = judge_release(v, t, h, name, reasons, err);
    free(value);
    return closed && !*reasons ? bawn_fail(err, BAWN_E_NOMEM, "no memory for a reason") : st;
}

/* ---- Release ---- */

struct secret {
    uint8_t *sealed;
    size_t len;
    bool found;
};

static bool take_secret(void *context, const struct db_value *c, int n)
{
    struct secret *s = context;

    s->found = n == 1;
    s->len = c[0].bytes.len;
    s->sealed = malloc(s->len + 1);
    if (s->sealed && s->len)
        memcpy(s->sealed, c[0].bytes.data, s->len);
    return false;
}

static enum bawn_status wrap(struct vault *v, const char *tenant, const char *path,
                             const struct secret *s, const json_t *key, struct reply *r,
                             struct bawn_error *err)
{
    uint8_t *plain;
    json_t *jwe = NULL;
    char aad[1024];
    size_t len;
    enum bawn_status st;

    aad_of(tenant, path, aad);
    st = unseal(v->keys.storage, aad, (struct bawn_bytes){ s->sealed, s->len }, &plain, &len, err);
    if (st != BAWN_OK)
        return st;
    st = jwe_encrypt(key, plain, len, &jwe, err);
    OPENSSL_cleanse(plain, len);
    free(plain);
    return st == BAWN_OK ? reply_json(r, 200, jwe) : st;
}

static enum bawn_status log_release(struct vault *v, const char *tenant, const char *path,
                                    const struct holder *h, const json_t *reasons,
                                    struct bawn_error *err)
{
    const struct tenant *t = vault_tenant(v, tenant);
    json_t *entry =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "type", "release", "tenant", tenant, "resource",
                  path, "session", h->id, "jti", h->jti, "allowed", !reasons);
    uint64_t seq;
    enum bawn_status st;

    if (reasons)
        json_object_set(entry, "reasons", (json_t *)(uintptr_t)reasons);
    if (t->resource_policy) {
        char hash[2 * BAWN_POLICY_HASH_SIZE + 1];

        for (size_t i = 0; i < BAWN_POLICY_HASH_SIZE; i++)
            snprintf(hash + 2 * i, 3, "%02x", bawn_policy_hash(t->resource_policy)[i]);
        json_object_set_new(entry, "policy",
                            json_pack("{s:s, s:s, s:s}", "id", bawn_policy_id(t->resource_policy),
                                      "version", bawn_policy_version(t->resource_policy), "sha256",
                                      hash));
    }
    st = log_append(v->db, entry, v->now_ms, &seq, err);
    json_decref(entry);
    return st;
}

/* The policy comes first: who may not have a resource does not learn whether it is there. */
static enum bawn_status release(struct vault *v, const char *tenant, const char *client,
                                const struct holder *h, const struct resource_name *name,
                                struct reply *r, struct bawn_error *err)
{
    struct secret s = { 0 };
    json_t *reasons;
    enum bawn_status st = reasons_against(v, vault_tenant(v, tenant), h, name, &reasons, err);

    if (st == BAWN_OK && reasons) {
        v->count.refused++;
        if (denial_is_written(v, tenant, "release", client, reasons))
            st = log_release(v, tenant, name->path, h, reasons, err);
        if (st == BAWN_OK)
            st = reply_denied(r, 403, "ResourceDenied",
                              json_string_value(json_array_get(reasons, 0)), reasons);
        json_decref(reasons);
        return st;
    }
    if (st == BAWN_OK)
        st = db_run(v->db, "SELECT sealed FROM secret WHERE tenant = $1 AND path = $2",
                    (struct db_value[]){ db_text(tenant), db_text(name->path) }, 2, take_secret, &s,
                    NULL, err);
    if (st == BAWN_OK && !s.found)
        st = reply_error(r, 404, "ResourceNotFound", "there is no resource %s", name->path);
    else if (st == BAWN_OK && !s.sealed)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for a resource");
    else if (st == BAWN_OK) {
        st = wrap(v, tenant, name->path, &s, h->key, r, err);
        if (st == BAWN_OK)
            st = log_release(v, tenant, name->path, h, NULL, err);
        v->count.released += st == BAWN_OK;
    }
    free(s.sealed);
    return st;
}

enum bawn_status serve_resource_get(struct vault *v, const struct ipc_msg *m, struct reply *r,
                                    struct bawn_error *err)
{
    const char *tenant = text_of(m->json, "tenant"), *path = text_of(m->json, "path");
    struct bawn_error why = { "" };
    struct resource_name name;
    struct holder h = { .v = v };
    enum bawn_status st;

    if (!tenant || !path || !vault_tenant(v, tenant))
        return reply_error(r, 404, "TenantNotFound", "there is no tenant of this name");
    if (resource_name(&name, path, &why) != BAWN_OK)
        return reply_error(r, 400, "InvalidRequestPath", "%s", why.msg);
    st = find_holder(v, m, tenant, &h, &why);
    if (st == BAWN_OK) {
        st = release(v, tenant, text_of(m->json, "client"), &h, &name, r, err);
    } else if (st == BAWN_E_DENIED) {
        v->count.refused++;
        st = reply_error(r, 401, "Unauthenticated", "%s", why.msg);
    } else {
        *err = why;
    }
    holder_clear(&h);
    return st;
}

/* ---- Whether a token is in force ---- */

enum bawn_status serve_bearer(struct vault *v, const struct ipc_msg *m, struct reply *r,
                              struct bawn_error *err)
{
    const char *tenant = text_of(m->json, "tenant"), *bearer = text_of(m->json, "bearer");
    bool revoked = false;
    char *jti = NULL;
    enum bawn_status st;

    if (!tenant || !bearer || !vault_tenant(v, tenant))
        return reply_error(r, 404, "TenantNotFound", "there is no tenant of this name");
    st = token_check(v, tenant, bearer, &jti, err);
    if (st == BAWN_OK)
        st = is_revoked(v, tenant, "token", jti, &revoked, err);
    else if (st == BAWN_E_DENIED || st == BAWN_E_FORMAT)
        st = reply_error(r, 401, "Unauthenticated", "%s", err->msg);
    if (st == BAWN_OK && jti)
        st = revoked ? reply_error(r, 401, "Unauthenticated", "the token is revoked")
                     : reply_json(r, 200, json_object());
    free(jti);
    return st;
}

/* ---- Administration ---- */

enum bawn_status admin_resource_set(struct vault *v, const struct admin_request *a, struct reply *r,
                                    struct bawn_error *err)
{
    struct bawn_error why = { "" };
    struct resource_name name;
    uint8_t *sealed;
    char aad[1024];
    size_t len;
    enum bawn_status st;

    if (resource_name(&name, a->rest, &why) != BAWN_OK)
        return reply_error(r, 400, "InvalidRequestPath", "%s", why.msg);
    aad_of(a->tenant, name.path, aad);
    st = seal(v->keys.storage, aad, a->body.data, a->body.len, &sealed, &len, err);
    if (st == BAWN_E_FORMAT)
        return reply_error(r, 413, "TooLarge", "%s", err->msg);
    if (st != BAWN_OK)
        return st;
    st = db_run(v->db,
                "INSERT INTO secret (tenant, path, sealed, author, created)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, path) DO UPDATE"
                " SET sealed = $3, author = $4, created = $5",
                (struct db_value[]){ db_text(a->tenant), db_text(name.path), db_blob(sealed, len),
                                     db_text(a->admin->name), db_int(vault_now(v)) },
                5, NULL, NULL, NULL, err);
    free(sealed);
    if (st == BAWN_OK)
        st = log_admin(
            v, a, "resource.set",
            json_pack("{s:s, s:I}", "resource", name.path, "bytes", (json_int_t)a->body.len), err);
    return st == BAWN_OK ? reply_json(r, 200, json_pack("{s:s}", "resource", name.path)) : st;
}

static bool list_resource(void *context, const struct db_value *c, int n)
{
    (void)n;
    json_array_append_new(context,
                          json_pack("{s:s, s:s, s:I}", "resource", c[0].bytes.data, "author",
                                    c[1].bytes.data, "created", (json_int_t)c[2].i));
    return true;
}

enum bawn_status admin_resource_list(struct vault *v, const struct admin_request *a,
                                     struct reply *r, struct bawn_error *err)
{
    struct db_value tenant = db_text(a->tenant);
    json_t *list = json_array();
    enum bawn_status st =
        db_run(v->db, "SELECT path, author, created FROM secret WHERE tenant = $1 ORDER BY path",
               &tenant, 1, list_resource, list, NULL, err);

    if (st != BAWN_OK) {
        json_decref(list);
        return st;
    }
    return reply_json(r, 200, json_pack("{s:o}", "resources", list));
}

enum bawn_status admin_resource_delete(struct vault *v, const struct admin_request *a,
                                       struct reply *r, struct bawn_error *err)
{
    struct bawn_error why = { "" };
    struct resource_name name;
    int64_t changed = 0;
    enum bawn_status st;

    if (resource_name(&name, a->rest, &why) != BAWN_OK)
        return reply_error(r, 400, "InvalidRequestPath", "%s", why.msg);
    st = db_run(v->db, "DELETE FROM secret WHERE tenant = $1 AND path = $2",
                (struct db_value[]){ db_text(a->tenant), db_text(name.path) }, 2, NULL, NULL,
                &changed, err);
    if (st == BAWN_OK && !changed)
        return reply_error(r, 404, "ResourceNotFound", "there is no resource %s", name.path);
    if (st == BAWN_OK)
        st = log_admin(v, a, "resource.delete", json_pack("{s:s}", "resource", name.path), err);
    return st == BAWN_OK ? reply_json(r, 200, json_pack("{s:s}", "resource", name.path)) : st;
}

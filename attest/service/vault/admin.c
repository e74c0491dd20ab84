// SPDX-License-Identifier: Apache-2.0
/*
 * Administration: who may do what. An administrator is the SHA-256 of a client certificate that
 * the configuration names for a tenant; the admin front has checked that its holder has the key.
 * Every change is logged with his name.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/jose/jose.h"
#include "attest/log/log.h"
#include "attest/service/vault/vault.h"
#include "common/bytes.h"

#define ANY (ADMIN_POLICY | ADMIN_SECRETS | ADMIN_AUDITOR)

/* The first that fits counts. `below`: also serves what is below the path. */
static const struct {
    const char *method, *path;
    bool below;
    unsigned roles;
    admin_fn *serve;
    int changes; /* 1 + the part of the state; 0: none */
} routes[] = {
    { "POST", "attestation-policy/activate", false, ADMIN_POLICY, admin_policy_activate,
      1 + STATE_POLICY },
    { "POST", "resource-policy/activate", false, ADMIN_POLICY, admin_policy_activate,
      1 + STATE_POLICY },
    { "POST", "attestation-policy/dry-run", false, ADMIN_POLICY | ADMIN_AUDITOR,
      admin_policy_dry_run, 0 },
    { "POST", "attestation-policy", true, ADMIN_POLICY, admin_policy_set, 1 + STATE_POLICY },
    { "PUT", "attestation-policy", true, ADMIN_POLICY, admin_policy_set, 1 + STATE_POLICY },
    { "GET", "attestation-policy", true, ADMIN_POLICY | ADMIN_AUDITOR, admin_policy_get, 0 },
    { "POST", "resource-policy", true, ADMIN_POLICY, admin_policy_set, 1 + STATE_POLICY },
    { "PUT", "resource-policy", true, ADMIN_POLICY, admin_policy_set, 1 + STATE_POLICY },
    { "GET", "resource-policy", true, ADMIN_POLICY | ADMIN_AUDITOR, admin_policy_get, 0 },
    { "POST", "reference-value-signer", true, ADMIN_POLICY, admin_signer_set, 1 + STATE_SIGNER },
    { "GET", "reference-value-signer", true, ADMIN_POLICY | ADMIN_AUDITOR, admin_signer_get, 0 },
    { "DELETE", "reference-value-signer", true, ADMIN_POLICY, admin_signer_delete,
      1 + STATE_SIGNER },
    { "POST", "reference-value", true, ADMIN_POLICY, admin_reference_set, 1 + STATE_REFERENCE },
    { "GET", "reference-value", true, ADMIN_POLICY | ADMIN_AUDITOR, admin_reference_get, 0 },
    { "DELETE", "reference-value", true, ADMIN_POLICY, admin_reference_delete,
      1 + STATE_REFERENCE },
    { "POST", "resource", true, ADMIN_SECRETS, admin_resource_set, 0 },
    { "PUT", "resource", true, ADMIN_SECRETS, admin_resource_set, 0 },
    { "GET", "resource", false, ADMIN_SECRETS | ADMIN_AUDITOR, admin_resource_list, 0 },
    { "DELETE", "resource", true, ADMIN_SECRETS, admin_resource_delete, 0 },
    { "POST", "collateral", true, ADMIN_POLICY, admin_collateral_set, 0 },
    { "GET", "collateral", false, ANY, admin_collateral_get, 0 },
    { "POST", "revoked", false, ADMIN_POLICY, admin_revoke, 1 + STATE_REVOKED },
    { "GET", "revoked", false, ANY, admin_revoked_get, 0 },
    { "POST", "keys/rotate", false, ADMIN_POLICY, admin_keys_rotate, 0 },
    { "GET", "log/checkpoint", false, ADMIN_AUDITOR, admin_log_checkpoint, 0 },
    { "GET", "log", false, ADMIN_AUDITOR, admin_log_get, 0 },
};

/* ---- Helpers ---- */

bool base64_any(const char *text, size_t len, uint8_t **out, size_t *out_len)
{
    char *url = malloc(len + 1);
    size_t n = 0;
    bool ok;

    if (!url)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] != '\n' && text[i] != '\r')
            url[n++] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    while (n && url[n - 1] == '=')
        n--;
    url[n] = '\0';
    ok = b64url_decode(url, n, out, out_len, NULL) == BAWN_OK;
    free(url);
    return ok;
}

static void percent_decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        int high = *from == '%' ? hex_digit(from[1]) : -1;
        int low = high >= 0 ? hex_digit(from[2]) : -1;

        if (low >= 0 && (high || low)) {
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    }
    *to = '\0';
}

char *query_value(const char *query, const char *name)
{
    size_t len = strlen(name);

    while (query && *query) {
        size_t part = strcspn(query, "&");

        if (part > len && !strncmp(query, name, len) && query[len] == '=') {
            char *value = strndup(query + len + 1, part - len - 1);

            if (value)
                percent_decode(value);
            return value;
        }
        query += part + (query[part] == '&');
    }
    return NULL;
}

enum bawn_status log_admin(struct vault *v, const struct admin_request *a, const char *action,
                           json_t *details, struct bawn_error *err)
{
    json_t *entry =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "admin", "action", action, "tenant",
                  a->tenant, "name", a->admin->name, "identity", a->admin->certificate);
    uint64_t seq;
    enum bawn_status st;

    if (!entry || !details) {
        json_decref(entry);
        json_decref(details);
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for a log entry");
    }
    json_object_set_new(entry, "details", details);
    st = log_append(v->db, entry, v->now_ms, &seq, err);
    json_decref(entry);
    return st;
}

/* ---- ADMIN ---- */

static const struct config_admin *find_admin(const struct tenant *t, const char *identity)
{
    for (size_t i = 0; i < t->config->nr_admins; i++)
        if (!strcmp(t->config->admins[i].certificate, identity))
            return &t->config->admins[i];
    return NULL;
}

/* What is behind the route's path; NULL: another path. */
static const char *behind(const char *path, const char *route, bool below)
{
    size_t len = strlen(route);

    if (strncmp(path, route, len) != 0)
        return NULL;
    if (!path[len])
        return "";
    return below && path[len] == '/' ? path + len + 1 : NULL;
}

/* Nothing is built on what is not to be believed: sealed with it, it would be. */
static enum bawn_status change(struct vault *v, const struct admin_request *a, admin_fn *serve,
                               enum state_part part, struct reply *r, struct bawn_error *err)
{
    enum bawn_status st = state_hold(v, err);

    if (st == BAWN_OK)
        st = state_check(v, a->tenant, part, err);
    if (st == BAWN_E_DENIED) {
        journal("error", "a change is refused", "{s:s}", "why", err->msg);
        v->reload = true;
        return reply_error(r, 503, "StateNotAuthentic",
                           "%s: restore a backup, or see --accept-state in bawn-attestd(8)",
                           err->msg);
    }
    if (st == BAWN_OK)
        st = serve(v, a, r, err);
    return st == BAWN_OK && !r->undo ? state_seal(v, a->tenant, part, err) : st;
}

static enum bawn_status dispatch(struct vault *v, struct admin_request *a, struct reply *r,
                                 struct bawn_error *err)
{
    bool path_known = false;

    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const char *rest = behind(a->path, routes[i].path, routes[i].below);

        path_known |= rest != NULL;
        if (!rest || strcmp(a->method, routes[i].method) != 0)
            continue;
        if (!(a->admin->roles & routes[i].roles)) {
            v->count.refused++;
            return reply_error(r, 403, "Forbidden", "%s has no role that may do this",
                               a->admin->name);
        }
        a->rest = rest;
        v->count.admin++;
        return routes[i].changes
                   ? change(v, a, routes[i].serve, (enum state_part)(routes[i].changes - 1), r, err)
                   : routes[i].serve(v, a, r, err);
    }
    if (path_known)
        return reply_error(r, 405, "MethodNotAllowed", "%s is not served here", a->method);
    return reply_error(r, 404, "PathNotFound", "there is no such path");
}

enum bawn_status serve_admin(struct vault *v, const struct ipc_msg *m, struct reply *r,
                             struct bawn_error *err)
{
    const char *identity = text_of(m->json, "identity");
    struct admin_request a = {
        .m = m,
        .tenant = text_of(m->json, "tenant"),
        .method = text_of(m->json, "method"),
        .path = text_of(m->json, "path"),
        .query = text_of(m->json, "query"),
        .type = text_of(m->json, "type"),
        .body = { m->blob, m->blob_len },
    };
    bool changed;
    enum bawn_status st;
    const struct tenant *t = a.tenant ? vault_tenant(v, a.tenant) : NULL;

    if (!a.method || !a.path)
        return reply_error(r, 400, "InvalidRequest", "a request without method or path");
    a.admin = t && identity ? find_admin(t, identity) : NULL;
    if (!a.admin) { /* the same for no tenant and for another's */
        v->count.refused++;
        return reply_error(r, identity ? 403 : 401, "Unauthorized",
                           "the client certificate is not one of an administrator of this tenant");
    }
    if (a.path[0] == '/')
        a.path++;
    if (!strncmp(a.path, "kbs/v0/", 7))
        a.path += 7;
    else if (!strncmp(a.path, "bawn/v1/", 8))
        a.path += 8;
    changed = v->changed;
    v->changed = false;
    st = dispatch(v, &a, r, err);
    if (st == BAWN_OK && v->changed && !r->undo)
        st = state_fits(v, err);
    v->changed |= changed;
    return st;
}

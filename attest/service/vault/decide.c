// SPDX-License-Identifier: Apache-2.0
/*
 * Decisions that judges send: held against the session that the vault gave out, logged, and, when
 * allowed, answered with a token. A judge is trusted about evidence, not about sessions.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "attest/jose/jose.h"
#include "attest/log/log.h"
#include "attest/service/vault/vault.h"
#include "common/bytes.h"

#define RECENT 50 /* decisions on the status page */

/* ---- Against the session ---- */

/* Whether it is the nonce that the session has when it was made for that TEE. */
static enum bawn_status is_nonce_of(const struct session *s, const char *tenant, const char *tee,
                                    const char *nonce, bool *is, struct bawn_error *err)
{
    char right[48];
    enum bawn_status st = session_nonce(s, tenant, tee, right, err);

    *is = st == BAWN_OK && strlen(nonce) == strlen(right) &&
          CRYPTO_memcmp(nonce, right, strlen(right)) == 0;
    return st;
}

/* The TEE that the session was made for: the one whose nonce it is. NULL: none. */
static enum bawn_status tee_of_nonce(const struct session *s, const char *tenant, const char *nonce,
                                     const char **tee, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    bool is;

    *tee = NULL;
    for (size_t i = 0; st == BAWN_OK && session_tees[i]; i++) {
        st = is_nonce_of(s, tenant, session_tees[i], nonce, &is, err);
        if (st == BAWN_OK && is)
            *tee = session_tees[i];
    }
    return st;
}

static bool is_tee(const char *name)
{
    for (size_t i = 0; name && session_tees[i]; i++)
        if (!strcmp(session_tees[i], name))
            return true;
    return false;
}

/* The nonce is the one that this session was given for this kind of evidence. */
static enum bawn_status is_of_session(const struct session *s, const json_t *d, bool *is,
                                      struct bawn_error *err)
{
    const char *nonce = text_of(d, "nonce"), *tee = text_of(d, "tee");

    *is = false;
    if (!nonce || !is_tee(tee))
        return BAWN_OK;
    return is_nonce_of(s, text_of(d, "tenant"), tee, nonce, is, err);
}

static enum bawn_status check_nonce(const struct session *s, const json_t *d, json_t *reasons,
                                    struct bawn_error *err)
{
    const char *nonce = text_of(d, "nonce"), *tee = text_of(d, "tee"), *expected = NULL;
    bool is;
    enum bawn_status st = is_of_session(s, d, &is, err);

    if (st != BAWN_OK || is)
        return st;
    st = tee_of_nonce(s, text_of(d, "tenant"), nonce ? nonce : "", &expected, err);
    if (st != BAWN_OK)
        return st;
    if (!expected)
        json_array_append_new(reasons,
                              json_string("the nonce is not the one that this session was given"));
    else
        json_array_append_new(reasons,
                              json_sprintf("the session was made for %s, and the evidence is of %s",
                                           expected, tee ? tee : "an unknown kind"));
    return BAWN_OK;
}

static enum bawn_status check_revoked(struct vault *v, const json_t *d, json_t *reasons,
                                      struct bawn_error *err)
{
    char *value;
    enum bawn_status st =
        find_revoked(v, text_of(d, "tenant"), json_object_get(d, "claims"), &value, err);

    if (st == BAWN_OK && value)
        json_array_append_new(reasons, json_sprintf("the measurement %s is revoked", value));
    free(value);
    return st;
}

/* ---- What is kept ---- */

/* What a later request for a resource is judged by. */
static char *session_claims(const json_t *d)
{
    json_t *kept = json_object();
    static const char *const members[] = { "claims",  "claim_kinds",  "kind",   "tee",
                                           "verdict", "foreign_root", "policy", "status" };
    size_t len;
    char *text;

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (json_object_get(d, members[i]))
            json_object_set(kept, members[i], json_object_get(d, members[i]));
    text = json_text(kept, &len);
    json_decref(kept);
    return text;
}

static enum bawn_status store_session(struct vault *v, const struct session *s, const json_t *d,
                                      bool allowed, const char *jti, struct bawn_error *err)
{
    int64_t end = vault_now(v) + v->config->token.lifetime;
    char *claims = allowed ? session_claims(d) : NULL;
    size_t len;
    char *key = allowed ? json_text(json_object_get(d, "tee_pubkey"), &len) : NULL;
    uint8_t mac[STATE_MAC];
    struct db_value row[8] = { db_blob(s->id, SESSION_ID),
                               db_text(text_of(d, "tenant")),
                               db_int(end > s->expires ? end : s->expires),
                               db_text(jti),
                               db_int(allowed),
                               db_text(key),
                               db_text(claims) };
    enum bawn_status st;

    if (allowed && (!claims || !key))
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for a session");
    else if (allowed && !state_session_mac(v, row, 7, mac))
        st = bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot compute a MAC");
    else {
        row[7] = allowed ? db_blob(mac, sizeof(mac)) : (struct db_value){ .type = DB_NULL };
        st = db_run(v->db,
                    "INSERT INTO session (id, tenant, expires, jti, allowed, tee_key, claims, mac)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    row, 8, NULL, NULL, NULL, err);
    }
    free(claims);
    free(key);
    return st;
}

static enum bawn_status log_decision(struct vault *v, const struct session *s, const json_t *d,
                                     bool allowed, const char *jti, json_t *reasons, uint64_t *seq,
                                     struct bawn_error *err)
{
    static const char *const members[] = {
        "tenant",   "tee",    "kind",      "subject",         "verdict", "foreign_root",
        "findings", "claims", "policy",    "claim_kinds",     "trace",   "vector",
        "status",   "hash",   "init_data", "evidence_sha384", "client",
    };
    json_t *entry =
        json_pack("{s:s, s:b, s:O}", "type", "attest", "allowed", allowed, "reasons", reasons);
    char id[2 * SESSION_ID + 1];
    enum bawn_status st;

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (json_object_get(d, members[i]))
            json_object_set(entry, members[i], json_object_get(d, members[i]));
    hex_print(s->id, SESSION_ID, id);
    json_object_set_new(entry, "session", json_string(id));
    if (jti)
        json_object_set_new(entry, "jti", json_string(jti));
    st = log_append(v->db, entry, v->now_ms, seq, err);
    json_decref(entry);
    return st;
}

#define CHECKS_MAX 200

static void count_check(struct vault *v, const char *check)
{
    json_int_t n = json_integer_value(json_object_get(v->by_check, check));

    if (*check && (n || json_object_size(v->by_check) < CHECKS_MAX))
        json_object_set_new(v->by_check, check, json_integer(n + 1));
}

/* By which checks and rules it was denied. */
static void count_denial(struct vault *v, const json_t *d)
{
    json_t *list = json_object_get(d, "findings"), *e;
    size_t i;

    json_array_foreach(list, i, e)
    {
        const char *level = text_of(e, "level"), *check = text_of(e, "check");

        if (level && check && (!strcmp(level, "refused") || !strcmp(level, "missing")))
            count_check(v, check);
    }
    list = json_object_get(d, "trace");
    json_array_foreach(list, i, e)
    {
        const char *outcome = text_of(e, "outcome"), *rule = text_of(e, "rule");

        if (outcome && rule && !strcmp(outcome, "failed") && *text_of(e, "claim"))
            count_check(v, rule);
    }
}

/* What rules say of TCB levels; the reported levels alone where no rule is about them. */
static json_t *tcb_of(const json_t *d, uint64_t seq)
{
    json_t *trace = json_object_get(d, "trace"), *claims = json_object_get(d, "claims"), *e;
    json_t *list = json_array();
    const char *name;
    size_t i;

    json_array_foreach(trace, i, e)
    {
        const char *claim = text_of(e, "claim"), *outcome = text_of(e, "outcome");

        if (claim && outcome && strstr(claim, "tcb") && strcmp(outcome, "skipped") != 0)
            json_array_append_new(
                list, json_pack("{s:s, s:s?, s:s?, s:b, s:I}", "claim", claim, "found",
                                text_of(e, "found"), "minimum", text_of(e, "requirement"), "ok",
                                !strcmp(outcome, "passed"), "seq", (json_int_t)seq));
    }
    if (json_array_size(list))
        return list;
    json_object_foreach(claims, name, e)
    {
        if (!strncmp(name, "snp.reported_tcb.", 17) || !strcmp(name, "tdx.tcb_status"))
            json_array_append_new(list,
                                  json_pack("{s:s, s:O, s:s, s:b, s:I}", "claim", name, "found", e,
                                            "minimum", "", "ok", 1, "seq", (json_int_t)seq));
    }
    return list;
}

static void remember(struct vault *v, const json_t *d, bool allowed, json_t *reasons, uint64_t seq)
{
    const char *policy = text_of(json_object_get(d, "policy"), "id");
    json_t *tcb = tcb_of(d, seq);
    json_t *entry = json_pack("{s:I, s:I, s:s?, s:s?, s:s?, s:s?, s:b, s:O, s:s}", "seq",
                              (json_int_t)seq, "time", (json_int_t)vault_now(v), "tenant",
                              text_of(d, "tenant"), "kind", text_of(d, "kind"), "subject",
                              text_of(d, "subject"), "verdict", text_of(d, "verdict"), "allowed",
                              allowed, "reasons", reasons, "policy", policy ? policy : "");

    if (!allowed)
        count_denial(v, d);
    if (json_array_size(tcb)) {
        json_decref(v->tcb);
        v->tcb = json_incref(tcb);
    }
    json_decref(tcb);
    if (entry)
        json_array_insert_new(v->recent, 0, entry);
    while (json_array_size(v->recent) > RECENT)
        json_array_remove(v->recent, RECENT);
}

/* ---- DECIDE ---- */

/* All that stands against it, besides what the judge found. */
static enum bawn_status objections(struct vault *v, const struct session *s, const json_t *d,
                                   json_t *reasons, struct bawn_error *err)
{
    const struct tenant *t = vault_tenant(v, text_of(d, "tenant"));
    enum bawn_status st = check_nonce(s, d, reasons, err);

    if (st == BAWN_OK && t->refused)
        json_array_append_new(reasons, json_string(STATE_REFUSED));

    if (st == BAWN_OK)
        st = check_revoked(v, d, reasons, err);
    if (st == BAWN_OK && !json_is_true(json_object_get(d, "allowed")))
        json_array_extend(reasons, json_object_get(d, "reasons"));
    if (st == BAWN_OK && !json_is_true(json_object_get(d, "allowed")) && !json_array_size(reasons))
        json_array_append_new(reasons, json_string("the policy does not allow it"));
    return st;
}

static enum bawn_status conclude(struct vault *v, const struct session *s, const json_t *d,
                                 json_t *reasons, char **token, struct bawn_error *err)
{
    bool allowed = !json_array_size(reasons), written;
    char *jti = NULL;
    uint64_t seq = 0;
    enum bawn_status st = allowed ? token_issue(v, d, token, &jti, err) : BAWN_OK;

    if (st == BAWN_OK)
        st = store_session(v, s, d, allowed, jti, err);
    if (st == BAWN_E_DENIED) { /* the id is there: used before */
        json_array_clear(reasons);
        json_array_append_new(reasons, json_string("the session's nonce was used before"));
        free(*token);
        *token = NULL;
        free(jti);
        jti = NULL;
        allowed = false;
        st = BAWN_OK;
    }
    written = st != BAWN_OK || allowed ||
              denial_is_written(v, text_of(d, "tenant"), "attest", text_of(d, "client"), reasons);
    if (st == BAWN_OK && written)
        st = log_decision(v, s, d, allowed, jti, reasons, &seq, err);
    if (st == BAWN_OK && !written)
        count_denial(v, d);
    else if (st == BAWN_OK)
        remember(v, d, allowed, reasons, seq);
    free(jti);
    return st;
}

/* BAWN_E_DENIED: none, or it may have been used; err is for the client. */
static enum bawn_status open_unused(struct vault *v, const char *tenant, const char *cookie,
                                    struct session *s, struct bawn_error *err)
{
    int64_t swept = 0;
    enum bawn_status st = session_open(v, tenant, cookie, s, err);

    if (st == BAWN_OK)
        st = session_swept(v, &swept, err);
    if (st != BAWN_OK || s->expires >= swept)
        return st;
    v->next_sweep = 0; /* the clock went back, and that is where it is seen to */
    return bawn_fail(err, BAWN_E_DENIED, "the session has expired: start again with POST auth");
}

enum bawn_status serve_decide(struct vault *v, const struct ipc_msg *m, struct reply *r,
                              struct bawn_error *err)
{
    const char *tenant = text_of(m->json, "tenant"), *cookie = text_of(m->json, "cookie");
    const json_t *missing = json_object_get(m->json, "missing");
    json_t *reasons = json_array();
    struct bawn_error why = { "" };
    char *token = NULL, *body = NULL;
    struct session s;
    enum bawn_status st;
    bool is;

    if (!tenant || !cookie || !vault_tenant(v, tenant)) {
        json_decref(reasons);
        return reply_error(r, 404, "TenantNotFound", "there is no tenant of this name");
    }
    st = open_unused(v, tenant, cookie, &s, &why);
    if (st != BAWN_OK && st != BAWN_E_DENIED) {
        json_decref(reasons);
        *err = why;
        return st;
    }
    if (st != BAWN_OK) {
        json_decref(reasons);
        v->count.refused++;
        return reply_error(r, 401, "InvalidSession", "%s", why.msg);
    }
    st = BAWN_OK;
    if (missing && is_of_session(&s, m->json, &is, NULL) == BAWN_OK && is &&
        fetch_wanted(v, tenant, missing, r, &st)) {
        json_decref(reasons); /* nothing is decided, so the nonce is not used */
        return st;
    }
    st = objections(v, &s, m->json, reasons, err);
    if (st == BAWN_OK)
        st = conclude(v, &s, m->json, reasons, &token, err);
    if (st == BAWN_E_FORMAT) { /* the log has no room for such an entry: nothing was decided */
        r->undo = true;
        st = reply_error(r, 400, "InvalidRequest", "the evidence is too large");
    } else if (st == BAWN_OK && token) {
        v->count.allowed++;
        r->cookie = strdup(cookie);
        if (asprintf(&body, "{\"token\":\"%s\"}", token) < 0) /* base64url needs no escapes */
            body = NULL;
        st = reply_text(r, 200, body);
    } else if (st == BAWN_OK) {
        v->count.denied++;
        st = reply_denied(r, 401, "AttestationDenied",
                          json_string_value(json_array_get(reasons, 0)), reasons);
    }
    free(token);
    json_decref(reasons);
    return st;
}

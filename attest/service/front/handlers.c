// SPDX-License-Identifier: Apache-2.0
/*
 * What each route does: makes a message of the request for vault or judge, and an answer of their
 * reply. Bodies that others parse pass through unread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/service/front/front.h"

#define COOKIE "kbs-session-id"
#define STREAM_QUEUE_MAX (256u << 10) /* a subscriber who does not read is let go */

static struct bawn_bytes body_of(const struct conn *c)
{
    return (struct bawn_bytes){ c->body, c->body_len };
}

/* The tenant, or an answer. */
static bool need_tenant(struct conn *c)
{
    if (!*c->tenant)
        conn_error(c, 404, "NotFound", "there is no tenant of the name default; use /t/NAME/...",
                   0);
    return *c->tenant != '\0';
}

/* ---- Replies ---- */

static bool header_safe(const char *text, const char *more)
{
    size_t n;

    if (!text)
        return false;
    n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    while (text[n] && strchr(more, text[n]))
        n += 1 + strspn(text + n + 1,
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n > 0 && !text[n] && n < 4096;
}

void reply_plain(struct conn *c, struct ipc_msg *reply)
{
    json_int_t status = json_integer_value(json_object_get(reply->json, "status"));
    const char *type = json_string_value(json_object_get(reply->json, "type"));
    const char *cookie = json_string_value(json_object_get(reply->json, "cookie"));
    json_int_t retry = json_integer_value(json_object_get(reply->json, "retry_after"));
    char headers[4352] = "";
    size_t n = 0;

    if (status < 200 || status > 599) {
        conn_error(c, 500, "Internal", "the service failed", 0);
        return;
    }
    if (header_safe(cookie, ""))
        n += (size_t)snprintf(headers, sizeof(headers),
                              "Set-Cookie: " COOKIE "=%s; Path=/; Secure; HttpOnly\r\n", cookie);
    if (retry > 0 && retry < 1000000)
        n += (size_t)snprintf(headers + n, sizeof(headers) - n, "Retry-After: %lld\r\n",
                              (long long)retry);
    if (status == 401)
        snprintf(headers + n, sizeof(headers) - n, "WWW-Authenticate: Bearer\r\n");
    conn_answer(c, (int)status, header_safe(type, "/+;= ") ? type : NULL, headers, reply->blob,
                reply->blob_len);
}

/* ---- Guests ---- */

static void client_text(const struct conn *c, char text[CLIENT_TEXT])
{
    struct sockaddr_storage address = { .ss_family = AF_UNIX };
    socklen_t len = sizeof(address);

    (void)!getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&address, &len);
    limits_name((const struct sockaddr *)&address, text);
}

/* 0.4.0 and what is compatible with it: 0.4.x. */
static bool version_ok(const char *version)
{
    return version && !strncmp(version, "0.4.", 4) && version[4] &&
           strspn(version + 4, "0123456789") == strlen(version + 4);
}

static bool tee_ok(const char *tee)
{
    size_t n = tee ? strspn(tee, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;

    return n > 0 && n <= 32 && !tee[n];
}

/* The digests that the client offers, or an empty list. */
static json_t *offered(const json_t *request)
{
    const json_t *extra = json_object_get(request, "extra-params");
    json_t *list = json_object_get(extra, "supported-hash-algorithms"), *hashes = json_array();

    for (size_t i = 0; hashes && i < json_array_size(list) && i < 16; i++)
        if (tee_ok(json_string_value(json_array_get(list, i))))
            json_array_append(hashes, json_array_get(list, i));
    return hashes;
}

void handle_auth(struct conn *c)
{
    json_t *request, *message = NULL;
    const char *version, *tee;

    if (!need_tenant(c))
        return;
    request = json_loadb((const char *)c->body, c->body_len, JSON_REJECT_DUPLICATES, NULL);
    version = json_string_value(json_object_get(request, "version"));
    tee = json_string_value(json_object_get(request, "tee"));
    if (!version || !tee) {
        conn_error(c, 400, "BadRequest", "the body must be an object with version and tee", 0);
    } else if (!version_ok(version)) {
        conn_error(c, 401, "ProtocolVersion", "this service speaks version 0.4.0", 0);
    } else if (!tee_ok(tee)) {
        conn_error(c, 400, "BadRequest", "tee is no name of a platform", 0);
    } else {
        message =
            json_pack("{s:s,s:s,s:o}", "tenant", c->tenant, "tee", tee, "hashes", offered(request));
        backend_vault(c, IPC_SESSION_NEW, message, (struct bawn_bytes){ NULL, 0 }, reply_plain);
    }
    json_decref(message);
    json_decref(request);
}

void handle_attest(struct conn *c)
{
    struct slice cookie;
    char client[CLIENT_TEXT];
    json_t *message;

    if (!need_tenant(c))
        return;
    if (!http_cookie(&c->head, COOKIE, &cookie)) {
        conn_error(c, 401, "MissingCookie", "no session: POST /kbs/v0/auth gives a cookie", 0);
        return;
    }
    if (!c->body_len) {
        conn_error(c, 400, "BadRequest", "the body must be an object with tee-evidence", 0);
        return;
    }
    client_text(c, client);
    message = json_pack("{s:s,s:s%,s:s}", "tenant", c->tenant, "cookie", cookie.p, cookie.len,
                        "client", client);
    backend_judge(c, message, body_of(c), reply_plain);
    json_decref(message);
}

void handle_resource(struct conn *c)
{
    const struct slice *s = &c->path.segment[c->path_from + 3];
    struct slice credential;
    char path[3 * (HTTP_SEGMENT_MAX + 1)], client[CLIENT_TEXT];
    const char *kind;
    json_t *message;

    if (!need_tenant(c))
        return;
    if (http_bearer(&c->head, &credential)) {
        kind = "bearer";
    } else if (http_cookie(&c->head, COOKIE, &credential)) {
        kind = "cookie";
    } else {
        conn_error(c, 401, "TokenNotFound", "neither a Bearer token nor a session's cookie", 0);
        return;
    }
    snprintf(path, sizeof(path), "%.*s/%.*s/%.*s", (int)s[0].len, s[0].p, (int)s[1].len, s[1].p,
             (int)s[2].len, s[2].p);
    client_text(c, client);
    message = json_pack("{s:s,s:s,s:s%,s:s}", "tenant", c->tenant, "path", path, kind, credential.p,
                        credential.len, "client", client);
    backend_vault(c, IPC_RESOURCE_GET, message, (struct bawn_bytes){ NULL, 0 }, reply_plain);
    json_decref(message);
}

void handle_jwks(struct conn *c)
{
    json_t *none = json_object();

    backend_vault(c, IPC_KEYS, none, (struct bawn_bytes){ NULL, 0 }, reply_plain);
    json_decref(none);
}

/* ---- Administrators ---- */

void handle_admin(struct conn *c)
{
    const char *path = c->path.segment[c->path_from].p - 1;
    size_t path_len = (size_t)(c->head.path.p + c->head.path.len - path);
    struct slice type = { "", 0 };
    json_t *message;

    if (!need_tenant(c))
        return;
    http_header(&c->head, "Content-Type", &type);
    message = json_pack("{s:s,s:s%,s:s%,s:s%,s:s,s:s%}", "tenant", c->tenant, "method",
                        c->head.method_text.p, c->head.method_text.len, "path", path, path_len,
                        "query", c->head.query.len ? c->head.query.p : "", c->head.query.len,
                        "identity", c->identity, "type", type.p, type.len);
    if (message)
        backend_vault(c, IPC_ADMIN, message, body_of(c), reply_plain);
    else /* a content type that is not UTF-8 */
        conn_error(c, 400, "BadRequest", "a header is not text", 0);
    json_decref(message);
}

/* ---- Operation ---- */

/* "all: ..." and nothing can be served; else there is a part that cannot. */
static void health_problem(struct conn *c, const char *problem)
{
    char text[256];
    int n = snprintf(text, sizeof(text), "%s\n", problem);

    conn_answer(c, strncmp(problem, "all", 3) ? 200 : 503, "text/plain", NULL, text,
                n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void handle_health(struct conn *c)
{
    /* The administrators' front has no judges; without the vault no front is there to answer. */
    if (c->front->role == ROLE_FRONT && !backend_judges(c->front))
        conn_answer(c, 503, "text/plain", NULL, "no verifier\n", 12);
    else if (c->front->problem)
        health_problem(c, c->front->problem);
    else
        conn_answer(c, 200, "text/plain", NULL, "ok\n", 3);
}

/* The status is the reply's JSON, or its body. */
static json_t *status_of(const struct ipc_msg *reply)
{
    json_t *status;

    if (!reply->blob_len)
        return json_incref(json_object_get(reply->json, "body"));
    status = json_loadb((const char *)reply->blob, reply->blob_len, 0, NULL);
    return status;
}

static void reply_metrics(struct conn *c, struct ipc_msg *reply)
{
    struct evbuffer *out = evbuffer_new();
    json_t *status = status_of(reply);

    if (out) {
        metrics_print(out, c->front->all_metrics, status);
        conn_answer_buffer(c, 200, "text/plain; version=0.0.4", NULL, out);
        evbuffer_free(out);
    } else {
        conn_error(c, 503, "Unavailable", "no memory", 1);
    }
    json_decref(status);
}

static void reply_page(struct conn *c, struct ipc_msg *reply)
{
    static const char headers[] =
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
        "Referrer-Policy: no-referrer\r\n";
    struct evbuffer *out = evbuffer_new();
    json_t *status = status_of(reply);

    if (out) {
        page_print(out, status, (int64_t)time(NULL));
        conn_answer_buffer(c, 200, "text/html; charset=utf-8", headers, out);
        evbuffer_free(out);
    } else {
        conn_error(c, 503, "Unavailable", "no memory", 1);
    }
    json_decref(status);
}

static void ask_status(struct conn *c, job_reply_fn reply)
{
    json_t *none = json_object();

    backend_vault(c, IPC_STATUS, none, (struct bawn_bytes){ NULL, 0 }, reply);
    json_decref(none);
}

void handle_metrics(struct conn *c)
{
    ask_status(c, reply_metrics);
}

void handle_page(struct conn *c)
{
    ask_status(c, reply_page);
}

/* ---- Server-sent events (WHATWG HTML, 9.2) ---- */

static bool is_admin(const struct conn *c)
{
    const struct config_tenant *tenant = config_tenant(c->front->config, c->tenant);

    for (size_t i = 0; tenant && i < tenant->nr_admins; i++)
        if (!strcmp(tenant->admins[i].certificate, c->identity))
            return true;
    return false;
}

static void reply_bearer(struct conn *c, struct ipc_msg *reply)
{
    if (json_integer_value(json_object_get(reply->json, "status")) != 200) {
        reply_plain(c, reply);
        return;
    }
    c->known = true;
    conn_stream_start(c);
}

/* Anybody may hear what is revoked; why, those who show a token or an administrator's certificate.
 */
void handle_events(struct conn *c)
{
    struct slice bearer;
    json_t *message;

    if (!need_tenant(c))
        return;
    c->known = false;
    if (c->door->kind == DOOR_ADMIN) {
        c->known = is_admin(c);
        if (c->known)
            conn_stream_start(c);
        else
            conn_error(c, 403, "Unauthorized",
                       "the client certificate is not one of an administrator of this tenant", 0);
    } else if (http_bearer(&c->head, &bearer)) {
        message = json_pack("{s:s,s:s%}", "tenant", c->tenant, "bearer", bearer.p, bearer.len);
        backend_vault(c, IPC_BEARER, message, (struct bawn_bytes){ NULL, 0 }, reply_bearer);
        json_decref(message);
    } else {
        conn_stream_start(c);
    }
}

void events_send(struct front *f, const json_t *event)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    const char *tenant = json_string_value(json_object_get(event, "tenant"));
    json_t *data = json_object_get(event, "data"), *less = json_copy(data);
    char *text[2] = { NULL, data ? json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY) : NULL };
    struct conn *c, *next;

    json_object_del(less, "reason");
    if (less)
        text[0] = json_dumps(less, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(less);
    for (c = LIST_FIRST(&f->subscribers); c; c = next) {
        struct evbuffer *out = bufferevent_get_output(c->bev);

        next = LIST_NEXT(c, subscribers);
        if (event && tenant && strcmp(tenant, c->tenant) != 0)
            continue;
        if (evbuffer_get_length(out) > STREAM_QUEUE_MAX)
            conn_close(c);
        else if (!event)
            evbuffer_add(out, ": alive\n\n", 9);
        else if (text[c->known] && header_safe(name, ""))
            evbuffer_add_printf(out, "event: %s\ndata: %s\n\n", name, text[c->known]);
    }
    free(text[0]);
    free(text[1]);
}

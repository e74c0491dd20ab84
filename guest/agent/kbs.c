// SPDX-License-Identifier: Apache-2.0
/*
 * The KBS protocol 0.4.0 from the guest's side: auth, attest, resource, in one TLS connection. A
 * refusal is final; what may pass (no connection, 429, 503) is tried again from the beginning, with
 * a new nonce, until the time is over.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "attest/jose/jose.h"
#include "guest/agent/agent.h"

#define KBS_VERSION "0.4.0"
#define HASH_DEFAULT "sha384"

enum {
    RSA_BITS = 3072,
    NONCE_MAX = 1024,
    HASH_NAME = 16,
    REQUEST_MS = 30000,
    BACKOFF_MIN_MS = 250,
    BACKOFF_MAX_MS = 8000,
};

/* ---- What is sent ---- */

EVP_PKEY *kbs_key(const struct agent_options *o, struct bawn_error *err)
{
    EVP_PKEY *key = !strcmp(o->key_type, "rsa") ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");

    if (!key)
        bawn_fail(err, BAWN_E_INTERNAL, "cannot make a key pair");
    return key;
}

/* Only what a KBS reads: it hashes the key as it writes it again from that. */
static json_t *tee_pubkey(const EVP_PKEY *key)
{
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    json_t *jwk = jwk_from(key, rsa ? "RSA-OAEP-256" : "ECDH-ES+A256KW", NULL);

    if (jwk)
        json_object_del(jwk, "kid");
    return jwk;
}

/* What additional evidence is bound to: nonce and key alone, since the primary evidence is bound to
 * it. */
static enum bawn_status additional_data(const json_t *runtime, const char *hash,
                                        uint8_t data[REPORT_DATA], struct bawn_error *err)
{
    enum bawn_status status;
    size_t len;
    char *text;

    status = json_canonical(runtime, &text, &len, err);
    if (status != BAWN_OK)
        return status;
    memset(data, 0, REPORT_DATA);
    if (EVP_Digest(text, len, data, NULL, EVP_get_digestbyname(hash), NULL) != 1)
        status = bawn_fail(err, BAWN_E_UNSUPPORTED, "cannot hash by %.30s", hash);
    free(text);
    return status;
}

/* {"tpm": ...} as the text that the protocol has it in, or "". */
static enum bawn_status additional_evidence(const struct agent_options *o, const json_t *runtime,
                                            const char *hash, char **text, struct bawn_error *err)
{
    const char *tee = evidence_tee(o);
    uint8_t data[REPORT_DATA];
    json_t *tpm = NULL, *all;
    enum bawn_status status;

    *text = NULL;
    if (!o->with_tpm)
        return (*text = strdup("")) ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (tee && !strcmp(tee, "tpm"))
        return bawn_fail(err, BAWN_E_CONFIG,
                         "--with-tpm: a TPM is all that is here, and gives the primary evidence");
    status = additional_data(runtime, hash, data, err);
    if (status == BAWN_OK)
        status = evidence_tpm(o, data, &tpm, err);
    if (status != BAWN_OK)
        return status;
    all = json_pack("{s:o}", "tpm", tpm);
    *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return *text ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory");
}

enum bawn_status kbs_attestation(const struct agent_options *o, EVP_PKEY *key, const char *nonce,
                                 const char *hash, json_t **body, struct bawn_error *err)
{
    uint8_t data[REPORT_DATA];
    struct evidence ev = { 0 };
    char *additional = NULL;
    json_t *runtime = json_pack("{s:s,s:o}", "nonce", nonce, "tee-pubkey", tee_pubkey(key));
    enum bawn_status status;

    if (!runtime)
        return bawn_fail(err, BAWN_E_INTERNAL, "cannot make the runtime data");
    status = additional_evidence(o, runtime, hash, &additional, err);
    if (status == BAWN_OK)
        status = kbs_report_data(runtime, additional, hash, data, err);
    if (status == BAWN_OK)
        status = evidence_get(o, data, &ev, err);
    if (status == BAWN_OK) {
        *body = json_pack("{s:O,s:{s:O,s:s}}", "runtime-data", runtime, "tee-evidence",
                          "primary_evidence", ev.json, "additional_evidence", additional);
        if (!*body)
            status = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    }
    free(additional);
    json_decref(ev.json);
    json_decref(runtime);
    return status;
}

/* ---- One exchange ---- */

struct session {
    const struct agent_options *o;
    struct transport t;
    EVP_PKEY *key;
    char cookie[HTTP_COOKIE_MAX];
    int64_t deadline;     /* of everything */
    unsigned retry_after; /* what the server asked for */
};

static int64_t request_deadline(const struct session *s)
{
    int64_t limit = agent_now_ms() + REQUEST_MS;

    return limit < s->deadline ? limit : s->deadline;
}

/* What the server says of its refusal, with nothing in it that a terminal would obey. */
static void detail_of(const struct http_reply *reply, char *text, size_t size)
{
    json_t *value = NULL;
    const char *detail = NULL;
    size_t n = 0;

    if (json_read((struct bawn_bytes){ reply->body, reply->len }, &value, NULL) == BAWN_OK)
        detail = json_string_value(json_object_get(value, "detail"));
    for (; detail && *detail && n + 1 < size; detail++)
        text[n++] = *detail >= ' ' && *detail <= '~' ? *detail : '?';
    text[n] = '\0';
    json_decref(value);
}

static enum bawn_status judge_status(struct session *s, const char *what,
                                     const struct http_reply *reply, struct bawn_error *err)
{
    char detail[320];

    if (reply->status == 200)
        return BAWN_OK;
    detail_of(reply, detail, sizeof(detail));
    s->retry_after = reply->retry_after;
    return bawn_fail(err, reply->status == 429 || reply->status == 503 ? BAWN_E_IO : BAWN_E_DENIED,
                     "%s: the server answered %u%s%s", what, reply->status, *detail ? ": " : "",
                     detail);
}

/* One request; *answer is the reply's JSON. */
static enum bawn_status ask(struct session *s, const char *what, const char *route,
                            const json_t *body, json_t **answer, struct bawn_error *err)
{
    const char *tenant = s->o->tenant;
    struct http_reply reply = { 0 };
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL, *path = NULL;
    enum bawn_status status;

    *answer = NULL;
    if ((body && !text) ||
        asprintf(&path, "%s%s/kbs/v0/%s", tenant ? "/t/" : "", tenant ? tenant : "", route) < 0) {
        free(text);
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    }
    status = http_request(&s->t, s->o, path, *s->cookie ? s->cookie : NULL, text,
                          request_deadline(s), &reply, err);
    free(path);
    free(text);
    if (status != BAWN_OK)
        return status;
    if (*reply.cookie)
        memcpy(s->cookie, reply.cookie, sizeof(s->cookie));
    status = judge_status(s, what, &reply, err);
    if (status == BAWN_OK)
        status = json_read((struct bawn_bytes){ reply.body, reply.len }, answer, err);
    free(reply.body);
    return status;
}

static enum bawn_status auth(struct session *s, char **nonce, char hash[HASH_NAME],
                             struct bawn_error *err)
{
    json_t *request =
        json_pack("{s:s,s:s,s:{s:[sss]}}", "version", KBS_VERSION, "tee", evidence_tee(s->o),
                  "extra-params", "supported-hash-algorithms", "sha384", "sha512", "sha256");
    json_t *answer = NULL;
    const char *given, *selected;
    enum bawn_status status;

    s->cookie[0] = '\0';
    if (!request)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    status = ask(s, "auth", "auth", request, &answer, err);
    json_decref(request);
    if (status != BAWN_OK)
        return status;
    given = json_string_value(json_object_get(answer, "nonce"));
    selected = json_string_value(
        json_object_get(json_object_get(answer, "extra-params"), "selected-hash-algorithm"));
    if (!selected)
        selected = HASH_DEFAULT;
    if (!given || !*given || strlen(given) > NONCE_MAX || strlen(selected) >= HASH_NAME)
        status = bawn_fail(err, BAWN_E_FORMAT, "auth: the server's challenge has no usable nonce");
    else if (!*s->cookie)
        status = bawn_fail(err, BAWN_E_FORMAT, "auth: the server set no kbs-session-id cookie");
    else if (!(*nonce = strdup(given)))
        status = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    else
        snprintf(hash, HASH_NAME, "%s", selected);
    json_decref(answer);
    return status;
}

static enum bawn_status attest(struct session *s, struct kbs_result *result, struct bawn_error *err)
{
    json_t *body = NULL, *answer = NULL;
    char *nonce = NULL, hash[HASH_NAME];
    const char *token;
    enum bawn_status status = auth(s, &nonce, hash, err);

    if (status == BAWN_OK) {
        agent_say(s->o, "session opened, asking the guest's firmware for evidence");
        status = kbs_attestation(s->o, s->key, nonce, hash, &body, err);
    }
    if (status == BAWN_OK)
        status = ask(s, "attest", "attest", body, &answer, err);
    token = json_string_value(json_object_get(answer, "token"));
    if (status == BAWN_OK && (!token || !(result->token = strdup(token))))
        status = bawn_fail(err, BAWN_E_FORMAT, "attest: the server's answer has no token");
    free(nonce);
    json_decref(body);
    json_decref(answer);
    return status;
}

static enum bawn_status fetch(struct session *s, struct kbs_result *result, struct bawn_error *err)
{
    char route[600];
    json_t *jwe;
    enum bawn_status status;

    snprintf(route, sizeof(route), "resource/%s", s->o->resource);
    status = ask(s, s->o->resource, route, NULL, &jwe, err);
    if (status != BAWN_OK)
        return status;
    status = jwe_decrypt(s->key, jwe, &result->secret, &result->len, err);
    json_decref(jwe);
    return status;
}

static enum bawn_status attempt(struct session *s, struct kbs_result *result,
                                struct bawn_error *err)
{
    enum bawn_status status = attest(s, result, err);

    if (status == BAWN_OK && s->o->resource) {
        agent_say(s->o, "evidence accepted, fetching %s", s->o->resource);
        status = fetch(s, result, err);
    }
    transport_close(&s->t);
    return status;
}

/* ---- Again and again ---- */

/* False: the time would be over. The jitter keeps guests that were started together apart. */
static bool pause_before(struct session *s, unsigned tries, const struct bawn_error *err)
{
    int64_t delay = (int64_t)BACKOFF_MIN_MS << (tries < 6 ? tries : 6);
    struct timespec ts;
    uint8_t jitter = 0;

    if (delay > BACKOFF_MAX_MS)
        delay = BACKOFF_MAX_MS;
    if (s->retry_after)
        delay = (int64_t)s->retry_after * 1000;
    RAND_bytes(&jitter, sizeof(jitter));
    delay += delay * jitter / 1024;
    if (agent_now_ms() + delay >= s->deadline)
        return false;
    agent_say(s->o, "%s; trying again in %lld.%01lld s", err->msg, (long long)(delay / 1000),
              (long long)(delay % 1000 / 100));
    ts = (struct timespec){ .tv_sec = delay / 1000, .tv_nsec = delay % 1000 * 1000000 };
    nanosleep(&ts, NULL);
    return true;
}

enum bawn_status kbs_run(const struct agent_options *o, struct kbs_result *result,
                         struct bawn_error *err)
{
    struct session s = { .o = o, .t = { .fd = -1 } };
    enum bawn_status status;

    *result = (struct kbs_result){ 0 };
    if (!evidence_tee(o)) {
        struct evidence none;
        static const uint8_t data[REPORT_DATA];

        return evidence_get(o, data, &none, err); /* says what is missing */
    }
    status = transport_init(&s.t, o, err);
    if (status == BAWN_OK && !(s.key = kbs_key(o, err)))
        status = BAWN_E_INTERNAL;
    s.deadline = agent_now_ms() + (int64_t)o->timeout * 1000;
    for (unsigned tries = 0; status == BAWN_OK; tries++) {
        s.retry_after = 0;
        status = attempt(&s, result, err);
        if (status == BAWN_OK)
            break;
        kbs_result_free(result);
        if (status == BAWN_E_IO && pause_before(&s, tries, err))
            status = BAWN_OK;
    }
    EVP_PKEY_free(s.key);
    transport_free(&s.t);
    return status;
}

void kbs_result_free(struct kbs_result *result)
{
    if (result->secret)
        OPENSSL_cleanse(result->secret, result->len);
    free(result->secret);
    free(result->token);
    *result = (struct kbs_result){ 0 };
}

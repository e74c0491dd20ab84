// SPDX-License-Identifier: Apache-2.0
/*
 * Evidence and log entries, one after the other. An entry's time is that of its judgement.
 */
#include "policy/cmd/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "attest/common/sandbox.h"

#define CANNOT 2
#define NAME_SIZE 256

struct walk {
    const struct case_inputs *in;
    int64_t at;
    case_fn *fn;
    void *context;
    struct bawn_error *err;
    int worst;
};

static void worsen(struct walk *w, int status)
{
    if (status > w->worst)
        w->worst = status;
}

/* What needs the system: OpenSSL's configuration, stdout's buffer, the seed of hash tables, and
 * the time zone, which the C library reads even for UTC. */
static enum bawn_status lock_in(struct bawn_error *err)
{
    static char buffer[1 << 16];
    bool seccomp, landlock;

    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    tzset();
    json_object_seed(0);
    if (!OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL))
        return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL does not start");
    return bawn_sandbox(&seccomp, &landlock, err);
}

/* ---- Evidence ---- */

static void judge(struct walk *w, const struct bawn_trust *trust, struct bawn_attest_result *result,
                  size_t i)
{
    const struct bawn_attest_input input = {
        .evidence = w->in->evidence[i],
        .endorsements = w->in->verify.endorsements.file,
        .nr_endorsements = w->in->verify.endorsements.n,
        .at = w->at,
    };
    struct policy_case c = { .name = w->in->name[i], .attest = result };

    c.input.verdict = bawn_attest_verify(trust, NULL, &input, result);
    c.input.evidence = bawn_policy_evidence_of(result);
    c.input.foreign_root = bawn_attest_result_foreign_root(result) != NULL;
    c.input.nr_claims = bawn_attest_result_claims(result, &c.input.claims);
    c.input.refs = w->in->refs;
    c.input.at = w->at;
    c.subject = bawn_attest_result_subject(result);
    worsen(w, w->fn(w->context, &c));
}

static enum bawn_status judge_all(struct walk *w)
{
    struct bawn_attest_result *result = bawn_attest_result_create();
    struct bawn_trust *trust = NULL;
    enum bawn_status st =
        bawn_trust_create(&trust, w->in->verify.roots.file, w->in->verify.roots.n, w->err);

    if (st == BAWN_OK && !result)
        st = bawn_fail(w->err, BAWN_E_NOMEM, "no memory");
    for (size_t i = 0; st == BAWN_OK && i < w->in->nr_evidence; i++)
        judge(w, trust, result, i);
    bawn_trust_destroy(trust);
    bawn_attest_result_destroy(result);
    return st;
}

/* ---- Logs ---- */

static bool read_verdict(const char *text, enum bawn_verdict *verdict)
{
    static const char *const verdicts[] = {
        [BAWN_TRUSTED] = "trusted",
        [BAWN_NOT_TRUSTED] = "not trusted",
        [BAWN_CANNOT_JUDGE] = "cannot judge",
    };

    for (unsigned i = 0; text && i < 3; i++) {
        if (!strcmp(verdicts[i], text)) {
            *verdict = (enum bawn_verdict)i;
            return true;
        }
    }
    return false;
}

/* "2026-01-02T03:04:05.678Z": the log has milliseconds. */
static bool read_time(const char *text, int64_t *at)
{
    const char *dot = strchr(text, '.');
    char whole[40];

    if (!dot)
        return verify_time_parse(text, at);
    if (strlen(text) >= sizeof(whole))
        return false;
    snprintf(whole, sizeof(whole), "%.*s%s", (int)(dot - text), text,
             dot + 1 + strspn(dot + 1, "0123456789"));
    return verify_time_parse(whole, at);
}

static bool truthy(const json_t *v)
{
    return v && !json_is_null(v) && !json_is_false(v);
}

static enum bawn_status read_claims(struct bawn_claims *claims, json_t *object,
                                    struct bawn_error *err)
{
    const char *name;
    json_t *value;

    bawn_claims_reset(claims);
    if (!json_is_object(object))
        return bawn_fail(err, BAWN_E_FORMAT, "\"claims\" must be an object");
    json_object_foreach(object, name, value)
    {
        enum bawn_status st = json_is_string(value)
                                  ? bawn_claims_add(claims, name, json_string_value(value), err)
                                  : bawn_fail(err, BAWN_E_FORMAT, "%.80s is no text", name);

        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

static enum bawn_status read_entry(struct policy_case *c, json_t *entry, struct bawn_claims *claims,
                                   struct bawn_error *err)
{
    const char *time = json_string_value(json_object_get(entry, "time"));
    const char *evidence = json_string_value(json_object_get(entry, "evidence"));
    const char *subject = json_string_value(json_object_get(entry, "subject"));
    const char *verdict = json_string_value(json_object_get(entry, "verdict"));

    if (time && !read_time(time, &c->input.at))
        return bawn_fail(err, BAWN_E_FORMAT, "\"time\" is no time");
    if (!read_verdict(verdict, &c->input.verdict))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "\"verdict\" must be \"trusted\", \"not trusted\" or \"cannot judge\"");
    c->input.evidence = evidence;
    c->input.foreign_root = truthy(json_object_get(entry, "foreign_root"));
    c->subject = subject ? subject : "";
    return read_claims(claims, json_object_get(entry, "claims"), err);
}

static bool is_decision(const json_t *entry)
{
    const char *kind = json_string_value(json_object_get(entry, "kind"));

    return json_is_object(entry) && (!kind || !strcmp(kind, "attest"));
}

static enum bawn_status judge_line(struct walk *w, const char *file, unsigned line,
                                   struct bawn_bytes text, struct bawn_claims *claims)
{
    struct bawn_error why = { "" };
    char name[NAME_SIZE];
    struct policy_case c = { .name = name, .input = { .refs = w->in->refs, .at = w->at } };
    enum bawn_status st = BAWN_OK;
    json_error_t je;
    json_t *entry = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &je);

    snprintf(name, sizeof(name), "%s:%u", file, line);
    if (!entry)
        return bawn_fail(w->err, BAWN_E_FORMAT, "%s:%u:%d: %s", file, line, je.column, je.text);
    if (is_decision(entry)) {
        st = read_entry(&c, entry, claims, &why);
        if (st == BAWN_OK) {
            c.input.nr_claims = bawn_claims_list(claims, &c.input.claims);
            worsen(w, w->fn(w->context, &c));
        } else {
            bawn_fail(w->err, st, "%s:%u: %s", file, line, why.msg);
        }
    }
    json_decref(entry);
    return st;
}

static enum bawn_status judge_log(struct walk *w, const char *file, struct bawn_bytes log,
                                  struct bawn_claims *claims)
{
    const uint8_t *p = log.data, *end = log.data + log.len;
    enum bawn_status st = BAWN_OK;

    for (unsigned line = 1; st == BAWN_OK && p < end; line++) {
        const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
        struct bawn_bytes text = { p, (size_t)((nl ? nl : end) - p) };

        if (text.len)
            st = judge_line(w, file, line, text, claims);
        p = nl ? nl + 1 : end;
    }
    return st;
}

int cases_run(const struct case_inputs *in, int64_t at, case_fn *fn, void *context,
              struct bawn_error *err)
{
    struct walk w = { .in = in, .at = at, .fn = fn, .context = context, .err = err };
    struct bawn_claims *claims = bawn_claims_create();
    enum bawn_status st = claims ? lock_in(err) : bawn_fail(err, BAWN_E_NOMEM, "no memory");

    if (st == BAWN_OK && in->nr_evidence)
        st = judge_all(&w);
    for (size_t i = 0; st == BAWN_OK && i < in->nr_logs; i++)
        st = judge_log(&w, in->log_name[i], in->log[i], claims);
    bawn_claims_destroy(claims);
    return st == BAWN_OK ? w.worst : CANNOT;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Dry run: what the logged decisions would have been under another policy. The log may be long, and
 * the vault serves others meanwhile: each turn does a few milliseconds' worth, and the answer
 * comes after the last. One at a time. The entries are the log's as it was at the beginning.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/log/log.h"
#include "attest/service/judge/claims.h"
#include "attest/service/vault/vault.h"

#define ENTRIES_DEFAULT 1000
#define ENTRIES_MAX 20000
#define CHANGED_MAX 1000
#define PIECE_ENTRIES 256 /* of one statement */
#define PIECE_MS 5

struct dry_run {
    struct vault *v;
    struct ipc *to; /* who asked; borrowed, and compared with those that are there */
    uint64_t id;
    char *tenant;
    struct bawn_policy *policy;
    struct bawn_refs *refs; /* the tenant's, as they are in this piece */
    struct bawn_policy_result *result;
    uint64_t at, end; /* entries */
    int64_t until;    /* milliseconds: of this piece */
    bool over;        /* its time is */
    uint64_t decisions, allowed_before, allowed_now;
    json_t *changed;
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void dry_run_end(struct vault *v)
{
    struct dry_run *d = v->dry_run;

    if (!d)
        return;
    bawn_policy_destroy(d->policy);
    bawn_policy_result_destroy(d->result);
    json_decref(d->changed);
    free(d->tenant);
    free(d);
    v->dry_run = NULL;
}

/* ---- One decision ---- */

static enum bawn_verdict verdict_of(const json_t *entry)
{
    const char *verdict = text_of(entry, "verdict");

    if (verdict && !strcmp(verdict, "trusted"))
        return BAWN_TRUSTED;
    return verdict && !strcmp(verdict, "not trusted") ? BAWN_NOT_TRUSTED : BAWN_CANNOT_JUDGE;
}

static void note_change(struct dry_run *d, uint64_t seq, const json_t *entry, bool before)
{
    const char *const *reasons;
    size_t n = bawn_policy_result_reasons(d->result, &reasons);
    json_t *list = json_array();

    for (size_t i = 0; before && i < n; i++)
        json_array_append_new(list, json_string(reasons[i]));
    json_array_append_new(d->changed,
                          json_pack("{s:I, s:s?, s:b, s:b, s:o}", "seq", (json_int_t)seq, "time",
                                    text_of(entry, "time"), "was", before, "would_be", !before,
                                    "reasons", list));
}

static void judge_again(struct dry_run *d, uint64_t seq, const json_t *entry)
{
    bool before = json_is_true(json_object_get(entry, "allowed")), now;
    struct claim_set set;
    struct bawn_policy_input input = {
        .evidence = text_of(entry, "kind"),
        .verdict = verdict_of(entry),
        .foreign_root = text_of(entry, "foreign_root"),
        .refs = d->refs,
        .at = vault_now(d->v),
    };

    if (claims_read(&set, json_object_get(entry, "claims"), json_object_get(entry, "claim_kinds"),
                    NULL, NULL) != BAWN_OK)
        return;
    input.claims = set.claims;
    input.nr_claims = set.n;
    now = bawn_policy_evaluate(d->policy, &input, d->result) && input.verdict == BAWN_TRUSTED;
    d->decisions++;
    d->allowed_before += before;
    d->allowed_now += now;
    if (now != before && json_array_size(d->changed) < CHANGED_MAX)
        note_change(d, seq, entry, before);
    claims_clear(&set);
}

/* False when this piece's time is over. */
static bool take_entry(void *context, uint64_t seq, struct bawn_bytes text)
{
    struct dry_run *d = context;
    json_t *entry = json_loadb((const char *)text.data, text.len, 0, NULL);
    const char *type = text_of(entry, "type"), *tenant = text_of(entry, "tenant");

    if (type && tenant && !strcmp(type, "attest") && !strcmp(tenant, d->tenant))
        judge_again(d, seq, entry);
    json_decref(entry);
    d->at = seq + 1;
    d->over = now_ms() >= d->until;
    return !d->over;
}

/* ---- All of them ---- */

enum bawn_status dry_run_begin(struct vault *v, const struct admin_request *a,
                               struct bawn_policy *policy, struct reply *r, struct bawn_error *err)
{
    char *last = query_value(a->query, "last");
    uint64_t n = last ? strtoull(last, NULL, 10) : ENTRIES_DEFAULT;
    struct dry_run *d = calloc(1, sizeof(*d));
    enum bawn_status st;

    free(last);
    if (!d) {
        bawn_policy_destroy(policy);
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for a dry run");
    }
    *d = (struct dry_run){ .v = v, .to = r->to, .id = r->id, .policy = policy };
    v->dry_run = d;
    d->tenant = strdup(a->tenant);
    d->result = bawn_policy_result_create();
    d->changed = json_array();
    st = d->tenant && d->result && d->changed
             ? log_size(v->db, &d->end, err)
             : bawn_fail(err, BAWN_E_NOMEM, "no memory for a dry run");
    if (st != BAWN_OK) {
        dry_run_end(v);
        return st;
    }
    if (n > ENTRIES_MAX)
        n = ENTRIES_MAX;
    d->at = d->end > n ? d->end - n : 0;
    r->later = true;
    return BAWN_OK;
}

static void finish(struct dry_run *d, enum bawn_status st, const struct bawn_error *why,
                   struct reply *r)
{
    if (st != BAWN_OK) {
        journal("error", "a dry run failed", "{s:s}", "why", why->msg);
        reply_error(r, 503, "Unavailable", "the log cannot be read now; try again");
        return;
    }
    reply_json(r, 200,
               json_pack("{s:I, s:I, s:I, s:O}", "decisions", (json_int_t)d->decisions,
                         "allowed_before", (json_int_t)d->allowed_before, "allowed_now",
                         (json_int_t)d->allowed_now, "changed", d->changed));
}

bool dry_run_continue(struct vault *v, struct reply *r)
{
    struct dry_run *d = v->dry_run;
    const struct tenant *t = d ? vault_tenant(v, d->tenant) : NULL;
    struct bawn_error why = { "" };
    uint64_t to;
    enum bawn_status st;

    if (!d)
        return false;
    to = d->end - d->at > PIECE_ENTRIES ? d->at + PIECE_ENTRIES : d->end;
    d->until = now_ms() + PIECE_MS;
    d->over = false;
    d->refs = t ? t->refs : NULL;
    st = t ? BAWN_OK : bawn_fail(&why, BAWN_E_CONFIG, "the tenant is not there any longer");
    if (st == BAWN_OK && d->at < to)
        st = log_read(v->db, d->at, to, take_entry, d, &why);
    if (!d->over)
        d->at = to; /* whether or not there were such entries */
    if (st == BAWN_OK && d->at < d->end)
        return false;
    *r = (struct reply){ .to = d->to, .id = d->id };
    finish(d, st, &why, r);
    dry_run_end(v);
    return true;
}

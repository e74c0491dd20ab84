// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-audit verify: the whole log against its checkpoints and the auditor's.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "attest/audit/audit.h"

static bool take_item(void *context, uint64_t seq, const struct log_item *item)
{
    struct log_verifier *v = context;

    (void)seq;
    if (item->kind == LOG_ITEM_ENTRY)
        log_verifier_entry(v, item->text);
    else
        log_verifier_checkpoint(v, item->text);
    return true;
}

/* Without a key of the user's the log's own serves: it can show damage, not forgery. */
static enum bawn_status give_keys(struct audit *a, struct log_verifier *v, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < a->nr_keys; i++)
        st = log_verifier_key(v, a->keys[i].origin, a->keys[i].key, err);
    if (!a->nr_keys && a->log.key) {
        char *origin;
        EVP_PKEY *key;

        a->key_from_log = true;
        if (log_key_read(a->log.key, &origin, &key, NULL) == BAWN_OK) {
            st = log_verifier_key(v, origin, key, err);
            free(origin);
            EVP_PKEY_free(key);
        }
    }
    return st;
}

static void print_json(const struct audit *a, const struct log_summary *s, bool good)
{
    json_t *findings = json_array();
    char root[2 * LOG_HASH + 1];

    hex_print(s->root, LOG_HASH, root);
    for (size_t i = 0; i < s->nr_findings; i++) {
        const struct log_finding *f = &s->findings[i];

        json_array_append_new(findings, json_pack("{s:s, s:b, s:I, s:s}", "kind",
                                                  log_finding_names[f->kind], "notice", f->notice,
                                                  "seq", (json_int_t)f->seq, "text", f->text));
    }
    audit_print_json(json_pack(
        "{s:b, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:o}", "good", good, "key",
        a->nr_keys ? "given" : "from the log", "entries", (json_int_t)s->entries, "signed_entries",
        (json_int_t)s->signed_entries, "checkpoints", (json_int_t)s->checkpoints,
        "kept_checkpoints", (json_int_t)s->kept, "root", root, "faults", (json_int_t)s->faults,
        "notices", (json_int_t)s->notices, "findings", findings));
}

static void print_plain(const struct audit *a, const struct log_summary *s, bool good)
{
    char root[2 * LOG_HASH + 1];

    hex_print(s->root, LOG_HASH, root);
    printf("%s: %" PRIu64 " entries, %" PRIu64 " of them signed for; %" PRIu64
           " checkpoints verified, %" PRIu64 " of %zu kept ones agree\nroot %s\n",
           good ? "GOOD" : "NOT GOOD", s->entries, s->signed_entries, s->checkpoints, s->kept,
           a->nr_checkpoints, root);
    for (size_t i = 0; i < s->nr_findings; i++) {
        printf("%s: %s: ", s->findings[i].notice ? "notice" : "FAULT",
               log_finding_names[s->findings[i].kind]);
        audit_print(s->findings[i].text);
        putchar('\n');
    }
    if (s->faults + s->notices > s->nr_findings)
        printf("and %" PRIu64 " more\n", s->faults + s->notices - s->nr_findings);
    if (!a->nr_keys)
        printf("notice: no --key or --pin was given, and the key that came with the log shows "
               "only that the log agrees with itself\n");
}

/* The whole of the log. */
static enum bawn_status judge(struct audit *a, struct log_verifier *v, struct log_summary *s,
                              struct bawn_error *err)
{
    enum bawn_status st = v ? give_keys(a, v, err) : bawn_fail(err, BAWN_E_NOMEM, "no memory");

    for (size_t i = 0; st == BAWN_OK && i < a->nr_checkpoints; i++)
        st = log_verifier_kept(v, a->checkpoints[i].name, a->checkpoints[i].bytes, err);
    if (st == BAWN_OK)
        st = audit_each(&a->log, 0, take_item, v, err);
    if (st == BAWN_E_FORMAT) { /* what the log is made of is broken: that is an answer, too */
        log_verifier_report(v, LOG_FORMAT, 0, err->msg);
        st = BAWN_OK;
    }
    if (st == BAWN_OK) {
        log_verifier_end(v, a->log.claimed);
        log_verifier_summary(v, s);
    }
    return st;
}

enum bawn_status audit_judge_file(struct audit *a, struct log_summary *s, struct bawn_error *err)
{
    struct log_verifier *v = log_verifier_create();
    enum bawn_status st = audit_read_head(&a->log, err);

    if (st == BAWN_OK)
        st = judge(a, v, s, err);
    s->findings = NULL;
    s->nr_findings = 0;
    log_verifier_destroy(v);
    return st;
}

int audit_verify(struct audit *a, struct bawn_error *err)
{
    struct log_verifier *v = log_verifier_create();
    struct log_summary s;
    bool good;

    if (judge(a, v, &s, err) != BAWN_OK) {
        log_verifier_destroy(v);
        return -1;
    }
    good = !s.faults && !(a->o->strict && s.notices);
    (a->o->json ? print_json : print_plain)(a, &s, good);
    log_verifier_destroy(v);
    return good ? AUDIT_GOOD : AUDIT_BAD;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-audit prove and check-proof. A proof is made in one pass over the log with the memory of
 * its hashes. One that is checked is hostile.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "attest/audit/audit.h"
#include "attest/jose/jose.h"

/* ---- Making ---- */

/* What one pass over the log gathers: the roots of the planned subtrees, the roots at two sizes,
 * and their checkpoints where there are some. */
struct pass {
    uint64_t seq, old, size; /* inclusion: the entry; consistency: the old size */
    struct log_range ranges[LOG_PROOF_MAX];
    struct log_tree trees[LOG_PROOF_MAX];
    size_t nr;
    struct log_tree all;
    uint8_t old_root[LOG_HASH];
    char *entry, *old_note, *note;
};

static void pass_clear(struct pass *p)
{
    free(p->entry);
    free(p->old_note);
    free(p->note);
}

static char *copy(struct bawn_bytes text)
{
    return strndup((const char *)text.data, text.len);
}

static bool take_item(void *context, uint64_t seq, const struct log_item *item)
{
    struct pass *p = context;
    uint8_t leaf[LOG_HASH];

    if (item->kind == LOG_ITEM_CHECKPOINT) {
        if (seq == p->old && !p->old_note)
            p->old_note = copy(item->text);
        if (seq == p->size && !p->note)
            p->note = copy(item->text);
        return seq < p->size;
    }
    if (seq == p->size)
        return false;
    if (seq == p->seq)
        p->entry = copy(item->text);
    log_leaf(item->text.data, item->text.len, leaf);
    log_tree_add(&p->all, leaf);
    if (seq + 1 == p->old)
        log_tree_root(&p->all, p->old_root);
    for (size_t i = 0; i < p->nr; i++)
        if (seq >= p->ranges[i].from && seq < p->ranges[i].to)
            log_tree_add(&p->trees[i], leaf);
    return true;
}

static json_t *hashes(const struct pass *p)
{
    json_t *list = json_array();
    uint8_t root[LOG_HASH];

    for (size_t i = 0; i < p->nr; i++) {
        log_tree_root(&p->trees[i], root);
        json_array_append_new(list, audit_base64(root, LOG_HASH));
    }
    return list;
}

static enum bawn_status run_pass(struct audit *a, struct pass *p, struct bawn_error *err)
{
    enum bawn_status st = audit_each(&a->log, 0, take_item, p, err);

    if (st == BAWN_OK && p->all.size < p->size)
        st = bawn_fail(err, BAWN_E_USAGE, "the log has %" PRIu64 " entries, not %" PRIu64,
                       p->all.size, p->size);
    return st;
}

/* The largest checkpoint that the log has. */
struct largest {
    uint64_t size, entries;
};

static bool take_largest(void *context, uint64_t seq, const struct log_item *item)
{
    struct largest *l = context;
    uint8_t root[LOG_HASH];
    uint64_t size;

    l->entries = seq + (item->kind == LOG_ITEM_ENTRY);
    if (item->kind == LOG_ITEM_CHECKPOINT && seq > l->size &&
        log_checkpoint_read((const char *)item->text.data, item->text.len, NULL, &size, root,
                            NULL) == BAWN_OK &&
        size == seq)
        l->size = seq;
    return true;
}

/* The size that a proof for the entry is made for: the kept checkpoint's, or that of the log's
 * last checkpoint, or where none is of so many, all. */
static enum bawn_status choose_size(struct audit *a, uint64_t seq, uint64_t *size,
                                    struct bawn_error *err)
{
    struct largest l = { .size = 0 };
    uint8_t root[LOG_HASH];
    enum bawn_status st;

    if (a->nr_checkpoints) {
        st = log_checkpoint_read((const char *)a->checkpoints[0].bytes.data,
                                 a->checkpoints[0].bytes.len, NULL, size, root, err);
    } else {
        st = audit_each(&a->log, 0, take_largest, &l, err);
        *size = l.size > seq ? l.size : l.entries;
    }
    if (st == BAWN_OK && seq >= *size)
        st = bawn_fail(err, BAWN_E_USAGE, "no entry %" PRIu64 " among the first %" PRIu64, seq,
                       *size);
    return st;
}

static int prove_inclusion(struct audit *a, struct bawn_error *err)
{
    struct pass p = { .old = UINT64_MAX };
    uint8_t root[LOG_HASH];
    enum bawn_status st;

    if (!audit_number(a->o->arg[1], &p.seq))
        st = bawn_fail(err, BAWN_E_USAGE, "%s: must be an entry's number", a->o->arg[1]);
    else
        st = choose_size(a, p.seq, &p.size, err);
    if (st == BAWN_OK) {
        p.nr = log_plan_inclusion(p.seq, p.size, p.ranges);
        st = run_pass(a, &p, err);
    }
    if (st == BAWN_OK) {
        log_tree_root(&p.all, root);
        audit_print_json(
            json_pack("{s:s, s:I, s:I, s:s, s:o, s:o, s:s*}", "bawn_proof", "inclusion", "seq",
                      (json_int_t)p.seq, "size", (json_int_t)p.size, "entry", p.entry, "root",
                      audit_base64(root, LOG_HASH), "proof", hashes(&p), "checkpoint", p.note));
    }
    pass_clear(&p);
    return st == BAWN_OK ? AUDIT_GOOD : st == BAWN_E_FORMAT ? AUDIT_BAD : -1;
}

static int prove_consistency(struct audit *a, struct bawn_error *err)
{
    struct pass p = { .seq = UINT64_MAX };
    uint8_t root[LOG_HASH];
    enum bawn_status st;

    if (!audit_number(a->o->arg[1], &p.old) || !audit_number(a->o->arg[2], &p.size) || !p.old ||
        p.old > p.size) {
        bawn_fail(err, BAWN_E_USAGE,
                  "%s %s: must be two numbers of entries, from 1 and the larger one last",
                  a->o->arg[1], a->o->arg[2]);
        return -1;
    }
    p.nr = log_plan_consistency(p.old, p.size, p.ranges);
    st = run_pass(a, &p, err);
    if (st == BAWN_OK) {
        log_tree_root(&p.all, root);
        audit_print_json(
            json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:s*, s:s*}", "bawn_proof", "consistency",
                      "old", (json_int_t)p.old, "size", (json_int_t)p.size, "old_root",
                      audit_base64(p.old_root, LOG_HASH), "root", audit_base64(root, LOG_HASH),
                      "proof", hashes(&p), "old_checkpoint", p.old_note, "checkpoint", p.note));
    }
    pass_clear(&p);
    return st == BAWN_OK ? AUDIT_GOOD : st == BAWN_E_FORMAT ? AUDIT_BAD : -1;
}

int audit_prove(struct audit *a, struct bawn_error *err)
{
    int code = (a->o->consistency ? prove_consistency : prove_inclusion)(a, err);

    if (code == AUDIT_BAD)
        fprintf(stderr, "bawn-audit: %s\n", err->msg);
    return code;
}

/* ---- Checking ---- */

static bool read_hash(const json_t *value, uint8_t hash[LOG_HASH])
{
    uint8_t raw[LOG_HASH + 1];
    char again[48];

    if (json_string_length(value) != 44 ||
        EVP_DecodeBlock(raw, (const unsigned char *)json_string_value(value), 44) != LOG_HASH + 1)
        return false;
    EVP_EncodeBlock((unsigned char *)again, raw, LOG_HASH);
    if (strcmp(again, json_string_value(value)) != 0)
        return false;
    memcpy(hash, raw, LOG_HASH);
    return true;
}

static bool read_count(const json_t *proof, const char *name, uint64_t *n)
{
    const json_t *value = json_object_get(proof, name);

    *n = (uint64_t)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

/* A root of so many entries that a trusted key signed: in a checkpoint that was given, or in the
 * proof's own. */
static enum bawn_status signed_root(const struct audit *a, const json_t *own, uint64_t size,
                                    uint8_t root[LOG_HASH], struct bawn_error *err)
{
    struct bawn_error why = { "there is none" };
    uint64_t found = 0;

    for (size_t i = 0; i < a->nr_checkpoints; i++) {
        enum bawn_status st = audit_check_note(a, a->checkpoints[i].bytes, &found, root, &why);

        if (st != BAWN_OK)
            return bawn_fail(err, st, "%s: %s", a->checkpoints[i].name, why.msg);
        if (found == size)
            return BAWN_OK;
    }
    if (json_is_string(own)) {
        const struct bawn_bytes note = { (const uint8_t *)json_string_value(own),
                                         json_string_length(own) };

        if (audit_check_note(a, note, &found, root, &why) == BAWN_OK && found == size)
            return BAWN_OK;
        if (found != size && found)
            snprintf(why.msg, sizeof(why.msg), "it is of %" PRIu64 " entries", found);
    }
    return bawn_fail(err, BAWN_E_DENIED, "no checkpoint for %" PRIu64 " entries: %s", size,
                     why.msg);
}

static enum bawn_status check_inclusion(const struct audit *a, const json_t *proof,
                                        const uint8_t *hash, size_t nr, struct bawn_error *err)
{
    const json_t *entry = json_object_get(proof, "entry");
    uint8_t leaf[LOG_HASH], root[LOG_HASH];
    struct log_entry read;
    uint64_t seq, size;
    enum bawn_status st;

    if (!read_count(proof, "seq", &seq) || !read_count(proof, "size", &size) ||
        !json_is_string(entry))
        return bawn_fail(err, BAWN_E_FORMAT, "the proof lacks its seq, size or entry");
    st = log_entry_read(
        (struct bawn_bytes){ (const uint8_t *)json_string_value(entry), json_string_length(entry) },
        &read, err);
    if (st != BAWN_OK)
        return st;
    log_entry_clear(&read);
    if (read.seq != seq)
        return bawn_fail(err, BAWN_E_DENIED,
                         "the entry in the proof is number %" PRIu64 ", not %" PRIu64, read.seq,
                         seq);
    st = signed_root(a, json_object_get(proof, "checkpoint"), size, root, err);
    if (st != BAWN_OK)
        return st;
    log_leaf(json_string_value(entry), json_string_length(entry), leaf);
    if (!log_check_inclusion(leaf, seq, size, hash, nr, root))
        return bawn_fail(err, BAWN_E_DENIED,
                         "the entry is not number %" PRIu64 " of the log that was signed", seq);
    return BAWN_OK;
}

static enum bawn_status check_consistency(const struct audit *a, const json_t *proof,
                                          const uint8_t *hash, size_t nr, struct bawn_error *err)
{
    uint8_t root[LOG_HASH], old_root[LOG_HASH];
    uint64_t old, size;
    enum bawn_status st;

    if (!read_count(proof, "old", &old) || !read_count(proof, "size", &size))
        return bawn_fail(err, BAWN_E_FORMAT, "the proof lacks its old and size");
    st = signed_root(a, json_object_get(proof, "old_checkpoint"), old, old_root, err);
    if (st == BAWN_OK)
        st = signed_root(a, json_object_get(proof, "checkpoint"), size, root, err);
    if (st == BAWN_OK && !log_check_consistency(old, old_root, size, root, hash, nr))
        st = bawn_fail(err, BAWN_E_DENIED,
                       "the log of %" PRIu64 " entries does not begin with that of %" PRIu64, size,
                       old);
    return st;
}

static enum bawn_status check(const struct audit *a, const json_t *proof, struct bawn_error *err)
{
    const char *type = json_string_value(json_object_get(proof, "bawn_proof"));
    const json_t *list = json_object_get(proof, "proof");
    uint8_t hash[LOG_PROOF_MAX * LOG_HASH];
    size_t nr = json_array_size(list);

    if (!type || !json_is_array(list) || nr > LOG_PROOF_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "%s is no proof of bawn-audit", a->proof.name);
    for (size_t i = 0; i < nr; i++)
        if (!read_hash(json_array_get(list, i), hash + i * LOG_HASH))
            return bawn_fail(err, BAWN_E_FORMAT, "hash %zu of the proof is none", i);
    if (!strcmp(type, "inclusion"))
        return check_inclusion(a, proof, hash, nr, err);
    if (!strcmp(type, "consistency"))
        return check_consistency(a, proof, hash, nr, err);
    return bawn_fail(err, BAWN_E_FORMAT, "%s is no proof of bawn-audit", a->proof.name);
}

int audit_check_proof(struct audit *a, struct bawn_error *err)
{
    json_t *proof = NULL;
    enum bawn_status st;

    if (!a->nr_keys) {
        bawn_fail(err, BAWN_E_USAGE, "check-proof needs the log's key: --key FILE or --pin KEY");
        return -1;
    }
    st = json_read(a->proof.bytes, &proof, err);
    if (st == BAWN_OK)
        st = check(a, proof, err);
    json_decref(proof);
    if (st == BAWN_E_NOMEM)
        return -1;
    if (a->o->json) {
        audit_print_json(
            json_pack("{s:b, s:s}", "good", st == BAWN_OK, "text", st == BAWN_OK ? "" : err->msg));
    } else {
        printf("%s", st == BAWN_OK ? "GOOD: the proof holds" : "NOT GOOD: ");
        audit_print(st == BAWN_OK ? NULL : err->msg);
        putchar('\n');
    }
    return st == BAWN_OK ? AUDIT_GOOD : AUDIT_BAD;
}

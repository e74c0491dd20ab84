// SPDX-License-Identifier: Apache-2.0
/*
 * The verification of a log: entry by entry, with the same memory for any length. The log and the
 * auditor's checkpoints are hostile; the keys are not.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "attest/log/reader.h"

/* How far a clock may go back without a word: replicas' clocks differ. */
#define CLOCK_TOLERANCE_MS 5000

const char *const log_finding_names[LOG_FINDING_KINDS] = {
    [LOG_FORMAT] = "format",       [LOG_SEQUENCE] = "sequence",   [LOG_CHAIN] = "chain",
    [LOG_TRUNCATED] = "truncated", [LOG_REWRITTEN] = "rewritten", [LOG_FORK] = "fork",
    [LOG_SIGNATURE] = "signature", [LOG_TIME] = "time",           [LOG_UNSIGNED] = "unsigned",
};

struct trusted {
    char *origin; /* or NULL */
    EVP_PKEY *key;
};

/* What the auditor has from before. */
struct kept {
    const char *name;
    uint64_t size;
    uint8_t root[LOG_HASH];
    bool bad;       /* the log's first entries have another root */
    uint64_t after; /* then: up to here they were still as signed */
};

struct log_verifier {
    struct trusted keys[LOG_KEYS_MAX];
    size_t nr_keys;
    struct kept *kept; /* sorted by size */
    size_t nr_kept, next_kept;
    struct log_tree tree;
    uint64_t expected; /* the next entry's number */
    uint8_t last[LOG_HASH];
    bool unread;    /* the entry before was unreadable, so the chain cannot be followed */
    int64_t latest; /* time */
    uint64_t latest_seq;
    uint64_t good;        /* the largest signed size whose root was right */
    uint64_t own_good;    /* the same, by the log's own checkpoints only */
    uint64_t wrong_roots; /* of the log's own checkpoints */
    struct log_summary sum;
    struct log_finding findings[LOG_FINDINGS_MAX];
};

struct log_verifier *log_verifier_create(void)
{
    struct log_verifier *v = calloc(1, sizeof(*v));

    if (v)
        v->latest = INT64_MIN;
    return v;
}

void log_verifier_destroy(struct log_verifier *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->nr_keys; i++) {
        free(v->keys[i].origin);
        EVP_PKEY_free(v->keys[i].key);
    }
    free(v->kept);
    free(v);
}

/* ---- Findings ---- */

__attribute__((format(printf, 5, 6))) static void report(struct log_verifier *v,
                                                         enum log_finding_kind kind, bool notice,
                                                         uint64_t seq, const char *fmt, ...)
{
    struct log_finding *f = &v->findings[v->sum.nr_findings];
    va_list ap;

    *(notice ? &v->sum.notices : &v->sum.faults) += 1;
    if (v->sum.nr_findings == LOG_FINDINGS_MAX)
        return;
    v->sum.nr_findings++;
    f->kind = kind;
    f->notice = notice;
    f->seq = seq;
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
}

void log_verifier_report(struct log_verifier *v, enum log_finding_kind kind, uint64_t seq,
                         const char *text)
{
    report(v, kind, false, seq, "%s", text);
}

/* ---- Trust ---- */

enum bawn_status log_verifier_key(struct log_verifier *v, const char *origin, EVP_PKEY *key,
                                  struct bawn_error *err)
{
    struct trusted *t = &v->keys[v->nr_keys];

    if (v->nr_keys == LOG_KEYS_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "more than %d keys", LOG_KEYS_MAX);
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519)
        return bawn_fail(err, BAWN_E_USAGE, "a log's key must be Ed25519");
    if (origin && !(t->origin = strdup(origin)))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    EVP_PKEY_up_ref(key);
    t->key = key;
    v->nr_keys++;
    return BAWN_OK;
}

/* By any of the keys; the message is the last one's, or the first that is more than "not mine". */
static enum bawn_status check_note(const struct log_verifier *v, struct bawn_bytes note,
                                   uint64_t *size, uint8_t root[LOG_HASH], struct bawn_error *err)
{
    enum bawn_status st =
        log_checkpoint_read((const char *)note.data, note.len, NULL, size, root, err);

    if (st != BAWN_OK)
        return st;
    st = bawn_fail(err, BAWN_E_DENIED, "there is no key to check it with");
    for (size_t i = 0; i < v->nr_keys; i++) {
        st = log_checkpoint_verify(v->keys[i].key, v->keys[i].origin, (const char *)note.data,
                                   note.len, size, root, err);
        if (st == BAWN_OK)
            break;
    }
    return st;
}

static int by_size(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;

    return x->size < y->size ? -1 : x->size > y->size;
}

enum bawn_status log_verifier_kept(struct log_verifier *v, const char *name, struct bawn_bytes note,
                                   struct bawn_error *err)
{
    struct kept k = { .name = name }, *more;
    struct bawn_error why;

    if (v->nr_kept == LOG_KEPT_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "more than %d checkpoints", LOG_KEPT_MAX);
    if (check_note(v, note, &k.size, k.root, &why) != BAWN_OK) {
        report(v, LOG_SIGNATURE, false, 0, "%s: %s", name, why.msg);
        return BAWN_OK;
    }
    for (size_t i = 0; i < v->nr_kept; i++)
        if (v->kept[i].size == k.size && memcmp(v->kept[i].root, k.root, LOG_HASH) != 0)
            report(v, LOG_FORK, false, k.size,
                   "%s and %s are both signed, for %" PRIu64 " entries each, and differ: the "
                   "holder of the log's key showed two logs",
                   v->kept[i].name, name, k.size);
    more = realloc(v->kept, (v->nr_kept + 1) * sizeof(*more));
    if (!more)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    v->kept = more;
    v->kept[v->nr_kept++] = k;
    qsort(v->kept, v->nr_kept, sizeof(*v->kept), by_size);
    return BAWN_OK;
}

/* The kept checkpoints of the present size. */
static void compare_kept(struct log_verifier *v)
{
    uint8_t root[LOG_HASH];

    if (v->next_kept == v->nr_kept || v->kept[v->next_kept].size != v->tree.size)
        return;
    log_tree_root(&v->tree, root);
    for (; v->next_kept < v->nr_kept && v->kept[v->next_kept].size == v->tree.size;
         v->next_kept++) {
        struct kept *k = &v->kept[v->next_kept];

        k->bad = memcmp(k->root, root, LOG_HASH) != 0;
        k->after = v->good;
        if (k->bad)
            continue;
        v->good = v->tree.size;
        v->sum.kept++;
    }
}

/* ---- Entries ---- */

static void check_sequence(struct log_verifier *v, uint64_t seq)
{
    if (seq == v->expected + 1)
        report(v, LOG_SEQUENCE, false, seq,
               "entry %" PRIu64 " stands where entry %" PRIu64 " must be: entry %" PRIu64
               " is missing or was moved",
               seq, v->expected, v->expected);
    else if (seq > v->expected)
        report(v, LOG_SEQUENCE, false, seq,
               "entry %" PRIu64 " stands where entry %" PRIu64 " must be: entries %" PRIu64
               " to %" PRIu64 " are missing or were moved",
               seq, v->expected, v->expected, seq - 1);
    else
        report(v, LOG_SEQUENCE, false, seq,
               "entry %" PRIu64 " stands where entry %" PRIu64 " must be: it was moved, or is "
               "there twice",
               seq, v->expected);
}

static void check_chain(struct log_verifier *v, const struct log_entry *e)
{
    if (v->unread || !memcmp(e->prev, v->last, LOG_HASH))
        return;
    if (!e->seq)
        report(v, LOG_CHAIN, false, 0, "entry 0 does not begin a log: its \"prev\" is not zero");
    else
        report(v, LOG_CHAIN, false, e->seq,
               "entry %" PRIu64 " does not follow from entry %" PRIu64 ": its \"prev\" is not "
               "that entry's hash, so entry %" PRIu64 " was changed after it was written, or entry "
               "%" PRIu64 " was put in its place",
               e->seq, e->seq - 1, e->seq - 1, e->seq);
}

static void check_time(struct log_verifier *v, const struct log_entry *e)
{
    if (v->latest != INT64_MIN && e->time_ms < v->latest - CLOCK_TOLERANCE_MS)
        report(v, LOG_TIME, true, e->seq,
               "entry %" PRIu64 " is %" PRId64 " s older than entry %" PRIu64
               " before it: a clock was set back",
               e->seq, (v->latest - e->time_ms) / 1000, v->latest_seq);
    /* From here on, so that one jump is one notice. */
    if (e->time_ms > v->latest || e->time_ms < v->latest - CLOCK_TOLERANCE_MS) {
        v->latest = e->time_ms;
        v->latest_seq = e->seq;
    }
}

void log_verifier_entry(struct log_verifier *v, struct bawn_bytes text)
{
    uint8_t leaf[LOG_HASH];
    struct bawn_error why;
    struct log_entry e;

    compare_kept(v); /* those of size 0 */
    if (log_entry_read(text, &e, &why) == BAWN_OK) {
        if (e.seq != v->expected)
            check_sequence(v, e.seq);
        else
            check_chain(v, &e);
        check_time(v, &e);
        v->expected = e.seq + 1;
        v->unread = false;
        log_entry_clear(&e);
    } else {
        report(v, LOG_FORMAT, false, v->expected, "entry %" PRIu64 ": %s", v->expected, why.msg);
        v->expected++;
    }
    log_leaf(text.data, text.len, leaf);
    log_tree_add(&v->tree, leaf);
    if (EVP_Digest(text.data, text.len, v->last, NULL, EVP_sha256(), NULL) != 1)
        v->unread = true;
    compare_kept(v);
}

/* ---- The log's own checkpoints ---- */

static void root_differs(struct log_verifier *v, uint64_t size)
{
    /* Once the entries differ, every later root does. */
    if (v->wrong_roots++)
        return;
    report(v, LOG_REWRITTEN, false, size,
           "the first %" PRIu64 " entries are not those that were signed: among entries %" PRIu64
           " to %" PRIu64 " at least one was changed, moved, left out or put in; %s",
           size, v->good, size - 1,
           v->good ? "those before are as they were signed" : "no earlier checkpoint is right");
}

void log_verifier_checkpoint(struct log_verifier *v, struct bawn_bytes note)
{
    uint8_t root[LOG_HASH], signed_root[LOG_HASH];
    struct bawn_error why;
    uint64_t size = 0;

    compare_kept(v);
    if (check_note(v, note, &size, signed_root, &why) != BAWN_OK) {
        report(v, LOG_SIGNATURE, false, v->tree.size,
               "the log's checkpoint behind %" PRIu64 " entries: %s", v->tree.size, why.msg);
        return;
    }
    v->sum.checkpoints++;
    if (size > v->tree.size) {
        report(v, LOG_TRUNCATED, false, v->tree.size,
               "a checkpoint was signed for %" PRIu64 " entries, and only %" PRIu64
               " are there: %" PRIu64 " are missing",
               size, v->tree.size, size - v->tree.size);
        return;
    }
    if (size < v->tree.size) {
        report(v, LOG_SEQUENCE, false, size,
               "a checkpoint of %" PRIu64 " entries stands behind %" PRIu64
               ": it was moved, or entries were put in",
               size, v->tree.size);
        return;
    }
    log_tree_root(&v->tree, root);
    if (memcmp(root, signed_root, LOG_HASH) != 0) {
        root_differs(v, size);
        return;
    }
    v->good = v->own_good = v->sum.signed_entries = size;
}

/* ---- The end ---- */

static void judge_kept(struct log_verifier *v, const struct kept *k)
{
    if (k->size > v->tree.size)
        report(v, LOG_TRUNCATED, false, v->tree.size,
               "%s: %" PRIu64 " entries were signed, and the log ends after %" PRIu64
               ": entries %" PRIu64 " to %" PRIu64 " are missing",
               k->name, k->size, v->tree.size, v->tree.size, k->size - 1);
    else if (k->bad && v->own_good >= k->size)
        report(v, LOG_FORK, false, k->size,
               "%s: the log's key signed other first %" PRIu64 " entries than those that are "
               "there, and signed those, too: its holder has two logs, which part among entries "
               "%" PRIu64 " to %" PRIu64,
               k->name, k->size, k->after < k->size ? k->after : 0, k->size - 1);
    else if (k->bad)
        report(v, LOG_REWRITTEN, false, k->size,
               "%s: the first %" PRIu64 " entries are not those that were signed: among entries "
               "%" PRIu64 " to %" PRIu64 " at least one was changed, moved, left out or put in",
               k->name, k->size, k->after < k->size ? k->after : 0, k->size - 1);
}

void log_verifier_end(struct log_verifier *v, uint64_t claimed)
{
    compare_kept(v);
    for (size_t i = 0; i < v->nr_kept; i++)
        judge_kept(v, &v->kept[i]);
    if (v->tree.size < claimed)
        report(v, LOG_TRUNCATED, false, v->tree.size,
               "the log says that it has %" PRIu64 " entries, and ends after %" PRIu64, claimed,
               v->tree.size);
    if (v->good < v->tree.size)
        report(v, LOG_UNSIGNED, true, v->good,
               "%" PRIu64 " entries from %" PRIu64 " on are under no checkpoint that is right: "
               "they are in the chain, and nobody signed that they are all",
               v->tree.size - v->good, v->good);
    log_tree_root(&v->tree, v->sum.root);
    v->sum.entries = v->tree.size;
}

void log_verifier_summary(const struct log_verifier *v, struct log_summary *summary)
{
    *summary = v->sum;
    summary->findings = v->findings;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The log in the database. Entries are rows that are never changed; the head row has the tree's
 * frontier and the last entry's hash, so that appending costs the same whatever the length.
 * Trusts the database not to be rewritten while it runs; that it was not is for auditors to
 * check (bawn-audit).
 */
#include "attest/log/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/jose/jose.h"
#include "common/bytes.h"

#define CHUNK 256 /* rows that are read at a time */

struct head {
    bool there;
    struct log_tree tree;
    uint8_t last[LOG_HASH]; /* SHA-256 of the last entry */
};

/* ---- The head ---- */

static bool take_head(void *context, const struct db_value *columns, int n)
{
    struct head *head = context;
    const struct bawn_bytes *last = &columns[1].bytes, *nodes = &columns[2].bytes;
    size_t at = 0;

    if (n != 3 || columns[0].type != DB_INT || columns[0].i < 0 || last->len != LOG_HASH)
        return false;
    head->tree.size = (uint64_t)columns[0].i;
    memcpy(head->last, last->data, LOG_HASH);
    if (nodes->len != (size_t)__builtin_popcountll(head->tree.size) * LOG_HASH)
        return false;
    for (int level = LOG_LEVELS - 1; level >= 0; level--) {
        if (!(head->tree.size >> level & 1))
            continue;
        memcpy(head->tree.node[level], nodes->data + at, LOG_HASH);
        at += LOG_HASH;
    }
    head->there = true;
    return false;
}

static bool count_one(void *context, const struct db_value *columns, int n)
{
    (void)columns, (void)n;
    *(bool *)context = true;
    return false;
}

/* A log without a head is empty, or not to be touched: a second one must not begin over it. */
static enum bawn_status check_empty(struct db *db, struct bawn_error *err)
{
    bool any = false;
    enum bawn_status st =
        db_run(db, "SELECT 1 FROM log_entry LIMIT 1", NULL, 0, count_one, &any, NULL, err);

    if (st == BAWN_OK && !any)
        st = db_run(db, "SELECT 1 FROM log_head LIMIT 1", NULL, 0, count_one, &any, NULL, err);
    if (st == BAWN_OK && any)
        st = bawn_fail(err, BAWN_E_FORMAT,
                       "the log's head is damaged or missing, and the log is "
                       "not empty: restore it from a backup");
    return st;
}

static enum bawn_status read_head(struct db *db, struct head *head, struct bawn_error *err)
{
    enum bawn_status st;

    memset(head, 0, sizeof(*head));
    st = db_run(db, "SELECT size, last, nodes FROM log_head WHERE id = 0", NULL, 0, take_head, head,
                NULL, err);
    if (st == BAWN_OK && !head->there)
        st = check_empty(db, err);
    return st;
}

static enum bawn_status write_head(struct db *db, const struct head *head, struct bawn_error *err)
{
    uint8_t nodes[LOG_LEVELS * LOG_HASH];
    int64_t changed = 0;
    enum bawn_status st;
    size_t len = 0;

    for (int level = LOG_LEVELS - 1; level >= 0; level--) {
        if (!(head->tree.size >> level & 1))
            continue;
        memcpy(nodes + len, head->tree.node[level], LOG_HASH);
        len += LOG_HASH;
    }
    /* From the size before, so that the log cannot fork whatever else goes wrong. */
    const struct db_value params[] = { db_int((int64_t)head->tree.size),
                                       db_blob(head->last, LOG_HASH), db_blob(nodes, len) };

    st = db_run(db,
                "INSERT INTO log_head (id, size, last, nodes) VALUES (0, $1, $2, $3)"
                " ON CONFLICT (id) DO UPDATE SET size = $1, last = $2, nodes = $3"
                " WHERE log_head.size = $1 - 1",
                params, 3, NULL, NULL, &changed, err);
    if (st == BAWN_OK && changed != 1)
        st = bawn_fail(err, BAWN_E_INTERNAL, "the log's head moved under a transaction");
    return st;
}

/* ---- Appending ---- */

/* RFC 3339 with milliseconds. */
static bool format_time(int64_t now_ms, char text[32])
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    size_t n;

    if (now_ms < 0 || !gmtime_r(&seconds, &tm) || tm.tm_year > 9999 - 1900)
        return false;
    n = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, 32 - n, ".%03dZ", (int)(now_ms % 1000));
    return true;
}

/* The caller's members and the log's own, as the text that is hashed. */
static enum bawn_status compose(const json_t *entry, const struct head *head, int64_t now_ms,
                                char **text, size_t *len, struct bawn_error *err)
{
    char time[32], prev[2 * LOG_HASH + 1];
    enum bawn_status st;
    json_t *all;

    *text = NULL;
    if (!json_is_object(entry) || json_object_get(entry, "seq") || json_object_get(entry, "time") ||
        json_object_get(entry, "prev"))
        return bawn_fail(err, BAWN_E_INTERNAL,
                         "a log entry must be an object without seq, time and prev");
    if (!format_time(now_ms, time))
        return bawn_fail(err, BAWN_E_INTERNAL, "no such time for a log entry");
    hex_print(head->last, LOG_HASH, prev);
    all = json_copy((json_t *)(uintptr_t)entry); /* shallow: the members are shared */
    if (!all || json_object_set_new(all, "seq", json_integer((json_int_t)head->tree.size)) ||
        json_object_set_new(all, "time", json_string(time)) ||
        json_object_set_new(all, "prev", json_string(prev)))
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    else
        st = json_canonical(all, text, len, err);
    json_decref(all);
    if (st == BAWN_OK && *len > LOG_ENTRY_MAX) {
        free(*text);
        *text = NULL;
        st = bawn_fail(err, BAWN_E_FORMAT, "a log entry of %zu bytes; %u are the most", *len,
                       LOG_ENTRY_MAX);
    }
    return st;
}

enum bawn_status log_append(struct db *db, const json_t *entry, int64_t now_ms, uint64_t *seq,
                            struct bawn_error *err)
{
    uint8_t leaf[LOG_HASH];
    int64_t changed = 0;
    struct head head;
    char *text = NULL;
    size_t len = 0;
    enum bawn_status st = read_head(db, &head, err);

    /* RFC 8785 has no exact form for larger integers. */
    if (st == BAWN_OK && head.tree.size >= (uint64_t)1 << 53)
        st = bawn_fail(err, BAWN_E_UNSUPPORTED, "the log is full");
    if (st == BAWN_OK)
        st = compose(entry, &head, now_ms, &text, &len, err);
    if (st == BAWN_OK) {
        const struct db_value params[] = {
            db_int((int64_t)head.tree.size),
            { .type = DB_TEXT, .bytes = { (const uint8_t *)text, len } },
        };

        st = db_run(db,
                    "INSERT INTO log_entry (seq, entry) VALUES ($1, $2)"
                    " ON CONFLICT (seq) DO NOTHING",
                    params, 2, NULL, NULL, &changed, err);
        if (st == BAWN_OK && changed != 1)
            st = bawn_fail(err, BAWN_E_FORMAT,
                           "the log has an entry %" PRIu64 " beyond its head: restore it from a "
                           "backup",
                           head.tree.size);
    }
    if (st == BAWN_OK) {
        *seq = head.tree.size;
        log_leaf(text, len, leaf);
        log_tree_add(&head.tree, leaf);
        if (EVP_Digest(text, len, head.last, NULL, EVP_sha256(), NULL) != 1)
            st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    }
    if (st == BAWN_OK)
        st = write_head(db, &head, err);
    free(text);
    return st;
}

/* ---- Checkpoints ---- */

struct last_checkpoint {
    uint64_t size;
    char *note;
    bool there, failed;
};

static bool take_checkpoint(void *context, const struct db_value *columns, int n)
{
    struct last_checkpoint *last = context;

    if (n != 2 || columns[0].type != DB_INT || columns[1].type != DB_TEXT)
        return false;
    last->size = (uint64_t)columns[0].i;
    last->note = strndup((const char *)columns[1].bytes.data, columns[1].bytes.len);
    last->failed = !last->note;
    last->there = true;
    return false;
}

static enum bawn_status read_last(struct db *db, struct last_checkpoint *last,
                                  struct bawn_error *err)
{
    enum bawn_status st;

    *last = (struct last_checkpoint){ .note = NULL };
    st = db_run(db, "SELECT size, note FROM log_checkpoint ORDER BY size DESC LIMIT 1", NULL, 0,
                take_checkpoint, last, NULL, err);
    if (st == BAWN_OK && last->failed)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    return st;
}

enum bawn_status log_last_checkpoint(struct db *db, char **note, struct bawn_error *err)
{
    struct last_checkpoint last;
    enum bawn_status st = read_last(db, &last, err);

    *note = last.note;
    return st;
}

static enum bawn_status store_checkpoint(struct db *db, EVP_PKEY *key, const char *origin,
                                         const struct log_tree *tree, struct bawn_error *err)
{
    char *note = NULL, *text = log_key_text(key, origin);
    enum bawn_status st = log_checkpoint_sign(key, origin, tree, &note, err);

    if (st == BAWN_OK && !text)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (st == BAWN_OK) {
        const struct db_value params[] = { db_int((int64_t)tree->size), db_text(note),
                                           db_int((int64_t)time(NULL)), db_text(text) };

        st = db_run(db, "INSERT INTO log_checkpoint (size, note, created) VALUES ($1, $2, $3)",
                    params, 3, NULL, NULL, NULL, err);
        if (st == BAWN_OK)
            st = db_run(db,
                        "INSERT INTO meta (key, value) VALUES ('log_key', $1)"
                        " ON CONFLICT (key) DO UPDATE SET value = $1",
                        params + 3, 1, NULL, NULL, NULL, err);
    }
    free(note);
    free(text);
    return st;
}

enum bawn_status log_checkpoint(struct db *db, EVP_PKEY *key, const char *origin,
                                struct bawn_error *err)
{
    struct last_checkpoint last = { .note = NULL };
    struct head head;
    enum bawn_status st = db_begin(db, err);

    if (st != BAWN_OK)
        return st;
    st = read_head(db, &head, err);
    if (st == BAWN_OK)
        st = read_last(db, &last, err);
    if (st == BAWN_OK && last.there && last.size > head.tree.size)
        st = bawn_fail(err, BAWN_E_FORMAT,
                       "the log has %" PRIu64 " entries, and a checkpoint was signed for %" PRIu64
                       ": it was cut, or restored from an old backup",
                       head.tree.size, last.size);
    if (st == BAWN_OK && head.tree.size && (!last.there || last.size < head.tree.size))
        st = store_checkpoint(db, key, origin, &head.tree, err);
    free(last.note);
    if (st == BAWN_OK)
        return db_commit(db, err);
    db_rollback(db);
    return st;
}

/* ---- Reading ---- */

struct reading {
    log_entry_fn fn;
    void *context;
    uint64_t next;
    bool go_on, damaged;
};

static bool take_row(void *context, const struct db_value *columns, int n)
{
    struct reading *r = context;

    if (n != 2 || columns[0].type != DB_INT || columns[0].i < 0 || columns[1].type != DB_TEXT) {
        r->damaged = true;
        return false;
    }
    r->next = (uint64_t)columns[0].i + 1;
    r->go_on = r->fn(r->context, (uint64_t)columns[0].i, columns[1].bytes);
    return r->go_on;
}

/* In pieces, so that neither memory nor a transaction grows with the log. */
static enum bawn_status read_rows(struct db *db, const char *sql, uint64_t from, uint64_t to,
                                  struct reading *r, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    uint64_t before = from;

    if (to > INT64_MAX)
        to = INT64_MAX;
    r->next = from;
    r->go_on = true;
    do {
        const struct db_value params[] = { db_int((int64_t)r->next), db_int((int64_t)to),
                                           db_int(CHUNK) };

        before = r->next;
        if (before >= to)
            break;
        st = db_run(db, sql, params, 3, take_row, r, NULL, err);
    } while (st == BAWN_OK && r->go_on && !r->damaged && r->next != before);
    if (st == BAWN_OK && r->damaged)
        st =
            bawn_fail(err, BAWN_E_FORMAT, "the row behind %" PRIu64 " of the log is none", r->next);
    return st;
}

enum bawn_status log_read(struct db *db, uint64_t from, uint64_t to, log_entry_fn fn, void *context,
                          struct bawn_error *err)
{
    struct reading r = { .fn = fn, .context = context };

    return read_rows(db,
                     "SELECT seq, entry FROM log_entry WHERE seq >= $1 AND seq < $2"
                     " ORDER BY seq LIMIT $3",
                     from, to, &r, err);
}

enum bawn_status log_checkpoints(struct db *db, uint64_t from, uint64_t to, log_checkpoint_fn fn,
                                 void *context, struct bawn_error *err)
{
    struct reading r = { .fn = fn, .context = context };

    return read_rows(db,
                     "SELECT size, note FROM log_checkpoint WHERE size >= $1 AND size < $2"
                     " ORDER BY size LIMIT $3",
                     from, to, &r, err);
}

enum bawn_status log_size(struct db *db, uint64_t *size, struct bawn_error *err)
{
    struct head head;
    enum bawn_status st = read_head(db, &head, err);

    *size = head.tree.size;
    return st;
}

static bool take_text(void *context, const struct db_value *columns, int n)
{
    if (n == 1 && columns[0].type == DB_TEXT)
        *(char **)context = strndup((const char *)columns[0].bytes.data, columns[0].bytes.len);
    return false;
}

enum bawn_status log_last_key(struct db *db, char **key, struct bawn_error *err)
{
    *key = NULL;
    return db_run(db, "SELECT value FROM meta WHERE key = 'log_key'", NULL, 0, take_text, key, NULL,
                  err);
}

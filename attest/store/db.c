// SPDX-License-Identifier: Apache-2.0
/*
 * The part of the database interface that both databases share: statements kept prepared,
 * transactions and marks. Trusts the database and the SQL, which is this program's own.
 */
#include "attest/store/backend.h"

#include <stdlib.h>
#include <string.h>

struct db_value db_text(const char *text)
{
    if (!text)
        return (struct db_value){ .type = DB_NULL };
    return (struct db_value){ .type = DB_TEXT, .bytes = { (const uint8_t *)text, strlen(text) } };
}

struct db_value db_blob(const void *data, size_t len)
{
    return (struct db_value){ .type = DB_BLOB, .bytes = { len ? data : (const uint8_t *)"", len } };
}

/* ---- Opening ---- */

static const struct {
    const char *prefix;
    size_t skip; /* of the prefix, which the backend does not want to see */
    const struct db_backend *backend;
} schemes[] = {
    { "sqlite:", 7, &db_sqlite },
    { "postgresql://", 0, &db_postgres },
    { "postgres://", 0, &db_postgres },
};

static enum bawn_status create(struct db **out, const char *url, bool readonly,
                               struct bawn_error *err)
{
    struct db *db = calloc(1, sizeof(*db));

    if (!db)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    db->readonly = readonly;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strncmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) != 0)
            continue;
        db->backend = schemes[i].backend;
        db->url = strdup(url + schemes[i].skip);
    }
    if (db->url && *db->url) {
        *out = db;
        return BAWN_OK;
    }
    free(db->url);
    free(db);
    /* Not the URL itself: it may hold a password. */
    return bawn_fail(err, BAWN_E_CONFIG,
                     "no such kind of database: must be sqlite:/PATH or postgresql://HOST/NAME");
}

static enum bawn_status open_as(struct db **out, const char *url, bool readonly,
                                struct bawn_error *err)
{
    struct db *db = NULL;
    enum bawn_status st = create(&db, url, readonly, err);

    *out = NULL;
    if (!db)
        return st;
    st = db->backend->open(db, err);
    if (st == BAWN_OK)
        st = readonly ? db_check_version(db, err) : db_migrate(db, err);
    if (st != BAWN_OK) {
        db_close(db);
        return st;
    }
    *out = db;
    return BAWN_OK;
}

enum bawn_status db_open(struct db **db, const char *url, struct bawn_error *err)
{
    return open_as(db, url, false, err);
}

enum bawn_status db_open_readonly(struct db **db, const char *url, struct bawn_error *err)
{
    return open_as(db, url, true, err);
}

static void drop_kept(struct db *db, struct db_kept *kept)
{
    if (!kept->sql)
        return;
    db->backend->drop(db, kept->stmt);
    free(kept->sql);
    *kept = (struct db_kept){ .sql = NULL };
}

static void drop_all(struct db *db)
{
    for (size_t i = 0; i < DB_STATEMENTS; i++)
        drop_kept(db, &db->kept[i]);
}

void db_close(struct db *db)
{
    if (!db)
        return;
    if (db->in_transaction)
        db_rollback(db);
    drop_all(db);
    db->backend->close(db);
    free(db->url);
    free(db);
}

bool db_lost(const struct db *db)
{
    return db->lost;
}

enum bawn_status db_reconnect(struct db *db, struct bawn_error *err)
{
    enum bawn_status st;

    if (!db->lost)
        return BAWN_OK;
    drop_all(db);
    db->backend->close(db);
    db->in_transaction = db->marked = false;
    st = db->backend->open(db, err);
    db->lost = st != BAWN_OK;
    return st;
}

bool db_is_shared(const struct db *db)
{
    return db->backend->shared;
}

/* ---- Statements ---- */

/* The SQL with this database's words for the placeholders; a new string. */
static char *in_dialect(const struct db *db, const char *sql)
{
    const size_t nr = sizeof(db->backend->words) / sizeof(db->backend->words[0]);
    size_t len = 0, room = strlen(sql) + 1;
    char *out;

    /* Each word begins with an @, and none is replaced by more than 64 bytes. */
    for (const char *p = sql; (p = strchr(p, '@')); p++)
        room += 64;
    out = malloc(room);
    for (const char *p = sql; out && *p;) {
        size_t i = 0, n;

        while (i < nr &&
               strncmp(p, db->backend->words[i].name, strlen(db->backend->words[i].name)) != 0)
            i++;
        if (i == nr) {
            out[len++] = *p++;
            continue;
        }
        n = strlen(db->backend->words[i].text);
        memcpy(out + len, db->backend->words[i].text, n);
        len += n;
        p += strlen(db->backend->words[i].name);
    }
    if (out)
        out[len] = '\0';
    return out;
}

/* The statement, prepared now or before. The least recently used makes room. */
static enum bawn_status get_statement(struct db *db, const char *sql, int n, struct db_kept **out,
                                      struct bawn_error *err)
{
    struct db_kept *oldest = NULL;
    enum bawn_status st;
    struct stmt *stmt;
    char *text, *key;

    for (size_t i = 0; i < DB_STATEMENTS; i++) {
        struct db_kept *kept = &db->kept[i];

        if (kept->busy)
            continue;
        if (kept->sql && !strcmp(kept->sql, sql)) {
            *out = kept;
            return BAWN_OK;
        }
        if (!oldest || kept->used < oldest->used)
            oldest = kept;
    }
    if (!oldest)
        return bawn_fail(err, BAWN_E_INTERNAL, "too many statements inside one another");
    drop_kept(db, oldest);
    text = in_dialect(db, sql);
    key = strdup(sql);
    if (text && key)
        st = db->backend->prepare(db, text, n, &stmt, err);
    else
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    free(text);
    if (st != BAWN_OK) {
        free(key);
        return st;
    }
    *oldest = (struct db_kept){ .sql = key, .stmt = stmt };
    *out = oldest;
    return BAWN_OK;
}

static enum bawn_status usable(const struct db *db, struct bawn_error *err)
{
    if (db->lost)
        return bawn_fail(err, BAWN_E_IO, "the connection to the database is lost");
    /* A full disk can end a transaction. Going on would write outside of any. */
    if (db->in_transaction && !db->backend->in_transaction(db))
        return bawn_fail(err, BAWN_E_IO,
                         "the database gave the transaction up; it must be begun "
                         "again");
    return BAWN_OK;
}

enum bawn_status db_run(struct db *db, const char *sql, const struct db_value *params, int n,
                        db_row_fn row, void *context, int64_t *changed, struct bawn_error *err)
{
    enum bawn_status st = usable(db, err);
    struct db_kept *kept = NULL;
    int64_t ignored;

    if (st != BAWN_OK)
        return st;
    if (n < 0 || n > DB_PARAMS)
        return bawn_fail(err, BAWN_E_INTERNAL, "a statement with %d parameters", n);
    for (int i = 0; i < n; i++) {
        /* PostgreSQL has no such text, and what one database takes, both must. */
        if (params[i].type == DB_TEXT && params[i].bytes.len &&
            memchr(params[i].bytes.data, 0, params[i].bytes.len))
            return bawn_fail(err, BAWN_E_FORMAT, "text with a zero byte cannot be stored");
    }
    st = get_statement(db, sql, n, &kept, err);
    if (st != BAWN_OK)
        return st;
    kept->used = ++db->clock;
    kept->busy = true;
    st = db->backend->run(db, kept->stmt, params, n, row, context, changed ? changed : &ignored,
                          err);
    kept->busy = false;
    return st;
}

/* ---- Transactions ---- */

static enum bawn_status command(struct db *db, const char *sql, struct bawn_error *err)
{
    struct db_kept *kept = NULL;
    int64_t ignored;
    enum bawn_status st;

    if (!db->backend->prepares_commands)
        return db->backend->script(db, sql, err);
    st = get_statement(db, sql, 0, &kept, err);
    if (st != BAWN_OK)
        return st;
    kept->used = ++db->clock;
    return db->backend->run(db, kept->stmt, NULL, 0, NULL, NULL, &ignored, err);
}

enum bawn_status db_begin(struct db *db, struct bawn_error *err)
{
    enum bawn_status st = usable(db, err);

    if (st == BAWN_OK && db->in_transaction)
        st = bawn_fail(err, BAWN_E_INTERNAL, "a transaction inside another");
    if (st == BAWN_OK)
        st = command(db, db->backend->begin, err);
    if (st != BAWN_OK) {
        /* PostgreSQL: begun, but without the lock. */
        if (!db->lost && !db->in_transaction && db->backend->in_transaction(db))
            db->backend->script(db, "ROLLBACK", NULL);
        return st;
    }
    db->in_transaction = true;
    db->marked = false;
    return BAWN_OK;
}

enum bawn_status db_commit(struct db *db, struct bawn_error *err)
{
    enum bawn_status st = usable(db, err);

    if (st == BAWN_OK && !db->in_transaction)
        return bawn_fail(err, BAWN_E_INTERNAL, "nothing was begun that could be committed");
    if (st == BAWN_OK)
        st = command(db, "COMMIT", err);
    if (st != BAWN_OK)
        db_rollback(db);
    db->in_transaction = db->marked = false;
    return st;
}

void db_rollback(struct db *db)
{
    if (db->in_transaction && !db->lost && db->backend->in_transaction(db))
        db->backend->script(db, "ROLLBACK", NULL);
    db->in_transaction = db->marked = false;
}

enum bawn_status db_mark(struct db *db, struct bawn_error *err)
{
    enum bawn_status st = usable(db, err);

    if (st == BAWN_OK && (!db->in_transaction || db->marked))
        st = bawn_fail(err, BAWN_E_INTERNAL, "a mark outside a transaction or inside another");
    if (st == BAWN_OK)
        st = command(db, "SAVEPOINT mark", err);
    if (st == BAWN_OK)
        db->marked = true;
    return st;
}

enum bawn_status db_unmark(struct db *db, bool undo, struct bawn_error *err)
{
    enum bawn_status st = usable(db, err);

    if (st == BAWN_OK && !db->marked)
        st = bawn_fail(err, BAWN_E_INTERNAL, "no mark to go back to");
    db->marked = false;
    if (st == BAWN_OK && undo)
        st = command(db, "ROLLBACK TO SAVEPOINT mark", err);
    if (st == BAWN_OK)
        st = command(db, "RELEASE SAVEPOINT mark", err);
    return st;
}

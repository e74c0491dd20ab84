// SPDX-License-Identifier: Apache-2.0
/*
 * SQLite: one file, readable by its owner only, in WAL mode with a sync at each commit. Trusts
 * the file's contents as far as SQLite does; what a schema can call is cut to the harmless.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "attest/store/backend.h"

static sqlite3 *handle(const struct db *db)
{
    return db->connection;
}

/* What is worth telling apart; the rest is the system's refusal. */
static const struct {
    int code;
    enum bawn_status status;
    const char *advice;
} meanings[] = {
    { SQLITE_FULL, BAWN_E_IO, "; make room on its disk" },
    { SQLITE_READONLY, BAWN_E_IO, "; the file, its directory or the mount must be writable" },
    { SQLITE_BUSY, BAWN_E_IO, "; another process holds it" },
    { SQLITE_NOTADB, BAWN_E_FORMAT, "" },
    { SQLITE_CORRUPT, BAWN_E_FORMAT, "; restore it from a backup" },
    { SQLITE_NOMEM, BAWN_E_NOMEM, "" },
};

static enum bawn_status fail(struct db *db, int code, struct bawn_error *err)
{
    const char *text = handle(db) ? sqlite3_errmsg(handle(db)) : sqlite3_errstr(code);

    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY)
        return bawn_fail(err, BAWN_E_DENIED, "%s", text);
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if ((code & 0xff) == meanings[i].code)
            return bawn_fail(err, meanings[i].status, "database %s: %s%s", db->url, text,
                             meanings[i].advice);
    return bawn_fail(err, BAWN_E_IO, "database %s: %s", db->url, text);
}

static enum bawn_status script(struct db *db, const char *sql, struct bawn_error *err)
{
    int code = sqlite3_exec(handle(db), sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? BAWN_OK : fail(db, code, err);
}

/* ---- Opening ---- */

/* SQLite would make the file with the umask's mode; its -wal and -shm take the file's. */
static enum bawn_status create_file(const struct db *db, struct bawn_error *err)
{
    int fd = open(db->url, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

    /* A read-only one is for SQLite to refuse: it may hold all that is asked for. */
    if (fd < 0 && errno != EACCES && errno != EROFS)
        return bawn_fail(err, BAWN_E_IO, "cannot open the database %s: %m", db->url);
    if (fd >= 0)
        close(fd);
    return BAWN_OK;
}

/* "file:" with every byte that could mean something to a URI written as %XX. */
static char *uri_of(const char *path, const char *query)
{
    char *uri = malloc(5 + 3 * strlen(path) + strlen(query) + 1), *to = uri;

    if (!uri)
        return NULL;
    to = stpcpy(to, "file:");
    for (const char *p = path; *p; p++)
        to += snprintf(to, 4, strchr("%?# ", *p) ? "%%%02X" : "%c", (unsigned char)*p);
    memcpy(to, query, strlen(query) + 1);
    return uri;
}

static int open_readonly(struct db *db, const char *query)
{
    char *uri = uri_of(db->url, query);
    sqlite3 *connection = NULL;
    int code = SQLITE_NOMEM;

    if (uri)
        code = sqlite3_open_v2(
            uri, &connection, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE, NULL);
    free(uri);
    /* The file is only looked at when something is asked. */
    if (code == SQLITE_OK)
        code = sqlite3_exec(connection, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        sqlite3_close(connection);
        connection = NULL;
    }
    db->connection = connection;
    return code;
}

/* In WAL mode a reader needs the -shm file. Where it cannot make one (a copy on read-only media)
 * and there is no -wal, nobody writes, and the file is all there is. */
static int open_to_read(struct db *db)
{
    char *wal = NULL;
    int code = open_readonly(db, "?mode=ro"), basic = code & 0xff;

    if ((basic != SQLITE_CANTOPEN && basic != SQLITE_READONLY) || access(db->url, R_OK) ||
        asprintf(&wal, "%s-wal", db->url) < 0)
        return code;
    if (access(wal, F_OK) && errno == ENOENT)
        code = open_readonly(db, "?immutable=1");
    free(wal);
    return code;
}

/* The change to WAL needs the file for itself a moment, and does not wait for that on its own. */
static enum bawn_status set_wal(struct db *db, struct bawn_error *err)
{
    int code = SQLITE_OK;

    for (int i = 0; i < DB_LOCK_MS / 20; i++) {
        code = sqlite3_exec(handle(db), "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if ((code & 0xff) != SQLITE_BUSY)
            break;
        usleep(20000);
    }
    return code == SQLITE_OK ? BAWN_OK : fail(db, code, err);
}

static enum bawn_status sqlite_open(struct db *db, struct bawn_error *err)
{
    sqlite3 *connection = NULL;
    enum bawn_status st;
    int code;

    if (db->readonly) {
        code = open_to_read(db);
    } else {
        st = create_file(db, err);
        if (st != BAWN_OK)
            return st;
        code = sqlite3_open_v2(db->url, &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE,
                               NULL);
        db->connection = connection;
    }
    if (code != SQLITE_OK)
        return fail(db, code, err);
    sqlite3_busy_timeout(handle(db), DB_LOCK_MS);
    sqlite3_db_config(handle(db), SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(handle(db), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* The schema has none of these. Who can write the file could plant some, and have what they do
     * or show taken for what was written. */
    sqlite3_db_config(handle(db), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(handle(db), SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(handle(db), SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    st = script(db, "PRAGMA cell_size_check = ON", err);
    if (st == BAWN_OK && !db->readonly)
        st = set_wal(db, err);
    if (st == BAWN_OK && !db->readonly)
        st = script(db, "PRAGMA synchronous = FULL", err);
    /* What a savepoint may have to undo, and sorting: the sandbox lets nobody make files in /tmp.
     */
    if (st == BAWN_OK)
        st = script(db, "PRAGMA temp_store = MEMORY", err);
    return st;
}

static void sqlite_close(struct db *db)
{
    sqlite3_close(handle(db));
    db->connection = NULL;
}

/* ---- Statements ---- */

static enum bawn_status prepare(struct db *db, const char *sql, int n, struct stmt **stmt,
                                struct bawn_error *err)
{
    sqlite3_stmt *made = NULL;
    const char *rest = "";
    int code = sqlite3_prepare_v3(handle(db), sql, -1, SQLITE_PREPARE_PERSISTENT, &made, &rest);

    (void)n;
    if (code != SQLITE_OK)
        return fail(db, code, err);
    if (!made || *rest) {
        sqlite3_finalize(made);
        return bawn_fail(err, BAWN_E_INTERNAL, "not one statement: %.200s", sql);
    }
    *stmt = (struct stmt *)made;
    return BAWN_OK;
}

static void drop(struct db *db, struct stmt *stmt)
{
    (void)db;
    sqlite3_finalize((sqlite3_stmt *)stmt);
}

static int bind_one(sqlite3_stmt *stmt, int at, const struct db_value *v)
{
    switch (v->type) {
    case DB_INT:
        return sqlite3_bind_int64(stmt, at, v->i);
    case DB_TEXT:
        return sqlite3_bind_text64(stmt, at, (const char *)v->bytes.data, v->bytes.len,
                                   SQLITE_STATIC, SQLITE_UTF8);
    case DB_BLOB:
        if (!v->bytes.len)
            return sqlite3_bind_zeroblob(stmt, at, 0);
        return sqlite3_bind_blob64(stmt, at, v->bytes.data, v->bytes.len, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(stmt, at);
    }
}

/* To SQLite $2 is a name, and numbers go by first appearance. */
static enum bawn_status bind(struct db *db, sqlite3_stmt *stmt, const struct db_value *params,
                             int n, struct bawn_error *err)
{
    int count = sqlite3_bind_parameter_count(stmt);

    for (int at = 1; at <= count; at++) {
        const char *name = sqlite3_bind_parameter_name(stmt, at);
        long number = name && *name == '$' ? strtol(name + 1, NULL, 10) : 0;
        int code;

        if (number < 1 || number > n)
            return bawn_fail(err, BAWN_E_INTERNAL, "no value for parameter %s of %.200s",
                             name ? name : "?", sqlite3_sql(stmt));
        code = bind_one(stmt, at, &params[number - 1]);
        if (code != SQLITE_OK)
            return fail(db, code, err);
    }
    return BAWN_OK;
}

static void read_row(sqlite3_stmt *stmt, struct db_value *columns, int n)
{
    for (int i = 0; i < n; i++) {
        struct db_value *v = &columns[i];

        *v = (struct db_value){ .type = DB_NULL };
        switch (sqlite3_column_type(stmt, i)) {
        case SQLITE_INTEGER:
            *v = db_int(sqlite3_column_int64(stmt, i));
            break;
        case SQLITE_NULL:
            break;
        case SQLITE_BLOB:
            v->bytes.data = sqlite3_column_blob(stmt, i);
            *v = db_blob(v->bytes.data, (size_t)sqlite3_column_bytes(stmt, i));
            break;
        default: /* text; nothing here stores floating point */
            v->type = DB_TEXT;
            v->bytes.data = sqlite3_column_text(stmt, i);
            v->bytes.len = (size_t)sqlite3_column_bytes(stmt, i);
            break;
        }
    }
}

static enum bawn_status run(struct db *db, struct stmt *prepared, const struct db_value *params,
                            int n, db_row_fn row, void *context, int64_t *changed,
                            struct bawn_error *err)
{
    sqlite3_stmt *stmt = (sqlite3_stmt *)prepared;
    struct db_value columns[DB_COLUMNS];
    int width = sqlite3_column_count(stmt), code = SQLITE_DONE;
    enum bawn_status st = bind(db, stmt, params, n, err);

    if (st == BAWN_OK && width > DB_COLUMNS)
        st = bawn_fail(err, BAWN_E_INTERNAL, "a statement with %d columns", width);
    while (st == BAWN_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        read_row(stmt, columns, width);
        if (row && !row(context, columns, width)) {
            code = SQLITE_DONE;
            break;
        }
    }
    if (st == BAWN_OK && code != SQLITE_DONE)
        st = fail(db, code, err);
    *changed = st == BAWN_OK && !sqlite3_stmt_readonly(stmt) ? sqlite3_changes64(handle(db)) : 0;
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return st;
}

static bool in_transaction(const struct db *db)
{
    return !sqlite3_get_autocommit(handle(db));
}

/* IMMEDIATE: who begins is the only writer. A transaction that began as a reader could not
 * become one when another wrote in between. */
const struct db_backend db_sqlite = {
    .shared = false,
    .prepares_commands = true,
    .words = { { "@BLOB@", "BLOB" },
               { "@ID@", "INTEGER PRIMARY KEY AUTOINCREMENT" },
               { "@INT@", "INTEGER" },
               { "@TEXT@", "TEXT" } },
    .begin = "BEGIN IMMEDIATE",
    .open = sqlite_open,
    .close = sqlite_close,
    .prepare = prepare,
    .drop = drop,
    .run = run,
    .script = script,
    .in_transaction = in_transaction,
};

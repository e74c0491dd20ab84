/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service's database: SQLite (WAL, synchronous=FULL) or PostgreSQL behind one small
 * interface. Statements are the common subset of both, with parameters $1, $2...; DDL uses
 * @BLOB@, @ID@ (autoincrement primary key), @INT@ (64 bits) and @TEXT@ (compared and sorted
 * byte by byte). One connection, one thread. Trusts the database.
 */
#ifndef BAWN_DB_H
#define BAWN_DB_H

#include <stdbool.h>
#include <stdint.h>

#include <bawn/attest.h>
#include <bawn/status.h>

struct db;

enum db_type { DB_NULL, DB_INT, DB_TEXT, DB_BLOB };

/* A parameter or a column; text and bytes are borrowed (columns: until the row function returns).
 */
struct db_value {
    enum db_type type;
    int64_t i;
    struct bawn_bytes bytes; /* text too; a column's text also ends in a zero byte */
};

static inline struct db_value db_int(int64_t i)
{
    return (struct db_value){ .type = DB_INT, .i = i };
}
struct db_value db_text(const char *text); /* NULL is DB_NULL */
struct db_value db_blob(const void *data, size_t len);

/* "sqlite:/path/file.db" or a libpq "postgresql://..." URL. Brings the schema to this program's
 * version (migrations are versioned, each in one transaction; replicas starting at once wait for
 * each other). BAWN_E_UNSUPPORTED: the schema is newer than the program. */
enum bawn_status db_open(struct db **db, const char *url, struct bawn_error *err);
/* For bawn-audit: no migration, no writes. */
enum bawn_status db_open_readonly(struct db **db, const char *url, struct bawn_error *err);
void db_close(struct db *db);

/* Called for each row; false ends the statement early. */
typedef bool (*db_row_fn)(void *context, const struct db_value *columns, int n);

/* Runs one statement. row may be NULL. *changed (may be NULL): rows inserted, updated, deleted.
 * BAWN_E_IO with db_lost(): the connection went; the transaction did not happen, unless it was the
 * commit that failed. BAWN_E_DENIED: a uniqueness constraint (the transaction can go on). */
enum bawn_status db_run(struct db *db, const char *sql, const struct db_value *params, int n,
                        db_row_fn row, void *context, int64_t *changed, struct bawn_error *err);

/* Transactions that write: one at a time over all replicas (SQLite: BEGIN IMMEDIATE; PostgreSQL:
 * an advisory lock), so there are no serialization failures and no deadlocks to retry. commit
 * returns when the data are on disk. A statement that fails otherwise than by BAWN_E_DENIED spoils
 * the transaction: it can be rolled back, wholly or to the mark. After a commit that fails nothing
 * is left begun. */
enum bawn_status db_begin(struct db *db, struct bawn_error *err);
enum bawn_status db_commit(struct db *db, struct bawn_error *err);
void db_rollback(struct db *db);
/* Marks a place inside a transaction to go back to, so that one failed request does not undo its
 * neighbours. Not nested. */
enum bawn_status db_mark(struct db *db, struct bawn_error *err);
enum bawn_status db_unmark(struct db *db, bool undo, struct bawn_error *err);

/* The connection is gone; db_reconnect tries once, without waiting. SQLite never loses it. */
bool db_lost(const struct db *db);
enum bawn_status db_reconnect(struct db *db, struct bawn_error *err);
bool db_is_shared(const struct db *db); /* PostgreSQL: other replicas may be at work */

#endif

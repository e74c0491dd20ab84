/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a database must be able to do for db.c, once for SQLite and once for PostgreSQL. Only
 * this room includes it.
 */
#ifndef BAWN_DB_BACKEND_H
#define BAWN_DB_BACKEND_H

#include "attest/store/db.h"

struct stmt; /* the backend's prepared statement */

struct db_backend {
    bool shared;
    bool prepares_commands; /* BEGIN, COMMIT and marks too are faster prepared */
    /* What the placeholders in DDL stand for. */
    struct {
        const char *name, *text;
    } words[4];
    const char *begin;

    enum bawn_status (*open)(struct db *db, struct bawn_error *err);
    void (*close)(struct db *db);
    enum bawn_status (*prepare)(struct db *db, const char *sql, int n, struct stmt **stmt,
                                struct bawn_error *err);
    void (*drop)(struct db *db, struct stmt *stmt);
    enum bawn_status (*run)(struct db *db, struct stmt *stmt, const struct db_value *params, int n,
                            db_row_fn row, void *context, int64_t *changed, struct bawn_error *err);
    /* A statement without parameters and rows that is not worth keeping, or several. */
    enum bawn_status (*script)(struct db *db, const char *sql, struct bawn_error *err);
    /* Whether the transaction that db.c began is still there. */
    bool (*in_transaction)(const struct db *db);
};

extern const struct db_backend db_sqlite, db_postgres;

#define DB_STATEMENTS 64 /* kept prepared */
#define DB_COLUMNS 32
#define DB_PARAMS 32
/* How long one waits for another's lock before it is an error. */
#define DB_LOCK_MS 10000

struct db_kept {
    char *sql;
    struct stmt *stmt;
    uint64_t used;
    bool busy; /* its rows are being read: a row function may run the same statement again */
};

struct db {
    const struct db_backend *backend;
    char *url;        /* SQLite: the path */
    void *connection; /* the backend's */
    bool readonly;
    bool lost;
    bool in_transaction; /* as the caller knows it */
    bool marked;
    uint64_t clock;
    uint64_t names; /* PostgreSQL: for the next statement's name */
    struct db_kept kept[DB_STATEMENTS];
};

/* schema.c */
enum bawn_status db_migrate(struct db *db, struct bawn_error *err);
enum bawn_status db_check_version(struct db *db, struct bawn_error *err);

#endif

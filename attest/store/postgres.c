// SPDX-License-Identifier: Apache-2.0
/*
 * PostgreSQL, for several replicas behind one address. Isolation is read committed under one
 * advisory lock that every writing transaction begins with. Nearly all of them append to the log
 * and would queue for its head anyway; so they queue in one place, in one order, and no caller
 * meets a deadlock or a serialization failure. Trusts the server that the URL names.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <postgresql/libpq-fe.h>

#include "attest/store/backend.h"

/* The lock's number: "bawnattd". */
#define LOCK "7089078604423001188"

struct stmt {
    char name[24];
    bool guarded; /* can meet a uniqueness constraint: see run() */
};

/* What a connection is set to. Timeouts in milliseconds: a replica that hangs in a transaction has
 * the lock until the server ends its session, after 10 s in which it said nothing, or as long
 * without reading; others give up waiting before that, and answer that they cannot now.
 * synchronous_commit: never weaker than on. */
static const char settings[] =
    "SET statement_timeout = 20000; SET lock_timeout = 5000;"
    "SET idle_in_transaction_session_timeout = 10000; SET tcp_user_timeout = 10000;"
    "SET client_min_messages = error;"
    "SET bytea_output = 'hex'; SET standard_conforming_strings = on;"
    "SET default_transaction_isolation = 'read committed';"
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local')";

static PGconn *handle(const struct db *db)
{
    return db->connection;
}

/* ---- Errors ---- */

/* SQLSTATE (PostgreSQL 15, appendix A) of what ends a connection: class 08, shutdowns, and the
 * timeout of an idle transaction. */
static bool ends_connection(const char *state)
{
    static const char *const states[] = { "57P01", "57P02", "57P03", "57P05", "25P03" };

    if (!strncmp(state, "08", 2))
        return true;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (!strcmp(state, states[i]))
            return true;
    return false;
}

/* result may be NULL: the connection itself failed. */
static enum bawn_status fail(struct db *db, const PGresult *result, struct bawn_error *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;

    if (!state)
        state = "";
    if (!result && db->lost)
        text = "the server does not answer";
    if (!text)
        text = PQerrorMessage(handle(db));
    if (PQstatus(handle(db)) != CONNECTION_OK || ends_connection(state))
        db->lost = true;
    if (!strcmp(state, "23505")) /* unique_violation */
        return bawn_fail(err, BAWN_E_DENIED, "%s", text);
    return bawn_fail(err, BAWN_E_IO, "database: %.*s%s%s", (int)strcspn(text, "\n"), text,
                     *state ? ", SQLSTATE " : "", state);
}

/* Takes the result. */
static enum bawn_status check(struct db *db, PGresult *result, struct bawn_error *err)
{
    ExecStatusType status = PQresultStatus(result);
    enum bawn_status st = BAWN_OK;

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        st = fail(db, result, err);
    PQclear(result);
    return st;
}

/* ---- Waiting ---- */

/* For one answer: more than the server's own timeouts allow. A server that is stopped, or behind a
 * network that swallows what is sent, does not say that it is gone. */
#define ANSWER_MS 30000

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False: it did not come, or the connection went. */
static bool wait_answer(PGconn *conn)
{
    int64_t until = now_ms() + ANSWER_MS, left;

    while (PQisBusy(conn)) {
        struct pollfd p = { PQsocket(conn), POLLIN, 0 };

        left = until - now_ms();
        if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR))
            return false;
        if (p.revents && PQconsumeInput(conn) != 1)
            return true; /* PQgetResult() says why */
    }
    return true;
}

/* What was sent is answered: by the last result, or the first that failed, as PQexec() has it.
 * NULL: the connection is of no use any longer. */
static PGresult *answer(struct db *db, int sent)
{
    PGresult *result = NULL, *next;

    if (sent != 1)
        return NULL;
    for (;;) {
        if (!wait_answer(handle(db))) {
            PQclear(result);
            db->lost = true;
            return NULL;
        }
        next = PQgetResult(handle(db));
        if (!next)
            return result;
        if (result && PQresultStatus(result) == PGRES_FATAL_ERROR) {
            PQclear(next);
        } else {
            PQclear(result);
            result = next;
        }
    }
}

static PGresult *query(struct db *db, const char *sql)
{
    return answer(db, PQsendQuery(handle(db), sql));
}

static enum bawn_status script(struct db *db, const char *sql, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    PGresult *result = query(db, sql);

    /* A COMMIT of a transaction that failed before succeeds, and says that it rolled back. */
    if (!strcmp(sql, "COMMIT") && PQresultStatus(result) == PGRES_COMMAND_OK &&
        strcmp(PQcmdStatus(result), "COMMIT") != 0)
        st = bawn_fail(err, BAWN_E_IO, "the database gave the transaction up");
    if (st != BAWN_OK) {
        PQclear(result);
        return st;
    }
    return check(db, result, err);
}

/* ---- Opening ---- */

static void ignore_notice(void *context, const char *message)
{
    (void)context, (void)message;
}

static enum bawn_status postgres_open(struct db *db, struct bawn_error *err)
{
    /* Before dbname: what the URL may set in another way. After: what it may not. */
    const char *const names[] = {
        "connect_timeout",  "keepalives_idle",  "keepalives_interval",
        "keepalives_count", "tcp_user_timeout", "fallback_application_name",
        "dbname",           "client_encoding",  NULL
    };
    const char *const values[] = { "10", "10", "5", "3", "20000", "bawn", db->url, "UTF8", NULL };
    enum bawn_status st;

    db->connection = PQconnectdbParams(names, values, 1);
    if (!db->connection)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    PQsetNoticeProcessor(handle(db), ignore_notice, NULL);
    if (PQstatus(handle(db)) != CONNECTION_OK)
        return fail(db, NULL, err);
    st = script(db, settings, err);
    if (st == BAWN_OK && db->readonly)
        st = script(db, "SET default_transaction_read_only = on", err);
    return st;
}

static void postgres_close(struct db *db)
{
    PQfinish(handle(db));
    db->connection = NULL;
}

/* ---- Statements ---- */

/* An INSERT or UPDATE that does not itself say what is to happen on conflict. */
static bool can_conflict(const char *sql)
{
    sql += strspn(sql, " \n\t");
    return (!strncasecmp(sql, "INSERT", 6) || !strncasecmp(sql, "UPDATE", 6)) &&
           !strcasestr(sql, "ON CONFLICT");
}

static enum bawn_status prepare(struct db *db, const char *sql, int n, struct stmt **stmt,
                                struct bawn_error *err)
{
    struct stmt *made = calloc(1, sizeof(*made));
    enum bawn_status st;

    if (!made)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    snprintf(made->name, sizeof(made->name), "s%llu", (unsigned long long)++db->names);
    made->guarded = can_conflict(sql);
    st = check(db, answer(db, PQsendPrepare(handle(db), made->name, sql, n, NULL)), err);
    if (st != BAWN_OK) {
        free(made);
        return st;
    }
    *stmt = made;
    return BAWN_OK;
}

static void drop(struct db *db, struct stmt *stmt)
{
    char sql[48];

    /* In a failed transaction this fails, too, and the server keeps the statement until the
     * connection ends: names are not used again. */
    if (!db->lost) {
        snprintf(sql, sizeof(sql), "DEALLOCATE %s", stmt->name);
        PQclear(query(db, sql));
    }
    free(stmt);
}

#define OID_BOOL 16 /* src/include/catalog/pg_type.dat; stable by PostgreSQL's promise */
#define OID_BYTEA 17
#define OID_INT8 20
#define OID_INT2 21
#define OID_INT4 23

static int nibble(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* "\x00ff", as bytea_output says, is decoded where it stands: the result is this statement's
 * own. */
static struct db_value read_bytea(char *text, size_t len)
{
    size_t n = len >= 2 ? (len - 2) / 2 : 0;

    for (size_t i = 0; i < n; i++)
        text[i] = (char)(nibble(text[2 + 2 * i]) << 4 | nibble(text[3 + 2 * i]));
    return db_blob(text, n);
}

static struct db_value read_column(const PGresult *result, int row, int column)
{
    char *text = PQgetvalue(result, row, column);
    size_t len = (size_t)PQgetlength(result, row, column);

    if (PQgetisnull(result, row, column))
        return (struct db_value){ .type = DB_NULL };
    switch (PQftype(result, column)) {
    case OID_BOOL:
        return db_int(*text == 't');
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        return db_int(strtoll(text, NULL, 10));
    case OID_BYTEA:
        return read_bytea(text, len);
    default:
        return (struct db_value){ .type = DB_TEXT, .bytes = { (uint8_t *)text, len } };
    }
}

static enum bawn_status read_rows(const PGresult *result, db_row_fn row, void *context,
                                  struct bawn_error *err)
{
    int width = PQnfields(result), rows = PQntuples(result);
    struct db_value columns[DB_COLUMNS];

    if (width > DB_COLUMNS)
        return bawn_fail(err, BAWN_E_INTERNAL, "a statement with %d columns", width);
    for (int r = 0; row && r < rows; r++) {
        for (int c = 0; c < width; c++)
            columns[c] = read_column(result, r, c);
        if (!row(context, columns, width))
            break;
    }
    return BAWN_OK;
}

/* Text and bytes go in binary form, which for both is the bytes; numbers as decimal text, which
 * suits a column of any width. */
static PGresult *execute(struct db *db, const struct stmt *stmt, const struct db_value *params,
                         int n)
{
    const char *values[DB_PARAMS];
    int lengths[DB_PARAMS], formats[DB_PARAMS];
    char numbers[DB_PARAMS][24];

    for (int i = 0; i < n; i++) {
        formats[i] = params[i].type == DB_TEXT || params[i].type == DB_BLOB;
        lengths[i] = formats[i] ? (int)params[i].bytes.len : 0;
        values[i] = formats[i] ? (const char *)params[i].bytes.data : NULL;
        if (params[i].type == DB_INT) {
            snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)params[i].i);
            values[i] = numbers[i];
        } else if (formats[i] && !values[i]) {
            values[i] = "";
        }
    }
    return answer(db, PQsendQueryPrepared(handle(db), stmt->name, n, values, lengths, formats, 0));
}

static enum bawn_status run(struct db *db, struct stmt *stmt, const struct db_value *params, int n,
                            db_row_fn row, void *context, int64_t *changed, struct bawn_error *err)
{
    /* Any error spoils a transaction here. A uniqueness constraint must not, so such statements
     * get a savepoint around them. */
    bool guard = stmt->guarded && db->in_transaction;
    enum bawn_status st = guard ? script(db, "SAVEPOINT guard", err) : BAWN_OK;
    ExecStatusType status;
    PGresult *result;

    *changed = 0;
    for (int i = 0; i < n; i++)
        if (st == BAWN_OK && params[i].bytes.len > 1u << 29)
            st = bawn_fail(err, BAWN_E_FORMAT, "%zu bytes are too many for a column",
                           params[i].bytes.len);
    if (st != BAWN_OK)
        return st;
    result = execute(db, stmt, params, n);
    status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        if (strncmp(PQcmdStatus(result), "SELECT", 6) != 0)
            *changed = strtoll(PQcmdTuples(result), NULL, 10);
        st = read_rows(result, row, context, err);
    } else {
        st = fail(db, result, err);
    }
    PQclear(result);
    if (guard && st == BAWN_E_DENIED && script(db, "ROLLBACK TO SAVEPOINT guard", err) != BAWN_OK)
        st = BAWN_E_IO;
    if (guard && (st == BAWN_OK || st == BAWN_E_DENIED)) {
        enum bawn_status released = script(db, "RELEASE SAVEPOINT guard", err);

        st = released == BAWN_OK ? st : released;
    }
    return st;
}

/* One that failed is still there until it is rolled back. */
static bool in_transaction(const struct db *db)
{
    return PQtransactionStatus(handle(db)) != PQTRANS_IDLE;
}

const struct db_backend db_postgres = {
    .shared = true,
    .words = { { "@BLOB@", "BYTEA" },
               { "@ID@", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY" },
               { "@INT@", "BIGINT" },
               { "@TEXT@", "TEXT COLLATE \"C\"" } },
    .begin = "BEGIN; SELECT pg_advisory_xact_lock(" LOCK ")",
    .open = postgres_open,
    .close = postgres_close,
    .prepare = prepare,
    .drop = drop,
    .run = run,
    .script = script,
    .in_transaction = in_transaction,
};

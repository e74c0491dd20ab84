// SPDX-License-Identifier: Apache-2.0
/*
 * The database interface, each test with SQLite and with a real PostgreSQL server.
 */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/fixture.h"

/* ---- Helpers ---- */

static enum bawn_status sql(struct db *db, const char *text)
{
    return db_run(db, text, NULL, 0, NULL, NULL, NULL, &err);
}

static int64_t number(struct db *db, const char *text)
{
    int64_t value = -1;

    ok(db_run(db, text, NULL, 0, take_int, &value, NULL, &err));
    return value;
}

static enum bawn_status put(struct db *db, const char *key)
{
    const struct db_value v = db_text(key);

    return db_run(db, "INSERT INTO meta (key, value) VALUES ($1, 'x')", &v, 1, NULL, NULL, NULL,
                  &err);
}

static int64_t has(struct db *db, const char *key)
{
    const struct db_value v = db_text(key);
    int64_t value = -1;

    ok(db_run(db, "SELECT count(*) FROM meta WHERE key = $1", &v, 1, take_int, &value, NULL, &err));
    return value;
}

/* ---- Values ---- */

struct row_seen {
    struct db_value v[5];
    char text[5][64];
    int rows;
};

static bool see_row(void *context, const struct db_value *columns, int n)
{
    struct row_seen *seen = context;

    assert_int_equal(n, 5);
    for (int i = 0; i < n; i++) {
        seen->v[i] = columns[i];
        assert_true(columns[i].bytes.len < sizeof(seen->text[i]));
        if (columns[i].bytes.len)
            memcpy(seen->text[i], columns[i].bytes.data, columns[i].bytes.len);
        if (columns[i].type == DB_TEXT)
            assert_int_equal(columns[i].bytes.data[columns[i].bytes.len], 0);
    }
    seen->rows++;
    return true;
}

static void values_come_back(void **state)
{
    static const uint8_t bytes[] = { 0, 1, 0xff, '\\', 'x', 0 };
    struct db *db = open_db(fresh_url(state));
    const struct db_value params[] = { db_int(INT64_MIN), db_text("h\xc3\xa9 '\"$1"),
                                       db_blob(bytes, sizeof(bytes)), db_blob(NULL, 0),
                                       db_text(NULL) };
    struct row_seen seen = { .rows = 0 };
    int64_t changed = -1;

    ok(sql(db, "CREATE TABLE v (i @INT@, t @TEXT@, b @BLOB@, e @BLOB@, n @BLOB@)"));
    /* Out of order, and one twice: numbers count, not places. */
    ok(db_run(db, "INSERT INTO v (b, t, i, e, n) VALUES ($3, $2, $1, $4, $5)", params, 5, NULL,
              NULL, &changed, &err));
    assert_int_equal(changed, 1);
    ok(db_run(db, "SELECT i, t, b, e, n FROM v WHERE i = $1 AND $1 < 0", params, 1, see_row, &seen,
              &changed, &err));
    assert_int_equal(changed, 0);
    assert_int_equal(seen.rows, 1);
    assert_true(seen.v[0].type == DB_INT && seen.v[0].i == INT64_MIN);
    assert_int_equal(seen.v[1].type, DB_TEXT);
    assert_string_equal(seen.text[1], "h\xc3\xa9 '\"$1");
    assert_true(seen.v[2].type == DB_BLOB && seen.v[2].bytes.len == sizeof(bytes));
    assert_memory_equal(seen.text[2], bytes, sizeof(bytes));
    assert_true(seen.v[3].type == DB_BLOB && seen.v[3].bytes.len == 0);
    assert_int_equal(seen.v[4].type, DB_NULL);
    db_close(db);
}

static void text_with_zero_refused(void **state)
{
    struct db *db = open_db(fresh_url(state));
    const struct db_value v = { .type = DB_TEXT, .bytes = { (const uint8_t *)"a\0b", 3 } };

    assert_int_equal(
        db_run(db, "INSERT INTO meta (key, value) VALUES ($1, 'x')", &v, 1, NULL, NULL, NULL, &err),
        BAWN_E_FORMAT);
    db_close(db);
}

static bool count_rows(void *context, const struct db_value *columns, int n)
{
    (void)columns, (void)n;
    return ++*(int *)context < 3;
}

static void rows_end_early_and_changes_count(void **state)
{
    struct db *db = open_db(fresh_url(state));
    int64_t changed = 0;
    int rows = 0;

    for (int i = 0; i < 10; i++) {
        char key[16];

        snprintf(key, sizeof(key), "k%d", i);
        ok(put(db, key));
    }
    ok(db_run(db, "SELECT key FROM meta", NULL, 0, count_rows, &rows, NULL, &err));
    assert_int_equal(rows, 3);
    ok(db_run(db, "UPDATE meta SET value = 'y' WHERE key LIKE 'k%'", NULL, 0, NULL, NULL, &changed,
              &err));
    assert_int_equal(changed, 10);
    ok(db_run(db, "DELETE FROM meta WHERE key = 'none'", NULL, 0, NULL, NULL, &changed, &err));
    assert_int_equal(changed, 0);
    db_close(db);
}

static bool nested(void *context, const struct db_value *columns, int n)
{
    (void)columns, (void)n;
    assert_int_equal(number(context, "SELECT count(*) FROM meta"), 3);
    return true;
}

static bool nested_same(void *context, const struct db_value *columns, int n)
{
    struct db *db = context;
    int rows = 0;

    (void)n;
    assert_int_equal(columns[0].type, DB_TEXT);
    ok(db_run(db, "SELECT key FROM meta ORDER BY key", NULL, 0, count_rows, &rows, NULL, &err));
    assert_int_equal(rows, 3);
    return true;
}

static void statements_nest(void **state)
{
    struct db *db = open_db(fresh_url(state));

    ok(put(db, "a"));
    ok(put(db, "b"));
    ok(db_run(db, "SELECT key FROM meta ORDER BY key", NULL, 0, nested, db, NULL, &err));
    ok(db_run(db, "SELECT key FROM meta ORDER BY key", NULL, 0, nested_same, db, NULL, &err));
    db_close(db);
}

static void more_statements_than_are_kept(void **state)
{
    struct db *db = open_db(fresh_url(state));

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 150; i++) {
            char text[64];

            snprintf(text, sizeof(text), "SELECT count(*) + %d FROM meta", i);
            assert_int_equal(number(db, text), 1 + i);
        }
    }
    db_close(db);
}

static bool collect(void *context, const struct db_value *columns, int n)
{
    (void)n;
    strcat(context, (const char *)columns[0].bytes.data);
    return true;
}

static void text_sorts_by_bytes(void **state)
{
    struct db *db = open_db(fresh_url(state));
    char order[32] = "";

    ok(put(db, "b"));
    ok(put(db, "B"));
    ok(put(db, "a"));
    ok(put(db, "_"));
    ok(db_run(db, "SELECT key FROM meta WHERE key <> 'schema' ORDER BY key", NULL, 0, collect,
              order, NULL, &err));
    assert_string_equal(order, "B_ab");
    db_close(db);
}

/* ---- Transactions ---- */

static void uniqueness_lets_the_transaction_go_on(void **state)
{
    struct db *db = open_db(fresh_url(state));

    ok(put(db, "a"));
    ok(db_begin(db, &err));
    ok(put(db, "b"));
    assert_int_equal(put(db, "a"), BAWN_E_DENIED);
    assert_int_equal(put(db, "b"), BAWN_E_DENIED);
    ok(put(db, "c"));
    ok(db_commit(db, &err));
    assert_int_equal(has(db, "b") + has(db, "c"), 2);
    assert_int_equal(put(db, "c"), BAWN_E_DENIED);
    ok(put(db, "d"));
    db_close(db);
}

static void rollback_undoes_all(void **state)
{
    const char *url = fresh_url(state);
    struct db *db = open_db(url);

    ok(db_begin(db, &err));
    ok(put(db, "a"));
    db_rollback(db);
    db_rollback(db);
    assert_int_equal(has(db, "a"), 0);
    ok(db_begin(db, &err));
    assert_int_equal(db_begin(db, &err), BAWN_E_INTERNAL);
    ok(put(db, "a"));
    db_close(db);
    db = open_db(url);
    assert_int_equal(has(db, "a"), 0);
    assert_int_equal(db_commit(db, &err), BAWN_E_INTERNAL);
    db_close(db);
}

static void mark_undoes_what_came_after(void **state)
{
    struct db *db = open_db(fresh_url(state));

    assert_int_equal(db_mark(db, &err), BAWN_E_INTERNAL);
    ok(db_begin(db, &err));
    ok(put(db, "a"));
    ok(db_mark(db, &err));
    assert_int_equal(db_mark(db, &err), BAWN_E_INTERNAL);
    ok(put(db, "b"));
    assert_int_equal(put(db, "a"), BAWN_E_DENIED);
    assert_int_equal(sql(db, "INSERT INTO meta (key, value) VALUES ('n', NULL)"), BAWN_E_IO);
    ok(db_unmark(db, true, &err));
    ok(db_mark(db, &err));
    ok(put(db, "c"));
    ok(db_unmark(db, false, &err));
    assert_int_equal(db_unmark(db, false, &err), BAWN_E_INTERNAL);
    ok(db_commit(db, &err));
    assert_int_equal(has(db, "a"), 1);
    assert_int_equal(has(db, "b"), 0);
    assert_int_equal(has(db, "c"), 1);
    db_close(db);
}

/* Children that add one to a number 50 times each: with a lost update the sum is less. */
static void writers_take_turns(void **state)
{
    enum { WRITERS = 4, ROUNDS = 50 };
    char url[200];
    struct db *db;
    pid_t pid[WRITERS];

    snprintf(url, sizeof(url), "%s", fresh_url(state));
    db = open_db(url);
    ok(sql(db, "CREATE TABLE c (n @INT@)"));
    ok(sql(db, "INSERT INTO c (n) VALUES (0)"));
    db_close(db);
    for (int i = 0; i < WRITERS; i++) {
        pid[i] = fork();
        if (pid[i])
            continue;
        db = open_db(url);
        for (int r = 0; r < ROUNDS; r++) {
            struct db_value v;

            ok(db_begin(db, &err));
            v = db_int(number(db, "SELECT n FROM c") + 1);
            ok(db_run(db, "UPDATE c SET n = $1", &v, 1, NULL, NULL, NULL, &err));
            ok(db_commit(db, &err));
        }
        db_close(db);
        _exit(0);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = -1;

        waitpid(pid[i], &status, 0);
        assert_int_equal(status, 0);
    }
    db = open_db(url);
    assert_int_equal(number(db, "SELECT n FROM c"), WRITERS * ROUNDS);
    db_close(db);
}

/* ---- Schema ---- */

static void replicas_migrate_at_once(void **state)
{
    enum { REPLICAS = 6 };
    char url[200];
    struct db *db;
    pid_t pid[REPLICAS];
    int go[2];

    snprintf(url, sizeof(url), "%s", fresh_url(state));
    assert_int_equal(pipe(go), 0);
    for (int i = 0; i < REPLICAS; i++) {
        pid[i] = fork();
        if (!pid[i]) {
            char byte;

            close(go[1]);
            (void)!read(go[0], &byte, 1); /* until the parent closes its end */
            db = open_db(url);
            db_close(db);
            _exit(0);
        }
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0; i < REPLICAS; i++) {
        int status = -1;

        waitpid(pid[i], &status, 0);
        assert_int_equal(status, 0);
    }
    db = open_db(url);
    assert_int_equal(number(db, "SELECT count(*) FROM meta WHERE key = 'schema'"), 1);
    assert_int_equal(number(db, "SELECT count(*) FROM log_entry"), 0);
    db_close(db);
}

static void newer_schema_refused(void **state)
{
    char url[200];
    struct db *db;

    snprintf(url, sizeof(url), "%s", fresh_url(state));
    db = open_db(url);
    ok(sql(db, "UPDATE meta SET value = '1000' WHERE key = 'schema'"));
    db_close(db);
    assert_int_equal(db_open(&db, url, &err), BAWN_E_UNSUPPORTED);
    assert_null(db);
    assert_non_null(strstr(err.msg, "1000"));
    assert_int_equal(db_open_readonly(&db, url, &err), BAWN_E_UNSUPPORTED);
}

static void readonly_does_not_write(void **state)
{
    char url[200];
    struct db *db, *reader;

    snprintf(url, sizeof(url), "%s", fresh_url(state));
    db = open_db(url);
    ok(db_open_readonly(&reader, url, &err));
    ok(put(db, "a"));
    assert_int_equal(has(reader, "a"), 1);
    assert_int_equal(put(reader, "b"), BAWN_E_IO);
    assert_int_equal(has(db, "b"), 0);
    db_close(reader);
    db_close(db);
}

static void readonly_makes_no_schema(void **state)
{
    struct db *db;

    assert_int_not_equal(db_open_readonly(&db, fresh_url(state), &err), BAWN_OK);
    assert_null(db);
}

/* Every table of the list is there with its columns. */
static void tables_are_there(void **state)
{
    static const char *const selects[] = {
        "SELECT key, value FROM meta",
        "SELECT id, kind, created, retired, sealed FROM keyring",
        "SELECT tenant, kind, name, hash, text, author, created, active FROM policy",
        "SELECT tenant, path, sealed, author, created FROM secret",
        "SELECT tenant, set_name, value, expires, source, created FROM reference",
        "SELECT id, tenant, expires, jti, allowed, token, tee_key, claims FROM session",
        "SELECT seq, tenant, kind, value, reason, created FROM revoked",
        "SELECT hash, name, data, not_after, added FROM collateral",
        "SELECT seq, entry FROM log_entry",
        "SELECT id, size, last, nodes FROM log_head",
        "SELECT size, note, created FROM log_checkpoint",
    };
    static const char *const revoke = "INSERT INTO revoked (tenant, kind, value, reason, created)"
                                      " VALUES ('t', 'token', $1, 'r', 1)";
    struct db *db = open_db(fresh_url(state));
    const struct db_value a = db_text("a"), b = db_text("b");

    for (size_t i = 0; i < sizeof(selects) / sizeof(selects[0]); i++)
        ok(sql(db, selects[i]));
    ok(db_run(db, revoke, &a, 1, NULL, NULL, NULL, &err));
    ok(sql(db, "DELETE FROM revoked"));
    ok(db_run(db, revoke, &b, 1, NULL, NULL, NULL, &err));
    /* A number is not given twice: subscribers ask for what is above the last they saw. */
    assert_int_equal(number(db, "SELECT seq FROM revoked"), 2);
    db_close(db);
}

static void urls(void **state)
{
    struct db *db = NULL;

    (void)state;
    assert_int_equal(db_open(&db, "mysql://x", &err), BAWN_E_CONFIG);
    assert_int_equal(db_open(&db, "sqlite:", &err), BAWN_E_CONFIG);
    assert_int_equal(db_open(&db, "postgres://user:hunter2@/x?host=/nowhere", &err), BAWN_E_IO);
    assert_null(strstr(err.msg, "hunter2"));
    assert_int_equal(db_open(&db, "sqlite:/nowhere/at/all.db", &err), BAWN_E_IO);
    assert_null(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(values_come_back),
        BOTH(text_with_zero_refused),
        BOTH(rows_end_early_and_changes_count),
        BOTH(statements_nest),
        BOTH(more_statements_than_are_kept),
        BOTH(text_sorts_by_bytes),
        BOTH(uniqueness_lets_the_transaction_go_on),
        BOTH(rollback_undoes_all),
        BOTH(mark_undoes_what_came_after),
        BOTH(writers_take_turns),
        BOTH(replicas_migrate_at_once),
        BOTH(newer_schema_refused),
        BOTH(readonly_does_not_write),
        BOTH(readonly_makes_no_schema),
        BOTH(tables_are_there),
        cmocka_unit_test(urls),
    };

    return cmocka_run_group_tests(tests, start, stop);
}

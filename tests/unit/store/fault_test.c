// SPDX-License-Identifier: Apache-2.0
/*
 * When the database fails: server gone, another holding the lock, disk full, file read-only.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/fixture.h"

static enum bawn_status put(struct db *db, const char *key, const char *value)
{
    const struct db_value v[] = { db_text(key), db_text(value) };

    return db_run(db, "INSERT INTO meta (key, value) VALUES ($1, $2)", v, 2, NULL, NULL, NULL,
                  &err);
}

static int64_t has(struct db *db, const char *key)
{
    const struct db_value v = db_text(key);
    int64_t value = -1;

    ok(db_run(db, "SELECT count(*) FROM meta WHERE key = $1", &v, 1, take_int, &value, NULL, &err));
    return value;
}

/* ---- PostgreSQL ---- */

static void server_restarts_in_a_transaction(void **state)
{
    struct db *db = open_db(test_server_database());

    (void)state;
    assert_true(db_is_shared(db));
    ok(put(db, "before", "x"));
    ok(db_begin(db, &err));
    ok(put(db, "lost", "x"));
    test_server_restart();
    assert_false(db_lost(db)); /* nobody has noticed yet */
    assert_int_equal(put(db, "lost2", "x"), BAWN_E_IO);
    assert_true(db_lost(db));
    assert_int_equal(put(db, "lost3", "x"), BAWN_E_IO);
    assert_int_equal(db_commit(db, &err), BAWN_E_IO);
    ok(db_reconnect(db, &err));
    assert_false(db_lost(db));
    assert_int_equal(has(db, "before"), 1);
    assert_int_equal(has(db, "lost"), 0);
    ok(db_begin(db, &err));
    ok(put(db, "after", "x"));
    ok(db_commit(db, &err));
    assert_int_equal(has(db, "after"), 1);
    db_close(db);
}

static void commit_without_a_server(void **state)
{
    struct db *db = open_db(test_server_database());

    (void)state;
    ok(db_begin(db, &err));
    ok(put(db, "a", "x"));
    test_server_crash();
    assert_int_equal(db_commit(db, &err), BAWN_E_IO);
    assert_true(db_lost(db));
    assert_int_equal(db_reconnect(db, &err), BAWN_E_IO);
    assert_true(db_lost(db));
    assert_int_equal(db_begin(db, &err), BAWN_E_IO);
    test_server_restart();
    ok(db_reconnect(db, &err));
    assert_int_equal(has(db, "a"), 0);
    db_close(db);
}

/* An administrator ends our connection; and one whose writer holds the lock for too long. */
static void ended_connection(void **state)
{
    char url[200];
    struct db *db, *other;

    (void)state;
    snprintf(url, sizeof(url), "%s", test_server_database());
    db = open_db(url);
    other = open_db(url);
    ok(db_begin(db, &err));
    ok(db_run(other,
              "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
              " current_database() AND pid <> pg_backend_pid()",
              NULL, 0, NULL, NULL, NULL, &err));
    assert_int_equal(put(db, "a", "x"), BAWN_E_IO);
    assert_true(db_lost(db));
    ok(db_begin(other, &err)); /* the lock went with the connection */
    ok(db_commit(other, &err));
    ok(db_reconnect(db, &err));
    ok(db_run(db, "SET idle_in_transaction_session_timeout = 50", NULL, 0, NULL, NULL, NULL, &err));
    ok(db_begin(db, &err));
    ok(db_begin(other, &err)); /* waits for it */
    db_rollback(other);
    assert_int_equal(put(db, "a", "x"), BAWN_E_IO);
    assert_true(db_lost(db));
    db_close(db);
    db_close(other);
}

static void lock_is_not_waited_for_without_end(void **state)
{
    char url[200];
    struct db *db, *other;

    (void)state;
    snprintf(url, sizeof(url), "%s", test_server_database());
    db = open_db(url);
    other = open_db(url);
    ok(db_begin(db, &err));
    ok(db_run(other, "SET lock_timeout = 100", NULL, 0, NULL, NULL, NULL, &err));
    assert_int_equal(db_begin(other, &err), BAWN_E_IO);
    assert_false(db_lost(other));
    ok(db_commit(db, &err));
    ok(db_begin(other, &err));
    ok(put(other, "a", "x"));
    ok(db_commit(other, &err));
    db_close(db);
    db_close(other);
}

/* A commit that the server answers with ROLLBACK is no commit. */
static void commit_of_a_spoilt_transaction(void **state)
{
    struct db *db = open_db(test_server_database());

    (void)state;
    ok(db_begin(db, &err));
    ok(put(db, "a", "x"));
    assert_int_equal(db_run(db, "SELECT 1 / 0", NULL, 0, NULL, NULL, NULL, &err), BAWN_E_IO);
    assert_int_equal(db_commit(db, &err), BAWN_E_IO);
    assert_int_equal(has(db, "a"), 0);
    ok(db_begin(db, &err));
    ok(db_commit(db, &err));
    db_close(db);
}

/* ---- SQLite ---- */

static void file_is_the_owners(void **state)
{
    static const char *const names[] = { "mode.db", "mode.db-wal", "mode.db-shm" };
    mode_t mask = umask(0);
    struct db *db = open_db(test_sqlite_url("mode.db"));
    struct stat st;

    (void)state;
    umask(mask);
    ok(put(db, "a", "x"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(stat(test_path(names[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_false(db_is_shared(db));
    assert_false(db_lost(db));
    db_close(db);
}

static char big[60000];

/* Writes until it fails: then nothing of the transaction is there, it does not go on outside of
 * one, and after room was made the database serves again. */
static void fill(struct db *db, void (*make_room)(void))
{
    enum bawn_status st = BAWN_OK;
    char key[32];
    int n = 0;

    memset(big, 'x', sizeof(big) - 1);
    ok(put(db, "before", "x"));
    ok(db_begin(db, &err));
    ok(put(db, "first", "x"));
    while (st == BAWN_OK && n < 2000) {
        snprintf(key, sizeof(key), "k%d", n++);
        st = put(db, key, big);
    }
    if (st == BAWN_OK) /* it was all in memory */
        st = db_commit(db, &err);
    assert_int_equal(st, BAWN_E_IO);
    if (!strstr(err.msg, "full") && !strstr(err.msg, "I/O"))
        fail_msg("%s", err.msg);
    assert_int_not_equal(db_commit(db, &err), BAWN_OK);
    db_rollback(db);
    make_room();
    assert_int_equal(has(db, "before"), 1);
    assert_int_equal(has(db, "first"), 0);
    assert_int_equal(has(db, "k0"), 0);
    ok(db_begin(db, &err));
    ok(put(db, "after", "x"));
    ok(db_commit(db, &err));
    assert_int_equal(has(db, "after"), 1);
}

static void lift_limit(void)
{
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
}

static void file_size_limit(void **state)
{
    struct db *db = open_db(test_sqlite_url("limit.db"));

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 2000000, RLIM_INFINITY });
    fill(db, lift_limit);
    lift_limit();
    db_close(db);
}

static void grow_tmpfs(void)
{
    assert_int_equal(mount("bawn", test_path("full"), "tmpfs", MS_REMOUNT, "size=64m"), 0);
}

/* In a mount namespace of a child, which takes the disk with it. */
static void disk_full(void **state)
{
    int status = -1;
    pid_t pid;

    (void)state;
    assert_int_equal(mkdir(test_path("full"), 0700), 0);
    fflush(stdout);
    pid = fork();
    if (!pid) {
        struct db *db;

        if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount("bawn", test_path("full"), "tmpfs", 0, "size=1m"))
            _exit(77);
        db = open_db(test_sqlite_url("full/state.db"));
        fill(db, grow_tmpfs);
        db_close(db);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* not root, or no namespaces: the limit above is the same to SQLite */
    assert_int_equal(status, 0);
}

/* SQLite ends a transaction by itself on some errors; here it is told to. What follows must not be
 * written outside of one. */
static void transaction_that_the_database_ends(void **state)
{
    struct db *db = open_db(test_sqlite_url("ended.db"));

    (void)state;
    ok(put(db, "there", "x"));
    ok(db_begin(db, &err));
    ok(put(db, "a", "x"));
    assert_int_equal(db_run(db, "INSERT OR ROLLBACK INTO meta (key, value) VALUES ('there', 'x')",
                            NULL, 0, NULL, NULL, NULL, &err),
                     BAWN_E_DENIED);
    assert_int_equal(put(db, "outside", "x"), BAWN_E_IO);
    assert_int_equal(db_mark(db, &err), BAWN_E_IO);
    assert_int_equal(db_commit(db, &err), BAWN_E_IO);
    assert_int_equal(has(db, "a") + has(db, "outside"), 0);
    ok(db_begin(db, &err));
    ok(put(db, "a", "x"));
    ok(db_commit(db, &err));
    db_close(db);
}

static void as_nobody(void)
{
    if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
        _exit(76);
}

/* A copy that may only be read, without -wal and -shm, in a directory that may only be read. */
static void read_only_file(void **state)
{
    int status = -1;
    struct db *db;
    char url[200];
    pid_t pid;

    (void)state;
    assert_int_equal(mkdir(test_path("ro"), 0755), 0);
    snprintf(url, sizeof(url), "%s", test_sqlite_url("ro/odd name?%#.db"));
    db = open_db(url);
    ok(put(db, "a", "x"));
    db_close(db);
    assert_int_equal(chmod(test_path("ro/odd name?%#.db"), 0444), 0);
    assert_int_equal(chmod(test_path("ro"), 0555), 0);
    fflush(stdout);
    pid = fork();
    if (!pid) {
        as_nobody();
        assert_int_equal(db_open(&db, url, &err), BAWN_E_IO);
        if (!strstr(err.msg, "writable") && !strstr(err.msg, "readonly"))
            fail_msg("%s", err.msg);
        ok(db_open_readonly(&db, url, &err));
        assert_int_equal(has(db, "a"), 1);
        assert_int_equal(put(db, "b", "x"), BAWN_E_IO);
        db_close(db);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    chmod(test_path("ro"), 0755);
    assert_int_equal(status, 0);
}

static void not_a_database(void **state)
{
    struct db *db = NULL;
    FILE *f = fopen(test_path("text.db"), "w");

    (void)state;
    fputs("This is a text, which is longer than the header of a database, and none at all; so "
          "it must be refused, whatever one may think of its contents.",
          f);
    fclose(f);
    assert_int_equal(db_open(&db, test_sqlite_url("text.db"), &err), BAWN_E_FORMAT);
    assert_int_equal(db_open_readonly(&db, test_sqlite_url("text.db"), &err), BAWN_E_FORMAT);
    assert_int_equal(db_open_readonly(&db, test_sqlite_url("none.db"), &err), BAWN_E_IO);
    assert_null(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_restarts_in_a_transaction),
        cmocka_unit_test(commit_without_a_server),
        cmocka_unit_test(ended_connection),
        cmocka_unit_test(lock_is_not_waited_for_without_end),
        cmocka_unit_test(commit_of_a_spoilt_transaction),
        cmocka_unit_test(file_is_the_owners),
        cmocka_unit_test(file_size_limit),
        cmocka_unit_test(disk_full),
        cmocka_unit_test(transaction_that_the_database_ends),
        cmocka_unit_test(read_only_file),
        cmocka_unit_test(not_a_database),
    };

    return cmocka_run_group_tests(tests, start, stop);
}

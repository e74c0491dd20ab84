// SPDX-License-Identifier: Apache-2.0
/*
 * The log in a database, SQLite and a real PostgreSQL server: appending, checkpoints, several
 * writers, and writers that are killed.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attest/log/reader.h"
#include "tests/unit/store/fixture.h"

#define ORIGIN "example.com/attest"
#define NOW 1767322800123 /* 2026-01-02T03:00:00.123Z */

static EVP_PKEY *key;

/* ---- Helpers ---- */

static enum bawn_status append(struct db *db, int writer, int n, uint64_t *seq)
{
    json_t *entry = json_pack("{s:s, s:i, s:i}", "kind", "service", "writer", writer, "n", n);
    enum bawn_status st = log_append(db, entry, NOW + n, seq, &err);

    json_decref(entry);
    return st;
}

static uint64_t append_alone(struct db *db, int n)
{
    uint64_t seq = 0;

    ok(db_begin(db, &err));
    ok(append(db, 0, n, &seq));
    ok(db_commit(db, &err));
    return seq;
}

static bool give_entry(void *context, uint64_t seq, struct bawn_bytes entry)
{
    (void)seq;
    log_verifier_entry(context, entry);
    return true;
}

struct notes {
    struct log_verifier *v;
    size_t n;
};

static bool give_kept(void *context, uint64_t size, struct bawn_bytes note)
{
    struct notes *notes = context;

    (void)size;
    ok(log_verifier_kept(notes->v, "checkpoint", note, &err));
    notes->n++;
    return true;
}

/* The whole log by the auditor's code, with every checkpoint that the database has. */
static uint64_t verify(struct db *db)
{
    struct notes notes = { log_verifier_create(), 0 };
    struct log_summary sum;
    uint64_t size;

    ok(log_size(db, &size, &err));
    ok(log_verifier_key(notes.v, ORIGIN, key, &err));
    ok(log_checkpoints(db, 0, INT64_MAX, give_kept, &notes, &err));
    ok(log_read(db, 0, INT64_MAX, give_entry, notes.v, &err));
    log_verifier_end(notes.v, size);
    log_verifier_summary(notes.v, &sum);
    if (sum.faults)
        fail_msg("%s", sum.findings[0].text);
    assert_int_equal(sum.entries, size);
    assert_int_equal(sum.kept, notes.n);
    log_verifier_destroy(notes.v);
    return size;
}

static bool take_text(void *context, uint64_t seq, struct bawn_bytes entry)
{
    (void)seq;
    *(char **)context = strndup((const char *)entry.data, entry.len);
    return false;
}

static char *entry_text(struct db *db, uint64_t seq)
{
    char *text = NULL;

    ok(log_read(db, seq, seq + 1, take_text, &text, &err));
    assert_non_null(text);
    return text;
}

/* ---- Appending ---- */

static void entries_are_canonical_and_chained(void **state)
{
    struct db *db = open_db(fresh_url(state));
    uint8_t hash[LOG_HASH];
    char *first, *second, want[256], hex[65];

    assert_int_equal(append_alone(db, 0), 0);
    assert_int_equal(append_alone(db, 1), 1);
    first = entry_text(db, 0);
    second = entry_text(db, 1);
    assert_string_equal(first, "{\"kind\":\"service\",\"n\":0,\"prev\":\"00000000000000000000000000"
                               "00000000000000000000000000000000000000\",\"seq\":0,\"time\":"
                               "\"2026-01-02T03:00:00.123Z\",\"writer\":0}");
    EVP_Digest(first, strlen(first), hash, NULL, EVP_sha256(), NULL);
    for (int i = 0; i < LOG_HASH; i++)
        sprintf(hex + 2 * i, "%02x", hash[i]);
    snprintf(want, sizeof(want),
             "{\"kind\":\"service\",\"n\":1,\"prev\":\"%s\",\"seq\":1,\"time\":"
             "\"2026-01-02T03:00:00.124Z\",\"writer\":0}",
             hex);
    assert_string_equal(second, want);
    free(first);
    free(second);
    assert_int_equal(verify(db), 2);
    db_close(db);
}

static void transactions_hold_entries_together(void **state)
{
    struct db *db = open_db(fresh_url(state));
    uint64_t seq;

    ok(db_begin(db, &err));
    for (int i = 0; i < 3; i++)
        ok(append(db, 0, i, &seq));
    assert_int_equal(seq, 2);
    db_rollback(db);
    ok(db_begin(db, &err));
    ok(append(db, 0, 0, &seq));
    ok(db_mark(db, &err));
    ok(append(db, 0, 1, &seq));
    ok(db_unmark(db, true, &err));
    ok(append(db, 0, 2, &seq));
    assert_int_equal(seq, 1);
    ok(db_commit(db, &err));
    assert_int_equal(verify(db), 2);
    db_close(db);
}

static void entries_that_cannot_be(void **state)
{
    struct db *db = open_db(fresh_url(state));
    static const char *const texts[] = { "{\"seq\":1}", "{\"time\":\"x\"}", "{\"prev\":\"x\"}",
                                         "[]" };
    char *large = malloc(LOG_ENTRY_MAX + 1);
    json_t *entry;
    uint64_t seq;

    memset(large, 'x', LOG_ENTRY_MAX);
    large[LOG_ENTRY_MAX] = '\0';
    ok(db_begin(db, &err));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        entry = json_loads(texts[i], 0, NULL);
        assert_int_equal(log_append(db, entry, NOW, &seq, &err), BAWN_E_INTERNAL);
        json_decref(entry);
    }
    entry = json_pack("{s:s}", "kind", large);
    assert_int_equal(log_append(db, entry, NOW, &seq, &err), BAWN_E_FORMAT);
    json_decref(entry);
    free(large);
    ok(append(db, 0, 0, &seq));
    assert_int_equal(seq, 0);
    ok(db_commit(db, &err));
    db_close(db);
}

/* What another wrote behind the head's back is no place to append at. */
static void lost_head_is_noticed(void **state)
{
    struct db *db = open_db(fresh_url(state));
    uint64_t seq;

    append_alone(db, 0);
    append_alone(db, 1);
    ok(db_run(db, "DELETE FROM log_head", NULL, 0, NULL, NULL, NULL, &err));
    ok(db_begin(db, &err));
    assert_int_equal(append(db, 0, 2, &seq), BAWN_E_FORMAT);
    db_rollback(db);
    assert_int_equal(log_size(db, &seq, &err), BAWN_E_FORMAT);
    db_close(db);
}

static void checkpoints_are_of_the_head(void **state)
{
    struct db *db = open_db(fresh_url(state));
    char *note = NULL, *again = NULL, *text = NULL, *own = log_key_text(key, ORIGIN);
    uint8_t root[LOG_HASH];
    uint64_t size;

    ok(log_checkpoint(db, key, ORIGIN, &err));
    ok(log_last_checkpoint(db, &note, &err));
    assert_null(note); /* nothing to sign yet */
    for (int i = 0; i < 5; i++)
        append_alone(db, i);
    ok(log_checkpoint(db, key, ORIGIN, &err));
    ok(log_last_checkpoint(db, &note, &err));
    ok(log_checkpoint_verify(key, ORIGIN, note, strlen(note), &size, root, &err));
    assert_int_equal(size, 5);
    ok(log_checkpoint(db, key, ORIGIN, &err)); /* nothing new */
    ok(log_last_checkpoint(db, &again, &err));
    assert_string_equal(note, again);
    ok(log_last_key(db, &text, &err));
    assert_string_equal(text, own);
    verify(db);
    /* A log that was cut below what was signed gets no signature any more. */
    ok(db_run(db, "UPDATE log_checkpoint SET size = 7", NULL, 0, NULL, NULL, NULL, &err));
    assert_int_equal(log_checkpoint(db, key, ORIGIN, &err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "cut"));
    free(note);
    free(again);
    free(text);
    free(own);
    db_close(db);
}

/* More than one piece of reading. */
static bool count(void *context, uint64_t seq, struct bawn_bytes entry)
{
    uint64_t *next = context;

    (void)entry;
    assert_int_equal(seq, (*next)++);
    return true;
}

static void long_logs_are_read_in_order(void **state)
{
    struct db *db = open_db(fresh_url(state));
    uint64_t seq, next = 0;

    ok(db_begin(db, &err));
    for (int i = 0; i < 700; i++)
        ok(append(db, 0, i, &seq));
    ok(db_commit(db, &err));
    ok(log_read(db, 0, 700, count, &next, &err));
    assert_int_equal(next, 700);
    next = 255;
    ok(log_read(db, 255, 515, count, &next, &err));
    assert_int_equal(next, 515);
    next = 700;
    ok(log_read(db, 700, INT64_MAX, count, &next, &err));
    assert_int_equal(next, 700);
    db_close(db);
}

/* ---- Several writers ---- */

static void writers_make_one_log(void **state)
{
    enum { WRITERS = 3, ROUNDS = 30 };
    char url[200];
    pid_t pid[WRITERS];
    struct db *db;

    snprintf(url, sizeof(url), "%s", fresh_url(state));
    for (int w = 0; w < WRITERS; w++) {
        pid[w] = fork();
        if (pid[w])
            continue;
        db = open_db(url);
        for (int i = 0; i < ROUNDS; i++) {
            uint64_t seq, second;

            ok(db_begin(db, &err));
            ok(append(db, w, 2 * i, &seq));
            ok(append(db, w, 2 * i + 1, &second));
            ok(db_commit(db, &err));
            if (second != seq + 1)
                _exit(1);
            if (i % 7 == 0)
                ok(log_checkpoint(db, key, ORIGIN, &err));
        }
        db_close(db);
        _exit(0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int status = -1;

        waitpid(pid[w], &status, 0);
        assert_int_equal(status, 0);
    }
    db = open_db(url);
    assert_int_equal(verify(db), 2 * WRITERS * ROUNDS);
    db_close(db);
}

/* ---- Writers that are killed ---- */

struct acknowledged {
    uint64_t seq;
    int n;
};

/* Appends for ever, and says what is committed. */
static void write_for_ever(const char *url, int to, int start)
{
    struct db *db = open_db(url);

    for (int n = start;; n++) {
        struct acknowledged ack = { .n = n };

        ok(db_begin(db, &err));
        ok(append(db, 1, n, &ack.seq));
        ok(db_commit(db, &err));
        if (write(to, &ack, sizeof(ack)) != sizeof(ack))
            _exit(1);
        if (n % 5 == 0)
            ok(log_checkpoint(db, key, ORIGIN, &err));
    }
}

/* Every entry that was acknowledged is there, with its content. */
static void check_acknowledged(struct db *db, const struct acknowledged *acks, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        char *text = entry_text(db, acks[i].seq), want[32];

        snprintf(want, sizeof(want), "\"n\":%d,", acks[i].n);
        assert_non_null(strstr(text, want));
        free(text);
    }
}

static size_t kill_a_writer(const char *url, unsigned delay_us, int start)
{
    static struct acknowledged acks[4096];
    int pipe_fd[2], status;
    size_t len = 0;
    struct db *db;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(pipe_fd), 0);
    pid = fork();
    if (!pid) {
        close(pipe_fd[0]);
        write_for_ever(url, pipe_fd[1], start);
    }
    close(pipe_fd[1]);
    usleep(delay_us);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (len < sizeof(acks) && (n = read(pipe_fd[0], (char *)acks + len, sizeof(acks) - len)) > 0)
        len += (size_t)n;
    close(pipe_fd[0]);
    db = open_db(url);
    verify(db);
    check_acknowledged(db, acks, len / sizeof(acks[0]));
    db_close(db);
    return len / sizeof(acks[0]);
}

/* Moments from the first opening of the database to well into writing. */
static void killed_writers_lose_nothing(void **state)
{
    bool postgres = !strcmp(*state, "postgres");
    int kills = postgres ? 10 : 100, of_each = postgres ? 5 : 10;
    unsigned seed = (unsigned)getpid();
    size_t acknowledged = 0;
    char url[200] = "";

    printf("# seed %u\n", seed);
    for (int i = 0; i < kills; i++) {
        if (i % of_each == 0)
            snprintf(url, sizeof(url), "%s", fresh_url(state));
        acknowledged +=
            kill_a_writer(url, (unsigned)rand_r(&seed) % (postgres ? 100000 : 45000), 1000 * i);
    }
    /* Otherwise nothing was tested. */
    assert_true(acknowledged > 20);
    printf("# %zu entries were acknowledged in %d lives\n", acknowledged, kills);
}

static int start_with_key(void **state)
{
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return start(state);
}

static int stop_with_key(void **state)
{
    EVP_PKEY_free(key);
    return stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(entries_are_canonical_and_chained),
        BOTH(transactions_hold_entries_together),
        BOTH(entries_that_cannot_be),
        BOTH(lost_head_is_noticed),
        BOTH(checkpoints_are_of_the_head),
        BOTH(long_logs_are_read_in_order),
        BOTH(writers_make_one_log),
        BOTH(killed_writers_lose_nothing),
    };

    return cmocka_run_group_tests(tests, start_with_key, stop_with_key);
}

// SPDX-License-Identifier: Apache-2.0
/* Whoever can write the database, where that is a server and others are connected to it: between
 * the look at a tenant's state and its new MAC nothing slips in. */
#include "tests/unit/vault/world.h"

#include "tests/unit/store/server.h"

#define PLANT                                                                   \
    "INSERT INTO reference (tenant, set_name, value, expires, source, created)" \
    " VALUES ('blue', 'set', 'evil', 0, '', 1)"

static enum bawn_status sql(struct db *db, const char *text)
{
    struct bawn_error err = { "" };
    enum bawn_status st = db_run(db, text, NULL, 0, NULL, NULL, NULL, &err);

    if (st != BAWN_OK && st != BAWN_E_IO)
        fail_msg("%s: %s", text, err.msg);
    return st;
}

static void create(struct world *w)
{
    struct bawn_error err = { "" };

    world_create(w);
    vault_close(&w->v);
    free(w->config->database);
    w->config->database = strdup(test_server_database());
    assert_int_equal(config_read_files(w->config, ROLE_VAULT, &err), BAWN_OK);
    if (vault_open(&w->v, w->config, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
}

static int add(struct world *w, const char *value)
{
    return admin(w, "blue", AUTHOR, "POST", "reference-value", value);
}

static void others_wait(void **state)
{
    struct world w;
    struct db *other;

    (void)state;
    create(&w);
    assert_int_equal(db_open(&other, w.config->database, NULL), BAWN_OK);
    assert_int_equal(sql(other, "SET lock_timeout = 200"), BAWN_OK);
    assert_int_equal(db_begin(w.v.db, NULL), BAWN_OK);
    assert_int_equal(state_hold(&w.v, NULL), BAWN_OK);
    assert_int_equal(sql(other, PLANT), BAWN_E_IO);
    db_rollback(w.v.db);
    assert_int_equal(add(&w, "{\"set\": \"a\"}"), 200);
    assert_int_equal(sql(other, PLANT), BAWN_OK); /* afterwards it is seen */
    assert_int_equal(add(&w, "{\"set\": \"b\"}"), 503);
    db_close(other);
    world_destroy(&w);
}

static void triggers(void **state)
{
    struct world w;

    (void)state;
    create(&w);
    assert_int_equal(sql(w.v.db, "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
                                 " $$ BEGIN IF new.value <> 'evil' THEN " PLANT
                                 "; END IF; RETURN new; END $$"),
                     BAWN_OK);
    assert_int_equal(sql(w.v.db, "CREATE TRIGGER t AFTER INSERT ON reference FOR EACH ROW"
                                 " EXECUTE FUNCTION f()"),
                     BAWN_OK);
    assert_int_equal(add(&w, "{\"set\": \"a\"}"), 503);
    assert_non_null(strstr(w.text, "StateNotAuthentic"));
    assert_int_equal(sql(w.v.db, "DROP TRIGGER t ON reference"), BAWN_OK);
    assert_int_equal(add(&w, "{\"set\": \"a\"}"), 200);
    assert_int_equal(admin(&w, "blue", AUTHOR, "GET", "reference-value", ""), 200);
    assert_null(strstr(w.text, "evil"));
    world_destroy(&w);
}

/* A server that answers with another row than it was asked for: one of a guest of red, with its
 * MAC, for a session of blue that anybody can begin. What it says is chance, so that it is one
 * thing to its own condition and another to us. */
static void other_row(void **state)
{
    struct guest g = guest_create(), stranger = guest_create();
    uint8_t *id;
    char text[1024], hex[40] = "";
    struct world w;
    size_t len;

    (void)state;
    create(&w);
    assert_int_equal(admin(&w, "blue", OWNER, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    assert_int_equal(guest_attest(&w, &g, "red"), 200);
    guest_session(&w, &stranger, "blue", "snp");
    assert_int_equal(b64url_decode(stranger.cookie, strcspn(stranger.cookie, "."), &id, &len, NULL),
                     BAWN_OK);
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    free(id);
    assert_int_equal(sql(w.v.db, "ALTER TABLE session RENAME TO real_one"), BAWN_OK);
    assert_int_equal(sql(w.v.db,
                         "CREATE FUNCTION t(text) RETURNS text STABLE LANGUAGE plpgsql AS"
                         " $$ BEGIN RETURN CASE WHEN random() < 0.5 THEN 'blue' ELSE $1 END;"
                         " END $$"),
                     BAWN_OK);
    snprintf(text, sizeof(text),
             "CREATE FUNCTION i(bytea) RETURNS bytea STABLE LANGUAGE plpgsql AS $$ BEGIN"
             " RETURN CASE WHEN random() < 0.5 THEN '\\x%s'::bytea ELSE $1 END; END $$",
             hex);
    assert_int_equal(sql(w.v.db, text), BAWN_OK);
    assert_int_equal(sql(w.v.db, "CREATE VIEW session AS SELECT i(id) AS id, t(tenant) AS tenant,"
                                 " expires, jti, allowed, token, tee_key, claims, mac"
                                 " FROM real_one"),
                     BAWN_OK);
    for (int i = 0; i < 200; i++)
        assert_int_equal(guest_resource(&w, &stranger, "blue", false), 401);
    guest_destroy(&g);
    guest_destroy(&stranger);
    world_destroy(&w);
}

static int start(void **state)
{
    (void)state;
    test_server_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_cleanup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(others_wait), cmocka_unit_test(triggers),
                                        cmocka_unit_test(other_row) };

    return cmocka_run_group_tests(tests, start, stop);
}

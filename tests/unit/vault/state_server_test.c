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
    const struct CMUnitTest tests[] = { cmocka_unit_test(others_wait), cmocka_unit_test(triggers) };

    return cmocka_run_group_tests(tests, start, stop);
}

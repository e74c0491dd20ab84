// SPDX-License-Identifier: Apache-2.0
/*
 * Whoever can write the database, and has not the storage key, against the vault: what was planted,
 * altered or taken away makes its tenant deny everything, and says so; it is never passed over.
 */
#include "tests/unit/vault/world.h"

#include <unistd.h>

#include <openssl/x509.h>

#define RULE(id, value, reason)                                                             \
    "{\"bawn_policy\": 1, \"id\": \"" id "\", \"version\": \"1\", \"evidence\": [\"snp\"]," \
    " \"test_roots\": true, \"rules\": [{\"id\": \"r\", \"claim\": \"snp.policy.debug\","   \
    " \"equals\": " value ", \"reason\": \"" reason "\"}]}"
#define ALLOW_ALL RULE("all", "false", "never")
#define DENY_ALL RULE("none", "true", "nobody today")

static void sql(struct world *w, const char *text)
{
    struct bawn_error err = { "" };

    if (db_run(w->v.db, text, NULL, 0, NULL, NULL, NULL, &err) != BAWN_OK)
        fail_msg("%s: %s", text, err.msg);
}

static void plant_policy(struct world *w, const char *kind)
{
    struct bawn_policy *policy;

    assert_int_equal(
        bawn_policy_create(&policy, "default",
                           (struct bawn_bytes){ (const uint8_t *)ALLOW_ALL, strlen(ALLOW_ALL) },
                           NULL, NULL, NULL),
        BAWN_OK);
    assert_int_equal(
        db_run(w->v.db,
               "INSERT INTO policy (tenant, kind, name, hash, text, author, created, active)"
               " VALUES ('blue', $1, 'default', $2, $3, 'author', 1, 1)",
               (struct db_value[]){ db_text(kind),
                                    db_blob(bawn_policy_hash(policy), BAWN_POLICY_HASH_SIZE),
                                    db_text(ALLOW_ALL) },
               3, NULL, NULL, NULL, NULL),
        BAWN_OK);
    bawn_policy_destroy(policy);
}

/* As after a restart, and as memory is told in between. */
static void refused(struct world *w, const char *what)
{
    const struct tenant *t;
    struct guest g = guest_create();

    w->v.reload = false;
    assert_int_equal(state_watch(&w->v, NULL), BAWN_OK);
    assert_true(w->v.reload);
    world_restart(w);
    t = vault_tenant(&w->v, "blue");
    assert_non_null(t->refused);
    assert_non_null(strstr(t->refused, what));
    assert_int_equal(w->v.refused, 1);
    assert_int_equal(guest_attest(w, &g, "blue"), 401);
    assert_true(says(w, "not what this service wrote"));
    assert_int_equal(guest_attest(w, &g, "red"), 200);
    assert_null(vault_tenant(&w->v, "red")->refused);
    guest_destroy(&g);
}

static void good(struct world *w)
{
    struct guest g = guest_create();

    assert_null(vault_tenant(&w->v, "blue")->refused);
    assert_int_equal(guest_attest(w, &g, "blue"), 200);
    guest_destroy(&g);
}

static void planted_policy(void **state)
{
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy/mine", DENY_ALL), 200);
    plant_policy(&w, "attestation");
    /* Nothing is changed on top of it, or it would be sealed with the rest. */
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy/mine", ALLOW_ALL), 503);
    assert_non_null(strstr(w.text, "StateNotAuthentic"));
    refused(&w, "the policies of tenant blue");
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy/mine", ALLOW_ALL), 503);
    assert_int_equal(admin(&w, "red", RED, "POST", "attestation-policy/mine", ALLOW_ALL), 200);
    assert_int_equal(ask(&w, serve_status, json_object(), NULL, 0), 200);
    assert_non_null(strstr(w.text, "Everything is denied: the policies of tenant blue"));
    sql(&w, "DELETE FROM policy WHERE tenant = 'blue' AND name = 'default'");
    world_restart(&w);
    assert_null(vault_tenant(&w.v, "blue")->refused);
    world_destroy(&w);
}

static void planted_resource_policy(void **state)
{
    struct guest g = guest_create();
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", OWNER, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "resource-policy", DENY_ALL), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200);
    assert_int_equal(guest_resource(&w, &g, "blue", true), 403);
    sql(&w, "UPDATE policy SET active = 0 WHERE kind = 'resource'");
    plant_policy(&w, "resource");
    refused(&w, "policies");
    assert_int_equal(guest_resource(&w, &g, "blue", true), 403);
    assert_true(says(&w, "not what this service wrote"));
    guest_destroy(&g);
    world_destroy(&w);
}

/* Without its row the configuration's policy, which allows more, would be in force. */
static void taken_policy(void **state)
{
    struct guest g = guest_create();
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", DENY_ALL), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 401);
    sql(&w, "DELETE FROM policy WHERE tenant = 'blue'");
    refused(&w, "policies");
    sql(&w, "DELETE FROM meta WHERE key LIKE 'state/blue/%'");
    world_restart(&w);
    assert_non_null(vault_tenant(&w.v, "blue")->refused);
    guest_destroy(&g);
    world_destroy(&w);
}

static void altered_rows(void **state)
{
    static const struct {
        const char *change, *back, *what;
    } cases[] = {
        { "UPDATE reference SET value = 'b' WHERE value = 'a'", "UPDATE reference SET value = 'a'",
          "reference values" },
        { "UPDATE reference SET expires = 9", "UPDATE reference SET expires = 0",
          "reference values" },
        { "INSERT INTO reference (tenant, set_name, value, expires, source, created)"
          " VALUES ('blue', 'x', 'y', 0, '', 1)",
          "DELETE FROM reference WHERE value = 'y'", "reference values" },
        { "INSERT INTO meta (key, value) VALUES ('signer/blue/evil', 'a key')",
          "DELETE FROM meta WHERE key = 'signer/blue/evil'", "signers" },
        { "UPDATE revoked SET kind = 'token'", "UPDATE revoked SET kind = 'measurement'",
          "revocations" },
        { "UPDATE policy SET text = text || ' '",
          "UPDATE policy SET text = substr(text, 1, length(text) - 1)", "policies" },
    };
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "reference-value", "{\"set\": \"a\"}"), 200);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", ALLOW_ALL), 200);
    assert_int_equal(
        admin(&w, "blue", AUTHOR, "POST", "revoked",
              "{\"kind\": \"measurement\", \"value\":"
              " \"00000000000000000000000000000000000000000000000000000000000000aa\"}"),
        200);
    world_restart(&w);
    good(&w);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sql(&w, cases[i].change);
        refused(&w, cases[i].what);
        sql(&w, cases[i].back);
        world_restart(&w);
        good(&w);
    }
    world_destroy(&w);
}

/* A revocation that is taken out of the database is in force all the same: at once by memory, then
 * because nothing else is. */
static void taken_revocation(void **state)
{
    struct guest g = guest_create();
    struct world w;
    char body[512];
    json_t *entry;

    (void)state;
    world_create(&w);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200);
    entry = log_entry(&w, log_count(&w) - 1);
    snprintf(body, sizeof(body), "{\"kind\":\"measurement\",\"value\":\"%s\"}",
             text_of(json_object_get(entry, "claims"), "snp.measurement"));
    json_decref(entry);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "revoked", body), 200);
    assert_int_equal(revocations_tell(&w.v, NULL), BAWN_OK); /* as the loop does */
    sql(&w, "DELETE FROM revoked");
    assert_int_equal(guest_attest(&w, &g, "blue"), 401);
    assert_true(says(&w, "is revoked"));
    refused(&w, "revocations");
    guest_destroy(&g);
    world_destroy(&w);
}

static void forged_session(void **state)
{
    static const char *const changes[] = {
        "UPDATE session SET claims = '{\"kind\":\"snp\"}'",
        "UPDATE session SET tee_key = '{\"kty\":\"EC\"}'",
        "UPDATE session SET expires = expires + 1",
        "UPDATE session SET mac = NULL",
        "UPDATE session SET tenant = 'red'",
    };
    struct guest g = guest_create();
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", OWNER, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        sql(&w, "DELETE FROM session");
        assert_int_equal(guest_attest(&w, &g, "blue"), 200);
        assert_int_equal(guest_resource(&w, &g, "blue", true), 200);
        sql(&w, changes[i]);
        assert_int_equal(guest_resource(&w, &g, "blue", true), 401);
        assert_int_equal(guest_resource(&w, &g, "blue", false), 401);
    }
    /* One that was denied, made to one that was allowed. */
    sql(&w, "DELETE FROM session");
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", DENY_ALL), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 401);
    sql(&w, "UPDATE session SET allowed = 1, jti = 'x', tee_key = '{}', claims = '{}'");
    assert_int_equal(guest_resource(&w, &g, "blue", false), 401);
    guest_destroy(&g);
    world_destroy(&w);
}

/* A text that is not in force has no MAC: its hash must be the one that is asked for. */
static void altered_text(void **state)
{
    struct world w;
    char body[256];

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", DENY_ALL), 200);
    snprintf(body, sizeof(body), "{\"sha256\": \"%s\"}", text_of(w.body, "sha256"));
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", ALLOW_ALL), 200);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy/activate", body), 200);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", ALLOW_ALL), 200);
    sql(&w, "UPDATE policy SET text = replace(text, 'true, \"reason', 'false, \"reason')"
            " WHERE active = 0");
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy/activate", body), 404);
    world_restart(&w);
    good(&w);
    world_destroy(&w);
}

static enum bawn_status open_again(struct world *w, struct bawn_error *err)
{
    struct vault v;
    enum bawn_status st;

    assert_int_equal(config_read_files(w->config, ROLE_VAULT, err), BAWN_OK);
    st = vault_open(&v, w->config, err);
    vault_close(&v);
    return st;
}

/* What says that there are MACs cannot be taken away. */
static void taken_marks(void **state)
{
    static const char *const changes[] = {
        "DELETE FROM meta WHERE key LIKE 'state%'",
        "UPDATE meta SET value = substr(value, 1, 64) WHERE key = 'state-tenants'",
        "DELETE FROM keyring",
        "DELETE FROM keyring WHERE kind = 'log'",
        /* "... log-1 with state": under this name it would be an older version's. */
        "UPDATE keyring SET id = 'log-1 with state' WHERE id = 'log-1'",
    };
    struct bawn_error err = { "" };

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct world w;

        world_create(&w);
        assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", DENY_ALL), 200);
        assert_int_equal(open_again(&w, &err), BAWN_OK);
        sql(&w, changes[i]);
        assert_int_equal(open_again(&w, &err), BAWN_E_DENIED);
        world_destroy(&w);
    }
}

/* What was left is not a new database's: secrets would be released without what limited that. */
static void emptied(void **state)
{
    static const char *const tables[] = { "policy",    "reference", "revoked",        "meta",
                                          "log_entry", "log_head",  "log_checkpoint", "keyring" };
    static const char *const left[] = { "secret", "session" };
    struct guest g = guest_create();
    struct bawn_error err = { "" };

    (void)state;
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        struct world w;
        char text[64];

        world_create(&w);
        assert_int_equal(admin(&w, "blue", OWNER, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
        assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "resource-policy", DENY_ALL), 200);
        assert_int_equal(guest_attest(&w, &g, "blue"), 200);
        for (size_t k = 0; k < sizeof(tables) / sizeof(tables[0]); k++) {
            snprintf(text, sizeof(text), "DELETE FROM %s%s", tables[k],
                     strcmp(tables[k], "meta") ? "" : " WHERE key <> 'schema'");
            sql(&w, text);
        }
        snprintf(text, sizeof(text), "DELETE FROM %s", left[1 - i]);
        sql(&w, text);
        assert_int_equal(open_again(&w, &err), BAWN_E_DENIED);
        world_destroy(&w);
    }
    guest_destroy(&g);
}

/* Who has copies of a database from its first moment on, as an archive of its changes has, has no
 * key in it that would say that there are no MACs yet. */
static void from_the_start(void **state)
{
    struct bawn_error err = { "" };
    struct keyring ring = { .n = 0 };
    struct world w;
    struct db *db;
    char *path;

    (void)state;
    world_create(&w);
    assert_true(asprintf(&path, "%s.new", w.config->database) > 0);
    free(w.config->database);
    w.config->database = path;
    memcpy(ring.storage, w.v.keys.storage, sizeof(ring.storage));
    assert_int_equal(db_open(&db, path, &err), BAWN_OK);
    assert_int_equal(keyring_load(&ring, db, "ES384", 1, &err), BAWN_OK);
    assert_false(keyring_is_old(&ring));
    keyring_wipe(&ring);
    db_close(db);
    /* Stopped there, it goes on; and what was planted there, is seen. */
    assert_int_equal(open_again(&w, &err), BAWN_OK);
    assert_int_equal(open_again(&w, &err), BAWN_OK);
    world_destroy(&w);
}

/* What the database does by itself is not sealed with what an administrator does. */
static void planted_trigger(void **state)
{
    struct world w;

    (void)state;
    world_create(&w);
    sql(&w, "CREATE TRIGGER t AFTER INSERT ON reference WHEN new.value <> 'evil' BEGIN"
            " INSERT INTO reference (tenant, set_name, value, expires, source, created)"
            " VALUES ('blue', 'set', 'evil', 0, '', 1); END");
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "reference-value", "{\"set\": \"a\"}"), 200);
    assert_int_equal(admin(&w, "blue", AUTHOR, "GET", "reference-value", ""), 200);
    assert_non_null(strstr(w.text, "\"a\""));
    assert_null(strstr(w.text, "evil"));
    world_restart(&w);
    good(&w);
    world_destroy(&w);
}

/* Rows of types that no service writes: the tenant is refused, nobody stumbles. */
static void planted_types(void **state)
{
    struct world w;

    (void)state;
    world_create(&w);
    sql(&w, "ALTER TABLE policy RENAME TO before");
    sql(&w, "CREATE TABLE policy (tenant, kind, name, hash, text, author, created, active)");
    sql(&w, "INSERT INTO policy VALUES ('blue', NULL, NULL, NULL, NULL, NULL, NULL, 1)");
    refused(&w, "policies");
    sql(&w, "DROP TABLE policy");
    sql(&w, "ALTER TABLE before RENAME TO policy");
    world_restart(&w);
    good(&w);
    sql(&w, "ALTER TABLE revoked RENAME TO before");
    sql(&w, "CREATE TABLE revoked (seq, tenant, kind, value, reason, created)");
    sql(&w, "INSERT INTO revoked VALUES (99, NULL, NULL, NULL, NULL, NULL)");
    assert_int_equal(revocations_tell(&w.v, NULL), BAWN_OK);
    assert_int_equal(w.v.last_event, 99);
    world_destroy(&w);
}

/* As a version without MACs left it. */
static void make_old(struct world *w)
{
    const struct vault_key *key = keyring_current(&w->v.keys, KEY_LOG);
    uint8_t *plain = NULL, *sealed;
    int n = i2d_PrivateKey(key->pkey, &plain);
    size_t len;

    assert_true(n > 0);
    assert_int_equal(seal(w->v.keys.storage, "bawn-attestd keyring log-1", plain, (size_t)n,
                          &sealed, &len, NULL),
                     BAWN_OK);
    assert_int_equal(db_run(w->v.db, "UPDATE keyring SET sealed = $1 WHERE id = 'log-1'",
                            (struct db_value[]){ db_blob(sealed, len) }, 1, NULL, NULL, NULL, NULL),
                     BAWN_OK);
    OPENSSL_free(plain);
    free(sealed);
    sql(w, "DELETE FROM meta WHERE key LIKE 'state%'");
    sql(w, "UPDATE session SET mac = NULL");
}

static void migration(void **state)
{
    struct guest g = guest_create();
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy", ALLOW_ALL), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200);
    make_old(&w);
    world_restart(&w);
    good(&w);
    assert_int_equal(guest_resource(&w, &g, "blue", true), 401); /* it attests again */
    assert_false(w.v.keys.old);
    plant_policy(&w, "include"); /* once is enough */
    refused(&w, "policies");
    guest_destroy(&g);
    world_destroy(&w);
}

static void accepted(void **state)
{
    struct bawn_error err = { "" };
    struct world w;
    json_t *entry;

    (void)state;
    world_create(&w);
    plant_policy(&w, "attestation");
    refused(&w, "policies");
    assert_int_equal(config_read_files(w.config, ROLE_VAULT, &err), BAWN_OK);
    assert_int_equal(service_accept_state(w.config, &err), BAWN_OK);
    entry = log_entry(&w, log_count(&w) - 1);
    assert_string_equal(text_of(entry, "action"), "state.accept");
    json_decref(entry);
    world_restart(&w);
    good(&w);
    world_destroy(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_policy),   cmocka_unit_test(planted_resource_policy),
        cmocka_unit_test(taken_policy),     cmocka_unit_test(altered_rows),
        cmocka_unit_test(taken_revocation), cmocka_unit_test(forged_session),
        cmocka_unit_test(altered_text),     cmocka_unit_test(taken_marks),
        cmocka_unit_test(emptied),          cmocka_unit_test(from_the_start),
        cmocka_unit_test(planted_trigger),  cmocka_unit_test(planted_types),
        cmocka_unit_test(migration),        cmocka_unit_test(accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

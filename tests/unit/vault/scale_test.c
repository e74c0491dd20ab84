// SPDX-License-Identifier: Apache-2.0
/*
 * Many of everything: revocations, references, collateral, entries of the log. What is more than is
 * served is refused while what was before stays in force.
 */
#include "tests/unit/vault/world.h"

#include <sys/socket.h>

#include "attest/log/log.h"

/* ---- Revocations ---- */

static void hex_number(unsigned n, char out[97])
{
    snprintf(out, 97, "%096x", n);
}

static void revoke_many(struct world *w, unsigned n)
{
    char value[97];

    assert_int_equal(db_begin(w->v.db, NULL), BAWN_OK);
    for (unsigned i = 0; i < n; i++) {
        hex_number(i, value);
        assert_int_equal(
            db_run(w->v.db,
                   "INSERT INTO revoked (tenant, kind, value, reason, created)"
                   " VALUES ('blue', $1, $2, '', 1)",
                   (struct db_value[]){ db_text(i % 2 ? "measurement" : "token"), db_text(value) },
                   2, NULL, NULL, NULL, NULL),
            BAWN_OK);
    }
    assert_int_equal(db_commit(w->v.db, NULL), BAWN_OK);
}

static char *found_among(struct world *w, const char *tenant, unsigned first, unsigned n)
{
    struct bawn_error err = { "" };
    json_t *claims = json_object();
    char value[97], name[32], *found;

    for (unsigned i = 0; i < n; i++) {
        hex_number(first + 2 * i, value);
        snprintf(name, sizeof(name), "claim[%u]", i);
        json_object_set_new(claims, name, json_string(value));
    }
    assert_int_equal(find_revoked(&w->v, tenant, claims, &found, &err), BAWN_OK);
    json_decref(claims);
    return found;
}

/* One of the claims, wherever it stands, among thousands of revoked ones; tokens are no
 * measurements, and other tenants' are not this one's. */
static void revocations(void **state)
{
    struct world *w = *state;
    char right[97];

    revoke_many(w, 4000);
    for (unsigned n = 1; n < 40; n++) {
        char *found = found_among(w, "blue", 3999 - 2 * (n - 1), n); /* all of them */

        assert_non_null(found);
        free(found);
        found = found_among(w, "blue", 4001 - 2 * n, n); /* the first alone */
        hex_number(3999, right);
        if (n == 1)
            assert_string_equal(found, right);
        free(found);
        /* The last alone: 1 is the lowest that is revoked, the others are above all. */
        assert_null(found_among(w, "blue", 4001, n));
        assert_null(found_among(w, "blue", 0, n));
        assert_null(found_among(w, "red", 1, n));
    }
}

/* The n-th of 40 claims, alone. */
static void revoked_anywhere(void **state)
{
    struct world *w = *state;
    struct bawn_error err = { "" };

    revoke_many(w, 2); /* number 1 */
    for (unsigned at = 0; at < 40; at++) {
        json_t *claims = json_object();
        char value[97], name[32], *found;

        for (unsigned i = 0; i < 40; i++) {
            hex_number(i == at ? 1 : 1000 + i, value);
            snprintf(name, sizeof(name), "claim[%u]", i);
            json_object_set_new(claims, name, json_string(value));
        }
        assert_int_equal(find_revoked(&w->v, "blue", claims, &found, &err), BAWN_OK);
        hex_number(1, value);
        assert_non_null(found);
        assert_string_equal(found, value);
        free(found);
        json_decref(claims);
    }
}

/* ---- Snapshots ---- */

/* As the vault sends it and the judge's process receives it. */
static void through_a_socket(struct world *w)
{
    struct bawn_error err = { "" };
    struct ipc *from, *to;
    struct ipc_msg m;
    uint8_t *blobs;
    json_t *json;
    size_t len;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    from = ipc_create(ends[0]);
    to = ipc_create(ends[1]);
    assert_int_equal(snapshot_make(&w->v, &json, &blobs, &len, &err), BAWN_OK);
    if (ipc_send(from, IPC_SNAPSHOT, 0, json, (struct bawn_bytes){ blobs, len }, -1, &err) !=
        BAWN_OK)
        fail_msg("%s", err.msg);
    free(blobs);
    json_decref(json);
    while (!ipc_next(to, &m)) {
        assert_int_equal(ipc_flush(from, &err), BAWN_OK);
        assert_int_equal(ipc_read(to, &err), BAWN_OK);
    }
    assert_int_equal(judge_take_snapshot(w->judge, m.json, m.blob, m.blob_len, &err), BAWN_OK);
    m.blob = NULL;
    ipc_msg_clear(&m);
    ipc_destroy(from);
    ipc_destroy(to);
}

/* More than a message's JSON may have. */
static void large_state(void **state)
{
    struct world *w = *state;
    json_t *values = json_array();
    struct guest *g = &w->guest;
    char value[97], *body;

    for (unsigned i = 0; i < 50000; i++) {
        hex_number(i, value);
        json_array_append_new(values, json_string(value));
    }
    values = json_pack("{s:o}", "good", values);
    body = json_dumps(values, JSON_COMPACT);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "reference-value", body), 200);
    assert_true(strlen(body) > IPC_JSON_MAX);
    through_a_socket(w);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    free(body);
    json_decref(values);
}

static void too_large(void **state)
{
    struct world *w = *state;
    size_t len = 3900000;
    struct guest *g = &w->guest;
    char *body = malloc(len + 1), path[64];
    unsigned n = 0;

    assert_non_null(body);
    memset(body, 'x', len);
    body[len] = '\0';
    memcpy(body, "{\"nextUpdate\":\"2030-01-01T00:00:00Z\",\"x\":\"", 42);
    memcpy(body + len - 2, "\"}", 2);
    for (; n + 1 < (48u << 20) / len; n++) { /* what is served of collateral */
        snprintf(path, sizeof(path), "large/%u", n);
        assert_int_equal(
            db_run(w->v.db,
                   "INSERT INTO collateral (hash, name, data, added) VALUES ($1, $2, $3, 0)",
                   (struct db_value[]){ db_blob(&n, sizeof(n)), db_text(path), db_blob(body, len) },
                   3, NULL, NULL, NULL, NULL),
            BAWN_OK);
    }
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "collateral/last", body), 200);
    n++;
    body[100] = 'y'; /* its hash is its key */
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "collateral/more", body), 413);
    assert_int_equal(admin(w, "blue", AUDITOR, "GET", "collateral", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(w->body, "collateral")), n);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    free(body);
}

/* A character is one to the database, and six bytes to judges. */
static void escapes(void **state)
{
    json_t *sets = json_object(), *values = json_array();
    struct guest g = guest_create();
    char value[4001], *body, set[2] = "a";
    unsigned taken = 0;
    struct world w;

    (void)state;
    world_create(&w);
    memset(value, 1, 4000);
    value[4000] = '\0';
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(value, 6, "%05u", i);
        value[5] = 1;
        json_array_append_new(values, json_string(value));
    }
    for (; set[0] <= 'c'; set[0]++) {
        json_object_clear(sets);
        json_object_set(sets, set, values);
        body = json_dumps(sets, JSON_COMPACT);
        taken += admin(&w, "blue", AUTHOR, "POST", "reference-value", body) == 200;
        free(body);
    }
    assert_int_equal(taken, 2); /* 24 MB each */
    assert_int_equal(w.status, 413);
    world_restart(&w); /* judges can be given what there is */
    assert_null(vault_tenant(&w.v, "blue")->refused);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200);
    json_decref(sets);
    json_decref(values);
    guest_destroy(&g);
    world_destroy(&w);
}

/* The configuration's roots have their part of what judges can be given. */
static void roots_count(void **state)
{
    static const char values[] = "{\"set\": \"value\"}";
    struct world w;
    uint8_t *data, *before;
    size_t len;

    (void)state;
    world_create(&w);
    before = w.config->tenants[1].roots[0].data;
    len = w.config->tenants[1].roots[0].len;
    data = calloc(1, IPC_BLOB_MAX);
    assert_non_null(data);
    w.config->tenants[1].roots[0].data = data;
    w.config->tenants[1].roots[0].len = IPC_BLOB_MAX;
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "reference-value", values), 413);
    w.config->tenants[1].roots[0].data = before;
    w.config->tenants[1].roots[0].len = len;
    free(data);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "reference-value", values), 200);
    world_destroy(&w);
}

/* A state that is not what its length says is refused, and the one before stays. */
static void broken_state(void **state)
{
    struct world *w = *state;
    static const char *const texts[] = {
        "", "[]", "{\"tenants\":{}", "{\"tenants\":7}",
        "{\"tenants\":{},\"blobs\":[{\"name\":\"x\",\"len\":9}]}"
    };
    struct guest *g = &w->guest;

    for (size_t i = 0; i < COUNT(texts); i++)
        for (int longer = -1; longer < 2; longer++) {
            json_t *json = json_pack("{s:I}", "state", (json_int_t)strlen(texts[i]) + longer);
            struct bawn_error err = { "" };

            assert_int_equal(judge_take_snapshot(w->judge, json, (uint8_t *)strdup(texts[i]),
                                                 strlen(texts[i]), &err),
                             BAWN_E_FORMAT);
            json_decref(json);
        }
    assert_int_equal(guest_attest(w, g, "blue"), 200);
}

/* ---- Dry run ---- */

static const char nobody[] =
    "{\"bawn_policy\":1,\"id\":\"none\",\"version\":\"1\",\"evidence\":[\"snp\"],"
    "\"test_roots\":true,\"rules\":[{\"id\":\"x\",\"claim\":\"snp.guest_svn\",\"equals\":77,"
    "\"reason\":\"none is\"}]}";

#define ENTRIES 1000

/* It goes on between other requests, over the log as it was when it began. */
static void dry_run(void **state)
{
    struct world *w = *state;
    json_t *entry =
        json_pack("{s:s, s:s, s:s, s:s, s:b, s:{s:s}}", "type", "attest", "tenant", "blue", "kind",
                  "snp", "verdict", "trusted", "allowed", 1, "claims", "snp.guest_svn", "5");
    struct guest *g = &w->guest;
    struct reply r = { 0 };
    unsigned pieces = 1;
    json_t *body;
    uint64_t seq;

    assert_int_equal(db_begin(w->v.db, NULL), BAWN_OK);
    for (unsigned i = 0; i < ENTRIES; i++)
        assert_int_equal(log_append(w->v.db, entry, 1000, &seq, NULL), BAWN_OK);
    assert_int_equal(db_commit(w->v.db, NULL), BAWN_OK);
    w->hold = true;
    assert_int_equal(
        admin(w, "blue", AUDITOR, "POST", "attestation-policy/dry-run?last=20000", nobody), 0);
    assert_non_null(w->v.dry_run);
    assert_false(dry_run_continue(&w->v, &r));
    assert_int_equal(admin(w, "red", RED, "POST", "attestation-policy/dry-run", nobody), 503);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    while (!dry_run_continue(&w->v, &r))
        pieces++;
    assert_true(pieces >= ENTRIES / 256);
    assert_null(w->v.dry_run);
    body = json_loads(r.body, 0, NULL);
    assert_int_equal(r.status, 200);
    assert_int_equal(json_integer_value(json_object_get(body, "decisions")), ENTRIES);
    assert_int_equal(json_integer_value(json_object_get(body, "allowed_before")), ENTRIES);
    assert_int_equal(json_integer_value(json_object_get(body, "allowed_now")), 0);
    assert_int_equal(json_array_size(json_object_get(body, "changed")), ENTRIES);
    json_decref(body);
    reply_clear(&r);
    /* One that nobody waits for to the end is let go with the vault. */
    assert_int_equal(admin(w, "red", RED, "POST", "attestation-policy/dry-run", nobody), 0);
    json_decref(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(revocations),   WORLD_TEST(revoked_anywhere),  WORLD_TEST(large_state),
        WORLD_TEST(too_large),     WORLD_TEST(broken_state),      WORLD_TEST(dry_run),
        cmocka_unit_test(escapes), cmocka_unit_test(roots_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

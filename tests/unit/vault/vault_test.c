// SPDX-License-Identifier: Apache-2.0
/*
 * From a session to a secret, and every way it must not go: guests with real, signed reports
 * against the judge and the vault, over a real database.
 */
#include "tests/unit/vault/world.h"

#include <unistd.h>

#include "attest/log/log.h"

static void set_secret(struct world *w, const char *tenant, const char *identity)
{
    assert_int_equal(admin(w, tenant, identity, "POST", "/kbs/v0/resource/disk/key/1", SECRET_TEXT),
                     200);
}

static void opens(const struct world *w, const struct guest *g)
{
    uint8_t *plain = NULL;
    size_t len = 0;

    assert_int_equal(jwe_decrypt(g->key, w->body, &plain, &len, NULL), BAWN_OK);
    assert_int_equal(len, strlen(SECRET_TEXT));
    assert_memory_equal(plain, SECRET_TEXT, len);
    free(plain);
}

static void whole_way(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;
    json_t *entry, *payload, *cpu;
    struct jwt_key key;
    uint64_t n;

    set_secret(w, "blue", OWNER);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    key = (struct jwt_key){ keyring_current(&w->v.keys, KEY_TOKEN)->kid,
                            keyring_current(&w->v.keys, KEY_TOKEN)->pkey };
    assert_int_equal(
        jwt_verify(g->token, strlen(g->token), &key, 1, vault_now(&w->v), &payload, NULL), BAWN_OK);
    assert_string_equal(text_of(payload, "iss"), "https://attest.test");
    assert_string_equal(text_of(payload, "eat_profile"),
                        "tag:github.com,2024:confidential-containers/Trustee");
    cpu = json_object_get(json_object_get(payload, "submods"), "cpu0");
    assert_non_null(text_of(cpu, "ear.status"));
    cpu = json_object_get(cpu, "ear.veraison.annotated-evidence");
    cpu = json_object_get(json_object_get(cpu, "runtime_data_claims"), "tee-pubkey");
    assert_true(json_equal(cpu, g->jwk));
    json_decref(payload);
    n = log_count(w);
    entry = log_entry(w, n - 1);
    assert_string_equal(text_of(entry, "type"), "attest");
    assert_true(json_is_true(json_object_get(entry, "allowed")));
    assert_string_equal(text_of(entry, "verdict"), "trusted");
    assert_non_null(text_of(entry, "foreign_root"));
    json_decref(entry);
    assert_int_equal(guest_resource(w, g, "blue", false), 200);
    opens(w, g);
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
    opens(w, g);
    assert_int_equal(log_count(w), n + 2);
    entry = log_entry(w, n);
    assert_string_equal(text_of(entry, "type"), "release");
    assert_string_equal(text_of(entry, "resource"), "disk/key/1");
    json_decref(entry);
}

/* What was acknowledged outlives the process: keys, session, secret. */
static void restart(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;

    set_secret(w, "blue", OWNER);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    world_restart(w);
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
    opens(w, g);
}

static void replay(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;
    json_t *runtime, *body, *entry;

    guest_session(w, g, "blue", "snp");
    runtime = guest_runtime(g);
    body = guest_body(w, runtime, runtime);
    assert_int_equal(guest_send(w, "blue", g->cookie, body), 200);
    assert_int_equal(guest_send(w, "blue", g->cookie, body), 401);
    assert_true(says(w, "used before"));
    entry = log_entry(w, log_count(w) - 1);
    assert_true(json_is_false(json_object_get(entry, "allowed")));
    json_decref(entry);
    /* The session that was won stays. */
    set_secret(w, "blue", OWNER);
    assert_int_equal(guest_resource(w, g, "blue", false), 200);
    /* A nonce of one session in another. */
    guest_session(w, g, "blue", "snp");
    assert_int_equal(guest_send(w, "blue", g->cookie, body), 401);
    assert_true(says(w, "not the one that this session was given"));
    json_decref(runtime);
    json_decref(body);
}

/* A denial uses the session up as well. */
static void denied_is_used(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest, other = guest_create();
    json_t *runtime, *body, *good;

    guest_session(w, g, "blue", "snp");
    other.nonce = strdup(g->nonce);
    runtime = guest_runtime(g);
    body = guest_body(w, runtime, runtime);
    json_object_set_new(body, "runtime-data", guest_runtime(&other));
    assert_int_equal(guest_send(w, "blue", g->cookie, body), 401);
    assert_true(says(w, "another session or another key"));
    good = guest_body(w, runtime, runtime);
    assert_int_equal(guest_send(w, "blue", g->cookie, good), 401);
    assert_int_equal(guest_resource(w, g, "blue", false), 401);
    json_decref(runtime);
    json_decref(body);
    json_decref(good);
    guest_destroy(&other);
}

static void wrong_tee(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;
    json_t *runtime, *body;

    guest_session(w, g, "blue", "tdx");
    runtime = guest_runtime(g);
    body = guest_body(w, runtime, runtime);
    assert_int_equal(guest_send(w, "blue", g->cookie, body), 401);
    assert_true(says(w, "made for tdx"));
    assert_int_equal(ask(w, serve_session_new,
                         json_pack("{s:s, s:s}", "tenant", "blue", "tee", "sample"), NULL, 0),
                     401);
    json_decref(runtime);
    json_decref(body);
}

static void forged_report(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;
    json_t *runtime, *body, *evidence;
    char *text;

    guest_session(w, g, "blue", "snp");
    runtime = guest_runtime(g);
    body = guest_body(w, runtime, runtime);
    evidence = json_object_get(json_object_get(body, "tee-evidence"), "primary_evidence");
    text = strdup(text_of(evidence, "attestation_report"));
    text[4 * 0x90 / 3] ^= 1; /* in the measurement */
    json_object_set_new(evidence, "attestation_report", json_string(text));
    free(text);
    assert_int_equal(guest_send(w, "blue", g->cookie, body), 401);
    assert_int_equal(json_array_size(json_object_get(w->body, "reasons")) > 0, 1);
    json_decref(runtime);
    json_decref(body);
}

static void other_tenant(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;

    set_secret(w, "blue", OWNER);
    set_secret(w, "red", RED);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(guest_resource(w, g, "red", true), 401);
    assert_true(says(w, "another tenant"));
    assert_int_equal(guest_resource(w, g, "red", false), 401);
    assert_int_equal(guest_resource(w, g, "no", true), 404);
    /* One tenant's administrator is nobody in another. */
    assert_int_equal(admin(w, "blue", RED, "GET", "resource", NULL), 403);
    assert_int_equal(admin(w, "no", RED, "GET", "resource", NULL), 403);
}

static void expiry(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest, late = guest_create();
    json_t *runtime, *body;

    set_secret(w, "blue", OWNER);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    guest_session(w, &late, "blue", "snp");
    runtime = guest_runtime(&late);
    body = guest_body(w, runtime, runtime);
    w->v.now_ms += 301 * 1000; /* the session ends before the token */
    assert_int_equal(guest_send(w, "blue", late.cookie, body), 401);
    assert_true(says(w, "expired"));
    assert_int_equal(guest_resource(w, g, "blue", false), 401);
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
    w->v.now_ms += 300 * 1000;
    assert_int_equal(guest_resource(w, g, "blue", true), 401);
    json_decref(runtime);
    json_decref(body);
    guest_destroy(&late);
}

/* A token signed by another key, by none, or with a header that asks for another algorithm. */
static void forged_tokens(void **state)
{
    struct world *w = *state;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    struct guest *g = &w->guest, forged;
    struct jwt_key ours;
    json_t *payload;
    char *dot, *head, none[8192];

    set_secret(w, "blue", OWNER);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    ours = (struct jwt_key){ keyring_current(&w->v.keys, KEY_TOKEN)->kid,
                             keyring_current(&w->v.keys, KEY_TOKEN)->pkey };
    assert_int_equal(
        jwt_verify(g->token, strlen(g->token), &ours, 1, vault_now(&w->v), &payload, NULL),
        BAWN_OK);
    forged = *g;
    assert_int_equal(jwt_sign(key, payload, NULL, &forged.token, NULL), BAWN_OK);
    assert_int_equal(guest_resource(w, &forged, "blue", true), 401);
    free(forged.token);
    dot = strchr(g->token, '.');
    head = b64url_encode("{\"alg\":\"none\"}", 14);
    snprintf(none, sizeof(none), "%s%.*s.", head, (int)(strrchr(g->token, '.') - dot), dot);
    free(head);
    forged.token = none;
    assert_int_equal(guest_resource(w, &forged, "blue", true), 401);
    /* Keyed with the public key, as if it were a secret. */
    snprintf(none, sizeof(none), "%s", "e30.e30.e30");
    assert_int_equal(guest_resource(w, &forged, "blue", true), 401);
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
    json_decref(payload);
    EVP_PKEY_free(key);
}

static char *jti_of(struct world *w, const struct guest *g)
{
    char *jti = NULL;

    assert_int_equal(token_check(&w->v, "blue", g->token, &jti, NULL), BAWN_OK);
    return jti;
}

static void revocation(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest, h = guest_create();
    const char *measurement;
    json_t *entry;
    char body[512], *jti;

    set_secret(w, "blue", OWNER);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    jti = jti_of(w, g);
    assert_int_equal(guest_attest(w, &h, "blue"), 200);
    snprintf(body, sizeof(body), "{\"kind\":\"token\",\"value\":\"%s\",\"reason\":\"lost\"}", jti);
    free(jti);
    assert_int_equal(admin(w, "blue", OWNER, "POST", "revoked", body), 403);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "revoked", body), 200);
    assert_true(w->v.revoked);
    assert_int_equal(guest_resource(w, g, "blue", true), 401);
    assert_int_equal(guest_resource(w, g, "blue", false), 401);
    assert_int_equal(guest_resource(w, &h, "blue", true), 200);
    entry = log_entry(w, 1);
    measurement = text_of(json_object_get(entry, "claims"), "snp.measurement");
    assert_non_null(measurement);
    snprintf(body, sizeof(body), "{\"kind\":\"measurement\",\"value\":\"%s\"}", measurement);
    json_decref(entry);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "revoked", body), 200);
    assert_int_equal(guest_resource(w, &h, "blue", true), 403);
    assert_true(says(w, "revoked"));
    assert_int_equal(guest_attest(w, &h, "blue"), 401);
    assert_true(says(w, "revoked"));
    assert_int_equal(guest_attest(w, &h, "red"), 200); /* another tenant's matter */
    assert_int_equal(
        admin(w, "blue", AUTHOR, "POST", "revoked", "{\"kind\":\"measurement\",\"value\":\"00\"}"),
        400);
    guest_destroy(&h);
}

static void resources(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest, stranger = guest_create();

    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(guest_resource(w, g, "blue", true), 404);
    guest_session(w, &stranger, "blue", "snp"); /* a session without evidence */
    assert_int_equal(guest_resource(w, &stranger, "blue", false), 401);
    assert_int_equal(admin(w, "blue", OWNER, "POST", "resource/../etc/passwd", "x"), 400);
    assert_int_equal(admin(w, "blue", OWNER, "POST", "resource/a/b", "x"), 400);
    assert_int_equal(admin(w, "blue", OWNER, "POST", "resource/a/b/c/d", "x"), 400);
    set_secret(w, "blue", OWNER);
    assert_int_equal(admin(w, "blue", AUDITOR, "GET", "resource", NULL), 200);
    assert_null(strstr(w->text, SECRET_TEXT));
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
    assert_int_equal(admin(w, "blue", OWNER, "DELETE", "resource/disk/key/1", NULL), 200);
    assert_int_equal(guest_resource(w, g, "blue", true), 404);
    guest_destroy(&stranger);
}

/* A sealed row is nobody else's: not another path's, not another tenant's, not altered. */
static void sealed_rows(void **state)
{
    struct world *w = *state;
    struct bawn_error err = { "" };
    struct guest *g = &w->guest;
    struct ipc_msg m = { .fd = -1 };
    struct reply r = { 0 };

    set_secret(w, "red", RED);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(
        db_run(w->v.db, "UPDATE secret SET tenant = 'blue'", NULL, 0, NULL, NULL, NULL, NULL),
        BAWN_OK);
    m.json =
        json_pack("{s:s, s:s, s:s}", "tenant", "blue", "path", "disk/key/1", "bearer", g->token);
    assert_int_equal(serve_resource_get(&w->v, &m, &r, &err), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "not sealed with this storage key"));
    reply_clear(&r);
    ipc_msg_clear(&m);
}

static void roles(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *who, *method, *path;
        int status;
    } cases[] = {
        { AUTHOR, "POST", "/kbs/v0/resource/a/b/c", 403 },
        { AUDITOR, "POST", "/kbs/v0/resource/a/b/c", 403 },
        { OWNER, "POST", "/kbs/v0/attestation-policy", 403 },
        { AUDITOR, "POST", "/kbs/v0/attestation-policy", 403 },
        { OWNER, "POST", "/kbs/v0/reference-value", 403 },
        { OWNER, "GET", "/bawn/v1/log", 403 },
        { AUTHOR, "GET", "/bawn/v1/log", 403 },
        { AUDITOR, "GET", "/bawn/v1/log", 200 },
        { AUDITOR, "GET", "/kbs/v0/attestation-policy", 200 },
        { AUDITOR, "GET", "/kbs/v0/reference-value", 200 },
        { OWNER, "POST", "/bawn/v1/keys/rotate", 403 },
        { AUTHOR, "PATCH", "/kbs/v0/attestation-policy", 405 },
        { AUTHOR, "GET", "/kbs/v0/nothing", 404 },
        { "55", "GET", "/kbs/v0/resource", 403 },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(admin(w, "blue", cases[i].who, cases[i].method, cases[i].path, "{}"),
                         cases[i].status);
}

static const char strict[] =
    "{\"bawn_policy\":1,\"id\":\"strict\",\"version\":\"2\",\"evidence\":[\"snp\"],"
    "\"test_roots\":true,\"rules\":[{\"id\":\"known\",\"claim\":\"snp.measurement\","
    "\"in_reference\":\"good\",\"reason\":\"only guests that were released\"}]}";

static const char again[] =
    "{\"bawn_policy\":1,\"id\":\"again\",\"version\":\"3\",\"evidence\":[\"snp\"],"
    "\"test_roots\":true,\"rules\":[{\"id\":\"any\",\"claim\":\"snp.measurement\","
    "\"present\":true,\"reason\":\"r\"}]}";

static void policies(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;
    json_t *entry;
    char body[4096], hash[65];

    assert_int_equal(guest_attest(w, g, "blue"), 200);
    /* What it would have decided. */
    assert_int_equal(admin(w, "blue", AUDITOR, "POST", "attestation-policy/dry-run", strict), 200);
    assert_int_equal(json_integer_value(json_object_get(w->body, "allowed_before")), 1);
    assert_int_equal(json_integer_value(json_object_get(w->body, "allowed_now")), 0);
    assert_int_equal(json_array_size(json_object_get(w->body, "changed")), 1);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "/kbs/v0/attestation-policy", strict), 200);
    snprintf(hash, sizeof(hash), "%s", text_of(w->body, "sha256"));
    assert_int_equal(guest_attest(w, g, "blue"), 401);
    assert_true(says(w, "only guests that were released"));
    entry = log_entry(w, log_count(w) - 1);
    assert_string_equal(text_of(json_object_get(entry, "policy"), "sha256"), hash);
    snprintf(body, sizeof(body), "{\"good\":[\"%s\"]}",
             text_of(json_object_get(entry, "claims"), "snp.measurement"));
    json_decref(entry);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "/kbs/v0/reference-value", body), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(admin(w, "blue", AUTHOR, "DELETE", "/kbs/v0/reference-value/good", NULL), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 401);
    assert_int_equal(guest_attest(w, g, "red"), 200);
    /* KBS's body; what is no policy changes nothing. */
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "/kbs/v0/attestation-policy",
                           "{\"type\":\"rego\",\"policy_id\":\"default\",\"policy\":\"e30\"}"),
                     400);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "/kbs/v0/attestation-policy",
                           "{\"bawn_policy\":1,\"rules\":7}"),
                     400);
    assert_true(says(w, ":1:"));
    snprintf(body, sizeof(body), "{\"policy_id\":\"default\",\"sha256\":\"%064d\"}", 0);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "attestation-policy/activate", body), 404);
    /* Another, and the earlier one again by its hash. */
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "attestation-policy", again), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    snprintf(body, sizeof(body), "{\"policy_id\":\"default\",\"sha256\":\"%s\"}", hash);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "attestation-policy/activate", body), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 401);
    assert_int_equal(admin(w, "blue", AUDITOR, "GET", "attestation-policy/default", NULL), 200);
    assert_string_equal(w->text, strict);
}

static const char disks_only[] =
    "{\"bawn_policy\":1,\"id\":\"disks\",\"version\":\"1\",\"evidence\":[\"snp\"],"
    "\"test_roots\":true,\"rules\":[{\"id\":\"tag\",\"claim\":\"resource.tag\",\"equals\":\"2\","
    "\"reason\":\"only the second\"}]}";

static void resource_policy(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;
    char *b64, body[2048];
    json_t *entry;

    set_secret(w, "blue", OWNER);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    b64 = b64url_encode(disks_only, strlen(disks_only));
    snprintf(body, sizeof(body), "{\"policy\":\"%s\"}", b64);
    free(b64);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "/kbs/v0/resource-policy", body), 200);
    assert_int_equal(guest_resource(w, g, "blue", true), 403);
    assert_true(says(w, "only the second"));
    entry = log_entry(w, log_count(w) - 1);
    assert_string_equal(text_of(entry, "type"), "release");
    assert_true(json_is_false(json_object_get(entry, "allowed")));
    json_decref(entry);
    assert_int_equal(admin(w, "blue", OWNER, "POST", "resource/disk/key/2", SECRET_TEXT), 200);
    assert_int_equal(ask(w, serve_resource_get,
                         json_pack("{s:s, s:s, s:s}", "tenant", "blue", "path", "disk/key/2",
                                   "bearer", g->token),
                         NULL, 0),
                     200);
    opens(w, g);
}

static size_t nr_keys(struct world *w)
{
    assert_int_equal(ask(w, serve_keys, json_object(), NULL, 0), 200);
    return json_array_size(json_object_get(w->body, "keys"));
}

static void rotation(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;

    set_secret(w, "blue", OWNER);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(nr_keys(w), 1);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "keys/rotate", "{\"kind\":\"token\"}"), 200);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "keys/rotate", "{\"kind\":\"session\"}"),
                     200);
    assert_int_equal(nr_keys(w), 2);
    assert_null(strstr(w->text, "\"d\""));
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
    assert_int_equal(guest_resource(w, g, "blue", false), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
    w->v.now_ms += 601 * 1000;
    assert_int_equal(nr_keys(w), 1);
}

/* Neither log nor status nor the database has the secret, a token or a cookie. */
static void nothing_leaks(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;
    char command[256];

    set_secret(w, "blue", OWNER);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
    for (uint64_t i = 0; i < log_count(w); i++) {
        json_t *entry = log_entry(w, i);
        char *text = json_dumps(entry, 0);

        assert_null(strstr(text, SECRET_TEXT));
        assert_null(strstr(text, g->token));
        assert_null(strstr(text, g->cookie));
        free(text);
        json_decref(entry);
    }
    assert_int_equal(ask(w, serve_status, json_object(), NULL, 0), 200);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(w->body, "decisions"), "allowed")), 1);
    assert_null(strstr(w->text, SECRET_TEXT));
    assert_null(strstr(w->text, g->token));
    snprintf(command, sizeof(command), "grep -q 'correct horse' %s/db*", w->dir);
    assert_int_equal(system(command) != 0, 1);
}

static void collateral(void **state)
{
    struct world *w = *state;
    json_t *bundle;
    char *text;

    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "collateral/x", "no certificate"), 400);
    bundle = json_pack("{s:[{s:s, s:s%}, {s:s, s:s}]}", "entries", "name", "genoa/cert_chain",
                       "data", w->files[PSP_CERT_CHAIN].data, w->files[PSP_CERT_CHAIN].len, "name",
                       "bad", "data", "bad");
    text = json_dumps(bundle, 0);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "collateral", text), 400);
    free(text);
    assert_int_equal(admin(w, "blue", AUDITOR, "GET", "collateral", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(w->body, "collateral")), 0);
    json_array_remove(json_object_get(bundle, "entries"), 1);
    text = json_dumps(bundle, 0);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "collateral", text), 200);
    free(text);
    assert_int_equal(admin(w, "blue", AUDITOR, "GET", "collateral", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(w->body, "collateral")), 1);
    json_decref(bundle);
}

/* A folder of VCEKs as KBS's offline mode has it. */
static void kbs_store(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;
    struct bawn_error err = { "" };
    json_t *runtime, *body, *primary, *entry;
    char command[1024], *chip;
    FILE *f;

    for (int there = 0; there < 2; there++) {
        guest_session(w, g, "blue", "snp");
        runtime = guest_runtime(g);
        body = guest_body(w, runtime, runtime);
        primary = json_object_get(json_object_get(body, "tee-evidence"), "primary_evidence");
        json_array_remove(json_object_get(primary, "cert_chain"), 0);
        assert_int_equal(guest_send(w, "blue", g->cookie, body), there ? 200 : 401);
        json_decref(runtime);
        json_decref(body);
        if (there)
            break;
        entry = log_entry(w, 0);
        chip = strdup(text_of(json_object_get(entry, "claims"), "snp.chip_id"));
        json_decref(entry);
        snprintf(command, sizeof(command),
                 "mkdir -p %s/store/vcek/%s && openssl x509 -outform DER -out"
                 " %s/store/vcek/%s/bl02_tee00_snp06_ucode21_vcek.der",
                 w->dir, chip, w->dir, chip);
        free(chip);
        f = popen(command, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(w->files[PSP_VCEK].data, 1, w->files[PSP_VCEK].len, f),
                         w->files[PSP_VCEK].len);
        assert_int_equal(pclose(f), 0);
        assert_true(asprintf(&w->config->collateral.directory, "%s/store", w->dir) > 0);
        assert_int_equal(collateral_scan(&w->v, &err), BAWN_OK);
        world_snapshot(w);
    }
    snprintf(command, sizeof(command), "rm -rf %s/store", w->dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(whole_way),      WORLD_TEST(restart),       WORLD_TEST(replay),
        WORLD_TEST(denied_is_used), WORLD_TEST(wrong_tee),     WORLD_TEST(forged_report),
        WORLD_TEST(other_tenant),   WORLD_TEST(expiry),        WORLD_TEST(forged_tokens),
        WORLD_TEST(revocation),     WORLD_TEST(resources),     WORLD_TEST(sealed_rows),
        WORLD_TEST(roles),          WORLD_TEST(policies),      WORLD_TEST(resource_policy),
        WORLD_TEST(rotation),       WORLD_TEST(nothing_leaks), WORLD_TEST(collateral),
        WORLD_TEST(kbs_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

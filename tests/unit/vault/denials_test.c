// SPDX-License-Identifier: Apache-2.0
/* Strangers who are denied as often as they like against a log that is not to grow by that. */
#include "tests/unit/vault/world.h"

#include "attest/log/log.h"

static int deny(struct world *w, const char *tenant, const char *client)
{
    struct guest g = guest_create();

    guest_session(w, &g, tenant, "snp");
    ask(w, serve_decide,
        json_pack("{s:s, s:s, s:s, s:s, s:O, s:b, s:[s], s:s?}", "tenant", tenant, "cookie",
                  g.cookie, "tee", "snp", "nonce", g.nonce, "tee_pubkey", g.jwk, "allowed", 0,
                  "reasons", "not today", "client", client),
        NULL, 0);
    guest_destroy(&g);
    return w->status;
}

static void deny_often(struct world *w, unsigned n, const char *tenant, const char *client)
{
    while (n--) {
        assert_int_equal(deny(w, tenant, client), 401);
        assert_true(says(w, "not today"));
    }
}

static void create(struct world *w, unsigned most, unsigned of_client)
{
    world_create(w);
    w->config->log.denials = most;
    w->config->log.denials_per_client = of_client;
}

static json_int_t number(const json_t *entry, const char *name)
{
    return json_integer_value(json_object_get(entry, name));
}

static void of_one_client(void **state)
{
    struct guest g = guest_create();
    json_t *entry;
    struct world w;
    uint64_t n;

    (void)state;
    create(&w, 100, 3);
    n = log_count(&w);
    deny_often(&w, 10, "blue", "192.0.2.1");
    assert_int_equal(log_count(&w), n + 3);
    deny_often(&w, 1, "blue", "192.0.2.2"); /* another's are his own */
    assert_int_equal(log_count(&w), n + 4);
    entry = log_entry(&w, n + 3);
    assert_string_equal(text_of(entry, "client"), "192.0.2.2");
    json_decref(entry);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200); /* what is allowed is always there */
    assert_int_equal(log_count(&w), n + 5);
    assert_int_equal(w.v.count.denied, 11);
    assert_int_equal(w.v.count.summed, 7);
    /* Not before the minute is over; then once. */
    assert_int_equal(denials_sum_up(&w.v, false, NULL), BAWN_OK);
    assert_int_equal(log_count(&w), n + 5);
    w.v.mono_ms += 60000;
    assert_int_equal(denials_sum_up(&w.v, false, NULL), BAWN_OK);
    assert_int_equal(denials_sum_up(&w.v, false, NULL), BAWN_OK);
    assert_int_equal(log_count(&w), n + 6);
    entry = log_entry(&w, n + 5);
    assert_string_equal(text_of(entry, "type"), "denials");
    assert_string_equal(text_of(entry, "tenant"), "blue");
    assert_string_equal(text_of(entry, "what"), "attest");
    assert_string_equal(text_of(entry, "client"), "192.0.2.1");
    assert_string_equal(text_of(entry, "example"), "not today");
    assert_int_equal(number(entry, "more"), 7);
    assert_true(number(entry, "from") && number(entry, "to") >= number(entry, "from"));
    json_decref(entry);
    deny_often(&w, 4, "blue", "192.0.2.1"); /* a minute of its own */
    assert_int_equal(log_count(&w), n + 9);
    guest_destroy(&g);
    world_destroy(&w);
}

/* From everywhere at once: a tenant's limit, other tenants have theirs, and the sums are bounded,
 * too. */
static void of_many_clients(void **state)
{
    json_int_t more = 0;
    char client[32];
    struct world w;
    uint64_t n;

    (void)state;
    create(&w, 5, 2);
    n = log_count(&w);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(client, sizeof(client), "2001:db8:%x::/64", i);
        deny_often(&w, 1, "blue", client);
    }
    assert_int_equal(log_count(&w), n + 5);
    deny_often(&w, 1, "red", client);
    deny_often(&w, 1, "red", NULL);
    assert_int_equal(log_count(&w), n + 7);
    assert_int_equal(denials_sum_up(&w.v, true, NULL), BAWN_OK);
    assert_in_range(log_count(&w), n + 8, n + 7 + 257);
    for (uint64_t i = n + 7; i < log_count(&w); i++) {
        json_t *entry = log_entry(&w, i);

        more += number(entry, "more");
        assert_string_equal(text_of(entry, "tenant"), "blue");
        json_decref(entry);
    }
    assert_int_equal(more, 295);
    world_destroy(&w);
}

/* Guests that are attested and ask for what their policy does not allow. */
static void of_resources(void **state)
{
    static const char none[] =
        "{\"bawn_policy\": 1, \"id\": \"none\", \"version\": \"1\", \"evidence\": [\"snp\"],"
        " \"test_roots\": true, \"rules\": [{\"id\": \"r\", \"claim\": \"snp.policy.debug\","
        " \"equals\": true, \"reason\": \"nobody today\"}]}";
    struct guest g = guest_create();
    struct world w;
    json_t *entry;
    uint64_t n;

    (void)state;
    create(&w, 100, 2);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "resource-policy", none), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200);
    n = log_count(&w);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(guest_resource(&w, &g, "blue", true), 403);
    assert_int_equal(log_count(&w), n + 2);
    assert_int_equal(denials_sum_up(&w.v, true, NULL), BAWN_OK);
    entry = log_entry(&w, n + 2);
    assert_string_equal(text_of(entry, "what"), "release");
    assert_non_null(strstr(text_of(entry, "example"), "nobody today"));
    assert_int_equal(number(entry, "more"), 3);
    json_decref(entry);
    guest_destroy(&g);
    world_destroy(&w);
}

/* A reason that no entry has room for: the sums are written all the same, those of others too. */
static void long_reason(void **state)
{
    struct guest g = guest_create();
    char *reason = malloc(LOG_ENTRY_MAX + 3);
    json_t *entry;
    struct world w;
    uint64_t n;

    (void)state;
    assert_non_null(reason);
    for (size_t i = 0; i < LOG_ENTRY_MAX + 2; i += 2)
        memcpy(reason + i, "\xc3\xa9", 3);
    create(&w, 100, 1);
    n = log_count(&w);
    for (unsigned i = 0; i < 3; i++) {
        guest_session(&w, &g, "blue", "snp");
        ask(&w, serve_decide,
            json_pack("{s:s, s:s, s:s, s:s, s:O, s:b, s:[s], s:s}", "tenant", "blue", "cookie",
                      g.cookie, "tee", "snp", "nonce", g.nonce, "tee_pubkey", g.jwk, "allowed", 0,
                      "reasons", reason, "client", "192.0.2.1"),
            NULL, 0);
    }
    deny_often(&w, 3, "red", "192.0.2.1");
    assert_int_equal(log_count(&w), n + 1);
    assert_int_equal(denials_sum_up(&w.v, true, NULL), BAWN_OK);
    assert_int_equal(log_count(&w), n + 3);
    entry = log_entry(&w, n + 1);
    assert_string_equal(text_of(entry, "tenant"), "blue");
    assert_int_equal(number(entry, "more"), 2);
    assert_memory_equal(text_of(entry, "example"), reason, 100);
    json_decref(entry);
    free(reason);
    guest_destroy(&g);
    world_destroy(&w);
}

static void without_limit(void **state)
{
    struct world w;
    uint64_t n;

    (void)state;
    create(&w, 0, 2);
    n = log_count(&w);
    deny_often(&w, 30, "blue", "192.0.2.1");
    assert_int_equal(log_count(&w), n + 30);
    assert_int_equal(denials_sum_up(&w.v, true, NULL), BAWN_OK);
    assert_int_equal(log_count(&w), n + 30);
    world_destroy(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_one_client), cmocka_unit_test(of_many_clients),
        cmocka_unit_test(of_resources),  cmocka_unit_test(long_reason),
        cmocka_unit_test(without_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

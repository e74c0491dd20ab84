// SPDX-License-Identifier: Apache-2.0
/*
 * Attacks on judge and vault by guests and by tenants' administrators: one tenant's data does not
 * close the service to others, and what is not known to be allowed is denied.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "attest/service/judge/claims.h"
#include "tests/unit/vault/world.h"

#define OF_SNP "{\"bawn_policy\":1,\"version\":\"1\",\"evidence\":[\"snp\"],\"test_roots\":true,"

/* What a policy includes is changed under it: the policy's pin does not hold any longer. */
static void changed_include(void **state)
{
    struct world *w = *state;
    static const char *const texts[] = {
        OF_SNP "\"id\":\"base\",\"rules\":[{\"id\":\"b\",\"claim\":\"snp.vmpl\",\"equals\":0,"
               "\"reason\":\"b\"}]}",
        OF_SNP "\"id\":\"base\",\"rules\":[{\"id\":\"b\",\"claim\":\"snp.vmpl\",\"present\":true,"
               "\"reason\":\"b\"}]}",
    };
    struct guest *g = &w->guest, other = guest_create();
    char body[1024];

    assert_int_equal(admin(w, "blue", OWNER, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    assert_int_equal(admin(w, "red", RED, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(guest_attest(w, &other, "red"), 200);
    assert_int_equal(
        admin(w, "blue", AUTHOR, "POST", "attestation-policy/base?include=1", texts[0]), 200);
    snprintf(body, sizeof(body),
             OF_SNP "\"id\":\"r\",\"include\":[{\"name\":\"base\",\"sha256\":\"%s\"}],"
                    "\"rules\":[]}",
             text_of(w->body, "sha256"));
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "resource-policy", body), 200);
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
    assert_int_equal(
        admin(w, "blue", AUTHOR, "POST", "attestation-policy/base?include=1", texts[1]), 200);
    assert_int_equal(guest_resource(w, g, "blue", true), 403);
    assert_true(says(w, "cannot be used"));
    assert_int_equal(guest_resource(w, &other, "red", true), 200);
    world_restart(w);
    assert_int_equal(guest_resource(w, g, "blue", true), 403);
    assert_int_equal(guest_resource(w, &other, "red", true), 200);
    guest_destroy(&other);
}

/* Two policies, and nothing says which of them is meant. */
static void which_policy(void **state)
{
    struct world *w = *state;
    static const char *const texts[] = {
        OF_SNP "\"id\":\"no\",\"rules\":[{\"id\":\"n\",\"claim\":\"snp.vmpl\",\"equals\":3,"
               "\"reason\":\"no\"}]}",
        OF_SNP "\"id\":\"neither\",\"rules\":[{\"id\":\"n\",\"claim\":\"snp.vmpl\",\"equals\":2,"
               "\"reason\":\"no\"}]}",
    };
    struct guest *g = &w->guest;

    assert_int_equal(admin(w, "blue", OWNER, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "resource-policy/one", texts[0]), 200);
    assert_int_equal(guest_resource(w, g, "blue", true), 403);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "resource-policy/two", texts[1]), 200);
    assert_int_equal(guest_resource(w, g, "blue", true), 403);
    /* The configuration's policy does not come back either. */
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "attestation-policy/one", texts[0]), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 401);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "attestation-policy/two", texts[1]), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 401);
    assert_int_equal(guest_attest(w, g, "red"), 200);
}

static void empty_reference(void **state)
{
    struct world *w = *state;

    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "reference-value", "{\"good\":\"\"}"), 400);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "reference-value", "{\"\":\"00\"}"), 400);
    world_restart(w);
}

static int attest_bare(struct world *w, const char *tenant)
{
    struct guest g = guest_create();
    json_t *runtime, *body;

    guest_session(w, &g, tenant, "snp");
    runtime = guest_runtime(&g);
    body = guest_body(w, runtime, runtime);
    json_object_del(json_object_get(json_object_get(body, "tee-evidence"), "primary_evidence"),
                    "cert_chain");
    guest_send(w, tenant, g.cookie, body);
    json_decref(runtime);
    json_decref(body);
    guest_destroy(&g);
    return w->status;
}

/* One tenant's certificates and CRLs say nothing about another's guests, nor go under his names. */
static void others_collateral(void **state)
{
    struct world *w = *state;
    char *vcek, *chain;
    json_t *items;

    vcek = strndup((char *)w->files[PSP_VCEK].data, w->files[PSP_VCEK].len);
    chain = strndup((char *)w->files[PSP_CERT_CHAIN].data, w->files[PSP_CERT_CHAIN].len);
    assert_int_equal(attest_bare(w, "blue"), 401);
    assert_int_equal(admin(w, "red", RED, "POST", "collateral/a", vcek), 200);
    assert_int_equal(admin(w, "red", RED, "POST", "collateral/b", chain), 200);
    assert_int_equal(attest_bare(w, "red"), 200);
    assert_int_equal(attest_bare(w, "blue"), 401);
    assert_int_equal(admin(w, "blue", AUDITOR, "GET", "collateral", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(w->body, "collateral")), 0);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "collateral/a", vcek), 200);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "collateral/b", chain), 200);
    assert_int_equal(attest_bare(w, "blue"), 200);
    assert_int_equal(admin(w, "blue", AUTHOR, "POST", "collateral/a", chain), 200);
    assert_int_equal(admin(w, "blue", AUDITOR, "GET", "collateral", NULL), 200);
    items = json_object_get(w->body, "collateral");
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(text_of(json_array_get(items, 0), "name"), "a");
    assert_int_equal(attest_bare(w, "blue"), 401);
    assert_int_equal(attest_bare(w, "red"), 200);
    free(vcek);
    free(chain);
}

static void rotations(void **state)
{
    struct world *w = *state;
    struct guest *g = &w->guest;
    int status = 200, n = 0;

    assert_int_equal(admin(w, "blue", OWNER, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    for (; n < 70 && status == 200; n++)
        status = admin(w, "red", RED, "POST", "keys/rotate", "");
    assert_int_equal(status, 429);
    assert_int_equal(guest_resource(w, g, "blue", true), 200);
}

/* A claim that is too long to be kept must not look absent to a resource policy. */
static void long_claim(void **state)
{
    char *text = malloc(20001);
    struct bawn_claim claims[] = {
        { .name = "a.long", .kind = BAWN_CLAIM_TEXT, .index = -1, .text = text },
        { .name = "a.bytes",
          .kind = BAWN_CLAIM_BYTES,
          .index = 0,
          .bytes = { (uint8_t *)text, 20000 } },
        { .name = "a.no_text", .kind = BAWN_CLAIM_TEXT, .index = -1, .text = "\xff" },
    };
    struct claim_set set;
    json_t *json, *kinds;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', 20000);
    text[20000] = '\0';
    json = claims_write(claims, 3, &kinds);
    assert_int_equal(claims_read(&set, json, kinds, NULL, NULL), BAWN_OK);
    assert_int_equal(set.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(set.claims[i].name, claims[i].name);
        assert_int_equal(set.claims[i].index, claims[i].index);
        assert_int_equal(set.claims[i].kind, BAWN_CLAIM_TEXT);
        assert_non_null(strstr(set.claims[i].text, "left out"));
    }
    claims_clear(&set);
    json_decref(json);
    json_decref(kinds);
    free(text);
}

/* ---- Over sockets, as the processes are connected ---- */

/* The other ends of the vault's connections. */
struct peers {
    struct ipc *control, *front, *admin, *judge;
};

static struct ipc *connect_one(struct ipc **vault)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    *vault = ipc_create(fds[0]);
    return ipc_create(fds[1]);
}

static struct peers connect_all(struct world *w)
{
    return (struct peers){ connect_one(&w->v.control), connect_one(&w->v.front),
                           connect_one(&w->v.admin), connect_one(&w->v.judges[0].ipc) };
}

static void disconnect(struct peers *p)
{
    ipc_destroy(p->control);
    ipc_destroy(p->front);
    ipc_destroy(p->admin);
    ipc_destroy(p->judge);
}

static void send_to(struct world *w, struct ipc *from, enum ipc_op op, uint64_t id, json_t *json)
{
    struct bawn_error err = { "" };
    bool stop = false;

    assert_int_equal(ipc_send(from, op, id, json, (struct bawn_bytes){ 0 }, -1, &err), BAWN_OK);
    assert_int_equal(ipc_flush(from, &err), BAWN_OK);
    json_decref(json);
    if (vault_turn(&w->v, &stop, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
}

/* The status of the answer that came there; 0: none. */
static json_int_t answer(struct ipc *ipc, uint64_t id)
{
    struct bawn_error err = { "" };
    json_int_t status = 0;
    struct ipc_msg m;

    assert_int_equal(ipc_read(ipc, &err), BAWN_OK);
    while (ipc_next(ipc, &m)) {
        if (m.op == IPC_REPLY && m.id == id)
            status = json_integer_value(json_object_get(m.json, "status"));
        ipc_msg_clear(&m);
    }
    return status;
}

/* A front that was taken over gives its request the number of an administrator's. */
static void borrowed_id(void **state)
{
    struct world *w = *state;
    const uint64_t id = (uint64_t)2 << 56 | 7;
    struct peers p;

    p = connect_all(w);
    send_to(w, p.judge, IPC_DECIDE, id,
            json_pack("{s:s, s:s, s:b}", "tenant", "blue", "cookie", "none", "allowed", 1));
    assert_int_equal(answer(p.admin, id), 0);
    assert_int_equal(answer(p.front, id), 401);
    disconnect(&p);
}

/* A secret that is stored, but whose JWE no message can carry. */
static void large_answer(void **state)
{
    struct world *w = *state;
    const size_t len = 50u << 20;
    struct guest *g = &w->guest;
    char *secret = malloc(len);
    struct peers p;

    assert_non_null(secret);
    memset(secret, 's', len);
    assert_int_equal(ask(w, serve_admin,
                         json_pack("{s:s, s:s, s:s, s:s, s:s}", "tenant", "blue", "method", "POST",
                                   "path", "resource/disk/key/1", "query", "", "identity", OWNER),
                         secret, len),
                     200);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    p = connect_all(w);
    send_to(
        w, p.front, IPC_RESOURCE_GET, 9,
        json_pack("{s:s, s:s, s:s}", "tenant", "blue", "path", "disk/key/1", "bearer", g->token));
    assert_int_equal(answer(p.front, 9), 500);
    send_to(
        w, p.front, IPC_RESOURCE_GET, 10,
        json_pack("{s:s, s:s, s:s}", "tenant", "blue", "path", "disk/key/2", "bearer", g->token));
    assert_int_equal(answer(p.front, 10), 404);
    disconnect(&p);
    free(secret);
}

/* A front that asks and does not read does not fill the vault's memory. */
static void unread_answers(void **state)
{
    struct world *w = *state;
    const size_t len = 33u << 20;
    struct guest *g = &w->guest;
    char *secret = calloc(1, len);
    struct peers p;

    assert_non_null(secret);
    assert_int_equal(ask(w, serve_admin,
                         json_pack("{s:s, s:s, s:s, s:s, s:s}", "tenant", "blue", "method", "POST",
                                   "path", "resource/disk/key/1", "query", "", "identity", OWNER),
                         secret, len),
                     200);
    assert_int_equal(guest_attest(w, g, "blue"), 200);
    p = connect_all(w);
    for (uint64_t id = 1; id <= 3; id++)
        send_to(w, p.front, IPC_RESOURCE_GET, id,
                json_pack("{s:s, s:s, s:s}", "tenant", "blue", "path", "disk/key/1", "bearer",
                          g->token));
    assert_true(ipc_queued(w->v.front) > 64u << 20);
    assert_true(ipc_queued(w->v.front) < 100u << 20);
    disconnect(&p);
    free(secret);
}

/* Evidence with endorsements that are wrong by the thousand. */
static void many_findings(void **state)
{
    struct world *w = *state;
    static const char block[] = "-----BEGIN A-----\n-----END A-----\n";
    const size_t n = 10000, len = sizeof(block) - 1;
    struct guest *g = &w->guest;
    char *text = malloc(n * len + 1), *entry;
    json_t *runtime, *body, *logged;

    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * len, block, len + 1);
    guest_session(w, g, "blue", "snp");
    runtime = guest_runtime(g);
    body = guest_body(w, runtime, runtime);
    json_object_set_new(json_object_get(json_object_get(body, "tee-evidence"), "primary_evidence"),
                        "collateral", json_string(text));
    assert_int_equal(guest_send(w, "blue", g->cookie, body), 200);
    logged = log_entry(w, log_count(w) - 1);
    entry = json_dumps(logged, JSON_COMPACT);
    assert_non_null(strstr(entry, "more findings are left out"));
    assert_true(strlen(entry) < 128 << 10);
    free(entry);
    json_decref(logged);
    json_decref(runtime);
    json_decref(body);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(changed_include),   WORLD_TEST(which_policy),     WORLD_TEST(empty_reference),
        WORLD_TEST(others_collateral), cmocka_unit_test(long_claim), WORLD_TEST(rotations),
        WORLD_TEST(borrowed_id),       WORLD_TEST(large_answer),     WORLD_TEST(unread_answers),
        WORLD_TEST(many_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* See the header. */
#include "tests/unit/vault/world.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attest/log/log.h"
#include "tests/unit/temporary.h"

/* Sanitizers live in memory that the filter would not let them have; attestd's own tests are under
 * it. */
enum bawn_status service_confine(const struct service_config *config, enum service_role role,
                                 struct bawn_error *err)
{
    (void)config, (void)role, (void)err;
    return BAWN_OK;
}

/* ---- Files ---- */

/* Behind what is there. */
static void put(const struct world *w, const char *name, const void *data, size_t len)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", w->dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static const char policy[] =
    "{\"bawn_policy\": 1, \"id\": \"test\", \"version\": \"1\", \"evidence\": [\"snp\"],"
    " \"test_roots\": true, \"rules\": [{\"id\": \"debug\", \"claim\": \"snp.policy.debug\","
    " \"equals\": false, \"reason\": \"a host could read it\"}]}";

static const char config[] =
    "{\"listen\": [\"tcp:127.0.0.1:1\"], \"tls\": {\"certificate\": \"no\", \"key\": \"no\"},"
    " \"database\": \"sqlite:db\", \"keys\": {\"storage\": {\"file\": \"key\"}},"
    " \"token\": {\"issuer\": \"https://attest.test\", \"lifetime\": 600, \"algorithm\":"
    " \"ES384\"}, \"session\": {\"lifetime\": 300}, \"log\": {\"origin\": \"attest.test/log\"},"
    " \"tenants\": {\"blue\": {\"policy\": \"policy.json\", \"roots\": [\"ark.pem\"],"
    " \"test_roots\": true, \"admins\": ["
    "{\"name\": \"author\", \"certificate\": \"" AUTHOR "\", \"roles\": [\"policy\"]},"
    "{\"name\": \"owner\", \"certificate\": \"" OWNER "\", \"roles\": [\"secrets\"]},"
    "{\"name\": \"auditor\", \"certificate\": \"" AUDITOR "\", \"roles\": [\"auditor\"]}]},"
    " \"red\": {\"policy\": \"policy.json\", \"roots\": [\"ark.pem\"], \"test_roots\": true,"
    " \"admins\": [{\"name\": \"red\", \"certificate\": \"" RED "\", \"roles\": [\"policy\","
    " \"secrets\", \"auditor\"]}]}}}";

static void open_vault(struct world *w)
{
    struct bawn_error err = { "" };
    char path[128];

    snprintf(path, sizeof(path), "%s/attestd.json", w->dir);
    if (config_parse(&w->config, path, config, strlen(config), &err) != BAWN_OK ||
        config_read_files(w->config, ROLE_VAULT, &err) != BAWN_OK ||
        vault_open(&w->v, w->config, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
}

void world_snapshot(struct world *w)
{
    struct bawn_error err = { "" };
    uint8_t *blobs;
    json_t *json;
    size_t len;

    if (snapshot_make(&w->v, &json, &blobs, &len, &err) != BAWN_OK ||
        judge_take_snapshot(w->judge, json, blobs, len, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    json_decref(json);
}

void world_create(struct world *w)
{
    world_create_for(w, NULL);
}

void world_create_for(struct world *w, const uint8_t host_data[32])
{
    struct bawn_error err = { "" };
    struct psp_identity *identity = rig_identity(PSP_GENOA);
    struct psp_blob ark;

    memset(w, 0, sizeof(*w));
    assert_non_null(mkdtemp(temporary(w->dir, sizeof(w->dir), "vault")));
    assert_int_equal(psp_identity_export(identity, PSP_ARK, &ark, &err), BAWN_OK);
    psp_identity_destroy(identity);
    put(w, "ark.pem", ark.data, ark.len);
    psp_blob_free(&ark);
    put(w, "key", "0123456789abcdef0123456789abcdef", 32);
    put(w, "policy.json", policy, strlen(policy));
    rig_create(&w->rig, PSP_GENOA, NULL);
    if (host_data)
        memcpy(w->rig.host_data, host_data, sizeof(w->rig.host_data));
    rig_init(&w->rig);
    rig_launch(&w->rig, GCTX, 1);
    driver_create(&w->driver, &w->rig, GCTX, 0);
    assert_int_equal(psp_endorse(w->rig.psp, time(NULL), w->files, &err), BAWN_OK);
    w->judge = judge_create();
    assert_non_null(w->judge);
    open_vault(w);
    world_snapshot(w);
}

void world_restart(struct world *w)
{
    vault_close(&w->v);
    config_destroy(w->config);
    open_vault(w);
    world_snapshot(w);
}

void world_trust(struct world *w, struct bawn_bytes root)
{
    put(w, "ark.pem", root.data, root.len);
    world_restart(w);
}

static void forget_answer(struct world *w)
{
    free(w->cookie);
    free(w->text);
    json_decref(w->body);
    w->cookie = w->text = NULL;
    w->body = NULL;
}

void world_destroy(struct world *w)
{
    struct dirent *e;
    DIR *dir;

    forget_answer(w);
    vault_close(&w->v);
    config_destroy(w->config);
    judge_destroy(w->judge);
    for (unsigned i = 0; i < PSP_ENDORSEMENTS; i++)
        psp_blob_free(&w->files[i]);
    rig_destroy(&w->rig);
    dir = opendir(w->dir);
    while (dir && (e = readdir(dir)))
        if (e->d_name[0] != '.')
            unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(w->dir);
}

/* ---- Requests ---- */

int ask(struct world *w, request_fn *serve, json_t *json, const void *body, size_t len)
{
    struct ipc_msg m = { .json = json, .fd = -1 };
    struct bawn_error err = { "" };
    struct reply r = { 0 };
    enum bawn_status st;

    m.blob = malloc(len + 1);
    memcpy(m.blob, body ? body : "", len);
    m.blob_len = len;
    assert_int_equal(db_begin(w->v.db, &err), BAWN_OK);
    assert_int_equal(db_mark(w->v.db, &err), BAWN_OK);
    st = serve(&w->v, &m, &r, &err);
    assert_int_equal(db_unmark(w->v.db, st != BAWN_OK || r.undo, NULL), BAWN_OK);
    assert_int_equal(db_commit(w->v.db, &err), BAWN_OK);
    if (st != BAWN_OK && st != BAWN_E_DENIED && st != BAWN_E_CONFIG)
        fail_msg("%s", err.msg);
    while (st == BAWN_OK && r.later && !w->hold)
        dry_run_continue(&w->v, &r);
    forget_answer(w);
    w->status = st == BAWN_OK ? r.status : st == BAWN_E_DENIED ? 404 : 413;
    w->cookie = r.cookie ? strdup(r.cookie) : NULL;
    w->text = r.body ? strdup(r.body) : NULL;
    w->body = r.body ? json_loads(r.body, 0, NULL) : NULL;
    reply_clear(&r);
    ipc_msg_clear(&m);
    if (w->v.changed) {
        w->v.changed = false;
        assert_int_equal(vault_load_tenants(&w->v, &err), BAWN_OK);
        world_snapshot(w);
    }
    return w->status;
}

int admin(struct world *w, const char *tenant, const char *identity, const char *method,
          const char *path, const char *body)
{
    const char *query = strchr(path, '?');
    json_t *json =
        json_pack("{s:s, s:s, s:s%, s:s, s:s, s:s}", "tenant", tenant, "method", method, "path",
                  path, query ? (size_t)(query - path) : strlen(path), "query",
                  query ? query + 1 : "", "identity", identity, "type", "application/json");

    return ask(w, serve_admin, json, body, body ? strlen(body) : 0);
}

/* ---- Guests ---- */

struct guest guest_create(void)
{
    struct guest g = { .key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256") };

    assert_non_null(g.key);
    g.jwk = jwk_from(g.key, "ECDH-ES+A256KW", NULL);
    assert_non_null(g.jwk);
    return g;
}

void guest_destroy(struct guest *g)
{
    EVP_PKEY_free(g->key);
    json_decref(g->jwk);
    free(g->cookie);
    free(g->nonce);
    free(g->token);
}

void guest_session(struct world *w, struct guest *g, const char *tenant, const char *tee)
{
    free(g->cookie);
    free(g->nonce);
    assert_int_equal(ask(w, serve_session_new,
                         json_pack("{s:s, s:s, s:[]}", "tenant", tenant, "tee", tee, "hashes"),
                         NULL, 0),
                     200);
    g->cookie = strdup(w->cookie);
    g->nonce = strdup(text_of(w->body, "nonce"));
}

json_t *guest_runtime(const struct guest *g)
{
    return json_pack("{s:s, s:O}", "nonce", g->nonce, "tee-pubkey", g->jwk);
}

void guest_hash(const json_t *bound, const EVP_MD *md, uint8_t data[64])
{
    char *text;
    size_t len;

    memset(data, 0, 64);
    assert_int_equal(json_canonical(bound, &text, &len, NULL), BAWN_OK);
    assert_int_equal(EVP_Digest(text, len, data, NULL, md, NULL), 1);
    free(text);
}

void guest_report(struct world *w, const uint8_t data[64], struct bawn_snp_report *report)
{
    struct bawn_psp_report_req in = { .vmpl = 0 };
    struct bawn_psp_report_rsp rsp;
    uint8_t out[BAWN_PSP_MSG_MAX];
    size_t len;

    memcpy(in.report_data, data, sizeof(in.report_data));
    len = driver_ask(&w->driver, BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in), out);
    assert_int_equal(len, sizeof(rsp) + sizeof(*report));
    memcpy(report, out + sizeof(rsp), sizeof(*report));
}

json_t *guest_body(struct world *w, const json_t *runtime, const json_t *bound)
{
    struct bawn_snp_report report;
    char text[2 * sizeof(report)];
    uint8_t data[64];
    json_t *chain;

    guest_hash(bound, EVP_sha384(), data);
    guest_report(w, data, &report);
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)&report, sizeof(report));
    chain = json_pack("[s%, s%]", w->files[PSP_VCEK].data, w->files[PSP_VCEK].len,
                      w->files[PSP_CERT_CHAIN].data, w->files[PSP_CERT_CHAIN].len);
    assert_non_null(chain);
    return json_pack("{s:O, s:{s:{s:s, s:o}, s:s}}", "runtime-data", runtime, "tee-evidence",
                     "primary_evidence", "attestation_report", text, "cert_chain", chain,
                     "additional_evidence", "{}");
}

int guest_send(struct world *w, const char *tenant, const char *cookie, const json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    struct bawn_error err = { "" };
    json_t *decision = NULL;
    enum bawn_status st =
        judge_body(w->judge, tenant, cookie, (struct bawn_bytes){ (uint8_t *)text, strlen(text) },
                   vault_now(&w->v), &decision, &err);

    free(text);
    if (st != BAWN_OK)
        fail_msg("%s", err.msg);
    return ask(w, serve_decide, decision, NULL, 0);
}

int guest_attest(struct world *w, struct guest *g, const char *tenant)
{
    json_t *runtime, *body;

    guest_session(w, g, tenant, "snp");
    runtime = guest_runtime(g);
    body = guest_body(w, runtime, runtime);
    guest_send(w, tenant, g->cookie, body);
    json_decref(runtime);
    json_decref(body);
    free(g->token);
    g->token = w->status == 200 ? strdup(text_of(w->body, "token")) : NULL;
    return w->status;
}

int guest_resource(struct world *w, const struct guest *g, const char *tenant, bool by_token)
{
    return ask(w, serve_resource_get,
               json_pack("{s:s, s:s, s:s}", "tenant", tenant, "path", "disk/key/1",
                         by_token ? "bearer" : "cookie", by_token ? g->token : g->cookie),
               NULL, 0);
}

/* ---- What came of it ---- */

bool says(const struct world *w, const char *text)
{
    json_t *reasons = json_object_get(w->body, "reasons"), *reason;
    const char *detail = text_of(w->body, "detail");
    size_t i;

    json_array_foreach(reasons, i, reason)
    {
        if (strstr(json_string_value(reason), text))
            return true;
    }
    if (detail && strstr(detail, text))
        return true;
    print_message("not said: %s; but: %s\n", text, w->text);
    return false;
}

static bool take_entry(void *context, uint64_t seq, struct bawn_bytes text)
{
    (void)seq;
    *(json_t **)context = json_loadb((const char *)text.data, text.len, 0, NULL);
    return false;
}

json_t *log_entry(struct world *w, uint64_t seq)
{
    json_t *entry = NULL;

    assert_int_equal(log_read(w->v.db, seq, seq + 1, take_entry, &entry, NULL), BAWN_OK);
    return entry;
}

uint64_t log_count(struct world *w)
{
    uint64_t size;

    assert_int_equal(log_size(w->v.db, &size, NULL), BAWN_OK);
    return size;
}

int world_begin(void **state)
{
    struct world *w = malloc(sizeof(*w));

    assert_non_null(w);
    world_create(w);
    w->guest = guest_create();
    *state = w;
    return 0;
}

int world_end(void **state)
{
    struct world *w = *state;

    guest_destroy(&w->guest);
    world_destroy(w);
    free(w);
    return 0;
}

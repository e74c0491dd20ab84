// SPDX-License-Identifier: Apache-2.0
/*
 * Snapshots for judges, and what memory keeps of the database: compiled resource policies and
 * references. The database's serial number says when they are out of date.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "attest/service/vault/vault.h"

/* ---- The serial number ---- */

static bool take_number(void *context, const struct db_value *c, int n)
{
    if (n == 1 && c[0].type == DB_TEXT)
        *(int64_t *)context = strtoll((const char *)c[0].bytes.data, NULL, 10);
    return false;
}

enum bawn_status serial_read(struct vault *v, int64_t *serial, struct bawn_error *err)
{
    *serial = 0;
    return db_run(v->db, "SELECT value FROM meta WHERE key = 'serial'", NULL, 0, take_number,
                  serial, NULL, err);
}

/* What one tenant may have in the judges' snapshots, in bytes or nearly, and all by collateral. */
#define TENANT_MAX (16u << 20)
#define TENANT_COLLATERAL_MAX (16u << 20)
#define TENANT_ITEMS_MAX 1024 /* judges look at each of them at each verification */
#define TENANT_CHIPS_MAX 8192 /* "vcek/...": at those of one chip */
#define COLLATERAL_MAX (48u << 20)
#define COLLATERAL_ITEMS_MAX 16000

static bool take_int(void *context, const struct db_value *c, int n)
{
    if (n == 1 && c[0].type == DB_INT)
        *(int64_t *)context = c[0].i;
    return false;
}

#define OF_TENANT "substr(name, 1, length($1) + 1) = $1 || ':'"

/* One tenant must not fill what goes to the judges of all. */
enum bawn_status state_has_room(struct vault *v, const char *tenant, struct bawn_error *err)
{
    struct db_value value = db_text(tenant);
    const struct {
        const char *sql, *what;
        int params;
        int64_t max;
    } sums[] = {
        { "SELECT CAST(sum(n) AS BIGINT) FROM (SELECT length(set_name) + length(value) + 64 AS n"
          " FROM reference WHERE tenant = $1 UNION ALL SELECT length(text) FROM policy"
          " WHERE tenant = $1 AND active = 1) AS used",
          "bytes of policies and reference values of a tenant", 1, TENANT_MAX },
        { "SELECT CAST(sum(length(data)) AS BIGINT) FROM collateral WHERE " OF_TENANT,
          "bytes of a tenant's collateral", 1, TENANT_COLLATERAL_MAX },
        { "SELECT count(*) FROM collateral WHERE " OF_TENANT
          " AND substr(name, length($1) + 2, 5) <> 'vcek/'",
          "items of a tenant's collateral", 1, TENANT_ITEMS_MAX },
        { "SELECT count(*) FROM collateral WHERE " OF_TENANT,
          "items of a tenant's collateral, with those of chips", 1, TENANT_CHIPS_MAX },
        { "SELECT CAST(sum(length(data)) AS BIGINT) FROM collateral", "bytes of collateral", 0,
          COLLATERAL_MAX },
        { "SELECT count(*) FROM collateral", "items of collateral", 0, COLLATERAL_ITEMS_MAX },
    };
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < sizeof(sums) / sizeof(sums[0]); i++) {
        int64_t n = 0;

        st = db_run(v->db, sums[i].sql, &value, sums[i].params, take_int, &n, NULL, err);
        if (st == BAWN_OK && n > sums[i].max)
            st = bawn_fail(err, BAWN_E_CONFIG, "more than %lld %s are not served",
                           (long long)sums[i].max, sums[i].what);
    }
    return st;
}

static bool take_size(void *context, const struct db_value *c, int n)
{
    if (n == 1 && c[0].type == DB_INT)
        *(int64_t *)context += c[0].i;
    return false;
}

/* What the configuration adds: `most` in JSON, where a character may become six bytes, and a root
 * is PEM; at least its files' size. */
static int64_t configured(const struct vault *v, bool most)
{
    int64_t size = 0;

    for (size_t i = 0; i < v->config->nr_tenants; i++) {
        const struct config_tenant *t = &v->config->tenants[i];

        size += (int64_t)t->policy.len * (most ? 6 : 1) + 200;
        for (size_t k = 0; k < t->nr_roots; k++)
            size += (int64_t)t->roots[k].len * (most ? 2 : 1) + (most ? 100 : 0);
    }
    return size;
}

/* What judges could not be given is refused to who brings it, while the state before is still in
 * force. JSON makes a text longer, by escapes, and the database counts characters: *most is what it
 * cannot exceed. */
static enum bawn_status check_size(struct vault *v, int64_t *most, struct bawn_error *err)
{
    static const struct {
        const char *sql;
        int most;
    } sums[] = {
        { "SELECT CAST(coalesce(sum(length(text) + length(name) + 40), 0) AS @INT@)"
          " FROM policy WHERE active = 1",
          6 },
        { "SELECT CAST(coalesce(sum(length(set_name) + length(value) + 20), 0) AS @INT@)"
          " FROM reference",
          6 },
        { "SELECT CAST(coalesce(sum(length(data) + length(name) + 40), 0) AS @INT@)"
          " FROM collateral",
          2 },
    };
    enum bawn_status st = BAWN_OK;
    int64_t size = configured(v, false);

    *most = configured(v, true);
    for (size_t i = 0; st == BAWN_OK && i < sizeof(sums) / sizeof(sums[0]); i++) {
        int64_t n = 0;

        st = db_run(v->db, sums[i].sql, NULL, 0, take_size, &n, NULL, err);
        size += n;
        *most += n * sums[i].most;
    }
    if (st == BAWN_OK && size > (int64_t)IPC_BLOB_MAX)
        st = bawn_fail(err, BAWN_E_CONFIG,
                       "policies, references, roots and collateral would be %lld bytes together, "
                       "and %u are served: delete what is not needed",
                       (long long)size, IPC_BLOB_MAX);
    return st;
}

enum bawn_status state_fits(struct vault *v, struct bawn_error *err)
{
    uint8_t *blobs;
    json_t *json;
    int64_t most;
    size_t len;
    enum bawn_status st = check_size(v, &most, err);

    if (st != BAWN_OK || most <= (int64_t)IPC_BLOB_MAX)
        return st;
    /* That near to the limit there is only one way to know. */
    st = snapshot_make(v, &json, &blobs, &len, err);
    if (st == BAWN_OK) {
        json_decref(json);
        free(blobs);
    }
    v->reload |= st != BAWN_OK;
    return st == BAWN_E_FORMAT ? BAWN_E_CONFIG : st;
}

enum bawn_status state_changed(struct vault *v, struct bawn_error *err)
{
    struct db_value value;
    char text[24];
    int64_t serial, most;
    enum bawn_status st = serial_read(v, &serial, err);

    if (st != BAWN_OK)
        return st;
    snprintf(text, sizeof(text), "%lld", (long long)serial + 1);
    value = db_text(text);
    st = check_size(v, &most, err);
    if (st != BAWN_OK)
        return st;
    v->changed = true;
    return db_run(v->db,
                  "INSERT INTO meta (key, value) VALUES ('serial', $1)"
                  " ON CONFLICT (key) DO UPDATE SET value = $1",
                  &value, 1, NULL, NULL, NULL, err);
}

/* ---- Policies and references of a tenant ---- */

struct texts {
    json_t *object;
    const char *kind;
};

static bool take_member(void *context, const struct db_value *c, int n)
{
    struct texts *t = context;

    if (n == 4 && !strcmp((const char *)c[0].bytes.data, t->kind))
        json_object_set_new(t->object, (const char *)c[1].bytes.data,
                            json_stringn((const char *)c[3].bytes.data, c[3].bytes.len));
    return true;
}

/* {name: text} of the active ones. */
static enum bawn_status active(struct vault *v, const char *tenant, const char *kind,
                               json_t **texts, struct bawn_error *err)
{
    struct texts t = { json_object(), kind };
    enum bawn_status st;

    *texts = t.object;
    st = state_read(v, tenant, STATE_POLICY, take_member, &t, err);
    if (st != BAWN_OK) {
        json_decref(*texts);
        *texts = NULL;
    }
    return st;
}

/* The one named "default", else the only one. NULL: none; or several, of which none is meant more
 * than another: what is then not known to be allowed is denied. */
static json_t *chosen(json_t *texts, const char **name)
{
    void *first = json_object_iter(texts);

    *name = "default";
    if (json_object_get(texts, *name))
        return json_object_get(texts, *name);
    if (json_object_size(texts) != 1)
        return NULL;
    *name = json_object_iter_key(first);
    return json_object_iter_value(first);
}

static enum bawn_status load_include(void *context, const char *name, struct bawn_bytes *text,
                                     struct bawn_error *err)
{
    const json_t *value = json_object_get(context, name);

    if (!value)
        return bawn_fail(err, BAWN_E_FORMAT, "no policy of the name %s to include", name);
    *text =
        (struct bawn_bytes){ (const uint8_t *)json_string_value(value), json_string_length(value) };
    return BAWN_OK;
}

static bool take_reference(void *context, const struct db_value *c, int n)
{
    json_array_append_new(context, json_pack("[s, s, I]", c[0].bytes.data, c[1].bytes.data,
                                             n == 3 ? (json_int_t)c[2].i : 0));
    return true;
}

static enum bawn_status references_of(struct vault *v, const char *tenant, json_t **list,
                                      struct bawn_error *err)
{
    enum bawn_status st;

    *list = json_array();
    st = state_read(v, tenant, STATE_REFERENCE, take_reference, *list, err);
    if (st != BAWN_OK) {
        json_decref(*list);
        *list = NULL;
    }
    return st;
}

/* ---- Memory ---- */

static void tenant_clear(struct tenant *t)
{
    bawn_policy_destroy(t->resource_policy);
    bawn_refs_destroy(t->refs);
    json_decref(t->policy);
    json_decref(t->revoked);
    free(t->refused);
    *t = (struct tenant){ 0 };
}

/* A policy that cannot be used (what it includes has changed) closes its tenant's resources, and
 * no other's. */
static enum bawn_status load_resource_policy(struct vault *v, struct tenant *t,
                                             struct bawn_error *err)
{
    struct bawn_error why = { "there are several, and none of them is named default" };
    json_t *texts, *includes = NULL, *text;
    const char *name;
    enum bawn_status st = active(v, t->config->name, "resource", &texts, err), made = BAWN_OK;

    if (st == BAWN_OK)
        st = active(v, t->config->name, "include", &includes, err);
    text = st == BAWN_OK ? chosen(texts, &name) : NULL;
    if (text)
        made = bawn_policy_create(&t->resource_policy, name,
                                  (struct bawn_bytes){ (const uint8_t *)json_string_value(text),
                                                       json_string_length(text) },
                                  load_include, includes, &why);
    t->broken = st == BAWN_OK && !t->resource_policy && json_object_size(texts);
    if (made == BAWN_E_NOMEM)
        st = bawn_fail(err, made, "%s", why.msg);
    else if (t->broken)
        journal("error", "a resource policy cannot be used: its tenant releases nothing",
                "{s:s, s:s}", "tenant", t->config->name, "why", why.msg);
    json_decref(texts);
    json_decref(includes);
    return st;
}

static enum bawn_status load_references(struct vault *v, struct tenant *t, struct bawn_error *err)
{
    json_t *list, *entry;
    size_t i;
    enum bawn_status st = references_of(v, t->config->name, &list, err);

    if (st != BAWN_OK)
        return st;
    t->refs = bawn_refs_create();
    if (!t->refs)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for references");
    json_array_foreach(list, i, entry)
    {
        if (st == BAWN_OK)
            st = bawn_refs_add(t->refs, json_string_value(json_array_get(entry, 0)),
                               json_string_value(json_array_get(entry, 1)),
                               json_integer_value(json_array_get(entry, 2)), err);
    }
    json_decref(list);
    return st;
}

static bool take_revoked(void *context, const struct db_value *c, int n)
{
    char key[16 + MEASUREMENT_DIGITS_MAX];

    if (n >= 2 && snprintf(key, sizeof(key), "%s %s", (const char *)c[0].bytes.data,
                           (const char *)c[1].bytes.data) < (int)sizeof(key))
        json_object_set_new(context, key, json_true());
    return true;
}

static enum bawn_status load_parts(struct vault *v, struct tenant *t, struct bawn_error *err)
{
    enum bawn_status st = load_references(v, t, err);

    if (st == BAWN_OK)
        st = load_resource_policy(v, t, err);
    if (st == BAWN_OK) {
        t->revoked = json_object();
        st = state_read(v, t->config->name, STATE_REVOKED, take_revoked, t->revoked, err);
    }
    return st == BAWN_OK ? state_read(v, t->config->name, STATE_SIGNER, NULL, NULL, err) : st;
}

static enum bawn_status refuse(struct tenant *t, const char *why, struct bawn_error *err)
{
    if (t->refused)
        return BAWN_OK;
    journal("error", "a tenant's stored state is refused: it denies everything", "{s:s, s:s}",
            "tenant", t->config->name, "why", why);
    t->refused = strdup(why);
    return t->refused ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory for a tenant");
}

#define TRIES 3

/* What is read while another replica changes it is read again. */
static enum bawn_status load_tenant(struct vault *v, struct tenant *t,
                                    const struct config_tenant *config, struct bawn_error *err)
{
    struct bawn_error why = { "" };
    enum bawn_status st = BAWN_E_DENIED;

    for (int i = 0; i < TRIES && st == BAWN_E_DENIED; i++) {
        tenant_clear(t);
        t->config = config;
        st = load_parts(v, t, &why);
    }
    if (st == BAWN_E_DENIED)
        return refuse(t, why.msg, err);
    if (st != BAWN_OK)
        *err = why;
    return st;
}

enum bawn_status vault_load_tenants(struct vault *v, struct bawn_error *err)
{
    size_t n = v->config->nr_tenants;
    struct tenant *fresh = calloc(n, sizeof(*fresh));
    enum bawn_status st = serial_read(v, &v->serial, err);

    if (!fresh)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for tenants");
    for (size_t i = 0; i < n && st == BAWN_OK; i++) {
        st = load_tenant(v, &fresh[i], &v->config->tenants[i], err);
    }
    if (st == BAWN_OK) {
        struct tenant *old = v->tenants;
        size_t nr_old = v->nr_tenants;

        v->tenants = fresh;
        v->nr_tenants = n;
        fresh = old;
        n = nr_old;
        state_tell(v, false);
    }
    for (size_t i = 0; fresh && i < n; i++)
        tenant_clear(&fresh[i]);
    free(fresh);
    return st;
}

struct tenant *vault_tenant(const struct vault *v, const char *name)
{
    for (size_t i = 0; i < v->nr_tenants; i++)
        if (!strcmp(v->tenants[i].config->name, name))
            return &v->tenants[i];
    return NULL;
}

/* ---- The message ---- */

/* PEM as it is; DER of a certificate or a public key as PEM, for JSON takes no bytes. */
static json_t *root_text(const struct config_file *f)
{
    const uint8_t *p = f->data, *q = f->data;
    BIO *bio;
    X509 *cert;
    EVP_PKEY *key = NULL;
    json_t *text = NULL;
    char *data;
    long len;

    if (f->len > 11 && !memcmp(f->data, "-----BEGIN ", 11))
        return json_stringn((const char *)f->data, f->len);
    bio = BIO_new(BIO_s_mem());
    cert = d2i_X509(NULL, &p, (long)f->len);
    if (!cert)
        key = d2i_PUBKEY(NULL, &q, (long)f->len);
    if (bio && ((cert && PEM_write_bio_X509(bio, cert) == 1) ||
                (key && PEM_write_bio_PUBKEY(bio, key) == 1))) {
        len = BIO_get_mem_data(bio, &data);
        text = json_stringn(data, (size_t)len);
    }
    BIO_free(bio);
    X509_free(cert);
    EVP_PKEY_free(key);
    return text;
}

/* One that does not compile would make judges refuse the whole snapshot. It is left out: without a
 * policy its tenant denies. */
static void check_policy(struct tenant *t, json_t **policy)
{
    json_t *text = json_object_get(*policy, "text"),
           *includes = json_object_get(*policy, "includes");
    char hash[2 * BAWN_POLICY_HASH_SIZE + 1];
    struct bawn_error why = { "" };
    struct bawn_policy *p = NULL;

    json_decref(t->policy);
    t->policy = NULL;
    if (!*policy)
        return;
    if (bawn_policy_create(&p, text_of(*policy, "name"),
                           (struct bawn_bytes){ (const uint8_t *)json_string_value(text),
                                                json_string_length(text) },
                           load_include, includes, &why) != BAWN_OK) {
        journal("error", "a policy cannot be used: its tenant denies everything", "{s:s, s:s}",
                "tenant", t->config->name, "why", why.msg);
        json_decref(*policy);
        *policy = NULL;
        return;
    }
    for (size_t i = 0; i < BAWN_POLICY_HASH_SIZE; i++)
        snprintf(hash + 2 * i, 3, "%02x", bawn_policy_hash(p)[i]);
    t->policy = json_pack("{s:s, s:s, s:s}", "id", bawn_policy_id(p), "version",
                          bawn_policy_version(p), "sha256", hash);
    bawn_policy_destroy(p);
}

static bool root_is_good(const json_t *root)
{
    struct bawn_bytes bytes = { (const uint8_t *)json_string_value(root),
                                json_string_length(root) };
    struct bawn_trust *trust = NULL;
    bool good = root && bawn_trust_create(&trust, &bytes, 1, NULL) == BAWN_OK;

    bawn_trust_destroy(good ? trust : NULL);
    return good;
}

/* What was set by the API, else the configuration's. */
static enum bawn_status policy_of(struct vault *v, const struct config_tenant *t, json_t **policy,
                                  struct bawn_error *err)
{
    json_t *texts, *includes = NULL, *text;
    const char *name;
    enum bawn_status st = active(v, t->name, "attestation", &texts, err);

    *policy = NULL;
    if (st == BAWN_OK)
        st = active(v, t->name, "include", &includes, err);
    text = st == BAWN_OK ? chosen(texts, &name) : NULL;
    if (text)
        *policy = json_pack("{s:s, s:O, s:O}", "name", name, "text", text, "includes", includes);
    else if (st == BAWN_OK && json_object_size(texts))
        journal("error", "several attestation policies, none named default: all is denied", "{s:s}",
                "tenant", t->name);
    else if (st == BAWN_OK && t->policy.data)
        *policy = json_pack("{s:s, s:o, s:O}", "name", t->policy.path, "text",
                            json_stringn((const char *)t->policy.data, t->policy.len), "includes",
                            includes);
    json_decref(texts);
    json_decref(includes);
    return st;
}

/* Of a tenant that is refused: none, and not the configuration's instead. */
static enum bawn_status rules_of(struct vault *v, struct tenant *t, json_t **policy,
                                 json_t **references, struct bawn_error *err)
{
    struct bawn_error why = { "" };
    enum bawn_status st = BAWN_E_DENIED;

    for (int i = 0; i < TRIES && st == BAWN_E_DENIED && !t->refused; i++) {
        json_decref(*policy);
        *policy = *references = NULL;
        st = policy_of(v, t->config, policy, &why);
        if (st == BAWN_OK)
            st = references_of(v, t->config->name, references, &why);
    }
    if (st == BAWN_E_DENIED) {
        json_decref(*policy);
        *policy = NULL;
        *references = json_array();
        st = refuse(t, why.msg, err);
    } else if (st != BAWN_OK) {
        *err = why;
    }
    check_policy(t, policy);
    return st;
}

static enum bawn_status tenant_json(struct vault *v, struct tenant *tenant, json_t *all,
                                    struct bawn_error *err)
{
    const struct config_tenant *t = tenant->config;
    json_t *references = NULL, *policy = NULL, *roots = json_array();
    enum bawn_status st = rules_of(v, tenant, &policy, &references, err);

    for (size_t i = 0; i < t->nr_roots; i++) {
        json_t *root = root_text(&t->roots[i]);

        if (root_is_good(root))
            json_array_append(roots, root);
        else
            journal("error", "a root is neither a CA certificate nor a key", "{s:s}", "file",
                    t->roots[i].path);
        json_decref(root);
    }
    if (st == BAWN_OK)
        json_object_set_new(all, t->name,
                            json_pack("{s:O, s:b, s:O*, s:O?}", "roots", roots,
                                      "foreign_roots_allowed", t->test_roots, "policy", policy,
                                      "references", references));
    json_decref(roots);
    json_decref(policy);
    json_decref(references);
    return st;
}

struct blobs {
    json_t *list;
    uint8_t *data;
    size_t len;
    bool failed;
};

static bool take_blob(void *context, const struct db_value *c, int n)
{
    struct blobs *b = context;
    size_t len = n == 2 ? c[1].bytes.len : 0;
    uint8_t *more = realloc(b->data, b->len + len + 1);

    b->failed = !more || b->len + len > IPC_BLOB_MAX;
    if (more)
        b->data = more;
    if (b->failed)
        return false;
    memcpy(b->data + b->len, c[1].bytes.data, len);
    b->len += len;
    json_array_append_new(b->list,
                          json_pack("{s:s, s:I}", "name", c[0].bytes.data, "len", (json_int_t)len));
    return true;
}

/* The state as text, and behind it the collateral: a message's JSON could not hold the policies of
 * many tenants. */
static enum bawn_status join(const json_t *state, const struct blobs *b, json_t **json,
                             uint8_t **blobs, size_t *len, struct bawn_error *err)
{
    char *text = json_dumps(state, JSON_COMPACT);
    size_t n = text ? strlen(text) : 0;
    uint8_t *all = text && n + b->len <= IPC_BLOB_MAX ? malloc(n + b->len) : NULL;

    *json = all ? json_pack("{s:I}", "state", (json_int_t)n) : NULL;
    if (!*json) {
        free(text);
        free(all);
        return n + b->len > IPC_BLOB_MAX
                   ? bawn_fail(
                         err, BAWN_E_FORMAT,
                         "policies, references and collateral are more than %u bytes together",
                         IPC_BLOB_MAX)
                   : bawn_fail(err, BAWN_E_NOMEM, "no memory for a snapshot");
    }
    memcpy(all, text, n); /* NOLINT(bugprone-not-null-terminated-result): bytes, not a text */
    if (b->len)
        memcpy(all + n, b->data, b->len);
    free(text);
    *blobs = all;
    *len = n + b->len;
    return BAWN_OK;
}

enum bawn_status snapshot_make(struct vault *v, json_t **json, uint8_t **blobs, size_t *len,
                               struct bawn_error *err)
{
    struct blobs b = { .list = json_array() };
    json_t *tenants = json_object(), *state;
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < v->nr_tenants; i++)
        st = tenant_json(v, &v->tenants[i], tenants, err);
    if (st == BAWN_OK)
        st = db_run(v->db, "SELECT name, data FROM collateral ORDER BY name", NULL, 0, take_blob,
                    &b, NULL, err);
    if (st == BAWN_OK && b.failed)
        st = bawn_fail(err, BAWN_E_FORMAT, "there is too much collateral for a snapshot");
    state = json_pack("{s:I, s:O, s:O}", "serial", (json_int_t)v->serial, "tenants", tenants,
                      "blobs", b.list);
    if (st == BAWN_OK)
        st = state ? join(state, &b, json, blobs, len, err)
                   : bawn_fail(err, BAWN_E_NOMEM, "no memory for a snapshot");
    json_decref(state);
    json_decref(tenants);
    json_decref(b.list);
    free(b.data);
    return st;
}

enum bawn_status snapshot_send(struct vault *v, struct judge_peer *judge, struct bawn_error *err)
{
    struct bawn_error why = { "" };
    uint8_t *blobs;
    json_t *json;
    size_t len;
    enum bawn_status st = snapshot_make(v, &json, &blobs, &len, err);
    bool made = st == BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < SERVICE_WORKERS_MAX; i++) {
        struct judge_peer *p = &v->judges[i];
        enum bawn_status sent;

        if (!p->ipc || (judge && judge != p))
            continue;
        sent = ipc_send(p->ipc, IPC_SNAPSHOT, 0, json, (struct bawn_bytes){ blobs, len }, -1, &why);
        if (sent == BAWN_E_FORMAT) { /* too large: it goes on with the one before */
            st = bawn_fail(err, sent, "%s", why.msg);
        } else if (sent != BAWN_OK || ipc_flush(p->ipc, &why) != BAWN_OK) {
            journal("error", "a judge does not take its snapshot", "{s:s}", "why", why.msg);
            ipc_destroy(p->ipc);
            p->ipc = NULL;
        }
    }
    if (made) {
        json_decref(json);
        free(blobs);
    }
    return st;
}

/* ---- Events ---- */

static bool tell(void *context, const struct db_value *c, int n)
{
    struct vault *v = context;
    struct ipc *to[] = { v->front, v->admin };
    struct tenant *t;
    json_t *event;

    if (n != 6)
        return false;
    v->last_event = c[0].i;
    for (int i = 1; i < 5; i++)
        if (c[i].type != DB_TEXT) /* these rows are not authenticated */
            return true;
    event = json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:I}}", "event", "revoked", "tenant",
                      c[1].bytes.data, "data", "kind", c[2].bytes.data, "value", c[3].bytes.data,
                      "reason", c[4].bytes.data, "time", (json_int_t)c[5].i);
    t = vault_tenant(v, (const char *)c[1].bytes.data);
    if (t && t->revoked)
        take_revoked(t->revoked, c + 2, 2);
    for (size_t i = 0; i < 2; i++)
        if (to[i] && event)
            ipc_send(to[i], IPC_EVENT, 0, event, (struct bawn_bytes){ 0 }, -1, NULL);
    json_decref(event);
    return true;
}

enum bawn_status revocations_tell(struct vault *v, struct bawn_error *err)
{
    struct db_value last = db_int(v->last_event);

    return db_run(v->db,
                  "SELECT seq, tenant, kind, value, reason, created FROM revoked WHERE seq > $1"
                  " ORDER BY seq",
                  &last, 1, tell, v, NULL, err);
}

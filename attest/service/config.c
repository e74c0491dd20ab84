// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration file: JSON with a table for each object. What is not known is refused, so that
 * a misspelt limit is not silently another.
 */
#include "attest/service/config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_MAX (4u << 20)
#define NAME_MAX_LEN 64

struct field {
    const char *key;
    enum bawn_status (*read)(struct config_reader *r, const struct config_at *at, json_t *value,
                             const struct field *f, void *into);
    size_t offset;          /* in the object that is filled */
    unsigned long min, max; /* numbers */
};

/* ---- Values ---- */

static enum bawn_status no_memory(struct config_reader *r)
{
    return bawn_fail(r->err, BAWN_E_NOMEM, "no memory for the configuration");
}

static enum bawn_status read_object(struct config_reader *r, const struct config_at *at,
                                    json_t *object, const struct field *fields, size_t n,
                                    void *base)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return config_fail(r, at, "must be an object");
    json_object_foreach(object, key, value)
    {
        const struct config_at here = { at, key, 0 };
        enum bawn_status st;
        size_t i;

        for (i = 0; i < n && strcmp(key, fields[i].key) != 0; i++)
            ;
        if (i == n)
            return config_fail(r, &here, "there is no such key here");
        st = fields[i].read(r, &here, value, &fields[i], (char *)base + fields[i].offset);
        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

#define READ_OBJECT(r, at, value, fields, base) \
    read_object(r, at, value, fields, sizeof(fields) / sizeof((fields)[0]), base)

static enum bawn_status read_number(struct config_reader *r, const struct config_at *at,
                                    const json_t *value, const struct field *f, unsigned long *out)
{
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;

    if (n < 0 || (unsigned long)n < f->min || (unsigned long)n > f->max)
        return config_fail(r, at, "must be a whole number from %lu to %lu", f->min, f->max);
    *out = (unsigned long)n;
    return BAWN_OK;
}

static enum bawn_status read_uint(struct config_reader *r, const struct config_at *at,
                                  json_t *value, const struct field *f, void *into)
{
    unsigned long n = 0;
    enum bawn_status st = read_number(r, at, value, f, &n);

    if (st == BAWN_OK)
        *(unsigned *)into = (unsigned)n;
    return st;
}

static enum bawn_status read_size(struct config_reader *r, const struct config_at *at,
                                  json_t *value, const struct field *f, void *into)
{
    unsigned long n = 0;
    enum bawn_status st = read_number(r, at, value, f, &n);

    if (st == BAWN_OK)
        *(size_t *)into = n;
    return st;
}

static enum bawn_status read_bool(struct config_reader *r, const struct config_at *at,
                                  json_t *value, const struct field *f, void *into)
{
    (void)f;
    if (!json_is_boolean(value))
        return config_fail(r, at, "must be true or false");
    *(bool *)into = json_is_true(value);
    return BAWN_OK;
}

static enum bawn_status read_text(struct config_reader *r, const struct config_at *at,
                                  json_t *value, const struct field *f, void *into)
{
    const char *text = json_string_value(value);
    char **out = into;

    (void)f;
    if (!text || !*text || strlen(text) > 4096)
        return config_fail(r, at, "must be a text of 1 to 4096 bytes");
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return config_fail(r, at, "must have no control characters");
    free(*out);
    *out = strdup(text);
    return *out ? BAWN_OK : no_memory(r);
}

/* Relative paths are relative to the configuration file's directory. */
static char *absolute(const struct config_reader *r, const char *path)
{
    const char *slash = strrchr(r->path, '/');
    size_t dir = slash ? (size_t)(slash - r->path) + 1 : 0;
    char *out;

    if (path[0] == '/')
        return strdup(path);
    out = malloc(dir + strlen(path) + 1);
    if (!out)
        return NULL;
    memcpy(out, r->path, dir);
    memcpy(out + dir, path, strlen(path) + 1);
    return out;
}

static enum bawn_status read_path(struct config_reader *r, const struct config_at *at,
                                  json_t *value, const struct field *f, void *into)
{
    char **out = into, *text = NULL;
    enum bawn_status st = read_text(r, at, value, f, &text);

    if (st == BAWN_OK && text) {
        free(*out);
        *out = absolute(r, text);
        st = *out ? BAWN_OK : no_memory(r);
    }
    free(text);
    return st;
}

static enum bawn_status read_file_name(struct config_reader *r, const struct config_at *at,
                                       json_t *value, const struct field *f, void *into)
{
    return read_path(r, at, value, f, &((struct config_file *)into)->path);
}

static bool name_ok(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    return n > 0 && n <= NAME_MAX_LEN && !name[n] && name[0] != '.';
}

/* ---- Sections ---- */

#define AT(member) offsetof(struct service_config, member)

static enum bawn_status read_listens(struct config_reader *r, const struct config_at *at,
                                     json_t *value, const struct field *f, void *into)
{
    struct config_listens *listens = into;
    size_t n = json_array_size(value);

    (void)f;
    if (!json_is_array(value) || n < 1 || n > SERVICE_LISTEN_MAX)
        return config_fail(r, at, "must be an array of 1 to %d addresses", SERVICE_LISTEN_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct config_at here = { at, NULL, i };
        const char *text = json_string_value(json_array_get(value, i)), *why = NULL;

        listens->n = i + 1;
        if (!text)
            return config_fail(r, &here, "must be a text like tcp:127.0.0.1:8443");
        if (!config_listen_parse(text, &listens->at[i], &why))
            return config_fail(r, &here, "%.64s: %s", text, why);
    }
    return BAWN_OK;
}

static enum bawn_status read_names(struct config_reader *r, const struct config_at *at,
                                   json_t *value, const struct field *f, void *into)
{
    struct config_names *names = into;
    size_t n = json_array_size(value);
    enum bawn_status st = BAWN_OK;

    if (!json_is_array(value) || n > SERVICE_NAMES_MAX)
        return config_fail(r, at, "must be an array of at most %d names", SERVICE_NAMES_MAX);
    for (size_t i = 0; st == BAWN_OK && i < n; i++) {
        const struct config_at here = { at, NULL, i };

        names->n = i + 1;
        st = read_text(r, &here, json_array_get(value, i), f, &names->at[i]);
    }
    return st;
}

static enum bawn_status read_status(struct config_reader *r, const struct config_at *at,
                                    json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "listen", read_listens, AT(status), 0, 0 },
        { "hosts", read_names, AT(status_hosts), 0, 0 },
    };
    const struct config_at listen = { at, "listen", 0 };
    const struct config_listens *listens = &((struct service_config *)into)->status;
    enum bawn_status st = READ_OBJECT(r, at, value, fields, into);

    (void)f;
    for (size_t i = 0; st == BAWN_OK && i < listens->n; i++) {
        const struct config_at here = { &listen, NULL, i };

        if (!config_listen_is_local(&listens->at[i]))
            st = config_fail(r, &here, "must be a loopback or unix address: it has no TLS");
    }
    return st;
}

static const struct field tls_fields[] = {
    { "certificate", read_file_name, offsetof(struct config_tls, certificate), 0, 0 },
    { "key", read_file_name, offsetof(struct config_tls, key), 0, 0 },
};

static enum bawn_status read_tls(struct config_reader *r, const struct config_at *at, json_t *value,
                                 const struct field *f, void *into)
{
    const struct config_tls *tls = into;
    enum bawn_status st = READ_OBJECT(r, at, value, tls_fields, into);

    (void)f;
    if (st == BAWN_OK && (!tls->certificate.path || !tls->key.path))
        st = config_fail(r, at, "needs both certificate and key");
    return st;
}

static enum bawn_status read_admin(struct config_reader *r, const struct config_at *at,
                                   json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "listen", read_listens, AT(admin.listen), 0, 0 },
        { "tls", read_tls, AT(admin.tls), 0, 0 },
        { "client_ca", read_file_name, AT(admin.client_ca), 0, 0 },
        { "hosts", read_names, AT(admin.hosts), 0, 0 },
    };
    const struct service_config *c = into;
    enum bawn_status st = READ_OBJECT(r, at, value, fields, into);

    (void)f;
    if (st == BAWN_OK && c->admin.listen.n && !c->admin.client_ca.path)
        st = config_fail(r, at, "needs client_ca: administrators show certificates of that CA");
    return st;
}

static enum bawn_status read_oaep(struct config_reader *r, const struct config_at *at,
                                  json_t *value, const struct field *f, void *into)
{
    const char *text = json_string_value(value);

    (void)f;
    if (!text || (strcmp(text, "sha256") != 0 && strcmp(text, "sha1") != 0))
        return config_fail(r, at, "must be sha256 or sha1");
    *(bool *)into = !strcmp(text, "sha1");
    return BAWN_OK;
}

static enum bawn_status read_pkcs11(struct config_reader *r, const struct config_at *at,
                                    json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "module", read_path, AT(storage.pkcs11.module), 0, 0 },
        { "token", read_text, AT(storage.pkcs11.token), 0, 0 },
        { "slot", read_uint, AT(storage.pkcs11.slot), 0, UINT_MAX },
        { "key", read_text, AT(storage.pkcs11.key), 0, 0 },
        { "pin_file", read_file_name, AT(storage.pkcs11.pin), 0, 0 },
        { "oaep", read_oaep, AT(storage.pkcs11.oaep_sha1), 0, 0 },
        { "init_args", read_text, AT(storage.pkcs11.init_args), 0, 0 },
        { "sealed", read_file_name, AT(storage.file), 0, 0 },
    };
    const struct service_config *c = into;
    bool slot = json_object_get(value, "slot"), token = json_object_get(value, "token");
    enum bawn_status st = READ_OBJECT(r, at, value, fields, into);

    (void)f;
    if (st == BAWN_OK && (!c->storage.pkcs11.module || !c->storage.pkcs11.key ||
                          !c->storage.pkcs11.pin.path || !c->storage.file.path || slot == token))
        st = config_fail(r, at, "needs module, token or slot, key, pin_file and sealed");
    return st;
}

static enum bawn_status read_storage(struct config_reader *r, const struct config_at *at,
                                     json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "file", read_file_name, AT(storage.file), 0, 0 },
        { "tpm", read_file_name, AT(storage.file), 0, 0 },
        { "pkcs11", read_pkcs11, 0, 0, 0 },
        { "tcti", read_text, AT(storage.uri), 0, 0 },
    };
    struct service_config *c = into;
    bool file = json_object_get(value, "file"), tpm = json_object_get(value, "tpm");
    bool pkcs11 = json_object_get(value, "pkcs11"), tcti = json_object_get(value, "tcti");
    enum bawn_status st = READ_OBJECT(r, at, value, fields, into);

    (void)f;
    c->storage.kind = file ? STORAGE_KEY_FILE : tpm ? STORAGE_KEY_TPM : STORAGE_KEY_PKCS11;
    if (st == BAWN_OK && (file + tpm + pkcs11 != 1 || (tcti && !tpm)))
        st = config_fail(r, at, "must have one of file, tpm (with tcti or without), pkcs11");
    return st;
}

static enum bawn_status read_keys(struct config_reader *r, const struct config_at *at,
                                  json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = { { "storage", read_storage, 0, 0, 0 } };

    (void)f;
    return READ_OBJECT(r, at, value, fields, into);
}

static enum bawn_status read_algorithm(struct config_reader *r, const struct config_at *at,
                                       json_t *value, const struct field *f, void *into)
{
    static const char *const known[] = { "ES256", "ES384" };
    const char *text = json_string_value(value);

    (void)f;
    for (size_t i = 0; text && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(text, known[i]) != 0)
            continue;
        *(const char **)into = known[i];
        return BAWN_OK;
    }
    return config_fail(r, at, "must be ES256 or ES384");
}

static enum bawn_status read_token(struct config_reader *r, const struct config_at *at,
                                   json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "issuer", read_text, AT(token.issuer), 0, 0 },
        { "lifetime", read_uint, AT(token.lifetime), 10, 7 * 86400 },
        { "algorithm", read_algorithm, AT(token.algorithm), 0, 0 },
    };

    (void)f;
    return READ_OBJECT(r, at, value, fields, into);
}

static enum bawn_status read_session(struct config_reader *r, const struct config_at *at,
                                     json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "lifetime", read_uint, AT(session_lifetime), 10, 86400 },
    };

    (void)f;
    return READ_OBJECT(r, at, value, fields, into);
}

static enum bawn_status read_limits(struct config_reader *r, const struct config_at *at,
                                    json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "body", read_size, AT(limits.body), 1024, 16 << 20 },
        { "admin_body", read_size, AT(limits.admin_body), 1024, 64 << 20 },
        { "header", read_size, AT(limits.header), 1024, 65536 },
        { "rate", read_uint, AT(limits.rate), 0, 1000000 },
        { "burst", read_uint, AT(limits.burst), 1, 1000000 },
        { "connections", read_uint, AT(limits.connections), 1, 1000000 },
        { "per_client", read_uint, AT(limits.per_client), 1, 1000000 },
        { "header_timeout", read_uint, AT(limits.header_timeout), 1, 600 },
        { "body_timeout", read_uint, AT(limits.body_timeout), 1, 600 },
        { "idle_timeout", read_uint, AT(limits.idle_timeout), 1, 3600 },
        { "jobs", read_uint, AT(limits.jobs), 1, 10000 },
        { "judge_timeout", read_uint, AT(limits.judge_timeout), 1, 600 },
        { "subscribers", read_uint, AT(limits.subscribers), 0, 100000 },
        { "session_tickets", read_bool, AT(limits.session_tickets), 0, 0 },
    };

    (void)f;
    return READ_OBJECT(r, at, value, fields, into);
}

static enum bawn_status read_collateral(struct config_reader *r, const struct config_at *at,
                                        json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "directory", read_path, AT(collateral.directory), 0, 0 },
        { "mirror", read_text, AT(collateral.mirror), 0, 0 },
        { "mirror_ca", read_file_name, AT(collateral.mirror_ca), 0, 0 },
    };
    const struct service_config *c = into;
    enum bawn_status st = READ_OBJECT(r, at, value, fields, into);
    const struct config_at mirror = { at, "mirror", 0 };
    struct config_mirror m;
    const char *why;

    (void)f;
    if (st != BAWN_OK || !c->collateral.mirror)
        return st;
    if (!config_mirror_parse(c->collateral.mirror, &m, &why))
        return config_fail(r, &mirror, "%s", why);
    if (m.tls && !c->collateral.mirror_ca.path)
        return config_fail(r, at, "needs mirror_ca, the CA of the mirror's certificate (PEM)");
    return BAWN_OK;
}

static enum bawn_status read_log(struct config_reader *r, const struct config_at *at, json_t *value,
                                 const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "origin", read_text, AT(log.origin), 0, 0 },
        { "checkpoint_seconds", read_uint, AT(log.checkpoint_seconds), 1, 86400 },
        { "denials", read_uint, AT(log.denials), 0, 1000000 },
        { "denials_per_client", read_uint, AT(log.denials_per_client), 0, 1000000 },
    };

    (void)f;
    return READ_OBJECT(r, at, value, fields, into);
}

static enum bawn_status read_database(struct config_reader *r, const struct config_at *at,
                                      json_t *value, const struct field *f, void *into)
{
    char **out = into, *file, *text = NULL;
    enum bawn_status st = read_text(r, at, value, f, &text);

    if (st == BAWN_OK && !strncmp(text, "sqlite:", 7) && text[7]) {
        file = absolute(r, text + 7);
        free(*out);
        *out = NULL;
        if (!file || asprintf(out, "sqlite:%s", file) < 0)
            st = no_memory(r);
        free(file);
    } else if (st == BAWN_OK &&
               (!strncmp(text, "postgresql://", 13) || !strncmp(text, "postgres://", 11))) {
        free(*out);
        *out = text;
        text = NULL;
    } else if (st == BAWN_OK) {
        st = config_fail(r, at, "must be sqlite:PATH or postgresql://...");
    }
    free(text);
    return st;
}

static enum bawn_status read_user(struct config_reader *r, const struct config_at *at,
                                  json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "vault", read_text, ROLE_VAULT * sizeof(char *), 0, 0 },
        { "judge", read_text, ROLE_JUDGE * sizeof(char *), 0, 0 },
        { "front", read_text, ROLE_FRONT * sizeof(char *), 0, 0 },
        { "admin", read_text, ROLE_ADMIN * sizeof(char *), 0, 0 },
        { "fetch", read_text, ROLE_FETCH * sizeof(char *), 0, 0 },
    };
    char **users = into;
    enum bawn_status st = BAWN_OK;

    if (json_is_object(value))
        return READ_OBJECT(r, at, value, fields, into);
    for (int i = 0; st == BAWN_OK && i < ROLES; i++)
        st = read_text(r, at, value, f, &users[i]);
    return st;
}

/* ---- Tenants ---- */

static enum bawn_status read_certificate(struct config_reader *r, const struct config_at *at,
                                         json_t *value, const struct field *f, void *into)
{
    const char *text = json_string_value(value);
    char *out = into;
    size_t n = 0;

    (void)f;
    /* As `openssl x509 -fingerprint -sha256` prints it, or plain hex. */
    for (; text && *text && n < 64; text++) {
        if (*text == ':' && n % 2 == 0)
            continue;
        if (!strchr("0123456789abcdefABCDEF", *text))
            break;
        out[n++] = *text >= 'A' && *text <= 'F' ? (char)(*text + 'a' - 'A') : *text;
    }
    out[n] = '\0';
    if (n == 64 && text && !*text)
        return BAWN_OK;
    return config_fail(r, at, "must be the SHA-256 of the certificate: 64 hex digits");
}

static enum bawn_status read_roles(struct config_reader *r, const struct config_at *at,
                                   json_t *value, const struct field *f, void *into)
{
    static const struct {
        const char *name;
        unsigned role;
    } known[] = { { "policy", ADMIN_POLICY },
                  { "secrets", ADMIN_SECRETS },
                  { "auditor", ADMIN_AUDITOR } };
    unsigned *roles = into;

    (void)f;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const struct config_at here = { at, NULL, i };
        const char *text = json_string_value(json_array_get(value, i));
        size_t k;

        for (k = 0; k < 3 && (!text || strcmp(text, known[k].name) != 0); k++)
            ;
        if (k == 3)
            return config_fail(r, &here, "must be policy, secrets or auditor");
        *roles |= known[k].role;
    }
    return *roles ? BAWN_OK : config_fail(r, at, "must be an array of at least one role");
}

static enum bawn_status read_admins(struct config_reader *r, const struct config_at *at,
                                    json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "name", read_text, offsetof(struct config_admin, name), 0, 0 },
        { "certificate", read_certificate, offsetof(struct config_admin, certificate), 0, 0 },
        { "roles", read_roles, offsetof(struct config_admin, roles), 0, 0 },
    };
    struct config_tenant *tenant = into;
    size_t n = json_array_size(value);
    enum bawn_status st = BAWN_OK;

    (void)f;
    if (!json_is_array(value) || n > 1000)
        return config_fail(r, at, "must be an array of at most 1000 administrators");
    tenant->admins = calloc(n ? n : 1, sizeof(*tenant->admins));
    if (!tenant->admins)
        return no_memory(r);
    tenant->nr_admins = n;
    for (size_t i = 0; st == BAWN_OK && i < n; i++) {
        const struct config_at here = { at, NULL, i };
        const struct config_admin *a = &tenant->admins[i];

        st = READ_OBJECT(r, &here, json_array_get(value, i), fields, &tenant->admins[i]);
        if (st == BAWN_OK && (!a->name || !*a->certificate || !a->roles))
            st = config_fail(r, &here, "needs name, certificate and roles");
    }
    return st;
}

static enum bawn_status read_roots(struct config_reader *r, const struct config_at *at,
                                   json_t *value, const struct field *f, void *into)
{
    struct config_tenant *tenant = into;
    size_t n = json_array_size(value);
    enum bawn_status st = BAWN_OK;

    if (!json_is_array(value) || n > 64)
        return config_fail(r, at, "must be an array of at most 64 files");
    tenant->roots = calloc(n ? n : 1, sizeof(*tenant->roots));
    if (!tenant->roots)
        return no_memory(r);
    tenant->nr_roots = n;
    for (size_t i = 0; st == BAWN_OK && i < n; i++) {
        const struct config_at here = { at, NULL, i };

        st = read_file_name(r, &here, json_array_get(value, i), f, &tenant->roots[i]);
    }
    return st;
}

static enum bawn_status read_tenants(struct config_reader *r, const struct config_at *at,
                                     json_t *value, const struct field *f, void *into)
{
    static const struct field fields[] = {
        { "policy", read_file_name, offsetof(struct config_tenant, policy), 0, 0 },
        { "roots", read_roots, 0, 0, 0 },
        { "test_roots", read_bool, offsetof(struct config_tenant, test_roots), 0, 0 },
        { "admins", read_admins, 0, 0, 0 },
    };
    struct service_config *c = into;
    enum bawn_status st = BAWN_OK;
    const char *name;
    json_t *object;

    (void)f;
    if (!json_is_object(value) || !json_object_size(value) || json_object_size(value) > 10000)
        return config_fail(r, at, "must be an object of 1 to 10000 tenants");
    c->tenants = calloc(json_object_size(value), sizeof(*c->tenants));
    if (!c->tenants)
        return no_memory(r);
    json_object_foreach(value, name, object)
    {
        const struct config_at here = { at, name, 0 };
        struct config_tenant *tenant = &c->tenants[c->nr_tenants++];

        tenant->name = strdup(name);
        if (!name_ok(name))
            st = config_fail(r, &here, "a tenant's name has 1 to %d of A-Z a-z 0-9 - _ .",
                             NAME_MAX_LEN);
        else
            st = tenant->name ? READ_OBJECT(r, &here, object, fields, tenant) : no_memory(r);
        if (st != BAWN_OK)
            break;
    }
    return st;
}

/* ---- The whole ---- */

static enum bawn_status read_ignored(struct config_reader *r, const struct config_at *at,
                                     json_t *value, const struct field *f, void *into)
{
    (void)r, (void)at, (void)value, (void)f, (void)into;
    return BAWN_OK;
}

static const struct field top_fields[] = {
    { "$schema", read_ignored, 0, 0, 0 },
    { "listen", read_listens, AT(listen), 0, 0 },
    { "tls", read_tls, AT(tls), 0, 0 },
    { "admin", read_admin, 0, 0, 0 },
    { "status", read_status, 0, 0, 0 },
    { "database", read_database, AT(database), 0, 0 },
    { "keys", read_keys, 0, 0, 0 },
    { "token", read_token, 0, 0, 0 },
    { "session", read_session, 0, 0, 0 },
    { "workers", read_uint, AT(workers), 1, SERVICE_WORKERS_MAX },
    { "limits", read_limits, 0, 0, 0 },
    { "tenants", read_tenants, 0, 0, 0 },
    { "collateral", read_collateral, 0, 0, 0 },
    { "log", read_log, 0, 0, 0 },
    { "user", read_user, AT(user), 0, 0 },
};

static bool set_defaults(struct service_config *c, const char *path)
{
    c->path = strdup(path);
    c->database = strdup("sqlite:/var/lib/bawn-attestd/attestd.db");
    c->token.issuer = strdup("bawn-attestd");
    c->token.lifetime = 300;
    c->token.algorithm = "ES256";
    c->session_lifetime = 300;
    c->limits.body = 1 << 20;
    c->limits.admin_body = 16 << 20;
    c->limits.header = 16384;
    c->limits.rate = 200;
    c->limits.burst = 400;
    c->limits.connections = 16384;
    c->limits.per_client = 1024;
    c->limits.header_timeout = 10;
    c->limits.body_timeout = 30;
    c->limits.idle_timeout = 60;
    c->limits.jobs = 64;
    c->limits.judge_timeout = 10;
    c->limits.subscribers = 1024;
    c->limits.session_tickets = true;
    c->log.origin = strdup("bawn-attestd");
    c->log.checkpoint_seconds = 10;
    c->log.denials = 60;
    c->log.denials_per_client = 20;
    return c->path && c->database && c->token.issuer && c->log.origin;
}

static enum bawn_status check_whole(struct config_reader *r, const struct service_config *c)
{
    const struct {
        bool there;
        const char *message;
    } needs[] = {
        { c->listen.n, "listen is missing: [\"tcp:0.0.0.0:8443\"]" },
        { c->tls.certificate.path, "tls is missing: {\"certificate\": FILE, \"key\": FILE}" },
        { c->storage.file.path, "keys is missing: {\"storage\": {\"file\": FILE}}" },
        { c->nr_tenants, "tenants is missing: {\"default\": {\"policy\": FILE}}" },
    };

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        if (!needs[i].there)
            return config_fail(r, NULL, "%s", needs[i].message);
    return BAWN_OK;
}

enum bawn_status config_parse(struct service_config **config, const char *path, const char *text,
                              size_t len, struct bawn_error *err)
{
    struct config_reader r = { path, text, len, err };
    struct service_config *c = calloc(1, sizeof(*c));
    enum bawn_status st;
    json_error_t e;

    *config = NULL;
    if (!c)
        return no_memory(&r);
    c->source = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (!set_defaults(c, path))
        st = no_memory(&r);
    else if (!c->source)
        st = bawn_fail(err, BAWN_E_CONFIG, "%s:%d:%d: %s", path, e.line, e.column, e.text);
    else
        st = READ_OBJECT(&r, NULL, c->source, top_fields, c);
    if (st == BAWN_OK)
        st = check_whole(&r, c);
    if (st == BAWN_OK)
        *config = c;
    else
        config_destroy(c);
    return st;
}

static unsigned processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > 16 ? 16 : (unsigned)n;
}

enum bawn_status config_load(struct service_config **config, const char *path,
                             struct bawn_error *err)
{
    struct config_file file = { .path = realpath(path, NULL) };
    enum bawn_status st;

    *config = NULL;
    if (!file.path)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path);
    st = config_file_read(&file, CONFIG_MAX, false, err);
    if (st == BAWN_OK)
        st = config_parse(config, file.path, (const char *)file.data, file.len, err);
    if (st == BAWN_OK && *config && !(*config)->workers)
        (*config)->workers = processors();
    config_file_clear(&file);
    return st;
}

const struct config_tenant *config_tenant(const struct service_config *config, const char *name)
{
    for (size_t i = 0; i < config->nr_tenants; i++)
        if (!strcmp(config->tenants[i].name, name))
            return &config->tenants[i];
    return NULL;
}

/* ---- The end ---- */

static void clear_listens(struct config_listens *listens)
{
    for (size_t i = 0; i < listens->n; i++) {
        free(listens->at[i].text);
        free(listens->at[i].host);
    }
}

static void clear_names(struct config_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->at[i]);
}

static void clear_tenant(struct config_tenant *t)
{
    free(t->name);
    config_file_clear(&t->policy);
    for (size_t i = 0; i < t->nr_roots; i++)
        config_file_clear(&t->roots[i]);
    free(t->roots);
    for (size_t i = 0; i < t->nr_admins; i++)
        free(t->admins[i].name);
    free(t->admins);
}

void config_destroy(struct service_config *c)
{
    if (!c)
        return;
    clear_listens(&c->listen);
    clear_listens(&c->admin.listen);
    clear_listens(&c->status);
    clear_names(&c->admin.hosts);
    clear_names(&c->status_hosts);
    config_file_clear(&c->tls.certificate);
    config_file_clear(&c->tls.key);
    config_file_clear(&c->admin.tls.certificate);
    config_file_clear(&c->admin.tls.key);
    config_file_clear(&c->admin.client_ca);
    config_file_clear(&c->storage.file);
    config_file_clear(&c->storage.pkcs11.pin);
    config_file_clear(&c->collateral.mirror_ca);
    free(c->storage.pkcs11.module);
    free(c->storage.pkcs11.token);
    free(c->storage.pkcs11.key);
    free(c->storage.pkcs11.init_args);
    for (size_t i = 0; i < c->nr_tenants; i++)
        clear_tenant(&c->tenants[i]);
    for (int i = 0; i < ROLES; i++)
        free(c->user[i]);
    free(c->tenants);
    free(c->storage.uri);
    free(c->path);
    free(c->database);
    free(c->token.issuer);
    free(c->collateral.directory);
    free(c->collateral.mirror);
    free(c->log.origin);
    json_decref(c->source);
    free(c);
}

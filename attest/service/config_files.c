// SPDX-License-Identifier: Apache-2.0
/*
 * The files that the configuration names: read by who starts a process, before it gives up its
 * rights, or by the supervisor for a reload. Each role gets those that it needs and no others.
 */
#include "attest/service/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define FILE_MAX (1u << 20)

/* ---- One file ---- */

static void forget_data(struct config_file *file)
{
    if (file->data)
        OPENSSL_cleanse(file->data, file->len);
    free(file->data);
    file->data = NULL;
    file->len = 0;
}

void config_file_clear(struct config_file *file)
{
    forget_data(file);
    free(file->path);
    *file = (struct config_file){ 0 };
}

void config_forget_storage(struct service_config *config)
{
    forget_data(&config->storage.file);
    forget_data(&config->storage.pkcs11.pin);
}

static enum bawn_status read_all(int fd, struct config_file *file, size_t max,
                                 struct bawn_error *err)
{
    struct stat st;
    size_t room;

    if (fstat(fd, &st))
        return bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", file->path);
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (size_t)st.st_size > max)
        return bawn_fail(err, BAWN_E_CONFIG, "%s: must be a file of at most %zu bytes", file->path,
                         max);
    room = (size_t)st.st_size;
    file->data = malloc(room + 1);
    if (!file->data)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for %s", file->path);
    while (file->len < room) {
        ssize_t n = read(fd, file->data + file->len, room - file->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", file->path);
        if (n == 0)
            break;
        file->len += (size_t)n;
    }
    file->data[file->len] = 0;
    return BAWN_OK;
}

enum bawn_status config_file_read(struct config_file *file, size_t max, bool secret,
                                  struct bawn_error *err)
{
    enum bawn_status st;
    struct stat info;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", file->path);
    if (secret && !fstat(fd, &info) && (info.st_mode & 007)) {
        close(fd);
        return bawn_fail(err, BAWN_E_CONFIG, "%s: everybody may read or write it; chmod 600 %s",
                         file->path, file->path);
    }
    st = read_all(fd, file, max, err);
    close(fd);
    return st;
}

/* ---- Those of a role ---- */

typedef enum bawn_status (*file_fn)(void *context, struct config_file *file, bool secret,
                                    struct bawn_error *err);

static enum bawn_status each_vault_file(struct service_config *c, file_fn fn, void *context,
                                        struct bawn_error *err)
{
    enum bawn_status st = fn(context, &c->storage.file, true, err);

    if (st == BAWN_OK)
        st = fn(context, &c->storage.pkcs11.pin, true, err);
    for (size_t i = 0; st == BAWN_OK && i < c->nr_tenants; i++) {
        struct config_tenant *t = &c->tenants[i];

        st = fn(context, &t->policy, false, err);
        for (size_t k = 0; st == BAWN_OK && k < t->nr_roots; k++)
            st = fn(context, &t->roots[k], false, err);
    }
    return st;
}

/* In a fixed order; fn is not called for files that are not configured. */
static enum bawn_status each_file(struct service_config *c, enum service_role role, file_fn fn,
                                  void *context, struct bawn_error *err)
{
    struct config_tls *tls = &c->tls;
    enum bawn_status st = BAWN_OK;

    if (role == ROLE_JUDGE)
        return BAWN_OK;
    if (role == ROLE_FETCH)
        return fn(context, &c->collateral.mirror_ca, false, err);
    if (role == ROLE_VAULT)
        return each_vault_file(c, fn, context, err);
    if (role == ROLE_ADMIN) {
        tls = c->admin.tls.certificate.path ? &c->admin.tls : &c->tls;
        st = fn(context, &c->admin.client_ca, false, err);
    }
    if (st == BAWN_OK)
        st = fn(context, &tls->certificate, false, err);
    if (st == BAWN_OK)
        st = fn(context, &tls->key, true, err);
    return st;
}

static enum bawn_status read_one(void *context, struct config_file *file, bool secret,
                                 struct bawn_error *err)
{
    (void)context;
    if (!file->path || file->data)
        return BAWN_OK;
    return config_file_read(file, FILE_MAX, secret, err);
}

enum bawn_status config_read_files(struct service_config *config, enum service_role role,
                                   struct bawn_error *err)
{
    return each_file(config, role, read_one, NULL, err);
}

/* ---- To a process that is running ---- */

struct package {
    json_t *files;
    uint8_t *blob;
    size_t len, at;
};

static enum bawn_status pack_one(void *context, struct config_file *file, bool secret,
                                 struct bawn_error *err)
{
    struct package *p = context;
    uint8_t *blob;

    (void)secret;
    if (!file->path)
        return BAWN_OK;
    /* realloc() would leave a copy of keys behind. */
    blob = malloc(p->len + file->len + 1);
    if (!blob || json_array_append_new(p->files, json_pack("{s:s,s:I}", "path", file->path, "len",
                                                           (json_int_t)file->len))) {
        free(blob);
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the configuration");
    }
    if (p->len) {
        memcpy(blob, p->blob, p->len);
        OPENSSL_cleanse(p->blob, p->len);
    }
    if (file->len)
        memcpy(blob + p->len, file->data, file->len);
    free(p->blob);
    p->blob = blob;
    p->len += file->len;
    return BAWN_OK;
}

enum bawn_status config_pack(const struct service_config *config, enum service_role role,
                             json_t **json, uint8_t **blob, size_t *len, struct bawn_error *err)
{
    struct package p = { .files = json_array() };
    enum bawn_status st;

    /* each_file() hands out the files as they are to be filled; pack_one() only reads them. */
    st = each_file((struct service_config *)(uintptr_t)config, role, pack_one, &p, err);
    *json =
        st == BAWN_OK ? json_pack("{s:O,s:O}", "config", config->source, "files", p.files) : NULL;
    json_decref(p.files);
    if (*json) {
        *blob = p.blob;
        *len = p.len;
        return BAWN_OK;
    }
    if (p.blob)
        OPENSSL_cleanse(p.blob, p.len);
    free(p.blob);
    return st == BAWN_OK ? bawn_fail(err, BAWN_E_NOMEM, "no memory for the configuration") : st;
}

struct unpack {
    const json_t *files;
    struct bawn_bytes blob;
    size_t i, at;
};

static enum bawn_status unpack_one(void *context, struct config_file *file, bool secret,
                                   struct bawn_error *err)
{
    struct unpack *u = context;
    const json_t *entry = json_array_get(u->files, u->i);
    const char *path = json_string_value(json_object_get(entry, "path"));
    json_int_t len = json_integer_value(json_object_get(entry, "len"));

    (void)secret;
    if (!file->path)
        return BAWN_OK;
    if (!path || strcmp(path, file->path) != 0 || len < 0 || (uint64_t)len > u->blob.len - u->at)
        return bawn_fail(err, BAWN_E_FORMAT, "a reload without the content of %s", file->path);
    file->data = malloc((size_t)len + 1);
    if (!file->data)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the configuration");
    if (len)
        memcpy(file->data, u->blob.data + u->at, (size_t)len);
    file->data[len] = 0;
    file->len = (size_t)len;
    u->at += (size_t)len;
    u->i++;
    return BAWN_OK;
}

enum bawn_status config_reload(struct service_config **config, enum service_role role,
                               const char *path, const json_t *json, struct bawn_bytes blob,
                               struct bawn_error *err)
{
    struct unpack u = { .files = json_object_get(json, "files"), .blob = blob };
    const json_t *source = json_object_get(json, "config");
    char *text = source ? json_dumps(source, JSON_COMPACT) : NULL;
    enum bawn_status st;

    *config = NULL;
    if (!text)
        return bawn_fail(err, BAWN_E_FORMAT, "a reload without a configuration");
    st = config_parse(config, path, text, strlen(text), err);
    if (st == BAWN_OK)
        st = each_file(*config, role, unpack_one, &u, err);
    if (st != BAWN_OK) {
        config_destroy(*config);
        *config = NULL;
    }
    free(text);
    return st;
}

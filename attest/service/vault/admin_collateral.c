// SPDX-License-Identifier: Apache-2.0
/*
 * Collateral: certificates, CRLs, TCB info, QE identities; from administrators, or from a folder
 * that an operator fills. It proves itself by its signatures when it is used; here only its form
 * and its end are read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "attest/jose/jose.h"
#include "attest/service/vault/vault.h"

#define ITEM_MAX (4u << 20)
#define NAME_MAX_LEN 256
#define DEPTH_MAX 4
#define FILES_MAX 4096

/* ---- The end of its validity ---- */

static int64_t time_of(const ASN1_TIME *t)
{
    struct tm tm;

    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void earlier(int64_t *end, int64_t t)
{
    if (t && (!*end || t < *end))
        *end = t;
}

static bool end_of_der(struct bawn_bytes data, int64_t *end)
{
    const uint8_t *p = data.data;
    X509 *cert = d2i_X509(NULL, &p, (long)data.len);
    X509_CRL *crl;

    if (cert) {
        earlier(end, time_of(X509_get0_notAfter(cert)));
        X509_free(cert);
        return true;
    }
    p = data.data;
    crl = d2i_X509_CRL(NULL, &p, (long)data.len);
    if (!crl)
        return false;
    earlier(end, time_of(X509_CRL_get0_nextUpdate(crl)));
    X509_CRL_free(crl);
    return true;
}

static bool end_of_pem(struct bawn_bytes data, int64_t *end)
{
    BIO *bio = BIO_new_mem_buf(data.data, (int)data.len);
    char *name, *header;
    uint8_t *der;
    long len;
    bool any = false, other = false;

    while (bio && PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
        if (end_of_der((struct bawn_bytes){ der, (size_t)len }, end))
            any = true;
        else
            other = true;
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    BIO_free(bio);
    return any && !other;
}

/* The earliest "nextUpdate" in it, at any of the depths that Intel's collateral has; texts that are
 * JSON themselves are looked into. */
static bool end_of_json(const json_t *json, unsigned depth, int64_t *end)
{
    const char *name;
    json_t *value;
    struct tm tm = { 0 };
    bool any = false;

    if (!json_is_object(json) || depth > DEPTH_MAX)
        return false;
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        const char *text = json_string_value(value);

        if (text && !strcmp(name, "nextUpdate") && strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm)) {
            earlier(end, (int64_t)timegm(&tm));
            any = true;
        } else if (text && text[0] == '{') {
            json_t *inner = NULL;
            struct bawn_bytes bytes = { (const uint8_t *)text, strlen(text) };

            if (json_read(bytes, &inner, NULL) == BAWN_OK)
                any |= end_of_json(inner, depth + 1, end);
            json_decref(inner);
        } else if (text && strstr(text, "-----BEGIN")) {
            any |= end_of_pem((struct bawn_bytes){ (const uint8_t *)text, strlen(text) }, end);
        } else {
            any |= end_of_json(value, depth + 1, end);
        }
    }
    return any;
}

static bool end_of(struct bawn_bytes data, int64_t *end)
{
    json_t *json = NULL;
    bool known;

    *end = 0;
    if (!data.len || data.len > ITEM_MAX)
        return false;
    if (end_of_der(data, end) || end_of_pem(data, end))
        return true;
    if (json_read(data, &json, NULL) != BAWN_OK)
        return false;
    known = end_of_json(json, 0, end);
    json_decref(json);
    return known;
}

/* ---- Storing ---- */

static bool good_name(const char *name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";

    return *name && strlen(name) <= NAME_MAX_LEN && strspn(name, good) == strlen(name) &&
           !strstr(name, "..");
}

/* What it is called in the database: an administrator's is his tenant's alone, "tenant:name", for
 * with an older CRL or a forged one he could decide over others. The folder's is for all. */
static void full_name(const char *tenant, const char *name, char full[512])
{
    snprintf(full, 512, "%s%s%s", tenant ? tenant : "", tenant ? ":" : "", name);
}

/* Two of the same content and different names are two. */
static bool hash_of(const char *full, struct bawn_bytes data, uint8_t hash[32])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, full, strlen(full) + 1) == 1 &&
              EVP_DigestUpdate(ctx, data.data, data.len) == 1 &&
              EVP_DigestFinal_ex(ctx, hash, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

/* BAWN_E_FORMAT: for the client. A later one of the same name takes the earlier one's place. tenant
 * NULL: the folder. */
enum bawn_status collateral_store(struct vault *v, const char *tenant, const char *name,
                                  struct bawn_bytes data, struct bawn_error *err)
{
    uint8_t hash[32];
    int64_t end;
    struct db_value params[5];
    char full[512];
    enum bawn_status st;

    if (!good_name(name))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "collateral has a name of letters, digits, '-', '_', '.' and '/'");
    if (!end_of(data, &end))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "%.128s is neither a certificate, a CRL (DER, PEM) nor Intel's collateral "
                         "(JSON)",
                         name);
    full_name(tenant, name, full);
    if (!hash_of(full, data, hash))
        return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL cannot hash");
    params[0] = db_blob(hash, sizeof(hash));
    params[1] = db_text(full);
    params[2] = db_blob(data.data, data.len);
    params[3] = end ? db_int(end) : (struct db_value){ .type = DB_NULL };
    params[4] = db_int(vault_now(v));
    st = db_run(v->db, "DELETE FROM collateral WHERE name = $2 AND hash <> $1", params, 2, NULL,
                NULL, NULL, err);
    if (st == BAWN_OK)
        st = db_run(v->db,
                    "INSERT INTO collateral (hash, name, data, not_after, added)"
                    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (hash) DO NOTHING",
                    params, 5, NULL, NULL, NULL, err);
    return st;
}

/* {"entries": [{"name", "data": base64 or text}]} */
static enum bawn_status store_bundle(struct vault *v, const char *tenant, const json_t *entries,
                                     unsigned *n, struct bawn_error *err)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(entries, i, entry)
    {
        const json_t *value = json_object_get(entry, "data");
        const char *name = text_of(entry, "name");
        struct bawn_bytes data = { (const uint8_t *)json_string_value(value),
                                   json_string_length(value) };
        uint8_t *decoded = NULL;
        enum bawn_status st;

        if (!name || !json_is_string(value))
            return bawn_fail(err, BAWN_E_FORMAT,
                             "a bundle is {\"entries\": [{\"name\", \"data\"}]}");
        if (base64_any(json_string_value(value), data.len, &decoded, &data.len))
            data.data = decoded;
        st = collateral_store(v, tenant, name, data, err);
        free(decoded);
        if (st != BAWN_OK)
            return st;
        (*n)++;
    }
    return BAWN_OK;
}

enum bawn_status admin_collateral_set(struct vault *v, const struct admin_request *a,
                                      struct reply *r, struct bawn_error *err)
{
    struct bawn_error why = { "" };
    json_t *json = NULL;
    unsigned n = 1;
    enum bawn_status st;

    if (*a->rest) {
        st = collateral_store(v, a->tenant, a->rest, a->body, &why);
    } else {
        st = json_read(a->body, &json, &why);
        n = 0;
        if (st == BAWN_OK)
            st = json_is_array(json_object_get(json, "entries"))
                     ? store_bundle(v, a->tenant, json_object_get(json, "entries"), &n, &why)
                     : bawn_fail(&why, BAWN_E_FORMAT,
                                 "POST one item to collateral/<name>, or a bundle "
                                 "{\"entries\": [{\"name\", \"data\"}]}");
        json_decref(json);
    }
    if (st == BAWN_E_FORMAT) {
        r->undo = true;
        return reply_error(r, 400, "InvalidCollateral", "%s", why.msg);
    }
    if (st != BAWN_OK) {
        *err = why;
        return st;
    }
    st = log_admin(v, a, "collateral.import",
                   json_pack("{s:i, s:s}", "items", (int)n, "name", a->rest), err);
    if (st == BAWN_OK)
        st = state_has_room(v, a->tenant, err);
    if (st == BAWN_OK)
        st = state_changed(v, err);
    return st == BAWN_OK ? reply_json(r, 200, json_pack("{s:i}", "items", (int)n)) : st;
}

struct listing {
    const char *tenant;
    json_t *items;
};

/* The tenant's own, and what is for all. */
static bool list_item(void *context, const struct db_value *c, int n)
{
    struct listing *l = context;
    const char *name = (const char *)c[0].bytes.data, *colon = strchr(name, ':');
    size_t len = colon ? (size_t)(colon - name) : 0;

    if (n != 4 || (colon && (strlen(l->tenant) != len || memcmp(name, l->tenant, len) != 0)))
        return true;
    json_array_append_new(
        l->items,
        json_pack("{s:s, s:o, s:I, s:I, s:b}", "name", colon ? colon + 1 : name, "not_after",
                  c[1].type == DB_INT ? json_integer(c[1].i) : json_null(), "added",
                  (json_int_t)c[2].i, "bytes", (json_int_t)c[3].i, "shared", !colon));
    return true;
}

enum bawn_status admin_collateral_get(struct vault *v, const struct admin_request *a,
                                      struct reply *r, struct bawn_error *err)
{
    struct listing l = { a->tenant, json_array() };
    enum bawn_status st =
        db_run(v->db, "SELECT name, not_after, added, length(data) FROM collateral ORDER BY name",
               NULL, 0, list_item, &l, NULL, err);

    if (st == BAWN_OK)
        return reply_json(r, 200, json_pack("{s:o}", "collateral", l.items));
    json_decref(l.items);
    return st;
}

/* ---- The folder ---- */

static void take_file(struct vault *v, int dir, const char *file, const char *name)
{
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct bawn_error why = { "" };
    struct stat s;
    uint8_t *data = NULL;
    ssize_t n = -1;

    if (fd >= 0 && !fstat(fd, &s) && S_ISREG(s.st_mode) && s.st_size > 0 && s.st_size <= ITEM_MAX)
        data = malloc((size_t)s.st_size);
    if (data)
        n = read(fd, data, (size_t)s.st_size);
    if (n <= 0)
        snprintf(why.msg, sizeof(why.msg), "cannot be read, or is empty or too large");
    if (n <= 0 ||
        collateral_store(v, NULL, name, (struct bawn_bytes){ data, (size_t)n }, &why) != BAWN_OK)
        journal("warning", "collateral is passed over", "{s:s, s:s}", "file", name, "why", why.msg);
    free(data);
    if (fd >= 0)
        close(fd);
}

static void scan(struct vault *v, int at, const char *folder, const char *prefix, unsigned depth,
                 unsigned *files)
{
    int fd = openat(at, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;

    if (!dir) {
        journal("warning", "cannot open a folder of collateral", "{s:s, s:s}", "folder", folder,
                "why", strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((e = readdir(dir)) && *files < FILES_MAX) {
        char name[NAME_MAX_LEN + 1];
        struct stat s;

        if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &s, AT_SYMLINK_NOFOLLOW) ||
            snprintf(name, sizeof(name), "%s%s", prefix, e->d_name) >= (int)sizeof(name) - 1)
            continue;
        if (S_ISDIR(s.st_mode) && depth < DEPTH_MAX) {
            memcpy(name + strlen(name), "/", 2); /* there is room: see above */
            scan(v, dirfd(dir), e->d_name, name, depth + 1, files);
        } else if (S_ISREG(s.st_mode)) {
            (*files)++;
            take_file(v, dirfd(dir), e->d_name, name);
        }
    }
    closedir(dir);
}

enum bawn_status collateral_scan(struct vault *v, struct bawn_error *err)
{
    unsigned files = 0;
    enum bawn_status st;

    if (!v->config->collateral.directory)
        return BAWN_OK;
    st = db_begin(v->db, err);
    if (st != BAWN_OK)
        return st;
    scan(v, AT_FDCWD, v->config->collateral.directory, "", 0, &files);
    return db_commit(v->db, err);
}

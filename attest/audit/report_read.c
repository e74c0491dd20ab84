// SPDX-License-Identifier: Apache-2.0
/*
 * Reads what a build left: nothing is parsed here. Numbers and sizes of files have limits, and
 * links are not followed.
 */
#include "attest/audit/report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)32 << 20)
#define LEDGER_MAX ((size_t)192 << 20)
#define TOTAL_MAX ((uint64_t)256 << 20)
#define BUILT_MAX ((uint64_t)1 << 30)

/* ---- Where ---- */

/* In the tree, or in its build folder; a folder with an ending, or a file. */
static const struct place {
    enum report_kind kind;
    bool build, must;
    const char *path;
    const char *ending; /* NULL: path is a file; "": all files of the folder */
} places[] = {
    { REPORT_THREATS, false, true, "docs/threat-model/threats.json", NULL },
    { REPORT_CONTROLS, false, true, "docs/audit/controls.json", NULL },
    { REPORT_BUILT, true, false, "bin", "" },
    { REPORT_BUILT, true, false, "lib", ".so.0" },
    { REPORT_BUILT, true, false, "guest/shim.bin", NULL },
    { REPORT_BUILT, true, false, "kernel/cloud/bawn.ko", NULL },
    { REPORT_BUILT, true, false, "kernel/standard/bawn.ko", NULL },
    { REPORT_BUILT, true, false, "platform/cloud/bawn_platform.ko", NULL },
    { REPORT_BUILT, true, false, "platform/standard/bawn_platform.ko", NULL },
    { REPORT_BUILT, true, false, "dist", "" },
    { REPORT_COUNTS, true, false, "results", "" },
    { REPORT_LOG, true, false, "log", ".log" },
    { REPORT_FUZZ, true, false, "fuzz/campaign/report.json", NULL },
    { REPORT_SCORE, true, false, "fuzz/score/score.json", NULL },
    { REPORT_POLICY, false, false, "policy/shipped", ".json" },
};

/* ---- Hashes ---- */

bool report_sha256(const void *data, size_t len, uint8_t hash[REPORT_HASH])
{
    return EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL) == 1;
}

static bool hash_file(int fd, uint8_t hash[REPORT_HASH], uint64_t *size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    static uint8_t buffer[1 << 16];
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    ssize_t n = 1;

    *size = 0;
    while (ok && n && *size <= BUILT_MAX) {
        n = read(fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        ok = n >= 0 && EVP_DigestUpdate(ctx, buffer, n > 0 ? (size_t)n : 0) == 1;
        *size += n > 0 ? (size_t)n : 0;
    }
    ok = ok && *size <= BUILT_MAX && EVP_DigestFinal_ex(ctx, hash, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

/* ---- Files ---- */

static enum bawn_status fill(struct report_files *files, struct report_file *f, int fd,
                             struct bawn_error *err)
{
    enum bawn_status st;

    if (f->kind == REPORT_BUILT)
        return hash_file(fd, f->sha256, &f->size)
                   ? BAWN_OK
                   : bawn_fail(err, BAWN_E_IO, "cannot hash %s: %m, or larger than 1 GiB", f->name);
    st = bytes_read(fd, f->name, f->kind == REPORT_LEDGER ? LEDGER_MAX : TEXT_MAX, &f->text, err);
    if (st != BAWN_OK)
        return BAWN_E_IO;
    f->size = f->text.len;
    files->total += f->size;
    if (files->total > TOTAL_MAX)
        return bawn_fail(err, BAWN_E_IO, "%s: all texts together are larger than 256 MiB", f->name);
    return report_sha256(f->text.data, f->text.len, f->sha256)
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL does not hash");
}

/* must: that it is not there is a fault. What is there and no file is passed over. */
static enum bawn_status add(struct report_files *files, enum report_kind kind, const char *path,
                            const char *name, bool must, struct bawn_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (must ? 0 : O_NOFOLLOW));
    struct report_file *f = &files->file[files->n];
    enum bawn_status st = BAWN_OK;
    struct stat stat;

    if (fd < 0)
        return must ? bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", path) : BAWN_OK;
    if (fstat(fd, &stat) || !S_ISREG(stat.st_mode)) {
        st = must ? bawn_fail(err, BAWN_E_IO, "%s: must be a file", path) : BAWN_OK;
    } else if (files->n == REPORT_FILES_MAX) {
        st = bawn_fail(err, BAWN_E_IO, "%s: more than %d files", path, REPORT_FILES_MAX);
    } else {
        *f = (struct report_file){ .kind = kind, .name = strdup(name), .mtime = stat.st_mtime };
        files->n++;
        st = f->name ? fill(files, f, fd, err) : bawn_fail(err, BAWN_E_NOMEM, "no memory");
    }
    close(fd);
    return st;
}

static bool ends(const char *name, const char *ending)
{
    size_t a = strlen(name), b = strlen(ending);

    return a > b && !strcmp(name + a - b, ending);
}

static enum bawn_status add_folder(struct report_files *files, const struct place *p,
                                   const char *path, struct bawn_error *err)
{
    DIR *dir = opendir(path);
    enum bawn_status st = BAWN_OK;
    const struct dirent *e;

    while (dir && st == BAWN_OK && (e = readdir(dir))) {
        char file[4096], name[512];

        if (e->d_name[0] == '.' || (*p->ending && !ends(e->d_name, p->ending)) ||
            (size_t)snprintf(file, sizeof(file), "%s/%s", path, e->d_name) >= sizeof(file) ||
            (size_t)snprintf(name, sizeof(name), "%s%s/%s", p->build ? "build/" : "", p->path,
                             e->d_name) >= sizeof(name))
            continue;
        st = add(files, p->kind, file, name, false, err);
    }
    if (dir)
        closedir(dir);
    return st;
}

static enum bawn_status add_place(struct report_files *files, const struct place *p,
                                  const struct audit_options *o, struct bawn_error *err)
{
    char path[4096], name[512];
    const char *tree = o->tree ? o->tree : ".";
    size_t len = p->build && o->build
                     ? (size_t)snprintf(path, sizeof(path), "%s/%s", o->build, p->path)
                     : (size_t)snprintf(path, sizeof(path), "%s/%s%s", tree,
                                        p->build ? "build/" : "", p->path);

    if (len >= sizeof(path))
        return bawn_fail(err, BAWN_E_USAGE, "%s: too long a path", tree);
    if (p->ending)
        return add_folder(files, p, path, err);
    snprintf(name, sizeof(name), "%s%s", p->build ? "build/" : "", p->path);
    return add(files, p->kind, path, name, p->must, err);
}

static int by_kind_and_name(const void *a, const void *b)
{
    const struct report_file *x = a, *y = b;

    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

/* A file of the command line. The documents call it by its last name: where it lay is nobody's. */
static enum bawn_status add_given(struct report_files *files, enum report_kind kind,
                                  const char *path, struct bawn_error *err)
{
    const char *last = strrchr(path, '/');
    char name[512];

    snprintf(name, sizeof(name), "given/%s", last ? last + 1 : path);
    return add(files, kind, path, name, true, err);
}

enum bawn_status report_read(struct report_files *files, const struct audit_options *o,
                             struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    *files = (struct report_files){ .n = 0 };
    for (size_t i = 0; st == BAWN_OK && i < sizeof(places) / sizeof(places[0]); i++)
        st = add_place(files, &places[i], o, err);
    for (size_t i = 0; st == BAWN_OK && i < o->policies.n; i++)
        st = add_given(files, REPORT_POLICY, o->policies.text[i], err);
    if (st == BAWN_OK && o->host)
        st = add_given(files, REPORT_HOST, o->host, err);
    if (st == BAWN_OK && o->log)
        st = add_given(files, REPORT_LEDGER, o->log, err);
    if (st == BAWN_OK)
        qsort(files->file, files->n, sizeof(files->file[0]), by_kind_and_name);
    return st;
}

void report_files_free(struct report_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->file[i].name);
        free((void *)(uintptr_t)files->file[i].text.data);
    }
    files->n = 0;
}

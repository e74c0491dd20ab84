// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-audit report and check-report. The process that parses has no key and no file, and hands
 * its documents over by a pipe; this one believes their names and sizes as far as it checks them.
 */
#include "attest/audit/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>

#define DOCUMENTS 3
#define DOCUMENT_MAX ((size_t)32 << 20)
#define MANIFEST_MAX 4096
#define SIGNATURE_SIZE 64 /* Ed25519, RFC 8032 */

static const char *const names[DOCUMENTS] = { "assessment-results.json",
                                              "component-definition.json", "report.html" };

/* ---- The process that parses ---- */

static enum bawn_status make(const struct report *r, unsigned i, FILE *to)
{
    json_t *doc = i == 0   ? report_assessment_results(r)
                  : i == 1 ? report_component_definition(r)
                           : NULL;
    bool ok = i < 2 ? doc && !json_dumpf(doc, to, JSON_INDENT(1) | JSON_ENSURE_ASCII) &&
                          fputc('\n', to) != EOF
                    : report_html(r, to);

    json_decref(doc);
    return ok ? BAWN_OK : BAWN_E_NOMEM;
}

/* Each as a line "SIZE", then its bytes. */
static enum bawn_status tell(const struct report *r, struct bawn_error *err)
{
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *to = open_memstream(&text, &len);
        enum bawn_status st = to ? make(r, i, to) : BAWN_E_NOMEM;

        if (to && fclose(to))
            st = BAWN_E_NOMEM;
        if (st == BAWN_OK) {
            printf("%zu\n", len);
            fwrite(text, 1, len, stdout);
        }
        free(text);
        if (st != BAWN_OK || fflush(stdout))
            return bawn_fail(err, BAWN_E_NOMEM, "cannot make %s: no memory", names[i]);
    }
    return BAWN_OK;
}

static _Noreturn void work(struct audit *a, const struct report_files *files, int out)
{
    static struct report r;
    struct bawn_error err = { "" };
    enum bawn_status st = BAWN_OK;

    if (dup2(out, STDOUT_FILENO) < 0)
        st = bawn_fail(&err, BAWN_E_IO, "dup2: %m");
    if (st == BAWN_OK)
        st = audit_lock_in(a, &err);
    if (st == BAWN_OK)
        st = report_judge(&r, a, files, &err);
    if (st == BAWN_OK)
        st = tell(&r, &err);
    if (st != BAWN_OK)
        fprintf(stderr, "bawn-audit: %s\n", err.msg);
    fflush(stderr);
    _exit(st == BAWN_OK ? AUDIT_GOOD : st == BAWN_E_FORMAT ? AUDIT_BAD : AUDIT_USAGE);
}

/* ---- The process that stores ---- */

struct documents {
    struct bawn_bytes all; /* owned */
    struct bawn_bytes doc[DOCUMENTS];
};

static bool split(struct documents *d)
{
    const char *at = (const char *)d->all.data, *end = at + d->all.len;

    for (unsigned i = 0; i < DOCUMENTS; i++) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t len = 0;

        if (!line || line == at || line - at > 9)
            return false;
        for (; at < line; at++) {
            if (*at < '0' || *at > '9')
                return false;
            len = len * 10 + (size_t)(*at - '0');
        }
        at++;
        if (len > (size_t)(end - at) || len > DOCUMENT_MAX)
            return false;
        d->doc[i] = (struct bawn_bytes){ (const uint8_t *)at, len };
        at += len;
    }
    return at == end;
}

/* Runs the other process, and hears it to its end. code: how it ended, when it ended badly. */
static enum bawn_status hear(struct audit *a, const struct report_files *files, struct documents *d,
                             int *code, struct bawn_error *err)
{
    enum bawn_status st;
    int fd[2], status = 0;
    pid_t pid;

    *code = AUDIT_USAGE;
    if (pipe2(fd, O_CLOEXEC))
        return bawn_fail(err, BAWN_E_IO, "pipe: %m");
    pid = fork();
    if (!pid)
        work(a, files, fd[1]);
    close(fd[1]);
    st = pid < 0
             ? bawn_fail(err, BAWN_E_IO, "fork: %m")
             : bytes_read(fd[0], "the documents", DOCUMENTS * (DOCUMENT_MAX + 16), &d->all, err);
    close(fd[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (st == BAWN_OK && WIFEXITED(status) && WEXITSTATUS(status)) {
        *code = WEXITSTATUS(status) == AUDIT_BAD ? AUDIT_BAD : AUDIT_USAGE;
        *err = (struct bawn_error){ "" }; /* it has said why */
        return BAWN_E_FORMAT;
    }
    if (st == BAWN_OK && (!WIFEXITED(status) || !split(d)))
        st = bawn_fail(err, BAWN_E_INTERNAL,
                       "the process that parses what a build left ended by signal %d",
                       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return st;
}

static enum bawn_status write_file(int dir, const char *name, const void *data, size_t len,
                                   struct bawn_error *err)
{
    const uint8_t *at = data;
    char part[64];
    ssize_t n = 1;
    int fd;

    snprintf(part, sizeof(part), "%s.part", name);
    fd = openat(dir, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    while (fd >= 0 && len && (n > 0 || errno == EINTR)) {
        n = write(fd, at, len);
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    if (fd < 0 || len || close(fd) || renameat(dir, part, dir, name))
        return bawn_fail(err, BAWN_E_IO, "cannot write %s: %m", name);
    return BAWN_OK;
}

static enum bawn_status read_key(const char *path, EVP_PKEY **key, struct bawn_error *err)
{
    FILE *file = fopen(path, "re");

    if (!file)
        return bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", path);
    *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    (void)fclose(file);
    if (*key && EVP_PKEY_get_base_id(*key) == EVP_PKEY_ED25519)
        return BAWN_OK;
    return bawn_fail(
        err, BAWN_E_USAGE,
        "%s: must be an Ed25519 private key in PEM: openssl genpkey -algorithm ed25519", path);
}

/* As sha256sum prints, so that sha256sum -c reads it. */
static size_t manifest(const struct documents *d, char text[MANIFEST_MAX])
{
    uint8_t hash[REPORT_HASH];
    char hex[2 * REPORT_HASH + 1];
    size_t len = 0;

    for (unsigned i = 0; i < DOCUMENTS; i++) {
        if (!report_sha256(d->doc[i].data, d->doc[i].len, hash))
            return 0;
        hex_print(hash, REPORT_HASH, hex);
        len += (size_t)snprintf(text + len, MANIFEST_MAX - len, "%s  %s\n", hex, names[i]);
    }
    return len;
}

static enum bawn_status store(const struct documents *d, int dir, EVP_PKEY *key,
                              struct bawn_error *err)
{
    uint8_t signature[SIGNATURE_SIZE];
    size_t size = sizeof(signature), len;
    enum bawn_status st = BAWN_OK;
    char text[MANIFEST_MAX];
    EVP_MD_CTX *ctx;

    len = manifest(d, text);
    if (!len)
        return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL does not hash");
    for (unsigned i = 0; st == BAWN_OK && i < DOCUMENTS; i++)
        st = write_file(dir, names[i], d->doc[i].data, d->doc[i].len, err);
    if (st == BAWN_OK)
        st = write_file(dir, "MANIFEST", text, len, err);
    unlinkat(dir, "MANIFEST.sig", 0); /* of a run before, over other bytes */
    if (st != BAWN_OK || !key)
        return st;
    ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(ctx, signature, &size, (const uint8_t *)text, len) != 1)
        st = bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL does not sign");
    EVP_MD_CTX_free(ctx);
    return st == BAWN_OK ? write_file(dir, "MANIFEST.sig", signature, size, err) : st;
}

static enum bawn_status store_in(const struct audit_options *o, const struct documents *d,
                                 struct bawn_error *err)
{
    int dir = mkdir(o->arg[0], 0755) && errno != EEXIST
                  ? -1
                  : open(o->arg[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum bawn_status st = BAWN_OK;
    EVP_PKEY *key = NULL;

    if (dir < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot make the directory %s: %m", o->arg[0]);
    if (o->sign)
        st = read_key(o->sign, &key, err);
    if (st == BAWN_OK)
        st = store(d, dir, key, err);
    EVP_PKEY_free(key);
    close(dir);
    return st;
}

int audit_report(struct audit *a, struct bawn_error *err)
{
    static struct report_files files; /* too large for a stack */
    struct documents d = { .all = { NULL, 0 } };
    int code = AUDIT_GOOD;
    enum bawn_status st = audit_read_keys(a, err);

    if (st == BAWN_OK)
        st = report_read(&files, a->o, err);
    if (st == BAWN_OK)
        st = hear(a, &files, &d, &code, err);
    if (st == BAWN_OK)
        st = store_in(a->o, &d, err);
    if (st == BAWN_OK)
        printf("%s: %s, %s, %s, MANIFEST%s\n", a->o->arg[0], names[0], names[1], names[2],
               a->o->sign ? ", MANIFEST.sig" : " (not signed: give --sign)");
    report_files_free(&files);
    free((void *)(uintptr_t)d.all.data);
    return st == BAWN_OK ? AUDIT_GOOD : *err->msg ? -1 : code;
}

/* ---- check-report ---- */

static enum bawn_status read_in(int dir, const char *name, size_t most, struct bawn_bytes *out,
                                struct bawn_error *err)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    enum bawn_status st;

    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", name);
    st = bytes_read(fd, name, most, out, err);
    close(fd);
    return st;
}

static bool signed_by(const struct audit *a, struct bawn_bytes text, struct bawn_bytes signature)
{
    bool good = false;

    for (size_t i = 0; !good && i < a->nr_keys; i++) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        good = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, a->keys[i].key) == 1 &&
               EVP_DigestVerify(ctx, signature.data, signature.len, text.data, text.len) == 1;
        EVP_MD_CTX_free(ctx);
    }
    return good;
}

static enum bawn_status read_all(int dir, struct documents *d, struct bawn_bytes *text,
                                 struct bawn_bytes *signature, struct bawn_error *err)
{
    enum bawn_status st = read_in(dir, "MANIFEST", MANIFEST_MAX, text, err);

    if (st == BAWN_OK)
        st = read_in(dir, "MANIFEST.sig", SIGNATURE_SIZE, signature, err);
    for (unsigned i = 0; st == BAWN_OK && i < DOCUMENTS; i++)
        st = read_in(dir, names[i], DOCUMENT_MAX, &d->doc[i], err);
    return st;
}

static const char *judge(const struct audit *a, const struct documents *d, struct bawn_bytes text,
                         struct bawn_bytes signature)
{
    char expected[MANIFEST_MAX];
    size_t len = manifest(d, expected);

    if (!signed_by(a, text, signature))
        return "MANIFEST is not signed by a key that was given";
    if (len != text.len || !text.data || memcmp(expected, text.data, len) != 0)
        return "a document is not the one that MANIFEST was signed for";
    return NULL;
}

int audit_check_report(struct audit *a, struct bawn_error *err)
{
    int dir = open(a->o->arg[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct bawn_bytes text = { NULL, 0 }, signature = { NULL, 0 };
    struct documents d = { .all = { NULL, 0 } };
    const char *wrong = NULL;
    enum bawn_status st;

    if (dir < 0) {
        bawn_fail(err, BAWN_E_IO, "cannot open the directory %s: %m", a->o->arg[0]);
        return -1;
    }
    st = audit_read_keys(a, err);
    if (st == BAWN_OK && !a->nr_keys)
        st = bawn_fail(err, BAWN_E_USAGE, "check-report with which key? Give --key FILE");
    if (st == BAWN_OK)
        st = read_all(dir, &d, &text, &signature, err);
    if (st == BAWN_OK || st == BAWN_E_FORMAT) {
        wrong = st == BAWN_OK ? judge(a, &d, text, signature) : err->msg;
        printf("%s%s%s\n", wrong ? "NOT GOOD" : "GOOD", wrong ? ": " : "", wrong ? wrong : "");
        st = BAWN_OK;
    }
    for (unsigned i = 0; i < DOCUMENTS; i++)
        free((void *)(uintptr_t)d.doc[i].data);
    free((void *)(uintptr_t)text.data);
    free((void *)(uintptr_t)signature.data);
    close(dir);
    return st != BAWN_OK ? -1 : wrong ? AUDIT_BAD : AUDIT_GOOD;
}

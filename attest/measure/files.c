// SPDX-License-Identifier: Apache-2.0
/*
 * Inputs and outputs of bawn-measure. Reads bytes, and gives them no meaning.
 */
#include "attest/measure/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/bytes.h"

#define BLOCK ((size_t)1 << 18)

static enum bawn_status open_input(int *fd, const char *path, struct bawn_error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd >= 0 ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path);
}

/* Bytes read, 0 at the end, -1 with the error said. */
static ssize_t read_some(int fd, void *buf, size_t len, const char *path, struct bawn_error *err)
{
    ssize_t n;

    do
        n = read(fd, buf, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", path);
    return n;
}

enum bawn_status input_read(struct input *in, const char *path, size_t max, struct bawn_error *err)
{
    struct bawn_bytes bytes = { NULL, 0 };
    enum bawn_status st;
    int fd;

    *in = (struct input){ NULL, 0 };
    st = open_input(&fd, path, err);
    if (st != BAWN_OK)
        return st;
    st = bytes_read(fd, path, max, &bytes, err);
    close(fd);
    *in = (struct input){ (uint8_t *)(uintptr_t)bytes.data, bytes.len };
    return st != BAWN_E_FORMAT
               ? st
               : bawn_fail(err, BAWN_E_IO, "%s is too large: at most %zu bytes are taken", path,
                           max);
}

void input_free(struct input *in)
{
    if (in->data)
        OPENSSL_cleanse(in->data, in->len);
    free(in->data);
    *in = (struct input){ NULL, 0 };
}

enum bawn_status input_digest(const char *path, const char *name, uint8_t *digest, uint64_t *size,
                              struct bawn_error *err)
{
    EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t *buf = malloc(BLOCK);
    bool ok = md && ctx && buf && EVP_DigestInit_ex2(ctx, md, NULL);
    enum bawn_status st;
    ssize_t n = 0;
    int fd = -1;

    *size = 0;
    st = ok ? open_input(&fd, path, err)
            : bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL has no %s", name);
    while (st == BAWN_OK && (n = read_some(fd, buf, BLOCK, path, err)) > 0) {
        *size += (uint64_t)n;
        if (!EVP_DigestUpdate(ctx, buf, (size_t)n))
            st = bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL failed to hash %s", path);
    }
    if (n < 0)
        st = BAWN_E_IO;
    if (st == BAWN_OK && !EVP_DigestFinal_ex(ctx, digest, NULL))
        st = bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL failed to hash %s", path);
    if (fd >= 0)
        close(fd);
    free(buf);
    EVP_MD_CTX_free(ctx);
    EVP_MD_free(md);
    return st;
}

enum bawn_status digest_bytes(const char *name, const void *data, size_t len, uint8_t *digest,
                              struct bawn_error *err)
{
    return EVP_Q_digest(NULL, name, NULL, data, len, digest, NULL)
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL has no %s", name);
}

enum bawn_status output_write(const char *path, const void *data, size_t len,
                              struct bawn_error *err)
{
    FILE *f = fopen(path, "we");
    bool ok;

    if (!f)
        return bawn_fail(err, BAWN_E_IO, "cannot write %s: %m", path);
    ok = fwrite(data, 1, len, f) == len;
    ok = !fclose(f) && ok;
    return ok ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "cannot write %s: %m", path);
}

enum bawn_status output_base64(const char *path, const void *data, size_t len,
                               struct bawn_error *err)
{
    unsigned char *text = malloc((len + 2) / 3 * 4 + 2);
    enum bawn_status st;
    int n;

    if (!text)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    n = EVP_EncodeBlock(text, data, (int)len);
    text[n++] = '\n';
    st = output_write(path, text, (size_t)n, err);
    free(text);
    return st;
}

enum bawn_status output_end(struct bawn_error *err)
{
    return fflush(stdout) || ferror(stdout)
               ? bawn_fail(err, BAWN_E_IO, "cannot write the output: %m")
               : BAWN_OK;
}

struct digest_text digest_text(const uint8_t *digest, size_t len, bool base64)
{
    struct digest_text t = { "" };

    if (base64)
        EVP_EncodeBlock((unsigned char *)t.text, digest, (int)len);
    else
        for (size_t i = 0; i < len; i++)
            snprintf(t.text + 2 * i, 3, "%02x", digest[i]);
    return t;
}

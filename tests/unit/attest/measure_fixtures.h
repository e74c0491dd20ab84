/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the launch measurement share: files, hex, and the OVMF images of the vectors.
 */
#ifndef MEASURE_FIXTURES_H
#define MEASURE_FIXTURES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include <bawn/measure_launch.h>

#define LAUNCH_VECTORS "tests/vectors/launch/"
#define UPSTREAM LAUNCH_VECTORS "sev-snp-measure/"
#define AMDSEV UPSTREAM "tests/fixtures/ovmf_AmdSev_suffix.bin"
#define OVMFX64 UPSTREAM "tests/fixtures/ovmf_OvmfX64_suffix.bin"

/* An exact copy on the heap, so that a read past its end shows. */
static inline struct bawn_bytes copy_of(const void *data, size_t len)
{
    uint8_t *copy = malloc(len);

    assert_true(copy || !len);
    if (len)
        memcpy(copy, data, len);
    return (struct bawn_bytes){ copy, len };
}

static inline void drop(struct bawn_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

/* Empty when there is no such file. */
static inline struct bawn_bytes read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct bawn_bytes bytes = { NULL, 0 };
    uint8_t *data;
    long len;

    if (!f)
        return bytes;
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    len = ftell(f);
    assert_true(len >= 0);
    rewind(f);
    data = malloc((size_t)len + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)len, f), len);
    fclose(f);
    bytes = copy_of(data, (size_t)len);
    free(data);
    return bytes;
}

static inline struct bawn_bytes must_read(const char *path)
{
    struct bawn_bytes bytes = read_file(path);

    if (!bytes.data)
        fail_msg("cannot read %s", path);
    return bytes;
}

static inline const char *hex_of(const uint8_t *data, size_t len)
{
    static char text[2 * 64 + 1];

    assert_true(len <= 64);
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", data[i]);
    return text;
}

static inline void from_hex(const char *text, uint8_t *out, size_t len)
{
    assert_int_equal(strlen(text), 2 * len);
    for (size_t i = 0; i < len; i++) {
        unsigned byte;

        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
}

static inline void digest_of(const char *name, const void *data, size_t len, uint8_t *out)
{
    assert_true(EVP_Q_digest(NULL, name, NULL, data, len, out, NULL));
}

static inline void put_le(uint8_t *at, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

/* The image of Debian's ovmf package that the vectors were made with, else empty. */
static inline struct bawn_bytes debian_ovmf(const char *sha256)
{
    static const char *const paths[] = { "/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF.fd" };

    for (size_t i = 0; i < 2; i++) {
        struct bawn_bytes image = read_file(paths[i]);
        uint8_t digest[32];

        if (!image.data)
            continue;
        digest_of("SHA256", image.data, image.len, digest);
        if (!strcmp(hex_of(digest, 32), sha256))
            return image;
        drop(image);
    }
    return (struct bawn_bytes){ NULL, 0 };
}

/* What QEMU hands over for an empty kernel and no RAM disk. */
static inline void hashes_of(struct bawn_sev_hashes *h, const char *cmdline)
{
    digest_of("SHA256", "", 0, h->kernel);
    digest_of("SHA256", "", 0, h->initrd);
    digest_of("SHA256", cmdline, strlen(cmdline) + 1, h->cmdline);
}

#endif

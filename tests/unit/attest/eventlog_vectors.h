/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event logs for the tests: the real ones, and a writer of small ones.
 */
#ifndef TESTS_ATTEST_EVENTLOG_VECTORS_H
#define TESTS_ATTEST_EVENTLOG_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "attest/lib/event_decode.h"
#include "attest/lib/verify.h"

#define VECTORS "tests/vectors/"

/* The file in memory of exactly its size, so that a read past its end shows. */
static inline struct bawn_bytes load(const char *name)
{
    char path[256];
    long size;
    uint8_t *data;
    FILE *f;

    snprintf(path, sizeof(path), VECTORS "%s", name);
    f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size = ftell(f);
    assert_true(size >= 0);
    rewind(f);
    data = malloc((size_t)size + !size);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, f), size);
    fclose(f);
    return (struct bawn_bytes){ data, (size_t)size };
}

static inline void unload(struct bawn_bytes b)
{
    free((void *)(uintptr_t)b.data);
}

/* Changes what load() gave. */
static inline uint8_t *writable(struct bawn_bytes b)
{
    return (uint8_t *)(uintptr_t)b.data;
}

static inline void from_hex(const char *hex, uint8_t *out, size_t len)
{
    assert_int_equal(strlen(hex), 2 * len);
    for (size_t i = 0; i < len; i++) {
        unsigned value;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        out[i] = (uint8_t)value;
    }
}

/* A log being written. */
struct maker {
    uint8_t *data;
    size_t len, room;
};

static inline void put(struct maker *m, const void *data, size_t len)
{
    if (m->len + len > m->room) {
        m->room = (m->len + len) * 2;
        m->data = realloc(m->data, m->room);
        assert_non_null(m->data);
    }
    if (len)
        memcpy(m->data + m->len, data, len);
    m->len += len;
}

static inline void put_le(struct maker *m, uint64_t value, unsigned n)
{
    uint8_t b[8];

    for (unsigned i = 0; i < 8; i++)
        b[i] = (uint8_t)(value >> (8 * i));
    put(m, b, n);
}

/* The Spec ID event of a crypto-agile log with these algorithms (id, size pairs). */
static inline void put_spec_id(struct maker *m, const uint16_t (*algs)[2], uint32_t n,
                               uint32_t index)
{
    static const uint8_t zero[20];

    put_le(m, index, 4);
    put_le(m, EV_NO_ACTION, 4);
    put(m, zero, sizeof(zero));
    put_le(m, 29 + 4 * n, 4);
    put(m, "Spec ID Event03", 16);
    put(m, "\0\0\0\0\0\2\0\2", 8);
    put_le(m, n, 4);
    for (uint32_t i = 0; i < n; i++) {
        put_le(m, algs[i][0], 2);
        put_le(m, algs[i][1], 2);
    }
    put_le(m, 0, 1);
}

static inline void put_sha256_header(struct maker *m)
{
    static const uint16_t algs[][2] = { { 0x000b, 32 } };

    put_spec_id(m, algs, 1, 0);
}

/* An event of a log with SHA-256 alone; digest NULL: that of the data. */
static inline void put_event(struct maker *m, uint32_t index, uint32_t type, const uint8_t *digest,
                             const void *data, size_t len)
{
    uint8_t hash[32];

    assert_true(hash_bytes(HASH_SHA256, data, len, hash));
    put_le(m, index, 4);
    put_le(m, type, 4);
    put_le(m, 1, 4);
    put_le(m, 0x000b, 2);
    put(m, digest ? digest : hash, 32);
    put_le(m, len, 4);
    put(m, data, len);
}

/* What was written, in memory of exactly its size. */
static inline struct bawn_bytes made(struct maker *m)
{
    uint8_t *data = malloc(m->len + !m->len);

    assert_non_null(data);
    if (m->len)
        memcpy(data, m->data, m->len);
    free(m->data);
    *m = (struct maker){ .data = NULL, .len = m->len };
    return (struct bawn_bytes){ data, m->len };
}

#endif

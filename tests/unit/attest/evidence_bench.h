/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of what evidence is recognised: bytes of exact size in the forms that they come in, and
 * one verification, in which they are unpacked.
 */
#ifndef TESTS_ATTEST_EVIDENCE_BENCH_H
#define TESTS_ATTEST_EVIDENCE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "attest/lib/evidence.h"

#define VECTORS "tests/vectors/"
#define SNP VECTORS "snp/milan-v3-vcek-05b7438a.report.bin"
#define SNP_TURIN VECTORS "snp/turin-v5-vcek-85da705e.report.bin"
#define SNP_CERT VECTORS "snp/milan-v3-vcek-05b7438a.vcek.der"
#define TDX VECTORS "tdx/tdx-v4-b0c06f000000-149ed840.quote.bin"

/* ---- Bytes ---- */

/* Exactly as many as there are, so that a read past the end shows. */
static inline struct bawn_bytes copy(const void *data, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);

    assert_non_null(exact);
    if (len)
        memcpy(exact, data, len);
    return (struct bawn_bytes){ exact, len };
}

static inline struct bawn_bytes text(const char *s)
{
    return copy(s, strlen(s));
}

static inline struct bawn_bytes file(const char *path)
{
    static uint8_t buffer[1 << 20];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f)
        fail_msg("cannot open %s", path);
    n = fread(buffer, 1, sizeof(buffer), f);
    fclose(f);
    return copy(buffer, n);
}

static inline void drop(struct bawn_bytes b)
{
    free((void *)(uintptr_t)b.data);
}

static inline struct bawn_bytes joined(struct bawn_bytes a, struct bawn_bytes b)
{
    uint8_t *both = malloc(a.len + b.len + 1);
    struct bawn_bytes out;

    assert_non_null(both);
    memcpy(both, a.data, a.len);
    memcpy(both + a.len, b.data, b.len);
    out = copy(both, a.len + b.len);
    free(both);
    return out;
}

static inline char *hex(struct bawn_bytes b)
{
    char *out = malloc(2 * b.len + 1);

    assert_non_null(out);
    out[0] = '\0';
    for (size_t i = 0; i < b.len; i++)
        sprintf(out + 2 * i, "%02x", b.data[i]);
    return out;
}

static inline char *base64(struct bawn_bytes b)
{
    char *out = malloc(b.len / 3 * 4 + 8);

    assert_non_null(out);
    EVP_EncodeBlock((unsigned char *)out, b.data, (int)b.len);
    return out;
}

/* The URL alphabet, without padding. */
static inline char *base64url(struct bawn_bytes b)
{
    char *out = base64(b);

    for (char *p = out; *p; p++)
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
    return out;
}

/* printf into bytes of exact size. */
__attribute__((format(printf, 1, 2))) static inline struct bawn_bytes json(const char *fmt, ...)
{
    struct bawn_bytes out;
    va_list ap;
    char *s;

    va_start(ap, fmt);
    assert_true(vasprintf(&s, fmt, ap) >= 0);
    va_end(ap);
    out = text(s);
    free(s);
    return out;
}

/* ---- One verification ---- */

static struct bawn_attest_result *result;
static struct bawn_attest_input input;
static struct verification v;

static inline bool unpack_as(struct bawn_bytes evidence, enum bawn_evidence_kind kind)
{
    result_reset(result);
    result->explain = true;
    input = (struct bawn_attest_input){ .evidence = evidence, .kind = kind };
    v = (struct verification){ .input = &input, .r = result, .arena = &result->arena };
    return evidence_unpack(&v);
}

static inline bool unpack(struct bawn_bytes evidence)
{
    return unpack_as(evidence, BAWN_EVIDENCE_ANY);
}

static inline const struct bawn_finding *finding(enum bawn_finding_level level)
{
    const struct bawn_finding *f = result->findings.items;

    for (size_t i = 0; i < result->findings.n; i++)
        if (f[i].level == level)
            return &f[i];
    return NULL;
}

/* Not unpacked, as missing, with these words in the text or the found value. */
static inline void refused(struct bawn_bytes evidence, const char *check, const char *words)
{
    const struct bawn_finding *f;

    assert_false(unpack(evidence));
    f = finding(BAWN_FINDING_MISSING);
    assert_non_null(f);
    assert_string_equal(f->check, check);
    if (!strstr(f->text, words) && !strstr(f->found, words))
        fail_msg("no \"%s\" in: %s (%s)", words, f->text, f->found);
    assert_true(*f->advice);
    drop(evidence);
}

static inline void same(struct bawn_bytes part, struct bawn_bytes want)
{
    assert_int_equal(part.len, want.len);
    assert_memory_equal(part.data, want.data, want.len);
}

static inline int setup(void **state)
{
    (void)state;
    result = bawn_attest_result_create();
    return !result;
}

static inline int teardown(void **state)
{
    (void)state;
    bawn_attest_result_destroy(result);
    return 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of one judge: a verification in flight with its result, filled by hand, and what
 * came of it. Evidence is copied into blocks of its exact size, so that the sanitizer sees a
 * read past its end.
 */
#ifndef BAWN_TEST_SCENE_H
#define BAWN_TEST_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/lib/chain.h"
#include "attest/lib/json.h"
#include "attest/lib/verify.h"

struct scene {
    struct verification v;
    struct bawn_attest_input input;
    struct bawn_attest_result *r;
    struct bawn_trust *trust;
};

static inline void scene_open(struct scene *s, const struct bawn_bytes *roots, size_t n)
{
    struct bawn_error err = { "" };

    memset(s, 0, sizeof(*s));
    s->r = bawn_attest_result_create();
    assert_non_null(s->r);
    if (bawn_trust_create(&s->trust, roots, n, &err) != BAWN_OK)
        fail_msg("trust: %s", err.msg);
    s->v.trust = s->trust;
    s->v.input = &s->input;
    s->v.r = s->r;
    s->v.arena = &s->r->arena;
    s->v.cache = cache_begin(NULL, s->trust->crypto, s->v.arena);
    s->v.at = 1748736000; /* 2025-06-01 */
}

static inline void scene_close(struct scene *s)
{
    cache_end(s->v.cache, NULL);
    bawn_attest_result_destroy(s->r);
    bawn_trust_destroy(s->trust);
}

/* Forgets what was found and given; the trust stays. */
static inline void scene_again(struct scene *s)
{
    cache_end(s->v.cache, NULL);
    result_reset(s->r);
    s->r->explain = true;
    s->v.cache = cache_begin(NULL, s->trust->crypto, s->v.arena);
    memset(&s->v.ev, 0, sizeof(s->v.ev));
    memset(&s->v.end, 0, sizeof(s->v.end));
}

/* What the findings so far amount to. */
static inline enum bawn_verdict scene_verdict(const struct scene *s)
{
    const struct bawn_finding *f = s->r->findings.items;
    enum bawn_verdict verdict = s->r->arena.failed ? BAWN_CANNOT_JUDGE : BAWN_TRUSTED;

    for (size_t i = 0; i < s->r->findings.n; i++) {
        if (f[i].level == BAWN_FINDING_REFUSED)
            return BAWN_NOT_TRUSTED;
        if (f[i].level == BAWN_FINDING_MISSING)
            verdict = BAWN_CANNOT_JUDGE;
    }
    return verdict;
}

static inline const struct bawn_finding *result_finding(const struct bawn_attest_result *r,
                                                        const char *check,
                                                        enum bawn_finding_level level)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r, &f);

    for (size_t i = 0; i < n; i++)
        if (f[i].level == level && !strcmp(f[i].check, check))
            return &f[i];
    return NULL;
}

static inline void show_findings(const struct bawn_attest_result *r)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r, &f);

    for (size_t i = 0; i < n; i++)
        print_message("# %d %s: %s (expected %s, found %s)\n", f[i].level, f[i].check, f[i].text,
                      f[i].expected, f[i].found);
}

/* The finding is there, its text holds those words, and it names source and advice. */
static inline void expect_finding(const struct bawn_attest_result *r, const char *check,
                                  enum bawn_finding_level level, const char *words)
{
    const struct bawn_finding *f = result_finding(r, check, level);

    if (!f || !strstr(f->text, words)) {
        show_findings(r);
        fail_msg("no finding %s of level %d with \"%s\"", check, level, words);
        return;
    }
    assert_true(level == BAWN_FINDING_PASS || (*f->source && *f->advice));
}

static inline void expect_verdict(const struct scene *s, enum bawn_verdict want)
{
    if (scene_verdict(s) != want) {
        show_findings(s->r);
        fail_msg("verdict %d, not %d", scene_verdict(s), want);
    }
}

static inline void expect_claim(const struct bawn_attest_result *r, const char *name,
                                const char *value)
{
    const struct bawn_claim *c = bawn_attest_result_claim(r, name);
    char text[1024];

    if (!c) {
        fail_msg("no claim %s", name);
        return;
    }
    bawn_claim_print(c, text, sizeof(text));
    assert_string_equal(text, value);
}

/* The whole library's word on evidence; the result is the caller's to destroy. */
static inline enum bawn_verdict whole_verdict(struct bawn_attest_result **r,
                                              const struct bawn_bytes *roots, size_t nr_roots,
                                              const struct bawn_attest_input *input)
{
    struct bawn_error err = { "" };
    struct bawn_trust *trust;
    enum bawn_verdict verdict;

    if (bawn_trust_create(&trust, roots, nr_roots, &err) != BAWN_OK)
        fail_msg("trust: %s", err.msg);
    *r = bawn_attest_result_create();
    assert_non_null(*r);
    verdict = bawn_attest_verify(trust, NULL, input, *r);
    bawn_trust_destroy(trust);
    return verdict;
}

/* ---- Bytes ---- */

struct blob {
    uint8_t *data;
    size_t len;
};

static inline struct bawn_bytes bytes_of(const struct blob *b)
{
    return (struct bawn_bytes){ b->data, b->len };
}

static inline struct blob blob_of(const void *data, size_t len)
{
    struct blob b = { malloc(len ? len : 1), len };

    assert_non_null(b.data);
    if (len)
        memcpy(b.data, data, len);
    return b;
}

static inline void blob_free(struct blob *b)
{
    free(b->data);
    *b = (struct blob){ NULL, 0 };
}

static inline struct blob file_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct blob b = { NULL, 0 };
    long size;

    if (!f) {
        fail_msg("cannot open %s", path);
        return b;
    }
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size = ftell(f);
    assert_true(size >= 0);
    rewind(f);
    b = (struct blob){ malloc((size_t)size + 1), (size_t)size };
    assert_non_null(b.data);
    assert_int_equal(fread(b.data, 1, b.len, f), b.len);
    fclose(f);
    return b;
}

/* A member of a JSON file: "quote.message", decoded from hex, base64 or an array of numbers. */
static inline struct blob json_member(const char *path, const char *outer, const char *inner)
{
    struct blob file = file_read(path), out = { NULL, 0 };
    struct arena a = { 0 };
    struct bawn_bytes b, decoded;
    struct js j;
    uint32_t v;

    assert_true(js_parse(&j, &a, bytes_of(&file)));
    v = outer ? js_get(&j, js_get(&j, 0, outer), inner) : js_get(&j, 0, inner);
    if (js_type(&j, v) == JS_ARRAY) {
        out = (struct blob){ malloc(js_count(&j, v)), 0 };
        for (uint32_t e = js_first(&j, v); e != JS_ABSENT; e = js_next(&j, v, e)) {
            uint64_t byte = 256;

            assert_true(js_uint(&j, e, &byte) && byte < 256);
            out.data[out.len++] = (uint8_t)byte;
        }
    } else {
        assert_true(js_string(&j, v, &b));
        assert_true(hex_decode(&a, b, &decoded) || base64_decode(&a, b, &decoded));
        out = blob_of(decoded.data, decoded.len);
    }
    arena_free(&a);
    blob_free(&file);
    return out;
}

/* The array of PCR values of such a file, as a bank in the arena. */
static inline void json_pcrs(struct arena *arena, const char *path, const char *outer,
                             struct pcr_bank *bank)
{
    struct blob file = file_read(path);
    struct bawn_bytes text = arena_copy(arena, file.data, file.len);
    unsigned n = 0;
    struct js j;
    uint32_t v;

    blob_free(&file);
    assert_true(js_parse(&j, arena, text));
    v = js_get(&j, js_get(&j, 0, outer), "pcrs");
    *bank = (struct pcr_bank){ .alg = HASH_SHA256 };
    for (uint32_t e = js_first(&j, v); e != JS_ABSENT; e = js_next(&j, v, e)) {
        struct bawn_bytes value;

        assert_true(n < TPM_PCRS);
        if (js_type(&j, e) == JS_ARRAY) {
            uint8_t *p = arena_alloc(arena, js_count(&j, e));
            uint64_t byte;
            size_t i = 0;

            for (uint32_t b = js_first(&j, e); b != JS_ABSENT; b = js_next(&j, e, b)) {
                assert_true(js_uint(&j, b, &byte));
                p[i++] = (uint8_t)byte;
            }
            value = (struct bawn_bytes){ p, i };
        } else {
            assert_true(js_hex(&j, e, &value));
        }
        bank->value[n++] = value;
    }
}

#endif

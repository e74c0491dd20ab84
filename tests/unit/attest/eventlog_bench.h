/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the judge of event logs: a result, what is signed beside the log, and what came of
 * it.
 */
#ifndef TESTS_ATTEST_EVENTLOG_BENCH_H
#define TESTS_ATTEST_EVENTLOG_BENCH_H

#include "tests/unit/attest/eventlog_vectors.h"

struct bench {
    struct bawn_attest_result *r;
    struct verification v;
};

static inline void begin(struct bench *b)
{
    b->r = bawn_attest_result_create();
    assert_non_null(b->r);
    b->r->explain = true;
    b->v = (struct verification){ .r = b->r, .arena = &b->r->arena };
}

static inline void end(struct bench *b)
{
    bawn_attest_result_destroy(b->r);
}

/* The finding of that check with at least this level, or NULL. */
static inline const struct bawn_finding *find(const struct bench *b, const char *check,
                                              enum bawn_finding_level level)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(b->r, &f);

    for (size_t i = 0; i < n; i++) {
        if (!strcmp(f[i].check, check) && f[i].level >= level)
            return &f[i];
    }
    return NULL;
}

static inline const struct bawn_claim *claim(const struct bench *b, const char *name)
{
    return bawn_attest_result_claim(b->r, name);
}

static inline void assert_text(const struct bench *b, const char *name, const char *want)
{
    const struct bawn_claim *c = claim(b, name);

    if (!c || c->kind != BAWN_CLAIM_TEXT)
        fail_msg("no text claim %s", name);
    else
        assert_string_equal(c->text, want);
}

static inline void assert_uint(const struct bench *b, const char *name, uint64_t want)
{
    const struct bawn_claim *c = claim(b, name);

    if (!c || c->kind != BAWN_CLAIM_UINT)
        fail_msg("no number %s", name);
    else
        assert_int_equal(c->uint, want);
}

static inline void assert_bool(const struct bench *b, const char *name, bool want)
{
    const struct bawn_claim *c = claim(b, name);

    if (!c || c->kind != BAWN_CLAIM_BOOL)
        fail_msg("no boolean %s", name);
    else
        assert_int_equal(c->boolean, want);
}

/* As tpm.c leaves it: the values of the PCRs in the mask are signed. They are those that the log
 * replays to (which eventlog_test.c compares with other programs' word). */
static inline void quote(struct bench *b, struct bawn_bytes bytes, enum hash_alg bank,
                         uint32_t mask)
{
    struct eventlog_replay *replay = arena_alloc(&b->r->arena, sizeof(*replay));
    struct bawn_error err;
    struct eventlog log;

    assert_int_equal(eventlog_open(&log, bytes, false, &err), BAWN_OK);
    assert_int_equal(eventlog_replay(&log, bank, replay, &err), BAWN_OK);
    claim_text(b->r, "tpm.pcr_bank", hash_name(bank));
    for (int n = 0; n < TPM_PCRS; n++) {
        if (mask & 1u << n)
            claim_bytes_at(b->r, "tpm.pcr", n, replay->value[n], hash_size(bank));
    }
    b->v.ev.tpm_message = (struct bawn_bytes){ (const uint8_t *)"quote", 5 };
}

/* Another value for a signed PCR. */
static inline void disturb(struct bench *b, int index)
{
    struct bawn_claim *c = b->r->claims.items;

    for (size_t i = 0; i < b->r->claims.n; i++) {
        if (c[i].index == index && !strcmp(c[i].name, "tpm.pcr"))
            ((uint8_t *)(uintptr_t)c[i].bytes.data)[5] ^= 4;
    }
}

/* RTMR0..3 of a real TDX quote, as the quote's judge leaves them. */
static inline void quote_rtmrs(struct bench *b, struct bawn_bytes quote)
{
    enum { TD_REPORT = 48, RTMR0 = 328, SIZE = 48 }; /* Intel TDX DCAP, A.3.2 */

    for (int i = 0; i < 4; i++)
        claim_bytes_at(b->r, "tdx.rtmr", i, quote.data + TD_REPORT + RTMR0 + SIZE * i, SIZE);
    b->v.ev.quote = quote;
}

#endif

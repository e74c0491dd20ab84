// SPDX-License-Identifier: Apache-2.0
/*
 * Shared parts of the fuzz targets of libbawn-attest.
 */
#include "fuzz/attest/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/lib/crypto.h"

static bool accept_signatures;

void fuzz_accept_signatures(void)
{
    accept_signatures = true;
}

/* The two shapes of crypto.c's functions; see --wrap in ld(1). */
#define WRAP_DER(name)                                                            \
    bool __real_##name(struct bawn_attest_cache *cache, const struct pubkey *key, \
                       const struct sig_alg *alg, struct bawn_bytes message,      \
                       struct bawn_bytes sig);                                    \
    bool __wrap_##name(struct bawn_attest_cache *cache, const struct pubkey *key, \
                       const struct sig_alg *alg, struct bawn_bytes message,      \
                       struct bawn_bytes sig);                                    \
    bool __wrap_##name(struct bawn_attest_cache *cache, const struct pubkey *key, \
                       const struct sig_alg *alg, struct bawn_bytes message,      \
                       struct bawn_bytes sig)                                     \
    {                                                                             \
        return accept_signatures || __real_##name(cache, key, alg, message, sig); \
    }
#define WRAP_RAW(name)                                                                  \
    bool __real_##name(struct bawn_attest_cache *cache, const struct pubkey *key,       \
                       enum hash_alg hash, struct bawn_bytes message, const uint8_t *r, \
                       const uint8_t *s);                                               \
    bool __wrap_##name(struct bawn_attest_cache *cache, const struct pubkey *key,       \
                       enum hash_alg hash, struct bawn_bytes message, const uint8_t *r, \
                       const uint8_t *s);                                               \
    bool __wrap_##name(struct bawn_attest_cache *cache, const struct pubkey *key,       \
                       enum hash_alg hash, struct bawn_bytes message, const uint8_t *r, \
                       const uint8_t *s)                                                \
    {                                                                                   \
        return accept_signatures || __real_##name(cache, key, hash, message, r, s);     \
    }
WRAP_DER(sig_verify)
WRAP_DER(sig_verify_once)
WRAP_RAW(sig_verify_raw)
WRAP_RAW(sig_verify_raw_kept)

struct bawn_bytes fuzz_vector(const char *name)
{
    enum { LARGEST = 1 << 20 };
    uint8_t *data = malloc(LARGEST), *exact;
    char path[512];
    size_t len;
    FILE *f;

    snprintf(path, sizeof(path), "tests/vectors/%s", name);
    f = fopen(path, "rb");
    if (!f || !data) {
        fprintf(stderr, "fuzz: cannot read %s; run from the repository root\n", path);
        exit(1);
    }
    len = fread(data, 1, LARGEST, f);
    fclose(f);
    exact = realloc(data, len ? len : 1);
    return (struct bawn_bytes){ exact ? exact : data, len };
}

static const struct bawn_trust *trust(void)
{
    static struct bawn_trust *trust;
    struct bawn_error err;

    if (!trust && bawn_trust_create(&trust, NULL, 0, &err) != BAWN_OK) {
        fprintf(stderr, "fuzz: %s\n", err.msg);
        exit(1);
    }
    return trust;
}

static struct bawn_attest_result *result(void)
{
    static struct bawn_attest_result *result;

    if (!result)
        result = bawn_attest_result_create();
    if (!result)
        exit(1);
    return result;
}

/* A text must be readable to its end and fit to be shown. */
static void check_text(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20)
            abort();
}

static void check_result(const struct bawn_attest_result *r, enum bawn_verdict verdict)
{
    const struct bawn_finding *findings;
    const struct bawn_claim *claims;
    const struct bawn_event *events;
    size_t refused = 0, missing = 0, n;
    static char text[1 << 17];

    n = bawn_attest_result_findings(r, &findings);
    for (size_t i = 0; i < n; i++) {
        refused += findings[i].level == BAWN_FINDING_REFUSED;
        missing += findings[i].level == BAWN_FINDING_MISSING;
        check_text(findings[i].text);
        check_text(findings[i].claim);
        check_text(findings[i].expected);
        check_text(findings[i].found);
    }
    if (verdict == BAWN_TRUSTED && (refused || missing))
        abort();
    if (verdict != BAWN_TRUSTED && !refused && !missing)
        abort();
    n = bawn_attest_result_claims(r, &claims);
    for (size_t i = 0; i < n; i++) {
        check_text(claims[i].name);
        bawn_claim_print(&claims[i], text, sizeof(text));
        check_text(text);
    }
    n = bawn_attest_result_events(r, &events);
    for (size_t i = 0; i < n; i++) {
        check_text(events[i].type_name);
        check_text(events[i].text);
    }
    check_text(bawn_attest_result_subject(r));
}

enum bawn_verdict fuzz_verify(enum bawn_evidence_kind kind, struct bawn_bytes evidence,
                              const struct bawn_bytes *endorsements, size_t n, int64_t at)
{
    struct bawn_attest_input in = {
        .evidence = evidence,
        .kind = kind,
        .endorsements = endorsements,
        .nr_endorsements = n,
        .at = at,
        .flags = BAWN_ATTEST_EXPLAIN,
    };
    struct bawn_attest_result *r = result();
    enum bawn_verdict verdict = bawn_attest_verify(trust(), NULL, &in, r);

    check_result(r, verdict);
    return verdict;
}

struct verification *fuzz_verification(int64_t at)
{
    static const struct bawn_attest_input in;
    static struct verification v;

    result_reset(result());
    v = (struct verification){
        .trust = trust(), .input = &in, .r = result(), .arena = &result()->arena, .at = at
    };
    return &v;
}

/* What is made at first use is made before the first input, so that the same input is the same run
 * each time: the roots, and memory for what inputs of 64 KiB need. */
__attribute__((constructor)) static void warm(void)
{
    struct verification *v = fuzz_verification(0);

    for (size_t size = 8 << 10; size <= 1 << 20; size *= 2)
        if (!arena_alloc(v->arena, size))
            exit(1);
    result_reset(result());
}

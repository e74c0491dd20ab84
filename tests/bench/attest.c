// SPDX-License-Identifier: Apache-2.0
/*
 * Times libbawn-attest on real evidence against the bare signature checks inside it, which
 * OpenSSL makes in the same run: CPU per verification, p50 and p99, where the time goes, and
 * what is allocated. Linked with --wrap for the allocator and the signature functions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <bawn/attest.h>

#include "attest/lib/crypto.h"

#define VECTORS "tests/vectors/"
#define MAX_ENDORSEMENTS 3

/* ---- Clocks and counters ---- */

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t allocations, signature_ns, signatures;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    allocations++;
    return __real_realloc(p, size);
}

static bool time_signatures; /* the clock itself costs, so not while totals are taken */

static uint64_t signature_begin(void)
{
    return time_signatures ? cpu_ns() : 0;
}

static bool signature_end(uint64_t start, bool ok)
{
    if (time_signatures) {
        signature_ns += cpu_ns() - start;
        signatures++;
    }
    return ok;
}

/* The two shapes of crypto.c's functions; see --wrap in ld(1). */
#define WRAP_DER(name)                                                             \
    bool __real_##name(struct bawn_attest_cache *cache, const struct pubkey *key,  \
                       const struct sig_alg *alg, struct bawn_bytes message,       \
                       struct bawn_bytes sig);                                     \
    bool __wrap_##name(struct bawn_attest_cache *cache, const struct pubkey *key,  \
                       const struct sig_alg *alg, struct bawn_bytes message,       \
                       struct bawn_bytes sig);                                     \
    bool __wrap_##name(struct bawn_attest_cache *cache, const struct pubkey *key,  \
                       const struct sig_alg *alg, struct bawn_bytes message,       \
                       struct bawn_bytes sig)                                      \
    {                                                                              \
        uint64_t start = signature_begin();                                        \
                                                                                   \
        return signature_end(start, __real_##name(cache, key, alg, message, sig)); \
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
        uint64_t start = signature_begin();                                             \
                                                                                        \
        return signature_end(start, __real_##name(cache, key, hash, message, r, s));    \
    }
WRAP_DER(sig_verify)
WRAP_DER(sig_verify_once)
WRAP_RAW(sig_verify_raw)
WRAP_RAW(sig_verify_raw_kept)

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* ---- OpenSSL's own figures ---- */

enum bare { BARE_P256, BARE_P384, BARE_RSA4096, BARES };

struct bare_key {
    const char *name;
    EVP_PKEY *key;
    EVP_PKEY_CTX *verify;
    uint8_t digest[48];
    size_t digest_len;
    uint8_t sig[512];
    size_t sig_len;
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench-attest: %s failed\n", what);
        exit(1);
    }
}

static EVP_PKEY_CTX *context(const struct bare_key *b, bool sign)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(b->key, NULL);

    must(ctx && (sign ? EVP_PKEY_sign_init(ctx) : EVP_PKEY_verify_init(ctx)) == 1, "EVP context");
    if (EVP_PKEY_is_a(b->key, "RSA"))
        must(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                 EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha384()) == 1 &&
                 EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 48) == 1,
             "PSS parameters");
    return ctx;
}

static void bare_create(struct bare_key *b, const char *name, EVP_PKEY *key, size_t digest_len)
{
    EVP_PKEY_CTX *sign;

    b->name = name;
    b->key = key;
    must(key, name);
    b->digest_len = digest_len;
    memset(b->digest, 0x5a, sizeof(b->digest));
    b->sig_len = sizeof(b->sig);
    sign = context(b, true);
    must(EVP_PKEY_sign(sign, b->sig, &b->sig_len, b->digest, digest_len) == 1, "signing");
    EVP_PKEY_CTX_free(sign);
    b->verify = context(b, false);
}

static bool bare_verify(struct bare_key *b)
{
    return EVP_PKEY_verify(b->verify, b->sig, b->sig_len, b->digest, b->digest_len) == 1;
}

/* ---- Cases ---- */

struct bench_case {
    const char *name, *evidence, *endorsements[MAX_ENDORSEMENTS];
    int64_t at;
    bool cached;
    unsigned checks[BARES]; /* signatures inside, of each kind */
};

/* Without a cache: the report, the VCEK and the ASK; or the quote, the QE report, two PCK
 * certificates, the TCB signer, TCB info, QE identity and two CRLs. Roots are trusted as they
 * are. With a warm cache: the report alone; the quote and its QE report. */
static const struct bench_case cases[] = {
    { "SNP report and chain",
      "snp/milan-v3-vcek-05b7438a.report.bin",
      { "snp/milan-v3-vcek-05b7438a.vcek.der" },
      1767225600,
      false,
      { [BARE_P384] = 1, [BARE_RSA4096] = 2 } },
    { "SNP report, chain cached",
      "snp/milan-v3-vcek-05b7438a.report.bin",
      { "snp/milan-v3-vcek-05b7438a.vcek.der" },
      1767225600,
      true,
      { [BARE_P384] = 1 } },
    { "TDX quote, full collateral",
      "tdx/tdx-v4-00806f050000-c39a3a25.quote.bin",
      { "tdx/tdx-v4-00806f050000-c39a3a25.collateral-2025-10-19.json" },
      1761920231,
      false,
      { [BARE_P256] = 9 } },
    { "TDX quote, collateral cached",
      "tdx/tdx-v4-00806f050000-c39a3a25.quote.bin",
      { "tdx/tdx-v4-00806f050000-c39a3a25.collateral-2025-10-19.json" },
      1761920231,
      true,
      { [BARE_P256] = 2 } },
};

static struct bawn_bytes read_file(const char *name)
{
    char path[256];
    uint8_t *data = malloc(1u << 20);
    size_t len;
    FILE *f;

    snprintf(path, sizeof(path), VECTORS "%s", name);
    f = fopen(path, "rb");
    must(f && data, path);
    len = fread(data, 1, 1u << 20, f);
    fclose(f);
    return (struct bawn_bytes){ data, len };
}

struct measured {
    double mean, p50, p99;          /* microseconds of CPU */
    double bare;                    /* the bare checks, measured between the verifications */
    double allocations, signatures; /* per verification */
    double signature_us;
};

/* Verifications and bare checks by turns, so that both see the same machine. */
static void measure(const struct bench_case *c, struct bare_key *bares, unsigned rounds,
                    struct measured *m)
{
    struct bawn_attest_cache *cache = c->cached ? bawn_attest_cache_create(64) : NULL;
    struct bawn_attest_result *result = bawn_attest_result_create();
    struct bawn_bytes endorsements[MAX_ENDORSEMENTS] = { 0 };
    uint64_t *times = calloc(rounds, sizeof(*times)), total = 0, bare_total = 0;
    struct bawn_trust *trust;
    struct bawn_error err;
    struct bawn_attest_input in = { .evidence = read_file(c->evidence),
                                    .endorsements = endorsements,
                                    .at = c->at };

    while (in.nr_endorsements < MAX_ENDORSEMENTS && c->endorsements[in.nr_endorsements]) {
        endorsements[in.nr_endorsements] = read_file(c->endorsements[in.nr_endorsements]);
        in.nr_endorsements++;
    }
    must(bawn_trust_create(&trust, NULL, 0, &err) == BAWN_OK, "the trust");
    for (int i = 0; i < 20; i++)
        must(bawn_attest_verify(trust, cache, &in, result) == BAWN_TRUSTED, c->evidence);
    allocations = 0;
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t start = cpu_ns();
        bool ok = bawn_attest_verify(trust, cache, &in, result) == BAWN_TRUSTED;

        times[i] = cpu_ns() - start;
        total += times[i];
        must(ok, c->evidence);
        start = cpu_ns();
        for (int kind = 0; kind < BARES; kind++)
            for (unsigned n = 0; n < c->checks[kind]; n++)
                must(bare_verify(&bares[kind]), bares[kind].name);
        bare_total += cpu_ns() - start;
    }
    m->allocations = (double)allocations / rounds;
    time_signatures = true;
    signature_ns = signatures = 0;
    for (unsigned i = 0; i < rounds; i++)
        bawn_attest_verify(trust, cache, &in, result);
    time_signatures = false;
    m->signature_us = (double)signature_ns / rounds / 1e3;
    m->signatures = (double)signatures / rounds;
    qsort(times, rounds, sizeof(*times), compare_times);
    m->mean = (double)total / rounds / 1e3;
    m->bare = (double)bare_total / rounds / 1e3;
    m->p50 = (double)times[rounds / 2] / 1e3;
    m->p99 = (double)times[rounds * 99 / 100] / 1e3;
    bawn_trust_destroy(trust);
    bawn_attest_cache_destroy(cache);
    bawn_attest_result_destroy(result);
    for (size_t i = 0; i < in.nr_endorsements; i++)
        free((void *)(uintptr_t)endorsements[i].data);
    free((void *)(uintptr_t)in.evidence.data);
    free(times);
}

static void print_bare(struct bare_key *b)
{
    enum { ROUNDS = 300 };
    uint64_t start = cpu_ns();

    for (int i = 0; i < ROUNDS; i++)
        must(bare_verify(b), b->name);
    printf("  OpenSSL, bare %-10s %9.1f us\n", b->name, (double)(cpu_ns() - start) / ROUNDS / 1e3);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 500;
    struct bare_key bares[BARES];

    if (!rounds)
        rounds = 1;
    bare_create(&bares[BARE_P256], "P-256", EVP_EC_gen("P-256"), 32);
    bare_create(&bares[BARE_P384], "P-384", EVP_EC_gen("P-384"), 48);
    bare_create(&bares[BARE_RSA4096], "RSA-4096", EVP_RSA_gen(4096), 48);
    for (int i = 0; i < BARES; i++)
        print_bare(&bares[i]);
    printf("\n%-30s %8s %8s %8s %9s %7s %8s %7s %7s\n", "CPU us per verification", "mean", "p50",
           "p99", "bare", "ratio", "1/s", "other", "allocs");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct measured m;

        measure(&cases[i], bares, rounds, &m);
        printf("%-30s %8.1f %8.1f %8.1f %9.1f %7.2f %8.0f %7.1f %7.2f\n", cases[i].name, m.mean,
               m.p50, m.p99, m.bare, m.mean / m.bare, 1e6 / m.mean, m.mean - m.signature_us,
               m.allocations);
    }
    printf("\nbare: the signature checks inside it, by OpenSSL with keys ready, in the same run.\n"
           "other: what is not signature checking or the keys for it: parsing, hashing, rules.\n"
           "allocs: calls of the allocator by this library in each verification.\n");
    for (int i = 0; i < BARES; i++) {
        EVP_PKEY_CTX_free(bares[i].verify);
        EVP_PKEY_free(bares[i].key);
    }
    return 0;
}

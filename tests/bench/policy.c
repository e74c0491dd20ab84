// SPDX-License-Identifier: Apache-2.0
/*
 * How long a policy of 100 rules takes to decide over as many claims as a report has, when it
 * allows and when every rule denies, and how often it allocates. Reported, not asserted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bawn/policy.h>

#define RULES 100u
#define ROUNDS 20000u

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static size_t allocations;

void *__wrap_malloc(size_t n)
{
    allocations++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    allocations++;
    return __real_realloc(p, n);
}

static const char *const bodies[] = {
    "\"claim\":\"snp.vmpl\",\"equals\":0",
    "\"claim\":\"snp.policy.debug\",\"equals\":false",
    "\"claim\":\"snp.measurement\",\"in_reference\":\"good\"",
    "\"claim\":\"snp.reported_tcb\",\"at_least\":\"0400000000001800\"",
    "\"claim\":\"snp.product\",\"one_of\":[\"Genoa\",\"Turin\",\"Milan\"]",
};

static struct bawn_policy *make(void)
{
    static char text[65536];
    struct bawn_error err;
    struct bawn_policy *p;
    int n = snprintf(text, sizeof(text),
                     "{\"bawn_policy\":1,\"id\":\"bench\",\"version\":\"1\",\"evidence\":[\"snp\"],"
                     "\"rules\":[");

    for (unsigned i = 0; i < RULES; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "%s{\"id\":\"r%u\",\"reason\":\"because it must\",%s}", i ? "," : "", i,
                      bodies[i % 5]);
    n += snprintf(text + n, sizeof(text) - (size_t)n, "]}");
    if (bawn_policy_create(&p, "bench", (struct bawn_bytes){ (uint8_t *)text, (size_t)n }, NULL,
                           NULL, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    return p;
}

static void measure(const char *what, const struct bawn_policy *p,
                    const struct bawn_policy_input *in, struct bawn_policy_result *r)
{
    struct timespec a, b;
    unsigned allowed = bawn_policy_evaluate(p, in, r);

    allocations = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (unsigned i = 0; i < ROUNDS; i++)
        allowed += bawn_policy_evaluate(p, in, r);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    printf("%-8s %6.2f us of processor time a decision, %zu allocations, %u of %u allowed\n", what,
           ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS / 1e3,
           allocations, allowed, ROUNDS + 1);
}

int main(void)
{
    static uint8_t digest[48], tcb[8] = { 4, 0, 0, 0, 0, 0, 0x18, 0xdb };
    static char names[120][32], hex[97];
    struct bawn_claim claims[125];
    struct bawn_policy_result *r = bawn_policy_result_create();
    struct bawn_refs *refs = bawn_refs_create();
    struct bawn_policy *p = make();
    struct bawn_policy_input in = {
        .evidence = "snp", .claims = claims, .nr_claims = 125, .refs = refs
    };
    struct bawn_error err;

    memset(hex, '0', 96);
    for (unsigned i = 0; i < 120; i++) {
        snprintf(names[i], sizeof(names[i]), "snp.other_claim.number_%u", i);
        claims[i] = (struct bawn_claim){ .name = names[i], .index = -1, .kind = BAWN_CLAIM_UINT };
    }
    claims[120] = (struct bawn_claim){ .name = "snp.vmpl", .index = -1, .kind = BAWN_CLAIM_UINT };
    claims[121] =
        (struct bawn_claim){ .name = "snp.policy.debug", .index = -1, .kind = BAWN_CLAIM_BOOL };
    claims[122] = (struct bawn_claim){
        .name = "snp.measurement", .index = -1, .kind = BAWN_CLAIM_BYTES, .bytes = { digest, 48 }
    };
    claims[123] = (struct bawn_claim){
        .name = "snp.reported_tcb", .index = -1, .kind = BAWN_CLAIM_BYTES, .bytes = { tcb, 8 }
    };
    claims[124] = (struct bawn_claim){
        .name = "snp.product", .index = -1, .kind = BAWN_CLAIM_TEXT, .text = "Milan"
    };
    if (!r || !refs || bawn_refs_add(refs, "good", hex, 0, &err))
        return 1;
    printf("%u rules, %zu claims\n", RULES, in.nr_claims);
    measure("allowed", p, &in, r);
    claims[120].uint = 1;
    claims[121].boolean = true;
    digest[0] = 1;
    tcb[0] = 0;
    claims[124].text = "Naples";
    measure("denied", p, &in, r);
    bawn_policy_destroy(p);
    bawn_refs_destroy(refs);
    bawn_policy_result_destroy(r);
    return 0;
}

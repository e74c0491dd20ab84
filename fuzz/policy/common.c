// SPDX-License-Identifier: Apache-2.0
/*
 * Decisions, and what must hold of each: only trusted evidence is allowed, a denial has a reason,
 * texts are never NULL, a status fits the decision.
 */
#include "fuzz/policy/common.h"

#include <string.h>

static void must(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void check(const struct bawn_policy_result *r, const struct bawn_policy_input *in,
                  bool allowed)
{
    const struct bawn_trace *t;
    const char *const *reasons;
    size_t n = bawn_policy_result_trace(r, &t);

    must(!allowed || in->verdict == BAWN_TRUSTED);
    must(allowed == bawn_policy_result_allowed(r));
    for (size_t i = 0; i < n; i++) {
        must(t[i].rule && t[i].group && t[i].claim && t[i].requirement && t[i].found &&
             t[i].reason && *t[i].rule);
        must(strlen(t[i].found) + strlen(t[i].requirement) < SIZE_MAX / 2);
    }
    n = bawn_policy_result_reasons(r, &reasons);
    must((n > 0) == !allowed);
    for (size_t i = 0; i < n; i++)
        must(strlen(reasons[i]) > 1);
    must(allowed || strcmp(bawn_policy_result_status(r), "affirming") != 0);
}

void fuzz_decide_on(const struct bawn_policy *p, const struct bawn_claim *claims, size_t n)
{
    static const char *const kinds[] = { "snp", "tdx", "launch", NULL };
    struct bawn_policy_result *r = bawn_policy_result_create();
    struct bawn_refs *refs = bawn_refs_create();
    struct bawn_error err;

    must(r && refs);
    bawn_refs_add(refs, "s", "0", 0, &err);
    for (unsigned i = 0; i < 16; i++) {
        const struct bawn_policy_input in = { .evidence = kinds[i % 4],
                                              .verdict = (enum bawn_verdict)(i / 4 % 3),
                                              .foreign_root = i / 4 == 3,
                                              .claims = claims,
                                              .nr_claims = n,
                                              .refs = refs,
                                              .at = 1 };

        check(r, &in, bawn_policy_evaluate(p, &in, r));
    }
    bawn_policy_result_destroy(r);
    bawn_refs_destroy(refs);
}

void fuzz_decide(const struct bawn_policy *p)
{
    static const struct bawn_claim some[] = {
        { .name = "snp.vmpl", .index = -1, .kind = BAWN_CLAIM_UINT },
        { .name = "snp.policy.debug", .index = -1, .kind = BAWN_CLAIM_BOOL },
        { .name = "snp.measurement", .index = -1, .kind = BAWN_CLAIM_BYTES },
        { .name = "snp.product", .index = -1, .kind = BAWN_CLAIM_TEXT, .text = "" },
        { .name = "launch.cmdline", .index = -1, .kind = BAWN_CLAIM_TEXT, .text = "quiet" },
    };

    fuzz_decide_on(p, NULL, 0);
    fuzz_decide_on(p, some, sizeof(some) / sizeof(some[0]));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The order of a verification, and the verdict. Each kind of evidence is judged in its own
 * file; here is only which ones there are and what their findings amount to.
 */
#include "attest/lib/verify.h"

#define BAWN_ATTEST_VERSION "0.2.0"

static const struct check signed_evidence = {
    .name = "evidence.signed",
    .source = "RFC 9334, 8.1",
    .how = "at least one part of the evidence must be signed by hardware",
    .advice = "give the report or quote itself; logs and endorsements prove nothing alone",
};

/* What vouches for a guest, in the order in which one part leads to the next: Azure's report
 * holds the SNP report and the TPM's key; the log is judged by the registers of the others. */
static bool run_judges(struct verification *v)
{
    bool vouched = false;

    if (v->ev.hcl_report.len)
        azure_verify(v);
    if (v->ev.snp_report.len) {
        snp_verify(v);
        vouched = true;
    }
    if (v->ev.quote.len) {
        quote_verify(v);
        vouched = true;
    }
    if (v->ev.tpm_message.len) {
        tpm_verify(v);
        vouched = true;
    }
    if (v->ev.event_log.len || v->ev.cc_log.len)
        eventlog_verify(v);
    return vouched || check_missing(v->r, &signed_evidence, NULL, NULL,
                                    "nothing in the evidence is signed by hardware");
}

static const struct bawn_finding out_of_memory = {
    .level = BAWN_FINDING_MISSING,
    .check = "memory",
    .text = "there was not enough memory to judge the evidence",
    .claim = "",
    .expected = "",
    .found = "",
    .source = "",
    .advice = "try again with more memory or smaller input",
};

static enum bawn_verdict conclude(struct bawn_attest_result *r)
{
    const struct bawn_finding *f = r->findings.items;
    bool refused = false, missing = false;

    if (r->arena.failed) {
        r->findings = (struct list){ .items = (void *)(uintptr_t)&out_of_memory, .n = 1 };
        r->claims.n = r->events.n = 0;
        return BAWN_CANNOT_JUDGE;
    }
    for (size_t i = 0; i < r->findings.n; i++) {
        refused |=
            f[i].level == BAWN_FINDING_REFUSED || (r->strict && f[i].level == BAWN_FINDING_WARNING);
        missing |= f[i].level == BAWN_FINDING_MISSING;
    }
    if (refused)
        return BAWN_NOT_TRUSTED;
    return missing ? BAWN_CANNOT_JUDGE : BAWN_TRUSTED;
}

enum bawn_verdict bawn_attest_verify(const struct bawn_trust *trust,
                                     struct bawn_attest_cache *cache,
                                     const struct bawn_attest_input *input,
                                     struct bawn_attest_result *result)
{
    struct verification v = {
        .trust = trust,
        .cache = cache,
        .input = input,
        .r = result,
        .arena = &result->arena,
        .at = input->at,
    };

    result_reset(result);
    result->explain = input->flags & BAWN_ATTEST_EXPLAIN;
    result->strict = input->flags & BAWN_ATTEST_STRICT;
    for (size_t i = 0; i < input->nr_endorsements; i++)
        endorsement_add(&v, input->endorsements[i]);
    if (evidence_unpack(&v) && run_judges(&v))
        expect_verify(&v);
    result->verdict = conclude(result);
    return result->verdict;
}

const char *bawn_attest_version(void)
{
    return BAWN_ATTEST_VERSION;
}

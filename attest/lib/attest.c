// SPDX-License-Identifier: Apache-2.0
/*
 * The order of a verification, and the verdict. Each kind of evidence is judged in its own
 * file; here is only which ones there are and what their findings amount to.
 */
#include <stddef.h>

#include "attest/lib/chain.h"
#include "bawn/version.h"

static const struct check signed_evidence = {
    .name = "evidence.signed",
    .source = "RFC 9334, 8.1",
    .how = "at least one part of the evidence must be signed by hardware",
    .advice = "give the report or quote itself; logs and endorsements prove nothing alone",
};

static const struct check judged_whole = {
    .name = "evidence.judged",
    .source = "libbawn-attest",
    .how = "every check that trust rests on was made and passed",
    .advice = "this is a defect of libbawn-attest: report it with the evidence",
};

static const struct check one_guest = {
    .name = "evidence.one-guest",
    .source = "RFC 9334, 3.3",
    .how = "the signed parts of the evidence are bound to one another, or there is only one",
    .advice = "judge each part by itself; a report or quote and a TPM quote belong together where "
              "Azure's HCL report binds them",
};

/* The kinds of evidence, in the order in which one leads to the next: Azure's report holds the
 * SNP report and the TPM's key; a log is judged by the registers of the others. */
static const struct judge {
    size_t part; /* offset in struct evidence of what it judges */
    void (*verify)(struct verification *v);
    unsigned proofs; /* without all of which its part is not trusted */
} judges[] = {
    { offsetof(struct evidence, hcl_report), azure_verify, PROOF_HCL },
    { offsetof(struct evidence, snp_report), snp_verify, PROOF_SNP_CHAIN | PROOF_SNP_REPORT },
    { offsetof(struct evidence, quote), quote_verify,
      PROOF_PCK_CHAIN | PROOF_QE_REPORT | PROOF_QE_BINDING | PROOF_QUOTE | PROOF_TCB_INFO |
          PROOF_QE_IDENTITY },
    { offsetof(struct evidence, tpm_message), tpm_verify, PROOF_TPM_QUOTE | PROOF_TPM_KEY },
};

/* Genuine parts of two guests would otherwise be taken for one: the claims of the one that was
 * expected, and the other's as a gift. */
static void judge_parts(struct verification *v)
{
    const struct evidence *ev = &v->ev;
    bool snp = ev->snp_report.len && !ev->snp_in_hcl;
    bool quote = ev->quote.len && !ev->quote_of_hcl;
    bool tpm = ev->tpm_message.len && !ev->ak_from_hcl;
    unsigned loose = (unsigned)snp + quote + tpm;

    if (loose <= !ev->hcl_report.len)
        check_passed(v->r, &one_guest);
    else if (result_clean(v->r)) /* else what went wrong before is why they are loose */
        check_refused(
            v->r, &one_guest, "parts of one guest",
            arena_text(v->arena, "%s%s%s%s", ev->hcl_report.len ? "Azure HCL report " : "",
                       snp ? "SEV-SNP report " : "", quote ? "quote " : "", tpm ? "TPM quote" : ""),
            "nothing shows that the parts of the evidence are of one guest");
}

static bool run_judges(struct verification *v)
{
    unsigned needed = 0;

    for (size_t i = 0; i < sizeof(judges) / sizeof(judges[0]); i++) {
        const struct bawn_bytes *part =
            (const struct bawn_bytes *)(const void *)((const char *)&v->ev + judges[i].part);

        if (!part->len)
            continue;
        judges[i].verify(v);
        needed |= judges[i].proofs;
    }
    judge_parts(v);
    if (v->ev.event_log.len || v->ev.cc_log.len)
        eventlog_verify(v);
    if (!needed || needed == PROOF_HCL)
        return check_missing(v->r, &signed_evidence, NULL, NULL,
                             "nothing in the evidence is signed by hardware");
    if (v->input->kind == BAWN_EVIDENCE_RATLS) {
        ratls_verify(v);
        needed |= PROOF_RATLS;
    }
    if (result_clean(v->r) && (v->r->proofs & needed) != needed)
        return check_missing(v->r, &judged_whole, arena_text(v->arena, "checks %#x", needed),
                             arena_text(v->arena, "checks %#x", v->r->proofs & needed),
                             "the evidence was not judged as a whole");
    return true;
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
        .input = input,
        .r = result,
        .arena = &result->arena,
        .at = input->at,
    };

    result_reset(result);
    result->explain = input->flags & BAWN_ATTEST_EXPLAIN;
    result->strict = input->flags & BAWN_ATTEST_STRICT;
    v.cache = cache_begin(cache, trust->crypto, v.arena);
    for (size_t i = 0; i < input->nr_endorsements; i++) {
        result->endorsement = i + 1;
        endorsement_add(&v, input->endorsements[i]);
    }
    result->endorsement = 0;
    if (evidence_unpack(&v) && run_judges(&v))
        expect_verify(&v);
    cache_end(v.cache, cache);
    result->verdict = conclude(result);
    return result->verdict;
}

const char *bawn_attest_version(void)
{
    return BAWN_VERSION;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Judges AMD SEV-SNP evidence: a report, its endorsement, and the ID block if one is given.
 */
#include "attest/lib/snp.h"

static const struct check author_check = {
    .name = "snp.author-key",
    .claim = "snp.author_key_en",
    .source = "AMD 56860 rev 1.58, 7.3, AUTHOR_KEY_EN",
    .how = "the ID key stands for itself, or the ID block given shows who vouches for it",
    .advice = "whoever holds the author key can approve other ID keys: expect its digest "
              "(snp.author_key_digest), or give the ID block and ID authentication information",
};

void snp_verify(struct verification *v)
{
    struct snp_candidates candidates;
    struct snp_report report;
    bool identified;

    if (!v->ev.hcl_report.len)
        v->r->subject = "AMD SEV-SNP attestation report";
    if (!snp_report_parse(v, v->ev.snp_report, &report))
        return;
    snp_candidates_find(v, &report, &candidates);
    snp_report_claims(v, &report);
    if (!v->ev.hcl_report.len)
        v->r->subject =
            arena_text(v->arena, "AMD SEV-SNP attestation report, version %u%s%s", report.version,
                       report.line == SNP_LINE_UNKNOWN ? "" : ", ",
                       report.line == SNP_LINE_UNKNOWN ? "" : snp_line_name(report.line));
    if (snp_product_judge(v, &report))
        snp_endorsement_judge(v, &report, &candidates);
    snp_report_judge(v, &report);
    identified = snp_id_block_judge(v, &report);
    if ((report.key_info & BAWN_SNP_KEY_AUTHOR_KEY_EN) && !identified)
        check_warned(v->r, &author_check, "false", "true",
                     "the guest's ID key was approved by an author key");
    else
        check_passed(v->r, &author_check);
}

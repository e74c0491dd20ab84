// SPDX-License-Identifier: Apache-2.0
/*
 * What libbawn-attest judged, in the words of policies. Needs that library; nothing else here
 * does.
 */
#include <string.h>

#include <bawn/policy.h>

static const char *text_of(const struct bawn_attest_result *result, const char *claim)
{
    const struct bawn_claim *c = bawn_attest_result_claim(result, claim);

    return c && c->kind == BAWN_CLAIM_TEXT ? c->text : "";
}

/* The outermost first: Azure's report holds an SNP report or a TDX quote. */
const char *bawn_policy_evidence_of(const struct bawn_attest_result *result)
{
    static const struct {
        const char *claim, *text, *evidence; /* text NULL: any */
    } kinds[] = {
        { "hcl.report_type", "SNP", "azure-snp" },
        { "hcl.report_type", "TDX", "azure-tdx" },
        { "snp.version", NULL, "snp" },
        { "quote.tee", "TDX", "tdx" },
        { "quote.tee", "SGX", "sgx" },
        { "tpm.pcr_digest", NULL, "tpm" },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].text ? !strcmp(text_of(result, kinds[i].claim), kinds[i].text)
                          : bawn_attest_result_claim(result, kinds[i].claim) != NULL)
            return kinds[i].evidence;
    return NULL;
}

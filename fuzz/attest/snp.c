// SPDX-License-Identifier: Apache-2.0
/*
 * Input: an SNP report, perhaps with a certificate table, beside a real VCEK. Every signature
 * counts as good.
 */
#include "fuzz/attest/common.h"

static struct bawn_bytes endorsements[1];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_accept_signatures();
    endorsements[0] = fuzz_vector("snp/milan-v3-vcek-05b7438a.vcek.der");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_verify(BAWN_EVIDENCE_SNP, (struct bawn_bytes){ data, size }, endorsements, 1, 1767225600);
    return 0;
}

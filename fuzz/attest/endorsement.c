// SPDX-License-Identifier: Apache-2.0
/*
 * Input: an endorsement of any kind (certificates, CRL, certificate table) for a real SNP
 * report. Every signature counts as good.
 */
#include "fuzz/attest/common.h"

static struct bawn_bytes evidence;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_accept_signatures();
    evidence = fuzz_vector("snp/milan-v3-vcek-05b7438a.report.bin");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_bytes endorsement = { data, size };

    fuzz_verify(BAWN_EVIDENCE_SNP, evidence, &endorsement, 1, 1767225600);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Input: collateral in JSON for a real TDX quote. Every signature counts as good.
 */
#include "fuzz/attest/common.h"

static struct bawn_bytes evidence;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_accept_signatures();
    evidence = fuzz_vector("tdx/tdx-v4-00806f050000-c39a3a25.quote.bin");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_bytes endorsement = { data, size };

    fuzz_verify(BAWN_EVIDENCE_QUOTE, evidence, &endorsement, 1, 1761920231);
    return 0;
}

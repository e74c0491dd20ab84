// SPDX-License-Identifier: Apache-2.0
/*
 * Input: an SGX or TDX quote beside real collateral. Every signature counts as good.
 */
#include "fuzz/attest/common.h"

static struct bawn_bytes endorsements[1];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_accept_signatures();
    endorsements[0] = fuzz_vector("tdx/tdx-v4-00806f050000-c39a3a25.collateral-2025-10-19.json");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_verify(BAWN_EVIDENCE_QUOTE, (struct bawn_bytes){ data, size }, endorsements, 1,
                1761920231);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Input: evidence of any kind and form. Every signature counts as good.
 */
#include "fuzz/attest/common.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_accept_signatures();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_verify(BAWN_EVIDENCE_ANY, (struct bawn_bytes){ data, size }, NULL, 0, 1767225600);
    return 0;
}

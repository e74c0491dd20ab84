// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a certificate in DER or PEM with evidence about its key, judged as bawn-verify ratls does.
 * Every signature counts as good, so that the extension and the evidence are reached.
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
    static struct bawn_bytes given[2];

    if (!given[0].len) {
        given[0] = fuzz_vector("tpm/akpub.pem");
        given[1] = fuzz_vector("snp/milan-v3-vcek-05b7438a.vcek.der");
    }
    fuzz_verify(BAWN_EVIDENCE_RATLS, (struct bawn_bytes){ data, size }, given, 2, 1795400000);
    return 0;
}

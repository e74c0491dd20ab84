// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a TPM quote, its signature and PCR values: three parts, each behind a 16-bit
 * big-endian length. Every signature counts as good; the key is a real one, given as trusted.
 */
#include "fuzz/attest/common.h"

static struct bawn_bytes key;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_accept_signatures();
    key = fuzz_vector("tpm/akpub.pem");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_cursor c = bawn_cursor_over(data, size);
    struct bawn_bytes part[4];

    for (int i = 0; i < 3; i++) {
        size_t len = (size_t)bawn_cursor_be(&c, 2);

        if (len > bawn_cursor_left(&c))
            len = bawn_cursor_left(&c);
        part[i] = (struct bawn_bytes){ bawn_cursor_take(&c, len), len };
    }
    part[3] = key;
    fuzz_verify(BAWN_EVIDENCE_TPM, part[0], part + 1, 3, 1767225600);
    return 0;
}

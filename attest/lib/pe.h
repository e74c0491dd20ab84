/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Authenticode digest of a PE image of which the VMM may have rewritten the first bytes.
 */
#ifndef BAWN_ATTEST_PE_H
#define BAWN_ATTEST_PE_H

#include "attest/lib/measure.h"

struct pe_source {
    struct bawn_bytes image;
    struct bawn_bytes head; /* stands in place of the image's first bytes; may be empty */
};

enum bawn_status pe_digest(const struct pe_source *pe, uint8_t digest[BAWN_TDX_DIGEST_SIZE],
                           struct bawn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates compiled in: the vendors' roots, and AMD's intermediates under them. They are
 * trusted as the program is.
 */
#ifndef BAWN_ATTEST_ROOTS_H
#define BAWN_ATTEST_ROOTS_H

#include <bawn/attest.h>

struct builtin_cert {
    const uint8_t *start, *end; /* DER */
    bool root;
};

#define BUILTIN_CERTS 10
extern const struct builtin_cert builtin_certs[BUILTIN_CERTS];

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Input: text in hex, base64 or PEM.
 */
#include "fuzz/attest/common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct verification *v = fuzz_verification(0);
    struct bawn_bytes text = { data, size }, out, label;

    if (hex_decode(v->arena, text, &out) && (!out.len || out.len > size / 2))
        __builtin_trap();
    if (base64_decode(v->arena, text, &out) && (!out.len || out.len > size))
        __builtin_trap();
    for (size_t n = 0; pem_next(v->arena, &text, &label, &out); n++)
        if (n > size)
            __builtin_trap();
    return 0;
}

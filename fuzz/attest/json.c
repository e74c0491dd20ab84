// SPDX-License-Identifier: Apache-2.0
/*
 * Input: JSON text. Every value of what parses is visited with every accessor.
 */
#include "attest/lib/json.h"

#include "fuzz/attest/common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct verification *v = fuzz_verification(0);
    struct bawn_bytes bytes;
    uint64_t number;
    struct js j;

    if (!js_parse(&j, v->arena, (struct bawn_bytes){ data, size }))
        return 0;
    for (uint32_t i = 0; i < j.n; i++) {
        size_t n = 0;

        for (uint32_t e = js_first(&j, i); e != JS_ABSENT; e = js_next(&j, i, e))
            n++;
        if (n != js_count(&j, i))
            __builtin_trap();
        js_string(&j, i, &bytes);
        js_uint(&j, i, &number);
        js_hex(&j, i, &bytes);
        bytes = js_raw(&j, i);
        if (bytes.data < data || bytes.data + bytes.len > data + size)
            __builtin_trap();
    }
    return 0;
}

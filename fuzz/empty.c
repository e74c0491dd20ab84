// SPDX-License-Identifier: Apache-2.0
/*
 * Input: anything; nothing is done with it. What a fuzzer makes of this is its own speed, the
 * measure beside every target's in bench-fuzz.
 */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data, (void)size;
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a number and as many bytes. There is nothing to find, unless a patch plants it.
 */
#include <stdint.h>
#include <string.h>

enum { ROOM = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile uint8_t copy[ROOM];

    if (!size || data[0] > size - 1)
        return 0;
    for (unsigned i = 0; i < data[0] && i < ROOM; i++)
        copy[i] = data[1 + i];
    return 0;
}

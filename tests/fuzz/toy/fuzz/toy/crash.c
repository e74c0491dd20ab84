// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a letter, and what to do. Two faults are planted, one of which has two ways to it.
 */
#include "lib/faults.h"

#ifndef PLANTED
#define PLANTED 1
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8 || !addressed(data) || !PLANTED)
        return 0;
    if (size > 1u << 20)
        return never(size);
    if (data[1] == 'o' && data[2] > 'a')
        return over(data, size) & 0;
    if (data[1] == 'p')
        return over(data + 1, size - 1) & 0;
    if (data[1] == 'u')
        return after(data) & 0;
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What the toy target calls: two functions with a fault each, and one without.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool addressed(const uint8_t *data)
{
    return data[0] == 'B';
}

/* No input is so long. */
static int never(size_t size)
{
    return size > 1u << 30;
}

__attribute__((noinline)) static uint8_t over(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(4), last;

    memcpy(copy, data, 4);
    last = ((volatile uint8_t *)copy)[size];
    free(copy);
    return last;
}

__attribute__((noinline)) static uint8_t after(const uint8_t *data)
{
    uint8_t *copy = malloc(4);

    memcpy(copy, data, 4);
    free(copy);
    return ((volatile uint8_t *)copy)[1];
}

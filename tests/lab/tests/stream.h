/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random streams of guest instructions: the same seed gives the same bytes. Each instruction (or
 * the few that belong together) has a slot of STREAM_SLOT bytes, so that the guest's handlers
 * (stream.S) can go on at the next one after a fault; branches lead to slots further on.
 */
#ifndef BAWN_TEST_STREAM_H
#define BAWN_TEST_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "../guests/layout.h"

#define STREAM_MAX 120 /* slots */
#define STREAM_MMIO 0x50000000
#define STREAM_PORT 0x500

struct stream_rng {
    uint64_t state;
};

uint64_t stream_random(struct stream_rng *r);
static inline uint32_t stream_below(struct stream_rng *r, uint32_t n)
{
    return (uint32_t)(stream_random(r) >> 33) % n;
}

/* Writes nr slots, and the end of the stream after them, to code; of 64-bit or of 32-bit code. */
void stream_generate(struct stream_rng *r, uint8_t *code, unsigned nr, bool code64);

#endif

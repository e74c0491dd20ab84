/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of a device's rate by token buckets. Time is the caller's, in nanoseconds.
 */
#ifndef BAWN_VMM_RATE_H
#define BAWN_VMM_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "launch.h"

struct bawn_bucket {
    uint64_t size;   /* 0: no limit */
    uint64_t refill; /* nanoseconds from empty to full */
    uint64_t once;   /* tokens that do not come back */
    uint64_t tokens;
    uint64_t debt; /* of what was larger than the bucket */
    uint64_t at;   /* when tokens was true */
};

struct bawn_rate {
    struct bawn_bucket bytes, ops;
};

void bawn_rate_init(struct bawn_rate *r, const struct bawn_rate_config *bytes,
                    const struct bawn_rate_config *ops, uint64_t now);
bool bawn_rate_limited(const struct bawn_rate *r);
/* Nanoseconds until the next operation may begin; 0: now. */
uint64_t bawn_rate_wait(struct bawn_rate *r, uint64_t now);
/* An operation of so many bytes begins. Larger ones than there are tokens for make the next wait.
 */
void bawn_rate_take(struct bawn_rate *r, uint64_t bytes);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Token buckets. An operation begins when no bucket is empty, and may take more than is there: what
 * it owes is paid before the next one, so that none is too large to happen at all.
 */
#include "rate.h"

#define NS_PER_MS 1000000ull

static void init(struct bawn_bucket *b, const struct bawn_rate_config *cfg, uint64_t now)
{
    *b = (struct bawn_bucket){ .size = cfg->size,
                               .refill = (cfg->refill ? cfg->refill : 1) * NS_PER_MS,
                               .once = cfg->burst,
                               .tokens = cfg->size,
                               .at = now };
}

void bawn_rate_init(struct bawn_rate *r, const struct bawn_rate_config *bytes,
                    const struct bawn_rate_config *ops, uint64_t now)
{
    init(&r->bytes, bytes, now);
    init(&r->ops, ops, now);
}

bool bawn_rate_limited(const struct bawn_rate *r)
{
    return r->bytes.size || r->ops.size;
}

/* What came in since the last time; the rest of a token's time is kept for the next. */
static void refill(struct bawn_bucket *b, uint64_t now)
{
    unsigned __int128 part = (unsigned __int128)(now - b->at) * b->size;
    uint64_t most = b->debt + b->size;
    unsigned __int128 come = part / b->refill;

    if (come >= most) {
        b->debt = 0;
        b->tokens = b->size;
        b->at = now;
        return;
    }
    b->at = now - (uint64_t)(part % b->refill / b->size);
    if (come < b->debt) {
        b->debt -= (uint64_t)come;
        return;
    }
    b->tokens += (uint64_t)come - b->debt;
    b->debt = 0;
    if (b->tokens > b->size)
        b->tokens = b->size;
}

static uint64_t wait_for(struct bawn_bucket *b, uint64_t now)
{
    unsigned __int128 ns;

    if (!b->size)
        return 0;
    if (now > b->at)
        refill(b, now);
    if (b->once || b->tokens)
        return 0;
    ns = ((unsigned __int128)(b->debt + 1) * b->refill + b->size - 1) / b->size;
    ns -= now > b->at && ns > now - b->at ? now - b->at : 0;
    return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

uint64_t bawn_rate_wait(struct bawn_rate *r, uint64_t now)
{
    uint64_t bytes = wait_for(&r->bytes, now), ops = wait_for(&r->ops, now);

    return bytes > ops ? bytes : ops;
}

static void take(struct bawn_bucket *b, uint64_t n)
{
    uint64_t part = n < b->once ? n : b->once;

    if (!b->size)
        return;
    b->once -= part;
    n -= part;
    part = n < b->tokens ? n : b->tokens;
    b->tokens -= part;
    b->debt += n - part;
}

void bawn_rate_take(struct bawn_rate *r, uint64_t bytes)
{
    take(&r->bytes, bytes);
    take(&r->ops, 1);
}

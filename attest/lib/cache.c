// SPDX-License-Identifier: Apache-2.0
/*
 * The cache's two tables: found by hash, ordered by last use, allocated in one block when the
 * cache is made and never after. Belongs to one thread. What may be put in is crypto.c's
 * matter; it is trusted.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/lib/cache.h"

#define NONE UINT32_MAX
#define MIN_ENTRIES 16
#define MAX_ENTRIES (1u << 20)
/* Of one verification: 9 signatures under 6 keys, and what a second chain may add. */
#define TEMPORARY_ENTRIES 16

static uint32_t *head_of(struct cache_table *t, const uint8_t id[CACHE_ID])
{
    uint32_t h;

    memcpy(&h, id, sizeof(h));
    return &t->heads[h & (t->nr_heads - 1)];
}

static void use_unlink(struct cache_table *t, uint32_t i)
{
    struct cache_slot *s = &t->slots[i];

    if (s->newer == NONE)
        t->newest = s->older;
    else
        t->slots[s->newer].older = s->older;
    if (s->older == NONE)
        t->oldest = s->newer;
    else
        t->slots[s->older].newer = s->newer;
}

static void use_newest(struct cache_table *t, uint32_t i)
{
    struct cache_slot *s = &t->slots[i];

    s->newer = NONE;
    s->older = t->newest;
    if (t->newest == NONE)
        t->oldest = i;
    else
        t->slots[t->newest].newer = i;
    t->newest = i;
}

static void chain_unlink(struct cache_table *t, uint32_t i)
{
    uint32_t *p = head_of(t, t->slots[i].id);

    while (*p != i)
        p = &t->slots[*p].next;
    *p = t->slots[i].next;
}

struct cache_slot *cache_find(struct cache_table *t, const uint8_t id[CACHE_ID])
{
    for (uint32_t i = *head_of(t, id); i != NONE; i = t->slots[i].next) {
        if (memcmp(t->slots[i].id, id, CACHE_ID))
            continue;
        use_unlink(t, i);
        use_newest(t, i);
        return &t->slots[i];
    }
    return NULL;
}

struct cache_slot *cache_add(struct cache_table *t, const uint8_t id[CACHE_ID])
{
    struct cache_slot *s;
    uint32_t i, *head;

    if (t->used < t->n) {
        i = t->used++;
    } else {
        i = t->oldest;
        use_unlink(t, i);
        chain_unlink(t, i);
    }
    s = &t->slots[i];
    memcpy(s->id, id, CACHE_ID);
    EVP_PKEY_CTX_free(s->ready);
    s->ready = NULL;
    head = head_of(t, id);
    s->next = *head;
    *head = i;
    use_newest(t, i);
    return s;
}

/* Twice as many chains as slots, rounded up to a power of two. */
static uint32_t heads_for(uint32_t n)
{
    uint32_t heads = 2;

    while (heads < 2 * n)
        heads *= 2;
    return heads;
}

static size_t table_size(uint32_t n)
{
    return n * sizeof(struct cache_slot) + heads_for(n) * sizeof(uint32_t);
}

static void table_init(struct cache_table *t, uint32_t n, void *slots)
{
    t->slots = slots;
    t->n = n;
    t->heads = (uint32_t *)(void *)(t->slots + n);
    t->nr_heads = heads_for(n);
    t->newest = t->oldest = NONE;
    for (uint32_t i = 0; i < t->nr_heads; i++)
        t->heads[i] = NONE;
}

/* The cache and its tables are one zeroed block: of arena a, or of its own. */
static struct bawn_attest_cache *cache_make(uint32_t n, struct arena *a)
{
    size_t size = sizeof(struct bawn_attest_cache) + 2 * table_size(n);
    struct bawn_attest_cache *cache = a ? arena_alloc(a, size) : calloc(1, size);

    if (!cache)
        return NULL;
    table_init(&cache->memos, n, cache + 1);
    table_init(&cache->keys, n, (uint8_t *)(cache + 1) + table_size(n));
    return cache;
}

static void cache_clear(struct bawn_attest_cache *cache)
{
    for (uint32_t i = 0; i < cache->keys.used; i++)
        EVP_PKEY_CTX_free(cache->keys.slots[i].ready);
    for (int h = 0; h < HASH_ALGS; h++)
        EVP_MD_CTX_free(cache->md_ctx[h]);
    crypto_destroy(cache->own);
}

struct bawn_attest_cache *bawn_attest_cache_create(unsigned entries)
{
    struct bawn_attest_cache *cache;

    if (entries < MIN_ENTRIES)
        entries = MIN_ENTRIES;
    if (entries > MAX_ENTRIES)
        entries = MAX_ENTRIES;
    cache = cache_make(entries, NULL);
    if (!cache)
        return NULL;
    cache->own = crypto_create();
    if (!cache->own) {
        free(cache);
        return NULL;
    }
    cache->crypto = cache->own;
    return cache;
}

void bawn_attest_cache_destroy(struct bawn_attest_cache *cache)
{
    if (!cache)
        return;
    cache_clear(cache);
    free(cache);
}

struct bawn_attest_cache *cache_begin(struct bawn_attest_cache *callers,
                                      const struct crypto *crypto, struct arena *a)
{
    struct bawn_attest_cache *cache;

    if (callers || !crypto)
        return callers;
    cache = cache_make(TEMPORARY_ENTRIES, a);
    if (cache)
        cache->crypto = crypto;
    return cache;
}

void cache_end(struct bawn_attest_cache *cache, struct bawn_attest_cache *callers)
{
    if (cache && cache != callers)
        cache_clear(cache);
}

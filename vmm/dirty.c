// SPDX-License-Identifier: Apache-2.0
/*
 * Which pages of guest memory were written. The module's log has what vCPUs write; what devices
 * write they note here themselves, after they wrote it. A process that was taken over may note what
 * it likes, and clear what others noted: it could as well write guest memory.
 */
#include <string.h>
#include <sys/mman.h>

#include "memory.h"

#define WORD_BITS 64u

static uint64_t words(const struct bawn_mem_range *r)
{
    return (r->size / BAWN_MEM_PAGE + WORD_BITS - 1) / WORD_BITS;
}

enum bawn_status bawn_dirty_create(struct bawn_mem *mem, struct bawn_error *err)
{
    struct bawn_dirty *d = &mem->dirty;
    uint64_t *at;

    *d = (struct bawn_dirty){ .size = BAWN_MEM_PAGE };
    for (unsigned i = 0; i < mem->nr; i++)
        d->size += 2 * words(&mem->range[i]) * sizeof(uint64_t);
    d->all = mmap(NULL, d->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (d->all == MAP_FAILED) {
        d->all = NULL;
        return bawn_fail(err, BAWN_E_NOMEM, "cannot reserve room for the log of written pages: %m");
    }
    d->on = d->all;
    at = (uint64_t *)(void *)((uint8_t *)d->all + BAWN_MEM_PAGE);
    for (unsigned i = 0; i < mem->nr; i++) {
        d->map[i] = at;
        d->log[i] = at + words(&mem->range[i]);
        at += 2 * words(&mem->range[i]);
    }
    return BAWN_OK;
}

void bawn_dirty_destroy(struct bawn_mem *mem)
{
    if (mem->dirty.all)
        munmap(mem->dirty.all, mem->dirty.size);
    mem->dirty = (struct bawn_dirty){ 0 };
}

void bawn_dirty_track(const struct bawn_mem *mem, bool on)
{
    __atomic_store_n(mem->dirty.on, on, __ATOMIC_SEQ_CST);
}

void bawn_dirty_merge(const struct bawn_mem *mem, unsigned range)
{
    for (uint64_t i = 0; i < words(&mem->range[range]); i++) {
        if (mem->dirty.log[range][i])
            __atomic_fetch_or(&mem->dirty.map[range][i], mem->dirty.log[range][i],
                              __ATOMIC_SEQ_CST);
    }
}

/* A word that is zero is only read: to write it would take memory for it. */
void bawn_dirty_clear(const struct bawn_mem *mem)
{
    for (unsigned i = 0; i < mem->nr; i++) {
        for (uint64_t n = 0; n < words(&mem->range[i]); n++)
            bawn_dirty_take(mem, i, n);
    }
}

uint64_t bawn_dirty_count(const struct bawn_mem *mem)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < mem->nr; i++) {
        for (uint64_t n = 0; n < words(&mem->range[i]); n++)
            pages += (unsigned)__builtin_popcountll(
                __atomic_load_n(&mem->dirty.map[i][n], __ATOMIC_RELAXED));
    }
    return pages;
}

uint64_t bawn_dirty_take(const struct bawn_mem *mem, unsigned range, uint64_t word)
{
    uint64_t *at = &mem->dirty.map[range][word];

    return __atomic_load_n(at, __ATOMIC_RELAXED) ? __atomic_exchange_n(at, 0, __ATOMIC_SEQ_CST) : 0;
}

void bawn_dirty_note(const struct bawn_mem *mem, const void *at, size_t len)
{
    for (unsigned i = 0; len && i < mem->nr; i++) {
        const struct bawn_mem_range *r = &mem->range[i];
        uintptr_t off = (uintptr_t)at - (uintptr_t)r->host;

        if (off >= r->size || len > r->size - off)
            continue;
        for (uint64_t n = off / BAWN_MEM_PAGE; n <= (off + len - 1) / BAWN_MEM_PAGE; n++)
            __atomic_fetch_or(&mem->dirty.map[i][n / WORD_BITS], 1ull << n % WORD_BITS,
                              __ATOMIC_SEQ_CST);
    }
}

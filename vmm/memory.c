// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory: anonymous mappings with guards, and checked translation.
 * Guest addresses are not trusted.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"

#define GUARD (2ull << 20) /* also the alignment: a huge page */

static enum bawn_status map_range(struct bawn_mem_range *r, const struct bawn_ram *ram, bool huge,
                                  struct bawn_error *err)
{
    size_t size = ram->size + 3 * GUARD;
    uint8_t *host;
    void *map;

    map = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return bawn_fail(err, BAWN_E_NOMEM, "cannot reserve %llu MiB for guest memory: %m",
                         (unsigned long long)(ram->size >> 20));
    host = (uint8_t *)(((uintptr_t)map + 2 * GUARD - 1) & ~(uintptr_t)(GUARD - 1));
    *r = (struct bawn_mem_range){ ram->gpa, ram->size, host, map, size };
    if (mprotect(host, ram->size, PROT_READ | PROT_WRITE))
        return bawn_fail(err, BAWN_E_NOMEM, "cannot map %llu MiB of guest memory: %m",
                         (unsigned long long)(ram->size >> 20));
    /* A guest's secrets do not belong in the VMM's core dump. */
    if (madvise(host, ram->size, MADV_DONTDUMP))
        return bawn_fail(err, BAWN_E_IO, "cannot keep guest memory out of core dumps: %m");
    if (huge)
        madvise(host, ram->size, MADV_HUGEPAGE); /* an optimisation: a host may lack it */
    return BAWN_OK;
}

enum bawn_status bawn_mem_create(struct bawn_mem *mem, const struct bawn_ram *ram, unsigned nr,
                                 bool huge, struct bawn_error *err)
{
    memset(mem, 0, sizeof(*mem));
    if (nr > BAWN_MEM_MAX_RANGES)
        return bawn_fail(err, BAWN_E_INTERNAL, "%u ranges of RAM, at most %u are served", nr,
                         BAWN_MEM_MAX_RANGES);
    for (unsigned i = 0; i < nr; i++) {
        enum bawn_status st = map_range(&mem->range[i], &ram[i], huge, err);

        mem->nr = i + 1;
        if (st) {
            bawn_mem_destroy(mem);
            return st;
        }
    }
    return BAWN_OK;
}

void bawn_mem_destroy(struct bawn_mem *mem)
{
    for (unsigned i = 0; i < mem->nr; i++) {
        if (mem->range[i].map)
            munmap(mem->range[i].map, mem->range[i].map_size);
    }
    memset(mem, 0, sizeof(*mem));
}

void *bawn_mem_at(const struct bawn_mem *mem, uint64_t gpa, uint64_t len)
{
    for (unsigned i = 0; i < mem->nr; i++) {
        const struct bawn_mem_range *r = &mem->range[i];

        if (gpa >= r->gpa && gpa - r->gpa < r->size && len <= r->size - (gpa - r->gpa))
            return r->host + (gpa - r->gpa);
    }
    return NULL;
}

void bawn_mem_drop(void *at, size_t len)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)at + page - 1) & ~(page - 1),
              to = ((uintptr_t)at + len) & ~(page - 1);

    /* Of a shared mapping the file's pages go, of a private one its own. */
    if (to > from && madvise((void *)from, to - from, MADV_REMOVE))
        madvise((void *)from, to - from, MADV_DONTNEED);
}

enum bawn_status bawn_mem_place(struct bawn_mem *mem, const struct bawn_launch_plan *plan,
                                struct bawn_error *err)
{
    for (unsigned i = 0; i < plan->nr_regions; i++) {
        const struct bawn_region *r = &plan->region[i];
        void *at = bawn_mem_at(mem, r->gpa, r->size);

        if (!at || r->data_len > r->size)
            return bawn_fail(err, BAWN_E_INTERNAL, "launch region %u at %#llx lies outside RAM", i,
                             (unsigned long long)r->gpa);
        if (r->data_len)
            memcpy(at, r->data, r->data_len);
    }
    return BAWN_OK;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory: checked translation. Guest addresses are not trusted.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"

int bawn_mem_punch(const struct bawn_mem_range *r, uint64_t off, uint64_t len)
{
    return fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len);
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

enum bawn_status bawn_mem_place(const struct bawn_mem *mem, const struct bawn_launch_plan *plan,
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

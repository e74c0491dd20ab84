// SPDX-License-Identifier: Apache-2.0
/*
 * Makes guest memory: files without a name, mapped between guards. Takes no input of a guest's.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"

#define GUARD (2ull << 20) /* also the alignment: a huge page */
#define POOL_SHIFT 26      /* of a size's logarithm, in memfd_create()'s flags */

#define NOEXEC_SEAL 0x0008u /* MFD_NOEXEC_SEAL, Linux 6.3; own name for older headers */

static const struct {
    unsigned flags; /* of memfd_create() */
    uint64_t align;
} kinds[] = {
    [BAWN_PAGES_SMALL] = { 0, GUARD },
    [BAWN_PAGES_THP] = { 0, GUARD },
    [BAWN_PAGES_2M] = { MFD_HUGETLB | 21u << POOL_SHIFT, 2u << 20 },
    [BAWN_PAGES_1G] = { MFD_HUGETLB | 30u << POOL_SHIFT, 1u << 30 },
};

enum bawn_mem_pages bawn_mem_pages_of(const struct bawn_vm_config *cfg)
{
    if (cfg->hugepages)
        return cfg->hugepage_size == kinds[BAWN_PAGES_1G].align ? BAWN_PAGES_1G : BAWN_PAGES_2M;
    return cfg->thp ? BAWN_PAGES_THP : BAWN_PAGES_SMALL;
}

/* Nobody changes the size of what others have mapped. */
static int make_memfd(uint64_t size, unsigned flags)
{
    int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING | NOEXEC_SEAL | flags);

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    if (fd < 0)
        return -1;
    if (!ftruncate(fd, (off_t)size) &&
        !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        return fd;
    close(fd);
    return -1;
}

static enum bawn_status map_range(struct bawn_mem_range *r, const struct bawn_ram *ram,
                                  enum bawn_mem_pages pages, struct bawn_error *err)
{
    const char *pool = kinds[pages].flags ? " from the pool of huge pages (see bawn check)" : "";
    uint64_t align = kinds[pages].align;
    size_t size = ram->size + 2 * GUARD + align;
    uint8_t *host;
    void *map;

    *r = (struct bawn_mem_range){ .fd = pages == BAWN_PAGES_THP ? bawn_mem_huge_file(ram->size)
                                                                : -1 };
    if (r->fd < 0)
        r->fd = make_memfd(ram->size, kinds[pages].flags);
    map = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map != MAP_FAILED)
        r->map = map, r->map_size = size;
    if (r->fd < 0 || map == MAP_FAILED)
        return bawn_fail(err, BAWN_E_NOMEM, "cannot reserve %llu MiB for guest memory%s: %m",
                         (unsigned long long)(ram->size >> 20), pool);
    host = (uint8_t *)(((uintptr_t)map + GUARD + align - 1) & ~(uintptr_t)(align - 1));
    *r = (struct bawn_mem_range){ ram->gpa, ram->size, host, r->fd, map, size };
    if (mmap(host, ram->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->fd, 0) != host)
        return bawn_fail(err, BAWN_E_NOMEM, "cannot map %llu MiB of guest memory%s: %m",
                         (unsigned long long)(ram->size >> 20), pool);
    /* A guest's secrets do not belong in the VMM's core dump. */
    if (madvise(host, ram->size, MADV_DONTDUMP))
        return bawn_fail(err, BAWN_E_IO, "cannot keep guest memory out of core dumps: %m");
    if (pages == BAWN_PAGES_THP)
        madvise(host, ram->size, MADV_HUGEPAGE); /* an optimisation: a host may lack it */
    return BAWN_OK;
}

enum bawn_status bawn_mem_create(struct bawn_mem *mem, const struct bawn_ram *ram, unsigned nr,
                                 enum bawn_mem_pages pages, struct bawn_error *err)
{
    enum bawn_status st;

    memset(mem, 0, sizeof(*mem));
    mem->faults = -1;
    if (nr > BAWN_MEM_MAX_RANGES)
        return bawn_fail(err, BAWN_E_INTERNAL, "%u ranges of RAM, at most %u are served", nr,
                         BAWN_MEM_MAX_RANGES);
    for (unsigned i = 0; i < nr; i++) {
        st = map_range(&mem->range[i], &ram[i], pages, err);
        mem->nr = i + 1;
        if (st) {
            bawn_mem_destroy(mem);
            return st;
        }
    }
    st = bawn_dirty_create(mem, err);
    if (st)
        bawn_mem_destroy(mem);
    return st;
}

void bawn_mem_destroy(struct bawn_mem *mem)
{
    bawn_dirty_destroy(mem);
    for (unsigned i = 0; i < mem->nr; i++) {
        if (mem->range[i].map)
            munmap(mem->range[i].map, mem->range[i].map_size);
        if (mem->range[i].fd >= 0)
            close(mem->range[i].fd);
    }
    memset(mem, 0, sizeof(*mem));
}

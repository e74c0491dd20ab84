// SPDX-License-Identifier: Apache-2.0
/*
 * The process's memory as the simulation hands it out: at the same addresses, where nothing else
 * is. What an input unmaps or protects is never the program's own.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz/sim/sim.h"

#include "lab.h"

#define PAGE 0x1000ull
#define LARGE 0x200000ull
#define FIRST_ADDRESS 0x10000000ull
#define LAST_ADDRESS (1ull << 46)
#define MAX_SIZE (64ull << 30)
#define AREAS_MAX 128

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static struct area {
    uint64_t start, end;
    bool writable, file;
} areas[AREAS_MAX];
static unsigned nr_areas;
static uint64_t next = FIRST_ADDRESS;

static void *at(uint64_t address)
{
    return (void *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr)
}

static bool overlaps(uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < nr_areas; i++)
        if (start < areas[i].end && areas[i].start < end)
            return true;
    return false;
}

static struct area *area_of(uint64_t address)
{
    for (unsigned i = 0; i < nr_areas; i++)
        if (address >= areas[i].start && address < areas[i].end)
            return &areas[i];
    return NULL;
}

bool lab_mapped(uint64_t address, size_t size, bool writable)
{
    const struct area *a = area_of(address);

    return a && size <= a->end - address && (a->writable || !writable);
}

/* ---- There and away ---- */

static bool add(uint64_t address, uint64_t size, int fd, uint64_t offset)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
    void *got;

    if (!size || size > MAX_SIZE || (address | size) % PAGE || address < PAGE ||
        address >= LAST_ADDRESS || size > LAST_ADDRESS - address || nr_areas == AREAS_MAX ||
        overlaps(address, address + size))
        return false;
    got = mmap(at(address), size, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, fd,
               (off_t)offset);
    if (got == MAP_FAILED)
        return false;
    areas[nr_areas++] = (struct area){ address, address + size, true, fd >= 0 };
    return true;
}

static uint64_t place(uint64_t size, int fd, uint64_t offset)
{
    uint64_t to = next;

    if (!size || size > MAX_SIZE)
        return 0;
    while (overlaps(to, to + size) && to < LAST_ADDRESS)
        to += LARGE;
    if (!add(to, size, fd, offset))
        return 0;
    next = (to + size + PAGE + LARGE - 1) & ~(LARGE - 1);
    return to;
}

uint64_t sim_map(size_t size)
{
    return place(size, -1, 0);
}

bool sim_map_at(uint64_t address, size_t size)
{
    return add(address, size, -1, 0);
}

uint64_t lab_map_file(int fd, size_t size, uint64_t offset)
{
    return place(size, fd, offset);
}

static uint64_t end_of(uint64_t address, size_t size)
{
    uint64_t end;

    return __builtin_add_overflow(address, size, &end) || end > LAST_ADDRESS ? LAST_ADDRESS : end;
}

/* Whole areas go; of others the pages. */
void sim_unmap(uint64_t address, size_t size)
{
    uint64_t end = end_of(address, size);

    for (unsigned i = nr_areas; i-- > 0;) {
        struct area *a = &areas[i];
        uint64_t from = address > a->start ? address : a->start;
        uint64_t to = end < a->end ? end : a->end;

        if (from >= to)
            continue;
        if (from == a->start && to == a->end) {
            lab_call(SYS_munmap, (long)from, (long)(to - from), 0, 0);
            *a = areas[--nr_areas];
        } else {
            lab_call(SYS_madvise, (long)from, (long)(to - from), MADV_DONTNEED, 0);
        }
    }
}

void lab_unmap_all(void)
{
    while (nr_areas) {
        nr_areas--;
        munmap(at(areas[nr_areas].start), areas[nr_areas].end - areas[nr_areas].start);
    }
    next = FIRST_ADDRESS;
}

/* ---- What happens to it ---- */

static void set_right(struct area *a, bool writable)
{
    lab_call(SYS_mprotect, (long)a->start, (long)(a->end - a->start),
             PROT_READ | (writable ? PROT_WRITE : 0), 0);
    a->writable = writable;
}

void sim_protect(uint64_t address, size_t size, bool writable)
{
    uint64_t end = end_of(address, size);

    for (unsigned i = 0; i < nr_areas; i++)
        if (areas[i].start < end && address < areas[i].end)
            set_right(&areas[i], writable);
}

/* One host has one node: another page comes by moving a copy there. */
void sim_migrate(uint64_t address)
{
    uint64_t page = address & ~(PAGE - 1);
    const struct area *a = area_of(page);
    void *copy;

    if (!a || a->file || !a->writable)
        return;
    copy = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return;
    if (!sim_peek(page, copy, PAGE) ||
        mremap(copy, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(page)) == MAP_FAILED)
        munmap(copy, PAGE);
}

bool sim_collapse(uint64_t address)
{
    uint64_t start = address & ~(LARGE - 1);

    return lab_mapped(start, LARGE, false) &&
           !lab_call(SYS_madvise, (long)start, LARGE, MADV_COLLAPSE, 0);
}

/* Whether pages are young nobody can ask; that reclaim should look at them can be said. */
bool sim_age(uint64_t address, size_t size, enum sim_age how)
{
    (void)how;
    if (lab_mapped(address & ~(PAGE - 1), size, false))
        lab_call(SYS_madvise, (long)(address & ~(PAGE - 1)), (long)size, MADV_COLD, 0);
    return false;
}

/* ---- Its bytes ---- */

void *sim_user(uint64_t address)
{
    return area_of(address) ? at(address) : NULL;
}

static bool copy(uint64_t address, void *buf, size_t n, bool write)
{
    struct iovec mine = { buf, n }, other = { at(address), n };
    ssize_t r = write ? process_vm_writev(getpid(), &mine, 1, &other, 1, 0)
                      : process_vm_readv(getpid(), &mine, 1, &other, 1, 0);

    return r == (ssize_t)n;
}

/* What the process may only read it can write all the same: it could do so before. */
bool sim_poke(uint64_t address, const void *from, size_t n)
{
    struct area *a = area_of(address);
    bool ok;

    if (!a || a->writable)
        return copy(address, (void *)(uintptr_t)from, n, true);
    set_right(a, true);
    ok = copy(address, (void *)(uintptr_t)from, n, true);
    a = area_of(address);
    if (a)
        set_right(a, false);
    return ok;
}

bool sim_peek(uint64_t address, void *to, size_t n)
{
    return copy(address, to, n, false);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as the VMM maps it, and the one function that turns a guest physical
 * address into a pointer. The bytes change under the VMM's feet: copy once, then check.
 */
#ifndef BAWN_VMM_MEMORY_H
#define BAWN_VMM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bawn/status.h"
#include "launch.h"

#define BAWN_MEM_PAGE 4096u
#define BAWN_MEM_MAX_RANGES 2

struct bawn_mem_range {
    uint64_t gpa;
    uint64_t size;
    uint8_t *host; /* inside the mapping, between its guards */
    int fd;        /* owned: a file of this size without a name, mapped at host */
    void *map;
    size_t map_size;
};

/* Which pages were written since somebody asked (dirty.c): a bit for each, which every process of a
 * machine sets after what it writes, and the module's log is added to. */
struct bawn_dirty {
    uint32_t *on;                       /* NULL: nobody can ask */
    uint64_t *map[BAWN_MEM_MAX_RANGES]; /* of each range */
    uint64_t *log[BAWN_MEM_MAX_RANGES]; /* the same size, for the module to fill */
    void *all;                          /* owned: shared with processes that are forked later */
    size_t size;
};

struct bawn_mem {
    struct bawn_mem_range range[BAWN_MEM_MAX_RANGES];
    unsigned nr;
    int faults; /* owned: this process's userfaultfd (pager.h); -1: none */
    struct bawn_dirty dirty;
};

enum bawn_mem_pages {
    BAWN_PAGES_SMALL,
    BAWN_PAGES_THP, /* huge ones where the host has them: most of the memory will be used */
    BAWN_PAGES_2M,  /* the host's pool of huge pages, or nothing */
    BAWN_PAGES_1G,
};

/* Of a machine that is not confidential. */
enum bawn_mem_pages bawn_mem_pages_of(const struct bawn_vm_config *cfg);

/* Zeroed, lazily populated, shared with the processes that are forked later, kept out of core
 * dumps, inaccessible guards on both sides. */
enum bawn_status bawn_mem_create(struct bawn_mem *mem, const struct bawn_ram *ram, unsigned nr,
                                 enum bawn_mem_pages pages, struct bawn_error *err);
void bawn_mem_destroy(struct bawn_mem *mem);

/* Gives these bytes of a range back to the host: they are zero from now on. 0, or -1 and errno. */
int bawn_mem_punch(const struct bawn_mem_range *r, uint64_t off, uint64_t len);

/* The len bytes at gpa, or NULL unless all of them lie in one range of RAM. */
void *bawn_mem_at(const struct bawn_mem *mem, uint64_t gpa, uint64_t len);

/* Gives the whole pages in this piece of guest memory back to the host: they read as zeroes. */
void bawn_mem_drop(void *at, size_t len);

/* dirty.c. Takes no memory of its own before somebody tracks. */
enum bawn_status bawn_dirty_create(struct bawn_mem *mem, struct bawn_error *err);
void bawn_dirty_destroy(struct bawn_mem *mem);
/* Pages are noted from here on, or not any more. */
void bawn_dirty_track(const struct bawn_mem *mem, bool on);
/* Adds what the module's log says (mem->dirty.log). */
void bawn_dirty_merge(const struct bawn_mem *mem, unsigned range);
/* Nothing was written. */
void bawn_dirty_clear(const struct bawn_mem *mem);
uint64_t bawn_dirty_count(const struct bawn_mem *mem);
/* Takes 64 pages' bits, and clears them: who reads the pages then misses nothing. */
uint64_t bawn_dirty_take(const struct bawn_mem *mem, unsigned range, uint64_t word);
/* Notes the pages of this piece of guest memory. */
void bawn_dirty_note(const struct bawn_mem *mem, const void *at, size_t len);

static inline bool bawn_dirty_tracked(const struct bawn_mem *mem)
{
    return mem->dirty.on && __atomic_load_n(mem->dirty.on, __ATOMIC_RELAXED);
}

/* Copies the plan's regions into memory. */
enum bawn_status bawn_mem_place(const struct bawn_mem *mem, const struct bawn_launch_plan *plan,
                                struct bawn_error *err);

/* memory_huge.c: a file of this size in which madvise() gives huge pages, or -1. It takes what a
 * root without capabilities lacks: who is going to drop them prepares it before. */
int bawn_mem_huge_file(uint64_t size);
void bawn_mem_huge_prepare(void);

#endif

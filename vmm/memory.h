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

#define BAWN_MEM_MAX_RANGES 2

struct bawn_mem_range {
    uint64_t gpa;
    uint64_t size;
    uint8_t *host; /* inside the mapping, between its guards */
    void *map;
    size_t map_size;
};

struct bawn_mem {
    struct bawn_mem_range range[BAWN_MEM_MAX_RANGES];
    unsigned nr;
};

/* Zeroed, lazily populated, kept out of core dumps, inaccessible guards on both sides. huge: most
 * of it will be used. */
enum bawn_status bawn_mem_create(struct bawn_mem *mem, const struct bawn_ram *ram, unsigned nr,
                                 bool huge, struct bawn_error *err);
void bawn_mem_destroy(struct bawn_mem *mem);

/* The len bytes at gpa, or NULL unless all of them lie in one range of RAM. */
void *bawn_mem_at(const struct bawn_mem *mem, uint64_t gpa, uint64_t len);

/* Gives the whole pages in this piece of guest memory back to the host: they read as zeroes. */
void bawn_mem_drop(void *at, size_t len);

/* Copies the plan's regions into memory. */
enum bawn_status bawn_mem_place(struct bawn_mem *mem, const struct bawn_launch_plan *plan,
                                struct bawn_error *err);

#endif

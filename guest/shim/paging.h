/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables, four levels, one to one, every entry with the C-bit. Four levels always do: the
 * lowest 4 GiB hold all that the shim reads and all that Linux needs at its entry, and RAM
 * above is validated through a window of 1 GiB. Linux goes to five levels by itself.
 *
 * The shim's own tables map RAM as data, its image read-only, and only its code executable.
 * Linux's map RAM without restriction, as its decompressor copies and runs code in it.
 */
#ifndef SHIM_PAGING_H
#define SHIM_PAGING_H

#include <stdint.h>

#include "bawn/shim.h"

/* AMD APM vol. 2, 5.3 and 5.6 */
#define SHIM_PTE_PRESENT (1ull << 0)
#define SHIM_PTE_WRITE (1ull << 1)
#define SHIM_PTE_ACCESSED (1ull << 5)
#define SHIM_PTE_DIRTY (1ull << 6)
#define SHIM_PTE_LARGE (1ull << 7)
#define SHIM_PTE_NX (1ull << 63)

#define SHIM_MAP_R (SHIM_PTE_PRESENT | SHIM_PTE_NX)
#define SHIM_MAP_RW (SHIM_PTE_PRESENT | SHIM_PTE_WRITE | SHIM_PTE_NX)
#define SHIM_MAP_RX SHIM_PTE_PRESENT
#define SHIM_MAP_RWX (SHIM_PTE_PRESENT | SHIM_PTE_WRITE)
#define SHIM_MAP_NONE 0ull

#define SHIM_SIZE_2M (2ull << 20)
#define SHIM_SIZE_1G (1ull << 30)
#define SHIM_MAPPED_END (4ull << 30)
#define SHIM_WINDOW SHIM_MAPPED_END /* its virtual address */

/* Tables stand page by page from base: root, level 3, level 2 of 4 GiB; then, in the shim's
 * own only, level 1 of the first 2 MiB and level 2 of the window. */
#define SHIM_TABLE_PAGES 6
#define SHIM_TABLE_PAGES_OWN 8

struct shim_tables {
    uint64_t base; /* gpa */
    uint64_t cbit; /* mask */
};

/* Starts empty tables at base and returns what CR3 takes. */
uint64_t shim_tables_init(struct shim_tables *t, uint64_t base, uint64_t cbit);

/* Maps all 2 MiB pages below 4 GiB that the range touches. */
void shim_tables_large(struct shim_tables *t, const struct bawn_shim_range *range, uint64_t flags);

/* Only in the shim's own: the first 2 MiB by small pages, from all flags alike; then the pages
 * from start to end, where that is to differ. */
void shim_tables_low(struct shim_tables *t, uint64_t flags);
void shim_tables_small(struct shim_tables *t, uint64_t start, uint64_t end, uint64_t flags);
/* A small page's entry, for the one whose C-bit changes. */
uint64_t *shim_tables_entry(struct shim_tables *t, uint64_t gpa);
/* The window shows 1 GiB from gpa, which is a multiple of that. CR3 is to be loaded again. */
void shim_tables_window(struct shim_tables *t, uint64_t gpa);

/* All of the shim's own tables for the RAM map and an image whose code ends at code_end and
 * whose data ends at image_end. */
uint64_t shim_tables_own(struct shim_tables *t, uint64_t cbit,
                         const struct bawn_shim_params *params, uint64_t code_end,
                         uint64_t image_end);
uint64_t shim_tables_linux(struct shim_tables *t, uint64_t cbit,
                           const struct bawn_shim_params *params);

#endif

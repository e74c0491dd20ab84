// SPDX-License-Identifier: Apache-2.0
/*
 * The shim's and Linux's first page tables. See paging.h.
 */
#include <string.h>

#include "guest/shim/cpu.h"
#include "guest/shim/paging.h"

#define ENTRIES 512u
#define LEVEL2_TABLES (SHIM_MAPPED_END / SHIM_SIZE_1G)

enum table { ROOT, LEVEL3, LEVEL2, LOW = LEVEL2 + LEVEL2_TABLES, WINDOW };

_Static_assert((unsigned)LOW == SHIM_TABLE_PAGES, "Linux's tables end before the low one");
_Static_assert((unsigned)WINDOW + 1 == SHIM_TABLE_PAGES_OWN, "the shim's tables");
_Static_assert(SHIM_TABLES + SHIM_TABLE_PAGES_OWN * SHIM_PAGE == SHIM_TABLES_END, "their room");
_Static_assert(SHIM_LINUX_TABLES + SHIM_TABLE_PAGES * SHIM_PAGE == SHIM_LINUX_TABLES_END, "room");

/* Accessed and dirty are set, so that the processor does not have to write to the tables. */
#define LEAF (SHIM_PTE_ACCESSED | SHIM_PTE_DIRTY)
#define LINK (SHIM_PTE_PRESENT | SHIM_PTE_WRITE | SHIM_PTE_ACCESSED)

static uint64_t gpa_of(const struct shim_tables *t, unsigned table)
{
    return t->base + (uint64_t)table * SHIM_PAGE;
}

static uint64_t *at(const struct shim_tables *t, unsigned table)
{
    return shim_at(gpa_of(t, table));
}

static void link(struct shim_tables *t, unsigned table, unsigned index, unsigned below)
{
    at(t, table)[index] = gpa_of(t, below) | t->cbit | LINK;
}

static uint64_t leaf(const struct shim_tables *t, uint64_t gpa, uint64_t flags)
{
    return flags & SHIM_PTE_PRESENT ? gpa | t->cbit | flags | LEAF : 0;
}

uint64_t shim_tables_init(struct shim_tables *t, uint64_t base, uint64_t cbit)
{
    *t = (struct shim_tables){ .base = base, .cbit = cbit };
    memset(at(t, ROOT), 0, (size_t)SHIM_TABLE_PAGES * SHIM_PAGE);
    link(t, ROOT, 0, LEVEL3);
    for (unsigned i = 0; i < LEVEL2_TABLES; i++)
        link(t, LEVEL3, i, LEVEL2 + i);
    return gpa_of(t, ROOT) | cbit;
}

void shim_tables_large(struct shim_tables *t, const struct bawn_shim_range *range, uint64_t flags)
{
    uint64_t gpa = range->gpa & ~(SHIM_SIZE_2M - 1), end = range->gpa + range->size;

    for (; gpa < end && gpa < SHIM_MAPPED_END; gpa += SHIM_SIZE_2M)
        at(t, (unsigned)(LEVEL2 + gpa / SHIM_SIZE_1G))[gpa / SHIM_SIZE_2M % ENTRIES] =
            leaf(t, gpa, flags | SHIM_PTE_LARGE);
}

uint64_t *shim_tables_entry(struct shim_tables *t, uint64_t gpa)
{
    return &at(t, LOW)[gpa / SHIM_PAGE % ENTRIES];
}

void shim_tables_small(struct shim_tables *t, uint64_t start, uint64_t end, uint64_t flags)
{
    for (uint64_t gpa = start; gpa < end; gpa += SHIM_PAGE)
        *shim_tables_entry(t, gpa) = leaf(t, gpa, flags);
}

void shim_tables_low(struct shim_tables *t, uint64_t flags)
{
    memset(at(t, LOW), 0, (size_t)2 * SHIM_PAGE);
    shim_tables_small(t, 0, SHIM_SIZE_2M, flags);
    link(t, LEVEL2, 0, LOW);
    link(t, LEVEL3, (unsigned)LEVEL2_TABLES, WINDOW);
}

void shim_tables_window(struct shim_tables *t, uint64_t gpa)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        at(t, WINDOW)[i] = leaf(t, gpa + i * SHIM_SIZE_2M, SHIM_MAP_RW | SHIM_PTE_LARGE);
}

uint64_t shim_tables_own(struct shim_tables *t, uint64_t cbit,
                         const struct bawn_shim_params *params, uint64_t code_end,
                         uint64_t image_end)
{
    /* What differs from plain RAM in the first 2 MiB. */
    const struct {
        uint64_t start, end, flags;
    } low[] = {
        { BAWN_SHIM_IMAGE, code_end, SHIM_MAP_RX },
        { code_end, image_end, SHIM_MAP_R },
        { BAWN_SHIM_PARAMS, BAWN_SHIM_SECRETS, SHIM_MAP_R },
        { BAWN_SHIM_SECRETS, BAWN_SHIM_CPUID, SHIM_MAP_NONE },
        { BAWN_SHIM_CPUID, BAWN_SHIM_WORK, SHIM_MAP_R },
        { SHIM_GHCB + SHIM_PAGE, SHIM_STACK, SHIM_MAP_NONE },
        { SHIM_STACK_TOP, SHIM_FAULT_STACK, SHIM_MAP_NONE },
        { SHIM_FAULT_STACK_TOP, SHIM_TABLES, SHIM_MAP_NONE },
    };
    uint64_t cr3 = shim_tables_init(t, SHIM_TABLES, cbit);

    for (uint32_t i = 0; i < params->nr_ram; i++)
        shim_tables_large(t, &params->ram[i], SHIM_MAP_RW);
    shim_tables_low(t, SHIM_MAP_RW);
    for (unsigned i = 0; i < sizeof(low) / sizeof(low[0]); i++)
        shim_tables_small(t, low[i].start, low[i].end, low[i].flags);
    return cr3;
}

uint64_t shim_tables_linux(struct shim_tables *t, uint64_t cbit,
                           const struct bawn_shim_params *params)
{
    uint64_t cr3 = shim_tables_init(t, SHIM_LINUX_TABLES, cbit);

    for (uint32_t i = 0; i < params->nr_ram; i++)
        shim_tables_large(t, &params->ram[i], SHIM_MAP_RWX);
    return cr3;
}

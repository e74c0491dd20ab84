// SPDX-License-Identifier: Apache-2.0
/*
 * PVALIDATE of RAM, in 2 MiB steps where alignment and the host's own page size allow it.
 * See validate.h.
 */
#include "guest/shim/cpu.h"
#include "guest/shim/validate.h"

struct walk {
    struct shim_tables *tables;
    uint64_t cr3;
    uint64_t window; /* gpa that it shows; 0: none yet */
};

/* Where RAM can be named: as it is, or above 4 GiB in the window. */
static uint64_t virtual(struct walk *w, uint64_t gpa)
{
    uint64_t base = gpa & ~(SHIM_SIZE_1G - 1);

    if (gpa < SHIM_MAPPED_END)
        return gpa;
    if (w->window != base) {
        shim_tables_window(w->tables, base);
        shim_set_cr3(w->cr3);
        w->window = base;
    }
    return SHIM_WINDOW + (gpa - base);
}

/* False: the host has mapped this by small pages. */
static bool validate(uint64_t va, enum shim_page_size size)
{
    bool unchanged;
    uint32_t result = shim_pvalidate(va, size, true, &unchanged);

    if (size == SHIM_2M && result == SHIM_PVALIDATE_SIZEMISMATCH)
        return false;
    if (result != SHIM_PVALIDATE_OK)
        shim_fail(BAWN_SHIM_FAIL_PVALIDATE);
    if (unchanged)
        shim_fail(BAWN_SHIM_FAIL_REPLAY);
    return true;
}

static void validate_small(struct walk *w, uint64_t gpa, uint64_t end)
{
    for (; gpa < end; gpa += SHIM_PAGE)
        (void)validate(virtual(w, gpa), SHIM_4K);
}

static void validate_range(struct walk *w, uint64_t gpa, uint64_t end)
{
    while (gpa < end) {
        uint64_t next = (gpa & ~(SHIM_SIZE_2M - 1)) + SHIM_SIZE_2M;

        if (next > end)
            next = end;
        if (next - gpa != SHIM_SIZE_2M || !validate(virtual(w, gpa), SHIM_2M))
            validate_small(w, gpa, next);
        gpa = next;
    }
}

void shim_validate_ram(struct shim_tables *t, uint64_t cr3, const struct bawn_shim_params *p,
                       const struct shim_launched *launched)
{
    struct walk w = { .tables = t, .cr3 = cr3, .window = 0 };
    unsigned n = 0;

    for (uint32_t i = 0; i < p->nr_ram; i++) {
        uint64_t gpa = p->ram[i].gpa, end = gpa + p->ram[i].size;

        /* Both lists ascend, and what was launched lies in RAM. */
        for (; n < launched->count && launched->range[n].gpa < end; n++) {
            validate_range(&w, gpa, launched->range[n].gpa);
            gpa = launched->range[n].gpa + launched->range[n].size;
        }
        validate_range(&w, gpa, end);
    }
}

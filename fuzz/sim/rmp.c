// SPDX-License-Identifier: Apache-2.0
/*
 * The reverse map table over the machine's pages: where entries are and who may be told of them;
 * platform/kmod/rmp.c has the rules, which are used unchanged. On hardware a host write to a page
 * that is not the host's faults. Here the address sanitizer sees it: such a page is poisoned, but
 * for those of firmware's, which the host may read. AMD APM vol. 2, 15.36.3 to 15.36.10.
 */
#include "internal.h"

#include "bawn/psp.h"
#include "platform/kmod/rmp.h"

#include "hw.h"
#include "sanitizer.h"

static struct rmp_entry *table; /* whole blocks of 512, from SIM_PHYS_BASE on */
static u64 nr_pages, nr_entries;
static u64 nr_assigned;
static unsigned long *assigned; /* by entry, to find the few that are */

void sim_rmp_start(uint64_t pages)
{
    nr_pages = pages;
    nr_entries = ALIGN(pages, RMP_PER_LARGE);
    table = sim_host_zalloc(nr_entries * sizeof(*table));
    assigned = sim_host_zalloc(nr_entries / 8);
}

static u64 index_of(u64 pfn)
{
    u64 i = pfn - (SIM_PHYS_BASE >> PAGE_SHIFT);

    if (i >= nr_pages)
        sim_fault(SIM_HARDWARE, "RMP entry of page frame 0x%llx, which is no memory",
                  (unsigned long long)pfn);
    return i;
}

/* Firmware's own pages without a guest's context in them: responses, which the host reads. */
static bool host_reads(const struct rmp_entry *e)
{
    return !(e->flags & RMP_ASSIGNED) || (!e->asid && !(e->flags & RMP_CONTEXT));
}

static void shade(u64 i)
{
    void *at = sim_arena + i * PAGE_SIZE;

    if (host_reads(&table[i]))
        sim_unpoison(at, PAGE_SIZE);
    else
        sim_poison(at, PAGE_SIZE);
}

static void changed(u64 first, u64 n)
{
    for (u64 i = first; i < first + n && i < nr_pages; i++)
        shade(i);
}

/* ---- What rmp_table.c has in the kernel ---- */

void rmp_get(u64 pfn, struct rmp_entry *e)
{
    *e = table[index_of(pfn)];
}

/* What is known of assigned entries, after these changed. */
static void note(u64 first, u64 n)
{
    for (u64 i = first; i < first + n; i++) {
        bool is = table[i].flags & RMP_ASSIGNED;

        if (is == test_bit(i, assigned))
            continue;
        if (is)
            set_bit(i, assigned);
        else
            clear_bit(i, assigned);
        nr_assigned += is ? 1 : -1ull;
    }
}

/* Rules see a block of 512; as many of its entries as one call changes are looked at again. */
static u32 apply(u64 pfn, bool large,
                 u32 (*rule)(struct rmp_entry *block, unsigned int i, void *arg), void *arg)
{
    u64 i = index_of(pfn), first = large ? ALIGN_DOWN(i, RMP_PER_LARGE) : i;
    u64 n = large ? RMP_PER_LARGE : 1;
    u32 code;

    code = rule(&table[ALIGN_DOWN(i, RMP_PER_LARGE)], i % RMP_PER_LARGE, arg);
    note(first, n);
    changed(first, n);
    return code;
}

static u32 update(struct rmp_entry *block, unsigned int i, void *arg)
{
    return rmp_rule_update(block, i, arg);
}

enum rmp_code rmp_update(u64 pfn, const struct rmp_update *new)
{
    return apply(pfn, new->large, update, (void *)new);
}

static u32 smash(struct rmp_entry *block, unsigned int i, void *arg)
{
    return rmp_rule_psmash(block, i);
}

enum rmp_code rmp_psmash(u64 pfn)
{
    return apply(pfn, true, smash, NULL);
}

struct change {
    rmp_fn fn;
    void *arg;
};

static u32 change(struct rmp_entry *block, unsigned int i, void *arg)
{
    const struct change *c = arg;
    struct rmp_entry none = {};

    return c->fn(block[i].flags & RMP_ASSIGNED ? &block[i] : &none, c->arg);
}

u32 rmp_change(u64 pfn, rmp_fn fn, void *arg)
{
    return apply(pfn, false, change, &(struct change){ fn, arg });
}

static u32 reclaim(struct rmp_entry *block, unsigned int i, void *arg)
{
    return rmp_rule_reclaim(block, i, *(bool *)arg);
}

u32 rmp_reclaim(u64 pfn, bool large)
{
    if (!pfn_valid(pfn))
        return BAWN_PSP_INVALID_ADDRESS;
    return apply(pfn, large, reclaim, &large);
}

/* ---- What the rest of the simulated machine asks ---- */

bool sim_rmp_assigned(uint64_t pfn)
{
    return nr_assigned && table[index_of(pfn)].flags & RMP_ASSIGNED;
}

uint64_t sim_rmp_next(uint64_t pfn)
{
    if (!nr_assigned)
        return UINT64_MAX;
    pfn = find_next_bit(assigned, nr_pages, pfn - (SIM_PHYS_BASE >> PAGE_SHIFT));
    return pfn < nr_pages ? pfn + (SIM_PHYS_BASE >> PAGE_SHIFT) : UINT64_MAX;
}

void sim_rmp_host_owns(uint64_t pfn, const char *what)
{
    if (sim_rmp_assigned(pfn))
        sim_fault(SIM_OWNERSHIP, "%s page frame 0x%llx, which is assigned", what,
                  (unsigned long long)pfn);
}

void sim_rmp_force(uint64_t pfn)
{
    u64 i = index_of(pfn);

    memset(&table[i], 0, sizeof(table[i]));
    note(i, 1);
    shade(i);
}

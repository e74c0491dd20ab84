// SPDX-License-Identifier: Apache-2.0
/*
 * What a finding looks like, and the oracles over live VMs: whom a page belongs to that a nested
 * table maps. Trusts the module with nothing.
 */
#include <execinfo.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/bawn.h"
#include "internal.h"

#define BACKTRACE 32

struct sim_options sim_options;
struct sim_stats sim_counts;
struct sim_hooks sim_hooks;
static bool always;

/* ---- Findings ---- */

static const char *const class_names[SIM_CLASSES] = {
    [SIM_LEAK] = "LEAK",
    [SIM_LOCK] = "LOCK",
    [SIM_DOUBLE_FETCH] = "DOUBLE_FETCH",
    [SIM_OWNERSHIP] = "OWNERSHIP",
    [SIM_UNBOUNDED] = "UNBOUNDED",
    [SIM_DEADLOCK] = "DEADLOCK",
    [SIM_WARN] = "WARN",
    [SIM_COPY_OUT] = "COPY_OUT",
    [SIM_STATE] = "STATE",
    [SIM_HARDWARE] = "HARDWARE",
};

void sim_fault(enum sim_class class, const char *fmt, ...)
{
    void *frames[BACKTRACE];
    va_list args;

    fprintf(stderr, "sim: %s: ", class_names[class]);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    fflush(stderr);
    backtrace_symbols_fd(frames, backtrace(frames, BACKTRACE), STDERR_FILENO);
    abort();
}

void sim_warn(const char *what, const char *file, int line)
{
    sim_fault(SIM_WARN, "%s at %s:%d", what, file, line);
}

void sim_printk(const char *fmt, ...)
{
    static int verbose = -1;
    va_list args;

    if (verbose < 0)
        verbose = getenv("BAWN_SIM_VERBOSE") != NULL;
    if (!verbose)
        return;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
}

/* ---- Nested tables ---- */

#define NPT_P 1ull
#define NPT_W 2ull
#define NPT_PS 0x80ull
#define NPT_ADDRESS 0x000ffffffffff000ull

static u64 *table_at(u64 entry)
{
    return sim_va(entry & NPT_ADDRESS);
}

void *sim_guest(struct bawn_vcpu *vcpu, uint64_t gpa, bool write, bool private)
{
    struct bawn_vm *vm = vcpu->vm;
    u64 *table = vm->root, entry = 0, low;
    int level;

    gpa &= NPT_ADDRESS | 0xfff;
    if (private)
        gpa |= vm->private_alias;
    for (level = vm->root_level; level; level--) {
        entry = table[gpa >> (12 + 9 * (level - 1)) & 511];
        if (!(entry & NPT_P) || (write && !(entry & NPT_W)) ||
            (vm->mmio_leaf && entry == vm->mmio_leaf))
            return NULL;
        if (level == 1 || entry & NPT_PS)
            break;
        table = table_at(entry);
    }
    low = (1ull << (12 + 9 * (level - 1))) - 1;
    return sim_va((entry & NPT_ADDRESS & ~low) | (gpa & low));
}

struct walk {
    struct bawn_vm *vm;
    u64 leaves[4]; /* by level */
};

static const struct bawn_memslot *slot_of(struct bawn_vm *vm, gfn_t gfn)
{
    const struct bawn_memslots *s = vm->slots;
    unsigned int i;

    for (i = 0; i < s->nr; i++)
        if (gfn - s->slot[i].base < s->slot[i].npages)
            return &s->slot[i];
    return NULL;
}

/* A page of shared memory: the one that the process has there now, with no more rights. */
static void judge_shared(struct walk *w, gfn_t gfn, struct page *page, bool write)
{
    const struct bawn_memslot *slot = slot_of(w->vm, gfn);
    u64 hva = slot->hva + ((gfn - slot->base) << PAGE_SHIFT);
    struct vm_area_struct *v = vma_lookup(w->vm->mm, hva);
    struct page *now = v ? sim_user_page(w->vm->mm, hva, false) : NULL;

    if (now != page)
        sim_fault(SIM_OWNERSHIP,
                  "gfn %#llx is mapped to page %#llx, which is not the process's any more", gfn,
                  page_to_pfn(page));
    if (write && (!(v->vm_flags & VM_WRITE) || slot->flags & KVM_MEM_READONLY))
        sim_fault(SIM_OWNERSHIP, "gfn %#llx is mapped writable, but it is read-only", gfn);
    if (write && slot->dirty && !test_bit(gfn - slot->base, slot->dirty))
        sim_fault(SIM_STATE, "gfn %#llx can be written without being logged", gfn);
}

/* One page of 4 KiB; a larger leaf is as many. */
static void judge_page(struct walk *w, gfn_t at, u64 entry)
{
    gfn_t alias = w->vm->private_alias >> PAGE_SHIFT;
    bool private_place = alias && at & alias;
    gfn_t gfn = at & ~alias;
    struct page *page;
    bool private;

    if (!pfn_valid((entry & NPT_ADDRESS) >> PAGE_SHIFT))
        sim_fault(SIM_HARDWARE, "gfn %#llx is mapped to %#llx, where no memory is", at, entry);
    page = pfn_to_page((entry & NPT_ADDRESS) >> PAGE_SHIFT);
    if (page->refs <= 0)
        sim_fault(SIM_OWNERSHIP, "gfn %#llx is mapped to page %#llx, which is free", at,
                  page_to_pfn(page));
    if (!slot_of(w->vm, gfn))
        sim_fault(SIM_OWNERSHIP, "gfn %#llx is mapped without a memory slot", at);
    private = bawn_is_private(w->vm, gfn);
    if (private_place && !private)
        sim_fault(SIM_OWNERSHIP, "gfn %#llx is shared, but mapped as private", gfn);
    if (!private) {
        if (page->mapping)
            sim_fault(SIM_OWNERSHIP, "gfn %#llx is shared, but maps a page of private memory", gfn);
        judge_shared(w, gfn, page, entry & NPT_W);
    } else if (page->user || !page->mapping) {
        sim_fault(SIM_OWNERSHIP, "gfn %#llx is private, but its page is %s", gfn,
                  page->user ? "mapped by the process" : "not of private memory");
    }
}

static void judge_leaf(struct walk *w, gfn_t at, u64 entry, int level)
{
    u64 n = 1ull << (9 * (level - 1)), i;

    if (w->vm->mmio_leaf && entry == w->vm->mmio_leaf)
        return;
    if (entry & NPT_ADDRESS & ((n << PAGE_SHIFT) - 1))
        sim_fault(SIM_HARDWARE, "gfn %#llx is mapped by a large leaf that is not aligned: %#llx",
                  at, entry);
    for (i = 0; i < n; i++)
        judge_page(w, at + i, entry + (i << PAGE_SHIFT));
}

/* Tables are nearly empty, and looked at after each call: by many entries at once, without a
 * sanitizer's check of each, which the caller makes of the page. */
#define AT_ONCE 32u
#define UNCHECKED __attribute__((no_sanitize("address", "undefined")))
static UNCHECKED bool none_present(const u64 *entry)
{
    u64 any = 0;
    unsigned int i;

    for (i = 0; i < AT_ONCE; i++)
        any |= entry[i];
    return !(any & NPT_P);
}

/* The next present entry from i on; 512: none. */
static UNCHECKED gfn_t next_present(const u64 *table, gfn_t i)
{
    while (i < 512 && !(table[i] & NPT_P))
        i += i % AT_ONCE || !none_present(&table[i]) ? 1 : AT_ONCE;
    return i;
}

static void judge_table(struct walk *w, u64 *table, int level, gfn_t base)
{
    gfn_t step = 1ull << (9 * (level - 1)), i;

    (void)*(const volatile u64 *)&table[0];
    for (i = next_present(table, 0); i < 512; i = next_present(table, i + 1)) {
        u64 entry = table[i];

        if (level > 1 && !(entry & NPT_PS)) {
            judge_table(w, table_at(entry), level - 1, base + i * step);
            continue;
        }
        w->leaves[min(level, 3)]++;
        judge_leaf(w, base + i * step, entry, level);
    }
}

static void judge_vm(struct bawn_vm *vm)
{
    struct walk w = { .vm = vm };

    if (!vm->root)
        return;
    judge_table(&w, vm->root, vm->root_level, 0);
    if (w.leaves[1] != vm->stat.pages_4k || w.leaves[2] != vm->stat.pages_2m ||
        w.leaves[3] != vm->stat.pages_1g)
        sim_fault(SIM_STATE, "%llu pages are mapped, but %llu are counted", w.leaves[1],
                  vm->stat.pages_4k);
    if (sim_hooks.check)
        sim_hooks.check(vm);
}

/* The VM of a descriptor; every VM is known to the memory of its process. */
static struct bawn_vm *vm_of(int fd)
{
    struct file *file = fget((unsigned int)fd);
    struct mmu_notifier *n;
    struct bawn_vm *vm;
    int i;

    if (!file)
        return NULL;
    vm = file->private_data;
    fput(file);
    for (i = 0; i < 2; i++)
        for (n = sim_mm[i].notifiers; n; n = n->next)
            if (container_of(n, struct bawn_vm, notifier) == vm)
                return vm;
    return NULL;
}

size_t sim_dirty_log(int fd, uint32_t id, uint64_t *to, size_t n)
{
    struct bawn_vm *vm = vm_of(fd);
    const struct bawn_memslots *s = vm ? vm->slots : NULL;
    size_t words;
    unsigned int i;

    for (i = 0; s && i < s->nr; i++) {
        if (s->slot[i].id != id || !s->slot[i].dirty)
            continue;
        words = min(n, BITS_TO_LONGS(s->slot[i].npages));
        memcpy(to, s->slot[i].dirty, words * sizeof(*to));
        return words;
    }
    return 0;
}

/* In the middle of another task's call a rule may be broken for a moment. */
static bool quiet(void)
{
    int i;

    for (i = 0; i < SIM_MAX_TASKS; i++)
        if (sim_tasks[i].used && !sim_tasks[i].ended && sim_tasks[i].depth)
            return false;
    return true;
}

void sim_check(void)
{
    struct mmu_notifier *n;
    int i;

    if (!quiet())
        return;
    /* Every VM is known to the memory of its process. */
    for (i = 0; i < 2; i++)
        for (n = sim_mm[i].notifiers; n; n = n->next)
            judge_vm(container_of(n, struct bawn_vm, notifier));
}

void sim_check_always(bool on)
{
    always = on;
}

void sim_check_entry(void)
{
    sim_cpu_balance();
    if (always)
        sim_check();
}

/* ---- A kernel without the module ---- */

void sim_bare(const struct sim_options *options)
{
    sim_options = *options;
    sim_memory_start(options->memory);
    sim_lock_start();
    sim_task_start();
    sim_user_start();
    sim_cpu_start();
}

const struct sim_stats *sim_stats(void)
{
    return &sim_counts;
}

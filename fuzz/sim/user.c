// SPDX-License-Identifier: Apache-2.0
/*
 * The process's address space, whose pages are pages of the arena; what changes in it, and whom it
 * tells; the host's page tables. A second process has an address space too, an empty one. Trusts
 * the module with nothing.
 */
#include <stdlib.h>

#include "internal.h"

#ifdef SIM_MSAN
#include <sanitizer/msan_interface.h>
#endif

#define FIRST_ADDRESS 0x10000000ull
#define LAST_ADDRESS (1ull << 46)
#define MAX_SIZE (64ull << 30)
#define CHUNK_PAGES 512ul

struct mm_struct sim_mm[2];
struct mm_struct *sim_table_mm;

/* ---- Areas ---- */

struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long address)
{
    int i;

    for (i = 0; i < mm->nr_vma; i++)
        if (address >= mm->vma[i]->vm_start && address < mm->vma[i]->vm_end)
            return mm->vma[i];
    return NULL;
}

static bool overlaps(struct mm_struct *mm, u64 start, u64 end)
{
    int i;

    for (i = 0; i < mm->nr_vma; i++)
        if (start < mm->vma[i]->vm_end && mm->vma[i]->vm_start < end)
            return true;
    return false;
}

static size_t nr_chunks(const struct vm_area_struct *v)
{
    return (vma_pages(v) + CHUNK_PAGES - 1) / CHUNK_PAGES;
}

static struct vm_area_struct *add_area(struct mm_struct *mm, u64 start, u64 size)
{
    struct vm_area_struct *v;

    if (!size || size > MAX_SIZE || offset_in_page(start | size) || start >= LAST_ADDRESS ||
        size > LAST_ADDRESS - start || mm->nr_vma == (int)ARRAY_SIZE(mm->vma) ||
        overlaps(mm, start, start + size))
        return NULL;
    v = calloc(1, sizeof(*v));
    if (!v)
        abort();
    v->vm_start = start;
    v->vm_end = start + size;
    v->vm_flags = VM_READ | VM_WRITE;
    v->vm_mm = mm;
    v->chunks = calloc(nr_chunks(v), sizeof(*v->chunks));
    if (!v->chunks)
        abort();
    mm->vma[mm->nr_vma++] = v;
    return v;
}

bool sim_map_at(uint64_t address, size_t size)
{
    return add_area(&sim_mm[0], address, size);
}

static u64 place(size_t size)
{
    struct mm_struct *mm = &sim_mm[0];
    u64 at = mm->next;

    while (overlaps(mm, at, at + size) && at < LAST_ADDRESS)
        at += PMD_SIZE;
    return at;
}

uint64_t sim_map(size_t size)
{
    u64 at = place(size);

    if (!add_area(&sim_mm[0], at, size))
        return 0;
    /* A hole of a page at least, so that running out of one is seen. */
    sim_mm[0].next = ALIGN(at + size + PAGE_SIZE, PMD_SIZE);
    return at;
}

u64 sim_map_file(struct file *file, size_t size, u64 offset)
{
    u64 at = place(size);
    struct vm_area_struct *v = add_area(&sim_mm[0], at, size);

    if (!v)
        return 0;
    v->vm_flags |= VM_SHARED;
    v->vm_pgoff = offset >> PAGE_SHIFT;
    v->vm_file = file;
    if (!file->f_op->mmap || file->f_op->mmap(file, v)) {
        free(v->chunks);
        free(v);
        sim_mm[0].nr_vma--;
        return 0;
    }
    file->refs++;
    sim_mm[0].next = ALIGN(at + size + PAGE_SIZE, PMD_SIZE);
    return at;
}

/* ---- Pages of areas ---- */

static struct page **slot_of(struct vm_area_struct *v, u64 address, bool make)
{
    u64 n = (address - v->vm_start) >> PAGE_SHIFT;
    struct page ***chunk = &v->chunks[n / CHUNK_PAGES];

    if (!*chunk && make) {
        *chunk = calloc(CHUNK_PAGES, sizeof(void *));
        if (!*chunk)
            abort();
    }
    return *chunk ? &(*chunk)[n % CHUNK_PAGES] : NULL;
}

static void drop_page(struct page **slot)
{
    (*slot)->user--;
    put_page(*slot);
    *slot = NULL;
}

static struct page *fault_in(struct vm_area_struct *v, u64 address)
{
    struct vm_fault vmf = { .vma = v,
                            .pgoff = v->vm_pgoff + ((address - v->vm_start) >> PAGE_SHIFT) };

    if (!v->vm_ops)
        return alloc_page(GFP_USER | __GFP_ATOMIC | __GFP_ZERO);
    return v->vm_ops->fault(&vmf) ? NULL : vmf.page;
}

struct page *sim_user_page(struct mm_struct *mm, u64 address, bool write)
{
    struct vm_area_struct *v = vma_lookup(mm, address);
    struct page **slot;

    if (!v || !(v->vm_flags & VM_READ) || (write && !(v->vm_flags & VM_WRITE)))
        return NULL;
    slot = slot_of(v, address, true);
    if (!*slot) {
        *slot = fault_in(v, address);
        if (!*slot)
            return NULL;
        (*slot)->user++;
    }
    return *slot;
}

struct page *sim_user_present(struct mm_struct *mm, u64 address, bool write)
{
    struct vm_area_struct *v = vma_lookup(mm, address);
    struct page **slot = v ? slot_of(v, address, false) : NULL;

    return slot && (!write || v->vm_flags & VM_WRITE) ? *slot : NULL;
}

void *sim_user(uint64_t address)
{
    struct page *page = sim_user_page(&sim_mm[0], address, false);

    return page ? (u8 *)page_address(page) + offset_in_page(address) : NULL;
}

static bool direct_copy(u64 address, void *buf, size_t n, bool write)
{
    u8 *p = buf;

    while (n) {
        size_t part = min(n, PAGE_SIZE - offset_in_page(address));
        u8 *at = sim_user(address);

        if (!at)
            return false;
        if (write)
            memcpy(at, p, part);
        else
            memcpy(p, at, part);
        address += part;
        p += part;
        n -= part;
    }
    return true;
}

bool sim_poke(uint64_t address, const void *from, size_t n)
{
    return direct_copy(address, (void *)from, n, true);
}

bool sim_peek(uint64_t address, void *to, size_t n)
{
    return direct_copy(address, to, n, false);
}

/* ---- Large pages: 2 MiB of an area that are one, and that its page table maps as one ---- */

static bool whole_chunk(const struct vm_area_struct *v, u64 address)
{
    return !(v->vm_start & ~PMD_MASK) && (address | ~PMD_MASK) < v->vm_end;
}

static void split_chunk(struct vm_area_struct *v, u64 address)
{
    if (v->large)
        v->large[(address - v->vm_start) >> PMD_SHIFT] = false;
}

/* The pages of a chunk become this one's, with their content. */
static void fill_large(struct vm_area_struct *v, u64 start, struct page *large)
{
    u64 i;

    split_page(large, PMD_SHIFT - PAGE_SHIFT);
    for (i = 0; i < CHUNK_PAGES; i++) {
        struct page **slot = slot_of(v, start + i * PAGE_SIZE, true);

        if (*slot) {
            memcpy(page_address(&large[i]), page_address(*slot), PAGE_SIZE);
            drop_page(slot);
        }
        *slot = &large[i];
        large[i].user++;
    }
    v->large[(start - v->vm_start) >> PMD_SHIFT] = true;
}

static bool movable(struct vm_area_struct *v, u64 start)
{
    u64 i;

    for (i = 0; i < CHUNK_PAGES; i++) {
        struct page **slot = slot_of(v, start + i * PAGE_SIZE, false);

        if (slot && *slot && (*slot)->refs != 1)
            return false;
    }
    return true;
}

/* ---- Changes of the address space, of which notifiers are told ---- */

static void notify(struct mm_struct *mm, u64 start, u64 end, bool begin)
{
    struct mmu_notifier_range r = { mm, start, end };
    struct mmu_notifier *n;

    for (n = mm->notifiers; n; n = n->next) {
        if (begin)
            n->ops->invalidate_range_start(n, &r);
        else
            n->ops->invalidate_range_end(n, &r);
    }
}

/* mm's own lock for writing. */
static void mm_lock(struct mm_struct *mm)
{
    sim_order(&mm->mmap_lock);
    while (mm->readers || mm->mmap_lock.owner)
        sim_block(&mm->mmap_lock, TASK_UNINTERRUPTIBLE);
    mm->mmap_lock.owner = current;
    sim_acquire(&mm->mmap_lock, false);
}

static void mm_unlock(struct mm_struct *mm)
{
    sim_release(&mm->mmap_lock);
    mm->mmap_lock.owner = NULL;
    sim_wake(&mm->mmap_lock);
}

static void drop_range(struct vm_area_struct *v, u64 start, u64 end)
{
    u64 at = max(start, (u64)v->vm_start);

    for (end = min(end, (u64)v->vm_end); at < end; at += PAGE_SIZE) {
        struct page **slot = slot_of(v, at, false);

        split_chunk(v, at);
        if (!slot)
            at = min(end, v->vm_start + ALIGN(at - v->vm_start + 1, PMD_SIZE)) - PAGE_SIZE;
        else if (*slot)
            drop_page(slot);
    }
}

static void free_area(struct mm_struct *mm, int i)
{
    struct vm_area_struct *v = mm->vma[i];
    size_t c;

    drop_range(v, v->vm_start, v->vm_end);
    for (c = 0; c < nr_chunks(v); c++)
        free(v->chunks[c]);
    free(v->chunks);
    free(v->large);
    if (v->vm_file)
        fput(v->vm_file);
    free(v);
    mm->vma[i] = mm->vma[--mm->nr_vma];
}

/* Whole areas go; of others the pages. */
void sim_unmap(uint64_t address, size_t size)
{
    struct mm_struct *mm = &sim_mm[0];
    u64 start = address & PAGE_MASK, end;
    int i;

    if (__builtin_add_overflow(address, size, &end) || end > LAST_ADDRESS)
        end = LAST_ADDRESS;
    if (start >= end)
        return;
    end = PAGE_ALIGN(end);
    sim_entry_begin("munmap");
    mm_lock(mm);
    notify(mm, start, end, true);
    for (i = mm->nr_vma - 1; i >= 0; i--) {
        struct vm_area_struct *v = mm->vma[i];

        if (start <= v->vm_start && v->vm_end <= end)
            free_area(mm, i);
        else
            drop_range(v, start, end);
    }
    notify(mm, start, end, false);
    mm_unlock(mm);
    sim_entry_end();
}

/* Areas have their rights as a whole: of all that the range touches. */
void sim_protect(uint64_t address, size_t size, bool writable)
{
    struct mm_struct *mm = &sim_mm[0];
    u64 end;
    int i;

    if (__builtin_add_overflow(address, size, &end))
        end = LAST_ADDRESS;
    sim_entry_begin("mprotect");
    mm_lock(mm);
    for (i = 0; i < mm->nr_vma; i++) {
        struct vm_area_struct *v = mm->vma[i];

        if (v->vm_start >= end || address >= v->vm_end)
            continue;
        notify(mm, v->vm_start, v->vm_end, true);
        v->vm_flags = writable ? v->vm_flags | VM_WRITE : v->vm_flags & ~VM_WRITE;
        notify(mm, v->vm_start, v->vm_end, false);
    }
    mm_unlock(mm);
    sim_entry_end();
}

void sim_migrate(uint64_t address)
{
    struct mm_struct *mm = &sim_mm[0];
    u64 start = address & PAGE_MASK;
    struct vm_area_struct *v;
    struct page **slot, *page;

    sim_entry_begin("migrate");
    mm_lock(mm);
    v = vma_lookup(mm, start);
    if (!v || v->vm_ops)
        goto out;
    notify(mm, start, start + PAGE_SIZE, true);
    slot = slot_of(v, start, false);
    /* Who holds a reference keeps the page where it is. */
    page = slot && *slot && (*slot)->refs == 1 ? alloc_page(GFP_USER) : NULL;
    if (page) {
        memcpy(page_address(page), page_address(*slot), PAGE_SIZE);
        split_chunk(v, start);
        drop_page(slot);
        *slot = page;
        page->user++;
    }
    notify(mm, start, start + PAGE_SIZE, false);
out:
    mm_unlock(mm);
    sim_entry_end();
}

bool sim_collapse(uint64_t address)
{
    struct mm_struct *mm = &sim_mm[0];
    u64 start = address & PMD_MASK;
    struct page *large = NULL;
    struct vm_area_struct *v;

    sim_entry_begin("collapse");
    mm_lock(mm);
    v = vma_lookup(mm, start);
    if (!v || v->vm_ops || !whole_chunk(v, start) ||
        (v->large && v->large[(start - v->vm_start) >> PMD_SHIFT]))
        goto out;
    if (!v->large)
        v->large = calloc(nr_chunks(v), sizeof(*v->large));
    notify(mm, start, start + PMD_SIZE, true);
    if (v->large && movable(v, start))
        large = alloc_pages(GFP_USER | __GFP_ZERO, PMD_SHIFT - PAGE_SHIFT);
    if (large)
        fill_large(v, start, large);
    notify(mm, start, start + PMD_SIZE, false);
out:
    mm_unlock(mm);
    sim_entry_end();
    return large;
}

bool sim_age(uint64_t address, size_t size, enum sim_age how)
{
    struct mm_struct *mm = &sim_mm[0];
    u64 start = address & PAGE_MASK, end;
    struct mmu_notifier *n;
    bool young = false;

    if (__builtin_add_overflow(address, size, &end) || end > LAST_ADDRESS)
        end = LAST_ADDRESS;
    if (start >= end)
        return false;
    sim_entry_begin("age");
    mm_lock(mm);
    for (n = mm->notifiers; n; n = n->next)
        young |= how == SIM_AGE_TEST    ? n->ops->test_young(n, mm, start)
                 : how == SIM_AGE_CLEAR ? n->ops->clear_young(n, mm, start, end)
                                        : n->ops->clear_flush_young(n, mm, start, end);
    mm_unlock(mm);
    sim_entry_end();
    return young;
}

int mmu_notifier_register(struct mmu_notifier *mn, struct mm_struct *mm)
{
    if (sim_alloc_fails())
        return -ENOMEM;
    mm_lock(mm);
    WARN_ON(mn->registered);
    mn->next = mm->notifiers;
    mn->registered = true;
    mm->notifiers = mn;
    mm->refs++;
    mm_unlock(mm);
    return 0;
}

void mmu_notifier_unregister(struct mmu_notifier *mn, struct mm_struct *mm)
{
    struct mmu_notifier **p = &mm->notifiers;

    sim_need_sleepable("mmu_notifier_unregister()");
    while (*p && *p != mn)
        p = &(*p)->next;
    WARN_ON(!*p);
    if (mn->ops->release)
        mn->ops->release(mn, mm);
    *p = mn->next;
    mn->registered = false;
    mm->refs--;
}

int mmap_read_lock_killable(struct mm_struct *mm)
{
    sim_need_sleepable("mmap_read_lock()");
    sim_order(&mm->mmap_lock);
    while (mm->mmap_lock.owner) {
        if (fatal_signal_pending(current))
            return -EINTR;
        sim_block(&mm->mmap_lock, TASK_KILLABLE);
    }
    mm->readers++;
    sim_acquire(&mm->mmap_lock, false);
    return 0;
}

void mmap_read_unlock(struct mm_struct *mm)
{
    sim_release(&mm->mmap_lock);
    if (!--mm->readers)
        sim_wake(&mm->mmap_lock);
}

void mmgrab(struct mm_struct *mm)
{
    mm->refs++;
}

void mmdrop(struct mm_struct *mm)
{
    WARN_ON(mm->refs <= 0);
    mm->refs--;
}

/* ---- The host's page tables ---- */

static bool is_large(const struct vm_area_struct *v, u64 address)
{
    return v->large && v->large[(address - v->vm_start) >> PMD_SHIFT];
}

pgd_t *sim_table(struct mm_struct *mm, unsigned long address, int level)
{
    static pgd_t entry[6];
    u64 size = level == 2 ? PMD_SIZE : level == 3 ? PUD_SIZE : PGDIR_SIZE;
    u64 start = address & ~(size - 1), end = start + size;
    int i;

    entry[level].v = 0;
    for (i = 0; i < mm->nr_vma && !entry[level].v; i++) {
        struct vm_area_struct *v = mm->vma[i];
        u64 at = max(start, (u64)v->vm_start), stop = min(end, (u64)v->vm_end);

        for (; at < stop; at = v->vm_start + ALIGN(at - v->vm_start + 1, PMD_SIZE))
            if (slot_of(v, at, false))
                entry[level].v = level == 2 && is_large(v, at) ? 3 : 1;
    }
    return &entry[level];
}

/* ---- Pages for the module ---- */

static long get_one(struct mm_struct *mm, u64 address, unsigned int flags, struct page **page)
{
    *page = sim_user_page(mm, address, flags & FOLL_WRITE);
    if (!*page)
        return -EFAULT;
    get_page(*page);
    return 1;
}

long get_user_pages_unlocked(unsigned long start, unsigned long n, struct page **pages,
                             unsigned int flags)
{
    struct mm_struct *mm = current->mm;
    long r;

    (void)n; /* the module asks for one */
    sim_step();
    if (flags & FOLL_INTERRUPTIBLE && signal_pending(current))
        return -EINTR;
    if (fatal_signal_pending(current))
        return -EINTR;
    if (sim_alloc_fails())
        return -ENOMEM;
    r = mmap_read_lock_killable(mm);
    if (r)
        return r;
    /* Only a page that is there already can be had for a hole of a core dump. */
    if (flags & FOLL_DUMP && !sim_user_page(mm, start, false))
        r = -EFAULT;
    else
        r = get_one(mm, start, flags, pages);
    mmap_read_unlock(mm);
    sim_switch_point();
    return r;
}

bool get_user_page_fast_only(unsigned long address, unsigned int flags, struct page **page)
{
    struct page *present = sim_user_present(current->mm, address, flags & FOLL_WRITE);

    sim_step();
    if (!present)
        return false;
    get_page(present);
    *page = present;
    return true;
}

/* ---- What the module wrote into pages that the process has of its files ---- */

void sim_user_check(void)
{
#ifdef SIM_MSAN
    struct mm_struct *mm = &sim_mm[0];
    int i;

    for (i = 0; i < mm->nr_vma; i++) {
        struct vm_area_struct *v = mm->vma[i];
        u64 at;

        for (at = v->vm_start; v->vm_ops && at < v->vm_end; at += PAGE_SIZE) {
            struct page *page = sim_user_present(mm, at, false);
            long bad = page ? (long)__msan_test_shadow(page_address(page), PAGE_SIZE) : -1;

            if (bad >= 0)
                sim_fault(SIM_COPY_OUT, "byte %ld of page %llu of a mapped file was never written",
                          bad, v->vm_pgoff + ((at - v->vm_start) >> PAGE_SHIFT));
        }
    }
#endif
}

/* ---- Life ---- */

void sim_user_start(void)
{
    static struct sim_lock_class class = { .name = "mmap_lock" };
    int i;

    for (i = 0; i < 2; i++) {
        memset(&sim_mm[i], 0, sizeof(sim_mm[i]));
        sim_mm[i].number = i;
        sim_mm[i].refs = 1;
        sim_lock_init(&sim_mm[i].mmap_lock, &class);
        sim_mm[i].next = FIRST_ADDRESS;
    }
}

/* The process exits, its memory goes. */
void sim_user_reset(void)
{
    int i;

    for (i = 0; i < 2; i++) {
        struct mm_struct *mm = &sim_mm[i];

        while (mm->nr_vma)
            free_area(mm, mm->nr_vma - 1);
        mm->next = FIRST_ADDRESS;
    }
}

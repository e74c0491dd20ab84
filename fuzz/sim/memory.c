// SPDX-License-Identifier: Apache-2.0
/*
 * Physical memory: one arena, a struct page for each page; freed pages are poisoned. Slab memory is
 * the sanitizer's malloc. Counts say at a reset what was left. Trusts the module with nothing: a
 * page that is not allocated, freed twice or referenced when free is a finding.
 */
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"

#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif
#if defined(SIM_ASAN) || defined(SIM_MSAN)
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SIM_MSAN
#include <sanitizer/msan_interface.h>
#else
#define __msan_poison(p, n) ((void)(p), (void)(n))
#define __msan_unpoison(p, n) ((void)(p), (void)(n))
#endif

#define DEFAULT_MEMORY (64ul << 20)
#ifdef SIM_MSAN /* has other places for memory, and would give address 0 */
#define ARENA_ADDRESS ((void *)0x710000000000)
#else
#define ARENA_ADDRESS ((void *)0x200000000000)
#endif

struct page *sim_pages;
u8 *sim_arena;
u64 sim_nr_pages;

static u64 bump, bump_mark;    /* pages from here on were never used since the mark */
static struct list_head freed; /* ... but these */
static u64 pages_out, pages_mark;
static u32 fail_in = UINT32_MAX;
static struct page *zero_page;

/* Slab: a table of what is allocated, so that a leak can be shown, and before each a header that
 * nobody else may touch. */
struct slab {
    u64 magic;
    u64 index;
} __aligned(64);
#define SLAB_MAGIC 0x534c4142534c4142ull
static struct {
    struct slab *slab; /* NULL: free */
    size_t size;
    const void *caller; /* NULL: allocated before the mark */
    u64 next_free;
} * slabs;
static u64 nr_slabs, free_slab, slabs_out, slabs_mark;

void sim_memory_start(size_t size)
{
    if (!size)
        size = DEFAULT_MEMORY;
    size = ALIGN(size, PMD_SIZE);
    sim_nr_pages = size >> PAGE_SHIFT;
    /* Always at the same place, so that every run is the same. */
    sim_arena = mmap(ARENA_ADDRESS, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (sim_arena == MAP_FAILED)
        sim_arena = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    sim_pages = calloc(sim_nr_pages, sizeof(*sim_pages));
    if (sim_arena == MAP_FAILED || !sim_pages) {
        perror("sim: no memory for the arena");
        exit(1);
    }
    ASAN_POISON_MEMORY_REGION(sim_arena, size);
    INIT_LIST_HEAD(&freed);
    bump = bump_mark = 0;
    pages_out = pages_mark = slabs_out = slabs_mark = 0;
    zero_page = NULL;
}

void sim_fail_alloc(uint32_t nth)
{
    fail_in = nth;
}

bool sim_alloc_fails(void)
{
    sim_counts.allocations++;
    sim_step();
    if (fail_in == UINT32_MAX)
        return false;
    return fail_in-- == 0;
}

/* ---- Pages ---- */

u64 page_to_pfn(const struct page *page)
{
    u64 n = (u64)(page - sim_pages);

    if (n >= sim_nr_pages)
        sim_fault(SIM_HARDWARE, "a struct page that is none: %p", (const void *)page);
    return (SIM_PHYS_BASE >> PAGE_SHIFT) + n;
}

bool pfn_valid(u64 pfn)
{
    return pfn - (SIM_PHYS_BASE >> PAGE_SHIFT) < sim_nr_pages;
}

struct page *pfn_to_page(u64 pfn)
{
    if (!pfn_valid(pfn))
        sim_fault(SIM_HARDWARE, "page frame %#llx does not exist", pfn);
    return &sim_pages[pfn - (SIM_PHYS_BASE >> PAGE_SHIFT)];
}

void *page_address(const struct page *page)
{
    return sim_arena + ((page_to_pfn(page) << PAGE_SHIFT) - SIM_PHYS_BASE);
}

struct page *sim_page_of(const void *address)
{
    u64 n = ((u64)address - (u64)sim_arena) >> PAGE_SHIFT;

    return n < sim_nr_pages ? &sim_pages[n] : NULL;
}

struct page *virt_to_page(const void *address)
{
    struct page *page = sim_page_of(address);

    if (!page)
        sim_fault(SIM_HARDWARE, "virt_to_page() of what is no page: %p", address);
    return page;
}

phys_addr_t sim_pa(const void *address)
{
    if (!sim_page_of(address))
        sim_fault(SIM_HARDWARE, "physical address of what is no page: %p", address);
    return (u64)address - (u64)sim_arena + SIM_PHYS_BASE;
}

void *sim_va(phys_addr_t pa)
{
    if (!pfn_valid(pa >> PAGE_SHIFT))
        sim_fault(SIM_HARDWARE, "physical address %#llx does not exist", pa);
    return sim_arena + (pa - SIM_PHYS_BASE);
}

static struct page *take_page(unsigned int order)
{
    u64 n = 1ull << order, first;
    struct page *page;

    if (!order && !list_empty(&freed)) {
        page = list_first_entry(&freed, struct page, lru);
        list_del_init(&page->lru);
        return page;
    }
    first = ALIGN(bump, n);
    if (first + n > sim_nr_pages)
        return NULL;
    /* What alignment leaves out is used later. */
    for (; bump < first; bump++)
        list_add_tail(&sim_pages[bump].lru, &freed);
    bump = first + n + 1; /* a page that is nobody's: who runs over the end is seen */
    return &sim_pages[first];
}

static struct page *pages_alloc(gfp_t gfp, unsigned int order, const void *caller)
{
    size_t size = PAGE_SIZE << order;
    struct page *page;
    u64 i;

    if (!(gfp & __GFP_ATOMIC))
        sim_need_sleepable("alloc_pages");
    if (sim_alloc_fails())
        return NULL;
    page = take_page(order);
    if (!page)
        return NULL;
    for (i = 0; i < 1ull << order; i++) {
        memset(&page[i], 0, sizeof(page[i]));
        page[i].refs = i && order ? 0 : 1;
        INIT_LIST_HEAD(&page[i].lru);
    }
    page->caller = caller;
    pages_out += 1ull << order;
    ASAN_UNPOISON_MEMORY_REGION(page_address(page), size);
    if (gfp & __GFP_ZERO) {
        __msan_unpoison(page_address(page), size);
        memset(page_address(page), 0, size);
    } else {
        /* What was there before is visible to nobody: not the same twice. */
        __msan_poison(page_address(page), size);
    }
    return page;
}

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
    return pages_alloc(gfp, order, __builtin_return_address(0));
}

static void give_back(struct page *page)
{
    if (page->user)
        sim_fault(SIM_OWNERSHIP, "page %#llx is freed while the process has it mapped",
                  page_to_pfn(page));
    if (sim_hooks.page_use)
        sim_hooks.page_use(page, false);
    page->refs = 0;
    page->locked = 0;
    page->mapping = NULL;
    list_add(&page->lru, &freed);
    ASAN_POISON_MEMORY_REGION(page_address(page), PAGE_SIZE);
    pages_out--;
}

void __free_pages(struct page *page, unsigned int order)
{
    u64 i;

    sim_step();
    if (page->refs <= 0)
        sim_fault(SIM_WARN, "page %#llx is freed twice", page_to_pfn(page));
    if (--page->refs)
        return;
    for (i = 0; i < 1ull << order; i++)
        give_back(&page[i]);
}

void split_page(struct page *page, unsigned int order)
{
    u64 i;

    for (i = 1; i < 1ull << order; i++)
        page[i].refs = 1;
}

unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
    struct page *page = pages_alloc(gfp, order, __builtin_return_address(0));

    return page ? (unsigned long)page_address(page) : 0;
}

void free_pages(unsigned long address, unsigned int order)
{
    if (address)
        __free_pages(virt_to_page((void *)address), order);
}

void get_page(struct page *page)
{
    if (page->refs <= 0)
        sim_fault(SIM_WARN, "a reference on page %#llx, which is free", page_to_pfn(page));
    page->refs++;
}

void put_page(struct page *page)
{
    __free_pages(page, 0);
}

struct page *sim_zero_page(void)
{
    return zero_page;
}

/* ---- Slab ---- */

#ifdef SIM_ASAN
/* One run's memory is small: what it freed need not be kept for long, nor each call be noted. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=16:malloc_context_size=6";
}
#endif

/* A free line of the table. */
static u64 slab_index(void)
{
    u64 i, more = nr_slabs ? nr_slabs : 1024;

    if (free_slab == nr_slabs) {
        slabs = realloc(slabs, (nr_slabs + more) * sizeof(*slabs));
        if (!slabs)
            abort();
        for (i = nr_slabs; i < nr_slabs + more; i++) {
            slabs[i].slab = NULL;
            slabs[i].next_free = i + 1;
        }
        nr_slabs += more;
    }
    i = free_slab;
    free_slab = slabs[i].next_free;
    return i;
}

static void *slab_alloc(size_t size, gfp_t gfp, const void *caller)
{
    struct slab *s;
    u64 i;

    if (!(gfp & __GFP_ATOMIC))
        sim_need_sleepable("kmalloc");
    if (sim_alloc_fails() || size > (sim_nr_pages << PAGE_SHIFT))
        return NULL;
    s = memalign(sizeof(*s), sizeof(*s) + max(size, 1ul));
    if (!s)
        return NULL;
    i = slab_index();
    slabs[i].slab = s;
    slabs[i].size = size;
    slabs[i].caller = caller;
    s->index = i;
    s->magic = SLAB_MAGIC;
    slabs_out++;
    if (gfp & __GFP_ZERO)
        memset(s + 1, 0, size);
    ASAN_POISON_MEMORY_REGION(s, sizeof(*s));
    return s + 1;
}

void *sim_kmalloc(size_t size, gfp_t gfp)
{
    return slab_alloc(size, gfp, __builtin_return_address(0));
}

static u64 slab_of(const void *p)
{
    struct slab *s = (struct slab *)p - 1;

    if (sim_page_of(p))
        sim_fault(SIM_WARN, "kfree() of a page: %p", p);
    /* ASan sees that what was freed already is read: */
    (void)*(const volatile u8 *)p;
    ASAN_UNPOISON_MEMORY_REGION(s, sizeof(*s));
    if (s->magic != SLAB_MAGIC || s->index >= nr_slabs || slabs[s->index].slab != s)
        sim_fault(SIM_WARN, "kfree() of what kmalloc() did not give: %p", p);
    return s->index;
}

void kfree(const void *p)
{
    u64 i;

    sim_step();
    if (!p || IS_ERR(p)) {
        WARN_ON(p);
        return;
    }
    i = slab_of(p);
    slabs_out--;
    slabs[i].next_free = free_slab;
    free_slab = i;
    free(slabs[i].slab);
    slabs[i].slab = NULL;
}

void *sim_krealloc(void *p, size_t size, gfp_t gfp)
{
    void *new = slab_alloc(size, gfp, __builtin_return_address(0));
    u64 i;

    if (!new || !p)
        return new;
    i = slab_of(p);
    memcpy(new, p, min(size, slabs[i].size));
    kfree(p);
    return new;
}

void *kmemdup(const void *from, size_t size, gfp_t gfp)
{
    void *p = slab_alloc(size, gfp, __builtin_return_address(0));

    return p ? memcpy(p, from, size) : NULL;
}

void *memdup_user(const void __user *from, size_t size)
{
    void *p = slab_alloc(size, GFP_KERNEL, __builtin_return_address(0));

    if (!p)
        return ERR_PTR(-ENOMEM);
    if (copy_from_user(p, from, size)) {
        kfree(p);
        return ERR_PTR(-EFAULT);
    }
    return p;
}

/* ---- The balance ---- */

void sim_memory_mark(void)
{
    u64 i;

    if (!zero_page)
        zero_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
    for (i = 0; i < nr_slabs; i++)
        slabs[i].caller = NULL;
    for (i = 0; i < sim_nr_pages; i++)
        sim_pages[i].caller = NULL;
    bump_mark = bump;
    pages_mark = pages_out;
    slabs_mark = slabs_out;
}

static void show(const char *what, size_t size, const void *caller)
{
    char where[256] = "";

#if defined(SIM_ASAN) || defined(SIM_MSAN)
    __sanitizer_symbolize_pc((void *)caller, "%f %s:%l", where, sizeof(where));
#endif
    fprintf(stderr, "sim: left: %zu bytes of %s by %p %s\n", size, what, caller, where);
}

/* What was allocated since the mark and is still, with who asked for it. */
static void show_left(void)
{
    u64 i;

    for (i = 0; i < nr_slabs; i++)
        if (slabs[i].slab && slabs[i].caller)
            show("slab", slabs[i].size, slabs[i].caller);
    for (i = 0; i < sim_nr_pages; i++)
        if (sim_pages[i].refs > 0 && sim_pages[i].caller)
            show("pages", PAGE_SIZE, sim_pages[i].caller);
}

void sim_memory_reset(void)
{
    fail_in = UINT32_MAX;
    if (slabs_out != slabs_mark || pages_out != pages_mark) {
        show_left();
        sim_fault(SIM_LEAK, "%lld pages and %lld allocations are left",
                  (long long)(pages_out - pages_mark), (long long)(slabs_out - slabs_mark));
    }
    /* The next run gets the same pages in the same order. */
    INIT_LIST_HEAD(&freed);
    bump = bump_mark;
}

void sim_memory_stop(void)
{
    if (zero_page)
        __free_page(zero_page);
    zero_page = NULL;
    bump_mark = pages_mark = slabs_mark = 0;
    sim_memory_reset();
    munmap(sim_arena, sim_nr_pages << PAGE_SHIFT);
    ASAN_UNPOISON_MEMORY_REGION(sim_arena, sim_nr_pages << PAGE_SHIFT);
    free(sim_pages);
    sim_pages = NULL;
    sim_nr_pages = 0;
}

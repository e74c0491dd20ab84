/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: the arena with a struct page for each page, allocations, the process's address space,
 * copies to and from it, MMU notifiers, xarrays. User addresses are the simulated process's: they
 * are reached by the functions here alone. Trusts its callers.
 */
#ifndef SIM_MM_H
#define SIM_MM_H

#include <sim/sched.h>

#define PAGE_SHIFT 12
#undef PAGE_SIZE
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PAGE_ALIGNED(x) IS_ALIGNED((unsigned long)(x), PAGE_SIZE)
#define PAGE_ALIGN(x) ALIGN(x, PAGE_SIZE)
#define offset_in_page(p) ((unsigned long)(p) & ~PAGE_MASK)
#define PTRS_PER_PMD 512
#define PMD_SHIFT 21
#define PMD_SIZE (1UL << PMD_SHIFT)
#define PMD_MASK (~(PMD_SIZE - 1))
#define PUD_SIZE (1UL << 30)
#define PGDIR_SIZE (1UL << 39)
#define TASK_SIZE_MAX ((1UL << 47) - PAGE_SIZE)

/* ---- Pages ---- */

struct address_space;
struct page {
    const void *caller; /* who allocated it, since the mark */
    struct list_head lru;
    struct address_space *mapping; /* of a file */
    pgoff_t index;
    void *private;
    int refs; /* 0: free */
    u8 locked, uptodate, has_private, dirty;
    u8 user;                /* in how many user mappings */
    u8 firmware;            /* snp.c */
    struct page *hash_next; /* in its file */
};
struct folio {
    struct page page;
};

#define __GFP_ZERO 0x100u
#define __GFP_ATOMIC 0x200u
#define __GFP_NOWARN 0u
#define GFP_KERNEL 0x1u
#define GFP_KERNEL_ACCOUNT 0x1u
#define GFP_USER 0x1u
#define GFP_HIGHUSER 0x1u
#define GFP_ATOMIC __GFP_ATOMIC
#define GFP_NOWAIT __GFP_ATOMIC

extern struct page *sim_pages;
extern u8 *sim_arena; /* physical address SIM_PHYS_BASE */
extern u64 sim_nr_pages;
#define SIM_PHYS_BASE 0x100000000ULL
struct page *alloc_pages(gfp_t gfp, unsigned int order);
#define alloc_page(gfp) alloc_pages(gfp, 0)
#define alloc_pages_node(node, gfp, order) alloc_pages(gfp, order)
void __free_pages(struct page *page, unsigned int order);
#define __free_page(page) __free_pages(page, 0)
unsigned long __get_free_pages(gfp_t gfp, unsigned int order);
#define __get_free_page(gfp) __get_free_pages(gfp, 0)
#define get_zeroed_page(gfp) __get_free_pages((gfp) | __GFP_ZERO, 0)
void free_pages(unsigned long address, unsigned int order);
#define free_page(address) free_pages(address, 0)
void split_page(struct page *page, unsigned int order);
void get_page(struct page *page);
void put_page(struct page *page);
void *page_address(const struct page *page);
struct page *virt_to_page(const void *address);
u64 page_to_pfn(const struct page *page);
struct page *pfn_to_page(u64 pfn);
bool pfn_valid(u64 pfn);
#define page_to_phys(p) ((phys_addr_t)page_to_pfn(p) << PAGE_SHIFT)
phys_addr_t sim_pa(const void *address);
void *sim_va(phys_addr_t pa);
#define __pa(p) sim_pa((const void *)(p))
#define __va(pa) sim_va(pa)
#define virt_to_phys(p) __pa(p)
#define pfn_to_kaddr(pfn) __va((phys_addr_t)(pfn) << PAGE_SHIFT)
#define kmap_local_page(p) page_address(p)
#define kunmap_local(p) ((void)(p))
static inline void clear_page(void *p)
{
    memset(p, 0, PAGE_SIZE);
}
#define clear_highpage(p) clear_page(page_address(p))
static inline void SetPageDirty(struct page *p)
{
    p->dirty = 1;
}
#define mark_page_accessed(p) ((void)(p))
struct page *sim_zero_page(void);
#define ZERO_PAGE(a) sim_zero_page()
#define __sme_set(x) (x)
#define __sme_clr(x) (x)

/* ---- Slab ---- */

void *sim_kmalloc(size_t size, gfp_t gfp);
void *sim_krealloc(void *p, size_t size, gfp_t gfp);
void kfree(const void *p);
#define kmalloc(size, gfp) sim_kmalloc(size, gfp)
#define kzalloc(size, gfp) sim_kmalloc(size, (gfp) | __GFP_ZERO)
#define kcalloc(n, size, gfp) kzalloc(array_size(n, size), gfp)
#define kvmalloc kmalloc
#define kvzalloc kzalloc
#define kvcalloc kcalloc
#define kvrealloc(p, size, gfp) sim_krealloc(p, size, gfp)
#define kvfree kfree
void *kmemdup(const void *from, size_t size, gfp_t gfp);
void *memdup_user(const void __user *from, size_t size);
#define vmemdup_user memdup_user
#define vmemdup_array_user(from, n, size) memdup_user(from, array_size(n, size))

/* ---- Copies ---- */

unsigned long copy_from_user(void *to, const void __user *from, unsigned long n);
unsigned long copy_to_user(void __user *to, const void *from, unsigned long n);
unsigned long clear_user(void __user *to, unsigned long n);
#define get_user(x, p)                                                \
    ({                                                                \
        __typeof__(*(p)) __v = 0;                                     \
        int __r = copy_from_user(&__v, p, sizeof(__v)) ? -EFAULT : 0; \
        (x) = __v;                                                    \
        __r;                                                          \
    })
#define put_user(x, p)                                    \
    ({                                                    \
        __typeof__(*(p)) __v = (x);                       \
        copy_to_user(p, &__v, sizeof(__v)) ? -EFAULT : 0; \
    })
#define u64_to_user_ptr(x) ((void __user *)(unsigned long)(x))
#define untagged_addr(a) (a)
bool access_ok(const void __user *p, unsigned long n);
bool user_access_begin(const void __user *p, unsigned long n);
void user_access_end(void);
/* -1: a fault; otherwise whether *old was there. */
int sim_cmpxchg_user(void __user *p, void *old, u64 new, size_t size);
#define unsafe_try_cmpxchg_user(p, old, new, label)                   \
    ({                                                                \
        int __r = sim_cmpxchg_user(p, old, (u64)(new), sizeof(*(p))); \
        if (__r < 0)                                                  \
            goto label;                                               \
        __r > 0;                                                      \
    })
void pagefault_disable(void);
void pagefault_enable(void);

/* ---- The address space ---- */

#define VM_READ 1UL
#define VM_WRITE 2UL
#define VM_SHARED 8UL
#define VM_FAULT_SIGBUS 2u
#define FOLL_WRITE 1u
#define FOLL_DUMP 2u
#define FOLL_HWPOISON 4u
#define FOLL_HONOR_NUMA_FAULT 0u /* it has one node */
#define FOLL_INTERRUPTIBLE 8u

struct file;
struct vm_fault;
struct vm_operations_struct {
    vm_fault_t (*fault)(struct vm_fault *vmf);
};
struct vm_area_struct {
    unsigned long vm_start, vm_end;
    unsigned long vm_flags;
    unsigned long vm_pgoff;
    struct mm_struct *vm_mm;
    struct file *vm_file;
    const struct vm_operations_struct *vm_ops;
    struct page ***chunks; /* one for each 2 MiB: 512 pages; user.c */
    bool *large;           /* ... which are one page; NULL: none is */
};
struct vm_fault {
    struct vm_area_struct *vma;
    pgoff_t pgoff;
    struct page *page;
};
#define vma_pages(v) (((v)->vm_end - (v)->vm_start) >> PAGE_SHIFT)
#define vma_is_anonymous(v) (!(v)->vm_ops)
#define is_vm_hugetlb_page(v) ((void)(v), false)
#define linear_page_index(v, a) ((v)->vm_pgoff + (((a) - (v)->vm_start) >> PAGE_SHIFT))
struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long address);

int mmap_read_lock_killable(struct mm_struct *mm);
void mmap_read_unlock(struct mm_struct *mm);
void mmgrab(struct mm_struct *mm);
void mmdrop(struct mm_struct *mm);
long get_user_pages_unlocked(unsigned long start, unsigned long n, struct page **pages,
                             unsigned int flags);
bool get_user_page_fast_only(unsigned long address, unsigned int flags, struct page **page);

/* The host's page tables, made up as they are looked at: an entry is what is below it. */
typedef struct {
    unsigned long v;
} pgd_t;
typedef pgd_t p4d_t;
typedef pgd_t pud_t;
typedef pgd_t pmd_t;
pgd_t *sim_table(struct mm_struct *mm, unsigned long address, int level);
extern struct mm_struct *sim_table_mm; /* of the last pgd_offset() */
#define pgd_offset(mm, a) sim_table(sim_table_mm = (mm), a, 5)
#define p4d_offset(e, a) ((void)(e), sim_table(sim_table_mm, a, 4))
#define pud_offset(e, a) ((void)(e), sim_table(sim_table_mm, a, 3))
#define pmd_offset(e, a) ((void)(e), sim_table(sim_table_mm, a, 2))
#define sim_none(e) ((e).v == 0)
#define sim_present(e) ((e).v & 1)
#define sim_leaf(e) ((e).v & 2)
#define pgd_none sim_none
#define p4d_none sim_none
#define pud_none sim_none
#define pmd_none sim_none
#define p4d_present sim_present
#define pud_present sim_present
#define pmd_present sim_present
#define pud_leaf sim_leaf
#define pmd_leaf sim_leaf
#define sim_addr_end(a, end, size) min(((a) + (size)) & ~((size)-1), end)
#define pgd_addr_end(a, end) sim_addr_end(a, end, PGDIR_SIZE)
#define p4d_addr_end(a, end) sim_addr_end(a, end, PGDIR_SIZE)
#define pud_addr_end(a, end) sim_addr_end(a, end, PUD_SIZE)
#define pmd_addr_end(a, end) sim_addr_end(a, end, PMD_SIZE)
#define pgtable_l5_enabled() false

struct mmu_notifier_range {
    struct mm_struct *mm;
    unsigned long start, end;
};
#define mmu_notifier_range_blockable(r) ((void)(r), true)
struct mmu_notifier;
struct mmu_notifier_ops {
    int (*invalidate_range_start)(struct mmu_notifier *mn, const struct mmu_notifier_range *r);
    void (*invalidate_range_end)(struct mmu_notifier *mn, const struct mmu_notifier_range *r);
    int (*clear_flush_young)(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long start,
                             unsigned long end);
    int (*clear_young)(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long start,
                       unsigned long end);
    int (*test_young)(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address);
    void (*release)(struct mmu_notifier *mn, struct mm_struct *mm);
};
struct mmu_notifier {
    const struct mmu_notifier_ops *ops;
    struct mmu_notifier *next;
    bool registered;
};
int mmu_notifier_register(struct mmu_notifier *mn, struct mm_struct *mm);
void mmu_notifier_unregister(struct mmu_notifier *mn, struct mm_struct *mm);

/* ---- XArrays ---- */

struct sim_xa_node;
struct xarray {
    struct sim_xa_node *root;
    int height; /* levels of nodes */
};
#define XA_PRESENT 8u
#define XA_ZERO ((void *)0x406UL) /* reserved */
#define xa_mk_value(v) ((void *)(((unsigned long)(v) << 1) | 1))
#define xa_to_value(p) ((unsigned long)(p) >> 1)
void xa_init(struct xarray *xa);
void *xa_load(struct xarray *xa, unsigned long index);
void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp);
__must_check int xa_reserve(struct xarray *xa, unsigned long index, gfp_t gfp);
void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, unsigned int filter);
void xa_destroy(struct xarray *xa);

#endif

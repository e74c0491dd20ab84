// SPDX-License-Identifier: GPL-2.0-only
/*
 * The nested page table: one for a VM, filled by faults, emptied by the notifier. Its leaves
 * hold no reference on pages: the notifier removes them before the host gives a page away.
 * A page behind it always has a struct page that the owner's page tables map; no device memory.
 * AMD APM vol. 2, 15.25.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <asm/io.h>
#include <asm/mem_encrypt.h>

#include "bawn.h"
#include "trace.h"

#define NPT_P BIT_ULL(0)
#define NPT_W BIT_ULL(1)
#define NPT_U BIT_ULL(2)
#define NPT_A BIT_ULL(5)
#define NPT_D BIT_ULL(6)
#define NPT_PS BIT_ULL(7)
#define NPT_ADDR GENMASK_ULL(51, 12)
#define NPT_TABLE (NPT_P | NPT_W | NPT_U | NPT_A)

#define PAGES_PER(level) (1ULL << (9 * ((level) - 1)))

static unsigned int npt_index(gfn_t gfn, int level)
{
	return (gfn >> (9 * (level - 1))) & 511;
}

static u64 *npt_child(u64 entry)
{
	return __va(__sme_clr(entry & NPT_ADDR));
}

static bool npt_leaf(u64 entry, int level)
{
	return level == 1 || entry & NPT_PS;
}

static u64 *level_stat(struct bawn_vm *vm, int level)
{
	return level == 1 ? &vm->stat.pages_4k : level == 2 ? &vm->stat.pages_2m :
							       &vm->stat.pages_1g;
}

/* ---- Dropping ---- */

/* A table leaves the tree: the CPUs may still walk it until the next flush. */
static void retire_table(struct bawn_vm *vm, u64 *table, int level)
{
	int i;

	for (i = 0; i < 512; i++) {
		u64 entry = READ_ONCE(table[i]);

		if (!(entry & NPT_P))
			continue;
		if (npt_leaf(entry, level))
			(*level_stat(vm, level))--;
		else
			retire_table(vm, npt_child(entry), level - 1); /* at most 5 deep */
	}
	list_add(&virt_to_page(table)->lru, &vm->zapped);
}

static bool drop_entry(struct bawn_vm *vm, u64 *slot, int level)
{
	u64 entry = *slot;

	if (!(entry & NPT_P))
		return false;
	WRITE_ONCE(*slot, 0);
	if (npt_leaf(entry, level))
		(*level_stat(vm, level))--;
	else
		retire_table(vm, npt_child(entry), level - 1);
	return true;
}

/* Visits the entries that intersect [start, end): whole subtables and leaves by fn. */
typedef bool (*entry_fn)(struct bawn_vm *vm, u64 *slot, int level);

static bool walk_range(struct bawn_vm *vm, u64 *table, int level, gfn_t base, gfn_t start,
		       gfn_t end, bool whole_tables, entry_fn fn)
{
	gfn_t step = PAGES_PER(level);
	unsigned int i = start > base ? (start - base) / step : 0;
	bool ret = false;

	for (; i < 512 && base + i * step < end; i++) {
		gfn_t lo = base + i * step;
		u64 entry = table[i];

		if (!(entry & NPT_P))
			continue;
		if (npt_leaf(entry, level) || (whole_tables && start <= lo && lo + step <= end))
			ret |= fn(vm, &table[i], level);
		else
			ret |= walk_range(vm, npt_child(entry), level - 1, lo, start, end,
					  whole_tables, fn);
	}
	return ret;
}

/* The range, and the same range where private memory is mapped apart. */
static bool walk_both(struct bawn_vm *vm, gfn_t start, gfn_t end, bool whole_tables, entry_fn fn)
{
	gfn_t alias = vm->private_alias >> PAGE_SHIFT;
	bool ret = walk_range(vm, vm->root, vm->root_level, 0, start, end, whole_tables, fn);

	/* A range that reaches the alias has it covered. */
	if (alias && end <= alias)
		ret |= walk_range(vm, vm->root, vm->root_level, 0, start + alias, end + alias,
				  whole_tables, fn);
	return ret;
}

bool bawn_npt_zap(struct bawn_vm *vm, gfn_t start, gfn_t end)
{
	return walk_both(vm, start, end, true, drop_entry);
}

void bawn_npt_free_zapped(struct bawn_vm *vm)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &vm->zapped, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

static bool age_entry(struct bawn_vm *vm, u64 *slot, int level)
{
	return test_and_clear_bit(ilog2(NPT_A), (unsigned long *)slot);
}

static bool age_peek(struct bawn_vm *vm, u64 *slot, int level)
{
	return *slot & NPT_A;
}

bool bawn_npt_age(struct bawn_vm *vm, gfn_t start, gfn_t end, bool clear)
{
	return walk_both(vm, start, end, false, clear ? age_entry : age_peek);
}

/* Large leaves go: the log counts in 4 KiB pages. */
static bool protect_entry(struct bawn_vm *vm, u64 *slot, int level)
{
	if (!(*slot & NPT_W))
		return false;
	if (level > 1)
		return drop_entry(vm, slot, level);
	clear_bit(ilog2(NPT_W), (unsigned long *)slot);
	return true;
}

bool bawn_npt_write_protect(struct bawn_vm *vm, gfn_t start, gfn_t end)
{
	return walk_both(vm, start, end, false, protect_entry);
}

/* ---- Mapping ---- */

static int fill_cache(struct bawn_vcpu *vcpu)
{
	while (vcpu->nr_table_cache < vcpu->vm->root_level) {
		struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

		if (!page)
			return -ENOMEM;
		vcpu->table_cache[vcpu->nr_table_cache++] = page;
	}
	return 0;
}

void bawn_npt_free_cache(struct bawn_vcpu *vcpu)
{
	while (vcpu->nr_table_cache)
		__free_page(vcpu->table_cache[--vcpu->nr_table_cache]);
}

/* Installs a leaf. mmu_lock held, cache filled. True when old translations must be flushed. */
static bool install(struct bawn_vcpu *vcpu, gfn_t gfn, int target, u64 leaf)
{
	struct bawn_vm *vm = vcpu->vm;
	u64 *table = vm->root, *slot, old;
	bool flush = false;
	int level;

	for (level = vm->root_level; level > target; level--) {
		slot = &table[npt_index(gfn, level)];
		if (*slot & NPT_P && npt_leaf(*slot, level))
			flush |= drop_entry(vm, slot, level);
		if (!(*slot & NPT_P)) {
			struct page *page = vcpu->table_cache[--vcpu->nr_table_cache];

			WRITE_ONCE(*slot, __sme_set(page_to_phys(page)) | NPT_TABLE);
		}
		table = npt_child(*slot);
	}
	slot = &table[npt_index(gfn, target)];
	old = *slot;
	if (old & NPT_P) {
		bool same = npt_leaf(old, target) && !((old ^ leaf) & NPT_ADDR);

		/* Another vCPU was first; more rights need no flush, since none were cached. */
		if (same) {
			WRITE_ONCE(*slot, old | leaf);
			return flush;
		}
		flush |= drop_entry(vm, slot, target);
	}
	WRITE_ONCE(*slot, leaf);
	(*level_stat(vm, target))++;
	return flush;
}

/* The size by which the owner's own page tables map hva: 1, 2 or 3 levels. */
static int host_level(struct mm_struct *mm, unsigned long hva)
{
	unsigned long flags;
	int level = 1;
	pgd_t pgd;
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;

	/* With interrupts off, tables that are being freed stay until we are done. */
	local_irq_save(flags);
	pgd = READ_ONCE(*pgd_offset(mm, hva));
	if (pgd_none(pgd))
		goto out;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (p4d_none(p4d) || !p4d_present(p4d))
		goto out;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (pud_none(pud) || !pud_present(pud))
		goto out;
	if (pud_leaf(pud)) {
		level = 3;
		goto out;
	}
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	if (!pmd_none(pmd) && pmd_present(pmd) && pmd_leaf(pmd))
		level = 2;
out:
	local_irq_restore(flags);
	return level;
}

static bool any_private(struct bawn_vm *vm, gfn_t first, u64 n)
{
	unsigned long index = first;

	return bawn_has_private(vm) && xa_find(&vm->attributes, &index, first + n - 1, XA_PRESENT);
}

/* The largest level at which this slot may map gfn. mmu_lock held, no invalidation runs. */
static int map_level(struct bawn_vcpu *vcpu, const struct bawn_memslot *slot, gfn_t gfn,
		     unsigned long hva)
{
	int level;

	if (slot->dirty)
		return 1;
	level = min(host_level(vcpu->vm->mm, hva), boot_cpu_has(X86_FEATURE_GBPAGES) ? 3 : 2);
	for (; level > 1; level--) {
		u64 n = PAGES_PER(level);
		gfn_t first = gfn & ~(n - 1);

		if (first >= slot->base && first + n <= slot->base + slot->npages &&
		    !((slot->base - (slot->hva >> PAGE_SHIFT)) & (n - 1)) &&
		    !any_private(vcpu->vm, first, n))
			break;
	}
	return level;
}

struct fault {
	const struct bawn_memslot *slot;
	gfn_t gfn;
	unsigned long hva;
	bool write;
	bool writable;
	bool private;
	bool forced; /* private memory, mapped where shared memory would be */
	struct page *page; /* counted until the mapping stands */
	unsigned long seq;
};

/* Whether an invalidation ran since f->seq was read. mmu_lock held. */
static bool stale(struct bawn_vm *vm, const struct fault *f)
{
	if (f->seq != vm->inv_seq)
		return true;
	return vm->inv_active &&
	       (f->private || (f->hva >= vm->inv_start && f->hva < vm->inv_end));
}

/* Where in the nested table: private memory may have a place apart. */
static gfn_t location(const struct bawn_vm *vm, const struct fault *f)
{
	return f->private && !f->forced ? f->gfn | vm->private_alias >> PAGE_SHIFT : f->gfn;
}

static int map_page(struct bawn_vcpu *vcpu, struct fault *f)
{
	struct bawn_vm *vm = vcpu->vm;
	u64 leaf = NPT_P | NPT_U | NPT_A;
	bool flush = false;
	int level = 1;
	u64 pfn;

	spin_lock(&vm->mmu_lock);
	if (stale(vm, f) || bawn_is_private(vm, f->gfn) != f->private)
		goto out;
	pfn = page_to_pfn(f->page);
	if (!f->private)
		level = map_level(vcpu, f->slot, f->gfn, f->hva);
	pfn &= ~(PAGES_PER(level) - 1);
	if (level > 1)
		leaf |= NPT_PS;
	if (f->writable)
		leaf |= NPT_W | NPT_D;
	flush = install(vcpu, location(vm, f), level, __sme_set(pfn << PAGE_SHIFT) | leaf);
	/* The host sees no accesses of the guest: what it may write counts as written. */
	if (f->writable && !f->private)
		SetPageDirty(f->page);
	mark_page_accessed(f->page);
	if (f->write && f->slot->dirty)
		set_bit_le(f->gfn - f->slot->base, f->slot->dirty);
	vcpu->stat.npf_fixed++;
	if (flush)
		bawn_flush_all_tlbs(vm);
	bawn_npt_free_zapped(vm);
out:
	spin_unlock(&vm->mmu_lock);
	put_page(f->page);
	return 1;
}

/* The owner's page behind hva, made present and writable as far as this fault needs. */
static int get_page_shared(struct fault *f)
{
	/* NUMA balancing counts the guest's accesses too. */
	unsigned int flags = FOLL_HWPOISON | FOLL_INTERRUPTIBLE | FOLL_HONOR_NUMA_FAULT |
			     (f->write ? FOLL_WRITE : 0);
	struct page *again;
	long n;

	f->writable = f->write;
	if (!get_user_page_fast_only(f->hva, flags & FOLL_WRITE, &f->page)) {
		n = get_user_pages_unlocked(f->hva, 1, &f->page, flags);
		if (n != 1)
			return n < 0 ? n : -EFAULT;
	}
	if (f->write || f->slot->flags & KVM_MEM_READONLY || f->slot->dirty)
		return 0;
	/* A read of a page that is writable anyhow: spare the second fault. */
	if (get_user_page_fast_only(f->hva, FOLL_WRITE, &again)) {
		f->writable = again == f->page;
		put_page(again);
	}
	return 0;
}

/* r, -EFAULT or -EHWPOISON, with the exit that says where. */
static int memory_fault(struct bawn_vcpu *vcpu, gpa_t gpa, bool private, int r)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_MEMORY_FAULT;
	run->memory_fault.flags = private ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0;
	run->memory_fault.gpa = gpa & PAGE_MASK;
	run->memory_fault.size = PAGE_SIZE;
	return r;
}

static int fault_error(struct bawn_vcpu *vcpu, struct fault *f, gpa_t gpa, int r)
{
	if (r == -EHWPOISON && !f->private) {
		/* The owner is told as if it had touched the page itself. */
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)f->hva, PAGE_SHIFT, current);
		return 1;
	}
	if (r == -EINTR || r == -EAGAIN) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		return -EINTR;
	}
	if (r == -EFAULT || r == -EHWPOISON)
		return memory_fault(vcpu, gpa, f->private, r);
	return r;
}

int bawn_npt_fault(struct bawn_vcpu *vcpu, gpa_t gpa, u32 access)
{
	struct bawn_vm *vm = vcpu->vm;
	struct fault f = { .gfn = gpa >> PAGE_SHIFT,
			   .write = access & BAWN_FAULT_WRITE,
			   .forced = access & BAWN_FAULT_FORCED };
	int r;

	trace_bawn_page_fault(vcpu->id, gpa, access);
	f.slot = bawn_slot(vm, f.gfn);
	if (!f.slot)
		return -ENXIO;
	if (f.slot->invalid) {
		cond_resched();
		return 1;
	}
	if (f.write && f.slot->flags & KVM_MEM_READONLY)
		return -ENXIO;
	r = fill_cache(vcpu);
	if (r)
		return r;
	f.hva = f.slot->hva + ((f.gfn - f.slot->base) << PAGE_SHIFT);
	f.seq = READ_ONCE(vm->inv_seq);
	/* Pairs with mmu_lock in the invalidation: the page is looked up after seq was read. */
	smp_rmb();
	f.private = bawn_is_private(vm, f.gfn);
	/* The guest says how it means the page; userspace may make it so. */
	if (vm->tee && f.private != !!(access & BAWN_FAULT_PRIVATE))
		return memory_fault(vcpu, gpa, access & BAWN_FAULT_PRIVATE, -EFAULT);
	if (f.private) {
		if (!f.slot->gmem)
			return memory_fault(vcpu, gpa, true, -EFAULT);
		f.writable = true;
		r = bawn_gmem_page((struct bawn_memslot *)f.slot, f.gfn, &f.page);
	} else {
		r = get_page_shared(&f);
	}
	if (r)
		return fault_error(vcpu, &f, gpa, r);
	return map_page(vcpu, &f);
}

int bawn_npt_map_mmio(struct bawn_vcpu *vcpu, gpa_t gpa)
{
	struct bawn_vm *vm = vcpu->vm;
	gfn_t gfn = gpa >> PAGE_SHIFT;
	int r = fill_cache(vcpu);

	if (r)
		return r;
	spin_lock(&vm->mmu_lock);
	/* A slot that is made just now drops what is here after it stands. */
	if (!bawn_slot(vm, gfn) && install(vcpu, gfn, 1, vm->mmio_leaf))
		bawn_flush_all_tlbs(vm);
	bawn_npt_free_zapped(vm);
	spin_unlock(&vm->mmu_lock);
	return 1;
}

/* ---- Life ---- */

int bawn_npt_create(struct bawn_vm *vm)
{
	vm->root = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	/* The nested walk has as many levels as the host's own (CR4.LA57 at VMRUN). */
	vm->root_level = pgtable_l5_enabled() ? 5 : 4;
	return vm->root ? 0 : -ENOMEM;
}

u64 bawn_gpa_end(struct bawn_vm *vm)
{
	u64 end = 1ULL << min(boot_cpu_data.x86_phys_bits, 12 + 9 * vm->root_level);

	return vm->private_alias ? min(end, vm->private_alias) : end;
}

static void destroy_table(u64 *table, int level)
{
	int i;

	for (i = 0; i < 512 && level > 1; i++)
		if (table[i] & NPT_P && !npt_leaf(table[i], level))
			destroy_table(npt_child(table[i]), level - 1);
	free_page((unsigned long)table);
	cond_resched();
}

void bawn_npt_destroy(struct bawn_vm *vm)
{
	bawn_npt_free_zapped(vm);
	destroy_table(vm->root, vm->root_level);
	vm->root = NULL;
}

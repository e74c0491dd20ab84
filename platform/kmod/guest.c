// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's memory as its processor sees it: private pages through guest_memfd and the reverse
 * map table, shared ones through the VMM's slots, and the guest's own page tables, whose reads are
 * always private. Trusts nothing that it reads. AMD APM vol. 2, chapter 5 and 15.34.5, 15.36.10.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <asm/processor-flags.h>

#include "platform.h"

#define PTE_P BIT_ULL(0)
#define PTE_RW BIT_ULL(1)
#define PTE_US BIT_ULL(2)
#define PTE_A BIT_ULL(5)
#define PTE_D BIT_ULL(6)
#define PTE_PS BIT_ULL(7)
#define PTE_ADDRESS GENMASK_ULL(51, 12)

#define PF_PRESENT BIT(0)
#define PF_WRITE BIT(1)

/* Where page tables cannot name the C-bit, all memory is private. */
bool platform_unpaged(struct bawn_vcpu *vcpu)
{
	return !(vcpu->cr0 & X86_CR0_PG) || !(vcpu->cr4 & X86_CR4_PAE);
}

enum platform_fault platform_private_page(struct bawn_vcpu *vcpu, gpa_t gpa, struct page **page)
{
	gpa_t plain = gpa & ~platform_cmask();
	struct bawn_memslot *slot = bawn_slot(vcpu->vm, plain >> PAGE_SHIFT);
	struct rmp_entry e;

	*page = NULL;
	if (!slot)
		return FAULT_NO_MEMORY;
	if (slot->invalid)
		return FAULT_RETRY;
	if (!slot->gmem || !bawn_is_private(vcpu->vm, plain >> PAGE_SHIFT) ||
	    bawn_gmem_page(slot, plain >> PAGE_SHIFT, page))
		return FAULT_RMP;
	rmp_get(page_to_pfn(*page), &e);
	switch (rmp_rule_access(&e, plain, vcpu->vm->snp->asid)) {
	case RMP_ACCESS_OK:
		return FAULT_NONE;
	case RMP_ACCESS_NOT_VALIDATED:
		return FAULT_NOT_VALIDATED;
	default:
		put_page(*page);
		*page = NULL;
		/* It was the guest's when it was found; the host has punched it out since. */
		return e.flags & RMP_ASSIGNED ? FAULT_RMP : FAULT_RETRY;
	}
}

static int failed(struct platform_walk *w, enum platform_fault fault, gpa_t gpa)
{
	w->fault = fault;
	w->gpa = gpa;
	return -EFAULT;
}

static void copy_within(struct page *page, u64 address, void *buf, size_t len, bool write)
{
	if (write)
		memcpy_to_page(page, offset_in_page(address), buf, len);
	else
		memcpy_from_page(buf, page, offset_in_page(address), len);
}

/* Within one page. */
static int copy_private(struct bawn_vcpu *vcpu, gpa_t gpa, void *buf, size_t len, bool write,
			struct platform_walk *w)
{
	struct page *page;
	enum platform_fault fault = platform_private_page(vcpu, gpa, &page);

	if (!fault)
		copy_within(page, gpa, buf, len, write);
	if (page)
		put_page(page);
	return fault ? failed(w, fault, gpa | platform_cmask()) : 0;
}

static int copy_shared(struct bawn_vcpu *vcpu, gpa_t gpa, void *buf, size_t len, bool write,
		       struct platform_walk *w)
{
	int r;

	if (bawn_is_private(vcpu->vm, gpa >> PAGE_SHIFT))
		return failed(w, FAULT_RMP, gpa);
	r = write ? bawn_write_guest(vcpu->vm, gpa, buf, len) :
		    bawn_read_guest(vcpu->vm, gpa, buf, len);
	return r ? failed(w, FAULT_NO_MEMORY, gpa) : 0;
}

/* ---- The guest's page tables ---- */

struct table_walk {
	int levels, index_bits, entry_size;
	gpa_t root;
};

static void table_walk_init(struct table_walk *t, struct bawn_vcpu *vcpu)
{
	*t = (struct table_walk){ .index_bits = 9, .entry_size = 8 };
	if (vcpu->efer & EFER_LMA) {
		t->levels = vcpu->cr4 & X86_CR4_LA57 ? 5 : 4;
		t->root = vcpu->cr3 & PTE_ADDRESS;
	} else if (vcpu->cr4 & X86_CR4_PAE) {
		t->levels = 3;
		t->root = vcpu->cr3 & GENMASK_ULL(31, 5);
	} else {
		t->levels = 2;
		t->root = vcpu->cr3 & GENMASK_ULL(31, 12);
		t->index_bits = 10;
		t->entry_size = 4;
	}
}

static int page_fault(struct platform_walk *w, bool present, bool write)
{
	w->error = (present ? PF_PRESENT : 0) | (write ? PF_WRITE : 0);
	return failed(w, FAULT_PAGE, 0);
}

/* The entry's value, with its accessed (and dirty) bit set as the processor does. */
static int read_entry(struct bawn_vcpu *vcpu, gpa_t gpa, int size, u64 set, u64 *value,
		      struct platform_walk *w)
{
	struct page *page;
	enum platform_fault fault = platform_private_page(vcpu, gpa, &page);
	char *bytes;
	atomic_t *low; /* the bits to set are in the lower half */

	if (!fault) {
		bytes = kmap_local_page(page);
		low = (atomic_t *)(bytes + offset_in_page(gpa));
		*value = 0;
		memcpy(value, low, size);
		if (set && *value & PTE_P && (*value & set) != set)
			atomic_or(set, low);
		kunmap_local(bytes);
	}
	if (page)
		put_page(page);
	return fault ? failed(w, fault, gpa | platform_cmask()) : 0;
}

static bool is_leaf(const struct bawn_vcpu *vcpu, const struct table_walk *t, int level, u64 value)
{
	if (level == 1 || !(value & PTE_PS))
		return level == 1;
	if (t->entry_size == 4)
		return vcpu->cr4 & X86_CR4_PSE;
	return level == 2 || (level == 3 && t->levels > 3);
}

static int check_rights(struct bawn_vcpu *vcpu, u64 rights, u32 access, struct platform_walk *w)
{
	bool write = access & WALK_WRITE;

	/* The instruction at RIP is executing: it may be fetched. */
	if (access & WALK_FETCH)
		return 0;
	if (write && !(rights & PTE_RW) && vcpu->cr0 & X86_CR0_WP)
		return page_fault(w, true, true);
	/* Supervisor mode access prevention: what the processor does by itself never has AC. */
	if (rights & PTE_US && vcpu->cr4 & X86_CR4_SMAP)
		return page_fault(w, true, write);
	return 0;
}

static int walk_tables(struct bawn_vcpu *vcpu, gva_t gva, u32 access, struct platform_walk *w)
{
	u64 value = 0, in_page, rights = PTE_RW | PTE_US;
	struct table_walk t;
	gpa_t table, at;
	int level, shift;

	table_walk_init(&t, vcpu);
	table = t.root;
	for (level = t.levels;; level--) {
		bool pdpte = t.levels == 3 && level == 3; /* PAE's top: no rights, no A */

		shift = PAGE_SHIFT + t.index_bits * (level - 1);
		at = table + ((gva >> shift) & (BIT_ULL(t.index_bits) - 1)) * t.entry_size;
		if (read_entry(vcpu, at, t.entry_size, pdpte ? 0 : PTE_A, &value, w))
			return -EFAULT;
		if (!(value & PTE_P))
			return page_fault(w, false, access & WALK_WRITE);
		if (!pdpte)
			rights &= value;
		if (is_leaf(vcpu, &t, level, value))
			break;
		table = value & PTE_ADDRESS;
	}
	if (check_rights(vcpu, rights, access, w))
		return -EFAULT;
	in_page = BIT_ULL(shift) - 1;
	w->gpa = (value & PTE_ADDRESS & ~in_page) | (gva & in_page);
	if (access & WALK_WRITE && !(value & PTE_D) &&
	    read_entry(vcpu, at, t.entry_size, PTE_D, &value, w))
		return -EFAULT;
	w->leaf = (struct platform_leaf){
		.at = at,
		.value = value | PTE_A | (access & WALK_WRITE ? PTE_D : 0),
		.size = t.entry_size,
	};
	return 0;
}

int platform_walk(struct bawn_vcpu *vcpu, gva_t gva, u32 access, struct platform_walk *w)
{
	if (!(vcpu->efer & EFER_LMA))
		gva = (u32)gva;
	*w = (struct platform_walk){ .gva = gva };
	if (!(vcpu->cr0 & X86_CR0_PG)) {
		w->gpa = gva;
		return 0;
	}
	return walk_tables(vcpu, gva, access, w);
}

/* One piece of a linear access, within a page. Fetches are private whatever the tables say. */
static int access_piece(struct bawn_vcpu *vcpu, gva_t gva, void *buf, size_t len, u32 access,
			struct platform_walk *w)
{
	unsigned long seq = READ_ONCE(vcpu->vm->inv_seq);
	struct page *page = platform_tlb_find(vcpu, gva, access);
	bool write = access & WALK_WRITE;

	if (page) {
		copy_within(page, gva, buf, len, write);
		return 0;
	}
	if (platform_walk(vcpu, gva, access, w))
		return -EFAULT;
	if (!(access & WALK_FETCH) && !(w->gpa & platform_cmask()) && !platform_unpaged(vcpu))
		return copy_shared(vcpu, w->gpa, buf, len, write, w);
	if (copy_private(vcpu, w->gpa, buf, len, write, w))
		return -EFAULT;
	platform_tlb_fill(vcpu, access, seq, w);
	return 0;
}

static int access_virt(struct bawn_vcpu *vcpu, gva_t gva, void *buf, size_t len, u32 access,
		       struct platform_walk *w)
{
	size_t done, n;

	for (done = 0; done < len; done += n) {
		n = min_t(size_t, len - done, PAGE_SIZE - offset_in_page(gva + done));
		if (access_piece(vcpu, gva + done, buf + done, n, access, w))
			return -EFAULT;
	}
	return 0;
}

int platform_read_virt(struct bawn_vcpu *vcpu, gva_t gva, void *buf, size_t len,
		       struct platform_walk *w)
{
	return access_virt(vcpu, gva, buf, len, 0, w);
}

int platform_write_virt(struct bawn_vcpu *vcpu, gva_t gva, const void *buf, size_t len,
			struct platform_walk *w)
{
	/* The last page first: an access that faults writes nothing. */
	if (offset_in_page(gva) + len > PAGE_SIZE &&
	    platform_walk(vcpu, gva + len - 1, WALK_WRITE, w))
		return -EFAULT;
	return access_virt(vcpu, gva, (void *)buf, len, WALK_WRITE, w);
}

int platform_fetch(struct bawn_vcpu *vcpu, u8 bytes[15])
{
	gva_t rip = vcpu->rip;
	struct platform_walk w;
	struct kvm_segment cs;
	int n = 15, first;

	if (!bawn_long_mode(vcpu)) {
		bawn_cpu->get_segment(vcpu, VCPU_SREG_CS, &cs);
		rip = (u32)(cs.base + rip);
	}
	first = min_t(int, n, PAGE_SIZE - offset_in_page(rip));
	if (access_virt(vcpu, rip, bytes, first, WALK_FETCH, &w))
		return 0;
	if (n > first && access_virt(vcpu, rip + first, bytes + first, n - first, WALK_FETCH, &w))
		return first;
	return n;
}

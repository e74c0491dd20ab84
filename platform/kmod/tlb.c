// SPDX-License-Identifier: GPL-2.0-only
/*
 * Translations that a vCPU used lately: its stacks, its descriptor tables, the code that exits. A
 * walk of the guest's page tables in software costs more than all else that an exit does. Like a
 * processor's, an entry may be older than a change of the tables that the guest has not flushed;
 * here that is possible only above the last level, for the last entry is read again at each use.
 * What the host changes (the VM's invalidations, its slots, the reverse map table) is seen at once.
 * Entries hold their pages.
 */
#include <linux/highmem.h>
#include <linux/mm.h>

#include "platform.h"

static struct platform_translation *slot_of(struct bawn_vcpu *vcpu, gva_t gva, u32 access)
{
	return &to_platform(vcpu)->tlb[((gva >> PAGE_SHIFT) ^ access * 5) % PLATFORM_TLB];
}

/* What else a translation depends on: APM vol. 2, 5.6. */
static u64 mode_of(const struct bawn_vcpu *vcpu)
{
	return (u32)vcpu->cr0 | (vcpu->cr4 ^ vcpu->efer << 24) << 32;
}

static const void *slots_of(struct bawn_vcpu *vcpu)
{
	return rcu_access_pointer(vcpu->vm->slots);
}

static void drop(struct platform_translation *t)
{
	if (!t->page)
		return;
	put_page(t->page);
	put_page(t->table);
	t->page = NULL;
}

void platform_tlb_clear(struct bawn_vcpu *vcpu)
{
	int i;

	for (i = 0; i < PLATFORM_TLB; i++)
		drop(&to_platform(vcpu)->tlb[i]);
}

/* Is the page still the guest's, validated, at this address? */
static bool owned(struct bawn_vcpu *vcpu, struct page *page, gpa_t gpa)
{
	struct rmp_entry e;

	rmp_get(page_to_pfn(page), &e);
	return rmp_rule_access(&e, gpa & ~platform_cmask(), vcpu->vm->snp->asid) == RMP_ACCESS_OK;
}

static bool same_leaf(const struct platform_translation *t)
{
	u64 value = 0;

	memcpy_from_page((char *)&value, t->table, offset_in_page(t->leaf.at), t->leaf.size);
	return value == t->leaf.value;
}

struct page *platform_tlb_find(struct bawn_vcpu *vcpu, gva_t gva, u32 access)
{
	struct platform_translation *t = slot_of(vcpu, gva, access);
	struct bawn_vm *vm = vcpu->vm;

	if (!t->page || t->gva != (gva & PAGE_MASK) || t->access != access || t->cr3 != vcpu->cr3 ||
	    t->mode != mode_of(vcpu))
		return NULL;
	if (t->seq == READ_ONCE(vm->inv_seq) && !READ_ONCE(vm->inv_active) &&
	    t->slots == slots_of(vcpu) && same_leaf(t) && owned(vcpu, t->page, t->gpa) &&
	    owned(vcpu, t->table, t->leaf.at))
		return t->page;
	drop(t);
	return NULL;
}

void platform_tlb_fill(struct bawn_vcpu *vcpu, u32 access, unsigned long seq,
		       const struct platform_walk *w)
{
	struct platform_translation *t = slot_of(vcpu, w->gva, access);
	struct page *table, *page;

	if (!w->leaf.size || seq != READ_ONCE(vcpu->vm->inv_seq) ||
	    READ_ONCE(vcpu->vm->inv_active))
		return;
	drop(t);
	platform_private_page(vcpu, w->leaf.at, &table);
	platform_private_page(vcpu, w->gpa, &page);
	if (!table || !page) {
		if (table)
			put_page(table);
		if (page)
			put_page(page);
		return;
	}
	*t = (struct platform_translation){
		.gva = w->gva & PAGE_MASK,
		.access = access,
		.cr3 = vcpu->cr3,
		.mode = mode_of(vcpu),
		.seq = seq,
		.slots = slots_of(vcpu),
		.gpa = w->gpa & PAGE_MASK,
		.leaf = w->leaf,
		.table = table,
		.page = page,
	};
}

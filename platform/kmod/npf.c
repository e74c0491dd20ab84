// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page faults of an SNP guest: whether the access is private, what the reverse map table
 * says to that, and who answers: the nested table, the guest by #VC, or the VMM. The address and
 * what the table has of it are the guest's and the host's choice. AMD APM vol. 2, 15.36.10.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "platform.h"

static unsigned int fault_around = 16;
module_param(fault_around, uint, 0644);
MODULE_PARM_DESC(fault_around, "validated pages that a fault on one of them maps, a power of two; 1: that page alone (16)");

#define FAULT_AROUND_MAX 512

/* Is the page at this address still what it was when its mapping was decided? */
static bool still_valid(struct bawn_vcpu *vcpu, gpa_t gpa)
{
	struct page *page;
	enum platform_fault fault = platform_private_page(vcpu, gpa, &page);

	if (page)
		put_page(page);
	return fault == FAULT_NONE;
}

/*
 * Maps a page that is validated; forced: at its C=0 address. It may have been rescinded meanwhile,
 * before the nested table could see that an invalidation ran: then the mapping goes again.
 */
static int map(struct bawn_vcpu *vcpu, gpa_t gpa, bool forced)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;
	int r = bawn_npt_fault(vcpu, gpa, BAWN_FAULT_PRIVATE | BAWN_FAULT_WRITE |
					  (forced ? BAWN_FAULT_FORCED : 0));

	if (r > 0 && !still_valid(vcpu, gpa))
		bawn_zap_range(vcpu->vm, gfn, gfn + 1);
	return r;
}

/* Maps the page of a neighbour, if it is validated. */
static bool map_neighbour(struct bawn_vcpu *vcpu, gpa_t gpa)
{
	cond_resched();
	return still_valid(vcpu, gpa) && map(vcpu, gpa, false) > 0;
}

/* Validated pages around one that was just mapped are likely to be next. */
static void map_around(struct bawn_vcpu *vcpu, gpa_t gpa)
{
	u32 n = clamp(rounddown_pow_of_two(READ_ONCE(fault_around) | 1), 1u, FAULT_AROUND_MAX);
	gpa_t size = (gpa_t)n * PAGE_SIZE, first = gpa & ~(size - 1), at;

	gpa &= PAGE_MASK;
	for (at = gpa + PAGE_SIZE; at < first + size && map_neighbour(vcpu, at);)
		at += PAGE_SIZE;
	for (at = gpa; at > first && map_neighbour(vcpu, at - PAGE_SIZE);)
		at -= PAGE_SIZE;
}

/*
 * A C=0 address that the processor takes as private: the private page at the shared address, until
 * the page's state changes. What unpaged code touches goes when paging comes on.
 */
static int map_forced(struct bawn_vcpu *vcpu, gpa_t gpa, bool unpaged)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;

	atomic64_inc(&platform_stats.forced);
	if (unpaged && xa_err(xa_store(&to_platform(vcpu)->unpaged, gfn, xa_mk_value(1),
				       GFP_KERNEL_ACCOUNT)))
		return -ENOMEM;
	return map(vcpu, gpa, true);
}

void platform_paging_on(struct bawn_vcpu *vcpu)
{
	struct xarray *unpaged = &to_platform(vcpu)->unpaged;
	unsigned long gfn;
	void *entry;

	xa_for_each(unpaged, gfn, entry)
		bawn_zap_range(vcpu->vm, gfn, gfn + 1);
	xa_destroy(unpaged);
}

static int private_fault(struct bawn_vcpu *vcpu, gpa_t gpa, bool forced, bool unpaged)
{
	struct page *page;
	enum platform_fault fault = platform_private_page(vcpu, gpa, &page);
	int r;

	if (page)
		put_page(page);
	switch (fault) {
	case FAULT_NONE:
		if (forced)
			return map_forced(vcpu, gpa, unpaged);
		r = map(vcpu, gpa, false);
		if (r > 0)
			map_around(vcpu, gpa);
		return r;
	case FAULT_NOT_VALIDATED:
		return platform_vc(vcpu, EXIT_PAGE_NOT_VALIDATED);
	case FAULT_RETRY:
		cond_resched();
		return 1;
	default:
		return platform_memory_fault(vcpu, gpa, true);
	}
}

int platform_npf(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	gpa_t gpa = exit->npf.gpa & ~platform_cmask();
	bool c = exit->npf.gpa & platform_cmask();
	bool unpaged = platform_unpaged(vcpu);
	bool fixed = exit->npf.access & (BAWN_FAULT_TABLE | BAWN_FAULT_EXEC);

	atomic64_inc(&platform_stats.npf);
	/* No memory: a device, which the guest reaches through its #VC handler. */
	if (!bawn_slot(vcpu->vm, gpa >> PAGE_SHIFT)) {
		if (c || fixed)
			return platform_memory_fault(vcpu, gpa, true);
		return platform_vc(vcpu, EXIT_NPF);
	}
	if (c || fixed || unpaged)
		return private_fault(vcpu, gpa, !c, unpaged && !fixed);
	/* Shared, or a private page without its C-bit: core tells the VMM of that. */
	exit->npf.gpa = gpa;
	return BAWN_SNP_PASS;
}

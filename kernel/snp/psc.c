// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page state change: the guest lists pages that shall be private or shared, userspace decides
 * (KVM_HC_MAP_GPA_RANGE, if it enabled that). The list is in the page's own buffer, copied once;
 * how far it was worked off is written back. AMD 56421, "SNP Page State Change".
 */
#include "ghcb.h"

/* Operations beside VMGEXIT_PSC_OP_PRIVATE and SHARED: hints about how the RMP is kept. */
#define PSC_OP_PSMASH 3
#define PSC_OP_UNSMASH 4
#define LARGE_PAGES 512

/* The list in the copy; it was checked to begin there. */
static struct psc_hdr *header(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_service *s = &vcpu->snp->service;

	return vcpu->snp->ghcb + (s->data - s->page);
}

static struct psc_entry *entry(struct bawn_vcpu *vcpu, u32 i)
{
	return (struct psc_entry *)(header(vcpu) + 1) + i;
}

/* As 64 bits: gcc computes with a bit field's own 40. */
static u64 gfn_of(const struct psc_entry *e)
{
	return e->gfn;
}

static u32 pages_of(const struct psc_entry *e)
{
	return e->pagesize ? LARGE_PAGES : 1;
}

/* A page that was begun earlier is in pieces: what is left of it goes by 4 KiB. */
static bool large(const struct psc_entry *e)
{
	return e->pagesize && !e->cur_page;
}

static bool changes(const struct psc_entry *e)
{
	return e->operation == VMGEXIT_PSC_OP_PRIVATE || e->operation == VMGEXIT_PSC_OP_SHARED;
}

static bool valid(struct bawn_vcpu *vcpu, const struct psc_entry *e)
{
	u32 pages = pages_of(e);

	/* Addresses end at a power of two: a large page that begins before it ends there. */
	return (changes(e) || e->operation == PSC_OP_PSMASH || e->operation == PSC_OP_UNSMASH) &&
	       !e->reserved && e->cur_page <= pages && !(gfn_of(e) & (pages - 1)) &&
	       gfn_of(e) < bawn_gpa_end(vcpu->vm) >> PAGE_SHIFT;
}

int ghcb_map_exit(struct bawn_vcpu *vcpu, gpa_t gpa, u64 pages, bool private, bool large,
		  int (*complete)(struct bawn_vcpu *vcpu))
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_HYPERCALL;
	memset(&run->hypercall, 0, sizeof(run->hypercall));
	run->hypercall.nr = KVM_HC_MAP_GPA_RANGE;
	run->hypercall.args[0] = gpa;
	run->hypercall.args[1] = pages;
	run->hypercall.args[2] =
		(private ? KVM_MAP_GPA_RANGE_ENCRYPTED : KVM_MAP_GPA_RANGE_DECRYPTED) |
		(large ? KVM_MAP_GPA_RANGE_PAGE_SZ_2M : KVM_MAP_GPA_RANGE_PAGE_SZ_4K);
	run->hypercall.flags = KVM_EXIT_HYPERCALL_LONG_MODE;
	vcpu->complete = complete;
	return 0;
}

/* Entries i to i + n - 1 are done, in the copy and in the page. */
static bool mark_done(struct bawn_vcpu *vcpu, u32 i, u32 n)
{
	gpa_t data = vcpu->snp->service.data;
	u32 k;

	for (k = i; k < i + n; k++)
		entry(vcpu, k)->cur_page = pages_of(entry(vcpu, k));
	header(vcpu)->cur_entry = i + n;
	return !bawn_write_guest(vcpu->vm,
				 data + sizeof(struct psc_hdr) + i * sizeof(struct psc_entry),
				 entry(vcpu, i), n * sizeof(struct psc_entry)) &&
	       !bawn_write_guest(vcpu->vm, data, header(vcpu), sizeof(struct psc_hdr));
}

/* How many entries from i on are one range to userspace. */
static u32 run_length(struct bawn_vcpu *vcpu, u32 i)
{
	const struct psc_entry *first = entry(vcpu, i), *e;
	u64 next = gfn_of(first) + pages_of(first);
	u32 k;

	for (k = i + 1; k <= header(vcpu)->end_entry; k++, next += pages_of(first)) {
		e = entry(vcpu, k);
		/* The rest of a page begun earlier is of 4 KiB pages: it stays alone. */
		if (!valid(vcpu, e) || first->cur_page || e->cur_page || gfn_of(e) != next ||
		    e->operation != first->operation || e->pagesize != first->pagesize)
			break;
	}
	return k - i;
}

static int complete_run(struct bawn_vcpu *vcpu);

static int advance(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_service *s = &vcpu->snp->service;
	u32 i;

	while ((i = header(vcpu)->cur_entry) <= header(vcpu)->end_entry) {
		const struct psc_entry *e = entry(vcpu, i);
		u32 n = run_length(vcpu, i);

		if (!valid(vcpu, e))
			return ghcb_finish(vcpu, 0, VMGEXIT_PSC_ERROR_INVALID_ENTRY);
		if (changes(e) && e->cur_page < pages_of(e)) {
			s->first = i;
			s->count = n;
			return ghcb_map_exit(vcpu, (gfn_of(e) + e->cur_page) << PAGE_SHIFT,
					     (u64)n * pages_of(e) - e->cur_page,
					     e->operation == VMGEXIT_PSC_OP_PRIVATE, large(e),
					     complete_run);
		}
		if (!mark_done(vcpu, i, n))
			return ghcb_broken(vcpu);
	}
	return ghcb_done(vcpu);
}

static int complete_run(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_service *s = &vcpu->snp->service;

	if (READ_ONCE(vcpu->run->hypercall.ret))
		return ghcb_finish(vcpu, 0, VMGEXIT_PSC_ERROR_GENERIC);
	if (!mark_done(vcpu, s->first, s->count))
		return ghcb_broken(vcpu);
	return advance(vcpu);
}

int ghcb_psc(struct bawn_vcpu *vcpu)
{
	u32 room;
	const struct psc_hdr *hdr = ghcb_scratch_buffer(vcpu, &room);

	if (!ghcb_maps(vcpu->vm))
		return ghcb_finish(vcpu, 0, VMGEXIT_PSC_ERROR_GENERIC);
	if (!hdr || room < sizeof(*hdr))
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_SCRATCH_AREA);
	/* end_entry is the last one, not the one behind. At most 253 fit into the buffer. */
	if (hdr->reserved || hdr->end_entry >= (room - sizeof(*hdr)) / sizeof(struct psc_entry))
		return ghcb_finish(vcpu, 0, VMGEXIT_PSC_ERROR_INVALID_HDR);
	return advance(vcpu);
}

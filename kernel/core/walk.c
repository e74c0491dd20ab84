// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reaches the guest's memory the way its own instructions do: segments, the guest's page tables,
 * access rights, accessed and dirty bits. Trusts nothing in the tables; whatever the guest changes
 * meanwhile at worst gives the guest a fault.
 * AMD APM volume 2, chapters 4 (segmentation) and 5 (page translation, 5.6 protection).
 */
#include "bawn.h"
#include <asm/cpufeatures.h>
#include <asm/processor-flags.h>

#define PF_VECTOR 14
#define GP_VECTOR 13
#define SS_VECTOR 12
#define PF_PRESENT BIT(0)
#define PF_RESERVED BIT(3)

#define PTE_P BIT_ULL(0)
#define PTE_RW BIT_ULL(1)
#define PTE_US BIT_ULL(2)
#define PTE_A BIT_ULL(5)
#define PTE_D BIT_ULL(6)
#define PTE_PS BIT_ULL(7)
#define PTE_NX BIT_ULL(63)
#define PTE_ADDRESS GENMASK_ULL(51, 12)
#define PSE36 GENMASK_ULL(20, 13) /* a 4 MiB entry's address bits 39:32 */

#define EFER_LMA_BIT BIT_ULL(10)
#define EFER_NX_BIT BIT_ULL(11)

#define SEG_CODE BIT(3)
#define SEG_DOWN BIT(2) /* data: expand-down */
#define SEG_RW BIT(1)	/* data: writable; code: readable */

/* How often a walk starts anew because another vCPU changed an entry under it. */
#define MAX_TRIES 8

enum paging { PAGING_32, PAGING_PAE, PAGING_64 };

struct walk {
	struct bawn_vcpu *vcpu;
	enum paging mode;
	int levels, index_bits;
	size_t entry_size;
	gpa_t root;
	gva_t gva;
	u32 access;
	struct {
		gpa_t gpa;
		u64 value;
	} entry[6]; /* by level, 1 the lowest */
};

static int fault(struct bawn_walk_fault *f, u8 vector, u32 error, u64 address)
{
	*f = (struct bawn_walk_fault){ .vector = vector, .error = error, .address = address };
	return -EFAULT;
}

static int page_fault(const struct walk *w, u32 error, struct bawn_walk_fault *f)
{
	struct bawn_vcpu *vcpu = w->vcpu;
	bool nx = w->mode != PAGING_32 && vcpu->efer & EFER_NX_BIT;

	error |= w->access & (BAWN_WALK_WRITE | BAWN_WALK_USER);
	if (w->access & BAWN_WALK_FETCH && (nx || vcpu->cr4 & X86_CR4_SMEP))
		error |= BAWN_WALK_FETCH;
	return fault(f, PF_VECTOR, error, w->gva);
}

static int level_shift(const struct walk *w, int level)
{
	return 12 + w->index_bits * (level - 1);
}

/* PAE's top level holds four entries without access rights. */
static bool is_pdpte(const struct walk *w, int level)
{
	return w->mode == PAGING_PAE && level == 3;
}

static bool is_leaf(const struct walk *w, int level, u64 value)
{
	if (level == 1 || !(value & PTE_PS))
		return level == 1;
	if (w->mode == PAGING_32)
		return w->vcpu->cr4 & X86_CR4_PSE;
	return level == 2 || (level == 3 && w->mode == PAGING_64);
}

/* The bits that must be zero in an entry; APM 5.3 (long), 5.2.3 (PAE), 5.2.2 (PSE). */
static u64 reserved_bits(const struct walk *w, int level, bool leaf)
{
	struct bawn_vcpu *vcpu = w->vcpu;
	int phys = clamp_t(int, vcpu->maxphyaddr, 32, 52);
	u64 bits = 0;

	if (w->mode == PAGING_32) {
		if (level == 1 || !leaf)
			return 0;
		return BIT_ULL(21) | (phys < 40 ? PSE36 & ~(BIT_ULL(phys - 32 + 13) - 1) : 0);
	}
	if (phys < 52)
		bits = GENMASK_ULL(51, phys);
	if (!(vcpu->efer & EFER_NX_BIT))
		bits |= PTE_NX;
	if (w->mode == PAGING_PAE) {
		bits |= GENMASK_ULL(62, 52);
		if (level == 3)
			bits |= PTE_NX | GENMASK_ULL(8, 5) | PTE_RW | PTE_US;
	} else if (level >= 4 ||
		   (level == 3 && leaf && !bawn_guest_has(vcpu, X86_FEATURE_GBPAGES))) {
		bits |= PTE_PS;
	}
	if (leaf && level > 1)
		bits |= GENMASK_ULL(level_shift(w, level) - 1, 13);
	return bits;
}

/* May the access go to a page with these accumulated rights? APM 5.6. */
static bool allowed(const struct walk *w, u64 rights, bool nx)
{
	struct bawn_vcpu *vcpu = w->vcpu;
	bool user_page = rights & PTE_US;

	if (w->access & BAWN_WALK_FETCH && nx)
		return false;
	if (w->access & BAWN_WALK_USER) {
		if (!user_page)
			return false;
	} else if (user_page) {
		if (w->access & BAWN_WALK_FETCH)
			return !(vcpu->cr4 & X86_CR4_SMEP);
		/* RFLAGS.AC lifts SMAP for what the guest's own supervisor code does. */
		if (vcpu->cr4 & X86_CR4_SMAP &&
		    (!(vcpu->rflags & X86_EFLAGS_AC) || bawn_cpu->cpl(vcpu) == 3))
			return false;
	}
	if (w->access & BAWN_WALK_WRITE && !(rights & PTE_RW))
		return !(w->access & BAWN_WALK_USER) && !(vcpu->cr0 & X86_CR0_WP);
	return true;
}

/* Sets the accessed and dirty bits on the path just walked; -EAGAIN when it has changed. */
static int set_accessed(struct walk *w, int leaf)
{
	int level;

	for (level = w->levels; level >= leaf; level--) {
		u64 old = w->entry[level].value;
		u64 new = old | PTE_A;

		if (is_pdpte(w, level))
			continue;
		if (level == leaf && w->access & BAWN_WALK_WRITE)
			new |= PTE_D;
		/* Tables in read-only memory keep their bits. */
		if (new != old && bawn_cmpxchg_guest(w->vcpu->vm, w->entry[level].gpa,
						     w->entry_size, old, new) == -EAGAIN)
			return -EAGAIN;
	}
	return 0;
}

static void walk_init(struct walk *w, struct bawn_vcpu *vcpu, gva_t gva, u32 access)
{
	*w = (struct walk){ .vcpu = vcpu, .gva = gva, .access = access,
			    .index_bits = 9, .entry_size = 8 };
	if (vcpu->efer & EFER_LMA_BIT) {
		w->mode = PAGING_64;
		w->levels = vcpu->cr4 & X86_CR4_LA57 ? 5 : 4;
		w->root = vcpu->cr3 & PTE_ADDRESS;
	} else if (vcpu->cr4 & X86_CR4_PAE) {
		w->mode = PAGING_PAE;
		w->levels = 3;
		w->root = vcpu->cr3 & GENMASK_ULL(31, 5);
	} else {
		w->mode = PAGING_32;
		w->levels = 2;
		w->root = vcpu->cr3 & GENMASK_ULL(31, 12);
		w->index_bits = 10;
		w->entry_size = 4;
	}
}

static gpa_t leaf_address(const struct walk *w, int level, u64 value)
{
	u64 in_page = BIT_ULL(level_shift(w, level)) - 1;
	gpa_t base = value & PTE_ADDRESS & ~in_page;

	if (w->mode == PAGING_32 && level == 2)
		base |= (value & PSE36) << (32 - 13);
	return base | (w->gva & in_page);
}

/* One descent. 0, -EFAULT with f filled, -EAGAIN to start again. */
static int walk_once(struct walk *w, gpa_t *gpa, struct bawn_walk_fault *f)
{
	u64 rights = PTE_RW | PTE_US, value;
	gpa_t table = w->root;
	bool nx = false, leaf = false;
	int level;

	for (level = w->levels;; level--) {
		u64 index = (w->gva >> level_shift(w, level)) & (BIT_ULL(w->index_bits) - 1);

		value = 0;
		w->entry[level].gpa = table + index * w->entry_size;
		/* A table that is no memory reads as not present. */
		if (bawn_read_guest(w->vcpu->vm, w->entry[level].gpa, &value, w->entry_size) ||
		    !(value & PTE_P))
			return page_fault(w, 0, f);
		w->entry[level].value = value;

		leaf = is_leaf(w, level, value);
		if (value & reserved_bits(w, level, leaf))
			return page_fault(w, PF_PRESENT | PF_RESERVED, f);
		if (!is_pdpte(w, level))
			rights &= value;
		nx |= w->mode != PAGING_32 && value & PTE_NX;
		if (leaf)
			break;
		table = value & PTE_ADDRESS;
	}
	if (!allowed(w, rights, nx))
		return page_fault(w, PF_PRESENT, f);
	*gpa = leaf_address(w, level, value);
	return set_accessed(w, level);
}

static int walk_tables(struct bawn_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa,
		       struct bawn_walk_fault *f)
{
	struct walk w;
	int tries, ret;

	walk_init(&w, vcpu, gva, access);
	for (tries = 0; tries < MAX_TRIES; tries++) {
		ret = walk_once(&w, gpa, f);
		if (ret != -EAGAIN)
			return ret;
	}
	/* Tables in constant change: a spurious fault lets the guest try again. */
	return page_fault(&w, 0, f);
}

/* Translates a linear address for an access of these rights. 0, -EFAULT with f filled. */
int bawn_walk(struct bawn_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa, struct bawn_walk_fault *f)
{
	*f = (struct bawn_walk_fault){};
	if (!(vcpu->efer & EFER_LMA_BIT))
		gva = (u32)gva;
	else if (!bawn_canonical(vcpu, gva))
		return fault(f, GP_VECTOR, 0, 0);
	if (!(vcpu->cr0 & X86_CR0_PG)) {
		*gpa = gva;
		return 0;
	}
	return walk_tables(vcpu, gva, access, gpa, f);
}

enum virt_op { VIRT_READ, VIRT_WRITE, VIRT_PROBE };

/* Does the access page by page. */
static int virt(struct bawn_vcpu *vcpu, enum virt_op op, gva_t gva, void *buf, size_t len,
		u32 access, struct bawn_walk_fault *f)
{
	size_t n, done;
	int ret = 0;
	gpa_t gpa;

	access |= bawn_cpu->cpl(vcpu) == 3 ? BAWN_WALK_USER : 0;
	for (done = 0; done < len && !ret; done += n) {
		n = min_t(size_t, len - done, PAGE_SIZE - offset_in_page(gva + done));
		if (bawn_walk(vcpu, gva + done, access, &gpa, f))
			return -EFAULT;
		if (op == VIRT_READ)
			ret = bawn_read_guest(vcpu->vm, gpa, buf + done, n);
		else if (op == VIRT_WRITE)
			ret = bawn_write_guest(vcpu->vm, gpa, buf + done, n);
	}
	return ret ? -ENXIO : 0;
}

int bawn_read_virt(struct bawn_vcpu *vcpu, gva_t gva, void *buf, size_t len, u32 access,
		   struct bawn_walk_fault *f)
{
	return virt(vcpu, VIRT_READ, gva, buf, len, access, f);
}

int bawn_probe_write(struct bawn_vcpu *vcpu, gva_t gva, size_t len, struct bawn_walk_fault *f)
{
	return virt(vcpu, VIRT_PROBE, gva, NULL, len, BAWN_WALK_WRITE, f);
}

int bawn_write_virt(struct bawn_vcpu *vcpu, gva_t gva, const void *buf, size_t len,
		    struct bawn_walk_fault *f)
{
	/* All pages first: a faulting access writes nothing. */
	if (bawn_probe_write(vcpu, gva, len, f))
		return -EFAULT;
	return virt(vcpu, VIRT_WRITE, gva, (void *)buf, len, BAWN_WALK_WRITE, f);
}

int bawn_inject_walk_fault(struct bawn_vcpu *vcpu, const struct bawn_walk_fault *f)
{
	bawn_inject_exception(vcpu, f->vector, true, f->error, f->address);
	return 1;
}

/* Type, null and limit checks of protected mode; APM 4.12. */
static bool segment_allows(struct bawn_vcpu *vcpu, const struct kvm_segment *seg, u64 first,
			   size_t len, bool write)
{
	u64 last = first + len - 1;
	bool code = seg->type & SEG_CODE;

	if (vcpu->cr0 & X86_CR0_PE && !(vcpu->rflags & X86_EFLAGS_VM) &&
	    (seg->unusable || !seg->present || (code && write) ||
	     ((code || write) && !(seg->type & SEG_RW))))
		return false;
	if (first > U32_MAX)
		return false;
	if (!code && seg->type & SEG_DOWN)
		return first > seg->limit && last <= (seg->db ? U32_MAX : U16_MAX);
	return last <= seg->limit;
}

int bawn_linear(struct bawn_vcpu *vcpu, int sreg, u64 offset, u8 addr_size, size_t len, bool write,
		gva_t *gva, struct bawn_walk_fault *f)
{
	struct kvm_segment seg;
	bool ok;

	offset &= bawn_size_mask(addr_size);
	bawn_cpu->get_segment(vcpu, sreg, &seg);
	if (bawn_long_mode(vcpu)) {
		*gva = offset + (sreg == VCPU_SREG_FS || sreg == VCPU_SREG_GS ? seg.base : 0);
		ok = bawn_canonical(vcpu, *gva) && bawn_canonical(vcpu, *gva + len - 1);
	} else {
		*gva = (u32)(seg.base + offset);
		ok = segment_allows(vcpu, &seg, offset, len, write);
	}
	return ok ? 0 : fault(f, sreg == VCPU_SREG_SS ? SS_VECTOR : GP_VECTOR, 0, 0);
}

/* Within one page. */
static __always_inline int fetch_part(struct bawn_vcpu *vcpu, gva_t gva, u8 *buf, size_t len,
		      struct bawn_walk_fault *f)
{
	u32 access = BAWN_WALK_FETCH | (bawn_cpu->cpl(vcpu) == 3 ? BAWN_WALK_USER : 0);
	gpa_t gpa;

	if (bawn_walk(vcpu, gva, access, &gpa, f))
		return -EFAULT;
	return bawn_read_guest(vcpu->vm, gpa, buf, len) ? -ENXIO : 0;
}

int bawn_fetch(struct bawn_vcpu *vcpu, u8 buf[15], struct bawn_walk_fault *f)
{
	gva_t rip = vcpu->rip;
	size_t nr = 15, first;
	u8 whole[16];
	int ret;

	if (bawn_cpu->code_size(vcpu) != 8) {
		u64 base;
		u32 limit;

		bawn_cpu->code_segment(vcpu, &base, &limit);
		if (rip > limit)
			return fault(f, GP_VECTOR, 0, 0);
		nr = min_t(u64, nr, limit - rip + 1);
		rip = (u32)(base + rip);
	}
	if (nr == 15 && offset_in_page(rip) <= PAGE_SIZE - sizeof(whole)) {
		ret = fetch_part(vcpu, rip, whole, sizeof(whole), f);
		memcpy(buf, whole, 15);
		return ret ?: 15;
	}
	first = min_t(size_t, nr, PAGE_SIZE - offset_in_page(rip));
	ret = fetch_part(vcpu, rip, buf, first, f);
	if (ret)
		return ret;
	if (nr > first && fetch_part(vcpu, rip + first, buf + first, nr - first, f))
		return first;
	return nr;
}

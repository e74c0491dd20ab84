// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory slots, the notifier that keeps the nested page table in step with the host's, the
 * dirty log, and access to guest memory from the module. Guest memory is what the owner's own
 * page tables say it is; no page is held longer than one fault.
 *
 * Locks. slots_lock serialises changes of the slot array, which readers see under vm->srcu and
 * writers replace whole. mmu_lock guards the nested table, inv_* and zapped. A fault reads
 * inv_seq, then the host's page, then installs under mmu_lock only if no invalidation ran
 * meanwhile; so an invalidation either sees the mapping or prevents it. bawn.h has the order:
 * slots_lock is outside vcpu->mutex because a launch's seal reads vCPUs while slots stand
 * still, and mmu_lock is innermost because notifiers take it under any of the host's locks.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "bawn.h"
#include "compat.h"

#define ZAP_CHUNK (1UL << (30 - PAGE_SHIFT)) /* pages between two chances to yield */
#define SLOT_MAX_PAGES ((1ULL << 31) - 1)

static struct bawn_memslots *slots_locked(struct bawn_vm *vm)
{
	return rcu_dereference_protected(vm->slots, lockdep_is_held(&vm->slots_lock));
}

struct bawn_memslot *bawn_slot(struct bawn_vm *vm, gfn_t gfn)
{
	struct bawn_memslots *s = srcu_dereference(vm->slots, &vm->srcu);
	unsigned int lo = 0, hi = s->nr;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;
		struct bawn_memslot *slot = &s->slot[mid];

		if (gfn < slot->base)
			hi = mid;
		else if (gfn - slot->base >= slot->npages)
			lo = mid + 1;
		else
			return slot;
	}
	return NULL;
}

void bawn_mark_dirty(struct bawn_memslot *slot, gfn_t gfn)
{
	if (slot->dirty)
		set_bit_le(gfn - slot->base, slot->dirty);
}

/* ---- The nested table follows the host ---- */

static void flush_and_free(struct bawn_vm *vm, bool flush)
{
	lockdep_assert_held(&vm->mmu_lock);
	if (flush)
		bawn_flush_all_tlbs(vm);
	bawn_npt_free_zapped(vm);
}

typedef bool (*range_fn)(struct bawn_vm *vm, gfn_t start, gfn_t end);

/* By fn, which takes mappings or rights from [start, end); yields on long ranges. */
static void change_range(struct bawn_vm *vm, gfn_t start, gfn_t end, range_fn fn)
{
	while (start < end) {
		gfn_t stop = min(end, start + ZAP_CHUNK);

		spin_lock(&vm->mmu_lock);
		flush_and_free(vm, fn(vm, start, stop));
		spin_unlock(&vm->mmu_lock);
		start = stop;
		cond_resched();
	}
}

void bawn_zap_range(struct bawn_vm *vm, gfn_t start, gfn_t end)
{
	change_range(vm, start, end, bawn_npt_zap);
}

/* Calls fn for the gfns of each slot behind [start, end). mmu_lock and srcu held. */
static bool visit_hva(struct bawn_vm *vm, unsigned long start, unsigned long end, range_fn fn)
{
	struct bawn_memslots *s = srcu_dereference(vm->slots, &vm->srcu);
	bool ret = false;
	unsigned int i;

	for (i = 0; i < s->nr; i++) {
		struct bawn_memslot *slot = &s->slot[i];
		unsigned long lo = max(start, slot->hva);
		unsigned long hi = min(end, slot->hva + (slot->npages << PAGE_SHIFT));

		if (lo < hi)
			ret |= fn(vm, slot->base + ((lo - slot->hva) >> PAGE_SHIFT),
				  slot->base + ((hi - slot->hva + PAGE_SIZE - 1) >> PAGE_SHIFT));
	}
	return ret;
}

/* Faults stay out of the range meanwhile, so the lock may be dropped between chunks. */
static bool zap_yielding(struct bawn_vm *vm, gfn_t start, gfn_t end)
{
	for (; start < end; start = min(end, start + ZAP_CHUNK)) {
		flush_and_free(vm, bawn_npt_zap(vm, start, min(end, start + ZAP_CHUNK)));
		cond_resched_lock(&vm->mmu_lock);
	}
	return false;
}

void bawn_invalidate_begin(struct bawn_vm *vm, unsigned long start, unsigned long end, bool yield)
{
	int idx = srcu_read_lock(&vm->srcu);

	spin_lock(&vm->mmu_lock);
	if (!vm->inv_active++) {
		vm->inv_start = start;
		vm->inv_end = end;
	} else {
		vm->inv_start = min(vm->inv_start, start);
		vm->inv_end = max(vm->inv_end, end);
	}
	vm->stat.mmu_invalidations++;
	flush_and_free(vm, visit_hva(vm, start, end, yield ? zap_yielding : bawn_npt_zap));
	spin_unlock(&vm->mmu_lock);
	srcu_read_unlock(&vm->srcu, idx);
}

void bawn_invalidate_end(struct bawn_vm *vm)
{
	spin_lock(&vm->mmu_lock);
	vm->inv_seq++;
	vm->inv_active--;
	spin_unlock(&vm->mmu_lock);
}

static int mn_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	bawn_invalidate_begin(container_of(mn, struct bawn_vm, notifier), range->start, range->end,
			      mmu_notifier_range_blockable(range));
	return 0;
}

static void mn_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	bawn_invalidate_end(container_of(mn, struct bawn_vm, notifier));
}

static bool age_clear(struct bawn_vm *vm, gfn_t start, gfn_t end)
{
	return bawn_npt_age(vm, start, end, true);
}

static bool age_test(struct bawn_vm *vm, gfn_t start, gfn_t end)
{
	return bawn_npt_age(vm, start, end, false);
}

static bool age(struct mmu_notifier *mn, unsigned long start, unsigned long end, range_fn fn,
	       bool flush)
{
	struct bawn_vm *vm = container_of(mn, struct bawn_vm, notifier);
	int idx = srcu_read_lock(&vm->srcu);
	bool young;

	spin_lock(&vm->mmu_lock);
	young = visit_hva(vm, start, end, fn);
	if (young && flush)
		bawn_flush_all_tlbs(vm);
	spin_unlock(&vm->mmu_lock);
	srcu_read_unlock(&vm->srcu, idx);
	return young;
}

static young_t mn_clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
				    unsigned long start, unsigned long end)
{
	return age(mn, start, end, age_clear, true);
}

static young_t mn_clear_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long start,
			  unsigned long end)
{
	return age(mn, start, end, age_clear, false);
}

static young_t mn_test_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address)
{
	return age(mn, address, address + 1, age_test, false);
}

/* The owner's address space ends: nothing of it may stay mapped. */
static void mn_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct bawn_vm *vm = container_of(mn, struct bawn_vm, notifier);

	bawn_invalidate_begin(vm, 0, ULONG_MAX, true);
	bawn_invalidate_end(vm);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = mn_start,
	.invalidate_range_end = mn_end,
	.clear_flush_young = mn_clear_flush_young,
	.clear_young = mn_clear_young,
	.test_young = mn_test_young,
	.release = mn_release,
};

/* ---- Slots ---- */

static void slot_free(struct bawn_memslot *slot)
{
	kvfree(slot->dirty);
	if (slot->gmem)
		bawn_gmem_unbind(slot);
}

/* A copy of the array without slot `without` (-1: none), room for one more. */
static struct bawn_memslots *slots_copy(const struct bawn_memslots *old, int without)
{
	struct bawn_memslots *s;
	unsigned int i;

	s = kvzalloc(struct_size(s, slot, old->nr + 1), GFP_KERNEL_ACCOUNT);
	if (!s)
		return NULL;
	for (i = 0; i < old->nr; i++)
		if (old->slot[i].id != without)
			s->slot[s->nr++] = old->slot[i];
	return s;
}

static void slots_insert(struct bawn_memslots *s, const struct bawn_memslot *slot)
{
	unsigned int i = s->nr++;

	for (; i && s->slot[i - 1].base > slot->base; i--)
		s->slot[i] = s->slot[i - 1];
	s->slot[i] = *slot;
}

static void slots_publish(struct bawn_vm *vm, struct bawn_memslots *s)
{
	struct bawn_memslots *old = slots_locked(vm);

	rcu_assign_pointer(vm->slots, s);
	synchronize_srcu_expedited(&vm->srcu);
	kvfree(old);
}

static struct bawn_memslot *slot_by_id(struct bawn_memslots *s, u16 id)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		if (s->slot[i].id == id)
			return &s->slot[i];
	return NULL;
}

static bool overlaps(struct bawn_memslots *s, u16 id, gfn_t base, u64 npages)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		if (s->slot[i].id != id && base < s->slot[i].base + s->slot[i].npages &&
		    s->slot[i].base < base + npages)
			return true;
	return false;
}

/*
 * Removes or replaces a slot. The array first shows it as invalid, so that faults wait while
 * the notifier still covers it; then its mappings go; then the new array stands.
 */
static int slot_replace(struct bawn_vm *vm, u16 id, const struct bawn_memslot *new)
{
	struct bawn_memslots *cur = slots_locked(vm), *marked, *next;
	struct bawn_memslot *old = slot_by_id(cur, id), gone = {};

	next = slots_copy(cur, id);
	marked = old ? slots_copy(cur, -1) : NULL;
	if (!next || (old && !marked)) {
		kvfree(next);
		kvfree(marked);
		return -ENOMEM;
	}
	if (new)
		slots_insert(next, new);
	if (old) {
		gone = *old;
		slot_by_id(marked, id)->invalid = true;
		slots_publish(vm, marked);
		bawn_zap_range(vm, gone.base, gone.base + gone.npages);
	}
	slots_publish(vm, next);
	/* Leaves that say that there is no memory (bawn_npt_map_mmio). */
	if (new && vm->mmio_leaf)
		bawn_zap_range(vm, new->base, new->base + new->npages);
	/* What the new slot keeps of the old one is not freed. */
	if (new && gone.dirty == new->dirty)
		gone.dirty = NULL;
	if (new && gone.gmem == new->gmem)
		gone.gmem = NULL;
	slot_free(&gone);
	if (vm->split_irqchip)
		bawn_request_all(vm, BAWN_REQ_EVENT, false);
	return 0;
}

static unsigned long *dirty_alloc(u64 npages)
{
	return kvcalloc(BITS_TO_LONGS(npages), sizeof(long), GFP_KERNEL_ACCOUNT);
}

/* Only KVM_MEM_LOG_DIRTY_PAGES can change while a slot stands. */
static int slot_change_flags(struct bawn_vm *vm, struct bawn_memslot *old, u32 flags)
{
	bool log = flags & KVM_MEM_LOG_DIRTY_PAGES;
	struct bawn_memslots *next;
	struct bawn_memslot *slot;
	unsigned long *drop = NULL;

	next = slots_copy(slots_locked(vm), -1);
	if (!next)
		return -ENOMEM;
	slot = slot_by_id(next, old->id);
	slot->flags = flags;
	if (log) {
		slot->dirty = dirty_alloc(slot->npages);
		if (!slot->dirty) {
			kvfree(next);
			return -ENOMEM;
		}
	} else {
		drop = slot->dirty;
		slot->dirty = NULL;
	}
	slots_publish(vm, next);
	kvfree(drop);
	/* From here each first write faults and is logged; without a log, large pages return. */
	change_range(vm, slot->base, slot->base + slot->npages,
		     log ? bawn_npt_write_protect : bawn_npt_zap);
	return 0;
}

/* A new slot, or (old) one that moves: that keeps its log. */
static int slot_create(struct bawn_vm *vm, const struct kvm_userspace_memory_region2 *r,
		       const struct bawn_memslot *old)
{
	struct bawn_memslot slot = {
		.id = r->slot,
		.flags = r->flags,
		.base = r->guest_phys_addr >> PAGE_SHIFT,
		.npages = r->memory_size >> PAGE_SHIFT,
		.hva = r->userspace_addr,
	};
	int err = -ENOMEM;

	if (overlaps(slots_locked(vm), r->slot, slot.base, slot.npages))
		return -EEXIST;
	if (r->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		slot.dirty = old && old->dirty ? old->dirty : dirty_alloc(slot.npages);
		if (!slot.dirty)
			return -ENOMEM;
	}
	if (r->flags & KVM_MEM_GUEST_MEMFD) {
		err = bawn_gmem_bind(vm, &slot, r->guest_memfd, r->guest_memfd_offset);
		if (err)
			goto fail;
	}
	err = slot_replace(vm, r->slot, &slot);
	if (!err)
		return 0;
fail:
	if (old && slot.dirty == old->dirty)
		slot.dirty = NULL;
	slot_free(&slot);
	return err;
}

static int region_check(struct bawn_vm *vm, const struct kvm_userspace_memory_region2 *r)
{
	u32 allowed = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY;
	u64 end;

	if (bawn_has_private(vm))
		allowed |= KVM_MEM_GUEST_MEMFD;
	/* Private memory knows neither a log nor write protection. */
	if (r->flags & KVM_MEM_GUEST_MEMFD)
		allowed &= ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY);
	if (r->flags & ~allowed || r->slot >= BAWN_MAX_SLOTS)
		return -EINVAL;
	if ((r->memory_size | r->guest_phys_addr | r->userspace_addr) & ~PAGE_MASK)
		return -EINVAL;
	if (r->memory_size >> PAGE_SHIFT > SLOT_MAX_PAGES)
		return -EINVAL;
	if (r->userspace_addr != untagged_addr(r->userspace_addr) ||
	    !access_ok((void __user *)(unsigned long)r->userspace_addr, r->memory_size))
		return -EINVAL;
	if (check_add_overflow(r->guest_phys_addr, r->memory_size, &end) ||
	    end > bawn_gpa_end(vm))
		return -EINVAL;
	if (r->flags & KVM_MEM_GUEST_MEMFD &&
	    (r->guest_memfd_offset & ~PAGE_MASK ||
	     r->guest_memfd_offset + r->memory_size < r->guest_memfd_offset))
		return -EINVAL;
	return 0;
}

/* KVM_SET_USER_MEMORY_REGION(2): api.rst 4.35, 4.140. slots_lock held. */
int bawn_set_memory_region(struct bawn_vm *vm, const struct kvm_userspace_memory_region2 *r)
{
	struct bawn_memslot *old;
	int err;

	lockdep_assert_held(&vm->slots_lock);
	err = region_check(vm, r);
	if (err)
		return err;
	old = slot_by_id(slots_locked(vm), r->slot);
	if (!r->memory_size && !old)
		return -EINVAL;
	/* The launch digest covers the memory that stands: it may neither go nor be joined. */
	if (bawn_measure_sealed(vm) &&
	    !(old && r->memory_size && r->guest_phys_addr >> PAGE_SHIFT == old->base))
		return -EPERM;
	if (!r->memory_size)
		return slot_replace(vm, r->slot, NULL);
	if (!old)
		return slot_create(vm, r, NULL);
	if (r->userspace_addr != old->hva || r->memory_size >> PAGE_SHIFT != old->npages ||
	    (r->flags ^ old->flags) & ~KVM_MEM_LOG_DIRTY_PAGES || old->gmem)
		return bawn_measure_sealed(vm) ? -EPERM : -EINVAL;
	if (r->guest_phys_addr >> PAGE_SHIFT != old->base)
		return slot_create(vm, r, old);
	return r->flags == old->flags ? 0 : slot_change_flags(vm, old, r->flags);
}

/* ---- Dirty log ---- */

/* Write-protects the pages whose bits are set in one word. mmu_lock held. */
static bool protect_word(struct bawn_vm *vm, struct bawn_memslot *slot, u64 word,
			 unsigned long mask)
{
	gfn_t base = slot->base + word * BITS_PER_LONG;
	bool flush = false;

	while (mask) {
		unsigned int from = __ffs(mask);
		unsigned int nr = ~(mask >> from) ? ffz(mask >> from) : BITS_PER_LONG - from;

		flush |= bawn_npt_write_protect(vm, base + from, base + from + nr);
		if (from + nr >= BITS_PER_LONG)
			break;
		mask &= ~0UL << (from + nr);
	}
	return flush;
}

#define DIRTY_CHUNK 512 /* words between two chances to yield */

/*
 * Takes the bits of words [first, first + n) (those in keep alone, when given) out of the log
 * into out (when given), and protects their pages, so that the next write is logged again.
 */
static void take_dirty(struct bawn_vm *vm, struct bawn_memslot *slot, u64 first, u64 n,
		       const unsigned long *keep, unsigned long *out)
{
	bool flush = false;
	u64 i;

	spin_lock(&vm->mmu_lock);
	for (i = 0; i < n; i++) {
		unsigned long mask, *word = &slot->dirty[first + i];

		if (i % DIRTY_CHUNK == DIRTY_CHUNK - 1)
			cond_resched_lock(&vm->mmu_lock);
		if (!READ_ONCE(*word))
			continue;
		if (keep) {
			mask = keep[i];
			mask &= atomic_long_fetch_andnot(mask, (atomic_long_t *)word);
		} else {
			mask = xchg(word, 0);
		}
		if (out)
			out[i] = mask;
		if (mask)
			flush |= protect_word(vm, slot, first + i, mask);
	}
	flush_and_free(vm, flush);
	spin_unlock(&vm->mmu_lock);
}

static struct bawn_memslot *logged_slot(struct bawn_vm *vm, u32 id)
{
	struct bawn_memslot *slot;

	if (id >= BAWN_MAX_SLOTS)
		return ERR_PTR(-EINVAL);
	slot = slot_by_id(slots_locked(vm), id);
	return slot && slot->dirty ? slot : ERR_PTR(-ENOENT);
}

/* KVM_GET_DIRTY_LOG: api.rst 4.8. slots_lock held. */
int bawn_get_dirty_log(struct bawn_vm *vm, const struct kvm_dirty_log *log)
{
	struct bawn_memslot *slot = logged_slot(vm, log->slot);
	unsigned long *out;
	u64 words;
	int r = 0;

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	words = BITS_TO_LONGS(slot->npages);
	if (vm->manual_dirty)
		return copy_to_user(log->dirty_bitmap, slot->dirty, words * sizeof(long)) ?
			       -EFAULT : 0;
	out = kvcalloc(words, sizeof(long), GFP_KERNEL_ACCOUNT);
	if (!out)
		return -ENOMEM;
	take_dirty(vm, slot, 0, words, NULL, out);
	if (copy_to_user(log->dirty_bitmap, out, words * sizeof(long)))
		r = -EFAULT;
	kvfree(out);
	return r;
}

/* KVM_CLEAR_DIRTY_LOG: api.rst 4.117. slots_lock held. */
int bawn_clear_dirty_log(struct bawn_vm *vm, const struct kvm_clear_dirty_log *log)
{
	u64 words = BITS_TO_LONGS((u64)log->num_pages), bits = log->num_pages % BITS_PER_LONG;
	struct bawn_memslot *slot;
	unsigned long *keep;
	int r = 0;

	if (log->first_page & 63)
		return -EINVAL;
	slot = logged_slot(vm, log->slot);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (log->first_page > slot->npages || log->num_pages > slot->npages - log->first_page ||
	    (log->num_pages < slot->npages - log->first_page && log->num_pages & 63))
		return -EINVAL;
	keep = kvcalloc(max(words, 1ULL), sizeof(long), GFP_KERNEL_ACCOUNT);
	if (!keep)
		return -ENOMEM;
	if (copy_from_user(keep, log->dirty_bitmap, words * sizeof(long))) {
		r = -EFAULT;
		goto out;
	}
	/* Bits past the range are not the caller's to clear. */
	if (bits)
		keep[words - 1] &= (1UL << bits) - 1;
	take_dirty(vm, slot, log->first_page / BITS_PER_LONG, words, keep, NULL);
out:
	kvfree(keep);
	return r;
}

/* ---- Access from the module ---- */

/*
 * Host address of gpa, for at most *len bytes of its page; 0 when there is no such memory, or it
 * is private: that is the guest's alone.
 */
static __always_inline unsigned long guest_hva(struct bawn_vm *vm, gpa_t gpa, size_t *len,
			       struct bawn_memslot **slot)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;

	*slot = bawn_slot(vm, gfn);
	if (!*slot || (*slot)->invalid || bawn_is_private(vm, gfn))
		return 0;
	*len = min_t(size_t, *len, PAGE_SIZE - offset_in_page(gpa));
	return (*slot)->hva + ((gfn - (*slot)->base) << PAGE_SHIFT) + offset_in_page(gpa);
}

/* What the walk and the fetch read has a constant size, which spares checks of the buffer. */
static bool copy_in(void *buf, unsigned long hva, size_t n)
{
	const void __user *p = (const void __user *)hva;

	return n == 8 ? !copy_from_user(buf, p, 8) : n == 16 ? !copy_from_user(buf, p, 16) :
							       !copy_from_user(buf, p, n);
}

int bawn_read_guest(struct bawn_vm *vm, gpa_t gpa, void *buf, size_t len)
{
	while (len) {
		struct bawn_memslot *slot;
		size_t n = len;
		unsigned long hva = guest_hva(vm, gpa, &n, &slot);

		if (!hva || !copy_in(buf, hva, n))
			return -EFAULT;
		gpa += n;
		buf += n;
		len -= n;
	}
	return 0;
}

int bawn_write_guest(struct bawn_vm *vm, gpa_t gpa, const void *buf, size_t len)
{
	while (len) {
		struct bawn_memslot *slot;
		size_t n = len;
		unsigned long hva = guest_hva(vm, gpa, &n, &slot);

		if (!hva)
			return -EFAULT;
		if (slot->flags & KVM_MEM_READONLY)
			return -EACCES;
		if (copy_to_user((void __user *)hva, buf, n))
			return -EFAULT;
		bawn_mark_dirty(slot, gpa >> PAGE_SHIFT);
		gpa += n;
		buf += n;
		len -= n;
	}
	return 0;
}

int bawn_cmpxchg_guest(struct bawn_vm *vm, gpa_t gpa, size_t size, u64 old, u64 new)
{
	struct bawn_memslot *slot;
	size_t n = size;
	unsigned long hva;
	bool same;

	if (gpa & (size - 1))
		return -EFAULT;
	hva = guest_hva(vm, gpa, &n, &slot);
	if (!hva || n != size)
		return -EFAULT;
	if (slot->flags & KVM_MEM_READONLY)
		return -EACCES;
	if (!user_access_begin((void __user *)hva, size))
		return -EFAULT;
	if (size == 8) {
		u64 expect = old;

		same = unsafe_try_cmpxchg_user((u64 __user *)hva, &expect, new, fault);
	} else {
		u32 expect = old;

		same = unsafe_try_cmpxchg_user((u32 __user *)hva, &expect, (u32)new, fault);
	}
	user_access_end();
	if (!same)
		return -EAGAIN;
	bawn_mark_dirty(slot, gpa >> PAGE_SHIFT);
	return 0;
fault:
	user_access_end();
	return -EFAULT;
}

/* ---- Life ---- */

int bawn_memory_init(struct bawn_vm *vm)
{
	struct bawn_memslots *s = kvzalloc(struct_size(s, slot, 1), GFP_KERNEL_ACCOUNT);
	int r;

	if (!s)
		return -ENOMEM;
	mutex_init(&vm->slots_lock);
	spin_lock_init(&vm->mmu_lock);
	INIT_LIST_HEAD(&vm->zapped);
	xa_init(&vm->attributes);
	rcu_assign_pointer(vm->slots, s);
	r = init_srcu_struct(&vm->srcu);
	if (r)
		goto free_slots;
	r = bawn_npt_create(vm);
	if (r)
		goto free_srcu;
	mmgrab(current->mm);
	vm->mm = current->mm;
	vm->notifier.ops = &notifier_ops;
	r = mmu_notifier_register(&vm->notifier, current->mm);
	if (!r)
		return 0;
	mmdrop(vm->mm);
	bawn_npt_destroy(vm);
free_srcu:
	cleanup_srcu_struct(&vm->srcu);
free_slots:
	kvfree(s);
	return r;
}

/* No invalidation comes after this. */
void bawn_memory_detach(struct bawn_vm *vm)
{
	mmu_notifier_unregister(&vm->notifier, vm->mm);
}

/* Detached, and no vCPU is left: the table can go without locks. */
void bawn_memory_destroy(struct bawn_vm *vm)
{
	struct bawn_memslots *s = rcu_dereference_raw(vm->slots);
	unsigned int i;

	bawn_npt_destroy(vm);
	for (i = 0; i < s->nr; i++)
		slot_free(&s->slot[i]);
	kvfree(s);
	xa_destroy(&vm->attributes);
	cleanup_srcu_struct(&vm->srcu);
	mmdrop(vm->mm);
}

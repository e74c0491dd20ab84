/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's memory: slots and copies, the nested page table, private memory, and the guest's own
 * page tables. A part of bawn.h, which includes it behind the types that it needs.
 */
#ifndef BAWN_GUESTMEM_H
#define BAWN_GUESTMEM_H

/* memory.c */
int bawn_memory_init(struct bawn_vm *vm);
void bawn_memory_detach(struct bawn_vm *vm);
void bawn_memory_destroy(struct bawn_vm *vm);
int bawn_set_memory_region(struct bawn_vm *vm, const struct kvm_userspace_memory_region2 *r);
int bawn_get_dirty_log(struct bawn_vm *vm, const struct kvm_dirty_log *log);
int bawn_clear_dirty_log(struct bawn_vm *vm, const struct kvm_clear_dirty_log *log);
/* Under vm->srcu (vCPU ioctls hold it). NULL when no slot holds gfn. */
struct bawn_memslot *bawn_slot(struct bawn_vm *vm, gfn_t gfn);
void bawn_mark_dirty(struct bawn_memslot *slot, gfn_t gfn);
/*
 * Copies from or to guest memory, any alignment, crossing pages. Private memory is none.
 * May sleep. Under vm->srcu. 0, -EFAULT when there is no memory, -EACCES on a read-only slot.
 */
int bawn_read_guest(struct bawn_vm *vm, gpa_t gpa, void *buf, size_t len);
int bawn_write_guest(struct bawn_vm *vm, gpa_t gpa, const void *buf, size_t len);
/*
 * Atomically replaces old by new in the naturally aligned size (4 or 8) bytes at gpa, as above:
 * 0, -EAGAIN when old is not there, -EFAULT, -EACCES.
 */
int bawn_cmpxchg_guest(struct bawn_vm *vm, gpa_t gpa, size_t size, u64 old, u64 new);

/*
 * Brackets a change under which mappings of [start, end) (host addresses) must not be made:
 * begin drops what is mapped in the gfn ranges behind it (yield: it may sleep meanwhile), end
 * lets faults try again.
 */
void bawn_invalidate_begin(struct bawn_vm *vm, unsigned long start, unsigned long end, bool yield);
void bawn_invalidate_end(struct bawn_vm *vm);
/* Drops the nested mappings of [start, end), flushes, frees; yields on long ranges. */
void bawn_zap_range(struct bawn_vm *vm, gfn_t start, gfn_t end);

/* npt.c: the nested page table; mmu_lock held except for create, destroy and fault */
int bawn_npt_create(struct bawn_vm *vm);
/* Where guest-physical addresses end: the CPU's own limit or the table's reach. */
u64 bawn_gpa_end(struct bawn_vm *vm);
void bawn_npt_destroy(struct bawn_vm *vm);
void bawn_npt_free_cache(struct bawn_vcpu *vcpu);
/*
 * Answers a nested fault: > 0 mapped, retry the instruction; 0 exit to userspace
 * (KVM_EXIT_MEMORY_FAULT filled); -ENXIO: no memory there, it is MMIO; other errno.
 */
int bawn_npt_fault(struct bawn_vcpu *vcpu, gpa_t gpa, u32 access);
/* Installs vm->mmio_leaf, by which hardware tells the guest that no memory is there. 1 or errno. */
int bawn_npt_map_mmio(struct bawn_vcpu *vcpu, gpa_t gpa);
bool bawn_npt_zap(struct bawn_vm *vm, gfn_t start, gfn_t end); /* true: flush TLBs */
void bawn_npt_free_zapped(struct bawn_vm *vm); /* after the flush */
bool bawn_npt_age(struct bawn_vm *vm, gfn_t start, gfn_t end, bool clear);
bool bawn_npt_write_protect(struct bawn_vm *vm, gfn_t start, gfn_t end);

/* gmem.c: private memory objects and memory attributes */
int bawn_gmem_create(struct bawn_vm *vm, const struct kvm_create_guest_memfd *args);
int bawn_gmem_bind(struct bawn_vm *vm, struct bawn_memslot *slot, int fd, u64 offset);
void bawn_gmem_unbind(struct bawn_memslot *slot);
/* +1 reference. A confidential guest's page is made the guest's. */
int bawn_gmem_page(struct bawn_memslot *slot, gfn_t gfn, struct page **page);
/*
 * Gives pages [gfn, gfn + n) of the slot (as far as it has them) their first content: fill gets
 * each page that never was the guest's, and makes it the guest's too. How many were filled, or
 * an errno when there was none. slots_lock and srcu held, no vCPU runs.
 */
typedef int (*bawn_gmem_fill)(struct bawn_vm *vm, gfn_t gfn, struct page *page, void *arg);
long bawn_gmem_populate(struct bawn_vm *vm, struct bawn_memslot *slot, gfn_t gfn, u64 n,
			bawn_gmem_fill fill, void *arg);
int bawn_set_attributes(struct bawn_vm *vm, const struct kvm_memory_attributes *attr);
static inline bool bawn_has_private(struct bawn_vm *vm)
{
	return vm->type != KVM_X86_DEFAULT_VM;
}

static inline bool bawn_is_private(struct bawn_vm *vm, gfn_t gfn)
{
	void *entry = bawn_has_private(vm) ? xa_load(&vm->attributes, gfn) : NULL;

	return entry && (xa_to_value(entry) & KVM_MEMORY_ATTRIBUTE_PRIVATE);
}

/* walk.c: the guest's own page tables, walked in software */
#define BAWN_WALK_WRITE BIT(1) /* the #PF error code's bits */
#define BAWN_WALK_USER BIT(2)
#define BAWN_WALK_FETCH BIT(4)
/* What a failed access injects: #PF (vector 14, payload = address), #GP, #SS. */
struct bawn_walk_fault {
	u8 vector;
	u32 error;
	u64 address;
};

int bawn_walk(struct bawn_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa, struct bawn_walk_fault *f);
/*
 * Linear addresses; access is BAWN_WALK_FETCH or 0, rights are the current CPL's. 0, -EFAULT with
 * f filled, -ENXIO when the addresses are mapped to no memory (f empty; the copy may be partial).
 */
int bawn_read_virt(struct bawn_vcpu *vcpu, gva_t gva, void *buf, size_t len, u32 access,
		   struct bawn_walk_fault *f);
int bawn_write_virt(struct bawn_vcpu *vcpu, gva_t gva, const void *buf, size_t len,
		    struct bawn_walk_fault *f);
/* Would bawn_write_virt() fault? Nothing is written. 0, -EFAULT with f filled. */
int bawn_probe_write(struct bawn_vcpu *vcpu, gva_t gva, size_t len, struct bawn_walk_fault *f);
int bawn_inject_walk_fault(struct bawn_vcpu *vcpu, const struct bawn_walk_fault *f); /* 1 */
/* Linear address of offset in a segment, checked for limit and canonical form. */
int bawn_linear(struct bawn_vcpu *vcpu, int sreg, u64 offset, u8 addr_size, size_t len, bool write,
		gva_t *gva, struct bawn_walk_fault *f);
/*
 * The bytes at CS:RIP, at most 15; returns how many (fewer when the next page cannot be read: then
 * f says what reading on would raise, vector not 0), or -EFAULT with f filled, or -ENXIO.
 */
int bawn_fetch(struct bawn_vcpu *vcpu, u8 buf[15], struct bawn_walk_fault *f);

#endif

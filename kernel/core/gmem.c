// SPDX-License-Identifier: GPL-2.0-only
/*
 * Private memory: files whose pages only the guest reaches (no read, write or mmap), and the
 * attributes that say which guest pages are private. A file belongs to one VM for good; slots
 * keep its memory alive after its descriptor is closed. api.rst 4.141, 4.142.
 */
#include <linux/anon_inodes.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "bawn.h"

struct bawn_gmem {
	struct kref ref; /* the file and each slot */
	struct inode *inode;
	struct bawn_vm *vm; /* counted by the file; valid in file operations alone */
	struct mutex lock;
	struct list_head bindings;
};

/* One slot's use of [start, end) pages of the file. Owned by the slot. */
struct gmem_binding {
	struct list_head node;
	u16 slot;
	gfn_t base;
	u64 start, end;
};

/* Neither the file nor a slot is left, but the VM is: its hardware takes leave of the pages. */
static void gmem_free(struct kref *ref)
{
	struct bawn_gmem *gmem = container_of(ref, struct bawn_gmem, ref);

	truncate_inode_pages(gmem->inode->i_mapping, 0);
	iput(gmem->inode);
	kfree(gmem);
}

/* Drops the nested mappings of file pages [start, end). */
static void gmem_zap(struct bawn_gmem *gmem, u64 start, u64 end)
{
	struct gmem_binding *b;

	mutex_lock(&gmem->lock);
	list_for_each_entry(b, &gmem->bindings, node) {
		u64 lo = max(start, b->start), hi = min(end, b->end);

		if (lo < hi)
			bawn_zap_range(gmem->vm, b->base + lo - b->start, b->base + hi - b->start);
	}
	mutex_unlock(&gmem->lock);
}

/* A fault that found a page before it went must not map it after: begin and end bracket. */
static void gmem_punch(struct bawn_gmem *gmem, loff_t offset, loff_t len)
{
	struct address_space *mapping = gmem->inode->i_mapping;

	filemap_invalidate_lock(mapping);
	bawn_invalidate_begin(gmem->vm, 0, 0, true);
	gmem_zap(gmem, offset >> PAGE_SHIFT, (offset + len) >> PAGE_SHIFT);
	truncate_inode_pages_range(mapping, offset, offset + len - 1);
	bawn_invalidate_end(gmem->vm);
	filemap_invalidate_unlock(mapping);
}

/* Counted and locked. */
static struct folio *gmem_folio(struct inode *inode, pgoff_t index)
{
	struct folio *folio = filemap_grab_folio(inode->i_mapping, index);

	if (IS_ERR(folio))
		return folio;
	if (!folio_test_uptodate(folio)) {
		folio_zero_range(folio, 0, folio_size(folio));
		folio_mark_uptodate(folio);
	}
	return folio;
}

/*
 * The page becomes the guest's, and that is noted with it: the host then takes it from the file in
 * no other way than by a hole, and a confidential guest's hardware knows of it. Folios are single
 * pages here. folio locked. A page of a file that was bound elsewhere before is known to belong
 * there, and so the guest finds that it was moved.
 */
static int gmem_prepare(struct bawn_gmem *gmem, struct folio *folio, gfn_t gfn)
{
	const struct bawn_tee_ops *tee = gmem->vm->tee;
	int r;

	if (folio_test_private(folio))
		return 0;
	r = tee ? tee->page_prepare(gmem->vm, gfn, folio_page(folio, 0)) : 0;
	if (!r)
		folio_attach_private(folio, gmem);
	return r;
}

static int gmem_allocate(struct inode *inode, loff_t offset, loff_t len)
{
	pgoff_t index = offset >> PAGE_SHIFT, end = (offset + len) >> PAGE_SHIFT;
	int r = 0;

	filemap_invalidate_lock_shared(inode->i_mapping);
	for (; index < end && !r; index++) {
		struct folio *folio;

		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}
		folio = gmem_folio(inode, index);
		r = PTR_ERR_OR_ZERO(folio);
		if (!r) {
			folio_unlock(folio);
			folio_put(folio);
		}
		cond_resched();
	}
	filemap_invalidate_unlock_shared(inode->i_mapping);
	return r;
}

static long gmem_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct bawn_gmem *gmem = file->private_data;

	if (!(mode & FALLOC_FL_KEEP_SIZE) ||
	    mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (!PAGE_ALIGNED(offset) || !PAGE_ALIGNED(len))
		return -EINVAL;
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		gmem_punch(gmem, offset, len);
		return 0;
	}
	if (offset + len > i_size_read(gmem->inode))
		return -EINVAL;
	return gmem_allocate(gmem->inode, offset, len);
}

static int gmem_release(struct inode *inode, struct file *file)
{
	struct bawn_gmem *gmem = file->private_data;

	struct bawn_vm *vm = gmem->vm;

	kref_put(&gmem->ref, gmem_free);
	bawn_vm_put(vm);
	return 0;
}

static const struct file_operations gmem_fops = {
	.owner = THIS_MODULE,
	.release = gmem_release,
	.fallocate = gmem_fallocate,
};

/* The size is fixed at creation: slots were checked against it. */
static int gmem_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	return -EINVAL;
}

static const struct inode_operations gmem_iops = { .setattr = gmem_setattr };

/*
 * A page went bad. It stays in its place, so that the guest's next access is told of it and no
 * other content appears there; userspace punches it out. folio locked, so the file stays.
 */
static int gmem_poisoned(struct address_space *mapping, struct folio *folio)
{
	struct bawn_gmem *gmem = mapping->host->i_private;
	u64 index = folio_pos(folio) >> PAGE_SHIFT;

	bawn_invalidate_begin(gmem->vm, 0, 0, true);
	gmem_zap(gmem, index, index + (folio_size(folio) >> PAGE_SHIFT));
	bawn_invalidate_end(gmem->vm);
	return MF_DELAYED;
}

/* Private pages do not move and are never written back. */
static int gmem_migrate(struct address_space *mapping, struct folio *dst, struct folio *src,
			enum migrate_mode mode)
{
	return -EINVAL;
}

/* A prepared page leaves the file; folio locked. */
static void gmem_invalidate(struct folio *folio, size_t offset, size_t length)
{
	struct bawn_gmem *gmem = folio_detach_private(folio);

	if (gmem->vm->tee)
		gmem->vm->tee->page_gone(gmem->vm, folio_page(folio, 0));
}

/* ... which it does in no other way. */
static bool gmem_release_folio(struct folio *folio, gfp_t gfp)
{
	return false;
}

static const struct address_space_operations gmem_aops = {
	.dirty_folio = noop_dirty_folio,
	.migrate_folio = gmem_migrate,
	.invalidate_folio = gmem_invalidate,
	.release_folio = gmem_release_folio,
	.error_remove_folio = gmem_poisoned,
};

int bawn_gmem_create(struct bawn_vm *vm, const struct kvm_create_guest_memfd *args)
{
	struct bawn_gmem *gmem;
	struct file *file;
	int fd;

	if (!bawn_has_private(vm))
		return -ENOTTY;
	if (args->flags || !args->size || args->size & ~PAGE_MASK || (s64)args->size < 0)
		return -EINVAL;
	gmem = kzalloc(sizeof(*gmem), GFP_KERNEL_ACCOUNT);
	if (!gmem)
		return -ENOMEM;
	kref_init(&gmem->ref);
	mutex_init(&gmem->lock);
	INIT_LIST_HEAD(&gmem->bindings);
	gmem->vm = vm;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		kfree(gmem);
		return fd;
	}
	file = anon_inode_create_getfile("[bawn-gmem]", &gmem_fops, gmem, O_RDWR, NULL);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		kfree(gmem);
		return PTR_ERR(file);
	}
	gmem->inode = file_inode(file);
	ihold(gmem->inode);
	gmem->inode->i_private = gmem;
	gmem->inode->i_op = &gmem_iops;
	gmem->inode->i_mode |= S_IFREG;
	gmem->inode->i_size = args->size;
	gmem->inode->i_mapping->a_ops = &gmem_aops;
	mapping_set_gfp_mask(gmem->inode->i_mapping, GFP_HIGHUSER);
	mapping_set_inaccessible(gmem->inode->i_mapping);
	bawn_vm_get(vm);
	fd_install(fd, file);
	return fd;
}

/* slots_lock held: bindings of one VM change one at a time. */
int bawn_gmem_bind(struct bawn_vm *vm, struct bawn_memslot *slot, int fd, u64 offset)
{
	struct gmem_binding *b, *other;
	struct bawn_gmem *gmem;
	struct file *file = fget(fd);
	int r = -EINVAL;

	if (!file)
		return -EBADF;
	if (file->f_op != &gmem_fops)
		goto out;
	gmem = file->private_data;
	if (gmem->vm != vm || offset + (slot->npages << PAGE_SHIFT) > i_size_read(gmem->inode))
		goto out;
	r = -ENOMEM;
	b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	if (!b)
		goto out;
	b->slot = slot->id;
	b->base = slot->base;
	b->start = offset >> PAGE_SHIFT;
	b->end = b->start + slot->npages;
	mutex_lock(&gmem->lock);
	r = 0;
	list_for_each_entry(other, &gmem->bindings, node)
		if (b->start < other->end && other->start < b->end)
			r = -EINVAL;
	if (!r)
		list_add(&b->node, &gmem->bindings);
	mutex_unlock(&gmem->lock);
	if (r) {
		kfree(b);
		goto out;
	}
	kref_get(&gmem->ref);
	slot->gmem = gmem;
	slot->gmem_pgoff = b->start;
out:
	fput(file);
	return r;
}

void bawn_gmem_unbind(struct bawn_memslot *slot)
{
	struct bawn_gmem *gmem = slot->gmem;
	struct gmem_binding *b, *next;

	mutex_lock(&gmem->lock);
	list_for_each_entry_safe(b, next, &gmem->bindings, node) {
		if (b->slot == slot->id && b->start == slot->gmem_pgoff) {
			list_del(&b->node);
			kfree(b);
		}
	}
	mutex_unlock(&gmem->lock);
	slot->gmem = NULL;
	kref_put(&gmem->ref, gmem_free);
}

int bawn_gmem_page(struct bawn_memslot *slot, gfn_t gfn, struct page **page)
{
	pgoff_t index = gfn - slot->base + slot->gmem_pgoff;
	struct folio *folio = gmem_folio(slot->gmem->inode, index);
	int r;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	r = folio_test_hwpoison(folio) ? -EHWPOISON : gmem_prepare(slot->gmem, folio, gfn);
	folio_unlock(folio);
	if (r) {
		folio_put(folio);
		return r;
	}
	*page = folio_file_page(folio, index);
	return 0;
}

/* The page is nobody's yet: fill works without its lock, invalidation being locked out. */
static int gmem_fill(struct bawn_vm *vm, struct bawn_memslot *slot, gfn_t gfn,
		     bawn_gmem_fill fill, void *arg)
{
	pgoff_t index = gfn - slot->base + slot->gmem_pgoff;
	struct folio *folio;
	int r = -EEXIST;

	if (!bawn_is_private(vm, gfn))
		return -EINVAL;
	folio = gmem_folio(slot->gmem->inode, index);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (!folio_test_private(folio)) {
		folio_unlock(folio);
		r = fill(vm, gfn, folio_file_page(folio, index), arg);
		folio_lock(folio);
		if (!r)
			folio_attach_private(folio, slot->gmem);
	}
	folio_unlock(folio);
	folio_put(folio);
	return r;
}

long bawn_gmem_populate(struct bawn_vm *vm, struct bawn_memslot *slot, gfn_t gfn, u64 n,
			bawn_gmem_fill fill, void *arg)
{
	struct address_space *mapping = slot->gmem->inode->i_mapping;
	long done = 0;
	int r = 0;

	lockdep_assert_held(&vm->slots_lock);
	n = min(n, slot->npages - (gfn - slot->base));
	filemap_invalidate_lock(mapping);
	for (; done < n && !r; done += !r) {
		r = signal_pending(current) ? -EINTR :
					      gmem_fill(vm, slot, gfn + done, fill, arg);
		cond_resched();
	}
	filemap_invalidate_unlock(mapping);
	return r && !done ? r : done;
}

/* KVM_SET_MEMORY_ATTRIBUTES. slots_lock held. All or nothing: entries are reserved first. */
int bawn_set_attributes(struct bawn_vm *vm, const struct kvm_memory_attributes *attr)
{
	void *entry = NULL;
	gfn_t start = attr->address >> PAGE_SHIFT, end, gfn;
	int r = 0;

	if (!bawn_has_private(vm))
		return -ENOTTY;
	if (attr->flags || attr->attributes & ~(u64)KVM_MEMORY_ATTRIBUTE_PRIVATE)
		return -EINVAL;
	if (!attr->size || attr->address + attr->size < attr->address ||
	    !PAGE_ALIGNED(attr->address) || !PAGE_ALIGNED(attr->size) ||
	    attr->address + attr->size > bawn_gpa_end(vm))
		return -EINVAL;
	if (attr->attributes) /* one that xa_mk_value() takes, now */
		entry = xa_mk_value(attr->attributes);
	end = (attr->address + attr->size) >> PAGE_SHIFT;
	for (gfn = start; gfn < end && !r; gfn++) {
		r = xa_reserve(&vm->attributes, gfn, GFP_KERNEL_ACCOUNT);
		if (fatal_signal_pending(current))
			r = -EINTR;
		cond_resched();
	}
	if (r)
		return r;
	bawn_invalidate_begin(vm, 0, 0, true);
	for (gfn = start; gfn < end; gfn++) {
		xa_store(&vm->attributes, gfn, entry, GFP_KERNEL_ACCOUNT);
		cond_resched();
	}
	bawn_zap_range(vm, start, end);
	bawn_invalidate_end(vm);
	return 0;
}

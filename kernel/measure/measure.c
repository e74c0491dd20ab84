// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measured launch: what the VMM placed in memory and in the vCPUs before the first run, as an
 * event log and a SHA-384 chain (include/bawn/measure.h, docs/measured-launch.md).
 * Trusts nothing of the VMM: guest memory is copied page by page and only the copy is looked at,
 * and sizes come from the memory slots. A seal that fails leaves nothing behind.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/crypto.h>
#include <linux/hash_info.h>
#include <linux/hugetlb_inline.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/tpm.h>
#include <linux/uaccess.h>
#include <crypto/hash.h>

#include "bawn.h"

#define MEASURE_ALG "sha384"
/* One UNDECLARED event can stand for a single page: bounds what a VMM can make us allocate. */
#define MEASURE_MAX_EVENTS 65536u
#define MEASURE_FIRST_EVENTS 128u
#define TPM_PCRS 24

static int measure_pcr = 13;
module_param(measure_pcr, int, 0444);
MODULE_PARM_DESC(measure_pcr,
		 "TPM PCR that launch digests are extended into, 0..23; -1: none (default 13)");
MODULE_SOFTDEP("pre: crypto-sha384");

/* Owned by vm->measure. Changed under vm->lock; constant once sealed. */
struct bawn_measure {
	struct crypto_shash *tfm;
	struct bawn_measure_region region[BAWN_MEASURE_MAX_REGIONS]; /* ascending gpa */
	unsigned int nr_regions;
	bool sealed; /* published by release: what follows is constant then */
	bool tpm;
	u8 digest[BAWN_MEASURE_DIGEST_SIZE];
	struct bawn_measure_event *events;
	unsigned int nr_events;
};

/* One seal in the making. */
struct seal {
	struct bawn_vm *vm;
	struct shash_desc *desc;
	void *page; /* the private copy of the page in hand */
	struct bawn_measure_event *events;
	unsigned int nr, cap;
};

/* ---- The object ---- */

/* KVM_ENABLE_CAP(KVM_CAP_BAWN_MEASURE), with vm->lock held; or before anyone else sees the VM. */
int bawn_measure_enable(struct bawn_vm *vm)
{
	struct bawn_measure *m;
	int err;

	/* Private memory is not for the host to read: its launch is measured by other means. */
	if (vm->measure || vm->nr_vcpus || vm->type != KVM_X86_DEFAULT_VM)
		return -EINVAL;
	m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	if (!m)
		return -ENOMEM;
	m->tfm = crypto_alloc_shash(MEASURE_ALG, 0, 0);
	err = PTR_ERR_OR_ZERO(m->tfm);
	if (err) {
		pr_err("no measured launch: the kernel has no %s (error %d); load sha512_generic\n",
		       MEASURE_ALG, err);
		kfree(m);
		return err == -ENOENT ? -EOPNOTSUPP : err;
	}
	vm->measure = m;
	return 0;
}

void bawn_measure_destroy(struct bawn_vm *vm)
{
	struct bawn_measure *m = vm->measure;

	if (!m)
		return;
	vm->measure = NULL;
	crypto_free_shash(m->tfm);
	kvfree(m->events);
	kfree(m);
}

/* BAWN_MEASURE_REGION. vm->lock held. */
int bawn_measure_region(struct bawn_vm *vm, const struct bawn_measure_region *r)
{
	struct bawn_measure *m = vm->measure;
	unsigned int at;
	u64 end;

	lockdep_assert_held(&vm->lock);
	if (m->sealed)
		return -EPERM;
	if (!r->size || (r->gpa | r->size) & ~PAGE_MASK ||
	    check_add_overflow(r->gpa, r->size, &end) || r->type < BAWN_MEASURE_KERNEL ||
	    r->type > BAWN_MEASURE_LAST_DECLARED || r->flags || r->reserved[0] || r->reserved[1])
		return -EINVAL;
	for (at = 0; at < m->nr_regions && m->region[at].gpa < end; at++)
		if (m->region[at].gpa + m->region[at].size > r->gpa)
			return -EINVAL;
	if (m->nr_regions == BAWN_MEASURE_MAX_REGIONS)
		return -ENOSPC;
	memmove(&m->region[at + 1], &m->region[at], (m->nr_regions - at) * sizeof(m->region[0]));
	m->region[at] = *r;
	m->nr_regions++;
	return 0;
}

bool bawn_measure_sealed(struct bawn_vm *vm)
{
	return vm->measure && smp_load_acquire(&vm->measure->sealed); /* pairs with the seal */
}

/* BAWN_GET_MEASUREMENT. Takes no lock: a sealed measurement does not change. */
int bawn_measure_get(struct bawn_vm *vm, struct bawn_measurement __user *arg)
{
	struct bawn_measure *m = vm->measure;
	struct bawn_measurement in, out = { .version = BAWN_MEASURE_VERSION };
	u32 len;

	if (!bawn_measure_sealed(vm))
		return -EAGAIN;
	if (copy_from_user(&in, arg, sizeof(in)))
		return -EFAULT;
	out.flags = BAWN_MEASUREMENT_SEALED | (m->tpm ? BAWN_MEASUREMENT_TPM : 0);
	out.pcr = m->tpm ? measure_pcr : 0;
	out.log_size = m->nr_events * sizeof(m->events[0]);
	out.log_addr = in.log_addr;
	memcpy(out.digest, m->digest, sizeof(out.digest));
	len = min(in.log_size, out.log_size);
	if (in.log_addr && copy_to_user(u64_to_user_ptr(in.log_addr), m->events, len))
		return -EFAULT;
	return copy_to_user(arg, &out, sizeof(out)) ? -EFAULT : 0;
}

/* ---- The event log ---- */

/* data NULL: the content went through desc page by page. */
static int add_event(struct seal *s, u32 type, u32 index, gpa_t gpa, u64 size, const void *data,
		     size_t len)
{
	struct bawn_measure_event *e;

	if (s->nr == MEASURE_MAX_EVENTS)
		return -ENOSPC;
	if (s->nr == s->cap) {
		s->cap = max(s->cap * 2, MEASURE_FIRST_EVENTS);
		e = kvrealloc(s->events, s->cap * sizeof(*e), GFP_KERNEL_ACCOUNT);
		if (!e)
			return -ENOMEM;
		s->events = e;
	}
	e = &s->events[s->nr++];
	*e = (struct bawn_measure_event){
		.type = cpu_to_le32(type),
		.index = cpu_to_le32(index),
		.gpa = cpu_to_le64(gpa),
		.size = cpu_to_le64(size),
	};
	return data ? crypto_shash_digest(s->desc, data, len, e->digest) :
		      crypto_shash_final(s->desc, e->digest);
}

/* ---- Memory ---- */

/*
 * The first page at or after hva, below end, for which the page tables of an anonymous mapping
 * reach down to the lowest level; end when there is none. So a slot that was never touched costs
 * one step for each absent table, not one for each page. mmap_lock held.
 */
static unsigned long skip_absent(struct mm_struct *mm, unsigned long hva, unsigned long end)
{
	while (hva < end) {
		pgd_t *pgd = pgd_offset(mm, hva);
		p4d_t *p4d = pgd_none(READ_ONCE(*pgd)) ? NULL : p4d_offset(pgd, hva);
		pud_t *pud = !p4d || p4d_none(READ_ONCE(*p4d)) ? NULL : pud_offset(p4d, hva);

		if (!p4d)
			hva = pgd_addr_end(hva, end);
		else if (!pud)
			hva = p4d_addr_end(hva, end);
		else if (pud_none(READ_ONCE(*pud)))
			hva = pud_addr_end(hva, end);
		/* A leaf, or an entry that is being changed: let the page lookup judge. */
		else if (pud_leaf(READ_ONCE(*pud)) || !pud_present(READ_ONCE(*pud)) ||
			 !pmd_none(READ_ONCE(*pmd_offset(pud, hva))))
			return hva;
		else
			hva = pmd_addr_end(hva, end);
	}
	return end;
}

/*
 * The same for a shared mapping of a tmpfs file (memfd): looks at the file, since looking at a
 * page would create it. Swapped pages have entries too. mmap_lock held.
 */
static unsigned long skip_holes(struct vm_area_struct *vma, unsigned long hva, unsigned long end)
{
	unsigned long first = linear_page_index(vma, hva);
	unsigned long index = first;
	unsigned long last = first + ((end - hva) >> PAGE_SHIFT) - 1;

	if (!xa_find(&vma->vm_file->f_mapping->i_pages, &index, last, XA_PRESENT))
		return end;
	return index > first ? hva + ((index - first) << PAGE_SHIFT) : hva;
}

/*
 * Sets *hva to the first page at or after it that may hold anything but zeros, or to end.
 * sparse: a page that cannot be had there is a hole.
 */
static int next_page(struct mm_struct *mm, unsigned long *hva, unsigned long end, bool *sparse)
{
	struct vm_area_struct *vma;
	unsigned long stop;
	int err = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	while (*hva < end) {
		vma = vma_lookup(mm, *hva);
		if (!vma || !(vma->vm_flags & VM_READ)) {
			err = -EFAULT;
			break;
		}
		stop = min(end, vma->vm_end);
		*sparse = vma_is_anonymous(vma) || is_vm_hugetlb_page(vma);
		if (vma_is_anonymous(vma))
			*hva = skip_absent(mm, *hva, stop);
		else if (vma->vm_file && vma->vm_flags & VM_SHARED &&
			 file_inode(vma->vm_file)->i_sb->s_magic == TMPFS_MAGIC)
			*hva = skip_holes(vma, *hva, stop);
		if (*hva < stop)
			break;
	}
	mmap_read_unlock(mm);
	return err;
}

static int interrupted(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Copies the first page at or after *hva that may hold anything but zeros, and sets *hva to it;
 * to end when there is none. A hole of a sparse mapping is not filled but read as zeros.
 */
static int copy_next_page(struct seal *s, unsigned long *hva, unsigned long end)
{
	bool sparse = false;
	int err = interrupted() ?: next_page(s->vm->mm, hva, end, &sparse);
	struct page *page;
	void *src;
	long n;

	if (err || *hva == end)
		return err;
	n = get_user_pages_unlocked(*hva, 1, &page, FOLL_DUMP);
	if (n != 1) {
		if (n != -EFAULT || !sparse)
			return n < 0 ? n : -EFAULT;
		clear_page(s->page);
		return 0;
	}
	src = kmap_local_page(page);
	memcpy(s->page, src, PAGE_SIZE);
	kunmap_local(src);
	put_page(page);
	return 0;
}

static int hash_page(struct seal *s, const void *page)
{
	return interrupted() ?: crypto_shash_update(s->desc, page, PAGE_SIZE);
}

/* A declared region: all its bytes, the zeros too. */
static int measure_declared(struct seal *s, const struct bawn_memslot *slot,
			    const struct bawn_measure_region *r)
{
	unsigned long hva = slot->hva + (r->gpa - (slot->base << PAGE_SHIFT));
	unsigned long end = hva + r->size;
	int err = crypto_shash_init(s->desc);

	while (!err && hva < end) {
		unsigned long next = hva;

		err = copy_next_page(s, &next, end);
		for (; !err && hva < next; hva += PAGE_SIZE)
			err = hash_page(s, page_address(ZERO_PAGE(0)));
		if (!err && hva < end) {
			err = hash_page(s, s->page);
			hva += PAGE_SIZE;
		}
	}
	return err ?: add_event(s, r->type, 0, r->gpa, r->size, NULL, 0);
}

static int end_run(struct seal *s, gpa_t gpa, gpa_t end)
{
	return gpa < end ?
	       add_event(s, BAWN_MEASURE_UNDECLARED, 0, gpa, end - gpa, NULL, 0) : 0;
}

/* Undeclared memory [gpa, end) of one slot: an event for each run of pages that are not zero. */
static int measure_undeclared(struct seal *s, const struct bawn_memslot *slot, gpa_t gpa, gpa_t end)
{
	unsigned long offset = slot->hva - (slot->base << PAGE_SHIFT); /* hva - gpa, modulo 2^64 */
	gpa_t run = end, run_end = end; /* the run in hand; none yet */
	int err = 0;

	while (!err && gpa < end) {
		unsigned long hva = gpa + offset;

		err = copy_next_page(s, &hva, end + offset);
		gpa = hva - offset;
		if (!err && gpa < end && memchr_inv(s->page, 0, PAGE_SIZE)) {
			if (gpa != run_end) {
				err = end_run(s, run, run_end) ?: crypto_shash_init(s->desc);
				run = gpa;
			}
			err = err ?: hash_page(s, s->page);
			run_end = gpa + PAGE_SIZE;
		}
		gpa += PAGE_SIZE;
	}
	return err ?: end_run(s, run, run_end);
}

/* All memory, slot by slot. A declared region must lie inside one slot. slots_lock held. */
static int measure_memory(struct seal *s, const struct bawn_measure *m,
			  const struct bawn_memslots *slots)
{
	unsigned int i, next = 0;
	int err = 0;

	for (i = 0; i < slots->nr && !err; i++) {
		const struct bawn_memslot *slot = &slots->slot[i];
		gpa_t pos = slot->base << PAGE_SHIFT;
		gpa_t end = pos + (slot->npages << PAGE_SHIFT);

		for (; next < m->nr_regions && m->region[next].gpa < end && !err; next++) {
			const struct bawn_measure_region *r = &m->region[next];

			if (r->gpa < pos || r->size > end - r->gpa)
				return -EINVAL;
			err = measure_undeclared(s, slot, pos, r->gpa);
			err = err ?: measure_declared(s, slot, r);
			pos = r->gpa + r->size;
		}
		err = err ?: measure_undeclared(s, slot, pos, end);
	}
	return err ?: next == m->nr_regions ? 0 : -EINVAL;
}

/* ---- The seal ---- */

static int measure_config(struct seal *s)
{
	struct bawn_measure_config c = {
		.version = cpu_to_le32(BAWN_MEASURE_VERSION),
		.vm_type = cpu_to_le32(s->vm->type),
		.vcpus = cpu_to_le32(bawn_nr_vcpus(s->vm)),
		.irqchip = cpu_to_le32(s->vm->split_irqchip),
	};

	return add_event(s, BAWN_MEASURE_CONFIG, 0, 0, 0, &c, sizeof(c));
}

static int measure_slots(struct seal *s, const struct bawn_memslots *slots)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < slots->nr && !err; i++) {
		const struct bawn_memslot *slot = &slots->slot[i];
		__le32 flags = cpu_to_le32(slot->flags);

		err = add_event(s, BAWN_MEASURE_SLOT, 0, slot->base << PAGE_SHIFT,
				  slot->npages << PAGE_SHIFT, &flags, sizeof(flags));
	}
	return err;
}

static int measure_vcpus(struct seal *s)
{
	unsigned int id;
	int err = 0;

	for (id = 0; id <= BAWN_MAX_VCPU_ID && !err; id++) {
		struct bawn_vcpu *vcpu = bawn_vcpu_by_id(s->vm, id);
		struct bawn_measure_vcpu v = {};

		if (!vcpu)
			continue;
		bawn_measure_vcpu_state(vcpu, &v);
		err = add_event(s, BAWN_MEASURE_VCPU, id, 0, 0, &v, sizeof(v));
	}
	return err;
}

static int chain(struct seal *s, u8 digest[BAWN_MEASURE_DIGEST_SIZE])
{
	unsigned int i;
	int err;

	BUILD_BUG_ON(sizeof(BAWN_MEASURE_MAGIC) != 16);
	err = crypto_shash_digest(s->desc, BAWN_MEASURE_MAGIC, sizeof(BAWN_MEASURE_MAGIC), digest);
	for (i = 0; i < s->nr && !err; i++) {
		err = crypto_shash_init(s->desc) ?:
		      crypto_shash_update(s->desc, digest, BAWN_MEASURE_DIGEST_SIZE) ?:
		      crypto_shash_finup(s->desc, (const u8 *)&s->events[i], sizeof(s->events[i]),
					 digest);
		if (!(i % 256))
			cond_resched();
	}
	return err;
}

/*
 * What a bank is extended with: the SHA-384 bank the launch digest itself, any other the hash of
 * the digest in its own algorithm; without that algorithm the digest cut to the bank's size.
 */
static void bank_digest(const struct tpm_bank_info *bank, const u8 *digest, struct tpm_digest *out)
{
	struct crypto_shash *tfm;

	out->alg_id = bank->alg_id;
	memcpy(out->digest, digest, min_t(size_t, bank->digest_size, BAWN_MEASURE_DIGEST_SIZE));
	if (bank->crypto_id == HASH_ALGO_SHA384 || bank->crypto_id >= HASH_ALGO__LAST)
		return;
	tfm = crypto_alloc_shash(hash_algo_name[bank->crypto_id], 0, 0);
	if (IS_ERR(tfm))
		return;
	crypto_shash_tfm_digest(tfm, digest, BAWN_MEASURE_DIGEST_SIZE, out->digest);
	crypto_free_shash(tfm);
}

/* Extends the host's TPM; true when that was done. A host without one is no failure. */
static bool extend_tpm(const u8 *digest)
{
	struct tpm_digest *banks = NULL;
	struct tpm_chip *chip;
	unsigned int i;
	int err = -ENOMEM;

	chip = measure_pcr >= 0 && measure_pcr < TPM_PCRS ? tpm_default_chip() : NULL;
	if (!chip)
		return false;
	/* A TPM 1.2 reports no banks and takes one SHA-1 digest. */
	banks = kcalloc(max(chip->nr_allocated_banks, 1u), sizeof(*banks), GFP_KERNEL);
	if (banks) {
		for (i = 0; i < chip->nr_allocated_banks; i++)
			bank_digest(&chip->allocated_banks[i], digest, &banks[i]);
		err = tpm_pcr_extend(chip, measure_pcr, banks);
	}
	if (err)
		pr_warn_ratelimited("launch digest not extended into PCR %d: error %d\n",
				    measure_pcr, err);
	kfree(banks);
	put_device(&chip->dev);
	return !err;
}

static int measure_all(struct seal *s, const struct bawn_measure *m)
{
	const struct bawn_memslots *slots =
		rcu_dereference_protected(s->vm->slots, lockdep_is_held(&s->vm->slots_lock));

	return measure_config(s) ?: measure_slots(s, slots) ?: measure_memory(s, m, slots) ?:
	       measure_vcpus(s);
}

/*
 * BAWN_MEASURE_SEAL and the first KVM_RUN. vm->lock and slots_lock held, no vCPU has run.
 * EINVAL: a declared region is not inside one slot; EFAULT: a slot's memory is not mapped;
 * ENOSPC: too many events; EINTR: killed. The seal can be tried again after any of them.
 */
int bawn_measure_seal(struct bawn_vm *vm)
{
	struct bawn_measure *m = vm->measure;
	SHASH_DESC_ON_STACK(desc, m->tfm);
	struct seal s = { .vm = vm, .desc = desc };
	u8 digest[BAWN_MEASURE_DIGEST_SIZE];
	int err;

	lockdep_assert_held(&vm->lock);
	lockdep_assert_held(&vm->slots_lock);
	s.page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!s.page)
		return -ENOMEM;
	desc->tfm = m->tfm;
	err = measure_all(&s, m) ?: chain(&s, digest);
	shash_desc_zero(desc);
	clear_page(s.page);
	free_page((unsigned long)s.page);
	if (err) {
		kvfree(s.events);
		return err;
	}
	m->events = s.events;
	m->nr_events = s.nr;
	memcpy(m->digest, digest, sizeof(m->digest));
	m->tpm = extend_tpm(digest);
	smp_store_release(&m->sealed, true); /* pairs with bawn_measure_sealed() */
	return 0;
}

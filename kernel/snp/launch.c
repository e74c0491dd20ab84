// SPDX-License-Identifier: GPL-2.0-only
/*
 * The launch of an SNP guest, as mainline's KVM_MEMORY_ENCRYPT_OP has it: INIT2, LAUNCH_START,
 * LAUNCH_UPDATE as often as needed, LAUNCH_FINISH. Each call is valid in one state only; one
 * that fails after the firmware took something leaves a guest that can only be destroyed.
 * AMD 56860, chapters 4 and 8; Documentation/virt/kvm/x86/amd-memory-encryption.rst.
 */
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/psp-sev.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "bawn/vmsa.h"
#include "snp_internal.h"

/* Where firmware's digest places save areas, since they have no place in the guest. As mainline. */
#define VMSA_GPA 0xfffffffff000ULL
#define GHCB_VERSION 2
#define POLICY_KNOWN GENMASK_ULL(25, 0)
#define POLICY_ONE BIT_ULL(17) /* reserved, must be one */

struct call {
	struct bawn_vm *vm;
	void __user *data;
	u32 fw_error;
};

static bool zeros(const void *p, size_t len)
{
	return !memchr_inv(p, 0, len);
}

static int command(struct call *c, int cmd, void *buf, u32 len)
{
	return bawn_snp_command(c->vm, cmd, buf, len, &c->fw_error);
}

static u64 context_address(const struct bawn_vm *vm)
{
	return page_to_phys(vm->snp->context);
}

/* ---- INIT2 ---- */

static int call_init(struct call *c)
{
	struct bawn_snp_vm *snp = c->vm->snp;
	struct kvm_sev_init in;

	if (snp->state != BAWN_SNP_NONE || c->vm->nr_vcpus)
		return -EINVAL;
	if (copy_from_user(&in, c->data, sizeof(in)))
		return -EFAULT;
	if (in.flags || in.pad1 || !zeros(in.pad2, sizeof(in.pad2)) ||
	    in.ghcb_version > GHCB_VERSION || (in.ghcb_version && in.ghcb_version < GHCB_VERSION) ||
	    in.vmsa_features & ~(snp->ops->sev_features & ~BAWN_SEV_SNP_ACTIVE))
		return -EINVAL;
	snp->vmsa_features = in.vmsa_features | BAWN_SEV_SNP_ACTIVE;
	snp->state = BAWN_SNP_INIT;
	return 0;
}

/* ---- LAUNCH_START ---- */

static int create_context(struct call *c)
{
	struct bawn_snp_vm *snp = c->vm->snp;
	struct sev_data_snp_addr addr = {};
	int r;

	snp->context = snp->ops->alloc_firmware_page();
	if (!snp->context)
		return -ENOMEM;
	addr.address = context_address(c->vm);
	r = command(c, SEV_CMD_SNP_GCTX_CREATE, &addr, sizeof(addr));
	if (r) {
		snp->ops->free_firmware_page(snp->context);
		snp->context = NULL;
	}
	return r;
}

/* For guest requests. Kept from a LAUNCH_START that failed; freed with the VM. */
static int create_request_pages(struct bawn_snp_vm *snp)
{
	if (!snp->request_page)
		snp->request_page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!snp->response_page)
		snp->response_page = snp->ops->alloc_firmware_page();
	return snp->request_page && snp->response_page ? 0 : -ENOMEM;
}

void bawn_snp_release(struct bawn_vm *vm)
{
	struct bawn_snp_vm *snp = vm->snp;
	struct sev_data_snp_addr addr = {};
	u32 fw_error;

	if (snp->context) {
		addr.address = context_address(vm);
		/* When firmware does not let go, neither page nor ASID may serve another guest. */
		if (bawn_snp_command(vm, SEV_CMD_SNP_DECOMMISSION, &addr, sizeof(addr), &fw_error) &&
		    fw_error) {
			pr_err("bawn: an SNP guest's context is leaked: firmware error %#x\n", fw_error);
			snp->context = NULL;
			snp->asid = 0;
			return;
		}
		snp->ops->free_firmware_page(snp->context);
		snp->context = NULL;
	}
	if (snp->asid)
		snp->ops->asid_put(snp->asid);
	snp->asid = 0;
}

static int call_start(struct call *c)
{
	struct bawn_snp_vm *snp = c->vm->snp;
	struct sev_data_snp_launch_start start = {};
	struct sev_data_snp_activate activate = {};
	struct kvm_sev_snp_launch_start in;
	int r;

	if (snp->state != BAWN_SNP_INIT)
		return -EINVAL;
	if (copy_from_user(&in, c->data, sizeof(in)))
		return -EFAULT;
	if (in.flags || !zeros(in.pad0, sizeof(in.pad0)) || !zeros(in.pad1, sizeof(in.pad1)) ||
	    in.policy & ~POLICY_KNOWN || !(in.policy & POLICY_ONE))
		return -EINVAL;
	r = snp->ops->asid_get(&snp->asid);
	if (r) {
		snp->asid = 0;
		return r;
	}
	r = create_context(c);
	if (!r)
		r = create_request_pages(snp);
	if (r)
		goto release;
	start.gctx_paddr = context_address(c->vm);
	start.policy = in.policy;
	memcpy(start.gosvw, in.gosvw, sizeof(start.gosvw));
	r = command(c, SEV_CMD_SNP_LAUNCH_START, &start, sizeof(start));
	if (r)
		goto release;
	activate.gctx_paddr = start.gctx_paddr;
	activate.asid = snp->asid;
	r = command(c, SEV_CMD_SNP_ACTIVATE, &activate, sizeof(activate));
	if (r)
		goto release;
	snp->policy = in.policy;
	snp->state = BAWN_SNP_LAUNCHING;
	return 0;
release:
	/* The error to be told is that of the step that failed. */
	bawn_snp_release(c->vm);
	return r;
}

/* ---- LAUNCH_UPDATE ---- */

/* A page that the firmware did not take goes back to the host: reclaimed, for it is immutable. */
static void take_back(struct call *c, struct page *page)
{
	struct sev_data_snp_page_reclaim reclaim = { .paddr = page_to_phys(page) };
	u32 fw_error;

	if (bawn_snp_command(c->vm, SEV_CMD_SNP_PAGE_RECLAIM, &reclaim, sizeof(reclaim), &fw_error) ||
	    c->vm->snp->ops->make_shared(page_to_pfn(page), 1))
		get_page(page); /* it is lost: better leaked than given away */
}

/* Firmware takes one page at gpa: assigned, immutable, then updated. Undone when it fails. */
static int update_page(struct call *c, struct page *page, u64 gpa, u8 type)
{
	const struct bawn_snp_ops *ops = c->vm->snp->ops;
	struct sev_data_snp_launch_update update = {
		.gctx_paddr = context_address(c->vm),
		.page_type = type,
		.address = page_to_phys(page),
	};
	u64 pfn = page_to_pfn(page);
	bool assigned;
	int level, r;

	r = ops->lookup(pfn, &assigned, &level);
	if (r)
		return r;
	if (assigned)
		return -EEXIST;
	r = ops->make_private(pfn, gpa, 1, c->vm->snp->asid, true);
	if (r)
		return r;
	r = command(c, SEV_CMD_SNP_LAUNCH_UPDATE, &update, sizeof(update));
	if (r)
		take_back(c, page);
	return r;
}

static bool has_content(u8 type)
{
	return type == SNP_PAGE_TYPE_NORMAL || type == SNP_PAGE_TYPE_UNMEASURED ||
	       type == SNP_PAGE_TYPE_CPUID;
}

static int fill_page(struct page *page, u8 type, const void __user *from)
{
	void *at = kmap_local_page(page);
	int r = 0;

	if (!has_content(type))
		memset(at, 0, PAGE_SIZE);
	else if (copy_from_user(at, from, PAGE_SIZE))
		r = -EFAULT;
	kunmap_local(at);
	return r;
}

/* Firmware says what it would have accepted, in the page itself. */
static void return_cpuid(struct page *page, void __user *to)
{
	void *at = kmap_local_page(page);

	/* Nothing to be done when userspace cannot take it. */
	if (copy_to_user(to, at, PAGE_SIZE))
		pr_debug("bawn: the CPUID page cannot be given back\n");
	kunmap_local(at);
}

struct update {
	struct call *call;
	u8 type;
	void __user *from;
};

static int update_page_of(struct bawn_vm *vm, gfn_t gfn, struct page *page, void *arg)
{
	struct update *u = arg;
	int r = fill_page(page, u->type, u->from);

	if (!r)
		r = update_page(u->call, page, gfn << PAGE_SHIFT, u->type);
	if (r == -EIO && u->type == SNP_PAGE_TYPE_CPUID)
		return_cpuid(page, u->from);
	return r;
}

/* Meanwhile nobody truncates the file that the page is in, nor makes it the guest's. */
static int update_gfn(struct call *c, gfn_t gfn, u8 type, void __user *from)
{
	struct bawn_memslot *slot = bawn_slot(c->vm, gfn);
	struct update u = { c, type, from };
	long n;

	if (!slot || slot->invalid || !slot->gmem)
		return -EINVAL;
	n = bawn_gmem_populate(c->vm, slot, gfn, 1, update_page_of, &u);
	return n < 0 ? n : 0;
}

static bool range_valid(const struct bawn_vm *vm, const struct kvm_sev_snp_launch_update *in)
{
	u64 pages = in->len >> PAGE_SHIFT, end;

	if (!in->len || !PAGE_ALIGNED(in->len) ||
	    check_add_overflow(in->gfn_start, pages, &end) || end > U64_MAX >> PAGE_SHIFT)
		return false;
	return !has_content(in->type) || PAGE_ALIGNED(in->uaddr);
}

static int call_update(struct call *c)
{
	struct kvm_sev_snp_launch_update in;
	int idx, r = 0;

	if (c->vm->snp->state != BAWN_SNP_LAUNCHING)
		return -EINVAL;
	if (copy_from_user(&in, c->data, sizeof(in)))
		return -EFAULT;
	if (in.flags || in.pad0 || in.pad1 || !zeros(in.pad2, sizeof(in.pad2)) ||
	    in.type < SNP_PAGE_TYPE_NORMAL || in.type >= SNP_PAGE_TYPE_MAX ||
	    in.type == SNP_PAGE_TYPE_VMSA || !range_valid(c->vm, &in))
		return -EINVAL;
	mutex_lock(&c->vm->slots_lock);
	idx = srcu_read_lock(&c->vm->srcu);
	while (in.len && !r) {
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}
		r = update_gfn(c, in.gfn_start, in.type, u64_to_user_ptr(in.uaddr));
		if (r)
			break;
		in.gfn_start++;
		in.len -= PAGE_SIZE;
		if (has_content(in.type))
			in.uaddr += PAGE_SIZE;
		cond_resched();
	}
	srcu_read_unlock(&c->vm->srcu, idx);
	mutex_unlock(&c->vm->slots_lock);
	/* How far it came, so that the caller can go on, or say where it failed. */
	if (copy_to_user(c->data, &in, sizeof(in)) && !r)
		r = -EFAULT;
	return r;
}

/* ---- LAUNCH_FINISH ---- */

/* Hardware takes a VMSA at the start of 2 MiB for one in a large page (Linux knows the erratum
 * too): of two pages the one that is not there. */
static struct page *alloc_vmsa(void)
{
	struct page *pair = alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO, 1);
	bool second;

	if (!pair)
		return NULL;
	split_page(pair, 1);
	second = IS_ALIGNED(page_to_pfn(pair), PTRS_PER_PMD);
	__free_page(pair + !second);
	return pair + second;
}

static int update_vmsa(struct call *c, struct bawn_vcpu *vcpu)
{
	struct page *page = alloc_vmsa();
	int r;

	if (!page)
		return -ENOMEM;
	if (mutex_lock_killable(&vcpu->mutex)) {
		__free_page(page);
		return -EINTR;
	}
	bawn_vcpu_load(vcpu);
	bawn_snp_vmsa_fill(vcpu, page_address(page));
	bawn_vcpu_put(vcpu);
	r = update_page(c, page, VMSA_GPA, SNP_PAGE_TYPE_VMSA);
	if (r) {
		__free_page(page);
	} else {
		vcpu->snp->vmsa = page;
		vcpu->state_protected = true;
	}
	mutex_unlock(&vcpu->mutex);
	return r;
}

static int load_vmsa(struct bawn_vcpu *vcpu)
{
	int r;

	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	r = vcpu->vm->snp->ops->vmsa_load(vcpu, page_to_pfn(vcpu->snp->vmsa));
	mutex_unlock(&vcpu->mutex);
	return r;
}

/* A page that firmware reads, with what userspace gave; NULL on failure, with *r. */
static void *copy_page_in(u64 uaddr, size_t len, int *r)
{
	void *page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

	*r = page ? 0 : -ENOMEM;
	if (page && copy_from_user(page, u64_to_user_ptr(uaddr), len)) {
		free_page((unsigned long)page);
		*r = -EFAULT;
		return NULL;
	}
	return page;
}

static int finish(struct call *c, const struct kvm_sev_snp_launch_finish *in)
{
	struct sev_data_snp_launch_finish data = { .gctx_paddr = context_address(c->vm) };
	void *block = NULL, *auth = NULL;
	int r = 0;

	if (in->id_block_en) {
		block = copy_page_in(in->id_block_uaddr, KVM_SEV_SNP_ID_BLOCK_SIZE, &r);
		if (!r)
			auth = copy_page_in(in->id_auth_uaddr, KVM_SEV_SNP_ID_AUTH_SIZE, &r);
		if (r)
			goto out;
		data.id_block_en = 1;
		data.id_block_paddr = __pa(block);
		data.id_auth_paddr = __pa(auth);
		data.auth_key_en = in->auth_key_en;
	}
	data.vcek_disabled = in->vcek_disabled;
	memcpy(data.host_data, in->host_data, sizeof(data.host_data));
	r = command(c, SEV_CMD_SNP_LAUNCH_FINISH, &data, sizeof(data));
out:
	free_page((unsigned long)block);
	free_page((unsigned long)auth);
	return r;
}

static int call_finish(struct call *c)
{
	struct bawn_vm *vm = c->vm;
	struct kvm_sev_snp_launch_finish in;
	unsigned int i;
	int r = 0;

	if (vm->snp->state != BAWN_SNP_LAUNCHING || !vm->nr_vcpus)
		return -EINVAL;
	if (copy_from_user(&in, c->data, sizeof(in)))
		return -EFAULT;
	if (in.flags || !zeros(in.pad0, sizeof(in.pad0)) || !zeros(in.pad1, sizeof(in.pad1)) ||
	    in.id_block_en > 1 || in.auth_key_en > 1 || in.vcek_disabled > 1 ||
	    (in.auth_key_en && !in.id_block_en))
		return -EINVAL;
	/* From the first save area on there is no way back. */
	vm->snp->state = BAWN_SNP_BROKEN;
	for (i = 0; i < vm->nr_vcpus && !r; i++)
		r = update_vmsa(c, vm->vcpu[i]);
	if (!r)
		r = finish(c, &in);
	for (i = 0; i < vm->nr_vcpus && !r; i++)
		r = load_vmsa(vm->vcpu[i]);
	if (!r)
		WRITE_ONCE(vm->snp->state, BAWN_SNP_RUNNING);
	return r;
}

/* ---- The ioctl ---- */

static const struct {
	u32 id;
	int (*fn)(struct call *c);
} calls[] = {
	{ KVM_SEV_INIT2, call_init },
	{ KVM_SEV_SNP_LAUNCH_START, call_start },
	{ KVM_SEV_SNP_LAUNCH_UPDATE, call_update },
	{ KVM_SEV_SNP_LAUNCH_FINISH, call_finish },
};

int bawn_snp_encrypt_op(struct bawn_vm *vm, void __user *arg)
{
	struct call c = { .vm = vm };
	struct kvm_sev_cmd cmd;
	unsigned int i;
	int r = -EINVAL;

	/* Asks whether the type is served. */
	if (!arg)
		return 0;
	if (copy_from_user(&cmd, arg, sizeof(cmd)))
		return -EFAULT;
	if (cmd.pad0)
		return -EINVAL;
	c.data = u64_to_user_ptr(cmd.data);
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].id == cmd.id)
			r = calls[i].fn(&c);
	cmd.error = c.fw_error;
	if (copy_to_user(arg, &cmd, sizeof(cmd)) && !r)
		r = -EFAULT;
	return r;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The launch of an SNP guest, as mainline's KVM_MEMORY_ENCRYPT_OP has it: INIT2, LAUNCH_START,
 * LAUNCH_UPDATE as often as needed, LAUNCH_FINISH. Each call is valid in one state only; one
 * that fails after the firmware took something leaves a guest that can only be destroyed. Errors
 * are mainline's (docs/kvm-api.md has the table); padding is not looked at, as there.
 * AMD 56860, chapters 4 and 8; Documentation/virt/kvm/x86/amd-memory-encryption.rst.
 */
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/psp-sev.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "bawn/vmsa.h"
#include "ghcb.h"
#include "snp_internal.h"

/* Where firmware's digest places save areas, since they have no place in the guest. As mainline. */
#define VMSA_GPA 0xfffffffff000ULL
/* AMD 56860, table 10. Bit 18 would allow a migration agent: there is none here. */
#define POLICY_KNOWN (GENMASK_ULL(25, 0) & ~BIT_ULL(18))
#define POLICY_ONE BIT_ULL(17) /* reserved, must be one */

struct call {
	struct bawn_vm *vm;
	void __user *data;
	u32 fw_error;
};

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

	if (c->vm->nr_vcpus)
		return -EINVAL;
	if (copy_from_user(&in, c->data, sizeof(in)))
		return -EFAULT;
	if (in.flags || in.ghcb_version > GHCB_VERSION_MAX ||
	    in.vmsa_features & ~(snp->ops->sev_features & ~BAWN_SEV_SNP_ACTIVE))
		return -EINVAL;
	snp->vmsa_features = in.vmsa_features | BAWN_SEV_SNP_ACTIVE;
	snp->ghcb_version = in.ghcb_version ?: GHCB_VERSION_MAX;
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
		if (bawn_snp_command(vm, SEV_CMD_SNP_DECOMMISSION, &addr, sizeof(addr),
				     &fw_error) &&
		    fw_error) {
			pr_err("bawn: an SNP guest's context is leaked: firmware error %#x\n",
			       fw_error);
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

	if (copy_from_user(&in, c->data, sizeof(in)))
		return -EFAULT;
	if (in.flags || in.policy & ~POLICY_KNOWN || !(in.policy & POLICY_ONE))
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

	if (bawn_snp_command(c->vm, SEV_CMD_SNP_PAGE_RECLAIM, &reclaim, sizeof(reclaim),
			     &fw_error) ||
	    c->vm->snp->ops->make_shared(page_to_pfn(page), 1))
		get_page(page); /* it is lost: better leaked than given away */
}

/* Is the page the host's? One that firmware did not give back must not even be written to. */
static int check_free(struct call *c, struct page *page)
{
	bool assigned;
	int level, r = c->vm->snp->ops->lookup(page_to_pfn(page), &assigned, &level);

	return !r && assigned ? -EEXIST : r;
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
	int r = ops->make_private(page_to_pfn(page), gpa, 1, c->vm->snp->asid, true);

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
	int r = check_free(u->call, page);

	if (r)
		return r;
	r = fill_page(page, u->type, u->from);
	if (!r)
		r = update_page(u->call, page, gfn << PAGE_SHIFT, u->type);
	if (r == -EIO && u->type == SNP_PAGE_TYPE_CPUID)
		return_cpuid(page, u->from);
	/* It may become the guest's later on, unmeasured: without what userspace wrote. */
	if (r && !check_free(u->call, page))
		clear_highpage(page);
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
	/*
	 * A page that cannot be launched, whatever the reason. Others (no firmware, a signal) are
	 * told apart: it may be tried again.
	 */
	if (n == -EINVAL || n == -EEXIST || n == -EFAULT)
		return -EIO;
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
	u64 done = 0;
	int idx, r = 0;

	if (copy_from_user(&in, c->data, sizeof(in)))
		return -EFAULT;
	if (in.flags || in.type < SNP_PAGE_TYPE_NORMAL || in.type >= SNP_PAGE_TYPE_MAX ||
	    in.type == SNP_PAGE_TYPE_VMSA || !range_valid(c->vm, &in))
		return -EINVAL;
	if (mutex_lock_killable(&c->vm->slots_lock))
		return -EINTR;
	idx = srcu_read_lock(&c->vm->srcu);
	for (; in.len; done++) {
		r = update_gfn(c, in.gfn_start, in.type, u64_to_user_ptr(in.uaddr));
		if (r)
			break;
		in.gfn_start++;
		in.len -= PAGE_SIZE;
		if (in.type != SNP_PAGE_TYPE_ZERO)
			in.uaddr += PAGE_SIZE;
	}
	srcu_read_unlock(&c->vm->srcu, idx);
	mutex_unlock(&c->vm->slots_lock);
	if (!done)
		return r;
	/* Done in part: that is no error yet, the caller asks for the rest. */
	c->fw_error = 0;
	return copy_to_user(c->data, &in, sizeof(in)) ? -EFAULT : 0;
}

/* ---- LAUNCH_FINISH ---- */

/*
 * Hardware takes a VMSA at the start of 2 MiB for one in a large page (Linux knows the erratum
 * too): of two pages the one that is not there.
 */
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
	r = bawn_snp_vmsa_fill(vcpu, page_address(page));
	bawn_vcpu_put(vcpu);
	if (!r)
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
	bawn_vcpu_load(vcpu);
	r = bawn_snp_vmsa_load(vcpu, vcpu->snp->vmsa);
	vcpu->snp->loaded = !r;
	bawn_snp_ghcb_reset(vcpu);
	vcpu->snp->fresh = true;
	bawn_vcpu_put(vcpu);
	mutex_unlock(&vcpu->mutex);
	return r;
}

/* Breakpoints of a debugger are no part of what is measured. As mainline. */
static int check_vcpu(struct bawn_vcpu *vcpu)
{
	int r = 0;

	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	if (vcpu->debug.control || vcpu->debug.guest_dr7 & ~DR7_FIXED_ONE)
		r = -EINVAL;
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

/* What firmware is told, with the pages that it names. The caller frees these in any case. */
struct finish {
	struct sev_data_snp_launch_finish data;
	void *block, *auth;
};

static int prepare_finish(struct call *c, const struct kvm_sev_snp_launch_finish *in,
			  struct finish *f)
{
	struct sev_data_snp_launch_finish *data = &f->data;
	int r;

	data->gctx_paddr = context_address(c->vm);
	data->vcek_disabled = in->vcek_disabled;
	memcpy(data->host_data, in->host_data, sizeof(data->host_data));
	if (!in->id_block_en)
		return 0;
	f->block = copy_page_in(in->id_block_uaddr, KVM_SEV_SNP_ID_BLOCK_SIZE, &r);
	if (!r)
		f->auth = copy_page_in(in->id_auth_uaddr, KVM_SEV_SNP_ID_AUTH_SIZE, &r);
	if (r)
		return r;
	data->id_block_en = 1;
	data->id_block_paddr = __pa(f->block);
	data->id_auth_paddr = __pa(f->auth);
	data->auth_key_en = in->auth_key_en;
	return 0;
}

/*
 * From the first save area on there is no way back. No vCPU enters before all of it is done: the
 * state is not RUNNING.
 */
static int finish(struct call *c, struct finish *f)
{
	struct bawn_vm *vm = c->vm;
	unsigned int i;
	int r = 0;

	vm->snp->state = BAWN_SNP_BROKEN;
	for (i = 0; i < vm->nr_vcpus && !r; i++)
		r = update_vmsa(c, vm->vcpu[i]);
	if (!r)
		r = command(c, SEV_CMD_SNP_LAUNCH_FINISH, &f->data, sizeof(f->data));
	for (i = 0; i < vm->nr_vcpus && !r; i++)
		r = load_vmsa(vm->vcpu[i]);
	if (!r)
		WRITE_ONCE(vm->snp->state, BAWN_SNP_RUNNING);
	return r;
}

static int call_finish(struct call *c)
{
	struct bawn_vm *vm = c->vm;
	struct kvm_sev_snp_launch_finish in;
	struct finish f = {};
	unsigned int i;
	int r;

	if (!vm->nr_vcpus)
		return -EINVAL;
	if (copy_from_user(&in, c->data, sizeof(in)))
		return -EFAULT;
	if (in.flags || in.id_block_en > 1 || in.auth_key_en > 1 || in.vcek_disabled > 1 ||
	    (in.auth_key_en && !in.id_block_en))
		return -EINVAL;
	r = prepare_finish(c, &in, &f);
	for (i = 0; i < vm->nr_vcpus && !r; i++)
		r = check_vcpu(vm->vcpu[i]);
	if (!r)
		r = finish(c, &f);
	free_page((unsigned long)f.block);
	free_page((unsigned long)f.auth);
	return r;
}

/* ---- The ioctl ---- */

static const struct {
	u32 id;
	enum bawn_snp_state in;
	int (*fn)(struct call *c);
	int none, early, late; /* in NONE, after it but too early, too late */
} calls[] = {
	{ KVM_SEV_INIT2, BAWN_SNP_NONE, call_init, 0, 0, -EPERM },
	{ KVM_SEV_SNP_LAUNCH_START, BAWN_SNP_INIT, call_start, -ENOTTY, 0, -EINVAL },
	{ KVM_SEV_SNP_LAUNCH_UPDATE, BAWN_SNP_LAUNCHING, call_update, -EINVAL, -EINVAL, -EIO },
	{ KVM_SEV_SNP_LAUNCH_FINISH, BAWN_SNP_LAUNCHING, call_finish, -ENOTTY, -EINVAL, -EIO },
};

/* Calls of SEV guests that are not SNP's, and numbers that are none. */
static int unknown_call(const struct bawn_vm *vm, u32 id)
{
	if (vm->snp->state != BAWN_SNP_NONE)
		return id < KVM_SEV_SNP_LAUNCH_START ? -EPERM : -EINVAL;
	return id > KVM_SEV_ES_INIT && id < KVM_SEV_INIT2 ? -ENOTTY : -EINVAL;
}

static int serve(struct call *c, u32 id)
{
	enum bawn_snp_state state = c->vm->snp->state;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].id != id)
			continue;
		if (state == calls[i].in)
			return calls[i].fn(c);
		if (state == BAWN_SNP_NONE)
			return calls[i].none;
		return state < calls[i].in ? calls[i].early : calls[i].late;
	}
	return unknown_call(c->vm, id);
}

int bawn_snp_encrypt_op(struct bawn_vm *vm, void __user *arg)
{
	struct call c = { .vm = vm };
	struct kvm_sev_cmd cmd;
	int r;

	/* Asks whether the type is served. */
	if (!arg)
		return 0;
	if (copy_from_user(&cmd, arg, sizeof(cmd)))
		return -EFAULT;
	c.data = u64_to_user_ptr(cmd.data);
	r = serve(&c, cmd.id);
	cmd.error = c.fw_error;
	if (copy_to_user(arg, &cmd, sizeof(cmd)) && !r)
		r = -EFAULT;
	return r;
}

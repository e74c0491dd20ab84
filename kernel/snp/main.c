// SPDX-License-Identifier: GPL-2.0-only
/*
 * SNP guests from creation to destruction, and which interface below serves them. A VM holds the
 * module behind the interface, so ops never go while a guest lives.
 */
#define pr_fmt(fmt) "bawn: " fmt

#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "ghcb.h"
#include "snp_internal.h"

static const struct bawn_snp_ops *registered; /* under registry */
static DEFINE_MUTEX(registry);

/* ---- Registration ---- */

int bawn_snp_register(const struct bawn_snp_ops *ops)
{
	int r = -EBUSY;

	mutex_lock(&registry);
	if (!registered) {
		WRITE_ONCE(registered, ops);
		r = 0;
	}
	mutex_unlock(&registry);
	if (!r)
		pr_info("SEV-SNP guests are served by the %s\n", ops->name);
	return r;
}

void bawn_snp_unregister(const struct bawn_snp_ops *ops)
{
	mutex_lock(&registry);
	if (registered == ops)
		WRITE_ONCE(registered, NULL);
	mutex_unlock(&registry);
}

/* ---- VMs ---- */

static int snp_vm_create(struct bawn_vm *vm)
{
	struct bawn_snp_vm *snp = kzalloc(sizeof(*snp), GFP_KERNEL_ACCOUNT);

	if (!snp)
		return -ENOMEM;
	mutex_lock(&registry);
	if (registered && try_module_get(registered->owner))
		snp->ops = registered;
	mutex_unlock(&registry);
	if (!snp->ops) {
		kfree(snp);
		return -EINVAL;
	}
	mutex_init(&snp->request_lock);
	vm->private_alias = snp->ops->private_alias();
	vm->mmio_leaf = snp->ops->mmio_leaf;
	vm->snp = snp;
	return 0;
}

static void snp_vm_destroy(struct bawn_vm *vm)
{
	struct bawn_snp_vm *snp = vm->snp;

	if (!snp)
		return;
	bawn_snp_release(vm);
	if (snp->request_page)
		__free_page(snp->request_page);
	if (snp->response_page)
		snp->ops->free_firmware_page(snp->response_page);
	module_put(snp->ops->owner);
	vm->snp = NULL;
	kvfree(snp->certs);
	kfree(snp);
}

int bawn_snp_set_certs(struct bawn_vm *vm, const struct bawn_snp_certs *in)
{
	struct bawn_snp_vm *snp = vm->snp;
	void *certs = NULL;

	if (in->reserved || in->size > BAWN_SNP_CERTS_MAX)
		return -EINVAL;
	if (in->size) {
		certs = vmemdup_user(u64_to_user_ptr(in->addr), in->size);
		if (IS_ERR(certs))
			return PTR_ERR(certs);
	}
	if (mutex_lock_killable(&snp->request_lock)) {
		kvfree(certs);
		return -EINTR;
	}
	swap(snp->certs, certs);
	snp->certs_len = in->size;
	mutex_unlock(&snp->request_lock);
	kvfree(certs);
	return 0;
}

/* ---- vCPUs ---- */

static int snp_vcpu_create(struct bawn_vcpu *vcpu)
{
	const struct bawn_snp_ops *ops = vcpu->vm->snp->ops;
	struct bawn_snp_vcpu *snp;
	int r;

	if (vcpu->vm->snp->state >= BAWN_SNP_RUNNING)
		return -EPERM;
	snp = kzalloc(sizeof(*snp), GFP_KERNEL_ACCOUNT);
	if (!snp)
		return -ENOMEM;
	snp->ghcb = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!snp->ghcb) {
		kfree(snp);
		return -ENOMEM;
	}
	snp->ghcb_gpa = INVALID_GPA;
	snp->ap_vmsa_gpa = INVALID_GPA;
	snp->hold_ghcb = INVALID_GPA;
	mutex_init(&snp->ap_lock);
	vcpu->snp = snp;
	r = ops->vcpu_create(vcpu);
	if (r) {
		free_page((unsigned long)snp->ghcb);
		kfree(snp);
		vcpu->snp = NULL;
	}
	return r;
}

static void snp_vcpu_destroy(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_vcpu *snp = vcpu->snp;

	if (!snp)
		return;
	vcpu->vm->snp->ops->vcpu_destroy(vcpu);
	if (snp->vmsa) {
		bawn_snp_page_gone(vcpu->vm, snp->vmsa);
		__free_page(snp->vmsa);
	}
	free_page((unsigned long)snp->ghcb);
	vcpu->snp = NULL;
	kfree(snp);
}

static bool snp_has_state(struct bawn_vcpu *vcpu)
{
	return READ_ONCE(vcpu->snp->ap_pending);
}

/* The page of private memory that holds a VMSA, counted. */
static struct page *vmsa_page(struct bawn_vcpu *vcpu, gpa_t gpa)
{
	struct bawn_memslot *slot = bawn_slot(vcpu->vm, gpa >> PAGE_SHIFT);
	struct page *page;

	if (!slot || slot->invalid || !slot->gmem ||
	    !bawn_is_private(vcpu->vm, gpa >> PAGE_SHIFT) ||
	    bawn_gmem_page(slot, gpa >> PAGE_SHIFT, &page))
		return NULL;
	return page;
}

int bawn_snp_vmsa_load(struct bawn_vcpu *vcpu, struct page *page)
{
	/* A vCPU that starts anew has no events on their way, nor waits for an answer. */
	memset(&vcpu->ex, 0, sizeof(vcpu->ex));
	memset(&vcpu->irq, 0, sizeof(vcpu->irq));
	vcpu->nmi_injected = false;
	vcpu->nmi_pending = 0;
	vcpu->complete = NULL;
	return vcpu->vm->snp->ops->vmsa_load(vcpu, page_to_pfn(page));
}

/* What another vCPU asked for by AP creation: a new save area, or none. */
static int snp_take_state(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_vcpu *snp = vcpu->snp;
	struct page *page;

	if (READ_ONCE(vcpu->vm->snp->state) != BAWN_SNP_RUNNING)
		return -EINVAL;
	if (!READ_ONCE(snp->ap_pending))
		return 0;
	mutex_lock(&snp->ap_lock);
	WRITE_ONCE(snp->ap_pending, false);
	snp->fresh = false;
	vcpu->mp_state = KVM_MP_STATE_UNINITIALIZED;
	snp->loaded = false;
	page = snp->ap_vmsa_gpa == INVALID_GPA ? NULL : vmsa_page(vcpu, snp->ap_vmsa_gpa);
	if (page) {
		snp->loaded = !bawn_snp_vmsa_load(vcpu, page);
		if (snp->loaded)
			vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
		put_page(page);
	}
	mutex_unlock(&snp->ap_lock);
	return 0;
}

static int snp_prepare_run(struct bawn_vcpu *vcpu)
{
	int r = snp_take_state(vcpu);

	if (r || vcpu->mp_state != KVM_MP_STATE_RUNNABLE)
		return r;
	/* Userspace says that it may run; the guest has ended it, or gave a state that is none. */
	if (!vcpu->snp->loaded)
		return -EINVAL;
	vcpu->snp->fresh = false;
	return vcpu->vm->snp->ops->prepare_run(vcpu);
}

static int snp_exit(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	int r = vcpu->vm->snp->ops->exit(vcpu, exit);

	return r == BAWN_SNP_PASS ? BAWN_TEE_PASS : r;
}

/* ---- Pages ---- */

static int snp_page_prepare(struct bawn_vm *vm, gfn_t gfn, struct page *page)
{
	/* Before the launch has an ASID there is no guest to give it to. */
	if (!vm->snp->asid)
		return -EINVAL;
	return vm->snp->ops->make_private(page_to_pfn(page), gfn << PAGE_SHIFT, 1, vm->snp->asid,
					  false);
}

void bawn_snp_page_gone(struct bawn_vm *vm, struct page *page)
{
	if (!vm->snp->ops->make_shared(page_to_pfn(page), 1))
		return;
	/* Memory that cannot be taken back must not be given away. */
	pr_err_ratelimited("a page cannot be taken back from a guest: leaked\n");
	get_page(page);
}

static const struct bawn_tee_ops snp_tee = {
	.vm_create = snp_vm_create,
	.vm_destroy = snp_vm_destroy,
	.vcpu_create = snp_vcpu_create,
	.vcpu_destroy = snp_vcpu_destroy,
	.memory_encrypt_op = bawn_snp_encrypt_op,
	.prepare_run = snp_prepare_run,
	.has_state = snp_has_state,
	.take_state = snp_take_state,
	.own_msr = bawn_snp_own_msr,
	.init = bawn_snp_ap_init,
	.sipi = bawn_snp_ap_sipi,
	.exit = snp_exit,
	.page_prepare = snp_page_prepare,
	.page_gone = bawn_snp_page_gone,
};

const struct bawn_tee_ops *bawn_snp_tee(void)
{
	return READ_ONCE(registered) ? &snp_tee : NULL;
}

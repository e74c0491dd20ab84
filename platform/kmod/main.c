// SPDX-License-Identifier: GPL-2.0-only
/*
 * bawn_platform.ko: SEV-SNP on a machine without it, for development and tests. What it keeps from
 * nobody is the guest's memory, so it is loaded only by those who say that they know. It registers
 * with bawn.ko; unloaded, it is in no path. Also here: ASIDs and the vCPUs' part.
 */
#define pr_fmt(fmt) "bawn_platform: " fmt

#include <linux/bitmap.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <asm/trapnr.h>

#include "svm/svm.h"

#include "bawn/vmsa.h"
#include "compat.h"
#include "platform.h"

static bool i_understand_this_is_not_secure;
module_param(i_understand_this_is_not_secure, bool, 0444);
MODULE_PARM_DESC(i_understand_this_is_not_secure, "must be 1: guests on this platform have no secrets from the host (0)");

#define ASIDS_MAX 1024

unsigned int platform_asids = 64;
module_param_named(asids, platform_asids, uint, 0444);
MODULE_PARM_DESC(asids, "guests at a time, 1 to 1024 (64)");

/* Far above memory, and within reach of the nested page table's levels. */
#define CBIT_4_LEVELS 47
#define CBIT_5_LEVELS 51

unsigned int platform_cbit;

/* ---- ASIDs: a used one is given again only after DF_FLUSH ---- */

static DEFINE_MUTEX(asid_lock);
static DECLARE_BITMAP(asid_used, ASIDS_MAX + 1);
static DECLARE_BITMAP(asid_stale, ASIDS_MAX + 1);

static unsigned int free_asid(void)
{
	unsigned int asid;

	for (asid = 1; asid <= platform_asids; asid++)
		if (!test_bit(asid, asid_used) && !test_bit(asid, asid_stale))
			return asid;
	return 0;
}

int platform_asid_get(u32 *asid)
{
	u32 fw_error;
	int r = 0;

	mutex_lock(&asid_lock);
	*asid = free_asid();
	if (!*asid && !bitmap_empty(asid_stale, ASIDS_MAX + 1)) {
		r = platform_command(BAWN_PSP_SNP_DF_FLUSH, NULL, 0, &fw_error);
		if (!r) {
			bitmap_zero(asid_stale, ASIDS_MAX + 1);
			*asid = free_asid();
		}
	}
	if (!r && !*asid)
		r = -EBUSY;
	if (!r)
		__set_bit(*asid, asid_used);
	mutex_unlock(&asid_lock);
	return r;
}

void platform_asid_put(u32 asid)
{
	mutex_lock(&asid_lock);
	__clear_bit(asid, asid_used);
	__set_bit(asid, asid_stale);
	mutex_unlock(&asid_lock);
}

unsigned int platform_asids_used(void)
{
	return bitmap_weight(asid_used, ASIDS_MAX + 1);
}

/* ---- The table, as RMPUPDATE and PSMASH answer it ---- */

static int code_errno(enum rmp_code code)
{
	switch (code) {
	case RMP_OK: return 0;
	case RMP_FAIL_INUSE: return -EBUSY;
	case RMP_FAIL_PERMISSION: return -EPERM;
	default: return -EINVAL;
	}
}

static int make_private(u64 pfn, u64 gpa, int level, u32 asid, bool immutable)
{
	const struct rmp_update new = {
		.gpa = gpa,
		.asid = asid,
		.assigned = true,
		.immutable = immutable,
		.large = level == 2,
	};

	return code_errno(rmp_update(pfn, &new));
}

static int make_shared(u64 pfn, int level)
{
	const struct rmp_update new = { .large = level == 2 };

	return code_errno(rmp_update(pfn, &new));
}

static int lookup(u64 pfn, bool *assigned, int *level)
{
	struct rmp_entry e;

	rmp_get(pfn, &e);
	*assigned = e.flags & RMP_ASSIGNED;
	*level = e.flags & RMP_LARGE ? 2 : 1;
	return 0;
}

static int psmash(u64 pfn)
{
	return code_errno(rmp_psmash(pfn));
}

/* ---- vCPUs ---- */

static unsigned int cbit(void)
{
	return platform_cbit;
}

static int vcpu_create(struct bawn_vcpu *vcpu)
{
	struct platform_vcpu *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);

	if (!p)
		return -ENOMEM;
	xa_init(&p->unpaged);
	vcpu->snp->platform = p;
	/* PVALIDATE and RMPADJUST do not exist here. */
	svm_intercept(to_svm(vcpu), INTERCEPT_EXCEPTION_OFFSET + UD_VECTOR, true);
	atomic_inc(&platform_stats.vcpus);
	return 0;
}

static void vcpu_destroy(struct bawn_vcpu *vcpu)
{
	struct platform_vcpu *p = vcpu->snp ? to_platform(vcpu) : NULL;

	if (!p)
		return;
	xa_destroy(&p->unpaged);
	platform_tlb_clear(vcpu);
	kfree(p);
	vcpu->snp->platform = NULL;
	atomic_dec(&platform_stats.vcpus);
}

/*
 * The interrupt that #VC overtook was acknowledged already: it goes in as soon as the guest may
 * take one, before any other.
 */
static int prepare_run(struct bawn_vcpu *vcpu)
{
	struct platform_vcpu *p = to_platform(vcpu);

	if (!p->irq_held)
		return 0;
	if (vcpu->ex.injected || vcpu->ex.pending || vcpu->nmi_injected || vcpu->irq.injected ||
	    !bawn_cpu->irq_allowed(vcpu)) {
		bawn_cpu->open_irq_window(vcpu);
		return 0;
	}
	p->irq_held = false;
	vcpu->irq.injected = true;
	vcpu->irq.vector = p->irq_vector;
	return 0;
}

static u64 ghcb_get(struct bawn_vcpu *vcpu)
{
	return to_platform(vcpu)->ghcb_msr;
}

static void ghcb_set(struct bawn_vcpu *vcpu, u64 value)
{
	to_platform(vcpu)->ghcb_msr = value;
}

static const struct bawn_snp_ops ops = {
	.owner = THIS_MODULE,
	.name = "software platform",
	.sev_features = BAWN_SEV_SNP_ACTIVE,
	.command = platform_command,
	.alloc_firmware_page = platform_alloc_firmware_page,
	.free_firmware_page = platform_free_firmware_page,
	.asid_get = platform_asid_get,
	.asid_put = platform_asid_put,
	.make_private = make_private,
	.make_shared = make_shared,
	.lookup = lookup,
	.psmash = psmash,
	.cbit = cbit,
	.private_alias = platform_cmask,
	.vcpu_create = vcpu_create,
	.vcpu_destroy = vcpu_destroy,
	.vmsa_load = platform_vmsa_load,
	.exit = platform_exit,
	.prepare_run = prepare_run,
	.ghcb_get = ghcb_get,
	.ghcb_set = ghcb_set,
};

/* ---- The module ---- */

static int check(void)
{
	unsigned int need;

	if (!i_understand_this_is_not_secure) {
		pr_err("the software platform hides nothing of a guest from this host; to use it for tests, load it with i_understand_this_is_not_secure=1\n");
		return -EPERM;
	}
	if (!platform_asids || platform_asids > ASIDS_MAX) {
		pr_err("asids=%u: it must be 1 to %u\n", platform_asids, ASIDS_MAX);
		return -EINVAL;
	}
	platform_cbit = pgtable_l5_enabled() ? CBIT_5_LEVELS : CBIT_4_LEVELS;
	need = platform_cbit + 1;
	if (boot_cpu_data.x86_phys_bits < need) {
		pr_err("physical addresses have %u bits; %u are needed (QEMU: phys-bits=%u)\n",
		       boot_cpu_data.x86_phys_bits, need, need);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int __init platform_init(void)
{
	int r = check();

	if (r)
		return r;
	r = platform_device_init();
	if (r)
		return r;
	r = bawn_snp_register(&ops);
	if (r) {
		pr_err("bawn.ko has another implementation of SEV-SNP already: this host can do it itself\n");
		platform_device_exit();
		return r;
	}
	platform_stats_init();
	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	pr_warn("SEV-SNP is played by software: its guests have no secrets from this host\n");
	return 0;
}

static void __exit platform_exit_module(void)
{
	bawn_snp_unregister(&ops);
	platform_stats_exit();
	platform_device_exit();
	rmp_exit();
}

module_init(platform_init);
module_exit(platform_exit_module);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Bawn's software platform: SEV-SNP without the hardware, for tests alone");
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS("BAWN");
#else
MODULE_IMPORT_NS(BAWN);
#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * SNP guests on an EPYC: the secure processor and the RMP by the host kernel's own functions,
 * the CPU by svm/es.c. It has been compiled and never run. The host kernel must have set SNP
 * up (kernels 6.11 and later, with CONFIG_KVM_AMD_SEV and the ccp driver); where it has not, or
 * does not have these functions, plain guests are all there is. Trusts both.
 * AMD 56860; AMD APM vol. 2, 15.36; Linux, include/linux/psp-sev.h.
 */
#define pr_fmt(fmt) "bawn: " fmt

#include <linux/bitmap.h>
#include <linux/cc_platform.h>
#include <linux/module.h>
#include <linux/psp-sev.h>
#include <linux/smp.h>
#include <asm/cacheflush.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>
#include <asm/sev.h>

#include "bawn/vmsa.h"
#include "compat.h"
#include "svm/svm.h"

#include "snp_internal.h"

#define CPUID_SEV 0x8000001f /* EBX 5:0 the C-bit; EDX: the lowest ASID without SEV-ES */
#define MAX_ASIDS 1024

/* The host kernel's functions; some kernels lack some, so nothing is linked against them. */
static struct {
	typeof(&sev_platform_init) sev_platform_init;
	typeof(&sev_do_cmd) sev_do_cmd;
	typeof(&snp_alloc_firmware_page) snp_alloc_firmware_page;
	typeof(&snp_free_firmware_page) snp_free_firmware_page;
	typeof(&rmp_make_private) rmp_make_private;
	typeof(&rmp_make_shared) rmp_make_shared;
	typeof(&snp_lookup_rmpentry) snp_lookup_rmpentry;
	typeof(&psmash) psmash;
} host;

static DEFINE_MUTEX(asids_lock);
static DECLARE_BITMAP(asids, MAX_ASIDS);      /* in use, or not to be used */
static DECLARE_BITMAP(asids_used, MAX_ASIDS); /* free, but with traces in caches */
static unsigned int cbit_number;
static bool initialised, registered;

/* ---- The firmware ---- */

static int do_command(int cmd, void *buf, u32 *fw_error)
{
	int error = 0, r = host.sev_do_cmd(cmd, buf, &error);

	*fw_error = r == -EIO ? error : 0;
	return r == -ETIMEDOUT ? -ENODEV : r;
}

/* A guest that goes makes firmware ask for another WBINVD: not between recycle()'s two steps. */
static int hw_command(int cmd, void *buf, u32 len, u32 *fw_error)
{
	bool unbinds = cmd == SEV_CMD_SNP_DECOMMISSION;
	int r;

	if (unbinds)
		mutex_lock(&asids_lock);
	r = do_command(cmd, buf, fw_error);
	if (unbinds)
		mutex_unlock(&asids_lock);
	return r;
}

static struct page *hw_alloc_firmware_page(void)
{
	void *page = host.snp_alloc_firmware_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	return page ? virt_to_page(page) : NULL;
}

static void hw_free_firmware_page(struct page *page)
{
	host.snp_free_firmware_page(page_address(page));
}

/* ---- ASIDs ---- */

/* What caches hold of ASIDs that are free must be gone before one has another key. */
static int recycle(void)
{
	u32 fw_error;
	int r;

	wbinvd_on_all_cpus();
	r = do_command(SEV_CMD_SNP_DF_FLUSH, NULL, &fw_error);
	if (r)
		return r;
	bitmap_andnot(asids, asids, asids_used, MAX_ASIDS);
	bitmap_zero(asids_used, MAX_ASIDS);
	return 0;
}

/* The host initialises the firmware for SNP when somebody asks for it. asids_lock held. */
static int initialise(void)
{
	struct sev_platform_init_args args = {};
	int r;

	if (initialised)
		return 0;
	r = host.sev_platform_init(&args);
	initialised = !r;
	return r;
}

static int hw_asid_get(u32 *asid)
{
	u32 found;
	int r;

	mutex_lock(&asids_lock);
	r = initialise();
	if (r)
		goto out;
	found = find_first_zero_bit(asids, MAX_ASIDS);
	if (found == MAX_ASIDS && !bitmap_empty(asids_used, MAX_ASIDS)) {
		r = recycle();
		found = find_first_zero_bit(asids, MAX_ASIDS);
	}
	if (!r && found == MAX_ASIDS)
		r = -EBUSY;
	if (!r) {
		__set_bit(found, asids);
		*asid = found;
	}
out:
	mutex_unlock(&asids_lock);
	return r;
}

static void hw_asid_put(u32 asid)
{
	mutex_lock(&asids_lock);
	__set_bit(asid, asids_used);
	mutex_unlock(&asids_lock);
}

/* ---- The RMP ---- */

static enum pg_level level_of(int level)
{
	return level == 2 ? PG_LEVEL_2M : PG_LEVEL_4K;
}

static int hw_make_private(u64 pfn, u64 gpa, int level, u32 asid, bool immutable)
{
	return host.rmp_make_private(pfn, gpa, level_of(level), asid, immutable);
}

static int hw_make_shared(u64 pfn, int level)
{
	int r = host.rmp_make_shared(pfn, level_of(level));

	/* Lines under the guest's key must not be written back over the host's. */
	if (!r)
		clflush_cache_range(__va(pfn << PAGE_SHIFT), page_level_size(level_of(level)));
	return r;
}

static int hw_lookup(u64 pfn, bool *assigned, int *level)
{
	int host_level, r = host.snp_lookup_rmpentry(pfn, assigned, &host_level);

	*level = !r && host_level == PG_LEVEL_2M ? 2 : 1;
	return r;
}

static int hw_psmash(u64 pfn)
{
	return host.psmash(pfn) ? -EIO : 0;
}

/* ---- The CPU ---- */

static unsigned int hw_cbit(void)
{
	return cbit_number;
}

/* The C-bit is no part of the nested table's addresses here. */
static u64 hw_private_alias(void)
{
	return 0;
}

static int hw_vcpu_create(struct bawn_vcpu *vcpu)
{
	return 0;
}

static void hw_vcpu_destroy(struct bawn_vcpu *vcpu)
{
}

/* VMRUN checks the page; a wrong one ends in KVM_EXIT_FAIL_ENTRY. */
static int hw_vmsa_load(struct bawn_vcpu *vcpu, u64 pfn)
{
	bawn_svm_es_load(vcpu, pfn << PAGE_SHIFT, vcpu->vm->snp->asid);
	return 0;
}

static int hw_exit(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	return BAWN_SNP_PASS;
}

static int hw_prepare_run(struct bawn_vcpu *vcpu)
{
	return 0;
}

static struct bawn_snp_ops ops = {
	.owner = NULL, /* bawn.ko: a VM's file holds it */
	.name = "hardware",
	.sev_features = BAWN_SEV_SNP_ACTIVE,
	.command = hw_command,
	.alloc_firmware_page = hw_alloc_firmware_page,
	.free_firmware_page = hw_free_firmware_page,
	.asid_get = hw_asid_get,
	.asid_put = hw_asid_put,
	.make_private = hw_make_private,
	.make_shared = hw_make_shared,
	.lookup = hw_lookup,
	.psmash = hw_psmash,
	.cbit = hw_cbit,
	.private_alias = hw_private_alias,
	.vcpu_create = hw_vcpu_create,
	.vcpu_destroy = hw_vcpu_destroy,
	.vmsa_load = hw_vmsa_load,
	.exit = hw_exit,
	.prepare_run = hw_prepare_run,
	.ghcb_get = bawn_svm_ghcb_get,
	.ghcb_set = bawn_svm_ghcb_set,
};

/* ---- Load and unload ---- */

#define HOST_FUNCTIONS(X)                                                             \
	X(sev_platform_init) X(sev_do_cmd) X(snp_alloc_firmware_page)                 \
	X(snp_free_firmware_page) X(rmp_make_private) X(rmp_make_shared)              \
	X(snp_lookup_rmpentry) X(psmash)

static void put_functions(void)
{
#define PUT(name)                            \
	if (host.name)                       \
		__symbol_put(#name);         \
	host.name = NULL;
	HOST_FUNCTIONS(PUT)
#undef PUT
}

static bool get_functions(void)
{
	const char *missing = NULL;

#define GET(name)                                                   \
	host.name = (typeof(host.name))__symbol_get(#name);         \
	if (!host.name)                                             \
		missing = #name;
	HOST_FUNCTIONS(GET)
#undef GET
	if (!missing)
		return true;
	pr_info("no SEV-SNP guests: the host kernel has no %s (a kernel of another flavour has, or \"modprobe ccp\" brings it)\n",
		missing);
	put_functions();
	return false;
}

/*
 * Accesses to no memory must come to the guest as #VC, which a reserved bit brings about (APM
 * vol. 2, 15.35.5). 0: the processor reserves none.
 */
static u64 mmio_leaf(void)
{
	unsigned int bits = boot_cpu_data.x86_phys_bits, bit = bits + (bits == cbit_number);

	return bit < 52 ? GENMASK_ULL(51, bit) | BIT_ULL(0) : 0;
}

int bawn_snp_hw_init(void)
{
	u32 eax, ebx, most, first_plain;
	int r;

	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return 0;
	if (!get_functions())
		return 0;
	cpuid(CPUID_SEV, &eax, &ebx, &most, &first_plain);
	cbit_number = ebx & 0x3f;
	ops.mmio_leaf = mmio_leaf();
	/* SNP guests have the ASIDs below those of SEV without ES; 0 is the host's. */
	bitmap_fill(asids, MAX_ASIDS);
	if (first_plain > 1)
		bitmap_clear(asids, 1, min(first_plain, MAX_ASIDS) - 1);
	if (!ops.mmio_leaf || bitmap_full(asids, MAX_ASIDS)) {
		pr_info("no SEV-SNP guests: %s\n",
			ops.mmio_leaf ? "the firmware's setup leaves them no ASIDs" :
					"no address bit is reserved");
		put_functions();
		return 0;
	}
	r = bawn_svm_es_setup();
	if (r) {
		put_functions();
		return r;
	}
	/* All of them are SEV's: plain guests have those above. */
	bawn_svm_min_asid = most + 1;
	registered = !bawn_snp_register(&ops);
	return 0;
}

void bawn_snp_hw_exit(void)
{
	if (!registered)
		return;
	bawn_snp_unregister(&ops);
	bawn_svm_es_teardown();
	put_functions();
	registered = false;
}

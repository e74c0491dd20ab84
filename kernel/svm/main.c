// SPDX-License-Identifier: GPL-2.0-only
/*
 * SVM on this machine: whether it can be used, switching it on and off on each CPU, the
 * intercept bitmaps that all guests share, and the ops table. Trusts the CPU's own reports.
 */
#define pr_fmt(fmt) "bawn: " fmt

#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>
#include <asm/io.h>
#include <asm/msr.h>
#include <asm/reboot.h>
#include <asm/segment.h>

#include "compat.h"
#include "svm.h"

DEFINE_PER_CPU(struct bawn_svm_cpu, bawn_svm_cpu);
u8 *bawn_svm_msrpm;
u8 *bawn_svm_msrpm_all;
u8 *bawn_svm_iopm;
u32 bawn_svm_min_asid = 1;

#define MSRPM_ORDER 1 /* 8 KiB: AMD APM vol. 2, 15.11 */
#define IOPM_ORDER 2  /* 12 KiB and a byte's reach beyond: AMD APM vol. 2, 15.10.1 */
#define VM_CR_SVMDIS BIT(4)

/* The MSRs that a guest touches without an exit: they live in the VMCB. All else exits. */
static const u32 passthrough_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_STAR, MSR_LSTAR, MSR_CSTAR,
	MSR_SYSCALL_MASK, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* Two bits an MSR, three ranges of 0x2000 MSRs (AMD APM vol. 2, 15.11). */
void bawn_svm_msrpm_pass(u8 *msrpm, u32 msr)
{
	static const u32 base[] = { 0, 0xc0000000, 0xc0010000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(base); i++) {
		u32 n = msr - base[i];

		if (n < 0x2000) {
			msrpm[i * 0x800 + n / 4] &= ~(3 << (n % 4 * 2));
			return;
		}
	}
}

static void free_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct bawn_svm_cpu *c = per_cpu_ptr(&bawn_svm_cpu, cpu);

		if (c->save)
			__free_page(c->save);
		if (c->host)
			__free_page(c->host);
		c->save = NULL;
		c->host = NULL;
	}
}

static void free_all(void)
{
	free_pages((unsigned long)bawn_svm_msrpm, MSRPM_ORDER);
	free_pages((unsigned long)bawn_svm_msrpm_all, MSRPM_ORDER);
	free_pages((unsigned long)bawn_svm_iopm, IOPM_ORDER);
	free_cpus();
}

static int alloc_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct bawn_svm_cpu *c = per_cpu_ptr(&bawn_svm_cpu, cpu);

		c->save = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);
		c->host = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);
		if (!c->save || !c->host) {
			free_cpus();
			return -ENOMEM;
		}
	}
	return 0;
}

static int check_machine(void)
{
	u64 value;

	if (!boot_cpu_has(X86_FEATURE_SVM)) {
		pr_err("this CPU has no SVM (CPUID 0x80000001 ECX bit 2); a CPU with AMD-V is needed\n");
		return -EOPNOTSUPP;
	}
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT)) {
		pr_err("this host is itself a confidential guest: it cannot run guests\n");
		return -EOPNOTSUPP;
	}
	rdmsrq(MSR_VM_CR, value);
	if (value & VM_CR_SVMDIS) {
		pr_err("SVM is disabled in VM_CR (0x%llx): enable it in the firmware's setup\n",
		       value);
		return -EOPNOTSUPP;
	}
	if (!boot_cpu_has(X86_FEATURE_NPT)) {
		pr_err("this CPU has no nested paging (CPUID 0x8000000a EDX bit 0), which is required\n");
		return -EOPNOTSUPP;
	}
	rdmsrq(MSR_EFER, value);
	if (value & EFER_SVME) {
		pr_err("another hypervisor holds SVM (EFER.SVME is set): unload it first\n");
		return -EBUSY;
	}
	return 0;
}

/*
 * Zen 5: with this bit what a guest taught the branch predictors does not steer the host (SRSO).
 * The host pays a little for it as long as the module is loaded, its VMs or none.
 */
static void bp_spec_reduce(bool on)
{
#ifdef X86_FEATURE_SRSO_BP_SPEC_REDUCE
	if (!boot_cpu_has(X86_FEATURE_SRSO_BP_SPEC_REDUCE))
		return;
	if (on)
		msr_set_bit(MSR_ZEN4_BP_CFG, MSR_ZEN4_BP_CFG_BP_SPEC_REDUCE_BIT);
	else
		msr_clear_bit(MSR_ZEN4_BP_CFG, MSR_ZEN4_BP_CFG_BP_SPEC_REDUCE_BIT);
#endif
}

/* A crashing host must not leave GIF clear or SVM on. */
static void svm_disable(void)
{
	u64 efer;

	rdmsrq(MSR_EFER, efer);
	if (!(efer & EFER_SVME))
		return;
	bp_spec_reduce(false);
	asm volatile("stgi");
	wrmsrq(MSR_VM_HSAVE_PA, 0);
	wrmsrq(MSR_EFER, efer & ~EFER_SVME);
}

static int svm_setup(void)
{
	unsigned int i;
	int r = check_machine();

	if (r)
		return r;
	bawn_svm_msrpm = (u8 *)__get_free_pages(GFP_KERNEL, MSRPM_ORDER);
	bawn_svm_msrpm_all = (u8 *)__get_free_pages(GFP_KERNEL, MSRPM_ORDER);
	bawn_svm_iopm = (u8 *)__get_free_pages(GFP_KERNEL, IOPM_ORDER);
	r = alloc_cpus();
	if (r || !bawn_svm_msrpm || !bawn_svm_msrpm_all || !bawn_svm_iopm) {
		free_all();
		return -ENOMEM;
	}
	memset(bawn_svm_msrpm, 0xff, PAGE_SIZE << MSRPM_ORDER);
	memset(bawn_svm_msrpm_all, 0xff, PAGE_SIZE << MSRPM_ORDER);
	memset(bawn_svm_iopm, 0xff, PAGE_SIZE << IOPM_ORDER);
	for (i = 0; i < ARRAY_SIZE(passthrough_msrs); i++)
		bawn_svm_msrpm_pass(bawn_svm_msrpm, passthrough_msrs[i]);
	cpu_emergency_register_virt_callback(svm_disable);
	return 0;
}

static void svm_teardown(void)
{
	cpu_emergency_unregister_virt_callback(svm_disable);
	free_all();
}

static int svm_enable(void)
{
	struct bawn_svm_cpu *c = this_cpu_ptr(&bawn_svm_cpu);
	u32 eax, asids, ecx, edx;
	u64 efer;

	rdmsrq(MSR_EFER, efer);
	if (efer & EFER_SVME)
		return -EBUSY;
	c->host_pa = __sme_set(page_to_phys(c->host));
	c->aux = vdso_encode_cpunode(smp_processor_id(), cpu_to_node(smp_processor_id()));
	cpuid(0x8000000a, &eax, &asids, &ecx, &edx);
	bp_spec_reduce(true);
	wrmsrq(MSR_EFER, efer | EFER_SVME);
	wrmsrq(MSR_VM_HSAVE_PA, __sme_set(page_to_phys(c->save)));
	if (boot_cpu_has(X86_FEATURE_TSCRATEMSR))
		wrmsrq(MSR_AMD64_TSC_RATIO, SVM_TSC_RATIO_DEFAULT);
	c->tsc_ratio = SVM_TSC_RATIO_DEFAULT;
	/* Generations only grow, so that an ASID from before a CPU went offline is not reused. */
	c->asid_generation++;
	c->max_asid = asids - 1;
	c->next_asid = c->max_asid + 1;
	c->last = NULL;
	c->es_last = NULL;
	return 0;
}

const struct bawn_cpu_ops bawn_svm_ops = {
	.name = "svm",
	.setup = svm_setup,
	.teardown = svm_teardown,
	.enable = svm_enable,
	.disable = svm_disable,
	.vcpu_create = bawn_svm_vcpu_create,
	.vcpu_destroy = bawn_svm_vcpu_destroy,
	.vcpu_reset = bawn_svm_vcpu_reset,
	.vcpu_load = bawn_svm_vcpu_load,
	.vcpu_put = bawn_svm_vcpu_put,
	.prepare_switch = bawn_svm_prepare_switch,
	.run = bawn_svm_run,
	.decode_fast = bawn_svm_decode_fast,
	.exit_irqoff = bawn_svm_exit_irqoff,
	.decode = bawn_svm_decode,
	.get_segment = bawn_svm_get_segment,
	.set_segment = bawn_svm_set_segment,
	.get_table = bawn_svm_get_table,
	.set_table = bawn_svm_set_table,
	.cpl = bawn_svm_cpl,
	.code_size = bawn_svm_code_size,
	.code_segment = bawn_svm_code_segment,
	.advance = bawn_svm_advance,
	.load_control = bawn_svm_load_control,
	.load_debug = bawn_svm_load_debug,
	.load_tsc = bawn_svm_load_tsc,
	.msr = bawn_svm_msr,
	.irq_allowed = bawn_svm_irq_allowed,
	.nmi_allowed = bawn_svm_nmi_allowed,
	.get_nmi_mask = bawn_svm_get_nmi_mask,
	.set_nmi_mask = bawn_svm_set_nmi_mask,
	.get_shadow = bawn_svm_get_shadow,
	.set_shadow = bawn_svm_set_shadow,
	.inject_irq = bawn_svm_inject_irq,
	.inject_nmi = bawn_svm_inject_nmi,
	.inject_exception = bawn_svm_inject_exception,
	.open_irq_window = bawn_svm_open_irq_window,
	.open_nmi_window = bawn_svm_open_nmi_window,
	.flush_tlb = bawn_svm_flush_tlb,
	.scale_tsc = bawn_svm_scale_tsc,
	.tsc_ratio = bawn_svm_tsc_ratio,
};

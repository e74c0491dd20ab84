// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: its parameters, the device node, the system ioctls and capabilities, and the CPUs
 * on which virtualisation is switched on. Refuses to load, saying why, where it cannot run.
 */
#define pr_fmt(fmt) "bawn: " fmt

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/preempt.h>
#include <linux/syscore_ops.h>

#include "bawn/version.h"
#include "compat.h"
#include "ioctl.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static char *device = "bawn";
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "name of the device node: bawn, or kvm for programs that open /dev/kvm (bawn)");

const struct bawn_cpu_ops *bawn_cpu;
bool bawn_stopping;

/* ---- Capabilities ---- */

/*
 * What the module offers beyond presence; all else answers 0. A capability that is advertised
 * must be served: the list is short on purpose (docs/kvm-api.md).
 */
static const struct {
	long cap;
	int value;
} caps[] = {
	{ KVM_CAP_USER_MEMORY, 1 },
	{ KVM_CAP_USER_MEMORY2, 1 },
	{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 },
	{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 },
	{ KVM_CAP_READONLY_MEM, 1 },
	{ KVM_CAP_SYNC_MMU, 1 },
	{ KVM_CAP_NR_MEMSLOTS, BAWN_MAX_SLOTS },
	{ KVM_CAP_NR_VCPUS, BAWN_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPUS, BAWN_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPU_ID, BAWN_MAX_VCPU_ID + 1 },
	{ KVM_CAP_IMMEDIATE_EXIT, 1 },
	{ KVM_CAP_SET_TSS_ADDR, 1 },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, 1 },
	{ KVM_CAP_EXT_CPUID, 1 },
	{ KVM_CAP_MP_STATE, 1 },
	{ KVM_CAP_NOP_IO_DELAY, 1 },
	{ KVM_CAP_IRQCHIP, 1 },
	{ KVM_CAP_SPLIT_IRQCHIP, 1 },
	{ KVM_CAP_IRQ_ROUTING, BAWN_MAX_GSI },
	{ KVM_CAP_IRQ_INJECT_STATUS, 1 },
	{ KVM_CAP_IRQFD, 1 },
	{ KVM_CAP_IOEVENTFD, 1 },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 },
	{ KVM_CAP_IOEVENTFD_NO_LENGTH, 1 },
	{ KVM_CAP_SIGNAL_MSI, 1 },
	{ KVM_CAP_TSC_DEADLINE_TIMER, 1 },
	{ KVM_CAP_USER_NMI, 1 },
	{ KVM_CAP_MCE, BAWN_MAX_MCE_BANKS },
	{ KVM_CAP_ADJUST_CLOCK, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC },
	{ KVM_CAP_CLOCKSOURCE, 1 },
	{ KVM_CAP_KVMCLOCK_CTRL, 1 },
	{ KVM_CAP_GET_TSC_KHZ, 1 },
	{ KVM_CAP_INTERNAL_ERROR_DATA, 1 },
	{ KVM_CAP_VCPU_EVENTS, 1 },
	{ KVM_CAP_DEBUGREGS, 1 },
	{ KVM_CAP_SET_GUEST_DEBUG, 1 },
	{ KVM_CAP_SET_GUEST_DEBUG2, BAWN_GUESTDBG_SERVED },
	{ KVM_CAP_X86_ROBUST_SINGLESTEP, 1 },
	{ KVM_CAP_XSAVE, 1 },
	{ KVM_CAP_XCRS, 1 },
	{ KVM_CAP_SREGS2, 1 },
	{ KVM_CAP_X2APIC_API,
	  KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
	{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE },
	{ KVM_CAP_X86_USER_SPACE_MSR, 1 },
	{ KVM_CAP_X86_MSR_FILTER, 1 },
	{ KVM_CAP_GET_MSR_FEATURES, 1 },
	{ KVM_CAP_BINARY_STATS_FD, 1 },
	{ KVM_CAP_SET_BOOT_CPU_ID, 1 },
	{ KVM_CAP_ENABLE_CAP_VM, 1 },
	{ KVM_CAP_CHECK_EXTENSION_VM, 1 },
	{ KVM_CAP_MEMORY_FAULT_INFO, 1 },
};

int bawn_check_extension(struct bawn_vm *vm, long cap)
{
	unsigned int i;

	switch (cap) {
	case KVM_CAP_BAWN_SNP_CERTS:
		return bawn_snp_tee() ? BAWN_SNP_CERTS_MAX : 0;
	case KVM_CAP_BAWN_MEASURE:
		return vm && vm->tee ? 0 : BAWN_MEASURE_VERSION;
	case KVM_CAP_VM_TYPES:
		return bawn_vm_types();
	case KVM_CAP_EXIT_HYPERCALL:
		return (vm ? vm->tee : bawn_snp_tee()) ? BIT(KVM_HC_MAP_GPA_RANGE) : 0;
	case KVM_CAP_TSC_CONTROL:
	case KVM_CAP_VM_TSC_CONTROL:
		return bawn_cpu->tsc_ratio(tsc_khz) != 0;
	case KVM_CAP_GUEST_MEMFD:
		return !vm || bawn_has_private(vm);
	case KVM_CAP_MEMORY_ATTRIBUTES:
		return !vm || bawn_has_private(vm) ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0;
	}
	for (i = 0; i < ARRAY_SIZE(caps); i++)
		if (caps[i].cap == cap)
			return caps[i].value;
	return 0;
}

/* ---- System ioctls ---- */

long bawn_call_api_version(struct bawn_call *call)
{
	return call->raw ? -EINVAL : KVM_API_VERSION;
}

long bawn_call_check_extension(struct bawn_call *call)
{
	return bawn_check_extension(call->vm, call->raw);
}

long bawn_call_vcpu_mmap_size(struct bawn_call *call)
{
	return call->raw ? -EINVAL : BAWN_RUN_PAGES * PAGE_SIZE;
}

long bawn_call_supported_cpuid(struct bawn_call *call)
{
	return bawn_cpuid_supported((void __user *)call->raw);
}

long bawn_call_msr_index_list(struct bawn_call *call)
{
	return bawn_msr_list((void __user *)call->raw, false);
}

long bawn_call_msr_feature_list(struct bawn_call *call)
{
	return bawn_msr_list((void __user *)call->raw, true);
}

long bawn_call_feature_msrs(struct bawn_call *call)
{
	return bawn_msrs_ioctl(NULL, (void __user *)call->raw, false);
}

long bawn_call_mce_cap(struct bawn_call *call)
{
	*(u64 *)call->arg = BAWN_MCE_CAP;
	return 0;
}

static long dev_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	struct bawn_call call = { .raw = arg };

	return bawn_dispatch(BAWN_OBJ_DEV, &call, nr);
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = dev_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.fops = &dev_fops,
	.mode = 0660,
};

/* ---- CPUs ---- */

static int virt_online(unsigned int cpu)
{
	unsigned long flags;
	int r;

	local_irq_save(flags);
	r = bawn_cpu->enable();
	local_irq_restore(flags);
	if (r)
		pr_err("CPU %u: another hypervisor holds the virtualisation extensions\n", cpu);
	return r;
}

static int virt_offline(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	bawn_cpu->disable();
	local_irq_restore(flags);
	return 0;
}

static void disable_cpu(void *unused)
{
	bawn_cpu->disable();
}

/* Suspend takes the other CPUs down by hotplug; the last one comes here. */
static int virt_suspend(SYSCORE_ARG)
{
	bawn_clock_suspend();
	bawn_cpu->disable();
	return 0;
}

static void virt_resume(SYSCORE_ARG)
{
	bawn_clock_resume();
	if (bawn_cpu->enable())
		pr_err("cannot switch virtualisation on again after suspend\n");
}

/* kexec: the next kernel must find virtualisation off. No vCPU enters from here on. */
static void virt_shutdown(SYSCORE_ARG)
{
	WRITE_ONCE(bawn_stopping, true);
	on_each_cpu(disable_cpu, NULL, 1);
}

static struct syscore_ops syscore_ops = {
	.suspend = virt_suspend,
	.resume = virt_resume,
	.shutdown = virt_shutdown,
};

static struct syscore syscore = { .ops = &syscore_ops };

/* ---- Load and unload ---- */

static int add_device(void)
{
	misc.name = device;
	if (!strcmp(device, "kvm"))
		misc.minor = KVM_MINOR;
	return misc_register(&misc);
}

static int __init bawn_init(void)
{
	int r;

	if (strcmp(device, "bawn") && strcmp(device, "kvm")) {
		pr_err("device=%s: it can be bawn or kvm\n", device);
		return -EINVAL;
	}
	bawn_ioctl_setup();
	bawn_cpuid_setup();
	bawn_cpu = &bawn_svm_ops;
	r = bawn_cpu->setup();
	if (r)
		return r;
	r = bawn_irqfd_init();
	if (r)
		goto teardown;
	r = bawn_snp_hw_init();
	if (r)
		goto irqfd;
	r = cpuhp_setup_state(CPUHP_AP_KVM_ONLINE, "virt/bawn:online", virt_online, virt_offline);
	if (r) {
		if (r == -EBUSY)
			pr_err("another hypervisor module is active (kvm_amd?): unload it first\n");
		goto snp;
	}
	preempt_notifier_inc();
	register_syscore(&syscore);
	r = add_device();
	if (r) {
		pr_err("cannot add /dev/%s: %d%s\n", device, r,
		       r == -EBUSY ? " (another module serves it: unload kvm first)" : "");
		goto offline;
	}
	pr_info("%s ready at /dev/%s (%s)\n", BAWN_VERSION, device, bawn_cpu->name);
	return 0;

offline:
	unregister_syscore(&syscore);
	preempt_notifier_dec();
	cpuhp_remove_state(CPUHP_AP_KVM_ONLINE);
snp:
	bawn_snp_hw_exit();
irqfd:
	bawn_irqfd_exit();
teardown:
	bawn_cpu->teardown();
	return r;
}

static void __exit bawn_exit(void)
{
	misc_deregister(&misc);
	unregister_syscore(&syscore);
	preempt_notifier_dec();
	cpuhp_remove_state(CPUHP_AP_KVM_ONLINE);
	bawn_snp_hw_exit();
	bawn_irqfd_exit();
	bawn_cpu->teardown();
}

module_init(bawn_init);
module_exit(bawn_exit);

MODULE_DESCRIPTION("Bawn: a small hypervisor for confidential and measured guests");
MODULE_AUTHOR("The Bawn project");
MODULE_VERSION(BAWN_VERSION);
MODULE_LICENSE("GPL");

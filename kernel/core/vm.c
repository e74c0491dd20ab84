// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM: creation and end, and the VM ioctls that are not another room's. A VM lives as long as
 * any file of it; its memory, vCPUs and interrupts go with the last one.
 */
#define pr_fmt(fmt) "bawn: " fmt

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "ioctl.h"

static bool measure;
module_param(measure, bool, 0444);
MODULE_PARM_DESC(measure, "measure every plain VM, whether its VMM asks or not (N)");

/* ---- Life ---- */

void bawn_vm_get(struct bawn_vm *vm)
{
	refcount_inc(&vm->users);
}

static void vm_destroy(struct bawn_vm *vm)
{
	unsigned int i;

	/* The notifier kicks vCPUs: it goes before them. */
	bawn_memory_detach(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		bawn_vcpu_destroy(vm->vcpu[i]);
	vm->nr_vcpus = 0;
	bawn_measure_destroy(vm);
	bawn_msr_filter_destroy(vm);
	bawn_irq_destroy(vm);
	bawn_memory_destroy(vm);
	if (vm->tee)
		vm->tee->vm_destroy(vm);
	kfree(vm);
}

void bawn_vm_put(struct bawn_vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		vm_destroy(vm);
}

static int vm_release(struct inode *inode, struct file *file)
{
	struct bawn_vm *vm = file->private_data;

	/* Eventfds outlive us and must not call into a VM without an owner. */
	bawn_eventfds_release(vm);
	bawn_vm_put(vm);
	return 0;
}

static long vm_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	struct bawn_call call = { .vm = file->private_data, .raw = arg };

	return bawn_dispatch(BAWN_OBJ_VM, &call, nr);
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.release = vm_release,
	.unlocked_ioctl = vm_ioctl,
	.llseek = noop_llseek,
};

static struct bawn_vm *vm_create(u32 type)
{
	struct bawn_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	int r;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->type = type;
	if (type == KVM_X86_SNP_VM) {
		vm->tee = bawn_snp_tee();
		if (!vm->tee) {
			kfree(vm);
			return ERR_PTR(-EINVAL);
		}
	}
	refcount_set(&vm->users, 1);
	mutex_init(&vm->lock);
	vm->clock_gap = READ_ONCE(bawn_tsc_gap);
	bawn_clock_init(vm);
	r = bawn_memory_init(vm);
	if (r)
		goto free;
	r = bawn_irq_init(vm);
	if (r)
		goto memory;
	r = measure && type == KVM_X86_DEFAULT_VM ? bawn_measure_enable(vm) : 0;
	if (!r && vm->tee)
		r = vm->tee->vm_create(vm);
	if (!r)
		return vm;
	bawn_measure_destroy(vm);
	bawn_irq_destroy(vm);
memory:
	bawn_memory_detach(vm);
	bawn_memory_destroy(vm);
free:
	kfree(vm);
	return ERR_PTR(r);
}

u32 bawn_vm_types(void)
{
	return BIT(KVM_X86_DEFAULT_VM) | BIT(KVM_X86_SW_PROTECTED_VM) |
	       (bawn_snp_tee() ? BIT(KVM_X86_SNP_VM) : 0);
}

long bawn_call_create_vm(struct bawn_call *call)
{
	struct bawn_vm *vm;
	int fd;

	if (call->raw >= 32 || !(bawn_vm_types() & BIT(call->raw)))
		return -EINVAL;
	vm = vm_create(call->raw);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = anon_inode_getfd("bawn-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		bawn_vm_put(vm);
	return fd;
}

long bawn_call_create_vcpu(struct bawn_call *call)
{
	if (call->raw > BAWN_MAX_VCPU_ID)
		return -EINVAL;
	return bawn_vcpu_create(call->vm, call->raw);
}

/* ---- Capabilities that a VM enables ---- */

#define USER_MSR_REASONS \
	(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER)

static int enable_split_irqchip(struct bawn_vm *vm, u64 pins)
{
	if (pins > BAWN_IOAPIC_PINS_MAX)
		return -EINVAL;
	if (vm->split_irqchip || vm->nr_vcpus)
		return -EEXIST;
	vm->ioapic_pins = pins;
	vm->split_irqchip = true;
	return 0;
}

static int enable_measure(struct bawn_vm *vm, u64 flags)
{
	/* Their own launch measures these, by firmware. */
	if (vm->tee)
		return -EOPNOTSUPP;
	if (flags)
		return -EINVAL;
	if (vm->nr_vcpus)
		return -EEXIST;
	return vm->measure ? 0 : bawn_measure_enable(vm);
}

/* One whose argument has bits: those that KVM_CHECK_EXTENSION tells. */
static int enable_bits(struct bawn_vm *vm, u32 cap, u64 bits)
{
	u64 there = cap == KVM_CAP_X86_USER_SPACE_MSR ? USER_MSR_REASONS :
							bawn_check_extension(vm, cap);

	if (bits & ~there)
		return -EINVAL;
	switch (cap) {
	case KVM_CAP_X2APIC_API:
		if (bits & KVM_X2APIC_API_USE_32BIT_IDS)
			vm->x2apic_api = true;
		return 0;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		vm->manual_dirty = bits;
		return 0;
	case KVM_CAP_X86_USER_SPACE_MSR:
		vm->user_msr_mask = bits;
		return 0;
	case KVM_CAP_EXIT_HYPERCALL:
		WRITE_ONCE(vm->hypercall_exits, bits);
		return 0;
	}
	return -EINVAL;
}

long bawn_call_vm_enable_cap(struct bawn_call *call)
{
	const struct kvm_enable_cap *cap = call->arg;

	if (cap->flags)
		return -EINVAL;
	if (cap->cap == KVM_CAP_SPLIT_IRQCHIP)
		return enable_split_irqchip(call->vm, cap->args[0]);
	if (cap->cap == KVM_CAP_BAWN_MEASURE)
		return enable_measure(call->vm, cap->args[0]);
	return enable_bits(call->vm, cap->cap, cap->args[0]);
}

/* ---- Calls that another room serves: the copied argument, or the pointer as given ---- */

#define VM_CALL(name, fn) \
	long bawn_call_##name(struct bawn_call *call) { return fn(call->vm, call->arg); }
#define VM_CALL_USER(name, fn) \
	long bawn_call_##name(struct bawn_call *call) \
	{ return fn(call->vm, (void __user *)call->raw); }

VM_CALL(get_dirty_log, bawn_get_dirty_log)
VM_CALL(clear_dirty_log, bawn_clear_dirty_log)
VM_CALL(create_guest_memfd, bawn_gmem_create)
VM_CALL(set_attributes, bawn_set_attributes)
VM_CALL(set_memory_region2, bawn_set_memory_region)
VM_CALL(signal_msi, bawn_signal_msi)
VM_CALL(irq_line, bawn_irq_line)
VM_CALL(irqfd, bawn_irqfd)
VM_CALL(ioeventfd, bawn_ioeventfd)
VM_CALL(get_clock, bawn_get_clock)
VM_CALL(set_clock, bawn_set_clock)
VM_CALL(measure_region, bawn_measure_region)
VM_CALL_USER(get_measurement, bawn_measure_get)
VM_CALL_USER(set_routing, bawn_set_routing)

/* ---- Memory ---- */

long bawn_call_set_memory_region(struct bawn_call *call)
{
	const struct kvm_userspace_memory_region *in = call->arg;
	struct kvm_userspace_memory_region2 r = {
		.slot = in->slot,
		.flags = in->flags,
		.guest_phys_addr = in->guest_phys_addr,
		.memory_size = in->memory_size,
		.userspace_addr = in->userspace_addr,
	};

	/* The old structure has no room for a file. */
	if (r.flags & KVM_MEM_GUEST_MEMFD)
		return -EINVAL;
	return bawn_set_memory_region(call->vm, &r);
}

long bawn_call_memory_encrypt_op(struct bawn_call *call)
{
	const struct bawn_tee_ops *tee = call->vm->tee;

	return tee ? tee->memory_encrypt_op(call->vm, (void __user *)call->raw) : -ENOTTY;
}

/* Both addresses serve hardware without unrestricted real mode, which is refused at load. */
long bawn_call_set_tss_addr(struct bawn_call *call)
{
	if (call->raw > (unsigned int)(-3 * PAGE_SIZE))
		return -EINVAL;
	return 0;
}

long bawn_call_set_identity_addr(struct bawn_call *call)
{
	return 0;
}

/* ---- Interrupts and time ---- */

long bawn_call_vm_set_tsc_khz(struct bawn_call *call)
{
	u32 khz = call->raw ?: tsc_khz;
	u64 ratio;

	if (call->raw > U32_MAX || bawn_tsc_ratio(khz, &ratio))
		return -EINVAL;
	call->vm->default_tsc_khz = khz;
	return 0;
}

long bawn_call_vm_get_tsc_khz(struct bawn_call *call)
{
	return call->vm->default_tsc_khz ?: tsc_khz;
}

long bawn_call_set_boot_cpu(struct bawn_call *call)
{
	if (call->vm->nr_vcpus)
		return -EBUSY;
	if (call->raw > BAWN_MAX_VCPU_ID)
		return -EINVAL;
	call->vm->bsp_id = call->raw;
	return 0;
}

long bawn_call_set_msr_filter(struct bawn_call *call)
{
	int r = bawn_set_msr_filter(call->vm, (void __user *)call->raw);

	/* A running guest still has the MSR bitmap from before. */
	if (!r)
		bawn_request_all(call->vm, BAWN_REQ_EVENT, true);
	return r;
}

long bawn_call_vm_stats_fd(struct bawn_call *call)
{
	return bawn_stats_fd(call->vm, NULL);
}

/* ---- Measured launch ---- */

/* -EPERM when it was sealed before. */
static long seal(struct bawn_vm *vm)
{
	int r;

	mutex_lock(&vm->lock);
	mutex_lock(&vm->slots_lock);
	if (bawn_measure_sealed(vm)) {
		r = -EPERM;
	} else {
		/* State calls in flight hold their vCPU's mutex, and are measured. */
		WRITE_ONCE(vm->frozen, true);
		r = bawn_measure_seal(vm);
		if (r)
			WRITE_ONCE(vm->frozen, false);
	}
	mutex_unlock(&vm->slots_lock);
	mutex_unlock(&vm->lock);
	return r;
}

long bawn_call_measure_seal(struct bawn_call *call)
{
	return seal(call->vm);
}

long bawn_call_snp_set_certs(struct bawn_call *call)
{
	return call->vm->snp ? bawn_snp_set_certs(call->vm, call->arg) : -ENOTTY;
}

/* ---- vCPU calls ---- */

/* The first run of any vCPU seals a measured launch. */
static long run(struct bawn_vcpu *vcpu, unsigned long arg)
{
	int r;

	if (arg)
		return -EINVAL;
	if (vcpu->vm->measure && !bawn_measure_sealed(vcpu->vm)) {
		r = seal(vcpu->vm);
		if (r && r != -EPERM)
			return r;
	}
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	r = bawn_vcpu_run(vcpu);
	mutex_unlock(&vcpu->mutex);
	return r;
}

long bawn_call_run(struct bawn_call *call)
{
	return run(call->vcpu, call->raw);
}

static noinline long vcpu_call(struct bawn_vcpu *vcpu, unsigned int nr, unsigned long arg)
{
	struct bawn_call call = { .vm = vcpu->vm, .vcpu = vcpu, .raw = arg };

	return bawn_dispatch(BAWN_OBJ_VCPU, &call, nr);
}

long bawn_vcpu_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	struct bawn_vcpu *vcpu = file->private_data;

	/* The one whose way counts goes straight; bawn_dispatch() has the reason for mm. */
	if (nr == KVM_RUN && vcpu->vm->mm == current->mm)
		return run(vcpu, arg);
	return vcpu_call(vcpu, nr, arg);
}

long bawn_call_set_cpuid2(struct bawn_call *call)
{
	return bawn_cpuid_set(call->vcpu, (void __user *)call->raw);
}

long bawn_call_get_cpuid2(struct bawn_call *call)
{
	return bawn_cpuid_get(call->vcpu, (void __user *)call->raw);
}

long bawn_call_get_msrs(struct bawn_call *call)
{
	return bawn_msrs_ioctl(call->vcpu, (void __user *)call->raw, false);
}

long bawn_call_set_msrs(struct bawn_call *call)
{
	return bawn_msrs_ioctl(call->vcpu, (void __user *)call->raw, true);
}

long bawn_call_set_tsc_khz(struct bawn_call *call)
{
	return call->raw > U32_MAX ? -EINVAL : bawn_set_tsc_khz(call->vcpu, call->raw);
}

long bawn_call_get_tsc_khz(struct bawn_call *call)
{
	return call->vcpu->tsc_khz;
}

/* The guest's watchdogs shall know that it did not run. */
long bawn_call_kvmclock_ctrl(struct bawn_call *call)
{
	if (!(call->vcpu->clock_msr & KVM_MSR_ENABLED))
		return -EINVAL;
	call->vcpu->clock_paused = true;
	set_bit(BAWN_REQ_CLOCK, &call->vcpu->requests);
	return 0;
}

long bawn_call_vcpu_stats_fd(struct bawn_call *call)
{
	return bawn_stats_fd(call->vm, call->vcpu);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * RDMSR and WRMSR of the guest: the filter that userspace lays over them
 * (KVM_X86_SET_MSR_FILTER) and the exits by which it may answer for us
 * (KVM_CAP_X86_USER_SPACE_MSR). The filter is copied and checked when set, and immutable after.
 */
#include "bawn.h"
#include <linux/nospec.h>

struct bawn_msr_filter {
	bool default_allow;
	unsigned int nr;
	struct filter_range {
		u32 flags; /* KVM_MSR_FILTER_READ, _WRITE */
		u32 base, nmsrs;
		unsigned long *bitmap; /* 1: allowed */
	} range[KVM_MSR_FILTER_MAX_RANGES];
};

bool bawn_msr_allowed(struct bawn_vm *vm, u32 index, bool write)
{
	struct bawn_msr_filter *filter = srcu_dereference(vm->msr_filter, &vm->srcu);
	u32 access = write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ;
	const struct filter_range *r;

	/* Interrupts do not work without these: never filtered, as KVM documents. */
	if (!filter || bawn_msr_is_x2apic(index))
		return true;
	for (r = filter->range; r < filter->range + filter->nr; r++)
		if (r->flags & access && index >= r->base && index - r->base < r->nmsrs)
			return test_bit(array_index_nospec(index - r->base, r->nmsrs), r->bitmap);
	return filter->default_allow;
}

static void filter_free(struct bawn_msr_filter *filter)
{
	unsigned int i;

	if (!filter)
		return;
	for (i = 0; i < filter->nr; i++)
		kvfree(filter->range[i].bitmap);
	kfree(filter);
}

static int copy_range(struct bawn_msr_filter *filter, const struct kvm_msr_filter_range *r)
{
	size_t size = BITS_TO_LONGS((u64)r->nmsrs) * sizeof(long);
	unsigned long *bitmap;

	if (!r->nmsrs)
		return 0;
	if (!r->flags || r->flags & ~KVM_MSR_FILTER_RANGE_VALID_MASK ||
	    size > KVM_MSR_FILTER_MAX_BITMAP_SIZE)
		return -EINVAL;
	bitmap = vmemdup_user((__force const void __user *)r->bitmap, size);
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	filter->range[filter->nr++] =
		(struct filter_range){ r->flags, r->base, r->nmsrs, bitmap };
	return 0;
}

/*
 * KVM_X86_SET_MSR_FILTER. EINVAL: unknown flags, a range without direction or too long, or a
 * filter that denies all but names no range.
 */
int bawn_set_msr_filter(struct bawn_vm *vm, struct kvm_msr_filter __user *arg)
{
	struct bawn_msr_filter *filter;
	struct kvm_msr_filter *copy;
	int i, ret = 0;

	copy = memdup_user(arg, sizeof(*copy));
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	filter = kzalloc(sizeof(*filter), GFP_KERNEL_ACCOUNT);
	if (!filter)
		ret = -ENOMEM;
	else if (copy->flags & ~KVM_MSR_FILTER_VALID_MASK)
		ret = -EINVAL;
	for (i = 0; i < ARRAY_SIZE(copy->ranges) && !ret; i++)
		ret = copy_range(filter, &copy->ranges[i]);
	if (!ret) {
		filter->default_allow = !(copy->flags & KVM_MSR_FILTER_DEFAULT_DENY);
		if (!filter->nr && !filter->default_allow)
			ret = -EINVAL;
	}
	if (!ret) { /* from here on the old one is ours to free */
		filter = unrcu_pointer(xchg(&vm->msr_filter, RCU_INITIALIZER(filter)));
		synchronize_srcu(&vm->srcu);
	}
	filter_free(filter);
	kfree(copy);
	return ret;
}

void bawn_msr_filter_destroy(struct bawn_vm *vm)
{
	filter_free(rcu_dereference_protected(vm->msr_filter, true));
	RCU_INIT_POINTER(vm->msr_filter, NULL);
}

static int finish(struct bawn_vcpu *vcpu, bool write, u64 value, unsigned int len)
{
	if (!write) {
		vcpu->gpr[VCPU_RAX] = (u32)value;
		vcpu->gpr[VCPU_RDX] = value >> 32;
	}
	return bawn_skip(vcpu, len);
}

/* Userspace has answered: error set means #GP. */
static int complete_read(struct bawn_vcpu *vcpu)
{
	return READ_ONCE(vcpu->run->msr.error) ? bawn_inject_gp(vcpu) :
	       finish(vcpu, false, READ_ONCE(vcpu->run->msr.data), vcpu->msr_len);
}

static int complete_write(struct bawn_vcpu *vcpu)
{
	return READ_ONCE(vcpu->run->msr.error) ? bawn_inject_gp(vcpu) :
	       finish(vcpu, true, 0, vcpu->msr_len);
}

/* The access failed for this reason: a matter for userspace if it asked for such, else #GP. */
static int refuse(struct bawn_vcpu *vcpu, const struct bawn_exit *exit, u32 reason, u64 value)
{
	struct kvm_run *run = vcpu->run;
	bool write = exit->msr.write;

	if (!(READ_ONCE(vcpu->vm->user_msr_mask) & reason))
		return bawn_inject_gp(vcpu);
	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = reason;
	run->msr.index = vcpu->gpr[VCPU_RCX];
	run->msr.data = write ? value : 0;
	vcpu->msr_len = exit->len;
	vcpu->complete = write ? complete_write : complete_read;
	return 0;
}

/* The x2APIC's and the timer's, which a guest writes all the time, and what it reads most. */
bool bawn_msr_is_fast(u32 index, bool write)
{
	return bawn_msr_is_x2apic(index) || index == MSR_IA32_TSC_DEADLINE ||
	       (!write && (index == MSR_IA32_TSC || index == MSR_IA32_APICBASE));
}

/* RDMSR or WRMSR; RCX has the index. Answers as an exit handler does. */
int bawn_msr_exit(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	static const u32 reason[] = {
		[BAWN_MSR_INVALID] = KVM_MSR_EXIT_REASON_INVAL,
		[BAWN_MSR_UNKNOWN] = KVM_MSR_EXIT_REASON_UNKNOWN,
	};
	u64 value = (u32)vcpu->gpr[VCPU_RAX] | vcpu->gpr[VCPU_RDX] << 32;
	u32 index = vcpu->gpr[VCPU_RCX];
	bool write = exit->msr.write;
	enum bawn_msr_result result;

	/* As often as interrupts: neither filter nor table has a say. */
	if (bawn_msr_is_x2apic(index) && vcpu->apic) {
		if (!(write ? bawn_lapic_set_msr(vcpu, index, value) :
			      bawn_lapic_get_msr(vcpu, index, &value)))
			return finish(vcpu, write, value, exit->len);
	}
	if (!bawn_msr_allowed(vcpu->vm, index, write))
		return refuse(vcpu, exit, KVM_MSR_EXIT_REASON_FILTER, value);
	result = bawn_msr_access(vcpu, index, &value, write, false);
	if (result != BAWN_MSR_OK)
		return refuse(vcpu, exit, reason[result], value);
	return finish(vcpu, write, value, exit->len);
}

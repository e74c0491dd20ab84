// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's time: kvmclock and steal-time pages (Documentation/virt/kvm/x86/msr.rst),
 * KVM_GET_CLOCK and KVM_SET_CLOCK, and the guest's TSC. The guest names the pages' addresses; it
 * can only have its own memory written.
 *
 * kvmclock counts nanoseconds from the VM's start with the host's raw clock, and stands still
 * while the host is suspended. When the host's TSC is its clock and all vCPUs' TSCs agree
 * (clock_stable), every page extrapolates from one snapshot, so that vCPUs never disagree;
 * otherwise each page starts from the moment when it was written. clock_lock covers all of the
 * VM's fields here and every vCPU's tsc_offset, tsc_ratio and tsc_khz.
 */
#include <linux/clocksource_ids.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>
#include <linux/timekeeping.h>
#include <asm/pvclock.h>
#include <asm/tsc.h>

#include "bawn.h"

#define TSC_TOLERANCE_PPM 250
#define CLOCK_FLAGS (KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC)

struct moment {
	u64 tsc;
	u64 ns;	    /* raw clock plus the time suspended */
	u64 real;
	bool exact; /* the TSC can be relied on */
};

/* Interrupts off: the three are one reading but for the time between the instructions. */
static void take_moment(struct moment *m)
{
	unsigned long flags;

	local_irq_save(flags);
	m->tsc = rdtsc_ordered();
	m->ns = ktime_get_raw_ns();
	m->real = ktime_get_real_ns();
	local_irq_restore(flags);
	m->exact = boot_cpu_has(X86_FEATURE_CONSTANT_TSC) && !check_tsc_unstable();
	m->ns += ktime_to_ns(ktime_mono_to_any(0, TK_OFFS_BOOT));
}

/* Nanoseconds are ((ticks << shift) * mul) >> 32, as the clock page says it. */
static void time_scale(u32 khz, u32 *mul, s8 *shift)
{
	u64 num = NSEC_PER_SEC, den = (u64)khz * 1000;

	for (*shift = 0; num >= den; (*shift)++)
		den <<= 1;
	for (; num * 2 < den; (*shift)--)
		num <<= 1;
	*mul = mul_u64_u64_div_u64(num, BIT_ULL(32), den);
}

/* What kvmclock shows at m. */
static u64 clock_at(struct bawn_vm *vm, const struct moment *m)
{
	u32 mul;
	s8 shift;

	if (!vm->clock_stable || !m->exact)
		return m->ns + vm->clock_offset;
	time_scale(tsc_khz, &mul, &shift);
	return vm->clock_ns + pvclock_scale_delta(m->tsc - vm->clock_tsc, mul, shift);
}

/* vcpu may not be published yet. */
static bool tscs_agree(struct bawn_vcpu *vcpu)
{
	struct bawn_vcpu *other;
	unsigned int i;

	bawn_for_each_vcpu(i, other, vcpu->vm) {
		if (other->tsc_offset != vcpu->tsc_offset || other->tsc_ratio != vcpu->tsc_ratio)
			return false;
	}
	return true;
}

/* clock_lock held. From here on the clock goes on from ns at m. */
static void set_snapshot(struct bawn_vm *vm, const struct moment *m, u64 ns, bool stable)
{
	vm->clock_tsc = m->tsc;
	vm->clock_ns = ns;
	vm->clock_offset = ns - m->ns;
	WRITE_ONCE(vm->clock_stable, stable);
	bawn_request_all(vm, BAWN_REQ_CLOCK, false);
}

void bawn_clock_init(struct bawn_vm *vm)
{
	struct moment m;

	spin_lock_init(&vm->clock_lock);
	vm->default_tsc_khz = tsc_khz;
	take_moment(&m);
	set_snapshot(vm, &m, 0, m.exact);
}

/* KVM_GET_CLOCK */
int bawn_get_clock(struct bawn_vm *vm, struct kvm_clock_data *data)
{
	struct moment m;

	memset(data, 0, sizeof(*data));
	spin_lock(&vm->clock_lock);
	take_moment(&m);
	data->clock = clock_at(vm, &m);
	if (vm->clock_stable && m.exact) {
		data->flags = CLOCK_FLAGS;
		data->realtime = m.real;
		data->host_tsc = m.tsc;
	}
	spin_unlock(&vm->clock_lock);
	return 0;
}

/* KVM_SET_CLOCK: takes what KVM_GET_CLOCK gave; of the flags only REALTIME does something. */
int bawn_set_clock(struct bawn_vm *vm, const struct kvm_clock_data *data)
{
	u64 ns = data->clock;
	struct moment m;

	if (data->flags & ~CLOCK_FLAGS)
		return -EINVAL;
	spin_lock(&vm->clock_lock);
	take_moment(&m);
	/* The time on the way from another host has passed for the guest, too. */
	if ((data->flags & KVM_CLOCK_REALTIME) && m.real > data->realtime)
		ns += m.real - data->realtime;
	set_snapshot(vm, &m, ns, vm->clock_stable && m.exact);
	spin_unlock(&vm->clock_lock);
	return 0;
}

/* ---- Pages in guest memory: version is odd while the rest changes ---- */

/* Writes size bytes of page at gpa; their version is at offset, and is the new one afterwards. */
static void write_versioned(struct bawn_vm *vm, gpa_t gpa, void *page, size_t size, size_t offset)
{
	u32 *version = page + offset;

	*version = (*version | 1) + (*version & 1) * 2;
	if (bawn_write_guest(vm, gpa + offset, version, sizeof(*version)))
		return;
	smp_wmb(); /* an odd version, then the rest */
	if (bawn_write_guest(vm, gpa, page, size))
		return;
	smp_wmb(); /* the rest, then an even version */
	(*version)++;
	bawn_write_guest(vm, gpa + offset, version, sizeof(*version));
}

static void write_wall_clock(struct bawn_vm *vm, gpa_t gpa)
{
	struct pvclock_wall_clock wc;
	struct moment m;
	u32 nsec;
	u64 ns;

	if (!gpa || bawn_read_guest(vm, gpa, &wc, sizeof(wc)))
		return;
	spin_lock(&vm->clock_lock);
	take_moment(&m);
	ns = m.real - clock_at(vm, &m);
	spin_unlock(&vm->clock_lock);
	wc.sec = div_u64_rem(ns, NSEC_PER_SEC, &nsec);
	wc.nsec = nsec;
	write_versioned(vm, gpa, &wc, sizeof(wc), offsetof(struct pvclock_wall_clock, version));
}

/* On the vCPU's thread, under vm->srcu. */
void bawn_clock_update(struct bawn_vcpu *vcpu)
{
	gpa_t gpa = vcpu->clock_msr & ~(u64)KVM_MSR_ENABLED;
	struct pvclock_vcpu_time_info info;
	struct bawn_vm *vm = vcpu->vm;
	struct moment m;

	if (!(vcpu->clock_msr & KVM_MSR_ENABLED) ||
	    bawn_read_guest(vm, gpa, &info, sizeof(info)))
		return;
	info = (struct pvclock_vcpu_time_info){
		.version = vcpu->clock_version,
		.flags = info.flags & PVCLOCK_GUEST_STOPPED, /* until the guest has seen it */
	};
	if (vcpu->clock_paused)
		info.flags |= PVCLOCK_GUEST_STOPPED;
	vcpu->clock_paused = false;

	spin_lock(&vm->clock_lock);
	take_moment(&m);
	if (vm->clock_stable && !m.exact)
		set_snapshot(vm, &m, clock_at(vm, &m), false);
	if (vm->clock_stable) {
		m.tsc = vm->clock_tsc;
		info.system_time = vm->clock_ns;
		info.flags |= PVCLOCK_TSC_STABLE_BIT;
	} else {
		info.system_time = clock_at(vm, &m);
	}
	info.tsc_timestamp = bawn_read_guest_tsc(vcpu, m.tsc);
	time_scale(vcpu->tsc_ratio ? vcpu->tsc_khz : tsc_khz, &info.tsc_to_system_mul,
		   &info.tsc_shift);
	spin_unlock(&vm->clock_lock);

	write_versioned(vm, gpa, &info, sizeof(info),
			offsetof(struct pvclock_vcpu_time_info, version));
	vcpu->clock_version = info.version;
}

/* On the vCPU's thread, under vm->srcu. The scheduler knows how long the thread had to wait. */
void bawn_steal_update(struct bawn_vcpu *vcpu)
{
	gpa_t gpa = vcpu->steal_msr & KVM_STEAL_VALID_BITS;
	u64 delay = current->sched_info.run_delay;
	struct kvm_steal_time st;

	if (!(vcpu->steal_msr & KVM_MSR_ENABLED) ||
	    bawn_read_guest(vcpu->vm, gpa, &st, sizeof(st)))
		return;
	if (vcpu->steal_last && delay > vcpu->steal_last)
		st.steal += delay - vcpu->steal_last;
	vcpu->steal_last = delay;
	st.preempted = 0;
	write_versioned(vcpu->vm, gpa, &st, offsetof(struct kvm_steal_time, pad),
			offsetof(struct kvm_steal_time, version));
}

/* The scheduler takes the CPU away. Atomic: when the page is not there, the guest is not told. */
void bawn_steal_preempted(struct bawn_vcpu *vcpu)
{
	gpa_t gpa = (vcpu->steal_msr & KVM_STEAL_VALID_BITS) +
		    offsetof(struct kvm_steal_time, preempted);
	u8 preempted = KVM_VCPU_PREEMPTED;
	int idx;

	if (!(vcpu->steal_msr & KVM_MSR_ENABLED) || current->mm != vcpu->vm->mm)
		return;
	idx = srcu_read_lock(&vcpu->vm->srcu);
	pagefault_disable();
	bawn_write_guest(vcpu->vm, gpa, &preempted, sizeof(preempted));
	pagefault_enable();
	srcu_read_unlock(&vcpu->vm->srcu, idx);
}

/* The MSRs below are all that msr.c hands on. */
int bawn_clock_set_msr(struct bawn_vcpu *vcpu, u32 index, u64 value)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		WRITE_ONCE(vcpu->vm->wall_clock_msr, value);
		write_wall_clock(vcpu->vm, value);
		return 0;
	case MSR_KVM_STEAL_TIME:
		if (!sched_info_on() || (value & KVM_STEAL_RESERVED_MASK))
			return 1;
		vcpu->steal_msr = value;
		vcpu->steal_last = 0; /* counted from the next update on */
		set_bit(BAWN_REQ_STEAL, &vcpu->requests);
		return 0;
	default: /* MSR_KVM_SYSTEM_TIME, old and new */
		vcpu->clock_msr = value;
		set_bit(BAWN_REQ_CLOCK, &vcpu->requests);
		return 0;
	}
}

int bawn_clock_get_msr(struct bawn_vcpu *vcpu, u32 index, u64 *value)
{
	bool wall = index == MSR_KVM_WALL_CLOCK || index == MSR_KVM_WALL_CLOCK_NEW;

	*value = wall ? READ_ONCE(vcpu->vm->wall_clock_msr) :
		 index == MSR_KVM_STEAL_TIME ? vcpu->steal_msr : vcpu->clock_msr;
	return 0;
}

/* ---- The guest's TSC: scaled host TSC plus tsc_offset ---- */

u64 bawn_read_guest_tsc(struct bawn_vcpu *vcpu, u64 host_tsc)
{
	if (vcpu->tsc_ratio)
		host_tsc = bawn_cpu->scale_tsc(vcpu->tsc_ratio, host_tsc);
	return host_tsc + vcpu->tsc_offset;
}

/* clock_lock held. The clock page depends on the offset, all pages on whether offsets agree. */
static void set_offset(struct bawn_vcpu *vcpu, u64 offset)
{
	struct bawn_vm *vm = vcpu->vm;
	struct moment m;
	bool stable;

	vcpu->tsc_offset = offset;
	bawn_cpu->load_tsc(vcpu);
	set_bit(BAWN_REQ_CLOCK, &vcpu->requests);
	take_moment(&m);
	stable = m.exact && tscs_agree(vcpu);
	if (stable != vm->clock_stable)
		set_snapshot(vm, &m, clock_at(vm, &m), stable);
}

/*
 * clock_lock held. Userspace cannot write all vCPUs' TSCs at one moment: a value within a second
 * of where the last one has got to by now, and 0, mean the same TSC. Without a relied-on host TSC
 * each vCPU gets what the VM's should be by now.
 */
static u64 synchronized_offset(struct bawn_vcpu *vcpu, u64 value)
{
	u64 now = bawn_read_guest_tsc(vcpu, rdtsc()) - vcpu->tsc_offset;
	u64 ns = ktime_get_raw_ns(), second = (u64)vcpu->tsc_khz * 1000;
	struct bawn_vm *vm = vcpu->vm;
	u64 expected;

	if (vm->cur_tsc_nsec && vm->cur_tsc_khz == vcpu->tsc_khz) {
		expected = vm->cur_tsc_write +
			   mul_u64_u32_div(ns - vm->cur_tsc_nsec, vcpu->tsc_khz, NSEC_PER_MSEC);
		if (!value || (vm->cur_tsc_write && value - expected + second < 2 * second))
			return check_tsc_unstable() ? expected - now : vm->cur_tsc_offset;
	}
	vm->cur_tsc_nsec = ns;
	vm->cur_tsc_write = value;
	vm->cur_tsc_khz = vcpu->tsc_khz;
	vm->cur_tsc_offset = value - now;
	return vm->cur_tsc_offset;
}

/* host: userspace's write; the guest's own moves this vCPU alone, and shows in TSC_ADJUST. */
void bawn_write_guest_tsc(struct bawn_vcpu *vcpu, u64 value, bool host)
{
	u64 moved;

	spin_lock(&vcpu->vm->clock_lock);
	if (host) {
		set_offset(vcpu, synchronized_offset(vcpu, value));
	} else {
		moved = value - bawn_read_guest_tsc(vcpu, rdtsc());
		vcpu->tsc_adjust += moved;
		set_offset(vcpu, vcpu->tsc_offset + moved);
	}
	spin_unlock(&vcpu->vm->clock_lock);
}

/* Userspace restores the register alone: the TSC itself is restored by its own write. */
void bawn_set_tsc_adjust(struct bawn_vcpu *vcpu, u64 value, bool host)
{
	if (!host) {
		spin_lock(&vcpu->vm->clock_lock);
		set_offset(vcpu, vcpu->tsc_offset + value - vcpu->tsc_adjust);
		spin_unlock(&vcpu->vm->clock_lock);
	}
	vcpu->tsc_adjust = value;
}

/* ---- Suspend of the host, which may set its TSC back ---- */

static u64 suspend_tsc;
u64 bawn_tsc_gap; /* what all suspends together took off the TSC */

/* The last CPU, interrupts disabled; all vCPU threads are frozen. */
void bawn_clock_suspend(void)
{
	suspend_tsc = rdtsc();
}

void bawn_clock_resume(void)
{
	u64 now = rdtsc();

	if (now < suspend_tsc)
		WRITE_ONCE(bawn_tsc_gap, bawn_tsc_gap + suspend_tsc - now);
}

/* As the vCPU is loaded: guest time goes on from where the suspend stopped it. */
void bawn_clock_rebase_slow(struct bawn_vcpu *vcpu)
{
	struct bawn_vm *vm = vcpu->vm;
	u64 gap = READ_ONCE(bawn_tsc_gap);

	spin_lock(&vm->clock_lock);
	if (vm->clock_gap != gap) {
		vm->clock_tsc -= gap - vm->clock_gap;
		vm->clock_gap = gap;
	}
	vcpu->tsc_offset += bawn_cpu->scale_tsc(vcpu->tsc_ratio, gap - vcpu->tsc_gap);
	vcpu->tsc_gap = gap;
	bawn_cpu->load_tsc(vcpu);
	spin_unlock(&vm->clock_lock);
	set_bit(BAWN_REQ_CLOCK, &vcpu->requests);
}

/* The scaling for a guest's rate, 0 for none; -EINVAL for a rate that this CPU cannot give. */
int bawn_tsc_ratio(u32 khz, u64 *ratio)
{
	u64 off = khz > tsc_khz ? khz - tsc_khz : tsc_khz - khz;

	*ratio = 0;
	if (off * 1000000 <= (u64)tsc_khz * TSC_TOLERANCE_PPM)
		return 0;
	*ratio = bawn_cpu->tsc_ratio(khz);
	return *ratio ? 0 : -EINVAL;
}

/* KVM_SET_TSC_KHZ: 0 means the host's. */
int bawn_set_tsc_khz(struct bawn_vcpu *vcpu, u32 khz)
{
	u64 ratio;

	khz = khz ?: tsc_khz;
	if (bawn_tsc_ratio(khz, &ratio))
		return -EINVAL;
	spin_lock(&vcpu->vm->clock_lock);
	vcpu->tsc_khz = khz;
	vcpu->tsc_ratio = ratio;
	set_offset(vcpu, vcpu->tsc_offset);
	spin_unlock(&vcpu->vm->clock_lock);
	return 0;
}

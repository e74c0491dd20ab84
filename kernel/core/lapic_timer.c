// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline, on one hrtimer (SDM vol. 3 11.5.4,
 * APM vol. 2 16.4.1). The callback only tells the vCPU; all else happens on the vCPU's own thread,
 * so that a guest's timer costs the host no more than the guest itself runs.
 */
#include <linux/math64.h>
#include <linux/version.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#include "lapic.h"

#define LVTT_MODE (3u << 17)

/* The bus clock is 1 GHz: one count is one nanosecond times the divider. */
#define MIN_PERIOD_NS (200ULL * NSEC_PER_USEC)
#define MAX_DEADLINE_SEC (365ULL * 24 * 3600)

static u32 timer_mode(struct bawn_lapic *apic)
{
	return lapic_get(apic, APIC_LVTT) & LVTT_MODE;
}

static bool counts(u32 mode)
{
	return mode == APIC_LVT_TIMER_ONESHOT || mode == APIC_LVT_TIMER_PERIODIC;
}

static unsigned int divide_shift(u32 tdcr)
{
	return (((tdcr & 3) | ((tdcr & 8) >> 1)) + 1) & 7;
}

static u64 count_to_ns(struct bawn_lapic *apic, u32 count)
{
	return (u64)count << divide_shift(lapic_get(apic, APIC_TDCR));
}

/* From the initial count to zero; 0 for a timer that is off. */
static u64 period_ns(struct bawn_lapic *apic)
{
	u64 ns = count_to_ns(apic, lapic_get(apic, APIC_TMICT));

	return ns && timer_mode(apic) == APIC_LVT_TIMER_PERIODIC ? max(ns, MIN_PERIOD_NS) : ns;
}

static enum hrtimer_restart timer_callback(struct hrtimer *timer)
{
	struct bawn_lapic *apic = container_of(timer, struct bawn_lapic, timer);

	WRITE_ONCE(apic->fired, true);
	bawn_vcpu_request(apic->vcpu, BAWN_REQ_TIMER);
	return HRTIMER_NORESTART;
}

void lapic_timer_init(struct bawn_lapic *apic)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(&apic->timer, timer_callback, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_HARD);
#else
	hrtimer_init(&apic->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_HARD);
	apic->timer.function = timer_callback;
#endif
}

void lapic_timer_stop(struct bawn_lapic *apic)
{
	hrtimer_cancel(&apic->timer);
	WRITE_ONCE(apic->fired, false);
	apic->target = 0;
	apic->deadline = 0;
}

static void arm(struct bawn_lapic *apic, u64 ns)
{
	apic->target = ktime_add_ns(ktime_get(), ns);
	hrtimer_start(&apic->timer, apic->target, HRTIMER_MODE_ABS_PINNED_HARD);
}

static void arm_deadline(struct bawn_lapic *apic)
{
	struct bawn_vcpu *vcpu = apic->vcpu;
	u64 now = bawn_read_guest_tsc(vcpu, rdtsc());
	u64 delta;

	if (!apic->deadline)
		return;
	if (apic->deadline <= now) {
		WRITE_ONCE(apic->fired, true);
		bawn_lapic_timer_fired(vcpu);
		return;
	}
	delta = min(apic->deadline - now, (u64)vcpu->tsc_khz * 1000 * MAX_DEADLINE_SEC);
	/* Rounded up: a deadline never fires early. */
	arm(apic, mul_u64_u32_div(delta, NSEC_PER_MSEC, vcpu->tsc_khz) + 1);
}

static u64 remaining_ns(struct bawn_lapic *apic)
{
	s64 left = ktime_to_ns(ktime_sub(apic->target, ktime_get()));

	return max(left, 0);
}

/* On the vCPU's thread, after the hrtimer: delivers the interrupt and starts the next period. */
void bawn_lapic_timer_fired(struct bawn_vcpu *vcpu)
{
	struct bawn_lapic *apic = vcpu->apic;
	u32 lvt = lapic_get(apic, APIC_LVTT);
	u64 period, late;

	if (!READ_ONCE(apic->fired))
		return;
	WRITE_ONCE(apic->fired, false);
	if (!(lvt & APIC_LVT_MASKED))
		lapic_accept(apic, lvt & APIC_VECTOR_MASK, false);
	late = max(ktime_to_ns(ktime_sub(ktime_get(), apic->target)), 0);
	period = period_ns(apic);
	apic->target = 0;
	apic->deadline = 0;
	/* Ticks that the vCPU missed are not made up for. */
	if (timer_mode(apic) == APIC_LVT_TIMER_PERIODIC && period)
		arm(apic, period - late % period);
}

void lapic_timer_set_lvt(struct bawn_lapic *apic, u32 value)
{
	u32 old = timer_mode(apic), mode = value & LVTT_MODE;

	bawn_lapic_timer_fired(apic->vcpu);
	lapic_set(apic, APIC_LVTT, value);
	/* Between one-shot and periodic the count goes on; other changes stop it. */
	if (mode == old || (counts(mode) && counts(old)))
		return;
	lapic_timer_stop(apic);
	lapic_set(apic, APIC_TMICT, 0);
}

void lapic_timer_set_count(struct bawn_lapic *apic, u32 value)
{
	if (!counts(timer_mode(apic)))
		return;
	bawn_lapic_timer_fired(apic->vcpu);
	lapic_timer_stop(apic);
	lapic_set(apic, APIC_TMICT, value);
	if (value)
		arm(apic, period_ns(apic));
}

void lapic_timer_set_divide(struct bawn_lapic *apic, u32 value)
{
	unsigned int old = divide_shift(lapic_get(apic, APIC_TDCR));

	if (!counts(timer_mode(apic))) {
		lapic_set(apic, APIC_TDCR, value);
		return;
	}
	hrtimer_cancel(&apic->timer);
	bawn_lapic_timer_fired(apic->vcpu);
	lapic_set(apic, APIC_TDCR, value);
	/* The current count stays, what it is worth changes. */
	if (apic->target)
		arm(apic, remaining_ns(apic) >> old << divide_shift(value));
}

/* The current-count register. */
u32 lapic_timer_count(struct bawn_lapic *apic)
{
	if (!counts(timer_mode(apic)))
		return 0;
	bawn_lapic_timer_fired(apic->vcpu);
	return min_t(u64, remaining_ns(apic) >> divide_shift(lapic_get(apic, APIC_TDCR)),
		     lapic_get(apic, APIC_TMICT));
}

/* After the register page was replaced: goes on from count. A deadline in force stays. */
void lapic_timer_restore(struct bawn_lapic *apic, u32 count)
{
	u32 mode = timer_mode(apic), initial = lapic_get(apic, APIC_TMICT);
	u64 deadline = apic->deadline;

	lapic_timer_stop(apic);
	if (mode == APIC_LVT_TIMER_TSCDEADLINE) {
		apic->deadline = deadline;
		arm_deadline(apic);
		return;
	}
	if (mode == APIC_LVT_TIMER_PERIODIC && !count)
		count = initial;
	count = min(count, initial);
	if (counts(mode) && count)
		arm(apic, count_to_ns(apic, count));
}

static bool deadline_mode(struct bawn_vcpu *vcpu)
{
	return lapic_enabled(vcpu) && timer_mode(vcpu->apic) == APIC_LVT_TIMER_TSCDEADLINE;
}

u64 bawn_lapic_get_tscdeadline(struct bawn_vcpu *vcpu)
{
	if (!deadline_mode(vcpu))
		return 0;
	bawn_lapic_timer_fired(vcpu);
	return vcpu->apic->deadline;
}

void bawn_lapic_set_tscdeadline(struct bawn_vcpu *vcpu, u64 value)
{
	if (!deadline_mode(vcpu))
		return;
	bawn_lapic_timer_fired(vcpu);
	lapic_timer_stop(vcpu->apic);
	vcpu->apic->deadline = value;
	arm_deadline(vcpu->apic);
}

/* Keeps the pinned hrtimer on the CPU that the vCPU runs on. Preemption is disabled. */
void bawn_lapic_migrate_timer(struct bawn_vcpu *vcpu)
{
	struct hrtimer *timer = &vcpu->apic->timer;

	if (hrtimer_cancel(timer))
		hrtimer_start_expires(timer, HRTIMER_MODE_ABS_PINNED_HARD);
}

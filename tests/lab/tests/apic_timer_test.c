/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's timer: one-shot, periodic, TSC deadline, the divider, the current count,
 * masking, changes of mode, and waking from HLT. Times are lower bounds: the lab is slow.
 */
#include "apic.h"

GUEST_FN(rdtsc);

#define VECTOR 0xd1
#define MS 1000000u /* in timer ticks: the bus runs at 1 GHz, divided by 1 */
#define DIVIDE_BY_1 0xb

static struct vcpu *timer_vcpu(bool x2)
{
    struct vcpu *v = apic_vcpu(vm_split(), 0, x2);

    apic_write(v, APIC_TDCR, DIVIDE_BY_1);
    return v;
}

static void one_shot(bool x2)
{
    struct vcpu *v = timer_vcpu(x2);
    uint64_t start = lab_now();

    apic_write(v, APIC_LVT_TIMER, VECTOR);
    apic_write(v, APIC_TMICT, 20 * MS);
    EXPECT_EQ(guest_call(v, wait_irqs, 1, 0, 0, 0), GUEST_DONE);
    EXPECT(lab_now() - start >= 19 * MS);
    EXPECT_EQ(mbox_logged(v, 0), VECTOR);
    EXPECT_EQ(apic_read(v, APIC_TMCCT), 0);
    usleep(40000);
    EXPECT_EQ(apic_window(v), 0);
    /* Stopped before it is over. */
    apic_write(v, APIC_TMICT, 50 * MS);
    apic_write(v, APIC_TMICT, 0);
    usleep(70000);
    EXPECT_EQ(apic_window(v), 0);
    vm_destroy(v->vm);
}

static void test_one_shot(void)
{
    apic_both(one_shot);
}

static void periodic(bool x2)
{
    struct vcpu *v = timer_vcpu(x2);
    uint64_t start = lab_now();

    apic_write(v, APIC_LVT_TIMER, VECTOR | TIMER_PERIODIC);
    apic_write(v, APIC_TMICT, 10 * MS);
    EXPECT_EQ(guest_call(v, wait_irqs, 6, 0, 0, 0), GUEST_DONE);
    EXPECT(lab_now() - start >= 50 * MS);
    EXPECT(apic_read(v, APIC_TMCCT) > 0);
    EXPECT(apic_read(v, APIC_TMCCT) <= 10 * MS);
    apic_write(v, APIC_LVT_TIMER, VECTOR | TIMER_PERIODIC | LVT_MASKED);
    apic_window(v);
    usleep(30000);
    EXPECT_EQ(apic_window(v), 0);
    vm_destroy(v->vm);
}

static void test_periodic(void)
{
    apic_both(periodic);
}

static void test_current_count(void)
{
    static const struct {
        uint32_t tdcr, divisor;
    } rows[] = { { 0xb, 1 }, { 0x0, 2 }, { 0x3, 16 }, { 0xa, 128 } };
    struct vcpu *v = timer_vcpu(true);

    /* Masked: it counts all the same. */
    apic_write(v, APIC_LVT_TIMER, VECTOR | LVT_MASKED);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t before, after, elapsed;
        uint32_t first, last;

        apic_write(v, APIC_TDCR, rows[i].tdcr);
        EXPECT_EQ(apic_read(v, APIC_TDCR), rows[i].tdcr);
        before = lab_now();
        apic_write(v, APIC_TMICT, 0xf0000000);
        first = apic_read(v, APIC_TMCCT);
        after = lab_now();
        EXPECT((0xf0000000 - first) <= (after - before) / rows[i].divisor + 1);
        usleep(20000);
        last = apic_read(v, APIC_TMCCT);
        elapsed = lab_now() - before;
        EXPECT(last < first);
        EXPECT(first - last >= 19 * MS / rows[i].divisor);
        EXPECT(first - last <= elapsed / rows[i].divisor + 1);
    }
    apic_write(v, APIC_TMICT, 2 * MS);
    usleep(300000); /* 2 ms, times 128 */
    EXPECT_EQ(apic_read(v, APIC_TMCCT), 0);
    EXPECT_EQ(apic_window(v), 0);
}

static uint64_t tsc_now(struct vcpu *v)
{
    EXPECT_EQ(guest_call(v, rdtsc, 0, 0, 0, 0), GUEST_DONE);
    return v->regs.rax;
}

static void deadline(bool x2)
{
    struct vcpu *v = timer_vcpu(x2);
    uint64_t khz = (uint64_t)kvm_callv(v->fd, KVM_GET_TSC_KHZ, 0), goal, value;

    apic_write(v, APIC_LVT_TIMER, VECTOR | TIMER_DEADLINE);
    goal = tsc_now(v) + 20 * khz;
    EXPECT_EQ(guest_wrmsr(v, MSR_TSC_DEADLINE, goal), GUEST_DONE);
    EXPECT_EQ(guest_rdmsr(v, MSR_TSC_DEADLINE, &value), GUEST_DONE);
    EXPECT(value == goal || value == 0); /* 0: already over */
    EXPECT_EQ(guest_call(v, wait_irqs, 1, 0, 0, 0), GUEST_DONE);
    EXPECT(tsc_now(v) >= goal);
    EXPECT_EQ(guest_rdmsr(v, MSR_TSC_DEADLINE, &value), GUEST_DONE);
    EXPECT_EQ(value, 0);
    /* In the past: at once. */
    EXPECT_EQ(guest_wrmsr(v, MSR_TSC_DEADLINE, 1), GUEST_DONE);
    EXPECT_EQ(guest_call(v, wait_irqs, 2, 0, 0, 0), GUEST_DONE);
    /* Disarmed. */
    EXPECT_EQ(guest_wrmsr(v, MSR_TSC_DEADLINE, tsc_now(v) + 60 * khz), GUEST_DONE);
    EXPECT_EQ(guest_wrmsr(v, MSR_TSC_DEADLINE, 0), GUEST_DONE);
    usleep(80000);
    EXPECT_EQ(apic_window(v), 0);
    /* The count register has no say in this mode. */
    apic_write(v, APIC_TMICT, MS);
    usleep(10000);
    EXPECT_EQ(apic_window(v), 0);
    vm_destroy(v->vm);
}

static void test_deadline(void)
{
    apic_both(deadline);
}

static void test_mode_change(void)
{
    struct vcpu *v = timer_vcpu(true);
    uint64_t khz = (uint64_t)kvm_callv(v->fd, KVM_GET_TSC_KHZ, 0), value;

    /* Leaving deadline mode disarms; the deadline is nothing in the other modes. */
    apic_write(v, APIC_LVT_TIMER, VECTOR | TIMER_DEADLINE);
    EXPECT_EQ(guest_wrmsr(v, MSR_TSC_DEADLINE, tsc_now(v) + 60 * khz), GUEST_DONE);
    apic_write(v, APIC_LVT_TIMER, VECTOR);
    EXPECT_EQ(guest_rdmsr(v, MSR_TSC_DEADLINE, &value), GUEST_DONE);
    EXPECT_EQ(value, 0);
    EXPECT_EQ(guest_wrmsr(v, MSR_TSC_DEADLINE, tsc_now(v) + khz), GUEST_DONE);
    EXPECT_EQ(guest_rdmsr(v, MSR_TSC_DEADLINE, &value), GUEST_DONE);
    EXPECT_EQ(value, 0);
    usleep(80000);
    EXPECT_EQ(apic_window(v), 0);
    /* One-shot still works after that. */
    apic_write(v, APIC_TMICT, MS);
    EXPECT_EQ(guest_call(v, wait_irqs, 1, 0, 0, 0), GUEST_DONE);
}

static void test_hlt(void)
{
    struct vcpu *v = timer_vcpu(true);

    apic_write(v, APIC_LVT_TIMER, VECTOR);
    for (unsigned i = 1; i <= 10; i++) {
        apic_write(v, APIC_TMICT, i * MS);
        EXPECT_EQ(guest_call(v, hlt_irq, 0, 0, 0, 0), GUEST_DONE);
        EXPECT_EQ(*mbox32(v, MBOX_COUNT), i);
    }
}

static void test_shortest_period(void)
{
    struct vcpu *v = timer_vcpu(true);

    /* A guest that asks for an interrupt each nanosecond must not stall the host. */
    apic_write(v, APIC_LVT_TIMER, VECTOR | TIMER_PERIODIC);
    apic_write(v, APIC_TMICT, 1);
    EXPECT_EQ(guest_call(v, wait_irqs, 20, 0, 0, 0), GUEST_DONE);
    apic_write(v, APIC_TMICT, 0);
    apic_window(v);
    EXPECT_EQ(apic_window(v), 0);
}

static void test_userspace_deadline(void)
{
    struct vcpu *v = timer_vcpu(true);

    apic_write(v, APIC_LVT_TIMER, VECTOR | TIMER_DEADLINE);
    EXPECT_EQ(vcpu_set_msr(v, MSR_TSC_DEADLINE, tsc_now(v) + 1000), 1);
    EXPECT_EQ(guest_call(v, wait_irqs, 1, 0, 0, 0), GUEST_DONE);
}

static const struct lab_test tests[] = {
    { "one-shot", test_one_shot },
    { "periodic", test_periodic },
    { "divider and current count", test_current_count },
    { "TSC deadline", test_deadline },
    { "changes of mode", test_mode_change },
    { "wakes from HLT", test_hlt },
    { "shortest period", test_shortest_period },
    { "deadline set by userspace", test_userspace_deadline },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The guest's time on a processor that scales the TSC: the clock page shows what KVM_GET_CLOCK does
 * at any rate, the processor is told the rate, deadlines come when the guest's TSC is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/kvm_para.h>

#include "svm_machine.h"

#define MSR_TSC 0x10u
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_TIMER 0x832u
#define MSR_X2APIC_SPURIOUS 0x80fu
#define MSR_APIC_BASE 0x1bu
#define CLOCK_PAGE 0x4000ull
#define MILLISECOND 1000000ull
#define SECOND (1000 * MILLISECOND)

static struct sim_vm vm;

/* Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW */
struct page {
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad[2];
};

static uint64_t get_msr(uint32_t index)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } m = { { 1, 0 }, { index, 0, 0 } };

    assert_int_equal(sim_vm_call(&vm, vm.vcpu[0], KVM_GET_MSRS, &m, sizeof(m)), 1);
    return m.entry.data;
}

static void set_msr(uint32_t index, uint64_t value)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } m = { { 1, 0 }, { index, 0, value } };

    assert_int_equal(sim_vm_call(&vm, vm.vcpu[0], KVM_SET_MSRS, &m, sizeof(m)), 1);
}

static uint64_t get_clock(void)
{
    struct kvm_clock_data c;

    assert_int_equal(sim_vm_call(&vm, vm.fd, KVM_GET_CLOCK, &c, sizeof(c)), 0);
    return c.clock;
}

/* ---- The guest: writes an MSR, halts, or leaves for userspace ---- */

static struct {
    bool deadline; /* the next step sets the timer, and the one after it halts */
    uint64_t at;
    unsigned step;
    uint64_t woken; /* virtual time */
} guest;

static void play(void *context, struct sim_entry *entry)
{
    struct sim_svm_state s;
    struct sim_svm_exit out = { .code = SIM_EXIT_IOIO, .info1 = 0x80 << 16 | 1 << 4 };

    (void)context;
    sim_svm_get(entry, &s);
    if (guest.deadline && guest.step == 0) {
        entry->gpr[1] = MSR_TSC_DEADLINE;
        s.rax = (uint32_t)guest.at;
        s.rflags |= 1u << 9;
        entry->gpr[2] = guest.at >> 32;
        out = (struct sim_svm_exit){ .code = SIM_EXIT_MSR, .info1 = 1 };
    } else if (guest.deadline && guest.step == 1) {
        out = (struct sim_svm_exit){ .code = SIM_EXIT_HLT };
    } else if (guest.deadline) {
        guest.woken = sim_now();
        assert_int_equal(sim_svm_injected(entry) & 0xff, 0x41);
        guest.deadline = false;
    }
    guest.step++;
    out.next_rip = s.rip + 2;
    if (out.code == SIM_EXIT_IOIO)
        out.info2 = out.next_rip;
    sim_svm_set(entry, &s);
    sim_svm_leave(entry, &out);
}

static int setup(void **state)
{
    (void)state;
    memset(&guest, 0, sizeof(guest));
    machine_new(&vm, 1, play);
    return 0;
}

static uint64_t page_time(const struct page *p, uint64_t tsc)
{
    uint64_t delta = tsc - p->tsc_timestamp;

    delta = p->shift < 0 ? delta >> -p->shift : delta << p->shift;
    return p->system_time + (uint64_t)((unsigned __int128)delta * p->mul >> 32);
}

static const uint32_t rates[] = { SIM_TSC_KHZ,         SIM_TSC_KHZ / 2,     SIM_TSC_KHZ * 2,
                                  SIM_TSC_KHZ + 12345, SIM_TSC_KHZ - 99999, 800000 };

static void clock_page_at_any_rate(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        const struct page *p;
        uint64_t tsc, t0;

        setup(NULL);
        assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_SET_TSC_KHZ, rates[i]), 0);
        assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_GET_TSC_KHZ, 0), rates[i]);
        set_msr(MSR_KVM_SYSTEM_TIME_NEW, CLOCK_PAGE | 1);
        assert_int_equal(sim_vm_run(&vm, 0), 0);
        p = sim_vm_at(&vm, CLOCK_PAGE);
        assert_non_null(p);
        assert_int_equal(p->version % 2, 0);
        tsc = get_msr(MSR_TSC);
        t0 = sim_now();
        sim_advance(100 * SECOND);
        /* No call takes virtual time, so that both reads are of one moment. */
        tsc = get_msr(MSR_TSC) - tsc;
        assert_true(tsc / 1000 - (sim_now() - t0) / 1000000 * rates[i] / 1000 + 1000 < 2000);
        assert_true(page_time(p, get_msr(MSR_TSC)) - get_clock() + 2000 < 4000);
        machine_end(NULL);
    }
}

static void rate_that_the_cpu_has_not(void **state)
{
    (void)state;
    /* 8.32 bits: less than 256 times the host's. APM vol. 2, 15.30.5 */
    assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_SET_TSC_KHZ, SIM_TSC_KHZ * 255), 0);
    assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_SET_TSC_KHZ, SIM_TSC_KHZ * 256), -EINVAL);
    assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_GET_TSC_KHZ, 0), SIM_TSC_KHZ * 255);
    /* Within what the clock would drift anyway: not scaled. */
    assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_SET_TSC_KHZ, SIM_TSC_KHZ + 400), 0);
    assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_GET_TSC_KHZ, 0), SIM_TSC_KHZ + 400);
}

static void deadline_at_any_rate(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        uint64_t from, took;

        setup(NULL);
        assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_SET_TSC_KHZ, rates[i]), 0);
        set_msr(MSR_APIC_BASE, 0xfee00d00);
        set_msr(MSR_X2APIC_SPURIOUS, 0x1ff);
        set_msr(MSR_X2APIC_TIMER, 2u << 17 | 0x41);
        guest.deadline = true;
        guest.at = get_msr(MSR_TSC) + 30ull * rates[i]; /* 30 ms */
        from = sim_now();
        assert_int_equal(sim_vm_run(&vm, 0), 0);
        took = guest.woken - from;
        assert_true(took >= 30 * MILLISECOND - 1000 && took < 30 * MILLISECOND + 100000);
        machine_end(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_page_at_any_rate),
        TEST(rate_that_the_cpu_has_not),
        cmocka_unit_test(deadline_at_any_rate),
    };

    return cmocka_run_group_tests(tests, machine_start, NULL);
}

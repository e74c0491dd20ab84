/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC as the guests of the apic_* tests use it: register access in xAPIC and x2APIC
 * mode by guest code, and the register page as KVM_GET_LAPIC shows it.
 */
#ifndef BAWN_TEST_APIC_H
#define BAWN_TEST_APIC_H

#include "harness.h"

#define APIC_PAGE 0xfee00000ull
#define MSR_APIC_BASE 0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define BASE_BSP 0x100
#define BASE_X2 0x400
#define BASE_ENABLED 0x800

#define APIC_ID 0x20
#define APIC_VERSION 0x30
#define APIC_TPR 0x80
#define APIC_PPR 0xa0
#define APIC_EOI 0xb0
#define APIC_LDR 0xd0
#define APIC_DFR 0xe0
#define APIC_SVR 0xf0
#define APIC_ISR 0x100
#define APIC_TMR 0x180
#define APIC_IRR 0x200
#define APIC_ESR 0x280
#define APIC_ICR 0x300
#define APIC_ICR2 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_PERF 0x340
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TMICT 0x380
#define APIC_TMCCT 0x390
#define APIC_TDCR 0x3e0
#define APIC_SELF_IPI 0x3f0

#define LVT_MASKED 0x10000u
#define TIMER_PERIODIC 0x20000u
#define TIMER_DEADLINE 0x40000u

/* ICR fields. */
#define ICR_LOWEST 0x100u
#define ICR_NMI 0x400u
#define ICR_INIT 0x500u
#define ICR_STARTUP 0x600u
#define ICR_LOGICAL 0x800u
#define ICR_ASSERT 0x4000u
#define ICR_LEVEL 0x8000u
#define ICR_SELF 0x40000u
#define ICR_ALL 0x80000u
#define ICR_OTHERS 0xc0000u

static inline bool apic_is_x2(struct vcpu *v)
{
    return *mbox32(v, MBOX_IRQ_MODE) & IRQ_EOI_X2APIC;
}

static inline void apic_write(struct vcpu *v, uint32_t reg, uint32_t value)
{
    if (apic_is_x2(v))
        EXPECT_EQ(guest_wrmsr(v, 0x800 + (reg >> 4), value), GUEST_DONE);
    else
        guest_store32(v, APIC_PAGE + reg, value);
}

static inline uint32_t apic_read(struct vcpu *v, uint32_t reg)
{
    uint64_t value;

    if (!apic_is_x2(v))
        return guest_load32(v, APIC_PAGE + reg);
    EXPECT_EQ(guest_rdmsr(v, 0x800 + (reg >> 4), &value), GUEST_DONE);
    return (uint32_t)value;
}

/* Sends an IPI; dest is an APIC ID or logical destination (xAPIC: 8 bits). */
static inline void apic_ipi(struct vcpu *v, uint32_t dest, uint32_t icr)
{
    if (apic_is_x2(v)) {
        EXPECT_EQ(guest_wrmsr(v, 0x830, (uint64_t)dest << 32 | icr), GUEST_DONE);
    } else {
        guest_store32(v, APIC_PAGE + APIC_ICR2, dest << 24);
        guest_store32(v, APIC_PAGE + APIC_ICR, icr);
    }
}

/* A vCPU with its APIC on, in the mode asked for, and handlers that write EOI. */
static inline struct vcpu *apic_vcpu(struct vm *vm, unsigned id, bool x2)
{
    struct vcpu *v = vcpu_new(vm, id);
    uint64_t base = APIC_PAGE | BASE_ENABLED | (id ? 0 : BASE_BSP);

    *mbox32(v, MBOX_IRQ_MODE) = x2 ? IRQ_EOI_X2APIC : IRQ_EOI_XAPIC;
    if (x2)
        ASSERT_EQ(guest_wrmsr(v, MSR_APIC_BASE, base | BASE_X2), GUEST_DONE);
    apic_write(v, APIC_SVR, 0x1ff);
    return v;
}

static inline int apic_msi(struct vm *vm, uint32_t dest, uint32_t data)
{
    struct kvm_msi msi = { .address_lo = APIC_PAGE | dest << 12, .data = data };

    return kvm_call(vm->fd, KVM_SIGNAL_MSI, &msi);
}

static inline uint32_t apic_page_read(struct vcpu *v, uint32_t reg)
{
    struct kvm_lapic_state s;

    ASSERT_EQ(kvm_call(v->fd, KVM_GET_LAPIC, &s), 0);
    return *(uint32_t *)(s.regs + reg);
}

/* Whether a vector's bit is set in ISR, TMR or IRR. */
static inline bool apic_vector(struct vcpu *v, uint32_t reg, uint8_t vector)
{
    return apic_page_read(v, reg + 0x10 * (vector / 32)) >> (vector % 32) & 1;
}

/* Opens the interrupt window once and tells how many came in. */
static inline unsigned apic_window(struct vcpu *v)
{
    uint32_t before = *mbox32(v, MBOX_COUNT);

    EXPECT_EQ(guest_call(v, window, 0, 0, 0, 0), GUEST_DONE);
    return *mbox32(v, MBOX_COUNT) - before;
}

/* Runs a test body in both modes. */
static inline void apic_both(void (*body)(bool x2))
{
    lab_row("xAPIC");
    body(false);
    lab_row("x2APIC");
    body(true);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's modes and registers: reset values, the transitions between disabled, xAPIC
 * and x2APIC, what each register takes and refuses, KVM_GET_LAPIC and KVM_SET_LAPIC.
 */
#include "apic.h"

static void test_reset(void)
{
    static const struct {
        const char *name;
        uint32_t reg, value, mask;
    } rows[] = {
        { "TPR", APIC_TPR, 0, ~0u },
        { "LDR", APIC_LDR, 0, ~0u },
        { "DFR", APIC_DFR, ~0u, ~0u },
        { "SVR", APIC_SVR, 0xff, ~0u },
        { "version", APIC_VERSION, 0x10, 0xf0 },
        { "LVT timer", APIC_LVT_TIMER, LVT_MASKED, ~0u },
        { "LVT LINT1", APIC_LVT_LINT1, LVT_MASKED, ~0u },
        { "LVT error", APIC_LVT_ERROR, LVT_MASKED, ~0u },
        { "ICR", APIC_ICR, 0, ~0u },
        { "timer count", APIC_TMICT, 0, ~0u },
        { "timer current count", APIC_TMCCT, 0, ~0u },
        { "timer divide", APIC_TDCR, 0, ~0u },
        { "ISR", APIC_ISR + 0x70, 0, ~0u },
        { "IRR", APIC_IRR, 0, ~0u },
    };
    struct vm *vm = vm_split();

    for (unsigned id = 0; id < 3; id++) {
        struct vcpu *v = vcpu_new(vm, id);

        EXPECT_EQ(vcpu_sregs(v).apic_base, APIC_PAGE | BASE_ENABLED | (id ? 0 : BASE_BSP));
        EXPECT_EQ(apic_read(v, APIC_ID), id << 24);
        for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
            lab_row(rows[i].name);
            EXPECT_EQ(apic_read(v, rows[i].reg) & rows[i].mask, rows[i].value);
        }
        lab_row(NULL);
    }
}

enum mode { OFF, XAPIC, X2APIC, INVALID };

static const uint64_t mode_bits[] = { 0, BASE_ENABLED, BASE_ENABLED | BASE_X2, BASE_X2 };

static void test_transitions(void)
{
    static const struct {
        const char *name;
        enum mode from, to;
        bool good;
    } rows[] = {
        { "xAPIC to xAPIC", XAPIC, XAPIC, true },
        { "xAPIC to x2APIC", XAPIC, X2APIC, true },
        { "xAPIC to off", XAPIC, OFF, true },
        { "xAPIC to invalid", XAPIC, INVALID, false },
        { "x2APIC to x2APIC", X2APIC, X2APIC, true },
        { "x2APIC to xAPIC", X2APIC, XAPIC, false },
        { "x2APIC to off", X2APIC, OFF, true },
        { "x2APIC to invalid", X2APIC, INVALID, false },
        { "off to xAPIC", OFF, XAPIC, true },
        { "off to x2APIC", OFF, X2APIC, false },
        { "off to invalid", OFF, INVALID, false },
        { "off to off", OFF, OFF, true },
    };
    const uint64_t rest = APIC_PAGE | BASE_BSP;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vm *vm = vm_split();
        struct vcpu *v = vcpu_new(vm, 0);
        uint64_t base;

        lab_row(rows[i].name);
        if (rows[i].from != XAPIC)
            ASSERT_EQ(guest_wrmsr(v, MSR_APIC_BASE, rest | mode_bits[rows[i].from]), GUEST_DONE);
        EXPECT_EQ(guest_wrmsr(v, MSR_APIC_BASE, rest | mode_bits[rows[i].to]),
                  rows[i].good ? GUEST_DONE : GUEST_FAULT);
        if (!rows[i].good)
            EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 13);
        EXPECT_EQ(guest_rdmsr(v, MSR_APIC_BASE, &base), GUEST_DONE);
        EXPECT_EQ(base, rest | mode_bits[rows[i].good ? rows[i].to : rows[i].from]);
        EXPECT_EQ(vcpu_sregs(v).apic_base, base);
        vm_destroy(vm);
    }
}

static void test_base_reserved(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);
    const uint64_t good = APIC_PAGE | BASE_BSP | BASE_ENABLED;

    EXPECT_EQ(guest_wrmsr(v, MSR_APIC_BASE, good | 1), GUEST_FAULT);
    EXPECT_EQ(guest_wrmsr(v, MSR_APIC_BASE, good | 0x200), GUEST_FAULT);
    EXPECT_EQ(guest_wrmsr(v, MSR_APIC_BASE, good | BIT(60)), GUEST_FAULT);
}

static void test_off(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);
    uint64_t value;
    int how;

    EXPECT_EQ(guest_call(v, cpuid, 1, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rdx & BIT(9), BIT(9));
    ASSERT_EQ(guest_wrmsr(v, MSR_APIC_BASE, APIC_PAGE | BASE_BSP), GUEST_DONE);
    EXPECT_EQ(guest_call(v, cpuid, 1, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rdx & BIT(9), 0); /* CPUID follows */
    EXPECT_EQ(guest_rdmsr(v, 0x802, &value), GUEST_FAULT);
    /* No APIC at the page: nothing there, or userspace's. */
    how = guest_call(v, load32, APIC_PAGE + APIC_VERSION, 0, 0, 0);
    EXPECT(how == KVM_EXIT_MMIO || (how == GUEST_DONE && (uint32_t)v->regs.rax == ~0u));
    if (how == KVM_EXIT_MMIO)
        guest_resume(v);
    EXPECT_EQ(apic_msi(v->vm, 0, 0x55) > 0, 0);
    EXPECT_EQ(apic_window(v), 0);
}

static void test_xapic_registers(void)
{
    static const struct {
        const char *name;
        uint32_t reg, write, read;
    } rows[] = {
        { "TPR", APIC_TPR, 0xa0, 0xa0 },
        { "TPR: upper bits", APIC_TPR, 0xffffff10, 0x10 },
        { "LDR", APIC_LDR, 0xffffffff, 0xff000000 },
        { "DFR: cluster", APIC_DFR, 0x00000000, 0x0fffffff },
        { "DFR: flat", APIC_DFR, 0xf0000000, 0xffffffff },
        { "SVR", APIC_SVR, 0x1ef, 0x1ef },
        { "LVT timer", APIC_LVT_TIMER, 0x200ef, 0x200ef },
        { "LVT error", APIC_LVT_ERROR, 0x100fe, 0x100fe },
        { "LVT LINT1", APIC_LVT_LINT1, 0x0400, 0x0400 },
        { "timer divide", APIC_TDCR, 0xb, 0xb },
        { "ICR2", APIC_ICR2, 0x3f000000, 0x3f000000 },
    };
    struct vcpu *v = apic_vcpu(vm_split(), 0, false);
    uint64_t value;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        apic_write(v, rows[i].reg, rows[i].write);
        EXPECT_EQ(apic_read(v, rows[i].reg), rows[i].read);
    }
    lab_row(NULL);
    /* Read-only: no harm. */
    apic_write(v, APIC_VERSION, 0);
    apic_write(v, APIC_PPR, 0xff);
    apic_write(v, APIC_ISR, 0xffffffff);
    apic_write(v, APIC_IRR, 0xffffffff);
    apic_write(v, APIC_TMCCT, 0xffffffff);
    EXPECT_EQ(apic_read(v, APIC_ISR), 0);
    EXPECT_EQ(apic_read(v, APIC_IRR), 0);
    EXPECT(apic_read(v, APIC_VERSION) != 0);
    EXPECT_EQ(guest_rdmsr(v, 0x802, &value), GUEST_FAULT); /* x2APIC's way in */
}

static void test_x2apic_registers(void)
{
    static const struct {
        const char *name;
        uint32_t msr;
        bool write;
        uint64_t value;
        bool good;
        uint64_t read; /* of good reads */
    } rows[] = {
        { "ID", 0x802, false, 0, true, 3 },
        { "ID, write", 0x802, true, 3, false, 0 },
        { "LDR", 0x80d, false, 0, true, 8 },
        { "LDR, write", 0x80d, true, 8, false, 0 },
        { "DFR", 0x80e, false, 0, false, 0 },
        { "DFR, write", 0x80e, true, 0, false, 0 },
        { "TPR", 0x808, true, 0x20, true, 0 },
        { "TPR, read", 0x808, false, 0, true, 0x20 },
        { "TPR, upper half", 0x808, true, BIT(32), false, 0 },
        { "PPR, read", 0x80a, false, 0, true, 0x20 },
        { "EOI, read", 0x80b, false, 0, false, 0 },
        { "EOI", 0x80b, true, 0, true, 0 },
        { "SVR", 0x80f, false, 0, true, 0x1ff },
        { "ISR, write", 0x810, true, 0, false, 0 },
        { "ISR", 0x817, false, 0, true, 0 },
        { "IRR, write", 0x820, true, 0, false, 0 },
        { "ESR", 0x828, true, 0, true, 0 },
        { "ESR, not zero", 0x828, true, 1, false, 0 },
        { "ICR high half", 0x831, false, 0, false, 0 },
        { "ICR high half, write", 0x831, true, 0, false, 0 },
        { "LVT timer", 0x832, true, 0x100aa, true, 0 },
        { "LVT timer, read", 0x832, false, 0, true, 0x100aa },
        { "timer current count, write", 0x839, true, 1, false, 0 },
        { "divide", 0x83e, true, 3, true, 0 },
        { "self IPI, read", 0x83f, false, 0, false, 0 },
        { "self IPI, reserved bits", 0x83f, true, 0x100, false, 0 },
        { "no such register", 0x800, false, 0, false, 0 },
        { "no such register, write", 0x80c, true, 0, false, 0 },
        { "no such register at the end", 0x8ff, false, 0, false, 0 },
    };
    struct vm *vm = vm_split();
    struct vcpu *v = (vcpu_new(vm, 0), apic_vcpu(vm, 3, true));

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t value = rows[i].read;
        int how;

        lab_row(rows[i].name);
        how = rows[i].write ? guest_wrmsr(v, rows[i].msr, rows[i].value)
                            : guest_rdmsr(v, rows[i].msr, &value);
        EXPECT_EQ(how, rows[i].good ? GUEST_DONE : GUEST_FAULT);
        if (rows[i].good)
            EXPECT_EQ(value, rows[i].read);
    }
}

static void test_x2apic_page(void)
{
    struct vcpu *v = apic_vcpu(vm_split(), 0, true);
    int how = guest_call(v, load32, APIC_PAGE + APIC_VERSION, 0, 0, 0);

    EXPECT(how == KVM_EXIT_MMIO || (how == GUEST_DONE && (uint32_t)v->regs.rax == ~0u));
}

static void test_tpr_and_cr8(bool x2)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, x2);

    for (unsigned i = 0; i < 16; i += 5) {
        EXPECT_EQ(guest_call(v, write_cr8, i, 0, 0, 0), GUEST_DONE);
        EXPECT_EQ(apic_read(v, APIC_TPR), i << 4);
        EXPECT_EQ(apic_read(v, APIC_PPR), i << 4);
        EXPECT_EQ(vcpu_sregs(v).cr8, i);
        apic_write(v, APIC_TPR, (15 - i) << 4 | 3);
        EXPECT_EQ(guest_call(v, read_cr8, 0, 0, 0, 0), GUEST_DONE);
        EXPECT_EQ(v->regs.rax, 15 - i);
    }
    vm_destroy(vm);
}

static void test_cr8(void)
{
    apic_both(test_tpr_and_cr8);
}

static void round_trip(bool x2)
{
    static const struct {
        uint32_t reg, value;
    } set[] = { { APIC_TPR, 0x10 },       { APIC_SVR, 0x1fe }, { APIC_LVT_TIMER, 0x200e0 },
                { APIC_LVT_ERROR, 0xe1 }, { APIC_TDCR, 0xb },  { APIC_TMICT, 0x7fffffff } };
    struct vm *vm[2] = { vm_split(), vm_split() };
    struct vcpu *v = apic_vcpu(vm[0], 0, x2), *w = vcpu_new(vm[1], 0);
    struct kvm_lapic_state s, t;
    struct kvm_sregs sregs;
    uint32_t count;

    for (unsigned i = 0; i < ARRAY_SIZE(set); i++)
        apic_write(v, set[i].reg, set[i].value);
    apic_ipi(v, 0, 0x77 | ICR_ASSERT);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_LAPIC, &s), 0);
    EXPECT_EQ(*(uint32_t *)(s.regs + APIC_IRR + 0x30) >> 23 & 1, 1);

    sregs = vcpu_sregs(w);
    sregs.apic_base = vcpu_sregs(v).apic_base;
    ASSERT_EQ(vcpu_set_sregs(w, &sregs), 0);
    *mbox32(w, MBOX_IRQ_MODE) = *mbox32(v, MBOX_IRQ_MODE);
    ASSERT_EQ(kvm_call(w->fd, KVM_SET_LAPIC, &s), 0);
    ASSERT_EQ(kvm_call(w->fd, KVM_GET_LAPIC, &t), 0);
    memset(s.regs + APIC_TMCCT, 0, 4); /* that one goes on */
    memset(t.regs + APIC_TMCCT, 0, 4);
    EXPECT_EQ(memcmp(&s, &t, sizeof(s)), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(set); i++)
        EXPECT_EQ(apic_read(w, set[i].reg), set[i].value);
    count = apic_read(w, APIC_TMCCT);
    EXPECT(count > 0 && count < 0x7fffffff);
    /* The pending interrupt came along. */
    EXPECT_EQ(apic_window(w), 1);
    EXPECT_EQ(mbox_logged(w, 0), 0x77);
    vm_destroy(vm[0]);
    vm_destroy(vm[1]);
}

static void test_round_trip(void)
{
    apic_both(round_trip);
}

static void test_wide_ids(void)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_X2APIC_API,
                                  .args = { KVM_X2APIC_API_USE_32BIT_IDS } };
    struct vm *narrow = vm_split(), *wide = vm_split();
    struct vcpu *v;

    /* How an x2APIC's ID stands in the register page is the VMM's choice. */
    ASSERT_EQ(kvm_call(wide->fd, KVM_ENABLE_CAP, &cap), 0);
    v = (apic_vcpu(narrow, 0, true), apic_vcpu(narrow, 3, true));
    EXPECT_EQ(apic_page_read(v, APIC_ID), 3u << 24);
    v = (apic_vcpu(wide, 0, true), apic_vcpu(wide, 3, true));
    EXPECT_EQ(apic_page_read(v, APIC_ID), 3);
    cap.args[0] = 0x80;
    EXPECT_EQ(kvm_call(wide->fd, KVM_ENABLE_CAP, &cap), -EINVAL);
}

static void test_lapic_calls_refused(void)
{
    struct vcpu *bare = vcpu_new(vm_bare(), 0), *v = vcpu_new(vm_split(), 0);
    struct kvm_lapic_state s;

    EXPECT_EQ(kvm_call(bare->fd, KVM_GET_LAPIC, &s), -EINVAL);
    EXPECT_EQ(kvm_call(v->fd, KVM_GET_LAPIC, NULL), -EFAULT);
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_LAPIC, NULL), -EFAULT);
}

static const struct lab_test tests[] = {
    { "reset values", test_reset },
    { "mode transitions", test_transitions },
    { "APIC base: reserved bits", test_base_reserved },
    { "APIC switched off", test_off },
    { "xAPIC registers", test_xapic_registers },
    { "x2APIC registers", test_x2apic_registers },
    { "no page in x2APIC mode", test_x2apic_page },
    { "TPR and CR8", test_cr8 },
    { "KVM_GET_LAPIC to KVM_SET_LAPIC", test_round_trip },
    { "32-bit IDs in the register page", test_wide_ids },
    { "KVM_GET/SET_LAPIC refused", test_lapic_calls_refused },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

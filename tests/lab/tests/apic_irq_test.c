/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt delivery by the local APIC: destinations, delivery modes, priorities, nesting and
 * EOI, in xAPIC and x2APIC mode, by IPI and by message; INIT and SIPI; illegal vectors.
 */
#include "apic.h"

GUEST_FN(ap_start);

#define NR 4 /* vCPUs in the tests of destinations */

static void make_vcpus(struct vm *vm, unsigned nr, bool x2)
{
    for (unsigned i = 0; i < nr; i++)
        apic_vcpu(vm, i, x2);
}

/* Lets each vCPU take what it has; answers which of them took one. */
static unsigned who_got(struct vm *vm, unsigned nr)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < nr; i++) {
        unsigned n = apic_window(vm->vcpu[i]);

        EXPECT(n <= 1);
        mask |= n << i;
    }
    return mask;
}

/* ---- vectors ---- */

static void vectors(bool x2)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, x2);

    for (unsigned vector = 0x20; vector < 0x100; vector += 13) {
        EXPECT_EQ(apic_msi(vm, 0, vector), 1);
        EXPECT_EQ(apic_vector(v, APIC_IRR, (uint8_t)vector), 1);
        EXPECT_EQ(apic_window(v), 1);
        EXPECT_EQ(mbox_logged(v, *mbox32(v, MBOX_COUNT) - 1), vector);
        EXPECT_EQ(apic_vector(v, APIC_IRR, (uint8_t)vector), 0);
        EXPECT_EQ(apic_vector(v, APIC_ISR, (uint8_t)vector), 0);
    }
    /* Twice before it is taken: once. */
    apic_msi(vm, 0, 0x61);
    apic_msi(vm, 0, 0x61);
    EXPECT_EQ(apic_window(v), 1);
    EXPECT_EQ(apic_window(v), 0);
    vm_destroy(vm);
}

static void test_vectors(void)
{
    apic_both(vectors);
}

static void illegal(bool x2)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, x2);

    apic_write(v, APIC_ESR, 0);
    apic_ipi(v, 0, 5 | ICR_ASSERT);
    EXPECT_EQ(apic_window(v), 0);
    if (lab_is_bawn) { /* KVM keeps no error status */
        apic_write(v, APIC_ESR, 0);
        EXPECT_EQ(apic_read(v, APIC_ESR) & 0x20, 0x20); /* send illegal vector */
        apic_write(v, APIC_ESR, 0);
        EXPECT_EQ(apic_read(v, APIC_ESR), 0);
        apic_write(v, APIC_LVT_ERROR, 0xe5);
        apic_msi(vm, 0, 9);
        EXPECT_EQ(apic_window(v), 1);
        EXPECT_EQ(mbox_logged(v, 0), 0xe5);
        apic_write(v, APIC_ESR, 0);
        EXPECT_EQ(apic_read(v, APIC_ESR) & 0x40, 0x40); /* received illegal vector */
    } else {
        apic_msi(vm, 0, 9);
        EXPECT_EQ(apic_window(v), 0);
    }
    vm_destroy(vm);
}

static void test_illegal(void)
{
    apic_both(illegal);
}

/* ---- priorities ---- */

static void priorities(bool x2)
{
    static const uint8_t order[] = { 0xe1, 0x93, 0x92, 0x52, 0x31, 0x21 };
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, x2);

    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        apic_msi(vm, 0, order[(i * 5 + 2) % ARRAY_SIZE(order)]);
    EXPECT_EQ(guest_call(v, wait_irqs, ARRAY_SIZE(order), 0, 0, 0), GUEST_DONE);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        EXPECT_EQ(mbox_logged(v, i), order[i]);
    vm_destroy(vm);
}

static void test_priorities(void)
{
    apic_both(priorities);
}

static void nesting(bool x2)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, x2);

    *mbox32(v, MBOX_IRQ_MODE) |= IRQ_EXIT | IRQ_STI;
    apic_msi(vm, 0, 0x43);
    ASSERT_EQ(guest_call(v, window, 0, 0, 0, 0), GUEST_IRQ);
    EXPECT_EQ(apic_vector(v, APIC_ISR, 0x43), 1);
    EXPECT_EQ(apic_page_read(v, APIC_PPR) & 0xf0, 0x40);
    apic_msi(vm, 0, 0x41); /* lower */
    apic_msi(vm, 0, 0x4f); /* the same class: waits too */
    apic_msi(vm, 0, 0x62); /* nests */
    ASSERT_EQ(guest_resume(v), GUEST_IRQ);
    EXPECT_EQ(mbox_logged(v, 1), 0x62);
    EXPECT_EQ(apic_vector(v, APIC_ISR, 0x43), 1);
    EXPECT_EQ(apic_vector(v, APIC_ISR, 0x62), 1);
    EXPECT_EQ(apic_vector(v, APIC_IRR, 0x4f), 1);
    EXPECT_EQ(apic_page_read(v, APIC_PPR) & 0xf0, 0x60);
    /* EOI of 0x62, then of 0x43, then the two that waited, one after the other. */
    ASSERT_EQ(guest_resume(v), GUEST_IRQ);
    EXPECT_EQ(mbox_logged(v, 2), 0x4f);
    EXPECT_EQ(apic_vector(v, APIC_ISR, 0x43), 0);
    ASSERT_EQ(guest_resume(v), GUEST_IRQ);
    EXPECT_EQ(mbox_logged(v, 3), 0x41);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(apic_page_read(v, APIC_PPR), 0);
    vm_destroy(vm);
}

static void test_nesting(void)
{
    apic_both(nesting);
}

static void task_priority(bool x2)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, x2);

    apic_write(v, APIC_TPR, 0x50);
    apic_msi(vm, 0, 0x5a);
    EXPECT_EQ(apic_window(v), 0);
    apic_msi(vm, 0, 0x60);
    EXPECT_EQ(apic_window(v), 1);
    EXPECT_EQ(mbox_logged(v, 0), 0x60);
    apic_write(v, APIC_TPR, 0x40);
    EXPECT_EQ(apic_window(v), 1);
    EXPECT_EQ(mbox_logged(v, 1), 0x5a);
    /* The same through CR8: it is lowered while an interrupt waits for that. */
    EXPECT_EQ(guest_call(v, write_cr8, 7, 0, 0, 0), GUEST_DONE);
    apic_msi(vm, 0, 0x75);
    EXPECT_EQ(apic_window(v), 0);
    EXPECT_EQ(guest_call(v, write_cr8, 6, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(apic_window(v), 1);
    EXPECT_EQ(mbox_logged(v, 2), 0x75);
    vm_destroy(vm);
}

static void test_task_priority(void)
{
    apic_both(task_priority);
}

static void soft_disabled(bool x2)
{
    struct vm *vm = vm_split();
    struct vcpu *v = apic_vcpu(vm, 0, x2);

    apic_write(v, APIC_SVR, 0xff);
    apic_msi(vm, 0, 0x45);
    EXPECT_EQ(apic_window(v), 0);
    EXPECT_EQ(apic_read(v, APIC_LVT_ERROR) & LVT_MASKED, LVT_MASKED);
    apic_msi(vm, 0, ICR_NMI); /* NMI comes through all the same */
    EXPECT_EQ(apic_window(v), 1);
    EXPECT_EQ(mbox_logged(v, 0), 2);
    apic_write(v, APIC_SVR, 0x1ff);
    apic_msi(vm, 0, 0x45);
    EXPECT_EQ(apic_window(v), 1);
    vm_destroy(vm);
}

static void test_soft_disabled(void)
{
    apic_both(soft_disabled);
}

/* ---- destinations ---- */

static void physical(bool x2)
{
    struct vm *vm = vm_split();

    make_vcpus(vm, NR, x2);
    for (unsigned i = 0; i < NR; i++) {
        apic_ipi(vm->vcpu[0], i, 0x50 | ICR_ASSERT);
        EXPECT_EQ(who_got(vm, NR), 1u << i);
        EXPECT_EQ(apic_msi(vm, i, 0x51), 1);
        EXPECT_EQ(who_got(vm, NR), 1u << i);
    }
    apic_ipi(vm->vcpu[0], 77, 0x50 | ICR_ASSERT); /* nobody */
    EXPECT_EQ(who_got(vm, NR), 0);
    EXPECT(apic_msi(vm, 77, 0x50) <= 0);
    EXPECT_EQ(who_got(vm, NR), 0);
    apic_ipi(vm->vcpu[1], x2 ? 0xffffffff : 0xff, 0x52 | ICR_ASSERT); /* everybody */
    EXPECT_EQ(who_got(vm, NR), (1 << NR) - 1);
    vm_destroy(vm);
}

static void test_physical(void)
{
    apic_both(physical);
}

static void shorthands(bool x2)
{
    struct vm *vm = vm_split();

    make_vcpus(vm, NR, x2);
    apic_ipi(vm->vcpu[2], 0, 0x60 | ICR_SELF | ICR_ASSERT);
    EXPECT_EQ(who_got(vm, NR), 1 << 2);
    apic_ipi(vm->vcpu[2], 0, 0x61 | ICR_ALL | ICR_ASSERT);
    EXPECT_EQ(who_got(vm, NR), 0xf);
    apic_ipi(vm->vcpu[2], 0, 0x62 | ICR_OTHERS | ICR_ASSERT);
    EXPECT_EQ(who_got(vm, NR), 0xb);
    apic_ipi(vm->vcpu[3], 0, ICR_NMI | ICR_OTHERS | ICR_ASSERT);
    EXPECT_EQ(who_got(vm, NR), 0x7);
    EXPECT_EQ(mbox_logged(vm->vcpu[0], *mbox32(vm->vcpu[0], MBOX_COUNT) - 1), 2);
    if (x2) {
        EXPECT_EQ(guest_wrmsr(vm->vcpu[1], 0x83f, 0x63), GUEST_DONE);
        EXPECT_EQ(who_got(vm, NR), 2);
        EXPECT_EQ(mbox_logged(vm->vcpu[1], *mbox32(vm->vcpu[1], MBOX_COUNT) - 1), 0x63);
    }
    vm_destroy(vm);
}

static void test_shorthands(void)
{
    apic_both(shorthands);
}

static void expect_logical(struct vm *vm, uint32_t dest, unsigned want)
{
    apic_ipi(vm->vcpu[0], dest, 0x70 | ICR_LOGICAL | ICR_ASSERT);
    EXPECT_EQ(who_got(vm, NR), want);
}

static void test_logical_flat(void)
{
    struct kvm_msi logical = { .address_lo = APIC_PAGE | 6 << 12 | 4, .data = 0x71 };
    struct vm *vm = vm_split();

    make_vcpus(vm, NR, false);
    for (unsigned i = 0; i < NR; i++)
        apic_write(vm->vcpu[i], APIC_LDR, 0x1000000u << i);
    for (unsigned mask = 0; mask < 16; mask += 3)
        expect_logical(vm, mask, mask);
    expect_logical(vm, 0xff, 0xf);
    expect_logical(vm, 0xf0, 0);
    /* A message to a logical destination: bit 2 of its address. */
    EXPECT(kvm_call(vm->fd, KVM_SIGNAL_MSI, &logical) > 0);
    EXPECT_EQ(who_got(vm, NR), 6);
    /* Two vCPUs with the same bit. */
    apic_write(vm->vcpu[3], APIC_LDR, 0x1000000u);
    expect_logical(vm, 1, 9);
}

static void test_logical_cluster(void)
{
    static const uint8_t ldr[NR] = { 0x11, 0x12, 0x21, 0x24 };
    struct vm *vm = vm_split();

    make_vcpus(vm, NR, false);
    for (unsigned i = 0; i < NR; i++) {
        apic_write(vm->vcpu[i], APIC_DFR, 0x0fffffff);
        apic_write(vm->vcpu[i], APIC_LDR, (uint32_t)ldr[i] << 24);
    }
    expect_logical(vm, 0x11, 1);
    expect_logical(vm, 0x13, 3);
    expect_logical(vm, 0x1f, 3);
    expect_logical(vm, 0x25, 0xc);
    expect_logical(vm, 0x22, 0);
    expect_logical(vm, 0x31, 0);
    expect_logical(vm, 0xff, 0xf);
}

static void test_logical_x2apic(void)
{
    struct vm *vm = vm_split();

    make_vcpus(vm, NR, true);
    for (unsigned mask = 0; mask < 16; mask += 5)
        expect_logical(vm, mask, mask);
    expect_logical(vm, 0xffff, 0xf);
    expect_logical(vm, 0x10001, 0); /* another cluster */
    expect_logical(vm, 0xffffffff, 0xf);
}

static void lowest(bool x2)
{
    struct vm *vm = vm_split();

    make_vcpus(vm, NR, x2);
    for (unsigned i = 0; i < NR && !x2; i++)
        apic_write(vm->vcpu[i], APIC_LDR, 0x1000000u << i);
    for (unsigned i = 0; i < 8; i++) {
        unsigned got;

        apic_ipi(vm->vcpu[0], 6, 0x80 | ICR_LOWEST | ICR_LOGICAL | ICR_ASSERT);
        got = who_got(vm, NR);
        EXPECT(got == 2 || got == 4); /* exactly one of the two */
    }
    vm_destroy(vm);
}

static void test_lowest(void)
{
    apic_both(lowest);
}

/* ---- starting an AP ---- */

static void expect_mp_state(struct vcpu *v, uint32_t want)
{
    struct kvm_mp_state s;

    ASSERT_EQ(kvm_call(v->fd, KVM_GET_MP_STATE, &s), 0);
    EXPECT_EQ(s.mp_state, want);
}

static bool to_done(struct vcpu *v, int reason)
{
    return reason == KVM_EXIT_IO && v->run->io.port != PORT_DONE;
}

static void init_sipi(bool x2)
{
    struct vm *vm = vm_split();
    struct vcpu *bsp = apic_vcpu(vm, 0, x2), *ap = vcpu_raw(vm, 1);
    struct kvm_lapic_state lapic;
    struct kvm_sregs s;

    vcpu_set_cpuid(ap);
    /* As every VMM does; KVM does not find a new vCPU by its APIC ID before. */
    ASSERT_EQ(kvm_call(ap->fd, KVM_GET_LAPIC, &lapic), 0);
    ASSERT_EQ(kvm_call(ap->fd, KVM_SET_LAPIC, &lapic), 0);
    expect_mp_state(bsp, KVM_MP_STATE_RUNNABLE);
    expect_mp_state(ap, KVM_MP_STATE_UNINITIALIZED);
    memcpy(vm->mem + 0x33000, code_ap_start, 16);
    vcpu_start(ap, to_done);
    usleep(20000);
    apic_ipi(bsp, 1, ICR_STARTUP | 0x44 | ICR_ASSERT); /* without INIT: ignored */
    apic_ipi(bsp, 1, ICR_INIT | ICR_ASSERT | ICR_LEVEL);
    apic_ipi(bsp, 1, ICR_INIT | ICR_LEVEL); /* the de-assert of old: ignored */
    apic_ipi(bsp, 1, ICR_STARTUP | 0x33 | ICR_ASSERT);
    apic_ipi(bsp, 1, ICR_STARTUP | 0x33 | ICR_ASSERT); /* as Linux does */
    vcpu_join(ap);
    EXPECT_EQ(ap->result, KVM_EXIT_IO);
    s = vcpu_sregs(ap);
    EXPECT_EQ(s.cs.selector, 0x3300);
    EXPECT_EQ(s.cs.base, 0x33000);
    EXPECT_EQ(vcpu_regs(ap).rax & 0xffff, 0x3300);
    expect_mp_state(ap, KVM_MP_STATE_RUNNABLE);

    /* INIT again: it stops, and its registers are INIT's. */
    guest_prepare(ap, vcpu_regs(ap).rip, 1, 2, 3, 4);
    apic_ipi(bsp, 1, ICR_INIT | ICR_ASSERT);
    vcpu_start(ap, to_done);
    usleep(30000);
    vcpu_kick(ap);
    expect_mp_state(ap, KVM_MP_STATE_INIT_RECEIVED);
    EXPECT_EQ(vcpu_regs(ap).rsi, 0);
    EXPECT_EQ(vcpu_sregs(ap).cr0 & 0x80000001, 0);
    memcpy(vm->mem + 0x34000, code_ap_start, 16);
    vcpu_start(ap, to_done);
    apic_ipi(bsp, 1, ICR_STARTUP | 0x34 | ICR_ASSERT);
    vcpu_join(ap);
    EXPECT_EQ(vcpu_sregs(ap).cs.base, 0x34000);
    vm_destroy(vm);
}

static void test_init_sipi(void)
{
    apic_both(init_sipi);
}

static void test_mp_state(void)
{
    struct vm *vm = vm_split();
    struct vcpu *v = vcpu_new(vm, 0), *w = vcpu_new(vm, 1);
    struct kvm_mp_state s = { KVM_MP_STATE_HALTED };

    ASSERT_EQ(kvm_call(w->fd, KVM_SET_MP_STATE, &s), 0);
    expect_mp_state(w, KVM_MP_STATE_HALTED);
    guest_prepare(w, GUEST_ADDR(nop), 0, 0, 0, 0);
    vcpu_start(w, NULL);
    usleep(20000);
    EXPECT_EQ(w->result, 0); /* asleep */
    vcpu_kick(w);
    EXPECT_EQ(w->result, -EINTR);
    s.mp_state = KVM_MP_STATE_RUNNABLE;
    ASSERT_EQ(kvm_call(w->fd, KVM_SET_MP_STATE, &s), 0);
    EXPECT_EQ(guest_resume(w), GUEST_DONE);
    s.mp_state = 99;
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_MP_STATE, &s), -EINVAL);
    s.mp_state = KVM_MP_STATE_STOPPED; /* not on x86 */
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_MP_STATE, &s), -EINVAL);
}

/* ---- IPIs between running vCPUs ---- */

static bool never(struct vcpu *v, int reason)
{
    (void)v;
    (void)reason;
    return false;
}

static void running(bool x2)
{
    struct vm *vm = vm_split();
    const unsigned nr = 3;

    make_vcpus(vm, nr, x2);
    for (unsigned i = 1; i < nr; i++) {
        guest_prepare(vm->vcpu[i], GUEST_ADDR(wait_irqs), 50, 0, 0, 0);
        vcpu_start(vm->vcpu[i], never);
    }
    for (unsigned n = 1; n <= 50; n++) {
        apic_ipi(vm->vcpu[0], 0, 0x90 | ICR_OTHERS | ICR_ASSERT);
        for (unsigned i = 1; i < nr; i++)
            EXPECT(WAIT_FOR(*mbox32(vm->vcpu[i], MBOX_COUNT) >= n));
    }
    for (unsigned i = 1; i < nr; i++) {
        vcpu_join(vm->vcpu[i]);
        EXPECT_EQ(*mbox32(vm->vcpu[i], MBOX_COUNT), 50);
    }
    vm_destroy(vm);
}

static void test_running(void)
{
    apic_both(running);
}

static const struct lab_test tests[] = {
    { "vectors by message", test_vectors },
    { "illegal vectors", test_illegal },
    { "highest priority first", test_priorities },
    { "nesting and EOI", test_nesting },
    { "TPR and CR8 hold back", test_task_priority },
    { "software-disabled APIC", test_soft_disabled },
    { "physical destinations and broadcast", test_physical },
    { "shorthands, self IPI, NMI", test_shorthands },
    { "logical destinations, flat", test_logical_flat },
    { "logical destinations, cluster", test_logical_cluster },
    { "logical destinations, x2APIC", test_logical_x2apic },
    { "lowest priority", test_lowest },
    { "INIT and SIPI", test_init_sipi },
    { "KVM_SET_MP_STATE", test_mp_state },
    { "IPIs between running vCPUs", test_running },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

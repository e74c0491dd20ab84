/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debugging: KVM_SET_GUEST_DEBUG (single step, breakpoints in software and hardware) and the
 * guest's own debug registers and trap flag.
 */
#include "harness.h"

GUEST_FN(steps);
GUEST_FN(step1);
GUEST_FN(step2);
GUEST_FN(step3);
GUEST_FN(step4);
GUEST_FN(step5);
GUEST_FN(step6);
GUEST_FN(step7);
GUEST_FN(int3);
GUEST_FN(int3_at);
GUEST_FN(set_dr);
GUEST_FN(get_dr);
GUEST_FN(trap_flag);
GUEST_FN(trap_flag_stop);

#define DR6_INIT 0xffff0ff0ull
#define DR7_INIT 0x400ull
#define DB 1
#define BP 3

static void set_debug(struct vcpu *v, uint32_t control, uint64_t dr0, uint64_t dr7)
{
    struct kvm_guest_debug d = { .control = control };

    d.arch.debugreg[0] = dr0;
    d.arch.debugreg[7] = dr7;
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_GUEST_DEBUG, &d), 0);
}

static void expect_debug(struct vcpu *v, int how, uint32_t exception, uint64_t pc)
{
    ASSERT_EQ(how, KVM_EXIT_DEBUG);
    EXPECT_EQ(v->run->debug.arch.exception, exception);
    EXPECT_EQ(v->run->debug.arch.pc, pc);
}

static void test_single_step(void)
{
    const uint64_t stops[] = { GUEST_ADDR(step1),           GUEST_ADDR(step2), GUEST_ADDR(step3),
                               0 /* the port's own exit */, GUEST_ADDR(step4), GUEST_ADDR(step5),
                               GUEST_ADDR(step6),           GUEST_ADDR(step7) };
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    /* The registers first: KVM_SET_REGS at another rip ends stepping. */
    guest_prepare(v, GUEST_ADDR(steps), GUEST_DATA, 0x1234, 0, 0);
    set_debug(v, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP, 0, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(stops); i++) {
        int how = guest_resume(v);

        if (!stops[i]) {
            EXPECT_EQ(how, GUEST_STEP);
            continue;
        }
        expect_debug(v, how, DB, stops[i]);
        EXPECT_EQ(v->run->debug.arch.dr6 & BIT(14), BIT(14));
        EXPECT_EQ(v->regs.rflags & 0x100, 0); /* the guest's TF, not the debugger's */
    }
    set_debug(v, 0, 0, 0);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(*(uint32_t *)(v->vm->mem + GUEST_DATA), 0x1234);
}

/*
 * Where the code's segment begins elsewhere, a debugger is told linear addresses. With a breakpoint
 * in hardware at one the emulated host itself (QEMU 10.0 TCG) resets, on stock KVM too.
 */
static void test_real_mode(void)
{
    static const uint8_t code[] = { 0x90, 0x0f, 0xa2 }; /* NOP, CPUID */
    struct vcpu *v = vcpu_raw(vm_bare(), 0);
    struct kvm_sregs s;

    vcpu_set_cpuid(v);
    vcpu_real_mode(v);
    s = vcpu_sregs(v);
    s.cs.base = GUEST_DATA;
    s.cs.selector = GUEST_DATA >> 4;
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    memcpy(v->vm->mem + GUEST_DATA + 0x100, code, sizeof(code));
    guest_prepare(v, 0x100, 0, 0, 0, 0);
    set_debug(v, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP, 0, 0);
    expect_debug(v, guest_resume(v), DB, GUEST_DATA + 0x101);
    expect_debug(v, guest_resume(v), DB, GUEST_DATA + 0x103);
    EXPECT_EQ(v->regs.rip, 0x103);
}

static void test_blocked_events(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);

    guest_prepare(v, GUEST_ADDR(steps), GUEST_DATA, 0x1234, 0, 0);
    *mbox32(v, MBOX_IRQ_MODE) = IRQ_EXIT;
    ASSERT_EQ(kvm_callv(v->fd, KVM_NMI, 0), 0);
    set_debug(v, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ, 0, 0);
    expect_debug(v, guest_resume(v), DB, GUEST_ADDR(step1));
    set_debug(v, 0, 0, 0);
    EXPECT_EQ(guest_resume(v), GUEST_IRQ);
    EXPECT_EQ(mbox_logged(v, 0), 2);
}

static void test_software_breakpoint(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    int how;

    EXPECT_EQ(guest_call(v, int3, 0, 0, 0, 0), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), BP);
    EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), GUEST_ADDR(int3_at) + 1);
    set_debug(v, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP, 0, 0);
    how = guest_call(v, int3, 0, 0, 0, 0);
    if (how == GUEST_FAULT && *mbox32(v, MBOX_FAULTS) == 2)
        lab_skip("this processor's INT3 cannot be intercepted (QEMU TCG)");
    expect_debug(v, how, BP, GUEST_ADDR(int3_at));
    EXPECT_EQ(v->regs.rip, GUEST_ADDR(int3_at));
}

static void test_hardware_breakpoint(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    set_debug(v, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, GUEST_ADDR(step2), DR7_INIT | 2);
    expect_debug(v, guest_call(v, steps, 0, 0, 0, 0), DB, GUEST_ADDR(step2));
    EXPECT_EQ(v->run->debug.arch.dr6 & 0xf, 1);
    /* A write of 4 bytes to the data. */
    set_debug(v, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, GUEST_DATA, DR7_INIT | 2 | 0xd0000);
    guest_prepare(v, GUEST_ADDR(step6), GUEST_DATA, 0x77, 0, 0);
    expect_debug(v, guest_resume(v), DB, GUEST_ADDR(step7));
    EXPECT_EQ(v->run->debug.arch.dr6 & 0xf, 1);
    EXPECT_EQ(*(uint32_t *)(v->vm->mem + GUEST_DATA), 0x77);
    set_debug(v, 0, 0, 0);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    /* The debugger's registers never were the guest's. */
    EXPECT_EQ(guest_call(v, get_dr, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0);
    EXPECT_EQ(v->regs.rcx, DR7_INIT);
}

static void test_inject(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    /* What a debugger does with an INT3 that is the guest's own. */
    guest_prepare(v, GUEST_ADDR(int3_at), 0, 0, 0, 0);
    set_debug(v, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_BP, 0, 0);
    EXPECT_EQ(guest_resume(v), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), BP);
    EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), GUEST_ADDR(int3_at) + 1);
    EXPECT_EQ(*mbox32(v, MBOX_FAULTS), 1);
}

static void test_guest_registers(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    struct kvm_debugregs d;

    EXPECT_EQ(guest_call(v, get_dr, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rbx, DR6_INIT);
    EXPECT_EQ(v->regs.rcx, DR7_INIT);
    EXPECT_EQ(guest_call(v, set_dr, 0x123456789000, DR7_INIT | 0x100, 0, 0), GUEST_DONE);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_DEBUGREGS, &d), 0);
    EXPECT_EQ(d.db[0], 0x123456789000);
    EXPECT_EQ(d.dr7, DR7_INIT | 0x100);
    EXPECT_EQ(d.flags, 0);
    d.db[0] = 0x4000;
    d.dr6 = DR6_INIT | 2;
    d.dr7 = DR7_INIT;
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_DEBUGREGS, &d), 0);
    EXPECT_EQ(guest_call(v, get_dr, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0x4000);
    EXPECT_EQ(v->regs.rbx, DR6_INIT | 2);
    EXPECT_EQ(v->regs.rcx, DR7_INIT);
}

static void test_two_vcpus(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v[2] = { vcpu_new(vm, 0), vcpu_new(vm, 1) };

    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 2; i++)
            EXPECT_EQ(guest_call(v[i], set_dr, 0x1000 * (i + 1) + round, DR7_INIT | 2, 0, 0),
                      GUEST_DONE);
        for (unsigned i = 0; i < 2; i++) {
            EXPECT_EQ(guest_call(v[i], get_dr, 0, 0, 0, 0), GUEST_DONE);
            EXPECT_EQ(v[i]->regs.rax, 0x1000 * (i + 1) + round);
        }
    }
}

static void test_guest_breakpoint(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    EXPECT_EQ(guest_call(v, set_dr, GUEST_ADDR(step1), DR7_INIT | 2, 0, 0), GUEST_DONE);
    EXPECT_EQ(guest_call(v, steps, 0, 0, 0, 0), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), DB);
    EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), GUEST_ADDR(step1));
    EXPECT_EQ(guest_call(v, get_dr, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rbx & 0xf, 1);
}

static void test_general_detect(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    EXPECT_EQ(guest_call(v, set_dr, 0, DR7_INIT | 0x2000, 0, 0), GUEST_DONE);
    EXPECT_EQ(guest_call(v, get_dr, 0, 0, 0, 0), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), DB);
    EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), GUEST_ADDR(get_dr));
}

static void test_trap_flag(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    EXPECT_EQ(guest_call(v, trap_flag, 0, 0, 0, 0), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), DB);
    EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), GUEST_ADDR(trap_flag_stop));
}

static const struct lab_test tests[] = {
    { "single step, over exits too", test_single_step },
    { "stops in real mode", test_real_mode },
    { "single step, events waiting", test_blocked_events },
    { "breakpoint in software", test_software_breakpoint },
    { "breakpoint in hardware", test_hardware_breakpoint },
    { "injected #BP", test_inject },
    { "the guest's debug registers", test_guest_registers },
    { "debug registers of two vCPUs", test_two_vcpus },
    { "the guest's breakpoint", test_guest_breakpoint },
    { "general detect", test_general_detect },
    { "the guest's trap flag", test_trap_flag },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

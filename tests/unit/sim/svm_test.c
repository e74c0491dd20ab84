// SPDX-License-Identifier: Apache-2.0
/*
 * kernel/svm on the model of VMRUN: exits of each kind through the ioctl interface, an event whose
 * delivery is interrupted, windows, what VMRUN refuses, and SVM off when the host crashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>

#include "svm_machine.h"

static struct sim_vm vm;

/* ---- A guest that is a list of exits ---- */

#define STEPS 8

static struct {
    struct sim_svm_exit exit[STEPS];
    unsigned nr, at;
    uint64_t rip[STEPS], rax[STEPS]; /* as the guest finds them */
    uint32_t injected[STEPS];
} guest;

static void play(void *context, struct sim_entry *entry)
{
    struct sim_svm_state s;

    (void)context;
    if (guest.at == guest.nr) {
        sim_signal(0);
        return;
    }
    sim_svm_get(entry, &s);
    guest.rip[guest.at] = s.rip;
    guest.rax[guest.at] = s.rax;
    guest.injected[guest.at] = sim_svm_injected(entry);
    sim_svm_leave(entry, &guest.exit[guest.at++]);
}

static void then(struct sim_svm_exit exit)
{
    assert_true(guest.nr < STEPS);
    guest.exit[guest.nr++] = exit;
}

static struct sim_svm_exit insn(uint32_t code, uint64_t at, unsigned len)
{
    return (struct sim_svm_exit){ .code = code, .next_rip = at + len };
}

static int setup(void **state)
{
    (void)state;
    memset(&guest, 0, sizeof(guest));
    machine_new(&vm, 1, play);
    return 0;
}

static long ioctl_vcpu(unsigned long request, void *argument, size_t n)
{
    return sim_vm_call(&vm, vm.vcpu[0], request, argument, n);
}

static struct kvm_regs registers(void)
{
    struct kvm_regs r = { 0 };

    assert_int_equal(ioctl_vcpu(KVM_GET_REGS, &r, sizeof(r)), 0);
    return r;
}

static void set_registers(struct kvm_regs r)
{
    assert_int_equal(ioctl_vcpu(KVM_SET_REGS, &r, sizeof(r)), 0);
}

/* The guest plays to its end; what KVM_RUN says then. */
static void run_to_end(void)
{
    assert_int_equal(sim_vm_run(&vm, 0), -EINTR);
    assert_int_equal(guest.at, guest.nr);
}

/* ---- Exits ---- */

static void cpuid_is_answered(void **state)
{
    struct kvm_regs r = registers();

    (void)state;
    r.rax = 0;
    set_registers(r);
    then(insn(SIM_EXIT_CPUID, SIM_VM_CODE, 2));
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    run_to_end();
    r = registers();
    assert_int_equal(guest.rip[1], SIM_VM_CODE + 2);
    assert_true(r.rax >= 1);
    assert_int_not_equal(r.rbx, 0); /* the vendor's name */
}

/* Without a usable next_rip the instruction is measured where it stands. */
static void length_without_nrip(void **state)
{
    static const uint8_t prefixed[] = { 0x66, 0x0f, 0xa2 };

    (void)state;
    assert_true(sim_vm_put(&vm, SIM_VM_CODE, prefixed, sizeof(prefixed)));
    then((struct sim_svm_exit){ .code = SIM_EXIT_CPUID });
    run_to_end();
    assert_int_equal(registers().rip, SIM_VM_CODE + 3);
}

static void io_goes_to_userspace(void **state)
{
    struct kvm_regs r = registers();

    (void)state;
    r.rax = 0x5a;
    set_registers(r);
    /* OUT 0x80, AL: port in bits 31:16, 8 bits */
    then((struct sim_svm_exit){
        SIM_EXIT_IOIO, 0x80 << 16 | 1 << 4, SIM_VM_CODE + 2, 0, 0, 0, 0, { 0 } });
    /* IN AL, 0x81 */
    then((struct sim_svm_exit){
        SIM_EXIT_IOIO, 0x81 << 16 | 1 << 4 | 1, SIM_VM_CODE + 4, 0, 0, 0, 0, { 0 } });
    assert_int_equal(sim_vm_run(&vm, 0), 0);
    assert_int_equal(vm.run[0]->exit_reason, KVM_EXIT_IO);
    assert_int_equal(vm.run[0]->io.direction, KVM_EXIT_IO_OUT);
    assert_int_equal(vm.run[0]->io.port, 0x80);
    assert_int_equal(vm.pio[0][0], 0x5a);
    assert_int_equal(sim_vm_run(&vm, 0), 0);
    assert_int_equal(vm.run[0]->io.direction, KVM_EXIT_IO_IN);
    vm.pio[0][0] = 0xa5;
    run_to_end();
    assert_int_equal(registers().rax & 0xff, 0xa5);
    assert_int_equal(registers().rip, SIM_VM_CODE + 4);
}

/* In real mode, where a linear address is not RIP. QEMU's TCG has no intercept of INT3 to show it.
 */
static void a_breakpoint_is_the_debuggers_who_set_it(void **state)
{
    const struct sim_svm_exit int3 = { .code = SIM_EXIT_EXCEPTION + 3 };
    struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP };
    struct kvm_sregs s;

    (void)state;
    assert_int_equal(ioctl_vcpu(KVM_GET_SREGS, &s, sizeof(s)), 0);
    s.cr0 = 0x10;
    s.cs = (struct kvm_segment){
        .base = 0xf0000, .selector = 0xf000, .limit = 0xffff, .type = 11, .present = 1, .s = 1
    };
    assert_int_equal(ioctl_vcpu(KVM_SET_SREGS, &s, sizeof(s)), 0);
    assert_int_equal(ioctl_vcpu(KVM_SET_GUEST_DEBUG, &debug, sizeof(debug)), 0);
    then(int3);
    assert_int_equal(sim_vm_run(&vm, 0), 0);
    assert_int_equal(vm.run[0]->exit_reason, KVM_EXIT_DEBUG);
    assert_int_equal(vm.run[0]->debug.arch.exception, 3);
    assert_int_equal(vm.run[0]->debug.arch.pc, 0xf0000 + SIM_VM_CODE);
    assert_int_equal(registers().rip, SIM_VM_CODE);
    /* It is the guest's own: the debugger hands it on. */
    debug.control |= KVM_GUESTDBG_INJECT_BP;
    assert_int_equal(ioctl_vcpu(KVM_SET_GUEST_DEBUG, &debug, sizeof(debug)), 0);
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    run_to_end();
    assert_int_equal(guest.injected[1] & (SIM_EVENT_VALID | 0xff), SIM_EVENT_VALID | 3);
}

/* No CPU leaves such an exit; one that did must not make core move 7 bytes. */
static void io_of_no_size_is_refused(void **state)
{
    (void)state;
    for (uint64_t size = 0; size < 8; size++) {
        guest.nr = guest.at = 0;
        then((struct sim_svm_exit){ .code = SIM_EXIT_IOIO,
                                    .info1 = 0x80 << 16 | 1 << 8 | size << 4 | 1 << 2,
                                    .info2 = SIM_VM_CODE + 2 });
        assert_int_equal(sim_vm_run(&vm, 0), 0);
        assert_int_equal(vm.run[0]->exit_reason, size == 1 || size == 2 || size == 4
                                                     ? KVM_EXIT_IO
                                                     : KVM_EXIT_INTERNAL_ERROR);
    }
}

static void msr_is_written_and_read(void **state)
{
    struct kvm_regs r = registers();

    (void)state;
    r.rcx = 0x277; /* PAT */
    r.rax = 0x00070406;
    r.rdx = 0x00070406;
    set_registers(r);
    then((struct sim_svm_exit){ .code = SIM_EXIT_MSR, .info1 = 1, .next_rip = SIM_VM_CODE + 2 });
    then(insn(SIM_EXIT_MSR, SIM_VM_CODE + 2, 2));
    run_to_end();
    assert_int_equal(registers().rax, 0x00070406);
    assert_int_equal(registers().rip, SIM_VM_CODE + 4);
}

/* One that does not exist: #GP, injected by EVENTINJ with its error code. */
static void unknown_msr_is_gp(void **state)
{
    struct kvm_regs r = registers();

    (void)state;
    r.rcx = 0x12345678;
    set_registers(r);
    then(insn(SIM_EXIT_MSR, SIM_VM_CODE, 2));
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    run_to_end();
    assert_int_equal(guest.injected[1],
                     SIM_EVENT_VALID | SIM_EVENT_EXCEPTION | SIM_EVENT_HAS_ERROR | 13);
    assert_int_equal(guest.rip[1], SIM_VM_CODE);
}

static void nested_fault_maps_memory(void **state)
{
    (void)state;
    then((struct sim_svm_exit){ .code = SIM_EXIT_NPF, .info1 = 6, .info2 = 0x9000 });
    run_to_end();
}

static void nested_fault_without_memory_is_mmio(void **state)
{
    static const uint8_t store[] = { 0x89, 0x03 }; /* mov %eax, (%ebx) */
    struct kvm_regs r = registers();

    (void)state;
    assert_true(sim_vm_put(&vm, SIM_VM_CODE, store, sizeof(store)));
    r.rax = 0x11223344;
    r.rbx = 0xd0000000;
    set_registers(r);
    then((struct sim_svm_exit){ .code = SIM_EXIT_NPF, .info1 = 6, .info2 = 0xd0000000 });
    assert_int_equal(sim_vm_run(&vm, 0), 0);
    assert_int_equal(vm.run[0]->exit_reason, KVM_EXIT_MMIO);
    assert_int_equal(vm.run[0]->mmio.phys_addr, 0xd0000000);
    assert_int_equal(vm.run[0]->mmio.is_write, 1);
    assert_int_equal(vm.run[0]->mmio.len, 4);
    assert_memory_equal(vm.run[0]->mmio.data, &(uint32_t){ 0x11223344 }, 4);
    run_to_end();
    assert_int_equal(registers().rip, SIM_VM_CODE + 2);
}

static void send_msi(void *unused)
{
    (void)unused;
    machine_send(&vm, 0, 0x41);
}

/* HLT waits until another task sends an interrupt, which is then injected. */
static void hlt_ends_by_interrupt(void **state)
{
    struct kvm_regs r = registers();

    (void)state;
    machine_enable_apic(&vm, 0);
    r.rflags = 0x202;
    set_registers(r);
    then(insn(SIM_EXIT_HLT, SIM_VM_CODE, 1));
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    assert_true(sim_spawn(send_msi, NULL) > 0);
    run_to_end();
    assert_int_equal(guest.injected[0], 0);
    assert_int_equal(guest.injected[1], SIM_EVENT_VALID | SIM_EVENT_INTR | 0x41);
    assert_int_equal(guest.rip[1], SIM_VM_CODE + 1);
}

/* ---- Events ---- */

/* A nested fault while #PF is delivered: the event comes again, the same, until it is taken. */
static void interrupted_delivery_comes_again(void **state)
{
    struct kvm_vcpu_events e = { 0 };
    const uint32_t pf = SIM_EVENT_VALID | SIM_EVENT_EXCEPTION | SIM_EVENT_HAS_ERROR | 14;

    (void)state;
    assert_int_equal(ioctl_vcpu(KVM_GET_VCPU_EVENTS, &e, sizeof(e)), 0);
    e.exception.injected = 1;
    e.exception.nr = 14;
    e.exception.has_error_code = 1;
    e.exception.error_code = 2;
    assert_int_equal(ioctl_vcpu(KVM_SET_VCPU_EVENTS, &e, sizeof(e)), 0);
    for (int i = 0; i < 2; i++)
        then((struct sim_svm_exit){ .code = SIM_EXIT_NPF,
                                    .info1 = 4,
                                    .info2 = 0xa000u + 0x1000u * i,
                                    .event = pf,
                                    .event_error = 2 });
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    run_to_end();
    for (int i = 0; i < 3; i++)
        assert_int_equal(guest.injected[i], pf);
    assert_int_equal(guest.injected[3], 0);
}

/* One that waits for INIT or SIPI sleeps, whatever is to be injected once it runs. */
static void waiting_for_sipi_is_no_spinning(void **state)
{
    static const uint32_t states[] = { KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED };
    struct kvm_vcpu_events e = { 0 };
    struct kvm_mp_state mp;

    (void)state;
    assert_int_equal(ioctl_vcpu(KVM_GET_VCPU_EVENTS, &e, sizeof(e)), 0);
    e.exception.injected = 1;
    e.exception.nr = 6;
    assert_int_equal(ioctl_vcpu(KVM_SET_VCPU_EVENTS, &e, sizeof(e)), 0);
    alarm(10); /* else it would not end */
    for (unsigned i = 0; i < 2; i++) {
        mp.mp_state = states[i];
        assert_int_equal(ioctl_vcpu(KVM_SET_MP_STATE, &mp, sizeof(mp)), 0);
        assert_int_equal(sim_vm_run(&vm, 0), -EINTR);
    }
    mp.mp_state = KVM_MP_STATE_RUNNABLE;
    assert_int_equal(ioctl_vcpu(KVM_SET_MP_STATE, &mp, sizeof(mp)), 0);
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    run_to_end();
    alarm(0);
    assert_int_equal(guest.injected[0], SIM_EVENT_VALID | SIM_EVENT_EXCEPTION | 6);
}

/* An NMI is followed by no other before its IRET. */
static void nmi_waits_for_iret(void **state)
{
    const uint32_t nmi = SIM_EVENT_VALID | SIM_EVENT_NMI;

    (void)state;
    assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_NMI, 0), 0);
    assert_int_equal(sim_ioctl(vm.vcpu[0], KVM_NMI, 0), 0);
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    then((struct sim_svm_exit){ .code = SIM_EXIT_IRET });
    then((struct sim_svm_exit){ .code = SIM_EXIT_EXCEPTION + 1 }); /* the step that shows its end */
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    run_to_end();
    assert_int_equal(guest.injected[0], nmi);
    assert_int_equal(guest.injected[1], 0);
}

/* Interrupts are off: the window's virtual interrupt tells when they are on. */
static void window_opens_when_interrupts_are_on(void **state)
{
    struct kvm_regs r;

    (void)state;
    machine_enable_apic(&vm, 0);
    send_msi(NULL);
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    run_to_end();
    assert_int_equal(guest.injected[0], 0);
    r = registers();
    r.rflags = 0x202;
    set_registers(r);
    then((struct sim_svm_exit){ .code = SIM_EXIT_INTR });
    run_to_end();
    assert_int_equal(guest.injected[1], SIM_EVENT_VALID | SIM_EVENT_INTR | 0x41);
    assert_int_equal(registers().rflags & 0x200, 0); /* its gate */
}

/* ---- What VMRUN refuses ---- */

static void code_of_two_sizes_is_refused(void **state)
{
    struct kvm_sregs s;

    (void)state;
    memset(&s, 0, sizeof(s));
    assert_true(sim_vm_long_mode(&vm, 0));
    assert_int_equal(ioctl_vcpu(KVM_GET_SREGS, &s, sizeof(s)), 0);
    s.cs.db = 1;
    assert_int_equal(ioctl_vcpu(KVM_SET_SREGS, &s, sizeof(s)), 0);
    assert_int_equal(sim_vm_run(&vm, 0), 0);
    assert_int_equal(vm.run[0]->exit_reason, KVM_EXIT_FAIL_ENTRY);
    assert_int_equal(vm.run[0]->fail_entry.hardware_entry_failure_reason, UINT64_MAX);
}

static void a_shutdown_resets(void **state)
{
    (void)state;
    then((struct sim_svm_exit){ .code = SIM_EXIT_SHUTDOWN });
    assert_int_equal(sim_vm_run(&vm, 0), 0);
    assert_int_equal(vm.run[0]->exit_reason, KVM_EXIT_SHUTDOWN);
    assert_int_equal(registers().rip, 0xfff0);
}

/* Last: after it the module is of no more use to this process. */
static void a_crash_switches_svm_off(void **state)
{
    (void)state;
    assert_true(sim_svm_enabled());
    sim_svm_emergency();
    assert_false(sim_svm_enabled());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cpuid_is_answered),
        TEST(length_without_nrip),
        TEST(io_goes_to_userspace),
        TEST(a_breakpoint_is_the_debuggers_who_set_it),
        TEST(io_of_no_size_is_refused),
        TEST(msr_is_written_and_read),
        TEST(unknown_msr_is_gp),
        TEST(nested_fault_maps_memory),
        TEST(nested_fault_without_memory_is_mmio),
        TEST(hlt_ends_by_interrupt),
        TEST(interrupted_delivery_comes_again),
        TEST(waiting_for_sipi_is_no_spinning),
        TEST(nmi_waits_for_iret),
        TEST(window_opens_when_interrupts_are_on),
        TEST(code_of_two_sizes_is_refused),
        TEST(a_shutdown_resets),
        cmocka_unit_test(a_crash_switches_svm_off),
    };

    return cmocka_run_group_tests(tests, machine_start, NULL);
}

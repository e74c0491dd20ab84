/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of kernel/svm on the model of VMRUN begin and end with. cmocka.h comes first. */
#ifndef BAWN_TEST_SIM_SVM_MACHINE_H
#define BAWN_TEST_SIM_SVM_MACHINE_H

#include "fuzz/sim/sim.h"
#include "fuzz/sim/svm.h"
#include "fuzz/sim/vm.h"

/* A VM with an interrupt controller and vCPUs in protected mode, whose guest is play. */
static inline void machine_new(struct sim_vm *vm, unsigned vcpus, sim_guest_fn play)
{
    sim_set_guest(play, NULL);
    assert_true(sim_vm_create(vm, KVM_X86_DEFAULT_VM));
    assert_true(sim_vm_irqchip(vm));
    for (unsigned i = 0; i < vcpus; i++) {
        assert_true(sim_vm_add_vcpu(vm));
        assert_true(sim_vm_protected_mode(vm, i));
    }
}

/* Local APICs come disabled by software. */
static inline void machine_enable_apic(struct sim_vm *vm, unsigned vcpu)
{
    struct kvm_lapic_state lapic;

    memset(&lapic, 0, sizeof(lapic));
    assert_int_equal(sim_vm_call(vm, vm->vcpu[vcpu], KVM_GET_LAPIC, &lapic, sizeof(lapic)), 0);
    lapic.regs[0xf1] = 1;
    assert_int_equal(sim_vm_call(vm, vm->vcpu[vcpu], KVM_SET_LAPIC, &lapic, sizeof(lapic)), 0);
}

static inline void machine_send(struct sim_vm *vm, unsigned vcpu, uint8_t vector)
{
    struct kvm_msi msi = { .address_lo = 0xfee00000 | vcpu << 12, .data = vector };

    assert_int_equal(sim_vm_call(vm, vm->fd, KVM_SIGNAL_MSI, &msi, sizeof(msi)), 1);
}

static inline int machine_start(void **state)
{
    static const struct sim_options options = { .backend = SIM_SVM };

    (void)state;
    sim_start(&options);
    return 0;
}

static inline int machine_end(void **state)
{
    (void)state;
    sim_reset();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, machine_end)

#endif

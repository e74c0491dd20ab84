/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM on the simulated machine, as targets and tests begin with one: made by the same calls that
 * a VMM makes. Trusts the target.
 */
#ifndef BAWN_SIM_VM_H
#define BAWN_SIM_VM_H

#include <linux/kvm.h>

#include "sim.h"

#define SIM_VM_MAX_VCPUS 6u
#define SIM_VM_VCPUS 2u           /* an SNP guest's */
#define SIM_VM_MEMORY 0x200000ull /* from guest-physical 0 on */
#define SIM_VM_SHARED 0x100000ull /* of an SNP guest's: shared from here, private below */

/* An SNP guest's pages. The firmware fills the last two. */
#define SIM_VM_CODE 0x1000ull
#define SIM_VM_SECRETS 0x2000ull
#define SIM_VM_CPUID 0x3000ull

struct sim_vm {
    int dev, fd, gmem;
    unsigned vcpus;
    int vcpu[SIM_VM_MAX_VCPUS];
    struct kvm_run *run[SIM_VM_MAX_VCPUS];
    uint8_t *pio[SIM_VM_MAX_VCPUS];
    uint64_t memory;  /* user address behind guest-physical 0 */
    uint64_t scratch; /* of SIM_VM_SCRATCH bytes, for arguments */
};
#define SIM_VM_SCRATCH 0x10000ull

/* n bytes of argument there and back by scratch. What the call returns. */
long sim_vm_call(struct sim_vm *vm, int fd, unsigned long request, void *argument, size_t n);
/* KVM_MEMORY_ENCRYPT_OP; data of n bytes there and back. *error may be NULL. */
long sim_vm_sev(struct sim_vm *vm, uint32_t id, void *data, size_t n, uint32_t *error);
/* Writes to guest memory as the process has it. */
bool sim_vm_put(struct sim_vm *vm, uint64_t gpa, const void *from, size_t n);
void *sim_vm_at(struct sim_vm *vm, uint64_t gpa); /* up to the page's end; NULL: none */

/* After sim_start(), when the same input is to be the same run each time: CPUID is asked for once. */
void sim_vm_start(void);
/* A VM with its memory; type: KVM_X86_*. */
bool sim_vm_create(struct sim_vm *vm, unsigned type);
/* Split interrupt controller; before any vCPU. */
bool sim_vm_irqchip(struct sim_vm *vm);
/* The next vCPU, with the CPUID that is offered. */
bool sim_vm_add_vcpu(struct sim_vm *vm);
/* Flat 32-bit code at SIM_VM_CODE, or 64-bit with the first 2 MiB mapped as they are. */
bool sim_vm_protected_mode(struct sim_vm *vm, unsigned vcpu);
bool sim_vm_long_mode(struct sim_vm *vm, unsigned vcpu);
#define SIM_VM_TABLES 0x180000ull /* the page tables' four pages */
long sim_vm_run(struct sim_vm *vm, unsigned vcpu);

/* The launch of an SNP guest, whole; false: a step failed. Its policy allows what the firmware's
 * platform has. */
bool sim_vm_launch(struct sim_vm *vm);
#define SIM_VM_POLICY 0x30000ull
long sim_vm_launch_start(struct sim_vm *vm);
long sim_vm_launch_page(struct sim_vm *vm, uint64_t gpa, uint8_t type, const void *page);
long sim_vm_launch_finish(struct sim_vm *vm);
long sim_vm_attribute(struct sim_vm *vm, uint64_t gpa, uint64_t size, bool private);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What targets share: an oracle of userspace's own. All that a vCPU's state is by GET calls can be
 * put into a new vCPU of another VM by SET calls, and is read there as the same.
 */
#ifndef BAWN_FUZZ_KERNEL_COMMON_H
#define BAWN_FUZZ_KERNEL_COMMON_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#define CPUID_MAX 100
struct offered_cpuid {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entry[CPUID_MAX];
};

/* How the VM was made. */
struct vm_info {
    unsigned type;
    bool irqchip, x2apic;
    uint64_t pins;
    uint32_t boot;
};

struct vcpu_info {
    uint32_t id;
    bool odd; /* its CPUID came after its state, which need not fit */
};

/* Once, after sim_start(): what the device offers. */
void snapshot_start(struct offered_cpuid *offered);
/* A finding (SIM_STATE) when it is not so. scratch: 64 KiB of the process. No other task runs. */
void snapshot_check(int dev, int vcpu, const struct vm_info *vm, const struct vcpu_info *info,
                    uint64_t scratch);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a paused machine is, beside its memory: vCPUs, interrupt controllers, devices. A fixed
 * layout in memory that the machine's process shares with the supervisor: the one fills it, the
 * other puts it into a snapshot's image as it is, and the other way round. When a structure
 * changes, BAWN_STATE_VERSION does. What is loaded is not trusted: everything is checked against
 * the machine that was built from the configuration.
 */
#ifndef BAWN_VMM_STATE_H
#define BAWN_VMM_STATE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "bawn/status.h"
#include "devices.h"
#include "launch.h"
#include "platform.h"
#include "serial.h"
#include "slots.h"
#include "virtio.h"

#define BAWN_STATE_VERSION 4u
#define BAWN_STATE_MSRS 448
#define BAWN_STATE_CPUID 256
#define BAWN_STATE_XSAVE 4096

struct bawn_state_vcpu {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_mp_state mp_state;
    uint32_t nr_msrs;
    struct kvm_vcpu_events events;
    struct kvm_debugregs debugregs;
    struct kvm_xcrs xcrs;
    struct kvm_lapic_state lapic;
    uint8_t xsave[BAWN_STATE_XSAVE];
    struct kvm_msr_entry msr[BAWN_STATE_MSRS];
};

struct bawn_state_cpuid {
    uint32_t nr;
    uint32_t tsc_khz;
    struct kvm_cpuid_entry2 entry[BAWN_STATE_CPUID];
};

struct bawn_state_device {
    char name[16];
    struct bawn_virtio_state virtio;
};

struct bawn_state {
    uint32_t version;
    uint32_t nr_vcpus, nr_devices;
    uint32_t size; /* of all that is used: up to the last vCPU */
    uint8_t digest[BAWN_MEASURE_DIGEST_SIZE];
    uint32_t measured;             /* digest is a sealed launch's */
    struct bawn_state_cpuid cpuid; /* of vCPU 0 */
    struct kvm_clock_data clock;
    uint64_t tsc; /* of vCPU 0, read right after the clock */
    struct bawn_ioapic_state ioapic;
    struct bawn_serial_state serial;
    struct bawn_platform_state platform;
    struct bawn_slots_state slots;
    struct bawn_state_device device[BAWN_DEVICES_MAX];
    struct bawn_state_vcpu vcpu[BAWN_MAX_VCPUS];
};

#define BAWN_STATE_SIZE(vcpus) \
    (offsetof(struct bawn_state, vcpu) + (vcpus) * sizeof(struct bawn_state_vcpu))

/* What of it is known before the machine stops: all up to its clock. */
#define BAWN_STATE_FACTS offsetof(struct bawn_state, clock)

struct bawn_vm;
struct bawn_vcpu;

/* Not of every machine: BAWN_E_UNSUPPORTED, and why. */
enum bawn_status bawn_state_supported(const struct bawn_vm_config *cfg, struct bawn_error *err);

/* Before the machine's process locks itself in: which MSRs a vCPU has. */
enum bawn_status bawn_state_prepare(struct bawn_vm *vm, struct bawn_error *err);
/* The facts. */
void bawn_state_facts(const struct bawn_vm *vm, struct bawn_state *state);
/* Of a paused machine; allocates nothing. */
enum bawn_status bawn_state_save(struct bawn_vm *vm, struct bawn_state *state,
                                 struct bawn_error *err);

/* One vCPU's registers, once its CPUID is set. */
enum bawn_status bawn_state_load_vcpu(struct bawn_vcpu *vcpu, const struct bawn_state *state,
                                      struct bawn_error *err);
/* The rest of a machine that was built, and has not run. */
enum bawn_status bawn_state_load(struct bawn_vm *vm, const struct bawn_state *state,
                                 struct bawn_error *err);

/* cpuid.c: refuses what the guest was told and this host lacks. */
enum bawn_status bawn_cpuid_check(const struct bawn_state_cpuid *guest,
                                  const struct kvm_cpuid2 *host, struct bawn_error *err);

struct bawn_accel;

/* The same, before there is a machine of this many vCPUs. */
enum bawn_status bawn_cpuid_fits(const struct bawn_accel *accel, unsigned vcpus,
                                 const struct bawn_state_cpuid *guest, struct bawn_error *err);

#endif

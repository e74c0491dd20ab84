/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine: memory, vCPU threads, devices. Built from a launch plan, run once,
 * destroyed; a reboot is a new machine from the same plan.
 *
 * Threads: each vCPU has one, the devices' file descriptors have one, and one lock (vm->lock)
 * guards the buses and all devices: the vCPUs' take it for an exit, the devices' for a handler.
 * Each may wait for the terminal with the lock held. The caller's thread hears signals and the
 * timeout, and never takes that lock: whatever the others wait for, the machine can be stopped.
 */
#ifndef BAWN_VMM_VM_H
#define BAWN_VMM_VM_H

#include <pthread.h>
#include <stdbool.h>

#include "accel.h"
#include "bus.h"
#include "ioapic.h"
#include "launch.h"
#include "loop.h"
#include "memory.h"
#include "pci.h"
#include "platform.h"
#include "serial.h"
#include "snp.h"
#include "stream.h"
#include "threads.h"
#include "virtio_devices.h"
#include "wires.h"

#define BAWN_NR_EXITS 64 /* exit reasons counted */

struct bawn_vm;

struct bawn_vcpu {
    struct bawn_vm *vm;
    unsigned id;
    int fd;
    struct kvm_run *run;           /* shared with the module */
    uint64_t exits[BAWN_NR_EXITS]; /* to userspace, by reason */
};

/* What a machine is made of; all borrowed. */
struct bawn_vm_parts {
    const struct bawn_vm_config *cfg;
    const struct bawn_launch_plan *plan;      /* of a plain machine */
    const struct bawn_measure_log *predicted; /* the same */
    const struct bawn_snp_input *snp;         /* of an SEV-SNP one; else NULL */
    struct bawn_accel *accel;
    struct bawn_stream *serial;
    struct bawn_stream *console;
    const struct bawn_disk *disk;           /* as many as the configuration has */
    struct bawn_net *net;                   /* the same */
    const struct bawn_vsock_socket *socket; /* if the configuration has vsock */
};

struct bawn_vm {
    const struct bawn_vm_parts *parts;
    int fd;
    struct bawn_mem mem;
    struct bawn_snp_vm snp;
    struct bawn_vcpu vcpu[BAWN_MAX_VCPUS];
    unsigned nr_vcpus;
    struct bawn_threads threads;
    pthread_mutex_t lock, control_lock;
    struct bawn_loop loop, control; /* the devices' and the caller's */
    struct bawn_bus pio, mmio;
    struct bawn_wires wires;
    struct bawn_kvm_wires kvm_wires;
    struct bawn_ioapic ioapic;
    struct bawn_platform platform;
    struct bawn_serial serial;
    int serial_watch;
    struct bawn_pci pci;
    struct bawn_virtio_console console;
    struct bawn_virtio rng;
    struct bawn_virtio_blk blk[BAWN_MAX_DISKS];
    struct bawn_virtio_net net[BAWN_MAX_NETS];
    struct bawn_virtio_vsock vsock;
    struct bawn_virtio_balloon balloon;
    enum bawn_end end; /* the first reason to stop; atomic */
    char end_msg[256];
    uint8_t digest[BAWN_MEASURE_DIGEST_SIZE]; /* of the sealed launch, if measured */
};

/* After a failure the machine is destroyed already. */
enum bawn_status bawn_vm_create(struct bawn_vm *vm, const struct bawn_vm_parts *parts,
                                struct bawn_error *err);
void bawn_vm_destroy(struct bawn_vm *vm);

/* Runs until something ends it, which may be a handler that the caller put into vm->control;
 * all other threads are joined on return. */
enum bawn_end bawn_vm_run(struct bawn_vm *vm);
/* Ends the machine, from any thread; the first call's reason stands. */
void bawn_vm_end(struct bawn_vm *vm, enum bawn_end why, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* vcpu.c. Creation sets CPUID, MSRs and, on vCPU 0, the plan's registers. */
enum bawn_status bawn_vcpu_create(struct bawn_vcpu *vcpu, struct bawn_vm *vm, unsigned id,
                                  struct bawn_error *err);
void bawn_vcpu_destroy(struct bawn_vcpu *vcpu);
void *bawn_vcpu_thread(void *vcpu); /* runs it until the machine ends */

/* cpuid.c: what the module supports, with vCPU id's place in the topology. */
enum bawn_status bawn_cpuid_set(const struct bawn_vcpu *vcpu, struct bawn_error *err);
/* The same as an SNP launch takes it. */
enum bawn_status bawn_cpuid_page(const struct bawn_vcpu *vcpu, struct bawn_psp_cpuid_page *page,
                                 struct bawn_error *err);

/* measured.c: before the vCPUs; after their state is set. Nothing where the accel does
 * not measure. */
enum bawn_status bawn_measured_begin(struct bawn_vm *vm, struct bawn_error *err);
enum bawn_status bawn_measured_seal(struct bawn_vm *vm, struct bawn_error *err);

/* stats.c: exits per vCPU, on stderr. */
void bawn_stats_print(const struct bawn_vm *vm);
const char *bawn_exit_name(unsigned reason);

#endif

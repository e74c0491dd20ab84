/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine: memory, vCPU threads, transports. Built from a launch plan in a process of
 * its own (machine.h), run once, and gone with the process; a reboot is a new machine from the same
 * plan.
 *
 * Threads: each vCPU has one, the file descriptors have the caller's, and one lock (vm->lock)
 * guards the buses and all that is on them: the vCPUs' take it for an exit, the caller's for a
 * handler. Each may wait for the terminal with the lock held: the supervisor ends a machine that
 * does not end itself.
 */
#ifndef BAWN_VMM_VM_H
#define BAWN_VMM_VM_H

#include <pthread.h>
#include <stdbool.h>

#include "accel.h"
#include "bus.h"
#include "devices.h"
#include "images.h"
#include "ioapic.h"
#include "launch.h"
#include "loop.h"
#include "link.h"
#include "memory.h"
#include "pci.h"
#include "platform.h"
#include "serial.h"
#include "slots.h"
#include "snp.h"
#include "state.h"
#include "stream.h"
#include "threads.h"
#include "virtio.h"
#include "wires.h"

#define BAWN_NR_EXITS 64 /* exit reasons counted */

struct bawn_vm;

struct bawn_vcpu {
    struct bawn_vm *vm;
    unsigned id;
    int fd;
    bool away;           /* atomic: it is not there, for the guest, and does not run */
    struct kvm_run *run; /* shared with the module */
    uint64_t *exits;     /* to userspace, by reason; in struct bawn_counters */
};

/* What a machine has counted, in memory that its processes share with the supervisor. */
struct bawn_counters {
    uint64_t exits[BAWN_MAX_VCPUS][BAWN_NR_EXITS];
    struct bawn_vdev_count device[BAWN_DEVICES_MAX];
    uint32_t balloon; /* pages of 4 KiB that the guest says it has given up, little-endian */
    uint64_t vcpus;   /* those that are there, a bit for each */
};

/* What a machine is made of; all borrowed. */
struct bawn_vm_parts {
    const struct bawn_vm_config *cfg;
    struct bawn_launch_plan *plan;            /* of a plain machine; until it is built */
    const struct bawn_measure_log *predicted; /* the same */
    const struct bawn_snp_input *snp;         /* of an SEV-SNP one; else NULL */
    struct bawn_images *images; /* what plan and snp point into; until the machine is built */
    struct bawn_accel *accel;
    struct bawn_stream *serial;
    const struct bawn_mem *mem;
    const struct bawn_devices *devices;
    struct bawn_counters *counters;
    struct bawn_state *save;       /* where a snapshot's is put */
    const struct bawn_state *from; /* a snapshot's, from which it goes on; NULL: it boots */
    bool hold;                     /* it begins paused */
    unsigned vcpus; /* that are there at its beginning, if more than at the first boot */
};

struct bawn_vm_ops {
    void (*distrust)(void *opaque, unsigned device, const char *why); /* as of a link's owner */
    void (*paused)(void *opaque);
    void (*gone)(void *opaque, unsigned device); /* the guest let go of it */
    void (*resized)(void *opaque);               /* and of as many vCPUs as it was asked for */
    void *opaque;                                /* borrowed */
};

struct bawn_vm {
    const struct bawn_vm_parts *parts;
    struct bawn_vm_ops ops;
    int fd;
    struct bawn_snp_vm snp;
    struct bawn_vcpu vcpu[BAWN_MAX_VCPUS];
    unsigned nr_vcpus; /* all that there may ever be, and how many of them */
    unsigned wanted;   /* when fewer of them were asked for; 0: none were */
    struct bawn_threads threads;
    bool pause;           /* atomic: vCPUs wait */
    bool paused;          /* and devices are quiet: it was told */
    unsigned parked;      /* vCPUs that wait, for its end or to be there */
    pthread_cond_t moved; /* the three above, or the end; with the lock */
    pthread_mutex_t lock;
    struct bawn_loop loop;
    struct bawn_bus pio, mmio;
    struct bawn_wires wires;
    struct bawn_kvm_wires kvm_wires;
    struct bawn_ioapic ioapic;
    struct bawn_platform platform;
    struct bawn_serial serial;
    int serial_watch;
    struct bawn_pci pci;
    struct bawn_slots slots;
    uint32_t here;                                  /* devices that are there, */
    struct bawn_vdev_ops plugged[BAWN_DEVICES_MAX]; /* and what those are that came */
    struct bawn_virtio virtio[BAWN_DEVICES_MAX];
    struct bawn_link link[BAWN_DEVICES_MAX];
    struct bawn_tpm tpm;
    enum bawn_end end; /* the first reason to stop; atomic */
    char end_msg[256];
    uint8_t digest[BAWN_MEASURE_DIGEST_SIZE]; /* of the sealed launch, if measured */
    bool measured;
    uint32_t msr[BAWN_STATE_MSRS]; /* what a snapshot has of a vCPU; of the module's list */
    unsigned nr_msrs;
    struct bawn_state_cpuid cpuid; /* of vCPU 0 */
};

/* vm is zeroed. After a failure, and at the end, the process is to be ended. */
enum bawn_status bawn_vm_create(struct bawn_vm *vm, const struct bawn_vm_parts *parts,
                                const struct bawn_vm_ops *ops, struct bawn_error *err);

/* Starts the threads, which wait for bawn_vm_run(). */
enum bawn_status bawn_vm_start(struct bawn_vm *vm, struct bawn_error *err);
/* The descriptors that it needs to run. */
void bawn_vm_keep_files(const struct bawn_vm *vm, struct bawn_sandbox_files *files);

/* Runs until something ends it, which may be a handler that the caller put into vm->loop. All other
 * threads have ended then. */
enum bawn_end bawn_vm_run(struct bawn_vm *vm);
/* Ends the machine, from any thread; the first call's reason stands. */
void bawn_vm_end(struct bawn_vm *vm, enum bawn_end why, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What a device of this machine is plugged into, and who hears of it. */
struct bawn_virtio_host bawn_vm_host(struct bawn_vm *vm);
struct bawn_link_owner bawn_vm_owner(struct bawn_vm *vm);

/* By a handler of vm->loop. ops->paused() is called when no vCPU and no device changes anything any
 * more, at once or later. False: a vCPU does not stop, and the machine goes on. */
bool bawn_vm_pause(struct bawn_vm *vm);
void bawn_vm_resume(struct bawn_vm *vm);
/* The same. Presses the guest's power button. */
void bawn_vm_press(struct bawn_vm *vm);
/* vm_plug.c. The same. A device has come: dev says what it is, but for ops and descriptors. 0 or
 * -errno. */
int bawn_vm_plug(struct bawn_vm *vm, unsigned device, const struct bawn_vdev_ops *ops,
                 struct bawn_vdev *dev);
/* Asks the guest to let go of it, or to keep it; ops->gone() comes later, if it does. */
void bawn_vm_unplug(struct bawn_vm *vm, unsigned device, bool ask);
/* The same. So many vCPUs are to be there: whether they are. If not, the guest was asked to let go
 * of some, and ops->resized() comes later, if it does; 0: it need not any longer. */
bool bawn_vm_cpus(struct bawn_vm *vm, unsigned n);
bool bawn_vm_has(const struct bawn_vm *vm, unsigned cpu); /* whether it is there */
int bawn_vm_slots(struct bawn_vm *vm);                    /* at the machine's creation */
/* Of a snapshot: whether it makes sense. */
bool bawn_vm_slots_load(struct bawn_vm *vm, const struct bawn_slots_state *from);
/* By a vCPU's thread: waits as long as the machine is paused, or the vCPU is not there. */
void bawn_vm_park(struct bawn_vcpu *vcpu);

/* vcpu.c. Creation sets CPUID, MSRs and, on vCPU 0, the plan's registers. */
enum bawn_status bawn_vcpu_create(struct bawn_vcpu *vcpu, struct bawn_vm *vm, unsigned id,
                                  struct bawn_error *err);
void *bawn_vcpu_thread(void *vcpu); /* runs it until the machine ends */

/* cpuid.c: what the module supports, or what a snapshot's guest was told, with vCPU id's place in
 * the topology. */
enum bawn_status bawn_cpuid_set(struct bawn_vcpu *vcpu, struct bawn_error *err);
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

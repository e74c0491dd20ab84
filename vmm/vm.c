// SPDX-License-Identifier: Apache-2.0
/*
 * Builds and runs a virtual machine. Trusts the module; the guest only ever
 * reaches it through the buses and queues.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

#define PARK_LIMIT 20        /* times PARK_AGAIN */
#define PARK_AGAIN 100000000 /* nanoseconds */
#define NANOSECONDS 1000000000

void bawn_vm_end(struct bawn_vm *vm, enum bawn_end why, const char *fmt, ...)
{
    enum bawn_end none = BAWN_END_NONE;
    va_list ap;

    if (!__atomic_compare_exchange_n(&vm->end, &none, why, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return;
    va_start(ap, fmt);
    vsnprintf(vm->end_msg, sizeof(vm->end_msg), fmt, ap);
    va_end(ap);
    bawn_loop_stop(&vm->loop);
}

static void platform_end(void *opaque, enum bawn_end why, const char *msg)
{
    bawn_vm_end(opaque, why, "%s", msg);
}

static void user_quit(void *opaque)
{
    bawn_vm_end(opaque, BAWN_END_QUIT, "stopped from the terminal");
}

static void distrust(void *opaque, unsigned device, const char *why)
{
    struct bawn_vm *vm = opaque;

    vm->ops.distrust(vm->ops.opaque, device, why);
}

/* ---- pause ---- */

/* One device more is quiet. */
static void quiet(void *opaque)
{
    struct bawn_vm *vm = opaque;
    bool all = vm->pause && !vm->paused;

    for (unsigned i = 0; i < vm->parts->devices->nr; i++)
        all &= bawn_link_quiet(&vm->link[i]);
    if (!all)
        return;
    vm->paused = true;
    vm->ops.paused(vm->ops.opaque);
}

static void set_immediate_exit(struct bawn_vm *vm, uint8_t on)
{
    for (unsigned i = 0; i < vm->nr_vcpus; i++)
        __atomic_store_n(&vm->vcpu[i].run->immediate_exit, on || vm->vcpu[i].away,
                         __ATOMIC_SEQ_CST);
}

void bawn_vm_park(struct bawn_vcpu *vcpu)
{
    struct bawn_vm *vm = vcpu->vm;

    pthread_mutex_lock(&vm->lock);
    vm->parked++;
    pthread_cond_broadcast(&vm->moved);
    while ((vm->pause || vcpu->away) &&
           __atomic_load_n(&vm->end, __ATOMIC_SEQ_CST) == BAWN_END_NONE)
        pthread_cond_wait(&vm->moved, &vm->lock);
    vm->parked--;
    pthread_mutex_unlock(&vm->lock);
}

/* Whether all vCPUs wait; the lock is left meanwhile, which they may want. */
static bool park_all(struct bawn_vm *vm)
{
    struct timespec until;

    __atomic_store_n(&vm->pause, true, __ATOMIC_SEQ_CST);
    set_immediate_exit(vm, 1);
    for (unsigned n = 0; n < PARK_LIMIT && vm->parked < vm->nr_vcpus; n++) {
        int rc = 0;

        bawn_threads_kick(&vm->threads);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += PARK_AGAIN;
        until.tv_sec += until.tv_nsec / NANOSECONDS;
        until.tv_nsec %= NANOSECONDS;
        while (vm->parked < vm->nr_vcpus && rc != ETIMEDOUT)
            rc = pthread_cond_clockwait(&vm->moved, &vm->lock, CLOCK_MONOTONIC, &until);
    }
    return vm->parked == vm->nr_vcpus;
}

bool bawn_vm_pause(struct bawn_vm *vm)
{
    if (!park_all(vm)) {
        bawn_vm_resume(vm);
        return false;
    }
    for (unsigned i = 0; i < vm->parts->devices->nr; i++)
        bawn_link_pause(&vm->link[i]);
    quiet(vm);
    return true;
}

void bawn_vm_resume(struct bawn_vm *vm)
{
    vm->paused = false;
    for (unsigned i = 0; i < vm->parts->devices->nr; i++)
        bawn_link_resume(&vm->link[i]);
    set_immediate_exit(vm, 0);
    __atomic_store_n(&vm->pause, false, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&vm->moved);
}

/* An edge: the guest is told of the press, not of the button's state. */
void bawn_vm_press(struct bawn_vm *vm)
{
    bawn_ioapic_set(&vm->ioapic, BAWN_BUTTON_GSI, true);
    bawn_ioapic_set(&vm->ioapic, BAWN_BUTTON_GSI, false);
}

/* ---- the serial port's three wires ---- */

static void serial_transmit(void *opaque, uint8_t byte)
{
    struct bawn_vm *vm = opaque;

    bawn_stream_write(vm->parts->serial, &byte, 1);
}

static void serial_irq(void *opaque, bool level)
{
    struct bawn_vm *vm = opaque;

    bawn_ioapic_set(&vm->ioapic, BAWN_SERIAL_GSI, level);
}

static void serial_want_input(void *opaque)
{
    struct bawn_vm *vm = opaque;

    bawn_loop_set(&vm->loop, vm->serial_watch, bawn_serial_room(&vm->serial) > 0);
}

static void serial_input(void *opaque)
{
    struct bawn_vm *vm = opaque;
    unsigned room = bawn_serial_room(&vm->serial);
    uint8_t buf[BAWN_SERIAL_FIFO];
    bool quit = false;
    ssize_t n;

    n = room ? bawn_stream_read(vm->parts->serial, buf, room, &quit) : 0;
    if (n > 0)
        bawn_serial_receive(&vm->serial, buf, n);
    bawn_loop_set(&vm->loop, vm->serial_watch, n >= 0 && bawn_serial_room(&vm->serial));
    if (n < 0)
        vm->serial_watch = -1;
    if (quit)
        user_quit(vm);
}

static const struct bawn_serial_ops serial_ops = { serial_transmit, serial_irq, serial_want_input };

static int create_serial(struct bawn_vm *vm)
{
    struct bawn_stream *stream = vm->parts->serial;

    bawn_serial_init(&vm->serial, &serial_ops, vm);
    vm->serial_watch = -1;
    if (vm->parts->cfg->serial.mode == BAWN_STREAM_OFF)
        return 0;
    if (stream->in_fd >= 0) {
        vm->serial_watch = bawn_loop_watch(&vm->loop, stream->in_fd, false, serial_input, vm);
        if (vm->serial_watch < 0)
            return vm->serial_watch;
    }
    return bawn_bus_add(&vm->pio, BAWN_SERIAL_PORT, BAWN_SERIAL_SIZE, &bawn_serial_bus_ops,
                        &vm->serial);
}

struct bawn_virtio_host bawn_vm_host(struct bawn_vm *vm)
{
    return (struct bawn_virtio_host){
        &vm->wires, &vm->ioapic, &vm->loop, &vm->pci, vm->parts->cfg->snp.on,
    };
}

static int create_virtio(struct bawn_vm *vm, struct bawn_link_owner owner)
{
    const struct bawn_virtio_host host = bawn_vm_host(vm);
    const struct bawn_devices *devices = vm->parts->devices;
    int rc = 0;

    for (unsigned i = 0; !rc && i < devices->nr; i++) {
        const struct bawn_device *dev = &devices->dev[i];

        if (!dev->present)
            continue;
        vm->here |= 1u << i;
        if (dev->tpm) {
            rc = bawn_tpm_init(&vm->tpm, &vm->mmio, &vm->loop, dev->link[0], i, &owner);
            continue;
        }
        owner.quit = dev->vdev == &devices->console.vdev ? user_quit : NULL;
        rc = bawn_virtio_init(&vm->virtio[i], dev->vdev, &host, dev->slot);
        if (dev->vdev == &devices->balloon.vdev)
            vm->virtio[i].follow = &vm->parts->counters->balloon;
        if (!rc)
            rc = bawn_link_init(&vm->link[i], dev->link[0], i, &vm->virtio[i], &owner);
    }
    return rc;
}

static int create_devices(struct bawn_vm *vm, const struct bawn_link_owner *owner)
{
    int rc;

    bawn_kvm_wires_init(&vm->wires, &vm->kvm_wires, vm->fd);
    bawn_ioapic_init(&vm->ioapic, &vm->wires);
    rc = bawn_bus_add(&vm->mmio, BAWN_IOAPIC_BASE, BAWN_IOAPIC_SIZE, &bawn_ioapic_bus_ops,
                      &vm->ioapic);
    if (!rc)
        rc = bawn_platform_init(&vm->platform, &vm->pio, platform_end, vm);
    if (!rc)
        rc = create_serial(vm);
    if (!rc)
        rc = bawn_pci_init(&vm->pci, &vm->mmio);
    if (!rc)
        rc = bawn_vm_slots(vm);
    return rc ? rc : create_virtio(vm, *owner);
}

static enum bawn_status add_memory(struct bawn_vm *vm, struct bawn_error *err)
{
    const struct bawn_mem *mem = vm->parts->mem;

    for (unsigned i = 0; i < mem->nr; i++) {
        struct kvm_userspace_memory_region slot = {
            .slot = i,
            .guest_phys_addr = mem->range[i].gpa,
            .memory_size = mem->range[i].size,
            .userspace_addr = (uintptr_t)mem->range[i].host,
        };

        if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot))
            return bawn_fail(err, BAWN_E_IO, "memory slot %u, %#llx bytes at %#llx: %m", i,
                             (unsigned long long)slot.memory_size,
                             (unsigned long long)slot.guest_phys_addr);
    }
    return vm->parts->from ? BAWN_OK : bawn_mem_place(mem, vm->parts->plan, err);
}

/* Private memory, and beside it what the guest will share. */
static enum bawn_status add_snp_memory(struct bawn_vm *vm, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (unsigned i = 0; !st && i < vm->parts->mem->nr; i++)
        st = bawn_snp_add_memory(vm, i, err);
    return st;
}

/* What a plain and a confidential machine differ in, before and after the devices. */
static enum bawn_status begin(struct bawn_vm *vm, struct bawn_error *err)
{
    bool snp = vm->parts->snp;
    enum bawn_status st = vm->parts->from ? BAWN_OK
                          : snp           ? bawn_snp_begin(vm, err)
                                          : bawn_measured_begin(vm, err);

    if (st)
        return st;
    return snp ? add_snp_memory(vm, err) : add_memory(vm, err);
}

static enum bawn_status finish(struct bawn_vm *vm, struct bawn_error *err)
{
    if (vm->parts->snp)
        return bawn_snp_finish(vm, err);
    return vm->parts->from ? bawn_state_load(vm, vm->parts->from, err)
                           : bawn_measured_seal(vm, err);
}

static unsigned first_vcpus(const struct bawn_vm_parts *parts)
{
    return parts->vcpus > parts->cfg->vcpus ? parts->vcpus : parts->cfg->vcpus;
}

static enum bawn_status build(struct bawn_vm *vm, const struct bawn_link_owner *owner,
                              struct bawn_error *err)
{
    unsigned long type = vm->parts->snp ? KVM_X86_SNP_VM : KVM_X86_DEFAULT_VM;
    struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { BAWN_IOAPIC_PINS } };
    enum bawn_status st;
    int rc;

    vm->fd = ioctl(vm->parts->accel->fd, KVM_CREATE_VM, type);
    if (vm->fd < 0)
        return bawn_fail(err, BAWN_E_IO, "%s: KVM_CREATE_VM: %m", vm->parts->accel->path);
    if (ioctl(vm->fd, KVM_ENABLE_CAP, &split))
        return bawn_fail(err, BAWN_E_IO, "cannot enable the split irqchip: %m");
    st = begin(vm, err);
    if (st)
        return st;
    rc = create_devices(vm, owner);
    if (rc)
        return bawn_fail(err, BAWN_E_IO, "cannot create the devices: %s", strerror(-rc));
    for (unsigned i = 0; !st && i < bawn_vm_config_max_vcpus(vm->parts->cfg); i++) {
        vm->nr_vcpus = i + 1;
        st = bawn_vcpu_create(&vm->vcpu[i], vm, i, err);
    }
    if (!st && !vm->parts->from)
        bawn_vm_cpus(vm, first_vcpus(vm->parts));
    if (!st)
        st = bawn_state_prepare(vm, err);
    return st ? st : finish(vm, err);
}

struct bawn_link_owner bawn_vm_owner(struct bawn_vm *vm)
{
    return (struct bawn_link_owner){ .distrust = distrust, .quiet = quiet, .opaque = vm };
}

enum bawn_status bawn_vm_create(struct bawn_vm *vm, const struct bawn_vm_parts *parts,
                                const struct bawn_vm_ops *ops, struct bawn_error *err)
{
    const struct bawn_link_owner owner = bawn_vm_owner(vm);
    int rc;

    vm->parts = parts;
    vm->ops = *ops;
    vm->fd = -1;
    bawn_snp_vm_init(&vm->snp);
    pthread_mutex_init(&vm->lock, NULL);
    pthread_cond_init(&vm->moved, NULL);
    rc = bawn_loop_init(&vm->loop, &vm->lock);
    if (!rc)
        rc = bawn_loop_reserve(&vm->loop, BAWN_LOOP_MAX);
    return rc ? bawn_fail(err, BAWN_E_IO, "eventfd: %s", strerror(-rc)) : build(vm, &owner, err);
}

enum bawn_status bawn_vm_start(struct bawn_vm *vm, struct bawn_error *err)
{
    int rc = 0;

    bawn_threads_init(&vm->threads);
    for (unsigned i = 0; !rc && i < vm->nr_vcpus; i++)
        rc = bawn_threads_start(&vm->threads, bawn_vcpu_thread, &vm->vcpu[i]);
    return rc ? bawn_fail(err, BAWN_E_IO, "cannot start the vCPUs' threads: %s", strerror(rc))
              : BAWN_OK;
}

void bawn_vm_keep_files(const struct bawn_vm *vm, struct bawn_sandbox_files *files)
{
    const struct bawn_vm_parts *parts = vm->parts;

    bawn_sandbox_keep(files, vm->fd);
    bawn_sandbox_keep(files, vm->loop.wake_fd);
    bawn_sandbox_keep(files, parts->mem->faults);
    bawn_sandbox_keep(files, parts->serial->in_fd);
    bawn_sandbox_keep(files, parts->serial->out_fd);
    for (unsigned i = 0; i < vm->nr_vcpus; i++)
        bawn_sandbox_keep(files, vm->vcpu[i].fd);
    if (parts->snp)
        bawn_sandbox_keep(files, vm->snp.sev_fd);
    for (unsigned i = 0; parts->snp && i < parts->mem->nr; i++) {
        bawn_sandbox_keep(files, vm->snp.gmem[i]);
        bawn_sandbox_keep(files, parts->mem->range[i].fd);
    }
    for (unsigned i = 0; i < parts->devices->nr; i++) {
        const struct bawn_device *dev = &parts->devices->dev[i];

        bawn_sandbox_keep(files, dev->link[0]);
        for (unsigned q = 0; dev->vdev && q < dev->vdev->ops->nr_queues; q++) {
            bawn_sandbox_keep(files, dev->vdev->bell[q].fd);
            bawn_sandbox_keep(files, dev->vdev->call_fd[q]);
        }
        for (unsigned q = 0; !dev->present && q < BAWN_DEVICE_SPARE; q++) {
            bawn_sandbox_keep(files, dev->bell[q]);
            bawn_sandbox_keep(files, dev->call[q]);
        }
    }
}

static void stop_threads(struct bawn_vm *vm)
{
    /* For a vCPU about to enter the guest; the threads' signal is for one inside it. */
    set_immediate_exit(vm, 1);
    pthread_mutex_lock(&vm->lock);
    pthread_cond_broadcast(&vm->moved); /* for those that wait for a pause's end */
    pthread_mutex_unlock(&vm->lock);
    while (!bawn_threads_end(&vm->threads))
        /* They had time to write what they had: now nobody takes it. */
        bawn_stream_cut(vm->parts->serial, true);
}

/* As bawn_vm_pause() leaves it, before anything has moved. */
static void hold(struct bawn_vm *vm)
{
    vm->pause = vm->paused = true;
    set_immediate_exit(vm, 1);
    for (unsigned i = 0; i < vm->parts->devices->nr; i++)
        bawn_link_pause(&vm->link[i]);
}

enum bawn_end bawn_vm_run(struct bawn_vm *vm)
{
    if (vm->parts->hold)
        hold(vm);
    bawn_threads_go(&vm->threads);
    bawn_loop_run(&vm->loop);
    stop_threads(vm);
    return vm->end;
}

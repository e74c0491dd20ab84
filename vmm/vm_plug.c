// SPDX-License-Identifier: Apache-2.0
/*
 * Devices and vCPUs that come to a machine that runs, and leave it. The descriptors behind a
 * device's place, and all vCPUs with their threads, stand since the machine was made: nothing is
 * opened for what comes. The guest decides when something leaves, and no guest is waited for here.
 */
#include <errno.h>

#include "vm.h"

#define MSI_INIT 0x4500 /* data of a message: INIT, asserted (SDM vol. 3, 11.11.2) */
#define MSI_TO(cpu) (BAWN_LAPIC_BASE | (uint64_t)(cpu) << 12)

/* ---- vCPUs ---- */

bool bawn_vm_has(const struct bawn_vm *vm, unsigned cpu)
{
    return vm->slots.bank[BAWN_HOTPLUG_CPUS / 32 + cpu / 32].here & 1u << cpu % 32;
}

/* One that has come waits for its SIPI, whatever the guest had it do or sent it before; one that
 * has gone leaves the guest, and is not run. */
static void follow_cpus(struct bawn_vm *vm)
{
    const struct bawn_slots_bank *bank = &vm->slots.bank[BAWN_HOTPLUG_CPUS / 32];

    for (unsigned i = 0; i < vm->nr_vcpus; i++) {
        struct bawn_vcpu *vcpu = &vm->vcpu[i];
        bool away = !bawn_vm_has(vm, i);

        if (vcpu->away && !away)
            vm->wires.ops->msi(vm->wires.opaque, MSI_TO(i), MSI_INIT);
        __atomic_store_n(&vcpu->away, away, __ATOMIC_SEQ_CST);
        __atomic_store_n(&vcpu->run->immediate_exit, vm->pause || away, __ATOMIC_SEQ_CST);
    }
    bawn_threads_kick(&vm->threads);
    pthread_cond_broadcast(&vm->moved);
    vm->parts->counters->vcpus = (uint64_t)bank[1].here << 32 | bank[0].here;
}

static unsigned count_cpus(const struct bawn_vm *vm)
{
    unsigned n = 0;

    for (unsigned i = 0; i < vm->nr_vcpus; i++)
        n += bawn_vm_has(vm, i);
    return n;
}

bool bawn_vm_cpus(struct bawn_vm *vm, unsigned n)
{
    unsigned nr = count_cpus(vm);

    for (unsigned i = 1; i < vm->nr_vcpus && nr < n; i++) {
        if (!bawn_vm_has(vm, i)) {
            bawn_slots_came(&vm->slots, BAWN_HOTPLUG_CPUS + i);
            nr++;
        }
    }
    follow_cpus(vm);
    for (unsigned i = vm->nr_vcpus - 1; i > 0; i--) {
        if (n && nr > n && bawn_vm_has(vm, i)) {
            bawn_slots_ask(&vm->slots, BAWN_HOTPLUG_CPUS + i);
            nr--;
        } else {
            bawn_slots_unask(&vm->slots, BAWN_HOTPLUG_CPUS + i);
        }
    }
    nr = count_cpus(vm);
    vm->wanted = nr == n ? 0 : n;
    return nr == n;
}

static void cpu_gone(struct bawn_vm *vm)
{
    follow_cpus(vm);
    if (count_cpus(vm) != vm->wanted)
        return;
    vm->wanted = 0;
    vm->ops.resized(vm->ops.opaque);
}

bool bawn_vm_slots_load(struct bawn_vm *vm, const struct bawn_slots_state *from)
{
    const struct bawn_vm_config *cfg = vm->parts->cfg;
    uint64_t all = ~0ull >> (64 - vm->nr_vcpus);
    uint64_t here = (uint64_t)from->bank[2].here << 32 | from->bank[1].here;
    uint64_t came = (uint64_t)from->bank[2].came << 32 | from->bank[1].came;
    uint64_t asked = (uint64_t)from->bank[2].asked << 32 | from->bank[1].asked;

    if (!(here & 1) || here & ~all || (came | asked) & ~here || asked & 1)
        return false;
    if (bawn_vm_config_max_vcpus(cfg) == cfg->vcpus && (here != all || came))
        return false;
    bawn_slots_load(&vm->slots, from);
    follow_cpus(vm);
    return true;
}

/* ---- devices ---- */

/* By a vCPU's thread, which has the lock. */
static void gone(void *opaque, unsigned slot)
{
    struct bawn_vm *vm = opaque;
    const struct bawn_devices *devices = vm->parts->devices;

    if (slot >= BAWN_HOTPLUG_CPUS)
        cpu_gone(vm);
    for (unsigned i = 0; i < devices->nr; i++) {
        if (!(vm->here & 1u << i) || !devices->dev[i].pluggable || devices->dev[i].slot != slot)
            continue;
        vm->here &= ~(1u << i);
        bawn_virtio_unplug(&vm->virtio[i]);
        bawn_link_forget(&vm->link[i]);
        vm->ops.gone(vm->ops.opaque, i);
    }
}

int bawn_vm_slots(struct bawn_vm *vm)
{
    const struct bawn_vm_config *cfg = vm->parts->cfg;
    bool cpus = bawn_vm_config_max_vcpus(cfg) > cfg->vcpus;
    int rc = bawn_slots_init(&vm->slots, &vm->pio,
                             cpus                          ? BAWN_HOTPLUG_SIZE_CPUS
                             : bawn_vm_config_hotplug(cfg) ? BAWN_HOTPLUG_SIZE
                                                           : 0,
                             &vm->ioapic, gone, vm);

    for (unsigned i = 0; i < cfg->vcpus; i++)
        vm->slots.bank[(BAWN_HOTPLUG_CPUS + i) / 32].here |= 1u << i % 32;
    return rc;
}

static int plug_first(struct bawn_vm *vm, unsigned i, struct bawn_vdev *dev)
{
    const struct bawn_device *place = &vm->parts->devices->dev[i];
    const struct bawn_virtio_host host = bawn_vm_host(vm);
    const struct bawn_link_owner owner = bawn_vm_owner(vm);
    int rc;

    if (dev->ops->nr_queues > BAWN_DEVICE_SPARE)
        return -ENOSPC;
    for (unsigned q = 0; q < dev->ops->nr_queues; q++) {
        dev->bell[q].fd = place->bell[q];
        dev->call_fd[q] = place->call[q];
    }
    rc = bawn_virtio_init(&vm->virtio[i], dev, &host, place->slot);
    return rc ? rc : bawn_link_init(&vm->link[i], place->link[0], i, &vm->virtio[i], &owner);
}

int bawn_vm_plug(struct bawn_vm *vm, unsigned i, const struct bawn_vdev_ops *ops,
                 struct bawn_vdev *dev)
{
    const struct bawn_devices *devices = vm->parts->devices;
    int rc;

    if (i >= devices->nr || !devices->dev[i].pluggable || (vm->here & 1u << i))
        return -EBUSY;
    vm->plugged[i] = *ops;
    dev->ops = &vm->plugged[i];
    rc = vm->virtio[i].ops ? bawn_virtio_replug(&vm->virtio[i], dev) : plug_first(vm, i, dev);
    if (rc)
        return rc;
    vm->here |= 1u << i;
    bawn_slots_came(&vm->slots, devices->dev[i].slot);
    return 0;
}

void bawn_vm_unplug(struct bawn_vm *vm, unsigned i, bool ask)
{
    if (i >= vm->parts->devices->nr || !vm->parts->devices->dev[i].pluggable)
        return;
    if (!ask)
        bawn_slots_unask(&vm->slots, vm->parts->devices->dev[i].slot);
    else if (vm->here & 1u << i)
        bawn_slots_ask(&vm->slots, vm->parts->devices->dev[i].slot);
}

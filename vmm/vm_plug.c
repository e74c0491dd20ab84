// SPDX-License-Identifier: Apache-2.0
/*
 * Devices that come to a machine that runs, and leave it. The descriptors behind a place stand
 * since the machine was made: nothing is opened for a device that comes. The guest decides when one
 * leaves, and no guest is waited for here.
 */
#include <errno.h>

#include "vm.h"

/* By a vCPU's thread, which has the lock. */
static void gone(void *opaque, unsigned slot)
{
    struct bawn_vm *vm = opaque;
    const struct bawn_devices *devices = vm->parts->devices;

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
    return bawn_vm_config_hotplug(vm->parts->cfg)
               ? bawn_slots_init(&vm->slots, &vm->pio, &vm->ioapic, gone, vm)
               : 0;
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

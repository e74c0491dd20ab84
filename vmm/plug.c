// SPDX-License-Identifier: Apache-2.0
/*
 * Devices that come to a machine that runs, and leave it, as the supervisor sees to it: a process
 * is forked for one that comes; one that leaves ends when the guest has let go of it. What the
 * machine's process says of that is heard only of devices that it was asked for.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise.h"

static enum bawn_status busy(struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_IO, "the machine is busy: it ends, or does as it was told before");
}

static void forget(struct bawn_boot *b, unsigned i)
{
    unsigned slot = b->devices.dev[i].slot;

    bawn_boot_drain(b, i);
    bawn_devices_unplug(&b->devices, i);
    b->ops.unplugged(b->ops.opaque, slot);
}

/* The device as the machine's process needs to know it. */
static struct bawn_order_msg describe(unsigned device, const struct bawn_vdev *vdev)
{
    struct bawn_order_msg msg = {
        .order = BAWN_ORDER_PLUG,
        .device = (uint8_t)device,
        .config_len = (uint16_t)vdev->config_len,
        .ops = { .id = vdev->ops->id,
                 .class = vdev->ops->class,
                 .nr_queues = vdev->ops->nr_queues,
                 .queue_size = vdev->ops->queue_size },
        .features = vdev->offered,
    };

    if (vdev->config_len <= sizeof(msg.config))
        memcpy(msg.config, vdev->config, vdev->config_len);
    return msg;
}

enum bawn_status bawn_boot_plug(struct bawn_boot *b, unsigned slot, struct bawn_error *err)
{
    int place = bawn_devices_place(&b->devices, slot), rc;
    unsigned i = (unsigned)place;
    struct bawn_order_msg msg;

    if (place < 0 || b->devices.dev[i].present || !bawn_boot_obeys(b))
        return busy(err);
    rc = bawn_devices_plug(&b->devices, i, &b->mem, b->backends);
    if (rc)
        return bawn_fail(err, BAWN_E_IO, "cannot make the device: %s", strerror(-rc));
    b->devices.dev[i].vdev->count = &b->counters->device[i];
    memset(&b->counters->device[i], 0, sizeof(b->counters->device[i]));
    memset(&b->child[i], 0, sizeof(b->child[i]));
    msg = describe(i, b->devices.dev[i].vdev);
    if (bawn_boot_start(b, i) && bawn_boot_give(b, &msg, sizeof(msg)))
        return BAWN_OK;
    if (b->child[i].pid && !kill(b->child[i].pid, SIGKILL))
        waitpid(b->child[i].pid, NULL, 0);
    b->child[i].pid = 0;
    bawn_devices_unplug(&b->devices, i);
    return busy(err);
}

enum bawn_status bawn_boot_unplug(struct bawn_boot *b, unsigned slot, struct bawn_error *err)
{
    int i = bawn_devices_place(&b->devices, slot);
    struct bawn_order_msg msg = { .order = BAWN_ORDER_UNPLUG, .device = (uint8_t)i };

    if (i < 0 || !b->devices.dev[i].present)
        return bawn_fail(err, BAWN_E_CONFIG, "no device is there");
    if (b->child[i].gone || !bawn_boot_give(b, &msg, sizeof(msg)))
        return busy(err);
    b->child[i].asked = true;
    return BAWN_OK;
}

enum bawn_status bawn_boot_cpus(struct bawn_boot *b, unsigned n, struct bawn_error *err)
{
    struct bawn_order_msg msg = { .order = BAWN_ORDER_CPUS, .device = (uint8_t)n };

    return bawn_boot_give(b, &msg, sizeof(msg)) ? BAWN_OK : busy(err);
}

void bawn_plug_retract(struct bawn_boot *b, unsigned i)
{
    b->child[i].gone = true;
    if (b->child[i].pid)
        kill(b->child[i].pid, SIGKILL);
    else
        bawn_plug_ended(b, i);
}

void bawn_plug_gone(struct bawn_boot *b, unsigned i)
{
    if (i >= b->devices.nr || !b->child[i].asked || b->child[i].gone)
        return;
    b->child[i].gone = true;
    if (!b->child[i].pid)
        bawn_plug_ended(b, i);
    else
        bawn_link_tell(b->devices.dev[i].link[0], BAWN_LINK_EXIT);
}

bool bawn_plug_ended(struct bawn_boot *b, unsigned i)
{
    if (!b->child[i].gone)
        return false;
    forget(b, i);
    if (b->order == BAWN_ORDER_UNPLUG && b->order_device == i)
        bawn_boot_ordered(b, "");
    return true;
}

bool bawn_plug_give_up(struct bawn_boot *b)
{
    struct bawn_order_msg msg = { .order = BAWN_ORDER_KEEP, .device = (uint8_t)b->order_device };

    if (b->child[b->order_device].gone && b->child[b->order_device].pid) {
        kill(b->child[b->order_device].pid, SIGKILL); /* it had its time; its end is the answer */
        return false;
    }
    (void)!write(b->control[0], &msg, sizeof(msg));
    return true;
}

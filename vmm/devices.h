/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine's virtio devices, and its TPM, as the supervisor makes them, before any process is
 * forked: each has its own loop, descriptors and link, and is run by a process of its own, which
 * may be forked again from what stands here. With hot-plug there are places, too, to which disks
 * and network devices come later: with the link and the descriptors that the machine's process has
 * from its beginning.
 */
#ifndef BAWN_VMM_DEVICES_H
#define BAWN_VMM_DEVICES_H

#include "launch.h"
#include "link.h"
#include "sandbox.h"
#include "tpm.h"
#include "virtio_devices.h"

#define BAWN_DEVICES_MAX (5 + BAWN_MAX_DISKS + BAWN_MAX_NETS)
#define BAWN_DEVICE_SPARE 2u /* queues of a device that comes later */

struct bawn_device {
    char name[16];  /* console, rng, vsock, disk0, net0, balloon, tpm */
    unsigned slot;  /* of PCI */
    bool present;   /* false: nothing is there yet, or no longer */
    bool pluggable; /* it may go, and another one come */
    int bell[BAWN_DEVICE_SPARE], call[BAWN_DEVICE_SPARE]; /* owned; of a place; -1: none */
    enum bawn_role role;
    struct bawn_vdev *vdev; /* NULL: it is the TPM */
    struct bawn_tpm_bridge *tpm;
    pthread_mutex_t lock;
    struct bawn_loop loop;
    int link[2]; /* owned: the machine's end, and the device's */
};

struct bawn_devices {
    struct bawn_device dev[BAWN_DEVICES_MAX];
    unsigned nr;
    struct bawn_virtio_console console;
    struct bawn_vdev rng;
    struct bawn_virtio_blk blk[BAWN_MAX_DISKS];
    struct bawn_virtio_vsock vsock;
    struct bawn_virtio_net net[BAWN_MAX_NETS];
    struct bawn_virtio_balloon balloon;
    struct bawn_tpm_bridge tpm;
};

/* What they stand on; all borrowed. */
struct bawn_backends {
    struct bawn_stream *console;
    struct bawn_disk *disk;                 /* those of the configuration, each in its slot's */
    struct bawn_net *net;                   /* place among BAWN_MAX_DISKS, and so with these */
    const struct bawn_vsock_socket *socket; /* if the configuration has vsock */
    const struct bawn_swtpm *swtpm;         /* if it has a TPM */
};

/* Into zeroes, which destroying leaves. 0 or -errno; after a failure they are destroyed already. */
int bawn_devices_create(struct bawn_devices *d, const struct bawn_vm_config *cfg,
                        const struct bawn_mem *mem, const struct bawn_backends *backends);
void bawn_devices_destroy(struct bawn_devices *d);

/* The number of the place with this slot to which devices come; -1: there is none. */
int bawn_devices_place(const struct bawn_devices *d, unsigned slot);
/* A device has come to the backends, and gets its model. 0 or -errno; after a failure the place is
 * empty as before. */
int bawn_devices_plug(struct bawn_devices *d, unsigned place, const struct bawn_mem *mem,
                      const struct bawn_backends *backends);
/* Its process has ended, and its back-end is about to be closed. */
void bawn_devices_unplug(struct bawn_devices *d, unsigned place);

/* The device's process: locks itself in and serves until it is told to end, or nobody is left to
 * serve. */
_Noreturn void bawn_device_run(struct bawn_device *dev);

#endif

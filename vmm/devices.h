/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine's virtio devices, and its TPM, as the supervisor makes them, before any process is
 * forked: each has its own loop, descriptors and link, and is run by a process of its own, which
 * may be forked again from what stands here.
 */
#ifndef BAWN_VMM_DEVICES_H
#define BAWN_VMM_DEVICES_H

#include "launch.h"
#include "link.h"
#include "sandbox.h"
#include "tpm.h"
#include "virtio_devices.h"

#define BAWN_DEVICES_MAX (5 + BAWN_MAX_DISKS + BAWN_MAX_NETS)

struct bawn_device {
    char name[16]; /* console, rng, vsock, disk0, net0, balloon, tpm */
    unsigned slot; /* of PCI */
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
    struct bawn_disk *disk;                 /* as many as the configuration has */
    struct bawn_net *net;                   /* the same */
    const struct bawn_vsock_socket *socket; /* if the configuration has vsock */
    const struct bawn_swtpm *swtpm;         /* if it has a TPM */
};

/* 0 or -errno; after a failure they are destroyed already. */
int bawn_devices_create(struct bawn_devices *d, const struct bawn_vm_config *cfg,
                        const struct bawn_mem *mem, const struct bawn_backends *backends);
void bawn_devices_destroy(struct bawn_devices *d);

/* The device's process: locks itself in and serves until it is told to end, or nobody is left to
 * serve. */
_Noreturn void bawn_device_run(struct bawn_device *dev);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio socket device: the guest's way to the outside world without a network device.
 */
#ifndef BAWN_VMM_VIRTIO_VSOCK_H
#define BAWN_VMM_VIRTIO_VSOCK_H

#include <linux/virtio_vsock.h>

#include "vdev.h"
#include "vsock_conn.h"
#include "vsock_socket.h"

#define BAWN_VSOCK_CONNS 128 /* open at one time, of both directions */
#define BAWN_VSOCK_STRAYS 64 /* answers to packets of no connection that wait for a buffer */

struct bawn_virtio_vsock {
    struct bawn_vdev vdev;
    const struct bawn_vsock_socket *socket; /* borrowed; NULL: there is no such device */
    struct virtio_vsock_config config;
    int epoll_fd;     /* owned: listener and connections, as one descriptor for the loop */
    uint8_t *buffers; /* owned mapping: all connections' */
    struct bawn_vsock_conn conn[BAWN_VSOCK_CONNS];
    unsigned next;      /* the connection whose turn it is */
    uint32_t next_port; /* counts the host's connections */
    struct {
        uint32_t host_port, guest_port;
    } stray[BAWN_VSOCK_STRAYS];
    unsigned nr_strays;
    bool tell_reset; /* the connections of before are gone (section 5.10.6.7) */
};

/* 0 or -errno; after a failure bawn_virtio_vsock_destroy() is still due. d is zeroed before. */
int bawn_virtio_vsock_init(struct bawn_virtio_vsock *d, const struct bawn_vdev_host *host,
                           const struct bawn_vsock_socket *socket, uint32_t cid);
void bawn_virtio_vsock_destroy(struct bawn_virtio_vsock *d);

#endif

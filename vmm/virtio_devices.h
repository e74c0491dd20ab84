/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices: console (one port on a stream), entropy source, disk, network, sockets,
 * balloon.
 */
#ifndef BAWN_VMM_VIRTIO_DEVICES_H
#define BAWN_VMM_VIRTIO_DEVICES_H

#include <linux/virtio_balloon.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>

#include "disk.h"
#include "net.h"
#include "rate.h"
#include "stream.h"
#include "vdev.h"
#include "virtio_vsock.h"

struct bawn_virtio_console {
    struct bawn_vdev vdev;
    struct bawn_stream *stream; /* borrowed */
    void (*quit)(void *opaque); /* the person at the terminal asked to stop */
    void *opaque;               /* borrowed, for quit */
    int input_watch;            /* in the loop; paused while the guest gives no buffer */
};

/* 0 or -errno; after a failure bawn_vdev_destroy(&c->vdev) is still due. */
int bawn_virtio_console_init(struct bawn_virtio_console *c, const struct bawn_vdev_host *host,
                             struct bawn_stream *stream, void (*quit)(void *), void *opaque);

int bawn_virtio_rng_init(struct bawn_vdev *d, const struct bawn_vdev_host *host);

struct bawn_virtio_blk {
    struct bawn_vdev vdev;
    struct bawn_disk *disk; /* borrowed */
    struct virtio_blk_config config;
    struct bawn_rate rate;
    int timer_fd;                  /* owned: requests go on; -1: no limit */
    struct bawn_blk_request *slot; /* owned: DEPTH that a ring works on; or one */
    uint32_t busy;                 /* bit n: slot n is taken */
    bool draining;                 /* nothing begins */
};

/* 0 or -errno; after a failure bawn_virtio_blk_destroy() is still due. b is zeroed before. */
int bawn_virtio_blk_init(struct bawn_virtio_blk *b, const struct bawn_vdev_host *host,
                         struct bawn_disk *disk);
void bawn_virtio_blk_destroy(struct bawn_virtio_blk *b);

struct bawn_virtio_net {
    struct bawn_vdev vdev;
    struct bawn_vdev_ops ops;
    struct bawn_net *net; /* borrowed */
    struct virtio_net_config config;
    int epoll_fd;      /* owned: the host's side, when something there changes */
    unsigned pairs;    /* of queues that the driver uses */
    unsigned readable; /* bit n: the host's queue n may have a frame */
    bool started;      /* the driver's features are known to it */
};

/* 0 or -errno; after a failure bawn_virtio_net_destroy() is still due. d is zeroed before. */
int bawn_virtio_net_init(struct bawn_virtio_net *d, const struct bawn_vdev_host *host,
                         struct bawn_net *net);
/* net->fd is another one now. 0 or -errno. */
int bawn_virtio_net_watch(struct bawn_virtio_net *d);
void bawn_virtio_net_destroy(struct bawn_virtio_net *d);

struct bawn_virtio_balloon {
    struct bawn_vdev vdev;
    struct virtio_balloon_config config;
};

/* 0 or -errno; after a failure bawn_vdev_destroy(&b->vdev) is still due. */
int bawn_virtio_balloon_init(struct bawn_virtio_balloon *b, const struct bawn_vdev_host *host,
                             const struct bawn_balloon_config *cfg);

#endif

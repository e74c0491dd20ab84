// SPDX-License-Identifier: Apache-2.0
/*
 * virtio network device (virtio 1.2, section 5.1) with one pair of queues: frames between the
 * guest's buffers and the host's side. A frame's header is copied once and checked against what was
 * negotiated and the frame's length; its bytes are passed on, not interpreted.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <linux/virtio_ids.h>

#include "virtio_devices.h"

enum { QUEUE_RX, QUEUE_TX, NR_QUEUES };

#define CLASS_ETHERNET 0x020000
#define QUEUE_SIZE BAWN_VIRTQ_MAX
#define FRAMES_MAX 64 /* that a direction may move before others have their turn */

static uint64_t features(const struct bawn_virtio_net *d)
{
    return d->vdev.features;
}

/* ---- The header of a frame to be sent (section 5.1.6.2) ---- */

static const struct {
    uint8_t type;
    unsigned feature;
} gso_types[] = {
    { VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_F_HOST_TSO4 },
    { VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_F_HOST_TSO6 },
};

static bool gso_allowed(uint64_t taken, uint8_t type)
{
    if ((type & VIRTIO_NET_HDR_GSO_ECN) && !(taken & 1ull << VIRTIO_NET_F_HOST_ECN))
        return false;
    for (size_t i = 0; i < sizeof(gso_types) / sizeof(gso_types[0]); i++)
        if ((type & ~VIRTIO_NET_HDR_GSO_ECN) == gso_types[i].type)
            return taken & 1ull << gso_types[i].feature;
    return false;
}

/* Fills in what is passed on of the guest's header; false: the frame is not to be sent. */
static bool check_header(uint64_t taken, const struct virtio_net_hdr_v1 *h, size_t len,
                         struct virtio_net_hdr_v1 *out)
{
    memset(out, 0, sizeof(*out));
    if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        if (!(taken & 1ull << VIRTIO_NET_F_CSUM) ||
            (size_t)le16toh(h->csum_start) + le16toh(h->csum_offset) + 2 > len)
            return false;
        out->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        out->csum_start = h->csum_start;
        out->csum_offset = h->csum_offset;
    }
    if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
        return true;
    /* Each segment has a checksum of its own. */
    if (!gso_allowed(taken, h->gso_type) || !out->flags || !h->gso_size ||
        le16toh(h->hdr_len) > len)
        return false;
    out->gso_type = h->gso_type;
    out->gso_size = h->gso_size;
    out->hdr_len = h->hdr_len;
    return true;
}

/* ---- Moving frames ---- */

static void send_frame(struct bawn_virtio_net *d, const struct bawn_virtq_chain *chain)
{
    struct virtio_net_hdr_v1 h, checked;
    struct bawn_bufs frame;

    bawn_bufs_readable(&frame, chain);
    if (bawn_bufs_get(&frame, &h, sizeof(h)) && check_header(features(d), &h, frame.len, &checked))
        bawn_net_send(d->net, &checked, &frame);
}

static void pump_tx(struct bawn_virtio_net *d)
{
    struct bawn_virtq_chain chain;

    for (unsigned i = 0; i < FRAMES_MAX; i++) {
        if (!bawn_net_idle(d->net) || !bawn_vdev_take(&d->vdev, QUEUE_TX, &chain))
            return;
        send_frame(d, &chain);
        bawn_vdev_give(&d->vdev, QUEUE_TX, &chain, 0);
    }
    bawn_vdev_again(&d->vdev, QUEUE_TX);
}

/* The edge is past: it is for us to remember that there may be more to read. */
static void pump_rx(struct bawn_virtio_net *d)
{
    struct bawn_virtq_chain chain;

    for (unsigned i = 0; i < FRAMES_MAX && d->readable; i++) {
        struct bawn_bufs to;
        ssize_t n;

        if (!bawn_vdev_take(&d->vdev, QUEUE_RX, &chain))
            return;
        bawn_bufs_writable(&to, &chain);
        n = bawn_net_receive(d->net, &to);
        if (n > 0)
            bawn_vdev_give(&d->vdev, QUEUE_RX, &chain, (uint32_t)n);
        else
            bawn_vdev_untake(&d->vdev, QUEUE_RX);
        d->readable = n;
    }
    if (d->readable)
        bawn_vdev_again(&d->vdev, QUEUE_RX);
}

static void ready(void *opaque, unsigned queue)
{
    struct bawn_virtio_net *d = opaque;

    if (!d->started) {
        d->started = true;
        bawn_net_take_features(d->net, features(d));
    }
    if (queue == QUEUE_TX)
        pump_tx(d);
    else
        pump_rx(d);
}

static void on_event(void *opaque)
{
    struct bawn_virtio_net *d = opaque;
    struct epoll_event e;

    if (epoll_wait(d->epoll_fd, &e, 1, 0) != 1)
        return;
    if (e.events & ~(uint32_t)EPOLLOUT)
        d->readable = true;
    if (!d->started)
        return; /* what comes is looked at when the driver is there */
    pump_rx(d);
    pump_tx(d);
}

static void reset(void *opaque)
{
    struct bawn_virtio_net *d = opaque;

    d->started = false;
}

static const struct bawn_vdev_ops net_ops = {
    .id = VIRTIO_ID_NET,
    .class = CLASS_ETHERNET,
    .nr_queues = NR_QUEUES,
    .queue_size = QUEUE_SIZE,
    .input_queues = 1u << QUEUE_RX | 1u << QUEUE_TX,
    .ready = ready,
    .reset = reset,
};

int bawn_virtio_net_watch(struct bawn_virtio_net *d)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };

    return epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->net->fd, &e) ? -errno : 0;
}

int bawn_virtio_net_init(struct bawn_virtio_net *d, const struct bawn_vdev_host *host,
                         struct bawn_net *net)
{
    uint64_t offer = bawn_net_features(net) | 1ull << VIRTIO_NET_F_MAC |
                     (net->mtu ? 1ull << VIRTIO_NET_F_MTU : 0);
    int rc;

    d->epoll_fd = -1;
    d->net = net;
    rc = bawn_vdev_init(&d->vdev, &net_ops, d, host);
    if (rc)
        return rc;
    d->vdev.keep_fd[0] = net->fd;
    memcpy(d->config.mac, net->mac, sizeof(d->config.mac));
    d->config.max_virtqueue_pairs = htole16(1);
    d->config.mtu = htole16(net->mtu);
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (d->epoll_fd < 0)
        return -errno;
    rc = bawn_virtio_net_watch(d);
    if (!rc)
        rc = bawn_loop_watch(host->loop, d->epoll_fd, true, on_event, d);
    bawn_vdev_offer(&d->vdev, offer, &d->config, sizeof(d->config));
    return rc < 0 ? rc : 0;
}

void bawn_virtio_net_destroy(struct bawn_virtio_net *d)
{
    if (d->net && d->epoll_fd >= 0)
        close(d->epoll_fd);
    d->net = NULL;
    bawn_vdev_destroy(&d->vdev);
}

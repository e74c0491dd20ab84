// SPDX-License-Identifier: Apache-2.0
/*
 * virtio network device (virtio 1.2, section 5.1): frames between the guest's buffers and the
 * host's side, a tap's queue for each pair of the guest's. One loop serves all pairs: what they
 * spare is the guest's and the host kernel's locks. A frame's header is copied once and checked
 * against what was negotiated and the frame's length; its bytes are passed on, not interpreted.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <linux/virtio_ids.h>

#include "virtio_devices.h"

/* Section 5.1.2: a receive and a transmit queue for each pair, then control. */
#define RX(pair) (2 * (pair))
#define QUEUES(pairs) ((pairs) > 1 ? 2 * (pairs) + 1 : 2)

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

static void send_frame(struct bawn_virtio_net *d, unsigned pair,
                       const struct bawn_virtq_chain *chain)
{
    struct virtio_net_hdr_v1 h, checked;
    struct bawn_bufs frame;

    bawn_bufs_readable(&frame, chain);
    if (bawn_bufs_get(&frame, &h, sizeof(h)) && check_header(features(d), &h, frame.len, &checked))
        bawn_net_send(d->net, pair, &checked, &frame);
}

static void pump_tx(struct bawn_virtio_net *d, unsigned pair)
{
    struct bawn_virtq_chain chain;
    unsigned queue = RX(pair) + 1;

    for (unsigned i = 0; i < FRAMES_MAX; i++) {
        if (!bawn_net_idle(d->net, pair) || !bawn_vdev_take(&d->vdev, queue, &chain))
            return;
        send_frame(d, pair, &chain);
        bawn_vdev_give(&d->vdev, queue, &chain, 0);
    }
    bawn_vdev_again(&d->vdev, queue);
}

/* What a frame was put into: at most a queue's worth of buffers. */
struct parts {
    struct bawn_virtq_used used[QUEUE_SIZE];
    unsigned nr;
    struct bawn_bufs first;
};

enum passed { PASSED, DROPPED, NO_BUFFER };

/* Section 5.1.6.4: into as many buffers as it takes, if the driver merges them. */
static enum passed fill_parts(struct bawn_virtio_net *d, unsigned queue, const uint8_t *from,
                              size_t left, struct parts *p)
{
    unsigned most = features(d) & 1ull << VIRTIO_NET_F_MRG_RXBUF ? d->vdev.vq[queue].size : 1;
    struct bawn_virtq_chain chain;
    struct bawn_bufs to;

    for (p->nr = 0; left; p->nr++) {
        size_t part;

        if (p->nr == most)
            return DROPPED;
        if (!bawn_vdev_take(&d->vdev, queue, &chain))
            return NO_BUFFER;
        bawn_bufs_writable(&to, &chain);
        if (!p->nr)
            p->first = to;
        part = left < to.len ? left : to.len;
        bawn_bufs_put(&to, from, part);
        bawn_virtq_note(&d->vdev.vq[queue], chain.iov + chain.nr_read, chain.nr_write);
        p->used[p->nr] = bawn_virtq_used(&chain, (uint32_t)part);
        from += part;
        left -= part;
    }
    return p->first.len < BAWN_NET_HEADER ? DROPPED : PASSED;
}

/* The frame that is held goes to the guest, or waits for more buffers. */
static enum passed pass_held(struct bawn_virtio_net *d, struct bawn_net_flow *flow, unsigned queue)
{
    uint16_t at = bawn_vdev_at(&d->vdev, queue), count;
    struct parts p;
    struct bawn_bufs head;
    enum passed done = fill_parts(d, queue, flow->in, flow->held, &p);

    if (done != NO_BUFFER)
        flow->held = 0;
    if (done != PASSED) {
        bawn_vdev_untake(&d->vdev, queue, at);
        return done;
    }
    count = htole16(p.nr);
    head = p.first;
    bawn_bufs_skip(&head, offsetof(struct virtio_net_hdr_v1, num_buffers));
    bawn_bufs_put(&head, &count, sizeof(count));
    bawn_virtq_note(&d->vdev.vq[queue], p.first.v, p.first.nr);
    bawn_vdev_give_all(&d->vdev, queue, p.used, p.nr);
    return PASSED;
}

/* Into one buffer, where it fits: without a copy, from a tap. False: no frame, or no buffer. */
static bool receive(struct bawn_virtio_net *d, unsigned source, unsigned queue)
{
    struct bawn_net_flow *flow = &d->net->flow[source];
    struct bawn_virtq_chain chain;
    struct bawn_bufs to;
    uint16_t at = bawn_vdev_at(&d->vdev, queue);
    ssize_t n;

    if (flow->held)
        return pass_held(d, flow, queue) != NO_BUFFER;
    if (!bawn_vdev_take(&d->vdev, queue, &chain))
        return false;
    bawn_bufs_writable(&to, &chain);
    n = bawn_net_receive(d->net, source, &to);
    if (n > 0 && !flow->held) {
        bawn_vdev_give(&d->vdev, queue, &chain, (uint32_t)n);
        return true;
    }
    bawn_vdev_untake(&d->vdev, queue, at);
    if (!n)
        d->readable &= ~(1u << source);
    return n;
}

/* The edge is past: it is for us to remember that there may be more to read. A tap's queues that
 * the guest has none for come by those that it has. */
static void pump_rx(struct bawn_virtio_net *d, unsigned pair)
{
    unsigned left = FRAMES_MAX;

    for (unsigned source = pair; source < d->net->pairs; source += d->pairs) {
        while (d->readable & 1u << source && left && receive(d, source, RX(pair)))
            left--;
    }
    if (!left)
        bawn_vdev_again(&d->vdev, RX(pair));
}

/* ---- Control (section 5.1.6.5) ---- */

/* Its place depends on whether the driver knows of more pairs than one. */
static bool is_control(const struct bawn_virtio_net *d, unsigned queue)
{
    if (!(features(d) & 1ull << VIRTIO_NET_F_CTRL_VQ))
        return false;
    return queue == (features(d) & 1ull << VIRTIO_NET_F_MQ ? 2 * d->net->pairs : 2);
}

static uint8_t command(struct bawn_virtio_net *d, struct bawn_bufs *in)
{
    struct virtio_net_ctrl_hdr h;
    uint16_t pairs;

    if (!(features(d) & 1ull << VIRTIO_NET_F_MQ) || !bawn_bufs_get(in, &h, sizeof(h)) ||
        h.class != VIRTIO_NET_CTRL_MQ || h.cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
        in->len != sizeof(pairs) || !bawn_bufs_get(in, &pairs, sizeof(pairs)))
        return VIRTIO_NET_ERR;
    pairs = le16toh(pairs);
    if (pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > d->net->pairs)
        return VIRTIO_NET_ERR;
    d->pairs = pairs;
    return VIRTIO_NET_OK;
}

static void pump_control(struct bawn_virtio_net *d, unsigned queue)
{
    struct bawn_virtq_chain chain;
    struct bawn_bufs in, out;

    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        uint8_t ack;

        if (!bawn_vdev_take(&d->vdev, queue, &chain))
            return;
        bawn_bufs_readable(&in, &chain);
        bawn_bufs_writable(&out, &chain);
        ack = command(d, &in);
        bawn_vdev_give(&d->vdev, queue, &chain, bawn_bufs_put(&out, &ack, sizeof(ack)));
    }
    bawn_vdev_again(&d->vdev, queue);
}

/* ---- Events ---- */

static void ready(void *opaque, unsigned queue)
{
    struct bawn_virtio_net *d = opaque;

    if (!d->started) {
        d->started = true;
        bawn_net_take_features(d->net, features(d));
    }
    if (is_control(d, queue)) {
        pump_control(d, queue);
        for (unsigned pair = 0; pair < d->pairs; pair++) /* other sources may be theirs now */
            pump_rx(d, pair);
    } else if (queue / 2 >= d->net->pairs) {
        return;
    } else if (queue % 2) {
        pump_tx(d, queue / 2);
    } else if (queue / 2 < d->pairs) {
        pump_rx(d, queue / 2);
    }
}

static void on_event(void *opaque)
{
    struct bawn_virtio_net *d = opaque;
    struct epoll_event e[BAWN_NET_PAIRS];
    int n = epoll_wait(d->epoll_fd, e, BAWN_NET_PAIRS, 0);

    for (int i = 0; i < n; i++) {
        if (e[i].events & ~(uint32_t)EPOLLOUT)
            d->readable |= 1u << e[i].data.u32;
    }
    if (!d->started)
        return; /* what comes is looked at when the driver is there */
    for (int i = 0; i < n; i++) {
        pump_rx(d, e[i].data.u32 % d->pairs);
        pump_tx(d, e[i].data.u32);
    }
}

static void reset(void *opaque)
{
    struct bawn_virtio_net *d = opaque;

    d->started = false;
    d->pairs = 1;
}

/* Its queues are as many as the host's side has. After a snapshot all frames come by the first
 * pair, until the driver says again how many it uses. */
static const struct bawn_vdev_ops net_ops = {
    .id = VIRTIO_ID_NET,
    .class = CLASS_ETHERNET,
    .queue_size = QUEUE_SIZE,
    .input_queues = (1u << BAWN_VIRTIO_QUEUES) - 1,
    .ready = ready,
    .reset = reset,
};

int bawn_virtio_net_watch(struct bawn_virtio_net *d)
{
    for (unsigned i = 0; i < d->net->pairs; i++) {
        struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.u32 = i };

        if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->net->fd[i], &e))
            return -errno;
    }
    return 0;
}

int bawn_virtio_net_init(struct bawn_virtio_net *d, const struct bawn_vdev_host *host,
                         struct bawn_net *net)
{
    uint64_t offer = bawn_net_features(net) | 1ull << VIRTIO_NET_F_MAC |
                     (net->mtu ? 1ull << VIRTIO_NET_F_MTU : 0);
    int rc;

    if (net->pairs > 1)
        offer |= 1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_CTRL_VQ;
    d->epoll_fd = -1;
    d->net = net;
    d->pairs = 1;
    d->ops = net_ops;
    d->ops.nr_queues = QUEUES(net->pairs);
    rc = bawn_vdev_init(&d->vdev, &d->ops, d, host);
    if (rc)
        return rc;
    memcpy(d->vdev.keep_fd, net->fd, net->pairs * sizeof(net->fd[0]));
    memcpy(d->config.mac, net->mac, sizeof(d->config.mac));
    d->config.max_virtqueue_pairs = htole16(net->pairs);
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

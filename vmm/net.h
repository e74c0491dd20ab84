/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a network device's frames go to and come from: a tap interface, or a stream socket on which
 * each frame follows its length (four bytes, big-endian), as passt(1) and QEMU's "-netdev stream"
 * speak it. Opened before the guest runs; never blocks.
 */
#ifndef BAWN_VMM_NET_H
#define BAWN_VMM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/virtio_net.h>

#include "bawn/status.h"
#include "bufs.h"
#include "launch.h"

#define BAWN_NET_HEADER sizeof(struct virtio_net_hdr_v1)
#define BAWN_NET_FRAME_MIN 14u    /* an Ethernet header */
#define BAWN_NET_FRAME_MAX 65550u /* and the largest packet, with a VLAN tag */
#define BAWN_NET_PREFIX 4u

/* What is under way on a descriptor, in memory that processes forked later share: the next one goes
 * on in the middle of a frame. */
struct bawn_net_flow {
    size_t
        held; /* bytes of the frame in in[] that the guest is to get, its header first; 0: none */
    size_t in_len, out_at, out_len;
    uint8_t in[BAWN_NET_HEADER + BAWN_NET_FRAME_MAX]; /* its length stands right before a frame */
    uint8_t out[BAWN_NET_PREFIX + BAWN_NET_FRAME_MAX];
};

struct bawn_net {
    int fd[BAWN_NET_PAIRS]; /* owned, a tap's queues; -1: not open, or the other side has gone */
    unsigned pairs;         /* that are there */
    bool tap;
    uint8_t mac[6];
    uint16_t mtu;               /* 0: nobody says */
    struct bawn_net_flow *flow; /* owned, one for each of fd */
};

enum bawn_status bawn_net_open(struct bawn_net *net, const struct bawn_net_config *cfg,
                               struct bawn_error *err);
/* The same on a connected stream socket, which is taken over. */
enum bawn_status bawn_net_stream(struct bawn_net *net, int fd, struct bawn_error *err);
void bawn_net_close(struct bawn_net *net);

/* What the host's side can do of the device's features, and which of them the driver took. */
uint64_t bawn_net_features(const struct bawn_net *net);
void bawn_net_take_features(struct bawn_net *net, uint64_t features);

/*
 * Gets the next frame of a queue, with its header: its length with that; 0: none is there; -1: it
 * was dropped. It is in the buffers, or where it does not fit as a whole in flow->in (flow->held),
 * until the caller has passed it on and sets held to 0. Not while one is held.
 */
ssize_t bawn_net_receive(struct bawn_net *net, unsigned queue, struct bawn_bufs *to);
/* Sends a frame, or drops it; the header was checked. Only while bawn_net_idle(). */
void bawn_net_send(struct bawn_net *net, unsigned queue, const struct virtio_net_hdr_v1 *h,
                   struct bawn_bufs *from);
/* Goes on with what could not be sent at once; whether another frame can be sent. */
bool bawn_net_idle(struct bawn_net *net, unsigned queue);

#endif

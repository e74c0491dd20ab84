/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vsock connection: a Unix socket, bytes on their way to it, and the credit of both
 * directions (virtio 1.2, section 5.10.6.3). Knows nothing of queues; trusts neither side.
 */
#ifndef BAWN_VMM_VSOCK_CONN_H
#define BAWN_VMM_VSOCK_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "bufs.h"

#define BAWN_VSOCK_BUFFER 0x40000u /* what a guest may send ahead of the host's reading */

enum bawn_vsock_state {
    BAWN_VSOCK_FREE,
    BAWN_VSOCK_GREETING,  /* the host's side must name a port */
    BAWN_VSOCK_REQUESTED, /* the guest must accept */
    BAWN_VSOCK_OPEN,
};

/* What the guest is still to be told; in this order. */
enum bawn_vsock_tell {
    BAWN_VSOCK_TELL_RST = 1 << 0, /* and then the connection is forgotten */
    BAWN_VSOCK_TELL_REQUEST = 1 << 1,
    BAWN_VSOCK_TELL_RESPONSE = 1 << 2,
    BAWN_VSOCK_TELL_CREDIT = 1 << 3,
    BAWN_VSOCK_ASK_CREDIT = 1 << 4,
};

struct bawn_vsock_conn {
    enum bawn_vsock_state state;
    int fd; /* owned; -1: none */
    uint32_t host_port, guest_port;
    unsigned tell;
    /* From the guest to the host: a ring. */
    uint8_t *buf; /* borrowed, BAWN_VSOCK_BUFFER bytes in whole pages, for good */
    bool dirty;   /* they hold memory */
    uint32_t head, len;
    uint32_t forwarded, told_forwarded; /* bytes, modulo 2^32 */
    uint8_t guest_shut;                 /* VIRTIO_VSOCK_SHUTDOWN_*: what the guest gave up */
    /* From the host to the guest. */
    bool readable; /* a read may give something */
    bool hung_up;  /* the other side closed the socket as a whole */
    bool asked;    /* for credit, and none came yet */
    uint32_t sent, guest_room, guest_forwarded;
    uint8_t shut, told_shut; /* what the host gave up, and what the guest knows of it */
};

void bawn_vsock_conn_init(struct bawn_vsock_conn *c, int fd, enum bawn_vsock_state state);
void bawn_vsock_conn_close(struct bawn_vsock_conn *c);
/* Ends it: closed at once if the guest does not know of it, else when it has been told. */
void bawn_vsock_conn_reset(struct bawn_vsock_conn *c);

/* The guest's data. One that sends more than it was allowed to is reset. */
void bawn_vsock_conn_forward(struct bawn_vsock_conn *c, struct bawn_bufs *data);
/* The socket takes bytes again. */
void bawn_vsock_conn_flush(struct bawn_vsock_conn *c);
/* The guest will not send, or not receive, any more. */
void bawn_vsock_conn_guest_shut(struct bawn_vsock_conn *c, uint32_t flags);
/* The guest's account of its buffer. */
void bawn_vsock_conn_credit(struct bawn_vsock_conn *c, uint32_t room, uint32_t forwarded);

/* Whether there is something for the guest. */
bool bawn_vsock_conn_wants(const struct bawn_vsock_conn *c);
/* Reads as much into the buffers as guest and host allow; 0: nothing now (what the guest is to be
 * told may have changed). */
uint32_t bawn_vsock_conn_read(struct bawn_vsock_conn *c, struct bawn_bufs *to);

#endif

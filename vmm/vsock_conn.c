// SPDX-License-Identifier: Apache-2.0
/*
 * vsock connections. The guest's counters are compared, never followed; the sockets do not block.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_vsock.h>

#include "vsock_conn.h"

#define SHUT_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
/* The guest hears of room when so much of it is new. */
#define TELL_STEP (BAWN_VSOCK_BUFFER / 4)

void bawn_vsock_conn_init(struct bawn_vsock_conn *c, int fd, enum bawn_vsock_state state)
{
    *c = (struct bawn_vsock_conn){ .fd = fd, .state = state, .buf = c->buf };
}

void bawn_vsock_conn_close(struct bawn_vsock_conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    if (c->dirty)
        madvise(c->buf, BAWN_VSOCK_BUFFER, MADV_DONTNEED);
    bawn_vsock_conn_init(c, -1, BAWN_VSOCK_FREE);
}

void bawn_vsock_conn_reset(struct bawn_vsock_conn *c)
{
    uint32_t host_port = c->host_port, guest_port = c->guest_port;
    bool known = c->state == BAWN_VSOCK_OPEN ||
                 (c->state == BAWN_VSOCK_REQUESTED && !(c->tell & BAWN_VSOCK_TELL_REQUEST));

    bawn_vsock_conn_close(c);
    if (!known)
        return;
    c->state = BAWN_VSOCK_OPEN;
    c->host_port = host_port;
    c->guest_port = guest_port;
    c->tell = BAWN_VSOCK_TELL_RST;
}

/* ---- from the guest to the host ---- */

static void add_forwarded(struct bawn_vsock_conn *c, size_t n)
{
    c->forwarded += (uint32_t)n;
    if (c->forwarded - c->told_forwarded >= TELL_STEP)
        c->tell |= BAWN_VSOCK_TELL_CREDIT;
}

/* Bytes that the socket took. When nobody reads there any more, the guest's bytes go nowhere; what
 * the other side wrote before can still be read. */
static size_t send_some(struct bawn_vsock_conn *c, const struct iovec *v, unsigned nr, size_t len)
{
    const struct msghdr msg = { .msg_iov = (struct iovec *)v, .msg_iovlen = nr };
    ssize_t n = 0;

    if (!(c->shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
        n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        c->shut |= VIRTIO_VSOCK_SHUTDOWN_RCV;
    if (c->shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
        n = (ssize_t)len;
    add_forwarded(c, (size_t)n);
    return (size_t)n;
}

/* Puts off what the socket did not take. */
static void keep(struct bawn_vsock_conn *c, struct bawn_bufs *data)
{
    c->dirty = true;
    while (data->len) {
        uint32_t tail = (c->head + c->len) % BAWN_VSOCK_BUFFER;
        uint32_t part = BAWN_VSOCK_BUFFER - tail;

        part = data->len < part ? (uint32_t)data->len : part;
        bawn_bufs_get(data, c->buf + tail, part);
        c->len += part;
    }
}

/* What follows when nothing is on its way to the host any more. */
static void settle(struct bawn_vsock_conn *c)
{
    if (c->len)
        return;
    if (c->guest_shut == SHUT_BOTH)
        bawn_vsock_conn_reset(c); /* section 5.10.6.5: the answer to a full shutdown */
    else if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
        shutdown(c->fd, SHUT_WR);
}

void bawn_vsock_conn_forward(struct bawn_vsock_conn *c, struct bawn_bufs *data)
{
    if ((c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) || data->len > BAWN_VSOCK_BUFFER - c->len) {
        bawn_vsock_conn_reset(c);
        return;
    }
    if (!c->len && data->len)
        bawn_bufs_skip(data, send_some(c, data->v, data->nr, data->len));
    if (data->len)
        keep(c, data);
}

void bawn_vsock_conn_flush(struct bawn_vsock_conn *c)
{
    while (c->len) {
        uint32_t part = BAWN_VSOCK_BUFFER - c->head;
        const struct iovec v = { c->buf + c->head, c->len < part ? c->len : part };
        size_t n = send_some(c, &v, 1, v.iov_len);

        if (!n)
            return;
        c->head = (c->head + (uint32_t)n) % BAWN_VSOCK_BUFFER;
        c->len -= (uint32_t)n;
    }
    if (c->guest_shut)
        settle(c);
}

void bawn_vsock_conn_guest_shut(struct bawn_vsock_conn *c, uint32_t flags)
{
    c->guest_shut |= flags & SHUT_BOTH;
    if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
        shutdown(c->fd, SHUT_RD);
    settle(c);
}

/* ---- from the host to the guest ---- */

static uint32_t credit(const struct bawn_vsock_conn *c)
{
    uint32_t under_way = c->sent - c->guest_forwarded;

    return under_way < c->guest_room ? c->guest_room - under_way : 0;
}

void bawn_vsock_conn_credit(struct bawn_vsock_conn *c, uint32_t room, uint32_t forwarded)
{
    c->guest_room = room;
    c->guest_forwarded = forwarded;
    if (credit(c))
        c->asked = false;
}

static bool reads(const struct bawn_vsock_conn *c)
{
    return c->state == BAWN_VSOCK_OPEN && c->fd >= 0 && c->readable &&
           !(c->shut & VIRTIO_VSOCK_SHUTDOWN_SEND) && !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV);
}

bool bawn_vsock_conn_wants(const struct bawn_vsock_conn *c)
{
    return c->tell || (c->shut & ~c->told_shut) || (reads(c) && (credit(c) || !c->asked));
}

uint32_t bawn_vsock_conn_read(struct bawn_vsock_conn *c, struct bawn_bufs *to)
{
    uint32_t room = credit(c);
    struct msghdr msg = { 0 };
    ssize_t n;

    if (!reads(c))
        return 0;
    if (!room) {
        c->asked = true;
        c->tell |= BAWN_VSOCK_ASK_CREDIT;
        return 0;
    }
    bawn_bufs_cut(to, room);
    msg.msg_iov = to->v;
    msg.msg_iovlen = to->nr;
    n = recvmsg(c->fd, &msg, MSG_DONTWAIT);
    if (n > 0) {
        c->sent += (uint32_t)n;
        return (uint32_t)n;
    }
    if (n < 0 && errno == EINTR)
        return 0;
    c->readable = false;
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0)
        bawn_vsock_conn_reset(c);
    else
        c->shut |= c->hung_up ? SHUT_BOTH : VIRTIO_VSOCK_SHUTDOWN_SEND;
    return 0;
}

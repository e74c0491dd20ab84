// SPDX-License-Identifier: Apache-2.0
/*
 * virtio socket device (virtio 1.2, section 5.10), stream sockets: packets between the guest's
 * queues and the connections. Each header is copied once; a packet that breaks the rules resets
 * its connection, or is dropped where it names none that could be.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>

#include "virtio_vsock.h"

enum { QUEUE_RX, QUEUE_TX, QUEUE_EVENT, NR_QUEUES };

#define CLASS_OTHER 0x028000 /* network controller, other */
#define QUEUE_SIZE BAWN_VIRTQ_MAX
#define HOST_CID 2 /* section 5.10.4 */
#define EVENTS_MAX 32
#define BUFFERS_SIZE ((size_t)BAWN_VSOCK_CONNS * BAWN_VSOCK_BUFFER)
#define LISTENER BAWN_VSOCK_CONNS /* in place of a connection's number */
/* Ports that the host's connections come from. */
#define PORT_FIRST 0x40000000u
#define PORT_COUNT 0x40000000u

/* ---- the table ---- */

static struct bawn_vsock_conn *find(struct bawn_virtio_vsock *d, uint32_t host_port,
                                    uint32_t guest_port)
{
    for (unsigned i = 0; i < BAWN_VSOCK_CONNS; i++) {
        struct bawn_vsock_conn *c = &d->conn[i];

        if (c->state > BAWN_VSOCK_GREETING && c->host_port == host_port &&
            c->guest_port == guest_port)
            return c;
    }
    return NULL;
}

/* Takes over fd; NULL when there is no place, and fd is closed. */
static struct bawn_vsock_conn *add(struct bawn_virtio_vsock *d, int fd, enum bawn_vsock_state state)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };

    for (unsigned i = 0; i < BAWN_VSOCK_CONNS; i++) {
        if (d->conn[i].state != BAWN_VSOCK_FREE)
            continue;
        e.data.u32 = i;
        if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &e))
            break;
        bawn_vsock_conn_init(&d->conn[i], fd, state);
        d->conn[i].readable = true;
        return &d->conn[i];
    }
    close(fd);
    return NULL;
}

static void reset(void *opaque)
{
    struct bawn_virtio_vsock *d = opaque;

    for (unsigned i = 0; i < BAWN_VSOCK_CONNS; i++)
        bawn_vsock_conn_close(&d->conn[i]);
    d->nr_strays = 0;
    d->next = 0;
    d->tell_reset = false;
}

static void resumed(void *opaque)
{
    struct bawn_virtio_vsock *d = opaque;

    d->tell_reset = true; /* the queue's bell has rung already */
}

/* ---- to the guest ---- */

static void fill_header(const struct bawn_virtio_vsock *d, struct virtio_vsock_hdr *h,
                        uint32_t host_port, uint32_t guest_port, uint16_t op)
{
    *h = (struct virtio_vsock_hdr){
        .src_cid = htole64(HOST_CID),
        .dst_cid = d->config.guest_cid,
        .src_port = htole32(host_port),
        .dst_port = htole32(guest_port),
        .type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
        .op = htole16(op),
    };
}

static const struct {
    enum bawn_vsock_tell bit;
    uint16_t op;
} tells[] = {
    { BAWN_VSOCK_TELL_RST, VIRTIO_VSOCK_OP_RST },
    { BAWN_VSOCK_TELL_REQUEST, VIRTIO_VSOCK_OP_REQUEST },
    { BAWN_VSOCK_TELL_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE },
    { BAWN_VSOCK_TELL_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE },
    { BAWN_VSOCK_ASK_CREDIT, VIRTIO_VSOCK_OP_CREDIT_REQUEST },
};

/* Chooses the connection's next packet, whose data is read into room; false: there is none. */
static bool next_packet(struct bawn_vsock_conn *c, struct bawn_bufs *room, uint16_t *op,
                        uint32_t *flags, uint32_t *len)
{
    *flags = *len = 0;
    for (size_t i = 0; i < sizeof(tells) / sizeof(tells[0]); i++) {
        if (!(c->tell & tells[i].bit))
            continue;
        c->tell &= ~(unsigned)tells[i].bit;
        *op = tells[i].op;
        return true;
    }
    *op = VIRTIO_VSOCK_OP_RW;
    *len = bawn_vsock_conn_read(c, room);
    if (*len)
        return true;
    if (!(c->shut & ~c->told_shut))
        return false;
    c->told_shut = c->shut;
    *op = VIRTIO_VSOCK_OP_SHUTDOWN;
    *flags = c->shut;
    return true;
}

/* Fills a buffer of the guest's; gives the bytes used of it, 0: nothing was to be said. */
static uint32_t fill(struct bawn_virtio_vsock *d, struct bawn_vsock_conn *c,
                     const struct bawn_virtq_chain *chain)
{
    struct virtio_vsock_hdr h;
    struct bawn_bufs head, data;
    uint32_t flags, len;
    uint16_t op;

    bawn_bufs_writable(&head, chain);
    data = head;
    bawn_bufs_skip(&data, sizeof(h));
    if (!next_packet(c, &data, &op, &flags, &len))
        return 0;
    fill_header(d, &h, c->host_port, c->guest_port, op);
    h.flags = htole32(flags);
    h.len = htole32(len);
    h.buf_alloc = htole32(BAWN_VSOCK_BUFFER);
    h.fwd_cnt = htole32(c->forwarded);
    c->told_forwarded = c->forwarded;
    bawn_bufs_put(&head, &h, sizeof(h));
    if (op == VIRTIO_VSOCK_OP_RST)
        bawn_vsock_conn_close(c);
    return sizeof(h) + len;
}

static uint32_t fill_stray(struct bawn_virtio_vsock *d, const struct bawn_virtq_chain *chain)
{
    struct virtio_vsock_hdr h;
    struct bawn_bufs head;

    d->nr_strays--;
    fill_header(d, &h, d->stray[d->nr_strays].host_port, d->stray[d->nr_strays].guest_port,
                VIRTIO_VSOCK_OP_RST);
    bawn_bufs_writable(&head, chain);
    bawn_bufs_put(&head, &h, sizeof(h));
    return sizeof(h);
}

/* The next connection in turn that has something for the guest. */
static struct bawn_vsock_conn *next_conn(struct bawn_virtio_vsock *d)
{
    for (unsigned i = 0; i < BAWN_VSOCK_CONNS; i++) {
        struct bawn_vsock_conn *c = &d->conn[(d->next + i) % BAWN_VSOCK_CONNS];

        if (c->state > BAWN_VSOCK_GREETING && bawn_vsock_conn_wants(c)) {
            d->next = (d->next + i + 1) % BAWN_VSOCK_CONNS;
            return c;
        }
    }
    return NULL;
}

/* Gives the guest what there is for it, as far as it has buffers. */
static void pump(struct bawn_virtio_vsock *d)
{
    struct bawn_virtq_chain chain;

    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        struct bawn_vsock_conn *c = d->nr_strays ? NULL : next_conn(d);
        uint16_t at = bawn_vdev_at(&d->vdev, QUEUE_RX);
        uint32_t n;

        if ((!c && !d->nr_strays) || !bawn_vdev_take(&d->vdev, QUEUE_RX, &chain))
            return;
        if (chain.write_len <= sizeof(struct virtio_vsock_hdr))
            n = 0; /* of no use: the driver gets it back empty */
        else
            n = c ? fill(d, c, &chain) : fill_stray(d, &chain);
        if (n || chain.write_len <= sizeof(struct virtio_vsock_hdr))
            bawn_vdev_give(&d->vdev, QUEUE_RX, &chain, n);
        else
            bawn_vdev_untake(&d->vdev, QUEUE_RX, at);
    }
    bawn_vdev_again(&d->vdev, QUEUE_RX);
}

/* ---- from the guest ---- */

static void add_stray(struct bawn_virtio_vsock *d, uint32_t host_port, uint32_t guest_port)
{
    /* tx is not served while it is full. */
    d->stray[d->nr_strays].host_port = host_port;
    d->stray[d->nr_strays].guest_port = guest_port;
    d->nr_strays++;
}

static void on_request(struct bawn_virtio_vsock *d, const struct virtio_vsock_hdr *h)
{
    uint32_t host_port = le32toh(h->dst_port), guest_port = le32toh(h->src_port);
    int fd = bawn_vsock_socket_connect(d->socket, host_port);
    struct bawn_vsock_conn *c = fd < 0 ? NULL : add(d, fd, BAWN_VSOCK_OPEN);

    if (!c) {
        add_stray(d, host_port, guest_port);
        return;
    }
    c->host_port = host_port;
    c->guest_port = guest_port;
    c->tell = BAWN_VSOCK_TELL_RESPONSE;
    bawn_vsock_conn_credit(c, le32toh(h->buf_alloc), le32toh(h->fwd_cnt));
}

static void on_response(struct bawn_vsock_conn *c)
{
    if (c->state != BAWN_VSOCK_REQUESTED || c->tell ||
        !bawn_vsock_write_answer(c->fd, c->host_port)) {
        bawn_vsock_conn_reset(c);
        return;
    }
    c->state = BAWN_VSOCK_OPEN;
    c->readable = true;
}

static void on_packet(struct bawn_vsock_conn *c, const struct virtio_vsock_hdr *h,
                      struct bawn_bufs *data)
{
    uint16_t op = le16toh(h->op);

    if (op == VIRTIO_VSOCK_OP_RST) {
        bawn_vsock_conn_close(c);
        return;
    }
    if (c->fd < 0)
        return; /* its end is on its way to the guest */
    bawn_vsock_conn_credit(c, le32toh(h->buf_alloc), le32toh(h->fwd_cnt));
    if (op == VIRTIO_VSOCK_OP_RESPONSE)
        on_response(c);
    else if (c->state != BAWN_VSOCK_OPEN)
        bawn_vsock_conn_reset(c);
    else if (op == VIRTIO_VSOCK_OP_RW)
        bawn_vsock_conn_forward(c, data);
    else if (op == VIRTIO_VSOCK_OP_SHUTDOWN)
        bawn_vsock_conn_guest_shut(c, le32toh(h->flags));
    else if (op == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
        c->tell |= BAWN_VSOCK_TELL_CREDIT;
    else if (op != VIRTIO_VSOCK_OP_CREDIT_UPDATE)
        bawn_vsock_conn_reset(c);
}

static void serve_packet(struct bawn_virtio_vsock *d, const struct bawn_virtq_chain *chain)
{
    struct virtio_vsock_hdr h;
    struct bawn_vsock_conn *c;
    struct bawn_bufs data;
    bool sound;

    bawn_bufs_readable(&data, chain);
    if (!bawn_bufs_get(&data, &h, sizeof(h)) || h.src_cid != d->config.guest_cid ||
        le64toh(h.dst_cid) != HOST_CID)
        return;
    sound = le16toh(h.type) == VIRTIO_VSOCK_TYPE_STREAM && le32toh(h.len) <= data.len;
    bawn_bufs_cut(&data, le32toh(h.len));
    c = find(d, le32toh(h.dst_port), le32toh(h.src_port));
    if (c && sound)
        on_packet(c, &h, &data);
    else if (c)
        bawn_vsock_conn_reset(c);
    else if (sound && le16toh(h.op) == VIRTIO_VSOCK_OP_REQUEST)
        on_request(d, &h);
    else if (le16toh(h.op) != VIRTIO_VSOCK_OP_RST)
        add_stray(d, le32toh(h.dst_port), le32toh(h.src_port));
}

static void drain(struct bawn_virtio_vsock *d)
{
    struct bawn_virtq_chain chain;

    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        if (d->nr_strays == BAWN_VSOCK_STRAYS || !bawn_vdev_take(&d->vdev, QUEUE_TX, &chain))
            return;
        serve_packet(d, &chain);
        bawn_vdev_give(&d->vdev, QUEUE_TX, &chain, 0);
    }
    bawn_vdev_again(&d->vdev, QUEUE_TX);
}

static void send_reset(struct bawn_virtio_vsock *d)
{
    const struct virtio_vsock_event event = { htole32(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET) };
    struct bawn_virtq_chain chain;
    struct bawn_bufs room;

    if (!d->tell_reset || !bawn_vdev_take(&d->vdev, QUEUE_EVENT, &chain))
        return;
    d->tell_reset = false;
    bawn_bufs_writable(&room, &chain);
    bawn_vdev_give(&d->vdev, QUEUE_EVENT, &chain,
                   bawn_bufs_put(&room, &event, sizeof(event)) ? sizeof(event) : 0);
}

static void ready(void *opaque, unsigned queue)
{
    struct bawn_virtio_vsock *d = opaque;
    bool full;

    send_reset(d);
    if (queue == QUEUE_TX)
        drain(d);
    full = d->nr_strays == BAWN_VSOCK_STRAYS;
    pump(d);
    if (full && d->nr_strays < BAWN_VSOCK_STRAYS)
        bawn_vdev_again(&d->vdev, QUEUE_TX); /* it had to wait */
}

/* ---- from the host ---- */

static void on_accept(struct bawn_virtio_vsock *d)
{
    int fd = bawn_vsock_socket_accept(d->socket);

    if (fd < 0)
        return;
    if (bawn_vdev_running(&d->vdev))
        add(d, fd, BAWN_VSOCK_GREETING);
    else
        close(fd); /* there is no guest to reach yet */
}

static void on_greeting(struct bawn_virtio_vsock *d, struct bawn_vsock_conn *c)
{
    int rc = bawn_vsock_read_greeting(c->fd, &c->guest_port);

    if (rc < 0)
        bawn_vsock_conn_close(c);
    if (rc <= 0)
        return;
    do
        c->host_port = PORT_FIRST + d->next_port++ % PORT_COUNT;
    while (find(d, c->host_port, c->guest_port));
    c->state = BAWN_VSOCK_REQUESTED;
    c->tell = BAWN_VSOCK_TELL_REQUEST;
}

static void on_event(struct bawn_virtio_vsock *d, struct bawn_vsock_conn *c, uint32_t events)
{
    if (c->fd < 0)
        return; /* closed by an event before this one */
    c->readable = true;
    if (c->state == BAWN_VSOCK_GREETING) {
        on_greeting(d, c);
        return;
    }
    if (events & (EPOLLHUP | EPOLLERR)) {
        c->hung_up = true;
        /* Nobody waits for an answer, or would find out by reading. */
        if (c->state == BAWN_VSOCK_REQUESTED || (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)) {
            bawn_vsock_conn_reset(c);
            return;
        }
        if (c->shut & VIRTIO_VSOCK_SHUTDOWN_SEND) /* half of it may have been told */
            c->shut |= VIRTIO_VSOCK_SHUTDOWN_RCV;
    }
    if (events & EPOLLOUT)
        bawn_vsock_conn_flush(c);
}

static void on_sockets(void *opaque)
{
    struct bawn_virtio_vsock *d = opaque;
    struct epoll_event e[EVENTS_MAX];
    int n = epoll_wait(d->epoll_fd, e, EVENTS_MAX, 0);

    for (int i = 0; i < n; i++) {
        if (e[i].data.u32 == LISTENER)
            on_accept(d);
        else
            on_event(d, &d->conn[e[i].data.u32], e[i].events);
    }
    if (bawn_vdev_running(&d->vdev))
        pump(d);
}

/* ---- life ---- */

static const struct bawn_vdev_ops vsock_ops = {
    .id = VIRTIO_ID_VSOCK,
    .class = CLASS_OTHER,
    .nr_queues = NR_QUEUES,
    .queue_size = QUEUE_SIZE,
    .input_queues = 1u << QUEUE_RX | 1u << QUEUE_TX | 1u << QUEUE_EVENT,
    .ready = ready,
    .reset = reset,
    .resumed = resumed,
};

int bawn_virtio_vsock_init(struct bawn_virtio_vsock *d, const struct bawn_vdev_host *host,
                           const struct bawn_vsock_socket *socket, uint32_t cid)
{
    struct epoll_event e = { .events = EPOLLIN, .data.u32 = LISTENER };
    int rc;

    d->socket = socket;
    d->config.guest_cid = htole64(cid);
    d->epoll_fd = -1;
    for (unsigned i = 0; i < BAWN_VSOCK_CONNS; i++)
        bawn_vsock_conn_init(&d->conn[i], -1, BAWN_VSOCK_FREE);
    d->buffers = mmap(NULL, BUFFERS_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (d->buffers == MAP_FAILED) {
        d->buffers = NULL;
        return -ENOMEM;
    }
    for (unsigned i = 0; i < BAWN_VSOCK_CONNS; i++)
        d->conn[i].buf = d->buffers + (size_t)i * BAWN_VSOCK_BUFFER;
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (d->epoll_fd < 0 || epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, socket->fd, &e))
        return -errno;
    rc = bawn_vdev_init(&d->vdev, &vsock_ops, d, host);
    d->vdev.keep_fd[0] = socket->fd;
    bawn_vdev_offer(&d->vdev, 0, &d->config, sizeof(d->config));
    if (!rc)
        rc = bawn_loop_watch(host->loop, d->epoll_fd, true, on_sockets, d);
    return rc < 0 ? rc : 0;
}

void bawn_virtio_vsock_destroy(struct bawn_virtio_vsock *d)
{
    if (!d->socket)
        return;
    reset(d);
    if (d->buffers)
        munmap(d->buffers, BUFFERS_SIZE);
    d->buffers = NULL;
    if (d->epoll_fd >= 0)
        close(d->epoll_fd);
    d->epoll_fd = -1;
    bawn_vdev_destroy(&d->vdev);
}

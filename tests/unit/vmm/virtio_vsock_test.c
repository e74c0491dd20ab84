// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/virtio_vsock.c with its sockets: connections of either side's making, credit in both
 * directions, half-closed ends, and packets as a hostile driver makes them. Both sides are real:
 * Unix sockets here, rings in guest memory there.
 */
#include "driver.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include <linux/virtio_config.h>

#define RX 0
#define TX 1
#define CID 5
#define HOST 2
#define RX_BUF 0x200000ull
#define RX_SIZE 4096u
#define TX_BUF 0x300000ull
#define V1 (1ull << VIRTIO_F_VERSION_1)
#define ROOM 0x40000u
#define PORT 700       /* somebody listens there on the host */
#define GUEST_PORT 900 /* the guest's end */

static char path[64], path_port[80];
static struct bawn_vsock_socket sock;
static struct bawn_virtio_vsock dev;
static int listener;
static unsigned given; /* rx buffers offered so far */

/* Gives the device n buffers for what it has to say. */
static void give_buffers(unsigned n)
{
    while (n--)
        offer(RX, &(struct part){ RX_BUF + (given++ % QUEUE) * RX_SIZE, RX_SIZE, true }, 1);
    ring_bell(RX);
}

static int listen_at(const char *at)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    strcpy(a.sun_path, at);
    unlink(at);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 200), 0);
    return fd;
}

static void start(void)
{
    given = 0;
    assert_int_equal(driver_start(3, V1), 15);
    give_buffers(QUEUE);
}

static int setup(void **state)
{
    struct bawn_vdev_host host = machine_create();

    (void)state;
    snprintf(path, sizeof(path), "/tmp/bawn-vsock-test.%d", getpid());
    snprintf(path_port, sizeof(path_port), "%s_%d", path, PORT);
    unlink(path);
    memset(&dev, 0, sizeof(dev));
    assert_int_equal(bawn_vsock_socket_open(&sock, path, NULL), BAWN_OK);
    listener = listen_at(path_port);
    assert_int_equal(bawn_virtio_vsock_init(&dev, &host, &sock, CID), 0);
    machine_plug(&dev.vdev);
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_virtio_vsock_destroy(&dev);
    bawn_vsock_socket_close(&sock);
    assert_int_equal(access(path, F_OK), -1);
    close(listener);
    unlink(path_port);
    machine_destroy();
    return 0;
}

/* ---- the guest's side ---- */

static struct virtio_vsock_hdr header(uint16_t op, uint32_t host_port, uint32_t guest_port)
{
    return (struct virtio_vsock_hdr){
        .src_cid = CID,
        .dst_cid = HOST,
        .src_port = guest_port,
        .dst_port = host_port,
        .type = VIRTIO_VSOCK_TYPE_STREAM,
        .op = op,
        .buf_alloc = ROOM,
    };
}

static void send_packet(struct virtio_vsock_hdr h, const void *data, uint32_t len)
{
    const struct part parts[2] = { { TX_BUF, sizeof(h), false }, { TX_BUF + 4096, len, false } };

    memcpy(ram(TX_BUF), &h, sizeof(h));
    if (len)
        memcpy(ram(TX_BUF + 4096), data, len);
    offer(TX, parts, len ? 2 : 1);
    ring_bell(TX);
    assert_int_equal(used(TX, NULL), 1);
}

static void send_op(uint16_t op, uint32_t host_port, uint32_t flags)
{
    struct virtio_vsock_hdr h = header(op, host_port, GUEST_PORT);

    h.flags = flags;
    send_packet(h, NULL, 0);
}

static void send_data(uint32_t host_port, const void *data, uint32_t len)
{
    struct virtio_vsock_hdr h = header(VIRTIO_VSOCK_OP_RW, host_port, GUEST_PORT);

    h.len = len;
    send_packet(h, data, len);
}

static unsigned taken; /* of the used entries of RX */

static int reset_taken(void **state)
{
    taken = 0;
    return setup(state);
}

/* The next packet from the device, if there is one; its buffer is offered again. */
static bool next(struct virtio_vsock_hdr *h, uint8_t *data)
{
    const uint16_t *idx = ram(USED_AT(RX) + 2);
    const uint32_t *entry = ram(USED_AT(RX) + 4 + taken % QUEUE * 8);
    const struct vring_desc *desc = ram(DESC_AT(RX));
    uint64_t gpa;

    if ((uint16_t)taken == *idx)
        return false;
    gpa = desc[entry[0]].addr;
    memcpy(h, ram(gpa), sizeof(*h));
    assert_int_equal(entry[1], sizeof(*h) + h->len);
    assert_int_equal(h->src_cid, HOST);
    assert_int_equal(h->dst_cid, CID);
    assert_int_equal(h->type, VIRTIO_VSOCK_TYPE_STREAM);
    if (data)
        memcpy(data, (uint8_t *)ram(gpa) + sizeof(*h), h->len);
    taken++;
    offer(RX, &(struct part){ gpa, RX_SIZE, true }, 1);
    ring_bell(RX);
    return true;
}

static struct virtio_vsock_hdr expect(uint16_t op)
{
    struct virtio_vsock_hdr h = { .op = 0 };

    if (!next(&h, NULL) || h.op != op)
        fail_msg("operation %u came, %u was to come", h.op, op);
    return h;
}

static void expect_nothing(void)
{
    struct virtio_vsock_hdr h = { .op = 0 };

    if (next(&h, NULL))
        fail_msg("operation %u came", h.op);
}

/* ---- the host's side ---- */

/* Has the device look at its sockets. */
static void poll_sockets(void)
{
    for (unsigned i = 0; i < m.loop.nr; i++) {
        if (m.loop.watch[i].fd == dev.epoll_fd)
            bawn_loop_call(&m.loop, i);
    }
}

static int reach(const char *line)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&sock.addr, sizeof(sock.addr)), 0);
    assert_int_equal(send(fd, line, strlen(line), 0), strlen(line));
    poll_sockets(); /* accept */
    poll_sockets();
    return fd;
}

/* Whether the other side of fd has gone. */
static bool gone(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* A connection that the guest made; gives the host's end. */
static int guest_connects(void)
{
    int fd;

    send_op(VIRTIO_VSOCK_OP_REQUEST, PORT, 0);
    expect(VIRTIO_VSOCK_OP_RESPONSE);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

static unsigned open_conns(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < BAWN_VSOCK_CONNS; i++)
        n += dev.conn[i].state != BAWN_VSOCK_FREE;
    return n;
}

/* ---- tests ---- */

static void test_guest_connects(void **state)
{
    struct virtio_vsock_hdr h;
    uint8_t data[RX_SIZE];
    char text[8] = "";
    int fd;

    (void)state;
    assert_int_equal(config(0, 8), CID);
    fd = guest_connects();
    send_data(PORT, "hello", 5);
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    assert_string_equal(text, "hello");
    assert_int_equal(write(fd, "there", 5), 5);
    poll_sockets();
    assert_true(next(&h, data));
    assert_int_equal(h.op, VIRTIO_VSOCK_OP_RW);
    assert_int_equal(h.src_port, PORT);
    assert_int_equal(h.dst_port, GUEST_PORT);
    assert_int_equal(h.fwd_cnt, 5);
    assert_int_equal(h.buf_alloc, BAWN_VSOCK_BUFFER);
    assert_memory_equal(data, "there", 5);
    /* The guest closes: the answer is a reset, and the host sees the end. */
    send_op(VIRTIO_VSOCK_OP_SHUTDOWN, PORT, 3);
    expect(VIRTIO_VSOCK_OP_RST);
    assert_true(gone(fd));
    assert_int_equal(open_conns(), 0);
    close(fd);
}

static void test_nobody_there(void **state)
{
    struct virtio_vsock_hdr h;

    (void)state;
    send_op(VIRTIO_VSOCK_OP_REQUEST, PORT + 1, 0);
    h = expect(VIRTIO_VSOCK_OP_RST);
    assert_int_equal(h.src_port, PORT + 1);
    assert_int_equal(h.dst_port, GUEST_PORT);
    send_op(VIRTIO_VSOCK_OP_RW, PORT, 0); /* no such connection */
    expect(VIRTIO_VSOCK_OP_RST);
    send_op(VIRTIO_VSOCK_OP_RST, PORT, 0); /* never answered */
    expect_nothing();
}

static void test_host_connects(void **state)
{
    struct virtio_vsock_hdr h;
    uint8_t data[RX_SIZE];
    char text[64] = "";
    int fd = reach("CONNECT 900\nand more");

    (void)state;
    h = expect(VIRTIO_VSOCK_OP_REQUEST);
    assert_int_equal(h.dst_port, GUEST_PORT);
    assert_true(h.src_port >= 0x40000000);
    expect_nothing(); /* no data before the guest has accepted */
    send_op(VIRTIO_VSOCK_OP_RESPONSE, h.src_port, 0);
    assert_true(read(fd, text, sizeof(text)) > 0);
    assert_memory_equal(text, "OK 1073741824\n", 14);
    assert_true(next(&h, data));
    assert_int_equal(h.len, 8);
    assert_memory_equal(data, "and more", 8);
    close(fd);
    poll_sockets();
    h = expect(VIRTIO_VSOCK_OP_SHUTDOWN);
    assert_int_equal(h.flags, 3);
    send_op(VIRTIO_VSOCK_OP_RST, h.src_port, 0);
    assert_int_equal(open_conns(), 0);
}

static void test_guest_refuses(void **state)
{
    int fd = reach("CONNECT 900\n");
    struct virtio_vsock_hdr h = expect(VIRTIO_VSOCK_OP_REQUEST);

    (void)state;
    send_op(VIRTIO_VSOCK_OP_RST, h.src_port, 0);
    assert_true(gone(fd));
    close(fd);
    /* The host gives up before the guest has answered. */
    fd = reach("CONNECT 900\n");
    h = expect(VIRTIO_VSOCK_OP_REQUEST);
    close(fd);
    poll_sockets();
    expect(VIRTIO_VSOCK_OP_RST);
    assert_int_equal(open_conns(), 0);
}

static void test_bad_greetings(void **state)
{
    static const char *const bad[] = {
        "\n",
        "CONNECT\n",
        "CONNECT \n",
        "CONNECT x\n",
        "CONNECT -1\n",
        "connect 5\n",
        "CONNECT 4294967296\n",
        "CONNECT 5 \n",
        "CONNECT +5\n",
        "CONNECT  5\n",
        "CONNECT 99999999999999999999\n",
        "a line that is far too long to be anything",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int fd = reach(bad[i]);

        if (!gone(fd))
            fail_msg("\"%s\" was taken", bad[i]);
        close(fd);
    }
    expect_nothing();
    assert_int_equal(open_conns(), 0);
}

static void test_slow_greeting(void **state)
{
    int fd = reach("CONN");

    (void)state;
    expect_nothing();
    assert_int_equal(send(fd, "ECT 900\n", 8, 0), 8);
    poll_sockets();
    expect(VIRTIO_VSOCK_OP_REQUEST);
    close(fd);
}

/* The host does not read: what the guest may send ahead is bounded, and it hears of room again. */
static void test_credit_from_guest(void **state)
{
    static uint8_t chunk[65536];
    uint32_t sent = 0, got = 0, told = 0;
    struct virtio_vsock_hdr h = { .op = 0 };
    int fd = guest_connects();

    (void)state;
    while (sent - told + sizeof(chunk) <= BAWN_VSOCK_BUFFER) {
        memset(chunk, (int)(sent >> 16) + 1, sizeof(chunk));
        send_data(PORT, chunk, sizeof(chunk));
        sent += sizeof(chunk);
        while (next(&h, NULL))
            told = h.fwd_cnt; /* the socket's own buffer takes some */
    }
    assert_true(sent >= BAWN_VSOCK_BUFFER);
    while (got < sent) {
        ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

        if (n < 0) {
            poll_sockets();
            continue;
        }
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(chunk[i], (uint8_t)(((got + (uint32_t)i) >> 16) + 1));
        got += (uint32_t)n;
    }
    poll_sockets();
    while (next(&h, NULL)) {
        assert_int_equal(h.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
        told = h.fwd_cnt;
    }
    assert_true(sent - told < BAWN_VSOCK_BUFFER / 2);
    close(fd);
}

/* More than it was allowed: the connection ends, whatever the guest says of its credit. */
static void test_credit_ignored(void **state)
{
    static uint8_t chunk[65536];
    struct virtio_vsock_hdr h;
    int fd = guest_connects();
    unsigned i = 0;

    (void)state;
    for (; i < 64 && open_conns() && dev.conn[0].fd >= 0; i++)
        send_data(PORT, chunk, sizeof(chunk));
    assert_in_range(i, 5, 16); /* 256 KiB here, and what the socket takes */
    do
        h = (struct virtio_vsock_hdr){ .op = 0 };
    while (next(&h, NULL) && h.op != VIRTIO_VSOCK_OP_RST);
    assert_int_equal(h.op, VIRTIO_VSOCK_OP_RST);
    assert_int_equal(open_conns(), 0);
    close(fd);
}

/* The guest has little room: no more than that is sent, and the device asks. */
static void test_credit_to_guest(void **state)
{
    struct virtio_vsock_hdr h = header(VIRTIO_VSOCK_OP_REQUEST, PORT, GUEST_PORT);
    uint8_t data[RX_SIZE];
    char text[100];
    int fd;

    (void)state;
    h.buf_alloc = 10;
    send_packet(h, NULL, 0);
    expect(VIRTIO_VSOCK_OP_RESPONSE);
    fd = accept(listener, NULL, NULL);
    memset(text, 'a', sizeof(text));
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    poll_sockets();
    assert_true(next(&h, data));
    assert_int_equal(h.len, 10);
    expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    expect_nothing(); /* asked once */
    /* A count that never was: no credit comes of it. */
    h = header(VIRTIO_VSOCK_OP_CREDIT_UPDATE, PORT, GUEST_PORT);
    h.buf_alloc = 10;
    h.fwd_cnt = 5000;
    send_packet(h, NULL, 0);
    poll_sockets();
    expect_nothing();
    h.fwd_cnt = 4;
    send_packet(h, NULL, 0);
    assert_true(next(&h, data));
    assert_int_equal(h.len, 4);
    expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    send_op(VIRTIO_VSOCK_OP_CREDIT_REQUEST, PORT, 0); /* and this brings the rest */
    expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    assert_true(next(&h, data));
    assert_int_equal(h.len, 86);
    close(fd);
}

static void test_half_closed(void **state)
{
    struct virtio_vsock_hdr h;
    uint8_t data[RX_SIZE];
    char text[8];
    int fd = guest_connects();

    (void)state;
    /* The guest has said all it has to say; the host has not. */
    send_data(PORT, "end", 3);
    send_op(VIRTIO_VSOCK_OP_SHUTDOWN, PORT, VIRTIO_VSOCK_SHUTDOWN_SEND);
    assert_int_equal(read(fd, text, 8), 3);
    assert_int_equal(read(fd, text, 8), 0);
    assert_int_equal(write(fd, "late", 4), 4);
    poll_sockets();
    assert_true(next(&h, data));
    assert_int_equal(h.len, 4);
    /* Now the host, too: half, as it only shuts one direction. */
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    poll_sockets();
    h = expect(VIRTIO_VSOCK_OP_SHUTDOWN);
    assert_true(h.flags & VIRTIO_VSOCK_SHUTDOWN_SEND);
    /* Data after a shutdown is a breach. */
    send_data(PORT, "x", 1);
    expect(VIRTIO_VSOCK_OP_RST);
    close(fd);
}

/* The host wrote an answer and left; the guest is still sending. The answer arrives. */
static void test_answer_survives(void **state)
{
    struct virtio_vsock_hdr h;
    uint8_t data[RX_SIZE];
    int fd = guest_connects();

    (void)state;
    assert_int_equal(write(fd, "answer", 6), 6);
    close(fd);
    send_data(PORT, "more", 4); /* before the device looks at the socket */
    h = expect(VIRTIO_VSOCK_OP_SHUTDOWN);
    assert_int_equal(h.flags, VIRTIO_VSOCK_SHUTDOWN_RCV);
    poll_sockets();
    assert_true(next(&h, data));
    assert_int_equal(h.op, VIRTIO_VSOCK_OP_RW);
    assert_memory_equal(data, "answer", 6);
    poll_sockets();
    do
        assert_true(next(&h, NULL));
    while (h.op != VIRTIO_VSOCK_OP_SHUTDOWN || h.flags != 3);
    send_op(VIRTIO_VSOCK_OP_RST, PORT, 0);
    assert_int_equal(open_conns(), 0);
}

/* No buffers: nothing is lost, and stray answers are bounded by not serving the guest. */
static void test_no_buffers(void **state)
{
    struct virtio_vsock_hdr h;
    unsigned answers = 0, asked = 0;

    (void)state;
    given = taken = 0;
    assert_int_equal(driver_start(3, V1), 15); /* no buffer is offered */
    for (unsigned i = 0; i < 100; i++) {
        struct virtio_vsock_hdr bad = header(VIRTIO_VSOCK_OP_RW, 7, i);

        memcpy(ram(TX_BUF), &bad, sizeof(bad));
        if (i >= BAWN_VSOCK_STRAYS + QUEUE)
            break;
        offer(TX, &(struct part){ TX_BUF, sizeof(bad), false }, 1);
        ring_bell(TX);
        asked++;
    }
    assert_int_equal(dev.nr_strays, BAWN_VSOCK_STRAYS);
    assert_int_equal(used(TX, NULL), BAWN_VSOCK_STRAYS);
    give_buffers(QUEUE);
    for (unsigned turns = 0; turns < 200; turns++) {
        while (next(&h, NULL)) {
            assert_int_equal(h.op, VIRTIO_VSOCK_OP_RST);
            answers++;
        }
        ring_bell(TX); /* what the doorbell's eventfd does by itself in the loop */
    }
    assert_int_equal(answers, asked);
}

static void test_malformed(void **state)
{
    const struct virtio_vsock_hdr good = header(VIRTIO_VSOCK_OP_RW, PORT, GUEST_PORT);
    struct virtio_vsock_hdr h;
    int fd;

    (void)state;
    /* Dropped: who it is from, or for, or no whole header. */
    h = good, h.src_cid = CID + 1;
    send_packet(h, NULL, 0);
    h = good, h.dst_cid = CID;
    send_packet(h, NULL, 0);
    memcpy(ram(TX_BUF), &good, sizeof(good));
    offer(TX, &(struct part){ TX_BUF, sizeof(good) - 1, false }, 1);
    offer(TX, &(struct part){ TX_BUF, sizeof(good), true }, 1);
    ring_bell(TX);
    assert_int_equal(used(TX, NULL), 2);
    expect_nothing();
    /* Another type of socket. */
    h = good, h.op = VIRTIO_VSOCK_OP_REQUEST, h.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    send_packet(h, NULL, 0);
    expect(VIRTIO_VSOCK_OP_RST);
    /* Reset: a length that is not there, an unknown operation, a second request, an answer that
     * nobody waits for. */
    for (unsigned i = 0; i < 4; i++) {
        fd = guest_connects();
        h = good;
        if (i == 0)
            h.len = 1;
        else
            h.op = i == 1 ? 99 : i == 2 ? VIRTIO_VSOCK_OP_REQUEST : VIRTIO_VSOCK_OP_RESPONSE;
        send_packet(h, NULL, 0);
        expect(VIRTIO_VSOCK_OP_RST);
        assert_true(gone(fd));
        close(fd);
        assert_int_equal(open_conns(), 0);
    }
    /* rx buffers without room for a header come back empty. */
    given = taken = 0;
    assert_int_equal(driver_start(3, V1), 15);
    offer(RX, &(struct part){ RX_BUF, sizeof(h), true }, 1);
    send_op(VIRTIO_VSOCK_OP_RW, PORT, 0);
    {
        uint32_t len = 1;

        assert_int_equal(used(RX, &len), 1);
        assert_int_equal(len, 0);
    }
    assert_false(device_status() & NEEDS_RESET);
}

static void test_many(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BAWN_VSOCK_CONNS + 3; i++) {
        send_packet(header(VIRTIO_VSOCK_OP_REQUEST, PORT, 1000 + i), NULL, 0);
        expect(i < BAWN_VSOCK_CONNS ? VIRTIO_VSOCK_OP_RESPONSE : VIRTIO_VSOCK_OP_RST);
    }
    assert_int_equal(open_conns(), BAWN_VSOCK_CONNS);
    taken = 0;
    start(); /* a reset of the device closes them all */
    assert_int_equal(open_conns(), 0);
    for (unsigned i = 0; i < BAWN_VSOCK_CONNS; i++)
        assert_int_equal(close(accept(listener, NULL, NULL)), 0);
}

static void test_random_packets(void **state)
{
    uint32_t seed = 9;

    (void)state;
    for (unsigned i = 0; i < 30000; i++) {
        struct virtio_vsock_hdr h = header(0, PORT, GUEST_PORT);
        uint32_t len = 0;
        int fd;

        seed = seed * 1664525 + 1013904223;
        h.op = seed >> 8 & 7;
        h.flags = seed >> 12 & 3;
        h.src_port += seed >> 16 & 3;
        h.fwd_cnt = seed & 1 ? seed : 0;
        h.buf_alloc = seed & 2 ? seed : ROOM;
        if (h.op == VIRTIO_VSOCK_OP_RW)
            h.len = len = seed >> 20;
        if (seed >> 28 == 1)
            ((uint8_t *)&h)[seed >> 8 & 31] ^= (uint8_t)seed;
        memcpy(ram(TX_BUF), &h, sizeof(h));
        offer(TX,
              (const struct part[]){ { TX_BUF, sizeof(h), false }, { TX_BUF + 4096, len, false } },
              len ? 2 : 1);
        ring_bell(TX);
        assert_int_equal(used(TX, NULL), 1);
        while (next(&h, NULL))
            ;
        if (i % 16 == 0) {
            poll_sockets();
            fd = accept4(listener, NULL, NULL, 0);
            (void)!write(fd, &seed, sizeof(seed));
            close(fd);
            send_packet(header(VIRTIO_VSOCK_OP_REQUEST, PORT, 1), NULL, 0);
        }
        assert_false(device_status() & NEEDS_RESET);
    }
}

static void test_socket(void **state)
{
    struct bawn_vsock_socket other;
    struct bawn_error err;
    char longest[200];

    (void)state;
    assert_int_equal(bawn_vsock_socket_open(&other, path, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "remove it"));
    assert_int_equal(access(path, F_OK), 0); /* the other machine's is left alone */
    memset(longest, 'x', sizeof(longest));
    longest[97] = '\0'; /* with _4294967295 and a NUL, one more than the address holds */
    assert_int_equal(bawn_vsock_socket_open(&other, longest, &err), BAWN_E_CONFIG);
    assert_int_equal(bawn_vsock_socket_open(&other, "", &err), BAWN_E_CONFIG);
    assert_int_equal(bawn_vsock_socket_open(&other, "/nonexistent/s", &err), BAWN_E_IO);
}

/* A device that goes on from a snapshot knows no connections, and says so. */
static void test_resumed(void **state)
{
    struct bawn_vdev_start where = m.virtio.set;
    uint32_t len = 0, event = 99;

    (void)state;
    where.resume = true;
    for (unsigned q = 0; q < 3; q++) {
        where.queue[q].avail_idx = dev.vdev.vq[q].avail_idx;
        where.queue[q].used_idx = dev.vdev.vq[q].used_idx;
    }
    bawn_vdev_stop(&dev.vdev);
    bawn_vdev_start(&dev.vdev, &where);
    turn_loop(&m.loop);
    offer(2, &(struct part){ TX_BUF, sizeof(event), true }, 1);
    memcpy(ram(TX_BUF), &event, sizeof(event));
    ring_bell(2);
    assert_int_equal(used(2, &len), 1);
    assert_int_equal(len, sizeof(event));
    memcpy(&event, ram(TX_BUF), sizeof(event));
    assert_int_equal(event, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
    offer(2, &(struct part){ TX_BUF, sizeof(event), true }, 1); /* once */
    ring_bell(2);
    assert_int_equal(used(2, &len), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, reset_taken, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_guest_connects),    TEST(test_nobody_there),
        TEST(test_host_connects),     TEST(test_guest_refuses),
        TEST(test_bad_greetings),     TEST(test_slow_greeting),
        TEST(test_credit_from_guest), TEST(test_credit_ignored),
        TEST(test_credit_to_guest),   TEST(test_half_closed),
        TEST(test_answer_survives),   TEST(test_no_buffers),
        TEST(test_malformed),         TEST(test_many),
        TEST(test_random_packets),    TEST(test_socket),
        TEST(test_resumed),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

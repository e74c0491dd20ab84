// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/virtio_net.c and vmm/net.c on a real socket pair and, where the system permits, on a real tap
 * in a network of its own: frames both ways, offloads, a slow and a hostile other side, and headers
 * as a hostile driver writes them.
 */
#include "driver.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>

enum { RX, TX, RX1, TX1, CONTROL };

#define BUF(i) (0x100000ull + (i)*0x1000)
#define BIG 0x200000ull
#define V1 (1ull << VIRTIO_F_VERSION_1)
#define HEADER sizeof(struct virtio_net_hdr_v1)
#define CSUM (1ull << VIRTIO_NET_F_CSUM)
#define TSO4 (1ull << VIRTIO_NET_F_HOST_TSO4)
#define GUEST_CSUM (1ull << VIRTIO_NET_F_GUEST_CSUM)
#define GUEST_TSO4 (1ull << VIRTIO_NET_F_GUEST_TSO4)
#define MERGE (1ull << VIRTIO_NET_F_MRG_RXBUF)
#define MANY (1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_CTRL_VQ)

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
static struct bawn_net net;
static struct bawn_virtio_net dev;
static int peer = -1;

static void plug(uint64_t features)
{
    struct bawn_vdev_host host = machine_create();

    memset(&dev, 0, sizeof(dev));
    memcpy(net.mac, mac, sizeof(mac));
    net.mtu = 1400;
    assert_int_equal(bawn_virtio_net_init(&dev, &host, &net), 0);
    machine_plug(&dev.vdev);
    assert_int_equal(driver_start(dev.ops.nr_queues, V1 | features), 15);
}

static int setup(void **state)
{
    int pair[2];

    (void)state;
    memset(&net, 0, sizeof(net));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    peer = pair[1];
    assert_int_equal(bawn_net_stream(&net, pair[0], NULL), BAWN_OK);
    plug(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_virtio_net_destroy(&dev);
    bawn_net_close(&net);
    machine_destroy();
    if (peer >= 0)
        close(peer);
    peer = -1;
    return 0;
}

/* Everything that is ready has its turn. */
static void wait_loop(int timeout)
{
    struct pollfd fds[BAWN_LOOP_MAX];

    for (;;) {
        for (unsigned i = 0; i < m.loop.nr; i++)
            fds[i] = (struct pollfd){ m.loop.watch[i].fd, POLLIN, 0 };
        if (poll(fds, m.loop.nr, timeout) <= 0)
            return;
        for (unsigned i = 0; i < m.loop.nr; i++)
            if (fds[i].revents)
                bawn_loop_call(&m.loop, i);
        timeout = 0;
    }
}

static void offer_rx(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        offer(RX, &(struct part){ BUF(i), 2048, true }, 1);
    ring_bell(RX);
}

static void fill(uint8_t *frame, unsigned len, uint8_t with)
{
    for (unsigned i = 0; i < len; i++)
        frame[i] = (uint8_t)(i * 7 + with);
}

/* Has the guest send a frame in two buffers behind its header. */
static void send_frame(const struct virtio_net_hdr_v1 *h, const uint8_t *frame, unsigned len)
{
    const struct part parts[] = { { BUF(0), HEADER, false },
                                  { BUF(1), 10, false },
                                  { BIG, len - 10, false } };

    memcpy(ram(BUF(0)), h, HEADER);
    memcpy(ram(BUF(1)), frame, 10);
    memcpy(ram(BIG), frame + 10, len - 10);
    offer(TX, parts, 3);
    ring_bell(TX);
}

static void write_peer(const void *data, size_t len)
{
    assert_int_equal(write(peer, data, len), (ssize_t)len);
}

static void put_prefix(uint8_t *to, uint32_t len)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(len >> 8 * (3 - i));
}

static void test_configuration(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(config(i, 1), mac[i]);
    assert_int_equal(config(10, 2), 1400);
    assert_true(offered() & 1ull << VIRTIO_NET_F_MAC);
    assert_true(offered() & 1ull << VIRTIO_NET_F_MTU);
    assert_false(offered() & (CSUM | TSO4)); /* nobody would do that behind a socket */
}

static void test_send(void **state)
{
    const struct virtio_net_hdr_v1 h = { 0 };
    uint8_t frame[1500], got[2000];

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        unsigned len = 14 + 37 * i;

        fill(frame, len, (uint8_t)i);
        send_frame(&h, frame, len);
        assert_int_equal(used(TX, NULL), 1);
        assert_int_equal(read(peer, got, sizeof(got)), 4 + len);
        assert_int_equal(got[0] << 24 | got[1] << 16 | got[2] << 8 | got[3], len);
        assert_memory_equal(got + 4, frame, len);
    }
    send_frame(&h, frame, 13); /* less than an Ethernet header */
    assert_int_equal(used(TX, NULL), 1);
    assert_int_equal(read(peer, got, sizeof(got)), -1);
}

static void test_receive(void **state)
{
    uint8_t stream[3 * 1504];
    uint32_t len = 0;

    (void)state;
    offer_rx(4);
    for (unsigned i = 0; i < 3; i++) {
        put_prefix(stream + i * 1504, 1500);
        fill(stream + i * 1504 + 4, 1500, (uint8_t)i);
    }
    /* In pieces of all sizes. */
    for (unsigned at = 0, n = 1; at < sizeof(stream); at += n, n = n % 700 + 13) {
        if (n > sizeof(stream) - at)
            n = sizeof(stream) - at;
        write_peer(stream + at, n);
        wait_loop(-1);
    }
    assert_int_equal(used(RX, &len), 3);
    assert_int_equal(len, HEADER + 1500);
    for (unsigned i = 0; i < 3; i++) {
        const struct virtio_net_hdr_v1 *h = ram(BUF(i));

        assert_int_equal(h->num_buffers, 1);
        assert_int_equal(h->flags | h->gso_type, 0);
        assert_memory_equal(ram(BUF(i) + HEADER), stream + i * 1504 + 4, 1500);
    }
}

/* Frames that come before there is a driver, or a buffer, wait. */
static void test_late_buffers(void **state)
{
    uint8_t frame[104];
    uint32_t len = 0;

    (void)state;
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    put_prefix(frame, 100);
    fill(frame + 4, 100, 1);
    write_peer(frame, sizeof(frame));
    wait_loop(10);
    write_peer(frame, sizeof(frame));
    wait_loop(10);
    assert_int_equal(driver_start(2, V1), 15);
    offer_rx(1);
    assert_int_equal(used(RX, &len), 1);
    assert_int_equal(len, HEADER + 100);
    offer_rx(1);
    assert_int_equal(used(RX, &len), 1);
    assert_memory_equal(ram(BUF(0) + HEADER), frame + 4, 100);
}

/* One that does not fit is lost, and the one behind it is not. */
static void test_small_buffer(void **state)
{
    uint8_t stream[204 + 54];
    uint32_t len = 0;

    (void)state;
    offer(RX, &(struct part){ BUF(0), 100, true }, 1);
    ring_bell(RX);
    put_prefix(stream, 200);
    put_prefix(stream + 204, 50);
    fill(stream + 208, 50, 3);
    write_peer(stream, sizeof(stream));
    wait_loop(-1);
    assert_int_equal(used(RX, &len), 1);
    assert_int_equal(len, HEADER + 50);
    assert_memory_equal(ram(BUF(0) + HEADER), stream + 208, 50);
}

/* Buffers of 2048 that hold a frame in their order, as the used ring has them. */
static void expect_merged(const uint8_t *frame, unsigned len, unsigned first, unsigned nr)
{
    const struct virtio_net_hdr_v1 *h = ram(BUF(first));
    unsigned skip = HEADER;

    assert_int_equal(h->num_buffers, nr);
    for (unsigned i = first; i < first + nr; i++, skip = 0) {
        unsigned part = len < 2048 - skip ? len : 2048 - skip;

        assert_memory_equal(ram(BUF(i) + skip), frame, part);
        frame += part;
        len -= part;
    }
    assert_int_equal(len, 0);
}

/* A frame takes as many buffers as it needs, at once: none before they all are there. */
static void test_merged(void **state)
{
    static uint8_t stream[4 + 5000];
    uint32_t len = 0;

    (void)state;
    assert_true(offered() & MERGE);
    assert_int_equal(driver_start(2, V1 | MERGE), 15);
    put_prefix(stream, 5000);
    fill(stream + 4, 5000, 7);
    offer_rx(2);
    write_peer(stream, sizeof(stream));
    wait_loop(10);
    assert_int_equal(used(RX, NULL), 0);
    write_peer(stream, sizeof(stream));
    wait_loop(10);
    for (unsigned i = 2; i < 5; i++)
        offer(RX, &(struct part){ BUF(i), 2048, true }, 1);
    ring_bell(RX);
    assert_int_equal(used(RX, &len), 3);
    assert_int_equal(len, HEADER + 5000 - 2 * 2048);
    expect_merged(stream + 4, 5000, 0, 3);
    offer(RX, &(struct part){ BUF(5), 2048, true }, 1);
    ring_bell(RX);
    assert_int_equal(used(RX, NULL), 3);
    expect_merged(stream + 4, 5000, 3, 3);
}

/* More than all buffers of the queue hold is lost, and what is behind it is not. */
static void test_larger_than_queue(void **state)
{
    static uint8_t stream[4 + 40000 + 4 + 60];

    (void)state;
    assert_int_equal(driver_start(2, V1 | MERGE), 15);
    put_prefix(stream, 40000);
    put_prefix(stream + 4 + 40000, 60);
    fill(stream + 4 + 40000 + 4, 60, 9);
    write_peer(stream, sizeof(stream));
    offer_rx(QUEUE);
    wait_loop(10);
    assert_int_equal(used(RX, NULL), 1);
    expect_merged(stream + 4 + 40000 + 4, 60, 0, 1);
    /* Not merged: one buffer is all that there is. */
    assert_int_equal(driver_start(2, V1), 15);
    put_prefix(stream, 3000);
    put_prefix(stream + 4 + 3000, 60);
    write_peer(stream, 4 + 3000);
    write_peer(stream + 4 + 3000, 4 + 60);
    offer_rx(2);
    wait_loop(10);
    assert_int_equal(used(RX, NULL), 1);
}

/* The other side does not read: the guest's frames wait, none is torn or lost. */
static void test_slow_peer(void **state)
{
    const struct virtio_net_hdr_v1 h = { 0 };
    static uint8_t frame[60000], got[60004];
    unsigned sent = 0, done = 0;

    (void)state;
    for (unsigned full = 0; full < 3; sent++) {
        fill(frame, sizeof(frame), 0); /* the same: the buffers are used again */
        send_frame(&h, frame, sizeof(frame));
        full += !used(TX, NULL);
        assert_true(sent < 200);
    }
    for (unsigned i = 0; i < sent; i++) {
        for (size_t at = 0; at < sizeof(got);) {
            ssize_t n = read(peer, got + at, sizeof(got) - at);

            at += n > 0 ? (size_t)n : 0;
            wait_loop(0);
        }
        assert_int_equal(got[0] << 24 | got[1] << 16 | got[2] << 8 | got[3], sizeof(frame));
        assert_memory_equal(got + 4, frame, sizeof(frame));
        done++;
    }
    assert_int_equal(done, sent);
}

static void expect_cut_off(const void *data, size_t len)
{
    const struct virtio_net_hdr_v1 h = { 0 };
    uint8_t frame[64] = { 0 };

    offer_rx(2);
    if (len)
        write_peer(data, len);
    else
        close(peer);
    if (!len)
        peer = -1;
    wait_loop(10);
    assert_int_equal(net.fd[0], -1);
    assert_int_equal(used(RX, NULL), 0);
    send_frame(&h, frame, sizeof(frame)); /* into the void */
    assert_int_equal(used(TX, NULL), 1);
    assert_false(device_status() & NEEDS_RESET);
}

static void test_bad_lengths(void **state)
{
    static const uint32_t bad[] = { 0, 1, 13, 65551, 0x80000000, 0xffffffff };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t stream[64] = { 0 };

        put_prefix(stream, bad[i]);
        expect_cut_off(stream, sizeof(stream));
        teardown(state);
        setup(state);
    }
    expect_cut_off(NULL, 0); /* it has gone */
}

/* Headers that ask for what was not negotiated, or is beyond the frame: nothing is sent. */
static void test_bad_headers(void **state)
{
    static const struct virtio_net_hdr_v1 bad[] = {
        { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 14, .csum_offset = 16 },
        { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1000 },
        { .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 1000 },
        { .gso_type = 0xff, .gso_size = 1 },
        { .gso_type = VIRTIO_NET_HDR_GSO_ECN },
    };
    uint8_t frame[100] = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        send_frame(&bad[i], frame, sizeof(frame));
        assert_int_equal(used(TX, NULL), 1);
        assert_int_equal(read(peer, frame, sizeof(frame)), -1);
    }
    offer(TX, &(struct part){ BUF(0), HEADER - 1, false }, 1); /* not even a header */
    offer(TX, &(struct part){ BUF(0), 100, true }, 1);         /* nothing to read */
    ring_bell(TX);
    assert_int_equal(used(TX, NULL), 2);
    assert_int_equal(read(peer, frame, sizeof(frame)), -1);
    assert_false(device_status() & NEEDS_RESET);
}

static void test_connect(void **state)
{
    char path[] = "/tmp/bawn-net-test.XXXXXX", name[64];
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct bawn_net_config cfg = { .socket = name };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct bawn_net other;
    struct bawn_error err;
    char longest[200];

    (void)state;
    assert_non_null(mkdtemp(path));
    snprintf(name, sizeof(name), "%s/s", path);
    memcpy(at.sun_path, name, strlen(name));
    assert_int_equal(bawn_net_open(&other, &cfg, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, name));
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(bawn_net_open(&other, &cfg, &err), BAWN_OK);
    assert_int_equal(other.mac[0] & 3, 2);
    bawn_net_close(&other);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    cfg.socket = longest;
    assert_int_equal(bawn_net_open(&other, &cfg, &err), BAWN_E_CONFIG);
    cfg = (struct bawn_net_config){ .tap = longest };
    assert_int_equal(bawn_net_open(&other, &cfg, &err), BAWN_E_CONFIG);
    cfg = (struct bawn_net_config){ .fd = { listener }, .nr_fds = 1 };
    assert_int_equal(bawn_net_open(&other, &cfg, &err), BAWN_E_IO); /* no tap; and closed */
    assert_non_null(strstr(err.msg, "not a tap"));
    unlink(name);
    rmdir(path);
}

static void test_random(void **state)
{
    uint32_t seed = 3;
    uint8_t sink[65536];

    (void)state;
    for (unsigned i = 0; i < 20000 && net.fd[0] >= 0; i++) {
        struct part parts[4];

        for (unsigned k = 0; k < 4; k++) {
            seed = seed * 1664525 + 1013904223;
            parts[k] = (struct part){ BUF(seed >> 28), 1 + (seed >> 12) % 3000, seed >> 10 & 1 };
            *(uint8_t *)ram(BUF(seed >> 28) + (seed >> 8) % 12) = (uint8_t)seed;
        }
        offer(seed >> 9 & 1, parts, 1 + seed % 4);
        ring_bell(seed >> 9 & 1);
        if (i % 3 == 0) {
            put_prefix(sink, 14 + seed % 2000);
            (void)!write(peer, sink, 4 + 14 + seed % 2000);
        }
        (void)!read(peer, sink, sizeof(sink));
        wait_loop(0);
        if (device_status() & NEEDS_RESET)
            assert_int_equal(driver_start(2, V1), 15);
    }
}

/* ---- A tap ---- */

static void up(const char *name)
{
    struct ifreq ifr = { .ifr_flags = IFF_UP };
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
    assert_int_equal(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
    close(s);
}

#define EXPERIMENT 0x88b5

/* A socket that sees the interface's frames of a type. */
static int packets(const char *name, uint16_t type)
{
    struct ifreq ifr = { 0 };
    struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htobe16(type) };
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htobe16(type));

    strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
    assert_true(s >= 0);
    assert_int_equal(ioctl(s, SIOCGIFINDEX, &ifr), 0);
    at.sll_ifindex = ifr.ifr_ifindex;
    assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof(at)), 0);
    return s;
}

/* A frame of a type that nobody else speaks: local experiments (IEEE 802). */
static void make_frame(uint8_t *frame, unsigned len, uint8_t with)
{
    static const uint8_t head[14] = { 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xb5 };

    fill(frame, len, with);
    memcpy(frame, head, sizeof(head));
}

static void tap_both_ways(int s)
{
    struct virtio_net_hdr_v1 h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                   .csum_start = 34,
                                   .csum_offset = 10 };
    uint8_t frame[1500], got[2000];
    uint32_t len = 0;

    /* The host's own frames (it looks for routers) come, too. */
    make_frame(frame, 1000, 1);
    assert_int_equal(send(s, frame, 1000, 0), 1000);
    do {
        offer_rx(1);
        while (!used(RX, &len))
            wait_loop(100);
    } while (((uint8_t *)ram(BUF(0) + HEADER))[12] != 0x88);
    assert_int_equal(len, HEADER + 1000);
    assert_memory_equal(ram(BUF(0) + HEADER), frame, 1000);
    assert_int_equal(((struct virtio_net_hdr_v1 *)ram(BUF(0)))->num_buffers, 1);

    /* A checksum that the guest left to others. A packet socket sees it as it is. */
    make_frame(frame, 900, 2);
    send_frame(&h, frame, 900);
    while (recv(s, got, sizeof(got), 0) != 900)
        wait_loop(1);
    assert_memory_equal(got, frame, 900);

    /* Beyond the frame: not sent. The next one is. */
    h.csum_offset = 865;
    send_frame(&h, frame, 900);
    h = (struct virtio_net_hdr_v1){ 0 };
    make_frame(frame, 200, 3);
    send_frame(&h, frame, 200);
    while (recv(s, got, sizeof(got), 0) < 0)
        wait_loop(1);
    assert_memory_equal(got, frame, 200);
}

/* In a child, which has a network of its own. 77: the system does not let us. */
static bool open_tap(unsigned queues, uint64_t features)
{
    struct bawn_net_config cfg = { .tap = (char *)"bawntest",
                                   .mtu = 1400,
                                   .queues = (uint16_t)queues };
    struct bawn_error err;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) && unshare(CLONE_NEWNET))
        return false;
    if (bawn_net_open(&net, &cfg, &err)) {
        fprintf(stderr, "# %s\n", err.msg);
        return false;
    }
    plug(features);
    up("bawntest");
    return true;
}

static int tap_child(void)
{
    int s;

    if (!open_tap(0, CSUM | TSO4 | GUEST_CSUM))
        return 77;
    assert_false(offered() & MANY);
    s = packets("bawntest", EXPERIMENT);
    tap_both_ways(s);
    close(s);
    teardown(NULL);
    return 0;
}

/* What a TCP sender of the host gives the interface: a checksum to fill in, segments to cut. */
static void send_segments(int s, unsigned payload)
{
    static const uint8_t head[54] = {
        2,    0, 0, 0, 0, 9, 2, 0, 0,  0, 0, 8, 8,  0, /* Ethernet */
        0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1,    10,
        0,    0, 2, 0, 1, 0, 2, 0, 0,  0, 0, 0, 0,  0, 0, 0x50, 0x10
    };
    struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                .hdr_len = sizeof(head),
                                .gso_size = 1000,
                                .csum_start = 34,
                                .csum_offset = 16 };
    static uint8_t frame[sizeof(h) + 8192];
    uint16_t total = htobe16((uint16_t)(40 + payload));
    const int on = 1;

    assert_int_equal(setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
    memcpy(frame, &h, sizeof(h));
    memcpy(frame + sizeof(h), head, sizeof(head));
    memcpy(frame + sizeof(h) + 16, &total, sizeof(total));
    fill(frame + sizeof(h) + sizeof(head), payload, 3);
    assert_int_equal(send(s, frame, sizeof(h) + sizeof(head) + payload, 0),
                     sizeof(h) + sizeof(head) + payload);
}

/* The next frame of TCP: the buffer that it begins in; others are passed over. */
static unsigned next_tcp(unsigned *seen)
{
    for (;; ++*seen) {
        const uint16_t *idx = ram(USED_AT(RX) + 2);
        const struct virtio_net_hdr_v1 *h;

        while (*idx == *seen)
            wait_loop(100);
        h = ram(BUF(*seen));
        if (h->num_buffers && ((const uint8_t *)h)[HEADER + 12] == 8 &&
            ((const uint8_t *)h)[HEADER + 23] == 6)
            return *seen;
    }
}

static int offload_child(void)
{
    const struct virtio_net_hdr_v1 *h;
    unsigned at = 0;
    int s;

    if (!open_tap(0, MERGE | GUEST_CSUM | GUEST_TSO4))
        return 77;
    s = packets("bawntest", ETH_P_IP);
    offer_rx(QUEUE);
    send_segments(s, 5000);
    h = ram(BUF(next_tcp(&at))); /* in one piece, in three buffers */
    assert_int_equal(h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN, VIRTIO_NET_HDR_GSO_TCPV4);
    assert_int_equal(h->gso_size, 1000);
    assert_int_equal(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(h->num_buffers, 3);
    assert_int_equal(((uint8_t *)ram(BUF(at + 1)))[0], (uint8_t)((2048 - 66) * 7 + 3));
    /* A driver that takes the feature for segments, and not the one for checksums, gets neither. */
    assert_int_equal(driver_start(2, V1 | MERGE | GUEST_TSO4), 15);
    offer_rx(QUEUE);
    send_segments(s, 3000);
    at = 0;
    for (unsigned i = 0; i < 3; i++, at++) {
        h = ram(BUF(next_tcp(&at)));
        assert_int_equal(h->gso_type | (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM), 0);
        assert_int_equal(h->num_buffers, 1);
    }
    close(s);
    teardown(NULL);
    return 0;
}

/* Gives the device's answer; 0xee: none. */
static uint8_t tell(uint8_t class, uint8_t cmd, const void *data, unsigned len)
{
    const struct part parts[] = { { BUF(40), 2, false },
                                  { BUF(41), len, false },
                                  { BUF(42), 1, true } };
    const uint8_t head[] = { class, cmd };

    memcpy(ram(BUF(40)), head, 2);
    memcpy(ram(BUF(41)), data, len);
    *(uint8_t *)ram(BUF(42)) = 0xee;
    offer(CONTROL, parts, 3);
    ring_bell(CONTROL);
    assert_int_equal(used(CONTROL, NULL), 1);
    return *(uint8_t *)ram(BUF(42));
}

/* Sends frames of many flows, as the host's stations do: how many come by each pair. */
static void receive_flows(int s, unsigned pairs, unsigned *got)
{
    static const uint8_t udp[] = { 8, 0,  0x45, 0, 0, 86, 0, 0, 0, 0, 64, 17, 0,
                                   0, 10, 0,    0, 1, 10, 0, 0, 2, 0, 1,  0,  7 };
    uint8_t frame[100];
    unsigned sum = 0;

    got[0] = got[1] = 0;
    for (unsigned i = 0; i < pairs; i++) {
        for (unsigned k = 0; k < QUEUE; k++)
            offer(2 * i, &(struct part){ BUF(i * QUEUE + k), 2048, true }, 1);
        ring_bell(2 * i);
    }
    for (unsigned flow = 0; flow < 12; flow++) {
        make_frame(frame, sizeof(frame), 0);
        memcpy(frame + 12, udp, sizeof(udp));
        frame[35] = (uint8_t)flow; /* another sender's port */
        assert_int_equal(send(s, frame, sizeof(frame), 0), sizeof(frame));
    }
    while (sum < 12) {
        wait_loop(100);
        for (unsigned i = 0; i < 2; i++) {
            unsigned n = i < pairs ? used(2 * i, NULL) : 0;

            got[i] += n;
            sum += n;
        }
    }
}

static int many_child(void)
{
    const struct virtio_net_hdr_v1 h = { 0 };
    const struct part parts[] = { { BUF(50), HEADER, false }, { BUF(51), 300, false } };
    unsigned got[2];
    uint8_t frame[300], seen[2000];
    uint16_t pairs;
    int s, ip;

    if (!open_tap(4, MERGE | MANY))
        return 77;
    assert_int_equal(dev.ops.nr_queues, 5);
    assert_int_equal(config(8, 2), 2); /* max_virtqueue_pairs */
    s = packets("bawntest", EXPERIMENT);
    ip = packets("bawntest", ETH_P_IP);
    /* Until the driver says so, all frames come by the first pair, whatever the tap does. */
    receive_flows(ip, 1, got);
    pairs = 0;
    assert_int_equal(tell(VIRTIO_NET_CTRL_MQ, 0, &pairs, 2), VIRTIO_NET_ERR);
    pairs = 3;
    assert_int_equal(tell(VIRTIO_NET_CTRL_MQ, 0, &pairs, 2), VIRTIO_NET_ERR);
    pairs = 2;
    assert_int_equal(tell(VIRTIO_NET_CTRL_MQ, 0, &pairs, 1), VIRTIO_NET_ERR);
    assert_int_equal(tell(VIRTIO_NET_CTRL_MQ, 1, &pairs, 2), VIRTIO_NET_ERR);
    assert_int_equal(tell(VIRTIO_NET_CTRL_RX, 0, &pairs, 2), VIRTIO_NET_ERR);
    assert_int_equal(dev.pairs, 1);
    assert_int_equal(tell(VIRTIO_NET_CTRL_MQ, 0, &pairs, 2), VIRTIO_NET_OK);
    assert_int_equal(dev.pairs, 2);
    assert_int_equal(driver_start(5, V1 | MERGE | MANY), 15);
    assert_int_equal(dev.pairs, 1);
    assert_int_equal(tell(VIRTIO_NET_CTRL_MQ, 0, &pairs, 2), VIRTIO_NET_OK);
    receive_flows(ip, 2, got);
    assert_true(got[0] && got[1]);
    /* By the second pair to the host. */
    make_frame(frame, sizeof(frame), 5);
    memcpy(ram(BUF(50)), &h, HEADER);
    memcpy(ram(BUF(51)), frame, sizeof(frame));
    offer(TX1, parts, 2);
    ring_bell(TX1);
    assert_int_equal(used(TX1, NULL), 1);
    while (recv(s, seen, sizeof(seen), 0) != sizeof(frame))
        wait_loop(1);
    assert_memory_equal(seen, frame, sizeof(frame));
    close(s);
    close(ip);
    teardown(NULL);
    return 0;
}

static void in_child(int (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (!pid)
        _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void test_tap(void **state)
{
    (void)state;
    in_child(tap_child);
}

static void test_offloads(void **state)
{
    (void)state;
    in_child(offload_child);
}

static void test_many_queues(void **state)
{
    (void)state;
    in_child(many_child);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_configuration),
        TEST(test_send),
        TEST(test_receive),
        TEST(test_late_buffers),
        TEST(test_small_buffer),
        TEST(test_slow_peer),
        TEST(test_bad_lengths),
        TEST(test_bad_headers),
        TEST(test_merged),
        TEST(test_larger_than_queue),
        TEST(test_connect),
        TEST(test_random),
        cmocka_unit_test(test_tap),
        cmocka_unit_test(test_offloads),
        cmocka_unit_test(test_many_queues),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

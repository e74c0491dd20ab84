// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-vsock under a hostile driver and hostile neighbours: common.h has the steps. Sockets are
 * pairs whose other ends the input moves by HOST x y: who (x / 8) and what (x % 8): connect, greet
 * well, write y bytes, write the greeting byte by byte, read, shut down one way, the other, close.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

#define PEERS 8

static struct bawn_vsock_socket listener = { .fd = -1 };
static struct bawn_virtio_vsock vsock;
static int peer[PEERS];
static int waiting = -1; /* to be accepted */

/* A pair whose one end the target keeps; the device's end, or -1. */
static int make_pair(void)
{
    int pair[2];

    for (unsigned i = 0; i < PEERS; i++) {
        if (peer[i] >= 0)
            continue;
        FUZZ_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        peer[i] = pair[0];
        return pair[1];
    }
    return -1;
}

int __wrap_bawn_vsock_socket_accept(const struct bawn_vsock_socket *s);
int __wrap_bawn_vsock_socket_connect(const struct bawn_vsock_socket *s, uint32_t port);

int __wrap_bawn_vsock_socket_accept(const struct bawn_vsock_socket *s)
{
    int fd = waiting;
    eventfd_t ignored;

    (void)!eventfd_read(s->fd, &ignored);
    waiting = -1;
    return fd;
}

int __wrap_bawn_vsock_socket_connect(const struct bawn_vsock_socket *s, uint32_t port)
{
    (void)s;
    return port & 1 ? make_pair() : -1; /* nobody listens at even ports */
}

static void drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* What the device keeps for the host is no more than it said that it would take. */
static void check_credit(void)
{
    for (unsigned i = 0; i < BAWN_VSOCK_CONNS; i++) {
        if (vsock.conn[i].len <= BAWN_VSOCK_BUFFER)
            continue;
        fprintf(stderr, "vmm: %u bytes are kept, beyond the credit\n", vsock.conn[i].len);
        abort();
    }
}

static void host(uint8_t what, uint8_t how)
{
    int *fd = &peer[what / 8 % PEERS];
    char text[512];

    check_credit();
    memset(text, how, sizeof(text));
    if (what % 8 == 0) {
        if (waiting < 0)
            waiting = make_pair();
        if (waiting >= 0)
            (void)!eventfd_write(listener.fd, 1);
    } else if (*fd < 0) {
        return;
    } else if (what % 8 == 1) {
        (void)!send(*fd, text, (size_t)snprintf(text, sizeof(text), "CONNECT %u\n", how),
                    MSG_NOSIGNAL);
    } else if (what % 8 == 2) {
        (void)!send(*fd, text, how * 2u, MSG_NOSIGNAL);
    } else if (what % 8 == 3) {
        (void)!send(*fd, &how, 1, MSG_NOSIGNAL);
    } else if (what % 8 == 4) {
        (void)!recv(*fd, text, sizeof(text), 0);
    } else if (what % 8 == 7) {
        drop(fd);
    } else {
        shutdown(*fd, what % 8 == 5 ? SHUT_WR : SHUT_RD);
    }
}

static void clear(void)
{
    eventfd_t ignored;

    for (unsigned i = 0; i < PEERS; i++)
        drop(&peer[i]);
    drop(&waiting);
    (void)!eventfd_read(listener.fd, &ignored);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (listener.fd < 0) {
        struct bawn_vdev_host machine = fuzz_machine();

        memset(peer, -1, sizeof(peer));
        listener.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        FUZZ_MUST(listener.fd >= 0);
        FUZZ_MUST(!bawn_virtio_vsock_init(&vsock, &machine, &listener, 3));
        fuzz_plugged(&(struct fuzz_device){ .vdev = &vsock.vdev,
                                            .host = host,
                                            .clear = clear,
                                            .state = &vsock,
                                            .size = sizeof(vsock) });
    }
    fuzz_steps(data, size);
    return 0;
}

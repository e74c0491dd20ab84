// SPDX-License-Identifier: Apache-2.0
/*
 * Passes bytes on between a guest's port and whoever connected. Neither side is trusted: it is read
 * a little at a time, and neither is waited for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay.h"
#include "runtime.h"

#define CHUNK 4096

struct bawn_relay {
    int ready_fd;             /* an epoll instance of the others; all owned */
    int listen_fd, client_fd; /* client: -1 is nobody */
    int guest_fd;
    char path[108]; /* unix(7) */
};

static bool add(struct bawn_relay *r, int fd)
{
    struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

    return !epoll_ctl(r->ready_fd, EPOLL_CTL_ADD, fd, &e);
}

enum bawn_status bawn_relay_open(struct bawn_relay **relay, const char *path, int *port,
                                 struct bawn_error *err)
{
    struct bawn_relay *r = malloc(sizeof(*r));
    int pair[2], fd = r ? bawn_socket_listen(path, err) : -1;

    if (!r)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for %s", path);
    if (fd < 0) {
        free(r);
        return BAWN_E_IO;
    }
    *r = (struct bawn_relay){ epoll_create1(EPOLL_CLOEXEC), fd, -1, -1, "" };
    snprintf(r->path, sizeof(r->path), "%s", path);
    if (r->ready_fd >= 0 &&
        !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        r->guest_fd = pair[1];
        *port = pair[0];
        *relay = r;
        if (add(r, r->listen_fd) && add(r, r->guest_fd))
            return BAWN_OK;
        close(pair[0]);
    }
    bawn_fail(err, BAWN_E_IO, "cannot serve %s: %m", path);
    bawn_relay_close(r);
    *relay = NULL;
    return BAWN_E_IO;
}

static void drop_client(struct bawn_relay *r)
{
    if (r->client_fd >= 0)
        close(r->client_fd);
    r->client_fd = -1;
}

static void take_client(struct bawn_relay *r)
{
    int fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    drop_client(r); /* it may be one that has been forgotten */
    r->client_fd = fd;
    if (!add(r, fd))
        drop_client(r);
}

static void from_guest(struct bawn_relay *r)
{
    char buf[CHUNK];
    ssize_t n = recv(r->guest_fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n > 0 && r->client_fd >= 0)
        (void)!send(r->client_fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void from_client(struct bawn_relay *r)
{
    char buf[CHUNK];
    ssize_t n = recv(r->client_fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n > 0)
        (void)!send(r->guest_fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (!n || errno != EAGAIN)
        drop_client(r);
}

static void turn(void *opaque)
{
    struct bawn_relay *r = opaque;
    struct epoll_event e;

    /* One at a time: what it leads to may end another. */
    if (epoll_wait(r->ready_fd, &e, 1, 0) != 1)
        return;
    if (e.data.fd == r->listen_fd)
        take_client(r);
    else if (e.data.fd == r->guest_fd)
        from_guest(r);
    else
        from_client(r);
}

void bawn_relay_serve(struct bawn_relay *r, struct bawn_loop *loop)
{
    bawn_loop_watch(loop, r->ready_fd, true, turn, r);
}

void bawn_relay_close(struct bawn_relay *r)
{
    if (!r)
        return;
    drop_client(r);
    if (r->ready_fd >= 0)
        close(r->ready_fd);
    if (r->guest_fd >= 0)
        close(r->guest_fd);
    close(r->listen_fd);
    unlink(r->path);
    free(r);
}

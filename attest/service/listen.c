// SPDX-License-Identifier: Apache-2.0
/* Listening sockets: opened by the supervisor, who may use small ports, for the fronts. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "attest/service/supervisor.h"

#define BACKLOG 4096

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_vm vm;
};

static socklen_t tcp_address(const struct config_listen *l, union address *a)
{
    if (inet_pton(AF_INET, l->host, &a->in.sin_addr) == 1) {
        a->in.sin_family = AF_INET;
        a->in.sin_port = htons((uint16_t)l->port);
        return sizeof(a->in);
    }
    inet_pton(AF_INET6, l->host, &a->in6.sin6_addr);
    a->in6.sin6_family = AF_INET6;
    a->in6.sin6_port = htons((uint16_t)l->port);
    return sizeof(a->in6);
}

static socklen_t address_of(const struct config_listen *l, union address *a)
{
    memset(a, 0, sizeof(*a));
    if (l->kind == LISTEN_TCP)
        return tcp_address(l, a);
    if (l->kind == LISTEN_VSOCK) {
        a->vm.svm_family = AF_VSOCK;
        a->vm.svm_cid = l->cid;
        a->vm.svm_port = l->port;
        return sizeof(a->vm);
    }
    a->un.sun_family = AF_UNIX;
    snprintf(a->un.sun_path, sizeof(a->un.sun_path), "%s", l->host);
    return sizeof(a->un);
}

/* What a service that was killed left behind. */
static void remove_stale(const struct config_listen *l)
{
    struct stat st;

    if (l->kind == LISTEN_UNIX && !lstat(l->host, &st) && S_ISSOCK(st.st_mode))
        unlink(l->host);
}

static enum bawn_status open_one(const struct config_listen *l, int *fd, struct bawn_error *err)
{
    const int on = 1;
    union address a;
    socklen_t len = address_of(l, &a);

    *fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot listen on %s: %m", l->text);
    remove_stale(l);
    if (l->kind == LISTEN_TCP) {
        setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        /* What is accepted inherits it. An answer is not to wait until the client has acknowledged
         * the handshake's last flight, which it delays by 40 ms. */
        setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    if (bind(*fd, &a.any, len) || listen(*fd, BACKLOG))
        return bawn_fail(err, BAWN_E_IO, "cannot listen on %s: %m", l->text);
    return BAWN_OK;
}

enum bawn_status listen_open(const struct config_listens *listens, int *fds, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (size_t i = 0; st == BAWN_OK && i < listens->n; i++)
        st = open_one(&listens->at[i], &fds[i], err);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of virtio vsock: Unix sockets, by the convention of Firecracker and Cloud
 * Hypervisor. Who connects to PATH and writes "CONNECT <port>\n" reaches the guest's port, and is
 * told "OK <port>\n" first; a guest that connects to port P of the host reaches PATH_P.
 */
#ifndef BAWN_VMM_VSOCK_SOCKET_H
#define BAWN_VMM_VSOCK_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/un.h>

#include "bawn/status.h"

struct bawn_vsock_socket {
    int fd; /* listens, does not block; -1: not open */
    struct sockaddr_un addr;
};

/* Makes the socket, which must not exist yet. */
enum bawn_status bawn_vsock_socket_open(struct bawn_vsock_socket *s, const char *path,
                                        struct bawn_error *err);
/* Removes it, too. */
void bawn_vsock_socket_close(struct bawn_vsock_socket *s);

/* All give descriptors that do not block, or -1. */
int bawn_vsock_socket_accept(const struct bawn_vsock_socket *s);
/* To who listens for the guest's connections to this port. */
int bawn_vsock_socket_connect(const struct bawn_vsock_socket *s, uint32_t port);

/* Reads the line with the guest's port, and nothing after it. 1: done, 0: not there yet, -1: it is
 * none, or the other side has gone. */
int bawn_vsock_read_greeting(int fd, uint32_t *port);
/* Whether the answer was sent. */
bool bawn_vsock_write_answer(int fd, uint32_t port);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Unix sockets of virtio vsock. Those who connect are the host's users that the socket's
 * permissions let in; what they write is not trusted.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vsock_socket.h"

#define BACKLOG 16
#define PORT_DIGITS 10
#define GREETING "CONNECT "
#define GREETING_MAX (sizeof(GREETING) - 1 + PORT_DIGITS + 1)

enum bawn_status bawn_vsock_socket_open(struct bawn_vsock_socket *s, const char *path,
                                        struct bawn_error *err)
{
    size_t max = sizeof(s->addr.sun_path) - 1 - 1 - PORT_DIGITS; /* NUL, "_<port>" */

    *s = (struct bawn_vsock_socket){ .fd = -1, .addr.sun_family = AF_UNIX };
    if (!*path || strlen(path) > max)
        return bawn_fail(err, BAWN_E_CONFIG, "vsock.socket %s: must have 1 to %zu characters", path,
                         max);
    memcpy(s->addr.sun_path, path, strlen(path)); /* the rest is zero */
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot make a socket: %m");
    if (bind(s->fd, (const struct sockaddr *)&s->addr, sizeof(s->addr))) {
        bawn_fail(err, BAWN_E_IO, "cannot make vsock's socket %s: %m%s", path,
                  errno == EADDRINUSE ? "; remove it if no machine uses it" : "");
        close(s->fd);
        s->fd = -1;
        return BAWN_E_IO;
    }
    if (listen(s->fd, BACKLOG)) {
        bawn_fail(err, BAWN_E_IO, "cannot listen on %s: %m", path);
        bawn_vsock_socket_close(s);
        return BAWN_E_IO;
    }
    return BAWN_OK;
}

void bawn_vsock_socket_close(struct bawn_vsock_socket *s)
{
    if (s->fd < 0)
        return;
    unlink(s->addr.sun_path);
    close(s->fd);
    s->fd = -1;
}

int bawn_vsock_socket_accept(const struct bawn_vsock_socket *s)
{
    return accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int bawn_vsock_socket_connect(const struct bawn_vsock_socket *s, uint32_t port)
{
    struct sockaddr_un to = s->addr;
    size_t len = strlen(to.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    /* There was room for it when the path was checked. */
    snprintf(to.sun_path + len, sizeof(to.sun_path) - len, "_%" PRIu32, port);
    if (!connect(fd, (const struct sockaddr *)&to, sizeof(to)))
        return fd;
    close(fd);
    return -1;
}

static bool parse_greeting(const char *line, uint32_t *port)
{
    const char *digits = line + sizeof(GREETING) - 1;
    unsigned long long n;
    char *end;

    if (strncmp(line, GREETING, sizeof(GREETING) - 1) || *digits < '0' || *digits > '9')
        return false;
    n = strtoull(digits, &end, 10);
    *port = (uint32_t)n;
    return !*end && n <= UINT32_MAX;
}

/* As recv(); of the calls that read from a socket the sandbox has this one. */
static ssize_t receive(int fd, void *to, size_t len, int flags)
{
    struct iovec v = { to, len };
    struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };

    return recvmsg(fd, &msg, flags | MSG_DONTWAIT);
}

int bawn_vsock_read_greeting(int fd, uint32_t *port)
{
    char line[GREETING_MAX + 1];
    ssize_t n = receive(fd, line, GREETING_MAX, MSG_PEEK);
    char *end;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    end = memchr(line, '\n', (size_t)n);
    if (!end)
        return n < (ssize_t)GREETING_MAX ? 0 : -1;
    n = end - line + 1;
    *end = '\0';
    if (!parse_greeting(line, port))
        return -1;
    return receive(fd, line, (size_t)n, 0) == n ? 1 : -1;
}

bool bawn_vsock_write_answer(int fd, uint32_t port)
{
    char line[32];
    int n = snprintf(line, sizeof(line), "OK %" PRIu32 "\n", port);
    struct iovec v = { line, (size_t)n };
    const struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };

    return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == n;
}

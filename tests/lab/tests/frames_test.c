// SPDX-License-Identifier: Apache-2.0
/*
 * frames SOCKET TAP: what stands at the other end of a network device's stream socket in the lab.
 * Listens on SOCKET for one connection, makes the tap interface TAP and carries frames between the
 * two, each behind its length on the socket (four bytes, big-endian). Ends with the connection.
 * frames FD TAP COMMAND...: carries out the command with the tap, as a VMM wants it, as this
 * descriptor.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#define FRAME_MAX 65550

static uint8_t frame[4 + FRAME_MAX];

static int open_tap(const char *name, short flags)
{
    struct ifreq req = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags) };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    strncpy(req.ifr_name, name, sizeof(req.ifr_name) - 1);
    return fd < 0 || ioctl(fd, TUNSETIFF, &req) ? -1 : fd;
}

static int accept_one(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
    return bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1) ? -1
                                                                         : accept(fd, NULL, NULL);
}

static int read_all(int fd, void *to, size_t len)
{
    return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static int from_socket(int stream, int tap)
{
    uint32_t len;

    if (!read_all(stream, &len, sizeof(len)))
        return 0;
    len = ntohl(len);
    if (len > FRAME_MAX || !read_all(stream, frame, len))
        return 0;
    (void)!write(tap, frame, len); /* an interface that is down drops it */
    return 1;
}

static int from_tap(int stream, int tap)
{
    ssize_t n = read(tap, frame + 4, FRAME_MAX);
    uint32_t len = htonl((uint32_t)n);

    if (n <= 0)
        return 1;
    memcpy(frame, &len, sizeof(len));
    return send(stream, frame, 4 + (size_t)n, MSG_NOSIGNAL) == 4 + n;
}

static int run_with(int fd, const char *name, char **command)
{
    int tap = open_tap(name, IFF_VNET_HDR);

    if (tap >= 0 && dup2(tap, fd) == fd)
        execvp(command[0], command);
    perror("frames: no tap or no such command");
    return 1;
}

int main(int argc, char **argv)
{
    int stream = argc == 3 ? accept_one(argv[1]) : -1, tap = stream < 0 ? -1 : open_tap(argv[2], 0);
    struct pollfd fds[2] = { { stream, POLLIN, 0 }, { tap, POLLIN, 0 } };

    if (argc > 3)
        return run_with((int)strtol(argv[1], NULL, 10), argv[2], argv + 3);
    if (tap < 0) {
        perror("frames: no connection or no tap");
        return 1;
    }
    for (;;) {
        if (poll(fds, 2, -1) < 0)
            return 1;
        if ((fds[0].revents && !from_socket(stream, tap)) ||
            (fds[1].revents && !from_tap(stream, tap)))
            return 0;
    }
}

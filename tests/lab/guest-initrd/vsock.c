// SPDX-License-Identifier: Apache-2.0
/*
 * vsock from inside the guest: 16 MiB from the host and 16 MiB to it over the guest's connection,
 * a refused one, and an echo server for the host's. Prints why it failed.
 */
#include <errno.h>
#include <stdio.h>

#include <linux/vm_sockets.h>

#include "pattern.h"

static int fail(const char *what)
{
    printf("%s: %s", what, strerror(errno));
    return 1;
}

static int connect_to(unsigned port)
{
    const struct sockaddr_vm to = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST,
                                    .svm_port = port };
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

    if (fd >= 0 && !connect(fd, (const struct sockaddr *)&to, sizeof(to)))
        return fd;
    close(fd);
    return -1;
}

static int listen_on(unsigned port)
{
    const struct sockaddr_vm at = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY,
                                    .svm_port = port };
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

    if (fd >= 0 && !bind(fd, (const struct sockaddr *)&at, sizeof(at)) && !listen(fd, 4))
        return fd;
    return -1;
}

/* Gives back what comes until the host has no more. */
static bool echo(int fd)
{
    static uint8_t buf[PATTERN_STEP];
    ssize_t n;

    while ((n = read(fd, buf, sizeof(buf))) > 0) {
        if (!send_all(fd, buf, (size_t)n))
            return false;
    }
    return n == 0;
}

int main(void)
{
    int echo_fd = listen_on(PORT_ECHO);
    int fd;

    if (echo_fd < 0)
        return fail("listen");
    if (connect_to(PORT_NOBODY) >= 0 || errno != ECONNRESET)
        return fail("a connection to nobody must be reset");
    fd = connect_to(PORT_DATA);
    if (fd < 0)
        return fail("connect");
    if (!pattern_receive(fd, 1))
        return fail("what the host sent is not what came");
    if (!pattern_send(fd, 2) || shutdown(fd, SHUT_WR))
        return fail("send");
    if (read(fd, &(char){ 0 }, 1) != 0) /* the host closes when it has all */
        return fail("the end of the connection");
    close(fd);
    fd = accept(echo_fd, NULL, NULL);
    if (fd < 0 || !echo(fd))
        return fail("echo");
    printf("both ways");
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net on a stream socket, under a hostile driver and a hostile other side: common.h has the
 * steps. HOST x y, by x % 4: y * 16 bytes in a frame, y bytes as they are, what came is read, the
 * other side goes away.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

static struct bawn_net net;
static struct bawn_virtio_net dev;
static int peer = -1;

static void host(uint8_t what, uint8_t how)
{
    static uint8_t buf[1 << 16];
    size_t len = how * 16u;

    memset(buf, how, 4 + len);
    buf[0] = buf[1] = 0;
    buf[2] = (uint8_t)(len >> 8);
    buf[3] = (uint8_t)len;
    if (what % 4 == 0)
        (void)!send(peer, buf, 4 + len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (what % 4 == 1)
        (void)!send(peer, buf + what / 4 % 8, how, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (what % 4 == 2)
        (void)!recv(peer, buf, sizeof(buf), MSG_DONTWAIT);
    else
        shutdown(peer, SHUT_RDWR);
}

/* A new pair, with nothing in it. */
static void connect_pair(void)
{
    int pair[2];

    bawn_net_close(&net);
    if (peer >= 0)
        close(peer);
    FUZZ_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
    peer = pair[1];
    FUZZ_MUST(!bawn_net_stream(&net, pair[0], NULL));
}

static void clear(void)
{
    connect_pair();
    FUZZ_MUST(!bawn_virtio_net_watch(&dev));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (peer < 0) {
        struct bawn_vdev_host machine = fuzz_machine();

        connect_pair();
        FUZZ_MUST(!bawn_virtio_net_init(&dev, &machine, &net));
        fuzz_plugged(&(struct fuzz_device){
            .vdev = &dev.vdev, .host = host, .clear = clear, .state = &dev, .size = sizeof(dev) });
    }
    fuzz_steps(data, size);
    return 0;
}

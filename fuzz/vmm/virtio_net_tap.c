// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net with two pairs of queues on what reads and writes like a tap, under a hostile driver
 * and a hostile host: common.h has the steps. HOST x y, by x % 2: a frame of y * 256 bytes comes by
 * one of the two, or what the guest sent is read.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common.h"

#define PAIRS 2

static struct bawn_net net = { .tap = true, .pairs = PAIRS };
static struct bawn_virtio_net dev;
static int peer[PAIRS];

static void host(uint8_t what, uint8_t how)
{
    static uint8_t frame[1 << 16];
    size_t len = how * 256u;

    if (what & 1) {
        (void)!recv(peer[what >> 1 & 1], frame, sizeof(frame), MSG_DONTWAIT);
        return;
    }
    memset(frame, what, len);
    (void)!send(peer[what >> 1 & 1], frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void clear(void)
{
    uint8_t byte;

    for (unsigned i = 0; i < PAIRS; i++) {
        while (recv(peer[i], &byte, 1, MSG_DONTWAIT) >= 0)
            ;
        while (recv(net.fd[i], &byte, 1, MSG_DONTWAIT) >= 0)
            ;
        net.flow[i].held = 0;
    }
}

static void connect_pairs(void)
{
    int pair[2];

    for (unsigned i = 0; i < PAIRS; i++) {
        FUZZ_MUST(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        net.fd[i] = pair[0];
        peer[i] = pair[1];
    }
    net.flow = calloc(PAIRS, sizeof(*net.flow));
    FUZZ_MUST(net.flow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!net.flow) {
        struct bawn_vdev_host machine = fuzz_machine();

        connect_pairs();
        FUZZ_MUST(!bawn_virtio_net_init(&dev, &machine, &net));
        fuzz_plugged(&(struct fuzz_device){
            .vdev = &dev.vdev, .host = host, .clear = clear, .state = &dev, .size = sizeof(dev) });
    }
    fuzz_steps(data, size);
    return 0;
}

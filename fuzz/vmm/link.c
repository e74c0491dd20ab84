// SPDX-License-Identifier: Apache-2.0
/*
 * The link between transport and device, under a hostile driver and two ends that cannot be
 * trusted: common.h has the steps, which go over the link here. HOST x y: a message of kind x % 16,
 * all of y, from the device (to it: x & 0x10); x & 0x20: with rings at their places; x & 0x40: y
 * bytes of it. HOST 0xff y: none, the loop turns. HOST 0xfe y: a snapshot's state is loaded.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "link.h"

static struct {
    struct bawn_vdev rng;
    struct bawn_link link;
} s;
static int pair[2] = { -1, -1 };
static struct bawn_virtio *transport;

static void distrust(void *opaque, unsigned device, const char *why)
{
    (void)opaque, (void)why;
    FUZZ_MUST(device == 7);
    FUZZ_MUST(!s.link.ready);
}

static void drain(void)
{
    uint8_t rest[2 * sizeof(struct bawn_link_msg)];

    for (unsigned i = 0; i < 2; i++)
        while (read(pair[i], rest, sizeof(rest)) >= 0)
            ;
}

static void plug(struct bawn_virtio *virtio)
{
    const struct bawn_link_owner owner = { .distrust = distrust };

    transport = virtio;
    FUZZ_MUST(!bawn_link_init(&s.link, pair[0], 7, virtio, &owner));
    FUZZ_MUST(!bawn_link_serve(pair[1], &s.rng) && bawn_link_tell(pair[1], BAWN_LINK_HELLO));
    drain();
    s.link.ready = true;
}

/* A snapshot's state of the transport, but for one byte. */
static void load(uint8_t how)
{
    struct bawn_virtio_state state;

    bawn_virtio_save(transport, &state);
    ((uint8_t *)&state)[how * (sizeof(state) / 256) % sizeof(state)] ^= how;
    bawn_virtio_load(transport, &state);
}

static void host(uint8_t what, uint8_t how)
{
    struct bawn_link_msg msg;
    size_t len = what & 0x40 ? how : sizeof(msg);

    if (what == 0xff)
        return;
    if (what == 0xfe) {
        load(how);
        return;
    }
    memset(&msg, how, sizeof(msg));
    msg.kind = what % 16;
    if (what & 0x20) {
        msg.start.resume = how >> 7;
        msg.start.features = 1ull << 32;
        msg.start.queue[0].enabled = 1;
        msg.start.queue[0].size = (uint16_t)(1u << how % 8);
        msg.start.queue[0].desc = 0;
        msg.start.queue[0].avail = 0x800;
        msg.start.queue[0].used = 0xa00;
    }
    (void)!write(pair[what & 0x10 ? 0 : 1], &msg, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (pair[0] < 0) {
        struct bawn_vdev_host machine = fuzz_machine();

        FUZZ_MUST(!bawn_link_pair(pair));
        FUZZ_MUST(!bawn_virtio_rng_init(&s.rng, &machine));
        fuzz_plugged(&(struct fuzz_device){ .vdev = &s.rng,
                                            .plug = plug,
                                            .host = host,
                                            .clear = drain,
                                            .state = &s,
                                            .size = sizeof(s) });
    }
    fuzz_steps(data, size);
    return 0;
}
